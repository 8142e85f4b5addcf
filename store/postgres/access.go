package postgres

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/identity"
)

// Lending is the part of a Store that keeps what was lent.
type Lending struct{ s *Store }

var _ access.Store = (*Lending)(nil)

// Lending returns the part of the store that keeps what was lent.
func (s *Store) Lending() (access.Store, error) { return &Lending{s}, nil }

// micros is a time in the database; the zero time is NULL.
func micros(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	n := t.UnixMicro()
	return &n
}

func fromMicros(n int64) time.Time { return time.UnixMicro(n).UTC() }

// personKey is a person's ID as it is compared: in any case, and within what an index
// takes.
func personKey(id string) string { return indexed(identity.EmailKey(id)) }

// Commit writes a change whole or not at all; see access.Store. Its first statement
// locks the row of access_state, so changes of lending are made one after the other.
func (l *Lending) Commit(ctx context.Context, c *access.Change) error {
	return l.s.update(ctx, "lending", noTurn, func(tx querier) error {
		var w accessWriter
		for _, part := range []func(*access.Change) error{
			w.state, w.there, w.lock, w.stops, w.requests, w.grants, w.results, w.touches, w.integrations, w.remove, w.flows, w.drift, w.letters,
		} {
			if err := part(c); err != nil {
				return err
			}
		}
		if err := w.send(ctx, tx); err != nil {
			return err
		}
		return l.s.appendAudit(ctx, tx, c.Events...)
	})
}

// accessWriter puts the statements of one change together; they go in one round trip.
type accessWriter struct{ batch }

// must adds a write that must find its row as it was read.
func (w *accessWriter) must(what, query string, args ...any) {
	w.expect(what, one(access.ErrConflict), query, args...)
}

func (w *accessWriter) state(c *access.Change) error {
	w.expect("", one(access.ErrRewound), `UPDATE access_state SET seq = seq + 1, high = greatest(high, $1) WHERE $2::bigint IS NULL OR epoch = $2`,
		c.At.UnixMicro(), c.IfEpoch)
	if c.IfStops != nil {
		w.must("stops", `SELECT FROM access_state WHERE stops = $1`, *c.IfStops)
	}
	return nil
}

// there finds integrations that have to be there. The row of access_state is locked, so
// none is removed before the commit.
func (w *accessWriter) there(c *access.Change) error {
	for _, name := range c.IfIntegrations {
		w.must("integration "+name, `SELECT FROM access_integrations WHERE name = $1`, name)
	}
	return nil
}

// lock locks the objects of the change in the order of their keys, as RenewLeases does:
// in any other order the two could wait for one another.
func (w *accessWriter) lock(c *access.Change) error {
	keys := make([]string, 0, len(c.Results)+len(c.Touches))
	for i := range c.Results {
		keys = append(keys, c.Results[i].Lease.Key)
	}
	for i := range c.Touches {
		keys = append(keys, c.Touches[i].Key)
	}
	if len(keys) > 1 {
		w.add("", `SELECT FROM access_objects WHERE key = ANY($1) ORDER BY key FOR UPDATE`, keys)
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
		w.add("", `INSERT INTO access_stops (id, body) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET body = excluded.body`, c.Stops[i].ID, document(body))
	}
	for _, id := range c.LiftStops {
		w.must("stop "+id, `DELETE FROM access_stops WHERE id = $1`, id)
	}
	w.add("", `UPDATE access_state SET stops = stops + 1`)
	return nil
}

func (w *accessWriter) requests(c *access.Change) error {
	for _, r := range c.Requests {
		body, err := access.EncodeRow(r)
		if err != nil {
			return err
		}
		// A row of version 1 is new; any other replaces the one before it.
		args := []any{
			r.ID, r.Version, string(r.State), personKey(r.By.ID), personKey(r.For.ID),
			"," + strings.Join(r.Integrations(), ",") + ",", r.CreatedAt.UnixMicro(), micros(r.Due()), document(body),
		}
		if r.Version == 1 {
			w.must("request "+r.ID, `INSERT INTO access_requests (id, version, state, by_id, for_id, integrations, created, due, body)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING`, args...)
			continue
		}
		w.must("request "+r.ID, `UPDATE access_requests SET version = $2, state = $3, by_id = $4, for_id = $5, integrations = $6, created = $7, due = $8, body = $9
			WHERE id = $1 AND version = $2 - 1`, args...)
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
	for _, g := range c.Grants {
		body, err := access.EncodeRow(g)
		if err != nil {
			return err
		}
		args := []any{g.ID, g.Version, string(g.State), personKey(g.Person.ID), g.Request, g.CreatedAt.UnixMicro(), micros(g.Due()), document(body)}
		now := itemStage(g.State)
		if g.Version == 1 {
			w.must("grant "+g.ID, `INSERT INTO access_grants (id, version, state, person, request, created, due, body)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`, args...)
			for n := range g.Items {
				r := &g.Items[n].Resource
				w.add("grant "+g.ID, `INSERT INTO access_items (grant_id, n, object, integration, resource, person, stage) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
					g.ID, n, g.Items[n].Object, r.Integration, r.ID, personKey(g.Person.ID), now)
			}
		} else {
			w.must("grant "+g.ID, `UPDATE access_grants SET version = $2, state = $3, person = $4, request = $5, created = $6, due = $7, body = $8
				WHERE id = $1 AND version = $2 - 1`, args...)
			w.add("grant "+g.ID, `UPDATE access_items SET stage = $2 WHERE grant_id = $1 AND stage <> $2`, g.ID, now)
		}
		if g.State != access.Ended {
			continue
		}
		who, err := json.Marshal(&g.Person)
		if err != nil {
			return err
		}
		for n := range g.Items {
			w.add("grant "+g.ID, `INSERT INTO access_people AS p (integration, person, ended, body) VALUES ($1, $2, $3, $4)
				ON CONFLICT (integration, person) DO UPDATE SET ended = greatest(p.ended, excluded.ended), body = excluded.body`,
				g.Items[n].Resource.Integration, personKey(g.Person.ID), g.EndedAt.UnixMicro(), document(who))
		}
	}
	return nil
}

// results come before touches: a touch of the same change is newer.
func (w *accessWriter) results(c *access.Change) error {
	for i := range c.Results {
		r := &c.Results[i]
		body, err := access.EncodeRow(&r.Object)
		if err != nil {
			return err
		}
		// A generation that has grown since stays, and so does what was noted with it: the
		// object is due for it.
		w.must("the lease of "+r.Lease.Key, `UPDATE access_objects SET body = $1, applied = $2, holder = '', until = 0,
			wake = CASE WHEN generation = $3 THEN $4 ELSE wake END, due = CASE WHEN generation = $3 THEN $5 ELSE due END
			WHERE key = $6 AND holder = $7 AND fence = $8`,
			document(body), r.Object.Applied, r.Object.Generation, micros(r.Object.NextTry), r.Object.DueAt.UnixMicro(),
			r.Lease.Key, r.Holder, r.Lease.Fence)
	}
	return nil
}

func (w *accessWriter) touches(c *access.Change) error {
	for i := range c.Touches {
		t := &c.Touches[i]
		due, wake := t.DueAt.UnixMicro(), t.NextTry.UnixMicro()
		if t.Known {
			w.add("object "+t.Key, `UPDATE access_objects SET generation = generation + 1,
				due = CASE WHEN applied < generation THEN least(due, $2) ELSE $2 END, wake = least(wake, $3) WHERE key = $1`, t.Key, due, wake)
			continue
		}
		body, err := access.EncodeRow(&access.Object{Key: t.Key, Integration: t.Integration})
		if err != nil {
			return err
		}
		// On the right of a SET all columns are those of before. least ignores NULL.
		w.add("object "+t.Key, `INSERT INTO access_objects AS o (key, integration, generation, applied, due, wake, body) VALUES ($1, $2, 1, 0, $3, $4, $5)
			ON CONFLICT (key) DO UPDATE SET generation = o.generation + 1,
				due = CASE WHEN o.applied < o.generation THEN least(o.due, excluded.due) ELSE excluded.due END, wake = least(o.wake, excluded.wake)`,
			t.Key, t.Integration, due, wake, document(body))
	}
	return nil
}

func (w *accessWriter) integrations(c *access.Change) error {
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
		args := []any{i.Name, i.Version, document(body), document(health)}
		if i.Version == 1 {
			w.must("integration "+i.Name, `INSERT INTO access_integrations (name, version, body, health) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, args...)
			continue
		}
		w.must("integration "+i.Name, `UPDATE access_integrations SET version = $2, body = $3, health = $4 WHERE name = $1 AND version = $2 - 1`, args...)
	}
	return nil
}

func (w *accessWriter) remove(c *access.Change) error {
	i := c.RemoveIntegration
	if i == nil {
		return nil
	}
	w.must("integration "+i.Name, `DELETE FROM access_integrations WHERE name = $1 AND version = $2
		AND NOT EXISTS (SELECT FROM access_items WHERE integration = $1 AND stage < 2)`, i.Name, i.Version)
	for _, table := range []string{"access_resources", "access_objects", "access_drift", "access_people"} {
		w.add("integration "+i.Name, `DELETE FROM `+table+` WHERE integration = $1`, i.Name)
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
	w.must("the flows", `INSERT INTO access_flows (version, body)
		SELECT $1::bigint, $2 WHERE $1 = (SELECT coalesce(max(version), 0) + 1 FROM access_flows)`, c.Flows.Version, document(body))
	return nil
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
		w.add("drift of "+d.Key, `INSERT INTO access_drift (integration, key, mended, last, body) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (integration, key) DO UPDATE SET mended = excluded.mended, last = excluded.last, body = excluded.body`,
			d.Integration, d.Key, mended, d.Last.UnixMicro(), document(body))
	}
	for _, p := range c.Cleaned {
		// Who got a grant and lost it again since is cleaned up anew.
		w.add("", `DELETE FROM access_people WHERE integration = $1 AND person = $2 AND ended <= $3`, p.Integration, personKey(p.Person), p.At.UnixMicro())
	}
	return nil
}

func (w *accessWriter) letters(c *access.Change) error {
	for i := range c.Letters {
		l := &c.Letters[i]
		w.add("letter "+l.Key, `INSERT INTO access_letters (key, channel, thread, at, wake, body) VALUES ($1, $2, $3, $4, $4, $5) ON CONFLICT (key) DO NOTHING`,
			l.Key, l.Channel, l.Thread, l.At.UnixMicro(), append([]byte{}, l.Body...))
	}
	return nil
}
