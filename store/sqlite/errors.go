package sqlite

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/gatehouse-project/gatehouse/store"
)

// Error is a failure of the store: what was tried, what is wrong, and how it
// can be mended. It unwraps to an error of package store and to the engine's.
type Error struct {
	Doing string
	Path  string
	Kind  error // store.ErrFull and so on; nil for what has no name
	Err   error
	mend  string
}

// Error says what was tried and what is wrong.
func (e *Error) Error() string {
	if e.Kind == nil {
		return fmt.Sprintf("%s: store %s: %v", e.Doing, e.Path, e.Err)
	}
	if e.Err == nil {
		return fmt.Sprintf("%s: store %s: %v", e.Doing, e.Path, e.Kind)
	}
	return fmt.Sprintf("%s: store %s: %v (%v)", e.Doing, e.Path, e.Kind, e.Err)
}

// Unwrap returns the kind and the engine's own error.
func (e *Error) Unwrap() []error {
	var out []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			out = append(out, err)
		}
	}
	return out
}

// Mend says what to do; empty if nothing general can be said.
func (e *Error) Mend() string { return e.mend }

// wrap says what was tried; for an error of the engine also where, and of what
// kind it is. Nil stays nil.
func (s *Store) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	var known *Error
	var engine *sqlite.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.As(err, &engine):
		kind, mend := classify(engine.Code())
		return &Error{Doing: doing, Path: s.path, Kind: kind, Err: engine, mend: mend}
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
}

// classify maps the engine's result codes, whose low byte is the general one.
func classify(code int) (kind error, mend string) {
	switch code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return store.ErrLocked, "stop the other process that uses this file, or give this one a file of its own with --state"
	case sqlite3.SQLITE_FULL:
		return store.ErrFull, "free space on its disk; work goes on by itself then"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return store.ErrReadOnly, "let this user write the file and its folder, where two more files stand beside it (-wal, -shm)"
	case sqlite3.SQLITE_CANTOPEN:
		return store.ErrReadOnly, "check that its folder exists and that this user may write it"
	case sqlite3.SQLITE_CORRUPT:
		return store.ErrCorrupted, "move the file and its -wal and -shm away and start again, or restore a backup: the collector reads again what it has not saved"
	case sqlite3.SQLITE_NOTADB:
		return store.ErrForeign, "give the path of another file with --state"
	default:
		return nil, ""
	}
}
