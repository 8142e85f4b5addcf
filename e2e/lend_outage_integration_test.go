//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/api"
)

// afterCrash is how much later than the server's return something may go that the dead
// one was changing: its lease of five seconds has to run out first.
const afterCrash = 5*time.Second + onTime

// soon is how long after the end of an outage of the target what had to go may be there:
// the longest wait between two tries, and the try.
const soon = 5*time.Second + onTime

// everything is all requests and grants that a person sees.
func (m *member) everything(t *testing.T) (requests []api.AccessRequest, grants []api.AccessGrant) {
	t.Helper()
	var out struct {
		Requests []api.AccessRequest `json:"requests"`
		Grants   []api.AccessGrant   `json:"grants"`
	}
	m.ask(t, &out, "access", "list", "--all", "--ended", "--limit", "1000")
	return out.Requests, out.Grants
}

// The server is killed while it puts access in place and while it takes it away. What
// it said is true afterwards, and what was lent ends on time, or as soon as it is back.
func TestIntegrationLendThroughKills(t *testing.T) {
	c := newLendingCluster(t, "API", "")
	c.configure(t, c.ada, blueIntegration, blueFlows, "blue")
	s := c.guard(t, c.alice, "tools")
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	upTo := func(most time.Duration) time.Duration { return time.Duration(r.Int64N(int64(most))) }
	crash := func(down time.Duration) {
		t.Helper()
		c.kill(t)
		time.Sleep(down)
		c.start(t)
	}
	ids := map[string]bool{}
	for round := range rounds {
		asked := time.Now()
		request := start(t, c.alice.environment(), "access", "request", "--no-wait", "-i", "blue", "-r", "tools", "-p", "pod-reader", "-d", "5s", "-j", "INC-8", "-o", "json")
		time.Sleep(upTo(150 * time.Millisecond))
		crash(upTo(time.Second))
		code := request.exit(t, 2*time.Minute)
		_, grants := c.ada.everything(t)
		var g *api.AccessGrant
		for i := range grants {
			if !ids[grants[i].ID] {
				g = &grants[i]
				ids[g.ID] = true
			}
		}
		if g == nil {
			if code == 0 {
				t.Errorf("round %d: the request was taken and there is no grant", round)
			}
			continue
		}
		crashed := false
		eventually(t, 2*time.Minute, func() error {
			if g = c.alice.grant(t, g.ID); g.State == access.Provisioning {
				return fmt.Errorf("%s: %s", g.State, g.Trouble)
			}
			return nil
		})
		if wait := time.Until(g.ExpiresAt) - 500*time.Millisecond + upTo(time.Second); wait > 0 {
			time.Sleep(wait)
			crash(upTo(3 * time.Second))
			crashed = true
		}
		g = c.alice.until(t, g.ID, access.Ended)
		deadline := g.ExpiresAt.Add(onTime)
		if back := c.started.Add(afterCrash); crashed && back.After(deadline) {
			deadline = back
		}
		late := s.late(asked, deadline)
		t.Logf("round %d: ready %s after it was asked for, had until %s after its time", round, g.ReadyAt.Sub(asked), s.lastAllowed(asked).Sub(g.ExpiresAt))
		if late > 0 || s.fresh(t).allowed || g.EndReason != access.Expired {
			t.Errorf("round %d: gone %s later than it had to be: %+v", round, late, g)
		}
		if !s.lastAllowed(asked).After(g.ReadyAt) {
			t.Errorf("round %d: it was never there: %+v", round, g)
		}
	}
	requests, grants := c.ada.everything(t)
	of := map[string]int{}
	for i := range grants {
		of[grants[i].Request]++
		if grants[i].State != access.Ended {
			t.Errorf("grant %s is %s in the end", grants[i].ID, grants[i].State)
		}
	}
	for i := range requests {
		if q := &requests[i]; q.State != access.Approved || of[q.ID] != 1 {
			t.Errorf("request %s is %s and has %d grants", q.ID, q.State, of[q.ID])
		}
	}
	if n := c.bindings(t); n != 0 {
		t.Errorf("%d bindings are left", n)
	}
	c.verified(t, "grant.ready", "grant.ended")
	c.keepsSecrets(t, c.ada, c.k8sSecrets(t)...)
}

// gauge is the value of a metric of the server; of one with labels, that which is asked for.
func (l *lender) gauge(t *testing.T, admin *member, name string) float64 {
	t.Helper()
	status, text := admin.page(t, "/metrics")
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(text)
	if status != http.StatusOK || m == nil {
		t.Fatalf("the metrics (%d) have no %s", status, name)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The API server hangs, or is gone, when a grant ends. The grant says so and what comes
// next, and what was lent is gone soon after the API server is back.
func TestIntegrationLendThroughAnOutage(t *testing.T) {
	c := newLendingCluster(t, "API", "access_objective: 5s\n")
	c.configure(t, c.ada, blueIntegration, blueFlows, "blue")
	s := c.guard(t, c.alice, "tools")
	for _, outage := range []struct {
		name     string
		off, on  func()
		complain string
	}{
		{"hangs", func() { c.signalAPI(t, syscall.SIGSTOP) }, func() { c.signalAPI(t, syscall.SIGCONT) }, ""},
		{"is gone", func() { c.stopAPI() }, func() { c.startAPI() }, "refused"},
	} {
		t.Run(outage.name, func(t *testing.T) {
			away := false
			defer func() {
				if away {
					outage.on()
				}
			}()
			asked := time.Now()
			g := c.alice.until(t, c.alice.borrow(t, "blue", "tools", "pod-reader", "5s").Grant, access.Active)
			if !s.fresh(t).allowed {
				t.Error("it is said to be there and is not")
			}
			outage.off()
			away = true
			time.Sleep(time.Until(g.ExpiresAt.Add(6 * time.Second)))
			// What is asked for now waits, and is not said to be there.
			waits := c.alice.borrow(t, "blue", "tools", "pod-reader", "30m").Grant
			var shown *api.AccessGrant
			eventually(t, time.Minute, func() error {
				shown = c.alice.grant(t, g.ID)
				if shown.State != access.Revoking || shown.LateSeconds < 5 || shown.Trouble == "" || shown.NextTry.IsZero() || !strings.Contains(shown.Trouble, outage.complain) {
					text, _ := json.Marshal(shown)
					return fmt.Errorf("the grant says %s", text)
				}
				return nil
			})
			t.Logf("in between: %s", shown.Trouble)
			eventually(t, time.Minute, func() error {
				if late := c.gauge(t, c.ada, `gatehouse_access_late{integration="blue"}`); late < 1 {
					return fmt.Errorf("the metric of what is late is %v", late)
				}
				return nil
			})
			c.told(t, "grant.late")
			time.Sleep(10 * time.Second)
			if w := c.alice.grant(t, waits); w.State != access.Provisioning {
				t.Errorf("while the API server is away, a new grant is %s", w.State)
			}
			c.alice.do(t, "access", "return", waits)
			outage.on()
			away = false
			back := time.Now()
			c.alice.until(t, g.ID, access.Ended)
			c.alice.until(t, waits, access.Ended)
			late := s.late(asked, back)
			t.Logf("gone %s after the API server was back", late)
			if late > soon || s.fresh(t).allowed {
				t.Errorf("gone %s after the API server was back", late)
			}
		})
	}
	if n := c.bindings(t); n != 0 {
		t.Errorf("%d bindings are left", n)
	}
	c.verified(t, "grant.ready", "grant.ended")
	c.keepsSecrets(t, c.ada, c.k8sSecrets(t)...)
}

func (k *kubeWorld) signalAPI(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := k.apiServer.Signal(s); err != nil {
		t.Fatal(err)
	}
}
