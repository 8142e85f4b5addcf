package app

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/finding"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// What is not read to its end, or is filtered, is not known of.
func TestSeenTraffic(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	group := func(name string, lag time.Duration, fault string) collect.GroupHealth {
		return collect.GroupHealth{Group: transaction.Group{Account: "111122223333", Region: "eu-west-1", Name: name, APIID: "a1"}, From: from, Lag: lag, Error: fault}
	}
	h := collect.Health{Groups: []collect.GroupHealth{group("good", time.Minute, ""), group("behind", 2*time.Hour, ""), group("denied", time.Minute, "denied")}}
	calls := map[inventory.APIKey]inventory.LastCalls{
		{Account: "111122223333", Region: "eu-west-1", ID: "a1"}: {Routes: []inventory.LastCall{
			{Stage: "live", Method: "GET", Route: "/pets", Time: from}, {Stage: "live", Method: "ANY", Route: "/cats", Time: from},
		}},
		{Account: "111122223333", Region: "eu-west-1", ID: "w1"}: {Type: transaction.WebSocket, Routes: []inventory.LastCall{{Stage: "live", Method: "MESSAGE", Route: "say", Time: from}}},
		{Account: "111122223333", Region: "eu-west-1", ID: "a2"}: {Partial: true},
	}
	seen := newSeenTraffic(h, calls)
	for name, want := range map[string]time.Time{"good": from, "behind": {}, "denied": {}, "unheard of": {}} {
		if got := seen.Read("111122223333", "eu-west-1", name); !got.Equal(want) {
			t.Errorf("%s is read since %v, not %v", name, got, want)
		}
	}
	got, whole := seen.Calls("111122223333", "eu-west-1", "a1")
	if d := cmp.Diff([]finding.Call{{Method: "GET", Route: "/pets", Last: from}, {Route: "/cats", Last: from}}, got); d != "" || !whole {
		t.Errorf("whole %t: %s", whole, d)
	}
	if got, _ := seen.Calls("111122223333", "eu-west-1", "w1"); len(got) != 1 || got[0] != (finding.Call{Route: "say", Last: from}) {
		t.Errorf("the calls of a WebSocket API are %+v", got)
	}
	if _, whole := seen.Calls("111122223333", "eu-west-1", "a2"); whole {
		t.Error("calls without their route are taken for none")
	}
	h.Filters = []collect.FilterHealth{{Rule: "filter_paths"}}
	if got := newSeenTraffic(h, calls).Read("111122223333", "eu-west-1", "good"); !got.IsZero() {
		t.Errorf("what is filtered is taken for watched since %v", got)
	}
}
