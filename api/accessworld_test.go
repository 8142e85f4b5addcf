package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
)

// lendFlows: developers get view at once, edit if one of the owners agrees, and admin if
// somebody agrees with a reason.
const lendFlows = `
flows:
  - name: view
    requestors: {conditions: [{type: group, values: [dev]}]}
    targets: [{integration: prod, resource_type: namespace, permissions: [view]}]
    auto_approve: true
    duration: {max: 2h, default: 1h}
    extensions: {max: 1, duration: 30m}
    justification: {required: false}
  - name: edit
    requestors: {conditions: [{type: group, values: [dev]}]}
    targets: [{integration: prod, resource_type: namespace, permissions: [edit]}]
    approvers: {groups: [{conditions: [{type: group, values: [owners]}]}]}
    approver_reason: true
    duration: {max: 2h, default: 1h}
`

// lendPeople are those who come to the API of the tests.
func lendPeople() map[string]identity.Person {
	return map[string]identity.Person{
		"vera":  {ID: "p-vera", Name: "Vera", Email: "vera@example.com", Role: identity.Viewer},
		"rosa":  {ID: "p-rosa", Name: "Rosa", Email: "Rosa@example.com", Role: identity.Requester, Groups: []string{"dev"}},
		"ravi":  {ID: "p-ravi", Name: "Ravi", Email: "ravi@example.com", Role: identity.Requester, Groups: []string{"dev"}},
		"amir":  {ID: "p-amir", Name: "Amir", Email: "amir@example.com", Role: identity.Approver, Groups: []string{"owners"}},
		"sofia": {ID: "p-sofia", Name: "Sofia", Email: "sofia@example.com", Role: identity.Admin},
	}
}

// lendFacts are the same people as flows ask for them.
type lendFacts map[string]flow.Person

func (lendFacts) OnCall(string, string) bool { return false }

func (f lendFacts) Person(id string) (flow.Person, bool) {
	p, ok := f[id]
	return p, ok
}

func (f lendFacts) Members(group string) []string {
	var out []string
	for id, p := range f {
		if slices.Contains(p.Groups, group) {
			out = append(out, id)
		}
	}
	return out
}

// namespaces is a target whose objects are namespaces' permissions of people.
type namespaces struct {
	mu      sync.Mutex
	has     map[string]int // holdings by key
	mapped  bool
	failing error
}

var (
	_ access.Provisioner = (*namespaces)(nil)
	_ access.Revealer    = (*namespaces)(nil)
	_ access.Connector   = (*namespaces)(nil)
)

func (*namespaces) Type() string { return "cluster" }

func (*namespaces) ResourceTypes() []access.ResourceType {
	return []access.ResourceType{{Name: "namespace", Title: "Namespace", Permissions: []string{"view", "edit"}}}
}

func (*namespaces) Validate(i *access.Integration) error {
	if i.Config["server"] == "" {
		return errors.New("config.server is missing; write the address of the cluster")
	}
	return nil
}

func (n *namespaces) Check(context.Context, *access.Integration) ([]access.Check, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.mapped {
		return []access.Check{{Name: "mapped", Result: "failed", Detail: "nobody is mapped", Mend: "connect it"}}, nil
	}
	return []access.Check{{Name: "mapped", Result: "ok", Detail: "fine"}}, nil
}

func (*namespaces) Discover(context.Context, *access.Integration) ([]flow.Resource, error) {
	return []flow.Resource{
		{Type: "namespace", ID: "namespace/payments", Name: "payments", Path: "prod / payments"},
		{Type: "namespace", ID: "namespace/orders", Name: "=orders", Path: "prod / orders"},
	}, nil
}

func (*namespaces) Object(_ *access.Integration, p flow.Person, item flow.Item) (string, error) {
	return p.ID + ":" + item.Resource.ID + ":" + item.Permission, nil
}

func (n *namespaces) Apply(_ context.Context, _ *access.Integration, w access.Wanted) (access.Applied, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.failing != nil {
		return access.Applied{}, n.failing
	}
	if delete(n.has, w.Key); len(w.Holdings) > 0 {
		n.has[w.Key] = len(w.Holdings)
	}
	return access.Applied{}, nil
}

func (n *namespaces) List(context.Context, *access.Integration) ([]access.Found, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []access.Found
	for key := range n.has {
		out = append(out, access.Found{Key: key, Name: key})
	}
	return out, nil
}

func (*namespaces) Details(*access.Integration, *access.Grant) (access.Details, error) {
	return access.Details{Text: "use it", Snippets: []access.Snippet{{Title: "Try it", Language: "sh", Text: "kubectl get pods"}}}, nil
}

func (*namespaces) Credentials(_ context.Context, _ *access.Integration, p flow.Person, h []access.Holding) (access.Credentials, error) {
	return access.Credentials{Version: 1, AccessKeyID: "ASIA-" + p.ID, SecretAccessKey: "hush", SessionToken: "token", Expiration: h[0].Expires}, nil
}

func (n *namespaces) Onboard(_ context.Context, i *access.Integration, apply bool) (*access.Connection, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := &access.Connection{Integration: i.Name, Target: "the map of " + i.Name, Done: n.mapped}
	if !n.mapped {
		c.Steps = []string{"map people"}
	}
	if apply {
		n.mapped, c.Done = true, true
	}
	return c, nil
}

// lendSite is the API over a real desk on SQLite.
type lendSite struct {
	t       *testing.T
	server  *httptest.Server
	guard   *identity.Guard
	desk    *access.Desk
	target  *namespaces
	callers map[string]*caller
}

const lendToken = "a-token-that-is-long-enough-for-tests"

func newLendSite(t *testing.T) *lendSite {
	t.Helper()
	s := &lendSite{t: t, target: &namespaces{has: map[string]int{}}, callers: map[string]*caller{}}
	db, err := sqlite.Open(t.Context(), "sqlite:"+t.TempDir()+"/state.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	lent, err := db.Lending()
	if err != nil {
		t.Fatal(err)
	}
	facts := lendFacts{}
	var personas []identity.Person
	for _, p := range lendPeople() {
		facts[p.Email] = access.PersonOf(p)
		personas = append(personas, p)
	}
	if s.desk, err = access.NewDesk(access.Options{Store: lent, Provisioners: []access.Provisioner{s.target}, Facts: facts}); err != nil {
		t.Fatal(err)
	}
	if s.guard, err = identity.New(identity.Options{Token: lendToken, Anonymous: identity.Viewer, People: personas}); err != nil {
		t.Fatal(err)
	}
	runs := access.NewTargetRuns(s.desk)
	s.server = httptest.NewUnstartedServer(s.guard.Handler(api.New(api.Options{Inventory: apitest.Rich(now), Identity: s.guard, Access: s.desk, AccessRuns: runs})))
	// Streams end when the test does, not when the client thinks of it.
	ctx, stop := context.WithCancel(t.Context())
	s.server.Start()
	var running sync.WaitGroup
	running.Go(func() { _ = s.desk.Run(ctx) })
	running.Go(func() { _ = runs.Run(ctx) })
	t.Cleanup(func() {
		s.server.CloseClientConnections()
		s.server.Close()
		stop()
		running.Wait()
	})
	return s
}

// as is somebody who is signed in; "" is nobody, "token" has the admin token.
func (s *lendSite) as(name string) *caller {
	s.t.Helper()
	if c := s.callers[name]; c != nil {
		return c
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	c := &caller{t: s.t, server: s.server, client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	switch p, ok := lendPeople()[name]; {
	case name == "token":
		c.bearer = lendToken
	case ok:
		link := strings.TrimPrefix(s.guard.PersonLink(s.server.Listener.Addr().String(), p), s.server.URL)
		if status, text := c.send("GET", link, ""); status != http.StatusSeeOther {
			s.t.Fatalf("signing in answers %d: %s", status, text)
		}
	}
	s.callers[name] = c
	return c
}

// ask sends a request with headers, and decodes the answer into out.
func (s *lendSite) ask(name, method, path, body string, header map[string]string, out any) (int, http.Header, string) {
	s.t.Helper()
	c := s.as(name)
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.server.URL+"/api/v1/access"+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	for k, v := range header {
		r.Header.Set(k, v)
	}
	res, err := c.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if out != nil && res.StatusCode < 300 {
		if err := json.Unmarshal(text, out); err != nil {
			s.t.Fatalf("%s %s: %v: %s", method, path, err, text)
		}
	}
	return res.StatusCode, res.Header, string(text)
}

// must is an ask that is answered with a status below 300.
func (s *lendSite) must(name, method, path, body string, header map[string]string, out any) http.Header {
	s.t.Helper()
	status, h, text := s.ask(name, method, path, body, header, out)
	if status >= 300 {
		s.t.Fatalf("%s: %s %s answers %d: %s", name, method, path, status, text)
	}
	return h
}

// open sets lending up through the API alone, as an admin does.
func (s *lendSite) open() {
	s.t.Helper()
	s.must("sofia", "PUT", "/integrations/prod", `{"type":"cluster","config":{"server":"x"},"custom_access_details":"Ask in #prod."}`, map[string]string{"If-None-Match": "*"}, nil)
	s.must("sofia", "POST", "/integrations/prod/connect", `{"apply":true}`, nil, nil)
	s.run("discover")
	text, err := json.Marshal(map[string]any{"text": lendFlows})
	if err != nil {
		s.t.Fatal(err)
	}
	var plan access.FlowPlan
	if s.must("sofia", "PUT", "/flows", string(text), map[string]string{"If-Match": `"0"`}, &plan); plan.Version != 1 {
		s.t.Fatalf("the flows were not taken: %+v", plan.Problems)
	}
}

type runBody struct {
	ID, Kind, State, Error string
	Found, Left            int
}

// run has the target asked, and waits until that has ended.
func (s *lendSite) run(kind string) runBody {
	s.t.Helper()
	var r runBody
	where := s.must("sofia", "POST", "/integrations/prod/"+kind, "", nil, &r).Get("Location")
	path, ok := strings.CutPrefix(where, "/api/v1/access")
	if !ok || r.Kind != kind {
		s.t.Fatalf("%s begins %+v at %q", kind, r, where)
	}
	for end := time.Now().Add(time.Minute); r.State == "running"; time.Sleep(10 * time.Millisecond) {
		s.must("sofia", "GET", path, "", nil, &r)
		if time.Now().After(end) {
			s.t.Fatalf("it does not end: %+v", r)
		}
	}
	return r
}

func askFor(resource, permission, why string) string {
	return fmt.Sprintf(`{"items":[{"integration":"prod","type":"namespace","resource":%q,"permission":%q}],"justification":%q}`, resource, permission, why)
}

type requestBody struct {
	ID, State, Grant string
	Version          int64
	MayVote          bool     `json:"may_vote"`
	CanApprove       []string `json:"can_approve"`
}

type grantBody struct {
	ID, State, Trouble string
	Items              []struct{ Confirmed bool }
	MayRevoke          bool  `json:"may_revoke"`
	MayExtend          int64 `json:"may_extend_seconds"`
}

// grant waits until a grant is in a state.
func (s *lendSite) grant(name, id, state string) grantBody {
	s.t.Helper()
	var g grantBody
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		s.must(name, "GET", "/grants/"+id, "", nil, &g)
		if g.State == state {
			return g
		}
		if time.Now().After(end) {
			s.t.Fatalf("grant %s is %s, want %s: %s", id, g.State, state, g.Trouble)
		}
	}
}
