package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/store/record"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// order is how one Query.Sort is asked for. The id comes last everywhere, so
// that no two endpoints are equal and a page goes on exactly where the one
// before ended.
type order struct {
	columns []string
	// tied orders put endpoints of equal value by ascending id in both
	// directions: a scan meets them that way, and many are equal (no errors, one
	// caller). The others have an index, which runs both ways as a whole.
	tied  bool
	value func(e *inventory.Endpoint) []any
}

var orders = map[string]order{
	"route": {
		[]string{"e.route", "e.method", "e.id"},
		false,
		func(e *inventory.Endpoint) []any { return []any{e.Route, e.Method, e.ID} },
	},
	"first_seen": {
		[]string{"e.first_seen", "e.id"},
		false,
		func(e *inventory.Endpoint) []any { return []any{e.FirstSeen.UnixMilli(), e.ID} },
	},
	"calls": {
		[]string{"e.calls", "e.id"},
		true,
		func(e *inventory.Endpoint) []any { return []any{e.Calls, e.ID} },
	},
	"errors": {
		[]string{"(e.errors_4xx + e.errors_5xx)", "e.id"},
		true,
		func(e *inventory.Endpoint) []any { return []any{e.Errors4xx + e.Errors5xx, e.ID} },
	},
	"last_seen": {
		[]string{"e.last_seen", "e.id"},
		true,
		func(e *inventory.Endpoint) []any { return []any{e.LastSeen.UnixMilli(), e.ID} },
	},
	"latency": {
		[]string{"e.latency_p95", "e.id"},
		true,
		func(e *inventory.Endpoint) []any { return []any{e.LatencyP95, e.ID} },
	},
	"callers": {
		[]string{"e.callers", "e.id"},
		true,
		func(e *inventory.Endpoint) []any { return []any{e.Callers, e.ID} },
	},
}

// by returns the terms of ORDER BY. A scan is asked for by a unary plus, which
// hides a column from the planner.
func (o order) by(down, scan bool) string {
	terms := make([]string, len(o.columns))
	for i, column := range o.columns {
		if scan {
			column = "+" + column
		}
		if down && (i < len(o.columns)-1 || !o.tied) {
			column += " DESC"
		}
		terms[i] = column
	}
	return " ORDER BY " + strings.Join(terms, ", ")
}

// after adds what comes after the last endpoint of a page.
func (o order) after(f *filter, c record.Cursor) {
	if o.tied && c.Down {
		f.add("("+o.columns[0]+" < ? OR "+o.columns[0]+" = ? AND e.id > ?)", c.After[0], c.After[0], c.After[1])
		return
	}
	compare := " > ("
	if c.Down {
		compare = " < ("
	}
	marks := strings.TrimSuffix(strings.Repeat("?,", len(o.columns)), ",")
	f.add("("+strings.Join(o.columns, ",")+")"+compare+marks+")", c.After...)
}

// filter is a WHERE clause under construction.
//
// A question with any filter is answered by one scan of the table, which takes
// the same short time whatever the filter leaves. An index that leads to rows
// in another order would be faster where it leaves few, and several times
// slower than the scan where it does not; the unary plus keeps the planner from
// trying.
type filter struct {
	terms []string
	args  []any
}

func (f *filter) add(term string, args ...any) {
	f.terms = append(f.terms, term)
	f.args = append(f.args, args...)
}

func (f *filter) where() string {
	if len(f.terms) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(f.terms, " AND ")
}

// text adds the filters that are no facets. The names of APIs are searched
// once for every stage, not for every endpoint.
func (f *filter) text(q *inventory.Query) {
	if q.Search != "" {
		f.add(`(instr(e.search, lower(?)) OR +e.stage_id IN
			(SELECT id FROM stages WHERE instr(lower(api_id), lower(?)) OR instr(lower(api_name), lower(?))))`,
			q.Search, q.Search, q.Search)
	}
	if !q.Since.IsZero() {
		f.add("+e.first_seen >= ?", q.Since.UnixMilli())
	}
}

func (f *filter) query(q *inventory.Query) {
	var stages filter
	for column, value := range map[string]string{
		"account": q.Account, "region": q.Region, "api_id": q.APIID, "stage": q.Stage, "api_type": string(q.APIType),
	} {
		if value != "" {
			stages.add(column+" = ?", value)
		}
	}
	if len(stages.terms) > 0 {
		f.add("+e.stage_id IN (SELECT id FROM stages"+stages.where()+")", stages.args...)
	}
	if q.Method != "" {
		f.add("+e.method = ?", q.Method)
	}
	if q.Visibility != "" {
		f.add("+e.visibility = ?", string(q.Visibility))
	}
	f.text(q)
}

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// Endpoints returns a page of the endpoints that q chooses. The latency order
// is by the 95th percentile.
func (s *Store) Endpoints(ctx context.Context, q inventory.Query) (inventory.Page, error) {
	page := inventory.Page{Endpoints: []inventory.Endpoint{}}
	sort := q.Sort
	if sort == "" {
		sort = "route"
	}
	o, ok := orders[sort]
	if !ok {
		return page, fmt.Errorf("%w: unknown order %q", inventory.ErrInvalidQuery, q.Sort)
	}
	limit := q.Limit
	switch {
	case limit == 0:
		limit = defaultLimit
	case limit > maxLimit:
		limit = maxLimit
	case limit < 0:
		limit = -1 // all, as SQLite says it too
	}
	var f filter
	f.query(&q)
	err := s.view(ctx, "reading endpoints", func(tx *sql.Tx) error {
		if err := s.page(ctx, tx, &page, f, o, record.Cursor{Sort: sort, Down: q.Descending}, q.Cursor, limit); err != nil {
			return err
		}
		if q.Cursor == "" && page.Next == "" {
			page.Total = len(page.Endpoints)
			return nil
		}
		return tx.QueryRowContext(ctx, `SELECT count(*) FROM endpoints e`+f.where(), f.args...).Scan(&page.Total)
	})
	return page, err
}

func (s *Store) page(
	ctx context.Context, tx *sql.Tx, page *inventory.Page, f filter, o order, next record.Cursor, after string, limit int,
) error {
	scan := len(f.terms) > 0
	if after != "" {
		c, err := record.ReadCursor(after, next.Sort, next.Down, len(o.columns))
		if err != nil {
			return err
		}
		o.after(&f, c)
	}
	ask := limit
	if limit > 0 {
		ask = limit + 1 // one more tells whether there is a next page
	}
	// The wanted IDs come first and the rest of their columns after: a sort
	// then carries the keys alone.
	query := `SELECT ` + endpointColumns + `, t.minutes
		FROM (SELECT e.id AS wanted FROM endpoints e` + f.where() + o.by(next.Down, scan) + ` LIMIT ?)
		CROSS JOIN endpoints e ON e.id = wanted CROSS JOIN stages s ON s.id = e.stage_id
		CROSS JOIN endpoint_states t ON t.endpoint = e.id` + o.by(next.Down, true)
	now := s.clock()
	return each(ctx, tx, query, append(f.args, ask), func(rows *sql.Rows) error {
		if limit > 0 && len(page.Endpoints) == limit {
			next.After = o.value(&page.Endpoints[limit-1])
			page.Next = next.String()
			return nil
		}
		var e inventory.Endpoint
		var minutes sql.RawBytes
		err := scanEndpoint(rows, &e, &minutes)
		if err == nil {
			e.Recent, err = inventory.DecodeRecent(minutes, now)
		}
		page.Endpoints = append(page.Endpoints, e)
		return err
	})
}

// Endpoint returns one endpoint whole, or an error that wraps
// inventory.ErrNotFound.
func (s *Store) Endpoint(ctx context.Context, id string) (d *inventory.Detail, err error) {
	err = s.view(ctx, "reading endpoint "+id, func(tx *sql.Tx) error {
		var e inventory.Endpoint
		var state, minutes []byte
		// An endpoint that exists goes before an alias of the same ID.
		row := tx.QueryRowContext(ctx, `SELECT `+endpointColumns+`, t.state, t.minutes
			FROM endpoints e JOIN stages s ON s.id = e.stage_id JOIN endpoint_states t ON t.endpoint = e.id
			WHERE e.id = ?1 OR e.id = (SELECT target FROM endpoint_aliases WHERE id = ?1)
			ORDER BY e.id = ?1 DESC LIMIT 1`, id)
		if err := scanEndpoint(row, &e, &state, &minutes); err != nil {
			return err
		}
		if e.Recent, err = inventory.DecodeRecent(minutes, s.clock()); err != nil {
			return err
		}
		var keys []string
		if d, keys, err = inventory.NewDetail(e, state); err != nil {
			return err
		}
		d.Samples, err = samples(ctx, tx, keys)
		return err
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

func samples(ctx context.Context, tx *sql.Tx, keys []string) ([]*transaction.Transaction, error) {
	out := []*transaction.Transaction{}
	for _, key := range keys {
		err := each(ctx, tx, `SELECT body FROM samples WHERE key = ?`, []any{key}, func(rows *sql.Rows) error {
			var body sql.RawBytes
			if err := rows.Scan(&body); err != nil {
				return err
			}
			t := new(transaction.Transaction)
			if err := json.Unmarshal(body, t); err != nil {
				return fmt.Errorf("sample %s: %w", key, err)
			}
			out = append(out, t)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Facets counts the endpoints by the values of every filter. The database
// groups by stage, method and visibility, which one index answers, and the few
// thousand groups are told apart here.
func (s *Store) Facets(ctx context.Context, q inventory.Query) (*inventory.Facets, error) {
	out := &inventory.Facets{
		Accounts: map[string]int{}, Regions: map[string]int{}, APIs: map[string]int{}, Stages: map[string]int{},
		Methods: map[string]int{}, APITypes: map[transaction.APIType]int{}, Visibilities: map[transaction.Visibility]int{},
	}
	err := s.view(ctx, "reading facets", func(tx *sql.Tx) error {
		stages := map[int64]inventory.StageKey{}
		saved, err := savedStages(ctx, tx)
		if err != nil {
			return err
		}
		for i := range saved {
			stages[record.StageID(saved[i].StageKey)] = saved[i].StageKey
		}
		var f filter
		f.text(&q)
		columns := "e.stage_id, e.method, e.visibility"
		if len(f.terms) > 0 {
			columns = "+e.stage_id, +e.method, +e.visibility"
		}
		query := `SELECT ` + columns + `, count(*) FROM endpoints e` + f.where() + ` GROUP BY ` + columns
		return each(ctx, tx, query, f.args, func(rows *sql.Rows) error {
			var id int64
			var method string
			var visibility transaction.Visibility
			var n int
			if err := rows.Scan(&id, &method, &visibility, &n); err != nil {
				return err
			}
			record.CountFacets(out, &q, stages[id], method, visibility, n)
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Traffic returns the minutes in [from, to) that were observed, oldest first.
func (s *Store) Traffic(ctx context.Context, api string, from, to time.Time) ([]inventory.Minute, error) {
	out := []inventory.Minute{}
	err := s.view(ctx, "reading traffic", func(tx *sql.Tx) error {
		return each(ctx, tx, `SELECT minute, calls, errors_4xx, errors_5xx, full, truncated, metadata FROM minutes
			WHERE api = ? AND minute >= ? AND minute < ? ORDER BY minute`,
			[]any{api, ceilMinute(from), ceilMinute(to)}, func(rows *sql.Rows) error {
				var m inventory.Minute
				var minute int64
				err := rows.Scan(&minute, &m.Calls, &m.Errors4xx, &m.Errors5xx, &m.Full, &m.Truncated, &m.Metadata)
				m.Time = time.Unix(minute*60, 0).UTC()
				out = append(out, m)
				return err
			})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ceilMinute returns the first minute that does not begin before t.
func ceilMinute(t time.Time) int64 {
	return minuteOf(t.Add(time.Minute - time.Nanosecond))
}
