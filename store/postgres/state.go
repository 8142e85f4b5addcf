package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

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
	return s.update(ctx, "saving the estate", turnEstate, func(tx querier) error {
		if err := h.note(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO estate (id, snapshot) VALUES (1, $1)
			ON CONFLICT (id) DO UPDATE SET snapshot = excluded.snapshot`, encoded)
		if err != nil {
			return err
		}
		// Names are rows of the inventory, which changes in a turn of its own.
		if _, err := tx.Exec(ctx, takeTurn, string(turnInventory)); err != nil {
			return err
		}
		return nameAPIs(ctx, tx, snapshot)
	})
}

func nameAPIs(ctx context.Context, tx querier, snapshot *estate.Snapshot) error {
	stages, err := savedStages(ctx, tx)
	if err != nil {
		return err
	}
	names := record.APINames(snapshot)
	var b batch
	for i := range stages {
		st := &stages[i]
		name := names[inventory.StageKey{Account: st.Account, Region: st.Region, APIID: st.APIID}]
		if name == "" || name == st.APIName {
			continue
		}
		b.add("", `UPDATE stages SET api_name = $1 WHERE id = $2`, name, record.StageID(st.StageKey))
	}
	return b.send(ctx, tx)
}

// LoadEstate returns the last saved snapshot, or nil if there is none.
func (s *Store) LoadEstate(ctx context.Context) (*estate.Snapshot, error) {
	var b []byte
	err := s.read(ctx, "loading the estate", func(q querier) (err error) {
		b, err = savedEstate(ctx, q)
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
func savedEstate(ctx context.Context, q querier) (b []byte, err error) {
	err = q.QueryRow(ctx, `SELECT snapshot FROM estate`).Scan(&b)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return b, err
}

// Setting returns the value of a key, or "" if it was never set.
func (s *Store) Setting(ctx context.Context, key string) (value string, err error) {
	err = s.read(ctx, "reading setting "+key, func(q querier) error {
		value, err = getSetting(ctx, q, key)
		return err
	})
	return value, err
}

// SetSetting sets the value of a key.
func (s *Store) SetSetting(ctx context.Context, key, value string) error {
	return s.update(ctx, "saving setting "+key, noTurn, func(tx querier) error {
		return putSetting(ctx, tx, key, value)
	})
}

// EnsureSetting returns the value of a key, which it sets first if it was never set.
func (s *Store) EnsureSetting(ctx context.Context, key, value string) (kept string, err error) {
	err = s.update(ctx, "saving setting "+key, noTurn, func(tx querier) error {
		// Nothing removes a key, so what another has just set is there to be read.
		if _, err := tx.Exec(ctx, `INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING`, key, value); err != nil {
			return err
		}
		kept, err = getSetting(ctx, tx, key)
		return err
	})
	return kept, err
}

func getSetting(ctx context.Context, q querier, key string) (value string, err error) {
	err = q.QueryRow(ctx, `SELECT value FROM settings WHERE key = $1`, key).Scan(&value)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return value, err
}

func putSetting(ctx context.Context, tx querier, key, value string) error {
	_, err := tx.Exec(ctx, `INSERT INTO settings (key, value) VALUES ($1, $2)
		ON CONFLICT (key) DO UPDATE SET value = excluded.value`, key, value)
	return err
}

// AcquireLease takes or prolongs a lease; see store.Leases. Its time is the clock of
// the server, which all processes share: theirs may differ by more than a lease lasts.
func (s *Store) AcquireLease(ctx context.Context, name, holder string, ttl time.Duration) error {
	var now *int64
	if s.clock != nil {
		ms := s.clock().UnixMilli()
		now = &ms
	}
	return s.update(ctx, "taking the lease", noTurn, func(tx querier) error {
		const clock = `coalesce($4::bigint, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)`
		for {
			n, err := affected(ctx, tx, `INSERT INTO leases AS l (name, holder, expires) VALUES ($1, $2, `+clock+` + $3)
				ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires = excluded.expires
				WHERE l.holder = excluded.holder OR l.expires <= `+clock, name, holder, ttl.Milliseconds(), now)
			if err != nil || n > 0 {
				return err
			}
			held := &store.HeldError{Name: name}
			var until int64
			err = tx.QueryRow(ctx, `SELECT holder, expires FROM leases WHERE name = $1`, name).Scan(&held.Holder, &until)
			if errors.Is(err, pgx.ErrNoRows) {
				continue // it was given back between the two statements
			}
			if err != nil {
				return err
			}
			held.Until = time.UnixMilli(until).UTC()
			return held
		}
	})
}

// ReleaseLease gives a lease back if holder has it.
func (s *Store) ReleaseLease(ctx context.Context, name, holder string) error {
	return s.update(ctx, "giving the lease back", noTurn, func(tx querier) error {
		_, err := tx.Exec(ctx, `DELETE FROM leases WHERE name = $1 AND holder = $2`, name, holder)
		return err
	})
}
