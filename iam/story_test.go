package iam_test

import (
	"strings"
	"testing"
)

// TestStoryCrossAccountAPI: an API with AWS_IAM in one account, callers in
// another, let in by account and then by the beginning of their role's name.
func TestStoryCrossAccountAPI(t *testing.T) {
	t.Parallel()
	const (
		dev     = "arn:aws:sts::329380440465:assumed-role/ecs-app-dev/lambda"
		other   = "arn:aws:sts::329380440465:assumed-role/batch/lambda"
		invoked = "arn:aws:execute-api:us-east-1:548754742764:no8k0bxy8b/prod/GET/"
		all     = "arn:aws:execute-api:us-east-1:548754742764:*"
	)
	client := []string{doc(stmt("Allow", "execute-api:Invoke", "arn:aws:execute-api:us-east-1:548754742764:no8k0bxy8b/*"))}
	byAccount := doc(stmt("Allow", "execute-api:Invoke", all, by("arn:aws:iam::329380440465:root")))
	byPrefix := doc(stmt("Allow", "execute-api:Invoke", all, by("arn:aws:iam::329380440465:root"),
		when("StringLike", "aws:PrincipalArn", "arn:aws:iam::329380440465:role/ecs-app-dev*")))
	call := func(who, policy string, identity []string) kase {
		return kase{principal: who, resource: invoked, account: "548754742764", policy: policy, identity: identity}
	}
	denied := func(who, because string) string {
		return "User: " + who + " is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:us-east-1:********2764:no8k0bxy8b/prod/GET/ " + because
	}
	const noResource = "because no resource-based policy allows the execute-api:Invoke action"
	for _, c := range []struct {
		name     string
		kase     kase
		decision string
		message  string
	}{
		{"unsigned", call("anonymous", byAccount, nil), implicit, "Missing Authentication Token"},
		{"both sides", call(dev, byAccount, client), allow, ""},
		{"the client's side is missing", call(dev, byAccount, nil), implicit, denied(dev, noResource)},
		{"the API's side is missing", call(dev, "", client), implicit, denied(dev, noResource)},
		{"by prefix", call(dev, byPrefix, client), allow, ""},
		{"by prefix, another role", call(other, byPrefix, client), implicit, denied(other, noResource)},
		{"by prefix, a user of the name", call("arn:aws:iam::329380440465:user/ecs-app-dev", byPrefix, client), implicit, denied("arn:aws:iam::329380440465:user/ecs-app-dev", noResource)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := c.kase.decide(t)
			diff(t, c.decision, r.Decision.String())
			diff(t, c.message, r.Message())
		})
	}
}

// TestStoryInvokerRole: callers of another account assume a role in the API's
// account and call as that.
func TestStoryInvokerRole(t *testing.T) {
	t.Parallel()
	const (
		invoker = "arn:aws:iam::111111111111:role/orders-api-invoker"
		session = "arn:aws:sts::111111111111:assumed-role/orders-api-invoker/invoke-test"
		predict = "arn:aws:execute-api:eu-west-1:111111111111:xxxxxxxxxx/prod/POST/predict"
	)
	trust := doc(
		stmt("Allow", "sts:AssumeRole", "", `"Principal": {"Service": "apigateway.amazonaws.com"}`),
		stmt("Allow", "sts:AssumeRole", "", by(alice)),
		stmt("Allow", "sts:AssumeRole", "", by(theirUser)),
	)
	policy := doc(`{"Effect": "Allow", "Action": ["execute-api:Invoke", "execute-api:ManageConnections"], "Resource": "arn:aws:execute-api:eu-west-1:111111111111:xxxxxxxxxx/prod/POST/predict"}`)
	check := func(name string, k kase, decision string) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k.want(t, decision)
		})
	}
	assume := func(who string, identity ...string) kase {
		return kase{principal: who, action: "sts:AssumeRole", resource: invoker, policy: trust, identity: identity}
	}
	check("user of the API's account", assume(alice), allow)
	check("user of the other account, allowed there", assume(theirUser, allowAll), allow)
	check("user of the other account, not allowed there", assume(theirUser), implicit)
	check("someone else of the other account", assume(strings.Replace(theirUser, "eve", "adam", 1), allowAll), implicit)
	check("API Gateway", assume("apigateway.amazonaws.com"), allow)
	check("call", kase{principal: session, resource: predict, identity: []string{policy}}, allow)
	check("call of another method", kase{principal: session, resource: strings.Replace(predict, "POST", "GET", 1), identity: []string{policy}}, implicit)
	check("the session has the role's permissions, not the caller's", kase{principal: session, resource: predict}, implicit)
}
