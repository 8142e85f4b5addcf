package access_test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
)

// Whatever people do in the very moment in which a grant expires, at two desks at once: it
// ends once, or was lengthened before, and never comes back.
func TestAtTheMomentOfExpiry(t *testing.T) {
	t.Parallel()
	rounds := 3
	if raceEnabled {
		rounds = 1
	}
	if os.Getenv("GATEHOUSE_TEST_LONG") != "" {
		rounds = 30
	}
	for _, early := range []time.Duration{-time.Millisecond, 0, time.Microsecond, 5 * time.Millisecond} {
		t.Run(fmt.Sprint(early, " before"), func(t *testing.T) {
			t.Parallel()
			for range rounds {
				synctest.Test(t, func(t *testing.T) { atTheMoment(t, early) })
			}
		})
	}
}

func atTheMoment(t *testing.T, early time.Duration) {
	t.Helper()
	w := newWorld(t, "")
	one := w.desk(func(o *access.Options) { o.Limits = access.Limits{Poll: time.Second, Reconcile: time.Hour} })
	two := w.desk(func(o *access.Options) { o.Limits = access.Limits{Poll: time.Second, Reconcile: time.Hour} })
	w.setup(one)
	defer w.run(one)()
	defer w.run(two)()
	grants := map[string]string{}
	for _, who := range []string{"ann", "ben", "cleo", "boss"} {
		grants[who] = w.request(one, access.Ask{By: w.person(who), Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: time.Minute}).Grant
	}
	for who := range grants {
		w.eventually(time.Minute, "it is there", func() bool { return w.grant(grants[who]).State == access.Active })
	}
	end := w.grant(grants["ann"]).ExpiresAt
	time.Sleep(time.Until(end.Add(-early)))
	var all sync.WaitGroup
	try := func(do func() error) {
		all.Go(func() {
			err := do()
			for _, may := range []error{nil, access.ErrEnded, access.ErrConflict, access.ErrStopped} {
				if errors.Is(err, may) {
					return
				}
			}
			t.Errorf("%v", err)
		})
	}
	var lengthened bool
	try(func() error {
		_, err := one.Extend(t.Context(), grants["ann"], w.person("ann"), 5*time.Minute, "x", "web")
		lengthened = err == nil
		return err
	})
	try(func() error { _, err := two.Return(t.Context(), grants["ben"], w.person("ben"), "web"); return err })
	try(func() error {
		_, err := one.Revoke(t.Context(), grants["ben"], w.person("root"), "x", "web")
		return err
	})
	try(func() error {
		_, err := two.Extend(t.Context(), grants["cleo"], w.person("cleo"), 0, "x", "web")
		return err
	})
	try(func() error {
		_, err := one.Panic(t.Context(), access.StopScope{Kind: "person", Person: "cleo@example.com"}, w.person("root"), "x", "web")
		return err
	})
	try(func() error { return two.PersonLeft(t.Context(), "boss@example.com", "x") })
	all.Wait()
	time.Sleep(5 * time.Second)
	for who, id := range grants {
		g := w.grant(id)
		key := "one:" + who + "@example.com:namespace/payments:view"
		_, there := w.target.get(key)
		if who == "ann" && lengthened {
			if g.State != access.Active || !g.ExpiresAt.Equal(end.Add(5*time.Minute)) || !there {
				t.Errorf("what was lengthened is %s until %v, there: %v", g.State, g.ExpiresAt, there)
			}
			continue
		}
		if g.State != access.Ended || there {
			t.Errorf("that of %s is %s, there: %v", who, g.State, there)
		}
		if told := w.actions(id); told != "grant.created grant.ready grant."+verbs[g.EndReason]+" grant.ended" && told != "grant.created grant.ready grant.extended grant."+verbs[g.EndReason]+" grant.ended" {
			t.Errorf("of that of %s the audit log tells %s", who, told)
		}
	}
	time.Sleep(6 * time.Minute)
	if left := w.target.keys(); len(left) != 0 {
		t.Errorf("in the end the target has %v", left)
	}
}

// A thousand grants (with GATEHOUSE_TEST_LONG set; else some hundred) that share one object: it stands until the last of them has ended, and
// each is called ended once it has.
func TestThousandGrantsOfOneObject(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		d := w.desk()
		w.setup(d)
		defer w.run(d)()
		count := 300
		switch {
		case os.Getenv("GATEHOUSE_TEST_LONG") != "":
			count = 1000
		case raceEnabled:
			count = 50
		}
		var grants []string
		for n := range count {
			r := w.request(d, access.Ask{
				Key: fmt.Sprint(n), By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: time.Duration(n%10+1) * time.Minute,
			})
			grants = append(grants, r.Grant)
		}
		const key = "one:ann@example.com:namespace/payments:view"
		w.eventually(time.Minute, "all are there", func() bool {
			page, err := w.l.Grants(t.Context(), access.GrantQuery{States: []access.GrantState{access.Active}, Limit: 1})
			return err == nil && page.Total == count
		})
		time.Sleep(10*time.Minute - 30*time.Second)
		if s, ok := w.target.get(key); !ok || len(s.grants) != count/10 {
			t.Errorf("before the last of them end the target has it for %d", len(s.grants))
		}
		w.eventually(35*time.Second, "it is gone", func() bool { _, ok := w.target.get(key); return !ok })
		w.eventually(5*time.Second, "all have ended", func() bool {
			page, err := w.l.Grants(t.Context(), access.GrantQuery{States: []access.GrantState{access.Ended}, Limit: 1})
			return err == nil && page.Total == count
		})
		if g := w.grant(grants[0]); g.EndedAt.Sub(g.EndingAt) > 5*time.Second {
			t.Errorf("the first ended %s after its time", g.EndedAt.Sub(g.EndingAt))
		}
	})
}

// However asking for access and removing its integration meet: nothing is lent from an
// integration that is not there, for nobody would take it back.
func TestIntegrationRemovedWhileAsking(t *testing.T) {
	t.Parallel()
	w := fileWorld(t)
	one, two := w.desk(), w.desk()
	w.setup(one)
	root := w.person("root")
	for n := range 10 {
		var both sync.WaitGroup
		for range 4 {
			both.Go(func() {
				_, err := one.Request(t.Context(), access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("two", "orders", "view")}})
				if err != nil && !errors.Is(err, access.ErrNotFound) && !errors.Is(err, access.ErrConflict) && !errors.Is(err, access.ErrStopped) {
					t.Errorf("asking: %v", err)
				}
			})
		}
		var removed error
		both.Go(func() { removed = two.DeleteIntegration(t.Context(), "two", root, 0, "web") })
		both.Wait()
		open, err := w.l.Grants(t.Context(), access.GrantQuery{Integration: "two", States: []access.GrantState{access.Provisioning, access.Active, access.Revoking}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.l.Integration(t.Context(), "two")
		switch {
		case errors.Is(err, access.ErrNotFound) && open.Total > 0:
			t.Fatalf("round %d: %d grants are open on an integration that is not there", n, open.Total)
		case err == nil && removed == nil:
			t.Fatal("it was removed and is there")
		case err == nil:
			return // grants keep it; there is nothing more to race for
		}
		if _, err := one.SaveIntegration(t.Context(), &access.Integration{Name: "two", Type: "fake"}, root, 0, "api"); err != nil {
			t.Fatal(err)
		}
		if _, err := one.DiscoverNow(t.Context(), "two", root, "api"); err != nil {
			t.Fatal(err)
		}
	}
}

// verbs are what the audit log says of the end of a grant.
var verbs = map[access.EndReason]string{
	access.Expired: "expired", access.Returned: "returned", access.Revoked: "revoked", access.Panic: "stopped", access.Left: "withdrawn",
}
