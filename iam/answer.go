package iam

import (
	"strconv"
	"unicode/utf8"
)

// AppendJSON appends the answer to a case as one JSON object without a line end:
// decision, reasons, missing, message and, for a denial, advice.
func (r *Result) AppendJSON(b []byte) []byte {
	b = append(b, `{"decision":"`...)
	b = append(b, r.Decision.String()...)
	b = append(b, `","reasons":[`...)
	for i, reason := range r.Reasons {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"layer":"`...)
		b = append(b, reason.Layer.String()...)
		b = append(b, `","effect":"`...)
		b = append(b, reason.Effect...)
		b = append(b, `","policy":`...)
		b = appendString(b, reason.Policy)
		b = append(b, `,"statement":`...)
		b = strconv.AppendInt(b, int64(reason.Statement), 10)
		b = append(b, `,"sid":`...)
		b = appendString(b, reason.Sid)
		b = append(b, '}')
	}
	b = append(b, `],"missing":[`...)
	for i, l := range r.Missing {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = append(b, l.String()...)
		b = append(b, '"')
	}
	b = append(b, `],"message":`...)
	b = appendString(b, r.Message())
	if advice := r.Advice(); advice != "" {
		b = append(b, `,"advice":`...)
		b = appendString(b, advice)
	}
	return append(b, '}')
}

// AppendJSON appends the error as {"error": {path, line, column, message}}, with
// a hint where there is one.
func (e *Error) AppendJSON(b []byte) []byte {
	b = append(b, `{"error":{"path":`...)
	b = appendString(b, e.Path)
	b = append(b, `,"line":`...)
	b = strconv.AppendInt(b, int64(e.Line), 10)
	b = append(b, `,"column":`...)
	b = strconv.AppendInt(b, int64(e.Column), 10)
	b = append(b, `,"message":`...)
	b = appendString(b, e.Message)
	if e.Hint != "" {
		b = append(b, `,"hint":`...)
		b = appendString(b, e.Hint)
	}
	return append(b, "}}"...)
}

// appendString appends text as a JSON string. What is not valid UTF-8 becomes the
// replacement character.
func appendString(b []byte, text string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	from := 0
	for i := 0; i < len(text); {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(text[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(b, text[from:i]...)
				b = append(b, "\ufffd"...)
				from = i + 1
			}
			i += size
			continue
		}
		b = append(b, text[from:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		from = i
	}
	b = append(b, text[from:]...)
	return append(b, '"')
}
