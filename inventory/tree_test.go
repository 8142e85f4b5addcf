package inventory

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/transaction"
)

var now = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

func newTest() *Inventory { return New(Options{Clock: func() time.Time { return now }}) }

// ok is a call to a path that nobody knows the route of.
func ok(path string) *transaction.Transaction {
	return &transaction.Transaction{
		ID: path, APIType: transaction.REST, Account: "1", Region: "r", APIID: "a", Stage: "s", Method: "GET", Path: path,
		Time: transaction.Time(now.UnixMilli()), Response: &transaction.Response{Status: 200}, Visibility: transaction.Metadata,
	}
}

// routes returns every endpoint as "METHOD route calls".
func routes(inv *Inventory) []string {
	var out []string
	for _, s := range inv.stages {
		for _, e := range s.endpoints {
			out = append(out, fmt.Sprintf("%s %s %d", e.method, e.route, e.calls))
		}
	}
	slices.Sort(out)
	return out
}

func words(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = string([]rune{rune('a' + i%26), rune('a' + i/26%26), 'z', 'o'})
	}
	return out
}

func TestLearnedTemplates(t *testing.T) {
	t.Parallel()
	prefixed := func(prefix, suffix string, list []string) (out []string) {
		for _, s := range list {
			out = append(out, prefix+s+suffix)
		}
		return out
	}
	for name, c := range map[string]struct{ paths, want []string }{
		"values are parameters at once": {
			[]string{"/pets/1", "/pets/2", "/pets", "/pets/", "//pets//3"},
			[]string{"GET /pets 2", "GET /pets/{petId} 3"},
		},
		"nested parameters have different names": {
			[]string{"/1/2/3", "/a/1/a/2"},
			[]string{"GET /a/{aId}/a/{aId2} 1", "GET /{id}/{id2}/{id3} 1"},
		},
		"fixed words stay beside values": {
			[]string{"/users/1", "/users/me", "/users/search", "/v1/users/2", "/v2/users/2"},
			[]string{
				"GET /users/me 1", "GET /users/search 1", "GET /users/{userId} 1",
				"GET /v1/users/{userId} 1", "GET /v2/users/{userId} 1",
			},
		},
		"few siblings are names": {
			[]string{"/feature/login", "/feature/dump", "/reports/daily", "/reports/weekly", "/reports/monthly"},
			[]string{
				"GET /feature/dump 1", "GET /feature/login 1", "GET /reports/daily 1", "GET /reports/monthly 1", "GET /reports/weekly 1",
			},
		},
		"siblings with the same name below them are values": {
			append(prefixed("/users/", "/orders", words(6)), "/users/me/orders"),
			[]string{"GET /users/me/orders 1", "GET /users/{userId}/orders 6"},
		},
		"collections with the same operations are not": {
			append(prefixed("/", "/search", words(20)), prefixed("/", "/1", words(20))...),
			func() (out []string) {
				for _, w := range words(20) {
					out = append(out, "GET /"+w+"/search 1", "GET /"+w+"/{"+w+"Id} 1")
				}
				slices.Sort(out)
				return out
			}(),
		},
		"many siblings of a plural are values": {
			prefixed("/categories/", "", words(50)),
			[]string{"GET /categories/{categoryId} 50"},
		},
		"a merge carries what is below": {
			slices.Concat(prefixed("/users/", "/orders/7", words(7)), prefixed("/users/", "/orders", words(7)), prefixed("/users/", "", words(7))),
			[]string{"GET /users/{userId} 7", "GET /users/{userId}/orders 7", "GET /users/{userId}/orders/{orderId} 7"},
		},
		"matrix parameters and braces": {
			[]string{"/a;jsessionid=1", "/a", "/b/{id}", "/b/5"},
			[]string{"GET /a 2", "GET /b/{bId} 2"},
		},
		"deep paths end in a greedy parameter": {
			[]string{strings.Repeat("/x", 40), strings.Repeat("/x", 41)},
			[]string{"GET " + strings.Repeat("/x", 16) + "/{rest+} 2"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inv := newTest()
			for _, p := range c.paths {
				inv.Observe([]*transaction.Transaction{ok(p)})
			}
			slices.Sort(c.want)
			if d := cmp.Diff(c.want, routes(inv)); d != "" {
				t.Errorf("routes (-want +got):\n%s", d)
			}
		})
	}
}

// The same paths in any order end in the same templates with the same counts.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		people := rapid.IntRange(1, 70).Draw(t, "people")
		var paths []string
		for i, w := range words(people) {
			paths = append(paths, "/users/"+w, "/shops/"+w+"x/items", "/shops/"+w+"x/items/"+fmt.Sprint(i), "/misc/"+w)
			if i%3 == 0 {
				paths = append(paths, "/users/"+fmt.Sprint(i), "/misc/"+fmt.Sprint(i), "/users/me", "/regions/r"+fmt.Sprint(i)+"x")
			}
		}
		seed := rapid.Uint64().Draw(t, "seed")
		var first []string
		for order := range uint64(3) {
			shuffled := slices.Clone(paths)
			random := rand.New(rand.NewPCG(seed, order))
			random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			inv := newTest()
			for _, p := range shuffled {
				inv.Observe([]*transaction.Transaction{ok(p)})
			}
			got := routes(inv)
			if order == 0 {
				first = got
			} else if d := cmp.Diff(first, got); d != "" {
				t.Fatalf("another order (-first +this):\n%s", d)
			}
		}
	})
}

// Whatever is observed, no call is lost, the index and the tree agree, and the
// changes tell a store of every endpoint.
func TestTreeHoldsTogether(t *testing.T) {
	t.Parallel()
	segment := rapid.SampledFrom(slices.Concat(words(40), []string{"1", "2", "me", "v1", "x1", "x2", "a-b", "users", "orders", "", "{id}"}))
	rapid.Check(t, func(t *rapid.T) {
		inv := newTest()
		stored := map[string]int64{}
		calls := rapid.IntRange(1, 400).Draw(t, "calls")
		for i := range calls {
			path := "/" + strings.Join(rapid.SliceOfN(segment, 0, 4).Draw(t, "path"), "/")
			call := ok(path)
			call.Method = rapid.SampledFrom([]string{"GET", "POST"}).Draw(t, "method")
			if rapid.IntRange(0, 9).Draw(t, "known") == 0 {
				call.Route, call.RouteSource = path, transaction.RouteFromEstate
			}
			inv.Observe([]*transaction.Transaction{call})
			if i%7 == 0 {
				store(t, stored, inv)
			}
		}
		store(t, stored, inv)
		var total, saved int64
		for _, s := range inv.stages {
			for at, e := range s.endpoints {
				total += e.calls
				if e.gone || e.id != e.key().ID() || at != (methodRoute{e.method, e.route}) {
					t.Fatalf("endpoint %s %s is not where it belongs", e.method, e.route)
				}
				if e.node != nil && (e.node.template() != e.route || e.node.endpoint(e.method) != e || s.tree.plant(e.route) != e.node) {
					t.Fatalf("endpoint %s %s is not at its node", e.method, e.route)
				}
				if stored[e.id] != e.calls {
					t.Fatalf("endpoint %s %s has %d calls; the store knows of %d", e.method, e.route, e.calls, stored[e.id])
				}
			}
		}
		for _, n := range stored {
			saved += n
		}
		if total != int64(calls) || saved != int64(calls) {
			t.Fatalf("%d calls in memory and %d in the store; %d were observed", total, saved, calls)
		}
		if n := inv.Live().Endpoints; n != len(stored) {
			t.Fatalf("%d endpoints; the store has %d", n, len(stored))
		}
	})
}

// store applies changes as a store does, to the calls of every endpoint.
func store(t *rapid.T, stored map[string]int64, inv *Inventory) {
	c, ok := inv.Changes().(*Changes)
	if !ok {
		return
	}
	for i := range c.Endpoints {
		stored[c.Endpoints[i].ID] = c.Endpoints[i].Calls
	}
	for _, id := range c.Removed {
		delete(stored, id)
	}
	for _, a := range c.Aliases {
		if _, exists := stored[a.To]; !exists && !slices.ContainsFunc(c.Aliases, func(b Alias) bool { return b.From == a.To }) {
			t.Fatalf("alias %v leads to nothing", a)
		}
	}
}

// A scanner that gets answers to everything fills one stage's tree at most.
func TestSiblingsAreBounded(t *testing.T) {
	t.Parallel()
	inv := newTest()
	for i := range 3000 {
		inv.Observe([]*transaction.Transaction{ok(fmt.Sprintf("/v%d/x", i)), ok("/" + words(676)[i%676] + "/y")})
	}
	if n := inv.Live().Endpoints; n > 1100 {
		t.Errorf("%d endpoints of a scanner's paths", n)
	}
}

func BenchmarkLearnedPath(b *testing.B) {
	inv := newTest()
	batch := make([]*transaction.Transaction, 1000)
	for i := range batch {
		batch[i] = ok(fmt.Sprintf("/v1/users/%d/orders/%d/items", i, 7*i))
	}
	inv.Observe(batch)
	b.ReportAllocs()
	for b.Loop() {
		inv.Observe(batch)
	}
	b.ReportMetric(float64(len(batch))*float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
