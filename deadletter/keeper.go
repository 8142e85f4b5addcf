package deadletter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/collect"
)

// The defaults of Options.
const (
	DefaultMaxCount = 10_000
	DefaultMaxBytes = 256 << 20
	// DefaultPoll is how often Run looks for letters that another process has
	// marked.
	DefaultPoll = 2 * time.Second
)

// Options are what a Keeper works with. Store is needed.
type Options struct {
	Store Store
	// MaxCount and MaxBytes bound the letters of all sinks together; 0: the
	// defaults.
	MaxCount int64
	MaxBytes int64
	Poll     time.Duration
	Clock    func() time.Time      // nil: time.Now
	Logger   *slog.Logger          // nil: silent
	Metrics  prometheus.Registerer // nil: off
}

// Keeper keeps the dead letters of all sinks. It is safe for concurrent use.
type Keeper struct {
	store   Store
	limits  Limits
	poll    time.Duration
	now     func() time.Time
	log     *slog.Logger
	metrics *metrics
	wake    chan struct{} // capacity 1: letters were marked here

	mu      sync.Mutex
	outlets map[string]*Outlet // by the sink's name
}

// New makes a Keeper.
func New(o Options) (*Keeper, error) {
	if o.Store == nil {
		return nil, errors.New("dead letters: no store")
	}
	k := &Keeper{
		store: o.Store, limits: Limits{Count: o.MaxCount, Bytes: o.MaxBytes}, poll: o.Poll, now: o.Clock, log: o.Logger,
		wake: make(chan struct{}, 1), outlets: map[string]*Outlet{},
	}
	if k.limits.Count <= 0 {
		k.limits.Count = DefaultMaxCount
	}
	if k.limits.Bytes <= 0 {
		k.limits.Bytes = DefaultMaxBytes
	}
	if k.poll <= 0 {
		k.poll = DefaultPoll
	}
	if k.now == nil {
		k.now = time.Now
	}
	if k.log == nil {
		k.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if k.metrics, err = newMetrics(o.Metrics); err != nil {
		return nil, fmt.Errorf("dead letters: registering metrics: %w", err)
	}
	return k, nil
}

// Box gives the box of the sink with this name.
func (k *Keeper) Box(sink string) Box { return &box{keeper: k, sink: sink} }

// Outlet puts a running sink under the Keeper, which then delivers to it what is
// replayed. The collector must use the Outlet and not the sink. The sink must be
// one whose Position is empty: what a replay delivers is in no checkpoint.
func (k *Keeper) Outlet(s collect.Sink) *Outlet {
	o := &Outlet{Sink: s, turn: make(chan struct{}, 1)}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.outlets[s.Name()] = o
	return o
}

// Sinks names the sinks that this process can replay to, in order.
func (k *Keeper) Sinks() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(maps.Keys(k.outlets))
}

// Limits returns how many letters are kept at most.
func (k *Keeper) Limits() Limits { return k.limits }

// List returns a page of letters, the newest first.
func (k *Keeper) List(ctx context.Context, q Query) (Page, error) { return k.store.Letters(ctx, q) }

// Get returns a letter with its transaction, or ErrNotFound.
func (k *Keeper) Get(ctx context.Context, id string) (*Letter, error) { return k.store.Letter(ctx, id) }

// Counts counts the letters by sink.
func (k *Keeper) Counts(ctx context.Context) ([]Count, error) { return k.store.CountLetters(ctx) }

// Replay has letters delivered again by the process that runs the sinks, and
// returns how many of the ids are there. A letter that is taken is removed; one
// that is refused again stays, with Attempts one higher.
func (k *Keeper) Replay(ctx context.Context, ids []string) (int, error) {
	n, err := k.store.MarkLetters(ctx, ids)
	if n > 0 {
		select {
		case k.wake <- struct{}{}:
		default:
		}
	}
	return n, err
}

// Discard removes letters for good and returns how many were there.
func (k *Keeper) Discard(ctx context.Context, ids []string) (int, error) {
	n, err := k.store.RemoveLetters(ctx, ids, false)
	if err == nil && n > 0 {
		k.log.InfoContext(ctx, "dead letters were discarded", slog.Int("letters", n))
	}
	return n, err
}
