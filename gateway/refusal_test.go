package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const missingToken = `{"message":"Missing Authentication Token"}`

// TestSignatureErrors holds the statuses, error types and bodies of calls whose
// signature is missing or wrong.
func TestSignatureErrors(t *testing.T) {
	t.Parallel()
	w := storyWorld(t, policyByAccount)
	const path = "/prod/"
	good := func() *http.Request { return w.sign(w.request("GET", path, ""), devKey, "", "us-east-1") }
	header := func(v string) *http.Request { return w.request("GET", path, "", "Authorization", v) }
	edit := func(old, now string) *http.Request {
		r := good()
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), old, now, 1))
		return r
	}
	const (
		incomplete = "IncompleteSignatureException"
		invalid    = "InvalidSignatureException"
	)
	for name, c := range map[string]struct {
		request   *http.Request
		errorType string
		message   string // the body's beginning after {"message":"
	}{
		"nothing":                {w.request("GET", path, ""), "MissingAuthenticationTokenException", "Missing Authentication Token"},
		"bearer":                 {header("Bearer tok"), incomplete, "'tok' not a valid key=value pair (missing equal-sign) in Authorization header: 'Bearer tok'."},
		"bare token":             {header("tok"), incomplete, "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. Authorization=tok"},
		"mismatch":               {edit("Signature=", "Signature=00"), invalid, `The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.\n\nThe Canonical String for this request should have been\n'GET\n/prod/\n`},
		"wrong secret":           {w.sign(w.request("GET", path, ""), key{"ASIADEV", "other", "dev-token"}, "", "us-east-1"), invalid, "The request signature we calculated does not match"},
		"wrong region":           {w.sign(w.request("GET", path, ""), devKey, "", "eu-west-1"), invalid, "Credential should be scoped to a valid region"},
		"wrong service":          {edit("/execute-api/", "/sts/"), invalid, "Credential should be scoped to correct service: 'execute-api'"},
		"unknown key":            {w.sign(w.request("GET", path, ""), key{"AKIANOBODY", "x", ""}, "", "us-east-1"), "UnrecognizedClientException", "The security token included in the request is invalid."},
		"without its token":      {w.sign(w.request("GET", path, ""), key{"ASIADEV", "dev-secret", ""}, "", "us-east-1"), "UnrecognizedClientException", "The security token included in the request is invalid."},
		"expired session":        {w.sign(w.request("GET", path, ""), oldKey, "", "us-east-1"), "ExpiredTokenException", "The security token included in the request is expired"},
		"credential of 2 parts":  {edit("/20260102/us-east-1/execute-api/aws4_request", "/x"), incomplete, "Credential must have exactly 5 slash-delimited elements"},
		"bad algorithm":          {edit("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), incomplete, "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1'"},
		"host is not signed":     {edit("SignedHeaders=host;", "SignedHeaders="), invalid, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."},
		"header and query":       {twice(good()), invalid, "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header."},
		"another date":           {edit("/20260102/", "/20260101/"), invalid, "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20260101' != '20260102', from '20260102T030405Z'. "},
		"unknown path, unsigned": {w.request("GET", "/prod/nowhere", ""), "MissingAuthenticationTokenException", "Missing Authentication Token"},
		"unknown path, bearer":   {w.request("GET", "/prod/nowhere", "", "Authorization", "Bearer tok"), incomplete, "'tok' not a valid key=value pair (missing equal-sign) in Authorization header: 'Bearer tok'."},
		"unknown method":         {w.request("DELETE", path, ""), "MissingAuthenticationTokenException", "Missing Authentication Token"},
		"unknown stage":          {w.request("GET", "/beta/", ""), "MissingAuthenticationTokenException", "Missing Authentication Token"},
		"no stage":               {w.request("GET", "/", ""), "MissingAuthenticationTokenException", "Missing Authentication Token"},
		"body not as signed":     {w.sign(w.request("POST", "/prod/predict", "changed"), devKey, "signed", "us-east-1"), invalid, "The request signature we calculated does not match"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := w.do(c.request)
			if r.status != 403 || r.header.Get("X-Amzn-Errortype") != c.errorType || !strings.HasPrefix(r.body, `{"message":"`+c.message) {
				t.Errorf("got %d %s %s\nwant 403 %s %s", r.status, r.header.Get("X-Amzn-Errortype"), r.body, c.errorType, c.message)
			}
		})
	}
}

// twice adds the query form of a signature to a request that has the header form.
func twice(r *http.Request) *http.Request {
	r.URL.RawQuery = "X-Amz-Algorithm=AWS4-HMAC-SHA256"
	return r
}

func TestSignatureTime(t *testing.T) {
	t.Parallel()
	w := storyWorld(t, policyByAccount)
	old := w.sign(w.request("GET", "/prod/", ""), devKey, "", "us-east-1")
	w.clock.advance(6 * time.Minute)
	w.do(old).wants(t, 403, "InvalidSignatureException",
		`{"message":"Signature expired: 20260102T030405Z is now earlier than 20260102T030505Z (20260102T031005Z - 5 min.)"}`)
	young := w.sign(w.request("GET", "/prod/", ""), devKey, "", "us-east-1")
	w.clock.advance(-6 * time.Minute)
	w.do(young).wants(t, 403, "InvalidSignatureException",
		`{"message":"Signature not yet current: 20260102T031005Z is still later than 20260102T030905Z (20260102T030405Z + 5 min.)"}`)
}

func restAPI(routes, more string) string {
	return `
apis:
  - id: a1b2c3d4e5
    type: REST
    account: "111122223333"
    region: us-east-1
` + more + `
    routes:
` + routes
}

const stagesProd = "    stages: [{name: prod}]\n"

func TestResourcePolicyWithoutAuthorization(t *testing.T) {
	t.Parallel()
	policy := func(statements string) string {
		return "    policy: {Version: '2012-10-17', Statement: [" + statements + "]}\n" + stagesProd
	}
	const route = `      - {method: GET, path: "/a/{proxy+}", integration: {type: MOCK}}
`
	const everyone = `{Effect: Allow, Principal: "*", Action: "execute-api:Invoke", Resource: "execute-api:/*"}`
	const stem = `{"Message":"User: anonymous is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:us-east-1:********3333:a1b2c3d4e5/prod/GET/a/secret`
	for name, c := range map[string]struct {
		statements string
		path       string
		status     int
		body       string
	}{
		"allowed":             {everyone, "/prod/a/b", 200, ""},
		"silent":              {`{Effect: Allow, Principal: "*", Action: "execute-api:Invoke", Resource: "execute-api:/prod/POST/*"}`, "/prod/a/secret", 403, stem + ` because no resource-based policy allows the execute-api:Invoke action"}`},
		"denied":              {everyone + `, {Effect: Deny, Principal: "*", Action: "execute-api:Invoke", Resource: "execute-api:/prod/GET/a/secret"}`, "/prod/a/secret", 403, stem + ` with an explicit deny in a resource-based policy"}`},
		"denied, encoded":     {everyone + `, {Effect: Deny, Principal: "*", Action: "execute-api:Invoke", Resource: "execute-api:/prod/GET/a/secret"}`, "/prod/a/%73ecret", 403, stem + ` with an explicit deny in a resource-based policy"}`},
		"denied, with slash":  {everyone + `, {Effect: Deny, Principal: "*", Action: "execute-api:Invoke", Resource: "execute-api:/prod/GET/a/secret"}`, "/prod/a/secret/", 403, stem + ` with an explicit deny in a resource-based policy"}`},
		"an account":          {`{Effect: Allow, Principal: {AWS: "111122223333"}, Action: "execute-api:Invoke", Resource: "*"}`, "/prod/a/secret", 403, stem + ` because no resource-based policy allows the execute-api:Invoke action"}`},
		"source address":      {`{Effect: Allow, Principal: "*", Action: "execute-api:Invoke", Resource: "*", Condition: {IpAddress: {"aws:SourceIp": 127.0.0.0/8}}}`, "/prod/a/b", 200, ""},
		"no forwarded source": {`{Effect: Allow, Principal: "*", Action: "execute-api:Invoke", Resource: "*", Condition: {IpAddress: {"aws:SourceIp": 203.0.113.9/32}}}`, "/prod/a/secret", 403, stem + ` because no resource-based policy allows the execute-api:Invoke action"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, restAPI(route, policy(c.statements)))
			// A caller's own X-Forwarded-For must not choose its source address.
			r := w.call("GET", c.path, "", "X-Forwarded-For", "203.0.113.9")
			if r.status != c.status || r.body != c.body {
				t.Errorf("got %d %s\nwant %d %s", r.status, r.body, c.status, c.body)
			}
		})
	}
}

func TestGatewayRefusals(t *testing.T) {
	t.Parallel()
	const key1 = "abcdefghijklmnopqrstuvwxyz"
	w := newWorld(t, restAPI(`      - {method: GET, path: /key, api_key_required: true, integration: {type: MOCK}}
      - {method: GET, path: /q, required_parameters: [method.request.querystring.q, method.request.header.X-Tenant], validate_parameters: true, integration: {type: MOCK}}
      - {method: POST, path: /body, request_models: {application/json: Pet}, validate_body: true, integration: {type: MOCK}}
      - {method: POST, path: /big, integration: {type: MOCK}}
      - {method: GET, path: /error, integration: {type: AWS_PROXY, uri: BACKEND/error}}
      - {method: GET, path: /refused, integration: {type: AWS_PROXY, uri: BACKEND/refused}}
      - {method: GET, path: /malformed, integration: {type: AWS_PROXY, uri: BACKEND/malformed}}
      - {method: GET, path: /large, integration: {type: HTTP_PROXY, uri: BACKEND/large}}
`, "    models: {Pet: {type: object, required: [name], properties: {name: {type: string, maxLength: 5}, owner: {$ref: '#/definitions/Owner'}}, definitions: {Owner: {type: integer}}}}\n"+stagesProd)+`
usage_plans:
  - {id: p, stages: [a1b2c3d4e5/prod], throttle: {rate: 1, burst: 2}, quota: {limit: 3, period: DAY}, keys: [{id: k, value: `+key1+`}]}
  - {id: q, stages: [], keys: [{id: other, value: other-key-without-a-stage}]}
limits: {payload: 1000}
`)
	w.backend.answers("/error", `{"errorMessage":"boom"}`, "X-Amz-Function-Error", "Unhandled")
	w.backend.handles("/refused", 429, `{}`)
	w.backend.answers("/malformed", `"text"`)
	w.backend.answers("/large", strings.Repeat("x", 1001))
	const oops = `{"message": "Internal server error"}`
	for name, c := range map[string]struct {
		request   *http.Request
		status    int
		errorType string
		body      string
	}{
		"no key":              {w.request("GET", "/prod/key", ""), 403, "ForbiddenException", `{"message":"Forbidden"}`},
		"unknown key":         {w.request("GET", "/prod/key", "", "X-Api-Key", "nope"), 403, "ForbiddenException", `{"message":"Forbidden"}`},
		"key of no plan here": {w.request("GET", "/prod/key", "", "X-Api-Key", "other-key-without-a-stage"), 403, "ForbiddenException", `{"message":"Forbidden"}`},
		"missing parameters":  {w.request("GET", "/prod/q", ""), 400, "BadRequestException", `{"message": "Missing required request parameters: [q, X-Tenant]"}`},
		"missing parameter":   {w.request("GET", "/prod/q?q=1", ""), 400, "BadRequestException", `{"message": "Missing required request parameters: [X-Tenant]"}`},
		"all parameters":      {w.request("GET", "/prod/q?q=1", "", "X-Tenant", "t"), 200, "", ""},
		"bad body":            {w.request("POST", "/prod/body", `{"name":"Rex the dog"}`), 400, "BadRequestException", `{"message": "Invalid request body"}`},
		"bad reference":       {w.request("POST", "/prod/body", `{"name":"Rex","owner":"x"}`), 400, "BadRequestException", `{"message": "Invalid request body"}`},
		"not JSON":            {w.request("POST", "/prod/body", `{`), 400, "BadRequestException", `{"message": "Invalid request body"}`},
		"good body":           {w.request("POST", "/prod/body", `{"name":"Rex","owner":1}`), 200, "", ""},
		"unmodelled type":     {w.request("POST", "/prod/body", "x", "Content-Type", "text/plain"), 200, "", ""},
		"too large":           {w.request("POST", "/prod/big", strings.Repeat("x", 1001)), 413, "RequestTooLongException", `{"message":"Request Too Long"}`},
		"function error":      {w.request("GET", "/prod/error", ""), 502, "InternalServerErrorException", oops},
		"function throttled":  {w.request("GET", "/prod/refused", ""), 500, "InternalServerErrorException", oops},
		"malformed response":  {w.request("GET", "/prod/malformed", ""), 502, "InternalServerErrorException", oops},
		"response too large":  {w.request("GET", "/prod/large", ""), 500, "InternalServerErrorException", oops},
	} {
		t.Log(name)
		w.do(c.request).wants(t, c.status, c.errorType, c.body)
	}
	// The bucket holds two, and fills by one a second; the quota is three a day.
	call := func() reply { return w.call("GET", "/prod/key", "", "X-Api-Key", key1) }
	if a, b := call(), call(); a.status != 200 || b.status != 200 {
		t.Fatalf("%+v %+v", a, b)
	}
	call().wants(t, 429, "TooManyRequestsException", `{"message":"Too Many Requests"}`)
	w.clock.advance(time.Second)
	if r := call(); r.status != 200 {
		t.Errorf("after a second: %+v", r)
	}
	w.clock.advance(time.Minute)
	call().wants(t, 429, "LimitExceededException", `{"message":"Limit Exceeded"}`)
	w.clock.advance(24 * time.Hour)
	if r := call(); r.status != 200 {
		t.Errorf("the next day: %+v", r)
	}
}

func TestGatewayResponses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, restAPI("      - {method: GET, path: /, authorization: AWS_IAM, integration: {type: MOCK}}\n", `    gateway_responses:
      MISSING_AUTHENTICATION_TOKEN:
        status: 404
        headers: {Access-Control-Allow-Origin: "*", X-Kind: $context.error.responseType}
        templates: {application/json: '{"error":$context.error.messageString,"id":"$context.requestId"}'}
      DEFAULT_4XX: {headers: {X-Default: "yes"}}
`+stagesProd))
	r := w.call("GET", "/prod/", "")
	want := `{"error":"Missing Authentication Token","id":"` + r.header.Get("X-Amzn-Requestid") + `"}`
	if r.status != 404 || r.body != want || r.header.Get("Access-Control-Allow-Origin") != "*" || r.header.Get("X-Kind") != "MISSING_AUTHENTICATION_TOKEN" {
		t.Errorf("%+v", r)
	}
	r = w.call("GET", "/prod/", "", "Authorization", "Bearer tok")
	if r.status != 403 || r.header.Get("X-Default") != "yes" || !strings.HasPrefix(r.body, `{"message":"'tok' not a valid`) {
		t.Errorf("%+v", r)
	}
}
