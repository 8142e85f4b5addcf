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
	s.restore(1_000, []uint64{7})
	if fresh, first := s.add(1_000, 7); fresh || !first {
		t.Error("a digest of the saved state was taken as new")
	}
	for ts := int64(0); ts < 300_000; ts += 1000 {
		if fresh, first := s.add(ts, uint64(1000+ts)); !fresh || !first {
			t.Fatalf("the event at %d was taken as seen", ts)
		}
	}
	s.forget(130_000)
	for ts := int64(120_000); ts < 300_000; ts += 1000 {
		if fresh, first := s.add(ts, uint64(1000+ts)); fresh || first {
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

func TestPrintsKnowTheirDigests(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		digests := rapid.SliceOf(rapid.Uint64()).Draw(rt, "digests")
		p := newPrints(digests)
		for _, d := range digests {
			if !p.has(d) {
				rt.Fatalf("%d is not found", d)
			}
		}
		if p.len() > len(digests) {
			rt.Fatalf("%d of %d digests", p.len(), len(digests))
		}
	})
	const n = 200_000
	digests := make([]uint64, n)
	for i := range digests {
		digests[i] = rand.Uint64()
	}
	p := newPrints(digests)
	false64 := 0
	for range n {
		if p.has(rand.Uint64()) {
			false64++
		}
	}
	if false64 > 2 {
		t.Errorf("%d of %d digests seem to be there", false64, n)
	}
	if perEvent := 4 * float64(len(p)) / n; perEvent > 4.7 {
		t.Errorf("%.2f bytes a digest", perEvent)
	}
	for i := range p {
		p[i] = 7 // a set that was damaged has no free place
	}
	p.has(1)
}

func TestSeenAges(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var s seen
		times := rapid.SliceOfN(rapid.Int64Range(0, 600_000), 1, 300).Draw(rt, "timestamps")
		for i, ts := range times {
			s.add(ts, uint64(i+1)<<20)
		}
		before := floorMinute(rapid.Int64Range(0, 700_000).Draw(rt, "aged before"))
		var restored seen
		for _, a := range s.age(before) {
			if a.Minute >= before {
				rt.Fatalf("minute %d was aged", a.Minute)
			}
			restored.keepAged(&a)
		}
		for i, ts := range times {
			if !s.has(ts, uint64(i+1)<<20) {
				rt.Fatalf("the event at %d was forgotten", ts)
			}
			if fresh, first := s.add(ts, uint64(i+1)<<20); fresh || first {
				rt.Fatalf("the event at %d was taken as new", ts)
			}
			if restored.has(ts, uint64(i+1)<<20) != (ts < before) {
				rt.Fatalf("what is saved of minute %d is wrong", floorMinute(ts))
			}
		}
		if s.agedLen != restored.agedLen {
			rt.Fatalf("%d aged, %d restored", s.agedLen, restored.agedLen)
		}
		s.forgetAged(before)
		if s.agedLen != 0 {
			rt.Fatalf("%d aged digests are left", s.agedLen)
		}
	})
}
