package spool

import (
	"context"
	"errors"
)

// Blobs is a flat store of named blobs. Names have one slash at most. It is safe
// for concurrent use.
type Blobs interface {
	// Put writes a blob, or replaces it, whole or not at all. When it returns nil
	// the blob survives a crash of this machine.
	Put(ctx context.Context, name string, data []byte) error
	// Get reads a blob; the error is fs.ErrNotExist if there is none.
	Get(ctx context.Context, name string) ([]byte, error)
	// List gives the blobs whose names begin with prefix, in the order of their
	// names.
	List(ctx context.Context, prefix string) ([]Blob, error)
	// Delete removes a blob; it is no error if there is none.
	Delete(ctx context.Context, name string) error
}

// Blob is a blob as a listing shows it.
type Blob struct {
	Name string
	Size int64
}

// ErrFull is returned by Append when the spool holds Config.MaxBytes. The sender
// is not acknowledged and keeps what it has.
var ErrFull = errors.New("the spool is full")
