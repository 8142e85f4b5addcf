package finding

import "strings"

var accessLogFormat = Rule{
	ID: "access-log-format", Title: "The access log leaves out what an investigation needs", Severity: Low, Area: Logging, Of: OfStage,
	Looks: "The variables in the stage's access log format: request id, path or route, status, who called, from which address, with which agent, and the authorizer's error.",
	Why:   "A record without the caller or the address tells that something happened and not who did it.",
	Mend: Mend{
		CLI:         "aws apigateway update-stage --region {region} --rest-api-id {api} --stage-name {stage} --patch-operations 'op=replace,path=/accessLogSettings/format,value=FORMAT'   # FORMAT: the present one and the variables above",
		CLIV2:       "aws apigatewayv2 update-stage --region {region} --api-id {api} --stage-name {stage} --access-log-settings DestinationArn=LOG_GROUP_ARN,Format=FORMAT   # FORMAT: the present one and the variables above",
		Terraform:   "# add the variables to access_log_settings.format of aws_api_gateway_stage",
		TerraformV2: "# add the variables to access_log_settings.format of aws_apigatewayv2_stage",
	},
	check: func(s *scene) Outcome {
		if s.stage.AccessLog == "" {
			return skipped("the stage writes no access log, which access-log-off tells")
		}
		var lacks []Evidence
		for _, want := range accessVariables {
			found := false
			for _, v := range want.variables {
				found = found || strings.Contains(s.stage.AccessFormat, "$context."+v)
			}
			if !found {
				lacks = append(lacks, fact("the format lacks "+want.what, "such as $context."+want.variables[0]))
			}
		}
		return failed(lacks...)
	},
}

// accessVariables are variables of which each kind needs one. A prefix stands for
// all that begin so.
var accessVariables = []struct {
	what      string
	variables []string
}{
	{"the request id", []string{"requestId", "extendedRequestId"}},
	{"the path or route", []string{"resourcePath", "routeKey", "path"}},
	{"the status", []string{"status"}},
	{"who called", []string{"identity.caller", "identity.user", "identity.cognito", "identity.clientCert", "authorizer.principalId", "authorizer.claims", "authorizer.sub", "authorizer.iam", "identity.apiKeyId", "identity.accountId"}},
	{"the caller's address", []string{"identity.sourceIp"}},
	{"the user agent", []string{"identity.userAgent"}},
	{"the authorizer's error", []string{"authorizer.error", "authorizer.status", "authorize.error", "error."}},
}
