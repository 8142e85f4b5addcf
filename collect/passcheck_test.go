package collect_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
)

// passOf runs one pass of at most a given time, by a new collector.
func passOf(t *testing.T, p *process, cfg collect.Config, limit time.Duration) (h collect.Health, caughtUp bool) {
	t.Helper()
	c, err := collect.New(cfg, p.counted())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if caughtUp, err = c.RunPass(ctx); err != nil {
		t.Fatalf("RunPass: %v", err)
	}
	return c.Health(), caughtUp
}

// A function that only ticks finds, within an hour, what comes later than
// Overlap, and sends no call twice.
func TestPassesFindWhatComesLaterThanOverlap(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]struct{ taken, visible time.Duration }{
		"none late":               {0, 0},
		"shown after 12 minutes":  {0, 12 * time.Minute},
		"shown after 40 minutes":  {0, 40 * time.Minute},
		"sent after 18 minutes":   {18 * time.Minute, 18 * time.Minute},
		"sent after 45 minutes":   {45 * time.Minute, 45 * time.Minute},
		"sent and shown late":     {20 * time.Minute, 30 * time.Minute},
		"shown late, within slow": {0, 3 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, d := newLogs(), newDisk()
				p := &process{disk: d, logs: l}
				const seconds, lateCalls = 2 * 3600, 20
				began := time.Now()
				traffic(l, 0, seconds)
				for i := range lateCalls {
					l.takenCall(groupName(0), seconds+i, began.Add(20*time.Minute+time.Duration(i)*time.Second), late.taken, late.visible)
				}
				asked := 0
				random := rand.New(rand.NewPCG(5, 6))
				for time.Since(began) < 20*time.Minute+late.visible+time.Hour+5*time.Minute {
					// A tick is some seconds early or late.
					time.Sleep(55*time.Second + time.Duration(random.IntN(10_000))*time.Millisecond)
					if _, caughtUp := passOf(t, p, collect.Config{StartFrom: time.Minute}, 50*time.Second); !caughtUp {
						t.Fatal("a pass did not get to its end")
					}
					asked++
				}
				got := d.delivered("file")
				for i := range lateCalls {
					if n := got[requestID(seconds+i)]; n != 1 {
						t.Errorf("the late call %d was delivered %d times", i, n)
					}
				}
				for id, n := range got {
					if n != 1 {
						t.Errorf("call %s was delivered %d times", id, n)
					}
				}
				b := d.books()
				most := 2.1
				if late.visible > 5*time.Minute {
					most = 3
				}
				if times := float64(b.EventsOnWire) / float64(b.Read); !b.Balanced() || b.Incomplete != 0 || times > most {
					t.Errorf("every event was read %.2f times: %+v", times, b)
				} else {
					t.Logf("every event was read %.2f times", times)
				}
				if l.asked < asked/7 || l.asked > asked/5+1 {
					t.Errorf("%d passes asked %d times for the count", asked, l.asked)
				}
			})
		})
	}
}

// A line that comes an hour after its call was sent, by another pass, is late and
// not a call of its own.
func TestPassesKnowTheCallsOfEarlierOnes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		p := &process{disk: d, logs: l}
		const seconds = 2 * 3600
		traffic(l, 0, seconds)
		at := time.Now().Add(20*time.Minute + 500*time.Millisecond)
		l.put(groupName(0), "stream", "("+requestID(20*60)+") Method response headers: {X-Late=1}", at, at.Add(25*time.Minute))
		for range 110 {
			time.Sleep(time.Minute)
			passOf(t, p, collect.Config{StartFrom: time.Minute}, 50*time.Second)
		}
		for id, n := range d.delivered("file") {
			if n != 1 {
				t.Errorf("call %s was delivered %d times", id, n)
			}
		}
		if b := d.books(); b.Late != 1 || b.Incomplete != 0 || !b.Balanced() {
			t.Errorf("books: %+v", b)
		}
	})
}

// Reading again does not hold up what is new, and goes on over several passes.
func TestPassesReadAgainInPieces(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		p := &process{disk: d, logs: l}
		l.pageSize, l.delay = 100, 300*time.Millisecond
		const seconds, lateCalls = 2 * 3600, 10
		began := time.Now()
		traffic(l, 0, seconds)
		for i := range lateCalls {
			l.takenCall(groupName(0), seconds+i, began.Add(20*time.Minute+time.Duration(i)*time.Second), 40*time.Minute, 40*time.Minute)
		}
		var pieces, behind int
		for time.Since(began) < 2*time.Hour+10*time.Minute {
			time.Sleep(time.Until(time.Now().Truncate(time.Minute).Add(time.Minute)))
			passOf(t, p, collect.Config{StartFrom: time.Minute, Concurrency: 1}, 20*time.Second)
			for _, g := range d.checkpoints() {
				if g.Counted != nil && g.Counted.Progress.Reread != nil {
					pieces++
				}
				if time.Since(began) > 10*time.Minute && time.Since(time.UnixMilli(g.Fast)) > 90*time.Second {
					behind++
				}
			}
		}
		if pieces < 3 {
			t.Errorf("%d passes left something to read again: the test shows nothing", pieces)
		}
		if behind > 0 {
			t.Errorf("%d passes did not come to what is new", behind)
		}
		wantCalls(t, d, "file", seconds+lateCalls)
		if b := d.books(); !b.Balanced() || b.EventsOnWire > 3*b.Read {
			t.Errorf("books: %+v", b)
		}
	})
}

// One warning says that the count cannot be had, and not one of every pass.
func TestPassesWarnOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		p := &process{disk: d, logs: l}
		traffic(l, 0, 3600)
		l.uncount = apiError{code: "AccessDenied", message: "not authorized to perform: cloudwatch:GetMetricData"}
		var log strings.Builder
		ticks := func(n int) {
			t.Helper()
			for range n {
				time.Sleep(time.Minute)
				deps := p.counted()
				deps.Log = slog.New(slog.NewTextHandler(&log, nil))
				c, err := collect.New(collect.Config{StartFrom: time.Minute}, deps)
				if err != nil {
					t.Fatal(err)
				}
				if caughtUp, err := c.RunPass(t.Context()); err != nil || !caughtUp {
					t.Fatalf("RunPass: %v, %v", caughtUp, err)
				}
			}
		}
		ticks(40)
		if n := strings.Count(log.String(), "level=WARN"); n != 1 || l.asked < 5 || l.asked > 9 {
			t.Errorf("%d warnings, asked %d times:\n%s", n, l.asked, &log)
		}
		l.mu.Lock()
		l.uncount = nil
		l.mu.Unlock()
		ticks(20)
		if n := strings.Count(log.String(), "count again"); n != 1 {
			t.Errorf("said %d times that it is mended:\n%s", n, &log)
		}
	})
}

// Passes may come as rarely as one likes, and a collector that always runs may
// follow them.
func TestRunFollowsPasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		p := &process{disk: d, logs: l}
		const seconds, lateCalls = 2 * 3600, 10
		began := time.Now()
		traffic(l, 0, seconds)
		for i := range lateCalls {
			l.takenCall(groupName(0), seconds+i, began.Add(30*time.Minute+time.Duration(i)*time.Second), 0, 28*time.Minute)
		}
		for range 6 {
			time.Sleep(9 * time.Minute)
			passOf(t, p, collect.Config{StartFrom: time.Minute}, time.Minute)
		}
		r := start(t, collect.Config{}, p.counted())
		time.Sleep(80 * time.Minute)
		if g := r.group(t, groupName(0)); g.Check.State != collect.CheckComplete || g.Check.Unrepaired != 0 {
			t.Errorf("health says %+v", g.Check)
		}
		r.stop(t)
		got := d.delivered("file")
		for i := range lateCalls {
			if n := got[requestID(seconds+i)]; n != 1 {
				t.Errorf("the late call %d was delivered %d times", i, n)
			}
		}
		if b := d.books(); !b.Balanced() || b.Incomplete != 0 {
			t.Errorf("books: %+v", b)
		}
	})
}

// RunOnce, from time to time, finds what comes later than Overlap too.
func TestRunOnceCompares(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		p := &process{disk: d, logs: l}
		const seconds, lateCalls = 2 * 3600, 10
		began := time.Now()
		traffic(l, 0, seconds)
		for i := range lateCalls {
			l.takenCall(groupName(0), seconds+i, began.Add(30*time.Minute+time.Duration(i)*time.Second), 20*time.Minute, 25*time.Minute)
		}
		for range 13 {
			time.Sleep(10 * time.Minute)
			c, err := collect.New(collect.Config{StartFrom: 10 * time.Minute}, p.counted())
			if err != nil {
				t.Fatal(err)
			}
			if err := c.RunOnce(t.Context(), time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		got := d.delivered("file")
		for i := range lateCalls {
			if n := got[requestID(seconds+i)]; n != 1 {
				t.Errorf("the late call %d was delivered %d times", i, n)
			}
		}
		if b := d.books(); !b.Balanced() {
			t.Errorf("books: %+v", b)
		}
	})
}

// Where calls are late all the time, passes find them all, for one reading and a
// twentieth more at most.
func TestPassesInTheSteadyState(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		p := &process{disk: d, logs: l}
		random := rand.New(rand.NewPCG(3, 4))
		const seconds = 2 * 3600
		began := time.Now()
		for n := range 2 * seconds {
			var late time.Duration
			if n > 1200 && random.IntN(100) == 0 {
				late = 12*time.Minute + time.Duration(random.Int64N(int64(5*time.Minute)))
			}
			l.takenCall(groupName(0), n, began.Add(time.Duration(n)*time.Second/2), 0, late)
		}
		for time.Since(began) < seconds*time.Second+70*time.Minute {
			time.Sleep(time.Minute)
			passOf(t, p, collect.Config{StartFrom: time.Minute}, 50*time.Second)
		}
		wantCalls(t, d, "file", 2*seconds)
		b := d.books()
		times := float64(b.EventsOnWire) / float64(b.Read)
		if !b.Balanced() || b.Incomplete != 0 || times > 3.1 {
			t.Errorf("every event was read %.2f times: %+v", times, b)
		}
		t.Logf("every event was read %.2f times", times)
	})
}

// Passes that are killed anywhere, as sandboxes are, lose nothing and double
// nothing in a sink that restores its position, also of what they read again.
func TestPassesSurviveBeingKilled(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, d := newLogs(), newDisk()
				l.pageSize, l.delay = 200, 200*time.Millisecond
				random := rand.New(rand.NewPCG(seed, 8))
				const seconds, lateCalls = 3000, 20
				began := time.Now()
				traffic(l, 0, seconds)
				for i := range lateCalls {
					at := 10*time.Minute + time.Duration(random.IntN(1200))*time.Second
					late := time.Duration(6+random.IntN(25)) * time.Minute
					l.takenCall(groupName(0), seconds+i, began.Add(at), late-time.Minute, late)
				}
				for time.Since(began) < 2*time.Hour {
					time.Sleep(time.Minute)
					p := &process{disk: d, logs: l}
					c, err := collect.New(collect.Config{StartFrom: time.Minute, ShutdownTimeout: 3 * time.Second}, p.counted())
					if err != nil {
						t.Fatal(err)
					}
					ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
					kill := time.AfterFunc(time.Duration(random.IntN(30_000))*time.Millisecond, func() {
						if time.Since(began) < 2*time.Minute {
							return // where reading begins is not known before the first is done
						}
						p.dead.Store(true)
						cancel()
					})
					if _, err := c.RunPass(ctx); err != nil && !p.dead.Load() {
						t.Fatalf("RunPass: %v", err)
					}
					kill.Stop()
					cancel()
				}
				wantCalls(t, d, "file", seconds+lateCalls)
				if b := d.books(); !b.Balanced() || b.Incomplete != 0 || int(b.Read) != l.distinct() {
					t.Errorf("books of %d events: %+v", l.distinct(), b)
				}
			})
		})
	}
}
