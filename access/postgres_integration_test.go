//go:build integration && unix

package access_test

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/postgres"
	"github.com/gatehouse-project/gatehouse/store/postgres/postgrestest"
)

// postgresCluster is a server of a test's own.
func postgresCluster(t *testing.T) *postgrestest.Cluster {
	t.Helper()
	if missing := postgrestest.Missing(); missing != "" {
		if os.Getenv("GATEHOUSE_REQUIRE_COMPONENTS") == "1" {
			t.Fatalf("PostgreSQL's %s is not on PATH", missing)
		}
		t.Skipf("PostgreSQL's %s is not on PATH", missing)
	}
	c, err := postgrestest.Start(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// Access is gone in the target less than a second after its time, with two servers on
// one PostgreSQL database and 100,000 live grants of which 200 end each second: that
// many with GATEHOUSE_TEST_LONG set, some thousand without.
func TestIntegrationRevocationIsFastOnPostgreSQL(t *testing.T) {
	c := postgresCluster(t)
	live, ending, within := 4000, 800, 3*time.Second
	if os.Getenv("GATEHOUSE_TEST_LONG") != "" {
		live, ending, within = 100_000, 4000, time.Second
	}
	const rate = 200
	lending := func() access.Store {
		s, err := postgres.Open(t.Context(), c.URL("lending"), store.Options{})
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
	w := &world{t: t, dir: newDirectory(), target: newTarget(), l: lending(), mail: &mailer{}}
	one := w.desk()
	w.setup(one)
	other := lending()
	two := w.desk(func(o *access.Options) { o.Store = other })
	begin := time.Now().Add(time.Duration(live/800+3) * time.Second)
	end := func(n int) time.Time {
		if n >= ending {
			return begin.Add(time.Hour)
		}
		return begin.Add(time.Duration(n) * time.Second / rate)
	}
	writing := time.Now()
	w.lend(live, end)
	t.Logf("%d grants were written in %s", live, time.Since(writing).Round(time.Millisecond))
	if late := time.Since(begin); late > 0 {
		t.Fatalf("the grants were written %s after the first of them was to end", late)
	}
	defer w.run(one)()
	defer w.run(two)()
	late := w.gone(0, ending, end, time.Until(begin)+time.Duration(ending/rate)*time.Second+2*time.Minute)
	if late[0] < 0 {
		t.Errorf("one was gone %s before its end", -late[0])
	}
	if got := len(w.target.keys()); got != live-ending {
		t.Errorf("the target has %d; want %d", got, live-ending)
	}
	p50, p99, most := late[len(late)/2], late[len(late)*99/100], late[len(late)-1]
	t.Logf("%d live, %d ended at %d/s: p50 %d ms, p99 %d ms, at most %d ms", live, ending, rate, p50.Milliseconds(), p99.Milliseconds(), most.Milliseconds())
	// What other tests take from the machine is not counted against it: the bound of the
	// objective is for the long run, which is alone.
	if p99 > within && !raceEnabled {
		t.Errorf("99 of 100 were gone after %s; want %s", p99, within)
	}
}

// As TestKilledWhileTakingAway, on PostgreSQL.
func TestIntegrationKilledWhileTakingAwayOnPostgreSQL(t *testing.T) {
	c := postgresCluster(t)
	for name, another := range map[string]bool{"with another one": true, "and started again": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Logf("it was gone after %s", takenOver(t, c.URL(fmt.Sprint("takeover_", another)), another).Round(time.Millisecond))
		})
	}
}

// The server of the store dies as after a loss of power, again and again, while two desks
// lend and people ask, agree and give back at both: all that was agreed to is lent once,
// and all of it ends.
func TestIntegrationServerOfStoreDiesWhileLending(t *testing.T) {
	c := postgresCluster(t)
	url := c.URL("lending")
	w := &world{t: t, dir: newDirectory(), target: newTarget(), l: lendingAt(t, url), mail: &mailer{}}
	one := w.desk()
	w.setup(one)
	other := lendingAt(t, url)
	two := w.desk(func(o *access.Options) { o.Store = other })
	defer w.run(one)()
	defer w.run(two)()
	done := make(chan struct{})
	var people sync.WaitGroup
	var lent, returned atomic.Int64
	for n, who := range []string{"ann", "ben", "cleo", "boss"} {
		people.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-done:
					return
				default:
				}
				asks, agrees := one, two
				if (n+round)%2 == 0 {
					asks, agrees = two, one
				}
				// Whoever gets an error tries again, with the same key.
				again := func(try func() error) bool {
					for {
						err := try()
						if err == nil || errors.Is(err, access.ErrDecided) {
							return true
						}
						select {
						case <-done:
							return false
						case <-time.After(20 * time.Millisecond):
						}
					}
				}
				var r *access.Request
				ask := access.Ask{
					Key: fmt.Sprint(round), By: w.person(who), Items: []access.ItemRef{ref("one", "payments", "edit")}, Duration: 2 * time.Second, Justification: "x",
				}
				if !again(func() (err error) { r, err = asks.Request(t.Context(), ask); return err }) ||
					!again(func() error {
						_, err := agrees.Vote(t.Context(), r.ID, access.Ballot{By: w.person("sam"), Approve: true})
						return err
					}) {
					return
				}
				lent.Add(1)
				if round%2 == 0 && again(func() error {
					now, err := w.l.Request(t.Context(), r.ID)
					if err == nil {
						_, err = asks.Return(t.Context(), now.Grant, w.person(who), "web")
					}
					return err
				}) {
					returned.Add(1)
				}
			}
		})
	}
	for range 3 {
		from := lent.Load()
		w.eventually(time.Minute, "people are lent something", func() bool { return lent.Load() > from+8 })
		if err := c.Down(t.Context(), "immediate"); err != nil {
			t.Fatal(err)
		}
		if err := c.Up(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	from := lent.Load()
	w.eventually(time.Minute, "people are lent something", func() bool { return lent.Load() > from+8 })
	close(done)
	people.Wait()
	w.eventually(2*time.Minute, "all has ended", func() bool {
		open, err := w.l.Grants(t.Context(), access.GrantQuery{States: []access.GrantState{access.Provisioning, access.Active, access.Revoking}, Limit: 1})
		return err == nil && open.Total == 0 && len(w.target.keys()) == 0
	})
	approved, err := w.l.Requests(t.Context(), access.RequestQuery{States: []access.RequestState{access.Approved}, Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	grants, err := w.l.Grants(t.Context(), access.GrantQuery{Limit: 1})
	if err != nil || grants.Total != approved.Total || int64(grants.Total) < lent.Load() {
		t.Errorf("%d requests were approved, and there are %d grants, %v; people saw %d", approved.Total, grants.Total, err, lent.Load())
	}
	t.Logf("%d grants, of which %d were given back", grants.Total, returned.Load())
}
