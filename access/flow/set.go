package flow

import (
	"cmp"
	"regexp"
	"slices"
)

// Set is the flows and bundles of one text, compiled. Its zero value gives nothing
// to anybody. It is not changed once it is made and is safe for concurrent use.
type Set struct {
	Flows   []Flow   `json:"flows"`
	Bundles []Bundle `json:"bundles,omitempty"`
	// Version goes into decisions; whoever keeps the text sets it before the first
	// question.
	Version int `json:"version,omitempty"`

	rules []rule // in the order of their precedence
	// byIntegration and byBundle index rules by what their targets name.
	byIntegration map[string][]int
	byBundle      map[string][]int
	bundles       map[string]*Bundle
}

// rule is a Flow, compiled.
type rule struct {
	*Flow
	window, autoWindow *window
	pattern            *regexp.Regexp
}

// New returns the set of flows and bundles; it owns them from then on. What they say
// by leaving out is filled in, so that equal flows are equal values. The error is
// Errors.
func New(flows []Flow, bundles []Bundle) (*Set, error) {
	s := &Set{Flows: flows, Bundles: bundles}
	for i := range s.Flows {
		s.Flows[i].fill()
	}
	v := &validator{}
	v.set(s)
	if len(v.errs) > 0 {
		return nil, v.errs
	}
	if err := s.compile(); err != nil {
		return nil, Errors{{Message: err.Error()}}
	}
	return s, nil
}

// fill writes out what holds where nothing is said. It writes nothing to a flow that
// was filled before, which other sets may be reading.
func (f *Flow) fill() {
	fillGroup(&f.Requestors)
	if f.RequestFor.Grantees != nil {
		fillGroup(f.RequestFor.Grantees)
	}
	if a := f.Approval; a != nil {
		if a.Mode == "" && len(a.Groups) == 1 {
			a.Mode = AnyOf
		}
		for i := range a.Groups {
			fillGroup(&a.Groups[i])
		}
		for i := range a.Escalation {
			for j := range a.Escalation[i].Groups {
				fillGroup(&a.Escalation[i].Groups[j])
			}
		}
	}
	if a := f.AutoApprove; a != nil {
		if a.When != nil {
			fillGroup(a.When)
		}
		a.Timeframe.fill()
	}
	if f.BreakGlass != nil {
		fillGroup(&f.BreakGlass.Who)
	}
	f.Timeframe.fill()
}

// fillGroup sets what one condition does not need and what a match is by default.
func fillGroup(g *ApproverGroup) {
	if g.Operator == "" && len(g.Conditions) == 1 {
		g.Operator = Or
	}
	for i := range g.Conditions {
		c := &g.Conditions[i]
		if c.Match == "" && c.Type != TypeOwner && c.Type != TypeManager {
			c.Match = Is
		}
	}
}

func (t *Timeframe) fill() {
	if t == nil {
		return
	}
	if t.wholeDay() && t.End != 0 {
		t.End = 0
	}
	if len(t.Days) == len(weekdays) {
		t.Days = nil
	}
}

func (s *Set) compile() error {
	s.byIntegration, s.byBundle, s.bundles = map[string][]int{}, map[string][]int{}, map[string]*Bundle{}
	for i := range s.Bundles {
		s.bundles[s.Bundles[i].Name] = &s.Bundles[i]
	}
	s.rules = make([]rule, len(s.Flows))
	for i := range s.Flows {
		f := &s.Flows[i]
		r := rule{Flow: f}
		var err error
		if r.window, err = compileTimeframe(f.Timeframe); err != nil {
			return err
		}
		if f.AutoApprove != nil {
			if r.autoWindow, err = compileTimeframe(f.AutoApprove.Timeframe); err != nil {
				return err
			}
		}
		if f.Justification.Pattern != "" {
			if r.pattern, err = regexp.Compile(f.Justification.Pattern); err != nil {
				return err
			}
		}
		s.rules[i] = r
	}
	slices.SortFunc(s.rules, func(a, b rule) int {
		return cmp.Or(cmp.Compare(b.Priority, a.Priority), cmp.Compare(a.Name, b.Name))
	})
	for i := range s.rules {
		for j := range s.rules[i].Targets {
			t := &s.rules[i].Targets[j]
			if t.Bundle != "" {
				s.byBundle[t.Bundle] = appendOnce(s.byBundle[t.Bundle], i)
			} else {
				s.byIntegration[t.Integration] = appendOnce(s.byIntegration[t.Integration], i)
			}
		}
	}
	return nil
}

func appendOnce(list []int, i int) []int {
	if n := len(list); n > 0 && list[n-1] == i {
		return list
	}
	return append(list, i)
}

// Flow returns the flow of a name, nil if there is none.
func (s *Set) Flow(name string) *Flow {
	for i := range s.Flows {
		if s.Flows[i].Name == name {
			return &s.Flows[i]
		}
	}
	return nil
}

// Bundle returns the bundle of a name, nil if there is none.
func (s *Set) Bundle(name string) *Bundle { return s.bundles[name] }

// Pick returns the set of the flows of some names, with the bundles that they lend; nil
// if there is none of a name.
func (s *Set) Pick(names ...string) *Set {
	var flows []Flow
	var bundles []Bundle
	have := map[string]bool{}
	for _, name := range names {
		f := s.Flow(name)
		if f == nil {
			return nil
		}
		flows = append(flows, *f)
		for i := range f.Targets {
			if b := s.bundles[f.Targets[i].Bundle]; b != nil && !have[b.Name] {
				have[b.Name] = true
				bundles = append(bundles, *b)
			}
		}
	}
	picked, err := New(flows, bundles)
	if err != nil {
		return nil // a name that is given twice
	}
	picked.Version = s.Version
	return picked
}

// BundleItems returns every permission on every resource that a bundle holds, in the
// order of its targets and then of the resources, each once.
func (s *Set) BundleItems(name string, resources []Resource) []Item {
	b := s.bundles[name]
	if b == nil {
		return nil
	}
	type key struct{ integration, typ, id, permission string }
	seen := map[key]bool{}
	var out []Item
	for i := range b.Targets {
		for j := range resources {
			for _, p := range b.Targets[i].Permissions {
				item := Item{Resource: resources[j], Permission: p}
				k := key{item.Resource.Integration, item.Resource.Type, item.Resource.ID, p}
				if !seen[k] && b.Targets[i].covers(&item) {
					seen[k] = true
					out = append(out, item)
				}
			}
		}
	}
	return out
}
