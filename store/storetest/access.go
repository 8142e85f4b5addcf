package storetest

import (
	"errors"
	"fmt"
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
		"Holders":          accessHolders,
		"Rewind":           accessRewind,
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
