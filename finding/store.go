package finding

import (
	"context"
	"errors"
	"time"
)

// Store keeps findings.
type Store interface {
	// SaveFindings saves all edits, or none, and the posture unless it is nil. It
	// returns ErrConflict if a finding is not at the version that its edit was made
	// from, 0 standing for one that is not there.
	SaveFindings(ctx context.Context, edits []Edit, p *Posture) error
	// Findings returns a page, the worst severity first and then by id, without
	// history. It returns an error that wraps ErrInvalidQuery for a query that cannot
	// be answered.
	Findings(ctx context.Context, q Query) (Page, error)
	// Finding returns a finding with its history, or ErrNotFound.
	Finding(ctx context.Context, id string) (*Finding, error)
	// Posture returns what was saved last, with counts of the findings as they are
	// now; nil if nothing was evaluated yet.
	Posture(ctx context.Context) (*Posture, error)
}

// What can be wrong with a request for findings.
var (
	ErrNotFound     = errors.New("there is no such finding")
	ErrConflict     = errors.New("the finding was changed in the meantime")
	ErrInvalidQuery = errors.New("invalid query for findings")
	// ErrNotKept is returned by a store that keeps no findings, such as one for
	// cursors alone.
	ErrNotKept = errors.New("this state keeps no findings")
)

// Edit is a finding as it is to be, and what changed.
type Edit struct {
	// Finding has the version that it is to have, one more than Before.
	Finding Finding
	Before  int64
	Changes []Change
}

// Query chooses findings. Empty fields choose all.
type Query struct {
	Severities []Severity
	States     []State
	Rule       string
	Area       Area
	Account    string
	Region     string
	API        string
	Limit      int    // 0: 100; at most 1,000
	Cursor     string // the Next of the page before
}

// Page is a page of findings.
type Page struct {
	Findings []Finding `json:"findings"`
	// Total is how many findings the query chooses on all pages.
	Total int `json:"total"`
	// Next is the cursor of the next page; empty: this is the last.
	Next string `json:"next,omitempty"`
}

// Posture is what the last evaluation said in sum.
type Posture struct {
	// Evaluated is the time of the estate that was judged.
	Evaluated time.Time `json:"evaluated"`
	Rules     []Tally   `json:"rules"`
	// Accounts are the verdicts by account, in the order of their ids; empty where an
	// earlier version of Gatehouse saved the posture.
	Accounts []AccountTally `json:"accounts,omitempty"`
	// Counts are the findings by severity and state.
	Counts []Count `json:"counts"`
}

// Count is how many findings of a severity are in a state.
type Count struct {
	Severity Severity `json:"severity"`
	State    State    `json:"state"`
	Findings int      `json:"findings"`
}
