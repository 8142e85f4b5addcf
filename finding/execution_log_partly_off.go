package finding

var executionLogPartlyOff = Rule{
	ID: "execution-log-partly-off", Title: "Some methods of the stage write no execution log", Severity: Low, Area: Logging, Of: OfStage,
	Types: []APIType{REST, WebSocket},
	Looks: "Methods and routes whose own settings turn off the logging that the stage has.",
	Why:   "A method that is left out is where nobody looks, and an exception that was made for a test tends to stay.",
	Mend: Mend{
		CLI:         "aws apigateway update-stage --region {region} --rest-api-id {api} --stage-name {stage} --patch-operations 'op=replace,path=/METHOD_KEY/logging/loglevel,value=INFO'   # METHOD_KEY such as ~1pets/GET",
		CLIV2:       "aws apigatewayv2 update-stage --region {region} --api-id {api} --stage-name {stage} --route-settings '{\"ROUTE_KEY\":{\"LoggingLevel\":\"INFO\"}}'",
		Terraform:   "# in the aws_api_gateway_method_settings of the method\nsettings {\n  logging_level = \"INFO\"\n}",
		TerraformV2: "# in the route_settings of aws_apigatewayv2_stage\nlogging_level = \"INFO\"",
	},
	Peers: Peers{SecurityHub: []string{"APIGateway.1"}, Checkov: []string{"CKV2_AWS_4"}},
	check: func(s *scene) Outcome {
		if s.stage.LoggingLevel != "ERROR" && s.stage.LoggingLevel != "INFO" {
			return skipped("the stage logs nothing at all, which execution-log-off tells")
		}
		var off []Evidence
		for i := range s.stage.Settings {
			if set := &s.stage.Settings[i]; set.Path != "*" && set.LoggingLevel == "OFF" {
				off = append(off, fact("logging level of "+set.name(), "OFF"))
			}
		}
		return failed(off...)
	},
}
