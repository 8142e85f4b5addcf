package finding

var defaultEndpointSpare = Rule{
	ID: "default-endpoint-spare", Title: "The API answers at an address beside its domain", Severity: Low, Area: Exposure, Of: OfAPI,
	Looks: "APIs behind a custom domain, and whether their execute-api endpoint is disabled.",
	Why:   "What stands before the domain, such as a CDN or a firewall, is gone round at the execute-api address.",
	Mend: Mend{
		CLI:         "aws apigateway update-rest-api --region {region} --rest-api-id {api} --patch-operations op=replace,path=/disableExecuteApiEndpoint,value=true\naws apigateway create-deployment --region {region} --rest-api-id {api} --stage-name STAGE",
		CLIV2:       "aws apigatewayv2 update-api --region {region} --api-id {api} --disable-execute-api-endpoint",
		Terraform:   "# in aws_api_gateway_rest_api\ndisable_execute_api_endpoint = true",
		TerraformV2: "# in aws_apigatewayv2_api\ndisable_execute_api_endpoint = true",
	},
	Peers: Peers{CloudSploit: []string{"default execute-api endpoint disabled"}},
	needs: []Part{PartDomains},
	check: func(s *scene) Outcome {
		domain, blind := "", ""
		for i := range s.place.Domains {
			d := &s.place.Domains[i]
			switch {
			case d.reaches(s.api.ID) && !d.MutualTLS:
				domain = d.Name
			case len(d.Unseen) > 0:
				blind = d.Name
			}
		}
		switch {
		case s.api.private():
			return skipped("the API is private")
		case domain == "" && blind != "":
			return unseen("the mappings of " + blind + " could not be read")
		case domain == "":
			return skipped("no domain reaches the API, or default-endpoint-beside-mtls tells")
		case s.api.DefaultDisabled:
			return passed(fact("domain", domain), fact("execute-api endpoint", "disabled"))
		}
		return failed(fact("domain", domain), fact("execute-api endpoint", "enabled"))
	},
}
