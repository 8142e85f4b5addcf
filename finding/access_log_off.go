package finding

import "slices"

var accessLogOff = Rule{
	ID: "access-log-off", Title: "The stage writes no access log", Severity: Medium, Area: Logging, Of: OfStage,
	Looks: "The stage's access log settings, and access logs that CloudWatch Logs delivers.",
	Why:   "An access log is the one record of who called what, from where, with which answer. For an HTTP API it is the only log there is.",
	Mend: Mend{
		CLI:         "aws apigateway update-stage --region {region} --rest-api-id {api} --stage-name {stage} --patch-operations op=replace,path=/accessLogSettings/destinationArn,value=LOG_GROUP_ARN 'op=replace,path=/accessLogSettings/format,value={\"requestId\":\"$context.requestId\",\"ip\":\"$context.identity.sourceIp\",\"userAgent\":\"$context.identity.userAgent\",\"caller\":\"$context.identity.caller\",\"path\":\"$context.resourcePath\",\"status\":\"$context.status\",\"authorizerError\":\"$context.authorizer.error\"}'",
		CLIV2:       "aws apigatewayv2 update-stage --region {region} --api-id {api} --stage-name {stage} --access-log-settings '{\"DestinationArn\":\"LOG_GROUP_ARN\",\"Format\":\"{\\\"requestId\\\":\\\"$context.requestId\\\",\\\"ip\\\":\\\"$context.identity.sourceIp\\\",\\\"userAgent\\\":\\\"$context.identity.userAgent\\\",\\\"principal\\\":\\\"$context.authorizer.principalId\\\",\\\"routeKey\\\":\\\"$context.routeKey\\\",\\\"status\\\":\\\"$context.status\\\",\\\"authorizerError\\\":\\\"$context.authorizer.error\\\"}\"}'",
		Terraform:   "# in aws_api_gateway_stage\naccess_log_settings {\n  destination_arn = aws_cloudwatch_log_group.access.arn\n  format          = jsonencode({ requestId = \"$context.requestId\", ip = \"$context.identity.sourceIp\", userAgent = \"$context.identity.userAgent\", caller = \"$context.identity.caller\", path = \"$context.resourcePath\", status = \"$context.status\", authorizerError = \"$context.authorizer.error\" })\n}",
		TerraformV2: "# in aws_apigatewayv2_stage\naccess_log_settings {\n  destination_arn = aws_cloudwatch_log_group.access.arn\n  format          = jsonencode({ requestId = \"$context.requestId\", ip = \"$context.identity.sourceIp\", userAgent = \"$context.identity.userAgent\", principal = \"$context.authorizer.principalId\", routeKey = \"$context.routeKey\", status = \"$context.status\", authorizerError = \"$context.authorizer.error\" })\n}",
	},
	Peers: Peers{
		SecurityHub: []string{"APIGateway.9"}, Prowler: []string{"apigatewayv2_api_access_logging_enabled"}, Checkov: []string{"CKV_AWS_76", "CKV_AWS_95"},
		KICS: []string{"access_logging_disabled", "deployment_without_access_log_setting", "v2_stage_access_logging"}, CloudSploit: []string{"v2 access logging"},
	},
	check: func(s *scene) Outcome {
		if slices.Contains(s.stage.Deliveries, accessLogs) {
			return passed(fact("log delivery", accessLogs))
		}
		if s.stage.AccessLog == "" {
			return s.noLog(fact("access log", "none"))
		}
		return passed(fact("access log", s.stage.AccessLog))
	},
}

// accessLogs is the type of access logs that CloudWatch Logs delivers. Best
// evidence.
const accessLogs = "ACCESS_LOGS"
