package logfile

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// The members of a plain event.
const (
	memberMessage = 1 << iota
	memberTimestamp
	memberEventID
	memberID
	memberStream
	memberIngestion
)

// plainEvent reads an event as filter-log-events, get-log-events and
// subscriptions write it: an object of a few members that are known by their
// exact names, of which each comes once. It is what encoding/json makes of the
// same, at a fraction of the cost; whatever is not quite so is left to that, by
// returning false.
func (r *Reader) plainEvent(raw []byte, stream string) (transaction.Event, bool) {
	var ev transaction.Event
	var message, id, name []byte
	seen := 0
	if len(raw) == 0 || raw[0] != '{' {
		return ev, false
	}
	for i := 1; ; {
		i = skipSpace(raw, i)
		key, end := plainString(raw, i)
		if end < 0 {
			return ev, false
		}
		if i = skipSpace(raw, end); i >= len(raw) || raw[i] != ':' {
			return ev, false
		}
		i = skipSpace(raw, i+1)
		member := 0
		switch string(key) {
		case "message":
			member = memberMessage
			message, i = r.anyString(raw, i)
		case "timestamp":
			member = memberTimestamp
			ev.Timestamp, i = wholeNumber(raw, i)
		case "eventId":
			member = memberEventID
			id, i = plainString(raw, i)
		case "id":
			member = memberID
			var other []byte
			if other, i = plainString(raw, i); len(id) == 0 && r.page != nil {
				id = other
			}
		case "logStreamName":
			member = memberStream
			name, i = plainString(raw, i)
		case "ingestionTime":
			member = memberIngestion
			_, i = wholeNumber(raw, i)
		}
		if member == 0 || seen&member != 0 || i < 0 {
			return ev, false
		}
		seen |= member
		if i = skipSpace(raw, i); i >= len(raw) {
			return ev, false
		}
		if raw[i] == '}' {
			if i != len(raw)-1 {
				return ev, false
			}
			break
		}
		if raw[i] != ',' {
			return ev, false
		}
		i++
	}
	if seen&memberMessage == 0 || seen&memberID != 0 && seen&memberEventID != 0 {
		return ev, false
	}
	ev.Timestamp = inMilliseconds(ev.Timestamp)
	// Both are kept for as long as one of them, so they share their memory.
	r.text = append(append(r.text[:0], message...), id...)
	both := string(r.text)
	ev.Message, ev.ID = both[:len(message)], both[len(message):]
	if ev.Stream = stream; len(name) > 0 {
		ev.Stream = r.streamNamed(name)
	}
	return ev, true
}

// maxStreams is how many names of streams are kept.
const maxStreams = 4096

// streamNamed is the stream's name. The same few come again and again.
func (r *Reader) streamNamed(name []byte) string {
	if s, ok := r.streams[string(name)]; ok {
		return s
	}
	if r.streams == nil || len(r.streams) >= maxStreams {
		r.streams = map[string]string{}
	}
	s := string(name)
	r.streams[s] = s
	return s
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// plainString reads the JSON string at i, if it is of ASCII without escapes. The
// end is negative if it is not.
func plainString(b []byte, i int) (s []byte, end int) {
	if i >= len(b) || b[i] != '"' {
		return nil, -1
	}
	end = i + 1 + plainRun(b[i+1:])
	if end >= len(b) || b[end] != '"' {
		return nil, -1
	}
	return b[i+1 : end], end + 1
}

// anyString reads the JSON string at i, with its escapes but for those of
// surrogates. What it returns is good until the next string is read.
func (r *Reader) anyString(b []byte, i int) (s []byte, end int) {
	if s, end = plainString(b, i); end >= 0 {
		return s, end
	}
	if i >= len(b) || b[i] != '"' {
		return nil, -1
	}
	out := r.unescaped[:0]
	ascii := true
	for i++; ; {
		n := plainRun(b[i:])
		out = append(out, b[i:i+n]...)
		if i += n; i >= len(b) {
			return nil, -1
		}
		switch c := b[i]; {
		case c == '"':
			r.unescaped = out
			if !ascii && !utf8.Valid(out) {
				return nil, -1
			}
			return out, i + 1
		case c >= utf8.RuneSelf:
			out = append(out, c)
			ascii = false
			i++
		case c != '\\' || i+1 >= len(b):
			return nil, -1
		case b[i+1] == 'u':
			code, ok := hex4(b[i+2:])
			if !ok || code >= 0xd800 && code < 0xe000 {
				return nil, -1
			}
			out = utf8.AppendRune(out, code)
			i += 6
		default:
			c := unescape[b[i+1]]
			if c == 0 {
				return nil, -1
			}
			out = append(out, c)
			i += 2
		}
	}
}

// unescape holds what JSON's escapes of one letter stand for.
var unescape = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// wholeNumber reads the number at i, if it has no sign, fraction or exponent.
func wholeNumber(b []byte, i int) (n int64, end int) {
	from := i
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		n = n*10 + int64(b[i]-'0')
		i++
	}
	if size := i - from; size == 0 || size > 15 || size > 1 && b[from] == '0' {
		return 0, -1
	}
	return n, i
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plainRun returns how many of the first bytes of b are ASCII that stands for
// itself in a JSON string.
func plainRun(b []byte) int {
	i := 0
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		quote, slash := x^(ones*'"'), x^(ones*'\\')
		// A high bit comes where a byte is above 0x7f, below 0x20, a quote or a
		// backslash; a borrow can only add false alarms.
		if (x|(x-ones*0x20)|(quote-ones)|(slash-ones))&highs != 0 {
			break
		}
	}
	for i < len(b) && b[i] >= 0x20 && b[i] < utf8.RuneSelf && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}
