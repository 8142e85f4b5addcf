//go:build integration && unix

package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/store"
)

const openEnv = "GATEHOUSE_TEST_OPEN_POSTGRES"

// TestOpenChild opens a store and says so.
func TestOpenChild(t *testing.T) {
	url := os.Getenv(openEnv)
	if url == "" {
		t.Skip("runs as a child of TestIntegrationProcessesOpenAtOnce")
	}
	if err := openURL(t, url, store.Options{}).SetSetting(t.Context(), "a", "b"); err != nil {
		t.Fatal(err)
	}
}

// Processes that open a new database at once make its tables once.
func TestIntegrationProcessesOpenAtOnce(t *testing.T) {
	t.Parallel()
	url := newURL(t)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOpenChild$", "-test.v")
			child.Env = append(os.Environ(), openEnv+"="+url)
			if out, err := child.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestOpenChild") {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
	for range 3 {
		wg.Go(func() {
			s, err := Open(t.Context(), url, store.Options{})
			if err != nil {
				t.Error(err)
				return
			}
			_ = s.Close()
		})
	}
	wg.Wait()
}

func TestIntegrationOpenSaysWhy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		prepare string // with %s for the schema
		change  func(url string) string
		want    error
		says    string
	}{
		"another's tables": {"CREATE SCHEMA %[1]s; CREATE TABLE %[1]s.orders (id INT)", nil, store.ErrForeign, "search_path"},
		"a newer version": {
			"CREATE SCHEMA %[1]s; CREATE TABLE %[1]s.gatehouse_version (version INT); INSERT INTO %[1]s.gatehouse_version VALUES (9999)",
			nil, store.ErrNewer, "9999",
		},
		"a database that is not there": {"", func(url string) string { return strings.Replace(url, "/postgres?", "/nothing?", 1) }, store.ErrUnreachable, "createdb"},
		"a database of another encoding": {
			"", func(url string) string { return strings.Replace(url, "/postgres?", "/latin?", 1) }, store.ErrForeign, "UTF8",
		},
		"a user who may not write": {
			"CREATE SCHEMA %[1]s; CREATE ROLE reader LOGIN", func(url string) string { return strings.Replace(url, "gatehouse@", "reader@", 1) }, store.ErrReadOnly, "let this user",
		},
		"a server that is read-only": {"", func(url string) string { return url + "&default_transaction_read_only=on" }, store.ErrReadOnly, "can be written"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := newURL(t)
			_, schema, err := parse(url)
			if err != nil {
				t.Fatal(err)
			}
			other := openURL(t, newURL(t), store.Options{})
			if strings.Contains(name, "encoding") {
				if _, err := other.pool.Exec(t.Context(), "CREATE DATABASE latin ENCODING LATIN1 LOCALE 'C' TEMPLATE template0"); err != nil {
					t.Fatal(err)
				}
			}
			if c.prepare != "" {
				if _, err := other.pool.Exec(t.Context(), fmt.Sprintf(c.prepare, schema)); err != nil {
					t.Fatal(err)
				}
			}
			if c.change != nil {
				url = c.change(url)
			}
			s, err := Open(t.Context(), url, store.Options{})
			if err == nil {
				_ = s.Close()
			}
			bad, ok := errors.AsType[*Error](err)
			if !errors.Is(err, c.want) || !ok || !strings.Contains(err.Error()+bad.Mend(), c.says) {
				t.Errorf("Open: %v; want %v and %q", err, c.want, c.says)
			}
		})
	}
}

// What another holds for long is told as what it is, and soon.
func TestIntegrationLockedTurn(t *testing.T) {
	t.Parallel()
	url := newURL(t)
	a, b := openURL(t, url, store.Options{}), openURL(t, url+"&lock_timeout=200ms", store.Options{})
	tx, err := a.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.Background()) }()
	if _, err := tx.Exec(t.Context(), takeTurn, string(turnLogging)); err != nil {
		t.Fatal(err)
	}
	_, err = b.pool.Exec(t.Context(), "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.update(t.Context(), "switching", turnLogging, func(querier) error { return nil }); !errors.Is(err, store.ErrLocked) {
		t.Errorf("a turn that another has: %v; want ErrLocked", err)
	}
}

// The time of a lease is the server's: processes whose clocks differ agree on it.
func TestIntegrationLeaseByTheServersClock(t *testing.T) {
	t.Parallel()
	s := openURL(t, newURL(t), store.Options{})
	if err := s.AcquireLease(t.Context(), "collector", "a", 300*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if err := s.AcquireLease(t.Context(), "collector", "b", time.Minute); err == nil {
		t.Error("a held lease was taken")
	}
	var err error
	for range 100 {
		if err = s.AcquireLease(t.Context(), "collector", "b", time.Minute); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		t.Errorf("a lease whose time is over: %v", err)
	}
}

// Many who take objects at once take each once, and nobody's wishes are lost by it.
func TestIntegrationObjectsAreTakenOnce(t *testing.T) {
	t.Parallel()
	url := newURL(t)
	const objects, takers = 400, 6
	now := time.Now().UTC().Truncate(time.Microsecond)
	first := openURL(t, url, store.Options{})
	c := &access.Change{At: now}
	for n := range objects {
		c.Touches = append(c.Touches, access.Touch{Key: fmt.Sprintf("prod/%d", n), Integration: "prod", DueAt: now, NextTry: now})
	}
	if err := (&Lending{first}).Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	taken := map[string]int{}
	var wg sync.WaitGroup
	for i := range takers {
		l := &Lending{openURL(t, url, store.Options{})}
		holder := fmt.Sprint("taker", i)
		wg.Go(func() {
			for none := 0; none < 20; {
				got, err := l.LeaseObjects(t.Context(), access.LeaseQuery{Integration: "prod", Holder: holder, Now: now, Until: now.Add(time.Hour), Limit: 7})
				if err != nil {
					t.Errorf("LeaseObjects: %v", err)
					return
				}
				if len(got) == 0 {
					none++
					time.Sleep(5 * time.Millisecond)
					continue
				}
				done := &access.Change{At: now}
				var leases []access.Lease
				mu.Lock()
				for _, o := range got {
					taken[o.Object.Key]++
					o.Object.Applied, o.Object.NextTry = o.Object.Generation, time.Time{}
					done.Results = append(done.Results, access.Result{Lease: o.Lease, Holder: holder, Object: o.Object})
					leases = append([]access.Lease{o.Lease}, leases...) // in another order
				}
				mu.Unlock()
				if kept, err := l.RenewLeases(t.Context(), holder, leases, now.Add(2*time.Hour)); err != nil || len(kept) != len(leases) {
					t.Errorf("RenewLeases: %d of %d, %v", len(kept), len(leases), err)
				}
				if err := l.Commit(t.Context(), done); err != nil {
					t.Errorf("Commit: %v", err)
				}
			}
		})
	}
	wg.Wait()
	for n := range objects {
		if key := fmt.Sprintf("prod/%d", n); taken[key] != 1 {
			t.Errorf("%s was taken %d times", key, taken[key])
		}
	}
	if p, err := (&Lending{first}).Pulse(t.Context()); err != nil || len(p.Lanes) != 0 {
		t.Errorf("what is left: %+v, %v", p.Lanes, err)
	}
}
