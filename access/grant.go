package access

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/audit"
)

// Extend asks that a live grant lasts longer, by a duration (0: as long as the flow
// lets). The flows of the day are asked as for new access, so who lost the right to ask
// cannot go on for ever; how often and for how long is the rule's by which the grant
// was given, and the flows' of the day.
func (d *Desk) Extend(ctx context.Context, grant string, by flow.Person, duration time.Duration, justification, via string) (*Request, error) {
	id := "r" + newID()
	duration = duration.Truncate(time.Second)
	var out *Request
	err := d.decide(ctx, func(f *draft) error {
		g, err := d.store.Grant(ctx, grant)
		if err != nil {
			return err
		}
		s, err := d.standingOf(ctx, by, g)
		switch {
		case err != nil:
			return err
		case !s.sees():
			return notFound("grant", grant)
		case !s.returns():
			return fmt.Errorf("%w: only %s, or who asked for it, may extend it", ErrForbidden, g.Person.ID)
		case !g.IsLive() || !g.ExpiresAt.After(f.c.At):
			return fmt.Errorf("%w: it cannot be extended any more; ask for it anew", ErrEnded)
		}
		first, err := d.store.Request(ctx, g.Request)
		if err != nil {
			return err
		}
		rule, q, facts, err := d.extension(ctx, f, first, g, by, justification)
		if err != nil {
			return err
		}
		most := min(rule.ExtensionDuration, first.Rule.ExtensionDuration)
		if duration <= 0 {
			duration = most
		}
		switch {
		case g.Extensions >= min(rule.MaxExtensions, first.Rule.MaxExtensions) || most <= 0:
			return &NotGivenError{flow.Decision{Outcome: flow.Refused, Reasons: []string{
				fmt.Sprintf("flow %q lets it be extended %s, and it was extended %s", rule.Flow, plural(rule.MaxExtensions, "time", "times"), plural(g.Extensions, "time", "times")),
			}}}
		case duration > most:
			return &NotGivenError{flow.Decision{Outcome: flow.Refused, Reasons: []string{
				fmt.Sprintf("flow %q lets it be extended by at most %s", rule.Flow, flow.FormatDuration(most)),
			}}}
		}
		if waiting, err := d.extensionWaits(ctx, g); err != nil || waiting != nil {
			if err == nil {
				err = fmt.Errorf("request %s asks for that already: %w", waiting.ID, ErrConflict)
			}
			return err
		}
		r := &Request{
			ID: id, Via: via, Extends: g.ID, By: q.By, For: g.Person, Items: q.Items, Bundle: q.Bundle, Duration: duration,
			Justification: q.Justification, State: Pending, Rule: rule, CreatedAt: f.c.At,
		}
		out = r
		if err := d.admit(ctx, f, r); err != nil {
			return err
		}
		return d.ask(ctx, f, actor{by.ID, by.Name, via}, r, facts)
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// extension asks the flows of the day.
func (d *Desk) extension(ctx context.Context, f *draft, first *Request, g *Grant, by flow.Person, justification string) (flow.Decision, flow.Ask, flow.Facts, error) {
	set, _, err := d.rules(ctx)
	if err != nil {
		return flow.Decision{}, flow.Ask{}, nil, err
	}
	q := first.ask()
	q.By, q.For, q.At, q.Duration = by, g.Person, f.c.At, 0
	if samePerson(by.ID, g.Person.ID) {
		q.For = by
	}
	if j := strings.TrimSpace(justification); j != "" {
		q.Justification = j
	}
	if utf8.RuneCountInString(q.Justification) > maxJustification {
		return flow.Decision{}, q, nil, fmt.Errorf("%w: the justification has more than %d characters", ErrInvalid, maxJustification)
	}
	facts, err := d.factsOf(ctx, q.Items)
	if err != nil {
		return flow.Decision{}, q, nil, err
	}
	rule := set.Decide(q, facts)
	if rule.Outcome != flow.NeedsApproval && rule.Outcome != flow.AutoApproved {
		return rule, q, nil, &NotGivenError{rule}
	}
	return rule, q, facts, nil
}

// extensionWaits returns the pending request that extends a grant, nil if none does.
func (d *Desk) extensionWaits(ctx context.Context, g *Grant) (*Request, error) {
	page, err := d.store.Requests(ctx, RequestQuery{For: g.Person.ID, States: []RequestState{Pending}, Limit: 1000})
	if err != nil {
		return nil, err
	}
	for _, r := range page.Requests {
		if r.Extends == g.ID {
			return r, nil
		}
	}
	return nil, nil //nolint:nilnil // there is none, and that is no error
}

// Return ends a grant early: who holds it, or asked for it, may.
func (d *Desk) Return(ctx context.Context, grant string, by flow.Person, via string) (*Grant, error) {
	return d.endOne(ctx, grant, by, via, Returned, "", standing.returns, "only who holds a grant may return it; it can be revoked")
}

// Revoke ends somebody's grant early: who agreed to it, who owns what it is of, and
// who administers may. It wants a reason.
func (d *Desk) Revoke(ctx context.Context, grant string, by flow.Person, reason, via string) (*Grant, error) {
	if reason = strings.TrimSpace(reason); reason == "" || utf8.RuneCountInString(reason) > maxReason {
		return nil, fmt.Errorf("%w: give a reason of at most %d characters", ErrInvalid, maxReason)
	}
	return d.endOne(ctx, grant, by, via, Revoked, reason, standing.revokes, "who agreed to the grant, who owns what it is of, and who administers may revoke it")
}

// endOne ends a grant. One that is on its way out, or gone, stays as it is: asking
// twice is no error.
func (d *Desk) endOne(ctx context.Context, grant string, by flow.Person, via string, why EndReason, reason string, may func(standing) bool, who string) (*Grant, error) {
	var out *Grant
	err := d.decide(ctx, func(f *draft) error {
		g, err := d.store.Grant(ctx, grant)
		if err != nil {
			return err
		}
		s, err := d.standingOf(ctx, by, g)
		switch {
		case err != nil:
			return err
		case !s.sees():
			return notFound("grant", grant)
		case !may(s):
			return fmt.Errorf("%w: %s", ErrForbidden, who)
		}
		if out = g; g.IsLive() {
			out = f.end(ctx, actor{by.ID, by.Name, via}, g, why, reason, f.c.At)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// PersonLeft ends all that a person holds and cancels what they asked for: the hook
// for the moment that the directory shuts them out. It may be called again.
func (d *Desk) PersonLeft(ctx context.Context, person, reason string) error {
	who := actor{via: string(audit.ViaServer)}
	for more := true; more; {
		err := d.decide(ctx, func(f *draft) error {
			page, err := d.store.Requests(ctx, RequestQuery{Person: person, States: []RequestState{Pending}, Limit: sweepAtOnce})
			if err != nil {
				return err
			}
			for _, r := range page.Requests {
				f.cancel(ctx, who, r, reason)
			}
			grants, err := d.store.Grants(ctx, GrantQuery{Person: person, States: []GrantState{Provisioning, Active}, Limit: sweepAtOnce})
			if err != nil {
				return err
			}
			for _, g := range grants.Grants {
				f.end(ctx, who, g, Left, reason, f.c.At)
			}
			more = len(page.Requests)+len(grants.Grants) > 0
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Credentials vends temporary credentials for what a person holds on an integration,
// or for one of their grants alone. Only active grants count.
func (d *Desk) Credentials(ctx context.Context, who flow.Person, integration, grant, via string) (*Credentials, error) {
	if who.ID == "" {
		return nil, fmt.Errorf("%w: sign in to get credentials", ErrForbidden)
	}
	if p, ok := d.facts.Person(who.ID); ok && p.Disabled {
		return nil, fmt.Errorf("%w: %s is disabled", ErrForbidden, who.ID)
	}
	i, err := d.store.Integration(ctx, integration)
	if err != nil {
		return nil, err
	}
	revealer, ok := d.types[i.Type].(Revealer)
	if !ok {
		return nil, fmt.Errorf("%w: access to integration %s needs no credentials of gatehouse; see its details", ErrInvalid, i.Name)
	}
	now := d.clock.Now()
	page, err := d.store.Grants(ctx, GrantQuery{Person: who.ID, Integration: i.Name, States: []GrantState{Active}, Limit: 1000})
	if err != nil {
		return nil, err
	}
	var holdings []Holding
	var person flow.Person
	var ids []string
	for _, g := range page.Grants {
		// The sweeper may be a moment behind: time alone ends a grant here.
		if g.Person.ID != who.ID || grant != "" && g.ID != grant || !g.ExpiresAt.After(now) {
			continue
		}
		if stop, _, err := d.stopOver(ctx, who.ID, g.flowItems()); err != nil || stop != nil {
			if err == nil {
				err = stop.refuse()
			}
			return nil, err
		}
		for n := range g.Items {
			if g.Items[n].Resource.Integration == i.Name {
				holdings = append(holdings, g.Holding(n, now))
			}
		}
		person, ids = g.Person, append(ids, g.ID)
	}
	if len(holdings) == 0 {
		return nil, fmt.Errorf("%w: you hold nothing on %s now; ask for it first", ErrEnded, i.Name)
	}
	c, err := revealer.Credentials(ctx, i, person, holdings)
	if err != nil {
		return nil, err
	}
	f := d.draft(now)
	detail := maps.Clone(c.Detail)
	if detail == nil {
		detail = map[string]string{}
	}
	detail["grants"], detail["access_key_id"], detail["expires_at"] = strings.Join(ids, ","), c.AccessKeyID, c.Expiration.UTC().Format(time.RFC3339)
	f.event(ctx, actor{who.ID, who.Name, via}, "credentials.vended", audit.Subject{Kind: "integration", ID: i.Name}, "", detail)
	// A grant that ended while they were made must not have them: what a revocation did
	// to older credentials may have come before these.
	for _, id := range ids {
		g, err := d.store.Grant(ctx, id)
		if err != nil {
			return nil, err
		}
		if g.State != Active {
			return nil, fmt.Errorf("grant %s: %w", id, ErrEnded)
		}
	}
	if err := d.commit(ctx, f); err != nil {
		return nil, err
	}
	return &c, nil
}

// Panic ends every grant in a scope, and lends nothing there until it is lifted. Who
// administers may. It returns how many grants it sent on their way out; if it fails
// after the stop stands, the sweeper goes on.
func (d *Desk) Panic(ctx context.Context, scope StopScope, by flow.Person, reason, via string) (count int, err error) {
	if !by.Admin || by.ID == "" {
		return 0, fmt.Errorf("%w: who administers may stop lending", ErrForbidden)
	}
	if reason = strings.TrimSpace(reason); reason == "" || utf8.RuneCountInString(reason) > maxReason {
		return 0, fmt.Errorf("%w: give a reason of at most %d characters", ErrInvalid, maxReason)
	}
	if err := scope.check(); err != nil {
		return 0, err
	}
	stop := Stop{ID: "s" + newID(), Scope: scope, By: by.ID, Reason: reason, At: d.clock.Now()}
	err = d.decide(ctx, func(f *draft) error {
		f.c.Stops = []Stop{stop}
		f.event(ctx, actor{by.ID, by.Name, via}, "panic.used", stop.subject(), reason, map[string]string{"scope": scope.String()})
		f.notice(Notice{Kind: "panic.used", Text: scope.String() + ": " + reason, By: by.ID, Thread: stop.ID, Integration: scope.Integration, Loud: true})
		f.told = append(f.told, toldEvent{e: Event{Kind: "stop", ID: stop.ID, At: f.c.At}})
		return nil
	})
	if err != nil {
		return 0, err
	}
	// The sweeper may be at it as well: the stop itself counts.
	for more := true; more; {
		if count, more, err = d.sweepStop(ctx, stop.ID); err != nil {
			return count, err
		}
	}
	return count, nil
}

func (s *Stop) subject() audit.Subject {
	return audit.Subject{Kind: "stop", ID: s.ID, Name: s.Scope.String()}
}

// String names a scope for people.
func (s StopScope) String() string {
	switch s.Kind {
	case "all":
		return "everything"
	case "person":
		return "everything of " + s.Person
	case "integration":
		return "everything of integration " + s.Integration
	default:
		return s.Kind + " " + s.Resource + " of integration " + s.Integration
	}
}

func (s StopScope) check() error {
	ok := false
	switch s.Kind {
	case "all":
		ok = s == StopScope{Kind: s.Kind}
	case "person":
		ok = s.Person != "" && s == StopScope{Kind: s.Kind, Person: s.Person}
	case "integration":
		ok = s.Integration != "" && s == StopScope{Kind: s.Kind, Integration: s.Integration}
	case "resource":
		ok = s.Integration != "" && s.Resource != "" && s.Person == ""
	}
	if !ok {
		return fmt.Errorf("%w: a scope is all, a person, an integration, or a resource with its integration", ErrInvalid)
	}
	return nil
}

// sweepStop sends the next grants under a stop on their way out. Nothing new comes in
// while it stands, so it comes to an end. count is how many it was in all.
func (d *Desk) sweepStop(ctx context.Context, id string) (count int, more bool, err error) {
	err = d.decide(ctx, func(f *draft) error {
		count, more = 0, false
		stops, number, err := d.store.Stops(ctx)
		if err != nil {
			return err
		}
		for i := range stops {
			stop := stops[i]
			if stop.ID != id {
				continue
			}
			if count = stop.Ended; stop.Swept {
				continue
			}
			q := GrantQuery{States: []GrantState{Provisioning, Active}, Integration: stop.Scope.Integration, Resource: stop.Scope.Resource, Person: stop.Scope.Person, Limit: sweepAtOnce}
			page, err := d.store.Grants(ctx, q)
			if err != nil {
				return err
			}
			for _, g := range page.Grants {
				f.end(ctx, actor{stop.By, "", string(audit.ViaSweeper)}, g, Panic, stop.Reason, f.c.At)
			}
			more = len(page.Grants) > 0
			stop.Ended += len(page.Grants)
			stop.Swept = !more
			// Two that sweep at once must not count over one another.
			count, f.c.Stops, f.c.IfStops = stop.Ended, []Stop{stop}, &number
		}
		return nil
	})
	return count, more, err
}

// sweepStops goes on with stops that whoever began them did not finish.
func (d *Desk) sweepStops(ctx context.Context) (more bool, err error) {
	stops, _, err := d.store.Stops(ctx)
	if err != nil {
		return false, err
	}
	for i := range stops {
		if !stops[i].Swept {
			_, more, err := d.sweepStop(ctx, stops[i].ID)
			return more, err
		}
	}
	return false, nil
}

// Lift ends a stop: who administers may.
func (d *Desk) Lift(ctx context.Context, stop string, by flow.Person, reason, via string) error {
	if !by.Admin || by.ID == "" {
		return fmt.Errorf("%w: who administers may lift a stop", ErrForbidden)
	}
	return d.decide(ctx, func(f *draft) error {
		stops, _, err := d.store.Stops(ctx)
		if err != nil {
			return err
		}
		for i := range stops {
			if stops[i].ID != stop {
				continue
			}
			if !stops[i].Swept {
				return fmt.Errorf("%w: grants under it are still to be ended; try again in a moment", ErrBusy)
			}
			f.c.LiftStops = []string{stop}
			f.event(ctx, actor{by.ID, by.Name, via}, "panic.lifted", stops[i].subject(), strings.TrimSpace(reason), nil)
			f.notice(Notice{Kind: "panic.lifted", Text: stops[i].Scope.String(), By: by.ID, Thread: stop, Loud: true})
			f.told = append(f.told, toldEvent{e: Event{Kind: "stop", ID: stop, At: f.c.At}})
			return nil
		}
		return notFound("stop", stop)
	})
}

// Stops returns the stops that stand: all for who administers, for others those that
// reach everybody or them.
func (d *Desk) Stops(ctx context.Context, who flow.Person) ([]Stop, error) {
	if who.ID == "" {
		return nil, fmt.Errorf("%w: sign in to see what is stopped", ErrForbidden)
	}
	stops, _, err := d.store.Stops(ctx)
	out := make([]Stop, 0, len(stops))
	for i := range stops {
		if who.Admin || stops[i].Scope.Kind != "person" || samePerson(stops[i].Scope.Person, who.ID) {
			out = append(out, stops[i])
		}
	}
	return out, err
}
