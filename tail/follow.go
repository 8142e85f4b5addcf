package tail

import (
	"context"
	"errors"
	"time"
)

// Pace is how fast a follower is given calls.
type Pace struct {
	// Every is the least time between two batches; what comes meanwhile is
	// gathered. 0: at once.
	Every time.Duration
	// Limit bounds the calls of one batch; 0: no bound but the ring's.
	Limit int
	// Idle is how long nothing may come before an empty batch is given, so that
	// whoever writes to a connection notices that it is gone; 0: never.
	Idle time.Duration
}

// Follow hands what r reads to write until ctx is done or write fails. It
// returns nil when ctx ended it, and write's error otherwise.
func Follow(ctx context.Context, r *Reader, p Pace, write func(Batch) error) error {
	for {
		b, err := nextWithin(ctx, r, p)
		if err != nil {
			return nil //nolint:nilerr // Next fails only when ctx is done, which is how following ends.
		}
		if err := write(b); err != nil {
			return err
		}
		if p.Every > 0 {
			select {
			case <-time.After(p.Every):
			case <-ctx.Done():
				return nil
			}
		}
	}
}

func nextWithin(ctx context.Context, r *Reader, p Pace) (Batch, error) {
	if p.Idle <= 0 {
		return r.Next(ctx, p.Limit)
	}
	wait, cancel := context.WithTimeout(ctx, p.Idle)
	defer cancel()
	b, err := r.Next(wait, p.Limit)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return Batch{At: r.at}, nil
	}
	return b, err
}
