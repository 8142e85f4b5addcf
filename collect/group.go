package collect

import (
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// pass is one of the two readings of a group.
type pass int

const (
	fast   pass = iota // follows the clock at a distance of Settle
	slow               // comes Overlap later and finds late events
	passes             // how many there are
)

func (p pass) String() string {
	if p == slow {
		return "slow"
	}
	return "fast"
}

// The states of a group, as Health shows them.
const (
	stateReading    = "reading"
	stateWaiting    = "waiting"
	stateCatchingUp = "catching up"
	stateDenied     = "denied"
	stateGone       = "gone"
	stateFailing    = "failing"
)

// group is a log group in its lane, whose lock guards it.
type group struct {
	lane *lane
	info transaction.Group
	key  string

	// from, skipFrom and skipTo are those of the GroupCheckpoint.
	from, skipFrom, skipTo int64
	readings               [passes]reading
	seen                   seen
	digests                int // of seen, as last counted

	// books count everything up to the last event; Open is kept in held.
	books Books
	held  int64 // events in the assemblers
	// settled are the events and calls whose fate was sealed since the last cut.
	settled Seen
	touched bool // the next cut must tell of the group

	served     uint64 // when it was last read; smaller is longer ago
	servedPass pass
	busy       bool // a window is being read
	absent     bool // the last discovery did not find it

	check *check // nil: nothing is compared

	trouble   trouble
	committed int64 // Fast, as the State has it
	lastRead  time.Time
	lastEvent int64
}

// reading is one of the two readings of a group.
type reading struct {
	feed *transaction.Feed
	// next is the frontier: everything before it was read.
	next int64
	// span is how much time, in milliseconds, the next window may cover.
	span int64
	// goal is where the slow reading goes before it rests.
	goal int64
	due  time.Time
}

// trouble is why a group or a lane cannot be read at the moment.
type trouble struct {
	state    string // empty: none
	err      string
	mend     string
	passing  bool // it is likely to pass by itself
	since    time.Time
	retry    time.Time
	failures int
}

// low is the first event of a call of this group that an assembler still holds,
// or upTo if that is earlier.
func (g *group) low(upTo int64) int64 {
	for p := range g.readings {
		if at, ok := g.readings[p].feed.Low(); ok {
			upTo = min(upTo, at)
		}
	}
	return upTo
}

// settle notes that the fate of an event is sealed.
func (g *group) settle(digest uint64, timestamp int64) {
	g.settled.Events = append(g.settled.Events, digest)
	g.settled.Newest = max(g.settled.Newest, timestamp)
	g.touch()
}

// touch makes the next cut of the lane tell of the group.
func (g *group) touch() {
	if !g.touched {
		g.touched = true
		g.lane.touched = append(g.lane.touched, g)
	}
}

// checkpoint is the group as it will be once everything cut so far, and what is
// now cut, has been delivered: open calls do not exist in it, neither in the
// cursors nor in the books. Late lines may follow the last event of a call by
// up to keep milliseconds, so digests are kept that much longer.
func (g *group) checkpoint(keep int64, now time.Time) GroupCheckpoint {
	low := g.low(g.readings[fast].next)
	if low >= g.skipTo {
		g.skipFrom, g.skipTo = 0, 0
	}
	c := GroupCheckpoint{
		Group:    g.info,
		From:     g.from,
		SkipFrom: g.skipFrom,
		SkipTo:   g.skipTo,
		Fast:     low,
		Slow:     min(g.readings[slow].next, low),
		Books:    g.books,
	}
	c.SeenFrom = c.Slow - keep
	if g.check == nil {
		c.AgedFrom = maxTime // there will be a gap
	} else {
		g.seal(c.Slow, now)
		c.SeenFrom = min(c.SeenFrom, g.check.sealedTo)
		c.Counted, c.Aged, c.AgedFrom = g.check.tally.counted(), g.check.delta, g.check.reach
		g.check.delta = nil
		if g.lane.c.once {
			counted := *c.Counted // the tally keeps it
			counted.Progress = g.check.progress()
			counted.Progress.Failed = g.lane.uncounted.state
			c.Counted = &counted
		}
	}
	c.Books.Read -= g.held
	c.Books.Open = 0
	if len(g.settled.Events)+len(g.settled.Calls) > 0 {
		c.Seen = []Seen{g.settled}
		g.settled = Seen{}
	}
	g.touched = false
	return c
}

// total are the books with what is open.
func (g *group) total() Books {
	b := g.books
	b.Open = g.held
	return b
}

// openCalls estimates the calls that have events of this group open, by how many
// events a call of it has had so far. A call of two groups is one of each.
func (g *group) openCalls() int {
	switch {
	case g.held == 0:
		return 0
	case g.books.Calls == 0 || g.books.Assembled == 0:
		return 1
	default:
		return int((g.held*g.books.Calls + g.books.Assembled - 1) / g.books.Assembled)
	}
}

// advance moves the frontier of a reading and tells the assembler.
func (g *group) advance(p pass, to int64) {
	r := &g.readings[p]
	skips := g.skipFrom <= to && to < g.skipTo
	if skips && (p == fast || g.readings[fast].next >= g.skipTo) {
		to = g.skipTo
	}
	if to <= r.next {
		return
	}
	r.next = to
	r.feed.Advance(to)
	g.touch()
}
