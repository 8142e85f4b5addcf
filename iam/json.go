package iam

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of what is parsed. AWS's own limits are far lower (a managed policy has
// 6,144 characters, an endpoint policy 20,480); these only keep hostile input
// from costing memory or stack.
const (
	// MaxDocumentSize is the size in bytes over which a document is refused.
	MaxDocumentSize = 1 << 20
	// MaxCaseSize is the size in bytes over which a policy case is refused.
	MaxCaseSize = 16 << 20

	maxDepth = 32
	maxNodes = 200_000
)

type nodeKind uint8

const (
	nodeNull nodeKind = iota
	nodeBool
	nodeNumber
	nodeString
	nodeList
	nodeObject
)

func (k nodeKind) String() string {
	return [...]string{"null", "true or false", "a number", "a string", "a list", "an object"}[k]
}

// node is a JSON value with its place. The standard decoder cannot serve here:
// it keeps the last of two equal keys in silence and does not tell where a value
// stood.
type node struct {
	kind nodeKind
	// text is the decoded string, the literal of a number, "true" or "false".
	text string
	// start and end are byte offsets into the source.
	start, end int
	keys       []key
	items      []*node // of a list, or the values that belong to keys
}

type key struct {
	text  string
	start int
}

// member returns the value of a key, or nil.
func (n *node) member(name string) *node {
	for i := range n.keys {
		if n.keys[i].text == name {
			return n.items[i]
		}
	}
	return nil
}

// source is the text that a tree of nodes stands on.
type source struct {
	text string
	line int // number of the first line
	root *node
}

// at returns an error that stands at n.
func (s *source) at(n *node, hint, format string, args ...any) *Error {
	e := mistake(hint, format, args...)
	e.Place = s.place(n)
	return e
}

// put gives an error the place of n.
func (s *source) put(e *Error, n *node) *Error {
	e.Place = s.place(n)
	return e
}

// atKey returns an error that stands at the i-th key of n.
func (s *source) atKey(n *node, i int, hint, format string, args ...any) *Error {
	e := mistake(hint, format, args...)
	e.Path = joinPath(s.pathOf(n), n.keys[i].text)
	e.Line, e.Column = lineColumn(s.text, n.keys[i].start, s.line)
	return e
}

func (s *source) place(n *node) Place {
	p := Place{Path: s.pathOf(n)}
	p.Line, p.Column = lineColumn(s.text, n.start, s.line)
	return p
}

// pathOf finds n from the root. Only errors and findings need a path, so it is
// not carried along while parsing.
func (s *source) pathOf(n *node) string {
	path, at := "", s.root
	for at != n {
		i := 0
		for i+1 < len(at.items) && at.items[i+1].start <= n.start {
			i++
		}
		if at.kind == nodeObject {
			path = joinPath(path, at.keys[i].text)
		} else {
			path += "[" + strconv.Itoa(i) + "]"
		}
		at = at.items[i]
	}
	return path
}

func joinPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// readJSON parses text strictly (RFC 8259, no duplicate keys, valid UTF-8) into
// a tree.
func readJSON(text string, line, limit int) (*source, *Error) {
	s := &source{text: text, line: line}
	r := reader{src: s, text: text}
	if len(text) > limit {
		return nil, r.fail(0, "it is too large: %d bytes, at most %d are read", len(text), limit)
	}
	r.space()
	if r.pos == len(text) {
		return nil, r.fail(r.pos, "expected a JSON object, found nothing")
	}
	root, err := r.value(0)
	if err != nil {
		return nil, err
	}
	s.root = root
	r.space()
	if r.pos < len(text) {
		return nil, r.fail(r.pos, "unexpected %s after the end of the JSON value", r.what())
	}
	return s, nil
}

type reader struct {
	src   *source
	text  string
	pos   int
	nodes int
	// slab holds nodes that are not used yet: one allocation for many.
	slab []node
	// open are the objects and lists around pos, for the path of an error.
	open []frame
}

type frame struct {
	list  bool
	key   string
	index int
}

func (r *reader) fail(pos int, format string, args ...any) *Error {
	e := mistake("", format, args...)
	for _, f := range r.open {
		if f.list {
			e.Path += "[" + strconv.Itoa(f.index) + "]"
		} else if f.key != "" {
			e.Path = joinPath(e.Path, f.key)
		}
	}
	e.Line, e.Column = lineColumn(r.text, pos, r.src.line)
	return e
}

// what names the character at pos for a message.
func (r *reader) what() string {
	if r.pos >= len(r.text) {
		return "end of input"
	}
	c, _ := utf8.DecodeRuneInString(r.text[r.pos:])
	return strconv.QuoteRune(c)
}

func (r *reader) space() {
	for r.pos < len(r.text) {
		switch r.text[r.pos] {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return
		}
	}
}

func (r *reader) value(depth int) (*node, *Error) {
	if depth > maxDepth {
		return nil, r.fail(r.pos, "it is nested more than %d levels deep", maxDepth)
	}
	if r.nodes++; r.nodes > maxNodes {
		return nil, r.fail(r.pos, "it has more than %d values", maxNodes)
	}
	if len(r.slab) == 0 {
		r.slab = make([]node, min(64, 4+len(r.text)/24))
	}
	n := &r.slab[0]
	r.slab = r.slab[1:]
	n.start = r.pos
	var err *Error
	switch c := r.peek(); {
	case c == '{':
		n.kind = nodeObject
		err = r.object(n, depth)
	case c == '[':
		n.kind = nodeList
		err = r.list(n, depth)
	case c == '"':
		n.kind = nodeString
		n.text, err = r.str()
	case c == '-' || c >= '0' && c <= '9':
		n.kind = nodeNumber
		err = r.number(n)
	case strings.HasPrefix(r.text[r.pos:], "true"):
		n.kind, n.text = nodeBool, "true"
		r.pos += 4
	case strings.HasPrefix(r.text[r.pos:], "false"):
		n.kind, n.text = nodeBool, "false"
		r.pos += 5
	case strings.HasPrefix(r.text[r.pos:], "null"):
		r.pos += 4
	default:
		err = r.fail(r.pos, "expected a JSON value, found %s", r.what())
	}
	n.end = r.pos
	return n, err
}

// peek returns the character at pos, 0 at the end.
func (r *reader) peek() byte {
	if r.pos < len(r.text) {
		return r.text[r.pos]
	}
	return 0
}

func (r *reader) object(n *node, depth int) *Error {
	r.pos++
	r.open = append(r.open, frame{})
	top := len(r.open) - 1
	var seen map[string]bool
	for first := true; ; first = false {
		r.space()
		if first && r.peek() == '}' {
			break
		}
		if r.peek() != '"' {
			return r.fail(r.pos, "expected a key in double quotes, found %s", r.what())
		}
		start := r.pos
		name, err := r.str()
		if err != nil {
			return err
		}
		r.open[top].key = name
		// A short object is searched; a long one, which an attacker would
		// write to make the search quadratic, gets an index.
		var duplicate bool
		if len(n.keys) < 16 {
			duplicate = n.member(name) != nil
		} else {
			if seen == nil {
				seen = make(map[string]bool, 2*len(n.keys))
				for _, k := range n.keys {
					seen[k.text] = true
				}
			}
			duplicate = seen[name]
			seen[name] = true
		}
		if duplicate {
			return r.fail(start, "the key %q is there twice", clip(name))
		}
		r.space()
		if r.peek() != ':' {
			return r.fail(r.pos, "expected ':' after the key, found %s", r.what())
		}
		r.pos++
		r.space()
		v, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.keys = append(n.keys, key{name, start})
		n.items = append(n.items, v)
		r.space()
		if r.peek() != ',' {
			break
		}
		r.pos++
	}
	r.open[top].key = ""
	if r.peek() != '}' {
		return r.fail(r.pos, "expected ',' or '}', found %s", r.what())
	}
	r.pos++
	r.open = r.open[:top]
	return nil
}

func (r *reader) list(n *node, depth int) *Error {
	r.pos++
	r.open = append(r.open, frame{list: true})
	top := len(r.open) - 1
	for first := true; ; first = false {
		r.space()
		if first && r.peek() == ']' {
			break
		}
		v, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.items = append(n.items, v)
		r.space()
		if r.peek() != ',' {
			break
		}
		r.pos++
		r.open[top].index++
	}
	if r.peek() != ']' {
		return r.fail(r.pos, "expected ',' or ']', found %s", r.what())
	}
	r.pos++
	r.open = r.open[:top]
	return nil
}

func (r *reader) number(n *node) *Error {
	digits := func() bool {
		from := r.pos
		for c := r.peek(); c >= '0' && c <= '9'; c = r.peek() {
			r.pos++
		}
		return r.pos > from
	}
	if r.peek() == '-' {
		r.pos++
	}
	ok := true
	if r.peek() == '0' {
		r.pos++
	} else {
		ok = digits()
	}
	if ok && r.peek() == '.' {
		r.pos++
		ok = digits()
	}
	if c := r.peek(); ok && (c == 'e' || c == 'E') {
		r.pos++
		if c := r.peek(); c == '+' || c == '-' {
			r.pos++
		}
		ok = digits()
	}
	if !ok {
		return r.fail(r.pos, "expected a digit, found %s", r.what())
	}
	n.text = r.text[n.start:r.pos]
	return nil
}

// str reads the string that starts at pos. Without escapes it is a part of the
// source and costs nothing.
func (r *reader) str() (string, *Error) {
	start := r.pos
	r.pos++
	for from := r.pos; r.pos < len(r.text); {
		switch c := r.text[r.pos]; {
		case c == '"':
			s := r.text[from:r.pos]
			r.pos++
			return s, nil
		case c == '\\':
			return r.escaped(start, from)
		case c < ' ':
			return "", r.fail(r.pos, "a string holds the control character %s; write it as an escape", r.what())
		case c < utf8.RuneSelf:
			r.pos++
		default:
			if !r.rune() {
				return "", r.fail(r.pos, "a string is not valid UTF-8")
			}
		}
	}
	return "", r.fail(start, "a string does not end")
}

// rune passes one character outside ASCII.
func (r *reader) rune() bool {
	c, size := utf8.DecodeRuneInString(r.text[r.pos:])
	if c == utf8.RuneError && size == 1 {
		return false
	}
	r.pos += size
	return true
}

func (r *reader) escaped(start, from int) (string, *Error) {
	var b strings.Builder
	b.WriteString(r.text[from:r.pos])
	for r.pos < len(r.text) {
		c := r.text[r.pos]
		switch {
		case c == '"':
			r.pos++
			return b.String(), nil
		case c < ' ':
			return "", r.fail(r.pos, "a string holds the control character %s; write it as an escape", r.what())
		case c != '\\':
			at := r.pos
			if !r.rune() {
				return "", r.fail(r.pos, "a string is not valid UTF-8")
			}
			b.WriteString(r.text[at:r.pos])
			continue
		}
		escape := r.pos
		r.pos++
		switch c := r.peek(); c {
		case '"', '\\', '/':
			b.WriteByte(c)
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			u, ok := r.unicode()
			if !ok {
				return "", r.fail(escape, "an escape \\u needs four hexadecimal digits that are a character")
			}
			b.WriteRune(u)
			continue
		default:
			return "", r.fail(escape, "a string holds an unknown escape")
		}
		r.pos++
	}
	return "", r.fail(start, "a string does not end")
}

// unicode reads \uXXXX from the u on, and the second half of a surrogate pair.
func (r *reader) unicode() (rune, bool) {
	u, ok := r.hex()
	if !ok {
		return 0, false
	}
	if !utf16.IsSurrogate(u) {
		return u, true
	}
	if !strings.HasPrefix(r.text[r.pos:], `\u`) {
		return 0, false
	}
	r.pos++
	low, ok := r.hex()
	u = utf16.DecodeRune(u, low)
	return u, ok && u != utf8.RuneError
}

func (r *reader) hex() (rune, bool) {
	if r.pos+5 > len(r.text) {
		return 0, false
	}
	v, err := strconv.ParseUint(r.text[r.pos+1:r.pos+5], 16, 16)
	if err != nil {
		return 0, false
	}
	r.pos += 5
	return rune(v), true
}

// clip shortens what a message repeats of its input.
func clip(s string) string {
	const most = 80
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
