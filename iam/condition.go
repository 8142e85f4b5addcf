package iam

import (
	"net/netip"
)

// condition is one operator applied to one key, compiled.
type condition struct {
	operator
	key    string // lower case
	values []operand
	source Condition // as it was written, for explanations
}

// operand is one value of a condition in the form that its operator compares.
// valid is false for a value of the wrong type, which is never true, negated or
// not.
type operand struct {
	valid  bool
	bool   bool
	text   pattern
	number decimal
	moment moment
	ip     netip.Prefix
}

func compileCondition(o operator, key string, source Condition, variables bool) condition {
	c := condition{operator: o, key: key, values: make([]operand, len(source.Values)), source: source}
	for i, v := range source.Values {
		c.values[i] = compileOperand(o.family, v, variables)
	}
	return c
}

func compileOperand(f family, text string, variables bool) operand {
	v := operand{valid: true}
	switch f {
	case familyString, familyIgnoreCase, familyBool:
		v.text = compilePattern(text, syntax{variables: variables})
	case familyLike:
		v.text = compilePattern(text, syntax{wildcards: true, variables: variables})
	case familyARN:
		v.text, v.valid = compileARN(text, variables)
	case familyNumeric:
		v.number, v.valid = parseDecimal(text)
	case familyDate:
		v.moment, v.valid = parseMoment(text)
	case familyIP:
		v.ip, v.valid = parseRange(text)
	case familyBinary:
		v.text, v.valid = pattern{shape: shapeExact, text: text}, isBase64(text)
	case familyNull:
		v.bool, v.valid = parseBool(text)
	}
	return v
}

// compileARN compiles a value of an Arn operator. One with variables can only be
// split into its parts once they have values.
func compileARN(text string, variables bool) (pattern, bool) {
	p := compilePattern(text, syntax{wildcards: true, variables: variables})
	if p.shape == shapeVariables {
		return p, true
	}
	valid := anchorARN(p.tokens)
	return shapePattern(p.tokens), valid
}

// holds reports whether the condition is met by the request.
func (c *condition) holds(q *Query) bool {
	given := q.context[c.key]
	if c.family == familyNull {
		for i := range c.values {
			if c.values[i].valid && c.values[i].bool == (len(given) == 0) {
				return true
			}
		}
		return false
	}
	if len(given) == 0 {
		switch {
		case c.ifExists, c.quantifier == quantifierAll:
			return true
		case c.quantifier == quantifierAny:
			// Also for a negated operator (best evidence: the oracle).
			return false
		default:
			return c.negated
		}
	}
	switch c.quantifier {
	case quantifierAll:
		for _, v := range given {
			if !c.accepts(v, q) {
				return false
			}
		}
		return true
	case quantifierAny:
		for _, v := range given {
			if c.accepts(v, q) {
				return true
			}
		}
		return false
	default:
		// Several values need ForAllValues or ForAnyValue; without one the
		// condition is not met, negated or not (best evidence: the oracle).
		return len(given) == 1 && c.accepts(given[0], q)
	}
}

// accepts compares one value of the request with all values of the condition:
// one must match or, for a negated operator, none may, and all must be of the
// right type.
func (c *condition) accepts(given string, q *Query) bool {
	g := input{text: given}
	if !g.read(c.family) {
		return false
	}
	for i := range c.values {
		matched, ok := c.compare(&c.values[i], &g, q)
		switch {
		case c.negated && (matched || !ok):
			return false
		case !c.negated && matched:
			return true
		}
	}
	return c.negated
}

// input is a value of the request, read as its operator's type once.
type input struct {
	text   string
	bool   bool
	number decimal
	moment moment
	ip     netip.Addr
}

func (g *input) read(f family) (ok bool) {
	switch f {
	case familyNumeric:
		g.number, ok = parseDecimal(g.text)
	case familyDate:
		g.moment, ok = parseMoment(g.text)
	case familyBool:
		g.bool, ok = parseBool(g.text)
	case familyBinary:
		ok = isBase64(g.text)
	case familyIP:
		var err error
		g.ip, err = netip.ParseAddr(g.text)
		ok = err == nil
	case familyARN:
		_, ok = cutARN(g.text)
	default:
		ok = true
	}
	return ok
}

// compare reports whether v matches the input; ok is false if v has no value to
// compare with.
func (c *condition) compare(v *operand, g *input, q *Query) (matched, ok bool) {
	if !v.valid {
		return false, false
	}
	switch c.family {
	case familyIgnoreCase:
		return v.text.equalFold(g.text, q)
	case familyNumeric:
		return c.relation.holds(g.number.compare(&v.number)), true
	case familyDate:
		return c.relation.holds(g.moment.compare(v.moment)), true
	case familyBool:
		text, ok := v.text.plain(q)
		want, isBool := parseBool(text)
		return isBool && want == g.bool, ok && isBool
	case familyIP:
		// A range of one IP version never holds an address of the other.
		return v.ip.Contains(g.ip), true
	case familyARN:
		return v.text.matchCondition(g.text, q)
	default:
		return v.text.match(g.text, q)
	}
}
