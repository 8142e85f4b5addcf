package deadletter

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"unicode"

	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	maxMessage = 512
	maxPath    = 256
)

// Refusal is a call that a place refused for good.
type Refusal struct {
	Transaction *transaction.Transaction
	Reason      Reason
	// Message is what the place said. It is text from elsewhere: it is cut and
	// freed of control characters before it is kept.
	Message string
}

// Box takes what one sink's place refused for good.
type Box interface {
	// Put returns nil when all refusals are where they survive a crash. The same
	// transaction may be put again. A sink that gets an error must not
	// acknowledge the batch.
	Put(ctx context.Context, refusals []Refusal) error
}

// box is the Box of one sink.
type box struct {
	keeper *Keeper
	sink   string
}

var _ Box = (*box)(nil)

// Put commits the refusals.
func (b *box) Put(ctx context.Context, refusals []Refusal) error {
	if len(refusals) == 0 {
		return nil
	}
	k := b.keeper
	now := k.now()
	letters := make([]Letter, 0, len(refusals))
	for _, r := range refusals {
		body := r.Transaction.AppendJSON(nil)
		letters = append(letters, Letter{
			Sink: b.sink, TransactionID: r.Transaction.ID, Reason: r.Reason, Message: clean(r.Message, maxMessage),
			Refused: now, Size: int64(len(body)), Summary: summarize(r.Transaction), Transaction: body,
		})
	}
	if err := k.store.PutLetters(ctx, letters, k.limits); err != nil {
		return fmt.Errorf("keeping %d refused calls as dead letters: %w", len(letters), err)
	}
	for _, l := range letters {
		k.metrics.refused(b.sink, l.Reason)
	}
	// One line a batch: a place that refuses everything must not flood the log.
	// What it said stays out: it may quote the call.
	k.log.WarnContext(ctx, "a sink refused calls for good; they wait as dead letters",
		slog.String("sink", b.sink), slog.Int("calls", len(letters)), slog.String("reason", string(letters[0].Reason)),
		slog.String("first", letters[0].TransactionID))
	return nil
}

func summarize(t *transaction.Transaction) Summary {
	s := Summary{
		Account: t.Account, Region: t.Region, APIID: t.APIID, APIType: t.APIType, Stage: t.Stage,
		Time: t.Time, Method: t.Method, Path: clean(t.Path, maxPath),
	}
	if t.Response != nil {
		s.Status = t.Response.Status
	}
	return s
}

// clean makes text of others fit to be shown: one line, no control characters,
// at most limit bytes.
func clean(s string, limit int) string {
	s = s[:min(len(s), limit)] // a character that this cuts is dropped with what else is not UTF-8
	s = strings.ToValidUTF8(s, "")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.In(r, unicode.Cf):
			return -1
		}
		return r
	}, s))
}
