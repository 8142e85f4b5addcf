package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/doctor"
)

// doctorWorld is a world in which collecting works.
func doctorWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, awssim.Options{})
	r := w.sim.Account(apiAccount).Region(region)
	r.AddRESTAPI(awssim.RESTAPI{
		ID: "a1b2c3d4e0", Name: "items", Resources: []awssim.Resource{{Path: "/items/{id}", Methods: []awssim.Method{{HTTPMethod: "POST", Authorization: "AWS_IAM"}}}},
		Stages: []awssim.Stage{{Name: "prod", LoggingLevel: "INFO", DataTrace: true}},
	})
	r.SetLogRole("arn:aws:iam::" + apiAccount + ":role/Logs")
	w.logs.CreateGroup(groupName(0))
	return w
}

// The doctor finds a world in order, and of a world that is not says what to do; as a
// table and as JSON, with the exit status to go by.
func TestDoctor(t *testing.T) {
	t.Parallel()
	w := doctorWorld(t)
	dir := t.TempDir()
	args := []string{
		"doctor", "--role-arn", w.readerARN(), "--external-id", externalID, "--region", region,
		"--state", filepath.Join(dir, "state.db"), "--sink", "file:" + filepath.Join(dir, "out"),
	}
	p := start(t, w.env(), args...)
	if code := p.exit(t, 60*time.Second); code != 0 {
		t.Fatalf("exit %d\n%s\n%s", code, p.out.String(), p.err.String())
	}
	for _, line := range []string{"STATUS  CHECK", "role", "apigateway:GET", "logs:FilterLogEvents", "sink", "0 failures"} {
		if !strings.Contains(p.out.String(), line) {
			t.Errorf("no %q in\n%s", line, p.out.String())
		}
	}
	for _, name := range []string{"state.db", "out"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was made by looking", name)
		}
	}

	w.sim.Account(apiAccount).AddRole(awssim.Role{
		Name: "Reader", TrustedPrincipals: []string{"arn:aws:iam::" + hubAccount + ":role/Hub"}, ExternalID: externalID,
		Allow: []string{"logs:DescribeLogGroups", "apigateway:GET"},
	})
	w.sim.Account(apiAccount).Region(region).SetLogRole("")
	p = start(t, w.env(), append(args, "--sink", "kafka://127.0.0.1:1/topic?format=native", "-o", "json")...)
	if code := p.exit(t, 90*time.Second); code != 1 || !strings.Contains(p.err.String(), "3 of ") {
		t.Errorf("exit %d\n%s", code, p.err.String())
	}
	var report doctor.Report
	if err := json.Unmarshal([]byte(p.out.String()), &report); err != nil {
		t.Fatalf("%v\n%s", err, p.out.String())
	}
	for check, text := range map[string]string{
		"logs:FilterLogEvents": `{"Effect":"Allow","Action":"logs:FilterLogEvents","Resource":"arn:aws:logs:*:` + apiAccount + `:log-group:API-Gateway-Execution-Logs*"}`,
		"CloudWatch role":      "AmazonAPIGatewayPushToCloudWatchLogs",
		"sink":                 "topic",
	} {
		if !slices.ContainsFunc(report.Results, func(r doctor.Result) bool {
			return r.Status == doctor.Fail && r.Check == check && strings.Contains(r.What+r.Mend+r.Statement, text)
		}) {
			t.Errorf("no failure of %s with %s in\n%s", check, text, p.out.String())
		}
	}
	for _, secret := range []string{w.creds.SecretAccessKey, w.creds.SessionToken} {
		if strings.Contains(p.out.String()+p.err.String(), secret) {
			t.Error("a secret was printed")
		}
	}

	// Settings that cannot be used are a failure like any other.
	conf := filepath.Join(dir, "gatehouse.yaml")
	if err := os.WriteFile(conf, []byte("poll_intervall: 1s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p = start(t, w.env(), "doctor", "--config", conf)
	if code := p.exit(t, 30*time.Second); code != 1 || !strings.Contains(p.out.String(), "did you mean poll_interval?") {
		t.Errorf("exit %d\n%s\n%s", code, p.out.String(), p.err.String())
	}
}

// A call that IAM refuses is explained from the policies themselves, with the real
// binary, the real gateway and the roles that a settings file names.
func TestInvokeSeesPolicies(t *testing.T) {
	t.Parallel()
	w := doctorWorld(t)
	hub, apis := w.sim.Account(hubAccount), w.sim.Account(apiAccount)
	hub.AddRole(awssim.Role{Name: "app", Path: "/team/", Inline: map[string]string{
		"items": `{"Version":"2012-10-17","Statement":[{"Sid":"Items","Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:*:*:a1b2c3d4e0/*"}]}`,
	}})
	look := []string{"iam:Get*", "iam:List*", "apigateway:GET", "organizations:*"}
	base := []string{"arn:aws:iam::" + hubAccount + ":role/team/app"}
	hub.AddRole(awssim.Role{Name: "Look", TrustedPrincipals: base, Allow: look})
	apis.AddRole(awssim.Role{Name: "Look", TrustedPrincipals: base, Allow: look})
	// The base of invoke may assume the roles that look.
	hub.AddRole(awssim.Role{Name: "app", Path: "/team/", Allow: []string{"sts:*"}, Inline: map[string]string{
		"items": `{"Version":"2012-10-17","Statement":[{"Sid":"Items","Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:*:*:a1b2c3d4e0/*"}]}`,
	}})
	key := hub.Session("app", "i-1", time.Hour)
	dir := t.TempDir()
	conf := filepath.Join(dir, "gateway.yaml")
	text := `listen: 127.0.0.1:0
credentials:
  - access_key_id: ` + key.AccessKeyID + `
    secret_access_key: ` + key.SecretAccessKey + `
    session_token: ` + key.SessionToken + `
    principal: arn:aws:sts::` + hubAccount + `:assumed-role/app/i-1
    policies:
      - Version: "2012-10-17"
        Statement: [{Effect: Allow, Action: execute-api:Invoke, Resource: "*"}]
apis:
  - id: a1b2c3d4e0
    type: REST
    account: "` + apiAccount + `"
    region: ` + region + `
    routes:
      - {method: POST, path: "/items/{id}", authorization: AWS_IAM, integration: {type: MOCK}}
    stages:
      - {name: prod}
`
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := filepath.Join(dir, "gatehouse.yaml")
	if err := os.WriteFile(settings, []byte("role_arns:\n  - arn:aws:iam::"+hubAccount+":role/Look\n  - arn:aws:iam::"+apiAccount+":role/Look\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	gw := start(t, nil, "gateway", "--config", conf)
	url := gatewayURL(t, gw)
	env := []string{
		"AWS_ENDPOINT_URL=" + w.server.URL(), "AWS_ACCESS_KEY_ID=" + key.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + key.SecretAccessKey,
		"AWS_SESSION_TOKEN=" + key.SessionToken, "AWS_EC2_METADATA_DISABLED=true",
	}
	p := start(t, env, "invoke", "--config", settings, "--region", region, "-X", "POST", url+"/prod/items/7")
	if code := p.exit(t, 60*time.Second); code != 1 {
		t.Fatalf("exit %d\n%s\n%s", code, p.out.String(), p.err.String())
	}
	for _, want := range []string{
		"method: POST /items/{id} of REST API a1b2c3d4e0, authorization IAM",
		"lacks: the resource policy of API a1b2c3d4e0 (items) in account " + apiAccount,
		`  add: {"Sid":"Callers","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + hubAccount + `:role/team/app"},"Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:eu-west-1:` + apiAccount + `:a1b2c3d4e0/prod/POST/items/*"}`,
		"allows: statement Items of the inline policy items of role app",
		"gatehouse: the API answered 403 Forbidden: the API's resource policy does not allow it (implicit deny)",
		"then deploy stage prod again",
	} {
		if !strings.Contains(p.err.String(), want) {
			t.Errorf("no %q in\n%s", want, p.err.String())
		}
	}
	for _, secret := range []string{key.SecretAccessKey, key.SessionToken} {
		if strings.Contains(p.out.String()+p.err.String(), secret) {
			t.Error("a secret was printed")
		}
	}
}

// gatewayURL waits for a gateway and returns its address.
func gatewayURL(t *testing.T, gw *process) string {
	t.Helper()
	var base string
	eventually(t, 20*time.Second, func() error {
		_, rest, ok := strings.Cut(gw.out.String(), "gateway: ")
		if !ok {
			return errors.New("no address\n" + tail(gw.err.String()))
		}
		base = "http://" + strings.Fields(rest)[0]
		return nil
	})
	return base
}
