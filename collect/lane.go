package collect

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// lane is an account and region: what shares CloudWatch's quota, and what calls
// cannot span.
type lane struct {
	c               *Collector
	account, region string
	meters          laneMeters
	wake            chan struct{} // capacity 1: something may be due
	open            atomic.Int64  // calls in the assemblers, for the gate over all lanes

	mu         sync.Mutex
	assemblers [passes]*transaction.Assembler
	feeds      [passes]map[*transaction.Feed]*group
	groups     map[string]*group
	order      []*group // as they were found, so that ties are broken alike
	touched    []*group // what the next cut tells of
	turn       uint64
	requests   [classes]int64  // what each class has had; only the difference matters
	sent       [passes]minutes // ids of the calls that were taken out
	forgotten  int64           // what ended before was forgotten
	idled      time.Time       // when closeIdle last looked
	uncounted  trouble         // why there is no count to compare with
	scratch    []int64         // of compare
	// rereadUntil is how long a pass reads again; zero before it has read
	// everything else.
	rereadUntil time.Time
	running     bool
	trouble     trouble // of the account or region as a whole
	calls       []*transaction.Call
}

func newLane(c *Collector, account, region string) *lane {
	l := &lane{
		c:       c,
		account: account,
		region:  region,
		meters:  c.metrics.lane(account, region),
		wake:    make(chan struct{}, 1),
		groups:  make(map[string]*group),
	}
	for p := range l.assemblers {
		l.assemblers[p] = transaction.NewAssembler(c.assembly())
		l.feeds[p] = make(map[*transaction.Feed]*group)
		l.sent[p] = make(minutes)
	}
	return l
}

// assembly is how calls are rebuilt.
func (c *Collector) assembly() transaction.Options {
	return transaction.Options{
		Grace:    c.cfg.Grace,
		Idle:     c.cfg.Idle,
		MaxOpen:  c.cfg.MaxOpenCalls,
		Redactor: c.cfg.Redactor,
	}
}

// start lets the lane read, once, until ctx is done.
func (l *lane) start(ctx context.Context) {
	l.mu.Lock()
	running := l.running
	l.running = true
	l.mu.Unlock()
	if running {
		return
	}
	if l.c.once {
		l.c.running.Go(func() { l.runOnce(ctx) })
		return
	}
	l.c.running.Go(func() { l.run(ctx) })
	if l.c.checks() {
		l.c.running.Go(func() { l.checkAll(ctx) })
	}
}

// finish cuts what was settled since the last cut, after reading has stopped.
func (l *lane) finish() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.collect()
	if l.c.once {
		l.leaveRereads()
	}
	if len(l.touched) > 0 {
		l.cut(nil, 0)
	}
}

// nudge lets the scheduler look again.
func (l *lane) nudge() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// adopt begins to read a group, or takes over what a discovery newly knows of
// it. For a group that is new to the lane, saved is what the State holds of it,
// or where to start if it holds nothing.
func (l *lane) adopt(info transaction.Group, saved GroupCheckpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := info.Key()
	if g := l.groups[key]; g != nil {
		l.describe(g, info)
		return
	}
	g := &group{
		lane:     l,
		info:     info,
		key:      key,
		from:     saved.From,
		skipFrom: saved.SkipFrom,
		skipTo:   saved.SkipTo,
		books:    saved.Books,
	}
	g.committed = saved.Fast
	g.readings[fast].next = saved.Fast
	g.readings[slow].next = min(saved.Slow, saved.Fast)
	if l.c.checks() {
		g.check, g.readings[slow].next = newCheck(&saved, &l.c.cfg)
		l.restoreAged(g, saved.Aged)
		if l.c.once && !l.c.pass {
			g.readings[fast].next = g.readings[slow].next // it is the only reading
		}
		if l.c.pass && saved.Counted != nil && saved.Counted.Progress != nil {
			// What an earlier pass has warned of is not news.
			l.uncounted.state = saved.Counted.Progress.Failed
		}
	}
	for i := range saved.Seen {
		s := &saved.Seen[i]
		g.seen.restore(s.Newest, s.Events)
		if g.check != nil {
			g.check.sentBefore(s)
		}
		for p := range l.assemblers {
			l.assemblers[p].Remember(s.Calls, s.Newest)
		}
	}
	for p := range g.readings {
		r := &g.readings[p]
		r.span = firstSpan.Milliseconds()
		r.feed = l.assemblers[p].Feed(info)
		l.feeds[p][r.feed] = g
		r.feed.Advance(r.next)
	}
	l.groups[key] = g
	l.order = append(l.order, g)
	g.touch()
	l.cut(nil, 0)
	l.nudge()
}

// restoreAged takes over the minutes that only the check may read again. What is
// older than its reach has gaps.
func (l *lane) restoreAged(g *group, aged []AgedMinute) {
	for i := range aged {
		if aged[i].Minute >= g.check.reach {
			g.seen.keepAged(&aged[i])
		}
	}
}

// describe takes over a changed description, as when a stage was given another
// access-log format. What the group's calls have so far stays with them.
func (l *lane) describe(g *group, info transaction.Group) {
	if g.absent {
		g.absent = false
		g.trouble = trouble{}
		l.nudge()
	}
	if g.info == info {
		return
	}
	g.info = info
	g.touch()
	for p := range g.readings {
		l.assemblers[p].Feed(info)
	}
}

// forsake stops reading the groups that a discovery of this whole lane did not
// find. Their cursors stay: a group that comes back goes on from there.
func (l *lane) forsake(found map[string]bool, now time.Time) (lost []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range l.order {
		if found[g.key] || g.absent {
			continue
		}
		g.absent = true
		if g.trouble.state == "" {
			g.trouble.since = now
		}
		g.trouble.state = stateGone
		g.trouble.err = "the log group is not listed any more"
		lost = append(lost, g.info.Name)
	}
	return lost
}

// detach lets the log time of the lane go on without the group; its open calls
// close by idle.
func (l *lane) detach(g *group) {
	for p := range g.readings {
		g.readings[p].feed.Detach()
	}
}

// absorb adds the events of a page to the assembler of the pass.
func (l *lane) absorb(t task, page *Page, digests []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := t.group
	l.requests[t.class]++
	before := g.books
	feed := g.readings[t.pass].feed
	for i := range page.Events {
		ev := &page.Events[i]
		again := ev.Logged != 0 && g.seen.elsewhere(ev.Timestamp, digests[i])
		fresh, first := g.seen.add(ev.Timestamp, digests[i])
		if first && g.check != nil {
			// Also of an event that was pushed again: it was taken in twice.
			g.check.tally.note(ev.Timestamp, ingested(ev))
		}
		if !fresh || again {
			g.books.Doubles++
			continue
		}
		g.books.Read++
		g.lastEvent = max(g.lastEvent, ev.Timestamp)
		d := feed.Add(ev)
		switch d.Outcome {
		case transaction.Held:
			g.held++
		case transaction.Late:
			g.books.Filtered++
			g.books.Late++
			g.settle(digests[i], ev.Timestamp)
		default:
			// An outcome that is not known is treated as unparsed, so that the
			// event is counted and not forgotten.
			g.books.Unparsed++
			g.settle(digests[i], ev.Timestamp)
			l.meters.unparsed(d.Kind)
		}
	}
	g.books.EventsOnWire += int64(len(page.Events))
	g.books.Pages++
	g.books.Bytes += page.Bytes
	if g.check != nil {
		g.check.earn(g.books.Read - before.Read)
	}
	l.meters.add(before, g.books)
	l.collect()
}

// finished moves the frontier after a window [t.from, t.to) was read to its end,
// which began at the time began. What was older than Overlap then is not read a
// second time.
func (l *lane) finished(ctx context.Context, t task, began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := t.group
	l.recovered(ctx, g)
	g.advance(t.pass, t.to)
	if t.class == polls {
		// A window that leaves a backlog is followed at once, and so is one that
		// failed and may be tried again.
		g.readings[t.pass].due = began.Add(l.c.cfg.PollInterval)
	}
	if t.pass == fast {
		aged := min(g.readings[fast].next, began.Add(-l.c.cfg.Overlap).UnixMilli())
		if g.readings[slow].next >= t.from {
			g.advance(slow, aged)
		}
	}
	g.lastRead = l.c.now()
	if g.check == nil {
		g.seen.forget(g.readings[slow].next)
	}
	l.count(g)
	l.forget()
	l.collect()
	if len(l.touched) > 0 {
		l.cut(nil, 0)
	}
}

// recovered ends the trouble of a group that was read, and of its lane.
func (l *lane) recovered(ctx context.Context, g *group) {
	if l.trouble.state != "" {
		l.trouble = trouble{}
		l.c.log.InfoContext(ctx, "the account can be read again in this region",
			slog.String("account", l.account), slog.String("region", l.region))
	}
	if g.trouble.state != "" && !g.absent {
		g.trouble = trouble{}
		l.c.log.InfoContext(ctx, "the log group can be read again",
			slog.String("account", l.account), slog.String("region", l.region), slog.String("group", g.info.Name))
	}
}

// count keeps the number of digests of all groups. If there are too many, the
// check of this one looks less far back.
func (l *lane) count(g *group) {
	n := g.seen.size()
	l.c.digests.Add(int64(n - g.digests))
	for l.c.crowded() {
		at, ok := g.seen.oldestAged()
		if !ok {
			break
		}
		g.forgetAged(at + minute)
		was := n
		n = g.seen.size()
		l.c.digests.Add(int64(n - was))
	}
	g.digests = n
}

// forget drops the calls that no late line can belong to any more.
func (l *lane) forget() {
	oldest := int64(maxTime)
	for _, g := range l.order {
		if !g.absent {
			oldest = min(oldest, g.readings[slow].next)
		}
	}
	before := oldest - l.keep()
	if before < l.forgotten+bucketSpan {
		return
	}
	l.forgotten = before
	for p := range l.assemblers {
		l.sent[p].forget(before)
		l.assemblers[p].Forget(before)
	}
}

// keep is for how long after its last event, in milliseconds, a call must be
// remembered: as long as a line could have joined it.
func (l *lane) keep() int64 { return 2 * l.c.cfg.Idle.Milliseconds() }

// collect takes out the calls that are ready and cuts if there are any. The
// fast reading goes first: where both hold a part of the same call, its part is
// the greater one.
func (l *lane) collect() {
	var out []*transaction.Transaction
	var bytes int64
	for p := range l.assemblers {
		l.calls = l.assemblers[p].Take(l.calls[:0])
		for _, call := range l.calls {
			if t := l.take(pass(p), call); t != nil {
				out = append(out, t)
				bytes += sizeOf(t)
			}
		}
		clear(l.calls)
	}
	open := int64(l.assemblers[fast].OpenCalls() + l.assemblers[slow].OpenCalls())
	l.c.open.Add(open - l.open.Swap(open))
	if len(out) > 0 {
		l.cut(out, bytes)
	}
}

// take settles the events of a call and returns its transaction if it is to be
// handed on.
func (l *lane) take(p pass, call *transaction.Call) *transaction.Transaction {
	// Both assemblers may hold a part of one call, if a line of it was late and
	// the call is longer than Idle. The first part to be taken is the one that
	// is sent. Two calls out of the same assembler are two calls, even if their
	// caller chose one request id for both.
	other := passes - 1 - p
	digest := id(call.Transaction)
	fresh := !l.sent[other].has(digest)
	keep := fresh
	if keep {
		l.sent[p].add(call.Newest, digest)
		l.assemblers[other].Remember([]uint64{call.Key}, call.Newest)
		keep = l.admit(call)
	}
	for i := range call.Parts {
		part := &call.Parts[i]
		g := l.feeds[p][part.Feed]
		if g == nil {
			continue
		}
		n := int64(len(part.Events))
		before := g.books
		g.held -= n
		switch {
		case keep && i == 0:
			g.tell(call, n)
		case keep:
			g.books.Assembled += n
		case fresh:
			g.books.Filtered += n
		default:
			g.books.Filtered += n
			g.books.Late += n
		}
		g.settled.Events = append(g.settled.Events, part.Events...)
		g.settled.Calls = append(g.settled.Calls, call.Key)
		g.settled.Newest = max(g.settled.Newest, part.Newest, call.Newest)
		if g.check != nil {
			g.check.ended(call)
		}
		g.touch()
		l.meters.add(before, g.books)
	}
	if !keep {
		return nil
	}
	return call.Transaction
}

// cut hands the transactions on, with the state that is true once they are
// delivered. It is called with the lock held, so the cuts of a lane are in the
// order of what they tell.
func (l *lane) cut(out []*transaction.Transaction, bytes int64) {
	c := &cut{lane: l, transactions: out, bytes: bytes}
	for _, g := range l.touched {
		c.groups = append(c.groups, g.checkpoint(l.keep(), l.c.now()))
	}
	clear(l.touched)
	l.touched = l.touched[:0]
	l.c.pipeline.push(c)
}

// sizeOf is about how much memory a transaction takes. Header values are not
// looked at: API Gateway takes 10 KB of them, and most are short.
func sizeOf(t *transaction.Transaction) int64 {
	n := 1024 + len(t.Path) + len(t.UserAgent) + headerSize*len(t.Query)
	if t.Request != nil {
		n += headerSize*len(t.Request.Headers) + len(t.Request.Body)
	}
	if t.Response != nil {
		n += headerSize*len(t.Response.Headers) + len(t.Response.Body)
	}
	return int64(n)
}

// headerSize is about how much memory a header takes, with its place in the map.
const headerSize = 160
