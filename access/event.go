package access

import (
	"context"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/access/flow"
)

// Event tells a live page that something has changed. It says what, never more:
// who gets it reads the thing again, and sees what they may see.
type Event struct {
	// Kind is "request", "grant", "integration", "flows" or "stop"; "any" after
	// changes of another process, whose kinds are not known.
	Kind string    `json:"kind"`
	ID   string    `json:"id,omitempty"`
	At   time.Time `json:"at"`
}

// watchers hand events to those who listen. One that does not keep up loses
// single events and gets an "any" instead.
type watchers struct {
	mu   sync.Mutex
	list map[*watcher]struct{}
}

type watcher struct {
	ch   chan Event
	who  flow.Person
	lost bool
}

// watcherBuffer is how many events wait for a slow listener.
const watcherBuffer = 64

// Subscribe returns a channel of what changes from now on, closed when ctx is
// done. The IDs of requests and grants of other people are left out for those who
// do not administer.
func (d *Desk) Subscribe(ctx context.Context, who flow.Person) <-chan Event {
	w := &watcher{ch: make(chan Event, watcherBuffer), who: who}
	d.watch.mu.Lock()
	if d.watch.list == nil {
		d.watch.list = map[*watcher]struct{}{}
	}
	d.watch.list[w] = struct{}{}
	d.watch.mu.Unlock()
	context.AfterFunc(ctx, func() {
		d.watch.mu.Lock()
		defer d.watch.mu.Unlock()
		delete(d.watch.list, w)
		close(w.ch)
	})
	return w.ch
}

// tell sends an event to all; people are those whose thing it is.
func (w *watchers) tell(e Event, people ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for l := range w.list {
		out := e
		if len(people) > 0 && !l.who.Admin && !containsPerson(people, l.who.ID) {
			out.ID = ""
		}
		if l.lost {
			out = Event{Kind: "any", At: e.At}
		}
		select {
		case l.ch <- out:
			l.lost = false
		default:
			l.lost = true
		}
	}
}

func containsPerson(people []string, id string) bool {
	for _, p := range people {
		if samePerson(p, id) {
			return true
		}
	}
	return false
}
