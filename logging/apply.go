package logging

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/account"
)

const (
	// lanesAtOnce is how many regions are changed at once. AWS counts calls by account
	// and region, so they hardly slow each other down.
	lanesAtOnce = 32
	// readBacks is how often a changed setting is read until it shows the change, with
	// twice the pause each time: CloudWatch Logs shows a new group a moment later.
	readBacks     = 6
	firstReadBack = 50 * time.Millisecond
)

// Progress is how far the changes have come.
type Progress struct {
	Done    int    `json:"done"` // steps
	Total   int    `json:"total"`
	Account string `json:"account,omitempty"`
	Region  string `json:"region,omitempty"`
	Failed  int    `json:"failed,omitempty"`
}

// Apply makes the changes of a plan. What becomes of each is in the change itself:
// one that fails hides no other. The error is of the journal, without which nothing
// may be changed, or of ctx. Progress is called from one goroutine at a time, and
// may be nil.
func (s *Switch) Apply(ctx context.Context, plan *Plan, progress func(Progress)) error {
	if plan.Count(Planned) == 0 {
		return ctx.Err()
	}
	run := &applying{Switch: s, command: plan.Command, changes: map[Key]*Change{}, progress: progress, name: s.run}
	if err := run.begin(ctx, plan); err != nil {
		return err
	}
	s.reach(ctx)
	err := run.all(ctx, plan)
	return errors.Join(err, run.end(ctx, plan, err))
}

// all makes the changes, phase by phase.
func (r *applying) all(ctx context.Context, plan *Plan) error {
	for _, c := range plan.Changes {
		r.changes[c.Key] = c
	}
	phases := r.phases(plan)
	for _, lanes := range phases {
		for _, l := range lanes {
			r.total += len(l.steps)
		}
	}
	for _, lanes := range phases {
		slots := make(chan struct{}, lanesAtOnce)
		var wg sync.WaitGroup
		for _, l := range lanes {
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				r.lane(ctx, l)
			})
		}
		wg.Wait()
	}
	if r.fatal != nil {
		return r.fatal
	}
	return ctx.Err()
}

// lane is the steps of one region of one account, in order.
type lane struct {
	account, region string
	steps           []*step
}

// phases puts the changes in the order in which they need each other: roles before
// the regions that use them, and the other way to put them back.
func (r *applying) phases(plan *Plan) [][]*lane {
	var roles, regions []*lane
	byPlace := map[[2]string]*lane{}
	changes := slices.Clone(plan.Changes)
	if plan.Command != Enable {
		// Settings before the account's role, and groups last of a region.
		rank := func(c *Change) int {
			return slices.Index([]Kind{KindExecution, KindAccess, KindDelivery, KindAccount, KindGroup, KindRole}, c.Kind)
		}
		slices.SortStableFunc(changes, func(a, b *Change) int { return rank(a) - rank(b) })
	}
	stages := map[Key]*step{}
	for _, c := range changes {
		if c.State != Planned {
			continue
		}
		at := [2]string{c.Account, c.Region}
		l := byPlace[at]
		if l == nil {
			l = &lane{account: c.Account, region: c.Region}
			byPlace[at] = l
			if c.Kind == KindRole {
				roles = append(roles, l)
			} else {
				regions = append(regions, l)
			}
		}
		kind := stageOf(c)
		if kind != "" {
			k := Key{Account: c.Account, Region: c.Region, Subject: c.Subject}
			if st := stages[k]; st != nil {
				st.changes = append(st.changes, c)
				continue
			}
			stages[k] = &step{kind: kind}
			stages[k].changes = append(stages[k].changes, c)
			l.steps = append(l.steps, stages[k])
			continue
		}
		l.steps = append(l.steps, &step{changes: []*Change{c}})
	}
	if plan.Command == Enable {
		return [][]*lane{roles, regions}
	}
	return [][]*lane{regions, roles}
}

// applying is one run of Apply.
type applying struct {
	*Switch
	name     string // in the journal
	command  Command
	progress func(Progress)
	total    int

	// mu guards the states of the changes, which other lanes look at for what they
	// need, and what follows.
	mu      sync.Mutex
	changes map[Key]*Change
	done    int
	failed  int
	fatal   error
}

func (r *applying) lane(ctx context.Context, l *lane) {
	p, err := r.place(l.account, l.region)
	for _, st := range l.steps {
		if e := r.stopped(ctx); e != nil {
			return
		}
		if err != nil {
			r.fail(st.changes, err)
		} else {
			r.step(ctx, p, st)
		}
		r.report(l)
	}
}

// stopped is why nothing more is tried: the journal cannot be written, or ctx ended.
func (r *applying) stopped(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fatal != nil {
		return r.fatal
	}
	return ctx.Err()
}

func (r *applying) report(l *lane) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done++
	if r.progress != nil {
		r.progress(Progress{Done: r.done, Total: r.total, Account: l.account, Region: l.region, Failed: r.failed})
	}
}

func (r *applying) set(c *Change, s State, why, mend string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.State, c.Why, c.Mend = s, why, mend
	if s == Failed || s == Skipped {
		r.failed++
	}
}

func (r *applying) fail(changes []*Change, err error) {
	mend := ""
	if m, ok := errors.AsType[*account.ChainError](err); ok {
		mend = m.Mend()
	}
	for _, c := range changes {
		r.set(c, Failed, account.Text(err), mend)
	}
}

// blocked says what a change waits for in vain, and what that makes of it; empty:
// nothing.
func (r *applying) blocked(c *Change) (why string, becomes State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range c.needs {
		n := r.changes[k]
		if n == nil {
			continue
		}
		becomes = Skipped
		switch n.State {
		case Left:
			if r.command != Enable {
				becomes = Left
			}
		case Failed, Skipped, Planned:
		case Done, Unchanged, Intended:
			continue
		}
		what := strings.TrimSpace(string(n.Kind) + " " + n.Subject)
		return fmt.Sprintf("not tried, because the %s in %s was not changed", what, strings.TrimSuffix(n.Account+"/"+n.Region, "/")), becomes
	}
	return "", ""
}

// step makes the changes of a step: what is there is read, the intent is saved, the
// change is made, read back, and saved as done.
func (r *applying) step(ctx context.Context, p *place, whole *step) {
	st := &step{kind: whole.kind}
	for _, c := range whole.changes {
		if why, becomes := r.blocked(c); why != "" {
			r.set(c, becomes, why, "")
			continue
		}
		st.changes = append(st.changes, c)
	}
	if len(st.changes) == 0 {
		return
	}
	now, err := p.read(ctx, st)
	switch {
	case errors.Is(err, errGone) && r.command != Enable:
		r.forget(ctx, st.changes, "the stage does not exist any more")
		return
	case err != nil:
		r.fail(st.changes, err)
		return
	}
	var values []string
	todo := &step{kind: st.kind}
	save := &Changes{}
	for i, c := range st.changes {
		rec, verdict := r.decide(c, now[i])
		if rec != nil {
			save.Put = append(save.Put, *rec)
		}
		if verdict == dropRecord {
			save.Drop = append(save.Drop, c.Key)
		}
		if verdict != writeSetting {
			continue
		}
		save.Log = append(save.Log, r.entry(c, now[i], Intended, nil))
		todo.changes, values = append(todo.changes, c), append(values, c.Then)
	}
	if r.save(ctx, save, todo.changes) != nil || len(todo.changes) == 0 {
		return
	}
	if err := p.write(ctx, todo, values); err != nil {
		if errors.Is(err, errGone) && r.command != Enable {
			r.forget(ctx, todo.changes, "the stage does not exist any more")
			return
		}
		r.failedStep(ctx, todo.changes, err)
		return
	}
	r.readBack(ctx, p, todo)
}

// verdict is what is done with a setting once it was read.
type verdict int

const (
	leaveAlone verdict = iota
	writeSetting
	dropRecord
)

// decide compares what is there with what shall be. It returns the record to save,
// if any, and what is to be done.
func (r *applying) decide(c *Change, now string) (*Record, verdict) {
	old := r.record(c.Key)
	mine := old != nil && old.ours(now)
	if r.command != Enable {
		switch {
		case old == nil || same(c.Kind, now, c.Then):
			r.set(c, Unchanged, "", "")
			return nil, dropRecord
		case !mine && protected(c.force, c.Kind, now):
			r.set(c, Left, changedSince(old, now), "")
			return nil, leaveAlone
		}
		c.Now = now
		if c.Kind == KindRole || c.Kind == KindDelivery {
			// It takes several calls: what an interrupted attempt leaves behind must be
			// known as Gatehouse's own.
			old.Done = false
			return old, writeSetting
		}
		return nil, writeSetting
	}
	if mine && c.Kind == KindGroup {
		if then := keepOfGroup(now, c.Then); then != c.Then {
			c.Then, c.Why = then, "an attempt that was interrupted made it otherwise, which stays: "+Describe(KindGroup, then)
		}
	}
	rec := &Record{
		Key: c.Key, APIType: c.APIType, API: c.API, APIName: c.APIName, Stage: c.Stage,
		Before: now, After: c.Then, LoggedBefore: c.loggedBefore, Who: r.who, At: r.clock().UTC(),
	}
	switch {
	case same(c.Kind, now, c.Then):
		r.set(c, Unchanged, c.Why, "")
		switch {
		case old == nil || old.Done && same(c.Kind, old.After, c.Then):
			return nil, leaveAlone
		case !mine:
			// Somebody set it after an attempt that came to nothing: it is theirs.
			return nil, dropRecord
		}
		// It was written, and the process ended before it could say so.
		rec.Before, rec.LoggedBefore, rec.Done = old.Before, old.LoggedBefore, true
		return rec, leaveAlone
	case mine:
		// What was there before Gatehouse came stays what is put back, and every value
		// that may be found from now on is known as Gatehouse's own.
		rec.Before, rec.LoggedBefore = old.Before, old.LoggedBefore
		rec.Written = append(slices.Clone(old.Written), old.After)
	case (c.Kind == KindGroup || c.Kind == KindRole || c.Kind == KindAccount) && now != "" && !same(c.Kind, now, c.Now):
		r.set(c, Unchanged, "it exists already and stays as it is", "")
		return nil, leaveAlone
	case !same(c.Kind, now, c.Now):
		r.set(c, Left, fmt.Sprintf("somebody changed it since the plan was made: now it is %q", Describe(c.Kind, now)), "run the command again for a new plan")
		return nil, leaveAlone
	}
	c.Now = now
	return rec, writeSetting
}

// save saves changes. A journal that cannot be written ends everything: without it
// nothing could be put back.
func (r *applying) save(ctx context.Context, c *Changes, of []*Change) error {
	if len(c.Put)+len(c.Drop)+len(c.Log) == 0 {
		return nil
	}
	// An end of ctx must not come between a change and its record.
	err := r.journal.SaveLogging(context.WithoutCancel(ctx), c)
	if err != nil {
		err = fmt.Errorf("saving what is changed: %w", err)
		r.fail(of, err)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.fatal = errors.Join(r.fatal, err)
		return err
	}
	r.keep(c)
	return nil
}

func (r *applying) entry(c *Change, from string, s State, err error) Entry {
	return Entry{
		At: r.clock().UTC(), Who: r.who, Command: string(r.command), Key: c.Key, From: from, To: c.Then,
		Outcome: s, Error: account.Text(err), Run: r.name,
	}
}

// failedStep notes in the journal that changes failed. Their records stay: AWS may
// have made the change all the same.
func (r *applying) failedStep(ctx context.Context, changes []*Change, err error) {
	save := &Changes{}
	for _, c := range changes {
		save.Log = append(save.Log, r.entry(c, c.Now, Failed, err))
	}
	r.fail(changes, err)
	_ = r.save(ctx, save, changes) // it is fatal by itself
}

// forget drops the records of what does not exist any more.
func (r *applying) forget(ctx context.Context, changes []*Change, why string) {
	save := &Changes{}
	for _, c := range changes {
		save.Drop = append(save.Drop, c.Key)
		save.Log = append(save.Log, r.entry(c, c.Now, Unchanged, nil))
	}
	if r.save(ctx, save, changes) != nil {
		return
	}
	for _, c := range changes {
		r.set(c, Unchanged, why, "")
	}
}

// readBack reads changed settings until they show the change, and saves it.
func (r *applying) readBack(ctx context.Context, p *place, st *step) {
	pause := firstReadBack
	for try := 1; ; try++ {
		now, err := p.read(ctx, st)
		if errors.Is(err, errGone) && r.command != Enable {
			r.forget(ctx, st.changes, "the stage does not exist any more")
			return
		}
		if err != nil {
			r.failedStep(ctx, st.changes, fmt.Errorf("reading back: %w", err))
			return
		}
		var wrong []*Change
		for i, c := range st.changes {
			if !same(c.Kind, now[i], c.Then) {
				wrong = append(wrong, c)
			}
		}
		if len(wrong) == 0 {
			break
		}
		if try == readBacks {
			right := slices.DeleteFunc(slices.Clone(st.changes), func(c *Change) bool { return slices.Contains(wrong, c) })
			r.settle(ctx, right)
			r.failedStep(ctx, wrong, errors.New("the change was made, and reading it back does not show it"))
			return
		}
		select {
		case <-ctx.Done():
			r.failedStep(ctx, st.changes, ctx.Err())
			return
		case <-time.After(pause):
			pause *= 2
		}
	}
	r.settle(ctx, st.changes)
}

// settle saves that changes were made.
func (r *applying) settle(ctx context.Context, changes []*Change) {
	save := &Changes{}
	for _, c := range changes {
		save.Log = append(save.Log, r.entry(c, c.Now, Done, nil))
		if r.command != Enable {
			save.Drop = append(save.Drop, c.Key)
			continue
		}
		if old := r.record(c.Key); old != nil {
			rec := *old
			rec.Done, rec.Written = true, nil
			save.Put = append(save.Put, rec)
		}
	}
	if r.save(ctx, save, changes) != nil {
		return
	}
	for _, c := range changes {
		r.set(c, Done, c.Why, "")
	}
}

// unreached is the error of a place that the settings do not lead to.
func unreached(accountID, region string) error {
	return fmt.Errorf("account %s%s is not among those that are reached now", accountID, map[bool]string{true: "", false: " in " + region}[region == ""])
}
