package finding

var privatePolicyMissing = Rule{
	ID: "private-policy-missing", Title: "The private API has no resource policy", Severity: Low, Area: Auth, Of: OfAPI,
	Types: []APIType{REST},
	Looks: "The resource policy of private APIs.",
	Why:   "A private API lets nobody in until a resource policy says who; what is deployed without one is either broken or about to be opened in a hurry.",
	Mend: Mend{
		CLI:       "aws apigateway update-rest-api --region {region} --rest-api-id {api} --patch-operations 'op=replace,path=/policy,value=POLICY'   # POLICY: allow execute-api:Invoke with aws:SourceVpce",
		Terraform: "resource \"aws_api_gateway_rest_api_policy\" \"this\" {\n  rest_api_id = \"{api}\"\n  policy      = data.aws_iam_policy_document.callers.json # with aws:SourceVpce\n}",
	},
	check: func(s *scene) Outcome {
		switch {
		case !s.api.private():
			return skipped("the API is not private")
		case s.api.Policy == "":
			return failed(fact("resource policy", "none"))
		}
		return passed(fact("resource policy", "there is one"))
	},
}
