package finding

var backendPassthrough = Rule{
	ID: "backend-passthrough", Title: "The backend gets all headers as the caller sent them", Severity: Info, Area: Exposure, Of: OfAPI,
	Types: []APIType{REST, HTTP},
	Looks: "HTTP_PROXY integrations without a mapping of parameters.",
	Why:   "A caller can send headers that the backend trusts, such as X-User-Id, and his token travels on to a place that does not need it.",
	Mend: Mend{
		CLI:         "aws apigateway update-integration --region {region} --rest-api-id {api} --resource-id RESOURCE --http-method METHOD --patch-operations \"op=add,path=/requestParameters/integration.request.header.X-User-Id,value=context.authorizer.principalId\"",
		CLIV2:       "aws apigatewayv2 update-integration --region {region} --api-id {api} --integration-id INTEGRATION --request-parameters 'overwrite:header.x-user-id=$context.authorizer.claims.sub'",
		Terraform:   "# in aws_api_gateway_integration\nrequest_parameters = {\n  \"integration.request.header.X-User-Id\" = \"context.authorizer.principalId\"\n}",
		TerraformV2: "# in aws_apigatewayv2_integration\nrequest_parameters = {\n  \"overwrite:header.x-user-id\" = \"$context.authorizer.claims.sub\"\n}",
	},
	needs: []Part{PartRoutes, PartIntegrations},
	check: func(s *scene) Outcome {
		proxies := 0
		var bare []Evidence
		for i := range s.api.Routes {
			b := s.api.Routes[i].Backend
			if b == nil || b.Type != "HTTP_PROXY" {
				continue
			}
			proxies++
			if len(b.RequestParameters) == 0 {
				bare = append(bare, fact("route "+s.api.Routes[i].Name(), b.URI))
			}
		}
		if proxies == 0 {
			return skipped("the API has no HTTP_PROXY integration")
		}
		return failed(bare...)
	},
}
