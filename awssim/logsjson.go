package awssim

import (
	"strconv"
	"unicode/utf8"
)

// appendFiltered appends an event as FilterLogEvents writes it. Pages are up to
// 10,000 events, so this is written by hand.
func appendFiltered(b []byte, e *logEvent) []byte {
	b = append(b, `{"eventId":"`...)
	b = appendEventID(b, e.key)
	b = append(b, `","ingestionTime":`...)
	b = strconv.AppendInt(b, e.ingested, 10)
	b = append(b, `,"logStreamName":`...)
	b = appendJSONString(b, e.stream.name)
	b = append(b, `,"message":`...)
	b = appendJSONString(b, e.message)
	b = append(b, `,"timestamp":`...)
	b = strconv.AppendInt(b, e.ts, 10)
	return append(b, '}')
}

// appendOutput appends an event as GetLogEvents writes it, without an eventId.
func appendOutput(b []byte, e *logEvent) []byte {
	b = append(b, `{"ingestionTime":`...)
	b = strconv.AppendInt(b, e.ingested, 10)
	b = append(b, `,"message":`...)
	b = appendJSONString(b, e.message)
	b = append(b, `,"timestamp":`...)
	b = strconv.AppendInt(b, e.ts, 10)
	return append(b, '}')
}

// plainJSON tells the bytes that stand for themselves in a JSON string.
var plainJSON = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// appendJSONString appends s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD, as CloudWatch Logs stores them.
func appendJSONString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if plainJSON[c] {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(b, s[start:i]...)
				b = append(b, "\uFFFD"...)
				start = i + 1
			}
			i += n
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
