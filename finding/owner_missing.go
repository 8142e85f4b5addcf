package finding

import (
	"slices"
	"strings"
)

var ownerMissing = Rule{
	ID: "owner-missing", Title: "Nobody is named as the API's owner", Severity: Info, Area: Hygiene, Of: OfAPI,
	Looks: "The API's tags: one named owner, team, contact, squad or the like.",
	Why:   "A finding that nobody owns is a finding that nobody mends.",
	Mend: Mend{
		CLI:         "aws apigateway tag-resource --region {region} --resource-arn arn:aws:apigateway:{region}::/restapis/{api} --tags owner=TEAM",
		CLIV2:       "aws apigatewayv2 tag-resource --region {region} --resource-arn arn:aws:apigateway:{region}::/apis/{api} --tags owner=TEAM",
		Terraform:   "# in aws_api_gateway_rest_api\ntags = {\n  owner = \"TEAM\"\n}",
		TerraformV2: "# in aws_apigatewayv2_api\ntags = {\n  owner = \"TEAM\"\n}",
	},
	check: func(s *scene) Outcome {
		for key, value := range s.api.Tags {
			words := strings.FieldsFunc(strings.ToLower(key), func(r rune) bool { return strings.ContainsRune("-_:./ ", r) })
			for _, w := range []string{"owner", "team", "squad", "contact", "maintainer", "responsible"} {
				if slices.Contains(words, w) && strings.TrimSpace(value) != "" {
					return passed(fact("a tag that names an owner", "there is one"))
				}
			}
		}
		return failed(fact("a tag that names an owner", "none"))
	},
}
