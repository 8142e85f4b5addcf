package gateway_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/gateway"
)

const transformConfig = `      - method: POST
        path: /things/{id}
        integration:
          type: HTTP
          method: PUT
          uri: BACKEND/put/{thing}
          request_parameters:
            integration.request.path.thing: method.request.path.id
            integration.request.header.X-Name: method.request.body.things[0].name
            integration.request.querystring.v: method.request.querystring.version
          request_templates:
            application/json: |-
              #set($all = $input.params())
              {"id": "$input.params('id')", "count": $input.path('$.things').size(), "first": $input.json('$.things[0]'), "stage": "$context.stage $stageVariables.color ${stageVariables['color']}",
               "params": {#foreach($type in $all.keySet())"$type": [#foreach($name in $all.get($type).keySet())#if($name != 'header' && $type != 'header')"$util.escapeJavaScript($name)"#end#end]#if($foreach.hasNext),#end#end}}
              #set($context.requestOverride.header.X-Override = "o $input.params('id')")
          integration_responses:
            - status: 201
              selection_pattern: 2\d{2}
              response_parameters:
                method.response.header.Location: integration.response.body.redirect.url
                method.response.header.X-Backend: integration.response.header.X-From
                method.response.header.X-Fixed: "'fixed'"
                method.response.header.X-Stage: context.stage
              response_templates:
                application/json: '{"made": $input.json(''$.redirect''), "by": "$context.resourcePath"}'
                application/xml: <made>$input.path('$.redirect.url')</made>
            - status: 404
              selection_pattern: "404"
            - status: 502
              response_templates:
                application/json: |-
                  #set($context.responseOverride.status = 503)#set($context.responseOverride.header.Retry-After = "9"){"error": true}
      - method: POST
        path: /strict
        integration: {type: HTTP, uri: BACKEND/strict, passthrough_behavior: NEVER, integration_responses: [{status: 200}]}
      - method: POST
        path: /some
        integration: {type: HTTP, uri: BACKEND/strict, passthrough_behavior: WHEN_NO_TEMPLATES, request_templates: {application/json: "$input.json('$')"}, integration_responses: [{status: 200}]}
      - method: POST
        path: /none
        integration: {type: HTTP, uri: BACKEND/strict, integration_responses: [{status: 200, selection_pattern: "4.."}]}
      - method: POST
        path: /function
        integration:
          type: AWS
          uri: BACKEND/function
          request_templates: {application/json: '{"name": $input.json("$.name")}'}
          integration_responses:
            - {status: 200}
            - {status: 400, selection_pattern: "Bad.*", response_templates: {application/json: '{"why": "$input.path("$.errorMessage")"}'}}
      - method: GET
        path: /mock
        integration:
          type: MOCK
          request_templates: {application/json: '#if($input.params("fail") == "yes"){"statusCode": 500}#else{"statusCode": 200}#end'}
          integration_responses:
            - {status: 200, response_templates: {application/json: '{"ok": true, "user": "$context.identity.sourceIp"}'}}
            - {status: 418, selection_pattern: "500", response_parameters: {method.response.header.X-Tea: "'pot'"}}
      - method: GET
        path: /broken
        integration: {type: MOCK, request_templates: {application/json: '{"statusCode": "$input.params(''s'')"}'}, integration_responses: [{status: 200}]}
      - method: POST
        path: /bytes
        integration: {type: HTTP, uri: BACKEND/bytes, content_handling: CONVERT_TO_TEXT, integration_responses: [{status: 200, content_handling: CONVERT_TO_BINARY}]}
`

func transformWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, restAPI(transformConfig, "    binary_media_types: [image/png]\n    stages: [{name: prod, logging_level: INFO, data_trace: true, variables: {color: blue}}]\n"))
	w.backend.mux.HandleFunc("/put/", func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("X-From", "backend")
		switch r.Header.Get("X-Name") {
		case "missing":
			rw.WriteHeader(http.StatusNotFound)
		case "broken":
			rw.WriteHeader(http.StatusInternalServerError)
		}
		_, _ = io.WriteString(rw, `{"redirect":{"url":"/made/1"}}`)
	})
	w.backend.answers("/strict", "strict")
	w.backend.mux.HandleFunc("/function", func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if !strings.Contains(string(body), "Rex") {
			rw.Header().Set("X-Amz-Function-Error", "Unhandled")
			body = []byte(`{"errorMessage":"Bad name"}`)
			if strings.Contains(string(body), "x") {
				body = []byte(`{}`)
			}
		}
		_, _ = rw.Write(body)
	})
	w.backend.mux.HandleFunc("/bytes", func(rw http.ResponseWriter, r *http.Request) { _, _ = io.Copy(rw, r.Body) })
	return w
}

func TestMappingTemplates(t *testing.T) {
	t.Parallel()
	w := transformWorld(t)
	r := w.call("POST", "/prod/things/7?version=3&x=y", `{"things":[{"name":"O'Hara","n":1.50}]}`, "Content-Type", "application/json; charset=utf-8", "X-Secret", "s")
	if r.status != 201 || r.body != `{"made": {"url":"/made/1"}, "by": "/things/{id}"}` || r.header.Get("Content-Type") != "application/json" {
		t.Fatalf("%+v", r)
	}
	for name, want := range map[string]string{"Location": "/made/1", "X-Backend": "backend", "X-Fixed": "fixed", "X-Stage": "prod"} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	got, body := w.backend.last(t)
	const want = `{"id": "7", "count": 1, "first": {"name":"O'Hara","n":1.50}, "stage": "prod blue blue",
 "params": {"path": ["id"],"querystring": ["version""x"],"header": []}}
`
	if body != want || got.Method != http.MethodPut || got.RequestURI != "/put/7?v=3" {
		t.Errorf("%s %s\n got %s\nwant %s", got.Method, got.RequestURI, body, want)
	}
	// Nothing of the caller's goes on that is not mapped.
	if h := got.Header; h.Get("X-Secret") != "" || h.Get("X-Name") != "O'Hara" || h.Get("X-Override") != "o 7" || h.Get("Content-Type") != "application/json; charset=utf-8" || h.Get("X-Amzn-Apigateway-Api-Id") != "a1b2c3d4e5" {
		t.Errorf("%v", h)
	}
	if r := w.call("POST", "/prod/things/7", `{"things":[{"name":"x"}]}`, "Accept", "application/xml"); r.body != "<made>/made/1</made>" || r.header.Get("Content-Type") != "application/xml" {
		t.Errorf("%+v", r)
	}
	if r := w.call("POST", "/prod/things/7", `{"things":[{"name":"missing"}]}`); r.status != 404 || r.body != `{"redirect":{"url":"/made/1"}}` {
		t.Errorf("passed on: %+v", r)
	}
	if r := w.call("POST", "/prod/things/7", `{"things":[{"name":"broken"}]}`); r.status != 503 || r.body != `{"error": true}` || r.header.Get("Retry-After") != "9" {
		t.Errorf("overridden: %+v", r)
	}
	if r := w.call("POST", "/prod/things/7", `{"things`); r.status != 400 || !strings.HasPrefix(r.body, `{"message": "Could not parse request body into json: `) {
		t.Errorf("not JSON: %+v", r)
	}
	text := w.logs.text("API-Gateway-Execution-Logs_")
	for _, want := range []string{
		"Endpoint request body after transformations: {\"id\": \"7\"", "Endpoint request URI: " + w.backend.URL + "/put/7?v=3", "Sending request to " + w.backend.URL + "/put/7?v=3",
		"Endpoint response body before transformations: {\"redirect\"", "Method response body after transformations: {\"made\"", "Method completed with status: 201",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestPassthroughBehavior(t *testing.T) {
	t.Parallel()
	w := transformWorld(t)
	const refused = `{"message": "Unsupported Media Type"}`
	for name, c := range map[string]struct {
		path, contentType string
		status            int
		body              string
	}{
		"never, without a template":   {"/prod/strict", "application/json", 415, refused},
		"no templates, with another":  {"/prod/some", "application/xml", 415, refused},
		"no templates, with its own":  {"/prod/some", "application/json", 200, "strict"},
		"no response for this status": {"/prod/none", "application/json", 500, `{"message": "Internal server error"}`},
	} {
		if r := w.call("POST", c.path, `{}`, "Content-Type", c.contentType); r.status != c.status || r.body != c.body {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if text := w.logs.text("API-Gateway-Execution-Logs_"); !strings.Contains(text, "No match for output mapping and no default output mapping configured. Endpoint Response Status Code: 200") {
		t.Error(text)
	}
	if r := w.call("POST", "/prod/things/1", "plain", "Content-Type", "text/plain"); r.status != 201 {
		t.Errorf("%+v", r)
	} else if _, body := w.backend.last(t); body != "plain" {
		t.Error(body)
	}
}

func TestFunctionWithTemplates(t *testing.T) {
	t.Parallel()
	w := transformWorld(t)
	if r := w.call("POST", "/prod/function", `{"name":"Rex","more":1}`); r.status != 200 || r.body != `{"name": "Rex"}` {
		t.Errorf("%+v", r)
	}
	if got, _ := w.backend.last(t); got.Method != http.MethodPost || got.Header.Get("X-Amz-Source-Arn") != "arn:aws:execute-api:us-east-1:111122223333:a1b2c3d4e5/prod/POST/function" {
		t.Errorf("%s %v", got.Method, got.Header)
	}
	if r := w.call("POST", "/prod/function", `{"name":"Tom"}`); r.status != 400 || r.body != `{"why": "Bad name"}` {
		t.Errorf("%+v", r)
	}
}

func TestMockWithTemplates(t *testing.T) {
	t.Parallel()
	w := transformWorld(t)
	if r := w.call("GET", "/prod/mock", ""); r.status != 200 || r.body != `{"ok": true, "user": "127.0.0.1"}` {
		t.Errorf("%+v", r)
	}
	if r := w.call("GET", "/prod/mock?fail=yes", ""); r.status != 418 || r.header.Get("X-Tea") != "pot" {
		t.Errorf("%+v", r)
	}
	if r := w.call("GET", "/prod/broken?s=x", ""); r.status != 500 {
		t.Errorf("%+v", r)
	}
	if r := w.call("GET", "/prod/broken?s=200", ""); r.status != 200 {
		t.Errorf("%+v", r)
	}
}

func TestContentHandling(t *testing.T) {
	t.Parallel()
	w := transformWorld(t)
	r := w.call("POST", "/prod/bytes", "\x89PNG", "Content-Type", "image/png", "Accept", "image/png")
	if _, body := w.backend.last(t); body != "iVBORw==" || r.body != "\x89PNG" {
		t.Errorf("%q %+v", body, r)
	}
	if r := w.call("POST", "/prod/bytes", "not base64!", "Content-Type", "text/plain"); r.status != 500 {
		t.Errorf("%+v", r)
	}
}

func TestTransformationMistakes(t *testing.T) {
	t.Parallel()
	for integration, want := range map[string]string{
		`{type: HTTP, uri: "http://x/", request_templates: {application/json: "#if($x)"}}`:                                                                 "#if without #end",
		`{type: HTTP, uri: "http://x/", passthrough_behavior: ALWAYS}`:                                                                                     "passthrough_behavior",
		`{type: HTTP, uri: "http://x/", content_handling: CONVERT}`:                                                                                        "content_handling",
		`{type: HTTP, uri: "http://x/", integration_responses: [{status: 99}]}`:                                                                            "is not a status",
		`{type: HTTP, uri: "http://x/", integration_responses: [{status: 200}, {status: 201}]}`:                                                            "the default already",
		`{type: HTTP, uri: "http://x/", integration_responses: [{status: 200, selection_pattern: "("}]}`:                                                   "selection_pattern",
		`{type: HTTP, uri: "http://x/", integration_responses: [{status: 200, response_parameters: {method.response.header.X: method.request.header.X}}]}`: "cannot be mapped",
		`{type: HTTP_PROXY, uri: "http://x/", request_templates: {application/json: "{}"}}`:                                                                "mapping templates",
		`{type: MOCK, responses: {"200": {body: x}}, request_templates: {application/json: "{}"}}`:                                                         "does not go with",
		`{type: HTTP_PROXY, uri: "http://x/", cache_key_parameters: [method.request.body]}`:                                                                "cache_key_parameters[0]",
		`{type: HTTP_PROXY, uri: "http://x/", connection_type: VPC_LINK}`:                                                                                  "a VPC link is not simulated",
	} {
		_, err := gateway.Parse("x", []byte(restAPI("      - {method: GET, path: /, integration: "+integration+"}\n", stagesProd)), func(string) string { return "" })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", integration, err, want)
		}
	}
}

// template executes a request template and gives what the endpoint is sent.
func (w *world) template(t *testing.T, path, body string, headers ...string) string {
	t.Helper()
	if r := w.call("POST", path, body, headers...); r.status != 200 {
		t.Fatalf("%+v", r)
	}
	_, sent := w.backend.last(t)
	return sent
}

func TestTemplateVariables(t *testing.T) {
	t.Parallel()
	for template, want := range map[string]string{
		`$util.escapeJavaScript($input.path('$.text'))`:                                                                                                        `It\'s \"a\/b\" \\ \n\u00E9\uD83D\uDE00`,
		`$util.escapeJavaScript("it's").replaceAll("\\'","'")`:                                                                                                 `it's`,
		`$util.urlEncode('a b&c/é') $util.urlDecode('a+b%26c')`:                                                                                                `a+b%26c%2F%C3%A9 a b&c`,
		`$util.base64Encode('hello') $util.base64Decode('aGVsbG8=')`:                                                                                           `aGVsbG8= hello`,
		`#set($o = $util.parseJson($input.path('$.inner')))$o.key2.arr[0]`:                                                                                     `1`,
		`$input.json('$.list') $input.path('$.list') $input.path('$.list').size()`:                                                                             `[1,{"a":"b"}] [1,{"a":"b"}] 2`,
		`$input.json('$.nothing') [$input.path('$.nothing')]`:                                                                                                  `"" []`,
		`$input.path('$.object') $input.json('$.object')`:                                                                                                      `{z=1, a=[true,null]} {"z":1,"a":[true,null]}`,
		`$input.params('id') $input.params('q') $input.params('x-custom') [$input.params('none')]`:                                                             `7 one h []`,
		`$input.params().path $input.params().querystring.get('q') $input.params().header.get('X-Custom')`:                                                     `{id=7} one h`,
		`$context.httpMethod $context.resourcePath $context.identity.sourceIp $context.get('stage') [$context.authorizer.claims.sub][$context.nothing.at.all]`: `POST /t/{id} 127.0.0.1 prod [][]`,
		`$stageVariables.color $stageVariables['color'] $stageVariables.get('color') [$stageVariables.none]`:                                                   `blue blue blue []`,
		`$input.body.length() $input.body().contains('list')`:                                                                                                  `151 true`,
	} {
		w := newWorld(t, restAPI(`      - {method: POST, path: "/t/{id}", integration: {type: HTTP, uri: BACKEND/echo, request_templates: {application/json: '`+strings.ReplaceAll(template, "'", "''")+`'}, integration_responses: [{status: 200}]}}
`, "    stages: [{name: prod, variables: {color: blue}}]\n"))
		w.backend.answers("/echo", "")
		const body = `{"text":"It's \"a/b\" \\ \né😀","inner":"{\"key2\":{\"arr\":[1,2]}}","list":[1,{"a":"b"}],"object":{"z":1,"a":[true,null]},"pad":"xxxxxxxxxxxxxxxxxxxx"}`
		if got := w.template(t, "/prod/t/7?q=one", body, "X-Custom", "h"); got != want {
			t.Errorf("%s\n got %s\nwant %s", template, got, want)
		}
	}
}

// TestTemplatesThatFail: the caller learns nothing, the log where it is.
func TestTemplatesThatFail(t *testing.T) {
	t.Parallel()
	for template, status := range map[string]int{
		"$input.path('$[')":       500,
		"$util.base64Decode('?')": 500,
		"$util.urlDecode('%')":    500,
		"$util.parseJson('{')":    400,
		"#foreach($a in [1..1000])#foreach($b in [1..1000])#foreach($c in [1..1000])#end#end#end": 500,
	} {
		w := newWorld(t, restAPI(`      - {method: POST, path: /t, integration: {type: MOCK, request_templates: {application/json: "`+template+`"}, integration_responses: [{status: 200}]}}
      - {method: POST, path: /r, integration: {type: MOCK, request_templates: {application/json: '{"statusCode":200}'}, integration_responses: [{status: 200, response_templates: {application/json: "`+template+`"}}]}}
`, "    stages: [{name: prod, logging_level: ERROR}]\n"))
		if r := w.call("POST", "/prod/t", "{}"); r.status != status {
			t.Errorf("%s: %+v", template, r)
		}
		w.call("POST", "/prod/r", "{}").wants(t, 500, "InternalServerErrorException", `{"message": "Internal server error"}`)
		if text := w.logs.text("API-Gateway-Execution-Logs_"); !strings.Contains(text, "Execution failed due to configuration error: Unable to transform response: line 1, column 1: ") && !strings.Contains(text, "Unable to transform response: the template takes too long") {
			t.Errorf("%s:\n%s", template, text)
		}
	}
}
