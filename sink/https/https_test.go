package https

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/sink/post"
	"github.com/gatehouse-project/gatehouse/sink/sinktest"
	"github.com/gatehouse-project/gatehouse/transaction"
)

func ids(batch []*transaction.Transaction) []string {
	out := []string{}
	for _, t := range batch {
		out = append(out, t.ID)
	}
	return out
}

// delivery gives the error's facts, or fails the test.
func delivery(t *testing.T, err error) *post.DeliveryError {
	t.Helper()
	e, ok := errors.AsType[*post.DeliveryError](err)
	if !ok {
		t.Fatalf("err = %v, want a DeliveryError", err)
	}
	return e
}

func (w *world) wantIDs(want []string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.ids()); diff != "" {
		w.t.Errorf("delivered (-want +got):\n%s", diff)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	for options, want := range map[string]int{
		"":                               1,
		"?batch_count=30":                4,
		"?batch_bytes=1":                 100,
		"?batch_count=30&format=native":  4,
		"?batch_count=7&format=cequence": 15,
	} {
		w := setup(t, options, nil)
		if err := w.sink.Deliver(t.Context(), sinktest.Calls(0, 100)); err != nil {
			t.Fatal(err)
		}
		w.wantIDs(ids(sinktest.Calls(0, 100)))
		if w.requests != want {
			t.Errorf("%s: %d requests, want %d", options, w.requests, want)
		}
		if w.tokens != 1 {
			t.Errorf("%s: %d tokens, want 1", options, w.tokens)
		}
	}
}

func TestNativeIsTheTransaction(t *testing.T) {
	t.Parallel()
	w := setup(t, "", nil)
	batch := sinktest.Calls(0, 3)
	if err := w.sink.Deliver(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	for i, b := range w.bodies {
		if want := string(batch[i].AppendJSON(nil)); string(b) != want {
			t.Errorf("item %d:\n%s\nwant\n%s", i, b, want)
		}
	}
}

func TestBatchTooLargeIsSplit(t *testing.T) {
	t.Parallel()
	w := setup(t, "", nil)
	w.max = 20_000
	batch := sinktest.Calls(0, 200)
	if err := w.sink.Deliver(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	w.wantIDs(ids(batch))
	before := w.requests
	if err := w.sink.Deliver(t.Context(), sinktest.Calls(200, 200)); err != nil {
		t.Fatal(err)
	}
	if got := w.counter("requests_total", "too_large"); got > 8 {
		t.Errorf("%v batches were too large: the sink does not learn", got)
	}
	if w.requests-before > 20 {
		t.Errorf("%d requests for 200 calls", w.requests-before)
	}
}

func TestOneCallTooLarge(t *testing.T) {
	t.Parallel()
	w := setup(t, "", nil)
	w.max = 20_000
	batch := sinktest.Calls(0, 10)
	batch[4].Request.Body = strings.Repeat("x", 30_000)
	if err := w.sink.Deliver(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	all := w.letters.All()
	if len(all) != 1 || all[0].Transaction != batch[4] || all[0].Reason != deadletter.TooLarge || !strings.Contains(all[0].Message, "413") {
		t.Errorf("dead letters %+v", all)
	}
	w.wantIDs(append(ids(batch[:4]), ids(batch[5:])...))
}

// Answers that name calls: only these are dead letters, or sent again.
func TestNamedCalls(t *testing.T) {
	t.Parallel()
	batch := sinktest.Calls(0, 6)
	name := func(i int) string { return batch[i].ID }
	for title, tc := range map[string]struct {
		status  int
		answer  string
		letters []string // what is a dead letter
		again   []string // what is sent again
		fails   bool
	}{
		"by id":           {207, `{"rejected":[{"id":"` + name(1) + `","reason":"no"}]}`, []string{name(1)}, nil, false},
		"by index":        {200, `{"errors":[{"index":0,"message":"no"},{"index":5}]}`, []string{name(0), name(5)}, nil, false},
		"ids alone":       {200, `{"failed":["` + name(2) + `"]}`, []string{name(2)}, nil, false},
		"to retry":        {207, `{"rejected":[{"id":"` + name(3) + `","retry":true},{"id":"` + name(4) + `"}]}`, []string{name(4)}, []string{name(3)}, true},
		"by status":       {207, `{"rejected":[{"index":3,"status":503},{"index":4,"status":422}]}`, []string{name(4)}, []string{name(3)}, true},
		"a number":        {200, `{"accepted":5,"rejected":1}`, nil, ids(batch), false},
		"an unknown id":   {200, `{"rejected":[{"id":"other"}]}`, nil, ids(batch), false},
		"nothing":         {200, `{"rejected":[]}`, nil, nil, false},
		"zero":            {200, `{"rejected":0,"errors":null}`, nil, nil, false},
		"not JSON":        {200, `ok`, nil, nil, false},
		"empty":           {204, ``, nil, nil, false},
		"refused, named":  {422, `{"errors":[{"id":"` + name(1) + `","message":"no"}]}`, []string{name(1)}, []string{name(0), name(2), name(3), name(4), name(5)}, false},
		"refused, retry":  {400, `{"errors":[{"id":"` + name(1) + `","retry":true}]}`, nil, ids(batch), true},
		"refused, broken": {400, `{"errors":[{"id":`, nil, ids(batch), false},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			w := setup(t, "", func(c *Config) { c.Now = time.Now })
			asked := 0
			var again []string
			w.answer = func(rw http.ResponseWriter, items []json.RawMessage) {
				if asked++; asked == 1 {
					rw.WriteHeader(tc.status)
					fmt.Fprint(rw, tc.answer)
					return
				}
				for _, item := range items {
					again = append(again, itemID(item))
				}
			}
			err := w.sink.Deliver(t.Context(), batch)
			if (err != nil) != tc.fails {
				t.Fatalf("err = %v", err)
			}
			if err != nil {
				if e := delivery(t, err); e.Class == post.Accepted || e.Open == 0 {
					t.Errorf("err = %+v", e)
				}
				if err := w.sink.Deliver(t.Context(), batch); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(tc.again, again); diff != "" {
				t.Errorf("sent again (-want +got):\n%s", diff)
			}
			got := w.letters.IDs()
			if len(got) == 0 {
				got = nil
			}
			if diff := cmp.Diff(tc.letters, got); diff != "" {
				t.Errorf("dead letters (-want +got):\n%s", diff)
			}
		})
	}
}

// What each status does to a batch of one call.
func TestStatuses(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]struct {
		class  post.Class // empty: no error
		letter bool
	}{
		200: {}, 201: {}, 204: {},
		302: {class: post.Misconfigured}, 403: {class: post.Misconfigured}, 404: {class: post.Misconfigured}, 405: {class: post.Misconfigured},
		415: {class: post.Misconfigured}, 501: {class: post.Misconfigured},
		408: {class: post.Later}, 425: {class: post.Later}, 429: {class: post.Later}, 500: {class: post.Later}, 502: {class: post.Later}, 503: {class: post.Later}, 504: {class: post.Later},
		400: {letter: true}, 409: {letter: true}, 413: {letter: true}, 422: {letter: true}, 418: {letter: true},
	} {
		w := setup(t, "", nil)
		w.answer = func(rw http.ResponseWriter, _ []json.RawMessage) {
			rw.Header().Set("Location", "https://elsewhere.example/?key=secret-in-location")
			rw.WriteHeader(status)
			if status != 204 {
				fmt.Fprint(rw, "said\x1b[31m so")
			}
		}
		err := w.sink.Deliver(t.Context(), sinktest.Calls(0, 1))
		if letter := len(w.letters.All()) == 1; letter != want.letter {
			t.Errorf("%d: dead letter %v, want %v", status, letter, want.letter)
		}
		if want.class == "" {
			if err != nil {
				t.Errorf("%d: %v", status, err)
			}
			continue
		}
		e := delivery(t, err)
		if e.Class != want.class || e.Status != status {
			t.Errorf("%d: class %s, status %d, want %s", status, e.Class, e.Status, want.class)
		}
		if strings.Contains(err.Error(), "secret-in-location") || strings.Contains(err.Error(), "\x1b") || !strings.Contains(err.Error(), "said") {
			t.Errorf("%d: error %q", status, err)
		}
		if want.class == post.Misconfigured && e.Mend() == "" && status != 501 {
			t.Errorf("%d: no mend", status)
		}
	}
}

// Retry-After is honoured, and the error is there at once.
func TestRetryAfter(t *testing.T) {
	t.Parallel()
	w := setup(t, "", func(c *Config) { c.Now = time.Now })
	var asked atomic.Int64
	var first time.Time
	w.answer = func(rw http.ResponseWriter, items []json.RawMessage) {
		if asked.Add(1) == 1 {
			first = time.Now()
			rw.Header().Set("Retry-After", "1")
			rw.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.bodies = append(w.bodies, items...)
	}
	batch := sinktest.Calls(0, 3)
	start := time.Now()
	if e := delivery(t, w.sink.Deliver(t.Context(), batch)); e.Class != post.Later {
		t.Errorf("class %s", e.Class)
	}
	if took := time.Since(start); took > 900*time.Millisecond {
		t.Errorf("the error came after %s", took)
	}
	if err := w.sink.Deliver(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(first); waited < time.Second {
		t.Errorf("asked again after %s", waited)
	}
	w.wantIDs(ids(batch))
}

// A wait that the platform asked for ends with the context.
func TestRetryAfterEndsWithTheContext(t *testing.T) {
	t.Parallel()
	w := setup(t, "", func(c *Config) { c.Now = time.Now })
	w.answer = func(rw http.ResponseWriter, _ []json.RawMessage) {
		rw.Header().Set("Retry-After", "86400")
		rw.WriteHeader(http.StatusServiceUnavailable)
	}
	batch := sinktest.Calls(0, 3)
	_ = w.sink.Deliver(t.Context(), batch)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	err := w.sink.Deliver(ctx, batch)
	if !errors.Is(err, context.DeadlineExceeded) || delivery(t, err).Class != post.Stopped {
		t.Errorf("err = %v", err)
	}
	if w.requests != 1 {
		t.Errorf("%d requests", w.requests)
	}
}

// An answer without end does not fill the memory, and is no success.
func TestEndlessAnswer(t *testing.T) {
	t.Parallel()
	w := setup(t, "?timeout=5s", nil)
	w.answer = func(rw http.ResponseWriter, _ []json.RawMessage) {
		rw.WriteHeader(http.StatusOK)
		chunk := []byte(strings.Repeat(" ", 64<<10))
		for {
			if _, err := rw.Write(chunk); err != nil {
				return
			}
		}
	}
	if e := delivery(t, w.sink.Deliver(t.Context(), sinktest.Calls(0, 1))); e.Class != post.Misconfigured {
		t.Errorf("class %s: %v", e.Class, e)
	}
}

func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	var opened atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(rw, strings.Repeat("answer ", 5000))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	c, err := Parse(server.URL + "/?batch_count=1")
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Deliver(t.Context(), sinktest.Calls(0, 50)); err != nil {
		t.Fatal(err)
	}
	if n := opened.Load(); n != 1 {
		t.Errorf("%d connections for 50 requests", n)
	}
	_ = s.Close(t.Context())
}

func TestCheck(t *testing.T) {
	t.Parallel()
	w := setup(t, "", nil)
	if err := w.sink.Check(t.Context()); err != nil {
		t.Errorf("Check: %v", err)
	}
	w.wantIDs([]string{})
	w.set(func() { w.deny = true })
	if e := delivery(t, w.sink.Check(t.Context())); e.Class != post.Unauthorized || e.Mend() == "" {
		t.Errorf("Check: %+v", e)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	c, err := Parse("https://edge.example/v1/traffic?format=cequence&auth=oauth2&batch_count=10&batch_bytes=2000&timeout=3s&compression=none")
	if err != nil {
		t.Fatal(err)
	}
	if c.Format != Cequence || c.Auth != OAuth2 || c.BatchCount != 10 || c.BatchBytes != 2000 || c.Timeout != 3*time.Second || !c.Plain || c.URL.String() != "https://edge.example/v1/traffic" {
		t.Errorf("config %+v, URL %s", c, c.URL)
	}
	for raw, want := range map[string]string{
		"https://edge.example?format=xml":                    "neither native nor cequence",
		"https://edge.example?token=very-secret":             "unknown",
		"https://edge.example?format=native&format=cequence": "given once",
		"https://edge.example?timeout=":                      "with a value",
		"https://edge.example?timeout=0s":                    "positive time",
		"https://edge.example?batch_count=-1":                "positive number",
		"https://user:very-secret@edge.example/":             "no credentials in the URL",
		"https://user:very-secret@edge.example:port/":        "not a URL",
		"https:///path":                             "no host",
		"https://edge.example/#very-secret":         "#",
		"https://edge.example/%zz?key=very-secret":  "reading the URL",
		"https://edge.example/?key=%zz-very-secret": "options",
	} {
		_, err := Parse(raw)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "very-secret") {
			t.Errorf("Parse(%q) = %v, want one that says %q and no secret", raw, err, want)
		}
	}
	for raw, want := range map[string]string{
		"http://edge.example/":              "not encrypted",
		"https://edge.example/?auth=oauth2": "https_client_secret",
		"ftp://edge.example/":               "neither https nor http",
	} {
		c, err := Parse(raw)
		if err == nil {
			_, err = Open(c)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q) = %v, want one that says %q", raw, err, want)
		}
	}
	for _, raw := range []string{"http://127.0.0.1:1/", "http://[::1]:1/", "http://localhost:1", "http://edge.example/?plaintext=true"} {
		c, err := Parse(raw)
		if err != nil {
			t.Errorf("Parse(%q): %v", raw, err)
			continue
		}
		s, err := Open(c)
		if err != nil {
			t.Errorf("Open(%q): %v", raw, err)
			continue
		}
		if name := s.Name(); strings.ContainsAny(name, "?@") {
			t.Errorf("name %q", name)
		}
	}
}
