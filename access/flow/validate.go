package flow

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Bounds of single values.
const (
	maxName        = 200
	maxValue       = 1000
	maxDescription = 4000
	maxList        = 10_000
)

// validator collects what no flow may be, whatever the facts.
type validator struct {
	errs Errors
	name string // of the flow or bundle in hand
}

func (v *validator) fail(path, hint, format string, args ...any) {
	if len(v.errs) < maxErrors {
		v.errs = append(v.errs, &Error{Path: path, Name: v.name, Message: fmt.Sprintf(format, args...), Hint: hint})
	}
}

func (v *validator) set(s *Set) {
	seen := map[string]bool{}
	for i := range s.Bundles {
		b, path := &s.Bundles[i], "bundles["+strconv.Itoa(i)+"]"
		v.header("bundle", path, b.Name, b.Description, seen)
		v.targets(path, b.Targets, nil)
	}
	bundles := seen
	seen = map[string]bool{}
	for i := range s.Flows {
		f, path := &s.Flows[i], "flows["+strconv.Itoa(i)+"]"
		v.header("flow", path, f.Name, f.Description, seen)
		v.targets(path, f.Targets, bundles)
		v.flow(path, f)
	}
	v.name = ""
}

func (v *validator) header(kind, path, name, description string, seen map[string]bool) {
	v.name = ""
	if name != "" {
		v.name = kind + " " + strconv.Quote(name)
	}
	v.text(path+".name", name, maxName)
	if name != strings.TrimSpace(name) {
		v.fail(path+".name", "", "begins or ends with a blank")
	}
	if seen[name] {
		v.fail(path+".name", "names are unique", "there are two of the name %q", name)
	}
	seen[name] = true
	if !printable(description, true) || len(description) > maxDescription {
		v.fail(path+".description", "", "must be text of at most %d bytes without control characters", maxDescription)
	}
}

// text checks a value that has to be there.
func (v *validator) text(path, s string, most int) {
	switch {
	case s == "":
		v.fail(path, "", "is missing")
	case len(s) > most:
		v.fail(path, "", "is longer than %d bytes", most)
	case !printable(s, false):
		v.fail(path, "", "has control characters")
	}
}

func printable(s string, lines bool) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return unicode.IsControl(r) && (!lines || r != '\n' && r != '\t') || r == utf8.RuneError || r == '\ufeff' || r == '\u2028' || r == '\u2029'
	})
}

func (v *validator) texts(path string, list []string, needed bool) {
	if needed && len(list) == 0 {
		v.fail(path, "", "is missing or empty")
	}
	if len(list) > maxList {
		v.fail(path, "", "has more than %d entries", maxList)
		return
	}
	seen := make(map[string]bool, len(list))
	for i, s := range list {
		at := path + "[" + strconv.Itoa(i) + "]"
		v.text(at, s, maxValue)
		if seen[s] {
			v.fail(at, "", "%q comes twice", s)
		}
		seen[s] = true
	}
}

func (v *validator) targets(path string, targets []Target, bundles map[string]bool) {
	if len(targets) == 0 {
		v.fail(path+".targets", "name what is lent", "is missing or empty")
	}
	for i := range targets {
		t, at := &targets[i], path+".targets["+strconv.Itoa(i)+"]"
		if t.Bundle != "" {
			switch {
			case t.Integration != "" || t.ResourceType != "" || len(t.Permissions)+len(t.Include)+len(t.Exclude) > 0:
				v.fail(at, "make two targets of it", "a target is a bundle or of an integration")
			case bundles == nil:
				v.fail(at+".bundle", "name the targets of integrations", "a bundle holds no bundles")
			case !bundles[t.Bundle]:
				v.fail(at+".bundle", "define it under bundles", "there is no bundle %q", t.Bundle)
			}
			continue
		}
		v.text(at+".integration", t.Integration, maxName)
		v.text(at+".resource_type", t.ResourceType, maxName)
		v.texts(at+".permissions", t.Permissions, true)
		v.filters(at+".include", t.Include)
		v.filters(at+".exclude", t.Exclude)
	}
}

func (v *validator) filters(path string, filters []Filter) {
	for i := range filters {
		f, at := &filters[i], path+"["+strconv.Itoa(i)+"]"
		switch f.Type {
		case FilterName, FilterID:
			if f.Key != "" {
				v.fail(at+".key", "", "is of tags alone")
			}
		case FilterTag:
			v.text(at+".key", f.Key, maxName)
		default:
			v.fail(at+".type", "", "%q is not name, id or tag", f.Type)
		}
		v.texts(at+".values", f.Values, true)
	}
}

func (v *validator) flow(path string, f *Flow) {
	v.texts(path+".labels", f.Labels, false)
	v.group(path+".requestors", &f.Requestors, false)
	v.requestFor(path+".request_for", &f.RequestFor)
	v.span(path+".duration.max", f.Duration.Max, time.Second, MaxDuration)
	if f.Duration.Default != 0 {
		v.span(path+".duration.default", f.Duration.Default, time.Second, max(f.Duration.Max, time.Second))
	}
	switch e := f.Extensions; {
	case e.Max < 0 || e.Max > 1000:
		v.fail(path+".extensions.max", "", "must be from 0 to 1000")
	case e.Max > 0:
		v.span(path+".extensions.duration", e.Duration, time.Second, MaxDuration)
	case e.Duration != 0:
		v.fail(path+".extensions", "say how often in max", "a duration without a number of extensions")
	}
	v.timeframe(path+".timeframe", f.Timeframe)
	if p := f.Justification.Pattern; p != "" {
		if _, err := regexp.Compile(p); err != nil || len(p) > maxValue || !printable(p, false) {
			v.fail(path+".justification.pattern", "", "is not a regular expression of at most %d bytes", maxValue)
		}
		if !f.Justification.Required {
			v.fail(path+".justification", "", "a pattern needs required: true")
		}
	}
	v.span(path+".lapse_after", f.LapseAfter, time.Second, MaxDuration)
	v.approval(path, f)
	v.autoApprove(path+".auto_approve", f)
	v.breakGlass(path+".break_glass", f)
	if f.Approval == nil && f.AutoApprove == nil && f.BreakGlass == nil {
		v.fail(path, "add approvers, or write auto_approve: true", "nobody can agree, and saying nothing is not agreeing")
	}
}

func (v *validator) span(path string, d, least, most time.Duration) {
	switch {
	case d == 0:
		v.fail(path, "", "is missing")
	case d < least || !seconds(d):
		v.fail(path, "", "must be whole seconds")
	case d > most:
		v.fail(path, "", "is longer than %s", FormatDuration(most))
	}
}

func (v *validator) requestFor(path string, f *RequestFor) {
	v.texts(path+".scopes", f.Scopes, true)
	for i, s := range f.Scopes {
		if s != ForSelf && s != ForOthers && s != ForDirectReports {
			v.fail(path+".scopes["+strconv.Itoa(i)+"]", "", "%q is not self, others or direct_reports", s)
		}
	}
	switch others := slices.Contains(f.Scopes, ForOthers); {
	case others && f.Grantees == nil:
		v.fail(path, "say which others", "others needs grantees")
	case !others && f.Grantees != nil:
		v.fail(path+".grantees", "", "are for the scope others alone")
	case others:
		v.group(path+".grantees", f.Grantees, false)
	}
}

// group checks conditions. Only approvers can be owners and managers.
func (v *validator) group(path string, g *ApproverGroup, approvers bool) {
	if g.Operator != And && g.Operator != Or {
		v.fail(path+".operator", "", "%q is not and or or", g.Operator)
	}
	if len(g.Conditions) == 0 {
		v.fail(path+".conditions", "say who", "is missing or empty")
	}
	for i := range g.Conditions {
		v.condition(path+".conditions["+strconv.Itoa(i)+"]", &g.Conditions[i], approvers)
	}
}

// reserved are types of conditions, which no attribute may be called like: other
// tools write both into one field.
var reserved = []string{TypeUser, TypeGroup, TypeAttribute, TypeSchedule, TypeOwner, TypeManager}

func (v *validator) condition(path string, c *Condition, approvers bool) {
	if c.Type != TypeAttribute && c.Name != "" {
		v.fail(path+".name", "", "is of attributes alone")
	}
	switch c.Type {
	case TypeOwner, TypeManager:
		if !approvers {
			v.fail(path+".type", "", "%s can only approve", c.Type)
		}
		if c.Match != "" || len(c.Values) > 0 {
			v.fail(path, "", "%s takes no match and no values", c.Type)
		}
		return
	case TypeSchedule:
		if c.Match != "" && c.Match != Is {
			v.fail(path+".match", "name the schedules", "on call can only be asked with is")
		}
	case TypeAttribute:
		v.text(path+".name", c.Name, maxName)
		if slices.ContainsFunc(reserved, func(r string) bool { return strings.EqualFold(r, c.Name) }) {
			v.fail(path+".name", "", "%q is a type of condition, not an attribute", c.Name)
		}
	case TypeUser, TypeGroup:
	default:
		v.fail(path+".type", "", "%q is not user, group, attribute, schedule, owner or manager", c.Type)
	}
	if !slices.Contains([]string{"", Is, IsNot, Contains, DoesNotContain, StartsWith}, c.Match) {
		v.fail(path+".match", "", "%q is not is, is_not, contains, does_not_contain or starts_with", c.Match)
	}
	v.texts(path+".values", c.Values, true)
}

func (v *validator) approval(path string, f *Flow) {
	a := f.Approval
	if a == nil {
		return
	}
	if a.Mode != AnyOf && a.Mode != AllOf {
		v.fail(path+".approvers.mode", "", "%q is not any_of or all_of", a.Mode)
	}
	if len(a.Groups) == 0 {
		v.fail(path+".approvers.groups", "say who has to agree", "is missing or empty")
	}
	for i := range a.Groups {
		v.group(path+".approvers.groups["+strconv.Itoa(i)+"]", &a.Groups[i], true)
	}
	if len(a.Escalation) > MaxEscalation {
		v.fail(path+".escalation", "", "has more than %d steps", MaxEscalation)
	}
	before := time.Duration(0)
	for i := range a.Escalation {
		s, at := &a.Escalation[i], path+".escalation["+strconv.Itoa(i)+"]"
		v.span(at+".after", s.After, time.Second, MaxDuration)
		if s.After != 0 && s.After <= before {
			v.fail(at+".after", "after counts from the time of asking", "is not later than the step before")
		}
		before = s.After
		if len(s.Groups) == 0 {
			v.fail(at+".groups", "say who is asked then", "is missing or empty")
		}
		for j := range s.Groups {
			v.group(at+".groups["+strconv.Itoa(j)+"]", &s.Groups[j], true)
		}
	}
}

func (v *validator) autoApprove(path string, f *Flow) {
	a := f.AutoApprove
	if a == nil {
		return
	}
	conditions := a.When != nil || len(a.Tags) > 0 || a.DurationAtMost != 0 || a.Timeframe != nil
	switch {
	case a.Always && conditions:
		v.fail(path, "leave one out", "always and conditions exclude each other")
	case a.Always && f.Approval != nil:
		v.fail(path, "leave approvers out, or give auto_approve conditions", "nobody would ever be asked")
	case !a.Always && !conditions:
		v.fail(path, "write auto_approve: true if it is meant", "no condition is not all conditions")
	}
	if a.When != nil {
		v.group(path+".when", a.When, false)
	}
	v.filters(path+".tags", a.Tags)
	for i := range a.Tags {
		if a.Tags[i].Type != FilterTag {
			v.fail(path+".tags["+strconv.Itoa(i)+"]", "", "is not a tag")
		}
	}
	if a.DurationAtMost != 0 {
		v.span(path+".duration_at_most", a.DurationAtMost, time.Second, max(f.Duration.Max, time.Second))
	}
	v.timeframe(path+".timeframe", a.Timeframe)
}

func (v *validator) timeframe(path string, t *Timeframe) {
	if t == nil {
		return
	}
	if _, err := t.location(); err != nil {
		v.fail(path+".time_zone", "", "%v", err)
	}
	if t.Start < 0 || t.Start >= minutesOfDay || t.End < 0 || t.End > minutesOfDay {
		v.fail(path, "", "the times are from 00:00 to 24:00")
	} else if t.Start == t.End && t.Start != 0 {
		v.fail(path, "leave both out for the whole day", "the timeframe is empty: it ends when it starts")
	}
	seen := map[time.Weekday]bool{}
	for _, d := range t.Days {
		if d < time.Sunday || d > time.Saturday || seen[d] {
			v.fail(path+".days", "", "has a day that does not exist or comes twice")
			return
		}
		seen[d] = true
	}
}

func (v *validator) breakGlass(path string, f *Flow) {
	b := f.BreakGlass
	if b == nil {
		return
	}
	v.group(path+".who", &b.Who, false)
	v.span(path+".max_duration", b.MaxDuration, time.Second, max(f.Duration.Max, time.Second))
	if len(b.Notify) == 0 {
		v.fail(path+".notify", "name users or groups who are told at once", "is missing or empty")
	}
	for i, p := range b.Notify {
		at := path + ".notify[" + strconv.Itoa(i) + "]"
		if p.Kind != TypeUser && p.Kind != TypeGroup {
			v.fail(at+".kind", "", "%q is not user or group", p.Kind)
		}
		v.text(at+".value", p.Value, maxValue)
	}
}
