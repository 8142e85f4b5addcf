package finding

var clientCertificateMissing = Rule{
	ID: "client-certificate-missing", Title: "The backend cannot tell API Gateway from others", Severity: Low, Area: Data, Of: OfStage,
	Types: []APIType{REST},
	Looks: "The client certificate of stages whose API has HTTP integrations over the internet.",
	Why:   "A backend with a public address can be called past the gateway. A client certificate lets it answer to API Gateway alone.",
	Mend: Mend{
		CLI:       "aws apigateway generate-client-certificate --region {region}\naws apigateway update-stage --region {region} --rest-api-id {api} --stage-name {stage} --patch-operations op=replace,path=/clientCertificateId,value=CERTIFICATE",
		Terraform: "resource \"aws_api_gateway_client_certificate\" \"this\" {}\n\n# in aws_api_gateway_stage\nclient_certificate_id = aws_api_gateway_client_certificate.this.id",
	},
	Peers: Peers{
		SecurityHub: []string{"APIGateway.2"}, Prowler: []string{"apigateway_restapi_client_certificate_enabled"}, Checkov: []string{"CKV2_AWS_51"},
		KICS: []string{"without_ssl_certificate"}, CloudSploit: []string{"client cert"},
	},
	needs: []Part{PartRoutes, PartIntegrations},
	check: func(s *scene) Outcome {
		backend := ""
		for i := range s.api.Routes {
			if b := s.api.Routes[i].Backend; b.http() && !b.VPCLink {
				backend = b.URI
				break
			}
		}
		switch {
		case backend == "":
			return skipped("the API has no HTTP integration over the internet")
		case s.stage.ClientCertificate == "":
			return failed(fact("client certificate", "none"), fact("integration, for one", backend))
		}
		return passed(fact("client certificate", s.stage.ClientCertificate))
	},
}
