package transaction

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// jsonPaths are paths into JSON, compiled into steps that stand one after the
// other. Which steps may come next is a set, so that a body is read once for all
// paths.
type jsonPaths struct {
	steps  []pathStep
	starts stepSet
}

// pathStep is one step of a path: to a member, or an element, or any of them.
type pathStep struct {
	name string
	// index is the element that is meant, or one of those below.
	index int
	deep  bool // at any depth from here
	last  bool
}

const (
	stepMember = -1 - iota
	stepElements
	stepAnything
)

// maxPathSteps is how many steps all paths together may have.
const maxPathSteps = 512

// stepSet is a set of steps.
type stepSet [maxPathSteps / 64]uint64

func (s *stepSet) add(i int)      { s[i>>6] |= 1 << (i & 63) }
func (s *stepSet) has(i int) bool { return s[i>>6]>>(i&63)&1 != 0 }
func (s *stepSet) empty() bool    { return *s == stepSet{} }

// add compiles a path such as $.user.email, items[*].id, ["a.b"][0] or $..ssn.
func (p *jsonPaths) add(path string) error {
	rest := strings.TrimPrefix(strings.TrimSpace(path), "$")
	first := len(p.steps)
	for rest != "" {
		step := pathStep{index: stepMember}
		switch {
		case strings.HasPrefix(rest, ".."):
			step.deep = true
			rest = rest[2:]
		case rest[0] == '.':
			rest = rest[1:]
		}
		if rest == "" {
			return errors.New("ends with a dot")
		}
		if rest[0] == '[' {
			end := strings.IndexByte(rest, ']')
			if len(rest) > 2 && (rest[1] == '"' || rest[1] == '\'') {
				quoted := strings.Index(rest[2:], rest[1:2]+"]")
				if quoted < 0 {
					return errors.New("a quote is not closed")
				}
				step.name, end = rest[2:2+quoted], quoted+3
			} else if end < 0 {
				return errors.New("a bracket is not closed")
			} else if inner := rest[1:end]; inner == "*" || inner == "" {
				step.index = stepElements
			} else {
				n, err := strconv.Atoi(inner)
				if err != nil || n < 0 {
					return fmt.Errorf("[%s] is neither a number, a star nor a name in quotes", inner)
				}
				step.index = n
			}
			rest = rest[end+1:]
		} else {
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			step.name, rest = rest[:end], rest[end:]
			switch step.name {
			case "":
				return errors.New("a name is missing")
			case "*":
				step.index = stepAnything
			}
		}
		p.steps = append(p.steps, step)
		if len(p.steps) > maxPathSteps {
			return fmt.Errorf("all paths together have more than %d steps", maxPathSteps)
		}
	}
	if len(p.steps) == first {
		return errors.New("names no place in the body")
	}
	p.steps[len(p.steps)-1].last = true
	p.starts.add(first)
	return nil
}

// into tells which steps may come inside a value, and whether the value is what a
// path means. It is a member of name, or an element if index is not negative.
func (p *jsonPaths) into(active *stepSet, name string, index int) (inside stepSet, meant bool) {
	for i := range p.steps {
		if !active.has(i) {
			continue
		}
		s := &p.steps[i]
		if s.deep {
			inside.add(i)
		}
		switch s.index {
		case stepAnything:
		case stepElements:
			if index < 0 {
				continue
			}
		case stepMember:
			if index >= 0 || s.name != name {
				continue
			}
		default:
			if index != s.index {
				continue
			}
		}
		if s.last {
			return inside, true
		}
		inside.add(i + 1)
	}
	return inside, false
}

// maxPathDepth is how deep a body is followed; what is deeper is taken out whole.
const maxPathDepth = 256

// redact takes out of a JSON text what the paths mean. The text may be cut: what
// is there is read as far as it goes.
func (p *jsonPaths) redact(text string) string {
	start := skipSpace(text, 0)
	if len(p.steps) == 0 || start >= len(text) || text[start] != '{' && text[start] != '[' {
		return text
	}
	w := pathWalk{paths: p, text: text}
	w.value(start, p.starts, 0)
	if w.out == nil {
		return text
	}
	return string(append(w.out, text[w.done:]...))
}

type pathWalk struct {
	paths *jsonPaths
	text  string
	out   []byte
	done  int
}

// value reads the value at i and returns the index after it, or the length of the
// text where it does not end.
func (w *pathWalk) value(i int, active stepSet, depth int) int {
	t := w.text
	if c := t[i]; c != '{' && c != '[' {
		return endOfScalar(t, i)
	}
	if active.empty() {
		if end := skipValue(t, i); end > 0 {
			return end
		}
		return len(t)
	}
	if depth >= maxPathDepth {
		return w.takeOut(i)
	}
	object := t[i] == '{'
	for n := 0; ; n++ {
		if i = skipSpace(t, i+1); i >= len(t) {
			return len(t)
		}
		switch t[i] {
		case '}', ']':
			return i + 1
		case ',':
			n--
			continue
		}
		name, index := "", n
		if object {
			if t[i] != '"' {
				return len(t)
			}
			end := endOfString(t, i)
			name, index = t[i+1:max(i+1, end-1)], -1
			if strings.IndexByte(name, '\\') >= 0 {
				name = unescape(name)
			}
			if i = skipSpace(t, end); i >= len(t) || t[i] != ':' {
				return len(t)
			}
			if i = skipSpace(t, i+1); i >= len(t) {
				return len(t)
			}
		}
		inside, meant := w.paths.into(&active, name, index)
		if meant {
			i = w.takeOut(i)
		} else {
			i = w.value(i, inside, depth+1)
		}
		i-- // the loop goes on after the value
	}
}

// takeOut takes out the value at i and returns the index after it.
func (w *pathWalk) takeOut(i int) int {
	t := w.text
	var end int
	switch t[i] {
	case '{', '[':
		if end = skipValue(t, i); end < 0 {
			end = len(t)
		}
	default:
		end = endOfScalar(t, i)
	}
	if value := t[i:end]; value != "null" && value != `""` && value != `"`+Redacted+`"` {
		w.out = append(append(w.out, t[w.done:i]...), `"`+Redacted+`"`...)
		w.done = end
	}
	return end
}

// endOfString returns the index after the string that begins at i.
func endOfString(t string, i int) int {
	for i++; i < len(t); i++ {
		switch t[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(t)
}

// endOfScalar returns the index after the string, number or word at i; at least
// one byte is taken.
func endOfScalar(t string, i int) int {
	if t[i] == '"' {
		return endOfString(t, i)
	}
	end := i
	for end < len(t) && t[end] != ',' && t[end] != '}' && t[end] != ']' && t[end] != '"' {
		end++
	}
	if end == i {
		return i + 1
	}
	for end > i+1 && (t[end-1] == ' ' || t[end-1] == '\n' || t[end-1] == '\r' || t[end-1] == '\t') {
		end--
	}
	return end
}
