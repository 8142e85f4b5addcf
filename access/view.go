package access

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/gatehouse-project/gatehouse/access/flow"
)

// Who sees what. Requests: who asked, for whom it is, who may vote or has voted, and
// who administers. Grants: who holds it, who asked for it, who agreed to it, who owns
// all of it, and who administers. What a person does not see does not exist for them.

// sees reports whether a person may see a request.
func (d *Desk) sees(p flow.Person, r *Request, facts flow.Facts) bool {
	if p.ID == "" {
		return false
	}
	if p.Admin || samePerson(p.ID, r.By.ID) || samePerson(p.ID, r.For.ID) || r.votedBy(p.ID) {
		return true
	}
	// Who could have voted goes on seeing what became of it.
	rule := r.Rule
	rule.LapseAfter = 0
	may, _ := rule.MayVote(p, r.ask(), r.age(d.clock.Now()), facts)
	return may
}

func (r *Request) votedBy(id string) bool {
	return slices.ContainsFunc(r.Votes, func(v flow.Vote) bool { return samePerson(v.By.ID, id) })
}

// age is how long a request has been, or was, waiting.
func (r *Request) age(now time.Time) time.Duration {
	if r.State != Pending && !r.DecidedAt.IsZero() {
		now = r.DecidedAt
	}
	return now.Sub(r.CreatedAt)
}

func (d *Desk) viewRequest(ctx context.Context, p flow.Person, r *Request, facts flow.Facts) *RequestView {
	v := &RequestView{Request: *r, MayCancel: r.State == Pending && r.mayCancel(p)}
	if r.State != Pending {
		return v
	}
	since := d.clock.Now().Sub(r.CreatedAt)
	v.Standing = r.Rule.Tally(r.Votes, r.ask(), since, facts)
	v.MayVote, v.WhyNot = r.Rule.MayVote(p, r.ask(), since, facts)
	if v.MayVote {
		v.WhyNot = ""
	}
	return v
}

// RequestByID returns a request that a person may see.
func (d *Desk) RequestByID(ctx context.Context, who flow.Person, id string) (*RequestView, error) {
	r, err := d.store.Request(ctx, id)
	if err != nil {
		return nil, err
	}
	facts, err := d.factsOf(ctx, r.Items)
	if err != nil {
		return nil, err
	}
	if !d.sees(who, r, facts) {
		return nil, notFound("request", id)
	}
	return d.viewRequest(ctx, who, r, facts), nil
}

// inboxAtMost bounds how many pending requests are looked through for an inbox.
const inboxAtMost = 10_000

// Requests returns a page of the requests that a person may see: their own, those of
// everybody for who administers, and with Voter (their own ID) those that wait for
// their vote.
func (d *Desk) Requests(ctx context.Context, who flow.Person, q RequestQuery) (*RequestViews, error) {
	if who.ID == "" {
		return nil, fmt.Errorf("%w: sign in to see requests", ErrForbidden)
	}
	if q.Voter != "" {
		if !samePerson(q.Voter, who.ID) {
			return nil, fmt.Errorf("%w: an inbox is its owner's", ErrForbidden)
		}
		return d.inbox(ctx, who, q)
	}
	if !who.Admin && !samePerson(q.By, who.ID) && !samePerson(q.For, who.ID) {
		q.Person = who.ID
	}
	page, err := d.store.Requests(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &RequestViews{Requests: make([]*RequestView, 0, len(page.Requests)), Next: page.Next, Total: page.Total}
	for _, r := range page.Requests {
		facts, err := d.factsOf(ctx, r.Items)
		if err != nil {
			return nil, err
		}
		out.Requests = append(out.Requests, d.viewRequest(ctx, who, r, facts))
	}
	return out, nil
}

// inbox is what waits for a person's vote, the newest first, in one page.
func (d *Desk) inbox(ctx context.Context, who flow.Person, q RequestQuery) (*RequestViews, error) {
	limit := q.Limit
	if limit <= 0 {
		limit = 100
	}
	out := &RequestViews{Requests: []*RequestView{}}
	q.Voter, q.States, q.Limit, q.Cursor = "", []RequestState{Pending}, 1000, ""
	for looked := 0; looked < inboxAtMost; {
		page, err := d.store.Requests(ctx, q)
		if err != nil {
			return nil, err
		}
		looked += len(page.Requests)
		for _, r := range page.Requests {
			facts, err := d.factsOf(ctx, r.Items)
			if err != nil {
				return nil, err
			}
			v := d.viewRequest(ctx, who, r, facts)
			if !v.MayVote || r.votedBy(who.ID) {
				continue
			}
			out.Total++
			if len(out.Requests) < limit {
				out.Requests = append(out.Requests, v)
			}
		}
		if q.Cursor = page.Next; q.Cursor == "" {
			break
		}
	}
	return out, nil
}

// standing is what a person is to a grant.
type standing struct {
	holder, asked, agreed, owner, admin bool
}

func (s standing) sees() bool    { return s.holder || s.asked || s.agreed || s.owner || s.admin }
func (s standing) returns() bool { return s.holder || s.asked }
func (s standing) revokes() bool { return s.agreed || s.owner || s.admin }

func (d *Desk) standingOf(ctx context.Context, p flow.Person, g *Grant) (standing, error) {
	s := standing{holder: samePerson(p.ID, g.Person.ID), admin: p.Admin && p.ID != ""}
	if p.ID == "" {
		return standing{}, nil
	}
	r, err := d.store.Request(ctx, g.Request)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return standing{}, err
	}
	if r != nil {
		s.asked = samePerson(p.ID, r.By.ID)
		s.agreed = slices.ContainsFunc(r.Votes, func(v flow.Vote) bool { return v.Approve && samePerson(v.By.ID, p.ID) })
	}
	known, ok := d.facts.Person(p.ID)
	if !ok || known.Disabled {
		return s, nil
	}
	facts, err := d.factsOf(ctx, g.flowItems())
	if err != nil {
		return standing{}, err
	}
	s.owner = ownsAll(known, g, facts)
	return s, nil
}

func (g *Grant) flowItems() []flow.Item {
	items := make([]flow.Item, len(g.Items))
	for i := range g.Items {
		items[i] = g.Items[i].Item
	}
	return items
}

// ownsAll reports whether a person answers for everything in a grant.
func ownsAll(p flow.Person, g *Grant, facts flow.Facts) bool {
	// The flows' own rule for owners is asked, so that there is only one.
	d := flow.Decision{
		Outcome: flow.NeedsApproval, SelfApproval: true,
		Approval: flow.Approval{Mode: flow.AnyOf, Groups: []flow.ApproverGroup{{Operator: flow.Or, Conditions: []flow.Condition{{Type: flow.TypeOwner}}}}},
	}
	ok, _ := d.MayVote(p, flow.Ask{By: g.Person, For: g.Person, Items: g.flowItems()}, 0, facts)
	return ok
}

func (d *Desk) viewGrant(ctx context.Context, p flow.Person, g *Grant) (*GrantView, bool, error) {
	s, err := d.standingOf(ctx, p, g)
	if err != nil || !s.sees() {
		return nil, false, err
	}
	now := d.clock.Now()
	v := &GrantView{Grant: *g, MayReturn: g.IsLive() && s.returns(), MayRevoke: g.IsLive() && s.revokes()}
	if g.State == Active {
		v.Remaining = max(g.ExpiresAt.Sub(now), 0)
	}
	if g.IsLive() && s.returns() && g.ExpiresAt.After(now) {
		if v.MayExtend, err = d.extensible(ctx, g); err != nil {
			return nil, false, err
		}
	}
	if g.State != Ended {
		if err := d.trouble(ctx, g, v, now); err != nil {
			return nil, false, err
		}
	}
	return v, true, nil
}

// trouble tells what a grant waits for.
func (d *Desk) trouble(ctx context.Context, g *Grant, v *GrantView, now time.Time) error {
	objects, err := d.store.Objects(ctx, g.objects())
	if err != nil {
		return err
	}
	for i := range objects {
		o := &objects[i]
		if o.Applied == o.Generation {
			continue
		}
		if o.LastError != "" {
			v.Failing = true
			v.Trouble, v.NextTry = fmt.Sprintf("%s: attempt %s failed: %s; it is tried again at %s, and until it works",
				o.Key, strconv.Itoa(o.Attempts), o.LastError, o.NextTry.Format("15:04:05 MST")), o.NextTry
		} else if o.Note != "" && v.Trouble == "" {
			v.Trouble, v.NextTry = o.Note, o.NextTry
		}
	}
	switch g.State {
	case Revoking:
		v.Late = max(now.Sub(g.EndingAt), 0)
	case Provisioning:
		v.Late = max(now.Sub(g.CreatedAt), 0)
	}
	return nil
}

// aftermath tells what the target said of an ended grant when it was gone, such as that
// somebody has the right by something else. What was done with its objects since is of
// other grants.
func (d *Desk) aftermath(ctx context.Context, g *Grant, v *GrantView) error {
	objects, err := d.store.Objects(ctx, g.objects())
	for i := range objects {
		if o := &objects[i]; o.Applied == o.Generation && o.Note != "" && v.Trouble == "" && !o.AppliedAt.After(g.EndedAt) {
			v.Trouble = o.Note
		}
	}
	return err
}

// extensible is how long a grant may be extended at most by the rule that it was
// given by; the flows of the day decide when it is asked for.
func (d *Desk) extensible(ctx context.Context, g *Grant) (time.Duration, error) {
	r, err := d.store.Request(ctx, g.Request)
	if errors.Is(err, ErrNotFound) {
		return 0, nil
	}
	if err != nil || g.Extensions >= r.Rule.MaxExtensions {
		return 0, err
	}
	return r.Rule.ExtensionDuration, nil
}

// GrantByID returns a grant that a person may see.
func (d *Desk) GrantByID(ctx context.Context, who flow.Person, id string) (*GrantView, error) {
	g, err := d.store.Grant(ctx, id)
	if err != nil {
		return nil, err
	}
	v, ok, err := d.viewGrant(ctx, who, g)
	if err == nil && !ok {
		err = notFound("grant", id)
	}
	if err == nil && g.State == Ended {
		err = d.aftermath(ctx, g, v)
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

// Grants returns a page of the grants that a person may see: their own, and those of
// everybody for who administers. Who agreed to a grant or owns what it is of finds it
// by its ID.
func (d *Desk) Grants(ctx context.Context, who flow.Person, q GrantQuery) (*GrantViews, error) {
	if who.ID == "" {
		return nil, fmt.Errorf("%w: sign in to see grants", ErrForbidden)
	}
	if !who.Admin {
		q.Person = who.ID
	}
	page, err := d.store.Grants(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &GrantViews{Grants: make([]*GrantView, 0, len(page.Grants)), Next: page.Next, Total: page.Total}
	for _, g := range page.Grants {
		v, ok, err := d.viewGrant(ctx, who, g)
		if err != nil {
			return nil, err
		}
		if ok {
			out.Grants = append(out.Grants, v)
		}
	}
	return out, nil
}

// GrantDetails tells the holder of a live grant how to use it, one integration after
// the other. The same words are shown to who administers.
func (d *Desk) GrantDetails(ctx context.Context, who flow.Person, id string) (*Details, error) {
	g, err := d.store.Grant(ctx, id)
	if err != nil {
		return nil, err
	}
	if !samePerson(who.ID, g.Person.ID) && !who.Admin || who.ID == "" {
		return nil, notFound("grant", id)
	}
	if !g.IsLive() {
		return nil, fmt.Errorf("%w: ask for it anew", ErrEnded)
	}
	var out Details
	for _, name := range integrations(g.flowItems()) {
		i, err := d.store.Integration(ctx, name)
		if err != nil {
			return nil, err
		}
		p := d.types[i.Type]
		if p == nil {
			return nil, fmt.Errorf("%w: %s", ErrStopped, d.lendable(i))
		}
		part, err := p.Details(i, g)
		if err != nil {
			return nil, err
		}
		if out.Text != "" && part.Text != "" {
			out.Text += "\n\n"
		}
		out.Text += part.Text
		out.Snippets = append(out.Snippets, part.Snippets...)
	}
	return &out, nil
}
