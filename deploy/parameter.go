package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxParameters bounds the size in bytes of a file of parameters.
const maxParameters = 1 << 20

// Parameter is a value that a stack is written for.
type Parameter struct {
	Name    string `json:"name"`
	Summary string `json:"summary"`
	// Example is a value that passes the checks.
	Example string `json:"example"`
	// Default is used where none is given; empty: none.
	Default  string `json:"default,omitempty"`
	Required bool   `json:"required"`
	// List says that it may be given several times.
	List bool `json:"list"`

	// whole says that a comma in a value of a list is part of it.
	whole bool
	check func(string) error
}

// Error is a parameter that a stack cannot be written with.
type Error struct {
	Stack     string
	Parameter string // empty if it is about several
	Err       error
	Hint      string
}

// Error says which parameter of which stack is wrong, and why.
func (e *Error) Error() string {
	where := "stack " + e.Stack
	if e.Stack == "" {
		where = "parameters"
	}
	if e.Parameter != "" {
		where += ": parameter " + e.Parameter
	}
	return where + ": " + e.Err.Error()
}

// Unwrap returns the mistake itself.
func (e *Error) Unwrap() error { return e.Err }

// Mend says how it can be put right.
func (e *Error) Mend() string { return e.Hint }

// Values are what parameters are given, by their names.
type Values map[string][]string

// Assign adds values written as NAME=VALUE. A name may come again: a list has
// several values. Errors are of type *Error.
func (v Values) Assign(assignments ...string) error {
	for _, a := range assignments {
		name, value, ok := strings.Cut(a, "=")
		if !ok || name == "" {
			return &Error{Err: fmt.Errorf("%q is no assignment", clip(a)), Hint: "write NAME=VALUE"}
		}
		v[name] = append(v[name], value)
	}
	return nil
}

// ReadValues reads a YAML mapping of names to values or lists of values. Scalars
// are taken as they are written, so an account that begins with 0 needs no quotes.
// Errors are of type *Error and tell the line.
func ReadValues(text []byte) (Values, error) {
	fail := func(n *yaml.Node, format string, args ...any) error {
		return &Error{Err: fmt.Errorf("line %d: "+format, append([]any{n.Line}, args...)...), Hint: "write NAME: VALUE or NAME: [VALUE, …]"}
	}
	if len(text) > maxParameters {
		return nil, &Error{Err: fmt.Errorf("the file has %d bytes, at most %d are read", len(text), maxParameters), Hint: "name fewer values"}
	}
	var doc, more yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, &Error{Err: fmt.Errorf("reading YAML: %w", err), Hint: "write NAME: VALUE or NAME: [VALUE, …]"}
	}
	if err := d.Decode(&more); err == nil {
		return nil, fail(more.Content[0], "a second document begins")
	} else if !errors.Is(err, io.EOF) {
		return nil, &Error{Err: fmt.Errorf("reading YAML: %w", err), Hint: "write NAME: VALUE or NAME: [VALUE, …]"}
	}
	v := Values{}
	if len(doc.Content) == 0 {
		return v, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fail(root, "this is no mapping")
	}
	for i := 0; i < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			return nil, fail(key, "a name must be text")
		}
		if _, twice := v[key.Value]; twice {
			return nil, fail(key, "%s is there twice", clip(key.Value))
		}
		items := []*yaml.Node{value}
		switch {
		case value.Kind == yaml.SequenceNode:
			items = value.Content
		case value.Tag == "!!null":
			items = nil // a name with nothing behind it is not given
		}
		v[key.Value] = []string{}
		for _, item := range items {
			if item.Kind != yaml.ScalarNode {
				return nil, fail(item, "the value of %s is neither text nor a list of texts", clip(key.Value))
			}
			v[key.Value] = append(v[key.Value], item.Value)
		}
	}
	return v, nil
}

// input are checked values, defaults filled in.
type input struct {
	stack  string
	values Values
}

// resolve checks values against the parameters of a stack.
func (s *Stack) resolve(given Values) (*input, error) {
	in := &input{stack: s.Name, values: Values{}}
	names := make([]string, 0, len(s.Parameters))
	for i := range s.Parameters {
		names = append(names, s.Parameters[i].Name)
	}
	for _, name := range sortedKeys(given) {
		if !slices.Contains(names, name) {
			return nil, &Error{s.Name, "", fmt.Errorf("there is no parameter %q", clip(name)), "it has " + strings.Join(names, ", ")}
		}
	}
	for i := range s.Parameters {
		p := &s.Parameters[i]
		values := given[p.Name]
		fail := func(err error) error { return &Error{s.Name, p.Name, err, "write it as " + p.Example} }
		switch {
		case p.List:
			all, err := p.items(values)
			if err != nil {
				return nil, fail(err)
			}
			values = all
		case len(values) > 1:
			return nil, fail(fmt.Errorf("it is given %d times", len(values)))
		case len(values) == 1 && values[0] == "":
			values = nil
		}
		if len(values) == 0 && p.Default != "" {
			values = []string{p.Default}
			if p.List {
				values = strings.Split(p.Default, ",")
			}
		}
		if len(values) == 0 && p.Required {
			return nil, fail(errors.New("it is missing"))
		}
		if len(values) > maxItems {
			return nil, fail(fmt.Errorf("it has %d values, at most %d are written", len(values), maxItems))
		}
		if err := p.checkAll(values); err != nil {
			return nil, fail(err)
		}
		in.values[p.Name] = values
	}
	return in, in.checkPlaces()
}

// items are the values of a list, each once.
func (p Parameter) items(values []string) ([]string, error) {
	var all []string
	add := func(item string) error {
		if strings.TrimSpace(item) == "" {
			return errors.New("an item of the list is empty")
		}
		if !slices.Contains(all, item) {
			all = append(all, item)
		}
		return nil
	}
	for _, text := range values {
		if p.whole {
			if err := add(text); err != nil {
				return nil, err
			}
			continue
		}
		for item := range strings.SplitSeq(text, ",") {
			if err := add(strings.TrimSpace(item)); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

func (p Parameter) checkAll(values []string) error {
	for _, text := range values {
		if err := p.check(text); err != nil {
			return err
		}
	}
	return nil
}

// maxItems bounds the values of a list: the accounts of a large organization.
const maxItems = 1000

func (in *input) list(name string) []string { return in.values[name] }

func (in *input) text(name string) string {
	if v := in.values[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

func (in *input) flag(name string) bool { return in.text(name) == "true" }

func (in *input) number(name string) int {
	n, _ := strconv.Atoi(in.text(name)) // was checked
	return n
}

func (in *input) fail(parameter, hint, format string, args ...any) error {
	return &Error{in.stack, parameter, fmt.Errorf(format, args...), hint}
}

func clip(s string) string {
	if len(s) > 80 {
		return strings.ToValidUTF8(s[:80], "") + "…" // no half of a letter
	}
	return s
}
