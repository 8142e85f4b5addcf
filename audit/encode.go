package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// timeLayout has one width, so that times in it sort as text.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// TimeText is a time as the canonical encoding writes it: always 27 characters of UTC
// to the microsecond, which sort as text.
func TimeText(t time.Time) string { return t.UTC().Format(timeLayout) }

const (
	maxText    = 2 << 10 // bytes of one text: a reason, a name, a detail
	maxDetails = 64      // entries of Detail
	maxDepth   = 64      // of the nesting of Before and After
	maxStart   = 4 << 10 // bytes of a cut Before or After that are kept
	// maxLine is more than an event that Prepare has bounded can have, even if every
	// byte of its texts is escaped.
	maxLine = 2 << 20
	// cutMark ends a text that was cut.
	cutMark = "… (cut)"
)

// Prepare returns an event as a store saves it: checked, in UTC and microseconds,
// within its bounds, Before and After without white space. now is its time where it
// has none. It returns ErrInvalidEvent for what is no event.
//
// A text above 2 KiB is cut and ends in "… (cut)". Before or After above MaxState, or
// nested more than 64 deep, becomes {"cut":true,"bytes":N,"sha256":"…","start":"…"}.
func Prepare(e *Event, now time.Time) (Event, error) {
	out := *e
	if !isAction(e.Action) {
		return out, fmt.Errorf("%w: its action %q is not noun.verb in lower case", ErrInvalidEvent, e.Action)
	}
	if !IsActorKind(e.Actor.Kind) {
		return out, fmt.Errorf("%w: %s has an actor of the kind %q", ErrInvalidEvent, e.Action, e.Actor.Kind)
	}
	if out.Time.IsZero() {
		out.Time = now
	}
	out.Time = out.Time.UTC().Truncate(time.Microsecond)
	if y := out.Time.Year(); y < 1 || y > 9999 {
		return out, fmt.Errorf("%w: %s has a time in the year %d", ErrInvalidEvent, e.Action, y)
	}
	for _, text := range []*string{
		&out.Actor.ID, &out.Actor.Name, &out.Actor.Address, (*string)(&out.Actor.Via),
		&out.Subject.Kind, &out.Subject.ID, &out.Subject.Name, &out.Reason,
	} {
		*text = bounded(*text)
	}
	var err error
	if out.Before, err = prepareState(e.Before); err != nil {
		return out, fmt.Errorf("%w: before of %s: %w", ErrInvalidEvent, e.Action, err)
	}
	if out.After, err = prepareState(e.After); err != nil {
		return out, fmt.Errorf("%w: after of %s: %w", ErrInvalidEvent, e.Action, err)
	}
	out.Detail = prepareDetail(e.Detail)
	return out, nil
}

// isAction reports whether text is noun.verb: lower-case words, digits, "-" and "_",
// joined by at least one full stop.
func isAction(text string) bool {
	if len(text) > 100 || !strings.Contains(text, ".") {
		return false
	}
	for word := range strings.SplitSeq(text, ".") {
		if word == "" || strings.ContainsFunc(word, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
		}) {
			return false
		}
	}
	return true
}

// bounded is valid UTF-8 of at most maxText bytes and a mark.
func bounded(text string) string {
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + cutMark
	}
	return strings.ToValidUTF8(text, "\uFFFD")
}

func prepareState(state json.RawMessage) (json.RawMessage, error) {
	if len(state) == 0 {
		return nil, nil
	}
	// Text that is not UTF-8 would be another text to each reader.
	valid := bytes.ToValidUTF8(state, []byte("\uFFFD"))
	if !json.Valid(valid) {
		return nil, errors.New("not JSON")
	}
	var b bytes.Buffer
	if err := json.Compact(&b, valid); err != nil {
		return nil, err
	}
	switch {
	case bytes.Equal(b.Bytes(), []byte("null")):
		return nil, nil
	case b.Len() <= MaxState && depth(b.Bytes()) <= maxDepth:
		return b.Bytes(), nil
	}
	whole := b.Bytes()
	note := append([]byte(nil), `{"cut":true,"bytes":`...)
	note = strconv.AppendInt(note, int64(len(whole)), 10)
	note = append(note, `,"sha256":"`...)
	note = append(note, Hash(sha256.Sum256(whole)).String()...)
	note = append(note, `","start":`...)
	note = appendText(note, strings.ToValidUTF8(string(whole[:min(len(whole), maxStart)]), ""))
	return append(note, '}'), nil
}

// depth is how deep valid JSON is nested.
func depth(b []byte) int {
	deepest, now, quoted := 0, 0, false
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}

// prepareDetail is detail within its bounds; entries without a value say nothing.
func prepareDetail(detail map[string]string) map[string]string {
	if len(detail) == 0 {
		return nil
	}
	out := make(map[string]string, min(len(detail), maxDetails))
	for i, key := range slices.Sorted(maps.Keys(detail)) {
		if i == maxDetails-1 && len(detail) > maxDetails {
			out["cut"] = strconv.Itoa(len(detail)-i) + " more"
			break
		}
		if detail[key] != "" {
			out[bounded(key)] = bounded(detail[key])
		}
	}
	return out
}

// Encode returns the canonical encoding of an event that Prepare returned: one line of
// JSON without white space, its keys in the order of Event's fields, empty ones left out but
// seq, time, actor, action, prev and hash; docs/audit.md has every detail.
func Encode(e *Event) []byte { return appendEvent(nil, e, true) }

func appendEvent(b []byte, e *Event, hash bool) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, e.Seq, 10)
	b = append(b, `,"time":"`...)
	b = e.Time.UTC().AppendFormat(b, timeLayout)
	b = append(b, `","actor":{"kind":`...)
	b = appendText(b, string(e.Actor.Kind))
	b = appendMember(b, "id", e.Actor.ID)
	b = appendMember(b, "name", e.Actor.Name)
	b = appendMember(b, "address", e.Actor.Address)
	b = appendMember(b, "via", string(e.Actor.Via))
	b = append(b, `},"action":`...)
	b = appendText(b, e.Action)
	if e.Subject != (Subject{}) {
		b = append(b, `,"subject":{"kind":`...)
		b = appendText(b, e.Subject.Kind)
		b = appendMember(b, "id", e.Subject.ID)
		b = appendMember(b, "name", e.Subject.Name)
		b = append(b, '}')
	}
	b = appendMember(b, "reason", e.Reason)
	if len(e.Before) > 0 {
		b = append(append(b, `,"before":`...), e.Before...)
	}
	if len(e.After) > 0 {
		b = append(append(b, `,"after":`...), e.After...)
	}
	if len(e.Detail) > 0 {
		b = append(b, `,"detail":{`...)
		for i, key := range slices.Sorted(maps.Keys(e.Detail)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendText(b, key), ':')
			b = appendText(b, e.Detail[key])
		}
		b = append(b, '}')
	}
	b = append(b, `,"prev":"`...)
	b = append(b, e.Prev.String()...)
	if hash {
		b = append(b, `","hash":"`...)
		b = append(b, e.Hash.String()...)
	}
	return append(b, '"', '}')
}

func appendMember(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	b = append(append(append(b, ',', '"'), key...), '"', ':')
	return appendText(b, value)
}

// appendText writes a text as JavaScript's JSON.stringify and Python's json.dumps
// without ensure_ascii do: only what must be escaped is.
func appendText(b []byte, text string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(text) {
		switch c := text[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= 0x20:
			b = append(b, c)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(b, '"')
}

// Decode reads the canonical encoding of an event and nothing else: one other byte, a
// space or a key twice is an error. It does not look at the hash; see Verifier.
func Decode(line []byte) (Event, error) {
	e, _, err := decode(line)
	return e, err
}

// decode returns also the encoding without the hash, which is what Seal hashes.
func decode(line []byte) (Event, []byte, error) {
	if len(line) > maxLine {
		return Event{}, nil, fmt.Errorf("a line of %d bytes is longer than any event", len(line))
	}
	if !utf8.Valid(line) {
		return Event{}, nil, errors.New("not UTF-8")
	}
	var e Event
	if err := json.Unmarshal(line, &e); err != nil {
		return Event{}, nil, fmt.Errorf("not the JSON of an event: %w", err)
	}
	body := appendEvent(make([]byte, 0, len(line)), &e, false)
	// The line is the body, and its hash before the last brace.
	cut := len(body) - 1
	if len(line) < cut || !bytes.Equal(line[:cut], body[:cut]) || string(line[cut:]) != `,"hash":"`+e.Hash.String()+`"}` {
		return e, nil, errors.New("not the canonical encoding of an event: it was written anew by another program, or changed")
	}
	return e, body, nil
}

// MarshalJSON writes the canonical encoding.
func (e Event) MarshalJSON() ([]byte, error) { return Encode(&e), nil }
