package flow

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDecide(t *testing.T) {
	t.Parallel()
	const alice = "alice@example.com"
	tests := []struct {
		name   string
		flow   string // lines over flowText
		who    string
		change func(*Ask, *directory)
		want   Outcome
		reason string // a part of any
	}{
		{name: "a requestor is sent to the approvers", want: NeedsApproval, reason: "group security"},
		{name: "somebody else is refused", who: "carol@example.com", want: Refused, reason: "its requestors are group developers"},
		{name: "a flow that is not active", flow: "active: false", want: Refused, reason: "no active flow lends view on prod-1 / payments"},
		{name: "a permission that the flow does not lend", change: func(a *Ask, _ *directory) { a.Items[0].Permission = "admin" }, want: Refused},
		{name: "a permission that the resource does not have", change: func(a *Ask, _ *directory) { a.Items[0].Resource.Permissions = []string{"edit"} }, want: Refused},
		{name: "another integration", change: func(a *Ask, _ *directory) { a.Items[0].Resource.Integration = "prod-2" }, want: Refused},
		{name: "another type", change: func(a *Ask, _ *directory) { a.Items[0].Resource.Type = "eks-cluster" }, want: Refused},
		{name: "one item of two", change: func(a *Ask, _ *directory) {
			a.Items = append(a.Items, Item{namespace("payments"), "admin"})
		}, want: Refused},
		{name: "nothing", change: func(a *Ask, _ *directory) { a.Items = nil }, want: Refused, reason: "nothing is asked for"},
		{name: "nobody", change: func(a *Ask, _ *directory) { a.By.ID, a.For.ID = "", "" }, want: Refused},
		{name: "a negative duration", change: func(a *Ask, _ *directory) { a.Duration = -1 }, want: Refused},
		{name: "too long", change: func(a *Ask, _ *directory) { a.Duration = 9 * time.Hour }, want: Refused, reason: "at most 8h"},
		{name: "exactly the maximum", change: func(a *Ask, _ *directory) { a.Duration = 8 * time.Hour }, want: NeedsApproval},
		{name: "no justification", change: func(a *Ask, _ *directory) { a.Justification = " \n" }, want: Refused, reason: "say why"},
		{name: "none needed", flow: "justification: {required: false}", change: func(a *Ask, _ *directory) { a.Justification = "" }, want: NeedsApproval},
		{name: "a pattern", flow: `justification: {required: true, pattern: "^INC-[0-9]+"}`, want: NeedsApproval},
		{name: "another text than the pattern", flow: `justification: {required: true, pattern: "^INC-[0-9]+"}`, change: func(a *Ask, _ *directory) { a.Justification = "please" }, want: Refused, reason: "match"},
		{name: "a disabled requester", change: func(_ *Ask, d *directory) { d.person(alice).Disabled = true }, want: Refused, reason: "disabled"},
		{name: "a name", flow: "targets: [{integration: prod-1, resource_type: eks-namespace, permissions: [view], include: [{type: name, values: ['pay*']}]}]", want: NeedsApproval},
		{name: "another name", flow: "targets: [{integration: prod-1, resource_type: eks-namespace, permissions: [view], include: [{type: name, values: ['Pay*', pay]}]}]", want: Refused},
		{name: "an id", flow: "targets: [{integration: prod-1, resource_type: eks-namespace, permissions: [view], include: [{type: id, values: [namespace/payments]}]}]", want: NeedsApproval},
		{name: "a tag", flow: "targets: [{integration: prod-1, resource_type: eks-namespace, permissions: [view], include: [{type: tag, key: team, values: [pay*]}]}]", change: func(a *Ask, _ *directory) {
			a.Items[0].Resource = namespace("payments", "team", "payments")
		}, want: NeedsApproval},
		{name: "no such tag", flow: "targets: [{integration: prod-1, resource_type: eks-namespace, permissions: [view], include: [{type: tag, key: team, values: ['*']}]}]", want: Refused},
		{name: "exclusion wins, and without case", flow: "targets: [{integration: prod-1, resource_type: eks-namespace, permissions: [view], include: [{type: name, values: [payments]}], exclude: [{type: tag, key: Tier, values: [GOLD]}]}]", change: func(a *Ask, _ *directory) {
			a.Items[0].Resource = namespace("payments", "tier", "gold")
		}, want: Refused},
		{name: "inside the timeframe", flow: "timeframe: {days: [wednesday], start: '09:00', end: '17:00', time_zone: UTC}", want: NeedsApproval},
		{name: "outside the timeframe", flow: "timeframe: {days: [wednesday], start: '13:00', end: '17:00', time_zone: UTC}", want: Refused, reason: "timeframe"},
		{name: "an ask without a time has no timeframe", flow: "timeframe: {time_zone: UTC}", change: func(a *Ask, _ *directory) { a.At = time.Time{} }, want: Refused},
		{name: "for others by default", change: func(a *Ask, d *directory) { a.For = *d.person("bob@example.com") }, want: Refused, reason: "may not ask for"},
		{name: "for grantees", flow: "request_for: {scopes: [others], grantees: {conditions: [{type: group, values: [leads]}]}}", change: func(a *Ask, d *directory) { a.For = *d.person("bob@example.com") }, want: NeedsApproval},
		{name: "the directory knows grantees, not the ask", flow: "request_for: {scopes: [others], grantees: {conditions: [{type: group, values: [leads]}]}}", change: func(a *Ask, _ *directory) {
			a.For = Person{ID: "carol@example.com", Groups: []string{"leads"}}
		}, want: Refused},
		{name: "a grantee nobody knows", flow: "request_for: {scopes: [others], grantees: {conditions: [{type: group, values: [leads]}]}}", change: func(a *Ask, _ *directory) {
			a.For = Person{ID: "eve@example.com", Groups: []string{"leads"}}
		}, want: Refused, reason: "does not know"},
		{name: "only others", flow: "request_for: {scopes: [others], grantees: {conditions: [{type: group, values: [leads]}]}}", want: Refused, reason: "oneself"},
		{name: "a direct report", flow: "request_for: {scopes: [direct_reports]}\nrequestors: {conditions: [{type: group, values: [managers]}]}", who: "mona@example.com", change: func(a *Ask, d *directory) { a.For = *d.person(alice) }, want: NeedsApproval},
		{name: "nobody's report", flow: "request_for: {scopes: [direct_reports]}\nrequestors: {conditions: [{type: group, values: [managers]}]}", who: "mona@example.com", change: func(a *Ask, d *directory) { a.For = *d.person("carol@example.com") }, want: Refused},
		{name: "another spelling of who asks", change: func(a *Ask, _ *directory) { a.By.ID, a.For.ID = "Alice@example.com", "Alice@example.com" }, want: Refused, reason: "spells"},
		{name: "another spelling of oneself", change: func(a *Ask, _ *directory) { a.For.ID = "Alice@example.com" }, want: Refused, reason: "spells"},
		{name: "auto", flow: "approvers: absent\nauto_approve: true", want: AutoApproved},
		{name: "auto on call", flow: "auto_approve: {when: {conditions: [{type: schedule, values: [payments]}]}}", who: "bob@example.com", want: AutoApproved},
		{name: "auto not on call", flow: "auto_approve: {when: {conditions: [{type: schedule, values: [payments]}]}}", want: NeedsApproval},
		{name: "auto for somebody who is not on call", flow: "auto_approve: {when: {conditions: [{type: schedule, values: [payments]}]}}\nrequest_for: {scopes: [others], grantees: {conditions: [{type: group, values: [developers]}]}}", who: "bob@example.com", change: func(a *Ask, d *directory) { a.For = *d.person(alice) }, want: NeedsApproval},
		{name: "auto by conditions alone", flow: "approvers: absent\nauto_approve: {duration_at_most: 30m}", want: Refused, reason: "conditions for granting by itself"},
		{name: "auto for a short time", flow: "auto_approve: {duration_at_most: 1h}", want: AutoApproved},
		{name: "auto counts the default duration", flow: "auto_approve: {duration_at_most: 1h}", change: func(a *Ask, _ *directory) { a.Duration = 0 }, want: NeedsApproval},
		{name: "auto by tag needs it on every item", flow: "auto_approve: {tags: [{key: env, values: [dev]}]}", change: func(a *Ask, _ *directory) {
			a.Items = []Item{{namespace("a", "env", "dev"), "view"}, {namespace("b"), "view"}}
		}, want: NeedsApproval},
		{name: "auto by tag", flow: "auto_approve: {tags: [{key: env, values: [dev]}]}", change: func(a *Ask, _ *directory) {
			a.Items = []Item{{namespace("a", "env", "dev"), "view"}}
		}, want: AutoApproved},
		{name: "auto in its hours", flow: "auto_approve: {timeframe: {days: [wednesday], time_zone: UTC}}", want: AutoApproved},
		{name: "auto out of its hours", flow: "auto_approve: {timeframe: {days: [thursday], time_zone: UTC}}", want: NeedsApproval},
		{name: "a glass that is not there", change: func(a *Ask, _ *directory) { a.BreakGlass = true }, want: Refused, reason: "cannot be broken"},
		{name: "break glass", flow: "break_glass: {who: {conditions: [{type: group, values: [security]}]}, max_duration: 1h, notify: [{kind: group, value: security}]}\ntimeframe: {days: [sunday], time_zone: UTC}", who: "carol@example.com", change: func(a *Ask, _ *directory) { a.BreakGlass = true }, want: AutoApproved},
		{name: "break glass for too long", flow: "break_glass: {who: {conditions: [{type: group, values: [security]}]}, max_duration: 30m, notify: [{kind: group, value: security}]}", who: "carol@example.com", change: func(a *Ask, _ *directory) { a.BreakGlass = true }, want: Refused, reason: "at most 30m"},
		{name: "break glass without a word", flow: "break_glass: {who: {conditions: [{type: group, values: [security]}]}, max_duration: 1h, notify: [{kind: group, value: security}]}\njustification: {required: false}", who: "carol@example.com", change: func(a *Ask, _ *directory) { a.BreakGlass, a.Justification = true, "" }, want: Refused, reason: "say why"},
		{name: "break glass by a requestor alone", flow: "break_glass: {who: {conditions: [{type: group, values: [security]}]}, max_duration: 1h, notify: [{kind: group, value: security}]}", change: func(a *Ask, _ *directory) { a.BreakGlass = true }, want: Refused, reason: "its glass is broken by group security"},
		{name: "break glass for another", flow: "request_for: {scopes: [others], grantees: {conditions: [{type: group, values: [leads]}]}}\nbreak_glass: {who: {conditions: [{type: group, values: [developers]}]}, max_duration: 1h, notify: [{kind: group, value: security}]}", change: func(a *Ask, d *directory) { a.BreakGlass, a.For = true, *d.person("bob@example.com") }, want: Refused, reason: "oneself"},
		{name: "the manager", flow: "approvers: {groups: [{conditions: [{type: manager}]}]}", want: NeedsApproval},
		{name: "no manager", flow: "approvers: {groups: [{conditions: [{type: manager}]}]}\nrequestors: {conditions: [{type: group, values: [security]}]}", who: "carol@example.com", want: Refused, reason: "no manager of carol@example.com is known"},
		{name: "the manager asks for a report", flow: "approvers: {groups: [{conditions: [{type: manager}]}]}\nrequest_for: {scopes: [direct_reports]}\nrequestors: {conditions: [{type: group, values: [managers]}]}", who: "mona@example.com", change: func(a *Ask, d *directory) { a.For = *d.person(alice) }, want: Refused, reason: "cannot agree"},
		{name: "no owner", flow: "approvers: {groups: [{conditions: [{type: owner}]}]}", want: Refused, reason: "no owner"},
		{name: "an owner", flow: "approvers: {groups: [{conditions: [{type: owner}]}]}", change: func(a *Ask, _ *directory) {
			a.Items[0].Resource.Owners = []Principal{{"user", "olga@example.com"}}
		}, want: NeedsApproval},
		{name: "two owners of one thing each", flow: "approvers: {groups: [{conditions: [{type: owner}]}]}", change: func(a *Ask, _ *directory) {
			a.Items = []Item{{namespace("a"), "view"}, {namespace("b"), "view"}}
			a.Items[0].Resource.Owners = []Principal{{"user", "olga@example.com"}}
			a.Items[1].Resource.Owners = []Principal{{"user", "carol@example.com"}}
		}, want: Refused, reason: "no one person owns all"},
		{name: "the requester is the only approver", flow: "approvers: {groups: [{conditions: [{type: user, values: [alice@example.com]}]}]}", want: Refused, reason: "nobody could agree"},
		{name: "and may be", flow: "approvers: {groups: [{conditions: [{type: user, values: [alice@example.com]}]}]}\nself_approval: true", want: NeedsApproval},
		{name: "a negative condition of who has nothing", flow: "requestors: {conditions: [{type: group, match: is_not, values: [contractors]}]}", who: "cto@example.com", want: Refused},
		{name: "a negative condition, without case", flow: "requestors: {conditions: [{type: group, match: is_not, values: [DEVELOPERS]}]}", want: Refused},
		{name: "a negative condition", flow: "requestors: {conditions: [{type: attribute, name: department, match: does_not_contain, values: [fin]}]}", want: NeedsApproval},
		{name: "and", flow: "requestors: {operator: and, conditions: [{type: group, values: [developers]}, {type: attribute, name: department, match: starts_with, values: [pay]}]}", want: NeedsApproval},
		{name: "and of which one does not hold", flow: "requestors: {operator: and, conditions: [{type: group, values: [developers]}, {type: attribute, name: department, match: starts_with, values: [pay]}]}", who: "bob@example.com", want: Refused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := world()
			if tt.who == "" {
				tt.who = alice
			}
			a := ask(d, tt.who)
			if tt.change != nil {
				tt.change(&a, d)
			}
			s := parse(t, flowText(tt.flow))
			got := s.Decide(a, d)
			if got.Outcome != tt.want {
				t.Fatalf("got %s, want %s: %q", got.Outcome, tt.want, got.Reasons)
			}
			if !strings.Contains(strings.Join(got.Reasons, "; "), tt.reason) {
				t.Errorf("the reasons do not say %q: %q", tt.reason, got.Reasons)
			}
			if got.Outcome != Refused && (got.MaxDuration <= 0 || got.Duration <= 0 || got.Duration > got.MaxDuration || got.Flow == "") {
				t.Errorf("the terms are not whole: %+v", got)
			}
			trial := s.Test(a, d)
			if trial.Decision.Outcome != tt.want {
				t.Errorf("Test says %s", trial.Decision.Outcome)
			}
			for _, f := range trial.Flows {
				if f.Answers != (got.Outcome != Refused) || f.Outcome != got.Outcome {
					t.Errorf("Test says of the flow: %+v", f)
				}
			}
		})
	}
}

func TestDecisionTerms(t *testing.T) {
	t.Parallel()
	d := world()
	s := parse(t, flowText("duration: {max: 1d, default: 2h}\nextensions: {max: 2, duration: 1h}\napprover_reason: true\nlapse_after: 4h\nbreak_glass: {who: {conditions: [{type: group, values: [developers]}]}, max_duration: 1h, notify: [{kind: group, value: security}]}"))
	s.Version = 7
	a := ask(d, "alice@example.com")
	a.Duration = 0
	got := s.Decide(a, d)
	if got.Duration != 2*time.Hour || got.MaxDuration != 24*time.Hour || got.MaxExtensions != 2 || got.ExtensionDuration != time.Hour || !got.ApproverReason || got.LapseAfter != 4*time.Hour || got.FlowVersion != 7 || got.BreakGlass {
		t.Errorf("got %+v", got)
	}
	a.BreakGlass = true
	got = s.Decide(a, d)
	if !got.BreakGlass || got.Duration != time.Hour || got.MaxDuration != time.Hour || got.MaxExtensions != 0 || len(got.Notify) != 1 || len(got.Approval.Groups) != 0 {
		t.Errorf("breaking the glass: %+v", got)
	}
	a.BreakGlass, a.Justification = false, ""
	if o := s.Offer(a, d); o.Outcome != NeedsApproval || !o.Justification.Required {
		t.Errorf("an offer wants no justification yet: %+v", o)
	}
	if (&Set{}).Decide(a, d).Outcome != Refused || s.Decide(ask(d, "alice@example.com"), nil).Outcome != NeedsApproval {
		t.Error("an empty set gives nothing, and facts may be nil")
	}
}

func TestWhichFlowAnswers(t *testing.T) {
	t.Parallel()
	d := world()
	auto := "approvers: absent\nauto_approve: true\n"
	tests := []struct {
		name  string
		flows []string
		want  string
	}{
		{"by name between equals", []string{"name: b", "name: a"}, "a"},
		{"at once before approval", []string{"name: a", auto + "name: b"}, "b"},
		{"priority before all", []string{"name: a\npriority: 5", auto + "name: b\npriority: 4"}, "a"},
		{"a flow that does not match hides nothing", []string{"name: a\npriority: 5\nduration: {max: 30m}", auto + "name: b"}, "b"},
		{"the first of those that grant at once", []string{auto + "name: c", auto + "name: b", "name: a"}, "b"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for range 2 {
				var texts []string
				for _, f := range tt.flows {
					texts = append(texts, flowText(f))
				}
				if got := parse(t, texts...).Decide(ask(d, "alice@example.com"), d); got.Flow != tt.want {
					t.Errorf("flow %q answers, want %q: %q", got.Flow, tt.want, got.Reasons)
				}
				slices.Reverse(tt.flows)
			}
		})
	}
}

func TestBundles(t *testing.T) {
	t.Parallel()
	d := world()
	s, err := Parse([]byte(`
bundles:
  - name: on-call kit
    targets:
      - {integration: prod-1, resource_type: eks-namespace, permissions: [view, edit], exclude: [{type: name, values: [kube-*]}]}
flows:
` + flowText("targets: [{bundle: on-call kit}]")))
	if err != nil {
		t.Fatal(err)
	}
	items := s.BundleItems("on-call kit", []Resource{namespace("payments"), namespace("kube-system"), namespace("payments")})
	if len(items) != 2 {
		t.Fatalf("the bundle has %v", items)
	}
	a := ask(d, "alice@example.com", items...)
	if got := s.Decide(a, d); got.Outcome != Refused {
		t.Errorf("what is lent as a bundle was given piece by piece: %q", got.Reasons)
	}
	a.Bundle = "on-call kit"
	if got := s.Decide(a, d); got.Outcome != NeedsApproval {
		t.Errorf("got %q", got.Reasons)
	}
	a.Items = append(a.Items, Item{namespace("kube-system"), "edit"})
	if got := s.Decide(a, d); got.Outcome != Refused {
		t.Error("something was smuggled into a bundle")
	}
	a.Bundle = "none"
	if got := s.Decide(a, d); got.Outcome != Refused || !strings.Contains(got.Reasons[0], `there is no bundle "none"`) {
		t.Errorf("got %q", got.Reasons)
	}
	if p := s.Pick("one"); p == nil || len(p.Flows) != 1 || len(p.Bundles) != 1 || s.Pick("two") != nil || s.Pick("one", "one") != nil {
		t.Errorf("picked %+v", p)
	}
	// A flow of the integration does not answer for a bundle.
	a.Items, a.Bundle = items, "on-call kit"
	if got := parse(t, flowText("")).Decide(a, d); got.Outcome != Refused {
		t.Errorf("got %q", got.Reasons)
	}
}

func TestGlob(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"*", "abc", true},
		{"a*", "abc", true},
		{"a*", "ba", false},
		{"*c", "abc", true},
		{"a*c", "abcbc", true},
		{"a*b*c", "a-b-c", true},
		{"a*b*c", "a-c-b", false},
		{"a?c", "abc", false},
		{"**", "x", true},
		{"abc", "abcd", false},
		{"*.*", "a.b", true},
	} {
		if got := glob(tt.pattern, tt.s); got != tt.want {
			t.Errorf("glob(%q, %q) = %v", tt.pattern, tt.s, got)
		}
	}
	began := time.Now()
	if glob(strings.Repeat("*a", 500)+"b", strings.Repeat("a", 1000)) || time.Since(began) > time.Second {
		t.Error("a pattern of many stars takes too long")
	}
}

func many(n int) *Set {
	var flows []Flow
	for i := range n {
		f := newFlow()
		f.Name = fmt.Sprintf("flow-%05d", i)
		f.Requestors = ApproverGroup{Operator: Or, Conditions: []Condition{{Type: TypeGroup, Values: []string{fmt.Sprintf("group-%d", i), "developers"}}, {Type: TypeAttribute, Name: "department", Values: []string{"x"}}}}
		f.Targets = []Target{{Integration: "prod-1", ResourceType: "eks-namespace", Permissions: []string{"view", "edit"}, Include: []Filter{{Type: FilterName, Values: []string{fmt.Sprintf("team-%d-*", i)}}}, Exclude: []Filter{{Type: FilterTag, Key: "tier", Values: []string{"gold"}}}}}
		f.Approval = &Approval{Mode: AnyOf, Groups: []ApproverGroup{{Conditions: []Condition{{Type: TypeGroup, Values: []string{"security"}}}}}}
		f.Duration.Max = 8 * time.Hour
		flows = append(flows, f)
	}
	s, err := New(flows, nil)
	if err != nil {
		panic(err)
	}
	return s
}

// A decision costs memory for its answer, not for each flow that it looks at.
func TestDecideAllocates(t *testing.T) {
	d := world()
	a := ask(d, "alice@example.com", Item{namespace("team-3-x", "tier", "silver"), "view"})
	few, lots := many(4), many(2000)
	x := testing.AllocsPerRun(20, func() { few.Decide(a, d) })
	y := testing.AllocsPerRun(20, func() { lots.Decide(a, d) })
	if y > x+1 {
		t.Errorf("%v allocations with 4 flows, %v with 2000", x, y)
	}
}

func BenchmarkDecide(b *testing.B) {
	d := world()
	s := many(10_000)
	for _, bm := range []struct{ name, resource string }{{"last", "team-9999-x"}, {"none", "else"}} {
		a := ask(d, "alice@example.com", Item{namespace(bm.resource, "tier", "silver"), "view"})
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.Decide(a, d)
			}
		})
	}
}
