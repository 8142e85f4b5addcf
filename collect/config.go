package collect

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// Config says how a Collector reads. A zero field has the default that is
// named beside it.
type Config struct {
	// PollInterval is how often each group is asked for new events; 10 s.
	PollInterval time.Duration
	// Settle is how far the fast reading stays behind the clock; 10 s.
	Settle time.Duration
	// Overlap is how late an event may become visible and still be found, by
	// the slow reading; 5 min.
	Overlap time.Duration
	// SlowInterval is how often the slow reading runs; 1 min.
	SlowInterval time.Duration
	// Grace is how long, in log time, a call stays open after its completion
	// line; 2 s.
	Grace time.Duration
	// Idle closes a call without a completion line after this much log time
	// without an event; 60 s.
	Idle time.Duration
	// StartFrom is how far back a group without a cursor is read; 5 min.
	StartFrom time.Duration
	// Since, if it is set, is where a group without a cursor is read from,
	// instead of StartFrom.
	Since time.Time
	// DiscoveryInterval is how often the groups are listed anew; 5 min.
	DiscoveryInterval time.Duration
	// CommitInterval is how often cursors and positions are saved; 1 s.
	CommitInterval time.Duration
	// ShutdownTimeout bounds how long delivering what was read may take after
	// the context of Run is done; 30 s.
	ShutdownTimeout time.Duration

	// SkipCheck switches the comparison with the Source's own count off.
	SkipCheck bool
	// CheckInterval is how often the count is asked for; 5 min. CheckDelay is how
	// long after its end a minute's count is taken for whole; 3 min.
	CheckInterval time.Duration
	CheckDelay    time.Duration

	// Concurrency is how many windows of one account and region are read at the
	// same time; 8.
	Concurrency int
	// WindowPages is how many pages (1 MB each) a window of time should have
	// when much is to be read; 4.
	WindowPages int
	// BatchTransactions and BatchBytes bound one Sink.Deliver; 1,000 and 4 MB.
	BatchTransactions int
	BatchBytes        int64
	// MaxOpenCalls bounds the calls that wait for more of their events, in each
	// account and region; 100,000. At three quarters of it, over all accounts
	// and regions together, only the groups that are furthest behind are read.
	MaxOpenCalls int
	// Redactor takes secrets out of calls as they close; nil for the default
	// rules.
	Redactor *transaction.Redactor
	// MaxPendingTransactions and MaxPendingBytes bound what waits for the
	// sinks; 20,000 and 64 MB. Reading stops at either.
	MaxPendingTransactions int
	MaxPendingBytes        int64
	// MaxDigests bounds the eventIds that are remembered to tell doubles;
	// 32,000,000.
	MaxDigests int
	// OnceAttempts is how often RunOnce tries a group that fails in a way that
	// may pass; 6.
	OnceAttempts int
}

func (c *Config) setDefaults() {
	set := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	setInt := func(d *int, v int) {
		if *d == 0 {
			*d = v
		}
	}
	set(&c.PollInterval, 10*time.Second)
	set(&c.Settle, 10*time.Second)
	set(&c.Overlap, 5*time.Minute)
	set(&c.SlowInterval, time.Minute)
	set(&c.Grace, 2*time.Second)
	set(&c.Idle, time.Minute)
	set(&c.StartFrom, 5*time.Minute)
	set(&c.DiscoveryInterval, 5*time.Minute)
	set(&c.CommitInterval, time.Second)
	set(&c.ShutdownTimeout, 30*time.Second)
	set(&c.CheckInterval, 5*time.Minute)
	set(&c.CheckDelay, 3*time.Minute)
	setInt(&c.Concurrency, 8)
	setInt(&c.WindowPages, 4)
	setInt(&c.BatchTransactions, 1000)
	setInt(&c.MaxOpenCalls, 100_000)
	setInt(&c.MaxPendingTransactions, 20_000)
	setInt(&c.MaxDigests, 32_000_000)
	setInt(&c.OnceAttempts, 6)
	if c.BatchBytes == 0 {
		c.BatchBytes = 4 << 20
	}
	if c.MaxPendingBytes == 0 {
		c.MaxPendingBytes = 64 << 20
	}
}

func (c *Config) validate() error {
	for _, d := range []struct {
		name string
		v    time.Duration
	}{
		{"poll_interval", c.PollInterval},
		{"settle", c.Settle},
		{"overlap", c.Overlap},
		{"slow_interval", c.SlowInterval},
		{"grace", c.Grace},
		{"idle", c.Idle},
		{"start_from", c.StartFrom},
		{"discovery_interval", c.DiscoveryInterval},
		{"commit_interval", c.CommitInterval},
		{"shutdown_timeout", c.ShutdownTimeout},
		{"check_interval", c.CheckInterval},
		{"check_delay", c.CheckDelay},
	} {
		if d.v < time.Millisecond {
			return fmt.Errorf("%s is %v: it must be at least 1ms", d.name, d.v)
		}
	}
	for _, n := range []struct {
		name string
		v    int64
	}{
		{"concurrency", int64(c.Concurrency)},
		{"window_pages", int64(c.WindowPages)},
		{"batch_transactions", int64(c.BatchTransactions)},
		{"batch_bytes", c.BatchBytes},
		{"max_open_calls", int64(c.MaxOpenCalls)},
		{"max_pending_transactions", int64(c.MaxPendingTransactions)},
		{"max_pending_bytes", c.MaxPendingBytes},
		{"max_digests", int64(c.MaxDigests)},
		{"once_attempts", int64(c.OnceAttempts)},
	} {
		if n.v < 1 {
			return fmt.Errorf("%s is %d: it must be at least 1", n.name, n.v)
		}
	}
	if c.Overlap < c.Settle {
		return fmt.Errorf("overlap (%v) is shorter than settle (%v): the slow reading would come before the fast one", c.Overlap, c.Settle)
	}
	return nil
}

// Deps are what a Collector works with. Source, State and at least one Sink or
// Observer are needed.
type Deps struct {
	Source    Source
	State     State
	Sinks     []Sink
	Observers []Observer
	// Enricher may be nil.
	Enricher Enricher
	// Filter says which transactions are handed on, to sinks and observers alike;
	// the events of the others are counted as filtered. It is asked after the
	// Enricher, for it may ask for the route. Nil keeps all.
	Filter *Filter
	// Log may be nil.
	Log *slog.Logger
	// Metrics may be nil: nothing is registered then.
	Metrics prometheus.Registerer
}

func (d *Deps) validate() error {
	switch {
	case d.Source == nil:
		return errors.New("no source")
	case d.State == nil:
		return errors.New("no state")
	case len(d.Sinks) == 0 && len(d.Observers) == 0:
		return errors.New("neither a sink nor an observer: what is read would go nowhere")
	}
	names := make(map[string]bool)
	for _, s := range d.Sinks {
		if names[s.Name()] {
			return fmt.Errorf("two sinks are named %q: the position of one would overwrite the other's", s.Name())
		}
		names[s.Name()] = true
	}
	return nil
}
