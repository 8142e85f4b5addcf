package sqlite_test

import (
	"path/filepath"
	"testing"

	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
	"github.com/gatehouse-project/gatehouse/store/storetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	newPlace := func(t *testing.T) storetest.Place {
		t.Helper()
		// A path that a URL would take apart if it were not escaped.
		url := "sqlite:" + filepath.Join(t.TempDir(), "a folder?#%20", "state.db")
		return func(opts store.Options) (store.Store, error) {
			return store.Open(t.Context(), url, opts, map[string]store.Opener{"sqlite": sqlite.Opener})
		}
	}
	storetest.Exercise(t, newPlace)
	storetest.ExerciseCollecting(t, newPlace)
}
