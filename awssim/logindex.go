package awssim

import "sort"

// keyed is an element of an index.
type keyed interface{ at() key }

// chunkSize bounds what an insertion out of order has to move.
const chunkSize = 512

// index keeps elements sorted by key in chunks, so that appending at the end
// is cheap, inserting late is not dear, and any place is found by two binary
// searches.
type index[E keyed] struct {
	chunks [][]E
	size   int
}

// place is a position in an index, before the element that it names.
type place struct{ chunk, i int }

// insert puts e where its key says.
func (x *index[E]) insert(e E) {
	x.size++
	k := e.at()
	last := len(x.chunks) - 1
	if last >= 0 {
		c := x.chunks[last]
		if c[len(c)-1].at().less(k) {
			if len(c) < chunkSize {
				x.chunks[last] = append(c, e)
				return
			}
			last = -1 // a full last chunk: begin another
		}
	}
	if last < 0 {
		x.chunks = append(x.chunks, append(make([]E, 0, x.firstCap()), e))
		return
	}
	// The chunk that the key falls into, or the first one.
	ci := sort.Search(len(x.chunks), func(i int) bool { return k.less(x.chunks[i][0].at()) }) - 1
	ci = max(ci, 0)
	c := x.chunks[ci]
	i := sort.Search(len(c), func(i int) bool { return k.less(c[i].at()) })
	if len(c) >= chunkSize {
		half := len(c) / 2
		right := append(make([]E, 0, chunkSize), c[half:]...)
		clear(c[half:])
		x.chunks[ci] = c[:half]
		x.chunks = append(x.chunks, nil)
		copy(x.chunks[ci+2:], x.chunks[ci+1:])
		x.chunks[ci+1] = right
		if i > half {
			ci, i = ci+1, i-half
		}
		c = x.chunks[ci]
	}
	c = append(c, e)
	copy(c[i+1:], c[i:])
	c[i] = e
	x.chunks[ci] = c
}

// firstCap keeps small indexes, as those of streams with few events, small.
func (x *index[E]) firstCap() int {
	if len(x.chunks) == 0 {
		return 8
	}
	return chunkSize
}

// seek finds the first element whose key is not less than k.
func (x *index[E]) seek(k key) place {
	ci := sort.Search(len(x.chunks), func(i int) bool { return k.less(x.chunks[i][0].at()) }) - 1
	if ci < 0 {
		return place{}
	}
	c := x.chunks[ci]
	i := sort.Search(len(c), func(i int) bool { return !c[i].at().less(k) })
	if i == len(c) {
		return place{ci + 1, 0}
	}
	return place{ci, i}
}

// get returns the element at p; ok is false at the end.
func (x *index[E]) get(p place) (e *E, ok bool) {
	if p.chunk < 0 || p.chunk >= len(x.chunks) {
		return nil, false
	}
	return &x.chunks[p.chunk][p.i], true
}

// next is the place after p.
func (x *index[E]) next(p place) place {
	if p.i+1 < len(x.chunks[p.chunk]) {
		return place{p.chunk, p.i + 1}
	}
	return place{p.chunk + 1, 0}
}

// prev is the place before p; its chunk is -1 before the first.
func (x *index[E]) prev(p place) place {
	if p.i > 0 {
		return place{p.chunk, p.i - 1}
	}
	if p.chunk == 0 {
		return place{-1, 0}
	}
	return place{p.chunk - 1, len(x.chunks[p.chunk-1]) - 1}
}

// popBefore removes all elements whose key is less than k and hands each to
// drop.
func (x *index[E]) popBefore(k key, drop func(e *E)) {
	whole := 0
	for whole < len(x.chunks) {
		c := x.chunks[whole]
		n := len(c)
		if !c[n-1].at().less(k) {
			n = sort.Search(n, func(i int) bool { return !c[i].at().less(k) })
		}
		for i := range n {
			drop(&c[i])
		}
		x.size -= n
		if n < len(c) {
			if n > 0 {
				// Copied, so that the memory of what went before is freed.
				x.chunks[whole] = append(make([]E, 0, chunkSize), c[n:]...)
			}
			break
		}
		whole++
	}
	if whole > 0 {
		rest := copy(x.chunks, x.chunks[whole:])
		clear(x.chunks[rest:])
		x.chunks = x.chunks[:rest]
	}
}
