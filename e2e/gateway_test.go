package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// A call across accounts through the whole product: the gateway enforces both
// sides, invoke signs and explains, and parse rebuilds the calls from the logs
// that the gateway wrote.
func TestGatewayAndInvokeAcrossAccounts(t *testing.T) {
	t.Parallel()
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"statusCode":200,"headers":{"Content-Type":"application/json"},"body":"{\"id\":123,\"category\":\"book\"}"}`)
	}))
	t.Cleanup(backend.Close)
	dir := t.TempDir()
	conf := filepath.Join(dir, "gateway.yaml")
	logs := filepath.Join(dir, "gateway.ndjson")
	text := fmt.Sprintf(`listen: 127.0.0.1:0
logs:
  file: %s
credentials:
  - access_key_id: ASIAEXAMPLEALLOWED00
    secret_access_key: a-secret-of-a-test
    session_token: a-token-of-a-test
    principal: arn:aws:sts::329380440465:assumed-role/ecs-app-dev-task/i-1
    policies:
      - Version: "2012-10-17"
        Statement: [{Effect: Allow, Action: execute-api:Invoke, Resource: "arn:aws:execute-api:us-east-1:548754742764:no8k0bxy8b/*"}]
  - access_key_id: ASIAEXAMPLESILENT000
    secret_access_key: a-secret-of-a-test
    session_token: a-token-of-a-test
    principal: arn:aws:sts::329380440465:assumed-role/ecs-app-dev-other/i-2
apis:
  - id: no8k0bxy8b
    type: REST
    account: "548754742764"
    region: us-east-1
    policy:
      Version: "2012-10-17"
      Statement:
        - Effect: Allow
          Principal: {AWS: "arn:aws:iam::329380440465:root"}
          Action: execute-api:Invoke
          Resource: execute-api:/prod/GET/*
    routes:
      - {method: GET, path: /, authorization: AWS_IAM, integration: {type: AWS_PROXY, uri: "%s"}}
    stages:
      - {name: prod, logging_level: INFO, data_trace: true}
`, logs, backend.URL)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	gw := start(t, nil, "gateway", "--config", conf)
	var base string
	eventually(t, 20*time.Second, func() error {
		m := regexp.MustCompile(`gateway: (\S+)`).FindStringSubmatch(gw.out.String())
		if m == nil {
			return fmt.Errorf("no address\n%s", tail(gw.err.String()))
		}
		base = "http://" + m[1]
		return nil
	})
	if code, body := get(t, base+"/prod/"); code != http.StatusForbidden || body != `{"message":"Missing Authentication Token"}` {
		t.Errorf("unsigned: %d %s", code, body)
	}
	invoke := func(key string) *process {
		p := start(t, []string{
			"AWS_ACCESS_KEY_ID=" + key, "AWS_SECRET_ACCESS_KEY=a-secret-of-a-test", "AWS_SESSION_TOKEN=a-token-of-a-test",
			"AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL=http://127.0.0.1:1",
		}, "invoke", "--region", "us-east-1", base+"/prod/")
		p.exit(t, 30*time.Second)
		return p
	}
	if p := invoke("ASIAEXAMPLEALLOWED00"); p.cmd.ProcessState.ExitCode() != 0 || strings.TrimSpace(p.out.String()) != `{"id":123,"category":"book"}` {
		t.Errorf("both sides allow: %d %s\n%s", p.cmd.ProcessState.ExitCode(), p.out.String(), tail(p.err.String()))
	}
	p := invoke("ASIAEXAMPLESILENT000")
	if p.cmd.ProcessState.ExitCode() != 1 || !strings.Contains(p.out.String(), "no identity-based policy allows the execute-api:Invoke action") &&
		!strings.Contains(p.out.String(), "no resource-based policy allows the execute-api:Invoke action") {
		t.Errorf("the identity side is silent: %d %s\n%s", p.cmd.ProcessState.ExitCode(), p.out.String(), tail(p.err.String()))
	}
	if strings.Contains(p.err.String()+p.out.String(), "a-secret-of-a-test") {
		t.Error("a secret was printed")
	}
	gw.signal(t, os.Interrupt)
	if code := gw.exit(t, 30*time.Second); code != 0 {
		t.Fatalf("the gateway ends with %d\n%s", code, tail(gw.err.String()))
	}
	parsed := start(t, nil, "parse", logs)
	if code := parsed.exit(t, 20*time.Second); code != 0 {
		t.Fatalf("parse: %d\n%s", code, tail(parsed.err.String()))
	}
	statuses := map[int]int{}
	for l := range strings.Lines(parsed.out.String()) {
		var tx transaction.Transaction
		if err := json.Unmarshal([]byte(l), &tx); err != nil {
			t.Fatal(err)
		}
		if tx.Response != nil {
			statuses[tx.Response.Status]++
		}
		if strings.Contains(l, "a-token-of-a-test") {
			t.Errorf("a session token is in a transaction: %s", l)
		}
	}
	if statuses[200] != 1 {
		t.Errorf("calls by status as parse rebuilds them: %v\n%s", statuses, parsed.out.String())
	}
}
