package flow

import (
	"fmt"
	"strings"
)

// Error says what is wrong with a text of flows, and where.
type Error struct {
	// Line and Column begin at 1; 0 where there is no text.
	Line   int `json:"line,omitempty"`
	Column int `json:"column,omitempty"`
	// Path leads to the value: "flows[2].duration.max".
	Path string `json:"path,omitempty"`
	// Name is of the flow or bundle, where it is known: `flow "payments"`.
	Name    string `json:"name,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Error gives place, value, reason and how to mend it.
func (e *Error) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		fmt.Fprintf(&b, "%d:%d: ", e.Line, e.Column)
	}
	path := e.Path
	if e.Name != "" {
		b.WriteString(e.Name + ": ")
		_, path, _ = strings.Cut(path, ".")
	}
	if path != "" {
		b.WriteString(path + ": ")
	}
	b.WriteString(e.Message)
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// Errors are all that is wrong with a text of flows, at most maxErrors of them.
type Errors []*Error

const maxErrors = 50

// Error gives one line for each.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find each Error.
func (e Errors) Unwrap() []error {
	out := make([]error, len(e))
	for i, one := range e {
		out[i] = one
	}
	return out
}
