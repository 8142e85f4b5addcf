package velocity

import (
	"fmt"
	"math"
)

// binary computes an operator. What comes after a decided && or || is not computed.
func (e *execution) binary(x binary) (any, error) {
	if x.op == "||" || x.op == "&&" {
		holds, err := e.holds(x.left)
		if err != nil || holds == (x.op == "||") {
			return holds, err
		}
		return e.holds(x.right)
	}
	left, err := e.value(x.left)
	if err != nil {
		return nil, err
	}
	right, err := e.value(x.right)
	if err != nil {
		return nil, err
	}
	switch x.op {
	case "==":
		return e.equal(left, right)
	case "!=":
		same, err := e.equal(left, right)
		return !same, err
	case "<", "<=", ">", ">=":
		_, isText := left.(string)
		return !isText && compare(x.op, left, right), nil // Velocity orders numbers alone
	}
	v, err := e.arithmetic(x.op, left, right)
	if err != nil {
		return nil, place(e.src, x.at, err)
	}
	return v, nil
}

// holds is whether a condition is met. As in Velocity, only a reference is taken by
// its value: a text, a number, a list or a sum that stands in a condition itself is
// false.
func (e *execution) holds(x expression) (bool, error) {
	switch x := x.(type) {
	case *reference:
		v, err := e.value(x)
		return truth(v), err
	case literal, negation, binary:
		v, err := e.value(x)
		b, ok := v.(bool)
		return ok && b, err
	case interpolated, listOf, rangeOf, mapOf:
	}
	return false, nil
}

// equal is equal, at the price of what is compared.
func (e *execution) equal(a, b any) (bool, error) {
	if err := e.step(); err != nil {
		return false, err
	}
	s, isText := a.(string)
	if t, ok := b.(string); ok && isText {
		e.steps -= len(s) / 64
		return s == t, nil
	}
	for _, v := range [...]any{a, b} {
		switch v.(type) {
		case *Map, *List:
			if _, err := e.text(v); err != nil {
				return false, err
			}
		}
	}
	return equal(a, b), nil
}

// compare compares numbers; texts by their code points. What cannot be compared is
// false.
func compare(op string, a, b any) bool {
	var order int
	x, ok := number(a)
	y, also := number(b)
	s, isText := a.(string)
	t, alsoText := b.(string)
	switch {
	case ok && also:
		order = order3(x < y, x > y)
	case isText && alsoText:
		order = order3(s < t, s > t)
	default:
		return false
	}
	switch op {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	default:
		return order >= 0
	}
}

func order3(less, more bool) int {
	switch {
	case less:
		return -1
	case more:
		return 1
	}
	return 0
}

// arithmetic computes; + joins texts. What cannot be computed is null.
func (e *execution) arithmetic(op string, a, b any) (any, error) {
	_, isText := a.(string)
	_, alsoText := b.(string)
	if op == "+" && (isText || alsoText) {
		s, err := e.text(a)
		if err != nil {
			return nil, err
		}
		t, err := e.text(b)
		if err != nil {
			return nil, err
		}
		return s + t, e.charge(len(s) + len(t))
	}
	i, ok := integer(a)
	j, also := integer(b)
	if ok && also {
		switch op {
		case "+":
			return i + j, nil
		case "-":
			return i - j, nil
		case "*":
			return i * j, nil
		}
		if j == 0 {
			return nil, nil
		}
		if op == "/" {
			return i / j, nil
		}
		return i % j, nil
	}
	x, ok := number(a)
	y, also := number(b)
	if !ok || !also {
		return nil, nil
	}
	switch op {
	case "+":
		return x + y, nil
	case "-":
		return x - y, nil
	case "*":
		return x * y, nil
	}
	if y == 0 {
		return nil, nil
	}
	if op == "/" {
		return x / y, nil
	}
	return math.Mod(x, y), nil
}

// argument is a wrong argument of a method.
func argument(name string) error { return fmt.Errorf("the arguments of %s do not fit", name) }
