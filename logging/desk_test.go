package logging_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/logging"
)

// desk is a world with a desk that carries out what is started, until stop is called.
type desk struct {
	*world
	*logging.Desk
	snap atomic.Pointer[estate.Snapshot]
	stop func()
	held atomic.Bool // another process switches
}

var errHeld = errors.New("somebody else switches")

func newDesk(t *testing.T) *desk {
	t.Helper()
	d := &desk{world: newWorld(t)}
	region := d.region(one)
	region.AddRESTAPI(awssim.RESTAPI{ID: "rest1", Name: "orders", Stages: []awssim.Stage{{Name: "prod", LoggingLevel: "ERROR"}, {Name: "dev"}}})
	region.AddHTTPAPI(awssim.API{ID: "http1", Name: "catalog", Stages: []awssim.Stage{{Name: "$default"}}})
	d.region(two).AddRESTAPI(awssim.RESTAPI{ID: "rest2", Name: "stock", Stages: []awssim.Stage{{Name: "prod"}}})
	d.Desk = logging.NewDesk(logging.DeskOptions{
		Accounts: d.world, Journal: d.store,
		Known: func(context.Context) (*estate.Snapshot, error) { return d.snap.Load(), nil },
		Discover: func(ctx context.Context, progress func(estate.Progress)) (*estate.Snapshot, error) {
			finder, err := estate.New(d.world, estate.Options{FullEvery: 1})
			if err != nil {
				return nil, err
			}
			s, err := finder.Discover(ctx, progress)
			if err == nil {
				d.snap.Store(s)
			}
			return s, err
		},
		Alone: func(ctx context.Context, run func(context.Context) error) error {
			if d.held.Load() {
				return errHeld
			}
			return run(ctx)
		},
	})
	d.snap.Store(d.snapshot(t))
	d.serve(t)
	return d
}

// serve carries out what is started, as another process would after the first ended.
func (d *desk) serve(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = d.Run(ctx)
	}()
	d.stop = func() { cancel(); <-done }
	t.Cleanup(func() { d.stop() })
}

func enabling(places ...string) logging.Request {
	r := logging.Request{Command: logging.Enable, EnableOptions: logging.DefaultEnable()}
	r.Places = places
	return r
}

func (d *desk) propose(t *testing.T, r logging.Request) *logging.Proposal {
	t.Helper()
	p, err := d.Propose(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// run starts a plan and waits for its end.
func (d *desk) run(t *testing.T, p *logging.Proposal) *logging.Run {
	t.Helper()
	run, err := d.Start(t.Context(), p.Digest, "ada")
	if err != nil {
		t.Fatal(err)
	}
	return d.wait(t, run.ID, func(r *logging.Run) bool { return r.State.Over() })
}

func (d *desk) wait(t *testing.T, id string, until func(*logging.Run) bool) *logging.Run {
	t.Helper()
	for {
		run, changed, err := d.Follow(id)
		if err != nil {
			t.Fatal(err)
		}
		if until(run) {
			return run
		}
		select {
		case <-changed:
		case <-time.After(30 * time.Second):
			t.Fatalf("the run stays %+v", run)
		}
	}
}

// A run outlives the request that started it, and is still audited as that person's.
func TestDeskRunIsOfWhoeverStartedIt(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	p := d.propose(t, enabling(one+"/"+here+"/rest1/prod"))
	ada := audit.Actor{Kind: audit.Person, ID: "p-ada", Name: "ada", Address: "192.0.2.7", Via: audit.ViaWeb}
	run, err := d.Start(audit.WithActor(t.Context(), ada), p.Digest, ada.Name)
	if err != nil {
		t.Fatal(err)
	}
	d.wait(t, run.ID, func(r *logging.Run) bool { return r.State.Over() })
	page, err := d.store.AuditEvents(t.Context(), audit.Query{})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Events) != 2 {
		t.Errorf("the run left %d events, want its begin and its end", len(page.Events))
	}
	for _, e := range page.Events {
		if e.Actor != ada {
			t.Errorf("%s is audited as of %+v", e.Action, e.Actor)
		}
	}
}

func TestDeskSwitchesWhatWasShown(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	p := d.propose(t, enabling(one+"/"+here+"/rest1/prod"))
	if p.Stages != 1 || p.Pace.Seconds < 1 || len(p.Pace.Assumptions) == 0 || p.Estimate == nil {
		t.Errorf("plan: %d stages, %+v, %+v", p.Stages, p.Pace, p.Estimate)
	}
	for _, c := range p.Changes {
		if c.Account != one || c.Stage != "" && c.Subject != "rest1/prod" && c.Kind != logging.KindGroup {
			t.Errorf("the plan changes what was not chosen: %+v", c.Key)
		}
	}
	if again := d.propose(t, enabling(one+"/"+here+"/rest1/prod")); again.Digest != p.Digest {
		t.Error("the same plan has another digest")
	}
	if other := d.propose(t, enabling(one+"/"+here+"/rest1/dev")); other.Digest == p.Digest {
		t.Error("another plan has the same digest")
	}
	run := d.run(t, p)
	if run.State != logging.RunDone || run.Summary.Done != run.Changes || run.Who != "ada" {
		t.Errorf("the run ended as %+v (%s)", run, run.Error)
	}
	if st, _ := d.region(one).Stage("rest1", "prod"); st.LoggingLevel != "INFO" || !st.DataTrace || st.AccessFormat == "" {
		t.Errorf("rest1/prod: %+v", st)
	}
	if st, _ := d.region(one).Stage("rest1", "dev"); st.LoggingLevel == "INFO" {
		t.Error("a stage that was not chosen was switched")
	}
	status, err := d.Status(t.Context(), &logging.Choice{Places: []string{one + "/" + here + "/rest1/prod"}})
	if err != nil || len(status.Stages) != 1 {
		t.Fatal(status, err)
	}
	if st := status.Stages[0]; !st.Switched || st.Format != "Gatehouse's" || st.AccessDays == nil || *st.AccessDays != 30 || st.Coverage != estate.CoverageFull {
		t.Errorf("the state that pages show: %+v", st)
	}
	again := d.propose(t, enabling(one+"/"+here+"/rest1/prod"))
	if again.Count(logging.Planned) != 0 || len(again.Kept) != 1 || again.Kept[0].Why == "" {
		t.Errorf("again: %d changes, kept %+v", again.Count(logging.Planned), again.Kept)
	}
	if _, err := d.Start(t.Context(), again.Digest, "ada"); !errors.Is(err, logging.ErrNothing) {
		t.Errorf("starting a plan without changes: %v", err)
	}
	back := d.propose(t, logging.Request{Command: logging.Destroy})
	if run := d.run(t, back); run.State != logging.RunDone {
		t.Errorf("destroy: %+v", run)
	}
	if st, _ := d.region(one).Stage("rest1", "prod"); st.LoggingLevel != "ERROR" || st.DataTrace || st.AccessFormat != "" {
		t.Errorf("what was there is not back: %+v", st)
	}
	runs, err := d.History(t.Context(), 10)
	if err != nil || len(runs) != 2 || runs[0].Command != logging.Destroy || runs[1].ID != run.ID || runs[1].Who != "ada" || runs[1].Outcome != logging.Done {
		t.Errorf("history: %+v, %v", runs, err)
	}
	past, lines, err := d.Lines(t.Context(), run.ID, 1000)
	if err != nil || past.Summary.Planned != run.Changes || past.Summary.Done != run.Changes || len(lines) < 2*run.Changes || past.Request.Places[0] != one+"/"+here+"/rest1/prod" {
		t.Errorf("lines: %+v, %d, %v", past, len(lines), err)
	}
	if _, _, err := d.Lines(t.Context(), "none", 10); !errors.Is(err, logging.ErrUnknownRun) {
		t.Errorf("lines of no run: %v", err)
	}
}

// TestDeskRefusesAStalePlan: somebody changes a stage between the plan and the run. If
// the last discovery saw it, it is told at once; if not, by the run. Nothing is changed.
func TestDeskRefusesAStalePlan(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	p := d.propose(t, enabling(one))
	d.region(one).ChangeStage("rest1", "dev", func(st *awssim.Stage) { st.LoggingLevel, st.DataTrace = "INFO", true })
	run := d.run(t, p)
	if run.State != logging.RunRefused || len(run.Stale) == 0 || run.Fresh == "" {
		t.Fatalf("the run ended as %+v", run)
	}
	if of := run.Stale[0].Of(); of.Subject != "rest1/dev" && !strings.Contains(of.Subject, "dev") {
		t.Errorf("what is different: %+v", of)
	}
	if st, _ := d.region(one).Stage("rest1", "prod"); st.LoggingLevel != "ERROR" {
		t.Errorf("a refused plan changed %+v", st)
	}
	if past, err := d.History(t.Context(), 10); err != nil || len(past) != 0 {
		t.Errorf("a refused run is in the journal: %+v, %v", past, err)
	}
	var stale *logging.StaleError
	if _, err := d.Start(t.Context(), p.Digest, "ada"); !errors.As(err, &stale) || len(stale.Differences) == 0 {
		t.Errorf("now that it is known: %v", err)
	}
	fresh, err := d.Proposal(run.Fresh)
	if err != nil {
		t.Fatal(err)
	}
	if run := d.run(t, fresh); run.State != logging.RunDone {
		t.Errorf("the plan as it is now: %+v", run)
	}
}

func TestDeskRunsOneAtATime(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	p, other := d.propose(t, enabling(one)), d.propose(t, enabling(two))
	slow := d.sim.Inject(awssim.Fault{Kind: awssim.Slow, Operation: "UpdateStage", Delay: 200 * time.Millisecond})
	run, err := d.Start(t.Context(), p.Digest, "ada")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Start(t.Context(), other.Digest, "bob"); !errors.Is(err, logging.ErrBusy) {
		t.Errorf("a second run: %v", err)
	}
	d.wait(t, run.ID, func(r *logging.Run) bool { return r.State == logging.Switching && r.Progress.Done > 0 })
	d.wait(t, run.ID, func(r *logging.Run) bool { return r.State.Over() })
	d.sim.RemoveFault(slow)
	d.held.Store(true)
	if run := d.run(t, other); run.State != logging.RunFailed || !strings.Contains(run.Error, errHeld.Error()) {
		t.Errorf("while another process switches: %+v", run)
	}
	if _, err := d.Start(t.Context(), strings.Repeat("0", 64), "ada"); !errors.Is(err, logging.ErrUnknownPlan) {
		t.Errorf("a digest that nobody made: %v", err)
	}
	var invalid *logging.InvalidError
	if _, err := d.Propose(t.Context(), logging.Request{Command: "explode"}); !errors.As(err, &invalid) {
		t.Errorf("a command that there is not: %v", err)
	}
	d.snap.Store(nil)
	if _, err := d.Propose(t.Context(), enabling()); !errors.Is(err, logging.ErrNoEstate) {
		t.Errorf("without an estate: %v", err)
	}
}

// TestDeskIsStoppedAndGoesOn: the process ends in the middle of a run. The journal
// says so, and the same request goes on or is undone.
func TestDeskIsStoppedAndGoesOn(t *testing.T) {
	t.Parallel()
	for _, undo := range []bool{false, true} {
		d := newDesk(t)
		slow := d.sim.Inject(awssim.Fault{Kind: awssim.Slow, Operation: "UpdateStage", Delay: 100 * time.Millisecond})
		p := d.propose(t, enabling())
		run, err := d.Start(t.Context(), p.Digest, "ada")
		if err != nil {
			t.Fatal(err)
		}
		d.wait(t, run.ID, func(*logging.Run) bool {
			st, _ := d.region(one).Stage("rest1", "dev") // the first of its region
			return st.LoggingLevel == "INFO"
		})
		d.stop()
		if run, _, err := d.Follow(run.ID); err != nil || run.State != logging.RunStopped {
			t.Fatalf("stopped in the middle it is %+v, %v", run, err)
		}
		d.sim.RemoveFault(slow)
		past, err := d.History(t.Context(), 1)
		if err != nil || len(past) != 1 || past[0].Outcome != logging.Stopped || !past[0].Unfinished() {
			t.Fatalf("history: %+v, %v", past, err)
		}
		d.snap.Store(d.snapshot(t))
		d.serve(t)
		if undo {
			r := logging.Request{Command: logging.Disable, EnableOptions: logging.EnableOptions{Choice: past[0].Request.Choice}}
			if run := d.run(t, d.propose(t, r)); run.State != logging.RunDone {
				t.Errorf("undo: %+v", run)
			}
			for stage, want := range map[string]string{"prod": "ERROR", "dev": "OFF"} {
				if st, _ := d.region(one).Stage("rest1", stage); st.LoggingLevel != want && (want != "OFF" || st.LoggingLevel != "") || st.DataTrace {
					t.Errorf("undone: %+v", st)
				}
			}
			continue
		}
		if run := d.run(t, d.propose(t, past[0].Request)); run.State != logging.RunDone {
			t.Errorf("going on: %+v", run)
		}
		if st, _ := d.region(two).Stage("rest2", "prod"); st.LoggingLevel != "INFO" {
			t.Errorf("it did not go on: %+v", st)
		}
	}
}

func TestChoiceOfPlaces(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		places string
		want   bool
	}{
		{one, true},
		{one + "/" + here, true},
		{one + "/" + here + "/rest1", true},
		{one + "/" + here + "/rest1/prod", true},
		{two, false},
		{one[:5], false},
		{one + "/us-east-1", false},
		{one + "/" + here + "/rest", false},
		{one + "/" + here + "/rest1/pro", false},
		{one + "/" + here + "/rest1/prod2", false},
	} {
		choice := &logging.Choice{Places: []string{two + "/x", c.places}}
		if got := choice.Means(one, here, "rest1", "prod"); got != c.want {
			t.Errorf("%s: %t, want %t", c.places, got, c.want)
		}
	}
}
