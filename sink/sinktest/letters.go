package sinktest

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/gatehouse-project/gatehouse/deadletter"
)

// Letters is a deadletter.Box that outlives the sinks that use it, as a store
// does.
type Letters struct {
	mu       sync.Mutex
	refusals []deadletter.Refusal // one a transaction id, in the order of their first coming
	full     bool
}

var _ deadletter.Box = (*Letters)(nil)

// ErrFull is what a Letters returns that was filled.
var ErrFull = errors.New("the dead letters are full")

// Put keeps refusals. One whose transaction is there replaces it.
func (l *Letters) Put(ctx context.Context, refusals []deadletter.Refusal) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.full {
		return ErrFull
	}
	for _, r := range refusals {
		at := slices.IndexFunc(l.refusals, func(o deadletter.Refusal) bool { return o.Transaction.ID == r.Transaction.ID })
		if at < 0 {
			l.refusals = append(l.refusals, r)
			continue
		}
		l.refusals[at] = r
	}
	return nil
}

// Fill makes Put fail, or not.
func (l *Letters) Fill(full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full = full
}

// All returns the refusals that are kept.
func (l *Letters) All() []deadletter.Refusal {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.refusals)
}

// IDs returns the transaction ids of the refusals, sorted.
func (l *Letters) IDs() []string {
	all := l.All()
	ids := make([]string, 0, len(all))
	for _, r := range all {
		ids = append(ids, r.Transaction.ID)
	}
	slices.Sort(ids)
	return ids
}
