package collect_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
)

// once runs a collector once on a disk.
func once(t *testing.T, l *logs, d *disk, since time.Time) (*collect.Collector, error) {
	t.Helper()
	_, c := newProcess(l, d, collect.Config{})
	return c, c.RunOnce(t.Context(), since)
}

func TestOnceReadsWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		began := time.Now()
		l.call(groupName(0), 100, began.Add(-time.Second)) // before since
		const calls = 60
		for i := range calls {
			l.call(groupName(i%2), i, began.Add(time.Duration(i)*time.Minute))
		}
		time.Sleep(time.Hour)
		now := time.Now()
		for _, line := range callLines(requestID(calls))[:6] {
			l.put(groupName(0), "stream", line, now.Add(-20*time.Second), now) // not ended
		}
		l.call(groupName(0), 101, now.Add(-time.Second)) // not settled
		_, err := once(t, l, d, began)
		if err != nil {
			t.Fatal(err)
		}
		wantCalls(t, d, "file", calls+1)
		incomplete := 0
		for _, tx := range d.kept["file"] {
			if !tx.Complete {
				incomplete++
			}
		}
		if b := d.books(); incomplete != 1 || b.Incomplete != 1 || !b.Balanced() || b.Open != 0 {
			t.Errorf("%d calls are incomplete; books: %+v", incomplete, b)
		}
		if n := float64(l.onWire) / float64(calls*linesPerCall); n > 1.1 {
			t.Errorf("every event was read %.2f times", n)
		}
	})
}

func TestOnceAgainAndAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		n := 0
		for range 5 {
			for range 20 {
				l.call(groupName(0), n, time.Now())
				n++
				time.Sleep(30 * time.Second)
			}
			// One call that CloudWatch shows later than the run that comes next.
			l.lateCall(groupName(0), n, time.Now(), time.Minute)
			n++
			time.Sleep(20 * time.Second)
			if _, err := once(t, l, d, time.Now().Add(-time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Minute)
		if _, err := once(t, l, d, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		wantCalls(t, d, "file", n)
		wantCalls(t, d, "kafka", n)
		if b := d.books(); int(b.Read) != l.distinct() || !b.Balanced() {
			t.Errorf("%d events; books: %+v", l.distinct(), b)
		}
	})
}

func TestOnceGoesBackBeforeTheFirstStart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		l.random, l.pageSize = nil, 16
		began := time.Now()
		const calls = 240
		for i := range calls {
			l.call(groupName(0), i, began.Add(time.Duration(i)*time.Minute))
		}
		time.Sleep(2 * time.Hour)
		r := start(t, collect.Config{}, (&process{disk: d, logs: l}).deps())
		time.Sleep(time.Hour)
		r.stop(t)
		time.Sleep(time.Hour + time.Minute)

		// Killed on the way, again and again, at no loss and no repeat.
		l.delay = 100 * time.Millisecond
		kills := 0
		for limit := 300 * time.Millisecond; ; limit *= 2 {
			p, c := newProcess(l, d, collect.Config{CommitInterval: 10 * time.Millisecond, ShutdownTimeout: time.Millisecond})
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(limit, func() { p.dead.Store(true); cancel() })
			err := c.RunOnce(ctx, began)
			if !p.dead.Load() {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			if err == nil {
				t.Fatal("a run that was stopped reported no error")
			}
			kills++
		}
		if kills < 2 {
			t.Errorf("the run was killed only %d times", kills)
		}
		wantCalls(t, d, "file", calls)
		b := d.books()
		if int(b.Read) != l.distinct() || !b.Balanced() {
			t.Errorf("%d events; books: %+v", l.distinct(), b)
		}
	})
}

func TestOnceTellsWhatCouldNotBeRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		for i := range 30 {
			l.call(groupName(i%3), i, time.Now())
		}
		l.setFail(groupName(1), errDenied)
		l.problems = []collect.Problem{{Account: "444455556666", What: "the role cannot be assumed", Mend: "trust the hub"}}
		time.Sleep(time.Minute)
		at := time.Now()
		_, err := once(t, l, d, time.Time{})
		if err == nil || !strings.Contains(err.Error(), groupName(1)) || !strings.Contains(err.Error(), "444455556666") {
			t.Errorf("the run said %v", err)
		}
		if strings.Contains(err.Error(), groupName(0)) {
			t.Errorf("the run complains of a group that was read: %v", err)
		}
		var mender interface{ Mend() string }
		if !errors.As(err, &mender) {
			t.Error("the error does not say how to mend it")
		}
		if len(d.delivered("file")) != 20 {
			t.Errorf("%d calls of the other groups were delivered, want 20", len(d.delivered("file")))
		}
		if d := time.Since(at); d > 2*time.Minute {
			t.Errorf("it took %v to give up", d)
		}
		l.setFail(groupName(1), nil)
		l.problems = nil
		if _, err := once(t, l, d, time.Time{}); err != nil {
			t.Fatal(err)
		}
		wantCalls(t, d, "file", 30)
	})
}

func TestOnceOutlastsWhatPasses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		l.call(groupName(0), 0, time.Now())
		l.setFail(groupName(0), errTransient)
		time.Sleep(time.Minute)
		time.AfterFunc(5*time.Second, func() { l.setFail(groupName(0), nil) })
		if _, err := once(t, l, d, time.Time{}); err != nil {
			t.Fatal(err)
		}
		wantCalls(t, d, "file", 1)
	})
}

func TestRunsOnlyOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLogs(), newDisk()
		c, err := once(t, l, d, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Run(t.Context()); err == nil {
			t.Error("a collector ran a second time")
		}
	})
}
