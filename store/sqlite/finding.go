package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/finding"
	"github.com/gatehouse-project/gatehouse/store/record"
)

const (
	defaultFindings = 100
	maxFindings     = 1000
	// findingChangesAtMost bounds the history of one finding, and fixedAge how long
	// one that is fixed is remembered.
	findingChangesAtMost = 500
	fixedAge             = 400 * 24 * time.Hour
)

// SaveFindings saves edits and the posture in one transaction; see finding.Store.
func (s *Store) SaveFindings(ctx context.Context, edits []finding.Edit, posture *finding.Posture) error {
	return s.update(ctx, "saving findings", func(tx *sql.Tx) error {
		if err := saveFindings(ctx, tx, edits); err != nil {
			return err
		}
		events, err := record.FindingEvents(ctx, edits)
		if err != nil {
			return err
		}
		if err := s.appendAudit(ctx, tx, events...); err != nil || posture == nil {
			return err
		}
		body, err := json.Marshal(finding.Posture{Evaluated: posture.Evaluated, Rules: posture.Rules, Accounts: posture.Accounts})
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO posture (id, body) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body`, string(body)); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM findings WHERE state = ? AND changed < ?`,
			string(finding.Fixed), posture.Evaluated.Add(-fixedAge).UnixMilli())
		return err
	})
}

func saveFindings(ctx context.Context, tx *sql.Tx, edits []finding.Edit) error {
	if len(edits) == 0 {
		return nil
	}
	p := preparer{ctx: ctx, tx: tx}
	defer p.close()
	add := p.prepare(`INSERT INTO findings (rank, severity, state, rule, area, account, region, api, version, changed, body, id)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`)
	change := p.prepare(`UPDATE findings SET rank = ?, severity = ?, state = ?, rule = ?, area = ?, account = ?, region = ?, api = ?, version = ?, changed = ?, body = ?
		WHERE id = ? AND version = ?`)
	note := p.prepare(`INSERT INTO finding_changes (finding, body) VALUES (?, ?)`)
	forget := p.prepare(`DELETE FROM finding_changes WHERE finding = ? AND id NOT IN
		(SELECT id FROM finding_changes WHERE finding = ? ORDER BY id DESC LIMIT ?)`)
	if p.err != nil {
		return p.err
	}
	for i := range edits {
		e := &edits[i]
		f := e.Finding
		f.History = nil
		body, err := json.Marshal(f)
		if err != nil {
			return err
		}
		args := []any{
			f.Severity.Rank(), string(f.Severity), string(f.State), f.Rule, string(f.Area), f.Subject.Account, f.Subject.Region, f.Subject.API,
			f.Version, f.Changed.UnixMilli(), string(body), f.ID,
		}
		put := add
		if e.Before != 0 {
			put, args = change, append(args, e.Before)
		}
		result, err := put.exec(args...)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n != 1 {
			return errors.Join(fmt.Errorf("finding %s: %w", f.ID, finding.ErrConflict), err)
		}
		for j := range e.Changes {
			body, err := json.Marshal(e.Changes[j])
			if err != nil {
				return err
			}
			if _, err := note.exec(f.ID, string(body)); err != nil {
				return err
			}
		}
		if len(e.Changes) > 0 {
			if _, err := forget.exec(f.ID, f.ID, findingChangesAtMost); err != nil {
				return err
			}
		}
	}
	return nil
}

// Findings returns a page of findings; see finding.Store.
func (s *Store) Findings(ctx context.Context, q finding.Query) (finding.Page, error) {
	page := finding.Page{Findings: []finding.Finding{}}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultFindings
	}
	limit = min(limit, maxFindings)
	conditions, args := []string{`TRUE`}, []any{}
	for _, c := range [][2]string{{"rule", q.Rule}, {"area", string(q.Area)}, {"account", q.Account}, {"region", q.Region}, {"api", q.API}} {
		if c[1] != "" {
			conditions = append(conditions, c[0]+` = ?`)
			args = append(args, c[1])
		}
	}
	conditions, args = among(conditions, args, "severity", q.Severities)
	conditions, args = among(conditions, args, "state", q.States)
	where := strings.Join(conditions, ` AND `)
	from, fromArgs := where, args
	if q.Cursor != "" {
		rank, id, ok := strings.Cut(q.Cursor, ".")
		n, err := strconv.Atoi(rank)
		if !ok || err != nil || n < 0 || id == "" {
			return finding.Page{}, fmt.Errorf("%w: %q is not the cursor of a page", finding.ErrInvalidQuery, q.Cursor)
		}
		from, fromArgs = from+` AND (rank, id) > (?, ?)`, append(slices.Clip(fromArgs), n, id)
	}
	err := s.view(ctx, "reading findings", func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM findings WHERE `+where, args...).Scan(&page.Total); err != nil {
			return err
		}
		return each(ctx, tx, `SELECT body FROM findings WHERE `+from+` ORDER BY rank, id LIMIT ?`, append(fromArgs, limit+1), func(rows *sql.Rows) error {
			f, err := scanFinding(rows.Scan)
			page.Findings = append(page.Findings, f)
			return err
		})
	})
	if err != nil {
		return finding.Page{}, err
	}
	if len(page.Findings) > limit {
		page.Findings = page.Findings[:limit]
		last := &page.Findings[limit-1]
		page.Next = strconv.Itoa(last.Severity.Rank()) + "." + last.ID
	}
	return page, nil
}

// among adds a condition that a column has one of values, if there are any.
func among[T ~string](conditions []string, args []any, column string, values []T) ([]string, []any) {
	if len(values) == 0 {
		return conditions, args
	}
	for _, v := range values {
		args = append(args, string(v))
	}
	return append(conditions, column+` IN (?`+strings.Repeat(`, ?`, len(values)-1)+`)`), args
}

func scanFinding(scan func(...any) error) (finding.Finding, error) {
	var f finding.Finding
	var body []byte
	if err := scan(&body); err != nil {
		return f, err
	}
	err := json.Unmarshal(body, &f)
	return f, err
}

// Finding returns a finding with its history, or finding.ErrNotFound.
func (s *Store) Finding(ctx context.Context, id string) (*finding.Finding, error) {
	var f finding.Finding
	err := s.view(ctx, "reading a finding", func(tx *sql.Tx) error {
		var err error
		f, err = scanFinding(tx.QueryRowContext(ctx, `SELECT body FROM findings WHERE id = ?`, id).Scan)
		if errors.Is(err, sql.ErrNoRows) {
			return finding.ErrNotFound
		}
		if err != nil {
			return err
		}
		return each(ctx, tx, `SELECT body FROM finding_changes WHERE finding = ? ORDER BY id`, []any{id}, func(rows *sql.Rows) error {
			var body []byte
			if err := rows.Scan(&body); err != nil {
				return err
			}
			var c finding.Change
			err := json.Unmarshal(body, &c)
			f.History = append(f.History, c)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	return &f, nil
}

// Posture returns the sum of the last evaluation, or nil; see finding.Store.
func (s *Store) Posture(ctx context.Context) (*finding.Posture, error) {
	p := &finding.Posture{Counts: []finding.Count{}}
	found := true
	err := s.view(ctx, "reading the posture", func(tx *sql.Tx) error {
		var body []byte
		err := tx.QueryRowContext(ctx, `SELECT body FROM posture`).Scan(&body)
		if errors.Is(err, sql.ErrNoRows) {
			found = false
			return nil
		}
		if err != nil {
			return err
		}
		if err := json.Unmarshal(body, p); err != nil {
			return err
		}
		p.Counts = []finding.Count{}
		return each(ctx, tx, `SELECT severity, state, count(*) FROM findings GROUP BY rank, severity, state ORDER BY rank, state`, nil, func(rows *sql.Rows) error {
			var c finding.Count
			err := rows.Scan(&c.Severity, &c.State, &c.Findings)
			p.Counts = append(p.Counts, c)
			return err
		})
	})
	if err != nil || !found {
		return nil, err
	}
	return p, nil
}
