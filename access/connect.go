package access

import (
	"context"
	"fmt"
	"strings"

	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/audit"
)

// Connector is a Provisioner whose target has to be changed once before anything can
// be lent from it: the role that people share has to be mapped in a cluster.
type Connector interface {
	// Onboard says what has to be changed, and with apply changes it. Both look at the
	// same things: what is applied is what a plan at that moment shows. Applying again
	// changes nothing.
	Onboard(ctx context.Context, i *Integration, apply bool) (*Connection, error)
}

// Connection is what connecting an integration changes in its target.
type Connection struct {
	Integration string `json:"integration"`
	// Target is what is changed, for people: "ConfigMap aws-auth of prod-1".
	Target string `json:"target"`
	// Detail are further facts, such as the role and the template of its users' names.
	Detail map[string]string `json:"detail,omitempty"`
	// Steps are what is changed, for people; empty: nothing has to be.
	Steps []string `json:"steps,omitempty"`
	// Before and After are the text that is changed, where it is one. Neither holds a
	// secret. Before is worth keeping: it is what to put back.
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Done is set if nothing has to be changed any more.
	Done bool `json:"done"`
}

// maxKept bounds the text of before that goes into the audit log.
const maxKept = 4000

// Connect plans or makes the one change that an integration's target needs. Who
// administers may.
func (d *Desk) Connect(ctx context.Context, name string, apply bool, by flow.Person, via string) (*Connection, error) {
	if err := admins(by, "connect integrations"); err != nil {
		return nil, err
	}
	i, err := d.store.Integration(ctx, name)
	if err != nil {
		return nil, err
	}
	p := d.types[i.Type]
	if p == nil {
		return nil, fmt.Errorf("%w: %s", ErrStopped, d.lendable(i))
	}
	c, ok := p.(Connector)
	if !ok {
		return &Connection{Integration: i.Name, Target: "integrations of type " + i.Type + " need no connecting", Done: true}, nil
	}
	bound, cancel := context.WithTimeout(ctx, checkWithin)
	defer cancel()
	// What is wrong is the target's or the settings', and who administers mends it.
	plan, err := c.Onboard(bound, i, false)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if !apply || len(plan.Steps) == 0 {
		return plan, nil
	}
	// The intention is kept before the change, with what stood there: whatever happens
	// in between, it is known what to put back.
	f := d.draft(d.clock.Now())
	subject := audit.Subject{Kind: "integration", ID: name}
	detail := map[string]string{"target": plan.Target}
	if plan.Before != "" {
		detail["before"] = strings.ToValidUTF8(plan.Before[:min(len(plan.Before), maxKept)], "")
	}
	for n, step := range plan.Steps {
		if n < 20 {
			detail[fmt.Sprintf("step_%d", n+1)] = cutText(step, maxErrorText)
		}
	}
	f.event(ctx, actor{by.ID, by.Name, via}, "integration.connecting", subject, "", detail)
	if err := d.commit(ctx, f); err != nil {
		return nil, err
	}
	plan, err = c.Onboard(bound, i, true)
	f = d.draft(d.clock.Now())
	result, why := "integration.connected", ""
	if err != nil {
		result, why = "integration.connect_failed", cutText(err.Error(), maxErrorText)
		err = fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	f.event(ctx, actor{by.ID, by.Name, via}, result, subject, why, nil)
	f.told = append(f.told, toldEvent{e: Event{Kind: "integration", ID: name, At: f.c.At}})
	note, done := context.WithTimeout(context.WithoutCancel(ctx), settleWithin)
	defer done()
	if failed := d.commit(note, f); failed != nil {
		d.log.ErrorContext(ctx, "noting that an integration was connected", "integration", name, "error", failed)
	}
	if err != nil {
		return nil, err
	}
	// The check sees it now, and nothing is lent before it does.
	if err := d.check(ctx, name); err != nil && ctx.Err() == nil {
		d.log.WarnContext(ctx, "checking a connected integration", "integration", name, "error", err)
	}
	return plan, nil
}
