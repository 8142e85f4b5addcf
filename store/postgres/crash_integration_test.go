//go:build integration && unix

package postgres

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// lendStep is step n of a writer's life that never ends: a request approved with its
// grant, and the grant before it on its way out; all of it in one commit.
func lendStep(writer string, n int, at time.Time) *access.Change {
	grant := func(n int, version int64, state access.GrantState) *access.Grant {
		item := flow.Item{Resource: flow.Resource{Integration: "prod", Type: "namespace", ID: "a"}, Permission: "view"}
		return &access.Grant{
			ID: fmt.Sprint(writer, "g", n), Version: version, Request: fmt.Sprint(writer, "r", n), Person: flow.Person{ID: writer}, State: state,
			CreatedAt: at, ExpiresAt: at.Add(time.Hour), Items: []access.GrantItem{{Item: item, Object: fmt.Sprint("prod/", writer, n)}},
		}
	}
	touch := func(n int) access.Touch {
		return access.Touch{Key: fmt.Sprint("prod/", writer, n), Integration: "prod", DueAt: at, NextTry: at}
	}
	g := grant(n, 1, access.Active)
	c := &access.Change{
		At:       at,
		Requests: []*access.Request{{ID: g.Request, Version: 1, State: access.Approved, Grant: g.ID, By: flow.Person{ID: writer}, CreatedAt: at}},
		Grants:   []*access.Grant{g},
		Touches:  []access.Touch{touch(n)},
		Events:   []audit.Event{{Actor: audit.Actor{Kind: audit.Gatehouse}, Action: "grant.created", Subject: audit.Subject{Kind: "grant", ID: g.ID}}},
		Letters:  []access.Letter{{Key: g.ID, Channel: "slack", At: at}},
	}
	if n > 1 {
		c.Grants = append(c.Grants, grant(n-1, 2, access.Revoking))
		c.Touches = append(c.Touches, touch(n-1))
	}
	return c
}

// wantLent checks that of a writer's steps n are there, whole.
func wantLent(t *testing.T, s *Store, writer string, n int) {
	t.Helper()
	l := &Lending{s}
	page, err := l.Grants(t.Context(), access.GrantQuery{Person: writer, Limit: 1})
	if err != nil || page.Total != n {
		t.Errorf("%s has %d grants, %v; want %d", writer, page.Total, err, n)
	}
	if n == 0 {
		return
	}
	last, err := l.Grant(t.Context(), fmt.Sprint(writer, "g", n))
	if err != nil || last.State != access.Active {
		t.Errorf("the last grant of %s: %+v, %v", writer, last, err)
	}
	requests, err := l.Requests(t.Context(), access.RequestQuery{By: writer, Limit: 1})
	if err != nil || requests.Total != n {
		t.Errorf("%s has %d requests, %v; want %d", writer, requests.Total, err, n)
	}
	events := 0
	err = s.AuditLines(t.Context(), 0, func(line []byte) error {
		e, err := audit.Decode(line)
		if strings.HasPrefix(e.Subject.ID, writer+"g") {
			events++
		}
		return err
	})
	if err != nil || events != n {
		t.Errorf("%s has %d events, %v; want %d", writer, events, err, n)
	}
}

func wantChain(t *testing.T, s *Store) {
	t.Helper()
	if _, err := audit.VerifyStore(t.Context(), s, audit.VerifyOptions{}, nil); err != nil {
		t.Errorf("the audit log: %v", err)
	}
}

// The server dies as after a loss of power while several stores write, and comes back:
// they go on by themselves, and every step is there once.
func TestIntegrationServerDies(t *testing.T) {
	t.Parallel()
	c := cluster(t, "-c restart_after_crash=on")
	const writers = 4
	url := c.URL("lending")
	done := make(chan struct{})
	var steps [writers]atomic.Int64
	var wg sync.WaitGroup
	for i := range writers {
		s := openURL(t, url, store.Options{})
		wg.Go(func() {
			l := &Lending{s}
			for n := 1; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				if err := l.Commit(t.Context(), lendStep(fmt.Sprint("writer", i), n, time.Now())); err != nil {
					t.Errorf("writer %d, step %d: %v", i, n, err)
					return
				}
				steps[i].Store(int64(n))
			}
		})
	}
	for _, mode := range []string{"immediate", "fast", "immediate"} {
		from := steps[0].Load()
		for range 600 { // until work goes on
			if steps[0].Load() > from+3 || t.Failed() {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if err := c.Down(t.Context(), mode); err != nil {
			t.Fatal(err)
		}
		if err := c.Up(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	from := steps[0].Load()
	for range 600 {
		if steps[0].Load() > from+3 || t.Failed() {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	close(done)
	wg.Wait()
	s := openURL(t, url, store.Options{})
	for i := range writers {
		wantLent(t, s, fmt.Sprint("writer", i), int(steps[i].Load()))
	}
	wantChain(t, s)
	t.Logf("%d, %d, %d and %d steps", steps[0].Load(), steps[1].Load(), steps[2].Load(), steps[3].Load())
}

const crashEnv = "GATEHOUSE_TEST_CRASH_POSTGRES"

// crashStep is commit number n of a collector: everything in it says n, or adds up to it.
func crashStep(n int, inv *inventory.Inventory) *collect.Checkpoint {
	inv.Observe([]*transaction.Transaction{{
		ID: fmt.Sprintf("t%d", n), APIType: transaction.REST, APIID: "api", Stage: "prod", Method: "GET", Route: "/a",
		RouteSource: transaction.RouteFromAccessLog, Time: transaction.Time(n), Response: &transaction.Response{Status: 200},
	}})
	c := &collect.Checkpoint{Sinks: map[string]string{"file": strconv.Itoa(n)}, Changes: []any{inv.Changes()}}
	for g := range 3 {
		c.Groups = append(c.Groups, collect.GroupCheckpoint{
			Group: transaction.Group{Name: fmt.Sprintf("group%d", g)}, Fast: int64(n),
			Seen: []collect.Seen{{Newest: int64(n), Events: []uint64{uint64(n)}}},
		})
	}
	return c
}

// TestCrashChild is the process that is killed: it collects and lends for ever and says
// each number after its commit.
func TestCrashChild(t *testing.T) {
	url := os.Getenv(crashEnv)
	if url == "" {
		t.Skip("runs as a child of TestIntegrationClientDies")
	}
	s := openURL(t, url, store.Options{})
	inv := inventory.New(inventory.Options{})
	if err := inv.Load(t.Context(), s); err != nil {
		t.Fatalf("Load: %v", err)
	}
	c, err := s.LoadCheckpoint(t.Context())
	if err != nil {
		t.Fatalf("LoadCheckpoint: %v", err)
	}
	n, _ := strconv.Atoi(c.Sinks["file"])
	l := &Lending{s}
	lent, err := l.Grants(t.Context(), access.GrantQuery{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for m := lent.Total + 1; ; m++ {
		n++
		if err := s.Commit(t.Context(), crashStep(n, inv)); err != nil {
			t.Fatalf("Commit: %v", err)
		}
		fmt.Printf("committed %d\n", n)
		if err := l.Commit(t.Context(), lendStep("child", m, time.Now())); err != nil {
			t.Fatalf("Commit: %v", err)
		}
		fmt.Printf("lent %d\n", m)
	}
}

// A process that collects and lends is killed at any moment: what it said is there,
// whole, and nothing is there by half.
func TestIntegrationClientDies(t *testing.T) {
	t.Parallel()
	url := newURL(t)
	committed, lent := 0, 0
	for range 5 {
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashChild$", "-test.v")
		child.Env = append(os.Environ(), crashEnv+"="+url)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		killed := false
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			word, number, _ := strings.Cut(lines.Text(), " ")
			n, err := strconv.Atoi(number)
			switch {
			case err != nil:
				continue
			case word == "committed":
				committed = n
			case word == "lent":
				lent = n
			}
			if !killed {
				killed = true
				time.AfterFunc(time.Duration(rand.IntN(100_000))*time.Microsecond, func() { _ = child.Process.Kill() })
			}
		}
		if err := child.Wait(); !killed || !strings.Contains(fmt.Sprint(err), "killed") {
			t.Fatalf("the child ended by itself: %v", err)
		}
		s := openURL(t, url, store.Options{})
		waitIdle(t, s)
		c, err := s.LoadCheckpoint(t.Context())
		if err != nil {
			t.Fatalf("LoadCheckpoint: %v", err)
		}
		got, err := strconv.Atoi(c.Sinks["file"])
		if err != nil || got < committed || got > committed+1 || len(c.Groups) != 3 {
			t.Fatalf("commit %q is in the store with %d groups; the child said %d", c.Sinks["file"], len(c.Groups), committed)
		}
		for _, g := range c.Groups {
			if g.Fast != int64(got) || len(g.Seen) != got || g.Seen[got-1].Newest != int64(got) {
				t.Errorf("group %s is at %d with %d segments; the sink is at %d", g.Group.Name, g.Fast, len(g.Seen), got)
			}
		}
		page, err := s.Endpoints(t.Context(), inventory.Query{})
		if err != nil || len(page.Endpoints) != 1 || page.Endpoints[0].Calls != int64(got) {
			t.Errorf("endpoints: %+v, %v; want one of %d calls", page.Endpoints, err, got)
		}
		grants, err := (&Lending{s}).Grants(t.Context(), access.GrantQuery{Limit: 1})
		if err != nil || grants.Total < lent || grants.Total > lent+1 {
			t.Fatalf("%d grants, %v; the child said %d", grants.Total, err, lent)
		}
		wantLent(t, s, "child", grants.Total)
		wantChain(t, s)
	}
}

// waitIdle waits until the server has noticed that the child is gone: a COMMIT that it
// sent may still be done.
func waitIdle(t *testing.T, s *Store) {
	t.Helper()
	for range 500 {
		var busy int
		err := s.pool.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
			WHERE c.relnamespace = current_schema()::regnamespace AND l.pid <> pg_backend_pid() AND c.relkind = 'r'`).Scan(&busy)
		if err != nil {
			t.Fatal(err)
		}
		if busy == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the server still works for the process that was killed")
}
