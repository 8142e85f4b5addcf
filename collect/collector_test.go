package collect_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/collect"
)

// running is a collector that runs until stop.
type running struct {
	*collect.Collector
	cancel context.CancelFunc
	ended  chan error
	log    *bytes.Buffer
}

func start(t *testing.T, cfg collect.Config, deps collect.Deps) *running {
	t.Helper()
	var log bytes.Buffer
	deps.Log = slog.New(slog.NewTextHandler(&log, nil))
	c, err := collect.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r := &running{Collector: c, cancel: cancel, ended: make(chan error, 1), log: &log}
	go func() { r.ended <- c.Run(ctx) }()
	return r
}

func (r *running) stop(t *testing.T) {
	t.Helper()
	r.cancel()
	if err := <-r.ended; err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// warnings counts the warnings that were logged with a word in them. Call it
// after stop.
func (r *running) warnings(word string) int {
	n := 0
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, "level=WARN") && strings.Contains(line, word) {
			n++
		}
	}
	return n
}

func (r *running) group(t *testing.T, name string) collect.GroupHealth {
	t.Helper()
	for _, g := range r.Health().Groups {
		if g.Group.Name == name {
			return g
		}
	}
	t.Fatalf("health knows no group %s", name)
	return collect.GroupHealth{}
}

func wantCalls(t *testing.T, d *disk, sink string, n int) {
	t.Helper()
	got := d.delivered(sink)
	for i := range n {
		if got[requestID(i)] != 1 {
			t.Errorf("call %d is %d times in sink %s", i, got[requestID(i)], sink)
		}
	}
	if len(got) != n {
		t.Errorf("%d calls are in sink %s, want %d", len(got), sink, n)
	}
}

func TestEveryEventIsReadTwiceAtMost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		p := &process{disk: d, logs: l}
		for g := range 3 {
			l.create(groupName(g))
		}
		const seconds = 1800
		for i := range seconds {
			l.call(groupName(i%3), i, time.Now().Add(time.Duration(i)*time.Second))
		}
		registry := prometheus.NewRegistry()
		deps := p.deps()
		deps.Metrics = registry
		r := start(t, collect.Config{}, deps)
		time.Sleep(seconds*time.Second + 8*time.Minute)
		h := r.Health()
		if h.Lag > 25*time.Second {
			t.Errorf("the lag of a collector that keeps up is %v", h.Lag)
		}
		wantMetrics(t, registry, map[string]int{
			"gatehouse_collect_lag_seconds":         1,
			"gatehouse_collect_events_total":        1,
			"gatehouse_collect_sink_failures_total": 2,
		})
		r.stop(t)
		wantCalls(t, d, "file", seconds)
		amplification := float64(l.onWire) / float64(l.distinct())
		if amplification > 2.05 {
			t.Errorf("every event was read %.3f times", amplification)
		}
		t.Logf("every event was read %.3f times", amplification)
	})
}

// wantMetrics checks that there are so many series under each name.
func wantMetrics(t *testing.T, registry *prometheus.Registry, want map[string]int) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, f := range families {
		got[f.GetName()] = len(f.GetMetric())
	}
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%d series of %s, want %d", got[name], name, n)
		}
	}
}

func TestBackFillReadsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		p := &process{disk: d, logs: l}
		began := time.Now()
		const calls = 2000
		for i := range calls {
			l.call(groupName(0), i, began.Add(time.Duration(i)*10*time.Second))
		}
		time.Sleep(6 * time.Hour)
		r := start(t, collect.Config{Since: began}, p.deps())
		time.Sleep(2 * time.Minute)
		r.stop(t)
		wantCalls(t, d, "file", calls)
		if n := float64(l.onWire) / float64(l.distinct()); n > 1.1 {
			t.Errorf("catching up, every event was read %.3f times", n)
		}
		if n := l.readsOf(groupName(0)); n > 100 {
			t.Errorf("%d requests for %d pages of events", n, l.distinct()/l.pageSize)
		}
	})
}

func TestBusyGroupDoesNotStarveQuietOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		l.delay, l.pageSize = 200*time.Millisecond, 8
		p := &process{disk: d, logs: l}
		const quiet = 100
		began := time.Now()
		// The busy group has far more than can be read in the time of the test.
		for i := range 20_000 {
			l.call(groupName(0), i, began.Add(time.Duration(i)*10*time.Millisecond))
		}
		for g := 1; g <= quiet; g++ {
			l.call(groupName(g), 1_000_000+g, began.Add(time.Second))
		}
		time.Sleep(4 * time.Minute)
		// Two at a time and five a second each: 10 requests a second.
		r := start(t, collect.Config{Concurrency: 2}, p.deps())
		time.Sleep(time.Minute)
		busy := r.group(t, groupName(0))
		if busy.State != "catching up" {
			t.Errorf("the busy group is %q", busy.State)
		}
		least := 1 << 30
		for g := 1; g <= quiet; g++ {
			least = min(least, l.readsOf(groupName(g)))
		}
		if least < 2 {
			t.Errorf("a quiet group was read %d times in a minute beside a busy one", least)
		}
		got := d.delivered("file")
		for g := 1; g <= quiet; g++ {
			if got[requestID(1_000_000+g)] != 1 {
				t.Errorf("the call of quiet group %d was not delivered within a minute", g)
			}
		}
		if n := l.readsOf(groupName(0)); n < 200 {
			t.Errorf("of 600 requests, the busy group had only %d", n)
		}
		// The backlog is left behind; what was being delivered at this moment, if
		// anything, is not this test's matter.
		p.dead.Store(true)
		r.cancel()
		if err := <-r.ended; err != nil {
			t.Log(err)
		}
	})
}

func TestSinkThatIsGoneHoldsTheCursor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		p := &process{disk: d, logs: l}
		const calls = 3000
		began := time.Now()
		for i := range calls {
			l.call(groupName(0), i, began.Add(time.Duration(i)*200*time.Millisecond))
		}
		cfg := collect.Config{MaxPendingTransactions: 200, BatchTransactions: 50}
		r := start(t, cfg, p.deps())
		time.Sleep(time.Minute)
		d.setFail("kafka", errors.New("no broker answers"))
		time.Sleep(5 * time.Second)
		held := r.group(t, groupName(0)).Cursor
		time.Sleep(10 * time.Minute)
		h := r.Health()
		if got := r.group(t, groupName(0)).Cursor; got.Sub(held) > 10*time.Second {
			t.Errorf("the cursor went on from %v to %v without the sink", held, got)
		}
		kafka := h.Sinks[1]
		if kafka.Error != "no broker answers" || kafka.ErrorSince.IsZero() || kafka.Failures < 10 {
			t.Errorf("health says of the sink %+v", kafka)
		}
		// One window may be under way when the limit is reached.
		if kafka.Waiting < 150 || kafka.Waiting > 1000 {
			t.Errorf("%d transactions wait, with a limit of 200", kafka.Waiting)
		}
		d.setFail("kafka", nil)
		time.Sleep(12 * time.Minute)
		r.stop(t)
		wantCalls(t, d, "file", calls)
		if n := len(d.delivered("kafka")); n != calls {
			t.Errorf("%d calls are in the sink that was gone, want %d", n, calls)
		}
		if n := r.warnings("kafka"); n != 1 {
			t.Errorf("%d warnings of one outage", n)
		}
		if d.largest["kafka"] > 50 {
			t.Errorf("a batch had %d transactions", d.largest["kafka"])
		}
	})
}

func TestStateThatCannotBeSaved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		p := &process{disk: d, logs: l}
		const calls = 600
		for i := range calls {
			l.call(groupName(0), i, time.Now().Add(time.Duration(i)*time.Second))
		}
		d.setFail("state", errors.New("database or disk is full"))
		r := start(t, collect.Config{MaxPendingTransactions: 50}, p.deps())
		time.Sleep(5 * time.Minute)
		var told bool
		for _, problem := range r.Health().Problems {
			told = told || strings.Contains(problem.What, "disk is full") && problem.Mend != ""
		}
		if !told {
			t.Errorf("health does not tell: %+v", r.Health().Problems)
		}
		if len(d.groups) != 0 {
			t.Error("a cursor was saved")
		}
		// Killed now, the file sink has what no saved position covers.
		p.dead.Store(true)
		r.cancel()
		if err := <-r.ended; err == nil {
			t.Error("stopping without a state reported no error")
		}
		d.setFail("state", nil)
		p = &process{disk: d, logs: l}
		r = start(t, collect.Config{Since: time.Now().Add(-time.Hour)}, p.deps())
		time.Sleep(20 * time.Minute)
		r.stop(t)
		wantCalls(t, d, "file", calls)
		if d.changes != calls {
			t.Errorf("the observer's saved count is %d, want %d", d.changes, calls)
		}
	})
}

func TestStopLeavesOpenCallsForTheNextStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		began := time.Now()
		l.call(groupName(0), 0, began)
		for i, line := range callLines(requestID(1)) {
			at := began.Add(time.Second + time.Duration(i)*10*time.Second)
			l.put(groupName(0), "stream", line, at, at)
		}
		r := start(t, collect.Config{}, (&process{disk: d, logs: l}).deps())
		time.Sleep(40 * time.Second)
		if h := r.Health(); h.OpenCalls != 1 || h.Totals.Open == 0 || !h.Totals.Balanced() {
			t.Errorf("one call is open, health says %+v", h)
		}
		r.stop(t)
		wantCalls(t, d, "file", 1)
		if fast := d.groups[testAccount+"/"+testRegion+"/"+groupName(0)].Fast; fast != began.Add(time.Second).UnixMilli() {
			t.Errorf("the saved cursor is %v after the open call's first event", time.UnixMilli(fast).Sub(began.Add(time.Second)))
		}
		r = start(t, collect.Config{}, (&process{disk: d, logs: l}).deps())
		time.Sleep(10 * time.Minute)
		r.stop(t)
		wantCalls(t, d, "file", 2)
		wantCalls(t, d, "kafka", 2)
		b := d.books()
		if b.Read != 2*linesPerCall || b.Incomplete != 0 || b.Late != 0 {
			t.Errorf("books: %+v", b)
		}
	})
}

func TestStopThatCannotDeliver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		l.call(groupName(0), 0, time.Now())
		d.setFail("kafka", errors.New("no broker answers"))
		r := start(t, collect.Config{ShutdownTimeout: 5 * time.Second}, (&process{disk: d, logs: l}).deps())
		time.Sleep(time.Minute)
		at := time.Now()
		r.cancel()
		err := <-r.ended
		if err == nil || !strings.Contains(err.Error(), "no broker answers") || !strings.Contains(err.Error(), "kafka") {
			t.Errorf("stopping said %v", err)
		}
		if d := time.Since(at); d > 6*time.Second {
			t.Errorf("stopping took %v", d)
		}
		d.setFail("kafka", nil)
		r = start(t, collect.Config{}, (&process{disk: d, logs: l}).deps())
		time.Sleep(time.Minute)
		r.stop(t)
		wantCalls(t, d, "file", 1)
		wantCalls(t, d, "kafka", 1)
	})
}

func TestRefusesWhatCannotWork(t *testing.T) {
	t.Parallel()
	p := &process{disk: newDisk(), logs: newLogs()}
	for name, c := range map[string]struct {
		change func(*collect.Config, *collect.Deps)
		want   string
	}{
		"no source":      {func(_ *collect.Config, d *collect.Deps) { d.Source = nil }, "no source"},
		"no state":       {func(_ *collect.Config, d *collect.Deps) { d.State = nil }, "no state"},
		"nowhere to go":  {func(_ *collect.Config, d *collect.Deps) { d.Sinks, d.Observers = nil, nil }, "neither a sink"},
		"sinks alike":    {func(_ *collect.Config, d *collect.Deps) { d.Sinks = append(d.Sinks, d.Sinks[0]) }, "two sinks"},
		"negative":       {func(c *collect.Config, _ *collect.Deps) { c.Grace = -1 }, "grace"},
		"no concurrency": {func(c *collect.Config, _ *collect.Deps) { c.Concurrency = -1 }, "concurrency"},
		"short overlap":  {func(c *collect.Config, _ *collect.Deps) { c.Overlap = time.Second }, "overlap"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg, deps := collect.Config{}, p.deps()
			c.change(&cfg, &deps)
			if _, err := collect.New(cfg, deps); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("New says %v, want something about %q", err, c.want)
			}
		})
	}
}
