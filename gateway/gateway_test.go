package gateway_test

import (
	"errors"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/gateway"
)

// brokenStore is a credential store that cannot be reached.
type brokenStore struct{}

func (brokenStore) Lookup(string) (*gateway.Principal, error) {
	return nil, errors.New("connection refused")
}

func TestAnErrorNeverAllows(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	b.answers("/", "secret")
	c, err := gateway.Parse("x", []byte(restAPI("      - {method: GET, path: /, authorization: AWS_IAM, integration: {type: HTTP_PROXY, uri: "+b.URL+"/}}\n", stagesProd)), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(c, gateway.Options{Credentials: brokenStore{}})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, gateway: g, server: httptest.NewServer(g), clock: &clock{at: time.Now()}}
	t.Cleanup(w.server.Close)
	w.signed(key{"AKIAOWN", "own-secret", ""}, "GET", "/prod/", "").wants(t, 500, "InternalServerErrorException", `{"message": "Internal server error"}`)
	if b.calls() != 0 {
		t.Error("the integration was called")
	}
}

func TestCustomDomains(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
credentials:
  - {access_key_id: AKIAOWN, secret_access_key: own-secret, principal: "arn:aws:iam::111122223333:user/own", policies: [{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "execute-api:Invoke", Resource: "arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5/prod/GET/iam"}]}]}
apis:
  - {id: a1b2c3d4e5, type: REST, account: "111122223333", region: us-east-1, stages: [{name: prod}], domains: [{name: api.example.com, base_path: v1, stage: prod}],
     routes: [{method: GET, path: /iam, authorization: AWS_IAM, integration: {type: HTTP_PROXY, uri: BACKEND/first}}]}
  - {id: b1b2c3d4e5, type: REST, account: "111122223333", region: us-east-1, stages: [{name: beta}], domains: [{name: api.example.com, stage: beta}],
     routes: [{method: GET, path: /open, integration: {type: HTTP_PROXY, uri: BACKEND/second}}]}
`)
	w.backend.answers("/first", "first")
	w.backend.answers("/second", "second")
	own := key{"AKIAOWN", "own-secret", ""}
	// The client signs the path and the host that it uses.
	for _, c := range []struct {
		path, host string
		status     int
		body       string
	}{
		{"/v1/iam", "api.example.com", 200, "first"},
		{"/open", "api.example.com", 200, "second"},
		{"/prod/iam", "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com", 200, "first"},
		{"/beta/open", "b1b2c3d4e5.localhost:8322", 200, "second"},
		{"/prod/iam", "b1b2c3d4e5.localhost", 403, missingToken},
		{"/prod/iam", "else.example.com", 403, `{"message":"Forbidden"}`},
		{"/v2/iam", "api.example.com", 403, missingToken},
	} {
		if r := w.signed(own, "GET", c.path, "", "Host", c.host); r.status != c.status || r.body != c.body {
			t.Errorf("%s%s: %d %s, want %d %s", c.host, c.path, r.status, r.body, c.status, c.body)
		}
	}
}

func TestStageThrottle(t *testing.T) {
	t.Parallel()
	w := newWorld(t, restAPI("      - {method: GET, path: /, integration: {type: MOCK}}\n", "    stages: [{name: prod, logging_level: INFO, throttle: {rate: 1, burst: 1}}]\n"))
	if r := w.call("GET", "/prod/", ""); r.status != 200 {
		t.Errorf("%+v", r)
	}
	w.call("GET", "/prod/", "").wants(t, 429, "TooManyRequestsException", `{"message":"Too Many Requests"}`)
	text := w.logs.text("API-Gateway-Execution-Logs")
	if want := "Method completed with status: 429\n"; !strings.Contains(text, want) || strings.Count(text, "HTTP Method: ") != 1 {
		t.Error(text)
	}
}

func TestAccessLogFormats(t *testing.T) {
	t.Parallel()
	w := newWorld(t, restAPI("      - {method: GET, path: \"/pets/{id}\", integration: {type: MOCK, responses: {\"200\": {body: hello}}}}\n",
		"    stages: [{name: prod, access_log: {group: g, format: '$context.identity.sourceIp $context.identity.caller $context.identity.user [$context.requestTime] \"$context.httpMethod $context.resourcePath $context.protocol\" $context.status $context.responseLength $context.requestId $context.nonsense.'}}]\n"))
	w.call("GET", "/prod/pets/7", "")
	want := regexp.MustCompile(`^127\.0\.0\.1 - - \[02/Jan/2026:03:04:05 \+0000\] "GET /pets/\{id\} HTTP/1\.1" 200 5 [0-9a-f-]{36} -\.$`)
	if got := strings.TrimSpace(w.logs.text("g")); !want.MatchString(got) {
		t.Error(got)
	}
}

func TestHeadersOnTheWay(t *testing.T) {
	t.Parallel()
	w := storyWorld(t, policyByAccount)
	r := w.sign(w.request("POST", "/prod/predict", "x", "X-Forwarded-For", "203.0.113.9", "Connection", "X-Hop", "X-Hop", "1", "X-Amzn-Apigateway-Api-Id", "forged"), devKey, "x", "us-east-1")
	if got := w.do(r); got.status != 200 {
		t.Fatalf("%+v", got)
	}
	seen, body := w.backend.last(t)
	h := seen.Header
	if body != "x" || h.Get("X-Forwarded-For") != "203.0.113.9, 127.0.0.1" || h.Get("X-Hop") != "" || h.Get("Authorization") != "" ||
		h.Get("X-Amzn-Apigateway-Api-Id") != "no8k0bxy8b" || !strings.HasPrefix(h.Get("X-Amzn-Trace-Id"), "Root=1-") || h.Get("X-Forwarded-Proto") != "http" {
		t.Errorf("%q %v", body, h)
	}
}
