package webhook_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/notify/webhook"
)

// clock is a time that tests move.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(c.offset.Load()))
}
func (c *clock) add(d time.Duration) { c.offset.Add(int64(d)) }

type roster struct {
	mu     sync.Mutex
	status int
	body   string
	asked  atomic.Int64
	heard  []string // schedules and tokens
}

func (r *roster) set(status int, body string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status, r.body = status, body
}

func (r *roster) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.asked.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.heard = append(r.heard, req.Method+" "+req.URL.Query().Get("schedule")+" "+req.URL.Query().Get("team")+" "+req.Header.Get("Authorization"))
	w.Header().Set("Location", "/elsewhere")
	w.WriteHeader(r.status)
	_, _ = io.WriteString(w, r.body)
}

func onCall(t *testing.T) (*webhook.OnCall, *roster, *clock, *bytes.Buffer) {
	t.Helper()
	r := &roster{status: 200, body: `{"people":["alice@example.com"]}`}
	s := httptest.NewServer(r)
	t.Cleanup(s.Close)
	c, logged := &clock{}, &bytes.Buffer{}
	o, err := webhook.NewOnCall(webhook.OnCallOptions{
		URL: s.URL + "/now?team=core", Secret: func() (string, error) { return "s3cret", nil }, MaxPeople: 3,
		Now: c.now, Logger: slog.New(slog.NewTextHandler(logged, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return o, r, c, logged
}

func TestOnCallAsksAndCaches(t *testing.T) {
	t.Parallel()
	o, r, c, _ := onCall(t)
	for range 3 {
		got, err := o.People(t.Context(), "primary & more")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff([]string{"alice@example.com"}, got); d != "" {
			t.Error(d)
		}
		got[0] = "mallory@example.com" // what is given out is a copy
	}
	if d := cmp.Diff([]string{"GET primary & more core Bearer s3cret"}, r.heard); d != "" {
		t.Error(d)
	}
	r.set(200, `{"people":["Bob@example.com","bob@example.com"," carol@example.com"]}`)
	c.add(29 * time.Second)
	if got, _ := o.People(t.Context(), "primary & more"); got[0] != "alice@example.com" {
		t.Errorf("asked again too early: %v", got)
	}
	c.add(time.Second)
	got, _ := o.People(t.Context(), "primary & more")
	if d := cmp.Diff([]string{"Bob@example.com", "carol@example.com"}, got); d != "" {
		t.Error(d)
	}
}

func TestThoseWhoAskTogetherShareARequest(t *testing.T) {
	t.Parallel()
	o, r, _, _ := onCall(t)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got, err := o.People(t.Context(), "primary"); err != nil || len(got) != 1 {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	wg.Wait()
	if n := r.asked.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

// Whatever is wrong with the answer: nobody is on call, never everybody.
func TestNobodyIsOnCallWhenTheAnswerIsBad(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"an error":        {500, `{"people":["alice@example.com"]}`},
		"a redirect":      {302, `{"people":["alice@example.com"]}`},
		"not found":       {404, ""},
		"no content":      {204, ""},
		"no JSON":         {200, "alice@example.com"},
		"nothing said":    {200, `{}`},
		"null":            {200, `{"people":null}`},
		"too many":        {200, `{"people":["a@b.c","b@b.c","c@b.c","d@b.c"]}`},
		"a name":          {200, `{"people":["alice@example.com","everyone"]}`},
		"a wildcard":      {200, `{"people":["*"]}`},
		"a display name":  {200, `{"people":["Alice <alice@example.com>"]}`},
		"an empty one":    {200, `{"people":["alice@example.com",""]}`},
		"without an end":  {200, `{"people":["` + strings.Repeat("a", 1<<20) + `@example.com"]}`},
		"something after": {200, `{"people":["alice@example.com"]} {"people":["mallory@example.com"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, r, _, _ := onCall(t)
			r.set(c.status, c.body)
			if got, err := o.People(t.Context(), "primary"); err == nil || len(got) != 0 {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
	o, r, _, _ := onCall(t)
	r.set(200, `{"people":[]}`)
	if got, err := o.People(t.Context(), "primary"); err != nil || len(got) != 0 {
		t.Errorf("nobody on call is a good answer: %v, %v", got, err)
	}
	for _, s := range []string{"", strings.Repeat("a", 300)} {
		if _, err := o.People(t.Context(), s); !errors.Is(err, webhook.ErrSchedule) {
			t.Errorf("%d characters: %v", len(s), err)
		}
	}
}

func TestAnOutageIsReportedOnce(t *testing.T) {
	t.Parallel()
	o, r, c, logged := onCall(t)
	for range 3 {
		r.set(503, "")
		for range 10 {
			_, _ = o.People(t.Context(), "primary")
			_, _ = o.People(t.Context(), "secondary")
			c.add(6 * time.Second)
		}
		r.set(200, `{"people":[]}`)
		for range 3 {
			if _, err := o.People(t.Context(), "primary"); err != nil {
				t.Error(err)
			}
			c.add(time.Minute)
		}
	}
	text := logged.String()
	if down, up := strings.Count(text, "level=ERROR"), strings.Count(text, "level=INFO"); down != 4 || up != 3 {
		// The second schedule is not asked for while the address is up: one long outage.
		t.Errorf("%d outages and %d ends reported, want 4 and 3:\n%s", down, up, text)
	}
	if strings.Contains(text, "s3cret") {
		t.Error("the log shows the token")
	}
}
