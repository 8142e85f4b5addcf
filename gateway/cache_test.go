package gateway_test

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/gateway"
)

const cacheConfig = `
credentials:
  - {access_key_id: AKIAOWN, secret_access_key: own-secret, principal: "arn:aws:iam::111122223333:user/own", policies: [{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "execute-api:*", Resource: "*"}]}]}
  - {access_key_id: AKIAREAD, secret_access_key: read-secret, principal: "arn:aws:iam::111122223333:user/read", policies: [{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "execute-api:Invoke", Resource: "*"}]}]}
apis:
  - id: a1b2c3d4e5
    type: REST
    account: "111122223333"
    region: us-east-1
    routes:
      - {method: GET, path: /open, integration: {type: HTTP_PROXY, uri: BACKEND/n, cache_key_parameters: [method.request.querystring.type, method.request.header.X-Tenant]}}
      - {method: GET, path: "/pets/{id}", authorization: AWS_IAM, integration: {type: HTTP_PROXY, uri: "BACKEND/n/{pet}", request_parameters: {integration.request.path.pet: method.request.path.id}, cache_key_parameters: [integration.request.path.pet]}}
      - {method: GET, path: "/keyless/{id}", integration: {type: HTTP_PROXY, uri: BACKEND/n}}
      - {method: POST, path: /search, integration: {type: HTTP_PROXY, uri: BACKEND/n, cache_key_parameters: [method.request.querystring.q]}}
      - {method: POST, path: /plain, integration: {type: HTTP_PROXY, uri: BACKEND/n}}
      - {method: GET, path: /never, integration: {type: HTTP_PROXY, uri: BACKEND/n}}
      - {method: GET, path: /function, integration: {type: AWS_PROXY, uri: BACKEND/function}}
      - {method: GET, path: /mapped, integration: {type: HTTP, uri: BACKEND/n, integration_responses: [{status: 200, response_templates: {application/json: '$input.body for $context.requestId'}}]}}
      - {method: GET, path: /big, integration: {type: HTTP_PROXY, uri: BACKEND/big}}
      - {method: GET, path: /strict, authorization: AWS_IAM, integration: {type: HTTP_PROXY, uri: BACKEND/n}}
      - {method: GET, path: /shared/a, integration: {type: HTTP_PROXY, uri: BACKEND/n, cache_namespace: shared}}
      - {method: GET, path: /shared/b, integration: {type: HTTP_PROXY, uri: BACKEND/n, cache_namespace: shared}}
    stages:
      - name: prod
        logging_level: INFO
        data_trace: true
        access_log: {group: access, format: "$context.requestId $context.integrationLatency"}
        cache:
          ttl: 2m
          size: SIZE
          encrypted: true
          methods:
            "POST /search": {ttl: 10s}
            "GET /never": {enabled: false}
            "GET /strict": {unauthorized: FAIL_WITH_403}
            "GET /function": {require_authorization: false}
            "GET /keyless/{id}": {unauthorized: SUCCEED_WITHOUT_RESPONSE_HEADER}
`

// cacheWorld is an API whose endpoint answers with how often it was called.
func cacheWorld(t *testing.T, size string) *world {
	t.Helper()
	w := newWorld(t, strings.ReplaceAll(cacheConfig, "SIZE", size))
	var n atomic.Int64
	count := func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("X-From", "backend")
		_, _ = io.WriteString(rw, strconv.FormatInt(n.Add(1), 10))
	}
	w.backend.mux.HandleFunc("/n", count)
	w.backend.mux.HandleFunc("/n/", count)
	w.backend.mux.HandleFunc("/big", func(rw http.ResponseWriter, r *http.Request) {
		count(rw, r)
		_, _ = io.WriteString(rw, strings.Repeat("x", 1<<20))
	})
	w.backend.mux.HandleFunc("/function", func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(rw, `{"statusCode":203,"body":"%d","headers":{"X-Of":"function"}}`, n.Add(1))
	})
	return w
}

func TestCache(t *testing.T) {
	t.Parallel()
	w := cacheWorld(t, "0")
	get := func(path string, headers ...string) string { return w.call("GET", "/prod"+path, "", headers...).body }
	post := func(path string) string { return w.call("POST", "/prod"+path, "{}").body }
	same := func(what, a, b string) {
		t.Helper()
		if a != b {
			t.Errorf("%s: %s and then %s", what, a, b)
		}
	}
	other := func(what, a, b string) {
		t.Helper()
		if a == b {
			t.Errorf("%s: %s twice", what, a)
		}
	}
	a := get("/open?type=a&page=1", "X-Tenant", "blue")
	same("the same", a, get("/open?type=a&page=1", "X-Tenant", "blue"))
	same("what is no key", a, get("/open?type=a&page=2", "X-Tenant", "blue"))
	other("another parameter", a, get("/open?type=b", "X-Tenant", "blue"))
	other("another header", a, get("/open?type=a", "X-Tenant", "red"))
	w.clock.advance(2*time.Minute - time.Second)
	same("before its time", a, get("/open?type=a", "X-Tenant", "blue"))
	w.clock.advance(time.Second)
	other("after its time", a, get("/open?type=a", "X-Tenant", "blue"))
	// Without keys all of a resource is one entry, as in API Gateway.
	same("keyless", get("/keyless/1"), get("/keyless/2"))
	same("of another method's own", post("/search?q=1"), post("/search?q=1"))
	b := post("/search?q=1")
	w.clock.advance(11 * time.Second)
	other("a method's own time", b, post("/search?q=1"))
	other("POST", post("/plain"), post("/plain"))
	other("switched off", get("/never"), get("/never"))
	other("too large", get("/big"), get("/big"))
	same("a namespace", get("/shared/a"), get("/shared/b"))
	if first, second := w.call("GET", "/prod/function", ""), w.call("GET", "/prod/function", ""); first.body != second.body || second.status != 203 || second.header.Get("X-Of") != "function" {
		t.Errorf("%+v %+v", first, second)
	}
	// What is kept is the endpoint's answer: the response is made anew of it.
	first, second := w.call("GET", "/prod/mapped", ""), w.call("GET", "/prod/mapped", "")
	n, _, _ := strings.Cut(first.body, " ")
	if second.body != n+" for "+second.header.Get("X-Amzn-Requestid") {
		t.Errorf("%+v %+v", first, second)
	}
}

func TestCacheIsBehindAuthorization(t *testing.T) {
	t.Parallel()
	w := cacheWorld(t, "0")
	own := key{"AKIAOWN", "own-secret", ""}
	first := w.signed(own, "GET", "/prod/pets/7", "")
	if first.status != 200 || first.header.Get("X-From") != "backend" {
		t.Fatalf("%+v", first)
	}
	w.call("GET", "/prod/pets/7", "").wants(t, 403, "MissingAuthenticationTokenException", missingToken)
	if r := w.signed(key{"AKIAREAD", "read-secret", ""}, "GET", "/prod/pets/7", ""); r.body != first.body {
		t.Errorf("%+v", r)
	}
	if r := w.signed(own, "GET", "/prod/pets/8", ""); r.body == first.body {
		t.Errorf("%+v", r)
	}
}

func TestCacheInvalidation(t *testing.T) {
	t.Parallel()
	w := cacheWorld(t, "0")
	own, read := key{"AKIAOWN", "own-secret", ""}, key{"AKIAREAD", "read-secret", ""}
	const control, renew = "Cache-Control", "max-age=0"
	const warning = "199 Cache-control headers were ignored because the caller was unauthorized."
	first := w.signed(own, "GET", "/prod/pets/7", "")
	ignored := w.signed(read, "GET", "/prod/pets/7", "", control, renew)
	if ignored.body != first.body || ignored.header.Get("Warning") != warning {
		t.Errorf("%+v", ignored)
	}
	renewed := w.signed(own, "GET", "/prod/pets/7", "", control, "no-store, Max-Age=0")
	if renewed.body == first.body || renewed.header.Get("Warning") != "" {
		t.Errorf("%+v", renewed)
	}
	if r := w.signed(read, "GET", "/prod/pets/7", ""); r.body != renewed.body {
		t.Errorf("the entry was not replaced: %+v", r)
	}
	before := w.signed(read, "GET", "/prod/strict", "")
	w.signed(read, "GET", "/prod/strict", "", control, renew).wants(t, 403, "AccessDeniedException",
		`{"Message":"User: arn:aws:iam::111122223333:user/read is not authorized to perform: execute-api:InvalidateCache on resource: arn:aws:execute-api:us-east-1:********3333:a1b2c3d4e5/prod/GET/strict because no identity-based policy allows the execute-api:InvalidateCache action"}`)
	if r := w.signed(read, "GET", "/prod/strict", ""); r.body != before.body {
		t.Errorf("a refused call has changed the entry: %+v", r)
	}
	// A method without authorization: nobody may, but who signs and is allowed.
	open := w.call("GET", "/prod/open", "")
	if r := w.call("GET", "/prod/open", "", control, renew); r.body != open.body || r.header.Get("Warning") != warning {
		t.Errorf("%+v", r)
	}
	if r := w.signed(read, "GET", "/prod/open", "", control, renew); r.body != open.body {
		t.Errorf("%+v", r)
	}
	if r := w.signed(own, "GET", "/prod/open", "", control, renew); r.body == open.body || r.status != 200 {
		t.Errorf("%+v", r)
	}
	keyless := w.call("GET", "/prod/keyless/1", "")
	if r := w.call("GET", "/prod/keyless/1", "", control, renew); r.body != keyless.body || r.header.Get("Warning") != "" {
		t.Errorf("%+v", r)
	}
	if a, b := w.call("GET", "/prod/function", "", control, renew), w.call("GET", "/prod/function", "", control, renew); a.body == b.body {
		t.Errorf("authorization is not required: %+v", a)
	}
}

func TestCacheLogs(t *testing.T) {
	t.Parallel()
	w := cacheWorld(t, "0")
	w.call("GET", "/prod/open", "")
	before := len(w.logs.all())
	id := w.call("GET", "/prod/open", "").header.Get("X-Amzn-Requestid")
	var text, access string
	for _, e := range w.logs.all()[before:] {
		if e.group == "access" {
			access = e.Message
		} else {
			text += e.Message + "\n"
		}
	}
	for _, want := range []string{"Received response. Status: 200, Integration latency: 0 ms", "Endpoint response body before transformations: 1\n", "Method response body after transformations: 1\n", "Method completed with status: 200"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "Sending request") || access != id+" 0" {
		t.Errorf("%s\n%s", access, text)
	}
}

// TestCachedCallsAreReadAgain: a call that was answered by the cache is a whole
// transaction.
func TestCachedCallsAreReadAgain(t *testing.T) {
	t.Parallel()
	yaml := strings.Replace(cacheConfig, `{group: access, format: "$context.requestId $context.integrationLatency"}`, "{group: access-a1b2c3d4e5, format: '"+accessFormat+"'}", 1)
	w := newWorld(t, strings.ReplaceAll(yaml, "SIZE", "0"))
	w.backend.answers("/n", "1")
	w.call("GET", "/prod/open?of=endpoint", "")
	w.call("GET", "/prod/open?of=cache", "")
	if n := w.backend.calls(); n != 1 {
		t.Errorf("the endpoint was called %d times", n)
	}
	call := w.transactions("111122223333", "us-east-1")["GET /open"]
	if call == nil || !call.Complete || call.Response == nil || call.Response.Body != "1" || call.Integration == nil || call.Integration.Status != 200 {
		t.Errorf("%+v", call)
	}
}

// TestCacheIsBounded fills a small cache with many entries from many callers: what
// was used last stays.
func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	w := cacheWorld(t, "4000")
	first := w.call("GET", "/prod/open?type=first", "").body
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 25 {
				w.call("GET", fmt.Sprintf("/prod/open?type=%d-%d", i, n), "")
			}
		})
	}
	all.Wait()
	if again := w.call("GET", "/prod/open?type=first", "").body; again == first {
		t.Error("105 entries fit into 4,000 bytes")
	}
	last := w.call("GET", "/prod/open?type=last", "").body
	if again := w.call("GET", "/prod/open?type=last", "").body; again != last {
		t.Error("the last entry is gone")
	}
}

func TestCacheMistakes(t *testing.T) {
	t.Parallel()
	for old, c := range map[string]struct{ now, want string }{
		"ttl: 2m":                      {"ttl: 2h", "from 0 to 1h"},
		`"POST /search": {ttl: 10s}`:   {`"PUT /search": {ttl: 10s}`, `no route "PUT /search"`},
		"unauthorized: FAIL_WITH_403":  {"unauthorized: FAIL", "is none of FAIL_WITH_403"},
		"size: SIZE":                   {"size: -1", "cache.size"},
		"encrypted: true":              {"crypt: true", `unknown setting "crypt"`},
		"method.request.querystring.q": {"method.request.body", "cache_key_parameters"},
		"          ttl: 2m\n":          {"          canary: {}\n", "a canary release is not simulated"},
	} {
		text := strings.ReplaceAll(strings.ReplaceAll(strings.Replace(cacheConfig, old, c.now, 1), "BACKEND", "http://x"), "SIZE", "0")
		if _, err := gateway.Parse("x", []byte(text), func(string) string { return "" }); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.now, err, c.want)
		}
	}
}

// TestCacheInvalidationByOtherWays: a Lambda authorizer's policy says who may renew
// an entry, and of a method without any authorization the resource policy.
func TestCacheInvalidationByOtherWays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, `
apis:
  - id: a1b2c3d4e5
    type: REST
    account: "111122223333"
    region: us-east-1
    authorizers: {z: {type: TOKEN, url: BACKEND/authorize}}
    routes: [{method: GET, path: /token, authorization: CUSTOM, authorizer: z, integration: {type: HTTP_PROXY, uri: BACKEND/n}}]
    stages: [{name: prod, cache: {}}]
  - id: b1b2c3d4e5
    type: REST
    account: "111122223333"
    region: us-east-1
    policy: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: "*", Action: "execute-api:Invoke", Resource: "execute-api:/*"}, {Effect: Allow, Principal: "*", Action: "execute-api:InvalidateCache", Resource: "execute-api:/prod/GET/renew"}]}
    routes:
      - {method: GET, path: /renew, integration: {type: HTTP_PROXY, uri: BACKEND/n}}
      - {method: GET, path: /keep, integration: {type: HTTP_PROXY, uri: BACKEND/n}}
    stages: [{name: prod, cache: {}}]
`)
	var n atomic.Int64
	w.backend.mux.HandleFunc("/n", func(rw http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(rw, strconv.FormatInt(n.Add(1), 10))
	})
	w.backend.mux.HandleFunc("/authorize", func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		actions := `"execute-api:Invoke"`
		if strings.Contains(string(body), "may-renew") {
			actions = `["execute-api:Invoke","execute-api:InvalidateCache"]`
		}
		_, _ = io.WriteString(rw, `{"principalId":"u","policyDocument":{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":`+actions+`,"Resource":"*"}]}}`)
	})
	for name, c := range map[string]struct {
		host, path, token string
		renews            bool
	}{
		"token":            {"a1b2c3d4e5", "/prod/token", "may-renew", true},
		"another token":    {"a1b2c3d4e5", "/prod/token", "may-read", false},
		"policy":           {"b1b2c3d4e5", "/prod/renew", "", true},
		"policy is silent": {"b1b2c3d4e5", "/prod/keep", "", false},
	} {
		headers := []string{"Host", c.host + ".localhost"}
		if c.token != "" {
			headers = append(headers, "Authorization", c.token)
		}
		before := w.call("GET", c.path, "", headers...)
		after := w.call("GET", c.path, "", append(headers, "Cache-Control", "max-age=0")...)
		if before.status != 200 || after.status != 200 || (before.body != after.body) != c.renews {
			t.Errorf("%s: %+v, then %+v", name, before, after)
		}
	}
}
