// Package sinktest holds every sink to the contract of collect.Sink: one suite,
// run against each implementation.
package sinktest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// World is one place to deliver to, all of its own.
type World struct {
	// Open opens a sink over the place, as a starting process does. The one
	// that was open before is either closed or lost with its process.
	Open func(t *testing.T) collect.Sink
	// Kill frees what a dead process does not hold any more (locks, sockets)
	// and leaves everything else of s as it stands. Nil if there is nothing.
	Kill func(t *testing.T, s collect.Sink)
	// Delivered gives the ids in the place, those of one key in their order.
	Delivered func(t *testing.T) []string
	// Break makes the place refuse until mend is called. Nil if it cannot.
	Break func(t *testing.T) (mend func())
	// Slow makes the place answer late, some answers later than a sink waits.
	// Nil if it cannot.
	Slow func(t *testing.T) (mend func())
	// Half makes the place take only a part of what it is given. Nil if it
	// takes all or nothing.
	Half func(t *testing.T) (mend func())
	// Mute makes the place take what it is given while the answer is lost. Nil
	// if there is no answer that could be.
	Mute func(t *testing.T) (mend func())
	// Refuse makes the place refuse the calls with these ids for good. Nil if
	// it takes everything that a transaction can hold.
	Refuse func(t *testing.T, ids ...string)
	// Letters are the dead letters that the sinks of Open were given; needed
	// with Refuse.
	Letters *Letters
	// Unclear says that the place does not tell which calls of a batch it
	// refuses, and that they must not be sent again.
	Unclear bool
	// Exact says that a repeated call is never there twice: Position and
	// Restore see to that.
	Exact bool
}

// Exercise runs the suite. newWorld is called once for each test.
func Exercise(t *testing.T, newWorld func(t *testing.T) World) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, World){
		"DeliversAll":        deliversAll,
		"KeepsOrder":         keepsOrder,
		"EmptyBatch":         emptyBatch,
		"KeepsTheBatch":      keepsTheBatch,
		"RetryAfterError":    retryAfterError,
		"CloseTwice":         closeTwice,
		"NothingAfterClose":  nothingAfterClose,
		"NameIsStable":       nameIsStable,
		"OneAtATime":         oneAtATime,
		"CancelledContext":   cancelledContext,
		"CancelWhileBroken":  cancelWhileBroken,
		"GoesOnAfterRestart": goesOnAfterRestart,
		"CrashAndRestore":    crashAndRestore,
		"SlowPlace":          slowPlace,
		"HalfAccepted":       halfAccepted,
		"AnswersAreLost":     answersAreLost,
		"CrashBeforeAnswer":  crashBeforeAnswer,
		"RefusedForGood":     refusedForGood,
		"RefusedAndCrashed":  refusedAndCrashed,
		"NoRoomForLetters":   noRoomForLetters,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newWorld(t))
		})
	}
}

// Calls makes n transactions from the given number on, over three APIs, with
// all that a transaction may hold.
func Calls(from, n int) []*transaction.Transaction {
	batch := make([]*transaction.Transaction, 0, n)
	for i := from; i < from+n; i++ {
		batch = append(batch, &transaction.Transaction{
			ID:      fmt.Sprintf("%s-%08d", key(i), i),
			Account: "111122223333", Region: "eu-west-1", APIID: key(i), Stage: "prod",
			APIType: transaction.REST, Time: transaction.Time(1_750_000_000_000 + i),
			Method: "POST", Path: fmt.Sprintf("/pets/%d", i), SourceIP: "203.0.113.9",
			Query: map[string][]string{"q": {"a\nb", "ü"}},
			Request: &transaction.Request{
				Headers: map[string][]string{"content-type": {"application/json"}},
				Body:    `{"name":"` + strings.Repeat("x", i%100) + "\n\u2028",
			},
			Response: &transaction.Response{Status: 200 + i%2, Body: "\xff"},
		})
	}
	return batch
}

func key(i int) string { return fmt.Sprintf("api%d", i%3) }

// byKey splits ids by the part before the hyphen.
func byKey(ids []string) map[string][]string {
	m := map[string][]string{}
	for _, id := range ids {
		k, _, _ := strings.Cut(id, "-")
		m[k] = append(m[k], id)
	}
	return m
}

func idsOf(batch []*transaction.Transaction) []string {
	ids := make([]string, len(batch))
	for i, c := range batch {
		ids[i] = c.ID
	}
	return ids
}

// want compares by key and in order; where repeats are allowed only the first
// of each id counts.
func (w *World) want(t *testing.T, batch []*transaction.Transaction) {
	t.Helper()
	got := w.Delivered(t)
	if !w.Exact {
		seen := map[string]bool{}
		var first []string
		for _, id := range got {
			if !seen[id] {
				first = append(first, id)
			}
			seen[id] = true
		}
		got = first
	}
	if diff := cmp.Diff(byKey(idsOf(batch)), byKey(got)); diff != "" {
		t.Fatalf("delivered (-want +got):\n%s", diff)
	}
}

// open opens the sink and restores position.
func (w *World) open(t *testing.T, position string) collect.Sink {
	t.Helper()
	s := w.Open(t)
	if err := s.Restore(t.Context(), position); err != nil {
		t.Fatalf("restoring position %q: %v", position, err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.Close(ctx)
	})
	return s
}

func deliver(t *testing.T, s collect.Sink, batch []*transaction.Transaction) {
	t.Helper()
	if err := s.Deliver(t.Context(), batch); err != nil {
		t.Fatalf("delivering: %v", err)
	}
}

// retry delivers a batch as the collector does: until it is taken.
func retry(t *testing.T, s collect.Sink, batch []*transaction.Transaction) {
	t.Helper()
	until := time.Now().Add(20 * time.Second)
	for err := s.Deliver(t.Context(), batch); err != nil; err = s.Deliver(t.Context(), batch) {
		if time.Now().After(until) {
			t.Fatalf("still failing: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func deliversAll(t *testing.T, w World) {
	s := w.open(t, "")
	all := Calls(0, 500)
	deliver(t, s, all[:1])
	deliver(t, s, all[1:100])
	deliver(t, s, all[100:])
	w.want(t, all)
}

func keepsOrder(t *testing.T, w World) {
	s := w.open(t, "")
	all := Calls(0, 300)
	for i := 0; i < len(all); i += 10 {
		deliver(t, s, all[i:i+10])
	}
	w.want(t, all)
}

func emptyBatch(t *testing.T, w World) {
	s := w.open(t, "")
	deliver(t, s, nil)
	deliver(t, s, []*transaction.Transaction{})
	w.want(t, nil)
}

// keepsTheBatch: the collector gives the same transactions to other sinks.
func keepsTheBatch(t *testing.T, w World) {
	s := w.open(t, "")
	batch := Calls(0, 20)
	deliver(t, s, batch)
	if diff := cmp.Diff(Calls(0, 20), batch); diff != "" {
		t.Errorf("the sink changed the batch (-want +got):\n%s", diff)
	}
}

func retryAfterError(t *testing.T, w World) {
	if w.Break == nil {
		t.Skip("this sink's place cannot be made to refuse")
	}
	s := w.open(t, "")
	all := Calls(0, 60)
	deliver(t, s, all[:20])
	position := s.Position()
	mend := w.Break(t)
	for range 2 {
		if err := s.Deliver(t.Context(), all[20:40]); err == nil {
			t.Fatal("nil although the place refuses")
		}
		if got := s.Position(); got != position {
			t.Fatalf("the position went from %q to %q on an error", position, got)
		}
	}
	mend()
	retry(t, s, all[20:40])
	deliver(t, s, all[40:])
	w.want(t, all)
}

func closeTwice(t *testing.T, w World) {
	s := w.open(t, "")
	all := Calls(0, 10)
	deliver(t, s, all)
	for range 2 {
		if err := s.Close(t.Context()); err != nil {
			t.Fatalf("close: %v", err)
		}
	}
	w.want(t, all)
}

func nothingAfterClose(t *testing.T, w World) {
	s := w.open(t, "")
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Deliver(t.Context(), Calls(0, 1)); err == nil {
		t.Error("delivered after close")
	}
	w.want(t, nil)
}

func nameIsStable(t *testing.T, w World) {
	s := w.open(t, "")
	name := s.Name()
	deliver(t, s, Calls(0, 5))
	position := s.Position()
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := w.open(t, position).Name(); name == "" || again != name {
		t.Errorf("name %q, then %q", name, again)
	}
}

// oneAtATime: calls come from changing goroutines, never two at once. It is the
// race detector that finds what is wrong here.
func oneAtATime(t *testing.T, w World) {
	s := w.open(t, "")
	all := Calls(0, 100)
	for i := 0; i < len(all); i += 10 {
		var group sync.WaitGroup
		group.Go(func() {
			if err := s.Deliver(t.Context(), all[i:i+10]); err != nil {
				t.Errorf("delivering: %v", err)
			}
		})
		group.Wait()
		group.Go(func() { _, _ = s.Position(), s.Name() })
		group.Wait()
	}
	w.want(t, all)
}

func cancelledContext(t *testing.T, w World) {
	s := w.open(t, "")
	all := Calls(0, 20)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Deliver(ctx, all); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context canceled", err)
	}
	deliver(t, s, all)
	w.want(t, all)
}

func cancelWhileBroken(t *testing.T, w World) {
	if w.Break == nil {
		t.Skip("this sink's place cannot be made to refuse")
	}
	s := w.open(t, "")
	all := Calls(0, 20)
	deliver(t, s, all[:10])
	mend := w.Break(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := s.Deliver(ctx, all[10:]); err == nil {
		t.Error("nil although the place refuses")
	}
	if waited := time.Since(start); waited > 10*time.Second {
		t.Errorf("returned %s after its context ended", waited)
	}
	mend()
}

func goesOnAfterRestart(t *testing.T, w World) {
	all := Calls(0, 90)
	position := ""
	for i := 0; i < 90; i += 30 {
		s := w.open(t, position)
		deliver(t, s, all[i:i+30])
		position = s.Position()
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.want(t, all)
}

// crashAndRestore plays a collector that dies between Deliver and the commit of
// the position, again and again, the first time before its first commit, and
// delivers the uncommitted batches anew.
func crashAndRestore(t *testing.T, w World) {
	random := rand.New(rand.NewPCG(5, 6))
	all := Calls(0, 400)
	committed, position := 0, ""
	for round := 0; committed < len(all); round++ {
		s := w.open(t, position)
		at := committed
		for at < len(all) {
			n := min(1+random.IntN(40), len(all)-at)
			deliver(t, s, all[at:at+n])
			at += n
			if random.IntN(3) == 0 || round == 0 {
				break // killed before the commit
			}
			committed, position = at, s.Position()
		}
		if w.Kill != nil {
			w.Kill(t, s)
		}
	}
	w.want(t, all)
	if s := w.open(t, position); s.Position() != position {
		t.Errorf("restored %q, position is %q", position, s.Position())
	}
	w.want(t, all)
}
