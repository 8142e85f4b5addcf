package storetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// call is one call to a route or, without one, to a path.
func call(id, method, route, path string, status int, at time.Time) *transaction.Transaction {
	latency := int64(10 + len(id))
	t := &transaction.Transaction{
		ID: id, Account: "111122223333", Region: "eu-west-1", APIID: "api1", APIType: transaction.REST, Stage: "prod",
		Time: transaction.Time(at.UnixMilli()), Method: method, Path: path, Route: route,
		Response: &transaction.Response{Status: status}, LatencyMS: &latency, Visibility: transaction.Full,
		Caller: &transaction.Caller{Kind: transaction.CallerIAM, ARN: "arn:aws:iam::1:user/" + id, Account: "1"},
	}
	if route != "" {
		t.RouteSource = transaction.RouteFromAccessLog
	}
	return t
}

// calls are n calls to n endpoints.
func calls(n int) []*transaction.Transaction {
	out := make([]*transaction.Transaction, 0, n)
	for i := range n {
		route := fmt.Sprintf("/things%d/{id}", i)
		out = append(out, call(fmt.Sprintf("t%d", i), "GET", route, "", 200, start))
	}
	return out
}

// all returns every endpoint in the order of routes.
func all(t *testing.T, s store.Store) []inventory.Endpoint {
	t.Helper()
	page, err := s.Endpoints(t.Context(), inventory.Query{Limit: -1})
	if err != nil {
		t.Fatalf("Endpoints: %v", err)
	}
	return page.Endpoints
}

func detail(t *testing.T, s store.Store, id string) *inventory.Detail {
	t.Helper()
	d, err := s.Endpoint(t.Context(), id)
	if err != nil {
		t.Fatalf("Endpoint %s: %v", id, err)
	}
	return d
}

func save(t *testing.T, s store.Store, inv *inventory.Inventory) {
	t.Helper()
	commit(t, s, &collect.Checkpoint{Changes: []any{inv.Changes()}})
}

func commitChanges(t *testing.T, s store.Store, c *inventory.Changes) {
	t.Helper()
	commit(t, s, &collect.Checkpoint{Changes: []any{c}})
}

func newInventory() *inventory.Inventory {
	return inventory.New(inventory.Options{Clock: func() time.Time { return start }})
}

func changesApplyOnce(t *testing.T, place Place) {
	s := open(t, place)
	inv := newInventory()
	inv.Observe(calls(2))
	c := &collect.Checkpoint{Changes: []any{inv.Changes()}}
	commit(t, s, c)
	commit(t, s, c) // as if the answer to the first had been lost
	minutes, err := s.Traffic(t.Context(), "", start.Add(-time.Hour), start.Add(time.Hour))
	if err != nil {
		t.Fatalf("Traffic: %v", err)
	}
	if len(minutes) != 1 || minutes[0].Calls != 2 {
		t.Errorf("minutes after the same changes twice: %+v; want 2 calls", minutes)
	}
}

func changesWithoutGap(t *testing.T, place Place) {
	s := open(t, place)
	inv := newInventory()
	inv.Observe(calls(1))
	_ = inv.Changes() // lost
	inv.Observe(calls(1))
	err := s.Commit(t.Context(), &collect.Checkpoint{Changes: []any{inv.Changes()}})
	if !errors.Is(err, store.ErrSequence) {
		t.Errorf("Commit after lost changes: %v; want ErrSequence", err)
	}
	save2 := newInventory()
	save2.Observe(calls(1))
	save(t, s, save2)
	// An inventory that was not loaded from this store must not overwrite it.
	other := newInventory()
	other.Observe(calls(1))
	_ = other.Changes()
	other.Observe(calls(1))
	_ = other.Changes()
	other.Observe(calls(1))
	err = s.Commit(t.Context(), &collect.Checkpoint{Changes: []any{other.Changes()}})
	if !errors.Is(err, store.ErrSequence) {
		t.Errorf("Commit of a strange inventory: %v; want ErrSequence", err)
	}
}

// inventoryGoesOn stops and loads an inventory between every two batches; the
// endpoints must be those of one that never stopped.
func inventoryGoesOn(t *testing.T, place Place) {
	s := open(t, place)
	whole, restarted := newInventory(), newInventory()
	batches := make([][]*transaction.Transaction, 0, 8)
	for i := range 8 {
		at := start.Add(time.Duration(i) * 70 * time.Second)
		batch := make([]*transaction.Transaction, 0, 120)
		for j := range 40 {
			id := fmt.Sprintf("%d-%d", i, j)
			batch = append(batch,
				call("r"+id, "GET", "/pets/{petId}", "", []int{200, 200, 404, 500}[j%4], at),
				call("l"+id, "POST", "", fmt.Sprintf("/users/%s%c/orders", []string{"ann", "bob", "cy"}[j%3], 'a'+i), 201, at),
				call("p"+id, "GET", "", "/wp-admin", 404, at))
		}
		batches = append(batches, batch)
	}
	for _, batch := range batches {
		whole.Observe(batch)
		restarted.Observe(batch)
		save(t, s, restarted)
		s = reopen(t, place, s)
		restarted = newInventory()
		if err := restarted.Load(t.Context(), s); err != nil {
			t.Fatalf("Load: %v", err)
		}
	}
	// What a store does not see is compared by saving the whole one as well.
	want, got := whole.Live(), restarted.Live()
	slices.SortFunc(want.Newest, func(a, b inventory.Endpoint) int { return cmpString(a.ID, b.ID) })
	slices.SortFunc(got.Newest, func(a, b inventory.Endpoint) int { return cmpString(a.ID, b.ID) })
	want.Until, want.CallsPerSecond = time.Time{}, nil
	got.Until, got.CallsPerSecond = time.Time{}, nil
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("inventory after restarts (-want +got):\n%s", d)
	}
	if n := len(all(t, s)); n != want.Endpoints {
		t.Errorf("%d endpoints in the store; want %d", n, want.Endpoints)
	}
}

func cmpString(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	default:
		return 0
	}
}

func mergedEndpointsHaveAlias(t *testing.T, place Place) {
	s := open(t, place)
	inv := newInventory()
	names := []string{"ann", "bob", "cyd", "dan", "eve", "fay", "gus"}
	var ids []string
	for i, name := range names {
		inv.Observe([]*transaction.Transaction{call(name, "GET", "", "/users/"+name+"/orders", 200, start)})
		save(t, s, inv)
		if i == 0 {
			ids = append(ids, all(t, s)[0].ID)
		}
	}
	got := all(t, s)
	if len(got) != 1 || got[0].Route != "/users/{userId}/orders" || got[0].Calls != int64(len(names)) {
		t.Fatalf("endpoints: %+v; want one of %d calls", got, len(names))
	}
	d := detail(t, s, ids[0])
	if d.ID != got[0].ID {
		t.Errorf("the old ID leads to %s; want %s", d.ID, got[0].ID)
	}
	if d.Callers != int64(len(names)) || len(d.Samples) == 0 {
		t.Errorf("merged endpoint has %d callers and %d samples", d.Callers, len(d.Samples))
	}
	if _, err := s.Endpoint(t.Context(), "nothing"); !errors.Is(err, inventory.ErrNotFound) {
		t.Errorf("Endpoint of an unknown ID: %v; want ErrNotFound", err)
	}
}

func samplesFollowEndpoints(t *testing.T, place Place) {
	s := open(t, place)
	inv := newInventory()
	for i := range 10 {
		at := start.Add(time.Duration(i) * time.Hour)
		for _, status := range []int{200, 404, 500} {
			id := fmt.Sprintf("h%d-%d", i, status)
			inv.Observe([]*transaction.Transaction{call(id, "GET", "/pets/{id}", "/pets/1", status, at)})
		}
		inv = saveAndLoad(t, s, inv)
	}
	d := detail(t, s, all(t, s)[0].ID)
	got := make([]string, 0, len(d.Samples))
	for _, sample := range d.Samples {
		got = append(got, sample.ID)
	}
	slices.Sort(got)
	if d := cmp.Diff([]string{"h9-200", "h9-404", "h9-500"}, got); d != "" {
		t.Errorf("samples (-want +got):\n%s", d)
	}
	if d.Statuses[404] != 10 || d.Kinds[transaction.CallerIAM] != 30 || d.Visibilities[transaction.Full] != 30 {
		t.Errorf("detail: %+v", d)
	}
}

func saveAndLoad(t *testing.T, s store.Store, inv *inventory.Inventory) *inventory.Inventory {
	t.Helper()
	save(t, s, inv)
	inv = inventory.New(inventory.Options{Clock: func() time.Time { return start.Add(24 * time.Hour) }})
	if err := inv.Load(t.Context(), s); err != nil {
		t.Fatalf("Load: %v", err)
	}
	return inv
}

func trafficByMinute(t *testing.T, place Place) {
	s := open(t, place)
	inv := newInventory()
	minute := start.Truncate(time.Minute)
	for _, seconds := range []int{0, 59, 60, 200, 0} { // the last comes late
		at := minute.Add(time.Duration(seconds) * time.Second)
		inv.Observe([]*transaction.Transaction{call(fmt.Sprint("t", seconds), "GET", "/a", "", 503, at)})
		save(t, s, inv)
	}
	want := []inventory.Minute{
		{Time: minute, Calls: 3, Errors5xx: 3, Full: 3},
		{Time: minute.Add(time.Minute), Calls: 1, Errors5xx: 1, Full: 1},
		{Time: minute.Add(3 * time.Minute), Calls: 1, Errors5xx: 1, Full: 1},
	}
	for _, c := range []struct {
		api      string
		from, to time.Time
		want     []inventory.Minute
	}{
		{"", minute, minute.Add(4 * time.Minute), want},
		{"111122223333/eu-west-1/api1/prod", minute, minute.Add(4 * time.Minute), want},
		{"", minute.Add(time.Second), minute.Add(3 * time.Minute), want[1:2]},
		{"", minute, minute.Add(3*time.Minute + time.Second), want},
		{"other", minute, minute.Add(time.Hour), []inventory.Minute{}},
	} {
		got, err := s.Traffic(t.Context(), c.api, c.from, c.to)
		if err != nil {
			t.Fatalf("Traffic: %v", err)
		}
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("Traffic(%q, %s, %s) (-want +got):\n%s", c.api, c.from, c.to, d)
		}
	}
}

func oldMinutesAreForgotten(t *testing.T, place Place) {
	now := start
	s := openAt(t, place, func() time.Time { return now })
	inv := inventory.New(inventory.Options{Clock: func() time.Time { return now }})
	for range 40 {
		inv.Observe([]*transaction.Transaction{call("t", "GET", "/a", "", 200, now)})
		save(t, s, inv)
		now = now.Add(24 * time.Hour)
	}
	got, err := s.Traffic(t.Context(), "", start.Add(-time.Hour), now)
	if err != nil {
		t.Fatalf("Traffic: %v", err)
	}
	if len(got) < 29 || len(got) > 32 {
		t.Errorf("%d minutes of 40 days are left; want those of 30 days", len(got))
	}
}

func estateNamesAPIs(t *testing.T, place Place) {
	s := open(t, place)
	inv := newInventory()
	inv.Observe(calls(1))
	save(t, s, inv)
	err := s.SaveEstate(t.Context(), &estate.Snapshot{Accounts: []estate.Account{{
		ID: "111122223333", Regions: []estate.Region{{Name: "eu-west-1", APIs: []estate.API{{ID: "api1", Name: "Orders"}}}},
	}}})
	if err != nil {
		t.Fatalf("SaveEstate: %v", err)
	}
	inv.Observe(append(calls(1), call("p", "GET", "", "/none", 404, start))) // an inventory without names
	save(t, s, inv)
	if got := all(t, s)[0].APIName; got != "Orders" {
		t.Errorf("API name %q; want the one of the estate", got)
	}
}

// readersDoNotWait reads while commits go on: every answer is of one state.
func readersDoNotWait(t *testing.T, place Place) {
	s := open(t, place)
	inv := newInventory()
	inv.Observe(calls(50))
	save(t, s, inv)
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				page, err := s.Endpoints(t.Context(), inventory.Query{})
				if err != nil {
					t.Errorf("Endpoints beside commits: %v", err)
					return
				}
				for _, e := range page.Endpoints {
					if e.Calls != page.Endpoints[0].Calls {
						t.Errorf("a page mixes %d and %d calls", e.Calls, page.Endpoints[0].Calls)
						return
					}
				}
			}
		})
	}
	for range 15 {
		inv.Observe(calls(50))
		save(t, s, inv)
	}
	close(done)
	wg.Wait()
}
