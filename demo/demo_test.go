package demo

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
)

func played(t *testing.T, d time.Duration, rate float64) (*World, *Player) {
	t.Helper()
	now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	w := NewWorld(awssim.New(awssim.Options{Seed: 1, Clock: func() time.Time { return now }}))
	p := w.NewPlayer(now.Add(-d), rate, 1)
	p.PlayUntil(now)
	return w, p
}

func TestEveryLoggedStageIsWrittenTo(t *testing.T) {
	t.Parallel()
	w, p := played(t, 10*time.Minute, 10)
	if p.Calls() < 5000 || p.Calls() > 7000 {
		t.Errorf("%d calls in 10 minutes at 10 a second", p.Calls())
	}
	for _, a := range w.apis {
		logs := w.Sim.Account(a.account).Region(a.region).Logs()
		for _, s := range a.stages {
			if s.level == "INFO" && logs.Count(s.executionGroup(a)) == 0 {
				t.Errorf("%s/%s: nothing in %s", a.name, s.name, s.executionGroup(a))
			}
			if s.group != "" && logs.Count(s.group) == 0 {
				t.Errorf("%s/%s: nothing in %s", a.name, s.name, s.group)
			}
		}
	}
}

func TestLinesLookLikeAPIGateways(t *testing.T) {
	t.Parallel()
	s := newScene(apis(), 1)
	outcomes := map[outcome]bool{}
	for n := range 20_000 {
		c := s.next(time.Date(2026, 5, 6, 7, 8, 9, n, time.UTC))
		outcomes[c.outcome] = true
		for _, l := range c.executionLines() {
			if !strings.HasPrefix(l.text, "("+c.id+") ") {
				t.Fatalf("line without its request id: %q", l.text)
			}
			if len(l.text) > cutAt+len(" [TRUNCATED]") {
				t.Fatalf("line of %d bytes was not cut", len(l.text))
			}
		}
		if rec := c.accessRecord(); rec != "" {
			var m map[string]string
			if err := json.Unmarshal([]byte(rec), &m); err != nil {
				t.Fatalf("access record %s: %v", rec, err)
			}
			if m["requestId"] != c.id || strings.Contains(rec, "$context") {
				t.Fatalf("access record %s", rec)
			}
		}
	}
	for _, o := range []outcome{served, unauthorized, throttled, probe, timedOut, malformed} {
		if !outcomes[o] {
			t.Errorf("outcome %d never happens", o)
		}
	}
}

func TestTheSameSeedPlaysTheSame(t *testing.T) {
	t.Parallel()
	a, b := newScene(apis(), 7), newScene(apis(), 7)
	at := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	for range 500 {
		x, y := a.next(at), b.next(at)
		if x.id != y.id || x.path != y.path || x.status != y.status {
			t.Fatalf("%s %s %d is not %s %s %d", x.id, x.path, x.status, y.id, y.path, y.status)
		}
	}
}

// Lines of a call that is under way are written when their time comes, not
// before.
func TestLinesAreWrittenInTheirTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	w := NewWorld(awssim.New(awssim.Options{Seed: 1, Clock: func() time.Time { return now }}))
	p := w.NewPlayer(now, 50, 1)
	p.PlayUntil(now.Add(2 * time.Second))
	before := len(p.due.lines)
	for _, l := range p.due.lines {
		if l.at <= now.Add(2*time.Second).UnixMilli() {
			t.Fatalf("a line of %d was not written", l.at)
		}
	}
	if before == 0 {
		t.Fatal("no call is under way: the test shows nothing")
	}
}
