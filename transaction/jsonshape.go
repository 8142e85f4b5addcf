package transaction

import "strings"

// jsonShape is what a feed's JSON records were seen to look like: the same keys
// in the same order, with the same text between the values. A record that has
// this text between its values, each up to the first quote after it, is what the
// tolerant scanner would take it for too, and is read by comparing alone. That
// holds because a shape is only learnt where all keys are plain and tell
// different things, so that no key can come twice.
type jsonShape struct {
	members []shapeMember
	last    string // what follows the last value
	missed  int    // records since it was learnt that were not of it
	patient int    // how many may be missed until it is learnt again
}

type shapeMember struct {
	before string // the text before the value
	key    string
	field  field
	quoted bool
}

// maxPatience is how many records of another shape it takes at most until theirs
// is learnt.
const maxPatience = 1024

// match reads a record of the shape. It gives nothing to r and returns false for
// any other.
func (s *jsonShape) match(r *record, text string) bool {
	if len(s.members) == 0 || strings.IndexByte(text, '\\') >= 0 {
		return false
	}
	rest := text
	for i := range s.members {
		m := &s.members[i]
		if !strings.HasPrefix(rest, m.before) {
			r.reset(text)
			return false
		}
		rest = rest[len(m.before):]
		end := 0
		if m.quoted {
			if end = strings.IndexByte(rest, '"'); end < 0 {
				r.reset(text)
				return false
			}
		} else {
			for end < len(rest) && isBare[rest[end]] {
				end++
			}
		}
		if m.field.in(messages) && !m.quoted {
			r.reset(text)
			return false
		}
		if m.field != fieldNone {
			r.putAt(m.field, rest[:end], len(text)-len(rest))
		} else if end > 0 {
			r.mayBeDelivery(m.key, rest[:end])
		}
		rest = rest[end:]
	}
	if rest != s.last {
		r.reset(text)
		return false
	}
	return true
}

// isBare holds the bytes of values without quotes that are the same to any
// reader: numbers, words and the dash of an unset variable.
var isBare = func() (t [256]bool) {
	for c := range t {
		t[c] = isNameByte(byte(c)) || c == '-' || c == '.' || c == '+'
	}
	return t
}()

// learn takes over the shape of a record, now and then. One that has no shape, as
// with objects inside or with keys that mean the same, leaves none.
func (s *jsonShape) learn(text string, lookUp func(key string) memoKey) {
	if s.missed++; s.missed <= s.patient {
		return
	}
	s.missed, s.patient = 0, min(max(2*s.patient, 1), maxPatience)
	s.members, s.last = s.members[:0], ""
	members := s.members
	text = strings.Clone(text) // the message is not kept
	var seen uint64
	from := 0 // of the text before the next value
	for i := 1; len(members) < maxMemo; {
		key, end := keyAt(text, i)
		if key < 0 {
			return
		}
		what := lookUp(text[key+1 : end])
		if what.inner != nil || what.field != fieldNone && seen>>what.field&1 != 0 {
			return
		}
		seen |= 1 << what.field
		i = skipSpace(text, end+1)
		if i = skipSpace(text, i+1); i >= len(text) {
			return
		}
		m := shapeMember{key: what.key, field: what.field, quoted: text[i] == '"'}
		if m.quoted {
			i++
			m.before = text[from:i]
			n := strings.IndexByte(text[i:], '"')
			if n < 0 {
				return
			}
			i += n
			from = i
			i++
		} else {
			m.before = text[from:i]
			for i < len(text) && isBare[text[i]] {
				i++
			}
			from = i
		}
		members = append(members, m)
		i = skipSpace(text, i)
		switch {
		case i < len(text) && text[i] == ',':
			i++
		case i == len(text)-1 && text[i] == '}':
			s.members, s.last = members, text[from:]
			return
		default:
			return
		}
	}
}
