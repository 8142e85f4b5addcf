package access

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
)

const (
	// settleAtOnce is how many results one commit takes.
	settleAtOnce = 256
	// settleWithin bounds the writing of results when the process stops.
	settleWithin = 5 * time.Second
	maxErrorText = 1000
)

// settler writes what came of changes, all that have come in one commit, until the
// channel is closed. It goes on when ctx is done, for what is known of a target must
// not be forgotten; then it has settleWithin for each commit.
func (d *Desk) settler(ctx context.Context) {
	for s := range d.results {
		batch := []settlement{s}
		for more := true; more && len(batch) < settleAtOnce; {
			select {
			case s, ok := <-d.results:
				if more = ok; ok {
					batch = append(batch, s)
				}
			default:
				more = false
			}
		}
		d.settleAll(ctx, batch)
		for i := range batch {
			close(batch[i].done)
		}
	}
}

// settleAll writes a batch. If the store fails it tries until the leases of the batch
// are over: then somebody else has the objects, and does it all again.
func (d *Desk) settleAll(ctx context.Context, batch []settlement) {
	within := max(d.limits.Lease, settleWithin)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	for len(batch) > 0 {
		err := guarded("writing what came of changes", func() error { return d.settle(ctx, batch) })
		if err == nil {
			return
		}
		if !errors.Is(err, ErrConflict) {
			d.log.ErrorContext(ctx, "writing what came of changes", "objects", len(batch), "error", err)
			if !pause(ctx, 200*time.Millisecond) {
				return
			}
			continue
		}
		// Either a grant was changed meanwhile, which is decided again, or a lease is not
		// ours any more.
		err = guarded("looking which leases are lost", func() (err error) {
			batch, err = d.stillOurs(ctx, batch)
			return err
		})
		if err != nil {
			d.log.ErrorContext(ctx, "looking which leases are lost", "error", err)
		}
		if !pause(ctx, time.Millisecond) {
			return
		}
	}
}

// stillOurs leaves out what was done under a lease that somebody else has now, and
// has those objects looked at once more: what was sent to the target last may have
// come after what the other one did.
func (d *Desk) stillOurs(ctx context.Context, batch []settlement) ([]settlement, error) {
	leases := map[string][]Lease{} // by holder
	for i := range batch {
		leases[batch[i].holder] = append(leases[batch[i].holder], batch[i].Lease)
	}
	now := d.clock.Now()
	var kept []string
	for holder, of := range leases {
		still, err := d.store.RenewLeases(ctx, holder, of, now.Add(d.limits.Lease))
		if err != nil {
			return batch, err
		}
		kept = append(kept, still...)
	}
	var ours []settlement
	f := d.draft(now)
	for _, s := range batch {
		if slices.Contains(kept, s.Lease.Key) {
			ours = append(ours, s)
			continue
		}
		d.log.WarnContext(ctx, "another process took an object over: it is looked at again", "object", s.Object.Key)
		f.c.Touches = append(f.c.Touches, Touch{Key: s.Object.Key, Integration: s.Object.Integration, DueAt: now, NextTry: now, Known: true})
	}
	if f.isEmpty() {
		return ours, nil
	}
	if err := d.commit(ctx, f); err != nil {
		return batch, err
	}
	return ours, nil
}

// settle writes a batch of results and what follows from them for the grants.
func (d *Desk) settle(ctx context.Context, batch []settlement) error {
	keys := make([]string, len(batch))
	for i := range batch {
		keys[i] = batch[i].Object.Key
	}
	grants, err := d.store.OpenGrants(ctx, keys)
	if err != nil {
		return err
	}
	f := d.draft(d.clock.Now())
	books := &books{f: f, before: map[string]*Grant{}, now: map[string]*Grant{}}
	for _, g := range grants {
		books.before[g.ID], books.now[g.ID] = g, g.clone()
	}
	for i := range batch {
		s := &batch[i]
		o, done := d.result(f.c.At, s)
		f.c.Results = append(f.c.Results, Result{Lease: s.Lease, Holder: s.holder, Object: o})
		if done {
			books.seen(s)
		}
	}
	books.close(ctx)
	if err := d.commit(ctx, f); err != nil {
		return err
	}
	for i := range batch {
		d.report(ctx, &batch[i], &f.c.Results[i].Object)
	}
	for _, g := range f.c.Grants {
		if g.State == Ended {
			d.metrics.ends.WithLabelValues(string(g.EndReason)).Inc()
		}
	}
	return nil
}

// removalBackoff bounds the wait between two tries to take something away.
const removalBackoff = 5 * time.Second

// result is the object after a change of it, and whether it was read back as it has to
// be.
func (d *Desk) result(now time.Time, s *settlement) (o Object, done bool) {
	o = s.Object
	o.NextTry = time.Time{}
	if s.applied.Kept != nil {
		o.Kept = s.applied.Kept
	}
	if s.Stolen {
		// Whoever had it before may have died with a write on its way, which lands
		// within the time of an operation or never.
		o.Recheck = now.Add(d.recheckFor())
	}
	switch {
	case s.stopped:
		o.NextTry = now
	case s.err != nil:
		o.Attempts++
		o.LastError = cutText(s.err.Error(), maxErrorText)
		most := d.limits.MaxBackoff
		if len(s.Holdings) == 0 {
			// A target that is back after an outage still gives what has to go.
			most = min(most, removalBackoff)
		}
		o.NextTry = now.Add(backoff(o.Attempts, most))
	case s.applied.Pending > 0:
		o.LastError, o.Note = "", s.applied.Note
		o.NextTry = now.Add(s.applied.Pending)
		o.Unseen, o.UnseenUntil = o.Generation, now.Add(max(2*s.applied.Pending, d.limits.Lease))
	case o.Unseen != 0 && o.Unseen != o.Generation && o.UnseenUntil.After(now):
		// Access that was given and taken away again at once: the target took the first
		// and does not show it, so "it is not there" is no news. It is asked again when
		// the first has to be seen.
		o.LastError, o.NextTry = "", o.UnseenUntil
	default:
		done = true
		o.Unseen, o.UnseenUntil = 0, time.Time{}
		o.Applied, o.AppliedAt = o.Generation, now
		o.Attempts, o.LastError, o.Note, o.Kept = 0, "", s.applied.Note, s.applied.Kept
		if o.Recheck.After(now) {
			o.NextTry = now.Add(d.recheckAfter(o.Recheck.Sub(now)))
		} else {
			o.Recheck = time.Time{}
		}
	}
	return o, done
}

// recheckFor is how long a write of a process that died may still reach the target: as
// long as an operation may take.
func (d *Desk) recheckFor() time.Duration { return max(d.limits.Lease, d.limits.Operation) }

// recheckAtFirst is when an object is first looked at again whose holder died.
const recheckAtFirst = 250 * time.Millisecond

// recheckAfter is when an object is looked at again of which a late write may land for
// that much longer. Most that land at all do so in the next moments, so it is looked at
// often at first, then after each time that has passed once more, and in the end as
// often as a lease lasts.
func (d *Desk) recheckAfter(left time.Duration) time.Duration {
	passed := d.recheckFor() - left
	return min(max(passed, recheckAtFirst), d.limits.Lease, left)
}

func (d *Desk) report(ctx context.Context, s *settlement, o *Object) {
	if s.err == nil && s.Object.Applied < o.Applied {
		d.metrics.lateness.Observe(max(o.AppliedAt.Sub(o.DueAt), 0).Seconds())
	}
	if s.err == nil || s.stopped {
		return
	}
	log := d.log.WarnContext
	if o.NextTry.Sub(o.DueAt) > d.limits.Objective {
		log = d.log.ErrorContext
	}
	log(ctx, "changing an object failed", "integration", o.Integration, "object", o.Key, "wanted_by", len(s.Holdings), "attempt", o.Attempts,
		"due", o.DueAt, "next_try", o.NextTry, "error", o.LastError)
}

// books are the grants of a batch of results, before and after.
type books struct {
	f           *draft
	before, now map[string]*Grant
}

// seen notes that an object was read back as it has to be. What was put there is what
// its lease gave, so a grant that is live and was in it is there, and one that is on its
// way out and was not in it is gone, whatever else was wished since.
func (b *books) seen(s *settlement) {
	for id, g := range b.now {
		in := slices.IndexFunc(s.Holdings, func(h Holding) bool { return h.Grant == id })
		if (g.State == Revoking) == (in >= 0) {
			continue
		}
		for i := range g.Items {
			if g.Items[i].Object == s.Object.Key {
				g.Items[i].Confirmed = true
			}
		}
		if g.State == Provisioning && g.isConfirmed() {
			b.ready(g, s)
		}
	}
}

// sameEnd is how far the end in a target may be before the ledger's, so that not every
// grant has to be written twice.
const sameEnd = time.Second

// ready starts the time of a grant. Objects whose end was reckoned otherwise are due
// once more.
func (b *books) ready(g *Grant, s *settlement) {
	now := b.f.c.At
	g.State, g.ReadyAt, g.ExpiresAt = Active, now, now.Add(g.Duration)
	if before := min(b.f.d.limits.EndingNotice, g.Duration/4); b.f.d.mailer != nil {
		g.TellAt = g.ExpiresAt.Add(-before)
	}
	for _, key := range g.objects() {
		if key == s.Object.Key && !slices.ContainsFunc(s.Holdings, func(h Holding) bool {
			return h.Grant == g.ID && (g.ExpiresAt.Sub(h.Expires) > sameEnd || h.Expires.After(g.ExpiresAt))
		}) {
			continue
		}
		b.f.touch(key, g.integrationOf(key), now, now)
	}
}

func (g *Grant) isConfirmed() bool {
	for i := range g.Items {
		if !g.Items[i].Confirmed {
			return false
		}
	}
	return true
}

// close writes the grants that were changed.
func (b *books) close(ctx context.Context) {
	ids := make([]string, 0, len(b.now))
	for id := range b.now {
		ids = append(ids, id)
	}
	slices.Sort(ids) // the audit log tells them in an order that does not depend on a map
	for _, id := range ids {
		before, g := b.before[id], b.now[id]
		switch {
		case before.State == Provisioning && g.State == Active:
			b.f.grant(ctx, sweeper, before, g, "grant.ready", "")
			b.f.notice(Notice{Kind: "grant.ready", To: []string{g.Person.ID}, Grant: g, Thread: g.Request})
		case g.State == Revoking && g.isConfirmed():
			g.State, g.EndedAt = Ended, b.f.c.At
			b.f.grant(ctx, sweeper, before, g, "grant.ended", "")
			b.f.notice(Notice{Kind: "grant.ended", To: []string{g.Person.ID}, Grant: g, Thread: g.Request, By: g.EndedBy})
		case !slices.EqualFunc(before.Items, g.Items, func(a, b GrantItem) bool { return a.Confirmed == b.Confirmed }):
			g.Version++
			b.f.c.Grants = append(b.f.c.Grants, g)
		}
	}
}

// cutText keeps texts of others within bounds and on one line.
func cutText(s string, most int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "�")), " ")
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
