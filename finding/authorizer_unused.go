package finding

import "slices"

var authorizerUnused = Rule{
	ID: "authorizer-unused", Title: "An authorizer is defined and protects nothing", Severity: Medium, Area: Auth, Of: OfAPI,
	Looks: "Every authorizer of the API, and whether a route uses it.",
	Why:   "An authorizer that no route uses looks like protection in every list and gives none.",
	Mend: Mend{
		CLI:         "aws apigateway update-method --region {region} --rest-api-id {api} --resource-id RESOURCE --http-method METHOD --patch-operations op=replace,path=/authorizationType,value=CUSTOM op=replace,path=/authorizerId,value=AUTHORIZER\n# or: aws apigateway delete-authorizer --region {region} --rest-api-id {api} --authorizer-id AUTHORIZER",
		CLIV2:       "aws apigatewayv2 update-route --region {region} --api-id {api} --route-id ROUTE --authorization-type CUSTOM --authorizer-id AUTHORIZER\n# or: aws apigatewayv2 delete-authorizer --region {region} --api-id {api} --authorizer-id AUTHORIZER",
		Terraform:   "# in aws_api_gateway_method\nauthorization = \"CUSTOM\"\nauthorizer_id = aws_api_gateway_authorizer.this.id",
		TerraformV2: "# in aws_apigatewayv2_route\nauthorization_type = \"CUSTOM\"\nauthorizer_id      = aws_apigatewayv2_authorizer.this.id",
	},
	Peers: Peers{Prowler: []string{"apigateway_restapi_authorizers_enabled", "apigatewayv2_api_authorizers_enabled"}},
	needs: []Part{PartAuthorizers, PartRoutes},
	check: func(s *scene) Outcome {
		if len(s.api.Authorizers) == 0 {
			return skipped("the API has no authorizer")
		}
		var unused []Evidence
		for i := range s.api.Authorizers {
			a := &s.api.Authorizers[i]
			if !slices.ContainsFunc(s.api.Routes, func(r Route) bool { return r.AuthorizerID == a.ID }) {
				unused = append(unused, fact("authorizer "+a.ID, a.Type+" "+a.Name+", used by no route"))
			}
		}
		return failed(unused...)
	},
}
