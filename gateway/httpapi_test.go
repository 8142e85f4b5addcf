package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func httpAPI(routes, more string) string {
	return `
credentials:
  - {access_key_id: AKIAOWN, secret_access_key: own-secret, principal: "arn:aws:iam::111122223333:user/own", policies: [{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "execute-api:Invoke", Resource: "arn:aws:execute-api:us-east-1:111122223333:h1h2h3h4h5/$default/GET/iam"}]}]}
  - {access_key_id: AKIAOTHER, secret_access_key: other-secret, principal: "arn:aws:iam::444455556666:user/other", policies: [{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "*", Resource: "*"}]}]}
apis:
  - id: h1h2h3h4h5
    type: HTTP
    account: "111122223333"
    region: us-east-1
    stages: [{name: $default, variables: {flavour: plain}}, {name: beta}]
` + more + `
    routes:
` + routes
}

func TestHTTPAPIRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, httpAPI(`      - {method: GET, path: /iam, authorization: AWS_IAM, integration: {type: HTTP_PROXY, uri: BACKEND/ok}}
      - {method: GET, path: /iam2, authorization: AWS_IAM, integration: {type: HTTP_PROXY, uri: BACKEND/ok}}
      - {method: GET, path: /malformed, integration: {type: AWS_PROXY, uri: BACKEND/malformed}}
      - {method: GET, path: /down, integration: {type: HTTP_PROXY, uri: "http://127.0.0.1:1/"}}
`, ""))
	w.backend.answers("/ok", "fine")
	w.backend.answers("/malformed", `{"statusCode":"x"}`)
	own, other := key{"AKIAOWN", "own-secret", ""}, key{"AKIAOTHER", "other-secret", ""}
	for name, c := range map[string]struct {
		reply  reply
		status int
		body   string
	}{
		"allowed":         {w.signed(own, "GET", "/iam", ""), 200, "fine"},
		"unsigned":        {w.call("GET", "/iam", ""), 403, `{"message":"Forbidden"}`},
		"wrong signature": {w.signed(key{"AKIAOWN", "x", ""}, "GET", "/iam", ""), 403, `{"message":"Forbidden"}`},
		"denied":          {w.signed(own, "GET", "/iam2", ""), 403, `{"message":"Forbidden"}`},
		// There is no resource policy that could let another account in.
		"another account":  {w.signed(other, "GET", "/iam", ""), 403, `{"message":"Forbidden"}`},
		"unknown route":    {w.call("GET", "/nowhere", ""), 404, `{"message":"Not Found"}`},
		"unknown, bearer":  {w.call("GET", "/nowhere", "", "Authorization", "Bearer tok"), 404, `{"message":"Not Found"}`},
		"malformed answer": {w.call("GET", "/malformed", ""), 500, `{"message":"Internal Server Error"}`},
		"down":             {w.call("GET", "/down", ""), 503, `{"message":"Service Unavailable"}`},
	} {
		if c.reply.status != c.status || c.reply.body != c.body || c.reply.header.Get("Apigw-Requestid") == "" || c.reply.header.Get("X-Amzn-Errortype") != "" {
			t.Errorf("%s: %+v, want %d %s", name, c.reply, c.status, c.body)
		}
	}
}

func TestHTTPAPIPreflight(t *testing.T) {
	t.Parallel()
	w := newWorld(t, httpAPI(`      - {method: GET, path: /pets, authorization: AWS_IAM, integration: {type: HTTP_PROXY, uri: BACKEND/ok}}
      - {method: POST, path: /open, integration: {type: HTTP_PROXY, uri: BACKEND/ok}}
`, `    cors: {allow_origins: ["https://shop.example.com"], allow_methods: [GET, POST], allow_headers: [content-type], expose_headers: [x-total], max_age: 300, allow_credentials: true}
`))
	w.backend.answers("/ok", "fine", "Access-Control-Allow-Origin", "*", "X-Total", "3")
	// No OPTIONS route, and a route that asks for IAM: the API answers itself.
	r := w.call("OPTIONS", "/pets", "", "Origin", "https://shop.example.com", "Access-Control-Request-Method", "GET")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "https://shop.example.com", "Access-Control-Allow-Methods": "GET,POST", "Access-Control-Allow-Headers": "content-type",
		"Access-Control-Max-Age": "300", "Access-Control-Allow-Credentials": "true",
	} {
		if r.status != 204 || r.header.Get(name) != want {
			t.Errorf("%d, %s: %q, want %q", r.status, name, r.header.Get(name), want)
		}
	}
	if r := w.call("OPTIONS", "/pets", "", "Origin", "https://evil.example.com", "Access-Control-Request-Method", "GET"); r.status != 204 || r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("another origin: %+v", r)
	}
	if r := w.call("OPTIONS", "/pets", "", "Origin", "https://shop.example.com"); r.status != 404 {
		t.Errorf("not a preflight: %+v", r)
	}
	r = w.call("POST", "/open", "x", "Origin", "https://shop.example.com")
	if got := r.header.Values("Access-Control-Allow-Origin"); len(got) != 1 || got[0] != "https://shop.example.com" || r.header.Get("Access-Control-Expose-Headers") != "x-total" {
		t.Errorf("%+v", r)
	}
	r = w.call("POST", "/open", "x", "Origin", "https://evil.example.com")
	if r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("the backend's CORS headers come through: %+v", r)
	}
}

func TestHTTPAPIRouting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, httpAPI(`      - {method: GET, path: /pets, integration: {type: HTTP_PROXY, uri: BACKEND/list}}
      - {method: GET, path: "/pets/{id}", integration: {type: HTTP_PROXY, uri: "BACKEND/one/{id}"}}
      - {method: ANY, path: "/pets/{id}", integration: {type: HTTP_PROXY, uri: "BACKEND/any/{id}"}}
      - {method: GET, path: /pets/dog, integration: {type: HTTP_PROXY, uri: BACKEND/dog}}
      - {method: ANY, path: "/files/{proxy+}", integration: {type: HTTP_PROXY, uri: "BACKEND/files/{proxy}"}}
      - {path: $default, integration: {type: HTTP_PROXY, uri: BACKEND/default}}
`, ""))
	w.backend.mux.HandleFunc("/", echoPath)
	for path, want := range map[string]string{
		"GET /pets":             "/list",
		"GET /pets/7":           "/one/7",
		"PUT /pets/7":           "/any/7",
		"GET /pets/dog":         "/dog",
		"GET /pets/a%2Fb":       "/one/a%2Fb",
		"GET /files/a/b%20c/d":  "/files/a/b%20c/d",
		"GET /nowhere":          "/default",
		"GET /beta/pets":        "/list",
		"GET /pets/7?a=b&a=c":   "/one/7?a=b&a=c",
		"GET /pets/a%3Fb":       "/one/a%3Fb",
		"GET /files/..%2fadmin": "/files/..%2fadmin",
	} {
		method, target, _ := strings.Cut(path, " ")
		if r := w.call(method, target, ""); r.body != want {
			t.Errorf("%s leads to %s, want %s", path, r.body, want)
		}
	}
}

func TestLambdaEvents(t *testing.T) {
	t.Parallel()
	const function = `{type: AWS_PROXY, uri: BACKEND/function}`
	t.Run("2.0", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, httpAPI(`      - {method: POST, path: "/pets/{id}", integration: `+function+`}
`, ""))
		w.backend.answers("/function", `{"statusCode":201,"headers":{"x-a":"1"},"cookies":["a=1","b=2"],"body":"aGk=","isBase64Encoded":true}`)
		r := w.call("POST", "/pets/7?x=1&x=2", "\xff\xfe", "Content-Type", "application/octet-stream", "Cookie", "s=1; t=2", "X-Multi", "a")
		if r.status != 201 || r.body != "hi" || r.header.Get("X-A") != "1" || len(r.header.Values("Set-Cookie")) != 2 {
			t.Errorf("%+v", r)
		}
		_, body := w.backend.last(t)
		var e struct {
			Version, RouteKey, RawPath, RawQueryString, Body string
			Cookies                                          []string
			Headers, QueryStringParameters, PathParameters   map[string]string
			StageVariables                                   map[string]string
			IsBase64Encoded                                  bool
			RequestContext                                   struct {
				HTTP struct{ Method, SourceIP string }
			}
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Fatal(err)
		}
		if e.Version != "2.0" || e.RouteKey != "POST /pets/{id}" || e.RawPath != "/pets/7" || e.RawQueryString != "x=1&x=2" || e.Body != "//4=" || !e.IsBase64Encoded ||
			e.QueryStringParameters["x"] != "1,2" || e.PathParameters["id"] != "7" || len(e.Cookies) != 2 || e.Headers["x-multi"] != "a" || e.Headers["cookie"] != "" ||
			e.RequestContext.HTTP.Method != http.MethodPost || e.RequestContext.HTTP.SourceIP != "127.0.0.1" || e.StageVariables["flavour"] != "plain" {
			t.Errorf("%s", body)
		}
	})
	t.Run("2.0 without a response", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, httpAPI("      - {method: GET, path: /a, integration: "+function+"}\n", ""))
		w.backend.answers("/function", `{"hello":"world"}`)
		if r := w.call("GET", "/a", ""); r.status != 200 || r.body != `{"hello":"world"}` || r.header.Get("Content-Type") != "application/json" {
			t.Errorf("%+v", r)
		}
	})
	t.Run("1.0", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, restAPI("      - {method: ANY, path: \"/a/{proxy+}\", integration: "+function+"}\n", stagesProd))
		w.backend.answers("/function", `{"statusCode":"200","multiValueHeaders":{"X-A":["1","2"]},"headers":{"X-B":true},"body":"ok"}`)
		r := w.call("POST", "/prod/a/b%20c/d?x=1&x=2", "body", "X-Multi", "a")
		if r.status != 200 || r.body != "ok" || len(r.header.Values("X-A")) != 2 || r.header.Get("X-B") != "true" {
			t.Errorf("%+v", r)
		}
		_, body := w.backend.last(t)
		var e struct {
			Resource, Path, HTTPMethod, Body                   string
			Headers, QueryStringParameters, PathParameters     map[string]string
			MultiValueHeaders, MultiValueQueryStringParameters map[string][]string
			RequestContext                                     struct{ ResourcePath, Stage, Path string }
			StageVariables                                     map[string]string
			IsBase64Encoded                                    bool
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Fatal(err)
		}
		if e.Resource != "/a/{proxy+}" || e.Path != "/a/b%20c/d" || e.HTTPMethod != http.MethodPost || e.Body != "body" || e.QueryStringParameters["x"] != "2" ||
			len(e.MultiValueQueryStringParameters["x"]) != 2 || e.PathParameters["proxy"] != "b c/d" || e.Headers["X-Multi"] != "a" || e.RequestContext.Path != "/prod/a/b%20c/d" || e.RequestContext.Stage != "prod" {
			t.Errorf("%s", body)
		}
	})
}

func TestMalformedFunctionResults(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		`text`, `[]`, `null`, `{"statusCode":200,"extra":1}`, `{"statusCode":"OK"}`, `{"statusCode":99}`, `{"statusCode":200,"body":{}}`, `{"statusCode":200,"headers":[]}`,
		`{"statusCode":200,"headers":{"X":{}}}`, `{"statusCode":200,"headers":{"X":"a\r\nSet-Cookie: s=1"}}`, `{"statusCode":200,"headers":{"X Y":"a"}}`,
		`{"statusCode":200,"isBase64Encoded":"yes"}`, `{"statusCode":200,"cookies":["a=b"]}`, `{"statusCode":200,"multiValueHeaders":{"X":"a"}}`,
	} {
		w := newWorld(t, restAPI("      - {method: GET, path: /, integration: {type: AWS_PROXY, uri: BACKEND/function}}\n", stagesProd))
		w.backend.answers("/function", answer)
		w.call("GET", "/prod/", "").wants(t, 502, "InternalServerErrorException", `{"message": "Internal server error"}`)
	}
	for _, answer := range []string{`text`, `{"statusCode":"OK"}`, `{"statusCode":200,"cookies":"a=b"}`, `{"statusCode":200,"cookies":["a=b\nc"]}`, `{"statusCode":200,"isBase64Encoded":true,"body":"?"}`} {
		w := newWorld(t, httpAPI("      - {method: GET, path: /, integration: {type: AWS_PROXY, uri: BACKEND/function}}\n", ""))
		w.backend.answers("/function", answer)
		if r := w.call("GET", "/", ""); r.status != 500 || r.body != `{"message":"Internal Server Error"}` {
			t.Errorf("%s: %+v", answer, r)
		}
	}
}
