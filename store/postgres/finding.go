package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

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
	return s.update(ctx, "saving findings", turnFindings, func(tx querier) error {
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
		if _, err := tx.Exec(ctx, `INSERT INTO posture (id, body) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET body = excluded.body`, document(body)); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM findings WHERE state = $1 AND changed < $2`,
			string(finding.Fixed), posture.Evaluated.Add(-fixedAge).UnixMilli())
		return err
	})
}

func saveFindings(ctx context.Context, tx querier, edits []finding.Edit) error {
	if len(edits) == 0 {
		return nil
	}
	var b batch
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
			f.Version, f.Changed.UnixMilli(), document(body), f.ID,
		}
		statement := `INSERT INTO findings (rank, severity, state, rule, area, account, region, api, version, changed, body, id)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (id) DO NOTHING`
		if e.Before != 0 {
			statement = `UPDATE findings SET rank = $1, severity = $2, state = $3, rule = $4, area = $5, account = $6, region = $7, api = $8,
				version = $9, changed = $10, body = $11 WHERE id = $12 AND version = $13`
			args = append(args, e.Before)
		}
		b.expect("finding "+f.ID, one(finding.ErrConflict), statement, args...)
		for j := range e.Changes {
			body, err := json.Marshal(e.Changes[j])
			if err != nil {
				return err
			}
			b.add("finding "+f.ID, `INSERT INTO finding_changes (finding, body) SELECT id, $2 FROM findings WHERE id = $1`, f.ID, document(body))
		}
		if len(e.Changes) > 0 {
			b.add("finding "+f.ID, `DELETE FROM finding_changes WHERE finding = $1 AND id NOT IN
				(SELECT id FROM finding_changes WHERE finding = $1 ORDER BY id DESC LIMIT $2)`, f.ID, findingChangesAtMost)
		}
	}
	return b.send(ctx, tx)
}

// one is for a statement that must change one row; otherwise it is an error.
func one(otherwise error) func(n int64) error {
	return func(n int64) error {
		if n == 1 {
			return nil
		}
		return otherwise
	}
}

// Findings returns a page of findings; see finding.Store.
func (s *Store) Findings(ctx context.Context, q finding.Query) (finding.Page, error) {
	page := finding.Page{Findings: []finding.Finding{}}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultFindings
	}
	limit = min(limit, maxFindings)
	var f filter
	f.equal([2]string{"rule", q.Rule}, [2]string{"area", string(q.Area)}, [2]string{"account", q.Account}, [2]string{"region", q.Region}, [2]string{"api", q.API})
	among(&f, "severity", q.Severities)
	among(&f, "state", q.States)
	from := f.with("")
	if q.Cursor != "" {
		rank, id, ok := strings.Cut(q.Cursor, ".")
		n, err := strconv.ParseInt(rank, 10, 32)
		if !ok || err != nil || n < 0 || id == "" {
			return finding.Page{}, fmt.Errorf("%w: %q is not the cursor of a page", finding.ErrInvalidQuery, q.Cursor)
		}
		from.add("(rank, id) > (?, ?)", n, id)
	}
	query := `SELECT body FROM findings` + from.where() + from.text(` ORDER BY rank, id LIMIT ?`, limit+1)
	err := s.view(ctx, "reading findings", func(tx querier) error {
		page.Findings = page.Findings[:0]
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM findings`+f.where(), f.args...).Scan(&page.Total); err != nil {
			return err
		}
		return each(ctx, tx, query, from.args, func(rows pgx.Rows) error {
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
	err := s.view(ctx, "reading a finding", func(tx querier) error {
		var err error
		f, err = scanFinding(tx.QueryRow(ctx, `SELECT body FROM findings WHERE id = $1`, id).Scan)
		if errors.Is(err, pgx.ErrNoRows) {
			return finding.ErrNotFound
		}
		if err != nil {
			return err
		}
		return each(ctx, tx, `SELECT body FROM finding_changes WHERE finding = $1 ORDER BY id`, []any{id}, func(rows pgx.Rows) error {
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
	var found bool
	err := s.view(ctx, "reading the posture", func(tx querier) error {
		found, *p = true, finding.Posture{Counts: []finding.Count{}}
		var body []byte
		err := tx.QueryRow(ctx, `SELECT body FROM posture`).Scan(&body)
		if errors.Is(err, pgx.ErrNoRows) {
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
		return each(ctx, tx, `SELECT severity, state, count(*) FROM findings GROUP BY rank, severity, state ORDER BY rank, state`, nil, func(rows pgx.Rows) error {
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
