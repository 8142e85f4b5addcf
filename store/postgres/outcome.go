package postgres

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// outcomePatience is how long the server is asked what became of a commit.
	outcomePatience = 30 * time.Second
	outcomeEvery    = 100 * time.Millisecond
)

// errUndone is wrapped by the error of a commit that did not happen and never will, so
// that it can be tried again.
var errUndone = errors.New("the transaction was undone")

// errUnknown is wrapped by the error of a commit of which nobody could say whether it
// happened.
var errUnknown = errors.New("it is not known whether the change was saved")

// mark is the row that a transaction leaves in the table commits. The server's own
// numbers of transactions would not do: a server that dies forgets those that it had
// not written down, and gives them to others, whose commits would then be taken for
// ours.
type mark struct {
	id  [16]byte
	xid string // the server's number
	pid uint32 // of the server's process
}

func newMark() (m mark) {
	_, _ = rand.Read(m.id[:]) // never fails
	return m
}

// forgetMarks removes marks that nobody asks for any more, some each time. Two processes
// that do it at once pass one another by.
const forgetMarks = `DELETE FROM commits WHERE id IN (SELECT id FROM commits WHERE at < now() - interval '15 minutes'
	LIMIT 50000 FOR UPDATE SKIP LOCKED)`

// outcome finds out what became of a transaction whose COMMIT was sent and not
// answered, as when the server was restarted at that moment: it may have been done. To
// try it again would do it twice, and to report a failure would have the caller do
// that. The caller's context may be what ended the commit, so it is not heeded here.
func (s *Store) outcome(ctx context.Context, m mark, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), outcomePatience)
	defer cancel()
	for {
		undone, err := s.settle(ctx, m)
		engine, _ := errors.AsType[*pgconn.PgError](err)
		switch {
		case err == nil && undone:
			return &lostError{fmt.Errorf("%w: %w", errUndone, cause)}
		case err == nil:
			s.log.WarnContext(ctx, "the connection was lost during a commit, which was done", "store", s.place, "error", cause)
			return nil
		case errors.Is(err, pgx.ErrNoRows):
			return fmt.Errorf("%w: its mark is gone: %w", errUnknown, cause)
		case engine != nil && engine.Code == "55P03": // lock_not_available
			// The network is gone, and the server waits for a COMMIT that never comes. The
			// number says that the process is still at our transaction.
			_, _ = s.pool.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
				WHERE pid = $1 AND backend_xid = ($2::text::xid8)::xid`, int32(m.pid), m.xid)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", errUnknown, errors.Join(cause, err))
		case <-time.After(outcomeEvery):
		}
	}
}

// settle writes the mark of a transaction in its place. While the transaction is under
// way that waits for its end. If it was committed its mark is there already; if not, ours
// is from now on, and says so also to the next try, should our own answer be lost.
func (s *Store) settle(ctx context.Context, m mark) (undone bool, err error) {
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '1s'`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO commits (id, undone) VALUES ($1, TRUE) ON CONFLICT DO NOTHING`, m.id); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT undone FROM commits WHERE id = $1`, m.id).Scan(&undone)
	})
	return undone, err
}
