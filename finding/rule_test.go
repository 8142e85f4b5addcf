package finding

import (
	"slices"
	"testing"
	"time"
)

type ruleCase struct {
	rule   string
	of     APIType
	name   string
	change func(*world)
	want   Verdict
}

func policy(effect, principal, condition string) string {
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return `{"Version":"2012-10-17","Statement":[{"Sid":"S1","Effect":"` + effect + `","Principal":` + principal +
		`,"Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:eu-west-1:111122223333:api1/*"` + condition + `}]}`
}

func domain(w *world, d Domain) { w.place.Domains = append(w.place.Domains, d) }
func group(w *world, g LogGroup) {
	w.place.LogGroups = append(w.place.LogGroups, g)
}

const fullFormat = "$context.requestId $context.resourcePath $context.status $context.identity.caller $context.identity.sourceIp $context.identity.userAgent $context.authorizer.error"

func nothing(*world) {}

func cached(w *world, set Settings) {
	set.Method, set.Path, set.Caching = "*", "*", true
	w.stage.Cache, w.stage.Settings = true, []Settings{set}
}

// ruleCases are the cases of all rules.
var ruleCases = slices.Concat(apiRuleCases, webACLRuleCases, functionRuleCases, corsRuleCases, trafficRuleCases, clusterRuleCases, roleRuleCases)

var apiRuleCases = []ruleCase{
	{"execution-log-off", REST, "info", nothing, Pass},
	{"execution-log-off", REST, "off", func(w *world) { w.stage.LoggingLevel = "OFF" }, Fail},
	{"execution-log-off", WebSocket, "off", func(w *world) { w.stage.LoggingLevel = "OFF" }, Fail},
	{"execution-log-off", REST, "delivered", func(w *world) { w.stage.LoggingLevel, w.stage.Deliveries = "OFF", []string{"EXECUTION_LOGS"} }, Pass},
	{"execution-log-off", HTTP, "has none", func(w *world) { w.stage.LoggingLevel = "" }, NotApplicable},
	{"execution-log-partly-off", REST, "all", nothing, Pass},
	{"execution-log-partly-off", REST, "one off", func(w *world) {
		w.stage.Settings = append(w.stage.Settings, Settings{Method: "GET", Path: "/pets", LoggingLevel: "OFF"})
	}, Fail},
	{"execution-log-partly-off", REST, "off at all", func(w *world) { w.stage.LoggingLevel = "OFF" }, NotApplicable},
	{"execution-log-partly-off", HTTP, "has none", nothing, NotApplicable},
	{"access-log-off", HTTP, "none", nothing, Fail},
	{"access-log-off", HTTP, "none, deliveries unread", func(w *world) { w.unsee(PartDeliveries) }, NotSeen},
	{"access-log-off", HTTP, "one, deliveries unread", func(w *world) { w.stage.AccessLog = "arn:group"; w.unsee(PartDeliveries) }, Pass},
	{"execution-log-off", REST, "off, deliveries unread", func(w *world) { w.stage.LoggingLevel = "OFF"; w.unsee(PartDeliveries) }, NotSeen},
	{"access-log-off", HTTP, "one", func(w *world) { w.stage.AccessLog = "arn:group" }, Pass},
	{"access-log-off", REST, "delivered", func(w *world) { w.stage.Deliveries = []string{"ACCESS_LOGS"} }, Pass},
	{"access-log-format", REST, "full", func(w *world) { w.stage.AccessLog, w.stage.AccessFormat = "arn:group", fullFormat }, Pass},
	{"access-log-format", REST, "no caller", func(w *world) {
		w.stage.AccessLog, w.stage.AccessFormat = "arn:group", "$context.requestId $context.status"
	}, Fail},
	{"access-log-format", REST, "no log", nothing, NotApplicable},
	{"log-role-missing", REST, "role", nothing, Pass},
	{"log-role-missing", REST, "none", func(w *world) { w.place.LogRole = "" }, Fail},
	{"log-role-missing", HTTP, "needs none", func(w *world) { w.place.LogRole = "" }, NotApplicable},
	{"data-trace-unprotected", REST, "off", nothing, Pass},
	{"data-trace-unprotected", REST, "bare", func(w *world) { w.stage.Settings[0].DataTrace = true; group(w, LogGroup{Name: "exec"}) }, Fail},
	{"data-trace-unprotected", REST, "no key", func(w *world) {
		w.stage.Settings[0].DataTrace = true
		group(w, LogGroup{Name: "exec", Protected: true})
	}, Fail},
	{"data-trace-unprotected", REST, "no group", func(w *world) { w.stage.Settings[0].DataTrace = true }, Fail},
	{"data-trace-unprotected", REST, "protected", func(w *world) {
		w.stage.Settings[0].DataTrace = true
		group(w, LogGroup{Name: "exec", Protected: true, KMSKey: "arn:key"})
	}, Pass},
	{"data-trace-unprotected", HTTP, "has none", nothing, NotApplicable},
	{"execution-log-cut", REST, "no trace", nothing, NotApplicable},
	{"execution-log-cut", REST, "cut", func(w *world) { w.stage.Settings[0].DataTrace = true }, Fail},
	{"execution-log-cut", REST, "delivered", func(w *world) {
		w.stage.Settings[0].DataTrace, w.stage.Deliveries = true, []string{"EXECUTION_LOGS"}
	}, Pass},
	{"log-group-unencrypted", "", "no key", func(w *world) { group(w, LogGroup{Name: "g"}) }, Fail},
	{"log-group-unencrypted", "", "key", func(w *world) { group(w, LogGroup{Name: "g", KMSKey: "k"}) }, Pass},
	{"log-group-retention", "", "for ever", func(w *world) { group(w, LogGroup{Name: "g"}) }, Fail},
	{"log-group-retention", "", "a week", func(w *world) { group(w, LogGroup{Name: "g", RetentionDays: 7}) }, Fail},
	{"log-group-retention", "", "a year", func(w *world) { group(w, LogGroup{Name: "g", RetentionDays: 365}) }, Pass},
	{"log-policy-public", "", "none", nothing, NotApplicable},
	{"log-policy-public", "", "service", func(w *world) {
		w.place.LogPolicies = []LogPolicy{{"p", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"delivery.logs.amazonaws.com"},"Action":"logs:PutLogEvents","Resource":"*"}]}`}}
	}, Pass},
	{"log-policy-public", "", "everybody", func(w *world) {
		w.place.LogPolicies = []LogPolicy{{"p", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"logs:PutLogEvents","Resource":"*"}]}`}}
	}, Fail},
	{"log-policy-public", "", "one account", func(w *world) {
		w.place.LogPolicies = []LogPolicy{{"p", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"logs:*","Resource":"*","Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-mine000000"}}}]}`}}
	}, Pass},
	{"log-policy-public", "", "no policy at all", func(w *world) { w.place.LogPolicies = []LogPolicy{{"p", `{`}} }, NotSeen},
	{"log-subscription-foreign", "", "none", func(w *world) { group(w, LogGroup{Name: "g"}) }, NotApplicable},
	{"log-subscription-foreign", "", "own", func(w *world) {
		group(w, LogGroup{Name: "g", Subscriptions: []string{"arn:aws:lambda:eu-west-1:111122223333:function:f"}})
	}, Pass},
	{"log-subscription-foreign", "", "foreign", func(w *world) {
		group(w, LogGroup{Name: "g", Subscriptions: []string{"arn:aws:logs:eu-west-1:999999999999:destination:d"}})
	}, Fail},
	{"tracing-off", REST, "off", nothing, Fail},
	{"tracing-off", REST, "on", func(w *world) { w.stage.Tracing = true }, Pass},
	{"tracing-off", WebSocket, "has none", nothing, NotApplicable},
	{"metrics-off", HTTP, "off", nothing, Fail},
	{"metrics-off", HTTP, "on", func(w *world) { w.stage.Settings[0].Metrics = true }, Pass},

	{"route-open", REST, "IAM", nothing, Pass},
	{"route-open", REST, "open", func(w *world) { w.route.Authorization = "NONE" }, Fail},
	{"route-open", HTTP, "open", func(w *world) { w.route.Authorization = "NONE" }, Fail},
	{"route-open", REST, "OPTIONS", func(w *world) { w.route.Authorization, w.route.Method = "NONE", "OPTIONS" }, NotApplicable},
	{"route-open", REST, "not told", func(w *world) { w.route.Authorization = "" }, NotSeen},
	{"route-open", REST, "no stage", func(w *world) { w.route.Authorization, w.api.Stages = "NONE", nil }, NotApplicable},
	{"route-open", WebSocket, "inherits", func(w *world) { w.route.Authorization = "NONE" }, NotApplicable},
	{"route-open", REST, "broken policy", func(w *world) { w.route.Authorization, w.api.Policy = "NONE", "{" }, NotSeen},
	{"route-catch-all-open", HTTP, "default", func(w *world) { w.route.Authorization, w.route.Path = "NONE", "$default" }, Fail},
	{"route-catch-all-open", REST, "proxy", func(w *world) {
		w.route.Authorization, w.route.Method, w.route.Path = "NONE", "ANY", "/a/{proxy+}"
	}, Fail},
	{"route-catch-all-open", REST, "closed", func(w *world) { w.route.Path = "/{proxy+}" }, Pass},
	{"route-catch-all-open", REST, "a path", nothing, NotApplicable},
	{"route-key-only", REST, "key", func(w *world) { w.route.Authorization, w.route.KeyRequired = "NONE", true }, Fail},
	{"route-key-only", WebSocket, "key", func(w *world) { w.route.Authorization, w.route.KeyRequired = "NONE", true }, Fail},
	{"route-key-only", REST, "key and IAM", func(w *world) { w.route.KeyRequired = true }, Pass},
	{"route-key-only", REST, "no key", nothing, NotApplicable},
	{"websocket-open", WebSocket, "IAM", nothing, Pass},
	{"websocket-open", WebSocket, "open", func(w *world) { w.route.Authorization = "NONE" }, Fail},
	{"websocket-open", WebSocket, "no $connect", func(w *world) { w.route.Path = "say" }, Fail},
	{"websocket-open", WebSocket, "not told", func(w *world) { w.route.Authorization = "" }, NotSeen},
	{"websocket-open", REST, "is none", nothing, NotApplicable},
	{"authorizer-unused", REST, "used", func(w *world) {
		w.api.Authorizers, w.route.AuthorizerID = []Authorizer{{ID: "a1", Type: "TOKEN"}}, "a1"
	}, Pass},
	{"authorizer-unused", REST, "unused", func(w *world) { w.api.Authorizers = []Authorizer{{ID: "a1", Type: "TOKEN"}} }, Fail},
	{"authorizer-unused", REST, "none", nothing, NotApplicable},
	{"authorizer-gap", REST, "all", nothing, Pass},
	{"authorizer-gap", REST, "one open", func(w *world) {
		w.api.Routes = append(w.api.Routes, Route{Method: "POST", Path: "/pets", Authorization: "NONE"})
	}, Fail},
	{"authorizer-gap", REST, "OPTIONS", func(w *world) {
		w.api.Routes = append(w.api.Routes, Route{Method: "OPTIONS", Path: "/pets", Authorization: "NONE"})
	}, Pass},
	{"authorizer-gap", REST, "nobody asks", func(w *world) { w.route.Authorization = "NONE" }, NotApplicable},
	{"authorizer-without-source", HTTP, "header", func(w *world) {
		w.api.Authorizers = []Authorizer{{ID: "a", Type: "REQUEST", IdentitySource: []string{"$request.header.Authorization"}}}
	}, Pass},
	{"authorizer-without-source", HTTP, "context alone", func(w *world) {
		w.api.Authorizers = []Authorizer{{ID: "a", Type: "REQUEST", IdentitySource: []string{"$context.routeKey"}}}
	}, Fail},
	{"authorizer-without-source", HTTP, "none", nothing, NotApplicable},
	{"authorizer-cache-wide", HTTP, "not cached", func(w *world) { w.api.Authorizers = []Authorizer{{ID: "a", Type: "REQUEST", Simple: true}} }, Pass},
	{"authorizer-cache-wide", HTTP, "wide", wideCache(nil), Fail},
	{"authorizer-cache-wide", HTTP, "by route", wideCache([]string{"$context.routeKey"}), Pass},
	{"authorizer-cache-wide", REST, "answers policies", nothing, NotApplicable},
	{"authorizer-token-unchecked", REST, "none", func(w *world) { w.api.Authorizers = []Authorizer{{ID: "a", Type: "TOKEN"}} }, Fail},
	{"authorizer-token-unchecked", REST, "checked", func(w *world) { w.api.Authorizers = []Authorizer{{ID: "a", Type: "TOKEN", Validation: "^Bearer"}} }, Pass},
	{"authorizer-token-unchecked", REST, "no authorizer", nothing, NotApplicable},
	{"jwt-audience-missing", HTTP, "none", func(w *world) { w.api.Authorizers = []Authorizer{{ID: "a", Type: "JWT"}} }, Fail},
	{"jwt-audience-missing", HTTP, "one", func(w *world) { w.api.Authorizers = []Authorizer{{ID: "a", Type: "JWT", Audience: []string{"c"}}} }, Pass},
	{"jwt-audience-missing", HTTP, "no JWT", nothing, NotApplicable},
	{"jwt-scopes-missing", HTTP, "none", func(w *world) { w.route.Authorization = "JWT" }, Fail},
	{"jwt-scopes-missing", HTTP, "one", func(w *world) { w.route.Authorization, w.route.Scopes = "JWT", []string{"read"} }, Pass},
	{"jwt-scopes-missing", HTTP, "no JWT", nothing, NotApplicable},
	{"cognito-scopes-missing", REST, "none", func(w *world) { w.route.Authorization = "COGNITO_USER_POOLS" }, Fail},
	{"cognito-scopes-missing", REST, "one", func(w *world) { w.route.Authorization, w.route.Scopes = "COGNITO_USER_POOLS", []string{"read"} }, Pass},
	{"cognito-scopes-missing", REST, "no Cognito", nothing, NotApplicable},
	{"policy-any-account", REST, "everybody", func(w *world) { w.api.Policy = policy("Allow", `"*"`, "") }, Fail},
	{"policy-any-account", REST, "one account", func(w *world) { w.api.Policy = policy("Allow", `{"AWS":"arn:aws:iam::444455556666:root"}`, "") }, Pass},
	{"policy-any-account", REST, "no policy", nothing, NotApplicable},
	{"private-policy-missing", REST, "none", func(w *world) { w.api.EndpointType = "PRIVATE" }, Fail},
	{"private-policy-missing", REST, "one", func(w *world) { w.api.EndpointType, w.api.Policy = "PRIVATE", policy("Allow", `"*"`, "") }, Pass},
	{"private-policy-missing", REST, "public", nothing, NotApplicable},
	{"private-policy-open", REST, "everybody", func(w *world) {
		w.api.EndpointType, w.api.Policy, w.route.Authorization = "PRIVATE", policy("Allow", `"*"`, ""), "NONE"
	}, Fail},
	{"private-policy-open", REST, "one endpoint", func(w *world) {
		w.api.EndpointType, w.route.Authorization = "PRIVATE", "NONE"
		w.api.Policy = policy("Allow", `"*"`, `{"StringEquals":{"aws:SourceVpce":"vpce-0aaaaaaaaaaaaaaaa"}}`)
	}, Pass},
	{"private-policy-open", REST, "public", nothing, NotApplicable},
	{"default-endpoint-beside-mtls", REST, "enabled", func(w *world) { domain(w, Domain{Name: "d", MutualTLS: true, Mappings: []Mapping{{"api1", "prod"}}}) }, Fail},
	{"default-endpoint-beside-mtls", REST, "disabled", func(w *world) {
		w.api.DefaultDisabled = true
		domain(w, Domain{Name: "d", MutualTLS: true, Mappings: []Mapping{{"api1", "prod"}}})
	}, Pass},
	{"default-endpoint-beside-mtls", REST, "no domain", nothing, NotApplicable},
	{"default-endpoint-beside-mtls", REST, "mappings not seen", func(w *world) { domain(w, Domain{Name: "d", MutualTLS: true, Unseen: []Part{PartMappings}}) }, NotSeen},
	{"mtls-truststore", "", "no version", func(w *world) { domain(w, Domain{Name: "d", MutualTLS: true}) }, Fail},
	{"mtls-truststore", "", "warnings", func(w *world) {
		domain(w, Domain{Name: "d", MutualTLS: true, TruststoreVersion: "1", TruststoreWarning: []string{"bad"}})
	}, Fail},
	{"mtls-truststore", "", "version", func(w *world) { domain(w, Domain{Name: "d", MutualTLS: true, TruststoreVersion: "1"}) }, Pass},
	{"mtls-truststore", "", "no mTLS", func(w *world) { domain(w, Domain{Name: "d"}) }, NotApplicable},
	{"key-source-mismatch", REST, "header", nothing, NotApplicable},
	{"key-source-mismatch", REST, "authorizer", func(w *world) { w.api.APIKeySource, w.route.KeyRequired = "AUTHORIZER", true }, Fail},
	{"key-source-mismatch", REST, "gives it", func(w *world) {
		w.api.APIKeySource, w.route.KeyRequired, w.route.Authorization = "AUTHORIZER", true, "CUSTOM"
	}, Pass},

	{"endpoint-public", REST, "regional", nothing, Fail},
	{"endpoint-public", REST, "private", func(w *world) { w.api.EndpointType = "PRIVATE" }, Pass},
	{"endpoint-public", REST, "not told", func(w *world) { w.api.EndpointType = "" }, NotSeen},
	{"endpoint-public", HTTP, "has no private", nothing, NotApplicable},
	{"default-endpoint-spare", HTTP, "enabled", func(w *world) { domain(w, Domain{Name: "d", Mappings: []Mapping{{"api1", "prod"}}}) }, Fail},
	{"default-endpoint-spare", HTTP, "disabled", func(w *world) {
		w.api.DefaultDisabled = true
		domain(w, Domain{Name: "d", Mappings: []Mapping{{"api1", "prod"}}})
	}, Pass},
	{"default-endpoint-spare", HTTP, "no domain", nothing, NotApplicable},
	{"waf-missing", REST, "none", nothing, Fail},
	{"waf-missing", REST, "one", func(w *world) { w.stage.WebACL = "arn:acl" }, Pass},
	{"waf-missing", REST, "private", func(w *world) { w.api.EndpointType = "PRIVATE" }, NotApplicable},
	{"waf-missing", HTTP, "cannot have one", nothing, NotApplicable},
	{"domain-tls-old", "", "1.0", func(w *world) { domain(w, Domain{Name: "d", TLSPolicy: "TLS_1_0"}) }, Fail},
	{"domain-tls-old", "", "1.2", func(w *world) { domain(w, Domain{Name: "d", TLSPolicy: "TLS_1_2"}) }, Pass},
	{"domain-tls-old", "", "1.3", func(w *world) { domain(w, Domain{Name: "d", TLSPolicy: "SecurityPolicy_TLS13_1_3_2025_09"}) }, Pass},
	{"domain-tls-old", "", "not told", func(w *world) { domain(w, Domain{Name: "d"}) }, NotSeen},
	{"domain-tls-old", "", "unheard of", func(w *world) { domain(w, Domain{Name: "d", TLSPolicy: "Magic"}) }, NotSeen},
	{"domain-tls-not-post-quantum", "", "1.2", func(w *world) { domain(w, Domain{Name: "d", TLSPolicy: "TLS_1_2"}) }, Fail},
	{"domain-tls-not-post-quantum", "", "PQ", func(w *world) { domain(w, Domain{Name: "d", TLSPolicy: "SecurityPolicy_TLS13_1_2_PQ_2025_09"}) }, Pass},
	{"cors-any-origin", HTTP, "any", func(w *world) { w.api.CORS = &CORS{Origins: []string{"*"}} }, Fail},
	{"cors-any-origin", HTTP, "one", func(w *world) { w.api.CORS = &CORS{Origins: []string{"https://a.example"}} }, Pass},
	{"cors-any-origin", REST, "any", func(w *world) { w.route.CORSHeaders = map[string]string{allowOrigin: "'*'"} }, Fail},
	{"cors-any-origin", REST, "gateway response", func(w *world) {
		w.api.Responses = []GatewayResponse{{"DEFAULT_4XX", map[string]string{"gatewayresponse.header.Access-Control-Allow-Origin": "'*'"}}}
	}, Fail},
	{"cors-any-origin", REST, "none", nothing, NotApplicable},
	{"cors-credentials", HTTP, "all of https", func(w *world) { w.api.CORS = &CORS{Origins: []string{"https://*"}, Credentials: true} }, Fail},
	{"cors-credentials", REST, "reflected", func(w *world) {
		w.route.CORSHeaders = map[string]string{allowOrigin: "method.request.header.Origin", allowCredentials: "'true'"}
	}, Fail},
	{"cors-credentials", HTTP, "one", func(w *world) { w.api.CORS = &CORS{Origins: []string{"https://a.example"}, Credentials: true} }, Pass},
	{"cors-credentials", HTTP, "none", func(w *world) { w.api.CORS = &CORS{Origins: []string{"*"}} }, NotApplicable},
	{"vpc-link-plaintext", HTTP, "plain", func(w *world) { w.route.Backend = &Backend{Type: "HTTP_PROXY", VPCLink: true} }, Fail},
	{"vpc-link-plaintext", HTTP, "TLS", func(w *world) { w.route.Backend = &Backend{Type: "HTTP_PROXY", VPCLink: true, TLS: true} }, Pass},
	{"vpc-link-plaintext", REST, "http", func(w *world) { w.route.Backend = &Backend{Type: "HTTP", VPCLink: true, URI: "http://nlb"} }, Fail},
	{"vpc-link-plaintext", REST, "https", func(w *world) { w.route.Backend = &Backend{Type: "HTTP", VPCLink: true, URI: "https://nlb"} }, Pass},
	{"vpc-link-plaintext", REST, "none", nothing, NotApplicable},
	{"backend-plaintext", REST, "http", func(w *world) { w.route.Backend = &Backend{Type: "HTTP_PROXY", URI: "HTTP://a.example"} }, Fail},
	{"backend-plaintext", REST, "https", func(w *world) { w.route.Backend = &Backend{Type: "HTTP_PROXY", URI: "https://a.example"} }, Pass},
	{"backend-plaintext", REST, "Lambda", nothing, NotApplicable},
	{"backend-unverified", REST, "skipped", func(w *world) { w.route.Backend = &Backend{Type: "HTTP", URI: "https://a", SkipVerify: true} }, Fail},
	{"backend-unverified", REST, "verified", func(w *world) { w.route.Backend = &Backend{Type: "HTTP", URI: "https://a"} }, Pass},
	{"backend-unverified", REST, "Lambda", nothing, NotApplicable},
	{"backend-passthrough", REST, "bare", func(w *world) { w.route.Backend = &Backend{Type: "HTTP_PROXY", URI: "https://a"} }, Fail},
	{"backend-passthrough", REST, "mapped", func(w *world) {
		w.route.Backend = &Backend{Type: "HTTP_PROXY", URI: "https://a", RequestParameters: map[string]string{"a": "b"}}
	}, Pass},
	{"backend-passthrough", REST, "Lambda", nothing, NotApplicable},

	{"throttle-default", HTTP, "none", nothing, Fail},
	{"throttle-default", REST, "the account's", func(w *world) { w.stage.Settings[0].Throttle = &Throttle{10_000, 5_000} }, Fail},
	{"throttle-default", REST, "its own", func(w *world) { w.stage.Settings[0].Throttle = &Throttle{100, 50} }, Pass},
	{"throttle-default", REST, "the account's unknown", func(w *world) { w.place.Throttle, w.stage.Settings[0].Throttle = nil, &Throttle{100, 50} }, NotSeen},
	{"usage-plan-missing", REST, "no keys", nothing, NotApplicable},
	{"usage-plan-missing", REST, "none", func(w *world) { w.route.KeyRequired = true }, Fail},
	{"usage-plan-missing", REST, "another stage's", func(w *world) {
		w.route.KeyRequired, w.place.UsagePlans = true, []UsagePlan{{ID: "p", Stages: []Mapping{{"api1", "test"}}}}
	}, Fail},
	{"usage-plan-missing", REST, "one", func(w *world) {
		w.route.KeyRequired, w.place.UsagePlans = true, []UsagePlan{{ID: "p", Stages: []Mapping{{"api1", "prod"}}}}
	}, Pass},
	{"usage-plan-unlimited", "", "no limit", func(w *world) { w.place.UsagePlans = []UsagePlan{{ID: "p", Stages: []Mapping{{"a", "s"}}}} }, Fail},
	{"usage-plan-unlimited", "", "limits", func(w *world) {
		w.place.UsagePlans = []UsagePlan{{ID: "p", Stages: []Mapping{{"a", "s"}}, Quota: true, Throttle: &Throttle{1, 1}}}
	}, Pass},
	{"usage-plan-unlimited", "", "no stage", func(w *world) { w.place.UsagePlans = []UsagePlan{{ID: "p"}} }, NotApplicable},
	{"timeout-longest", REST, "5 s", nothing, Pass},
	{"timeout-longest", REST, "29 s", func(w *world) { w.route.Backend.TimeoutMillis = 29_000 }, Fail},
	{"timeout-longest", HTTP, "29 s", func(w *world) { w.route.Backend.TimeoutMillis = 29_000 }, Pass},
	{"timeout-longest", HTTP, "30 s", func(w *world) { w.route.Backend.TimeoutMillis = 30_000 }, Fail},
	{"timeout-longest", REST, "no backend", func(w *world) { w.route.Backend = &Backend{Type: "MOCK"} }, NotApplicable},
	{"request-unvalidated", REST, "GET", nothing, NotApplicable},
	{"request-unvalidated", REST, "POST", func(w *world) { w.route.Method = "POST" }, Fail},
	{"request-unvalidated", REST, "required parameter", func(w *world) { w.route.RequestParameters = map[string]bool{"method.request.querystring.page": true} }, Fail},
	{"request-unvalidated", REST, "validated", func(w *world) { w.route.Method, w.route.ValidatesBody = "POST", true }, Pass},
	{"request-unvalidated", HTTP, "cannot", func(w *world) { w.route.Method = "POST" }, NotApplicable},
	{"model-missing", REST, "none", func(w *world) { w.route.Method, w.route.ValidatesBody = "POST", true }, Fail},
	{"model-missing", REST, "Empty", func(w *world) {
		w.route.Method, w.route.ValidatesBody, w.route.RequestModels = "POST", true, map[string]string{"application/json": "Empty"}
	}, Fail},
	{"model-missing", REST, "one", func(w *world) {
		w.route.Method, w.route.ValidatesBody, w.route.RequestModels = "POST", true, map[string]string{"application/json": "Pet"}
	}, Pass},
	{"model-missing", REST, "not validated", nothing, NotApplicable},
	{"compression-off", REST, "off", nothing, Fail},
	{"compression-off", REST, "on", func(w *world) { n := int32(1024); w.api.MinimumCompression = &n }, Pass},
	{"compression-off", HTTP, "has none", nothing, NotApplicable},

	{"secret-in-configuration", REST, "none", nothing, Pass},
	{"secret-in-configuration", REST, "one", func(w *world) { w.api.Secrets = []Secret{{"stage prod, variable DB_PASSWORD", "password"}} }, Fail},
	{"cache-unencrypted", REST, "no cache", nothing, NotApplicable},
	{"cache-unencrypted", REST, "plain", func(w *world) { cached(w, Settings{}) }, Fail},
	{"cache-unencrypted", REST, "encrypted", func(w *world) { cached(w, Settings{CacheEncrypted: true}) }, Pass},
	{"cache-invalidation-open", REST, "no cache", nothing, NotApplicable},
	{"cache-invalidation-open", REST, "open", func(w *world) { cached(w, Settings{}) }, Fail},
	{"cache-invalidation-open", REST, "guarded", func(w *world) { cached(w, Settings{CacheInvalidationGuarded: true}) }, Pass},
	{"cache-shared", REST, "no cache", nothing, NotApplicable},
	{"cache-shared", REST, "shared", func(w *world) { cached(w, Settings{}) }, Fail},
	{"cache-shared", REST, "by caller", func(w *world) {
		cached(w, Settings{})
		w.route.Backend.CacheKeys = []string{"method.request.header.Authorization"}
	}, Pass},
	{"cache-shared", REST, "public answers", func(w *world) { cached(w, Settings{}); w.route.Authorization = "NONE" }, NotApplicable},
	{"client-certificate-missing", REST, "Lambda", nothing, NotApplicable},
	{"client-certificate-missing", REST, "none", func(w *world) { w.route.Backend = &Backend{Type: "HTTP", URI: "https://a"} }, Fail},
	{"client-certificate-missing", REST, "one", func(w *world) {
		w.route.Backend, w.stage.ClientCertificate = &Backend{Type: "HTTP", URI: "https://a"}, "c1"
	}, Pass},
	{"client-certificate-expiring", REST, "none", nothing, NotApplicable},
	{"client-certificate-expiring", REST, "soon", certificate(20 * 24 * time.Hour), Fail},
	{"client-certificate-expiring", REST, "later", certificate(90 * 24 * time.Hour), Pass},
	{"client-certificate-expiring", REST, "gone", func(w *world) { w.stage.ClientCertificate = "c1" }, Fail},

	{"deployment-behind", REST, "nothing known", nothing, NotApplicable},
	{"deployment-behind", REST, "newest", func(w *world) { w.api.Deployments = []Deployment{{"d1", testTime}, {"d0", testTime.Add(-time.Hour)}} }, Pass},
	{"deployment-behind", REST, "behind", func(w *world) { w.api.Deployments = []Deployment{{"d2", testTime}, {"d1", testTime.Add(-time.Hour)}} }, Fail},
	{"deployment-behind", HTTP, "by itself", func(w *world) { w.stage.AutoDeploy, w.api.Deployments = true, []Deployment{{"d2", testTime}} }, NotApplicable},
	{"canary-left", REST, "none", nothing, NotApplicable},
	{"canary-left", REST, "new", func(w *world) { w.stage.CanaryPercent = 10 }, Pass},
	{"canary-left", REST, "old", func(w *world) { w.stage.CanaryPercent, w.stage.Updated = 10, testTime.Add(-30*24*time.Hour) }, Fail},
	{"stage-for-tests-public", REST, "prod", nothing, NotApplicable},
	{"stage-for-tests-public", REST, "beside prod", func(w *world) { w.api.Stages = append(w.api.Stages, Stage{Name: "pets-dev"}) }, Fail},
	{"stage-for-tests-public", REST, "behind a web ACL", func(w *world) { w.api.Stages = append(w.api.Stages, Stage{Name: "test", WebACL: "arn"}) }, Pass},
	{"stage-for-tests-public", REST, "alone", func(w *world) { w.stage.Name = "dev" }, NotApplicable},
	{"owner-missing", HTTP, "team", nothing, Pass},
	{"owner-missing", HTTP, "none", func(w *world) { w.api.Tags = map[string]string{"steam": "hot", "owner": " "} }, Fail},
}

func wideCache(more []string) func(*world) {
	return func(w *world) {
		ttl := int32(300)
		w.api.Authorizers = []Authorizer{{ID: "a", Type: "REQUEST", Simple: true, TTL: &ttl, IdentitySource: append([]string{"$request.header.Authorization"}, more...)}}
		w.route.AuthorizerID = "a"
		w.api.Routes = append(w.api.Routes, Route{Method: "GET", Path: "/admin", Authorization: "CUSTOM", AuthorizerID: "a"})
	}
}

func certificate(left time.Duration) func(*world) {
	return func(w *world) {
		w.stage.ClientCertificate = "c1"
		w.place.Certificates = []Certificate{{"c1", testTime.Add(left)}}
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	for _, c := range ruleCases {
		t.Run(c.rule+"/"+string(c.of)+" "+c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(c.of)
			c.change(w)
			w.check(t, c.rule, c.want)
		})
	}
}

// Every rule is shown to pass and to fail, and to be not applicable where it is of
// some types of API alone.
func TestRulesAreAllShown(t *testing.T) {
	t.Parallel()
	for _, r := range Catalogue() {
		for _, want := range []Verdict{Pass, Fail} {
			if !slices.ContainsFunc(ruleCases, func(c ruleCase) bool { return c.rule == r.ID && c.want == want }) {
				t.Errorf("no case shows that %s can %s", r.ID, want)
			}
		}
		for _, of := range []APIType{REST, HTTP, WebSocket} {
			if !r.Applies(of) {
				newWorld(of).check(t, r.ID, NotApplicable)
			}
		}
	}
	for _, c := range ruleCases {
		if RuleOf(c.rule) == nil {
			t.Errorf("there is no rule %q", c.rule)
		}
	}
}

// What a rule needs and was not read makes the verdict not seen, whether the rest
// looks well or not.
func TestUnreadPartsAreNotSeen(t *testing.T) {
	t.Parallel()
	for _, c := range ruleCases {
		if c.want == NotApplicable {
			continue
		}
		r := RuleOf(c.rule)
		for _, part := range append(slices.Clone(r.needs), listing[r.Of]...) {
			w := newWorld(c.of)
			c.change(w)
			w.unsee(part)
			got, told := w.verdict(c.rule)
			// A subject that was seen fails whatever the list lacks.
			if got != NotSeen && (got != Fail || slices.Contains(r.needs, part)) {
				t.Errorf("%s (%s) without %s says %s: %v", c.rule, c.name, part, got, told)
			}
		}
	}
}

func TestRulesAreWhole(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range Catalogue() {
		if seen[r.ID] || r.Title == "" || r.Looks == "" || r.Why == "" || r.Mend.CLI == "" || r.Mend.Terraform == "" || r.Severity.Rank() == len(Severities()) || r.Area == "" || r.Of == "" {
			t.Errorf("the rule %s is there twice, or lacks something", r.ID)
		}
		seen[r.ID] = true
		if v2 := r.Applies(HTTP) || r.Applies(WebSocket); v2 && r.Applies(REST) && slices.Contains([]Kind{OfAPI, OfStage, OfRoute}, r.Of) && r.Mend.CLIV2 == "" {
			t.Errorf("%s does not say how to mend an HTTP or WebSocket API", r.ID)
		}
	}
	if len(seen) < 45 {
		t.Errorf("the catalogue has %d rules", len(seen))
	}
}
