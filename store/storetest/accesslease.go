package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/store"
)

func leaseObjects(t *testing.T, l access.Store, holder string, now time.Time, limit int) []access.Leased {
	t.Helper()
	out, err := l.LeaseObjects(t.Context(), access.LeaseQuery{Integration: "prod", Holder: holder, Now: now, Until: now.Add(5 * time.Second), Limit: limit})
	if err != nil {
		t.Fatalf("LeaseObjects: %v", err)
	}
	return out
}

func accessLeases(t *testing.T, _ store.Store, l access.Store) {
	mustCommit(t, l, &access.Change{Touches: []access.Touch{touch("b", start.Add(time.Second)), touch("a", start), touch("later", start.Add(time.Hour))}})
	if got := leaseObjects(t, l, "one", start.Add(-time.Second), 10); len(got) != 0 {
		t.Errorf("before anything is due: %+v", got)
	}
	at := start.Add(2 * time.Second)
	first := leaseObjects(t, l, "one", at, 1)
	if len(first) != 1 || first[0].Object.Key != "prod/a" || first[0].Stolen || first[0].Object.Generation != 1 || first[0].Object.Applied != 0 {
		t.Fatalf("the most overdue: %+v", first)
	}
	second := leaseObjects(t, l, "two", at, 10)
	if len(second) != 1 || second[0].Object.Key != "prod/b" {
		t.Fatalf("what nobody has: %+v", second)
	}
	if got, err := l.RenewLeases(t.Context(), "one", []access.Lease{first[0].Lease, second[0].Lease}, at.Add(10*time.Second)); err != nil || !slices.Equal(got, []string{"prod/a"}) {
		t.Errorf("renewing one's own and another's: %v, %v", got, err)
	}
	// Six seconds on, the renewed one holds and the other does not.
	stolen := leaseObjects(t, l, "three", at.Add(6*time.Second), 10)
	if len(stolen) != 1 || stolen[0].Object.Key != "prod/b" || !stolen[0].Stolen || stolen[0].Lease.Fence <= second[0].Lease.Fence {
		t.Fatalf("after a lease: %+v", stolen)
	}
	late := access.Result{Lease: second[0].Lease, Holder: "two", Object: second[0].Object}
	if err := l.Commit(t.Context(), &access.Change{At: at, Results: []access.Result{late}}); !errors.Is(err, access.ErrConflict) {
		t.Errorf("a result under a lease that was lost: %v", err)
	}
	if got, err := l.RenewLeases(t.Context(), "two", []access.Lease{second[0].Lease}, at.Add(time.Hour)); err != nil || len(got) != 0 {
		t.Errorf("renewing what was lost: %v, %v", got, err)
	}
	o := stolen[0].Object
	o.Applied, o.AppliedAt, o.NextTry, o.Kept = o.Generation, at, time.Time{}, []byte(`{"uid":"1"}`)
	mustCommit(t, l, &access.Change{Results: []access.Result{{Lease: stolen[0].Lease, Holder: "three", Object: o}}})
	got, err := l.Objects(t.Context(), []string{"prod/b", "none"})
	if err != nil || len(got) != 1 || cmp.Diff(o, got[0]) != "" {
		t.Errorf("after a result (-want +got): %v\n%s", err, cmp.Diff([]access.Object{o}, got))
	}
	if got := leaseObjects(t, l, "one", at.Add(7*time.Second), 10); len(got) != 0 {
		t.Errorf("after a result it is due: %+v", got)
	}
	if p, err := l.Pulse(t.Context()); err != nil || !p.Lanes["prod"].Equal(at.Add(10*time.Second)) {
		t.Errorf("the lane is due at %v, %v; want the end of the lease", p.Lanes["prod"], err)
	}
}

// A result says what it was read for: a failure leaves the object due later.
func accessLateResult(t *testing.T, _ store.Store, l access.Store) {
	mustCommit(t, l, &access.Change{Touches: []access.Touch{touch("a", start)}})
	got := leaseObjects(t, l, "one", start, 1)
	o := got[0].Object
	o.Attempts, o.LastError, o.NextTry = 3, "no route to host", start.Add(4*time.Second)
	mustCommit(t, l, &access.Change{Results: []access.Result{{Lease: got[0].Lease, Holder: "one", Object: o}}})
	if got := leaseObjects(t, l, "one", start.Add(3*time.Second), 1); len(got) != 0 {
		t.Errorf("before its next try: %+v", got)
	}
	again := leaseObjects(t, l, "one", start.Add(4*time.Second), 1)
	if len(again) != 1 || again[0].Object.Attempts != 3 || again[0].Object.LastError != "no route to host" || again[0].Stolen || !again[0].Object.DueAt.Equal(start) {
		t.Errorf("at its next try: %+v", again)
	}
	late, counts, err := l.LateObjects(t.Context(), start.Add(time.Minute), 10)
	if err != nil || len(late) != 1 || counts["prod"] != 1 {
		t.Errorf("late: %+v, %v, %v", late, counts, err)
	}
	if late, _, err := l.LateObjects(t.Context(), start, 10); err != nil || len(late) != 0 {
		t.Errorf("late at its time: %+v, %v", late, err)
	}
}

// What is wished while an object is being changed is not lost by the result.
func accessTouchUnderLease(t *testing.T, _ store.Store, l access.Store) {
	mustCommit(t, l, &access.Change{Touches: []access.Touch{touch("a", start)}})
	got := leaseObjects(t, l, "one", start, 1)
	mustCommit(t, l, &access.Change{Touches: []access.Touch{touch("a", start.Add(time.Second))}})
	if got := leaseObjects(t, l, "two", start.Add(2*time.Second), 1); len(got) != 0 {
		t.Errorf("somebody else has it: %+v", got)
	}
	o := got[0].Object
	o.Applied, o.NextTry = o.Generation, time.Time{}
	// In the change of a result a touch is the newer of the two.
	mustCommit(t, l, &access.Change{Results: []access.Result{{Lease: got[0].Lease, Holder: "one", Object: o}}})
	again := leaseObjects(t, l, "two", start.Add(2*time.Second), 1)
	if len(again) != 1 || again[0].Object.Generation != 2 || again[0].Object.Applied != 1 || again[0].Stolen {
		t.Fatalf("it is to be changed again: %+v", again)
	}
	o = again[0].Object
	o.Applied, o.NextTry = o.Generation, time.Time{}
	mustCommit(t, l, &access.Change{
		Results: []access.Result{{Lease: again[0].Lease, Holder: "two", Object: o}},
		Touches: []access.Touch{touch("a", start.Add(3*time.Second)), {Key: "prod/none", Integration: "prod", DueAt: start, NextTry: start, Known: true}},
	})
	third := leaseObjects(t, l, "two", start.Add(3*time.Second), 10)
	if len(third) != 1 || third[0].Object.Generation != 3 || third[0].Object.Applied != 2 || !third[0].Object.DueAt.Equal(start.Add(3*time.Second)) {
		t.Fatalf("a touch with a result: %+v", third)
	}
}

func accessHoldings(t *testing.T, _ store.Store, l access.Store) {
	both, one := lentGrant("g1", "ann", start, "a", "b"), lentGrant("g2", "bob", start, "a")
	young := lentGrant("g3", "cleo", start, "a")
	young.State, young.ReadyAt = access.Provisioning, time.Time{}
	mustCommit(t, l, &access.Change{Grants: []*access.Grant{both, one, young}, Touches: []access.Touch{touch("a", start), touch("b", start)}})
	at := start.Add(time.Minute)
	got := map[string][]access.Holding{}
	for _, o := range leaseObjects(t, l, "one", at, 10) {
		got[o.Object.Key] = o.Holdings
	}
	want := map[string][]access.Holding{
		"prod/a": {both.Holding(0, at), one.Holding(0, at), young.Holding(0, at)},
		"prod/b": {both.Holding(1, at)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("holdings (-want +got):\n%s", diff)
	}
	if end := want["prod/a"][2].Expires; !end.Equal(at.Add(time.Hour)) {
		t.Errorf("what is being put in place ends at %v", end)
	}
	gone := next(both, func(g *access.Grant) { g.State, g.EndingAt = access.Revoking, at })
	mustCommit(t, l, &access.Change{Grants: []*access.Grant{gone}})
	ledger, err := l.Ledger(t.Context(), "prod", at)
	if err != nil || len(ledger) != 2 || len(ledger[0].Holdings) != 2 || len(ledger[1].Holdings) != 0 || ledger[0].Lease.Fence != 1 {
		t.Errorf("the ledger while one grant goes: %+v, %v", ledger, err)
	}
	open, err := l.OpenGrants(t.Context(), []string{"prod/b", "prod/none"})
	if err != nil || len(open) != 1 || cmp.Diff(gone, open[0]) != "" {
		t.Errorf("open grants of b: %+v, %v", open, err)
	}
	mustCommit(t, l, &access.Change{Grants: []*access.Grant{next(gone, func(g *access.Grant) { g.State, g.EndedAt = access.Ended, at })}})
	if open, err := l.OpenGrants(t.Context(), []string{"prod/b"}); err != nil || len(open) != 0 {
		t.Errorf("open grants after the end: %+v, %v", open, err)
	}
}

func accessDue(t *testing.T, _ store.Store, l access.Store) {
	if p, err := l.Pulse(t.Context()); err != nil || !p.Due.IsZero() || len(p.Lanes) != 0 {
		t.Errorf("the pulse of nothing: %+v, %v", p, err)
	}
	g1, g2 := lentGrant("g1", "ann", start, "a"), lentGrant("g2", "bob", start.Add(-time.Minute), "a")
	r := lentRequest("r1", "ann", start)
	mustCommit(t, l, &access.Change{At: start.Add(5 * time.Second), Grants: []*access.Grant{g1, g2}, Requests: []*access.Request{r}})
	p, err := l.Pulse(t.Context())
	if err != nil || !p.Due.Equal(g2.ExpiresAt) || !p.High.Equal(start.Add(5*time.Second)) {
		t.Errorf("the pulse: %+v, %v", p, err)
	}
	mustCommit(t, l, &access.Change{At: start})
	if after, err := l.Pulse(t.Context()); err != nil || !after.High.Equal(p.High) || after.Seq <= p.Seq {
		t.Errorf("after an older commit: %+v, %v", after, err)
	}
	due, err := l.DueGrants(t.Context(), g1.ExpiresAt, 10)
	if err != nil || len(due) != 2 || due[0].ID != "g2" {
		t.Errorf("due grants: %+v, %v", due, err)
	}
	if due, err := l.DueGrants(t.Context(), g1.ExpiresAt.Add(-time.Millisecond), 10); err != nil || len(due) != 1 {
		t.Errorf("due grants a moment before: %+v, %v", due, err)
	}
	if due, err := l.DueRequests(t.Context(), r.LapsesAt, 10); err != nil || len(due) != 1 {
		t.Errorf("due requests: %+v, %v", due, err)
	}
	done := *r
	done.Version, done.State = 2, access.Lapsed
	mustCommit(t, l, &access.Change{Requests: []*access.Request{&done}, Grants: []*access.Grant{next(g2, func(g *access.Grant) { g.State = access.Revoking })}})
	if due, err := l.DueRequests(t.Context(), r.LapsesAt, 10); err != nil || len(due) != 0 {
		t.Errorf("due requests after it lapsed: %+v, %v", due, err)
	}
	if p, err := l.Pulse(t.Context()); err != nil || !p.Due.Equal(g1.ExpiresAt) {
		t.Errorf("due after one is on its way out: %+v, %v", p, err)
	}
}
