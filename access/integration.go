package access

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/audit"
)

// namePattern is what an integration may be called: the name is part of keys, labels
// and addresses, and never changes.
var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

const maxAccessDetails = 400

// IntegrationTypes returns the types of integrations with their types of resources.
func (d *Desk) IntegrationTypes() map[string][]ResourceType {
	out := map[string][]ResourceType{}
	for name, p := range d.types {
		out[name] = p.ResourceTypes()
	}
	return out
}

func (d *Desk) validate(i *Integration) error {
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%w: integration %s: %s", ErrInvalid, strconv.Quote(i.Name), fmt.Sprintf(format, args...))
	}
	p := d.types[i.Type]
	switch {
	case !namePattern.MatchString(i.Name):
		return fail("a name has 1 to 63 lower-case letters, digits and hyphens, and begins and ends with no hyphen")
	case p == nil:
		return fail("there is no type %q; use %s", i.Type, strings.Join(slices.Sorted(maps.Keys(d.types)), ", "))
	case utf8.RuneCountInString(i.AccessDetails) > maxAccessDetails:
		return fail("the access details have more than %d characters", maxAccessDetails)
	case i.OwnerTag != "" && len(i.Owner) == 0:
		return fail("owner_tag needs an owner for resources without the tag")
	case (i.OwnerTag == "") != (i.OwnerKind == ""):
		return fail("owner_tag and owner_kind belong together: the tag, and what its value names (user, group or an attribute)")
	case i.RotationDays < 0 || i.CleanupDays < 0:
		return fail("days cannot be negative; 0 turns rotation or clean-up off")
	}
	for _, t := range i.ResourceTypes {
		if !slices.ContainsFunc(p.ResourceTypes(), func(r ResourceType) bool { return r.Name == t }) {
			return fail("type %s has no resources of type %q", i.Type, t)
		}
	}
	if s := i.Secret; s != nil {
		n := 0
		for _, set := range []bool{s.Kubernetes != nil, s.AWS != nil, s.Environment != ""} {
			if set {
				n++
			}
		}
		if n != 1 {
			return fail("secret_store names exactly one of kubernetes, aws and environment")
		}
	}
	if err := p.Validate(i); err != nil {
		return fmt.Errorf("%w: integration %s: %w", ErrInvalid, strconv.Quote(i.Name), err)
	}
	return nil
}

func admins(p flow.Person, what string) error {
	if p.ID == "" || !p.Admin {
		return fmt.Errorf("%w: who administers may %s", ErrForbidden, what)
	}
	return nil
}

func (d *Desk) viewIntegration(ctx context.Context, who flow.Person, i *Integration) (*IntegrationView, error) {
	v := &IntegrationView{Integration: *i, Trouble: d.lendable(i)}
	if p := d.types[i.Type]; p != nil {
		v.ResourceTypesKnown = p.ResourceTypes()
	}
	live, err := d.store.Grants(ctx, GrantQuery{Integration: i.Name, States: []GrantState{Provisioning, Active, Revoking}, Limit: 1})
	if err != nil {
		return nil, err
	}
	v.Live = live.Total
	if !who.Admin {
		// How a target is reached is nobody's business who does not run it.
		v.Config, v.Secret, v.Health.Checks, v.Health.Runs = nil, nil, nil, nil
		return v, nil
	}
	v.Health.Runs = runsAt(v.Health.Runs, d.clock.Now())
	drift, err := d.store.Drifts(ctx, i.Name, 100)
	for _, one := range drift {
		if one.Mended.IsZero() {
			v.Drift = append(v.Drift, one)
		}
	}
	return v, err
}

// Integrations returns all integrations; how they are reached only to who administers.
func (d *Desk) Integrations(ctx context.Context, who flow.Person) ([]*IntegrationView, error) {
	if who.ID == "" {
		return nil, fmt.Errorf("%w: sign in to see integrations", ErrForbidden)
	}
	all, err := d.store.Integrations(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]*IntegrationView, 0, len(all))
	for _, i := range all {
		v, err := d.viewIntegration(ctx, who, i)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// Integration returns one integration, as Integrations does.
func (d *Desk) Integration(ctx context.Context, who flow.Person, name string) (*IntegrationView, error) {
	if who.ID == "" {
		return nil, fmt.Errorf("%w: sign in to see integrations", ErrForbidden)
	}
	i, err := d.store.Integration(ctx, name)
	if err != nil {
		return nil, err
	}
	return d.viewIntegration(ctx, who, i)
}

// SaveIntegration adds an integration (version 0) or replaces the version that the
// person saw, and checks it. A failed check does not keep it from being saved: it is
// not lent from until it passes. Type never changes.
func (d *Desk) SaveIntegration(ctx context.Context, i *Integration, by flow.Person, version int64, via string) (*Integration, error) {
	if err := admins(by, "change integrations"); err != nil {
		return nil, err
	}
	if err := d.validate(i); err != nil {
		return nil, err
	}
	n := *i
	n.Version, n.Health = version+1, Health{}
	action := "integration.added"
	if version > 0 {
		before, err := d.store.Integration(ctx, i.Name)
		if err != nil {
			return nil, err
		}
		if before.Type != i.Type {
			return nil, fmt.Errorf("%w: the type of integration %s is %s and stays so; add another integration", ErrInvalid, i.Name, before.Type)
		}
		action = "integration.changed"
		// What was checked were the settings of before: until they are checked anew
		// nothing is lent.
		n.Health = before.Health
		n.Health.CheckedAt, n.Health.Checks = time.Time{}, nil
	}
	f := d.draft(d.clock.Now())
	f.c.Integrations = []*Integration{&n}
	f.event(ctx, actor{by.ID, by.Name, via}, action, audit.Subject{Kind: "integration", ID: n.Name}, "", map[string]string{"type": n.Type, "version": strconv.FormatInt(n.Version, 10)})
	f.told = append(f.told, toldEvent{e: Event{Kind: "integration", ID: n.Name, At: f.c.At}})
	if err := d.commit(ctx, f); err != nil {
		return nil, err
	}
	// A check can be slow, and the integration is saved whatever it says.
	if err := d.check(ctx, n.Name); err != nil && ctx.Err() == nil {
		d.log.WarnContext(ctx, "checking a saved integration", "integration", n.Name, "error", err)
	}
	return d.store.Integration(ctx, n.Name)
}

// DeleteIntegration removes an integration, the version that the person saw (0: any).
// As long as a grant on it is not ended, or an object in its target is still to be
// changed, it stays: nobody would take that access away.
func (d *Desk) DeleteIntegration(ctx context.Context, name string, by flow.Person, version int64, via string) error {
	if err := admins(by, "remove integrations"); err != nil {
		return err
	}
	return d.decide(ctx, func(f *draft) error {
		i, err := d.store.Integration(ctx, name)
		if err != nil {
			return err
		}
		if version != 0 && version != i.Version {
			return fmt.Errorf("integration %s is at version %d, and you saw %d: %w", name, i.Version, version, ErrBusy)
		}
		live, err := d.store.Grants(ctx, GrantQuery{Integration: name, States: []GrantState{Provisioning, Active, Revoking}, Limit: 1})
		if err != nil {
			return err
		}
		if live.Total > 0 {
			return fmt.Errorf("%w: %s on integration %s: revoke and wait until they have ended", ErrBusy, plural(live.Total, "grant is not ended", "grants are not ended"), name)
		}
		ledger, err := d.store.Ledger(ctx, name, f.c.At)
		if err != nil {
			return err
		}
		for i := range ledger {
			if o := &ledger[i].Object; !o.NextTry.IsZero() {
				return fmt.Errorf("%w: object %s in the target of integration %s is still to be changed", ErrBusy, o.Key, name)
			}
		}
		pending, err := d.store.Requests(ctx, RequestQuery{Integration: name, States: []RequestState{Pending}, Limit: 1000})
		if err != nil {
			return err
		}
		for _, r := range pending.Requests {
			f.cancel(ctx, actor{by.ID, by.Name, via}, r, "integration "+name+" was removed")
		}
		f.c.RemoveIntegration = i
		f.event(ctx, actor{by.ID, by.Name, via}, "integration.removed", audit.Subject{Kind: "integration", ID: name}, "", map[string]string{"type": i.Type})
		f.told = append(f.told, toldEvent{e: Event{Kind: "integration", ID: name, At: f.c.At}})
		return nil
	})
}

// CheckNow checks an integration and returns it with what was found.
func (d *Desk) CheckNow(ctx context.Context, name string, by flow.Person, via string) (*Integration, error) {
	if err := admins(by, "check integrations"); err != nil {
		return nil, err
	}
	if err := d.check(ctx, name); err != nil {
		return nil, err
	}
	return d.store.Integration(ctx, name)
}

// checkWithin bounds a check, and discoverWithin a discovery or a comparison.
const (
	checkWithin    = time.Minute
	discoverWithin = 5 * time.Minute
	maxChecks      = 100
)

func (d *Desk) check(ctx context.Context, name string) error {
	i, err := d.store.Integration(ctx, name)
	if err != nil {
		return err
	}
	p := d.types[i.Type]
	if p == nil {
		return fmt.Errorf("%w: %s", ErrStopped, d.lendable(i))
	}
	bound, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	var checks []Check
	err = guarded("the provisioner", func() (err error) {
		checks, err = p.Check(bound, i)
		return err
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		checks = append(checks, Check{Name: "reach", Result: "failed", Detail: cutText(err.Error(), maxErrorText), Mend: "look at the target and its network"})
	}
	checks = append(checks, idle(i, p)...)
	return d.health(ctx, name, "integration.failed", func(h *Health) {
		h.CheckedAt, h.Checks = d.clock.Now(), checks[:min(len(checks), maxChecks)]
	})
}

// idle says which settings of an integration have nothing to do. They are taken all the
// same, for files that were written for another product have them.
func idle(i *Integration, p Provisioner) (out []Check) {
	if _, ok := p.(Rotator); !ok && i.RotationDays > 0 {
		c := Check{Name: "credential-rotation", Result: "ok", Detail: "type " + i.Type + " has no credentials of its own in the target, so there is nothing to rotate"}
		if i.Secret != nil {
			c.Result, c.Detail = "warning", "gatehouse does not rotate what the secret store of type "+i.Type+" holds"
			c.Mend = "rotate it where it is kept; gatehouse reads it anew by itself"
		}
		out = append(out, c)
	}
	if _, ok := p.(Cleaner); !ok && i.CleanupDays > 0 {
		out = append(out, Check{Name: "user-cleanup", Result: "ok", Detail: "type " + i.Type + " keeps nothing of people in the target once their grants have ended, so there is nothing to clean up"})
	}
	return out
}

// health changes what is known of an integration's health, and tells when it turns.
func (d *Desk) health(ctx context.Context, name, kind string, change func(*Health)) error {
	var was, is, first bool
	err := d.store.ChangeHealth(ctx, name, func(h *Health) {
		was, first = h.OK(), h.CheckedAt.IsZero()
		change(h)
		is = h.OK()
	})
	if err != nil {
		return err
	}
	d.watch.tell(Event{Kind: "integration", ID: name, At: d.clock.Now()})
	if is == was || first && is {
		return nil
	}
	f := d.draft(d.clock.Now())
	action, why := "integration.recovered", ""
	if !is {
		i, err := d.store.Integration(ctx, name)
		if err != nil {
			return err
		}
		action, why = "integration.failed", d.lendable(i)
		f.notice(Notice{Kind: kind, Integration: name, Text: why, Thread: "integration/" + name})
	}
	f.event(ctx, sweeper, action, audit.Subject{Kind: "integration", ID: name}, cutText(why, maxErrorText), nil)
	return d.commit(ctx, f)
}

// DiscoverNow discovers an integration's resources and returns it with what was found.
func (d *Desk) DiscoverNow(ctx context.Context, name string, by flow.Person, via string) (*Integration, error) {
	if err := admins(by, "discover resources"); err != nil {
		return nil, err
	}
	if err := d.discover(ctx, name); err != nil {
		return nil, err
	}
	return d.store.Integration(ctx, name)
}

// maxResourcesKept bounds what one integration may hold.
const maxResourcesKept = 100_000

func (d *Desk) discover(ctx context.Context, name string) error {
	i, err := d.store.Integration(ctx, name)
	if err != nil {
		return err
	}
	p := d.types[i.Type]
	if p == nil {
		return fmt.Errorf("%w: %s", ErrStopped, d.lendable(i))
	}
	bound, cancel := context.WithTimeout(ctx, discoverWithin)
	defer cancel()
	var found []flow.Resource
	err = guarded("the provisioner", func() (err error) {
		found, err = p.Discover(bound, i)
		return err
	})
	if err == nil && len(found) > maxResourcesKept {
		err = fmt.Errorf("it has %d resources, and at most %d can be kept: limit resource_types", len(found), maxResourcesKept)
	}
	if err == nil {
		kept := found[:0]
		for _, r := range found {
			if len(i.ResourceTypes) > 0 && !slices.Contains(i.ResourceTypes, r.Type) {
				continue
			}
			r.Integration, r.Owners = i.Name, i.ownersOf(&r)
			// Flows know a resource alone, and not its type.
			r.Permissions = d.permissions(i, &r)
			kept = append(kept, r)
		}
		found = kept
		err = d.store.SaveResources(ctx, i.Name, found)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// What was known stays where a discovery fails.
	return errors.Join(err, d.health(ctx, name, "integration.failed", func(h *Health) {
		if h.Error = ""; err != nil {
			h.Error = cutText(err.Error(), maxErrorText)
			return
		}
		h.DiscoveredAt, h.Resources = d.clock.Now(), len(found)
	}))
}

// ownersOf are who answers for a resource: whom its tag names, else who answers for
// the integration.
func (i *Integration) ownersOf(r *flow.Resource) []flow.Principal {
	if i.OwnerTag != "" {
		if v := strings.TrimSpace(r.Tags[i.OwnerTag]); v != "" {
			return []flow.Principal{{Kind: i.OwnerKind, Value: v}}
		}
	}
	return i.Owner
}

// Resources returns discovered resources.
func (d *Desk) Resources(ctx context.Context, who flow.Person, q ResourceQuery) (*ResourcePage, error) {
	if err := admins(who, "see all resources; others see what they may ask for in the catalog"); err != nil {
		return nil, err
	}
	page, err := d.store.Resources(ctx, q)
	return &page, err
}
