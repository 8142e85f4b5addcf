package spool_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/spool"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// TestWhatWasAcknowledgedIsDelivered pushes calls in pieces, late, twice and to
// several groups at once, while writes fail, are done though they seem to have
// failed, and the process dies between any two of them. A sender that gets no
// acknowledgement sends again. Every call must come out exactly once, every event
// must be in the books once, and the spool must be empty in the end.
func TestWhatWasAcknowledgedIsDelivered(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := play{
			calls:   rapid.IntRange(1, 120).Draw(rt, "calls"),
			groups:  rapid.IntRange(1, 3).Draw(rt, "groups"),
			seed:    rapid.Uint64().Draw(rt, "seed"),
			failed:  rapid.SampledFrom([]float64{0, 0.05, 0.15}).Draw(rt, "failed"),
			lost:    rapid.SampledFrom([]float64{0, 0.05, 0.15}).Draw(rt, "lost"),
			slow:    rapid.SampledFrom([]time.Duration{0, time.Second, 5 * time.Second}).Draw(rt, "slow"),
			crashes: rapid.SliceOfN(rapid.IntRange(1, 60_000), 0, 6).Draw(rt, "crashes (ms apart)"),
			again:   rapid.SampledFrom([]float64{0, 0.3}).Draw(rt, "again"),
		}
		var wrong []string
		synctest.Test(t, func(*testing.T) { wrong = p.run() })
		if len(wrong) > 0 {
			rt.Fatalf("%s\nin the play %+v", strings.Join(wrong, "\n"), p)
		}
	})
}

type play struct {
	calls, groups int
	seed          uint64
	failed, lost  float64
	slow          time.Duration
	crashes       []int
	again         float64
}

// life is one run of the product.
type life struct {
	process *process
	spool   *spool.Spool
	stop    context.CancelFunc
	ended   chan struct{}
	c       *collect.Collector
}

func begin(d *disk) (*life, error) {
	p := &process{d: d}
	l := &life{process: p, ended: make(chan struct{})}
	news := func() {
		if l.c != nil {
			l.c.Rediscover()
		}
	}
	var err error
	if l.spool, err = spool.Open(context.Background(), p, spool.Config{News: news}); err != nil {
		return nil, err
	}
	l.c, err = collect.New(collect.Config{ShutdownTimeout: time.Millisecond, DiscoveryInterval: 10 * time.Second, Idle: 10 * time.Minute}, collect.Deps{
		Source: collect.Join(l.spool, nil, nil), State: l.spool.State(p), Sinks: []collect.Sink{&sink{p}},
	})
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	trimmed := make(chan struct{})
	go func() { defer close(trimmed); _ = l.spool.Run(ctx) }()
	go func() {
		defer close(l.ended)
		_ = l.c.Run(ctx) // a crash has no error
		<-trimmed
	}()
	return l, nil
}

func (l *life) end() {
	l.process.crash()
	l.stop()
	<-l.ended
}

func (p play) run() (wrong []string) {
	tell := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	d := newDisk(p.seed)
	d.failed, d.lost, d.slow = p.failed, p.lost, p.slow
	r := rand.New(rand.NewPCG(p.seed, 1))
	now, err := begin(d)
	if err != nil {
		return []string{err.Error()}
	}
	current := make(chan *life, 1)
	current <- now

	// The pieces: half a call or a whole one, hours old or new. The second half
	// comes within seconds of the first, as subscriptions push one stream in
	// order.
	var pieces []spool.Batch
	events := 0
	for n := range p.calls {
		age := time.Duration(r.Int64N(int64(2 * time.Hour)))
		if r.IntN(2) == 0 {
			age = time.Duration(r.Int64N(int64(10 * time.Second)))
		}
		all := callEvents(n, time.Now().Add(-age))
		events += len(all)
		group := groupOf(r.IntN(p.groups))
		cut := r.IntN(len(all) + 1)
		for _, part := range [][]transaction.Event{all[:cut], all[cut:]} {
			if len(part) > 0 {
				pieces = append(pieces, spool.Batch{Group: group, Events: part})
			}
		}
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for len(pieces) > 0 {
			n := min(len(pieces), 1+r.IntN(4))
			for {
				l := <-current
				current <- l
				// A sender gives up an attempt that takes too long and does not
				// know what became of it.
				ctx, cancel := context.WithTimeout(context.Background(), 25*time.Second)
				err := l.spool.Append(ctx, pieces[:n]...)
				cancel()
				if err == nil && r.Float64() >= p.again {
					break
				}
				time.Sleep(time.Duration(r.IntN(300)) * time.Millisecond)
			}
			pieces = slices.Delete(pieces, 0, n)
			time.Sleep(time.Duration(r.IntN(500)) * time.Millisecond)
		}
	}()
	for _, ms := range p.crashes {
		time.Sleep(time.Duration(ms) * time.Millisecond)
		l := <-current
		l.end()
		if b := d.books(); !b.Balanced() {
			tell("the saved books do not balance: %+v", b)
		}
		if l, err = begin(d); err != nil {
			return []string{err.Error()}
		}
		current <- l
	}
	<-sent
	d.mu.Lock()
	d.failed, d.lost = 0, 0
	d.mu.Unlock()
	time.Sleep(20 * time.Minute)
	l := <-current
	l.end()
	// Blobs whose writing seemed to fail are found by the next start.
	if l, err = begin(d); err != nil {
		return []string{err.Error()}
	}
	time.Sleep(30 * time.Minute)
	l.end()

	delivered := d.delivered()
	for n := range p.calls {
		if got := delivered[requestID(n)]; got != 1 {
			tell("call %d was delivered %d times", n, got)
		}
	}
	b := d.books()
	// Where writing fails for longer than Idle, the halves of a call part.
	parted := p.failed+p.lost < 0.15 && b.Incomplete != 0
	if !b.Balanced() || int(b.Read) != events || int(b.Calls) != p.calls || parted {
		tell("the books of %d events and %d calls: %+v", events, p.calls, b)
	}
	if n := d.eventBlobs(); n != 0 {
		tell("%d blobs are left though all was delivered", n)
	}
	return wrong
}
