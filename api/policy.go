package api

import (
	"context"
	"errors"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gatehouse-project/gatehouse/iam"
)

const (
	policyPath = "/api/v1/policy/evaluate"
	// maxPolicyCase is far over what AWS's own limits leave room for in all
	// layers together.
	maxPolicyCase = 1 << 20
)

// PolicyCase describes a policy case; iam reads it, strictly and with the place
// of each mistake.
type PolicyCase struct {
	Request struct {
		Principal         string              `json:"principal" doc:"An ARN, a service (apigateway.amazonaws.com), or anonymous."`
		Action            string              `json:"action" example:"execute-api:Invoke"`
		Resource          string              `json:"resource" doc:"An ARN, or * for an action that has no resource."`
		ResourceAccount   string              `json:"resource_account,omitempty" doc:"Default: the account in the resource's ARN."`
		Context           map[string][]string `json:"context,omitempty" doc:"Condition keys and their values; a key given as [] is absent."`
		Auth              string              `json:"auth,omitempty" enum:"IAM,NONE,LAMBDA,COGNITO" doc:"For execute-api; default IAM."`
		API               string              `json:"api,omitempty" enum:"REST,HTTP,WEBSOCKET" doc:"For execute-api; default REST."`
		Endpoint          string              `json:"endpoint,omitempty" enum:"public,private" doc:"For execute-api; default public."`
		ManagementAccount bool                `json:"resource_owner_is_management_account,omitempty"`
		ServiceLinkedRole bool                `json:"service_linked_role,omitempty"`
	} `json:"request"`
	IdentityPolicies    []PolicyDocument   `json:"identity_policies,omitempty"`
	ResourcePolicy      *PolicyDocument    `json:"resource_policy,omitempty"`
	PermissionsBoundary *PolicyDocument    `json:"permissions_boundary,omitempty"`
	SessionPolicies     []PolicyDocument   `json:"session_policies,omitempty"`
	SCPs                [][]PolicyDocument `json:"scps,omitempty" doc:"A list for each level, from the organization's root to the account."`
	RCPs                [][]PolicyDocument `json:"rcps,omitempty" doc:"A list for each level, from the organization's root to the account."`
	VPCEndpointPolicy   *PolicyDocument    `json:"vpc_endpoint_policy,omitempty"`
}

// PolicyDocument describes an IAM policy document.
type PolicyDocument struct {
	Version   string           `json:"Version,omitempty" enum:"2012-10-17,2008-10-17"`
	ID        string           `json:"Id,omitempty"`
	Statement []map[string]any `json:"Statement" doc:"A statement, or a list of them."`
}

// PolicyAnswer describes the decision of a policy case.
type PolicyAnswer struct {
	Decision string         `json:"decision" enum:"allow,implicit_deny,explicit_deny"`
	Reasons  []PolicyReason `json:"reasons" doc:"The statements that deny, or else those that allow."`
	Missing  []string       `json:"missing" doc:"The layers that must allow too."`
	Message  string         `json:"message" doc:"The text that AWS would show."`
	Advice   string         `json:"advice,omitempty" doc:"What a person can do about it."`
}

// PolicyReason describes a statement that speaks of the request.
type PolicyReason struct {
	Layer     string `json:"layer" enum:"scp,rcp,vpc_endpoint,permissions_boundary,session,identity,resource"`
	Effect    string `json:"effect" enum:"Allow,Deny"`
	Policy    string `json:"policy"`
	Statement int    `json:"statement" doc:"Counts from 0."`
	Sid       string `json:"sid"`
}

// invalidCase is an RFC 9457 problem that also holds what `policy eval` answers
// for a case that it cannot read.
type invalidCase struct {
	huma.ErrorModel
	Mistake *iam.Error `json:"error"`
}

func (s *server) registerPolicy(a huma.API) {
	schema := func(v any) *huma.Schema {
		return a.OpenAPI().Components.Schemas.Schema(reflect.TypeOf(v), true, "")
	}
	op := huma.Operation{
		OperationID: "evaluate-policy", Method: http.MethodPost, Path: policyPath, Tags: []string{"Policy"},
		Summary:      "Decide a policy case as AWS decides it",
		Description:  "The same case and the same answer as `gatehouse policy eval`. A case that cannot be read answers 422 with the place of the mistake in error.",
		MaxBodyBytes: maxPolicyCase, SkipValidateBody: true,
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/json": {Schema: schema(PolicyCase{})}}},
		Responses: map[string]*huma.Response{"200": {
			Description: "The decision.", Content: map[string]*huma.MediaType{"application/json": {Schema: schema(PolicyAnswer{})}},
		}},
		Errors: []int{http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge},
	}
	huma.Register(a, op, func(_ context.Context, in *struct{ RawBody []byte }) (*policyAnswer, error) {
		c, err := iam.ParseCase(in.RawBody)
		if err != nil {
			mistake, ok := errors.AsType[*iam.Error](err)
			if !ok {
				mistake = &iam.Error{Message: err.Error()}
			}
			return nil, &invalidCase{
				ErrorModel: huma.ErrorModel{Title: http.StatusText(http.StatusUnprocessableEntity), Status: http.StatusUnprocessableEntity, Detail: mistake.Error()},
				Mistake:    mistake,
			}
		}
		var r iam.Result
		c.Evaluate(&r)
		return &policyAnswer{ContentType: "application/json", Body: append(r.AppendJSON(nil), '\n')}, nil
	})
}

type policyAnswer struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}
