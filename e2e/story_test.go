package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// The accounts of the stories: one has the API, the other calls it.
const (
	ordersAccount = "548754742764"
	clientAccount = "329380440465"
)

// gatewayWithSTS runs `gatehouse gateway` with a local STS and returns the
// addresses of both.
func gatewayWithSTS(t *testing.T, configuration string) (gateway, sts string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "gateway.yaml")
	if err := os.WriteFile(file, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, nil, "gateway", "--config", file)
	eventually(t, 30*time.Second, func() error {
		out := p.out.String()
		g := regexp.MustCompile(`gateway: (\S+)`).FindStringSubmatch(out)
		s := regexp.MustCompile(`sts: (\S+)`).FindStringSubmatch(out)
		if g == nil || s == nil {
			return fmt.Errorf("no addresses in %q\n%s", out, tail(p.err.String()))
		}
		gateway, sts = "http://"+g[1], s[1]
		return nil
	})
	return gateway, sts
}

// function is an HTTP endpoint that answers a Lambda event with a result.
func function(t *testing.T, result func(event string) string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = io.WriteString(w, result(string(event)))
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// assume gets a session of a role over the wire.
func assume(t *testing.T, endpoint, region string, base aws.CredentialsProvider, role, session string) (aws.Credentials, error) {
	t.Helper()
	client := sts.New(sts.Options{Region: region, BaseEndpoint: aws.String(endpoint), Credentials: base})
	out, err := client.AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: aws.String(role), RoleSessionName: aws.String(session)})
	if err != nil {
		return aws.Credentials{}, err
	}
	c := out.Credentials
	return aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken}, nil
}

// signed makes a call that is signed for execute-api.
func signed(t *testing.T, c aws.Credentials, region, method, url, body string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(body))
	if err := v4.NewSigner().SignHTTP(context.Background(), c, r, hex.EncodeToString(sum[:]), "execute-api", region, time.Now()); err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(res.Body); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, b.String()
}

// ordersGateway is the API of the two-account story. The client's roles differ
// in what their own account lets them do; the resource policy is the other side.
func ordersGateway(backend, resourcePolicy string) string {
	return fmt.Sprintf(`listen: 127.0.0.1:0
sts:
  listen: 127.0.0.1:0
  roles:
    - arn: arn:aws:iam::%[2]s:role/ecs-app-dev-task
      trust_policy: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "arn:aws:iam::%[2]s:root"}, Action: "sts:AssumeRole"}]}
      policies: [{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "execute-api:Invoke", Resource: "arn:aws:execute-api:us-east-1:%[3]s:no8k0bxy8b/*"}]}]
    - arn: arn:aws:iam::%[2]s:role/batch-task
      trust_policy: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "arn:aws:iam::%[2]s:root"}, Action: "sts:AssumeRole"}]}
      policies: [{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "execute-api:Invoke", Resource: "arn:aws:execute-api:us-east-1:%[3]s:no8k0bxy8b/*"}]}]
    - arn: arn:aws:iam::%[2]s:role/ecs-app-dev-silent
      trust_policy: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "arn:aws:iam::%[2]s:root"}, Action: "sts:AssumeRole"}]}
credentials:
  - access_key_id: ASIAEXAMPLEDEPLOYER0
    secret_access_key: deployer-secret-of-a-test
    session_token: deployer-token-of-a-test
    principal: arn:aws:sts::%[2]s:assumed-role/deployer/ci
    policies: [{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "sts:AssumeRole", Resource: "arn:aws:iam::%[2]s:role/*"}]}]
apis:
  - id: no8k0bxy8b
    type: REST
    account: "%[3]s"
    region: us-east-1
    policy: %[4]s
    routes:
      - {method: GET, path: /, authorization: AWS_IAM, integration: {type: AWS_PROXY, uri: "%[1]s"}}
      - {method: OPTIONS, path: /, integration: {type: MOCK, responses: {"200": {headers: {Access-Control-Allow-Origin: "*", Access-Control-Allow-Methods: "GET,OPTIONS"}}}}}
    stages:
      - {name: prod}
`, backend, clientAccount, ordersAccount, resourcePolicy)
}

// The resource policy decides by account, and then by a prefix of the role's
// name; the caller's own account has its say in both.
func TestStoryTwoAccounts(t *testing.T) {
	t.Parallel()
	backend := function(t, func(string) string {
		return `{"statusCode":200,"headers":{"Content-Type":"application/json"},"body":"{\"id\":123,\"category\":\"book\"}"}`
	})
	statement := func(principal, condition string) string {
		return `{Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "arn:aws:iam::` + principal + `:root"}, Action: "execute-api:Invoke", Resource: "arn:aws:execute-api:us-east-1:` + ordersAccount + `:*"` + condition + `}]}`
	}
	const book = `{"id":123,"category":"book"}`
	arn := "arn:aws:execute-api:us-east-1:********2764:no8k0bxy8b/prod/GET/"
	denied := func(role, why string) string {
		return `{"Message":"User: arn:aws:sts::` + clientAccount + `:assumed-role/` + role + `/task is not authorized to perform: execute-api:Invoke on resource: ` + arn + why + `"}`
	}
	// Where the resource policy lets in the account and the principal's own side is
	// silent, AWS names the resource-based policy all the same.
	const noResource = " because no resource-based policy allows the execute-api:Invoke action"
	for _, c := range []struct {
		name, policy string
		want         map[string]string // body by role
	}{
		{"by account", statement(clientAccount, ""), map[string]string{
			"ecs-app-dev-task":   book,
			"batch-task":         book,
			"ecs-app-dev-silent": denied("ecs-app-dev-silent", noResource),
		}},
		{"by role prefix", statement(clientAccount, `, Condition: {StringLike: {"aws:PrincipalArn": "arn:aws:iam::`+clientAccount+`:role/ecs-app-dev*"}}`), map[string]string{
			"ecs-app-dev-task":   book,
			"batch-task":         denied("batch-task", noResource),
			"ecs-app-dev-silent": denied("ecs-app-dev-silent", noResource),
		}},
		{"by principal", strings.Replace(statement(clientAccount, ""), clientAccount+":root", clientAccount+":role/ecs-app-dev-silent", 1), map[string]string{
			"ecs-app-dev-silent": denied("ecs-app-dev-silent", " because no identity-based policy allows the execute-api:Invoke action"),
			"ecs-app-dev-task":   denied("ecs-app-dev-task", noResource),
		}},
		{"for another account", statement("999988887777", ""), map[string]string{
			"ecs-app-dev-task": denied("ecs-app-dev-task", noResource),
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			gw, sts := gatewayWithSTS(t, ordersGateway(backend, c.policy))
			if code, body := get(t, gw+"/prod/"); code != http.StatusForbidden || body != `{"message":"Missing Authentication Token"}` {
				t.Errorf("unsigned: %d %s", code, body)
			}
			deployer := credentials.NewStaticCredentialsProvider("ASIAEXAMPLEDEPLOYER0", "deployer-secret-of-a-test", "deployer-token-of-a-test")
			for role, want := range c.want {
				session, err := assume(t, sts, "us-east-1", deployer, "arn:aws:iam::"+clientAccount+":role/"+role, "task")
				if err != nil {
					t.Fatal(err)
				}
				status, header, body := signed(t, session, "us-east-1", http.MethodGet, gw+"/prod/", "")
				wantStatus, wantType := http.StatusOK, ""
				if want != book {
					wantStatus, wantType = http.StatusForbidden, "AccessDeniedException"
				}
				if status != wantStatus || body != want || header.Get("X-Amzn-Errortype") != wantType {
					t.Errorf("%s: %d %s %s\nwant %d %s %s", role, status, header.Get("X-Amzn-Errortype"), body, wantStatus, wantType, want)
				}
				session.SecretAccessKey += "x"
				if status, _, body := signed(t, session, "us-east-1", http.MethodGet, gw+"/prod/", ""); status != http.StatusForbidden || !strings.Contains(body, "The request signature we calculated does not match") {
					t.Errorf("%s with a wrong secret: %d %s", role, status, body)
				}
			}
		})
	}
}

// predictGateway is the API of the invoker story: a role in the API's account
// may call it, and people of other accounts assume the role.
func predictGateway(backend string) string {
	return fmt.Sprintf(`listen: 127.0.0.1:0
sts:
  listen: 127.0.0.1:0
  roles:
    - arn: arn:aws:iam::%[3]s:role/predict-api-invoker
      trust_policy:
        Version: "2012-10-17"
        Statement:
          - {Effect: Allow, Principal: {Service: apigateway.amazonaws.com}, Action: "sts:AssumeRole"}
          - {Effect: Allow, Principal: {AWS: "arn:aws:iam::%[2]s:user/ana"}, Action: "sts:AssumeRole"}
      policies:
        - Version: "2012-10-17"
          Statement: [{Effect: Allow, Action: ["execute-api:Invoke", "execute-api:ManageConnections"], Resource: "arn:aws:execute-api:eu-west-1:%[3]s:xxxxxxxxxx/prod/POST/predict"}]
credentials:
  - access_key_id: AKIAEXAMPLEANA000000
    secret_access_key: the-secret-of-ana-in-a-test
    principal: arn:aws:iam::%[2]s:user/ana
    policies: [{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "sts:AssumeRole", Resource: "*"}]}]
  - access_key_id: AKIAEXAMPLEBO0000000
    secret_access_key: the-secret-of-bo-in-a-test
    principal: arn:aws:iam::%[2]s:user/bo
    policies: [{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "sts:AssumeRole", Resource: "*"}]}]
apis:
  - id: xxxxxxxxxx
    type: REST
    account: "%[3]s"
    region: eu-west-1
    routes:
      - {method: POST, path: /predict, authorization: AWS_IAM, integration: {type: AWS_PROXY, uri: "%[1]s"}}
      - {method: GET, path: /models, authorization: AWS_IAM, integration: {type: AWS_PROXY, uri: "%[1]s"}}
    stages:
      - {name: prod}
`, backend, clientAccount, ordersAccount)
}

// predict answers with the body that it was sent, so that a body which did not
// arrive is seen.
func predict(event string) string {
	if !strings.Contains(event, `\"features\"`) {
		return `{"statusCode":400,"body":"no features"}`
	}
	return `{"statusCode":200,"headers":{"Content-Type":"application/json"},"body":"{\"class\":\"setosa\"}"}`
}

func TestStoryInvokerRole(t *testing.T) {
	t.Parallel()
	gw, sts := gatewayWithSTS(t, predictGateway(function(t, predict)))
	const role = "arn:aws:iam::" + ordersAccount + ":role/predict-api-invoker"
	ana := credentials.NewStaticCredentialsProvider("AKIAEXAMPLEANA000000", "the-secret-of-ana-in-a-test", "")
	session, err := assume(t, sts, "eu-west-1", ana, role, "invoke-test")
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"features":[5.1,3.5,1.4,0.2]}`
	if status, _, answer := signed(t, session, "eu-west-1", http.MethodPost, gw+"/prod/predict", body); status != http.StatusOK || answer != `{"class":"setosa"}` {
		t.Errorf("POST /prod/predict: %d %s", status, answer)
	}
	if status, _, answer := signed(t, session, "eu-west-1", http.MethodGet, gw+"/prod/models", ""); status != http.StatusForbidden || !strings.Contains(answer, "no identity-based policy allows") {
		t.Errorf("GET /prod/models, which the role may not call: %d %s", status, answer)
	}
	key, err := ana.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status, _, answer := signed(t, key, "eu-west-1", http.MethodPost, gw+"/prod/predict", body); status != http.StatusForbidden || !strings.Contains(answer, "is not authorized to perform: execute-api:Invoke") {
		t.Errorf("the user without the role: %d %s", status, answer)
	}
	bo := credentials.NewStaticCredentialsProvider("AKIAEXAMPLEBO0000000", "the-secret-of-bo-in-a-test", "")
	if _, err := assume(t, sts, "eu-west-1", bo, role, "invoke-test"); err == nil || !strings.Contains(err.Error(), "is not authorized to perform: sts:AssumeRole on resource: "+role) {
		t.Errorf("a user whom the role does not trust: %v", err)
	}
	p := start(t, []string{
		"AWS_ACCESS_KEY_ID=AKIAEXAMPLEANA000000", "AWS_SECRET_ACCESS_KEY=the-secret-of-ana-in-a-test",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_ENDPOINT_URL_STS=" + sts,
	}, "invoke", gw+"/prod/predict", "-X", "POST", "-d", body, "--role-arn", role, "--session-name", "invoke-test", "--region", "eu-west-1", "--allow-long-lived-keys")
	if code := p.exit(t, 30*time.Second); code != 0 || strings.TrimSpace(p.out.String()) != `{"class":"setosa"}` {
		t.Errorf("gatehouse invoke: exit %d, %s\n%s", code, p.out.String(), tail(p.err.String()))
	}
}
