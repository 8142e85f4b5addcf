package access_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
)

// frozen is the store as a process has it that stands still now and then: its leases
// run out, and it does not notice.
type frozen struct {
	access.Store
	still atomic.Bool
	dead  atomic.Bool
	shown atomic.Pointer[access.Presence]
}

func (f *frozen) Attend(ctx context.Context, holder string) (access.Presence, error) {
	if f.still.Load() || f.dead.Load() {
		return nil, errors.New("the process stands still")
	}
	shown, err := f.Store.Attend(ctx, holder)
	if err == nil {
		f.shown.Store(&shown)
	}
	return shown, err
}

// die is what a kill is to the store.
func (f *frozen) die() {
	f.dead.Store(true)
	if shown := f.shown.Load(); shown != nil {
		_ = (*shown).Close()
	}
}

func (f *frozen) RenewLeases(ctx context.Context, holder string, leases []access.Lease, until time.Time) ([]string, error) {
	if f.still.Load() || f.dead.Load() {
		return nil, errors.New("the process stands still")
	}
	return f.Store.RenewLeases(ctx, holder, leases, until)
}

func (f *frozen) Commit(ctx context.Context, c *access.Change) error {
	if f.dead.Load() {
		return errDead
	}
	return f.Store.Commit(ctx, c)
}

func (f *frozen) LeaseObjects(ctx context.Context, q access.LeaseQuery) ([]access.Leased, error) {
	if f.still.Load() || f.dead.Load() {
		return nil, errors.New("the process stands still")
	}
	return f.Store.LeaseObjects(ctx, q)
}

// A write that was sent under a lease reaches the target after another process has taken
// the object over and taken the access away. It is taken away again: by the process that
// sent it when it notices, or by the other one, which looks once more where nobody is
// left to notice.
func TestLateWrite(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		dies   bool
		lands  time.Duration
		within time.Duration
	}{
		"of a process that stood still": {false, 20 * time.Second, time.Second},
		// A process that died is noticed a second after it began: the later a write of it
		// lands, the longer it may live.
		"of a process that died":           {true, 9 * time.Second, 4 * time.Second},
		"of a process that died just now":  {true, 1600 * time.Millisecond, 700 * time.Millisecond},
		"of a process that died a bit ago": {true, 2500 * time.Millisecond, 1100 * time.Millisecond},
		"of a process that died for long":  {true, 25 * time.Second, 5100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "")
				var sent atomic.Bool
				store := &frozen{Store: w.l}
				slow := &port{target: w.target, dead: func() bool { return false }, zombie: func() time.Duration {
					if sent.Swap(true) {
						return 0
					}
					store.still.Store(true)
					return c.lands
				}}
				start := time.Now()
				options := func(o *access.Options) {
					o.Instance = fmt.Sprint(time.Now().UnixNano())
					o.Limits = access.Limits{Poll: 250 * time.Millisecond, Reconcile: 24 * time.Hour}
				}
				first := w.desk(options, func(o *access.Options) { o.Store, o.Provisioners = store, []access.Provisioner{slow} })
				w.setup(first)
				defer w.run(first)()
				r := w.request(first, access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view")}})
				time.Sleep(time.Second)
				if c.dies {
					store.die()
				}
				second := w.desk(options)
				defer w.run(second)()
				w.eventually(8*time.Second, "the other process has put it in place", func() bool { return w.grant(r.Grant).State == access.Active })
				if _, err := second.Return(t.Context(), r.Grant, w.person("ann"), "web"); err != nil {
					t.Fatal(err)
				}
				w.eventually(time.Second, "it has ended", func() bool { return w.grant(r.Grant).State == access.Ended })
				time.Sleep(time.Until(start.Add(c.lands - time.Second)))
				store.still.Store(false)
				if n := len(w.target.keys()); n != 0 {
					t.Errorf("before the late write lands the target has %d objects", n)
				}
				w.eventually(2*time.Second, "the late write has landed", func() bool { return !w.target.isLanding() })
				w.eventually(c.within, "it is gone again", func() bool { return len(w.target.keys()) == 0 })
			})
		})
	}
}

// Access that is given and taken away at once, in a target that shows changes late: it
// is not called gone because it cannot be seen yet.
func TestUnseenIsNotGone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		d := w.desk(func(o *access.Options) { o.Limits.Reconcile = 24 * time.Hour })
		w.setup(d)
		w.target.setFault("one", fault{lazy: 3 * time.Second})
		defer w.run(d)()
		r := w.request(d, access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view")}})
		time.Sleep(time.Second)
		if _, err := d.Return(t.Context(), r.Grant, w.person("ann"), "web"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if g := w.grant(r.Grant); g.State != access.Revoking {
			t.Errorf("while it cannot be seen it is %s", g.State)
		}
		w.eventually(time.Minute, "it has ended", func() bool { return w.grant(r.Grant).State == access.Ended })
		for range 60 {
			time.Sleep(time.Second)
			if n := len(w.target.keys()); n != 0 {
				t.Fatalf("after it has ended the target has %d objects", n)
			}
		}
	})
}
