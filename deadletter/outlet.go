package deadletter

import (
	"context"
	"errors"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// Outlet is a sink that the collector and replays take turns at.
type Outlet struct {
	collect.Sink

	turn chan struct{} // capacity 1: held by who delivers
	// unfinished is set while the collector has a batch that the sink did not
	// take. Guarded by turn.
	unfinished bool
}

var _ collect.Sink = (*Outlet)(nil)

// errBusy is returned to a replay that meets an unfinished batch.
var errBusy = errors.New("the sink does not take what the collector delivers; replaying waits until it does")

// Unwrap returns the sink itself.
func (o *Outlet) Unwrap() collect.Sink { return o.Sink }

// Deliver hands the collector's batch to the sink.
func (o *Outlet) Deliver(ctx context.Context, batch []*transaction.Transaction) error {
	select {
	case o.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-o.turn }()
	err := o.Sink.Deliver(ctx, batch)
	o.unfinished = err != nil
	return err
}

// replay hands letters to the sink, between two batches of the collector.
func (o *Outlet) replay(ctx context.Context, batch []*transaction.Transaction) error {
	select {
	case o.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-o.turn }()
	if o.unfinished {
		return errBusy
	}
	return o.Sink.Deliver(ctx, batch)
}
