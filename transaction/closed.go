package transaction

import (
	"hash/maphash"
	"math"
	"math/bits"
	"slices"
)

// A closed call is remembered by a digest whose lowest bits say what was seen of
// it, so that one number in the State is enough to judge its later lines.
const (
	flagExtended = 1 << iota // its extended request id is known
	flagAccess               // it has an access record
	flagEnded                // it has a completion line
	flagBits     = 1<<iota - 1

	stageBits = 29 // of closedCall.stage; the flags are above

	// maxClosed bounds what is remembered where nobody calls Forget.
	maxClosed = 2 << 20
	// closedSpan is the width of a bucket in milliseconds, as a power of two.
	closedSpan = 14
	// minClosedTable is the smallest table, a power of two.
	minClosedTable = 1 << 10
)

// closedCall is what is remembered of a closed call.
type closedCall struct {
	newest int64
	ext    uint32 // hash of the extended request id; 0 if not known
	stage  uint32 // flags<<stageBits | number of the stage
}

func (c closedCall) has(flag uint32) bool { return c.stage>>stageBits&flag != 0 }

// closedCalls is a table by open addressing, without pointers, so that the
// collector of garbage does not walk millions of entries. Entries are forgotten
// by time: what is older than the floor counts as absent, and leaves the table
// when that has become worth the walk.
type closedCalls struct {
	tags  []uint8 // a byte of each entry's hash, so that a key that is absent costs one look; 0 is an empty place
	table []closedEntry
	shift uint   // of a product with mix, to an index
	mix   uint64 // odd and not foreseen: callers choose the ids that keys are made of
	live  int
	dead  int // entries below the floor
	floor int64

	buckets map[int64]int // live entries by bucket, without those of last
	last    int           // live entries of the bucket added to last, which is at
	at      int64
}

type closedEntry struct {
	key uint64
	closedCall
}

func (c *closedCalls) init() {
	c.mix = maphash.String(maphash.MakeSeed(), "") | 1
	c.buckets = map[int64]int{}
	c.resize(minClosedTable)
}

func (c *closedCalls) resize(size int) {
	tags, table := c.tags, c.table
	c.tags, c.table = make([]uint8, size), make([]closedEntry, size)
	c.shift = uint(64 - bits.TrailingZeros(uint(size)))
	for i := range table {
		if e := &table[i]; tags[i] != 0 && e.bucket() >= c.floor {
			at, tag, _ := c.place(e.key)
			c.tags[at], c.table[at] = tag, *e
		}
	}
	c.floor, c.dead = math.MinInt64, 0
}

func (e *closedEntry) bucket() int64 { return e.newest >> closedSpan }

// place finds the entry of a key, or the empty place where it would be.
func (c *closedCalls) place(key uint64) (at uint64, tag uint8, found bool) {
	mask := uint64(len(c.tags) - 1)
	hash := key * c.mix
	tag = uint8(hash>>8) | 1
	for at = hash >> c.shift; ; at = (at + 1) & mask {
		switch c.tags[at] {
		case 0:
			return at, tag, false
		case tag:
			if c.table[at].key == key {
				return at, tag, true
			}
		}
	}
}

func (c *closedCalls) get(key uint64) (closedCall, bool) {
	if c.live == 0 {
		return closedCall{}, false
	}
	at, _, found := c.place(key)
	if !found || c.table[at].bucket() < c.floor {
		return closedCall{}, false
	}
	return c.table[at].closedCall, true
}

func (c *closedCalls) add(key uint64, call closedCall) {
	bucket := call.newest >> closedSpan
	if bucket < c.floor {
		c.resize(len(c.table)) // there is no floor any more
	}
	if (c.live+c.dead+1)*4 > len(c.table)*3 {
		c.resize(tableSize(c.live + 1))
	}
	at, tag, found := c.place(key)
	switch e := &c.table[at]; {
	case !found:
	case e.bucket() < c.floor:
		c.dead--
	default:
		c.count(e.bucket(), -1)
	}
	c.tags[at], c.table[at] = tag, closedEntry{key, call}
	c.count(bucket, 1)
	if c.live > maxClosed {
		c.shrink()
	}
}

// tableSize is a power of two of which n entries take half at most.
func tableSize(n int) int {
	size := minClosedTable
	for size < 2*n {
		size *= 2
	}
	return size
}

// count changes the number of entries in a bucket.
func (c *closedCalls) count(bucket int64, by int) {
	if bucket != c.at {
		c.settle()
		c.at = bucket
	}
	c.last += by
	c.live += by
}

// settle puts the count of the last bucket to the others.
func (c *closedCalls) settle() {
	if c.last == 0 {
		return
	}
	if n := c.buckets[c.at] + c.last; n != 0 {
		c.buckets[c.at] = n
	} else {
		delete(c.buckets, c.at)
	}
	c.last = 0
}

func (c *closedCalls) forget(before int64) {
	c.settle()
	limit := before >> closedSpan
	for bucket := range c.buckets {
		if bucket < limit {
			c.drop(bucket)
		}
	}
	c.raise(limit)
}

func (c *closedCalls) drop(bucket int64) {
	n := c.buckets[bucket]
	delete(c.buckets, bucket)
	c.live -= n
	c.dead += n
}

// raise makes limit the floor. The entries of all buckets below it were dropped.
func (c *closedCalls) raise(limit int64) {
	if c.dead == 0 {
		return
	}
	c.floor = max(c.floor, limit)
	switch {
	case c.live == 0 && len(c.table) <= minClosedTable*64:
		clear(c.tags)
		c.floor, c.dead = math.MinInt64, 0
	case c.dead*4 > c.live:
		c.resize(max(tableSize(c.live), len(c.table)/4))
	}
}

// shrink forgets the older half.
func (c *closedCalls) shrink() {
	c.settle()
	order := make([]int64, 0, len(c.buckets))
	for bucket := range c.buckets {
		order = append(order, bucket)
	}
	slices.Sort(order)
	limit := int64(math.MinInt64)
	for _, bucket := range order {
		if c.live <= maxClosed/2 {
			break
		}
		c.drop(bucket)
		limit = bucket + 1
	}
	c.raise(limit)
}
