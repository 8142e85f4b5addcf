package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/store/record"
)

// LoadCheckpoint returns what the last Commits left: all groups with the
// segments that were kept, oldest first, and all sinks.
func (s *Store) LoadCheckpoint(ctx context.Context) (*collect.Checkpoint, error) {
	c := &collect.Checkpoint{Sinks: map[string]string{}}
	err := s.view(ctx, "loading the checkpoint", func(tx *sql.Tx) error {
		at, err := loadGroups(ctx, tx, c)
		if err != nil {
			return err
		}
		if err := loadSeen(ctx, tx, c, at); err != nil {
			return err
		}
		if err := loadAged(ctx, tx, c, at); err != nil {
			return err
		}
		return each(ctx, tx, `SELECT name, position FROM sinks`, nil, func(rows *sql.Rows) error {
			var name, position string
			if err := rows.Scan(&name, &position); err != nil {
				return err
			}
			c.Sinks[name] = position
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// loadGroups returns where in c.Groups the group of each row id stands.
func loadGroups(ctx context.Context, tx *sql.Tx, c *collect.Checkpoint) (map[int64]int, error) {
	at := map[int64]int{}
	err := each(ctx, tx, `SELECT id, key, checkpoint FROM log_groups ORDER BY key`, nil, func(rows *sql.Rows) error {
		var id int64
		var key, text string
		if err := rows.Scan(&id, &key, &text); err != nil {
			return err
		}
		var g collect.GroupCheckpoint
		if err := json.Unmarshal([]byte(text), &g); err != nil {
			return fmt.Errorf("log group %s: %w", key, err)
		}
		at[id] = len(c.Groups)
		c.Groups = append(c.Groups, g)
		return nil
	})
	return at, err
}

func loadSeen(ctx context.Context, tx *sql.Tx, c *collect.Checkpoint, at map[int64]int) error {
	const query = `SELECT log_group, newest, events, calls FROM seen_segments ORDER BY log_group, newest, id`
	return each(ctx, tx, query, nil, func(rows *sql.Rows) error {
		var group, newest int64
		var events, calls sql.RawBytes
		if err := rows.Scan(&group, &newest, &events, &calls); err != nil {
			return err
		}
		g := &c.Groups[at[group]]
		g.Seen = append(g.Seen, collect.Seen{Newest: newest, Events: record.ReadDigests(events), Calls: record.ReadDigests(calls)})
		return nil
	})
}

func loadAged(ctx context.Context, tx *sql.Tx, c *collect.Checkpoint, at map[int64]int) error {
	const query = `SELECT log_group, minute, newest, events, calls FROM seen_minutes ORDER BY log_group, minute, id`
	return each(ctx, tx, query, nil, func(rows *sql.Rows) error {
		var group int64
		var a collect.AgedMinute
		var events, calls sql.RawBytes
		if err := rows.Scan(&group, &a.Minute, &a.Newest, &events, &calls); err != nil {
			return err
		}
		a.Events, a.Calls = record.ReadWords(events), record.ReadDigests(calls)
		g := &c.Groups[at[group]]
		g.Aged = append(g.Aged, a)
		return nil
	})
}

// Commit saves the groups named in c, the sinks' positions and the observers'
// changes, all or nothing. A change of a kind that this store does not know is
// an error.
func (s *Store) Commit(ctx context.Context, c *collect.Checkpoint) error {
	return s.update(ctx, "saving the checkpoint", func(tx *sql.Tx) error {
		if err := commitGroups(ctx, tx, c.Groups); err != nil {
			return err
		}
		for name, position := range c.Sinks {
			_, err := tx.ExecContext(ctx, `INSERT INTO sinks (name, position) VALUES (?, ?)
				ON CONFLICT (name) DO UPDATE SET position = excluded.position`, name, position)
			if err != nil {
				return fmt.Errorf("sink %s: %w", name, err)
			}
		}
		for _, change := range c.Changes {
			switch change := change.(type) {
			case nil:
			case *inventory.Changes:
				if err := s.applyInventory(ctx, tx, change); err != nil {
					return fmt.Errorf("inventory: %w", err)
				}
			default:
				return fmt.Errorf("changes of type %T are not known to this store", change)
			}
		}
		return nil
	})
}

func commitGroups(ctx context.Context, tx *sql.Tx, groups []collect.GroupCheckpoint) error {
	if len(groups) == 0 {
		return nil
	}
	p := preparer{ctx: ctx, tx: tx}
	defer p.close()
	put := p.prepare(`INSERT INTO log_groups (key, checkpoint) VALUES (?, ?)
		ON CONFLICT (key) DO UPDATE SET checkpoint = excluded.checkpoint RETURNING id`)
	forget := p.prepare(`DELETE FROM seen_segments WHERE log_group = ? AND newest < ?`)
	remember := p.prepare(`INSERT INTO seen_segments (log_group, newest, events, calls) VALUES (?, ?, ?, ?)`)
	forgetAged := p.prepare(`DELETE FROM seen_minutes WHERE log_group = ? AND minute < ?`)
	age := p.prepare(`INSERT INTO seen_minutes (log_group, minute, newest, events, calls) VALUES (?, ?, ?, ?, ?)`)
	if p.err != nil {
		return p.err
	}
	for i := range groups {
		g := groups[i] // a copy, to take Seen and Aged out of the JSON
		seen, aged := g.Seen, g.Aged
		g.Seen, g.Aged = nil, nil
		key := g.Group.Key()
		text, err := json.Marshal(&g)
		if err != nil {
			return fmt.Errorf("log group %s: %w", key, err)
		}
		var id int64
		if err := put.row(key, string(text)).Scan(&id); err != nil {
			return fmt.Errorf("log group %s: %w", key, err)
		}
		for _, segment := range seen {
			if segment.Newest < g.SeenFrom {
				continue
			}
			_, err := remember.exec(id, segment.Newest, record.Digests(segment.Events), record.Digests(segment.Calls))
			if err != nil {
				return fmt.Errorf("log group %s: %w", key, err)
			}
		}
		for _, m := range aged {
			if m.Minute < g.AgedFrom {
				continue
			}
			if _, err := age.exec(id, m.Minute, m.Newest, record.Words(m.Events), record.Digests(m.Calls)); err != nil {
				return fmt.Errorf("log group %s: %w", key, err)
			}
		}
		if _, err := forget.exec(id, g.SeenFrom); err != nil {
			return fmt.Errorf("log group %s: %w", key, err)
		}
		if _, err := forgetAged.exec(id, g.AgedFrom); err != nil {
			return fmt.Errorf("log group %s: %w", key, err)
		}
	}
	return nil
}

// preparer prepares statements of one transaction and keeps the first error.
type preparer struct {
	ctx   context.Context //nolint:containedctx // it lives no longer than the call that makes it
	tx    *sql.Tx
	stmts []*sql.Stmt
	err   error
}

// statement is a prepared statement that its preparer closes.
type statement struct {
	ctx  context.Context //nolint:containedctx // as its preparer's
	stmt *sql.Stmt
}

func (s statement) exec(args ...any) (sql.Result, error) { return s.stmt.ExecContext(s.ctx, args...) }

func (s statement) row(args ...any) *sql.Row { return s.stmt.QueryRowContext(s.ctx, args...) }

func (p *preparer) prepare(query string) statement {
	if p.err != nil {
		return statement{}
	}
	stmt, err := p.tx.PrepareContext(p.ctx, query)
	if err != nil {
		p.err = err
		return statement{}
	}
	p.stmts = append(p.stmts, stmt)
	return statement{p.ctx, stmt}
}

func (p *preparer) close() {
	for _, stmt := range p.stmts {
		// The transaction's end would close it too; there is nothing to lose.
		_ = stmt.Close()
	}
}

// each calls scan for every row of a query.
func each(ctx context.Context, tx *sql.Tx, query string, args []any, scan func(*sql.Rows) error) error {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
