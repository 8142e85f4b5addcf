package finding

import "strconv"

var throttleDefault = Rule{
	ID: "throttle-default", Title: "The stage has no limit but the account's", Severity: Low, Area: Limits, Of: OfStage,
	Looks: "The throttling of the stage's default settings, against the limit that all APIs of the account share in the region.",
	Why:   "One flooded stage takes the calls of all other APIs in the account, and nothing slows down who tries passwords.",
	Mend: Mend{
		CLI:         "aws apigateway update-stage --region {region} --rest-api-id {api} --stage-name {stage} --patch-operations 'op=replace,path=/*/*/throttling/rateLimit,value=100' 'op=replace,path=/*/*/throttling/burstLimit,value=200'",
		CLIV2:       "aws apigatewayv2 update-stage --region {region} --api-id {api} --stage-name {stage} --default-route-settings ThrottlingRateLimit=100,ThrottlingBurstLimit=200",
		Terraform:   "# in aws_api_gateway_method_settings with method_path = \"*/*\"\nsettings {\n  throttling_rate_limit  = 100\n  throttling_burst_limit = 200\n}",
		TerraformV2: "# in aws_apigatewayv2_stage\ndefault_route_settings {\n  throttling_rate_limit  = 100\n  throttling_burst_limit = 200\n}",
	},
	check: func(s *scene) Outcome {
		set := s.stage.settings()
		if set == nil || set.Throttle == nil {
			return failed(fact("throttling", "none"))
		}
		limit := fact("throttling", set.Throttle.text())
		account := s.place.Throttle
		switch {
		case account == nil || s.missing([]Part{PartAccount}) != "":
			// API Gateway writes the account's limit where somebody set anything else.
			return unseen("the account's limit could not be read, so " + set.Throttle.text() + " may be it")
		case set.Throttle.Rate >= account.Rate && set.Throttle.Burst >= account.Burst:
			return failed(limit, fact("the account's limit", account.text()))
		}
		return passed(limit)
	},
}

func (t *Throttle) text() string {
	return strconv.FormatFloat(t.Rate, 'f', -1, 64) + " a second, bursts of " + strconv.Itoa(int(t.Burst))
}
