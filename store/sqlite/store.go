// Package sqlite keeps Gatehouse's state in one SQLite file.
//
// One connection writes and a few read; in WAL mode neither waits for the
// other. synchronous is FULL: when Commit returns, the commit is on the disk
// and survives the death of the process and of the power. NORMAL would be
// enough for the collector, which reads again what a lost commit had covered,
// but grants and audit entries will live here too, and access that was given
// must not be forgotten. The price is one fsync a commit.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/gatehouse-project/gatehouse/store"
)

// Store is a store in an SQLite file. It is safe for concurrent use.
type Store struct {
	path  string // for messages
	clock func() time.Time
	log   *slog.Logger
	keep  time.Duration // of minutes

	write *sql.DB // one connection
	read  *sql.DB // the same DB where the store is in memory

	holders holders // of leases, that this process has

	mu     sync.Mutex // serializes writes and guards what follows
	pruned time.Time  // when old minutes were last looked for
}

var _ store.Store = (*Store)(nil)

// memory is the path of a store that ends with the process.
const memory = ":memory:"

const (
	defaultMinuteRetention = 30 * 24 * time.Hour
	readers                = 4
	// busyTimeout is how long a statement waits for another process.
	busyTimeout = 10 * time.Second
)

// Open opens the store of a URL, "sqlite:PATH" or a plain path, and creates it
// or brings it to this version's schema where needed. "sqlite::memory:" is a
// store that ends with the process.
func Open(ctx context.Context, storeURL string, opts store.Options) (*Store, error) {
	path := strings.TrimPrefix(storeURL, "sqlite:")
	if path == "" {
		return nil, errors.New("opening store: no path given: use sqlite:PATH")
	}
	if path != memory {
		path = filepath.Clean(path) // "//" would begin a host in the URI
	}
	s := &Store{path: path, clock: opts.Clock, log: opts.Logger, keep: opts.MinuteRetention}
	s.holders.files = map[string]*os.File{}
	if s.clock == nil {
		s.clock = time.Now
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.keep <= 0 {
		s.keep = defaultMinuteRetention
	}
	if err := s.connect(ctx); err != nil {
		return nil, errors.Join(s.wrap("opening", err), s.Close())
	}
	return s, nil
}

// Opener is Open in the form that store.Open asks for.
func Opener(ctx context.Context, storeURL string, opts store.Options) (store.Store, error) {
	s, err := Open(ctx, storeURL, opts)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Store) connect(ctx context.Context) error {
	if s.path != memory {
		if err := prepareFile(s.path); err != nil {
			return &Error{
				Doing: "opening", Path: s.path, Kind: store.ErrReadOnly, Err: err,
				mend: "check that the folder can be made and written by this user",
			}
		}
	}
	var err error
	if s.write, err = sql.Open("sqlite", dsn(s.path, false)); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	// A database in memory lives as long as its connection.
	s.write.SetConnMaxIdleTime(0)
	s.write.SetConnMaxLifetime(0)
	if err := s.patiently(ctx, s.migrate); err != nil {
		return err
	}
	if s.path == memory {
		s.read = s.write
		return nil
	}
	if s.read, err = sql.Open("sqlite", dsn(s.path, true)); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	return s.read.PingContext(ctx)
}

// patiently tries again while another process has the file. The engine waits by
// itself everywhere but where two connections turn a new file to WAL at once:
// there it fails one of them without waiting.
func (s *Store) patiently(ctx context.Context, try func(context.Context) error) error {
	for deadline := time.Now().Add(busyTimeout); ; {
		err := try(ctx)
		if !errors.Is(s.wrap("opening", err), store.ErrLocked) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// prepareFile makes the folder, and the file with rights for its owner alone:
// samples are redacted, but names of callers are nobody else's business.
func prepareFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// dsn sets the busy timeout first, because changing the journal mode may
// already have to wait for another process.
func dsn(path string, readOnly bool) string {
	pragmas := []string{fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds())}
	if readOnly {
		pragmas = append(pragmas, "query_only(1)")
	} else {
		pragmas = append(pragmas,
			"journal_mode(WAL)", "synchronous(FULL)", "journal_size_limit(67108864)")
	}
	pragmas = append(pragmas, "foreign_keys(1)", "cache_size(-65536)", "mmap_size(268435456)", "temp_store(MEMORY)")
	q := url.Values{"_pragma": pragmas, "_txlock": {"immediate"}}
	if readOnly {
		q.Set("_txlock", "deferred")
	}
	if path == memory {
		return path + "?" + q.Encode()
	}
	// As a URI, so that ? and # in a path are part of it.
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// Close ends all connections. What was committed stays.
func (s *Store) Close() error {
	errs := []error{s.holders.close()}
	if s.read != nil && s.read != s.write {
		errs = append(errs, s.read.Close())
	}
	if s.write != nil {
		errs = append(errs, s.write.Close())
	}
	return errors.Join(errs...)
}

// update runs fn in a write transaction and commits it if fn returns nil.
func (s *Store) update(ctx context.Context, doing string, fn func(tx *sql.Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return s.wrap(doing, err)
	}
	if err := fn(tx); err != nil {
		return s.wrap(doing, errors.Join(err, rollback(tx)))
	}
	return s.wrap(doing, tx.Commit())
}

// rollback ends tx. The engine has ended it already where the disk was full.
func rollback(tx *sql.Tx) error {
	err := tx.Rollback()
	var engine interface{ Code() int }
	if errors.Is(err, sql.ErrTxDone) || errors.As(err, &engine) {
		return nil
	}
	return err
}

// view runs fn in a read transaction: all of its queries see one state.
func (s *Store) view(ctx context.Context, doing string, fn func(tx *sql.Tx) error) error {
	tx, err := s.read.BeginTx(ctx, nil)
	if err != nil {
		return s.wrap(doing, err)
	}
	err = fn(tx)
	if rb := tx.Rollback(); err == nil && rb != nil && !errors.Is(rb, sql.ErrTxDone) {
		err = rb
	}
	return s.wrap(doing, err)
}
