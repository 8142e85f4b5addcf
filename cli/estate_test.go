package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// savedEstate answers the estate's commands from a snapshot.
type savedEstate struct {
	snapshot *estate.Snapshot
	changes  []estate.Change
	err      error
}

func (e savedEstate) Discover(_ context.Context, _ *config.Config, _ bool, progress func(estate.Progress)) (*estate.Snapshot, error) {
	progress(estate.Progress{Regions: 2})
	progress(estate.Progress{Regions: 2, RegionsDone: 2, APIs: 3, Faults: 1})
	return e.snapshot, e.err
}

func (e savedEstate) Estate(context.Context, *config.Config) (*estate.Snapshot, error) {
	return e.snapshot, e.err
}

func (e savedEstate) EstateHistory(_ context.Context, _ *config.Config, q estate.HistoryQuery) (estate.HistoryPage, error) {
	page := estate.HistoryPage{Changes: []estate.Change{}}
	for _, c := range e.changes {
		if q.Kind == "" || q.Kind == c.Kind {
			page.Changes = append(page.Changes, c)
		}
	}
	return page, e.err
}

func runEstate(t *testing.T, rt estateRuntime, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	s := Streams{In: strings.NewReader(""), Out: &out, Err: &errs}
	cmd := newEstate(rt, &s)
	cmd.SetArgs(append(args, "--state", "file:"+t.TempDir()+"/state.db"))
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err = cmd.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

func sampleEstate() *estate.Snapshot {
	denied := func(region string) estate.Region {
		return estate.Region{Name: region, Errors: []estate.Fault{{
			What: "apigateway:GetRestApis", Error: "AccessDeniedException: no",
			Mend: "allow apigateway:GET on arn:aws:apigateway:" + region + "::/restapis to arn:aws:iam::333333333333:role/Collector",
		}}}
	}
	return &estate.Snapshot{Accounts: []estate.Account{
		{ID: "222222222222", Name: "orders", Status: "ACTIVE", Regions: []estate.Region{{
			Name: "eu-west-1",
			APIs: []estate.API{
				{
					ID: "ordersapi1", Name: "orders", Type: transaction.REST, EndpointType: "REGIONAL",
					Stages: []estate.Stage{
						{Name: "prod", LoggingLevel: "INFO", DataTrace: true, AccessGroup: "orders-access", AccessLogARN: "arn:aws:logs:eu-west-1:222222222222:log-group:orders-access"},
						{Name: "dev", LoggingLevel: "OFF"},
					},
					Routes: []estate.Route{{Method: "GET", Path: "/orders/{id}", Authorization: "AWS_IAM", APIKeyRequired: true}},
				},
				{ID: "chatapi001", Name: "evil\x1b[2Jname", Type: transaction.WebSocket, Routes: []estate.Route{{Path: "$connect", Authorization: "NONE"}}},
			},
			LogGroups: []estate.LogGroup{{Name: "orders-access", Created: time.Date(2026, 3, 4, 0, 0, 0, 0, time.UTC), RetentionDays: 30, Bytes: 3 << 20}},
		}}},
		{ID: "333333333333", Name: "catalog", Status: "ACTIVE", Regions: []estate.Region{denied("eu-west-1"), denied("us-east-1")}},
		{ID: "444444444444", Name: "old", Status: "SUSPENDED", Note: "the account is SUSPENDED and is not read"},
		{ID: "555555555555", Name: "shop", Error: "role arn:aws:iam::555555555555:role/Collector: AccessDenied: no", Mend: "the trust policy must have it"},
	}}
}

func TestEstateDiscover(t *testing.T) {
	t.Parallel()
	stdout, stderr, err := runEstate(t, savedEstate{snapshot: sampleEstate()}, "discover")
	if err != nil {
		t.Fatalf("partial failures are not fatal: %v", err)
	}
	want := `ACCOUNT       REGIONS  REST  HTTP  WEBSOCKET  ROUTES  STAGES  NOT LOGGED  GROUPS  FAILED  NAME
222222222222        1     1     0          1       2       2           1       1       0  orders
333333333333        2     0     0          0       0       0           0       0       2  catalog
444444444444        0     0     0          0       0       0           0       0       0  old (SUSPENDED)
555555555555        0     0     0          0       0       0           0       0       1  shop
total               3     1     0          1       2       2           1       1       3  4 accounts
`
	if diff := cmp.Diff(want, stdout); diff != "" {
		t.Error(diff)
	}
	wantErr := `0/2 regions, 0 APIs
2/2 regions, 3 APIs, 1 failures
note: account 444444444444 old: the account is SUSPENDED and is not read

not everything could be read:
  333333333333 catalog eu-west-1, 333333333333 catalog us-east-1
    apigateway:GetRestApis: AccessDeniedException: no
    hint: allow apigateway:GET on arn:aws:apigateway:*::/restapis to arn:aws:iam::*:role/Collector
  555555555555 shop
    role arn:aws:iam::555555555555:role/Collector: AccessDenied: no
    hint: the trust policy must have it
`
	// The rate depends on the clock.
	lines := strings.Split(stderr, "\n")
	for i, line := range lines {
		if before, after, ok := strings.Cut(line, "/s, "); ok {
			head, _, _ := strings.Cut(before, " regions")
			lines[i] = head + " regions, " + after
		}
	}
	if diff := cmp.Diff(wantErr, strings.Join(lines, "\n")); diff != "" {
		t.Error(diff)
	}
}

func TestEstateDiscoverOfNothing(t *testing.T) {
	t.Parallel()
	failed := withHint(errors.New("no account can be read"), "log in")
	_, _, err := runEstate(t, savedEstate{snapshot: &estate.Snapshot{}, err: failed}, "discover")
	if !errors.Is(err, failed) || hintOf(err) != "log in" {
		t.Errorf("%v, hint %q", err, hintOf(err))
	}
}

func TestEstateList(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{
		"apis": `ACCOUNT       REGION     TYPE       ID          ENDPOINT  STAGES  ROUTES  NAME
222222222222  eu-west-1  REST       ordersapi1  REGIONAL       2       1  orders
222222222222  eu-west-1  WEBSOCKET  chatapi001  -              0       1  evil?[2Jname
`,
		"stages": `ACCOUNT       REGION     API         TYPE  SHOWS  LEVEL  TRACE  STAGE  ACCESS LOG
222222222222  eu-west-1  ordersapi1  REST  full   INFO   on     prod   orders-access
222222222222  eu-west-1  ordersapi1  REST  none   OFF    off    dev    -
`,
		"routes": `ACCOUNT       REGION     API         METHOD  AUTHORIZATION  KEY  ROUTE
222222222222  eu-west-1  ordersapi1  GET     AWS_IAM        yes  /orders/{id}
222222222222  eu-west-1  chatapi001  -       NONE           no   $connect
`,
		"log-groups": `ACCOUNT       REGION     CREATED     KEPT FOR  SIZE     NAME
222222222222  eu-west-1  2026-03-04  30 days   3.0 MiB  orders-access
`,
		"regions": `ACCOUNT       REGION     REST  HTTP  WEBSOCKET  ROUTES  STAGES  NOT LOGGED  GROUPS  FAILED
222222222222  eu-west-1     1     0          1       2       2           1       1       0
333333333333  eu-west-1     0     0          0       0       0           0       0       1
333333333333  us-east-1     0     0          0       0       0           0       0       1
`,
	} {
		stdout, _, err := runEstate(t, savedEstate{snapshot: sampleEstate()}, "list", kind)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, stdout); diff != "" {
			t.Errorf("%s: %s", kind, diff)
		}
		for line := range strings.SplitSeq(stdout, "\n") {
			if len(line) > 100 {
				t.Errorf("%s: %d columns: %s", kind, len(line), line)
			}
		}
	}
}

func TestEstateListJSON(t *testing.T) {
	t.Parallel()
	for _, kind := range estateKinds {
		for name, s := range map[string]*estate.Snapshot{"full": sampleEstate(), "empty": {}} {
			stdout, _, err := runEstate(t, savedEstate{snapshot: s}, "list", kind, "-o", "json")
			if err != nil {
				t.Fatal(err)
			}
			var list []map[string]any
			if err := json.Unmarshal([]byte(stdout), &list); err != nil || list == nil {
				t.Errorf("%s of %s: %v: %s", kind, name, err, stdout)
			}
			switch {
			case name == "empty" || kind == "accounts":
				continue
			case kind == "domains" || kind == "usage-plans" || kind == "clusters" || kind == "web-acls" || kind == "functions":
				continue // see TestEstateListShared
			}
			if list[0]["account"] != "222222222222" {
				t.Errorf("%s: %v", kind, list[0])
			}
			if api := list[0]["api_id"]; (kind == "stages" || kind == "routes") && api != "ordersapi1" {
				t.Errorf("%s: %v", kind, list[0])
			}
		}
	}
}

func TestEstateUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"list", "pets"}, {"list", "apis", "stages"}, {"list", "-o", "xml"}, {"discover", "now"}} {
		_, _, err := runEstate(t, savedEstate{snapshot: sampleEstate()}, args...)
		var usage *UsageError
		if !errors.As(err, &usage) || hintOf(err) == "" {
			t.Errorf("%v: %v, hint %q", args, err, hintOf(err))
		}
	}
	if _, _, err := runEstate(t, savedEstate{}, "list"); err == nil || !strings.Contains(hintOf(err), "estate discover") {
		t.Errorf("before the first discovery: %v, hint %q", err, hintOf(err))
	}
	stdout, _, err := runEstate(t, savedEstate{snapshot: &estate.Snapshot{}}, "list", "log-groups")
	if err != nil || stdout != "no log groups\n" {
		t.Errorf("an empty estate: %q %v", stdout, err)
	}
}

func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	p := newProgress(&out, "regions")
	p.terminal, p.now = true, func() time.Time { return now }
	p.show(0, 10, "")
	now = now.Add(10 * time.Millisecond)
	p.show(1, 10, "too soon to be drawn")
	now = now.Add(2 * time.Second)
	p.show(5, 10, "7 APIs")
	p.show(10, 10, "")
	p.end()
	want := "\r[........................] 0/10 regions" +
		"\r[############............] 5/10 regions, 2.5/s, 2s left, 7 APIs" +
		"\r[########################] 10/10 regions, 5.0/s                \n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}
