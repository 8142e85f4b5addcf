package audit

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"
)

// Fault is in which way a log is broken.
type Fault string

// Faults.
const (
	// Unreadable is a line that is not the canonical encoding of an event.
	Unreadable Fault = "unreadable"
	// Changed is an event whose hash is not that of what it says.
	Changed Fault = "changed"
	// Unchained is an event that does not follow the one before it, although its
	// number does.
	Unchained Fault = "unchained"
	// Missing is a gap in the numbers.
	Missing Fault = "missing"
	// Doubled is a number that came before.
	Doubled Fault = "doubled"
	// Reordered is an event that comes after a later one.
	Reordered Fault = "reordered"
	// Truncated is a log that ends before a head that was noted.
	Truncated Fault = "truncated"
	// Rewritten is a log whose event has another hash than was noted.
	Rewritten Fault = "rewritten"
)

// BreakError is the first place where a log is broken.
type BreakError struct {
	Fault Fault
	// Seq is the number of the event that is wrong or missing.
	Seq uint64
	// Line is its line in the file, or where it should have been; 0 in a store.
	Line int64
	// Want and Got are what was expected and what is there.
	Want, Got string
}

// Error says where the log is broken, in which way, and what was expected.
func (e *BreakError) Error() string {
	where := fmt.Sprintf("event %d", e.Seq)
	if e.Line > 0 {
		where += fmt.Sprintf(" (line %d)", e.Line)
	}
	return fmt.Sprintf("the audit log is broken at %s: %s: expected %s, found %s", where, e.Fault, e.Want, e.Got)
}

// Mend says what to do.
func (e *BreakError) Mend() string {
	if e.Fault == Unreadable {
		return "verify the file exactly as 'gatehouse audit export' wrote it; if it is, treat this as tampering: keep the file and the store as they are and compare them with a backup"
	}
	return "treat this as tampering or a damaged disk: keep the store and its backups as they are, and compare their exports from this event on"
}

// Notice is something odd that is no break.
type Notice struct {
	Seq  uint64
	Text string
}

// maxNotices bounds those that are kept; all are counted.
const maxNotices = 100

// Report is what was verified.
type Report struct {
	// Events is how many events were verified, First the number of the first of them.
	Events, First uint64
	// Last is the newest event that was verified.
	Last Head
	// Notices are the first hundred of NoticeCount.
	Notices     []Notice
	NoticeCount int
}

// VerifyOptions say what is known beside the log.
type VerifyOptions struct {
	// After is the event that the first line follows; zero: the log begins at its
	// first event.
	After Head
	// Heads were noted in another place. The log must reach each of them and have its
	// hash.
	Heads []Head
}

// Verifier takes the lines of a log one by one, and keeps none of them.
type Verifier struct {
	options VerifyOptions
	report  Report
	last    Head
	time    time.Time
	broken  *BreakError
	files   bool // lines have numbers
	line    int64
}

// NewVerifier makes a Verifier.
func NewVerifier(o VerifyOptions) *Verifier {
	return &Verifier{options: o, last: o.After}
}

// Line takes the next line, without its end. It returns the first break, a
// *BreakError, from then on always.
func (v *Verifier) Line(line []byte) error {
	v.line++
	if v.broken != nil {
		v.lookFor(line)
		return v.broken
	}
	if b := v.check(line); b != nil {
		if v.files {
			b.Line = v.line
		}
		v.broken = b
		return b
	}
	return nil
}

func (v *Verifier) check(line []byte) *BreakError {
	next := v.last.Seq + 1
	e, body, err := decode(line)
	if err != nil {
		return &BreakError{Fault: Unreadable, Seq: next, Want: fmt.Sprintf("event %d in its canonical encoding", next), Got: err.Error()}
	}
	if hash := Hash(sha256.Sum256(body)); hash != e.Hash {
		return &BreakError{Fault: Changed, Seq: e.Seq, Want: "the hash " + hash.String() + " of what it says", Got: e.Hash.String()}
	}
	switch {
	case e.Seq < next:
		return &BreakError{Fault: Doubled, Seq: e.Seq, Want: fmt.Sprintf("event %d", next), Got: fmt.Sprintf("event %d, which came before", e.Seq)}
	case e.Seq > next:
		return &BreakError{Fault: Missing, Seq: next, Want: fmt.Sprintf("event %d", next), Got: fmt.Sprintf("event %d", e.Seq)}
	case e.Prev != v.last.Hash:
		return &BreakError{
			Fault: Unchained, Seq: e.Seq, Want: fmt.Sprintf("%s, the hash of event %d, as its prev", v.last.Hash, v.last.Seq), Got: e.Prev.String(),
		}
	}
	for _, h := range v.options.Heads {
		if h.Seq == e.Seq && h.Hash != e.Hash {
			return &BreakError{Fault: Rewritten, Seq: e.Seq, Want: h.Hash.String() + ", which was noted", Got: e.Hash.String()}
		}
	}
	if e.Time.Before(v.time) {
		v.notice(e.Seq, fmt.Sprintf("its time %s is %s before that of the event before: the clock was set back, or two machines write with clocks apart",
			e.Time.Format(time.RFC3339Nano), v.time.Sub(e.Time)))
	}
	v.time, v.last = e.Time, Head{Seq: e.Seq, Hash: e.Hash}
	if v.report.Events == 0 {
		v.report.First = e.Seq
	}
	v.report.Events++
	return nil
}

// lookFor finds out whether an event that was missing at its place stands further down.
func (v *Verifier) lookFor(line []byte) {
	if v.broken.Fault != Missing {
		return
	}
	if e, err := Decode(line); err == nil && e.Seq == v.broken.Seq {
		v.broken.Fault = Reordered
		v.broken.Got += fmt.Sprintf("; event %d stands further down", e.Seq)
	}
}

func (v *Verifier) notice(seq uint64, text string) {
	v.report.NoticeCount++
	if len(v.report.Notices) < maxNotices {
		v.report.Notices = append(v.report.Notices, Notice{Seq: seq, Text: text})
	}
}

// End returns what was verified. The error is the first break: one that Line returned,
// or a head that the log does not reach.
func (v *Verifier) End() (Report, error) {
	v.report.Last = v.last
	if v.broken != nil {
		return v.report, v.broken
	}
	for _, h := range v.options.Heads {
		switch {
		case h.Seq > v.last.Seq:
			return v.report, &BreakError{
				Fault: Truncated, Seq: v.last.Seq + 1, Want: fmt.Sprintf("events up to %d, which was noted", h.Seq), Got: fmt.Sprintf("the end after event %d", v.last.Seq),
			}
		case h.Seq == v.options.After.Seq && h.Hash != v.options.After.Hash:
			return v.report, &BreakError{Fault: Rewritten, Seq: h.Seq, Want: h.Hash.String() + ", which was noted", Got: v.options.After.Hash.String()}
		}
	}
	return v.report, nil
}

// VerifyFile verifies an export, a line an event. Beside a *BreakError it returns the
// errors of r and of ctx.
func VerifyFile(ctx context.Context, r io.Reader, o VerifyOptions) (Report, error) {
	v := NewVerifier(o)
	v.files = true
	b := bufio.NewReaderSize(r, 64<<10)
	var long []byte
	for {
		line, err := b.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) && len(long) <= maxLine {
			long = append(long, line...)
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return v.report, fmt.Errorf("reading the audit log after event %d: %w", v.last.Seq, err)
		}
		if len(long) > 0 {
			long = append(long, line...)
			line = long
		}
		end := errors.Is(err, io.EOF)
		if n := len(line); n > 0 && line[n-1] == '\n' {
			line = line[:n-1]
		} else if n == 0 && end {
			return v.End()
		}
		// After a gap the rest tells only whether it is a gap or another order.
		if broken, ok := errors.AsType[*BreakError](v.Line(line)); ok && broken.Fault != Missing {
			return v.End()
		}
		if end {
			return v.End()
		}
		if v.line%1024 == 0 && ctx.Err() != nil {
			return v.report, ctx.Err()
		}
		long = long[:0]
	}
}

// VerifyStore verifies the log of a store. progress, if not nil, is told the number of
// an event now and then.
func VerifyStore(ctx context.Context, r Reader, o VerifyOptions, progress func(seq uint64)) (Report, error) {
	v := NewVerifier(o)
	err := r.AuditLines(ctx, o.After.Seq, func(line []byte) error {
		if broken, ok := errors.AsType[*BreakError](v.Line(line)); ok && broken.Fault != Missing {
			return broken
		}
		if progress != nil && v.line%4096 == 0 {
			progress(v.last.Seq)
		}
		return nil
	})
	if _, ok := errors.AsType[*BreakError](err); err != nil && !ok {
		return v.report, fmt.Errorf("reading the audit log after event %d: %w", v.last.Seq, err)
	}
	return v.End()
}
