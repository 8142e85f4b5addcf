package finding

var apiUnused = Rule{
	ID: "api-unused", Title: "Nobody calls the API", Severity: Low, Area: Hygiene, Of: OfAPI,
	Looks: "Whether any stage was called within 31 days. It gives an answer where every stage has logged every call to a log group that was read without a gap all that time, and the stage was not changed in between; else it is not seen.",
	Why:   "What nobody uses nobody watches, patches or misses: it is open for whoever finds it, and costs nothing to take away.",
	Mend: Mend{
		CLI:         "aws apigateway get-export --region {region} --rest-api-id {api} --stage-name STAGE --export-type oas30 --parameters extensions=apigateway api.json\naws apigateway delete-rest-api --region {region} --rest-api-id {api}",
		CLIV2:       "aws apigatewayv2 delete-api --region {region} --api-id {api}   # of an HTTP API, aws apigatewayv2 export-api first",
		Terraform:   "# remove the aws_api_gateway_rest_api, or accept the finding with what it is kept for",
		TerraformV2: "# remove the aws_apigatewayv2_api, or accept the finding with what it is kept for",
	},
	needs: []Part{PartStages},
	check: func(s *scene) Outcome {
		if len(s.api.Stages) == 0 {
			return skipped("the API has no stage, so nobody can call it")
		}
		return s.judgeIdle(s.api.lastCall(func(*Call) bool { return true }))
	},
}
