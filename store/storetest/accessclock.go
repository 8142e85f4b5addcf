package storetest

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/store"
)

func gone(t *testing.T, l access.Store) []string {
	t.Helper()
	p, err := l.Pulse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p.Gone
}

// eventuallyGone waits until the store knows that a holder is gone: a server may take a
// moment to notice.
func eventuallyGone(t *testing.T, l access.Store, want ...string) {
	t.Helper()
	var got []string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if got = gone(t, l); cmp.Equal(want, got) {
			return
		}
	}
	t.Fatalf("gone are %v; want %v", got, want)
}

// What a holder has leased is another's as soon as the holder is known to be gone, and
// nothing that the holder does afterwards counts.
func accessHolders(t *testing.T, _ store.Store, l access.Store) {
	one, err := l.Attend(t.Context(), "one")
	if err != nil {
		t.Fatal(err)
	}
	two, err := l.Attend(t.Context(), "two")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = two.Close() })
	mustCommit(t, l, &access.Change{Touches: []access.Touch{touch("a", start), touch("b", start)}})
	mine := leaseObjects(t, l, "one", start, 1)
	if got := gone(t, l); len(got) != 0 {
		t.Errorf("while both are there %v are gone", got)
	}
	if err := errors.Join(one.Check(t.Context()), two.Check(t.Context())); err != nil {
		t.Errorf("while both are there: %v", err)
	}
	if err := one.Close(); err != nil {
		t.Fatal(err)
	}
	eventuallyGone(t, l, "one")
	if got := leaseObjects(t, l, "two", start, 10); len(got) != 1 || got[0].Lease.Key != "prod/b" || got[0].Stolen {
		t.Errorf("before its leases are ended: %+v", got)
	}
	if err := l.EndLeases(t.Context(), []string{"one"}); err != nil {
		t.Fatal(err)
	}
	if got := gone(t, l); len(got) != 0 {
		t.Errorf("after its leases are ended %v are gone", got)
	}
	p, err := l.Pulse(t.Context())
	if err != nil || !p.Lanes["prod"].Equal(start) {
		t.Errorf("the pulse does not show what can be taken: %+v, %v", p, err)
	}
	got := leaseObjects(t, l, "two", start, 10)
	if len(got) != 1 || got[0].Lease.Key != "prod/a" || !got[0].Stolen || got[0].Lease.Fence <= mine[0].Lease.Fence {
		t.Fatalf("after its leases are ended: %+v", got)
	}
	o := mine[0].Object
	if err := l.Commit(t.Context(), &access.Change{Results: []access.Result{{Lease: mine[0].Lease, Holder: "one", Object: o}}}); !errors.Is(err, access.ErrConflict) {
		t.Errorf("a result of one who is gone: %v", err)
	}
	// Whoever was taken for gone by mistake gets to know.
	if err := l.EndLeases(t.Context(), []string{"two"}); err != nil {
		t.Fatal(err)
	}
	if err := two.Check(t.Context()); err == nil {
		t.Error("who was taken for gone is told that all is well")
	}
}

// Setting the time back moves what is waited for, as one step, and nothing that has ended.
func accessRewind(t *testing.T, s store.Store, l access.Store) {
	by := 24 * time.Hour
	to := start
	from := to.Add(by)
	active := lentGrant("g1", "ann", from.Add(-time.Minute), "a") // told by the false clock
	early := lentGrant("g2", "bob", to.Add(-time.Hour), "b")      // of before the jump
	early.ExpiresAt = from.Add(time.Hour)
	ended := lentGrant("g3", "cleo", from, "c")
	ended.State, ended.EndedAt = access.Ended, from
	leaving := lentGrant("g4", "ann", from, "d")
	leaving.State, leaving.EndingAt = access.Revoking, from.Add(-time.Second)
	r := lentRequest("r9", "ann", from.Add(-time.Hour))
	mustCommit(t, l, &access.Change{
		At: from, Grants: []*access.Grant{active, early, ended, leaving}, Requests: []*access.Request{r},
		Touches:      []access.Touch{touch("a", from), touch("b", from), touch("c", from), touch("d", from)},
		Letters:      []access.Letter{{Key: "k", Channel: "slack", At: from.Add(time.Minute)}},
		Integrations: []*access.Integration{{Name: "prod", Version: 1, Health: access.Health{CheckedAt: from, ReconciledAt: to.Add(-time.Minute)}}},
	})
	leased := leaseObjects(t, l, "one", from, 1)
	o := leased[0].Object
	o.NextTry, o.Recheck, o.Unseen, o.UnseenUntil, o.AppliedAt = from.Add(time.Second), from.Add(30*time.Second), 1, from.Add(time.Minute), from
	mustCommit(t, l, &access.Change{At: from, Results: []access.Result{{Lease: leased[0].Lease, Holder: "one", Object: o}}})
	held := leaseObjects(t, l, "two", from, 1) // its lease moves as well

	rewind := func(from time.Time, epoch int64) error {
		return l.Rewind(t.Context(), &access.Rewind{From: from, To: to, Epoch: epoch, Events: []audit.Event{{Actor: audit.Actor{Kind: audit.Gatehouse, Name: "gatehouse"}, Action: "clock.reset"}}})
	}
	if err := rewind(from.Add(-time.Microsecond), 0); !errors.Is(err, access.ErrConflict) || errors.Is(err, access.ErrRewound) {
		t.Errorf("from a time that somebody is beyond: %v", err)
	}
	if err := rewind(from, 1); !errors.Is(err, access.ErrRewound) {
		t.Errorf("of another epoch: %v", err)
	}
	if p, err := l.Pulse(t.Context()); err != nil || !p.High.Equal(from) || p.Epoch != 0 {
		t.Errorf("after what was refused: %+v, %v", p, err)
	}
	if err := rewind(from, 0); err != nil {
		t.Fatal(err)
	}
	p, err := l.Pulse(t.Context())
	if err != nil || !p.High.Equal(to) || p.Epoch != 1 {
		t.Errorf("the pulse: %+v, %v", p, err)
	}
	back := func(t time.Time) time.Time { return t.Add(-by) }
	for id, want := range map[string]*access.Grant{
		"g1": changed(active, func(g *access.Grant) {
			g.CreatedAt, g.ReadyAt, g.ExpiresAt = back(g.CreatedAt), back(g.ReadyAt), back(g.ExpiresAt)
		}),
		"g2": changed(early, func(g *access.Grant) { g.ExpiresAt = back(g.ExpiresAt) }),
		"g3": ended,
		"g4": changed(leaving, func(g *access.Grant) {
			g.CreatedAt, g.ReadyAt, g.ExpiresAt, g.EndingAt = back(g.CreatedAt), back(g.ReadyAt), back(g.ExpiresAt), back(g.EndingAt)
		}),
	} {
		got, err := l.Grant(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("grant %s (-want +got):\n%s", id, diff)
		}
	}
	if due, err := l.DueGrants(t.Context(), back(active.ExpiresAt), 10); err != nil || len(due) != 1 || due[0].ID != "g1" {
		t.Errorf("due at the end of the first: %+v, %v", due, err)
	}
	got, err := l.Request(t.Context(), "r9")
	if err != nil || !got.CreatedAt.Equal(back(r.CreatedAt)) || !got.LapsesAt.Equal(back(r.LapsesAt)) {
		t.Errorf("the request: %+v, %v", got, err)
	}
	if due, err := l.DueRequests(t.Context(), back(r.LapsesAt), 10); err != nil || len(due) != 1 {
		t.Errorf("due requests: %+v, %v", due, err)
	}
	objects, err := l.Objects(t.Context(), []string{o.Key, held[0].Object.Key, "prod/c"})
	if err != nil || len(objects) != 3 {
		t.Fatalf("objects: %+v, %v", objects, err)
	}
	first := objects[0]
	if first.Key != o.Key || !first.NextTry.Equal(to) || first.Generation != o.Generation+1 ||
		!first.Recheck.Equal(back(o.Recheck)) || !first.UnseenUntil.Equal(back(o.UnseenUntil)) || !first.AppliedAt.Equal(back(o.AppliedAt)) {
		t.Errorf("what is lent is not to be written once more: %+v", first)
	}
	if last := objects[2]; last.Generation != 1 || !last.NextTry.Equal(to) {
		t.Errorf("what nobody has any more: %+v", last)
	}
	if got := leaseObjects(t, l, "three", to, 10); len(got) != 3 {
		t.Errorf("while one is leased %d are taken; want 3", len(got))
	}
	end := back(held[0].Lease.Until)
	if got := leaseObjects(t, l, "four", end.Add(-time.Microsecond), 10); len(got) != 0 {
		t.Errorf("before the leases run out %d are taken", len(got))
	}
	if got := leaseObjects(t, l, "four", end, 10); len(got) != 4 {
		t.Errorf("when the leases have run out %d are taken; want 4", len(got))
	}
	if letters, err := l.ClaimLetters(t.Context(), to.Add(time.Minute), to.Add(time.Hour), nil, 10); err != nil || len(letters) != 1 {
		t.Errorf("letters: %+v, %v", letters, err)
	}
	if i, err := l.Integration(t.Context(), "prod"); err != nil || !i.Health.CheckedAt.Equal(to) || !i.Health.ReconciledAt.Equal(to.Add(-time.Minute)) {
		t.Errorf("the integration: %+v, %v", i, err)
	}
	// What was decided before it, in a time that holds no longer, is refused whole.
	epoch := int64(0)
	late := &access.Change{At: from.Add(time.Second), IfEpoch: &epoch, Requests: []*access.Request{lentRequest("r10", "ann", from)}}
	if err := l.Commit(t.Context(), late); !errors.Is(err, access.ErrRewound) || !errors.Is(err, access.ErrConflict) {
		t.Errorf("a change of before: %v", err)
	}
	if _, err := l.Request(t.Context(), "r10"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("a change of before was written: %v", err)
	}
	epoch = 1
	mustCommit(t, l, &access.Change{At: to.Add(time.Second), IfEpoch: &epoch})
	if head, err := s.AuditHead(t.Context()); err != nil || head.Seq != 1 {
		t.Errorf("the audit log has %v, %v; want one event", head, err)
	}
}

// changed is a grant as it is after a change that is no new version.
func changed(g *access.Grant, change func(*access.Grant)) *access.Grant {
	c := *g
	change(&c)
	return &c
}
