package flow

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Format writes a set as YAML that Parse reads back as the same set. What holds
// where nothing is said is left out.
func (s *Set) Format() []byte {
	n := s.Node()
	if len(n.Content) == 0 {
		return []byte("flows: []\n")
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(n); err != nil {
		panic(fmt.Sprintf("writing flows: %v", err)) // the nodes are ours: only a defect gets here
	}
	return b.Bytes()
}

// Node is the mapping that Format writes, for those who put more beside it.
func (s *Set) Node() *yaml.Node {
	root := newMapping()
	if len(s.Flows) > 0 {
		list := newList()
		for i := range s.Flows {
			list.add(s.Flows[i].node())
		}
		root.put("flows", list.n)
	}
	if len(s.Bundles) > 0 {
		list := newList()
		for i := range s.Bundles {
			list.add(s.Bundles[i].node())
		}
		root.put("bundles", list.n)
	}
	return root.n
}

type mapping struct{ n *yaml.Node }

func newMapping() mapping { return mapping{&yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}} }

type list struct{ n *yaml.Node }

func newList() list { return list{&yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}} }

func (l list) add(n *yaml.Node) { l.n.Content = append(l.n.Content, n) }

func textNode(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

func (m mapping) put(key string, value *yaml.Node) {
	m.n.Content = append(m.n.Content, textNode(key), value)
}

func (m mapping) text(key, s string) {
	if s != "" {
		m.put(key, textNode(s))
	}
}

func (m mapping) texts(key string, values []string) {
	if len(values) == 0 {
		return
	}
	l := newList()
	short := 0
	for _, v := range values {
		l.add(textNode(v))
		short += len(v) + 2
	}
	if short < 80 {
		l.n.Style = yaml.FlowStyle
	}
	m.put(key, l.n)
}

func (m mapping) truth(key string, b bool) {
	m.put(key, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(b)})
}

func (m mapping) number(key string, i int) {
	if i != 0 {
		m.put(key, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(i)})
	}
}

func (m mapping) duration(key string, d time.Duration) {
	if d != 0 {
		m.text(key, FormatDuration(d))
	}
}

func (f *Flow) node() *yaml.Node {
	m := newMapping()
	m.text("name", f.Name)
	m.text("description", f.Description)
	if !f.Active {
		m.truth("active", false)
	}
	m.number("priority", f.Priority)
	m.texts("labels", f.Labels)
	m.put("requestors", f.Requestors.node())
	if len(f.RequestFor.Scopes) != 1 || f.RequestFor.Scopes[0] != ForSelf {
		r := newMapping()
		r.texts("scopes", f.RequestFor.Scopes)
		if f.RequestFor.Grantees != nil {
			r.put("grantees", f.RequestFor.Grantees.node())
		}
		m.put("request_for", r.n)
	}
	m.put("targets", targetNodes(f.Targets))
	if a := f.Approval; a != nil {
		m.put("approvers", a.node())
		if len(a.Escalation) > 0 {
			l := newList()
			for i := range a.Escalation {
				s := newMapping()
				s.duration("after", a.Escalation[i].After)
				s.put("groups", groupNodes(a.Escalation[i].Groups))
				l.add(s.n)
			}
			m.put("escalation", l.n)
		}
	}
	if f.AutoApprove != nil {
		f.AutoApprove.put(m)
	}
	d := newMapping()
	d.duration("max", f.Duration.Max)
	d.duration("default", f.Duration.Default)
	m.put("duration", d.n)
	if f.Extensions.Max != 0 {
		e := newMapping()
		e.number("max", f.Extensions.Max)
		e.duration("duration", f.Extensions.Duration)
		m.put("extensions", e.n)
	}
	if f.Timeframe != nil {
		m.put("timeframe", f.Timeframe.node())
	}
	if j := f.Justification; !j.Required || j.Pattern != "" {
		n := newMapping()
		if !j.Required {
			n.truth("required", false)
		}
		n.text("pattern", j.Pattern)
		m.put("justification", n.n)
	}
	if f.ApproverReason {
		m.truth("approver_reason", true)
	}
	if f.SelfApproval {
		m.truth("self_approval", true)
	}
	if f.BreakGlass != nil {
		m.put("break_glass", f.BreakGlass.node())
	}
	if f.LapseAfter != DefaultLapseAfter {
		m.duration("lapse_after", f.LapseAfter)
	}
	return m.n
}

func (b *Bundle) node() *yaml.Node {
	m := newMapping()
	m.text("name", b.Name)
	m.text("description", b.Description)
	m.put("targets", targetNodes(b.Targets))
	return m.n
}

func (a *Approval) node() *yaml.Node {
	m := newMapping()
	m.text("mode", string(a.Mode))
	m.put("groups", groupNodes(a.Groups))
	return m.n
}

func groupNodes(groups []ApproverGroup) *yaml.Node {
	l := newList()
	for i := range groups {
		l.add(groups[i].node())
	}
	return l.n
}

func (g *ApproverGroup) node() *yaml.Node {
	m := newMapping()
	m.text("operator", g.Operator)
	l := newList()
	for i := range g.Conditions {
		l.add(g.Conditions[i].node())
	}
	m.put("conditions", l.n)
	return m.n
}

func (c *Condition) node() *yaml.Node {
	m := newMapping()
	m.text("type", c.Type)
	m.text("name", c.Name)
	if c.Match != Is {
		m.text("match", c.Match)
	}
	m.texts("values", c.Values)
	return m.n
}

func targetNodes(targets []Target) *yaml.Node {
	l := newList()
	for i := range targets {
		t, m := &targets[i], newMapping()
		m.text("bundle", t.Bundle)
		m.text("integration", t.Integration)
		m.text("resource_type", t.ResourceType)
		m.texts("permissions", t.Permissions)
		for _, f := range []struct {
			key     string
			filters []Filter
		}{{"include", t.Include}, {"exclude", t.Exclude}} {
			if len(f.filters) > 0 {
				m.put(f.key, filterNodes(f.filters, true))
			}
		}
		l.add(m.n)
	}
	return l.n
}

func filterNodes(filters []Filter, typed bool) *yaml.Node {
	l := newList()
	for i := range filters {
		m := newMapping()
		if typed {
			m.text("type", filters[i].Type)
		}
		m.text("key", filters[i].Key)
		m.texts("values", filters[i].Values)
		l.add(m.n)
	}
	return l.n
}

func (a *AutoApprove) put(m mapping) {
	if a.Always {
		m.truth("auto_approve", true)
		return
	}
	n := newMapping()
	if a.When != nil {
		n.put("when", a.When.node())
	}
	if len(a.Tags) > 0 {
		n.put("tags", filterNodes(a.Tags, false))
	}
	n.duration("duration_at_most", a.DurationAtMost)
	if a.Timeframe != nil {
		n.put("timeframe", a.Timeframe.node())
	}
	m.put("auto_approve", n.n)
}

func (t *Timeframe) node() *yaml.Node {
	m := newMapping()
	names := make([]string, len(t.Days))
	for i, d := range t.Days {
		names[i] = strings.ToLower(d.String())
	}
	m.texts("days", names)
	if !t.wholeDay() {
		m.text("start", FormatClock(t.Start))
		m.text("end", FormatClock(t.End))
	}
	m.text("time_zone", t.TimeZone)
	return m.n
}

func (b *BreakGlass) node() *yaml.Node {
	m := newMapping()
	m.put("who", b.Who.node())
	m.duration("max_duration", b.MaxDuration)
	l := newList()
	for _, p := range b.Notify {
		n := newMapping()
		n.text("kind", p.Kind)
		n.text("value", p.Value)
		l.add(n.n)
	}
	m.put("notify", l.n)
	return m.n
}
