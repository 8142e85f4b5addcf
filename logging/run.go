package logging

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/account"
)

// Stopped is the outcome of a run, in the journal alone, that ended before it had
// tried all changes.
const Stopped State = "stopped"

// Summary says what a run was to do and what came of it.
type Summary struct {
	// Request is in the line that begins a run, Digest that of its plan.
	Request *Request `json:"request,omitempty"`
	Digest  string   `json:"digest,omitempty"`
	// Planned are the changes that were to be made; the others tell what became of them.
	Planned   int `json:"planned"`
	Done      int `json:"done"`
	Unchanged int `json:"unchanged"`
	Left      int `json:"left"`
	Failed    int `json:"failed"` // and skipped
}

// RunName is a new name for a run; names of later runs sort behind earlier ones.
func RunName(at time.Time) string {
	return at.UTC().Format("20060102-150405-") + strings.ToLower(rand.Text()[:6])
}

// begin writes into the journal that a run begins. Nothing may be changed before:
// who was about to change what must be known even if the process dies at once.
func (r *applying) begin(ctx context.Context, plan *Plan) error {
	if r.name == "" {
		r.name = RunName(r.clock())
	}
	request := plan.Request()
	err := r.journal.SaveLogging(ctx, &Changes{Log: []Entry{r.line(Intended, nil, &Summary{
		Request: &request, Digest: plan.Digest(), Planned: plan.Count(Planned), Left: plan.Count(Left),
	})}})
	if err != nil {
		return fmt.Errorf("saving what is about to be changed: %w", err)
	}
	return nil
}

// end writes into the journal what became of a run.
func (r *applying) end(ctx context.Context, plan *Plan, failed error) error {
	sum := summaryOf(plan)
	outcome := Done
	switch {
	case sum.Planned > 0 || failed != nil:
		outcome = Stopped
	case sum.Failed > 0:
		outcome = Failed
	}
	if err := r.journal.SaveLogging(context.WithoutCancel(ctx), &Changes{Log: []Entry{r.line(outcome, failed, sum)}}); err != nil {
		return fmt.Errorf("saving how the run ended: %w", err)
	}
	return nil
}

func (r *applying) line(s State, err error, sum *Summary) Entry {
	return Entry{
		At: r.clock().UTC(), Who: r.who, Command: string(r.command), Key: Key{Kind: KindRun, Subject: r.name},
		Outcome: s, Error: account.Text(err), Run: r.name, Summary: sum,
	}
}

// Past is a run as the journal tells it.
type Past struct {
	ID      string  `json:"id"`
	Who     string  `json:"who"`
	Command Command `json:"command"`
	// Request is what was asked for, and Summary what came of it; without an end they
	// say what was planned.
	Request Request   `json:"request"`
	Summary Summary   `json:"summary"`
	Began   time.Time `json:"began"`
	// Ended is zero where the journal has no end: the run goes on, or its process died.
	Ended   time.Time `json:"ended,omitzero"`
	Outcome State     `json:"outcome"` // intended without an end
	Error   string    `json:"error,omitempty"`
}

// Unfinished reports whether something of the run may be left to do.
func (p *Past) Unfinished() bool { return p.Outcome != Done }

// pasts puts the lines that begin and end runs together; the newest run first.
func pasts(lines []Entry) []Past {
	ends := map[string]*Entry{}
	var out []Past
	for i := range lines {
		e := &lines[i]
		if e.Summary == nil {
			continue
		}
		if e.Outcome != Intended {
			ends[e.Run] = e
			continue
		}
		p := Past{ID: e.Run, Who: e.Who, Command: Command(e.Command), Summary: *e.Summary, Began: e.At, Outcome: Intended}
		if e.Summary.Request != nil {
			p.Request = *e.Summary.Request
			p.Summary.Request = nil
		}
		if end := ends[e.Run]; end != nil {
			planned := p.Summary.Planned
			p.Summary, p.Ended, p.Outcome, p.Error = *end.Summary, end.At, end.Outcome, end.Error
			p.Summary.Planned = planned
		}
		out = append(out, p)
	}
	return out
}
