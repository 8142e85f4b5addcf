package postgres

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

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

// compare compares a snapshot with the saved one, outside of a transaction: a large
// estate takes a while to decode, and nobody's turn must wait for it.
func (s *Store) compare(ctx context.Context, snapshot *estate.Snapshot) (*comparison, error) {
	c := &comparison{snapshot: snapshot}
	err := s.read(ctx, "comparing the estate", func(q querier) (err error) {
		c.saved, err = savedEstate(ctx, q)
		return err
	})
	c.changes = record.EstateChanges(c.saved, snapshot)
	return c, err
}

// note adds the changes to the history. Another process may have saved an estate
// since they were compared: then it is that one that they are compared with.
func (c *comparison) note(ctx context.Context, tx querier) error {
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
	var b batch
	for i := range c.changes {
		change := &c.changes[i]
		b.add("", `INSERT INTO estate_history (at, account, region, api, type, subject, name, kind, field, before, after)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, change.Time.UnixMilli(), change.Account, change.Region, change.API,
			string(change.Type), change.Subject, change.Name, string(change.Kind), change.Field, change.Before, change.After)
	}
	b.add("", `DELETE FROM estate_history WHERE at < $1 OR id <= (SELECT max(id) FROM estate_history) - $2`,
		c.snapshot.Finished.Add(-historyAge).UnixMilli(), historyAtMost)
	return b.send(ctx, tx)
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
	var f filter
	f.equal([2]string{"account", q.Account}, [2]string{"region", q.Region}, [2]string{"api", q.API},
		[2]string{"type", string(q.Type)}, [2]string{"kind", string(q.Kind)})
	if !q.Since.IsZero() {
		f.add("at >= ?", q.Since.UnixMilli())
	}
	if !q.Until.IsZero() {
		f.add("at < ?", q.Until.UnixMilli())
	}
	if q.Cursor != "" {
		before, err := strconv.ParseInt(q.Cursor, 10, 64)
		if err != nil || before < 1 {
			return page, fmt.Errorf("%w: %q is not the cursor of a page", estate.ErrInvalidQuery, q.Cursor)
		}
		f.add("id < ?", before)
	}
	query := `SELECT id, at, account, region, api, type, subject, name, kind, field, before, after FROM estate_history` +
		f.where() + f.text(` ORDER BY id DESC LIMIT ?`, limit+1)
	err := s.read(ctx, "reading the estate's history", func(tx querier) error {
		page.Changes = page.Changes[:0]
		return each(ctx, tx, query, f.args, func(rows pgx.Rows) error {
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
