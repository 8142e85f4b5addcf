package logfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// page is a list of events that is being read.
type page struct {
	group  transaction.Group
	stream string
	array  bool // a bare array, not a member of an object
	// lost means that an event was broken, and that the beginning of the next
	// one is being looked for.
	lost bool
}

var (
	errBroken  = errors.New("broken JSON")
	errTooLong = fmt.Errorf("a record of more than %d MiB", maxRecord>>20)
)

// readObject reads an object that stands by itself: a page of events, up to its
// list of events, or all of one event or bare record.
func (r *Reader) readObject() error {
	r.flush()
	line, offset := r.line, r.offset
	r.raw = r.raw[:0]
	group, stream := r.defaults, ""
	var name, owner string
	if err := r.take(); err != nil { // the brace
		return err
	}
	for {
		c, err := r.space()
		if err != nil {
			return r.broken(line, offset, err)
		}
		switch c {
		case ',':
			if err := r.take(); err != nil {
				return err
			}
			continue
		case '}':
			if err := r.take(); err != nil {
				return err
			}
			return r.object(line, offset)
		case '"':
		default:
			return r.broken(line, offset, errBroken)
		}
		key, err := r.value()
		if err != nil {
			return r.broken(line, offset, err)
		}
		if c, err = r.space(); err != nil || c != ':' {
			return r.broken(line, offset, err)
		}
		if err := r.take(); err != nil {
			return err
		}
		if c, err = r.space(); err != nil {
			return r.broken(line, offset, err)
		}
		isList := c == '[' && (bytes.Equal(key, []byte(`"events"`)) || bytes.Equal(key, []byte(`"logEvents"`)))
		member := string(bytes.Trim(key, `"`))
		if isList {
			if _, err := r.in.ReadByte(); err != nil {
				return err
			}
			r.count('[')
			if name != "" {
				group = r.groupNamed(name, owner)
			}
			r.page = &page{group: group, stream: stream}
			return nil
		}
		value, err := r.value()
		if err != nil {
			return r.broken(line, offset, err)
		}
		switch member {
		case "logGroup", "logGroupName", "log_group", "logGroupIdentifier":
			name = text(value)
		case "logStream", "logStreamName":
			stream = text(value)
		case "owner":
			owner = text(value)
		}
	}
}

// readElement reads the next event of a page, or its end. What follows the list
// in the page's object holds no events.
func (r *Reader) readElement() error {
	p := r.page
	line, offset := r.line, r.offset
	r.raw = r.raw[:0]
	c, err := r.space()
	if err != nil {
		if errors.Is(err, io.EOF) && !p.lost {
			r.complain(line, offset, errors.New("the input ends in the middle of a page of events"))
		}
		r.page = nil
		return err
	}
	switch c {
	case ',':
		return r.take()
	case ']':
		if err := r.take(); err != nil {
			return err
		}
		r.page = nil
		if p.array {
			return nil
		}
		return r.restOfPage(line, offset)
	case '{':
		r.raw = r.raw[:0]
		line, offset = r.line, r.offset
		raw, err := r.value()
		if err == nil {
			p.lost = false
			if !r.event(raw, p.group, p.stream) {
				r.complain(line, offset, errors.New("an event without a message"))
			}
			return nil
		}
		return r.brokenElement(line, offset, err)
	}
	return r.brokenElement(line, offset, errBroken)
}

// brokenElement skips to the line on which the next event of the page may begin.
func (r *Reader) brokenElement(line int, offset int64, err error) error {
	if !errors.Is(err, errBroken) && !errors.Is(err, errTooLong) && !errors.Is(err, io.EOF) {
		return err
	}
	if !r.page.lost {
		if errors.Is(err, io.EOF) {
			err = errors.New("the input ends in the middle of an event")
		}
		r.complain(line, offset, err)
	}
	r.page.lost = true
	r.restOfLine()
	return nil
}

// restOfPage reads the members after the list of events.
func (r *Reader) restOfPage(line int, offset int64) error {
	for {
		r.raw = r.raw[:0]
		c, err := r.space()
		if err != nil {
			return r.broken(line, offset, err)
		}
		switch c {
		case '}':
			return r.take()
		case ',', ':':
			if err := r.take(); err != nil {
				return err
			}
		default:
			if _, err := r.value(); err != nil {
				return r.broken(line, offset, err)
			}
		}
	}
}

// broken ends the record that is read. What cannot be JSON may still be a bare
// access record, whose values API Gateway does not escape: it is given as a
// line. Otherwise reading goes on with the next line.
func (r *Reader) broken(line int, offset int64, err error) error {
	if err != nil && !errors.Is(err, errBroken) && !errors.Is(err, errTooLong) && !errors.Is(err, io.EOF) {
		return err
	}
	tooLong := errors.Is(err, errTooLong)
	if rest := r.restOfLine(); !tooLong {
		r.raw = append(r.raw, rest...)
	}
	head := bytes.TrimRight(r.raw, "\r\n")
	if !tooLong && len(head) > 0 && head[0] == '{' && bytes.IndexByte(head, '\n') < 0 && bytes.Contains(head, []byte("equest")) {
		r.give(r.defaults, transaction.Event{Message: string(head)})
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = errBroken
	}
	r.complain(line, offset, err)
	return nil
}

// restOfLine reads to the end of the line, unless the last byte read ended one.
func (r *Reader) restOfLine() []byte {
	if n := len(r.raw); n > 0 && r.raw[n-1] == '\n' {
		return nil
	}
	var rest []byte
	for {
		part, err := r.in.ReadSlice('\n')
		r.offset += int64(len(part))
		if len(rest)+len(part) <= maxRecord {
			rest = append(rest, part...)
		}
		if err == nil {
			r.line++
			return rest
		}
		if !errorsIsFull(err) {
			return rest
		}
	}
}

// object gives what an object without a list of events is: an event, or else a
// bare record, which is the message itself. A bare record can go on after what
// looks like its end, because its values are not escaped.
func (r *Reader) object(line int, offset int64) error {
	whole := r.raw
	if r.lineGoesOn() {
		r.raw = append(r.raw, r.restOfLine()...)
		r.give(r.defaults, transaction.Event{Message: string(bytes.TrimRight(r.raw, "\r\n"))})
		return nil
	}
	if r.event(whole, r.defaults, "") {
		return nil
	}
	if !json.Valid(whole) && !bytes.Contains(whole, []byte("equest")) {
		r.complain(line, offset, errBroken)
		return nil
	}
	if isPageWithoutEvents(whole) {
		return nil
	}
	r.give(r.defaults, transaction.Event{Message: string(whole)})
	return nil
}

// lineGoesOn reports whether text other than another document follows on the
// same line.
func (r *Reader) lineGoesOn() bool {
	for n := 1; n <= 64; n++ {
		head, _ := r.in.Peek(n)
		if len(head) < n {
			return false
		}
		switch head[n-1] {
		case ' ', '\t', '\r':
		case '\n', '{', '[', ',', ']':
			return false
		default:
			return true
		}
	}
	return false
}

// isPageWithoutEvents knows the last page of a listing, which may hold nothing
// but tokens.
func isPageWithoutEvents(raw []byte) bool {
	var p map[string]json.RawMessage
	if json.Unmarshal(raw, &p) != nil {
		return false
	}
	for key := range p {
		switch key {
		case "searchedLogStreams", "nextToken", "nextForwardToken", "nextBackwardToken", "ResponseMetadata", "messageType", "owner":
		default:
			return false
		}
	}
	return true
}

// wireEvent is an event in any of the forms that name its parts.
type wireEvent struct {
	Message       json.RawMessage `json:"message"`
	Timestamp     json.RawMessage `json:"timestamp"`
	EventID       string          `json:"eventId"`
	ID            json.RawMessage `json:"id"`
	LogStreamName string          `json:"logStreamName"`
	LogStream     string          `json:"logStream"`
	LogGroup      string          `json:"logGroup"`
	LogGroupName  string          `json:"logGroupName"`
	LogGroupSnake string          `json:"log_group"`
	LogGroupID    string          `json:"logGroupIdentifier"`
	Owner         string          `json:"owner"`
	IngestionTime json.RawMessage `json:"ingestionTime"`

	InsightsMessage   *string         `json:"@message"`
	InsightsTimestamp json.RawMessage `json:"@timestamp"`
	InsightsStream    string          `json:"@logStream"`
	InsightsLog       string          `json:"@log"`

	// A record of API Gateway's own, which also has a message.
	RequestID      json.RawMessage `json:"requestId"`
	RequestIDSnake json.RawMessage `json:"request_id"`
	HTTPMethod     json.RawMessage `json:"httpMethod"`
}

// event gives the event that raw is. It reports false if raw is none.
func (r *Reader) event(raw []byte, group transaction.Group, stream string) bool {
	if ev, ok := r.plainEvent(raw, stream); ok {
		r.give(group, ev)
		return true
	}
	var w wireEvent
	if json.Unmarshal(raw, &w) != nil {
		return false
	}
	ev := transaction.Event{ID: w.EventID, Stream: first(w.LogStreamName, w.LogStream, w.InsightsStream, stream)}
	stamp := w.Timestamp
	switch {
	case w.InsightsMessage != nil:
		ev.Message, stamp = *w.InsightsMessage, w.InsightsTimestamp
	case w.Message == nil:
		return false
	case r.page == nil && w.EventID == "" && w.LogStreamName == "" && w.IngestionTime == nil &&
		(w.RequestID != nil || w.RequestIDSnake != nil || w.HTTPMethod != nil):
		return false
	default:
		ev.Message = text(w.Message)
	}
	if ev.ID == "" && r.page != nil {
		ev.ID = text(w.ID) // subscription data
	}
	ev.Timestamp = milliseconds(stamp)
	if name := first(w.LogGroup, w.LogGroupName, w.LogGroupSnake, w.LogGroupID); name != "" {
		group = r.groupNamed(name, w.Owner)
	} else if w.InsightsLog != "" {
		account, name, ok := strings.Cut(w.InsightsLog, ":")
		if !ok {
			account, name = "", w.InsightsLog
		}
		group = r.groupNamed(name, account)
	}
	r.give(group, ev)
	return true
}

// groupNamed is the group that the input names, with what it does not tell from
// the defaults.
func (r *Reader) groupNamed(name, owner string) transaction.Group {
	if c := &r.group; c.name == name && c.owner == owner && name != "" {
		return c.group
	}
	g := transaction.NewGroup(name)
	if g.Name == r.defaults.Name {
		d := r.defaults
		d.Account, d.Region = first(g.Account, d.Account, owner), first(g.Region, d.Region)
		g = d
	} else {
		g.Account = first(g.Account, owner, r.defaults.Account)
		g.Region = first(g.Region, r.defaults.Region)
	}
	r.group = groupCache{name, owner, g}
	return g
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// text is a JSON string's text, or any other value as it stands.
func text(raw json.RawMessage) string {
	if len(raw) > 0 && raw[0] == '"' {
		var s string
		if json.Unmarshal(raw, &s) == nil {
			return s
		}
	}
	if string(raw) == "null" {
		return ""
	}
	return string(raw)
}

// secondsEnd is above all numbers that are taken for seconds, not milliseconds.
const secondsEnd = 1e11

func inMilliseconds(n int64) int64 {
	if n < secondsEnd {
		n *= 1000
	}
	return n
}

// milliseconds reads a timestamp: milliseconds or seconds since the epoch, or a
// date and time, in UTC if it names no zone.
func milliseconds(raw json.RawMessage) int64 {
	s := text(raw)
	if s == "" {
		return 0
	}
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		if n < 0 || n > 1e15 {
			return 0
		}
		if n < secondsEnd {
			n *= 1000
		}
		return int64(n)
	}
	for _, layout := range [...]string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMilli()
		}
	}
	return 0
}
