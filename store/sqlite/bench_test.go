package sqlite

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/storetest"
)

func filePlace(tb testing.TB) storetest.Place {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "state.db")
	return func(opts store.Options) (store.Store, error) { return Opener(tb.Context(), path, opts) }
}

func BenchmarkStore(b *testing.B) { storetest.Benchmark(b, filePlace(b)) }

// Every question at 50,000 endpoints takes no longer than a page of the dashboard may,
// 50 ms, with room for a busy machine: the bound is twice that.
func TestAnswersAreQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("fills a store of 50,000 endpoints")
	}
	if raceEnabled {
		t.Skip("the race detector makes everything slow")
	}
	storetest.AnswersAreQuick(t, filePlace(t), 100*time.Millisecond)
}
