package app

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
)

// lendPeople is a people file: ann and ben are developers, olga owns, olaf too.
const lendPeople = `
users:
  - {email: Ann@example.com, name: Ann, groups: [dev], manager: olga@example.com}
  - {email: ben@example.com, name: Ben, groups: [dev]}
  - {email: olga@example.com, name: Olga, groups: [owners]}
  - {email: olaf@example.com, name: Olaf, groups: [owners]}
  - {email: gone@example.com, name: Gone, groups: [dev, owners], disabled: true}
`

const lendFlows = `
flows:
  - name: view
    requestors: {conditions: [{type: group, values: [dev]}]}
    targets: [{integration: one, resource_type: thing, permissions: [view]}]
    auto_approve: true
    duration: {max: 1h}
    justification: {required: false}
  - name: edit
    requestors: {conditions: [{type: group, values: [dev]}]}
    targets: [{integration: one, resource_type: thing, permissions: [edit]}]
    approvers: {groups: [{conditions: [{type: group, values: [owners]}]}]}
    duration: {max: 1h}
    extensions: {max: 1, duration: 30m}
`

const lendIntegrations = `
integrations:
  - name: one
    type: things
    config: {address: here}
`

// things is a target in memory.
type things struct {
	mu  sync.Mutex
	has map[string]bool
}

var _ access.Provisioner = (*things)(nil)

func (*things) Type() string { return "things" }

func (*things) ResourceTypes() []access.ResourceType {
	return []access.ResourceType{{Name: "thing", Title: "Thing", Permissions: []string{"view", "edit"}}}
}

func (*things) Validate(i *access.Integration) error {
	if i.Config["address"] == "" {
		return errors.New("config.address is missing")
	}
	return nil
}

func (*things) Check(context.Context, *access.Integration) ([]access.Check, error) {
	return []access.Check{{Name: "reach", Result: "ok"}}, nil
}

func (*things) Discover(context.Context, *access.Integration) ([]flow.Resource, error) {
	return []flow.Resource{{Type: "thing", ID: "thing/a", Name: "a", Path: "one / a"}}, nil
}

func (*things) Object(_ *access.Integration, p flow.Person, item flow.Item) (string, error) {
	return p.ID + ":" + item.Resource.ID + ":" + item.Permission, nil
}

func (t *things) Apply(_ context.Context, _ *access.Integration, w access.Wanted) (access.Applied, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if delete(t.has, w.Key); len(w.Holdings) > 0 {
		t.has[w.Key] = true
	}
	return access.Applied{}, nil
}

func (t *things) List(context.Context, *access.Integration) ([]access.Found, error) { return nil, nil }

func (*things) Details(*access.Integration, *access.Grant) (access.Details, error) {
	return access.Details{}, nil
}

// Sparse has the reconciler not look for what List leaves out.
func (*things) Sparse() bool { return true }

func (t *things) size() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.has)
}

// lendWorld is a desk over a store, with the directory of a people file.
type lendWorld struct {
	*testing.T
	dir    string
	store  store.Store
	roster *identity.Roster
	facts  *facts
	target *things
	desk   *access.Desk
	files  *lendingFiles
	log    *strings.Builder
}

func newLendWorld(t *testing.T, on onCall) *lendWorld {
	t.Helper()
	w := &lendWorld{T: t, dir: t.TempDir(), target: &things{has: map[string]bool{}}, log: &strings.Builder{}}
	var err error
	if w.store, err = sqlite.Open(t.Context(), "sqlite:"+w.dir+"/state.db", store.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	w.write("people.yaml", lendPeople)
	if w.roster, err = identity.NewRoster(identity.RosterOptions{
		Store: w.store, File: w.path("people.yaml"),
		Roles: identity.RoleRules{Approvers: []string{"group:owners"}, Requesters: []string{"*"}, Admins: []string{"user:ada@example.com"}},
	}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(&locked{b: w.log}, nil))
	w.facts = newFacts(w.roster, on, log)
	lent, err := w.store.Lending()
	if err != nil {
		t.Fatal(err)
	}
	if w.desk, err = access.NewDesk(access.Options{
		Store: lent, Provisioners: []access.Provisioner{w.target}, Facts: w.facts, Metrics: prometheus.NewPedanticRegistry(),
	}); err != nil {
		t.Fatal(err)
	}
	w.files = newLendingFiles(w.desk, w.store, log)
	return w
}

// locked is a log that several goroutines write.
type locked struct {
	mu sync.Mutex
	b  *strings.Builder
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (w *lendWorld) path(name string) string { return filepath.Join(w.dir, name) }

func (w *lendWorld) write(name, text string) {
	w.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

// open applies integrations and flows, and runs the desk until the test ends.
func (w *lendWorld) open() {
	w.Helper()
	w.write("integrations.yaml", lendIntegrations)
	w.write("flows.yaml", lendFlows)
	w.files.add("integrations_file", w.path("integrations.yaml"), nil)
	w.files.add("flows_file", w.path("flows.yaml"), nil)
	w.files.look(w.Context())
	if v, err := w.desk.Flows(w.Context(), w.admin(), 0); err != nil || v.Version != 1 {
		w.Fatalf("the flows are %+v, %v; the log: %s", v, err, w.log)
	}
	ctx, stop := context.WithCancel(w.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = w.desk.Run(ctx) })
	w.Cleanup(func() {
		stop()
		running.Wait()
	})
}

func (*lendWorld) admin() flow.Person {
	return flow.Person{ID: "ada@example.com", Name: "Ada", Admin: true}
}

// person is somebody as the directory has them.
func (w *lendWorld) person(email string) flow.Person {
	w.Helper()
	p, ok := w.facts.Person(email)
	if !ok {
		w.Fatalf("nobody knows %s", email)
	}
	return p
}

func (w *lendWorld) ask(email, permission string) *access.Request {
	w.Helper()
	r, err := w.desk.Request(w.Context(), access.Ask{
		By: w.person(email), Justification: "why not", Via: "web",
		Items: []access.ItemRef{{Integration: "one", Type: "thing", Resource: "a", Permission: permission}},
	})
	if err != nil {
		w.Fatal(err)
	}
	return r
}

// eventually waits for something that the desk does in its own time.
func (w *lendWorld) eventually(what string, ok func() bool) {
	w.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			w.Fatalf("it does not come to it that %s", what)
		}
	}
}

func (w *lendWorld) state(grant string) access.GrantState {
	w.Helper()
	g, err := w.desk.GrantByID(w.Context(), w.admin(), grant)
	if err != nil {
		w.Fatal(err)
	}
	return g.State
}
