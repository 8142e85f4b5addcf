package finding

import "strings"

var backendPlaintext = Rule{
	ID: "backend-plaintext", Title: "Calls go to the backend over the internet in the clear", Severity: High, Area: Exposure, Of: OfRoute,
	Looks: "The addresses of HTTP integrations that use no VPC link.",
	Why:   "API Gateway ends the caller's TLS and sends token and body on in the clear, for everybody on the way to read and to change.",
	Mend: Mend{
		CLI:         "aws apigateway update-integration --region {region} --rest-api-id {api} --resource-id {route_id} --http-method {method} --patch-operations op=replace,path=/uri,value=https://HOST/PATH",
		CLIV2:       "aws apigatewayv2 update-integration --region {region} --api-id {api} --integration-id INTEGRATION --integration-uri https://HOST/PATH",
		Terraform:   "# in aws_api_gateway_integration of {name}\nuri = \"https://HOST/PATH\"",
		TerraformV2: "# in aws_apigatewayv2_integration of {name}\nintegration_uri = \"https://HOST/PATH\"",
	},
	needs: []Part{PartIntegrations},
	check: func(s *scene) Outcome {
		b := s.route.Backend
		if !b.http() || b.VPCLink {
			return skipped("the route calls no HTTP backend over the internet")
		}
		if strings.HasPrefix(strings.ToLower(b.URI), "http:") {
			return failed(fact("integration", b.URI))
		}
		return passed(fact("integration", b.URI))
	},
}
