package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/gatehouse-project/gatehouse/audit"
)

const (
	defaultEvents = 100
	maxEvents     = 1000
	// Lines are read in pieces, each in a transaction of its own: one that lasted as
	// long as a verification would keep the file beside the store from being folded in.
	linesAtOnce = 2000
	bytesAtOnce = 4 << 20
)

// Append adds events in one transaction; see audit.Log.
func (s *Store) Append(ctx context.Context, events ...audit.Event) error {
	if len(events) == 0 {
		return nil
	}
	return s.update(ctx, "writing the audit log", func(tx *sql.Tx) error {
		return s.appendAudit(ctx, tx, events...)
	})
}

// appendAudit adds events in the transaction of the change that they tell of, so that
// neither is there without the other. A write transaction begins IMMEDIATE, so no
// other process can append between the reading of the head and the commit.
func (s *Store) appendAudit(ctx context.Context, tx *sql.Tx, events ...audit.Event) error {
	if len(events) == 0 {
		return nil
	}
	head, err := auditHead(ctx, tx)
	if err != nil {
		return err
	}
	p := preparer{ctx: ctx, tx: tx}
	defer p.close()
	add := p.prepare(`INSERT INTO audit_events (seq, line) VALUES (?, ?)`)
	if p.err != nil {
		return p.err
	}
	now := s.clock()
	for i := range events {
		e, err := audit.Prepare(&events[i], now)
		if err != nil {
			return err
		}
		e.Seq, e.Prev = head.Seq+1, head.Hash
		e.Hash = audit.Seal(head.Hash, e)
		if _, err := add.exec(int64(e.Seq), string(audit.Encode(&e))); err != nil {
			return err
		}
		head = audit.Head{Seq: e.Seq, Hash: e.Hash}
	}
	return nil
}

// auditHead is the newest event. One that cannot be read stops all that must be
// audited: after it no chain could be shown to be whole.
func auditHead(ctx context.Context, tx *sql.Tx) (audit.Head, error) {
	var head audit.Head
	var line string
	err := tx.QueryRowContext(ctx, `SELECT seq, line FROM audit_events ORDER BY seq DESC LIMIT 1`).Scan(&head.Seq, &line)
	if errors.Is(err, sql.ErrNoRows) {
		return audit.Head{}, nil
	}
	if err != nil {
		return audit.Head{}, err
	}
	e, err := audit.Decode([]byte(line))
	if err != nil || e.Seq != head.Seq {
		return audit.Head{}, &damagedAuditError{seq: head.Seq, err: err}
	}
	head.Hash = e.Hash
	return head, nil
}

// damagedAuditError is an event that cannot be read.
type damagedAuditError struct {
	seq uint64
	err error
}

func (e *damagedAuditError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("event %d of the audit log has another number in it", e.seq)
	}
	return fmt.Sprintf("event %d of the audit log cannot be read: %v", e.seq, e.err)
}

func (e *damagedAuditError) Unwrap() error { return e.err }

// Mend says what to do.
func (*damagedAuditError) Mend() string {
	return "run 'gatehouse audit verify', keep a copy of the store, and restore a backup"
}

// AuditHead returns the newest event's number and hash; see audit.Reader.
func (s *Store) AuditHead(ctx context.Context) (head audit.Head, err error) {
	err = s.view(ctx, "reading the head of the audit log", func(tx *sql.Tx) (err error) {
		head, err = auditHead(ctx, tx)
		return err
	})
	return head, err
}

// AuditEvent returns one event, or audit.ErrNotFound.
func (s *Store) AuditEvent(ctx context.Context, seq uint64) (*audit.Event, error) {
	var e audit.Event
	err := s.view(ctx, "reading an audit event", func(tx *sql.Tx) error {
		var err error
		e, err = scanEvent(tx.QueryRowContext(ctx, `SELECT seq, line FROM audit_events WHERE seq = ?`, int64(min(seq, 1<<62))).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return audit.ErrNotFound
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return &e, nil
}

func scanEvent(scan func(...any) error) (audit.Event, error) {
	var seq uint64
	var line string
	if err := scan(&seq, &line); err != nil {
		return audit.Event{}, err
	}
	e, err := audit.Decode([]byte(line))
	if err != nil {
		return e, &damagedAuditError{seq: seq, err: err}
	}
	return e, nil
}

// AuditEvents returns a page of events, the newest first; see audit.Reader.
func (s *Store) AuditEvents(ctx context.Context, q audit.Query) (audit.Page, error) {
	page := audit.Page{Events: []audit.Event{}}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultEvents
	}
	limit = min(limit, maxEvents)
	chosen, args, err := auditChoice(&q)
	if err != nil {
		return page, err
	}
	query := `SELECT seq, line FROM audit_events WHERE seq IN (` + chosen + ` LIMIT ?) ORDER BY seq DESC`
	err = s.view(ctx, "reading the audit log", func(tx *sql.Tx) error {
		return each(ctx, tx, query, append(args, limit+1), func(rows *sql.Rows) error {
			e, err := scanEvent(rows.Scan)
			page.Events = append(page.Events, e)
			return err
		})
	})
	if err != nil {
		return audit.Page{}, err
	}
	if len(page.Events) > limit {
		page.Events = page.Events[:limit]
		page.Next = strconv.FormatUint(page.Events[limit-1].Seq, 10)
	}
	return page, nil
}

// auditChoice is a SELECT of the numbers that a query chooses, the newest first. It
// touches no lines: sorting those of a broad filter would take seconds.
//
// What may be in one of several columns is a UNION of one SELECT a column: each goes
// through an index in the order of the numbers, and the engine merges them and stops
// at the limit, which it does not do for an OR.
func auditChoice(q *audit.Query) (string, []any, error) {
	conditions, args := []string{"TRUE"}, []any{}
	// The parameters have numbers, for each SELECT of a UNION uses them again.
	where := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", "#"+strconv.Itoa(len(args)), 1)
		}
		conditions = append(conditions, strings.ReplaceAll(condition, "#", "?"))
	}
	if q.Kind != "" {
		where(`kind = ?`, string(q.Kind))
	}
	if q.Via != "" {
		where(`via = ?`, string(q.Via))
	}
	if q.Action != "" {
		// Nothing in an action comes after "~" in ASCII.
		where(`action >= ? AND action < ?`, q.Action, q.Action+"~")
	}
	if !q.Since.IsZero() {
		where(`at >= ?`, audit.TimeText(q.Since))
	}
	if !q.Until.IsZero() {
		where(`at < ?`, audit.TimeText(q.Until))
	}
	switch by := q.By; {
	case by == nil:
	case by.ID != "":
		where(`kind = ? AND actor_id = ?`, string(by.Kind), by.ID)
	default:
		where(`kind = ? AND actor_id IS NULL AND actor_name = ?`, string(by.Kind), by.Name)
	}
	if q.Cursor != "" {
		before, err := strconv.ParseInt(q.Cursor, 10, 64)
		if err != nil || before < 1 {
			return "", nil, fmt.Errorf("%w: %q is not the cursor of a page", audit.ErrInvalidQuery, q.Cursor)
		}
		where(`seq < ?`, before)
	}
	arms := []string{`SELECT seq FROM audit_events WHERE ` + strings.Join(conditions, " AND ")}
	either := func(value string, columns ...string) {
		if value == "" {
			return
		}
		args = append(args, value)
		var out []string
		for _, arm := range arms {
			for _, column := range columns {
				out = append(out, arm+` AND `+column+` = ?`+strconv.Itoa(len(args)))
			}
		}
		arms = out
	}
	either(q.Actor, "actor_id", "actor_name")
	either(q.Subject, "subject_id", "subject_name", "subject_kind")
	order := ` ORDER BY seq DESC`
	if len(arms) == 1 && !q.Since.IsZero() {
		// Times mostly go with the numbers, but need not, so the engine cannot stop where
		// a time is too old: in the order of the numbers it would read the whole log for
		// the last hour. The plus has it look in the index of times.
		order = ` ORDER BY +seq DESC`
	}
	return strings.Join(arms, ` UNION `) + order, args, nil
}

// AuditLines calls fn with each event after a number, the oldest first; see audit.Reader.
func (s *Store) AuditLines(ctx context.Context, after uint64, fn func(line []byte) error) error {
	last := int64(min(after, 1<<62))
	for {
		lines := make([]string, 0, linesAtOnce)
		err := s.view(ctx, "reading the audit log", func(tx *sql.Tx) error {
			bytes := 0
			rows, err := tx.QueryContext(ctx, `SELECT seq, line FROM audit_events WHERE seq > ? ORDER BY seq LIMIT ?`, last, linesAtOnce)
			if err != nil {
				return err
			}
			defer func() { _ = rows.Close() }()
			for bytes < bytesAtOnce && rows.Next() {
				var line string
				if err := rows.Scan(&last, &line); err != nil {
					return err
				}
				lines, bytes = append(lines, line), bytes+len(line)
			}
			return rows.Err()
		})
		if err != nil || len(lines) == 0 {
			return err
		}
		for _, line := range lines {
			if err := fn([]byte(line)); err != nil {
				return err
			}
		}
	}
}
