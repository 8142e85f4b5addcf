package flow

import (
	"fmt"
	"slices"
	"strings"
)

// Report is what is wrong with a set in the world as it is.
type Report struct {
	// Errors are of flows that could never give anything: they are refused.
	Errors []Problem `json:"errors,omitempty"`
	// Warnings are of what is probably not meant.
	Warnings []Problem `json:"warnings,omitempty"`
}

// Problem is one thing that is wrong with a flow or a bundle.
type Problem struct {
	Flow    string `json:"flow,omitempty"`
	Bundle  string `json:"bundle,omitempty"`
	Path    string `json:"path"` // inside the flow: "approvers.groups[0]"
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// String gives the problem in one line.
func (p Problem) String() string {
	name := "flow " + p.Flow
	if p.Bundle != "" {
		name = "bundle " + p.Bundle
	}
	text := name + ": " + p.Path + ": " + p.Message
	if p.Hint != "" {
		text += "; " + p.Hint
	}
	return text
}

// maxProblems bounds a report.
const maxProblems = 1000

// Check looks at the set in the world as it is: the people of the facts, and all
// resources that integrations have discovered. A flow that is not active only warns.
func (s *Set) Check(facts Facts, resources []Resource) Report {
	c := &checker{set: s, facts: orUnknown(facts), byType: map[[2]string][]*Resource{}}
	for i := range resources {
		r := &resources[i]
		k := [2]string{r.Integration, r.Type}
		c.byType[k] = append(c.byType[k], r)
	}
	for i := range s.Bundles {
		c.flow, c.bundle, c.lenient = "", s.Bundles[i].Name, true
		c.targets(s.Bundles[i].Targets)
	}
	for i := range s.Flows {
		f := &s.Flows[i]
		c.flow, c.bundle, c.lenient = f.Name, "", !f.Active
		c.one(f)
	}
	return c.report
}

type checker struct {
	set    *Set
	facts  Facts
	byType map[[2]string][]*Resource
	report Report

	flow, bundle string
	lenient      bool
}

func (c *checker) fail(path, hint, format string, args ...any) {
	c.add(c.lenient, path, hint, format, args...)
}

func (c *checker) warn(path, hint, format string, args ...any) {
	c.add(true, path, hint, format, args...)
}

func (c *checker) add(warning bool, path, hint, format string, args ...any) {
	to := &c.report.Errors
	if warning {
		to = &c.report.Warnings
	}
	if len(*to) < maxProblems {
		*to = append(*to, Problem{Flow: c.flow, Bundle: c.bundle, Path: path, Message: fmt.Sprintf(format, args...), Hint: hint})
	}
}

func (c *checker) one(f *Flow) {
	matched := c.targets(f.Targets)
	requestors, open := c.people(&f.Requestors)
	if len(requestors) == 0 && !open {
		c.warn("requestors", "", "nobody known is one of them: %s", f.Requestors.String())
	}
	c.names("requestors", &f.Requestors)
	if f.RequestFor.Grantees != nil {
		c.names("request_for.grantees", f.RequestFor.Grantees)
	}
	if b := f.BreakGlass; b != nil {
		c.names("break_glass.who", &b.Who)
		for _, p := range b.Notify {
			if !c.reaches(p) {
				c.warn("break_glass.notify", "", "nobody known is %s %s, so nobody would hear of it", p.Kind, p.Value)
			}
		}
	}
	if f.Approval != nil {
		c.approval(f, requestors, open, matched)
	}
}

// targets warns of what lends nothing, and returns the resources that are lent.
func (c *checker) targets(targets []Target) (matched []*Resource) {
	for i := range targets {
		t, path := &targets[i], fmt.Sprintf("targets[%d]", i)
		if t.Bundle != "" {
			if b := c.set.Bundle(t.Bundle); b != nil {
				for j := range b.Targets {
					matched = append(matched, c.chosen(&b.Targets[j])...)
				}
			}
			continue
		}
		some := c.chosen(t)
		matched = append(matched, some...)
		switch all := c.byType[[2]string{t.Integration, t.ResourceType}]; {
		case len(all) == 0:
			c.warn(path, "check both names, or discover the integration first", "no resource of type %s is known in the integration %s", t.ResourceType, t.Integration)
		case len(some) == 0:
			c.warn(path, "", "none of the %d resources of type %s is chosen", len(all), t.ResourceType)
		default:
			for _, p := range t.Permissions {
				if !slices.ContainsFunc(some, func(r *Resource) bool { return slices.Contains(r.Permissions, p) }) {
					c.warn(path+".permissions", "they have "+strings.Join(some[0].Permissions, ", "), "none of the resources has the permission %q", p)
				}
			}
		}
	}
	return matched
}

func (c *checker) chosen(t *Target) (out []*Resource) {
	for _, r := range c.byType[[2]string{t.Integration, t.ResourceType}] {
		if t.chooses(r) {
			out = append(out, r)
		}
	}
	return out
}

// people lists who meets a group that is no group of approvers, as far as known.
func (c *checker) people(g *ApproverGroup) ([]Person, bool) {
	v := voting{d: &Decision{SelfApproval: true}, ask: &Ask{}, facts: c.facts}
	return v.known(g)
}

// names warns of people that the directory does not know and of groups without
// members.
func (c *checker) names(path string, g *ApproverGroup) {
	for i := range g.Conditions {
		cond, at := &g.Conditions[i], fmt.Sprintf("%s.conditions[%d]", path, i)
		if cond.Match != Is {
			continue
		}
		for _, v := range cond.Values {
			switch cond.Type {
			case TypeUser:
				switch p, ok := c.facts.Person(v); {
				case !ok:
					c.warn(at, "", "the directory does not know %s", v)
				case p.ID != v:
					c.warn(at, "write it like that", "the directory spells %s as %s", v, p.ID)
				case p.Disabled:
					c.warn(at, "", "%s is disabled", v)
				}
			case TypeGroup:
				if len(c.facts.Members(v)) == 0 {
					c.warn(at, "", "the group %s has no known members", v)
				}
			}
		}
	}
}

func (c *checker) reaches(p Principal) bool {
	if p.Kind == TypeGroup {
		return len(c.facts.Members(p.Value)) > 0
	}
	known, ok := c.facts.Person(p.Value)
	return ok && known.ID == p.Value && !known.Disabled
}

// maxPairs bounds how many requestors an approval is tried with.
const maxPairs = 100

// approval tries every known requestor, with the resources that are lent: a flow
// that none of them could get approved is refused, and one that some could not is
// warned of. Requestors who cannot be listed may always be somebody else.
func (c *checker) approval(f *Flow, requestors []Person, open bool, matched []*Resource) {
	for i := range f.Approval.Groups {
		path := fmt.Sprintf("approvers.groups[%d]", i)
		c.names(path, &f.Approval.Groups[i])
		c.anybody(path, &f.Approval.Groups[i])
	}
	for i := range f.Approval.Escalation {
		step := &f.Approval.Escalation[i]
		for j := range step.Groups {
			path := fmt.Sprintf("escalation[%d].groups[%d]", i, j)
			c.names(path, &step.Groups[j])
			c.anybody(path, &step.Groups[j])
		}
		if step.After >= f.LapseAfter {
			c.warn(fmt.Sprintf("escalation[%d].after", i), "make lapse_after longer", "requests end after %s, before this step", FormatDuration(f.LapseAfter))
		}
	}
	if open || len(requestors) == 0 {
		// Nobody in particular: whoever it is, they are not among the approvers.
		requestors = append(slices.Clip(requestors), Person{})
	}
	var stuck []string
	reason := ""
	tried := requestors[:min(len(requestors), maxPairs)]
	for i := range tried {
		if why := c.stuck(f, &tried[i], matched); why != "" {
			stuck = append(stuck, tried[i].ID)
			reason = why
		}
	}
	switch {
	case len(stuck) == 0:
	case len(stuck) == len(tried) && len(tried) == len(requestors):
		c.fail("approvers", "name approvers who exist and are not the requestors", "nobody could ever agree: %s", reason)
	default:
		c.warn("approvers", "", "nobody could agree to requests of %s: %s", strings.Join(stuck[:min(len(stuck), 5)], ", "), reason)
	}
}

// anybody warns of approvers that are all but some: that is hardly meant.
func (c *checker) anybody(path string, g *ApproverGroup) {
	negative := 0
	for i := range g.Conditions {
		if g.Conditions[i].negative() {
			negative++
		}
	}
	if negative == len(g.Conditions) || negative > 0 && g.Operator == Or {
		c.warn(path, "add a condition that says who", "anybody but a few can agree: %s", g.String())
	}
}

// stuck says why nobody could agree to what a person asks for; empty if somebody
// could. A person without an ID is one of those who cannot be listed.
func (c *checker) stuck(f *Flow, p *Person, matched []*Resource) string {
	a := &Ask{By: *p, For: *p}
	v := voting{d: &Decision{SelfApproval: f.SelfApproval}, ask: a, facts: c.facts}
	alive := func(g *ApproverGroup) string { return c.empty(v, g, matched) }
	first, dead := "", 0
	for i := range f.Approval.Groups {
		if why := alive(&f.Approval.Groups[i]); why != "" {
			dead++
			if first == "" {
				first = why
			}
		}
	}
	if dead == 0 || f.Approval.Mode == AnyOf && dead < len(f.Approval.Groups) {
		return ""
	}
	standIns := map[string]bool{}
	for i := range f.Approval.Escalation {
		for j := range f.Approval.Escalation[i].Groups {
			g := &f.Approval.Escalation[i].Groups[j]
			if alive(g) != "" {
				continue
			}
			known, open := v.known(g)
			if open || f.Approval.Mode == AnyOf {
				return ""
			}
			for k := range known {
				standIns[known[k].ID] = true
			}
			if slices.ContainsFunc(g.Conditions, func(c Condition) bool { return c.Type == TypeOwner || c.Type == TypeManager }) {
				return ""
			}
		}
	}
	if len(standIns) >= dead {
		return ""
	}
	return first
}

// empty says why nobody could ever be in a group; empty if somebody could.
func (c *checker) empty(v voting, g *ApproverGroup, matched []*Resource) string {
	needs := func(typ string) bool {
		return slices.ContainsFunc(g.Conditions, func(c Condition) bool { return c.Type == typ })
	}
	tries := []*Ask{v.ask}
	if needs(TypeOwner) && len(matched) > 0 {
		tries = tries[:0]
		for _, r := range matched[:min(len(matched), maxPairs)] {
			tries = append(tries, &Ask{By: v.ask.By, For: v.ask.For, Items: []Item{{Resource: *r}}})
		}
	}
	// Without resources or without a requestor nothing is known of owners and managers.
	unknown := needs(TypeOwner) && len(matched) == 0 || needs(TypeManager) && v.ask.For.ID == ""
	for _, a := range tries {
		v.ask = a
		known, open := v.known(g)
		if len(known) > 0 || open || unknown {
			return ""
		}
	}
	who := g.String()
	switch {
	case needs(TypeManager) && len(g.Conditions) == 1:
		return "no manager of " + v.ask.For.ID + " is known who could"
	case needs(TypeOwner) && len(g.Conditions) == 1:
		return "no resource that the flow lends has an owner who could"
	case v.ask.By.ID != "" && c.alone(v, g):
		return "the only one among " + who + " is the requester, and self approval is off"
	default:
		return "nobody known is " + who
	}
}

// alone reports whether a group has somebody once self approval is allowed.
func (c *checker) alone(v voting, g *ApproverGroup) bool {
	v.d = &Decision{SelfApproval: true}
	known, _ := v.known(g)
	return len(known) > 0
}
