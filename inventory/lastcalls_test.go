package inventory

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-project/gatehouse/transaction"
)

func TestLastCalls(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 14, 15, 0, 0, 0, time.UTC)
	inv := New(Options{Clock: func() time.Time { return now }})
	call := func(api, method, route, path string, status int, ago time.Duration) *transaction.Transaction {
		return &transaction.Transaction{
			Account: "111122223333", Region: "eu-west-1", APIID: api, APIType: transaction.REST, Stage: "live", Method: method, Route: route, Path: path,
			Time: transaction.Time(now.Add(-ago).UnixMilli()), Response: &transaction.Response{Status: status},
		}
	}
	inv.Observe([]*transaction.Transaction{
		call("a1", "GET", "/pets", "/pets", 200, time.Hour), call("a1", "GET", "/pets", "/pets", 500, time.Minute), call("a1", "GET", "/pets", "/pets", 200, 2*time.Hour),
		call("a1", "POST", "/pets", "/pets", 403, 3*time.Hour),
		call("a1", "GET", "", "/nowhere", 403, time.Minute), // a probe is no use of the API
		call("a2", "GET", "", "", 200, time.Minute),
	})
	want := map[APIKey]LastCalls{
		{"111122223333", "eu-west-1", "a1"}: {Type: transaction.REST, Routes: []LastCall{{"live", "GET", "/pets", now.Add(-time.Minute)}, {"live", "POST", "/pets", now.Add(-3 * time.Hour)}}},
		{"111122223333", "eu-west-1", "a2"}: {Type: transaction.REST, Partial: true},
	}
	if d := cmp.Diff(want, inv.LastCalls(), cmpopts.SortSlices(func(a, b LastCall) bool { return a.Method < b.Method })); d != "" {
		t.Error(d)
	}
}
