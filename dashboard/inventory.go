package dashboard

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/inventory"
)

// rowsPerPage keeps a page well under 100 KB compressed.
const rowsPerPage = 100

type inventoryData struct {
	Query     string
	Choices   []choice
	Chips     []chip
	Headings  []heading
	Rows      []inventory.Endpoint
	Names     map[string]string
	APINames  map[string]string
	Total     int
	First     int
	Last      int
	Next      string
	ToFirst   string
	CSV, JSON string
	Clear     string
	Hidden    []option // what the filter form must carry on
	Waiting   bool     // nothing at all has been seen yet
	Collector completeness
}

// chip is a filter in force and the address without it.
type chip struct{ Title, Value, Without string }

var inventoryColumns = []column{
	{"Endpoint", "method and route template", "route", "asc", ""},
	{"API · stage", "and account · region", "", "", ""},
	{"Seen", "how much of its calls the logs showed, at best", "", "", ""},
	{"Calls", "since it was first seen", "calls", "desc", "n"},
	{"Errors", "share of calls answered with 4xx or 5xx", "errors", "desc", "n"},
	{"p95", "95 of 100 calls were answered within this time", "latency", "desc", "n"},
	{"Callers", "distinct principals, estimated", "callers", "desc", "n"},
	{"Last hour", "calls a minute", "", "", ""},
	{"Last seen", "", "last_seen", "desc", "n"},
	{"First seen", "", "first_seen", "desc", "n wide"},
}

func (s *server) inventory(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readTimeout)
	defer cancel()
	v := r.URL.Query()
	now := s.Clock().UTC()
	path := s.BasePath + "/inventory"
	q := queryOf(v, now)
	q.Limit = rowsPerPage
	// Rows and facets are two scans of the same endpoints, asked at one time.
	var facets *inventory.Facets
	var facetsErr error
	var asking sync.WaitGroup
	asking.Go(func() { facets, facetsErr = s.Inventory.Facets(ctx, q) })
	found, err := s.Inventory.Endpoints(ctx, q)
	asking.Wait()
	if errors.Is(err, inventory.ErrInvalidQuery) {
		// An address of before: its cursor no longer leads anywhere.
		http.Redirect(w, r, with(path, v, "cursor", "", "at", "", "sort", "", "order", ""), http.StatusSeeOther)
		return
	}
	if err = errors.Join(err, facetsErr); err != nil {
		s.unavailable(w, r, "The inventory", err)
		return
	}
	snap := s.estate(ctx)
	d := inventoryData{
		Query: q.Search, Rows: found.Endpoints, Total: found.Total, Names: accountNames(snap), APINames: apiNames(snap),
		Headings: headings(path, v, inventoryColumns),
		CSV:      s.exportLink("endpoints.csv", v, q), JSON: s.exportLink("endpoints.json", v, q), Clear: path,
	}
	d.First = min(offset(v)+1, found.Total)
	d.Last = min(d.First-1+len(found.Endpoints), found.Total)
	if found.Next != "" {
		d.Next = with(path, v, "cursor", found.Next, "at", strconv.Itoa(d.Last))
	}
	if v.Get("cursor") != "" {
		d.ToFirst = with(path, v, "cursor", "", "at", "")
	}
	s.choices(&d, facets, q, v)
	if found.Total == 0 {
		h := s.health()
		d.Collector = judge(&h, s.Health != nil, snap)
		d.Waiting = len(d.Chips) == 0
	}
	p := s.shell(r, "Inventory", "/inventory", &d)
	p.Search = q.Search
	p.Place = append(s.place(d.Names, v.Get("account"), v.Get("region"), v.Get("api"), d.APINames[v.Get("api")], v.Get("stage")), crumb{Title: "Inventory"})
	s.render(w, r, 0, "inventory", p)
}

// choices fills in the filters; the store counts for each what choosing it would
// give under the others.
func (s *server) choices(d *inventoryData, facets *inventory.Facets, q inventory.Query, v url.Values) {
	path := s.BasePath + "/inventory"
	if q.Search != "" {
		d.Chips = append(d.Chips, chip{"Search", q.Search, with(path, v, "q", "", "cursor", "", "at", "")})
	}
	for _, key := range filterKeys {
		chosen := v.Get(key)
		names := map[string]map[string]string{"account": d.Names, "api": d.APINames}[key]
		name := func(value string) string { return strings.TrimSpace(names[value] + " " + value) }
		c := choice{Key: key, Title: filterTitles[key], Chosen: chosen, Options: optionsOf(facets, key, chosen, name)}
		d.Choices = append(d.Choices, c)
		if chosen != "" {
			value := name(chosen)
			for _, o := range c.Options {
				if o.Chosen {
					value = o.Title
				}
			}
			d.Chips = append(d.Chips, chip{c.Title, value, with(path, v, key, "", "cursor", "", "at", "")})
		}
	}
	for _, key := range []string{"sort", "order"} {
		if value := v.Get(key); value != "" {
			d.Hidden = append(d.Hidden, option{Title: key, Value: value})
		}
	}
}

// exportLink leads to the API's export of exactly what is filtered.
func (s *server) exportLink(file string, v url.Values, q inventory.Query) string {
	c := url.Values{}
	for _, key := range append([]string{"q", "sort", "order"}, filterKeys...) {
		if value := v.Get(key); value != "" && key != "new" {
			c.Set(key, value)
		}
	}
	if !q.Since.IsZero() {
		c.Set("since", q.Since.Format(time.RFC3339))
	}
	return with(s.BasePath+"/api/v1/"+file, c)
}

// place is organization › account › region › API › stage; each step leads to
// the inventory of all below it.
func (s *server) place(names map[string]string, account, region, api, apiName, stage string) []crumb {
	v := url.Values{}
	path := s.BasePath + "/inventory"
	out := []crumb{{Title: "Organization", Link: path}}
	for _, step := range []struct{ key, value, title string }{
		{"account", account, names[account]}, {"region", region, ""}, {"api", api, apiName}, {"stage", stage, ""},
	} {
		if step.value == "" {
			continue
		}
		v.Set(step.key, step.value)
		title := step.title
		if title == "" {
			title = step.value
		}
		out = append(out, crumb{Title: title, Link: with(path, v), Hint: strings.TrimSpace(filterTitles[step.key] + " " + step.value)})
	}
	return out
}
