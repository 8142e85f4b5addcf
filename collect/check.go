package collect

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	// checkSpan is how long, in milliseconds, a minute is compared again and
	// again, and how far back is read for events that are missing.
	checkSpan = 60 * minute
	// sweepAge is the age, in milliseconds, at which a minute that is still short
	// is looked for once more, over all the time where its events may be.
	sweepAge = 45 * minute
	// agedSpan is how long aged minutes are remembered, in milliseconds: what was
	// sent late is found by the sweep of the minute in which it was taken in.
	agedSpan = checkSpan + sweepAge
	// allowance is how many events may be read again to begin with, and one in
	// allowanceShare of those read comes to it. More is paid for by events that
	// were not read a second time.
	allowance      = 2500
	allowanceShare = 20
	// hopeless is how many shortfalls in a row for which nothing is found make
	// sweeps rare too.
	hopeless = 12
	// surplusAge is when a count that is smaller than what was read is taken for
	// final, in milliseconds.
	surplusAge = 15 * minute
)

// attempts say where the events of a minute that is short are looked for: from
// back before it up to, in milliseconds after it, and how long after the attempt
// before. An event that CloudWatch was late to show stands near the minute in
// which it was taken in; one that was sent late may stand anywhere before. An
// attempt that cannot be paid for is passed over. The sweep comes after them.
var attempts = []struct {
	back, upTo int64
	after      time.Duration
}{
	{back: minute, upTo: 2 * minute},
	{back: 6 * minute, upTo: -minute},
	{back: 25 * minute, upTo: -6 * minute},
	{back: checkSpan, upTo: -25 * minute},
	{back: minute, upTo: 2 * minute, after: 5 * time.Minute},
	{back: minute, upTo: 2 * minute, after: 10 * time.Minute},
	{back: minute, upTo: 2 * minute, after: 10 * time.Minute},
}

// check compares what was read of a group with the Source's count. It is in its
// group, whose lane's lock guards it.
//
// Both count by the minute in which CloudWatch took an event in, but two clocks
// need not agree at the edge of a minute. So minutes are not compared one by
// one: the differences are summed up from a minute at which the sums were equal
// (base). A sum that is above zero now and never returns to it, the last minute
// apart, is events that are missing, whatever the clocks did; one that returns
// was an edge.
type check struct {
	tally tally
	// sealedTo is the time before which no reading but the check's will read
	// again; reach is the time from which on it can tell doubles.
	sealedTo, reach int64
	aging           map[int64]*agedCalls // calls by the minute of their last event, not sealed
	delta           []AgedMinute         // for the next checkpoint

	theirs     []int64 // the Source's count by the minute, from theirsFrom
	theirsFrom int64
	answered   time.Time // when theirs came
	asked      time.Time // when it was last asked for, also in vain
	base       int64
	through    int64               // end of the last minute that was compared
	proven     int64               // everything taken in before this was read
	hurry      bool                // something is missing that the slow reading may find
	short      map[int64]shortfall // by minute
	excused    map[int64]int64     // differences that are taken as they are

	reread    reread
	fruitless int       // shortfalls in a row for which nothing was found
	quiet     time.Time // until then nothing is read again
	credit    int64     // events that may be read again
	read      int64     // events that have not made a credit yet
	swept     int64     // time before which a sweep has read again

	total Check // the counters
}

// shortfall is a minute of which events are missing.
type shortfall struct {
	missing int64
	tries   int // attempts made
	due     time.Time
	found   bool // an attempt found something
	swept   bool
}

// agedCalls are calls that ended in one minute.
type agedCalls struct {
	keys   []uint64
	newest int64
}

// checks reports whether the collector compares counts.
func (c *Collector) checks() bool { return c.counter != nil }

// newCheck begins or goes on with the check of a group. It returns the time from
// which the slow reading must read again, so that everything that is not sealed
// is counted in this life.
func newCheck(saved *GroupCheckpoint, cfg *Config) (c *check, slowFrom int64) {
	c = &check{credit: allowance}
	slowFrom = min(saved.Slow, saved.Fast)
	if saved.Counted == nil || saved.SkipFrom < saved.SkipTo && slowFrom < saved.SkipTo+minute {
		// What came before was not counted: begin where everything that comes
		// from now on must have been taken in after the first reading began.
		from := floorMinute(max(saved.Fast, saved.SkipTo) + cfg.Overlap.Milliseconds() + minute)
		c.tally.since, c.base, c.proven = from, from, from
		c.reach = floorMinute(slowFrom) + minute
		c.sealedTo = c.reach
		return c, slowFrom
	}
	c.tally.restore(saved.Counted)
	c.base = c.tally.since
	c.reach = saved.AgedFrom
	slowFrom = max(floorMinute(slowFrom), saved.From)
	c.sealedTo = floorMinute(slowFrom)
	c.resume(saved.Counted.Progress)
	return c, slowFrom
}

// earn gives credit for events that were read.
func (c *check) earn(read int64) {
	c.read += read
	c.credit += c.read / allowanceShare
	c.read %= allowanceShare
}

// ended notes a call that was taken out, for the minute of its last event.
func (c *check) ended(call *transaction.Call) {
	a := c.agingAt(floorMinute(call.Newest))
	a.keys = append(a.keys, call.Key)
	a.newest = max(a.newest, call.Newest)
}

func (c *check) agingAt(at int64) *agedCalls {
	a := c.aging[at]
	if a == nil {
		if c.aging == nil {
			c.aging = make(map[int64]*agedCalls)
		}
		a = &agedCalls{}
		c.aging[at] = a
	}
	return a
}

// seal ages what lies before a time that no reading but the check's will pass
// again, and forgets what is older than it looks back.
func (g *group) seal(slow int64, now time.Time) {
	c := g.check
	to := floorMinute(slow)
	if to <= c.sealedTo {
		return
	}
	c.sealedTo = to
	aged := g.seen.age(to)
	g.seen.forgetRestored(slow)
	for at, calls := range c.aging {
		if at >= to {
			continue
		}
		a := AgedMinute{Minute: at, Newest: calls.newest, Calls: calls.keys}
		g.seen.keepAged(&a)
		aged = append(aged, a)
		delete(c.aging, at)
	}
	c.tally.seal(to)
	oldest := floorMinute(now.UnixMilli()) - agedSpan
	c.tally.forget(oldest)
	g.forgetAged(oldest)
	c.delta = append(c.delta, slices.DeleteFunc(aged, func(a AgedMinute) bool { return a.Minute < c.reach })...)
}

// forgetAged moves the reach of the check.
func (g *group) forgetAged(before int64) {
	if before > g.check.reach {
		g.check.reach = before
	}
	g.seen.forgetAged(g.check.reach)
}

// checkAll compares the counts of the lane's groups until ctx is done.
func (l *lane) checkAll(ctx context.Context) {
	every := l.c.cfg.CheckInterval
	// The lanes do not all ask at once.
	wait := every/2 + time.Duration(xxhash.Sum64String(l.account+l.region)%uint64(every/2+1))
	for sleep(ctx, wait) {
		l.ask(ctx)
		wait = every
	}
}

// ask fetches the counts of the last hour and compares.
func (l *lane) ask(ctx context.Context) {
	now := l.c.now()
	to := floorMinute(now.Add(-l.c.cfg.CheckDelay).UnixMilli())
	// A minute is given up before it is no longer asked for.
	from := to - checkSpan - floorMinute(2*l.c.cfg.CheckInterval.Milliseconds()) - minute
	groups, infos := l.countable(to)
	if len(groups) == 0 {
		return
	}
	counts, err := l.c.counter.Counts(ctx, infos, from, to)
	if ctx.Err() != nil {
		return
	}
	if err == nil && len(counts) != len(groups) {
		err = errCounts
	}
	l.asked(groups, now)
	if err != nil {
		l.notCounted(ctx, err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.uncounted.state != "" {
		l.uncounted = trouble{}
		l.c.log.InfoContext(ctx, "what is read is compared with CloudWatch's own count again",
			slog.String("account", l.account), slog.String("region", l.region))
	}
	for i, g := range groups {
		g.check.take(counts[i], from, to, now)
		l.compare(ctx, g, now)
	}
	l.nudge()
}

// countable are the groups that have minutes to compare before a time.
func (l *lane) countable(to int64) (groups []*group, infos []transaction.Group) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.order {
		if g.countable(to) {
			groups = append(groups, g)
			infos = append(infos, g.info)
		}
	}
	return groups, infos
}

// countable reports whether the group has minutes to compare before a time.
func (g *group) countable(to int64) bool {
	return g.check != nil && !g.absent && g.check.base < to
}

// asked notes when the count was asked for, for the next pass.
func (l *lane) asked(groups []*group, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range groups {
		g.check.asked = now
		if l.c.once {
			g.touch()
		}
	}
}

// notCounted notes that the count cannot be had. The slow reading then waits for
// it no longer.
func (l *lane) notCounted(ctx context.Context, err error) {
	class := account.Classify(err)
	l.meters.checkFailed(class)
	v := judge(err)
	if class == account.Denied && !isChain(err) {
		v.mend = "allow cloudwatch:GetMetricData to the role that reads account " + l.account + ", or switch the comparison off with completeness_check: false"
	}
	l.mu.Lock()
	fresh := l.uncounted.state != v.state
	if fresh {
		l.uncounted.since = l.c.now()
	}
	l.uncounted.state, l.uncounted.err, l.uncounted.mend = v.state, account.Text(err), v.mend
	l.mu.Unlock()
	l.nudge()
	if fresh {
		l.c.log.WarnContext(ctx, "what is read cannot be compared with CloudWatch's own count; everything else goes on",
			slog.String("account", l.account), slog.String("region", l.region),
			slog.String("error", account.Text(err)), slog.String("mend", v.mend))
	}
}

// take keeps an answer of the Source.
func (c *check) take(counts []MinuteCount, from, to int64, now time.Time) {
	n := int((to - from) / minute)
	c.theirs = slices.Grow(c.theirs[:0], n)[:n]
	clear(c.theirs)
	c.theirsFrom, c.answered = from, now
	for _, m := range counts {
		if m.Minute >= from && m.Minute < to {
			c.theirs[(floorMinute(m.Minute)-from)/minute] += m.Events
		}
	}
}

// compare finds the minutes that do not add up, from the last answer and what
// was read by now.
func (l *lane) compare(ctx context.Context, g *group, now time.Time) {
	c := g.check
	c.tally.flush()
	// What was taken in during a minute has timestamps before its end.
	lo := max(c.base, c.theirsFrom)
	hi := min(c.theirsFrom+int64(len(c.theirs))*minute, floorMinute(g.readings[fast].next))
	if l.c.once {
		// What is not sealed was read by an earlier pass, and is counted only when
		// it is read a second time.
		hi = min(hi, c.sealedTo)
	}
	if hi <= lo {
		return
	}
	n := int((hi - lo) / minute)
	sums, up, down := l.sums(n)
	var sum int64
	for k := range n {
		at := lo + int64(k)*minute
		sum += c.theirs[(at-c.theirsFrom)/minute] - c.tally.of(at) - c.excused[at]
		sums[k] = sum
	}
	// up is what no later minute makes good, down what none takes back.
	up[n-1], down[n-1] = sums[n-1], sums[n-1]
	for k := n - 2; k >= 0; k-- {
		up[k], down[k] = min(sums[k], up[k+1]), max(sums[k], down[k+1])
	}
	c.through, c.hurry = max(c.through, hi-minute), false
	before := c.short
	c.short = make(map[int64]shortfall)
	var had, over int64
	known := true // nothing is missing that the slow reading could find
	// The sums of the next answer should begin where these are equal.
	base, next := c.base, c.theirsFrom+2*l.c.cfg.CheckInterval.Milliseconds()
	for k := range n {
		at := lo + int64(k)*minute
		if sums[k] == had && known {
			c.proven = max(c.proven, at+minute)
			if sums[k] == 0 && at+minute <= next {
				base = max(base, at+minute)
			}
		}
		if k == n-1 {
			break // the next minute may make it good
		}
		if missing := max(up[k], 0) - had; missing > 0 {
			had += missing
			known = known && c.sealedTo >= at+minute
			l.miss(ctx, g, at, missing, before[at], now)
		}
		if surplus := min(down[k], 0) - over; surplus < 0 {
			over += surplus
			if now.UnixMilli()-at > surplusAge {
				c.excuse(at, surplus)
			}
		}
	}
	l.repaired(g, before, lo)
	c.base = base
	for at := range c.excused {
		if at < c.base {
			delete(c.excused, at)
		}
	}
	l.checked(c)
	c.plan(g, now)
}

// sums gives room for n sums of three kinds.
func (l *lane) sums(n int) (sums, up, down []int64) {
	if cap(l.scratch) < 3*n {
		l.scratch = make([]int64, 3*n)
	}
	s := l.scratch[:3*n]
	return s[:n], s[n : 2*n], s[2*n:]
}

// checked counts the minutes that were compared for the first time.
func (l *lane) checked(c *check) {
	if c.total.Minutes == 0 {
		c.total.Through = time.UnixMilli(max(c.tally.since, c.theirsFrom))
	}
	if n := (c.through - c.total.Through.UnixMilli()) / minute; n > 0 {
		c.total.Minutes += n
		l.meters.minutes("checked", n)
		c.total.Through = time.UnixMilli(c.through)
	}
}

// miss notes that events of a minute are missing.
func (l *lane) miss(ctx context.Context, g *group, at, missing int64, s shortfall, now time.Time) {
	c := g.check
	if c.sealedTo < at+minute {
		c.hurry = true // the slow reading comes first
		return
	}
	if s.missing == 0 {
		c.total.Short++
		l.meters.minutes("short", 1)
		s.due = now
	}
	s.missing = missing
	if c.reread.on && slices.Contains(c.reread.minutes, at) || !s.swept && now.UnixMilli()-at < checkSpan {
		c.short[at] = s
		return
	}
	c.excuse(at, missing)
	l.giveUp(c, s, now)
	l.c.log.WarnContext(ctx, "CloudWatch counts more events than can be read; they were looked for again and again",
		slog.String("account", l.account), slog.String("region", l.region), slog.String("group", g.info.Name),
		slog.Time("minute", time.UnixMilli(at).UTC()), slog.Int64("missing", missing))
}

// giveUp counts a minute that stays short.
func (l *lane) giveUp(c *check, s shortfall, now time.Time) {
	c.total.Unrepaired++
	l.meters.minutes("unrepaired", 1)
	if !s.found {
		// The two counts differ for another reason. Looking again and again
		// would only cost.
		c.fruitless++
		c.quiet = now.Add(min(5*time.Minute<<min(c.fruitless, 8), 6*time.Hour))
	}
}

// repaired counts the minutes that were short and add up now.
func (l *lane) repaired(g *group, before map[int64]shortfall, lo int64) {
	c := g.check
	for at, s := range before {
		if _, ok := c.short[at]; ok || c.excused[at] > 0 {
			continue
		}
		if at < lo { // no answer came for so long that it was not compared again
			l.giveUp(c, s, l.c.now())
			continue
		}
		c.total.Repaired++
		l.meters.minutes("repaired", 1)
	}
}

// excuse takes a difference as it is.
func (c *check) excuse(at, n int64) {
	if c.excused == nil {
		c.excused = make(map[int64]int64)
	}
	c.excused[at] += n
}

// trusted reports whether an answer is fresh and shows nothing amiss, so that it
// can prove that there is nothing to find.
func (l *lane) trusted(c *check, now time.Time) bool {
	return c != nil && l.uncounted.state == "" && !c.hurry &&
		!c.answered.IsZero() && now.Sub(c.answered) < 2*l.c.cfg.CheckInterval
}

// spare lets the slow reading pass over time in which the count proves that it
// would find nothing, and returns how long to wait for such a proof: the slow
// reading reads what is older than ripe.
func (l *lane) spare(g *group, ripe int64, now time.Time) int64 {
	if l.c.once || !l.trusted(g.check, now) {
		return ripe
	}
	overlap := l.c.cfg.Overlap.Milliseconds()
	r := &g.readings[slow]
	if r.next < g.check.tally.since {
		return ripe // what was taken in then was not compared
	}
	if to := min(ripe, floorMinute(g.check.proven-overlap), g.readings[fast].next); to > r.next {
		n := floorDiv(to, minute) - floorDiv(r.next, minute)
		g.check.total.Spared += n
		l.meters.minutes("spared", n)
		for at := floorMinute(r.next); at < floorMinute(to); at += minute {
			if set := g.seen.minutes[at/bucketSpan]; set != nil {
				g.check.credit += int64(set.len)
			}
		}
		g.advance(slow, to)
	}
	return ripe - (l.c.cfg.CheckDelay + l.c.cfg.CheckInterval).Milliseconds() - minute
}

// checkHealth tells of the check of a group.
func (l *lane) checkHealth(g *group) Check {
	c := g.check
	if c == nil {
		return Check{State: CheckOff}
	}
	h := c.total
	for _, s := range c.short {
		h.Missing += s.missing
	}
	unexplained := c.unexplained()
	h.Missing += unexplained
	switch {
	case l.uncounted.state != "":
		h.State, h.Error, h.Mend = CheckUnavailable, l.uncounted.err, l.uncounted.mend
	case len(c.short) > 0:
		h.State = CheckRereading
	case h.Minutes == 0:
		h.State = CheckWaiting
	default:
		h.State = CheckComplete
	}
	if l.uncounted.state == "" && unexplained > 0 {
		h.State = CheckShort
		h.Error = "CloudWatch counts events in the last hour that cannot be read"
		h.Mend = "see whether the group's retention or a data protection policy removes events, and back-fill with gatehouse collect --once --since"
	}
	return h
}

// unexplained are the events of the last hour that were given up, and not found
// since.
func (c *check) unexplained() int64 {
	var n int64
	for _, e := range c.excused {
		n += e
	}
	return max(n, 0)
}
