package finding

import "strings"

var jwtScopesMissing = Rule{
	ID: "jwt-scopes-missing", Title: "The route takes every token of its issuer and audience", Severity: Low, Area: Auth, Of: OfRoute,
	Types: []APIType{HTTP},
	Looks: "The scopes of routes with a JWT authorizer.",
	Why:   "Without scopes whoever may sign in may call the route, whatever else the token allows.",
	Mend: Mend{
		CLI:       "aws apigatewayv2 update-route --region {region} --api-id {api} --route-id {route_id} --authorization-scopes SCOPE",
		Terraform: "# in aws_apigatewayv2_route of {name}\nauthorization_scopes = [\"SCOPE\"]",
	},
	check: func(s *scene) Outcome {
		if s.route.Authorization == "" {
			return unseen("AWS told no authorization of the route")
		}
		if s.route.Authorization != "JWT" {
			return skipped("the route has no JWT authorizer")
		}
		if len(s.route.Scopes) == 0 {
			return failed(fact("scopes", "none"))
		}
		return passed(fact("scopes", strings.Join(s.route.Scopes, " ")))
	},
}
