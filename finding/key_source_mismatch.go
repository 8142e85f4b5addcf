package finding

var keySourceMismatch = Rule{
	ID: "key-source-mismatch", Title: "API keys are to come from an authorizer that is not there", Severity: Medium, Area: Auth, Of: OfAPI,
	Types: []APIType{REST},
	Looks: "The API key source AUTHORIZER, and whether the routes that require a key have a Lambda authorizer to give it.",
	Why:   "Such a route refuses every call, until somebody mends it by taking the key away.",
	Mend: Mend{
		CLI:       "aws apigateway update-rest-api --region {region} --rest-api-id {api} --patch-operations op=replace,path=/apiKeySource,value=HEADER",
		Terraform: "# in aws_api_gateway_rest_api\napi_key_source = \"HEADER\"",
	},
	needs: []Part{PartRoutes},
	check: func(s *scene) Outcome {
		if s.api.APIKeySource != "AUTHORIZER" {
			return skipped("API keys come with the request")
		}
		var without []Evidence
		for i := range s.api.Routes {
			if r := &s.api.Routes[i]; r.KeyRequired && r.Authorization != "CUSTOM" {
				without = append(without, fact("route "+r.Name(), "requires a key, authorization "+orNone(r.Authorization)))
			}
		}
		return failed(without...)
	},
}
