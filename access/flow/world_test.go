package flow

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// directory is Facts in memory. Person takes an ID in any case, as identity providers
// do.
type directory struct {
	people []Person
	onCall map[string][]string
}

func (d *directory) OnCall(schedule, person string) bool {
	return slices.Contains(d.onCall[schedule], person)
}

func (d *directory) Person(id string) (Person, bool) {
	for _, p := range d.people {
		if strings.EqualFold(p.ID, id) {
			return p, true
		}
	}
	return Person{}, false
}

func (d *directory) Members(group string) (out []string) {
	for _, p := range d.people {
		if slices.Contains(p.Groups, group) {
			out = append(out, p.ID)
		}
	}
	return out
}

func (d *directory) person(id string) *Person {
	for i := range d.people {
		if d.people[i].ID == id {
			return &d.people[i]
		}
	}
	return nil
}

// noon is a Wednesday.
var noon = time.Date(2026, 3, 11, 12, 0, 0, 0, time.UTC)

func world() *directory {
	return &directory{
		people: []Person{
			{ID: "alice@example.com", Name: "Alice", Groups: []string{"developers"}, Attributes: map[string][]string{"department": {"payments"}}, Manager: "mona@example.com"},
			{ID: "bob@example.com", Groups: []string{"developers", "leads"}, Manager: "Mona@example.com"},
			{ID: "carol@example.com", Groups: []string{"security"}},
			{ID: "dave@example.com", Groups: []string{"security", "contractors"}, Disabled: true},
			{ID: "mona@example.com", Groups: []string{"managers"}},
			{ID: "olga@example.com", Groups: []string{"owners"}},
			{ID: "cto@example.com"},
		},
		onCall: map[string][]string{"payments": {"bob@example.com"}},
	}
}

func namespace(name string, tags ...string) Resource {
	r := Resource{Integration: "prod-1", Type: "eks-namespace", ID: "namespace/" + name, Name: name, Path: "prod-1 / " + name, Permissions: []string{"view", "edit", "admin"}}
	for i := 0; i+1 < len(tags); i += 2 {
		if r.Tags == nil {
			r.Tags = map[string]string{}
		}
		r.Tags[tags[i]] = tags[i+1]
	}
	return r
}

func ask(d *directory, who string, items ...Item) Ask {
	p := d.person(who)
	if len(items) == 0 {
		items = []Item{{namespace("payments"), "view"}}
	}
	return Ask{By: *p, For: *p, Items: items, Duration: time.Hour, Justification: "INC-1 is on fire", At: noon}
}

// flowText is a flow that alice may use; the lines replace or add to it.
func flowText(extra string) string {
	base := map[string]string{
		"requestors": "{conditions: [{type: group, values: [developers]}]}",
		"targets":    "[{integration: prod-1, resource_type: eks-namespace, permissions: [view, edit]}]",
		"approvers":  "{mode: any_of, groups: [{conditions: [{type: group, values: [security]}]}]}",
		"duration":   "{max: 8h}",
	}
	for line := range strings.SplitSeq(extra, "\n") {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), ": "); ok {
			base[k] = v
		}
	}
	text := "- name: " + base["name"]
	if base["name"] == "" {
		text = "- name: one"
	}
	for _, k := range slices.Sorted(func(yield func(string) bool) {
		for k := range base {
			if !yield(k) {
				return
			}
		}
	}) {
		if k != "name" && base[k] != "absent" {
			text += "\n  " + k + ": " + base[k]
		}
	}
	return text + "\n"
}

func parse(tb testing.TB, flows ...string) *Set {
	tb.Helper()
	s, err := Parse([]byte("flows:\n" + strings.Join(flows, "")))
	if err != nil {
		tb.Fatalf("%v\n%s", err, strings.Join(flows, ""))
	}
	return s
}
