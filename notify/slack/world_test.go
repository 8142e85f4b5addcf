package slack_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/notify/slack"
)

const (
	botToken = "xoxb-t0ken"
	signing  = "8f742231b10e8888abcd99yyyzzz85a5"
)

// call is a request that the fake Slack got.
type call struct {
	method string
	form   url.Values // or of the JSON body: its text under "json"
}

// world is a Slack workspace, and Gatehouse's app in it.
type world struct {
	app    *slack.App
	url    string
	logged *buffer
	clock  atomic.Int64 // nanoseconds after the start

	mu      sync.Mutex
	calls   []call
	users   map[string]string // JSON by id
	answers map[string]string // by method: what Slack says instead
	after   string            // Retry-After of the next answers; empty: none
	status  int
	ts      int
}

// buffer is a log that is safe for concurrent use.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func (w *world) now() time.Time { return start.Add(time.Duration(w.clock.Load())) }

func (w *world) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(w.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// member is the JSON of a user; more overrides or adds fields.
func member(id, email, more string) string {
	s := fmt.Sprintf(`{"id":%q,"team_id":"T1","real_name":"cto@example.com","is_email_confirmed":true,"profile":{"email":%q,"display_name":"cto@example.com"}`, id, email)
	if more != "" {
		s += "," + more
	}
	return s + "}"
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		logged: &buffer{}, answers: map[string]string{},
		users: map[string]string{"UALICE": member("UALICE", "alice@example.com", ""), "UBOB": member("UBOB", "bob@example.com", "")},
	}
	s := httptest.NewServer(w)
	t.Cleanup(s.Close)
	w.url = s.URL + "/api/"
	var err error
	w.app, err = slack.New(slack.Options{
		Token: func() (string, error) { return botToken, nil }, API: s.URL + "/api/", Interactive: true, Now: w.now, Logger: w.logger(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if text := w.logged.String(); strings.Contains(text, botToken) || strings.Contains(text, signing) {
			t.Errorf("the log shows a secret:\n%s", text)
		}
	})
	return w
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	method := strings.TrimPrefix(r.URL.Path, "/api/")
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		form = url.Values{"json": {string(body)}}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if form.Get("token") != botToken && r.Header.Get("Authorization") != "Bearer "+botToken {
		fmt.Fprint(rw, `{"ok":false,"error":"invalid_auth"}`)
		return
	}
	w.calls = append(w.calls, call{method, form})
	if w.after != "" {
		rw.Header().Set("Retry-After", w.after)
		rw.WriteHeader(http.StatusTooManyRequests)
		return
	}
	if w.status != 0 {
		rw.WriteHeader(w.status)
		return
	}
	if a := w.answers[method]; a != "" {
		fmt.Fprint(rw, a)
		return
	}
	switch method {
	case "auth.test":
		fmt.Fprint(rw, `{"ok":true,"team_id":"T1","user_id":"UAPP"}`)
	case "users.lookupByEmail":
		for _, u := range w.users {
			if strings.Contains(u, `"email":"`+strings.ToLower(form.Get("email"))+`"`) {
				fmt.Fprintf(rw, `{"ok":true,"user":%s}`, u)
				return
			}
		}
		fmt.Fprint(rw, `{"ok":false,"error":"users_not_found"}`)
	case "users.info":
		if u := w.users[form.Get("user")]; u != "" {
			fmt.Fprintf(rw, `{"ok":true,"user":%s}`, u)
			return
		}
		fmt.Fprint(rw, `{"ok":false,"error":"user_not_found"}`)
	case "chat.postMessage", "chat.update":
		channel := form.Get("channel")
		if strings.HasPrefix(channel, "U") {
			channel = "D" + channel[1:]
		}
		ts := form.Get("ts")
		if ts == "" {
			w.ts++
			ts = fmt.Sprintf("17000000%02d.000100", w.ts)
		}
		fmt.Fprintf(rw, `{"ok":true,"channel":%q,"ts":%q}`, channel, ts)
	case "chat.postEphemeral":
		fmt.Fprint(rw, `{"ok":true,"message_ts":"1.2"}`)
	default:
		fmt.Fprint(rw, `{"ok":true}`)
	}
}

// say sets what Slack answers to a method; empty: what it usually does.
func (w *world) say(method, answer string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answers[method] = answer
}

// took gives the calls of a method so far.
func (w *world) took(method string) []url.Values {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []url.Values
	for _, c := range w.calls {
		if c.method == method {
			out = append(out, c.form)
		}
	}
	return out
}

// decider decides as a test says.
type decider struct {
	mu      sync.Mutex
	got     []slack.Decision
	outcome slack.Outcome
	err     error
}

func (d *decider) Decide(_ context.Context, x slack.Decision) (slack.Outcome, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.got = append(d.got, x)
	return d.outcome, d.err
}

func (d *decider) decisions() []slack.Decision {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]slack.Decision(nil), d.got...)
}

// catalog lists what a test says.
type catalog struct {
	entries []slack.Entry
	asked   []string
}

func (c *catalog) Mine(_ context.Context, email string) ([]slack.Entry, error) {
	c.asked = append(c.asked, email)
	return c.entries, nil
}

// desk is the endpoint for a world.
type desk struct {
	*world
	decider *decider
	catalog *catalog
	in      *slack.Interactions
	stop    func() // ends Run, having done what was clicked
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	w := newWorld(t)
	d := &desk{world: w, decider: &decider{outcome: slack.Outcome{Status: slack.Done}}, catalog: &catalog{}}
	var err error
	d.in, err = slack.NewInteractions(slack.InteractionOptions{
		App: w.app, Secret: func() (string, error) { return signing, nil }, Decider: d.decider, Catalog: d.catalog,
		RequestURL: "https://gatehouse.example.com/request", Logger: w.logger(), Now: w.now,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = d.in.Run(ctx) })
	d.stop = func() { cancel(); wg.Wait() }
	t.Cleanup(d.stop)
	return d
}

// sign gives the headers of a request as Slack makes them.
func sign(secret string, at time.Time, body string) http.Header {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + stamp + ":" + body))
	return http.Header{
		"Content-Type":              {"application/x-www-form-urlencoded"},
		"X-Slack-Request-Timestamp": {stamp},
		"X-Slack-Signature":         {"v0=" + hex.EncodeToString(mac.Sum(nil))},
	}
}

func (d *desk) post(path string, h http.Header, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header = h
	rec := httptest.NewRecorder()
	d.in.ServeHTTP(rec, r)
	return rec
}

// interact posts a payload that Slack signed.
func (d *desk) interact(payload string) *httptest.ResponseRecorder {
	body := url.Values{"payload": {payload}}.Encode()
	return d.post(slack.InteractionsPath, sign(signing, d.now(), body), body)
}

// clicked is the payload of a button.
func clicked(user, action, value string) string {
	b, _ := json.Marshal(map[string]any{
		"type": "block_actions", "trigger_id": "13345224609.738474920", "team": map[string]any{"id": "T1"},
		"user":      map[string]any{"id": user, "name": "cto@example.com", "username": "cto@example.com"},
		"container": map[string]any{"channel_id": "C1", "message_ts": "1700000001.000100"},
		"message": map[string]any{"blocks": []any{
			map[string]any{"type": "header", "block_id": "h", "text": map[string]any{"type": "plain_text", "text": "A &amp; B"}},
			map[string]any{"type": "rich_text", "block_id": "until", "elements": []any{}},
			map[string]any{"type": "actions", "block_id": "actions", "elements": []any{map[string]any{"type": "button", "action_id": "approve:0", "value": value, "text": map[string]any{"type": "plain_text", "text": "Approve"}}}},
		}},
		"actions": []any{map[string]any{"type": "button", "action_id": action, "block_id": "actions", "value": value}},
	})
	return string(b)
}
