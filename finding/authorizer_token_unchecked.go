package finding

var authorizerTokenUnchecked = Rule{
	ID: "authorizer-token-unchecked", Title: "A token authorizer takes tokens of any form", Severity: Info, Area: Auth, Of: OfAPI,
	Types: []APIType{REST},
	Looks: "The token validation expression of TOKEN authorizers.",
	Why:   "With an expression, API Gateway refuses what cannot be a token before it pays for the function. It is a filter and not a check of who calls.",
	Mend: Mend{
		CLI:       "aws apigateway update-authorizer --region {region} --rest-api-id {api} --authorizer-id AUTHORIZER --patch-operations 'op=replace,path=/identityValidationExpression,value=^Bearer [-0-9A-Za-z._~+/]+=*$'",
		Terraform: "# in aws_api_gateway_authorizer\nidentity_validation_expression = \"^Bearer [-0-9A-Za-z._~+/]+=*$\"",
	},
	needs: []Part{PartAuthorizers},
	check: func(s *scene) Outcome {
		tokens := 0
		var bare []Evidence
		for i := range s.api.Authorizers {
			a := &s.api.Authorizers[i]
			if a.Type != "TOKEN" {
				continue
			}
			tokens++
			if a.Validation == "" {
				bare = append(bare, fact("validation expression of "+a.ID+" "+a.Name, "none"))
			}
		}
		if tokens == 0 {
			return skipped("the API has no TOKEN authorizer")
		}
		return failed(bare...)
	},
}
