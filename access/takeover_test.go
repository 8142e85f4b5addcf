//go:build unix

package access_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/postgres"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
)

const (
	lenderEnv = "GATEHOUSE_TEST_LENDER"
	// takeoverLease is so long that nobody can mistake its end for a takeover.
	takeoverLease = 2 * time.Minute
)

// lendingAt opens a store by its URL.
func lendingAt(t *testing.T, url string) access.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url, store.Options{}, map[string]store.Opener{"sqlite": sqlite.Opener, "postgres": postgres.Opener})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	l, err := s.Lending()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// stuck is a provisioner that says when it is asked for something, and never has done it.
type stuck struct{ *port }

func (s stuck) Apply(ctx context.Context, _ *access.Integration, w access.Wanted) (access.Applied, error) {
	fmt.Printf("at it %s\n", w.Key)
	<-ctx.Done()
	return access.Applied{}, ctx.Err()
}

// TestLenderChild is the process that is killed: it lends, and is at each object for as
// long as it lives.
func TestLenderChild(t *testing.T) {
	url := os.Getenv(lenderEnv)
	if url == "" {
		t.Skip("runs as a child of other tests")
	}
	w := &world{t: t, dir: newDirectory(), target: newTarget(), l: lendingAt(t, url), mail: &mailer{}}
	d := w.desk(func(o *access.Options) {
		o.Provisioners = []access.Provisioner{stuck{w.port()}}
		o.Limits = access.Limits{Lease: takeoverLease, Operation: takeoverLease}
	})
	if err := d.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// startLender starts a process that lends, and waits until it is at an object.
func startLender(t *testing.T, url, object string) (kill func()) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLenderChild$", "-test.v")
	child.Env = append(os.Environ(), lenderEnv+"="+url)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = child.Process.Kill() })
	var said strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if lines.Text() == "at it "+object {
			return func() {
				if err := child.Process.Kill(); err != nil {
					t.Error(err)
				}
				_ = child.Wait()
			}
		}
	}
	t.Fatalf("the child ended by itself: %v\n%s", child.Wait(), said.String())
	return nil
}

// takenOver kills a process in the middle of taking access away, with another one there
// or started after it, and returns how long it takes then until the access is gone.
func takenOver(t *testing.T, url string, another bool) time.Duration {
	t.Helper()
	w := &world{t: t, dir: newDirectory(), target: newTarget(), l: lendingAt(t, url), mail: &mailer{}}
	d := w.desk(func(o *access.Options) {
		o.Limits = access.Limits{Lease: takeoverLease, Operation: takeoverLease}
	})
	w.setup(d)
	past := time.Now()
	w.lend(1, func(int) time.Time { return past })
	const key = "one:person00000@example.com:namespace/payments:view"
	if _, ok := w.target.get(key); !ok {
		t.Fatal("it is not lent")
	}
	kill := startLender(t, url, key)
	if another {
		w.run(d)
		time.Sleep(time.Second) // it could take it now, if it did not look who has it
		if _, ok := w.target.get(key); !ok {
			t.Error("it was taken from a process that lives")
		}
	}
	kill()
	since := time.Now()
	if !another {
		w.run(d)
	}
	w.eventually(time.Minute, "it is gone", func() bool { _, there := w.target.get(key); return !there })
	took := time.Since(since)
	w.eventually(time.Minute, "it is known to be gone", func() bool { return w.grant("g00000").State == access.Ended })
	return took
}

// What a process that is killed had under way is done at once, by one that is there or
// that is started then, and not when its leases have run out.
func TestKilledWhileTakingAway(t *testing.T) {
	t.Parallel()
	for name, another := range map[string]bool{"with another one": true, "and started again": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Logf("it was gone after %s", takenOver(t, "sqlite:"+filepath.Join(t.TempDir(), "state.db"), another).Round(time.Millisecond))
		})
	}
}
