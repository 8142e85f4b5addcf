package gateway_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestContextVariables holds what access logs are given, for calls that end in
// different ways.
func TestContextVariables(t *testing.T) {
	t.Parallel()
	names := []string{
		"accountId", "apiId", "stage", "httpMethod", "path", "resourcePath", "status", "responseLength", "integrationStatus", "integration.error",
		"identity.userArn", "identity.caller", "identity.accountId", "identity.apiKeyId", "identity.apiKey", "authorizer.principalId", "authorizer.tenant", "authorizer.level",
		"authorizer.status", "error.responseType", "error.messageString", "error.validationErrorString", "authenticate.status", "authenticate.error", "authorize.status", "authorize.error",
	}
	var format strings.Builder
	format.WriteString(`{"requestId":"$context.requestId"`)
	for _, name := range names {
		format.WriteString(`,"` + name + `":"$context.` + name + `"`)
	}
	w := newWorld(t, `
credentials:
  - {access_key_id: AKIAOWN, secret_access_key: own-secret, user_id: AIDAEXAMPLE, principal: "arn:aws:iam::111122223333:user/own", policies: [{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "execute-api:Invoke", Resource: "arn:aws:execute-api:*:*:*/prod/GET/iam"}]}]}
usage_plans:
  - {id: p1, stages: [a1b2c3d4e5/prod], keys: [{id: k1, name: shop, value: abcdefghijklmnopqrstuvwxyz}]}
apis:
  - id: a1b2c3d4e5
    type: REST
    account: "111122223333"
    region: us-east-1
    authorizers: {token: {type: TOKEN, url: BACKEND/z}}
    models: {Pet: {type: object, required: [name]}}
    routes:
      - {method: GET, path: /iam, authorization: AWS_IAM, integration: {type: HTTP_PROXY, uri: BACKEND/ok}}
      - {method: GET, path: /iam2, authorization: AWS_IAM, integration: {type: HTTP_PROXY, uri: BACKEND/ok}}
      - {method: GET, path: /token, authorization: CUSTOM, authorizer: token, integration: {type: HTTP_PROXY, uri: BACKEND/ok}}
      - {method: GET, path: /key, api_key_required: true, integration: {type: AWS_PROXY, uri: BACKEND/malformed}}
      - {method: POST, path: /body, request_models: {application/json: Pet}, validate_body: true, integration: {type: MOCK}}
    stages: [{name: prod, access_log: {group: g, format: '`+format.String()+`}'}}]
`)
	w.backend.answers("/ok", "fine")
	w.backend.answers("/malformed", `[]`)
	w.backend.answers("/z", allowAll)
	own := key{"AKIAOWN", "own-secret", ""}
	seen := 0
	wants := func(want map[string]string) {
		t.Helper()
		lines := strings.Split(strings.TrimSpace(w.logs.text("g")), "\n")
		if len(lines) != seen+1 {
			t.Fatalf("%d records, want %d", len(lines), seen+1)
		}
		line := lines[seen]
		seen++
		// Values are not escaped, as in API Gateway.
		line = strings.NewReplacer(`""Forbidden""`, `"'Forbidden'"`, `""Internal server error""`, `"'Internal server error'"`, `""Invalid request body""`, `"'Invalid request body'"`,
			`""Missing Authentication Token""`, `"'Missing Authentication Token'"`, `"[name property "name" is missing]"`, `"[name property 'name' is missing]"`).Replace(line)
		if i := strings.Index(line, `"error.messageString":""User: `); i >= 0 {
			end := strings.Index(line[i:], `"",`)
			line = line[:i] + `"error.messageString":"User` + line[i+end+1:]
		}
		got := map[string]string{}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		delete(got, "requestId")
		for name, v := range got {
			if v == "-" {
				delete(got, name)
			}
		}
		maps.Copy(want, map[string]string{"accountId": "111122223333", "apiId": "a1b2c3d4e5", "stage": "prod"})
		if d := cmp.Diff(want, got); d != "" {
			t.Error(d)
		}
	}
	w.signed(own, "GET", "/prod/iam", "")
	wants(map[string]string{
		"httpMethod": "GET", "path": "/prod/iam", "resourcePath": "/iam", "status": "200", "responseLength": "4", "integrationStatus": "200",
		"identity.userArn": "arn:aws:iam::111122223333:user/own", "identity.caller": "AIDAEXAMPLE", "identity.accountId": "111122223333",
		"authenticate.status": "200", "authorize.status": "200",
	})
	r := w.signed(own, "GET", "/prod/iam2", "")
	wants(map[string]string{
		"httpMethod": "GET", "path": "/prod/iam2", "resourcePath": "/iam2", "status": "403", "responseLength": itoa(len(r.body)), "error.responseType": "ACCESS_DENIED", "error.messageString": "User",
		"identity.userArn": "arn:aws:iam::111122223333:user/own", "identity.caller": "AIDAEXAMPLE", "identity.accountId": "111122223333",
		"authenticate.status": "200", "authorize.status": "403", "authorize.error": "AccessDeniedException",
	})
	w.call("GET", "/prod/iam", "")
	wants(map[string]string{
		"httpMethod": "GET", "path": "/prod/iam", "resourcePath": "/iam", "status": "403", "responseLength": itoa(len(missingToken)), "error.responseType": "MISSING_AUTHENTICATION_TOKEN",
		"error.messageString": "'Missing Authentication Token'", "authenticate.status": "403", "authenticate.error": "MissingAuthenticationTokenException",
	})
	w.call("GET", "/prod/token", "", "Authorization", "t")
	wants(map[string]string{
		"httpMethod": "GET", "path": "/prod/token", "resourcePath": "/token", "status": "200", "responseLength": "4", "integrationStatus": "200",
		"authorizer.principalId": "user-1", "authorizer.tenant": "blue", "authorizer.level": "3", "authorizer.status": "200",
	})
	w.call("GET", "/prod/key", "", "X-Api-Key", "abcdefghijklmnopqrstuvwxyz")
	wants(map[string]string{
		"httpMethod": "GET", "path": "/prod/key", "resourcePath": "/key", "status": "502", "responseLength": "36", "integrationStatus": "200", "integration.error": "Malformed Lambda proxy response",
		"identity.apiKeyId": "k1", "identity.apiKey": "******uvwxyz", "error.responseType": "API_CONFIGURATION_ERROR", "error.messageString": "'Internal server error'",
	})
	w.call("POST", "/prod/body", `{}`)
	wants(map[string]string{
		"httpMethod": "POST", "path": "/prod/body", "resourcePath": "/body", "status": "400", "responseLength": "35",
		"error.responseType": "BAD_REQUEST_BODY", "error.messageString": "'Invalid request body'", "error.validationErrorString": "[name property 'name' is missing]",
	})
}

func itoa(n int) string {
	b, _ := json.Marshal(n)
	return string(b)
}

func TestCallersChooseTheRequestID(t *testing.T) {
	t.Parallel()
	w := newWorld(t, restAPI("      - {method: GET, path: /, integration: {type: MOCK}}\n", stagesProd))
	const own = "11111111-2222-4333-8444-555555555555"
	if r := w.call("GET", "/prod/", "", "X-Amzn-Requestid", own); r.header.Get("X-Amzn-Requestid") != own {
		t.Errorf("%+v", r)
	}
	for _, bad := range []string{"x", own + "0", strings.Replace(own, "1", ")", 1)} {
		if r := w.call("GET", "/prod/", "", "X-Amzn-Requestid", bad); r.header.Get("X-Amzn-Requestid") == bad {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestMappedParameters(t *testing.T) {
	t.Parallel()
	w := newWorld(t, restAPI(`      - method: GET
        path: /pets/{id}
        integration:
          type: HTTP_PROXY
          uri: BACKEND/x/{pet}/{tenant}?fixed=1
          request_parameters:
            integration.request.path.pet: method.request.path.id
            integration.request.path.tenant: method.request.header.X-Tenant
            integration.request.querystring.stage: context.stage
            integration.request.header.X-Colour: stageVariables.colour
            integration.request.header.X-Const: "'yes'"
`, "    stages: [{name: prod, variables: {colour: blue}}]\n"))
	w.backend.mux.HandleFunc("/", echoPath)
	r := w.call("GET", "/prod/pets/a%2Fb?q=1", "", "X-Tenant", "../../admin?x=1")
	if r.body != "/x/a%2Fb/..%2F..%2Fadmin%3Fx=1?fixed=1&q=1&stage=prod" {
		t.Errorf("%+v", r)
	}
	seen, _ := w.backend.last(t)
	if seen.Header.Get("X-Colour") != "blue" || seen.Header.Get("X-Const") != "yes" || seen.Method != http.MethodGet {
		t.Errorf("%v", seen.Header)
	}
}

func TestBinaryMediaTypes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, restAPI("      - {method: POST, path: /, integration: {type: AWS_PROXY, uri: BACKEND/function}}\n", "    binary_media_types: [image/*]\n"+stagesProd))
	w.backend.answers("/function", `{"statusCode":200,"headers":{"Content-Type":"text/plain"},"body":"aGk=","isBase64Encoded":true}`)
	if r := w.call("POST", "/prod/", "\x89PNG", "Content-Type", "image/png", "Accept", "image/png"); r.body != "hi" {
		t.Errorf("%+v", r)
	}
	if _, body := w.backend.last(t); !strings.Contains(body, `"body":"iVBORw==","`) || !strings.Contains(body, `"isBase64Encoded":true`) {
		t.Error(body)
	}
	if r := w.call("POST", "/prod/", "text", "Content-Type", "text/plain", "Accept", "text/plain"); r.body != "aGk=" {
		t.Errorf("base64 is decoded for a caller that does not accept it: %+v", r)
	}
}
