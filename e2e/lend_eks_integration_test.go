//go:build integration

package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/eks"
	"github.com/gatehouse-project/gatehouse/awssim"
)

// lendingCluster is a cluster that a running Gatehouse lends, and its people.
type lendingCluster struct {
	*kubeWorld
	*lender

	alice, bob, olga, ada *member
	kube                  map[string]*kubePerson
	secret                string // of Gatehouse in the cluster, where it has one
}

// blueIntegration is the cluster as an administrator writes it down.
const blueIntegration = `integrations:
  - name: blue
    type: eks-rbac
    config:
      cluster_name: blue
      region: ` + region + `
      account: "` + apiAccount + `"
      aws_role_name: Gatehouse
      access_role_name: ` + peopleRole + `
      source_profile: sso
`

// blueFlows lend pods of payments where an owner agrees, and those of tools at once.
const blueFlows = `flows:
  - name: Payments pods
    requestors: {conditions: [{type: group, values: [dev]}]}
    targets: [{integration: blue, resource_type: eks-namespace, permissions: [pod-reader], include: [{type: name, values: [payments]}]}]
    approvers: {groups: [{conditions: [{type: group, values: [owners]}]}]}
    duration: {max: 1h}
    extensions: {max: 1, duration: 30m}
  - name: Tools pods
    requestors: {conditions: [{type: group, values: [dev]}]}
    targets: [{integration: blue, resource_type: eks-namespace, permissions: [pod-reader], include: [{type: name, values: [tools]}]}]
    auto_approve: true
    duration: {max: 1h}
`

// newLendingCluster starts a cluster and a Gatehouse that has, in both AWS and the
// cluster, the rights of the documentation and no more, with everybody signed in.
func newLendingCluster(t *testing.T, mode, settings string) *lendingCluster {
	t.Helper()
	return newLendingClusterOn(t, mode, "", settings)
}

// newLendingClusterOn is newLendingCluster with a state; empty: a file of its own.
func newLendingClusterOn(t *testing.T, mode, state, settings string) *lendingCluster {
	t.Helper()
	k := newKubeWorld(t, mode)
	role := k.sim.Account(apiAccount).AddRole(awssim.Role{
		Name: "Gatehouse", TrustedPrincipals: []string{"arn:aws:iam::" + hubAccount + ":role/Hub"},
		Allow: []string{"eks:DescribeCluster", "eks:DescribeAccessEntry", "iam:GetRole", "eks:CreateAccessEntry", "eks:UpdateAccessEntry", "eks:TagResource", "eks:ListAssociatedAccessPolicies"},
	})
	k.letIn(t, role, "gatehouse", "gatehouse-lenders")
	k.kubectl(t, eks.ClusterRole(), "apply", "-f", "-")
	k.kubectl(t, "", "create", "clusterrole", "pod-reader", "--verb=get,list", "--resource=pods")
	k.kubectl(t, "", "create", "clusterrolebinding", "gatehouse-lenders", "--clusterrole=gatehouse-lender", "--group=gatehouse-lenders")
	k.kubectl(t, "", "create", "namespace", "payments")
	k.kubectl(t, "", "create", "namespace", "tools")
	c := &lendingCluster{kubeWorld: k, lender: newLenderOn(t, k.world, state, settings), kube: map[string]*kubePerson{}}
	for _, p := range []struct {
		name string
		is   **member
	}{{alice, &c.alice}, {bob, &c.bob}, {olga, &c.olga}, {ada, &c.ada}} {
		person := k.person(t, p.name)
		c.kube[p.name] = person
		*p.is = signIn(t, c.lender.url, p.name, person.home, k.network.env()...)
	}
	return c
}

// bindings is how many bindings of Gatehouse there are in the cluster.
func (c *lendingCluster) bindings(t *testing.T) int {
	t.Helper()
	return len(strings.Fields(c.kubectl(t, "", "get", "rolebindings,clusterrolebindings", "-A", "-l", "app.kubernetes.io/managed-by=gatehouse", "-o", "name")))
}

// token is what kubectl would send for a person.
func (c *lendingCluster) token(t *testing.T, m *member) string {
	t.Helper()
	out, complaint, err := m.run(t, "aws", "--region", region, "eks", "get-token", "--cluster-name", c.cluster, "--profile", "blue", "--output", "json")
	var credential struct{ Status struct{ Token string } }
	if err == nil {
		err = json.Unmarshal([]byte(out), &credential)
	}
	if err != nil || credential.Status.Token == "" {
		t.Fatalf("aws eks get-token: %v\n%s", err, complaint)
	}
	return credential.Status.Token
}

// sentry asks the API server all the time whether somebody may list pods, with a token
// of theirs, and keeps when it was answered what. It is the measure of what people
// have, whatever Gatehouse says.
type sentry struct {
	client *http.Client
	url    string
	token  string

	mu      sync.Mutex
	answers []answer
	strange error
	end     chan struct{}
	done    sync.WaitGroup
}

type answer struct {
	sent, got time.Time
	allowed   bool
}

// guard starts a sentry for a person's pods in a namespace, until the test ends.
func (c *lendingCluster) guard(t *testing.T, m *member, namespace string) *sentry {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.ca.pem)
	s := &sentry{
		client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}},
		url:    c.kubeWorld.url + "/api/v1/namespaces/" + namespace + "/pods?limit=1", token: c.token(t, m), end: make(chan struct{}),
	}
	s.done.Go(func() {
		for {
			select {
			case <-s.end:
				return
			case <-time.After(25 * time.Millisecond):
				s.look()
			}
		}
	})
	t.Cleanup(func() {
		close(s.end)
		s.done.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.strange != nil {
			t.Errorf("the API server answered %v", s.strange)
		}
	})
	return s
}

func (s *sentry) look() {
	r, err := http.NewRequest(http.MethodGet, s.url, http.NoBody)
	if err != nil {
		return
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	a := answer{sent: time.Now()}
	res, err := s.client.Do(r)
	if err != nil {
		return // an API server that is stopped answers nobody
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	a.got, a.allowed = time.Now(), res.StatusCode == http.StatusOK
	s.mu.Lock()
	defer s.mu.Unlock()
	if !a.allowed && res.StatusCode != http.StatusForbidden {
		s.strange = errors.New(res.Status)
		return
	}
	s.answers = append(s.answers, a)
}

// fresh waits for an answer to a question that is asked from now on.
func (s *sentry) fresh(t *testing.T) answer {
	t.Helper()
	now := time.Now()
	var last answer
	eventually(t, 2*time.Minute, func() error {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.answers) == 0 || s.answers[len(s.answers)-1].sent.Before(now) {
			return errors.New("the API server does not answer")
		}
		last = s.answers[len(s.answers)-1]
		return nil
	})
	return last
}

// lastAllowed is when the last question was asked that was answered with pods, of those
// from a time on.
func (s *sentry) lastAllowed(from time.Time) (last time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.answers {
		if a.allowed && a.sent.After(from) {
			last = a.sent
		}
	}
	return last
}

// refused are the answers without pods to questions that were asked and answered between
// two times: how long after the first of them. The API server's authorizer hears of a
// binding a moment after it is stored, which is given to it.
func (s *sentry) refused(from, to time.Time) (after []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.answers {
		if !a.allowed && a.sent.After(from.Add(settles)) && a.got.Before(to) {
			after = append(after, a.sent.Sub(from))
		}
	}
	return after
}

// late is how much longer than a time somebody had their pods, seen from the target.
func (s *sentry) late(from, deadline time.Time) time.Duration {
	return max(0, s.lastAllowed(from).Sub(deadline))
}

// settles is how much later than the stored object the API server may go by it.
const settles = 250 * time.Millisecond

// The whole of it on real parts: an administrator connects a cluster, somebody asks, an
// owner agrees, kubectl works in the namespace and nowhere else, and stops on time.
func TestIntegrationLendEKS(t *testing.T) {
	const user = "gatehouse:" + alice
	for _, mode := range []string{"CONFIG_MAP", "API"} {
		t.Run(mode, func(t *testing.T) {
			c := newLendingCluster(t, mode, "")
			c.configure(t, c.ada, blueIntegration, blueFlows, "blue")
			pods := func(m *member, namespace string) (string, error) {
				t.Helper()
				out, complaint, err := m.run(t, "kubectl", "--kubeconfig", filepath.Join(m.home, ".kube", "config"), "-n", namespace, "get", "pods")
				return out + complaint, err
			}
			denied := func(m *member, namespace, when string) {
				t.Helper()
				if out, err := pods(m, namespace); err == nil || !strings.Contains(out, "Forbidden") {
					t.Errorf("%s, kubectl as %s in %s: %v\n%s", when, m.name, namespace, err, out)
				}
			}
			k := c.kubeWorld
			k.becomes(t, c.kube[alice], user)
			denied(c.alice, "payments", "before anything was lent")

			// Asked by one, agreed to by another, by nobody else.
			r := c.alice.borrow(t, "blue", "payments", "pod-reader", "40m")
			if r.State != access.Pending || len(r.CanApprove) != 1 || r.CanApprove[0] != olga {
				t.Errorf("asked for: %+v", r)
			}
			for _, m := range []*member{c.alice, c.bob, c.ada} {
				if out, complaint, err := m.try(t, "access", "approve", r.ID); err == nil {
					t.Errorf("%s agreed: %s%s", m.name, out, complaint)
				}
			}
			denied(c.alice, "payments", "before an owner agreed")
			grant := c.olga.approve(t, r)
			g := c.alice.until(t, grant, access.Active)
			if lasts := g.ExpiresAt.Sub(g.ReadyAt); lasts != 40*time.Minute {
				t.Errorf("it lasts %s from when it was there", lasts)
			}

			// As the person is told to use it.
			c.alice.do(t, "access", "kubeconfig", "blue")
			if out, err := pods(c.alice, "payments"); err != nil {
				t.Errorf("what was lent does not work: %v\n%s", err, out)
			}
			denied(c.alice, "default", "where nothing was lent")
			denied(c.bob, "payments", "for somebody else")
			if out, complaint, err := c.alice.try(t, "access", "whoami", "blue"); err != nil || !strings.Contains(out, user) {
				t.Errorf("whoami: %v\n%s%s", err, out, complaint)
			}

			// Given back early.
			s := c.guard(t, c.alice, "payments")
			if !s.fresh(t).allowed {
				t.Error("the sentry is refused while it is lent")
			}
			returned := time.Now()
			c.alice.do(t, "access", "return", grant)
			g = c.alice.until(t, grant, access.Ended)
			if s.fresh(t).allowed || g.EndReason != access.Returned || g.EndedAt.Sub(g.EndingAt) > onTime {
				t.Errorf("given back at %s: %+v", returned, g)
			}
			if late := s.late(returned, g.EndedAt); late > settles {
				t.Errorf("it was said to be gone %s before it was", late)
			}
			denied(c.alice, "payments", "after it was given back")

			// Its time is over.
			asked := time.Now()
			g = c.alice.until(t, c.olga.approve(t, c.alice.borrow(t, "blue", "payments", "pod-reader", "8s")), access.Active)
			c.alice.until(t, g.ID, access.Ended)
			if n := s.refused(g.ReadyAt, g.ExpiresAt); len(n) > 0 {
				t.Errorf("while it was said to be there it was refused, %v after it was ready", n)
			}
			late := s.late(asked, g.ExpiresAt)
			t.Logf("gone %s after its time", late)
			if late > onTime || s.fresh(t).allowed {
				t.Errorf("gone %s after its time, want at most %s", late, onTime)
			}

			// Two that overlap: the end of the first takes nothing from the second.
			asked = time.Now()
			second := c.olga.approve(t, c.alice.borrow(t, "blue", "payments", "pod-reader", "30m"))
			first := c.olga.approve(t, c.alice.borrow(t, "blue", "payments", "pod-reader", "5s"))
			two := c.alice.until(t, second, access.Active)
			one := c.alice.until(t, first, access.Ended)
			if n := c.bindings(t); n != 1 {
				t.Errorf("%d bindings for two grants of the same", n)
			}
			if n := s.refused(two.ReadyAt, time.Now()); len(n) > 0 || !s.fresh(t).allowed {
				t.Errorf("the end of the first, %s after the second was ready, refused that, %v after it was ready", one.EndedAt.Sub(two.ReadyAt), n)
			}
			returned = time.Now()
			c.olga.do(t, "access", "revoke", second, "--reason", "the incident is over")
			g = c.alice.until(t, second, access.Ended)
			if late := s.late(asked, g.EndedAt); late > settles || g.EndReason != access.Revoked || s.fresh(t).allowed {
				t.Errorf("revoked at %s: gone %s after it was said to be: %+v", returned, late, g)
			}
			if n := c.bindings(t); n != 0 {
				t.Errorf("%d bindings are left", n)
			}
			c.verified(t, "request.created", "request.approved", "grant.ready", "grant.ended", "integration.connected")
			c.told(t, "request.created", "grant.ready", "grant.ended")
			c.keepsSecrets(t, c.ada, c.k8sSecrets(t)...)
			if t.Failed() {
				t.Log(tail(c.process.err.String()))
			}
		})
	}
}

// A mapRoles that does not parse is never written over: by the API server's account not a
// byte changes, whatever an administrator says. Another section that does not parse is no
// business of connecting, and stays as it is.
func TestIntegrationConnectKeepsAMalformedMap(t *testing.T) {
	c := newLendingCluster(t, "CONFIG_MAP", "")
	file := c.lender.write(t, "integrations.yaml", blueIntegration)
	if out, complaint, err := c.ada.try(t, "integration", "apply", file, "--yes"); err == nil || !strings.Contains(complaint, "username-template") {
		t.Errorf("an integration that is not connected yet passes its check: %v\n%s%s", err, out, complaint)
	}
	read := func(what string) string {
		return c.kubectl(t, "", "-n", "kube-system", "get", "configmap", "aws-auth", "-o", "jsonpath="+what)
	}
	smash := func(section string) {
		c.kubectl(t, `{"data":{"`+section+`":"- rolearn: x\n bad: [\n"}}`, "-n", "kube-system", "patch", "configmap", "aws-auth", "--type", "merge", "--patch-file", "/dev/stdin")
	}
	const whole = "{.metadata.resourceVersion} {.data}"
	good := read("{.data.mapRoles}")
	smash("mapRoles")
	before := read(whole)
	for _, how := range []string{"--dry-run", "--yes"} {
		if out, complaint, err := c.ada.try(t, "integration", "connect", "blue", how); err == nil {
			t.Errorf("connecting %s over a broken mapRoles: %s%s", how, out, complaint)
		}
	}
	if after := read(whole); after != before {
		t.Errorf("aws-auth was %s and is %s", before, after)
	}

	// Mended, and with a broken mapUsers.
	c.kubectl(t, mustJSON(t, map[string]any{"data": map[string]any{"mapRoles": good}}), "-n", "kube-system", "patch", "configmap", "aws-auth", "--type", "merge", "--patch-file", "/dev/stdin")
	smash("mapUsers")
	users := read("{.data.mapUsers}")
	eventually(t, time.Minute, func() error {
		out, complaint, err := c.ada.try(t, "integration", "connect", "blue", "--yes")
		if err != nil {
			return fmt.Errorf("connecting beside a broken mapUsers: %w\n%s%s", err, out, complaint)
		}
		return nil
	})
	if now := read("{.data.mapUsers}"); now != users {
		t.Errorf("mapUsers was %q and is %q", users, now)
	}
	if now := read("{.data.mapRoles}"); !strings.HasPrefix(now, strings.TrimRight(good, "]\n")) || !strings.Contains(now, c.role) {
		t.Errorf("mapRoles was %s and is %s", good, now)
	}
	c.becomes(t, c.kube[alice], "gatehouse:"+alice)
	c.verified(t, "integration.connected")
}

// k8sSecrets are what nobody may see of the cluster and the people.
func (c *lendingCluster) k8sSecrets(t *testing.T) []string {
	t.Helper()
	out := []string{c.kubeWorld.token, c.secret}
	for _, m := range []*member{c.alice, c.bob, c.olga} {
		out = append(out, m.token(t))
	}
	return out
}
