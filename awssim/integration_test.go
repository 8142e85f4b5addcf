//go:build integration

package awssim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// findTool finds a program in PATH or in the virtual environment of the cache
// folder, and skips the test if it is nowhere.
func findTool(t *testing.T, name string) string {
	t.Helper()
	if cache := os.Getenv("GATEHOUSE_CACHE"); cache != "" {
		if p := filepath.Join(cache, "venv", "bin", name); exec.Command(p, "--version").Run() == nil {
			return p
		}
	}
	p, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("GATEHOUSE_REQUIRE_COMPONENTS") != "" {
			t.Fatalf("%s is missing", name)
		}
		t.Skipf("%s is missing: it is neither in PATH nor in $GATEHOUSE_CACHE/venv/bin", name)
	}
	return p
}

// foreignWorld is the estate that the foreign clients are shown: the hub, the
// management account of an organization, whose administrator may assume the
// role Collector in the account orders.
func foreignWorld(t *testing.T) (w *world, env []string) {
	t.Helper()
	w = newWorld(t, awssim.Options{Clock: time.Now})
	w.sim.Organization(hub).Add(orders, other)
	iamEstate(w.sim.Account(hub))
	o := w.sim.Account(orders).SetName("orders")
	o.AddRole(awssim.Role{Name: "Collector", TrustedAccounts: []string{hub}, ExternalID: "x-1", Allow: []string{"logs:*", "apigateway:GET"}})
	r := o.Region(region)
	r.AddRESTAPI(petStore())
	r.AddHTTPAPI(awssim.API{
		ID: "http01", Name: "catalog", Routes: []awssim.Route{{ID: "route01", Key: "GET /items/{id}"}, {ID: "route02", Key: "$default"}},
		Stages: []awssim.Stage{{Name: "$default"}},
	})
	r.Logs().CreateGroup("API-Gateway-Execution-Logs_abc123/prod")
	o.AddRole(awssim.Role{Name: "Closed", TrustedAccounts: []string{other}})
	keys := newIssuer(t)
	provider := o.AddOIDCProvider(awssim.OIDCProvider{URL: issuer, ClientIDs: []string{"sts.amazonaws.com"}, JWKS: keys.jwks})
	o.AddRole(awssim.Role{Name: "Pod", Allow: []string{"logs:*"}, TrustPolicy: `{"Version": "2012-10-17", "Statement": {
		"Effect": "Allow", "Principal": {"Federated": "` + provider + `"}, "Action": "sts:AssumeRoleWithWebIdentity",
		"Condition": {"StringEquals": {"oidc.example.com/id/CLUSTER:sub": "system:serviceaccount:gatehouse:collector"}}
	}}`})
	now := time.Now()
	tokenFile := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(tokenFile, []byte(token(t, jose.ES256, "e", keys.ecdsa, map[string]any{
		"iss": issuer, "aud": []string{"sts.amazonaws.com"}, "sub": "system:serviceaccount:gatehouse:collector", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})), 0o600); err != nil {
		t.Fatal(err)
	}
	expired := o.Session("Collector", "expired", -time.Minute)
	key := w.sim.Account(hub).AddAccessKey("admin")
	env = append(os.Environ(),
		"TOKEN_FILE="+tokenFile,
		"EXPIRED_KEY="+expired.AccessKeyID, "EXPIRED_SECRET="+expired.SecretAccessKey, "EXPIRED_TOKEN="+expired.SessionToken,
		"AWS_ENDPOINT_URL="+w.url, "AWS_DEFAULT_REGION="+region, "AWS_REGION="+region, "AWS_PAGER=", "AWS_MAX_ATTEMPTS=1",
		"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null",
		"AWS_ACCESS_KEY_ID="+key.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+key.SecretAccessKey,
	)
	return w, env
}

// iamEstate gives an account a role and a user with policies of every kind.
func iamEstate(a *awssim.Account) {
	a.SetAlias("gatehouse-hub")
	a.AddPolicy("shared", denyPolicy)
	shared := a.AddPolicy("shared", invokePolicy)
	a.AddRole(awssim.Role{Name: "app", Path: "/team/", TrustedAccounts: []string{hub}, Inline: map[string]string{"books": invokePolicy}, ManagedPolicies: []string{shared}, PermissionsBoundary: shared})
	a.AddGroup(awssim.Group{Name: "devs", ManagedPolicies: []string{shared}, Inline: map[string]string{"group": invokePolicy}})
	a.AddUser(awssim.User{Name: "ann", Groups: []string{"devs"}, Policies: []string{denyPolicy}})
}

func TestIntegrationAWSCLI(t *testing.T) {
	t.Parallel()
	tool := findTool(t, "aws")
	_, env := foreignWorld(t)
	aws := func(args ...string) (stdout, stderr string, err error) {
		cmd := exec.CommandContext(t.Context(), tool, append(args, "--output", "json")...)
		cmd.Env = env
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		err = cmd.Run()
		return out.String(), errs.String(), err
	}
	// check runs a command and wants each of the texts in its answer.
	check := func(command string, want ...string) string {
		t.Helper()
		out, errs, err := aws(strings.Fields(command)...)
		if err != nil {
			t.Fatalf("aws %s: %v\n%s", command, err, errs)
		}
		for _, text := range want {
			if !strings.Contains(out, text) {
				t.Errorf("aws %s: no %s in\n%s", command, text, out)
			}
		}
		return out
	}
	check("sts get-caller-identity", `"arn:aws:iam::111111111111:user/admin"`)
	check("organizations list-accounts", `"Name": "orders"`, other)
	check("iam get-role --role-name app", `"Arn": "arn:aws:iam::111111111111:role/team/app"`, `"PermissionsBoundaryArn": "arn:aws:iam::111111111111:policy/shared"`, `"Action": [`)
	check("iam list-roles --page-size 1", `"RoleName": "app"`)
	check("iam list-role-policies --role-name app", `"books"`)
	check("iam get-role-policy --role-name app --policy-name books", `"Action": "execute-api:Invoke"`)
	check("iam list-attached-role-policies --role-name app", `"PolicyName": "shared"`)
	check("iam get-policy --policy-arn arn:aws:iam::111111111111:policy/shared", `"DefaultVersionId": "v2"`)
	check("iam get-policy-version --policy-arn arn:aws:iam::111111111111:policy/shared --version-id v2", `"Effect": "Allow"`, `"IsDefaultVersion": true`)
	check("iam get-user --user-name ann", `"arn:aws:iam::111111111111:user/ann"`)
	check("iam list-user-policies --user-name ann", `"policy-0"`)
	check("iam get-user-policy --user-name ann --policy-name policy-0", `"Effect": "Deny"`)
	check("iam list-groups-for-user --user-name ann", `"GroupName": "devs"`)
	check("iam list-group-policies --group-name devs", `"group"`)
	check("iam get-group-policy --group-name devs --policy-name group", `"execute-api:Invoke"`)
	check("iam list-attached-group-policies --group-name devs", `"shared"`)
	check("iam get-account-authorization-details --page-size 2", `"RoleName": "app"`, `"UserName": "ann"`, `"GroupName": "devs"`, `"PolicyName": "shared"`)
	check("iam list-account-aliases", `"gatehouse-hub"`)
	check("organizations list-parents --child-id "+orders, `"Type": "ROOT"`)
	check("organizations list-policies-for-target --filter SERVICE_CONTROL_POLICY --target-id "+orders, `"p-FullAWSAccess"`)
	check("organizations describe-policy --policy-id p-FullAWSAccess", `"AwsManaged": true`)
	check("account list-regions --region-opt-status-contains ENABLED_BY_DEFAULT", `"eu-west-1"`)

	const role = "sts assume-role --role-arn arn:aws:iam::222222222222:role/Collector --role-session-name cli"
	if _, errs, err := aws(strings.Fields(role)...); err == nil || !strings.Contains(errs, "(AccessDenied)") || !strings.Contains(errs, "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::222222222222:role/Collector") {
		t.Errorf("without an external id: %v %s", err, errs)
	}
	// refused runs a command with credentials of its own and wants a text in the error.
	refused := func(command, want string, more ...string) {
		t.Helper()
		saved := env
		defer func() { env = saved }()
		env = append(slices.Clone(env), more...)
		if out, errs, err := aws(strings.Fields(command)...); err == nil || !strings.Contains(errs, want) {
			t.Errorf("aws %s: %s, want %s (%v)\n%s", command, errs, want, err, out)
		}
	}
	refused(role+" --external-id guess", "(AccessDenied) when calling the AssumeRole operation: User: arn:aws:iam::111111111111:user/admin is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::222222222222:role/Collector")
	refused(strings.Replace(role, "Collector", "Closed", 1), "(AccessDenied) when calling the AssumeRole operation: User: arn:aws:iam::111111111111:user/admin is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::222222222222:role/Closed")
	refused("sts get-caller-identity", "(SignatureDoesNotMatch) when calling the GetCallerIdentity operation: "+mismatch, "AWS_SECRET_ACCESS_KEY=wrong")
	refused("sts get-caller-identity", "(ExpiredToken) when calling the GetCallerIdentity operation: The security token included in the request is expired",
		"AWS_ACCESS_KEY_ID="+os.Expand("$EXPIRED_KEY", lookup(env)), "AWS_SECRET_ACCESS_KEY="+os.Expand("$EXPIRED_SECRET", lookup(env)), "AWS_SESSION_TOKEN="+os.Expand("$EXPIRED_TOKEN", lookup(env)))
	refused("logs describe-log-groups", "(UnrecognizedClientException) when calling the DescribeLogGroups operation: The security token included in the request is invalid.", "AWS_ACCESS_KEY_ID=AKIAXXXXXXXXXXXXXXXX")

	// As on EKS: a role and a token in a file are all that there is. The CLI keeps
	// such sessions in the user's home by their name, so each run has its own.
	pod := fmt.Sprintf("pod-%d", time.Now().UnixNano())
	saved := env
	env = append(slices.Clone(env), "AWS_ACCESS_KEY_ID=", "AWS_SECRET_ACCESS_KEY=", "AWS_ROLE_ARN=arn:aws:iam::222222222222:role/Pod", "AWS_ROLE_SESSION_NAME="+pod, "AWS_WEB_IDENTITY_TOKEN_FILE="+lookup(env)("TOKEN_FILE"))
	env = slices.DeleteFunc(env, func(v string) bool {
		return strings.HasPrefix(v, "AWS_ACCESS_KEY_ID=") || strings.HasPrefix(v, "AWS_SECRET_ACCESS_KEY=")
	})
	check("sts get-caller-identity", `"arn:aws:sts::222222222222:assumed-role/Pod/`+pod+`"`)
	env = saved

	var answer struct {
		Credentials struct{ AccessKeyID, SecretAccessKey, SessionToken string }
	}
	out := check(role+" --external-id x-1", `"arn:aws:sts::222222222222:assumed-role/Collector/cli"`)
	if err := json.Unmarshal([]byte(out), &answer); err != nil {
		t.Fatal(err)
	}
	env = append(env, "AWS_ACCESS_KEY_ID="+answer.Credentials.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+answer.Credentials.SecretAccessKey, "AWS_SESSION_TOKEN="+answer.Credentials.SessionToken)

	const name = "API-Gateway-Execution-Logs_abc123/prod"
	check("logs describe-log-groups --log-group-name-prefix API-Gateway-Execution-Logs", `"logGroupName": "`+name+`"`, `"logGroupArn": "arn:aws:logs:eu-west-1:222222222222:log-group:`+name+`"`)
	check("logs create-log-stream --log-group-name " + name + " --log-stream-name s")
	now := time.Now().UnixMilli()
	check(fmt.Sprintf("logs put-log-events --log-group-name %s --log-stream-name s --log-events timestamp=%d,message=first timestamp=%d,message=second", name, now-1, now))
	check(fmt.Sprintf("logs filter-log-events --log-group-name %s --start-time %d --page-size 1", name, now-1), `"message": "first"`, `"message": "second"`, `"eventId": "`)
	check("logs get-log-events --start-from-head --log-stream-name s --log-group-name "+name, `"message": "first"`, `"nextForwardToken": "f/`)
	check("logs describe-log-streams --log-group-name "+name, `"logStreamName": "s"`)
	check("apigateway get-rest-apis", `"abc123"`)
	check("apigateway get-resources --rest-api-id abc123 --embed methods --page-size 2", `"/pets/{id}"`, `"AWS_IAM"`)
	check("apigateway get-stages --rest-api-id abc123", `"loggingLevel": "INFO"`, `"stageName": "prod"`)
	file := filepath.Join(t.TempDir(), "export.json")
	check("apigateway get-export --rest-api-id abc123 --stage-name prod --export-type oas30 --parameters extensions=apigateway "+file, `"application/json"`)
	if body, err := os.ReadFile(file); err != nil || !bytes.Contains(body, []byte(`"3.0.1"`)) {
		t.Errorf("the export is %s (%v)", body, err)
	}
	check("apigatewayv2 get-apis", `"catalog"`, `"HTTP"`)
	check("apigatewayv2 get-routes --api-id http01", `"GET /items/{id}"`)
	if _, errs, err := aws("organizations", "list-accounts"); err == nil || !strings.Contains(errs, "(AccessDeniedException)") {
		t.Errorf("a member lists accounts: %v %s", err, errs)
	}
	if _, errs, err := aws("logs", "describe-export-tasks"); err == nil || !strings.Contains(errs, "(UnknownOperationException)") {
		t.Errorf("an unknown operation: %v %s", err, errs)
	}
}

// lookup finds a variable in an environment.
func lookup(env []string) func(string) string {
	return func(name string) string {
		for _, v := range env {
			if value, ok := strings.CutPrefix(v, name+"="); ok {
				return value
			}
		}
		return ""
	}
}

// boto3Script does with boto3 what TestIntegrationAWSCLI does with the command line.
const boto3Script = `
import boto3, os, time
from botocore.exceptions import ClientError

def code(call, **kw):
    try:
        call(**kw)
    except ClientError as e:
        return e.response["Error"]["Code"]

assert boto3.client("sts").get_caller_identity()["Account"] == "111111111111"
accounts = [a for p in boto3.client("organizations").get_paginator("list_accounts").paginate() for a in p["Accounts"]]
assert [a["Id"] for a in accounts] == ["111111111111", "222222222222", "333333333333"], accounts
assert accounts[1]["JoinedTimestamp"].year >= 2024
iam = boto3.client("iam")
role = iam.get_role(RoleName="app")["Role"]
assert role["AssumeRolePolicyDocument"]["Statement"][0]["Effect"] == "Allow" and role["PermissionsBoundary"]["PermissionsBoundaryArn"].endswith(":policy/shared"), role
assert iam.get_role_policy(RoleName="app", PolicyName="books")["PolicyDocument"]["Statement"][0]["Action"] == "execute-api:Invoke"
details = {k: [] for k in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")}
for p in iam.get_paginator("get_account_authorization_details").paginate(PaginationConfig={"PageSize": 2}):
    for k in details:
        details[k] += p[k]
assert [r["RoleName"] for r in details["RoleDetailList"]] == ["app"] and [g["GroupName"] for g in details["GroupDetailList"]] == ["devs"], details
assert sorted(u["UserName"] for u in details["UserDetailList"]) == ["admin", "ann"] and details["Policies"][0]["PolicyVersionList"][1]["IsDefaultVersion"], details
assert details["RoleDetailList"][0]["RolePolicyList"][0]["PolicyDocument"]["Statement"][0]["Effect"] == "Allow"
assert code(iam.get_role, RoleName="none") == "NoSuchEntity"
org = boto3.client("organizations")
assert org.list_parents(ChildId="222222222222")["Parents"][0]["Type"] == "ROOT"
policy = org.list_policies_for_target(TargetId="222222222222", Filter="SERVICE_CONTROL_POLICY")["Policies"][0]
assert '"Allow"' in org.describe_policy(PolicyId=policy["Id"])["Policy"]["Content"]
regions = [r["RegionName"] for p in boto3.client("account").get_paginator("list_regions").paginate(PaginationConfig={"PageSize": 7}) for r in p["Regions"]]
assert "eu-west-1" in regions and len(regions) > 30, regions
pod = dict(RoleArn="arn:aws:iam::222222222222:role/Pod", RoleSessionName="pod-1")
web = open(os.environ["TOKEN_FILE"]).read()
c = boto3.client("sts").assume_role_with_web_identity(WebIdentityToken=web, **pod)
assert c["SubjectFromWebIdentityToken"] == "system:serviceaccount:gatehouse:collector" and c["Audience"] == "sts.amazonaws.com", c
assert boto3.Session(c["Credentials"]["AccessKeyId"], c["Credentials"]["SecretAccessKey"], c["Credentials"]["SessionToken"]).client("logs").describe_log_groups()["logGroups"]
assert code(boto3.client("sts").assume_role_with_web_identity, WebIdentityToken=web[:-6] + "AAAAAA", **pod) == "InvalidIdentityToken"
role = dict(RoleArn="arn:aws:iam::222222222222:role/Collector", RoleSessionName="boto3")
assert code(boto3.client("sts").assume_role, **role) == "AccessDenied"
assert code(boto3.client("sts").assume_role, ExternalId="guess", **role) == "AccessDenied"
assert code(boto3.client("sts").assume_role, RoleArn="arn:aws:iam::222222222222:role/Closed", RoleSessionName="boto3") == "AccessDenied"
wrong = boto3.Session(os.environ["AWS_ACCESS_KEY_ID"], "wrong")
assert code(wrong.client("sts").get_caller_identity) == "SignatureDoesNotMatch"
assert code(wrong.client("logs").describe_log_groups) == "InvalidSignatureException"
dead = boto3.Session(os.environ["EXPIRED_KEY"], os.environ["EXPIRED_SECRET"], os.environ["EXPIRED_TOKEN"])
assert code(dead.client("sts").get_caller_identity) == "ExpiredToken"
assert code(dead.client("logs").describe_log_groups) == "ExpiredTokenException"
c = boto3.client("sts").assume_role(ExternalId="x-1", **role)["Credentials"]
assert c["Expiration"].timestamp() > time.time() + 3000
s = boto3.Session(c["AccessKeyId"], c["SecretAccessKey"], c["SessionToken"])

logs, name = s.client("logs"), "API-Gateway-Execution-Logs_abc123/prod"
assert logs.describe_log_groups(logGroupNamePrefix="API-Gateway")["logGroups"][0]["logGroupName"] == name
assert code(logs.describe_log_groups, limit=50, nextToken="junk") == "InvalidParameterException"
try:
    logs.filter_log_events(logGroupName="none")
except logs.exceptions.ResourceNotFoundException as e:
    assert e.response["Error"]["Message"] == "The specified log group does not exist."
logs.create_log_stream(logGroupName=name, logStreamName="s")
now = int(time.time() * 1000)
put = logs.put_log_events(logGroupName=name, logStreamName="s", logEvents=[{"timestamp": now - 60000 + i, "message": "event %d \u00e9 \u2603 \"q\"" % i} for i in range(250)])
assert "rejectedLogEventsInfo" not in put
events = [e for p in logs.get_paginator("filter_log_events").paginate(logGroupName=name, PaginationConfig={"PageSize": 99}) for e in p["events"]]
assert [e["message"] for e in events] == ["event %d \u00e9 \u2603 \"q\"" % i for i in range(250)]
assert len({e["eventId"] for e in events}) == 250 and all(len(e["eventId"]) == 56 for e in events)
assert len(logs.get_log_events(logGroupName=name, logStreamName="s", limit=10)["events"]) == 10

gw = s.client("apigateway")
api = gw.get_rest_apis()["items"][0]
assert api["id"] == "abc123" and api["createdDate"].year == 2025, api
resources = [r for p in gw.get_paginator("get_resources").paginate(restApiId="abc123", embed=["methods"], PaginationConfig={"PageSize": 2}) for r in p["items"]]
assert [r["path"] for r in resources] == ["/", "/files", "/files/{path+}", "/pets", "/pets/{id}"], resources
assert resources[4]["resourceMethods"]["GET"]["authorizationType"] == "AWS_IAM"
stage = gw.get_stages(restApiId="abc123")["item"][0]
assert stage["methodSettings"]["*/*"]["dataTraceEnabled"] is True, stage
export = gw.get_export(restApiId="abc123", stageName="prod", exportType="oas30", parameters={"extensions": "apigateway"}, accepts="application/json")
assert b'"openapi": "3.0.1"' in export["body"].read() and export["contentType"] == "application/json"
assert code(gw.get_rest_api, restApiId="none") == "NotFoundException"

v2 = s.client("apigatewayv2")
assert v2.get_apis()["Items"][0]["ProtocolType"] == "HTTP"
assert [r["RouteKey"] for p in v2.get_paginator("get_routes").paginate(ApiId="http01", PaginationConfig={"PageSize": "1"}) for r in p["Items"]] == ["GET /items/{id}", "$default"]
assert v2.get_apis()["Items"][0]["CreatedDate"].year >= 2024
assert code(v2.get_api, ApiId="none") == "NotFoundException"
assert code(s.client("organizations").list_accounts) == "AccessDeniedException"
print("ok")
`

func TestIntegrationBoto3(t *testing.T) {
	t.Parallel()
	tool := findTool(t, "python3")
	if err := exec.CommandContext(t.Context(), tool, "-c", "import boto3").Run(); err != nil {
		t.Skipf("boto3 is missing from %s: %v", tool, err)
	}
	_, env := foreignWorld(t)
	cmd := exec.CommandContext(t.Context(), tool, "-c", boto3Script)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil || !bytes.HasSuffix(bytes.TrimSpace(out), []byte("ok")) {
		t.Errorf("boto3: %v\n%s", err, out)
	}
}
