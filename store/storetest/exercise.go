// Package storetest is the conformance suite of stores: what holds for one
// engine holds for all.
package storetest

import (
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/store"
)

// Place is where one store lives. Opening it again, after Close, finds what was
// committed.
type Place func(opts store.Options) (store.Store, error)

// Exercise runs the suite. newPlace makes a new, empty place for each test and
// cleans up after it.
func Exercise(t *testing.T, newPlace func(t *testing.T) Place) {
	t.Helper()
	for name, test := range map[string]func(t *testing.T, place Place){
		"CheckpointRoundTrip":      checkpointRoundTrip,
		"CheckpointIsAtomic":       checkpointIsAtomic,
		"SeenSegmentsArePruned":    seenSegmentsArePruned,
		"AgedMinutesArePruned":     agedMinutesArePruned,
		"AnyTextIsKept":            anyTextIsKept,
		"ChangesApplyOnce":         changesApplyOnce,
		"ChangesWithoutGap":        changesWithoutGap,
		"InventoryGoesOn":          inventoryGoesOn,
		"MergedEndpointsHaveAlias": mergedEndpointsHaveAlias,
		"SamplesFollowEndpoints":   samplesFollowEndpoints,
		"ReaderAgreesWithModel":    readerAgreesWithModel,
		"PagesAreComplete":         pagesAreComplete,
		"InvalidQueries":           invalidQueries,
		"TrafficByMinute":          trafficByMinute,
		"OldMinutesAreForgotten":   oldMinutesAreForgotten,
		"EstateRoundTrip":          estateRoundTrip,
		"EstateNamesAPIs":          estateNamesAPIs,
		"EstateHistory":            estateHistory,
		"EstateHistoryPages":       estateHistoryPages,
		"Findings":                 findings,
		"FindingsPages":            findingsPages,
		"DeadLetters":              deadLetters,
		"DeadLettersAreKnown":      deadLettersAreKnown,
		"DeadLettersAreBounded":    deadLettersAreBounded,
		"DeadLettersPages":         deadLettersPages,
		"DeadLettersReplay":        deadLettersReplay,
		"Settings":                 settings,
		"SettingOnce":              settingOnce,
		"LoggingJournal":           loggingJournal,
		"Audit":                    auditLog,
		"AuditPages":               auditPages,
		"AuditIsAtomic":            auditIsAtomic,
		"AuditIsOneChain":          auditIsOneChain,
		"AuditOfDecisions":         auditOfDecisions,
		"Lease":                    lease,
		"ReadersDoNotWait":         readersDoNotWait,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newPlace(t))
		})
	}
	t.Run("Access", func(t *testing.T) {
		t.Parallel()
		exerciseAccess(t, newPlace)
	})
	t.Run("Identity", func(t *testing.T) {
		t.Parallel()
		ExerciseIdentity(t, func(t *testing.T) identity.Store {
			t.Helper()
			return open(t, newPlace(t))
		})
	})
}

// start is the time of every world of the suite.
var start = time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)

// open opens a place with a clock that stands still, and closes it at the end.
func open(t *testing.T, place Place) store.Store {
	t.Helper()
	return openAt(t, place, func() time.Time { return start })
}

func openAt(t *testing.T, place Place, clock func() time.Time) store.Store {
	t.Helper()
	s, err := place(store.Options{Clock: clock})
	if err != nil {
		t.Fatalf("opening the store: %v", err)
	}
	t.Cleanup(func() {
		// A test that reopens has closed it already; closing twice is allowed.
		if err := s.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	return s
}

func reopen(t *testing.T, place Place, s store.Store) store.Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("closing the store: %v", err)
	}
	return open(t, place)
}
