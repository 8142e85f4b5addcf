package postgres

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-project/gatehouse/access"
)

// objectColumns are what scanObject reads.
const objectColumns = `o.body, o.key, o.integration, o.generation, o.applied, o.due, o.wake, o.until, o.fence`

// scanObject reads an object and what follows it. What stands in a column is newer than
// the body.
func scanObject(rows pgx.Rows, more ...any) (out access.Leased, err error) {
	var body []byte
	var key, integration string
	var generation, applied, due, until, fence int64
	var wake *int64
	if err = rows.Scan(append([]any{&body, &key, &integration, &generation, &applied, &due, &wake, &until, &fence}, more...)...); err != nil {
		return out, err
	}
	o, err := access.DecodeRow[access.Object](body)
	if err != nil {
		return out, err
	}
	o.Key, o.Integration, o.Generation, o.Applied, o.DueAt = key, integration, generation, applied, fromMicros(due)
	o.NextTry = time.Time{}
	if wake != nil {
		o.NextTry = fromMicros(*wake)
	}
	return access.Leased{Object: *o, Lease: access.Lease{Key: key, Fence: fence, Until: fromMicros(until)}}, nil
}

// LeaseObjects takes objects that are due; see access.Store. Several processes that take
// at once do not wait for one another: what one of them is at, the others pass over.
func (l *Lending) LeaseObjects(ctx context.Context, q access.LeaseQuery) ([]access.Leased, error) {
	var out []access.Leased
	err := l.s.update(ctx, "leasing objects", noTurn, func(tx querier) error {
		out = nil
		var keys []string
		err := each(ctx, tx, `WITH due AS (SELECT key, holder FROM access_objects
				WHERE integration = $1 AND wake <= $2 AND until <= $2 ORDER BY wake, key LIMIT $3 FOR UPDATE SKIP LOCKED)
			UPDATE access_objects o SET holder = $4, until = $5, fence = o.fence + 1 FROM due WHERE o.key = due.key
			RETURNING `+objectColumns+`, due.holder`,
			[]any{q.Integration, q.Now.UnixMicro(), q.Limit, q.Holder, q.Until.UnixMicro()}, func(rows pgx.Rows) error {
				var before string
				o, err := scanObject(rows, &before)
				o.Lease.Until, o.Stolen = q.Until, before != ""
				out, keys = append(out, o), append(keys, o.Lease.Key)
				return err
			})
		if err != nil || len(out) == 0 {
			return err
		}
		// The objects are locked, so nothing that is wished of them changes until the
		// commit: who changes that touches them, and waits.
		held, err := holdings(ctx, tx, keys, q.Now)
		for i := range out {
			out[i].Holdings = held[out[i].Object.Key]
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b access.Leased) int {
		return cmp.Or(a.Object.NextTry.Compare(b.Object.NextTry), cmp.Compare(a.Object.Key, b.Object.Key))
	})
	return out, nil
}

// holdings are the shares of live grants of objects.
func holdings(ctx context.Context, q querier, keys []string, now time.Time) (map[string][]access.Holding, error) {
	out := make(map[string][]access.Holding, len(keys))
	err := each(ctx, q, `SELECT i.object, i.n, g.body FROM access_items i JOIN access_grants g ON g.id = i.grant_id
		WHERE i.object = ANY($1) AND i.stage < 2 AND i.stage = 0 ORDER BY i.object, i.grant_id, i.n`, []any{keys}, func(rows pgx.Rows) error {
		var key string
		var n int
		var body []byte
		if err := rows.Scan(&key, &n, &body); err != nil {
			return err
		}
		g, err := access.DecodeRow[access.Grant](body)
		if err != nil {
			return err
		}
		out[key] = append(out[key], g.Holding(n, now))
		return nil
	})
	return out, err
}

// RenewLeases prolongs leases that are still held; see access.Store.
func (l *Lending) RenewLeases(ctx context.Context, holder string, leases []access.Lease, until time.Time) ([]string, error) {
	keys, fences := make([]string, 0, len(leases)), make([]int64, 0, len(leases))
	for _, lease := range leases {
		keys, fences = append(keys, lease.Key), append(fences, lease.Fence)
	}
	held := map[string]bool{}
	err := l.s.update(ctx, "renewing leases", noTurn, func(tx querier) error {
		clear(held)
		return each(ctx, tx, `WITH mine AS (SELECT o.key FROM access_objects o
				JOIN unnest($1::text[], $2::bigint[]) l (key, fence) ON o.key = l.key COLLATE "C" AND o.fence = l.fence
				WHERE o.holder = $3 ORDER BY o.key FOR UPDATE OF o)
			UPDATE access_objects o SET until = greatest(o.until, $4) FROM mine WHERE o.key = mine.key RETURNING o.key`,
			[]any{keys, fences, holder, until.UnixMicro()}, func(rows pgx.Rows) error {
				var key string
				err := rows.Scan(&key)
				held[key] = true
				return err
			})
	})
	if err != nil {
		return nil, err
	}
	var kept []string
	for _, key := range keys {
		if held[key] {
			kept = append(kept, key)
		}
	}
	return kept, nil
}

// Objects returns the objects of the keys that exist; see access.Store.
func (l *Lending) Objects(ctx context.Context, keys []string) ([]access.Object, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	var out []access.Object
	err := l.s.read(ctx, "reading objects", func(q querier) error {
		out = nil
		return each(ctx, q, `SELECT `+objectColumns+` FROM access_objects o WHERE o.key = ANY($1) ORDER BY o.key`, []any{keys}, func(rows pgx.Rows) error {
			o, err := scanObject(rows)
			out = append(out, o.Object)
			return err
		})
	})
	return out, err
}

// Ledger returns every object of an integration with its holdings; see access.Store.
func (l *Lending) Ledger(ctx context.Context, integration string, now time.Time) ([]access.Leased, error) {
	var out []access.Leased
	err := l.s.view(ctx, "reading the ledger", func(tx querier) error {
		out = nil
		err := each(ctx, tx, `SELECT `+objectColumns+` FROM access_objects o WHERE o.integration = $1 ORDER BY o.key`, []any{integration}, func(rows pgx.Rows) error {
			o, err := scanObject(rows)
			out = append(out, o)
			return err
		})
		if err != nil {
			return err
		}
		const atOnce = 5000
		for part := range slices.Chunk(out, atOnce) {
			keys := make([]string, 0, len(part))
			for i := range part {
				keys = append(keys, part[i].Object.Key)
			}
			held, err := holdings(ctx, tx, keys, now)
			if err != nil {
				return err
			}
			for i := range part {
				part[i].Holdings = held[part[i].Object.Key]
			}
		}
		return nil
	})
	return out, err
}

// LateObjects returns objects that are not done in time; see access.Store.
func (l *Lending) LateObjects(ctx context.Context, before time.Time, limit int) ([]access.Object, map[string]int, error) {
	var out []access.Object
	var count map[string]int
	err := l.s.view(ctx, "looking for what is late", func(tx querier) error {
		out, count = nil, map[string]int{}
		err := each(ctx, tx, `SELECT integration, count(*) FROM access_objects WHERE wake IS NOT NULL AND applied < generation AND due < $1 GROUP BY integration`,
			[]any{before.UnixMicro()}, func(rows pgx.Rows) error {
				var name string
				var n int
				err := rows.Scan(&name, &n)
				count[name] = n
				return err
			})
		if err != nil || len(count) == 0 {
			return err
		}
		return each(ctx, tx, `SELECT `+objectColumns+` FROM access_objects o WHERE o.wake IS NOT NULL AND o.applied < o.generation AND o.due < $1 ORDER BY o.due, o.key LIMIT $2`,
			[]any{before.UnixMicro(), limit}, func(rows pgx.Rows) error {
				o, err := scanObject(rows)
				out = append(out, o.Object)
				return err
			})
	})
	if err != nil {
		return nil, nil, err
	}
	return out, count, nil
}
