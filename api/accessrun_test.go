package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/access"
)

// A target is asked in the background: the answer is a run that can be followed, and what
// was found is in the integration.
func TestIntegrationRuns(t *testing.T) {
	t.Parallel()
	s := newLendSite(t)
	s.open()
	if r := s.run("check"); r.State != "done" || r.Found != 1 || r.Left != 0 {
		t.Errorf("the check: %+v", r)
	}
	if r := s.run("discover"); r.State != "done" || r.Found != 2 {
		t.Errorf("the discovery: %+v", r)
	}
	s.target.mu.Lock()
	s.target.has["somebody:namespace/payments:edit"] = 1
	s.target.mu.Unlock()
	if r := s.run("reconcile"); r.State != "done" || r.Found != 1 || r.Left != 1 {
		t.Errorf("the comparison: %+v", r)
	}
	var v access.IntegrationView
	s.must("sofia", "GET", "/integrations/prod", "", nil, &v)
	if len(v.Drift) != 1 || !v.Drift[0].ByHand || len(v.Health.Runs) < 3 || len(v.Health.Checks) == 0 {
		t.Errorf("the integration: %+v, %+v", v.Health, v.Drift)
	}
	var seen access.IntegrationView
	if s.must("rosa", "GET", "/integrations/prod", "", nil, &seen); seen.Health.Runs != nil {
		t.Errorf("rosa sees %+v", seen.Health.Runs)
	}
	if status, _, text := s.ask("sofia", "POST", "/integrations/none/check", "", nil, nil); status != http.StatusNotFound || !strings.Contains(text, "none") {
		t.Errorf("of no integration: %d %s", status, text)
	}
	if status, _, text := s.ask("sofia", "POST", "/integrations/prod/reboot", "", nil, nil); status != http.StatusNotFound {
		t.Errorf("of no kind: %d %s", status, text)
	}
}

// People write in all scripts: what they say is counted in characters.
func TestAccessTextsAreCountedInCharacters(t *testing.T) {
	t.Parallel()
	s := newLendSite(t)
	s.open()
	if status, _, text := s.ask("rosa", "POST", "/requests", askFor("payments", "edit", strings.Repeat("理", 2000)), nil, nil); status != http.StatusCreated {
		t.Errorf("2,000 characters: %d %s", status, text)
	}
	if status, _, text := s.ask("rosa", "POST", "/requests", askFor("payments", "edit", strings.Repeat("e", 2001)), nil, nil); status != http.StatusUnprocessableEntity {
		t.Errorf("2,001 characters: %d %s", status, text)
	}
	var r requestBody
	s.must("rosa", "POST", "/requests", askFor("namespace/orders", "edit", "x"), nil, &r)
	if status, _, text := s.ask("amir", "POST", "/requests/"+r.ID+"/votes", `{"approve":true,"reason":"`+strings.Repeat("理", 2000)+`"}`, nil, nil); status != http.StatusOK {
		t.Errorf("a reason of 2,000 characters: %d %s", status, text)
	}
}
