package app

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/cli"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// newKeeper makes the keeper of the dead letters that are in the store.
func newKeeper(c *config.Config, s deadletter.Store, o deadletter.Options) (*deadletter.Keeper, error) {
	o.Store, o.MaxCount, o.MaxBytes = s, int64(c.DeadLetterMaxCount), int64(c.DeadLetterMaxBytes)
	return deadletter.New(o)
}

// replaying runs collecting beside the replays of dead letters, which end first:
// collecting closes the sinks.
func replaying(ctx context.Context, k *deadletter.Keeper, collecting func(context.Context) error) error {
	replays, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	// Run returns nothing but the error of its context.
	wg.Go(func() { _ = k.Run(replays) })
	defer wg.Wait()
	defer stop()
	return collecting(ctx)
}

// DeadLetters opens the dead letters of a state.
func (*runtime) DeadLetters(ctx context.Context, c *config.Config) (cli.DeadLetters, func() error, error) {
	s, err := openStore(ctx, c, newLogger(nil, c))
	if err != nil {
		return nil, nil, err
	}
	k, err := newKeeper(c, s, deadletter.Options{})
	if err != nil {
		return nil, nil, errors.Join(err, s.Close())
	}
	return k, s.Close, nil
}

// replayPoll is how often it is looked whether a collector has replayed.
const replayPoll = 200 * time.Millisecond

// ReplayDeadLetters has letters delivered again: by the process that collects
// with this state, if there is one, else by this one.
func (*runtime) ReplayDeadLetters(ctx context.Context, c *config.Config, ids []string, o cli.ReplayOptions) (_ cli.ReplayResult, err error) {
	log := newLogger(o.Err, c)
	s, err := openStore(ctx, c, log)
	if err != nil {
		return cli.ReplayResult{}, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	k, err := newKeeper(c, s, deadletter.Options{Logger: log})
	if err != nil {
		return cli.ReplayResult{}, err
	}
	marked, err := k.Replay(ctx, ids)
	if err != nil {
		return cli.ReplayResult{}, err
	}
	l := newLease(s, log)
	held, running := error(nil), false
	if err := l.try(ctx); err != nil {
		var other *store.HeldError
		if !errors.As(err, &other) {
			return cli.ReplayResult{}, err
		}
		held, running = other, true
	}
	if running {
		log.DebugContext(ctx, "a running collector replays", "why", held)
		if err := awaitReplay(ctx, k, ids, o.Wait); err != nil {
			return cli.ReplayResult{}, err
		}
	} else {
		err = l.hold(ctx, func(ctx context.Context) error { return drain(ctx, c, k, o) })
	}
	r, countErr := replayResult(ctx, k, ids, marked)
	r.Collector = running
	return r, errors.Join(err, countErr)
}

// drain opens the sinks and delivers what is marked.
func drain(ctx context.Context, c *config.Config, k *deadletter.Keeper, o cli.ReplayOptions) (err error) {
	log := newLogger(o.Err, c)
	// Files and streams take everything: no letter is theirs, and opening them
	// would undo or write what is not wanted here.
	only := *c
	only.Sinks = slices.DeleteFunc(slices.Clone(c.Sinks), func(s string) bool { return !refuses(s) })
	sinks, err := openSinks(ctx, sinkOptions{config: &only, letters: k, log: log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeSinks(ctx, sinks)) }()
	limited, cancel := context.WithTimeout(ctx, o.Wait)
	defer cancel()
	_, err = k.Drain(limited)
	return err
}

// refuses reports whether a sink can refuse a call for good.
func refuses(text string) bool {
	for _, scheme := range []string{"kafka:", "https:", "http:", "otlp:", "otlps:"} {
		if len(text) >= len(scheme) && text[:len(scheme)] == scheme {
			return true
		}
	}
	return false
}

// awaitReplay waits until none of the letters is marked any more, or atMost.
func awaitReplay(ctx context.Context, k *deadletter.Keeper, ids []string, atMost time.Duration) error {
	for end := time.Now().Add(atMost); time.Now().Before(end); {
		r, err := replayResult(ctx, k, ids, 0)
		if err != nil || r.Waiting == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(replayPoll):
		}
	}
	return nil
}

// replayResult looks what became of letters of which so many were there.
func replayResult(ctx context.Context, k *deadletter.Keeper, ids []string, marked int) (cli.ReplayResult, error) {
	var r cli.ReplayResult
	for _, id := range ids {
		l, err := k.Get(ctx, id)
		switch {
		case errors.Is(err, deadletter.ErrNotFound):
		case err != nil:
			return r, err
		case l.Replaying:
			r.Waiting++
		default:
			r.Refused++
		}
	}
	r.Delivered = max(0, marked-r.Waiting-r.Refused)
	return r, nil
}

// accessLogGroups adds the log groups that are read by name, in every place that
// the estate has.
func (k *estateKeeper) accessLogGroups(names []string, groups []transaction.Group) []transaction.Group {
	snapshot := k.known.Load().snapshot
	if snapshot == nil || len(names) == 0 {
		return groups
	}
	known := make(map[string]bool, len(groups))
	for i := range groups {
		known[groups[i].Key()] = true
	}
	for _, a := range snapshot.Accounts {
		for _, r := range a.Regions {
			for _, name := range names {
				g := transaction.Group{Account: a.ID, Region: r.Name, Name: name, APIType: transaction.HTTP}
				if !known[g.Key()] {
					groups = append(groups, g)
				}
			}
		}
	}
	return groups
}
