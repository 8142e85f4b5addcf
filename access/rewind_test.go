package access_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
)

// A wall clock that was a day ahead for a while: what is lent goes on for as long as it
// was lent for, and an administrator has the times right again without making anything
// end sooner or later.
func TestResetClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		w := newWorld(t, "")
		var off atomic.Int64
		clock := func(o *access.Options) {
			o.Clock = func() time.Time { return time.Now().Add(time.Duration(off.Load())) }
			o.Limits = access.Limits{Poll: time.Second, Reconcile: 3 * time.Minute}
			o.Mailer = w.mail
		}
		one, two := w.desk(clock), w.desk(clock)
		w.setup(one)
		defer w.run(one)()
		defer w.run(two)()
		root := w.person("root")
		lend := func(who string, lasts time.Duration) (id string, end time.Time) {
			t.Helper()
			r := w.request(one, access.Ask{By: w.person(who), Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: lasts})
			w.eventually(time.Minute, "it is there", func() bool { return w.grant(r.Grant).State == access.Active })
			return r.Grant, time.Now().Add(lasts)
		}
		lend("cleo", time.Hour) // the jump ends it
		off.Store(int64(day))
		w.eventually(time.Minute, "the jump has ended it", func() bool { return len(w.target.keys()) == 0 })
		_, annEnds := lend("ann", 4*time.Minute)
		pending := w.request(one, access.Ask{By: w.person("ben"), Items: []access.ItemRef{ref("one", "orders", "edit")}, Justification: "x"})
		time.Sleep(time.Second)
		off.Store(0)
		benGrant, benEnds := lend("ben", 6*time.Minute)
		time.Sleep(2 * time.Minute)

		s, err := two.Clock(t.Context(), root)
		if err != nil || s.AheadSeconds < (day-time.Minute).Seconds() || s.Since.IsZero() || s.Resets != 0 {
			t.Fatalf("the clocks: %+v, %v", s, err)
		}
		for _, who := range []string{"ann", "sam"} {
			if _, err := one.Clock(t.Context(), w.person(who)); !errors.Is(err, access.ErrForbidden) {
				t.Errorf("%s sees the clocks: %v", who, err)
			}
			if _, err := one.ResetClock(t.Context(), w.person(who), "", "cli"); !errors.Is(err, access.ErrForbidden) {
				t.Errorf("%s sets the time back: %v", who, err)
			}
		}
		before := w.target.callCount()
		s, err = one.ResetClock(t.Context(), root, "ntp", "cli")
		if err != nil || s.AheadSeconds != 0 || s.Resets != 1 || s.Lending.Sub(s.Wall).Abs() > 2*time.Second {
			t.Fatalf("after it was set back: %+v, %v", s, err)
		}
		if _, err := one.ResetClock(t.Context(), root, "ntp", "cli"); !errors.Is(err, access.ErrInvalid) {
			t.Errorf("setting it back again: %v", err)
		}
		if g := w.grant(benGrant); g.ExpiresAt.Sub(benEnds).Abs() > time.Second {
			t.Errorf("what ends at %v is shown to end at %v", benEnds, g.ExpiresAt)
		}
		r, err := w.l.Request(t.Context(), pending.ID)
		if err != nil || time.Since(r.CreatedAt) > 3*time.Minute {
			t.Errorf("a request of two minutes ago was made at %v, %v; it is %v", r.CreatedAt, err, time.Now())
		}
		// The other desk, which has not looked since, cannot bring the false time back: until
		// it has looked the request is too old for it.
		w.eventually(3*time.Second, "it can be agreed to at the other desk", func() bool {
			_, err := two.Vote(t.Context(), pending.ID, access.Ballot{By: w.person("sam"), Approve: true})
			return err == nil
		})
		time.Sleep(3 * time.Second)
		if p, err := w.l.Pulse(t.Context()); err != nil || time.Until(p.High).Abs() > 5*time.Second {
			t.Errorf("the high water is %v, %v; it is %v", p.High, err, time.Now())
		}
		key := "one:ben@example.com:namespace/payments:view"
		if s, ok := w.target.get(key); !ok || s.expires.Sub(benEnds).Abs() > time.Second || w.target.callCount() == before {
			t.Errorf("the target has %+v, %v; want the end as it is called now", s, ok)
		}
		if w.actions("lending") != "clock.reset" {
			t.Errorf("the audit log tells %q", w.actions("lending"))
		}
		// Each goes at its real time.
		for _, each := range []struct {
			key string
			end time.Time
		}{{"one:ann@example.com:namespace/payments:view", annEnds}, {key, benEnds}} {
			time.Sleep(time.Until(each.end.Add(-2 * time.Second)))
			if _, ok := w.target.get(each.key); !ok {
				t.Errorf("%s ended early", each.key)
			}
			time.Sleep(4 * time.Second)
			if _, ok := w.target.get(each.key); ok {
				t.Errorf("%s is there after its end", each.key)
			}
		}
	})
}

func (t *target) callCount() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls
}

// elsewhere is a store whose server has a clock of its own.
type elsewhere struct {
	access.Store
	off time.Duration
}

func (s elsewhere) Time(context.Context) (time.Time, error) { return time.Now().Add(s.off), nil }

// While two clocks differ one of them is wrong, and by the wrong one nothing is set back.
func TestResetClockWhileClocksDiffer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.setup(w.desk())
		ahead := time.Now().Add(time.Hour)
		if err := w.l.Commit(t.Context(), &access.Change{At: ahead}); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			off  time.Duration
			want string
		}{{3 * time.Second, "3s apart"}, {-time.Hour, "1h0m0s apart"}, {time.Second, ""}} {
			d := w.desk(func(o *access.Options) { o.Store = elsewhere{w.l, c.off} })
			_, err := d.ResetClock(t.Context(), w.person("root"), "", "cli")
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("with the server's clock off by %s: %v", c.off, err)
			}
		}
		if p, err := w.l.Pulse(t.Context()); err != nil || p.Epoch != 1 || time.Until(p.High).Abs() > time.Second {
			t.Errorf("after it was set back once: %+v, %v", p, err)
		}
	})
}
