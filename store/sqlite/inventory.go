package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/record"
)

// settingSequence holds the Sequence of the last Changes applied.
const settingSequence = "inventory.sequence"

func (s *Store) applyInventory(ctx context.Context, tx *sql.Tx, c *inventory.Changes) error {
	last, err := sequence(ctx, tx)
	if err != nil {
		return err
	}
	switch c.Sequence {
	case last:
		return nil // saved before, although the answer did not arrive
	case last + 1:
	default:
		return fmt.Errorf("%w: number %d after %d: load the inventory from this store first",
			store.ErrSequence, c.Sequence, last)
	}
	if err := putSetting(ctx, tx, settingSequence, strconv.FormatUint(c.Sequence, 10)); err != nil {
		return err
	}
	for _, apply := range []func(context.Context, *sql.Tx, *inventory.Changes) error{
		putStages, putEndpoints, removeEndpoints, putSamples, addMinutes, s.pruneMinutes,
	} {
		if err := apply(ctx, tx, c); err != nil {
			return err
		}
	}
	return nil
}

func sequence(ctx context.Context, tx *sql.Tx) (uint64, error) {
	text, err := getSetting(ctx, tx, settingSequence)
	if err != nil || text == "" {
		return 0, err
	}
	return strconv.ParseUint(text, 10, 64)
}

// putStages keeps a name that the estate has told where the inventory has none.
func putStages(ctx context.Context, tx *sql.Tx, c *inventory.Changes) error {
	p := preparer{ctx: ctx, tx: tx}
	defer p.close()
	put := p.prepare(`INSERT INTO stages (id, api_type, account, region, api_id, stage, api_name, probes, unrouted, overflow, open)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET api_name = iif(excluded.api_name = '', api_name, excluded.api_name),
			probes = excluded.probes, unrouted = excluded.unrouted, overflow = excluded.overflow, open = excluded.open`)
	if p.err != nil {
		return p.err
	}
	for i := range c.Stages {
		st := &c.Stages[i]
		open, err := json.Marshal(st.Open)
		if err != nil {
			return err
		}
		_, err = put.exec(record.StageID(st.StageKey), string(st.APIType), st.Account, st.Region, st.APIID, st.Stage,
			st.APIName, st.Probes, st.Unrouted, st.Overflow, string(open))
		if err != nil {
			return fmt.Errorf("stage %s: %w", st.API(), err)
		}
	}
	return nil
}

func putEndpoints(ctx context.Context, tx *sql.Tx, c *inventory.Changes) error {
	p := preparer{ctx: ctx, tx: tx}
	defer p.close()
	// Nearly every change is of counts alone. An UPDATE that names no indexed
	// column leaves the indexes in peace.
	update := p.prepare(`UPDATE endpoints SET last_seen = ?, calls = ?, errors_4xx = ?, errors_5xx = ?, callers = ?,
			latency_p50 = ?, latency_p95 = ?, latency_p99 = ?, route_source = ?
		WHERE id = ? AND first_seen = ? AND visibility = ?`)
	insert := p.prepare(`INSERT OR REPLACE INTO endpoints (last_seen, calls, errors_4xx, errors_5xx, callers,
			latency_p50, latency_p95, latency_p99, route_source, id, first_seen, visibility, stage_id, method, route)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	state := p.prepare(`INSERT INTO endpoint_states (endpoint, state, minutes) VALUES (?, ?, ?)
		ON CONFLICT (endpoint) DO UPDATE SET state = excluded.state, minutes = excluded.minutes`)
	revive := p.prepare(`DELETE FROM endpoint_aliases WHERE id = ?`)
	if p.err != nil {
		return p.err
	}
	args := make([]any, 0, 15)
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		args = append(args[:0], e.LastSeen.UnixMilli(), e.Calls, e.Errors4xx, e.Errors5xx, e.Callers,
			e.LatencyP50, e.LatencyP95, e.LatencyP99, string(e.RouteSource),
			e.ID, e.FirstSeen.UnixMilli(), string(e.Visibility))
		changed, err := affected(update.exec(args...))
		if err == nil && changed == 0 {
			_, err = insert.exec(append(args, record.StageID(record.StageOf(e.Key)), e.Method, e.Route)...)
			if err == nil {
				_, err = revive.exec(e.ID)
			}
		}
		if err == nil {
			_, err = state.exec(e.ID, e.State, e.Minutes)
		}
		if err != nil {
			return fmt.Errorf("endpoint %s: %w", e.ID, err)
		}
	}
	return nil
}

func affected(r sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

func removeEndpoints(ctx context.Context, tx *sql.Tx, c *inventory.Changes) error {
	for _, id := range c.Removed {
		if _, err := tx.ExecContext(ctx, `DELETE FROM endpoints WHERE id = ?`, id); err != nil {
			return fmt.Errorf("endpoint %s: %w", id, err)
		}
	}
	for _, a := range c.Aliases {
		// Aliases that led to the one that is gone now lead further.
		_, err := tx.ExecContext(ctx, `UPDATE endpoint_aliases SET target = ? WHERE target = ?`, a.To, a.From)
		if err == nil {
			_, err = tx.ExecContext(ctx, `INSERT OR REPLACE INTO endpoint_aliases (id, target) VALUES (?, ?)`, a.From, a.To)
		}
		if err != nil {
			return fmt.Errorf("alias %s: %w", a.From, err)
		}
	}
	return nil
}

func putSamples(ctx context.Context, tx *sql.Tx, c *inventory.Changes) error {
	p := preparer{ctx: ctx, tx: tx}
	defer p.close()
	put := p.prepare(`INSERT INTO samples (key, body) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET body = excluded.body`)
	remove := p.prepare(`DELETE FROM samples WHERE key = ?`)
	if p.err != nil {
		return p.err
	}
	for _, sample := range c.Samples {
		if _, err := put.exec(sample.Key, sample.JSON); err != nil {
			return fmt.Errorf("sample %s: %w", sample.Key, err)
		}
	}
	for _, key := range c.RemovedSamples {
		if _, err := remove.exec(key); err != nil {
			return fmt.Errorf("sample %s: %w", key, err)
		}
	}
	return nil
}

func addMinutes(ctx context.Context, tx *sql.Tx, c *inventory.Changes) error {
	p := preparer{ctx: ctx, tx: tx}
	defer p.close()
	add := p.prepare(`INSERT INTO minutes (api, minute, calls, errors_4xx, errors_5xx, full, truncated, metadata)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (api, minute) DO UPDATE SET calls = calls + excluded.calls,
			errors_4xx = errors_4xx + excluded.errors_4xx, errors_5xx = errors_5xx + excluded.errors_5xx,
			full = full + excluded.full, truncated = truncated + excluded.truncated, metadata = metadata + excluded.metadata`)
	if p.err != nil {
		return p.err
	}
	for i := range c.Minutes {
		m := &c.Minutes[i]
		_, err := add.exec(m.API, minuteOf(m.Time), m.Calls, m.Errors4xx, m.Errors5xx, m.Full, m.Truncated, m.Metadata)
		if err != nil {
			return fmt.Errorf("minute %s of %q: %w", m.Time.Format(time.RFC3339), m.API, err)
		}
	}
	return nil
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

const (
	pruneEvery = time.Minute
	// pruneRows bounds what one commit has to wait for.
	pruneRows = 5000
)

// pruneMinutes forgets the minutes that are older than the retention, some each
// minute.
func (s *Store) pruneMinutes(ctx context.Context, tx *sql.Tx, _ *inventory.Changes) error {
	now := s.clock()
	if now.Sub(s.pruned) < pruneEvery {
		return nil
	}
	s.pruned = now
	_, err := tx.ExecContext(ctx, `DELETE FROM minutes WHERE (api, minute) IN
		(SELECT api, minute FROM minutes WHERE minute < ? ORDER BY minute LIMIT ?)`, minuteOf(now.Add(-s.keep)), pruneRows)
	if err != nil {
		return fmt.Errorf("pruning minutes: %w", err)
	}
	return nil
}

// InventorySequence returns the Sequence of the last Changes applied, or 0.
func (s *Store) InventorySequence(ctx context.Context) (n uint64, err error) {
	err = s.view(ctx, "reading the inventory's sequence", func(tx *sql.Tx) error {
		n, err = sequence(ctx, tx)
		return err
	})
	return n, err
}

// SavedStages returns all stages that the inventory has saved.
func (s *Store) SavedStages(ctx context.Context) (stages []inventory.SavedStage, err error) {
	err = s.view(ctx, "reading the inventory's stages", func(tx *sql.Tx) error {
		stages, err = savedStages(ctx, tx)
		return err
	})
	return stages, err
}

func savedStages(ctx context.Context, tx *sql.Tx) (stages []inventory.SavedStage, err error) {
	err = each(ctx, tx, `SELECT api_type, account, region, api_id, stage, api_name, probes, unrouted, overflow, open
		FROM stages ORDER BY account, region, api_id, stage, api_type`, nil, func(rows *sql.Rows) error {
		var st inventory.SavedStage
		var open string
		err := rows.Scan(&st.APIType, &st.Account, &st.Region, &st.APIID, &st.Stage, &st.APIName,
			&st.Probes, &st.Unrouted, &st.Overflow, &open)
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(open), &st.Open); err != nil {
			return fmt.Errorf("stage %s: %w", st.API(), err)
		}
		stages = append(stages, st)
		return nil
	})
	return stages, err
}

// EachEndpoint calls yield with every endpoint. yield must not use the store.
func (s *Store) EachEndpoint(ctx context.Context, yield func(*inventory.Saved) error) error {
	return s.view(ctx, "reading the inventory's endpoints", func(tx *sql.Tx) error {
		return each(ctx, tx, `SELECT `+endpointColumns+`, t.state, t.minutes
			FROM endpoints e JOIN stages s ON s.id = e.stage_id JOIN endpoint_states t ON t.endpoint = e.id`, nil,
			func(rows *sql.Rows) error {
				var saved inventory.Saved
				if err := scanEndpoint(rows, &saved.Endpoint, &saved.State, &saved.Minutes); err != nil {
					return err
				}
				return yield(&saved)
			})
	})
}

const endpointColumns = `e.id, s.api_type, s.account, s.region, s.api_id, s.stage, s.api_name, e.method, e.route,
	e.route_source, e.visibility, e.first_seen, e.last_seen, e.calls, e.errors_4xx, e.errors_5xx, e.callers,
	e.latency_p50, e.latency_p95, e.latency_p99`

type scanner interface{ Scan(dest ...any) error }

// scanEndpoint reads endpointColumns and what follows them.
func scanEndpoint(row scanner, e *inventory.Endpoint, more ...any) error {
	var first, last int64
	dest := append([]any{
		&e.ID, &e.APIType, &e.Account, &e.Region, &e.APIID, &e.Stage, &e.APIName, &e.Method, &e.Route,
		&e.RouteSource, &e.Visibility, &first, &last, &e.Calls, &e.Errors4xx, &e.Errors5xx, &e.Callers,
		&e.LatencyP50, &e.LatencyP95, &e.LatencyP99,
	}, more...)
	if err := row.Scan(dest...); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return inventory.ErrNotFound
		}
		return err
	}
	e.FirstSeen, e.LastSeen = time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC()
	return nil
}
