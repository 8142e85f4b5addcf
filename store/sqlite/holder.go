package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
)

// holders are the holders of leases that this Store attends, each with the file that it
// has locked for as long as it is there: the kernel unlocks it with the process, whatever
// that died of. The file is nil for a store in memory, which ends with the process too.
type holders struct {
	mu    sync.Mutex
	files map[string]*os.File
}

var errNotAttended = errors.New("others take this holder of leases for gone")

// holderFile is the file that a holder locks, beside the database: a name of a fixed
// length, whatever is in the holder's.
func holderFile(path, holder string) string {
	sum := sha256.Sum256([]byte(holder))
	return path + "-holder-" + hex.EncodeToString(sum[:8])
}

// isGone reports whether a holder that was attended is there no more.
func (h *holders) isGone(path, name string) bool {
	h.mu.Lock()
	_, ours := h.files[name]
	h.mu.Unlock()
	if ours {
		return false
	}
	return path == memory || unlocked(holderFile(path, name))
}

func (h *holders) add(name string, f *os.File) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.files[name] = f
}

// drop lets go of a holder. Without its lock anybody may take its leases.
func (h *holders) drop(name string) error {
	h.mu.Lock()
	f := h.files[name]
	delete(h.files, name)
	h.mu.Unlock()
	if f == nil {
		return nil
	}
	return f.Close()
}

func (h *holders) close() error {
	h.mu.Lock()
	files := h.files
	h.files = map[string]*os.File{}
	h.mu.Unlock()
	var errs []error
	for _, f := range files {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// file is the locked file of a holder; false: it is not attended here.
func (h *holders) file(name string) (*os.File, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f, ok := h.files[name]
	return f, ok
}

// Attend makes it known that a holder is there; see access.Store. The lock is there
// before its row, so that whoever reads the row finds it locked or its holder gone.
func (l *Lending) Attend(ctx context.Context, holder string) (access.Presence, error) {
	if l.s.path != memory && !canLock {
		return unknown{}, nil
	}
	var f *os.File
	if l.s.path != memory {
		var err error
		if f, err = lockFile(holderFile(l.s.path, holder)); err != nil {
			return nil, l.s.wrap("showing that a holder of leases is there", err)
		}
	}
	l.s.holders.add(holder, f)
	err := l.s.update(ctx, "showing that a holder of leases is there", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO access_holders (name) VALUES (?)`, holder)
		return err
	})
	if err != nil {
		err = errors.Join(err, l.s.holders.drop(holder))
		if f != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
		return nil, err
	}
	return &presence{l.s, holder}, nil
}

var _ access.Presence = (*presence)(nil)

// presence is a holder that is attended here.
type presence struct {
	s    *Store
	name string
}

// Check returns an error if others may take the holder for gone; see access.Presence.
func (p *presence) Check(ctx context.Context) error {
	f, ok := p.s.holders.file(p.name)
	if !ok {
		return errNotAttended
	}
	if f != nil {
		ours, err := f.Stat()
		if err != nil {
			return err
		}
		// Somebody who removes the file removes the lock that others see.
		if there, err := os.Stat(f.Name()); err != nil || !os.SameFile(ours, there) {
			return errors.Join(fmt.Errorf("%w: the file %s was removed", errNotAttended, f.Name()), err)
		}
	}
	return p.s.view(ctx, "looking whether a holder of leases is known", func(tx *sql.Tx) error {
		var n int
		err := tx.QueryRowContext(ctx, `SELECT count(*) FROM access_holders WHERE name = ?`, p.name).Scan(&n)
		if err == nil && n == 0 {
			err = errNotAttended
		}
		return err
	})
}

// Close ends it.
func (p *presence) Close() error { return p.s.holders.drop(p.name) }

// unknown is the Presence where files cannot be locked: leases run out by their time.
type unknown struct{}

// Check knows nothing to tell.
func (unknown) Check(context.Context) error { return nil }

// Close has nothing to end.
func (unknown) Close() error { return nil }

// EndLeases ends the leases of holders now; see access.Store. Who holds a lease has an
// object that is to be changed, so an index finds them.
func (l *Lending) EndLeases(ctx context.Context, holders []string) error {
	err := l.s.update(ctx, "ending leases", func(tx *sql.Tx) error {
		for _, name := range holders {
			if _, err := tx.ExecContext(ctx, `UPDATE access_objects SET until = 0 WHERE wake IS NOT NULL AND holder = ? AND until > 0`, name); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM access_holders WHERE name = ?`, name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || l.s.path == memory {
		return err
	}
	for _, name := range holders {
		// One that stays is in nobody's way.
		_ = os.Remove(holderFile(l.s.path, name))
	}
	return nil
}

// Time returns the zero time: the clock of an SQLite file is ours.
func (l *Lending) Time(context.Context) (time.Time, error) { return time.Time{}, nil }
