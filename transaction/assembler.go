package transaction

import (
	"math"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Options are the limits of an Assembler. Zero values take the defaults.
type Options struct {
	// Grace is how long, in log time, a call stays open after its completion
	// line, because some lines follow it. Default 2 s.
	Grace time.Duration
	// Idle closes a call without a completion line after its last event.
	// Default 60 s.
	Idle time.Duration
	// MaxOpen is how many calls may be open; the oldest is evicted. Default
	// 100,000.
	MaxOpen int
	// MaxBytes is how much log text the calls that are open or held back may
	// hold; the oldest is released or evicted. Default 512 MiB.
	MaxBytes int64
	// Linger is how many closed calls that were seen in one kind of log alone
	// are held back, first in first out, so that the other kind can still join
	// them. Default 0.
	Linger int
	// Redactor takes secrets out; nil for the default rules. There is no way to
	// switch redaction off.
	Redactor *Redactor
}

const (
	defaultGrace    = 2 * time.Second
	defaultIdle     = 60 * time.Second
	defaultMaxOpen  = 100_000
	defaultMaxBytes = 512 << 20
	// maxEvents is how many events one call may hold. A caller that chooses one
	// request id for all its calls must not grow a call without bound.
	maxEvents = 4096
)

// Assembler rebuilds calls from log events. Its only clock is how far the logs
// have been read, which its feeds tell it. It is not safe for concurrent use;
// calls are joined over all feeds of the same account and region.
//
// A request id is not proof of identity, because callers may choose it. Where
// several open calls have the same one, a line goes to the youngest of them that
// can still take it: one from the same log stream if there is one, without a
// line of that kind yet, and not ended long before. An Extended Request Id that
// is not a call's own always starts another call.
type Assembler struct {
	grace, idle int64
	maxOpen     int
	maxBytes    int64
	linger      int

	feeds  map[string]*Feed
	order  []*Feed // the feeds in order of registration
	stages map[stageKey]*stage
	list   []*stage // the stages by number
	loose  []*stage // those of feeds whose stage is not known

	index     callIndex            // by request id, or by extended id where there is none
	extended  map[string]*openCall // by extended id; only while byExt
	byExt     bool
	seq       uint64
	oldest    *openCall // open calls in order of creation
	youngest  *openCall
	open      int
	bytes     int64
	lingering int
	waiting   []lingerer
	out       []*openCall
	free      []*openCall
	closed    closedCalls
	redaction redaction
	scratch   builder
}

// Call is a closed call.
type Call struct {
	Transaction *Transaction
	// Key is what Assembler.Remember needs to know the call again.
	Key uint64
	// Newest is the timestamp of the call's last event, in milliseconds.
	Newest int64
	// Parts say which events of which feed made the call.
	Parts []Part
	// Evicted means that the call was closed to make room, not because it
	// ended.
	Evicted bool
}

// Part is what one feed gave to a call.
type Part struct {
	Feed          *Feed
	First, Newest int64    // timestamps in milliseconds
	Events        []uint64 // Event.Digest of each
}

// NewAssembler makes an Assembler without feeds.
func NewAssembler(o Options) *Assembler {
	a := &Assembler{
		grace:    orDefault(o.Grace, defaultGrace),
		idle:     orDefault(o.Idle, defaultIdle),
		maxOpen:  o.MaxOpen,
		maxBytes: o.MaxBytes,
		linger:   max(o.Linger, 0),
		feeds:    map[string]*Feed{},
		stages:   map[stageKey]*stage{},
		extended: map[string]*openCall{},
	}
	a.idle = max(a.idle, a.grace)
	if a.maxOpen <= 0 {
		a.maxOpen = defaultMaxOpen
	}
	if a.maxBytes <= 0 {
		a.maxBytes = defaultMaxBytes
	}
	a.index.init()
	a.closed.init()
	a.redaction.init(o.Redactor)
	return a
}

func orDefault(d, def time.Duration) int64 {
	if d <= 0 {
		d = def
	}
	return max(d.Milliseconds(), 1)
}

// Take appends the calls closed since the last Take to dst, in the order in
// which they closed.
func (a *Assembler) Take(dst []*Call) []*Call {
	for i, c := range a.out {
		dst = append(dst, c.call)
		a.recycle(c)
		a.out[i] = nil
	}
	a.out = a.out[:0]
	return dst
}

// Flush closes all calls that are open or held back, at the end of the input.
// Those without a completion line are not Complete.
func (a *Assembler) Flush() {
	for a.lingering > 0 {
		a.releaseOldest()
	}
	calls := make([]dueCall, 0, a.open)
	for c := a.oldest; c != nil; c = c.younger {
		calls = append(calls, dueCall{a.dueOf(c), c.seq, c})
	}
	slices.SortFunc(calls, func(x, y dueCall) int {
		if x.before(&y) {
			return -1
		}
		return 1
	})
	for _, x := range calls {
		a.finish(x.c, false)
	}
}

// CloseIdle closes the calls of stages that no attached feed can add to any
// more, where their last event is Idle before upTo, or their completion line
// Grace.
func (a *Assembler) CloseIdle(upTo int64) {
	for _, s := range a.list {
		if s.due.first() != nil && !s.attached() {
			a.closeDue(s, upTo)
		}
	}
}

// OpenCalls counts the calls that are not closed, held back ones included.
func (a *Assembler) OpenCalls() int { return a.open + a.lingering }

// Remember tells which calls were delivered before a restart, with the youngest
// timestamp among them in milliseconds: their later lines are Late, not new
// calls.
func (a *Assembler) Remember(calls []uint64, newest int64) {
	for _, key := range calls {
		a.closed.add(key&^flagBits, closedCall{newest: newest, stage: uint32(key & flagBits << stageBits)})
	}
}

// Forget drops the calls whose last event is older than before, in
// milliseconds: no line of them is expected any more.
func (a *Assembler) Forget(before int64) { a.closed.forget(before) }

// hold gives an event to a call.
func (a *Assembler) hold(c *openCall, f *Feed, h *held) Disposition {
	h.feed = f
	if c.state == stateLingering {
		a.reopen(c)
	}
	if len(c.events) == 0 || h.at < c.first {
		c.first = h.at
	}
	if len(c.events) == 0 || h.at > c.newest {
		c.newest = h.at
	}
	if h.logged != 0 && (c.logged == 0 || h.logged < c.logged) {
		c.logged = h.logged
	}
	c.events = append(c.events, *h)
	c.seen |= 1 << h.kind
	size := int64(len(h.text) + len(h.id) + heldOverhead)
	c.bytes += size
	a.bytes += size
	f.note(c, h.at)
	if h.terminal && (!c.ended || h.at > c.terminal) {
		c.ended, c.terminal = true, h.at
	}
	a.reschedule(c)
	if len(c.events) >= maxEvents {
		a.finish(c, true)
	}
	if a.bytes > a.maxBytes {
		a.makeRoom()
	}
	return Disposition{Outcome: Held}
}

func (a *Assembler) makeRoom() {
	for a.bytes > a.maxBytes && a.lingering > 0 {
		a.releaseOldest()
	}
	for a.bytes > a.maxBytes && a.oldest != nil {
		a.finish(a.oldest, true)
	}
}

// start opens a call under key, whose hash in the index is given.
func (a *Assembler) start(key string, hash uint64, s *stage, stream string) *openCall {
	if a.open >= a.maxOpen {
		a.finish(a.oldest, true)
	}
	var c *openCall
	if n := len(a.free); n > 0 {
		c, a.free = a.free[n-1], a.free[:n-1]
	} else {
		c = &openCall{}
		c.events, c.parts = c.oneEvent[:0], c.onePart[:0]
	}
	a.seq++
	c.key, c.hash, c.stage, c.stream, c.seq = key, hash, s, stream, a.seq
	a.index.put(c)
	a.enlist(c)
	return c
}

func (a *Assembler) enlist(c *openCall) {
	c.state = stateOpen
	c.older = a.youngest
	if a.youngest != nil {
		a.youngest.younger = c
	} else {
		a.oldest = c
	}
	a.youngest = c
	a.open++
}

func (a *Assembler) delist(c *openCall) {
	if c.older != nil {
		c.older.younger = c.younger
	} else {
		a.oldest = c.younger
	}
	if c.younger != nil {
		c.younger.older = c.older
	} else {
		a.youngest = c.older
	}
	c.older, c.younger = nil, nil
	a.open--
}

// dueOf says when, in log time, a call closes.
func (a *Assembler) dueOf(c *openCall) int64 {
	if c.ended {
		return addTime(c.terminal, a.grace)
	}
	return addTime(c.newest, a.idle)
}

// addTime adds without overflow: timestamps come from outside.
func addTime(t, d int64) int64 {
	if d > 0 && t > math.MaxInt64-d {
		return math.MaxInt64
	}
	if d < 0 && t < math.MinInt64-d {
		return math.MinInt64
	}
	return t + d
}

// reschedule puts a call into its stage's queue, or moves it forward there if it
// closes earlier than was thought. One
// that closes later is put right when its turn comes.
func (a *Assembler) reschedule(c *openCall) {
	if due := a.dueOf(c); due < c.due || c.in == placeNone {
		c.stage.due.set(c, due)
	}
}

// closeDue closes the calls of s that are due at clock.
func (a *Assembler) closeDue(s *stage, clock int64) {
	for c := s.due.first(); c != nil && c.due <= clock; c = s.due.first() {
		if due := a.dueOf(c); due > c.due {
			s.due.set(c, due)
			continue
		}
		if a.linger > 0 && c.oneSided() {
			a.holdBack(c)
			continue
		}
		a.finish(c, false)
	}
}

// lingerer is a place in the queue of calls that are held back. It is void once
// the call was opened again.
type lingerer struct {
	c      *openCall
	ticket uint64
}

func (a *Assembler) holdBack(c *openCall) {
	c.stage.due.remove(c)
	a.delist(c)
	a.seq++
	c.state, c.ticket = stateLingering, a.seq
	a.waiting = append(a.waiting, lingerer{c, c.ticket})
	a.lingering++
	if a.lingering > a.linger {
		a.releaseOldest()
	}
}

func (a *Assembler) reopen(c *openCall) {
	a.lingering--
	c.ticket = 0
	a.enlist(c)
}

// releaseOldest closes the call that has been held back longest. At least one
// is held back.
func (a *Assembler) releaseOldest() {
	for i, w := range a.waiting {
		a.waiting[i] = lingerer{}
		if w.c == nil || w.c.state != stateLingering || w.c.ticket != w.ticket {
			continue
		}
		rest := a.waiting[i+1:]
		if cap(a.waiting) > 1024 && len(rest) < cap(a.waiting)/4 {
			rest = slices.Clone(rest)
		}
		a.waiting = rest
		a.finish(w.c, false)
		return
	}
	a.waiting = nil
}

// finish closes a call for good and builds its transaction.
func (a *Assembler) finish(c *openCall, evicted bool) {
	switch c.state {
	case stateOpen:
		c.stage.due.remove(c)
		a.delist(c)
	case stateLingering:
		a.lingering--
	case stateClosed:
		return
	}
	c.state = stateClosed
	a.bytes -= c.bytes
	a.unindex(c)
	c.call = a.build(c, evicted)
	a.remember(c)
	a.out = append(a.out, c)
}

func (a *Assembler) unindex(c *openCall) {
	a.index.remove(c)
	if c.inExtended {
		a.unextend(c)
	}
}

// extend puts a call into the index of extended ids. Two calls never share one.
func (a *Assembler) extend(c *openCall) {
	if a.byExt && c.ext != "" && c.key != c.ext && a.extended[c.ext] == nil {
		a.extended[c.ext] = c
		c.inExtended = true
	}
}

func (a *Assembler) unextend(c *openCall) {
	delete(a.extended, c.ext)
	c.inExtended = false
}

// remember keeps what is needed to know a closed call's later lines.
func (a *Assembler) remember(c *openCall) {
	flags := uint64(0)
	if c.ext != "" {
		flags |= flagExtended
	}
	if c.hasAccess {
		flags |= flagAccess
	}
	if c.ended {
		flags |= flagEnded
	}
	key := a.digest(c.stage, c.key)
	c.call.Key = key | flags
	entry := closedCall{newest: c.newest, ext: hash32(c.ext), stage: uint32(flags<<stageBits) | c.stage.number}
	a.closed.add(key, entry)
	if len(a.loose) > 0 && !c.stage.loose() {
		// A record that does not tell its stage is looked up without one.
		a.closed.add(looseDigest(c.stage, c.key), entry)
	}
}

// digest is the key of a call in what is remembered, without its flags.
func (a *Assembler) digest(s *stage, key string) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(s.seed)
	_, _ = d.WriteString(key)
	return d.Sum64() &^ flagBits
}

func looseDigest(s *stage, key string) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(s.looseSeed)
	_, _ = d.WriteString(key)
	return d.Sum64() &^ flagBits
}

func hash32(s string) uint32 {
	if s == "" {
		return 0
	}
	return uint32(xxhash.Sum64String(s)) | 1
}

func (a *Assembler) recycle(c *openCall) {
	events, parts, vars, spans := c.events, c.parts, c.vars, c.spans
	clear(events)
	clear(parts)
	clear(vars)
	gen := c.gen + 1
	*c = openCall{gen: gen}
	// Very large calls do not come back as empty room.
	if cap(events) <= 64 {
		c.events = events[:0]
	}
	if cap(vars) <= 96 {
		c.vars = vars[:0]
	}
	if cap(spans) <= 96 {
		c.spans = spans[:0]
	}
	c.parts = parts[:0]
	if len(a.free) < a.maxOpen/4+64 {
		a.free = append(a.free, c)
	}
}
