package transaction

import (
	"math"
	"slices"
)

// Feed is one log group of an Assembler. Like the Assembler it is not safe for
// concurrent use.
type Feed struct {
	a        *Assembler
	group    Group
	format   *AccessFormat
	keys     keyMemo
	guess    APIType // of the kind of API, from the group's name
	stage    *stage  // the group's own; loose where not known
	stages   []*stage
	frontier int64
	detached bool
	exec     bool // has given execution lines of its own stage
	linked   bool // a loose feed that has given a record for a known stage
	last     *openCall
	lows     lowHeap
	sweepAt  int // size of lows at which void entries are swept out
	named    namedStage

	ambiguous int64 // values of access records that were left out
}

// namedStage caches the stage that the last record named.
type namedStage struct {
	api, name string
	stage     *stage
}

// Feed registers a log group, or finds it again by its Key. A group that has
// changed, for example its access format, is updated; a format that cannot be
// compiled counts as unknown.
func (a *Assembler) Feed(g Group) *Feed {
	key := g.Key()
	f := a.feeds[key]
	if f == nil {
		f = &Feed{a: a, frontier: math.MinInt64}
		a.feeds[key] = f
		a.order = append(a.order, f)
	} else if f.group == g {
		return f
	}
	if f.group.AccessFormat != g.AccessFormat || f.group.Name == "" {
		f.format, f.keys = nil, keyMemo{}
		if g.AccessFormat != "" {
			if format, err := CompileAccessFormat(g.AccessFormat); err == nil {
				f.format = format
			}
		}
	}
	f.group = g
	api, name, guess := g.stageOf()
	f.guess = guess
	f.named = namedStage{}
	own := stageKey{account: g.Account, region: g.Region, api: api, name: name}
	if f.stage != nil && f.stage.stageKey == own {
		return f
	}
	var s *stage
	if api != "" || name != "" {
		s = a.stageFor(own)
	}
	if s == nil {
		s = a.newStage(stageKey{account: g.Account, region: g.Region})
		s.feed = f
		a.loose = append(a.loose, s)
	}
	f.stage, f.exec = s, false
	f.link(s)
	return f
}

// Group returns the feed's log group.
func (f *Feed) Group() Group { return f.group }

// Ambiguous counts the values of access records that were left out, because the
// group's format does not say where in the line they end.
func (f *Feed) Ambiguous() int64 { return f.ambiguous }

func (f *Feed) link(s *stage) *link {
	for i := range s.links {
		if s.links[i].feed == f {
			return &s.links[i]
		}
	}
	f.stages = append(f.stages, s)
	s.links = append(s.links, link{feed: f})
	if f.stage != nil && f.stage.loose() && s != f.stage {
		// From now on the feed's own loose calls wait for the same feeds as
		// those of the stage that it was seen to write for.
		f.linked = true
		for i := range s.links {
			if other := s.links[i].feed; other != f {
				other.link(f.stage)
			}
		}
	}
	return &s.links[len(s.links)-1]
}

// linkExec notes that the feed gives execution lines of s.
func (f *Feed) linkExec(s *stage) {
	for i := range s.links {
		if s.links[i].feed == f {
			s.links[i].exec = true
			f.exec = f.exec || s == f.stage
			return
		}
	}
	f.link(s)
	f.linkExec(s)
}

// Advance tells that every event of this group with a timestamp before upTo, in
// milliseconds, has been added: log time has come so far here. A smaller value
// than before sets it back. Calls that are due by the log time of all feeds that
// can add to them are closed.
func (f *Feed) Advance(upTo int64) {
	f.frontier, f.detached = upTo, false
	a := f.a
	for _, s := range f.stages {
		a.tick(s)
	}
	for _, s := range a.loose {
		if s.feed != f {
			a.tick(s)
		}
	}
}

func (a *Assembler) tick(s *stage) {
	if c := s.due.first(); c != nil {
		if clock := a.clock(s); c.due <= clock {
			a.closeDue(s, clock)
		}
	}
}

// Detach tells that the group is denied or gone: it must not hold back the calls
// of other groups any more. Its open calls close by the log time of the other
// feeds of their stage, or by CloseIdle. The next Add or Advance attaches the
// group again.
func (f *Feed) Detach() {
	f.detached = true
	a := f.a
	for _, s := range f.stages {
		a.tick(s)
	}
	for _, s := range a.loose {
		a.tick(s)
	}
}

// Low returns the timestamp of the earliest event of this feed that belongs to a
// call which is open or was not yet taken, and false if there is none. The
// feed's cursor must not go beyond it.
func (f *Feed) Low() (int64, bool) {
	for len(f.lows) > 0 {
		if top := f.lows[0]; top.c.gen == top.gen {
			return top.at, true
		}
		f.lows.pop()
	}
	return 0, false
}

// note counts an event in the feed's part of a call.
func (f *Feed) note(c *openCall, at int64) {
	for i := range c.parts {
		p := &c.parts[i]
		if p.feed != f {
			continue
		}
		p.events++
		p.newest = max(p.newest, at)
		if at < p.first {
			p.first = at
			f.lows.push(low{at, c, c.gen})
		}
		return
	}
	c.parts = append(c.parts, openPart{feed: f, first: at, newest: at, events: 1})
	f.lows.push(low{at, c, c.gen})
	if len(f.lows) >= max(f.sweepAt, minSweep) {
		f.lows.sweep()
		f.sweepAt = 2 * len(f.lows)
	}
}

const minSweep = 1024

// low is an entry of a feed's heap of earliest events. It is void once the call
// was taken, which its generation tells.
type low struct {
	at  int64
	c   *openCall
	gen uint32
}

// lowHeap is a binary heap by at.
type lowHeap []low

func (h *lowHeap) push(l low) {
	*h = append(*h, l)
	s := *h
	i := len(s) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if s[parent].at <= l.at {
			break
		}
		s[i] = s[parent]
		i = parent
	}
	s[i] = l
}

func (h *lowHeap) pop() {
	s := *h
	last := len(s) - 1
	s[0] = s[last]
	s[last] = low{}
	*h = s[:last]
	if last > 0 {
		h.down(0)
	}
}

func (h *lowHeap) down(i int) {
	siftDown(*h, i)
}

func siftDown(h []low, i int) {
	l := h[i]
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1].at < h[child].at {
			child++
		}
		if l.at <= h[child].at {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = l
}

// sweep takes out the entries of calls that were taken, so that the heap stays
// bounded even if nobody asks for Low.
func (h *lowHeap) sweep() {
	*h = slices.DeleteFunc(*h, func(l low) bool { return l.c.gen != l.gen })
	for i := len(*h)/2 - 1; i >= 0; i-- {
		h.down(i)
	}
}
