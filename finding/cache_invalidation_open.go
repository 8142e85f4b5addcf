package finding

var cacheInvalidationOpen = Rule{
	ID: "cache-invalidation-open", Title: "Every caller may empty the cache", Severity: Low, Area: Data, Of: OfStage,
	Types: []APIType{REST},
	Looks: "Methods that cache, and whether invalidation needs execute-api:InvalidateCache.",
	Why:   "With Cache-Control: max-age=0 every caller sends every call to the backend, which the cache was to spare.",
	Mend: Mend{
		CLI:       "aws apigateway update-stage --region {region} --rest-api-id {api} --stage-name {stage} --patch-operations 'op=replace,path=/*/*/caching/requireAuthorizationForCacheControl,value=true'",
		Terraform: "# in aws_api_gateway_method_settings\nsettings {\n  require_authorization_for_cache_control    = true\n  unauthorized_cache_control_header_strategy = \"FAIL_WITH_403\"\n}",
	},
	check: func(s *scene) Outcome {
		return s.eachCaching(func(set *Settings) *Evidence {
			if set.CacheInvalidationGuarded {
				return nil
			}
			return &Evidence{"cache of " + set.name(), "anybody may invalidate it"}
		})
	},
}
