package logging_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/logging"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// shopStages are the stages of shop.
var shopStages = []where{
	{one, "rest", "prod", transaction.REST},
	{one, "rest", "dev", transaction.REST},
	{one, "http", "$default", transaction.HTTP},
	{one, "chat", "live", transaction.WebSocket},
}

// What one selector leaves out no other brings back: any choice means the stages that
// each of its selectors means alone.
func TestChoicesGoTogether(t *testing.T) {
	t.Parallel()
	w := shop(t)
	w.region(two).AddRESTAPI(awssim.RESTAPI{ID: "rest2", Name: "orders", Stages: []awssim.Stage{{Name: "prod", Tags: map[string]string{"team": "orders"}}}})
	sw := w.mustOpen(t)
	meant := func(t interface{ Fatal(...any) }, c logging.Choice) map[string]bool {
		s, err := sw.Status(&c)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]bool{}
		for i := range s.Stages {
			out[s.Stages[i].Account+"/"+s.Stages[i].Region+"/"+s.Stages[i].API+"/"+s.Stages[i].Stage] = true
		}
		return out
	}
	if all := meant(t, logging.Choice{}); len(all) != 5 {
		t.Fatalf("%v", all)
	}
	some := func(of ...string) *rapid.Generator[[]string] {
		return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 0, 2, rapid.ID[string])
	}
	rapid.Check(t, func(rt *rapid.T) {
		var whole logging.Choice
		var parts []logging.Choice
		add := func(set func(c *logging.Choice)) {
			set(&whole)
			var alone logging.Choice
			set(&alone)
			parts = append(parts, alone)
		}
		accounts := some(one, two, "999999999999").Draw(rt, "accounts")
		add(func(c *logging.Choice) { c.Accounts = accounts })
		regions := some(here, "us-east-1").Draw(rt, "regions")
		add(func(c *logging.Choice) { c.Regions = regions })
		var kinds []transaction.APIType
		for _, k := range some("REST", "HTTP", "WEBSOCKET").Draw(rt, "types") {
			kinds = append(kinds, transaction.APIType(k))
		}
		add(func(c *logging.Choice) { c.Types = kinds })
		apis := some("rest", "rest/prod", "rest2/prod", "http", "chat/live", "nothing", "rest/", "/prod").Draw(rt, "apis")
		add(func(c *logging.Choice) { c.APIs = apis })
		names := some("orders", "ord*", "*", "?hat", "[a-c]*", "nothing").Draw(rt, "names")
		add(func(c *logging.Choice) { c.Names = names })
		stages := some("prod", "p?od", "$default", "*", "nothing").Draw(rt, "stages")
		add(func(c *logging.Choice) { c.Stages = stages })
		tags := rapid.MapOfN(rapid.SampledFrom([]string{"team", "other"}), rapid.SampledFrom([]string{"", "orders", "lab"}), 0, 2).Draw(rt, "tags")
		add(func(c *logging.Choice) { c.Tags = tags })
		places := some(one, one+"/"+here, one+"/"+here+"/rest", one+"/"+here+"/rest/prod", two+"/"+here+"/rest2/prod", one+"/us-east-1", one[:5], one+"/"+here+"/res").Draw(rt, "places")
		add(func(c *logging.Choice) { c.Places = places })

		want := meant(rt, logging.Choice{})
		for _, alone := range parts {
			m := meant(rt, alone)
			for k := range want {
				if !m[k] {
					delete(want, k)
				}
			}
		}
		if diff := cmp.Diff(want, meant(rt, whole)); diff != "" {
			rt.Fatalf("%+v (-want +got):\n%s", whole, diff)
		}
		// A plan means the stages that the status shows.
		o := logging.DefaultEnable()
		o.Choice = whole
		p, err := sw.PlanEnable(context.Background(), &o)
		if err != nil {
			rt.Fatal(err)
		}
		if p.Stages != len(want) {
			rt.Fatalf("%+v: a plan for %d stages, want %d", whole, p.Stages, len(want))
		}
	})
}

// What somebody does between a plan and its run is never overwritten: it is told, and
// the rest of the plan is done.
func TestBetweenPlanAndRun(t *testing.T) {
	t.Parallel()
	theirs := "arn:aws:logs:" + here + ":" + one + ":log-group:theirs"
	for name, test := range map[string]struct {
		meddle func(w *world)
		change string // kind and subject
		want   logging.State
		why    string
	}{
		"level": {
			func(w *world) {
				w.region(one).ChangeStage("rest", "prod", func(st *awssim.Stage) { st.LoggingLevel = "ERROR" })
			}, "execution rest/prod", logging.Left, "somebody changed it since",
		},
		"access logs": {
			func(w *world) {
				w.region(one).ChangeStage("http", "$default", func(st *awssim.Stage) {
					st.AccessLogARN, st.AccessFormat = theirs, "$context.requestId by hand"
				})
			}, "access http/$default", logging.Left, "somebody changed it since",
		},
		"the same, by hand": {
			func(w *world) {
				w.region(one).ChangeStage("rest", "prod", func(st *awssim.Stage) { st.LoggingLevel, st.DataTrace = "INFO", true })
			}, "execution rest/prod", logging.Unchanged, "",
		},
		"stage deleted": {
			func(w *world) { w.region(one).RemoveAPI("rest") }, "execution rest/prod", logging.Failed, "does not exist any more",
		},
		"log group made": {
			func(w *world) { w.region(one).Logs().CreateGroup("API-Gateway-Execution-Logs_rest/prod") },
			"group API-Gateway-Execution-Logs_rest/prod", logging.Unchanged, "stays as it is",
		},
		"role named": {
			func(w *world) { w.region(one).SetLogRole("arn:aws:iam::" + one + ":role/Theirs") },
			"account", logging.Unchanged, "stays as it is",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := shop(t)
			sw := w.mustOpen(t)
			o := logging.DefaultEnable()
			p, err := sw.PlanEnable(t.Context(), &o)
			if err != nil {
				t.Fatal(err)
			}
			test.meddle(w)
			meddled := w.facts(shopStages)
			if err := sw.Apply(t.Context(), p, nil); err != nil {
				t.Fatal(err)
			}
			found := false
			for _, c := range p.Changes {
				if strings.TrimSpace(string(c.Kind)+" "+c.Subject) != test.change {
					continue
				}
				found = true
				if c.State != test.want || !strings.Contains(c.Why, test.why) {
					t.Errorf("%s is %s: %s", test.change, c.State, c.Why)
				}
			}
			if !found {
				t.Errorf("no such change: %v", kindsOf(p))
			}
			if st, _ := w.region(one).Stage("chat", "live"); st.LoggingLevel != "INFO" {
				t.Error("the rest of the plan was not done")
			}
			for _, key := range []string{one + " rest/prod *", one + " http/$default access"} {
				if v := meddled[key]; strings.Contains(v, "hand") || strings.Contains(v, "ERROR") {
					if got := w.facts(shopStages)[key]; got != v {
						t.Errorf("%s was %q, set by hand, and is %q", key, v, got)
					}
				}
			}
			// All goes back to what people last wanted.
			w.undo(t, logging.Destroy, logging.UndoOptions{})
			if diff := cmp.Diff(meddled, w.facts(shopStages)); diff != "" {
				t.Errorf("after a destroy (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever AWS does in the middle of a run, the next run goes on, and a destroy puts
// everything back.
func TestWeather(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string][]awssim.Fault{
		"stages are throttled for minutes":         {{Kind: awssim.Throttle, Operation: "UpdateStage"}},
		"the account's role is throttled":          {{Kind: awssim.Throttle, Operation: "UpdateAccount"}},
		"everything is throttled after a while":    {{Kind: awssim.Throttle, After: 8}},
		"one account may not":                      {{Kind: awssim.Denied, Account: two, Operation: "UpdateStage"}, {Kind: awssim.Denied, Account: two, Operation: "CreateLogGroup"}},
		"one account is suspended in the middle":   {{Kind: awssim.Denied, Account: two, After: 3}},
		"credentials end in the middle":            {{Kind: awssim.ExpireCredentials, Account: one, After: 6, Times: 1}},
		"API Gateway fails":                        {{Kind: awssim.Status500, Service: "apigateway", After: 5}},
		"answers of changes are lost":              {{Kind: awssim.CutConnection, Operation: "UpdateStage"}, {Kind: awssim.CutConnection, Operation: "UpdateAccount"}, {Kind: awssim.CutConnection, Operation: "CreateLogGroup"}},
		"reading back is refused":                  {{Kind: awssim.Denied, Operation: "GetStage", After: 3}},
		"every third call fails in some other way": {{Kind: awssim.Status500, Every: 3}, {Kind: awssim.Throttle, Every: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := shop(t)
			role := w.sim.Account(two).AddRole(awssim.Role{
				Name: "Theirs", Allow: []string{"logs:*"},
				TrustPolicy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"apigateway.amazonaws.com"},"Action":"sts:AssumeRole"}]}`,
			})
			w.region(two).SetLogRole(role)
			const theirs = "API-Gateway-Execution-Logs_rest2/prod"
			w.region(two).Logs().CreateGroup(theirs)
			w.region(two).AddRESTAPI(awssim.RESTAPI{ID: "rest2", Name: "orders", Stages: []awssim.Stage{{Name: "prod", LoggingLevel: "ERROR", MethodSettings: map[string]awssim.MethodSetting{"~1pets/GET": {LoggingLevel: "OFF"}}}}})
			stages := append(slices.Clone(shopStages), where{two, "rest2", "prod", transaction.REST})
			before := w.facts(stages)
			for _, command := range []logging.Command{logging.Enable, logging.Destroy} {
				sw := w.mustOpen(t)
				var p *logging.Plan
				var err error
				if command == logging.Enable {
					o := logging.DefaultEnable()
					o.Delivery = true
					p, err = sw.PlanEnable(t.Context(), &o)
				} else {
					p, err = sw.PlanUndo(command, &logging.UndoOptions{})
				}
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range faults {
					w.sim.Inject(f)
				}
				if err := sw.Apply(t.Context(), p, nil); err != nil {
					t.Fatal(err)
				}
				if p.Count(logging.Planned) > 0 {
					t.Errorf("%s: %d changes were not tried", command, p.Count(logging.Planned))
				}
				for _, c := range p.Changes {
					if (c.State == logging.Failed || c.State == logging.Skipped) && c.Why == "" {
						t.Errorf("%s %+v is %s and nobody knows why", command, c.Key, c.State)
					}
				}
				w.sim.ClearFaults()
				for _, id := range []string{one, two} { // a session that ended is taken again
					w.renew(id)
				}
				if command == logging.Enable {
					o := logging.DefaultEnable()
					o.Delivery = true
					fine(t, w.enable(t, o))
					for _, at := range stages {
						if st, _ := w.region(at.account).Stage(at.api, at.stage); st.AccessLogARN == "" || at.kind != transaction.HTTP && st.LoggingLevel != "INFO" {
							t.Errorf("the next run did not go on at %s/%s: %+v", at.api, at.stage, st)
						}
					}
				}
			}
			fine(t, w.undo(t, logging.Destroy, logging.UndoOptions{}))
			if diff := cmp.Diff(before, w.facts(stages)); diff != "" {
				t.Errorf("after a destroy (-want +got):\n%s", diff)
			}
			if left := w.region(one).Logs().Groups(); len(left) > 0 || w.region(one).LogRole() != "" {
				t.Errorf("account %s keeps %v and %q", one, left, w.region(one).LogRole())
			}
			if left := w.region(two).Logs().Groups(); !slices.Equal(left, []string{theirs}) || w.region(two).LogRole() != role {
				t.Errorf("account %s has %v and %q", two, left, w.region(two).LogRole())
			}
			for _, id := range []string{one, two} {
				if _, ok := w.sim.Account(id).Role(logging.DefaultRole); ok {
					t.Errorf("account %s keeps the role", id)
				}
			}
			if left, err := w.store.LoggingRecords(t.Context()); err != nil || len(left) > 0 {
				t.Errorf("records are left: %v, %v", left, err)
			}
		})
	}
}

// Ctrl-C at any moment leaves what the next run finishes, and what a destroy undoes.
func TestInterruptedByHand(t *testing.T) {
	t.Parallel()
	for after := 1; after < 70; after += 2 {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			t.Parallel()
			w := shop(t)
			before := w.facts(shopStages)
			for _, command := range []logging.Command{logging.Enable, logging.Destroy} {
				ctx, cancel := context.WithCancel(t.Context())
				sw := w.mustOpen(t)
				request := logging.Request{Command: command, EnableOptions: logging.DefaultEnable()}
				request.Delivery = true
				p, err := sw.Plan(ctx, &request)
				if err != nil {
					t.Fatal(err)
				}
				w.cancelAfter(after, cancel)
				_ = sw.Apply(ctx, p, nil) // that it ended early is what is tried
				w.cancelAfter(0, nil)
				cancel()
				// The journal tells how it ended: a run that began is never left open by
				// Ctrl-C.
				lines, err := w.store.LoggingRuns(t.Context(), 1)
				if err != nil || len(lines) > 0 && lines[0].Outcome == logging.Intended || len(lines) == 0 && p.Count(logging.Planned) < len(p.Changes) {
					t.Errorf("%s: the last line of the journal is %+v, %v", command, lines, err)
				}
				if command == logging.Enable {
					o := logging.DefaultEnable()
					o.Delivery = true
					fine(t, w.enable(t, o))
				}
			}
			fine(t, w.undo(t, logging.Destroy, logging.UndoOptions{}))
			if diff := cmp.Diff(before, w.facts(shopStages)); diff != "" {
				t.Errorf("after a destroy (-want +got):\n%s", diff)
			}
			if left := w.region(one).Logs().Groups(); len(left) > 0 {
				t.Errorf("groups are left: %v", left)
			}
		})
	}
}

// What an attempt that was interrupted made is taken on by the next, also where that
// asks for something else.
func TestInterruptedGroupIsAskedForOtherwise(t *testing.T) {
	t.Parallel()
	key := "arn:aws:kms:" + here + ":" + one + ":key/k"
	for name, test := range map[string]struct {
		first, then func(o *logging.EnableOptions)
		note        string
	}{
		"for ever":      {func(*logging.EnableOptions) {}, func(o *logging.EnableOptions) { o.RetentionDays = 0 }, "30 days"},
		"shorter":       {func(*logging.EnableOptions) {}, func(o *logging.EnableOptions) { o.RetentionDays = 7 }, ""},
		"without a key": {func(o *logging.EnableOptions) { o.KMSKey = key }, func(*logging.EnableOptions) {}, key},
		"with a key":    {func(*logging.EnableOptions) {}, func(o *logging.EnableOptions) { o.KMSKey = key }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			told := false
			for after := 1; ; after++ {
				w := shop(t)
				o := logging.DefaultEnable()
				o.APIs = []string{"http"}
				test.first(&o)
				sw := w.mustOpen(t)
				p, err := sw.PlanEnable(t.Context(), &o)
				if err != nil {
					t.Fatal(err)
				}
				w.die(after, after%2 == 0)
				_ = sw.Apply(t.Context(), p, nil) // it dies
				w.die(-1, false)
				if p.Count(logging.Done) == len(p.Changes) {
					if told != (test.note != "") {
						t.Errorf("that a group keeps what it has was told: %t", told)
					}
					return // no earlier moment is left to die in
				}
				o = logging.DefaultEnable()
				o.APIs = []string{"http"}
				test.then(&o)
				second := w.enable(t, o)
				fine(t, second)
				for _, c := range second.Changes {
					if c.Kind == logging.KindGroup && c.Why != "" && (test.note == "" || !strings.Contains(c.Why, test.note)) {
						t.Errorf("after %d: %s", after, c.Why)
					}
					told = told || c.Kind == logging.KindGroup && c.Why != ""
				}
				fine(t, w.undo(t, logging.Destroy, logging.UndoOptions{}))
				if left := w.region(one).Logs().Groups(); len(left) > 0 {
					t.Errorf("after %d: groups are left: %v", after, left)
				}
			}
		})
	}
}

// Two Gatehouses with states of their own do not undo each other's work.
func TestTwoGatehouses(t *testing.T) {
	t.Parallel()
	w := shop(t)
	other, err := sqlite.Open(t.Context(), "sqlite::memory:", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	mine := w.store
	before := w.facts(shopStages)

	quiet := logging.DefaultEnable()
	quiet.DataTrace = false
	fine(t, w.enable(t, quiet))
	enabled := w.facts(shopStages)
	w.store = other
	fine(t, w.enable(t, logging.DefaultEnable())) // wants data trace too
	both := w.facts(shopStages)
	groups := w.region(one).Logs().Groups()

	// The first one's settings are the second's to put back: they stay.
	w.store = mine
	p := w.undo(t, logging.Destroy, logging.UndoOptions{})
	for _, c := range p.Changes {
		if c.Kind == logging.KindExecution && (c.State != logging.Left || !strings.Contains(c.Why, "somebody changed it since")) {
			t.Errorf("%+v is %s: %s", c.Key, c.State, c.Why)
		}
	}
	now := w.facts(shopStages)
	for _, at := range shopStages {
		if at.kind == transaction.HTTP {
			continue
		}
		name := at.account + " " + at.api + "/" + at.stage + " *"
		if now[name] != both[name] {
			t.Errorf("%s: %q, and was %q", name, now[name], both[name])
		}
		if g := "API-Gateway-Execution-Logs_" + at.api + "/" + at.stage; at.kind == transaction.REST && !slices.Contains(w.region(one).Logs().Groups(), g) {
			t.Errorf("%s was deleted while the stage writes to it; there were %v", g, groups)
		}
	}
	// Once the second is gone the first gets on.
	w.store = other
	fine(t, w.undo(t, logging.Destroy, logging.UndoOptions{}))
	for _, at := range shopStages {
		name := at.account + " " + at.api + "/" + at.stage + " *"
		if got := w.facts(shopStages)[name]; got != enabled[name] {
			t.Errorf("%s: %q, and the first had set %q", name, got, enabled[name])
		}
	}
	w.store = mine
	fine(t, w.undo(t, logging.Destroy, logging.UndoOptions{}))
	if diff := cmp.Diff(before, w.facts(shopStages)); diff != "" {
		t.Errorf("after both (-want +got):\n%s", diff)
	}
	if left := w.region(one).Logs().Groups(); len(left) > 0 || w.region(one).LogRole() != "" {
		t.Errorf("left are %v and the role %q", left, w.region(one).LogRole())
	}
}

// A log group of a class that cannot be read by FilterLogEvents keeps its class; the
// plan says what that means.
func TestGroupOfAnotherClass(t *testing.T) {
	t.Parallel()
	w := shop(t)
	logs := cloudwatchlogs.NewFromConfig(w.Config(account.Target{Account: one}, here))
	const name = "API-Gateway-Execution-Logs_rest/prod"
	if _, err := logs.CreateLogGroup(t.Context(), &cloudwatchlogs.CreateLogGroupInput{LogGroupName: aws.String(name), LogGroupClass: types.LogGroupClassInfrequentAccess}); err != nil {
		t.Fatal(err)
	}
	o := logging.DefaultEnable()
	o.APIs = []string{"rest/prod"}
	p := w.enable(t, o)
	fine(t, p)
	if len(p.Notes) != 1 || p.Notes[0].Subject != name || !strings.Contains(p.Notes[0].Text, "INFREQUENT_ACCESS") {
		t.Errorf("notes: %+v", p.Notes)
	}
	again, err := w.mustOpen(t).PlanEnable(t.Context(), &o)
	if err != nil || len(again.Changes) > 0 || len(again.Notes) != 1 {
		t.Errorf("again: %v, %+v, %v", kindsOf(again), again.Notes, err)
	}
	fine(t, w.undo(t, logging.Destroy, logging.UndoOptions{}))
	if diff := cmp.Diff([]string{name}, w.region(one).Logs().Groups()); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
}

// A canary's calls are logged to groups of its own, of which the plan tells.
func TestCanary(t *testing.T) {
	t.Parallel()
	w := shop(t)
	w.region(one).ChangeStage("rest", "prod", func(st *awssim.Stage) {
		st.More = awssim.Object{"canarySettings": awssim.Object{"deploymentId": "dep001", "percentTraffic": 10.0}}
	})
	o := logging.DefaultEnable()
	p := w.enable(t, o)
	fine(t, p)
	if len(p.Notes) != 1 || p.Notes[0].Subject != "rest/prod" || !strings.Contains(p.Notes[0].Text, "/Canary at the end") {
		t.Errorf("notes: %+v", p.Notes)
	}
	again, err := w.mustOpen(t).PlanEnable(t.Context(), &o)
	if err != nil || len(again.Changes)+len(again.Notes) > 0 {
		t.Errorf("again: %v, %+v, %v", kindsOf(again), again.Notes, err)
	}
}

// A name that fits nothing is told: whoever mistyped it must not think that it logs.
func TestUnknownNamesAreTold(t *testing.T) {
	t.Parallel()
	w := shop(t)
	sw := w.mustOpen(t)
	o := logging.DefaultEnable()
	o.Accounts, o.Regions, o.APIs = []string{one, "999999999999"}, []string{here, "eu-nowhere-1"}, []string{"rest/prod", "rest/prd", "nothing"}
	p, err := sw.PlanEnable(t.Context(), &o)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, f := range p.Failures {
		if f.Mend == "" {
			t.Errorf("%+v does not say how to mend it", f)
		}
		told = append(told, f.Account+f.Region)
	}
	for _, n := range p.Notes {
		told = append(told, n.Subject)
	}
	if diff := cmp.Diff([]string{"999999999999", "eu-nowhere-1", "nothing", "rest/prd"}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if p.Stages != 1 || p.Count(logging.Planned) == 0 {
		t.Errorf("what is there is not switched: %d stages, %v", p.Stages, kindsOf(p))
	}
	s, err := sw.Status(&o.Choice)
	if err != nil || len(s.Failures) != 2 {
		t.Errorf("the status tells of %+v, %v", s.Failures, err)
	}
}
