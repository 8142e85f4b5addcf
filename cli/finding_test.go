package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/finding"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
)

// savedFindings answers the findings' commands from a store.
type savedFindings struct {
	book   *finding.Book
	closed int
}

func (f *savedFindings) Findings(context.Context, *config.Config) (Findings, func() error, error) {
	return f.book, func() error { f.closed++; return nil }, nil
}

func newSavedFindings(t *testing.T, judged bool) *savedFindings {
	t.Helper()
	s, err := sqlite.Open(t.Context(), "sqlite::memory:", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	f := &savedFindings{book: finding.NewBook(s, nil)}
	if judged {
		_, err = f.book.Evaluate(t.Context(), &finding.Estate{Time: time.Now(), Places: []finding.Place{{
			Account: "111122223333", AccountName: "storefront", Region: "eu-west-1", APIs: []finding.API{{
				ID: "a1b2c3d4e5", Name: "customers", Type: finding.REST, EndpointType: "REGIONAL", Stages: []finding.Stage{{Name: "live", LoggingLevel: "OFF"}},
				Routes: []finding.Route{{ID: "res1", Method: "GET", Path: "/customers/{id}", Authorization: "NONE"}},
			}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func runFinding(t *testing.T, rt findingRuntime, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	var out, errs bytes.Buffer
	s := Streams{In: strings.NewReader(""), Out: &out, Err: &errs}
	cmd := newFinding(rt, &s)
	cmd.SetArgs(append(args, "--state", "file:"+t.TempDir()+"/state.db"))
	cmd.SetOut(&out)
	cmd.SetErr(&errs)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	err = cmd.ExecuteContext(t.Context())
	return out.String(), errs.String(), err
}

func TestFindingsAreListedShownAndSet(t *testing.T) {
	t.Parallel()
	rt := newSavedFindings(t, true)
	out, _, err := runFinding(t, rt, "list", "--rule", "route-open")
	if err != nil || !strings.Contains(out, "high") || !strings.Contains(out, "GET /customers/{id}") || !strings.Contains(out, "customers") {
		t.Fatalf("list: %v\n%s", err, out)
	}
	var found []finding.Finding
	out, _, err = runFinding(t, rt, "list", "--severity", "high,critical", "-o", "json")
	if err != nil || json.Unmarshal([]byte(out), &found) != nil || len(found) != 1 || found[0].Rule != "route-open" {
		t.Fatalf("list as JSON: %v\n%s", err, out)
	}
	id := found[0].ID
	out, _, err = runFinding(t, rt, "show", id)
	for _, want := range []string{"authorization", "NONE", "Why it matters:", "--rest-api-id a1b2c3d4e5 --resource-id res1 --http-method GET", "STATE", "gatehouse"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("show lacks %q: %v\n%s", want, err, out)
		}
	}
	out, _, err = runFinding(t, rt, "set", id, "accepted", "--until", "30d", "--by", "ann", "--reason", "open beta")
	if err != nil || out != id+" is accepted\n" {
		t.Fatalf("set: %v\n%s", err, out)
	}
	if out, _, _ := runFinding(t, rt, "list", "--rule", "route-open"); strings.Contains(out, id) {
		t.Errorf("what is accepted is listed as if it waited:\n%s", out)
	}
	if out, _, err := runFinding(t, rt, "list", "--status", "all", "--rule", "route-open"); err != nil || !strings.Contains(out, "accepted") {
		t.Errorf("list of all states: %v\n%s", err, out)
	}
	if out, _, err := runFinding(t, rt, "show", id); err != nil || !strings.Contains(out, "ann") || !strings.Contains(out, "open beta") {
		t.Errorf("show tells not who and why: %v\n%s", err, out)
	}
	out, _, err = runFinding(t, rt, "list", "--limit", "2")
	if err != nil || strings.Count(out, "\n") != 3 {
		t.Errorf("a list of two: %v\n%s", err, out)
	}
	out, _, err = runFinding(t, rt, "rules")
	if err != nil || !strings.Contains(out, "waf-missing") || !strings.Contains(out, "NOT SEEN") {
		t.Errorf("rules: %v\n%s", err, out)
	}
	if rt.closed == 0 {
		t.Error("the findings were never closed")
	}
}

func TestFindingMistakes(t *testing.T) {
	t.Parallel()
	rt := newSavedFindings(t, true)
	for name, c := range map[string]struct {
		args  []string
		usage bool
		want  string
	}{
		"unknown severity":   {[]string{"list", "--severity", "awful"}, true, "awful"},
		"unknown state":      {[]string{"list", "--status", "new"}, true, "new"},
		"unknown rule":       {[]string{"list", "--rule", "nope"}, true, "nope"},
		"negative limit":     {[]string{"list", "--limit", "-1"}, true, "limit"},
		"no id":              {[]string{"show"}, true, "needs the id"},
		"unknown id":         {[]string{"show", "0000"}, false, "no such finding"},
		"no reason":          {[]string{"set", "0000", "open"}, true, "why"},
		"no state":           {[]string{"set", "0000"}, true, "a state"},
		"strange end":        {[]string{"set", "0000", "accepted", "--reason", "x", "--until", "soon"}, true, "soon"},
		"decision of nobody": {[]string{"set", "0000", "fixed", "--reason", "x", "--by", "ann"}, false, "no such finding"},
	} {
		_, _, err := runFinding(t, rt, c.args...)
		var usage *UsageError
		if err == nil || errors.As(err, &usage) != c.usage || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNothingWasJudged(t *testing.T) {
	t.Parallel()
	_, stderr, err := runFinding(t, newSavedFindings(t, false), "list")
	if err != nil || !strings.Contains(stderr, "nothing was judged yet") {
		t.Errorf("without an evaluation: %v, %q", err, stderr)
	}
}
