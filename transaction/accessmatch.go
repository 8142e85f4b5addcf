package transaction

import "strings"

// maxMatched is the longest line that is fitted to a format: no access record is
// so long.
const maxMatched = 64 << 10

// match takes text apart by the format and gives the values to r. It gives
// nothing where the text does not fit. The text may be whole, a record of its own.
func (f *AccessFormat) match(r *record, text string, whole bool) bool {
	if len(text) > maxMatched {
		return false
	}
	// Readers of logs take space off both ends.
	first, last := f.segments[0].literal, len(f.segments)-1
	if !strings.HasPrefix(text, first) {
		if first = strings.TrimLeft(first, " \t"); !strings.HasPrefix(text, first) {
			return false
		}
	}
	inner, ok := strings.CutSuffix(text[len(first):], f.segments[last].literal)
	if !ok {
		if inner, ok = strings.CutSuffix(text[len(first):], strings.TrimRight(f.segments[last].literal, " \t")); !ok {
			return false
		}
	}
	var room [48]span
	places := room[:0]
	if last > len(room) {
		places = make([]span, 0, last)
	}
	places = places[:last]
	at := uint32(len(first))
	if fits := f.members && f.placeMembers(inner, at, places) ||
		f.place(&r.fit, inner, at, places, false) || f.place(&r.fit, inner, at, places, true); !fits {
		return false
	}
	for i := range places {
		p := &places[i]
		if p.from > p.to {
			if p.field != fieldNone {
				r.ambiguous++
			}
			continue
		}
		if f.segments[i+1].quoted {
			r.putQuoted(p.field, text[p.from:p.to])
		} else if whole {
			r.putAt(p.field, text[p.from:p.to], int(p.from))
		} else {
			r.put(p.field, text[p.from:p.to])
		}
	}
	return true
}

// placeMembers finds the values of a JSON line of which none has a quote in it, as
// place does. It returns false for any other.
func (f *AccessFormat) placeMembers(text string, at uint32, places []span) bool {
	last := len(f.segments) - 1
	for n := 1; n < last; n++ {
		s := &f.segments[n]
		end := strings.IndexByte(text, s.literal[0])
		if end < 0 || !strings.HasPrefix(text[end:], s.literal) || (s.class.narrow || !s.endsQuoted) && !s.class.accepts(text[:end], false) {
			return false
		}
		places[n-1] = span{at, at + uint32(end), s.field}
		end += len(s.literal)
		text, at = text[end:], at+uint32(end)
	}
	s := &f.segments[last]
	places[last-1] = span{at, at + uint32(len(text)), s.field}
	return strings.IndexByte(text, '"') < 0 && s.class.accepts(text, false)
}

// place finds where the values of a line stand which begins at a place of the
// text, first by looking for the text between them: where that cannot be part of a
// value, or stands there only once, it tells. What is left in the middle is for
// the fitter. A value that can stand at several places has an end before its
// beginning. With empty, values that are never empty may be so. It returns false
// where the line does not fit.
func (f *AccessFormat) place(x *fitter, text string, at uint32, places []span, empty bool) bool {
	lo, hi := 1, len(f.segments)-1 // of the values that are not placed yet
	for {
		for ; lo < hi; lo++ {
			s := &f.segments[lo]
			if !s.endsHere {
				break
			}
			end := strings.IndexByte(text, s.literal[0])
			if end < 0 || !strings.HasPrefix(text[end:], s.literal) || !s.class.accepts(text[:end], empty) {
				return false
			}
			places[lo-1] = span{at, at + uint32(end), s.field}
			end += len(s.literal)
			text, at = text[end:], at+uint32(end)
		}
		for ; lo < hi; hi-- {
			s, before := &f.segments[hi], f.segments[hi-1].literal
			if !s.beginsHere {
				break
			}
			from := strings.LastIndexByte(text, before[len(before)-1]) + 1
			if !strings.HasSuffix(text[:from], before) || !s.class.accepts(text[from:], empty) {
				return false
			}
			places[hi-1] = span{at + uint32(from), at + uint32(len(text)), s.field}
			text = text[:from-len(before)]
		}
		s := &f.segments[lo]
		if lo == hi {
			places[lo-1] = span{at, at + uint32(len(text)), s.field}
			return s.class.accepts(text, empty)
		}
		if s.literal == "" {
			break
		}
		end := strings.Index(text, s.literal)
		if end < 0 {
			return false
		}
		if strings.Contains(text[end+1:], s.literal) {
			break
		}
		if !s.class.accepts(text[:end], empty) {
			return false
		}
		places[lo-1] = span{at, at + uint32(end), s.field}
		end += len(s.literal)
		text, at = text[end:], at+uint32(end)
		lo++
	}
	return x.fit(f.segments[lo:hi+1], text, at, places[lo-1:hi], empty)
}
