package velocity

import (
	"errors"
	"math"
)

// Limits bound the execution of a template. Zero fields are the defaults.
type Limits struct {
	// Steps is how many nodes and expressions are executed; 1,000,000 if zero.
	Steps int
	// Output is the largest output in bytes, 10 MB if zero. Values that a template
	// makes on its way may take four times as much.
	Output int
}

// maxIterations is how many rounds a #foreach makes: API Gateway's quota. What is
// beyond it is left out, as Velocity does.
const maxIterations = 1000

// ErrLimit means that a template was stopped because it took too many steps or
// too much memory.
var ErrLimit = errors.New("the template takes too long or too much memory")

// errBreak and errStop end a loop and the template.
var (
	errBreak = errors.New("#break")
	errStop  = errors.New("#stop")
)

// execution is one run of a template.
type execution struct {
	src  string
	vars map[string]any
	loop *loop
	// patterns are the regular expressions that were read.
	patterns map[string]pattern
	out      []byte
	steps    int
	memory   int
	output   int
}

// Execute runs a template with variables, which it may change. Its errors are of
// type *Error; one that wraps ErrLimit says that a limit was met.
func (t *Template) Execute(vars map[string]any, limits Limits) (string, error) {
	e := &execution{src: t.src, vars: vars, steps: limits.Steps, output: limits.Output}
	if e.steps == 0 {
		e.steps = 1_000_000
	}
	if e.output == 0 {
		e.output = maxString
	}
	e.memory = 4 * e.output
	err := e.run(t.nodes)
	if err != nil && !errors.Is(err, errStop) && !errors.Is(err, errBreak) {
		if _, ok := errors.AsType[*Error](err); !ok {
			err = &Error{Err: err}
		}
		return "", err
	}
	return string(e.out), nil
}

// step counts one step.
func (e *execution) step() error {
	if e.steps--; e.steps < 0 {
		return ErrLimit
	}
	return nil
}

// charge counts memory that a value takes.
func (e *execution) charge(n int) error {
	if e.memory -= n; e.memory < 0 {
		return ErrLimit
	}
	return nil
}

func (e *execution) write(s string) error {
	if len(e.out)+len(s) > e.output {
		return ErrLimit
	}
	e.out = append(e.out, s...)
	return nil
}

func (e *execution) run(nodes []node) error {
	for _, n := range nodes {
		if err := e.step(); err != nil {
			return err
		}
		var err error
		switch n := n.(type) {
		case textNode:
			err = e.write(string(n))
		case *reference:
			err = e.show(n)
		case setNode:
			err = e.set(n)
		case ifNode:
			err = e.choose(n)
		case foreachNode:
			err = e.each(n)
		case breakNode:
			err = errBreak
		case stopNode:
			err = errStop
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// show writes the value of a reference; nothing for null.
func (e *execution) show(r *reference) error {
	v, err := e.resolve(r)
	if err != nil || v == nil {
		return err
	}
	s, err := e.text(v)
	if err != nil {
		return place(e.src, r.at, err)
	}
	return e.write(s)
}

// text is a value as a text.
func (e *execution) text(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	b, err := appendText(nil, v, 0, e.output)
	if errors.Is(err, errLong) {
		err = ErrLimit
	}
	if err == nil {
		err = e.charge(len(b))
	}
	return string(b), err
}

func (e *execution) choose(n ifNode) error {
	for i, c := range n.conditions {
		holds, err := e.holds(c)
		if err != nil {
			return err
		}
		if holds {
			return e.run(n.blocks[i])
		}
	}
	return e.run(n.otherwise)
}

// loop is $foreach.
type loop struct {
	index, size int
	parent      *loop
}

// Property is index, count, hasNext, first, last and parent.
func (l *loop) Property(name string) any {
	switch name {
	case "index":
		return int64(l.index)
	case "count":
		return int64(l.index + 1)
	case "hasNext":
		return l.index+1 < l.size
	case "first":
		return l.index == 0
	case "last":
		return l.index+1 == l.size
	case "parent":
		if l.parent != nil {
			return l.parent
		}
	}
	return nil
}

// Call is hasNext and the getters.
func (l *loop) Call(name string, _ []any) (any, error) {
	switch name {
	case "hasNext":
		return l.Property("hasNext"), nil
	case "getIndex":
		return l.Property("index"), nil
	case "getCount":
		return l.Property("count"), nil
	}
	return nil, nil
}

func (e *execution) each(n foreachNode) error {
	v, err := e.value(n.list)
	if err != nil {
		return err
	}
	var items []any
	switch v := v.(type) {
	case *List:
		items = append(items, v.Items...) // the body may change the list
	case *Map:
		for _, k := range v.keys {
			items = append(items, v.values[k])
		}
	}
	if err := e.charge(16 * len(items)); err != nil {
		return err
	}
	before, had := e.vars[n.name]
	l := &loop{size: len(items), parent: e.loop}
	e.loop = l
	defer func() {
		e.loop = l.parent
		if had {
			e.vars[n.name] = before
		} else {
			delete(e.vars, n.name)
		}
	}()
	for i, item := range items[:min(len(items), maxIterations)] {
		if err := e.step(); err != nil {
			return err
		}
		l.index, e.vars[n.name] = i, item
		if err := e.run(n.body); err != nil {
			if errors.Is(err, errBreak) {
				return nil
			}
			return err
		}
	}
	return nil
}

// set assigns. Setting null changes nothing.
func (e *execution) set(n setNode) error {
	v, err := e.value(n.value)
	if err != nil || v == nil {
		return err
	}
	if len(n.target.steps) == 0 {
		e.vars[n.target.name] = v
		return e.charge(64)
	}
	last := n.target.steps[len(n.target.steps)-1]
	owner, err := e.resolve(&reference{n.target.at, n.target.name, n.target.steps[:len(n.target.steps)-1]})
	if err != nil {
		return err
	}
	key := any(last.name)
	if last.name == "" {
		if key, err = e.value(last.index); err != nil {
			return err
		}
	}
	switch o := owner.(type) {
	case *Map:
		name, err := e.text(key)
		if err != nil {
			return err
		}
		o.Set(name, v)
		return e.charge(64 + len(name))
	case *List:
		if i, ok := position(key, len(o.Items)); ok {
			o.Items[i] = v
		}
	}
	return nil
}

// position is where an index of a list points; a negative one counts from the end.
func position(index any, size int) (int, bool) {
	i, ok := integer(index)
	if i < 0 {
		i += int64(size)
	}
	return int(i), ok && i >= 0 && i < int64(size)
}

// resolve follows a reference. What does not exist is nil.
func (e *execution) resolve(r *reference) (any, error) {
	if err := e.step(); err != nil {
		return nil, err
	}
	v, ok := e.vars[r.name]
	if !ok && e.loop != nil {
		switch r.name {
		case "foreach":
			v = e.loop
		case "velocityCount":
			v = int64(e.loop.index + 1)
		}
	}
	for _, s := range r.steps {
		if v == nil {
			return nil, nil
		}
		if err := e.step(); err != nil {
			return nil, err
		}
		var err error
		switch {
		case s.call:
			var args []any
			for _, a := range s.args {
				arg, err := e.value(a)
				if err != nil {
					return nil, err
				}
				args = append(args, arg)
			}
			v, err = e.call(v, s.name, args)
		case s.name != "":
			v, err = e.property(v, s.name)
		default:
			var index any
			if index, err = e.value(s.index); err == nil {
				v, err = e.element(v, index)
			}
		}
		if err != nil {
			if _, ok := errors.AsType[*Error](err); ok {
				return nil, err
			}
			return nil, place(e.src, r.at, err)
		}
	}
	return v, nil
}

// property is .name: a key of a map, and else what getName and isName give.
func (e *execution) property(v any, name string) (any, error) {
	switch v := v.(type) {
	case *Map:
		return v.Get(name), nil
	case Object:
		result := v.Property(name)
		if s, ok := result.(string); ok {
			return s, e.charge(len(s))
		}
		return result, nil
	}
	if name == "empty" {
		return e.call(v, "isEmpty", nil)
	}
	return nil, nil
}

func (e *execution) element(v, index any) (any, error) {
	switch v := v.(type) {
	case *Map:
		key, err := e.text(index)
		return v.Get(key), err
	case *List:
		i, ok := position(index, len(v.Items))
		if !ok {
			return nil, errors.New("an index is outside of its list")
		}
		return v.Items[i], nil
	case Object:
		key, err := e.text(index)
		return v.Property(key), err
	}
	return nil, nil
}

// value is the value of an expression.
func (e *execution) value(x expression) (any, error) {
	if err := e.step(); err != nil {
		return nil, err
	}
	switch x := x.(type) {
	case literal:
		return x.value, nil
	case *reference:
		return e.resolve(x)
	case interpolated:
		return e.interpolate(x)
	case negation:
		holds, err := e.holds(x.of)
		return !holds, err
	case binary:
		return e.binary(x)
	case listOf:
		l := NewList()
		for _, item := range x.items {
			v, err := e.value(item)
			if err != nil {
				return nil, err
			}
			l.Items = append(l.Items, v)
		}
		return l, e.charge(16 * len(l.Items))
	case rangeOf:
		return e.rangeOf(x)
	case mapOf:
		m := NewMap()
		for i := range x.keys {
			key, err := e.value(x.keys[i])
			if err != nil {
				return nil, err
			}
			name, err := e.text(key)
			if err != nil {
				return nil, err
			}
			v, err := e.value(x.values[i])
			if err != nil {
				return nil, err
			}
			m.Set(name, v)
		}
		return m, e.charge(64 * m.Len())
	}
	return nil, nil
}

// interpolate executes what is in a text and takes its output as the value.
func (e *execution) interpolate(x interpolated) (any, error) {
	outer := e.out
	e.out = nil
	err := e.run(x.nodes)
	s := string(e.out)
	e.out = outer
	if err != nil {
		return nil, err
	}
	return s, e.charge(len(s))
}

func (e *execution) rangeOf(x rangeOf) (any, error) {
	from, err := e.value(x.from)
	if err != nil {
		return nil, err
	}
	to, err := e.value(x.to)
	if err != nil {
		return nil, err
	}
	a, ok := integer(from)
	b, also := integer(to)
	if !ok || !also {
		return nil, nil
	}
	by := int64(1)
	if b < a {
		by = -1
	}
	size := float64(b) - float64(a)
	if math.Abs(size) > 1<<20 {
		return nil, place(e.src, x.at, ErrLimit)
	}
	l := NewList()
	if err := e.charge(32 * int(math.Abs(size)+1)); err != nil {
		return nil, err
	}
	for i := a; ; i += by {
		l.Items = append(l.Items, i)
		if i == b {
			return l, nil
		}
	}
}
