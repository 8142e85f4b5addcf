package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/estate"
)

// The estate is discovered twice by two processes: the second reads the details of what
// changed alone, and the history tells it. A right that is missing is told, and hides
// nothing.
func TestEstateHistory(t *testing.T) {
	t.Parallel()
	w := doctorWorld(t)
	state := filepath.Join(t.TempDir(), "state.db")
	discover := func(more ...string) *process {
		t.Helper()
		args := append([]string{
			"estate", "discover", "--role-arn", w.readerARN(), "--external-id", externalID, "--region", region, "--state", state,
		}, more...)
		p := start(t, w.env(), args...)
		if code := p.exit(t, 60*time.Second); code != 0 {
			t.Fatalf("exit %d\n%s\n%s", code, p.out.String(), p.err.String())
		}
		return p
	}
	history := func(more ...string) []estate.Change {
		t.Helper()
		p := start(t, w.env(), append([]string{"estate", "history", "--state", state, "-o", "json"}, more...)...)
		if code := p.exit(t, 60*time.Second); code != 0 {
			t.Fatalf("exit %d\n%s", code, p.err.String())
		}
		var changes []estate.Change
		if err := json.Unmarshal([]byte(p.out.String()), &changes); err != nil {
			t.Fatalf("%v\n%s", err, p.out.String())
		}
		return changes
	}
	discover()
	if changes := history(); len(changes) != 0 {
		t.Errorf("the first discovery changed something: %+v", changes)
	}

	r := w.sim.Account(apiAccount).Region(region)
	r.AddRESTAPI(awssim.RESTAPI{ID: "forgotten0", Name: "forgotten", Stages: []awssim.Stage{{Name: "test"}}})
	w.sim.ResetCalls()
	discover()
	if n := w.sim.CallsOf("apigateway", "GetResources"); n != 1 {
		t.Errorf("the second discovery read the routes of %d APIs, and one is new", n)
	}
	changes := history("--type", "api")
	if len(changes) != 1 || changes[0].Kind != estate.Appeared || changes[0].Subject != "forgotten0" || changes[0].Account != apiAccount {
		t.Errorf("%+v", changes)
	}
	w.sim.ResetCalls()
	discover("--full")
	if n := w.sim.CallsOf("apigateway", "GetResources"); n != 2 {
		t.Errorf("a full discovery read the routes of %d APIs, and there are 2", n)
	}

	w.sim.Inject(awssim.Fault{Kind: awssim.Denied, Operation: "GetUsagePlans"})
	p := discover()
	if text := p.err.String(); !strings.Contains(text, "not seen, and not needed to collect calls") || !strings.Contains(text, "apigateway:GetUsagePlans") {
		t.Errorf("the missing right is not told:\n%s", text)
	}
	if changes := history(); len(changes) != 1 {
		t.Errorf("a missing right looks like a change: %+v", changes)
	}
	p = start(t, w.env(), "estate", "history", "--state", state)
	if code := p.exit(t, 60*time.Second); code != 0 || !strings.Contains(p.out.String(), "forgotten") || !strings.Contains(p.out.String(), "appeared") {
		t.Errorf("exit %d\n%s", code, p.out.String())
	}
}
