package finding

import "strings"

var domainTLSOld = Rule{
	ID: "domain-tls-old", Title: "The domain takes old versions of TLS", Severity: High, Area: Exposure, Of: OfDomain,
	Looks: "The security policy of custom domains: TLS 1.2 at least.",
	Why:   "TLS 1.0 and 1.1 have known weaknesses, and an attacker in the middle can make both sides use them.",
	Mend: Mend{
		CLI:       "aws apigateway update-domain-name --region {region} --domain-name {name} --patch-operations op=replace,path=/securityPolicy,value=TLS_1_2",
		Terraform: "# in aws_api_gateway_domain_name\nsecurity_policy = \"TLS_1_2\"",
	},
	Peers: Peers{SecurityHub: []string{"APIGateway.11"}, Checkov: []string{"CKV_AWS_206"}, KICS: []string{"without_security_policy"}, CloudSploit: []string{"custom-domain TLS"}},
	check: func(s *scene) Outcome {
		policy := fact("security policy", s.domain.TLSPolicy)
		switch {
		case s.domain.TLSPolicy == "":
			return unseen("AWS told no security policy of the domain")
		case oldTLS(s.domain.TLSPolicy):
			return failed(policy)
		case modernTLS(s.domain.TLSPolicy):
			return passed(policy)
		}
		return unseen("the security policy " + s.domain.TLSPolicy + " is not known here")
	},
}

func oldTLS(policy string) bool {
	p := strings.ToUpper(policy)
	return strings.Contains(p, "TLS_1_0") || strings.Contains(p, "TLS_1_1") || strings.Contains(p, "TLS10") || strings.Contains(p, "TLS11")
}

// modernTLS reports whether a policy begins at TLS 1.2. Best evidence: AWS names the
// newer ones SecurityPolicy_TLS13_…, and lists the versions in the name.
func modernTLS(policy string) bool {
	p := strings.ToUpper(policy)
	return strings.Contains(p, "TLS_1_2") || strings.Contains(p, "TLS_1_3") || strings.Contains(p, "TLS12") || strings.Contains(p, "TLS13")
}
