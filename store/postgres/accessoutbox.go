package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

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
	return l.s.update(ctx, "saving resources", noTurn, func(tx querier) error {
		var w batch
		w.add("", `UPDATE access_state SET seq = seq + 1`) // it is the turn of lending, so it comes first
		w.add("", `DELETE FROM access_resources WHERE integration = $1`, integration)
		for i := range resources {
			r := resources[i]
			r.Integration = integration
			body, err := json.Marshal(&r)
			if err != nil {
				return err
			}
			w.add("resource "+r.ID, `INSERT INTO access_resources (integration, type, id, words, body) VALUES ($1, $2, $3, $4, $5)
				ON CONFLICT (integration, type, id) DO UPDATE SET words = excluded.words, body = excluded.body`,
				integration, r.Type, r.ID, strings.ToLower(r.ID+"\n"+r.Name+"\n"+r.Path), document(body))
		}
		return w.send(ctx, tx)
	})
}

// Resources returns a page of resources; see access.Store.
func (l *Lending) Resources(ctx context.Context, q access.ResourceQuery) (access.ResourcePage, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = defaultResources
	}
	limit = min(limit, maxResources)
	var f filter
	f.equal([2]string{"integration", q.Integration}, [2]string{"type", q.Type})
	if q.Text != "" {
		f.add(`strpos(words, ?) > 0`, strings.ToLower(q.Text))
	}
	from := f.with("")
	if q.Cursor != "" {
		var at [3]string
		if err := json.Unmarshal([]byte(q.Cursor), &at); err != nil {
			return access.ResourcePage{}, fmt.Errorf("%w: %q is not the cursor of a page", access.ErrInvalidQuery, q.Cursor)
		}
		from.add(`(integration, type, id) > (?, ?, ?)`, at[0], at[1], at[2])
	}
	query := `SELECT body FROM access_resources` + from.where() + from.text(` ORDER BY integration, type, id LIMIT ?`, limit+1)
	page := access.ResourcePage{Resources: []flow.Resource{}}
	err := l.s.view(ctx, "reading resources", func(tx querier) error {
		page.Resources = page.Resources[:0]
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM access_resources`+f.where(), f.args...).Scan(&page.Total); err != nil {
			return err
		}
		return each(ctx, tx, query, from.args, func(rows pgx.Rows) error {
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
	err := l.s.read(ctx, "reading a resource", func(tx querier) (err error) {
		r, err = scanResource(tx.QueryRow(ctx, `SELECT body FROM access_resources WHERE integration = $1 AND type = $2 AND id = $3`, integration, typ, id).Scan)
		if errors.Is(err, pgx.ErrNoRows) {
			err = fmt.Errorf("%s %s of %s: %w", typ, id, integration, access.ErrNotFound)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &r, nil
}

// ClaimLetters takes letters that are due; see access.Store. A letter that is being taken
// still keeps those after it of its thread back, for whoever takes them sees it waiting.
func (l *Lending) ClaimLetters(ctx context.Context, now, until time.Time, without []string, limit int) ([]access.ClaimedLetter, error) {
	if without == nil {
		without = []string{}
	}
	type claimed struct {
		access.ClaimedLetter
		seq, wake int64
	}
	var all []claimed
	err := l.s.update(ctx, "taking letters", noTurn, func(tx querier) error {
		all = nil
		err := each(ctx, tx, `WITH due AS (SELECT c.seq, c.wake FROM access_letters c WHERE c.wake <= $1 AND c.channel <> ALL ($2)
				AND (c.thread = '' OR NOT EXISTS (SELECT FROM access_letters e
					WHERE e.channel = c.channel AND e.thread = c.thread AND e.seq < c.seq AND e.wake IS NOT NULL))
				ORDER BY c.wake, c.seq LIMIT $3 FOR UPDATE OF c SKIP LOCKED)
			UPDATE access_letters c SET wake = $4, attempts = c.attempts + 1 FROM due WHERE c.seq = due.seq
			RETURNING c.seq, due.wake, c.key, c.channel, c.thread, c.at, c.attempts - 1, c.body`,
			[]any{now.UnixMicro(), without, limit, until.UnixMicro()}, func(rows pgx.Rows) error {
				var at int64
				var c claimed
				err := rows.Scan(&c.seq, &c.wake, &c.Key, &c.Channel, &c.Thread, &at, &c.Attempts, &c.Body)
				c.At = fromMicros(at)
				all = append(all, c)
				return err
			})
		for i := 0; i < len(all) && err == nil; i++ {
			if c := &all[i]; c.Thread != "" {
				c.Earlier, err = receipts(ctx, tx, &c.ClaimedLetter, c.seq)
			}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b claimed) int { return cmp.Or(cmp.Compare(a.wake, b.wake), cmp.Compare(a.seq, b.seq)) })
	var out []access.ClaimedLetter
	for i := range all {
		out = append(out, all[i].ClaimedLetter)
	}
	return out, nil
}

// receipts are those of a letter's channel and thread, the oldest first.
func receipts(ctx context.Context, tx querier, c *access.ClaimedLetter, seq int64) (out [][]byte, err error) {
	err = each(ctx, tx, `SELECT receipt FROM (SELECT seq, receipt FROM access_letters WHERE channel = $1 AND thread = $2 AND seq < $3
			AND receipt IS NOT NULL ORDER BY seq DESC LIMIT $4) r ORDER BY seq`,
		[]any{c.Channel, c.Thread, seq, receiptsAtMost}, func(rows pgx.Rows) error {
			var b []byte
			err := rows.Scan(&b)
			out = append(out, b)
			return err
		})
	return out, err
}

// SettleLetter notes what became of a letter; see access.Store.
func (l *Lending) SettleLetter(ctx context.Context, key string, receipt []byte, failed string, again time.Time) error {
	return l.s.update(ctx, "noting a letter", noTurn, func(tx querier) error {
		_, err := tx.Exec(ctx, `UPDATE access_letters SET receipt = coalesce($1, receipt), error = $2, wake = $3 WHERE key = $4`,
			receipt, failed, micros(again), key)
		return err
	})
}

// ForgetLetters removes letters that were done before a time.
func (l *Lending) ForgetLetters(ctx context.Context, before time.Time) error {
	return l.s.update(ctx, "removing old letters", noTurn, func(tx querier) error {
		_, err := tx.Exec(ctx, `DELETE FROM access_letters WHERE wake IS NULL AND at < $1`, before.UnixMicro())
		return err
	})
}

// Leavers returns who is to be cleaned up on an integration; see access.Store.
func (l *Lending) Leavers(ctx context.Context, integration string, before time.Time, limit int) ([]flow.Person, error) {
	var out []flow.Person
	err := l.s.read(ctx, "reading who is to be cleaned up", func(tx querier) error {
		out = nil
		return each(ctx, tx, `SELECT p.body FROM access_people p WHERE p.integration = $1 AND p.ended <= $2
			AND NOT EXISTS (SELECT 1 FROM access_items i WHERE i.integration = p.integration AND i.person = p.person AND i.stage < 2)
			ORDER BY p.ended LIMIT $3`, []any{integration, before.UnixMicro(), limit}, func(rows pgx.Rows) error {
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
