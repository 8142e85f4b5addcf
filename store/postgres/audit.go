package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/gatehouse-project/gatehouse/audit"
)

const (
	defaultEvents = 100
	maxEvents     = 1000
	// Lines are read in pieces, each with a statement of its own: one that lasted as
	// long as a verification would keep the server from cleaning up.
	linesAtOnce = 2000
	bytesAtOnce = 4 << 20
)

// Append adds events in one transaction; see audit.Log.
func (s *Store) Append(ctx context.Context, events ...audit.Event) error {
	if len(events) == 0 {
		return nil
	}
	return s.update(ctx, "writing the audit log", noTurn, func(tx querier) error {
		return s.appendAudit(ctx, tx, events...)
	})
}

// appendAudit adds events in the transaction of the change that they tell of, so that
// neither is there without the other. The turn of the log is taken before its head is
// read, and is kept until the commit: two transactions that read one head would write
// two events of one number. It is the last lock of a transaction.
func (s *Store) appendAudit(ctx context.Context, tx querier, events ...audit.Event) error {
	if len(events) == 0 {
		return nil
	}
	// In one round trip; the second statement sees what was committed before the turn came.
	var b batch
	var head audit.Head
	b.add("", takeTurn, string(turnAudit))
	b.queued.Queue(selectHead).QueryRow(func(row pgx.Row) (err error) {
		head, err = scanHead(row)
		return err
	})
	if err := b.send(ctx, tx); err != nil {
		return err
	}
	now := s.now()
	for i := range events {
		e, err := audit.Prepare(&events[i], now)
		if err != nil {
			return err
		}
		e.Seq, e.Prev = head.Seq+1, head.Hash
		e.Hash = audit.Seal(head.Hash, e)
		b.add("", `INSERT INTO audit_events (seq, at, action, kind, via, actor_id, actor_name, subject_kind, subject_id, subject_name, line)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`, int64(e.Seq), audit.TimeText(e.Time), e.Action, string(e.Actor.Kind),
			string(e.Actor.Via), indexed(e.Actor.ID), indexed(e.Actor.Name), indexed(e.Subject.Kind), indexed(e.Subject.ID), indexed(e.Subject.Name),
			document(audit.Encode(&e)))
		head = audit.Head{Seq: e.Seq, Hash: e.Hash}
	}
	return b.send(ctx, tx)
}

// indexedAtMost is how many bytes of a text an index is given. Escaped, they are four
// times as many, which is less than the third of a page that an entry may take.
const indexedAtMost = 500

// indexed is a text that is compared as a whole, in a form that an index takes: one that
// is longer ends in its digest.
func indexed(text string) string {
	if len(text) <= indexedAtMost {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return text[:indexedAtMost-2*len(sum)] + hex.EncodeToString(sum[:])
}

const selectHead = `SELECT seq, line FROM audit_events ORDER BY seq DESC LIMIT 1`

// scanHead reads the newest event. One that cannot be read stops all that must be
// audited: after it no chain could be shown to be whole.
func scanHead(row pgx.Row) (audit.Head, error) {
	var head audit.Head
	var line []byte
	err := row.Scan(&head.Seq, &line)
	if errors.Is(err, pgx.ErrNoRows) {
		return audit.Head{}, nil
	}
	if err != nil {
		return audit.Head{}, err
	}
	e, err := audit.Decode(line)
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
	err = s.read(ctx, "reading the head of the audit log", func(tx querier) (err error) {
		head, err = scanHead(tx.QueryRow(ctx, selectHead))
		return err
	})
	return head, err
}

// AuditEvent returns one event, or audit.ErrNotFound.
func (s *Store) AuditEvent(ctx context.Context, seq uint64) (*audit.Event, error) {
	var e audit.Event
	err := s.read(ctx, "reading an audit event", func(tx querier) error {
		var err error
		e, err = scanEvent(tx.QueryRow(ctx, `SELECT seq, line FROM audit_events WHERE seq = $1`, int64(min(seq, 1<<62))).Scan)
		if errors.Is(err, pgx.ErrNoRows) {
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
	var line []byte
	if err := scan(&seq, &line); err != nil {
		return audit.Event{}, err
	}
	e, err := audit.Decode(line)
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
	args = append(args, limit+1)
	query := `SELECT seq, line FROM audit_events WHERE seq IN (` + chosen + ` LIMIT $` + strconv.Itoa(len(args)) + `) ORDER BY seq DESC`
	err = s.read(ctx, "reading the audit log", func(tx querier) error {
		page.Events = page.Events[:0]
		return each(ctx, tx, query, args, func(rows pgx.Rows) error {
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
// reads no lines: sorting those of a broad filter would take seconds.
//
// What may be in one of several columns is a UNION of one SELECT a column, each through
// an index of its own in the order of the numbers.
func auditChoice(q *audit.Query) (string, []any, error) {
	var f filter
	f.equal([2]string{"kind", string(q.Kind)}, [2]string{"via", string(q.Via)})
	if q.Action != "" {
		// Nothing in an action comes after "~" in ASCII.
		f.add(`action >= ? AND action < ?`, q.Action, q.Action+"~")
	}
	if !q.Since.IsZero() {
		f.add(`at >= ?`, audit.TimeText(q.Since))
	}
	if !q.Until.IsZero() {
		f.add(`at < ?`, audit.TimeText(q.Until))
	}
	switch by := q.By; {
	case by == nil:
	case by.ID != "":
		f.add(`kind = ? AND actor_id = ?`, string(by.Kind), indexed(by.ID))
	default:
		f.add(`kind = ? AND actor_id = '' AND actor_name = ?`, string(by.Kind), indexed(by.Name))
	}
	if q.Cursor != "" {
		before, err := strconv.ParseInt(q.Cursor, 10, 64)
		if err != nil || before < 1 {
			return "", nil, fmt.Errorf("%w: %q is not the cursor of a page", audit.ErrInvalidQuery, q.Cursor)
		}
		f.add(`seq < ?`, before)
	}
	arms := []string{strings.Join(append(f.terms, "TRUE"), " AND ")}
	either := func(value string, columns ...string) {
		if value == "" {
			return
		}
		place := f.text("?", indexed(value))
		var out []string
		for _, arm := range arms {
			for _, column := range columns {
				out = append(out, arm+` AND `+column+` = `+place)
			}
		}
		arms = out
	}
	either(q.Actor, "actor_id", "actor_name")
	either(q.Subject, "subject_id", "subject_name", "subject_kind")
	return `SELECT seq FROM audit_events WHERE ` + strings.Join(arms, ` UNION SELECT seq FROM audit_events WHERE `) + ` ORDER BY seq DESC`, f.args, nil
}

// AuditLines calls fn with each event after a number, the oldest first; see audit.Reader.
func (s *Store) AuditLines(ctx context.Context, after uint64, fn func(line []byte) error) error {
	last := int64(min(after, 1<<62))
	for {
		var lines [][]byte
		next := last
		err := s.read(ctx, "reading the audit log", func(q querier) error {
			lines, next = make([][]byte, 0, linesAtOnce), last
			bytes := 0
			rows, err := q.Query(ctx, `SELECT seq, line FROM audit_events WHERE seq > $1 ORDER BY seq LIMIT $2`, last, linesAtOnce)
			if err != nil {
				return err
			}
			defer rows.Close()
			for bytes < bytesAtOnce && rows.Next() {
				var line []byte
				if err := rows.Scan(&next, &line); err != nil {
					return err
				}
				lines, bytes = append(lines, line), bytes+len(line)
			}
			rows.Close()
			return rows.Err()
		})
		last = next
		if err != nil || len(lines) == 0 {
			return err
		}
		for _, line := range lines {
			if err := fn(line); err != nil {
				return err
			}
		}
	}
}
