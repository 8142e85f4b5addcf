package plant

import (
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// TestNothingPlantedComesOut reads all planted calls, and looks for the secrets in
// what would be stored and sent, and in its bodies once they are decoded.
func TestNothingPlantedComesOut(t *testing.T) {
	t.Parallel()
	a := transaction.NewAssembler(transaction.Options{})
	var calls []*transaction.Call
	events := 0
	for _, b := range Batches(1_767_225_600_000) {
		f := a.Feed(b.Group)
		for i := range b.Events {
			events++
			if d := f.Add(&b.Events[i]); d.Outcome != transaction.Held {
				t.Errorf("%s: %v", b.Events[i].Message, d)
			}
		}
	}
	a.Flush()
	calls = a.Take(calls)
	seen := 0
	for _, c := range calls {
		tx := c.Transaction
		seen += tx.Log.Events
		texts := []string{string(tx.AppendJSON(nil))}
		for _, m := range []*transaction.Request{tx.Request} {
			if m != nil {
				texts = append(texts, m.Decoded().Text)
			}
		}
		if tx.Response != nil {
			texts = append(texts, tx.Response.Decoded().Text)
		}
		for _, text := range texts {
			for _, mark := range Marks() {
				if i := strings.Index(text, mark); i >= 0 {
					t.Errorf("%s came out: …%s…", mark, text[max(0, i-200):min(len(text), i+80)])
				}
			}
		}
	}
	if seen != events || len(calls) < 1000 {
		t.Errorf("%d calls of %d events, of %d", len(calls), seen, events)
	}
}
