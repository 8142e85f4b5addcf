package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/finding"
)

// findingEdit makes a new finding of a severity.
func findingEdit(id string, severity finding.Severity, state finding.State) finding.Edit {
	return finding.Edit{
		Finding: finding.Finding{
			ID: id, Rule: "route-open", Title: "Anybody may call the route", Severity: severity, Area: finding.Auth, State: state,
			Subject:  finding.Subject{Kind: finding.OfRoute, Account: "111122223333", Region: "eu-west-1", API: "api1", APIType: finding.REST, Name: "GET /pets"},
			Evidence: []finding.Evidence{{What: "authorization", Value: "NONE"}}, By: finding.Engine, Opened: start, Changed: start, Version: 1,
		},
		Changes: []finding.Change{{Time: start, To: finding.Open, By: finding.Engine}},
	}
}

func findings(t *testing.T, place Place) {
	s := open(t, place)
	if p, err := s.Posture(t.Context()); err != nil || p != nil {
		t.Errorf("before the first evaluation the posture is %+v, %v", p, err)
	}
	e := findingEdit("aaaa", finding.High, finding.Open)
	posture := &finding.Posture{Evaluated: start, Rules: []finding.Tally{{Rule: "route-open", Fail: 1, Pass: 2, NotApplicable: 3, NotSeen: 4}}, Accounts: []finding.AccountTally{
		{Account: "111122223333", Name: "shop", Pass: 2, Fail: 1, NotSeen: 4, Failing: map[finding.Severity]int{finding.High: 1}},
	}}
	if err := s.SaveFindings(t.Context(), []finding.Edit{e}, posture); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, place, s)
	want := e.Finding
	want.History = e.Changes
	got, err := s.Finding(t.Context(), "aaaa")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(&want, got); d != "" {
		t.Errorf("finding (-want +got):\n%s", d)
	}
	if _, err := s.Finding(t.Context(), "zzzz"); !errors.Is(err, finding.ErrNotFound) {
		t.Errorf("an unknown finding: %v", err)
	}
	posture.Counts = []finding.Count{{Severity: finding.High, State: finding.Open, Findings: 1}}
	if p, err := s.Posture(t.Context()); err != nil || cmp.Diff(posture, p) != "" {
		t.Errorf("posture (-want +got): %v\n%s", err, cmp.Diff(posture, p))
	}

	next := e
	next.Before, next.Finding.Version, next.Finding.State = 1, 2, finding.Acknowledged
	next.Changes = []finding.Change{{Time: start.Add(time.Hour), From: finding.Open, To: finding.Acknowledged, By: "ann", Reason: "known"}}
	if err := s.SaveFindings(t.Context(), []finding.Edit{next}, nil); err != nil {
		t.Fatal(err)
	}
	got, err = s.Finding(t.Context(), "aaaa")
	if err != nil || got.State != finding.Acknowledged || len(got.History) != 2 || got.History[1].By != "ann" {
		t.Errorf("after a change the finding is %+v, %v", got, err)
	}
	// What was made from an old version changes nothing, nor does what came with it.
	other := findingEdit("bbbb", finding.Low, finding.Open)
	for name, edits := range map[string][]finding.Edit{"old version": {other, next}, "there already": {other, e}} {
		if err := s.SaveFindings(t.Context(), edits, nil); !errors.Is(err, finding.ErrConflict) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if page, err := s.Findings(t.Context(), finding.Query{}); err != nil || page.Total != 1 {
		t.Errorf("after refused changes there are %d findings, %v", page.Total, err)
	}
	// What was fixed long ago is forgotten.
	old := findingEdit("cccc", finding.Low, finding.Fixed)
	if err := s.SaveFindings(t.Context(), []finding.Edit{old}, &finding.Posture{Evaluated: start.Add(500 * 24 * time.Hour)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Finding(t.Context(), "cccc"); !errors.Is(err, finding.ErrNotFound) {
		t.Errorf("what was fixed long ago: %v", err)
	}
}

func findingsPages(t *testing.T, place Place) {
	s := open(t, place)
	severities := finding.Severities()
	const count = 53
	edits := make([]finding.Edit, 0, count)
	for i := range count {
		e := findingEdit(fmt.Sprintf("%04d", i), severities[i%len(severities)], finding.States()[i%2])
		if i%3 == 0 {
			e.Finding.Subject.API, e.Finding.Rule = "api2", "waf-missing"
		}
		edits = append(edits, e)
	}
	if err := s.SaveFindings(t.Context(), edits, nil); err != nil {
		t.Fatal(err)
	}
	var seen []finding.Finding
	q := finding.Query{Limit: 10}
	for range edits {
		page, err := s.Findings(t.Context(), q)
		if err != nil || page.Total != len(edits) {
			t.Fatalf("a page of %d in all: %v", page.Total, err)
		}
		seen = append(seen, page.Findings...)
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	for i := 1; i < len(seen); i++ {
		a, b := &seen[i-1], &seen[i]
		if a.Severity.Rank() > b.Severity.Rank() || a.Severity == b.Severity && a.ID >= b.ID {
			t.Errorf("%s %s stands before %s %s", a.Severity, a.ID, b.Severity, b.ID)
		}
	}
	if len(seen) != len(edits) {
		t.Errorf("the pages hold %d findings of %d", len(seen), len(edits))
	}
	for name, c := range map[string]struct {
		query finding.Query
		want  int
	}{
		"severity":      {finding.Query{Severities: []finding.Severity{finding.Critical, finding.High}}, 22},
		"state":         {finding.Query{States: []finding.State{finding.Open}}, 27},
		"rule":          {finding.Query{Rule: "waf-missing"}, 18},
		"API":           {finding.Query{API: "api2"}, 18},
		"area":          {finding.Query{Area: finding.Logging}, 0},
		"account":       {finding.Query{Account: "111122223333"}, 53},
		"other account": {finding.Query{Account: "999999999999"}, 0},
		"region":        {finding.Query{Region: "eu-west-1"}, 53},
		"both":          {finding.Query{API: "api2", States: []finding.State{finding.Fixed}}, 0},
	} {
		page, err := s.Findings(t.Context(), c.query)
		if err != nil || page.Total != c.want || len(page.Findings) != c.want {
			t.Errorf("%s: %d findings of %d, %v; want %d", name, len(page.Findings), page.Total, err, c.want)
		}
	}
	for _, cursor := range []string{"x", "1", "-1.a", "1."} {
		if _, err := s.Findings(t.Context(), finding.Query{Cursor: cursor}); !errors.Is(err, finding.ErrInvalidQuery) {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
}
