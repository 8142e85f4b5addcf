package storetest

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// traffic is calls to n endpoints of 20 accounts and 100 APIs.
func traffic(n, round int) []*transaction.Transaction {
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

// manyEndpoints is how many endpoints the store has that is measured.
const manyEndpoints = 50_000

// populated is a store with many endpoints, and the inventory that it was filled from.
func populated(tb testing.TB, place Place) (store.Store, *inventory.Inventory) {
	tb.Helper()
	s, err := place(store.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	inv := inventory.New(inventory.Options{})
	for round := range 2 {
		inv.Observe(traffic(manyEndpoints, round))
		if err := s.Commit(tb.Context(), &collect.Checkpoint{Changes: []any{inv.Changes()}}); err != nil {
			tb.Fatal(err)
		}
	}
	return s, inv
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

// Benchmark measures a store; place is empty.
func Benchmark(b *testing.B, place Place) {
	b.Helper()
	s, inv := populated(b, place)
	// 1,000 endpoints that changed and 20,000 digests of 10 log groups, beside 50,000
	// endpoints that did not.
	b.Run("Commit", func(b *testing.B) {
		round := 2
		for b.Loop() {
			b.StopTimer()
			c := &collect.Checkpoint{Sinks: map[string]string{"file": strconv.Itoa(round)}}
			inv.Observe(traffic(1000, round))
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
	})
	b.Run("Load", func(b *testing.B) {
		for b.Loop() {
			if err := inventory.New(inventory.Options{}).Load(b.Context(), s); err != nil {
				b.Fatal(err)
			}
		}
	})
	for _, c := range queries {
		b.Run("Endpoints/"+c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Endpoints(b.Context(), c.q); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("Facets/"+c.name, func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Facets(b.Context(), c.q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("Lend", func(b *testing.B) { benchmarkLend(b, s) })
	b.Run("Append", func(b *testing.B) {
		for b.Loop() {
			if err := s.Append(b.Context(), auditEvent("a.b", "x")); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// benchmarkLend lends: a request, its grant, an object and an event in one commit, and
// takes the object.
func benchmarkLend(b *testing.B, s store.Store) {
	b.Helper()
	l, err := s.Lending()
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		n++
		at := start.Add(time.Duration(n) * time.Millisecond)
		id := fmt.Sprintf("%08d", n)
		g := lentGrant("g"+id, "ann", at, id)
		r := lentRequest(g.Request, "ann", at)
		err := l.Commit(b.Context(), &access.Change{
			At: at, Requests: []*access.Request{r}, Grants: []*access.Grant{g}, Touches: []access.Touch{touch(id, at)},
			Events: []audit.Event{auditEvent("grant.created", g.ID)},
		})
		if err != nil {
			b.Fatal(err)
		}
		got, err := l.LeaseObjects(b.Context(), access.LeaseQuery{Integration: "prod", Holder: "a", Now: at, Until: at.Add(time.Hour), Limit: 10})
		if err != nil || len(got) != 1 {
			b.Fatalf("%d objects, %v", len(got), err)
		}
	}
}

// AnswersAreQuick holds every question at 50,000 endpoints to a bound. The best of the
// tries of half a minute counts, for the machine has other work: a question that is too
// slow by itself never keeps to the bound.
func AnswersAreQuick(t *testing.T, place Place, bound time.Duration) {
	t.Helper()
	s, _ := populated(t, place)
	best := func(fn func() error) time.Duration {
		least := time.Hour
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
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
