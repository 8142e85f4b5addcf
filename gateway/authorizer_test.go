package gateway_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	allowAll = `{"principalId":"user-1","policyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"*"}]},"context":{"tenant":"blue","level":3}}`
	denyAll  = `{"principalId":"user-1","policyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"execute-api:Invoke","Resource":"*"}]}}`
	silent   = `{"principalId":"user-1","policyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:*:*:*/prod/GET/else"}]}}`
)

func authorizerWorld(t *testing.T, more string) *world {
	t.Helper()
	return newWorld(t, restAPI(`      - {method: GET, path: /a, authorization: CUSTOM, authorizer: z, integration: {type: AWS_PROXY, uri: BACKEND/function}}
      - {method: GET, path: /b, authorization: CUSTOM, authorizer: z, integration: {type: MOCK}}
`, more+stagesProd))
}

func TestTokenAuthorizer(t *testing.T) {
	t.Parallel()
	const config = "    authorizers: {z: {type: TOKEN, url: BACKEND/z, identity_validation_expression: 'Bearer .*'}}\n"
	const (
		denied       = "AccessDeniedException"
		unauthorized = `{"message":"Unauthorized"}`
	)
	for name, c := range map[string]struct {
		status          int
		answer          string
		functionError   bool
		token           string
		want            int
		errorType, body string
		asked           int
	}{
		"allow":           {200, allowAll, false, "Bearer t", 200, "", "ok", 1},
		"deny":            {200, denyAll, false, "Bearer t", 403, denied, `{"message":"User is not authorized to access this resource with an explicit deny"}`, 1},
		"silent":          {200, silent, false, "Bearer t", 403, denied, `{"message":"User is not authorized to access this resource"}`, 1},
		"no token":        {200, allowAll, false, "", 401, "UnauthorizedException", unauthorized, 0},
		"not as expected": {200, allowAll, false, "Basic t", 401, "UnauthorizedException", unauthorized, 0},
		"unauthorized":    {200, `{"errorMessage":"Unauthorized"}`, true, "Bearer t", 401, "UnauthorizedException", unauthorized, 1},
		"401":             {401, ``, false, "Bearer t", 401, "UnauthorizedException", unauthorized, 1},
		"failed":          {200, `{"errorMessage":"boom"}`, true, "Bearer t", 500, "AuthorizerFailureException", `{"message":null}`, 1},
		"500":             {500, allowAll, false, "Bearer t", 500, "AuthorizerFailureException", `{"message":null}`, 1},
		"not JSON":        {200, `allow`, false, "Bearer t", 500, "AuthorizerConfigurationException", `{"message":null}`, 1},
		"no policy":       {200, `{"principalId":"x"}`, false, "Bearer t", 500, "AuthorizerConfigurationException", `{"message":null}`, 1},
		"invalid policy":  {200, `{"principalId":"x","policyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"allow","Action":"*","Resource":"*"}]}}`, false, "Bearer t", 500, "AuthorizerConfigurationException", `{"message":null}`, 1},
		"simple response": {200, `{"isAuthorized":true}`, false, "Bearer t", 500, "AuthorizerConfigurationException", `{"message":null}`, 1},
		"too large":       {200, allowAll + strings.Repeat(" ", 8<<10), false, "Bearer t", 500, "AuthorizerFailureException", `{"message":null}`, 1},
		"nested context":  {200, strings.Replace(allowAll, `"blue"`, `{}`, 1), false, "Bearer t", 500, "AuthorizerConfigurationException", `{"message":null}`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := authorizerWorld(t, config)
			w.backend.answers("/function", `{"statusCode":200,"body":"ok"}`)
			asked := 0
			w.backend.mux.HandleFunc("/z", func(rw http.ResponseWriter, r *http.Request) {
				asked++
				var event struct{ Type, MethodArn, AuthorizationToken string }
				if err := json.NewDecoder(r.Body).Decode(&event); err != nil || event.Type != "TOKEN" || event.AuthorizationToken != c.token ||
					event.MethodArn != "arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5/prod/GET/a" {
					t.Errorf("%v %+v", err, event)
				}
				if c.functionError {
					rw.Header().Set("X-Amz-Function-Error", "Unhandled")
				}
				rw.WriteHeader(c.status)
				_, _ = io.WriteString(rw, c.answer)
			})
			var headers []string
			if c.token != "" {
				headers = []string{"Authorization", c.token}
			}
			w.call("GET", "/prod/a", "", headers...).wants(t, c.want, c.errorType, c.body)
			if asked != c.asked {
				t.Errorf("the authorizer was asked %d times, want %d", asked, c.asked)
			}
		})
	}
}

func TestAuthorizerResultIsKept(t *testing.T) {
	t.Parallel()
	w := authorizerWorld(t, "    authorizers: {z: {type: REQUEST, url: BACKEND/z, identity_source: [method.request.header.X-Token, method.request.querystring.q], ttl: 10s}}\n")
	w.backend.answers("/function", `{"statusCode":200,"body":"ok"}`)
	w.backend.answers("/z", allowAll)
	ask := func(path, token string) int {
		t.Helper()
		before := w.backend.calls()
		if r := w.call("GET", path, "", "X-Token", token); r.status != 200 {
			t.Errorf("%+v", r)
		}
		asked := 0
		w.backend.mu.Lock()
		defer w.backend.mu.Unlock()
		for _, r := range w.backend.seen[before:] {
			if r.URL.Path == "/z" {
				asked++
			}
		}
		return asked
	}
	for i, step := range []struct {
		path, token string
		advance     time.Duration
		asked       int
	}{
		{"/prod/a?q=1", "t1", 0, 1},
		{"/prod/a?q=1", "t1", 0, 0},
		{"/prod/b?q=1", "t1", 0, 0},
		{"/prod/a?q=2", "t1", 0, 1},
		{"/prod/a?q=1", "t2", 0, 1},
		// ("t", "12") is not ("t1", "2").
		{"/prod/a?q=12", "t", 0, 1},
		{"/prod/a?q=2", "t1", 11 * time.Second, 1},
	} {
		w.clock.advance(step.advance)
		if got := ask(step.path, step.token); got != step.asked {
			t.Errorf("step %d: asked %d times, want %d", i, got, step.asked)
		}
	}
	before := w.backend.calls()
	w.call("GET", "/prod/a?q=1", "").wants(t, 401, "UnauthorizedException", `{"message":"Unauthorized"}`)
	if w.backend.calls() != before {
		t.Error("a call without its identity reached the authorizer")
	}
}

func TestAuthorizerWithResourcePolicy(t *testing.T) {
	t.Parallel()
	policy := func(effect, resource string) string {
		return "    policy: {Version: '2012-10-17', Statement: [{Effect: " + effect + ", Principal: '*', Action: 'execute-api:Invoke', Resource: '" + resource + "'}]}\n    authorizers: {z: {type: TOKEN, url: BACKEND/z}}\n"
	}
	for name, c := range map[string]struct {
		policy, answer string
		status, asked  int
	}{
		"denied before the authorizer is asked": {policy("Deny", "execute-api:/prod/GET/a"), allowAll, 403, 0},
		"the authorizer alone":                  {policy("Deny", "execute-api:/prod/GET/else"), allowAll, 200, 1},
		"the resource policy alone":             {policy("Allow", "execute-api:/prod/GET/a"), silent, 200, 1},
		"neither":                               {policy("Allow", "execute-api:/prod/GET/else"), silent, 403, 1},
		"the authorizer denies":                 {policy("Allow", "execute-api:/prod/GET/a"), denyAll, 403, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := authorizerWorld(t, c.policy)
			w.backend.answers("/z", c.answer)
			w.backend.answers("/function", `{"statusCode":200}`)
			r := w.call("GET", "/prod/a", "", "Authorization", "t")
			asked := w.backend.calls()
			if c.status == 200 {
				asked-- // the function
			}
			if r.status != c.status || asked != c.asked {
				t.Errorf("%+v, the authorizer was asked %d times", r, asked)
			}
		})
	}
}

func TestSimpleResponses(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]int{
		`{"isAuthorized":true,"context":{"a":"b"}}`: 200, `{"isAuthorized":false}`: 403, `{}`: 500, `{"isAuthorized":"true"}`: 500, allowAll: 500,
	} {
		w := newWorld(t, httpAPI(`      - {method: GET, path: /a, authorization: CUSTOM, authorizer: z, integration: {type: HTTP_PROXY, uri: BACKEND/ok}}
`, "    authorizers: {z: {type: REQUEST, url: BACKEND/z, identity_source: [$request.header.Authorization], simple_responses: true}}\n"))
		w.backend.answers("/ok", "fine")
		w.backend.answers("/z", answer)
		if r := w.call("GET", "/a", "", "Authorization", "t"); r.status != want {
			t.Errorf("%s: %+v, want %d", answer, r, want)
		}
		if r := w.call("GET", "/a", ""); r.status != 401 || r.body != `{"message":"Unauthorized"}` {
			t.Errorf("without identity: %+v", r)
		}
	}
}

// issuer signs tokens.
type issuer struct {
	t   *testing.T
	key *rsa.PrivateKey
	url string
}

func (i *issuer) token(claims map[string]any) string {
	i.t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: i.key, KeyID: "k1"}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		i.t.Fatal(err)
	}
	text, err := jwt.Signed(s).Claims(claims).Serialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}

func TestJWTAuthorizer(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &private.PublicKey, KeyID: "k1", Algorithm: "RS256", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, where := range map[string]string{
		"discovery": "issuer: BACKEND/idp", "url": "issuer: BACKEND/idp, jwks_url: BACKEND/keys", "inline": "issuer: BACKEND/idp, jwks: '" + string(keys) + "'",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, httpAPI(`      - {method: GET, path: /a, authorization: JWT, authorizer: z, integration: {type: AWS_PROXY, uri: BACKEND/function}}
      - {method: GET, path: /scoped, authorization: JWT, authorizer: z, scopes: [pets.read, pets.write], integration: {type: AWS_PROXY, uri: BACKEND/function}}
`, "    authorizers: {z: {type: JWT, audience: [shop], "+where+"}}\n"))
			w.backend.answers("/function", `{"statusCode":200,"body":"ok"}`)
			w.backend.answers("/keys", string(keys))
			w.backend.mux.HandleFunc("/idp/.well-known/openid-configuration", func(rw http.ResponseWriter, _ *http.Request) {
				_, _ = fmt.Fprintf(rw, `{"issuer":%q,"jwks_uri":%q,"authorization_endpoint":"x","token_endpoint":"x"}`, w.backend.URL+"/idp", w.backend.URL+"/keys")
			})
			us := &issuer{t, private, w.backend.URL + "/idp"}
			now := w.clock.now().Unix()
			claims := func(edit func(map[string]any)) map[string]any {
				c := map[string]any{"iss": us.url, "aud": "shop", "sub": "u1", "exp": now + 60, "iat": now, "scope": "openid pets.read"}
				edit(c)
				return c
			}
			same := func(map[string]any) {}
			for name, c := range map[string]struct {
				path, header string
				status       int
			}{
				"good":             {"/a", "Bearer " + us.token(claims(same)), 200},
				"without Bearer":   {"/a", us.token(claims(same)), 200},
				"scoped":           {"/scoped", "Bearer " + us.token(claims(same)), 200},
				"client_id":        {"/a", "Bearer " + us.token(claims(func(c map[string]any) { delete(c, "aud"); c["client_id"] = "shop" })), 200},
				"lacks the scope":  {"/scoped", "Bearer " + us.token(claims(func(c map[string]any) { c["scope"] = "openid" })), 403},
				"missing":          {"/a", "", 401},
				"expired":          {"/a", "Bearer " + us.token(claims(func(c map[string]any) { c["exp"] = now - 1 })), 401},
				"never expires":    {"/a", "Bearer " + us.token(claims(func(c map[string]any) { delete(c, "exp") })), 401},
				"not yet valid":    {"/a", "Bearer " + us.token(claims(func(c map[string]any) { c["nbf"] = now + 3600 })), 401},
				"another audience": {"/a", "Bearer " + us.token(claims(func(c map[string]any) { c["aud"] = "else" })), 401},
				"another issuer":   {"/a", "Bearer " + us.token(claims(func(c map[string]any) { c["iss"] = "https://evil.example.com" })), 401},
				"another key":      {"/a", "Bearer " + (&issuer{t, stranger, us.url}).token(claims(same)), 401},
				"unsigned":         {"/a", "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1MSJ9.", 401},
				"rubbish":          {"/a", "Bearer x", 401},
			} {
				var headers []string
				if c.header != "" {
					headers = []string{"Authorization", c.header}
				}
				r := w.call("GET", c.path, "", headers...)
				want := map[int]string{200: "ok", 401: `{"message":"Unauthorized"}`, 403: `{"message":"Forbidden"}`}[c.status]
				if r.status != c.status || r.body != want {
					t.Errorf("%s: %+v, want %d", name, r, c.status)
				}
			}
			w.call("GET", "/a", "", "Authorization", "Bearer "+us.token(claims(same)))
			if _, body := w.backend.last(t); !strings.Contains(body, `"jwt":{"claims":{`) || !strings.Contains(body, `"sub":"u1"`) {
				t.Error(body)
			}
		})
	}
}

func TestUserPoolAuthorizer(t *testing.T) {
	t.Parallel()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &private.PublicKey, KeyID: "k1", Algorithm: "RS256"}}})
	if err != nil {
		t.Fatal(err)
	}
	config := func(policy string) string {
		return restAPI(`      - {method: GET, path: /a, authorization: COGNITO_USER_POOLS, authorizer: z, integration: {type: MOCK}}
`, policy+"    authorizers: {z: {type: COGNITO_USER_POOLS, issuer: https://pool.example.com, jwks: '"+string(keys)+"'}}\n"+stagesProd)
	}
	const statement = "    policy: {Version: '2012-10-17', Statement: [{Effect: Allow, Principal: '*', Action: 'execute-api:Invoke', Resource: 'execute-api:/prod/GET/%s'}]}\n"
	for name, c := range map[string]struct {
		policy, use string
		status      int
	}{
		"no policy":            {"", "id", 200},
		"allowed":              {fmt.Sprintf(statement, "a"), "id", 200},
		"a silent policy":      {fmt.Sprintf(statement, "b"), "id", 403},
		"access without scope": {"", "access", 401},
	} {
		w := newWorld(t, config(c.policy))
		us := &issuer{t, private, "https://pool.example.com"}
		token := us.token(map[string]any{"iss": us.url, "sub": "u", "token_use": c.use, "exp": w.clock.now().Unix() + 60})
		if r := w.call("GET", "/prod/a", "", "Authorization", token); r.status != c.status {
			t.Errorf("%s: %+v, want %d", name, r, c.status)
		}
		w.call("GET", "/prod/a", "").wants(t, 401, "UnauthorizedException", `{"message":"Unauthorized"}`)
	}
}
