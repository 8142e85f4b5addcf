package finding

import "testing"

// What others take for safe, or for open, by how the configuration is written.
func TestPeersFalseResults(t *testing.T) {
	t.Parallel()
	open := func(w *world) { w.route.Authorization = "NONE" }
	for _, c := range []ruleCase{
		{"route-open", REST, "an authorizer that is attached nowhere protects nothing", func(w *world) {
			open(w)
			w.api.Authorizers = []Authorizer{{ID: "a", Type: "TOKEN"}}
		}, Fail},
		{"route-open", HTTP, "an authorizer on one route protects no other", func(w *world) {
			w.api.Authorizers, w.route.Authorization, w.route.AuthorizerID = []Authorizer{{ID: "a", Type: "JWT"}}, "JWT", "a"
			w.api.Routes = append(w.api.Routes, Route{Method: "GET", Path: "/open", Authorization: "NONE"})
		}, Fail},
		{"route-open", REST, "a preflight method is no hole", func(w *world) { open(w); w.route.Method = "OPTIONS" }, NotApplicable},
		{"execution-log-off", HTTP, "an HTTP API has no logging level", func(w *world) { w.stage.LoggingLevel = "" }, NotApplicable},
		{"execution-log-off", WebSocket, "a WebSocket API has one", func(w *world) { w.stage.LoggingLevel = "OFF" }, Fail},
		{"route-open", REST, "a narrow Deny closes nothing", func(w *world) {
			open(w)
			w.api.Policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*"},
				{"Effect":"Deny","Principal":"*","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:eu-west-1:111122223333:api1/prod/GET/admin"}]}`
		}, Fail},
		{"route-open", REST, "a Deny of some addresses closes nothing", func(w *world) {
			open(w)
			w.api.Policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*"},
				{"Effect":"Deny","Principal":"*","Action":"execute-api:Invoke","Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"198.51.100.0/24"}}}]}`
		}, Fail},
		{"route-open", REST, "a Deny of all but some addresses does", func(w *world) {
			open(w)
			w.api.Policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*"},
				{"Effect":"Deny","Principal":"*","Action":"execute-api:Invoke","Resource":"*","Condition":{"NotIpAddress":{"aws:SourceIp":"198.51.100.0/24"}}}]}`
		}, Pass},
		{"route-open", REST, "a user agent keeps nobody out", func(w *world) {
			open(w)
			w.api.Policy = policy("Allow", `"*"`, `{"StringLike":{"aws:UserAgent":"Our-App/*"}}`)
		}, Fail},
		{"route-open", REST, "nor a referer with the agent", func(w *world) {
			open(w)
			w.api.Policy = policy("Allow", `"*"`, `{"StringLike":{"aws:UserAgent":"Our-App/*","aws:Referer":"https://a.example/*"}}`)
		}, Fail},
		{"route-open", REST, "nor TLS, which everybody has", func(w *world) {
			open(w)
			w.api.Policy = policy("Allow", `"*"`, `{"Bool":{"aws:SecureTransport":"true"}}`)
		}, Fail},
		{"route-open", REST, "nor all addresses", func(w *world) {
			open(w)
			w.api.Policy = policy("Allow", `"*"`, `{"IpAddress":{"aws:SourceIp":["0.0.0.0/1","128.0.0.0/1"]}}`)
		}, Fail},
		{"route-open", REST, "nor a negated key that is absent", func(w *world) {
			open(w)
			w.api.Policy = policy("Allow", `"*"`, `{"StringNotEquals":{"aws:PrincipalOrgID":"o-mine000000"}}`)
		}, Fail},
		{"route-open", REST, "nor IfExists", func(w *world) {
			open(w)
			w.api.Policy = policy("Allow", `"*"`, `{"StringEqualsIfExists":{"aws:PrincipalOrgID":"o-mine000000"}}`)
		}, Fail},
		{"route-open", REST, "a few addresses do", func(w *world) {
			open(w)
			w.api.Policy = policy("Allow", `"*"`, `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`)
		}, Pass},
		{"route-open", REST, "AWS star is everybody too", func(w *world) { open(w); w.api.Policy = policy("Allow", `{"AWS":"*"}`, "") }, Fail},
		{"route-open", REST, "a policy for accounts lets no anonymous in", func(w *world) { open(w); w.api.Policy = policy("Allow", `{"AWS":"444455556666"}`, "") }, Pass},
		{"route-open", REST, "a time that is over opens nothing", func(w *world) {
			open(w)
			w.api.Policy = policy("Allow", `"*"`, `{"DateLessThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}}`)
		}, Pass},
		{"policy-any-account", REST, "an organization is not everybody", func(w *world) {
			w.api.Policy = policy("Allow", `"*"`, `{"StringEquals":{"aws:PrincipalOrgID":"o-mine000000"}}`)
		}, Pass},
		{"policy-any-account", REST, "a principal by pattern is", func(w *world) {
			w.api.Policy = policy("Allow", `"*"`, `{"StringLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/*"}}`)
		}, Fail},
		{"policy-any-account", REST, "all but one account is everybody", func(w *world) {
			w.api.Policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*"},
				{"Effect":"Deny","NotPrincipal":{"AWS":["arn:aws:iam::111122223333:root"]},"Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:eu-west-1:111122223333:api1/prod/DELETE/*"}]}`
		}, Fail},
		{"policy-any-account", REST, "a Deny of everybody else is not", func(w *world) {
			w.api.Policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*"},
				{"Effect":"Deny","Principal":"*","Action":"execute-api:Invoke","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalAccount":"444455556666"}}}]}`
		}, Pass},
		{"private-policy-open", REST, "a VPC endpoint by star is any", func(w *world) {
			open(w)
			w.api.EndpointType, w.api.Policy = "PRIVATE", policy("Allow", `"*"`, `{"StringLike":{"aws:SourceVpce":"vpce-*"}}`)
		}, Fail},
		{"cache-unencrypted", REST, "no cache is no fault", nothing, NotApplicable},
	} {
		t.Run(c.rule+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(c.of)
			c.change(w)
			w.check(t, c.rule, c.want)
		})
	}
}
