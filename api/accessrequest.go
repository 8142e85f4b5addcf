package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/identity"
)

const (
	catalogPath        = accessPath + "/catalog"
	accessRequestsPath = accessPath + "/requests"
)

// AccessRequest is somebody's wish for access and what became of it.
type AccessRequest struct {
	ID              string              `json:"id"`
	Version         int64               `json:"version"`
	Extends         string              `json:"extends,omitempty" doc:"The grant that is to last longer."`
	By              AccessPerson        `json:"by"`
	For             AccessPerson        `json:"for"`
	Items           []AccessItem        `json:"items"`
	Bundle          string              `json:"bundle,omitempty"`
	DurationSeconds int64               `json:"duration_seconds"`
	Justification   string              `json:"justification,omitempty"`
	BreakGlass      bool                `json:"break_glass,omitempty"`
	State           access.RequestState `json:"state" enum:"pending,approved,denied,cancelled,lapsed"`
	Terms           AccessTerms         `json:"terms"`
	Votes           []AccessVote        `json:"votes,omitempty"`
	CreatedAt       time.Time           `json:"created_at"`
	DecidedAt       time.Time           `json:"decided_at,omitzero"`
	LapsesAt        time.Time           `json:"lapses_at" doc:"When it ends if nobody answers."`
	Grant           string              `json:"grant,omitempty"`
	Waiting         []string            `json:"waiting,omitempty" doc:"Who has to agree yet, in words."`
	CanApprove      []string            `json:"can_approve,omitempty" doc:"The known people who can agree now."`
	MayVote         bool                `json:"may_vote"`
	WhyNot          string              `json:"why_not,omitempty"`
	MayCancel       bool                `json:"may_cancel"`
}

// AccessVote is what one person said to a request.
type AccessVote struct {
	By      AccessPerson `json:"by"`
	Approve bool         `json:"approve"`
	Reason  string       `json:"reason,omitempty"`
	At      time.Time    `json:"at"`
	Via     string       `json:"via,omitempty"`
}

func accessRequest(v *access.RequestView) AccessRequest {
	r := &v.Request
	out := AccessRequest{
		ID: r.ID, Version: r.Version, Extends: r.Extends, By: accessPerson(&r.By), For: accessPerson(&r.For), Items: accessItems(r.Items),
		Bundle: r.Bundle, DurationSeconds: seconds(r.Duration), Justification: r.Justification, BreakGlass: r.BreakGlass, State: r.State,
		Terms: accessTerms(&r.Rule), CreatedAt: r.CreatedAt, DecidedAt: r.DecidedAt, LapsesAt: r.LapsesAt, Grant: r.Grant,
		CanApprove: v.Standing.People, MayVote: v.MayVote, WhyNot: v.WhyNot, MayCancel: v.MayCancel,
	}
	for i := range r.Votes {
		o := &r.Votes[i]
		out.Votes = append(out.Votes, AccessVote{accessPerson(&o.By), o.Approve, o.Reason, o.At, o.Via})
	}
	for i := range v.Standing.Waiting {
		out.Waiting = append(out.Waiting, v.Standing.Waiting[i].String())
	}
	return out
}

// AccessAsk is what is asked for.
type AccessAsk struct {
	For             string           `json:"for,omitempty" maxLength:"320" doc:"The id of whom it is for; without it, who is signed in."`
	Items           []access.ItemRef `json:"items,omitempty" maxItems:"100" doc:"Or bundle, not both."`
	Bundle          string           `json:"bundle,omitempty" maxLength:"200"`
	DurationSeconds int64            `json:"duration_seconds,omitempty" minimum:"0" maximum:"31536000" doc:"0: the flow's default."`
	Justification   string           `json:"justification,omitempty" maxLength:"2000"`
	BreakGlass      bool             `json:"break_glass,omitempty"`
}

func (in *AccessAsk) ask(by flow.Person, via string) access.Ask {
	return access.Ask{
		By: by, For: in.For, Items: in.Items, Bundle: in.Bundle, Duration: time.Duration(in.DurationSeconds) * time.Second,
		Justification: in.Justification, BreakGlass: in.BreakGlass, Via: via,
	}
}

// AccessExplanation is what would become of a request, and why.
type AccessExplanation struct {
	Terms      AccessTerms  `json:"terms"`
	Items      []AccessItem `json:"items"`
	Waiting    []string     `json:"waiting,omitempty"`
	CanApprove []string     `json:"can_approve,omitempty"`
	Stopped    string       `json:"stopped,omitempty" doc:"Which stop of lending stands over it."`
	Warnings   []string     `json:"warnings,omitempty"`
	Asked      string       `json:"asked,omitempty" enum:"in_force,draft" doc:"Which flows answer, of a test alone: those in force, of trial.version, or the text that was sent."`
	Trial      *flow.Trial  `json:"trial,omitempty" doc:"What each flow says, check by check; of a test alone."`
}

func accessExplanation(e *access.Explanation) AccessExplanation {
	out := AccessExplanation{
		Terms: accessTerms(&e.Decision), Items: accessItems(e.Items), CanApprove: e.Standing.People, Stopped: e.Stopped, Warnings: e.Warnings,
		Trial: e.Trial,
	}
	for i := range e.Standing.Waiting {
		out.Waiting = append(out.Waiting, e.Standing.Waiting[i].String())
	}
	return out
}

// AccessOffer is something that the person may ask for, and on which terms.
type AccessOffer struct {
	Item   *AccessItem  `json:"item,omitempty"`
	Bundle string       `json:"bundle,omitempty"`
	Items  []AccessItem `json:"items,omitempty" doc:"Of the bundle."`
	Terms  AccessTerms  `json:"terms"`
	Held   string       `json:"held,omitempty" doc:"A live grant that gives it already."`
}

// AccessCatalog is a page of what a person may ask for.
type AccessCatalog struct {
	Offers  []AccessOffer `json:"offers"`
	Bundles []AccessOffer `json:"bundles,omitempty" doc:"On the first page."`
	Next    string        `json:"next,omitempty"`
}

func accessOffer(e *access.CatalogEntry) AccessOffer {
	out := AccessOffer{Bundle: e.Bundle, Terms: accessTerms(&e.Terms), Held: e.Held}
	if e.Bundle != "" {
		out.Items = accessItems(e.Items)
		return out
	}
	item := accessItem(&e.Item)
	out.Item = &item
	return out
}

// AccessRequestPage is a page of requests.
type AccessRequestPage struct {
	Requests []AccessRequest `json:"requests"`
	Next     string          `json:"next,omitempty"`
	Total    int             `json:"total"`
}

// AccessRequestFilter chooses requests.
type AccessRequestFilter struct {
	Person      string   `query:"person" maxLength:"320" doc:"Requests by or for this person; me stands for who is signed in."`
	By          string   `query:"by" maxLength:"320"`
	For         string   `query:"for" maxLength:"320"`
	State       []string `query:"state,explode" enum:"pending,approved,denied,cancelled,lapsed"`
	Integration string   `query:"integration" maxLength:"200"`
	Inbox       bool     `query:"inbox" doc:"Only those that who is signed in can decide now."`
}

func (f *AccessRequestFilter) query(who flow.Person) access.RequestQuery {
	q := access.RequestQuery{By: orMe(f.By, who), For: orMe(f.For, who), Person: orMe(f.Person, who), Integration: f.Integration}
	for _, st := range f.State {
		q.States = append(q.States, access.RequestState(st))
	}
	if f.Inbox {
		q.Voter = who.ID
	}
	return q
}

func orMe(id string, who flow.Person) string {
	if id == "me" {
		return who.ID
	}
	return id
}

// requestAnswer is a request. Who may vote changes without a new version of it, with
// the time and the directory, so its tag is that of the content.
type requestAnswer struct {
	Status int
	Body   AccessRequest
}

// viewOf reads a request back as the person may see it: what they may do with it
// has changed with what they did.
func (s *server) viewOf(ctx context.Context, who flow.Person, id string, status int) (*requestAnswer, error) {
	v, err := s.Access.RequestByID(ctx, who, id)
	if err != nil {
		return nil, s.accessError(ctx, err)
	}
	return &requestAnswer{Status: status, Body: accessRequest(v)}, nil
}

func (s *server) registerAccessRequests(a huma.API) {
	huma.Register(a, operation("list-access-catalog", catalogPath, accessTag, "What the person may ask for, and on which terms"),
		func(ctx context.Context, in *struct {
			For         string `query:"for" maxLength:"320" doc:"Whom it would be for; without it, who is signed in."`
			Integration string `query:"integration" maxLength:"200"`
			Type        string `query:"type" maxLength:"100"`
			Permission  string `query:"permission" maxLength:"200"`
			Search      string `query:"q" maxLength:"200" doc:"A part of the resource's id, name or path."`
			AccessPaging
		},
		) (*struct{ Body AccessCatalog }, error) {
			who, _, err := borrower(ctx, identity.Requester)
			if err != nil {
				return nil, err
			}
			page, err := s.Access.Catalog(ctx, who, access.CatalogQuery{
				ResourceQuery: access.ResourceQuery{Integration: in.Integration, Type: in.Type, Text: in.Search, Limit: in.Limit, Cursor: in.Cursor},
				For:           orMe(in.For, who), Permission: in.Permission,
			})
			if err != nil {
				return nil, s.accessError(ctx, err)
			}
			out := AccessCatalog{Offers: make([]AccessOffer, len(page.Entries)), Next: page.Next}
			for i := range page.Entries {
				out.Offers[i] = accessOffer(&page.Entries[i])
			}
			for i := range page.Bundles {
				out.Bundles = append(out.Bundles, accessOffer(&page.Bundles[i]))
			}
			return &struct{ Body AccessCatalog }{out}, nil
		})

	huma.Register(a, accessChange("explain-access-request", http.MethodPost, accessRequestsPath+"/explain", "What would become of a request, and why; nothing is asked"),
		func(ctx context.Context, in *struct{ Body AccessAsk }) (*struct{ Body AccessExplanation }, error) {
			who, via, err := borrower(ctx, identity.Requester)
			if err != nil {
				return nil, err
			}
			e, err := s.Access.Explain(ctx, in.Body.ask(who, via))
			if err != nil {
				return nil, s.accessError(ctx, err)
			}
			return &struct{ Body AccessExplanation }{accessExplanation(e)}, nil
		})

	op := accessChange("request-access", http.MethodPost, accessRequestsPath, "Ask for access")
	op.DefaultStatus = http.StatusCreated
	op.Description = "With an Idempotency-Key, asking again answers with the request that the first time made; the key is the person's own and never ends."
	huma.Register(a, op, func(ctx context.Context, in *struct {
		Key  string `header:"Idempotency-Key" maxLength:"200" doc:"The same for the same request sent again."`
		Body AccessAsk
	},
	) (*requestAnswer, error) {
		who, via, err := borrower(ctx, identity.Requester)
		if err != nil {
			return nil, err
		}
		ask := in.Body.ask(who, via)
		ask.Key = in.Key
		r, err := s.Access.Request(ctx, ask)
		if err != nil {
			return nil, s.accessError(ctx, err)
		}
		return s.viewOf(ctx, who, r.ID, http.StatusCreated)
	})

	s.registerAccessRequestReads(a)

	huma.Register(a, accessChange("vote-access-request", http.MethodPost, accessRequestsPath+"/{id}/votes", "Agree to a request or refuse it"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"100"`
			Body struct {
				Approve bool   `json:"approve"`
				Reason  string `json:"reason,omitempty" maxLength:"2000"`
				Version int64  `json:"version,omitempty" doc:"The version that was looked at; a request that has changed since is a conflict."`
			}
		},
		) (*requestAnswer, error) {
			who, via, err := borrower(ctx, identity.Approver)
			if err != nil {
				return nil, err
			}
			if _, err := s.Access.Vote(ctx, in.ID, access.Ballot{By: who, Approve: in.Body.Approve, Reason: in.Body.Reason, Via: via, Version: in.Body.Version}); err != nil {
				return nil, s.accessError(ctx, err)
			}
			return s.viewOf(ctx, who, in.ID, http.StatusOK)
		})
	huma.Register(a, accessChange("cancel-access-request", http.MethodPost, accessRequestsPath+"/{id}/cancel", "Take a pending request back"),
		func(ctx context.Context, in *struct {
			ID string `path:"id" maxLength:"100"`
		},
		) (*requestAnswer, error) {
			who, via, err := borrower(ctx, identity.Requester)
			if err != nil {
				return nil, err
			}
			if _, err := s.Access.Cancel(ctx, in.ID, who, via); err != nil {
				return nil, s.accessError(ctx, err)
			}
			return s.viewOf(ctx, who, in.ID, http.StatusOK)
		})
}

func (s *server) registerAccessRequestReads(a huma.API) {
	requests := accessList[access.RequestQuery, access.RequestView, AccessRequest]{
		s: s, show: accessRequest, row: requestRow, name: "access-requests", columns: []string{
			"id", "state", "by", "for", "items", "seconds", "justification", "flow", "created", "decided", "grant", "votes",
		},
		read: func(ctx context.Context, who flow.Person, q access.RequestQuery, p AccessPaging) ([]*access.RequestView, string, int, error) {
			q.Limit, q.Cursor = p.Limit, p.Cursor
			page, err := s.Access.Requests(ctx, who, q)
			if err != nil {
				return nil, "", 0, err
			}
			return page.Requests, page.Next, page.Total, nil
		},
	}
	huma.Register(a, operation("list-access-requests", accessRequestsPath, accessTag, "Requests that the person may see, the newest first"),
		func(ctx context.Context, in *struct {
			AccessRequestFilter
			AccessPaging
		},
		) (*struct{ Body AccessRequestPage }, error) {
			some, next, total, err := requests.page(ctx, &in.AccessRequestFilter, in.AccessPaging)
			return &struct{ Body AccessRequestPage }{AccessRequestPage{some, next, total}}, err
		})
	huma.Register(a, csvContent(operation("export-access-requests", accessRequestsPath+".csv", accessTag, "The requests as a table")),
		func(ctx context.Context, in *struct{ AccessRequestFilter }) (*huma.StreamResponse, error) {
			return requests.export(ctx, &in.AccessRequestFilter)
		})
	huma.Register(a, operation("get-access-request", accessRequestsPath+"/{id}", accessTag, "One request"),
		func(ctx context.Context, in *struct {
			ID string `path:"id" maxLength:"100"`
		},
		) (*requestAnswer, error) {
			who, _, err := borrower(ctx, identity.Requester)
			if err != nil {
				return nil, err
			}
			return s.viewOf(ctx, who, in.ID, http.StatusOK)
		})
}

func requestRow(v *access.RequestView) []string {
	votes := make([]string, 0, len(v.Votes))
	for i := range v.Votes {
		word := "refused"
		if v.Votes[i].Approve {
			word = "agreed"
		}
		votes = append(votes, v.Votes[i].By.ID+" "+word)
	}
	return []string{
		v.ID, string(v.State), v.By.ID, v.For.ID, itemsText(v.Items), strconv.FormatInt(seconds(v.Duration), 10), v.Justification, v.Rule.Flow,
		stamp(v.CreatedAt), stamp(v.DecidedAt), v.Grant, strings.Join(votes, "; "),
	}
}

func itemsText(items []flow.Item) string {
	parts := make([]string, len(items))
	for i := range items {
		r := &items[i].Resource
		parts[i] = r.Integration + " " + r.ID + " " + items[i].Permission
	}
	return strings.Join(parts, "; ")
}
