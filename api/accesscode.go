package api

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/ascode"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/identity"
)

// AccessCode is what lending is set up by, as text.
type AccessCode struct {
	As     string        `json:"as" enum:"yaml,terraform"`
	Text   string        `json:"text" doc:"Secrets are never in it."`
	Losses []ascode.Loss `json:"losses,omitempty" doc:"What the text cannot say; it stands there as comments."`
}

// AccessCodeForm chooses the language of code.
type AccessCodeForm struct {
	As string `query:"as" enum:"yaml,terraform" default:"yaml" doc:"Gatehouse's own YAML, or Terraform of the schema of the apono provider."`
}

func (f *AccessCodeForm) answer(c ascode.Code) (*struct{ Body AccessCode }, error) {
	write := ascode.YAML
	if f.As == "terraform" {
		write = ascode.Terraform
	}
	text, lost, err := write(c)
	if err != nil {
		return nil, huma.Error422UnprocessableEntity("this cannot be written as " + f.As + ": " + err.Error())
	}
	return &struct{ Body AccessCode }{AccessCode{f.As, string(text), lost}}, nil
}

func (s *server) registerAccessCode(a huma.API) {
	huma.Register(a, operation("get-flows-code", flowsPath+"/code", accessTag, "The flows and bundles in force as code"),
		func(ctx context.Context, in *struct {
			AccessCodeForm
			Version int `query:"version" minimum:"0" doc:"An older version; 0: the newest."`
		},
		) (*struct{ Body AccessCode }, error) {
			who, _, err := borrower(ctx, identity.Requester)
			if err != nil {
				return nil, err
			}
			set, err := s.flowSet(ctx, who, in.Version)
			if err != nil {
				return nil, err
			}
			return in.answer(ascode.Code{Flows: set})
		})
	huma.Register(a, operation("get-integration-code", integrationsPath+"/{name}/code", accessTag, "One integration as code"),
		func(ctx context.Context, in *struct {
			AccessCodeForm
			Name string `path:"name" maxLength:"200"`
		},
		) (*struct{ Body AccessCode }, error) {
			who, _, err := borrower(ctx, identity.Admin)
			if err != nil {
				return nil, err
			}
			v, err := s.Access.Integration(ctx, who, in.Name)
			if err != nil {
				return nil, s.accessError(ctx, err)
			}
			return in.answer(ascode.Code{Integrations: []access.Integration{v.Integration}})
		})
	huma.Register(a, operation("get-access-code", accessPath+"/code", accessTag, "All integrations, flows and bundles as code"),
		func(ctx context.Context, in *AccessCodeForm) (*struct{ Body AccessCode }, error) {
			who, _, err := borrower(ctx, identity.Admin)
			if err != nil {
				return nil, err
			}
			set, err := s.flowSet(ctx, who, 0)
			if err != nil {
				return nil, err
			}
			all, err := s.Access.Integrations(ctx, who)
			if err != nil {
				return nil, s.accessError(ctx, err)
			}
			c := ascode.Code{Flows: set}
			for _, v := range all {
				c.Integrations = append(c.Integrations, v.Integration)
			}
			return in.answer(c)
		})
}

// flowSet reads a version of the flows. Before the first there are none.
func (s *server) flowSet(ctx context.Context, who flow.Person, version int) (*flow.Set, error) {
	v, err := s.Access.Flows(ctx, who, version)
	if err != nil {
		return nil, s.accessError(ctx, err)
	}
	if v.Text == "" {
		return &flow.Set{}, nil
	}
	set, err := flow.Parse([]byte(v.Text))
	if err != nil {
		return nil, s.unavailable(ctx, "the flows", err)
	}
	return set, nil
}
