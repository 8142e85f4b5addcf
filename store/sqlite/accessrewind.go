package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/gatehouse-project/gatehouse/access"
)

// Rewind sets the time of lending back, with all that is open; see access.Store.
func (l *Lending) Rewind(ctx context.Context, r *access.Rewind) error {
	return l.s.update(ctx, "setting the time of lending back", func(tx *sql.Tx) error {
		w := accessRewinder{accessWriter{preparer: preparer{ctx: ctx, tx: tx}}, r}
		defer w.close()
		for _, part := range []func() error{w.state, w.requests, w.grants, w.objects, w.others} {
			if err := part(); err != nil {
				return err
			}
		}
		return l.s.appendAudit(ctx, tx, r.Events...)
	})
}

// accessRewinder moves the times of what is open.
type accessRewinder struct {
	accessWriter
	r *access.Rewind
}

func (w *accessRewinder) state() error {
	var epoch, high int64
	if err := w.tx.QueryRowContext(w.ctx, `SELECT epoch, high FROM access_state`).Scan(&epoch, &high); err != nil {
		return err
	}
	switch {
	case epoch != w.r.Epoch:
		return access.ErrRewound
	case high > w.r.From.UnixMicro():
		return fmt.Errorf("the time of lending: %w", access.ErrConflict)
	}
	_, err := w.exec(`UPDATE access_state SET seq = seq + 1, epoch = epoch + 1, high = ?`, w.r.To.UnixMicro())
	return err
}

func (w *accessRewinder) requests() error {
	all, err := decodeRows[access.Request](w.ctx, w.tx, `SELECT body FROM access_requests WHERE state = ?`, []any{string(access.Pending)})
	if err != nil {
		return err
	}
	put := w.prepare(`UPDATE access_requests SET created = ?, due = ?, body = ? WHERE id = ?`)
	if w.err != nil {
		return w.err
	}
	for _, q := range all {
		w.r.Request(q)
		body, err := access.EncodeRow(q)
		if err == nil {
			_, err = put.exec(q.CreatedAt.UnixMicro(), micros(q.Due()), string(body), q.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *accessRewinder) grants() error {
	all, err := decodeRows[access.Grant](w.ctx, w.tx, `SELECT body FROM access_grants WHERE state IN (?, ?, ?)`,
		[]any{string(access.Provisioning), string(access.Active), string(access.Revoking)})
	if err != nil {
		return err
	}
	put := w.prepare(`UPDATE access_grants SET created = ?, due = ?, body = ? WHERE id = ?`)
	if w.err != nil {
		return w.err
	}
	for _, g := range all {
		w.r.Grant(g)
		body, err := access.EncodeRow(g)
		if err == nil {
			_, err = put.exec(g.CreatedAt.UnixMicro(), micros(g.Due()), string(body), g.ID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *accessRewinder) objects() error {
	type held struct {
		access.Object
		until int64
	}
	var all []held
	err := each(w.ctx, w.tx, `SELECT `+objectColumns+` FROM access_objects`, nil, func(rows *sql.Rows) error {
		o, _, until, err := scanObject(rows)
		all = append(all, held{o.Object, until})
		return err
	})
	if err != nil {
		return err
	}
	put := w.prepare(`UPDATE access_objects SET due = ?, wake = ?, until = ?, body = ? WHERE key = ?`)
	if w.err != nil {
		return w.err
	}
	by := w.r.By().Microseconds()
	for i := range all {
		o := &all[i]
		w.r.Object(&o.Object)
		if o.until > 0 {
			o.until -= by
		}
		body, err := access.EncodeRow(&o.Object)
		if err == nil {
			_, err = put.exec(o.DueAt.UnixMicro(), micros(o.NextTry), o.until, string(body), o.Key)
		}
		if err != nil {
			return err
		}
	}
	// What is lent is written once more, with its end as it is called now.
	return w.again()
}

func (w *accessRewinder) again() error {
	to := w.r.To.UnixMicro()
	_, err := w.exec(`UPDATE access_objects SET generation = generation + 1, due = CASE WHEN applied < generation THEN min(due, ?1) ELSE ?1 END,
		wake = CASE WHEN wake IS NULL THEN ?1 ELSE min(wake, ?1) END
		WHERE key IN (SELECT object FROM access_items WHERE stage < 2 AND stage = 0)`, to)
	return err
}

// others moves what else is waited for: letters that are to be sent, who is to be cleaned
// up, and what integrations are due for.
func (w *accessRewinder) others() error {
	by, to := w.r.By().Microseconds(), w.r.To.UnixMicro()
	if _, err := w.exec(`UPDATE access_letters SET wake = wake - ? WHERE wake IS NOT NULL`, by); err != nil {
		return err
	}
	if _, err := w.exec(`UPDATE access_people SET ended = ended - ?1 WHERE ended > ?2`, by, to); err != nil {
		return err
	}
	health := map[string]*access.Health{}
	err := each(w.ctx, w.tx, `SELECT name, health FROM access_integrations WHERE health IS NOT NULL`, nil, func(rows *sql.Rows) (err error) {
		var name string
		var body []byte
		if err := rows.Scan(&name, &body); err != nil {
			return err
		}
		health[name], err = access.DecodeRow[access.Health](body)
		return err
	})
	for name, h := range health {
		if err != nil {
			return err
		}
		w.r.Health(h)
		var body []byte
		if body, err = access.EncodeRow(h); err == nil {
			_, err = w.exec(`UPDATE access_integrations SET health = ? WHERE name = ?`, string(body), name)
		}
	}
	return err
}
