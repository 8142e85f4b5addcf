package collect_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/collect"
)

// TestNothingLostNothingTwice plays random traffic to random faults and random
// crashes and holds what came out against what went in: every call is in each
// sink, exactly once where the sink restores its position, the books balance,
// and every distinct event was read exactly once by them.
func TestNothingLostNothingTwice(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlay(rt)
		var wrong []string
		// All is drawn before, because rapid wants its own goroutine and a bubble
		// has another one.
		synctest.Test(t, func(*testing.T) { wrong = p.run() })
		if len(wrong) > 0 {
			rt.Fatalf("%s\nin the play %+v", strings.Join(wrong, "\n"), p)
		}
	})
}

// play is one drawn run.
type play struct {
	groups, calls int
	seconds       int // traffic goes on for so long
	crashes       []int
	seed          uint64
	faults        faults
	flaky         float64
	pageSize      int
	lateShare     float64 // of calls that are late as a whole
	raggedShare   float64 // of calls of which one line is late
	binaryShare   float64 // of calls that come with a line of nobody
	counted       bool    // the source can count
	beyondShare   float64 // of calls that come later than the slow reading, if counted
	filtered      bool    // the calls of the second group are not handed on
	delay         time.Duration
	cfg           collect.Config
}

func drawPlay(rt *rapid.T) play {
	share := func(name string, most float64) float64 {
		if !rapid.Bool().Draw(rt, name+"?") {
			return 0
		}
		return rapid.Float64Range(0, most).Draw(rt, name)
	}
	p := play{
		counted:     rapid.Bool().Draw(rt, "counted"),
		beyondShare: share("calls later than overlap", 0.2),
		filtered:    rapid.Bool().Draw(rt, "filtered"),
		groups:      rapid.IntRange(1, 4).Draw(rt, "groups"),
		calls:       rapid.IntRange(1, 300).Draw(rt, "calls"),
		seconds:     rapid.IntRange(1, 600).Draw(rt, "seconds"),
		crashes:     rapid.SliceOfN(rapid.IntRange(1, 900_000), 0, 5).Draw(rt, "crashes (ms apart)"),
		seed:        rapid.Uint64().Draw(rt, "seed"),
		pageSize:    rapid.IntRange(3, 200).Draw(rt, "page size"),
		flaky:       share("flaky sinks and state", 0.3),
		lateShare:   share("late calls", 0.3),
		raggedShare: share("late lines", 0.3),
		binaryShare: share("lines of nobody", 0.3),
		delay:       time.Duration(rapid.IntRange(0, 300).Draw(rt, "read takes (ms)")) * time.Millisecond,
		cfg: collect.Config{
			Concurrency:            rapid.IntRange(1, 4).Draw(rt, "concurrency"),
			WindowPages:            rapid.IntRange(1, 4).Draw(rt, "window pages"),
			BatchTransactions:      rapid.IntRange(1, 50).Draw(rt, "batch"),
			MaxPendingTransactions: rapid.IntRange(1, 100).Draw(rt, "max pending"),
			MaxOpenCalls:           rapid.IntRange(3, 1000).Draw(rt, "max open"),
			CommitInterval:         time.Duration(rapid.IntRange(1, 5000).Draw(rt, "commit interval (ms)")) * time.Millisecond,
			ShutdownTimeout:        10 * time.Minute,
		},
		faults: faults{
			failed:    share("failed", 0.2),
			emptyPage: share("empty page", 0.3),
			pageTwice: share("page twice", 0.3),
			doubled:   share("doubled", 0.5),
			badToken:  share("bad token", 0.2),
			shuffled:  share("shuffled", 0.5),
		},
	}
	if !p.counted {
		p.beyondShare = 0
	} else if len(p.crashes) > 0 {
		// What was taken in before the first checkpoint is not compared.
		p.crashes[0] = max(p.crashes[0], 90_000)
	}
	return p
}

// life starts a collector on what the play has so far.
func (p play) life(l *logs, d *disk, cfg collect.Config) (*process, *collect.Collector) {
	proc := &process{disk: d, logs: l}
	deps := proc.deps()
	if p.counted {
		deps = proc.counted()
	}
	if p.filtered {
		f, err := collect.NewFilter(collect.FilterConfig{APIs: []string{"!a1b2c3d001"}})
		if err != nil {
			panic(err)
		}
		deps.Filter = f
	}
	c, err := collect.New(cfg, deps)
	if err != nil {
		panic(err)
	}
	return proc, c
}

// run plays in a bubble and tells what went wrong.
func (p play) run() (wrong []string) {
	tell := func(format string, args ...any) {
		if len(wrong) < 10 {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	l, d := newLogs(), newDisk()
	l.pageSize, l.faults = p.pageSize, p.faults
	l.random = rand.New(rand.NewPCG(p.seed, 1))
	d.random, d.flaky = rand.New(rand.NewPCG(p.seed, 2)), p.flaky

	l.delay = p.delay
	whole := fill(l, p)

	for _, ms := range p.crashes {
		crashing := p.cfg
		crashing.ShutdownTimeout = time.Millisecond
		proc, c := p.life(l, d, crashing)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = c.Run(ctx) // a crash has no error
		}()
		time.Sleep(time.Duration(ms) * time.Millisecond)
		if h := c.Health(); !h.Totals.Balanced() {
			tell("the books of the running collector do not balance: %+v", h.Totals)
		}
		proc.dead.Store(true)
		// What the dead process still does has no effect; let it end.
		cancel()
		d.quiet(func() { <-ended })
		if b := d.books(); !b.Balanced() || b.Open != 0 {
			tell("the saved books do not balance: %+v", b)
		}
	}

	_, c := p.life(l, d, p.cfg)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	time.Sleep(40 * time.Minute)
	if p.counted {
		time.Sleep(time.Hour)
	}
	h := c.Health()
	cancel()
	if err := <-ended; err != nil {
		tell("stopping: %v", err)
	}

	file, kafka := d.delivered("file"), d.delivered("kafka")
	for id := range whole {
		if file[id] == 1 && kafka[id] >= 1 {
			continue
		}
		tell("call %s is %d times in the sink that restores its position and %d times in the other", id, file[id], kafka[id])
	}
	for id := range file {
		if !whole[id] {
			tell("call %s was never made", id)
		}
	}
	b := d.books()
	if !b.Balanced() || b.Open != 0 {
		tell("the saved books do not balance: %+v", b)
	}
	if int(b.Read) != l.distinct() {
		tell("the books say %d events were read, there were %d", b.Read, l.distinct())
	}
	if b.Calls != int64(len(whole)) {
		tell("the books say %d calls, there were %d", b.Calls, len(whole))
	}
	if p.counted && (h.Check.State != collect.CheckComplete || h.Check.Missing != 0) {
		tell("the check says %+v", h.Check)
	}
	if d.changes != len(whole) {
		tell("the observer's saved count is %d of %d", d.changes, len(whole))
	}
	if h.OpenCalls != 0 || h.Totals.Open != 0 {
		tell("calls are still open: %+v", h.Totals)
	}
	return wrong
}

// fill writes the traffic of a play and returns the request ids.
func fill(l *logs, p play) map[string]bool {
	r := rand.New(rand.NewPCG(p.seed, 3))
	hit := func(share float64) bool { return r.Float64() < share }
	start := time.Now()
	whole := map[string]bool{}
	for i := range p.groups {
		l.create(groupName(i))
	}
	for n := range p.calls {
		in := r.IntN(p.groups)
		group := groupName(in)
		id := requestID(n)
		if !p.filtered || in != 1 {
			whole[id] = true
		}
		at := start.Add(time.Duration(r.IntN(p.seconds*1000)) * time.Millisecond)
		spread := time.Duration(r.IntN(400)) * time.Millisecond
		late := time.Duration(r.IntN(3000)) * time.Millisecond
		if hit(p.lateShare) {
			late = time.Duration(r.Int64N(int64(4 * time.Minute)))
		}
		ragged := -1
		if hit(p.raggedShare) {
			// Not the line with the extended request id: without it the call has
			// another id, as the logs tell it.
			ragged = 1 + r.IntN(linesPerCall-1)
		}
		var taken time.Duration
		if hit(p.beyondShare) {
			at = at.Add(3 * time.Minute)
			late = time.Duration(r.Int64N(int64(25 * time.Minute)))
			taken = time.Duration(r.Int64N(int64(late) + 1))
		}
		for i, line := range callLines(id) {
			t := at.Add(time.Duration(i) * spread)
			visible := t.Add(late)
			if i == ragged {
				visible = t.Add(max(taken, time.Duration(r.Int64N(int64(4*time.Minute)))))
			}
			l.take(group, fmt.Sprintf("stream%d", r.IntN(3)), line, t, t.Add(taken), visible)
		}
		if hit(p.binaryShare) {
			l.put(group, "stream", "\x00\x01 nobody's", at, at.Add(late))
		}
	}
	return whole
}

// quiet runs f while random failures are off.
func (d *disk) quiet(f func()) {
	d.mu.Lock()
	random := d.random
	d.random = nil
	d.mu.Unlock()
	f()
	d.mu.Lock()
	d.random = random
	d.mu.Unlock()
}
