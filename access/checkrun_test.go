package access_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
)

// slowPort is a target that takes its time to be looked at.
type slowPort struct {
	*port
	mu     sync.Mutex
	checks int
	broken bool // looking at it is a defect
}

func (p *slowPort) Check(ctx context.Context, i *access.Integration) ([]access.Check, error) {
	p.mu.Lock()
	p.checks++
	broken := p.broken
	p.mu.Unlock()
	if broken {
		panic("index out of range")
	}
	for n := range 3 {
		access.Report(ctx, n, 3, "looking")
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(10 * time.Second):
		}
	}
	return []access.Check{{Name: "reach", Result: "ok"}, {Name: "clock", Result: "failed"}}, nil
}

func (p *slowPort) seen() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.checks
}

// runs begins the background of a desk, until the returned function is called.
func (w *world) runs(d *access.Desk) (runs *access.TargetRuns, stop func()) {
	w.t.Helper()
	runs = access.NewTargetRuns(d)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := runs.Run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	return runs, sync.OnceFunc(func() {
		cancel()
		running.Wait()
	})
}

// Whoever has a target checked is answered at once, sees how far it is from any process,
// and shares the run with who wants the same.
func TestTargetRuns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.setup(w.desk())
		slow := &slowPort{port: w.port()}
		with := func(o *access.Options) { o.Provisioners = []access.Provisioner{slow} }
		here, there := w.desk(with), w.desk(with)
		runs, stop := w.runs(here)
		defer stop()
		others, stopOthers := w.runs(there)
		defer stopOthers()
		root := w.person("root")
		began := time.Now()
		run, err := runs.Start(t.Context(), "one", access.RunCheck, root, "web")
		if err != nil || run.State != access.RunGoing || run.By != root.ID || run.AtMost != 60 || time.Since(began) > time.Second {
			t.Fatalf("begun: %+v, %v", run, err)
		}
		time.Sleep(12 * time.Second)
		if got, err := others.ByID(t.Context(), root, "one", run.ID); err != nil || got.State != access.RunGoing || got.Done != 1 || got.Total != 3 || got.Doing != "looking" {
			t.Errorf("in the other process, after 12 s: %+v, %v", got, err)
		}
		if again, err := others.Start(t.Context(), "one", access.RunCheck, root, "cli"); err != nil || again.ID != run.ID {
			t.Errorf("the same again: %+v, %v", again, err)
		}
		// Another kind, and another integration, are runs of their own.
		discovery, err := others.Start(t.Context(), "one", access.RunDiscover, root, "cli")
		if err != nil || discovery.ID == run.ID {
			t.Errorf("discovering meanwhile: %+v, %v", discovery, err)
		}
		time.Sleep(20 * time.Second)
		if got, err := runs.ByID(t.Context(), root, "one", run.ID); err != nil || got.State != access.RunDone || got.Found != 2 || got.Left != 1 || got.Ended.IsZero() {
			t.Errorf("at its end: %+v, %v", got, err)
		}
		if got, err := runs.ByID(t.Context(), root, "one", discovery.ID); err != nil || got.State != access.RunDone || got.Found != 3 {
			t.Errorf("the discovery at its end: %+v, %v", got, err)
		}
		if n := slow.seen(); n != 1 {
			t.Errorf("the target was checked %d times", n)
		}
		w.target.setFault("one", fault{down: true})
		failed, err := runs.Start(t.Context(), "one", access.RunDiscover, root, "web")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got, err := runs.ByID(t.Context(), root, "one", failed.ID); err != nil || got.State != access.RunFailed || !strings.Contains(got.Error, "connection refused") {
			t.Errorf("of a target that is down: %+v, %v", got, err)
		}

		// Only so many are kept, and nobody sees them who does not administer.
		for range 4 {
			if _, err := runs.Start(t.Context(), "one", access.RunDiscover, root, "web"); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		v, err := here.Integration(t.Context(), root, "one")
		if err != nil || len(v.Health.Runs) != 3 {
			t.Errorf("kept: %+v, %v", v.Health.Runs, err)
		}
		if _, err := runs.ByID(t.Context(), root, "one", discovery.ID); !errors.Is(err, access.ErrNotFound) {
			t.Errorf("what is not kept: %v", err)
		}
		ann := w.person("ann")
		if v, err := here.Integration(t.Context(), ann, "one"); err != nil || v.Health.Runs != nil {
			t.Errorf("ann sees %+v, %v", v.Health.Runs, err)
		}
		if _, err := runs.ByID(t.Context(), ann, "one", run.ID); !errors.Is(err, access.ErrForbidden) {
			t.Errorf("ann asks for a run: %v", err)
		}
		if _, err := runs.Start(t.Context(), "one", access.RunCheck, ann, "web"); !errors.Is(err, access.ErrForbidden) {
			t.Errorf("ann begins a run: %v", err)
		}
		if _, err := runs.Start(t.Context(), "none", access.RunCheck, root, "web"); !errors.Is(err, access.ErrNotFound) {
			t.Errorf("of no integration: %v", err)
		}
		if _, err := runs.Start(t.Context(), "one", "reboot", root, "web"); !errors.Is(err, access.ErrInvalid) {
			t.Errorf("of no kind: %v", err)
		}
	})
}

// A run whose process stops or dies is said to be lost and keeps nobody from another; a
// defect in a provisioner ends its run and nothing else.
func TestTargetRunsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		w.setup(w.desk())
		slow := &slowPort{port: w.port()}
		d := w.desk(func(o *access.Options) { o.Provisioners = []access.Provisioner{slow} })
		root := w.person("root")
		runs, stop := w.runs(d)
		run, err := runs.Start(t.Context(), "one", access.RunCheck, root, "web")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		stop()
		if got, err := runs.ByID(t.Context(), root, "one", run.ID); err != nil || got.State != access.RunLost || got.Error == "" || got.Ended.IsZero() {
			t.Errorf("after the process was stopped: %+v, %v", got, err)
		}

		// Nobody carries it out, as after kill -9.
		orphan, err := access.NewTargetRuns(d).Start(t.Context(), "one", access.RunCheck, root, "web")
		if err != nil {
			t.Fatal(err)
		}
		runs, stop = w.runs(d)
		defer stop()
		time.Sleep(29 * time.Second)
		if got, err := runs.Start(t.Context(), "one", access.RunCheck, root, "web"); err != nil || got.ID != orphan.ID {
			t.Errorf("while it may be at it: %+v, %v", got, err)
		}
		time.Sleep(2 * time.Second)
		if got, err := runs.ByID(t.Context(), root, "one", orphan.ID); err != nil || got.State != access.RunLost {
			t.Errorf("after its silence: %+v, %v", got, err)
		}
		slow.mu.Lock()
		slow.broken = true
		slow.mu.Unlock()
		broken, err := runs.Start(t.Context(), "one", access.RunCheck, root, "web")
		if err != nil || broken.ID == orphan.ID {
			t.Fatalf("after one that was lost: %+v, %v", broken, err)
		}
		time.Sleep(time.Second)
		if got, err := runs.ByID(t.Context(), root, "one", broken.ID); err != nil || !got.Over() || got.Left != 1 {
			t.Errorf("of a provisioner with a defect: %+v, %v", got, err)
		}
		// Settings that are saved meanwhile do not make a run unknown.
		slow.mu.Lock()
		slow.broken = false
		slow.mu.Unlock()
		i, err := w.l.Integration(t.Context(), "one")
		if err != nil {
			t.Fatal(err)
		}
		run, err = runs.Start(t.Context(), "one", access.RunCheck, root, "web")
		if err != nil {
			t.Fatal(err)
		}
		i.Version++
		if err := w.l.Commit(t.Context(), &access.Change{At: time.Now(), Integrations: []*access.Integration{i}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if got, err := runs.ByID(t.Context(), root, "one", run.ID); err != nil || got.State != access.RunDone {
			t.Errorf("with settings saved meanwhile: %+v, %v", got, err)
		}
	})
}

// A difference that is being mended stands until a look shows that it is gone.
func TestDriftStandsUntilItIsMended(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "")
		d := w.desk()
		w.setup(d)
		defer w.run(d)()
		root := w.person("root")
		r := w.request(d, access.Ask{By: w.person("ann"), Items: []access.ItemRef{ref("one", "payments", "view")}, Duration: time.Hour})
		w.eventually(time.Minute, "it is active", func() bool { return w.grant(r.Grant).State == access.Active })
		time.Sleep(time.Second)
		key := "one:ann@example.com:namespace/payments:view"
		w.target.put(key, nil)
		w.target.put("one:who:knows", []access.Holding{{Grant: "gunknown"}})
		compare := func() (missing, byHand bool) {
			t.Helper()
			drifts, err := d.ReconcileNow(t.Context(), "one", root, "api")
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range drifts {
				missing = missing || one.Kind == "missing" && !one.ByHand && one.Mended.IsZero()
				byHand = byHand || one.Kind == "orphan" && one.ByHand
			}
			return missing, byHand
		}
		w.target.setFault("one", fault{slow: 20 * time.Second})
		if missing, byHand := compare(); !missing || !byHand {
			t.Errorf("at first: %v, %v", missing, byHand)
		}
		time.Sleep(5 * time.Second)
		if missing, _ := compare(); !missing {
			t.Error("while it is put back it is said to be mended")
		}
		time.Sleep(2 * time.Minute)
		if missing, byHand := compare(); missing || !byHand {
			t.Errorf("after it was put back: %v, %v", missing, byHand)
		}
	})
}
