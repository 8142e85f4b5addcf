package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/identity"
)

const (
	flowsPath = accessPath + "/flows"
	// noFlows is a text of flows that has none.
	noFlows = "flows: []\n"
)

// FlowsText is a text of flows to be planned or applied.
type FlowsText struct {
	Text   string `json:"text" maxLength:"1048576" doc:"YAML."`
	Prune  bool   `json:"prune,omitempty" doc:"Delete flows and bundles that are not in the text."`
	Source string `json:"source,omitempty" enum:"file,page,api" doc:"Where the text comes from."`
}

func (in *FlowsText) flowing(by flow.Person, via string) access.Flowing {
	if in.Source == "" {
		in.Source = "api"
	}
	return access.Flowing{Text: in.Text, Prune: in.Prune, By: by, Via: via, Source: in.Source}
}

// flowsAnswer is a version of the flows with the tag that a change must name.
type flowsAnswer struct {
	ETag string `header:"ETag"`
	Body *access.FlowVersion
}

func (s *server) registerFlows(a huma.API) {
	huma.Register(a, operation("get-flows", flowsPath, accessTag, "The access flows in force, as YAML"),
		func(ctx context.Context, in *struct {
			Version int `query:"version" minimum:"0" doc:"An older version; 0: the newest."`
		},
		) (*flowsAnswer, error) {
			who, _, err := borrower(ctx, identity.Requester)
			if err != nil {
				return nil, err
			}
			v, err := s.Access.Flows(ctx, who, in.Version)
			if err != nil {
				return nil, s.accessError(ctx, err)
			}
			return &flowsAnswer{versionTag(int64(v.Version)), v}, nil
		})
	huma.Register(a, operation("list-flow-versions", flowsPath+"/versions", accessTag, "The newest versions of the flows: who made them, and when"),
		func(ctx context.Context, in *struct {
			Limit int `query:"limit" minimum:"1" maximum:"1000" default:"100"`
		},
		) (*struct{ Body []access.FlowVersion }, error) {
			who, _, err := borrower(ctx, identity.Requester)
			if err != nil {
				return nil, err
			}
			versions, err := s.Access.FlowVersions(ctx, who, in.Limit)
			if err != nil {
				return nil, s.accessError(ctx, err)
			}
			return &struct{ Body []access.FlowVersion }{append([]access.FlowVersion{}, versions...)}, nil
		})
	plan := accessChange("plan-flows", http.MethodPost, flowsPath+"/plan", "What applying a text would change; nothing is changed")
	plan.MaxBodyBytes = maxFlows
	huma.Register(a, plan, func(ctx context.Context, in *struct{ Body FlowsText }) (*struct{ Body *access.FlowPlan }, error) {
		who, via, err := borrower(ctx, identity.Admin)
		if err != nil {
			return nil, err
		}
		f := in.Body.flowing(who, via)
		f.DryRun = true
		p, err := s.Access.ApplyFlows(ctx, f)
		return &struct{ Body *access.FlowPlan }{p}, s.accessError(ctx, err)
	})
	apply := accessChange("apply-flows", http.MethodPut, flowsPath, "Make a text the flows in force; If-Match names the version that was looked at")
	apply.Errors = append(apply.Errors, http.StatusPreconditionFailed, http.StatusPreconditionRequired)
	apply.MaxBodyBytes = maxFlows
	huma.Register(a, apply, func(ctx context.Context, in *struct {
		IfMatch string `header:"If-Match"`
		Body    FlowsText
	},
	) (*struct{ Body *access.FlowPlan }, error) {
		who, via, err := borrower(ctx, identity.Admin)
		if err != nil {
			return nil, err
		}
		version, err := ifMatch(in.IfMatch)
		if err != nil {
			return nil, err
		}
		now, err := s.Access.Flows(ctx, who, 0)
		if err != nil {
			return nil, s.accessError(ctx, err)
		}
		if int64(now.Version) != version {
			return nil, huma.NewError(http.StatusPreconditionFailed, fmt.Sprintf("the flows are at version %d by now, and you looked at %d; read them again", now.Version, version))
		}
		f, expect := in.Body.flowing(who, via), int(version)
		f.Expect = &expect
		p, err := s.Access.ApplyFlows(ctx, f)
		return &struct{ Body *access.FlowPlan }{p}, s.accessError(ctx, err)
	})
	test := accessChange("test-flows", http.MethodPost, flowsPath+"/test", "Who would have to agree to an ask of somebody, and why; of the flows in force, or of a draft")
	test.MaxBodyBytes = maxFlows
	huma.Register(a, test, func(ctx context.Context, in *struct {
		Body struct {
			AccessAsk
			By   string  `json:"by" minLength:"1" maxLength:"320" doc:"The id of whoever would ask; me stands for who is signed in."`
			Text *string `json:"text,omitempty" maxLength:"1048576" doc:"Flows to be asked in the place of those in force, which then have no say; without it, those in force are asked."`
		}
	},
	) (*struct{ Body AccessExplanation }, error) {
		who, via, err := borrower(ctx, identity.Admin)
		if err != nil {
			return nil, err
		}
		by := flow.Person{ID: in.Body.By}
		if in.Body.By == "me" || in.Body.By == who.ID {
			by = who
		}
		text, asked := "", "in_force"
		if in.Body.Text != nil {
			// A draft without a flow gives nothing; it must not be taken for none.
			text, asked = cmp.Or(*in.Body.Text, noFlows), "draft"
		}
		e, err := s.Access.TestFlow(ctx, who, in.Body.ask(by, via), text)
		if err != nil {
			return nil, s.accessError(ctx, err)
		}
		out := accessExplanation(e)
		out.Asked = asked
		return &struct{ Body AccessExplanation }{out}, nil
	})
}
