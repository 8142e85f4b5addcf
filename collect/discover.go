package collect

import (
	"context"
	"log/slog"
	"time"
)

// discoverAll lists the groups every DiscoveryInterval until ctx is done. After
// a listing with problems it comes back sooner, so that what a person has mended
// is soon read.
func (c *Collector) discoverAll(ctx context.Context) {
	for failures := 0; ; {
		wait := c.cfg.DiscoveryInterval
		if c.discover(ctx) {
			failures = 0
		} else {
			failures++
			wait = min(wait, 10*time.Second<<min(failures-1, 16))
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-c.listNow:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// Rediscover makes a running collector list the groups now instead of after
// DiscoveryInterval, as when the estate has just learnt of new stages. It does
// not wait.
func (c *Collector) Rediscover() {
	select {
	case c.listNow <- struct{}{}:
	default:
	}
}

// discover lists the groups once, begins to read the new ones and stops reading
// those that are gone. It reports whether there were no problems.
func (c *Collector) discover(ctx context.Context) bool {
	began := c.now()
	found, problems := c.find(ctx)
	if ctx.Err() != nil {
		return false
	}
	c.note(ctx, problems, began)
	keys := make(map[string]bool, len(found))
	for i := range found {
		f := &found[i]
		key := f.Key()
		if keys[key] {
			continue // listed by prefix and named by a stage, for example
		}
		keys[key] = true
		l := c.laneOf(laneKey{f.Account, f.Region})
		l.adopt(f.Group, c.start(f, began))
	}
	for _, l := range c.allLanes() {
		if covered(problems, l.account, l.region) {
			continue
		}
		for _, name := range l.forsake(keys, began) {
			c.log.WarnContext(ctx, "a log group is not listed any more and is not read until it comes back",
				slog.String("account", l.account), slog.String("region", l.region), slog.String("group", name))
		}
	}
	// Not before all groups are there: a RunOnce ends a lane when every group
	// in it has been read.
	for _, l := range c.allLanes() {
		l.start(ctx)
	}
	c.mu.Lock()
	c.listed.done(began, problems)
	c.mu.Unlock()
	return len(problems) == 0
}

func (c *Collector) find(ctx context.Context) ([]Found, []Problem) {
	if finder, ok := c.deps.Source.(Finder); ok {
		return finder.Find(ctx)
	}
	groups, problems := c.deps.Source.Groups(ctx)
	found := make([]Found, len(groups))
	for i, g := range groups {
		found[i] = Found{Group: g}
	}
	return found, problems
}

// start says where the reading of a group begins: where the State left it, or
// else at Since, or at its creation if it came since the last listing of its
// account and region, or StartFrom ago.
func (c *Collector) start(f *Found, now time.Time) GroupCheckpoint {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := f.Key()
	saved, ok := c.saved[key]
	if ok {
		delete(c.saved, key)
		if c.once && !c.pass {
			saved = c.resume(saved)
		}
		return saved
	}
	from := now.Add(-c.cfg.StartFrom)
	if before, ok := c.listed.last(f.Account, f.Region); ok && f.Created.After(before) {
		// API Gateway creates the group for a log event that is some time old.
		if created := f.Created.Add(-c.cfg.Overlap); created.Before(from) {
			from = created
		}
	}
	if !c.since.IsZero() {
		from = c.since
	}
	if !f.First.IsZero() && f.First.Before(from) {
		from = f.First
	}
	at := from.UnixMilli()
	return GroupCheckpoint{Group: f.Group, From: at, Fast: at, Slow: at}
}

// resume makes one reading of both, for RunOnce: from the slow one's cursor on,
// which finds late events too. A time before the first reading is read first,
// and what lies between is skipped.
func (c *Collector) resume(g GroupCheckpoint) GroupCheckpoint {
	g.Slow = min(g.Slow, g.Fast)
	g.Fast = g.Slow
	since := c.since.UnixMilli()
	if c.since.IsZero() || g.From == 0 || since >= g.From || g.SkipFrom < g.SkipTo {
		return g
	}
	g.SkipFrom, g.SkipTo = g.From, g.Slow
	g.From, g.Fast, g.Slow = since, since, since
	return g
}

// note keeps the problems for Health and logs those that are new or over.
func (c *Collector) note(ctx context.Context, problems []Problem, now time.Time) {
	c.mu.Lock()
	before := c.problems
	for i := range problems {
		p := &problems[i]
		if p.Since.IsZero() {
			p.Since = now
		}
		for _, b := range before {
			if b.Account == p.Account && b.Region == p.Region && b.Group == p.Group && b.What == p.What {
				p.Since = b.Since
			}
		}
	}
	c.problems = problems
	c.mu.Unlock()
	for _, p := range problems {
		if !contains(before, p) {
			c.log.WarnContext(ctx, "cannot list log groups", p.attrs()...)
		}
	}
	for _, p := range before {
		if !contains(problems, p) {
			c.log.InfoContext(ctx, "log groups can be listed again", p.attrs()...)
		}
	}
}

func (p *Problem) attrs() []any {
	attrs := []any{slog.String("account", p.Account), slog.String("region", p.Region), slog.String("error", p.What)}
	if p.Group != "" {
		attrs = append(attrs, slog.String("group", p.Group))
	}
	if p.Mend != "" {
		attrs = append(attrs, slog.String("mend", p.Mend))
	}
	return attrs
}

// contains compares by place alone: AWS puts a new request id into each message.
func contains(problems []Problem, p Problem) bool {
	for _, o := range problems {
		if o.Account == p.Account && o.Region == p.Region && o.Group == p.Group {
			return true
		}
	}
	return false
}

// covered reports whether a problem may have hidden groups of the account and
// region.
func covered(problems []Problem, account, region string) bool {
	for _, p := range problems {
		if p.Group == "" && (p.Account == "" || p.Account == account) && (p.Region == "" || p.Region == region) {
			return true
		}
	}
	return false
}

// listings remember when each account and region was last listed, to tell groups
// that are new from groups that could not be seen before.
type listings struct {
	at     time.Time // the last discovery; zero before the first
	hidden []hidden
}

type hidden struct {
	account, region string
	before          time.Time // last listed; zero: never
}

// resume estimates the last discovery of the process before: not earlier than
// slack before the youngest cursor.
func (l *listings) resume(groups []GroupCheckpoint, slack time.Duration) {
	for _, g := range groups {
		if at := time.UnixMilli(g.Fast).Add(-slack); at.After(l.at) {
			l.at = at
		}
	}
}

// last returns when the account and region was last listed.
func (l *listings) last(account, region string) (time.Time, bool) {
	at := l.at
	for _, h := range l.hidden {
		if (h.account == "" || h.account == account) && (h.region == "" || h.region == region) && h.before.Before(at) {
			at = h.before
		}
	}
	return at, !at.IsZero()
}

func (l *listings) done(at time.Time, problems []Problem) {
	var now []hidden
	for _, p := range problems {
		if p.Group != "" {
			continue
		}
		before, _ := l.last(p.Account, p.Region)
		now = append(now, hidden{p.Account, p.Region, before})
	}
	l.at, l.hidden = at, now
}
