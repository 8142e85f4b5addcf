package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-project/gatehouse/access"
)

// presence is a holder of leases that is attended: a connection of its own that has an
// advisory lock. The kernel closes the connection with the process, and the server frees
// the lock with the connection.
type presence struct {
	s    *Store
	name string
	conn *pgx.Conn
	pid  uint32 // of the server's process that has the lock
}

var _ access.Presence = (*presence)(nil)

var errNotAttended = errors.New("others take this holder of leases for gone")

// holderLock is the key of a holder's advisory lock. Names are random, and so are keys.
// Locks of two numbers, as migrations take, are others.
func holderLock(holder string) int64 {
	sum := sha256.Sum256([]byte("gatehouse holder " + holder))
	return int64(binary.BigEndian.Uint64(sum[:8]))
}

// Attend makes it known that a holder is there; see access.Store. The lock is there
// before its row, so that whoever reads the row finds it locked or its holder gone.
func (l *Lending) Attend(ctx context.Context, holder string) (access.Presence, error) {
	p, err := l.s.attend(ctx, holder)
	if err != nil {
		return nil, l.s.wrap("showing that a holder of leases is there", err)
	}
	return p, nil
}

func (s *Store) attend(ctx context.Context, holder string) (*presence, error) {
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return nil, lost(ctx, err)
	}
	p := &presence{s: s, name: holder, conn: conn, pid: conn.PgConn().PID()}
	if err := p.lock(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func (p *presence) lock(ctx context.Context) error {
	key, locked := holderLock(p.name), false
	if err := p.conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, key).Scan(&locked); err != nil {
		return err
	}
	if !locked {
		return fmt.Errorf("the advisory lock %d is taken", key)
	}
	if _, err := p.conn.Exec(ctx, `INSERT INTO access_holders (name, lock) VALUES ($1, $2)`, p.name, key); err != nil {
		return err
	}
	return p.Check(ctx)
}

// Check returns an error if others may take the holder for gone; see access.Presence. A
// pooler that hands each transaction to another process of the server does not keep locks:
// who is behind one is not attended.
func (p *presence) Check(ctx context.Context) error {
	var pid int64
	var known bool
	err := p.conn.QueryRow(ctx, `SELECT pg_backend_pid(), EXISTS (SELECT FROM access_holders WHERE name = $1)`, p.name).Scan(&pid, &known)
	switch {
	case err != nil:
		return err
	case pid != int64(p.pid):
		return fmt.Errorf("%w: something between here and the server (a pooler of transactions) does not keep the session; let lending connect to the server itself", errNotAttended)
	case !known:
		return errNotAttended
	}
	return nil
}

// Close ends it.
func (p *presence) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	return p.conn.Close(ctx)
}

// EndLeases ends the leases of holders now; see access.Store. Who holds a lease has an
// object that is to be changed, so an index finds them. They are locked in the order of
// their keys, as in every change.
func (l *Lending) EndLeases(ctx context.Context, holders []string) error {
	return l.s.update(ctx, "ending leases", noTurn, func(tx querier) error {
		_, err := tx.Exec(ctx, `WITH theirs AS (SELECT key FROM access_objects
				WHERE wake IS NOT NULL AND holder = ANY($1) AND until > 0 ORDER BY key FOR UPDATE)
			UPDATE access_objects o SET until = 0 FROM theirs WHERE o.key = theirs.key`, holders)
		if err == nil {
			_, err = tx.Exec(ctx, `DELETE FROM access_holders WHERE name = ANY($1)`, holders)
		}
		return err
	})
}

// Time returns the clock of the server; see access.Store.
func (l *Lending) Time(ctx context.Context) (time.Time, error) {
	var now time.Time
	err := l.s.read(ctx, "reading the server's clock", func(q querier) error {
		return q.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now)
	})
	return now.UTC(), err
}
