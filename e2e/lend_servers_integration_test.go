//go:build integration

package e2e

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/api"
	"github.com/gatehouse-project/gatehouse/store/postgres/postgrestest"
)

// at is the person at another server on the same state.
func (m *member) at(t *testing.T, url string) *member {
	t.Helper()
	other := *m
	other.env = append(slices.Clip(m.env), "GATEHOUSE_SERVER="+url, "GATEHOUSE_TOKEN="+m.token(t))
	return &other
}

// Two servers lend by one PostgreSQL database. What both are asked at once is done once,
// and when one of them dies the other takes back what it would have.
func TestIntegrationLendByTwoServers(t *testing.T) {
	if lacks := postgrestest.Missing(); lacks != "" {
		missing(t, "PostgreSQL's "+lacks)
	}
	db, err := postgrestest.Start(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	c := newLendingClusterOn(t, "API", db.URL("lending"), "")
	one, two := c.lender.url, "http://"+freeAddress(t)
	c.lender.write(t, "second.yaml", c.settings(two))
	servers := map[string]*process{one: c.process, two: c.another(t, "second.yaml", two)}
	files := map[string]string{one: "gatehouse.yaml", two: "second.yaml"}
	c.configure(t, c.ada, blueIntegration, blueFlows, "blue")
	s := c.guard(t, c.alice, "tools")

	// An approval at both at once is one grant.
	r := c.alice.borrow(t, "blue", "payments", "pod-reader", "30m")
	var votes sync.WaitGroup
	for _, url := range []string{one, two, one, two} {
		m := c.olga.at(t, url)
		votes.Go(func() { _, _, _ = m.try(t, "access", "approve", r.ID) })
	}
	votes.Wait()
	var shown struct{ Request *api.AccessRequest }
	out := c.alice.do(t, "access", "show", r.ID, "-o", "json")
	shown.Request = new(api.AccessRequest)
	if err := json.Unmarshal([]byte(out), shown.Request); err != nil {
		t.Fatal(err)
	}
	if shown.Request.State != access.Approved || len(shown.Request.Votes) != 1 {
		t.Errorf("after four approvals at once: %s", out)
	}
	c.alice.until(t, shown.Request.Grant, access.Active)
	if n := c.bindings(t); n != 1 {
		t.Errorf("%d bindings after four approvals at once", n)
	}
	c.alice.at(t, two).do(t, "access", "return", shown.Request.Grant)
	c.alice.until(t, shown.Request.Grant, access.Ended)

	// One dies around the end; the other one goes on.
	rounds := 8
	if testing.Short() {
		rounds = 2
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 2))
	prompt := 0
	for round := range rounds {
		dies, lives := one, two
		if round%2 == 1 {
			dies, lives = two, one
		}
		asked := time.Now()
		m := c.alice.at(t, lives)
		g := m.until(t, c.alice.at(t, dies).borrow(t, "blue", "tools", "pod-reader", "4s").Grant, access.Active)
		time.Sleep(time.Until(g.ExpiresAt) - 400*time.Millisecond + time.Duration(random.Int64N(int64(800*time.Millisecond))))
		killed := time.Now()
		servers[dies].signal(t, syscall.SIGKILL)
		servers[dies].exit(t, time.Minute)
		g = m.until(t, g.ID, access.Ended)
		over := s.lastAllowed(asked).Sub(g.ExpiresAt)
		t.Logf("round %d: one died %s after its time; the other had it gone %s after its time", round, killed.Sub(g.ExpiresAt), over)
		if over > afterCrash || s.fresh(t).allowed || g.EndReason != access.Expired {
			t.Errorf("round %d: gone %s after its time: %+v", round, over, g)
		}
		if over <= onTime {
			prompt++
		}
		servers[dies] = c.another(t, files[dies], dies)
	}
	if prompt == 0 {
		t.Error("the one that lives never had it gone on time")
	}
	// Both have the same to tell.
	for _, url := range []string{one, two} {
		res, err := http.Get(url + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		_, grants := c.ada.at(t, url).everything(t)
		of := map[string]int{}
		for i := range grants {
			of[grants[i].Request]++
			if grants[i].State != access.Ended {
				t.Errorf("at %s grant %s is %s", url, grants[i].ID, grants[i].State)
			}
		}
		for request, n := range of {
			if n != 1 {
				t.Errorf("at %s request %s has %d grants", url, request, n)
			}
		}
		if len(of) != rounds+1 {
			t.Errorf("at %s there are %d grants, want %d", url, len(of), rounds+1)
		}
	}
	if n := c.bindings(t); n != 0 {
		t.Errorf("%d bindings are left", n)
	}
	c.verified(t, "request.approved", "grant.ready", "grant.ended")
	c.keepsSecrets(t, c.ada, c.k8sSecrets(t)...)
	for _, p := range c.every {
		if strings.Contains(p.err.String(), "panic") {
			t.Errorf("a server panicked\n%s", tail(p.err.String()))
		}
	}
}
