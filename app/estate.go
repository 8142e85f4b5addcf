package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// estateKeeper discovers the estate again and again and holds what is known.
// What it holds is replaced as a whole, so readers need no lock.
type estateKeeper struct {
	discoverer *estate.Discoverer
	store      estate.Store
	every      time.Duration
	log        *slog.Logger
	found      chan struct{} // closed after the first discovery, however it ended
	news       func()        // called after each discovery; may be nil
	// judge has the rules look at what was discovered and saved; may be nil.
	judge func(context.Context, *estate.Snapshot)

	one   sync.Mutex // held by a discovery, so that what is known last was found last
	known atomic.Pointer[knownEstate]
	said  map[string]bool // problems that were logged; of run alone
}

type knownEstate struct {
	snapshot *estate.Snapshot
	resolver *estate.Resolver
}

func newEstateKeeper(ctx context.Context, d *estate.Discoverer, s estate.Store, every time.Duration, log *slog.Logger) (*estateKeeper, error) {
	k := &estateKeeper{discoverer: d, store: s, every: every, log: log, found: make(chan struct{}), said: map[string]bool{}}
	last, err := s.LoadEstate(ctx)
	if err != nil {
		return nil, fmt.Errorf("loading the estate: %w", err)
	}
	k.know(last)
	if d != nil {
		d.Resume(last)
	}
	return k, nil
}

func (k *estateKeeper) know(s *estate.Snapshot) {
	known := &knownEstate{snapshot: s}
	if s != nil {
		known.resolver = estate.NewResolver(s)
	}
	k.known.Store(known)
}

// Enrich adds what the estate knows to a transaction.
func (k *estateKeeper) Enrich(t *transaction.Transaction) {
	if r := k.known.Load().resolver; r != nil {
		r.Enrich(t)
	}
}

// groups are the log groups that stages write to.
func (k *estateKeeper) groups() []transaction.Group {
	if r := k.known.Load().resolver; r != nil {
		return r.Groups()
	}
	return nil
}

// apiName is an API's name, or "".
func (k *estateKeeper) apiName(account, region, id string) string {
	if r := k.known.Load().resolver; r != nil {
		return r.APIName(account, region, id)
	}
	return ""
}

// snapshot is the last discovery, or nil.
func (k *estateKeeper) snapshot(context.Context) (*estate.Snapshot, error) {
	return k.known.Load().snapshot, nil
}

// discover finds the estate once and saves it.
func (k *estateKeeper) discover(ctx context.Context, progress func(estate.Progress)) (*estate.Snapshot, error) {
	k.one.Lock()
	defer k.one.Unlock()
	s, err := k.discoverer.Discover(ctx, progress)
	if err != nil {
		return s, err
	}
	k.know(s)
	if err := k.store.SaveEstate(ctx, s); err != nil {
		return s, fmt.Errorf("saving the estate: %w", err)
	}
	if k.judge != nil {
		k.judge(ctx, s)
	}
	return s, nil
}

// run discovers at once and then at every interval. A discovery that fails is
// logged and does not end it.
func (k *estateKeeper) run(ctx context.Context) error {
	first := true
	for {
		k.refresh(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if first {
			close(k.found)
			first = false
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(k.every):
		}
	}
}

// refresh discovers once and tells what could not be read. Where nothing could
// be, what was known stays.
func (k *estateKeeper) refresh(ctx context.Context) {
	s, err := k.discover(ctx, nil)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		k.log.WarnContext(ctx, "the estate could not be discovered", "error", err)
	default:
		k.tell(ctx, s)
		if k.news != nil {
			k.news()
		}
	}
}

// tell logs each problem once, not at every discovery.
func (k *estateKeeper) tell(ctx context.Context, s *estate.Snapshot) {
	now := map[string]bool{}
	tell := func(account, region, what, text, mend string) {
		key := account + "/" + region + "/" + what + text
		now[key] = true
		if !k.said[key] {
			k.log.WarnContext(ctx, "part of the estate could not be read", "account", account, "region", region, "what", what, "error", text, "mend", mend)
		}
	}
	for _, a := range s.Accounts {
		if a.Error != "" {
			tell(a.ID, "", "account", a.Error, a.Mend)
		}
		for _, r := range a.Regions {
			for _, f := range r.Errors {
				tell(a.ID, r.Name, f.What, f.Error, f.Mend)
			}
		}
	}
	k.said = now
}

// wait waits for the first discovery, but not for ever: collecting begins with
// what is known then.
func (k *estateKeeper) wait(ctx context.Context, atMost time.Duration) error {
	select {
	case <-k.found:
		return nil
	case <-time.After(atMost):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
