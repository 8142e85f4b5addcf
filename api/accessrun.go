package api

import (
	"context"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/identity"
)

// AccessRuns is what the API needs of what has targets asked in the background. It
// decides who may.
type AccessRuns interface {
	Start(ctx context.Context, name string, kind access.RunKind, by flow.Person, via string) (*access.TargetRun, error)
	ByID(ctx context.Context, who flow.Person, name, id string) (*access.TargetRun, error)
}

var _ AccessRuns = (*access.TargetRuns)(nil)

type targetRunAnswer struct {
	Location string `header:"Location"`
	Body     *access.TargetRun
}

func (s *server) registerIntegrationRuns(a huma.API) {
	if s.AccessRuns == nil {
		return
	}
	for kind, summary := range map[access.RunKind]string{
		access.RunCheck:     "Look again at everything that lending rests on",
		access.RunDiscover:  "Read the target's resources now",
		access.RunReconcile: "Compare the target with what is lent, now",
	} {
		op := accessChange(string(kind)+"-integration", http.MethodPost, integrationsPath+"/{name}/"+string(kind), summary)
		op.DefaultStatus = http.StatusAccepted
		op.Description = "It answers at once with the run; GET the run at Location until its state is not running. Where one of the kind goes on already, that is the answer. " +
			"What was found is in the integration: health.checks, health.resources and drift."
		huma.Register(a, op, func(ctx context.Context, in *struct {
			Name string `path:"name" maxLength:"200"`
		},
		) (*targetRunAnswer, error) {
			who, via, err := borrower(ctx, identity.Admin)
			if err != nil {
				return nil, err
			}
			run, err := s.AccessRuns.Start(ctx, in.Name, kind, who, via)
			if err != nil {
				return nil, s.accessError(ctx, err)
			}
			return &targetRunAnswer{integrationsPath + "/" + url.PathEscape(in.Name) + "/runs/" + run.ID, run}, nil
		})
	}
	huma.Register(a, operation("get-integration-run", integrationsPath+"/{name}/runs/{id}", accessTag, "A check, a discovery or a comparison: how far it is, and what came of it"),
		func(ctx context.Context, in *struct {
			Name string `path:"name" maxLength:"200"`
			ID   string `path:"id" maxLength:"100"`
		},
		) (*struct{ Body *access.TargetRun }, error) {
			who, _, err := borrower(ctx, identity.Admin)
			if err != nil {
				return nil, err
			}
			run, err := s.AccessRuns.ByID(ctx, who, in.Name, in.ID)
			return &struct{ Body *access.TargetRun }{run}, s.accessError(ctx, err)
		})
}
