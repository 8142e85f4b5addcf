package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-project/gatehouse/access"
)

// Rewind sets the time of lending back, with all that is open; see access.Store. It has
// the row of access_state from its first statement on, so that no change of lending is
// made meanwhile; what takes leases waits for the objects.
func (l *Lending) Rewind(ctx context.Context, r *access.Rewind) error {
	return l.s.update(ctx, "setting the time of lending back", noTurn, func(tx querier) error {
		w := accessRewinder{ctx: ctx, tx: tx, r: r}
		for _, part := range []func() error{w.state, w.objects, w.requests, w.grants, w.others} {
			if err := part(); err != nil {
				return err
			}
		}
		return l.s.appendAudit(ctx, tx, r.Events...)
	})
}

// accessRewinder moves the times of what is open.
type accessRewinder struct {
	batch
	ctx context.Context //nolint:containedctx // it lives no longer than the call that makes it
	tx  querier
	r   *access.Rewind
}

func (w *accessRewinder) state() error {
	var epoch, high int64
	if err := w.tx.QueryRow(w.ctx, `SELECT epoch, high FROM access_state FOR UPDATE`).Scan(&epoch, &high); err != nil {
		return err
	}
	switch {
	case epoch != w.r.Epoch:
		return access.ErrRewound
	case high > w.r.From.UnixMicro():
		return fmt.Errorf("the time of lending: %w", access.ErrConflict)
	}
	w.add("", `UPDATE access_state SET seq = seq + 1, epoch = epoch + 1, high = $1`, w.r.To.UnixMicro())
	return w.send(w.ctx, w.tx)
}

// objects come first of what is moved, all in the order of their keys: whoever has a lease
// of one is done with it before its grants are looked at.
func (w *accessRewinder) objects() error {
	by := w.r.By().Microseconds()
	err := each(w.ctx, w.tx, `SELECT `+objectColumns+` FROM access_objects o ORDER BY o.key FOR UPDATE`, nil, func(rows pgx.Rows) error {
		o, err := scanObject(rows)
		if err != nil {
			return err
		}
		w.r.Object(&o.Object)
		body, err := access.EncodeRow(&o.Object)
		if err != nil {
			return err
		}
		w.add("object "+o.Object.Key, `UPDATE access_objects SET due = $2, wake = $3, until = CASE WHEN until > 0 THEN until - $4 ELSE 0 END, body = $5 WHERE key = $1`,
			o.Object.Key, o.Object.DueAt.UnixMicro(), micros(o.Object.NextTry), by, document(body))
		return nil
	})
	if err != nil {
		return err
	}
	// What is lent is written once more, with its end as it is called now.
	w.add("", `UPDATE access_objects SET generation = generation + 1, due = CASE WHEN applied < generation THEN least(due, $1) ELSE $1 END, wake = least(wake, $1)
		WHERE key IN (SELECT object FROM access_items WHERE stage < 2 AND stage = 0)`, w.r.To.UnixMicro())
	return w.send(w.ctx, w.tx)
}

func (w *accessRewinder) requests() error {
	all, err := decodeRows[access.Request](w.ctx, w.tx, `SELECT body FROM access_requests WHERE state = $1`, []any{string(access.Pending)})
	if err != nil {
		return err
	}
	for _, q := range all {
		w.r.Request(q)
		body, err := access.EncodeRow(q)
		if err != nil {
			return err
		}
		w.add("request "+q.ID, `UPDATE access_requests SET created = $2, due = $3, body = $4 WHERE id = $1`, q.ID, q.CreatedAt.UnixMicro(), micros(q.Due()), document(body))
	}
	return w.send(w.ctx, w.tx)
}

func (w *accessRewinder) grants() error {
	all, err := decodeRows[access.Grant](w.ctx, w.tx, `SELECT body FROM access_grants WHERE state = ANY($1)`,
		[]any{[]string{string(access.Provisioning), string(access.Active), string(access.Revoking)}})
	if err != nil {
		return err
	}
	for _, g := range all {
		w.r.Grant(g)
		body, err := access.EncodeRow(g)
		if err != nil {
			return err
		}
		w.add("grant "+g.ID, `UPDATE access_grants SET created = $2, due = $3, body = $4 WHERE id = $1`, g.ID, g.CreatedAt.UnixMicro(), micros(g.Due()), document(body))
	}
	return w.send(w.ctx, w.tx)
}

// others moves what else is waited for: letters that are to be sent, who is to be cleaned
// up, and what integrations are due for.
func (w *accessRewinder) others() error {
	by, to := w.r.By().Microseconds(), w.r.To.UnixMicro()
	w.add("", `UPDATE access_letters SET wake = wake - $1 WHERE wake IS NOT NULL`, by)
	w.add("", `UPDATE access_people SET ended = ended - $1 WHERE ended > $2`, by, to)
	err := each(w.ctx, w.tx, `SELECT name, health FROM access_integrations WHERE health IS NOT NULL ORDER BY name FOR UPDATE`, nil, func(rows pgx.Rows) error {
		var name string
		var body []byte
		if err := rows.Scan(&name, &body); err != nil {
			return err
		}
		h, err := access.DecodeRow[access.Health](body)
		if err != nil {
			return err
		}
		w.r.Health(h)
		if body, err = access.EncodeRow(h); err != nil {
			return err
		}
		w.add("integration "+name, `UPDATE access_integrations SET health = $2 WHERE name = $1`, name, document(body))
		return nil
	})
	if err != nil {
		return err
	}
	return w.send(w.ctx, w.tx)
}
