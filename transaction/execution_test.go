package transaction

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const rid = "7d1c2b3a-0a0b-4c0d-8e0f-001122334455"

// authorizerPhase is what a Lambda authorizer leaves in the log before the
// method's own lines, with a token that nobody masked.
var authorizerPhase = []string{
	"Extended Request Id: AbCdEfGhIAMFqXw=",
	"Starting authorizer: k3j2h1 for request: " + rid,
	"Incoming identity: ****ab12cd",
	"Endpoint request URI: https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/arn:aws:lambda:eu-west-1:111122223333:function:auth/invocations",
	"Endpoint request headers: {X-Amz-Source-Arn=arn:aws:execute-api:eu-west-1:111122223333:a1b2c3d4e5/authorizers/k3j2h1}",
	`Endpoint request body after transformations: {"type":"TOKEN","authorizationToken":"unmasked-token-of-the-caller"}`,
	"Sending request to https://lambda.eu-west-1.amazonaws.com/auth",
	"Received response. Status: 200, Integration latency: 33 ms",
	`Endpoint response body before transformations: {"context":{"secret":"unmasked-context"}}`,
	`Authorizer result body before parsing: {"principalId":"user","context":{"secret":"unmasked-context"}}`,
	"Using valid authorizer policy for principal: ****ser123",
	"Successfully completed authorizer execution",
}

func one(t *testing.T, texts ...string) *Transaction {
	t.Helper()
	calls, counts := assemble(restGroup(), Options{}, lines(rid, texts...)...)
	if len(calls) != 1 || counts["held"] != len(texts) {
		t.Fatalf("got %d calls, %v, from %d lines", len(calls), counts, len(texts))
	}
	return calls[0].Transaction
}

func TestAuthorizerPhaseStaysOut(t *testing.T) {
	t.Parallel()
	tx := one(t, append(slices.Clip(authorizerPhase),
		"Verifying Usage Plan for request: "+rid+". API Key:  API Stage: a1b2c3d4e5/prod",
		"API Key  authorized because method 'GET /pets/{id}' does not require API Key. Request will not contribute to throttle or quota limits",
		"Usage Plan check succeeded for API Key  and API Stage a1b2c3d4e5/prod",
		"Starting execution for request: "+rid,
		"HTTP Method: GET, Resource Path: /pets/7",
		"Method request path: {id=7}",
		"Method request query string: {q=a, b, tag=x=y}",
		"Method request headers: {Host=pets.example.com, X-Forwarded-For=62.0.0.1, 10.0.0.1, Accept=text/html, q=0.8}",
		"Method request body before transformations: null",
		"Endpoint request URI: https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/pets/invocations",
		"Endpoint request headers: {x-amzn-lambda-integration-tag="+rid+", X-Amz-Source-Arn=arn:aws:execute-api:eu-west-1:111122223333:a1b2c3d4e5/prod/GET/pets/{id}, Accept=application/json}",
		`Endpoint request body after transformations: {"resource":"/pets/{id}","path":"/pets/7" [TRUNCATED]`,
		"Sending request to https://lambda.eu-west-1.amazonaws.com/pets",
		"Received response. Status: 200, Integration latency: 40 ms",
		"Endpoint response body before transformations: {}",
		"Endpoint response headers: {Date=Tue, 26 Feb 2019 10:00:00 GMT}",
		"Method response headers: {Content-Type=application/json}",
		"Method response body after transformations: [\n  1,\n  2 ]",
		"Successfully completed execution",
		"Method completed with status: 200",
		"AWS Integration Endpoint RequestId : 11111111-2222-3333-4444-555555555555",
		"X-ray Tracing ID : Root=1-65920080-aaaaaaaaaaaaaaaaaaaaaaaa")...)
	if got := string(tx.AppendJSON(nil)); strings.Contains(got, "unmasked") || strings.Contains(got, "function:auth") {
		t.Errorf("the authorizer's lines leaked: %s", got)
	}
	ms33, ms40 := int64(33), int64(40)
	want := &Transaction{
		ID:      TransactionID("111122223333", "eu-central-1", "a1b2c3d4e5", "prod", rid, "AbCdEfGhIAMFqXw="),
		Account: "111122223333", Region: "eu-central-1", APIID: "a1b2c3d4e5", APIType: REST, Stage: "prod",
		RequestID: rid, ExtendedRequestID: "AbCdEfGhIAMFqXw=", Time: corpusStart,
		Method: "GET", Path: "/pets/7", Route: "/pets/{id}", RouteSource: RouteFromAPIKeyLine,
		Query: map[string][]string{"q": {"a, b"}, "tag": {"x=y"}},
		Host:  "pets.example.com", SourceIP: "62.0.0.1",
		Request: &Request{Headers: map[string][]string{
			"host": {"pets.example.com"}, "x-forwarded-for": {"62.0.0.1, 10.0.0.1"}, "accept": {"text/html, q=0.8"},
		}},
		Response:    &Response{Status: 200, Headers: map[string][]string{"content-type": {"application/json"}}, Body: "[\n  1,\n  2 ]"},
		Integration: &Integration{URI: "https://lambda.eu-west-1.amazonaws.com/2015-03-31/functions/pets/invocations", Status: 200, LatencyMS: &ms40, RequestID: "11111111-2222-3333-4444-555555555555"},
		Caller:      &Caller{Kind: CallerLambda, Principal: "****ser123"},
		Authorizer:  &Authorizer{ID: "k3j2h1", Outcome: "allow", LatencyMS: &ms33},
		Visibility:  Full, Complete: true, Sources: []Source{SourceExecution},
		Log: &Log{Group: restGroup().Name, FirstEventID: eventIDOf(corpusStart, 0), Events: 34},
	}
	if diff := cmp.Diff(want, tx); diff != "" {
		t.Errorf("transaction (-want +got):\n%s", diff)
	}
}

// outcome is what a user sees first of a call.
type outcome struct {
	Status   int
	Type     string
	Message  string
	Complete bool
	Auth     string
	Method   string
}

func outcomeOf(tx *Transaction) outcome {
	o := outcome{Complete: tx.Complete, Method: tx.Method}
	if tx.Response != nil {
		o.Status = tx.Response.Status
	}
	if tx.Error != nil {
		o.Type, o.Message = tx.Error.Type, tx.Error.Message
	}
	if tx.Authorizer != nil {
		o.Auth = tx.Authorizer.Outcome
	}
	return o
}

func TestFailures(t *testing.T) {
	t.Parallel()
	start := "Starting execution for request: " + rid
	method := "HTTP Method: POST, Resource Path: /pay"
	for name, tc := range map[string]struct {
		lines []string
		want  outcome
	}{
		"unauthorized, four lines": {
			[]string{authorizerPhase[0], authorizerPhase[1], "Unauthorized request: " + rid, "X-ray Tracing ID : 1-65920080-aaaaaaaaaaaaaaaaaaaaaaaa"},
			outcome{401, "UNAUTHORIZED", "Unauthorized request: " + rid, true, "unauthorized", ""},
		},
		"throttled by key": {
			[]string{authorizerPhase[0], "Key throttle limit exceeded for RestApi a1b2c3d4e5, Stage prod, Resource k0w8mc, HttpMethod POST. Limit: 1.00 Burst: 1", "Method completed with status: 429"},
			outcome{429, "THROTTLED", "Key throttle limit exceeded for RestApi a1b2c3d4e5, Stage prod, Resource k0w8mc, HttpMethod POST. Limit: 1.00 Burst: 1", true, "", "POST"},
		},
		"throttled, no completion line": {
			[]string{"Key throttle limit exceeded for RestApi a1b2c3d4e5, Stage prod, Resource k0w8mc, HttpMethod GET. Limit: 1.00 Burst: 1"},
			outcome{429, "THROTTLED", "Key throttle limit exceeded for RestApi a1b2c3d4e5, Stage prod, Resource k0w8mc, HttpMethod GET. Limit: 1.00 Burst: 1", true, "", "GET"},
		},
		"quota": {
			[]string{"Key quota limit exceeded for RestApi a1b2c3d4e5, Stage prod", "Method completed with status: 429"},
			outcome{429, "QUOTA_EXCEEDED", "Key quota limit exceeded for RestApi a1b2c3d4e5, Stage prod", true, "", ""},
		},
		"integration timeout": {
			[]string{start, method, "Execution failed due to a timeout error", "Method completed with status: 504"},
			outcome{504, "INTEGRATION_TIMEOUT", "Execution failed due to a timeout error", true, "", "POST"},
		},
		"malformed proxy response": {
			[]string{start, method, "Execution failed due to configuration error: Malformed Lambda proxy response", "Method completed with status: 502"},
			outcome{502, "API_CONFIGURATION_ERROR", "Execution failed due to configuration error: Malformed Lambda proxy response", true, "", "POST"},
		},
		"level ERROR": {
			[]string{"Execution failed due to configuration error: Invalid permissions on Lambda function"},
			outcome{0, "API_CONFIGURATION_ERROR", "Execution failed due to configuration error: Invalid permissions on Lambda function", false, "", ""},
		},
		"function error": {
			[]string{start, method, "Lambda execution failed with status 200 due to customer function error: boom. Lambda request id: 11111111-2222-3333-4444-555555555555", "Method completed with status: 502"},
			outcome{502, "INTEGRATION_FAILURE", "Lambda execution failed with status 200 due to customer function error: boom. Lambda request id: 11111111-2222-3333-4444-555555555555", true, "", "POST"},
		},
		"authorizer answers no JSON": {
			[]string{authorizerPhase[0], authorizerPhase[1], "Execution failed due to configuration error: Invalid JSON in response: x", "Method completed with status: 500"},
			outcome{500, "AUTHORIZER_CONFIGURATION_ERROR", "Execution failed due to configuration error: Invalid JSON in response: x", true, "error", ""},
		},
		"authorizer configuration": {
			[]string{authorizerPhase[1], "AuthorizerConfigurationException", "Method completed with status: 500"},
			outcome{500, "AUTHORIZER_CONFIGURATION_ERROR", "AuthorizerConfigurationException", true, "error", ""},
		},
		"authorizer denies": {
			[]string{authorizerPhase[1], authorizerPhase[10], authorizerPhase[11], "The client is not authorized to perform this operation.", "Method completed with status: 403"},
			outcome{403, "ACCESS_DENIED", "The client is not authorized to perform this operation.", true, "deny", ""},
		},
		"model schema": {
			[]string{start, method, "Request body does not match model schema for content-type application/json: [object has missing required properties]", "Method completed with status: 400"},
			outcome{400, "BAD_REQUEST_BODY", "Request body does not match model schema for content-type application/json: [object has missing required properties]", true, "", "POST"},
		},
		"key missing": {
			[]string{"Verifying Usage Plan for request: " + rid + ". API Key:  API Stage: a1b2c3d4e5/prod", "API Key  not authorized because method 'GET /pets' requires API Key and API Key is not associated with a Usage Plan for API Stage a1b2c3d4e5/prod: No API Key", "Method completed with status: 403"},
			outcome{403, "INVALID_API_KEY", "API Key  not authorized because method 'GET /pets' requires API Key and API Key is not associated with a Usage Plan for API Stage a1b2c3d4e5/prod: No API Key", true, "", "GET"},
		},
		"gateway response": {
			[]string{authorizerPhase[0], "Gateway response type: WAF_FILTERED with status code: 403", `Gateway response body: {"message":"Forbidden"}`, "Gateway response headers: {x-amzn-ErrorType=ForbiddenException}"},
			outcome{403, "WAF_FILTERED", "", false, "", ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, outcomeOf(one(t, tc.lines...))); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
		})
	}
}

func TestBodyThatLooksLikeLines(t *testing.T) {
	t.Parallel()
	body := "Method request headers: {Evil=1}\n(" + rid + ") Method completed with status: 500"
	tx := one(t, "Starting execution for request: "+rid, "HTTP Method: PUT, Resource Path: /a b/ü",
		"Method request headers: {Host=h}", "Method request body before transformations: "+body, "Method completed with status: 204")
	if tx.Request.Body != body || tx.Response.Status != 204 || len(tx.Request.Headers) != 1 || tx.Path != "/a b/ü" {
		t.Errorf("a body was taken for lines: %s", tx.AppendJSON(nil))
	}
}

func TestSkeletonWithoutDataTrace(t *testing.T) {
	t.Parallel()
	tx := one(t, "Extended Request Id: AbCdEfGhIAMFqXw=", "Starting execution for request: "+rid, "HTTP Method: GET, Resource Path: /x",
		"API Key: ****bMZHBg", "Received response. Integration latency: 40 ms", "Successfully completed execution", "Method completed with status: 200")
	if tx.Visibility != Metadata || tx.Integration.Status != 0 || *tx.Integration.LatencyMS != 40 ||
		tx.Caller.Kind != CallerAPIKey || tx.Caller.Principal != "****bMZHBg" || tx.Request != nil {
		t.Errorf("got %s", tx.AppendJSON(nil))
	}
}

func TestTruncatedLines(t *testing.T) {
	t.Parallel()
	tx := one(t, "Starting execution for request: "+rid, "HTTP Method: POST, Resource Path: /x",
		"Method request headers: {Accept=*/*, Host=example.com, User-Agent=gr\xc3\xbc\xc3 [TRUNCATED]",
		`Method request body before transformations: {"name":"x","password":"hunt [TRUNCATED]`,
		"Method response headers: {Content-Type=text/plain, X-Forw [TRUNCATED]", "Method response body after transformations: ok",
		"Method completed with status: 200")
	want := &Request{Headers: map[string][]string{"accept": {"*/*"}, "host": {"example.com"}, "user-agent": {"grü"}}, Body: `{"name":"x","password":"[redacted]`, Truncated: true}
	if diff := cmp.Diff(want, tx.Request); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string][]string{"content-type": {"text/plain"}}, tx.Response.Headers); diff != "" {
		t.Errorf("response headers (-want +got):\n%s", diff)
	}
	if tx.Visibility != Truncated || !tx.Response.Truncated {
		t.Errorf("got visibility %s, response truncated %v", tx.Visibility, tx.Response.Truncated)
	}
}

func TestProxyEvent(t *testing.T) {
	t.Parallel()
	tx := one(t, "Starting execution for request: "+rid, "HTTP Method: GET, Resource Path: /files/a/b",
		`Endpoint request body after transformations: {"resource":"/files/{proxy+}","path":"/files/a/b","headers":{"x":"\"requestContext\":{\"identity\":{\"sourceIp\":\"6.6.6.6\""},"requestContext":{"protocol":"HTTP/1.1","identity":{"sourceIp":"198.51.100.7","userArn":"arn:aws:sts::444455556666:assumed-role/r/s","caller":"AROAX:s","accountId":"444455556666"}}}`,
		"Method completed with status: 200")
	if tx.Route != "/files/{proxy+}" || tx.RouteSource != RouteFromProxyEvent || tx.SourceIP != "198.51.100.7" || tx.Protocol != "HTTP/1.1" {
		t.Errorf("got %s", tx.AppendJSON(nil))
	}
	want := &Caller{Kind: CallerIAM, ARN: "arn:aws:sts::444455556666:assumed-role/r/s", Account: "444455556666", Principal: "AROAX:s"}
	if diff := cmp.Diff(want, tx.Caller); diff != "" {
		t.Errorf("caller (-want +got):\n%s", diff)
	}
}

func TestWebSocketLines(t *testing.T) {
	t.Parallel()
	const id = "AbCdEfGhIAMFqXw="
	g := Group{Name: "/aws/apigateway/a1b2c3d4e5/prod"}
	calls, _ := assemble(g, Options{}, append(append(
		lines(id, "Extended Request Id: "+id, "Starting execution for request: "+id, "WebSocket Request Route: [$connect]",
			"Client [UserAgent: x [y], SourceIp: 198.51.100.7] is connecting to WebSocket API [a1b2c3d4e5].",
			"Client [Connection Id: c1=] connected to API [a1b2c3d4e5] successfully."),
		lines("m1CdEfGhIAMFqXw=", "Starting execution for request: m1CdEfGhIAMFqXw=", "WebSocket Request Route: [sendMessage]",
			"WebSocket API [a1b2c3d4e5] received message from client [Connection Id: c1=].",
			"Message from client [Connection Id: c1=] sent to API [a1b2c3d4e5] with response status code [200].")...),
		lines("d1CdEfGhIAMFqXw=", "Starting execution for request: d1CdEfGhIAMFqXw=", "WebSocket Request Route: [$disconnect]",
			"Client [Connection Id: c1=] disconnected from API [a1b2c3d4e5]. Close reason: [1001: Going away]")...)...)
	var got []string
	for _, c := range calls {
		tx := c.Transaction
		got = append(got, strings.Join([]string{string(tx.APIType), tx.Method, tx.EventType, tx.Route, tx.ConnectionID, tx.SourceIP, tx.UserAgent, tx.APIID}, " "))
		if !tx.Complete {
			t.Errorf("not complete: %s", jsonOf(c))
		}
	}
	want := []string{
		"WEBSOCKET CONNECT CONNECT $connect c1= 198.51.100.7 x [y] a1b2c3d4e5",
		"WEBSOCKET MESSAGE MESSAGE sendMessage c1=   a1b2c3d4e5",
		"WEBSOCKET DISCONNECT DISCONNECT $disconnect c1=   a1b2c3d4e5",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

func TestUnparsedKinds(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]string{
		"":                                     "unparsed: empty",
		" \n":                                  "unparsed: empty",
		"hello":                                "unparsed: no_request_id",
		"(no closing parenthesis":              "unparsed: bad_request_id",
		"() empty":                             "unparsed: bad_request_id",
		"(see the docs) for more":              "unparsed: bad_request_id",
		"(" + strings.Repeat("x", 300) + ") y": "unparsed: bad_request_id",
		"(note) something else":                "unparsed: unknown_line",
		"\x00\x01\x02":                         "unparsed: binary",
		`{"level":"info","requestId":"` + rid + `","message":"hi"}`: "unparsed: foreign_json",
		`{"a":1}`:                                "unparsed: foreign_json",
		`{"a":`:                                  "unparsed: broken_json",
		"(" + rid + ") words of another version": "held",
		"(client-chosen id!) x":                  "unparsed: bad_request_id",
		"(client-chosen!) Starting execution for request: client-chosen!": "held",
	} {
		_, counts := assemble(restGroup(), Options{}, message)
		if counts[want] != 1 {
			t.Errorf("%q: got %v, want %s", message, counts, want)
		}
	}
}

func TestDeliveryRecord(t *testing.T) {
	t.Parallel()
	calls, counts := assemble(Group{Name: "vended"}, Options{},
		`{"requestId":"`+rid+`","apiId":"a1b2c3d4e5","stage":"prod","message":"(`+rid+`) Method request body before transformations: {\"a\":\"b\\nc\"}"}`,
		`{"request_id":"`+rid+`","apiId":"a1b2c3d4e5","stage":"prod","logMessage":"Method completed with status: 200"}`)
	if len(calls) != 1 || counts["held"] != 2 {
		t.Fatalf("got %d calls, %v", len(calls), counts)
	}
	tx := calls[0].Transaction
	if tx.APIID != "a1b2c3d4e5" || tx.Stage != "prod" || tx.Request.Body != `{"a":"b\nc"}` || tx.Response.Status != 200 || len(tx.Sources) != 1 || tx.Sources[0] != SourceDelivery {
		t.Errorf("got %s", jsonOf(calls[0]))
	}
}
