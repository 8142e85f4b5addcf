package velocity

import (
	"strconv"
	"strings"
)

// expression is what stands in #set, in a condition, in arguments and indexes.
//
//sumtype:decl
type expression interface{ isExpression() }

type (
	literal struct{ value any }
	// interpolated is a text in double quotes with references in it.
	interpolated struct{ nodes []node }
	negation     struct{ of expression }
	binary       struct {
		at          int
		op          string
		left, right expression
	}
	listOf  struct{ items []expression }
	rangeOf struct {
		at       int
		from, to expression
	}
	mapOf struct{ keys, values []expression }
)

func (literal) isExpression()      {}
func (interpolated) isExpression() {}
func (negation) isExpression()     {}
func (binary) isExpression()       {}
func (listOf) isExpression()       {}
func (rangeOf) isExpression()      {}
func (mapOf) isExpression()        {}
func (*reference) isExpression()   {}

// levels are the binary operators, from those that bind least.
var levels = [][]string{
	{"||", "or"},
	{"&&", "and"},
	{"==", "eq", "!=", "ne"},
	{"<=", "le", ">=", "ge", "<", "lt", ">", "gt"},
	{"+", "-"},
	{"*", "/", "%"},
}

// synonyms are the operators that are words.
var synonyms = map[string]string{"or": "||", "and": "&&", "eq": "==", "ne": "!=", "le": "<=", "ge": ">=", "lt": "<", "gt": ">"}

func (p *parser) expression() (expression, error) { return p.level(0) }

func (p *parser) level(n int) (expression, error) {
	if n == len(levels) {
		return p.unary()
	}
	left, err := p.level(n + 1)
	if err != nil {
		return nil, err
	}
	for {
		p.blanks()
		at := p.pos
		op := p.operator(levels[n])
		if op == "" {
			return left, nil
		}
		right, err := p.level(n + 1)
		if err != nil {
			return nil, err
		}
		left = binary{at, op, left, right}
	}
}

// operator takes one of a level's operators; empty if none comes next.
func (p *parser) operator(of []string) string {
	for _, op := range of {
		if !strings.HasPrefix(p.src[p.pos:], op) {
			continue
		}
		after := p.pos + len(op)
		if isLetter(op[0]) && after < len(p.src) && isWord(p.src[after]) {
			continue // a longer word
		}
		p.pos = after
		if s, ok := synonyms[op]; ok {
			return s
		}
		return op
	}
	return ""
}

func (p *parser) unary() (expression, error) {
	p.blanks()
	if err := p.enter(p.pos); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	if p.take("!") {
		of, err := p.unary()
		return negation{of}, err
	}
	return p.primary()
}

func (p *parser) primary() (expression, error) {
	at := p.pos
	switch c := p.peek(); {
	case c == '$':
		ref, err := p.reference()
		if err == nil && ref == nil {
			err = p.fail(at, "$ without a name")
		}
		return ref, err
	case c == '(':
		p.pos++
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		if p.blanks(); !p.take(")") {
			return nil, p.fail(p.pos, ") is missing")
		}
		return e, nil
	case c == '"' || c == '\'':
		return p.text(c)
	case c == '[':
		p.pos++
		return p.listOrRange(at)
	case c == '{':
		p.pos++
		return p.mapLiteral()
	case '0' <= c && c <= '9' || c == '-':
		return p.number()
	case isLetter(c):
		switch word := p.word(); word {
		case "true", "false":
			return literal{word == "true"}, nil
		case "null":
			return literal{}, nil
		case "not":
			of, err := p.unary()
			return negation{of}, err
		}
	}
	if at >= len(p.src) {
		return nil, p.fail(at, "the expression does not end")
	}
	return nil, p.fail(at, "%q is not an expression", p.src[at:min(at+12, len(p.src))])
}

// text reads a text in quotes. A quote in it is doubled; in double quotes
// references and directives stand for what they give.
func (p *parser) text(quote byte) (expression, error) {
	at := p.pos
	p.pos++
	var b strings.Builder
	for {
		i := strings.IndexByte(p.src[p.pos:], quote)
		if i < 0 {
			return nil, p.fail(at, "the text does not end")
		}
		b.WriteString(p.src[p.pos : p.pos+i])
		p.pos += i + 1
		if p.peek() != quote {
			break
		}
		b.WriteByte(quote)
		p.pos++
	}
	if quote == '\'' || !strings.ContainsAny(b.String(), "$#") {
		return literal{b.String()}, nil
	}
	inner := &parser{src: b.String(), depth: p.depth}
	nodes, end, err := inner.block(0)
	if err == nil && end != "" {
		err = p.fail(at, "#%s in a text", end)
	}
	if err != nil {
		return nil, place(p.src, at, err)
	}
	return interpolated{nodes}, nil
}

// list reads expressions up to a closing mark.
func (p *parser) list(until byte) ([]expression, error) {
	var out []expression
	if p.blanks(); p.take(string(until)) {
		return nil, nil
	}
	for {
		e, err := p.expression()
		if err != nil {
			return nil, err
		}
		out = append(out, e)
		p.blanks()
		switch {
		case p.take(string(until)):
			return out, nil
		case !p.take(","):
			return nil, p.fail(p.pos, "%c or , is missing", until)
		}
	}
}

func (p *parser) listOrRange(at int) (expression, error) {
	if p.blanks(); p.take("]") {
		return listOf{}, nil
	}
	first, err := p.expression()
	if err != nil {
		return nil, err
	}
	p.blanks()
	if p.take("..") {
		to, err := p.expression()
		if err != nil {
			return nil, err
		}
		if p.blanks(); !p.take("]") {
			return nil, p.fail(p.pos, "] is missing")
		}
		return rangeOf{at, first, to}, nil
	}
	if p.take("]") {
		return listOf{[]expression{first}}, nil
	}
	if !p.take(",") {
		return nil, p.fail(p.pos, "] or , is missing")
	}
	rest, err := p.list(']')
	return listOf{append([]expression{first}, rest...)}, err
}

func (p *parser) mapLiteral() (expression, error) {
	var m mapOf
	if p.blanks(); p.take("}") {
		return m, nil
	}
	for {
		key, err := p.expression()
		if err != nil {
			return nil, err
		}
		if p.blanks(); !p.take(":") {
			return nil, p.fail(p.pos, ": is missing")
		}
		value, err := p.expression()
		if err != nil {
			return nil, err
		}
		m.keys, m.values = append(m.keys, key), append(m.values, value)
		p.blanks()
		switch {
		case p.take("}"):
			return m, nil
		case !p.take(","):
			return nil, p.fail(p.pos, "} or , is missing")
		}
	}
}

func (p *parser) number() (expression, error) {
	at := p.pos
	p.take("-")
	digits := func() {
		for '0' <= p.peek() && p.peek() <= '9' {
			p.pos++
		}
	}
	digits()
	whole := true
	// [1..3] is a range and not a fraction.
	if p.peek() == '.' && p.pos+1 < len(p.src) && '0' <= p.src[p.pos+1] && p.src[p.pos+1] <= '9' {
		whole = false
		p.pos++
		digits()
	}
	if c := p.peek(); (c == 'e' || c == 'E') && p.pos+1 < len(p.src) && strings.IndexByte("+-0123456789", p.src[p.pos+1]) >= 0 {
		whole = false
		p.pos += 2
		digits()
	}
	text := p.src[at:p.pos]
	if whole {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return nil, p.fail(at, "%q is not a number", text)
		}
		return literal{n}, nil
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, p.fail(at, "%q is not a number", text)
	}
	return literal{f}, nil
}
