package finding

import (
	"strconv"
	"strings"
)

var authorizerCacheWide = Rule{
	ID: "authorizer-cache-wide", Title: "An authorizer's yes for one route is kept for the others", Severity: Medium, Area: Auth, Of: OfAPI,
	Types: []APIType{HTTP},
	Looks: "Lambda authorizers with simple responses that are cached, and whether the identity sources name the route. An answer that is a policy names the routes itself.",
	Why:   "A simple answer says yes and not to what. Cached by the token alone, the yes for a harmless route opens every route that uses the authorizer until it runs out.",
	Mend: Mend{
		CLI:       "aws apigatewayv2 update-authorizer --region {region} --api-id {api} --authorizer-id AUTHORIZER --identity-source '$request.header.Authorization' '$context.routeKey'",
		Terraform: "# in aws_apigatewayv2_authorizer\nidentity_sources = [\"$request.header.Authorization\", \"$context.routeKey\"]",
	},
	needs: []Part{PartAuthorizers, PartRoutes},
	check: func(s *scene) Outcome {
		simple := 0
		var wide []Evidence
		for i := range s.api.Authorizers {
			a := &s.api.Authorizers[i]
			if a.Type != "REQUEST" || !a.Simple {
				continue
			}
			simple++
			if a.TTL == nil || *a.TTL == 0 || a.namesRoute() {
				continue // an HTTP API caches only where somebody asked for it
			}
			routes := 0
			for j := range s.api.Routes {
				if s.api.Routes[j].AuthorizerID == a.ID {
					routes++
				}
			}
			if routes > 1 {
				wide = append(wide, fact("authorizer "+a.ID+" "+a.Name, "cached for "+strconv.Itoa(int(*a.TTL))+" s by "+orNone(strings.Join(a.IdentitySource, ", "))+", used by "+plural(routes, "route")))
			}
		}
		if simple == 0 {
			return skipped("the API has no Lambda authorizer with simple responses")
		}
		return failed(wide...)
	},
}

func (a *Authorizer) namesRoute() bool {
	for _, source := range a.IdentitySource {
		if strings.Contains(source, "context.routeKey") || strings.Contains(source, "context.path") {
			return true
		}
	}
	return false
}
