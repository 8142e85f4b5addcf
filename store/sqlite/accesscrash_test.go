package sqlite

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/store"
)

const accessCrashEnv = "GATEHOUSE_TEST_CRASH_ACCESS"

// lendOne is step n of a life that never ends: a request approved with its grant, the
// grant before it on its way out, and the one before that ended. All of it in one commit.
func lendOne(n int, at time.Time) *access.Change {
	id := func(kind string, n int) string { return fmt.Sprintf("%s%d", kind, n) }
	item := flow.Item{Resource: flow.Resource{Integration: "prod", Type: "namespace", ID: "a"}, Permission: "view"}
	grant := func(n int, version int64, state access.GrantState) *access.Grant {
		return &access.Grant{
			ID: id("g", n), Version: version, Request: id("r", n), Person: flow.Person{ID: "ann"}, State: state, CreatedAt: at, ExpiresAt: at.Add(time.Hour),
			Items: []access.GrantItem{{Item: item, Object: "prod/" + strconv.Itoa(n)}},
		}
	}
	c := &access.Change{
		At:       at,
		Requests: []*access.Request{{ID: id("r", n), Version: 1, State: access.Approved, Grant: id("g", n), By: flow.Person{ID: "ann"}, CreatedAt: at}},
		Grants:   []*access.Grant{grant(n, 1, access.Active)},
		Touches:  []access.Touch{{Key: "prod/" + strconv.Itoa(n), Integration: "prod", DueAt: at, NextTry: at}},
		Events:   []audit.Event{{Actor: audit.Actor{Kind: audit.Gatehouse, Name: "gatehouse"}, Action: "grant.created", Subject: audit.Subject{Kind: "grant", ID: id("g", n)}}},
		Letters:  []access.Letter{{Key: strconv.Itoa(n), Channel: "slack", At: at}},
	}
	if n > 1 {
		c.Grants = append(c.Grants, grant(n-1, 2, access.Revoking))
		c.Touches = append(c.Touches, access.Touch{Key: "prod/" + strconv.Itoa(n-1), Integration: "prod", DueAt: at, NextTry: at})
	}
	if n > 2 {
		c.Grants = append(c.Grants, grant(n-2, 3, access.Ended))
	}
	return c
}

// TestAccessCrashChild is the process that is killed: it lends for ever and says each
// number after its commit.
func TestAccessCrashChild(t *testing.T) {
	path := os.Getenv(accessCrashEnv)
	if path == "" {
		t.Skip("runs as a child of TestKilledWhileLending")
	}
	s, err := Open(t.Context(), path, store.Options{})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	l := &Lending{s}
	page, err := l.Grants(t.Context(), access.GrantQuery{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	for n := page.Total + 1; ; n++ {
		if err := l.Commit(t.Context(), lendOne(n, time.Now())); err != nil {
			t.Fatalf("Commit: %v", err)
		}
		fmt.Printf("committed %d\n", n)
	}
}

// A process that lends is killed at any moment: what it said is there, whole, and
// nothing is there by half.
func TestKilledWhileLending(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	for range 5 {
		said := lendAndKill(t, path)
		wantLent(t, path, said)
	}
}

func lendAndKill(t *testing.T, path string) int {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAccessCrashChild$", "-test.v")
	child.Env = append(os.Environ(), accessCrashEnv+"="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	last, killed := 0, false
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if number, ok := strings.CutPrefix(lines.Text(), "committed "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				last = n
			}
			if !killed {
				killed = true
				time.AfterFunc(time.Duration(rand.IntN(60_000))*time.Microsecond, func() { _ = child.Process.Kill() })
			}
		}
	}
	if err := child.Wait(); !killed {
		t.Fatalf("the child ended by itself: %v", err)
	}
	return last
}

func wantLent(t *testing.T, path string, said int) {
	t.Helper()
	s, err := Open(t.Context(), path, store.Options{})
	if err != nil {
		t.Fatalf("opening after the kill: %v", err)
	}
	defer func() { _ = s.Close() }()
	l := &Lending{s}
	page, err := l.Grants(t.Context(), access.GrantQuery{Limit: 3})
	if err != nil || page.Total < said || page.Total > said+1 {
		t.Fatalf("%d grants, %v; the child said %d", page.Total, err, said)
	}
	n := page.Total
	for back, state := range []access.GrantState{access.Active, access.Revoking, access.Ended} {
		if n-back < 1 {
			continue
		}
		g, err := l.Grant(t.Context(), fmt.Sprintf("g%d", n-back))
		if err != nil || g.State != state || g.Version != int64(back+1) {
			t.Errorf("grant %d of %d: %+v, %v; want %s", n-back, n, g, err, state)
		}
	}
	requests, err := l.Requests(t.Context(), access.RequestQuery{Limit: 1})
	if err != nil || requests.Total != n {
		t.Errorf("%d requests, %v; want %d", requests.Total, err, n)
	}
	objects, err := l.Objects(t.Context(), []string{fmt.Sprintf("prod/%d", n), fmt.Sprintf("prod/%d", n-1)})
	if err != nil || len(objects) != min(n, 2) || objects[len(objects)-1].NextTry.IsZero() {
		t.Errorf("objects: %+v, %v", objects, err)
	}
	if head, err := s.AuditHead(t.Context()); err != nil || head.Seq != uint64(n) {
		t.Errorf("the audit log's head is %v, %v; want %d", head, err, n)
	}
	var prev audit.Hash
	err = s.AuditLines(t.Context(), 0, func(line []byte) error {
		e, err := audit.Decode(line)
		if err == nil && e.Prev != prev {
			err = fmt.Errorf("the chain breaks at %d", e.Seq)
		}
		prev = e.Hash
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
