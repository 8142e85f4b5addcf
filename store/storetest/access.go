package storetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/store"
)

// exerciseAccess is the suite of what keeps lending.
func exerciseAccess(t *testing.T, newPlace func(t *testing.T) Place) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T, s store.Store, l access.Store){
		"RoundTrip":        accessRoundTrip,
		"VersionsCompare":  accessVersions,
		"ChangeIsAtomic":   accessAtomic,
		"OneWins":          accessOneWins,
		"Leases":           accessLeases,
		"LateResult":       accessLateResult,
		"TouchUnderLease":  accessTouchUnderLease,
		"Holdings":         accessHoldings,
		"Due":              accessDue,
		"Pages":            accessPages,
		"Resources":        accessResources,
		"Integrations":     accessIntegrations,
		"Flows":            accessFlows,
		"Stops":            accessStops,
		"Outbox":           accessOutbox,
		"Leavers":          accessLeavers,
		"Drift":            accessDrift,
		"NothingIsInvalid": accessInvalid,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, newPlace(t))
			l, err := s.Lending()
			if err != nil {
				t.Fatal(err)
			}
			test(t, s, l)
		})
	}
}

func lentItem(integration, resource string) flow.Item {
	return flow.Item{
		Resource:   flow.Resource{Integration: integration, Type: "namespace", ID: resource, Name: resource, Permissions: []string{"view", "edit"}, Tags: map[string]string{"team": "a"}},
		Permission: "edit",
	}
}

func lentRequest(id, by string, at time.Time) *access.Request {
	return &access.Request{
		ID: id, Version: 1, By: flow.Person{ID: by, Groups: []string{"dev"}}, For: flow.Person{ID: by}, Items: []flow.Item{lentItem("prod", "payments")},
		Duration: time.Hour, Justification: "an incident", State: access.Pending, CreatedAt: at, LapsesAt: at.Add(24 * time.Hour),
		Rule: flow.Decision{Outcome: flow.NeedsApproval, Flow: "f", MaxDuration: time.Hour},
	}
}

func lentGrant(id, person string, at time.Time, objects ...string) *access.Grant {
	g := &access.Grant{
		ID: id, Version: 1, Request: "r" + id, Flow: "f", Person: flow.Person{ID: person}, State: access.Active, Duration: time.Hour,
		CreatedAt: at, ReadyAt: at, ExpiresAt: at.Add(time.Hour),
	}
	for _, o := range objects {
		g.Items = append(g.Items, access.GrantItem{Item: lentItem("prod", o), Object: "prod/" + o})
	}
	return g
}

func touch(key string, at time.Time) access.Touch {
	return access.Touch{Key: "prod/" + key, Integration: "prod", DueAt: at, NextTry: at}
}

// next is the version after a grant, changed.
func next(g *access.Grant, change func(*access.Grant)) *access.Grant {
	n := *g
	n.Items = slices.Clone(g.Items)
	n.Version++
	change(&n)
	return &n
}

func mustCommit(t *testing.T, l access.Store, c *access.Change) {
	t.Helper()
	if c.At.IsZero() {
		c.At = start
	}
	if err := l.Commit(t.Context(), c); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

func accessRoundTrip(t *testing.T, _ store.Store, l access.Store) {
	r, g := lentRequest("r1", "ann@example.com", start), lentGrant("g1", "ann@example.com", start, "payments", "orders")
	r.Votes = []flow.Vote{{By: flow.Person{ID: "bob@example.com"}, Approve: true, At: start, Via: "slack"}}
	mustCommit(t, l, &access.Change{Requests: []*access.Request{r}, Grants: []*access.Grant{g}})
	gotR, err := l.Request(t.Context(), "r1")
	if err != nil || cmp.Diff(r, gotR) != "" {
		t.Errorf("request (-want +got): %v\n%s", err, cmp.Diff(r, gotR))
	}
	gotG, err := l.Grant(t.Context(), "g1")
	if err != nil || cmp.Diff(g, gotG) != "" {
		t.Errorf("grant (-want +got): %v\n%s", err, cmp.Diff(g, gotG))
	}
	if _, err := l.Request(t.Context(), "none"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("a request that is not there: %v", err)
	}
	if _, err := l.Grant(t.Context(), "none"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("a grant that is not there: %v", err)
	}
}

func accessVersions(t *testing.T, _ store.Store, l access.Store) {
	r, g := lentRequest("r1", "ann", start), lentGrant("g1", "ann", start, "payments")
	i := &access.Integration{Name: "prod", Version: 1, Type: "fake"}
	mustCommit(t, l, &access.Change{Requests: []*access.Request{r}, Grants: []*access.Grant{g}, Integrations: []*access.Integration{i}})
	r3, i3 := *r, *i
	r3.Version, i3.Version = 3, 3
	for name, c := range map[string]*access.Change{
		"a request that is there":    {Requests: []*access.Request{r}},
		"a request ahead":            {Requests: []*access.Request{&r3}},
		"a grant that is there":      {Grants: []*access.Grant{g}},
		"a second grant of one ask":  {Grants: []*access.Grant{func() *access.Grant { o := *g; o.ID = "g2"; return &o }()}},
		"a grant ahead":              {Grants: []*access.Grant{next(next(g, func(*access.Grant) {}), func(*access.Grant) {})}},
		"an integration":             {Integrations: []*access.Integration{i}},
		"an integration ahead":       {Integrations: []*access.Integration{&i3}},
		"flows that follow nothing":  {Flows: &access.FlowVersion{Version: 2}},
		"a stop that is not there":   {LiftStops: []string{"s1"}},
		"a lease that nobody has":    {Results: []access.Result{{Lease: access.Lease{Key: "prod/payments", Fence: 1}, Holder: "a"}}},
		"an integration with grants": {RemoveIntegration: i},
	} {
		c.At = start
		if err := l.Commit(t.Context(), c); !errors.Is(err, access.ErrConflict) {
			t.Errorf("%s: %v; want a conflict", name, err)
		}
	}
	n := next(g, func(g *access.Grant) { g.Duration = 2 * time.Hour })
	mustCommit(t, l, &access.Change{Grants: []*access.Grant{n}})
	if got, err := l.Grant(t.Context(), "g1"); err != nil || got.Version != 2 || got.Duration != 2*time.Hour {
		t.Errorf("after a change: %+v, %v", got, err)
	}
}

// A change of which any part conflicts leaves nothing behind, in the audit log either.
func accessAtomic(t *testing.T, s store.Store, l access.Store) {
	g := lentGrant("g1", "ann", start, "payments")
	mustCommit(t, l, &access.Change{Grants: []*access.Grant{g}})
	before, err := s.AuditHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	pulse, err := l.Pulse(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = l.Commit(t.Context(), &access.Change{
		At: start.Add(time.Minute), Requests: []*access.Request{lentRequest("r9", "ann", start)}, Touches: []access.Touch{touch("payments", start)},
		Stops: []access.Stop{{ID: "s1"}}, Flows: &access.FlowVersion{Version: 1}, Integrations: []*access.Integration{{Name: "x", Version: 1}},
		Events:  []audit.Event{{Actor: audit.Actor{Kind: audit.Gatehouse}, Action: "grant.ready", Subject: audit.Subject{Kind: "grant", ID: "g1"}}},
		Letters: []access.Letter{{Key: "k", Channel: "slack", At: start}},
		Grants:  []*access.Grant{lentGrant("g2", "bob", start, "orders"), g},
	})
	if !errors.Is(err, access.ErrConflict) {
		t.Fatalf("a conflict: %v", err)
	}
	if _, err := l.Request(t.Context(), "r9"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("the request of a refused change: %v", err)
	}
	if _, err := l.Grant(t.Context(), "g2"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("the grant of a refused change: %v", err)
	}
	if objects, err := l.Objects(t.Context(), []string{"prod/payments"}); err != nil || len(objects) != 0 {
		t.Errorf("the object of a refused change: %v, %v", objects, err)
	}
	if after, err := s.AuditHead(t.Context()); err != nil || after != before {
		t.Errorf("the audit log went on from %v to %v, %v", before, after, err)
	}
	if after, err := l.Pulse(t.Context()); err != nil || cmp.Diff(pulse, after) != "" {
		t.Errorf("the pulse changed: %v\n%s", err, cmp.Diff(pulse, after))
	}
	mustCommit(t, l, &access.Change{
		Grants: []*access.Grant{lentGrant("g2", "bob", start, "orders")},
		Events: []audit.Event{{Actor: audit.Actor{Kind: audit.Gatehouse}, Action: "grant.created", Subject: audit.Subject{Kind: "grant", ID: "g2"}}},
	})
	if after, err := s.AuditHead(t.Context()); err != nil || after.Seq != before.Seq+1 {
		t.Errorf("an event with its change: head %v after %v, %v", after, before, err)
	}
}

// Of many who change one thing at once, one does.
func accessOneWins(t *testing.T, _ store.Store, l access.Store) {
	r := lentRequest("r1", "ann", start)
	mustCommit(t, l, &access.Change{Requests: []*access.Request{r}})
	var wg sync.WaitGroup
	won := make(chan int, 20)
	for n := range 20 {
		wg.Go(func() {
			mine := *r
			mine.Version, mine.State = 2, access.Approved
			g := lentGrant(fmt.Sprintf("g%d", n), "ann", start, "payments")
			g.Request = "r1"
			err := l.Commit(t.Context(), &access.Change{At: start, Requests: []*access.Request{&mine}, Grants: []*access.Grant{g}})
			if err == nil {
				won <- n
			} else if !errors.Is(err, access.ErrConflict) {
				t.Errorf("Commit: %v", err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d of 20 won", len(won))
	}
	if page, err := l.Grants(t.Context(), access.GrantQuery{}); err != nil || page.Total != 1 {
		t.Errorf("%d grants, %v", page.Total, err)
	}
}

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

func accessPages(t *testing.T, _ store.Store, l access.Store) {
	const count = 57
	c := &access.Change{}
	for n := range count {
		at := start.Add(time.Duration(n/3) * time.Second)
		person := []string{"Ann@x", "bob@x"}[n%2]
		r := lentRequest(fmt.Sprintf("r%03d", n), person, at)
		g := lentGrant(fmt.Sprintf("g%03d", n), person, at, []string{"a", "b", "c"}[n%3])
		g.Request = r.ID
		if n%4 == 0 {
			r.State, r.For = access.Denied, flow.Person{ID: "cleo@x"}
			g.State = access.Ended
			r.Items[0].Resource.Integration, g.Items[0].Resource.Integration = "test", "test"
		}
		c.Requests, c.Grants = append(c.Requests, r), append(c.Grants, g)
	}
	mustCommit(t, l, c)
	seen := map[string]bool{}
	var last *access.Grant
	q := access.GrantQuery{Limit: 10}
	for range count {
		page, err := l.Grants(t.Context(), q)
		if err != nil || page.Total != count {
			t.Fatalf("a page of %d in all, %v", page.Total, err)
		}
		for _, g := range page.Grants {
			if seen[g.ID] || last != nil && last.CreatedAt.Before(g.CreatedAt) {
				t.Errorf("%s of %v comes after %v", g.ID, g.CreatedAt, last)
			}
			seen[g.ID], last = true, g
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	if len(seen) != count {
		t.Errorf("the pages have %d grants", len(seen))
	}
	for name, c := range map[string]struct {
		q    access.GrantQuery
		want int
	}{
		"person":      {access.GrantQuery{Person: "ann@X"}, 29},
		"state":       {access.GrantQuery{States: []access.GrantState{access.Ended}}, 15},
		"states":      {access.GrantQuery{States: []access.GrantState{access.Ended, access.Active}}, 57},
		"integration": {access.GrantQuery{Integration: "test"}, 15},
		"resource":    {access.GrantQuery{Integration: "prod", Resource: "a"}, 14},
		"request":     {access.GrantQuery{Request: "r007"}, 1},
	} {
		if page, err := l.Grants(t.Context(), c.q); err != nil || page.Total != c.want || len(page.Grants) != c.want {
			t.Errorf("grants by %s: %d of %d, %v; want %d", name, len(page.Grants), page.Total, err, c.want)
		}
	}
	for name, c := range map[string]struct {
		q    access.RequestQuery
		want int
	}{
		"by":          {access.RequestQuery{By: "ann@x"}, 29},
		"for":         {access.RequestQuery{For: "CLEO@x"}, 15},
		"person":      {access.RequestQuery{Person: "cleo@x"}, 15},
		"state":       {access.RequestQuery{States: []access.RequestState{access.Pending}}, 42},
		"integration": {access.RequestQuery{Integration: "test"}, 15},
	} {
		if page, err := l.Requests(t.Context(), c.q); err != nil || page.Total != c.want || len(page.Requests) != c.want {
			t.Errorf("requests by %s: %d of %d, %v; want %d", name, len(page.Requests), page.Total, err, c.want)
		}
	}
}

func accessInvalid(t *testing.T, _ store.Store, l access.Store) {
	for _, cursor := range []string{"x", "1", "1.", "x.y"} {
		if _, err := l.Grants(t.Context(), access.GrantQuery{Cursor: cursor}); !errors.Is(err, access.ErrInvalidQuery) {
			t.Errorf("grants, cursor %q: %v", cursor, err)
		}
		if _, err := l.Requests(t.Context(), access.RequestQuery{Cursor: cursor}); !errors.Is(err, access.ErrInvalidQuery) {
			t.Errorf("requests, cursor %q: %v", cursor, err)
		}
		if _, err := l.Resources(t.Context(), access.ResourceQuery{Cursor: cursor}); !errors.Is(err, access.ErrInvalidQuery) {
			t.Errorf("resources, cursor %q: %v", cursor, err)
		}
	}
	if _, err := l.Grants(t.Context(), access.GrantQuery{Resource: "a"}); !errors.Is(err, access.ErrInvalidQuery) {
		t.Errorf("a resource of no integration: %v", err)
	}
	if _, err := l.Requests(t.Context(), access.RequestQuery{Voter: "ann"}); !errors.Is(err, access.ErrInvalidQuery) {
		t.Errorf("who may vote: %v", err)
	}
}

func accessResources(t *testing.T, _ store.Store, l access.Store) {
	all := make([]flow.Resource, 0, 26)
	for n := range 25 {
		all = append(all, flow.Resource{Type: []string{"namespace", "role"}[n%2], ID: fmt.Sprintf("id%02d", n), Name: fmt.Sprintf("Name%02d", n), Permissions: []string{"view"}})
	}
	if err := l.SaveResources(t.Context(), "prod", append(slices.Clone(all), all[3])); err != nil {
		t.Fatal(err)
	}
	if err := l.SaveResources(t.Context(), "test", all[:2]); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	q := access.ResourceQuery{Limit: 7}
	for range 10 {
		page, err := l.Resources(t.Context(), q)
		if err != nil || page.Total != 27 {
			t.Fatalf("a page of %d in all, %v", page.Total, err)
		}
		for _, r := range page.Resources {
			seen[r.Integration+r.Type+r.ID] = true
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	if len(seen) != 27 {
		t.Errorf("the pages have %d resources", len(seen))
	}
	for name, c := range map[string]struct {
		q    access.ResourceQuery
		want int
	}{
		"integration": {access.ResourceQuery{Integration: "prod"}, 25},
		"type":        {access.ResourceQuery{Integration: "prod", Type: "role"}, 12},
		"text":        {access.ResourceQuery{Text: "NAME2"}, 5},
		"wildcards":   {access.ResourceQuery{Text: "%"}, 0},
	} {
		if page, err := l.Resources(t.Context(), c.q); err != nil || page.Total != c.want {
			t.Errorf("resources by %s: %d, %v; want %d", name, page.Total, err, c.want)
		}
	}
	r, err := l.Resource(t.Context(), "prod", "role", "id01")
	if err != nil || r.Name != "Name01" || r.Integration != "prod" {
		t.Errorf("one resource: %+v, %v", r, err)
	}
	if err := l.SaveResources(t.Context(), "prod", all[:1]); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Resource(t.Context(), "prod", "role", "id01"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("a resource that is gone: %v", err)
	}
}

func accessIntegrations(t *testing.T, _ store.Store, l access.Store) {
	i := &access.Integration{
		Name: "prod", Version: 1, Type: "fake", Config: map[string]string{"a": "b"}, Secret: &access.SecretRef{Environment: "PROD"},
		Owner: []flow.Principal{{Kind: "group", Value: "sre"}}, Health: access.Health{RotatedAt: start},
	}
	mustCommit(t, l, &access.Change{Integrations: []*access.Integration{i, {Name: "aaa", Version: 1, Type: "fake"}}})
	got, err := l.Integration(t.Context(), "prod")
	if err != nil || cmp.Diff(i, got) != "" {
		t.Errorf("integration (-want +got): %v\n%s", err, cmp.Diff(i, got))
	}
	if all, err := l.Integrations(t.Context()); err != nil || len(all) != 2 || all[0].Name != "aaa" {
		t.Errorf("integrations: %v, %v", all, err)
	}
	if err := l.ChangeHealth(t.Context(), "prod", func(h *access.Health) { h.Resources++ }); err != nil {
		t.Fatal(err)
	}
	got, err = l.Integration(t.Context(), "prod")
	if err != nil || got.Health.Resources != 1 || !got.Health.RotatedAt.Equal(start) || got.Version != 1 {
		t.Errorf("after a change of its health: %+v, %v", got, err)
	}
	if err := l.ChangeHealth(t.Context(), "none", func(*access.Health) {}); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("the health of nothing: %v", err)
	}
	if err := l.SaveResources(t.Context(), "prod", []flow.Resource{{Type: "t", ID: "x"}}); err != nil {
		t.Fatal(err)
	}
	mustCommit(t, l, &access.Change{RemoveIntegration: i})
	if _, err := l.Integration(t.Context(), "prod"); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("after it was removed: %v", err)
	}
	if page, err := l.Resources(t.Context(), access.ResourceQuery{}); err != nil || page.Total != 0 {
		t.Errorf("resources of a removed integration: %d, %v", page.Total, err)
	}
}

func accessFlows(t *testing.T, _ store.Store, l access.Store) {
	if _, err := l.Flows(t.Context(), 0); !errors.Is(err, access.ErrNotFound) {
		t.Errorf("flows before the first: %v", err)
	}
	for n := 1; n <= 3; n++ {
		mustCommit(t, l, &access.Change{Flows: &access.FlowVersion{Version: n, Text: fmt.Sprintf("# %d", n), By: "ann", At: start}})
	}
	for version, want := range map[int]string{0: "# 3", 2: "# 2"} {
		if v, err := l.Flows(t.Context(), version); err != nil || v.Text != want {
			t.Errorf("version %d: %+v, %v", version, v, err)
		}
	}
	versions, err := l.FlowVersions(t.Context(), 2)
	if err != nil || len(versions) != 2 || versions[0].Version != 3 || versions[0].Text != "" {
		t.Errorf("versions: %+v, %v", versions, err)
	}
}

func accessStops(t *testing.T, _ store.Store, l access.Store) {
	_, before, err := l.Stops(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stop := access.Stop{ID: "s1", Scope: access.StopScope{Kind: "person", Person: "ann"}, By: "bob", Reason: "lost laptop", At: start}
	mustCommit(t, l, &access.Change{Stops: []access.Stop{stop}, IfStops: &before})
	if err := l.Commit(t.Context(), &access.Change{At: start, IfStops: &before, Grants: []*access.Grant{lentGrant("g1", "ann", start, "a")}}); !errors.Is(err, access.ErrConflict) {
		t.Errorf("a grant that did not see the stop: %v", err)
	}
	stops, number, err := l.Stops(t.Context())
	if err != nil || len(stops) != 1 || cmp.Diff(stop, stops[0]) != "" || number == before {
		t.Errorf("stops: %+v, %d, %v", stops, number, err)
	}
	mustCommit(t, l, &access.Change{LiftStops: []string{"s1"}, IfStops: &number})
	if stops, _, err := l.Stops(t.Context()); err != nil || len(stops) != 0 {
		t.Errorf("after it was lifted: %+v, %v", stops, err)
	}
}

func accessOutbox(t *testing.T, _ store.Store, l access.Store) {
	letter := func(key, channel, thread string) access.Letter {
		return access.Letter{Key: key, Channel: channel, Thread: thread, Body: []byte(key), At: start}
	}
	mustCommit(t, l, &access.Change{Letters: []access.Letter{
		letter("1", "slack", "r1"), letter("2", "slack", "r1"), letter("3", "email", "r1"), letter("4", "slack", ""), letter("5", "slack", ""),
	}})
	mustCommit(t, l, &access.Change{Letters: []access.Letter{letter("1", "slack", "r1")}}) // known already
	claim := func(now time.Time, without ...string) []string {
		t.Helper()
		got, err := l.ClaimLetters(t.Context(), now, now.Add(time.Minute), without, 10)
		if err != nil {
			t.Fatal(err)
		}
		keys := make([]string, 0, len(got))
		for _, c := range got {
			keys = append(keys, c.Key)
		}
		slices.Sort(keys)
		return keys
	}
	if got := claim(start, "slack"); !slices.Equal(got, []string{"3"}) {
		t.Errorf("without slack: %v", got)
	}
	if got := claim(start); !slices.Equal(got, []string{"1", "4", "5"}) {
		t.Errorf("the first of each thread: %v", got)
	}
	if got := claim(start); len(got) != 0 {
		t.Errorf("what somebody has: %v", got)
	}
	for key, again := range map[string]time.Time{"1": {}, "4": {}, "5": start.Add(time.Hour), "3": {}} {
		failed := ""
		if !again.IsZero() {
			failed = "no route"
		}
		if err := l.SettleLetter(t.Context(), key, []byte("receipt "+key), failed, again); err != nil {
			t.Fatal(err)
		}
	}
	got, err := l.ClaimLetters(t.Context(), start, start.Add(time.Minute), nil, 10)
	if err != nil || len(got) != 1 || got[0].Key != "2" || len(got[0].Earlier) != 1 || string(got[0].Earlier[0]) != "receipt 1" || string(got[0].Body) != "2" {
		t.Errorf("the next of the thread: %+v, %v", got, err)
	}
	if got := claim(start.Add(2 * time.Hour)); !slices.Equal(got, []string{"2", "5"}) {
		t.Errorf("what failed, and what nobody settled: %v", got)
	}
	if err := l.ForgetLetters(t.Context(), start.Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if got := claim(start.Add(4 * time.Hour)); !slices.Equal(got, []string{"2", "5"}) {
		t.Errorf("what is not done is forgotten: %v", got)
	}
}

func accessLeavers(t *testing.T, _ store.Store, l access.Store) {
	ended := func(id, person string, at time.Time) {
		g := lentGrant(id, person, at.Add(-time.Hour), "a")
		mustCommit(t, l, &access.Change{Grants: []*access.Grant{g}})
		mustCommit(t, l, &access.Change{Grants: []*access.Grant{next(g, func(g *access.Grant) { g.State, g.EndedAt = access.Ended, at })}})
	}
	ended("g1", "ann", start)
	ended("g2", "bob", start)
	ended("g3", "bob", start.Add(time.Hour))
	ended("g4", "cleo", start)
	mustCommit(t, l, &access.Change{Grants: []*access.Grant{lentGrant("g5", "cleo", start, "a")}})
	leavers := func(before time.Time) []string {
		t.Helper()
		people, err := l.Leavers(t.Context(), "prod", before, 10)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]bool{}
		for _, p := range people {
			out[p.ID] = true
		}
		return slices.Sorted(maps.Keys(out))
	}
	if got := leavers(start); !slices.Equal(got, []string{"ann"}) {
		t.Errorf("at first: %v; bob had a later grant, cleo has one", got)
	}
	if got := leavers(start.Add(time.Hour)); !slices.Equal(got, []string{"ann", "bob"}) {
		t.Errorf("an hour later: %v", got)
	}
	mustCommit(t, l, &access.Change{Cleaned: []access.Cleaned{{Integration: "prod", Person: "ann", At: start}, {Integration: "prod", Person: "bob", At: start}}})
	if got := leavers(start.Add(time.Hour)); !slices.Equal(got, []string{"bob"}) {
		t.Errorf("after a clean-up: %v; bob's last grant ended after it", got)
	}
}

func accessDrift(t *testing.T, _ store.Store, l access.Store) {
	d := access.Drift{Integration: "prod", Key: "prod/a", Kind: "missing", First: start, Last: start}
	mended := access.Drift{Integration: "prod", Key: "prod/b", Kind: "orphan", First: start, Last: start.Add(time.Hour), Mended: start.Add(time.Hour)}
	mustCommit(t, l, &access.Change{Drifts: []access.Drift{mended, d, {Integration: "test", Key: "x", Last: start}}})
	d.Last = start.Add(time.Minute)
	mustCommit(t, l, &access.Change{Drifts: []access.Drift{d}})
	got, err := l.Drifts(t.Context(), "prod", 10)
	if err != nil || cmp.Diff([]access.Drift{d, mended}, got) != "" {
		t.Errorf("drift (-want +got): %v\n%s", err, cmp.Diff([]access.Drift{d, mended}, got))
	}
	if all, err := l.Drifts(t.Context(), "", 10); err != nil || len(all) != 3 {
		t.Errorf("all drift: %v, %v", all, err)
	}
}
