package notify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/notify"
)

// sender is a channel whose behaviour a test sets.
type sender struct {
	mu   sync.Mutex
	got  []notify.Delivery
	send func(ctx context.Context, d notify.Delivery) error
}

func (s *sender) Send(ctx context.Context, d notify.Delivery) (notify.Receipt, error) {
	s.mu.Lock()
	s.got = append(s.got, d)
	f := s.send
	s.mu.Unlock()
	if f != nil {
		if err := f(ctx, d); err != nil {
			return notify.Receipt{}, err
		}
	}
	return notify.Receipt{ID: "1"}, nil
}

func (s *sender) set(f func(context.Context, notify.Delivery) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.send = f
}

func (s *sender) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.got)
}

func router(t *testing.T, o notify.Options) *notify.Router {
	t.Helper()
	r, err := notify.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPlan(t *testing.T) {
	t.Parallel()
	s := &sender{}
	r := router(t, notify.Options{Channels: []notify.Channel{
		{Name: notify.Slack, Sender: s, Kinds: []string{"request.*"}, Always: []string{"C1"}, AlwaysKinds: []string{"request.created", "grant.late"}, Updates: true},
		{Name: notify.Email, Sender: s, Kinds: []string{"grant.*"}},
		{Name: "webhook:siem", Sender: s, Always: []string{"siem"}},
		{Name: "webhook:ops", Sender: s, Always: []string{"ops"}, AlwaysKinds: []string{"breakglass.*"}},
	}})
	alice, bob := notify.Recipient{Email: "alice@example.com", SlackID: "U1"}, notify.Recipient{Email: "bob@example.com"}
	for name, c := range map[string]struct {
		notice notify.Notice
		want   []string
	}{
		"to decide": {
			notify.Notice{Kind: "request.created", To: []notify.Recipient{alice, bob}},
			[]string{"slack U1", "slack bob@example.com", "slack C1", "webhook:siem siem"},
		},
		"the same person and place once": {
			notify.Notice{Kind: "request.created", To: []notify.Recipient{bob, {Email: "Bob@Example.com"}, {Channel: "C1"}}},
			[]string{"slack bob@example.com", "slack C1", "webhook:siem siem"},
		},
		"decided: the messages before it change": {
			notify.Notice{Kind: "request.denied", Thread: "r1", To: []notify.Recipient{bob}},
			[]string{"slack bob@example.com", "slack ", "webhook:siem siem"},
		},
		"by its kind to e-mail alone": {
			notify.Notice{Kind: "grant.ready", Thread: "r1", To: []notify.Recipient{alice}},
			[]string{"email alice@example.com", "webhook:siem siem"},
		},
		"loud: everywhere": {
			notify.Notice{Kind: "panic.used", Loud: true, To: []notify.Recipient{bob}},
			[]string{"slack bob@example.com", "slack C1", "email bob@example.com", "webhook:siem siem", "webhook:ops ops"},
		},
		"a webhook and a channel named on purpose": {
			notify.Notice{Kind: "grant.ready", To: []notify.Recipient{{Webhook: "ops"}, {Channel: "C2"}, {Webhook: "gone"}}},
			[]string{"slack C2", "webhook:siem siem", "webhook:ops ops"},
		},
		"nobody": {notify.Notice{Kind: "other"}, []string{"webhook:siem siem"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			keys := map[string]bool{}
			for _, d := range r.Plan(c.notice) {
				got = append(got, d.Channel+" "+d.Address)
				keys[d.Key()] = true
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			if len(keys) != len(got) {
				t.Error("two deliveries have one key")
			}
		})
	}
	if s.count() != 0 {
		t.Error("planning sent something")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	s := &sender{}
	for name, cs := range map[string][]notify.Channel{
		"an unknown channel":        {{Name: "pager", Sender: s}},
		"a webhook without a name":  {{Name: "webhook:", Sender: s}},
		"a channel without sender":  {{Name: notify.Slack}},
		"a channel twice":           {{Name: notify.Slack, Sender: s}, {Name: notify.Slack, Sender: s}},
		"a kind that can never fit": {{Name: notify.Slack, Sender: s, Kinds: []string{"Request.Created"}}},
	} {
		if _, err := notify.New(notify.Options{Channels: cs}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func delivery(id, channel string) notify.Delivery {
	return notify.Delivery{Channel: channel, Address: "a", Notice: notify.Notice{ID: id, Kind: "grant.ready"}}
}

func TestDeliverFillsTheReceipt(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r := router(t, notify.Options{
		Channels: []notify.Channel{{Name: notify.Slack, Sender: &sender{}}}, Metrics: registry, Now: func() time.Time { return now },
	})
	d := delivery("1", notify.Slack)
	d.Notice.Time = now.Add(-2 * time.Second)
	got, err := r.Deliver(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	want := notify.Receipt{Channel: notify.Slack, Address: "a", Kind: "grant.ready", ID: "1", Time: now}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if got := series(t, registry, "gatehouse_notify_sent_total"); got["slack"] != 1 {
		t.Errorf("sent: %v", got)
	}
	if got := series(t, registry, "gatehouse_notify_failed_total"); len(got) != 3 {
		t.Errorf("failures: %v; want a series for each class from the beginning", got)
	}
}

// series gives the values of a counter or gauge by the values of its labels.
func series(t *testing.T, r prometheus.Gatherer, name string) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			out[strings.Join(labels, " ")] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return out
}

// A worker whose lease ran out and the one that took over deliver the same row.
func TestTheSameDeliveryIsSentOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sender{send: func(context.Context, notify.Delivery) error { time.Sleep(time.Second); return nil }}
		r := router(t, notify.Options{Channels: []notify.Channel{{Name: notify.Slack, Sender: s}}})
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if got, err := r.Deliver(t.Context(), delivery("1", notify.Slack)); err != nil || got.ID != "1" {
					t.Errorf("%+v, %v", got, err)
				}
			})
		}
		wg.Wait()
		if _, err := r.Deliver(t.Context(), delivery("1", notify.Slack)); err != nil {
			t.Error(err)
		}
		if s.count() != 1 {
			t.Errorf("sent %d times", s.count())
		}
		if _, err := r.Deliver(t.Context(), delivery("2", notify.Slack)); err != nil || s.count() != 2 {
			t.Errorf("another notice: sent %d times in all, %v", s.count(), err)
		}
	})
}

func TestAFailureIsTriedAgain(t *testing.T) {
	t.Parallel()
	s := &sender{}
	r := router(t, notify.Options{Channels: []notify.Channel{{Name: notify.Slack, Sender: s}}})
	s.set(func(context.Context, notify.Delivery) error { return errors.New("no") })
	_, err := r.Deliver(t.Context(), delivery("1", notify.Slack))
	var e *notify.Error
	if !errors.As(err, &e) || e.Class != notify.Temporary || e.Channel != notify.Slack {
		t.Fatalf("got %v, want a temporary failure of the channel", err)
	}
	s.set(nil)
	if _, err := r.Deliver(t.Context(), delivery("1", notify.Slack)); err != nil {
		t.Error(err)
	}
}

func TestADeliveryOfAChannelThatIsGoneIsPermanent(t *testing.T) {
	t.Parallel()
	r := router(t, notify.Options{})
	if _, err := r.Deliver(t.Context(), delivery("1", "webhook:old")); !notify.IsPermanent(err) {
		t.Errorf("got %v", err)
	}
}

// One channel hangs and fails; the other does not notice, and the first is asked
// ever less until it is back.
func TestAnOutageOfOneChannel(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down, up := &sender{}, &sender{}
		registry := prometheus.NewPedanticRegistry()
		var logged bytes.Buffer // its handler has a lock
		r := router(t, notify.Options{
			Timeout: 10 * time.Second, Metrics: registry, Logger: slog.New(slog.NewTextHandler(&logged, nil)),
			Channels: []notify.Channel{{Name: notify.Slack, Sender: down}, {Name: notify.Email, Sender: up}},
		})
		down.set(func(ctx context.Context, _ notify.Delivery) error { <-ctx.Done(); return ctx.Err() })

		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				if _, err := r.Deliver(t.Context(), delivery(fmt.Sprint(i), notify.Slack)); err == nil || notify.IsPermanent(err) {
					t.Errorf("got %v", err)
				}
			})
		}
		start := time.Now()
		for i := range 50 {
			if _, err := r.Deliver(t.Context(), delivery(fmt.Sprint(i), notify.Email)); err != nil {
				t.Error(err)
			}
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("the other channel waited for %s", took)
		}
		wg.Wait()
		if took := time.Since(start); took > 15*time.Second {
			t.Errorf("50 workers were held for %s", took)
		}
		// An hour of retries every second: the breaker lets few of them through.
		before := down.count()
		for i := range 3600 {
			_, _ = r.Deliver(t.Context(), delivery(fmt.Sprint("r", i), notify.Slack))
			time.Sleep(time.Second)
		}
		if asked := down.count() - before; asked > 60 {
			t.Errorf("a channel that is down was asked %d times in an hour", asked)
		}
		if got := series(t, registry, "gatehouse_notify_breaker_open"); got["slack"] != 1 || got["email"] != 0 {
			t.Errorf("breakers: %v", got)
		}
		down.set(nil)
		time.Sleep(6 * time.Minute)
		for i := range 10 {
			if _, err := r.Deliver(t.Context(), delivery(fmt.Sprint("b", i), notify.Slack)); err != nil {
				t.Errorf("after the outage: %v", err)
			}
		}
		if text := logged.String(); strings.Count(text, "WARN") != 1 || strings.Count(text, "INFO") != 1 {
			t.Errorf("an outage is one warning and one line when it is over:\n%s", text)
		}
	})
}

func TestRetryAfterHoldsTheChannelBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &sender{}
		r := router(t, notify.Options{Channels: []notify.Channel{{Name: notify.Slack, Sender: s}}})
		s.set(func(context.Context, notify.Delivery) error {
			return &notify.Error{Channel: notify.Slack, Class: notify.Temporary, After: 30 * time.Second, Err: errors.New("limited")}
		})
		if _, err := r.Deliver(t.Context(), delivery("1", notify.Slack)); notify.RetryAfter(err) != 30*time.Second {
			t.Fatalf("got %v", err)
		}
		s.set(nil)
		time.Sleep(10 * time.Second)
		_, err := r.Deliver(t.Context(), delivery("2", notify.Slack))
		if notify.RetryAfter(err) != 20*time.Second || s.count() != 1 {
			t.Errorf("got %v after %d requests, want 20 s to go and no second request", err, s.count())
		}
		time.Sleep(20 * time.Second)
		if _, err := r.Deliver(t.Context(), delivery("2", notify.Slack)); err != nil {
			t.Error(err)
		}
	})
}

// Addresses that are gone say nothing of the channel.
func TestPermanentFailuresDoNotBreakAChannel(t *testing.T) {
	t.Parallel()
	s := &sender{send: func(context.Context, notify.Delivery) error {
		return &notify.Error{Channel: notify.Slack, Class: notify.Permanent, Err: errors.New("gone")}
	}}
	r := router(t, notify.Options{Channels: []notify.Channel{{Name: notify.Slack, Sender: s}}})
	for i := range 20 {
		if _, err := r.Deliver(t.Context(), delivery(fmt.Sprint(i), notify.Slack)); !notify.IsPermanent(err) {
			t.Errorf("got %v", err)
		}
	}
	if s.count() != 20 {
		t.Errorf("asked %d times, want 20", s.count())
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain":                      "plain",
		" a\r\nb\tc ":                "a b c",
		"a\x00b\x1b[31mc":            "ab[31mc",
		"user\u202Egnp.exe":          "usergnp.exe",
		"zero\u200Bwidth":            "zerowidth",
		"line\u2028break":            "line break",
		"bad\xffbyte":                "bad\uFFFDbyte",
		"Bcc: x@example.com\r\nmore": "Bcc: x@example.com more",
	} {
		if got := notify.Clean(in, false); got != want {
			t.Errorf("Clean(%q) = %q, want %q", in, got, want)
		}
	}
	if got := notify.Clean("a\r\nb", true); got != "a\nb" {
		t.Errorf("with lines: %q", got)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, n := rapid.String().Draw(t, "s"), rapid.IntRange(1, 20).Draw(t, "n")
		got := notify.Cut(s, n)
		switch count := utf8.RuneCountInString(s); {
		case count <= n && got != s:
			t.Errorf("Cut(%q, %d) = %q, though there was room", s, n, got)
		case count > n && (utf8.RuneCountInString(got) != n || !strings.HasSuffix(got, "…") || !strings.HasPrefix(s, strings.TrimSuffix(got, "…"))):
			t.Errorf("Cut(%q, %d) = %q", s, n, got)
		}
	})
}

func TestWebURL(t *testing.T) {
	t.Parallel()
	for in, ok := range map[string]bool{
		"https://gatehouse.example.com/requests/1?x=1#y":   true,
		"http://127.0.0.1:8321/":                           true,
		"javascript:alert(1)":                              false,
		"data:text/html,x":                                 false,
		"//example.com/":                                   false,
		"/path":                                            false,
		"https://user:pass@example.com/":                   false,
		"https://example.com/\r\nX: y":                     false,
		"https://example.com/ y":                           false,
		"https://exam\u202Eple.com/":                       false,
		"https://example.com/" + strings.Repeat("a", 4000): false,
		"": false,
	} {
		if got := notify.WebURL(in); (got != "") != ok {
			t.Errorf("WebURL(%.60q) = %.60q", in, got)
		}
	}
}

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "soon": 0, "99999999999": time.Hour,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute,
		now.Add(-time.Hour).Format(http.TimeFormat):  0,
	} {
		if got := notify.ParseRetryAfter(http.Header{"Retry-After": {in}}, now); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
