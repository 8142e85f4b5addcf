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
	history, err := s.LoggingHistory(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]logging.Entry{entry("3", logging.Failed), entry("2", logging.Done)}, history); diff != "" {
		t.Errorf("journal (-want +got):\n%s", diff)
	}
}
