package flow

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// maxReasons bounds how many other flows a decision speaks of; Test speaks of all.
const maxReasons = 12

// question is an ask, looked at once for all flows.
type question struct {
	ask   *Ask
	facts Facts
	// loose leaves the justification out: what could be asked for.
	loose bool
}

// unknown is what nil Facts say.
type unknown struct{}

// OnCall reports that nobody is on call.
func (unknown) OnCall(string, string) bool { return false }

// Person knows nobody.
func (unknown) Person(string) (Person, bool) { return Person{}, false }

// Members knows no members.
func (unknown) Members(string) []string { return nil }

func orUnknown(f Facts) Facts {
	if f == nil {
		return unknown{}
	}
	return f
}

// refuse returns why no flow could give an ask, whatever it says; empty if one might.
// For somebody else the directory's knowledge of them replaces the ask's.
func (q *question) refuse() string {
	a := q.ask
	switch {
	case a.By.ID == "":
		return "nobody is asking"
	case a.For.ID == "":
		return "it is not said whom the access is for"
	case len(a.Items) == 0:
		return "nothing is asked for"
	case a.Duration < 0:
		return "the duration is negative"
	case a.By.Disabled:
		return a.By.ID + " is disabled"
	}
	switch p, ok := q.facts.Person(a.By.ID); {
	case ok && p.Disabled:
		return p.ID + " is disabled"
	case ok && p.ID != a.By.ID:
		// Targets compare names with case: access under another spelling is of no use.
		return "the directory spells " + a.By.ID + " as " + p.ID
	}
	if a.For.ID == a.By.ID {
		a.For = a.By
		return ""
	}
	p, ok := q.facts.Person(a.For.ID)
	switch {
	case !ok:
		return "the directory does not know " + a.For.ID
	case p.Disabled:
		return p.ID + " is disabled"
	case p.ID != a.For.ID:
		return "the directory spells " + a.For.ID + " as " + p.ID
	case samePerson(p.ID, a.By.ID):
		return "the person who asks is spelled " + a.By.ID + " and " + p.ID
	}
	a.For = p
	return ""
}

// Decide answers an ask. One flow has to give all of it; what no flow gives is
// refused. Where several do, the one with the highest priority answers, then one
// that grants at once, then the first by name.
func (s *Set) Decide(a Ask, facts Facts) Decision { return s.decide(a, facts, false) }

// Offer answers like Decide where the ask needs no justification yet: what the
// person could have by giving one.
func (s *Set) Offer(a Ask, facts Facts) Decision { return s.decide(a, facts, true) }

func (s *Set) decide(a Ask, facts Facts, loose bool) Decision {
	q := &question{ask: &a, facts: orUnknown(facts), loose: loose}
	if why := q.refuse(); why != "" {
		return Decision{Outcome: Refused, Reasons: []string{why}}
	}
	candidates := s.candidates(&a)
	chosen, outcome := -1, Refused
	var others [maxReasons]int
	var n, more int
	for _, i := range candidates {
		r := &s.rules[i]
		if chosen >= 0 && (outcome == AutoApproved || r.Priority < s.rules[chosen].Priority) {
			break // the rules come in the order of their precedence
		}
		step := q.failing(s, r)
		if step < 0 {
			if o := q.outcome(r); chosen < 0 || o == AutoApproved {
				chosen, outcome = i, o
			}
			continue
		}
		if step <= stepTargets {
			continue
		}
		if n < maxReasons {
			others[n] = i
			n++
		} else {
			more++
		}
	}
	var d Decision
	if chosen >= 0 {
		d = q.give(s, &s.rules[chosen], outcome)
	} else {
		d.Outcome = Refused
		if n == 0 {
			d.Reasons = append(d.Reasons, q.nothing(s))
		}
	}
	for _, i := range others[:n] {
		r := &s.rules[i]
		d.Reasons = append(d.Reasons, fmt.Sprintf("flow %q does not: %s", r.Name, steps[q.failing(s, r)].say(q, s, r)))
	}
	if more > 0 {
		d.Reasons = append(d.Reasons, fmt.Sprintf("%d more flows do not either", more))
	}
	return d
}

// candidates are the rules whose targets name what the ask is about.
func (s *Set) candidates(a *Ask) []int {
	if a.Bundle != "" {
		return s.byBundle[a.Bundle]
	}
	return s.byIntegration[a.Items[0].Resource.Integration]
}

func (q *question) nothing(s *Set) string {
	if q.ask.Bundle != "" {
		if s.bundles[q.ask.Bundle] == nil {
			return fmt.Sprintf("there is no bundle %q", q.ask.Bundle)
		}
		return fmt.Sprintf("no active flow lends all that was asked for of the bundle %q", q.ask.Bundle)
	}
	for i := range q.ask.Items {
		item := &q.ask.Items[i]
		if !slices.ContainsFunc(s.rules, func(r rule) bool { return r.Active && lends(r.Targets, item) }) {
			return "no active flow lends " + item.String()
		}
	}
	return "no single flow lends all of it: ask for the parts one by one"
}

// step is one thing that a flow has to agree with, and the words for it.
type step struct {
	name string
	ok   func(q *question, s *Set, r *rule) bool
	say  func(q *question, s *Set, r *rule) string
}

const stepTargets = 1

// steps in their order; the first that fails is the reason that is told.
var steps = [...]step{
	{
		"active", func(_ *question, _ *Set, r *rule) bool { return r.Active },
		func(_ *question, _ *Set, r *rule) string {
			if r.Active {
				return "it is active"
			}
			return "it is not active"
		},
	},
	{
		"targets", func(q *question, s *Set, r *rule) bool { return q.missing(s, r) < 0 },
		func(q *question, s *Set, r *rule) string {
			if i := q.missing(s, r); i >= 0 {
				return "it does not lend " + q.ask.Items[i].String()
			}
			return "it lends all that is asked for"
		},
	},
	{"requestors", (*question).requestor, (*question).sayRequestor},
	{"request_for", (*question).requestFor, (*question).sayRequestFor},
	{"timeframe", (*question).inTime, (*question).sayTime},
	{
		"duration", func(q *question, _ *Set, r *rule) bool { return q.ask.Duration <= q.longest(r) },
		func(q *question, _ *Set, r *rule) string {
			return "it lends for at most " + FormatDuration(q.longest(r))
		},
	},
	{"justification", (*question).justified, (*question).sayJustified},
	{"approval", func(q *question, _ *Set, r *rule) bool { return q.outcome(r) != Refused }, (*question).sayApproval},
}

// failing returns the first step that a flow does not agree with, -1 if it gives.
func (q *question) failing(s *Set, r *rule) int {
	for i := range steps {
		if !steps[i].ok(q, s, r) {
			return i
		}
	}
	return -1
}

// missing returns the first item that the rule does not lend, -1 for none. A bundle
// is lent as a bundle alone, and an ask for one is answered by flows that lend it.
func (q *question) missing(s *Set, r *rule) int {
	targets := r.Targets
	if name := q.ask.Bundle; name != "" {
		targets = nil
		if b := s.bundles[name]; b != nil && r.holdsBundle(name) {
			targets = b.Targets
		}
	}
	for i := range q.ask.Items {
		if !lends(targets, &q.ask.Items[i]) {
			return i
		}
	}
	return -1
}

func lends(targets []Target, item *Item) bool {
	for i := range targets {
		if targets[i].covers(item) {
			return true
		}
	}
	return false
}

func (r *rule) holdsBundle(name string) bool {
	for i := range r.Targets {
		if r.Targets[i].Bundle == name {
			return true
		}
	}
	return false
}

func (q *question) requestor(_ *Set, r *rule) bool {
	if q.ask.BreakGlass {
		return r.BreakGlass != nil && r.BreakGlass.Who.holds(&q.ask.By, nil, q.facts)
	}
	return r.Requestors.holds(&q.ask.By, nil, q.facts)
}

func (q *question) sayRequestor(s *Set, r *rule) string {
	switch {
	case q.ask.BreakGlass && r.BreakGlass == nil:
		return "its glass cannot be broken"
	case q.ask.BreakGlass && q.requestor(s, r):
		return q.ask.By.ID + " may break the glass (" + r.BreakGlass.Who.String() + ")"
	case q.ask.BreakGlass:
		return "its glass is broken by " + r.BreakGlass.Who.String()
	case q.requestor(s, r):
		return q.ask.By.ID + " is one of its requestors (" + r.Requestors.String() + ")"
	default:
		return "its requestors are " + r.Requestors.String()
	}
}

func (q *question) requestFor(_ *Set, r *rule) bool {
	by, person := &q.ask.By, &q.ask.For
	if by.ID == person.ID {
		return q.ask.BreakGlass || slices.Contains(r.RequestFor.Scopes, ForSelf)
	}
	if q.ask.BreakGlass {
		return false
	}
	for _, scope := range r.RequestFor.Scopes {
		if scope == ForOthers && r.RequestFor.Grantees != nil && r.RequestFor.Grantees.holds(person, nil, q.facts) ||
			scope == ForDirectReports && isManager(by, person.ID, q.facts) {
			return true
		}
	}
	return false
}

func (q *question) sayRequestFor(s *Set, r *rule) string {
	switch ok := q.requestFor(s, r); {
	case ok && q.ask.By.ID == q.ask.For.ID:
		return "the access is for who asks"
	case ok:
		return q.ask.By.ID + " may ask for " + q.ask.For.ID
	case q.ask.BreakGlass:
		return "a glass is broken for oneself alone"
	case q.ask.By.ID == q.ask.For.ID:
		return "it cannot be asked for oneself"
	default:
		return q.ask.By.ID + " may not ask for " + q.ask.For.ID + " (for " + strings.Join(r.RequestFor.Scopes, ", ") + ")"
	}
}

// inTime leaves emergencies alone: they keep no hours.
func (q *question) inTime(_ *Set, r *rule) bool {
	return q.ask.BreakGlass || r.window.contains(q.ask.At)
}

func (q *question) sayTime(s *Set, r *rule) string {
	switch {
	case r.window == nil:
		return "it has no timeframe"
	case q.inTime(s, r):
		return "it is inside its timeframe, " + r.window.text
	default:
		return "its timeframe is " + r.window.text
	}
}

func (q *question) longest(r *rule) time.Duration {
	if q.ask.BreakGlass && r.BreakGlass != nil {
		return r.BreakGlass.MaxDuration
	}
	return r.Duration.Max
}

// lasting is how long the flow would lend.
func (q *question) lasting(r *rule) time.Duration {
	if q.ask.Duration > 0 {
		return q.ask.Duration
	}
	if d := r.Duration.Default; d > 0 {
		return min(d, q.longest(r))
	}
	return q.longest(r)
}

// justified always wants a reason for breaking the glass, in any words.
func (q *question) justified(_ *Set, r *rule) bool {
	if q.loose {
		return true
	}
	text := strings.TrimSpace(q.ask.Justification)
	if q.ask.BreakGlass {
		return text != ""
	}
	return (!r.Justification.Required || text != "") && (r.pattern == nil || r.pattern.MatchString(text))
}

func (q *question) sayJustified(s *Set, r *rule) string {
	switch ok := q.justified(s, r); {
	case ok && !r.Justification.Required && !q.ask.BreakGlass:
		return "it needs no justification"
	case ok:
		return "the justification will do"
	case r.pattern != nil && !q.ask.BreakGlass:
		return "the justification has to match " + r.Justification.Pattern
	default:
		return "say why in the justification"
	}
}

// outcome says whether a rule that agrees with all else gives at once, after
// somebody agreed, or not at all.
func (q *question) outcome(r *rule) Outcome {
	switch {
	case q.ask.BreakGlass:
		if r.BreakGlass == nil {
			return Refused
		}
		return AutoApproved
	case q.automatic(r):
		return AutoApproved
	case r.Approval != nil && q.hopeless(r) == "":
		return NeedsApproval
	default:
		return Refused
	}
}

func (q *question) automatic(r *rule) bool {
	a := r.AutoApprove
	if a == nil {
		return false
	}
	if a.Always {
		return r.Approval == nil
	}
	if a.When == nil && len(a.Tags) == 0 && a.DurationAtMost == 0 && a.Timeframe == nil {
		return false
	}
	if a.When != nil && (!a.When.holds(&q.ask.By, nil, q.facts) || !a.When.holds(&q.ask.For, nil, q.facts)) {
		return false
	}
	for i := range q.ask.Items {
		for j := range a.Tags {
			if !a.Tags[j].matches(&q.ask.Items[i].Resource, false) {
				return false
			}
		}
	}
	return (a.DurationAtMost == 0 || q.lasting(r) <= a.DurationAtMost) && r.autoWindow.contains(q.ask.At)
}

func (q *question) sayApproval(_ *Set, r *rule) string {
	switch q.outcome(r) {
	case AutoApproved:
		if q.ask.BreakGlass {
			return "breaking the glass needs nobody's approval"
		}
		return "nobody has to agree: its conditions for that hold"
	case NeedsApproval:
		return "it needs the approval of " + r.Approval.String()
	}
	if r.Approval == nil {
		return "nobody can agree to it, and its conditions for granting by itself do not hold"
	}
	return q.hopeless(r)
}

// give is the answer of the rule that was chosen.
func (q *question) give(s *Set, r *rule, outcome Outcome) Decision {
	d := Decision{
		Outcome: outcome, Flow: r.Name, FlowVersion: s.Version, Duration: q.lasting(r), MaxDuration: q.longest(r),
		BreakGlass: q.ask.BreakGlass, LapseAfter: r.LapseAfter, Justification: r.Justification,
	}
	if q.ask.BreakGlass {
		d.Justification = Justification{Required: true}
		d.Notify = r.BreakGlass.Notify
		d.Reasons = []string{fmt.Sprintf("flow %q gives it: %s", r.Name, q.sayApproval(s, r))}
		return d
	}
	d.MaxExtensions, d.ExtensionDuration = r.Extensions.Max, r.Extensions.Duration
	if outcome == NeedsApproval {
		d.Approval = *r.Approval
		d.ApproverReason, d.SelfApproval = r.ApproverReason, r.SelfApproval
	}
	d.Reasons = []string{fmt.Sprintf("flow %q gives it: %s; %s", r.Name, q.sayRequestor(s, r), q.sayApproval(s, r))}
	return d
}

// String describes the approval for people.
func (a *Approval) String() string {
	parts := make([]string, len(a.Groups))
	for i := range a.Groups {
		parts[i] = a.Groups[i].String()
		if len(a.Groups) > 1 && len(a.Groups[i].Conditions) > 1 {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	word := " or "
	if a.Mode == AllOf {
		word = " and, each apart, "
	}
	return strings.Join(parts, word)
}
