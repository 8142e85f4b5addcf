package awssim

import (
	"time"
)

// The limits of a PutLogEvents batch.
const (
	maxBatchEvents = 10_000
	maxBatchBytes  = 1 << 20 // messages, and 26 bytes for each event
	maxBatchSpan   = 24 * time.Hour
	maxEventBytes  = 1 << 20
	maxEventAge    = 14 * 24 * time.Hour
	maxEventAhead  = 2 * time.Hour
)

type putLogEventsInput struct {
	LogGroupName  string `json:"logGroupName"`
	LogStreamName string `json:"logStreamName"`
	LogEvents     []struct {
		Timestamp *int64  `json:"timestamp"`
		Message   *string `json:"message"`
	} `json:"logEvents"`
}

func (in *putLogEventsInput) groupRef() (name, identifier string) { return in.LogGroupName, "" }

// events checks the batch as a whole.
func (in *putLogEventsInput) events() ([]LogEvent, error) {
	n := len(in.LogEvents)
	if n == 0 {
		return nil, invalid("1 validation error detected: Value '[]' at 'logEvents' failed to satisfy constraint: Member must have length greater than or equal to 1")
	}
	if n > maxBatchEvents {
		return nil, invalid("1 validation error detected: Value at 'logEvents' failed to satisfy constraint: Member must have length less than or equal to %d", maxBatchEvents)
	}
	events := make([]LogEvent, n)
	size := 0
	for i, e := range in.LogEvents {
		if e.Timestamp == nil || e.Message == nil {
			return nil, invalid("1 validation error detected: Value null at 'logEvents.%d.member' failed to satisfy constraint: timestamp and message must not be null", i+1)
		}
		if *e.Message == "" {
			return nil, invalid("1 validation error detected: Value '' at 'logEvents.%d.member.message' failed to satisfy constraint: Member must have length greater than or equal to 1", i+1)
		}
		if *e.Timestamp < 0 {
			return nil, invalid("1 validation error detected: Value '%d' at 'logEvents.%d.member.timestamp' failed to satisfy constraint: Member must have value greater than or equal to 0", *e.Timestamp, i+1)
		}
		if bytes := len(*e.Message) + eventOverhead; bytes > maxEventBytes {
			return nil, invalid("Log event too large: %d bytes exceeds limit of %d", bytes, maxEventBytes)
		}
		size += len(*e.Message) + eventOverhead
		events[i] = LogEvent{Timestamp: *e.Timestamp, Message: *e.Message}
		if i > 0 && events[i].Timestamp < events[i-1].Timestamp {
			return nil, invalid("Log events in a single PutLogEvents request must be in chronological order.")
		}
	}
	if size > maxBatchBytes {
		return nil, invalid("Upload too large: %d bytes exceeds limit of %d", size, maxBatchBytes)
	}
	if events[n-1].Timestamp-events[0].Timestamp > maxBatchSpan.Milliseconds() {
		return nil, invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
	}
	return events, nil
}

// rejected tells which events at both ends of a batch were not taken: the too
// old and the expired before an index, the too new from an index on.
type rejected struct {
	TooNewFrom    *int `json:"tooNewLogEventStartIndex,omitempty"`
	TooOldUntil   *int `json:"tooOldLogEventEndIndex,omitempty"`
	ExpiredBefore *int `json:"expiredLogEventEndIndex,omitempty"`
}

func putLogEvents(x *exchange) error {
	in := input[putLogEventsInput](x)
	events, err := in.events()
	if err != nil {
		return err
	}
	l, g, err := x.logGroupOf(in.LogGroupName, "")
	if err != nil {
		return err
	}
	rej, err := l.takeBatch(g, in.LogStreamName, events)
	if err != nil {
		return err
	}
	return x.answerJSON(struct {
		NextSequenceToken string    `json:"nextSequenceToken"`
		Rejected          *rejected `json:"rejectedLogEventsInfo,omitempty"`
	}{eventID(key{ts: x.sim.now(), seq: 1}), rej})
}

// takeBatch stores the events of a sorted batch that are neither too old nor
// too new.
func (l *Logs) takeBatch(g *logGroup, stream string, events []LogEvent) (*rejected, error) {
	now := l.region.account.sim.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	s := g.streams[stream]
	if s == nil {
		return nil, streamNotFound()
	}
	oldest := now - maxEventAge.Milliseconds()
	kept := now - (time.Duration(g.retention) * 24 * time.Hour).Milliseconds()
	newest := now + maxEventAhead.Milliseconds()
	var rej rejected
	from, to := 0, len(events)
	for i := range events {
		switch ts := events[i].Timestamp; {
		case ts < oldest:
			from = i + 1
			rej.TooOldUntil = new(from)
		case g.retention > 0 && ts < kept:
			from = i + 1
			rej.ExpiredBefore = new(from)
		case ts > newest && to == len(events):
			to = i
			rej.TooNewFrom = new(to)
		}
	}
	if from < to {
		l.put(g, s, PutOptions{}, events[from:to])
	}
	if rej == (rejected{}) {
		return nil, nil
	}
	return &rej, nil
}
