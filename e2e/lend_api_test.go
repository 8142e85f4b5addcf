package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/deploy"
	"github.com/gatehouse-project/gatehouse/gateway"
	"github.com/gatehouse-project/gatehouse/iam"
)

const ordersAPI = "a1b2c3d4e5"

// sessions lets a gateway know the sessions that a simulated AWS has given out.
type sessions struct{ sim *awssim.Sim }

func (s sessions) Lookup(accessKeyID string) (*gateway.Principal, error) {
	c, ok := s.sim.Caller(accessKeyID)
	if !ok {
		return nil, nil //nolint:nilnil // a key that does not exist
	}
	who, err := iam.ParsePrincipal(c.Principal.ARN)
	return &gateway.Principal{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Expires: c.Expires,
		Principal: who, UserID: c.Principal.ID, Policies: c.Policies, Context: c.Context,
	}, err
}

// lentAPI adds the API of the story to AWS, with the roles that gatehouse deploy writes
// for lending it, and serves it by a gateway that enforces what AWS has.
func lentAPI(t *testing.T, w *world) (url string) {
	t.Helper()
	a := w.sim.Account(apiAccount)
	guarded := func(path string, methods ...string) awssim.Resource {
		r := awssim.Resource{Path: path}
		for _, m := range methods {
			r.Methods = append(r.Methods, awssim.Method{HTTPMethod: m, Authorization: "AWS_IAM"})
		}
		return r
	}
	a.Region(region).AddRESTAPI(awssim.RESTAPI{
		ID: ordersAPI, Name: "orders", Resources: []awssim.Resource{guarded("/orders", "GET"), guarded("/orders/{id}", "GET", "DELETE"), guarded("/orders/mine", "GET")},
		Stages: []awssim.Stage{{Name: "prod"}},
	})
	p := stackPolicies(t, "api-lending", deploy.Values{
		"api-account": {apiAccount}, "api-region": {region}, "api": {ordersAPI}, "stages": {"prod"},
		"hub-role": {"arn:aws:iam::" + hubAccount + ":role/Hub"}, "external-id": {externalID},
	})
	text := func(name string) string {
		t.Helper()
		d := p[name]
		if d == nil {
			t.Fatalf("the stack has no policy %q, only %v", name, p)
		}
		return string(d.JSON())
	}
	bounds := a.AddPolicy("gatehouse-api-invoker-bounds", text("bounds.policy"))
	a.AddRole(awssim.Role{Name: "gatehouse-api-invoker", TrustPolicy: text("invoker.assume_role_policy"), Inline: map[string]string{"InvokeApi": text("invoker_invoke.policy")}, PermissionsBoundary: bounds})
	a.AddRole(awssim.Role{Name: "GatehouseLender", TrustPolicy: text("control.assume_role_policy"), Inline: map[string]string{"EndSessions": text("control_switch.policy")}})

	backend := function(t, func(string) string { return `{"statusCode":200,"body":"{\"order\":7}"}` })
	route := func(method, path string) string {
		return fmt.Sprintf("      - {method: %s, path: %q, authorization: AWS_IAM, integration: {type: AWS_PROXY, uri: %q}}\n", method, path, backend)
	}
	c, err := gateway.Parse("gateway.yaml", []byte(`apis:
  - id: `+ordersAPI+`
    type: REST
    account: "`+apiAccount+`"
    region: `+region+`
    routes:
`+route("GET", "/orders")+route("GET", "/orders/{id}")+route("DELETE", "/orders/{id}")+route("GET", "/orders/mine")+`    stages:
      - {name: prod}
`), os.Getenv)
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(c, gateway.Options{Credentials: sessions{w.sim}})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(g)
	t.Cleanup(s.Close)
	return s.URL
}

const ordersIntegration = `integrations:
  - name: orders
    type: api-gateway
    config:
      account: "` + apiAccount + `"
      region: ` + region + `
      api_id: ` + ordersAPI + `
      role_arn: arn:aws:iam::` + apiAccount + `:role/gatehouse-api-invoker
      control_role_arn: arn:aws:iam::` + apiAccount + `:role/GatehouseLender
      external_id: ` + externalID + `
`

const ordersFlows = `flows:
  - name: Orders
    requestors: {conditions: [{type: group, values: [dev]}]}
    targets: [{integration: orders, resource_type: apigw-route, permissions: [invoke]}]
    approvers: {groups: [{conditions: [{type: group, values: [owners]}]}]}
    duration: {max: 1h}
`

// Somebody is lent one route of an API. Any SDK gets credentials by the profile that is
// printed; they call that route and nothing else, and stop working when it is taken back
// or its time is over, while those of others go on.
func TestLendAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	url := lentAPI(t, w)
	l := newLender(t, w, "discovery_interval: 2s\n")
	people := map[string]*member{}
	for _, name := range []string{alice, bob, olga, ada} {
		people[name] = l.join(t, name)
	}
	// The estate is discovered from the start of the server on.
	eventually(t, 2*time.Minute, func() error {
		if status, text := people[ada].page(t, "/api/v1/estate"); !strings.Contains(text, ordersAPI) {
			return fmt.Errorf("the estate (%d) has no API yet", status)
		}
		return nil
	})
	l.configure(t, people[ada], ordersIntegration, ordersFlows, "orders")
	const route = "route/" + ordersAPI + "/prod/GET/orders/{id}"
	lend := func(m *member, lasts string) string {
		t.Helper()
		g := m.until(t, people[olga].approve(t, m.borrow(t, "orders", route, "invoke", lasts)), access.Active)
		return g.ID
	}
	call := func(c aws.Credentials, method, path string) (int, string) {
		t.Helper()
		status, _, body := signed(t, c, region, method, url+"/prod"+path, "")
		return status, body
	}
	if out, complaint, err := people[alice].try(t, "access", "creds", "orders"); err == nil || out != "" || !strings.Contains(complaint, "you hold nothing on orders") {
		t.Errorf("before anything was lent: %v\n%s%s", err, out, complaint)
	}

	// By the profile that is printed, as an SDK reads it.
	grant := lend(people[alice], "30m")
	first := people[alice].byProfile(t, grant)
	others := lend(people[bob], "30m")
	bobs := people[bob].byProfile(t, others)
	for _, c := range []struct {
		who          aws.Credentials
		method, path string
		want         int
	}{
		{first, "GET", "/orders/7", 200},
		{bobs, "GET", "/orders/7", 200},
		{first, "DELETE", "/orders/7", 403},
		{first, "GET", "/orders", 403},
		{first, "GET", "/orders/mine", 403},
		{first, "GET", "/orders/7/lines", 403},
		{aws.Credentials{AccessKeyID: first.AccessKeyID, SecretAccessKey: "x" + first.SecretAccessKey, SessionToken: first.SessionToken}, "GET", "/orders/7", 403},
	} {
		if status, body := call(c.who, c.method, c.path); status != c.want {
			t.Errorf("%s %s answers %d %s, want %d", c.method, c.path, status, body, c.want)
		}
	}
	who, ok := w.sim.Caller(first.AccessKeyID)
	if !ok || !strings.HasSuffix(who.Principal.ARN, ":assumed-role/gatehouse-api-invoker/"+alice) {
		t.Errorf("the API sees %+v", who)
	}
	if out, complaint, err := people[bob].try(t, "access", "creds", "orders", "--grant", grant); err == nil || out != "" {
		t.Errorf("bob gets credentials of alice's grant: %s%s", out, complaint)
	}

	// Taken back before its time: what is out already is refused.
	people[olga].do(t, "access", "revoke", grant, "--reason", "the incident is over")
	g := people[alice].until(t, grant, access.Ended)
	if status, body := call(first, "GET", "/orders/7"); status != http.StatusForbidden || !strings.Contains(body, "explicit deny") {
		t.Errorf("after the grant is said to have ended, its credentials answer %d %s: %+v", status, body, g)
	}
	if out, complaint, err := people[alice].try(t, "access", "creds", "orders"); err == nil || out != "" {
		t.Errorf("new credentials after the end: %s%s", out, complaint)
	}
	if status, body := call(bobs, "GET", "/orders/7"); status != http.StatusOK {
		t.Errorf("bob's credentials answer %d %s after alice's were taken back", status, body)
	}

	// Its time is over: STS makes no session shorter than 15 minutes, the policy does.
	again := lend(people[alice], "10s")
	g = people[alice].grant(t, again)
	second := people[alice].byProfile(t, again)
	var last, refused time.Time
	eventually(t, time.Minute, func() error {
		asked := time.Now()
		if status, _ := call(second, "GET", "/orders/7"); status == http.StatusOK {
			last = asked
			return errors.New("the credentials work still")
		}
		refused = time.Now()
		return nil
	})
	if last.IsZero() || last.After(g.ExpiresAt.Add(onTime)) || refused.Before(g.ExpiresAt.Add(-onTime)) {
		t.Errorf("the credentials worked until %s and were refused at %s, the grant lasted until %s", last, refused, g.ExpiresAt)
	}
	people[alice].until(t, again, access.Ended)
	l.verified(t, "request.created", "request.approved", "grant.ready", "credentials.vended", "grant.ended")
	l.told(t, "request.created", "grant.ready", "grant.ended")
	l.keepsSecrets(t, people[ada], first.SecretAccessKey, first.SessionToken, second.SecretAccessKey, second.SessionToken, bobs.SecretAccessKey, bobs.SessionToken,
		people[alice].token(t), people[bob].token(t), people[olga].token(t))
}

// byProfile is what an SDK gets by the profile that the details of a grant print.
func (m *member) byProfile(t *testing.T, grant string) aws.Credentials {
	t.Helper()
	var out struct{ Details access.Details }
	m.ask(t, &out, "access", "show", grant)
	profile := ""
	for _, s := range out.Details.Snippets {
		if s.Language == "ini" {
			profile = s.Text
		}
	}
	// The SDK runs here, the command as the person.
	as := fmt.Sprintf("credential_process = env HOME=%s XDG_CONFIG_HOME=%s %s ", m.home, filepath.Join(m.home, ".config"), binary)
	text := strings.Replace(profile, "credential_process = gatehouse ", as, 1)
	if text == profile {
		t.Fatalf("the profile runs something else than gatehouse:\n%s", profile)
	}
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	name, _, _ := strings.Cut(strings.TrimPrefix(profile, "[profile "), "]")
	c, err := awsconfig.LoadDefaultConfig(t.Context(), awsconfig.WithSharedConfigFiles([]string{file}), awsconfig.WithSharedCredentialsFiles([]string{}), awsconfig.WithSharedConfigProfile(name))
	if err != nil {
		t.Fatal(err)
	}
	given, err := c.Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatalf("the profile gives no credentials: %v\n%s", err, profile)
	}
	return given
}
