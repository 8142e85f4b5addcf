package access_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// panicking is a mailer with a defect.
type panicking struct {
	access.Mailer
	plans, delivers atomic.Int64 // so many calls panic
}

func (p *panicking) Plan(n access.Notice) ([]access.Letter, error) {
	if p.plans.Add(-1) >= 0 {
		panic("a notice of a kind that nobody knows")
	}
	return p.Mailer.Plan(n)
}

func (p *panicking) Deliver(ctx context.Context, l access.ClaimedLetter) ([]byte, error) {
	if p.delivers.Add(-1) >= 0 {
		panic("a receipt that nobody can read")
	}
	return p.Mailer.Deliver(ctx, l)
}

// A mailer with a defect costs letters and nothing else; what it could not send is sent
// once it can.
func TestMailerPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		m := &panicking{Mailer: w.mail}
		d := w.desk(func(o *access.Options) { o.Mailer = m })
		w.setup(d)
		defer w.run(d)()
		m.plans.Store(1 << 30)
		r := w.request(d, access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: time.Minute})
		w.eventually(2*time.Minute, "it has come and gone", func() bool { return w.grant(r.Grant).State == access.Ended })
		m.plans.Store(0)
		m.delivers.Store(3)
		r = w.request(d, access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: time.Minute})
		w.eventually(2*time.Minute, "it has come and gone", func() bool { return w.grant(r.Grant).State == access.Ended })
		w.eventually(10*time.Minute, "the letters are sent", func() bool { return w.mail.has("slack grant.ended") && w.mail.has("email grant.ended") })
	})
}

// broken is a provisioner whose every method that meets the target panics now and then.
type broken struct {
	*port
	on atomic.Bool
}

func (b *broken) check() {
	if b.on.Load() {
		panic("an answer that nobody expected")
	}
}

func (b *broken) Apply(ctx context.Context, i *access.Integration, w access.Wanted) (access.Applied, error) {
	b.check()
	return b.port.Apply(ctx, i, w)
}

func (b *broken) List(ctx context.Context, i *access.Integration) ([]access.Found, error) {
	b.check()
	return b.port.List(ctx, i)
}

func (b *broken) Check(ctx context.Context, i *access.Integration) ([]access.Check, error) {
	b.check()
	return b.port.Check(ctx, i)
}

func (b *broken) Discover(ctx context.Context, i *access.Integration) ([]flow.Resource, error) {
	b.check()
	return b.port.Discover(ctx, i)
}

func (b *broken) Clean(context.Context, *access.Integration, flow.Person) error {
	b.check()
	return nil
}

func (b *broken) Rotate(context.Context, *access.Integration) error {
	b.check()
	return nil
}

// A provisioner with a defect is a target that is down: it is tried again, shown on the
// integration, and what was to go goes once it is mended.
func TestProvisionerPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		b := &broken{port: w.port()}
		d := w.desk(func(o *access.Options) {
			o.Provisioners = []access.Provisioner{b}
			o.Limits = access.Limits{Poll: time.Second, Reconcile: time.Minute, Discover: 5 * time.Minute}
		})
		w.setup(d)
		defer w.run(d)()
		r := w.request(d, access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: time.Minute})
		w.eventually(time.Minute, "it is there", func() bool { return w.grant(r.Grant).State == access.Active })
		b.on.Store(true)
		time.Sleep(20 * time.Minute)
		if g := w.grant(r.Grant); g.State != access.Revoking {
			t.Errorf("while nothing can be done it is %s", g.State)
		}
		i, err := w.l.Integration(t.Context(), "one")
		if err != nil || i.Health.OK() || i.Health.Error == "" || i.Health.ReconcileError == "" {
			t.Errorf("the integration's health: %+v, %v", i.Health, err)
		}
		b.on.Store(false)
		w.eventually(7*time.Second, "it has ended", func() bool { return w.grant(r.Grant).State == access.Ended })
		w.eventually(7*time.Minute, "the integration is well", func() bool {
			i, err := w.l.Integration(t.Context(), "one")
			return err == nil && i.Health.OK() && i.Health.ReconcileError == ""
		})
	})
}

// A target that answers an hour long with anything but what it was asked for: what was to
// go goes within seconds of its being well, once, and what was asked for comes.
func TestHourOfTrouble(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]fault{
		"too many requests":      {err: errors.New("429 Too Many Requests")},
		"unavailable":            {err: errors.New("503 Service Unavailable")},
		"garbage":                {err: errors.New("invalid character '<' looking for beginning of value")},
		"nothing":                {hangs: true},
		"slowly":                 {slow: 25 * time.Second, err: errors.New("504 Gateway Timeout")},
		"done, and says error":   {lies: true},
		"not done, and says yes": {loses: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hour := time.Hour
			if raceEnabled {
				hour = 10 * time.Minute // an hour takes minutes then
			}
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, "")
				d := w.desk(func(o *access.Options) { o.Limits.Provision = 3 * time.Hour })
				w.setup(d)
				defer w.run(d)()
				lend := func(who string, lasts time.Duration) string {
					return w.request(d, access.Ask{By: w.person(who), Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: lasts}).Grant
				}
				goes, stays := lend("ann", 5*time.Minute), lend("ben", 2*time.Hour)
				returned := lend("boss", 2*time.Hour)
				for _, id := range []string{goes, stays, returned} {
					w.eventually(time.Minute, "it is there", func() bool { return w.grant(id).State == access.Active })
				}
				w.target.setFault("one", f)
				time.Sleep(time.Minute)
				comes := lend("cleo", 2*time.Hour)
				if _, err := d.Return(t.Context(), returned, w.person("boss"), "web"); err != nil {
					t.Fatal(err)
				}
				time.Sleep(hour)
				w.target.setFault("one", fault{})
				// What is slow is under way still, and a probe of a target that was down is one
				// a second.
				w.eventually(removalAfter, "what was to go has gone", func() bool {
					return w.grant(goes).State == access.Ended && w.grant(returned).State == access.Ended
				})
				w.eventually(comingAfter, "what was asked for has come", func() bool { return w.grant(comes).State == access.Active })
				if g := w.grant(stays); g.State != access.Active {
					t.Errorf("what was there before is %s", g.State)
				}
				time.Sleep(time.Minute)
				want := []string{"one:ben@example.com:namespace/payments:view", "one:cleo@example.com:namespace/payments:view"}
				if got := w.target.keys(); len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
					t.Errorf("the target has %v; want %v", got, want)
				}
				for id, want := range map[string]string{goes: "expired", returned: "returned"} {
					if told := w.actions(id); told != "grant.created grant.ready grant."+want+" grant.ended" {
						t.Errorf("the audit log tells %s", told)
					}
				}
			})
		})
	}
}

const (
	// removalAfter is the longest wait between two tries to take access away, an operation
	// that is under way, and the work.
	removalAfter = 5*time.Second + 30*time.Second + 2*time.Second
	// comingAfter is that of giving access.
	comingAfter = 30*time.Second + 30*time.Second + 2*time.Second
)
