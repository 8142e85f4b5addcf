package deploy

import (
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/iam"
)

// ask is a call that a policy of a stack is asked about.
type ask struct {
	action, resource string
	context          iam.Context
}

// proof are the calls that a policy must allow, and near misses that it must not.
type proof struct {
	example, policy string
	caller          string // ARN, or anonymous; empty: a role of the account
	allowed, denied []ask
}

func calls(resource string, actions ...string) (all []ask) {
	for _, a := range actions {
		all = append(all, ask{action: a, resource: resource})
	}
	return all
}

func join(lists ...[]ask) (all []ask) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

const (
	logsARN  = "arn:aws:logs:eu-west-1:222233334444:"
	spokeARN = "arn:aws:iam::222233334444:role/GatehouseCollector"
	orders   = "arn:aws:execute-api:eu-west-1:222233334444:a1b2c3d4e5"

	lent       = "arn:aws:iam::222233334444:role/gatehouse-api-invoker"
	lentBounds = "arn:aws:iam::222233334444:policy/gatehouse-api-invoker-bounds"
)

func groupStream(name string) string { return logsARN + "log-group:" + name + ":log-stream:" }

func gateway(path string) string { return "arn:aws:apigateway:eu-west-1::" + path }

// given is a condition key with its value.
func given(pairs ...string) iam.Context {
	c := iam.Context{}
	for i := 0; i < len(pairs); i += 2 {
		c[pairs[i]] = []string{pairs[i+1]}
	}
	return c
}

func with(c iam.Context, asks []ask) []ask {
	asks = slices.Clone(asks)
	for i := range asks {
		asks[i].context = c
	}
	return asks
}

func TestPoliciesAllowWhatIsCalledAndNothingNear(t *testing.T) {
	t.Parallel()
	reading := join(
		calls(groupStream(""), "logs:DescribeLogGroups"),
		calls(logsARN+"delivery:*", "logs:DescribeDeliveries", "logs:DescribeDeliverySources", "logs:DescribeDeliveryDestinations"),
		calls(groupStream("API-Gateway-Execution-Logs_a1b2c3d4e5/prod"), "logs:FilterLogEvents"),
		calls(groupStream("/aws/apigateway/a1b2c3d4e5/prod"), "logs:FilterLogEvents"),
		calls(groupStream("/aws/vendedlogs/apigateway/a1b2c3d4e5/prod"), "logs:FilterLogEvents"),
		calls(groupStream("/aws/vendedlogs/apigateway-execution/a1b2c3d4e5/prod"), "logs:FilterLogEvents"),
		calls("*", "cloudwatch:GetMetricData"),
		calls(gateway("/restapis"), "apigateway:GET"), calls(gateway("/restapis/a1b2c3d4e5/stages"), "apigateway:GET"),
		calls(gateway("/apis"), "apigateway:GET"), calls(gateway("/apis/a1b2c3d4e5/routes"), "apigateway:GET"), calls(gateway("/account"), "apigateway:GET"),
	)
	notReading := join(
		calls(groupStream("/aws/lambda/payroll"), "logs:FilterLogEvents", "logs:GetLogEvents"),
		calls(groupStream("/aws/vendedlogs/search"), "logs:FilterLogEvents"),
		calls(groupStream("API-Gateway-Execution-Logs_a1b2c3d4e5/prod"), "logs:DeleteLogGroup", "logs:PutRetentionPolicy", "logs:PutLogEvents", "logs:CreateLogStream", "logs:Unmask"),
		calls(strings.Replace(groupStream("API-Gateway-Execution-Logs_a1b2c3d4e5/prod"), spokeID, "999988887777", 1), "logs:FilterLogEvents"),
		calls(gateway("/restapis/a1b2c3d4e5/stages/prod"), "apigateway:PATCH", "apigateway:DELETE", "apigateway:POST", "apigateway:PUT"),
		calls(gateway("/apikeys"), "apigateway:GET"), calls(gateway("/apikeys/x"), "apigateway:GET"),
		calls(orders+"/prod/GET/orders/1", "execute-api:Invoke"),
		calls("*", "iam:ListRoles", "cloudwatch:PutMetricData", "s3:ListAllMyBuckets"),
		calls(spokeARN, "sts:AssumeRole", "iam:PassRole"),
	)
	switching := join(
		calls(groupStream(""), "logs:DescribeLogGroups"),
		calls(gateway("/restapis/a1b2c3d4e5/stages/prod"), "apigateway:GET", "apigateway:PATCH", "apigateway:AllowVendedLogDeliveryForResource"),
		calls(gateway("/apis/a1b2c3d4e5/stages/prod"), "apigateway:GET", "apigateway:PATCH"),
		calls(gateway("/apis/a1b2c3d4e5/stages/prod/accesslogsettings"), "apigateway:DELETE"),
		calls(gateway("/account"), "apigateway:GET", "apigateway:PATCH"),
		calls("arn:aws:iam::222233334444:role/GatehouseAPIGatewayLogs", "iam:CreateRole", "iam:TagRole", "iam:GetRole", "iam:ListAttachedRolePolicies", "iam:DeleteRole", "iam:PassRole"),
		with(given("iam:PolicyARN", "arn:aws:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"),
			calls("arn:aws:iam::222233334444:role/GatehouseAPIGatewayLogs", "iam:AttachRolePolicy", "iam:DetachRolePolicy")),
		calls(groupStream("API-Gateway-Execution-Logs_a1b2c3d4e5/prod"), "logs:CreateLogGroup", "logs:PutRetentionPolicy", "logs:DeleteLogGroup", "logs:TagResource", "logs:ListTagsForResource", "logs:AssociateKmsKey"),
		calls(groupStream("my-access-logs"), "logs:CreateLogGroup", "logs:DeleteLogGroup"),
		calls(groupStream("/aws/vendedlogs/apigateway/a1b2c3d4e5/prod"), "logs:CreateLogGroup", "logs:DeleteLogGroup"),
		calls(groupStream("/aws/vendedlogs/apigateway-execution/a1b2c3d4e5/prod"), "logs:CreateLogGroup", "logs:DeleteLogGroup"),
		calls(logsARN+"log-group:my-access-logs", "logs:TagResource", "logs:ListTagsForResource"),
		calls(logsARN+"delivery-source:gatehouse-1", "logs:PutDeliverySource", "logs:GetDeliverySource", "logs:DeleteDeliverySource"),
		calls(logsARN+"delivery-destination:gatehouse-1", "logs:PutDeliveryDestination", "logs:GetDeliveryDestination", "logs:DeleteDeliveryDestination"),
		calls(logsARN+"delivery:x", "logs:CreateDelivery", "logs:DeleteDelivery"),
	)
	notSwitching := join(
		calls(groupStream("API-Gateway-Execution-Logs_a1b2c3d4e5/prod"), "logs:FilterLogEvents", "logs:GetLogEvents", "logs:DeleteLogStream", "logs:PutSubscriptionFilter"),
		calls(groupStream("/aws/lambda/payroll"), "logs:DeleteLogGroup", "logs:PutRetentionPolicy", "logs:CreateLogGroup"),
		calls(gateway("/restapis"), "apigateway:POST"), calls(gateway("/restapis/a1b2c3d4e5"), "apigateway:DELETE", "apigateway:PATCH", "apigateway:PUT"),
		calls(gateway("/restapis/a1b2c3d4e5/stages/prod"), "apigateway:DELETE", "apigateway:POST"), calls(gateway("/apis/a1b2c3d4e5/stages/prod"), "apigateway:DELETE"),
		calls(gateway("/restapis/a1b2c3d4e5/deployments"), "apigateway:POST"),
		calls(logsARN+"delivery-source:theirs", "logs:DeleteDeliverySource", "logs:PutDeliverySource"),
		calls("arn:aws:iam::222233334444:role/Admin", "iam:PassRole", "iam:DeleteRole", "iam:AttachRolePolicy", "iam:CreateRole"),
		calls("arn:aws:iam::222233334444:role/GatehouseAPIGatewayLogs", "iam:PutRolePolicy", "iam:UpdateAssumeRolePolicy", "iam:AttachRolePolicy"),
		with(given("iam:PolicyARN", "arn:aws:iam::aws:policy/AdministratorAccess"), calls("arn:aws:iam::222233334444:role/GatehouseAPIGatewayLogs", "iam:AttachRolePolicy")),
		calls(orders+"/prod/GET/orders/1", "execute-api:Invoke"),
	)
	hubTrusted := with(given("sts:ExternalId", "x-e2e"), calls(spokeARN, "sts:AssumeRole"))
	hubUntrusted := join(calls(spokeARN, "sts:AssumeRole"), with(given("sts:ExternalId", "other"), calls(spokeARN, "sts:AssumeRole")), with(given("sts:ExternalId", "x-e2e"), calls(spokeARN, "sts:TagSession")))
	oidc := "oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF"
	token := func(sub, aud string) []ask {
		return with(given(oidc+":sub", sub, oidc+":aud", aud), calls(hubARN, "sts:AssumeRoleWithWebIdentity"))
	}
	people := "arn:aws:iam::222233334444:role/gatehouse-k8s-access"
	sso := func(session, sub, role string) []ask {
		return with(given("sts:RoleSessionName", session, "SAML:sub", sub, "aws:PrincipalArn", "arn:aws:iam::222233334444:role/aws-reserved/sso.amazonaws.com/eu-west-1/"+role), calls(people, "sts:AssumeRole"))
	}
	const developers = "AWSReservedSSO_Developers_0123456789abcdef"
	for _, p := range []proof{
		{example: "spoke", policy: "collector_read.policy", allowed: reading, denied: notReading},
		{
			example: "spoke of a region", policy: "collector_read.policy",
			allowed: join(reading, calls(groupStream("my-access-logs"), "logs:FilterLogEvents"), calls("*", "account:ListRegions", "iam:GetAccountAuthorizationDetails"),
				calls(gateway("/domainnames/x/basepathmappings"), "apigateway:GET"), calls(gateway("/usageplans/abc123/keys"), "apigateway:GET"), calls("arn:aws:eks:eu-west-1:222233334444:cluster/orders", "eks:DescribeCluster"),
				calls("arn:aws:wafv2:eu-west-1:222233334444:regional/webacl/shop/11111111-2222-4333-8444-555555555555", "wafv2:GetWebACL", "wafv2:GetLoggingConfiguration"),
				calls("arn:aws:lambda:eu-west-1:222233334444:function:orders", "lambda:GetPolicy", "lambda:ListFunctionUrlConfigs", "lambda:GetFunctionConfiguration"),
				calls("arn:aws:lambda:eu-west-1:222233334444:function:orders:live", "lambda:GetPolicy", "lambda:GetFunctionConfiguration")),
			denied: join(notReading, calls(groupStream("my-access-logs-of-others"), "logs:FilterLogEvents"),
				calls(strings.Replace(groupStream("API-Gateway-Execution-Logs_a1b2c3d4e5/prod"), place, "us-east-1", 1), "logs:FilterLogEvents"),
				calls("arn:aws:apigateway:us-east-1::/restapis", "apigateway:GET"),
				calls("arn:aws:eks:eu-west-1:222233334444:cluster/orders", "eks:CreateAccessEntry", "eks:DeleteCluster"),
				calls("arn:aws:wafv2:eu-west-1:222233334444:regional/webacl/shop/11111111-2222-4333-8444-555555555555", "wafv2:UpdateWebACL", "wafv2:PutLoggingConfiguration"),
				calls("arn:aws:lambda:eu-west-1:222233334444:function:orders", "lambda:GetFunction", "lambda:InvokeFunction", "lambda:InvokeFunctionUrl", "lambda:UpdateFunctionCode", "lambda:AddPermission"),
				calls("arn:aws:lambda:us-east-1:222233334444:function:orders", "lambda:GetPolicy")),
		},
		{example: "spoke", policy: "collector.assume_role_policy", caller: hubARN, allowed: hubTrusted, denied: hubUntrusted},
		{example: "spoke", policy: "collector.assume_role_policy", caller: "arn:aws:iam::111122223333:role/Other", denied: hubTrusted},
		{example: "organization", policy: "collector.assume_role_policy", caller: hubARN, allowed: hubTrusted, denied: hubUntrusted},
		{example: "hub", policy: "hub_assume.policy", caller: hubARN, allowed: calls(spokeARN, "sts:AssumeRole"), denied: join(
			calls("arn:aws:iam::222233334444:role/Admin", "sts:AssumeRole"), calls("arn:aws:iam::999988887777:role/GatehouseCollector", "sts:AssumeRole"), calls(spokeARN, "sts:TagSession"))},
		{example: "hub of an organization", policy: "hub_organization.policy", caller: hubARN, allowed: calls("*", "organizations:ListAccounts"), denied: calls("*", "organizations:CloseAccount", "organizations:ListRoots")},
		{
			example: "hub", policy: "hub.assume_role_policy", caller: "arn:aws:iam::111122223333:oidc-provider/" + oidc,
			allowed: token("system:serviceaccount:gatehouse:gatehouse", "sts.amazonaws.com"),
			denied: join(token("system:serviceaccount:gatehouse:other", "sts.amazonaws.com"), token("system:serviceaccount:default:gatehouse", "sts.amazonaws.com"),
				token("system:serviceaccount:gatehouse:gatehouse", "kubernetes.default.svc"), calls(hubARN, "sts:AssumeRoleWithWebIdentity")),
		},
		{example: "switcher", policy: "switcher_switch.policy", allowed: switching, denied: notSwitching},
		{example: "switcher of all regions", policy: "switcher_switch.policy", denied: join(notSwitching, calls(groupStream("API-Gateway-Execution-Logs_a1b2c3d4e5/prod"), "logs:AssociateKmsKey"))},
		{
			example: "client", policy: "invoke.policy", caller: "arn:aws:iam::444455556666:role/storefront",
			allowed: calls(orders+"/prod/GET/orders/1", "execute-api:Invoke"),
			denied: join(calls(orders+"/dev/GET/orders/1", "execute-api:Invoke"), calls(orders+"/prod/POST/orders/1", "execute-api:Invoke"), calls(orders+"/prod/GET/invoices/1", "execute-api:Invoke"),
				calls(strings.Replace(orders, "a1b2c3d4e5", "z9y8x7w6v5", 1)+"/prod/GET/orders/1", "execute-api:Invoke"), calls(strings.Replace(orders, spokeID, "999988887777", 1)+"/prod/GET/orders/1", "execute-api:Invoke"),
				calls(orders+"/prod/GET/orders/1", "execute-api:InvalidateCache", "execute-api:ManageConnections")),
		},
		{example: "lending", policy: "bounds.policy", allowed: calls(orders+"/prod/GET/orders/1", "execute-api:Invoke"), denied: join(
			calls(orders+"/prod/GET/orders/1", "execute-api:ManageConnections"), calls(orders+"/dev/GET/orders/1", "execute-api:Invoke"), calls("*", "iam:CreateUser", "sts:AssumeRole"))},
		{example: "lending", policy: "invoker.assume_role_policy", caller: hubARN, allowed: with(given("sts:ExternalId", "x-e2e"), calls(lent, "sts:AssumeRole")), denied: join(calls(lent, "sts:AssumeRole"), with(given("sts:ExternalId", "other"), calls(lent, "sts:AssumeRole")))},
		{example: "lending", policy: "invoker.assume_role_policy", caller: "arn:aws:iam::222233334444:role/Admin", denied: with(given("sts:ExternalId", "x-e2e"), calls(lent, "sts:AssumeRole"))},
		{
			example: "lending", policy: "control_switch.policy",
			allowed: join(calls(lent, "iam:GetRole", "iam:ListRolePolicies", "iam:GetRolePolicy"), with(given("iam:PermissionsBoundary", lentBounds), calls(lent, "iam:PutRolePolicy", "iam:DeleteRolePolicy"))),
			denied: join(calls(lent, "iam:PutRolePolicy", "iam:AttachRolePolicy", "iam:DeleteRolePermissionsBoundary", "iam:PutRolePermissionsBoundary", "iam:UpdateAssumeRolePolicy"),
				with(given("iam:PermissionsBoundary", "arn:aws:iam::aws:policy/AdministratorAccess"), calls(lent, "iam:PutRolePolicy")),
				with(given("iam:PermissionsBoundary", lentBounds), calls("arn:aws:iam::222233334444:role/Admin", "iam:PutRolePolicy")), calls(lentBounds, "iam:CreatePolicyVersion")),
		},
		{example: "lending a WebSocket API", policy: "bounds.policy", allowed: calls(orders+"/prod/POST/@connections/abc=", "execute-api:ManageConnections"), denied: calls(orders+"/dev/POST/@connections/abc=", "execute-api:ManageConnections")},
		{example: "invoker", policy: "invoker_invoke.policy", allowed: calls(orders+"/prod/GET/orders/1", "execute-api:Invoke", "execute-api:InvalidateCache"), denied: join(calls(orders+"/prod/GET/orders/1", "execute-api:ManageConnections"), calls(orders+"/dev/GET/orders/1", "execute-api:Invoke"))},
		{example: "invoker of a WebSocket API", policy: "invoker_connections.policy", allowed: calls(orders+"/prod/POST/@connections/abc=", "execute-api:ManageConnections"), denied: join(calls(orders+"/dev/POST/@connections/abc=", "execute-api:ManageConnections"), calls(orders+"/prod/POST/@connections/abc=", "execute-api:Invoke"))},
		{example: "invoker", policy: "invoker.assume_role_policy", caller: "arn:aws:iam::555566667777:role/ecs-app-dev", allowed: with(given("sts:ExternalId", "x-e2e"), calls("arn:aws:iam::222233334444:role/api-invoker", "sts:AssumeRole")), denied: calls("arn:aws:iam::222233334444:role/api-invoker", "sts:AssumeRole")},
		{example: "invoker", policy: "invoker.assume_role_policy", caller: "arn:aws:iam::555566667777:role/other", denied: with(given("sts:ExternalId", "x-e2e"), calls("arn:aws:iam::222233334444:role/api-invoker", "sts:AssumeRole"))},
		{
			example: "protected", policy: "api.policy", caller: "arn:aws:iam::444455556666:role/any",
			allowed: join(calls(orders+"/prod/GET/orders/1", "execute-api:Invoke"), calls(orders+"/prod/POST/orders/1", "execute-api:Invoke"), calls(orders+"/prod/OPTIONS/orders/1", "execute-api:Invoke")),
			denied:  join(calls(orders+"/prod/DELETE/orders/1", "execute-api:Invoke"), calls(orders+"/dev/GET/orders/1", "execute-api:Invoke"), calls(orders+"/prod/GET/invoices/1", "execute-api:Invoke"), calls(orders+"/prod/GET/orders/1", "execute-api:InvalidateCache")),
		},
		{example: "protected", policy: "api.policy", caller: "arn:aws:iam::555566667777:role/ecs-app-dev", allowed: calls(orders+"/prod/GET/orders/1", "execute-api:Invoke")},
		{example: "protected", policy: "api.policy", caller: "arn:aws:iam::555566667777:role/other", denied: calls(orders+"/prod/GET/orders/1", "execute-api:Invoke")},
		{example: "protected", policy: "api.policy", caller: "arn:aws:iam::999988887777:role/any", denied: calls(orders+"/prod/GET/orders/1", "execute-api:Invoke")},
		{example: "protected root", policy: "api.policy", caller: "arn:aws:iam::444455556666:role/storefront", allowed: calls(orders+"/prod/GET/", "execute-api:Invoke"), denied: join(calls(orders+"/prod/GET/orders", "execute-api:Invoke"), calls(orders+"/prod/OPTIONS/", "execute-api:Invoke"))},
		{example: "people by SSO", policy: "people_find.policy", allowed: calls("arn:aws:eks:eu-west-1:222233334444:cluster/orders", "eks:DescribeCluster"), denied: join(
			calls("arn:aws:eks:eu-west-1:222233334444:cluster/payroll", "eks:DescribeCluster"), calls("arn:aws:eks:us-east-1:222233334444:cluster/orders", "eks:DescribeCluster"),
			calls("arn:aws:eks:eu-west-1:222233334444:cluster/orders", "eks:UpdateClusterConfig", "eks:AccessKubernetesApi"))},
		{
			example: "people by SSO", policy: "people.assume_role_policy", caller: "arn:aws:sts::222233334444:assumed-role/" + developers + "/alice@example.com",
			allowed: join(sso("alice@example.com", "alice@example.com", developers), sso("Alice@example.com", "alice@example.com", developers)),
			denied: join(sso("bob@example.com", "alice@example.com", developers), sso("alice@example.com", "alice@example.com", "AWSReservedSSO_Developers_ops_0123456789abcdef"),
				with(given("sts:RoleSessionName", "alice@example.com"), calls(people, "sts:AssumeRole"))),
		},
		{
			example: "people by SAML", policy: "people.assume_role_policy", caller: "arn:aws:iam::222233334444:saml-provider/okta",
			allowed: with(given("SAML:aud", "https://signin.aws.amazon.com/saml", "SAML:sub", "alice", "sts:RoleSessionName", "alice"), calls(people, "sts:AssumeRoleWithSAML")),
			denied: join(with(given("SAML:aud", "https://signin.aws.amazon.com/saml", "SAML:sub", "alice", "sts:RoleSessionName", "bob"), calls(people, "sts:AssumeRoleWithSAML")),
				with(given("SAML:aud", "https://evil.example.com", "SAML:sub", "alice", "sts:RoleSessionName", "alice"), calls(people, "sts:AssumeRoleWithSAML"))),
		},
		{
			example: "lambda", policy: "function_work.policy",
			allowed: join(reading, calls("arn:aws:s3:::gatehouse-collector-222233334444-eu-west-1/gatehouse/cursor", "s3:GetObject", "s3:PutObject"), calls("arn:aws:s3:::gatehouse-collector-222233334444-eu-west-1", "s3:ListBucket"),
				calls("arn:aws:sqs:eu-west-1:222233334444:gatehouse-collector-failed", "sqs:SendMessage"), calls(logsARN+"log-group:/aws/lambda/gatehouse-collector:log-stream:x", "logs:CreateLogStream", "logs:PutLogEvents")),
			denied: join(calls(groupStream("/aws/lambda/payroll"), "logs:FilterLogEvents", "logs:PutLogEvents"), calls("arn:aws:s3:::other/gatehouse/cursor", "s3:GetObject"), calls("arn:aws:s3:::gatehouse-collector-222233334444-eu-west-1/gatehouse/cursor", "s3:DeleteObject"),
				calls(spokeARN, "sts:AssumeRole"), calls("arn:aws:sqs:eu-west-1:222233334444:gatehouse-collector-failed", "sqs:ReceiveMessage")),
		},
		{
			example: "lambda of spokes", policy: "function_work.policy",
			allowed: join(calls("arn:aws:iam::333344445555:role/GatehouseCollector", "sts:AssumeRole"), calls("arn:aws:dynamodb:eu-west-1:222233334444:table/gatehouse-collector", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem")),
			denied:  join(calls(spokeARN, "sts:AssumeRole"), calls("arn:aws:dynamodb:eu-west-1:222233334444:table/other", "dynamodb:GetItem"), calls("arn:aws:dynamodb:eu-west-1:222233334444:table/gatehouse-collector", "dynamodb:Scan"), calls(groupStream("API-Gateway-Execution-Logs_a1b2c3d4e5/prod"), "logs:FilterLogEvents")),
		},
		{example: "lambda", policy: "schedule_start.policy", allowed: calls("arn:aws:lambda:eu-west-1:222233334444:function:gatehouse-collector", "lambda:InvokeFunction"), denied: join(
			calls("arn:aws:lambda:eu-west-1:222233334444:function:other", "lambda:InvokeFunction"), calls("arn:aws:lambda:eu-west-1:222233334444:function:gatehouse-collector", "lambda:UpdateFunctionCode"))},
		{
			example: "lambda", policy: "schedule.assume_role_policy", caller: "scheduler.amazonaws.com",
			allowed: with(given("aws:SourceAccount", spokeID), calls("arn:aws:iam::222233334444:role/gatehouse-collector-schedule", "sts:AssumeRole")),
			denied:  with(given("aws:SourceAccount", "999988887777"), calls("arn:aws:iam::222233334444:role/gatehouse-collector-schedule", "sts:AssumeRole")),
		},
	} {
		t.Run(p.example+" "+p.policy+" "+p.caller, func(t *testing.T) {
			t.Parallel()
			p.check(t)
		})
	}
}

func (p *proof) check(t *testing.T) {
	t.Helper()
	policy := policyOf(t, p.example, p.policy)
	for _, a := range p.allowed {
		if !p.decides(t, policy, a) {
			t.Errorf("%s on %s %v is refused\n%s", a.action, a.resource, a.context, policy.Pretty())
		}
	}
	for _, a := range p.denied {
		if p.decides(t, policy, a) {
			t.Errorf("%s on %s %v is allowed\n%s", a.action, a.resource, a.context, policy.Pretty())
		}
	}
}

func policyOf(t *testing.T, example, name string) *iam.Document {
	t.Helper()
	for _, e := range examples() {
		if e.name != example {
			continue
		}
		var names []string
		for _, p := range render(t, &e, Terraform).Policies {
			if p.Name == name {
				return p.Document
			}
			names = append(names, p.Name)
		}
		t.Fatalf("no policy %s but %v", name, names)
	}
	t.Fatalf("no example %s", example)
	return nil
}

// decides reports whether a policy allows a call. The other side of a call between
// accounts allows everything, and a key's policy the account, so that this policy alone is
// asked.
func (p *proof) decides(t *testing.T, d *iam.Document, a ask) bool {
	t.Helper()
	caller := p.caller
	if caller == "" {
		caller = spokeARN
	}
	who, err := iam.ParsePrincipal(caller)
	if err != nil {
		t.Fatal(err)
	}
	account := strings.Split(a.resource+":::::", ":")[4]
	if account == "" || a.resource == "*" {
		account = who.Account
	}
	query, err := iam.Request{Principal: who, Action: a.action, Resource: a.resource, ResourceAccount: account, Context: a.context}.Prepare()
	if err != nil {
		t.Fatal(err)
	}
	compiled, err := d.Compile()
	if err != nil {
		t.Fatal(err)
	}
	everything, err := iam.ParseAndCompile(iam.KindIdentity, []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var policies iam.Policies
	if d.Kind == iam.KindIdentity {
		policies.Identity = []iam.Attached{{Name: p.policy, Policy: compiled}}
		if key := strings.Contains(a.resource, ":kms:"); key || account != who.Account {
			text := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`
			if key { // leaves it to the policies of roles, as that of AWS's console does
				text = strings.Replace(text, `"*"`, `{"AWS":"arn:aws:iam::`+account+`:root"}`, 1)
			}
			open, err := iam.ParseAndCompile(iam.KindResource, []byte(text))
			if err != nil {
				t.Fatal(err)
			}
			policies.Resource = iam.Attached{Name: "open", Policy: open}
		}
	} else {
		policies.Resource = iam.Attached{Name: p.policy, Policy: compiled}
		if account != who.Account && who.Account != "" || strings.Contains(caller, "assumed-role/") {
			policies.Identity = []iam.Attached{{Name: "everything", Policy: everything}}
		}
	}
	return policies.Decide(query) == iam.Allowed
}

// No policy draws an error or a warning but for wildcards that a remark explains.
func TestPoliciesPassTheLinter(t *testing.T) {
	t.Parallel()
	for _, e := range examples() {
		for _, p := range render(t, &e, Terraform).Policies {
			for _, f := range p.Document.Lint() {
				if f.Severity == iam.SeverityError {
					t.Errorf("%s: %s: %s", e.name, p.Name, f.Message)
				}
			}
		}
	}
}

// A * in a policy has a remark above its statement.
func TestWildcardsAreExplained(t *testing.T) {
	t.Parallel()
	for _, e := range examples() {
		s, err := Find(e.stack)
		if err != nil {
			t.Fatal(err)
		}
		in, err := s.resolve(e.values)
		if err != nil {
			t.Fatal(err)
		}
		m, err := s.build(in)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range m.resources {
			for _, a := range r.attrs {
				d, ok := a.value.(document)
				if !ok {
					continue
				}
				for _, st := range d.Statements {
					wild := st.Principal != nil && st.Principal.Everyone
					for _, resource := range st.Resource {
						wild = wild || strings.Contains(resource, "*")
					}
					for _, action := range st.Action {
						if strings.Contains(action, "*") {
							t.Errorf("%s: %s: an action has a wildcard: %s", e.name, r.label, action)
						}
					}
					if wild && d.remarks[st.Sid] == "" {
						t.Errorf("%s: %s: nothing explains the wildcard of %s", e.name, r.label, st.Sid)
					}
				}
			}
		}
	}
}
