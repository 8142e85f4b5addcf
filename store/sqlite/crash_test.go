package sqlite

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const crashEnv = "GATEHOUSE_TEST_CRASH_STORE"

// step is commit number n: everything in it says n, or adds up to it.
func step(n int, inv *inventory.Inventory) *collect.Checkpoint {
	inv.Observe([]*transaction.Transaction{{
		ID: fmt.Sprintf("t%d", n), APIType: transaction.REST, APIID: "api", Stage: "prod", Method: "GET", Route: "/a",
		RouteSource: transaction.RouteFromAccessLog, Time: transaction.Time(n), Response: &transaction.Response{Status: 200},
	}})
	c := &collect.Checkpoint{
		Sinks:   map[string]string{"file": strconv.Itoa(n)},
		Changes: []any{inv.Changes()},
	}
	for g := range 3 {
		c.Groups = append(c.Groups, collect.GroupCheckpoint{
			Group: transaction.Group{Name: fmt.Sprintf("group%d", g)}, Fast: int64(n),
			Seen: []collect.Seen{{Newest: int64(n), Events: []uint64{uint64(n)}}},
		})
	}
	return c
}

// TestCrashChild is the process that is killed: it commits for ever and says
// each number after its commit.
func TestCrashChild(t *testing.T) {
	path := os.Getenv(crashEnv)
	if path == "" {
		t.Skip("runs as a child of TestKilledWhileCommitting")
	}
	s, err := Open(t.Context(), path, store.Options{})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	inv := inventory.New(inventory.Options{})
	if err := inv.Load(t.Context(), s); err != nil {
		t.Fatalf("Load: %v", err)
	}
	c, err := s.LoadCheckpoint(t.Context())
	if err != nil {
		t.Fatalf("LoadCheckpoint: %v", err)
	}
	n, _ := strconv.Atoi(c.Sinks["file"])
	for {
		n++
		if err := s.Commit(t.Context(), step(n, inv)); err != nil {
			t.Fatalf("Commit: %v", err)
		}
		fmt.Printf("committed %d\n", n)
	}
}

func TestKilledWhileCommitting(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "state.db")
	for range 6 {
		said := runAndKill(t, path)
		wantWhole(t, path, said)
	}
}

// runAndKill returns the last number that the child said before it died.
func runAndKill(t *testing.T, path string) int {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestCrashChild$", "-test.v")
	child.Env = append(os.Environ(), crashEnv+"="+path)
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

// wantWhole checks that the store holds commit said, or the one that was under
// way, and all of it.
func wantWhole(t *testing.T, path string, said int) {
	t.Helper()
	s, err := Open(t.Context(), path, store.Options{})
	if err != nil {
		t.Fatalf("opening after the kill: %v", err)
	}
	defer func() { _ = s.Close() }()
	c, err := s.LoadCheckpoint(t.Context())
	if err != nil {
		t.Fatalf("LoadCheckpoint: %v", err)
	}
	got, err := strconv.Atoi(c.Sinks["file"])
	if err != nil || got < said || got > said+1 {
		t.Fatalf("commit %q is in the store; the child said %d", c.Sinks["file"], said)
	}
	if len(c.Groups) != 3 {
		t.Fatalf("%d groups; want 3", len(c.Groups))
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
	var verdict string
	if err := s.write.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Errorf("integrity check: %q, %v", verdict, err)
	}
}

// A copy of the files of a running store, as a snapshot of its disk takes them
// between two commits, opens with all that was committed.
func TestCopiedWhileOpen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	s := openFile(t, path)
	inv := inventory.New(inventory.Options{})
	for n := 1; n <= 20; n++ {
		if err := s.Commit(t.Context(), step(n, inv)); err != nil {
			t.Fatalf("Commit: %v", err)
		}
		if n%5 != 0 {
			continue
		}
		to := filepath.Join(dir, fmt.Sprintf("copy%d.db", n))
		copyFile(t, path, to)
		copyFile(t, path+"-wal", to+"-wal")
		wantWhole(t, to, n)

		// The last pages of the log are torn: the commit that they belong to is
		// gone, the ones before stay.
		torn := filepath.Join(dir, fmt.Sprintf("torn%d.db", n))
		copyFile(t, path, torn)
		copyFile(t, path+"-wal", torn+"-wal")
		info, err := os.Stat(torn + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(torn+"-wal", info.Size()-100); err != nil {
			t.Fatal(err)
		}
		wantWhole(t, torn, n-1)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
