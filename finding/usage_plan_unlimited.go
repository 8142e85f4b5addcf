package finding

var usagePlanUnlimited = Rule{
	ID: "usage-plan-unlimited", Title: "The usage plan limits nothing", Severity: Low, Area: Limits, Of: OfUsagePlan,
	Looks: "The quota and the throttling of usage plans with stages.",
	Why:   "A plan without limits hands out keys and keeps nobody from taking all that the account may serve.",
	Mend: Mend{
		CLI:       "aws apigateway update-usage-plan --region {region} --usage-plan-id {name} --patch-operations op=add,path=/throttle/rateLimit,value=10 op=add,path=/throttle/burstLimit,value=20 op=add,path=/quota/limit,value=10000 op=add,path=/quota/period,value=DAY",
		Terraform: "# in aws_api_gateway_usage_plan\nthrottle_settings {\n  rate_limit  = 10\n  burst_limit = 20\n}\nquota_settings {\n  limit  = 10000\n  period = \"DAY\"\n}",
	},
	check: func(s *scene) Outcome {
		if len(s.plan.Stages) == 0 {
			return skipped("the plan is for no stage")
		}
		var none []Evidence
		if !s.plan.Quota {
			none = append(none, fact("quota", "none"))
		}
		if s.plan.Throttle == nil && !s.plan.MethodThrottle {
			none = append(none, fact("throttling", "none"))
		}
		return failed(none...)
	},
}
