package account

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/awssim"
)

func TestTargetsOfRoles(t *testing.T) {
	t.Parallel()
	w := setup(t, viaHub())
	targets, problems := w.Targets(t.Context())
	if len(problems) > 0 {
		t.Fatalf("problems: %+v", problems)
	}
	want := []Target{
		{Account: ordersID, RoleARN: ordersARN, Regions: []string{region}},
		{Account: catalogID, RoleARN: catalogARN, Regions: []string{region}},
	}
	if diff := cmp.Diff(want, targets); diff != "" {
		t.Error(diff)
	}
	logs := cloudwatchlogs.NewFromConfig(w.Config(targets[0], region))
	if _, err := logs.DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{}); err != nil {
		t.Errorf("reading with the role: %v", err)
	}
	if got := w.sim.CallsOf("logs", "DescribeLogGroups"); got != 1 {
		t.Errorf("the sim saw %d calls", got)
	}
}

func TestSessionsCarryNameExternalIDAndTags(t *testing.T) {
	t.Parallel()
	cfg := viaHub()
	cfg.Roles[0].SessionName = "collector@prod"
	cfg.Roles[0].SessionTags = map[string]string{"team": "platform"}
	w := setup(t, cfg)
	if _, problems := w.Targets(t.Context()); len(problems) > 0 {
		t.Fatalf("problems: %+v", problems)
	}
	var found bool
	for _, r := range w.wire.requests {
		form, err := url.ParseQuery(r.body)
		if err != nil || form.Get("RoleArn") != ordersARN {
			continue
		}
		found = true
		got := map[string]string{}
		for _, key := range []string{"RoleSessionName", "ExternalId", "DurationSeconds", "Tags.member.1.Key", "Tags.member.1.Value"} {
			got[key] = form.Get(key)
		}
		want := map[string]string{
			"RoleSessionName": "collector@prod", "ExternalId": externalID, "DurationSeconds": "3600",
			"Tags.member.1.Key": "team", "Tags.member.1.Value": "platform",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	if !found {
		t.Error("the role was not assumed")
	}
}

func TestOneFailingAccountHidesNoOther(t *testing.T) {
	t.Parallel()
	w := setup(t, viaHub())
	w.sim.Account(ordersID).RemoveRole("Collector")
	targets, problems := w.Targets(t.Context())
	if len(targets) != 1 || targets[0].Account != catalogID {
		t.Errorf("targets: %+v", targets)
	}
	if len(problems) != 1 || problems[0].Account != ordersID || problems[0].RoleARN != ordersARN || problems[0].Mend == "" {
		t.Errorf("problems: %+v", problems)
	}
}

func TestTargetsOfOrganization(t *testing.T) {
	t.Parallel()
	const suspendedID = "444444444444"
	w := setup(t, Config{Hub: &Role{ARN: hubARN, ExternalID: "not-asked"}, Organization: true, RoleName: "Collector", ExternalID: externalID})
	w.sim.Account(suspendedID).SetName("old").SetStatus("SUSPENDED")
	w.sim.Organization(securityID).Add(suspendedID)
	targets, problems := w.Targets(t.Context())
	got := map[string]string{}
	for _, target := range targets {
		got[target.Account+" "+target.Name+" "+target.Status] = target.RoleARN
	}
	want := map[string]string{
		// The role does not exist where the accounts are listed: the hub reads its own.
		securityID + " security ACTIVE": "",
		ordersID + " orders ACTIVE":     ordersARN,
		catalogID + " catalog ACTIVE":   catalogARN,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(problems) != 1 || problems[0].Account != suspendedID || !problems[0].Note || !strings.Contains(problems[0].What, "SUSPENDED") {
		t.Errorf("problems: %+v", problems)
	}
}

func TestTargetsOfBase(t *testing.T) {
	t.Parallel()
	w := setup(t, Config{Regions: []string{"eu-west-1", "us-east-1"}})
	targets, problems := w.Targets(t.Context())
	want := []Target{{Account: securityID, Regions: []string{"eu-west-1", "us-east-1"}}}
	if diff := cmp.Diff(want, targets); diff != "" || len(problems) > 0 {
		t.Error(diff, problems)
	}
}

func TestAllRegions(t *testing.T) {
	t.Parallel()
	cfg := viaHub()
	cfg.Regions = []string{"all"}
	w := setup(t, cfg)
	w.sim.Account(ordersID).SetRegionStatus("af-south-1", "ENABLED")
	w.sim.Account(catalogID).AddRole(awssim.Role{ // without account:ListRegions
		Name: "Collector", TrustedPrincipals: []string{hubARN}, ExternalID: externalID, Allow: []string{"logs:*"},
	})
	targets, problems := w.Targets(t.Context())
	if len(targets) != 2 {
		t.Fatalf("targets: %+v, problems: %+v", targets, problems)
	}
	if regions := strings.Join(targets[0].Regions, " "); !strings.Contains(regions, "af-south-1") || !strings.Contains(regions, "us-east-1") ||
		strings.Contains(regions, "me-south-1") {
		t.Errorf("orders has %s", regions)
	}
	if len(targets[1].Regions) != 17 {
		t.Errorf("catalog falls back to %v", targets[1].Regions)
	}
	if len(problems) != 1 || !strings.Contains(problems[0].Mend, `"account:ListRegions"`) {
		t.Errorf("problems: %+v", problems)
	}
}

func TestRolesOfOneAccountDoNotReadTwice(t *testing.T) {
	t.Parallel()
	second := "arn:aws:iam::222222222222:role/Second"
	cfg := Config{
		Hub: &Role{ARN: hubARN}, ExternalID: externalID,
		Roles: []Role{
			{ARN: ordersARN, Regions: []string{"eu-west-1"}},
			{ARN: second, Regions: []string{"eu-west-1", "us-east-1"}},
			{ARN: ordersARN, Regions: []string{"eu-central-1"}},
		},
	}
	w := setup(t, cfg)
	w.sim.Account(ordersID).AddRole(awssim.Role{Name: "Second", TrustedPrincipals: []string{hubARN}, ExternalID: externalID})
	targets, problems := w.Targets(t.Context())
	want := []Target{
		{Account: ordersID, RoleARN: ordersARN, Regions: []string{"eu-west-1", "eu-central-1"}},
		{Account: ordersID, RoleARN: second, Regions: []string{"us-east-1"}},
	}
	if diff := cmp.Diff(want, targets); diff != "" || len(problems) > 0 {
		t.Error(diff, problems)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg  Config
		want string
	}{
		"a user's ARN":           {Config{Roles: []Role{{ARN: "arn:aws:iam::222222222222:user/x"}}}, "not the ARN of an IAM role"},
		"a short account":        {Config{Roles: []Role{{ARN: "arn:aws:iam::222:role/x"}}}, "12 digits"},
		"an unknown partition":   {Config{Roles: []Role{{ARN: "arn:moon:iam::222222222222:role/x"}}}, "partition"},
		"a session name":         {Config{SessionName: "a b", Roles: []Role{{ARN: ordersARN}}}, "session name"},
		"an external id":         {Config{ExternalID: "x", Roles: []Role{{ARN: ordersARN}}}, "external id"},
		"a region":               {Config{Regions: []string{"EU"}}, "not the name of a region"},
		"all and one":            {Config{Regions: []string{"all", "eu-west-1"}}, "stands alone"},
		"a foreign region":       {Config{Roles: []Role{{ARN: ordersARN, Regions: []string{"cn-north-1"}}}}, "partition"},
		"a quota's name":         {Config{Quota: map[string]float64{"FilterLogEvent": 5}}, "unknown"},
		"a quota of nothing":     {Config{Quota: map[string]float64{"FilterLogEvents": 0}}, "more than 0"},
		"an empty role name":     {Config{Organization: true}, "role name"},
		"roles and organization": {Config{Organization: true, RoleName: "R", Roles: []Role{{ARN: ordersARN}}}, "either"},
		"a role twice":           {Config{Roles: []Role{{ARN: ordersARN}, {ARN: ordersARN, Regions: []string{region}}}}, "not each time"},
		"a role in two ways":     {Config{Roles: []Role{{ARN: ordersARN}, {ARN: ordersARN, ExternalID: "other"}}}, "twice"},
	} {
		_, err := New(tc.cfg, Options{BaseConfig: baseConfig(nil)})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want it to say %q", name, err, tc.want)
		}
	}
}

func TestLongLivedKeysAreRefused(t *testing.T) {
	t.Parallel()
	sim := awssim.New(awssim.Options{})
	key := sim.Account(securityID).AddAccessKey("admin")
	provider := credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, "")
	for _, allowed := range []bool{false, true} {
		w := &wire{handler: sim.Handler()}
		a, err := New(Config{AllowLongLivedKeys: allowed}, Options{HTTPClient: w, BaseConfig: baseConfig(provider)})
		if err != nil {
			t.Fatal(err)
		}
		targets, problems := a.Targets(t.Context())
		if allowed {
			if len(targets) != 1 {
				t.Errorf("allowed: %+v %+v", targets, problems)
			}
			continue
		}
		if len(targets) != 0 || len(problems) != 1 || !errors.Is(problems[0].Err, ErrLongLivedKeys) || problems[0].Mend == "" {
			t.Fatalf("refused: %+v %+v", targets, problems)
		}
		if strings.Contains(problems[0].What, key.AccessKeyID) || strings.Contains(problems[0].Mend, key.AccessKeyID) {
			t.Error("the key is shown")
		}
		if w.count() != 0 {
			t.Error("the key was used")
		}
	}
}

func TestTestKeysAreAllowed(t *testing.T) {
	t.Parallel()
	sim := awssim.New(awssim.Options{})
	sim.Account(securityID).SetAccessKey("admin", "test", "test")
	a, err := New(Config{}, Options{
		HTTPClient: &wire{handler: sim.Handler()},
		BaseConfig: baseConfig(credentials.NewStaticCredentialsProvider("test", "test", "")),
	})
	if err != nil {
		t.Fatal(err)
	}
	if targets, problems := a.Targets(t.Context()); len(targets) != 1 {
		t.Errorf("%+v", problems)
	}
}

func TestClientsShareTheirConnections(t *testing.T) {
	t.Parallel()
	sim := awssim.New(awssim.Options{})
	sim.Account(securityID).SetAccessKey("admin", "test", "test")
	server := httptest.NewUnstartedServer(sim.Handler())
	var opened atomic.Int64
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	base := baseConfig(credentials.NewStaticCredentialsProvider("test", "test", ""))
	base.BaseEndpoint = aws.String(server.URL)
	a, err := New(Config{}, Options{BaseConfig: base})
	if err != nil {
		t.Fatal(err)
	}
	regions := []string{
		"eu-west-1", "eu-west-2", "eu-west-3", "eu-north-1", "eu-central-1",
		"us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1",
	}
	for _, region := range regions {
		client := cloudwatchlogs.NewFromConfig(a.Config(Target{Account: securityID}, region))
		if _, err := client.DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{}); err != nil {
			t.Fatal(err)
		}
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections for %d clients, one after the other", n, len(regions))
	}
}
