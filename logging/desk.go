package logging

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/estate"
)

// Errors of a Desk.
var (
	// ErrNoEstate occurs while no discovery has finished.
	ErrNoEstate = errors.New("no discovery has finished yet, so there is nothing to plan with")
	// ErrUnknownPlan occurs for a digest of a plan that was not made here, or too long
	// ago.
	ErrUnknownPlan = errors.New("this plan is not known any more; make a new one")
	// ErrUnknownRun occurs for a run that neither goes on nor is in the journal.
	ErrUnknownRun = errors.New("there is no such run")
	// ErrBusy occurs while a run goes on.
	ErrBusy = errors.New("a run goes on; one at a time may switch")
	// ErrNothing occurs for a plan that changes nothing.
	ErrNothing = errors.New("this plan changes nothing")
)

// InvalidError is of a request that can never work.
type InvalidError struct{ Err error }

// Error says what is wrong with the request.
func (e *InvalidError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong.
func (e *InvalidError) Unwrap() error { return e.Err }

// StaleError occurs where what a plan would do is not what was shown.
type StaleError struct {
	Differences []Difference
	// Fresh is the digest of the plan as it is now, which the desk holds.
	Fresh string
}

// Error says how many settings are different.
func (e *StaleError) Error() string {
	return fmt.Sprintf("the plan is stale; settings that are not as they were shown: %d", len(e.Differences))
}

const (
	// maxPlans and planAge bound the plans that a desk holds.
	maxPlans = 200
	planAge  = time.Hour
	// maxHeldChanges bounds them by what they hold: a plan for 3,000 stages has some
	// 15,000 changes.
	maxHeldChanges = 200_000
	// keptRuns are the runs whose plans stay in memory.
	keptRuns = 10
)

// DeskOptions are what a Desk works with. All but CallRate, Clock and Logger are needed.
type DeskOptions struct {
	Accounts Accounts
	Journal  Journal
	// Known returns what the last discovery found, or nil if there was none yet.
	Known func(ctx context.Context) (*estate.Snapshot, error)
	// Discover finds the estate as it is; its result is what Known returns from then on.
	Discover func(ctx context.Context, progress func(estate.Progress)) (*estate.Snapshot, error)
	// Alone calls run while no other process switches with this journal, or fails.
	Alone    func(ctx context.Context, run func(context.Context) error) error
	CallRate func(ctx context.Context, account, region, api, stage string) (perSecond float64, ok bool)
	Clock    func() time.Time // nil: time.Now
	Logger   *slog.Logger     // nil: silent
}

// Desk makes plans for people who are not at the command line, and carries one out at
// a time. A plan is shown first and carried out by its digest: before anything is
// changed the estate is read again, and if the plan would not do what was shown by
// then, nothing is done. It is safe for concurrent use.
type Desk struct {
	DeskOptions
	todo chan *work

	mu      sync.Mutex
	plans   map[string]*Proposal
	order   []string // of their digests, the oldest first
	current *work    // nil: none goes on
	runs    []*work  // the newest last, the current one among them
}

// Proposal is a plan that waits for somebody to have it carried out.
type Proposal struct {
	*Plan
	Digest  string    `json:"digest"`
	Request Request   `json:"request"`
	Made    time.Time `json:"made"`
	Expires time.Time `json:"expires"`
	// Read is when the estate was read that the plan is made with.
	Read time.Time `json:"read"`
}

// RunState is how far a run has come.
type RunState string

// The states of a run, in their order; the last four are its end.
const (
	Waiting    RunState = "waiting"
	Checking   RunState = "checking" // reads the estate and compares the plan
	Switching  RunState = "switching"
	Reading    RunState = "reading" // the estate again, for all to see
	RunDone    RunState = "done"
	RunFailed  RunState = "failed" // some changes failed, or it could not begin
	RunRefused RunState = "refused"
	RunStopped RunState = "stopped" // before its end, by the end of the process
)

// Over reports whether the run has ended.
func (s RunState) Over() bool {
	return s == RunDone || s == RunFailed || s == RunRefused || s == RunStopped
}

// Run is a run as it stands.
type Run struct {
	ID      string    `json:"id"`
	Digest  string    `json:"digest"`
	Who     string    `json:"who"`
	Command Command   `json:"command"`
	State   RunState  `json:"state"`
	Began   time.Time `json:"began"`
	Ended   time.Time `json:"ended,omitzero"`
	Stages  int       `json:"stages"`
	Changes int       `json:"changes"` // planned
	// Progress counts steps while it switches, and regions while it reads.
	Progress Progress `json:"progress"`
	// Summary and Plan tell what came of it once it has ended.
	Summary *Summary `json:"summary,omitempty"`
	Plan    *Plan    `json:"plan,omitempty"`
	// Stale tells why it was refused, and Fresh is the digest of the plan as it is now.
	Stale []Difference `json:"stale,omitempty"`
	Fresh string       `json:"fresh,omitempty"`
	Error string       `json:"error,omitempty"`
	Mend  string       `json:"mend,omitempty"`
}

// work is a run with the plan that it was started from.
type work struct {
	run     Run
	actor   audit.Actor // who pressed the button; the run outlives their request
	shown   *Plan
	changed chan struct{} // closed at each change, and replaced
}

// NewDesk returns a desk. What it starts is carried out by Run.
func NewDesk(o DeskOptions) *Desk {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Desk{DeskOptions: o, todo: make(chan *work, 1), plans: map[string]*Proposal{}}
}

func (d *Desk) open(ctx context.Context, s *estate.Snapshot, who, run string) (*Switch, error) {
	return New(ctx, d.Accounts, s, Options{Journal: d.Journal, Who: who, Run: run, Clock: d.Clock, CallRate: d.CallRate})
}

// known opens a switch for the estate of the last discovery.
func (d *Desk) known(ctx context.Context) (*Switch, *estate.Snapshot, error) {
	s, err := d.Known(ctx)
	if err != nil {
		return nil, nil, err
	}
	if s == nil {
		return nil, nil, ErrNoEstate
	}
	sw, err := d.open(ctx, s, "", "")
	return sw, s, err
}

// Status tells how the stages that are meant logged at the last discovery.
func (d *Desk) Status(ctx context.Context, c *Choice) (*Status, error) {
	if err := c.Check(); err != nil {
		return nil, &InvalidError{err}
	}
	sw, _, err := d.known(ctx)
	if err != nil {
		return nil, err
	}
	return sw.Status(c)
}

// Propose makes a plan with the estate of the last discovery and holds it for an hour.
// It changes nothing. The error wraps *InvalidError for a request that can never work,
// and is ErrNoEstate before the first discovery.
func (d *Desk) Propose(ctx context.Context, r Request) (*Proposal, error) {
	if err := r.Check(); err != nil {
		return nil, &InvalidError{err}
	}
	sw, s, err := d.known(ctx)
	if err != nil {
		return nil, err
	}
	plan, err := sw.Plan(ctx, &r)
	if err != nil {
		return nil, err
	}
	return d.hold(plan, s), nil
}

// hold keeps a plan under its digest; the oldest make room.
func (d *Desk) hold(plan *Plan, s *estate.Snapshot) *Proposal {
	now := d.Clock().UTC()
	p := &Proposal{Plan: plan, Digest: plan.Digest(), Request: plan.Request(), Made: now, Expires: now.Add(planAge), Read: s.Finished}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget(p.Digest)
	d.plans[p.Digest] = p
	d.order = append(d.order, p.Digest)
	changes := 0
	for _, digest := range d.order {
		changes += len(d.plans[digest].Changes)
	}
	for len(d.order) > 1 && (len(d.order) > maxPlans || changes > maxHeldChanges || now.After(d.plans[d.order[0]].Expires)) {
		changes -= len(d.plans[d.order[0]].Changes)
		d.forget(d.order[0])
	}
	return p
}

// forget drops a plan. The caller holds mu.
func (d *Desk) forget(digest string) {
	if d.plans[digest] == nil {
		return
	}
	delete(d.plans, digest)
	d.order = slices.DeleteFunc(d.order, func(o string) bool { return o == digest })
}

// Proposal returns the plan of a digest, or ErrUnknownPlan. Its content never changes.
func (d *Desk) Proposal(digest string) (*Proposal, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.plans[digest]
	if p == nil || d.Clock().After(p.Expires) {
		return nil, ErrUnknownPlan
	}
	return p, nil
}

// Start has a plan carried out in the name of a person, and returns at once. The
// error is ErrUnknownPlan, ErrNothing, ErrBusy, or a *StaleError where the last
// discovery shows already that the plan would not do what was shown.
func (d *Desk) Start(ctx context.Context, digest, who string) (*Run, error) {
	p, err := d.Proposal(digest)
	if err != nil {
		return nil, err
	}
	if p.Count(Planned) == 0 {
		return nil, ErrNothing
	}
	sw, s, err := d.known(ctx)
	if err != nil {
		return nil, err
	}
	fresh, err := sw.Plan(ctx, &p.Request)
	if err != nil {
		return nil, err
	}
	if fresh.Digest() != digest {
		return nil, &StaleError{Differences(p.Plan, fresh), d.hold(fresh, s).Digest}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current != nil {
		return nil, ErrBusy
	}
	now := d.Clock().UTC()
	w := &work{shown: p.Plan, actor: audit.ActorFrom(ctx), changed: make(chan struct{}), run: Run{
		ID: RunName(now), Digest: digest, Who: who, Command: p.Command, State: Waiting, Began: now, Stages: p.Stages, Changes: p.Count(Planned),
	}}
	d.current = w
	d.runs = append(d.runs, w)
	if len(d.runs) > keptRuns {
		d.runs = slices.Delete(d.runs, 0, len(d.runs)-keptRuns)
	}
	d.todo <- w // has room: one run at a time
	run := w.run
	return &run, nil
}

// Follow returns a run that this process holds as it stands, and a channel that is
// closed when it has changed. The error is ErrUnknownRun.
func (d *Desk) Follow(id string) (*Run, <-chan struct{}, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.runs {
		if w.run.ID == id {
			run := w.run
			return &run, w.changed, nil
		}
	}
	return nil, nil, ErrUnknownRun
}

// Current returns the run that goes on, or nil.
func (d *Desk) Current() *Run {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.current == nil {
		return nil
	}
	run := d.current.run
	return &run
}

// History returns the runs of the journal, of this process and of others, the newest
// first; at most limit of them.
func (d *Desk) History(ctx context.Context, limit int) ([]Past, error) {
	lines, err := d.Journal.LoggingRuns(ctx, 2*limit+1)
	if err != nil {
		return nil, err
	}
	all := pasts(lines)
	return all[:min(limit, len(all))], nil
}

// Lines returns a run of the journal with its lines, the oldest first, or ErrUnknownRun.
func (d *Desk) Lines(ctx context.Context, id string, limit int) (*Past, []Entry, error) {
	lines, err := d.Journal.LoggingRun(ctx, id, limit)
	if err != nil {
		return nil, nil, err
	}
	var ends, settings []Entry
	for i := range lines {
		if lines[i].Key.Kind == KindRun {
			ends = append(ends, lines[i])
		} else {
			settings = append(settings, lines[i])
		}
	}
	slices.Reverse(ends)
	p := pasts(ends)
	if len(p) == 0 {
		return nil, nil, ErrUnknownRun
	}
	return &p[0], settings, nil
}

// Run carries out what is started until ctx is done.
func (d *Desk) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case w := <-d.todo:
			d.carryOut(ctx, w)
		}
	}
}

// update changes a run and tells those who follow it.
func (d *Desk) update(w *work, change func(*Run)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(&w.run)
	close(w.changed)
	w.changed = make(chan struct{})
	if w.run.State.Over() && d.current == w {
		d.current = nil
	}
}

func (d *Desk) carryOut(ctx context.Context, w *work) {
	ctx = audit.WithActor(ctx, w.actor)
	d.Logger.InfoContext(ctx, "switching of logging begins", "run", w.run.ID, "by", w.run.Who, "command", w.run.Command, "changes", w.run.Changes)
	var plan *Plan
	err := d.Alone(ctx, func(ctx context.Context) (err error) {
		plan, err = d.switchOver(ctx, w)
		return err
	})
	d.update(w, func(r *Run) {
		r.Ended, r.Plan = d.Clock().UTC(), plan
		if plan != nil {
			r.Summary = summaryOf(plan)
		}
		var stale *StaleError
		switch {
		case errors.As(err, &stale):
			r.State, r.Stale, r.Fresh, r.Error = RunRefused, stale.Differences, stale.Fresh, err.Error()
		case ctx.Err() != nil:
			r.State, r.Error = RunStopped, "Gatehouse was stopped before the run had ended"
		case err != nil:
			r.State, r.Error, r.Mend = RunFailed, account.Text(err), mendOf(err)
		case r.Summary != nil && r.Summary.Failed > 0:
			r.State = RunFailed
		default:
			r.State = RunDone
		}
	})
	run, _, _ := d.Follow(w.run.ID)
	d.Logger.InfoContext(ctx, "switching of logging ended", "run", run.ID, "by", run.Who, "command", run.Command, "state", run.State, "error", run.Error)
}

// mendOf is what an error says of how to mend it.
func mendOf(err error) string {
	if m, ok := errors.AsType[interface {
		error
		Mend() string
	}](err); ok {
		return m.Mend()
	}
	return ""
}

// switchOver reads the estate, compares the plan with what was shown, carries it out
// and reads the estate again. The plan is nil if nothing was begun.
func (d *Desk) switchOver(ctx context.Context, w *work) (*Plan, error) {
	reading := func(state RunState) func(estate.Progress) {
		d.update(w, func(r *Run) { r.State, r.Progress = state, Progress{} })
		return func(p estate.Progress) {
			d.update(w, func(r *Run) { r.Progress = Progress{Done: p.RegionsDone, Total: p.Regions} })
		}
	}
	s, err := d.Discover(ctx, reading(Checking))
	if err != nil {
		return nil, fmt.Errorf("reading the estate: %w", err)
	}
	sw, err := d.open(ctx, s, w.run.Who, w.run.ID)
	if err != nil {
		return nil, err
	}
	request := w.shown.Request()
	plan, err := sw.Plan(ctx, &request)
	if err != nil {
		return nil, err
	}
	if plan.Digest() != w.shown.Digest() {
		return nil, &StaleError{Differences(w.shown, plan), d.hold(plan, s).Digest}
	}
	d.update(w, func(r *Run) { r.State, r.Progress = Switching, Progress{} })
	err = sw.Apply(ctx, plan, func(p Progress) { d.update(w, func(r *Run) { r.Progress = p }) })
	if err != nil {
		return plan, err
	}
	// That the estate cannot be read again takes nothing away from what was changed:
	// the next discovery shows it.
	if _, err := d.Discover(ctx, reading(Reading)); err != nil && ctx.Err() == nil {
		d.Logger.WarnContext(ctx, "the estate could not be read after switching", "run", w.run.ID, "error", err)
	}
	return plan, nil
}

// summaryOf counts what became of a plan's changes.
func summaryOf(p *Plan) *Summary {
	return &Summary{
		Digest: p.Digest(), Planned: p.Count(Planned), Done: p.Count(Done), Unchanged: p.Count(Unchanged), Left: p.Count(Left),
		Failed: p.Count(Failed) + p.Count(Skipped),
	}
}
