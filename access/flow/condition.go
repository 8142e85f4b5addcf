package flow

import (
	"slices"
	"strings"
)

// Types of conditions.
const (
	TypeUser      = "user"
	TypeGroup     = "group"
	TypeAttribute = "attribute"
	TypeSchedule  = "schedule"
	TypeOwner     = "owner"
	TypeManager   = "manager"
)

// How a condition compares. The positive ones compare with case and the negative
// ones without: whatever is in doubt never lets anybody in. A negative one does not
// hold for somebody of whom nothing is known: who has no groups at all is not
// "not in contractors".
const (
	Is             = "is"
	IsNot          = "is_not"
	Contains       = "contains"
	DoesNotContain = "does_not_contain"
	StartsWith     = "starts_with"
)

// Operators join conditions.
const (
	And = "and"
	Or  = "or"
)

// holds reports whether a person meets the group alone. Without an ask nobody is
// an owner or a manager.
func (g *ApproverGroup) holds(p *Person, a *Ask, facts Facts) bool {
	if len(g.Conditions) == 0 || p.ID == "" {
		return false
	}
	switch g.Operator {
	case And:
		for i := range g.Conditions {
			if !g.Conditions[i].holds(p, a, facts) {
				return false
			}
		}
		return true
	case Or:
		for i := range g.Conditions {
			if g.Conditions[i].holds(p, a, facts) {
				return true
			}
		}
	}
	return false
}

func (c *Condition) holds(p *Person, a *Ask, facts Facts) bool {
	switch c.Type {
	case TypeUser:
		id := [1]string{p.ID}
		return compare(c.Match, c.Values, id[:])
	case TypeGroup:
		return compare(c.Match, c.Values, p.Groups)
	case TypeAttribute:
		return compare(c.Match, c.Values, p.Attributes[c.Name])
	case TypeSchedule:
		for _, v := range c.Values {
			if facts.OnCall(v, p.ID) {
				return true
			}
		}
	case TypeOwner:
		return a != nil && ownsAll(p, a.Items, facts)
	case TypeManager:
		return a != nil && isManager(p, a.For.ID, facts)
	}
	return false
}

func (c *Condition) negative() bool { return c.Match == IsNot || c.Match == DoesNotContain }

func compare(match string, values, have []string) bool {
	if len(values) == 0 || len(have) == 0 {
		return false
	}
	for _, v := range values {
		for _, h := range have {
			var met bool
			switch match {
			case Is, "":
				met = v == h
			case Contains:
				met = strings.Contains(h, v)
			case StartsWith:
				met = strings.HasPrefix(h, v)
			case IsNot:
				if strings.EqualFold(v, h) {
					return false
				}
			case DoesNotContain:
				if strings.Contains(strings.ToLower(h), strings.ToLower(v)) {
					return false
				}
			default:
				return false
			}
			if met {
				return true
			}
		}
	}
	return match == IsNot || match == DoesNotContain
}

// OwnerFacts is what Facts may also answer: who owns a resource now. Without it the
// owners are those that the ask was made with.
type OwnerFacts interface {
	Owners(r Resource) []Principal
}

func ownersOf(r *Resource, facts Facts) []Principal {
	if f, ok := facts.(OwnerFacts); ok {
		return f.Owners(*r)
	}
	return r.Owners
}

// ownsAll reports whether a person owns every resource: one who owns a part of what
// is asked for cannot agree to the rest.
func ownsAll(p *Person, items []Item, facts Facts) bool {
	for i := range items {
		if !slices.ContainsFunc(ownersOf(&items[i].Resource, facts), func(o Principal) bool { return o.names(p, facts) }) {
			return false
		}
	}
	return len(items) > 0
}

// names reports whether the principal is the person or has them among it.
func (o Principal) names(p *Person, facts Facts) bool {
	if o.Value == "" || p.ID == "" {
		return false
	}
	switch o.Kind {
	case TypeUser:
		return o.Value == p.ID
	case TypeGroup:
		return slices.Contains(p.Groups, o.Value)
	case TypeSchedule:
		return facts.OnCall(o.Value, p.ID)
	default:
		return slices.Contains(p.Attributes[o.Kind], o.Value)
	}
}

// managerOf returns the ID of a person's manager as the directory spells it.
func managerOf(person string, facts Facts) string {
	p, ok := facts.Person(person)
	if !ok || p.Manager == "" {
		return ""
	}
	if m, ok := facts.Person(p.Manager); ok {
		return m.ID
	}
	return p.Manager
}

func isManager(p *Person, of string, facts Facts) bool {
	m := managerOf(of, facts)
	return m != "" && m == p.ID
}

// samePerson compares IDs without case, for an identity provider signs one person in
// however they spell themselves. It is used only where being the same forbids.
func samePerson(a, b string) bool { return strings.EqualFold(a, b) }

// String describes the group for people.
func (g *ApproverGroup) String() string {
	parts := make([]string, len(g.Conditions))
	for i := range g.Conditions {
		parts[i] = g.Conditions[i].String()
	}
	if len(parts) == 0 {
		return "nobody"
	}
	return strings.Join(parts, " "+g.Operator+" ")
}

// String describes the condition for people.
func (c *Condition) String() string {
	values := strings.Join(c.Values, ", ")
	if len(c.Values) > 1 {
		values = "one of " + values
	}
	match := c.Match
	if match == "" {
		match = Is
	}
	match = strings.ReplaceAll(match, "_", " ")
	switch c.Type {
	case TypeOwner:
		return "the owner"
	case TypeManager:
		return "the manager"
	case TypeSchedule:
		return "on call in " + values
	case TypeAttribute:
		return c.Name + " " + match + " " + values
	case TypeUser, TypeGroup:
		if match == Is {
			if c.Type == TypeUser {
				return values
			}
			return "group " + values
		}
		return c.Type + " " + match + " " + values
	default:
		return c.Type
	}
}
