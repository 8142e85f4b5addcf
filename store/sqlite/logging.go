package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/gatehouse-project/gatehouse/logging"
	"github.com/gatehouse-project/gatehouse/store/record"
)

// LoggingRecords returns what was switched on; see logging.Journal.
func (s *Store) LoggingRecords(ctx context.Context) ([]logging.Record, error) {
	return loggingRows[logging.Record](ctx, s, "reading what was switched on", `SELECT record FROM logging_records ORDER BY key`)
}

// LoggingHistory returns at most limit lines of the journal, the newest first.
func (s *Store) LoggingHistory(ctx context.Context, limit int) ([]logging.Entry, error) {
	return loggingRows[logging.Entry](ctx, s, "reading the journal of switching", `SELECT entry FROM logging_journal ORDER BY id DESC LIMIT ?`, limit)
}

// LoggingRuns returns at most limit lines that begin or end runs, the newest first.
func (s *Store) LoggingRuns(ctx context.Context, limit int) ([]logging.Entry, error) {
	// The journal is short and read by people; an index would be written by all runs.
	return loggingRows[logging.Entry](ctx, s, "reading the runs of switching",
		`SELECT entry FROM logging_journal WHERE json_extract(entry, '$.key.kind') = 'run' ORDER BY id DESC LIMIT ?`, limit)
}

// LoggingRun returns at most limit lines of a run, the oldest first.
func (s *Store) LoggingRun(ctx context.Context, run string, limit int) ([]logging.Entry, error) {
	return loggingRows[logging.Entry](ctx, s, "reading a run of switching",
		`SELECT entry FROM logging_journal WHERE json_extract(entry, '$.run') = ? ORDER BY id LIMIT ?`, run, limit)
}

func loggingRows[T any](ctx context.Context, s *Store, doing, query string, args ...any) (all []T, err error) {
	err = s.view(ctx, doing, func(tx *sql.Tx) (err error) {
		rows, err := tx.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var text []byte
			if err := rows.Scan(&text); err != nil {
				return err
			}
			var v T
			if err := json.Unmarshal(text, &v); err != nil {
				return fmt.Errorf("a saved line cannot be read: %w", err)
			}
			all = append(all, v)
		}
		return rows.Err()
	})
	return all, err
}

// SaveLogging saves changes in one commit; see logging.Journal.
func (s *Store) SaveLogging(ctx context.Context, c *logging.Changes) error {
	return s.update(ctx, "saving what is switched", func(tx *sql.Tx) error {
		for i := range c.Put {
			key, err := json.Marshal(c.Put[i].Key)
			if err != nil {
				return err
			}
			record, err := json.Marshal(&c.Put[i])
			if err != nil {
				return err
			}
			_, err = tx.ExecContext(ctx, `INSERT INTO logging_records (key, record) VALUES (?, ?)
				ON CONFLICT (key) DO UPDATE SET record = excluded.record`, string(key), string(record))
			if err != nil {
				return err
			}
		}
		for _, k := range c.Drop {
			key, err := json.Marshal(k)
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM logging_records WHERE key = ?`, string(key)); err != nil {
				return err
			}
		}
		for i := range c.Log {
			entry, err := json.Marshal(&c.Log[i])
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO logging_journal (entry) VALUES (?)`, string(entry)); err != nil {
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
