package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/audit"
)

// keeper looks after one integration: it compares the target with the ledger, checks
// and discovers, cleans up after people and rotates credentials.
type keeper struct {
	d    *Desk
	name string
}

// keepEvery is how often a keeper looks what is due.
const keepEvery = 5 * time.Second

func (k *keeper) run(ctx context.Context) {
	// When this process last tried, by the monotonic clock: after a start always once,
	// and what failed again after a while.
	var reconciled, discovered time.Time
	again := min(time.Minute, k.d.limits.Reconcile)
	tried := func(last time.Time, every time.Duration) bool { return last.IsZero() || time.Since(last) >= every }
	for {
		var i *Integration
		err := guarded("looking after an integration", func() (err error) {
			i, err = k.d.store.Integration(ctx, k.name)
			return err
		})
		if err == nil {
			now := k.d.clock.Now()
			due := func(last time.Time, every time.Duration) bool { return now.Sub(last) >= every }
			if tried(reconciled, k.d.limits.Reconcile) || i.Health.ReconcileError != "" && tried(reconciled, again) {
				reconciled = time.Now()
				k.step(ctx, "reconcile", func() error {
					_, err := k.d.reconcile(ctx, k.name)
					return err
				})
				k.step(ctx, "withdraw", func() error { return k.d.withdraw(ctx, k.name) })
			}
			if due(i.Health.CheckedAt, k.d.limits.Discover) || !i.Health.OK() && due(i.Health.CheckedAt, again) {
				k.step(ctx, "check", func() error { return k.d.check(ctx, k.name) })
			}
			if due(i.Health.DiscoveredAt, k.d.limits.Discover) && tried(discovered, again) {
				discovered = time.Now()
				k.step(ctx, "discover", func() error { return k.d.discover(ctx, k.name) })
				k.step(ctx, "clean", func() error { return k.d.clean(ctx, i) })
				k.step(ctx, "rotate", func() error { return k.d.rotate(ctx, i) })
			}
		}
		if !pause(ctx, keepEvery+jitter(time.Second)) {
			return
		}
	}
}

// step does one thing. A defect in it must not be the end of the others.
func (k *keeper) step(ctx context.Context, step string, do func() error) {
	result := "done"
	if err := guarded(step, do); err != nil {
		result = "failed"
		if ctx.Err() == nil {
			k.d.log.WarnContext(ctx, "looking after an integration", "integration", k.name, "step", step, "error", err)
		}
	}
	k.d.metrics.steps.WithLabelValues(step, result).Inc()
}

// ReconcileNow compares an integration's target with the ledger, and returns what
// differs. Who administers may.
func (d *Desk) ReconcileNow(ctx context.Context, name string, by flow.Person, via string) ([]Drift, error) {
	if err := admins(by, "compare targets with the ledger"); err != nil {
		return nil, err
	}
	return d.reconcile(ctx, name)
}

// reconcile compares what stands in a target with what the ledger says. Only objects
// that were at rest before and after the look are compared: of any other, what was seen
// says nothing.
//
//   - missing: it is wanted and not there. It is put there again.
//   - changed: it is not as it was written. It is written again.
//   - orphan: it carries our mark, and nobody holds it. If the ledger knows its grants, it
//     was ours and is removed. If not, it is reported, and removed where the integration
//     says so.
func (d *Desk) reconcile(ctx context.Context, name string) ([]Drift, error) {
	i, err := d.store.Integration(ctx, name)
	if err != nil {
		return nil, err
	}
	p := d.types[i.Type]
	if p == nil {
		return nil, fmt.Errorf("%w: %s", ErrStopped, d.lendable(i))
	}
	before, err := d.store.Ledger(ctx, name, d.clock.Now())
	if err != nil {
		return nil, err
	}
	bound, cancel := context.WithTimeout(ctx, discoverWithin)
	var found []Found
	err = guarded("the provisioner", func() (err error) {
		found, err = p.List(bound, i)
		return err
	})
	cancel()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(err, d.health(ctx, name, "integration.failed", func(h *Health) { h.ReconcileError = cutText(err.Error(), maxErrorText) }))
	}
	var out []Drift
	err = d.decide(ctx, func(f *draft) error {
		after, err := d.store.Ledger(ctx, name, f.c.At)
		if err != nil {
			return err
		}
		known, err := d.store.Drifts(ctx, name, 10_000)
		if err != nil {
			return err
		}
		c := &comparison{d: d, f: f, i: i, sparse: isSparse(p), found: map[string]bool{}, rest: atRest(before, after), ledger: map[string]*Leased{}}
		for n := range after {
			c.ledger[after[n].Object.Key] = &after[n]
		}
		if err := c.compare(ctx, found); err != nil {
			return err
		}
		out = c.drift(ctx, known)
		return nil
	})
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, one := range out {
		counts[one.Kind]++
	}
	for _, kind := range []string{"missing", "changed", "orphan"} {
		d.metrics.drift.WithLabelValues(name, kind).Set(float64(counts[kind]))
	}
	return out, d.health(ctx, name, "integration.failed", func(h *Health) { h.ReconciledAt, h.ReconcileError = d.clock.Now(), "" })
}

func isSparse(p Provisioner) bool {
	s, ok := p.(Sparse)
	return ok && s.Sparse()
}

// atRest are the keys of objects that nothing was to be done with, neither before nor
// after, and that nobody changed in between.
func atRest(before, after []Leased) map[string]bool {
	fences := map[string]Leased{}
	for _, o := range before {
		fences[o.Object.Key] = o
	}
	out := map[string]bool{}
	for i := range after {
		o := &after[i]
		b, ok := fences[o.Object.Key]
		out[o.Object.Key] = ok && b.Object.Generation == o.Object.Generation && b.Lease.Fence == o.Lease.Fence &&
			b.Object.NextTry.IsZero() && o.Object.NextTry.IsZero()
	}
	return out
}

type comparison struct {
	d      *Desk
	f      *draft
	i      *Integration
	sparse bool
	ledger map[string]*Leased
	rest   map[string]bool
	found  map[string]bool
	drifts []Drift
}

func (c *comparison) compare(ctx context.Context, found []Found) error {
	for n := range found {
		one := &found[n]
		key := c.i.Name + "/" + one.Key
		if one.Key == "" {
			c.note(Drift{Key: "?" + one.Name, Name: one.Name, Kind: "orphan", Grants: one.Grants, ByHand: true, Detail: "it carries gatehouse's mark, and what it is cannot be told; remove it by hand"})
			continue
		}
		c.found[key] = true
		o := c.ledger[key]
		switch {
		case o != nil && !c.rest[key]:
			// It is being changed: the next look tells.
		case o != nil && len(o.Holdings) > 0:
			if one.Drift != "" {
				c.note(Drift{Key: key, Name: one.Name, Kind: "changed", Grants: one.Grants, Detail: one.Drift + "; it is written again"})
				c.f.touch(key, c.i.Name, c.f.c.At, c.f.c.At)
			}
		default:
			if err := c.orphan(ctx, key, one); err != nil {
				return err
			}
		}
	}
	for key, o := range c.ledger {
		if c.rest[key] && len(o.Holdings) > 0 && !c.found[key] && !c.sparse {
			var grants []string
			for _, h := range o.Holdings {
				grants = append(grants, h.Grant)
			}
			c.note(Drift{Key: key, Name: key, Kind: "missing", Grants: grants, Detail: "somebody removed it; it is put there again"})
			c.f.touch(key, c.i.Name, c.f.c.At, c.f.c.At)
		}
	}
	return nil
}

// orphan is an object that nobody holds.
func (c *comparison) orphan(ctx context.Context, key string, one *Found) error {
	ours := len(one.Grants) > 0
	for _, id := range one.Grants {
		g, err := c.d.store.Grant(ctx, id)
		if errors.Is(err, ErrNotFound) || err == nil && g.State != Ended {
			// A grant that is live elsewhere does not explain this object.
			ours = false
			break
		}
		if err != nil {
			return err
		}
	}
	drift := Drift{Key: key, Name: one.Name, Kind: "orphan", Grants: one.Grants}
	switch {
	case ours:
		drift.Detail = "it is of grants that have ended; it is removed"
	case c.i.DeleteOrphans:
		drift.Detail = "it carries gatehouse's mark, and no grant explains it; it is removed, as delete_orphans says"
	default:
		drift.ByHand = true
		drift.Detail = "it carries gatehouse's mark, and no grant explains it; remove it by hand, or set delete_orphans"
		c.note(drift)
		return nil
	}
	c.note(drift)
	c.f.touch(key, c.i.Name, c.f.c.At, c.f.c.At)
	return nil
}

func (c *comparison) note(d Drift) {
	d.Integration, d.First, d.Last = c.i.Name, c.f.c.At, c.f.c.At
	c.drifts = append(c.drifts, d)
}

// drift writes what is new and what is mended, and returns what stands.
func (c *comparison) drift(ctx context.Context, known []Drift) []Drift {
	slices.SortFunc(c.drifts, func(a, b Drift) int { return strings.Compare(a.Key, b.Key) })
	stands := map[string]Drift{}
	for _, k := range known {
		if k.Mended.IsZero() {
			stands[k.Key] = k
		}
	}
	var fresh []string
	for i := range c.drifts {
		one := &c.drifts[i]
		old, again := stands[one.Key]
		delete(stands, one.Key)
		if again && old.Kind == one.Kind {
			one.First = old.First
		} else {
			c.f.event(ctx, sweeper, "drift.found", audit.Subject{Kind: "object", ID: one.Key, Name: one.Name}, one.Detail, map[string]string{"kind": one.Kind, "grants": strings.Join(one.Grants, ",")})
			fresh = append(fresh, one.Kind+": "+one.Name)
		}
		c.f.c.Drifts = append(c.f.c.Drifts, *one)
	}
	for _, old := range stands {
		if o := c.ledger[old.Key]; o != nil && !c.rest[old.Key] {
			// It is being mended still: what was seen of it says nothing, so it stands.
			c.drifts = append(c.drifts, old)
			continue
		}
		old.Mended = c.f.c.At
		c.f.c.Drifts = append(c.f.c.Drifts, old)
		c.f.event(ctx, sweeper, "drift.mended", audit.Subject{Kind: "object", ID: old.Key, Name: old.Name}, "", map[string]string{"kind": old.Kind})
	}
	if len(fresh) > 0 {
		text := strings.Join(fresh[:min(len(fresh), 20)], "; ")
		c.f.notice(Notice{Kind: "drift.found", Integration: c.i.Name, Text: text, Thread: "integration/" + c.i.Name})
	}
	return c.drifts
}

// withdraw ends what people hold who are disabled. PersonLeft does that at once; this
// finds what slipped past it: a process that died in between, or a vote that was counted
// in the same moment.
func (d *Desk) withdraw(ctx context.Context, integration string) error {
	q := GrantQuery{Integration: integration, States: []GrantState{Provisioning, Active}, Limit: sweepAtOnce}
	for {
		page, err := d.store.Grants(ctx, q)
		if err != nil {
			return err
		}
		asked := map[string]bool{}
		for _, g := range page.Grants {
			if p, ok := d.facts.Person(g.Person.ID); !ok || !p.Disabled || asked[p.ID] {
				continue
			}
			asked[g.Person.ID] = true
			if err := d.PersonLeft(ctx, g.Person.ID, "the directory has disabled them"); err != nil {
				return err
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return nil
		}
	}
}

// cleanAtOnce is how many people one look cleans up after.
const cleanAtOnce = 100

// clean removes what a target keeps of people some days after their last grant.
func (d *Desk) clean(ctx context.Context, i *Integration) error {
	c, ok := d.types[i.Type].(Cleaner)
	if !ok || i.CleanupDays <= 0 {
		return nil
	}
	now := d.clock.Now()
	people, err := d.store.Leavers(ctx, i.Name, now.AddDate(0, 0, -i.CleanupDays), cleanAtOnce)
	if err != nil {
		return err
	}
	var errs []error
	for _, p := range people {
		bound, cancel := context.WithTimeout(ctx, d.limits.Operation)
		err := guarded("the provisioner", func() error { return c.Clean(bound, i, p) })
		cancel()
		if err != nil {
			errs = append(errs, fmt.Errorf("cleaning up after %s: %w", p.ID, err))
			continue
		}
		f := d.draft(d.clock.Now())
		f.c.Cleaned = []Cleaned{{i.Name, p.ID, now.AddDate(0, 0, -i.CleanupDays)}}
		f.event(ctx, sweeper, "person.cleaned", audit.Subject{Kind: "person", ID: p.ID, Name: p.Name}, fmt.Sprintf("no grant for %d days", i.CleanupDays), map[string]string{"integration": i.Name})
		errs = append(errs, d.commit(ctx, f))
	}
	return errors.Join(errs...)
}

// rotate replaces a target's own credentials when they are old.
func (d *Desk) rotate(ctx context.Context, i *Integration) error {
	r, ok := d.types[i.Type].(Rotator)
	if !ok || i.RotationDays <= 0 {
		return nil
	}
	now := d.clock.Now()
	if i.Health.RotatedAt.IsZero() {
		// How old they are is not known; they are counted from when they were first seen.
		return d.health(ctx, i.Name, "integration.failed", func(h *Health) { h.RotatedAt = now })
	}
	if now.Before(i.Health.RotatedAt.AddDate(0, 0, i.RotationDays)) {
		return nil
	}
	bound, cancel := context.WithTimeout(ctx, discoverWithin)
	defer cancel()
	err := guarded("the provisioner", func() error { return r.Rotate(bound, i) })
	if err == nil {
		f := d.draft(d.clock.Now())
		f.event(ctx, sweeper, "integration.rotated", audit.Subject{Kind: "integration", ID: i.Name}, fmt.Sprintf("its credentials were %d days old", i.RotationDays), nil)
		err = d.commit(ctx, f)
	}
	return errors.Join(err, d.health(ctx, i.Name, "integration.failed", func(h *Health) {
		if h.RotateError = ""; err != nil {
			h.RotateError = cutText(err.Error(), maxErrorText)
			return
		}
		h.RotatedAt = now
	}))
}
