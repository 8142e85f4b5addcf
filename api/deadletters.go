package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/identity"
)

const deadLettersPath = "/api/v1/dead-letters"

// DeadLetters is what the API needs of the dead letters' keeper.
type DeadLetters interface {
	List(ctx context.Context, q deadletter.Query) (deadletter.Page, error)
	Get(ctx context.Context, id string) (*deadletter.Letter, error)
	Replay(ctx context.Context, ids []string) (int, error)
	Discard(ctx context.Context, ids []string) (int, error)
}

var _ DeadLetters = (*deadletter.Keeper)(nil)

// LetterIDs names dead letters.
type LetterIDs struct {
	IDs []string `json:"ids" minItems:"1" maxItems:"1000"`
}

// LettersChanged is how many of the named dead letters were there.
type LettersChanged struct {
	Letters int `json:"letters"`
}

func (s *server) registerDeadLetters(a huma.API) {
	if s.DeadLetters == nil {
		return
	}
	const tag = "Dead letters"
	huma.Register(a, operation("list-dead-letters", deadLettersPath, tag, "Calls that a sink refused for good, the newest first"),
		func(ctx context.Context, in *struct {
			Sink   string `query:"sink"`
			Reason string `query:"reason" enum:"too_large,refused,unclear"`
			Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
			Cursor string `query:"cursor"`
		},
		) (*struct{ Body deadletter.Page }, error) {
			page, err := s.DeadLetters.List(ctx, deadletter.Query{Sink: in.Sink, Reason: deadletter.Reason(in.Reason), Limit: in.Limit, Cursor: in.Cursor})
			return &struct{ Body deadletter.Page }{page}, s.letterError(ctx, err)
		})
	huma.Register(a, operation("get-dead-letter", deadLettersPath+"/{id}", tag, "One dead letter with its redacted call"),
		func(ctx context.Context, in *struct {
			ID string `path:"id"`
		},
		) (*struct{ Body *deadletter.Letter }, error) {
			l, err := s.DeadLetters.Get(ctx, in.ID)
			return &struct{ Body *deadletter.Letter }{l}, s.letterError(ctx, err)
		})
	change := func(id, summary string, do func(context.Context, []string) (int, error)) {
		op := operation(id+"-dead-letters", deadLettersPath+"/"+id, tag, summary)
		op.Method = http.MethodPost
		op.Errors = []int{http.StatusForbidden}
		huma.Register(a, op, func(ctx context.Context, in *struct{ Body LetterIDs }) (*struct{ Body LettersChanged }, error) {
			person := identity.FromContext(ctx)
			if !person.Role.Allows(identity.Admin) {
				return nil, huma.Error403Forbidden("this needs the role admin")
			}
			n, err := do(ctx, in.Body.IDs)
			if err := s.letterError(ctx, err); err != nil {
				return nil, err
			}
			s.Logger.InfoContext(ctx, "dead letters were changed", "by", person.Name, "what", id, "letters", n)
			return &struct{ Body LettersChanged }{LettersChanged{n}}, nil
		})
	}
	change("replay", "Have dead letters delivered again, under the same transaction ids", s.DeadLetters.Replay)
	change("discard", "Remove dead letters for good", s.DeadLetters.Discard)
}

func (s *server) letterError(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, deadletter.ErrNotFound):
		return huma.Error404NotFound("there is no such dead letter; it was delivered again or discarded")
	case errors.Is(err, deadletter.ErrInvalidQuery):
		return huma.Error422UnprocessableEntity(err.Error())
	default:
		return s.unavailable(ctx, "the dead letters", err)
	}
}
