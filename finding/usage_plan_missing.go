package finding

import "slices"

var usagePlanMissing = Rule{
	ID: "usage-plan-missing", Title: "Routes require a key that no usage plan gives", Severity: Medium, Area: Limits, Of: OfStage,
	Types: []APIType{REST},
	Looks: "Stages of APIs that require API keys, and whether a usage plan holds the stage.",
	Why:   "A key opens nothing without a usage plan of the stage: calls fail, and keys limit nobody.",
	Mend: Mend{
		CLI:       "aws apigateway create-usage-plan --region {region} --name PLAN --api-stages apiId={api},stage={stage} --throttle rateLimit=10,burstLimit=20 --quota limit=10000,period=DAY",
		Terraform: "resource \"aws_api_gateway_usage_plan\" \"this\" {\n  name = \"PLAN\"\n  api_stages {\n    api_id = \"{api}\"\n    stage  = \"{stage}\"\n  }\n  throttle_settings {\n    rate_limit  = 10\n    burst_limit = 20\n  }\n  quota_settings {\n    limit  = 10000\n    period = \"DAY\"\n  }\n}",
	},
	Peers: Peers{KICS: []string{"deployment_without_usage_plan", "stage_without_usage_plan"}},
	needs: []Part{PartUsagePlans, PartRoutes},
	check: func(s *scene) Outcome {
		if !slices.ContainsFunc(s.api.Routes, func(r Route) bool { return r.KeyRequired }) {
			return skipped("no route requires an API key")
		}
		for i := range s.place.UsagePlans {
			if p := &s.place.UsagePlans[i]; slices.Contains(p.Stages, Mapping{s.api.ID, s.stage.Name}) {
				return passed(fact("usage plan", p.ID+" "+p.Name))
			}
		}
		return failed(fact("usage plan of the stage", "none"))
	},
}
