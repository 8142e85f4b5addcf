// Package object keeps the state of a collector in a few documents of a store of
// objects: an S3 bucket, a DynamoDB table or a folder. It is for collectors that
// have no disk, as a Lambda function. Every document is written under the
// condition that it is still the one that was read, so of two collectors that
// take each other's place one fails instead of moving the other's cursors.
//
// It holds what a collector needs and no inventory: for that there is a database.
package object

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/store"
)

// ErrConflict is returned by Save if the object is not the one that was read any
// more.
var ErrConflict = errors.New("the object was changed by another process")

// Objects is a store of named objects. It is safe for concurrent use.
type Objects interface {
	// Load reads an object. The version is what Save asks for; both are empty if
	// there is no such object.
	Load(ctx context.Context, name string) (data []byte, version string, err error)
	// Save replaces an object, whole or not at all, if its version is still
	// ifVersion, or creates it if that is empty; else the error is ErrConflict.
	Save(ctx context.Context, name string, data []byte, ifVersion string) (version string, err error)
}

// The names of the objects.
const (
	checkpointObject = "checkpoint"
	estateObject     = "estate"
	settingsObject   = "settings"
	leaseObject      = "lease-" // and the lease's name
)

// Store is a store.Store without an inventory.
type Store struct {
	objects Objects
	clock   func() time.Time
	log     *slog.Logger

	mu      sync.Mutex
	state   *collect.Checkpoint // as it was last loaded or committed
	version string
	pending []byte // a checkpoint whose saving has failed; it may be there
}

var _ store.Store = (*Store)(nil)

// New returns the Store on objects.
func New(objects Objects, opts store.Options) *Store {
	s := &Store{objects: objects, clock: opts.Clock, log: opts.Logger}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Close does nothing: objects need no closing.
func (*Store) Close() error { return nil }

// save saves an object. A conflict with what we ourselves have written is none:
// when an answer gets lost, the SDK asks again.
func (s *Store) save(ctx context.Context, name string, data []byte, ifVersion string) (string, error) {
	version, err := s.objects.Save(ctx, name, data, ifVersion)
	if !errors.Is(err, ErrConflict) {
		return version, err
	}
	there, now, loadErr := s.objects.Load(ctx, name)
	if loadErr == nil && bytes.Equal(there, data) {
		return now, nil
	}
	return "", err
}

// update changes an object again and again until nobody came in between.
func (s *Store) update(ctx context.Context, name string, change func(data []byte) ([]byte, error)) error {
	for range 10 {
		data, version, err := s.objects.Load(ctx, name)
		if err != nil {
			return err
		}
		if data, err = change(data); err != nil {
			return err
		}
		if _, err = s.save(ctx, name, data, version); !errors.Is(err, ErrConflict) {
			return err
		}
	}
	return ErrConflict
}

// conflictError says what a conflict means to the one who runs the collector.
type conflictError struct{ what string }

func (e *conflictError) Error() string { return fmt.Sprintf("%s: %v", e.what, ErrConflict) }

func (*conflictError) Unwrap() error { return ErrConflict }

// Mend says what to do.
func (*conflictError) Mend() string {
	return "let one collector alone use this state; what was read is read again at the next start"
}
