package flow

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

func TestParseErrors(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"an unknown key", "flows:\n  - name: a\n    requestor: {}\n", "3:5: flow \"a\": unknown key \"requestor\"; did you mean requestors?"},
		{"at the top", "rules: []", "1:1: unknown key \"rules\""},
		{"twice", "flows: []\nflows: []", "2:1: flows is set twice"},
		{"no mapping", "[]", "1:1: must be a mapping"},
		{"a second document", "flows: []\n---\nflows: []", "a second document begins here"},
		{"broken", "flows: [", "did not find expected node content"},
		{"an alias", "flows: &a []\nbundles: *a", "anchors and aliases"},
		{"a tag", "flows: !!set {}", "tags are not supported"},
		{"no name", "flows:\n" + strings.Replace(flowText(""), "name: one", "active: true", 1), "flows[0].name: is missing"},
		{"two of a name", "flows:\n" + flowText("") + flowText(""), "there are two of the name \"one\""},
		{"no maximum", "flows:\n" + flowText("duration: {default: 1h}"), "duration.max: is missing"},
		{"no duration", "flows:\n" + flowText("duration: absent"), "duration.max: is missing"},
		{"a default over the maximum", "flows:\n" + flowText("duration: {max: 1h, default: 2h}"), "duration.default: is longer than 1h"},
		{"for ever", "flows:\n" + flowText("duration: {max: 400d}"), "longer than 366d"},
		{"nobody agrees", "flows:\n" + flowText("approvers: absent"), "saying nothing is not agreeing"},
		{"auto and approvers", "flows:\n" + flowText("auto_approve: true"), "nobody would ever be asked"},
		{"auto without a condition", "flows:\n" + flowText("auto_approve: {}"), "no condition is not all conditions"},
		{"auto false is not auto", "flows:\n" + flowText("approvers: absent\nauto_approve: false"), "saying nothing is not agreeing"},
		{"auto by nothing", "flows:\n" + flowText("auto_approve: null"), "has no value"},
		{"nobody asks", "flows:\n" + flowText("requestors: absent"), "requestors.conditions: is missing"},
		{"an owner asks", "flows:\n" + flowText("requestors: {conditions: [{type: owner}]}"), "owner can only approve"},
		{"an empty value", "flows:\n" + flowText("requestors: {conditions: [{type: user, match: contains, values: ['']}]}"), "values[0]: is missing"},
		{"an unknown type", "flows:\n" + flowText("requestors: {conditions: [{type: role, values: [a]}]}"), "\"role\" is not user"},
		{"an unknown match", "flows:\n" + flowText("requestors: {conditions: [{type: user, match: like, values: [a]}]}"), "\"like\" is not is"},
		{"not on call", "flows:\n" + flowText("requestors: {conditions: [{type: schedule, match: is_not, values: [a]}]}"), "on call can only"},
		{"an attribute called like a type", "flows:\n" + flowText("requestors: {conditions: [{type: attribute, name: Manager, values: [a]}]}"), "is a type of condition"},
		{"no operator", "flows:\n" + flowText("requestors: {conditions: [{type: user, values: [a]}, {type: user, values: [b]}]}"), "\"\" is not and or or"},
		{"others without grantees", "flows:\n" + flowText("request_for: {scopes: [others]}"), "others needs grantees"},
		{"no bundle", "flows:\n" + flowText("targets: [{bundle: b}]"), "there is no bundle \"b\""},
		{"a bundle and more", "flows:\n" + flowText("targets: [{bundle: b, integration: c}]"), "a target is a bundle or of an integration"},
		{"no targets", "flows:\n" + flowText("targets: []"), "targets: is missing or empty"},
		{"an empty inclusion", "flows:\n" + flowText("targets: [{integration: a, resource_type: b, permissions: [c], include: []}]"), "an empty list chooses nothing"},
		{"a key of a name", "flows:\n" + flowText("targets: [{integration: a, resource_type: b, permissions: [c], include: [{type: name, key: k, values: [x]}]}]"), "is of tags alone"},
		{"an empty timeframe", "flows:\n" + flowText("timeframe: {start: '09:00', end: '09:00', time_zone: UTC}"), "the timeframe is empty"},
		{"a timeframe without a day", "flows:\n" + flowText("timeframe: {days: [], time_zone: UTC}"), "the timeframe has no day"},
		{"half a timeframe", "flows:\n" + flowText("timeframe: {start: '09:00', time_zone: UTC}"), "start and end belong together"},
		{"no zone", "flows:\n" + flowText("timeframe: {days: [monday]}"), "name the time zone"},
		{"the machine's zone", "flows:\n" + flowText("timeframe: {time_zone: Local}"), "name the time zone"},
		{"an unknown zone", "flows:\n" + flowText("timeframe: {time_zone: Europe/Nowhere}"), "is not a time zone"},
		{"a zone that is a path", "flows:\n" + flowText("timeframe: {time_zone: ../../etc/passwd}"), "is not a time zone"},
		{"25 o'clock", "flows:\n" + flowText("timeframe: {start: '25:00', end: '26:00', time_zone: UTC}"), "not a time of the day"},
		{"a bad pattern", "flows:\n" + flowText("justification: {required: true, pattern: '('}"), "not a regular expression"},
		{"six steps", "flows:\n" + flowText("escalation: ["+strings.Repeat("{after: 1h, groups: [{conditions: [{type: manager}]}]},", 6)+"]"), "more than 5 steps"},
		{"steps that go back", "flows:\n" + flowText("escalation: ["+strings.Repeat("{after: 1h, groups: [{conditions: [{type: manager}]}]},", 2)+"]"), "not later than the step before"},
		{"escalation of nothing", "flows:\n" + flowText("approvers: absent\nauto_approve: true\nescalation: [{after: 1h, groups: [{conditions: [{type: manager}]}]}]"), "nothing escalates without approvers"},
		{"a glass longer than the flow", "flows:\n" + flowText("break_glass: {who: {conditions: [{type: user, values: [a]}]}, max_duration: 9h, notify: [{kind: user, value: b}]}"), "break_glass.max_duration: is longer than 8h"},
		{"a quiet glass", "flows:\n" + flowText("break_glass: {who: {conditions: [{type: user, values: [a]}]}, max_duration: 1h}"), "break_glass.notify: is missing"},
		{"extensions for nothing", "flows:\n" + flowText("extensions: {max: 2}"), "extensions.duration: is missing"},
		{"no number", "flows:\n" + flowText("priority: high"), "must be a whole number"},
		{"no truth", "flows:\n" + flowText("self_approval: yes please"), "must be true or false"},
		{"a control character", "flows:\n" + flowText(`labels: ["a\u0007"]`), "control characters"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want %q", err, tt.want)
			}
			var errs Errors
			if !errors.As(err, &errs) || errs[0].Line == 0 {
				t.Errorf("no place: %#v", err)
			}
		})
	}
}

func TestParsePlaces(t *testing.T) {
	t.Parallel()
	_, err := Parse([]byte("flows:\n" + flowText("duration: {max: 0s}") + strings.Replace(flowText("self_approval: 3\nlapse_after: never"), "one", "two", 1)))
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`flow "two": self_approval: must be true or false`, `flow "one": duration.max: "0s" is not longer than nothing`, "lapse_after"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not told: %s\n%v", want, err)
		}
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"30m", "8h", "1h30m", "7d", "1d12h", "45s", "1d1s", "500ms"} {
		d, err := ParseDuration(text)
		if err != nil || FormatDuration(d) != text {
			t.Errorf("%s: %v, %v", text, d, err)
		}
	}
	for _, text := range []string{"", "0", "8", "-1h", "1d-1h", "+1h", "d", "99999999d", "1y", "1d1d"} {
		if d, err := ParseDuration(text); err == nil {
			t.Errorf("%q is %v", text, d)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(1, int64(MaxDuration)).Draw(t, "d"))
		if back, err := ParseDuration(FormatDuration(d)); err != nil || back != d {
			t.Fatalf("%v became %q, then %v, %v", d, FormatDuration(d), back, err)
		}
	})
}

var sameSet = cmp.Options{cmpopts.IgnoreUnexported(Set{}), cmpopts.EquateEmpty()}

func FuzzParse(f *testing.F) {
	f.Add("flows:\n" + flowText("") + "bundles: []\n")
	f.Add("flows:\n" + flowText("timeframe: {days: [monday], start: '22:00', end: '06:00', time_zone: Europe/Berlin}\nauto_approve: {tags: [{key: a, values: [b]}]}"))
	f.Add("flows:\n" + flowText("description: \"a\\n b\\t\"\nlabels: ['#', ' x', 'null', '1e3', '~']"))
	f.Add("flows: &a [*a]")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse([]byte(text))
		if err != nil {
			return
		}
		back, err := Parse(s.Format())
		if err != nil {
			t.Fatalf("%v\n%s", err, s.Format())
		}
		if diff := cmp.Diff(s, back, sameSet); diff != "" {
			t.Fatalf("(-was +read):\n%s", diff)
		}
		d := world()
		s.Decide(ask(d, "alice@example.com"), d)
		s.Check(d, []Resource{namespace("payments")})
	})
}

func TestDiffMergeDrift(t *testing.T) {
	t.Parallel()
	old := parse(t, flowText("name: a"), flowText("name: b"), flowText("name: c"))
	wanted := parse(t, flowText("name: b\nduration: {max: 2h}\nlabels: [x]"), flowText("name: c\ntargets: [{integration: prod-1, resource_type: eks-namespace, permissions: [edit, view]}]"), flowText("name: d"))
	want := []Change{
		{Kind: "flow", Name: "a", Action: Delete},
		{Kind: "flow", Name: "b", Action: Update, Fields: []FieldChange{{"duration.max", "8h", "2h"}, {"labels", "", "x"}}},
		{Kind: "flow", Name: "c", Action: Unchanged},
		{Kind: "flow", Name: "d", Action: Create},
	}
	if diff := cmp.Diff(want, old.Diff(wanted)); diff != "" {
		t.Errorf("plan (-want +got):\n%s", diff)
	}
	for _, prune := range []bool{false, true} {
		got, err := old.Merge(wanted, prune)
		if err != nil {
			t.Fatal(err)
		}
		if (got.Flow("a") == nil) != prune || got.Flow("b").Duration.Max != 2*time.Hour || got.Flow("d") == nil {
			t.Errorf("merged with prune %v: %s", prune, got.Format())
		}
	}
	drift := wanted.Drift(old.Digests())
	if diff := cmp.Diff([]Drifted{{"flow", "b", "changed"}, {"flow", "d", "added"}, {"flow", "a", "removed"}}, drift); diff != "" {
		t.Errorf("drift (-want +got):\n%s", diff)
	}
	// A list whose values hold the separator is not mistaken for another list.
	x, y := parse(t, flowText("labels: ['a, b']")), parse(t, flowText("labels: [a, b]"))
	if c := x.Diff(y); c[0].Action != Update {
		t.Errorf("got %+v", c)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	resources := []Resource{namespace("payments"), namespace("search")}
	tests := []struct {
		name, flow string
		change     func(*directory, []Resource)
		errs       bool
		want       string // a part of an error or a warning
	}{
		{name: "nothing wrong"},
		{name: "an unknown approver", flow: "approvers: {groups: [{conditions: [{type: user, values: [eve@example.com]}]}]}", errs: true, want: "nobody known is eve@example.com"},
		{name: "one unknown of two", flow: "approvers: {groups: [{conditions: [{type: user, values: [eve@example.com, carol@example.com]}]}]}", want: "the directory does not know eve"},
		{name: "a disabled approver", flow: "approvers: {groups: [{conditions: [{type: user, values: [dave@example.com]}]}]}", errs: true, want: "nobody could ever agree"},
		{name: "another spelling", flow: "approvers: {groups: [{conditions: [{type: user, values: [Carol@example.com]}]}]}", errs: true, want: "nobody known is Carol"},
		{name: "an empty group", flow: "approvers: {groups: [{conditions: [{type: group, values: [nobody]}]}]}", errs: true, want: "nobody known is group nobody"},
		{name: "one empty group of any", flow: "approvers: {mode: any_of, groups: [{conditions: [{type: group, values: [nobody]}]}, {conditions: [{type: group, values: [security]}]}]}", want: "has no known members"},
		{name: "one empty group of all", flow: "approvers: {mode: all_of, groups: [{conditions: [{type: group, values: [nobody]}]}, {conditions: [{type: group, values: [security]}]}]}", errs: true, want: "nobody known is group nobody"},
		{name: "an escalation helps", flow: "approvers: {groups: [{conditions: [{type: group, values: [nobody]}]}]}\nescalation: [{after: 1h, groups: [{conditions: [{type: group, values: [security]}]}]}]", want: "has no known members"},
		{name: "an escalation too late", flow: "lapse_after: 1h\nescalation: [{after: 1h, groups: [{conditions: [{type: group, values: [security]}]}]}]", want: "requests end after 1h"},
		{name: "only the requester", flow: "requestors: {conditions: [{type: user, values: [alice@example.com]}]}\napprovers: {groups: [{conditions: [{type: user, values: [alice@example.com]}]}]}", errs: true, want: "self approval is off"},
		{name: "only the requester, allowed", flow: "requestors: {conditions: [{type: user, values: [alice@example.com]}]}\napprovers: {groups: [{conditions: [{type: user, values: [alice@example.com]}]}]}\nself_approval: true"},
		{name: "one of the requestors", flow: "approvers: {groups: [{conditions: [{type: user, values: [alice@example.com]}]}]}", want: "requests of alice@example.com"},
		{name: "requestors who cannot be listed", flow: "requestors: {conditions: [{type: attribute, name: department, values: [payments]}]}\napprovers: {groups: [{conditions: [{type: user, values: [alice@example.com]}]}]}"},
		{name: "both of all are the requester", flow: "requestors: {conditions: [{type: user, values: [bob@example.com]}]}\napprovers: {mode: all_of, groups: [{conditions: [{type: group, values: [security]}]}, {conditions: [{type: group, values: [leads]}]}]}", errs: true, want: "self approval is off"},
		{name: "no manager", flow: "approvers: {groups: [{conditions: [{type: manager}]}]}", change: func(d *directory, _ []Resource) {
			for i := range d.people {
				d.people[i].Manager = ""
			}
		}, errs: true, want: "no manager of"},
		{name: "a manager", flow: "approvers: {groups: [{conditions: [{type: manager}]}]}"},
		{name: "no owner", flow: "approvers: {groups: [{conditions: [{type: owner}]}]}", errs: true, want: "has an owner who could"},
		{name: "an owner of one", flow: "approvers: {groups: [{conditions: [{type: owner}]}]}", change: func(_ *directory, r []Resource) { r[1].Owners = []Principal{{"group", "security"}} }},
		{name: "nothing discovered", flow: "targets: [{integration: prod-9, resource_type: eks-namespace, permissions: [view]}]\napprovers: {groups: [{conditions: [{type: owner}]}]}", want: "no resource of type"},
		{name: "no resource chosen", flow: "targets: [{integration: prod-1, resource_type: eks-namespace, permissions: [view], include: [{type: name, values: [x]}]}]", want: "none of the 2 resources"},
		{name: "an unknown permission", flow: "targets: [{integration: prod-1, resource_type: eks-namespace, permissions: [view, root]}]", want: "has the permission \"root\""},
		{name: "nobody asks", flow: "requestors: {conditions: [{type: group, values: [nobody]}]}", want: "nobody known is one of them"},
		{name: "almost anybody agrees", flow: "approvers: {groups: [{conditions: [{type: group, match: is_not, values: [developers]}]}]}", want: "anybody but a few"},
		{name: "nobody hears", flow: "break_glass: {who: {conditions: [{type: group, values: [leads]}]}, max_duration: 1h, notify: [{kind: group, value: nobody}]}", want: "nobody would hear"},
		{name: "not active", flow: "active: false\napprovers: {groups: [{conditions: [{type: user, values: [eve@example.com]}]}]}", want: "nobody known is eve"},
		{name: "on call", flow: "approvers: {groups: [{conditions: [{type: schedule, values: [nobody knows]}]}]}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, rs := world(), slices.Clone(resources)
			if tt.change != nil {
				tt.change(d, rs)
			}
			got := parse(t, flowText(tt.flow)).Check(d, rs)
			if (len(got.Errors) > 0) != tt.errs {
				t.Errorf("errors: %v", got.Errors)
			}
			if tt.want == "" && len(got.Errors)+len(got.Warnings) > 0 {
				t.Errorf("got %v", got)
			}
			all := ""
			for _, p := range append(got.Errors, got.Warnings...) {
				all += p.String() + "\n"
			}
			if !strings.Contains(all, tt.want) {
				t.Errorf("not told: %q in\n%s", tt.want, all)
			}
		})
	}
}
