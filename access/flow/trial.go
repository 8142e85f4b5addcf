package flow

import "time"

// Trial is what would happen to an ask, and why, for people who write flows.
type Trial struct {
	Decision Decision `json:"decision"`
	// Version is that of the flows that were asked; 0: they are a draft, in force nowhere.
	Version int `json:"version,omitempty"`
	// Flows are all flows in the order of their precedence.
	Flows []FlowTrial `json:"flows"`
	// Approvers are who would be asked by the flow that answers.
	Approvers []GroupTrial `json:"approvers,omitempty"`
}

// FlowTrial is what one flow says to an ask.
type FlowTrial struct {
	Flow     string  `json:"flow"`
	Priority int     `json:"priority,omitempty"`
	Outcome  Outcome `json:"outcome"` // by itself
	Answers  bool    `json:"answers"` // it is the one that decides
	Checks   []Check `json:"checks"`
}

// Check is one thing that a flow looks at.
type Check struct {
	// Name is active, targets, requestors, request_for, timeframe, duration,
	// justification or approval.
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

// GroupTrial is one group of approvers, with the people who could agree now.
type GroupTrial struct {
	Group ApproverGroup `json:"group"`
	Text  string        `json:"text"`
	// After is when the group may agree, counted from the time of asking; 0 for the
	// approvers that the flow names first.
	After  time.Duration   `json:"after,omitempty"`
	People []ApproverTrial `json:"people"`
	// Open is set where there may be more people than can be listed: who has an
	// attribute, who is on call.
	Open bool `json:"open,omitempty"`
}

// ApproverTrial is one person who could agree.
type ApproverTrial struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	Why  string `json:"why"`
}

// Test says what every flow makes of an ask and who could agree to it.
func (s *Set) Test(a Ask, facts Facts) Trial {
	facts = orUnknown(facts)
	t := Trial{Decision: s.Decide(a, facts), Version: s.Version, Flows: []FlowTrial{}}
	q := &question{ask: &a, facts: facts}
	if q.refuse() != "" {
		return t
	}
	for i := range s.rules {
		r := &s.rules[i]
		f := FlowTrial{Flow: r.Name, Priority: r.Priority, Outcome: q.outcome(r), Answers: r.Name == t.Decision.Flow}
		for _, st := range steps {
			ok := st.ok(q, s, r)
			if !ok {
				f.Outcome = Refused
			}
			f.Checks = append(f.Checks, Check{Name: st.name, OK: ok, Detail: st.say(q, s, r)})
		}
		t.Flows = append(t.Flows, f)
	}
	t.Approvers = t.Decision.Approvers(a, facts)
	return t
}

// Approvers lists who could agree to an ask under a decision, by group, those of the
// escalation last.
func (d Decision) Approvers(a Ask, facts Facts) []GroupTrial {
	if d.Outcome != NeedsApproval {
		return nil
	}
	v := voting{d: &d, ask: &a, facts: orUnknown(facts)}
	var out []GroupTrial
	add := func(g *ApproverGroup, after time.Duration) {
		people, open := v.known(g)
		t := GroupTrial{Group: *g, Text: g.String(), After: after, Open: open, People: []ApproverTrial{}}
		for i := range people {
			t.People = append(t.People, ApproverTrial{ID: people[i].ID, Name: people[i].Name, Why: g.why(&people[i], &a, v.facts)})
		}
		out = append(out, t)
	}
	for i := range d.Approval.Groups {
		add(&d.Approval.Groups[i], 0)
	}
	for _, step := range d.Approval.Escalation {
		for i := range step.Groups {
			add(&step.Groups[i], step.After)
		}
	}
	return out
}
