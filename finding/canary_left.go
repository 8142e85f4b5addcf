package finding

import (
	"strconv"
	"time"
)

var canaryLeft = Rule{
	ID: "canary-left", Title: "A canary has been on for weeks", Severity: Low, Area: Hygiene, Of: OfStage,
	Types: []APIType{REST},
	Looks: "Stages with a canary that gets calls and has not changed for 14 days.",
	Why:   "A part of the calls goes to another version, with logs and variables of its own, that everybody has forgotten.",
	Mend: Mend{
		CLI:       "aws apigateway update-stage --region {region} --rest-api-id {api} --stage-name {stage} --patch-operations op=remove,path=/canarySettings",
		Terraform: "# remove canary_settings from aws_api_gateway_stage",
	},
	check: func(s *scene) Outcome {
		if s.stage.CanaryPercent <= 0 {
			return skipped("no calls go to a canary")
		}
		share := fact("canary", strconv.FormatFloat(s.stage.CanaryPercent, 'f', -1, 64)+" % of calls")
		if s.stage.Updated.IsZero() {
			return unseen("AWS did not tell when the stage changed")
		}
		if s.now.Sub(s.stage.Updated) > canaryAtMost {
			return failed(share, fact("stage changed last", s.stage.Updated.UTC().Format(time.DateOnly)))
		}
		return passed(share)
	},
}

// canaryAtMost is how long a canary may try something out.
const canaryAtMost = 14 * 24 * time.Hour
