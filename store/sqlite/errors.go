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
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	if engine, ok := errors.AsType[*sqlite.Error](err); ok {
		mend, kind := classify(engine.Code())
		return &Error{Doing: doing, Path: s.path, Kind: kind, Err: engine, mend: mend}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// classify maps the engine's result codes, whose low byte is the general one.
func classify(code int) (mend string, kind error) {
	switch code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return "stop the other process that uses this file, or give this one a file of its own with --state", store.ErrLocked
	case sqlite3.SQLITE_FULL:
		return "free space on its disk; work goes on by itself then", store.ErrFull
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return "let this user write the file and its folder, where two more files stand beside it (-wal, -shm)", store.ErrReadOnly
	case sqlite3.SQLITE_CANTOPEN:
		return "check that its folder exists and that this user may write it", store.ErrReadOnly
	case sqlite3.SQLITE_CORRUPT:
		return "move the file and its -wal and -shm away and start again, or restore a backup: the collector reads again what it has not saved", store.ErrCorrupted
	case sqlite3.SQLITE_NOTADB:
		return "give the path of another file with --state", store.ErrForeign
	default:
		return "", nil
	}
}
