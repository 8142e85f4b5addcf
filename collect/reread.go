package collect

import (
	"context"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// rereadBytes bounds the messages of events that were found and are not yet
// handed on.
const rereadBytes = 16 << 20

// reread is a time that is read again because minutes are short.
type reread struct {
	on       bool
	from     int64 // where it began, in this life
	next, to int64
	span     reading // for the size of its windows
	minutes  []int64 // the minutes that are short
	last     bool    // calls that did not end are taken too
	events   []transaction.Event
	digests  []uint64
	found    digestSet
	bytes    int64
	taken    int // events that were missing
}

// plan begins to read again for the minutes that are short and due: first those
// that are about to be given up, then those that had the fewest attempts.
func (c *check) plan(g *group, now time.Time) {
	if c.reread.on || c.sweep(g, now) || now.Before(c.quiet) {
		return
	}
	for tries := range attempts {
		if c.attempt(g, tries, now) {
			return
		}
	}
}

// attempt begins to read again for the minutes that had so many attempts, and
// reports whether there is something to read.
func (c *check) attempt(g *group, tries int, now time.Time) bool {
	r := newReread(g)
	r.last = tries > 3
	a := &attempts[tries]
	for at, s := range c.short {
		if s.tries == tries && !now.Before(s.due) && at+minute <= c.sealedTo {
			r.add(at, a.back, a.upTo)
		}
	}
	if len(r.minutes) == 0 {
		return false
	}
	if c.bound(g, &r) > c.credit {
		r.to = r.next // it is passed over
	}
	return c.begin(r, now)
}

// sweep begins to read again for the minutes that are about to be given up. What
// a sweep has read before is read once more only if that is paid for: so sweeps
// read everything once more at most, however many minutes are short.
func (c *check) sweep(g *group, now time.Time) bool {
	if c.fruitless >= hopeless && now.Before(c.quiet) {
		return false
	}
	r := newReread(g)
	r.last = true
	for at, s := range c.short {
		if !s.swept && now.UnixMilli()-at >= sweepAge && at+minute <= c.sealedTo {
			r.add(at, checkSpan, 2*minute)
			s.swept = true
			c.short[at] = s
		}
	}
	if len(r.minutes) == 0 {
		return false
	}
	if c.bound(g, &r) > c.credit {
		r.next = max(r.next, c.swept)
	}
	c.swept = max(c.swept, r.to)
	return c.begin(r, now)
}

func newReread(g *group) reread {
	return reread{on: true, next: maxTime, to: -maxTime, span: g.readings[slow]}
}

// add makes the reread look for the events of a minute.
func (r *reread) add(at, back, upTo int64) {
	r.minutes = append(r.minutes, at)
	r.next = min(r.next, at-back)
	r.to = max(r.to, at+upTo)
}

// bound keeps the reread to what can be read again, and returns how many events
// that is.
func (c *check) bound(g *group, r *reread) (cost int64) {
	r.next = max(r.next, c.reach, g.from)
	r.to = min(r.to, c.sealedTo)
	return g.seen.agedBetween(r.next, r.to)
}

// begin reports whether there is something to read.
func (c *check) begin(r reread, now time.Time) bool {
	r.from = r.next
	c.reread = r
	if r.next >= r.to {
		c.attempted(now)
		return false
	}
	return true
}

// attempted ends the plan.
func (c *check) attempted(now time.Time) {
	r := c.reread
	c.reread = reread{}
	if r.taken > 0 {
		c.fruitless = 0
	}
	for _, at := range r.minutes {
		s, ok := c.short[at]
		if !ok {
			continue
		}
		s.found = s.found || r.taken > 0
		if s.tries < len(attempts) {
			if s.tries++; s.tries < len(attempts) {
				s.due = now.Add(attempts[s.tries].after)
			}
		}
		c.short[at] = s
	}
}

// rereadWindow is the next window to read again, if there is one.
func (l *lane) rereadWindow(g *group, now time.Time) (t task, due bool) {
	c := g.check
	if c == nil || l.c.once && !now.Before(l.rereadUntil) {
		return task{}, false
	}
	if c.reread.on && c.reread.next >= c.reread.to {
		c.attempted(now) // an earlier pass left nothing of it
	}
	if !c.reread.on && len(c.short) > 0 {
		c.plan(g, now)
	}
	r := &c.reread
	if !r.on {
		return task{}, false
	}
	if r.span.span == 0 {
		r.span = g.readings[slow] // an earlier pass began it
	}
	end := min(r.to, r.next+r.span.span)
	return task{group: g, pass: slow, again: true, from: r.next, to: end, class: backlogs}, true
}

// sift keeps the events of a page that were not read before.
func (l *lane) sift(t task, page *Page, digests []uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := t.group
	r := &g.check.reread
	before := g.books
	l.requests[t.class]++
	for i := range page.Events {
		ev := &page.Events[i]
		if g.seen.has(ev.Timestamp, digests[i]) || !r.found.add(digests[i]) {
			g.books.Doubles++
			continue
		}
		r.events = append(r.events, *ev)
		r.digests = append(r.digests, digests[i])
		r.bytes += int64(len(ev.Message))
	}
	n := int64(len(page.Events))
	g.check.total.Reread += n
	g.check.credit -= n
	l.meters.reread.Add(float64(n))
	g.books.EventsOnWire += n
	g.books.Pages++
	g.books.Bytes += page.Bytes
	l.meters.add(before, g.books)
	g.touch()
}

// reread moves on after a window was read again to its end, and hands on what
// was found once the whole time was read: the lines of a call may be far apart.
func (l *lane) reread(ctx context.Context, t task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := t.group
	l.recovered(ctx, g)
	now := l.c.now()
	r := &g.check.reread
	r.next = t.to
	g.lastRead = now
	done := r.next >= r.to
	if len(r.events) > 0 && (done || r.bytes > rereadBytes) {
		l.takeFound(g, r, r.last)
	}
	if done {
		g.check.attempted(now)
		l.compare(ctx, g, now)
		g.touch()
	}
	l.count(g)
	if len(l.touched) > 0 {
		l.cut(nil, 0)
	}
}

// takeFound rebuilds the calls of the events that were missing. All is done
// under one lock: no cut sees these calls open, so no cursor has to go back for
// them. Calls that do not look whole wait for a later attempt, until the last.
func (l *lane) takeFound(g *group, r *reread, last bool) {
	o := l.c.assembly()
	o.MaxOpen = 0 // rereadBytes bounds them
	a := transaction.NewAssembler(o)
	feed := a.Feed(g.info)
	l.rememberCalls(a, r.events)
	order := make([]int, len(r.events))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return compareEvents(r.events[i], r.events[j]) })
	at := make(map[uint64]int, len(order)) // by digest
	books := g.books
	var taken []int
	for _, i := range order {
		at[r.digests[i]] = i
		switch d := feed.Add(&r.events[i]); d.Outcome {
		case transaction.Held:
			continue
		case transaction.Late:
			g.books.Filtered++
			g.books.Late++
		default:
			g.books.Unparsed++
			l.meters.unparsed(d.Kind)
		}
		taken = append(taken, i)
	}
	a.Flush()
	var out []*transaction.Transaction
	var bytes int64
	var keys agedCalls
	for _, call := range a.Take(nil) {
		if !call.Transaction.Complete && !last {
			continue
		}
		n := 0
		for _, p := range call.Parts {
			for _, d := range p.Events {
				taken = append(taken, at[d])
			}
			n += len(p.Events)
		}
		keys.keys = append(keys.keys, call.Key)
		keys.newest = max(keys.newest, call.Newest)
		if !l.admit(call) {
			g.books.Filtered += int64(n)
			continue
		}
		g.tell(call, int64(n))
		out = append(out, call.Transaction)
		bytes += sizeOf(call.Transaction)
	}
	l.keepFound(g, r, taken, &keys)
	l.meters.add(books, g.books)
	g.touch()
	l.cut(out, bytes)
}

// keepFound notes the events that were taken, and forgets the others: they are
// found again.
func (l *lane) keepFound(g *group, r *reread, taken []int, keys *agedCalls) {
	c := g.check
	byMinute := make(map[int64][]uint64)
	for _, i := range taken {
		ev := &r.events[i]
		m := floorMinute(ev.Timestamp)
		byMinute[m] = append(byMinute[m], r.digests[i])
		c.tally.note(ev.Timestamp, ingested(ev))
		g.lastEvent = max(g.lastEvent, ev.Timestamp)
	}
	n := int64(len(taken))
	g.books.Read += n
	g.books.Doubles += int64(len(r.events)) - n // they are counted when they are taken
	c.total.Found += n
	r.taken += len(taken)
	l.meters.found.Add(float64(n))
	for m, digests := range byMinute {
		c.delta = append(c.delta, AgedMinute{Minute: m, Events: newPrints(digests)})
		g.seen.keepAged(&c.delta[len(c.delta)-1])
	}
	if len(keys.keys) > 0 {
		c.delta = append(c.delta, AgedMinute{Minute: floorMinute(keys.newest), Newest: keys.newest, Calls: keys.keys})
		g.seen.keepAged(&c.delta[len(c.delta)-1])
	}
	c.tally.seal(c.sealedTo)
	r.events, r.digests, r.found, r.bytes = nil, nil, digestSet{}, 0
}

// rememberCalls tells an assembler which calls near the events were sent, so
// that a line of one of them is late and not a call of its own.
func (l *lane) rememberCalls(a *transaction.Assembler, events []transaction.Event) {
	from, to := int64(maxTime), int64(-maxTime)
	for i := range events {
		from, to = min(from, events[i].Timestamp), max(to, events[i].Timestamp)
	}
	reach := l.c.cfg.Idle.Milliseconds() + checkSpan/12
	from, to = from-reach, to+reach
	for _, g := range l.order {
		for at, m := range g.seen.aged {
			if len(m.calls) > 0 && at+minute > from && at < to {
				a.Remember(m.calls, m.newest)
			}
		}
		if g.check == nil {
			continue
		}
		for at, calls := range g.check.aging {
			if at+minute > from && at < to {
				a.Remember(calls.keys, calls.newest)
			}
		}
	}
}

// admit adds what the estate knows to a call and asks the filter.
func (l *lane) admit(call *transaction.Call) bool {
	if l.c.deps.Enricher != nil {
		l.c.deps.Enricher.Enrich(call.Transaction)
	}
	if rule := l.c.deps.Filter.Drops(call.Transaction); rule != "" {
		l.meters.dropped(rule)
		return false
	}
	return true
}

// tell counts a call that is handed on, and n of its events.
func (g *group) tell(call *transaction.Call, n int64) {
	g.books.Assembled += n
	g.books.Calls++
	if !call.Transaction.Complete {
		g.books.Incomplete++
	}
	if call.Evicted {
		g.books.Evicted++
	}
}

// ingested is the time by which an event is counted.
func ingested(ev *transaction.Event) int64 {
	if ev.Ingested != 0 {
		return ev.Ingested
	}
	return ev.Timestamp
}

// id is the digest by which a call is known over both readings.
func id(t *transaction.Transaction) uint64 { return xxhash.Sum64String(t.ID) }
