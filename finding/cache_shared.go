package finding

import (
	"net/http"
	"strings"
)

var cacheShared = Rule{
	ID: "cache-shared", Title: "One caller's answer is cached for the others", Severity: High, Area: Data, Of: OfStage,
	Types: []APIType{REST},
	Looks: "GET methods with authorization that a stage caches, and whether the cache's keys tell callers apart. A method whose answer is the same for everybody is a false positive: say so.",
	Why:   "The first caller's answer goes to all who ask for the same path. Where it depends on who asks, that is one user's data in another's hands.",
	Mend: Mend{
		CLI:       "aws apigateway update-integration --region {region} --rest-api-id {api} --resource-id RESOURCE --http-method GET --patch-operations op=add,path=/cacheKeyParameters/method.request.header.Authorization",
		Terraform: "# in aws_api_gateway_integration; the method's request_parameters must have it too\ncache_key_parameters = [\"method.request.header.Authorization\"]",
	},
	needs: []Part{PartRoutes, PartIntegrations},
	check: func(s *scene) Outcome {
		if !s.stage.Cache {
			return skipped("the stage has no cache")
		}
		judged := 0
		var shared []Evidence
		for i := range s.api.Routes {
			r := &s.api.Routes[i]
			if r.Method != http.MethodGet && r.Method != "ANY" || r.Authorization == "NONE" || !s.stage.caches(r) {
				continue
			}
			judged++
			if r.Backend == nil || !tellsCallersApart(r.Backend.CacheKeys) {
				shared = append(shared, fact("route "+r.Name(), "cached, and no cache key tells callers apart"))
			}
		}
		if judged == 0 {
			return skipped("no method with authorization is cached")
		}
		return failed(shared...)
	},
}

// caches reports whether answers of a route are cached: its own settings go before
// the stage's.
func (s *Stage) caches(r *Route) bool {
	cached := false
	for i := range s.Settings {
		set := &s.Settings[i]
		if set.Path == "*" && (set.Method == "*" || set.Method == "") {
			cached = set.Caching
		} else if set.Path == r.Path && set.Method == r.Method {
			return set.Caching
		}
	}
	return cached
}

func tellsCallersApart(keys []string) bool {
	for _, k := range keys {
		k = strings.ToLower(k)
		for _, word := range []string{"authorization", "token", "cookie", "session", "user", "principal", "sub", "api-key"} {
			if strings.Contains(k, word) {
				return true
			}
		}
	}
	return false
}
