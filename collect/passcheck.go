package collect

import (
	"context"
	"maps"
	"slices"
	"time"
)

const (
	// rereadAtMost is how long a pass goes on reading again, so that what is new
	// does not wait for it. The next pass goes on from there.
	rereadAtMost = time.Minute
	// passDigests bounds the events that passes remember for the check, for each
	// account and region: about 9 MB, which every pass loads and saves.
	passDigests = 2_000_000
)

// runOnce reads all that there is for a pass or a RunOnce. Only then are the
// counts compared, if that is due, and is read again what is short: whatever
// time is left is enough for that, and what is new never waits for it.
func (l *lane) runOnce(ctx context.Context) {
	l.run(ctx)
	if ctx.Err() != nil || !l.c.checks() {
		return
	}
	now := l.c.now()
	l.mu.Lock()
	l.boundAged()
	due := l.checkDue(now)
	l.mu.Unlock()
	if due {
		l.ask(ctx)
	}
	now = l.c.now()
	wait := rereadAtMost
	if end, ok := ctx.Deadline(); ok {
		wait = min(wait, end.Sub(now)/2)
	}
	l.mu.Lock()
	l.rereadUntil = now.Add(wait)
	l.mu.Unlock()
	l.run(ctx)
}

// checkDue reports whether a group of the lane was last compared longer than
// CheckInterval ago, by this pass or an earlier one.
func (l *lane) checkDue(now time.Time) bool {
	to := floorMinute(now.Add(-l.c.cfg.CheckDelay).UnixMilli())
	for _, g := range l.order {
		if g.countable(to) && now.Sub(g.check.asked) >= l.c.cfg.CheckInterval {
			return true
		}
	}
	return false
}

// boundAged makes the checks look less far back if too many events are
// remembered for them.
func (l *lane) boundAged() {
	n := 0
	for _, g := range l.order {
		n += g.seen.agedLen
	}
	for n > passDigests {
		var of *group
		oldest := int64(maxTime)
		for _, g := range l.order {
			if at, ok := g.seen.oldestAged(); ok && g.check != nil && at < oldest {
				of, oldest = g, at
			}
		}
		if of == nil {
			return
		}
		n -= of.seen.agedLen
		of.forgetAged(oldest + minute)
		n += of.seen.agedLen
		of.touch()
	}
}

// leaveRereads hands on what was found of the times that this pass did not read
// to their end. Calls that do not look whole are found again.
func (l *lane) leaveRereads() {
	for _, g := range l.order {
		if g.check == nil || !g.check.reread.on {
			continue
		}
		g.touch()
		if r := &g.check.reread; len(r.events) > 0 {
			l.takeFound(g, r, false)
		}
	}
}

// progress is what the next pass takes over.
func (c *check) progress() *CheckProgress {
	p := &CheckProgress{
		Asked: milliOf(c.asked), Base: c.base, Swept: c.swept, Credit: c.credit, Unpaid: c.read,
		Fruitless: c.fruitless, Quiet: milliOf(c.quiet),
	}
	for _, at := range slices.Sorted(maps.Keys(c.short)) {
		s := c.short[at]
		p.Short = append(p.Short, ShortMinute{
			Minute: at, Missing: s.missing, Tries: s.tries, Due: milliOf(s.due), Found: s.found, Swept: s.swept,
		})
	}
	for _, at := range slices.Sorted(maps.Keys(c.excused)) {
		p.Excused = append(p.Excused, MinuteCount{Minute: at, Events: c.excused[at]})
	}
	if r := &c.reread; r.on {
		// A call over the edge is read whole by the next pass; half the way is
		// kept, so that passes with little time get on. What was found and is not
		// handed on must be found again if this pass is killed now.
		next := r.from
		if len(r.events) == 0 {
			next = max(r.next-minute, r.from+(r.next-r.from)/2)
		}
		p.Reread = &RereadProgress{Next: next, To: r.to, Minutes: r.minutes, Last: r.last, Found: r.taken > 0}
	}
	return p
}

// resume takes over what an earlier pass left.
func (c *check) resume(p *CheckProgress) {
	if p == nil {
		return
	}
	c.asked, c.quiet = timeOf(p.Asked), timeOf(p.Quiet)
	c.base = max(c.base, p.Base)
	c.swept, c.credit, c.read, c.fruitless = p.Swept, p.Credit, p.Unpaid, p.Fruitless
	c.short = make(map[int64]shortfall, len(p.Short))
	for _, s := range p.Short {
		c.short[s.Minute] = shortfall{
			missing: s.Missing, tries: min(max(s.Tries, 0), len(attempts)), due: timeOf(s.Due), found: s.Found, swept: s.Swept,
		}
	}
	for _, e := range p.Excused {
		c.excuse(e.Minute, e.Events)
	}
	if r := p.Reread; r != nil {
		c.reread = reread{on: true, from: r.Next, next: r.Next, to: r.To, minutes: r.Minutes, last: r.Last}
		if r.Found {
			c.reread.taken = 1
		}
		c.reread.next = max(c.reread.next, c.reach)
		c.reread.to = max(c.reread.next, min(c.reread.to, c.sealedTo))
	}
}

// sentBefore takes over the calls that an earlier life has sent and whose minute
// is not sealed: a line of them that only the check finds is not a call of its
// own.
func (c *check) sentBefore(s *Seen) {
	at := floorMinute(s.Newest)
	if at < c.sealedTo || len(s.Calls) == 0 {
		return
	}
	a := c.agingAt(at)
	a.keys = append(a.keys, s.Calls...)
	a.newest = max(a.newest, s.Newest)
}

// milliOf is a time in milliseconds since the epoch, 0 for none.
func milliOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// timeOf undoes milliOf.
func timeOf(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}
