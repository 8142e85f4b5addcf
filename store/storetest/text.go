package storetest

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// oddTexts are texts that somebody who calls an API can have written into its logs, and
// that are no text to a database: bytes that are zero, bytes that are not UTF-8, the last
// code points, and one that is long and does not compress.
func oddTexts() []string {
	long := make([]byte, 20_000)
	r := rand.New(rand.NewPCG(1, 2)) // the same each time
	for i := range long {
		long[i] = byte('!' + r.IntN(90))
	}
	return []string{"/nul/\x00/{id}", "/bytes/\xff\xfe/{id}", "/last/\U0010ff41\U0010ffff/{id}", "/" + string(long), "/quote/'\"\\%_/{id}"}
}

// anyTextIsKept: what anybody chose must not stop the saving of what everybody did, and
// is read as it was.
func anyTextIsKept(t *testing.T, place Place) {
	s := open(t, place)
	inv := newInventory()
	for i, odd := range oddTexts() {
		inv.Observe([]*transaction.Transaction{call("t"+strings.Repeat("x", i), "GET", odd, "", 200, start)})
	}
	want := inv.Changes().(*inventory.Changes)
	routes := map[string]bool{}
	for i := range want.Endpoints {
		routes[want.Endpoints[i].Route] = true
	}
	commit(t, s, &collect.Checkpoint{Sinks: map[string]string{"s\x00\xff": "1\x00"}, Changes: []any{want}})
	got := all(t, s)
	if len(got) != len(oddTexts()) {
		t.Fatalf("%d endpoints; want %d", len(got), len(oddTexts()))
	}
	for i := range got {
		if !routes[got[i].Route] {
			t.Errorf("route %.60q is not one that was saved", got[i].Route)
		}
	}
	// Pages go on behind each of them.
	seen := 0
	for q := (inventory.Query{Limit: 1}); ; {
		page, err := s.Endpoints(t.Context(), q)
		if err != nil || seen > len(got) {
			t.Fatalf("page %d: %v", seen, err)
		}
		seen += len(page.Endpoints)
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	if c := load(t, s); c.Sinks["s\x00\xff"] != "1\x00" {
		t.Errorf("sinks: %q", c.Sinks)
	}
	oddWords(t, s)
}

func oddWords(t *testing.T, s store.Store) {
	t.Helper()
	for i, odd := range oddTexts() {
		letter := deadletter.Letter{Sink: "kafka", TransactionID: "call" + string(rune('a'+i)), Reason: deadletter.Refused, Message: odd, Refused: start, Transaction: []byte("{}")}
		if err := s.PutLetters(t.Context(), []deadletter.Letter{letter}, deadletter.Limits{Count: 100, Bytes: 1 << 20}); err != nil {
			t.Errorf("a dead letter of %.30q: %v", odd, err)
		}
		e := audit.Event{
			Actor: audit.Actor{Kind: audit.Person, ID: odd, Name: odd}, Action: "a.b", Reason: odd,
			Subject: audit.Subject{Kind: "thing", ID: odd, Name: odd}, Detail: map[string]string{"a": odd},
		}
		if err := s.Append(t.Context(), e); err != nil {
			t.Errorf("an event of %.30q: %v", odd, err)
		}
		page, err := s.AuditEvents(t.Context(), audit.Query{Limit: 1})
		if err != nil || len(page.Events) != 1 {
			t.Fatalf("events: %d, %v", len(page.Events), err)
		}
		name := page.Events[0].Subject.Name
		if page, err := s.AuditEvents(t.Context(), audit.Query{Subject: name}); err != nil || len(page.Events) != 1 {
			t.Errorf("%d events of %.30q, %v", len(page.Events), name, err)
		}
		person := identity.Person{ID: "p" + string(rune('a'+i)), Email: odd[:min(len(odd), 250)], Name: odd, Groups: []string{odd[:min(len(odd), 500)]}}
		if err := s.SeePerson(t.Context(), person, start); err != nil {
			t.Errorf("a person of %.30q: %v", odd, err)
		}
	}
	if page, err := s.Letters(t.Context(), deadletter.Query{}); err != nil || len(page.Letters) != len(oddTexts()) || page.Letters[0].Message != oddTexts()[len(oddTexts())-1] {
		t.Errorf("dead letters: %d, %v", len(page.Letters), err)
	}
	wantWhole(t, s)
}
