package logfile

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// pending is a message of plain lines that may go on.
type pending struct {
	event   transaction.Event
	message []byte
	stamped bool // began with a timestamp
	exec    bool // began with a request id
}

// flush gives the message that was pending.
func (r *Reader) flush() {
	if p := r.pending; p != nil {
		r.pending = nil
		// Empty lines at the end stand between records.
		p.event.Message = string(bytes.TrimRight(p.message, "\n"))
		r.give(r.defaults, p.event)
	}
}

// readLine reads a plain line: the beginning of a message, or more of the one
// before.
func (r *Reader) readLine() error {
	number, offset := r.line, r.offset
	var line []byte
	tooLong := false
	for {
		part, err := r.in.ReadSlice('\n')
		r.offset += int64(len(part))
		if tooLong = tooLong || len(line)+len(part) > maxRecord; !tooLong {
			line = append(line, part...)
		}
		if err == nil {
			r.line++
			break
		}
		if errorsIsFull(err) {
			continue
		}
		if errors.Is(err, io.EOF) && len(line) > 0 {
			break // the next read finds the end again
		}
		return err
	}
	if tooLong {
		r.flush()
		r.complain(number, offset, errTooLong)
		return nil
	}
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte{'\n'}), []byte{'\r'})
	line = withoutColours(line)
	p := r.pending
	if stamp, stream, message, ok := stamped(line); ok {
		r.flush()
		r.pending = &pending{event: transaction.Event{Timestamp: stamp, Stream: stream}, message: bytes.Clone(message), stamped: true}
		return nil
	}
	if p != nil && (p.stamped || p.exec && !beginsRecord(line)) {
		if len(p.message)+len(line) > maxRecord {
			r.flush()
			r.complain(number, offset, errTooLong)
			return nil
		}
		p.message = append(append(p.message, '\n'), line...)
		return nil
	}
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	r.flush()
	r.pending = &pending{message: bytes.Clone(line), exec: beginsLine(line)}
	return nil
}

// withoutColours takes out what colours a terminal.
func withoutColours(line []byte) []byte {
	for {
		i := bytes.Index(line, []byte("\x1b["))
		if i < 0 {
			return line
		}
		end := bytes.IndexByte(line[i:], 'm')
		if end < 0 || end > 12 {
			return line
		}
		line = append(line[:i], line[i+end+1:]...)
	}
}

// stamped takes the timestamp and the stream off a line of aws logs tail:
// "2026-01-01T00:00:00.000000+00:00 stream message", or in the short format
// "2026-01-01T00:00:00 message". A time without a zone is UTC.
func stamped(line []byte) (at int64, stream string, message []byte, ok bool) {
	const short = "2006-01-02T15:04:05"
	if len(line) < len(short) || line[4] != '-' || line[7] != '-' || line[10] != 'T' || line[13] != ':' {
		return 0, "", nil, false
	}
	word, rest, _ := bytes.Cut(line, []byte{' '})
	if len(word) > 40 {
		return 0, "", nil, false
	}
	if len(word) == len(short) {
		t, err := time.Parse(short, string(word))
		if err != nil {
			return 0, "", nil, false
		}
		return t.UnixMilli(), "", rest, true
	}
	t, err := time.Parse(time.RFC3339Nano, string(word))
	if err != nil {
		if t, err = time.Parse(short+".999999999", string(word)); err != nil {
			return 0, "", nil, false
		}
	}
	if len(rest) > 0 && rest[0] != '(' && rest[0] != '{' && rest[0] != '<' {
		if name, after, found := bytes.Cut(rest, []byte{' '}); found && isStream(name) {
			return t.UnixMilli(), string(name), after, true
		}
	}
	return t.UnixMilli(), "", rest, true
}

// isStream reports whether a word is rather a stream's name than the beginning
// of a message: API Gateway's have 32 hexadecimal digits, and access logs' may
// have any name, but no message begins with a name and then a request id or an
// object.
func isStream(name []byte) bool {
	return len(name) <= 512 && bytes.Count(name, []byte{'.'}) != 3 && bytes.IndexByte(name, ',') < 0
}

// beginsLine reports whether a line begins with a request id.
func beginsLine(line []byte) bool {
	if len(line) < 3 || line[0] != '(' {
		return false
	}
	end := bytes.IndexByte(line[:min(len(line), 260)], ')')
	return end > 1 && bytes.IndexByte(line[:end], ' ') < 0 && (end+1 == len(line) || line[end+1] == ' ') &&
		(end > 12 || strings.HasPrefix(string(line[1:end]), "test"))
}

// beginsRecord reports whether a line begins an execution line or is an access
// record, so that it is not more of the message before.
func beginsRecord(line []byte) bool {
	if beginsLine(line) {
		return true
	}
	if len(line) == 0 {
		return false
	}
	if line[0] == '{' {
		return bytes.Contains(line, []byte("equestId")) || bytes.Contains(line, []byte("equest_id"))
	}
	if bytes.HasPrefix(line, []byte("<request ")) {
		return true
	}
	// The time of an access record: 01/Jan/2026:00:00:00 +0000.
	for from := 0; ; {
		i := bytes.IndexByte(line[from:], '/')
		if i < 0 {
			return false
		}
		i += from
		from = i + 1
		if i >= 2 && len(line) >= i+18 && line[i+4] == '/' && line[i+9] == ':' && line[i+12] == ':' {
			return true
		}
	}
}
