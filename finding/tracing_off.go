package finding

var tracingOff = Rule{
	ID: "tracing-off", Title: "The stage is not traced with X-Ray", Severity: Info, Area: Logging, Of: OfStage,
	Types: []APIType{REST},
	Looks: "Active tracing of the stage. HTTP and WebSocket APIs have none.",
	Why:   "A trace shows where the time of a slow call went. It is no security control.",
	Mend: Mend{
		CLI:       "aws apigateway update-stage --region {region} --rest-api-id {api} --stage-name {stage} --patch-operations op=replace,path=/tracingEnabled,value=true",
		Terraform: "# in aws_api_gateway_stage\nxray_tracing_enabled = true",
	},
	Peers: Peers{
		SecurityHub: []string{"APIGateway.3"}, Prowler: []string{"apigateway_restapi_tracing_enabled"}, Checkov: []string{"CKV_AWS_73"},
		KICS: []string{"xray_disabled"}, CloudSploit: []string{"tracing"},
	},
	check: func(s *scene) Outcome {
		if !s.stage.Tracing {
			return failed(fact("X-Ray tracing", "off"))
		}
		return passed(fact("X-Ray tracing", "on"))
	},
}
