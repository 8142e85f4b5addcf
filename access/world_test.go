package access_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
)

// flowText: dev get "view" by themselves; "edit" needs one of sre; "admin" needs the
// owner and one of sre; sre may break the glass for "edit".
const flowText = `
flows:
  - name: view
    requestors: {conditions: [{type: group, values: [dev]}]}
    targets:
      - {integration: one, resource_type: namespace, permissions: [view]}
      - {integration: two, resource_type: namespace, permissions: [view]}
    auto_approve: true
    duration: {max: 2h, default: 10m}
    extensions: {max: 2, duration: 10m}
    justification: {required: false}
  - name: edit
    requestors: {conditions: [{type: group, values: [dev, sre]}], operator: or}
    request_for: {scopes: [self, direct_reports]}
    targets: [{integration: one, resource_type: namespace, permissions: [edit]}]
    approvers: {groups: [{conditions: [{type: group, values: [sre]}]}]}
    escalation: [{after: 30m, groups: [{conditions: [{type: user, values: [boss@example.com]}]}]}]
    duration: {max: 1h}
    extensions: {max: 1, duration: 30m}
    lapse_after: 2h
    break_glass:
      who: {conditions: [{type: group, values: [sre]}]}
      max_duration: 30m
      notify: [{kind: user, value: boss@example.com}]
  - name: admin
    requestors: {conditions: [{type: group, values: [dev]}]}
    targets: [{integration: one, resource_type: namespace, permissions: [admin]}]
    approvers:
      mode: all_of
      groups:
        - {conditions: [{type: owner}]}
        - {conditions: [{type: group, values: [sre]}]}
    approver_reason: true
    duration: {max: 30m}
bundles:
  - name: look
    targets: [{integration: one, resource_type: namespace, permissions: [view]}]
`

// directory is the people of the tests.
type directory struct {
	mu     sync.Mutex
	people map[string]flow.Person
}

func newDirectory() *directory {
	d := &directory{people: map[string]flow.Person{}}
	for _, p := range []flow.Person{
		{ID: "ann@example.com", Name: "Ann", Groups: []string{"dev"}, Manager: "boss@example.com"},
		{ID: "ben@example.com", Name: "Ben", Groups: []string{"dev"}, Manager: "boss@example.com"},
		{ID: "cleo@example.com", Name: "Cleo", Groups: []string{"dev"}},
		{ID: "sam@example.com", Name: "Sam", Groups: []string{"sre"}},
		{ID: "sue@example.com", Name: "Sue", Groups: []string{"sre"}},
		{ID: "olga@example.com", Name: "Olga", Groups: []string{"owners"}},
		{ID: "boss@example.com", Name: "Boss", Groups: []string{"dev"}},
		{ID: "root@example.com", Name: "Root", Admin: true},
		{ID: "eve@example.com", Name: "Eve"},
	} {
		d.people[p.ID] = p
	}
	return d
}

func (d *directory) OnCall(string, string) bool { return false }

func (d *directory) Person(id string) (flow.Person, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p, ok := d.people[id]
	return p, ok
}

func (d *directory) Members(group string) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for id, p := range d.people {
		if slices.Contains(p.Groups, group) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

func (d *directory) set(id string, change func(*flow.Person)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.people[id]
	change(&p)
	d.people[id] = p
}

// target is something where access is lent: objects that carry grants.
type target struct {
	mu      sync.Mutex
	objects map[string]*standing // by the key within its integration
	// faults, by integration
	fault map[string]fault
	calls int
	// landing counts writes that are on their way although nobody waits for them.
	landing int
	seen    map[string]time.Time // what changed when, for measurements
}

type standing struct {
	grants  []string
	expires time.Time
}

type fault struct {
	down  bool
	slow  time.Duration
	lies  bool          // applies, and answers an error
	loses bool          // takes writes and forgets them
	lazy  time.Duration // shows writes later
	hangs bool          // until the caller gives up
	err   error         // answers it, after slow
}

func newTarget() *target {
	return &target{objects: map[string]*standing{}, fault: map[string]fault{}, seen: map[string]time.Time{}}
}

var errDown = errors.New("connect: connection refused")

func (t *target) faultOf(integration string) fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fault[integration]
}

func (t *target) setFault(integration string, f fault) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fault[integration] = f
}

func (t *target) put(key string, holdings []access.Holding) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.calls++
	if len(holdings) == 0 {
		delete(t.objects, key)
	} else {
		s := &standing{}
		for _, h := range holdings {
			s.grants = append(s.grants, h.Grant)
			if h.Expires.After(s.expires) {
				s.expires = h.Expires
			}
		}
		t.objects[key] = s
	}
	t.seen[key] = time.Now()
}

func (t *target) get(key string) (standing, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, ok := t.objects[key]
	if !ok {
		return standing{}, false
	}
	return *s, true
}

func (t *target) keys() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Sorted(maps.Keys(t.objects))
}

// port is a provisioner over a target, as one process has it.
type port struct {
	*target
	dead func() bool
	// zombie, if it is set, takes over a write: it lands after a while, whatever became
	// of its caller.
	zombie func() time.Duration
}

func (*port) Type() string { return "fake" }

func (*port) ResourceTypes() []access.ResourceType {
	return []access.ResourceType{{Name: "namespace", Title: "Namespace", Permissions: []string{"view", "edit", "admin"}}}
}

func (*port) Validate(i *access.Integration) error {
	if i.Config["bad"] != "" {
		return errors.New("config.bad: it must not be set; remove it")
	}
	return nil
}

func (p *port) Check(ctx context.Context, i *access.Integration) ([]access.Check, error) {
	if i.Config["fails"] != "" {
		return []access.Check{{Name: "permissions", Result: "failed", Detail: i.Config["fails"], Mend: "mend it"}}, nil
	}
	return []access.Check{{Name: "reach", Result: "ok", Detail: "it answers"}}, nil
}

func (p *port) Discover(ctx context.Context, i *access.Integration) ([]flow.Resource, error) {
	if p.faultOf(i.Name).down {
		return nil, errDown
	}
	var out []flow.Resource
	for _, name := range []string{"payments", "orders", "search"} {
		out = append(out, flow.Resource{Type: "namespace", ID: "namespace/" + name, Name: name, Path: i.Name + " / " + name, Permissions: []string{"view", "edit", "admin"}, Tags: map[string]string{"owner": "owners"}})
	}
	return out, nil
}

func (*port) Object(i *access.Integration, p flow.Person, item flow.Item) (string, error) {
	return i.Name + ":" + p.ID + ":" + item.Resource.ID + ":" + item.Permission, nil
}

func (p *port) Apply(ctx context.Context, i *access.Integration, w access.Wanted) (access.Applied, error) {
	if p.dead() {
		return access.Applied{}, errDead
	}
	f := p.faultOf(i.Name)
	switch {
	case f.down:
		return access.Applied{}, errDown
	case f.hangs:
		<-ctx.Done()
		return access.Applied{}, ctx.Err()
	case f.slow > 0:
		select {
		case <-ctx.Done():
			return access.Applied{}, ctx.Err()
		case <-time.After(f.slow):
		}
	}
	if f.err != nil {
		return access.Applied{}, f.err
	}
	if p.zombie != nil {
		if d := p.zombie(); d > 0 {
			p.mu.Lock()
			p.landing++
			p.mu.Unlock()
			time.Sleep(d) // the network, which does not know of the context
			p.put(w.Key, w.Holdings)
			p.mu.Lock()
			p.landing--
			p.mu.Unlock()
			if ctx.Err() != nil {
				return access.Applied{}, ctx.Err()
			}
		}
	}
	if p.dead() {
		return access.Applied{}, errDead
	}
	kept := []byte(fmt.Sprintf(`{"generation":%d}`, w.Generation))
	if f.loses {
		if s, ok := p.get(w.Key); ok != (len(w.Holdings) > 0) || ok && !sameGrants(s.grants, w.Holdings) {
			return access.Applied{}, errors.New("read back: it is not there")
		}
		return access.Applied{Kept: kept}, nil
	}
	if f.lazy > 0 {
		// The write is taken and shown later; until then reading back shows the old.
		if s, ok := p.get(w.Key); ok == (len(w.Holdings) > 0) && (!ok || sameGrants(s.grants, w.Holdings)) {
			return access.Applied{Kept: kept}, nil
		}
		time.AfterFunc(f.lazy, func() { p.put(w.Key, w.Holdings) })
		return access.Applied{Pending: 2 * f.lazy, Note: "the target takes a moment"}, nil
	}
	p.put(w.Key, w.Holdings)
	if f.lies {
		return access.Applied{}, errors.New("500 Internal Server Error")
	}
	return access.Applied{Kept: kept}, nil
}

func sameGrants(have []string, holdings []access.Holding) bool {
	var want []string
	for _, h := range holdings {
		want = append(want, h.Grant)
	}
	have = slices.Clone(have)
	slices.Sort(have)
	slices.Sort(want)
	return slices.Equal(have, want)
}

func (p *port) List(ctx context.Context, i *access.Integration) ([]access.Found, error) {
	if p.dead() {
		return nil, errDead
	}
	if p.faultOf(i.Name).down {
		return nil, errDown
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []access.Found
	for key, s := range p.objects {
		if strings.HasPrefix(key, i.Name+":") {
			out = append(out, access.Found{Key: key, Name: key, Grants: s.grants, Expires: s.expires})
		}
	}
	return out, nil
}

func (*port) Details(i *access.Integration, g *access.Grant) (access.Details, error) {
	return access.Details{Text: "use " + i.Name, Snippets: []access.Snippet{{Title: "look", Language: "sh", Text: "kubectl get pods"}}}, nil
}

func (p *port) Credentials(_ context.Context, i *access.Integration, person flow.Person, holdings []access.Holding) (access.Credentials, error) {
	end := holdings[0].Expires
	for _, h := range holdings {
		if h.Expires.After(end) {
			end = h.Expires
		}
	}
	return access.Credentials{Version: 1, AccessKeyID: "ASIA" + person.ID, Expiration: end}, nil
}

var errDead = errors.New("the process is dead")

// world is a store, a target and a directory, with desks over them.
type world struct {
	t      testing.TB
	dir    *directory
	target *target
	store  *sqlite.Store
	l      access.Store
	mail   *mailer
}

// newWorld opens a store; path empty: in memory.
func newWorld(tb testing.TB, path string) *world {
	tb.Helper()
	url := "sqlite::memory:"
	if path != "" {
		url = "sqlite:" + path
	}
	s, err := sqlite.Open(tb.Context(), url, store.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	l, err := s.Lending()
	if err != nil {
		tb.Fatal(err)
	}
	return &world{t: tb, dir: newDirectory(), target: newTarget(), store: s, l: l, mail: &mailer{}}
}

func fileWorld(tb testing.TB) *world {
	tb.Helper()
	return newWorld(tb, filepath.Join(tb.TempDir(), "state.db"))
}

// person is somebody as they are signed in.
func (w *world) person(name string) flow.Person {
	p, ok := w.dir.Person(name + "@example.com")
	if !ok {
		w.t.Fatalf("nobody is called %s", name)
	}
	return p
}

func (w *world) port() *port { return &port{target: w.target, dead: func() bool { return false }} }

func (w *world) options(change ...func(*access.Options)) access.Options {
	// Simulated hours are long: nobody else is to be noticed here.
	o := access.Options{Store: w.l, Provisioners: []access.Provisioner{w.port()}, Facts: w.dir, Limits: access.Limits{Poll: 2 * time.Second}}
	for _, c := range change {
		c(&o)
	}
	return o
}

// desk is a desk that does not run, with both integrations and the flows.
func (w *world) desk(change ...func(*access.Options)) *access.Desk {
	w.t.Helper()
	d, err := access.NewDesk(w.options(change...))
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

func (w *world) setup(d *access.Desk) {
	w.t.Helper()
	root := w.person("root")
	for _, name := range []string{"one", "two"} {
		i := &access.Integration{Name: name, Type: "fake", Owner: []flow.Principal{{Kind: "user", Value: "boss@example.com"}}, OwnerTag: "owner", OwnerKind: "group"}
		if _, err := d.SaveIntegration(w.t.Context(), i, root, 0, "api"); err != nil {
			w.t.Fatal(err)
		}
		if _, err := d.DiscoverNow(w.t.Context(), name, root, "api"); err != nil {
			w.t.Fatal(err)
		}
	}
	plan, err := d.ApplyFlows(w.t.Context(), access.Flowing{Text: flowText, By: root, Source: "file", Via: "cli"})
	if err != nil || plan.HasErrors() || plan.Version != 1 {
		w.t.Fatalf("applying flows: %+v, %v", plan, err)
	}
}

// run runs a desk until the returned function is called, which waits.
func (w *world) run(d *access.Desk) (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				w.t.Errorf("Run: %v", err)
			}
		})
	}
	w.t.Cleanup(stop)
	return stop
}

func ref(integration, name, permission string) access.ItemRef {
	return access.ItemRef{Integration: integration, Type: "namespace", Resource: name, Permission: permission}
}

// request asks and must succeed.
func (w *world) request(d *access.Desk, a access.Ask) *access.Request {
	w.t.Helper()
	r, err := d.Request(w.t.Context(), a)
	if err != nil {
		w.t.Fatalf("Request: %v", err)
	}
	return r
}

func (w *world) grant(id string) *access.Grant {
	w.t.Helper()
	g, err := w.l.Grant(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return g
}

// eventually waits until a condition holds; in a bubble of synctest that takes no time.
func (w *world) eventually(within time.Duration, what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(within); !ok(); {
		if time.Now().After(end) {
			w.t.Fatalf("after %s it is not so that %s", within, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// mailer keeps what it is given.
type mailer struct {
	mu      sync.Mutex
	planned []access.Notice
	sent    []string
	fails   func(l access.ClaimedLetter) error
}

func (m *mailer) Plan(n access.Notice) ([]access.Letter, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.planned = append(m.planned, n)
	return []access.Letter{
		{Key: n.ID + "/slack", Channel: "slack", Thread: n.Thread, Body: []byte(n.Kind)},
		{Key: n.ID + "/email", Channel: "email", Thread: n.Thread, Body: []byte(n.Kind)},
	}, nil
}

func (m *mailer) Deliver(ctx context.Context, l access.ClaimedLetter) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails != nil {
		if err := m.fails(l); err != nil {
			return nil, err
		}
	}
	m.sent = append(m.sent, l.Channel+" "+string(l.Body))
	return []byte("receipt of " + string(l.Body)), nil
}

func (m *mailer) has(sent string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(m.sent, sent)
}
