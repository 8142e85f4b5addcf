package finding

import "strings"

var mtlsTruststore = Rule{
	ID: "mtls-truststore", Title: "The truststore of mutual TLS is not fixed, or has warnings", Severity: Medium, Area: Auth, Of: OfDomain,
	Looks: "The truststore's version and the warnings of API Gateway, for domains with mutual TLS.",
	Why:   "Without a version, whoever may write the bucket chooses who is let in at the next update; a warning tells of a certificate that is not taken.",
	Mend: Mend{
		CLI:       "aws apigateway update-domain-name --region {region} --domain-name {name} --patch-operations op=replace,path=/mutualTlsAuthentication/truststoreVersion,value=VERSION",
		Terraform: "# in mutual_tls_authentication of the domain name\ntruststore_uri     = \"s3://${aws_s3_bucket.trust.id}/truststore.pem\"\ntruststore_version = aws_s3_object.truststore.version_id",
	},
	check: func(s *scene) Outcome {
		if !s.domain.MutualTLS {
			return skipped("the domain asks for no client certificates")
		}
		var wrong []Evidence
		if s.domain.TruststoreVersion == "" {
			wrong = append(wrong, fact("truststore version", "none"))
		}
		if len(s.domain.TruststoreWarning) > 0 {
			wrong = append(wrong, fact("truststore warnings", strings.Join(s.domain.TruststoreWarning, "; ")))
		}
		return failed(wrong...)
	},
}
