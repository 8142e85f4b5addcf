package access

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/audit"
)

// Rewind sets the time of lending back from From to To: from a wall clock that was once
// ahead by mistake to what the wall clock says now. Nothing ends sooner or later for it.
// The times that what is open still waits for move back by the same, so that as much of
// each is left as before:
//
//   - A live grant keeps what is left of its time, to the microsecond, and so never has
//     more than it was granted, whichever clock its end was reckoned by. One that the
//     jump itself cut short stays cut short.
//   - A pending request keeps its age and the time until it escalates and lapses.
//   - A lease, the next try of an object or of a letter, and the end of a clean-up's wait
//     come as soon as they would have.
//   - Every object that is lent is written once more, for what stands in the target as
//     the end of its grants is of the time of before.
//
// A time at which something happened is history, and stays what it was said to be; but on
// what is open, one that would lie ahead of To moves back as well. The audit log and
// what has ended keep the times that they were told with.
type Rewind struct {
	From, To time.Time
	// Epoch is the one that it ends.
	Epoch  int64
	Events []audit.Event
}

// By is how far the time goes back.
func (r *Rewind) By() time.Duration { return r.From.Sub(r.To) }

// waits moves a time that is waited for, or reckoned from.
func (r *Rewind) waits(t *time.Time) {
	if !t.IsZero() {
		*t = t.Add(-r.By())
	}
}

// Past moves a time at which something happened, if it would lie ahead.
func (r *Rewind) Past(t *time.Time) {
	if t.After(r.To) {
		*t = t.Add(-r.By())
	}
}

// Request moves the times of a pending request.
func (r *Rewind) Request(q *Request) {
	r.waits(&q.CreatedAt) // what escalates is reckoned from it
	r.waits(&q.LapsesAt)
	for i := range q.Votes {
		r.Past(&q.Votes[i].At)
	}
}

// Grant moves the times of a grant that has not ended.
func (r *Rewind) Grant(g *Grant) {
	r.waits(&g.ExpiresAt)
	r.waits(&g.TellAt)
	r.Past(&g.CreatedAt)
	r.Past(&g.ReadyAt)
	r.Past(&g.EndingAt)
}

// Object moves the times of an object, those that stand in columns too.
func (r *Rewind) Object(o *Object) {
	r.waits(&o.NextTry)
	r.waits(&o.Recheck)
	r.waits(&o.UnseenUntil)
	r.Past(&o.DueAt)
	r.Past(&o.AppliedAt)
}

// Health moves the times of what is known of an integration, so that what was done in a
// time ahead is done again when it is due.
func (r *Rewind) Health(h *Health) {
	for _, t := range []*time.Time{&h.CheckedAt, &h.DiscoveredAt, &h.ReconciledAt, &h.RotatedAt} {
		r.Past(t)
	}
	for i := range h.Runs {
		run := &h.Runs[i]
		for _, t := range []*time.Time{&run.Began, &run.Seen, &run.Ended} {
			r.Past(t)
		}
	}
}

// ClockState is what the clocks of lending show.
type ClockState struct {
	// Wall is the wall clock of the server that answers, and Lending the time that is
	// lent by.
	Wall    time.Time `json:"wall"`
	Lending time.Time `json:"lending"`
	// AheadSeconds is how far the time of lending is ahead of the wall clock; 0 where
	// slewing explains it.
	AheadSeconds float64 `json:"ahead_seconds"`
	// Since is when this server first saw that, by its wall clock: at its start, or when
	// the wall clock was set; zero while they agree.
	Since time.Time `json:"since,omitzero"`
	// Store is the clock of the store's server; zero where it has none of its own.
	Store time.Time `json:"store,omitzero"`
	// Resets counts how often the time of lending was set back.
	Resets int64 `json:"resets"`
}

// Clock shows the clocks of lending to who administers.
func (d *Desk) Clock(ctx context.Context, who flow.Person) (*ClockState, error) {
	if err := admins(who, "see the clocks of lending"); err != nil {
		return nil, err
	}
	return d.clocks(ctx)
}

func (d *Desk) clocks(ctx context.Context) (*ClockState, error) {
	pulse, err := d.store.Pulse(ctx)
	if err != nil {
		return nil, err
	}
	d.clock.Follow(pulse.High, pulse.Epoch)
	at, err := d.store.Time(ctx)
	if err != nil {
		return nil, err
	}
	s := &ClockState{Store: at}
	s.Wall, s.Lending, s.Since, s.Resets = d.clock.reading()
	if ahead := s.ahead(); ahead > jump {
		s.AheadSeconds = ahead.Seconds()
	}
	return s, nil
}

func (s *ClockState) ahead() time.Duration { return s.Lending.Sub(s.Wall) }

// ResetClock sets the time of lending back to the wall clock of this server, with all
// that is open; see Rewind. Who administers may. It is refused while the time of lending
// is not ahead, and while the wall clock here and the clock of the store's server differ,
// for then one of the two is wrong, and nobody knows which. Another server whose wall
// clock is still ahead takes the time ahead again with its next change: set all clocks
// right first.
func (d *Desk) ResetClock(ctx context.Context, by flow.Person, reason, via string) (*ClockState, error) {
	if err := admins(by, "set the time of lending back"); err != nil {
		return nil, err
	}
	if reason = strings.TrimSpace(reason); len(reason) > maxReason {
		return nil, fmt.Errorf("%w: the reason has more than %d characters", ErrInvalid, maxReason)
	}
	for n := 0; ; n++ {
		err := d.rewind(ctx, actor{by.ID, by.Name, via}, reason)
		if err == nil {
			break
		}
		// Somebody committed since. After another's reset there is nothing to set back.
		if !errors.Is(err, ErrConflict) || n == conflictsAtMost || !pause(ctx, jitter(20*time.Millisecond)) {
			return nil, err
		}
	}
	select {
	case d.wake <- struct{}{}:
	default:
	}
	return d.clocks(ctx)
}

func (d *Desk) rewind(ctx context.Context, who actor, reason string) error {
	s, err := d.clocks(ctx)
	if err != nil {
		return err
	}
	if s.ahead() <= jump {
		return fmt.Errorf("%w: the time of lending is not ahead of the wall clock, so there is nothing to set back", ErrInvalid)
	}
	if off := s.Store.Sub(s.Wall).Abs(); !s.Store.IsZero() && off > jump {
		return fmt.Errorf("%w: the clock of this server (%s) and that of the store's (%s) are %s apart, and one of them is wrong: set it right first",
			ErrInvalid, s.Wall.Format(time.RFC3339), s.Store.Format(time.RFC3339), off.Round(time.Millisecond))
	}
	r := &Rewind{From: s.Lending, To: s.Wall, Epoch: s.Resets}
	r.Events = []audit.Event{{
		Time: r.To, Actor: who.audit(ctx), Action: "clock.reset", Subject: audit.Subject{Kind: "clock", ID: "lending"}, Reason: reason,
		Detail: map[string]string{"from": r.From.Format(time.RFC3339Nano), "to": r.To.Format(time.RFC3339Nano), "by_seconds": strconv.FormatFloat(r.By().Seconds(), 'f', 3, 64)},
	}}
	if err := d.store.Rewind(ctx, r); err != nil {
		return err
	}
	d.log.WarnContext(ctx, "the time of lending was set back", "from", r.From, "to", r.To, "by", who.person)
	return nil
}
