package iam_test

import "testing"

func TestTrustPolicies(t *testing.T) {
	trust := func(more string) string { return doc(stmt("Allow", "sts:AssumeRole", "", more)) }
	assume := func(name, who, policy, identity, decision string) row {
		k := kase{principal: who, action: "sts:AssumeRole", resource: targetRole, policy: policy}
		if identity != "" {
			k.identity = []string{identity}
		}
		return row{name, k, decision}
	}
	web := func(name string, context map[string][]string, decision string) row {
		return row{name, kase{
			principal: oidc, action: "sts:AssumeRoleWithWebIdentity", resource: targetRole, context: context,
			policy: doc(stmt("Allow", "sts:AssumeRoleWithWebIdentity", "", `"Principal": {"Federated": "`+oidc+`"}`, when("StringEquals", "idp.example.com:sub", "system:serviceaccount:a:b"))),
		}, decision}
	}
	conditional := func(name, condition string, context map[string][]string, decision string) row {
		return row{name, kase{
			principal: theirUser, action: "sts:AssumeRole", resource: targetRole, context: context, identity: []string{allowAll},
			policy: trust(by("222222222222") + ", " + condition),
		}, decision}
	}
	external := when("StringEquals", "sts:ExternalId", "secret")
	check(t, []row{
		assume("no trust policy", alice, "", allowAll, implicit),
		assume("same account, silent", alice, trust(by("222222222222")), allowAll, implicit),
		assume("same account, delegated", alice, trust(by(oursRoot)), allowAll, allow),
		assume("same account, delegated, nothing delegated to", alice, trust(by(oursRoot)), "", implicit),
		assume("same account, named", alice, trust(by(alice)), "", allow),
		assume("same account, role named", appSession, trust(by(appRole)), "", allow),
		assume("same account, everyone", alice, trust(everyone), "", allow),
		assume("itself needs trust", "arn:aws:sts::111111111111:assumed-role/target/s", trust(by(appRole)), allowAll, implicit),
		assume("itself with trust", "arn:aws:sts::111111111111:assumed-role/target/s", trust(by(targetRole)), "", allow),
		assume("cross account, both", theirUser, trust(by("222222222222")), allowAll, allow),
		assume("cross account, named, no identity policy", theirUser, trust(by(theirUser)), "", implicit),
		assume("cross account, not trusted", theirUser, trust(by("333333333333")), allowAll, implicit),
		assume("explicit deny", alice, doc(stmt("Allow", "sts:AssumeRole", "", by(alice)), stmt("Deny", "sts:*", "", everyone)), "", explicit),
		assume("service", "apigateway.amazonaws.com", trust(`"Principal": {"Service": "apigateway.amazonaws.com"}`), "", allow),
		assume("service that is not trusted", "lambda.amazonaws.com", trust(`"Principal": {"Service": "apigateway.amazonaws.com"}`), "", implicit),
		assume("root cannot assume", oursRoot, trust(by(oursRoot)), "", implicit),
		assume("root of another account cannot assume", "arn:aws:iam::222222222222:root", trust(by("222222222222")), "", implicit),
		web("web identity", map[string][]string{"idp.example.com:sub": {"system:serviceaccount:a:b"}}, allow),
		web("web identity with another subject", map[string][]string{"idp.example.com:sub": {"system:serviceaccount:a:c"}}, implicit),
		web("web identity without a subject", nil, implicit),
		conditional("external id", external, map[string][]string{"sts:ExternalId": {"secret"}}, allow),
		conditional("wrong external id", external, map[string][]string{"sts:ExternalId": {"guess"}}, implicit),
		conditional("no external id", external, nil, implicit),
		conditional("role session name", when("StringLike", "sts:RoleSessionName", "ci-*"), map[string][]string{"sts:RoleSessionName": {"ci-7"}}, allow),
		conditional("source identity", when("StringEquals", "sts:SourceIdentity", "eve"), map[string][]string{"sts:SourceIdentity": {"bob"}}, implicit),
		{"TagSession is an action of its own", kase{
			principal: theirUser, action: "sts:TagSession", resource: targetRole, identity: []string{allowAll}, policy: trust(by("222222222222")),
		}, implicit},
		{"TagSession allowed", kase{
			principal: theirUser, action: "sts:TagSession", resource: targetRole, identity: []string{allowAll},
			policy: doc(`{"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], ` + by("222222222222") + `}`),
		}, allow},
		{"SetSourceIdentity is an action of its own", kase{
			principal: theirUser, action: "sts:SetSourceIdentity", resource: targetRole, identity: []string{allowAll}, policy: trust(by("222222222222")),
		}, implicit},
		{"other actions of sts need no trust policy", kase{action: "sts:GetCallerIdentity", resource: "*", account: "111111111111", identity: []string{allowAll}}, allow},
		{"key policy is mandatory", kase{action: "kms:Decrypt", resource: "arn:aws:kms:eu-west-1:111111111111:key/a", identity: []string{allowAll}}, implicit},
		{"key policy delegates", kase{
			action: "kms:Decrypt", resource: "arn:aws:kms:eu-west-1:111111111111:key/a", identity: []string{allowAll},
			policy: doc(stmt("Allow", "kms:*", "*", by(oursRoot))),
		}, allow},
	})
}

func TestCombination(t *testing.T) {
	const key = "arn:aws:s3:::b/x"
	s3 := func(name string, k kase, decision string) row {
		k.action, k.resource, k.account = "s3:GetObject", key, "111111111111"
		return row{name, k, decision}
	}
	grant := func(principal string, more ...string) string {
		return doc(stmt("Allow", "s3:GetObject", "*", append([]string{`"Principal": ` + principal}, more...)...))
	}
	aws := func(text string) string { return grant(`{"AWS": "` + text + `"}`) }
	byARN := grant(`"*"`, when("StringEquals", "aws:PrincipalArn", appRole))
	id := []string{allowAll}
	quiet := []string{silent}
	deny := doc(stmt("Deny", "s3:*", "*", everyone))
	rows := []row{
		s3("nothing", kase{}, implicit),
		s3("identity", kase{identity: id}, allow),
		s3("resource", kase{policy: aws(alice)}, allow),
		s3("one of several identity policies", kase{identity: []string{silent, allowAll}}, allow),
		s3("delegation alone", kase{policy: aws(oursRoot)}, implicit),
		s3("boundary allows nothing by itself", kase{boundary: allowAll}, implicit),
		s3("identity and boundary", kase{identity: id, boundary: allowAll}, allow),
		s3("identity, silent boundary", kase{identity: id, boundary: silent}, implicit),
		s3("identity, empty boundary", kase{identity: id, boundary: doc()}, implicit),
		s3("identity and session", kase{principal: appSession, identity: id, session: id}, allow),
		s3("identity, silent session", kase{principal: appSession, identity: id, session: quiet}, implicit),
		s3("session policies are joined", kase{principal: appSession, identity: id, session: []string{silent, allowAll}}, allow),
		s3("no session policies are no layer", kase{principal: appSession, identity: id, session: []string{}}, allow),
		s3("empty session policy", kase{principal: appSession, identity: id, session: []string{doc()}}, implicit),

		s3("user by ARN: not limited by a silent boundary", kase{policy: aws(alice), boundary: silent}, allow),
		s3("role by ARN: limited by a silent boundary", kase{principal: appSession, policy: aws(appRole), boundary: silent}, implicit),
		s3("role by ARN: limited by a silent session policy", kase{principal: appSession, policy: aws(appRole), session: quiet}, implicit),
		s3("role by ARN: not limited by missing identity", kase{principal: appSession, policy: aws(appRole)}, allow),
		s3("role by ARN: any session, limited by a silent boundary", kase{principal: appRole, policy: aws(appRole), boundary: silent}, implicit),
		s3("session by ARN: not limited by a silent boundary", kase{principal: appSession, policy: aws(appSession), boundary: silent}, allow),
		s3("session by ARN: not limited by a silent session policy", kase{principal: appSession, policy: aws(appSession), session: quiet}, allow),
		s3("* and aws:PrincipalArn: not limited by a silent boundary", kase{principal: appSession, policy: byARN, boundary: silent}, allow),
		s3("* and aws:PrincipalArn: not limited by a silent session policy", kase{principal: appSession, policy: byARN, session: quiet}, allow),
		s3("plain *: not limited by a silent boundary", kase{principal: appSession, policy: grant(`"*"`), boundary: silent}, allow),
		s3("plain *: limited by a silent session policy", kase{principal: appSession, policy: grant(`"*"`), session: quiet}, implicit),
		s3("federated user by ARN: not limited", kase{principal: fedBob, policy: aws(fedBob), session: quiet, boundary: silent}, allow),
		s3("federated user by its user: limited by a silent session policy", kase{principal: fedBob, policy: aws("arn:aws:iam::111111111111:user/bob"), session: quiet}, implicit),
		s3("federated user by its user: with a session policy", kase{principal: fedBob, policy: aws("arn:aws:iam::111111111111:user/bob"), session: id}, allow),
		s3("federated user by another user", kase{principal: fedBob, policy: aws(alice), session: id}, implicit),
		s3("federated user without a session policy", kase{principal: fedBob, identity: id}, implicit),
		s3("federated user without a session policy, everyone", kase{principal: fedBob, policy: grant(`"*"`)}, implicit),
		s3("federated user with a session policy", kase{principal: fedBob, identity: id, session: id}, allow),
		s3("explicit deny of a session policy wins", kase{principal: appSession, policy: aws(appSession), session: []string{denyAll}}, explicit),
		s3("explicit deny of a boundary wins", kase{policy: aws(alice), boundary: denyAll}, explicit),
		s3("explicit deny of an identity policy wins", kase{identity: []string{allowAll, denyAll}, policy: aws(alice)}, explicit),
		s3("explicit deny of a resource policy wins", kase{identity: id, policy: deny}, explicit),

		s3("cross account: identity alone", kase{principal: theirUser, identity: id}, implicit),
		s3("cross account: resource alone", kase{principal: theirUser, policy: aws(theirUser)}, implicit),
		s3("cross account: both", kase{principal: theirUser, identity: id, policy: aws(theirUser)}, allow),
		s3("cross account: both, by account", kase{principal: theirUser, identity: id, policy: aws("222222222222")}, allow),
		s3("cross account: silent boundary", kase{principal: theirUser, identity: id, policy: aws(theirUser), boundary: silent}, implicit),
		s3("cross account: silent session policy, session named", kase{principal: theirsApp, identity: id, policy: aws(theirsApp), session: quiet}, implicit),
		s3("cross account: silent boundary, * and aws:PrincipalArn", kase{
			principal: theirsApp, identity: id, boundary: silent, policy: grant(`"*"`, when("ArnLike", "aws:PrincipalArn", "arn:aws:iam::222222222222:role/*")),
		}, implicit),

		s3("root of the account", kase{principal: oursRoot}, allow),
		s3("root, silent SCP", kase{principal: oursRoot, scps: [][]string{{silent}}}, implicit),
		s3("root, explicit deny in the resource policy", kase{principal: oursRoot, policy: deny}, explicit),
		s3("root of another account", kase{principal: "arn:aws:iam::222222222222:root"}, implicit),
		s3("root of another account, let in", kase{principal: "arn:aws:iam::222222222222:root", policy: aws("222222222222")}, allow),

		s3("SCP allows", kase{identity: id, scps: [][]string{{allowAll}}}, allow),
		s3("SCP: one of a level", kase{identity: id, scps: [][]string{{silent, allowAll}}}, allow),
		s3("SCP: every level", kase{identity: id, scps: [][]string{{allowAll}, {silent}}}, implicit),
		s3("SCP: a level without policies", kase{identity: id, scps: [][]string{{}}}, implicit),
		s3("SCP: no levels are no layer", kase{identity: id, scps: [][]string{}}, allow),
		s3("SCP denies", kase{identity: id, scps: [][]string{{allowAll, denyAll}}}, explicit),
		s3("SCP limits what a resource policy grants", kase{policy: aws(alice), scps: [][]string{{silent}}}, implicit),
		s3("SCP with a condition on Allow", kase{identity: id, scps: [][]string{{doc(stmt("Allow", "*", "*", when("StringEquals", "aws:username", "alice")))}}}, allow),
		s3("SCP: management account is exempt", kase{identity: id, scps: [][]string{{denyAll}}, managementAccount: true}, allow),
		s3("SCP: another account's principal is not", kase{principal: theirUser, identity: id, policy: aws(theirUser), scps: [][]string{{silent}}, managementAccount: true}, implicit),
		s3("SCP: service-linked role is exempt", kase{principal: appRole, identity: id, scps: [][]string{{denyAll}}, serviceLinked: true}, allow),
	}
	rcp := func(effect, action string, more ...string) string {
		return doc(stmt(effect, action, "*", append([]string{everyone}, more...)...))
	}
	rows = append(rows,
		s3("RCP denies", kase{identity: id, rcps: [][]string{{rcp("Deny", "s3:*")}}}, explicit),
		s3("RCP that does not apply", kase{identity: id, rcps: [][]string{{rcp("Deny", "s3:*", when("Bool", "aws:SecureTransport", "false"))}}}, allow),
		s3("RCP: RCPFullAWSAccess is attached", kase{identity: id, rcps: [][]string{{}}}, allow),
		s3("RCP: RCPFullAWSAccess may be given", kase{identity: id, rcps: [][]string{{rcp("Allow", "*")}}}, allow),
		s3("RCP: management account is exempt", kase{identity: id, rcps: [][]string{{rcp("Deny", "s3:*")}}, managementAccount: true}, allow),
		s3("RCP: service-linked role is exempt", kase{principal: appRole, identity: id, rcps: [][]string{{rcp("Deny", "s3:*")}}, serviceLinked: true}, allow),
		s3("RCP reaches other accounts' principals", kase{principal: theirUser, identity: id, policy: aws(theirUser), rcps: [][]string{{rcp("Deny", "s3:*")}}}, explicit),
		row{"RCP does not reach execute-api", kase{identity: id, rcps: [][]string{{rcp("Deny", "execute-api:*")}}}, allow},
		row{"RCP does not reach eks", kase{action: "eks:DescribeCluster", resource: "arn:aws:eks:eu-west-1:111111111111:cluster/c", identity: id, rcps: [][]string{{rcp("Deny", "eks:*")}}}, allow},

		s3("endpoint policy allows", kase{identity: id, vpce: doc(stmt("Allow", "*", "*", everyone))}, allow),
		s3("endpoint policy is silent", kase{identity: id, vpce: doc(stmt("Allow", "ec2:*", "*", everyone))}, implicit),
		s3("endpoint policy names another", kase{identity: id, vpce: doc(stmt("Allow", "*", "*", by(theirUser)))}, implicit),
		s3("endpoint policy denies", kase{identity: id, vpce: doc(stmt("Deny", "*", "*", everyone))}, explicit),

		s3("anonymous", kase{principal: "anonymous"}, implicit),
		s3("anonymous, everyone", kase{principal: "anonymous", policy: grant(`"*"`)}, allow),
		s3("service, identity policies are nobody's", kase{principal: "lambda.amazonaws.com", identity: id}, implicit),
		s3("service, silent boundary", kase{principal: "lambda.amazonaws.com", policy: grant(`"*"`), boundary: silent}, implicit),
		row{"EKS has no resource policies: cross account", kase{principal: theirUser, action: "eks:DescribeCluster", resource: "arn:aws:eks:eu-west-1:111111111111:cluster/c", identity: id}, implicit},
	)
	check(t, rows)
}
