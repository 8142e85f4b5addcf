package transaction

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonScanner reads the JSON of an access record. API Gateway puts the values of
// variables into the format as they are: a quote in a User-Agent breaks the
// JSON, and a caller may write there what looks like other members. A string
// therefore ends only at a quote after which the record can go on, and where the
// caller writes the value, at the last such quote whose next key does not come
// again.
type jsonScanner struct {
	text   string
	record *record
	names  map[string]jsonValue // path of keys to what the format puts there
	// cut is set where the record ends inside a string.
	cut bool
	// careful makes sure that what the caller wrote ends where its next key does
	// not come again. It is only needed where a key did come again.
	careful bool
	// given is what each field was given first, and doubted the fields that the
	// same key gave something else later. Kept where given is not nil.
	given   map[field]keyValue
	doubted uint64
}

type keyValue struct{ key, value string }

// jsonValue is what a JSON format has under a key: one variable, or a text with
// several.
type jsonValue struct {
	field field
	inner *AccessFormat
}

const (
	maxDepth = 8
	// maxSteps bounds the work on one record: text that is made to look like
	// member after member must not cost more than its length.
	maxSteps = 4096
)

// object reads the members of an object that begins before i. It returns the
// index after its end, or a negative number if it does not end.
func (s *jsonScanner) object(i int, outer string, depth int) int {
	r := s.record
	for {
		i = skipSpace(s.text, i)
		if i >= len(s.text) {
			return -1
		}
		switch s.text[i] {
		case '}':
			return i + 1
		case ',':
			i++
			continue
		case '"':
		default:
			return -1
		}
		if r.steps++; r.steps > maxSteps {
			return -1
		}
		end := strings.IndexByte(s.text[i+1:], '"')
		if end < 0 {
			return -1
		}
		key := s.text[i+1 : i+1+end]
		i = skipSpace(s.text, i+end+2)
		if i >= len(s.text) || s.text[i] != ':' {
			return -1
		}
		i = skipSpace(s.text, i+1)
		if i >= len(s.text) {
			return -1
		}
		if i = s.member(i, outer, key, depth); i < 0 {
			return -1
		}
	}
}

// member reads the value at i of a key.
func (s *jsonScanner) member(i int, outer, key string, depth int) int {
	r := s.record
	n := r.key
	r.key++
	what, ok := r.keys.find(n, key)
	if !ok || outer != "" {
		what = s.lookUp(outer, key)
		if outer == "" {
			r.keys.set(n, what)
		}
	}
	if r.seen>>what.field&1 != 0 && outer == "" && what.field != fieldErrorMessage && what.field != fieldIntegrationError {
		r.again = true
	}
	switch s.text[i] {
	case '{':
		if what.field == fieldRequestHeaders || what.field == fieldResponseHeaders ||
			what.field == fieldRequestBody || what.field == fieldResponseBody {
			end := skipValue(s.text, i)
			if end < 0 {
				r.put(what.field, s.text[i:])
				return -1
			}
			r.put(what.field, s.text[i:end])
			return end
		}
		if depth >= maxDepth {
			return skipValue(s.text, i)
		}
		path := key
		if outer != "" {
			path = outer + "." + key
		}
		return s.object(i+1, path, depth+1)
	case '[':
		end := skipValue(s.text, i)
		if end > 0 {
			r.put(what.field, s.text[i:end])
		}
		return end
	case '"':
		value, end, escaped := s.stringValue(i+1, what.field.in(callerWrites))
		if s.cut {
			if value = cutEscape(value); strings.IndexByte(value, '\\') >= 0 {
				value = unescape(value)
			}
			value += truncatedMark
		} else if escaped {
			value = unescape(value)
		}
		s.give(what, value)
		return end
	default:
		end := s.bareEnd(i)
		s.give(what, strings.TrimSpace(s.text[i:end]))
		return end
	}
}

func (s *jsonScanner) give(what memoKey, value string) {
	if what.inner != nil {
		if value != "" && value != "-" {
			what.inner.match(s.record, value, false)
		}
		return
	}
	if s.given != nil && what.field != fieldNone {
		if before, ok := s.given[what.field]; !ok {
			s.given[what.field] = keyValue{what.key, value}
		} else if before.key == what.key && before.value != value {
			s.doubted |= 1 << what.field
		}
	}
	switch {
	case what.field == fieldNone:
		s.record.mayBeDelivery(what.key, value)
		return
	case what.field.in(messages):
		value = unquote(value)
	}
	s.record.put(what.field, value)
}

func (s *jsonScanner) lookUp(outer, key string) memoKey {
	path := key
	if outer != "" {
		path = outer + "." + key
	}
	if v, ok := s.names[path]; ok {
		return memoKey{key: key, field: v.field, inner: v.inner}
	}
	f := fieldOfKey(path)
	if f == fieldNone && outer != "" && fieldOfKey(outer) == fieldNone {
		f = fieldOfKey(key)
	}
	return memoKey{key: key, field: f}
}

// stringValue reads a string that begins at i, after its quote. It reports
// whether the string holds backslashes.
func (s *jsonScanner) stringValue(i int, callerWrote bool) (value string, end int, escaped bool) {
	from := i
	for {
		n := strings.IndexByte(s.text[i:], '"')
		if n < 0 {
			// Cut off: what is there is all there is.
			s.cut = true
			return s.text[from:], len(s.text), false
		}
		at := i + n
		i = at + 1
		slashes := 0
		for k := at - 1; k >= from && s.text[k] == '\\'; k-- {
			slashes++
		}
		next, keyEnd := s.goesOn(at + 1)
		if next < 0 || slashes%2 == 1 && keyEnd == 0 {
			if s.record.steps++; s.record.steps > maxSteps {
				return s.text[from:], len(s.text), false
			}
			continue
		}
		if slashes%2 == 1 && fieldOfKey(s.text[next+1:keyEnd]) == fieldNone {
			continue
		}
		if callerWrote && keyEnd > 0 && (s.careful && strings.Contains(s.text[keyEnd:], s.text[next:keyEnd+1]) || !s.memberEnds(keyEnd+1)) {
			// Looking for the key again costs the length of the rest.
			if s.record.steps += 1 + (len(s.text)-keyEnd)>>8; s.record.steps > maxSteps {
				return s.text[from:], len(s.text), false
			}
			continue
		}
		value = s.text[from:at]
		return value, at + 1, strings.IndexByte(value, '\\') >= 0
	}
}

// memberEnds reports whether the value of the key that ends before i is one after
// which the record can go on.
func (s *jsonScanner) memberEnds(i int) bool {
	i = skipSpace(s.text, i)
	if i = skipSpace(s.text, i+1); i >= len(s.text) || s.text[i] != '"' {
		return true
	}
	n := strings.IndexByte(s.text[i+1:], '"')
	if n < 0 {
		return true
	}
	next, _ := s.goesOn(i + n + 2)
	return next >= 0
}

// goesOn reports whether a record can go on at i, right after a string: with a
// comma and another key, whose quotes are at next and keyEnd, or with the end of
// the object (keyEnd is 0). It returns a negative next if it cannot.
func (s *jsonScanner) goesOn(i int) (next, keyEnd int) {
	t := s.text
	i = skipSpace(t, i)
	if i >= len(t) {
		return i, 0
	}
	switch t[i] {
	case '}':
		// The end of the object: only closing brackets, or what can follow an
		// inner object.
		j := skipSpace(t, i+1)
		for j < len(t) && (t[j] == '}' || t[j] == ']') {
			j = skipSpace(t, j+1)
		}
		if j >= len(t) {
			return i, 0
		}
		if t[j] == ',' {
			if next, keyEnd = s.nextKey(j + 1); next >= 0 {
				return next, keyEnd
			}
		}
		return -1, 0
	case ',':
		return s.nextKey(i + 1)
	}
	return -1, 0
}

// nextKey finds a key with its colon at i: first of all the one that stood there
// in the record before.
func (s *jsonScanner) nextKey(i int) (from, end int) {
	if r := s.record; r.keys != nil && r.key < len(r.keys.keys) {
		k := r.keys.keys[r.key].key
		i := skipSpace(s.text, i)
		end := i + 1 + len(k)
		if end+1 < len(s.text) && s.text[i] == '"' && s.text[end] == '"' && s.text[end+1] == ':' && s.text[i+1:end] == k && k != "" {
			return i, end
		}
	}
	return keyAt(s.text, i)
}

// keyAt finds a key with its colon at i.
func keyAt(t string, i int) (from, end int) {
	i = skipSpace(t, i)
	if i >= len(t) || t[i] != '"' {
		return -1, 0
	}
	n := strings.IndexByte(t[i+1:min(len(t), i+130)], '"')
	if n <= 0 {
		return -1, 0
	}
	end = i + 1 + n
	for k := i + 1; k < end; k++ {
		if c := t[k]; c < '-' && c != '$' && c != ' ' || c == '\\' || c == '{' || c == '}' {
			return -1, 0
		}
	}
	if c := skipSpace(t, end+1); c >= len(t) || t[c] != ':' {
		return -1, 0
	}
	return i, end
}

// bareEnd finds the end of a value without quotes: a number, a word, the dash of
// an unset variable, or a value that the format's author forgot to quote.
func (s *jsonScanner) bareEnd(i int) int {
	t := s.text
	for ; i < len(t); i++ {
		switch t[i] {
		case ',':
			if next, _ := s.nextKey(i + 1); next >= 0 {
				return i
			}
			if j := skipSpace(t, i+1); j < len(t) && t[j] == '}' {
				return i
			}
			if s.record.steps++; s.record.steps > maxSteps {
				return len(t)
			}
		case '}':
			return i
		}
	}
	return i
}

func skipSpace(t string, i int) int {
	for i < len(t) && (t[i] == ' ' || t[i] == '\t' || t[i] == '\n' || t[i] == '\r') {
		i++
	}
	return i
}

// skipValue returns the index after the object or array that begins at i, or a
// negative number if it does not end.
func skipValue(t string, i int) int {
	depth := 0
	for ; i < len(t); i++ {
		switch t[i] {
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		case '"':
			for i++; i < len(t) && t[i] != '"'; i++ {
				if t[i] == '\\' {
					i++
				}
			}
		}
	}
	return -1
}

// cutEscape takes off an escape that was cut in the middle, at the end of a string.
func cutEscape(s string) string {
	s = cutRune(s)
	for i := len(s) - 1; i >= max(0, len(s)-6); i-- {
		if s[i] != '\\' {
			continue
		}
		slashes := 0
		for i-slashes >= 0 && s[i-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 1 && (i == len(s)-1 || s[i+1] == 'u' && i+6 > len(s)) {
			return s[:i]
		}
		return s
	}
	return s
}

// unescape decodes JSON's escapes. Where s holds a backslash that is none, s was
// not escaped at all and is returned as it is.
func unescape(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			out = append(out, s[i])
			continue
		}
		if i++; i == len(s) {
			return s
		}
		switch s[i] {
		case '"', '\\', '/':
			out = append(out, s[i])
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, ok := hex4(s, i+1)
			if !ok {
				return s
			}
			i += 4
			if utf16.IsSurrogate(r) {
				low, ok := rune(0), false
				if i+2 < len(s) && s[i+1] == '\\' && s[i+2] == 'u' {
					low, ok = hex4(s, i+3)
				}
				if pair := utf16.DecodeRune(r, low); ok && pair != utf8.RuneError {
					r = pair
					i += 6
				} else {
					r = utf8.RuneError
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			return s
		}
	}
	return string(out)
}

func hex4(s string, i int) (rune, bool) {
	if i+4 > len(s) {
		return 0, false
	}
	var r rune
	for _, c := range []byte(s[i : i+4]) {
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
