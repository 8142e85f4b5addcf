package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/store/record"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// order is how one Query.Sort is asked for. The id comes last everywhere, so
// that no two endpoints are equal and a page goes on exactly where the one
// before ended.
type order struct {
	columns []string
	// tied orders put endpoints of equal value by ascending id in both directions.
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

// byRoute is the beginning of a route, which has an index: an entry of an index has its
// bounds, and a route has none. Whoever sorts by it sorts by the route too.
const byRoute = "left(e.route, 400)"

// by returns the terms of ORDER BY.
func (o order) by(down bool) string {
	terms := make([]string, 0, len(o.columns)+1)
	for i, column := range o.columns {
		direction := ""
		if down && (i < len(o.columns)-1 || !o.tied) {
			direction = " DESC"
		}
		if column == "e.route" {
			terms = append(terms, byRoute+direction)
		}
		terms = append(terms, column+direction)
	}
	return " ORDER BY " + strings.Join(terms, ", ")
}

// after adds what comes after the last endpoint of a page.
func (o order) after(f *filter, c record.Cursor) error {
	// A cursor comes from whoever asks: its values must be of the columns' types.
	for i, v := range o.value(&inventory.Endpoint{}) {
		given := c.After[i]
		if n, ok := given.(int64); ok {
			if _, float := v.(float64); float {
				given, c.After[i] = float64(n), float64(n)
			}
		}
		if fmt.Sprintf("%T", given) != fmt.Sprintf("%T", v) {
			return fmt.Errorf("%w: the cursor is damaged", inventory.ErrInvalidQuery)
		}
	}
	if o.tied && c.Down {
		f.add("("+o.columns[0]+" < ? OR "+o.columns[0]+" = ? AND e.id > ?)", c.After[0], c.After[0], c.After[1])
		return nil
	}
	compare := " > ("
	if c.Down {
		compare = " < ("
	}
	if o.columns[0] == "e.route" {
		f.add(byRoute+strings.TrimSuffix(compare, " (")+"= left(?, 400)", c.After[0])
	}
	marks := strings.TrimSuffix(strings.Repeat("?,", len(o.columns)), ",")
	f.add("("+strings.Join(o.columns, ",")+")"+compare+marks+")", c.After...)
	return nil
}

// searched adds the filters that are no facets. The names of APIs are searched once for
// every stage, not for every endpoint.
func searched(f *filter, q *inventory.Query) {
	if q.Search != "" {
		search := identity.EmailKey(q.Search) // A to Z in lower case, as lower() does in the collation "C"
		f.add(`(strpos(e.search, ?) > 0 OR e.stage_id IN
			(SELECT id FROM stages WHERE strpos(lower(api_id), ?) > 0 OR strpos(lower(api_name), ?) > 0))`,
			search, search, search)
	}
	if !q.Since.IsZero() {
		f.add("e.first_seen >= ?", q.Since.UnixMilli())
	}
}

// endpointFilter is the filter of a query.
func endpointFilter(q *inventory.Query) *filter {
	var stages, f filter
	stages.equal([2]string{"account", q.Account}, [2]string{"region", q.Region}, [2]string{"api_id", q.APIID},
		[2]string{"stage", q.Stage}, [2]string{"api_type", string(q.APIType)})
	if len(stages.terms) > 0 {
		f.terms, f.args = []string{"e.stage_id IN (SELECT id FROM stages" + stages.where() + ")"}, stages.args
	}
	f.equal([2]string{"e.method", q.Method}, [2]string{"e.visibility", string(q.Visibility)})
	searched(&f, q)
	return &f
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
	}
	f := endpointFilter(&q)
	err := s.view(ctx, "reading endpoints", func(tx querier) error {
		page = inventory.Page{Endpoints: []inventory.Endpoint{}}
		if err := s.page(ctx, tx, &page, f, o, record.Cursor{Sort: sort, Down: q.Descending}, q.Cursor, limit); err != nil {
			return err
		}
		if q.Cursor == "" && page.Next == "" {
			page.Total = len(page.Endpoints)
			return nil
		}
		return tx.QueryRow(ctx, `SELECT count(*) FROM endpoints e`+f.where(), f.args...).Scan(&page.Total)
	})
	return page, err
}

// page reads one page; a negative limit is none.
func (s *Store) page(
	ctx context.Context, tx querier, page *inventory.Page, all *filter, o order, next record.Cursor, after string, limit int,
) error {
	f := all.with("")
	if after != "" {
		c, err := record.ReadCursor(after, next.Sort, next.Down, len(o.columns))
		if err != nil {
			return err
		}
		if err := o.after(f, c); err != nil {
			return err
		}
	}
	var ask *int
	if limit > 0 {
		more := limit + 1 // one more tells whether there is a next page
		ask = &more
	}
	// The wanted IDs come first and the rest of their columns after: a sort
	// then carries the keys alone.
	wanted := `SELECT e.id AS wanted FROM endpoints e` + f.where() + o.by(next.Down) + f.text(` LIMIT ?`, ask)
	query := `SELECT ` + endpointColumns + `, t.minutes FROM (` + wanted + `) w JOIN endpoints e ON e.id = w.wanted
		JOIN stages s ON s.id = e.stage_id JOIN endpoint_states t ON t.endpoint = e.id` + o.by(next.Down)
	now := s.now()
	return each(ctx, tx, query, f.args, func(rows pgx.Rows) error {
		if limit > 0 && len(page.Endpoints) == limit {
			next.After = o.value(&page.Endpoints[limit-1])
			page.Next = next.String()
			return nil
		}
		var e inventory.Endpoint
		var minutes []byte
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
	err = s.view(ctx, "reading endpoint "+id, func(tx querier) error {
		var e inventory.Endpoint
		var state, minutes []byte
		// An endpoint that exists goes before an alias of the same ID.
		row := tx.QueryRow(ctx, `SELECT `+endpointColumns+`, t.state, t.minutes
			FROM endpoints e JOIN stages s ON s.id = e.stage_id JOIN endpoint_states t ON t.endpoint = e.id
			WHERE e.id = $1 OR e.id = (SELECT target FROM endpoint_aliases WHERE id = $1)
			ORDER BY (e.id = $1) DESC LIMIT 1`, id)
		if err := scanEndpoint(row, &e, &state, &minutes); err != nil {
			return err
		}
		if e.Recent, err = inventory.DecodeRecent(minutes, s.now()); err != nil {
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

func samples(ctx context.Context, tx querier, keys []string) ([]*transaction.Transaction, error) {
	out := []*transaction.Transaction{}
	err := each(ctx, tx, `SELECT s.key, s.body FROM unnest($1::text[]) WITH ORDINALITY k (key, n) JOIN samples s ON s.key = k.key COLLATE "C"
		ORDER BY k.n`, []any{keys}, func(rows pgx.Rows) error {
		var key string
		var body []byte
		if err := rows.Scan(&key, &body); err != nil {
			return err
		}
		t := new(transaction.Transaction)
		if err := json.Unmarshal(body, t); err != nil {
			return fmt.Errorf("sample %s: %w", key, err)
		}
		out = append(out, t)
		return nil
	})
	return out, err
}

// Facets counts the endpoints by the values of every filter. The database
// groups by stage, method and visibility, which one index answers, and the few
// thousand groups are told apart here.
func (s *Store) Facets(ctx context.Context, q inventory.Query) (*inventory.Facets, error) {
	var out *inventory.Facets
	err := s.view(ctx, "reading facets", func(tx querier) error {
		out = &inventory.Facets{
			Accounts: map[string]int{}, Regions: map[string]int{}, APIs: map[string]int{}, Stages: map[string]int{},
			Methods: map[string]int{}, APITypes: map[transaction.APIType]int{}, Visibilities: map[transaction.Visibility]int{},
		}
		stages := map[int64]inventory.StageKey{}
		saved, err := savedStages(ctx, tx)
		if err != nil {
			return err
		}
		for i := range saved {
			stages[record.StageID(saved[i].StageKey)] = saved[i].StageKey
		}
		var f filter
		searched(&f, &q)
		const columns = "e.stage_id, e.method, e.visibility"
		query := `SELECT ` + columns + `, count(*) FROM endpoints e` + f.where() + ` GROUP BY ` + columns
		return each(ctx, tx, query, f.args, func(rows pgx.Rows) error {
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
	err := s.read(ctx, "reading traffic", func(tx querier) error {
		out = out[:0]
		return each(ctx, tx, `SELECT minute, calls, errors_4xx, errors_5xx, "full", truncated, metadata FROM minutes
			WHERE api = $1 AND minute >= $2 AND minute < $3 ORDER BY minute`,
			[]any{api, ceilMinute(from), ceilMinute(to)}, func(rows pgx.Rows) error {
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
