package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/record"
)

// SaveEstate replaces the last snapshot, notes in the history what differs from it,
// and gives the inventory the names of the APIs in it.
func (s *Store) SaveEstate(ctx context.Context, snapshot *estate.Snapshot) error {
	encoded, err := record.Estate(snapshot)
	if err != nil {
		return err
	}
	h, err := s.compare(ctx, snapshot)
	if err != nil {
		return err
	}
	return s.update(ctx, "saving the estate", func(tx *sql.Tx) error {
		if err := h.note(ctx, tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `INSERT INTO estate (id, snapshot) VALUES (1, ?)
			ON CONFLICT (id) DO UPDATE SET snapshot = excluded.snapshot`, encoded)
		if err != nil {
			return err
		}
		return nameAPIs(ctx, tx, snapshot)
	})
}

func nameAPIs(ctx context.Context, tx *sql.Tx, snapshot *estate.Snapshot) error {
	stages, err := savedStages(ctx, tx)
	if err != nil {
		return err
	}
	names := record.APINames(snapshot)
	for i := range stages {
		st := &stages[i]
		name := names[inventory.StageKey{Account: st.Account, Region: st.Region, APIID: st.APIID}]
		if name == "" || name == st.APIName {
			continue
		}
		if _, err := tx.ExecContext(ctx, `UPDATE stages SET api_name = ? WHERE id = ?`, name, record.StageID(st.StageKey)); err != nil {
			return err
		}
	}
	return nil
}

// LoadEstate returns the last saved snapshot, or nil if there is none.
func (s *Store) LoadEstate(ctx context.Context) (*estate.Snapshot, error) {
	var b []byte
	err := s.view(ctx, "loading the estate", func(tx *sql.Tx) (err error) {
		b, err = savedEstate(ctx, tx)
		return err
	})
	if err != nil || b == nil {
		return nil, err
	}
	snapshot, err := record.ReadEstate(b)
	if err != nil {
		return nil, fmt.Errorf("loading the estate: %w", err)
	}
	return snapshot, nil
}

// savedEstate is the last snapshot as it is stored, or nil.
func savedEstate(ctx context.Context, tx *sql.Tx) (b []byte, err error) {
	err = tx.QueryRowContext(ctx, `SELECT snapshot FROM estate`).Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return b, err
}

// Setting returns the value of a key, or "" if it was never set.
func (s *Store) Setting(ctx context.Context, key string) (value string, err error) {
	err = s.view(ctx, "reading setting "+key, func(tx *sql.Tx) error {
		value, err = getSetting(ctx, tx, key)
		return err
	})
	return value, err
}

// SetSetting sets the value of a key.
func (s *Store) SetSetting(ctx context.Context, key, value string) error {
	return s.update(ctx, "saving setting "+key, func(tx *sql.Tx) error {
		return putSetting(ctx, tx, key, value)
	})
}

// EnsureSetting returns the value of a key, which it sets first if it was never set.
func (s *Store) EnsureSetting(ctx context.Context, key, value string) (kept string, err error) {
	err = s.update(ctx, "saving setting "+key, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO settings (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING`, key, value); err != nil {
			return err
		}
		kept, err = getSetting(ctx, tx, key)
		return err
	})
	return kept, err
}

func getSetting(ctx context.Context, tx *sql.Tx, key string) (value string, err error) {
	err = tx.QueryRowContext(ctx, `SELECT value FROM settings WHERE key = ?`, key).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}

func putSetting(ctx context.Context, tx *sql.Tx, key, value string) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO settings (key, value) VALUES (?, ?)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
	return err
}

// AcquireLease takes or prolongs a lease; see store.Leases. Its time is the
// clock of this machine, which all processes on one file share.
func (s *Store) AcquireLease(ctx context.Context, name, holder string, ttl time.Duration) error {
	now := s.clock()
	return s.update(ctx, "taking the lease", func(tx *sql.Tx) error {
		n, err := affected(tx.ExecContext(ctx, `INSERT INTO leases (name, holder, expires) VALUES (?1, ?2, ?3)
			ON CONFLICT (name) DO UPDATE SET holder = ?2, expires = ?3 WHERE holder = ?2 OR expires <= ?4`,
			name, holder, now.Add(ttl).UnixMilli(), now.UnixMilli()))
		if err != nil || n > 0 {
			return err
		}
		held := &store.HeldError{Name: name}
		var until int64
		err = tx.QueryRowContext(ctx, `SELECT holder, expires FROM leases WHERE name = ?`, name).Scan(&held.Holder, &until)
		if err != nil {
			return err
		}
		held.Until = time.UnixMilli(until).UTC()
		return held
	})
}

// ReleaseLease gives a lease back if holder has it.
func (s *Store) ReleaseLease(ctx context.Context, name, holder string) error {
	return s.update(ctx, "giving the lease back", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM leases WHERE name = ? AND holder = ?`, name, holder)
		return err
	})
}
