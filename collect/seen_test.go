package collect

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

func TestDigestSetIsASet(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		// Few values, so that they meet; 0 and 1 stand for the same.
		digests := rapid.SliceOf(rapid.Uint64Range(1, 400)).Draw(rt, "digests")
		var set digestSet
		model := map[uint64]bool{}
		for _, d := range digests {
			if got, want := set.has(d), model[d]; got != want {
				rt.Fatalf("has(%d) = %v, want %v", d, got, want)
			}
			if got, want := set.add(d), !model[d]; got != want {
				rt.Fatalf("add(%d) = %v, want %v", d, got, want)
			}
			model[d] = true
		}
		if set.len != len(model) {
			rt.Fatalf("%d digests, want %d", set.len, len(model))
		}
	})
}

func TestSeenForgetsOnlyWhatIsOld(t *testing.T) {
	t.Parallel()
	var s seen
	s.restore(120_000, []uint64{7})
	if s.add(1_000, 7) {
		t.Error("a digest of the saved state was taken as new")
	}
	for ts := int64(0); ts < 300_000; ts += 1000 {
		if !s.add(ts, uint64(1000+ts)) {
			t.Fatalf("the event at %d was taken as seen", ts)
		}
	}
	s.forget(130_000)
	for ts := int64(120_000); ts < 300_000; ts += 1000 {
		if s.add(ts, uint64(1000+ts)) {
			t.Errorf("the event at %d, not before the cursor, was forgotten", ts)
		}
	}
	if got := s.size(); got != 180 {
		t.Errorf("%d digests are kept, want those of the last three minutes, 180", got)
	}
}

func TestDigestsTakeBoundedMemory(t *testing.T) {
	t.Parallel()
	var s seen
	const n = 1_000_000
	for i := range n {
		s.add(int64(i/1000), rand.Uint64())
	}
	perEvent := float64(s.bytes()) / n
	if perEvent > 22 {
		t.Errorf("%.1f bytes an event, want at most 22", perEvent)
	}
	t.Logf("%.1f bytes an event", perEvent)
}
