package logging

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/gatehouse-project/gatehouse/estate"
)

// Request is what somebody wants done: a command, the stages that are meant, and how.
// Of Disable and Destroy only the choice and Force count.
type Request struct {
	Command Command `json:"command"`
	EnableOptions
	// Force puts back also what somebody changed since.
	Force bool `json:"force,omitempty"`
}

// Check refuses a request that can never work.
func (r *Request) Check() error {
	switch r.Command {
	case Enable:
		return r.EnableOptions.Check()
	case Disable, Destroy:
		return r.Choice.Check()
	}
	return fmt.Errorf("command %q is none of enable, disable, destroy", r.Command)
}

// Plan decides what a request changes. It changes nothing.
func (s *Switch) Plan(ctx context.Context, r *Request) (*Plan, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	if r.Command == Enable {
		return s.PlanEnable(ctx, &r.EnableOptions)
	}
	return s.PlanUndo(r.Command, &UndoOptions{Choice: r.Choice, Force: r.Force})
}

// Request is what the plan was made from.
func (p *Plan) Request() Request { return p.request }

// Digest names what the plan would do: the request and every change with what is
// there and what shall be. Two plans with one digest do the same.
func (p *Plan) Digest() string { return p.digest }

// seal finishes a plan: how long it takes, and its digest, which what becomes of the
// changes leaves as it is.
func (p *Plan) seal(s *estate.Snapshot, r Request) {
	p.request, p.Pace = r, p.pace(s)
	type change struct {
		Key   Key    `json:"key"`
		Now   string `json:"now"`
		Then  string `json:"then"`
		State State  `json:"state"`
	}
	all := struct {
		Request Request  `json:"request"`
		Changes []change `json:"changes"`
	}{Request: r}
	for _, c := range p.Changes {
		all.Changes = append(all.Changes, change{c.Key, c.Now, c.Then, c.State})
	}
	b, err := json.Marshal(all)
	if err != nil {
		return // strings and numbers always encode; a plan without a digest is never carried out
	}
	sum := sha256.Sum256(b)
	p.digest = hex.EncodeToString(sum[:])
}

// Difference is a change of which two plans say different things. Was is nil where the
// first plan had no such change, and Is where the second has none.
type Difference struct {
	Was *Change `json:"was,omitempty"`
	Is  *Change `json:"is,omitempty"`
}

// Of is the change that people know: as it was shown, or the new one.
func (d *Difference) Of() *Change { return cmp.Or(d.Was, d.Is) }

// Differences tells what changed between a plan that was shown and one that was made
// later of the same request.
func Differences(was, is *Plan) []Difference {
	later := map[Key]*Change{}
	for _, c := range is.Changes {
		later[c.Key] = c
	}
	var out []Difference
	for _, c := range was.Changes {
		l := later[c.Key]
		delete(later, c.Key)
		if l == nil || l.Now != c.Now || l.Then != c.Then || l.State != c.State {
			out = append(out, Difference{c, l})
		}
	}
	for _, c := range later {
		out = append(out, Difference{nil, c})
	}
	slices.SortFunc(out, func(a, b Difference) int { return compareKeys(a.Of().Key, b.Of().Key) })
	return out
}
