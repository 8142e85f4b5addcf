package account

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxBuckets bounds the limiter's memory at about 4 MB. An organization of
	// 1,000 accounts read in 17 regions needs more than this only if all of them
	// are read at once.
	maxBuckets = 20_000

	// slowDown is what is left of a rate after a throttled call, and floorPart
	// the part of the configured rate that is always left.
	slowDown  = 0.7
	floorPart = 0.1
	// oneThrottle is how long further throttled answers count as the same event:
	// the calls that were already under way when the rate was lowered.
	oneThrottle = time.Second
	// recoverEvery and recoverStep raise a lowered rate again: 5 % of the
	// configured rate every 5 s, so a rate halved by a throttle is whole again
	// within a minute.
	recoverEvery = 5 * time.Second
	recoverStep  = 0.05
)

// bucketKey is what AWS counts calls by.
type bucketKey struct {
	account string
	region  string
	quota   string
}

// bucket is one token bucket. Its limiter has a lock of its own; the other
// fields are guarded by limiter.mu.
type bucket struct {
	tokens  *rate.Limiter
	turn    chan struct{} // full while a caller waits at the front of the line
	nominal float64
	current float64
	lowered time.Time // when the last throttle lowered it
	raised  time.Time // when it was last raised or lowered
	used    time.Time
	waiting int
}

// limiter holds the token buckets that every client of every account shares.
type limiter struct {
	clock     func() time.Time
	overrides map[string]float64
	metrics   *metrics
	max       int

	mu      sync.Mutex
	buckets map[bucketKey]*bucket
	covers  map[[2]string][]*quota // by service and operation
}

func newLimiter(clock func() time.Time, overrides map[string]float64, m *metrics) *limiter {
	return &limiter{
		clock:     clock,
		overrides: overrides,
		metrics:   m,
		max:       maxBuckets,
		buckets:   map[bucketKey]*bucket{},
		covers:    map[[2]string][]*quota{},
	}
}

// call names a call as the limiter counts it.
type call struct {
	account   string
	region    string
	service   string
	operation string
}

// wait blocks until every quota that c counts against has room, and takes that
// room. It returns the context's error if ctx ends first.
func (l *limiter) wait(ctx context.Context, c call) error {
	buckets := l.claim(c)
	defer l.release(buckets)
	var waited time.Duration
	for _, b := range buckets {
		d, err := b.take(ctx, l.clock)
		waited += d
		if err != nil {
			return err
		}
	}
	if waited > 0 {
		l.metrics.waited(c, waited)
	}
	return nil
}

// take waits for one token. The callers of a bucket stand in line, and only the
// first of them reserves: a reservation far ahead would hold a caller to a rate
// that has changed since, and when many give up at once, the bucket would stay
// in debt for calls that were never made.
func (b *bucket) take(ctx context.Context, clock func() time.Time) (time.Duration, error) {
	start := clock()
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return clock().Sub(start), ctx.Err()
	}
	now := clock()
	reserved := b.tokens.ReserveN(now, 1)
	delay := reserved.DelayFrom(now)
	if delay <= 0 {
		return now.Sub(start), nil
	}
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return clock().Sub(start), nil
	case <-ctx.Done():
		now := clock()
		reserved.CancelAt(now)
		return now.Sub(start), ctx.Err()
	}
}

// claim finds or makes the buckets of c and marks them as waited on, so that
// they are not evicted while a call stands in their queue.
func (l *limiter) claim(c call) []*bucket {
	now := l.clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	covering := l.covering(c)
	buckets := make([]*bucket, 0, 2)
	for _, q := range covering {
		key := bucketKey{account: c.account, region: c.region, quota: q.name}
		b, ok := l.buckets[key]
		if !ok {
			if len(l.buckets) >= l.max {
				l.evict()
			}
			r := q.rateIn(c.region, l.overrides)
			b = &bucket{
				tokens:  rate.NewLimiter(rate.Limit(r.perSecond), r.burst),
				turn:    make(chan struct{}, 1),
				nominal: r.perSecond,
				current: r.perSecond,
			}
			l.buckets[key] = b
			l.metrics.bucketCount(len(l.buckets))
		}
		b.used = now
		b.waiting++
		l.recover(b, now)
		buckets = append(buckets, b)
	}
	return buckets
}

func (l *limiter) release(buckets []*bucket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range buckets {
		b.waiting--
	}
}

// covering returns the quotas of c. The number of services and operations that
// this program calls bounds the map.
func (l *limiter) covering(c call) []*quota {
	key := [2]string{c.service, c.operation}
	found, ok := l.covers[key]
	if !ok {
		found = quotasOf(c.service, c.operation)
		l.covers[key] = found
	}
	return found
}

// throttled lowers the rate of c's buckets: AWS counts more calls than these,
// since other programs share the quota. AWS does not say which of two quotas
// was passed, so both are lowered.
func (l *limiter) throttled(c call) {
	now := l.clock()
	l.metrics.throttled(c)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, q := range l.covering(c) {
		b, ok := l.buckets[bucketKey{account: c.account, region: c.region, quota: q.name}]
		if !ok {
			continue
		}
		if !b.lowered.IsZero() && now.Sub(b.lowered) < oneThrottle {
			continue
		}
		b.lowered, b.raised = now, now
		l.set(b, now, max(b.current*slowDown, b.nominal*floorPart))
	}
}

// recover raises a lowered rate step by step, as many steps as time has passed.
func (l *limiter) recover(b *bucket, now time.Time) {
	if b.current >= b.nominal {
		return
	}
	steps := int(now.Sub(b.raised) / recoverEvery)
	if steps <= 0 {
		return
	}
	b.raised = b.raised.Add(time.Duration(steps) * recoverEvery)
	l.set(b, now, min(b.nominal, b.current+float64(steps)*recoverStep*b.nominal))
}

func (l *limiter) set(b *bucket, now time.Time, perSecond float64) {
	b.current = perSecond
	b.tokens.SetLimitAt(now, rate.Limit(perSecond))
}

// evict forgets the quarter of the buckets that was used longest ago. A bucket
// that is made again starts full, so at worst a burst too many is sent where
// calls were rare; one with a call in its queue stays.
func (l *limiter) evict() {
	type aged struct {
		key  bucketKey
		used time.Time
	}
	idle := make([]aged, 0, len(l.buckets))
	for key, b := range l.buckets {
		if b.waiting == 0 {
			idle = append(idle, aged{key: key, used: b.used})
		}
	}
	slices.SortFunc(idle, func(a, b aged) int { return a.used.Compare(b.used) })
	for _, old := range idle[:min(len(idle), l.max/4+1)] {
		delete(l.buckets, old.key)
	}
}
