// Package postgres keeps Gatehouse's state in a PostgreSQL database, for several
// processes on several machines.
//
// A change is one transaction at READ COMMITTED, and what SQLite's one writer
// gives for nothing is said here: changes of one kind take their turn (a row of
// the table turns, locked first), rows that are compared carry versions, and rows
// that several changes touch are locked in the order of their keys. Questions of
// more than one statement run at REPEATABLE READ, so that they see one state.
//
// A transaction is tried again where the server undid it for the sake of another,
// and where the connection was lost before COMMIT was sent, which undoes it as
// surely. Where it was lost after, the server is asked what became of it (see
// outcome). Functions that are handed to update, view and read may therefore run
// more than once.
package postgres

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gatehouse-project/gatehouse/store"
)

// Store is a store in a PostgreSQL database. It is safe for concurrent use.
type Store struct {
	place string // for messages: never the user's password
	// clock is nil where times of leases are those of the server.
	clock  func() time.Time
	log    *slog.Logger
	keep   time.Duration // of minutes
	pool   *pgxpool.Pool
	schema string // one that is to be made if it is missing; empty: none

	pruned every // minutes
	marks  every // of transactions
}

var _ store.Store = (*Store)(nil)

const (
	defaultMinuteRetention = 30 * 24 * time.Hour
	// A statement that takes longer, a lock that is waited for longer, and a
	// transaction in which nothing happens for longer are ended by the server.
	statementTimeout = "60s"
	lockTimeout      = "10s"
	idleTimeout      = "60s"
	// connectTimeout bounds one attempt to reach the server, changeTimeout a change
	// with all that is tried again.
	connectTimeout = 5 * time.Second
	changeTimeout  = 2 * time.Minute
	// questionTimeout bounds a question of one statement. Those of several statements
	// have no bound of their own: whoever takes the rows may be slow.
	questionTimeout = 2 * time.Minute
	// patience is how long a server that does not answer is tried again: a restart
	// takes less.
	patience = 8 * time.Second
	// maxConns is how many connections a process has, unless the URL says pool_max_conns.
	maxConns = 10
)

// Open opens the store of a URL, postgres://USER@HOST:PORT/DATABASE, and creates its
// tables or brings them to this version's schema where needed. The URL may have what
// libpq's have (sslmode, sslrootcert, …), settings of the server, of which
// search_path=NAME puts the store into a schema of its own, and pool_max_conns.
//
// A clock in opts takes the place of the server's in leases too.
func Open(ctx context.Context, storeURL string, opts store.Options) (*Store, error) {
	config, schema, err := parse(storeURL)
	if err != nil {
		return nil, err
	}
	c := config.ConnConfig
	s := &Store{clock: opts.Clock, log: opts.Logger, keep: opts.MinuteRetention, schema: schema}
	s.place = "postgres://" + net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))) + "/" + c.Database
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.keep <= 0 {
		s.keep = defaultMinuteRetention
	}
	if s.pool, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, s.wrap("opening", err)
	}
	if err := s.again(ctx, s.migrate); err != nil {
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

// parse reads a URL. Its errors hold nothing of it: it may have a password.
func parse(storeURL string) (*pgxpool.Config, string, error) {
	bad := func(detail string) error {
		return &Error{
			Doing: "opening", Place: "postgres://…", Err: errors.New("the URL cannot be read" + detail),
			mend: "use postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full, with the password in PGPASSWORD or percent-encoded after USER:",
		}
	}
	_, rest, _ := strings.Cut(storeURL, ":")
	u, err := url.Parse("postgres:" + rest) // the scheme in lower case, as pgx wants it
	if err != nil || !strings.HasPrefix(rest, "//") {
		return nil, "", bad("")
	}
	config, err := pgxpool.ParseConfig(u.String())
	if err != nil {
		q := u.Query()
		secrets := []string{q.Get("password"), q.Get("sslpassword")}
		if password, ok := u.User.Password(); ok {
			secrets = append(secrets, password)
		}
		detail := err
		if why, ok := errors.AsType[*pgconn.ParseConfigError](err); ok && why.Unwrap() != nil {
			detail = why.Unwrap() // without the URL
		}
		text := ": " + detail.Error()
		for _, secret := range secrets {
			if secret != "" && (strings.Contains(text, secret) || strings.Contains(text, url.QueryEscape(secret)) || strings.Contains(text, url.PathEscape(secret))) {
				text = ""
			}
		}
		return nil, "", bad(text)
	}
	q := u.Query()
	if !q.Has("pool_max_conns") {
		config.MaxConns = maxConns
	}
	if !q.Has("connect_timeout") {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	for name, value := range map[string]string{
		"application_name": "gatehouse", "statement_timeout": statementTimeout, "lock_timeout": lockTimeout,
		"idle_in_transaction_session_timeout": idleTimeout,
	} {
		if config.ConnConfig.RuntimeParams[name] == "" {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	config.AfterConnect = prepareConn
	// A server whose machine is gone says nothing any more: it is noticed in half a minute.
	config.ConnConfig.DialFunc = (&net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
	}).DialContext
	// Only a plain name can be made; anything else is the user's own affair.
	schema := config.ConnConfig.RuntimeParams["search_path"]
	if strings.ContainsAny(schema, `,"$ `) {
		schema = ""
	}
	return config, schema, nil
}

// prepareConn makes a new connection fit. When Commit returns, the commit is on the
// server's disk: access that was given must not be forgotten. A server that is set to
// promise less is asked for that much; one that is set to promise more is left alone.
func prepareConn(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, `SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'`)
	return err
}

// Close ends all connections. What was committed stays.
func (s *Store) Close() error {
	s.pool.Close()
	return nil
}

// now is the time of this process.
func (s *Store) now() time.Time {
	if s.clock != nil {
		return s.clock()
	}
	return time.Now()
}

// querier runs statements, in a transaction or alone.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// turn is a kind of change of which one is made at a time. Each is a row of the table
// turns, which a transaction locks first. The turn of the audit log is the last that a
// transaction takes, so that no two wait for one another.
type turn string

const (
	noTurn        turn = ""
	turnAudit     turn = "audit"
	turnEstate    turn = "estate"
	turnFindings  turn = "findings"
	turnIdentity  turn = "identity"
	turnInventory turn = "inventory"
	turnLetters   turn = "letters"
	turnLogging   turn = "logging"
	takeTurn           = `SELECT FROM turns WHERE name = $1 FOR UPDATE`
)

// update runs fn in a transaction, in a turn, and commits it if fn returns nil.
func (s *Store) update(ctx context.Context, doing string, in turn, fn func(tx querier) error) error {
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	return s.wrap(doing, s.again(ctx, func(ctx context.Context) error { return s.change(ctx, in, fn) }))
}

// change is one try of update.
func (s *Store) change(ctx context.Context, in turn, fn func(tx querier) error) error {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return lost(ctx, err)
	}
	defer conn.Release() // one that is lost, or in the middle of a transaction, is closed
	m, err := s.begin(ctx, conn, in)
	if err == nil {
		err = fn(session{conn})
	}
	if err != nil {
		if conn.Conn().IsClosed() {
			return lost(ctx, err)
		}
		_, _ = conn.Exec(ctx, "rollback")
		if engine, ok := errors.AsType[*pgconn.PgError](err); ok && engine.Code == "25006" {
			// What could be written can no longer: it is a standby now. The next connections
			// look for the server that can.
			s.pool.Reset()
		}
		return err
	}
	tag, err := conn.Exec(ctx, "commit")
	switch {
	case err == nil && tag.String() == "ROLLBACK":
		return errors.New("the server rolled the transaction back")
	case err == nil:
		return nil
	case refused(err):
		return err
	}
	m.pid = conn.Conn().PgConn().PID()
	conn.Release() // a second time does nothing
	return s.outcome(ctx, m, err)
}

// begin begins a transaction in one round trip, with the mark that it leaves.
func (s *Store) begin(ctx context.Context, conn *pgxpool.Conn, in turn) (mark, error) {
	m := newMark()
	var b pgx.Batch
	b.Queue("begin isolation level read committed read write")
	b.Queue(`INSERT INTO commits (id) VALUES ($1) RETURNING pg_current_xact_id()::text`, m.id).QueryRow(func(row pgx.Row) error {
		return row.Scan(&m.xid)
	})
	if s.marks.due(s.now()) {
		b.Queue(forgetMarks)
	}
	if in != noTurn {
		b.Queue(takeTurn, string(in))
	}
	err := conn.SendBatch(ctx, &b).Close()
	return m, err
}

// view runs fn in a read transaction: all of its queries see one state.
func (s *Store) view(ctx context.Context, doing string, fn func(tx querier) error) error {
	return s.wrap(doing, s.again(ctx, func(ctx context.Context) error {
		conn, err := s.pool.Acquire(ctx)
		if err != nil {
			return lost(ctx, err)
		}
		defer conn.Release()
		if _, err = conn.Exec(ctx, "begin isolation level repeatable read read only"); err == nil {
			err = fn(session{conn})
		}
		if conn.Conn().IsClosed() {
			return lost(ctx, err)
		}
		_, _ = conn.Exec(ctx, "rollback")
		return err
	}))
}

// read runs fn without a transaction, for questions of one statement.
func (s *Store) read(ctx context.Context, doing string, fn func(q querier) error) error {
	ctx, cancel := context.WithTimeout(ctx, questionTimeout)
	defer cancel()
	return s.wrap(doing, s.again(ctx, func(ctx context.Context) error {
		conn, err := s.pool.Acquire(ctx)
		if err != nil {
			return lost(ctx, err)
		}
		defer conn.Release()
		err = fn(session{conn})
		if conn.Conn().IsClosed() {
			return lost(ctx, err)
		}
		return err
	}))
}

// again tries until there is nothing to gain from trying again; see retry.
func (s *Store) again(ctx context.Context, try func(context.Context) error) error {
	begin := time.Now()
	for n := 0; ; n++ {
		err := try(ctx)
		if err == nil || ctx.Err() != nil {
			return err
		}
		wait := retry(err, n, time.Since(begin))
		if wait < 0 {
			return err
		}
		level := slog.LevelDebug
		if _, ok := errors.AsType[*lostError](err); ok && n == 0 {
			level = slog.LevelWarn
		}
		s.log.Log(ctx, level, "the store is asked again", "store", s.place, "error", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait/2 + rand.N(wait/2+1)): //nolint:gosec // it spreads waits, nothing rests on it
		}
	}
}

// each calls scan for every row of a query.
func each(ctx context.Context, q querier, query string, args []any, scan func(pgx.Rows) error) error {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// affected runs a statement and returns how many rows it changed.
func affected(ctx context.Context, q querier, query string, args ...any) (int64, error) {
	tag, err := q.Exec(ctx, query, args...)
	return tag.RowsAffected(), err
}

// filter is a WHERE clause under construction.
type filter struct {
	terms []string
	args  []any
}

// add adds a term in which each question mark stands for the next of its arguments.
func (f *filter) add(term string, args ...any) {
	f.terms = append(f.terms, f.text(term, args...))
}

// text is a text with its question marks replaced by the places of the arguments, which
// are added.
func (f *filter) text(text string, args ...any) string {
	for _, v := range args {
		f.args = append(f.args, v)
		text = strings.Replace(text, "?", "$"+strconv.Itoa(len(f.args)), 1)
	}
	return text
}

// equal adds a term for each pair of a column and a value that is not empty.
func (f *filter) equal(pairs ...[2]string) {
	for _, p := range pairs {
		if p[1] != "" {
			f.add(p[0]+" = ?", p[1])
		}
	}
}

func (f *filter) where() string {
	if len(f.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(f.terms, " AND ")
}

// with is the filter and more, which leaves the filter as it is.
func (f *filter) with(term string, args ...any) *filter {
	more := &filter{terms: slices.Clone(f.terms), args: slices.Clone(f.args)}
	if term != "" {
		more.add(term, args...)
	}
	return more
}

// among adds a term that a column has one of the values, if there are any.
func among[T ~string](f *filter, column string, values []T) {
	if len(values) == 0 {
		return
	}
	texts := make([]string, 0, len(values))
	for _, v := range values {
		texts = append(texts, string(v))
	}
	f.add(column+" = ANY(?)", texts)
}
