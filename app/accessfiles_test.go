package app

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
)

func (w *lendWorld) flowVersion() *access.FlowVersion {
	w.Helper()
	v, err := w.desk.Flows(w.Context(), w.admin(), 0)
	if err != nil {
		w.Fatal(err)
	}
	return v
}

// restarted is the same files in a process that was started anew.
func (w *lendWorld) restarted() *lendingFiles {
	l := newLendingFiles(w.desk, w.store, w.files.log)
	l.add("integrations_file", w.path("integrations.yaml"), nil)
	l.add("flows_file", w.path("flows.yaml"), nil)
	return l
}

func TestFlowsFileIsAppliedWhenItChanges(t *testing.T) {
	t.Parallel()
	w := newLendWorld(t, nil)
	w.open()
	v := w.flowVersion()
	if v.Source != "file" || v.By != "flows_file" || len(v.Applied) == 0 {
		t.Errorf("the version is %+v", v)
	}
	w.files.look(t.Context())
	w.restarted().look(t.Context())
	if v = w.flowVersion(); v.Version != 1 {
		t.Errorf("a file that did not change was applied again: version %d", v.Version)
	}
	// What is changed on the page stays, and a restart tells of it.
	text := strings.Replace(lendFlows, "max: 1h", "max: 2h", 1)
	if _, err := w.desk.ApplyFlows(t.Context(), access.Flowing{Text: text, Prune: true, By: w.admin(), Via: "web", Source: "page"}); err != nil {
		t.Fatal(err)
	}
	w.log.Reset()
	w.restarted().look(t.Context())
	if v = w.flowVersion(); v.Version != 2 || !strings.Contains(w.log.String(), "name=view") || !strings.Contains(w.log.String(), "not as the file says") {
		t.Errorf("version %d, told: %s", v.Version, w.log)
	}
	// A changed file wins, says what it undid, and removes what it does not name.
	w.log.Reset()
	w.write("flows.yaml", lendFlows[:strings.Index(lendFlows, "  - name: edit")])
	w.files.look(t.Context())
	if v = w.flowVersion(); v.Version != 3 || strings.Contains(v.Text, "edit") || !strings.Contains(w.log.String(), "has undone that") {
		t.Errorf("version %d:\n%s\ntold: %s", v.Version, v.Text, w.log)
	}
}

// A file that cannot be used changes nothing, says where, and is tried again.
func TestFlowsFileThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	w := newLendWorld(t, nil)
	w.open()
	now := time.Now()
	w.files.clock = func() time.Time { return now }
	for text, want := range map[string]string{
		strings.Replace(lendFlows, "duration: {max: 1h}", "durations: {max: 1h}", 1): "line 7, column",
		strings.Replace(lendFlows, "[owners]", "[nobodies]", 1):                      `flow \"edit\"`,
		strings.Repeat("#", maxFile+1):                                               "larger than",
	} {
		w.log.Reset()
		now = now.Add(2 * retryEvery)
		w.write("flows.yaml", text)
		w.files.look(t.Context())
		if v := w.flowVersion(); v.Version != 1 || !strings.Contains(w.log.String(), want) || !strings.Contains(w.log.String(), "flows_file") {
			t.Errorf("version %d, want %q, told: %s", v.Version, want, w.log)
		}
		w.files.look(t.Context())
		if n := strings.Count(w.log.String(), "cannot be used"); n != 1 {
			t.Errorf("it was told %d times", n)
		}
	}
	// Once it is mended it is taken at once.
	w.write("flows.yaml", lendFlows+"# mended\n")
	w.files.look(t.Context())
	if w.files.files[1].failed != "" {
		t.Errorf("a mended file waits: %s", w.files.files[1].failed)
	}
	if err := os.Remove(w.path("flows.yaml")); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * retryEvery)
	w.log.Reset()
	w.files.look(t.Context())
	if v := w.flowVersion(); v.Version != 1 || !strings.Contains(w.log.String(), "no such file") {
		t.Errorf("version %d, told: %s", v.Version, w.log)
	}
}

// A group that nobody is known in is no reason to give up: people sign in later.
func TestFlowsFileIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newLendWorld(t, nil)
	w.open()
	now := time.Now()
	w.files.clock = func() time.Time { return now }
	w.write("flows.yaml", strings.Replace(lendFlows, "[owners]", "[leads]", 1))
	w.files.look(t.Context())
	if v := w.flowVersion(); v.Version != 1 {
		t.Fatalf("a flow that nobody can approve was taken: version %d", v.Version)
	}
	p, err := w.roster.Person(t.Context(), "olga@example.com")
	if err != nil {
		t.Fatal(err)
	}
	lead := p.Person
	lead.ID, lead.Groups = "p-olga", []string{"leads"}
	if err := w.store.SeePerson(t.Context(), lead, now); err != nil {
		t.Fatal(err)
	}
	w.facts.forget()
	now = now.Add(retryEvery / 2)
	if w.files.look(t.Context()); w.flowVersion().Version != 1 {
		t.Error("it was tried again too soon")
	}
	now = now.Add(retryEvery)
	if w.files.look(t.Context()); w.flowVersion().Version != 2 {
		t.Errorf("it was not tried again: %s", w.log)
	}
}

func TestIntegrationsFile(t *testing.T) {
	t.Parallel()
	w := newLendWorld(t, nil)
	w.open()
	one := func() *access.IntegrationView {
		t.Helper()
		v, err := w.desk.Integration(t.Context(), w.admin(), "one")
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := one(); v.Version != 1 || !v.Health.OK() || v.Health.Resources != 1 {
		t.Errorf("the integration is %+v", v)
	}
	if w.restarted().look(t.Context()); one().Version != 1 {
		t.Error("a restart saved it again")
	}
	// Somebody changes it elsewhere: it stays, and is told.
	changed := one().Integration
	changed.AccessDetails = "Mind the step."
	if _, err := w.desk.SaveIntegration(t.Context(), &changed, w.admin(), 1, "web"); err != nil {
		t.Fatal(err)
	}
	w.log.Reset()
	if w.restarted().look(t.Context()); one().Version != 2 || !strings.Contains(w.log.String(), "not as the file says") {
		t.Errorf("version %d, told: %s", one().Version, w.log)
	}
	// The file changes: it wins. What it does not name any more stays.
	w.write("integrations.yaml", strings.Replace(lendIntegrations, "here", "there", 1)+"  - {name: two, type: things, config: {address: x}}\n")
	if w.files.look(t.Context()); one().Version != 3 || one().Config["address"] != "there" || one().AccessDetails != "" {
		t.Errorf("the integration is %+v", one())
	}
	w.write("integrations.yaml", "integrations: []\n")
	w.log.Reset()
	if w.files.look(t.Context()); one().Version != 3 || !strings.Contains(w.log.String(), "stays until somebody removes it") {
		t.Errorf("told: %s", w.log)
	}
	for text, want := range map[string]string{
		"integrations:\n  - {name: one, typ: things}\n":  "typ",
		"integrations:\n  - {name: one, type: things}\n": "config.address is missing",
		lendFlows: "belong into flows_file",
	} {
		w.log.Reset()
		l := w.restarted()
		w.write("integrations.yaml", text)
		if l.look(t.Context()); one().Version != 3 || !strings.Contains(w.log.String(), want) {
			t.Errorf("want %q, told: %s", want, w.log)
		}
	}
}
