package dashboard

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// filterKeys are the filters of the inventory in the address, in the order in
// which they are offered. They are the API's names too.
var filterKeys = []string{"account", "region", "api", "stage", "type", "method", "visibility", "new"}

var filterTitles = map[string]string{
	"account": "Account", "region": "Region", "api": "API", "stage": "Stage", "type": "Type", "method": "Method", "visibility": "Visibility", "new": "First seen",
}

// ages are how far back "new" can look.
var ages = []struct {
	name, title string
	age         time.Duration
}{
	{"1h", "last hour", time.Hour}, {"24h", "last 24 h", 24 * time.Hour}, {"7d", "last 7 d", 7 * 24 * time.Hour}, {"30d", "last 30 d", 30 * 24 * time.Hour},
}

// queryOf reads the filters and the order from an address.
func queryOf(v url.Values, now time.Time) inventory.Query {
	q := inventory.Query{
		Search: v.Get("q"), Account: v.Get("account"), Region: v.Get("region"), APIID: v.Get("api"), Stage: v.Get("stage"),
		APIType: transaction.APIType(v.Get("type")), Method: v.Get("method"), Visibility: transaction.Visibility(v.Get("visibility")),
		Sort: v.Get("sort"), Descending: v.Get("order") == "desc", Cursor: v.Get("cursor"),
	}
	for _, a := range ages {
		if a.name == v.Get("new") {
			q.Since = now.Add(-a.age)
		}
	}
	return q
}

// option is a value of a filter with the number of endpoints that have it.
type option struct {
	Value, Title string
	Count        int
	Chosen       bool
}

// choice is a filter with its options.
type choice struct {
	Key, Title string
	Options    []option
	Chosen     string
}

// optionsOf lists what a facet offers; the chosen value is always among it.
func optionsOf(f *inventory.Facets, key, chosen string, name func(string) string) []option {
	var out []option
	add := func(value string, n int) {
		out = append(out, option{Value: value, Title: name(value), Count: n, Chosen: value == chosen})
	}
	each := map[string]map[string]int{"account": f.Accounts, "region": f.Regions, "api": f.APIs, "stage": f.Stages, "method": f.Methods}
	for v, n := range each[key] {
		add(v, n)
	}
	switch key {
	case "type":
		for v, n := range f.APITypes {
			add(string(v), n)
		}
	case "visibility":
		for v, n := range f.Visibilities {
			add(string(v), n)
		}
	case "new":
		for _, a := range ages {
			out = append(out, option{Value: a.name, Title: a.title, Count: -1, Chosen: a.name == chosen})
		}
		return out
	}
	out = slices.DeleteFunc(out, func(o option) bool { return o.Value == "" })
	if chosen != "" && !slices.ContainsFunc(out, func(o option) bool { return o.Chosen }) {
		add(chosen, 0)
	}
	slices.SortFunc(out, func(a, b option) int { return cmp.Or(cmp.Compare(a.Title, b.Title), cmp.Compare(a.Value, b.Value)) })
	return out
}

// with returns the address path with the query v changed by pairs of key and
// value; an empty value takes the key away.
func with(path string, v url.Values, pairs ...string) string {
	c := url.Values{}
	for k, values := range v {
		if len(values) > 0 && values[0] != "" {
			c[k] = values[:1]
		}
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			c.Del(pairs[i])
		} else {
			c.Set(pairs[i], pairs[i+1])
		}
	}
	if len(c) == 0 {
		return path
	}
	return path + "?" + c.Encode()
}

// heading is a column's head: where a click on it leads, and how it is sorted.
type heading struct {
	Title, Hint, Link, Aria, Class string
}

// column describes a sortable column; first is the order of the first click.
type column struct{ title, hint, sort, first, class string }

func headings(path string, v url.Values, columns []column) []heading {
	out := make([]heading, 0, len(columns))
	sorted, order := cmp.Or(v.Get("sort"), "route"), cmp.Or(v.Get("order"), "asc")
	for _, c := range columns {
		h := heading{Title: c.title, Hint: c.hint, Class: c.class}
		if c.sort != "" {
			h.Aria = "none"
			next := c.first
			if c.sort == sorted {
				h.Aria, next = "ascending", "desc"
				if order == "desc" {
					h.Aria, next = "descending", "asc"
				}
			}
			h.Link = with(path, v, "sort", c.sort, "order", next, "cursor", "", "at", "")
		}
		out = append(out, h)
	}
	return out
}

// offset reads how many rows stand before this page, which is shown and never
// used to choose rows.
func offset(v url.Values) int {
	n, err := strconv.Atoi(v.Get("at"))
	if err != nil || n < 0 || n > 1<<31 {
		return 0
	}
	return n
}
