package sqlite

import (
	"context"
	"database/sql"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
)

// objectColumns are what scanObject reads.
const objectColumns = `body, key, integration, generation, applied, due, wake, holder, until, fence`

// scanObject reads an object. What stands in a column is newer than the body.
func scanObject(rows *sql.Rows) (out access.Leased, holder string, until int64, err error) {
	var body []byte
	var key, integration string
	var generation, applied, due, fence int64
	var wake sql.NullInt64
	if err = rows.Scan(&body, &key, &integration, &generation, &applied, &due, &wake, &holder, &until, &fence); err != nil {
		return out, "", 0, err
	}
	o, err := access.DecodeRow[access.Object](body)
	if err != nil {
		return out, "", 0, err
	}
	o.Key, o.Integration, o.Generation, o.Applied, o.DueAt = key, integration, generation, applied, fromMicros(due)
	o.NextTry = time.Time{}
	if wake.Valid {
		o.NextTry = fromMicros(wake.Int64)
	}
	return access.Leased{Object: *o, Lease: access.Lease{Key: key, Fence: fence}}, holder, until, nil
}

// LeaseObjects takes objects that are due; see access.Store.
func (l *Lending) LeaseObjects(ctx context.Context, q access.LeaseQuery) ([]access.Leased, error) {
	var out []access.Leased
	err := l.s.update(ctx, "leasing objects", func(tx *sql.Tx) error {
		w := accessWriter{preparer: preparer{ctx: ctx, tx: tx}}
		defer w.close()
		err := each(ctx, tx, `SELECT `+objectColumns+` FROM access_objects
			WHERE integration = ? AND wake <= ? AND until <= ? ORDER BY wake, key LIMIT ?`,
			[]any{q.Integration, q.Now.UnixMicro(), q.Now.UnixMicro(), q.Limit}, func(rows *sql.Rows) error {
				o, holder, _, err := scanObject(rows)
				o.Lease.Fence++
				o.Lease.Until, o.Stolen = q.Until, holder != ""
				out = append(out, o)
				return err
			})
		if err != nil || len(out) == 0 {
			return err
		}
		take := w.prepare(`UPDATE access_objects SET holder = ?, until = ?, fence = ? WHERE key = ?`)
		if w.err != nil {
			return w.err
		}
		for i := range out {
			if _, err := take.exec(q.Holder, q.Until.UnixMicro(), out[i].Lease.Fence, out[i].Lease.Key); err != nil {
				return err
			}
			if out[i].Holdings, err = holdings(ctx, tx, out[i].Object.Key, q.Now); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// holdings are the shares of live grants of one object.
func holdings(ctx context.Context, tx *sql.Tx, key string, now time.Time) ([]access.Holding, error) {
	var out []access.Holding
	err := each(ctx, tx, `SELECT i.n, g.body FROM access_items i JOIN access_grants g ON g.id = i.grant_id
		WHERE i.object = ? AND i.stage < 2 AND i.stage = 0 ORDER BY i.grant_id, i.n`, []any{key}, func(rows *sql.Rows) error {
		var n int
		var body []byte
		if err := rows.Scan(&n, &body); err != nil {
			return err
		}
		g, err := access.DecodeRow[access.Grant](body)
		if err != nil {
			return err
		}
		out = append(out, g.Holding(n, now))
		return nil
	})
	return out, err
}

// RenewLeases prolongs leases that are still held; see access.Store.
func (l *Lending) RenewLeases(ctx context.Context, holder string, leases []access.Lease, until time.Time) ([]string, error) {
	var kept []string
	err := l.s.update(ctx, "renewing leases", func(tx *sql.Tx) error {
		w := accessWriter{preparer: preparer{ctx: ctx, tx: tx}}
		defer w.close()
		put := w.prepare(`UPDATE access_objects SET until = max(until, ?) WHERE key = ? AND holder = ? AND fence = ?`)
		if w.err != nil {
			return w.err
		}
		for _, lease := range leases {
			result, err := put.exec(until.UnixMicro(), lease.Key, holder, lease.Fence)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return err
			}
			if n == 1 {
				kept = append(kept, lease.Key)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return kept, nil
}

// Objects returns the objects of the keys that exist; see access.Store.
func (l *Lending) Objects(ctx context.Context, keys []string) ([]access.Object, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	conditions, args := among(nil, nil, "key", keys)
	var out []access.Object
	err := l.s.view(ctx, "reading objects", func(tx *sql.Tx) error {
		return each(ctx, tx, `SELECT `+objectColumns+` FROM access_objects WHERE `+conditions[0]+` ORDER BY key`, args, func(rows *sql.Rows) error {
			o, _, _, err := scanObject(rows)
			out = append(out, o.Object)
			return err
		})
	})
	return out, err
}

// Ledger returns every object of an integration with its holdings; see access.Store.
func (l *Lending) Ledger(ctx context.Context, integration string, now time.Time) ([]access.Leased, error) {
	var out []access.Leased
	err := l.s.view(ctx, "reading the ledger", func(tx *sql.Tx) error {
		err := each(ctx, tx, `SELECT `+objectColumns+` FROM access_objects WHERE integration = ? ORDER BY key`, []any{integration}, func(rows *sql.Rows) error {
			o, _, until, err := scanObject(rows)
			o.Lease.Until = fromMicros(until)
			out = append(out, o)
			return err
		})
		for i := 0; i < len(out) && err == nil; i++ {
			out[i].Holdings, err = holdings(ctx, tx, out[i].Object.Key, now)
		}
		return err
	})
	return out, err
}

// LateObjects returns objects that are not done in time; see access.Store.
func (l *Lending) LateObjects(ctx context.Context, before time.Time, limit int) ([]access.Object, map[string]int, error) {
	var out []access.Object
	count := map[string]int{}
	err := l.s.view(ctx, "looking for what is late", func(tx *sql.Tx) error {
		err := each(ctx, tx, `SELECT integration, count(*) FROM access_objects WHERE wake IS NOT NULL AND applied < generation AND due < ? GROUP BY integration`,
			[]any{before.UnixMicro()}, func(rows *sql.Rows) error {
				var name string
				var n int
				err := rows.Scan(&name, &n)
				count[name] = n
				return err
			})
		if err != nil || len(count) == 0 {
			return err
		}
		return each(ctx, tx, `SELECT `+objectColumns+` FROM access_objects WHERE wake IS NOT NULL AND applied < generation AND due < ? ORDER BY due, key LIMIT ?`,
			[]any{before.UnixMicro(), limit}, func(rows *sql.Rows) error {
				o, _, _, err := scanObject(rows)
				out = append(out, o.Object)
				return err
			})
	})
	if err != nil {
		return nil, nil, err
	}
	return out, count, nil
}
