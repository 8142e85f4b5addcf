package iam_test

import (
	"testing"
)

// tables are AWS's tables of how an API's authorization and its resource policy
// combine: rows are the identity side, columns the resource side.
func TestTableA(t *testing.T) {
	sides := map[string]string{"Allow": allowAll, "silent": silent, "Deny": denyAll}
	resources := map[string]string{
		"Allow":  invokeBy(alice),
		"silent": invokeBy(theirUser),
		"Deny":   doc(stmt("Deny", "execute-api:Invoke", "execute-api:/*", everyone)),
	}
	var rows []row
	for _, c := range []struct{ identity, resource, decision string }{
		{"Allow", "Allow", allow},
		{"Allow", "silent", allow},
		{"Allow", "Deny", explicit},
		{"silent", "Allow", allow},
		{"silent", "silent", implicit},
		{"silent", "Deny", explicit},
		{"Deny", "Allow", explicit},
		{"Deny", "silent", explicit},
		{"Deny", "Deny", explicit},
	} {
		k := kase{identity: []string{sides[c.identity]}, policy: resources[c.resource]}
		rows = append(rows, row{"IAM " + c.identity + " and " + c.resource, k, c.decision})
		k.auth, k.principal = "LAMBDA", "anonymous"
		if c.resource == "Allow" {
			k.policy = invokeBy("*")
		}
		rows = append(rows, row{"Lambda " + c.identity + " and " + c.resource, k, c.decision})
	}
	check(t, rows)
}

func TestTableB(t *testing.T) {
	sides := map[string]string{"Allow": allowAll, "silent": silent, "Deny": denyAll}
	resources := map[string]string{
		"Allow":  invokeBy(theirUser),
		"silent": invokeBy(alice),
		"Deny":   doc(stmt("Deny", "execute-api:Invoke", "execute-api:/*", everyone)),
	}
	var rows []row
	for _, c := range []struct{ identity, resource, decision string }{
		{"Allow", "Allow", allow},
		{"Allow", "silent", implicit},
		{"Allow", "Deny", explicit},
		{"silent", "Allow", implicit},
		{"silent", "silent", implicit},
		{"silent", "Deny", explicit},
		{"Deny", "Allow", explicit},
		{"Deny", "silent", explicit},
		{"Deny", "Deny", explicit},
	} {
		rows = append(rows, row{c.identity + " and " + c.resource, kase{
			principal: theirUser, identity: []string{sides[c.identity]}, policy: resources[c.resource],
		}, c.decision})
	}
	check(t, rows)
}

func TestGateway(t *testing.T) {
	id := []string{allowAll}
	open := invokeBy("*")
	denyOpen := doc(stmt("Deny", "execute-api:Invoke", "execute-api:/*", everyone))
	byARN := doc(stmt("Deny", "execute-api:Invoke", "execute-api:/*", everyone, when("StringNotLike", "aws:PrincipalArn", "arn:aws:iam::111111111111:*")),
		stmt("Allow", "execute-api:Invoke", "execute-api:/*", `"Sid": "A", `+everyone))
	endpoint := doc(stmt("Allow", "*", "*", everyone))
	closed := doc(stmt("Allow", "ec2:*", "*", everyone))
	check(t, []row{
		{"NONE: no policy is public", kase{principal: "anonymous", auth: "NONE"}, allow},
		{"NONE: policy allows everyone", kase{principal: "anonymous", auth: "NONE", policy: open}, allow},
		{"NONE: policy is silent", kase{principal: "anonymous", auth: "NONE", policy: doc(stmt("Allow", "execute-api:Invoke", "execute-api:/dev/*", everyone))}, implicit},
		{"NONE: policy denies", kase{principal: "anonymous", auth: "NONE", policy: denyOpen}, explicit},
		{"NONE: a policy that names a principal never matches", kase{auth: "NONE", policy: invokeBy(alice)}, implicit},
		{"NONE: principal keys are absent, negated operators are true", kase{auth: "NONE", policy: byARN}, explicit},
		{"NONE: identity policies do not count", kase{auth: "NONE", identity: []string{denyAll}}, allow},
		{"IAM: principal keys are there", kase{policy: byARN}, allow},
		{"IAM: no policy, identity allows", kase{identity: id}, allow},
		{"IAM: no policy, nothing allows", kase{}, implicit},
		{"IAM: no policy, cross account", kase{principal: theirUser, identity: id}, implicit},
		{"IAM: the account's root is delegation", kase{policy: invokeBy(oursRoot)}, implicit},
		{"IAM: the account's root and identity", kase{policy: invokeBy(oursRoot), identity: id}, allow},
		{"IAM: cross account by account", kase{principal: theirsApp, policy: invokeBy("222222222222"), identity: id}, allow},
		{"IAM: anonymous", kase{principal: "anonymous", policy: open}, implicit},
		{"IAM: anonymous, denied", kase{principal: "anonymous", policy: denyOpen}, implicit},
		{"IAM: root of the account", kase{principal: oursRoot}, allow},
		{"IAM: InvalidateCache is an action of its own", kase{action: "execute-api:InvalidateCache", policy: invokeBy(alice)}, implicit},
		{"IAM: silent SCP", kase{identity: id, scps: [][]string{{silent}}}, implicit},
		{"IAM: endpoint policy is silent", kase{identity: id, vpce: closed}, implicit},
		{"Lambda: no resource policy, authorizer allows", kase{auth: "LAMBDA", principal: "anonymous", identity: id}, allow},
		{"Lambda: no resource policy, authorizer is silent", kase{auth: "LAMBDA", principal: "anonymous"}, implicit},
		{"Lambda: explicit deny before the authorizer", kase{auth: "LAMBDA", principal: "anonymous", identity: id, policy: denyOpen}, explicit},
		{"Lambda: principal keys are absent", kase{auth: "LAMBDA", identity: id, policy: byARN}, explicit},
		{"Lambda: SCPs do not count", kase{auth: "LAMBDA", principal: "anonymous", identity: id, scps: [][]string{{silent}}}, allow},
		{"Cognito: no policy", kase{auth: "COGNITO", principal: "anonymous"}, allow},
		{"Cognito: policy must allow explicitly", kase{auth: "COGNITO", principal: "anonymous", policy: invokeBy(alice), identity: id}, implicit},
		{"Cognito: policy allows", kase{auth: "COGNITO", principal: "anonymous", policy: open}, allow},
		{"Cognito: policy denies", kase{auth: "COGNITO", principal: "anonymous", policy: denyOpen}, explicit},
		{"Cognito: identity policies do not count", kase{auth: "COGNITO", principal: "anonymous", policy: open, identity: []string{denyAll}}, allow},

		{"private: no policy, NONE", kase{principal: "anonymous", auth: "NONE", endpoint: "private"}, implicit},
		{"private: no policy, IAM", kase{identity: id, endpoint: "private"}, implicit},
		{"private: no policy, Lambda", kase{auth: "LAMBDA", principal: "anonymous", identity: id, endpoint: "private"}, implicit},
		{"private: no policy, Cognito", kase{auth: "COGNITO", principal: "anonymous", endpoint: "private"}, implicit},
		{"private: policy is silent, IAM", kase{identity: id, policy: invokeBy(theirUser), endpoint: "private"}, implicit},
		{"private: policy allows, IAM", kase{identity: id, policy: invokeBy(alice), endpoint: "private"}, allow},
		{"private: policy allows, Lambda", kase{auth: "LAMBDA", principal: "anonymous", identity: id, policy: open, endpoint: "private"}, allow},
		{"private: policy is silent, Lambda", kase{auth: "LAMBDA", principal: "anonymous", identity: id, policy: invokeBy(alice), endpoint: "private"}, implicit},
		{"private: endpoint policy allows", kase{auth: "NONE", policy: open, endpoint: "private", vpce: endpoint}, allow},
		{"private: endpoint policy is silent", kase{auth: "NONE", policy: open, endpoint: "private", vpce: closed}, implicit},
		{"private: endpoint policy sees who signed, even for NONE", kase{auth: "NONE", policy: open, endpoint: "private", vpce: doc(stmt("Allow", "*", "*", by(alice)))}, allow},
		{"private: endpoint policy denies, Lambda", kase{auth: "LAMBDA", identity: id, policy: open, endpoint: "private", vpce: doc(stmt("Deny", "*", "*", everyone))}, explicit},
		{"private: endpoint policy is silent, Lambda", kase{auth: "LAMBDA", identity: id, policy: open, endpoint: "private", vpce: closed}, implicit},
		{"private: only through this endpoint", kase{
			auth: "NONE", endpoint: "private", context: map[string][]string{"aws:SourceVpce": {"vpce-2"}},
			policy: doc(stmt("Allow", "*", "*", everyone), stmt("Deny", "*", "*", everyone, when("StringNotEquals", "aws:SourceVpce", "vpce-1"))),
		}, explicit},

		{"HTTP: no resource policies", kase{api: "HTTP", policy: invokeBy(alice)}, implicit},
		{"HTTP: identity", kase{api: "HTTP", identity: id}, allow},
		{"HTTP: cross account", kase{api: "HTTP", principal: theirUser, identity: id, policy: invokeBy(theirUser)}, implicit},
		{"HTTP: $default stage", kase{api: "HTTP", resource: apiARN + "/$default/GET/orders/42", identity: []string{doc(stmt("Allow", "execute-api:Invoke", apiARN+"/$default/GET/orders/*"))}}, allow},
		{"HTTP: NONE", kase{api: "HTTP", auth: "NONE", principal: "anonymous"}, allow},
		{"HTTP: JWT", kase{api: "HTTP", auth: "COGNITO", principal: "anonymous"}, allow},
		{"HTTP: Lambda", kase{api: "HTTP", auth: "LAMBDA", principal: "anonymous", identity: []string{silent}}, implicit},
		{"WebSocket: $connect", kase{api: "WEBSOCKET", resource: apiARN + "/prod/$connect", identity: []string{doc(stmt("Allow", "execute-api:Invoke", apiARN+"/prod/$connect"))}}, allow},
		{"WebSocket: @connections", kase{
			api: "WEBSOCKET", action: "execute-api:ManageConnections", resource: apiARN + "/prod/POST/@connections/abc=",
			identity: []string{doc(stmt("Allow", "execute-api:ManageConnections", apiARN+"/prod/POST/@connections/*"))},
		}, allow},
		{"WebSocket: no resource policies", kase{api: "WEBSOCKET", principal: theirUser, identity: id, policy: invokeBy(theirUser)}, implicit},
	})
}

// TestDerivedKeys asks whether a key has a value, by a condition that wants it.
func TestDerivedKeys(t *testing.T) {
	has := func(name, who, key, value, decision string, more ...func(*kase)) row {
		k := kase{
			principal: who, action: "s3:GetObject", resource: "arn:aws:s3:::b/x", account: "111111111111",
			policy: doc(stmt("Allow", "s3:*", "*", everyone, when("StringEquals", key, value))),
		}
		for _, f := range more {
			f(&k)
		}
		return row{name + " " + key, k, decision}
	}
	lacks := func(name, who, key string) row {
		k := kase{
			principal: who, action: "s3:GetObject", resource: "arn:aws:s3:::b/x", account: "111111111111",
			policy: doc(stmt("Allow", "s3:*", "*", everyone, when("Null", key, "true"))),
		}
		return row{name + " lacks " + key, k, allow}
	}
	given := func(key string, values ...string) func(*kase) {
		return func(k *kase) { k.context = map[string][]string{key: append([]string{}, values...)} }
	}
	root := oursRoot
	rows := []row{
		has("session", appSession, "aws:PrincipalArn", appRole, allow),
		has("session", appSession, "aws:PrincipalAccount", "111111111111", allow),
		has("session", appSession, "aws:PrincipalType", "AssumedRole", allow),
		lacks("session", appSession, "aws:username"),
		lacks("session", appSession, "aws:userid"),
		has("role", "arn:aws:iam::111111111111:role/team/app", "aws:PrincipalArn", "arn:aws:iam::111111111111:role/team/app", allow),
		has("role", appRole, "aws:PrincipalType", "AssumedRole", allow),
		has("user", alice, "aws:PrincipalArn", alice, allow),
		has("user", alice, "aws:PrincipalAccount", "111111111111", allow),
		has("user", alice, "aws:PrincipalType", "User", allow),
		has("user", "arn:aws:iam::111111111111:user/team/alice", "aws:username", "alice", allow),
		lacks("user", alice, "aws:userid"),
		has("federated user", fedBob, "aws:PrincipalArn", fedBob, allow),
		has("federated user", fedBob, "aws:userid", "111111111111:bob", allow, func(k *kase) { k.session = []string{allowAll} }),
		has("federated user", fedBob, "aws:PrincipalType", "FederatedUser", allow, func(k *kase) { k.session = []string{allowAll} }),
		has("given key", alice, "aws:username", "given", allow, given("AWS:UserName", "given")),
		has("key given as an empty list is not derived", alice, "aws:username", "alice", implicit, given("aws:username")),
		lacks("anonymous", "anonymous", "aws:PrincipalArn"),
		lacks("anonymous", "anonymous", "aws:PrincipalType"),
		lacks("service", "lambda.amazonaws.com", "aws:PrincipalArn"),
		lacks("provider", oidc, "aws:PrincipalArn"),
		lacks("provider", oidc, "aws:PrincipalAccount"),
	}
	// The root user needs no allowing, so a Deny tells what it has.
	for key, value := range map[string]string{"aws:PrincipalArn": root, "aws:PrincipalAccount": "111111111111", "aws:PrincipalType": "Account", "aws:userid": "111111111111"} {
		rows = append(rows, row{"root " + key, kase{
			principal: root, action: "s3:GetObject", resource: "arn:aws:s3:::b/x", account: "111111111111",
			policy: doc(stmt("Deny", "s3:*", "*", everyone, when("StringEquals", key, value))),
		}, explicit})
	}
	for _, auth := range []string{"NONE", "LAMBDA", "COGNITO"} {
		rows = append(rows, row{"no principal keys with " + auth, kase{
			auth: auth, identity: []string{silent},
			policy: doc(stmt("Allow", "execute-api:Invoke", "execute-api:/*", everyone, `"Condition": {"Null": {"aws:PrincipalArn": "true", "aws:PrincipalAccount": "true", "aws:PrincipalType": "true", "aws:username": "true"}}`)),
		}, allow})
	}
	check(t, rows)
}
