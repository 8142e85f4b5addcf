package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/identity"
)

const (
	accessGrantsPath = accessPath + "/grants"
	accessStopsPath  = accessPath + "/stops"
)

// AccessGrant is access lent to one person until a time.
type AccessGrant struct {
	ID               string            `json:"id"`
	Version          int64             `json:"version"`
	Request          string            `json:"request"`
	Flow             string            `json:"flow"`
	Person           AccessPerson      `json:"person"`
	Items            []AccessItem      `json:"items"`
	State            access.GrantState `json:"state" enum:"provisioning,active,revoking,ended"`
	DurationSeconds  int64             `json:"duration_seconds" doc:"The time lent, extensions included."`
	CreatedAt        time.Time         `json:"created_at"`
	ReadyAt          time.Time         `json:"ready_at,omitzero" doc:"When the target confirmed; the time runs from then on."`
	ExpiresAt        time.Time         `json:"expires_at,omitzero" doc:"While provisioning, when it is given up."`
	EndReason        access.EndReason  `json:"end_reason,omitempty" enum:"expired,returned,revoked,panic,left,failed"`
	EndedBy          string            `json:"ended_by,omitempty"`
	EndingAt         time.Time         `json:"ending_at,omitzero" doc:"When it had to go."`
	EndedAt          time.Time         `json:"ended_at,omitzero" doc:"When the target was read back without it."`
	Extensions       int               `json:"extensions,omitempty"`
	BreakGlass       bool              `json:"break_glass,omitempty"`
	Justification    string            `json:"justification,omitempty"`
	RemainingSeconds int64             `json:"remaining_seconds,omitempty"`
	Trouble          string            `json:"trouble,omitempty" doc:"What stands in the way, and what happens next."`
	Failing          bool              `json:"failing,omitempty" doc:"The last try failed; without it the target only takes its time."`
	NextTry          time.Time         `json:"next_try,omitzero"`
	LateSeconds      int64             `json:"late_seconds,omitempty"`
	MayReturn        bool              `json:"may_return"`
	MayRevoke        bool              `json:"may_revoke"`
	MayExtendSeconds int64             `json:"may_extend_seconds,omitempty"`
}

func accessGrant(v *access.GrantView) AccessGrant {
	g := &v.Grant
	out := AccessGrant{
		ID: g.ID, Version: g.Version, Request: g.Request, Flow: g.Flow, Person: accessPerson(&g.Person), Items: make([]AccessItem, len(g.Items)),
		State: g.State, DurationSeconds: seconds(g.Duration), CreatedAt: g.CreatedAt, ReadyAt: g.ReadyAt, ExpiresAt: g.ExpiresAt,
		EndReason: g.EndReason, EndedBy: g.EndedBy, EndingAt: g.EndingAt, EndedAt: g.EndedAt, Extensions: g.Extensions,
		BreakGlass: g.BreakGlass, Justification: g.Justification, RemainingSeconds: seconds(v.Remaining), Trouble: v.Trouble, Failing: v.Failing,
		NextTry: v.NextTry, LateSeconds: seconds(v.Late), MayReturn: v.MayReturn, MayRevoke: v.MayRevoke, MayExtendSeconds: seconds(v.MayExtend),
	}
	for i := range g.Items {
		item := accessItem(&g.Items[i].Item)
		item.Confirmed = &g.Items[i].Confirmed
		out.Items[i] = item
	}
	return out
}

// AccessGrantPage is a page of grants.
type AccessGrantPage struct {
	Grants []AccessGrant `json:"grants"`
	Next   string        `json:"next,omitempty"`
	Total  int           `json:"total"`
}

// AccessGrantFilter chooses grants.
type AccessGrantFilter struct {
	Person      string   `query:"person" maxLength:"320" doc:"Who holds it; me stands for who is signed in."`
	State       []string `query:"state,explode" enum:"provisioning,active,revoking,ended"`
	Integration string   `query:"integration" maxLength:"200"`
	Resource    string   `query:"resource" maxLength:"1000" doc:"A resource's id; needs integration."`
	Request     string   `query:"request" maxLength:"100"`
}

func (f *AccessGrantFilter) query(who flow.Person) access.GrantQuery {
	q := access.GrantQuery{Person: orMe(f.Person, who), Integration: f.Integration, Resource: f.Resource, Request: f.Request}
	for _, st := range f.State {
		q.States = append(q.States, access.GrantState(st))
	}
	return q
}

type grantAnswer struct {
	ETag string `header:"ETag"`
	Body AccessGrant
}

func (s *server) grantView(ctx context.Context, who flow.Person, id string) (*grantAnswer, error) {
	v, err := s.Access.GrantByID(ctx, who, id)
	if err != nil {
		return nil, s.accessError(ctx, err)
	}
	// Time left and trouble change without a new version of the grant, so the tag
	// is that of the content: versionTag would answer 304 to somebody who waits.
	return &grantAnswer{Body: accessGrant(v)}, nil
}

func (s *server) registerAccessGrants(a huma.API) {
	s.registerAccessGrantReads(a)
	huma.Register(a, accessChange("return-access-grant", http.MethodPost, accessGrantsPath+"/{id}/return", "Give access back early"),
		func(ctx context.Context, in *struct {
			ID string `path:"id" maxLength:"100"`
		},
		) (*grantAnswer, error) {
			who, via, err := borrower(ctx, identity.Requester)
			if err != nil {
				return nil, err
			}
			if _, err := s.Access.Return(ctx, in.ID, who, via); err != nil {
				return nil, s.accessError(ctx, err)
			}
			return s.grantView(ctx, who, in.ID)
		})
	huma.Register(a, accessChange("revoke-access-grant", http.MethodPost, accessGrantsPath+"/{id}/revoke", "Take somebody's access back"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"100"`
			Body struct {
				Reason string `json:"reason" minLength:"1" maxLength:"2000"`
			}
		},
		) (*grantAnswer, error) {
			// Who owns a resource may take access to it back, whatever their role.
			who, via, err := borrower(ctx, identity.Requester)
			if err != nil {
				return nil, err
			}
			if _, err := s.Access.Revoke(ctx, in.ID, who, in.Body.Reason, via); err != nil {
				return nil, s.accessError(ctx, err)
			}
			return s.grantView(ctx, who, in.ID)
		})
	op := accessChange("extend-access-grant", http.MethodPost, accessGrantsPath+"/{id}/extend", "Ask that a grant lasts longer")
	op.DefaultStatus = http.StatusCreated
	huma.Register(a, op, func(ctx context.Context, in *struct {
		ID   string `path:"id" maxLength:"100"`
		Body struct {
			DurationSeconds int64  `json:"duration_seconds,omitempty" minimum:"0" maximum:"31536000" doc:"0: as long as the flow lets."`
			Justification   string `json:"justification,omitempty" maxLength:"2000"`
		}
	},
	) (*requestAnswer, error) {
		who, via, err := borrower(ctx, identity.Requester)
		if err != nil {
			return nil, err
		}
		r, err := s.Access.Extend(ctx, in.ID, who, time.Duration(in.Body.DurationSeconds)*time.Second, in.Body.Justification, via)
		if err != nil {
			return nil, s.accessError(ctx, err)
		}
		return s.viewOf(ctx, who, r.ID, http.StatusCreated)
	})
	creds := accessChange("vend-access-credentials", http.MethodPost, accessPath+"/credentials", "Temporary credentials for what is lent on an API")
	creds.Description = "The answer is what credential_process expects. The credentials allow what the grants allow and end with the last of them at the latest."
	huma.Register(a, creds, func(ctx context.Context, in *struct {
		Body struct {
			Integration string `json:"integration" minLength:"1" maxLength:"200"`
			Grant       string `json:"grant,omitempty" maxLength:"100" doc:"One grant alone; without it, all that the person holds on the integration."`
		}
	},
	) (*struct {
		CacheControl string `header:"Cache-Control"`
		Body         *access.Credentials
	}, error,
	) {
		who, via, err := borrower(ctx, identity.Requester)
		if err != nil {
			return nil, err
		}
		c, err := s.Access.Credentials(ctx, who, in.Body.Integration, in.Body.Grant, via)
		if err != nil {
			return nil, s.accessError(ctx, err)
		}
		return &struct {
			CacheControl string `header:"Cache-Control"`
			Body         *access.Credentials
		}{"no-store", c}, nil
	})
}

func (s *server) registerAccessGrantReads(a huma.API) {
	grants := accessList[access.GrantQuery, access.GrantView, AccessGrant]{
		s: s, show: accessGrant, row: grantRow, name: "access-grants", columns: []string{
			"id", "state", "person", "items", "seconds", "ready", "expires", "ended", "end_reason", "ended_by", "flow", "request", "justification", "trouble",
		},
		read: func(ctx context.Context, who flow.Person, q access.GrantQuery, p AccessPaging) ([]*access.GrantView, string, int, error) {
			q.Limit, q.Cursor = p.Limit, p.Cursor
			page, err := s.Access.Grants(ctx, who, q)
			if err != nil {
				return nil, "", 0, err
			}
			return page.Grants, page.Next, page.Total, nil
		},
	}
	huma.Register(a, operation("list-access-grants", accessGrantsPath, accessTag, "Grants that the person may see, the newest first"),
		func(ctx context.Context, in *struct {
			AccessGrantFilter
			AccessPaging
		},
		) (*struct{ Body AccessGrantPage }, error) {
			some, next, total, err := grants.page(ctx, &in.AccessGrantFilter, in.AccessPaging)
			return &struct{ Body AccessGrantPage }{AccessGrantPage{some, next, total}}, err
		})
	huma.Register(a, csvContent(operation("export-access-grants", accessGrantsPath+".csv", accessTag, "The grants as a table")),
		func(ctx context.Context, in *struct{ AccessGrantFilter }) (*huma.StreamResponse, error) {
			return grants.export(ctx, &in.AccessGrantFilter)
		})
	huma.Register(a, operation("get-access-grant", accessGrantsPath+"/{id}", accessTag, "One grant"),
		func(ctx context.Context, in *struct {
			ID string `path:"id" maxLength:"100"`
		},
		) (*grantAnswer, error) {
			who, _, err := borrower(ctx, identity.Requester)
			if err != nil {
				return nil, err
			}
			return s.grantView(ctx, who, in.ID)
		})
	huma.Register(a, operation("get-access-grant-details", accessGrantsPath+"/{id}/details", accessTag, "How to use a grant"),
		func(ctx context.Context, in *struct {
			ID string `path:"id" maxLength:"100"`
		},
		) (*struct{ Body *access.Details }, error) {
			who, _, err := borrower(ctx, identity.Requester)
			if err != nil {
				return nil, err
			}
			d, err := s.Access.GrantDetails(ctx, who, in.ID)
			return &struct{ Body *access.Details }{d}, s.accessError(ctx, err)
		})
}

func grantRow(v *access.GrantView) []string {
	items := make([]flow.Item, len(v.Items))
	for i := range v.Items {
		items[i] = v.Items[i].Item
	}
	return []string{
		v.ID, string(v.State), v.Person.ID, itemsText(items), strconv.FormatInt(seconds(v.Duration), 10), stamp(v.ReadyAt), stamp(v.ExpiresAt),
		stamp(v.EndedAt), string(v.EndReason), v.EndedBy, v.Flow, v.Request, v.Justification, v.Trouble,
	}
}

func (s *server) registerAccessStops(a huma.API) {
	huma.Register(a, operation("list-access-stops", accessStopsPath, accessTag, "Where nothing is lent until somebody lifts it"),
		func(ctx context.Context, _ *struct{}) (*struct{ Body []access.Stop }, error) {
			who, _, err := borrower(ctx, identity.Requester)
			if err != nil {
				return nil, err
			}
			stops, err := s.Access.Stops(ctx, who)
			if err != nil {
				return nil, s.accessError(ctx, err)
			}
			return &struct{ Body []access.Stop }{append([]access.Stop{}, stops...)}, nil
		})
	huma.Register(a, accessChange("stop-access", http.MethodPost, accessStopsPath, "Take everything in a scope back at once, and lend nothing there until it is lifted"),
		func(ctx context.Context, in *struct {
			Body struct {
				access.StopScope
				Reason string `json:"reason" minLength:"1" maxLength:"2000"`
			}
		},
		) (*struct {
			Body struct {
				Grants int `json:"grants" doc:"How many grants were sent on their way out."`
			}
		}, error,
		) {
			who, via, err := borrower(ctx, identity.Admin)
			if err != nil {
				return nil, err
			}
			n, err := s.Access.Panic(ctx, in.Body.StopScope, who, in.Body.Reason, via)
			if err != nil {
				return nil, s.accessError(ctx, err)
			}
			out := &struct {
				Body struct {
					Grants int `json:"grants" doc:"How many grants were sent on their way out."`
				}
			}{}
			out.Body.Grants = n
			return out, nil
		})
	huma.Register(a, accessChange("lift-access-stop", http.MethodPost, accessStopsPath+"/{id}/lift", "Lend again where it was stopped"),
		func(ctx context.Context, in *struct {
			ID   string `path:"id" maxLength:"100"`
			Body struct {
				Reason string `json:"reason,omitempty" maxLength:"2000"`
			}
		},
		) (*struct{}, error) {
			who, via, err := borrower(ctx, identity.Admin)
			if err != nil {
				return nil, err
			}
			return nil, s.accessError(ctx, s.Access.Lift(ctx, in.ID, who, in.Body.Reason, via))
		})
}
