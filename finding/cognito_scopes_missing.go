package finding

import "strings"

var cognitoScopesMissing = Rule{
	ID: "cognito-scopes-missing", Title: "The method takes every user's identity token", Severity: Low, Area: Auth, Of: OfRoute,
	Types: []APIType{REST},
	Looks: "The scopes of methods with a Cognito authorizer.",
	Why:   "Without scopes API Gateway takes the identity token, which says who somebody is and not what he may do; with scopes it wants an access token.",
	Mend: Mend{
		CLI:       "aws apigateway update-method --region {region} --rest-api-id {api} --resource-id {route_id} --http-method {method} --patch-operations op=add,path=/authorizationScopes,value=SCOPE",
		Terraform: "# in aws_api_gateway_method of {name}\nauthorization_scopes = [\"SCOPE\"]",
	},
	check: func(s *scene) Outcome {
		if s.route.Authorization == "" {
			return unseen("AWS told no authorization of the method")
		}
		if s.route.Authorization != "COGNITO_USER_POOLS" {
			return skipped("the method has no Cognito authorizer")
		}
		if len(s.route.Scopes) == 0 {
			return failed(fact("scopes", "none"))
		}
		return passed(fact("scopes", strings.Join(s.route.Scopes, " ")))
	},
}
