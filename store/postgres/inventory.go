package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/record"
)

// settingSequence holds the Sequence of the last Changes applied.
const settingSequence = "inventory.sequence"

func (s *Store) applyInventory(ctx context.Context, tx querier, c *inventory.Changes) error {
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
	var b batch
	if err := putStages(&b, c); err != nil {
		return err
	}
	putEndpoints(&b, c)
	removeEndpoints(&b, c)
	for _, sample := range c.Samples {
		b.add("sample "+sample.Key, `INSERT INTO samples (key, body) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET body = excluded.body`,
			sample.Key, append([]byte{}, sample.JSON...))
	}
	if len(c.RemovedSamples) > 0 {
		b.add("samples", `DELETE FROM samples WHERE key = ANY($1)`, c.RemovedSamples)
	}
	addMinutes(&b, c)
	s.pruneMinutes(&b)
	return b.send(ctx, tx)
}

func sequence(ctx context.Context, q querier) (uint64, error) {
	text, err := getSetting(ctx, q, settingSequence)
	if err != nil || text == "" {
		return 0, err
	}
	return strconv.ParseUint(text, 10, 64)
}

// putStages keeps a name that the estate has told where the inventory has none.
func putStages(b *batch, c *inventory.Changes) error {
	for i := range c.Stages {
		st := &c.Stages[i]
		open, err := json.Marshal(st.Open)
		if err != nil {
			return err
		}
		b.add("stage "+st.API(), `INSERT INTO stages AS s (id, api_type, account, region, api_id, stage, api_name, probes, unrouted, overflow, open)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			ON CONFLICT (id) DO UPDATE SET api_name = CASE excluded.api_name WHEN '' THEN s.api_name ELSE excluded.api_name END,
				probes = excluded.probes, unrouted = excluded.unrouted, overflow = excluded.overflow, open = excluded.open`,
			record.StageID(st.StageKey), string(st.APIType), st.Account, st.Region, st.APIID, st.Stage,
			st.APIName, st.Probes, st.Unrouted, st.Overflow, document(open))
	}
	return nil
}

func putEndpoints(b *batch, c *inventory.Changes) {
	if len(c.Endpoints) == 0 {
		return
	}
	ids := make([]string, 0, len(c.Endpoints))
	for i := range c.Endpoints {
		e := &c.Endpoints[i]
		ids = append(ids, e.ID)
		what := "endpoint " + e.ID
		// Nearly every change is of counts alone, which no index has.
		b.add(what, `INSERT INTO endpoints (id, stage_id, method, route, route_source, visibility, first_seen, last_seen,
				calls, errors_4xx, errors_5xx, callers, latency_p50, latency_p95, latency_p99)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
			ON CONFLICT (id) DO UPDATE SET stage_id = excluded.stage_id, method = excluded.method, route = excluded.route,
				route_source = excluded.route_source, visibility = excluded.visibility, first_seen = excluded.first_seen,
				last_seen = excluded.last_seen, calls = excluded.calls, errors_4xx = excluded.errors_4xx,
				errors_5xx = excluded.errors_5xx, callers = excluded.callers, latency_p50 = excluded.latency_p50,
				latency_p95 = excluded.latency_p95, latency_p99 = excluded.latency_p99`,
			e.ID, record.StageID(record.StageOf(e.Key)), e.Method, e.Route, string(e.RouteSource), string(e.Visibility),
			e.FirstSeen.UnixMilli(), e.LastSeen.UnixMilli(), e.Calls, e.Errors4xx, e.Errors5xx, e.Callers,
			e.LatencyP50, e.LatencyP95, e.LatencyP99)
		b.add(what, `INSERT INTO endpoint_states (endpoint, state, minutes) VALUES ($1, $2, $3)
			ON CONFLICT (endpoint) DO UPDATE SET state = excluded.state, minutes = excluded.minutes`,
			e.ID, append([]byte{}, e.State...), append([]byte{}, e.Minutes...))
	}
	b.add("aliases", `DELETE FROM endpoint_aliases WHERE id = ANY($1)`, ids)
}

func removeEndpoints(b *batch, c *inventory.Changes) {
	if len(c.Removed) > 0 {
		b.add("endpoints", `DELETE FROM endpoints WHERE id = ANY($1)`, c.Removed)
	}
	for _, a := range c.Aliases {
		// Aliases that led to the one that is gone now lead further.
		b.add("alias "+a.From, `UPDATE endpoint_aliases SET target = $1 WHERE target = $2`, a.To, a.From)
		b.add("alias "+a.From, `INSERT INTO endpoint_aliases (id, target) VALUES ($1, $2)
			ON CONFLICT (id) DO UPDATE SET target = excluded.target`, a.From, a.To)
	}
}

func addMinutes(b *batch, c *inventory.Changes) {
	for i := range c.Minutes {
		m := &c.Minutes[i]
		b.add("minutes of "+m.API, `INSERT INTO minutes AS m (api, minute, calls, errors_4xx, errors_5xx, "full", truncated, metadata)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (api, minute) DO UPDATE SET calls = m.calls + excluded.calls,
				errors_4xx = m.errors_4xx + excluded.errors_4xx, errors_5xx = m.errors_5xx + excluded.errors_5xx,
				"full" = m."full" + excluded."full", truncated = m.truncated + excluded.truncated, metadata = m.metadata + excluded.metadata`,
			m.API, minuteOf(m.Time), m.Calls, m.Errors4xx, m.Errors5xx, m.Full, m.Truncated, m.Metadata)
	}
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

// pruneRows bounds what one commit has to wait for.
const pruneRows = 5000

// pruneMinutes forgets the minutes that are older than the retention, some each
// minute.
func (s *Store) pruneMinutes(b *batch) {
	now := s.now()
	if s.pruned.due(now) {
		b.add("pruning minutes", `DELETE FROM minutes WHERE (api, minute) IN
			(SELECT api, minute FROM minutes WHERE minute < $1 ORDER BY minute LIMIT $2)`, minuteOf(now.Add(-s.keep)), pruneRows)
	}
}

// InventorySequence returns the Sequence of the last Changes applied, or 0.
func (s *Store) InventorySequence(ctx context.Context) (n uint64, err error) {
	err = s.read(ctx, "reading the inventory's sequence", func(q querier) error {
		n, err = sequence(ctx, q)
		return err
	})
	return n, err
}

// SavedStages returns all stages that the inventory has saved.
func (s *Store) SavedStages(ctx context.Context) (stages []inventory.SavedStage, err error) {
	err = s.read(ctx, "reading the inventory's stages", func(q querier) error {
		stages, err = savedStages(ctx, q)
		return err
	})
	return stages, err
}

func savedStages(ctx context.Context, q querier) (stages []inventory.SavedStage, err error) {
	err = each(ctx, q, `SELECT api_type, account, region, api_id, stage, api_name, probes, unrouted, overflow, open
		FROM stages ORDER BY account, region, api_id, stage, api_type`, nil, func(rows pgx.Rows) error {
		var st inventory.SavedStage
		var open []byte
		err := rows.Scan(&st.APIType, &st.Account, &st.Region, &st.APIID, &st.Stage, &st.APIName,
			&st.Probes, &st.Unrouted, &st.Overflow, &open)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(open, &st.Open); err != nil {
			return fmt.Errorf("stage %s: %w", st.API(), err)
		}
		stages = append(stages, st)
		return nil
	})
	return stages, err
}

// endpointsAtOnce is how many endpoints are read with one statement, so that none lasts
// as long as whoever takes them.
const endpointsAtOnce = 5000

// EachEndpoint calls yield with every endpoint. yield must not use the store. A server
// that is lost on the way is an error: yield has had some already.
func (s *Store) EachEndpoint(ctx context.Context, yield func(*inventory.Saved) error) error {
	begun := false
	return s.view(ctx, "reading the inventory's endpoints", func(tx querier) error {
		if begun {
			return errors.New("the connection was lost between two endpoints: begin again")
		}
		for after, more := "", true; more; {
			n := 0
			err := each(ctx, tx, `SELECT `+endpointColumns+`, t.state, t.minutes
				FROM endpoints e JOIN stages s ON s.id = e.stage_id JOIN endpoint_states t ON t.endpoint = e.id
				WHERE e.id > $1 ORDER BY e.id LIMIT $2`, []any{after, endpointsAtOnce},
				func(rows pgx.Rows) error {
					var saved inventory.Saved
					if err := scanEndpoint(rows, &saved.Endpoint, &saved.State, &saved.Minutes); err != nil {
						return err
					}
					after, begun = saved.ID, true
					n++
					return yield(&saved)
				})
			if err != nil {
				return err
			}
			more = n == endpointsAtOnce
		}
		return nil
	})
}

const endpointColumns = `e.id, s.api_type, s.account, s.region, s.api_id, s.stage, s.api_name, e.method, e.route,
	e.route_source, e.visibility, e.first_seen, e.last_seen, e.calls, e.errors_4xx, e.errors_5xx, e.callers,
	e.latency_p50, e.latency_p95, e.latency_p99`

// scanEndpoint reads endpointColumns and what follows them.
func scanEndpoint(row pgx.Row, e *inventory.Endpoint, more ...any) error {
	var first, last int64
	dest := append([]any{
		&e.ID, &e.APIType, &e.Account, &e.Region, &e.APIID, &e.Stage, &e.APIName, &e.Method, &e.Route,
		&e.RouteSource, &e.Visibility, &first, &last, &e.Calls, &e.Errors4xx, &e.Errors5xx, &e.Callers,
		&e.LatencyP50, &e.LatencyP95, &e.LatencyP99,
	}, more...)
	if err := row.Scan(dest...); err != nil {
		if errors.Is(err, pgx.ErrNoRows) {
			return inventory.ErrNotFound
		}
		return err
	}
	e.FirstSeen, e.LastSeen = time.UnixMilli(first).UTC(), time.UnixMilli(last).UTC()
	return nil
}
