package finding

var defaultEndpointBesideMTLS = Rule{
	ID: "default-endpoint-beside-mtls", Title: "The API's own address goes round the client certificates of its domain", Severity: High, Area: Auth, Of: OfAPI,
	Types: []APIType{REST, HTTP},
	Looks: "APIs behind a custom domain with mutual TLS, and whether the execute-api endpoint is disabled.",
	Why:   "Client certificates are asked for at the custom domain alone. At the execute-api address of the same API nobody asks.",
	Mend: Mend{
		CLI:         "aws apigateway update-rest-api --region {region} --rest-api-id {api} --patch-operations op=replace,path=/disableExecuteApiEndpoint,value=true\naws apigateway create-deployment --region {region} --rest-api-id {api} --stage-name STAGE",
		CLIV2:       "aws apigatewayv2 update-api --region {region} --api-id {api} --disable-execute-api-endpoint",
		Terraform:   "# in aws_api_gateway_rest_api\ndisable_execute_api_endpoint = true",
		TerraformV2: "# in aws_apigatewayv2_api\ndisable_execute_api_endpoint = true",
	},
	Peers: Peers{CloudSploit: []string{"default execute-api endpoint disabled"}},
	needs: []Part{PartDomains},
	check: func(s *scene) Outcome {
		mutual, blind := "", ""
		for i := range s.place.Domains {
			d := &s.place.Domains[i]
			if !d.MutualTLS {
				continue
			}
			if len(d.Unseen) > 0 {
				blind = d.Name
			}
			if d.reaches(s.api.ID) {
				mutual = d.Name
			}
		}
		switch {
		case mutual == "" && blind != "":
			return unseen("the mappings of " + blind + " could not be read")
		case mutual == "":
			return skipped("no domain with mutual TLS reaches the API")
		case s.api.DefaultDisabled || s.api.private():
			return passed(fact("domain with mutual TLS", mutual), fact("execute-api endpoint", "not public"))
		}
		return failed(fact("domain with mutual TLS", mutual), fact("execute-api endpoint", "enabled"))
	},
}

func (d *Domain) reaches(api string) bool {
	for _, m := range d.Mappings {
		if m.API == api {
			return true
		}
	}
	return false
}
