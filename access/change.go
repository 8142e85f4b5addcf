package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-project/gatehouse/audit"
)

// draft is a change as it is put together. Its methods keep together what must not
// come apart: a state and its event, what a grant gives and the objects that carry it.
type draft struct {
	d       *Desk
	c       Change
	notices []Notice
	told    []toldEvent
}

type toldEvent struct {
	e      Event
	people []string
}

func (d *Desk) draft(now time.Time) *draft {
	return &draft{d: d, c: Change{At: now, IfEpoch: d.clock.epochAt(now)}}
}

func (f *draft) isEmpty() bool {
	c := &f.c
	return len(c.Requests)+len(c.Grants)+len(c.Touches)+len(c.Results)+len(c.Integrations)+len(c.Stops)+len(c.LiftStops)+
		len(c.Drifts)+len(c.Cleaned)+len(c.Events)+len(f.notices) == 0 && c.Flows == nil && c.RemoveIntegration == nil
}

// actor is who made a change: a person who came by a face, or Gatehouse itself.
type actor struct {
	person string // an ID
	name   string
	via    string
}

var sweeper = actor{via: string(audit.ViaSweeper)}

func (a actor) audit(ctx context.Context) audit.Actor {
	if a.person == "" {
		return audit.Actor{Kind: audit.Gatehouse, Name: "gatehouse", Via: audit.Via(a.via)}
	}
	out := audit.Actor{Kind: audit.Person, ID: a.person, Name: a.name, Via: audit.Via(a.via)}
	// A face that knows more of where the person came from has said so.
	if from := audit.ActorFrom(ctx); from.Kind == audit.Person && samePerson(from.ID, a.person) {
		out.Address = from.Address
	}
	if out.Name == "" {
		out.Name = a.person
	}
	return out
}

func (f *draft) event(ctx context.Context, a actor, action string, subject audit.Subject, reason string, detail map[string]string) {
	f.c.Events = append(f.c.Events, audit.Event{Time: f.c.At, Actor: a.audit(ctx), Action: action, Subject: subject, Reason: reason, Detail: detail})
}

// request writes a request in its new state. from is its state before, empty if it
// is new.
func (f *draft) request(ctx context.Context, a actor, r *Request, from RequestState, action, reason string) {
	r.Version++
	f.c.Requests = append(f.c.Requests, r)
	detail := map[string]string{"state": string(r.State), "for": r.For.ID, "flow": r.Rule.Flow}
	if from != "" && from != r.State {
		detail["from"] = string(from)
	}
	if r.Grant != "" {
		detail["grant"] = r.Grant
	}
	if r.BreakGlass {
		detail["break_glass"] = "true"
	}
	f.event(ctx, a, action, audit.Subject{Kind: "request", ID: r.ID, Name: r.Title()}, reason, detail)
	f.told = append(f.told, toldEvent{Event{Kind: "request", ID: r.ID, At: f.c.At}, []string{r.By.ID, r.For.ID}})
}

// grant writes a grant in its new state and touches the objects where what they have
// to carry changes with it. before is nil for a new one.
func (f *draft) grant(ctx context.Context, a actor, before, g *Grant, action, reason string) {
	g.Version++
	f.c.Grants = append(f.c.Grants, g)
	if before == nil {
		f.c.IfIntegrations = append(f.c.IfIntegrations, g.integrations()...)
	}
	if before == nil || before.IsLive() != g.IsLive() || g.IsLive() && !before.ExpiresAt.Equal(g.ExpiresAt) && before.State == g.State {
		due := f.c.At
		if g.State == Revoking {
			due = g.EndingAt
		}
		for _, key := range g.objects() {
			f.touch(key, g.integrationOf(key), due, f.c.At)
		}
	}
	detail := map[string]string{"state": string(g.State), "person": g.Person.ID, "request": g.Request}
	if before != nil && before.State != g.State {
		detail["from"] = string(before.State)
	}
	if g.EndReason != "" {
		detail["end_reason"] = string(g.EndReason)
	}
	if g.IsLive() && g.State == Active {
		detail["expires_at"] = g.ExpiresAt.Format(time.RFC3339)
	}
	f.event(ctx, a, action, audit.Subject{Kind: "grant", ID: g.ID, Name: g.Title()}, reason, detail)
	f.told = append(f.told, toldEvent{Event{Kind: "grant", ID: g.ID, At: f.c.At}, []string{g.Person.ID}})
}

func (f *draft) touch(key, integration string, due, next time.Time) {
	if slices.ContainsFunc(f.c.Touches, func(t Touch) bool { return t.Key == key }) {
		return // once is enough: a touch has no content
	}
	f.c.Touches = append(f.c.Touches, Touch{Key: key, Integration: integration, DueAt: due, NextTry: next})
}

// objects are the keys of the grant's objects, each once.
func (g *Grant) objects() []string {
	var out []string
	for i := range g.Items {
		if !slices.Contains(out, g.Items[i].Object) {
			out = append(out, g.Items[i].Object)
		}
	}
	return out
}

func (g *Grant) integrationOf(object string) string {
	for i := range g.Items {
		if g.Items[i].Object == object {
			return g.Items[i].Resource.Integration
		}
	}
	return ""
}

func (f *draft) notice(n Notice) {
	n.At = f.c.At
	if n.ID == "" {
		n.ID = n.Kind + "/" + n.Thread + "/" + strconv.FormatInt(f.c.At.UnixNano(), 36)
	}
	f.notices = append(f.notices, n)
}

// commit writes a draft. ErrConflict means that it has to be decided again.
func (d *Desk) commit(ctx context.Context, f *draft) error {
	f.c.Letters = nil
	if d.mailer != nil {
		for _, n := range f.notices {
			letters, err := d.plan(n)
			if err != nil {
				// A notice that cannot be written must not keep access from ending.
				d.log.ErrorContext(ctx, "writing a notice", "kind", n.Kind, "error", err)
				continue
			}
			for i := range letters {
				if letters[i].At.IsZero() {
					letters[i].At = f.c.At
				}
			}
			f.c.Letters = append(f.c.Letters, letters...)
		}
	}
	err := d.store.Commit(ctx, &f.c)
	if errors.Is(err, ErrConflict) {
		d.metrics.conflicts.Inc()
	}
	if errors.Is(err, ErrRewound) {
		d.tellTime(ctx)
	}
	if err != nil {
		return err
	}
	for _, t := range f.told {
		d.watch.tell(t.e, t.people...)
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
	return nil
}

func (d *Desk) plan(n Notice) (letters []Letter, err error) {
	err = guarded("the mailer", func() (err error) {
		letters, err = d.mailer.Plan(n)
		return err
	})
	return letters, err
}

// tellTime takes the time from the store, where whoever decides next finds that it was
// set back. The sweeper does so too, a moment later.
func (d *Desk) tellTime(ctx context.Context) {
	pulse, err := d.store.Pulse(ctx)
	if err != nil {
		d.log.WarnContext(ctx, "looking what time it is for lending", "error", err)
		return
	}
	d.clock.Follow(pulse.High, pulse.Epoch)
}

// conflictsAtMost is how often a change is decided again before its caller is told
// that others are always first.
const conflictsAtMost = 20

// decide reads, decides and commits until no one else was first. fn puts a draft
// together from what it reads anew each time; an empty one is not written.
func (d *Desk) decide(ctx context.Context, fn func(f *draft) error) error {
	for n := 0; ; n++ {
		f := d.draft(d.clock.Now())
		err := fn(f)
		if err != nil {
			return err
		}
		if f.isEmpty() {
			return nil
		}
		if err = d.commit(ctx, f); err == nil || !errors.Is(err, ErrConflict) || n == conflictsAtMost {
			return err
		}
		// With others at the same thing, all at once would meet again.
		if !pause(ctx, jitter(time.Duration(min(n+1, 8))*2*time.Millisecond)) {
			return ctx.Err()
		}
	}
}

// pause waits and reports whether ctx still goes on.
func pause(ctx context.Context, wait time.Duration) bool {
	if wait <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
