package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/finding"
	"github.com/gatehouse-project/gatehouse/logging"
	"github.com/gatehouse-project/gatehouse/store"
)

var ann = audit.Actor{Kind: audit.Person, ID: "p-1", Name: "ann", Address: "192.0.2.7", Via: audit.ViaWeb}

func auditEvent(action, subject string) audit.Event {
	return audit.Event{Actor: ann, Action: action, Subject: audit.Subject{Kind: "thing", ID: subject, Name: "the " + subject}}
}

// wantWhole verifies the log of a store and returns its report.
func wantWhole(t *testing.T, s store.Store, heads ...audit.Head) audit.Report {
	t.Helper()
	report, err := audit.VerifyStore(t.Context(), s, audit.VerifyOptions{Heads: heads}, nil)
	if err != nil {
		t.Errorf("verifying: %v", err)
	}
	head, err := s.AuditHead(t.Context())
	if err != nil || head != report.Last {
		t.Errorf("the head is %v, %v; verified up to %v", head, err, report.Last)
	}
	return report
}

func auditLog(t *testing.T, place Place) {
	s := open(t, place)
	if head, err := s.AuditHead(t.Context()); err != nil || head != (audit.Head{}) {
		t.Errorf("the head of an empty log is %v, %v", head, err)
	}
	if page, err := s.AuditEvents(t.Context(), audit.Query{}); err != nil || page.Events == nil || len(page.Events) != 0 {
		t.Errorf("an empty log has the page %+v, %v", page, err)
	}
	if err := s.Append(t.Context()); err != nil {
		t.Errorf("appending nothing: %v", err)
	}
	full := audit.Event{
		Time: start.Add(-time.Hour), Actor: ann, Action: "grant.revoked", Subject: audit.Subject{Kind: "grant", ID: "g1", Name: "orders"},
		Reason: "left <the> team\n", Before: json.RawMessage(`{ "state": "active" }`), After: json.RawMessage(`{"state":"revoked"}`), Detail: map[string]string{"a": "b"},
	}
	given := full
	if err := s.Append(t.Context(), full, audit.Event{Actor: audit.Actor{Kind: audit.Gatehouse}, Action: "a.b"}); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(given, full); d != "" {
		t.Errorf("Append changes what it is given:\n%s", d)
	}
	s = reopen(t, place, s)
	got, err := s.AuditEvent(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	want := full
	want.Seq, want.Before, want.Hash = 1, json.RawMessage(`{"state":"active"}`), got.Hash
	if d := cmp.Diff(&want, got); d != "" || got.Hash == (audit.Hash{}) || audit.Seal(audit.Hash{}, *got) != got.Hash {
		t.Errorf("event (-want +got), sealed %v:\n%s", got.Hash, d)
	}
	second, err := s.AuditEvent(t.Context(), 2)
	if err != nil || second.Prev != got.Hash || !second.Time.Equal(start) {
		t.Errorf("the second event is %+v, %v", second, err)
	}
	for _, seq := range []uint64{0, 3, 1 << 63} {
		if _, err := s.AuditEvent(t.Context(), seq); !errors.Is(err, audit.ErrNotFound) {
			t.Errorf("event %d: %v", seq, err)
		}
	}
	// One that is no event takes those beside it with it.
	if err := s.Append(t.Context(), auditEvent("a.b", "x"), audit.Event{Actor: ann}); !errors.Is(err, audit.ErrInvalidEvent) {
		t.Errorf("an event without an action: %v", err)
	}
	if report := wantWhole(t, s, audit.Head{Seq: 2, Hash: second.Hash}); report.Events != 2 || report.NoticeCount != 0 {
		t.Errorf("verified %+v", report)
	}
	stop := errors.New("stop")
	var lines []string
	err = s.AuditLines(t.Context(), 1, func(line []byte) error { lines = append(lines, string(line)); return stop })
	if !errors.Is(err, stop) || len(lines) != 1 || lines[0] != string(audit.Encode(second)) {
		t.Errorf("the lines after event 1 are %q, %v", lines, err)
	}
}

func auditPages(t *testing.T, place Place) {
	s := open(t, place)
	const count = 23
	for i := range count {
		e := auditEvent([]string{"grant.revoked", "grant.requested", "granted.not"}[i%3], fmt.Sprintf("t%d", i%5))
		e.Time = start.Add(time.Duration(i) * time.Minute)
		if i%2 == 1 {
			e.Actor = audit.Actor{Kind: audit.Token, Name: "ann", Via: audit.ViaAPI}
		}
		if err := s.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	var seen []uint64
	q := audit.Query{Limit: 5}
	for range count {
		page, err := s.AuditEvents(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page.Events {
			seen = append(seen, page.Events[i].Seq)
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	for i, seq := range seen {
		if seq != uint64(count-i) {
			t.Fatalf("the pages hold %v", seen)
		}
	}
	if len(seen) != count {
		t.Errorf("the pages hold %d events of %d", len(seen), count)
	}
	for name, c := range map[string]struct {
		query audit.Query
		want  int
	}{
		"actor by name":   {audit.Query{Actor: "ann"}, 23},
		"actor by id":     {audit.Query{Actor: "p-1"}, 12},
		"no actor":        {audit.Query{Actor: "an"}, 0},
		"kind":            {audit.Query{Kind: audit.Token}, 11},
		"via":             {audit.Query{Via: audit.ViaWeb}, 12},
		"action":          {audit.Query{Action: "grant.revoked"}, 8},
		"prefix":          {audit.Query{Action: "grant."}, 16},
		"longer prefix":   {audit.Query{Action: "grant"}, 23},
		"percent":         {audit.Query{Action: "%"}, 0},
		"subject":         {audit.Query{Subject: "t1"}, 5},
		"subject's name":  {audit.Query{Subject: "the t1"}, 5},
		"subject's kind":  {audit.Query{Subject: "thing"}, 23},
		"since":           {audit.Query{Since: start.Add(20 * time.Minute)}, 3},
		"until":           {audit.Query{Until: start.Add(20 * time.Minute)}, 20},
		"until an offset": {audit.Query{Until: start.Add(20 * time.Minute).In(time.FixedZone("x", 7200))}, 20},
		"own":             {audit.Query{By: &audit.Actor{Kind: audit.Person, ID: "p-1", Name: "another"}}, 12},
		"own by name":     {audit.Query{By: &audit.Actor{Kind: audit.Token, Name: "ann"}}, 11},
		// A name is anybody's choice: it does not open the events of one who has an id.
		"another of the name": {audit.Query{By: &audit.Actor{Kind: audit.Person, Name: "ann"}}, 0},
		"own and others":      {audit.Query{By: &audit.Actor{Kind: audit.Person, ID: "p-2"}, Actor: "ann"}, 0},
		"nobody's own":        {audit.Query{By: &audit.Actor{Kind: audit.Unknown}}, 0},
		"both":                {audit.Query{Action: "grant.", Kind: audit.Token}, 8},
	} {
		page, err := s.AuditEvents(t.Context(), c.query)
		if err != nil || len(page.Events) != c.want || page.Next != "" {
			t.Errorf("%s: %d events, %v; want %d", name, len(page.Events), err, c.want)
		}
		// An export goes through all lines and asks the query.
		matches := 0
		err = s.AuditLines(t.Context(), 0, func(line []byte) error {
			e, err := audit.Decode(line)
			if err == nil && c.query.Matches(&e) {
				matches++
			}
			return err
		})
		if err != nil || matches != c.want {
			t.Errorf("%s: the query matches %d events, %v; want %d", name, matches, err, c.want)
		}
	}
	for _, cursor := range []string{"x", "0", "-1", "1.5"} {
		if _, err := s.AuditEvents(t.Context(), audit.Query{Cursor: cursor}); !errors.Is(err, audit.ErrInvalidQuery) {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
}

// auditIsAtomic: what cannot be told is not done, and what is not done is not told.
func auditIsAtomic(t *testing.T, place Place) {
	s := open(t, place)
	ctx := audit.WithActor(t.Context(), ann)
	e := findingEdit("aaaa", finding.High, finding.Open)
	if err := s.SaveFindings(ctx, []finding.Edit{e}, nil); err != nil {
		t.Fatal(err)
	}
	next := e
	next.Before, next.Finding.Version, next.Finding.State = 7, 8, finding.Acknowledged
	next.Changes = []finding.Change{{Time: start, From: finding.Open, To: finding.Acknowledged, By: "ann", Reason: "known"}}
	if err := s.SaveFindings(ctx, []finding.Edit{next}, nil); !errors.Is(err, finding.ErrConflict) {
		t.Fatal(err)
	}
	if report := wantWhole(t, s); report.Events != 0 {
		t.Errorf("a decision that was refused is in the log: %+v", report)
	}
	next.Before = 1
	bad := audit.WithActor(t.Context(), audit.Actor{Kind: "nobody"})
	if err := s.SaveFindings(bad, []finding.Edit{next}, nil); !errors.Is(err, audit.ErrInvalidEvent) {
		t.Errorf("a decision by an actor of no kind: %v", err)
	}
	if f, err := s.Finding(t.Context(), "aaaa"); err != nil || f.State != finding.Open {
		t.Errorf("a decision that could not be told left the finding %+v, %v", f, err)
	}
}

func auditIsOneChain(t *testing.T, place Place) {
	a, b := open(t, place), open(t, place)
	const writers, each = 6, 15
	var wg sync.WaitGroup
	for i := range writers {
		s := a
		if i%2 == 1 {
			s = b
		}
		wg.Go(func() {
			for j := range each {
				if err := s.Append(t.Context(), auditEvent("a.b", fmt.Sprint(i, "/", j)), auditEvent("a.c", fmt.Sprint(i, "/", j))); err != nil {
					t.Errorf("writer %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	if report := wantWhole(t, a); report.Events != writers*each*2 {
		t.Errorf("the chain has %d events, want %d", report.Events, writers*each*2)
	}
}

func auditOfDecisions(t *testing.T, place Place) {
	s := open(t, place)
	ctx := audit.WithActor(t.Context(), ann)
	e := findingEdit("aaaa", finding.High, finding.Open)
	if err := s.SaveFindings(t.Context(), []finding.Edit{e}, nil); err != nil {
		t.Fatal(err)
	}
	decided := e
	decided.Before, decided.Finding.Version, decided.Finding.State = 1, 2, finding.Accepted
	decided.Changes = []finding.Change{{Time: start, From: finding.Open, To: finding.Accepted, By: "ann", Reason: "known", Until: start.Add(time.Hour)}}
	ended := decided
	ended.Before, ended.Finding.Version, ended.Finding.State = 2, 3, finding.Open
	ended.Changes = []finding.Change{{Time: start, From: finding.Accepted, To: finding.Open, By: finding.Engine, Reason: "the acceptance ended"}}
	if err := errors.Join(s.SaveFindings(ctx, []finding.Edit{decided}, nil), s.SaveFindings(t.Context(), []finding.Edit{ended}, nil)); err != nil {
		t.Fatal(err)
	}

	letters := make([]deadletter.Letter, 0, 3)
	for i := range 3 {
		letters = append(letters, deadletter.Letter{Sink: "kafka", TransactionID: fmt.Sprint("call", i), Reason: deadletter.Refused, Refused: start, Transaction: []byte("{}")})
	}
	if err := s.PutLetters(t.Context(), letters, deadletter.Limits{Count: 10, Bytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	page, err := s.Letters(t.Context(), deadletter.Query{})
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{page.Letters[0].ID, page.Letters[1].ID, page.Letters[2].ID}
	if n, err := s.MarkLetters(ctx, []string{ids[0], ids[1], "999"}); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	if n, err := s.RemoveLetters(t.Context(), ids[:1], true); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if n, err := s.RemoveLetters(ctx, ids[1:2], false); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	if n, err := s.RemoveLetters(ctx, []string{"999"}, false); err != nil || n != 0 {
		t.Fatal(n, err)
	}

	run := func(outcome logging.State, failed string) {
		line := logging.Entry{At: start, Who: "root@host", Command: string(logging.Enable), Outcome: outcome, Error: failed, Run: "r1", Summary: &logging.Summary{Planned: 3}}
		setting := logging.Entry{At: start, Who: "root@host", Command: string(logging.Enable), Outcome: logging.Done, Run: "r1"}
		if err := s.SaveLogging(t.Context(), &logging.Changes{Log: []logging.Entry{line, setting}}); err != nil {
			t.Fatal(err)
		}
	}
	run(logging.Intended, "")
	run(logging.Done, "")
	run(logging.Failed, "denied")

	all, err := s.AuditEvents(t.Context(), audit.Query{})
	if err != nil {
		t.Fatal(err)
	}
	got := make([]string, 0, len(all.Events))
	for i := range all.Events {
		e := &all.Events[i]
		got = append(got, fmt.Sprintf("%s by %s %s of %s %s: %s %s>%s", e.Action, e.Actor.Kind, e.Actor.Name, e.Subject.Kind, e.Subject.ID, e.Reason, e.Before, e.After))
	}
	want := []string{
		`logging.failed by person root@host of logging-run r1:  >`,
		`logging.enabled by person root@host of logging-run r1:  >`,
		`logging.begun by person root@host of logging-run r1:  >`,
		`deadletter.discarded by person ann of dead-letter ` + ids[1] + `:  >`,
		`deadletter.replayed by person ann of dead-letter :  {"ids":["` + ids[0] + `","` + ids[1] + `"]}>`,
		`finding.reopened by gatehouse gatehouse of finding aaaa: the acceptance ended {"state":"accepted"}>{"state":"open"}`,
		`finding.decided by person ann of finding aaaa: known {"state":"open"}>{"state":"accepted","until":"` + audit.TimeText(start.Add(time.Hour)) + `"}`,
	}
	for i := range got {
		// The summary of a run is the logging room's.
		if strings.HasPrefix(got[i], "logging.") {
			got[i], _, _ = strings.Cut(got[i], `{`)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("the log (-want +got):\n%s", d)
	}
	wantWhole(t, s)
}
