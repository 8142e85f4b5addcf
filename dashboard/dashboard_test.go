package dashboard_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/dashboard"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/transaction"
)

var now = time.Date(2026, 3, 1, 12, 30, 20, 0, time.UTC)

func clock() time.Time { return now }

type site struct {
	t   *testing.T
	url string
	c   *http.Client
}

func open(t *testing.T, w *apitest.World) *site {
	t.Helper()
	srv := product(t, w, clock, identity.Viewer)
	c := srv.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &site{t: t, url: srv.URL, c: c}
}

func (s *site) get(path string, headers ...string) (*http.Response, string) {
	s.t.Helper()
	return s.send(http.MethodGet, path, "", headers...)
}

func (s *site) send(method, path, body string, headers ...string) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := s.c.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res, string(text)
}

// page returns what a reader sees of a page that is well.
func (s *site) page(path string) string {
	s.t.Helper()
	res, text := s.get(path)
	if res.StatusCode != http.StatusOK {
		s.t.Fatalf("%s answers %d: %s", path, res.StatusCode, text)
	}
	return text
}

var (
	tags   = regexp.MustCompile(`<[^>]*>`)
	spaces = regexp.MustCompile(`\s+`)
)

// words is a page's text without its tags.
func words(page string) string {
	page = page[strings.Index(page, "<main"):]
	return spaces.ReplaceAllString(strings.NewReplacer("&#39;", "'", "&#34;", `"`, "&amp;", "&", "&lt;", "<").Replace(tags.ReplaceAllString(page, " ")), " ")
}

func (s *site) says(path string, want ...string) {
	s.t.Helper()
	text := words(s.page(path))
	for _, w := range want {
		if !strings.Contains(text, w) {
			s.t.Errorf("%s does not say %q: %s", path, w, text)
		}
	}
}

func addresses(w *apitest.World) []string {
	out := []string{
		"/", "/?range=24h", "/inventory", "/inventory?type=REST&method=GET&sort=calls&order=desc", "/inventory?q=nothing-like-this", "/sources", "/sources?state=denied", "/estate", "/estate?coverage=none",
		"/tail", "/tail?status=4xx", "/policies/lab", "/policies/lab?example=scp", "/policies/lab?example=empty",
	}
	for i := range w.Details {
		if i%5 == 2 {
			out = append(out, "/inventory/"+url.PathEscape(w.Details[i].ID))
		}
	}
	return out
}

func TestOverviewSaysWhatIsGoingOn(t *testing.T) {
	t.Parallel()
	s := open(t, apitest.Rich(now))
	s.says("/",
		"Calls per second 42.5 over the last minute", "Endpoints 20", "Ingest lag 3 h 4 min", "● books balance",
		"bodies not visible: HTTP API, or data trace is off", "1 of 7 stages not logged", "1 cannot be read",
		"2 log groups cannot be read", "To mend: let the hub role assume it", "DELETE /orders/{orderId}")
	w := apitest.Rich(now)
	w.Status.Totals.Read++
	open(t, w).says("/", "■ books do not balance", "The books do not balance")
}

func TestInventoryFiltersSortsAndPages(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	for i := range 180 {
		d := *w.Details[0]
		d.ID, d.Route = "more-"+strings.Repeat("x", i), "/zz/"+strings.Repeat("x", i)
		w.Details = append(w.Details, &d)
	}
	s := open(t, w)
	rows := func(page string) int { return strings.Count(page, "<tr data-key=") }
	first := s.page("/inventory")
	if rows(first) != 100 || !strings.Contains(words(first), "1–100 of 200 endpoints") {
		t.Errorf("the first page has %d rows", rows(first))
	}
	next := regexp.MustCompile(`rel="next" href="([^"]+)"`).FindStringSubmatch(first)
	second := s.page(strings.ReplaceAll(next[1], "&amp;", "&"))
	if rows(second) != 100 || !strings.Contains(words(second), "101–200 of 200") || strings.Contains(second, `rel="next"`) {
		t.Errorf("the second page has %d rows", rows(second))
	}
	filtered := s.page("/inventory?type=WEBSOCKET")
	if rows(filtered) != 3 || !strings.Contains(filtered, `href="/api/v1/endpoints.csv?type=WEBSOCKET"`) {
		t.Errorf("the filter leaves %d rows", rows(filtered))
	}
	// A filter in force still offers what else there is, counted under the others.
	if !strings.Contains(filtered, `<option value="WEBSOCKET" selected>WEBSOCKET (3)`) || !strings.Contains(filtered, `<option value="HTTP">HTTP (5)`) {
		t.Error("the type cannot be changed to another")
	}
	if !strings.Contains(filtered, `<option value="w5s6c7h8t9">chat w5s6c7h8t9 (3)`) || !strings.Contains(s.page("/inventory?account="+apitest.Orders), `<option value="333333333333">catalog 333333333333 (11)`) {
		t.Error("APIs and accounts are offered without their names")
	}
	sorted := s.page("/inventory?sort=calls&order=desc")
	if i, j := strings.Index(sorted, "/products/{sku}"), strings.Index(sorted, "sendMessage"); i < 0 || j < i {
		t.Error("the most called is not first")
	}
	if !strings.Contains(sorted, `aria-sort="descending"`) {
		t.Error("the order is not told")
	}
	fresh := s.page("/inventory?new=1h&account=" + apitest.Catalog)
	if rows(fresh) != 2 || !strings.Contains(fresh, "since=2026-03-01T11%3A30%3A20Z") {
		t.Errorf("%d endpoints are new in the last hour", rows(fresh))
	}
}

func TestOldAddressesLeadOn(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	w.Merged = map[string]string{"old": w.Details[3].ID}
	s := open(t, w)
	for path, want := range map[string]string{
		"/inventory/old": "/inventory/" + w.Details[3].ID,
		"/inventory?cursor=broken&sort=calls&type=REST": "/inventory?type=REST",
	} {
		if res, _ := s.get(path); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != want {
			t.Errorf("%s answers %d to %q", path, res.StatusCode, res.Header.Get("Location"))
		}
	}
}

func TestExportLinksGiveTheRowsOfThePage(t *testing.T) {
	t.Parallel()
	s := open(t, apitest.Rich(now))
	page := s.page("/inventory?account=" + apitest.Orders + "&method=GET&new=30d&sort=calls&order=desc")
	links := regexp.MustCompile(`href="(/api/v1/endpoints\.(?:csv|json)[^"]*)" download`).FindAllStringSubmatch(page, -1)
	if len(links) != 2 {
		t.Fatalf("%d export links", len(links))
	}
	keys := regexp.MustCompile(`<tr data-key="([^"]+)"`).FindAllStringSubmatch(page, -1)
	_, text := s.get(strings.ReplaceAll(links[1][1], "&amp;", "&"))
	var rows []inventory.Endpoint
	if err := json.Unmarshal([]byte(text), &rows); err != nil || len(rows) != len(keys) || len(rows) == 0 {
		t.Fatalf("%d rows on the page, %d in the export, %v: %s", len(keys), len(rows), err, text)
	}
	for i := range rows {
		if rows[i].ID != keys[i][1] {
			t.Errorf("row %d is %s in the export and %s on the page", i, rows[i].ID, keys[i][1])
		}
	}
}

func TestEndpointShowsWhatWasSeenAndWhatNot(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	s := open(t, w)
	text := s.page("/inventory/" + w.Details[2].ID)
	for _, want := range []string{
		"POST /orders", "p50 87 ms, p99 792 ms", "≤ 100 ms", "AWS_IAM", "the access log names it", "not told",
		"API Gateway cuts execution-log lines at 1,024 bytes", "storefront-web", "incomplete", "ACCESS_DENIED", "gatehouse parse --log-group",
	} {
		if !strings.Contains(words(text), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Count(text, `<details class="sample"`) != 3 || !strings.Contains(text, `<mark class="redacted">[redacted]</mark>`) {
		t.Error("samples are not shown with what was taken out")
	}
	if !strings.Contains(text, "&#34;customer&#34;: {\n    &#34;name&#34;") {
		t.Error("JSON is not indented")
	}
	http := s.page("/inventory/" + w.Details[9].ID)
	if !strings.Contains(words(http), "Headers and bodies: an HTTP API writes access logs only.") || !strings.Contains(words(http), `curl -i -H "authorization: Bearer $TOKEN" 'https://h7t8t9p0a1.execute-api.eu-west-1.amazonaws.com/products'`) {
		t.Error("the HTTP API's page lacks its truth or its command")
	}
}

func TestEndpointShowsItsFields(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	least, most := 1.0, 9.5
	w.Details[2].Schema = &inventory.Schema{Calls: 1200, More: 7, Fields: []inventory.Field{
		{In: "request", Types: []string{"object"}},
		{In: "request", Path: "items[].price", Types: []string{"integer", "number"}, Present: 3, Of: 4, Minimum: &least, Maximum: &most},
		{In: "response", Status: "2xx", Path: "<b>", Types: []string{"string"}, Enum: []string{"OPEN", "PAID"}},
	}}
	w.Details[2].Sensitive = []inventory.SensitiveField{
		{In: "response", Status: "2xx", Path: "contact", Class: "email", Matches: 11, Distinct: 12, Confidence: "high"},
		{In: "request", Path: "card", Class: "card", Confidence: "high", Redacted: true},
	}
	s := open(t, w)
	text := s.page("/inventory/" + w.Details[2].ID)
	for _, want := range []string{
		"learnt from 1,200 calls, with about 7 more fields", "items[].price", "integer or number", "1 to 9.5", "3 of 4", "OPEN, PAID",
		"contact", "response 2xx email high about 11 of 12", "taken out before",
	} {
		if !strings.Contains(words(text), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(text, "<b>") {
		t.Error("a field's name is not escaped")
	}
	if !strings.Contains(words(s.page("/inventory/"+w.Details[9].ID)), "so nothing can be said") {
		t.Error("an endpoint without bodies is called clean")
	}
}

func TestCommandsAreOnlyGivenWhereTheyAreTrue(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	s := open(t, w)
	for i, d := range w.Details {
		page := words(s.page("/inventory/" + d.ID))
		want := map[int]bool{0: true, 1: true, 7: true, 9: true, 19: true}[i]
		if got := strings.Contains(page, "curl -i"); got != want {
			t.Errorf("%s %s %s: curl is given: %v", d.APIType, d.Method, d.Route, got)
		}
	}
	w.Change(func(w *apitest.World) { w.Details[9].Samples[0].RequestID = "x'; rm -rf ~ #" })
	page := words(s.page("/inventory/" + w.Details[9].ID))
	if !strings.Contains(page, `'"x'\''; rm -rf ~ #"'`) {
		t.Error("a request id that a client chose is not quoted for the shell")
	}
}

func TestSourcesAnswersWhetherItIsComplete(t *testing.T) {
	t.Parallel()
	s := open(t, apitest.Rich(now))
	s.says("/sources", "Not complete", "2 log groups cannot be read", "kafka://broker-1:9092/akto.api.logs", "■ failing", "1,312",
		"To mend: allow logs:FilterLogEvents on arn:aws:logs", "1.78", "84", "7 min 12 s", "■ denied", "◐ catching up")
	s.says("/sources", "17 events that CloudWatch counted were not read yet", "12,471 compared, 3 short at first: 2 repaired, 0 given up", "41,822 calls were left out by the filters",
		"filter_static_extensions 41,822", "payments 555555555555 ■ cannot be read whole", "4,790 batches", "● adds up", "◐ read again")
	refused := apitest.Rich(now)
	refused.Status.Sinks[1].Mend = "allow the principal to write to the topic"
	open(t, refused).says("/sources", "To mend: allow the principal to write to the topic", "Nothing is lost: the cursor waits for it")
	if strings.Contains(words(s.page("/sources")), "allow the principal to write") {
		t.Error("a mend that the sink does not know is shown")
	}
	denied := s.page("/sources?state=denied")
	if strings.Count(denied, `class="thing two"`) != 1 || !strings.Contains(words(denied), "1 of 8 groups") {
		t.Error("the state does not filter")
	}
	well := apitest.Rich(now)
	well.Status.Problems, well.Status.Sinks, well.Status.Groups = nil, well.Status.Sinks[:1], well.Status.Groups[3:6]
	well.Status.Totals, well.Status.Check = collect.Books{Read: 10, Assembled: 10}, collect.Check{State: collect.CheckComplete}
	well.Estates = nil
	open(t, well).says("/sources", "● Complete")
}

func TestEstateShowsLoggingAndErrors(t *testing.T) {
	t.Parallel()
	s := open(t, apitest.Rich(now))
	s.says("/estate", "payments 555555555555", "cannot be read: assuming", "To mend: let the hub role assume it", "not logged", "errors only", "apigateway:GetAuthorizers", "in 4 s", "where Gatehouse runs", "1 method differs")
	cut := words(s.page("/estate?coverage=none"))
	if !strings.Contains(cut, "search") || strings.Contains(cut, "orders-reports") {
		t.Error("the filter leaves other stages")
	}
}

func TestEmptyPagesSayWhy(t *testing.T) {
	t.Parallel()
	s := open(t, apitest.Empty(now))
	s.says("/", "No endpoint has been seen yet.", "No discovery has finished yet.", "Nothing observed in this time yet.")
	s.says("/inventory", "No endpoint has been seen yet.", "no log group has been found so far")
	s.says("/sources", "No log group has been found yet.", "Nothing read yet")
	s.says("/estate", "No discovery has finished yet.")
	open(t, apitest.Rich(now)).says("/inventory?q=nothing-like-this", "No endpoint matches these filters.")
}

func TestStoreErrorsAreToldWithoutTheirInside(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	w.Err = errors.New("open /var/lib/secret.db: disk full")
	s := open(t, w)
	for path, want := range map[string]int{"/": 200, "/sources": 200, "/inventory": 503, "/inventory/x": 503, "/estate": 503} {
		res, text := s.get(path)
		if res.StatusCode != want || strings.Contains(text, "secret") || !strings.Contains(text, "<nav") {
			t.Errorf("%s answers %d", path, res.StatusCode)
		}
	}
	s.says("/", "The inventory could not be read.", "The traffic could not be read.", "The estate could not be read.", "13,181,575")
}

func TestHostileTextIsShownNotRun(t *testing.T) {
	t.Parallel()
	w := apitest.Attacked(now)
	s := open(t, w)
	hits := 0
	for _, path := range append(addresses(w), "/inventory?q="+url.QueryEscape(apitest.Hostile)+"&account="+url.QueryEscape(apitest.Hostile), "/nothing/"+url.PathEscape(apitest.Hostile)) {
		_, text := s.get(path)
		for _, bad := range []string{"<script>alert", "<img src=x", "\u202e", "\u200b", `href="javascript:`, `src="javascript:`, "</pre><script"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s holds %q", path, bad)
			}
		}
		if strings.Contains(text, "⟨U+202E⟩") {
			hits++
		}
	}
	if hits < 5 {
		t.Errorf("the hidden character was made visible on %d pages only", hits)
	}
}

func TestPagesKeepTheContentSecurityPolicy(t *testing.T) {
	t.Parallel()
	w := apitest.Attacked(now)
	s := open(t, w)
	inline, values := regexp.MustCompile(`(?i)<[a-z][^>]*\s(style|on[a-z]+)\s*=`), regexp.MustCompile(`"[^"]*"`)
	for _, path := range addresses(w) {
		res, text := s.get(path)
		if csp := res.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "script-src 'self'") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s has the policy %q", path, csp)
		}
		if m := inline.FindString(values.ReplaceAllString(text, `""`)); m != "" || strings.Contains(text, "<style") || strings.Contains(text, "<script>") {
			t.Errorf("%s has inline style or script: %s", path, m)
		}
		for _, m := range regexp.MustCompile(`(?:src|href|action)="([^"]*)"`).FindAllStringSubmatch(text, -1) {
			if strings.Contains(m[1], "//") {
				t.Errorf("%s leads to another server: %s", path, m[1])
			}
		}
	}
}

func TestAccessibilityBasics(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	s := open(t, w)
	id := regexp.MustCompile(`\sid="([^"]+)"`)
	field := regexp.MustCompile(`<(input|select)[^>]*>`)
	for _, path := range append(addresses(w), "/nothing") {
		_, text := s.get(path)
		if n := strings.Count(text, "<h1"); n != 1 {
			t.Errorf("%s has %d h1", path, n)
		}
		for _, want := range []string{`<html lang="en"`, `class="skip" href="#main"`, `<main id="main"`, "<title>", `aria-label="Sections"`} {
			if !strings.Contains(text, want) {
				t.Errorf("%s lacks %s", path, want)
			}
		}
		seen := map[string]bool{}
		for _, m := range id.FindAllStringSubmatch(text, -1) {
			if seen[m[1]] {
				t.Errorf("%s has the id %s twice", path, m[1])
			}
			seen[m[1]] = true
		}
		for _, m := range regexp.MustCompile(`aria-labelledby="([^"]+)"`).FindAllStringSubmatch(text, -1) {
			if !seen[m[1]] {
				t.Errorf("%s names %s, which is not there", path, m[1])
			}
		}
		for _, loc := range field.FindAllStringIndex(text, -1) {
			f := text[loc[0]:loc[1]]
			if strings.Contains(f, `type="hidden"`) || strings.Contains(f, `id="search"`) {
				continue
			}
			if before := text[:loc[0]]; strings.LastIndex(before, "<label") <= strings.LastIndex(before, "</label>") {
				t.Errorf("%s has a field without a label: %s", path, f)
			}
		}
		if strings.Count(text, "<th ")+strings.Count(text, "<th>") != strings.Count(text, "scope=") {
			t.Errorf("%s has a th without scope", path)
		}
	}
	if !strings.Contains(s.page("/"), `<label class="hide" for="search">`) {
		t.Error("the search has no label")
	}
}

// Every number that the script patches must be one that the events tell.
func TestLiveNumbersExist(t *testing.T) {
	t.Parallel()
	s := open(t, apitest.Rich(now))
	_, text := s.get("/api/v1/overview")
	var numbers map[string]any
	if err := json.Unmarshal([]byte(text), &numbers); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, path := range []string{"/", "/sources"} {
		for _, m := range regexp.MustCompile(`data-live="([^":]+):`).FindAllStringSubmatch(s.page(path), -1) {
			var at any = numbers
			for part := range strings.SplitSeq(m[1], ".") {
				at = at.(map[string]any)[part]
			}
			if at == nil {
				t.Errorf("%s patches %s, which the overview does not tell", path, m[1])
			}
			found++
		}
	}
	if found < 12 {
		t.Errorf("only %d live numbers", found)
	}
}

func TestSearchJumps(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	s := open(t, w)
	for q, want := range map[string]string{
		"sources":       "/sources",
		"sendMessage":   "/inventory/" + w.Details[13].ID,
		"orders":        "/inventory?q=orders",
		"":              "/inventory",
		"//evil.com":    "/inventory?q=%2F%2Fevil.com",
		"a&b=c#d\r\nX:": "/inventory?q=a%26b%3Dc%23d%0D%0AX%3A",
	} {
		res, _ := s.get("/search?q=" + url.QueryEscape(q))
		if got := res.Header.Get("Location"); res.StatusCode != http.StatusSeeOther || got != want {
			t.Errorf("%q jumps to %q, want %q", q, got, want)
		}
	}
}

func TestThemeWithoutScript(t *testing.T) {
	t.Parallel()
	s := open(t, apitest.Empty(now))
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	res, _ := s.send(http.MethodPost, "/theme", "theme=dark&back=%2Finventory%3Fq%3Da", form...)
	if res.Header.Get("Location") != "/inventory?q=a" || len(res.Cookies()) != 1 || res.Cookies()[0].Value != "dark" {
		t.Errorf("answers %v", res.Header)
	}
	if _, text := s.get("/", "Cookie", "gatehouse_theme=dark"); !strings.Contains(text, `data-theme="dark"`) {
		t.Error("the cookie does not make the page dark")
	}
	if _, text := s.get("/", "Cookie", `gatehouse_theme="><script>`); !strings.Contains(text, `data-theme="auto"`) {
		t.Error("a strange cookie is taken")
	}
	for _, back := range []string{"//evil.example", "https://evil.example", `/\evil.example`, "evil"} {
		res, _ := s.send(http.MethodPost, "/theme", "theme=light&back="+url.QueryEscape(back), form...)
		if got := res.Header.Get("Location"); got != "/" {
			t.Errorf("back to %q leads to %q", back, got)
		}
	}
	if res, _ := s.send(http.MethodPost, "/theme", "theme=dark", append(form, "Sec-Fetch-Site", "cross-site")...); res.StatusCode != http.StatusForbidden {
		t.Errorf("another site's form answers %d", res.StatusCode)
	}
}

func TestSignInPage(t *testing.T) {
	t.Parallel()
	srv := product(t, apitest.Empty(now), clock, identity.None)
	s := &site{t: t, url: srv.URL, c: srv.Client()}
	res, text := s.get("/inventory?q=a", "Accept", "text/html")
	if res.StatusCode != http.StatusUnauthorized || !strings.Contains(text, `name="next" value="/inventory?q=a"`) || strings.Contains(text, `class="rail"`) {
		t.Errorf("answers %d: %s", res.StatusCode, text)
	}
	if !strings.Contains(text, `<label for="token">`) {
		t.Error("the token's field has no label")
	}
	css := regexp.MustCompile(`href="([^"]+\.css[^"]*)"`).FindStringSubmatch(text)
	if res, _ := s.get(css[1]); res.StatusCode != http.StatusOK || !strings.Contains(res.Header.Get("Cache-Control"), "immutable") {
		t.Errorf("the style needs a sign-in: %d", res.StatusCode)
	}
}

func TestPagesAreSmall(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	for i := range 200 {
		d := *w.Details[i%20]
		d.ID += strings.Repeat("x", i)
		w.Details = append(w.Details, &d)
	}
	s := open(t, w)
	total := 0
	for _, path := range []string{"/inventory", "/assets/dashboard.css", "/assets/dashboard.js", "/assets/gatehouse.svg"} {
		res, text := s.get(path, "Accept-Encoding", "gzip")
		if res.Header.Get("Content-Encoding") == "gzip" {
			if _, err := gzip.NewReader(bytes.NewReader([]byte(text))); err != nil {
				t.Fatal(err)
			}
		}
		total += len(text)
	}
	if total > 100_000 {
		t.Errorf("the first page and all it needs are %d bytes compressed", total)
	}
	t.Logf("the first page and all it needs are %d bytes compressed", total)
}

func TestBasePath(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	h := dashboard.New(dashboard.Options{Inventory: w, Health: w.Health, Estate: w.Estate, Tail: w.Tail, Clock: clock, BasePath: "/gatehouse/"})
	srv := httptest.NewServer(h)
	defer srv.Close()
	s := &site{t: t, url: srv.URL, c: srv.Client()}
	for _, path := range []string{"/gatehouse/", "/gatehouse/inventory", "/gatehouse/sources", "/gatehouse/estate", "/gatehouse/tail", "/gatehouse/tail/" + w.Details[0].Samples[0].ID, "/gatehouse/policies/lab", "/gatehouse/inventory/" + w.Details[0].ID} {
		for _, m := range regexp.MustCompile(`(?:src|href|action)="(/[^"]*)"`).FindAllStringSubmatch(s.page(path), -1) {
			if !strings.HasPrefix(m[1], "/gatehouse/") && m[1] != "/logout" && m[1] != "/login" { // the guard before the pages has these
				t.Errorf("%s leads out of the base path to %s", path, m[1])
			}
		}
	}
}

func TestProcessThatCollectsNothing(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	h := dashboard.New(dashboard.Options{Inventory: w, Clock: clock})
	srv := httptest.NewServer(h)
	defer srv.Close()
	s := &site{t: t, url: srv.URL, c: srv.Client()}
	s.says("/sources", "This process collects nothing.", "Not known here")
	s.says("/", "Not known here", "No discovery has finished yet.")
	s.says("/inventory", "20 endpoints")
	s.says("/inventory/"+w.Details[0].ID, "no such route in the last discovery")
}

func TestSamplesOfEveryShape(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	w.Details[0].Samples = []*transaction.Transaction{
		{ID: "bare"},
		{ID: "deep", Response: &transaction.Response{Status: 200, Body: strings.Repeat("[", 5000) + strings.Repeat("]", 5000)}},
		{ID: "binary", Request: &transaction.Request{Body: "\x01\xff\xfe{"}, Response: &transaction.Response{Body: "{}"}},
	}
	w.Details[0].Statuses, w.Details[0].LatencyBuckets, w.Details[0].Recent, w.Details[0].TopCallers = nil, nil, nil, nil
	text := open(t, w).page("/inventory/" + w.Details[0].ID)
	for _, want := range []string{"no status", "⟨0xFF⟩", "⟨U+0001⟩", "Not observed.", "The logs name no caller"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if len(text) > 100_000 {
		t.Errorf("a body of 10 kB makes a page of %d bytes", len(text))
	}
}
