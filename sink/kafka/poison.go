package kafka

import (
	"context"
	"errors"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// bodyLimits are the sizes, in bytes of each body, that a record is cut to, one
// after the other, until the brokers take it. After the last one comes the
// record without headers, query and bodies.
var bodyLimits = [...]int{256 << 10, 32 << 10, 1 << 10}

// minBatchBytes is as low as the sink goes on its own with BatchBytes.
const minBatchBytes = 16 << 10

// rescue sends one by one the transactions of a chunk that the brokers refused
// for what they are, in order. A batch is refused as a whole, for its size or
// for one of its records, so each gets its own chance first; one that was
// refused on its own has had it.
func (s *Sink) rescue(ctx context.Context, refused []*transaction.Transaction, refusal error, done func(*transaction.Transaction)) error {
	if len(refused) > 1 {
		refusal = nil
	}
	cut := false
	for _, t := range refused {
		shrunk, err := s.sendAlone(ctx, t, refusal)
		if err != nil {
			return err
		}
		done(t)
		cut = cut || shrunk
	}
	if !cut && len(refused) > 1 && s.batchBytes > minBatchBytes {
		// Each fits and all together do not.
		s.batchBytes = max(s.batchBytes/2, minBatchBytes)
		s.config.Logger.Warn("kafka sink: batch_bytes is more than the brokers take: halved",
			"sink", s.name, "batch_bytes", s.batchBytes,
			"mend", "lower batch_bytes or raise max.message.bytes of the topic")
	}
	return nil
}

// sendAlone sends t in a chunk of its own, unless refusal says what came of
// that, then, as long as it is refused, smaller and smaller. It reports whether
// t was cut. A record that is refused in every form becomes a dead letter, whole:
// the pipeline must not stand still behind it for ever.
func (s *Sink) sendAlone(ctx context.Context, t *transaction.Transaction, refusal error) (cut bool, err error) {
	for step := -1; step <= len(bodyLimits); step++ {
		form, action := t, ""
		switch {
		case step < 0:
			if refusal != nil {
				continue
			}
		case step < len(bodyLimits):
			form, action = shrink(t, bodyLimits[step]), actionShrunk
			if form == nil {
				continue
			}
		default:
			form, action = metadataOnly(t), actionMetadata
		}
		err := s.sendForm(ctx, t, form)
		if err == nil {
			if action != "" {
				s.note(t, action, refusal)
			}
			return action != "", nil
		}
		if c, _ := classify(err, s.config.Topic); c != classPoisoned {
			return false, err
		}
		refusal = err
	}
	if s.config.DeadLetters == nil {
		return false, &noBoxError{refusal}
	}
	reason := deadletter.Refused
	if errors.Is(refusal, kerr.MessageTooLarge) || errors.Is(refusal, kerr.RecordListTooLarge) {
		reason = deadletter.TooLarge
	}
	err = s.config.DeadLetters.Put(ctx, []deadletter.Refusal{{Transaction: t, Reason: reason, Message: refusal.Error()}})
	if err != nil {
		return false, err
	}
	s.note(t, actionDeadLetter, refusal)
	return true, nil
}

// noBoxError is a record that the brokers refuse in every form where there is
// nowhere to put it.
type noBoxError struct{ err error }

func (e *noBoxError) Error() string {
	return "a record is refused in every form, and there is no store for dead letters: " + e.err.Error()
}

// Mend says how to get such a store.
func (*noBoxError) Mend() string {
	return "keep the state in SQLite (--state sqlite:PATH), which has room for dead letters"
}

// sendForm sends form in the name of t.
func (s *Sink) sendForm(ctx context.Context, t, form *transaction.Transaction) error {
	s.begin()
	if !s.add(t, form) {
		return nil // has no form on this topic, and was counted as such
	}
	if err := s.send(ctx); err != nil {
		return err
	}
	return errors.Join(s.settled.errs...)
}

// note counts and logs what became of a refused record, without its content.
func (s *Sink) note(t *transaction.Transaction, action string, err error) {
	s.metrics.poisoned.WithLabelValues(action).Inc()
	s.config.Logger.Warn("kafka sink: the brokers refused a record",
		"sink", s.name, "action", action, "transaction", t.ID, "error", err)
}

// shrink returns t with bodies of at most limit bytes, marked as truncated, or
// nil if they are no longer than that.
func shrink(t *transaction.Transaction, limit int) *transaction.Transaction {
	long := func(body string) bool { return len(body) > limit }
	if (t.Request == nil || !long(t.Request.Body)) && (t.Response == nil || !long(t.Response.Body)) {
		return nil
	}
	form := *t
	if t.Request != nil && long(t.Request.Body) {
		r := *t.Request
		r.Body, r.Truncated = cutText(r.Body, limit), true
		form.Request = &r
	}
	if t.Response != nil && long(t.Response.Body) {
		r := *t.Response
		r.Body, r.Truncated = cutText(r.Body, limit), true
		form.Response = &r
	}
	form.Visibility = transaction.Truncated
	return &form
}

// metadataOnly returns t without headers, query and bodies: what was called,
// by whom, and what came of it.
func metadataOnly(t *transaction.Transaction) *transaction.Transaction {
	form := *t
	form.Query = nil
	if t.Request != nil {
		form.Request = &transaction.Request{Truncated: true}
	}
	if t.Response != nil {
		form.Response = &transaction.Response{Status: t.Response.Status, Truncated: true}
	}
	if t.Error != nil {
		form.Error = &transaction.Error{Type: t.Error.Type, Message: cutText(t.Error.Message, 256)}
	}
	form.Path = cutText(t.Path, 2048)
	form.UserAgent = cutText(t.UserAgent, 256)
	form.Visibility = transaction.Truncated
	return &form
}

// cutText returns at most limit bytes of s, not ending within a character.
func cutText(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}
