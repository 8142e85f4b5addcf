package iam

import "strings"

// family is the kind of comparison that a condition operator makes.
type family uint8

const (
	familyString family = iota
	familyIgnoreCase
	familyLike
	familyNumeric
	familyDate
	familyBool
	familyBinary
	familyIP
	familyARN
	familyNull
)

// relation is which order satisfies a numeric or date operator.
type relation uint8

const (
	relationEqual relation = iota
	relationLess
	relationLessEqual
	relationGreater
	relationGreaterEqual
)

func (r relation) holds(order int) bool {
	switch r {
	case relationLess:
		return order < 0
	case relationLessEqual:
		return order <= 0
	case relationGreater:
		return order > 0
	case relationGreaterEqual:
		return order >= 0
	default:
		return order == 0
	}
}

// quantifier says how an operator treats a key with several values.
type quantifier uint8

const (
	quantifierNone quantifier = iota
	quantifierAll
	quantifierAny
)

// operator is a condition operator with its prefix and suffix.
type operator struct {
	// name is the operator as AWS spells it, without prefix and suffix.
	name       string
	family     family
	relation   relation
	negated    bool
	ifExists   bool
	quantifier quantifier
}

var operators = func() map[string]operator {
	m := map[string]operator{}
	for _, o := range []operator{
		{name: "StringEquals", family: familyString},
		{name: "StringNotEquals", family: familyString, negated: true},
		{name: "StringEqualsIgnoreCase", family: familyIgnoreCase},
		{name: "StringNotEqualsIgnoreCase", family: familyIgnoreCase, negated: true},
		{name: "StringLike", family: familyLike},
		{name: "StringNotLike", family: familyLike, negated: true},
		{name: "NumericEquals", family: familyNumeric},
		{name: "NumericNotEquals", family: familyNumeric, negated: true},
		{name: "NumericLessThan", family: familyNumeric, relation: relationLess},
		{name: "NumericLessThanEquals", family: familyNumeric, relation: relationLessEqual},
		{name: "NumericGreaterThan", family: familyNumeric, relation: relationGreater},
		{name: "NumericGreaterThanEquals", family: familyNumeric, relation: relationGreaterEqual},
		{name: "DateEquals", family: familyDate},
		{name: "DateNotEquals", family: familyDate, negated: true},
		{name: "DateLessThan", family: familyDate, relation: relationLess},
		{name: "DateLessThanEquals", family: familyDate, relation: relationLessEqual},
		{name: "DateGreaterThan", family: familyDate, relation: relationGreater},
		{name: "DateGreaterThanEquals", family: familyDate, relation: relationGreaterEqual},
		{name: "Bool", family: familyBool},
		{name: "BinaryEquals", family: familyBinary},
		{name: "IpAddress", family: familyIP},
		{name: "NotIpAddress", family: familyIP, negated: true},
		// ArnEquals and ArnLike behave alike, wildcards included.
		{name: "ArnEquals", family: familyARN},
		{name: "ArnNotEquals", family: familyARN, negated: true},
		{name: "ArnLike", family: familyARN},
		{name: "ArnNotLike", family: familyARN, negated: true},
		{name: "Null", family: familyNull},
	} {
		m[strings.ToLower(o.name)] = o
	}
	return m
}()

// parseOperator reads a condition operator, in any case of letters, with
// ForAllValues: or ForAnyValue: before it and IfExists behind it.
func parseOperator(text string) (operator, *Error) {
	name := strings.ToLower(text)
	quantifier := quantifierNone
	if rest, ok := strings.CutPrefix(name, "forallvalues:"); ok {
		name, quantifier = rest, quantifierAll
	} else if rest, ok := strings.CutPrefix(name, "foranyvalue:"); ok {
		name, quantifier = rest, quantifierAny
	}
	name, ifExists := strings.CutSuffix(name, "ifexists")
	o, ok := operators[name]
	switch {
	case !ok:
		return operator{}, mistake("use an operator such as StringEquals, ArnLike, NumericLessThan, DateGreaterThan, Bool, IpAddress or Null",
			"%q is not a condition operator", clip(text))
	case o.family == familyNull && (ifExists || quantifier != quantifierNone):
		return operator{}, mistake("write Null alone", "Null takes neither a prefix nor IfExists, not %q", clip(text))
	}
	o.quantifier, o.ifExists = quantifier, ifExists
	return o, nil
}
