package estate

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/transaction"
)

func routesOf(keys ...string) []Route {
	var routes []Route
	for _, key := range keys {
		method, path, ok := strings.Cut(key, " ")
		if !ok {
			method, path = methodAny, key
		}
		routes = append(routes, Route{Method: method, Path: path})
	}
	return routes
}

func keyOf(r *Route) string {
	switch {
	case r == nil:
		return ""
	case r.Path == defaultRoute:
		return r.Path
	}
	return r.Method + " " + r.Path
}

func TestRouterREST(t *testing.T) {
	t.Parallel()
	r := newRouter(transaction.REST, routesOf(
		"GET /", "GET /pets", "POST /pets", "GET /pets/{id}", "DELETE /pets/{id}", "GET /pets/special",
		"GET /pets/{id}/toys/{toy}", "GET /pets/special/food", "ANY /files/{proxy+}", "GET /files/readme", "ANY /v1/{any}",
		"GET /caf%C3%A9", "GET /a b",
	))
	for call, want := range map[string]string{
		"GET /":                     "GET /",
		"GET ":                      "GET /",
		"POST /":                    "",
		"GET /pets":                 "GET /pets",
		"GET /pets/":                "GET /pets",
		"PUT /pets":                 "", // 403: the resource has no PUT
		"GET /pets/7":               "GET /pets/{id}",
		"GET /pets/7?x=1/2":         "GET /pets/{id}",
		"GET /pets/special":         "GET /pets/special",
		"DELETE /pets/special":      "", // the literal resource has no DELETE
		"GET /pets/special/toys/3":  "GET /pets/{id}/toys/{toy}",
		"GET /pets/special/food":    "GET /pets/special/food",
		"GET /pets/7/toys":          "",
		"GET /pets/a%2Fb":           "GET /pets/{id}",
		"GET /p%65ts":               "GET /pets",
		"GET /pets/%zz":             "GET /pets/{id}",
		"GET /pets//":               "", // an empty segment is no parameter
		"PATCH /files/a/b/c":        "ANY /files/{proxy+}",
		"GET /files/readme":         "GET /files/readme",
		"GET /files/readme/more":    "ANY /files/{proxy+}",
		"GET /files":                "",
		"GET /v1/x":                 "ANY /v1/{any}",
		"GET /v1/x/y":               "",
		"GET /a%20b":                "GET /a b",
		"GET /nothing":              "",
		"GET /PETS":                 "",
		"GET /pets/special/food/":   "GET /pets/special/food",
		"GET relative":              "",
		"GET /pets/7/toys/3/4/5/6/": "",
	} {
		method, path, _ := strings.Cut(call, " ")
		if got := keyOf(r.find(method, path)); got != want {
			t.Errorf("%s: %q, want %q", call, got, want)
		}
	}
}

// TestRouterHTTP holds the examples of AWS's page on routes, and what follows
// from its order of priorities.
func TestRouterHTTP(t *testing.T) {
	t.Parallel()
	documented := newRouter(transaction.HTTP, routesOf(
		"GET /pets/dog/1", "GET /pets/dog/{id}", "GET /pets/{proxy+}", "ANY /{proxy+}", "$default",
	))
	for call, want := range map[string]string{
		"GET /pets/dog/1": "GET /pets/dog/1",
		"GET /pets/dog/2": "GET /pets/dog/{id}",
		"GET /pets/cat/1": "GET /pets/{proxy+}",
		"POST /test/5":    "ANY /{proxy+}",
		"GET /":           "$default",
		// The method belongs to the match: no full match for POST.
		"POST /pets/dog/1": "ANY /{proxy+}",
	} {
		method, path, _ := strings.Cut(call, " ")
		if got := keyOf(documented.find(method, path)); got != want {
			t.Errorf("%s: %q, want %q", call, got, want)
		}
	}
	r := newRouter(transaction.HTTP, routesOf(
		"GET /a/{x}", "POST /a/{y}", "ANY /a/b", "GET /{x}/b/c", "GET /a/{proxy+}", "GET /slash", "GET /slashed/", "GET /g/{proxy+}",
	))
	for call, want := range map[string]string{
		"GET /a/1":      "GET /a/{x}",
		"POST /a/1":     "POST /a/{y}",
		"POST /a/b":     "ANY /a/b",
		"GET /a/b/c":    "GET /{x}/b/c", // a full match before a greedy one
		"GET /a/b/d":    "GET /a/{proxy+}",
		"GET /slash/":   "GET /slash",
		"GET /slashed/": "GET /slashed/",
		"GET /slashed":  "",
		"GET /g/":       "",
		"GET /g/x/":     "GET /g/{proxy+}",
	} {
		method, path, _ := strings.Cut(call, " ")
		if got := keyOf(r.find(method, path)); got != want {
			t.Errorf("%s: %q, want %q", call, got, want)
		}
	}
}

// naive chooses a route by trying all of them and sorting what matches.
func naive(kind transaction.APIType, routes []Route, method, path string) *Route {
	segments := strings.Split(strings.TrimPrefix(strings.TrimSuffix(path, "/"), "/"), "/")
	if path == "/" {
		segments = nil
	}
	type match struct {
		route *Route
		rank  string // per position: 0 literal, 1 parameter, 2 greedy
	}
	var matches []match
	var others *Route
	for i := range routes {
		route := &routes[i]
		if route.Path == defaultRoute {
			others = route
			continue
		}
		if kind == transaction.HTTP && route.Method != method && route.Method != methodAny {
			continue
		}
		var template []string
		if route.Path != "/" {
			template = strings.Split(route.Path[1:], "/")
		}
		if rank, ok := rankOf(template, segments); ok {
			matches = append(matches, match{route, rank})
		}
	}
	slices.SortFunc(matches, func(a, b match) int {
		greedyA, greedyB := strings.HasSuffix(a.rank, "2"), strings.HasSuffix(b.rank, "2")
		if kind == transaction.HTTP && greedyA != greedyB {
			if greedyA {
				return 1
			}
			return -1
		}
		return strings.Compare(a.rank, b.rank)
	})
	if len(matches) == 0 {
		return others
	}
	// Of the routes of the best path: the method itself, then ANY.
	var fallback *Route
	for _, m := range matches {
		if m.rank != matches[0].rank {
			break
		}
		switch m.route.Method {
		case method:
			return m.route
		case methodAny:
			fallback = m.route
		}
	}
	return fallback
}

func rankOf(template, segments []string) (string, bool) {
	var rank strings.Builder
	for i, part := range template {
		switch {
		case isGreedy(part):
			rank.WriteByte('2')
			return rank.String(), len(segments) > i
		case i >= len(segments):
			return "", false
		case isParam(part):
			if segments[i] == "" {
				return "", false
			}
			rank.WriteByte('1')
		case part == segments[i]:
			rank.WriteByte('0')
		default:
			return "", false
		}
	}
	return rank.String(), len(template) == len(segments)
}

func TestRouterAgreesWithANaiveOne(t *testing.T) {
	t.Parallel()
	words := rapid.SampledFrom([]string{"a", "b", "c"})
	methods := rapid.SampledFrom([]string{"GET", "POST"})
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom([]transaction.APIType{transaction.REST, transaction.HTTP}).Draw(t, "kind")
		seen := map[string]bool{}
		var routes []Route
		for range rapid.IntRange(0, 12).Draw(t, "routes") {
			var path strings.Builder
			depth := rapid.IntRange(0, 4).Draw(t, "depth")
			for i := range depth {
				switch rapid.IntRange(0, 5).Draw(t, "segment") {
				case 0, 1, 2:
					path.WriteString("/" + words.Draw(t, "word"))
				case 3, 4:
					path.WriteString("/{p}")
				default:
					if i == depth-1 {
						path.WriteString("/{p+}")
					} else {
						path.WriteString("/{p}")
					}
				}
			}
			route := Route{Method: rapid.SampledFrom([]string{"GET", "POST", "ANY"}).Draw(t, "method"), Path: path.String()}
			if route.Path == "" {
				route.Path = "/"
			}
			if kind == transaction.HTTP && rapid.IntRange(0, 9).Draw(t, "default") == 0 {
				route = Route{Method: methodAny, Path: defaultRoute}
			}
			if key := keyOf(&route); !seen[key] {
				seen[key] = true
				routes = append(routes, route)
			}
		}
		r := newRouter(kind, routes)
		for range 10 {
			path := "/" + strings.Join(rapid.SliceOfN(words, 0, 5).Draw(t, "path"), "/")
			method := methods.Draw(t, "method")
			if got, want := keyOf(r.find(method, path)), keyOf(naive(kind, routes, method, path)); got != want {
				t.Fatalf("%s %s %s among %v: %q, want %q", kind, method, path, routes, got, want)
			}
		}
	})
}

func FuzzRouter(f *testing.F) {
	f.Add("GET", "/pets/%2F/")
	f.Add("", "//{id}//?%")
	r := newRouter(transaction.HTTP, routesOf("GET /pets/{id}", "ANY /{proxy+}", "$default"))
	rest := newRouter(transaction.REST, routesOf("GET /pets/{id}", "ANY /{proxy+}"))
	f.Fuzz(func(_ *testing.T, method, path string) {
		r.find(method, path)
		rest.find(method, path)
	})
}

func BenchmarkResolver(b *testing.B) {
	var keys []string
	for i := range 30 {
		name := fmt.Sprintf("/v1/things%d", i)
		keys = append(keys, "GET "+name, "POST "+name, "GET "+name+"/{id}", "GET "+name+"/{id}/parts/{part}", "ANY "+name+"/{id}/files/{proxy+}")
	}
	s := &Snapshot{Accounts: []Account{{ID: "111111111111", Regions: []Region{{
		Name: "eu-west-1", APIs: []API{{ID: "abc", Type: transaction.REST, Routes: routesOf(keys...)}},
	}}}}}
	r := NewResolver(s)
	b.ReportAllocs()
	for b.Loop() {
		t := transaction.Transaction{
			Account: "111111111111", Region: "eu-west-1", APIID: "abc", APIType: transaction.REST,
			Method: "GET", Path: "/v1/things17/4711/parts/42",
		}
		r.Enrich(&t)
		if t.Route == "" {
			b.Fatal("not found")
		}
	}
}
