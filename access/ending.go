package access

import (
	"context"
	"time"
)

// end sends a live grant on its way out: its objects have to let go of it, and it
// has ended when each was read back without it. at is when it had to go.
func (f *draft) end(ctx context.Context, a actor, before *Grant, why EndReason, reason string, at time.Time) *Grant {
	g := before.clone()
	g.State, g.EndReason, g.EndedBy, g.EndingAt, g.TellAt = Revoking, why, a.person, at, time.Time{}
	for i := range g.Items {
		// From here on it says that the item was seen gone.
		g.Items[i].Confirmed = false
	}
	f.grant(ctx, a, before, g, "grant."+verb[why], reason)
	return g
}

var verb = map[EndReason]string{
	Expired: "expired", Returned: "returned", Revoked: "revoked", Panic: "stopped", Left: "withdrawn", Failed: "failed",
}

// sweepAtOnce is how many grants one commit takes.
const sweepAtOnce = 500

// sweep does what is due by time: grants end, holders are told, requests escalate and
// lapse, stops go on. It reports an error only after all of it was tried.
func (d *Desk) sweep(ctx context.Context) error {
	for _, step := range []func(context.Context) (more bool, err error){d.sweepGrants, d.sweepRequests, d.sweepStops} {
		for more := true; more; {
			var err error
			if more, err = step(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *Desk) sweepGrants(ctx context.Context) (more bool, err error) {
	err = d.decide(ctx, func(f *draft) error {
		due, err := d.store.DueGrants(ctx, f.c.At, sweepAtOnce)
		more = len(due) == sweepAtOnce
		for _, g := range due {
			switch {
			case g.ExpiresAt.After(f.c.At) && g.TellAt.After(f.c.At):
				// A store may round. It is not due yet.
			case g.ExpiresAt.After(f.c.At):
				f.endingSoon(g)
			case g.State == Provisioning:
				n := f.end(ctx, sweeper, g, Failed, "it could not be put in place in time", g.ExpiresAt)
				f.notice(Notice{Kind: "grant.failed", To: []string{g.Person.ID}, Grant: n, Thread: g.Request, Loud: true})
			default:
				f.end(ctx, sweeper, g, Expired, "", g.ExpiresAt)
			}
		}
		return err
	})
	return more, err
}

// endingSoon tells the holder once.
func (f *draft) endingSoon(before *Grant) {
	if before.TellAt.IsZero() {
		return
	}
	g := before.clone()
	g.TellAt = time.Time{}
	g.Version++
	f.c.Grants = append(f.c.Grants, g)
	f.notice(Notice{Kind: "grant.ending", To: []string{g.Person.ID}, Grant: g, Thread: g.Request})
}
