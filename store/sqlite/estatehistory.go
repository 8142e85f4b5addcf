package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"time"

	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/store/record"
)

const (
	defaultHistory = 100
	maxHistory     = 1000
	// historyAtMost and historyAge bound the history: some 60 MB, and a little more
	// than a year.
	historyAtMost = 200_000
	historyAge    = 400 * 24 * time.Hour
)

// comparison is what a snapshot tells differently from the one that is saved.
type comparison struct {
	snapshot *estate.Snapshot
	saved    []byte // as it is stored
	changes  []estate.Change
}

// compare compares a snapshot with the saved one, outside of a write: a large estate
// takes a while to decode, and commits of the collector must not wait for it.
func (s *Store) compare(ctx context.Context, snapshot *estate.Snapshot) (*comparison, error) {
	c := &comparison{snapshot: snapshot}
	err := s.view(ctx, "comparing the estate", func(tx *sql.Tx) (err error) {
		c.saved, err = savedEstate(ctx, tx)
		return err
	})
	c.changes = record.EstateChanges(c.saved, snapshot)
	return c, err
}

// note adds the changes to the history. Another process may have saved an estate
// since they were compared: then it is that one that they are compared with.
func (c *comparison) note(ctx context.Context, tx *sql.Tx) error {
	saved, err := savedEstate(ctx, tx)
	if err != nil {
		return err
	}
	if !bytes.Equal(saved, c.saved) {
		c.saved = saved
		c.changes = record.EstateChanges(saved, c.snapshot)
	}
	if len(c.changes) == 0 {
		return nil
	}
	p := preparer{ctx: ctx, tx: tx}
	defer p.close()
	put := p.prepare(`INSERT INTO estate_history (at, account, region, api, type, subject, name, kind, field, before, after)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	if p.err != nil {
		return p.err
	}
	for i := range c.changes {
		change := &c.changes[i]
		if _, err := put.exec(change.Time.UnixMilli(), change.Account, change.Region, change.API, string(change.Type), change.Subject, change.Name, string(change.Kind), change.Field, change.Before, change.After); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM estate_history WHERE at < ? OR id <= (SELECT max(id) FROM estate_history) - ?`,
		c.snapshot.Finished.Add(-historyAge).UnixMilli(), historyAtMost)
	return err
}

// EstateHistory returns a page of what changed in the estate, the newest first; see
// estate.History.
func (s *Store) EstateHistory(ctx context.Context, q estate.HistoryQuery) (estate.HistoryPage, error) {
	page := estate.HistoryPage{Changes: []estate.Change{}}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultHistory
	}
	limit = min(limit, maxHistory)
	query, args := `SELECT id, at, account, region, api, type, subject, name, kind, field, before, after FROM estate_history WHERE TRUE`, []any{}
	where := func(condition string, value any) {
		query += ` AND ` + condition
		args = append(args, value)
	}
	for condition, value := range map[string]string{
		"account = ?": q.Account, "region = ?": q.Region, "api = ?": q.API, "type = ?": string(q.Type), "kind = ?": string(q.Kind),
	} {
		if value != "" {
			where(condition, value)
		}
	}
	if !q.Since.IsZero() {
		where("at >= ?", q.Since.UnixMilli())
	}
	if !q.Until.IsZero() {
		where("at < ?", q.Until.UnixMilli())
	}
	if q.Cursor != "" {
		before, err := strconv.ParseInt(q.Cursor, 10, 64)
		if err != nil || before < 1 {
			return page, fmt.Errorf("%w: %q is not the cursor of a page", estate.ErrInvalidQuery, q.Cursor)
		}
		where("id < ?", before)
	}
	query += ` ORDER BY id DESC LIMIT ?`
	args = append(args, limit+1)
	err := s.view(ctx, "reading the estate's history", func(tx *sql.Tx) error {
		return each(ctx, tx, query, args, func(rows *sql.Rows) error {
			var c estate.Change
			var at int64
			err := rows.Scan(&c.ID, &at, &c.Account, &c.Region, &c.API, &c.Type, &c.Subject, &c.Name, &c.Kind, &c.Field, &c.Before, &c.After)
			c.Time = time.UnixMilli(at).UTC()
			page.Changes = append(page.Changes, c)
			return err
		})
	})
	if err != nil {
		return estate.HistoryPage{}, err
	}
	if len(page.Changes) > limit {
		page.Changes = page.Changes[:limit]
		page.Next = strconv.FormatInt(page.Changes[limit-1].ID, 10)
	}
	return page, nil
}
