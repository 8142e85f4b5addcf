package deadletter_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// platform is a place that a sink delivers to.
type platform struct {
	mu      sync.Mutex
	got     []string
	poison  map[string]bool
	down    bool
	deliver func() // called by each Deliver, if it is set
}

func (p *platform) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *platform) ids() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

// sink is a sink to the platform that keeps what is refused in its box.
type sink struct {
	p   *platform
	box deadletter.Box
}

var _ collect.Sink = (*sink)(nil)

func (*sink) Name() string                          { return "platform" }
func (*sink) Position() string                      { return "" }
func (*sink) Restore(context.Context, string) error { return nil }
func (*sink) Close(context.Context) error           { return nil }
func (s *sink) Deliver(ctx context.Context, batch []*transaction.Transaction) error {
	s.p.mu.Lock()
	defer s.p.mu.Unlock()
	if s.p.deliver != nil {
		s.p.deliver()
	}
	if s.p.down {
		return errors.New("down")
	}
	var refused []deadletter.Refusal
	for _, t := range batch {
		if s.p.poison[t.ID] {
			refused = append(refused, deadletter.Refusal{Transaction: t, Reason: deadletter.Refused, Message: "no\n\x1b[31mgood" + strings.Repeat("ü", 1000)})
			continue
		}
		s.p.got = append(s.p.got, t.ID)
	}
	return s.box.Put(ctx, refused)
}

type bundle struct {
	t        testing.TB
	store    store.Store
	platform *platform
	keeper   *deadletter.Keeper
	outlet   *deadletter.Outlet
	log      *bytes.Buffer
	metrics  *prometheus.Registry
}

func setup(t *testing.T, o deadletter.Options) *bundle {
	t.Helper()
	s, err := sqlite.Open(t.Context(), "sqlite:"+t.TempDir()+"/state.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	b := &bundle{t: t, store: s, platform: &platform{poison: map[string]bool{}}, log: &bytes.Buffer{}, metrics: prometheus.NewRegistry()}
	o.Store, o.Metrics, o.Logger = s, b.metrics, slog.New(slog.NewTextHandler(b.log, nil))
	if o.Poll == 0 {
		o.Poll = 10 * time.Millisecond
	}
	if b.keeper, err = deadletter.New(o); err != nil {
		t.Fatal(err)
	}
	b.outlet = b.keeper.Outlet(&sink{b.platform, b.keeper.Box("platform")})
	return b
}

func calls(from, n int) []*transaction.Transaction {
	var out []*transaction.Transaction
	for i := from; i < from+n; i++ {
		out = append(out, &transaction.Transaction{
			ID: fmt.Sprintf("call-%d", i), APIID: "api1", Stage: "prod", Method: "POST", Path: "/pets",
			Request:  &transaction.Request{Headers: map[string][]string{"content-type": {"text/plain"}}, Body: "ü"},
			Response: &transaction.Response{Status: 201},
		})
	}
	return out
}

func (b *bundle) letters() []deadletter.Letter {
	b.t.Helper()
	page, err := b.keeper.List(b.t.Context(), deadletter.Query{Limit: 1000})
	if err != nil {
		b.t.Fatal(err)
	}
	return page.Letters
}

func (b *bundle) ids() []string {
	b.t.Helper()
	ids := []string{}
	for _, l := range b.letters() {
		ids = append(ids, l.ID)
	}
	return ids
}

// run runs the keeper until the test's end.
func (b *bundle) run() {
	b.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.keeper.Run(ctx) }()
	b.t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			b.t.Errorf("Run: %v", err)
		}
	})
}

// until waits for something to become true.
func (b *bundle) until(what string, ok func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("never: %s", what)
		}
	}
}

func TestRefusedCallsAreKeptAndReplayed(t *testing.T) {
	t.Parallel()
	b := setup(t, deadletter.Options{})
	b.platform.poison["call-1"], b.platform.poison["call-3"] = true, true
	if err := b.outlet.Deliver(t.Context(), calls(0, 5)); err != nil {
		t.Fatal(err)
	}
	got := b.letters()
	if len(got) != 2 || got[0].TransactionID != "call-3" || got[1].TransactionID != "call-1" {
		t.Fatalf("letters %+v", got)
	}
	l := got[0]
	if l.Message != strings.TrimSpace(l.Message) || strings.ContainsAny(l.Message, "\n\x1b") || len(l.Message) > 512 || !strings.HasPrefix(l.Message, "no [31mgood") {
		t.Errorf("message %q", l.Message)
	}
	if want := (deadletter.Summary{APIID: "api1", Stage: "prod", Method: "POST", Path: "/pets", Status: 201}); l.Summary != want {
		t.Errorf("summary %+v", l.Summary)
	}
	whole, err := b.keeper.Get(t.Context(), l.ID)
	if err != nil || string(whole.Transaction) != string(calls(3, 1)[0].AppendJSON(nil)) {
		t.Errorf("Get: %v, %s", err, whole.Transaction)
	}
	if strings.Contains(b.log.String(), "ü\"") || !strings.Contains(b.log.String(), "call-1") {
		t.Errorf("log %s", b.log)
	}

	b.run()
	// One is good now, the other is not.
	b.platform.set(func() { delete(b.platform.poison, "call-3") })
	if n, err := b.keeper.Replay(t.Context(), b.ids()); n != 2 || err != nil {
		t.Fatalf("Replay: %d, %v", n, err)
	}
	b.until("one left, refused twice", func() bool {
		l := b.letters()
		return len(l) == 1 && l[0].Attempts == 2 && !l[0].Replaying
	})
	if d := cmp.Diff([]string{"call-0", "call-2", "call-4", "call-3"}, b.platform.ids()); d != "" {
		t.Errorf("delivered (-want +got):\n%s", d)
	}
	if n, err := b.keeper.Discard(t.Context(), b.ids()); n != 1 || err != nil {
		t.Errorf("Discard: %d, %v", n, err)
	}
	if counts, err := b.keeper.Counts(t.Context()); len(counts) != 0 || err != nil {
		t.Errorf("Counts: %+v, %v", counts, err)
	}
	if replayed, refused := b.counter("replayed_total"), b.counter("refused_total"); replayed != 1 || refused != 3 {
		t.Errorf("replayed_total %v, refused_total %v; want 1 and 3", replayed, refused)
	}
}

// counter adds up a metric over its labels.
func (b *bundle) counter(name string) float64 {
	b.t.Helper()
	families, err := b.metrics.Gather()
	if err != nil {
		b.t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == "gatehouse_dead_letters_"+name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestFullMeansWaiting(t *testing.T) {
	t.Parallel()
	b := setup(t, deadletter.Options{MaxCount: 2})
	for i := range 4 {
		b.platform.poison[fmt.Sprintf("call-%d", i)] = true
	}
	if err := b.outlet.Deliver(t.Context(), calls(0, 2)); err != nil {
		t.Fatal(err)
	}
	var full *deadletter.FullError
	for range 3 {
		if err := b.outlet.Deliver(t.Context(), calls(2, 2)); !errors.As(err, &full) {
			t.Fatalf("delivering when the dead letters are full: %v", err)
		}
	}
	if _, err := b.keeper.Discard(t.Context(), b.ids()); err != nil {
		t.Fatal(err)
	}
	if err := b.outlet.Deliver(t.Context(), calls(2, 2)); err != nil {
		t.Errorf("after room was made: %v", err)
	}
}

// A replay waits while the collector has a batch that the sink did not take,
// and goes on when it has.
func TestReplayWaitsForTheCollector(t *testing.T) {
	t.Parallel()
	b := setup(t, deadletter.Options{})
	b.platform.poison["call-0"] = true
	if err := b.outlet.Deliver(t.Context(), calls(0, 1)); err != nil {
		t.Fatal(err)
	}
	b.platform.set(func() { b.platform.poison, b.platform.down = map[string]bool{}, true })
	if err := b.outlet.Deliver(t.Context(), calls(1, 2)); err == nil {
		t.Fatal("delivered to a platform that is down")
	}
	tried := 0
	b.platform.set(func() { b.platform.down = false; b.platform.deliver = func() { tried++ } })
	if _, err := b.keeper.Replay(t.Context(), b.ids()); err != nil {
		t.Fatal(err)
	}
	if n, err := b.keeper.Drain(t.Context()); n != 0 || err == nil {
		t.Errorf("drained %d in the middle of a batch, %v", n, err)
	}
	if tried != 0 || len(b.letters()) != 1 {
		t.Fatal("a replay came between the collector's batch and its retry")
	}
	if err := b.outlet.Deliver(t.Context(), calls(1, 2)); err != nil {
		t.Fatal(err)
	}
	if n, err := b.keeper.Drain(t.Context()); n != 1 || err != nil {
		t.Errorf("Drain: %d, %v", n, err)
	}
	if d := cmp.Diff([]string{"call-1", "call-2", "call-0"}, b.platform.ids()); d != "" {
		t.Errorf("delivered (-want +got):\n%s", d)
	}
}

// A platform that is down at the replay gets it when it is up again.
func TestReplayIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, deadletter.Options{})
	b.platform.poison["call-0"] = true
	if err := b.outlet.Deliver(t.Context(), calls(0, 1)); err != nil {
		t.Fatal(err)
	}
	var tried int
	b.platform.set(func() {
		b.platform.poison, b.platform.down = map[string]bool{}, true
		b.platform.deliver = func() { tried++ }
	})
	// Marked before Run starts, as by another process.
	if _, err := b.store.MarkLetters(t.Context(), b.ids()); err != nil {
		t.Fatal(err)
	}
	b.run()
	b.until("tried twice", func() bool {
		b.platform.mu.Lock()
		defer b.platform.mu.Unlock()
		return tried >= 2
	})
	b.platform.set(func() { b.platform.down = false })
	b.until("replayed", func() bool { return len(b.letters()) == 0 })
	if got := b.platform.ids(); len(got) != 1 || got[0] != "call-0" {
		t.Errorf("delivered %v", got)
	}
}

// Whatever is refused, crashes, is replayed and discarded in whatever order:
// each call is in the end at the platform, discarded, or a letter.
func TestNothingIsLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		s, err := sqlite.Open(t.Context(), "sqlite::memory:", store.Options{})
		if err != nil {
			r.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		p := &platform{poison: map[string]bool{}}
		var keeper *deadletter.Keeper
		var outlet *deadletter.Outlet
		start := func() {
			if keeper, err = deadletter.New(deadletter.Options{Store: s, MaxCount: 6}); err != nil {
				r.Fatal(err)
			}
			outlet = keeper.Outlet(&sink{p, keeper.Box("platform")})
		}
		start()
		next := 0
		var pending []*transaction.Transaction
		discarded := map[string]bool{}
		ids := func() (ids []string, calls []string) {
			page, err := keeper.List(t.Context(), deadletter.Query{Limit: 1000})
			if err != nil {
				r.Fatal(err)
			}
			for _, l := range page.Letters {
				ids, calls = append(ids, l.ID), append(calls, l.TransactionID)
			}
			return ids, calls
		}
		r.Repeat(map[string]func(*rapid.T){
			"deliver": func(r *rapid.T) {
				if pending == nil {
					n := rapid.IntRange(1, 4).Draw(r, "calls")
					pending = calls(next, n)
					next += n
					for _, c := range pending {
						p.poison[c.ID] = rapid.Bool().Draw(r, "poison")
					}
				}
				if outlet.Deliver(t.Context(), pending) == nil {
					pending = nil
				}
			},
			"crash after delivering": func(*rapid.T) {
				_ = outlet.Deliver(t.Context(), pending)
				start()
			},
			"platform down or up": func(*rapid.T) { p.down = !p.down },
			"mend":                func(*rapid.T) { clear(p.poison) },
			"replay": func(r *rapid.T) {
				all, _ := ids()
				if len(all) == 0 {
					return
				}
				if _, err := keeper.Replay(t.Context(), all[:rapid.IntRange(1, len(all)).Draw(r, "letters")]); err != nil {
					r.Fatal(err)
				}
				_, _ = keeper.Drain(t.Context())
			},
			"discard": func(r *rapid.T) {
				all, called := ids()
				if len(all) == 0 {
					return
				}
				i := rapid.IntRange(0, len(all)-1).Draw(r, "letter")
				if n, err := keeper.Discard(t.Context(), all[i:i+1]); n != 1 || err != nil {
					r.Fatalf("discard: %d, %v", n, err)
				}
				discarded[called[i]] = true
			},
			"": func(r *rapid.T) {
				_, called := ids()
				if len(called) > 6 {
					r.Fatalf("%d letters, limit 6", len(called))
				}
				seen := map[string]bool{}
				for _, id := range called {
					if seen[id] {
						r.Fatalf("two letters of %s", id)
					}
					seen[id] = true
				}
				for _, id := range p.got {
					seen[id] = true
				}
				waiting := map[string]bool{}
				for _, c := range pending {
					waiting[c.ID] = true
				}
				for i := range next {
					if id := fmt.Sprintf("call-%d", i); !seen[id] && !discarded[id] && !waiting[id] {
						r.Fatalf("%s is lost", id)
					}
				}
			},
		})
	})
}
