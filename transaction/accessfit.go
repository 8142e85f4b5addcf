package transaction

import (
	"math/bits"
	"strings"
)

// fitter finds all ways to take a line apart by a format, without trying them one
// by one: for each value it keeps the set of places where it can begin and the set
// of those where it can end. Its room is used again.
type fitter struct {
	words []uint64
}

// places is a set of indexes into a text, its end included.
type places []uint64

func (p places) has(i int) bool { return p[i>>6]>>(i&63)&1 != 0 }
func (p places) add(i int)      { p[i>>6] |= 1 << (i & 63) }

// single returns the only member; false if there are none or several.
func (p places) single() (int, bool) {
	at := -1
	for i, w := range p {
		switch {
		case w == 0:
		case at >= 0 || w&(w-1) != 0:
			return 0, false
		default:
			at = i<<6 + bits.TrailingZeros64(w)
		}
	}
	return at, at >= 0
}

// fit finds where the values of segments stand in a text, as place does. With
// empty, values of a certain length may be shorter or longer too.
func (x *fitter) fit(segments []segment, text string, at uint32, found []span, empty bool) bool {
	values := len(segments)
	size := len(text)>>6 + 1
	if need := 2 * values * size; cap(x.words) < need {
		x.words = make([]uint64, need)
	} else {
		x.words = x.words[:need]
		clear(x.words)
	}
	starts := func(n int) places { return x.words[2*n*size : (2*n+1)*size] }
	ends := func(n int) places { return x.words[(2*n+1)*size : (2*n+2)*size] }
	starts(0).add(0)
	for n := range values {
		s := &segments[n]
		last := n == values-1
		if !s.forward(text, starts(n), ends(n), last, empty) {
			return false
		}
		if last {
			break
		}
		next := starts(n + 1)
		for i, w := range ends(n) {
			for ; w != 0; w &= w - 1 {
				next.add(i<<6 + bits.TrailingZeros64(w) + len(s.literal))
			}
		}
	}
	for n := values - 1; n >= 0; n-- {
		s := &segments[n]
		s.backward(text, starts(n), ends(n), empty)
		if n == 0 {
			break
		}
		before, literal := ends(n-1), len(segments[n-1].literal)
		clear(before)
		for i, w := range starts(n) {
			for ; w != 0; w &= w - 1 {
				before.add(i<<6 + bits.TrailingZeros64(w) - literal)
			}
		}
	}
	for n := range found {
		from, one := starts(n).single()
		to, only := ends(n).single()
		field := segments[n].field
		if !one || !only {
			found[n] = span{1, 0, field}
			continue
		}
		found[n] = span{at + uint32(from), at + uint32(to), field}
	}
	return true
}

// forward finds the places where a value can end that begins at one of starts: the
// last value only at the end, all others where their literal stands. It returns
// false if there are none.
func (s *segment) forward(text string, starts, ends places, last, empty bool) bool {
	c := s.class
	found := false
	from := -1 // where the value can begin latest, with nothing since that it cannot hold
	for e := 0; e <= len(text); e++ {
		if c.any || empty {
			if starts.has(e) {
				from = e
			}
		}
		if last && e == len(text) || !last && strings.HasPrefix(text[e:], s.literal) {
			ok := from >= 0
			if c.length > 0 && !empty {
				ok = e >= c.length && starts.has(e-c.length) && c.accepts(text[e-c.length:e], false)
			}
			if ok || e > 0 && text[e-1] == '-' && starts.has(e-1) {
				ends.add(e)
				found = true
			}
		}
		if c.any || e == len(text) {
			continue
		}
		switch {
		case !c.bytes[text[e]]:
			from = -1
		case starts.has(e):
			from = e
		}
	}
	return found
}

// backward keeps of starts those from which a value can end at one of ends.
func (s *segment) backward(text string, starts, ends places, empty bool) {
	c := s.class
	to := -1 // where the value can end first, with nothing before that it cannot hold
	for b := len(text); b >= 0; b-- {
		if b < len(text) && !c.any && !c.bytes[text[b]] {
			to = -1
		}
		if (c.any || empty) && ends.has(b) {
			to = b
		}
		if starts.has(b) {
			ok := to >= 0
			if c.length > 0 && !empty {
				ok = b+c.length <= len(text) && ends.has(b+c.length) && c.accepts(text[b:b+c.length], false)
			}
			if !ok && (b == len(text) || text[b] != '-' || !ends.has(b+1)) {
				starts[b>>6] &^= 1 << (b & 63)
			}
		}
		if !c.any && ends.has(b) {
			to = b
		}
	}
}
