package finding

var cacheUnencrypted = Rule{
	ID: "cache-unencrypted", Title: "Answers are cached unencrypted", Severity: Medium, Area: Data, Of: OfStage,
	Types: []APIType{REST},
	Looks: "Stages with a cache, and methods that cache without encryption. A stage without a cache is not judged: caching is no security control.",
	Why:   "The cache holds answers, personal data among them.",
	Mend: Mend{
		CLI:       "aws apigateway update-stage --region {region} --rest-api-id {api} --stage-name {stage} --patch-operations 'op=replace,path=/*/*/caching/dataEncrypted,value=true'",
		Terraform: "# in aws_api_gateway_method_settings\nsettings {\n  cache_data_encrypted = true\n}",
	},
	Peers: Peers{
		SecurityHub: []string{"APIGateway.5"}, Prowler: []string{"apigateway_restapi_cache_encrypted"}, Checkov: []string{"CKV_AWS_308"},
		KICS: []string{"method_settings_cache_not_encrypted"}, CloudSploit: []string{"cache encryption"},
	},
	check: func(s *scene) Outcome {
		return s.eachCaching(func(set *Settings) *Evidence {
			if set.CacheEncrypted {
				return nil
			}
			return &Evidence{"cache of " + set.name(), "not encrypted"}
		})
	},
}

// eachCaching judges the settings that cache.
func (s *scene) eachCaching(wrong func(*Settings) *Evidence) Outcome {
	if !s.stage.Cache {
		return skipped("the stage has no cache")
	}
	caching := 0
	var out []Evidence
	for i := range s.stage.Settings {
		set := &s.stage.Settings[i]
		if !set.Caching {
			continue
		}
		caching++
		if e := wrong(set); e != nil {
			out = append(out, *e)
		}
	}
	if caching == 0 {
		return skipped("no method is cached")
	}
	return failed(out...)
}
