package kafka

import "strings"

// maxRepairDepth bounds the nesting that RepairJSON keeps. Parsers refuse deep
// documents (encoding/json at 10,000 levels, others far earlier), and a body of
// brackets alone must not become a message that its reader drops.
const maxRepairDepth = 256

// RepairJSON makes a JSON object or array that was cut off, or that goes wrong
// somewhere, valid: it keeps every complete value up to that place, closes the
// containers that hold one, and drops the rest. It never invents a value: a
// number at the very end is dropped, because digits may be missing, and so is a
// container of which nothing is complete. Where nothing can be kept the result
// is [] for an array and {} for anything else. Valid input is returned without
// the white space around it.
func RepairJSON(s string) string {
	s = s[skipJSONSpace(s, 0):]
	p := jsonPrefix{in: s}
	p.scan()
	if p.good == 0 {
		if strings.HasPrefix(s, "[") {
			return "[]"
		}
		return "{}"
	}
	if p.goodDepth == 0 {
		return s[:p.good]
	}
	var b strings.Builder
	b.Grow(p.good + p.goodDepth)
	b.WriteString(s[:p.good])
	for i := p.goodDepth - 1; i >= 0; i-- {
		b.WriteByte(p.stack[i])
	}
	return b.String()
}

// jsonPrefix reads JSON as far as it is right. stack holds the closing bracket
// of every open container.
type jsonPrefix struct {
	in    string
	stack [maxRepairDepth]byte
	depth int

	// good is the end of the last complete value and goodDepth the number of
	// containers open there: in[:good] and their closing brackets are valid.
	good      int
	goodDepth int
}

// What may come next in the document.
const (
	wantValue        = iota // a value, after a colon or a comma in an array
	wantValueOrClose        // a value or ], after [
	wantKey                 // a key, after a comma in an object
	wantKeyOrClose          // a key or }, after {
	wantCommaOrClose        // after a value
)

func (p *jsonPrefix) scan() {
	if p.in == "" || p.in[0] != '{' && p.in[0] != '[' {
		return
	}
	want := wantValue
	i := 0
	for {
		i = skipJSONSpace(p.in, i)
		if i >= len(p.in) {
			return
		}
		c := p.in[i]
		switch {
		case want == wantCommaOrClose && c == ',':
			want = wantValue
			if p.stack[p.depth-1] == '}' {
				want = wantKey
			}
			i++
		case (want == wantCommaOrClose || want == wantValueOrClose || want == wantKeyOrClose) && c == p.stack[p.depth-1]:
			p.depth--
			i++
			p.complete(i)
			if p.depth == 0 {
				return
			}
			want = wantCommaOrClose
		case want == wantCommaOrClose:
			return
		case want == wantKey || want == wantKeyOrClose:
			end := stringEnd(p.in, i)
			if end < 0 {
				return
			}
			i = skipJSONSpace(p.in, end)
			if i >= len(p.in) || p.in[i] != ':' {
				return
			}
			i++
			want = wantValue
		case c == '{' || c == '[':
			if p.depth == maxRepairDepth {
				return
			}
			p.stack[p.depth], want = ']', wantValueOrClose
			if c == '{' {
				p.stack[p.depth], want = '}', wantKeyOrClose
			}
			p.depth++
			i++
		default:
			end := scalarEnd(p.in, i)
			if end < 0 {
				return
			}
			i = end
			p.complete(i)
			want = wantCommaOrClose
		}
	}
}

func (p *jsonPrefix) complete(end int) { p.good, p.goodDepth = end, p.depth }

// scalarEnd returns the end of the string, number or literal at i, or -1 if it
// is wrong or not known to be complete.
func scalarEnd(s string, i int) int {
	switch c := s[i]; {
	case c == '"':
		return stringEnd(s, i)
	case c == '-' || c >= '0' && c <= '9':
		return numberEnd(s, i)
	}
	for _, literal := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(s[i:], literal) {
			if end := i + len(literal); end == len(s) || endsScalar(s[end]) {
				return end
			}
		}
	}
	return -1
}

// endsScalar reports whether c may follow a number or a literal.
func endsScalar(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '\n', ',', ']', '}':
		return true
	}
	return false
}

// stringEnd returns the index after the string that begins at i, or -1.
func stringEnd(s string, i int) int {
	if s[i] != '"' {
		return -1
	}
	for i++; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1
		case c < 0x20:
			return -1
		case c == '\\':
			i++
			if i >= len(s) {
				return -1
			}
			switch s[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					i++
					if i >= len(s) || !isHex(s[i]) {
						return -1
					}
				}
			default:
				return -1
			}
		}
	}
	return -1
}

// numberEnd returns the index after the number at i, or -1 if it is wrong or
// runs to the end of s, where more of its digits may have been cut off.
func numberEnd(s string, i int) int {
	if s[i] == '-' {
		i++
	}
	if i < len(s) && s[i] == '0' {
		i++
	} else if i = digitsEnd(s, i); i < 0 {
		return -1
	}
	if i < len(s) && s[i] == '.' {
		if i = digitsEnd(s, i+1); i < 0 {
			return -1
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if i = digitsEnd(s, i); i < 0 {
			return -1
		}
	}
	if i >= len(s) || !endsScalar(s[i]) {
		return -1
	}
	return i
}

// digitsEnd returns the index after the digits at i, or -1 if there is none.
func digitsEnd(s string, i int) int {
	start := i
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func skipJSONSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\t' || s[i] == '\r' || s[i] == '\n') {
		i++
	}
	return i
}
