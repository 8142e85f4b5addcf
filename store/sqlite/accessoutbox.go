package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

const (
	defaultResources = 100
	maxResources     = 10_000
	// receiptsAtMost bounds what one letter is given of its thread.
	receiptsAtMost = 50
)

// SaveResources replaces the known resources of an integration; see access.Store.
func (l *Lending) SaveResources(ctx context.Context, integration string, resources []flow.Resource) error {
	return l.s.update(ctx, "saving resources", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `DELETE FROM access_resources WHERE integration = ?`, integration); err != nil {
			return err
		}
		p := preparer{ctx: ctx, tx: tx}
		defer p.close()
		put := p.prepare(`INSERT INTO access_resources (integration, type, id, words, body) VALUES (?, ?, ?, ?, ?)
			ON CONFLICT (integration, type, id) DO UPDATE SET words = excluded.words, body = excluded.body`)
		if p.err != nil {
			return p.err
		}
		for i := range resources {
			r := resources[i]
			r.Integration = integration
			body, err := json.Marshal(&r)
			if err != nil {
				return err
			}
			if _, err := put.exec(integration, r.Type, r.ID, strings.ToLower(r.ID+"\n"+r.Name+"\n"+r.Path), string(body)); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, `UPDATE access_state SET seq = seq + 1`)
		return err
	})
}

// Resources returns a page of resources; see access.Store.
func (l *Lending) Resources(ctx context.Context, q access.ResourceQuery) (access.ResourcePage, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultResources
	}
	limit = min(limit, maxResources)
	conditions, args := []string{`TRUE`}, []any{}
	for _, c := range [][2]string{{"integration", q.Integration}, {"type", q.Type}} {
		if c[1] != "" {
			conditions, args = append(conditions, c[0]+` = ?`), append(args, c[1])
		}
	}
	if q.Text != "" {
		conditions, args = append(conditions, `instr(words, ?) > 0`), append(args, strings.ToLower(q.Text))
	}
	where := strings.Join(conditions, ` AND `)
	from, fromArgs := where, append([]any{}, args...)
	if q.Cursor != "" {
		var at [3]string
		if err := json.Unmarshal([]byte(q.Cursor), &at); err != nil {
			return access.ResourcePage{}, fmt.Errorf("%w: %q is not the cursor of a page", access.ErrInvalidQuery, q.Cursor)
		}
		from, fromArgs = from+` AND (integration, type, id) > (?, ?, ?)`, append(fromArgs, at[0], at[1], at[2])
	}
	page := access.ResourcePage{Resources: []flow.Resource{}}
	err := l.s.view(ctx, "reading resources", func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM access_resources WHERE `+where, args...).Scan(&page.Total); err != nil {
			return err
		}
		return each(ctx, tx, `SELECT body FROM access_resources WHERE `+from+` ORDER BY integration, type, id LIMIT ?`, append(fromArgs, limit+1), func(rows *sql.Rows) error {
			r, err := scanResource(rows.Scan)
			page.Resources = append(page.Resources, r)
			return err
		})
	})
	if err != nil {
		return access.ResourcePage{}, err
	}
	if len(page.Resources) > limit {
		page.Resources = page.Resources[:limit]
		last := &page.Resources[limit-1]
		next, err := json.Marshal([3]string{last.Integration, last.Type, last.ID})
		if err != nil {
			return access.ResourcePage{}, err
		}
		page.Next = string(next)
	}
	return page, nil
}

func scanResource(scan func(...any) error) (r flow.Resource, err error) {
	var body []byte
	if err = scan(&body); err == nil {
		err = json.Unmarshal(body, &r)
	}
	return r, err
}

// Resource returns a resource, or access.ErrNotFound.
func (l *Lending) Resource(ctx context.Context, integration, typ, id string) (*flow.Resource, error) {
	var r flow.Resource
	err := l.s.view(ctx, "reading a resource", func(tx *sql.Tx) (err error) {
		r, err = scanResource(tx.QueryRowContext(ctx, `SELECT body FROM access_resources WHERE integration = ? AND type = ? AND id = ?`, integration, typ, id).Scan)
		if isNoRows(err) {
			err = fmt.Errorf("%s %s of %s: %w", typ, id, integration, access.ErrNotFound)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// ClaimLetters takes letters that are due; see access.Store.
func (l *Lending) ClaimLetters(ctx context.Context, now, until time.Time, without []string, limit int) ([]access.ClaimedLetter, error) {
	var out []access.ClaimedLetter
	err := l.s.update(ctx, "taking letters", func(tx *sql.Tx) error {
		others, args := ``, []any{now.UnixMicro()}
		if len(without) > 0 {
			others = ` AND c.channel NOT IN (?` + strings.Repeat(`, ?`, len(without)-1) + `)`
			for _, channel := range without {
				args = append(args, channel)
			}
		}
		var seqs []int64
		err := each(ctx, tx, `SELECT c.seq, c.key, c.channel, c.thread, c.at, c.attempts, c.body FROM access_letters c WHERE c.wake <= ?`+others+`
			AND (c.thread = '' OR NOT EXISTS (SELECT 1 FROM access_letters e
				WHERE e.channel = c.channel AND e.thread = c.thread AND e.seq < c.seq AND e.wake IS NOT NULL))
			ORDER BY c.wake, c.seq LIMIT ?`, append(args, limit), func(rows *sql.Rows) error {
			var seq, at int64
			var c access.ClaimedLetter
			err := rows.Scan(&seq, &c.Key, &c.Channel, &c.Thread, &at, &c.Attempts, &c.Body)
			c.At = fromMicros(at)
			out, seqs = append(out, c), append(seqs, seq)
			return err
		})
		for i := 0; i < len(out) && err == nil; i++ {
			_, err = tx.ExecContext(ctx, `UPDATE access_letters SET wake = ?, attempts = attempts + 1 WHERE seq = ?`, until.UnixMicro(), seqs[i])
			if err == nil && out[i].Thread != "" {
				out[i].Earlier, err = receipts(ctx, tx, &out[i], seqs[i])
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// receipts are those of a letter's channel and thread, the oldest first.
func receipts(ctx context.Context, tx *sql.Tx, c *access.ClaimedLetter, seq int64) (out [][]byte, err error) {
	err = each(ctx, tx, `SELECT receipt FROM (SELECT seq, receipt FROM access_letters WHERE channel = ? AND thread = ? AND seq < ?
			AND receipt IS NOT NULL ORDER BY seq DESC LIMIT ?) ORDER BY seq`,
		[]any{c.Channel, c.Thread, seq, receiptsAtMost}, func(rows *sql.Rows) error {
			var b []byte
			err := rows.Scan(&b)
			out = append(out, b)
			return err
		})
	return out, err
}

// SettleLetter notes what became of a letter; see access.Store.
func (l *Lending) SettleLetter(ctx context.Context, key string, receipt []byte, failed string, again time.Time) error {
	return l.s.update(ctx, "noting a letter", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE access_letters SET receipt = coalesce(?, receipt), error = ?, wake = ? WHERE key = ?`,
			receipt, failed, micros(again), key)
		return err
	})
}

// ForgetLetters removes letters that were done before a time.
func (l *Lending) ForgetLetters(ctx context.Context, before time.Time) error {
	return l.s.update(ctx, "removing old letters", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM access_letters WHERE wake IS NULL AND at < ?`, before.UnixMicro())
		return err
	})
}

// Leavers returns who is to be cleaned up on an integration; see access.Store.
func (l *Lending) Leavers(ctx context.Context, integration string, before time.Time, limit int) ([]flow.Person, error) {
	var out []flow.Person
	err := l.s.view(ctx, "reading who is to be cleaned up", func(tx *sql.Tx) error {
		return each(ctx, tx, `SELECT p.body FROM access_people p WHERE p.integration = ? AND p.ended <= ?
			AND NOT EXISTS (SELECT 1 FROM access_items i WHERE i.integration = p.integration AND i.person = p.person AND i.stage < 2)
			ORDER BY p.ended LIMIT ?`, []any{integration, before.UnixMicro(), limit}, func(rows *sql.Rows) error {
			var body []byte
			if err := rows.Scan(&body); err != nil {
				return err
			}
			var p flow.Person
			err := json.Unmarshal(body, &p)
			out = append(out, p)
			return err
		})
	})
	return out, err
}
