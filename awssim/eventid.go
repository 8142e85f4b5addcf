package awssim

import (
	"errors"
	"math/big"
	"math/bits"
	"sync/atomic"
)

// key orders log events as CloudWatch Logs does: by timestamp, then by the
// order in which they were taken in.
type key struct {
	ts  int64  // milliseconds since the epoch
	seq uint64 // order of ingestion over the whole Sim, from 1
}

func (k key) less(o key) bool { return k.ts < o.ts || k.ts == o.ts && k.seq < o.seq }

// at makes a bare key an element of an index.
func (k key) at() key { return k }

// sequence hands out ingestion numbers.
type sequence struct{ n atomic.Uint64 }

// take reserves n consecutive numbers and returns the first.
func (s *sequence) take(n int) uint64 {
	return s.n.Add(uint64(n)) - uint64(n) + 1
}

const eventIDDigits = 56

// appendEventID appends the 56-digit eventId of a key. As in real event ids the
// number is the timestamp times 2^144 plus something that grows with ingestion
// within a millisecond, so event ids sort as events do.
func appendEventID(b []byte, k key) []byte {
	// The number's words, most significant first: the low 144 bits hold the
	// sequence number, times 2^64, and a mix of it, which keeps neighbours from
	// looking like a counter.
	w := [3]uint64{uint64(k.ts) << 16, k.seq, mix(k.seq ^ uint64(k.ts))}
	var digits [eventIDDigits]byte
	end := eventIDDigits
	for end > 0 {
		// Divide the number by 10^18 and write the rest.
		var rest uint64
		for i := range w {
			w[i], rest = bits.Div64(rest, w[i], 1e18)
		}
		for i := 0; i < 18 && end > 0; i++ {
			end--
			digits[end] = byte('0' + rest%10)
			rest /= 10
		}
	}
	return append(b, digits[:]...)
}

func eventID(k key) string { return string(appendEventID(nil, k)) }

var errEventID = errors.New("not an event id")

// parseEventID finds the key of an eventId.
func parseEventID(s string) (key, error) {
	if len(s) != eventIDDigits {
		return key{}, errEventID
	}
	for i := range s {
		if s[i] < '0' || s[i] > '9' {
			return key{}, errEventID
		}
	}
	n, ok := new(big.Int).SetString(s, 10)
	if !ok {
		return key{}, errEventID
	}
	low := new(big.Int).And(new(big.Int).Rsh(n, 64), new(big.Int).SetUint64(1<<64-1))
	ts := new(big.Int).Rsh(n, 144)
	if !ts.IsInt64() {
		return key{}, errEventID
	}
	return key{ts: ts.Int64(), seq: low.Uint64()}, nil
}

// mix is the finalizer of splitmix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
