package finding

var backendUnverified = Rule{
	ID: "backend-unverified", Title: "Every certificate of the backend is taken", Severity: High, Area: Exposure, Of: OfRoute,
	Types: []APIType{REST},
	Looks: "insecureSkipVerification of HTTP integrations.",
	Why:   "TLS to whoever answers protects from nobody: an attacker on the way shows a certificate of his own.",
	Mend: Mend{
		CLI:       "aws apigateway update-integration --region {region} --rest-api-id {api} --resource-id {route_id} --http-method {method} --patch-operations op=replace,path=/tlsConfig/insecureSkipVerification,value=false",
		Terraform: "# in aws_api_gateway_integration of {name}\ntls_config {\n  insecure_skip_verification = false\n}",
	},
	needs: []Part{PartIntegrations},
	check: func(s *scene) Outcome {
		if !s.route.Backend.http() {
			return skipped("the route calls no HTTP backend")
		}
		if s.route.Backend.SkipVerify {
			return failed(fact("insecureSkipVerification", "true"), fact("integration", s.route.Backend.URI))
		}
		return passed(fact("insecureSkipVerification", "false"))
	},
}
