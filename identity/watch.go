package identity

import (
	"context"
	"maps"
	"net/http"
	"sync"
	"time"
)

// watchRequests is how often it is looked whether somebody whose request goes on,
// as a stream of events does, may still have its answer.
const watchRequests = 15 * time.Second

// looking is in the context of a look at a request that goes on: it is no use of the
// session, which ends for want of use though a page stands open.
type looking struct{}

// watched returns a context that ends when the person of a request is not the same
// one with the same role any more: their session was ended, or they were disabled.
// The caller calls stop when the request is answered.
func (g *Guard) watched(ctx context.Context, r *http.Request, was Person) (_ context.Context, stop func()) {
	if !was.SignedIn() {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	// What says who it is, apart: handlers may change the headers of the request.
	again := (&http.Request{
		Method: r.Method, URL: r.URL, Host: r.Host, TLS: r.TLS, RemoteAddr: r.RemoteAddr, Header: http.Header{},
	}).WithContext(context.WithValue(ctx, looking{}, true))
	maps.Copy(again.Header, r.Header)
	var mu sync.Mutex
	var stopped bool
	var timer *time.Timer
	mu.Lock()
	defer mu.Unlock()
	timer = time.AfterFunc(watchRequests, func() {
		mu.Lock()
		defer mu.Unlock()
		if stopped {
			return
		}
		now, _, err := g.person(again)
		if err != nil || now.ID != was.ID || now.Role != was.Role {
			cancel()
			return
		}
		timer.Reset(watchRequests)
	})
	return ctx, func() {
		cancel() // a look that is under way ends with it
		mu.Lock()
		defer mu.Unlock()
		stopped = true
		timer.Stop()
	}
}
