package collect_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
)

// traffic puts a call each second for some time from now on.
func traffic(l *logs, first, seconds int) {
	for i := range seconds {
		l.call(groupName(0), first+i, time.Now().Add(time.Duration(i)*time.Second))
	}
}

// takenCall puts a call that CloudWatch takes in, and shows, later.
func (l *logs) takenCall(name string, n int, at time.Time, taken, visible time.Duration) {
	for i, line := range callLines(requestID(n)) {
		t := at.Add(time.Duration(i) * time.Millisecond)
		l.take(name, "stream", line, t, t.Add(taken), t.Add(visible))
	}
}

func TestCheckFindsWhatComesLaterThanOverlap(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]struct{ taken, visible time.Duration }{
		"shown after 18 minutes":       {0, 18 * time.Minute},
		"shown after 40 minutes":       {0, 40 * time.Minute},
		"sent after 18 minutes":        {18 * time.Minute, 18 * time.Minute},
		"sent after 45 minutes":        {45 * time.Minute, 45 * time.Minute},
		"sent and shown with a delay":  {20 * time.Minute, 30 * time.Minute},
		"shown late, but within slow":  {0, 3 * time.Minute},
		"sent at the end of a minute":  {15*time.Minute - 3*time.Millisecond, 15 * time.Minute},
		"visible a moment after check": {0, 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, d := newLogs(), newDisk()
				p := &process{disk: d, logs: l}
				const seconds = 3600
				traffic(l, 0, seconds)
				const lateCalls = 20
				for i := range lateCalls {
					l.takenCall(groupName(0), seconds+i, time.Now().Add(20*time.Minute+time.Duration(i)*time.Second), late.taken, late.visible)
				}
				r := start(t, collect.Config{}, p.counted())
				time.Sleep(2 * time.Hour)
				g := r.group(t, groupName(0))
				if g.Check.State != collect.CheckComplete || g.Check.Missing != 0 || g.Check.Minutes < 100 {
					t.Errorf("health says %+v", g.Check)
				}
				if late.visible > 13*time.Minute && (g.Check.Found != lateCalls*linesPerCall || g.Check.Repaired == 0 || g.Check.Unrepaired != 0) {
					t.Errorf("found %+v", g.Check)
				}
				if g.Amplification > 2 {
					t.Errorf("every event was read %.2f times", g.Amplification)
				}
				t.Logf("%.2f times %+v", g.Amplification, g.Check)
				r.stop(t)
				wantCalls(t, d, "file", seconds+lateCalls)
				if b := d.books(); !b.Balanced() || int(b.Read) != l.distinct() || b.EventsOnWire != b.Read+b.Doubles {
					t.Errorf("books: %+v", b)
				}
			})
		})
	}
}

func TestCheckSparesTheSecondReading(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]time.Duration{"same clock": 0, "counted later": 700 * time.Millisecond, "counted earlier": -1500 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, d := newLogs(), newDisk()
				p := &process{disk: d, logs: l}
				l.skew = skew
				const seconds = 3 * 3600
				random := rand.New(rand.NewPCG(1, 2))
				at := time.Now()
				n := 0
				for i := range seconds {
					// Between nothing and three calls a second.
					for range random.IntN(2) * random.IntN(4) {
						l.call(groupName(0), n, at.Add(time.Duration(i)*time.Second+time.Duration(random.IntN(1000))*time.Millisecond))
						n++
					}
				}
				r := start(t, collect.Config{}, p.counted())
				time.Sleep(seconds * time.Second)
				g := r.group(t, groupName(0))
				if g.Amplification > 2 && skew == 0 || g.Amplification > 2.1 {
					t.Errorf("every event was read %.2f times", g.Amplification)
				}
				if skew == 0 && (g.Amplification > 1.2 || g.Check.Short != 0 || g.Check.Spared < 150) {
					t.Errorf("every event was read %.2f times, and the check says %+v", g.Amplification, g.Check)
				}
				t.Logf("%.2f times %+v", g.Amplification, g.Check)
				time.Sleep(20 * time.Minute)
				r.stop(t)
				wantCalls(t, d, "file", n)
			})
		})
	}
}

func TestCheckThatIsNotAllowed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		p := &process{disk: d, logs: l}
		traffic(l, 0, 3600)
		l.uncount = apiError{code: "AccessDenied", message: "not authorized to perform: cloudwatch:GetMetricData"}
		r := start(t, collect.Config{}, p.counted())
		time.Sleep(70 * time.Minute)
		h := r.Health()
		if h.Check.State != collect.CheckUnavailable || !strings.Contains(h.Check.Mend, "cloudwatch:GetMetricData") || h.Groups[0].Check.Error == "" {
			t.Errorf("health says %+v", h.Check)
		}
		if h.Groups[0].Amplification < 1.9 {
			t.Errorf("without a count events were read %.2f times", h.Groups[0].Amplification)
		}
		l.mu.Lock()
		l.uncount = nil
		l.mu.Unlock()
		time.Sleep(10 * time.Minute)
		if h := r.Health(); h.Check.State != collect.CheckComplete {
			t.Errorf("after it was mended, health says %+v", h.Check)
		}
		r.stop(t)
		wantCalls(t, d, "file", 3600)
		if n := r.warnings("GetMetricData"); n != 1 {
			t.Errorf("%d warnings of one trouble:\n%s", n, r.log)
		}
	})
}

func TestCheckGivesUpOnWhatIsNotThere(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		p := &process{disk: d, logs: l}
		traffic(l, 0, 6*3600)
		// Events that are counted and can never be read, every ten minutes.
		for i := range 30 {
			at := time.Now().Add(time.Duration(i+2) * 10 * time.Minute)
			l.put(groupName(0), "stream", fmt.Sprintf("lost %d", i), at, at.Add(1000*time.Hour))
		}
		r := start(t, collect.Config{}, p.counted())
		time.Sleep(6*time.Hour + 5*time.Minute)
		g := r.group(t, groupName(0))
		if g.Check.Unrepaired == 0 || g.Check.State != collect.CheckShort || g.Check.Error == "" || g.Check.Missing == 0 || g.Check.Found != 0 {
			t.Errorf("health says %+v", g.Check)
		}
		if g.Amplification > 2.5 {
			t.Errorf("every event was read %.2f times", g.Amplification)
		}
		t.Logf("%.2f times %+v", g.Amplification, g.Check)
		r.stop(t)
		wantCalls(t, d, "file", 6*3600)
	})
}

func TestCheckIsOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		p := &process{disk: d, logs: l}
		traffic(l, 0, 60)
		r := start(t, collect.Config{SkipCheck: true}, p.counted())
		time.Sleep(time.Hour)
		if h := r.Health(); h.Check.State != collect.CheckOff || l.asked != 0 {
			t.Errorf("health says %+v after %d counts", h.Check, l.asked)
		}
		r.stop(t)
	})
}

// TestAmplificationInTheSteadyState lets a share of the calls be late all the
// time: every one is found. What is later than Overlap may cost one more reading;
// otherwise every event is read twice at most.
func TestAmplificationInTheSteadyState(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]struct {
		share, calls           int // one in share, so many a second
		taken, visible, spread time.Duration
		most                   float64
	}{
		"none late":                    {1 << 30, 2, 0, 0, 0, 1.1},
		"one in 100 shown 12 min late": {100, 2, 0, 12 * time.Minute, 5 * time.Minute, 3},
		"one in 1000 sent late":        {1000, 4, 10 * time.Minute, 10 * time.Minute, 10 * time.Minute, 3},
		"one in 20 a minute late":      {20, 4, time.Minute, time.Minute, time.Minute, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, d := newLogs(), newDisk()
				random := rand.New(rand.NewPCG(3, 4))
				const seconds = 2 * 3600
				began := time.Now()
				n := 0
				for s := range seconds {
					for range late.calls {
						var taken, visible time.Duration
						if s > 600 && random.IntN(late.share) == 0 {
							more := time.Duration(random.Int64N(int64(late.spread) + 1))
							taken, visible = late.taken+more, late.visible+more
							if late.taken == 0 {
								taken = 0
							}
						}
						l.takenCall(groupName(0), n, began.Add(time.Duration(s)*time.Second), taken, visible)
						n++
					}
				}
				r := start(t, collect.Config{}, (&process{disk: d, logs: l}).counted())
				time.Sleep(seconds * time.Second)
				g := r.group(t, groupName(0))
				if g.Amplification > late.most {
					t.Errorf("every event was read %.2f times, want at most %v", g.Amplification, late.most)
				}
				time.Sleep(70 * time.Minute)
				end := r.group(t, groupName(0))
				t.Logf("%.2f times %+v", g.Amplification, end.Check)
				r.stop(t)
				wantCalls(t, d, "file", n)
			})
		})
	}
}
