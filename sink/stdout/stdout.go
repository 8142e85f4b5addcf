// Package stdout delivers transactions to a stream as NDJSON, one line each.
package stdout

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// flushAt is how many bytes of lines are gathered before they are written.
const flushAt = 64 << 10

// Sink writes to a stream. A stream has no memory: what was written is
// delivered, and a crash before the next commit repeats it.
type Sink struct {
	out    io.Writer
	buffer []byte
	torn   bool // the stream ends in the middle of a line
	closed atomic.Bool
}

var _ collect.Sink = (*Sink)(nil)

// New makes a Sink that writes to out. Close does not close out.
func New(out io.Writer) *Sink { return &Sink{out: out} }

// Name is stdout.
func (s *Sink) Name() string { return "stdout" }

// Position is empty: nothing can be taken back.
func (s *Sink) Position() string { return "" }

// Restore does nothing.
func (s *Sink) Restore(context.Context, string) error { return nil }

// Deliver writes one line a transaction and returns when out has taken all.
func (s *Sink) Deliver(ctx context.Context, batch []*transaction.Transaction) error {
	if s.closed.Load() {
		return errors.New("stdout sink: deliver after close")
	}
	s.buffer = s.buffer[:0]
	if s.torn {
		s.buffer = append(s.buffer, '\n') // so that the next line is whole again
	}
	for _, t := range batch {
		s.buffer = append(t.AppendJSON(s.buffer), '\n')
		if len(s.buffer) >= flushAt {
			if err := s.flush(ctx); err != nil {
				return err
			}
		}
	}
	return s.flush(ctx)
}

func (s *Sink) flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("writing to standard output: %w", err)
	}
	if len(s.buffer) == 0 {
		return nil
	}
	n, err := s.out.Write(s.buffer)
	if n > 0 {
		s.torn = s.buffer[n-1] != '\n'
	}
	s.buffer = s.buffer[:0]
	if err != nil {
		return fmt.Errorf("writing to standard output: %w", err)
	}
	return nil
}

// Close ends the use of the sink.
func (s *Sink) Close(context.Context) error {
	s.closed.Store(true)
	return nil
}
