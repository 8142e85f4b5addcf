package postgres

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-project/gatehouse/logging"
	"github.com/gatehouse-project/gatehouse/store/record"
)

// LoggingRecords returns what was switched on; see logging.Journal.
func (s *Store) LoggingRecords(ctx context.Context) ([]logging.Record, error) {
	return loggingRows[logging.Record](ctx, s, "reading what was switched on", `SELECT record FROM logging_records ORDER BY key`)
}

// LoggingHistory returns at most limit lines of the journal, the newest first.
func (s *Store) LoggingHistory(ctx context.Context, limit int) ([]logging.Entry, error) {
	return loggingRows[logging.Entry](ctx, s, "reading the journal of switching", `SELECT entry FROM logging_journal ORDER BY id DESC LIMIT $1`, limit)
}

// LoggingRuns returns at most limit lines that begin or end runs, the newest first.
func (s *Store) LoggingRuns(ctx context.Context, limit int) ([]logging.Entry, error) {
	// The journal is short and read by people: it needs no index.
	return loggingRows[logging.Entry](ctx, s, "reading the runs of switching",
		`SELECT entry FROM logging_journal WHERE kind = 'run' ORDER BY id DESC LIMIT $1`, limit)
}

// LoggingRun returns at most limit lines of a run, the oldest first.
func (s *Store) LoggingRun(ctx context.Context, run string, limit int) ([]logging.Entry, error) {
	return loggingRows[logging.Entry](ctx, s, "reading a run of switching",
		`SELECT entry FROM logging_journal WHERE run = $1 ORDER BY id LIMIT $2`, run, limit)
}

func loggingRows[T any](ctx context.Context, s *Store, doing, query string, args ...any) (all []T, err error) {
	err = s.read(ctx, doing, func(q querier) error {
		all = nil
		return each(ctx, q, query, args, func(rows pgx.Rows) error {
			var text []byte
			if err := rows.Scan(&text); err != nil {
				return err
			}
			var v T
			if err := json.Unmarshal(text, &v); err != nil {
				return fmt.Errorf("a saved line cannot be read: %w", err)
			}
			all = append(all, v)
			return nil
		})
	})
	return all, err
}

// SaveLogging saves changes in one commit; see logging.Journal.
func (s *Store) SaveLogging(ctx context.Context, c *logging.Changes) error {
	return s.update(ctx, "saving what is switched", turnLogging, func(tx querier) error {
		for i := range c.Put {
			key, err := json.Marshal(c.Put[i].Key)
			if err != nil {
				return err
			}
			text, err := json.Marshal(&c.Put[i])
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `INSERT INTO logging_records (key, record) VALUES ($1, $2)
				ON CONFLICT (key) DO UPDATE SET record = excluded.record`, string(key), document(text))
			if err != nil {
				return err
			}
		}
		for _, k := range c.Drop {
			key, err := json.Marshal(k)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `DELETE FROM logging_records WHERE key = $1`, string(key)); err != nil {
				return err
			}
		}
		for i := range c.Log {
			entry, err := json.Marshal(&c.Log[i])
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `INSERT INTO logging_journal (kind, run, entry) VALUES ($1, $2, $3)`,
				string(c.Log[i].Key.Kind), c.Log[i].Run, document(entry)); err != nil {
				return err
			}
		}
		events, err := record.LoggingEvents(ctx, c.Log)
		if err != nil {
			return err
		}
		return s.appendAudit(ctx, tx, events...)
	})
}
