package transaction

import (
	"testing"

	"pgregory.net/rapid"
)

// TestClosedCalls holds the table against a map: what was added last is found
// until its time is forgotten, and nothing else is.
func TestClosedCalls(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var c closedCalls
		c.init()
		model := map[uint64]closedCall{}
		keys := rapid.SliceOfN(rapid.Uint64(), 1, 40).Draw(t, "keys")
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.IntRange(0, 5).Draw(t, "what") == 0 {
				before := rapid.Int64Range(-4, 40).Draw(t, "before") << closedSpan
				c.forget(before)
				for key, call := range model {
					if call.newest>>closedSpan < before>>closedSpan {
						delete(model, key)
					}
				}
			} else {
				// Neighbours too, so that the table grows.
				key := rapid.SampledFrom(keys).Draw(t, "key")
				newest := rapid.Int64Range(-4<<closedSpan, 40<<closedSpan).Draw(t, "newest")
				for i := range uint64(rapid.IntRange(1, 300).Draw(t, "many")) {
					call := closedCall{newest: newest, ext: uint32(i)}
					c.add(key+i*8, call)
					model[key+i*8] = call
				}
			}
			if c.live != len(model) {
				t.Fatalf("%d live, want %d", c.live, len(model))
			}
			for _, key := range keys {
				for i := range uint64(4) {
					got, ok := c.get(key + i*8)
					if want, known := model[key+i*8]; ok != known || got != want {
						t.Fatalf("got %v %v, want %v %v", got, ok, want, known)
					}
				}
			}
		}
		c.forget(41 << closedSpan)
		if c.live != 0 || len(c.buckets) != 0 {
			t.Fatalf("%d live, %d buckets", c.live, len(c.buckets))
		}
	})
}

func TestClosedCallsAreBounded(t *testing.T) {
	t.Parallel()
	var c closedCalls
	c.init()
	for i := range uint64(maxClosed + 10) {
		c.add(i<<3, closedCall{newest: int64(i)})
	}
	if c.live > maxClosed/2+1<<closedSpan || c.live < maxClosed/4 {
		t.Errorf("%d are remembered", c.live)
	}
	if _, ok := c.get((maxClosed + 9) << 3); !ok {
		t.Error("the youngest was forgotten")
	}
	if _, ok := c.get(0); ok {
		t.Error("the oldest is remembered")
	}
}
