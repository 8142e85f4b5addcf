//go:build integration && unix

package postgres

import (
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/storetest"
)

func place(tb testing.TB, url string) storetest.Place {
	tb.Helper()
	return func(opts store.Options) (store.Store, error) { return Opener(tb.Context(), url, opts) }
}

// BenchmarkStore measures with a server that waits for its disk, as SQLite does.
func BenchmarkStore(b *testing.B) { storetest.Benchmark(b, place(b, cluster(b, "").URL("bench"))) }

// Every question at 50,000 endpoints is answered in time for a page; a server that is
// new to its tables, and a busy machine, have some more.
func TestIntegrationAnswersAreQuick(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes everything slow")
	}
	storetest.AnswersAreQuick(t, place(t, newURL(t)), 200*time.Millisecond)
}
