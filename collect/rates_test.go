package collect

import (
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

func callsAt(at time.Time, n int, v transaction.Visibility) []*transaction.Transaction {
	out := make([]*transaction.Transaction, n)
	for i := range out {
		out[i] = &transaction.Transaction{Time: transaction.Time(at.UnixMilli()), Visibility: v}
	}
	return out
}

// A minute of catching up on an hour shows the traffic of a minute, not of an
// hour.
func TestRatesAreOfLogTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	var r rates
	for s := time.Hour; s > 0; s -= time.Second {
		r.add(now, callsAt(now.Add(-s), 10, transaction.Full))
	}
	if got := r.perSecond(now)[transaction.Full]; got < 9.5 || got > 10.5 {
		t.Errorf("%g calls a second, want 10", got)
	}
	if got := r.perSecond(now.Add(time.Hour)); len(got) != 0 {
		t.Errorf("an hour after the last call: %v", got)
	}
	r.add(now, callsAt(now.Add(24*time.Hour), 1, transaction.Full))
	if got := r.perSecond(now)[transaction.Full]; got < 9.5 {
		t.Errorf("a call from the future hides the others: %g a second", got)
	}
}
