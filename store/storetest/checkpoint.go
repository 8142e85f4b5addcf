package storetest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/transaction"
)

func group(n int) collect.GroupCheckpoint {
	return collect.GroupCheckpoint{
		Group: transaction.Group{
			Account: "111122223333", Region: "eu-west-1", Name: fmt.Sprintf("API-Gateway-Execution-Logs_api%d/prod", n),
			APIID: fmt.Sprintf("api%d", n), APIType: transaction.REST, Stage: "prod", AccessFormat: `{"id":"$context.requestId"}`,
		},
		Fast: 1000 + int64(n), Slow: 900 + int64(n), From: 5, SkipFrom: 6, SkipTo: 7,
		Books: collect.Books{Read: 10, Assembled: 7, Unparsed: 1, Filtered: 1, Open: 1, Calls: 2, Late: 1},
	}
}

func load(t *testing.T, s store.Store) *collect.Checkpoint {
	t.Helper()
	c, err := s.LoadCheckpoint(t.Context())
	if err != nil {
		t.Fatalf("LoadCheckpoint: %v", err)
	}
	return c
}

func commit(t *testing.T, s store.Store, c *collect.Checkpoint) {
	t.Helper()
	if err := s.Commit(t.Context(), c); err != nil {
		t.Fatalf("Commit: %v", err)
	}
}

func diffCheckpoint(t *testing.T, want, got *collect.Checkpoint) {
	t.Helper()
	byKey := cmpopts.SortSlices(func(a, b collect.GroupCheckpoint) bool { return a.Group.Key() < b.Group.Key() })
	if d := cmp.Diff(want, got, byKey, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("checkpoint (-want +got):\n%s", d)
	}
}

func checkpointRoundTrip(t *testing.T, place Place) {
	s := open(t, place)
	diffCheckpoint(t, &collect.Checkpoint{}, load(t, s))

	one, two := group(1), group(2)
	one.Seen = []collect.Seen{{Newest: 1000, Events: []uint64{1, 1<<64 - 1}, Calls: []uint64{7}}}
	commit(t, s, &collect.Checkpoint{
		Groups: []collect.GroupCheckpoint{one, two}, Sinks: map[string]string{"file": "offset 12", "kafka": ""},
	})

	// A commit that names one group and one sink leaves the others as they were.
	next := group(1)
	next.Fast, next.Books.Read = 2000, 99
	next.Seen = []collect.Seen{{Newest: 1500, Events: []uint64{3}}}
	commit(t, s, &collect.Checkpoint{Groups: []collect.GroupCheckpoint{next}, Sinks: map[string]string{"file": "offset 99"}})

	want := next
	want.Seen = []collect.Seen{one.Seen[0], next.Seen[0]}
	s = reopen(t, place, s)
	diffCheckpoint(t, &collect.Checkpoint{
		Groups: []collect.GroupCheckpoint{want, two}, Sinks: map[string]string{"file": "offset 99", "kafka": ""},
	}, load(t, s))
}

// unknown is a change that no store knows.
type unknown struct{}

func checkpointIsAtomic(t *testing.T, place Place) {
	s := open(t, place)
	inv := inventory.New(inventory.Options{Clock: func() time.Time { return start }})
	inv.Observe(calls(3))
	before := group(1)
	commit(t, s, &collect.Checkpoint{
		Groups: []collect.GroupCheckpoint{before}, Sinks: map[string]string{"file": "1"}, Changes: []any{inv.Changes()},
	})
	want, wantEndpoints := load(t, s), all(t, s)

	inv.Observe(calls(5))
	changes := inv.Changes()
	after := group(1)
	after.Fast = 9999
	after.Seen = []collect.Seen{{Newest: 5000, Events: []uint64{4}}}
	failing := &collect.Checkpoint{
		Groups: []collect.GroupCheckpoint{after, group(2)}, Sinks: map[string]string{"file": "2"},
		Changes: []any{changes, unknown{}},
	}
	err := s.Commit(t.Context(), failing)
	if err == nil || !strings.Contains(err.Error(), "storetest.unknown") {
		t.Fatalf("Commit of an unknown change: %v; want an error that names its type", err)
	}
	diffCheckpoint(t, want, load(t, s))
	if d := cmp.Diff(wantEndpoints, all(t, s)); d != "" {
		t.Errorf("endpoints of a failed commit (-want +got):\n%s", d)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	failing.Changes = []any{changes}
	if err := s.Commit(ctx, failing); !errors.Is(err, context.Canceled) {
		t.Errorf("Commit with an ended context: %v; want context.Canceled", err)
	}
	diffCheckpoint(t, want, load(t, s))

	// The same changes are taken when they are offered again.
	commit(t, s, failing)
	if got := all(t, s); len(got) != 5 {
		t.Errorf("%d endpoints after the retry; want 5", len(got))
	}
	if got := load(t, s); len(got.Groups) != 2 || got.Sinks["file"] != "2" {
		t.Errorf("checkpoint after the retry: %+v", got)
	}
}

func seenSegmentsArePruned(t *testing.T, place Place) {
	s := open(t, place)
	for i := range int64(10) {
		g := group(1)
		g.Seen = []collect.Seen{{Newest: 1000 * i, Events: []uint64{uint64(i)}}}
		g.SeenFrom = max(0, 1000*(i-3))
		commit(t, s, &collect.Checkpoint{Groups: []collect.GroupCheckpoint{g}})
	}
	other := group(2)
	other.Seen = []collect.Seen{{Newest: 1, Events: []uint64{42}}}
	commit(t, s, &collect.Checkpoint{Groups: []collect.GroupCheckpoint{other}})

	got := load(t, s)
	for _, g := range got.Groups {
		newest := make([]int64, 0, len(g.Seen))
		for _, segment := range g.Seen {
			newest = append(newest, segment.Newest)
		}
		want := []int64{6000, 7000, 8000, 9000}
		if g.Group.Key() == other.Group.Key() {
			want = []int64{1}
		}
		if d := cmp.Diff(want, newest); d != "" {
			t.Errorf("segments of %s (-want +got):\n%s", g.Group.Key(), d)
		}
	}
}

func agedMinutesArePruned(t *testing.T, place Place) {
	s := open(t, place)
	progress := &collect.CheckProgress{
		Asked: 1, Failed: "denied", Base: 60_000, Swept: 2, Credit: -3, Unpaid: 4, Fruitless: 5, Quiet: 6,
		Short:   []collect.ShortMinute{{Minute: 120_000, Missing: 7, Tries: 8, Due: 9, Found: true, Swept: true}},
		Excused: []collect.MinuteCount{{Minute: 60_000, Events: -1}},
		Reread:  &collect.RereadProgress{Next: 1, To: 2, Minutes: []int64{120_000}, Last: true, Found: true},
	}
	for i := range int64(5) {
		g := group(1)
		g.Counted = &collect.Counted{Since: 60_000, From: 120_000, Events: []int64{3, 0, i}, Progress: progress}
		g.Aged = []collect.AgedMinute{
			{Minute: 60_000 * i, Events: []uint32{uint32(i), 0, 1<<32 - 1}},
			{Minute: 60_000 * i, Newest: 60_000*i + 7, Calls: []uint64{1<<64 - 1}},
			{Minute: 60_000 * (i - 4), Events: []uint32{99}}, // older than it says itself
		}
		g.AgedFrom = max(0, 60_000*(i-2))
		commit(t, s, &collect.Checkpoint{Groups: []collect.GroupCheckpoint{g}})
	}
	s = reopen(t, place, s)
	got := load(t, s).Groups[0]
	var want []collect.AgedMinute
	for i := int64(2); i < 5; i++ {
		want = append(want, collect.AgedMinute{Minute: 60_000 * i, Events: []uint32{uint32(i), 0, 1<<32 - 1}},
			collect.AgedMinute{Minute: 60_000 * i, Newest: 60_000*i + 7, Calls: []uint64{1<<64 - 1}})
	}
	if d := cmp.Diff(want, got.Aged, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("aged minutes (-want +got):\n%s", d)
	}
	if d := cmp.Diff(&collect.Counted{Since: 60_000, From: 120_000, Events: []int64{3, 0, 4}, Progress: progress}, got.Counted); d != "" {
		t.Errorf("counted (-want +got):\n%s", d)
	}
	// A collector that compares nothing leaves a gap, so nothing may be kept.
	g := group(1)
	g.AgedFrom = math.MaxInt64
	commit(t, s, &collect.Checkpoint{Groups: []collect.GroupCheckpoint{g}})
	if got := load(t, s).Groups[0]; len(got.Aged) != 0 || got.Counted != nil {
		t.Errorf("after AgedFrom at the end of time: %+v", got)
	}
}

func estateRoundTrip(t *testing.T, place Place) {
	s := open(t, place)
	got, err := s.LoadEstate(t.Context())
	if err != nil || got != nil {
		t.Fatalf("LoadEstate of an empty store: %v, %v; want nil, nil", got, err)
	}
	for i := range 2 {
		want := &estate.Snapshot{
			Started: start, Finished: start.Add(time.Duration(i) * time.Minute),
			Accounts: []estate.Account{
				{ID: "111122223333", Name: "orders", Regions: []estate.Region{{
					Name: "eu-west-1",
					APIs: []estate.API{{
						ID: "api1", Name: "Orders", Type: transaction.REST, Tags: map[string]string{"team": "ü"},
						Stages: []estate.Stage{{Name: "prod", LoggingLevel: "INFO", DataTrace: true}},
						Routes: []estate.Route{{Method: "GET", Path: "/orders/{id}", Authorization: "AWS_IAM"}},
					}},
					Errors: []estate.Fault{{What: "apigateway:GetStages", Error: "denied"}},
				}}},
				{ID: "444455556666", Error: "cannot assume role", Mend: "add the trust"},
			},
		}
		if err := s.SaveEstate(t.Context(), want); err != nil {
			t.Fatalf("SaveEstate: %v", err)
		}
		s = reopen(t, place, s)
		got, err = s.LoadEstate(t.Context())
		if err != nil {
			t.Fatalf("LoadEstate: %v", err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("estate (-want +got):\n%s", d)
		}
	}
}

func settings(t *testing.T, place Place) {
	s := open(t, place)
	if got, err := s.Setting(t.Context(), "instance id"); got != "" || err != nil {
		t.Errorf("Setting that was never set: %q, %v", got, err)
	}
	for _, want := range []string{"first", "second ü", ""} {
		if err := s.SetSetting(t.Context(), "instance id", want); err != nil {
			t.Fatalf("SetSetting: %v", err)
		}
		s = reopen(t, place, s)
		if got, err := s.Setting(t.Context(), "instance id"); got != want || err != nil {
			t.Errorf("Setting: %q, %v; want %q", got, err, want)
		}
	}
}

// Of many who set a key for the first time, all get what one of them set.
func settingOnce(t *testing.T, place Place) {
	s := open(t, place)
	got := make([]string, 8)
	var all sync.WaitGroup
	for n := range got {
		all.Go(func() {
			var err error
			if got[n], err = s.EnsureSetting(t.Context(), "installation", strconv.Itoa(n)); err != nil {
				t.Errorf("EnsureSetting: %v", err)
			}
		})
	}
	all.Wait()
	s = reopen(t, place, s)
	want, err := s.Setting(t.Context(), "installation")
	if err != nil || want == "" {
		t.Fatalf("Setting: %q, %v", want, err)
	}
	for n, one := range got {
		if one != want {
			t.Errorf("caller %d got %q, and %q is kept", n, one, want)
		}
	}
	if one, err := s.EnsureSetting(t.Context(), "installation", "another"); one != want || err != nil {
		t.Errorf("EnsureSetting of a key that is set: %q, %v; want %q", one, err, want)
	}
}

func lease(t *testing.T, place Place) {
	now := start
	s := openAt(t, place, func() time.Time { return now })
	acquire := func(holder string) error { return s.AcquireLease(t.Context(), "collector", holder, time.Minute) }

	if err := acquire("a"); err != nil {
		t.Fatalf("taking a free lease: %v", err)
	}
	var held *store.HeldError
	if err := acquire("b"); !errors.As(err, &held) || held.Holder != "a" || !held.Until.Equal(start.Add(time.Minute)) {
		t.Fatalf("taking a held lease: %v", err)
	}
	if err := s.AcquireLease(t.Context(), "other", "b", time.Minute); err != nil {
		t.Errorf("taking another lease: %v", err)
	}
	now = now.Add(50 * time.Second)
	if err := acquire("a"); err != nil {
		t.Errorf("prolonging a lease: %v", err)
	}
	now = now.Add(50 * time.Second)
	if err := acquire("b"); err == nil {
		t.Error("a prolonged lease was taken by another")
	}
	now = now.Add(10 * time.Second) // its end is no longer its holder's
	if err := acquire("b"); err != nil {
		t.Errorf("taking a lease whose time is over: %v", err)
	}
	if err := acquire("a"); err == nil {
		t.Error("the old holder took the lease back")
	}
	if err := s.ReleaseLease(t.Context(), "collector", "a"); err != nil {
		t.Errorf("ReleaseLease of another's lease: %v", err)
	}
	if err := acquire("a"); err == nil {
		t.Error("another's lease was released")
	}
	if err := s.ReleaseLease(t.Context(), "collector", "b"); err != nil {
		t.Errorf("ReleaseLease: %v", err)
	}
	if err := acquire("a"); err != nil {
		t.Errorf("taking a released lease: %v", err)
	}
}
