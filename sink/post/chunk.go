package post

import (
	"context"
	"errors"
	"log/slog"

	"github.com/gatehouse-project/gatehouse/deadletter"
)

// noBoxError is returned for a call that is refused for good where there is
// nowhere to put it.
type noBoxError struct{ said string }

func (e *noBoxError) Error() string {
	return "a call is refused for good, and there is no store for dead letters: " + e.said
}

// Mend says how to get such a store.
func (*noBoxError) Mend() string {
	return "keep the state in SQLite (--state sqlite:PATH), which has room for dead letters"
}

// errSome is returned when the endpoint took a part and wants the rest later.
var errSome = errors.New("the endpoint took a part of the batch and asks for the rest later")

// deliverChunk sends a chunk until each of its transactions is accepted, a dead
// letter, or has to wait; then it returns why.
func (s *Sink) deliverChunk(ctx context.Context, c chunk) error {
	if len(c.items) == 0 {
		return nil
	}
	s.body = s.config.Form.AppendBody(s.body[:0], c.transactions, c.items)
	a, err := s.exchange(ctx, s.body)
	if err != nil {
		return err
	}
	class := s.config.Form.Class(a.status)
	switch class {
	case Accepted:
		return s.accepted(ctx, c, a)
	case TooLarge:
		if len(c.items) == 1 {
			return s.bury(ctx, c, deadletter.TooLarge, s.refusal(a).Error())
		}
		s.smaller(ctx, c)
		return s.halves(ctx, c)
	case Content:
		return s.refused(ctx, c, a)
	case Never:
		return s.bury(ctx, c, deadletter.Refused, s.refusal(a).Error())
	default:
		return s.refusal(a)
	}
}

// accepted sees to what an answer says of single calls of a batch that was
// taken.
func (s *Sink) accepted(ctx context.Context, c chunk, a *answer) error {
	v := s.config.Form.Answer(a.status, a.body, c.transactions)
	rejected := named(v, len(c.items))
	switch {
	case len(rejected) == 0 && !v.Unnamed:
		s.take(c)
		// Grown slowly: the calls that are refused unnamed seldom come alone.
		s.batchCount = min(2*s.batchCount, s.config.BatchCount)
		return nil
	case v.Unnamed && len(c.items) == 1:
		return s.bury(ctx, c, deadletter.Refused, v.Message)
	case v.Unnamed && !s.config.Form.Resend():
		s.batchCount = max(1, len(c.items)/2)
		return s.bury(ctx, c, deadletter.Unclear, v.Message)
	case v.Unnamed:
		// Those that were accepted are accepted again, under the same ids.
		return s.halves(ctx, c)
	}
	later := false
	for i := range c.items {
		r, ok := rejected[i]
		one := c.part(i, i+1)
		switch {
		case !ok:
			s.take(one)
		case r.Retry:
			later = true
		default:
			if err := s.bury(ctx, one, deadletter.Refused, r.Message); err != nil {
				return err
			}
		}
	}
	if later {
		return &statusError{status: a.status, text: errSome.Error(), after: a.after}
	}
	return nil
}

// refused sees to a batch of which nothing was taken, for something in it.
func (s *Sink) refused(ctx context.Context, c chunk, a *answer) error {
	if len(c.items) == 1 {
		return s.bury(ctx, c, deadletter.Refused, s.refusal(a).Error())
	}
	v := s.config.Form.Answer(a.status, a.body, c.transactions)
	rejected := named(v, len(c.items))
	if len(rejected) == 0 || v.Unnamed {
		return s.halves(ctx, c)
	}
	var rest chunk
	for i := range c.items {
		one := c.part(i, i+1)
		if r, ok := rejected[i]; ok && !r.Retry {
			if err := s.bury(ctx, one, deadletter.Refused, r.Message); err != nil {
				return err
			}
			continue
		}
		rest.transactions, rest.items, rest.bytes = append(rest.transactions, one.transactions...), append(rest.items, one.items...), rest.bytes+one.bytes
	}
	if len(rest.items) == len(c.items) {
		// All that it names may be sent again: later, or it would be for ever.
		return &statusError{status: a.status, text: errSome.Error(), after: a.after}
	}
	return s.deliverChunk(ctx, rest)
}

// named gives the rejections by index.
func named(v Verdict, n int) map[int]Rejection {
	if len(v.Rejected) == 0 {
		return nil
	}
	m := make(map[int]Rejection, len(v.Rejected))
	for _, r := range v.Rejected {
		if r.Index >= 0 && r.Index < n {
			m[r.Index] = r
		}
	}
	return m
}

// halves sends the two halves of a chunk, in order.
func (s *Sink) halves(ctx context.Context, c chunk) error {
	middle := len(c.items) / 2
	if err := s.deliverChunk(ctx, c.part(0, middle)); err != nil {
		return err
	}
	return s.deliverChunk(ctx, c.part(middle, len(c.items)))
}

// smaller remembers that the endpoint takes less than a chunk at a time.
func (s *Sink) smaller(ctx context.Context, c chunk) {
	size := max(c.bytes/2, minBatchBytes)
	if size >= s.batchBytes {
		return
	}
	s.batchBytes = size
	s.log.WarnContext(ctx, "batch_bytes is more than the endpoint takes: lowered",
		slog.String("sink", s.name), slog.Int("batch_bytes", size))
}

// take notes that a chunk was accepted. The failures before it are no longer in
// a row: an endpoint that is slow now and then must not be asked ever less.
func (s *Sink) take(c chunk) {
	s.failures = 0
	s.metrics.accepted.Add(float64(len(c.items)))
	for _, t := range c.transactions {
		s.through[t] = struct{}{}
	}
}

// bury puts a chunk into the dead letters.
func (s *Sink) bury(ctx context.Context, c chunk, reason deadletter.Reason, message string) error {
	message = s.quote(message)
	if s.config.DeadLetters == nil {
		return &noBoxError{message}
	}
	refusals := make([]deadletter.Refusal, 0, len(c.items))
	for _, t := range c.transactions {
		refusals = append(refusals, deadletter.Refusal{Transaction: t, Reason: reason, Message: message})
	}
	if err := s.config.DeadLetters.Put(ctx, refusals); err != nil {
		return err
	}
	s.metrics.refused.Add(float64(len(c.items)))
	for _, t := range c.transactions {
		s.through[t] = struct{}{}
	}
	return nil
}
