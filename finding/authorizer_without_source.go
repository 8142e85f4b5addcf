package finding

import "strings"

var authorizerWithoutSource = Rule{
	ID: "authorizer-without-source", Title: "A Lambda authorizer is asked without looking for credentials", Severity: Low, Area: Auth, Of: OfAPI,
	Looks: "The identity sources of REQUEST authorizers.",
	Why:   "Without an identity source that the request must have, the function is called for every probe of the internet, and it alone has to notice that nothing was sent.",
	Mend: Mend{
		CLI:         "aws apigateway update-authorizer --region {region} --rest-api-id {api} --authorizer-id AUTHORIZER --patch-operations op=replace,path=/identitySource,value=method.request.header.Authorization",
		CLIV2:       "aws apigatewayv2 update-authorizer --region {region} --api-id {api} --authorizer-id AUTHORIZER --identity-source '$request.header.Authorization'",
		Terraform:   "# in aws_api_gateway_authorizer\nidentity_source = \"method.request.header.Authorization\"",
		TerraformV2: "# in aws_apigatewayv2_authorizer\nidentity_sources = [\"$request.header.Authorization\"] # route.request.header.Authorization for a WebSocket API",
	},
	needs: []Part{PartAuthorizers},
	check: func(s *scene) Outcome {
		asked := 0
		var without []Evidence
		for i := range s.api.Authorizers {
			a := &s.api.Authorizers[i]
			if a.Type != "REQUEST" {
				continue
			}
			asked++
			if !a.credentialSource() {
				without = append(without, fact("identity source of "+a.ID+" "+a.Name, orNone(strings.Join(a.IdentitySource, ", "))))
			}
		}
		if asked == 0 {
			return skipped("the API has no REQUEST authorizer")
		}
		return failed(without...)
	},
}

// credentialSource reports whether a request must bring something of the caller's
// for the authorizer to be asked: a context variable or the like is always there.
func (a *Authorizer) credentialSource() bool {
	for _, source := range a.IdentitySource {
		for _, word := range []string{".header.", ".querystring."} {
			if strings.Contains(source, word) {
				return true
			}
		}
	}
	return false
}
