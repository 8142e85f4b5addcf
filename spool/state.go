package spool

import (
	"context"

	"github.com/gatehouse-project/gatehouse/collect"
)

// State stands before a collector's State and tells the spool which blobs the
// saved cursors have passed. Whoever reads the spool saves through it.
func (s *Spool) State(inner collect.State) collect.State { return &state{s, inner} }

type state struct {
	spool *Spool
	inner collect.State
}

var _ collect.State = (*state)(nil)

// LoadCheckpoint loads the inner State's.
func (t *state) LoadCheckpoint(ctx context.Context) (*collect.Checkpoint, error) {
	c, err := t.inner.LoadCheckpoint(ctx)
	if err == nil && c != nil {
		t.spool.pass(c.Groups)
	}
	return c, err
}

// Commit commits to the inner State. What is removed only follows a commit: a
// crash between the two leaves blobs that the cursor has passed, which are
// removed later.
func (t *state) Commit(ctx context.Context, c *collect.Checkpoint) error {
	if err := t.inner.Commit(ctx, c); err != nil {
		return err
	}
	t.spool.pass(c.Groups)
	return nil
}

// pass takes note of saved cursors. A group that another source reads has no
// shelf, but its cursor still says how far the time of reading has come, should
// it be pushed one day.
func (s *Spool) pass(groups []collect.GroupCheckpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock().UnixMilli()
	for i := range groups {
		g := &groups[i]
		at := min(g.Fast, g.Slow)
		s.floor = max(s.floor, min(g.Fast, now))
		if sh := s.shelves[idOf(&g.Group)]; sh != nil {
			sh.passed, sh.hasPassed = max(sh.passed, at), true
		}
	}
}
