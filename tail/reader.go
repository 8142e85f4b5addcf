package tail

import (
	"context"
	"sync"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// Batch is what a reader is given at one time.
type Batch struct {
	// Calls match the reader's filter, in the order of their delivery.
	Calls []*transaction.Transaction
	// Skipped counts calls that came before Calls and are not shown: those that
	// left the ring before this reader looked at them, of which nobody knows
	// whether they match, and those that match and are more than were asked for.
	Skipped uint64
	// At is the number of calls that came by until now; Seek goes on there.
	At uint64
}

// Reader follows a Hub. It is used by one goroutine.
type Reader struct {
	hub   *Hub
	match *Match
	// at is the number of the next call to look at.
	at   uint64
	done sync.Once
}

// Subscribe returns a Reader of the calls that match from now on. Its Close
// must be called. It returns ErrTooManyReaders when MaxReaders follow already.
func (h *Hub) Subscribe(m *Match) (*Reader, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.readers >= h.maxReaders {
		return nil, ErrTooManyReaders
	}
	h.readers++
	return &Reader{hub: h, match: m, at: h.next}, nil
}

// Rewind lets the reader begin with the kept calls, not only with new ones. It
// is called before Next.
func (r *Reader) Rewind() {
	r.hub.mu.RLock()
	defer r.hub.mu.RUnlock()
	r.at = r.hub.first
}

// Seek lets the reader go on at a Batch.At or Hub.Seen of before, so that
// nothing is lost between two readers. It is called before Next.
func (r *Reader) Seek(at uint64) {
	r.hub.mu.RLock()
	defer r.hub.mu.RUnlock()
	// A number of a process before this one may be larger than any here.
	r.at = min(at, r.hub.next)
}

// Close frees the reader's place. It may be called more than once.
func (r *Reader) Close() {
	r.done.Do(func() {
		r.hub.mu.Lock()
		defer r.hub.mu.Unlock()
		r.hub.readers--
	})
}

// Next waits until calls match or were missed and returns them; limit bounds
// how many calls, of which the youngest are given (0: no bound but the ring's).
// It returns ctx's error when ctx is done.
func (r *Reader) Next(ctx context.Context, limit int) (Batch, error) {
	for {
		r.hub.mu.RLock()
		news := r.hub.news
		r.hub.mu.RUnlock()
		if b := r.take(limit); len(b.Calls) > 0 || b.Skipped > 0 {
			return b, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return Batch{}, ctx.Err()
		}
	}
}

func (r *Reader) take(limit int) Batch {
	calls, next := r.hub.copy(r.at)
	b := Batch{At: next}
	if missed := next - r.at - uint64(len(calls)); missed > 0 {
		b.Skipped = missed
	}
	r.at = next
	matching := calls[:0]
	for _, t := range calls {
		if r.match.Matches(t) {
			matching = append(matching, t)
		}
	}
	if over := len(matching) - limit; limit > 0 && over > 0 {
		b.Skipped += uint64(over)
		matching = matching[over:]
	}
	b.Calls = matching
	r.hub.skipped.Add(float64(b.Skipped))
	return b
}
