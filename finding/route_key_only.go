package finding

var routeKeyOnly = Rule{
	ID: "route-key-only", Title: "An API key is all that the route asks for", Severity: Medium, Area: Auth, Of: OfRoute,
	Types: []APIType{REST, WebSocket},
	Looks: "Routes with authorization NONE that require an API key.",
	Why:   "An API key names a usage plan and not a caller. It does not expire, is sent with every call, and ends up in scripts and logs: AWS advises against keys as the only protection.",
	Mend: Mend{
		CLI:         "aws apigateway update-method --region {region} --rest-api-id {api} --resource-id {route_id} --http-method {method} --patch-operations op=replace,path=/authorizationType,value=AWS_IAM",
		CLIV2:       "aws apigatewayv2 update-route --region {region} --api-id {api} --route-id {route_id} --authorization-type AWS_IAM",
		Terraform:   "# in aws_api_gateway_method of {name}; the key may stay for the usage plan\nauthorization    = \"AWS_IAM\"\napi_key_required = true",
		TerraformV2: "# in aws_apigatewayv2_route of {name}\nauthorization_type = \"AWS_IAM\"",
	},
	Peers: Peers{Checkov: []string{"CKV2_AWS_70"}, KICS: []string{"method_does_not_contains_an_api_key"}},
	needs: []Part{PartStages},
	check: func(s *scene) Outcome {
		switch {
		case s.route.preflight():
			return skipped("preflight requests carry no credentials")
		case !s.route.KeyRequired:
			return skipped("the route asks for no API key")
		case s.route.Authorization == "":
			return unseen("AWS told no authorization of the route")
		case s.route.Authorization != "NONE":
			return passed(fact("authorization", s.route.Authorization))
		case s.api.Type == WebSocket && s.route.Path != "$connect":
			return skipped("who connects is asked at $connect")
		}
		a, o, ok := s.open(s.route)
		if !ok {
			return o
		}
		if !a.open {
			return passed(fact("resource policy", "lets no stranger in"))
		}
		return failed(fact("authorization", "NONE"), fact("API key", "required"))
	},
}
