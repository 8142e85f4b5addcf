package demo

import (
	"context"
	"sync"
	"time"
)

// clock is the time that the demo's gateway, its backends and its clients live in.
// In the past it stands still but for what passes; then it is the system's.
type clock struct {
	mu   sync.Mutex
	past bool
	at   time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.past {
		return c.at
	}
	return time.Now()
}

// set puts the clock into the past.
func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.past, c.at = true, t
}

// catchUp makes the clock the system's.
func (c *clock) catchUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.past = false
}

// pass lets time go by: it waits, or moves the clock of the past. The deadline of
// ctx ends it early, with context.DeadlineExceeded, in either time.
func (c *clock) pass(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	if c.past {
		defer c.mu.Unlock()
		if deadline, ok := ctx.Deadline(); ok {
			if left := time.Until(deadline); left < d {
				c.at = c.at.Add(left.Round(time.Millisecond))
				return context.DeadlineExceeded
			}
		}
		c.at = c.at.Add(d)
		return ctx.Err()
	}
	c.mu.Unlock()
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
