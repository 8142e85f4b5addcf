package flow

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// MayVote reports whether a person may agree to an ask, or deny it, when since has
// passed from the time of asking, and says why. Everything about the voter comes
// from the directory as it is now: who it does not know, or has shut out, never
// votes; nor do those who ask and for whom it is, unless the flow allows that.
func (d Decision) MayVote(p Person, a Ask, since time.Duration, facts Facts) (ok bool, why string) {
	if d.Outcome != NeedsApproval {
		return false, "nobody has to agree"
	}
	if d.LapseAfter > 0 && since >= d.LapseAfter {
		return false, "the request was not answered in time"
	}
	v := voting{d: &d, ask: &a, since: since, facts: orUnknown(facts)}
	voter, why := v.voter(p.ID)
	if voter == nil {
		return false, why
	}
	if g := v.group(voter); g != nil {
		return true, voter.ID + " is " + g.why(voter, &a, v.facts)
	}
	return false, voter.ID + " is not among the approvers: " + d.Approval.String()
}

// Tally counts votes when since has passed from the time of asking. A vote counts
// while its voter may still vote, once for each group that they meet. One denial
// denies. With any_of one group is enough; with all_of each is needed, and those of
// a step of the escalation that is due stand in for one group that has not agreed
// with each person: two requirements are never met by one person standing in.
func (d Decision) Tally(votes []Vote, a Ask, since time.Duration, facts Facts) Standing {
	switch d.Outcome {
	case AutoApproved:
		return Standing{Approved: true}
	case NeedsApproval:
	default:
		return Standing{}
	}
	v := voting{d: &d, ask: &a, since: since, facts: orUnknown(facts)}
	met := make([]bool, len(d.Approval.Groups))
	voted := make(map[string]bool, len(votes))
	standIns, denied := 0, false
	for i := range votes {
		voter, _ := v.voter(votes[i].By.ID)
		if voter == nil || v.group(voter) == nil {
			continue
		}
		if !votes[i].Approve {
			denied = true
			continue
		}
		if voted[voter.ID] {
			continue
		}
		voted[voter.ID] = true
		inBase := false
		for j := range d.Approval.Groups {
			if d.Approval.Groups[j].holds(voter, v.ask, v.facts) {
				met[j], inBase = true, true
			}
		}
		if !inBase {
			standIns++
		}
	}
	if denied {
		return Standing{Denied: true}
	}
	var s Standing
	for j, ok := range met {
		if !ok {
			s.Waiting = append(s.Waiting, d.Approval.Groups[j])
		}
	}
	switch d.Approval.Mode {
	case AnyOf:
		s.Approved = len(s.Waiting) < len(met) || standIns > 0
	case AllOf:
		s.Approved = len(met) > 0 && standIns >= len(s.Waiting)
	}
	if s.Approved {
		return Standing{Approved: true}
	}
	s.People = v.people(s.Waiting, voted)
	return s
}

// voting is one look at who may vote.
type voting struct {
	d     *Decision
	ask   *Ask
	since time.Duration
	facts Facts
}

// voter returns the person of an ID as the directory knows them now, nil if they
// cannot vote whatever the groups say.
func (v *voting) voter(id string) (*Person, string) {
	if id == "" {
		return nil, "nobody votes"
	}
	p, ok := v.facts.Person(id)
	switch {
	case !ok || !samePerson(p.ID, id):
		return nil, "the directory does not know " + id
	case p.Disabled:
		return nil, p.ID + " is disabled"
	case !v.d.SelfApproval && v.same(p.ID, v.ask.By.ID):
		return nil, p.ID + " asked for it, and nobody agrees to their own request here"
	case !v.d.SelfApproval && v.same(p.ID, v.ask.For.ID):
		return nil, "it is for " + p.ID + ", and nobody agrees to their own access here"
	}
	return &p, ""
}

// same reports whether a voter is the person of an ID, under any spelling that the
// directory takes for them.
func (v *voting) same(voter, id string) bool {
	if samePerson(voter, id) {
		return true
	}
	p, ok := v.facts.Person(id)
	return ok && samePerson(p.ID, voter)
}

// group returns the first group that a voter meets, of the approvers and of the steps
// of the escalation that are due.
func (v *voting) group(p *Person) *ApproverGroup {
	for i := range v.d.Approval.Groups {
		if g := &v.d.Approval.Groups[i]; g.holds(p, v.ask, v.facts) {
			return g
		}
	}
	return v.escalated(p)
}

func (v *voting) escalated(p *Person) *ApproverGroup {
	for i := range v.d.Approval.Escalation {
		step := &v.d.Approval.Escalation[i]
		if v.since < step.After {
			continue
		}
		for j := range step.Groups {
			if g := &step.Groups[j]; g.holds(p, v.ask, v.facts) {
				return g
			}
		}
	}
	return nil
}

// people are those known who can vote now and whose vote would count for what waits.
func (v *voting) people(waiting []ApproverGroup, voted map[string]bool) []string {
	groups := waiting
	for _, step := range v.d.Approval.Escalation {
		if v.since >= step.After {
			groups = append(slices.Clip(groups), step.Groups...)
		}
	}
	var ids []string
	for i := range groups {
		known, _ := v.known(&groups[i])
		for _, p := range known {
			if !voted[p.ID] {
				ids = append(ids, p.ID)
			}
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// known returns those people who are known to meet a group and may vote, sorted by
// ID, and whether there may be others: who has an attribute or is on call cannot be
// listed.
func (v *voting) known(g *ApproverGroup) (people []Person, open bool) {
	ids, open := candidates(g, v.ask, v.facts)
	for _, id := range ids {
		if p, _ := v.voter(id); p != nil && g.holds(p, v.ask, v.facts) {
			people = append(people, *p)
		}
	}
	slices.SortFunc(people, func(a, b Person) int { return strings.Compare(a.ID, b.ID) })
	return slices.CompactFunc(people, func(a, b Person) bool { return a.ID == b.ID }), open
}

// candidates lists everybody who could meet a group as far as they can be listed; some
// of them may not meet it.
func candidates(g *ApproverGroup, a *Ask, facts Facts) (ids []string, open bool) {
	listed := 0
	for i := range g.Conditions {
		some, ok := g.Conditions[i].list(a, facts)
		if ok {
			listed++
			ids = append(ids, some...)
		}
	}
	if g.Operator == And {
		return ids, listed == 0
	}
	return ids, listed < len(g.Conditions)
}

// list returns the people that a condition names, and false where they cannot be
// listed.
func (c *Condition) list(a *Ask, facts Facts) (ids []string, ok bool) {
	switch {
	case c.Type == TypeUser && (c.Match == Is || c.Match == ""):
		return c.Values, true
	case c.Type == TypeGroup && (c.Match == Is || c.Match == ""):
		for _, v := range c.Values {
			ids = append(ids, facts.Members(v)...)
		}
		return ids, true
	case c.Type == TypeManager && a != nil:
		if m := managerOf(a.For.ID, facts); m != "" {
			ids = append(ids, m)
		}
		return ids, true
	case c.Type == TypeOwner && a != nil:
		ok = true
		for i := range a.Items {
			for _, o := range ownersOf(&a.Items[i].Resource, facts) {
				switch o.Kind {
				case TypeUser:
					ids = append(ids, o.Value)
				case TypeGroup:
					ids = append(ids, facts.Members(o.Value)...)
				default:
					ok = false
				}
			}
		}
		return ids, ok
	}
	return nil, false
}

// why says by which condition somebody meets the group.
func (g *ApproverGroup) why(p *Person, a *Ask, facts Facts) string {
	if g.Operator == And {
		return "an approver: " + g.String()
	}
	for i := range g.Conditions {
		if g.Conditions[i].holds(p, a, facts) {
			return "an approver: " + g.Conditions[i].String()
		}
	}
	return "no approver"
}

// hopeless says why nobody could ever agree to an ask under a rule; empty if somebody
// might. It only sees what is certain: an empty group may fill, a manager who is
// not known does not turn up.
func (q *question) hopeless(r *rule) string {
	a := r.Approval
	if a == nil {
		return "nobody can agree"
	}
	first, dead := "", 0
	for i := range a.Groups {
		if why := q.dead(&a.Groups[i], r.SelfApproval); why != "" {
			dead++
			if first == "" {
				first = why
			}
		}
	}
	if dead == 0 || a.Mode == AnyOf && dead < len(a.Groups) {
		return ""
	}
	for i := range a.Escalation {
		for j := range a.Escalation[i].Groups {
			if q.dead(&a.Escalation[i].Groups[j], r.SelfApproval) == "" {
				return ""
			}
		}
	}
	return "nobody could agree: " + first
}

func (q *question) dead(g *ApproverGroup, self bool) string {
	all := ""
	for i := range g.Conditions {
		why := q.deadCondition(&g.Conditions[i], self)
		switch {
		case why == "" && g.Operator == Or:
			return ""
		case why != "" && g.Operator == And:
			return why
		case why != "" && all == "":
			all = why
		}
	}
	return all
}

func (q *question) deadCondition(c *Condition, self bool) string {
	barred := func(id string) bool {
		if p, ok := q.facts.Person(id); ok && p.Disabled {
			return true
		}
		return !self && (samePerson(id, q.ask.By.ID) || samePerson(id, q.ask.For.ID))
	}
	switch {
	case c.Type == TypeManager:
		switch m := managerOf(q.ask.For.ID, q.facts); {
		case m == "":
			return "no manager of " + q.ask.For.ID + " is known"
		case barred(m):
			return "the manager of " + q.ask.For.ID + " is " + m + ", who cannot agree to this"
		}
	case c.Type == TypeOwner:
		return q.deadOwner(barred)
	case c.Type == TypeUser && c.Match == Is && !slices.ContainsFunc(c.Values, func(id string) bool { return !barred(id) }):
		return strings.Join(c.Values, ", ") + " cannot agree to this"
	}
	return ""
}

// deadOwner says why no owner of all the items could agree.
func (q *question) deadOwner(barred func(string) bool) string {
	users := true
	for i := range q.ask.Items {
		owners := ownersOf(&q.ask.Items[i].Resource, q.facts)
		if len(owners) == 0 {
			return "no owner of " + q.ask.Items[i].Resource.Name + " is known"
		}
		users = users && !slices.ContainsFunc(owners, func(o Principal) bool { return o.Kind != TypeUser })
	}
	if !users || len(q.ask.Items) == 0 {
		return ""
	}
	for _, o := range ownersOf(&q.ask.Items[0].Resource, q.facts) {
		if !barred(o.Value) && ownsAll(&Person{ID: o.Value}, q.ask.Items, q.facts) {
			return ""
		}
	}
	return fmt.Sprintf("no one person owns all %d resources and may agree to this", len(q.ask.Items))
}
