// Package tail shows calls as they are delivered: a Hub watches the collector
// and lets any number of readers follow, each with a filter of its own. What
// comes by was redacted before it was assembled into a call.
//
// Nothing here waits for a reader. The hub keeps the latest calls in one ring;
// each reader has a place in it, and one that falls behind the ring goes on at
// its end and is told how many calls it missed.
package tail

import (
	"errors"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// ErrTooManyReaders is returned by Subscribe when MaxReaders follow already.
var ErrTooManyReaders = errors.New("too many readers follow the live tail already; close one")

// Options are what a Hub needs; the zero value is usable.
type Options struct {
	// Keep is how many of the latest calls the ring holds; 0: 4,096.
	Keep int
	// KeepBytes bounds the ring's memory, estimated; 0: 16 MB. The latest call
	// is kept whatever its size.
	KeepBytes int64
	// MaxReaders bounds who may follow at one time; 0: 64.
	MaxReaders int
	// Registerer receives the metrics; nil: none.
	Registerer prometheus.Registerer
}

// Hub is a collect.Observer that lets readers follow what is delivered. It is
// safe for concurrent use and starts no goroutine.
type Hub struct {
	maxReaders int
	maxBytes   int64
	skipped    prometheus.Counter

	mu sync.RWMutex
	// ring holds the calls numbered [first, next), each at its number modulo
	// the ring's length.
	ring        []entry
	first, next uint64
	bytes       int64
	readers     int
	// news is closed and replaced when a call comes while somebody waits.
	news chan struct{}
}

type entry struct {
	call *transaction.Transaction
	size int64
}

var _ collect.Observer = (*Hub)(nil)

// New returns an empty Hub.
func New(o Options) *Hub {
	if o.Keep <= 0 {
		o.Keep = 4096
	}
	if o.KeepBytes <= 0 {
		o.KeepBytes = 16 << 20
	}
	if o.MaxReaders <= 0 {
		o.MaxReaders = 64
	}
	with := promauto.With(o.Registerer)
	h := &Hub{
		maxReaders: o.MaxReaders, maxBytes: o.KeepBytes, ring: make([]entry, o.Keep), news: make(chan struct{}),
		skipped: with.NewCounter(prometheus.CounterOpts{
			Name: "gatehouse_tail_skipped_calls_total",
			Help: "Calls that readers of the live tail were not shown because they could not follow.",
		}),
	}
	with.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "gatehouse_tail_readers",
		Help: "Readers that follow the live tail.",
	}, func() float64 {
		h.mu.RLock()
		defer h.mu.RUnlock()
		return float64(h.readers)
	})
	return h
}

// Observe takes delivered calls. It never waits for a reader: its work is the
// same however many follow.
func (h *Hub) Observe(batch []*transaction.Transaction) {
	if len(batch) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if over := len(batch) - len(h.ring); over > 0 {
		// They would be overwritten by the rest of the batch; who follows has
		// missed them all the same.
		h.drop(h.next)
		h.first += uint64(over)
		h.next = h.first
		batch = batch[over:]
	}
	for _, t := range batch {
		if t == nil {
			continue
		}
		size := sizeOf(t)
		if h.next-h.first == uint64(len(h.ring)) {
			h.drop(h.first + 1)
		}
		for h.first < h.next && h.bytes+size > h.maxBytes {
			h.drop(h.first + 1)
		}
		h.ring[h.next%uint64(len(h.ring))] = entry{t, size}
		h.bytes += size
		h.next++
	}
	if h.readers > 0 {
		close(h.news)
		h.news = make(chan struct{})
	}
}

// drop forgets the calls before to, so that nothing keeps their memory.
func (h *Hub) drop(to uint64) {
	for ; h.first < to; h.first++ {
		e := &h.ring[h.first%uint64(len(h.ring))]
		h.bytes -= e.size
		*e = entry{}
	}
}

// Changes returns nil: what comes by here is not saved.
func (*Hub) Changes() any { return nil }

// Latest returns at most n of the kept calls that match, the youngest first.
func (h *Hub) Latest(m *Match, n int) []*transaction.Transaction {
	calls, _ := h.copy(0)
	var out []*transaction.Transaction
	for i := len(calls) - 1; i >= 0 && len(out) < n; i-- {
		if m.Matches(calls[i]) {
			out = append(out, calls[i])
		}
	}
	return out
}

// Find returns a kept call by its id; nil if it is not kept, or no longer.
func (h *Hub) Find(id string) *transaction.Transaction {
	h.mu.RLock()
	defer h.mu.RUnlock()
	// The young ones are asked for most.
	for n := h.next; n > h.first; n-- {
		if t := h.ring[(n-1)%uint64(len(h.ring))].call; t.ID == id {
			return t
		}
	}
	return nil
}

// Seen returns how many calls came by since the start.
func (h *Hub) Seen() uint64 {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.next
}

// copy returns the kept calls from number from on, and the number after them.
// Readers filter the copy without the lock, so that a slow filter cannot hold
// up collecting.
func (h *Hub) copy(from uint64) ([]*transaction.Transaction, uint64) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	from = max(from, h.first)
	out := make([]*transaction.Transaction, 0, h.next-from)
	for n := from; n < h.next; n++ {
		out = append(out, h.ring[n%uint64(len(h.ring))].call)
	}
	return out, h.next
}

// sizeOf estimates what a call takes in memory, in bytes.
func sizeOf(t *transaction.Transaction) int64 {
	// A call's fixed part and short texts, then what may be long. API Gateway
	// takes at most 10,240 bytes of headers; names and values are guessed.
	const fixed, header = 1024, 96
	n := fixed + len(t.Path) + len(t.UserAgent) + header*len(t.Query)
	if r := t.Request; r != nil {
		n += len(r.Body) + header*len(r.Headers)
	}
	if r := t.Response; r != nil {
		n += len(r.Body) + header*len(r.Headers)
	}
	return int64(n)
}
