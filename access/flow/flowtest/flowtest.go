// Package flowtest draws flows for tests of those who read and write them.
package flowtest

import (
	"fmt"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/access/flow"
)

// Words are texts that are hard to write in YAML and in Terraform.
var Words = []string{
	"a", "payments", "prod-1", "null", "~", "true", "yes", "007", "1e3", "09:00", "- x", "a: b", "# no", "'", `"`, `\`, `\n`,
	"${var.x}", "%{ if true }", "$${x}", "é", "名前", "x y", "{a}", "[b]", "*", "&a", "!b", "|", ">", "@c", "`", "2026-01-01", "a,b", "=", "<<", "$", "%%{x}",
}

func word(t *rapid.T, label string) string { return rapid.SampledFrom(Words).Draw(t, label) }

func words(t *rapid.T, label string, least int) []string {
	return rapid.SliceOfNDistinct(rapid.SampledFrom(Words), least, 3, rapid.ID[string]).Draw(t, label)
}

// span draws a duration, in whole minutes or not.
func span(t *rapid.T, label string, most time.Duration) time.Duration {
	unit := rapid.SampledFrom([]time.Duration{time.Minute, time.Minute, time.Second, time.Hour}).Draw(t, label+" unit")
	if unit > most {
		unit = time.Second
	}
	return unit * time.Duration(rapid.Int64Range(1, int64(min(most/unit, 3000))).Draw(t, label))
}

func group(t *rapid.T, approvers bool) flow.ApproverGroup {
	kinds := []string{flow.TypeUser, flow.TypeGroup, flow.TypeAttribute, flow.TypeSchedule}
	if approvers {
		kinds = append(kinds, flow.TypeOwner, flow.TypeManager)
	}
	g := flow.ApproverGroup{Operator: rapid.SampledFrom([]string{flow.And, flow.Or}).Draw(t, "operator")}
	for range rapid.IntRange(1, 3).Draw(t, "conditions") {
		c := flow.Condition{Type: rapid.SampledFrom(kinds).Draw(t, "type"), Match: flow.Is}
		switch c.Type {
		case flow.TypeOwner, flow.TypeManager:
			c.Match = ""
		case flow.TypeSchedule:
			c.Values = words(t, "schedules", 1)
		default:
			if c.Type == flow.TypeAttribute {
				c.Name = word(t, "attribute")
			}
			c.Match = rapid.SampledFrom([]string{flow.Is, flow.IsNot, flow.Contains, flow.DoesNotContain, flow.StartsWith}).Draw(t, "match")
			c.Values = words(t, "values", 1)
		}
		g.Conditions = append(g.Conditions, c)
	}
	return g
}

func groups(t *rapid.T) (out []flow.ApproverGroup) {
	for range rapid.IntRange(1, 2).Draw(t, "groups") {
		out = append(out, group(t, true))
	}
	return out
}

func filters(t *rapid.T, label string) (out []flow.Filter) {
	for range rapid.IntRange(0, 2).Draw(t, label) {
		f := flow.Filter{Type: rapid.SampledFrom([]string{flow.FilterName, flow.FilterID, flow.FilterTag}).Draw(t, "filter"), Values: words(t, "filter values", 1)}
		if f.Type == flow.FilterTag {
			f.Key = word(t, "key")
		}
		out = append(out, f)
	}
	return out
}

func target(t *rapid.T) flow.Target {
	return flow.Target{
		Integration: word(t, "integration"), ResourceType: word(t, "resource type"), Permissions: words(t, "permissions", 1),
		Include: filters(t, "include"), Exclude: filters(t, "exclude"),
	}
}

func timeframe(t *rapid.T) *flow.Timeframe {
	f := &flow.Timeframe{
		Days:     rapid.SliceOfNDistinct(rapid.SampledFrom([]time.Weekday{0, 1, 2, 3, 4, 5, 6}), 0, 7, rapid.ID[time.Weekday]).Draw(t, "days"),
		TimeZone: rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York"}).Draw(t, "zone"),
		Start:    rapid.IntRange(0, 24*60-1).Draw(t, "start"), End: rapid.IntRange(0, 24*60).Draw(t, "end"),
	}
	if f.Start == f.End {
		f.Start, f.End = 0, 0
	}
	return f
}

// Set draws flows and bundles of every shape that is valid.
func Set(t *rapid.T) *flow.Set {
	n := rapid.IntRange(0, 2).Draw(t, "bundles")
	bundles := make([]flow.Bundle, 0, n)
	for i := range n {
		bundles = append(bundles, flow.Bundle{
			Name:        fmt.Sprintf("%s-%d", word(t, "bundle"), i),
			Description: rapid.SampledFrom([]string{"", "what is on call", " two\nlines\n"}).Draw(t, "description"),
			Targets:     []flow.Target{target(t)},
		})
	}
	n = rapid.IntRange(0, 3).Draw(t, "flows")
	flows := make([]flow.Flow, 0, n)
	for i := range n {
		flows = append(flows, one(t, i, bundles))
	}
	s, err := flow.New(flows, bundles)
	if err != nil {
		t.Fatalf("the flows that were drawn: %v", err)
	}
	return s
}

func one(t *rapid.T, i int, bundles []flow.Bundle) flow.Flow {
	maybe := func(label string) bool { return rapid.Bool().Draw(t, label) }
	f := flow.Flow{
		Name:           fmt.Sprintf("%s-%d", word(t, "name"), i),
		Description:    rapid.SampledFrom([]string{"", "text", "a\nb", "\ttab", "# x: y"}).Draw(t, "description"),
		Active:         maybe("active"),
		Priority:       rapid.IntRange(-2, 2).Draw(t, "priority"),
		Labels:         words(t, "labels", 0),
		Requestors:     group(t, false),
		RequestFor:     flow.RequestFor{Scopes: rapid.SampledFrom([][]string{{flow.ForSelf}, {flow.ForDirectReports}, {flow.ForSelf, flow.ForOthers}, {flow.ForOthers}}).Draw(t, "for")},
		Targets:        []flow.Target{target(t)},
		Duration:       flow.Duration{Max: span(t, "max", 240*time.Hour)},
		Justification:  flow.Justification{Required: maybe("justification")},
		ApproverReason: maybe("reason"), SelfApproval: maybe("self"),
		LapseAfter: flow.DefaultLapseAfter,
	}
	if strings.Contains(strings.Join(f.RequestFor.Scopes, " "), flow.ForOthers) {
		g := group(t, false)
		f.RequestFor.Grantees = &g
	}
	if len(bundles) > 0 && maybe("bundle") {
		f.Targets = append(f.Targets, flow.Target{Bundle: bundles[0].Name})
	}
	if maybe("default") {
		f.Duration.Default = span(t, "default", f.Duration.Max)
	}
	if maybe("extensions") {
		f.Extensions = flow.Extensions{Max: rapid.IntRange(1, 3).Draw(t, "extensions"), Duration: span(t, "extension", time.Hour)}
	}
	if maybe("timeframe") {
		f.Timeframe = timeframe(t)
	}
	if f.Justification.Required && maybe("pattern") {
		f.Justification.Pattern = `^[A-Z]+-\d+: "x"`
	}
	if maybe("lapse") {
		f.LapseAfter = span(t, "lapse", time.Hour)
	}
	if maybe("approval") {
		f.Approval = &flow.Approval{Mode: rapid.SampledFrom([]flow.Mode{flow.AnyOf, flow.AllOf}).Draw(t, "mode"), Groups: groups(t)}
		every := time.Duration(rapid.SampledFrom([]int{1, 30, 90}).Draw(t, "every")) * time.Minute
		odd := maybe("odd times")
		for j := range rapid.IntRange(0, 2).Draw(t, "steps") {
			s := flow.EscalationStep{After: every * time.Duration(j+1), Groups: groups(t)}
			if odd {
				s.After += time.Duration(j+1) * 7 * time.Second
			}
			f.Approval.Escalation = append(f.Approval.Escalation, s)
		}
	}
	switch {
	case f.Approval == nil && maybe("always"):
		f.AutoApprove = &flow.AutoApprove{Always: true}
	case f.Approval == nil || maybe("auto"):
		g := group(t, false)
		f.AutoApprove = &flow.AutoApprove{When: &g}
		if maybe("tags") {
			f.AutoApprove.Tags = []flow.Filter{{Type: flow.FilterTag, Key: word(t, "key"), Values: words(t, "tag", 1)}}
		}
		if maybe("short") {
			f.AutoApprove.DurationAtMost = f.Duration.Max
		}
		if maybe("hours") {
			f.AutoApprove.Timeframe = timeframe(t)
		}
	}
	if maybe("glass") {
		f.BreakGlass = &flow.BreakGlass{Who: group(t, false), MaxDuration: span(t, "glass", f.Duration.Max), Notify: []flow.Principal{{Kind: flow.TypeGroup, Value: word(t, "notify")}}}
	}
	return f
}
