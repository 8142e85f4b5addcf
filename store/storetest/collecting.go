package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/collect"
)

// ExerciseCollecting runs the part of the suite that concerns a collector: its
// State, the estate, settings, leases and dead letters. It is for stores that
// keep no inventory.
func ExerciseCollecting(t *testing.T, newPlace func(t *testing.T) Place) {
	t.Helper()
	for name, test := range collecting {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newPlace(t))
		})
	}
}

var collecting = map[string]func(t *testing.T, place Place){
	"StateRoundTrip":        checkpointRoundTrip,
	"StateIsAtomic":         stateIsAtomic,
	"StateOfManyDigests":    stateOfManyDigests,
	"SeenSegmentsArePruned": seenSegmentsArePruned,
	"AgedMinutesArePruned":  agedMinutesArePruned,
	"EstateRoundTrip":       estateRoundTrip,
	"Settings":              settings,
	"SettingOnce":           settingOnce,
	"Lease":                 lease,
	"DeadLetters":           deadLetters,
	"DeadLettersAreKnown":   deadLettersAreKnown,
	"DeadLettersAreBounded": deadLettersAreBounded,
	"DeadLettersPages":      deadLettersPages,
	"DeadLettersReplay":     deadLettersReplay,
}

// stateIsAtomic: a commit that fails leaves everything as it was, and one that is
// offered again is taken.
func stateIsAtomic(t *testing.T, place Place) {
	s := open(t, place)
	commit(t, s, &collect.Checkpoint{Groups: []collect.GroupCheckpoint{group(1)}, Sinks: map[string]string{"file": "1"}})
	want := load(t, s)

	after := group(1)
	after.Fast = 9999
	after.Seen = []collect.Seen{{Newest: 5000, Events: []uint64{4}}}
	next := &collect.Checkpoint{
		Groups: []collect.GroupCheckpoint{after, group(2)}, Sinks: map[string]string{"file": "2"}, Changes: []any{unknown{}},
	}
	if err := s.Commit(t.Context(), next); err == nil || !strings.Contains(err.Error(), "storetest.unknown") {
		t.Fatalf("Commit of an unknown change: %v; want an error that names its type", err)
	}
	diffCheckpoint(t, want, load(t, s))

	next.Changes = nil
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Commit(ctx, next); !errors.Is(err, context.Canceled) {
		t.Errorf("Commit with an ended context: %v; want context.Canceled", err)
	}
	diffCheckpoint(t, want, load(t, s))

	commit(t, s, next)
	s = reopen(t, place, s)
	if got := load(t, s); len(got.Groups) != 2 || got.Groups[0].Fast != 9999 || got.Sinks["file"] != "2" {
		t.Errorf("checkpoint after the retry: %+v", got)
	}
}

// stateOfManyDigests: a state of a megabyte and more comes back as it was.
func stateOfManyDigests(t *testing.T, place Place) {
	s := open(t, place)
	g := group(1)
	seen := collect.Seen{Newest: g.Fast, Events: make([]uint64, 150_000), Calls: []uint64{1}}
	for i := range seen.Events {
		seen.Events[i] = uint64(i) * 0x9e3779b97f4a7c15
	}
	g.Seen = []collect.Seen{seen}
	for range 3 { // replacing a large state with another
		commit(t, s, &collect.Checkpoint{Groups: []collect.GroupCheckpoint{g}})
		g.Fast++
	}
	s = reopen(t, place, s)
	got := load(t, s)
	if len(got.Groups) != 1 || got.Groups[0].Fast != g.Fast-1 || len(got.Groups[0].Seen) != 3 {
		t.Fatalf("%d groups", len(got.Groups))
	}
	for i, segment := range got.Groups[0].Seen {
		if segment.Newest != seen.Newest || !slices.Equal(segment.Events, seen.Events) || !slices.Equal(segment.Calls, seen.Calls) {
			t.Errorf("segment %d of three is not the one that was committed", i)
		}
	}
}
