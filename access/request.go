package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/audit"
)

// defaultLapse is when a request that nobody answers ends, where the flow does not say.
const defaultLapse = 24 * time.Hour

// Explain says what would become of a request; it changes nothing.
func (d *Desk) Explain(ctx context.Context, a Ask) (*Explanation, error) {
	set, _, err := d.rules(ctx)
	if err != nil {
		return nil, err
	}
	return d.explain(ctx, a, set, false)
}

func (d *Desk) explain(ctx context.Context, a Ask, set *flow.Set, trial bool) (*Explanation, error) {
	q, err := d.question(ctx, a, set)
	if err != nil {
		return nil, err
	}
	facts, err := d.factsOf(ctx, q.Items)
	if err != nil {
		return nil, err
	}
	e := &Explanation{Decision: set.Decide(q, facts), Items: q.Items}
	if e.Decision.Outcome == flow.NeedsApproval {
		e.Standing = e.Decision.Tally(nil, q, 0, facts)
	}
	if trial {
		t := set.Test(q, facts)
		e.Trial = &t
	}
	stop, _, err := d.stopOver(ctx, q.For.ID, q.Items)
	if err != nil {
		return nil, err
	}
	if stop != nil {
		e.Stopped = stop.refuse().Error()
	}
	for _, name := range integrations(q.Items) {
		i, err := d.store.Integration(ctx, name)
		if err != nil {
			return nil, err
		}
		if why := d.lendable(i); why != "" {
			e.Warnings = append(e.Warnings, why)
		}
	}
	return e, nil
}

// Request asks for access. What a flow grants by itself is a grant when it returns,
// on its way to the target; anything else waits for votes. A *NotGivenError says why
// no flow gives it.
func (d *Desk) Request(ctx context.Context, a Ask) (*Request, error) {
	r := &Request{ID: "r" + newID(), Via: a.Via}
	if a.Key != "" && a.By.ID != "" {
		r.ID, r.Asked = a.keyed()
	}
	asked := r.Asked
	who := actor{a.By.ID, a.By.Name, a.Via}
	err := d.decide(ctx, func(f *draft) error {
		if asked != "" {
			before, err := d.asked(ctx, r.ID, asked)
			if before != nil || err != nil {
				r = before
				return err
			}
		}
		set, _, err := d.rules(ctx)
		if err != nil {
			return err
		}
		q, err := d.question(ctx, a, set)
		if err != nil {
			return err
		}
		facts, err := d.factsOf(ctx, q.Items)
		if err != nil {
			return err
		}
		rule := set.Decide(q, facts)
		if rule.Outcome != flow.NeedsApproval && rule.Outcome != flow.AutoApproved {
			return &NotGivenError{rule}
		}
		*r = Request{
			ID: r.ID, Asked: asked, Via: a.Via, By: q.By, For: q.For, Items: q.Items, Bundle: q.Bundle, Duration: rule.Duration,
			Justification: q.Justification, BreakGlass: q.BreakGlass, State: Pending, Rule: rule, CreatedAt: f.c.At,
		}
		if person, ok := facts.Person(q.For.ID); ok && q.For.ID != q.By.ID {
			r.For = person // as the directory spells them
		}
		if err := d.admit(ctx, f, r); err != nil {
			return err
		}
		return d.ask(ctx, f, who, r, facts)
	})
	if refusal, ok := errors.AsType[*NotGivenError](err); ok {
		d.noteRefusal(ctx, who, a, refusal)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// admit refuses a request that a stop stands over or that no target could serve.
func (d *Desk) admit(ctx context.Context, f *draft, r *Request) error {
	stop, number, err := d.stopOver(ctx, r.For.ID, r.Items)
	if err != nil {
		return err
	}
	if stop != nil {
		return stop.refuse()
	}
	// A panic between here and the commit makes it a conflict: nothing slips past it.
	f.c.IfStops = &number
	for _, name := range r.Integrations() {
		i, err := d.store.Integration(ctx, name)
		if err != nil {
			return err
		}
		if why := d.lendable(i); why != "" {
			return fmt.Errorf("%w: %s", ErrStopped, why)
		}
	}
	return nil
}

// ask writes a new request: decided where nobody has to agree, pending otherwise.
func (d *Desk) ask(ctx context.Context, f *draft, who actor, r *Request, facts flow.Facts) error {
	lapse := r.Rule.LapseAfter
	if lapse <= 0 {
		lapse = defaultLapse
	}
	r.LapsesAt = f.c.At.Add(lapse)
	if r.Rule.Outcome == flow.AutoApproved {
		if err := d.approve(ctx, f, r, ""); err != nil {
			return err
		}
		f.request(ctx, who, r, "", "request.granted", r.Justification)
		if r.BreakGlass {
			f.notice(Notice{Kind: "breakglass.used", To: d.people(r.Rule.Notify), Request: r, By: r.By.ID, Thread: r.ID, Loud: true})
		}
		return nil
	}
	f.request(ctx, who, r, "", "request.created", r.Justification)
	standing := r.Rule.Tally(nil, r.ask(), 0, facts)
	f.notice(Notice{Kind: "request.created", To: standing.People, Request: r, By: r.By.ID, Thread: r.ID})
	return nil
}

// noteRefusal keeps what was refused: somebody who tries doors is worth a line.
func (d *Desk) noteRefusal(ctx context.Context, who actor, a Ask, e *NotGivenError) {
	f := d.draft(d.clock.Now())
	detail := map[string]string{"for": a.For}
	for i, ref := range a.Items {
		if i == 5 {
			break
		}
		detail["item_"+string(rune('1'+i))] = cutText(ref.Permission+" on "+ref.Integration+" / "+ref.Resource, 200)
	}
	if a.Bundle != "" {
		detail["bundle"] = cutText(a.Bundle, 200)
	}
	f.event(ctx, who, "request.refused", audit.Subject{Kind: "person", ID: who.person}, cutText(e.Error(), maxErrorText), detail)
	if err := d.commit(ctx, f); err != nil {
		d.log.ErrorContext(ctx, "noting a refused request", "error", err)
	}
}

// people are the IDs of those that principals name.
func (d *Desk) people(principals []flow.Principal) []string {
	var out []string
	for _, p := range principals {
		switch p.Kind {
		case "user":
			out = append(out, p.Value)
		case "group":
			out = append(out, d.facts.Members(p.Value)...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// approve makes a request approved, with the grant that follows from it. by is the ID
// of whose vote decided, empty where Gatehouse did.
func (d *Desk) approve(ctx context.Context, f *draft, r *Request, by string) error {
	r.State, r.DecidedAt, r.DecidedBy = Approved, f.c.At, by
	d.metrics.requests.WithLabelValues(string(Approved)).Inc()
	if r.Extends != "" {
		return d.lengthen(ctx, f, r, by)
	}
	g := &Grant{
		ID: grantOf(r.ID), Request: r.ID, Flow: r.Rule.Flow, Person: r.For, State: Provisioning, Duration: r.Duration,
		CreatedAt: f.c.At, ExpiresAt: f.c.At.Add(d.limits.Provision), BreakGlass: r.BreakGlass, Justification: r.Justification,
	}
	for i := range r.Items {
		item := &r.Items[i]
		in, err := d.store.Integration(ctx, item.Resource.Integration)
		if err != nil {
			return err
		}
		p := d.types[in.Type]
		if p == nil {
			return fmt.Errorf("%w: %s", ErrStopped, d.lendable(in))
		}
		key, err := p.Object(in, r.For, *item)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		g.Items = append(g.Items, GrantItem{Item: *item, Object: in.Name + "/" + key})
	}
	r.Grant = g.ID
	f.grant(ctx, actor{by, "", r.Via}, nil, g, "grant.created", r.Justification)
	return nil
}

// lengthen makes the grant of an extension last longer. One that ends, or is at its
// end, is never brought back.
func (d *Desk) lengthen(ctx context.Context, f *draft, r *Request, by string) error {
	before, err := d.store.Grant(ctx, r.Extends)
	if err != nil {
		return err
	}
	if !before.IsLive() || !before.ExpiresAt.After(f.c.At) {
		return fmt.Errorf("%w: it cannot be extended any more; ask for it anew", ErrEnded)
	}
	g := before.clone()
	g.Duration += r.Duration
	g.Extensions++
	if g.State == Active {
		g.ExpiresAt = g.ExpiresAt.Add(r.Duration)
		if d.mailer != nil {
			g.TellAt = g.ExpiresAt.Add(-min(d.limits.EndingNotice, g.Duration/4))
		}
	}
	r.Grant = g.ID
	f.grant(ctx, actor{by, "", r.Via}, before, g, "grant.extended", r.Justification)
	f.notice(Notice{Kind: "grant.extended", To: []string{g.Person.ID}, Grant: g, Request: r, By: by, Thread: g.Request})
	return nil
}
