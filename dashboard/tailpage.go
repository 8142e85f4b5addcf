package dashboard

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/tail"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	tailPath       = "/tail"
	tailStreamPath = "/tail/stream"
	// tailRows is how many calls the page shows without the script, and at
	// first with it.
	tailRows = 100
)

// tailPace is what a person can look at and a browser can draw: at most 40 rows
// twice a second.
var tailPace = tail.Pace{Every: 500 * time.Millisecond, Limit: 40, Idle: 15 * time.Second}

type tailData struct {
	Collecting bool
	Wrong      string // why the filter cannot be used
	Filter     tail.Filter
	Choices    []choice
	Chips      []chip
	Rows       []tailRow
	Seen       uint64
	Stream     string // where the script follows; empty: nowhere
	Clear      string
	Reload     string
}

// tailRow is a call as a row.
type tailRow struct {
	*transaction.Transaction
	At      time.Time
	Now     time.Time
	Status  int
	Class   string
	Who     string
	Link    string
	Account string // its name, or its id
	APIName string
	Base    string
}

// tailKeys are the filters in the address; they are the API's names too.
var tailKeys = []string{"account", "region", "api", "stage", "method", "status", "route", "caller", "q"}

var tailTitles = map[string]string{
	"account": "Account", "region": "Region", "api": "API", "stage": "Stage", "method": "Method", "status": "Status",
	"route": "Route begins with", "caller": "Caller", "q": "Text",
}

func tailFilter(v url.Values) tail.Filter {
	get := func(key string) string { return strings.TrimSpace(v.Get(key)) }
	return tail.Filter{
		Account: get("account"), Region: get("region"), APIID: get("api"), Stage: get("stage"), Method: get("method"),
		Status: get("status"), Route: get("route"), Caller: get("caller"), Text: get("q"),
	}
}

func (s *server) tailPage(w http.ResponseWriter, r *http.Request) {
	v := r.URL.Query()
	path := s.BasePath + tailPath
	snap := s.estate(r.Context())
	names, apis := accountNames(snap), apiNames(snap)
	d := &tailData{Collecting: s.Tail != nil, Filter: tailFilter(v), Clear: path, Reload: with(path, v)}
	d.choices(snap, v, names, apis)
	for _, key := range tailKeys {
		if value := strings.TrimSpace(v.Get(key)); value != "" {
			title := strings.TrimSpace(map[string]map[string]string{"account": names, "api": apis}[key][value] + " " + value)
			d.Chips = append(d.Chips, chip{tailTitles[key], title, with(path, v, key, "")})
		}
	}
	match, err := d.Filter.Compile()
	switch {
	case err != nil:
		d.Wrong = err.Error()
	case s.Tail != nil:
		d.Seen = s.Tail.Seen()
		d.Stream = with(s.BasePath+tailStreamPath, v, "from", strconv.FormatUint(d.Seen, 10))
		for _, t := range s.Tail.Latest(match, tailRows) {
			d.Rows = append(d.Rows, s.tailRow(t, names, apis))
		}
	}
	p := s.shell(r, "Live tail", tailPath, d)
	p.Place = append(s.place(names, v.Get("account"), v.Get("region"), v.Get("api"), apis[v.Get("api")], v.Get("stage")), crumb{Title: "Live tail"})
	s.render(w, r, 0, "tail", p)
}

// choices offers the places of the estate, and fixed lists for the rest.
func (d *tailData) choices(snap *estate.Snapshot, v url.Values, names, apis map[string]string) {
	found := map[string]map[string]bool{"account": {}, "region": {}, "api": {}, "stage": {}}
	if snap != nil {
		for i := range snap.Accounts {
			for j := range snap.Accounts[i].Regions {
				region := &snap.Accounts[i].Regions[j]
				for k := range region.APIs {
					api := &region.APIs[k]
					found["account"][snap.Accounts[i].ID], found["region"][region.Name] = true, true
					// What is chosen to the left bounds what is offered.
					if a := v.Get("account"); (a != "" && a != snap.Accounts[i].ID) || len(found["api"]) >= maxOffered {
						continue
					}
					found["api"][api.ID] = true
					for n := range api.Stages {
						if a := v.Get("api"); a == "" || a == api.ID {
							found["stage"][api.Stages[n].Name] = true
						}
					}
				}
			}
		}
	}
	for _, key := range []string{"account", "region", "api", "stage"} {
		c := choice{Key: key, Title: tailTitles[key], Chosen: v.Get(key)}
		if c.Chosen != "" {
			found[key][c.Chosen] = true
		}
		for value := range found[key] {
			title := strings.TrimSpace(map[string]map[string]string{"account": names, "api": apis}[key][value] + " " + value)
			c.Options = append(c.Options, option{Value: value, Title: title, Chosen: value == c.Chosen})
		}
		slices.SortFunc(c.Options, func(a, b option) int {
			return cmp.Or(strings.Compare(a.Title, b.Title), strings.Compare(a.Value, b.Value))
		})
		d.Choices = append(d.Choices, c)
	}
	fixed := func(key string, values ...string) {
		c := choice{Key: key, Title: tailTitles[key], Chosen: v.Get(key)}
		if c.Chosen != "" && !slices.Contains(values, c.Chosen) {
			values = append(values, c.Chosen)
		}
		for _, value := range values {
			title := map[string]string{"error": "4xx and 5xx", "none": "no status"}[value]
			c.Options = append(c.Options, option{Value: value, Title: cmp.Or(title, value), Chosen: value == c.Chosen})
		}
		d.Choices = append(d.Choices, c)
	}
	fixed("method", labMethods...)
	fixed("status", "error", "2xx", "3xx", "4xx", "5xx", "401", "403", "404", "429", "none")
}

func (s *server) tailRow(t *transaction.Transaction, names, apis map[string]string) tailRow {
	row := tailRow{
		Transaction: t, At: t.Time.Time(), Now: s.Clock().UTC(), Class: "unknown", Link: s.BasePath + tailPath + "/" + url.PathEscape(t.ID),
		Account: cmp.Or(names[t.Account], t.Account), APIName: cmp.Or(apis[t.APIID], t.APIID), Base: s.BasePath,
	}
	if t.Response != nil {
		row.Status = t.Response.Status
	}
	row.Class = statusClass(row.Status)
	if c := t.Caller; c != nil {
		row.Who = cmp.Or(shortARN(c.ARN), c.Principal, c.APIKeyID, c.Account, string(c.Kind))
	}
	return row
}

func statusClass(status int) string {
	switch {
	case status >= 500:
		return "bad"
	case status >= 400:
		return "wait"
	case status >= 200 && status < 300:
		return "good"
	default:
		return "unknown"
	}
}

// shortARN leaves of an ARN what tells callers apart: account and name.
func shortARN(arn string) string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 {
		return arn
	}
	return parts[4] + " " + strings.TrimPrefix(parts[5], "assumed-role/")
}

// tailStream sends rows as server-sent events: rows (their HTML), and skipped
// (how many calls are not shown).
func (s *server) tailStream(w http.ResponseWriter, r *http.Request) {
	v := r.URL.Query()
	match, err := tailFilter(v).Compile()
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	if s.Tail == nil {
		http.Error(w, "this process collects nothing", http.StatusNotFound)
		return
	}
	reader, err := s.Tail.Subscribe(match)
	if err != nil {
		w.Header().Set("Retry-After", "10")
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer reader.Close()
	if from, err := strconv.ParseUint(cmp.Or(r.Header.Get("Last-Event-ID"), v.Get("from")), 10, 64); err == nil {
		reader.Seek(from)
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	control := http.NewResponseController(w)
	if control.Flush() != nil {
		return
	}
	ctx := r.Context()
	// The only error is that of a browser that is gone; nobody is left to tell.
	_ = tail.Follow(ctx, reader, tailPace, func(batch tail.Batch) error {
		b, err := s.tailEvents(ctx, batch)
		if err != nil {
			return err
		}
		// Each write gets a time of its own, so that a browser that stopped
		// reading does not stay.
		_ = control.SetWriteDeadline(time.Now().Add(5 * time.Second))
		if _, err := w.Write(b); err != nil {
			return err
		}
		return control.Flush()
	})
}

func (s *server) tailEvents(ctx context.Context, batch tail.Batch) ([]byte, error) {
	var b, rows bytes.Buffer
	if batch.Skipped > 0 {
		fmt.Fprintf(&b, "event: skipped\ndata: %d\n\n", batch.Skipped)
	}
	if len(batch.Calls) == 0 {
		b.WriteString(": still here\n\n")
		return b.Bytes(), nil
	}
	snap := s.estate(ctx)
	names, apis := accountNames(snap), apiNames(snap)
	for _, t := range slices.Backward(batch.Calls) {
		if err := s.pages["tail"].ExecuteTemplate(&rows, "tail-row", s.tailRow(t, names, apis)); err != nil {
			s.Logger.ErrorContext(ctx, "rendering a row failed", "page", "tail", "error", err)
			return nil, err
		}
	}
	// An event's data ends with its line.
	html := bytes.ReplaceAll(visible(rows.Bytes()), []byte("\n"), []byte(" "))
	fmt.Fprintf(&b, "id: %d\nevent: rows\ndata: %s\n\n", batch.At, html)
	return b.Bytes(), nil
}

type callData struct {
	Sample   sample
	Names    map[string]string
	APIName  string
	Endpoint string // the inventory, filtered to this call's route
	Lab      string
	Back     string
}

// callPage shows one call of those that are kept.
func (s *server) callPage(w http.ResponseWriter, r *http.Request) {
	var t *transaction.Transaction
	if s.Tail != nil {
		t = s.Tail.Find(r.PathValue("id"))
	}
	if t == nil {
		s.message(w, r, http.StatusNotFound, "This call is no longer kept",
			"The live tail keeps the latest calls alone. The inventory keeps samples of each endpoint, and the sinks have every call.")
		return
	}
	snap := s.estate(r.Context())
	names, apis := accountNames(snap), apiNames(snap)
	d := &callData{Sample: sampleOf(t, true), Names: names, APIName: cmp.Or(apis[t.APIID], t.APIID), Back: s.BasePath + tailPath}
	d.Endpoint = with(s.BasePath+"/inventory", url.Values{}, "account", t.Account, "region", t.Region, "api", t.APIID, "stage", t.Stage, "q", strings.TrimSpace(t.Method+" "+t.Route))
	if c := t.Caller; c != nil && c.ARN != "" {
		d.Lab = s.labFor(snap, labRequestOf(t), "", c.ARN)
	}
	p := s.shell(r, strings.TrimSpace(t.Method+" "+t.Path), tailPath, d)
	p.Place = append(s.place(names, t.Account, t.Region, t.APIID, apis[t.APIID], t.Stage), crumb{Title: "Call"})
	s.render(w, r, 0, "call", p)
}

// tailMethod is the filter for a route's method: calls have none named ANY.
func tailMethod(method string) string {
	if method == "ANY" {
		return ""
	}
	return method
}
