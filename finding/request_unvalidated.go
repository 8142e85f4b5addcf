package finding

import (
	"maps"
	"slices"
)

var requestUnvalidated = Rule{
	ID: "request-unvalidated", Title: "Requests reach the backend unchecked", Severity: Low, Area: Limits, Of: OfAPI,
	Types: []APIType{REST},
	Looks: "Methods that take a body (POST, PUT, PATCH, ANY) without a validator for it, and methods that require parameters without a validator for those. MOCK integrations are exempt.",
	Why:   "What API Gateway turns away never reaches code that may stumble over it. HTTP APIs cannot validate.",
	Mend: Mend{
		CLI:       "aws apigateway create-request-validator --region {region} --rest-api-id {api} --name all --validate-request-body --validate-request-parameters\naws apigateway update-method --region {region} --rest-api-id {api} --resource-id RESOURCE --http-method METHOD --patch-operations op=replace,path=/requestValidatorId,value=VALIDATOR",
		Terraform: "resource \"aws_api_gateway_request_validator\" \"all\" {\n  rest_api_id                 = \"{api}\"\n  name                        = \"all\"\n  validate_request_body       = true\n  validate_request_parameters = true\n}",
	},
	Peers: Peers{Checkov: []string{"CKV2_AWS_53"}, CloudSploit: []string{"request validation"}},
	needs: []Part{PartRoutes, PartIntegrations, PartValidators},
	check: func(s *scene) Outcome {
		judged := 0
		var bare []Evidence
		for i := range s.api.Routes {
			r := &s.api.Routes[i]
			if r.preflight() || r.Backend != nil && r.Backend.Type == "MOCK" {
				continue
			}
			body := slices.Contains([]string{"POST", "PUT", "PATCH", "ANY"}, r.Method)
			required := slices.Contains(slices.Collect(maps.Values(r.RequestParameters)), true)
			if body || required {
				judged++
			}
			if body && !r.ValidatesBody {
				bare = append(bare, fact("body of "+r.Name(), "not validated"))
			}
			if required && !r.ValidatesParams {
				bare = append(bare, fact("required parameters of "+r.Name(), "not validated"))
			}
		}
		if judged == 0 {
			return skipped("no method takes a body or requires a parameter")
		}
		return failed(bare...)
	},
}
