package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/gateway"
)

const privateConfig = `
credentials:
  - {access_key_id: AKIAOWN, secret_access_key: own-secret, principal: "arn:aws:iam::111122223333:user/own", policies: [{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "execute-api:Invoke", Resource: "*"}]}]}
vpc_endpoints:
  - {id: vpce-0aaa, vpc: vpc-0one, header: X-Vpce, secret: first-secret-of-a-proxy}
  - {id: vpce-0bbb, vpc: vpc-0two, header: X-Vpce, secret: second-secret-of-a-proxy}
  - id: vpce-0ccc
    vpc: vpc-0one
    header: X-Vpce
    secret: third-secret-of-a-proxy
    policy: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "arn:aws:iam::111122223333:user/own"}, Action: "execute-api:Invoke", Resource: "*"}]}
apis:
  - id: private1
    type: REST
    account: "111122223333"
    region: us-east-1
    endpoint: private
    policy: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: "*", Action: "execute-api:Invoke", Resource: "execute-api:/*"}, {Effect: Deny, Principal: "*", Action: "execute-api:Invoke", Resource: "execute-api:/*", Condition: {StringNotEquals: {"aws:SourceVpc": vpc-0one}}}, {Effect: Deny, Principal: "*", Action: "execute-api:Invoke", Resource: "execute-api:/prod/GET/one", Condition: {StringNotEquals: {"aws:SourceVpce": vpce-0aaa}}}, {Effect: Deny, Principal: "*", Action: "execute-api:Invoke", Resource: "execute-api:/prod/GET/address", Condition: {NotIpAddress: {"aws:VpcSourceIp": 127.0.0.1}}}, {Effect: Deny, Principal: "*", Action: "execute-api:Invoke", Resource: "execute-api:/prod/GET/source", Condition: {"Null": {"aws:SourceIp": "true"}}}]}
    routes:
      - {method: GET, path: "/{any}", integration: {type: HTTP_PROXY, uri: BACKEND/ok}}
      - {method: GET, path: /iam/x, authorization: AWS_IAM, integration: {type: MOCK}}
    stages: [{name: prod}]
  - {id: public1, type: REST, account: "111122223333", region: us-east-1, routes: [{method: GET, path: /a, integration: {type: MOCK}}], stages: [{name: prod}]}
`

func TestPrivateAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, privateConfig)
	w.backend.answers("/ok", "ok")
	const first, second, third = "first-secret-of-a-proxy", "second-secret-of-a-proxy", "third-secret-of-a-proxy"
	own := key{"AKIAOWN", "own-secret", ""}
	const forbidden = `{"message":"Forbidden"}`
	for name, c := range map[string]struct {
		host, path, secret string
		signed             bool
		status             int
		body               string // or its end
	}{
		"by no endpoint":            {"private1.localhost", "/prod/a", "", false, 403, forbidden},
		"by a wrong secret":         {"private1.localhost", "/prod/a", "guessed-secret-of-a-proxy", false, 403, forbidden},
		"by its endpoint":           {"private1.localhost", "/prod/a", first, false, 200, "ok"},
		"by the endpoint's name":    {"private1-vpce-0aaa.execute-api.us-east-1.amazonaws.com", "/prod/a", first, false, 200, "ok"},
		"by another VPC":            {"private1.localhost", "/prod/a", second, false, 403, `with an explicit deny in a resource-based policy"}`},
		"for one endpoint":          {"private1.localhost", "/prod/one", first, false, 200, "ok"},
		"the VPC's address":         {"private1.localhost", "/prod/address", first, false, 200, "ok"},
		"no public address":         {"private1.localhost", "/prod/source", first, false, 403, `with an explicit deny in a resource-based policy"}`},
		"public by an endpoint":     {"public1.localhost", "/prod/a", first, false, 403, forbidden},
		"public":                    {"public1.localhost", "/prod/a", "", false, 200, ""},
		"endpoint policy, unsigned": {"private1.localhost", "/prod/a", third, false, 403, `because no VPC endpoint policy allows the execute-api:Invoke action"}`},
		"endpoint policy, signed":   {"private1.localhost", "/prod/a", third, true, 200, "ok"},
		"IAM":                       {"private1.localhost", "/prod/iam/x", third, true, 200, ""},
		"IAM, unsigned":             {"private1.localhost", "/prod/iam/x", first, false, 403, missingToken},
	} {
		r := w.request("GET", c.path, "", "Host", c.host)
		if c.signed {
			r = w.sign(r, own, "", "us-east-1")
		}
		if c.secret != "" {
			r.Header.Set("X-Vpce", c.secret)
		}
		if got := w.do(r); got.status != c.status || !strings.HasSuffix(got.body, c.body) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got, _ := w.backend.last(t); got.Header.Get("X-Vpce") != "" {
		t.Error("the secret was handed on")
	}
	// A wrong signature is refused by the endpoint, whatever the method asks for.
	wrong := w.sign(w.request("GET", "/prod/a", "", "Host", "private1.localhost"), key{"AKIAOWN", "else", ""}, "", "us-east-1")
	wrong.Header.Set("X-Vpce", third)
	if r := w.do(wrong); r.status != 403 || r.header.Get("X-Amzn-Errortype") != "InvalidSignatureException" {
		t.Errorf("%+v", r)
	}
	// A token is no signature: the caller is anonymous.
	if r := w.call("GET", "/prod/a", "", "Host", "private1.localhost", "X-Vpce", third, "Authorization", "Bearer x"); r.status != 403 || !strings.Contains(r.body, "User: anonymous") {
		t.Errorf("%+v", r)
	}
}

// TestEndpointListens: a call that comes to the address of an endpoint comes
// through it.
func TestEndpointListens(t *testing.T) {
	t.Parallel()
	yaml := strings.Replace(privateConfig, "header: X-Vpce, secret: first-secret-of-a-proxy", "listen: 127.0.0.1:0", 1)
	c, err := gateway.Parse("x", []byte("listen: 127.0.0.1:0\n"+strings.ReplaceAll(yaml, "BACKEND", "http://127.0.0.1:1")), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(c, gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	s, err := gateway.Listen(ctx, c, g)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	status := func(address fmt.Stringer, host string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address.String()+"/prod/iam/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.Header.Get("X-Amzn-Errortype") == "MissingAuthenticationTokenException" {
			return http.StatusUnauthorized // it reached the method
		}
		return resp.StatusCode
	}
	if got := status(s.Addr(), "private1.localhost"); got != 403 {
		t.Errorf("the gateway's own address: %d", got)
	}
	if got := status(s.EndpointAddrs()[0], "private1.localhost"); got != 401 {
		t.Errorf("the endpoint's address: %d", got)
	}
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("it does not stop")
	}
}

func TestExecuteAPIEndpointIsDisabled(t *testing.T) {
	t.Parallel()
	const more = "    disable_execute_api_endpoint: true\n    domains: [{name: api.example.com, stage: STAGE}]\n"
	rest := newWorld(t, restAPI("      - {method: GET, path: /a, integration: {type: MOCK}}\n", strings.Replace(more, "STAGE", "prod", 1)+stagesProd))
	rest.call("GET", "/prod/a", "").wants(t, 403, "ForbiddenException", `{"message":"Forbidden"}`)
	rest.call("GET", "/prod/a", "", "Host", "a1b2c3d4e5.execute-api.us-east-1.amazonaws.com").wants(t, 403, "ForbiddenException", `{"message":"Forbidden"}`)
	rest.call("GET", "/a", "", "Host", "api.example.com").wants(t, 200, "", "")
	http := newWorld(t, httpAPI("      - {method: GET, path: /a, integration: {type: HTTP_PROXY, uri: BACKEND/}}\n", strings.Replace(more, "STAGE", "$default", 1)))
	http.backend.answers("/", "ok")
	http.call("GET", "/a", "").wants(t, 404, "", `{"message":"Not Found"}`)
	http.call("GET", "/a", "", "Host", "api.example.com").wants(t, 200, "", "ok")
}

func TestEndpointMistakes(t *testing.T) {
	t.Parallel()
	for old, c := range map[string]struct{ now, want string }{
		"id: vpce-0aaa":                   {"id: vpc-0aaa", "vpc_endpoints[0].id"},
		"vpc: vpc-0one":                   {"vpc: one", "vpc_endpoints[0].vpc"},
		"secret: first-secret-of-a-proxy": {"secret: short", "at least 16 characters"},
		", header: X-Vpce, secret: first-secret-of-a-proxy": {"", "needs listen or header"},
		"id: vpce-0bbb":     {"id: vpce-0aaa", "another VPC endpoint"},
		"    type: REST\n":  {"    type: REST\n    disable_execute_api_endpoint: true\n", "no custom domain"},
		"Principal: {AWS: ": {"Principle: {AWS: ", "vpc_endpoints[2].policy"},
	} {
		text := strings.Replace(strings.ReplaceAll(privateConfig, "BACKEND", "http://x"), old, c.now, 1)
		if _, err := gateway.Parse("x", []byte(text), func(string) string { return "" }); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", old, err, c.want)
		}
	}
}
