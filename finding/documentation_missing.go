package finding

var documentationMissing = Rule{
	ID: "documentation-missing", Title: "The stage has no published documentation", Severity: Info, Area: Hygiene, Of: OfStage,
	Types: []APIType{REST},
	Looks: "The documentation version of the stage. HTTP and WebSocket APIs have none.",
	Why:   "Those who call the API, test it or judge it have to guess what it takes and gives, and what is not written down is not noticed when it changes.",
	Mend: Mend{
		CLI:       "aws apigateway create-documentation-version --region {region} --rest-api-id {api} --documentation-version VERSION --stage-name {stage}",
		Terraform: "resource \"aws_api_gateway_documentation_version\" \"this\" {\n  rest_api_id = \"{api}\"\n  version     = \"VERSION\"\n}\n# in aws_api_gateway_stage\ndocumentation_version = aws_api_gateway_documentation_version.this.version",
	},
	check: func(s *scene) Outcome {
		if s.stage.Documentation == "" {
			return failed(fact("documentation version", "none"))
		}
		return passed(fact("documentation version", s.stage.Documentation))
	},
}
