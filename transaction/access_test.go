package transaction

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func record1(t *testing.T, g Group, message string) *Transaction {
	t.Helper()
	calls, counts := assemble(g, Options{}, message)
	if len(calls) != 1 {
		t.Fatalf("%s: got %v", message, counts)
	}
	return calls[0].Transaction
}

func TestAccessPresets(t *testing.T) {
	t.Parallel()
	rest := "GET /pets/{id} 200 198.51.100.7 HTTP/1.1 " + rid + " AbCdEfGhIAMFqXw= REST 2026-01-01 00:00:05"
	http := "GET /pets/{id} 200 198.51.100.7 HTTP/1.1 AbCdEfGhIAMEJLg=  HTTP 2026-01-01 00:00:05"
	socket := "CONNECT $connect 0 198.51.100.7  AbCdEfGhIAMFqXw=  WEBSOCKET 2026-01-01 00:00:05"
	for name, tc := range map[string]struct{ format, message, want string }{
		"CLF REST":      {"", `198.51.100.7 - - [01/Jan/2026:00:00:05 +0000] "GET /pets/{id} HTTP/1.1" 200 7 ` + rid + ` AbCdEfGhIAMFqXw=`, rest},
		"CSV REST":      {"", `198.51.100.7,-,-,01/Jan/2026:00:00:05 +0000,GET,/pets/{id},HTTP/1.1,200,7,` + rid + `,AbCdEfGhIAMFqXw=`, rest},
		"XML REST":      {"", `<request id="` + rid + `"> <ip>198.51.100.7</ip> <caller>-</caller> <user>-</user> <requestTime>01/Jan/2026:00:00:05 +0000</requestTime> <httpMethod>GET</httpMethod> <resourcePath>/pets/{id}</resourcePath> <status>200</status> <protocol>HTTP/1.1</protocol> <responseLength>7</responseLength> <extendedRequestId>AbCdEfGhIAMFqXw=</extendedRequestId> </request>`, rest},
		"JSON REST":     {"", `{ "requestId":"` + rid + `", "extendedRequestId":"AbCdEfGhIAMFqXw=","ip": "198.51.100.7", "caller":"-", "user":"-","requestTime":"01/Jan/2026:00:00:05 +0000", "httpMethod":"GET","resourcePath":"/pets/{id}", "status":"200","protocol":"HTTP/1.1", "responseLength":"7" }`, rest},
		"JSON HTTP":     {"", `{"requestId":"AbCdEfGhIAMEJLg=","ip":"198.51.100.7","requestTime":"01/Jan/2026:00:00:05 +0000","httpMethod":"GET","routeKey":"GET /pets/{id}","status":"200","protocol":"HTTP/1.1","responseLength":"7"}`, http},
		"CLF HTTP":      {"", `198.51.100.7 - - [01/Jan/2026:00:00:05 +0000] "GET GET /pets/{id} HTTP/1.1" 200 7 AbCdEfGhIAMEJLg=`, http},
		"CSV HTTP":      {"", `198.51.100.7,01/Jan/2026:00:00:05 +0000,GET,GET /pets/{id},HTTP/1.1,200,7,AbCdEfGhIAMEJLg=`, http},
		"CLF WebSocket": {"", `198.51.100.7 - - [01/Jan/2026:00:00:05 +0000] "CONNECT $connect c1=" AbCdEfGhIAMFqXw=`, socket},
		"own CLF": {
			`[$context.requestTime] $context.requestId|$context.extendedRequestId|$context.identity.sourceIp "$context.httpMethod $context.resourcePath" $context.protocol $context.status "$context.identity.userAgent"`,
			`[01/Jan/2026:00:00:05 +0000] ` + rid + `|AbCdEfGhIAMFqXw=|198.51.100.7 "GET /pets/{id}" HTTP/1.1 200 "a "quoted" 500 agent"`, rest,
		},
		"own JSON, nested, other keys, numbers": {
			`{"meta":{"rid":"$context.requestId","x":"$context.extendedRequestId"},"req":{"line":"$context.httpMethod $context.resourcePath $context.protocol","from":"$context.identity.sourceIp"},"code":$context.status,"at":$context.requestTimeEpoch}`,
			`{"meta":{"rid":"` + rid + `","x":"AbCdEfGhIAMFqXw="},"req":{"line":"GET /pets/{id} HTTP/1.1","from":"198.51.100.7"},"code":200,"at":1767225605000}`, rest,
		},
		"a format that is another's": {
			`{"r":"$context.requestId"}`,
			`198.51.100.7 - - [01/Jan/2026:00:00:05 +0000] "GET /pets/{id} HTTP/1.1" 200 7 ` + rid + ` AbCdEfGhIAMFqXw=`, rest,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tx := record1(t, Group{Name: "access", AccessFormat: tc.format}, tc.message)
			status := 0
			if tx.Response != nil {
				status = tx.Response.Status
			}
			got := fmt.Sprintf("%s %s %d %s %s %s %s %s %s", tx.Method, tx.Route, status, tx.SourceIP, tx.Protocol, tx.RequestID, tx.ExtendedRequestID, tx.APIType, tx.Time.Time().Format("2006-01-02 15:04:05"))
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if !tx.Complete || tx.Visibility != Metadata || tx.RouteSource != RouteFromAccessLog {
				t.Errorf("got %s", tx.AppendJSON(nil))
			}
		})
	}
}

func TestCallerCannotForgeFields(t *testing.T) {
	t.Parallel()
	for name, agent := range map[string]string{
		"quotes":            `a "b" c`,
		"a member":          `x","status":"200`,
		"several members":   `x","status":"200","ip":"6.6.6.6","httpMethod":"GET`,
		"the end":           `x","status":"200"}`,
		"backslash":         `x\`,
		"an unknown member": `x", "a": "b", y`,
	} {
		for _, format := range []string{"", `{"requestId":"$context.requestId","userAgent":"$context.identity.userAgent","ip":"$context.identity.sourceIp","httpMethod":"$context.httpMethod","resourcePath":"$context.resourcePath","status":"$context.status"}`} {
			tx := record1(t, Group{Name: "access", AccessFormat: format},
				`{"requestId":"`+rid+`","userAgent":"`+agent+`","ip":"198.51.100.7","httpMethod":"POST","resourcePath":"/pay","status":"403"}`)
			if tx.Response.Status != 403 || tx.SourceIP != "198.51.100.7" || tx.Method != http.MethodPost || tx.UserAgent != agent {
				t.Errorf("%s: got %s", name, tx.AppendJSON(nil))
			}
		}
	}
	tx := record1(t, Group{Name: "access", AccessFormat: `$context.requestId "$context.identity.userAgent" $context.status $context.identity.sourceIp`},
		rid+` "x" 200 6.6.6.6" 403 198.51.100.7`)
	if tx.Response.Status != 403 || tx.SourceIP != "198.51.100.7" {
		t.Errorf("got %s", tx.AppendJSON(nil))
	}
}

func TestAccessRecordTellsAll(t *testing.T) {
	t.Parallel()
	tx := record1(t, Group{Name: "access"}, `{"requestId":"`+rid+`","extendedRequestId":"AbCdEfGhIAMFqXw=","apiId":"a1b2c3d4e5","stage":"prod","requestTimeEpoch":"1767225605123","httpMethod":"GET","path":"/prod/pets/7","resourcePath":"/pets/{id}","status":"504","responseLatency":"29012","integrationLatency":"29000","integration.status":"-","integrationStatus":"-","integrationErrorMessage":"Execution failed due to a timeout error","error.message":"Endpoint request timed out","error.messageString":""Endpoint request timed out"","error.responseType":"INTEGRATION_TIMEOUT","identity.userArn":"arn:aws:iam::444455556666:user/u","identity.caller":"AIDAX","identity.accountId":"444455556666","identity.apiKey":"abcdef0123456789","identity.apiKeyId":"k1","userAgent":"curl/8","authorizer.principalId":"-","wafResponseCode":"WAF_ALLOW","xrayTraceId":"-","domainName":"api.example.com"}`)
	l, i := int64(29012), int64(29000)
	want := &Transaction{
		ID:    TransactionID("", "", "a1b2c3d4e5", "prod", rid, "AbCdEfGhIAMFqXw="),
		APIID: "a1b2c3d4e5", APIType: REST, Stage: "prod", RequestID: rid, ExtendedRequestID: "AbCdEfGhIAMFqXw=",
		Time: 1767225605123, Method: "GET", Path: "/pets/7", Route: "/pets/{id}", RouteSource: RouteFromAccessLog,
		Host: "api.example.com", UserAgent: "curl/8", Response: &Response{Status: 504}, LatencyMS: &l,
		Integration: &Integration{LatencyMS: &i, Error: "Execution failed due to a timeout error"},
		Caller:      &Caller{Kind: CallerIAM, ARN: "arn:aws:iam::444455556666:user/u", Account: "444455556666", Principal: "AIDAX", APIKeyID: "k1"},
		Error:       &Error{Type: "INTEGRATION_TIMEOUT", Message: "Endpoint request timed out"},
		Visibility:  Metadata, Complete: true, Sources: []Source{SourceAccess},
		Log: &Log{Group: "access", FirstEventID: eventIDOf(corpusStart, 0), Events: 1},
	}
	if diff := cmp.Diff(want, tx); diff != "" {
		t.Errorf("transaction (-want +got):\n%s", diff)
	}
}

func TestAccessCallers(t *testing.T) {
	t.Parallel()
	for members, want := range map[string]Caller{
		`"httpMethod":"GET","authorizer.principalId":"u1","identity.apiKeyId":"k1"`:  {Kind: CallerLambda, Principal: "u1", APIKeyID: "k1"},
		`"httpMethod":"GET","identity.apiKeyId":"k1","authorizer.claims.sub":"s"`:    {Kind: CallerAPIKey, APIKeyID: "k1"},
		`"resourcePath":"/x","authorizer":{"claims":{"sub":"s"}}`:                    {Kind: CallerCognito, Principal: "s"},
		`"routeKey":"GET /x","httpMethod":"GET","authorizer":{"claims":{"sub":"s"}}`: {Kind: CallerJWT, Principal: "s"},
		`"httpMethod":"GET","caller":"-","user":"-"`:                                 {Kind: CallerUnknown},
	} {
		tx := record1(t, Group{Name: "access"}, `{"requestId":"`+rid+`",`+members+`}`)
		if diff := cmp.Diff(&want, tx.Caller); diff != "" {
			t.Errorf("%s (-want +got):\n%s", members, diff)
		}
	}
}

func TestPathWithoutStage(t *testing.T) {
	t.Parallel()
	for _, tc := range [][5]string{
		{"/prod/pets/7", "prod", "", "/pets/{id}", "/pets/7"},
		{"/prod", "prod", "", "/", "/"},
		{"/production/x", "prod", "", "/production/x", "/production/x"},
		{"/api/pets", "api", "", "/api/pets", "/api/pets"},
		{"/v1/pets", "prod", "v1", "/pets", "/pets"},
		{"/prod/a/b/c", "", "", "/a/{proxy+}", "/a/b/c"},
		{"/pets", "$default", "", "$default", "/pets"},
		{"/pets", "", "", "", "/pets"},
		{"*", "prod", "", "/x", "*"},
	} {
		if got := withoutStage(tc[0], tc[1], tc[2], tc[3]); got != tc[4] {
			t.Errorf("path %s, stage %q, base %q, template %s: got %s, want %s", tc[0], tc[1], tc[2], tc[3], got, tc[4])
		}
	}
}

func TestCompileAccessFormatRefuses(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"", "no variables", `{"a":"b"}`, "$input.body", "{"} {
		if _, err := CompileAccessFormat(format); err == nil {
			t.Errorf("%q was accepted", format)
		}
	}
}
