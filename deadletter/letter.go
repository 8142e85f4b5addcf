package deadletter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// Reason is why a sink refused a call, in a word. It labels metrics.
type Reason string

const (
	// TooLarge is a call that is larger than the place takes, alone.
	TooLarge Reason = "too_large"
	// Refused is a call that the place named, or that it refused alone.
	Refused Reason = "refused"
	// Unclear is a call of a batch of which the place refused some and did not
	// say which.
	Unclear Reason = "unclear"
)

// Summary is what a list shows of a call.
type Summary struct {
	Account string              `json:"account,omitempty"`
	Region  string              `json:"region,omitempty"`
	APIID   string              `json:"api_id,omitempty"`
	APIType transaction.APIType `json:"api_type,omitempty"`
	Stage   string              `json:"stage,omitempty"`
	Time    transaction.Time    `json:"time,omitzero"`
	Method  string              `json:"method,omitempty"`
	Path    string              `json:"path,omitempty"` // at most 256 bytes
	Status  int                 `json:"status,omitempty"`
}

// Letter is a call that a sink refused for good.
type Letter struct {
	ID            string    `json:"id"`
	Sink          string    `json:"sink"` // collect.Sink's Name
	TransactionID string    `json:"transaction_id"`
	Reason        Reason    `json:"reason"`
	Message       string    `json:"message,omitempty"` // what the place said; at most 512 bytes
	Refused       time.Time `json:"refused"`           // the last time
	Attempts      int       `json:"attempts"`          // how often it was refused
	Replaying     bool      `json:"replaying,omitempty"`
	Size          int64     `json:"size"` // bytes of the transaction's JSON
	Summary       Summary   `json:"call"`
	// Transaction is the redacted transaction's JSON; nil in lists.
	Transaction json.RawMessage `json:"transaction,omitempty"`
}

// Query chooses letters. Empty fields do not restrict.
type Query struct {
	Sink          string
	Reason        Reason
	TransactionID string
	// Limit is how many a page has at most; 0: 100, and 1,000 is the most.
	Limit int
	// Cursor is Page.Next of the page before.
	Cursor string
}

// Page is a part of a list, the newest letters first.
type Page struct {
	Letters []Letter `json:"letters"`
	Next    string   `json:"next,omitempty"`
}

// Count is how many letters a sink has.
type Count struct {
	Sink      string `json:"sink"`
	Letters   int64  `json:"letters"`
	Bytes     int64  `json:"bytes"`
	Replaying int64  `json:"replaying"` // of Letters: marked to be delivered again
}

// Limits bound what a store takes.
type Limits struct {
	Count int64
	Bytes int64
}

// ErrNotFound is returned for a letter that is not there (any more).
var ErrNotFound = errors.New("dead letter not found")

// ErrInvalidQuery is returned, wrapped, for a cursor or an id that is none.
var ErrInvalidQuery = errors.New("invalid query")

// FullError is returned when letters would exceed the Limits.
type FullError struct{ Limits Limits }

// Error says which limits are reached.
func (e *FullError) Error() string {
	return fmt.Sprintf("the dead letters are full (at most %d calls and %d bytes): collecting waits", e.Limits.Count, e.Limits.Bytes)
}

// Mend says how to make room.
func (*FullError) Mend() string {
	return "see why with 'gatehouse deadletter list', mend it, then replay or discard; or raise dead_letter_max_count and dead_letter_max_bytes"
}

// Store keeps letters. Every method is atomic.
type Store interface {
	// PutLetters adds letters, with their Transaction. One whose Sink and
	// TransactionID are there changes that row: Attempts grows by one and
	// Replaying ends. It returns a *FullError, and puts none, if the limits
	// would be exceeded.
	PutLetters(ctx context.Context, letters []Letter, limits Limits) error
	// Letters returns a page.
	Letters(ctx context.Context, q Query) (Page, error)
	// Letter returns one with its Transaction, or ErrNotFound.
	Letter(ctx context.Context, id string) (*Letter, error)
	// CountLetters counts by sink, in the order of their names.
	CountLetters(ctx context.Context) ([]Count, error)
	// MarkLetters marks letters to be delivered again and returns how many of
	// the ids are there.
	MarkLetters(ctx context.Context, ids []string) (int, error)
	// MarkedLetters returns the oldest marked letters of a sink with their
	// transactions: at most n, and no more than bytes of them, but at least one.
	MarkedLetters(ctx context.Context, sink string, n int, bytes int64) ([]Letter, error)
	// RemoveLetters removes letters, and where marked is set only those that
	// are marked still. It returns how many.
	RemoveLetters(ctx context.Context, ids []string, marked bool) (int, error)
}
