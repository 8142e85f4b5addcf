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

const maxReason = 2000

// Vote agrees to a request or refuses it. The votes are counted anew in the same
// commit that writes this one, so however many click at once, the request is decided
// once and has one grant. An error that wraps ErrDecided says who was first.
func (d *Desk) Vote(ctx context.Context, id string, b Ballot) (*Request, error) {
	b.Reason = strings.TrimSpace(b.Reason)
	if utf8.RuneCountInString(b.Reason) > maxReason {
		return nil, fmt.Errorf("%w: the reason has more than %d characters", ErrInvalid, maxReason)
	}
	var out *Request
	err := d.decide(ctx, func(f *draft) error {
		before, err := d.store.Request(ctx, id)
		if err != nil {
			return err
		}
		facts, err := d.factsOf(ctx, before.Items)
		if err != nil {
			return err
		}
		since := f.c.At.Sub(before.CreatedAt)
		may, why := before.Rule.MayVote(b.By, before.ask(), since, facts)
		if before.State != Pending {
			if !may && !d.sees(b.By, before, facts) {
				return notFound("request", id)
			}
			out = before
			return before.decided()
		}
		switch {
		case !may && !d.sees(b.By, before, facts):
			return notFound("request", id)
		case !may:
			return fmt.Errorf("%w: %s", ErrForbidden, why)
		case b.Version != 0 && b.Version != before.Version:
			return fmt.Errorf("the request has changed since you saw it: %w", ErrConflict)
		case b.Approve && before.Rule.ApproverReason && b.Reason == "":
			return fmt.Errorf("%w: flow %s wants a reason of those who agree", ErrInvalid, before.Rule.Flow)
		}
		r := before.clone()
		r.Votes = append(withoutVotesOf(r.Votes, b.By.ID), flow.Vote{By: b.By, Approve: b.Approve, Reason: b.Reason, At: f.c.At, Via: b.Via})
		return d.count(ctx, f, actor{b.By.ID, b.By.Name, b.Via}, before, r, b, since, facts, &out)
	})
	return out, err
}

func (d *Desk) count(ctx context.Context, f *draft, who actor, before, r *Request, b Ballot, since time.Duration, facts flow.Facts, out **Request) error {
	standing := r.Rule.Tally(r.Votes, r.ask(), since, facts)
	*out = r
	to := []string{r.By.ID, r.For.ID}
	switch {
	case standing.Denied:
		r.State, r.DecidedAt, r.DecidedBy = Denied, f.c.At, b.By.ID
		d.metrics.requests.WithLabelValues(string(Denied)).Inc()
		f.request(ctx, who, r, before.State, "request.denied", b.Reason)
		f.notice(Notice{Kind: "request.denied", To: to, Request: r, By: b.By.ID, Text: b.Reason, Thread: r.thread()})
	case standing.Approved:
		if err := d.admit(ctx, f, r); err != nil {
			return err
		}
		// Who lost the right to have it since they asked does not get it.
		if p, ok := facts.Person(r.For.ID); ok && p.Disabled {
			return fmt.Errorf("%w: %s is disabled", ErrStopped, r.For.ID)
		}
		err := d.approve(ctx, f, r, b.By.ID)
		if errors.Is(err, ErrEnded) {
			*out = f.cancel(ctx, sweeper, before, "the grant that it extends has ended")
			return nil
		}
		if err != nil {
			return err
		}
		f.request(ctx, who, r, before.State, "request.approved", b.Reason)
		f.notice(Notice{Kind: "request.approved", To: to, Request: r, By: b.By.ID, Text: b.Reason, Thread: r.thread()})
	default:
		f.request(ctx, who, r, before.State, "request.voted", b.Reason)
	}
	return nil
}

// thread joins the notices of an extension with those of the grant that it extends.
func (r *Request) thread() string { return r.ID }

// withoutVotesOf leaves out earlier votes of a person: the last word counts.
func withoutVotesOf(votes []flow.Vote, id string) []flow.Vote {
	var out []flow.Vote
	for _, v := range votes {
		if !samePerson(v.By.ID, id) {
			out = append(out, v)
		}
	}
	return out
}

// decided says how a request was decided, and by whom.
func (r *Request) decided() error {
	by := r.DecidedBy
	if by == "" {
		by = "gatehouse"
	}
	return fmt.Errorf("%w: it was %s by %s at %s", ErrDecided, r.State, by, r.DecidedAt.Format("2006-01-02 15:04:05 MST"))
}

func notFound(kind, id string) error { return fmt.Errorf("%s %s: %w", kind, id, ErrNotFound) }

// Cancel takes a pending request back: who asked, for whom it is, and who administers
// may.
func (d *Desk) Cancel(ctx context.Context, id string, by flow.Person, via string) (*Request, error) {
	var out *Request
	err := d.decide(ctx, func(f *draft) error {
		before, err := d.store.Request(ctx, id)
		if err != nil {
			return err
		}
		if !before.mayCancel(by) {
			facts, err := d.factsOf(ctx, before.Items)
			if err != nil {
				return err
			}
			if !d.sees(by, before, facts) {
				return notFound("request", id)
			}
			return fmt.Errorf("%w: only who asked may take a request back; refuse it instead", ErrForbidden)
		}
		if before.State != Pending {
			return before.decided()
		}
		out = f.cancel(ctx, actor{by.ID, by.Name, via}, before, "")
		return nil
	})
	return out, err
}

func (r *Request) mayCancel(p flow.Person) bool {
	return samePerson(p.ID, r.By.ID) || samePerson(p.ID, r.For.ID) || p.Admin
}

func (f *draft) cancel(ctx context.Context, who actor, before *Request, reason string) *Request {
	r := before.clone()
	r.State, r.DecidedAt, r.DecidedBy = Cancelled, f.c.At, who.person
	f.d.metrics.requests.WithLabelValues(string(Cancelled)).Inc()
	f.request(ctx, who, r, before.State, "request.cancelled", reason)
	f.notice(Notice{Kind: "request.cancelled", To: []string{r.By.ID, r.For.ID}, Request: r, By: who.person, Text: reason, Thread: r.thread()})
	return r
}

// sweepRequests escalates what nobody has answered, and lets it lapse.
func (d *Desk) sweepRequests(ctx context.Context) (more bool, err error) {
	err = d.decide(ctx, func(f *draft) error {
		due, err := d.store.DueRequests(ctx, f.c.At, sweepAtOnce)
		more = len(due) == sweepAtOnce
		for _, before := range due {
			r := before.clone()
			if !r.LapsesAt.After(f.c.At) {
				r.State, r.DecidedAt = Lapsed, f.c.At
				d.metrics.requests.WithLabelValues(string(Lapsed)).Inc()
				f.request(ctx, sweeper, r, before.State, "request.lapsed", "nobody answered in time")
				f.notice(Notice{Kind: "request.lapsed", To: []string{r.By.ID, r.For.ID}, Request: r, Thread: r.thread()})
				continue
			}
			facts, err := d.factsOf(ctx, r.Items)
			if err != nil {
				return err
			}
			since := f.c.At.Sub(r.CreatedAt)
			if r.Due().After(f.c.At) {
				continue // a store may round: it is not due yet
			}
			for steps := r.Rule.Approval.Escalation; r.Escalated < len(steps) && steps[r.Escalated].After <= since; {
				r.Escalated++
			}
			f.request(ctx, sweeper, r, before.State, "request.escalated", "")
			f.notice(Notice{Kind: "request.escalated", To: r.Rule.Tally(r.Votes, r.ask(), since, facts).People, Request: r, Thread: r.thread()})
		}
		return err
	})
	return more, err
}
