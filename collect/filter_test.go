package collect_test

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// pet is a call that tells all that a filter asks for.
func pet() *transaction.Transaction {
	return &transaction.Transaction{
		ID: "id", APIType: transaction.REST, APIID: "a1b2c3d4e5", Stage: "prod", Method: "GET", Path: "/pets/7/image.PNG", Route: "/pets/{id}/{file}",
		Response: &transaction.Response{Status: 404, Headers: map[string][]string{"content-type": {"Application/Problem+JSON; charset=utf-8"}}},
	}
}

func TestFilterRules(t *testing.T) {
	t.Parallel()
	for rule, test := range map[string]struct {
		set         func(*collect.FilterConfig, []string)
		keeps       []string // patterns, comma-separated; each list keeps the pet
		drops, errs []string
	}{
		"filter_api_types": {
			func(c *collect.FilterConfig, p []string) { c.APITypes = p },
			[]string{"REST", "rest,HTTP", "!HTTP"},
			[]string{"HTTP", "!rest", "REST,!REST", "websocket"},
			[]string{"SOAP", "", "!"},
		},
		"filter_apis": {
			func(c *collect.FilterConfig, p []string) { c.APIs = p },
			[]string{"a1b2c3d4e5", "a1b2c3d4e5/prod", "!a1b2c3d4e5/test", "x,a1b2c3d4e5"},
			[]string{"x", "a1b2c3d4e5/test", "!a1b2c3d4e5", "!a1b2c3d4e5/prod", "a1b2c3d4e5,!a1b2c3d4e5/prod"},
			[]string{"/prod", "a/b/c", "a/"},
		},
		"filter_stages": {
			func(c *collect.FilterConfig, p []string) { c.Stages = p },
			[]string{"prod", "!test"},
			[]string{"test", "!prod", "PROD"},
			[]string{""},
		},
		"filter_methods": {
			func(c *collect.FilterConfig, p []string) { c.Methods = p },
			[]string{"get", "POST,GET", "!OPTIONS"},
			[]string{"POST", "!get"},
			[]string{" "},
		},
		"filter_paths": {
			func(c *collect.FilterConfig, p []string) { c.Paths = p },
			[]string{"/pets/", "/pets/*/image.PNG", "/**", "**", "/pets/**", "/pets/?/**", "/pets/{id}/{file}", "!/health", "/p*/**/image.*", "/pets/*/"},
			[]string{"/pets", "/pet/", "/pets/*", "/*", "!/pets/", "!/pets/{id}/**", "/pets/??/**", "/pets/7/image.PNG/"},
			[]string{"pets", "/" + strings.Repeat("x", 300)},
		},
		"filter_status": {
			func(c *collect.FilterConfig, p []string) { c.Status = p },
			[]string{"404", "4xx", "4XX,500", "!5xx", "!200"},
			[]string{"200", "5xx", "!404", "4xx,!404"},
			[]string{"4x", "40", "044", "4xy", "4040", "x"},
		},
		"filter_content_types": {
			func(c *collect.FilterConfig, p []string) { c.ContentTypes = p },
			[]string{"application/problem+json", "application/*", "json", "*/*", "!text/html", "text/html,JSON"},
			[]string{"application/json", "text/*", "!json", "jso", "application"},
			[]string{"a/b/c", "text/html; charset=utf-8"},
		},
		"filter_static_extensions": {
			func(c *collect.FilterConfig, p []string) { c.StaticExtensions = p },
			[]string{"css", "PNGX", "ng"},
			[]string{"png", ".png", "css,.Png"},
			[]string{"", ".", "a/b", "*"},
		},
	} {
		ask := func(list string) (string, error) {
			var cfg collect.FilterConfig
			test.set(&cfg, strings.Split(list, ","))
			f, err := collect.NewFilter(cfg)
			if err != nil {
				return "", err
			}
			// What the logs do not tell drops nothing.
			if got := f.Drops(&transaction.Transaction{ID: "x"}); got != "" {
				t.Errorf("%s %q drops a call of which nothing is known", rule, list)
			}
			return f.Drops(pet()), nil
		}
		for _, list := range test.keeps {
			if got, err := ask(list); got != "" || err != nil {
				t.Errorf("%s %q: %q %v, want it kept", rule, list, got, err)
			}
		}
		for _, list := range test.drops {
			if got, err := ask(list); got != rule || err != nil {
				t.Errorf("%s %q: %q %v, want it dropped", rule, list, got, err)
			}
		}
		for _, list := range test.errs {
			if _, err := ask(list); err == nil || !strings.Contains(err.Error(), rule) {
				t.Errorf("%s %q: %v, want an error that names it", rule, list, err)
			}
		}
	}
}

func TestFilterCountsByTheFirstRule(t *testing.T) {
	t.Parallel()
	f, err := collect.NewFilter(collect.FilterConfig{Methods: []string{"!GET"}, Status: []string{"!404"}, StaticExtensions: []string{"png"}})
	if err != nil {
		t.Fatal(err)
	}
	post := pet()
	post.Method = "POST"
	for _, tx := range []*transaction.Transaction{pet(), pet(), post} {
		f.Drops(tx)
	}
	if got, want := fmt.Sprint(f.Health()), "[{filter_methods 2} {filter_static_extensions 1} {filter_status 0}]"; got != want {
		t.Errorf("health says %s, want %s", got, want)
	}
	var none *collect.Filter
	if none.Drops(pet()) != "" || len(none.Health()) != 0 {
		t.Error("a nil filter does something")
	}
}

func TestFilterKnowsTheRestriction(t *testing.T) {
	t.Parallel()
	r, err := collect.NewRestriction([]string{"http"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := collect.NewFilter(collect.FilterConfig{Restriction: r})
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Drops(pet()); got != "restriction" {
		t.Errorf("a REST call of a shared log group is dropped by %q", got)
	}
}

func TestSampleIsAShareAndRepeats(t *testing.T) {
	t.Parallel()
	for _, bad := range []float64{-1, 1.1} {
		if _, err := collect.NewFilter(collect.FilterConfig{SampleRate: bad}); err == nil {
			t.Errorf("a sample rate of %v is taken", bad)
		}
	}
	sample := func(rate float64) map[string]bool {
		f, err := collect.NewFilter(collect.FilterConfig{SampleRate: rate})
		if err != nil {
			t.Fatal(err)
		}
		kept := map[string]bool{}
		for i := range 20_000 {
			id := fmt.Sprintf("%032x", i)
			if f.Drops(&transaction.Transaction{ID: id}) == "" {
				kept[id] = true
			}
		}
		return kept
	}
	tenth, again, half := sample(0.1), sample(0.1), sample(0.5)
	if len(tenth) < 1800 || len(tenth) > 2200 {
		t.Errorf("%d of 20000 are kept at 0.1", len(tenth))
	}
	if len(sample(1)) != 20_000 {
		t.Error("a rate of 1 drops calls")
	}
	for id := range tenth {
		if !again[id] || !half[id] {
			t.Fatalf("call %s is kept at one time and dropped at another", id)
		}
	}
}

// TestPathPatternsAgreeWithTheirMeaning holds the matcher against a regular
// expression of the same meaning, and a single star against package path.
func TestPathPatternsAgreeWithTheirMeaning(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		pattern := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "/", "*", "**", "?", "a/", "{id}"}), 0, 12).Draw(rt, "pattern"), "")
		at := "/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "/", "ab", "{id}"}), 0, 14).Draw(rt, "path"), "")
		f, err := collect.NewFilter(collect.FilterConfig{Paths: []string{pattern}})
		if err != nil {
			rt.Fatalf("%q: %v", pattern, err)
		}
		got := f.Drops(&transaction.Transaction{Path: at}) == ""
		want := meaning(pattern).MatchString(at)
		if got != want {
			rt.Fatalf("%q fits %q: %v, want %v", pattern, at, got, want)
		}
		if !strings.Contains(pattern, "**") && !strings.HasSuffix(pattern, "/") {
			if ok, err := path.Match(pattern, at); err == nil && ok != got {
				rt.Fatalf("%q fits %q: %v, package path says %v", pattern, at, got, ok)
			}
		}
	})
}

func meaning(pattern string) *regexp.Regexp {
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for i := 0; i < len(pattern); i++ {
		switch {
		case strings.HasPrefix(pattern[i:], "**"):
			b.WriteString(`.*`)
			i++
		case pattern[i] == '*':
			b.WriteString(`[^/]*`)
		case pattern[i] == '?':
			b.WriteString(`[^/]`)
		default:
			b.WriteString(regexp.QuoteMeta(pattern[i : i+1]))
		}
	}
	if len(pattern) > 1 && strings.HasSuffix(pattern, "/") {
		b.WriteString(`.*`)
	}
	b.WriteString(`\z`)
	return regexp.MustCompile(b.String())
}

func FuzzFilter(f *testing.F) {
	for _, s := range []string{"/pets/*", "!4xx", "application/json", "a1b2c3d4e5/prod", "**", "png", "!", "\x00"} {
		f.Add(s, "/pets/7", "text/html")
	}
	f.Fuzz(func(t *testing.T, pattern, at, kind string) {
		tx := pet()
		tx.Path, tx.Response.Headers["content-type"] = at, []string{kind}
		list := strings.Split(pattern, ",")
		for _, cfg := range []collect.FilterConfig{
			{Paths: list}, {Status: list}, {ContentTypes: list}, {APIs: list}, {StaticExtensions: list}, {Methods: list}, {APITypes: list}, {Stages: list},
		} {
			filter, err := collect.NewFilter(cfg)
			if err != nil {
				continue
			}
			if a, b := filter.Drops(tx), filter.Drops(tx); a != b {
				t.Fatalf("%+v drops the call by %q and then by %q", cfg, a, b)
			}
		}
		if slices.Contains(list, at) && strings.HasPrefix(at, "/") && !strings.ContainsAny(at, "*?!\r\n ") && strings.TrimSpace(at) == at {
			if filter, err := collect.NewFilter(collect.FilterConfig{Paths: []string{at}}); err == nil && filter.Drops(tx) != "" {
				t.Fatalf("the path %q does not fit itself", at)
			}
		}
	})
}
