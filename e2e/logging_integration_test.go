//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestIntegrationLoggingREST switches a REST API of moto on, again, and back. moto
// cannot change stages of HTTP and WebSocket APIs, nor take settings of methods away.
func TestIntegrationLoggingREST(t *testing.T) {
	t.Parallel()
	bin := need(t, "moto_server")
	port := freePort(t)
	component(t, []string{"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "MOTO_IAM_LOAD_MANAGED_POLICIES=true"}, bin, "-H", "127.0.0.1", "-p", fmt.Sprint(port))
	endpoint := fmt.Sprintf("http://127.0.0.1:%d", port)
	eventually(t, 60*time.Second, func() error {
		resp, err := http.Get(endpoint + "/moto-api/")
		if err == nil {
			_ = resp.Body.Close()
		}
		return err
	})
	cli := newAWSCLI(t, endpoint, apiAccount)
	id := func(field string, args ...string) string {
		t.Helper()
		var out map[string]any
		if err := json.Unmarshal(cli.run(t, append([]string{"apigateway"}, args...)...), &out); err != nil {
			t.Fatal(err)
		}
		v, ok := out[field].(string)
		if !ok {
			t.Fatalf("%v has no %s: %v", args, field, out)
		}
		return v
	}
	api := id("id", "create-rest-api", "--name", "orders")
	root := id("rootResourceId", "get-rest-api", "--rest-api-id", api)
	cli.run(t, "apigateway", "put-method", "--rest-api-id", api, "--resource-id", root, "--http-method", "GET", "--authorization-type", "NONE")
	cli.run(t, "apigateway", "put-integration", "--rest-api-id", api, "--resource-id", root, "--http-method", "GET", "--type", "MOCK")
	deployment := id("id", "create-deployment", "--rest-api-id", api)
	cli.run(t, "apigateway", "create-stage", "--rest-api-id", api, "--stage-name", "prod", "--deployment-id", deployment)
	cli.run(t, "apigateway", "update-stage", "--rest-api-id", api, "--stage-name", "prod", "--patch-operations", "op=replace,path=/*/*/logging/loglevel,value=OFF")
	before := loggingStage(t, cli, api)

	env := append([]string{
		"AWS_ENDPOINT_URL=" + endpoint, "AWS_REGION=" + region, "AWS_EC2_METADATA_DISABLED=true",
		"GATEHOUSE_STATE=sqlite:" + t.TempDir() + "/state.db",
	}, cli.env...)
	run := func(args ...string) string {
		t.Helper()
		p := start(t, env, append([]string{"logging"}, args...)...)
		if code := p.exit(t, 120*time.Second); code != 0 {
			t.Fatalf("logging %v: exit %d\n%s\n%s", args, code, p.out.String(), p.err.String())
		}
		return p.err.String()
	}
	run("enable", "--rest", "--yes", "--retention", "7")
	on := loggingStage(t, cli, api)
	if on.Settings["*/*"].Level != "INFO" || !on.Settings["*/*"].Trace || !strings.Contains(on.Access.Format, "$context.extendedRequestId") {
		t.Errorf("after enable: %+v", on)
	}
	if groups := string(cli.run(t, "logs", "describe-log-groups")); !strings.Contains(groups, "API-Gateway-Execution-Logs_"+api+"/prod") || !strings.Contains(groups, `"retentionInDays": 7`) {
		t.Errorf("log groups: %s", groups)
	}
	if said := run("enable", "--rest", "--yes"); !strings.Contains(said, "nothing to change") {
		t.Errorf("again: %s", said)
	}
	run("disable", "--rest", "--yes")
	if diff := cmp.Diff(before, loggingStage(t, cli, api)); diff != "" {
		t.Errorf("after disable (-before +now):\n%s", diff)
	}
	run("destroy", "--yes")
	if groups := string(cli.run(t, "logs", "describe-log-groups")); strings.Contains(groups, api) {
		t.Errorf("log groups that were left behind: %s", groups)
	}
	if roles := string(cli.run(t, "iam", "list-roles")); strings.Contains(roles, "GatehouseAPIGatewayLogs") {
		t.Errorf("the role was left behind: %s", roles)
	}
}

// restLogging is what a stage says of its logging.
type restLogging struct {
	Settings map[string]struct {
		Level string `json:"loggingLevel"`
		Trace bool   `json:"dataTraceEnabled"`
	} `json:"methodSettings"`
	Access struct {
		Destination string `json:"destinationArn"`
		Format      string `json:"format"`
	} `json:"accessLogSettings"`
}

func loggingStage(t *testing.T, cli *awsCLI, api string) (s restLogging) {
	t.Helper()
	if err := json.Unmarshal(cli.run(t, "apigateway", "get-stage", "--rest-api-id", api, "--stage-name", "prod"), &s); err != nil {
		t.Fatal(err)
	}
	return s
}
