package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// world returns an inventory's calls to n endpoints of 20 accounts and 100 APIs.
func world(n, round int) []*transaction.Transaction {
	out := make([]*transaction.Transaction, 0, n)
	for i := range n {
		latency := int64(5 + (i*7+round*13)%400)
		out = append(out, &transaction.Transaction{
			ID: fmt.Sprintf("%d-%d", i, round), Account: fmt.Sprintf("%012d", i%20), Region: []string{"eu-west-1", "us-east-1"}[i%2],
			APIID: fmt.Sprintf("api%d", i%100), APIType: transaction.REST, Stage: []string{"prod", "dev"}[i/100%2],
			Time:   transaction.Time(1_770_000_000_000 + int64(round)*1000 + int64(i)),
			Method: []string{"GET", "POST", "PUT", "DELETE"}[i%4], Path: "/x",
			Route: fmt.Sprintf("/things%d/{thingId}/parts/{partId}", i), RouteSource: transaction.RouteFromAccessLog,
			Response: &transaction.Response{Status: []int{200, 200, 200, 404, 500}[(i+round)%5]}, LatencyMS: &latency,
			Caller:     &transaction.Caller{Kind: transaction.CallerIAM, ARN: fmt.Sprintf("arn:aws:iam::%012d:role/role-%d", i%20, (i+round)%30)},
			Visibility: []transaction.Visibility{transaction.Full, transaction.Truncated, transaction.Metadata}[i%3],
		})
	}
	return out
}

func populated(tb testing.TB, n int) (*Store, *inventory.Inventory) {
	tb.Helper()
	s, err := Open(tb.Context(), filepath.Join(tb.TempDir(), "state.db"), store.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	inv := inventory.New(inventory.Options{})
	for round := range 2 {
		inv.Observe(world(n, round))
		if err := s.Commit(tb.Context(), &collect.Checkpoint{Changes: []any{inv.Changes()}}); err != nil {
			tb.Fatal(err)
		}
	}
	return s, inv
}

// BenchmarkCommit saves 1,000 endpoints that changed and 20,000 digests of 10
// log groups, beside 50,000 endpoints that did not.
func BenchmarkCommit(b *testing.B) {
	s, inv := populated(b, 50_000)
	round := 2
	for b.Loop() {
		b.StopTimer()
		c := &collect.Checkpoint{Sinks: map[string]string{"file": fmt.Sprint(round)}}
		inv.Observe(world(1000, round))
		for g := range 10 {
			c.Groups = append(c.Groups, collect.GroupCheckpoint{
				Group: transaction.Group{Name: fmt.Sprintf("group%d", g)}, Fast: int64(round), SeenFrom: int64(round - 100),
				Seen: []collect.Seen{{Newest: int64(round), Events: make([]uint64, 1900), Calls: make([]uint64, 100)}},
			})
		}
		round++
		b.StartTimer()
		c.Changes = []any{inv.Changes()}
		if err := s.Commit(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkLoad fills an inventory with 50,000 saved endpoints.
func BenchmarkLoad(b *testing.B) {
	s, _ := populated(b, 50_000)
	for b.Loop() {
		if err := inventory.New(inventory.Options{}).Load(b.Context(), s); err != nil {
			b.Fatal(err)
		}
	}
}

var queries = []struct {
	name string
	q    inventory.Query
}{
	{"first page", inventory.Query{}},
	{"most called", inventory.Query{Sort: "calls", Descending: true}},
	{"slowest", inventory.Query{Sort: "latency", Descending: true}},
	{"most errors", inventory.Query{Sort: "errors", Descending: true}},
	{"newest", inventory.Query{Sort: "first_seen", Descending: true}},
	{"of an account", inventory.Query{Account: "000000000003", Sort: "calls", Descending: true}},
	{"of an API", inventory.Query{APIID: "api42"}},
	{"search", inventory.Query{Search: "things4242"}},
	{"search many", inventory.Query{Search: "get /things", Sort: "calls", Descending: true}},
	{"search none", inventory.Query{Search: "no such thing"}},
	{"full", inventory.Query{Visibility: transaction.Full, Sort: "last_seen", Descending: true}},
}

func BenchmarkEndpoints(b *testing.B) {
	s, _ := populated(b, 50_000)
	for _, c := range queries {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Endpoints(b.Context(), c.q); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("facets of "+c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Facets(b.Context(), c.q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestAnswersAreQuick holds every question at 50,000 endpoints to what a page of
// the dashboard may take, 50 ms, with room for a busy machine: the bound is
// twice that, and the best of some tries counts.
func TestAnswersAreQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a store of 50,000 endpoints")
	}
	if raceEnabled {
		t.Skip("the race detector makes everything slow")
	}
	s, _ := populated(t, 50_000)
	const bound = 100 * time.Millisecond
	best := func(fn func() error) time.Duration {
		least := time.Hour
		for range 12 {
			begin := time.Now()
			if err := fn(); err != nil {
				t.Fatal(err)
			}
			if least = min(least, time.Since(begin)); least < bound {
				break
			}
		}
		return least
	}
	for _, c := range queries {
		if d := best(func() error { _, err := s.Endpoints(t.Context(), c.q); return err }); d > bound {
			t.Errorf("%s took %s", c.name, d)
		}
		if d := best(func() error { _, err := s.Facets(t.Context(), c.q); return err }); d > bound {
			t.Errorf("facets of %s took %s", c.name, d)
		}
	}
}
