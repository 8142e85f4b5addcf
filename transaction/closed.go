package transaction

import "slices"

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
)

// closedCall is what is remembered of a closed call. It holds no pointer, so
// that the collector of garbage does not walk millions of them.
type closedCall struct {
	newest int64
	ext    uint32 // hash of the extended request id; 0 if not known
	stage  uint32 // flags<<stageBits | number of the stage
}

func (c closedCall) has(flag uint32) bool { return c.stage>>stageBits&flag != 0 }

type closedCalls struct {
	calls   map[uint64]closedCall
	buckets map[int64][]uint64 // keys by newest
	last    []uint64           // the bucket added to last, which belongs at at
	at      int64
}

func (c *closedCalls) init() {
	c.calls = map[uint64]closedCall{}
	c.buckets = map[int64][]uint64{}
}

func (c *closedCalls) add(key uint64, call closedCall) {
	c.calls[key] = call
	bucket := call.newest >> closedSpan
	if bucket != c.at || c.last == nil {
		if c.last != nil {
			c.buckets[c.at] = c.last
		}
		c.at, c.last = bucket, c.buckets[bucket]
	}
	c.last = append(c.last, key)
	if len(c.calls) > maxClosed {
		c.shrink()
	}
}

// settle puts the last bucket to the others.
func (c *closedCalls) settle() {
	if c.last != nil {
		c.buckets[c.at], c.last = c.last, nil
	}
}

func (c *closedCalls) forget(before int64) {
	c.settle()
	for bucket := range c.buckets {
		if bucket < before>>closedSpan {
			c.drop(bucket)
		}
	}
}

func (c *closedCalls) drop(bucket int64) {
	for _, key := range c.buckets[bucket] {
		if call, ok := c.calls[key]; ok && call.newest>>closedSpan == bucket {
			delete(c.calls, key)
		}
	}
	delete(c.buckets, bucket)
}

// shrink forgets the older half.
func (c *closedCalls) shrink() {
	c.settle()
	order := make([]int64, 0, len(c.buckets))
	for bucket := range c.buckets {
		order = append(order, bucket)
	}
	slices.Sort(order)
	for _, bucket := range order {
		if len(c.calls) <= maxClosed/2 {
			return
		}
		c.drop(bucket)
	}
}
