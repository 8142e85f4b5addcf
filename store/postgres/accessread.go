package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-project/gatehouse/access"
)

const (
	defaultPage = 100
	maxPage     = 1000
)

// decodeRows reads rows whose only column is a body.
func decodeRows[T any](ctx context.Context, tx querier, query string, args []any) ([]*T, error) {
	var out []*T
	err := each(ctx, tx, query, args, func(rows pgx.Rows) error {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return err
		}
		v, err := access.DecodeRow[T](body)
		out = append(out, v)
		return err
	})
	return out, err
}

// oneRow reads the only row of a query, or says access.ErrNotFound.
func oneRow[T any](ctx context.Context, s *Store, what, query string, args ...any) (*T, error) {
	var out []*T
	err := s.read(ctx, "reading "+what, func(tx querier) (err error) {
		out, err = decodeRows[T](ctx, tx, query, args)
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s: %w", what, access.ErrNotFound)
	}
	return out[0], nil
}

func allRows[T any](ctx context.Context, s *Store, what, query string, args ...any) (out []*T, err error) {
	err = s.read(ctx, "reading "+what, func(tx querier) (err error) {
		out, err = decodeRows[T](ctx, tx, query, args)
		return err
	})
	return out, err
}

// Pulse is a cheap look at what is due; see access.Store.
func (l *Lending) Pulse(ctx context.Context) (access.Pulse, error) {
	var p access.Pulse
	err := l.s.view(ctx, "looking at what is due", func(tx querier) error {
		p = access.Pulse{Lanes: map[string]time.Time{}}
		var high int64
		var due *int64
		if err := tx.QueryRow(ctx, `SELECT seq, high, epoch,
				(SELECT array_agg(name ORDER BY name) FROM access_holders WHERE pg_try_advisory_xact_lock_shared(lock)), least(
				(SELECT min(due) FROM access_requests WHERE due IS NOT NULL),
				(SELECT min(due) FROM access_grants WHERE due IS NOT NULL),
				(SELECT min(wake) FROM access_letters WHERE wake IS NOT NULL))
			FROM access_state`).Scan(&p.Seq, &high, &p.Epoch, &p.Gone, &due); err != nil {
			return err
		}
		p.High = fromMicros(high)
		if due != nil {
			p.Due = fromMicros(*due)
		}
		return each(ctx, tx, `SELECT integration, min(greatest(wake, until)) FROM access_objects WHERE wake IS NOT NULL GROUP BY integration`, nil, func(rows pgx.Rows) error {
			var name string
			var at int64
			err := rows.Scan(&name, &at)
			p.Lanes[name] = fromMicros(at)
			return err
		})
	})
	return p, err
}

// Request returns a request, or access.ErrNotFound.
func (l *Lending) Request(ctx context.Context, id string) (*access.Request, error) {
	return oneRow[access.Request](ctx, l.s, "request "+id, `SELECT body FROM access_requests WHERE id = $1`, id)
}

// Grant returns a grant, or access.ErrNotFound.
func (l *Lending) Grant(ctx context.Context, id string) (*access.Grant, error) {
	return oneRow[access.Grant](ctx, l.s, "grant "+id, `SELECT body FROM access_grants WHERE id = $1`, id)
}

// DueRequests returns pending requests that are due; see access.Store.
func (l *Lending) DueRequests(ctx context.Context, now time.Time, limit int) ([]*access.Request, error) {
	return allRows[access.Request](ctx, l.s, "due requests", `SELECT body FROM access_requests WHERE due <= $1 ORDER BY due LIMIT $2`, now.UnixMicro(), limit)
}

// DueGrants returns grants that are due; see access.Store.
func (l *Lending) DueGrants(ctx context.Context, now time.Time, limit int) ([]*access.Grant, error) {
	return allRows[access.Grant](ctx, l.s, "due grants", `SELECT body FROM access_grants WHERE due <= $1 ORDER BY due LIMIT $2`, now.UnixMicro(), limit)
}

// OpenGrants returns the grants on objects that are not ended; see access.Store.
func (l *Lending) OpenGrants(ctx context.Context, objects []string) ([]*access.Grant, error) {
	if len(objects) == 0 {
		return nil, nil
	}
	return allRows[access.Grant](ctx, l.s, "grants", `SELECT body FROM access_grants WHERE id IN
		(SELECT grant_id FROM access_items WHERE stage < 2 AND object = ANY($1)) ORDER BY id`, objects)
}

// accessPage reads a page of requests or grants, the newest first, with their number.
func accessPage[T any](ctx context.Context, s *Store, table string, f *filter, cursor string, limit int) (out []*T, next string, total int, err error) {
	if limit <= 0 {
		limit = defaultPage
	}
	limit = min(limit, maxPage)
	from := f.with("")
	if cursor != "" {
		at, id, ok := strings.Cut(cursor, ".")
		n, err := strconv.ParseInt(at, 10, 64)
		if !ok || err != nil || id == "" {
			return nil, "", 0, fmt.Errorf("%w: %q is not the cursor of a page", access.ErrInvalidQuery, cursor)
		}
		from.add(`(created, id) < (?, ?)`, n, id)
	}
	var last struct {
		id string
		at int64
	}
	query := `SELECT body, id, created FROM ` + table + from.where() + from.text(` ORDER BY created DESC, id DESC LIMIT ?`, limit+1)
	err = s.view(ctx, "reading "+table, func(tx querier) error {
		out, next = nil, ""
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM `+table+f.where(), f.args...).Scan(&total); err != nil {
			return err
		}
		return each(ctx, tx, query, from.args, func(rows pgx.Rows) error {
			var body []byte
			var id string
			var at int64
			if err := rows.Scan(&body, &id, &at); err != nil {
				return err
			}
			if len(out) == limit {
				next = strconv.FormatInt(last.at, 10) + "." + last.id
				return nil
			}
			last.id, last.at = id, at
			v, err := access.DecodeRow[T](body)
			out = append(out, v)
			return err
		})
	})
	return out, next, total, err
}

// Requests returns a page of requests; see access.Store.
func (l *Lending) Requests(ctx context.Context, q access.RequestQuery) (access.RequestPage, error) {
	if q.Voter != "" {
		return access.RequestPage{}, fmt.Errorf("%w: who may vote is not known to a store", access.ErrInvalidQuery)
	}
	var f filter
	for _, c := range [][2]string{{"by_id", q.By}, {"for_id", q.For}} {
		if c[1] != "" {
			f.add(c[0]+` = ?`, personKey(c[1]))
		}
	}
	if q.Person != "" {
		f.add(`(by_id = ? OR for_id = ?)`, personKey(q.Person), personKey(q.Person))
	}
	if q.Integration != "" {
		f.add(`strpos(integrations, ?) > 0`, ","+q.Integration+",")
	}
	among(&f, "state", q.States)
	var p access.RequestPage
	var err error
	p.Requests, p.Next, p.Total, err = accessPage[access.Request](ctx, l.s, "access_requests", &f, q.Cursor, q.Limit)
	return p, err
}

// Grants returns a page of grants; see access.Store.
func (l *Lending) Grants(ctx context.Context, q access.GrantQuery) (access.GrantPage, error) {
	var f filter
	if q.Person != "" {
		f.add(`person = ?`, personKey(q.Person))
	}
	f.equal([2]string{"request", q.Request})
	switch {
	case q.Resource != "" && q.Integration == "":
		return access.GrantPage{}, fmt.Errorf("%w: a resource is named with its integration", access.ErrInvalidQuery)
	case q.Resource != "":
		f.add(`id IN (SELECT grant_id FROM access_items WHERE integration = ? AND resource = ?)`, q.Integration, q.Resource)
	case q.Integration != "":
		f.add(`id IN (SELECT grant_id FROM access_items WHERE integration = ?)`, q.Integration)
	}
	among(&f, "state", q.States)
	var p access.GrantPage
	var err error
	p.Grants, p.Next, p.Total, err = accessPage[access.Grant](ctx, l.s, "access_grants", &f, q.Cursor, q.Limit)
	return p, err
}

// Integrations returns all integrations by name.
func (l *Lending) Integrations(ctx context.Context) ([]*access.Integration, error) {
	return l.integrations(ctx, "", nil)
}

// Integration returns an integration, or access.ErrNotFound.
func (l *Lending) Integration(ctx context.Context, name string) (*access.Integration, error) {
	out, err := l.integrations(ctx, `WHERE name = $1`, []any{name})
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("integration %s: %w", name, access.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

func (l *Lending) integrations(ctx context.Context, where string, args []any) ([]*access.Integration, error) {
	var out []*access.Integration
	err := l.s.read(ctx, "reading integrations", func(tx querier) error {
		out = nil
		return each(ctx, tx, `SELECT body, health FROM access_integrations `+where+` ORDER BY name`, args, func(rows pgx.Rows) error {
			var body, health []byte
			if err := rows.Scan(&body, &health); err != nil {
				return err
			}
			i, err := access.DecodeRow[access.Integration](body)
			if err == nil && health != nil {
				var h *access.Health
				if h, err = access.DecodeRow[access.Health](health); err == nil {
					i.Health = *h
				}
			}
			out = append(out, i)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ChangeHealth changes what is known of an integration's health; see access.Store.
func (l *Lending) ChangeHealth(ctx context.Context, name string, change func(h *access.Health)) error {
	return l.s.update(ctx, "saving the health of an integration", noTurn, func(tx querier) error {
		// It is the turn of lending, so it comes first.
		if _, err := tx.Exec(ctx, `UPDATE access_state SET seq = seq + 1`); err != nil {
			return err
		}
		var body []byte
		err := tx.QueryRow(ctx, `SELECT health FROM access_integrations WHERE name = $1`, name).Scan(&body)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("integration %s: %w", name, access.ErrNotFound)
		}
		h := &access.Health{}
		if err == nil && body != nil {
			h, err = access.DecodeRow[access.Health](body)
		}
		if err != nil {
			return err
		}
		change(h)
		if body, err = access.EncodeRow(h); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE access_integrations SET health = $1 WHERE name = $2`, document(body), name)
		return err
	})
}

// Flows returns a version of the flows, the newest for 0, or access.ErrNotFound.
func (l *Lending) Flows(ctx context.Context, version int) (*access.FlowVersion, error) {
	return oneRow[access.FlowVersion](ctx, l.s, "flows", `SELECT body FROM access_flows WHERE version = $1 OR $1 = 0 ORDER BY version DESC LIMIT 1`, version)
}

// FlowVersions returns the newest versions without their text.
func (l *Lending) FlowVersions(ctx context.Context, limit int) ([]access.FlowVersion, error) {
	if limit <= 0 {
		limit = defaultPage
	}
	rows, err := allRows[access.FlowVersion](ctx, l.s, "versions of flows", `SELECT body FROM access_flows ORDER BY version DESC LIMIT $1`, min(limit, maxPage))
	out := make([]access.FlowVersion, 0, len(rows))
	for _, v := range rows {
		v.Text = ""
		out = append(out, *v)
	}
	return out, err
}

// Stops returns the stops and the number of their state; see access.Store.
func (l *Lending) Stops(ctx context.Context) ([]access.Stop, int64, error) {
	var rows []*access.Stop
	var number int64
	err := l.s.view(ctx, "reading stops", func(tx querier) (err error) {
		if err = tx.QueryRow(ctx, `SELECT stops FROM access_state`).Scan(&number); err != nil {
			return err
		}
		rows, err = decodeRows[access.Stop](ctx, tx, `SELECT body FROM access_stops ORDER BY id`, nil)
		return err
	})
	out := make([]access.Stop, 0, len(rows))
	for _, r := range rows {
		out = append(out, *r)
	}
	return out, number, err
}

// Drifts returns what the reconciler found; see access.Store.
func (l *Lending) Drifts(ctx context.Context, integration string, limit int) ([]access.Drift, error) {
	if limit <= 0 {
		limit = defaultPage
	}
	rows, err := allRows[access.Drift](ctx, l.s, "drift", `SELECT body FROM access_drift WHERE integration = $1 OR $1 = '' ORDER BY mended > 0, last DESC, key LIMIT $2`,
		integration, limit)
	out := make([]access.Drift, 0, len(rows))
	for _, r := range rows {
		out = append(out, *r)
	}
	return out, err
}
