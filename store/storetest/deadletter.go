package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// roomy are limits that no test reaches by accident.
var roomy = deadletter.Limits{Count: 10_000, Bytes: 1 << 30}

func letter(sink string, n int) deadletter.Letter {
	body := fmt.Sprintf(`{"id":"call-%d","path":"/ü"}`, n)
	return deadletter.Letter{
		Sink: sink, TransactionID: fmt.Sprintf("call-%d", n), Reason: deadletter.Refused, Message: "no such field",
		Refused: start, Size: int64(len(body)), Transaction: []byte(body),
		Summary: deadletter.Summary{
			Account: "111122223333", Region: "eu-west-1", APIID: "api1", APIType: transaction.REST, Stage: "prod",
			Time: 1_750_000_000_123, Method: "GET", Path: "/ü", Status: 200,
		},
	}
}

func put(t *testing.T, s store.Store, letters ...deadletter.Letter) {
	t.Helper()
	if err := s.PutLetters(t.Context(), letters, roomy); err != nil {
		t.Fatalf("PutLetters: %v", err)
	}
}

func list(t *testing.T, s store.Store, q deadletter.Query) deadletter.Page {
	t.Helper()
	page, err := s.Letters(t.Context(), q)
	if err != nil {
		t.Fatalf("Letters(%+v): %v", q, err)
	}
	return page
}

func callsOf(letters []deadletter.Letter) []string {
	out := make([]string, 0, len(letters))
	for i := range letters {
		out = append(out, letters[i].Sink+" "+letters[i].TransactionID)
	}
	return out
}

func idsOf(letters []deadletter.Letter) []string {
	out := make([]string, 0, len(letters))
	for i := range letters {
		out = append(out, letters[i].ID)
	}
	return out
}

func deadLetters(t *testing.T, place Place) {
	s := open(t, place)
	if page := list(t, s, deadletter.Query{}); page.Letters == nil || len(page.Letters) > 0 || page.Next != "" {
		t.Fatalf("letters of an empty store: %+v", page)
	}
	put(t, s, letter("a", 1), letter("b", 1), letter("a", 2))
	s = reopen(t, place, s)

	page := list(t, s, deadletter.Query{})
	if d := cmp.Diff([]string{"a call-2", "b call-1", "a call-1"}, callsOf(page.Letters)); d != "" {
		t.Fatalf("letters (-want +got):\n%s", d)
	}
	want := letter("a", 2)
	want.ID, want.Attempts = page.Letters[0].ID, 1
	got, err := s.Letter(t.Context(), want.ID)
	if err != nil {
		t.Fatalf("Letter: %v", err)
	}
	if d := cmp.Diff(&want, got); d != "" {
		t.Errorf("letter (-want +got):\n%s", d)
	}
	want.Transaction = nil
	if d := cmp.Diff(want, page.Letters[0]); d != "" {
		t.Errorf("letter of a list (-want +got):\n%s", d)
	}
	for name, q := range map[string]deadletter.Query{
		"by sink":   {Sink: "b"},
		"by reason": {Reason: deadletter.Refused, Sink: "b"},
		"by call":   {TransactionID: "call-1", Sink: "b"},
	} {
		if d := cmp.Diff([]string{"b call-1"}, callsOf(list(t, s, q).Letters)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	if page := list(t, s, deadletter.Query{Reason: deadletter.TooLarge}); len(page.Letters) != 0 {
		t.Errorf("letters of another reason: %v", callsOf(page.Letters))
	}
	counts, err := s.CountLetters(t.Context())
	if err != nil {
		t.Fatalf("CountLetters: %v", err)
	}
	size := letter("a", 1).Size
	if d := cmp.Diff([]deadletter.Count{{Sink: "a", Letters: 2, Bytes: 2 * size}, {Sink: "b", Letters: 1, Bytes: size}}, counts); d != "" {
		t.Errorf("counts (-want +got):\n%s", d)
	}
	for _, id := range []string{"0", "-1", "x", "1; DROP TABLE"} {
		if _, err := s.Letter(t.Context(), id); !errors.Is(err, deadletter.ErrInvalidQuery) {
			t.Errorf("Letter(%q): %v; want ErrInvalidQuery", id, err)
		}
	}
	if _, err := s.Letter(t.Context(), "999999"); !errors.Is(err, deadletter.ErrNotFound) {
		t.Errorf("Letter that is not there: %v; want ErrNotFound", err)
	}
}

// A refusal that comes again after a crash is the same letter.
func deadLettersAreKnown(t *testing.T, place Place) {
	s := open(t, place)
	put(t, s, letter("a", 1), letter("a", 2))
	first := list(t, s, deadletter.Query{}).Letters
	again := letter("a", 1)
	again.Reason, again.Message, again.Refused = deadletter.TooLarge, "too long", start.Add(1e9)
	put(t, s, again)
	got := list(t, s, deadletter.Query{}).Letters
	want := slices.Clone(first)
	want[1].Reason, want[1].Message, want[1].Refused, want[1].Attempts = again.Reason, again.Message, again.Refused, 2
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("letters (-want +got):\n%s", d)
	}
}

func deadLettersAreBounded(t *testing.T, place Place) {
	s := open(t, place)
	size := letter("a", 1).Size
	for name, limits := range map[string]deadletter.Limits{
		"count": {Count: 2, Bytes: 1 << 30},
		"bytes": {Count: 100, Bytes: 2*size + 1},
	} {
		put(t, s, letter("a", 1), letter("a", 2))
		var full *deadletter.FullError
		err := s.PutLetters(t.Context(), []deadletter.Letter{letter("a", 1), letter("a", 3)}, limits)
		if !errors.As(err, &full) || full.Limits != limits || full.Mend() == "" {
			t.Errorf("%s: %v; want a FullError", name, err)
		}
		if got := list(t, s, deadletter.Query{}).Letters; len(got) != 2 {
			t.Errorf("%s: %d letters after a put that was refused", name, len(got))
		}
		// What is there already takes no room.
		if err := s.PutLetters(t.Context(), []deadletter.Letter{letter("a", 1)}, limits); err != nil {
			t.Errorf("%s: a letter that is there: %v", name, err)
		}
		lower := deadletter.Limits{Count: 1, Bytes: 1}
		if err := s.PutLetters(t.Context(), []deadletter.Letter{letter("a", 1)}, lower); err != nil {
			t.Errorf("%s: a letter that is there, under lower limits: %v", name, err)
		}
		ids := idsOf(list(t, s, deadletter.Query{}).Letters)
		if n, err := s.RemoveLetters(t.Context(), ids[:1], false); n != 1 || err != nil {
			t.Fatalf("RemoveLetters: %d, %v", n, err)
		}
		if err := s.PutLetters(t.Context(), []deadletter.Letter{letter("a", 3)}, limits); err != nil {
			t.Errorf("%s: after room was made: %v", name, err)
		}
		if _, err := s.RemoveLetters(t.Context(), idsOf(list(t, s, deadletter.Query{}).Letters), false); err != nil {
			t.Fatal(err)
		}
	}
}

func deadLettersPages(t *testing.T, place Place) {
	s := open(t, place)
	var want []string
	for i := range 25 {
		put(t, s, letter("a", i), letter("b", i))
		want = append([]string{fmt.Sprintf("a call-%d", i)}, want...)
	}
	var got []string
	q := deadletter.Query{Sink: "a", Limit: 7}
	for {
		page := list(t, s, q)
		got = append(got, callsOf(page.Letters)...)
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
		// What comes meanwhile moves no page.
		put(t, s, letter("a", 1000+len(got)))
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("pages (-want +got):\n%s", d)
	}
	if _, err := s.Letters(t.Context(), deadletter.Query{Cursor: "next"}); !errors.Is(err, deadletter.ErrInvalidQuery) {
		t.Errorf("a cursor that is none: %v; want ErrInvalidQuery", err)
	}
}

func deadLettersReplay(t *testing.T, place Place) {
	s := open(t, place)
	for i := range 6 {
		put(t, s, letter("a", i), letter("b", i))
	}
	marked := func(n int, bytes int64) []deadletter.Letter {
		t.Helper()
		letters, err := s.MarkedLetters(t.Context(), "a", n, bytes)
		if err != nil {
			t.Fatalf("MarkedLetters: %v", err)
		}
		return letters
	}
	if got := marked(10, 1<<20); len(got) != 0 {
		t.Fatalf("marked without a mark: %v", callsOf(got))
	}
	all := idsOf(list(t, s, deadletter.Query{}).Letters)
	if n, err := s.MarkLetters(t.Context(), append([]string{"999999"}, all...)); n != 12 || err != nil {
		t.Fatalf("MarkLetters: %d, %v; want the 12 that are there", n, err)
	}
	s = reopen(t, place, s)
	size := letter("a", 0).Size
	for _, tc := range []struct {
		n     int
		bytes int64
		want  []string
	}{
		{10, 1 << 20, []string{"a call-0", "a call-1", "a call-2", "a call-3", "a call-4", "a call-5"}},
		{2, 1 << 20, []string{"a call-0", "a call-1"}},
		{10, 3 * size, []string{"a call-0", "a call-1", "a call-2"}},
		{10, 1, []string{"a call-0"}},
	} {
		got := marked(tc.n, tc.bytes)
		if d := cmp.Diff(tc.want, callsOf(got)); d != "" {
			t.Errorf("at most %d and %d bytes (-want +got):\n%s", tc.n, tc.bytes, d)
		}
		if string(got[0].Transaction) != string(letter("a", 0).Transaction) || !got[0].Replaying {
			t.Errorf("marked letter %+v", got[0])
		}
	}
	// One is refused again while it is replayed: it stays, unmarked.
	put(t, s, letter("a", 1))
	batch := idsOf(marked(10, 1<<20))
	again := list(t, s, deadletter.Query{Sink: "a", TransactionID: "call-1"}).Letters
	if n, err := s.RemoveLetters(t.Context(), append(batch, again[0].ID), true); n != 5 || err != nil {
		t.Fatalf("RemoveLetters: %d, %v; want 5", n, err)
	}
	left := list(t, s, deadletter.Query{Sink: "a"}).Letters
	if len(left) != 1 || left[0].TransactionID != "call-1" || left[0].Replaying || left[0].Attempts != 2 {
		t.Errorf("left: %+v", left)
	}
}
