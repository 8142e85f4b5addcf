package collect

import "context"

// RunPass does what Run does between two polls, once, and ends: every group is
// read from its cursor to now minus Config.Settle, and what has become older
// than Config.Overlap is read a second time, for events that came late. So a
// pass every minute finds the same events as a process that always runs, and
// reads each at most twice. Then it compares with the Source's count, if
// CheckInterval has passed since the pass that last did, and reads again what is
// short, for half of the time that is left and a minute at most; the next pass
// goes on from there. Calls that are still open are not delivered: their
// events are read again by the next pass, which is why a pass leaves nothing
// behind but its State.
//
// It reports whether everything was read. If ctx ended before, what was read is
// delivered within Config.ShutdownTimeout and the next pass goes on from there.
// The error tells which groups could not be read, or what was not delivered.
func (c *Collector) RunPass(ctx context.Context) (caughtUp bool, err error) {
	c.once, c.pass, c.passed = true, true, c.now()
	// A window that is not read to its end is lost with its pass: with long ones a
	// group with a backlog would never get on.
	c.cfg.WindowPages = 1
	c.end = c.passed.Add(-c.cfg.Settle).UnixMilli()
	err = c.run(ctx, func() error {
		c.discover(ctx)
		c.running.Wait()
		if caughtUp = ctx.Err() == nil; caughtUp {
			return c.unread()
		}
		return nil
	})
	return caughtUp, err
}

// ripe reports whether the second reading has something to do for a pass. It
// asks by the time at which the pass began: by the clock there would always be
// more.
func (l *lane) ripe(g *group) bool {
	if !l.c.pass {
		return false
	}
	_, _, due := l.slowWindow(g, l.c.passed)
	return due
}
