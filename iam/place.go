package iam

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Place says where in a document something is. Path is the JSON path, such as
// "Statement[0].Condition.StringEquals", and empty for the document itself. Line
// and Column start at 1 and count characters; they are 0 where there is no text,
// as for a document that was built and not parsed.
type Place struct {
	Path   string `json:"path"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
}

// String returns the place as people read it.
func (p Place) String() string {
	switch {
	case p.Line == 0:
		return p.Path
	case p.Path == "":
		return fmt.Sprintf("line %d, column %d", p.Line, p.Column)
	default:
		return fmt.Sprintf("%s (line %d, column %d)", p.Path, p.Line, p.Column)
	}
}

// Error is a mistake in a policy document, a case or a request: where it is,
// what it is, and how it is mended.
type Error struct {
	Place
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Error returns the place and the message.
func (e *Error) Error() string {
	if where := e.String(); where != "" {
		return where + ": " + e.Message
	}
	return e.Message
}

// Mend says how the mistake is mended; empty if the message says it.
func (e *Error) Mend() string { return e.Hint }

// mistake is an error without a place; the caller knows where it stands.
func mistake(hint, format string, args ...any) *Error {
	return &Error{Message: fmt.Sprintf(format, args...), Hint: hint}
}

// lineColumn turns a byte offset into a line and a column. line is the number of
// the text's first line, so that a case in the middle of a stream has the place
// that an editor shows.
func lineColumn(text string, offset, line int) (int, int) {
	offset = min(offset, len(text))
	start := 0
	for i := range offset {
		if text[i] == '\n' {
			line++
			start = i + 1
		}
	}
	return line, utf8.RuneCountInString(text[start:offset]) + 1
}

// indexed is the path of a member of a list.
func indexed(name string, i int) string { return name + "[" + strconv.Itoa(i) + "]" }
