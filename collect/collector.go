package collect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// Collector reads log groups, rebuilds the calls in them and hands them on. It
// runs once: Run or RunOnce. Health may be asked at any time.
type Collector struct {
	cfg      Config
	deps     Deps
	log      *slog.Logger
	metrics  *metrics
	pipeline *pipeline
	now      func() time.Time
	counter  Counter // nil: nothing is compared

	begun   atomic.Bool
	open    atomic.Int64 // calls in all assemblers
	digests atomic.Int64 // eventIds remembered
	running sync.WaitGroup
	listNow chan struct{} // capacity 1
	// once, end and since are those of RunOnce; end is in milliseconds.
	once  bool
	end   int64
	since time.Time
	// pass and passed are those of RunPass, which is also once; passed is when it
	// began.
	pass   bool
	passed time.Time

	mu       sync.Mutex
	started  time.Time
	lanes    map[laneKey]*lane
	order    []*lane
	problems []Problem
	saved    map[string]GroupCheckpoint // groups that no discovery has found yet
	listed   listings
}

type laneKey struct{ account, region string }

// New makes a Collector. It fails if cfg or deps cannot work.
func New(cfg Config, deps Deps) (*Collector, error) {
	cfg.setDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	if err := deps.validate(); err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	m, err := newMetrics(deps.Metrics)
	if err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	c := &Collector{
		cfg:     cfg,
		deps:    deps,
		log:     deps.Log,
		metrics: m,
		now:     time.Now,
		lanes:   make(map[laneKey]*lane),
		listNow: make(chan struct{}, 1),
		since:   cfg.Since,
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if !cfg.SkipCheck {
		c.counter, _ = deps.Source.(Counter)
	}
	c.pipeline = newPipeline(c)
	if err := newGauges(c).register(deps.Metrics); err != nil {
		return nil, fmt.Errorf("collector: %w", err)
	}
	return c, nil
}

// Run reads until ctx is done, then delivers and saves what was read and closes
// the sinks. It returns nil after a stop that left nothing behind, and an error
// if the state could not be loaded, a sink not be restored, or not everything be
// delivered within Config.ShutdownTimeout. Calls that are still open when ctx is
// done are not delivered: their events are read again at the next start.
func (c *Collector) Run(ctx context.Context) error {
	return c.run(ctx, func() error {
		c.discoverAll(ctx)
		return nil
	})
}

// RunOnce reads every group from since until now minus Config.Settle, delivers
// all calls, those that have not ended as not complete, and closes the sinks. A
// group with a cursor goes on from there; if since is before the time where its
// first reading began, the time in between is read too. With a zero since,
// groups without a cursor are read from now minus Config.StartFrom.
//
// It returns an error, after doing all the rest, if an account or a group could
// not be read.
func (c *Collector) RunOnce(ctx context.Context, since time.Time) error {
	now := c.now()
	c.once, c.end = true, now.Add(-c.cfg.Settle).UnixMilli()
	if !since.IsZero() {
		c.since = since
	}
	return c.run(ctx, func() error {
		c.discover(ctx)
		c.running.Wait()
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stopped before everything was read: %w", err)
		}
		for _, l := range c.allLanes() {
			l.flush()
		}
		return c.unread()
	})
}

// run is the life of a collector around what it reads.
func (c *Collector) run(ctx context.Context, read func() error) error {
	if c.begun.Swap(true) {
		return errors.New("collector: it has run already")
	}
	c.mu.Lock()
	c.started = c.now()
	c.mu.Unlock()
	if err := c.load(ctx); err != nil {
		return errors.Join(err, c.closeSinks(ctx))
	}
	// What was read is delivered even though ctx is done, for ShutdownTimeout.
	delivery, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var delivering sync.WaitGroup
	var undelivered error
	delivering.Go(func() { undelivered = c.pipeline.run(delivery) })

	unread := read()
	c.running.Wait()
	for _, l := range c.allLanes() {
		l.finish()
	}
	c.pipeline.close()
	if ctx.Err() != nil {
		deadline := time.AfterFunc(c.cfg.ShutdownTimeout, stop)
		defer deadline.Stop()
	} else {
		// A run that ends by itself waits for its sinks until it is stopped.
		release := context.AfterFunc(ctx, func() { time.AfterFunc(c.cfg.ShutdownTimeout, stop) })
		defer release()
	}
	delivering.Wait()
	return errors.Join(unread, undelivered, c.closeSinks(ctx))
}

// load takes over the saved state and puts the sinks to where it says.
func (c *Collector) load(ctx context.Context) error {
	saved, err := c.deps.State.LoadCheckpoint(ctx)
	if err != nil {
		return fmt.Errorf("loading the collector's state: %w", err)
	}
	if saved == nil {
		saved = &Checkpoint{}
	}
	c.saved = make(map[string]GroupCheckpoint, len(saved.Groups))
	for _, g := range saved.Groups {
		c.saved[g.Group.Key()] = g
	}
	c.listed.resume(saved.Groups, c.cfg.DiscoveryInterval+c.cfg.Overlap)
	for _, s := range c.deps.Sinks {
		if err := s.Restore(ctx, saved.Sinks[s.Name()]); err != nil {
			return fmt.Errorf("restoring sink %s to where it was: %w", s.Name(), err)
		}
	}
	return nil
}

func (c *Collector) closeSinks(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.ShutdownTimeout)
	defer cancel()
	var errs []error
	for _, s := range c.deps.Sinks {
		if err := s.Close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("closing sink %s: %w", s.Name(), err))
		}
	}
	return errors.Join(errs...)
}

// horizon is up to where the fast reading may go, in milliseconds.
func (c *Collector) horizon(now time.Time) int64 {
	if c.once {
		return c.end
	}
	return now.Add(-c.cfg.Settle).UnixMilli()
}

// crowded reports whether more digests are kept than MaxDigests.
func (c *Collector) crowded() bool { return c.digests.Load() > int64(c.cfg.MaxDigests) }

// laneOf returns the lane of an account and region.
func (c *Collector) laneOf(key laneKey) *lane {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := c.lanes[key]
	if l == nil {
		l = newLane(c, key.account, key.region)
		c.lanes[key] = l
		c.order = append(c.order, l)
	}
	return l
}

func (c *Collector) allLanes() []*lane {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*lane(nil), c.order...)
}
