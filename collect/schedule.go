package collect

import (
	"context"
	"math"
	"sync"
	"time"
)

const (
	maxTime = math.MaxInt64

	// firstSpan is how much time the first window of a group covers at most.
	firstSpan = 5 * time.Minute
	minSpan   = 10 * time.Millisecond
	maxSpan   = 6 * time.Hour
	// pageBytes and pageEvents are what CloudWatch puts on one page at most.
	pageBytes  = 1 << 20
	pageEvents = 10_000
)

// task is one window [from, to) of a group, in milliseconds.
type task struct {
	group    *group
	pass     pass
	from, to int64
	class    class
	again    bool // it is read again for the check
}

// class says what a window is for. Polls of groups that have caught up and
// windows of those that have not share the requests half and half: otherwise a
// group with a backlog would starve a hundred quiet ones, or they it.
type class int

const (
	polls    class = iota // reaches as far as can be read
	backlogs              // more is waiting behind it
	classes               // how many there are
)

// run serves the groups of the lane until ctx is done, up to Concurrency windows
// at a time, and waits for those that are being read.
func (l *lane) run(ctx context.Context) {
	var serving sync.WaitGroup
	defer serving.Wait()
	slots := make(chan struct{}, l.c.cfg.Concurrency)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		for {
			// While too much waits for the sinks nothing is begun.
			if l.c.pipeline.waitRoom(ctx) != nil {
				return
			}
			t, wait, ok := l.pick(l.c.now())
			if wait == done {
				return
			}
			if ok {
				serving.Go(func() {
					defer func() { <-slots; l.nudge() }()
					l.serve(ctx, t)
				})
				break
			}
			timer.Reset(wait)
			select {
			case <-l.wake:
			case <-timer.C:
			case <-ctx.Done():
				return
			}
		}
	}
}

// done is the wait of a lane in which nothing will ever be due.
const done = time.Duration(-1)

// pick takes the window that is due and was served longest ago. If none is due,
// it returns how long to wait, or done.
func (l *lane) pick(now time.Time) (t task, wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closeIdle(now)
	if l.c.once && l.exhausted() {
		return task{}, done, false
	}
	wait = l.c.cfg.PollInterval
	until := func(at time.Time) { wait = min(wait, max(at.Sub(now), time.Millisecond)) }
	if !l.trouble.retry.IsZero() && now.Before(l.trouble.retry) {
		until(l.trouble.retry)
		return task{}, wait, false
	}
	hindmost := l.hindmost()
	var best [classes]*group
	var tasks [classes]task
	for _, g := range l.order {
		switch {
		case g.busy || g.absent || l.c.once && l.abandoned(g):
			continue
		case now.Before(g.trouble.retry):
			until(g.trouble.retry)
			continue
		case hindmost != nil && g != hindmost:
			continue
		}
		candidate, at, due := l.window(g, now)
		if !due {
			until(at)
			continue
		}
		if b := best[candidate.class]; b == nil || g.served < b.served {
			best[candidate.class], tasks[candidate.class] = g, candidate
		}
	}
	c := polls
	switch {
	case best[polls] == nil && best[backlogs] == nil:
		return task{}, wait, false
	case best[polls] == nil:
		c = backlogs
		l.requests[polls] = max(l.requests[polls], l.requests[backlogs])
	case best[backlogs] == nil:
		l.requests[backlogs] = max(l.requests[backlogs], l.requests[polls])
	case l.requests[backlogs] < l.requests[polls]:
		c = backlogs
	}
	g := best[c]
	l.turn++
	g.served, g.busy = l.turn, true
	if !tasks[c].again {
		g.servedPass = tasks[c].pass
	}
	return tasks[c], 0, true
}

// classOf says what a window that ends at to is for, if up to limit could be
// read.
func classOf(to, limit int64) class {
	if to < limit {
		return backlogs
	}
	return polls
}

// hindmost is the only group to read while too many calls are open: reading it
// moves log time where it is furthest behind, which lets calls close. It is nil
// as long as there is room.
func (l *lane) hindmost() *group {
	if 4*l.c.open.Load() < 3*int64(l.c.cfg.MaxOpenCalls) {
		return nil
	}
	var last *group
	for _, g := range l.order {
		if g.absent || g.trouble.state != "" {
			continue
		}
		if last == nil || g.readings[fast].next < last.readings[fast].next {
			last = g
		}
	}
	return last
}

// window says what to read next of a group, or when something will be due.
func (l *lane) window(g *group, now time.Time) (t task, at time.Time, due bool) {
	slowTask, slowAt, slowDue := l.slowWindow(g, now)
	fastTask, fastAt, fastDue := l.fastWindow(g, now)
	switch {
	case slowDue && fastDue:
		// Catching up, the slow reading first closes up to the fast one, for
		// then both move together and the rest is read once. Otherwise they take
		// turns.
		behind := g.readings[fast].next < now.Add(-l.c.cfg.Overlap).UnixMilli()
		if behind || g.servedPass == fast {
			return slowTask, now, true
		}
		return fastTask, now, true
	case slowDue:
		return slowTask, now, true
	case fastDue:
		return fastTask, now, true
	}
	if t, due := l.rereadWindow(g, now); due {
		return t, now, true
	}
	if slowAt.Before(fastAt) {
		return task{}, slowAt, false
	}
	return task{}, fastAt, false
}

func (l *lane) fastWindow(g *group, now time.Time) (t task, at time.Time, due bool) {
	r := &g.readings[fast]
	horizon := l.c.horizon(now)
	if horizon <= r.next {
		return task{}, now.Add(time.Duration(r.next-horizon+1) * time.Millisecond), false
	}
	if now.Before(r.due) {
		return task{}, r.due, false
	}
	to := min(horizon, r.next+r.span)
	if g.skipFrom < g.skipTo && r.next < g.skipFrom {
		to = min(to, g.skipFrom)
	}
	return task{group: g, pass: fast, from: r.next, to: to, class: classOf(to, horizon)}, now, true
}

func (l *lane) slowWindow(g *group, now time.Time) (t task, at time.Time, due bool) {
	if l.c.once && !l.c.pass {
		return task{}, now.Add(time.Hour), false
	}
	r := &g.readings[slow]
	overlap := l.c.cfg.Overlap
	if l.c.crowded() {
		// Too many digests are kept: the slow reading comes earlier, after which
		// they can be forgotten.
		overlap = l.c.cfg.Settle
	}
	ripe := now.Add(-overlap).UnixMilli()
	if !l.c.crowded() {
		ripe = l.spare(g, ripe, now)
	}
	to := min(ripe, g.readings[fast].next)
	interval := l.c.cfg.SlowInterval.Milliseconds()
	closesUp := to == g.readings[fast].next && to > r.next
	if low, ok := g.readings[fast].feed.Low(); ok && !closesUp && !l.c.crowded() {
		// A late line of a call that is still open would begin a second one in
		// the other assembler. It waits until the call is out, and is then known
		// as late.
		to = min(to, low-l.c.cfg.Idle.Milliseconds())
	}
	if l.c.pass && g.check != nil && !closesUp {
		// The next pass counts from the beginning of a minute, and would read the
		// part of it before the frontier a third time.
		to = floorMinute(to)
	}
	if to-r.next < interval && !closesUp && r.next >= r.goal {
		// The fast reading may be what is waited for; it wakes the lane.
		at = time.UnixMilli(r.next + interval).Add(overlap)
		if !at.After(now) {
			at = now.Add(l.c.cfg.PollInterval)
		}
		return task{}, at, false
	}
	if to <= r.next {
		return task{}, now.Add(l.c.cfg.PollInterval), false
	}
	r.goal = max(r.goal, to)
	end := min(to, r.next+r.span)
	return task{group: g, pass: slow, from: r.next, to: end, class: classOf(end, to)}, now, true
}

// adapt chooses the span of the next window by what this one held, so that a
// window has about target pages. A page may be far from full, where CloudWatch
// ends it for other reasons, so pages count as well as what is on them.
func (r *reading) adapt(span, bytes, events int64, pages, target int) {
	held := max(float64(bytes)/pageBytes, float64(events)/pageEvents, float64(pages-1))
	most := 4 * float64(max(span, r.span))
	want := most
	if held > 0 {
		want = min(most, float64(span)*float64(target)/held)
	}
	if span < r.span && want >= float64(r.span) {
		return // too short a window to tell that more would fit
	}
	r.span = max(minSpan.Milliseconds(), min(int64(want), maxSpan.Milliseconds()))
}

// closeIdle lets log time go on without the groups that have been in trouble for
// Idle, and closes the calls that only those could add to. Not sooner: a group
// that is catching up has calls that are old by the clock and whose rest comes
// with the next page.
func (l *lane) closeIdle(now time.Time) {
	if now.Sub(l.idled) < l.c.cfg.PollInterval {
		return
	}
	l.idled = now
	for _, g := range l.order {
		if g.trouble.state != "" && now.Sub(g.trouble.since) >= l.c.cfg.Idle {
			l.detach(g)
		}
	}
	l.assemblers[fast].CloseIdle(l.c.horizon(now))
	l.assemblers[slow].CloseIdle(now.Add(-l.c.cfg.Overlap).UnixMilli())
	l.collect()
}
