package velocity

import (
	"fmt"
	"strings"
)

// MaxTemplate is API Gateway's largest mapping template, in bytes.
const MaxTemplate = 300 << 10

// maxDepth bounds how deep blocks, expressions and texts in texts are nested.
const maxDepth = 64

// Error is a mistake in a template, or one that showed as it was executed. Line
// and Column begin at 1; they are 0 where the place is not known.
type Error struct {
	Line, Column int
	Err          error
}

// Error returns the place and the mistake.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Err.Error()
	}
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Err.Error())
}

// Unwrap returns the mistake itself.
func (e *Error) Unwrap() error { return e.Err }

// Template is a template that has been read. It may be executed by several
// goroutines at once.
type Template struct {
	nodes []node
	src   string
}

// Parse reads a template. Its errors are of type *Error.
func Parse(text string) (*Template, error) {
	if len(text) > MaxTemplate {
		return nil, &Error{Err: fmt.Errorf("the template is larger than %d bytes", MaxTemplate)}
	}
	p := &parser{src: text}
	nodes, end, err := p.block(0)
	if err == nil && end != "" {
		err = p.fail(p.at, "#%s without a directive that it could belong to", end)
	}
	if err != nil {
		return nil, err
	}
	return &Template{nodes, text}, nil
}

// node is a part of a template.
//
//sumtype:decl
type node interface{ isNode() }

type (
	textNode string
	setNode  struct {
		target *reference
		value  expression
	}
	ifNode struct {
		conditions []expression
		blocks     [][]node
		otherwise  []node
	}
	foreachNode struct {
		name string
		list expression
		body []node
	}
	breakNode struct{}
	stopNode  struct{}
)

func (textNode) isNode()    {}
func (setNode) isNode()     {}
func (ifNode) isNode()      {}
func (foreachNode) isNode() {}
func (breakNode) isNode()   {}
func (stopNode) isNode()    {}
func (*reference) isNode()  {}

// reference is $name with what follows it.
type reference struct {
	at    int
	name  string
	steps []step
}

// step is .name, .name(arguments) or [index].
type step struct {
	name  string // empty for an index
	call  bool
	args  []expression
	index expression
}

type parser struct {
	src   string
	pos   int
	at    int // where the directive that ended a block began
	depth int
}

func (p *parser) fail(at int, format string, args ...any) error {
	return place(p.src, at, fmt.Errorf(format, args...))
}

func place(src string, at int, err error) *Error {
	before := src[:min(at, len(src))]
	line := strings.Count(before, "\n") + 1
	return &Error{line, len(before) - strings.LastIndexByte(before, '\n'), err}
}

func (p *parser) enter(at int) error {
	if p.depth++; p.depth > maxDepth {
		return p.fail(at, "is nested more than %d deep", maxDepth)
	}
	return nil
}

// block reads until the end of the text or a directive that ends a block, whose
// name it returns.
func (p *parser) block(from int) (nodes []node, end string, err error) {
	if err := p.enter(from); err != nil {
		return nil, "", err
	}
	defer func() { p.depth-- }()
	start := p.pos
	flush := func(to int) {
		if to > start {
			nodes = append(nodes, textNode(p.src[start:to]))
		}
	}
	for p.pos < len(p.src) {
		i := strings.IndexAny(p.src[p.pos:], `$#\`)
		if i < 0 {
			break
		}
		p.pos += i
		begin := p.pos
		switch p.src[p.pos] {
		case '\\':
			for p.pos < len(p.src) && p.src[p.pos] == '\\' {
				p.pos++
			}
			if !p.begins() {
				continue
			}
			// Two backslashes are one, and one before a reference makes it text.
			flush(begin)
			n := p.pos - begin
			start = p.pos - n/2
			if n%2 == 1 {
				nodes = append(nodes, textNode(p.src[begin:begin+n/2]))
				start = p.pos
				p.pos++
			}
		case '$':
			ref, err := p.reference()
			if err != nil {
				return nil, "", err
			}
			if ref == nil {
				p.pos = begin + 1
				continue
			}
			flush(begin)
			nodes = append(nodes, ref)
			start = p.pos
		case '#':
			n, word, upTo, err := p.directive()
			if err != nil {
				return nil, "", err
			}
			if upTo < 0 {
				p.pos = begin + 1
				continue
			}
			if upTo < begin && upTo > start {
				upTo = begin // blanks before #set are left out where no text is before them
			}
			flush(max(upTo, start))
			start = p.pos
			if word != "" {
				p.at = begin
				return nodes, word, nil
			}
			if n != nil {
				nodes = append(nodes, n)
			}
		}
	}
	p.pos = len(p.src)
	flush(len(p.src))
	return nodes, "", nil
}

// begins reports whether a reference or a directive begins here.
func (p *parser) begins() bool {
	rest := p.src[p.pos:]
	if rest == "" {
		return false
	}
	mark, rest := rest[0], rest[1:]
	switch mark {
	case '$':
		rest = strings.TrimPrefix(strings.TrimPrefix(rest, "!"), "{")
	case '#':
		rest = strings.TrimPrefix(rest, "{")
	default:
		return false
	}
	return rest != "" && isLetter(rest[0])
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' }

func isWord(c byte) bool { return isLetter(c) || '0' <= c && c <= '9' || c == '-' }

// word reads a name; empty if there is none.
func (p *parser) word() string {
	begin := p.pos
	if p.pos < len(p.src) && isLetter(p.src[p.pos]) {
		for p.pos < len(p.src) && isWord(p.src[p.pos]) {
			p.pos++
		}
	}
	return p.src[begin:p.pos]
}

// peek is the next byte; 0 at the end.
func (p *parser) peek() byte {
	if p.pos < len(p.src) {
		return p.src[p.pos]
	}
	return 0
}

// take takes a text if it comes next.
func (p *parser) take(text string) bool {
	if strings.HasPrefix(p.src[p.pos:], text) {
		p.pos += len(text)
		return true
	}
	return false
}

// blanks skips white space, inside of an expression.
func (p *parser) blanks() {
	for p.pos < len(p.src) && strings.IndexByte(" \t\r\n", p.src[p.pos]) >= 0 {
		p.pos++
	}
}

// lineEnd skips the rest of a line behind a directive, if nothing stands there.
func (p *parser) lineEnd() {
	i := p.pos
	for i < len(p.src) && (p.src[i] == ' ' || p.src[i] == '\t' || p.src[i] == '\r') {
		i++
	}
	if i < len(p.src) && p.src[i] == '\n' {
		p.pos = i + 1
	}
}

// reference reads a reference; nil if the $ is but a text.
func (p *parser) reference() (*reference, error) {
	ref := &reference{at: p.pos}
	if err := p.enter(ref.at); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	p.pos++ // $
	p.take("!")
	formal := p.take("{")
	if ref.name = p.word(); ref.name == "" {
		return nil, nil
	}
	for {
		begin := p.pos
		switch p.peek() {
		case '.':
			p.pos++
			s := step{name: p.word()}
			if s.name == "" {
				p.pos = begin
				break
			}
			if p.take("(") {
				args, err := p.list(')')
				if err != nil {
					return nil, err
				}
				s.call, s.args = true, args
			}
			ref.steps = append(ref.steps, s)
			continue
		case '[':
			p.pos++
			index, err := p.expression()
			if err != nil {
				return nil, err
			}
			if p.blanks(); !p.take("]") {
				return nil, p.fail(p.pos, "] is missing")
			}
			ref.steps = append(ref.steps, step{index: index})
			continue
		}
		break
	}
	if formal && !p.take("}") {
		return nil, p.fail(ref.at, "} is missing")
	}
	return ref, nil
}

// refused are directives of Velocity that API Gateway's templates do not have, or
// that would read files.
var refused = map[string]bool{"macro": true, "parse": true, "include": true, "evaluate": true, "define": true}

// directive reads what begins with #. upTo is where the text before it ends, and
// below 0 if it is no directive; end is the name of one that ends a block.
func (p *parser) directive() (n node, end string, upTo int, err error) {
	at := p.pos
	switch {
	case p.take("##"):
		if i := strings.IndexByte(p.src[p.pos:], '\n'); i >= 0 {
			p.pos += i + 1
		} else {
			p.pos = len(p.src)
		}
		return nil, "", at, nil
	case p.take("#*"):
		if i := strings.Index(p.src[p.pos:], "*#"); i >= 0 {
			p.pos += i + 2
			return nil, "", at, nil
		}
		return nil, "", 0, p.fail(at, "the comment does not end")
	case p.take("#[["):
		i := strings.Index(p.src[p.pos:], "]]#")
		if i < 0 {
			return nil, "", 0, p.fail(at, "the unparsed text does not end")
		}
		n, p.pos = textNode(p.src[p.pos:p.pos+i]), p.pos+i+3
		return n, "", at, nil
	}
	p.pos++
	formal := p.take("{")
	name := p.word()
	if formal && !p.take("}") {
		return nil, "", -1, nil
	}
	upTo = at
	switch name {
	case "set":
		for upTo > 0 && (p.src[upTo-1] == ' ' || p.src[upTo-1] == '\t') {
			upTo--
		}
		n, err = p.set(at)
	case "if":
		n, err = p.conditional(at)
	case "foreach":
		n, err = p.foreach(at)
	case "break":
		p.lineEnd()
		n = breakNode{}
	case "stop", "return":
		p.lineEnd()
		n = stopNode{}
	case "else", "end":
		p.lineEnd()
		end = name
	case "elseif":
		end = name
	default:
		if refused[name] {
			return nil, "", 0, p.fail(at, "#%s is not known in mapping templates", name)
		}
		return nil, "", -1, nil
	}
	return n, end, upTo, err
}

// open takes the parenthesis of a directive.
func (p *parser) open(at int, name string) error {
	if p.blanks(); !p.take("(") {
		return p.fail(at, "#%s without (", name)
	}
	return nil
}

func (p *parser) closed(at int, name string) error {
	if p.blanks(); !p.take(")") {
		return p.fail(p.pos, "#%s without )", name)
	}
	p.lineEnd()
	return nil
}

func (p *parser) set(at int) (node, error) {
	if err := p.open(at, "set"); err != nil {
		return nil, err
	}
	if p.blanks(); p.peek() != '$' {
		return nil, p.fail(p.pos, "#set without a reference")
	}
	ref, err := p.reference()
	if err != nil {
		return nil, err
	}
	if ref == nil || len(ref.steps) > 0 && ref.steps[len(ref.steps)-1].call {
		return nil, p.fail(at, "#set cannot set this")
	}
	if p.blanks(); !p.take("=") {
		return nil, p.fail(p.pos, "#set without =")
	}
	value, err := p.expression()
	if err != nil {
		return nil, err
	}
	return setNode{ref, value}, p.closed(at, "set")
}

func (p *parser) conditional(at int) (node, error) {
	var n ifNode
	for word := "if"; ; {
		if err := p.open(at, word); err != nil {
			return nil, err
		}
		condition, err := p.expression()
		if err != nil {
			return nil, err
		}
		if err := p.closed(at, word); err != nil {
			return nil, err
		}
		body, end, err := p.block(at)
		if err != nil {
			return nil, err
		}
		n.conditions, n.blocks = append(n.conditions, condition), append(n.blocks, body)
		switch end {
		case "elseif":
			word = end
			continue
		case "else":
			if n.otherwise, end, err = p.block(at); err != nil {
				return nil, err
			}
			if end != "end" {
				return nil, p.fail(at, "#else without #end")
			}
			return n, nil
		case "end":
			return n, nil
		default:
			return nil, p.fail(at, "#%s without #end", word)
		}
	}
}

func (p *parser) foreach(at int) (node, error) {
	if err := p.open(at, "foreach"); err != nil {
		return nil, err
	}
	if p.blanks(); p.peek() != '$' {
		return nil, p.fail(p.pos, "#foreach without a variable")
	}
	ref, err := p.reference()
	if err != nil {
		return nil, err
	}
	if ref == nil || len(ref.steps) > 0 {
		return nil, p.fail(at, "#foreach without a variable")
	}
	p.blanks()
	if p.word() != "in" {
		return nil, p.fail(p.pos, "#foreach without in")
	}
	list, err := p.expression()
	if err != nil {
		return nil, err
	}
	if err := p.closed(at, "foreach"); err != nil {
		return nil, err
	}
	body, end, err := p.block(at)
	if err != nil {
		return nil, err
	}
	if end != "end" {
		return nil, p.fail(at, "#foreach without #end")
	}
	return foreachNode{ref.name, list, body}, nil
}
