package finding

var executionLogOff = Rule{
	ID: "execution-log-off", Title: "The stage writes no execution log", Severity: Medium, Area: Logging, Of: OfStage,
	Types: []APIType{REST, WebSocket},
	Looks: "The stage's default logging level, and logs that CloudWatch Logs delivers. HTTP APIs have no execution logs.",
	Why:   "Without execution logs nobody can tell what the authorizer decided, what the backend answered, or why a call failed.",
	Mend: Mend{
		CLI:         "aws apigateway update-stage --region {region} --rest-api-id {api} --stage-name {stage} --patch-operations 'op=replace,path=/*/*/logging/loglevel,value=INFO'",
		CLIV2:       "aws apigatewayv2 update-stage --region {region} --api-id {api} --stage-name {stage} --default-route-settings LoggingLevel=INFO",
		Terraform:   "resource \"aws_api_gateway_method_settings\" \"all\" {\n  rest_api_id = \"{api}\"\n  stage_name  = \"{stage}\"\n  method_path = \"*/*\"\n  settings {\n    logging_level = \"INFO\"\n  }\n}",
		TerraformV2: "# in aws_apigatewayv2_stage\ndefault_route_settings {\n  logging_level = \"INFO\"\n}",
	},
	Peers: Peers{
		SecurityHub: []string{"APIGateway.1"}, Prowler: []string{"apigateway_restapi_logging_enabled"}, Checkov: []string{"CKV2_AWS_4"},
		KICS: []string{"cloudwatch_logging_disabled"}, CloudSploit: []string{"CW logs"},
	},
	check: func(s *scene) Outcome {
		for _, d := range s.stage.Deliveries {
			if d == executionLogs {
				return passed(fact("log delivery", d))
			}
		}
		level := fact("logging level", orNone(s.stage.LoggingLevel))
		if s.stage.LoggingLevel == "ERROR" || s.stage.LoggingLevel == "INFO" {
			return passed(level)
		}
		return s.noLog(level)
	},
}

// noLog fails a stage that has no log of its own, if it is known that none is
// delivered either.
func (s *scene) noLog(evidence Evidence) Outcome {
	if s.missing([]Part{PartDeliveries}) != "" {
		return unseen(evidence.What + " is " + evidence.Value + ", and whether CloudWatch Logs delivers one could not be read")
	}
	return failed(evidence)
}

// executionLogs is the type of execution logs that CloudWatch Logs delivers. Best
// evidence: AWS's texts name it so.
const executionLogs = "EXECUTION_LOGS"

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
