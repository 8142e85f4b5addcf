package dashboard_test

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/transaction"
)

func TestTailShowsTheLatestWithoutScript(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	s := open(t, w)
	rows := func(page string) int { return strings.Count(page, "<tr data-key=") }
	all := s.page("/tail")
	if rows(all) != 60 || !strings.Contains(words(all), "Calls latest 60") {
		t.Errorf("%d calls are shown", rows(all))
	}
	denied := s.page("/tail?status=403&account=" + apitest.Orders + "&q=ORDERS")
	if rows(denied) != 9 || strings.Contains(denied, `badge good">200`) || !strings.Contains(words(denied), "Account orders 222222222222 ×") {
		t.Errorf("the filter leaves %d calls", rows(denied))
	}
	if got := rows(s.page("/tail?caller=storefront-web&method=DELETE&route=/orders/")); got != 3 {
		t.Errorf("caller, method and route leave %d calls", got)
	}
	s.says("/tail?q=nothing-like-this", "No call that matches has come by yet.")
	s.says("/tail?status=77", `status "77" is no code such as 404`)
	open(t, apitest.Empty(now)).says("/tail", "No call has come by yet.")
	w.Tail = nil
	open(t, w).says("/tail", "This process collects nothing.")
}

func TestTailOpensACall(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	s := open(t, w)
	call := w.Details[2].Samples[2]
	s.says("/tail/"+call.ID, "POST /orders/8812 403", "ACCESS_DENIED", "Try it in the policy lab", "Its endpoint")
	lab := between(t, s.page("/tail/"+call.ID), `<a href="/policies/lab?s=`, `"`)
	if page := s.page("/policies/lab?s=" + lab); !strings.Contains(page, `value="arn:aws:sts::444444444444:assumed-role/storefront-web/i-0a1b2c"`) || !strings.Contains(page, `value="/orders/8812"`) {
		t.Error("the lab is not filled in with the call")
	}
	res, text := s.get("/tail/gone")
	if res.StatusCode != http.StatusNotFound || !strings.Contains(text, "no longer kept") {
		t.Errorf("a call that is gone answers %d", res.StatusCode)
	}
	s.says("/inventory/"+w.Details[2].ID, "Live tail", "Who may call it? Policy lab")
}

// lines follows a stream and gives its lines.
func (s *site) lines(path string, headers ...string) (*http.Response, <-chan string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, http.NoBody)
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
	out := make(chan string, 1000)
	go func() {
		defer close(out)
		defer func() { _ = res.Body.Close() }()
		scan := bufio.NewScanner(res.Body)
		scan.Buffer(nil, 1<<20)
		for scan.Scan() {
			out <- scan.Text()
		}
	}()
	return res, out
}

func nextLine(t *testing.T, lines <-chan string, prefix string) string {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				t.Fatalf("the stream ended before %q", prefix)
			}
			if rest, found := strings.CutPrefix(line, prefix); found {
				return rest
			}
		case <-timeout:
			t.Fatalf("no line begins with %q", prefix)
		}
	}
}

func TestTailFollows(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	s := open(t, w)
	page := s.page("/tail?status=error")
	stream := strings.ReplaceAll(between(t, page, `data-tail="`, `"`), "&amp;", "&")
	// What comes between the page and its stream is not lost.
	w.Tail.Observe([]*transaction.Transaction{
		{ID: "fine", Method: "GET", Path: "/fine", Response: &transaction.Response{Status: 200}},
		{ID: "bad", Method: "GET", Path: "/bad\n\u202e<b>", Response: &transaction.Response{Status: 500}},
	})
	res, lines := s.lines(stream, "Accept-Encoding", "gzip")
	if res.Header.Get("Content-Type") != "text/event-stream" || res.Header.Get("Content-Encoding") != "" {
		t.Fatalf("headers are %v", res.Header)
	}
	id := nextLine(t, lines, "id: ")
	row := nextLine(t, lines, "data: ")
	if !strings.HasPrefix(row, `<tr data-key="bad">`) || strings.Contains(row, "fine") || strings.Contains(row, "<b>") || !strings.Contains(row, "⟨U+202E⟩") {
		t.Errorf("the row is %s", row)
	}
	flood := make([]*transaction.Transaction, 100)
	for i := range flood {
		flood[i] = &transaction.Transaction{ID: "flood", Response: &transaction.Response{Status: 404}}
	}
	w.Tail.Observe(flood)
	nextLine(t, lines, "event: skipped")
	if skipped := nextLine(t, lines, "data: "); skipped != "60" {
		t.Errorf("of 100 at once %s are not shown", skipped)
	}
	if row := nextLine(t, lines, "data: "); strings.Count(row, "<tr ") != 40 {
		t.Errorf("of 100 at once %d are shown", strings.Count(row, "<tr "))
	}
	// A browser that comes back goes on where it was.
	_, again := s.lines(stream, "Last-Event-ID", id)
	if row := nextLine(t, again, "data: "); row != "60" {
		t.Errorf("after coming back the first is %s", row)
	}
	for path, want := range map[string]int{"/tail/stream?status=x": http.StatusUnprocessableEntity} {
		if res, _ := s.get(path); res.StatusCode != want {
			t.Errorf("%s answers %d", path, res.StatusCode)
		}
	}
	w.Tail = nil
	if res, _ := open(t, w).get("/tail/stream"); res.StatusCode != http.StatusNotFound {
		t.Errorf("without a collector it answers %d", res.StatusCode)
	}
}

func TestTailNeedsASignIn(t *testing.T) {
	t.Parallel()
	srv := product(t, apitest.Rich(now), clock, identity.None)
	s := &site{t: t, url: srv.URL, c: srv.Client()}
	for _, path := range []string{"/tail", "/tail/stream", "/policies/lab", "/api/v1/tail"} {
		if res, _ := s.get(path); res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s answers %d", path, res.StatusCode)
		}
	}
}
