package inventory

import (
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// Options are what an Inventory needs; the zero value is usable.
type Options struct {
	// Clock tells the time; default time.Now. Calls are counted by their own
	// time: the clock only catches those from the future.
	Clock func() time.Time
	// Registerer receives the metrics; nil: none.
	Registerer prometheus.Registerer
	// Logger receives what an operator should know; nil: nothing.
	Logger *slog.Logger
	// MaxEndpoints bounds memory at about 8 KB each; default 100,000. Calls
	// that would make one more are counted and make none.
	MaxEndpoints int
	// APIName returns an API's name from the estate, or ""; nil: no names. It
	// is called with the inventory locked and must not call back.
	APIName func(account, region, api string) string
}

// Inventory turns transactions into endpoints. It is safe for concurrent use;
// one goroutine observes and takes the changes, any number look at Live.
//
// A call belongs to the endpoint of its route where the logs or the estate name
// one. Otherwise its path is matched against the templates learnt for its
// stage, and teaches them if the call went far enough to show that the path
// exists. When a better source names a route later, calls go to that route's
// endpoint from then on, and what the learned one has counted stays with it.
// If both have the same template they are one, with the better source.
type Inventory struct {
	clock   func() time.Time
	log     *slog.Logger
	max     int
	apiName func(account, region, api string) string
	metrics *metrics

	mu        sync.Mutex
	stages    map[StageKey]*stage
	lastStage *stage
	count     int    // endpoints
	coverage  [4]int // endpoints by rank of their best visibility
	newest    []*endpoint
	live      live
	probes    int64
	warned    bool // that it is full

	// What Changes has to hand out.
	sequence       uint64
	dirty          []*endpoint
	dirtyStages    []*stage
	removed        []string
	aliases        []Alias
	droppedSamples []string
	minutes        map[minuteKey]*Minute
}

type minuteKey struct {
	api    string // "" for all
	minute int64
}

const defaultMaxEndpoints = 100_000

// New returns an empty inventory. To go on where a store left off, call Load
// before the first Observe.
func New(opts Options) *Inventory {
	inv := &Inventory{
		clock:   opts.Clock,
		log:     opts.Logger,
		max:     opts.MaxEndpoints,
		apiName: opts.APIName,
		metrics: newMetrics(opts.Registerer),
		stages:  map[StageKey]*stage{},
		minutes: map[minuteKey]*Minute{},
	}
	if inv.clock == nil {
		inv.clock = time.Now
	}
	if inv.log == nil {
		inv.log = slog.New(slog.DiscardHandler)
	}
	if inv.max <= 0 {
		inv.max = defaultMaxEndpoints
	}
	if inv.apiName == nil {
		inv.apiName = func(_, _, _ string) string { return "" }
	}
	return inv
}

// Observe counts the calls of a batch. It keeps no reference into them but to
// the few that become samples, until the next Changes.
func (inv *Inventory) Observe(batch []*transaction.Transaction) {
	now := inv.clock().UnixMilli()
	inv.mu.Lock()
	defer inv.mu.Unlock()
	for _, t := range batch {
		if t != nil {
			inv.observe(t, now)
		}
	}
	inv.metrics.endpoints.Set(float64(inv.count))
}

// aheadMS is how far a call may be in the future before its time is not
// believed and it is counted as of now.
const aheadMS = 5 * 60_000

func (inv *Inventory) observe(t *transaction.Transaction, now int64) {
	at := int64(t.Time)
	if at <= 0 || at > now+aheadMS {
		at = now
	}
	status := 0
	if t.Response != nil {
		status = t.Response.Status
	}
	rank := uint8(t.Visibility.Rank())

	s := inv.stage(t)
	inv.countMinute(minuteKey{"", minuteOf(at)}, status, rank)
	inv.live.add(at, rank)
	inv.metrics.observed[rank].Inc()
	if s == nil {
		inv.overflowed(nil)
		return
	}
	inv.countMinute(minuteKey{s.api, minuteOf(at)}, status, rank)

	var e *endpoint
	var place standing
	switch place = standingOf(t, status); place {
	case routed:
		e = inv.known(s, t, methodOf(t))
	case learnable:
		e = inv.learn(s, t.Path, methodOf(t), true)
	case vouched:
		e = inv.learn(s, t.Path, methodOf(t), false)
	}
	if e == nil {
		inv.countElsewhere(s, place, status)
		return
	}
	before := e.best
	e.observe(t, at, status, rank)
	if e.best != before {
		inv.coverage[before]--
		inv.coverage[e.best]++
	}
	inv.touch(e)
	inv.sample(e, t, at, uint8(status/100), rank)
}

// countElsewhere counts a call that belongs to no endpoint.
func (inv *Inventory) countElsewhere(s *stage, place standing, status int) {
	switch {
	case place == routed || place == learnable:
		inv.overflowed(s)
		return
	case place == probing || place == vouched && (status == 403 || status == 404):
		s.probes++
		inv.probes++
		inv.metrics.probes.Inc()
	default:
		s.unrouted++
		inv.metrics.unrouted.Inc()
	}
	inv.touchStage(s)
}

func (inv *Inventory) overflowed(s *stage) {
	inv.metrics.overflow.Inc()
	if s != nil {
		s.overflow++
		inv.touchStage(s)
	}
	if !inv.warned {
		inv.warned = true
		inv.log.Warn("the inventory is full: calls to new endpoints are counted but not listed",
			slog.Int("max_endpoints", inv.max))
	}
}

func (inv *Inventory) full() bool { return inv.count >= inv.max }

func (inv *Inventory) stage(t *transaction.Transaction) *stage {
	key := StageKey{APIType: t.APIType, Account: t.Account, Region: t.Region, APIID: t.APIID, Stage: t.Stage}
	if s := inv.lastStage; s != nil && s.key == key {
		return s
	}
	s := inv.stages[key]
	if s == nil {
		if len(inv.stages) >= inv.max {
			return nil
		}
		// Cloned: the strings may be cut from a page of log events.
		s = inv.newStage(StageKey{
			APIType: transaction.APIType(strings.Clone(string(key.APIType))),
			Account: strings.Clone(key.Account),
			Region:  strings.Clone(key.Region),
			APIID:   strings.Clone(key.APIID),
			Stage:   strings.Clone(key.Stage),
		})
	}
	inv.lastStage = s
	return s
}

func (inv *Inventory) newStage(key StageKey) *stage {
	s := &stage{key: key, api: key.API(), endpoints: map[methodRoute]*endpoint{}}
	inv.stages[key] = s
	inv.touchStage(s)
	return s
}

// newestKept is how many of the endpoints found last Live shows.
const newestKept = 10

// newEndpoint returns nil if the inventory is full.
func (inv *Inventory) newEndpoint(s *stage, at methodRoute, source transaction.RouteSource) *endpoint {
	if inv.full() {
		return nil
	}
	e := &endpoint{
		stage: s, method: at.method, route: at.route,
		source: transaction.RouteSource(strings.Clone(string(source))),
	}
	e.id = e.key().ID()
	s.endpoints[at] = e
	inv.count++
	inv.coverage[e.best]++
	if len(inv.newest) == 2*newestKept {
		inv.newest = slices.Delete(inv.newest, 0, newestKept)
	}
	inv.newest = append(inv.newest, e)
	return e
}

func (inv *Inventory) touch(e *endpoint) {
	if !e.dirty {
		e.dirty = true
		inv.dirty = append(inv.dirty, e)
	}
}

func (inv *Inventory) touchStage(s *stage) {
	if !s.dirty {
		s.dirty = true
		inv.dirtyStages = append(inv.dirtyStages, s)
	}
}

func (inv *Inventory) sample(e *endpoint, t *transaction.Transaction, at int64, class, rank uint8) {
	if t.ID == "" {
		return
	}
	i := choose(&e.state.samples, at, class, rank)
	if i < 0 {
		return
	}
	if old := e.state.samples[i]; old.saved {
		inv.droppedSamples = append(inv.droppedSamples, old.key)
	}
	e.state.samples[i] = sample{key: strings.Clone(t.ID), at: at, class: class, rank: rank, pending: t}
}

func (inv *Inventory) countMinute(key minuteKey, status int, rank uint8) {
	m := inv.minutes[key]
	if m == nil {
		m = &Minute{Time: time.UnixMilli(key.minute * 60_000).UTC()}
		inv.minutes[key] = m
	}
	m.Calls++
	switch status / 100 {
	case 4:
		m.Errors4xx++
	case 5:
		m.Errors5xx++
	}
	switch visibilityOf(int(rank)) {
	case transaction.Full:
		m.Full++
	case transaction.Truncated:
		m.Truncated++
	case transaction.Metadata:
		m.Metadata++
	}
}
