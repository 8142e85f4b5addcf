package sigv4

import (
	"bytes"
	"slices"
	"strings"
	"sync"
)

// scratch is the memory that one signature needs. It is used again.
type scratch struct {
	request []byte // the canonical request
	text    []byte // the string to sign
	query   []byte // encoded parameters, in the order they came
	params  []param
	path    []byte
	name    [128]byte
}

// param is a query parameter in scratch.query: name=value.
type param struct{ start, equals, end int }

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxKept bounds the memory that waits for the next request, in bytes.
const maxKept = 64 << 10

func (s *scratch) free() {
	if cap(s.request)+cap(s.query)+cap(s.path)+24*cap(s.params) <= maxKept {
		scratches.Put(s)
	}
}

// form is how a message is made canonical.
type form struct {
	single    bool // the path is encoded once
	normalize bool
	// omit are the query parameters that are not signed.
	omit []string
}

// canonical writes the canonical request to s.request. names are the signed
// headers, lower-case and joined by semicolons, in the order in which they are
// signed. It returns false if the message lacks one of them: its signature can
// then match nothing.
func (s *scratch) canonical(m *message, f form, names, payload string) bool {
	complete := true
	b := append(s.request[:0], m.method...)
	b = append(b, '\n')
	b = s.appendPath(b, m.path, f)
	b = append(b, '\n')
	b = s.appendQuery(b, m.query, f.omit)
	b = append(b, '\n')
	for rest, more := names, true; more; {
		var name string
		name, rest, more = strings.Cut(rest, ";")
		b = append(b, name...)
		b = append(b, ':')
		var ok bool
		b, ok = m.appendValue(b, name, s.name[:])
		complete = complete && ok
		b = append(b, '\n')
	}
	b = append(b, '\n')
	b = append(b, names...)
	b = append(b, '\n')
	s.request = append(b, payload...)
	return complete
}

// appendPath appends the path with every byte encoded but the unreserved ones and
// slashes. The path is the one on the wire, encoded already, so that this is the
// second time; encoding once undoes the first before.
func (s *scratch) appendPath(b []byte, path string, f form) []byte {
	if f.normalize {
		s.path = appendNormalized(s.path[:0], path)
	} else {
		s.path = append(s.path[:0], path...)
	}
	p := s.path
	for i := 0; i < len(p); i++ {
		c := p[i]
		if f.single && c == '%' && i+2 < len(p) {
			if hi, lo := unhex(p[i+1]), unhex(p[i+2]); hi >= 0 && lo >= 0 {
				c = byte(hi<<4 | lo)
				i += 2
				if c == '/' {
					// An encoded slash is no separator and stays encoded.
					b = append(b, "%2F"...)
					continue
				}
			}
		}
		if c == '/' {
			b = append(b, c)
			continue
		}
		b = appendEncoded(b, c)
	}
	return b
}

// appendNormalized resolves dot segments and drops empty ones.
func appendNormalized(b []byte, path string) []byte {
	start := len(b)
	for rest, more := path, true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		switch segment {
		case "", ".":
		case "..":
			b = b[:max(start, start+bytes.LastIndexByte(b[start:], '/'))]
		default:
			b = append(b, '/')
			b = append(b, segment...)
		}
	}
	if len(b) == start || strings.HasSuffix(path, "/") {
		b = append(b, '/')
	}
	return b
}

// appendQuery appends the query with names and values encoded anew, sorted by
// encoded name, then by encoded value.
func (s *scratch) appendQuery(b []byte, query string, omit []string) []byte {
	if query == "" {
		return b
	}
	s.query, s.params = s.query[:0], s.params[:0]
	for rest, more := query, true; more; {
		var pair string
		pair, rest, more = strings.Cut(rest, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		if slices.Contains(omit, name) {
			continue
		}
		p := param{start: len(s.query)}
		s.query = appendParam(s.query, name)
		p.equals = len(s.query)
		s.query = append(s.query, '=')
		s.query = appendParam(s.query, value)
		p.end = len(s.query)
		s.params = append(s.params, p)
	}
	if len(s.params) > 1 {
		q := s.query
		slices.SortFunc(s.params, func(x, y param) int {
			if c := bytes.Compare(q[x.start:x.equals], q[y.start:y.equals]); c != 0 {
				return c
			}
			return bytes.Compare(q[x.equals:x.end], q[y.equals:y.end])
		})
	}
	for i, p := range s.params {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, s.query[p.start:p.end]...)
	}
	return b
}

// appendParam appends a name or a value of a query, decoded and encoded anew, so
// that all spellings of one text are one. A percent sign that begins no escape
// stands for itself.
func appendParam(b []byte, text string) []byte {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '+':
			c = ' '
		case c == '%' && i+2 < len(text):
			if hi, lo := unhex(text[i+1]), unhex(text[i+2]); hi >= 0 && lo >= 0 {
				c = byte(hi<<4 | lo)
				i += 2
			}
		}
		b = appendEncoded(b, c)
	}
	return b
}

const upperHex = "0123456789ABCDEF"

func appendEncoded(b []byte, c byte) []byte {
	if unreserved(c) {
		return append(b, c)
	}
	return append(b, '%', upperHex[c>>4], upperHex[c&15])
}

func unreserved(c byte) bool {
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		return true
	}
	return c == '-' || c == '.' || c == '_' || c == '~'
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
