package awssim

import (
	"math"
	"net/http"
	"strings"
	"sync"
)

// The limits of a page of FilterLogEvents and GetLogEvents.
const (
	maxPageEvents = 10_000
	maxPageBytes  = 1 << 20
)

// pageBuffers are reused for the answers, which are up to a few MB each.
var pageBuffers = sync.Pool{New: func() any { return new([]byte) }}

type filterLogEventsInput struct {
	LogGroupName        string   `json:"logGroupName"`
	LogGroupIdentifier  string   `json:"logGroupIdentifier"`
	LogStreamNames      []string `json:"logStreamNames"`
	LogStreamNamePrefix string   `json:"logStreamNamePrefix"`
	StartTime           *int64   `json:"startTime"`
	EndTime             *int64   `json:"endTime"`
	FilterPattern       string   `json:"filterPattern"`
	NextToken           string   `json:"nextToken"`
	Limit               *int     `json:"limit"`
	StartFromHead       *bool    `json:"startFromHead"`
}

func (in *filterLogEventsInput) groupRef() (name, identifier string) {
	return in.LogGroupName, in.LogGroupIdentifier
}

func (in *filterLogEventsInput) from() int64 {
	if in.StartTime == nil {
		return 0
	}
	return *in.StartTime
}

func (in *filterLogEventsInput) to() int64 {
	if in.EndTime == nil {
		return math.MaxInt64 - 1
	}
	return min(*in.EndTime, math.MaxInt64-1)
}

// check checks everything but the token and returns the page size.
func (in *filterLogEventsInput) check() (limit int, err error) {
	if limit, err = pageLimit(in.Limit); err != nil {
		return 0, err
	}
	if in.from() < 0 || in.to() < 0 {
		return 0, invalid("1 validation error detected: Value at 'startTime' or 'endTime' failed to satisfy constraint: Member must have value greater than or equal to 0")
	}
	if len(in.LogStreamNames) > 100 {
		return 0, invalid("1 validation error detected: Value at 'logStreamNames' failed to satisfy constraint: Member must have length less than or equal to 100")
	}
	if len(in.LogStreamNames) > 0 && in.LogStreamNamePrefix != "" {
		return 0, invalid("logStreamNames and logStreamNamePrefix are mutually exclusive parameters.")
	}
	return limit, nil
}

func pageLimit(limit *int) (int, error) {
	switch {
	case limit == nil:
		return maxPageEvents, nil
	case *limit < 1:
		return 0, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value greater than or equal to 1", *limit)
	case *limit > maxPageEvents:
		return 0, invalid("1 validation error detected: Value '%d' at 'limit' failed to satisfy constraint: Member must have value less than or equal to %d", *limit, maxPageEvents)
	}
	return *limit, nil
}

func runFilterLogEvents(x *exchange) error {
	in := input[filterLogEventsInput](x)
	limit, err := in.check()
	if err != nil {
		return err
	}
	pattern, err := compilePattern(in.FilterPattern)
	if err != nil {
		return err
	}
	l, g, err := x.logGroupOf(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return err
	}
	sim, o := x.sim, x.occasion()
	at := filterToken{params: in.params(l.region.arn("logs", "log-group:"+g.name))}
	if in.NextToken != "" {
		if sim.faults.strike(TokenInvalid, o, false) != nil {
			return invalidToken()
		}
		given, ok := sim.tokens.decode(in.NextToken)
		if !ok || given.params != at.params || sim.now()-given.issued > tokenLife.Milliseconds() {
			return invalidToken()
		}
		at = given
	} else {
		at.descending = in.StartFromHead != nil && !*in.StartFromHead
		at.bound = key{ts: in.from()}
		if at.descending {
			at.bound = key{ts: in.to() + 1}
		}
	}
	at.issued = sim.now()
	buf, _ := pageBuffers.Get().(*[]byte)
	body := append((*buf)[:0], `{"events":[`...)
	var next *filterToken
	if sim.faults.strike(EmptyPage, o, at.struck) != nil {
		at.struck = true
		next = &at
	} else {
		scan := filterScan{in: in, group: g, limit: limit, window: sim.opts.ScanWindow, pattern: pattern, now: at.issued, double: -1}
		if next, err = scan.run(x, l, &at, &body); err != nil {
			return err
		}
	}
	body = append(body, ']')
	if next != nil {
		body = append(body, `,"nextToken":"`...)
		body = append(body, sim.tokens.encode(next)...)
		body = append(body, '"')
	}
	body = append(body, `,"searchedLogStreams":[]}`...)
	x.w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	x.answer(http.StatusOK, body)
	*buf = body
	pageBuffers.Put(buf)
	return nil
}

func invalidToken() *Error { return invalid("The specified nextToken is invalid.") }

// filterScan is the work for one page of FilterLogEvents.
type filterScan struct {
	in      *filterLogEventsInput
	group   *logGroup
	limit   int
	window  int
	pattern *filterPattern
	now     int64
	double  int // index of the event to write twice; -1: none
}

// run writes the events of the page that begins at a token, and returns the
// token of the next page, or nil after the last.
func (f *filterScan) run(x *exchange, l *Logs, at *filterToken, body *[]byte) (*filterToken, error) {
	faults, o := &x.sim.faults, x.occasion()
	var repeat, double *Fault
	if repeat = faults.strike(PageTwice, o, at.struck); repeat == nil {
		double = faults.strike(Double, o, at.struck)
	}
	if double != nil && !double.Across {
		// The copy must not make the page longer than was asked for.
		if f.limit > 1 {
			f.limit--
			f.double = int(mix(uint64(at.bound.ts)^at.bound.seq) % uint64(f.limit))
		} else {
			double.Across = true
		}
	}
	g := f.group
	g.mu.RLock()
	defer g.mu.RUnlock()
	streams, err := f.streams()
	if err != nil {
		return nil, err
	}
	low := max(f.in.from(), l.keepFrom(g, f.now))
	count, last, rest := f.write(at, low, streams, body)
	next := &filterToken{descending: at.descending, issued: at.issued, params: at.params, bound: rest}
	switch {
	case repeat != nil:
		*next = *at
		next.struck = true
	case double != nil && double.Across && count > 0:
		next.struck = true
		next.bound = last
		if at.descending {
			next.bound.seq++
		}
	case rest == (key{}):
		return nil, nil
	}
	return next, nil
}

// write appends the events of the page. It returns how many there are, the key
// of the last one, and the bound of the next page, zero if nothing is left.
func (f *filterScan) write(at *filterToken, low int64, streams map[*logStream]bool, body *[]byte) (count int, last, rest key) {
	events := &f.group.events
	high := f.in.to()
	p := events.seek(at.bound)
	if at.descending {
		p = events.prev(p)
	} else if at.bound.ts < low {
		p = events.seek(key{ts: low})
	}
	size, written := 0, 0
	b := *body
	for scanned := 0; ; scanned++ {
		e, ok := events.get(p)
		if !ok || e.ts > high || e.ts < low {
			rest = key{}
			break
		}
		cost := len(e.message) + eventOverhead
		if count == f.limit || scanned == f.window || count > 0 && size+cost > maxPageBytes {
			break
		}
		rest = e.key // descending: what is before it comes next
		if !at.descending {
			rest.seq++
		}
		if e.visible <= f.now && (streams == nil || streams[e.stream]) && f.pattern.match(e.message) {
			copies := 1
			if count == f.double {
				copies = 2
			}
			for range copies {
				if written > 0 {
					b = append(b, ',')
				}
				b = appendFiltered(b, e)
				written++
			}
			count++
			size += cost
			last = e.key
		}
		if at.descending {
			p = events.prev(p)
		} else {
			p = events.next(p)
		}
	}
	if count > 0 && count <= f.double {
		// Fewer events than the fault counted on: the last one is doubled.
		if e, ok := events.get(events.seek(last)); ok {
			b = appendFiltered(append(b, ','), e)
		}
	}
	*body = b
	return count, last, rest
}

// streams are those that the walk is about; nil: all. The group is locked.
func (f *filterScan) streams() (map[*logStream]bool, error) {
	if len(f.in.LogStreamNames) == 0 && f.in.LogStreamNamePrefix == "" {
		return nil, nil
	}
	set := map[*logStream]bool{}
	for _, name := range f.in.LogStreamNames {
		s := f.group.streams[name]
		if s == nil {
			return nil, streamNotFound()
		}
		set[s] = true
	}
	if prefix := f.in.LogStreamNamePrefix; prefix != "" {
		for _, name := range f.group.names {
			if strings.HasPrefix(name, prefix) {
				set[f.group.streams[name]] = true
			}
		}
	}
	return set, nil
}
