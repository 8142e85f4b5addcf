package access_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// faulty is a store of which each call may go wrong. hook gets the name of the call and
// what does it, and returns what its caller gets to know.
type faulty struct {
	access.Store
	hook func(ctx context.Context, call string, do func(context.Context) error) error
}

func asked[T any](ctx context.Context, f *faulty, call string, do func(context.Context) (T, error)) (out T, err error) {
	err = f.hook(ctx, call, func(ctx context.Context) (err error) {
		out, err = do(ctx)
		return err
	})
	if err != nil {
		var nothing T
		return nothing, err
	}
	return out, nil
}

func (f *faulty) Commit(ctx context.Context, c *access.Change) error {
	return f.hook(ctx, "Commit", func(ctx context.Context) error { return f.Store.Commit(ctx, c) })
}

func (f *faulty) Pulse(ctx context.Context) (access.Pulse, error) {
	return asked(ctx, f, "Pulse", f.Store.Pulse)
}

func (f *faulty) Request(ctx context.Context, id string) (*access.Request, error) {
	return asked(ctx, f, "Request", func(ctx context.Context) (*access.Request, error) { return f.Store.Request(ctx, id) })
}

func (f *faulty) Grant(ctx context.Context, id string) (*access.Grant, error) {
	return asked(ctx, f, "Grant", func(ctx context.Context) (*access.Grant, error) { return f.Store.Grant(ctx, id) })
}

func (f *faulty) Grants(ctx context.Context, q access.GrantQuery) (access.GrantPage, error) {
	return asked(ctx, f, "Grants", func(ctx context.Context) (access.GrantPage, error) { return f.Store.Grants(ctx, q) })
}

func (f *faulty) DueGrants(ctx context.Context, now time.Time, limit int) ([]*access.Grant, error) {
	return asked(ctx, f, "DueGrants", func(ctx context.Context) ([]*access.Grant, error) { return f.Store.DueGrants(ctx, now, limit) })
}

func (f *faulty) DueRequests(ctx context.Context, now time.Time, limit int) ([]*access.Request, error) {
	return asked(ctx, f, "DueRequests", func(ctx context.Context) ([]*access.Request, error) { return f.Store.DueRequests(ctx, now, limit) })
}

func (f *faulty) OpenGrants(ctx context.Context, objects []string) ([]*access.Grant, error) {
	return asked(ctx, f, "OpenGrants", func(ctx context.Context) ([]*access.Grant, error) { return f.Store.OpenGrants(ctx, objects) })
}

func (f *faulty) LeaseObjects(ctx context.Context, q access.LeaseQuery) ([]access.Leased, error) {
	return asked(ctx, f, "LeaseObjects", func(ctx context.Context) ([]access.Leased, error) { return f.Store.LeaseObjects(ctx, q) })
}

func (f *faulty) RenewLeases(ctx context.Context, holder string, leases []access.Lease, until time.Time) ([]string, error) {
	return asked(ctx, f, "RenewLeases", func(ctx context.Context) ([]string, error) { return f.Store.RenewLeases(ctx, holder, leases, until) })
}

func (f *faulty) Attend(ctx context.Context, holder string) (access.Presence, error) {
	return asked(ctx, f, "Attend", func(ctx context.Context) (access.Presence, error) { return f.Store.Attend(ctx, holder) })
}

func (f *faulty) EndLeases(ctx context.Context, holders []string) error {
	return f.hook(ctx, "EndLeases", func(ctx context.Context) error { return f.Store.EndLeases(ctx, holders) })
}

func (f *faulty) Integrations(ctx context.Context) ([]*access.Integration, error) {
	return asked(ctx, f, "Integrations", f.Store.Integrations)
}

func (f *faulty) Integration(ctx context.Context, name string) (*access.Integration, error) {
	return asked(ctx, f, "Integration", func(ctx context.Context) (*access.Integration, error) { return f.Store.Integration(ctx, name) })
}

func (f *faulty) ChangeHealth(ctx context.Context, name string, change func(h *access.Health)) error {
	return f.hook(ctx, "ChangeHealth", func(ctx context.Context) error { return f.Store.ChangeHealth(ctx, name, change) })
}

func (f *faulty) Resource(ctx context.Context, integration, typ, id string) (*flow.Resource, error) {
	return asked(ctx, f, "Resource", func(ctx context.Context) (*flow.Resource, error) { return f.Store.Resource(ctx, integration, typ, id) })
}

func (f *faulty) Flows(ctx context.Context, version int) (*access.FlowVersion, error) {
	return asked(ctx, f, "Flows", func(ctx context.Context) (*access.FlowVersion, error) { return f.Store.Flows(ctx, version) })
}

func (f *faulty) Stops(ctx context.Context) ([]access.Stop, int64, error) {
	var number int64
	stops, err := asked(ctx, f, "Stops", func(ctx context.Context) (stops []access.Stop, err error) {
		stops, number, err = f.Store.Stops(ctx)
		return stops, err
	})
	return stops, number, err
}

func (f *faulty) Ledger(ctx context.Context, integration string, now time.Time) ([]access.Leased, error) {
	return asked(ctx, f, "Ledger", func(ctx context.Context) ([]access.Leased, error) { return f.Store.Ledger(ctx, integration, now) })
}

func (f *faulty) Drifts(ctx context.Context, integration string, limit int) ([]access.Drift, error) {
	return asked(ctx, f, "Drifts", func(ctx context.Context) ([]access.Drift, error) { return f.Store.Drifts(ctx, integration, limit) })
}

func (f *faulty) ClaimLetters(ctx context.Context, now, until time.Time, without []string, limit int) ([]access.ClaimedLetter, error) {
	return asked(ctx, f, "ClaimLetters", func(ctx context.Context) ([]access.ClaimedLetter, error) {
		return f.Store.ClaimLetters(ctx, now, until, without, limit)
	})
}

func (f *faulty) SettleLetter(ctx context.Context, key string, receipt []byte, failed string, again time.Time) error {
	return f.hook(ctx, "SettleLetter", func(ctx context.Context) error { return f.Store.SettleLetter(ctx, key, receipt, failed, again) })
}

var errFault = errors.New("the store failed")

// The ways in which a call of the store goes wrong.
var faultKinds = map[string]func(ctx context.Context, do func(context.Context) error) error{
	"fails": func(context.Context, func(context.Context) error) error { return errFault },
	"is done and fails": func(ctx context.Context, do func(context.Context) error) error {
		return errors.Join(do(ctx), errFault)
	},
	"is broken off": func(ctx context.Context, do func(context.Context) error) error {
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		return do(ctx)
	},
	"panics": func(context.Context, func(context.Context) error) error { panic("the store has a defect") },
}

// Whichever one call of the store goes wrong (each with GATEHOUSE_TEST_LONG set, some else), in whichever way: what was asked for comes,
// ends in time and is told once.
func TestEachCallOfTheStoreGoesWrong(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it plays hours")
	}
	for kind, fault := range faultKinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			step := 4
			switch {
			case os.Getenv("GATEHOUSE_TEST_LONG") != "":
				step = 1
			case raceEnabled:
				step = 20
			}
			calls, tried := 1, 0
			for n := 1; n <= calls; n += step {
				synctest.Test(t, func(t *testing.T) { calls = lifeWithFault(t, n, fault) })
				if tried++; t.Failed() {
					t.Fatalf("with call %d of %d", n, calls)
				}
			}
			t.Logf("%d calls went wrong, one at a time", tried)
		})
	}
}

// lifeWithFault plays a short life in which the nth call of the store goes wrong, and
// returns how many calls there were.
func lifeWithFault(t *testing.T, nth int, fault func(context.Context, func(context.Context) error) error) int {
	t.Helper()
	w := newWorld(t, "")
	plain := w.desk()
	w.setup(plain)
	var count atomic.Int64
	what := ""
	store := &faulty{Store: w.l, hook: func(ctx context.Context, call string, do func(context.Context) error) error {
		if count.Add(1) == int64(nth) {
			what = call
			return fault(ctx, do)
		}
		return do(ctx)
	}}
	d := w.desk(func(o *access.Options) {
		o.Store, o.Mailer = store, w.mail
		o.Limits = access.Limits{Poll: time.Second, Reconcile: time.Minute}
	})
	stop := w.run(d)
	// People try again, with the same key.
	again := func(what string, try func() error) {
		t.Helper()
		var err error
		for range 5 {
			if err = once(try); err == nil || errors.Is(err, access.ErrDecided) {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Errorf("%s: %v", what, err)
	}
	var mine, asks *access.Request
	again("asking for view", func() (err error) {
		mine, err = d.Request(t.Context(), access.Ask{Key: "1", By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: 20 * time.Second})
		return err
	})
	again("asking for edit", func() (err error) {
		asks, err = d.Request(t.Context(), access.Ask{Key: "2", By: w.person("ben"), Items: []access.ItemRef{ref("one", "orders", "edit")}, Duration: time.Hour, Justification: "x"})
		return err
	})
	again("agreeing", func() error {
		_, err := d.Vote(t.Context(), asks.ID, access.Ballot{By: w.person("sam"), Approve: true})
		return err
	})
	w.eventually(15*time.Second, "hers is there", func() bool {
		return w.grant(mine.Grant).State >= access.Active && !w.grant(mine.Grant).ReadyAt.IsZero()
	})
	r, err := w.l.Request(t.Context(), asks.ID)
	if err != nil {
		t.Fatal(err)
	}
	ready := w.grant(mine.Grant).ReadyAt
	again("returning", func() error {
		_, err := d.Return(t.Context(), r.Grant, w.person("ben"), "web")
		return err
	})
	time.Sleep(time.Until(ready.Add(20*time.Second + 7*time.Second)))
	if left := w.target.keys(); len(left) != 0 {
		t.Errorf("7 s after all was to end the target has %v", left)
	}
	w.eventually(time.Minute, "all has ended", func() bool {
		open, err := w.l.Grants(t.Context(), access.GrantQuery{States: []access.GrantState{access.Provisioning, access.Active, access.Revoking}})
		return err == nil && open.Total == 0
	})
	stop()
	all, err := w.l.Grants(t.Context(), access.GrantQuery{})
	if err != nil || all.Total != 2 {
		t.Errorf("there are %d grants, %v; want 2", all.Total, err)
	}
	for id, want := range map[string]access.EndReason{mine.Grant: access.Expired, r.Grant: access.Returned} {
		g := w.grant(id)
		if g.EndReason != want {
			t.Errorf("grant %s ended as %s; want %s", id, g.EndReason, want)
		}
		told := map[string]int{}
		for _, e := range w.events() {
			if e.Subject.ID == id {
				told[e.Action]++
			}
		}
		for action, n := range told {
			if n != 1 {
				t.Errorf("of grant %s the audit log tells %s %d times", id, action, n)
			}
		}
	}
	if t.Failed() {
		t.Logf("call %d, %s, went wrong", nth, what)
	}
	return int(count.Load())
}

// once is a try of a person: a panic is what a server makes an error of.
func once(try func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return try()
}

// A store that cannot be written for an hour, full or read-only: nothing new is lent, and
// what was to end then ends as soon as it can be written again.
func TestStoreCannotBeWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.setup(w.desk())
		var full atomic.Bool
		writes := []string{"Commit", "LeaseObjects", "RenewLeases", "Attend", "EndLeases", "ChangeHealth", "ClaimLetters", "SettleLetter"}
		store := &faulty{Store: w.l, hook: func(ctx context.Context, call string, do func(context.Context) error) error {
			if full.Load() && slices.Contains(writes, call) {
				return errFault
			}
			return do(ctx)
		}}
		d := w.desk(func(o *access.Options) {
			o.Store, o.Mailer = store, w.mail
			o.Limits = access.Limits{Poll: 2 * time.Second}
		})
		defer w.run(d)()
		var grants []string
		for n, who := range []string{"ann", "ben"} {
			r := w.request(d, access.Ask{By: w.person(who), Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: time.Duration(n*90+10) * time.Minute})
			grants = append(grants, r.Grant)
		}
		w.eventually(time.Minute, "both are there", func() bool {
			return w.grant(grants[0]).State == access.Active && w.grant(grants[1]).State == access.Active
		})
		full.Store(true)
		if _, err := d.Request(t.Context(), access.Ask{By: w.person("cleo"), Items: []access.ItemRef{ref("one", "payments", "view")}}); !errors.Is(err, errFault) {
			t.Errorf("asking while nothing can be written: %v", err)
		}
		time.Sleep(time.Hour)
		full.Store(false)
		w.eventually(5*time.Second, "what was to end has ended", func() bool { return w.grant(grants[0]).State == access.Ended })
		if got := w.target.keys(); len(got) != 1 || w.grant(grants[1]).State != access.Active {
			t.Errorf("the target has %v, and the other grant is %s", got, w.grant(grants[1]).State)
		}
	})
}
