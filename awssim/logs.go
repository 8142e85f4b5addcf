package awssim

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// LogEvent is a log event to put.
type LogEvent struct {
	Timestamp int64 // milliseconds since the epoch
	Message   string
}

// PutOptions say how events are put.
type PutOptions struct {
	// VisibleAfter keeps the events from readers until that long after now.
	VisibleAfter time.Duration
}

// Logs is the CloudWatch Logs of one account and region.
type Logs struct {
	region *Region

	mu     sync.RWMutex
	groups map[string]*logGroup
	names  []string // sorted

	deliveries deliveries
}

// logGroup is one log group. Events are kept once, sorted by key; each stream
// keeps the keys of its own.
type logGroup struct {
	name    string
	created int64
	class   string

	mu        sync.RWMutex
	retention int32 // days; 0: for ever
	kms       string
	tags      map[string]string
	bytes     int64
	events    index[logEvent]
	incoming  map[int64]int64 // events put, by the minute: the metric IncomingLogEvents
	streams   map[string]*logStream
	names     []string // of streams, sorted
	objects   logObjects
}

type logStream struct {
	streamInfo
	keys index[key]
}

// streamInfo is what DescribeLogStreams tells of a stream.
type streamInfo struct {
	name      string
	created   int64
	ingested  int64 // last ingestion
	firstTime int64
	lastTime  int64
}

type logEvent struct {
	key
	ingested int64
	visible  int64 // 0: at once
	stream   *logStream
	message  string
}

// eventOverhead is what CloudWatch Logs counts for an event beside its message.
const eventOverhead = 26

func newLogs(r *Region) *Logs { return &Logs{region: r, groups: map[string]*logGroup{}} }

// Put puts events into a log stream, creating the group and the stream. Unlike
// PutLogEvents it takes events in any order, of any age and in any number.
func (l *Logs) Put(group, stream string, events ...LogEvent) {
	l.PutWith(PutOptions{}, group, stream, events...)
}

// PutWith is Put with options.
func (l *Logs) PutWith(o PutOptions, group, stream string, events ...LogEvent) {
	g := l.group(group)
	if g == nil {
		g, _ = l.create(group, "")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.stream(stream, l.region.account.sim.now())
	l.put(g, s, o, events)
}

// CreateGroup creates a log group and reports whether it was not there.
func (l *Logs) CreateGroup(name string) bool {
	_, created := l.create(name, "")
	return created
}

// DeleteGroup deletes a log group with all its events and reports whether it
// was there.
func (l *Logs) DeleteGroup(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.groups[name] == nil {
		return false
	}
	delete(l.groups, name)
	l.names = slices.DeleteFunc(l.names, func(n string) bool { return n == name })
	return true
}

// SetRetention sets the days that a group keeps events; 0: for ever. It reports
// whether the group exists.
func (l *Logs) SetRetention(name string, days int32) bool {
	g := l.group(name)
	if g == nil {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.retention = days
	return true
}

// Groups lists the names of all log groups, sorted.
func (l *Logs) Groups() []string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.Clone(l.names)
}

// Count is the number of events kept in a group, those not yet visible too.
func (l *Logs) Count(name string) int {
	g := l.group(name)
	if g == nil {
		return 0
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.events.size
}

func (l *Logs) group(name string) *logGroup {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.groups[name]
}

// create returns the group of that name and whether it is new.
func (l *Logs) create(name, class string) (*logGroup, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if g := l.groups[name]; g != nil {
		return g, false
	}
	if class == "" {
		class = "STANDARD"
	}
	name = strings.Clone(name)
	g := &logGroup{name: name, class: class, created: l.region.account.sim.now(), streams: map[string]*logStream{}}
	l.groups[name] = g
	i, _ := slices.BinarySearch(l.names, name)
	l.names = slices.Insert(l.names, i, name)
	return g, true
}

// stream returns the stream of that name, creating it. The group is locked.
func (g *logGroup) stream(name string, now int64) *logStream {
	if s := g.streams[name]; s != nil {
		return s
	}
	name = strings.Clone(name)
	s := &logStream{streamInfo: streamInfo{name: name, created: now}}
	g.streams[name] = s
	i, _ := slices.BinarySearch(g.names, name)
	g.names = slices.Insert(g.names, i, name)
	return s
}

// put stores events. The group is locked.
func (l *Logs) put(g *logGroup, s *logStream, o PutOptions, events []LogEvent) {
	if len(events) == 0 {
		return
	}
	sim := l.region.account.sim
	now := sim.now()
	var visible int64
	if o.VisibleAfter > 0 {
		visible = now + o.VisibleAfter.Milliseconds()
	}
	var late *occasion
	if sim.faults.any(Late) {
		late = &occasion{service: serviceLogs, operation: "PutLogEvents", account: l.region.account.id, region: l.region.name, group: g.name}
	}
	seq := sim.sequence.take(len(events))
	for i := range events {
		e := logEvent{
			key:      key{ts: max(events[i].Timestamp, 0), seq: seq + uint64(i)},
			ingested: now,
			visible:  visible,
			stream:   s,
			message:  events[i].Message,
		}
		if late != nil {
			if f := sim.faults.strike(Late, late, false); f != nil {
				e.visible = max(e.visible, now+f.Delay.Milliseconds())
			}
		}
		if s.keys.size == 0 || e.ts < s.firstTime {
			s.firstTime = e.ts
		}
		if s.keys.size == 0 || e.ts > s.lastTime {
			s.lastTime = e.ts
		}
		g.events.insert(e)
		s.keys.insert(e.key)
		g.bytes += int64(len(e.message)) + eventOverhead
	}
	s.ingested = now
	g.count(now, int64(len(events)))
	if from := l.keepFrom(g, now); from > 0 {
		g.prune(from)
	}
}

// keepFrom is the oldest timestamp that the group keeps, 0 for all. The group
// is locked.
func (l *Logs) keepFrom(g *logGroup, now int64) int64 {
	keep := l.region.account.sim.opts.Retention
	if g.retention > 0 {
		if days := time.Duration(g.retention) * 24 * time.Hour; keep == 0 || days < keep {
			keep = days
		}
	}
	if keep == 0 {
		return 0
	}
	return now - keep.Milliseconds()
}

// prune drops events before a timestamp. The group is locked.
func (g *logGroup) prune(from int64) {
	first, ok := g.events.get(place{})
	if !ok || first.ts >= from {
		return
	}
	touched := map[*logStream]bool{}
	g.events.popBefore(key{ts: from}, func(e *logEvent) {
		g.bytes -= int64(len(e.message)) + eventOverhead
		touched[e.stream] = true
	})
	for s := range touched {
		s.keys.popBefore(key{ts: from}, func(*key) {})
		if k, ok := s.keys.get(place{}); ok {
			s.firstTime = k.ts
		}
	}
}
