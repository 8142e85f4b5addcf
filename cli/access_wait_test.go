package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/api"
)

// Ctrl-C stops the waiting and takes nothing back.
func TestAccessRequestIsInterrupted(t *testing.T) {
	w := newLendWorld(t)
	t.Setenv("GATEHOUSE_TOKEN", w.tokens["rosa"])
	ctx, cancel := context.WithCancel(t.Context())
	terminal, wait := run(ctx, "access", "request", "-i", "blue", "-r", "search", "-p", "role:edit", "-j", "x")
	id := terminal.find(t, regexp.MustCompile(`Request (r[a-z2-7]+): [^\n]*\nwaiting for group sre \(amir@example.com\)`))
	cancel()
	if status := wait(); status != 1 {
		t.Errorf("it ends with %d", status)
	}
	wants(t, "the end", terminal.String(), "stopped waiting for request "+id+": it stays, and is pending")
	wants(t, "the list", w.must("rosa", nil, "access", "list").out, id)
	wants(t, "cancelling", w.must("rosa", nil, "access", "cancel", id).err, id+" is cancelled")
	if s := w.as("rosa", "", "access", "cancel", id); s.status != 1 || !strings.Contains(s.err, "decided already") {
		t.Errorf("cancelling again: %+v", s)
	}
}

// before puts a proxy before the server.
func (w *lendWorld) before(handle func(proxy http.Handler, rw http.ResponseWriter, r *http.Request)) {
	w.t.Helper()
	to, err := url.Parse(w.srv.URL)
	if err != nil {
		w.t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { handle(proxy, rw, r) }))
	w.t.Cleanup(srv.Close)
	w.t.Setenv("GATEHOUSE_SERVER", srv.URL)
}

// An answer that is lost on its way makes no second request.
func TestAccessRequestWhoseAnswerIsLost(t *testing.T) {
	w := newLendWorld(t)
	var posts atomic.Int32
	w.before(func(proxy http.Handler, rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && r.URL.Path == "/api/v1/access/requests" && posts.Add(1) == 1 {
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler) // the server has it, the client does not know
		}
		proxy.ServeHTTP(rw, r)
	})
	var got result
	w.must("rosa", &got, "access", "request", "-i", "blue", "-r", "search", "-p", "role:edit", "-j", "x", "--no-wait")
	var list struct {
		Requests []api.AccessRequest `json:"requests"`
	}
	w.must("rosa", &list, "access", "list")
	if posts.Load() != 2 || len(list.Requests) != 1 || list.Requests[0].ID != got.Request.ID {
		t.Errorf("after %d tries there are %+v", posts.Load(), list.Requests)
	}
}

// A server that is away for a moment ends no waiting; one that says no does.
func TestWaitingBearsAServerThatRestarts(t *testing.T) {
	t.Parallel()
	l := &statusLine{w: io.Discard}
	tries := 0
	err := patiently(t.Context(), l, 0, func() error {
		if tries++; tries == 1 {
			return &apiError{Status: http.StatusBadGateway}
		}
		return nil
	})
	if err != nil || tries != 2 {
		t.Errorf("after %d tries: %v", tries, err)
	}
	refused := &apiError{Status: http.StatusNotFound}
	if err := patiently(t.Context(), l, 0, func() error { return refused }); !errors.Is(err, refused) {
		t.Errorf("a refusal: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := patiently(ctx, l, time.Hour, func() error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
}

func TestStatusLine(t *testing.T) {
	t.Parallel()
	var plain, drawn bytes.Buffer
	l := &statusLine{w: &plain}
	for _, text := range []string{"waiting for sre", "waiting for sre", "ready \x1b[31m"} {
		l.show(text)
	}
	l.end()
	if want := "waiting for sre\nready ?[31m\n"; plain.String() != want {
		t.Errorf("a log shows %q, want %q", plain.String(), want)
	}
	l = &statusLine{w: &drawn, terminal: true, started: time.Now()}
	l.show(strings.Repeat("long ", 50))
	l.show("short")
	l.end()
	lines := strings.Split(strings.TrimSpace(drawn.String()), "\r")
	if len(lines) != 2 || len([]rune(lines[0])) != 110 || strings.TrimSpace(lines[1]) != "0s  short" {
		t.Errorf("a terminal shows %q", drawn.String())
	}
}

func TestListsAreReadPageByPage(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
		page := api.AccessRequestPage{Requests: []api.AccessRequest{{ID: fmt.Sprint("r", from)}, {ID: fmt.Sprint("r", from+1)}}}
		if from < 4 {
			page.Next = strconv.Itoa(from + 2)
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(page)
	}))
	t.Cleanup(srv.Close)
	c := &client{server: srv.URL, http: srv.Client()}
	for limit, want := range map[int][]string{0: {"r0", "r1", "r2", "r3", "r4", "r5"}, 3: {"r0", "r1", "r2"}, 100: {"r0", "r1", "r2", "r3", "r4", "r5"}} {
		all, err := c.requests(t.Context(), url.Values{}, limit)
		var got []string
		for _, r := range all {
			got = append(got, r.ID)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("at most %d: %v, %v, want %v", limit, got, err, want)
		}
	}
}

// A question ends with the command, though nobody types.
func TestAQuestionIsCalledOff(t *testing.T) {
	t.Parallel()
	in, _ := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := newAsker(&Streams{In: in, Err: io.Discard})
	if _, err := a.ask(ctx, "? "); !errors.Is(err, errInterrupted) {
		t.Errorf("called off: %v", err)
	}
	_ = in.Close()
}
