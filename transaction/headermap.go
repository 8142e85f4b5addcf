package transaction

import (
	"strings"
	"unicode/utf8"
)

// pair is a name and its value in a map of headers or of query parameters. The
// name of a header is in lower case.
type pair struct {
	name, value string
	open        bool // a header that is no secret by the default rules
	known       bool // a header that is met often
}

// mapText takes the braces and the mark of a cut off a map. A map without its
// closing brace was cut, whatever else it says.
func mapText(text string) (inner string, truncated bool) {
	text, truncated = cutTruncated(text)
	if !truncated {
		if n := len(text); n > 0 && text[n-1] != '}' {
			text = strings.TrimRight(text, " \r\n")
		}
		if inner, ok := strings.CutSuffix(text, "}"); ok {
			return strings.TrimPrefix(inner, "{"), false
		}
		truncated = text != ""
	}
	return strings.TrimPrefix(text, "{"), truncated
}

// maxPairs is how many headers of one map are told apart: API Gateway takes ten
// kilobytes of them.
const maxPairs = 1024

// splitHeaders takes apart a map of headers, "{Name=value, Name=value}". Values
// are not quoted, and hold commas and equals signs of their own, so where the
// next header begins is decided by its name and by what the value before may
// contain. Of a map that was cut, the last value is what was left of it. The
// order is what maps of this kind had before.
func splitHeaders(dst []pair, text string, order *headerOrder) (pairs []pair, truncated bool) {
	text, truncated = mapText(text)
	if text == "" {
		return dst, truncated
	}
	n := nameLength(text, 0)
	if n == 0 {
		return dst, truncated
	}
	header, known := headerCalled(text[:n])
	from := n + 1 // of the value
	for i := from; ; {
		comma := strings.IndexByte(text[i:], ',')
		if comma < 0 || len(dst) >= maxPairs {
			break
		}
		comma += i
		i = comma + 1
		if i >= len(text) || text[i] != ' ' {
			continue
		}
		i++
		place := len(dst) + 1
		e := order.expect(place, text[i:])
		var n int
		if e != nil {
			n = len(e.usual)
		} else if n = nameLength(text, i); n > 0 {
			e = findHeader(text[i : i+n])
		} else {
			continue
		}
		var next knownHeader
		if e != nil {
			if !endsBefore(header, text[i:i+n]) {
				continue
			}
			next = e.knownHeader
			order.set(place, e)
		} else {
			lower := strings.ToLower(text[i : i+n])
			if !beginsHeader(header, text[from:comma], text[i:i+n], lower, text[i+n+1:]) {
				continue
			}
			next = knownHeader{name: lower, params: valueParams[lower]}
		}
		dst = append(dst, pair{header.name, text[from:comma], header.open, known})
		header, known, from = next, e != nil, i+n+1
		i = from
	}
	last := text[from:]
	if truncated {
		last = cutValue(last)
	}
	return append(dst, pair{header.name, last, header.open, known}), truncated
}

// nameLength is the length of the header name at i that an equals sign follows,
// or 0.
func nameLength(text string, i int) int {
	end := min(len(text), i+maxHeaderName+1)
	for k := i; k < end; k++ {
		if c := text[k]; !tchar[c] {
			if c == '=' {
				return k - i
			}
			return 0
		}
	}
	return 0
}

// endsBefore reports whether the value of a header ends where the name of a
// known header follows. Some names are both, for example the host of Forwarded.
func endsBefore(header knownHeader, name string) bool {
	switch header.params {
	case paramsListed:
		if header.name == "forwarded" {
			return name[0] >= 'A' && name[0] <= 'Z' || name != "host"
		}
	case paramsAny:
		if name == "Signature" || name == "Digest" {
			return false // of "Credential=…, SignedHeaders=…, Signature=…"
		}
	}
	return true
}

// beginsHeader reports whether a name that is not a known header's begins one,
// rather than going on with the value before.
func beginsHeader(header knownHeader, value, name, lower, rest string) bool {
	if isOpen(value) {
		return false
	}
	capital := name[0] >= 'A' && name[0] <= 'Z'
	hyphen := strings.IndexByte(name, '-') > 0
	always, directive := directives[lower]
	switch header.params {
	case paramsCookies:
		return hasHeaderPrefix(lower) && !isCookie(rest) || capital && hyphen && !isCookie(rest)
	case paramsAny:
		return hasHeaderPrefix(lower) || capital && hyphen
	case paramsListed:
		if directive {
			return false
		}
	default:
		if always && !capital {
			return false
		}
	}
	return true
}

// isOpen reports whether value ends inside quotes or parentheses.
func isOpen(value string) bool {
	// A quote that was opened long ago was rather never closed.
	value = value[max(0, len(value)-1024):]
	if strings.IndexByte(value, '"') >= 0 && strings.Count(value, `"`)%2 == 1 {
		return true
	}
	return strings.IndexByte(value, '(') >= 0 && strings.Count(value, "(") > strings.Count(value, ")")
}

// isCookie reports whether what follows "name=" is a cookie's value with an
// attribute.
func isCookie(rest string) bool {
	rest = rest[:min(len(rest), 4096)] // no cookie is longer
	if end := strings.Index(rest, ", "); end >= 0 {
		rest = rest[:end]
	}
	_, attributes, ok := strings.Cut(rest, ";")
	if !ok {
		return false
	}
	attributes = strings.ToLower(strings.TrimLeft(attributes, " "))
	for _, a := range [...]string{"path", "expires", "max-age", "domain", "secure", "httponly", "samesite", "partitioned"} {
		if strings.HasPrefix(attributes, a) {
			return true
		}
	}
	return false
}

// cutValue is what can be kept of a value that was cut off: not a last word that
// may be the beginning of the next header's name, and not half a character.
func cutValue(value string) string {
	value = cutRune(value)
	if i := strings.LastIndex(value, ", "); i >= 0 {
		tail := value[i+2:]
		k := 0
		for k < len(tail) && tchar[tail[k]] {
			k++
		}
		if k == len(tail) {
			value = value[:i]
		}
	}
	return strings.TrimSuffix(value, ",")
}

// cutRune takes off the bytes of a character that was cut in the middle.
func cutRune(s string) string {
	for i := 1; i <= min(utf8.UTFMax-1, len(s)); i++ {
		c := s[len(s)-i]
		if c < utf8.RuneSelf {
			return s
		}
		if utf8.RuneStart(c) {
			if !utf8.FullRuneInString(s[len(s)-i:]) {
				return s[:len(s)-i]
			}
			return s
		}
	}
	return s
}

// splitQuery takes apart a map of query parameters, "{name=value, name=value}".
// Names and values are decoded and may hold nearly anything; where it is not
// clear whether a comma begins another parameter, no character is lost either
// way.
func splitQuery(dst []pair, text string) (pairs []pair, truncated bool) {
	text, truncated = mapText(text)
	equals := strings.IndexByte(text, '=')
	if equals < 0 {
		return dst, truncated
	}
	name, from := text[:equals], equals+1
	for i := from; ; {
		comma := strings.Index(text[i:], ", ")
		if comma < 0 {
			break
		}
		comma += i
		i = comma + 2
		n := queryNameLength(text, i)
		if n == 0 {
			continue
		}
		dst = append(dst, pair{name: name, value: text[from:comma]})
		name, from = text[i:i+n], i+n+1
		i = from
	}
	last := text[from:]
	if truncated {
		last = cutRune(last)
		if i := strings.LastIndex(last, ", "); i >= 0 && strings.IndexByte(last[i+2:], ' ') < 0 {
			last = last[:i]
		}
	}
	return append(dst, pair{name: name, value: last}), truncated
}

// queryNameLength is the length of what can be a parameter's name at i, or 0.
func queryNameLength(text string, i int) int {
	end := min(len(text), i+maxHeaderName+1)
	for k := i; k < end; k++ {
		switch c := text[k]; {
		case c == '=':
			return k - i
		case c <= ' ', c == ',', c == '"', c == '<', c == '>', c == ';', c == '?', c == '/':
			return 0
		}
	}
	return 0
}
