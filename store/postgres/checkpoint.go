package postgres

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/inventory"
	"github.com/gatehouse-project/gatehouse/store/record"
)

// LoadCheckpoint returns what the last Commits left: all groups with the
// segments that were kept, oldest first, and all sinks.
func (s *Store) LoadCheckpoint(ctx context.Context) (*collect.Checkpoint, error) {
	var c *collect.Checkpoint
	err := s.view(ctx, "loading the checkpoint", func(tx querier) error {
		c = &collect.Checkpoint{Sinks: map[string]string{}}
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
		return each(ctx, tx, `SELECT name, position FROM sinks`, nil, func(rows pgx.Rows) error {
			var name, position string
			err := rows.Scan(&name, &position)
			c.Sinks[name] = position
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// loadGroups returns where in c.Groups the group of each row id stands.
func loadGroups(ctx context.Context, tx querier, c *collect.Checkpoint) (map[int64]int, error) {
	at := map[int64]int{}
	err := each(ctx, tx, `SELECT id, key, checkpoint FROM log_groups ORDER BY key`, nil, func(rows pgx.Rows) error {
		var id int64
		var key string
		var text []byte
		if err := rows.Scan(&id, &key, &text); err != nil {
			return err
		}
		var g collect.GroupCheckpoint
		if err := json.Unmarshal(text, &g); err != nil {
			return fmt.Errorf("log group %s: %w", key, err)
		}
		at[id] = len(c.Groups)
		c.Groups = append(c.Groups, g)
		return nil
	})
	return at, err
}

func loadSeen(ctx context.Context, tx querier, c *collect.Checkpoint, at map[int64]int) error {
	const query = `SELECT log_group, newest, events, calls FROM seen_segments ORDER BY log_group, newest, id`
	return each(ctx, tx, query, nil, func(rows pgx.Rows) error {
		var group, newest int64
		var events, calls []byte
		if err := rows.Scan(&group, &newest, &events, &calls); err != nil {
			return err
		}
		g := &c.Groups[at[group]]
		g.Seen = append(g.Seen, collect.Seen{Newest: newest, Events: record.ReadDigests(events), Calls: record.ReadDigests(calls)})
		return nil
	})
}

func loadAged(ctx context.Context, tx querier, c *collect.Checkpoint, at map[int64]int) error {
	const query = `SELECT log_group, minute, newest, events, calls FROM seen_minutes ORDER BY log_group, minute, id`
	return each(ctx, tx, query, nil, func(rows pgx.Rows) error {
		var group int64
		var a collect.AgedMinute
		var events, calls []byte
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
	var changes []*inventory.Changes
	for _, change := range c.Changes {
		switch change := change.(type) {
		case nil:
		case *inventory.Changes:
			changes = append(changes, change)
		default:
			return fmt.Errorf("saving the checkpoint: changes of type %T are not known to this store", change)
		}
	}
	// Rows of groups and sinks are locked in the order of their names, so two
	// collectors never wait for one another. The inventory takes its turn.
	in := noTurn
	if len(changes) > 0 {
		in = turnInventory
	}
	return s.update(ctx, "saving the checkpoint", in, func(tx querier) error {
		if err := commitGroups(ctx, tx, c.Groups); err != nil {
			return err
		}
		if len(c.Sinks) > 0 {
			var b batch
			for _, name := range slices.Sorted(maps.Keys(c.Sinks)) {
				b.add("sink "+name, `INSERT INTO sinks (name, position) VALUES ($1, $2)
					ON CONFLICT (name) DO UPDATE SET position = excluded.position`, name, c.Sinks[name])
			}
			if err := b.send(ctx, tx); err != nil {
				return err
			}
		}
		for _, change := range changes {
			if err := s.applyInventory(ctx, tx, change); err != nil {
				return fmt.Errorf("inventory: %w", err)
			}
		}
		return nil
	})
}

// commitGroups writes groups. The segments of a group go with its row in one round trip:
// they refer to it by its key.
func commitGroups(ctx context.Context, tx querier, groups []collect.GroupCheckpoint) error {
	if len(groups) == 0 {
		return nil
	}
	const group = `(SELECT id FROM log_groups WHERE key = $1)`
	sorted := slices.SortedFunc(slices.Values(groups), func(a, b collect.GroupCheckpoint) int {
		return cmp.Compare(a.Group.Key(), b.Group.Key())
	})
	var b batch
	for i := range sorted {
		g := &sorted[i] // a copy, to take Seen and Aged out of the JSON
		seen, aged := g.Seen, g.Aged
		g.Seen, g.Aged = nil, nil
		key := g.Group.Key()
		text, err := json.Marshal(g)
		if err != nil {
			return fmt.Errorf("log group %s: %w", key, err)
		}
		what := "log group " + key
		b.add(what, `INSERT INTO log_groups (key, checkpoint) VALUES ($1, $2)
			ON CONFLICT (key) DO UPDATE SET checkpoint = excluded.checkpoint`, key, document(text))
		for _, segment := range seen {
			if segment.Newest < g.SeenFrom {
				continue
			}
			b.add(what, `INSERT INTO seen_segments (log_group, newest, events, calls) VALUES (`+group+`, $2, $3, $4)`,
				key, segment.Newest, record.Digests(segment.Events), record.Digests(segment.Calls))
		}
		for _, m := range aged {
			if m.Minute < g.AgedFrom {
				continue
			}
			b.add(what, `INSERT INTO seen_minutes (log_group, minute, newest, events, calls) VALUES (`+group+`, $2, $3, $4, $5)`,
				key, m.Minute, m.Newest, record.Words(m.Events), record.Digests(m.Calls))
		}
		b.add(what, `DELETE FROM seen_segments WHERE log_group = `+group+` AND newest < $2`, key, g.SeenFrom)
		b.add(what, `DELETE FROM seen_minutes WHERE log_group = `+group+` AND minute < $2`, key, g.AgedFrom)
	}
	return b.send(ctx, tx)
}
