package sinktest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// wantAll compares as sets: where a part of a batch was taken first, the order
// is not that of the batch.
func (w *World) wantAll(t *testing.T, batch []*transaction.Transaction) {
	t.Helper()
	want, got := idsOf(batch), w.Delivered(t)
	slices.Sort(want)
	slices.Sort(got)
	if !w.Exact {
		got = slices.Compact(got)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("delivered (-want +got):\n%s", diff)
	}
}

func slowPlace(t *testing.T, w World) {
	if w.Slow == nil {
		t.Skip("this sink's place cannot be made slow")
	}
	s := w.open(t, "")
	all := Calls(0, 80)
	retry(t, s, all[:20])
	mend := w.Slow(t)
	retry(t, s, all[20:60])
	mend()
	retry(t, s, all[60:])
	w.want(t, all)
}

func halfAccepted(t *testing.T, w World) {
	if w.Half == nil {
		t.Skip("this sink's place takes all or nothing")
	}
	s := w.open(t, "")
	all := Calls(0, 80)
	retry(t, s, all[:20])
	mend := w.Half(t)
	taken := s.Deliver(t.Context(), all[20:60]) == nil
	for range 2 {
		if !taken {
			taken = s.Deliver(t.Context(), all[20:60]) == nil
		}
	}
	mend()
	if !taken {
		retry(t, s, all[20:60])
	}
	retry(t, s, all[60:])
	w.wantAll(t, all)
}

func answersAreLost(t *testing.T, w World) {
	if w.Mute == nil {
		t.Skip("this sink's place gives no answer that could be lost")
	}
	s := w.open(t, "")
	all := Calls(0, 60)
	retry(t, s, all[:20])
	mend := w.Mute(t)
	if err := s.Deliver(t.Context(), all[20:40]); err == nil {
		t.Error("nil although no answer came")
	}
	mend()
	retry(t, s, all[20:40])
	retry(t, s, all[40:])
	w.want(t, all)
}

// crashBeforeAnswer: the place has taken the batch and the process dies before
// it knows.
func crashBeforeAnswer(t *testing.T, w World) {
	if w.Mute == nil {
		t.Skip("this sink's place gives no answer that could be lost")
	}
	s := w.open(t, "")
	all := Calls(0, 60)
	retry(t, s, all[:20])
	position := s.Position()
	mend := w.Mute(t)
	if err := s.Deliver(t.Context(), all[20:40]); err == nil {
		t.Error("nil although no answer came")
	}
	if w.Kill != nil {
		w.Kill(t, s)
	}
	mend()
	s = w.open(t, position)
	retry(t, s, all[20:40])
	retry(t, s, all[40:])
	w.want(t, all)
}

// poisoned makes the place refuse some of n calls and returns the ids of these,
// sorted, and the other calls.
func (w *World) poisoned(t *testing.T, all []*transaction.Transaction) (refused []string, rest []*transaction.Transaction) {
	t.Helper()
	if w.Refuse == nil {
		t.Skip("this sink's place refuses nothing for good")
	}
	for i, c := range all {
		if i == 3 || i == 4 || i%17 == 9 || i == len(all)-1 {
			refused = append(refused, c.ID)
			continue
		}
		rest = append(rest, c)
	}
	slices.Sort(refused)
	w.Refuse(t, refused...)
	return refused, rest
}

// missing reports what of want is missing in got, both sorted.
func missing(want, got []string) []string {
	var out []string
	for _, id := range want {
		if _, ok := slices.BinarySearch(got, id); !ok {
			out = append(out, id)
		}
	}
	return out
}

// wantEach: each call is in the place or a dead letter, those that are refused
// are letters, and only they, but where the place does not say which of a batch
// it refused: then some that it has may be letters too.
func (w *World) wantEach(t *testing.T, all, rest []*transaction.Transaction, refused []string) {
	t.Helper()
	letters := w.Letters.IDs()
	if m := missing(refused, letters); m != nil {
		t.Errorf("refused for good and no dead letters: %v", m)
	}
	if w.Unclear {
		if m := missing(letters, sorted(idsOf(all))); m != nil {
			t.Errorf("dead letters of other calls: %v", m)
		}
	} else if diff := cmp.Diff(refused, letters); diff != "" {
		t.Errorf("dead letters (-want +got):\n%s", diff)
	}
	w.want(t, rest)
	byID := map[string]*transaction.Transaction{}
	for _, c := range all {
		byID[c.ID] = c
	}
	for _, r := range w.Letters.All() {
		if diff := cmp.Diff(byID[r.Transaction.ID], r.Transaction); diff != "" {
			t.Errorf("the transaction of a dead letter was changed (-want +got):\n%s", diff)
		}
		if r.Reason == "" || r.Message == "" {
			t.Errorf("the dead letter of %s does not say why: %+v", r.Transaction.ID, r)
		}
	}
}

func sorted(ids []string) []string {
	slices.Sort(ids)
	return ids
}

func refusedForGood(t *testing.T, w World) {
	all := Calls(0, 120)
	refused, rest := w.poisoned(t, all)
	s := w.open(t, "")
	for i := 0; i < len(all); i += 40 {
		retry(t, s, all[i:i+40])
	}
	w.wantEach(t, all, rest, refused)
}

// refusedAndCrashed: the process dies after the dead letters are kept and before
// the batch is committed, so that the batch comes again.
func refusedAndCrashed(t *testing.T, w World) {
	all := Calls(0, 120)
	refused, rest := w.poisoned(t, all)
	s := w.open(t, "")
	retry(t, s, all[:60])
	position := s.Position()
	retry(t, s, all[60:])
	if w.Kill != nil {
		w.Kill(t, s)
	}
	s = w.open(t, position)
	retry(t, s, all[60:])
	w.wantEach(t, all, rest, refused)
}

// noRoomForLetters: the batch is not acknowledged until what is refused can be
// kept.
func noRoomForLetters(t *testing.T, w World) {
	all := Calls(0, 40)
	refused, rest := w.poisoned(t, all)
	w.Letters.Fill(true)
	s := w.open(t, "")
	for range 2 {
		if err := s.Deliver(t.Context(), all); err == nil {
			t.Fatal("nil although a refused call is nowhere")
		}
	}
	w.Letters.Fill(false)
	retry(t, s, all)
	w.wantEach(t, all, rest, refused)
}
