package transaction

import (
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendJSON appends the JSON form of t to dst, byte for byte what encoding/json
// writes of it without HTML escaping. Map keys are sorted; bytes that are not
// UTF-8 become U+FFFD.
func (t *Transaction) AppendJSON(dst []byte) []byte {
	w := jsonWriter(dst)
	w = append(w, `{"id":`...)
	w = w.value(t.ID)
	w = w.field(`,"account":`, t.Account)
	w = w.field(`,"region":`, t.Region)
	w = w.field(`,"api_id":`, t.APIID)
	w = w.field(`,"api_type":`, string(t.APIType))
	w = w.field(`,"stage":`, t.Stage)
	w = w.field(`,"request_id":`, t.RequestID)
	w = w.field(`,"extended_request_id":`, t.ExtendedRequestID)
	if t.Time != 0 {
		w = append(w, `,"time":"`...)
		w = w.time(t.Time)
		w = append(w, '"')
	}
	w = w.field(`,"method":`, t.Method)
	w = w.field(`,"path":`, t.Path)
	w = w.field(`,"route":`, t.Route)
	w = w.field(`,"route_source":`, string(t.RouteSource))
	w = w.lists(`,"query":`, t.Query)
	w = w.field(`,"host":`, t.Host)
	w = w.field(`,"protocol":`, t.Protocol)
	w = w.field(`,"source_ip":`, t.SourceIP)
	w = w.field(`,"user_agent":`, t.UserAgent)
	if r := t.Request; r != nil {
		w = w.open(`,"request":{`)
		w = w.lists(`,"headers":`, r.Headers)
		w = w.field(`,"body":`, r.Body)
		w = w.flag(`,"truncated":`, r.Truncated)
		w = w.close()
	}
	if r := t.Response; r != nil {
		w = w.open(`,"response":{`)
		w = w.number(`,"status":`, int64(r.Status))
		w = w.lists(`,"headers":`, r.Headers)
		w = w.field(`,"body":`, r.Body)
		w = w.flag(`,"truncated":`, r.Truncated)
		w = w.close()
	}
	w = w.optional(`,"latency_ms":`, t.LatencyMS)
	if i := t.Integration; i != nil {
		w = w.open(`,"integration":{`)
		w = w.field(`,"uri":`, i.URI)
		w = w.number(`,"status":`, int64(i.Status))
		w = w.optional(`,"latency_ms":`, i.LatencyMS)
		w = w.field(`,"request_id":`, i.RequestID)
		w = w.field(`,"error":`, i.Error)
		w = w.close()
	}
	if c := t.Caller; c != nil {
		w = w.open(`,"caller":{`)
		w = w.field(`,"kind":`, string(c.Kind))
		w = w.field(`,"arn":`, c.ARN)
		w = w.field(`,"account":`, c.Account)
		w = w.field(`,"principal":`, c.Principal)
		w = w.field(`,"api_key_id":`, c.APIKeyID)
		w = w.close()
	}
	if a := t.Authorizer; a != nil {
		w = w.open(`,"authorizer":{`)
		w = w.field(`,"id":`, a.ID)
		w = w.field(`,"outcome":`, a.Outcome)
		w = w.optional(`,"latency_ms":`, a.LatencyMS)
		w = w.close()
	}
	if e := t.Error; e != nil {
		w = w.open(`,"error":{`)
		w = w.field(`,"type":`, e.Type)
		w = w.field(`,"message":`, e.Message)
		w = w.close()
	}
	w = w.field(`,"connection_id":`, t.ConnectionID)
	w = w.field(`,"event_type":`, t.EventType)
	w = w.field(`,"visibility":`, string(t.Visibility))
	w = w.flag(`,"complete":`, t.Complete)
	if len(t.Sources) > 0 {
		w = w.open(`,"sources":[`)
		for i, s := range t.Sources {
			if i > 0 {
				w = append(w, ',')
			}
			w = w.value(string(s))
		}
		w = append(w, ']')
	}
	if l := t.Log; l != nil {
		w = w.open(`,"log":{`)
		w = w.field(`,"group":`, l.Group)
		w = w.field(`,"first_event_id":`, l.FirstEventID)
		w = w.number(`,"events":`, int64(l.Events))
		w = w.close()
	}
	return append(w, '}')
}

// jsonWriter appends members of objects. Names are written with the comma before
// them; it is left out where the object has just been opened.
type jsonWriter []byte

func (w jsonWriter) name(name string) jsonWriter {
	if w[len(w)-1] == '{' {
		name = name[1:]
	}
	return append(w, name...)
}

func (w jsonWriter) open(name string) jsonWriter { return w.name(name) }

func (w jsonWriter) close() jsonWriter { return append(w, '}') }

func (w jsonWriter) field(name, value string) jsonWriter {
	if value == "" {
		return w
	}
	return w.name(name).value(value)
}

func (w jsonWriter) flag(name string, set bool) jsonWriter {
	if !set {
		return w
	}
	return append(w.name(name), "true"...)
}

func (w jsonWriter) number(name string, n int64) jsonWriter {
	if n == 0 {
		return w
	}
	return strconv.AppendInt(w.name(name), n, 10)
}

func (w jsonWriter) optional(name string, n *int64) jsonWriter {
	if n == nil {
		return w
	}
	return strconv.AppendInt(w.name(name), *n, 10)
}

func (w jsonWriter) lists(name string, m map[string][]string) jsonWriter {
	if len(m) == 0 {
		return w
	}
	var room [48]string
	keys := room[:0]
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	w = append(w.name(name), '{')
	for _, k := range keys {
		if w[len(w)-1] != '{' {
			w = append(w, ',')
		}
		w = append(w.value(k), ':')
		values := m[k]
		if values == nil {
			w = append(w, "null"...)
			continue
		}
		w = append(w, '[')
		for i, v := range values {
			if i > 0 {
				w = append(w, ',')
			}
			w = w.value(v)
		}
		w = append(w, ']')
	}
	return append(w, '}')
}

// time writes RFC 3339 with three decimals. Years beyond 9999 do not fit it and
// are left to the time package, as MarshalText does.
func (w jsonWriter) time(t Time) jsonWriter {
	at := t.Time()
	year, month, day := at.Date()
	if year < 0 || year > 9999 {
		return at.AppendFormat(w, timeFormat)
	}
	hour, minute, second := at.Clock()
	ms := at.Nanosecond() / int(time.Millisecond)
	return append(w,
		digit(year/1000), digit(year/100), digit(year/10), digit(year), '-',
		digit(int(month)/10), digit(int(month)), '-',
		digit(day/10), digit(day), 'T',
		digit(hour/10), digit(hour), ':',
		digit(minute/10), digit(minute), ':',
		digit(second/10), digit(second), '.',
		digit(ms/100), digit(ms/10), digit(ms), 'Z')
}

func digit(n int) byte { return byte('0' + n%10) }

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// plainRun returns how many of the first bytes of s need no escape. It looks at
// eight bytes at a time and so may stop up to seven bytes early.
func plainRun(s string) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		// The compiler makes one load of this.
		x := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
			uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
		quote := x ^ (ones * '"')
		slash := x ^ (ones * '\\')
		// A high bit stays where a byte is above 0x7f, below 0x20, a quote or a
		// backslash; a borrow can only add false alarms, which cost a slow byte.
		if (x|(x-ones*0x20)|(quote-ones)|(slash-ones))&highs != 0 {
			return i
		}
	}
	return i
}

const hex = "0123456789abcdef"

func (w jsonWriter) value(s string) jsonWriter {
	w = append(w, '"')
	for len(s) > 0 {
		n := plainRun(s)
		for n < len(s) && s[n] >= 0x20 && s[n] < utf8.RuneSelf && s[n] != '"' && s[n] != '\\' {
			n++
			if n&7 == 0 {
				n += plainRun(s[n:])
			}
		}
		w = append(w, s[:n]...)
		if s = s[n:]; s == "" {
			break
		}
		c := s[0]
		if c < utf8.RuneSelf {
			switch c {
			case '"', '\\':
				w = append(w, '\\', c)
			case '\b':
				w = append(w, '\\', 'b')
			case '\f':
				w = append(w, '\\', 'f')
			case '\n':
				w = append(w, '\\', 'n')
			case '\r':
				w = append(w, '\\', 'r')
			case '\t':
				w = append(w, '\\', 't')
			default:
				w = append(w, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			s = s[1:]
			continue
		}
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			w = append(w, `\ufffd`...)
		case r == '\u2028' || r == '\u2029':
			// encoding/json escapes these so that its output is JavaScript too.
			w = append(w, '\\', 'u', '2', '0', '2', hex[r&15])
		default:
			w = append(w, s[:size]...)
		}
		s = s[size:]
	}
	return append(w, '"')
}
