package finding

import "time"

var clientCertificateExpiring = Rule{
	ID: "client-certificate-expiring", Title: "The client certificate ends soon", Severity: Medium, Area: Data, Of: OfStage,
	Types: []APIType{REST},
	Looks: "How long the client certificate of the stage is still good: 30 days at least.",
	Why:   "When it ends, a backend that checks it refuses every call.",
	Mend: Mend{
		CLI:       "aws apigateway generate-client-certificate --region {region}\n# let the backends trust it, then:\naws apigateway update-stage --region {region} --rest-api-id {api} --stage-name {stage} --patch-operations op=replace,path=/clientCertificateId,value=CERTIFICATE",
		Terraform: "# make a second aws_api_gateway_client_certificate, let the backends trust it, then\n# in aws_api_gateway_stage\nclient_certificate_id = aws_api_gateway_client_certificate.next.id",
	},
	Peers: Peers{CloudSploit: []string{"client-certificate expiry/rotation"}},
	needs: []Part{PartCertificates},
	check: func(s *scene) Outcome {
		if s.stage.ClientCertificate == "" {
			return skipped("the stage has no client certificate")
		}
		for _, c := range s.place.Certificates {
			if c.ID != s.stage.ClientCertificate {
				continue
			}
			if c.Expires.IsZero() {
				return unseen("AWS told no end of the certificate " + c.ID)
			}
			end := fact("certificate "+c.ID, "ends "+c.Expires.UTC().Format(time.DateOnly))
			if c.Expires.Sub(s.now) < certificateNotice {
				return failed(end)
			}
			return passed(end)
		}
		return failed(fact("certificate "+s.stage.ClientCertificate, "is not there any more"))
	},
}

// certificateNotice is how long before its end a certificate should be renewed.
const certificateNotice = 30 * 24 * time.Hour
