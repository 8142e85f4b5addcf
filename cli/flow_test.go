package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/api"
)

func TestFlowsAreShownTestedAndExported(t *testing.T) {
	w := newLendWorld(t)
	wants(t, "the list", w.must("rosa", nil, "flow", "list").out, "look", "group dev", "nobody", "change", "break-glass: group sre", "bundle Kit")
	if got := w.must("rosa", nil, "flow", "show").out; got != lendingFlows {
		t.Errorf("shown:\n%s", got)
	}
	one := w.must("rosa", nil, "flow", "show", "change").out
	if set, err := flow.Parse([]byte(one)); err != nil || len(set.Flows) != 1 {
		t.Errorf("one flow is shown as %s, %v", one, err)
	}
	if s := w.as("rosa", "", "flow", "show", "none"); s.status != 1 || !strings.Contains(s.err, `there is no flow "none"`) {
		t.Errorf("a flow that is not there: %+v", s)
	}
	wants(t, "versions", w.must("rosa", nil, "flow", "versions").out, "sofia@example.com", "file")

	s := w.must("sofia", nil, "flow", "test", "--by", "Rosa.Diaz@example.com", "-i", "blue", "-r", "payments", "-p", "role:edit", "-j", "x")
	wants(t, "the test", s.out, "asked: the flows in force, version 1\n", "by flow change", "flow look: refused", "no  targets", "flow change: needs_approval, and answers", "could agree: group sre", "amir@example.com")
	if s := w.as("sofia", "", "flow", "test", "--by", "vera@example.com", "-b", "Kit"); s.status != 1 || !strings.Contains(s.out, "no  requestors") {
		t.Errorf("what is refused: %+v", s)
	}
	if s := w.as("rosa", "", "flow", "test", "--by", "vera@example.com", "-b", "Kit"); s.status != 1 || !strings.Contains(s.err, "role admin") {
		t.Errorf("rosa tests: %+v", s)
	}
	w.write(strings.Replace(lendingFlows, "values: [dev]}", "values: [none]}", 1), "flows.yaml")
	var e api.AccessExplanation
	w.must("sofia", &e, "flow", "test", "--by", "Rosa.Diaz@example.com", "-b", "Kit")
	if e.Terms.Flow != "look" || e.Trial == nil || len(e.Trial.Flows) != 2 {
		t.Errorf("as JSON: %+v", e)
	}
	if e.Asked != "in_force" || e.Trial.Version != 1 {
		t.Errorf("what was asked is said to be %q, version %d", e.Asked, e.Trial.Version)
	}

	// A draft is asked alone, and said to be one; also one without a flow.
	draft := filepath.Join(w.home, "flows.yaml")
	s = w.as("sofia", "", "flow", "test", "--by", "Rosa.Diaz@example.com", "-b", "Kit", "-f", draft)
	if s.status != 1 {
		t.Errorf("with the file: %+v", s)
	}
	wants(t, "what was asked", s.out, "asked: the draft "+draft+", not the flows in force\n")
	for _, text := range []string{"", "# to be written\n", "flows: []\n"} {
		s := w.as("sofia", text, "flow", "test", "--by", "Rosa.Diaz@example.com", "-i", "blue", "-r", "payments", "-p", "role:view", "-f", "-", "-o", "json")
		var e api.AccessExplanation
		if err := json.Unmarshal([]byte(s.out), &e); err != nil || s.status != 1 || e.Asked != "draft" || e.Terms.Outcome != flow.Refused {
			t.Errorf("the draft %q: %+v", text, s)
		}
	}

	exported := w.must("rosa", nil, "flow", "export").out
	have, err := flow.Parse([]byte(lendingFlows))
	if err != nil {
		t.Fatal(err)
	}
	if set, err := flow.Parse([]byte(exported)); err != nil || set.Digest() != have.Digest() {
		t.Errorf("exported %s, %v", exported, err)
	}
	s = w.must("rosa", nil, "flow", "export", "--as", "terraform", "change")
	wants(t, "Terraform", s.out, `resource "apono_access_flow_v2"`, `"change"`)
	wants(t, "what is lost", s.err, "not in the text: flow", "break_glass")
	if strings.Contains(s.out, `"look"`) {
		t.Errorf("more than was asked for is exported:\n%s", s.out)
	}
}

// between has do run once, after the server has answered a path and before whoever asked
// hears of it.
func (w *lendWorld) between(path string, do func()) {
	w.t.Helper()
	to, err := url.Parse(w.srv.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	var done atomic.Bool // do comes by here too
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(r *http.Response) error {
			if r.Request.URL.Path == path && done.CompareAndSwap(false, true) {
				do()
			}
			return nil
		},
	}
	front := httptest.NewServer(proxy)
	w.t.Cleanup(front.Close)
	w.t.Setenv("GATEHOUSE_SERVER", front.URL)
}

func TestFlowsArePlannedAndApplied(t *testing.T) {
	w := newLendWorld(t)
	file := filepath.Join(w.home, "flows.yaml")
	apply := func(text string, args ...string) ended {
		w.write(text, "flows.yaml")
		return w.as("sofia", "", append([]string{"flow", args[0], file}, args[1:]...)...)
	}
	if s := apply(lendingFlows, "apply", "--yes"); s.status != 0 || !strings.Contains(s.out, "nothing to change: 3 flows and bundles stay as they are") {
		t.Errorf("the same again: %+v", s)
	}
	changed := strings.Replace(lendingFlows, "{max: 1h}", "{max: 4h}", 1)
	s := apply(changed, "plan")
	wants(t, "the plan", s.out, "~ flow change", "duration.max: 1h → 4h", "1 to change, 2 unchanged")
	wants(t, "what is in force", w.must("sofia", nil, "flow", "show").out, "{max: 1h}")
	if s := apply(changed, "apply", "--yes"); s.status != 0 || !strings.Contains(s.out, "applied as version 2") {
		t.Errorf("applying: %+v", s)
	}
	wants(t, "what is in force", w.must("sofia", nil, "flow", "show").out, "{max: 4h}", "# who may do what")
	wants(t, "the first version", w.must("sofia", nil, "flow", "show", "--version", "1").out, "{max: 1h}")

	// What is not in the file stays, or goes.
	only := "flows:\n" + changed[strings.Index(changed, "  - name: change"):strings.Index(changed, "bundles:")]
	if s := apply(only, "plan"); s.status != 0 || !strings.Contains(s.out, "nothing to change") {
		t.Errorf("a part: %+v", s)
	}
	wants(t, "pruning", apply(only, "plan", "--prune").out, "- flow look", "- bundle Kit")
	var p access.FlowPlan
	w.must("sofia", &p, "flow", "apply", file, "--prune", "--yes")
	if p.Version != 3 {
		t.Errorf("pruned: %+v", p)
	}

	// Of two who apply at once the second is told, and changes nothing: here the first one
	// applies while the other has the plan.
	raced := filepath.Join(w.home, "raced.yaml")
	w.write(strings.Replace(only, "{max: 4h}", "{max: 5h}", 1), "raced.yaml")
	w.between("/api/v1/access/flows/plan", func() {
		if s := apply(strings.Replace(only, "{max: 4h}", "{max: 3h}", 1), "apply", "--yes"); s.status != 0 || !strings.Contains(s.out, "applied as version 4") {
			t.Errorf("the first: %+v", s)
		}
	})
	if s := w.as("sofia", "", "flow", "apply", raced, "--yes"); s.status != 1 || !strings.Contains(s.err, "nothing was applied: the flows are at version 4") || !strings.Contains(s.err, "run it again") {
		t.Errorf("the second: %+v", s)
	}
	wants(t, "what is in force", w.must("sofia", nil, "flow", "show").out, "{max: 3h}")

	if s := apply(only, "apply", "--yes"); s.status != 0 {
		t.Errorf("back again: %+v", s)
	}

	// What is wrong is told with its place, here and by the server.
	s = apply("flows:\n  - name: x\n    wrong: 1\n", "plan")
	if s.status != 1 || !strings.Contains(s.err, file+":3:5: ") || !strings.Contains(s.err, "wrong") {
		t.Errorf("an unknown key: %+v", s)
	}
	never := strings.Replace(only, "values: [sre]}]}]}\n    duration", "values: [nobody]}]}]}\n    duration", 1)
	s = apply(never, "apply", "--yes")
	if s.status != 1 || !strings.Contains(s.out, "flow change") || !strings.Contains(s.err, "refused as they are") {
		t.Errorf("a flow that nobody can approve: %+v", s)
	}
	wants(t, "versions", w.must("sofia", nil, "flow", "versions").out, "3  ")

	// Integrations in the file are another command's.
	w.write("integrations:\n  - name: green\n    type: api-gateway\n    config: {role: x}\n"+only, "flows.yaml")
	if s := w.as("sofia", "", "flow", "plan", file); s.status != 0 || !strings.Contains(s.out, "nothing to change") {
		t.Errorf("with integrations: %+v", s)
	}
	if s := w.as("sofia", only, "flow", "plan", "-"); s.status != 0 {
		t.Errorf("from standard input: %+v", s)
	}
	if s := w.as("rosa", "", "flow", "apply", file, "--yes"); s.status != 1 || !strings.Contains(s.err, "role admin") {
		t.Errorf("rosa applies: %+v", s)
	}
	if s := w.as("sofia", "", "flow", "apply", filepath.Join(w.home, "none"), "--yes"); s.status != 1 {
		t.Errorf("no file: %+v", s)
	}
}
