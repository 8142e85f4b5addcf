package inventory

import (
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// APIKey names an API of any type.
type APIKey struct{ Account, Region, ID string }

// LastCalls is when the routes of an API were called last.
type LastCalls struct {
	Type   transaction.APIType
	Routes []LastCall
	// Partial is set where calls of the API were counted without their route, so that
	// a route that is absent may have been called all the same.
	Partial bool
}

// LastCall is when a route of a stage was called last. Method is as in Endpoint.
type LastCall struct {
	Stage, Method, Route string
	Time                 time.Time
}

// LastCalls returns when each route of each API was called last, as far as it was
// observed since the inventory began. The order is not fixed.
func (inv *Inventory) LastCalls() map[APIKey]LastCalls {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	out := make(map[APIKey]LastCalls, len(inv.stages))
	for _, s := range inv.stages {
		key := APIKey{s.key.Account, s.key.Region, s.key.APIID}
		calls := out[key]
		calls.Type = s.key.APIType
		calls.Partial = calls.Partial || s.unrouted > 0 || s.overflow > 0 || inv.full()
		for _, e := range s.endpoints {
			if e.calls > 0 {
				calls.Routes = append(calls.Routes, LastCall{Stage: s.key.Stage, Method: e.method, Route: e.route, Time: time.UnixMilli(e.last).UTC()})
			}
		}
		out[key] = calls
	}
	return out
}
