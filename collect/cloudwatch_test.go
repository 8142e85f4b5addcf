package collect_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	securityID = "111111111111"
	ordersID   = "222222222222"
	catalogID  = "333333333333"
	externalID = "gatehouse-42"
)

// cloud is a simulated AWS of three accounts, the first of which reads the two
// others through their roles.
type cloud struct {
	sim      *awssim.Sim
	accounts *account.Accounts
}

func newCloud(t *testing.T, endpoint func(*awssim.Sim) (string, aws.HTTPClient)) *cloud {
	t.Helper()
	sim := awssim.New(awssim.Options{Seed: 7, ScanWindow: 500})
	security := sim.Account(securityID)
	security.AddRole(awssim.Role{Name: "Base", Allow: []string{"sts:*"}})
	cfg := account.Config{ExternalID: externalID, Regions: []string{testRegion}, Quota: map[string]float64{"FilterLogEvents": 1000, "DescribeLogGroups": 1000}}
	for _, id := range []string{ordersID, catalogID} {
		arn := (&cloud{sim: sim}).addRole(id)
		cfg.Roles = append(cfg.Roles, account.Role{ARN: arn})
	}
	base := security.Session("Base", "test", 12*time.Hour)
	url, client := endpoint(sim)
	accounts, err := account.New(cfg, account.Options{
		HTTPClient: client,
		MaxBackoff: 5 * time.Millisecond,
		BaseConfig: &aws.Config{
			Region:       testRegion,
			BaseEndpoint: aws.String(url),
			Credentials:  credentials.NewStaticCredentialsProvider(base.AccessKeyID, base.SecretAccessKey, base.SessionToken),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return &cloud{sim: sim, accounts: accounts}
}

// addRole makes the role that is read with, or makes it again.
func (c *cloud) addRole(id string) (arn string) {
	return c.sim.Account(id).AddRole(awssim.Role{
		Name: "Collector", TrustedAccounts: []string{securityID}, ExternalID: externalID,
		Allow: []string{"logs:*", "cloudwatch:GetMetricData"},
	})
}

// overTCP listens on a port.
func overTCP(t *testing.T) func(*awssim.Sim) (string, aws.HTTPClient) {
	t.Helper()
	return func(sim *awssim.Sim) (string, aws.HTTPClient) {
		server, err := sim.Listen("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Close() })
		return server.URL(), nil
	}
}

// inBubble hands requests to the handler without a network, on the clock of a
// synctest bubble.
func inBubble(sim *awssim.Sim) (string, aws.HTTPClient) {
	return "http://aws.test", handlerClient{sim.Handler()}
}

type handlerClient struct{ handler http.Handler }

func (c handlerClient) Do(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	in := r.Clone(r.Context())
	in.RequestURI = r.URL.RequestURI()
	if in.Body == nil {
		in.Body = http.NoBody
	}
	out := httptest.NewRecorder()
	cut := c.serve(out, in)
	res := out.Result()
	if cut {
		res.Body = io.NopCloser(io.MultiReader(res.Body, iotest.ErrReader(io.ErrUnexpectedEOF)))
	}
	return res, nil
}

// serve reports whether the handler cut the connection.
func (c handlerClient) serve(w http.ResponseWriter, r *http.Request) (cut bool) {
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler { //nolint:errorlint // this very value
				panic(p)
			}
			cut = true
		}
	}()
	c.handler.ServeHTTP(w, r)
	return false
}

func (c *cloud) logs(id string) *awssim.Logs { return c.sim.Account(id).Region(testRegion).Logs() }

// call puts call n.
func (c *cloud) call(id, group string, n int, at time.Time) {
	var events []awssim.LogEvent
	for i, line := range callLines(requestID(n)) {
		events = append(events, awssim.LogEvent{Timestamp: at.UnixMilli() + int64(i), Message: line})
	}
	c.logs(id).Put(group, fmt.Sprintf("stream%d", n%5), events...)
}

func (c *cloud) source(t *testing.T, cfg collect.CloudWatchConfig) *collect.CloudWatch {
	t.Helper()
	s, err := collect.NewCloudWatch(c.accounts, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (c *cloud) deps(t *testing.T, d *disk, cfg collect.CloudWatchConfig) collect.Deps {
	t.Helper()
	deps := (&process{disk: d}).deps()
	deps.Source = c.source(t, cfg)
	return deps
}

func TestCloudWatchOnABadDay(t *testing.T) {
	t.Parallel()
	c := newCloud(t, overTCP(t))
	began := time.Now().Add(-time.Hour)
	const calls = 800
	for n := range calls {
		id := []string{ordersID, catalogID}[n%2]
		c.call(id, groupName(n%3), n, began.Add(time.Duration(n)*4*time.Second))
	}
	for _, f := range []awssim.Fault{
		{Kind: awssim.EmptyPage, Every: 3},
		{Kind: awssim.PageTwice, Every: 4},
		{Kind: awssim.Double, Every: 2},
		{Kind: awssim.Double, Every: 5, Across: true},
		{Kind: awssim.CutConnection, Operation: "FilterLogEvents", Every: 7, Times: 6},
		{Kind: awssim.CutConnection, Operation: "FilterLogEvents", Every: 11, Times: 4, Chunked: true},
		{Kind: awssim.Status500, Operation: "FilterLogEvents", Every: 6, Times: 8},
		{Kind: awssim.Throttle, Service: "logs", Every: 5, Times: 3},
		{Kind: awssim.TokenInvalid, Every: 9, Times: 3},
	} {
		c.sim.Inject(f)
	}
	d := newDisk()
	collector, err := collect.New(collect.Config{Settle: time.Millisecond, CommitInterval: time.Millisecond, WindowPages: 1, OnceAttempts: 20},
		c.deps(t, d, collect.CloudWatchConfig{Prefix: collect.DefaultPrefix}))
	if err != nil {
		t.Fatal(err)
	}
	if err := collector.RunOnce(t.Context(), began.Add(-time.Minute)); err != nil {
		t.Fatal(err)
	}
	for _, f := range c.sim.Faults() {
		if f.Acted == 0 {
			t.Errorf("the fault %s never came", f.Fault.Kind)
		}
	}
	wantCalls(t, d, "file", calls)
	b := d.books()
	if b.Read != calls*linesPerCall || !b.Balanced() || b.Incomplete != 0 || b.Late != 0 {
		t.Errorf("books: %+v", b)
	}
	for _, tx := range d.kept["file"] {
		if tx.Account != ordersID && tx.Account != catalogID || tx.Region != testRegion || tx.Stage != "prod" || tx.Response == nil || tx.Response.Status != 200 {
			t.Fatalf("a transaction is %+v", tx)
		}
	}
}

func TestCloudWatchOverDays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t, inBubble)
		c.logs(ordersID).CreateGroup(groupName(0))
		d := newDisk()
		r := start(t, collect.Config{}, c.deps(t, d, collect.CloudWatchConfig{Prefix: collect.DefaultPrefix}))
		// Two hours: each role's session is renewed, some events are late.
		const calls = 240
		for n := range calls {
			if n == 100 {
				c.sim.Inject(awssim.Fault{Kind: awssim.Late, Delay: 2 * time.Minute, Times: 10 * linesPerCall})
			}
			if n == 150 {
				c.sim.ExpireSessions(ordersID, "Collector")
			}
			c.call([]string{ordersID, catalogID}[n%2], groupName(n%3), n, time.Now())
			time.Sleep(30 * time.Second)
		}
		time.Sleep(10 * time.Minute)
		h := r.Health()
		if len(h.Problems) != 0 || h.Lag > 30*time.Second || h.OpenCalls != 0 {
			t.Errorf("health: %+v", h)
		}
		r.stop(t)
		wantCalls(t, d, "file", calls)
		if n := r.warnings(""); n != 0 {
			t.Errorf("%d warnings:\n%s", n, r.log)
		}
	})
}

// A group that no stage writes to any more is read on for a while: calls that were
// logged before that are in it. One that is deleted is not.
func TestCloudWatchReadsOnWhatStagesLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		at := func(name, format string) transaction.Group {
			return transaction.Group{Account: ordersID, Region: testRegion, Name: name, APIID: "a1b2c3d001", Stage: "prod", AccessFormat: format}
		}
		now := []transaction.Group{at("/one", "$context.requestId"), at("/two", "$context.requestId $context.status")}
		c := newCloud(t, inBubble)
		logs := c.logs(ordersID)
		logs.CreateGroup("/one")
		logs.CreateGroup("/two")
		source := c.source(t, collect.CloudWatchConfig{Stages: func() []transaction.Group { return now }})
		find := func() (got []transaction.Group) {
			t.Helper()
			found, problems := source.Find(t.Context())
			if len(problems) > 0 {
				t.Errorf("problems: %+v", problems)
			}
			for _, f := range found {
				got = append(got, f.Group)
			}
			return got
		}
		both := slices.Clone(now)
		if diff := cmp.Diff(both, find()); diff != "" {
			t.Errorf("at first (-want +got):\n%s", diff)
		}
		now = nil
		time.Sleep(59 * time.Minute)
		if diff := cmp.Diff(both, find()); diff != "" {
			t.Errorf("after the stages were switched off (-want +got):\n%s", diff)
		}
		now = []transaction.Group{at("/one", "$context.extendedRequestId")}
		logs.DeleteGroup("/two")
		if diff := cmp.Diff(now, find()); diff != "" {
			t.Errorf("one is switched on again and one deleted (-want +got):\n%s", diff)
		}
		now = nil
		time.Sleep(61 * time.Minute)
		if got := find(); len(got) != 0 {
			t.Errorf("long after: %+v", got)
		}
	})
}

func TestCloudWatchFindsGroups(t *testing.T) {
	t.Parallel()
	stages := func() []transaction.Group {
		at := func(name, api, stage, format string) transaction.Group {
			return transaction.Group{Account: ordersID, Region: testRegion, Name: name, APIID: api, Stage: stage, AccessFormat: format}
		}
		return []transaction.Group{
			at(groupName(1), "a1b2c3d001", "prod", ""),
			at(groupName(9), "a1b2c3d009", "prod", ""), // has had no call yet
			at("/own/access", "a1b2c3d001", "prod", "$context.requestId"),
			at("/shared", "a1b2c3d001", "prod", "$context.requestId"),
			at("/shared", "a1b2c3d002", "dev", "$context.requestId $context.status"),
			at("/missing", "a1b2c3d001", "prod", ""),
			{Account: "999999999999", Region: testRegion, Name: "/other/account"},
		}
	}
	for name, test := range map[string]struct {
		cfg      collect.CloudWatchConfig
		want     []string
		problems []string
	}{
		"by prefix": {
			cfg:  collect.CloudWatchConfig{Prefix: collect.DefaultPrefix},
			want: []string{ordersID + " " + groupName(0), ordersID + " " + groupName(1), catalogID + " " + groupName(0)},
		},
		"by ARN": {
			cfg: collect.CloudWatchConfig{ARNs: []string{
				"arn:aws:logs:eu-west-1:" + ordersID + ":log-group:/own/access:*",
				" arn:aws:logs:us-west-2:" + catalogID + ":log-group:/elsewhere",
				"arn:aws:logs:eu-west-1:" + ordersID + ":log-group:/own/access",
			}},
			want: []string{ordersID + " /own/access", catalogID + " /elsewhere"},
		},
		"by ARN in an account without a role": {
			cfg:      collect.CloudWatchConfig{ARNs: []string{"arn:aws:logs:eu-west-1:444444444444:log-group:g"}},
			problems: []string{"444444444444"},
		},
		"by stages too": {
			cfg: collect.CloudWatchConfig{Prefix: collect.DefaultPrefix, Stages: stages},
			want: []string{
				ordersID + " /own/access a1b2c3d001 prod $context.requestId", ordersID + " /shared",
				ordersID + " " + groupName(0), ordersID + " " + groupName(1) + " a1b2c3d001 prod",
				catalogID + " " + groupName(0),
			},
		},
		"by stages alone": {
			cfg: collect.CloudWatchConfig{Stages: stages},
			want: []string{
				ordersID + " /own/access a1b2c3d001 prod $context.requestId", ordersID + " /shared",
				ordersID + " " + groupName(1) + " a1b2c3d001 prod",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c := newCloud(t, inBubble)
				for _, group := range []string{groupName(0), groupName(1), "/own/access", "/shared", "/unrelated"} {
					c.logs(ordersID).CreateGroup(group)
				}
				c.logs(catalogID).CreateGroup(groupName(0))
				found, problems := c.source(t, test.cfg).Find(t.Context())
				var got []string
				for _, f := range found {
					got = append(got, strings.Join(strings.Fields(strings.Join([]string{f.Account, f.Name, f.APIID, f.Stage, f.AccessFormat}, " ")), " "))
					if !strings.Contains(name, "ARN") && !f.Created.Equal(time.Now()) {
						t.Errorf("%s was created at %v", f.Name, f.Created)
					}
				}
				slices.Sort(got)
				slices.Sort(test.want)
				if !slices.Equal(got, test.want) {
					t.Errorf("found %q, want %q", got, test.want)
				}
				if len(problems) != len(test.problems) {
					t.Errorf("problems: %+v", problems)
				}
				for i, p := range problems {
					if !strings.Contains(p.What+p.Account, test.problems[i]) || p.Mend == "" {
						t.Errorf("problem: %+v", p)
					}
				}
			})
		})
	}
}

func TestCloudWatchTellsWhichAccountFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCloud(t, inBubble)
		c.sim.Account(catalogID).RemoveRole("Collector")
		c.sim.Inject(awssim.Fault{Kind: awssim.Denied, Operation: "FilterLogEvents", Account: ordersID, Group: groupName(1)})
		for n := range 20 {
			c.call(ordersID, groupName(n%2), n, time.Now())
		}
		time.Sleep(time.Minute)
		d := newDisk()
		collector, err := collect.New(collect.Config{}, c.deps(t, d, collect.CloudWatchConfig{Prefix: collect.DefaultPrefix}))
		if err != nil {
			t.Fatal(err)
		}
		err = collector.RunOnce(t.Context(), time.Time{})
		if err == nil || !strings.Contains(err.Error(), catalogID) || !strings.Contains(err.Error(), groupName(1)) {
			t.Errorf("the run said %v", err)
		}
		if n := len(d.delivered("file")); n != 10 {
			t.Errorf("%d calls of the group that can be read, want 10", n)
		}
		for _, p := range collector.Health().Problems {
			if p.Account == catalogID && p.Mend == "" {
				t.Errorf("a role that cannot be assumed, without how to mend it: %+v", p)
			}
		}
	})
}

func TestCloudWatchRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	for _, cfg := range []collect.CloudWatchConfig{
		{},
		{ARNs: []string{"API-Gateway-Execution-Logs_a1b2c3d4e5/prod"}},
		{ARNs: []string{"arn:aws:s3:::bucket"}},
		{ARNs: []string{"arn:aws:logs:eu-west-1:111122223333:log-group:*"}},
	} {
		if _, err := collect.NewCloudWatch(nil, cfg); err == nil {
			t.Errorf("NewCloudWatch takes %+v", cfg)
		}
	}
}
