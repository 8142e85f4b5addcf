package logfile

import (
	"bufio"
	"bytes"
	"errors"
)

var newline = []byte{'\n'}

func errorsIsFull(err error) bool { return errors.Is(err, bufio.ErrBufferFull) }

// take reads one byte into the record.
func (r *Reader) take() error {
	c, err := r.in.ReadByte()
	if err != nil {
		return err
	}
	r.count(c)
	r.raw = append(r.raw, c)
	return nil
}

// space reads white space into the record and returns the byte after it, which
// is not read.
func (r *Reader) space() (byte, error) {
	for {
		head, err := r.in.Peek(1)
		if err != nil {
			return 0, err
		}
		switch head[0] {
		case ' ', '\t', '\r', '\n':
			if err := r.take(); err != nil {
				return 0, err
			}
			if len(r.raw) > maxRecord {
				return 0, errTooLong
			}
		default:
			return head[0], nil
		}
	}
}

// value reads one JSON value into the record, and returns it. It follows quotes
// and brackets only. A line end inside a string is not JSON.
func (r *Reader) value() ([]byte, error) {
	from := len(r.raw)
	depth := 0
	inString, escaped := false, false
	for {
		// All that is buffered is looked at in one go.
		if _, err := r.in.Peek(1); err != nil {
			return nil, err
		}
		buffered, _ := r.in.Peek(r.in.Buffered())
		n, done, broken := 0, false, false
	scan:
		for n < len(buffered) {
			if inString && !escaped {
				if n += plainRun(buffered[n:]); n == len(buffered) {
					break
				}
			}
			c := buffered[n]
			if inString {
				n++
				switch {
				case escaped:
					escaped = false
				case c == '\\':
					escaped = true
				case c == '"':
					inString = false
					if depth == 0 {
						done = true
						break scan
					}
				case c == '\n':
					broken = true
					break scan
				}
				continue
			}
			switch c {
			case '"':
				inString = true
			case '{', '[':
				depth++
			case '}', ']':
				if depth == 0 {
					done = true
					break scan
				}
				depth--
				if depth == 0 {
					n++
					done = true
					break scan
				}
			case ',', ' ', '\t', '\r', '\n':
				if depth == 0 {
					done = true
					break scan
				}
			}
			n++
		}
		r.line += bytes.Count(buffered[:n], newline)
		r.offset += int64(n)
		r.raw = append(r.raw, buffered[:n]...)
		if _, err := r.in.Discard(n); err != nil {
			return nil, err
		}
		switch {
		case broken, done && len(r.raw) == from:
			return nil, errBroken
		case done:
			return r.raw[from:], nil
		case len(r.raw) > maxRecord:
			return nil, errTooLong
		}
	}
}
