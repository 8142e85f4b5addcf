package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/eks"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/api"
	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
)

// lendingFlows: developers get view by themselves, edit needs somebody on call, and those
// may break the glass.
const lendingFlows = `# who may do what
flows:
  - name: look
    requestors: {conditions: [{type: group, values: [dev]}]}
    targets:
      - {integration: blue, resource_type: eks-namespace, permissions: ["role:view"]}
      - {integration: orders, resource_type: api-route, permissions: [invoke]}
      - {bundle: Kit}
    auto_approve: true
    duration: {max: 2h, default: 10m}
    extensions: {max: 1, duration: 30m}
    justification: {required: false}
  - name: change
    requestors: {conditions: [{type: group, values: [dev, sre]}]}
    targets: [{integration: blue, resource_type: eks-namespace, permissions: ["role:edit"]}]
    approvers: {groups: [{conditions: [{type: group, values: [sre]}]}]}
    duration: {max: 1h}
    break_glass:
      who: {conditions: [{type: group, values: [sre]}]}
      max_duration: 30m
      notify: [{kind: user, value: sofia@example.com}]
bundles:
  - name: Kit
    targets: [{integration: blue, resource_type: eks-namespace, permissions: ["role:view"]}]
`

// fakeCluster is a cluster of which everything is true but the cluster itself.
type fakeCluster struct {
	*eks.RBAC
	mu      sync.Mutex
	objects map[string]bool
	down    bool
	failed  bool
	mapped  bool
	found   []access.Found // what stands there, as far as it is not as it should be
}

func (f *fakeCluster) Check(context.Context, *access.Integration) ([]access.Check, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed {
		return []access.Check{{Name: "trust-policy-session-name", Result: "failed", Detail: "anybody may name themselves", Mend: "aws iam update-assume-role-policy"}}, nil
	}
	return []access.Check{{Name: "permissions", Result: "ok", Detail: "it may bind roles"}}, nil
}

func (f *fakeCluster) Discover(context.Context, *access.Integration) ([]flow.Resource, error) {
	var out []flow.Resource
	for _, n := range []string{"payments", "payments-batch", "search"} {
		out = append(out, flow.Resource{Type: "eks-namespace", ID: "namespace/" + n, Name: n, Path: "blue / " + n, Permissions: []string{"role:view", "role:edit"}})
	}
	return out, nil
}

func (*fakeCluster) Object(_ *access.Integration, p flow.Person, item flow.Item) (string, error) {
	return p.ID + ":" + item.Resource.ID + ":" + item.Permission, nil
}

func (f *fakeCluster) Apply(_ context.Context, _ *access.Integration, w access.Wanted) (access.Applied, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return access.Applied{}, errors.New("connect: connection refused")
	}
	f.objects[w.Key] = len(w.Holdings) > 0
	f.found = slices.DeleteFunc(f.found, func(o access.Found) bool { return o.Key == w.Key })
	return access.Applied{}, nil
}

func (f *fakeCluster) List(context.Context, *access.Integration) ([]access.Found, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return nil, errors.New("connect: connection refused")
	}
	return slices.Clone(f.found), nil
}

func (f *fakeCluster) Onboard(_ context.Context, i *access.Integration, apply bool) (*access.Connection, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	c := &access.Connection{Integration: i.Name, Target: "ConfigMap aws-auth of " + i.Name, Detail: map[string]string{"role": "blue-access"}, Done: f.mapped}
	if !f.mapped {
		c.Steps, c.Done = []string{"add to mapRoles"}, apply
		f.mapped = apply
	}
	return c, nil
}

func (*fakeCluster) Sparse() bool { return true }

// fakeAPI is an API that is used with credentials that Gatehouse vends.
type fakeAPI struct{ fakeCluster }

func (*fakeAPI) Type() string { return "api-gateway" }

func (*fakeAPI) ResourceTypes() []access.ResourceType {
	return []access.ResourceType{{Name: "api-route", Title: "Route", Permissions: []string{"invoke"}}}
}

func (*fakeAPI) Validate(*access.Integration) error { return nil }

func (*fakeAPI) Check(context.Context, *access.Integration) ([]access.Check, error) {
	return []access.Check{{Name: "role", Result: "ok", Detail: "it can be assumed"}}, nil
}

func (*fakeAPI) Discover(context.Context, *access.Integration) ([]flow.Resource, error) {
	return []flow.Resource{{Type: "api-route", ID: "prod/GET/orders", Name: "GET /orders", Permissions: []string{"invoke"}}}, nil
}

func (*fakeAPI) Details(i *access.Integration, _ *access.Grant) (access.Details, error) {
	return access.Details{Text: "use " + i.Name, Snippets: []access.Snippet{{
		Title: "~/.aws/config", Language: "ini", Text: "[profile gatehouse-" + i.Name + "]\ncredential_process = gatehouse access creds --integration " + i.Name + "\n",
	}}}, nil
}

func (*fakeAPI) Credentials(_ context.Context, _ *access.Integration, p flow.Person, h []access.Holding) (access.Credentials, error) {
	return access.Credentials{Version: 1, AccessKeyID: "ASIAEXAMPLE" + p.ID[:1], SecretAccessKey: "secret", SessionToken: "token", Expiration: h[0].Expires.Truncate(time.Second)}, nil
}

// crowd are the people as lending knows them.
type crowd []identity.Person

func (crowd) OnCall(string, string) bool { return false }

func (c crowd) Person(id string) (flow.Person, bool) {
	for _, p := range c {
		if p.Email == id {
			return access.PersonOf(p), true
		}
	}
	return flow.Person{}, false
}

func (c crowd) Members(group string) []string {
	var out []string
	for _, p := range c {
		if slices.Contains(p.Groups, group) {
			out = append(out, p.Email)
		}
	}
	return out
}

// onMachine is what this machine says to STS.
type onMachine struct {
	Runtime
	arns map[string]string // by profile
}

func (m *onMachine) CallerIdentity(_ context.Context, profile string) (string, error) {
	if arn, ok := m.arns[profile]; ok {
		return arn, nil
	}
	return "", errors.New("failed to get shared config profile, " + profile)
}

// lendWorld is a server that lends, with people who are signed in from a command line.
type lendWorld struct {
	t       *testing.T
	srv     *httptest.Server
	cluster *fakeCluster
	machine *onMachine
	tokens  map[string]string
	home    string
}

func newLendWorld(t *testing.T) *lendWorld {
	t.Helper()
	home := t.TempDir()
	for key, value := range map[string]string{
		"HOME": home, "XDG_CONFIG_HOME": home, "GATEHOUSE_SERVER": "", "GATEHOUSE_TOKEN": "", "KUBECONFIG": "", "AWS_CONFIG_FILE": "", "PATH": "",
	} {
		t.Setenv(key, value)
	}
	people := crowd{
		{ID: "p-rosa", Name: "Rosa", Email: "Rosa.Diaz@example.com", Role: identity.Requester, Groups: []string{"dev"}},
		{ID: "p-amir", Name: "Amir", Email: "amir@example.com", Role: identity.Approver, Groups: []string{"sre"}},
		{ID: "p-sofia", Name: "Sofia", Email: "sofia@example.com", Role: identity.Admin},
		{ID: "p-vera", Name: "Vera", Email: "vera@example.com", Role: identity.Viewer},
	}
	clusters, err := eks.New(eks.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &lendWorld{t: t, cluster: &fakeCluster{RBAC: eks.NewRBAC(clusters), objects: map[string]bool{}}, machine: &onMachine{arns: map[string]string{}}, tokens: map[string]string{}, home: home}
	s, err := sqlite.Open(t.Context(), "sqlite::memory:", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	lending, err := s.Lending()
	if err != nil {
		t.Fatal(err)
	}
	desk, err := access.NewDesk(access.Options{
		Store: lending, Facts: people, Limits: access.Limits{Poll: 20 * time.Millisecond, MaxBackoff: 100 * time.Millisecond},
		Provisioners: []access.Provisioner{w.cluster, &fakeAPI{fakeCluster{objects: map[string]bool{}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	runs := access.NewTargetRuns(desk)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- desk.Run(ctx) }()
	go func() { done <- runs.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Errorf("the desk ends with %v", err)
			}
		}
	})
	guard, err := identity.New(identity.Options{People: people})
	if err != nil {
		t.Fatal(err)
	}
	w.srv = httptest.NewServer(guard.Handler(api.New(api.Options{Inventory: apitest.Empty(time.Now()), Identity: guard, Access: desk, AccessRuns: runs})))
	t.Cleanup(w.srv.Close)
	t.Setenv("GATEHOUSE_SERVER", w.srv.URL)
	for _, p := range people {
		name, _, _ := strings.Cut(strings.TrimPrefix(p.ID, "p-"), "@")
		w.tokens[name] = w.signIn(guard, p)
	}
	w.set(desk, access.PersonOf(people[2]))
	return w
}

// signIn is what 'gatehouse login --device' and the person's browser do.
func (w *lendWorld) signIn(guard *identity.Guard, p identity.Person) string {
	w.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	g := &gatehouse{t: w.t, srv: w.srv, guard: guard, browser: &http.Client{Jar: jar}, person: p}
	g.open("GET", guard.PersonLink(w.srv.Listener.Addr().String(), p), nil)
	c := &client{server: w.srv.URL, http: w.srv.Client()}
	var begun struct {
		DeviceCode string `json:"device_code"`
		Code       string `json:"code"`
	}
	if _, err := c.do(w.t.Context(), "POST", "/login/device/start", map[string]string{"device": "test"}, &begun); err != nil {
		w.t.Fatal(err)
	}
	page, _ := g.open("POST", "/login/device", url.Values{"code": {begun.Code}})
	g.open("POST", "/login/device", formIn(page))
	var r loginResult
	if _, err := c.do(w.t.Context(), "POST", "/login/token", map[string]string{"device_code": begun.DeviceCode}, &r); err != nil || r.Token == "" {
		w.t.Fatalf("signing %s in: %+v, %v", p.Name, r, err)
	}
	return r.Token
}

// set puts the integrations and the flows in place.
func (w *lendWorld) set(desk *access.Desk, admin flow.Person) {
	w.t.Helper()
	tls := httptest.NewUnstartedServer(nil)
	tls.StartTLS()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: tls.Certificate().Raw})
	tls.Close()
	for _, i := range []*access.Integration{
		{Name: "blue", Type: "eks-rbac", AccessDetails: "Mind the batch jobs.", Config: map[string]string{
			"cluster_name": "blue-1", "access_role_name": "blue-access", "region": "eu-west-1", "account": "111122223333", "server_url": "https://blue.example.com", "certificate_authority": string(authority),
		}},
		{Name: "orders", Type: "api-gateway", Config: map[string]string{"role": "invoker"}},
	} {
		if _, err := desk.SaveIntegration(w.t.Context(), i, admin, 0, "api"); err != nil {
			w.t.Fatal(err)
		}
		if _, err := desk.DiscoverNow(w.t.Context(), i.Name, admin, "api"); err != nil {
			w.t.Fatal(err)
		}
	}
	plan, err := desk.ApplyFlows(w.t.Context(), access.Flowing{Text: lendingFlows, By: admin, Source: "file", Via: "cli"})
	if err != nil || plan.Version != 1 {
		w.t.Fatalf("applying flows: %+v, %v", plan, err)
	}
}

// ended is how a command ended.
type ended struct {
	status   int
	out, err string
}

// as runs a command as a person; typed is what they type.
func (w *lendWorld) as(person, typed string, args ...string) ended {
	w.t.Helper()
	w.t.Setenv("GATEHOUSE_TOKEN", w.tokens[person])
	var out, errs bytes.Buffer
	status := Run(w.t.Context(), w.machine, Streams{In: strings.NewReader(typed), Out: &out, Err: &errs}, args)
	return ended{status, out.String(), errs.String()}
}

// must runs a command that has to end well, and reads its JSON into out unless nil.
func (w *lendWorld) must(person string, out any, args ...string) ended {
	w.t.Helper()
	if out != nil {
		args = append(args, "-o", "json")
	}
	s := w.as(person, "", args...)
	if s.status != 0 {
		w.t.Fatalf("%s as %s ends with %d:\n%s%s", strings.Join(args, " "), person, s.status, s.out, s.err)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(s.out), out); err != nil {
			w.t.Fatalf("%s prints %q: %v", strings.Join(args, " "), s.out, err)
		}
	}
	return s
}

// wants fails unless text holds every part.
func wants(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s does not say %q:\n%s", what, p, text)
		}
	}
}
