package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/audit"
)

// Flows returns a version of the flows, the newest for 0; before the first, version 0
// without a text. Everybody who is signed in may read by what rules access is lent.
func (d *Desk) Flows(ctx context.Context, who flow.Person, version int) (*FlowVersion, error) {
	if who.ID == "" {
		return nil, fmt.Errorf("%w: sign in to see the flows", ErrForbidden)
	}
	v, err := d.store.Flows(ctx, version)
	if errors.Is(err, ErrNotFound) && version == 0 {
		return &FlowVersion{}, nil
	}
	return v, err
}

// FlowVersions returns the newest versions, without their text.
func (d *Desk) FlowVersions(ctx context.Context, who flow.Person, limit int) ([]FlowVersion, error) {
	if who.ID == "" {
		return nil, fmt.Errorf("%w: sign in to see the flows", ErrForbidden)
	}
	return d.store.FlowVersions(ctx, limit)
}

// ApplyFlows plans a change of the flows, and makes it unless it is a dry run. A text
// with errors, or one that names a flow that could never be approved, gives a plan with
// problems and changes nothing; the error is then nil. Who administers may apply; a dry
// run is open to everybody who is signed in.
func (d *Desk) ApplyFlows(ctx context.Context, a Flowing) (*FlowPlan, error) {
	if a.By.ID == "" {
		return nil, fmt.Errorf("%w: sign in to try flows", ErrForbidden)
	}
	if !a.DryRun {
		if err := admins(a.By, "change the flows"); err != nil {
			return nil, err
		}
	}
	var plan *FlowPlan
	err := d.decide(ctx, func(f *draft) error {
		have, was, err := d.rules(ctx)
		if err != nil {
			return err
		}
		if a.Expect != nil && *a.Expect != was.Version {
			return fmt.Errorf("%w: the flows are at version %d, and you saw %d; look at them again", ErrBusy, was.Version, *a.Expect)
		}
		plan = &FlowPlan{Base: was.Version, Text: a.Text}
		wanted, merged := d.merge(a, have, plan)
		if merged == nil {
			return nil
		}
		plan.Changes = have.Diff(merged)
		if was.Applied != nil {
			plan.Drift = have.Drift(was.Applied)
		}
		if err := d.checkFlows(ctx, merged, plan); err != nil {
			return err
		}
		if plan.HasErrors() || a.DryRun || !plan.HasChanges() && was.Version > 0 {
			return nil
		}
		v := &FlowVersion{Version: was.Version + 1, Text: plan.Text, By: a.By.ID, At: f.c.At, Source: a.Source, Applied: was.Applied}
		if a.Source == "file" {
			v.Applied = wanted.Digests()
		}
		sum := sha256.Sum256([]byte(v.Text))
		v.Digest = hex.EncodeToString(sum[:])
		f.c.Flows = v
		plan.Version = v.Version
		detail := map[string]string{"digest": v.Digest, "source": a.Source}
		for _, c := range plan.Changes {
			if c.Action != flow.Unchanged && len(detail) < 50 {
				detail[c.Kind+" "+c.Name] = string(c.Action)
			}
		}
		f.event(ctx, actor{a.By.ID, a.By.Name, a.Via}, "flows.applied", audit.Subject{Kind: "flows", ID: strconv.Itoa(v.Version)}, "", detail)
		f.told = append(f.told, toldEvent{e: Event{Kind: "flows", ID: strconv.Itoa(v.Version), At: f.c.At}})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return plan, nil
}

// merge reads the text and puts it together with what stays. Without pruning, and where
// nothing else stays, the text itself is kept, with its comments.
func (d *Desk) merge(a Flowing, have *flow.Set, plan *FlowPlan) (wanted, merged *flow.Set) {
	wanted, err := flow.Parse([]byte(a.Text))
	if err != nil {
		plan.refuse(err)
		return nil, nil
	}
	merged, err = have.Merge(wanted, a.Prune)
	if err != nil {
		plan.refuse(err)
		return nil, nil
	}
	if len(merged.Flows) != len(wanted.Flows) || len(merged.Bundles) != len(wanted.Bundles) {
		plan.Text = string(merged.Format())
	}
	return wanted, merged
}

// refuse notes what is wrong with a text.
func (p *FlowPlan) refuse(err error) {
	if all, ok := errors.AsType[flow.Errors](err); ok {
		for _, e := range all {
			p.Problems = append(p.Problems, FlowProblem{Line: e.Line, Column: e.Column, Path: e.Path, Flow: e.Name, Message: e.Message, Hint: e.Hint})
		}
		return
	}
	p.Problems = append(p.Problems, FlowProblem{Message: err.Error()})
}

func (d *Desk) checkFlows(ctx context.Context, set *flow.Set, plan *FlowPlan) error {
	var resources []flow.Resource
	all, err := d.store.Integrations(ctx)
	if err != nil {
		return err
	}
	for _, i := range all {
		part, err := d.allResources(ctx, ResourceQuery{Integration: i.Name})
		if err != nil {
			return err
		}
		resources = append(resources, part...)
	}
	report := set.Check(d.facts, resources)
	for n, list := range [][]flow.Problem{report.Errors, report.Warnings} {
		for _, p := range list {
			plan.Problems = append(plan.Problems, FlowProblem{Flow: p.Flow, Bundle: p.Bundle, Path: p.Path, Message: p.Message, Hint: p.Hint, Warning: n == 1})
		}
	}
	return nil
}

// TestFlow says what the flows make of an ask and why, each of them, and who could
// agree. With a text, that text is asked instead of the flows that hold. Who administers
// may ask for anybody, others for themselves.
func (d *Desk) TestFlow(ctx context.Context, who flow.Person, a Ask, text string) (*Explanation, error) {
	if who.ID == "" || !who.Admin && a.By.ID != who.ID {
		return nil, fmt.Errorf("%w: who administers may try flows for others", ErrForbidden)
	}
	if p, ok := d.facts.Person(a.By.ID); ok && who.Admin && a.By.ID != who.ID {
		a.By = p
	}
	set, _, err := d.rules(ctx)
	if err != nil {
		return nil, err
	}
	if text != "" {
		if set, err = flow.Parse([]byte(text)); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	return d.explain(ctx, a, set, true)
}

const (
	catalogPage = 100
	// catalogAtMost bounds how many resources one page looks at.
	catalogAtMost = 5000
)

// Catalog returns what a person may ask for, with the flows' terms: a page of
// permissions by integration, type and resource, and on the first page the bundles.
func (d *Desk) Catalog(ctx context.Context, who flow.Person, q CatalogQuery) (*CatalogPage, error) {
	if who.ID == "" {
		return nil, fmt.Errorf("%w: sign in to see what you may ask for", ErrForbidden)
	}
	set, _, err := d.rules(ctx)
	if err != nil {
		return nil, err
	}
	person := who
	if q.For != "" && q.For != who.ID {
		person = flow.Person{ID: q.For}
		if p, ok := d.facts.Person(q.For); ok {
			person = p
		}
	}
	held, err := d.held(ctx, person.ID)
	if err != nil {
		return nil, err
	}
	limit := q.Limit
	if limit <= 0 || limit > maxByName {
		limit = catalogPage
	}
	c := &catalog{d: d, set: set, ask: flow.Ask{By: who, For: person, At: d.clock.Now()}, held: held, limit: limit}
	page := &CatalogPage{Entries: []CatalogEntry{}}
	if q.Cursor == "" && q.Integration == "" && q.Type == "" && q.Permission == "" {
		if page.Bundles, err = c.bundles(ctx, q.Text); err != nil {
			return nil, err
		}
	}
	rq := q.ResourceQuery
	rq.Limit = limit
	lendable := map[string]*Integration{}
	for looked := 0; looked < catalogAtMost && len(page.Entries) < limit; {
		resources, err := d.store.Resources(ctx, rq)
		if err != nil {
			return nil, err
		}
		looked += len(resources.Resources)
		for i := range resources.Resources {
			r := &resources.Resources[i]
			in, ok := lendable[r.Integration]
			if !ok {
				if in, err = d.store.Integration(ctx, r.Integration); err != nil {
					return nil, err
				}
				if d.lendable(in) != "" {
					in = nil
				}
				lendable[r.Integration] = in
			}
			if in == nil {
				continue
			}
			for _, p := range d.permissions(in, r) {
				if q.Permission == "" || p == q.Permission {
					page.Entries = c.offer(page.Entries, flow.Item{Resource: *r, Permission: p})
				}
			}
		}
		if rq.Cursor = resources.Next; rq.Cursor == "" {
			break
		}
	}
	page.Next = rq.Cursor
	return page, nil
}

type catalog struct {
	d     *Desk
	set   *flow.Set
	ask   flow.Ask
	held  map[string]string
	limit int
}

// offer adds an item if a flow gives it.
func (c *catalog) offer(to []CatalogEntry, item flow.Item) []CatalogEntry {
	ask := c.ask
	ask.Items = []flow.Item{item}
	terms := c.set.Offer(ask, c.d.facts)
	if terms.Outcome == flow.Refused || terms.Outcome == "" {
		return to
	}
	return append(to, CatalogEntry{Item: item, Terms: terms, Held: c.held[itemKey(&item)]})
}

func (c *catalog) bundles(ctx context.Context, text string) ([]CatalogEntry, error) {
	var out []CatalogEntry
	for i := range c.set.Bundles {
		name := c.set.Bundles[i].Name
		if !containsFold(name, text) {
			continue
		}
		items, err := c.d.bundleItems(ctx, c.set, name)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrInvalid) {
			continue // it holds nothing that can be asked for now
		}
		if err != nil {
			return nil, err
		}
		ask := c.ask
		ask.Bundle, ask.Items = name, items
		if terms := c.set.Offer(ask, c.d.facts); terms.Outcome != flow.Refused && terms.Outcome != "" {
			out = append(out, CatalogEntry{Bundle: name, Items: items, Terms: terms})
		}
	}
	return out, nil
}

// held are the grants that give a person what they hold, by item.
func (d *Desk) held(ctx context.Context, person string) (map[string]string, error) {
	out := map[string]string{}
	q := GrantQuery{Person: person, States: []GrantState{Provisioning, Active}, Limit: 1000}
	for {
		page, err := d.store.Grants(ctx, q)
		if err != nil {
			return nil, err
		}
		for _, g := range page.Grants {
			for i := range g.Items {
				out[itemKey(&g.Items[i].Item)] = g.ID
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			return out, nil
		}
	}
}

func itemKey(i *flow.Item) string {
	return i.Resource.Integration + "\x00" + i.Resource.Type + "\x00" + i.Resource.ID + "\x00" + i.Permission
}
