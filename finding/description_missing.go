package finding

var descriptionMissing = Rule{
	ID: "description-missing", Title: "Nothing says what the API is for", Severity: Info, Area: Hygiene, Of: OfAPI,
	Looks: "The description of the API, and its version.",
	Why:   "Who finds an API in an account of a thousand, or in a log, cannot tell whether it is meant to be there and whom it serves.",
	Mend: Mend{
		CLI:         "aws apigateway update-rest-api --region {region} --rest-api-id {api} --patch-operations 'op=replace,path=/description,value=WHAT_IT_IS_FOR'",
		CLIV2:       "aws apigatewayv2 update-api --region {region} --api-id {api} --description WHAT_IT_IS_FOR",
		Terraform:   "# in aws_api_gateway_rest_api\ndescription = \"what it is for\"",
		TerraformV2: "# in aws_apigatewayv2_api\ndescription = \"what it is for\"",
	},
	check: func(s *scene) Outcome {
		version := fact("version", orNone(s.api.Version))
		if s.api.Description == "" {
			return failed(fact("description", "none"), version)
		}
		return passed(fact("description", s.api.Description), version)
	},
}
