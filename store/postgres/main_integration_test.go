//go:build integration && unix

package postgres

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/postgres/postgrestest"
	"github.com/gatehouse-project/gatehouse/store/storetest"
)

// shared is the server of all tests that do not stop theirs. nil: PostgreSQL is missing.
var shared *postgrestest.Cluster

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if postgrestest.Missing() != "" || os.Getenv(crashEnv) != "" || os.Getenv(openEnv) != "" {
		return m.Run()
	}
	var err error
	// Nobody takes the power away from it.
	if shared, err = postgrestest.Start(context.Background(), "-c fsync=off -c full_page_writes=off"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = shared.Close() }()
	return m.Run()
}

// needServer skips a test where PostgreSQL is missing, or fails it where it must be there.
func needServer(tb testing.TB) {
	tb.Helper()
	missing := postgrestest.Missing()
	switch {
	case missing == "":
	case os.Getenv("GATEHOUSE_REQUIRE_COMPONENTS") == "1":
		tb.Fatalf("PostgreSQL's %s is not on PATH", missing)
	default:
		tb.Skipf("PostgreSQL's %s is not on PATH", missing)
	}
}

// cluster is a server of a test's own, which it may stop.
func cluster(tb testing.TB, options string) *postgrestest.Cluster {
	tb.Helper()
	needServer(tb)
	c, err := postgrestest.Start(tb.Context(), options)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if tb.Failed() {
			tb.Logf("the server said:\n%s", c.Log())
		}
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

var schemas atomic.Int64

// newURL is the URL of an empty store on the shared server.
func newURL(tb testing.TB) string {
	tb.Helper()
	needServer(tb)
	return shared.URL(fmt.Sprintf("test%d", schemas.Add(1)))
}

func openURL(tb testing.TB, url string, opts store.Options) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), url, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

func TestIntegrationStore(t *testing.T) {
	t.Parallel()
	needServer(t)
	newPlace := func(t *testing.T) storetest.Place {
		t.Helper()
		url := newURL(t)
		return func(opts store.Options) (store.Store, error) {
			return store.Open(t.Context(), url, opts, map[string]store.Opener{"postgres": Opener})
		}
	}
	storetest.Exercise(t, newPlace)
	storetest.ExerciseCollecting(t, newPlace)
}
