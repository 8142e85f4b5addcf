package gateway_test

import (
	"fmt"
	"testing"
)

// The story of an internal API that another account calls: the API in account
// 548754742764, its caller in 329380440465.

const storyBook = `{"id":123,"category":"book"}`

// storyWorld has keys of sessions in the caller's account, with and without the
// right to invoke, and of one in the API's own.
func storyWorld(t *testing.T, resourcePolicy string) *world {
	t.Helper()
	allow := `[{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "execute-api:Invoke", Resource: "arn:aws:execute-api:us-east-1:548754742764:no8k0bxy8b/*"}]}]`
	deny := `[{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "*", Resource: "*"}, {Effect: Deny, Action: "execute-api:Invoke", Resource: "*"}]}]`
	w := newWorld(t, fmt.Sprintf(`
credentials:
  - {access_key_id: ASIADEV, secret_access_key: dev-secret, session_token: dev-token, principal: "arn:aws:sts::329380440465:assumed-role/ecs-app-dev-task/i-1", policies: %[1]s}
  - {access_key_id: ASIAOPS, secret_access_key: ops-secret, session_token: ops-token, principal: "arn:aws:sts::329380440465:assumed-role/ops/i-1", policies: %[1]s}
  - {access_key_id: ASIABARE, secret_access_key: bare-secret, session_token: bare-token, principal: "arn:aws:sts::329380440465:assumed-role/ecs-app-dev-bare/i-1"}
  - {access_key_id: ASIADENY, secret_access_key: deny-secret, session_token: deny-token, principal: "arn:aws:sts::329380440465:assumed-role/ecs-app-dev-deny/i-1", policies: %[2]s}
  - {access_key_id: AKIAOWN, secret_access_key: own-secret, principal: "arn:aws:iam::548754742764:user/own", policies: %[1]s}
  - {access_key_id: AKIAOWNBARE, secret_access_key: own-bare-secret, principal: "arn:aws:iam::548754742764:user/bare"}
  - {access_key_id: ASIAOLD, secret_access_key: old-secret, session_token: old-token, expires: 2026-01-02T03:00:00Z, principal: "arn:aws:sts::329380440465:assumed-role/ecs-app-dev-old/i-1", policies: %[1]s}
apis:
  - id: no8k0bxy8b
    name: order
    type: REST
    account: "548754742764"
    region: us-east-1
%[3]s
    routes:
      - {method: GET, path: /, authorization: AWS_IAM, integration: {type: AWS_PROXY, uri: BACKEND/function}}
      - {method: POST, path: /predict, authorization: AWS_IAM, integration: {type: HTTP_PROXY, uri: BACKEND/predict}}
      - method: OPTIONS
        path: /
        integration: {type: MOCK, responses: {"204": {headers: {Access-Control-Allow-Origin: "*", Access-Control-Allow-Methods: "GET,OPTIONS"}}}}
    stages:
      - {name: prod, logging_level: INFO, data_trace: true}
`, allow, deny, resourcePolicy))
	w.backend.answers("/function", `{"statusCode":200,"body":"{\"id\":123,\"category\":\"book\"}"}`)
	w.backend.answers("/predict", `{"label":"cat"}`, "Content-Type", "application/json")
	return w
}

var (
	devKey  = key{"ASIADEV", "dev-secret", "dev-token"}
	opsKey  = key{"ASIAOPS", "ops-secret", "ops-token"}
	bareKey = key{"ASIABARE", "bare-secret", "bare-token"}
	denyKey = key{"ASIADENY", "deny-secret", "deny-token"}
	ownKey  = key{"AKIAOWN", "own-secret", ""}
	ownBare = key{"AKIAOWNBARE", "own-bare-secret", ""}
	oldKey  = key{"ASIAOLD", "old-secret", "old-token"}
)

const policyByAccount = `
    policy:
      Version: "2012-10-17"
      Statement:
        - {Effect: Allow, Principal: {AWS: "arn:aws:iam::329380440465:root"}, Action: "execute-api:Invoke", Resource: "arn:aws:execute-api:us-east-1:548754742764:*"}
        - {Effect: Allow, Principal: "*", Action: "execute-api:Invoke", Resource: "execute-api:/*/OPTIONS/*"}`

const policyByPrefix = `
    policy:
      Version: "2012-10-17"
      Statement:
        - Effect: Allow
          Principal: {AWS: "arn:aws:iam::329380440465:root"}
          Action: "execute-api:Invoke"
          Resource: "arn:aws:execute-api:us-east-1:548754742764:*"
          Condition: {StringLike: {"aws:PrincipalArn": "arn:aws:iam::329380440465:role/ecs-app-dev*"}}`

const stem = `User: arn:aws:sts::329380440465:assumed-role/%s/i-1 is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:us-east-1:********2764:no8k0bxy8b/prod/GET/`

func message(role, rest string) string {
	return `{"Message":"` + fmt.Sprintf(stem, role) + rest + `"}`
}

func TestCrossAccountStory(t *testing.T) {
	t.Parallel()
	byAccount := storyWorld(t, policyByAccount)
	byPrefix := storyWorld(t, policyByPrefix)
	none := storyWorld(t, "")
	const denied = "AccessDeniedException"
	t.Run("unsigned", func(t *testing.T) {
		t.Parallel()
		r := byAccount.call("GET", "/prod/", "")
		r.wants(t, 403, "MissingAuthenticationTokenException", `{"message":"Missing Authentication Token"}`)
		if r.header.Get("X-Amzn-Requestid") == "" || r.header.Get("X-Amz-Apigw-Id") == "" || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("headers: %v", r.header)
		}
	})
	t.Run("both sides allow", func(t *testing.T) {
		t.Parallel()
		byAccount.signed(devKey, "GET", "/prod/", "").wants(t, 200, "", storyBook)
		byAccount.signed(opsKey, "GET", "/prod/", "").wants(t, 200, "", storyBook)
		byPrefix.signed(devKey, "GET", "/prod/", "").wants(t, 200, "", storyBook)
		byAccount.signed(devKey, "POST", "/prod/predict", `{"x":1}`).wants(t, 200, "", `{"label":"cat"}`)
	})
	t.Run("the caller's side is missing", func(t *testing.T) {
		t.Parallel()
		byAccount.signed(bareKey, "GET", "/prod/", "").wants(t, 403, denied, message("ecs-app-dev-bare", " because no resource-based policy allows the execute-api:Invoke action"))
	})
	t.Run("the API's side is missing", func(t *testing.T) {
		t.Parallel()
		byPrefix.signed(opsKey, "GET", "/prod/", "").wants(t, 403, denied, message("ops", " because no resource-based policy allows the execute-api:Invoke action"))
		none.signed(devKey, "GET", "/prod/", "").wants(t, 403, denied, message("ecs-app-dev-task", " because no resource-based policy allows the execute-api:Invoke action"))
	})
	t.Run("the caller's side denies", func(t *testing.T) {
		t.Parallel()
		byAccount.signed(denyKey, "GET", "/prod/", "").wants(t, 403, denied, message("ecs-app-dev-deny", " with an explicit deny in an identity-based policy"))
	})
	t.Run("the same account", func(t *testing.T) {
		t.Parallel()
		byAccount.signed(ownKey, "GET", "/prod/", "").wants(t, 200, "", storyBook)
		none.signed(ownKey, "GET", "/prod/", "").wants(t, 200, "", storyBook)
		none.signed(ownBare, "GET", "/prod/", "").wants(t, 403, denied,
			`{"Message":"User: arn:aws:iam::548754742764:user/bare is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:us-east-1:********2764:no8k0bxy8b/prod/GET/ because no identity-based policy allows the execute-api:Invoke action"}`)
	})
	t.Run("preflight", func(t *testing.T) {
		t.Parallel()
		r := byAccount.call("OPTIONS", "/prod/", "", "Origin", "https://shop.example.com", "Access-Control-Request-Method", "GET")
		if r.status != 204 || r.header.Get("Access-Control-Allow-Origin") != "*" {
			t.Errorf("%+v", r)
		}
		// The policy by prefix allows no anonymous OPTIONS, and so the preflight fails.
		byPrefix.call("OPTIONS", "/prod/", "").wants(t, 403, denied,
			`{"Message":"User: anonymous is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:us-east-1:********2764:no8k0bxy8b/prod/OPTIONS/ because no resource-based policy allows the execute-api:Invoke action"}`)
	})
	t.Run("an expired session", func(t *testing.T) {
		t.Parallel()
		byAccount.signed(oldKey, "GET", "/prod/", "").wants(t, 403, "ExpiredTokenException", `{"message":"The security token included in the request is expired"}`)
	})
}
