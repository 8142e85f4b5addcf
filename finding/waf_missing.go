package finding

var wafMissing = Rule{
	ID: "waf-missing", Title: "No web ACL stands before the stage", Severity: Medium, Area: Exposure, Of: OfStage,
	Types: []APIType{REST},
	Looks: "The web ACL of stages that the internet reaches. HTTP and WebSocket APIs cannot have one.",
	Why:   "AWS WAF turns away known attacks, robots and floods before they reach the backend and the bill.",
	Mend: Mend{
		CLI:       "aws wafv2 associate-web-acl --region {region} --web-acl-arn WEB_ACL_ARN --resource-arn arn:aws:apigateway:{region}::/restapis/{api}/stages/{stage}",
		Terraform: "resource \"aws_wafv2_web_acl_association\" \"this\" {\n  resource_arn = aws_api_gateway_stage.this.arn\n  web_acl_arn  = aws_wafv2_web_acl.this.arn\n}",
	},
	Peers: Peers{
		SecurityHub: []string{"APIGateway.4"}, Prowler: []string{"apigateway_restapi_waf_acl_attached"}, Checkov: []string{"CKV2_AWS_29"},
		KICS: []string{"without_waf"}, CloudSploit: []string{"WAF"},
	},
	check: func(s *scene) Outcome {
		switch {
		case s.api.private():
			return skipped("the API is private")
		case s.stage.WebACL == "":
			return failed(fact("web ACL", "none"))
		}
		return passed(fact("web ACL", s.stage.WebACL))
	},
}
