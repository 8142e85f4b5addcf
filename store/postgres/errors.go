package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/gatehouse-project/gatehouse/store"
)

// Error is a failure of the store: what was tried, what is wrong, and how it
// can be mended. It unwraps to an error of package store and to the driver's.
type Error struct {
	Doing string
	Place string // host, port and database
	Kind  error  // store.ErrFull and so on; nil for what has no name
	Err   error
	mend  string
}

// Error says what was tried and what is wrong.
func (e *Error) Error() string {
	switch {
	case e.Kind == nil:
		return fmt.Sprintf("%s: store %s: %v", e.Doing, e.Place, e.Err)
	case e.Err == nil:
		return fmt.Sprintf("%s: store %s: %v", e.Doing, e.Place, e.Kind)
	default:
		return fmt.Sprintf("%s: store %s: %v (%v)", e.Doing, e.Place, e.Kind, e.Err)
	}
}

// Unwrap returns the kind and the driver's own error.
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

// lostError is a connection that could not be made, or broke before COMMIT was sent:
// nothing of its transaction was done.
type lostError struct{ err error }

func (e *lostError) Error() string { return e.err.Error() }

func (e *lostError) Unwrap() error { return e.err }

// lost marks an error of a connection, unless the caller gave up.
func lost(ctx context.Context, err error) error {
	if err == nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	return &lostError{err}
}

// wrap says what was tried; for an error of the server or the connection also where,
// and of what kind it is. Nil stays nil.
func (s *Store) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	if engine, ok := errors.AsType[*pgconn.PgError](err); ok {
		mend, kind := classify(engine.Code)
		return &Error{Doing: doing, Place: s.place, Kind: kind, Err: err, mend: mend}
	}
	if errors.Is(err, errUnknown) {
		return &Error{Doing: doing, Place: s.place, Err: err, mend: "look whether it is there before you try it again"}
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if _, ok := errors.AsType[*lostError](err); ok {
		mend, _ := classify("08000")
		return &Error{Doing: doing, Place: s.place, Kind: store.ErrUnreachable, Err: err, mend: mend}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// classify maps the server's SQLSTATE codes. The first two characters are the class.
func classify(code string) (mend string, kind error) {
	switch code {
	case "53100": // disk_full
		return "free space on the server's disk; work goes on by itself then", store.ErrFull
	case "25006", "42501": // read_only_sql_transaction, insufficient_privilege
		return "name the server that can be written (several hosts with target_session_attrs=read-write follow a failover), and let this user create and write tables in its schema", store.ErrReadOnly
	case "55P03": // lock_not_available
		return "something holds a lock of the store's tables: look into pg_stat_activity", store.ErrLocked
	case "3D000": // invalid_catalog_name
		return "create the database: createdb --encoding UTF8 NAME", store.ErrUnreachable
	case "3F000": // invalid_schema_name
		return "create the schema that search_path names, or let this user create it", store.ErrReadOnly
	case "53300": // too_many_connections
		return "raise max_connections of the server, or lower pool_max_conns in the URL", store.ErrUnreachable
	}
	switch code[:min(len(code), 2)] {
	case "28": // invalid authorization
		return "check the user and the password in --state, PGPASSWORD or .pgpass, and the server's pg_hba.conf", store.ErrUnreachable
	case "08", "57": // connection exceptions, operator intervention
		return "check that the server runs and can be reached from here; a Gatehouse that runs goes on by itself then", store.ErrUnreachable
	case "XX": // internal errors, damaged data among them
		return "look into the server's log; restore a backup if its data is damaged", store.ErrCorrupted
	}
	return "", nil
}

// retry decides whether a failed transaction or question is tried again, and after
// what time; negative: never. tries and since are those before.
func retry(err error, tries int, since time.Duration) time.Duration {
	const never = -1
	wait := min(10*time.Millisecond<<min(tries, 10), 500*time.Millisecond)
	engine, answered := errors.AsType[*pgconn.PgError](err)
	if !answered {
		if _, ok := errors.AsType[*lostError](err); ok && since < patience {
			return wait
		}
		return never
	}
	switch engine.Code {
	case "40001", "40P01": // serialization_failure, deadlock_detected: one of two had to go
		return wait
	case "57P01", "57P02", "57P03": // admin_shutdown, crash_shutdown, cannot_connect_now: a restart
		if since < patience {
			return wait
		}
	case "0A000": // a cached plan of before another process's migration
		if strings.Contains(engine.Message, "cached plan") && tries < 3 {
			return wait
		}
	}
	return never
}

// refused reports whether the server said that a COMMIT was not done. A server that
// ends the connection (FATAL) says no such thing.
func refused(err error) bool {
	engine, ok := errors.AsType[*pgconn.PgError](err)
	return ok && engine.SeverityUnlocalized == "ERROR"
}
