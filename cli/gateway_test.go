package cli

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// gatewayRun keeps what the command asks for.
type gatewayRun struct{ options *GatewayOptions }

func (g *gatewayRun) Gateway(_ context.Context, o GatewayOptions) error {
	g.options = &o
	return nil
}

const gatewayYAML = `apis:
  - id: a1b2c3d4e5
    type: REST
    account: "111122223333"
    region: us-east-1
    authorizers: {token: {type: TOKEN, url: "http://127.0.0.1:1/"}}
    routes:
      - {method: GET, path: /, authorization: AWS_IAM, integration: {type: MOCK}}
      - {method: POST, path: "/pets/{id}", authorization: CUSTOM, authorizer: token, api_key_required: true, integration: {type: HTTP_PROXY, uri: "http://127.0.0.1:1/{id}"}}
    stages: [{name: prod}, {name: beta}]
`

func TestGatewayCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	files := map[string]string{"good.yaml": gatewayYAML, "bad.yaml": strings.Replace(gatewayYAML, "type: REST", "type: SOAP", 1), "api.json": `{"openapi":"3.0.1","info":{"title":"a","version":"1"},"paths":{"/a":{"get":{"x-amazon-apigateway-integration":{"type":"aws_proxy","uri":"x/functions/arn:aws:lambda:us-east-1:1:function:f/invocations"}}}}}`}
	path := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range files {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) (string, *gatewayRun, error) {
		var out, errs bytes.Buffer
		rt := &gatewayRun{}
		cmd := newGateway(rt, &Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
		cmd.SetArgs(args)
		cmd.SilenceErrors, cmd.SilenceUsage = true, true
		err := cmd.ExecuteContext(t.Context())
		return out.String(), rt, err
	}

	out, rt, err := run("--config", path("good.yaml"), "--check")
	want := `API         TYPE  STAGES     METHOD  AUTHORIZATION  API KEY   INTEGRATION  PATH
a1b2c3d4e5  REST  prod,beta  GET     AWS_IAM        -         MOCK         /
a1b2c3d4e5  REST  prod,beta  POST    CUSTOM token   required  HTTP_PROXY   /pets/{id}
`
	if err != nil || out != want || rt.options != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if out, _, err := run("--config", path("good.yaml"), "--check", "-o", "json"); err != nil || !strings.Contains(out, `"path": "/pets/{id}"`) {
		t.Errorf("%v\n%s", err, out)
	}
	if _, rt, err := run("--config", path("good.yaml"), "--listen", "127.0.0.1:9"); err != nil || rt.options == nil || rt.options.Config.Listen != "127.0.0.1:9" {
		t.Errorf("%v %+v", err, rt.options)
	}
	if _, rt, err := run("--openapi", path("api.json"), "--function", "f=http://127.0.0.1:1/"); err != nil || rt.options == nil || len(rt.options.Config.APIs[0].Routes) != 1 {
		t.Errorf("%v %+v", err, rt.options)
	}
	for want, args := range map[string][]string{
		`bad.yaml:3:11: apis[0].type: "SOAP" is none of`: {"--config", path("bad.yaml"), "--check"},
		"no HTTP endpoint":       {"--openapi", path("api.json")},
		"nothing to serve":       {},
		"both given":             {"--config", "a", "--openapi", "b"},
		"is not NAME=URL":        {"--openapi", path("api.json"), "--function", "f"},
		"goes with --openapi":    {"--config", path("good.yaml"), "--function", "f=x"},
		"goes with --check":      {"--config", path("good.yaml"), "-o", "json"},
		"is not a form of":       {"--config", path("good.yaml"), "-o", "xml"},
		"no such file":           {"--config", path("none.yaml")},
		"takes no arguments":     {"extra"},
		"reading the OpenAPI ex": {"--openapi", path("none.json")},
	} {
		_, rt, err := run(args...)
		if err == nil || !strings.Contains(err.Error(), want) || rt.options != nil {
			t.Errorf("%v: %v", args, err)
		}
		var usage *UsageError
		if isUsage := strings.HasPrefix(want, "goes") || want == "nothing to serve"; isUsage && !errors.As(err, &usage) {
			t.Errorf("%v: not a usage error: %v", args, err)
		}
	}
}
