package gateway_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/gateway"
)

func export(tb testing.TB, name, backend string) []byte {
	tb.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		tb.Fatal(err)
	}
	return []byte(strings.ReplaceAll(string(text), "http://BACKEND", backend))
}

// importWorld serves an export.
func importWorld(t *testing.T, name string) *world {
	t.Helper()
	w := &world{t: t, backend: newBackend(t), logs: &memoryLog{}, clock: &clock{at: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}
	functions := map[string]string{"order": w.backend.URL + "/order", "token": w.backend.URL + "/token", "pets": w.backend.URL + "/pets-function"}
	c, err := gateway.FromOpenAPI(export(t, name, w.backend.URL), functions)
	if err != nil {
		t.Fatal(err)
	}
	c.Credentials = []gateway.Credential{{AccessKeyID: "AKIAOWN", SecretAccessKey: "own-secret", Principal: "arn:aws:iam::123456789012:user/own"}}
	c.UsagePlans = []gateway.UsagePlan{{Stages: []string{c.APIs[0].ID + "/" + c.APIs[0].Stages[0].Name}, Keys: []gateway.APIKey{{ID: "k", Value: "abcdefghijklmnopqrstuvwxyz"}}}}
	w.gateway, err = gateway.New(c, gateway.Options{Now: w.clock.now})
	if err != nil {
		t.Fatal(err)
	}
	w.server = httptest.NewServer(w.gateway)
	t.Cleanup(w.server.Close)
	return w
}

func TestImportREST(t *testing.T) {
	t.Parallel()
	w := importWorld(t, "orders.json")
	w.backend.answers("/order", `{"statusCode":200,"body":"book"}`)
	w.backend.answers("/token", allowAll)
	w.backend.mux.HandleFunc("/", echoPath)
	own := key{"AKIAOWN", "own-secret", ""}
	if r := w.call("GET", "/prod/", ""); r.status != 401 || r.header.Get("X-Why") != "unsigned" || r.body != missingToken {
		t.Errorf("unsigned: %+v", r)
	}
	if r := w.do(w.sign(w.request("GET", "/prod/", ""), own, "", "eu-west-1")); r.status != 200 || r.body != "book" {
		t.Errorf("signed: %+v", r)
	}
	if r := w.call("OPTIONS", "/prod/", ""); r.status != 204 || r.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("preflight: %+v", r)
	}
	if r := w.call("PUT", "/prod/a/b", ""); r.status != 200 || r.body != "/rest/a/b" {
		t.Errorf("proxy: %+v", r)
	} else if got, _ := w.backend.last(t); got.Method != http.MethodGet {
		t.Errorf("the integration's method is %s", got.Method)
	}
	headers := []string{"X-Token", "t", "X-Tenant", "blue", "X-Api-Key", "abcdefghijklmnopqrstuvwxyz"}
	if r := w.call("POST", "/prod/pets/7", `{"name":"Rex","friend":{"name":"Tom"}}`, headers...); r.status != 200 || r.body != "/pets/7" {
		t.Errorf("all there: %+v", r)
	} else if got, _ := w.backend.last(t); got.Header.Get("X-Stage") != "prod" {
		t.Errorf("%v", got.Header)
	}
	if r := w.call("POST", "/prod/pets/7", `{"name":"Rex"}`, headers[2:]...); r.status != 401 {
		t.Errorf("without the token: %+v", r)
	}
	if r := w.call("POST", "/prod/pets/7", `{"name":"Rex"}`, headers[:4]...); r.status != 403 {
		t.Errorf("without the key: %+v", r)
	}
	if r := w.call("POST", "/prod/pets/7", `{"name":"Rex","friend":{}}`, headers...); r.status != 400 || r.body != `{"message": "Invalid request body"}` {
		t.Errorf("bad body: %+v", r)
	}
	if r := w.call("POST", "/prod/pets/7", `{"name":"Rex"}`, append([]string{}, headers[0], "t", headers[4], headers[5])...); r.status != 400 {
		t.Errorf("without the header: %+v", r)
	}
}

func TestImportTransformations(t *testing.T) {
	t.Parallel()
	w := importWorld(t, "things.json")
	w.backend.mux.HandleFunc("/thing", func(rw http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Id") == "0" {
			rw.WriteHeader(http.StatusTeapot)
		}
		_, _ = io.WriteString(rw, `{"kind":"thing"}`)
	})
	w.backend.mux.HandleFunc("/order", func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) == `"none"` {
			rw.Header().Set("X-Amz-Function-Error", "Unhandled")
			body = []byte(`{"errorMessage":"order not found"}`)
		}
		_, _ = rw.Write(body)
	})
	w.call("GET", "/prod/things/7", "").wants(t, 200, "", `{"kind": "thing"}`)
	if got, body := w.backend.last(t); got.Method != http.MethodPost || got.Header.Get("X-Id") != "7" || body != `{"id": "7"}` {
		t.Errorf("%v %s", got, body)
	}
	w.call("GET", "/prod/things/7", "", "Accept", "application/xml").wants(t, 200, "", `{"kind":"thing"}`)
	w.call("GET", "/prod/things/0", "").wants(t, 400, "", `{"kind":"thing"}`)
	w.call("POST", "/prod/things/7", `{"order":{"a":1}}`).wants(t, 201, "", `{"a":1}`)
	w.call("POST", "/prod/things/7", `{"order":"none"}`).wants(t, 404, "", `{"message": "order not found"}`)
	w.call("POST", "/prod/things/7", `x`, "Content-Type", "text/plain").wants(t, 415, "UnsupportedMediaTypeException", `{"message": "Unsupported Media Type"}`)
	if r := w.call("OPTIONS", "/prod/things/7", ""); r.status != 204 || r.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%+v", r)
	}
}

func TestImportHTTP(t *testing.T) {
	t.Parallel()
	w := importWorld(t, "catalog.yaml")
	w.backend.answers("/rest", "rest")
	if r := w.call("GET", "/pets", ""); r.status != 401 {
		t.Errorf("without a token: %+v", r)
	}
	if r := w.call("DELETE", "/else", ""); r.status != 200 || r.body != "rest" {
		t.Errorf("$default: %+v", r)
	}
	if r := w.call("OPTIONS", "/pets", "", "Origin", "https://a.example.com", "Access-Control-Request-Method", "GET"); r.status != 204 || r.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("preflight: %+v", r)
	}
}

func TestImportRefusesWhatItDoesNotUnderstand(t *testing.T) {
	t.Parallel()
	functions := map[string]string{"order": "http://x/", "token": "http://x/"}
	good := string(export(t, "orders.json", "http://x"))
	for name, c := range map[string]struct{ old, now, want string }{
		"unknown security":      {`"x-amazon-apigateway-authtype": "awsSigv4"`, `"x-amazon-apigateway-authtype": "magic"`, "sigv4"},
		"no such scheme":        {`{"sigv4": []}`, `{"nobody": []}`, "nobody"},
		"two ways":              {`{"token": []}`, `{"token": [], "sigv4": []}`, "more than one way"},
		"contradiction":         {`{"type": "AWS_IAM"}`, `{"type": "NONE"}`, "x-amazon-apigateway-auth"},
		"unknown function":      {`function:order/`, `function:else/`, "functions"},
		"unknown integration":   {`"type": "aws_proxy"`, `"type": "kafka"`, "not supported"},
		"an AWS service":        {`"type": "aws_proxy", "httpMethod": "POST", "uri": "arn:aws:apigateway:eu-west-1:lambda:path/2015-03-31/functions/arn:aws:lambda:eu-west-1:548754742764:function:order/invocations"`, `"type": "aws", "httpMethod": "POST", "uri": "arn:aws:apigateway:eu-west-1:sqs:path/1/queue"`, "the AWS service"},
		"VPC link":              {`"type": "aws_proxy"`, `"connectionType": "VPC_LINK", "connectionId": "l", "type": "http_proxy"`, "VPC link is not simulated"},
		"template":              {`{\"statusCode\": 204}`, `#if($x`, "#if without )"},
		"private, no policy":    {`"x-amazon-apigateway-policy"`, `"x-amazon-apigateway-endpoint-configuration": {"types": ["PRIVATE"]}, "x-policy"`, "a private API needs a resource policy"},
		"unknown authorizer":    {`{"type": "token"`, `{"type": "magic"`, "MAGIC"},
		"broken policy":         {`"Effect": "Allow", "Principal"`, `"Effect": "allow", "Principal"`, "policy"},
		"swagger":               {`"openapi": "3.0.1"`, `"openapi": "2.0"`, "oas30"},
		"another file":          {`#/components/schemas/Pet"}}}, "required"`, `other.json#/Pet"}}}, "required"`, "other.json"},
		"no integration":        {`"x-amazon-apigateway-integration": {"$ref"`, `"x-else": {"$ref"`, "x-amazon-apigateway-integration"},
		"parameter in the host": {`http://x/rest/{proxy}`, `http://{proxy}/`, "host"},
	} {
		text := strings.Replace(good, c.old, c.now, 1)
		if text == good {
			t.Fatalf("%s: nothing was replaced", name)
		}
		_, err := gateway.FromOpenAPI([]byte(text), functions)
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// httpPath are paths of which a test can make a request.
var httpPath = regexp.MustCompile(`^/[A-Za-z0-9/]*$`)

// FuzzImport feeds the import what it likes. A document either is an error or a
// gateway in which every operation that asks for security is protected.
func FuzzImport(f *testing.F) {
	f.Add(export(f, "orders.json", "http://x"))
	f.Add(export(f, "catalog.yaml", "http://x"))
	f.Add(export(f, "things.json", "http://x"))
	f.Add([]byte(`{"openapi":"3.0.1","info":{"title":"a","version":"1"},"paths":{"/a":{"get":{"security":[{"x":[]}]}}}}`))
	f.Add([]byte("openapi: 3.0.1\npaths: {/a: &a {get: *a}}"))
	functions := map[string]string{"order": "http://x/", "token": "http://x/", "pets": "http://x/"}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := gateway.FromOpenAPI(text, functions)
		if err != nil {
			return
		}
		g, err := gateway.New(c, gateway.Options{})
		if err != nil {
			t.Fatalf("checked, but not made: %v", err)
		}
		for _, r := range c.APIs[0].Routes {
			if r.Authorization == "" {
				t.Errorf("%s %s has no authorization", r.Method, r.Path)
			}
		}
		g.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodDelete, "/prod/nowhere/at/all", nil))
		for _, r := range c.APIs[0].Routes {
			if r.Integration.Type == "MOCK" && r.Method != "" && r.Method != "ANY" && httpPath.MatchString(r.Path) {
				g.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(r.Method, "/"+c.APIs[0].Stages[0].Name+r.Path, strings.NewReader(`{"a":1}`)))
			}
		}
	})
}
