package dashboard_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/api"
	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/dashboard"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
)

// lendingFlows: dev view by themselves and edit with the word of sre, who may break the
// glass; admin wants the owner and sre, each with a reason.
const lendingFlows = `# Who may have what.
flows:
  - name: look around
    description: everybody in dev may look
    requestors: {conditions: [{type: group, values: [dev]}]}
    request_for: {scopes: [self, direct_reports]}
    targets: [{integration: prod-1, resource_type: eks-namespace, permissions: [view]}]
    auto_approve: true
    duration: {max: 8h, default: 1h}
    extensions: {max: 2, duration: 2h}
    justification: {required: false}
  - name: change things
    requestors: {conditions: [{type: group, values: [dev, sre]}], operator: or}
    targets:
      - {integration: prod-1, resource_type: eks-namespace, permissions: [edit], exclude: [{type: name, values: [kube-*]}]}
      - {bundle: shop}
    approvers: {groups: [{conditions: [{type: group, values: [sre]}]}]}
    escalation: [{after: 30m, groups: [{conditions: [{type: user, values: [root@example.com]}]}]}]
    duration: {max: 4h}
    extensions: {max: 1, duration: 30m}
    lapse_after: 2h
    break_glass:
      who: {conditions: [{type: group, values: [sre]}]}
      max_duration: 30m
      notify: [{kind: user, value: root@example.com}]
  - name: administer
    requestors: {conditions: [{type: group, values: [dev]}]}
    targets: [{integration: prod-1, resource_type: eks-namespace, permissions: [admin]}]
    approvers:
      mode: all_of
      groups:
        - {conditions: [{type: owner}]}
        - {conditions: [{type: group, values: [sre]}]}
    approver_reason: true
    justification: {required: true, pattern: "^OPS-[0-9]+"}
    duration: {max: 1h}
bundles:
  - name: shop
    description: what the shop is made of
    targets: [{integration: prod-1, resource_type: eks-namespace, permissions: [edit], include: [{type: tag, key: team, values: [shop]}]}]
`

// lendingTarget is a cluster that keeps what is lent in memory, as a provisioner.
type lendingTarget struct {
	mu      sync.Mutex
	objects map[string][]string // the grants on each
	down    error
	mapped  bool
	foreign bool          // it differs from what a plan was shown of
	slow    chan struct{} // a check waits until it is closed
}

var errDown = errors.New("dial tcp 10.0.0.1:443: no route to host")

var (
	_ access.Provisioner = (*lendingTarget)(nil)
	_ access.Connector   = (*lendingTarget)(nil)
)

func (*lendingTarget) Type() string { return "eks-rbac" }

func (*lendingTarget) ResourceTypes() []access.ResourceType {
	return []access.ResourceType{
		{Name: "eks-namespace", Title: "Namespace", Permissions: []string{"view", "edit", "admin"}},
		{Name: "eks-cluster-role", Title: "Cluster role"},
	}
}

func (*lendingTarget) Validate(i *access.Integration) error {
	if i.Config["cluster_name"] == "" {
		return errors.New("config.cluster_name: it is missing; write the cluster's name, as aws eks list-clusters shows it")
	}
	return nil
}

func (t *lendingTarget) Check(ctx context.Context, i *access.Integration) ([]access.Check, error) {
	t.mu.Lock()
	slow := t.slow
	t.mu.Unlock()
	if slow != nil {
		access.Report(ctx, 2, 8, "")
		select {
		case <-slow:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	checks := []access.Check{
		{Name: "authentication-mode", Result: "ok", Detail: "API_AND_CONFIG_MAP"},
		{Name: "clock", Result: "warning", Detail: "the clock is off by 2 s", Mend: "chronyc makestep"},
	}
	if i.Config["region"] == "us-east-1" {
		checks = append(checks, access.Check{
			Name: "trust-policy-session-name", Result: "failed", Detail: "the trust policy lets anybody name themselves " + apitest.Hostile,
			Mend: `{"StringEquals": {"sts:RoleSessionName": "${saml:sub}"}}`,
		})
	}
	return checks, nil
}

func (t *lendingTarget) Discover(context.Context, *access.Integration) ([]flow.Resource, error) {
	if err := t.fault(); err != nil {
		return nil, err
	}
	var out []flow.Resource
	for _, n := range []struct{ name, team string }{{"payments", "shop"}, {"orders", "shop"}, {"search", "find"}, {"kube-system", "platform"}} {
		out = append(out, flow.Resource{
			Type: "eks-namespace", ID: "namespace/" + n.name, Name: n.name, Path: "prod-1 / " + n.name, Permissions: []string{"view", "edit", "admin"},
			Tags: map[string]string{"team": n.team, "owner": "sofia@example.com", "kubernetes.io/metadata.name": n.name},
		})
	}
	return out, nil
}

func (*lendingTarget) Object(i *access.Integration, p flow.Person, item flow.Item) (string, error) {
	return p.ID + ":" + item.Resource.ID + ":" + item.Permission, nil
}

func (t *lendingTarget) Apply(_ context.Context, _ *access.Integration, w access.Wanted) (access.Applied, error) {
	if err := t.fault(); err != nil {
		return access.Applied{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.objects, w.Key)
	for _, h := range w.Holdings {
		t.objects[w.Key] = append(t.objects[w.Key], h.Grant)
	}
	return access.Applied{}, nil
}

func (t *lendingTarget) List(context.Context, *access.Integration) ([]access.Found, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []access.Found
	for key, grants := range t.objects {
		out = append(out, access.Found{Key: key, Name: "RoleBinding " + key, Grants: grants})
	}
	return out, t.down
}

func (*lendingTarget) Details(i *access.Integration, g *access.Grant) (access.Details, error) {
	text := i.AccessDetails
	if text == "" {
		text = "Be kind to the cluster."
	}
	return access.Details{Text: text, Snippets: []access.Snippet{
		{Title: "Profile", Language: "ini", Text: "[profile prod-1]\nrole_session_name = " + g.Person.ID},
		{Title: "Look", Language: "sh", Text: "kubectl --context prod-1 get pods"},
	}}, nil
}

func (t *lendingTarget) Onboard(_ context.Context, i *access.Integration, apply bool) (*access.Connection, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &access.Connection{Integration: i.Name, Target: "ConfigMap aws-auth of " + i.Name, Detail: map[string]string{"role": "apono-k8s-access"}, Done: t.mapped}
	if !t.mapped {
		c.Steps = []string{"add role apono-k8s-access as gatehouse:{{SessionNameRaw}}"}
		c.Before, c.After = "mapRoles: |\n  []\n", "mapRoles: |\n  - rolearn: arn:aws:iam::111122223333:role/apono-k8s-access\n"
		if t.foreign {
			c.Before = "mapRoles: |\n  - somebody else was here\n"
		}
	}
	if apply {
		t.mapped, c.Done = true, true
	}
	return c, nil
}

func (t *lendingTarget) fault() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.down
}

func (t *lendingTarget) set(change func(*lendingTarget)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change(t)
}

func (t *lendingTarget) has(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.objects[key]) > 0
}

// lendingPeople are those of the guard, as flows know them.
type lendingPeople []identity.Person

func (lendingPeople) OnCall(string, string) bool { return false }

func (l lendingPeople) Person(id string) (flow.Person, bool) {
	for _, p := range l {
		if p.Email == id {
			return access.PersonOf(p), true
		}
	}
	return flow.Person{}, false
}

func (l lendingPeople) Members(group string) []string {
	var out []string
	for _, p := range l {
		if slices.Contains(p.Groups, group) {
			out = append(out, p.Email)
		}
	}
	return out
}

// lendingWorld is a desk over a real store and a target of its own, behind the guard.
type lendingWorld struct {
	t      *testing.T
	desk   *access.Desk
	target *lendingTarget
	guard  *identity.Guard
	srv    *httptest.Server
	people lendingPeople
}

// openLending starts a world; with empty set nothing is connected and no flow applied.
func openLending(t *testing.T, empty bool) *lendingWorld {
	t.Helper()
	w := &lendingWorld{t: t, target: &lendingTarget{objects: map[string][]string{}}}
	w.people = lendingPeople{
		{ID: "ann", Name: "Ann " + apitest.Hostile, Email: "ann@example.com", Role: identity.Requester, Groups: []string{"dev"}, Manager: "sam@example.com"},
		{ID: "sam", Name: "Sam", Email: "sam@example.com", Role: identity.Approver, Groups: []string{"dev", "sre"}},
		{ID: "sue", Name: "Sue", Email: "sue@example.com", Role: identity.Approver, Groups: []string{"sre"}},
		{ID: "sofia", Name: "Sofia", Email: "sofia@example.com", Role: identity.Approver},
		{ID: "root", Name: "Root", Email: "root@example.com", Role: identity.Admin},
		{ID: "vera", Name: "Vera", Email: "vera@example.com", Role: identity.Viewer},
	}
	s, err := sqlite.Open(t.Context(), "sqlite:"+t.TempDir()+"/state.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	lending, err := s.Lending()
	if err != nil {
		t.Fatal(err)
	}
	w.desk, err = access.NewDesk(access.Options{Store: lending, Provisioners: []access.Provisioner{w.target}, Facts: w.people, Limits: access.Limits{Poll: 50 * time.Millisecond, MaxBackoff: time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	trail, err := audit.NewWatch(audit.WatchOptions{Reader: s})
	if err != nil {
		t.Fatal(err)
	}
	if !empty {
		w.fill()
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.desk.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the desk: %v", err)
		}
	})
	runs := access.NewTargetRuns(w.desk)
	ran := make(chan error, 1)
	go func() { ran <- runs.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ran; err != nil {
			t.Errorf("the runs: %v", err)
		}
	})
	world := apitest.Rich(time.Now())
	pages := dashboard.Options{Inventory: world, Health: world.Health, Estate: world.Estate, Tail: world.Tail, Version: "1.2.3", Access: w.desk, AccessRuns: runs, Audit: trail}
	w.guard, err = identity.New(identity.Options{Token: token, Anonymous: identity.Viewer, People: w.people, SignIn: dashboard.SignIn(pages), Ask: dashboard.Ask(pages)})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", api.New(api.Options{Inventory: world, Health: world.Health, Estate: world.Estate, Tail: world.Tail, Version: "1.2.3", Access: w.desk, AccessRuns: runs, Audit: trail}))
	mux.Handle("/", dashboard.New(pages))
	w.srv = httptest.NewServer(w.guard.Handler(mux))
	t.Cleanup(func() {
		w.srv.CloseClientConnections()
		w.srv.Close()
	})
	return w
}

// fill connects a cluster and applies the flows.
func (w *lendingWorld) fill() {
	w.t.Helper()
	ctx, root := w.t.Context(), w.who("root")
	i := &access.Integration{
		Name: "prod-1", Type: "eks-rbac", Config: map[string]string{"cluster_name": "prod-1", "region": "eu-west-1"}, RotationDays: 0, CleanupDays: 30,
		Owner: []flow.Principal{{Kind: "user", Value: "sofia@example.com"}}, OwnerTag: "owner", OwnerKind: "user",
	}
	if _, err := w.desk.SaveIntegration(ctx, i, root, 0, "api"); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.desk.DiscoverNow(ctx, "prod-1", root, "api"); err != nil {
		w.t.Fatal(err)
	}
	plan, err := w.desk.ApplyFlows(ctx, access.Flowing{Text: lendingFlows, By: root, Source: "file", Via: "cli"})
	if err != nil || plan.HasErrors() || plan.Version != 1 {
		w.t.Fatalf("applying flows: %+v, %v", plan, err)
	}
}

func (w *lendingWorld) who(id string) flow.Person {
	w.t.Helper()
	p, ok := w.people.Person(id + "@example.com")
	if !ok {
		w.t.Fatalf("nobody is called %s", id)
	}
	return p
}

// enter is a browser of a person who is signed in; "" of nobody.
func (w *lendingWorld) enter(id string) *visitor {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	v := &visitor{t: w.t, srv: w.srv, client: &http.Client{Jar: jar}}
	if id != "" {
		if status, _ := v.send("GET", w.link(id), nil); status != 200 {
			w.t.Fatalf("signing %s in answers %d", id, status)
		}
	}
	return v
}

// link signs a person in.
func (w *lendingWorld) link(id string) string {
	for _, p := range w.people {
		if p.ID == id {
			return strings.TrimPrefix(w.guard.PersonLink(w.srv.Listener.Addr().String(), p), w.srv.URL)
		}
	}
	w.t.Fatalf("nobody is called %s", id)
	return ""
}

func (w *lendingWorld) ask(id, permission, namespace string, change ...func(*access.Ask)) *access.Request {
	w.t.Helper()
	a := access.Ask{
		By: w.who(id), Justification: "OPS-1 the queue stands still", Duration: time.Hour, Via: "cli",
		Items: []access.ItemRef{{Integration: "prod-1", Type: "eks-namespace", Resource: "namespace/" + namespace, Permission: permission}},
	}
	for _, c := range change {
		c(&a)
	}
	r, err := w.desk.Request(w.t.Context(), a)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// granted waits until a grant has a state.
func (w *lendingWorld) granted(id string, state access.GrantState) *access.GrantView {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		g, err := w.desk.GrantByID(w.t.Context(), w.who("root"), id)
		if err == nil && g.State == state {
			return g
		}
		if time.Now().After(end) {
			w.t.Fatalf("grant %s is not %s: %+v, %v", id, state, g, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
