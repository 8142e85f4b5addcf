package api_test

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/api"
	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/inventory"
)

var now = time.Date(2026, 3, 1, 12, 30, 20, 0, time.UTC)

type bundle struct {
	t     *testing.T
	world *apitest.World
	url   string
}

func setup(t *testing.T, w *apitest.World) *bundle {
	t.Helper()
	h := api.New(api.Options{
		Inventory: w, Health: w.Health, Estate: w.Estate, Tail: w.Tail, Version: "1.2.3",
		Clock: func() time.Time { return now }, Tick: 10 * time.Millisecond,
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "gatehouse_up 1\n") }),
	})
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return &bundle{t: t, world: w, url: srv.URL}
}

func (b *bundle) get(path string, headers ...string) (*http.Response, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), http.MethodGet, b.url+path, http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res, string(text)
}

func (b *bundle) json(path string, into any) {
	b.t.Helper()
	res, text := b.get(path)
	if res.StatusCode != http.StatusOK {
		b.t.Fatalf("%s answers %d: %s", path, res.StatusCode, text)
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		b.t.Fatalf("%s: %v: %s", path, err, text)
	}
}

func TestOverviewSumsWhatIsKnown(t *testing.T) {
	t.Parallel()
	b := setup(t, apitest.Rich(now))
	var o api.Overview
	b.json("/api/v1/overview", &o)
	if o.Endpoints != 20 || o.CallsPerSecond < 42.4 || o.CallsPerSecond > 42.5 || !o.Books.Balanced || o.Books.Read == 0 {
		t.Errorf("overview is %+v", o)
	}
	if o.Groups.Total != 8 || o.Groups.Failing != 2 || o.Sinks.Failing != 1 || o.Problems != 2 {
		t.Errorf("health in it is %+v %+v %d", o.Groups, o.Sinks, o.Problems)
	}
	if o.Estate == nil || o.Estate.AccountsUnread != 1 || o.Estate.StagesNotLogged != 1 {
		t.Errorf("estate in it is %+v", o.Estate)
	}
}

func TestEndpointsAreFilteredSortedAndPaged(t *testing.T) {
	t.Parallel()
	b := setup(t, apitest.Rich(now))
	var all, got inventory.Page
	b.json("/api/v1/endpoints?type=REST&sort=calls&order=desc", &all)
	if all.Total != 12 || len(all.Endpoints) != 12 {
		t.Fatalf("%d of %d REST endpoints", len(all.Endpoints), all.Total)
	}
	cursor, pages := "", 0
	for {
		var p inventory.Page
		b.json("/api/v1/endpoints?type=REST&sort=calls&order=desc&limit=5&cursor="+url.QueryEscape(cursor), &p)
		got.Endpoints = append(got.Endpoints, p.Endpoints...)
		pages++
		if cursor = p.Next; cursor == "" {
			break
		}
	}
	if pages != 3 || len(got.Endpoints) != 12 {
		t.Fatalf("%d pages hold %d endpoints", pages, len(got.Endpoints))
	}
	for i := range all.Endpoints {
		if got.Endpoints[i].ID != all.Endpoints[i].ID {
			t.Errorf("row %d of the pages is %s", i, got.Endpoints[i].Route)
		}
		if i > 0 && all.Endpoints[i].Calls > all.Endpoints[i-1].Calls {
			t.Errorf("row %d has more calls than the one before", i)
		}
	}
	var d inventory.Detail
	b.json("/api/v1/endpoints/"+all.Endpoints[0].ID, &d)
	if d.Route != all.Endpoints[0].Route || len(d.Samples) != 3 {
		t.Errorf("the endpoint is %s with %d samples", d.Route, len(d.Samples))
	}
	var none inventory.Page
	if _, text := b.get("/api/v1/endpoints?q=nothing-like-this"); json.Unmarshal([]byte(text), &none) != nil || none.Endpoints == nil {
		t.Errorf("no endpoints are not an empty list: %s", text)
	}
	var f inventory.Facets
	b.json("/api/v1/facets?account="+apitest.Catalog, &f)
	if len(f.Accounts) != 2 || f.Accounts[apitest.Catalog] != 11 || f.APITypes["WEBSOCKET"] != 3 {
		t.Errorf("facets are %+v", f)
	}
}

func TestExportsHoldExactlyWhatIsFiltered(t *testing.T) {
	t.Parallel()
	b := setup(t, apitest.Rich(now))
	res, text := b.get("/api/v1/endpoints.csv?method=GET&account=" + apitest.Orders)
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 1+6 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/csv") ||
		res.Header.Get("Content-Disposition") != `attachment; filename="gatehouse-endpoints-20260301T123020Z.csv"` {
		t.Errorf("%d lines, %v", len(rows), res.Header)
	}
	var list []inventory.Endpoint
	b.json("/api/v1/endpoints.json?method=GET&account="+apitest.Orders, &list)
	if len(list) != 6 {
		t.Errorf("the JSON export holds %d", len(list))
	}
	b.json("/api/v1/endpoints.json?q=nothing-like-this", &list)
	if len(list) != 0 {
		t.Errorf("an empty export holds %d", len(list))
	}
	for path, want := range map[string]int{"/api/v1/sources.csv": 8, "/api/v1/estate/apis.csv": 7} {
		_, text := b.get(path)
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || len(rows) != want+1 {
			t.Errorf("%s holds %d rows, %v", path, len(rows)-1, err)
		}
	}
}

func TestCSVCellsAreNoFormulas(t *testing.T) {
	t.Parallel()
	w := apitest.Attacked(now)
	w.Details[0].APIName, w.Details[1].APIName, w.Details[3].APIName = "+1", "-1", "@SUM(A1)"
	b := setup(t, w)
	quoted := 0
	for _, path := range []string{"/api/v1/endpoints.csv", "/api/v1/sources.csv", "/api/v1/estate/apis.csv"} {
		_, text := b.get(path)
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			for _, cell := range row {
				if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
					t.Errorf("%s has a cell that starts a formula: %q", path, cell)
				}
				if strings.HasPrefix(cell, "'") {
					quoted++
				}
			}
		}
	}
	if quoted < 12 {
		t.Errorf("only %d cells were quoted", quoted)
	}
}

func TestTraffic(t *testing.T) {
	t.Parallel()
	b := setup(t, apitest.Rich(now))
	var tr api.Traffic
	b.json("/api/v1/traffic", &tr)
	if len(tr.Minutes) < 50 || len(tr.Minutes) > 56 || tr.To.Sub(tr.From) != time.Hour {
		t.Errorf("%d minutes in an hour with a gap of five, %s to %s", len(tr.Minutes), tr.From, tr.To)
	}
	for _, bad := range []string{"?from=2026-03-01T12:00:00Z&to=2026-03-01T11:00:00Z", "?from=2020-01-01T00:00:00Z", "?from=yesterday"} {
		if res, text := b.get("/api/v1/traffic" + bad); res.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s answers %d: %s", bad, res.StatusCode, text)
		}
	}
}

func TestErrorsAreProblems(t *testing.T) {
	t.Parallel()
	b := setup(t, apitest.Rich(now))
	for path, want := range map[string]int{
		"/api/v1/endpoints/nobody":                        404,
		"/api/v1/endpoints?sort=colour":                   422,
		"/api/v1/endpoints?limit=1001":                    422,
		"/api/v1/endpoints?acount=1":                      422,
		"/api/v1/endpoints?since=tuesday":                 422,
		"/api/v1/endpoints?cursor=broken":                 422,
		"/api/v1/nothing":                                 404,
		"/api/v1/endpoints?q=" + strings.Repeat("a", 300): 422,
	} {
		res, text := b.get(path)
		var p struct {
			Title  string
			Status int
			Detail string
		}
		err := json.Unmarshal([]byte(text), &p)
		if res.StatusCode != want || res.Header.Get("Content-Type") != "application/problem+json" || err != nil || p.Status != want || p.Title == "" || p.Detail == "" {
			t.Errorf("%s answers %d %s: %s", path, res.StatusCode, res.Header.Get("Content-Type"), text)
		}
	}
}

func TestStoreErrorsShowNothingInside(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	w.Err = errors.New("open /var/lib/secret.db: disk full")
	b := setup(t, w)
	for _, path := range []string{"endpoints", "endpoints/x", "facets", "traffic", "estate", "estate/apis", "endpoints.csv", "endpoints.json"} {
		res, text := b.get("/api/v1/" + path)
		if res.StatusCode != http.StatusServiceUnavailable || strings.Contains(text, "secret") {
			t.Errorf("%s answers %d: %s", path, res.StatusCode, text)
		}
	}
	var o api.Overview
	b.json("/api/v1/overview", &o)
	if len(o.Unavailable) != 2 || o.Books.Read == 0 {
		t.Errorf("the overview without a store is %+v", o)
	}
}

func TestEstateBeforeTheFirstDiscovery(t *testing.T) {
	t.Parallel()
	b := setup(t, apitest.Empty(now))
	if res, text := b.get("/api/v1/estate"); res.StatusCode != http.StatusNotFound || !strings.Contains(text, "no discovery") {
		t.Errorf("answers %d: %s", res.StatusCode, text)
	}
	b.world.Change(func(w *apitest.World) { w.Estates = apitest.Rich(now).Estates })
	var rows []api.StageRow
	b.json("/api/v1/estate/apis", &rows)
	if len(rows) != 7 {
		t.Errorf("%d stages", len(rows))
	}
}

func TestETag(t *testing.T) {
	t.Parallel()
	b := setup(t, apitest.Rich(now))
	first, _ := b.get("/api/v1/estate")
	tag := first.Header.Get("ETag")
	if tag == "" {
		t.Fatal("there is no ETag")
	}
	if res, text := b.get("/api/v1/estate", "If-None-Match", `"x", `+tag); res.StatusCode != http.StatusNotModified || text != "" {
		t.Errorf("the same answers %d", res.StatusCode)
	}
	b.world.Change(func(w *apitest.World) { w.Estates.Accounts[0].Name = "renamed" })
	if res, _ := b.get("/api/v1/estate", "If-None-Match", tag); res.StatusCode != http.StatusOK {
		t.Errorf("a change answers %d", res.StatusCode)
	}
}

func TestAnswersAreCompressed(t *testing.T) {
	t.Parallel()
	b := setup(t, apitest.Rich(now))
	res, _ := b.get("/api/v1/endpoints", "Accept-Encoding", "gzip")
	if res.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("headers are %v", res.Header)
	}
}

func TestProbes(t *testing.T) {
	t.Parallel()
	b := setup(t, apitest.Empty(now))
	ready := func() (int, api.Readiness) {
		res, text := b.get("/readyz")
		var r api.Readiness
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err, text)
		}
		return res.StatusCode, r
	}
	if res, text := b.get("/healthz"); res.StatusCode != http.StatusOK || text != "ok\n" {
		t.Errorf("healthz: %d %q", res.StatusCode, text)
	}
	if res, text := b.get("/metrics"); res.StatusCode != http.StatusOK || !strings.Contains(text, "gatehouse_up") {
		t.Errorf("metrics: %d %q", res.StatusCode, text)
	}
	if code, r := ready(); code != 503 || r.Ready || !strings.Contains(r.Checks[1].Detail, "no log group") {
		t.Errorf("at the start: %d %+v", code, r)
	}
	b.world.Change(func(w *apitest.World) { w.Status.Groups = []collect.GroupHealth{{State: "waiting"}} })
	if code, r := ready(); code != 503 || !strings.Contains(r.Checks[1].Detail, "read yet") {
		t.Errorf("before the first read: %d %+v", code, r)
	}
	b.world.Change(func(w *apitest.World) { w.Status.Groups[0].LastRead = now })
	if code, r := ready(); code != 200 || !r.Ready {
		t.Errorf("after the first read: %d %+v", code, r)
	}
	b.world.Change(func(w *apitest.World) { w.Err = errors.New("secret path") })
	if code, r := ready(); code != 503 || r.Checks[0].OK || strings.Contains(r.Checks[0].Detail, "secret") {
		t.Errorf("without a store: %d %+v", code, r)
	}
}

func TestOpenAPI(t *testing.T) {
	t.Parallel()
	b := setup(t, apitest.Empty(now))
	var doc struct {
		OpenAPI string `json:"openapi"`
		Info    struct{ Version string }
		Paths   map[string]any
	}
	b.json("/api/openapi.json", &doc)
	if !strings.HasPrefix(doc.OpenAPI, "3.1") || doc.Info.Version != "1.2.3" {
		t.Errorf("openapi %s of version %s", doc.OpenAPI, doc.Info.Version)
	}
	for _, p := range []string{"overview", "endpoints", "endpoints/{id}", "endpoints.csv", "facets", "traffic", "estate", "estate/apis", "sources", "events"} {
		if doc.Paths["/api/v1/"+p] == nil {
			t.Errorf("%s is not described", p)
		}
	}
}

type sse struct{ id, event, data string }

// subscribe reads events into a channel until the test ends.
func (b *bundle) subscribe(ctx context.Context, lastID string) (*http.Response, <-chan sse) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, b.url+"/api/v1/events", http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "gzip")
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	out := make(chan sse, 100)
	go func() {
		defer close(out)
		defer func() { _ = res.Body.Close() }()
		var e sse
		for lines := bufio.NewScanner(res.Body); lines.Scan(); {
			k, v, _ := strings.Cut(lines.Text(), ": ")
			switch k {
			case "id":
				e.id = v
			case "event":
				e.event = v
			case "data":
				e.data = v
			case "":
				if e.event != "" {
					out <- e
				}
				e = sse{}
			}
		}
	}()
	return res, out
}

func next(t *testing.T, events <-chan sse, name string) sse {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case e, ok := <-events:
			if !ok {
				t.Fatalf("the stream ended before %q", name)
			}
			if e.event == name {
				return e
			}
		case <-timeout:
			t.Fatalf("no %q came", name)
		}
	}
}

func TestEventsTellNumbersNewEndpointsAndHealth(t *testing.T) {
	t.Parallel()
	b := setup(t, apitest.Rich(now))
	res, events := b.subscribe(t.Context(), "")
	if res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Content-Encoding") != "" {
		t.Fatalf("headers are %v", res.Header)
	}
	var o api.Overview
	if err := json.Unmarshal([]byte(next(t, events, "overview").data), &o); err != nil || o.Endpoints != 20 {
		t.Fatalf("first numbers are %+v, %v", o, err)
	}
	b.world.Change(func(w *apitest.World) {
		d := *w.Details[0]
		d.ID, d.Route, d.FirstSeen = "new-one", "/fresh", now
		w.Details = append(w.Details, &d)
	})
	fresh := next(t, events, "endpoint")
	if !strings.Contains(fresh.data, `"/fresh"`) {
		t.Errorf("the new endpoint is %s", fresh.data)
	}
	if err := json.Unmarshal([]byte(next(t, events, "overview").data), &o); err != nil || o.Endpoints != 21 {
		t.Errorf("numbers after it are %+v", o)
	}
	b.world.Change(func(w *apitest.World) {
		w.Status.Groups[0].State, w.Status.Groups[0].Error = "failing", "no route to host"
	})
	changed := next(t, events, "health")
	if !strings.Contains(changed.data, `"failing"`) || !strings.Contains(changed.data, "no route to host") {
		t.Errorf("the change of health is %s", changed.data)
	}

	// Who saw the endpoint but not the change of health gets that one alone.
	_, again := b.subscribe(t.Context(), fresh.id)
	for e := range again {
		if e.event == "endpoint" || e.event == "resync" {
			t.Fatalf("a resumed stream begins with %+v", e)
		}
		if e.event == "health" {
			break
		}
	}
	for _, strange := range []string{"otherrun-7", "-", "😀", "99999999999999999999"} {
		_, s := b.subscribe(t.Context(), strange)
		next(t, s, "resync")
		next(t, s, "overview")
	}
}

func TestSubscribersAreBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, apitest.Empty(now))
	ctx, cancel := context.WithCancel(t.Context())
	for range 100 {
		_, s := b.subscribe(ctx, "")
		next(t, s, "overview")
	}
	res, text := b.get("/api/v1/events")
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Errorf("one too many gets %d: %s", res.StatusCode, text)
	}
	cancel()
	// Each that leaves makes room; the server learns of it a moment later.
	for range 200 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+"/api/v1/events", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("there is no room after everybody left")
}
