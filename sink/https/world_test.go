package https

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/sink/post"
	"github.com/gatehouse-project/gatehouse/sink/sinktest"
)

// patience is how long the sinks of the contract wait for an answer: long enough
// for a busy machine.
const patience = 3 * time.Second

const (
	clientID     = "gatehouse-client"
	clientSecret = "s3cr3t-of-the-client"
)

// platform is a protection platform: a token endpoint and an edge endpoint that
// take nothing which is not exactly as agreed.
type platform struct {
	t      *testing.T
	server *httptest.Server

	mu       sync.Mutex
	now      time.Time // the clock of tokens
	life     time.Duration
	tokens   int            // issued
	valid    map[string]any // tokens that are good; value: until (time.Time)
	requests int
	bodies   []json.RawMessage // items accepted, in order
	refuse   map[string]bool   // ids
	max      int               // bytes of an uncompressed body; 0: any
	count    int               // items; 0: any

	// answer replaces the way of a request that is in order; nil: accept.
	answer func(w http.ResponseWriter, items []json.RawMessage)
	slow   bool
	mute   bool
	half   bool
	down   bool
	deny   bool // 401 whatever the token
	hold   chan struct{}
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{t: t, now: time.Now(), life: 30 * time.Minute, valid: map[string]any{}, refuse: map[string]bool{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/auth/token", p.token)
	mux.HandleFunc("/edge/traffic", p.edge)
	p.server = httptest.NewUnstartedServer(mux)
	p.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	p.server.Start()
	t.Cleanup(p.server.Close)
	return p
}

func (p *platform) clock() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (p *platform) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

// ids are those of the accepted items.
func (p *platform) ids() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	ids := []string{}
	for _, b := range p.bodies {
		ids = append(ids, itemID(b))
	}
	return ids
}

func itemID(raw json.RawMessage) string {
	var item struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(raw, &item)
	return item.ID
}

func (p *platform) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	id, secret, ok := r.BasicAuth()
	if ok {
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
	}
	_ = r.ParseForm()
	switch {
	case r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded",
		r.PostForm.Get("grant_type") != "client_credentials", r.URL.RawQuery != "":
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":"invalid_request"}`)
		return
	case !ok || id != clientID || secret != clientSecret:
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"error":"invalid_client","error_description":"%s is not the secret"}`, secret)
		return
	}
	p.tokens++
	token := fmt.Sprintf("token-%d-%s", p.tokens, strings.Repeat("x", 20))
	p.valid[token] = p.now.Add(p.life)
	fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":%d}`, token, int(p.life.Seconds()))
}

func (p *platform) edge(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests++
	if p.hold != nil {
		hold := p.hold
		p.mu.Unlock()
		select {
		case <-hold:
		case <-r.Context().Done():
		}
		p.mu.Lock()
	}
	if p.down {
		cut(w)
		return
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	until, good := p.valid[token].(time.Time)
	if !ok || !good || p.now.After(until) || p.deny {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, "%s is not valid", token)
		return
	}
	items := p.read(w, r)
	if items == nil {
		return
	}
	if p.slow {
		p.slow = false // one answer that comes too late
		p.mu.Unlock()
		time.Sleep(patience + 300*time.Millisecond)
		p.mu.Lock()
	}
	switch {
	case p.mute:
		p.bodies = append(p.bodies, items...)
		cut(w)
	case p.half:
		type entry struct {
			ID    string `json:"id"`
			Retry bool   `json:"retry"`
		}
		rejected := []entry{}
		for i, item := range items {
			if i%2 == 0 {
				p.bodies = append(p.bodies, item)
			} else {
				rejected = append(rejected, entry{itemID(item), true})
			}
		}
		w.WriteHeader(http.StatusMultiStatus)
		_ = json.NewEncoder(w).Encode(map[string]any{"rejected": rejected})
	case p.answer != nil:
		p.answer(w, items)
	default:
		if slices.ContainsFunc(items, func(i json.RawMessage) bool { return p.refuse[itemID(i)] }) {
			http.Error(w, "schema violation", http.StatusBadRequest)
			return
		}
		p.bodies = append(p.bodies, items...)
		w.WriteHeader(http.StatusAccepted)
	}
}

// read checks the request and gives its items, or answers and gives nil.
func (p *platform) read(w http.ResponseWriter, r *http.Request) []json.RawMessage {
	if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("Content-Encoding") != "gzip" {
		p.t.Errorf("request %s, content type %q, encoding %q", r.Method, r.Header.Get("Content-Type"), r.Header.Get("Content-Encoding"))
		http.Error(w, "bad request", http.StatusBadRequest)
		return nil
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		p.t.Errorf("gzip: %v", err)
		return nil
	}
	b, err := io.ReadAll(z)
	if err != nil {
		p.t.Errorf("gzip: %v", err)
		return nil
	}
	items := []json.RawMessage{}
	if err := json.Unmarshal(b, &items); err != nil {
		p.t.Errorf("body: %v", err)
		http.Error(w, "not JSON", http.StatusBadRequest)
		return nil
	}
	if p.max > 0 && len(b) > p.max || p.count > 0 && len(items) > p.count {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return nil
	}
	return items
}

// cut ends the connection without an answer.
func cut(w http.ResponseWriter) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}

// world is a platform and a sink to it.
type world struct {
	*platform

	sink    *post.Sink
	letters *sinktest.Letters
	log     *lockedBuffer
	metrics *prometheus.Registry
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func (p *platform) config(t *testing.T, options string) Config {
	t.Helper()
	c, err := Parse(p.server.URL + "/edge/traffic" + options)
	if err != nil {
		t.Fatal(err)
	}
	c.Credentials = &post.Credentials{
		TokenURL: p.server.URL + "/auth/token", ClientID: clientID,
		Secret: func() (string, error) { return clientSecret, nil },
	}
	c.Backoff, c.Now = 5*time.Millisecond, p.clock
	return c
}

func setup(t *testing.T, options string, change func(*Config)) *world {
	t.Helper()
	w := &world{platform: newPlatform(t), letters: &sinktest.Letters{}, log: &lockedBuffer{}, metrics: prometheus.NewRegistry()}
	c := w.config(t, options)
	c.DeadLetters, c.Metrics = w.letters, w.metrics
	c.Logger = slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug - 8}))
	// The clock of the tokens stands still between changes; waits must not.
	c.Now = func() time.Time { return w.clock() }
	if change != nil {
		change(&c)
	}
	var err error
	if w.sink, err = Open(c); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.sink.Close(context.Background()) })
	return w
}

func (w *world) counter(name, label string) float64 {
	w.t.Helper()
	families, err := w.metrics.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "gatehouse_http_sink_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			if label == "" {
				return m.GetCounter().GetValue()
			}
			for _, l := range m.GetLabel() {
				if l.GetValue() == label {
					return m.GetCounter().GetValue()
				}
			}
		}
	}
	return 0
}
