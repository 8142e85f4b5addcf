package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/transaction"
)

var (
	methods      = []string{"GET", "POST", "DELETE"}
	stages       = []string{"prod", "dev"}
	regions      = []string{"eu-west-1", "us-east-1"}
	accounts     = []string{"111122223333", "444455556666", "777788889999"}
	types        = []transaction.APIType{transaction.REST, transaction.HTTP, transaction.WebSocket}
	visibilities = []transaction.Visibility{transaction.Full, transaction.Truncated, transaction.Metadata}
	sorts        = []string{"", "route", "calls", "errors", "last_seen", "first_seen", "latency", "callers"}
	searches     = []string{"", "", "", "pets", "GET /", "PETS", "api1", "orders api", "%", "_", `\`, "{", "'", "ü"}
	nouns        = []string{"pets", "orders", "users", "50%_off", `back\slash`, "ünïcode", "o'neill", "$default"}
)

// populate fills a store with random endpoints, many of which are equal in what
// they can be sorted by, and returns them as the store should give them.
func populate(t *testing.T, s store.Store, n int) []inventory.Endpoint {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2)) // the same world each time
	pick := func(list []string) string { return list[random.IntN(len(list))] }
	inv := inventory.New(inventory.Options{
		Clock:   func() time.Time { return start },
		APIName: func(_, _, api string) string { return map[string]string{"api1": "Orders API", "api2": "Pets"}[api] },
	})
	for i := range n {
		route := "/" + pick(nouns) + "/" + strconv.Itoa(i%(n/2))
		first := call(fmt.Sprintf("t%d", i), pick(methods), route, "", 200, start)
		first.Account, first.Region, first.Stage = pick(accounts), pick(regions), pick(stages)
		first.APIID = fmt.Sprintf("api%d", random.IntN(4))
		first.APIType = types[random.IntN(len(types))]
		first.Visibility = visibilities[random.IntN(len(visibilities))]
		for k := range 1 + random.IntN(4) {
			c := *first
			c.ID = fmt.Sprintf("%s-%d", c.ID, k)
			c.Time = transaction.Time(start.Add(-time.Duration(random.IntN(90)) * time.Minute).UnixMilli())
			c.Response = &transaction.Response{Status: []int{200, 400, 500}[random.IntN(3)]}
			latency := int64(random.IntN(5) * 10)
			c.LatencyMS = &latency
			inv.Observe([]*transaction.Transaction{&c})
		}
	}
	c, ok := inv.Changes().(*inventory.Changes)
	if !ok {
		t.Fatal("an inventory that observed calls has no changes")
	}
	commitChanges(t, s, c)
	out := make([]inventory.Endpoint, 0, len(c.Endpoints))
	for i := range c.Endpoints {
		e := c.Endpoints[i].Endpoint
		recent, err := inventory.DecodeRecent(c.Endpoints[i].Minutes, start)
		if err != nil {
			t.Fatalf("DecodeRecent: %v", err)
		}
		e.Recent = recent
		out = append(out, e)
	}
	return out
}

// matches is the naive form of a Query's filters.
func matches(e *inventory.Endpoint, q *inventory.Query) bool {
	search := false
	for _, text := range []string{e.Method + " " + e.Route, e.APIID, e.APIName} {
		search = search || strings.Contains(lowerASCII(text), lowerASCII(q.Search))
	}
	return search &&
		(q.Account == "" || q.Account == e.Account) && (q.Region == "" || q.Region == e.Region) &&
		(q.APIID == "" || q.APIID == e.APIID) && (q.Stage == "" || q.Stage == e.Stage) &&
		(q.APIType == "" || q.APIType == e.APIType) && (q.Method == "" || q.Method == e.Method) &&
		(q.Visibility == "" || q.Visibility == e.Visibility) &&
		(q.Since.IsZero() || !e.FirstSeen.Before(q.Since))
}

// lowerASCII is how far a search ignores case.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// compare tells the order that a Sort asks for; endpoints that are equal in it
// may come in any.
func compare(a, b *inventory.Endpoint, sort string) int {
	switch sort {
	case "calls":
		return cmp.Compare(a.Calls, b.Calls)
	case "errors":
		return cmp.Compare(a.Errors4xx+a.Errors5xx, b.Errors4xx+b.Errors5xx)
	case "last_seen":
		return a.LastSeen.Compare(b.LastSeen)
	case "first_seen":
		return a.FirstSeen.Compare(b.FirstSeen)
	case "latency":
		return cmp.Compare(a.LatencyP95, b.LatencyP95)
	case "callers":
		return cmp.Compare(a.Callers, b.Callers)
	default:
		return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.Method, b.Method))
	}
}

// inOrder checks that got has the endpoints of want, which is sorted, as far as
// it goes: the same values in the same order, none twice and each as it is.
func inOrder(got, want []inventory.Endpoint, sort string) error {
	known := map[string]*inventory.Endpoint{}
	for i := range want {
		known[want[i].ID] = &want[i]
	}
	for i := range got {
		e := known[got[i].ID]
		if e == nil {
			return fmt.Errorf("endpoint %d, %s, does not match or comes twice", i, got[i].ID)
		}
		delete(known, e.ID)
		if d := gocmp.Diff(*e, got[i]); d != "" {
			return fmt.Errorf("endpoint %d (-want +got):\n%s", i, d)
		}
		if compare(e, &want[i], sort) != 0 {
			return fmt.Errorf("endpoint %d is %+v; in order would be %+v", i, *e, want[i])
		}
	}
	return nil
}

func choose(world []inventory.Endpoint, q *inventory.Query) []inventory.Endpoint {
	out := []inventory.Endpoint{}
	for i := range world {
		if matches(&world[i], q) {
			out = append(out, world[i])
		}
	}
	slices.SortFunc(out, func(a, b inventory.Endpoint) int {
		if q.Descending {
			return compare(&b, &a, q.Sort)
		}
		return compare(&a, &b, q.Sort)
	})
	return out
}

func drawQuery(t *rapid.T) inventory.Query {
	// Mostly unset, so that some endpoints are left.
	some := func(name string, list []string) string {
		if rapid.IntRange(0, 3).Draw(t, name+"?") > 0 {
			return ""
		}
		return rapid.SampledFrom(list).Draw(t, name)
	}
	q := inventory.Query{
		Search:     rapid.SampledFrom(searches).Draw(t, "search"),
		Account:    some("account", accounts),
		Region:     some("region", regions),
		APIID:      some("api", []string{"api0", "api1", "none"}),
		Stage:      some("stage", stages),
		Method:     some("method", methods),
		APIType:    transaction.APIType(some("type", []string{"REST", "HTTP", "WEBSOCKET"})),
		Visibility: transaction.Visibility(some("visibility", []string{"full", "truncated", "metadata"})),
		Sort:       rapid.SampledFrom(sorts).Draw(t, "sort"),
		Descending: rapid.Bool().Draw(t, "descending"),
		Limit:      rapid.SampledFrom([]int{0, 1, 3, 7, 1000, -1}).Draw(t, "limit"),
	}
	if rapid.Bool().Draw(t, "since?") {
		q.Since = start.Add(-time.Duration(rapid.IntRange(0, 90).Draw(t, "since")) * time.Minute)
	}
	return q
}

func readerAgreesWithModel(t *testing.T, place Place) {
	s := open(t, place)
	world := populate(t, s, 150)
	rapid.Check(t, func(t *rapid.T) {
		q := drawQuery(t)
		want := choose(world, &q)
		page, err := s.Endpoints(t.Context(), q)
		if err != nil {
			t.Fatalf("Endpoints: %v", err)
		}
		limit := q.Limit
		switch limit {
		case 0:
			limit = 100
		case -1:
			limit = len(want)
		}
		first := want[:min(len(want), limit)]
		if err := inOrder(page.Endpoints, want, q.Sort); err != nil || len(page.Endpoints) != len(first) {
			t.Fatalf("%+v: %d endpoints, want %d: %v", q, len(page.Endpoints), len(first), err)
		}
		if page.Total != len(want) {
			t.Fatalf("total %d; want %d", page.Total, len(want))
		}
		if more := len(first) < len(want); more != (page.Next != "") {
			t.Fatalf("next page %q; want one: %v", page.Next, more)
		}
		facets, err := s.Facets(t.Context(), q)
		if err != nil {
			t.Fatalf("Facets: %v", err)
		}
		if d := gocmp.Diff(countFacets(world, q), facets); d != "" {
			t.Fatalf("facets of %+v (-want +got):\n%s", q, d)
		}
	})
}

func countFacets(world []inventory.Endpoint, q inventory.Query) *inventory.Facets {
	without := func(change func(q *inventory.Query)) []inventory.Endpoint {
		q := q
		change(&q)
		return choose(world, &q)
	}
	return &inventory.Facets{
		Accounts:     count(without(func(q *inventory.Query) { q.Account = "" }), func(e *inventory.Endpoint) string { return e.Account }),
		Regions:      count(without(func(q *inventory.Query) { q.Region = "" }), func(e *inventory.Endpoint) string { return e.Region }),
		APIs:         count(without(func(q *inventory.Query) { q.APIID = "" }), func(e *inventory.Endpoint) string { return e.APIID }),
		Stages:       count(without(func(q *inventory.Query) { q.Stage = "" }), func(e *inventory.Endpoint) string { return e.Stage }),
		Methods:      count(without(func(q *inventory.Query) { q.Method = "" }), func(e *inventory.Endpoint) string { return e.Method }),
		APITypes:     count(without(func(q *inventory.Query) { q.APIType = "" }), func(e *inventory.Endpoint) transaction.APIType { return e.APIType }),
		Visibilities: count(without(func(q *inventory.Query) { q.Visibility = "" }), func(e *inventory.Endpoint) transaction.Visibility { return e.Visibility }),
	}
}

func count[K comparable](list []inventory.Endpoint, value func(*inventory.Endpoint) K) map[K]int {
	out := map[K]int{}
	for i := range list {
		out[value(&list[i])]++
	}
	return out
}

// pagesAreComplete reads page by page in every order: nothing is missing and
// nothing comes twice.
func pagesAreComplete(t *testing.T, place Place) {
	s := open(t, place)
	world := populate(t, s, 50)
	for _, sort := range sorts {
		for _, down := range []bool{false, true} {
			q := inventory.Query{Sort: sort, Descending: down, Limit: 7}
			want := choose(world, &q)
			var got []inventory.Endpoint
			for range world {
				page, err := s.Endpoints(t.Context(), q)
				if err != nil {
					t.Fatalf("Endpoints: %v", err)
				}
				got = append(got, page.Endpoints...)
				if page.Total != len(world) {
					t.Errorf("total on a later page: %d; want %d", page.Total, len(world))
				}
				if q.Cursor = page.Next; q.Cursor == "" {
					break
				}
			}
			if err := inOrder(got, want, sort); err != nil || len(got) != len(want) {
				t.Errorf("all pages by %q, descending %v: %d endpoints, want %d: %v", sort, down, len(got), len(want), err)
			}
		}
	}
}

func invalidQueries(t *testing.T, place Place) {
	s := open(t, place)
	populate(t, s, 20)
	page, err := s.Endpoints(t.Context(), inventory.Query{Sort: "calls", Limit: 1})
	if err != nil || page.Next == "" {
		t.Fatalf("Endpoints: %v, next %q", err, page.Next)
	}
	for name, q := range map[string]inventory.Query{
		"unknown order":        {Sort: "id; DROP TABLE endpoints"},
		"damaged cursor":       {Cursor: "!"},
		"cursor without shape": {Cursor: "bnVsbA"},
		"other order":          {Cursor: page.Next, Sort: "latency"},
		"other direction":      {Cursor: page.Next, Sort: "calls", Descending: true},
	} {
		if _, err := s.Endpoints(t.Context(), q); !errors.Is(err, inventory.ErrInvalidQuery) {
			t.Errorf("%s: %v; want ErrInvalidQuery", name, err)
		}
	}
	facets, err := s.Facets(t.Context(), inventory.Query{Search: "nothing has this"})
	if err != nil || len(slices.Collect(maps.Keys(facets.Methods))) != 0 {
		t.Errorf("facets of nothing: %+v, %v", facets, err)
	}
}
