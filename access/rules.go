package access

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-project/gatehouse/access/flow"
)

// rules returns the newest flows, compiled once for each version. Without any, the
// zero set gives nothing to anybody.
func (d *Desk) rules(ctx context.Context) (*flow.Set, *FlowVersion, error) {
	v, err := d.store.Flows(ctx, 0)
	if errors.Is(err, ErrNotFound) {
		return &flow.Set{}, &FlowVersion{}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.compiled == nil || d.version != v.Version {
		set, err := flow.Parse([]byte(v.Text))
		if err != nil {
			// Deny by default: flows that this version cannot read give nothing.
			return nil, nil, fmt.Errorf("version %d of the flows cannot be read: %w", v.Version, err)
		}
		set.Version = v.Version
		d.compiled, d.version = set, v.Version
	}
	return d.compiled, v, nil
}

// ownerFacts are the facts with the owners of resources as they are now.
type ownerFacts struct {
	flow.Facts
	owners map[[3]string][]flow.Principal
}

// Owners returns who answers for a resource now; where it is not known any more, who
// did when it was asked for.
func (f ownerFacts) Owners(r flow.Resource) []flow.Principal {
	if o, ok := f.owners[[3]string{r.Integration, r.Type, r.ID}]; ok {
		return o
	}
	return r.Owners
}

// factsOf are the facts for deciding about items.
func (d *Desk) factsOf(ctx context.Context, items []flow.Item) (flow.Facts, error) {
	f := ownerFacts{d.facts, map[[3]string][]flow.Principal{}}
	for i := range items {
		r := &items[i].Resource
		now, err := d.store.Resource(ctx, r.Integration, r.Type, r.ID)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		f.owners[[3]string{r.Integration, r.Type, r.ID}] = now.Owners
	}
	return f, nil
}

// question turns an ask into the one that flows answer: people as they are known,
// resources as they were discovered.
func (d *Desk) question(ctx context.Context, a Ask, set *flow.Set) (flow.Ask, error) {
	q := flow.Ask{
		By: a.By, For: a.By, Bundle: a.Bundle, Duration: a.Duration.Truncate(time.Second), Justification: strings.TrimSpace(a.Justification),
		BreakGlass: a.BreakGlass, At: d.clock.Now(),
	}
	if a.By.ID == "" {
		return q, fmt.Errorf("%w: sign in to ask for access", ErrForbidden)
	}
	if utf8.RuneCountInString(q.Justification) > maxJustification {
		return q, fmt.Errorf("%w: the justification has more than %d characters", ErrInvalid, maxJustification)
	}
	if a.For != "" && a.For != a.By.ID {
		q.For = flow.Person{ID: a.For}
		if p, ok := d.facts.Person(a.For); ok {
			q.For = p
		}
	}
	switch {
	case a.Bundle != "" && len(a.Items) > 0:
		return q, fmt.Errorf("%w: ask for a bundle or for single permissions, not both", ErrInvalid)
	case a.Bundle != "":
		items, err := d.bundleItems(ctx, set, a.Bundle)
		if err != nil {
			return q, err
		}
		q.Items = items
	case len(a.Items) == 0:
		return q, fmt.Errorf("%w: say what you ask for: an integration, a resource and a permission", ErrInvalid)
	case len(a.Items) > maxItems:
		return q, fmt.Errorf("%w: a request has at most %d permissions", ErrInvalid, maxItems)
	default:
		for _, ref := range a.Items {
			item, err := d.item(ctx, ref)
			if err != nil {
				return q, err
			}
			q.Items = appendItem(q.Items, item)
		}
	}
	return q, nil
}

const (
	maxItems         = 100
	maxJustification = 2000
)

// appendItem leaves out what is there already.
func appendItem(items []flow.Item, item flow.Item) []flow.Item {
	for i := range items {
		r, n := &items[i].Resource, &item.Resource
		if r.Integration == n.Integration && r.Type == n.Type && r.ID == n.ID && items[i].Permission == item.Permission {
			return items
		}
	}
	return append(items, item)
}

// item looks up a permission on a resource.
func (d *Desk) item(ctx context.Context, ref ItemRef) (flow.Item, error) {
	i, err := d.store.Integration(ctx, ref.Integration)
	if err != nil {
		return flow.Item{}, err
	}
	r, err := d.store.Resource(ctx, i.Name, ref.Type, ref.Resource)
	if errors.Is(err, ErrNotFound) {
		r, err = d.resourceByName(ctx, i.Name, ref)
	}
	if err != nil {
		return flow.Item{}, err
	}
	for _, p := range d.permissions(i, r) {
		if p == ref.Permission {
			return flow.Item{Resource: *r, Permission: p}, nil
		}
	}
	return flow.Item{}, fmt.Errorf("%w: %s has no permission %q; it has %s", ErrInvalid, r.ID, ref.Permission, strings.Join(d.permissions(i, r), ", "))
}

func (d *Desk) resourceByName(ctx context.Context, integration string, ref ItemRef) (*flow.Resource, error) {
	if ref.Resource == "" {
		return nil, fmt.Errorf("%w: name a resource of %s", ErrInvalid, integration)
	}
	page, err := d.store.Resources(ctx, ResourceQuery{Integration: integration, Type: ref.Type, Text: ref.Resource, Limit: maxByName})
	if err != nil {
		return nil, err
	}
	var found *flow.Resource
	for i := range page.Resources {
		r := &page.Resources[i]
		if r.Name != ref.Resource && r.ID != ref.Resource {
			continue
		}
		if found != nil {
			return nil, fmt.Errorf("%w: %s has several resources named %q: give the ID, such as %s", ErrInvalid, integration, ref.Resource, r.ID)
		}
		found = r
	}
	if found == nil {
		return nil, fmt.Errorf("%s has no resource %q: %w", integration, ref.Resource, ErrNotFound)
	}
	return found, nil
}

const maxByName = 1000

// permissions are what can be asked for on a resource.
func (d *Desk) permissions(i *Integration, r *flow.Resource) []string {
	if len(r.Permissions) > 0 {
		return r.Permissions
	}
	if p := d.types[i.Type]; p != nil {
		for _, t := range p.ResourceTypes() {
			if t.Name == r.Type {
				return t.Permissions
			}
		}
	}
	return nil
}

// bundleItems are what a bundle holds now.
func (d *Desk) bundleItems(ctx context.Context, set *flow.Set, name string) ([]flow.Item, error) {
	b := set.Bundle(name)
	if b == nil {
		return nil, fmt.Errorf("bundle %q: %w", name, ErrNotFound)
	}
	resources, err := d.resourcesOf(ctx, b.Targets)
	if err != nil {
		return nil, err
	}
	items := set.BundleItems(name, resources)
	switch {
	case len(items) == 0:
		return nil, fmt.Errorf("bundle %q holds nothing now: %w", name, ErrNotFound)
	case len(items) > maxItems:
		return nil, fmt.Errorf("%w: bundle %q holds %d permissions now, and a request has at most %d", ErrInvalid, name, len(items), maxItems)
	}
	return items, nil
}

// resourcesOf are the resources of the integrations and types that targets name.
func (d *Desk) resourcesOf(ctx context.Context, targets []flow.Target) ([]flow.Resource, error) {
	var out []flow.Resource
	seen := map[[2]string]bool{}
	for i := range targets {
		k := [2]string{targets[i].Integration, targets[i].ResourceType}
		if seen[k] || k[0] == "" {
			continue
		}
		seen[k] = true
		all, err := d.allResources(ctx, ResourceQuery{Integration: k[0], Type: k[1]})
		if err != nil {
			return nil, err
		}
		out = append(out, all...)
	}
	return out, nil
}

func (d *Desk) allResources(ctx context.Context, q ResourceQuery) ([]flow.Resource, error) {
	var out []flow.Resource
	q.Limit = 10_000
	for {
		page, err := d.store.Resources(ctx, q)
		if err != nil {
			return nil, err
		}
		out = append(out, page.Resources...)
		if q.Cursor = page.Next; q.Cursor == "" {
			return out, nil
		}
	}
}

// lendable returns why nothing can be lent from an integration now; empty if it can.
func (d *Desk) lendable(i *Integration) string {
	if d.types[i.Type] == nil {
		return fmt.Sprintf("this gatehouse cannot serve integrations of type %q", i.Type)
	}
	if i.Health.CheckedAt.IsZero() {
		return "integration " + i.Name + " was never checked: check it first"
	}
	for _, c := range i.Health.Checks {
		if c.Result == "failed" {
			return fmt.Sprintf("integration %s fails its check %q: %s", i.Name, c.Name, c.Detail)
		}
	}
	return ""
}

// stopOver returns the stop that stands over items for a person, nil if none does,
// and the number to compare when it is written.
func (d *Desk) stopOver(ctx context.Context, person string, items []flow.Item) (*Stop, int64, error) {
	stops, number, err := d.store.Stops(ctx)
	if err != nil {
		return nil, 0, err
	}
	for i := range stops {
		for j := range items {
			if stops[i].Scope.covers(person, &items[j]) {
				return &stops[i], number, nil
			}
		}
	}
	return nil, number, nil
}

func (s *Stop) refuse() error {
	return fmt.Errorf("%w: %s stopped it at %s: %s", ErrStopped, s.By, s.At.Format("2006-01-02 15:04 MST"), s.Reason)
}
