package finding

var endpointPublic = Rule{
	ID: "endpoint-public", Title: "The API is reached from the internet", Severity: Info, Area: Exposure, Of: OfAPI,
	Types: []APIType{REST},
	Looks: "The endpoint type of REST APIs. HTTP and WebSocket APIs have no private one.",
	Why:   "An API that only your own networks call need not be on the internet. Many are meant to be: this is a fact to know, and not a fault.",
	Mend: Mend{
		CLI:       "aws apigateway update-rest-api --region {region} --rest-api-id {api} --patch-operations op=replace,path=/endpointConfiguration/types/REGIONAL,value=PRIVATE",
		Terraform: "# in aws_api_gateway_rest_api\nendpoint_configuration {\n  types            = [\"PRIVATE\"]\n  vpc_endpoint_ids = [aws_vpc_endpoint.execute_api.id]\n}",
	},
	Peers: Peers{Prowler: []string{"apigateway_restapi_public"}, KICS: []string{"endpoint_config_is_not_private"}, CloudSploit: []string{"private endpoints"}},
	check: func(s *scene) Outcome {
		switch {
		case s.api.EndpointType == "":
			return unseen("AWS told no endpoint type")
		case s.api.private():
			return passed(fact("endpoint type", s.api.EndpointType))
		}
		return failed(fact("endpoint type", s.api.EndpointType))
	},
}
