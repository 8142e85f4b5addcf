package record

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/inventory"
)

// A page goes on where the one before ended, whatever a route is called.
func TestCursorIsReadBack(t *testing.T) {
	t.Parallel()
	value := rapid.OneOf(
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) any { return string(b) }),
		rapid.Map(rapid.Int64(), func(n int64) any { return n }),
		rapid.Map(rapid.Float64Range(0.5, 1e6), func(f float64) any { return f + 0.25 }),
	)
	rapid.Check(t, func(t *rapid.T) {
		c := Cursor{Sort: "calls", Down: rapid.Bool().Draw(t, "down"), After: rapid.SliceOfN(value, 2, 2).Draw(t, "after")}
		got, err := ReadCursor(c.String(), c.Sort, c.Down, 2)
		for i, v := range c.After {
			if f, ok := v.(float64); ok && f == float64(int64(f)) {
				c.After[i] = int64(f) // what has no fraction is read as a whole number
			}
		}
		if err != nil || cmp.Diff(c, got) != "" {
			t.Fatalf("%v\n%s", err, cmp.Diff(c, got))
		}
	})
}

func FuzzReadCursor(f *testing.F) {
	f.Add(Cursor{Sort: "calls", After: []any{int64(1), "id"}}.String())
	f.Add("eyJzIjoiY2FsbHMiLCJhIjpbInh4eCIsInkiXX0")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := ReadCursor(text, "calls", false, 2); err != nil && !errors.Is(err, inventory.ErrInvalidQuery) || err == nil && len(c.After) != 2 {
			t.Errorf("%+v, %v", c, err)
		}
	})
}

func TestDigestsAndWordsAreReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		digests, words := rapid.SliceOf(rapid.Uint64()).Draw(t, "digests"), rapid.SliceOf(rapid.Uint32()).Draw(t, "words")
		if d := cmp.Diff(digests, ReadDigests(Digests(digests))); len(digests) > 0 && d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(words, ReadWords(Words(words))); len(words) > 0 && d != "" {
			t.Error(d)
		}
	})
	if ReadDigests([]byte{1, 2, 3}) != nil || ReadWords([]byte{1}) != nil {
		t.Error("a rest was read")
	}
}

// An estate that cannot be read has no successor, and is no error.
func TestEstateChanges(t *testing.T) {
	t.Parallel()
	now := &estate.Snapshot{Accounts: []estate.Account{{ID: "111122223333"}}}
	if got := EstateChanges(nil, now); got != nil {
		t.Errorf("after nothing: %+v", got)
	}
	if got := EstateChanges([]byte("of another form"), now); got != nil {
		t.Errorf("after what cannot be read: %+v", got)
	}
	saved, err := Estate(now)
	if err != nil {
		t.Fatal(err)
	}
	if got := EstateChanges(saved, now); len(got) != 0 {
		t.Errorf("after itself: %+v", got)
	}
	if back, err := ReadEstate(saved); err != nil || cmp.Diff(now, back) != "" {
		t.Errorf("read back: %v\n%s", err, cmp.Diff(now, back))
	}
}
