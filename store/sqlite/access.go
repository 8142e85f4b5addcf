package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
)

// Lending is the part of a Store that keeps what was lent.
type Lending struct{ s *Store }

var _ access.Store = (*Lending)(nil)

// Lending returns the part of the store that keeps what was lent.
func (s *Store) Lending() (access.Store, error) { return &Lending{s}, nil }

// micros is a time in the database; the zero time is NULL.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time { return time.UnixMicro(n).UTC() }

// Commit writes a change whole or not at all; see access.Store.
func (l *Lending) Commit(ctx context.Context, c *access.Change) error {
	return l.s.update(ctx, "lending", func(tx *sql.Tx) error {
		w := accessWriter{preparer: preparer{ctx: ctx, tx: tx}}
		defer w.close()
		for _, part := range []func(*access.Change) error{
			w.state, w.there, w.stops, w.requests, w.grants, w.results, w.touches, w.integrations, w.remove, w.flows, w.drift, w.letters,
		} {
			if err := part(c); err != nil {
				return err
			}
		}
		return l.s.appendAudit(ctx, tx, c.Events...)
	})
}

// accessWriter writes the parts of one change.
type accessWriter struct{ preparer }

func (w *accessWriter) exec(query string, args ...any) (int64, error) {
	result, err := w.tx.ExecContext(w.ctx, query, args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// one is exec for a write that must find its row as it was read.
func (w *accessWriter) one(what, query string, args ...any) error {
	n, err := w.exec(query, args...)
	if err == nil && n != 1 {
		err = fmt.Errorf("%s: %w", what, access.ErrConflict)
	}
	return err
}

func (w *accessWriter) state(c *access.Change) error {
	if c.IfStops != nil {
		var stops int64
		if err := w.tx.QueryRowContext(w.ctx, `SELECT stops FROM access_state`).Scan(&stops); err != nil {
			return err
		}
		if stops != *c.IfStops {
			return fmt.Errorf("stops: %w", access.ErrConflict)
		}
	}
	n, err := w.exec(`UPDATE access_state SET seq = seq + 1, high = max(high, ?1) WHERE ?2 IS NULL OR epoch = ?2`, c.At.UnixMicro(), c.IfEpoch)
	if err == nil && n != 1 {
		err = access.ErrRewound
	}
	return err
}

// there finds integrations that have to be there.
func (w *accessWriter) there(c *access.Change) error {
	for _, name := range c.IfIntegrations {
		var n int
		if err := w.tx.QueryRowContext(w.ctx, `SELECT count(*) FROM access_integrations WHERE name = ?`, name).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("integration %s: %w", name, access.ErrConflict)
		}
	}
	return nil
}

func (w *accessWriter) stops(c *access.Change) error {
	if len(c.Stops) == 0 && len(c.LiftStops) == 0 {
		return nil
	}
	for i := range c.Stops {
		body, err := access.EncodeRow(&c.Stops[i])
		if err != nil {
			return err
		}
		if _, err := w.exec(`INSERT INTO access_stops (id, body) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body`, c.Stops[i].ID, string(body)); err != nil {
			return err
		}
	}
	for _, id := range c.LiftStops {
		if err := w.one("stop "+id, `DELETE FROM access_stops WHERE id = ?`, id); err != nil {
			return err
		}
	}
	_, err := w.exec(`UPDATE access_state SET stops = stops + 1`)
	return err
}

// version writes a row that has a version: 1 is new, any other replaces the one
// before it.
func version(add, change statement, what string, version int64, args ...any) error {
	put := change
	if version == 1 {
		put = add
	}
	result, err := put.exec(append(args, version-1)...)
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n != 1 {
		err = fmt.Errorf("%s: %w", what, access.ErrConflict)
	}
	return err
}

func (w *accessWriter) requests(c *access.Change) error {
	if len(c.Requests) == 0 {
		return nil
	}
	add := w.prepare(`INSERT INTO access_requests (version, state, by_id, for_id, integrations, created, due, body, id)
		SELECT ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE ? = 0 ON CONFLICT (id) DO NOTHING`)
	change := w.prepare(`UPDATE access_requests SET version = ?, state = ?, by_id = ?, for_id = ?, integrations = ?, created = ?, due = ?, body = ?
		WHERE id = ? AND version = ?`)
	if w.err != nil {
		return w.err
	}
	for _, r := range c.Requests {
		body, err := access.EncodeRow(r)
		if err != nil {
			return err
		}
		err = version(add, change, "request "+r.ID, r.Version, r.Version, string(r.State), r.By.ID, r.For.ID,
			","+strings.Join(r.Integrations(), ",")+",", r.CreatedAt.UnixMicro(), micros(r.Due()), string(body), r.ID)
		if err != nil {
			return err
		}
	}
	return nil
}

// Stages of an item.
const (
	itemLive = iota
	itemGoing
	itemGone
)

func itemStage(s access.GrantState) int {
	switch s {
	case access.Provisioning, access.Active:
		return itemLive
	case access.Ended:
		return itemGone
	default:
		return itemGoing
	}
}

func (w *accessWriter) grants(c *access.Change) error {
	if len(c.Grants) == 0 {
		return nil
	}
	add := w.prepare(`INSERT INTO access_grants (version, state, person, request, created, due, body, id)
		SELECT ?, ?, ?, ?, ?, ?, ?, ? WHERE ? = 0 ON CONFLICT DO NOTHING`)
	change := w.prepare(`UPDATE access_grants SET version = ?, state = ?, person = ?, request = ?, created = ?, due = ?, body = ?
		WHERE id = ? AND version = ?`)
	item := w.prepare(`INSERT INTO access_items (grant_id, n, object, integration, resource, person, stage) VALUES (?, ?, ?, ?, ?, ?, ?)`)
	stage := w.prepare(`UPDATE access_items SET stage = ? WHERE grant_id = ? AND stage <> ?`)
	person := w.prepare(`INSERT INTO access_people (integration, person, ended, body) VALUES (?, ?, ?, ?)
		ON CONFLICT (integration, person) DO UPDATE SET ended = max(ended, excluded.ended), body = excluded.body`)
	if w.err != nil {
		return w.err
	}
	for _, g := range c.Grants {
		body, err := access.EncodeRow(g)
		if err != nil {
			return err
		}
		err = version(add, change, "grant "+g.ID, g.Version, g.Version, string(g.State), g.Person.ID, g.Request, g.CreatedAt.UnixMicro(),
			micros(g.Due()), string(body), g.ID)
		if err != nil {
			return err
		}
		now := itemStage(g.State)
		if g.Version == 1 {
			for n := range g.Items {
				r := &g.Items[n].Resource
				if _, err := item.exec(g.ID, n, g.Items[n].Object, r.Integration, r.ID, g.Person.ID, now); err != nil {
					return err
				}
			}
		} else if _, err := stage.exec(now, g.ID, now); err != nil {
			return err
		}
		if g.State != access.Ended {
			continue
		}
		who, err := json.Marshal(&g.Person)
		if err != nil {
			return err
		}
		for n := range g.Items {
			if _, err := person.exec(g.Items[n].Resource.Integration, g.Person.ID, g.EndedAt.UnixMicro(), string(who)); err != nil {
				return err
			}
		}
	}
	return nil
}

// results come before touches: a touch of the same change is newer.
func (w *accessWriter) results(c *access.Change) error {
	if len(c.Results) == 0 {
		return nil
	}
	// A generation that has grown since stays, and so does what was noted with it: the
	// object is due for it.
	put := w.prepare(`UPDATE access_objects SET body = ?, applied = ?, holder = '', until = 0,
		wake = CASE WHEN generation = ? THEN ? ELSE wake END, due = CASE WHEN generation = ? THEN ? ELSE due END
		WHERE key = ? AND holder = ? AND fence = ?`)
	if w.err != nil {
		return w.err
	}
	for i := range c.Results {
		r := &c.Results[i]
		body, err := access.EncodeRow(&r.Object)
		if err != nil {
			return err
		}
		result, err := put.exec(string(body), r.Object.Applied, r.Object.Generation, micros(r.Object.NextTry),
			r.Object.Generation, r.Object.DueAt.UnixMicro(), r.Lease.Key, r.Holder, r.Lease.Fence)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			return errors.Join(fmt.Errorf("the lease of %s: %w", r.Lease.Key, access.ErrConflict), err)
		}
	}
	return nil
}

func (w *accessWriter) touches(c *access.Change) error {
	if len(c.Touches) == 0 {
		return nil
	}
	// On the right of a SET all columns are those of before.
	put := w.prepare(`INSERT INTO access_objects (key, integration, generation, applied, due, wake, body) VALUES (?, ?, 1, 0, ?, ?, ?)
		ON CONFLICT (key) DO UPDATE SET generation = generation + 1,
			due = CASE WHEN applied < generation THEN min(due, excluded.due) ELSE excluded.due END,
			wake = CASE WHEN wake IS NULL THEN excluded.wake ELSE min(wake, excluded.wake) END`)
	known := w.prepare(`UPDATE access_objects SET generation = generation + 1,
			due = CASE WHEN applied < generation THEN min(due, ?) ELSE ? END,
			wake = CASE WHEN wake IS NULL THEN ? ELSE min(wake, ?) END WHERE key = ?`)
	if w.err != nil {
		return w.err
	}
	for i := range c.Touches {
		t := &c.Touches[i]
		due, wake := t.DueAt.UnixMicro(), t.NextTry.UnixMicro()
		if t.Known {
			if _, err := known.exec(due, due, wake, wake, t.Key); err != nil {
				return err
			}
			continue
		}
		body, err := access.EncodeRow(&access.Object{Key: t.Key, Integration: t.Integration})
		if err != nil {
			return err
		}
		if _, err := put.exec(t.Key, t.Integration, due, wake, string(body)); err != nil {
			return err
		}
	}
	return nil
}

func (w *accessWriter) integrations(c *access.Change) error {
	if len(c.Integrations) == 0 {
		return nil
	}
	add := w.prepare(`INSERT INTO access_integrations (version, body, health, name) SELECT ?, ?, ?, ? WHERE ? = 0 ON CONFLICT (name) DO NOTHING`)
	change := w.prepare(`UPDATE access_integrations SET version = ?, body = ?, health = ? WHERE name = ? AND version = ?`)
	if w.err != nil {
		return w.err
	}
	for _, i := range c.Integrations {
		settings := *i
		settings.Health = access.Health{} // in a column of its own: see ChangeHealth
		body, err := access.EncodeRow(&settings)
		if err != nil {
			return err
		}
		health, err := access.EncodeRow(&i.Health)
		if err != nil {
			return err
		}
		if err := version(add, change, "integration "+i.Name, i.Version, i.Version, string(body), string(health), i.Name); err != nil {
			return err
		}
	}
	return nil
}

func (w *accessWriter) remove(c *access.Change) error {
	i := c.RemoveIntegration
	if i == nil {
		return nil
	}
	var open int
	if err := w.tx.QueryRowContext(w.ctx, `SELECT count(*) FROM access_items WHERE integration = ? AND stage < ?`, i.Name, itemGone).Scan(&open); err != nil {
		return err
	}
	if open > 0 {
		return fmt.Errorf("integration %s has grants: %w", i.Name, access.ErrConflict)
	}
	if err := w.one("integration "+i.Name, `DELETE FROM access_integrations WHERE name = ? AND version = ?`, i.Name, i.Version); err != nil {
		return err
	}
	for _, table := range []string{"access_resources", "access_objects", "access_drift", "access_people"} {
		if _, err := w.exec(`DELETE FROM `+table+` WHERE integration = ?`, i.Name); err != nil {
			return err
		}
	}
	return nil
}

func (w *accessWriter) flows(c *access.Change) error {
	if c.Flows == nil {
		return nil
	}
	body, err := access.EncodeRow(c.Flows)
	if err != nil {
		return err
	}
	return w.one("the flows", `INSERT INTO access_flows (version, body)
		SELECT ?, ? WHERE ? = (SELECT coalesce(max(version), 0) + 1 FROM access_flows)`, c.Flows.Version, string(body), c.Flows.Version)
}

func (w *accessWriter) drift(c *access.Change) error {
	for i := range c.Drifts {
		d := &c.Drifts[i]
		body, err := access.EncodeRow(d)
		if err != nil {
			return err
		}
		mended := int64(0)
		if !d.Mended.IsZero() {
			mended = d.Mended.UnixMicro()
		}
		if _, err := w.exec(`INSERT INTO access_drift (integration, key, mended, last, body) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (integration, key) DO UPDATE SET mended = excluded.mended, last = excluded.last, body = excluded.body`,
			d.Integration, d.Key, mended, d.Last.UnixMicro(), string(body)); err != nil {
			return err
		}
	}
	for _, p := range c.Cleaned {
		// Who got a grant and lost it again since is cleaned up anew.
		if _, err := w.exec(`DELETE FROM access_people WHERE integration = ? AND person = ? AND ended <= ?`,
			p.Integration, p.Person, p.At.UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}

func (w *accessWriter) letters(c *access.Change) error {
	if len(c.Letters) == 0 {
		return nil
	}
	put := w.prepare(`INSERT INTO access_letters (key, channel, thread, at, wake, body) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING`)
	if w.err != nil {
		return w.err
	}
	for i := range c.Letters {
		l := &c.Letters[i]
		if _, err := put.exec(l.Key, l.Channel, l.Thread, l.At.UnixMicro(), l.At.UnixMicro(), append([]byte{}, l.Body...)); err != nil {
			return err
		}
	}
	return nil
}
