package finding

import (
	"slices"
	"strings"
	"unicode"
)

var stageForTestsPublic = Rule{
	ID: "stage-for-tests-public", Title: "A stage for tests is on the internet beside the real one", Severity: Low, Area: Hygiene, Of: OfStage,
	Looks: "Stages named after tests (dev, test, qa, staging, sandbox, …) of public APIs that have other stages too, unless a web ACL stands before them.",
	Why:   "Stages of one API share its backends unless somebody took care, and the one for tests has the weaker limits and the older version.",
	Mend: Mend{
		CLI:         "aws apigateway delete-stage --region {region} --rest-api-id {api} --stage-name {stage}   # or move it to a private API",
		CLIV2:       "aws apigatewayv2 delete-stage --region {region} --api-id {api} --stage-name {stage}   # or move it to an account for tests",
		Terraform:   "# remove the aws_api_gateway_stage {stage}, or move it to a private API",
		TerraformV2: "# remove the aws_apigatewayv2_stage {stage}, or move it to an account for tests",
	},
	needs: []Part{PartStages},
	check: func(s *scene) Outcome {
		switch {
		case !forTests(s.stage.Name):
			return skipped("the stage's name does not speak of tests")
		case s.api.private():
			return passed(fact("endpoint type", "PRIVATE"))
		case s.stage.WebACL != "":
			return passed(fact("web ACL", s.stage.WebACL))
		case !slices.ContainsFunc(s.api.Stages, func(o Stage) bool { return !forTests(o.Name) }):
			return skipped("the API has no other stage")
		}
		return failed(fact("stage", s.stage.Name), fact("endpoint type", orNone(s.api.EndpointType)))
	},
}

func forTests(stage string) bool {
	words := strings.FieldsFunc(strings.ToLower(stage), func(r rune) bool { return !unicode.IsLetter(r) })
	return slices.ContainsFunc(words, func(w string) bool {
		return slices.Contains([]string{"dev", "develop", "development", "test", "testing", "tst", "qa", "uat", "staging", "stage", "stg", "sandbox", "sbx", "demo", "poc", "tmp"}, w)
	})
}
