package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
)

const (
	defaultPage = 100
	maxPage     = 1000
)

// decodeRows reads rows whose only column is a body.
func decodeRows[T any](ctx context.Context, tx *sql.Tx, query string, args []any) ([]*T, error) {
	var out []*T
	err := each(ctx, tx, query, args, func(rows *sql.Rows) error {
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
	err := s.view(ctx, "reading "+what, func(tx *sql.Tx) (err error) {
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
	err = s.view(ctx, "reading "+what, func(tx *sql.Tx) (err error) {
		out, err = decodeRows[T](ctx, tx, query, args)
		return err
	})
	return out, err
}

// Pulse is a cheap look at what is due; see access.Store.
func (l *Lending) Pulse(ctx context.Context) (access.Pulse, error) {
	p := access.Pulse{Lanes: map[string]time.Time{}}
	err := l.s.view(ctx, "looking at what is due", func(tx *sql.Tx) error {
		if err := each(ctx, tx, `SELECT name FROM access_holders ORDER BY name`, nil, func(rows *sql.Rows) error {
			var name string
			err := rows.Scan(&name)
			if err == nil && l.s.holders.isGone(l.s.path, name) {
				p.Gone = append(p.Gone, name)
			}
			return err
		}); err != nil {
			return err
		}
		var high int64
		var due sql.NullInt64
		if err := tx.QueryRowContext(ctx, `SELECT seq, high, epoch, (SELECT min(due) FROM (
				SELECT min(due) AS due FROM access_requests WHERE due IS NOT NULL
				UNION ALL SELECT min(due) FROM access_grants WHERE due IS NOT NULL
				UNION ALL SELECT min(wake) FROM access_letters WHERE wake IS NOT NULL))
			FROM access_state`).Scan(&p.Seq, &high, &p.Epoch, &due); err != nil {
			return err
		}
		p.High = fromMicros(high)
		if due.Valid {
			p.Due = fromMicros(due.Int64)
		}
		return each(ctx, tx, `SELECT integration, min(max(wake, until)) FROM access_objects WHERE wake IS NOT NULL GROUP BY integration`, nil, func(rows *sql.Rows) error {
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
	return oneRow[access.Request](ctx, l.s, "request "+id, `SELECT body FROM access_requests WHERE id = ?`, id)
}

// Grant returns a grant, or access.ErrNotFound.
func (l *Lending) Grant(ctx context.Context, id string) (*access.Grant, error) {
	return oneRow[access.Grant](ctx, l.s, "grant "+id, `SELECT body FROM access_grants WHERE id = ?`, id)
}

// DueRequests returns pending requests that are due; see access.Store.
func (l *Lending) DueRequests(ctx context.Context, now time.Time, limit int) ([]*access.Request, error) {
	return allRows[access.Request](ctx, l.s, "due requests", `SELECT body FROM access_requests WHERE due <= ? ORDER BY due LIMIT ?`, now.UnixMicro(), limit)
}

// DueGrants returns grants that are due; see access.Store.
func (l *Lending) DueGrants(ctx context.Context, now time.Time, limit int) ([]*access.Grant, error) {
	return allRows[access.Grant](ctx, l.s, "due grants", `SELECT body FROM access_grants WHERE due <= ? ORDER BY due LIMIT ?`, now.UnixMicro(), limit)
}

// OpenGrants returns the grants on objects that are not ended; see access.Store.
func (l *Lending) OpenGrants(ctx context.Context, objects []string) ([]*access.Grant, error) {
	if len(objects) == 0 {
		return nil, nil
	}
	conditions, args := among(nil, nil, "object", objects)
	return allRows[access.Grant](ctx, l.s, "grants", `SELECT body FROM access_grants WHERE id IN
		(SELECT grant_id FROM access_items WHERE stage < 2 AND `+conditions[0]+`) ORDER BY id`, args...)
}

// accessPage reads a page of requests or grants, the newest first, with their number.
func accessPage[T any](ctx context.Context, s *Store, table string, conditions []string, args []any, cursor string, limit int) (out []*T, next string, total int, err error) {
	if limit <= 0 {
		limit = defaultPage
	}
	limit = min(limit, maxPage)
	where := strings.Join(append(conditions, "TRUE"), " AND ")
	from, fromArgs := where, append([]any{}, args...)
	if cursor != "" {
		at, id, ok := strings.Cut(cursor, ".")
		n, err := strconv.ParseInt(at, 10, 64)
		if !ok || err != nil || id == "" {
			return nil, "", 0, fmt.Errorf("%w: %q is not the cursor of a page", access.ErrInvalidQuery, cursor)
		}
		from, fromArgs = from+` AND (created, id) < (?, ?)`, append(fromArgs, n, id)
	}
	var last struct {
		id string
		at int64
	}
	err = s.view(ctx, "reading "+table, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM `+table+` WHERE `+where, args...).Scan(&total); err != nil {
			return err
		}
		return each(ctx, tx, `SELECT body, id, created FROM `+table+` WHERE `+from+` ORDER BY created DESC, id DESC LIMIT ?`, append(fromArgs, limit+1), func(rows *sql.Rows) error {
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
	var conditions []string
	var args []any
	for _, c := range [][2]string{{"by_id", q.By}, {"for_id", q.For}} {
		if c[1] != "" {
			conditions, args = append(conditions, c[0]+` = ?`), append(args, c[1])
		}
	}
	if q.Person != "" {
		conditions, args = append(conditions, `(by_id = ? OR for_id = ?)`), append(args, q.Person, q.Person)
	}
	if q.Integration != "" {
		conditions, args = append(conditions, `instr(integrations, ?) > 0`), append(args, ","+q.Integration+",")
	}
	conditions, args = among(conditions, args, "state", q.States)
	var p access.RequestPage
	var err error
	p.Requests, p.Next, p.Total, err = accessPage[access.Request](ctx, l.s, "access_requests", conditions, args, q.Cursor, q.Limit)
	return p, err
}

// Grants returns a page of grants; see access.Store.
func (l *Lending) Grants(ctx context.Context, q access.GrantQuery) (access.GrantPage, error) {
	var conditions []string
	var args []any
	for _, c := range [][2]string{{"person", q.Person}, {"request", q.Request}} {
		if c[1] != "" {
			conditions, args = append(conditions, c[0]+` = ?`), append(args, c[1])
		}
	}
	switch {
	case q.Resource != "" && q.Integration == "":
		return access.GrantPage{}, fmt.Errorf("%w: a resource is named with its integration", access.ErrInvalidQuery)
	case q.Resource != "":
		conditions = append(conditions, `id IN (SELECT grant_id FROM access_items WHERE integration = ? AND resource = ?)`)
		args = append(args, q.Integration, q.Resource)
	case q.Integration != "":
		conditions = append(conditions, `id IN (SELECT grant_id FROM access_items WHERE integration = ?)`)
		args = append(args, q.Integration)
	}
	conditions, args = among(conditions, args, "state", q.States)
	var p access.GrantPage
	var err error
	p.Grants, p.Next, p.Total, err = accessPage[access.Grant](ctx, l.s, "access_grants", conditions, args, q.Cursor, q.Limit)
	return p, err
}

// Integrations returns all integrations by name.
func (l *Lending) Integrations(ctx context.Context) ([]*access.Integration, error) {
	return l.integrations(ctx, "", nil)
}

// Integration returns an integration, or access.ErrNotFound.
func (l *Lending) Integration(ctx context.Context, name string) (*access.Integration, error) {
	out, err := l.integrations(ctx, `WHERE name = ?`, []any{name})
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
	err := l.s.view(ctx, "reading integrations", func(tx *sql.Tx) error {
		return each(ctx, tx, `SELECT body, health FROM access_integrations `+where+` ORDER BY name`, args, func(rows *sql.Rows) error {
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
	return l.s.update(ctx, "saving the health of an integration", func(tx *sql.Tx) error {
		var body []byte
		err := tx.QueryRowContext(ctx, `SELECT health FROM access_integrations WHERE name = ?`, name).Scan(&body)
		if isNoRows(err) {
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
		if _, err := tx.ExecContext(ctx, `UPDATE access_integrations SET health = ? WHERE name = ?`, string(body), name); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE access_state SET seq = seq + 1`)
		return err
	})
}

// Flows returns a version of the flows, the newest for 0, or access.ErrNotFound.
func (l *Lending) Flows(ctx context.Context, version int) (*access.FlowVersion, error) {
	return oneRow[access.FlowVersion](ctx, l.s, "flows", `SELECT body FROM access_flows WHERE version = ? OR ? = 0 ORDER BY version DESC LIMIT 1`, version, version)
}

// FlowVersions returns the newest versions without their text.
func (l *Lending) FlowVersions(ctx context.Context, limit int) ([]access.FlowVersion, error) {
	if limit <= 0 {
		limit = defaultPage
	}
	rows, err := allRows[access.FlowVersion](ctx, l.s, "versions of flows", `SELECT body FROM access_flows ORDER BY version DESC LIMIT ?`, min(limit, maxPage))
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
	err := l.s.view(ctx, "reading stops", func(tx *sql.Tx) (err error) {
		if err = tx.QueryRowContext(ctx, `SELECT stops FROM access_state`).Scan(&number); err != nil {
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
	rows, err := allRows[access.Drift](ctx, l.s, "drift", `SELECT body FROM access_drift WHERE integration = ? OR ? = '' ORDER BY mended > 0, last DESC, key LIMIT ?`,
		integration, integration, limit)
	out := make([]access.Drift, 0, len(rows))
	for _, r := range rows {
		out = append(out, *r)
	}
	return out, err
}

// isNoRows reports whether a query found nothing.
func isNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }
