package gateway_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/gateway"
)

func TestConfigMistakes(t *testing.T) {
	t.Parallel()
	const good = `apis:
  - id: a1b2c3d4e5
    type: REST
    account: "111122223333"
    region: us-east-1
    routes:
      - method: GET
        path: /pets/{id}
        authorization: AWS_IAM
        integration: {type: HTTP_PROXY, uri: "http://x/{id}"}
    stages:
      - name: prod
`
	none := func(string) string { return "" }
	if _, err := gateway.Parse("gateway.yaml", []byte(good), none); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, now, want string }{
		"unknown key":               {"type: REST", "typ: REST", `gateway.yaml:3:5: apis[0]: unknown setting "typ"`},
		"repeated key":              {"    type: REST\n", "    type: REST\n    type: HTTP\n", "gateway.yaml:4:5: apis[0]: type is set twice"},
		"wrong shape":               {"routes:\n      - ", "routes:\n        ", "gateway.yaml:7:9: apis[0].routes: must be a list"},
		"not a duration":            {"HTTP_PROXY,", "HTTP_PROXY, timeout: long,", `apis[0].routes[0].integration.timeout: "long" is not a duration such as 29s`},
		"no value":                  {"name: prod", "name:", "has no value"},
		"alias":                     {`account: "111122223333"`, "account: &a \"111122223333\"\n    name: *a", "aliases are not read"},
		"unknown type":              {"type: REST", "type: SOAP", `gateway.yaml:3:11: apis[0].type: "SOAP" is none of REST, HTTP, WEBSOCKET`},
		"account":                   {`"111122223333"`, `"1111"`, `gateway.yaml:4:14: apis[0].account: "1111" is not a 12-digit account`},
		"authorization":             {"AWS_IAM", "IAM", `gateway.yaml:9:24: apis[0].routes[0].authorization: "IAM" is none of`},
		"no authorizer":             {"AWS_IAM", "CUSTOM", `the API has no authorizer ""`},
		"authorizer without CUSTOM": {"authorization: AWS_IAM", "authorizer: z", "the route would be open"},
		"parameter":                 {"http://x/{id}", "http://x/{other}", "the route has no parameter {other}"},
		"parameter in the host":     {"http://x/{id}", "http://{id}/", "the host cannot hold"},
		"scheme":                    {"http://x/{id}", "file:///etc/{id}", "is not an http or https URL"},
		"no stage":                  {"    stages:\n      - name: prod\n", "", "an API needs a stage"},
		"route twice":               {"    stages:", "      - {method: GET, path: \"/pets/{other}\", integration: {type: MOCK}}\n    stages:", "the route GET /pets/{other} is there twice"},
		"policy":                    {"    routes:", "    policy: {Version: '2012-10-17', Statement: [{Effect: Allow, Principal: '*', Acton: x, Resource: '*'}]}\n    routes:", "apis[0].policy: "},
		"private without policy":    {"    routes:", "    endpoint: private\n    routes:", "a private API needs a resource policy"},
		"preflight of REST":         {"    routes:", "    cors: {allow_origins: [\"*\"]}\n    routes:", "only HTTP APIs answer preflight"},
		"execution logs without id": {"      - name: prod", "      - name: prod\n        access_log: {group: g, format: $context.status}", "must name $context.requestId"},
		"credentials for everyone":  {"type: REST", "type: HTTP\n    cors: {allow_origins: [\"*\"], allow_credentials: true}", "every page on the web"},
		"origin with a wildcard":    {"type: REST", "type: HTTP\n    cors: {allow_origins: [\"https://shop*\"]}", "hold a wildcard"},
		"policy file":               {"    routes:", "    policy: missing.json\n    routes:", "missing.json"},
		"key of a stage unknown":    {"apis:", "usage_plans: [{id: p, stages: [a1b2c3d4e5/beta]}]\napis:", "gateway.yaml:1:32: usage_plans[0].stages[0]"},
		"scopes of IAM":             {"AWS_IAM", "AWS_IAM\n        scopes: [a]", "have scopes"},
		"a role cannot sign":        {"apis:", "credentials: [{access_key_id: A, secret_access_key: s, principal: 'arn:aws:iam::111122223333:role/r'}]\napis:", "cannot sign"},
		"empty variable":            {"apis:", "credentials: [{access_key_id: A, secret_access_key_env: NOTHING, principal: 'arn:aws:iam::111122223333:user/u'}]\napis:", "the variable NOTHING is empty"},
	} {
		text := strings.Replace(good, c.old, c.now, 1)
		if text == good {
			t.Fatalf("%s: nothing was replaced", name)
		}
		_, err := gateway.Parse("gateway.yaml", []byte(text), none)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\n got %v\nwant %s", name, err, c.want)
		}
		var mistake *gateway.ConfigError
		if !errors.As(err, &mistake) || mistake.Where == "" {
			t.Errorf("%s: %v has no place", name, err)
		}
	}
}

func TestConfigRefusesWhatItWouldIgnore(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{"api_key_required: true", "route_response: false", "validate_body: true", "validate_parameters: true"} {
		text := httpAPI("      - {method: GET, path: /a, "+setting+", integration: {type: HTTP_PROXY, uri: \"http://x/\"}}\n", "")
		if _, err := gateway.Parse("x", []byte(text), func(string) string { return "" }); err == nil || !strings.Contains(err.Error(), "only ") {
			t.Errorf("%s: %v", setting, err)
		}
	}
}

func TestConfigFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"policy.json": `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"execute-api:Invoke","Resource":"*"}]}`,
		"api.json":    string(export(t, "orders.json", "http://127.0.0.1:1")),
		"gateway.yaml": `credentials: [{access_key_id: A, secret_access_key_env: SECRET, principal: "arn:aws:iam::111122223333:user/u"}]
apis:
  - {id: a1b2c3d4e5, type: REST, account: "111122223333", region: us-east-1, openapi: api.json, policy: policy.json, functions: {order: "http://x/", token: "http://x/"},
     routes: [{method: GET, path: /, integration: {type: MOCK}}], stages: [{name: prod}]}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := gateway.Load(filepath.Join(dir, "gateway.yaml"), func(name string) string { return map[string]string{"SECRET": "s"}[name] })
	if err != nil {
		t.Fatal(err)
	}
	a := c.APIs[0]
	if c.Credentials[0].SecretAccessKey != "s" || len(a.Routes) != 4 || a.Routes[0].Integration.Type != "MOCK" || !strings.Contains(string(a.Policy.JSON), `"Resource":"*"`) {
		t.Errorf("%+v", a)
	}
}

// FuzzConfig feeds the configuration what it likes: an error with a place, or a
// gateway.
func FuzzConfig(f *testing.F) {
	f.Add("apis:\n  - {id: a, type: REST, account: '111122223333', region: us-east-1, stages: [{name: p}], routes: [{method: GET, path: /, integration: {type: MOCK}}]}\n")
	f.Add(strings.NewReplacer("AUTH", "NONE", "FORMAT", "$context.requestId", "BACKEND", "http://x").Replace(socketConfig))
	f.Add("a: &a [*a]")
	f.Add(strings.NewReplacer("BACKEND", "http://x", "SIZE", "4000").Replace(cacheConfig))
	f.Add(strings.ReplaceAll(privateConfig, "BACKEND", "http://x"))
	f.Add(strings.ReplaceAll(restAPI(transformConfig, stagesProd), "BACKEND", "http://x"))
	f.Add(strings.ReplaceAll(benchConfig, "BACKEND", "http://x"))
	f.Add(timedConfig)
	files, err := filepath.Glob("testdata/config/*.yaml")
	if err != nil || len(files) == 0 {
		f.Fatal(err, "there are no configurations in testdata/config")
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "..") || strings.Contains(text, "/dev") {
			return // may name a file of this machine that never ends
		}
		c, err := gateway.Parse("no such folder/x", []byte(text), func(string) string { return "" })
		if err != nil {
			return
		}
		if _, err := gateway.New(c, gateway.Options{}); err != nil {
			t.Errorf("checked, but not made: %v", err)
		}
	})
}

// TestConfigurationsOfTheFuzzer: what the fuzzer begins with is good, so that it
// reaches what is behind the checks.
func TestConfigurationsOfTheFuzzer(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"http.yaml", "rest.yaml"} {
		c, err := gateway.Load("testdata/config/"+name, func(string) string { return "" })
		if err == nil {
			_, err = gateway.New(c, gateway.Options{})
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
