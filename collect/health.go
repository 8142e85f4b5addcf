package collect

import (
	"slices"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// Health returns a snapshot. It is cheap and safe to call at any time.
func (c *Collector) Health() Health {
	now := c.now()
	c.mu.Lock()
	h := Health{Started: c.started, Problems: append([]Problem{}, c.problems...), Groups: []GroupHealth{}, Sinks: []SinkHealth{}}
	c.mu.Unlock()
	for _, l := range c.allLanes() {
		groups, problem := l.health(now)
		h.Groups = append(h.Groups, groups...)
		if problem != nil {
			h.Problems = append(h.Problems, *problem)
		}
		h.OpenCalls += int(l.open.Load())
	}
	for i := range h.Groups {
		g := &h.Groups[i]
		h.Totals.Add(g.Books)
		h.Check.add(&g.Check)
		if g.State != stateGone {
			h.Lag = max(h.Lag, g.Lag)
		}
	}
	if c.crowded() {
		h.Problems = append(h.Problems, Problem{
			What: "more event ids are remembered than max_digests allows: late events are looked for earlier than overlap",
			Mend: "raise max_digests, or read fewer log groups with one process",
		})
	}
	h.Filters = c.deps.Filter.Health()
	c.pipeline.health(&h, now)
	return h
}

// add sums checks up; the worst state is the state of all.
func (c *Check) add(o *Check) {
	worst := []string{CheckShort, CheckUnavailable, CheckRereading, CheckWaiting, CheckComplete, CheckOff, ""}
	if slices.Index(worst, o.State) < slices.Index(worst, c.State) {
		c.State, c.Error, c.Mend = o.State, o.Error, o.Mend
	}
	if !o.Through.IsZero() && (c.Through.IsZero() || o.Through.Before(c.Through)) {
		c.Through = o.Through
	}
	c.Missing += o.Missing
	c.Minutes += o.Minutes
	c.Short += o.Short
	c.Repaired += o.Repaired
	c.Unrepaired += o.Unrepaired
	c.Found += o.Found
	c.Reread += o.Reread
	c.Spared += o.Spared
}

// health tells of all groups of the lane, and of the lane itself if nothing of
// it can be read.
func (l *lane) health(now time.Time) ([]GroupHealth, *Problem) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var problem *Problem
	if l.trouble.state != "" {
		problem = &Problem{Account: l.account, Region: l.region, What: l.trouble.err, Mend: l.trouble.mend, Since: l.trouble.since}
	}
	groups := make([]GroupHealth, 0, len(l.order))
	for _, g := range l.order {
		cursor := time.UnixMilli(g.committed)
		h := GroupHealth{
			Group:     g.info,
			Books:     g.total(),
			From:      time.UnixMilli(g.from),
			Cursor:    cursor,
			Frontier:  time.UnixMilli(g.readings[fast].next),
			Lag:       max(now.Sub(cursor), 0),
			State:     l.state(g, now),
			LastRead:  g.lastRead,
			OpenCalls: g.openCalls(),
			Check:     l.checkHealth(g),
		}
		if g.lastEvent != 0 {
			h.LastEvent = time.UnixMilli(g.lastEvent)
		}
		trouble := &g.trouble
		if trouble.state == "" {
			trouble = &l.trouble
		}
		h.Error, h.Mend, h.ErrorSince = trouble.err, trouble.mend, trouble.since
		if h.Books.Read > 0 {
			h.Amplification = float64(h.Books.EventsOnWire) / float64(h.Books.Read)
		}
		groups = append(groups, h)
	}
	return groups, problem
}

// state is one word on a group.
func (l *lane) state(g *group, now time.Time) string {
	switch {
	case g.trouble.state != "":
		return g.trouble.state
	case l.trouble.state != "":
		return l.trouble.state
	case l.c.horizon(now)-g.readings[fast].next > max(3*l.c.cfg.PollInterval, l.c.cfg.SlowInterval).Milliseconds():
		return stateCatchingUp
	case g.busy:
		return stateReading
	default:
		return stateWaiting
	}
}

// gauge returns the largest lag of the groups that exist, how many digests are
// kept, and how often a distinct event came over the wire.
func (l *lane) gauge(now time.Time) (lag time.Duration, digests int, amplification float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var books Books
	for _, g := range l.order {
		digests += g.digests
		books.Add(g.books)
		if !g.absent {
			lag = max(lag, now.Sub(time.UnixMilli(g.committed)))
		}
	}
	if books.Read > 0 {
		amplification = float64(books.EventsOnWire) / float64(books.Read)
	}
	return lag, digests, amplification
}

// committed notes the cursors that the State has.
func (l *lane) committed(groups []GroupCheckpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range groups {
		if g := l.groups[groups[i].Group.Key()]; g != nil {
			g.committed = groups[i].Fast
		}
	}
}

func (p *pipeline) health(h *Health, now time.Time) {
	p.mu.Lock()
	waiting, batch := p.waiting, p.batch
	h.CallsPerSecond = p.rates.perSecond(now)
	if p.commit.err != "" {
		h.Problems = append(h.Problems, Problem{
			What:  "the state cannot be saved, and delivering waits for it: " + p.commit.err,
			Mend:  "see that the disk or database of the state has room and can be written",
			Since: p.commit.since,
		})
	}
	p.mu.Unlock()
	for _, o := range p.sinks {
		o.mu.Lock()
		s := o.health
		s.Waiting = waiting
		if o.acked {
			s.Waiting = max(waiting-batch, 0)
		}
		o.mu.Unlock()
		h.Sinks = append(h.Sinks, s)
	}
}

const (
	// rateSpan is over how many seconds CallsPerSecond is an average.
	rateSpan = 60
	// rateFresh is how old the youngest call may be for CallsPerSecond to say
	// anything of the present.
	rateFresh = 5 * 60
)

// rates counts delivered calls by the second in which they were made, not in
// which they were read: a collector that catches up on an hour in a minute
// would otherwise show sixty times the traffic.
type rates struct {
	newest int64           // the youngest second of a call
	second [rateSpan]int64 // which second a slot is of
	counts [rateSpan]map[transaction.Visibility]int
}

func (r *rates) add(now time.Time, batch []*transaction.Transaction) {
	for _, t := range batch {
		second := int64(t.Time) / 1000
		// A call from the future would make all others look old.
		if second <= r.newest-rateSpan || second > now.Unix() {
			continue
		}
		r.newest = max(r.newest, second)
		slot := second % rateSpan
		if r.second[slot] != second || r.counts[slot] == nil {
			r.second[slot], r.counts[slot] = second, make(map[transaction.Visibility]int, 3)
		}
		r.counts[slot][t.Visibility]++
	}
}

// perSecond is the average over the minute of log time that ends with the
// youngest call.
func (r *rates) perSecond(now time.Time) map[transaction.Visibility]float64 {
	sums := make(map[transaction.Visibility]float64)
	if r.newest < now.Unix()-rateFresh {
		return sums
	}
	for slot, counts := range r.counts {
		if r.second[slot] <= r.newest-rateSpan {
			continue
		}
		for v, n := range counts {
			sums[v] += float64(n) / rateSpan
		}
	}
	return sums
}
