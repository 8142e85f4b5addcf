package access_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// What cannot be put in place is given up, and taken away should it be there after all.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		d := w.desk()
		w.setup(d)
		w.target.setFault("one", fault{lies: true})
		defer w.run(d)()
		r := w.request(d, access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view"), ref("two", "payments", "view")}})
		time.Sleep(61 * time.Minute)
		g := w.grant(r.Grant)
		if g.State != access.Revoking || g.EndReason != access.Failed {
			t.Errorf("after an hour: %s, %s", g.State, g.EndReason)
		}
		w.target.setFault("one", fault{})
		time.Sleep(time.Minute)
		if g := w.grant(r.Grant); g.State != access.Ended || len(w.target.keys()) != 0 {
			t.Errorf("after the target is well: %s, and the target has %v", g.State, w.target.keys())
		}
	})
}

// A target that hangs delays no other.
func TestHangingTarget(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		d := w.desk()
		w.setup(d)
		defer w.run(d)()
		w.target.setFault("one", fault{hangs: true})
		for range 30 {
			for _, who := range []string{"ann", "ben", "cleo"} {
				for _, name := range []string{"payments", "orders", "search"} {
					w.request(d, access.Ask{By: w.person(who), Items: []access.ItemRef{ref("one", name, "view")}})
				}
			}
		}
		time.Sleep(10 * time.Second)
		before := time.Now()
		r := w.request(d, access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("two", "payments", "view")}})
		w.eventually(time.Second, "it is active", func() bool { return w.grant(r.Grant).State == access.Active })
		if took := time.Since(before); took > 500*time.Millisecond {
			t.Errorf("beside a hanging target it took %s", took)
		}
	})
}

func TestReconciler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		d := w.desk(func(o *access.Options) { o.Mailer = w.mail })
		w.setup(d)
		defer w.run(d)()
		r := w.request(d, access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: 2 * time.Hour})
		gone := w.request(d, access.Ask{By: w.person("ben"), Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: time.Minute})
		time.Sleep(2 * time.Minute)
		key := "one:ann@example.com:namespace/payments:view"
		w.target.put(key, nil)
		w.target.put("one:who:knows", []access.Holding{{Grant: "gunknown"}})
		w.target.put("one:ben@example.com:namespace/payments:view", []access.Holding{{Grant: gone.Grant}})
		time.Sleep(11 * time.Minute)
		if s, ok := w.target.get(key); !ok || !slices.Equal(s.grants, []string{r.Grant}) {
			t.Errorf("what was removed is not there again: %+v", s)
		}
		if _, ok := w.target.get("one:ben@example.com:namespace/payments:view"); ok {
			t.Errorf("what came back after its end is still there")
		}
		if _, ok := w.target.get("one:who:knows"); !ok {
			t.Errorf("what nobody knows was removed without being asked")
		}
		time.Sleep(10 * time.Minute)
		v, err := d.Integration(t.Context(), w.person("root"), "one")
		if err != nil || len(v.Drift) != 1 || v.Drift[0].Key != "one/one:who:knows" || v.Drift[0].Kind != "orphan" {
			t.Errorf("what stands: %+v, %v", v.Drift, err)
		}
		if !w.mail.has("email drift.found") {
			t.Errorf("drift was not told")
		}
		i := v.Integration
		i.DeleteOrphans = true
		if _, err := d.SaveIntegration(t.Context(), &i, w.person("root"), i.Version, "api"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(21 * time.Minute)
		if _, ok := w.target.get("one:who:knows"); ok {
			t.Errorf("with delete_orphans it is still there")
		}
		if v, err = d.Integration(t.Context(), w.person("root"), "one"); err != nil || len(v.Drift) != 0 {
			t.Errorf("what stands at last: %+v, %v", v.Drift, err)
		}
	})
}

// keeping is a target that keeps something of people, and whose credentials rotate.
type keeping struct {
	*port
	mu      sync.Mutex
	cleaned []string
	rotated int
}

func (k *keeping) Clean(_ context.Context, _ *access.Integration, p flow.Person) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.cleaned = append(k.cleaned, p.ID)
	return nil
}

func (k *keeping) Rotate(context.Context, *access.Integration) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.rotated++
	return nil
}

// Who is disabled without anybody being told loses all the same.
func TestDisabledUnnoticed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		d := w.desk()
		w.setup(d)
		defer w.run(d)()
		var grants []string
		for _, who := range []string{"ann", "ben"} {
			r := w.request(d, access.Ask{By: w.person(who), Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: 2 * time.Hour})
			grants = append(grants, r.Grant)
		}
		time.Sleep(time.Minute)
		w.dir.set("ann@example.com", func(p *flow.Person) { p.Disabled = true })
		time.Sleep(11 * time.Minute)
		if g := w.grant(grants[0]); g.State != access.Ended || g.EndReason != access.Left {
			t.Errorf("the grant of who is disabled is %s, %s", g.State, g.EndReason)
		}
		if g := w.grant(grants[1]); g.State != access.Active {
			t.Errorf("another's grant is %s", g.State)
		}
	})
}

func TestCleaningAndRotating(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		k := &keeping{port: w.port()}
		desk := func() *access.Desk {
			return w.desk(func(o *access.Options) { o.Provisioners = []access.Provisioner{k} })
		}
		d := desk()
		w.setup(d)
		root := w.person("root")
		v, err := d.Integration(t.Context(), root, "one")
		if err != nil {
			t.Fatal(err)
		}
		i := v.Integration
		i.CleanupDays, i.RotationDays = 1, 2
		if _, err := d.SaveIntegration(t.Context(), &i, root, i.Version, "api"); err != nil {
			t.Fatal(err)
		}
		stop := w.run(d)
		w.request(d, access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: time.Minute})
		time.Sleep(2 * time.Minute)
		stop()
		// Days are long: Gatehouse is not there for most of them.
		time.Sleep(20 * time.Hour)
		stop = w.run(desk())
		time.Sleep(time.Minute)
		stop()
		k.mu.Lock()
		if len(k.cleaned) != 0 || k.rotated != 0 {
			t.Errorf("before their time: cleaned %v, rotated %d times", k.cleaned, k.rotated)
		}
		k.mu.Unlock()
		time.Sleep(50 * time.Hour)
		defer w.run(desk())()
		time.Sleep(time.Minute)
		k.mu.Lock()
		defer k.mu.Unlock()
		if !slices.Equal(k.cleaned, []string{"ann@example.com"}) || k.rotated != 1 {
			t.Errorf("after three days: cleaned %v, rotated %d times", k.cleaned, k.rotated)
		}
		if got := w.actions("one"); !strings.Contains(got, "integration.rotated") {
			t.Errorf("the audit log has %s", got)
		}
	})
}
