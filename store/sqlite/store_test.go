package sqlite_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
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

// A file's version is the number of migrations that it had, so a new one comes
// last and none is ever renamed.
func TestMigrationsAreNumberedInOrder(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("migrations/*.sql")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	slices.Sort(names)
	for i, name := range names {
		if want := fmt.Sprintf("%04d_", i+1); !strings.HasPrefix(filepath.Base(name), want) {
			t.Errorf("%s is migration %d: its name must begin with %s", name, i+1, want)
		}
	}
}
