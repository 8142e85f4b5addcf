package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

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
	return s.update(ctx, "saving dead letters", turnLetters, func(tx querier) error {
		var before, after deadletter.Limits
		total := func(of *deadletter.Limits) error {
			return tx.QueryRow(ctx, `SELECT count(*), coalesce(sum(size), 0)::bigint FROM dead_letters`).Scan(&of.Count, &of.Bytes)
		}
		if err := total(&before); err != nil {
			return err
		}
		var b batch
		for i := range letters {
			l := &letters[i]
			summary, err := json.Marshal(l.Summary)
			if err != nil {
				return err
			}
			b.add("", `INSERT INTO dead_letters AS d (sink, call, reason, message, refused, attempts, replay, size, summary, body)
				VALUES ($1, $2, $3, $4, $5, 1, FALSE, $6, $7, $8)
				ON CONFLICT (sink, call) DO UPDATE SET reason = excluded.reason, message = excluded.message,
					refused = excluded.refused, attempts = d.attempts + 1, replay = FALSE,
					size = excluded.size, summary = excluded.summary, body = excluded.body`,
				l.Sink, l.TransactionID, string(l.Reason), l.Message, l.Refused.UnixMilli(), l.Size, string(summary), append([]byte{}, l.Transaction...))
		}
		if err := b.send(ctx, tx); err != nil {
			return err
		}
		if err := total(&after); err != nil {
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
	var f filter
	f.equal([2]string{"sink", q.Sink}, [2]string{"reason", string(q.Reason)}, [2]string{"call", q.TransactionID})
	if q.Cursor != "" {
		before, err := letterID(q.Cursor)
		if err != nil {
			return page, err
		}
		f.add("id < ?", before)
	}
	query := `SELECT ` + letterColumns + ` FROM dead_letters` + f.where() + f.text(` ORDER BY id DESC LIMIT ?`, limit+1)
	err := s.read(ctx, "reading dead letters", func(tx querier) error {
		page.Letters = page.Letters[:0]
		return each(ctx, tx, query, f.args, func(rows pgx.Rows) error {
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
	err = s.read(ctx, "reading a dead letter", func(tx querier) error {
		var body []byte
		var err error
		l, err = scanLetter(tx.QueryRow(ctx, `SELECT `+letterColumns+`, body FROM dead_letters WHERE id = $1`, n).Scan, &body)
		l.Transaction = body
		if errors.Is(err, pgx.ErrNoRows) {
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
	err := s.read(ctx, "counting dead letters", func(tx querier) error {
		counts = counts[:0]
		const query = `SELECT sink, count(*), sum(size)::bigint, count(*) FILTER (WHERE replay) FROM dead_letters GROUP BY sink ORDER BY sink`
		return each(ctx, tx, query, nil, func(rows pgx.Rows) error {
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
	return s.changeLetters(ctx, "marking dead letters", `UPDATE dead_letters SET replay = TRUE WHERE id = ANY($1) RETURNING id`, "deadletter.replayed", ids)
}

// RemoveLetters removes letters, or of them those that are marked.
func (s *Store) RemoveLetters(ctx context.Context, ids []string, marked bool) (int, error) {
	statement, action := `DELETE FROM dead_letters WHERE id = ANY($1) RETURNING id`, "deadletter.discarded"
	if marked {
		// They were delivered; that somebody had them replayed was told then.
		statement, action = `DELETE FROM dead_letters WHERE id = ANY($1) AND replay RETURNING id`, ""
	}
	return s.changeLetters(ctx, "removing dead letters", statement, action, ids)
}

// changeLetters executes a statement for letters and tells the audit log of those that
// were there, under an action that is not empty.
func (s *Store) changeLetters(ctx context.Context, doing, statement, action string, ids []string) (int, error) {
	numbers := make([]int64, 0, len(ids))
	for _, text := range ids {
		id, err := letterID(text)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", doing, err)
		}
		numbers = append(numbers, id)
	}
	changed := 0
	err := s.update(ctx, doing, turnLetters, func(tx querier) error {
		there := map[int64]bool{}
		err := each(ctx, tx, statement, []any{numbers}, func(rows pgx.Rows) error {
			var id int64
			err := rows.Scan(&id)
			there[id] = true
			return err
		})
		if changed = len(there); err != nil || action == "" {
			return err
		}
		var told []string // in the order of ids, each once
		for i, id := range numbers {
			if there[id] {
				told = append(told, ids[i])
				delete(there, id)
			}
		}
		events, err := record.LetterEvents(ctx, action, told)
		if err != nil {
			return err
		}
		return s.appendAudit(ctx, tx, events...)
	})
	if err != nil {
		return 0, err
	}
	return changed, nil
}

// MarkedLetters returns the oldest marked letters of a sink with their
// transactions.
func (s *Store) MarkedLetters(ctx context.Context, sink string, n int, size int64) ([]deadletter.Letter, error) {
	var letters []deadletter.Letter
	err := s.view(ctx, "reading dead letters to replay", func(tx querier) error {
		letters = nil
		// The sizes first, so that no more bodies are read than are wanted.
		var ids []int64
		var sum int64
		const oldest = `SELECT id, size FROM dead_letters WHERE sink = $1 AND replay ORDER BY id LIMIT $2`
		err := each(ctx, tx, oldest, []any{sink, n}, func(rows pgx.Rows) error {
			var id, bytes int64
			err := rows.Scan(&id, &bytes)
			sum += bytes
			if len(ids) == 0 || sum <= size {
				ids = append(ids, id)
			}
			return err
		})
		if err != nil || len(ids) == 0 {
			return err
		}
		query := `SELECT ` + letterColumns + `, body FROM dead_letters WHERE id = ANY($1) ORDER BY id`
		return each(ctx, tx, query, []any{ids}, func(rows pgx.Rows) error {
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
