package sigv4

import (
	"net/http"
	"strconv"
	"strings"
)

// Names that matter to signing, as they are in an http.Header and in a query.
const (
	headerAuthorization = "Authorization"
	headerDate          = "X-Amz-Date"
	headerToken         = "X-Amz-Security-Token"
	headerRegionSet     = "X-Amz-Region-Set"
	headerContentHash   = "X-Amz-Content-Sha256"

	queryAlgorithm     = "X-Amz-Algorithm"
	queryCredential    = "X-Amz-Credential"
	queryExpires       = "X-Amz-Expires"
	querySignature     = "X-Amz-Signature"
	querySignedHeaders = "X-Amz-SignedHeaders"
)

// message is what of a request can be signed.
type message struct {
	method string
	path   string // as on the wire
	query  string // as on the wire, without "?"
	host   string
	header http.Header
	length int64 // -1: unknown
}

// read takes the message from a request that was received (RequestURI is set) or
// that is to be sent.
func (m *message) read(r *http.Request) {
	m.method = r.Method
	if m.method == "" {
		m.method = http.MethodGet
	}
	target := r.RequestURI
	if target == "" {
		target = r.URL.RequestURI()
	}
	if !strings.HasPrefix(target, "/") {
		// The absolute form, which proxies are sent: http://host/path.
		if scheme, rest, ok := strings.Cut(target, "://"); ok && !strings.ContainsAny(scheme, "/?") {
			if i := strings.IndexAny(rest, "/?"); i < 0 {
				target = "/"
			} else {
				target = rest[i:]
			}
		}
	}
	m.path, m.query, _ = strings.Cut(target, "?")
	if m.path == "" {
		m.path = "/"
	}
	m.host = r.Host
	if m.host == "" && r.URL != nil {
		m.host = r.URL.Host
	}
	m.header, m.length = r.Header, r.ContentLength
}

// values returns the values of a header by its lower-case name, and false if the
// request does not have it. Host and Content-Length are kept beside the map by
// net/http.
func (m *message) values(name string, scratch []byte) ([]string, bool) {
	key := canonicalKey(scratch[:0], name)
	if v, ok := m.header[string(key)]; ok {
		return v, true
	}
	// A name that net/http does not know how to spell is kept as it came.
	v, ok := m.header[name]
	return v, ok
}

// canonicalKey spells a header's name as http.Header has it, without allocating.
func canonicalKey(b []byte, name string) []byte {
	upper := true
	for i := range len(name) {
		c := name[i]
		if upper && c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		upper = c == '-'
		b = append(b, c)
	}
	return b
}

// appendValue appends the canonical value of a signed header; ok is false if the
// request does not have it.
func (m *message) appendValue(b []byte, name string, scratch []byte) (_ []byte, ok bool) {
	switch name {
	case "host", ":authority":
		return appendTrimmed(b, m.host), m.host != ""
	case "content-length":
		if values, ok := m.values(name, scratch); ok {
			return appendJoined(b, values), true
		}
		return strconv.AppendInt(b, m.length, 10), m.length >= 0
	}
	values, ok := m.values(name, scratch)
	if !ok {
		return b, false
	}
	return appendJoined(b, values), true
}

func appendJoined(b []byte, values []string) []byte {
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendTrimmed(b, v)
	}
	return b
}

// appendTrimmed appends a header's value without white space at its ends, and
// with one space for every run of it.
func appendTrimmed(b []byte, v string) []byte {
	start, pending := len(b), false
	for i := range len(v) {
		switch c := v[i]; c {
		case ' ', '\t', '\r', '\n', '\v', '\f':
			pending = len(b) > start
		default:
			if pending {
				b = append(b, ' ')
				pending = false
			}
			b = append(b, c)
		}
	}
	return b
}

// first returns the first value of a header by its name in an http.Header.
func (m *message) first(key string) string {
	if v := m.header[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}
