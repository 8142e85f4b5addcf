package app

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/notify"
	"github.com/gatehouse-project/gatehouse/notify/slack"
)

// viaSlack is the face of what people do in Slack.
const viaSlack = string(audit.ViaSlack)

// slackDesk has people decide in Slack. Who they are is the confirmed address that
// Slack gives; what they may do is what the directory and the flows say of the person
// with that address, as on every other face.
type slackDesk struct {
	desk      *access.Desk
	directory identity.Directory
	base      string // address of the pages; empty: no links
}

var (
	_ slack.Decider = (*slackDesk)(nil)
	_ slack.Catalog = (*slackDesk)(nil)
)

// who is the person of an address, if they have the role; otherwise why not.
func (s *slackDesk) who(ctx context.Context, email string, want identity.Role) (p flow.Person, refusal string, err error) {
	e, err := s.directory.Person(ctx, email)
	switch {
	case errors.Is(err, identity.ErrNoPerson):
		return flow.Person{}, "Gatehouse does not know " + email + ": sign in on its page once.", nil
	case err != nil:
		return flow.Person{}, "", err
	}
	p, ok := personOf(e)
	switch {
	// The directory takes IDs of its own too; an address is what Slack vouches for.
	case !ok || identity.EmailKey(e.Email) != identity.EmailKey(email):
		return flow.Person{}, "Gatehouse does not know " + email + ": sign in on its page once.", nil
	case p.Disabled:
		return flow.Person{}, "You are disabled in Gatehouse.", nil
	case !e.Role.Allows(want):
		return flow.Person{}, "This needs the role " + want.String() + " in Gatehouse, and you have " + e.Role.String() + ".", nil
	}
	return p, "", nil
}

// Decide does what a button says, as the person who clicked.
func (s *slackDesk) Decide(ctx context.Context, d slack.Decision) (slack.Outcome, error) {
	want := identity.Requester
	if d.Action == notify.Approve || d.Action == notify.Deny {
		want = identity.Approver
	}
	p, refusal, err := s.who(ctx, d.Email, want)
	if err != nil {
		return slack.Outcome{}, err
	}
	if refusal != "" {
		return slack.Outcome{Status: slack.NotAllowed, Text: refusal}, nil
	}
	ctx = audit.WithActor(ctx, audit.Actor{Kind: audit.Person, ID: p.ID, Name: p.Name, Via: audit.ViaSlack})
	out := slack.Outcome{Status: slack.Done}
	switch d.Action {
	case notify.Approve, notify.Deny:
		r, err := s.desk.Vote(ctx, d.RequestID, access.Ballot{By: p, Approve: d.Action == notify.Approve, Reason: d.Reason, Via: viaSlack})
		if err != nil {
			return s.refused(r, err)
		}
		if r.State == access.Pending {
			out.Text = "Others have to agree too before it is given."
		}
	case notify.Revoke:
		if _, err := s.desk.Revoke(ctx, d.RequestID, p, d.Reason, viaSlack); err != nil {
			return s.refused(nil, err)
		}
	case notify.Extend:
		r, err := s.desk.Extend(ctx, d.RequestID, p, 0, d.Reason, viaSlack)
		if err != nil {
			return s.refused(nil, err)
		}
		if r.State == access.Pending {
			return slack.Outcome{Status: slack.Asked, Text: "Somebody has to agree first."}, nil
		}
	default:
		return slack.Outcome{Status: slack.NotAllowed, Text: "There is no action " + d.Action + "."}, nil
	}
	return out, nil
}

// refused tells the person what the desk said; what it could not do is an error.
func (s *slackDesk) refused(r *access.Request, err error) (slack.Outcome, error) {
	switch {
	case errors.Is(err, access.ErrDecided):
		out := slack.Outcome{Status: slack.Already}
		switch {
		case r == nil:
		case r.State == access.Lapsed:
			out.Status = slack.Expired
		default:
			out.By = r.DecidedBy
			out.Text = "It was " + string(r.State) + "."
		}
		return out, nil
	case errors.Is(err, access.ErrNotFound):
		return slack.Outcome{Status: slack.NotFound}, nil
	case errors.Is(err, access.ErrEnded):
		return slack.Outcome{Status: slack.Expired, Text: sentence(err)}, nil
	case errors.Is(err, access.ErrForbidden), errors.Is(err, access.ErrStopped), errors.Is(err, access.ErrNotGiven),
		errors.Is(err, access.ErrInvalid), errors.Is(err, access.ErrBusy), errors.Is(err, access.ErrConflict):
		return slack.Outcome{Status: slack.NotAllowed, Text: sentence(err)}, nil
	default:
		return slack.Outcome{}, err
	}
}

// sentence makes of an error what a person reads after another sentence.
func sentence(err error) string {
	text := err.Error()
	return strings.ToUpper(text[:1]) + text[1:] + "."
}

// mineAtMost is how much of each kind is listed in Slack.
const mineAtMost = 20

// Mine lists what a person has and has asked for, the newest first.
func (s *slackDesk) Mine(ctx context.Context, email string) ([]slack.Entry, error) {
	p, refusal, err := s.who(ctx, email, identity.Requester)
	if err != nil || refusal != "" {
		return nil, err
	}
	var out []slack.Entry
	grants, err := s.desk.Grants(ctx, p, access.GrantQuery{
		Person: p.ID, States: []access.GrantState{access.Provisioning, access.Active, access.Revoking}, Limit: mineAtMost,
	})
	if err != nil {
		return nil, err
	}
	for _, g := range grants.Grants {
		e := slack.Entry{Title: g.Title(), State: string(g.State), Link: s.link("/access/grants/" + url.PathEscape(g.ID))}
		if g.State == access.Active {
			e.Until = g.ExpiresAt
		}
		out = append(out, e)
	}
	requests, err := s.desk.Requests(ctx, p, access.RequestQuery{Person: p.ID, States: []access.RequestState{access.Pending}, Limit: mineAtMost})
	if err != nil {
		return nil, err
	}
	for _, r := range requests.Requests {
		out = append(out, slack.Entry{Title: r.Title(), State: string(r.State), Link: s.link("/access/requests/" + url.PathEscape(r.ID))})
	}
	return out, nil
}

func (s *slackDesk) link(path string) string {
	if s.base == "" {
		return ""
	}
	return s.base + path
}
