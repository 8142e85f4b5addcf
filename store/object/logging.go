package object

import (
	"context"

	"github.com/gatehouse-project/gatehouse/logging"
)

// LoggingRecords fails: nothing is switched on with this state.
func (*Store) LoggingRecords(context.Context) ([]logging.Record, error) {
	return nil, noJournal{}
}

// SaveLogging fails: nothing is switched on with this state.
func (*Store) SaveLogging(context.Context, *logging.Changes) error { return noJournal{} }

// LoggingHistory fails: nothing is switched on with this state.
func (*Store) LoggingHistory(context.Context, int) ([]logging.Entry, error) {
	return nil, noJournal{}
}

// LoggingRuns fails: nothing is switched on with this state.
func (*Store) LoggingRuns(context.Context, int) ([]logging.Entry, error) {
	return nil, noJournal{}
}

// LoggingRun fails: nothing is switched on with this state.
func (*Store) LoggingRun(context.Context, string, int) ([]logging.Entry, error) {
	return nil, noJournal{}
}

// noJournal is the error of switching with a state that only collects.
type noJournal struct{}

func (noJournal) Error() string {
	return "this state holds cursors alone and cannot remember what was switched on"
}

// Mend says what to do.
func (noJournal) Mend() string { return "give a database with --state sqlite:PATH" }
