package api

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/identity"
)

const (
	mePath       = "/api/v1/me"
	sessionsPath = "/api/v1/sessions"
	peoplePath   = "/api/v1/people"
)

// Identity is what the API needs of the guard before it.
type Identity interface {
	Directory() identity.Directory
	Sessions(ctx context.Context, person string) ([]identity.Session, error)
	EndSession(ctx context.Context, by identity.Person, person, key string) error
	EndSessions(ctx context.Context, by identity.Person, person, reason string) (int, error)
	Disable(ctx context.Context, by identity.Person, id, reason string) error
	Enable(ctx context.Context, by identity.Person, id, reason string) error
}

var _ Identity = (*identity.Guard)(nil)

// Me is who sends the request.
type Me struct {
	SignedIn bool            `json:"signed_in"`
	Person   identity.Person `json:"person"`
	// Session is absent for those who come without one, as with the admin token.
	Session *SessionView `json:"session,omitempty"`
}

// SessionView is a session without what only Gatehouse needs of it.
type SessionView struct {
	ID      string    `json:"id" doc:"Names the session; it lets nobody in."`
	Kind    string    `json:"kind" enum:"web,cli"`
	Device  string    `json:"device,omitempty"`
	Address string    `json:"address,omitempty"`
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen" doc:"When it was last used, to a minute."`
	Ends    time.Time `json:"ends" doc:"When it ends whatever happens."`
	Expires time.Time `json:"expires" doc:"When it ends unless it is used."`
	Current bool      `json:"current,omitempty"`
}

func sessionView(s *identity.Session, current string) SessionView {
	return SessionView{
		ID: s.Key, Kind: s.Kind, Device: s.Device, Address: s.Address, Created: s.Created.UTC(), Seen: s.Seen.UTC(),
		Ends: s.Ends.UTC(), Expires: s.Expires().UTC(), Current: s.Key == current,
	}
}

// People is a page of people.
type People struct {
	People []identity.Entry `json:"people"`
	Next   string           `json:"next,omitempty" doc:"The cursor of the next page; absent on the last."`
}

// Revocation says which sessions to end.
type Revocation struct {
	Person  string `json:"person,omitempty" required:"false" maxLength:"300" doc:"Whose; one's own if absent. Others' need the role admin."`
	Session string `json:"session,omitempty" required:"false" maxLength:"64" doc:"Which; all if absent, the one of this request too."`
	Reason  string `json:"reason,omitempty" required:"false" maxLength:"500"`
}

// Switching says whether a person may come in.
type Switching struct {
	Disabled bool   `json:"disabled"`
	Reason   string `json:"reason" minLength:"1" maxLength:"500"`
}

func (s *server) registerIdentity(a huma.API) {
	if s.Identity == nil {
		return
	}
	const tag = "People"
	huma.Register(a, operation("get-me", mePath, tag, "Who sends the request, their role, and when their session ends"),
		func(ctx context.Context, _ *struct{}) (*struct{ Body Me }, error) {
			p := identity.FromContext(ctx)
			out := &struct{ Body Me }{Me{SignedIn: p.SignedIn(), Person: p}}
			if session, ok := identity.SessionFromContext(ctx); ok {
				out.Body.Session = new(sessionView(&session, session.Key))
			}
			return out, nil
		})
	huma.Register(a, operation("list-sessions", sessionsPath, tag, "A person's sessions, the one that was used last first"),
		func(ctx context.Context, in *struct {
			Person string `query:"person" maxLength:"300" doc:"Whose; one's own if absent. Others' need the role admin."`
		},
		) (*struct{ Body []SessionView }, error) {
			id, err := s.whose(ctx, in.Person)
			if err != nil {
				return nil, err
			}
			list, err := s.Identity.Sessions(ctx, id)
			if err != nil {
				return nil, s.unavailable(ctx, "the sessions", err)
			}
			current, _ := identity.SessionFromContext(ctx)
			out := &struct{ Body []SessionView }{[]SessionView{}}
			for i := range list {
				out.Body = append(out.Body, sessionView(&list[i], current.Key))
			}
			return out, nil
		})
	s.registerRevocation(a, tag)
	s.registerPeople(a, tag)
}

// whose is the id of the person asked for, if the one who asks may.
func (s *server) whose(ctx context.Context, person string) (string, error) {
	me := identity.FromContext(ctx)
	switch {
	case !me.SignedIn():
		return "", huma.Error401Unauthorized("sign in first")
	case person == "" || person == me.ID:
		return me.ID, nil
	case !me.Role.Allows(identity.Admin):
		return "", huma.Error403Forbidden("this needs the role admin")
	case person == identity.AdminID:
		return person, nil
	}
	e, err := s.Identity.Directory().Person(ctx, person)
	if err != nil {
		return "", s.personError(ctx, err)
	}
	return e.ID, nil
}

func (s *server) registerRevocation(a huma.API, tag string) {
	op := operation("revoke-sessions", sessionsPath+"/revoke", tag, "End sessions at once")
	op.Method = http.MethodPost
	op.Errors = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound}
	huma.Register(a, op, func(ctx context.Context, in *struct{ Body Revocation }) (*struct {
		Body struct {
			Ended int `json:"ended"`
		}
	}, error,
	) {
		id, err := s.whose(ctx, in.Body.Person)
		if err != nil {
			return nil, err
		}
		out := &struct {
			Body struct {
				Ended int `json:"ended"`
			}
		}{}
		me, session := identity.FromContext(ctx), in.Body.Session
		if current, ok := identity.SessionFromContext(ctx); session == "current" && ok {
			session = current.Key
		}
		if session != "" {
			out.Body.Ended, err = 1, s.Identity.EndSession(ctx, me, id, session)
		} else {
			out.Body.Ended, err = s.Identity.EndSessions(ctx, me, id, in.Body.Reason)
		}
		if err != nil {
			return nil, s.personError(ctx, err)
		}
		return out, nil
	})
}

func (s *server) registerPeople(a huma.API, tag string) {
	huma.Register(a, operation("list-people", peoplePath, tag, "The people who signed in and those of the people file, by e-mail address; needs the role admin"),
		func(ctx context.Context, in *struct {
			Search string `query:"search" maxLength:"200" doc:"Part of an address or a name."`
			Group  string `query:"group" maxLength:"500"`
			Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
			Cursor string `query:"cursor" maxLength:"1000" doc:"The next of the page before."`
		},
		) (*struct{ Body People }, error) {
			if err := adminOnly(ctx); err != nil {
				return nil, err
			}
			after, err := readCursor(in.Cursor)
			if err != nil {
				return nil, huma.Error422UnprocessableEntity("cursor: " + err.Error())
			}
			list, err := s.Identity.Directory().People(ctx, identity.PeopleQuery{Search: in.Search, Group: in.Group, Limit: in.Limit, After: after})
			if err != nil {
				return nil, s.unavailable(ctx, "the people", err)
			}
			out := &struct{ Body People }{People{People: list}}
			if len(list) == in.Limit {
				out.Body.Next = writeCursor(list[len(list)-1].OrderKey())
			}
			return out, nil
		})
	huma.Register(a, operation("get-person", peoplePath+"/{id}", tag, "One person, by id or e-mail address; others than oneself need the role admin"),
		func(ctx context.Context, in *struct {
			ID string `path:"id" maxLength:"300"`
		},
		) (*struct{ Body *identity.Entry }, error) {
			id, err := s.whose(ctx, in.ID)
			if err != nil {
				return nil, err
			}
			e, err := s.Identity.Directory().Person(ctx, id)
			if err != nil {
				return nil, s.personError(ctx, err)
			}
			return &struct{ Body *identity.Entry }{e}, nil
		})
	op := operation("set-person-disabled", peoplePath+"/{id}/disabled", tag, "Keep a person out, which ends their sessions and takes back what they were lent, or let them in again; needs the role admin")
	op.Method = http.MethodPut
	op.Errors = []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusConflict}
	huma.Register(a, op, func(ctx context.Context, in *struct {
		ID   string `path:"id" maxLength:"300"`
		Body Switching
	},
	) (*struct{ Body *identity.Entry }, error) {
		if err := adminOnly(ctx); err != nil {
			return nil, err
		}
		do := s.Identity.Enable
		if in.Body.Disabled {
			do = s.Identity.Disable
		}
		if err := do(ctx, identity.FromContext(ctx), in.ID, in.Body.Reason); err != nil {
			return nil, s.personError(ctx, err)
		}
		e, err := s.Identity.Directory().Person(ctx, in.ID)
		if err != nil {
			return nil, s.personError(ctx, err)
		}
		return &struct{ Body *identity.Entry }{e}, nil
	})
}

func adminOnly(ctx context.Context) error {
	switch me := identity.FromContext(ctx); {
	case me.Role.Allows(identity.Admin):
		return nil
	case !me.SignedIn():
		return huma.Error401Unauthorized("sign in as an admin first")
	default:
		return huma.Error403Forbidden("this needs the role admin")
	}
}

func (s *server) personError(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, identity.ErrNoPerson):
		return huma.Error404NotFound("there is no such person")
	case errors.Is(err, identity.ErrNoSession):
		return huma.Error404NotFound("there is no such session; it may have ended")
	case errors.Is(err, identity.ErrSelf), errors.Is(err, identity.ErrFileOnly):
		return huma.Error409Conflict(err.Error())
	default:
		return s.unavailable(ctx, "the people", err)
	}
}

// readCursor and writeCursor make an order key fit for an address.
func readCursor(text string) (string, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return "", errors.New("this is not the cursor of a page")
	}
	return string(b), nil
}

func writeCursor(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }
