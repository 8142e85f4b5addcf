package transaction

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestDueQueue holds the queue against sorting.
func TestDueQueue(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var q dueQueue
		var in []*openCall
		seq := uint64(0)
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			switch what := rapid.IntRange(0, 6).Draw(t, "what"); {
			case what < 3 || len(in) == 0:
				seq++
				c := &openCall{seq: seq}
				// Mostly in order, as calls come.
				q.set(c, int64(seq)/3+rapid.Int64Range(-2, 4).Draw(t, "due"))
				in = append(in, c)
			case what == 3:
				c := rapid.SampledFrom(in).Draw(t, "moved")
				q.set(c, c.due+rapid.Int64Range(-9, 9).Draw(t, "by"))
			case what == 4:
				i := rapid.IntRange(0, len(in)-1).Draw(t, "removed")
				q.remove(in[i])
				in = slices.Delete(in, i, i+1)
			default:
				c := q.first()
				q.remove(c)
				for _, other := range in {
					if x := (&dueCall{other.due, other.seq, other}); x.before(&dueCall{c.due, c.seq, c}) {
						t.Fatalf("%d/%d came before %d/%d", c.due, c.seq, other.due, other.seq)
					}
				}
				in = slices.DeleteFunc(in, func(x *openCall) bool { return x == c })
			}
			if (q.first() == nil) != (len(in) == 0) {
				t.Fatalf("first is %v, %d are in", q.first(), len(in))
			}
		}
	})
}
