package finding

import "strings"

var jwtAudienceMissing = Rule{
	ID: "jwt-audience-missing", Title: "A JWT authorizer takes tokens that were made for others", Severity: High, Area: Auth, Of: OfAPI,
	Types: []APIType{HTTP},
	Looks: "The audience of JWT authorizers.",
	Why:   "The issuer signs tokens for all of its clients. Without an audience, a token that another application was given opens this API too.",
	Mend: Mend{
		CLI:       "aws apigatewayv2 update-authorizer --region {region} --api-id {api} --authorizer-id AUTHORIZER --jwt-configuration Audience=CLIENT_ID,Issuer=ISSUER",
		Terraform: "# in aws_apigatewayv2_authorizer\njwt_configuration {\n  audience = [\"CLIENT_ID\"]\n  issuer   = \"ISSUER\"\n}",
	},
	needs: []Part{PartAuthorizers},
	check: func(s *scene) Outcome {
		jwt := 0
		var without []Evidence
		for i := range s.api.Authorizers {
			a := &s.api.Authorizers[i]
			if a.Type != "JWT" {
				continue
			}
			jwt++
			if strings.TrimSpace(strings.Join(a.Audience, "")) == "" {
				without = append(without, fact("audience of "+a.ID+" "+a.Name, "none"))
			}
		}
		if jwt == 0 {
			return skipped("the API has no JWT authorizer")
		}
		return failed(without...)
	},
}
