package finding

import (
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

var routeOpen = Rule{
	ID: "route-open", Title: "Anybody may call the route", Severity: High, Area: Auth, Of: OfRoute,
	Types: []APIType{REST, HTTP},
	Looks: "The route's authorization and, for a REST API, whether the resource policy lets a stranger in. OPTIONS is exempt: browsers send it without credentials. Routes that take every path are route-catch-all-open.",
	Why:   "A route without authorization answers whoever finds its address, and the addresses of execute-api are guessed and listed all the time.",
	Mend: Mend{
		CLI:         "aws apigateway update-method --region {region} --rest-api-id {api} --resource-id {route_id} --http-method {method} --patch-operations op=replace,path=/authorizationType,value=AWS_IAM\naws apigateway create-deployment --region {region} --rest-api-id {api} --stage-name STAGE",
		CLIV2:       "aws apigatewayv2 update-route --region {region} --api-id {api} --route-id {route_id} --authorization-type JWT --authorizer-id AUTHORIZER",
		Terraform:   "# in aws_api_gateway_method of {name}\nauthorization = \"AWS_IAM\" # or CUSTOM, COGNITO_USER_POOLS with authorizer_id",
		TerraformV2: "# in aws_apigatewayv2_route of {name}\nauthorization_type = \"JWT\" # or AWS_IAM, CUSTOM\nauthorizer_id      = aws_apigatewayv2_authorizer.this.id",
	},
	Peers: Peers{
		SecurityHub: []string{"APIGateway.8"},
		Prowler:     []string{"apigateway_restapi_authorizers_enabled", "apigateway_restapi_public_with_authorizer", "apigatewayv2_api_authorizers_enabled"},
		Checkov:     []string{"CKV_AWS_59", "CKV_AWS_309", "CKV2_AWS_70"}, KICS: []string{"open_access", "without_configured_authorizer"},
		CloudSploit: []string{"authorizer", "v2 authorizer"},
	},
	needs: []Part{PartStages},
	check: func(s *scene) Outcome {
		if s.route.catchAll() {
			return skipped("the route takes every path, which route-catch-all-open tells")
		}
		return s.openRoute()
	},
}

// catchAll reports whether the route takes paths that nobody wrote down.
func (r *Route) catchAll() bool {
	return r.Path == "$default" || strings.HasSuffix(r.Path, "+}")
}

// openRoute judges a route that asks for no credentials and no key.
func (s *scene) openRoute() Outcome {
	auth := fact("authorization", orNone(s.route.Authorization))
	switch {
	case s.route.preflight():
		return skipped("preflight requests carry no credentials")
	case s.route.Authorization == "":
		return unseen("AWS told no authorization of the route")
	case s.route.Authorization != "NONE":
		return passed(auth)
	case s.route.KeyRequired:
		return skipped("the route asks for an API key, which route-key-only tells")
	}
	a, o, ok := s.open(s.route)
	if !ok {
		return o
	}
	if !a.open {
		return passed(auth, fact("resource policy", "lets no stranger in"))
	}
	return failed(auth, a.evidence())
}

// strangersByIAM reports whether a stranger of another account gets through to a
// route with IAM authorization.
func (s *scene) strangersByIAM(d *door, r *Route) (access, error) { return d.try(r, iam.AuthIAM) }
