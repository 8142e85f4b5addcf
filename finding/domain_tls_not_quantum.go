package finding

import "strings"

var domainTLSNotQuantum = Rule{
	ID: "domain-tls-not-post-quantum", Title: "The domain agrees on no key that a quantum computer could not find", Severity: Info, Area: Exposure, Of: OfDomain,
	Looks: "Whether the domain's security policy is one with post-quantum key exchange.",
	Why:   "What is recorded today can be opened later. It matters for what must stay secret for many years.",
	Mend: Mend{
		CLI:       "aws apigateway update-domain-name --region {region} --domain-name {name} --patch-operations op=replace,path=/securityPolicy,value=POLICY   # one whose name holds PQ",
		Terraform: "# in aws_api_gateway_domain_name: a policy whose name holds PQ\nsecurity_policy = \"POLICY\"",
	},
	Peers: Peers{Prowler: []string{"apigateway_domain_name_pqc_tls_enabled"}},
	check: func(s *scene) Outcome {
		if s.domain.TLSPolicy == "" {
			return unseen("AWS told no security policy of the domain")
		}
		policy := fact("security policy", s.domain.TLSPolicy)
		if strings.Contains(strings.ToUpper(s.domain.TLSPolicy), "PQ") {
			return passed(policy)
		}
		return failed(policy)
	},
}
