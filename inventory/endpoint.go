package inventory

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

const learned = transaction.RouteLearned

// ID returns the digest of the key that names the endpoint in URLs and on the
// command line: 16 lower-case letters and digits.
func (k Key) ID() string {
	h := sha256.New()
	for _, part := range []string{string(k.APIType), k.Account, k.Region, k.APIID, k.Stage, k.Method, k.Route} {
		// A separator that no part can hold keeps neighbours apart.
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return strings.ToLower(base32.StdEncoding.EncodeToString(h.Sum(nil)[:10]))
}

// endpoint is a row of the inventory in memory.
type endpoint struct {
	id            string
	stage         *stage
	method, route string
	source        transaction.RouteSource
	node          *node // of a learned route
	first, last   int64 // milliseconds
	calls         int64
	errors4xx     int64
	errors5xx     int64
	best          uint8 // rank of the best visibility seen
	dirty         bool  // is in Inventory.dirty
	gone          bool  // was merged into another
	recent        recent
	state         state
}

func (e *endpoint) key() Key {
	k := e.stage.key
	return Key{
		APIType: k.APIType, Account: k.Account, Region: k.Region, APIID: k.APIID, Stage: k.Stage,
		Method: e.method, Route: e.route,
	}
}

// observe counts one call. at is its time in milliseconds.
func (e *endpoint) observe(t *transaction.Transaction, at int64, status int, rank uint8) {
	if e.calls == 0 || at < e.first {
		e.first = at
	}
	e.last = max(e.last, at)
	e.calls++
	switch status / 100 {
	case 4:
		e.errors4xx++
	case 5:
		e.errors5xx++
	}
	e.best = max(e.best, rank)
	e.recent.add(minuteOf(at), 1)

	s := &e.state
	s.countStatus(status, 1)
	s.visibilities[rank]++
	if t.LatencyMS != nil {
		s.latencies.add(*t.LatencyMS)
	}
	e.observeCaller(t.Caller, at)
	s.schema.observe(t, status)
}

// observeCaller counts the kind of every call, and the principal where one was
// named: calls that nobody signed have no distinct callers to count.
func (e *endpoint) observeCaller(c *transaction.Caller, at int64) {
	s := &e.state
	if c == nil {
		s.kinds[0]++
		return
	}
	kind := kindOf(c.Kind)
	s.kinds[kind]++
	principal := principalOf(c)
	if principal == "" {
		return
	}
	digest := callerDigest(kind, principal)
	if !s.top.add(digest, kind, principal, c.Account, at) {
		s.callers.add(digest)
	}
}

// merge adds the calls of o, which is given up, and keeps the best of the
// samples of both. The keys of samples that the store has to forget are
// returned.
func (e *endpoint) merge(o *endpoint) (dropped []string) {
	e.first = min(e.first, o.first)
	e.last = max(e.last, o.last)
	e.calls += o.calls
	e.errors4xx += o.errors4xx
	e.errors5xx += o.errors5xx
	e.best = max(e.best, o.best)
	e.recent.merge(&o.recent)
	e.state.merge(&o.state)
	for i := range o.state.samples {
		s := o.state.samples[i]
		if s.key == "" {
			continue
		}
		at := choose(&e.state.samples, s.at, s.class, s.rank)
		if at < 0 {
			if s.saved {
				dropped = append(dropped, s.key)
			}
			continue
		}
		if old := e.state.samples[at]; old.saved {
			dropped = append(dropped, old.key)
		}
		e.state.samples[at] = s
	}
	return dropped
}

// row returns the endpoint as it is shown, without Recent.
func (e *endpoint) row() Endpoint {
	q := e.state.latencies.quantiles(0.50, 0.95, 0.99)
	return Endpoint{
		ID:          e.id,
		Key:         e.key(),
		APIName:     e.stage.name,
		RouteSource: e.source,
		Visibility:  visibilityOf(int(e.best)),
		FirstSeen:   time.UnixMilli(e.first).UTC(),
		LastSeen:    time.UnixMilli(e.last).UTC(),
		Calls:       e.calls,
		Errors4xx:   e.errors4xx,
		Errors5xx:   e.errors5xx,
		Callers:     e.state.callers.estimate(),
		LatencyP50:  q[0],
		LatencyP95:  q[1],
		LatencyP99:  q[2],
	}
}

// sourceRank orders route sources from the best (0) to none.
func sourceRank(s transaction.RouteSource) int {
	switch s {
	case transaction.RouteFromAccessLog:
		return 0
	case transaction.RouteFromAPIKeyLine:
		return 1
	case transaction.RouteFromSourceARN:
		return 2
	case transaction.RouteFromProxyEvent:
		return 3
	case transaction.RouteFromEstate:
		return 4
	case transaction.RouteDeclared:
		return 5
	case transaction.RouteLearned:
		return 6
	default:
		return 7
	}
}
