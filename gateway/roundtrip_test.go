package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/gateway"
	"github.com/gatehouse-project/gatehouse/logfile"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const accessFormat = `{"requestId":"$context.requestId","extendedRequestId":"$context.extendedRequestId","ip":"$context.identity.sourceIp","userAgent":"$context.identity.userAgent","userArn":"$context.identity.userArn","caller":"$context.identity.caller","apiKeyId":"$context.identity.apiKeyId","principalId":"$context.authorizer.principalId","sub":"$context.authorizer.claims.sub","requestTimeEpoch":"$context.requestTimeEpoch","httpMethod":"$context.httpMethod","path":"$context.path","resourcePath":"$context.resourcePath","routeKey":"$context.routeKey","status":"$context.status","protocol":"$context.protocol","responseLatency":"$context.responseLatency","errorResponseType":"$context.error.responseType","domainName":"$context.domainName","connectionId":"$context.connectionId","eventType":"$context.eventType"}`

// transactions writes the log as a file, reads it back and assembles the calls, as
// gatehouse parse does.
func (w *world) transactions(account, region string) map[string]*transaction.Transaction {
	w.t.Helper()
	var file bytes.Buffer
	f := gateway.NewLogFile(&file)
	for _, e := range w.logs.all() {
		err := f.WriteBatch(context.Background(), &gateway.LogBatch{Account: account, Region: region, Group: e.group, Stream: e.stream, Events: []gateway.LogEvent{e.LogEvent}})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	r := logfile.NewReader(&file, transaction.Group{})
	a := transaction.NewAssembler(transaction.Options{Grace: 2 * time.Second, Idle: time.Minute})
	for {
		group, event, err := r.Next()
		if err != nil {
			break
		}
		if strings.HasPrefix(group.Name, "access-") {
			group.AccessFormat = accessFormat
			_, group.APIID, _ = strings.Cut(group.Name, "access-")
			group.Stage = "prod"
			if group.APIID == "h1h2h3h4h5" {
				group.Stage, group.APIType = "$default", transaction.HTTP
			}
		}
		if d := a.Feed(group).Add(&event); d.Outcome != transaction.Held {
			w.t.Errorf("%s: %s", d, event.Message)
		}
	}
	a.Flush()
	out := map[string]*transaction.Transaction{}
	for _, c := range a.Take(nil) {
		t := c.Transaction
		out[t.Method+" "+t.Path] = t
	}
	return out
}

func TestLogsTellTheCallsAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
credentials:
  - {access_key_id: AKIAOWN, secret_access_key: own-secret, user_id: AIDAEXAMPLE, principal: "arn:aws:iam::111122223333:user/own", policies: [{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "execute-api:*", Resource: "*"}]}]}
usage_plans:
  - {id: p1, name: small, throttle: {rate: 1, burst: 1}, stages: [a1b2c3d4e5/prod], keys: [{id: k1, name: shop, value: abcdefghijklmnopqrstuvwxyz}]}
apis:
  - id: a1b2c3d4e5
    type: REST
    account: "111122223333"
    region: us-east-1
    authorizers: {token: {type: TOKEN, url: BACKEND/authorize}}
    models: {Pet: {type: object, required: [name], properties: {name: {type: string}}}}
    routes:
      - {method: POST, path: "/pets/{id}", authorization: AWS_IAM, integration: {type: HTTP_PROXY, uri: "BACKEND/pets/{id}"}}
      - {method: GET, path: /token, authorization: CUSTOM, authorizer: token, integration: {type: AWS_PROXY, uri: BACKEND/function}}
      - {method: GET, path: /key, api_key_required: true, integration: {type: MOCK}}
      - {method: POST, path: /checked, request_models: {application/json: Pet}, validate_body: true, integration: {type: MOCK}}
      - {method: GET, path: /broken, integration: {type: AWS_PROXY, uri: BACKEND/malformed}}
      - {method: GET, path: /slow, integration: {type: HTTP_PROXY, uri: BACKEND/slow, timeout: 50ms}}
      - {method: GET, path: /deny, authorization: CUSTOM, authorizer: token, integration: {type: MOCK}}
    stages: [{name: prod, logging_level: INFO, data_trace: true, access_log: {group: access-a1b2c3d4e5, format: '`+accessFormat+`'}}]
`)
	w.backend.answers("/pets/7", `{"id":7}`, "Content-Type", "application/json", "Server", "nginx")
	w.backend.answers("/function", `{"statusCode":200,"headers":{"X-Answer":"yes"},"body":"hello"}`)
	w.backend.answers("/malformed", `{"statusCode":200,"unknown":1}`)
	w.backend.answers("/authorize", `{"principalId":"user-12345678","policyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:*:*:*/prod/GET/token"}]}}`)
	w.backend.mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	own := key{"AKIAOWN", "own-secret", ""}

	do := func(want int, r reply) {
		t.Helper()
		if r.status != want {
			t.Errorf("status %d, want %d: %s", r.status, want, r.body)
		}
		w.clock.advance(time.Second)
	}
	do(200, w.signed(own, "POST", "/prod/pets/7?expand=owner", `{"name":"Rex"}`, "Content-Type", "application/json", "User-Agent", "shop/1.0"))
	do(200, w.call("GET", "/prod/token", "", "Authorization", "Bearer secret-token-of-the-caller"))
	do(401, w.call("GET", "/prod/token", ""))
	do(403, w.call("GET", "/prod/deny", "", "Authorization", "Bearer secret-token-of-the-caller"))
	do(200, w.call("GET", "/prod/key", "", "X-Api-Key", "abcdefghijklmnopqrstuvwxyz"))
	do(400, w.call("POST", "/prod/checked", `{"age":1}`, "Content-Type", "application/json"))
	do(502, w.call("GET", "/prod/broken", ""))
	do(504, w.call("GET", "/prod/slow", ""))

	calls := w.transactions("111122223333", "us-east-1")
	type seen struct {
		Status            int
		Route             string
		Kind              transaction.CallerKind
		Caller            string
		Error             string
		Authorizer        string
		RequestBody, Body string
		Integration       int
		Complete          bool
	}
	got := map[string]seen{}
	for name, c := range calls {
		s := seen{Route: c.Route, Complete: c.Complete}
		if c.Response != nil {
			s.Status, s.Body = c.Response.Status, c.Response.Body
		}
		if c.Request != nil {
			s.RequestBody = c.Request.Body
		}
		if c.Caller != nil {
			s.Kind, s.Caller = c.Caller.Kind, c.Caller.ARN+c.Caller.APIKeyID
		}
		if c.Error != nil {
			s.Error = c.Error.Type
		}
		if c.Authorizer != nil {
			s.Authorizer = c.Authorizer.Outcome
		}
		if c.Integration != nil {
			s.Integration = c.Integration.Status
		}
		got[name] = s
		if c.Account != "111122223333" || c.Region != "us-east-1" || c.APIID != "a1b2c3d4e5" || c.Stage != "prod" || c.APIType != transaction.REST || c.SourceIP != "127.0.0.1" {
			t.Errorf("%s: %+v", name, c)
		}
	}
	// The unauthorized call has the same method and path as the authorized one, and
	// came later.
	want := map[string]seen{
		"POST /pets/7":  {Status: 200, Route: "/pets/{id}", Kind: "iam", Caller: "arn:aws:iam::111122223333:user/own", RequestBody: `{"name":"Rex"}`, Body: `{"id":7}`, Integration: 200, Complete: true},
		"GET /token":    {Status: 401, Route: "/token", Kind: "unknown", Error: "UNAUTHORIZED", Authorizer: "unauthorized", Complete: true},
		"GET /deny":     {Status: 403, Route: "/deny", Kind: "lambda", Error: "ACCESS_DENIED", Authorizer: "deny", Body: `{"message":"User is not authorized to access this resource"}`, Complete: true},
		"GET /key":      {Status: 200, Route: "/key", Kind: "api_key", Caller: "k1", Complete: true},
		"POST /checked": {Status: 400, Route: "/checked", Kind: "unknown", Error: "BAD_REQUEST_BODY", RequestBody: `{"age":1}`, Body: `{"message": "Invalid request body"}`, Complete: true},
		"GET /broken":   {Status: 502, Route: "/broken", Kind: "unknown", Error: "API_CONFIGURATION_ERROR", Body: `{"message": "Internal server error"}`, Integration: 200, Complete: true},
		"GET /slow":     {Status: 504, Route: "/slow", Kind: "unknown", Error: "INTEGRATION_TIMEOUT", Body: `{"message": "Endpoint request timed out"}`, Complete: true},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	pets := calls["POST /pets/7"]
	if pets.Request.Headers["user-agent"][0] != "shop/1.0" || pets.Query["expand"][0] != "owner" || pets.Visibility != transaction.Full ||
		pets.Response.Headers["x-amzn-remapped-server"][0] != "nginx" {
		text, _ := json.Marshal(pets)
		t.Errorf("%s", text)
	}
	for _, e := range w.logs.all() {
		for _, secret := range []string{"secret-token-of-the-caller", "abcdefghijklmnopqrstuvwxyz", "own-secret"} {
			if strings.Contains(e.Message, secret) {
				t.Errorf("%s is in the log: %s", secret, e.Message)
			}
		}
	}
}

func TestExecutionLogLines(t *testing.T) {
	t.Parallel()
	config := func(level string, trace string) string {
		return `
apis:
  - id: a1b2c3d4e5
    type: REST
    account: "111122223333"
    region: us-east-1
    routes:
      - {method: POST, path: "/pets/{id}", integration: {type: HTTP_PROXY, uri: "BACKEND/pets/{id}"}}
      - {method: GET, path: /down, integration: {type: HTTP_PROXY, uri: "http://127.0.0.1:1/"}}
    stages: [{name: prod, logging_level: ` + level + `, data_trace: ` + trace + `}]
`
	}
	const group = "API-Gateway-Execution-Logs_a1b2c3d4e5/prod"
	t.Run("order with data trace", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, config("INFO", "true"))
		w.backend.answers("/pets/7", "ok")
		w.call("POST", "/prod/pets/7?q=a%20b", "body")
		at := 0
		text := w.logs.text(group)
		for _, line := range []string{
			"Extended Request Id: ", "Verifying Usage Plan for request: ", "API Key  authorized because method 'POST /pets/{id}' does not require API Key.",
			"Usage Plan check succeeded for API Key  and API Stage a1b2c3d4e5/prod", "Starting execution for request: ",
			"HTTP Method: POST, Resource Path: /pets/7", "Method request path: {id=7}", "Method request query string: {q=a b}", "Method request headers: {",
			"Method request body before transformations: body", "Endpoint request URI: ", "Endpoint request headers: {", "Endpoint request body after transformations: body",
			"Sending request to ", "Received response. Status: 200, Integration latency: 0 ms", "Endpoint response headers: {", "Endpoint response body before transformations: ok",
			"Method response body after transformations: ok", "Method response headers: {", "Successfully completed execution", "Method completed with status: 200", "X-ray Tracing ID : Root=1-",
		} {
			i := strings.Index(text[at:], line)
			if i < 0 {
				t.Fatalf("no %q after\n%s\nin\n%s", line, text[:at], text)
			}
			at += i
		}
	})
	t.Run("no headers and bodies without data trace", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, config("INFO", "false"))
		w.backend.answers("/pets/7", "the answer")
		w.call("POST", "/prod/pets/7", "the body")
		text := w.logs.text(group)
		if strings.Contains(text, "the body") || strings.Contains(text, "the answer") || strings.Contains(text, "headers") || !strings.Contains(text, "Method completed with status: 200") {
			t.Error(text)
		}
	})
	t.Run("only failures at level ERROR", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, config("ERROR", "true"))
		w.backend.answers("/pets/7", "ok")
		w.call("POST", "/prod/pets/7", "")
		w.call("GET", "/prod/down", "").wants(t, 504, "InternalServerErrorException", `{"message": "Network error communicating with endpoint"}`)
		if text := w.logs.text(group); text != "Execution failed due to a network error communicating with endpoint\n" {
			t.Error(text)
		}
	})
	t.Run("long lines are cut", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, config("INFO", "true"))
		w.backend.answers("/pets/7", "ok")
		w.call("POST", "/prod/pets/7", strings.Repeat("é", 2000))
		cut := 0
		for _, e := range w.logs.all() {
			if len(e.Message) > 1024+len(" [TRUNCATED]") {
				t.Errorf("%d bytes: %s", len(e.Message), e.Message)
			}
			if rest, ok := strings.CutSuffix(e.Message, " [TRUNCATED]"); ok {
				cut++
				if n := len(rest); n < 1020 || n > 1024 {
					t.Errorf("cut at %d bytes", n)
				}
			}
		}
		if cut != 2 {
			t.Errorf("%d lines are cut, want the two of the body", cut)
		}
	})
}

func TestAccessLogOfAnHTTPAPI(t *testing.T) {
	t.Parallel()
	yaml := httpAPI(`      - {method: GET, path: /iam, authorization: AWS_IAM, integration: {type: HTTP_PROXY, uri: BACKEND/ok}}
`, "")
	yaml = strings.Replace(yaml, "name: $default,", "name: $default, access_log: {group: access-h1h2h3h4h5, format: '"+accessFormat+"'},", 1)
	w := newWorld(t, yaml)
	w.backend.answers("/ok", "fine")
	r := w.signed(key{"AKIAOWN", "own-secret", ""}, "GET", "/iam", "")
	w.call("GET", "/nowhere", "")
	calls := w.transactions("111122223333", "us-east-1")
	c := calls["GET /iam"]
	if c == nil || c.APIType != transaction.HTTP || c.Route != "/iam" || c.Response.Status != 200 || c.Caller.ARN != "arn:aws:iam::111122223333:user/own" || c.Caller.Kind != transaction.CallerIAM ||
		c.RequestID != r.header.Get("Apigw-Requestid") || c.Stage != "$default" {
		t.Errorf("%+v", c)
	}
	if c := calls["GET /nowhere"]; c == nil || c.Response.Status != 404 || c.Route != "" {
		t.Errorf("%+v", c)
	}
}
