package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/store/record"
)

const (
	defaultLetters = 100
	maxLetters     = 1000
)

// PutLetters adds letters or changes those that are there; see
// deadletter.Store.
func (s *Store) PutLetters(ctx context.Context, letters []deadletter.Letter, limits deadletter.Limits) error {
	return s.update(ctx, "saving dead letters", func(tx *sql.Tx) error {
		p := preparer{ctx: ctx, tx: tx}
		defer p.close()
		put := p.prepare(`INSERT INTO dead_letters (sink, call, reason, message, refused, attempts, replay, size, summary, body)
			VALUES (?, ?, ?, ?, ?, 1, 0, ?, ?, ?)
			ON CONFLICT (sink, call) DO UPDATE SET reason = excluded.reason, message = excluded.message,
				refused = excluded.refused, attempts = attempts + 1, replay = 0,
				size = excluded.size, summary = excluded.summary, body = excluded.body`)
		if p.err != nil {
			return p.err
		}
		var before, after deadletter.Limits
		const total = `SELECT count(*), coalesce(sum(size), 0) FROM dead_letters INDEXED BY dead_letters_by_sink`
		if err := tx.QueryRowContext(ctx, total).Scan(&before.Count, &before.Bytes); err != nil {
			return err
		}
		for i := range letters {
			l := &letters[i]
			summary, err := json.Marshal(l.Summary)
			if err != nil {
				return err
			}
			_, err = put.exec(l.Sink, l.TransactionID, string(l.Reason), l.Message, l.Refused.UnixMilli(), l.Size, string(summary), []byte(l.Transaction))
			if err != nil {
				return err
			}
		}
		if err := tx.QueryRowContext(ctx, total).Scan(&after.Count, &after.Bytes); err != nil {
			return err
		}
		// Letters that were there and only changed are taken even when the limits
		// were lowered since.
		if after.Count > limits.Count && after.Count > before.Count || after.Bytes > limits.Bytes && after.Bytes > before.Bytes {
			return &deadletter.FullError{Limits: limits}
		}
		return nil
	})
}

const letterColumns = `id, sink, call, reason, message, refused, attempts, replay, size, summary`

func scanLetter(scan func(...any) error, more ...any) (deadletter.Letter, error) {
	var l deadletter.Letter
	var id, refused int64
	var reason, summary string
	into := append([]any{&id, &l.Sink, &l.TransactionID, &reason, &l.Message, &refused, &l.Attempts, &l.Replaying, &l.Size, &summary}, more...)
	if err := scan(into...); err != nil {
		return l, err
	}
	l.ID, l.Reason, l.Refused = strconv.FormatInt(id, 10), deadletter.Reason(reason), time.UnixMilli(refused).UTC()
	if err := json.Unmarshal([]byte(summary), &l.Summary); err != nil {
		return l, fmt.Errorf("dead letter %s: %w", l.ID, err)
	}
	return l, nil
}

// Letters returns a page of letters, the newest first, without transactions.
func (s *Store) Letters(ctx context.Context, q deadletter.Query) (deadletter.Page, error) {
	page := deadletter.Page{Letters: []deadletter.Letter{}}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLetters
	}
	limit = min(limit, maxLetters)
	query, args := `SELECT `+letterColumns+` FROM dead_letters WHERE TRUE`, []any{}
	where := func(column, value string) {
		if value != "" {
			query += ` AND ` + column + ` = ?`
			args = append(args, value)
		}
	}
	where("sink", q.Sink)
	where("reason", string(q.Reason))
	where("call", q.TransactionID)
	if q.Cursor != "" {
		before, err := letterID(q.Cursor)
		if err != nil {
			return page, err
		}
		query += ` AND id < ?`
		args = append(args, before)
	}
	query += ` ORDER BY id DESC LIMIT ?`
	args = append(args, limit+1)
	err := s.view(ctx, "reading dead letters", func(tx *sql.Tx) error {
		return each(ctx, tx, query, args, func(rows *sql.Rows) error {
			l, err := scanLetter(rows.Scan)
			page.Letters = append(page.Letters, l)
			return err
		})
	})
	if err != nil {
		return deadletter.Page{}, err
	}
	if len(page.Letters) > limit {
		page.Letters = page.Letters[:limit]
		page.Next = page.Letters[limit-1].ID
	}
	return page, nil
}

func letterID(text string) (int64, error) {
	id, err := strconv.ParseInt(text, 10, 64)
	if err != nil || id < 1 {
		return 0, fmt.Errorf("%w: %q is not the id of a dead letter", deadletter.ErrInvalidQuery, text)
	}
	return id, nil
}

// Letter returns one letter with its transaction, or deadletter.ErrNotFound.
func (s *Store) Letter(ctx context.Context, id string) (*deadletter.Letter, error) {
	n, err := letterID(id)
	if err != nil {
		return nil, err
	}
	var l deadletter.Letter
	err = s.view(ctx, "reading a dead letter", func(tx *sql.Tx) error {
		var body []byte
		var err error
		l, err = scanLetter(tx.QueryRowContext(ctx, `SELECT `+letterColumns+`, body FROM dead_letters WHERE id = ?`, n).Scan, &body)
		l.Transaction = body
		if errors.Is(err, sql.ErrNoRows) {
			return deadletter.ErrNotFound
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &l, nil
}

// CountLetters counts the letters by sink.
func (s *Store) CountLetters(ctx context.Context) ([]deadletter.Count, error) {
	counts := []deadletter.Count{}
	err := s.view(ctx, "counting dead letters", func(tx *sql.Tx) error {
		const query = `SELECT sink, count(*), sum(size), sum(replay) FROM dead_letters GROUP BY sink ORDER BY sink`
		return each(ctx, tx, query, nil, func(rows *sql.Rows) error {
			var c deadletter.Count
			err := rows.Scan(&c.Sink, &c.Letters, &c.Bytes, &c.Replaying)
			counts = append(counts, c)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return counts, nil
}

// MarkLetters marks letters to be delivered again.
func (s *Store) MarkLetters(ctx context.Context, ids []string) (int, error) {
	return s.changeLetters(ctx, "marking dead letters", `UPDATE dead_letters SET replay = 1 WHERE id = ?`, "deadletter.replayed", ids)
}

// RemoveLetters removes letters, or of them those that are marked.
func (s *Store) RemoveLetters(ctx context.Context, ids []string, marked bool) (int, error) {
	statement, action := `DELETE FROM dead_letters WHERE id = ?`, "deadletter.discarded"
	if marked {
		// They were delivered; that somebody had them replayed was told then.
		statement, action = statement+` AND replay = 1`, ""
	}
	return s.changeLetters(ctx, "removing dead letters", statement, action, ids)
}

// changeLetters executes a statement for each letter and tells the audit log of those
// that were there, under an action that is not empty.
func (s *Store) changeLetters(ctx context.Context, doing, statement, action string, ids []string) (int, error) {
	var there []string
	err := s.update(ctx, doing, func(tx *sql.Tx) error {
		p := preparer{ctx: ctx, tx: tx}
		defer p.close()
		change := p.prepare(statement)
		if p.err != nil {
			return p.err
		}
		for _, text := range ids {
			id, err := letterID(text)
			if err != nil {
				return err
			}
			n, err := affected(change.exec(id))
			if err != nil {
				return err
			}
			if n > 0 {
				there = append(there, text)
			}
		}
		if action == "" {
			return nil
		}
		events, err := record.LetterEvents(ctx, action, there)
		if err != nil {
			return err
		}
		return s.appendAudit(ctx, tx, events...)
	})
	if err != nil {
		return 0, err
	}
	return len(there), nil
}

// MarkedLetters returns the oldest marked letters of a sink with their
// transactions.
func (s *Store) MarkedLetters(ctx context.Context, sink string, n int, size int64) ([]deadletter.Letter, error) {
	var letters []deadletter.Letter
	err := s.view(ctx, "reading dead letters to replay", func(tx *sql.Tx) error {
		// The sizes first, so that no more bodies are read than are wanted.
		var ids []string
		var args []any
		var sum int64
		const oldest = `SELECT id, size FROM dead_letters WHERE sink = ? AND replay = 1 ORDER BY id LIMIT ?`
		err := each(ctx, tx, oldest, []any{sink, n}, func(rows *sql.Rows) error {
			var id, bytes int64
			err := rows.Scan(&id, &bytes)
			sum += bytes
			if len(args) == 0 || sum <= size {
				ids, args = append(ids, "?"), append(args, id)
			}
			return err
		})
		if err != nil || len(args) == 0 {
			return err
		}
		query := `SELECT ` + letterColumns + `, body FROM dead_letters WHERE id IN (` + strings.Join(ids, ",") + `) ORDER BY id`
		return each(ctx, tx, query, args, func(rows *sql.Rows) error {
			var body []byte
			l, err := scanLetter(rows.Scan, &body)
			l.Transaction = body
			letters = append(letters, l)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return letters, nil
}
