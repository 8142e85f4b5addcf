package access

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/access/flow"
)

// RunKind is what a run asks of an integration's target.
type RunKind string

// The kinds of runs.
const (
	RunCheck     RunKind = "check"     // look at everything that lending rests on
	RunDiscover  RunKind = "discover"  // read the target's resources
	RunReconcile RunKind = "reconcile" // compare the target with what is lent
)

// RunState is how a run stands.
type RunState string

// The states of runs.
const (
	RunGoing  RunState = "running"
	RunDone   RunState = "done"
	RunFailed RunState = "failed" // the target could not be asked; Error says why
	// RunLost is a run of a process that was stopped or died before the run had ended.
	RunLost RunState = "lost"
)

// TargetRun is one time that somebody had a target asked. It is kept with the
// integration's health, so every process on the store and every reload of a page
// shows the same; the last two of each kind are kept.
type TargetRun struct {
	ID    string    `json:"id"`
	Kind  RunKind   `json:"kind"`
	State RunState  `json:"state"`
	By    string    `json:"by"`
	Via   string    `json:"via,omitempty"`
	Began time.Time `json:"began"`
	// Seen is when its process last said that it is at it.
	Seen  time.Time `json:"seen"`
	Ended time.Time `json:"ended,omitzero"`
	// AtMost is how many seconds it takes at most.
	AtMost int64 `json:"at_most_seconds"`
	// Done of Total steps are made, and Doing is what it is at, where the target's
	// kind tells that; else they are empty.
	Done  int    `json:"steps_done,omitempty"`
	Total int    `json:"steps,omitempty"`
	Doing string `json:"doing,omitempty"`
	// Found counts what was found: checks, resources, or differences between the
	// target and what is lent.
	Found int `json:"found"`
	// Left counts what somebody has to mend: checks that failed, or differences that
	// Gatehouse does not mend by itself.
	Left  int    `json:"left"`
	Error string `json:"error,omitempty"`
}

// Over reports whether nothing comes of the run any more.
func (r *TargetRun) Over() bool { return r.State != RunGoing }

const (
	// runBeat is how often a run says that it goes on, and runLook how often it is
	// looked whether it got on. A run that was not heard of for runSilence is lost.
	runBeat    = 5 * time.Second
	runLook    = 500 * time.Millisecond
	runSilence = 30 * time.Second
	// runsKept bounds the runs of one kind that are kept, runsAtOnce those that one
	// process has, and runsWaiting those that wait for their turn there.
	runsKept    = 2
	runsAtOnce  = 8
	runsWaiting = 64
)

// runsAt are runs as they stand at a time.
func runsAt(runs []TargetRun, now time.Time) []TargetRun {
	runs = slices.Clone(runs)
	for i := range runs {
		// A clock that was set back leaves times that are ahead.
		if r := &runs[i]; r.State == RunGoing && now.Sub(r.Seen).Abs() > runSilence {
			r.State, r.Error = RunLost, "the gatehouse that was at it was stopped before it ended; run it again"
		}
	}
	return runs
}

// keepRun puts a run among those that are kept, in the place of what was known of it.
func keepRun(runs []TargetRun, run *TargetRun) []TargetRun {
	// One that is not there was begun while somebody saved the settings that they had
	// read before.
	if i := slices.IndexFunc(runs, func(r TargetRun) bool { return r.ID == run.ID }); i >= 0 {
		runs[i] = *run
		return runs
	}
	runs = append(runs, *run)
	excess := -runsKept
	for i := range runs {
		if runs[i].Kind == run.Kind {
			excess++
		}
	}
	return slices.DeleteFunc(runs, func(r TargetRun) bool {
		if r.Kind != run.Kind {
			return false
		}
		excess--
		return excess >= 0
	})
}

// TargetRuns has targets checked, discovered and compared in the background, for those
// who would else wait for the answer of a request. Two people who want the same of one
// integration share one run, also where they ask different processes.
type TargetRuns struct {
	desk *Desk
	todo chan targetJob
}

type targetJob struct {
	name string
	run  TargetRun
	by   flow.Person
}

// NewTargetRuns returns the runs of a desk's integrations. They begin once Run does.
func NewTargetRuns(d *Desk) *TargetRuns {
	return &TargetRuns{desk: d, todo: make(chan targetJob, runsWaiting)}
}

// Start begins a run, or returns the one of that kind that goes on already. Who
// administers may. The error wraps ErrForbidden, ErrNotFound, ErrInvalid for another
// kind, or ErrBusy where too many wait.
func (t *TargetRuns) Start(ctx context.Context, name string, kind RunKind, by flow.Person, via string) (*TargetRun, error) {
	d := t.desk
	within := discoverWithin
	switch kind {
	case RunCheck:
		within = checkWithin
	case RunDiscover, RunReconcile:
	default:
		return nil, fmt.Errorf("%w: a run checks, discovers or reconciles, and %q is none of them", ErrInvalid, kind)
	}
	if err := admins(by, string(kind)+" integrations"); err != nil {
		return nil, err
	}
	if _, err := d.store.Integration(ctx, name); err != nil {
		return nil, err
	}
	now := d.clock.Now()
	mine := TargetRun{ID: "t" + newID(), Kind: kind, State: RunGoing, By: by.ID, Via: via, Began: now, Seen: now, AtMost: int64(within / time.Second)}
	var out TargetRun
	err := d.store.ChangeHealth(ctx, name, func(h *Health) {
		out = mine
		for _, r := range runsAt(h.Runs, now) {
			if r.Kind == kind && !r.Over() {
				// Whoever came first has it asked; both see what it says.
				out = r
				return
			}
		}
		h.Runs = keepRun(h.Runs, &mine)
	})
	if err != nil || out.ID != mine.ID {
		return &out, err
	}
	select {
	case t.todo <- targetJob{name, mine, by}:
	default:
		err = fmt.Errorf("%w: %d runs wait for their turn; try again when some have ended", ErrBusy, runsWaiting)
		mine.State, mine.Error = RunFailed, err.Error()
		t.save(ctx, name, &mine)
		return nil, err
	}
	d.watch.tell(Event{Kind: "integration", ID: name, At: now})
	return &out, nil
}

// ByID returns a run as it stands, or an error that wraps ErrNotFound. Who administers
// may see it.
func (t *TargetRuns) ByID(ctx context.Context, who flow.Person, name, id string) (*TargetRun, error) {
	if err := admins(who, "see what is asked of targets"); err != nil {
		return nil, err
	}
	i, err := t.desk.store.Integration(ctx, name)
	if err != nil {
		return nil, err
	}
	for _, r := range runsAt(i.Health.Runs, t.desk.clock.Now()) {
		if r.ID == id {
			return &r, nil
		}
	}
	return nil, fmt.Errorf("run %s of integration %s: %w; the last %d of each kind are kept", id, name, ErrNotFound, runsKept)
}

// Run carries out what is started until ctx is done, and returns when all of that has
// stopped.
func (t *TargetRuns) Run(ctx context.Context) error {
	var hands sync.WaitGroup
	for range runsAtOnce {
		hands.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case j := <-t.todo:
					t.carryOut(ctx, j)
				}
			}
		})
	}
	hands.Wait()
	return nil
}

// carryOut has one target asked, and says all the while that it goes on.
func (t *TargetRuns) carryOut(ctx context.Context, j targetJob) {
	got := &runProgress{}
	asked, cancel := context.WithCancel(context.WithValue(ctx, progressKey{}, got))
	defer cancel()
	result := make(chan TargetRun, 1)
	var work sync.WaitGroup
	work.Go(func() { result <- t.ask(asked, j) })
	defer work.Wait()
	look := time.NewTicker(runLook)
	defer look.Stop()
	said := j.run
	for {
		select {
		case end := <-result:
			if ctx.Err() != nil {
				end.State, end.Error = RunLost, "gatehouse was stopped before it ended; run it again"
			}
			end.Ended = t.desk.clock.Now()
			end.Seen, end.Done, end.Total = end.Ended, 0, 0
			note, done := context.WithTimeout(context.WithoutCancel(ctx), settleWithin)
			defer done()
			t.save(note, j.name, &end)
			return
		case <-look.C:
			now := t.desk.clock.Now()
			next := said
			next.Done, next.Total, next.Doing = got.read()
			if next == said && now.Sub(said.Seen) < runBeat {
				continue
			}
			next.Seen = now
			said = next
			t.save(ctx, j.name, &said)
		}
	}
}

// save writes how a run stands. That it could not be written is told by its silence.
func (t *TargetRuns) save(ctx context.Context, name string, run *TargetRun) {
	err := t.desk.store.ChangeHealth(ctx, name, func(h *Health) { h.Runs = keepRun(h.Runs, run) })
	if err != nil {
		if ctx.Err() == nil {
			t.desk.log.WarnContext(ctx, "noting how a run of an integration stands", "integration", name, "run", run.ID, "error", err)
		}
		return
	}
	t.desk.watch.tell(Event{Kind: "integration", ID: name, At: t.desk.clock.Now()})
}

// ask has the target asked, and returns the run with what came of it.
func (t *TargetRuns) ask(ctx context.Context, j targetJob) TargetRun {
	run := j.run
	run.State = RunDone
	// No request is there to catch a defect, and the process lends access to others.
	err := guarded("a run of integration "+j.name, func() error { return t.found(ctx, j, &run) })
	if err != nil {
		run.State, run.Error = RunFailed, cutText(err.Error(), maxErrorText)
	}
	return run
}

// found has the target asked, and counts what was found.
func (t *TargetRuns) found(ctx context.Context, j targetJob, run *TargetRun) error {
	switch run.Kind {
	case RunCheck:
		i, err := t.desk.CheckNow(ctx, j.name, j.by, run.Via)
		if err != nil {
			return err
		}
		run.Found = len(i.Health.Checks)
		for _, c := range i.Health.Checks {
			if c.Result == "failed" {
				run.Left++
			}
		}
	case RunDiscover:
		i, err := t.desk.DiscoverNow(ctx, j.name, j.by, run.Via)
		if err != nil {
			return err
		}
		run.Found = i.Health.Resources
	case RunReconcile:
		drifts, err := t.desk.ReconcileNow(ctx, j.name, j.by, run.Via)
		if err != nil {
			return err
		}
		run.Found = len(drifts)
		for i := range drifts {
			if drifts[i].ByHand {
				run.Left++
			}
		}
	}
	return nil
}

type progressKey struct{}

// runProgress is how far a run is, as its target's provisioner tells it.
type runProgress struct {
	mu          sync.Mutex
	done, total int
	doing       string
}

func (p *runProgress) read() (done, total int, doing string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done, p.total, p.doing
}

// Report tells whoever follows a check, a discovery or a comparison how far it is: done
// of total steps (0 of 0 where that is not known), and what it does now in a few words.
// Where nobody follows it does nothing.
func Report(ctx context.Context, done, total int, doing string) {
	p, ok := ctx.Value(progressKey{}).(*runProgress)
	if !ok {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done, p.total, p.doing = done, total, cutText(doing, maxDoing)
}

const maxDoing = 200
