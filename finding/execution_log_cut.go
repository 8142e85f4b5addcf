package finding

import "slices"

var executionLogCut = Rule{
	ID: "execution-log-cut", Title: "Long lines of the execution log are cut at 1 KB", Severity: Info, Area: Logging, Of: OfStage,
	Types: []APIType{REST},
	Looks: "Data trace, and whether CloudWatch Logs delivers the execution logs, whose lines may then have 1 MB.",
	Why:   "Bodies and headers are cut in the middle, so that what was sent cannot be seen whole.",
	Mend: Mend{
		CLI:       "aws logs put-delivery-source --region {region} --name {api}-{stage} --log-type EXECUTION_LOGS --resource-arn arn:aws:apigateway:{region}::/restapis/{api}/stages/{stage}\n# then put-delivery-destination and create-delivery",
		Terraform: "resource \"aws_cloudwatch_log_delivery_source\" \"execution\" {\n  name         = \"{api}-{stage}\"\n  log_type     = \"EXECUTION_LOGS\"\n  resource_arn = \"arn:aws:apigateway:{region}::/restapis/{api}/stages/{stage}\"\n}",
	},
	needs: []Part{PartDeliveries},
	check: func(s *scene) Outcome {
		switch {
		case len(tracedMethods(s.stage)) == 0:
			return skipped("no bodies are logged")
		case slices.Contains(s.stage.Deliveries, executionLogs):
			return passed(fact("log delivery", executionLogs))
		}
		return failed(fact("log delivery of execution logs", "none"))
	},
}
