package finding

var corsCredentials = Rule{
	ID: "cors-credentials", Title: "Pages of every origin may call with the user's cookies", Severity: High, Area: Exposure, Of: OfAPI,
	Types: []APIType{REST, HTTP},
	Looks: "CORS that allows credentials together with every origin, with all of https, or with whichever origin the request or the backend names.",
	Why:   "A page of an attacker that a signed-in user visits then acts and reads as that user. Browsers refuse a plain * with credentials, and so people reflect the origin, which is worse.",
	Mend: Mend{
		CLI:         "aws apigateway update-integration-response --region {region} --rest-api-id {api} --resource-id RESOURCE --http-method METHOD --status-code 200 --patch-operations \"op=replace,path=/responseParameters/method.response.header.Access-Control-Allow-Origin,value='https://app.example.com'\"",
		CLIV2:       "aws apigatewayv2 update-api --region {region} --api-id {api} --cors-configuration AllowOrigins=https://app.example.com,AllowCredentials=true",
		Terraform:   "# in aws_api_gateway_integration_response\nresponse_parameters = {\n  \"method.response.header.Access-Control-Allow-Origin\" = \"'https://app.example.com'\"\n}",
		TerraformV2: "# in aws_apigatewayv2_api\ncors_configuration {\n  allow_origins     = [\"https://app.example.com\"]\n  allow_credentials = true\n}",
	},
	needs: []Part{PartRoutes, PartIntegrations, PartResponses},
	check: func(s *scene) Outcome {
		with := 0
		var wide []Evidence
		for _, o := range s.api.origins() {
			if !o.credentials {
				continue
			}
			with++
			if o.any || o.reflected {
				wide = append(wide, fact("origin of "+o.where+", with credentials", o.value))
			}
		}
		if with == 0 {
			return skipped("no CORS answer of API Gateway allows credentials")
		}
		return failed(wide...)
	},
}
