package access

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Run sweeps what is due, changes targets, compares them with the ledger, discovers,
// tells, cleans up and rotates until ctx is done, and returns when all of that has
// stopped. It is called once. Several processes may run on one store.
func (d *Desk) Run(ctx context.Context) error {
	r := &runner{d: d, lanes: map[string]*lane{}, keepers: map[string]context.CancelFunc{}}
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		d.settler(ctx)
	}()
	if d.mailer != nil {
		r.outbox = &outbox{d: d, wake: make(chan struct{}, 1), busy: map[string]int{}}
		r.parts.Go(func() { r.outbox.run(ctx) })
	}
	r.parts.Go(func() { d.alarms(ctx) })
	d.attended.keep(ctx)
	r.parts.Go(func() { d.attended.run(ctx) })
	r.loop(ctx)
	r.parts.Wait()
	r.flying.Wait()
	// Nobody sends results any more.
	close(d.results)
	<-settled
	d.attended.leave(ctx)
	return nil
}

type runner struct {
	d       *Desk
	parts   sync.WaitGroup
	flying  sync.WaitGroup
	lanes   map[string]*lane
	keepers map[string]context.CancelFunc
	outbox  *outbox

	seq   int64
	known time.Time // when integrations were last read; monotonic
	stale bool      // something was committed since
}

// rereadEvery is how often the integrations are read although nothing was committed.
const rereadEvery = 10 * time.Second

// loop looks at the store, does what is due, and sleeps until the next thing is, until
// something is committed here, or until the next look for what others did.
func (r *runner) loop(ctx context.Context) {
	for ctx.Err() == nil {
		wait, err := r.once(ctx)
		result := "done"
		if err != nil && ctx.Err() == nil {
			result = "failed"
			r.d.log.ErrorContext(ctx, "sweeping", "error", err)
			wait = r.d.limits.Poll
		}
		r.d.metrics.steps.WithLabelValues("sweep", result).Inc()
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-r.d.wake:
		case <-t.C:
		}
		t.Stop()
	}
}

func (r *runner) once(ctx context.Context) (wait time.Duration, err error) {
	// A defect in one sweep must not be the last sweep.
	err = guarded("the sweep", func() (err error) {
		wait, err = r.sweep(ctx)
		return err
	})
	return wait, err
}

// guarded makes a panic in do an error: what is lent must be taken back in time, whatever
// defect is in the making of a notice, say, or in the provisioner of another target.
func guarded(what string, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a defect in %s: %v", what, p)
		}
	}()
	return do()
}

func (r *runner) sweep(ctx context.Context) (wait time.Duration, err error) {
	pulse, err := r.d.store.Pulse(ctx)
	if err != nil {
		return 0, err
	}
	if len(pulse.Gone) > 0 {
		if err := r.d.attended.bury(ctx, pulse.Gone); err != nil {
			return 0, err
		}
		if pulse, err = r.d.store.Pulse(ctx); err != nil {
			return 0, err
		}
	}
	r.d.clock.Follow(pulse.High, pulse.Epoch)
	now := r.d.clock.Now()
	if pulse.Seq != r.seq || time.Since(r.known) > rereadEvery {
		if r.seq != 0 && pulse.Seq != r.seq {
			r.d.watch.tell(Event{Kind: "any", At: now})
		}
		r.seq, r.stale = pulse.Seq, true
	}
	if r.stale && time.Since(r.known) > time.Second {
		if err := r.keep(ctx); err != nil {
			return 0, err
		}
		r.known, r.stale = time.Now(), false
	}
	wait = r.d.limits.Poll
	if !pulse.Due.IsZero() {
		if left := pulse.Due.Sub(now); left <= 0 {
			if err := r.d.sweep(ctx); err != nil {
				return 0, err
			}
			if r.outbox != nil {
				r.outbox.poke()
			}
		} else {
			wait = min(wait, left)
		}
	}
	if _, err := r.d.sweepStops(ctx); err != nil {
		return 0, err
	}
	for name, at := range pulse.Lanes {
		if left := at.Sub(now); left <= 0 {
			r.lane(ctx, name).poke()
		} else {
			wait = min(wait, left)
		}
	}
	return max(wait, time.Millisecond), nil
}

func (r *runner) lane(ctx context.Context, name string) *lane {
	l := r.lanes[name]
	if l == nil {
		l = r.d.newLane(name)
		r.d.attended.lane(l)
		r.lanes[name] = l
		r.flying.Go(func() { l.run(ctx) })
	}
	return l
}

// keep has a keeper for each integration, and none for those that are gone.
func (r *runner) keep(ctx context.Context) error {
	all, err := r.d.store.Integrations(ctx)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, i := range all {
		there[i.Name] = true
		if r.keepers[i.Name] != nil {
			continue
		}
		kept, cancel := context.WithCancel(ctx)
		r.keepers[i.Name] = cancel
		k := &keeper{d: r.d, name: i.Name}
		r.parts.Go(func() { k.run(kept) })
	}
	for name, cancel := range r.keepers {
		if !there[name] {
			cancel()
			delete(r.keepers, name)
		}
	}
	return nil
}

// alarmEvery is how often it is looked for what is late.
const alarmEvery = 5 * time.Second

// alarms watches for access that should be there, or gone, and is not.
func (d *Desk) alarms(ctx context.Context) {
	for pause(ctx, alarmEvery) {
		if err := guarded("the alarms", func() error { return d.alarm(ctx) }); err != nil && ctx.Err() == nil {
			d.log.ErrorContext(ctx, "looking for what is late", "error", err)
		}
	}
}

func (d *Desk) alarm(ctx context.Context) error {
	now := d.clock.Now()
	objects, counts, err := d.store.LateObjects(ctx, now.Add(-d.limits.Objective), 100)
	if err != nil {
		return err
	}
	for name := range d.alarmed {
		if counts[name] == 0 {
			delete(d.alarmed, name)
			d.metrics.late.WithLabelValues(name).Set(0)
			d.log.InfoContext(ctx, "nothing of the integration is late any more", "integration", name)
		}
	}
	for name, n := range counts {
		d.metrics.late.WithLabelValues(name).Set(float64(n))
		since, told := d.alarmed[name]
		if told && time.Since(since) < time.Hour {
			continue
		}
		text := fmt.Sprintf("%s of integration %s past the objective of %s: access that should be there or gone is not", plural(n, "object is", "objects are"), name, d.limits.Objective)
		id := "grant.late/" + name
		if i := slices.IndexFunc(objects, func(o Object) bool { return o.Integration == name }); i >= 0 {
			o := &objects[i]
			text += fmt.Sprintf("; the oldest is %s, due at %s, next try at %s, last error: %s", o.Key, o.DueAt.Format(time.RFC3339), o.NextTry.Format(time.RFC3339), o.LastError)
			id += o.DueAt.Format(time.RFC3339Nano)
		}
		d.log.ErrorContext(ctx, "access is late", "integration", name, "objects", n, "detail", text)
		f := d.draft(now)
		f.notice(Notice{ID: id + "/" + now.Truncate(time.Hour).Format(time.RFC3339), Kind: "grant.late", Integration: name, Text: text, Thread: "integration/" + name, Loud: true})
		if err := d.commit(ctx, f); err != nil {
			return err
		}
		d.alarmed[name] = time.Now()
	}
	return nil
}
