package iam

import (
	"fmt"
	"strings"
)

// Trace tells of one statement whether it speaks of a request and, if not, which
// of its elements does not.
type Trace struct {
	Layer     Layer  `json:"layer"`
	Policy    string `json:"policy"`
	Statement int    `json:"statement"`
	Sid       string `json:"sid,omitempty"`
	Effect    Effect `json:"effect"`
	Applies   bool   `json:"applies"`
	Because   string `json:"because"`
}

// Verdict is what a layer says of a request.
type Verdict struct {
	Layer Layer `json:"layer"`
	// Says is "allows", "denies", "silent", "absent", or "not asked" where a layer
	// has no say in this kind of request.
	Says string `json:"says"`
	// Missing is set where the layer must allow and does not.
	Missing bool `json:"missing,omitempty"`
}

// Explanation is a decision told whole.
type Explanation struct {
	Decision Decision  `json:"decision"`
	Summary  string    `json:"summary"`
	Message  string    `json:"message,omitempty"`
	Advice   string    `json:"advice,omitempty"`
	Layers   []Verdict `json:"layers"`
	Traces   []Trace   `json:"statements"`
}

// Explain decides the case and tells of every layer and statement what it says.
func (c *Case) Explain() *Explanation {
	r := Evaluate(&c.Policies, c.Query)
	x := &Explanation{Decision: r.Decision, Message: r.Message(), Advice: r.Advice(), Traces: []Trace{}}
	q := c.Query
	e := evaluation{policies: &c.Policies, query: q, result: r}
	who := q.who.String()
	may := map[Decision]string{Allowed: "may", ImplicitDeny: "may not", ExplicitDeny: "must not"}[r.Decision]
	x.Summary = fmt.Sprintf("%s %s perform %s on %s.", who, may, q.request.Action, q.resource)
	for l := range layerCount {
		attached := c.Policies.layer(l)
		v := Verdict{Layer: l, Says: "absent", Missing: r.Decision == ImplicitDeny && r.lack.has(l)}
		asked := e.asks(l)
		switch {
		case len(attached) > 0 && asked:
			v.Says = "silent"
		case len(attached) > 0:
			v.Says = "not asked"
		}
		for _, a := range attached {
			for i := range a.Policy.statements {
				s := &a.Policy.statements[i]
				t := Trace{Layer: l, Policy: a.Name, Statement: i, Sid: s.sid, Effect: Allow}
				if s.deny {
					t.Effect = Deny
				}
				t.Because = "this layer has no say here"
				if asked {
					t.Because, t.Applies = s.why(q, q.seenBy(l), c.Policies.Boundary.Policy != nil)
				}
				switch {
				case t.Applies && s.deny:
					v.Says = "denies"
				case t.Applies && v.Says == "silent":
					v.Says = "allows"
				}
				x.Traces = append(x.Traces, t)
			}
		}
		x.Layers = append(x.Layers, v)
	}
	return x
}

// asks reports whether a layer has a say in the request.
func (e *evaluation) asks(l Layer) bool {
	q := e.query
	if q.executeAPI && l == LayerResource && q.api != REST {
		return false
	}
	if q.executeAPI && (q.auth != AuthIAM || q.who.Kind == PrincipalAnonymous) {
		return q.auth != AuthIAM && (l == LayerVPCEndpoint || l == LayerResource || l == LayerIdentity && q.auth == AuthLambda)
	}
	switch l {
	case LayerSCP:
		return e.asksSCPs(&q.who)
	case LayerRCP:
		return e.asksRCPs()
	default:
		return true
	}
}

// layer returns the policies of a layer.
func (p *Policies) layer(l Layer) []Attached {
	one := func(a Attached) []Attached {
		if a.Policy == nil {
			return nil
		}
		return []Attached{a}
	}
	var levels [][]Attached
	switch l {
	case LayerSCP:
		levels = p.SCPs
	case LayerRCP:
		levels = p.RCPs
	case LayerVPCEndpoint:
		return one(p.VPCEndpoint)
	case LayerBoundary:
		return one(p.Boundary)
	case LayerSession:
		return p.Session
	case LayerIdentity:
		return p.Identity
	default:
		return one(p.Resource)
	}
	var all []Attached
	for _, level := range levels {
		all = append(all, level...)
	}
	return all
}

// seenBy is who a layer takes the caller for: without IAM authorization a
// resource policy sees an anonymous one.
func (q *Query) seenBy(l Layer) *Principal {
	if q.auth != AuthIAM && l != LayerVPCEndpoint {
		return &anonymous
	}
	return &q.who
}

// why is applies, in words.
func (s *statement) why(q *Query, who *Principal, limited bool) (because string, applies bool) {
	switch {
	case s.matchesAction(q) == s.notAction:
		if s.notAction {
			return "NotAction leaves " + q.request.Action + " out", false
		}
		return "Action does not name " + q.request.Action, false
	case s.byPrincipal && named(s.principals, who) == 0:
		return "Principal does not name " + who.String(), false
	case s.notPrincipal && s.exempts(who, limited):
		return "NotPrincipal leaves " + who.String() + " out", false
	case !s.matchesResource(q):
		if s.notResource {
			return "NotResource leaves " + q.resource + " out", false
		}
		return "Resource does not match " + q.resource, false
	}
	for i := range s.conditions {
		if c := &s.conditions[i]; !c.holds(q) {
			has := "the request does not have the key"
			if given := q.context[c.key]; len(given) > 0 {
				has = "the request has " + strings.Join(given, ", ")
			}
			return fmt.Sprintf("%s of %s is not met: %s", c.source.Operator, c.source.Key, has), false
		}
	}
	if s.byPrincipal && !s.deny && named(s.principals, who) == grantAccount {
		return "every element matches; naming the account leaves it to the account's own policies", true
	}
	return "every element matches", true
}
