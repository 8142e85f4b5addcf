package collect

import (
	"cmp"
	"slices"
)

// agedMinute is what is remembered of a minute of timestamps that both readings
// have passed, for as long as the check may read it again.
type agedMinute struct {
	parts  []prints
	n      int      // events in parts
	calls  []uint64 // Call.Key of those that ended in it
	newest int64    // the last event of those
}

func (a *agedMinute) has(digest uint64) bool {
	for _, p := range a.parts {
		if p.has(digest) {
			return true
		}
	}
	return false
}

// prints is a set of digests that is made once and takes about 4.6 bytes for
// each: an open-addressing table of the lower halves, in which the upper half
// says where to look. Of 10^8 digests that are not in it, about one seems to be.
type prints []uint32

// newPrints makes a set of digests.
func newPrints(digests []uint64) prints {
	if len(digests) == 0 {
		return nil
	}
	p := make(prints, len(digests)+len(digests)/7+1)
	for _, d := range digests {
		i, low := p.home(d)
		for p[i] != 0 && p[i] != low {
			i++
			if i == len(p) {
				i = 0
			}
		}
		p[i] = low
	}
	return p
}

// home is where a digest stands if nothing is in its way, and what stands there.
func (p prints) home(d uint64) (i int, low uint32) {
	low = uint32(d)
	if low == 0 {
		low = 1 // 0 is a free place
	}
	d *= 0x9e3779b97f4a7c15
	return int((d >> 32) * uint64(len(p)) >> 32), low
}

func (p prints) has(d uint64) bool {
	if len(p) == 0 {
		return false
	}
	i, low := p.home(d)
	// A saved set that was damaged may have no free place.
	for range p {
		switch p[i] {
		case low:
			return true
		case 0:
			return false
		}
		i++
		if i == len(p) {
			i = 0
		}
	}
	return false
}

// len counts the digests in the set.
func (p prints) len() int {
	n := 0
	for _, v := range p {
		if v != 0 {
			n++
		}
	}
	return n
}

// digests are the members of the set, in no order.
func (s *digestSet) digests(dst []uint64) []uint64 {
	dst = slices.Grow(dst, s.len)
	for _, d := range s.slots {
		if d != 0 {
			dst = append(dst, d)
		}
	}
	return dst
}

// age makes the minutes before a time, which begins a minute, aged ones. It
// returns what is to be saved of each.
func (s *seen) age(before int64) (saved []AgedMinute) {
	var digests []uint64
	for m, set := range s.minutes {
		if m*minute >= before {
			continue
		}
		digests = set.digests(digests[:0])
		saved = append(saved, AgedMinute{Minute: m * minute, Events: newPrints(digests)})
		delete(s.minutes, m)
	}
	slices.SortFunc(saved, func(a, b AgedMinute) int { return cmp.Compare(a.Minute, b.Minute) })
	for i := range saved {
		s.keepAged(&saved[i])
	}
	return saved
}

// keepAged takes in what was saved of a minute, or a part of it.
func (s *seen) keepAged(a *AgedMinute) {
	if s.aged == nil {
		s.aged = make(map[int64]*agedMinute)
	}
	m := s.aged[a.Minute]
	if m == nil {
		m = &agedMinute{}
		s.aged[a.Minute] = m
	}
	if len(a.Events) > 0 {
		p := prints(a.Events)
		m.parts = append(m.parts, p)
		n := p.len()
		m.n += n
		s.agedLen += n
	}
	m.calls = append(m.calls, a.Calls...)
	m.newest = max(m.newest, a.Minute, a.Newest)
}

// forgetAged drops the aged minutes before a time.
func (s *seen) forgetAged(before int64) {
	for at, m := range s.aged {
		if at < before {
			s.agedLen -= m.n
			delete(s.aged, at)
		}
	}
}

// agedBetween counts the aged digests of [from, to).
func (s *seen) agedBetween(from, to int64) (n int64) {
	for at, m := range s.aged {
		if at+minute > from && at < to {
			n += int64(m.n)
		}
	}
	return n
}

// oldestAged is the first aged minute; ok is false if there is none.
func (s *seen) oldestAged() (at int64, ok bool) {
	at = maxTime
	for m := range s.aged {
		at, ok = min(at, m), true
	}
	return at, ok
}
