package access_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/audit"
)

// What may happen in a model run.
type event struct {
	kind     string
	desk     int
	who      string
	on       string // integration
	resource string
	edit     bool
	length   time.Duration
	n        int
}

func (e event) String() string {
	return fmt.Sprintf("%s desk=%d who=%s on=%s/%s edit=%v %s n=%d", e.kind, e.desk, e.who, e.on, e.resource, e.edit, e.length, e.n)
}

var eventKinds = []string{
	"ask", "ask", "ask", "ask", "wait", "wait", "wait", "return", "revoke", "extend", "panic", "lift", "left",
	"down", "slow", "lies", "loses", "lazy", "hangs", "well", "well", "crash", "crash", "start", "start", "zombie", "jump", "tamper",
	"restart", "restart", "unseen", "reset", "skew", "leap",
}

// killKinds are those in which nothing is in the way but that processes are killed, and
// each is started again at once.
var killKinds = []string{"ask", "ask", "wait", "wait", "return", "revoke", "extend", "restart", "restart", "restart", "unseen"}

func (p pace) draw(t *rapid.T, kinds []string) event {
	return event{
		kind: rapid.SampledFrom(kinds).Draw(t, "kind"), desk: rapid.IntRange(0, 1).Draw(t, "desk"),
		who: rapid.SampledFrom([]string{"ann", "ben", "cleo"}).Draw(t, "who"), on: rapid.SampledFrom([]string{"one", "two"}).Draw(t, "on"),
		resource: rapid.SampledFrom([]string{"payments", "orders"}).Draw(t, "resource"), edit: rapid.IntRange(0, 3).Draw(t, "edit") == 0,
		length: time.Duration(rapid.IntRange(1, p.long).Draw(t, "seconds")) * time.Second, n: rapid.IntRange(0, 40).Draw(t, "n"),
	}
}

// pace is how fast a model's desks look, and what that promises.
type pace struct {
	poll time.Duration
	look time.Duration // how often the model looks
	most int           // events of a program
	long int           // seconds that an event lasts at most
	runs int           // programs, where nobody asks for a number
	// bound is how late access may go or come while nothing is in its way.
	bound time.Duration
}

var (
	// patient: the longest backoff, a lease of a process of which nobody knows that it
	// died, and the work itself.
	patient = pace{2 * time.Second, 3 * time.Second, 40, 240, 100, 30*time.Second + 2*5*time.Second + 10*time.Second}
	// prompt: a look, and what is done then. A lease is 5 s and plays no part.
	prompt = pace{250 * time.Millisecond, 200 * time.Millisecond, 12, 40, 30, 700 * time.Millisecond}
)

// tamperedFor is how long the reconciler may take to see what others did.
func (p pace) tamperedFor() time.Duration { return 3*time.Minute + p.bound }

// process is a desk that can die at any call.
type process struct {
	access.Store
	m      *model
	dead   atomic.Bool
	in     atomic.Int64 // calls until it dies; 0: it lives
	cancel context.CancelFunc
	done   chan struct{}
	desk   *access.Desk
	shown  atomic.Pointer[presence] // what others see of it
	zombie atomic.Int64             // how long its next write is on its way
}

// step is one call to the store or the target; it may be the last.
func (p *process) step() error {
	if p.in.Load() > 0 && p.in.Add(-1) == 0 {
		p.die()
	}
	if p.dead.Load() {
		return errDead
	}
	return nil
}

func (p *process) die() {
	p.dead.Store(true)
	if shown := p.shown.Load(); shown != nil {
		_ = shown.Close() // the kernel does it
	}
	p.cancel()
}

// presence is one that may be lost while its process lives.
type presence struct {
	access.Presence
	p *process
}

func (s *presence) Check(ctx context.Context) error {
	if err := s.p.step(); err != nil {
		return err
	}
	return s.Presence.Check(ctx)
}

func (p *process) Attend(ctx context.Context, holder string) (access.Presence, error) {
	if err := p.step(); err != nil {
		return nil, err
	}
	shown, err := p.Store.Attend(ctx, holder)
	if err != nil {
		return nil, err
	}
	it := &presence{shown, p}
	p.shown.Store(it)
	if err := p.step(); err != nil {
		_ = shown.Close()
		return nil, err
	}
	return it, nil
}

func (p *process) EndLeases(ctx context.Context, holders []string) error {
	if err := p.step(); err != nil {
		return err
	}
	return p.Store.EndLeases(ctx, holders)
}

// Commit dies before or after the write.
func (p *process) Commit(ctx context.Context, c *access.Change) error {
	if err := p.step(); err != nil {
		return err
	}
	p.m.mu.Lock()
	defer p.m.mu.Unlock()
	p.m.before(c)
	if err := p.Store.Commit(context.WithoutCancel(ctx), c); err != nil {
		return err
	}
	p.m.after(c)
	return p.step()
}

func (p *process) LeaseObjects(ctx context.Context, q access.LeaseQuery) ([]access.Leased, error) {
	if err := p.step(); err != nil {
		return nil, err
	}
	out, err := p.Store.LeaseObjects(context.WithoutCancel(ctx), q)
	if dead := p.step(); dead != nil {
		return nil, dead
	}
	return out, err
}

func (p *process) RenewLeases(ctx context.Context, holder string, leases []access.Lease, until time.Time) ([]string, error) {
	if err := p.step(); err != nil {
		return nil, err
	}
	return p.Store.RenewLeases(ctx, holder, leases, until)
}

// model is a world with what has to hold in it.
type model struct {
	*world
	pace  pace
	wall  atomic.Int64    // how far the wall clock is off
	skew  [2]atomic.Int64 // and how far that of each machine is beside that
	lives atomic.Int64    // processes that were started

	mu       sync.Mutex
	procs    [2]*process
	healthy  time.Time            // since when nothing is in the way; zero: something is
	states   map[string]string    // of grants, as they were committed
	ready    map[string]time.Time // when grants became active, by real time
	ends     map[string]time.Time // when they have to be gone by real time
	tampered map[string]time.Time // objects that others touched
	wrong    []string
}

func (m *model) fail(format string, args ...any) {
	if len(m.wrong) < 10 {
		m.wrong = append(m.wrong, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
}

// order of the states of a grant.
var order = map[access.GrantState]int{access.Provisioning: 1, access.Active: 2, access.Revoking: 3, access.Ended: 4}

// before looks at what is about to be committed, with the target as it is now.
func (m *model) before(c *access.Change) {
	for _, g := range c.Grants {
		if g.State != access.Ended || m.target.isLanding() {
			continue
		}
		for i := range g.Items {
			_, key, _ := strings.Cut(g.Items[i].Object, "/")
			if _, tampered := m.tampered[key]; tampered {
				continue
			}
			if s, ok := m.target.get(key); ok && slices.Contains(s.grants, g.ID) {
				m.fail("grant %s is called ended, and the target has %s for it", g.ID, key)
			}
		}
	}
}

func (t *target) isLanding() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.landing > 0
}

func (m *model) after(c *access.Change) {
	now := time.Now()
	for _, g := range c.Grants {
		if was := m.states[g.ID]; order[access.GrantState(was)] > order[g.State] {
			m.fail("grant %s went from %s back to %s", g.ID, was, g.State)
		}
		m.states[g.ID] = string(g.State)
		switch g.State {
		case access.Active:
			if m.ready[g.ID].IsZero() {
				m.ready[g.ID] = now
			}
			m.ends[g.ID] = m.ready[g.ID].Add(g.Duration)
		case access.Revoking:
			if end, ok := m.ends[g.ID]; !ok || end.After(now) {
				m.ends[g.ID] = now
			}
		}
	}
}

func (m *model) start(n int) {
	p := &process{Store: m.l, m: m, done: make(chan struct{})}
	port := &port{target: m.target, dead: func() bool { return p.step() != nil }, zombie: func() time.Duration { return time.Duration(p.zombie.Swap(0)) }}
	d, err := access.NewDesk(access.Options{
		Store: p, Provisioners: []access.Provisioner{port}, Facts: m.dir, Mailer: m.mail, Instance: fmt.Sprintf("desk%d-%d", n, m.lives.Add(1)),
		Clock:  func() time.Time { return time.Now().Add(time.Duration(m.wall.Load() + m.skew[n].Load())) },
		Limits: access.Limits{Poll: m.pace.poll, Reconcile: 3 * time.Minute, Provision: 10 * time.Minute},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	p.desk = d
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go func() {
		defer close(p.done)
		_ = d.Run(ctx)
	}()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.procs[n] = p
}

// mark notes whether something is in the way from now on.
func (m *model) mark() {
	m.mu.Lock()
	defer m.mu.Unlock()
	alive := false
	for _, p := range m.procs {
		alive = alive || p != nil && !p.dead.Load()
	}
	well := alive && m.target.faultOf("one") == (fault{}) && m.target.faultOf("two") == (fault{}) && !m.target.isLanding()
	switch {
	case !well:
		m.healthy = time.Time{}
	case m.healthy.IsZero():
		m.healthy = time.Now()
	}
}

// look compares the target with what has to hold.
func (m *model) look() {
	m.mark()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.healthy.IsZero() {
		return
	}
	now := time.Now()
	live := map[string]time.Time{} // keys that somebody may have, and until when
	var grants []*access.Grant
	q := access.GrantQuery{Limit: 1000}
	page, err := m.l.Grants(m.t.Context(), q)
	if err != nil {
		m.fail("reading grants: %v", err)
		return
	}
	grants = page.Grants
	for _, g := range grants {
		for i := range g.Items {
			_, key, _ := strings.Cut(g.Items[i].Object, "/")
			end := m.ends[g.ID]
			if g.State == access.Provisioning {
				end = now
			}
			if end.After(live[key]) {
				live[key] = end
			}
			since := latest(m.ready[g.ID], m.healthy)
			if at, ok := m.tampered[key]; ok {
				since = latest(since, at.Add(m.pace.tamperedFor()))
			}
			if s, ok := m.target.get(key); g.State == access.Active && now.Before(end) && now.Sub(since) > m.pace.bound && (!ok || !slices.Contains(s.grants, g.ID)) {
				m.fail("grant %s is active since %v, and the target does not have %s for it: %+v", g.ID, m.ready[g.ID], key, s)
			}
		}
	}
	for _, key := range m.target.keys() {
		since := latest(live[key], m.healthy)
		if at, ok := m.tampered[key]; ok {
			since = latest(since, at.Add(m.pace.tamperedFor()))
		}
		if late := now.Sub(since); late > m.pace.bound && !strings.Contains(key, "stranger") {
			s, _ := m.target.get(key)
			m.fail("%s is there for %v, %s after nobody was to have it", key, s.grants, late)
		}
	}
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (m *model) play(e event) {
	ctx := m.t.Context()
	var desk *access.Desk
	if p := m.procs[e.desk]; p != nil && !p.dead.Load() {
		desk = p.desk
	}
	key := e.on + ":" + e.who + "@example.com:namespace/" + e.resource + ":view"
	held := func() string {
		page, err := m.l.Grants(ctx, access.GrantQuery{Person: e.who + "@example.com", States: []access.GrantState{access.Active}})
		if err != nil || len(page.Grants) == 0 {
			return ""
		}
		return page.Grants[e.n%len(page.Grants)].ID
	}
	switch e.kind {
	case "wait":
		time.Sleep(e.length)
	case "ask":
		if desk == nil {
			return
		}
		a := access.Ask{By: m.person(e.who), Items: []access.ItemRef{ref(e.on, e.resource, "view")}, Duration: e.length, Justification: "x"}
		if e.n%3 == 0 {
			a.Items = append(a.Items, ref("one", "search", "view"), ref("two", "orders", "view"))
		}
		if e.edit {
			a.Items = []access.ItemRef{ref("one", e.resource, "edit")}
		}
		r, err := desk.Request(ctx, a)
		if err == nil && r.State == access.Pending {
			var wg sync.WaitGroup
			for _, who := range []string{"sam", "sue", "sam"} {
				wg.Go(func() { _, _ = desk.Vote(ctx, r.ID, access.Ballot{By: m.person(who), Approve: true}) })
			}
			wg.Wait()
		}
	case "return", "revoke", "extend":
		id := held()
		if desk == nil || id == "" {
			return
		}
		switch e.kind {
		case "return":
			_, _ = desk.Return(ctx, id, m.person(e.who), "web")
		case "revoke":
			_, _ = desk.Revoke(ctx, id, m.person("root"), "x", "web")
		default:
			_, _ = desk.Extend(ctx, id, m.person(e.who), 0, "x", "web")
		}
	case "panic":
		if desk == nil {
			return
		}
		scope := access.StopScope{Kind: "person", Person: e.who + "@example.com"}
		if e.n%2 == 0 {
			scope = access.StopScope{Kind: "integration", Integration: e.on}
		}
		_, _ = desk.Panic(ctx, scope, m.person("root"), "x", "web")
	case "lift":
		if stops, _, err := m.l.Stops(ctx); desk != nil && err == nil {
			for _, s := range stops {
				_ = desk.Lift(ctx, s.ID, m.person("root"), "x", "web")
			}
		}
	case "left":
		if desk != nil {
			_ = desk.PersonLeft(ctx, e.who+"@example.com", "x")
		}
	case "down":
		m.target.setFault(e.on, fault{down: true})
	case "slow":
		m.target.setFault(e.on, fault{slow: time.Duration(e.n) * time.Second})
	case "lies":
		m.target.setFault(e.on, fault{lies: true})
	case "loses":
		m.target.setFault(e.on, fault{loses: true})
	case "lazy":
		m.target.setFault(e.on, fault{lazy: time.Duration(e.n+1) * 100 * time.Millisecond})
	case "hangs":
		m.target.setFault(e.on, fault{hangs: true})
	case "well":
		m.target.setFault(e.on, fault{})
	case "crash":
		if p := m.procs[e.desk]; p != nil && !p.dead.Load() {
			p.in.Store(int64(e.n + 1))
			time.Sleep(time.Duration(e.n) * 50 * time.Millisecond)
		}
	case "start":
		if p := m.procs[e.desk]; p == nil || p.dead.Load() {
			m.start(e.desk)
		}
	case "restart":
		// It is killed at one of its next calls, and started at once.
		p := m.procs[e.desk]
		if p == nil || p.dead.Load() {
			return
		}
		p.in.Store(int64(e.n + 1))
		for range 100 {
			if p.dead.Load() {
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
		p.die()
		m.start(e.desk)
	case "unseen":
		// What shows that it is there breaks, and it does not die.
		if p := m.procs[e.desk]; p != nil {
			if shown := p.shown.Load(); shown != nil {
				_ = shown.Close()
			}
		}
	case "reset":
		if desk != nil {
			_, _ = desk.ResetClock(ctx, m.person("root"), "x", "cli")
		}
	case "zombie":
		if p := m.procs[e.desk]; p != nil {
			p.zombie.Store(int64(e.n) * int64(400*time.Millisecond))
		}
	case "jump":
		m.wall.Add(int64(e.length) * int64(e.n%5-2) / 8)
	case "skew":
		// The clocks of the two machines are up to ten minutes apart from the true one.
		m.skew[e.desk].Store(int64(e.n-20) * int64(30*time.Second))
	case "leap":
		m.wall.Add(int64(e.n%3-1) * int64(2*time.Hour))
	case "tamper":
		m.mu.Lock()
		m.tampered[key] = time.Now()
		m.mu.Unlock()
		if e.n%2 == 0 {
			m.target.put(key, nil)
		} else {
			m.target.put(e.on+":stranger", []access.Holding{{Grant: "gstranger"}})
		}
	}
	m.mark()
}

// simulate plays events and returns what was wrong.
func simulate(t *testing.T, at pace, events []event) (wrong []string) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := &model{
			world: newWorld(t, ""), pace: at, states: map[string]string{}, ready: map[string]time.Time{}, ends: map[string]time.Time{}, tampered: map[string]time.Time{},
		}
		m.setup(m.desk())
		m.start(0)
		m.start(1)
		ctx, cancel := context.WithCancel(t.Context())
		var looking sync.WaitGroup
		looking.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-time.After(m.pace.look):
					m.look()
				}
			}
		})
		for _, e := range events {
			m.play(e)
		}
		// All is well at last, and every grant comes to its end.
		m.target.setFault("one", fault{})
		m.target.setFault("two", fault{})
		for n, p := range m.procs {
			p.in.Store(0)
			p.zombie.Store(0)
			if p.dead.Load() {
				m.start(n)
			}
		}
		for end := time.Now().Add(50 * time.Minute); time.Now().Before(end); {
			time.Sleep(time.Minute)
			open, err := m.l.Grants(t.Context(), access.GrantQuery{States: []access.GrantState{access.Provisioning, access.Active, access.Revoking}, Limit: 1})
			if err == nil && open.Total == 0 && !m.target.isLanding() {
				break
			}
		}
		time.Sleep(m.pace.tamperedFor())
		cancel()
		looking.Wait()
		for _, p := range m.procs {
			p.cancel()
			<-p.done
		}
		m.mu.Lock()
		defer m.mu.Unlock()
		m.atTheEnd()
		wrong = m.wrong
	})
	return wrong
}

func (m *model) atTheEnd() {
	ctx := context.Background()
	for _, key := range m.target.keys() {
		if !strings.Contains(key, "stranger") {
			m.fail("at the end %s is there", key)
		}
	}
	grants, err := m.l.Grants(ctx, access.GrantQuery{Limit: 1000})
	if err != nil {
		m.fail("reading grants: %v", err)
	}
	requests, err := m.l.Requests(ctx, access.RequestQuery{Limit: 1000})
	if err != nil {
		m.fail("reading requests: %v", err)
	}
	of := map[string]int{}
	for _, g := range grants.Grants {
		of[g.Request]++
		if g.State != access.Ended || g.EndReason == "" || g.EndedAt.Before(g.EndingAt) {
			m.fail("at the end grant %s is %s, %s; due %v, gone %v", g.ID, g.State, g.EndReason, g.EndingAt, g.EndedAt)
		}
	}
	for _, r := range requests.Requests {
		want := 0
		if r.State == access.Approved && r.Extends == "" {
			want = 1
		}
		if of[r.ID] != want {
			m.fail("request %s is %s and has %d grants", r.ID, r.State, of[r.ID])
		}
	}
	if len(grants.Grants) != len(m.states) {
		m.fail("%d grants were committed, and %d are there", len(m.states), len(grants.Grants))
	}
	m.audited(grants.Grants)
}

// audited checks that the audit log tells each transition once, in a whole chain.
func (m *model) audited(grants []*access.Grant) {
	actions := map[string][]string{}
	var prev audit.Hash
	for _, e := range m.events() {
		if e.Prev != prev {
			m.fail("the chain of the audit log breaks at %d", e.Seq)
		}
		prev = e.Hash
		if e.Action != "grant.extended" {
			actions[e.Subject.ID] = append(actions[e.Subject.ID], e.Action)
		}
	}
	for _, g := range grants {
		got := actions[g.ID]
		got = slices.DeleteFunc(slices.Clone(got), func(a string) bool { return a == "grant.ready" })
		if len(got) != 3 || got[0] != "grant.created" || got[2] != "grant.ended" || len(actions[g.ID]) > 4 || (len(actions[g.ID]) == 4) != !g.ReadyAt.IsZero() {
			m.fail("of grant %s the audit log tells %v", g.ID, actions[g.ID])
		}
	}
}

// Whatever comes, no access outlives its grant by more than the outage and a bound, and
// no grant is lost, doubled or called ended too early.
func TestModel(t *testing.T) { explore(t, patient, eventKinds) }

// Processes that are killed at any call and started again at once: what is due goes as
// soon as it would have, whoever had it under way. No lease is waited for.
func TestKilledAndStartedAtOnce(t *testing.T) { explore(t, prompt, killKinds) }

func explore(t *testing.T, at pace, kinds []string) {
	t.Helper()
	if testing.Short() {
		t.Skip("it plays hours")
	}
	// The race detector makes each program ten times slower, and what it looks for
	// shows in few of them. Whoever asks for a number gets that many.
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		runs := at.runs
		if raceEnabled {
			runs /= 10
		}
		if err := checks.Value.Set(strconv.Itoa(runs)); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = checks.Value.Set(checks.DefValue) }()
	}
	rapid.Check(t, func(rt *rapid.T) {
		events := rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) event { return at.draw(rt, kinds) }), 1, at.most).Draw(rt, "events")
		if wrong := simulate(t, at, events); len(wrong) > 0 {
			var told []string
			for _, e := range events {
				told = append(told, e.String())
			}
			rt.Fatalf("%s\nafter:\n%s", strings.Join(wrong, "\n"), strings.Join(told, "\n"))
		}
	})
}

var _ flow.Facts = (*directory)(nil)
