package finding

import "strconv"

var timeoutLongest = Rule{
	ID: "timeout-longest", Title: "Routes wait for their backend as long as API Gateway allows", Severity: Info, Area: Limits, Of: OfAPI,
	Types: []APIType{REST, HTTP},
	Looks: "Integration timeouts that stand at the default, which is the longest: 29 s for a REST API, 30 s for an HTTP API. Best evidence for what AWS answers where nobody set one.",
	Why:   "A backend that hangs keeps callers and connections for half a minute each, and they pile up.",
	Mend: Mend{
		CLI:         "aws apigateway update-integration --region {region} --rest-api-id {api} --resource-id RESOURCE --http-method METHOD --patch-operations op=replace,path=/timeoutInMillis,value=10000",
		CLIV2:       "aws apigatewayv2 update-integration --region {region} --api-id {api} --integration-id INTEGRATION --timeout-in-millis 10000",
		Terraform:   "# in aws_api_gateway_integration\ntimeout_milliseconds = 10000",
		TerraformV2: "# in aws_apigatewayv2_integration\ntimeout_milliseconds = 10000",
	},
	needs: []Part{PartRoutes, PartIntegrations},
	check: func(s *scene) Outcome {
		most, backends := int32(29_000), 0
		if s.api.Type == HTTP {
			most = 30_000
		}
		var long []Evidence
		for i := range s.api.Routes {
			b := s.api.Routes[i].Backend
			if b == nil || b.Type == "MOCK" {
				continue
			}
			backends++
			if b.TimeoutMillis == 0 || b.TimeoutMillis >= most {
				value := "the default"
				if b.TimeoutMillis != 0 {
					value = strconv.Itoa(int(b.TimeoutMillis)) + " ms"
				}
				long = append(long, fact("timeout of "+s.api.Routes[i].Name(), value))
			}
		}
		if backends == 0 {
			return skipped("no route calls a backend")
		}
		return failed(long...)
	},
}
