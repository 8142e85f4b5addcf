package app

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/cli"
	"github.com/gatehouse-project/gatehouse/demo"
	"github.com/gatehouse-project/gatehouse/identity"
)

// The demo lends whole: its people ask over the HTTP API, the cluster lets them in when
// they were given access, and not before, and not after.
func TestDemoLends(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c, cleanup, err := demoConfig(cli.DemoOptions{LogLevel: "error", State: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cleanup() })
	sim := awssim.New(awssim.Options{Seed: 1})
	world := demo.NewWorld(sim)
	kube, err := world.OpenCluster()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kube.Close() })
	aws4, err := sim.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = aws4.Close() })
	p, err := newProduct(ctx, c, options{out: io.Discard, err: io.Discard, base: account.Options{BaseConfig: demoBase(world, aws4.URL())}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.close() })
	people := demo.People()
	if err := p.newRoster(ctx, people); err != nil {
		t.Fatal(err)
	}
	if err := p.openLending(lendingOptions{flows: demo.Flows, integrations: demo.Integrations}); err != nil {
		t.Fatal(err)
	}
	handler, guard, err := p.face(ctx, identity.Viewer, people, "")
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	addr := srv.Listener.Addr().String()

	who := map[string]*demo.Kubectl{}
	for _, one := range people {
		who[one.ID] = world.NewKubectl(kube, one)
		t.Cleanup(who[one.ID].Close)
	}
	may := func(id, namespace string) bool {
		t.Helper()
		ok, err := who[id].MayListPods(ctx, namespace)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if may("demo-rosa", "checkout") || may("demo-sofia", "checkout") {
		t.Fatal("somebody gets in before anything was lent")
	}
	var running sync.WaitGroup
	for _, s := range slices.Concat(p.lending.services(), p.lending.interacting(), []service{{"discovering the estate", p.estate.run}}) {
		running.Go(func() { _ = s.run(ctx) })
	}
	defer running.Wait()
	defer stop()
	b := &demo.Borrowers{Base: srv.URL, Link: func(p identity.Person) string { return guard.PersonLink(addr, p) }, Log: p.log}
	if err := b.Run(ctx); err != nil {
		t.Fatal(err)
	}
	admin := access.PersonOf(people[slices.IndexFunc(people, func(p identity.Person) bool { return p.ID == "demo-sofia" })])
	until := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("it does not come to it that %s", what)
			}
		}
	}
	until("what was lent can be used", func() bool {
		return may("demo-rosa", "checkout") && may("demo-rosa", "sandbox") && may("demo-amir", "orders")
	})
	for id, namespace := range map[string]string{"demo-rosa": "payments", "demo-nadia": "orders", "demo-amir": "checkout", "demo-sofia": "sandbox"} {
		if may(id, namespace) {
			t.Errorf("%s gets into %s, which nobody lent", id, namespace)
		}
	}
	requests, err := p.lending.desk.Requests(ctx, admin, access.RequestQuery{})
	if err != nil {
		t.Fatal(err)
	}
	states := map[access.RequestState]int{}
	for _, r := range requests.Requests {
		states[r.State]++
	}
	if states[access.Pending] != 2 || states[access.Denied] != 1 || states[access.Approved] != 5 {
		t.Errorf("the requests are %v", states)
	}
	var grants *access.GrantViews
	until("all four grants are active", func() bool {
		if grants, err = p.lending.desk.Grants(ctx, admin, access.GrantQuery{States: []access.GrantState{access.Active}}); err != nil {
			t.Fatal(err)
		}
		return grants.Total == 4
	})
	for _, g := range grants.Grants {
		if _, err := p.lending.desk.GrantDetails(ctx, admin, g.ID); err != nil {
			t.Errorf("the details of %s: %v", g.Title(), err)
		}
	}
	// Who was lent a route has credentials for it, in their own name.
	nadia := access.PersonOf(people[slices.IndexFunc(people, func(p identity.Person) bool { return p.ID == "demo-nadia" })])
	creds, err := p.lending.desk.Credentials(ctx, nadia, demo.OrdersAPI, "", "cli")
	if err != nil {
		t.Fatal(err)
	}
	if who, ok := sim.Caller(creds.AccessKeyID); !ok || !strings.HasSuffix(who.Principal.ARN, demo.InvokerRole+"/nadia.costa@example.com") || len(who.Policies.Session) == 0 {
		t.Errorf("the credentials are those of %+v", who.Principal)
	}
	// All of it is taken back at once.
	if n, err := p.lending.desk.Panic(ctx, access.StopScope{Kind: "all"}, admin, "the test is over", "web"); err != nil || n != 4 {
		t.Fatalf("%d grants are ended, %v", n, err)
	}
	until("nobody gets in any more", func() bool {
		return !may("demo-rosa", "checkout") && !may("demo-rosa", "sandbox") && !may("demo-amir", "orders")
	})
	// The people of a demo that goes on with this state do not ask for it all again.
	if err := (&demo.Borrowers{Base: b.Base, Link: b.Link, Log: p.log}).Run(ctx); err != nil {
		t.Fatal(err)
	}
	if again, err := p.lending.desk.Requests(ctx, admin, access.RequestQuery{}); err != nil || again.Total != requests.Total {
		t.Errorf("there are %d requests and were %d, %v", again.Total, requests.Total, err)
	}
}

// What people try in the cluster is told when it changes.
func TestDemoTellsWhoGetsIn(t *testing.T) {
	t.Parallel()
	world := demo.NewWorld(awssim.New(awssim.Options{Seed: 1}))
	kube, err := world.OpenCluster()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = kube.Close() })
	kube.Put("/api/v1/namespaces/kube-system/configmaps/aws-auth", awssim.Object{"data": awssim.Object{
		"mapRoles": "- rolearn: arn:aws:iam::" + demo.Orders + ":role/" + demo.AccessRole + "\n  username: orders:{{SessionNameRaw}}\n  groups: [readers]\n",
	}})
	ctx, stop := context.WithCancel(t.Context())
	lines := make(chan string, 10)
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := world.Watch(ctx, kube, demo.People()[:1], []string{"orders"}, func(line string) { lines <- line }); err != nil {
			t.Error(err)
		}
	})
	kube.BindGroup("readers", "view")
	select {
	case line := <-lines:
		if line != "Rosa Diaz: kubectl get pods -n orders is allowed now" {
			t.Error(line)
		}
	case <-time.After(time.Minute):
		t.Error("nothing is told")
	}
	stop()
	watching.Wait()
}

// Below /slack/ nobody is asked who they are, so there is nothing but what carries
// Slack's signature.
func TestSlackPathsAreNotGuarded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, cleanup, err := demoConfig(cli.DemoOptions{LogLevel: "error", State: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cleanup() })
	c.Notify.Slack.Token, c.Notify.Slack.SigningSecret = "xoxb-1-2-abc", "8f742231b10e8888abcd99yyyzzz85a5"
	p, err := newProduct(t.Context(), c, options{offline: true, out: io.Discard, err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.close() })
	err = errors.Join(p.newRoster(t.Context(), nil), p.openLending(lendingOptions{}))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.lending.interacting()) != 2 {
		t.Error("what is clicked in Slack is never done")
	}
	handler, _, err := p.face(t.Context(), identity.None, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method, path string
		want         int
	}{
		{"POST", "/slack/interactions", http.StatusUnauthorized},
		{"POST", "/slack/commands", http.StatusUnauthorized},
		{"GET", "/slack/interactions", http.StatusNotFound},
		{"GET", "/slack/", http.StatusNotFound},
		{"GET", "/slack/../api/v1/access/grants", http.StatusTemporaryRedirect},
		{"GET", "/api/v1/access/grants", http.StatusUnauthorized},
	} {
		r := httptest.NewRequestWithContext(t.Context(), test.method, "http://gatehouse.example.com/", bytes.NewReader([]byte("payload={}")))
		r.URL.Path = test.path
		if strings.HasPrefix(test.path, "/api") {
			r.Host = "127.0.0.1"
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != test.want || strings.Contains(w.Body.String(), "grants\":") {
			t.Errorf("%s %s answers %d, want %d: %s", test.method, test.path, w.Code, test.want, w.Body)
		}
	}
}
