package inventory

import "strconv"

// walker goes through a JSON text that is known to be valid. left bounds the
// values that it looks at; whole says that the text is all of the body.
type walker struct {
	schema *schema
	text   string
	whole  bool
	left   int
}

func (w *walker) space(i int) int { return skipJSONSpace(w.text, i) }

// value learns the value at i for the field f, which is nil if it is not kept,
// and returns the index after it.
func (w *walker) value(i int, key uint64, f *field, depth int) int {
	w.left--
	kind := w.text[i]
	switch kind {
	case '{', '[':
	case '"':
		end := jsonStringEnd(w.text, i)
		if f != nil {
			f.saw(typeString, w.whole)
			f.text(w.text[i+1 : end-1])
		}
		return end
	case 't', 'n', 'f':
		end, t := i+4, uint8(typeBoolean)
		switch kind {
		case 'f':
			end++
		case 'n':
			t = typeNull
		}
		if f != nil {
			f.saw(t, w.whole)
		}
		return end
	default:
		end := jsonNumberEnd(w.text, i)
		if f != nil {
			w.number(f, w.text[i:end])
		}
		return end
	}
	if f != nil {
		if kind == '{' {
			f.saw(typeObject, w.whole)
		} else {
			f.saw(typeArray, w.whole)
		}
	}
	return w.inside(i, key, kind, depth)
}

// inside learns what is in the object or array at i.
func (w *walker) inside(i int, key uint64, kind byte, depth int) int {
	t := w.text
	elementKey := uint64(0)
	for i = w.space(i + 1); t[i] != ']' && t[i] != '}'; {
		if w.left <= 0 {
			return len(t) // nobody reads on
		}
		if t[i] == ',' {
			i = w.space(i + 1)
		}
		var f *field
		child := uint64(0)
		learns := depth < maxFieldDepth
		if kind == '{' {
			end := jsonStringEnd(t, i)
			if learns {
				child, f = w.schema.member(key, t[i+1:end-1])
			}
			i = w.space(w.space(end) + 1)
		} else if learns {
			if elementKey == 0 {
				elementKey = childKey(key, elements)
			}
			child = elementKey
			f = w.schema.below(key, child, elements)
		}
		i = w.value(i, child, f, depth+1)
		if i >= len(t) {
			return i
		}
		i = w.space(i)
	}
	return i + 1
}

func (w *walker) number(f *field, text string) {
	kind := uint8(typeInteger)
	var at float64
	for k := range len(text) {
		if c := text[k]; c == '.' || c == 'e' || c == 'E' {
			kind = typeNumber
		}
	}
	if kind == typeInteger && len(text) <= 18 {
		n, _ := strconv.ParseInt(text, 10, 64) // the text is a JSON number
		at = float64(n)
	} else {
		at, _ = strconv.ParseFloat(text, 64) // out of range is infinite, as far as this range cares
	}
	f.saw(kind, w.whole)
	f.number(text, at)
}

func skipJSONSpace(t string, i int) int {
	for i < len(t) && (t[i] == ' ' || t[i] == '\n' || t[i] == '\r' || t[i] == '\t') {
		i++
	}
	return i
}

// jsonStringEnd returns the index after the string that begins at i, or -1.
func jsonStringEnd(t string, i int) int {
	for i++; i < len(t); i++ {
		switch c := t[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			i++
		case c < ' ':
			return -1
		}
	}
	return -1
}

// jsonNumberEnd returns the index after the number that begins at i, or -1.
func jsonNumberEnd(t string, i int) int {
	if i < len(t) && t[i] == '-' {
		i++
	}
	digits := func() bool {
		from := i
		for i < len(t) && isDigit(t[i]) {
			i++
		}
		return i > from
	}
	if i < len(t) && t[i] == '0' {
		i++
	} else if !digits() {
		return -1
	}
	if i < len(t) && t[i] == '.' {
		i++
		if !digits() {
			return -1
		}
	}
	if i < len(t) && t[i]|0x20 == 'e' {
		i++
		if i < len(t) && (t[i] == '+' || t[i] == '-') {
			i++
		}
		if !digits() {
			return -1
		}
	}
	return i
}

// maxJSONDepth is how deep a body may be nested to be looked at at all.
const maxJSONDepth = 128

// validJSON reports whether all of t is one JSON value, without allocating: a
// body that turns out to be something else halfway must teach nothing. Escapes
// in strings are not looked at.
func validJSON(t string) bool {
	i := validValue(t, skipJSONSpace(t, 0), 0)
	return i > 0 && skipJSONSpace(t, i) == len(t)
}

func validValue(t string, i, depth int) int {
	if i >= len(t) || depth > maxJSONDepth {
		return -1
	}
	switch t[i] {
	case '"':
		return jsonStringEnd(t, i)
	case '{', '[':
		return validInside(t, i, depth)
	case 't':
		return validWord(t, i, "true")
	case 'f':
		return validWord(t, i, "false")
	case 'n':
		return validWord(t, i, "null")
	default:
		return jsonNumberEnd(t, i)
	}
}

func validWord(t string, i int, word string) int {
	if len(t)-i < len(word) || t[i:i+len(word)] != word {
		return -1
	}
	return i + len(word)
}

func validInside(t string, i, depth int) int {
	object, closing := t[i] == '{', t[i]+2
	i = skipJSONSpace(t, i+1)
	if i < len(t) && t[i] == closing {
		return i + 1
	}
	for {
		if object {
			if i >= len(t) || t[i] != '"' {
				return -1
			}
			if i = jsonStringEnd(t, i); i < 0 {
				return -1
			}
			if i = skipJSONSpace(t, i); i >= len(t) || t[i] != ':' {
				return -1
			}
			i = skipJSONSpace(t, i+1)
		}
		if i = validValue(t, i, depth+1); i < 0 {
			return -1
		}
		if i = skipJSONSpace(t, i); i >= len(t) {
			return -1
		}
		switch t[i] {
		case closing:
			return i + 1
		case ',':
			i = skipJSONSpace(t, i+1)
		default:
			return -1
		}
	}
}
