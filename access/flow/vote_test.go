package flow

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func approves(ids ...string) (votes []Vote) {
	for _, id := range ids {
		who, deny := strings.CutPrefix(id, "!")
		if !strings.Contains(who, "@") {
			who += "@example.com"
		}
		votes = append(votes, Vote{By: Person{ID: who, Groups: []string{"security", "leads", "managers"}}, Approve: !deny})
	}
	return votes
}

func TestTally(t *testing.T) {
	t.Parallel()
	const (
		anySecurity = "approvers: {mode: any_of, groups: [{conditions: [{type: group, values: [security]}]}, {conditions: [{type: manager}]}]}"
		both        = "approvers: {mode: all_of, groups: [{conditions: [{type: group, values: [security]}]}, {conditions: [{type: manager}]}]}"
		later       = "\nescalation: [{after: 30m, groups: [{conditions: [{type: user, values: [cto@example.com]}]}]}, {after: 2h, groups: [{conditions: [{type: group, values: [owners]}]}]}]"
	)
	tests := []struct {
		name   string
		flow   string
		votes  []string // "!" denies
		since  time.Duration
		change func(*Ask, *directory)
		want   string // approved, denied or waiting
		people []string
	}{
		{name: "nobody yet", flow: anySecurity, want: "waiting", people: []string{"carol@example.com", "mona@example.com"}},
		{name: "one of the group", flow: anySecurity, votes: []string{"carol"}, want: "approved"},
		{name: "the manager", flow: anySecurity, votes: []string{"mona"}, want: "approved"},
		{name: "one denial denies", flow: anySecurity, votes: []string{"carol", "!mona"}, want: "denied"},
		{name: "a denial of somebody who has no say", flow: anySecurity, votes: []string{"!olga"}, want: "waiting", people: []string{"carol@example.com", "mona@example.com"}},
		{name: "the requester", flow: anySecurity, votes: []string{"alice"}, change: func(_ *Ask, d *directory) {
			d.person("alice@example.com").Groups = []string{"security"}
		}, want: "waiting", people: []string{"carol@example.com", "mona@example.com"}},
		{name: "the requester in another spelling", flow: anySecurity, votes: []string{"ALICE@example.com"}, change: func(_ *Ask, d *directory) {
			d.person("alice@example.com").Groups = []string{"security"}
		}, want: "waiting", people: []string{"carol@example.com", "mona@example.com"}},
		{name: "the requester, allowed", flow: anySecurity + "\nself_approval: true", votes: []string{"alice"}, change: func(_ *Ask, d *directory) {
			d.person("alice@example.com").Groups = append(d.person("alice@example.com").Groups, "security")
		}, want: "approved"},
		{name: "a disabled person", flow: anySecurity, votes: []string{"dave"}, want: "waiting", people: []string{"carol@example.com", "mona@example.com"}},
		{name: "a person nobody knows", flow: anySecurity, votes: []string{"eve"}, want: "waiting", people: []string{"carol@example.com", "mona@example.com"}},
		{name: "all: one is not enough", flow: both, votes: []string{"carol", "carol", "CAROL@example.com"}, want: "waiting", people: []string{"mona@example.com"}},
		{name: "all", flow: both, votes: []string{"carol", "mona"}, want: "approved"},
		{name: "all by one who is in both", flow: both, votes: []string{"mona"}, change: func(_ *Ask, d *directory) {
			d.person("mona@example.com").Groups = []string{"security"}
		}, want: "approved"},
		{name: "who left the group", flow: both, votes: []string{"carol", "mona"}, change: func(_ *Ask, d *directory) { d.person("carol@example.com").Groups = nil }, want: "waiting"},
		{name: "who is not the manager any more", flow: both, votes: []string{"carol", "mona"}, change: func(_ *Ask, d *directory) {
			d.person("alice@example.com").Manager = "olga@example.com"
		}, want: "waiting", people: []string{"olga@example.com"}},
		{name: "before the escalation", flow: anySecurity + later, votes: []string{"cto"}, since: 29 * time.Minute, want: "waiting", people: []string{"carol@example.com", "mona@example.com"}},
		{name: "after the escalation", flow: anySecurity + later, votes: []string{"cto"}, since: 30 * time.Minute, want: "approved"},
		{name: "earlier approvers stay", flow: anySecurity + later, votes: []string{"mona"}, since: 30 * time.Minute, want: "approved"},
		{name: "the escalation is asked too", flow: anySecurity + later, since: 30 * time.Minute, want: "waiting", people: []string{"carol@example.com", "cto@example.com", "mona@example.com"}},
		{name: "one stands in for one", flow: both + later, votes: []string{"carol", "cto"}, since: time.Hour, want: "approved"},
		{name: "one does not stand in for two", flow: both + later, votes: []string{"cto"}, since: time.Hour, want: "waiting", people: []string{"carol@example.com", "mona@example.com"}},
		{name: "two stand in for two", flow: both + later, votes: []string{"cto", "olga"}, since: 2 * time.Hour, want: "approved"},
		{name: "on call", flow: "approvers: {groups: [{conditions: [{type: schedule, values: [payments]}]}]}", votes: []string{"bob"}, want: "approved"},
		{name: "not on call any more", flow: "approvers: {groups: [{conditions: [{type: schedule, values: [payments]}]}]}", votes: []string{"bob"}, change: func(_ *Ask, d *directory) { d.onCall = nil }, want: "waiting"},
		{name: "the owner's group", flow: "approvers: {groups: [{conditions: [{type: owner}]}]}", votes: []string{"olga"}, change: func(a *Ask, _ *directory) {
			a.Items[0].Resource.Owners = []Principal{{"group", "owners"}}
		}, want: "approved"},
		{name: "one of two owners", flow: "approvers: {groups: [{conditions: [{type: owner}]}]}", votes: []string{"olga"}, change: func(a *Ask, _ *directory) {
			a.Items = []Item{{namespace("a"), "view"}, {namespace("b"), "view"}}
			a.Items[0].Resource.Owners = []Principal{{"group", "owners"}}
			a.Items[1].Resource.Owners = []Principal{{"group", "security"}}
		}, want: "waiting"},
		{name: "and is met by one person", flow: "approvers: {groups: [{operator: and, conditions: [{type: group, values: [security]}, {type: group, values: [managers]}]}]}", votes: []string{"carol", "mona"}, want: "waiting"},
		{name: "an administrator has no say", flow: anySecurity, votes: []string{"cto"}, change: func(_ *Ask, d *directory) { d.person("cto@example.com").Admin = true }, want: "waiting", people: []string{"carol@example.com", "mona@example.com"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := world()
			a := ask(d, "alice@example.com")
			s := parse(t, flowText(tt.flow))
			rule := Decision{Outcome: NeedsApproval, Approval: *s.Flows[0].Approval, SelfApproval: s.Flows[0].SelfApproval, LapseAfter: 24 * time.Hour}
			if tt.change != nil {
				tt.change(&a, d)
			}
			got := rule.Tally(approves(tt.votes...), a, tt.since, d)
			is := "waiting"
			switch {
			case got.Approved && got.Denied:
				is = "both"
			case got.Approved:
				is = "approved"
			case got.Denied:
				is = "denied"
			}
			if is != tt.want {
				t.Errorf("got %s, want %s: %+v", is, tt.want, got)
			}
			if diff := cmp.Diff(tt.people, got.People); diff != "" {
				t.Errorf("people (-want +got):\n%s", diff)
			}
			for _, p := range got.People {
				if ok, why := rule.MayVote(Person{ID: p}, a, tt.since, d); !ok {
					t.Errorf("%s is asked and may not vote: %s", p, why)
				}
			}
		})
	}
}

func TestMayVote(t *testing.T) {
	t.Parallel()
	d := world()
	a := ask(d, "alice@example.com")
	s := parse(t, flowText("request_for: {scopes: [self, others], grantees: {conditions: [{type: group, values: [security]}]}}\nlapse_after: 1h"))
	rule := s.Decide(a, d)
	for _, tt := range []struct {
		rule  Decision
		who   string
		since time.Duration
		want  bool
		why   string
	}{
		{rule, "carol@example.com", 0, true, "group security"},
		{rule, "carol@example.com", time.Hour, false, "in time"},
		{rule, "mona@example.com", 0, false, "not among the approvers"},
		{rule, "", 0, false, "nobody"},
		{rule, "dave@example.com", 0, false, "disabled"},
		{rule, "alice@example.com", 0, false, "asked for it"},
		{Decision{Outcome: AutoApproved}, "carol@example.com", 0, false, "nobody has to agree"},
		{Decision{}, "carol@example.com", 0, false, "nobody has to agree"},
	} {
		if ok, why := tt.rule.MayVote(Person{ID: tt.who, Groups: []string{"security"}}, a, tt.since, d); ok != tt.want || !strings.Contains(why, tt.why) {
			t.Errorf("%s: %v, %q", tt.who, ok, why)
		}
	}
	a.For = *d.person("carol@example.com")
	if ok, why := rule.MayVote(Person{ID: "carol@example.com"}, a, 0, d); ok || !strings.Contains(why, "it is for") {
		t.Errorf("whom it is for may vote: %q", why)
	}
	if ok, _ := rule.MayVote(Person{ID: "carol@example.com", Groups: []string{"security"}}, a, 0, nil); ok {
		t.Error("without facts somebody may vote")
	}
	if (Decision{Outcome: AutoApproved}).Tally(nil, a, 0, d).Approved != true || (Decision{}).Tally(nil, a, 0, d).Approved {
		t.Error("what needs nobody is approved, what is refused is not")
	}
}

// exact is a directory that takes two spellings of one person for two.
type exact struct{ *directory }

func (e exact) Person(id string) (Person, bool) {
	if p := e.person(id); p != nil {
		return *p, true
	}
	return Person{}, false
}

func TestSecondSpellingIsNoSecondPerson(t *testing.T) {
	t.Parallel()
	d := exact{world()}
	d.people = append(d.people, Person{ID: "Alice@example.com", Groups: []string{"security"}})
	a := ask(d.directory, "alice@example.com")
	rule := parse(t, flowText("")).Decide(a, d)
	if ok, why := rule.MayVote(Person{ID: "Alice@example.com"}, a, 0, d); ok {
		t.Errorf("the requester agrees to their own request: %s", why)
	}
	if got := rule.Tally(approves("Alice@example.com"), a, 0, d); got.Approved || slices.Contains(got.People, "Alice@example.com") {
		t.Errorf("got %+v", got)
	}
}

// aWorld draws people, memberships, a flow's approval and votes.
func aWorld(t *rapid.T) (*directory, Approval, []Vote, Ask) {
	groups := []string{"g1", "g2", "g3"}
	d := &directory{onCall: map[string][]string{}}
	names := []string{"a@x", "b@x", "c@x", "d@x", "e@x"}
	for _, n := range names {
		p := Person{ID: n, Groups: rapid.SliceOfNDistinct(rapid.SampledFrom(groups), 0, 3, rapid.ID).Draw(t, "groups"), Disabled: rapid.IntRange(0, 9).Draw(t, "disabled") == 0}
		p.Manager = rapid.SampledFrom(append(slices.Clone(names), "", "A@X")).Draw(t, "manager")
		d.people = append(d.people, p)
	}
	d.onCall["s"] = rapid.SliceOfN(rapid.SampledFrom(names), 0, 2).Draw(t, "on call")
	group := rapid.Custom(func(t *rapid.T) ApproverGroup { return aGroup(t, groups, true) })
	ap := Approval{Mode: rapid.SampledFrom([]Mode{AnyOf, AllOf}).Draw(t, "mode"), Groups: rapid.SliceOfN(group, 1, 3).Draw(t, "approvers")}
	if rapid.Bool().Draw(t, "escalates") {
		ap.Escalation = []EscalationStep{{After: time.Hour, Groups: rapid.SliceOfN(group, 1, 2).Draw(t, "step")}}
	}
	votes := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Vote {
		return Vote{By: Person{ID: rapid.SampledFrom([]string{"a@x", "A@x", "A@X", "b@x", "c@x", "d@x", "e@x", "f@x"}).Draw(t, "voter")}, Approve: rapid.IntRange(0, 5).Draw(t, "approve") > 0}
	}), 0, 6).Draw(t, "votes")
	by := d.people[0]
	forWhom := d.people[rapid.IntRange(0, 1).Draw(t, "for")]
	r := namespace("n")
	r.Owners = []Principal{{Kind: "user", Value: rapid.SampledFrom(names).Draw(t, "owner")}}
	return d, ap, votes, Ask{By: by, For: forWhom, Items: []Item{{r, "view"}}}
}

func aGroup(t *rapid.T, groups []string, approvers bool) ApproverGroup {
	kinds := []string{TypeUser, TypeGroup, TypeSchedule}
	if approvers {
		kinds = append(kinds, TypeOwner, TypeManager)
	}
	return ApproverGroup{
		Operator: rapid.SampledFrom([]string{And, Or}).Draw(t, "operator"),
		Conditions: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Condition {
			c := Condition{Type: rapid.SampledFrom(kinds).Draw(t, "type"), Match: Is}
			switch c.Type {
			case TypeUser:
				c.Values = []string{rapid.SampledFrom([]string{"a@x", "b@x", "c@x"}).Draw(t, "user")}
			case TypeGroup:
				c.Match = rapid.SampledFrom([]string{Is, Is, IsNot, Contains}).Draw(t, "match")
				c.Values = []string{rapid.SampledFrom(groups).Draw(t, "group")}
			case TypeSchedule:
				c.Values = []string{"s"}
			default:
				c.Match = ""
			}
			return c
		}), 1, 3).Draw(t, "conditions"),
	}
}

// More approvals never take an approval away, the order of votes and groups does not
// matter, and without self approval no vote of the requester, however spelled,
// changes anything.
func TestTallyProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d, ap, votes, a := aWorld(t)
		since := rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "since")
		rule := Decision{Outcome: NeedsApproval, Approval: ap, SelfApproval: rapid.Bool().Draw(t, "self")}
		got := rule.Tally(votes, a, since, d)
		if got.Approved && got.Denied {
			t.Fatal("approved and denied")
		}

		more := append(slices.Clone(votes), Vote{By: Person{ID: rapid.SampledFrom([]string{"a@x", "b@x", "c@x", "d@x", "e@x"}).Draw(t, "another")}, Approve: true})
		if next := rule.Tally(more, a, since, d); got.Approved && !next.Approved || got.Denied != next.Denied {
			t.Fatalf("one more approval: %+v became %+v", got, next)
		}
		if got.Approved {
			if later := rule.Tally(votes, a, since+time.Hour, d); !later.Approved && !later.Denied {
				t.Fatal("an escalation took an approval away")
			}
		}

		mixed := Approval{Mode: ap.Mode, Groups: slices.Clone(ap.Groups), Escalation: ap.Escalation}
		slices.Reverse(mixed.Groups)
		for i := range mixed.Groups {
			mixed.Groups[i].Conditions = slices.Clone(mixed.Groups[i].Conditions)
			slices.Reverse(mixed.Groups[i].Conditions)
		}
		back := slices.Clone(votes)
		slices.Reverse(back)
		turned := Decision{Outcome: NeedsApproval, Approval: mixed, SelfApproval: rule.SelfApproval}.Tally(back, a, since, d)
		if turned.Approved != got.Approved || turned.Denied != got.Denied || !slices.Equal(turned.People, got.People) {
			t.Fatalf("another order: %+v became %+v", got, turned)
		}

		if !rule.SelfApproval {
			without := slices.DeleteFunc(slices.Clone(votes), func(v Vote) bool {
				return strings.EqualFold(v.By.ID, a.By.ID) || strings.EqualFold(v.By.ID, a.For.ID)
			})
			if diff := cmp.Diff(rule.Tally(without, a, since, d), got); diff != "" {
				t.Fatalf("the requester's vote counts:\n%s", diff)
			}
		}
		if got.Approved {
			for _, v := range votes {
				if ok, _ := rule.MayVote(v.By, a, since, d); ok {
					return
				}
			}
			t.Fatal("approved, and none of the voters may vote")
		}
	})
}

// Taking a condition, a target, a permission or a filter of inclusion away never lets
// anybody have more, as long as one alternative less is left to meet.
func TestLessNeverWidens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d, ap, _, a := aWorld(t)
		for i := range d.people {
			d.people[i].Disabled = false
		}
		a.By, a.For, a.Justification, a.Duration, a.At = d.people[0], d.people[0], "why", time.Hour, noon
		f := newFlow()
		f.Name = "f"
		f.Requestors = aGroup(t, []string{"g1", "g2", "g3"}, false)
		f.Requestors.Operator = Or
		f.Targets = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Target {
			return Target{
				Integration: "prod-1", ResourceType: "eks-namespace",
				Permissions: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"view", "edit"}), 1, 2, rapid.ID).Draw(t, "permissions"),
				Include:     []Filter{{Type: FilterName, Values: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"n", "m*", "*"}), 1, 2, rapid.ID).Draw(t, "names")}, {Type: FilterID, Values: []string{"x"}}},
			}
		}), 1, 3).Draw(t, "targets")
		f.Approval, f.Duration.Max = &ap, time.Hour
		before := mustSet(t, f).Decide(a, d)

		less := f
		switch rapid.IntRange(0, 2).Draw(t, "take away") {
		case 0:
			if len(f.Requestors.Conditions) < 2 {
				return
			}
			less.Requestors.Conditions = slices.Delete(slices.Clone(f.Requestors.Conditions), 0, 1)
		case 1:
			if len(f.Targets) < 2 {
				return
			}
			less.Targets = f.Targets[1:]
		default:
			less.Targets = slices.Clone(f.Targets)
			less.Targets[0].Include = f.Targets[0].Include[1:]
		}
		if after := mustSet(t, less).Decide(a, d); before.Outcome == Refused && after.Outcome != Refused {
			t.Fatalf("less gives more: %q", after.Reasons)
		}
		more := f
		more.Targets = slices.Clone(f.Targets)
		for i := range more.Targets {
			more.Targets[i].Exclude = []Filter{{Type: FilterName, Values: []string{"N"}}}
		}
		if after := mustSet(t, more).Decide(a, d); after.Outcome != Refused {
			t.Fatal("an exclusion was not heard")
		}
		turned := f
		turned.Targets, turned.Requestors.Conditions = slices.Clone(f.Targets), slices.Clone(f.Requestors.Conditions)
		slices.Reverse(turned.Targets)
		slices.Reverse(turned.Requestors.Conditions)
		if after := mustSet(t, turned).Decide(a, d); after.Outcome != before.Outcome {
			t.Fatalf("another order: %s became %s", before.Outcome, after.Outcome)
		}
	})
}

func mustSet(t *rapid.T, flows ...Flow) *Set {
	s, err := New(flows, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
