package collect

import (
	"math"
	"math/bits"
)

// bucketSpan is how much event time, in milliseconds, one digest set covers.
const bucketSpan = 60_000

// seen remembers the digests of the events that were read and may be read
// again. An event always carries the same timestamp, so only the set of its own
// minute is asked. Digests that came out of the saved state have lost their
// timestamps and stand in a set of their own until all are old.
type seen struct {
	minutes        map[int64]*digestSet
	restored       digestSet
	restoredNewest int64

	// aged are the minutes that only the check may read again, by their
	// beginning in milliseconds; agedLen counts the digests in them.
	aged    map[int64]*agedMinute
	agedLen int
}

// add keeps the event. It reports whether it was never there before, and whether
// this life of the collector reads it for the first time.
func (s *seen) add(timestamp int64, digest uint64) (fresh, first bool) {
	minute := floorDiv(timestamp, bucketSpan)
	if a := s.aged[minute*bucketSpan]; a != nil && a.has(digest) {
		return false, false
	}
	first = s.keep(minute, digest)
	return first && !s.restored.has(digest), first
}

// has reports whether the event was read before.
func (s *seen) has(timestamp int64, digest uint64) bool {
	minute := floorDiv(timestamp, bucketSpan)
	if a := s.aged[minute*bucketSpan]; a != nil && a.has(digest) {
		return true
	}
	if set := s.minutes[minute]; set != nil && set.has(digest) {
		return true
	}
	return s.restored.has(digest)
}

func (s *seen) keep(minute int64, digest uint64) bool {
	set := s.minutes[minute]
	if set == nil {
		if s.minutes == nil {
			s.minutes = make(map[int64]*digestSet)
		}
		set = &digestSet{}
		s.minutes[minute] = set
	}
	return set.add(digest)
}

// elsewhere reports whether an event was there in another minute than this one.
// Only an event that was pushed can have been: sent again, it arrives anew.
func (s *seen) elsewhere(timestamp int64, digest uint64) bool {
	here := floorDiv(timestamp, bucketSpan)
	for minute, set := range s.minutes {
		if minute != here && set.has(digest) {
			return true
		}
	}
	return false
}

// restore takes in a segment of the saved state.
func (s *seen) restore(newest int64, digests []uint64) {
	for _, d := range digests {
		s.restored.add(d)
	}
	s.restoredNewest = max(s.restoredNewest, newest)
}

// forget drops what lies before a time that will not be read again.
func (s *seen) forget(before int64) {
	for minute := range s.minutes {
		if (minute+1)*bucketSpan <= before {
			delete(s.minutes, minute)
		}
	}
	s.forgetRestored(before)
}

func (s *seen) forgetRestored(before int64) {
	// Their minutes are not known, and an event that was pushed again may stand a
	// little later than the one that was saved.
	if s.restored.len > 0 && s.restoredNewest < before-2*bucketSpan {
		s.restored = digestSet{}
		s.restoredNewest = math.MinInt64
	}
}

// size counts the digests. Those that are aged take a third of the memory and
// count as that.
func (s *seen) size() int {
	n := s.restored.len + s.agedLen/3
	for _, set := range s.minutes {
		n += set.len
	}
	return n
}

// bytes is the memory that the digests take.
func (s *seen) bytes() int {
	n := 8 * cap(s.restored.slots)
	for _, set := range s.minutes {
		n += 8 * cap(set.slots)
	}
	return n
}

// minutes are digests of calls by the minute of their last event.
type minutes map[int64]*digestSet

// has asks every minute: the two halves of a call do not end at the same time.
func (m minutes) has(digest uint64) bool {
	for _, set := range m {
		if set.has(digest) {
			return true
		}
	}
	return false
}

func (m minutes) add(newest int64, digest uint64) {
	minute := floorDiv(newest, bucketSpan)
	set := m[minute]
	if set == nil {
		set = &digestSet{}
		m[minute] = set
	}
	set.add(digest)
}

// forget drops the minutes that ended before.
func (m minutes) forget(before int64) {
	for minute := range m {
		if (minute+1)*bucketSpan <= before {
			delete(m, minute)
		}
	}
}

// digestSet is an open-addressing set of 64-bit digests: a map[uint64]struct{}
// would take two to three times the memory. It holds at most 3/4 of its slots.
type digestSet struct {
	slots []uint64 // 0 is free; a digest of 0 is kept as 1
	len   int
	shift uint8 // 64 - log2(len(slots))
}

// home is where d stands if nothing is in its way. The multiplication spreads
// digests whose low bits are alike.
func (s *digestSet) home(d uint64) uint64 { return d * 0x9e3779b97f4a7c15 >> s.shift }

func (s *digestSet) has(d uint64) bool {
	if s.len == 0 {
		return false
	}
	if d == 0 {
		d = 1
	}
	mask := uint64(len(s.slots) - 1)
	for i := s.home(d); ; i = (i + 1) & mask {
		switch s.slots[i] {
		case d:
			return true
		case 0:
			return false
		}
	}
}

// add reports whether d was not in the set.
func (s *digestSet) add(d uint64) bool {
	if d == 0 {
		d = 1
	}
	if 4*(s.len+1) > 3*len(s.slots) {
		s.grow()
	}
	mask := uint64(len(s.slots) - 1)
	for i := s.home(d); ; i = (i + 1) & mask {
		switch s.slots[i] {
		case d:
			return false
		case 0:
			s.slots[i] = d
			s.len++
			return true
		}
	}
}

func (s *digestSet) grow() {
	old := s.slots
	s.slots = make([]uint64, max(16, 2*len(old)))
	s.shift = uint8(64 - bits.TrailingZeros(uint(len(s.slots))))
	mask := uint64(len(s.slots) - 1)
	for _, d := range old {
		if d == 0 {
			continue
		}
		i := s.home(d)
		for s.slots[i] != 0 {
			i = (i + 1) & mask
		}
		s.slots[i] = d
	}
}

// floorDiv divides rounding down, for times before the epoch too.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
