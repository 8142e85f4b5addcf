package finding

var metricsOff = Rule{
	ID: "metrics-off", Title: "The stage has no detailed metrics", Severity: Info, Area: Logging, Of: OfStage,
	Looks: "Detailed CloudWatch metrics in the stage's default settings.",
	Why:   "Without them errors and latency are known of the stage as a whole, and a method that fails hides among the others.",
	Mend: Mend{
		CLI:         "aws apigateway update-stage --region {region} --rest-api-id {api} --stage-name {stage} --patch-operations 'op=replace,path=/*/*/metrics/enabled,value=true'",
		CLIV2:       "aws apigatewayv2 update-stage --region {region} --api-id {api} --stage-name {stage} --default-route-settings DetailedMetricsEnabled=true",
		Terraform:   "# in aws_api_gateway_method_settings with method_path = \"*/*\"\nsettings {\n  metrics_enabled = true\n}",
		TerraformV2: "# in aws_apigatewayv2_stage\ndefault_route_settings {\n  detailed_metrics_enabled = true\n}",
	},
	Peers: Peers{KICS: []string{"cloudwatch_metrics_disabled"}, CloudSploit: []string{"detailed metrics"}},
	check: func(s *scene) Outcome {
		if set := s.stage.settings(); set == nil || !set.Metrics {
			return failed(fact("detailed metrics", "off"))
		}
		return passed(fact("detailed metrics", "on"))
	},
}
