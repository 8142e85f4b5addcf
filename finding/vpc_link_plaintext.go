package finding

import "strings"

var vpcLinkPlaintext = Rule{
	ID: "vpc-link-plaintext", Title: "Calls go through the VPC link without TLS", Severity: Medium, Area: Exposure, Of: OfRoute,
	Types: []APIType{REST, HTTP},
	Looks: "Integrations through a VPC link: the address of a REST API's, the TLS settings of an HTTP API's.",
	Why:   "Tokens and bodies cross the network in the clear, and whoever stands in the VPC reads them.",
	Mend: Mend{
		CLI:         "aws apigateway update-integration --region {region} --rest-api-id {api} --resource-id {route_id} --http-method {method} --patch-operations op=replace,path=/uri,value=https://HOST/PATH",
		CLIV2:       "aws apigatewayv2 update-integration --region {region} --api-id {api} --integration-id INTEGRATION --tls-config ServerNameToVerify=HOST",
		Terraform:   "# in aws_api_gateway_integration of {name}\nuri = \"https://HOST/PATH\"",
		TerraformV2: "# in aws_apigatewayv2_integration of {name}\ntls_config {\n  server_name_to_verify = \"HOST\"\n}",
	},
	Peers: Peers{SecurityHub: []string{"APIGateway.10"}},
	needs: []Part{PartIntegrations},
	check: func(s *scene) Outcome {
		b := s.route.Backend
		if b == nil || !b.VPCLink {
			return skipped("the route uses no VPC link")
		}
		if s.api.Type == REST && strings.HasPrefix(strings.ToLower(b.URI), "https:") || s.api.Type == HTTP && b.TLS {
			return passed(fact("integration", b.URI))
		}
		return failed(fact("integration", b.URI), fact("TLS", "none"))
	},
}
