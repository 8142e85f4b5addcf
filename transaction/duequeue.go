package transaction

// dueCall is an open call in a queue, with what orders it: when it is due, and of
// those due together, which was first seen. That is kept beside the call, so that
// ordering does not read the calls themselves.
type dueCall struct {
	due int64
	seq uint64
	c   *openCall // nil if the place is void
}

func (x *dueCall) before(y *dueCall) bool {
	return x.due < y.due || x.due == y.due && x.seq < y.seq
}

// dueQueue gives the open calls of a stage in the order in which they are due.
// Most come in that order, and stand in the run; the others are in the heap. A
// call knows its place.
type dueQueue struct {
	run  []dueCall // in order from head on, void places too
	head int
	void int       // from head on
	heap []dueCall // 4-ary
}

// The places of a call; beside them, its index is kept.
const (
	placeNone uint8 = iota
	placeRun
	placeHeap
)

// first returns the call that is due first, or nil.
func (q *dueQueue) first() *openCall {
	switch {
	case q.head == len(q.run):
		if len(q.heap) == 0 {
			return nil
		}
		return q.heap[0].c
	case len(q.heap) > 0 && q.heap[0].before(&q.run[q.head]):
		return q.heap[0].c
	default:
		return q.run[q.head].c
	}
}

// set puts a call where it belongs by when it is due, whether it was in the queue
// or not.
func (q *dueQueue) set(c *openCall, due int64) {
	q.remove(c)
	c.due = due
	x := dueCall{due, c.seq, c}
	if n := len(q.run); n == 0 || !x.before(&q.run[n-1]) {
		if n == cap(q.run) && q.head+q.void > n/2 {
			q.compact()
		}
		c.in, c.pos = placeRun, len(q.run)
		q.run = append(q.run, x)
		return
	}
	c.in, c.pos = placeHeap, len(q.heap)
	q.heap = append(q.heap, x)
	q.up(c.pos)
}

// compact takes out the void places of the run.
func (q *dueQueue) compact() {
	kept := q.run[:0]
	for _, x := range q.run[q.head:] {
		if x.c != nil {
			x.c.pos = len(kept)
			kept = append(kept, x)
		}
	}
	clear(q.run[len(kept):])
	q.run, q.head, q.void = kept, 0, 0
}

// remove takes a call out, if it is in.
func (q *dueQueue) remove(c *openCall) {
	switch c.in {
	case placeRun:
		q.run[c.pos].c = nil
		q.void++
		for q.head < len(q.run) && q.run[q.head].c == nil {
			q.head++
			q.void--
		}
		if q.head == len(q.run) {
			q.run, q.head = q.run[:0], 0
		}
	case placeHeap:
		q.cut(c.pos)
	}
	c.in = placeNone
}

// cut takes a place out of the heap.
func (q *dueQueue) cut(i int) {
	last := len(q.heap) - 1
	moved := q.heap[last]
	q.heap[last] = dueCall{}
	q.heap = q.heap[:last]
	if i == last {
		return
	}
	q.heap[i] = moved
	moved.c.pos = i
	q.down(i)
	q.up(moved.c.pos)
}

func (q *dueQueue) up(i int) {
	h := q.heap
	x := h[i]
	for i > 0 {
		parent := (i - 1) / 4
		if !x.before(&h[parent]) {
			break
		}
		h[i] = h[parent]
		h[i].c.pos = i
		i = parent
	}
	h[i] = x
	x.c.pos = i
}

func (q *dueQueue) down(i int) {
	h := q.heap
	x := h[i]
	for {
		child := 4*i + 1
		if child >= len(h) {
			break
		}
		best := child
		for j := child + 1; j < min(child+4, len(h)); j++ {
			if h[j].before(&h[best]) {
				best = j
			}
		}
		if !h[best].before(&x) {
			break
		}
		h[i] = h[best]
		h[i].c.pos = i
		i = best
	}
	h[i] = x
	x.c.pos = i
}
