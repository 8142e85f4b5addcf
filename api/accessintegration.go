package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/identity"
)

const integrationsPath = accessPath + "/integrations"

// integrationAnswer is an integration with the tag that a change of it must name.
type integrationAnswer struct {
	Status int
	ETag   string `header:"ETag"`
	Body   *access.IntegrationView
}

func (s *server) integrationView(ctx context.Context, who flow.Person, name string, status int) (*integrationAnswer, error) {
	v, err := s.Access.Integration(ctx, who, name)
	if err != nil {
		return nil, s.accessError(ctx, err)
	}
	return &integrationAnswer{Status: status, ETag: contentTag(v.Version, v), Body: v}, nil
}

// seenIntegration refuses a change of another version than the one that was looked at.
// The desk compares once more when it writes.
func (s *server) seenIntegration(ctx context.Context, who flow.Person, name string, version int64) error {
	v, err := s.Access.Integration(ctx, who, name)
	if err != nil {
		return s.accessError(ctx, err)
	}
	if v.Version != version {
		return huma.NewError(http.StatusPreconditionFailed, fmt.Sprintf("integration %s is at version %d by now, and you looked at %d; read it again", name, v.Version, version))
	}
	return nil
}

func (s *server) registerIntegrations(a huma.API) {
	s.registerIntegrationReads(a)
	s.registerConnecting(a)
	put := accessChange("save-integration", http.MethodPut, integrationsPath+"/{name}", "Add an integration, or replace the version that If-Match names; it is checked at once")
	put.Description = "If-None-Match: * adds a new one. A failed check is part of the answer; nothing is lent from an integration with a failed check."
	put.Errors = append(put.Errors, http.StatusPreconditionFailed, http.StatusPreconditionRequired)
	huma.Register(a, put, func(ctx context.Context, in *struct {
		Name        string `path:"name" maxLength:"200"`
		IfMatch     string `header:"If-Match"`
		IfNoneMatch string `header:"If-None-Match"`
		Body        IntegrationSettings
	},
	) (*integrationAnswer, error) {
		who, via, err := borrower(ctx, identity.Admin)
		if err != nil {
			return nil, err
		}
		status, version := http.StatusCreated, int64(0)
		if in.IfNoneMatch != "*" {
			status = http.StatusOK
			if version, err = ifMatch(in.IfMatch); err != nil {
				return nil, err
			}
			if err := s.seenIntegration(ctx, who, in.Name, version); err != nil {
				return nil, err
			}
		}
		if _, err := s.Access.SaveIntegration(ctx, in.Body.integration(in.Name), who, version, via); err != nil {
			return nil, s.accessError(ctx, err)
		}
		return s.integrationView(ctx, who, in.Name, status)
	})
	del := accessChange("delete-integration", http.MethodDelete, integrationsPath+"/{name}", "Remove an integration that nothing is lent from")
	del.Errors = append(del.Errors, http.StatusPreconditionFailed, http.StatusPreconditionRequired)
	huma.Register(a, del, func(ctx context.Context, in *struct {
		Name    string `path:"name" maxLength:"200"`
		IfMatch string `header:"If-Match"`
	},
	) (*struct{}, error) {
		who, via, err := borrower(ctx, identity.Admin)
		if err != nil {
			return nil, err
		}
		version, err := ifMatch(in.IfMatch)
		if err != nil {
			return nil, err
		}
		if err := s.seenIntegration(ctx, who, in.Name, version); err != nil {
			return nil, err
		}
		return nil, s.accessError(ctx, s.Access.DeleteIntegration(ctx, in.Name, who, version, via))
	})
}

func (s *server) registerConnecting(a huma.API) {
	op := accessChange("connect-integration", http.MethodPost, integrationsPath+"/{name}/connect", "What has to be changed in the target once, before anything can be lent from it; with apply it is changed")
	op.Description = "Without apply nothing is changed. For EKS it maps the role that people share to users of the cluster, in aws-auth or by an access entry; nothing that stands there is changed or left out."
	huma.Register(a, op, func(ctx context.Context, in *struct {
		Name string `path:"name" maxLength:"200"`
		Body struct {
			Apply bool `json:"apply,omitempty" doc:"Change it, and check the integration."`
		}
	},
	) (*struct{ Body *access.Connection }, error) {
		who, via, err := borrower(ctx, identity.Admin)
		if err != nil {
			return nil, err
		}
		c, err := s.Access.Connect(ctx, in.Name, in.Body.Apply, who, via)
		if err != nil {
			return nil, s.accessError(ctx, err)
		}
		return &struct{ Body *access.Connection }{c}, nil
	})
}

// IntegrationSettings are what a person sets of an integration.
type IntegrationSettings struct {
	Type          string            `json:"type" minLength:"1" maxLength:"100" doc:"eks-rbac, eks-access-entry or api-gateway."`
	ResourceTypes []string          `json:"resource_types,omitempty" maxItems:"50" doc:"Those that are discovered and lent; none: all of the type."`
	Config        map[string]string `json:"config,omitempty" doc:"What the type needs, in its own keys."`
	Secret        *access.SecretRef `json:"secret,omitempty" doc:"Where the target's credentials are kept."`
	AccessDetails string            `json:"custom_access_details,omitempty" maxLength:"1600" doc:"Shown to people who get access: at most 400 characters."`
	Owner         []flow.Principal  `json:"owner,omitempty" maxItems:"100"`
	OwnerTag      string            `json:"owner_tag,omitempty" maxLength:"200"`
	OwnerKind     string            `json:"owner_kind,omitempty" maxLength:"200"`
	RotationDays  int               `json:"credentials_rotation_period_in_days,omitempty" minimum:"0" maximum:"3650"`
	CleanupDays   int               `json:"credentials_cleanup_period_in_days,omitempty" minimum:"0" maximum:"3650"`
	DeleteOrphans bool              `json:"delete_orphans,omitempty" doc:"Delete marked objects that no grant explains; otherwise they are reported."`
}

func (in *IntegrationSettings) integration(name string) *access.Integration {
	return &access.Integration{
		Name: name, Type: in.Type, ResourceTypes: in.ResourceTypes, Config: in.Config, Secret: in.Secret, AccessDetails: in.AccessDetails,
		Owner: in.Owner, OwnerTag: in.OwnerTag, OwnerKind: in.OwnerKind, RotationDays: in.RotationDays, CleanupDays: in.CleanupDays,
		DeleteOrphans: in.DeleteOrphans,
	}
}

func (s *server) registerIntegrationReads(a huma.API) {
	huma.Register(a, operation("list-integration-types", accessPath+"/integration-types", accessTag, "The types of integrations, each with the types of resources that it lends"),
		func(ctx context.Context, _ *struct{}) (*struct {
			Body map[string][]access.ResourceType
		}, error,
		) {
			if _, _, err := borrower(ctx, identity.Requester); err != nil {
				return nil, err
			}
			return &struct {
				Body map[string][]access.ResourceType
			}{s.Access.IntegrationTypes()}, nil
		})
	huma.Register(a, operation("list-integrations", integrationsPath, accessTag, "Integrations with their health"),
		func(ctx context.Context, _ *struct{}) (*struct{ Body []*access.IntegrationView }, error) {
			who, _, err := borrower(ctx, identity.Requester)
			if err != nil {
				return nil, err
			}
			all, err := s.Access.Integrations(ctx, who)
			if err != nil {
				return nil, s.accessError(ctx, err)
			}
			return &struct{ Body []*access.IntegrationView }{append([]*access.IntegrationView{}, all...)}, nil
		})
	huma.Register(a, operation("get-integration", integrationsPath+"/{name}", accessTag, "One integration"),
		func(ctx context.Context, in *struct {
			Name string `path:"name" maxLength:"200"`
		},
		) (*integrationAnswer, error) {
			who, _, err := borrower(ctx, identity.Requester)
			if err != nil {
				return nil, err
			}
			return s.integrationView(ctx, who, in.Name, http.StatusOK)
		})
	huma.Register(a, operation("list-access-resources", accessPath+"/resources", accessTag, "Resources as they were discovered"),
		func(ctx context.Context, in *struct {
			Integration string `query:"integration" maxLength:"200"`
			Type        string `query:"type" maxLength:"100"`
			Search      string `query:"q" maxLength:"200"`
			Limit       int    `query:"limit" minimum:"1" maximum:"10000" default:"100"`
			Cursor      string `query:"cursor" maxLength:"500" doc:"The next of the page before."`
		},
		) (*struct{ Body *access.ResourcePage }, error) {
			who, _, err := borrower(ctx, identity.Requester)
			if err != nil {
				return nil, err
			}
			page, err := s.Access.Resources(ctx, who, access.ResourceQuery{Integration: in.Integration, Type: in.Type, Text: in.Search, Limit: in.Limit, Cursor: in.Cursor})
			return &struct{ Body *access.ResourcePage }{page}, s.accessError(ctx, err)
		})
}
