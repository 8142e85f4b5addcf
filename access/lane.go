package access

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// lane changes the objects of one integration. Each integration has its own, with its
// own limit, so a target that hangs or errors holds up no other.
type lane struct {
	d    *Desk
	name string
	wake chan struct{}

	mu       sync.Mutex
	flying   map[string]*flight
	failures int       // in a row
	resume   time.Time // monotonic; nothing is tried before
}

// flight is one change under way.
type flight struct {
	lease  Lease
	holder string    // who has the lease
	since  time.Time // when the lease was last taken or renewed; monotonic
	timer  *time.Timer
	cancel context.CancelCauseFunc
	// lost is set once somebody else may have the lease. What was under way then may
	// have undone what the other one did.
	lost bool
}

var (
	errLeaseOver   = errors.New("the lease of the object ran out")
	errOperation   = errors.New("it took too long")
	errLeaseStolen = errors.New("another process took the object over")
	errGone        = errors.New("others took this process for dead")
)

// settlement is what an Apply gave.
type settlement struct {
	Leased
	holder  string // who has the lease
	applied Applied
	err     error
	// stopped is set if it was given up because the process stops.
	stopped bool
	done    chan struct{} // closed once it is written
}

func (d *Desk) newLane(name string) *lane {
	return &lane{d: d, name: name, wake: make(chan struct{}, 1), flying: map[string]*flight{}}
}

func (l *lane) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

const (
	// probeAfter failures in a row, a lane tries one object at a time: a target that is
	// down is not asked thousands of times, and what waits goes through at once when it
	// is back.
	probeAfter = 16
	probeEvery = time.Second
)

// run changes what is due until ctx is done, and returns when nothing is under way.
func (l *lane) run(ctx context.Context) {
	var flights sync.WaitGroup
	defer flights.Wait()
	flights.Go(func() { l.renew(ctx) })
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.wake:
		}
		// Several wake-ups at once are one look.
		for {
			var more bool
			err := guarded("taking objects to change", func() (err error) {
				more, err = l.take(ctx, &flights)
				return err
			})
			if err != nil && ctx.Err() == nil {
				l.d.log.ErrorContext(ctx, "leasing objects to change", "integration", l.name, "error", err)
				if !pause(ctx, time.Second) {
					return
				}
			}
			if !more {
				break
			}
		}
	}
}

// free is how many more changes may be under way.
func (l *lane) free() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failures >= probeAfter {
		if time.Now().Before(l.resume) {
			return 0
		}
		return 1 - len(l.flying)
	}
	return l.d.limits.PerIntegration - len(l.flying)
}

// take leases what is due and starts to change it. It reports whether there may be
// more to take now.
func (l *lane) take(ctx context.Context, flights *sync.WaitGroup) (more bool, err error) {
	n := l.free()
	if n <= 0 {
		return false, nil // whoever lands wakes the lane
	}
	// The lease is reckoned from before it was asked for, so that it is over here no
	// later than for others.
	since := time.Now()
	now, holder := l.d.clock.Now(), l.d.attended.holder()
	leased, err := l.d.store.LeaseObjects(ctx, LeaseQuery{
		Integration: l.name, Holder: holder, Now: now, Until: now.Add(l.d.limits.Lease), Limit: n,
	})
	if err != nil || len(leased) == 0 {
		return false, err
	}
	for i := range leased {
		f := l.launch(ctx, leased[i].Lease, holder, since)
		flights.Go(func() { l.fly(f.ctx, f.flight, leased[i]) })
	}
	return len(leased) == n, nil
}

type launched struct {
	*flight
	ctx context.Context //nolint:containedctx // it is handed to the goroutine that ends it
}

func (l *lane) launch(ctx context.Context, lease Lease, holder string, since time.Time) launched {
	ctx, cancel := context.WithCancelCause(ctx)
	f := &flight{lease: lease, holder: holder, since: since, cancel: cancel}
	l.mu.Lock()
	l.flying[lease.Key] = f
	// A write that reaches the target after the lease could undo what the next one
	// did, so nothing is sent any more then.
	f.timer = time.AfterFunc(l.d.limits.Lease-time.Since(since), func() { l.lose(f, errLeaseOver) })
	l.mu.Unlock()
	// The name may have been lost while the lease was taken under it: whoever lost it
	// then did not see this flight.
	if l.d.attended.isLost(holder) {
		l.lose(f, errGone)
	}
	return launched{f, ctx}
}

func (l *lane) lose(f *flight, why error) {
	l.mu.Lock()
	f.lost = true
	l.mu.Unlock()
	f.cancel(why)
}

// loseAll stops what is under way under the name of a holder that is taken for dead.
func (l *lane) loseAll(holder string) {
	var lost []*flight
	l.mu.Lock()
	for _, f := range l.flying {
		if f.holder == holder {
			lost = append(lost, f)
		}
	}
	l.mu.Unlock()
	for _, f := range lost {
		l.lose(f, errGone)
	}
}

// renew keeps the leases of what is under way.
func (l *lane) renew(ctx context.Context) {
	every := l.d.limits.Lease / 4
	for pause(ctx, every) {
		leases := map[string][]Lease{} // by holder, of whom there is one unless a name was lost
		l.mu.Lock()
		for _, f := range l.flying {
			if !f.lost && time.Since(f.since) >= every {
				leases[f.holder] = append(leases[f.holder], f.lease)
			}
		}
		l.mu.Unlock()
		for holder, of := range leases {
			l.renewOf(ctx, holder, of)
		}
	}
}

func (l *lane) renewOf(ctx context.Context, holder string, leases []Lease) {
	since := time.Now()
	var kept []string
	err := guarded("renewing leases", func() (err error) {
		kept, err = l.d.store.RenewLeases(ctx, holder, leases, l.d.clock.Now().Add(l.d.limits.Lease))
		return err
	})
	if err != nil {
		if ctx.Err() == nil {
			l.d.log.ErrorContext(ctx, "renewing leases", "integration", l.name, "error", err)
		}
		return // until they run out
	}
	still := map[string]bool{}
	for _, key := range kept {
		still[key] = true
	}
	for _, lease := range leases {
		l.mu.Lock()
		f := l.flying[lease.Key]
		ours := f != nil && f.lease.Fence == lease.Fence && !f.lost
		if ours && still[lease.Key] && f.timer.Stop() {
			f.since = since
			f.timer.Reset(l.d.limits.Lease - time.Since(since))
		}
		l.mu.Unlock()
		if ours && !still[lease.Key] {
			l.lose(f, errLeaseStolen)
		}
	}
}

// fly changes one object and has what came of it written.
func (l *lane) fly(ctx context.Context, f *flight, it Leased) {
	s := settlement{Leased: it, holder: f.holder, done: make(chan struct{})}
	start := time.Now()
	s.err = guarded("changing an object", func() (err error) {
		s.applied, err = l.apply(ctx, it)
		return err
	})
	l.d.metrics.applySecond.WithLabelValues(l.name).Observe(time.Since(start).Seconds())
	if cause := context.Cause(ctx); s.err != nil && cause != nil {
		s.stopped = errors.Is(cause, context.Canceled)
		if !s.stopped {
			s.err = fmt.Errorf("%w: %w", cause, s.err)
		}
	}
	l.d.metrics.applies.WithLabelValues(l.name, outcome(&s)).Inc()
	l.d.results <- s
	<-s.done

	f.timer.Stop()
	f.cancel(nil)
	l.mu.Lock()
	if l.flying[it.Lease.Key] == f {
		delete(l.flying, it.Lease.Key)
	}
	down := false
	switch {
	case s.stopped:
	case s.err == nil, errors.Is(s.err, ErrForeign):
		l.failures = 0
	default:
		l.failures++
		if down = l.failures >= probeAfter; down {
			l.resume = time.Now().Add(probeEvery)
		}
	}
	l.mu.Unlock()
	if down {
		time.AfterFunc(probeEvery, l.poke)
		return
	}
	l.poke()
}

func outcome(s *settlement) string {
	switch {
	case s.stopped:
		return "stopped"
	case s.err != nil:
		return "failed"
	case s.applied.Pending > 0:
		return "pending"
	default:
		return "done"
	}
}

// apply asks the provisioner.
func (l *lane) apply(ctx context.Context, it Leased) (out Applied, err error) {
	i, err := l.d.store.Integration(ctx, l.name)
	if err != nil {
		return out, err
	}
	p := l.d.types[i.Type]
	if p == nil {
		return out, fmt.Errorf("this gatehouse cannot serve integrations of type %q", i.Type)
	}
	key, ok := strings.CutPrefix(it.Object.Key, i.Name+"/")
	if !ok {
		return out, fmt.Errorf("object %q is not of integration %s", it.Object.Key, i.Name)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, l.d.limits.Operation, errOperation)
	defer cancel()
	return p.Apply(ctx, i, Wanted{Key: key, Generation: it.Object.Generation, Holdings: it.Holdings, Kept: it.Object.Kept})
}

// backoff is how long to wait after a number of failures: longer each time, up to
// most, and never the same for all that failed together.
func backoff(attempts int, most time.Duration) time.Duration {
	wait := 250 * time.Millisecond << min(attempts-1, 20)
	if wait > most || wait <= 0 {
		wait = most
	}
	return wait/2 + jitter(wait/2)
}

// jitter is a time up to most, never the same for all.
func jitter(most time.Duration) time.Duration {
	return time.Duration(rand.Int64N(int64(most) + 1)) //nolint:gosec // it spreads waits, nothing rests on it
}
