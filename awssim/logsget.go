package awssim

import (
	"math"
	"net/http"
	"slices"
	"strings"
)

type getLogEventsInput struct {
	LogGroupName       string `json:"logGroupName"`
	LogGroupIdentifier string `json:"logGroupIdentifier"`
	LogStreamName      string `json:"logStreamName"`
	StartTime          *int64 `json:"startTime"`
	EndTime            *int64 `json:"endTime"`
	NextToken          string `json:"nextToken"`
	Limit              *int   `json:"limit"`
	StartFromHead      bool   `json:"startFromHead"`
}

func (in *getLogEventsInput) groupRef() (name, identifier string) {
	return in.LogGroupName, in.LogGroupIdentifier
}

// streamPage is one page of GetLogEvents: the events with keys in [from, to)
// nearest to from, or with backward nearest to to, always oldest first.
type streamPage struct {
	from, to key
	backward bool
	limit    int
	now      int64
}

// bounds are the keys at both ends of a page. Reading goes on forward from
// after, and backward from before.
type bounds struct{ before, after key }

func runGetLogEvents(x *exchange) error {
	in := input[getLogEventsInput](x)
	limit, err := pageLimit(in.Limit)
	if err != nil {
		return err
	}
	l, g, err := x.logGroupOf(in.LogGroupName, in.LogGroupIdentifier)
	if err != nil {
		return err
	}
	p := streamPage{to: key{ts: math.MaxInt64}, backward: !in.StartFromHead, limit: limit, now: x.sim.now()}
	if in.StartTime != nil {
		p.from.ts = max(*in.StartTime, 0)
	}
	if in.EndTime != nil {
		p.to.ts = max(*in.EndTime, 0) // exclusive here, unlike in FilterLogEvents
	}
	var given *bounds
	if in.NextToken != "" {
		k, forward, ok := parseStreamToken(in.NextToken)
		if !ok {
			return invalidToken()
		}
		given = &bounds{k, k}
		p.backward = !forward
		if forward {
			p.from = later(p.from, key{k.ts, k.seq + 1})
		} else if k.less(p.to) {
			p.to = k
		}
	}
	buf, _ := pageBuffers.Get().(*[]byte)
	body := append((*buf)[:0], `{"events":[`...)
	body, ends, err := p.write(l, g, in.LogStreamName, body)
	if err != nil {
		return err
	}
	if ends == nil {
		// Nothing on this page: the tokens stay where they were, which is how a
		// reader sees the end of the stream.
		if ends = given; ends == nil {
			ends = &bounds{before: p.from, after: p.from}
		}
	}
	body = append(body, `],"nextForwardToken":"`...)
	body = append(body, streamToken(ends.after, true)...)
	body = append(body, `","nextBackwardToken":"`...)
	body = append(body, streamToken(ends.before, false)...)
	body = append(body, `"}`...)
	x.w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	x.answer(http.StatusOK, body)
	*buf = body
	pageBuffers.Put(buf)
	return nil
}

// write appends the events of the page and returns its ends, nil for a page
// without events.
func (p *streamPage) write(l *Logs, g *logGroup, stream string, b []byte) ([]byte, *bounds, error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	s := g.streams[stream]
	if s == nil {
		return b, nil, streamNotFound()
	}
	if kept := l.keepFrom(g, p.now); kept > p.from.ts {
		p.from = key{ts: kept}
	}
	var page []*logEvent
	size := 0
	at := s.keys.seek(p.from)
	if p.backward {
		at = s.keys.prev(s.keys.seek(p.to))
	}
	for len(page) < p.limit {
		k, ok := s.keys.get(at)
		if !ok || k.less(p.from) || !k.less(p.to) {
			break
		}
		e, ok := g.events.get(g.events.seek(*k))
		if ok && e.visible <= p.now {
			size += len(e.message) + eventOverhead
			if size > maxPageBytes && len(page) > 0 {
				break
			}
			page = append(page, e)
		}
		if p.backward {
			at = s.keys.prev(at)
		} else {
			at = s.keys.next(at)
		}
	}
	if len(page) == 0 {
		return b, nil, nil
	}
	if p.backward {
		slices.Reverse(page)
	}
	for i, e := range page {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendOutput(b, e)
	}
	return b, &bounds{before: page[0].key, after: page[len(page)-1].key}, nil
}

func later(a, b key) key {
	if a.less(b) {
		return b
	}
	return a
}

// streamToken is a token of GetLogEvents: "f/" or "b/", an event id, "/s". One
// position has one token, so a reader sees that it has not moved.
func streamToken(k key, forward bool) string {
	direction := "b/"
	if forward {
		direction = "f/"
	}
	return direction + eventID(k) + "/s"
}

func parseStreamToken(text string) (k key, forward, ok bool) {
	forward = strings.HasPrefix(text, "f/")
	if !forward && !strings.HasPrefix(text, "b/") {
		return key{}, false, false
	}
	id, ok := strings.CutSuffix(text[2:], "/s")
	if !ok {
		return key{}, false, false
	}
	k, err := parseEventID(id)
	return k, forward, err == nil
}
