// Package store says what Gatehouse needs of the place where its state lives,
// and the errors that such a place may give. An engine (store/sqlite) proves
// itself with store/storetest.
package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/finding"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/logging"
)

// Store is all that a store does: what each engine of the product asks for, in
// one place that commits atomically.
type Store interface {
	collect.State
	estate.Store
	estate.History
	inventory.Reader
	inventory.Loader
	deadletter.Store
	finding.Store
	logging.Journal
	audit.Store
	identity.Store
	// Lending returns the part that keeps what was lent, or an error that is
	// access.ErrNotKept.
	Lending() (access.Store, error)
	Settings
	Leases
	io.Closer
}

// Settings keep small facts about this installation.
type Settings interface {
	// Setting returns the value of a key, or "" if it was never set.
	Setting(ctx context.Context, key string) (string, error)
	SetSetting(ctx context.Context, key, value string) error
	// EnsureSetting returns the value of a key, which it sets to value if it was never
	// set. Of several that do so at once, one sets it and all get the same.
	EnsureSetting(ctx context.Context, key, value string) (string, error)
}

// Leases keep two processes from doing the same work on one store.
type Leases interface {
	// AcquireLease takes the named lease for holder until ttl from now, or
	// prolongs it if holder has it. It returns a *HeldError if another holder
	// has it and its time is not over.
	AcquireLease(ctx context.Context, name, holder string, ttl time.Duration) error
	// ReleaseLease gives the lease back if holder has it.
	ReleaseLease(ctx context.Context, name, holder string) error
}

// HeldError says who has a lease.
type HeldError struct {
	Name, Holder string
	Until        time.Time
}

// Error names the lease, its holder and its end.
func (e *HeldError) Error() string {
	return fmt.Sprintf("%s is held by %s until %s", e.Name, e.Holder, e.Until.UTC().Format(time.RFC3339))
}

// Mend says what to do about it.
func (e *HeldError) Mend() string {
	return "stop the other process, or give this one a state of its own with --state"
}

// What can be wrong with a store. Errors of an engine wrap one of these where
// it applies, and have a Mend method that says what to do.
var (
	ErrLocked    = errors.New("the store is locked by another process")
	ErrFull      = errors.New("no space is left for the store")
	ErrReadOnly  = errors.New("the store cannot be written")
	ErrCorrupted = errors.New("the store is damaged")
	// ErrUnreachable is returned where the store's server does not answer, or does not
	// let this user in.
	ErrUnreachable = errors.New("the store's server cannot be reached")
	// ErrNewer is returned for a store that a newer Gatehouse has migrated.
	ErrNewer = errors.New("the store was written by a newer version of gatehouse")
	// ErrForeign is returned for a database that is no Gatehouse store.
	ErrForeign = errors.New("not a gatehouse store")
	// ErrSequence is returned for changes that do not follow the last ones.
	ErrSequence = errors.New("changes do not follow those saved last")
)

// Options are what every engine needs; the zero value is usable.
type Options struct {
	Clock  func() time.Time // default time.Now
	Logger *slog.Logger     // nil: nothing is logged
	// MinuteRetention is how long traffic by the minute is kept; default 30
	// days.
	MinuteRetention time.Duration
}

// Opener opens a store by its URL.
type Opener func(ctx context.Context, url string, opts Options) (Store, error)

// Open opens a store with the engine of its URL's scheme. A plain path is an
// "sqlite" URL.
func Open(ctx context.Context, url string, opts Options, engines map[string]Opener) (Store, error) {
	scheme := Scheme(url)
	open := engines[scheme]
	if open == nil {
		return nil, fmt.Errorf("store %q: no engine for %q is built in: use sqlite:PATH or postgres://HOST/DATABASE, or to collect alone s3://BUCKET/PREFIX, dynamodb://TABLE/KEY or file:DIR", scheme+":…", scheme)
	}
	return open(ctx, url, opts)
}

// Scheme returns which engine a store's URL asks for. Nothing else of a URL is
// fit for messages: it may hold a password.
func Scheme(url string) string {
	if scheme, _, ok := strings.Cut(url, ":"); ok && scheme != "" && !strings.ContainsAny(scheme, `/\.`) {
		return strings.ToLower(scheme)
	}
	return "sqlite"
}
