package gateway_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/gatehouse-project/gatehouse/gateway"
)

// world is a gateway that is served, with a backend behind it and a clock.
type world struct {
	t       *testing.T
	gateway *gateway.Gateway
	server  *httptest.Server
	backend *backend
	logs    *memoryLog
	clock   *clock
}

// clock is a clock that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// memoryLog keeps events in the order in which they were put.
type memoryLog struct {
	mu     sync.Mutex
	events []loggedEvent
}

type loggedEvent struct {
	group, stream string
	gateway.LogEvent
}

func (m *memoryLog) Put(group, stream string, events []gateway.LogEvent) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range events {
		m.events = append(m.events, loggedEvent{group, stream, e})
	}
}

func (m *memoryLog) all() []loggedEvent {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]loggedEvent(nil), m.events...)
}

// text are the messages of a group, without the request ids.
func (m *memoryLog) text(group string) string {
	var b strings.Builder
	for _, e := range m.all() {
		if strings.HasPrefix(e.group, group) {
			message := e.Message
			if _, rest, ok := strings.Cut(message, ") "); ok && message[0] == '(' {
				message = rest
			}
			b.WriteString(message + "\n")
		}
	}
	return b.String()
}

// backend is what integrations and authorizers call: handlers by path.
type backend struct {
	*httptest.Server
	mux  *http.ServeMux
	mu   sync.Mutex
	seen []*http.Request
	body []string
}

func newBackend(t *testing.T) *backend {
	t.Helper()
	b := &backend{mux: http.NewServeMux()}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		b.mu.Lock()
		b.seen, b.body = append(b.seen, r), append(b.body, string(body))
		b.mu.Unlock()
		b.mux.ServeHTTP(w, r)
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *backend) answers(path, body string, headers ...string) {
	b.handles(path, http.StatusOK, body, headers...)
}

func (b *backend) handles(path string, status int, body string, headers ...string) {
	b.mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// last is the last request that came, and its body.
func (b *backend) last(t *testing.T) (*http.Request, string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.seen) == 0 {
		t.Fatal("the backend was not called")
	}
	return b.seen[len(b.seen)-1], b.body[len(b.body)-1]
}

func (b *backend) calls() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.seen)
}

// newWorld serves a configuration, in which BACKEND stands for the backend's URL.
func newWorld(t *testing.T, yaml string) *world {
	t.Helper()
	w := &world{t: t, backend: newBackend(t), logs: &memoryLog{}, clock: &clock{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}
	yaml = strings.ReplaceAll(yaml, "BACKEND", w.backend.URL)
	c, err := gateway.Parse("gateway.yaml", []byte(yaml), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	w.gateway, err = gateway.New(c, gateway.Options{
		Now: w.clock.now, Logs: func(string, string) gateway.LogWriter { return w.logs },
	})
	if err != nil {
		t.Fatal(err)
	}
	w.server = httptest.NewServer(w.gateway)
	t.Cleanup(func() {
		w.server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		w.gateway.Shutdown(ctx)
	})
	return w
}

// reply is what a caller gets.
type reply struct {
	status int
	header http.Header
	body   string
}

func (w *world) do(r *http.Request) reply {
	w.t.Helper()
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(body)}
}

// request makes a request; headers are pairs of name and value.
func (w *world) request(method, path, body string, headers ...string) *http.Request {
	w.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

func (w *world) call(method, path, body string, headers ...string) reply {
	w.t.Helper()
	return w.do(w.request(method, path, body, headers...))
}

// key is an access key of the tests.
type key struct{ id, secret, token string }

// sign signs a request as the AWS SDK does.
func (w *world) sign(r *http.Request, k key, body, region string) *http.Request {
	w.t.Helper()
	sum := sha256.Sum256([]byte(body))
	err := v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: k.id, SecretAccessKey: k.secret, SessionToken: k.token},
		r, hex.EncodeToString(sum[:]), "execute-api", region, w.clock.now())
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func (w *world) signed(k key, method, path, body string, headers ...string) reply {
	w.t.Helper()
	return w.do(w.sign(w.request(method, path, body, headers...), k, body, "us-east-1"))
}

// wants compares status, error type and body.
func (r reply) wants(t *testing.T, status int, errorType, body string) {
	t.Helper()
	if r.status != status || r.body != body || r.header.Get("X-Amzn-Errortype") != errorType {
		t.Errorf("got %d %s %s\nwant %d %s %s", r.status, r.header.Get("X-Amzn-Errortype"), r.body, status, errorType, body)
	}
}

// echoPath answers with the path and the query string as they came.
func echoPath(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.RequestURI) }
