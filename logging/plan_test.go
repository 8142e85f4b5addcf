package logging_test

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/logging"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// shop is a world with one API of each type.
func shop(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	r := w.region(one)
	r.AddRESTAPI(awssim.RESTAPI{ID: "rest", Name: "orders", Tags: map[string]string{"team": "orders"}, Stages: []awssim.Stage{
		{Name: "prod"}, {Name: "dev", Tags: map[string]string{"team": "lab"}},
	}})
	r.AddHTTPAPI(awssim.API{ID: "http", Name: "catalog", Stages: []awssim.Stage{{Name: "$default"}}})
	r.AddWebSocketAPI(awssim.API{ID: "chat", Name: "chat", Stages: []awssim.Stage{{Name: "live"}}})
	return w
}

func kindsOf(p *logging.Plan) []string {
	var out []string
	for _, c := range p.Changes {
		out = append(out, strings.TrimSpace(string(c.Kind)+" "+c.Subject+" "+c.Part))
	}
	return out
}

func TestPlanEnable(t *testing.T) {
	t.Parallel()
	httpOnly := []string{"group /aws/vendedlogs/apigateway/http/default", "access http/$default"}
	prod := []string{
		"role GatehouseAPIGatewayLogs", "account", "group /aws/vendedlogs/apigateway/rest/prod", "group API-Gateway-Execution-Logs_rest/prod",
		"execution rest/prod */*", "access rest/prod",
	}
	for name, test := range map[string]struct {
		set   func(o *logging.EnableOptions)
		world func(w *world)
		want  []string
		notes string
	}{
		"http": {
			set:  func(o *logging.EnableOptions) { o.Types = []transaction.APIType{transaction.HTTP} },
			want: httpOnly,
		},
		"http, one group for all": {
			set: func(o *logging.EnableOptions) {
				o.Types, o.HTTPGroup = []transaction.APIType{transaction.HTTP}, "all-http"
			},
			want: []string{"group all-http", "access http/$default"},
		},
		"http, group exists": {
			set: func(o *logging.EnableOptions) {
				o.Types, o.HTTPGroup, o.HTTPGroupExists = []transaction.APIType{transaction.HTTP}, "all-http", true
			},
			want: []string{"access http/$default"},
		},
		"one stage": {set: func(o *logging.EnableOptions) { o.APIs = []string{"rest/prod"} }, want: prod},
		"by name":   {set: func(o *logging.EnableOptions) { o.Names, o.Stages = []string{"ord*"}, []string{"p?od"} }, want: prod},
		"by tag of API": {set: func(o *logging.EnableOptions) {
			o.Tags, o.Stages = map[string]string{"team": "orders"}, []string{"prod"}
		}, want: prod},
		"by any tag":     {set: func(o *logging.EnableOptions) { o.Tags, o.Stages = map[string]string{"team": ""}, []string{"prod"} }, want: prod},
		"other account":  {set: func(o *logging.EnableOptions) { o.Accounts = []string{two} }},
		"other region":   {set: func(o *logging.EnableOptions) { o.Regions = []string{"us-east-1"} }},
		"tag of nothing": {set: func(o *logging.EnableOptions) { o.Tags = map[string]string{"team": "x"} }},
		"role and group are there": {
			set: func(o *logging.EnableOptions) { o.APIs = []string{"rest/prod"} },
			world: func(w *world) {
				w.region(one).SetLogRole("arn:aws:iam::" + one + ":role/Theirs")
				w.region(one).Logs().CreateGroup("API-Gateway-Execution-Logs_rest/prod")
			},
			want: []string{"group /aws/vendedlogs/apigateway/rest/prod", "execution rest/prod */*", "access rest/prod"},
		},
		"format of their own": {
			set: func(o *logging.EnableOptions) { o.Types = []transaction.APIType{transaction.HTTP} },
			world: func(w *world) {
				w.region(one).ChangeStage("http", "$default", func(st *awssim.Stage) {
					st.AccessLogARN, st.AccessFormat = "arn:aws:logs:eu-west-1:"+one+":log-group:theirs", "$context.status"
				})
			},
			notes: "names no request ID",
		},
		"format replaced": {
			set: func(o *logging.EnableOptions) {
				o.Types, o.ReplaceFormat = []transaction.APIType{transaction.HTTP}, true
			},
			world: func(w *world) {
				w.region(one).ChangeStage("http", "$default", func(st *awssim.Stage) {
					st.AccessLogARN, st.AccessFormat = "arn:aws:logs:eu-west-1:"+one+":log-group:theirs", "$context.status"
				})
			},
			want: []string{"access http/$default"},
		},
		"more than was asked for stays": {
			set: func(o *logging.EnableOptions) {
				o.Types, o.DataTrace = []transaction.APIType{transaction.WebSocket}, false
			},
			world: func(w *world) {
				w.region(one).ChangeStage("chat", "live", func(st *awssim.Stage) {
					st.LoggingLevel, st.DataTrace = "INFO", true
					st.AccessLogARN, st.AccessFormat = "arn:aws:logs:eu-west-1:"+one+":log-group:theirs", "$context.requestId"
				})
			},
			notes: "which stays",
		},
		"methods of their own": {
			set: func(o *logging.EnableOptions) { o.Types = []transaction.APIType{transaction.WebSocket} },
			world: func(w *world) {
				w.region(one).ChangeStage("chat", "live", func(st *awssim.Stage) {
					st.MethodSettings = map[string]awssim.MethodSetting{"send": {LoggingLevel: "ERROR"}, "quiet": {LoggingLevel: "INFO", DataTrace: true}}
				})
			},
			want: []string{
				"role GatehouseAPIGatewayLogs", "account", "group /aws/apigateway/chat/live", "group /aws/vendedlogs/apigateway/chat/live",
				"execution chat/live *", "execution chat/live send", "access chat/live",
			},
		},
		"delivery": {
			set: func(o *logging.EnableOptions) { o.APIs, o.Delivery = []string{"rest/prod"}, true },
			want: append(append(slices.Clone(prod[:2]), "group /aws/vendedlogs/apigateway-execution/rest/prod"),
				append(slices.Clone(prod[2:]), "delivery rest/prod")...),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := shop(t)
			if test.world != nil {
				test.world(w)
			}
			o := logging.DefaultEnable()
			test.set(&o)
			p, err := w.mustOpen(t).PlanEnable(t.Context(), &o)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, kindsOf(p)); diff != "" {
				t.Errorf("changes (-want +got):\n%s", diff)
			}
			notes, err := json.Marshal(p.Notes)
			if err != nil {
				t.Fatal(err)
			}
			if (test.notes == "") != (len(p.Notes) == 0) || !strings.Contains(string(notes), test.notes) {
				t.Errorf("notes: %s, want %q", notes, test.notes)
			}
		})
	}
}

// A role of somebody's own is used and not made.
func TestRoleOfTheirOwn(t *testing.T) {
	t.Parallel()
	w := shop(t)
	arn := w.sim.Account(one).AddRole(awssim.Role{
		Name: "Theirs", Allow: []string{"logs:*"},
		TrustPolicy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"apigateway.amazonaws.com"},"Action":"sts:AssumeRole"}]}`,
	})
	o := logging.DefaultEnable()
	o.Role = arn
	fine(t, w.enable(t, o))
	if got := w.region(one).LogRole(); got != arn {
		t.Errorf("role %q", got)
	}
	fine(t, w.undo(t, logging.Destroy, logging.UndoOptions{}))
	if _, ok := w.sim.Account(one).Role("Theirs"); !ok || w.region(one).LogRole() != "" {
		t.Error("the role must stay, and the account must have none, as before")
	}
}

// Groups are made with what was asked for, and a group of somebody else stays
// through a destroy.
func TestGroups(t *testing.T) {
	t.Parallel()
	w := shop(t)
	w.region(one).Logs().CreateGroup("/aws/vendedlogs/apigateway/rest/prod")
	o := logging.DefaultEnable()
	o.APIs, o.RetentionDays, o.KMSKey = []string{"rest"}, 7, "arn:aws:kms:eu-west-1:"+one+":key/k"
	p := w.enable(t, o)
	fine(t, p)
	again, err := w.mustOpen(t).PlanEnable(t.Context(), &o)
	if err != nil || len(again.Changes) > 0 {
		t.Errorf("again: %v, %v", kindsOf(again), err)
	}
	w.region(one).Logs().Put("API-Gateway-Execution-Logs_rest/prod", "s", awssim.LogEvent{Timestamp: time.Now().UnixMilli(), Message: "a line"})
	gone := w.undo(t, logging.Destroy, logging.UndoOptions{})
	fine(t, gone)
	if len(gone.Notes) != 1 || !strings.Contains(gone.Notes[0].Text, "32 bytes, are deleted") {
		t.Errorf("the plan does not tell of the logs that go: %+v", gone.Notes)
	}
	if diff := cmp.Diff([]string{"/aws/vendedlogs/apigateway/rest/prod"}, w.region(one).Logs().Groups()); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

// Destroying with force what lost Gatehouse's mark would delete somebody's logs.
func TestForceNeverDeletesWhatIsNotMarked(t *testing.T) {
	t.Parallel()
	w := shop(t)
	o := logging.DefaultEnable()
	o.APIs = []string{"rest/prod"}
	fine(t, w.enable(t, o))
	const name = "/aws/vendedlogs/apigateway/rest/prod"
	w.region(one).Logs().DeleteGroup(name)
	w.region(one).Logs().CreateGroup(name)
	p := w.undo(t, logging.Destroy, logging.UndoOptions{Force: true})
	if !slices.Contains(w.region(one).Logs().Groups(), name) {
		t.Error("somebody's group was deleted")
	}
	if i := slices.IndexFunc(p.Changes, func(c *logging.Change) bool { return c.Subject == name }); i < 0 || p.Changes[i].State != logging.Left {
		t.Errorf("the group is not told as left: %v", kindsOf(p))
	}
}

// A change that AWS refuses hides no other, and what waits for it is not tried.
func TestRefused(t *testing.T) {
	t.Parallel()
	w := shop(t)
	w.sim.Inject(awssim.Fault{Kind: awssim.Denied, Operation: "CreateLogGroup", Group: "API-Gateway-Execution-Logs_rest/prod"})
	p := w.enable(t, logging.DefaultEnable())
	states := map[string]logging.State{}
	for _, c := range p.Changes {
		states[strings.TrimSpace(string(c.Kind)+" "+c.Subject+" "+c.Part)] = c.State
	}
	for what, want := range map[string]logging.State{
		"group API-Gateway-Execution-Logs_rest/prod": logging.Failed, "execution rest/prod */*": logging.Skipped,
		"execution rest/dev */*": logging.Done, "access http/$default": logging.Done, "execution chat/live *": logging.Done,
	} {
		if states[what] != want {
			t.Errorf("%s is %q, want %q", what, states[what], want)
		}
	}
	w.sim.ClearFaults()
	fine(t, w.enable(t, logging.DefaultEnable()))
	if st, _ := w.region(one).Stage("rest", "prod"); st.LoggingLevel != "INFO" {
		t.Errorf("the next run did not go on: %+v", st)
	}
}

// Stages and APIs that are gone leave no record that fails for ever.
func TestGone(t *testing.T) {
	t.Parallel()
	w := shop(t)
	fine(t, w.enable(t, logging.DefaultEnable()))
	w.region(one).RemoveAPI("rest")
	w.region(one).RemoveAPI("http")
	fine(t, w.undo(t, logging.Destroy, logging.UndoOptions{}))
	left, err := w.store.LoggingRecords(t.Context())
	if err != nil || len(left) > 0 {
		t.Errorf("records that are left: %v, %v", left, err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for want, set := range map[string]func(o *logging.EnableOptions){
		"retention 2":    func(o *logging.EnableOptions) { o.RetentionDays = 2 },
		"KMS key":        func(o *logging.EnableOptions) { o.KMSKey = "alias/x" },
		"role":           func(o *logging.EnableOptions) { o.Role = "a b" },
		"needs its name": func(o *logging.EnableOptions) { o.HTTPGroupExists = true },
		"512 letters":    func(o *logging.EnableOptions) { o.HTTPGroup = "a:b" },
		"is not closed":  func(o *logging.EnableOptions) { o.Names = []string{"[a"} },
	} {
		o := logging.DefaultEnable()
		set(&o)
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// The formats are within API Gateway's limits, and the collector can read them.
func TestFormatsAreRead(t *testing.T) {
	t.Parallel()
	for _, kind := range []transaction.APIType{transaction.REST, transaction.HTTP, transaction.WebSocket} {
		f := logging.Format(kind)
		if _, err := transaction.CompileAccessFormat(f); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
		if len(f) > 3072 || strings.Contains(f, "\n") || !json.Valid([]byte(f)) || !strings.Contains(f, "$context.requestId") {
			t.Errorf("%s: %d bytes: %s", kind, len(f), f)
		}
	}
}

func TestEstimate(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("prices.json")
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		Source  string             `json:"source"`
		AsOf    string             `json:"as_of"`
		Regions map[string]float64 `json:"usd_per_gb"`
	}
	if err := json.Unmarshal(raw, &list); err != nil || list.Source == "" || list.AsOf == "" || list.Regions[here] <= 0 {
		t.Fatalf("prices.json: %v %+v", err, list)
	}
	w := shop(t)
	o := logging.DefaultEnable()
	p, err := w.mustOpen(t).PlanEnable(t.Context(), &o)
	if err != nil {
		t.Fatal(err)
	}
	if e := p.Estimate; e == nil || e.Stages != 4 || e.Known != 0 || e.USDPerMillion < 2 || e.USDPerMillion > 5 || len(e.Assumptions) < 3 {
		t.Errorf("estimate: %+v", e)
	}
	rates := map[string]float64{"http": 10, "rest": 2}
	sw, err := logging.New(t.Context(), w, w.snapshot(t), logging.Options{
		Journal: w.store, CallRate: func(_ context.Context, _, _, api, _ string) (float64, bool) {
			r, ok := rates[api]
			return r, ok
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if p, err = sw.PlanEnable(t.Context(), &o); err != nil || p.Estimate.Known != 3 || p.Estimate.CallsPerSecond != 14 || p.Estimate.USDMonth < 1 {
		t.Errorf("estimate with rates: %+v, %v", p.Estimate, err)
	}
	fine(t, w.enable(t, o))
	if p, err = w.mustOpen(t).PlanEnable(t.Context(), &o); err != nil || p.Estimate != nil {
		t.Errorf("nothing is switched on: %+v, %v", p.Estimate, err)
	}
}
