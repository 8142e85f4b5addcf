package finding

import (
	"slices"
	"strings"
)

var functionURLAnyOrigin = Rule{
	ID: "function-url-any-origin", Title: "Pages of every origin may read what the function's URL answers", Severity: Low, Area: Exposure, Of: OfFunction,
	Looks: "The CORS of the function URLs of the Lambda functions that APIs call.",
	Why:   "Every page that a user visits may call the function from his browser and read what it answers, beside the API's own CORS.",
	Mend: Mend{
		CLI:       "aws lambda update-function-url-config --region {region} --function-name {name} --cors AllowOrigins=https://app.example.com   # --qualifier for an alias",
		Terraform: "# in aws_lambda_function_url\ncors {\n  allow_origins = [\"https://app.example.com\"]\n}",
	},
	Peers: Peers{Prowler: []string{"awslambda_function_url_cors_policy"}},
	needs: []Part{PartFunctionURLs},
	check: func(s *scene) Outcome {
		var wide, narrow []Evidence
		for i := range s.function.Versions {
			u := s.function.Versions[i].URL
			if u == nil || len(u.Origins) == 0 {
				continue
			}
			e := fact("allowed origins of "+u.URL, strings.Join(u.Origins, ", "))
			if slices.Contains(u.Origins, "*") {
				wide = append(wide, e)
			} else {
				narrow = append(narrow, e)
			}
		}
		if len(wide)+len(narrow) == 0 {
			return skipped("no URL of the function answers browsers of other origins")
		}
		if len(wide) == 0 {
			return passed(narrow...)
		}
		return failed(wide...)
	},
}
