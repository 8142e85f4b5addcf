package iam_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/iam"
)

const stem = "User: " + alice + " is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:eu-west-1:********1111:a1b2c3d4e5/prod/GET/pets/1"

func TestMessageAndMissing(t *testing.T) {
	t.Parallel()
	theirs := strings.Replace(stem, alice, theirUser, 1)
	id := []string{allowAll}
	denyEveryone := doc(stmt("Deny", "*", "*", everyone))
	closed := doc(stmt("Allow", "ec2:*", "*", everyone))
	trust := doc(stmt("Allow", "sts:AssumeRole", "", by("333333333333")))
	for _, c := range []struct {
		name    string
		kase    kase
		message string
		missing string
		advice  string // a part of it
	}{
		{"allowed", kase{identity: id}, "", "", ""},
		{"same account, neither", kase{policy: invokeBy(theirUser)}, stem + " because no identity-based policy allows the execute-api:Invoke action", "identity", "Attach an identity-based policy to " + alice},
		{"explicit, resource", kase{identity: id, policy: denyEveryone}, stem + " with an explicit deny in a resource-based policy", "", "Take out or narrow statement 0 of the resource-based policy resource_policy"},
		{"explicit, identity", kase{identity: []string{denyAll}}, stem + " with an explicit deny in an identity-based policy", "", "statement 0 of the identity-based policy identity_policies[0]"},
		{"explicit, both: identity is named", kase{identity: []string{denyAll}, policy: denyEveryone}, stem + " with an explicit deny in an identity-based policy", "", "Take out"},
		{"explicit, boundary", kase{boundary: denyAll}, stem + " with an explicit deny in a permissions boundary", "", "Take out"},
		{"explicit, session", kase{principal: appSession, session: []string{denyAll}}, strings.Replace(stem, alice, appSession, 1) + " with an explicit deny in a session policy", "", "Take out"},
		{"explicit, SCP", kase{scps: [][]string{{denyAll}}}, stem + " with an explicit deny in a service control policy", "", "scps[0][0]"},
		{"explicit, endpoint", kase{vpce: denyEveryone}, stem + " with an explicit deny in a VPC endpoint policy", "", "Take out"},
		{"implicit, SCP is worded as explicit", kase{identity: id, scps: [][]string{{silent}}}, stem + " with an explicit deny in a service control policy", "scp", "On every level of the organization, from its root to the account of " + alice},
		{"implicit, endpoint", kase{identity: id, vpce: closed}, stem + " because no VPC endpoint policy allows the execute-api:Invoke action", "vpc_endpoint", "The policy of the VPC endpoint must allow"},
		{"implicit, boundary", kase{identity: id, boundary: silent}, stem + " because no permissions boundary allows the execute-api:Invoke action", "permissions_boundary", "The permissions boundary of " + alice},
		{"implicit, session", kase{principal: appSession, identity: id, session: []string{silent}}, strings.Replace(stem, alice, appSession, 1) + " because no session policy allows the execute-api:Invoke action", "session", "A session policy of " + appSession},
		{"implicit, boundary and session", kase{principal: appSession, session: []string{silent}, boundary: silent}, strings.Replace(stem, alice, appSession, 1) + " because no identity-based policy allows the execute-api:Invoke action", "permissions_boundary session identity", "Attach"},
		{"cross account, neither", kase{principal: theirUser}, theirs + " because no resource-based policy allows the execute-api:Invoke action", "identity resource", "Across accounts both sides must allow."},
		{"cross account, no identity, account let in", kase{principal: theirUser, policy: invokeBy("222222222222")}, theirs + " because no resource-based policy allows the execute-api:Invoke action", "identity", "Attach an identity-based policy to " + theirUser},
		{"cross account, no identity, principal let in", kase{principal: theirUser, policy: invokeBy(theirUser)}, theirs + " because no identity-based policy allows the execute-api:Invoke action", "identity", "Attach"},
		{"cross account, no resource", kase{principal: theirUser, identity: id}, theirs + " because no resource-based policy allows the execute-api:Invoke action", "resource", "Let the resource policy of the API of account 111111111111 allow execute-api:Invoke"},
		{"NONE", kase{auth: "NONE", policy: invokeBy(alice)}, strings.Replace(stem, alice, "anonymous", 1) + " because no resource-based policy allows the execute-api:Invoke action", "resource", "API Gateway sees an anonymous caller"},
		{"anonymous", kase{principal: "anonymous"}, "Missing Authentication Token", "identity", "Sign the request"},
		{"authorizer denies", kase{auth: "LAMBDA", identity: []string{denyAll}}, "User is not authorized to access this resource with an explicit deny", "", "Take out"},
		{"authorizer is silent", kase{auth: "LAMBDA", identity: []string{silent}}, "User is not authorized to access this resource", "identity", "The Lambda authorizer must answer a policy"},
		{"denied before the authorizer", kase{auth: "LAMBDA", identity: id, policy: denyEveryone}, strings.Replace(stem, alice, "anonymous", 1) + " with an explicit deny in a resource-based policy", "", "Take out"},
		{"denied before the authorizer, which would deny", kase{auth: "LAMBDA", identity: []string{denyAll}, policy: denyEveryone}, strings.Replace(stem, alice, "anonymous", 1) + " with an explicit deny in a resource-based policy", "", "the resource-based policy resource_policy"},
		{"private, Lambda, resource policy is silent", kase{auth: "LAMBDA", identity: id, policy: invokeBy(alice), endpoint: "private"}, strings.Replace(stem, alice, "anonymous", 1) + " because no resource-based policy allows the execute-api:Invoke action", "resource", "everyone"},
		{"HTTP", kase{api: "HTTP"}, "Forbidden", "identity", "Attach"},
		{"HTTP, cross account", kase{api: "HTTP", principal: theirUser, identity: id}, "Forbidden", "resource", "assume a role of account 111111111111"},
		{"trust policy is silent", kase{action: "sts:AssumeRole", resource: targetRole, policy: trust}, "User: " + alice + " is not authorized to perform: sts:AssumeRole on resource: " + targetRole + " because no role trust policy allows the sts:AssumeRole action", "resource", "The trust policy of " + targetRole},
		{"trust policy denies", kase{action: "sts:AssumeRole", resource: targetRole, policy: doc(stmt("Deny", "sts:AssumeRole", "", `"Sid": "No"`, everyone))}, "User: " + alice + " is not authorized to perform: sts:AssumeRole on resource: " + targetRole + " with an explicit deny in the role trust policy", "", "statement 0 (No) of the role trust policy"},
		{"root assumes", kase{principal: oursRoot, action: "sts:AssumeRole", resource: targetRole, policy: doc(stmt("Allow", "sts:AssumeRole", "", by(oursRoot)))}, "Roles may not be assumed by root accounts.", "", "Use an IAM user or a role"},
		{"root assumes and is denied", kase{principal: oursRoot, action: "sts:AssumeRole", resource: targetRole, policy: doc(stmt("Deny", "sts:AssumeRole", "", by(oursRoot)))}, "User: " + oursRoot + " is not authorized to perform: sts:AssumeRole on resource: " + targetRole + " with an explicit deny in the role trust policy", "", "Take out"},
		{"bucket", kase{principal: theirUser, identity: id, action: "s3:GetObject", resource: "arn:aws:s3:::b/x", account: "111111111111"}, "User: " + theirUser + " is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/x because no resource-based policy allows the s3:GetObject action", "resource", "Let the resource-based policy of arn:aws:s3:::b/x of account 111111111111"},
		{"RCP", kase{identity: id, action: "s3:GetObject", resource: "arn:aws:s3:::b/x", account: "111111111111", rcps: [][]string{{doc(stmt("Deny", "s3:*", "*", everyone))}}}, "User: " + alice + " is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/x with an explicit deny in a resource control policy", "", "Take out"},
		{"federated user", kase{principal: fedBob, identity: id}, strings.Replace(stem, alice, fedBob, 1) + " because no session policy allows the execute-api:Invoke action", "session", "session policy"},
		{"federated user without anything", kase{principal: fedBob}, strings.Replace(stem, alice, fedBob, 1) + " because no identity-based policy allows the execute-api:Invoke action", "session identity", "without one a federated user has no permissions"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := c.kase.decide(t)
			diff(t, c.message, r.Message())
			var missing []string
			for _, l := range r.Missing {
				missing = append(missing, l.String())
			}
			diff(t, c.missing, strings.Join(missing, " "))
			if advice := r.Advice(); !strings.Contains(advice, c.advice) || c.advice == "" && advice != "" {
				t.Errorf("advice %q does not say %q", advice, c.advice)
			}
		})
	}
}

func TestDecisionsThatNothingMade(t *testing.T) {
	t.Parallel()
	var d iam.Decision
	if d != iam.ImplicitDeny {
		t.Error("the zero decision must deny")
	}
	var r iam.Result
	if r.Decision != iam.ImplicitDeny {
		t.Error("the zero result must deny")
	}
	// A Result that was never evaluated has nothing to say.
	r.Decision = iam.ExplicitDeny
	if r.Message() != "" || r.Advice() != "" {
		t.Error("words about nothing")
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	r := kase{
		identity: []string{silent, doc(stmt("Allow", "s3:*", "*"), stmt("Allow", "execute-api:*", "*", `"Sid": "Call"`))},
		policy:   doc(stmt("Allow", "execute-api:Invoke", "execute-api:/*", `"Sid": "In"`, by(alice))),
		boundary: allowAll,
	}.decide(t)
	diff(t, []iam.Reason{
		{Layer: iam.LayerBoundary, Effect: iam.Allow, Policy: "permissions_boundary"},
		{Layer: iam.LayerIdentity, Effect: iam.Allow, Policy: "identity_policies[1]", Statement: 1, Sid: "Call"},
		{Layer: iam.LayerResource, Effect: iam.Allow, Policy: "resource_policy", Sid: "In"},
	}, r.Reasons)

	r = kase{identity: []string{allowAll, denyAll}, scps: [][]string{{allowAll}, {allowAll, denyAll}}}.decide(t)
	diff(t, []iam.Reason{
		{Layer: iam.LayerSCP, Effect: iam.Deny, Policy: "scps[1][1]"},
		{Layer: iam.LayerIdentity, Effect: iam.Deny, Policy: "identity_policies[1]"},
	}, r.Reasons)
}

func TestAnswerJSON(t *testing.T) {
	t.Parallel()
	answer := func(k kase) string { return string(k.decide(t).AppendJSON(nil)) }
	diff(t, `{"decision":"allow","reasons":[{"layer":"identity","effect":"Allow","policy":"identity_policies[0]","statement":0,"sid":""},`+
		`{"layer":"resource","effect":"Allow","policy":"resource_policy","statement":0,"sid":"a \"b\" \\ \n\r\t\u0001 ü"}],"missing":[],"message":""}`,
		answer(kase{identity: []string{allowAll}, policy: doc(stmt("Allow", "*", "*", `"Sid": "a \"b\" \\ \n\r\t\u0001 ü"`, everyone))}))
	text := answer(kase{principal: theirUser})
	var parsed struct {
		Decision string
		Reasons  []iam.Reason
		Missing  []string
		Message  string
		Advice   string
	}
	if err := json.Unmarshal([]byte(text), &parsed); err != nil && !strings.Contains(err.Error(), "iam.Layer") {
		t.Fatal(err)
	}
	diff(t, []string{"identity", "resource"}, parsed.Missing)
	if parsed.Decision != implicit || parsed.Message == "" || parsed.Advice == "" {
		t.Errorf("%s", text)
	}

	// What standard JSON makes of the same values.
	r := kase{identity: []string{allowAll}}.decide(t)
	standard, err := json.Marshal(map[string]any{"decision": r.Decision, "reasons": r.Reasons, "missing": []iam.Layer{iam.LayerSCP}})
	if err != nil {
		t.Fatal(err)
	}
	diff(t, `{"decision":"allow","missing":["scp"],"reasons":[{"layer":"identity","effect":"Allow","policy":"identity_policies[0]","statement":0,"sid":""}]}`, string(standard))

	e := &iam.Error{Place: iam.Place{Path: "a.b", Line: 2, Column: 3}, Message: "bad \xff", Hint: "mend"}
	diff(t, `{"error":{"path":"a.b","line":2,"column":3,"message":"bad �","hint":"mend"}}`, string(e.AppendJSON(nil)))
	e.Hint = ""
	diff(t, `{"error":{"path":"a.b","line":2,"column":3,"message":"bad �"}}`, string(e.AppendJSON(nil)))
}
