package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"time"

	"github.com/gatehouse-project/gatehouse/cli"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/logging"
	"github.com/gatehouse-project/gatehouse/store"
)

// loggingLease is held by the one process that switches logging with a store. Two
// would each take the other's half-made changes for their own.
const loggingLease = "logging switch"

// Logging discovers the estate and calls do with a switch for it.
func (*runtime) Logging(ctx context.Context, c *config.Config, o cli.LoggingOptions, do func(context.Context, *logging.Switch) error) (err error) {
	p, err := newProduct(ctx, c, options{err: o.Err})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	// A state that keeps no journal is told before minutes go into a discovery.
	if _, err := p.store.LoggingHistory(ctx, 1); err != nil {
		return err
	}
	run := func(ctx context.Context) error {
		s, err := p.estate.discover(ctx, o.Progress)
		if err != nil {
			return err
		}
		sw, err := newSwitch(ctx, p, s)
		if err != nil {
			return err
		}
		return do(ctx, sw)
	}
	if !o.Change {
		return run(ctx)
	}
	l := newLease(p.store, p.log)
	l.name = loggingLease
	if err := l.try(ctx); err != nil {
		return err
	}
	return l.hold(ctx, run)
}

func newSwitch(ctx context.Context, p *product, s *estate.Snapshot) (*logging.Switch, error) {
	return logging.New(ctx, p.accounts, s, logging.Options{Journal: p.store, Who: operator(), CallRate: callRate(p.store)})
}

// operator names who runs this process, for the journal.
func operator() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += "@" + host
	}
	return name
}

// callRate tells how often a stage was called in the last day, as far as the
// inventory has seen it.
func callRate(s store.Store) func(ctx context.Context, account, region, api, stage string) (float64, bool) {
	const day = 24 * time.Hour
	return func(ctx context.Context, account, region, api, stage string) (float64, bool) {
		now := time.Now()
		minutes, err := s.Traffic(ctx, fmt.Sprintf("%s/%s/%s/%s", account, region, api, stage), now.Add(-day), now)
		if err != nil || len(minutes) == 0 {
			return 0, false
		}
		var calls int64
		for i := range minutes {
			calls += minutes[i].Calls
		}
		return float64(calls) / day.Seconds(), true
	}
}

// LoggingHistory returns the journal of switching, the newest line first.
func (*runtime) LoggingHistory(ctx context.Context, c *config.Config, limit int) (_ []logging.Entry, err error) {
	s, err := openStore(ctx, c, newLogger(nil, c))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return s.LoggingHistory(ctx, limit)
}
