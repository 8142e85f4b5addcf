package storetest

import (
	"cmp"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/logging"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// loggingJournal checks that records replace those of their keys, that dropped ones
// are gone, that the journal has the newest line first, and that all of it is there
// when the place is opened again.
func loggingJournal(t *testing.T, place Place) {
	s := open(t, place)
	key := func(part string) logging.Key {
		return logging.Key{Account: "111122223333", Region: "eu-west-1", Kind: logging.KindExecution, Subject: "a1b2c3/prod", Part: part}
	}
	record := func(part, before string) logging.Record {
		return logging.Record{
			Key: key(part), APIType: transaction.REST, API: "a1b2c3", APIName: "orders", Stage: "prod",
			Before: before, After: "INFO+trace", Written: []string{"INFO"}, Who: "somebody", At: start,
		}
	}
	entry := func(to string, o logging.State) logging.Entry {
		return logging.Entry{At: start, Who: "somebody", Command: "enable", Key: key("*/*"), From: "OFF", To: to, Outcome: o}
	}
	save := func(c logging.Changes) {
		t.Helper()
		if err := s.SaveLogging(t.Context(), &c); err != nil {
			t.Fatal(err)
		}
	}
	save(logging.Changes{Put: []logging.Record{record("*/*", "OFF"), record("~1pets/GET", "ERROR"), record("~1/GET", "")}, Log: []logging.Entry{entry("1", logging.Intended)}})
	done := record("*/*", "OFF")
	done.Done, done.Written = true, nil
	save(logging.Changes{Put: []logging.Record{done}, Drop: []logging.Key{key("~1/GET"), key("never there")}, Log: []logging.Entry{entry("2", logging.Done), entry("3", logging.Failed)}})

	s = reopen(t, place, s)
	got, err := s.LoggingRecords(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(got, func(a, b logging.Record) int { return cmp.Compare(a.Part, b.Part) })
	if diff := gocmp.Diff([]logging.Record{done, record("~1pets/GET", "ERROR")}, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	began := logging.Entry{
		At: start, Who: "somebody", Command: "enable", Key: logging.Key{Kind: logging.KindRun, Subject: "run-1"}, Outcome: logging.Intended, Run: "run-1",
		Summary: &logging.Summary{Digest: "d", Planned: 2, Request: &logging.Request{Command: logging.Enable, EnableOptions: logging.DefaultEnable()}},
	}
	line, ended := entry("4", logging.Done), began
	line.Run = "run-1"
	ended.Outcome, ended.Summary = logging.Done, &logging.Summary{Done: 2}
	other := began
	other.Run, other.Key.Subject = "run-2", "run-2"
	save(logging.Changes{Log: []logging.Entry{began, line}})
	save(logging.Changes{Log: []logging.Entry{ended, other}})
	for _, c := range []struct {
		limit int
		want  []logging.Entry
	}{{10, []logging.Entry{other, ended, began}}, {1, []logging.Entry{other}}} {
		runs, err := s.LoggingRuns(t.Context(), c.limit)
		if err != nil {
			t.Fatal(err)
		}
		if diff := gocmp.Diff(c.want, runs); diff != "" {
			t.Errorf("runs (-want +got):\n%s", diff)
		}
	}
	lines, err := s.LoggingRun(t.Context(), "run-1", 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]logging.Entry{began, line}, lines); diff != "" {
		t.Errorf("lines of a run (-want +got):\n%s", diff)
	}
	save(logging.Changes{Log: []logging.Entry{entry("2", logging.Done), entry("3", logging.Failed)}})
	history, err := s.LoggingHistory(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]logging.Entry{entry("3", logging.Failed), entry("2", logging.Done)}, history); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
}
