// Package logfile reads log events from files: the pages that the AWS CLI
// prints, events one a line, CloudWatch subscription data, and plain lines as
// aws logs tail prints them. What a file is is told from its content, also where
// several forms follow one another, and compressed files are read as they are.
package logfile

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// maxRecord is the longest event or line that is read, in bytes. CloudWatch's
// own limit is 1 MiB, which JSON's escapes can make six times as long.
const maxRecord = 8 << 20

// RecordError is a record that could not be read. The Reader goes on with the
// one after it.
type RecordError struct {
	Line   int   // from 1
	Offset int64 // in bytes from the start of the (decompressed) input
	Err    error
}

// Error says where and why.
func (e *RecordError) Error() string {
	return fmt.Sprintf("line %d (byte %d): %v", e.Line, e.Offset, e.Err)
}

// Unwrap returns the cause.
func (e *RecordError) Unwrap() error { return e.Err }

// Reader reads log events one by one, in the order of the file. It keeps no more
// than one record in memory.
type Reader struct {
	in       *bufio.Reader
	defaults transaction.Group
	opened   bool
	failed   error

	line    int
	offset  int64
	raw     []byte // of the record that is read
	queue   []item // read
	given   int    // how many of the queue were given
	page    *page  // the page or array whose events are read
	pending *pending
	group   groupCache

	text, unescaped []byte            // scratch room
	streams         map[string]string // names of log streams
}

type item struct {
	group transaction.Group
	event transaction.Event
	err   error
}

// groupCache keeps the group that the last event named.
type groupCache struct {
	name, owner string
	group       transaction.Group
}

// NewReader reads events from r. What the input does not tell of the log group
// is taken from defaults.
func NewReader(r io.Reader, defaults transaction.Group) *Reader {
	return &Reader{in: bufio.NewReaderSize(r, 256<<10), defaults: defaults, line: 1}
}

// Next returns the next event and its group. At the end the error is io.EOF. A
// *RecordError is a record that could not be read; Next can be called again.
// Any other error is final.
func (r *Reader) Next() (transaction.Group, transaction.Event, error) {
	for {
		if r.given < len(r.queue) {
			it := r.queue[r.given]
			r.queue[r.given] = item{}
			if r.given++; r.given == len(r.queue) {
				r.queue, r.given = r.queue[:0], 0
			}
			return it.group, it.event, it.err
		}
		if r.failed != nil {
			return transaction.Group{}, transaction.Event{}, r.failed
		}
		if err := r.read(); err != nil {
			r.flush()
			r.failed = err
		}
	}
}

func (r *Reader) give(g transaction.Group, ev transaction.Event) {
	r.queue = append(r.queue, item{group: g, event: ev})
}

func (r *Reader) complain(line int, offset int64, err error) {
	r.queue = append(r.queue, item{err: &RecordError{Line: line, Offset: offset, Err: err}})
}

// open looks for compression.
func (r *Reader) open() error {
	r.opened = true
	for range 3 { // compressed twice happens; for ever does not
		head, err := r.in.Peek(4)
		switch {
		case len(head) >= 2 && head[0] == 0x1f && head[1] == 0x8b:
			z, err := gzip.NewReader(r.in)
			if err != nil {
				return fmt.Errorf("reading gzip: %w", err)
			}
			r.in = bufio.NewReaderSize(&named{"gzip", z}, 256<<10)
		case len(head) == 4 && bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
			z, err := zstd.NewReader(r.in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
			if err != nil {
				return fmt.Errorf("reading zstd: %w", err)
			}
			r.in = bufio.NewReaderSize(&named{"zstd", z.IOReadCloser()}, 256<<10)
		default:
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			return nil
		}
	}
	return nil
}

// named says in its errors what could not be decompressed.
type named struct {
	what string
	r    io.Reader
}

func (n *named) Read(p []byte) (int, error) {
	k, err := n.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("reading %s: %w", n.what, &cutShort{err})
	}
	return k, err
}

// cutShort is an error that must not pass for the end of the file, whatever it
// wraps.
type cutShort struct{ err error }

func (e *cutShort) Error() string { return e.err.Error() }

// read reads one record into the queue, or notes a part of one.
func (r *Reader) read() error {
	if !r.opened {
		if err := r.open(); err != nil {
			return err
		}
		if bom, _ := r.in.Peek(3); bytes.Equal(bom, []byte{0xef, 0xbb, 0xbf}) {
			r.skip(3)
		}
	}
	if r.page != nil {
		return r.readElement()
	}
	head, err := r.in.Peek(1)
	if err != nil {
		return err
	}
	switch head[0] {
	case ' ', '\t', '\r', '\n':
		if r.pending != nil {
			return r.readLine()
		}
		r.skip(1)
		return nil
	case '{':
		if r.pending == nil || r.startsDocument() {
			return r.readObject()
		}
	case '[':
		if r.startsArray() {
			r.flush()
			r.skip(1)
			r.page = &page{group: r.defaults, array: true}
			return nil
		}
	}
	return r.readLine()
}

// skip drops n bytes that were peeked.
func (r *Reader) skip(n int) {
	for range n {
		c, err := r.in.ReadByte()
		if err != nil {
			return
		}
		r.count(c)
	}
}

func (r *Reader) count(c byte) {
	r.offset++
	if c == '\n' {
		r.line++
	}
}

// documentKeys begin the objects that hold events, and events.
var documentKeys = [...]string{
	"events", "logEvents", "searchedLogStreams", "nextForwardToken", "nextBackwardToken", "nextToken", "messageType",
	"message", "timestamp", "eventId", "id", "logStreamName", "logStream", "logGroup", "logGroupName", "log_group",
	"ingestionTime", "owner", "@message", "@timestamp",
}

// startsDocument reports whether the object that follows is a record of its own
// rather than a line of the message before it.
func (r *Reader) startsDocument() bool {
	head, _ := r.in.Peek(512)
	rest := bytes.TrimLeft(head[1:], " \t\r\n")
	if len(rest) == 0 || rest[0] != '"' {
		return false
	}
	name, after, ok := bytes.Cut(rest[1:], []byte{'"'})
	if !ok || len(bytes.TrimLeft(after, " ")) == 0 || bytes.TrimLeft(after, " ")[0] != ':' {
		return false
	}
	for _, key := range documentKeys {
		if string(name) == key {
			return true
		}
	}
	if r.pending.stamped {
		return false
	}
	// A bare access record among bare lines.
	line, _, _ := bytes.Cut(head, []byte{'\n'})
	return bytes.Contains(line, []byte(`equestId"`)) || bytes.Contains(line, []byte(`equest_id"`))
}

// startsArray reports whether an array of events follows.
func (r *Reader) startsArray() bool {
	head, _ := r.in.Peek(512)
	rest := bytes.TrimLeft(head[1:], " \t\r\n")
	return len(rest) > 0 && (rest[0] == '{' || rest[0] == ']' && r.pending == nil)
}
