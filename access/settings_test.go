package access_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

func TestFlowVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	d := w.desk()
	w.setup(d)
	root, ann := w.person("root"), w.person("ann")
	apply := func(text string, change func(*access.Flowing)) (*access.FlowPlan, error) {
		f := access.Flowing{Text: text, By: root, Source: "page", Via: "web"}
		if change != nil {
			change(&f)
		}
		return d.ApplyFlows(t.Context(), f)
	}
	if _, err := apply(flowText, func(f *access.Flowing) { f.By = ann }); !errors.Is(err, access.ErrForbidden) {
		t.Errorf("who does not administer: %v", err)
	}
	if p, err := apply(flowText, nil); err != nil || p.HasChanges() || p.Version != 0 {
		t.Errorf("the same again: %+v, %v", p, err)
	}
	if p, err := apply("flows: [{name: x, colour: red}]", nil); err != nil || !p.HasErrors() || p.Problems[0].Line == 0 {
		t.Errorf("a text with an error: %+v, %v", p, err)
	}
	impossible := strings.Replace(flowText, "- {conditions: [{type: group, values: [sre]}]}", "- {conditions: [{type: user, values: [nobody@example.com]}]}", 1)
	if p, err := apply(impossible, nil); err != nil || !p.HasErrors() || p.Version != 0 {
		t.Errorf("a flow that nobody could approve: %+v, %v", p, err)
	}
	changed := strings.Replace(flowText, "max: 2h", "max: 3h", 1)
	one := 1
	if p, err := apply(changed, func(f *access.Flowing) { f.DryRun = true }); err != nil || !p.HasChanges() || p.Version != 0 {
		t.Errorf("a dry run: %+v, %v", p, err)
	}
	if p, err := apply(changed, func(f *access.Flowing) { f.Expect = &one }); err != nil || p.Version != 2 {
		t.Errorf("a change: %+v, %v", p, err)
	}
	if _, err := apply(flowText, func(f *access.Flowing) { f.Expect = &one }); !errors.Is(err, access.ErrBusy) {
		t.Errorf("on an old version: %v", err)
	}
	p, err := apply(flowText, func(f *access.Flowing) { f.Source, f.DryRun = "file", true })
	if err != nil || len(p.Drift) != 1 || p.Drift[0].Name != "view" {
		t.Errorf("what was changed on the page: %+v, %v", p, err)
	}
	if v, err := d.Flows(t.Context(), ann, 0); err != nil || v.Version != 2 || v.Text != changed {
		t.Errorf("the newest: %+v, %v", v, err)
	}
	// What is asked under one version is decided by it.
	r := w.request(d, access.Ask{By: ann, Items: []access.ItemRef{ref("one", "payments", "edit")}, Justification: "x"})
	if p, err := apply("flows: []\n", func(f *access.Flowing) { f.Prune = true }); err != nil || p.Version != 3 {
		t.Fatalf("without flows: %+v, %v", p, err)
	}
	if got, err := d.Vote(t.Context(), r.ID, access.Ballot{By: w.person("sam"), Approve: true}); err != nil || got.State != access.Approved {
		t.Errorf("what was asked before: %+v, %v", got, err)
	}
	if _, err := d.Request(t.Context(), access.Ask{By: ann, Items: []access.ItemRef{ref("one", "payments", "view")}}); !errors.Is(err, access.ErrNotGiven) {
		t.Errorf("without flows: %v", err)
	}
}

func TestIntegrationSettings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "")
	d := w.desk()
	w.setup(d)
	root := w.person("root")
	good := access.Integration{Name: "three", Type: "fake"}
	for name, change := range map[string]func(*access.Integration){
		"no name":            func(i *access.Integration) { i.Name = "" },
		"a name with a path": func(i *access.Integration) { i.Name = "a/b" },
		"upper case":         func(i *access.Integration) { i.Name = "Prod" },
		"no type":            func(i *access.Integration) { i.Type = "" },
		"long details":       func(i *access.Integration) { i.AccessDetails = strings.Repeat("é", 401) },
		"a tag alone":        func(i *access.Integration) { i.OwnerTag, i.OwnerKind = "owner", "group" },
		"no kind": func(i *access.Integration) {
			i.OwnerTag, i.Owner = "owner", []flow.Principal{{Kind: "user", Value: "x"}}
		},
		"a resource type": func(i *access.Integration) { i.ResourceTypes = []string{"pod"} },
		"days":            func(i *access.Integration) { i.CleanupDays = -1 },
		"two secrets":     func(i *access.Integration) { i.Secret = &access.SecretRef{Environment: "A", AWS: &access.AWSSecret{}} },
		"no secret":       func(i *access.Integration) { i.Secret = &access.SecretRef{} },
		"its own":         func(i *access.Integration) { i.Config = map[string]string{"bad": "x"} },
	} {
		i := good
		change(&i)
		if _, err := d.SaveIntegration(t.Context(), &i, root, 0, "api"); !errors.Is(err, access.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	i := good
	i.AccessDetails = strings.Repeat("é", 400)
	// What the type has nothing of is taken, and said to do nothing.
	i.RotationDays, i.CleanupDays, i.Secret = 30, 7, &access.SecretRef{Environment: "THREE"}
	if _, err := d.SaveIntegration(t.Context(), &i, w.person("ann"), 0, "api"); !errors.Is(err, access.ErrForbidden) {
		t.Errorf("who does not administer: %v", err)
	}
	saved, err := d.SaveIntegration(t.Context(), &i, root, 0, "api")
	if err != nil || saved.Version != 1 || !saved.Health.OK() {
		t.Fatalf("SaveIntegration: %+v, %v", saved, err)
	}
	var idle []string
	for _, c := range saved.Health.Checks {
		idle = append(idle, c.Name+" "+c.Result)
	}
	if got := strings.Join(idle, ", "); !strings.Contains(got, "credential-rotation warning") || !strings.Contains(got, "user-cleanup ok") {
		t.Errorf("settings that do nothing are checked as %s", got)
	}
	if _, err := d.SaveIntegration(t.Context(), &i, root, 0, "api"); !errors.Is(err, access.ErrConflict) {
		t.Errorf("adding it twice: %v", err)
	}
	w.request(d, access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view")}})
	if err := d.DeleteIntegration(t.Context(), "one", root, 0, "api"); !errors.Is(err, access.ErrBusy) {
		t.Errorf("removing one with a grant: %v", err)
	}
	if err := d.DeleteIntegration(t.Context(), "three", root, 1, "api"); err != nil {
		t.Errorf("removing one without: %v", err)
	}
	if v, err := d.Integration(t.Context(), w.person("ann"), "one"); err != nil || v.Config != nil || v.Live != 1 {
		t.Errorf("as ann sees it: %+v, %v", v, err)
	}
}
