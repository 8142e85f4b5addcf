package access

import (
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-project/gatehouse/access/flow"
)

// IsLive reports whether the target has to carry the grant.
func (g *Grant) IsLive() bool { return g.State == Provisioning || g.State == Active }

// Due is when a pending request has to be looked at: at its next escalation, or
// when it lapses. For any other it is zero.
func (r *Request) Due() time.Time {
	if r.State != Pending {
		return time.Time{}
	}
	if steps := r.Rule.Approval.Escalation; r.Escalated < len(steps) {
		if at := r.CreatedAt.Add(steps[r.Escalated].After); at.Before(r.LapsesAt) {
			return at
		}
	}
	return r.LapsesAt
}

// Due is when a grant has to be looked at: when its holder is to be told that the
// end is near, and when it ends. Zero for what is on its way out or gone.
func (g *Grant) Due() time.Time {
	switch {
	case !g.IsLive():
		return time.Time{}
	case g.State == Active && !g.TellAt.IsZero() && g.TellAt.Before(g.ExpiresAt):
		return g.TellAt
	default:
		return g.ExpiresAt
	}
}

// Holding is the share that a live grant has of the object of one of its items.
// While it is being put in place, the end is what it would be if it were there now.
func (g *Grant) Holding(item int, now time.Time) Holding {
	h := Holding{Grant: g.ID, Person: g.Person, Item: g.Items[item].Item, Expires: g.ExpiresAt}
	if g.State == Provisioning {
		h.Expires = now.Add(g.Duration)
	}
	return h
}

// ask is the question that the request was, as the flows take it.
func (r *Request) ask() flow.Ask {
	return flow.Ask{
		By: r.By, For: r.For, Items: r.Items, Bundle: r.Bundle, Duration: r.Duration,
		Justification: r.Justification, BreakGlass: r.BreakGlass, At: r.CreatedAt,
	}
}

func (r *Request) clone() *Request {
	c := *r
	c.Votes = slices.Clone(r.Votes)
	return &c
}

func (g *Grant) clone() *Grant {
	c := *g
	c.Items = slices.Clone(g.Items)
	return &c
}

// integrations are the names of the integrations of items, each once.
func integrations(items []flow.Item) []string {
	var out []string
	for i := range items {
		if name := items[i].Resource.Integration; !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// Integrations returns the names of the integrations that the request is of.
func (r *Request) Integrations() []string { return integrations(r.Items) }

// integrations are the names of the integrations that the grant is of, each once.
func (g *Grant) integrations() []string {
	var out []string
	for i := range g.Items {
		if name := g.Items[i].Resource.Integration; !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// covers reports whether a stop reaches an item of a person.
func (s StopScope) covers(person string, item *flow.Item) bool {
	switch s.Kind {
	case "all":
		return true
	case "person":
		return samePerson(s.Person, person)
	case "integration":
		return s.Integration == item.Resource.Integration
	case "resource":
		return s.Integration == item.Resource.Integration && s.Resource == item.Resource.ID
	default:
		// A scope that this version does not know stops everything rather than nothing.
		return true
	}
}

// Title names what was asked for: "edit on prod-1 / payments and 2 more".
func (r *Request) Title() string {
	if r.Bundle != "" {
		return "bundle " + r.Bundle
	}
	return title(len(r.Items), func(i int) *flow.Item { return &r.Items[i] })
}

// Title names what is lent: "edit on prod-1 / payments and 2 more".
func (g *Grant) Title() string {
	return title(len(g.Items), func(i int) *flow.Item { return &g.Items[i].Item })
}

func title(n int, item func(int) *flow.Item) string {
	if n == 0 {
		return "nothing"
	}
	first := item(0)
	where := first.Resource.Path
	if where == "" {
		where = first.Resource.Integration + " / " + first.Resource.ID
	}
	text := first.Permission + " on " + where
	if n > 1 {
		text += " and " + strconv.Itoa(n-1) + " more"
	}
	return text
}
