package finding

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Book keeps the findings of an estate over time.
type Book struct {
	store Store
	clock func() time.Time
}

// NewBook returns a book that is kept in a store. A nil clock is time.Now.
func NewBook(s Store, clock func() time.Time) *Book {
	if clock == nil {
		clock = time.Now
	}
	return &Book{store: s, clock: clock}
}

// conflictsAtMost is how often a change is made anew because another came between
// reading and saving.
const conflictsAtMost = 5

// Evaluate judges an estate and saves what became of the findings. The same estate
// changes nothing but the time of the evaluation.
func (b *Book) Evaluate(ctx context.Context, e *Estate) (*Posture, error) {
	report := Evaluate(e)
	posture := &Posture{Evaluated: report.Time.UTC(), Rules: report.Tallies, Accounts: report.Accounts, Counts: []Count{}}
	for try := 1; ; try++ {
		have, err := b.all(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading the findings: %w", err)
		}
		err = b.store.SaveFindings(ctx, report.edits(have, b.now()), posture)
		if err == nil {
			return posture, nil
		}
		// Somebody decided about a finding while it was being judged.
		if !errors.Is(err, ErrConflict) || try == conflictsAtMost {
			return nil, fmt.Errorf("saving the findings: %w", err)
		}
	}
}

func (b *Book) now() time.Time { return b.clock().UTC().Truncate(time.Millisecond) }

func (b *Book) all(ctx context.Context) ([]Finding, error) {
	var out []Finding
	q := Query{Limit: 1000}
	for {
		page, err := b.store.Findings(ctx, q)
		if err != nil {
			return nil, err
		}
		out = append(out, page.Findings...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return out, nil
		}
	}
}

// edits tells what a report changes of the findings that there are.
func (r *Report) edits(have []Finding, now time.Time) []Edit {
	known := make(map[string]bool, len(have))
	found := make(map[string]*Found, len(r.Found))
	for i := range r.Found {
		found[r.Found[i].ID] = &r.Found[i]
	}
	var out []Edit
	for _, f := range have {
		known[f.ID] = true
		now := latest(now, f.Changed)
		before := f.Version
		changes, changed := f.observe(found[f.ID], r.sees(&f), now)
		if changed {
			f.Version++
			out = append(out, Edit{f, before, changes})
		}
	}
	for id, n := range found {
		if known[id] {
			continue
		}
		f, change := open(n, now)
		f.Version = 1
		out = append(out, Edit{f, 0, []Change{change}})
	}
	slices.SortFunc(out, func(a, b Edit) int { return cmp.Compare(a.Finding.ID, b.Finding.ID) })
	return out
}

// latest keeps a finding's times in order when the clock is turned back.
func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// List returns a page of findings.
func (b *Book) List(ctx context.Context, q Query) (Page, error) { return b.store.Findings(ctx, q) }

// Get returns a finding with its history, or ErrNotFound.
func (b *Book) Get(ctx context.Context, id string) (*Finding, error) { return b.store.Finding(ctx, id) }

// Posture returns the sum of the last evaluation, or nil if there was none yet.
func (b *Book) Posture(ctx context.Context) (*Posture, error) { return b.store.Posture(ctx) }

// Set takes a decision about a finding and returns the finding as it is then. The
// errors are ErrNotFound, ErrConflict where the decision names another version, or
// wrap ErrDecision.
func (b *Book) Set(ctx context.Context, id string, d Decision) (*Finding, error) {
	for try := 1; ; try++ {
		f, err := b.store.Finding(ctx, id)
		if err != nil {
			return nil, err
		}
		if d.Version != 0 && d.Version != f.Version {
			return nil, fmt.Errorf("%w: it is at version %d", ErrConflict, f.Version)
		}
		history := f.History
		f.History = nil
		change, err := f.decide(&d, latest(b.now(), f.Changed))
		if err != nil {
			return nil, err
		}
		before := f.Version
		f.Version++
		err = b.store.SaveFindings(ctx, []Edit{{*f, before, []Change{change}}}, nil)
		if err == nil {
			f.History = append(history, change)
			return f, nil
		}
		if !errors.Is(err, ErrConflict) || d.Version != 0 || try == conflictsAtMost {
			return nil, fmt.Errorf("saving the finding: %w", err)
		}
	}
}
