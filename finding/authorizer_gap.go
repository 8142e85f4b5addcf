package finding

var authorizerGap = Rule{
	ID: "authorizer-gap", Title: "Some routes go without the authorizer that others have", Severity: Medium, Area: Auth, Of: OfAPI,
	Types: []APIType{REST, HTTP},
	Looks: "Routes that ask for nothing, in an API of which other routes have an authorizer or IAM. OPTIONS is exempt.",
	Why:   "Where most routes are protected, one that is not was most likely forgotten.",
	Mend: Mend{
		CLI:         "aws apigateway update-method --region {region} --rest-api-id {api} --resource-id RESOURCE --http-method METHOD --patch-operations op=replace,path=/authorizationType,value=CUSTOM op=replace,path=/authorizerId,value=AUTHORIZER",
		CLIV2:       "aws apigatewayv2 update-route --region {region} --api-id {api} --route-id ROUTE --authorization-type CUSTOM --authorizer-id AUTHORIZER",
		Terraform:   "# in each aws_api_gateway_method\nauthorization = \"CUSTOM\"\nauthorizer_id = aws_api_gateway_authorizer.this.id",
		TerraformV2: "# in each aws_apigatewayv2_route\nauthorization_type = \"CUSTOM\"\nauthorizer_id      = aws_apigatewayv2_authorizer.this.id",
	},
	Peers: Peers{Prowler: []string{"apigateway_restapi_public_with_authorizer"}, KICS: []string{"without_configured_authorizer"}},
	needs: []Part{PartRoutes, PartStages},
	check: func(s *scene) Outcome {
		guarded := 0
		var bare []Evidence
		for i := range s.api.Routes {
			r := &s.api.Routes[i]
			switch {
			case r.preflight() || r.KeyRequired:
			case r.Authorization == "":
				return unseen("AWS told no authorization of " + r.Name())
			case r.Authorization != "NONE":
				guarded++
			default:
				a, o, ok := s.open(r)
				if !ok {
					return o
				}
				if a.open {
					bare = append(bare, fact("route "+r.Name(), "authorization NONE"))
				}
			}
		}
		if guarded == 0 {
			return skipped("no route has an authorizer")
		}
		return failed(bare...)
	},
}
