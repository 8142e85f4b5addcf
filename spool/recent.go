package spool

// maxRecent is how many digests each of the two generations of recent has; both
// together take about 100 MB at the most.
const maxRecent = 2 << 20

// recent remembers the digests of the events that were written last, in two
// generations: when the younger is full the older is forgotten. That is no
// promise. What slips through, as after a restart, the collector recognises.
type recent struct {
	young, old map[uint64]struct{}
}

func (r *recent) has(digest uint64) bool {
	if _, ok := r.young[digest]; ok {
		return true
	}
	_, ok := r.old[digest]
	return ok
}

// add remembers events that are safe.
func (r *recent) add(digests []uint64) {
	for _, d := range digests {
		if len(r.young) >= maxRecent || r.young == nil {
			r.young, r.old = make(map[uint64]struct{}), r.young
		}
		r.young[d] = struct{}{}
	}
}
