package collect

import (
	"context"
	"sync"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// Joined is a Source of two: a group that is pushed is read from where it was
// pushed to, and all others are polled. A group that once was pushed is never
// polled again, for events that are on their way would then be counted as late.
type Joined struct {
	pushed, polled Source
	stages         func() []transaction.Group

	mu   sync.Mutex
	keys map[string]bool // of the groups that are pushed
}

var (
	_ Source  = (*Joined)(nil)
	_ Finder  = (*Joined)(nil)
	_ Counter = (*Joined)(nil)
)

// Join makes a Source of pushed and polled; polled may be nil. stages, which may
// be nil too, tells what the estate knows of the groups that are pushed: their
// API, stage and access-log format.
func Join(pushed, polled Source, stages func() []transaction.Group) *Joined {
	return &Joined{pushed: pushed, polled: polled, stages: stages, keys: make(map[string]bool)}
}

// Groups lists the groups of both.
func (j *Joined) Groups(ctx context.Context) ([]transaction.Group, []Problem) {
	found, problems := j.Find(ctx)
	groups := make([]transaction.Group, len(found))
	for i := range found {
		groups[i] = found[i].Group
	}
	return groups, problems
}

// Find lists the groups of both, those that are pushed first.
func (j *Joined) Find(ctx context.Context) ([]Found, []Problem) {
	found, problems := findIn(ctx, j.pushed)
	var known map[string]transaction.Group
	if j.stages != nil {
		known = groupsOf(j.stages())
	}
	j.mu.Lock()
	for i := range found {
		key := found[i].Key()
		j.keys[key] = true
		if g, ok := known[key]; ok {
			found[i].Group = g
		}
	}
	j.mu.Unlock()
	if j.polled == nil {
		return found, problems
	}
	polled, more := findIn(ctx, j.polled)
	for i := range polled {
		if !j.isPushed(&polled[i].Group) {
			found = append(found, polled[i])
		}
	}
	return found, append(problems, more...)
}

func findIn(ctx context.Context, s Source) ([]Found, []Problem) {
	if f, ok := s.(Finder); ok {
		return f.Find(ctx)
	}
	groups, problems := s.Groups(ctx)
	found := make([]Found, len(groups))
	for i, g := range groups {
		found[i] = Found{Group: g}
	}
	return found, problems
}

func (j *Joined) isPushed(g *transaction.Group) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.keys[g.Key()]
}

// Read reads the group where it is.
func (j *Joined) Read(ctx context.Context, group transaction.Group, from, to int64, next string) (Page, error) {
	if j.polled == nil || j.isPushed(&group) {
		return j.pushed.Read(ctx, group, from, to, next)
	}
	return j.polled.Read(ctx, group, from, to, next)
}

// Counts asks each Source for its own groups; of one that cannot count, no
// minutes are told.
func (j *Joined) Counts(ctx context.Context, groups []transaction.Group, from, to int64) ([][]MinuteCount, error) {
	all := make([][]MinuteCount, len(groups))
	for _, side := range []struct {
		source Source
		pushed bool
	}{{j.pushed, true}, {j.polled, false}} {
		counter, ok := side.source.(Counter)
		if !ok {
			continue
		}
		var at []int
		var asked []transaction.Group
		for i := range groups {
			if (j.polled == nil || j.isPushed(&groups[i])) == side.pushed {
				at = append(at, i)
				asked = append(asked, groups[i])
			}
		}
		if len(asked) == 0 {
			continue
		}
		counts, err := counter.Counts(ctx, asked, from, to)
		if err != nil {
			return nil, err
		}
		for k, i := range at {
			all[i] = counts[k]
		}
	}
	return all, nil
}
