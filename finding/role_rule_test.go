package finding

import (
	"slices"
	"strings"
	"testing"
)

// trusted makes a role with one statement in its trust policy.
func trusted(principal, condition string) func(*world) {
	action := "sts:AssumeRole"
	if len(principal) > 12 && principal[:12] == `{"Federated"` {
		action = "sts:AssumeRoleWithWebIdentity"
	}
	if condition != "" {
		condition = `,"Condition":` + condition
	}
	return trusting(`{"Version":"2012-10-17","Statement":[{"Sid":"S1","Effect":"Allow","Principal":` + principal + `,"Action":"` + action + `"` + condition + `}]}`)
}

func trusting(document string) func(*world) {
	return principal(Principal{ARN: "arn:aws:iam::111122223333:role/app", Trust: document})
}

func principal(p Principal) func(*world) {
	return func(w *world) { w.estate.Accounts[0].Principals = []Principal{p} }
}

// may makes a role that may do something on everything.
func may(actions ...string) func(*world) {
	p := Principal{ARN: "arn:aws:iam::111122223333:role/app"}
	for _, a := range actions {
		p.Wide = append(p.Wide, Wide{a, "*", "inline policy all of role app"})
	}
	return principal(p)
}

func partly(p Principal) func(*world) {
	p.ARN, p.Partial = "arn:aws:iam::111122223333:role/app", true
	return principal(p)
}

const (
	eksIssuer    = "oidc.eks.eu-west-1.amazonaws.com/id/ABCDEF"
	byCluster    = `{"Federated":"arn:aws:iam::111122223333:oidc-provider/` + eksIssuer + `"}`
	byCognito    = `{"Federated":"cognito-identity.amazonaws.com"}`
	byGitHub     = `{"Federated":"arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"}`
	exactSubject = `"` + eksIssuer + `:sub":"system:serviceaccount:shop:orders"`
	exactIRSA    = `{"StringEquals":{` + exactSubject + `,"` + eksIssuer + `:aud":"sts.amazonaws.com"}}`
	user         = "arn:aws:iam::111122223333:user/bob"
	awsRole      = "arn:aws:iam::111122223333:role/aws-service-role/ops.amazonaws.com/AWSServiceRoleForOps"
)

func owns(w *world, account string) {
	w.estate.Accounts = append(w.estate.Accounts, Account{ID: account, Partition: "aws"})
}

var roleRuleCases = []ruleCase{
	{"role-trust-anybody", "", "one role", trusted(`{"AWS":"arn:aws:iam::444455556666:role/a"}`, ""), Pass},
	{"role-trust-anybody", "", "everybody", trusted(`"*"`, ""), Fail},
	{"role-trust-anybody", "", "everybody by star", trusted(`{"AWS":"*"}`, ""), Fail},
	{"role-trust-anybody", "", "an external id keeps strangers out", trusted(`"*"`, `{"StringEquals":{"sts:ExternalId":"s3cret"}}`), Pass},
	{"role-trust-anybody", "", "an organization does", trusted(`"*"`, `{"StringEquals":{"aws:PrincipalOrgID":"o-mine000000"}}`), Pass},
	{"role-trust-anybody", "", "a session name does not", trusted(`"*"`, `{"StringEquals":{"sts:RoleSessionName":"ci"}}`), Fail},
	{"role-trust-anybody", "", "nor a tag of the caller", trusted(`"*"`, `{"StringEquals":{"aws:PrincipalTag/team":"shop"}}`), Fail},
	{"role-trust-anybody", "", "nor a second factor", trusted(`"*"`, `{"Bool":{"aws:MultiFactorAuthPresent":"true"}}`), Fail},
	{"role-trust-anybody", "", "nor a name that he can choose", trusted(`"*"`, `{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/deployer-*"}}`), Fail},
	{"role-trust-anybody", "", "the path of Identity Center cannot be made", trusted(`"*"`, `{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/aws-reserved/sso.amazonaws.com/*"}}`), Pass},
	{"role-trust-anybody", "", "a role of one account can be named by pattern", trusted(`"*"`, `{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/*"}}`), Pass},
	{"role-trust-anybody", "", "a few addresses do", trusted(`"*"`, `{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`), Pass},
	{"role-trust-anybody", "", "a Deny of all others closes it", trusting(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole"},
		{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringNotEquals":{"aws:PrincipalAccount":"111122223333"}}}]}`), Pass},
	{"role-trust-anybody", "", "a service", trusted(`{"Service":"lambda.amazonaws.com"}`, ""), Pass},
	{"role-trust-anybody", "", "an external id that is any", trusted(`"*"`, `{"StringLike":{"sts:ExternalId":"*"}}`), Fail},
	{"role-trust-anybody", "", "a name and a tag, by two statements", trusting(`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:RoleSessionName":"ci"}}},
		{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringNotEquals":{"aws:PrincipalTag/team":"shop"}}}]}`), Fail},
	{"role-trust-anybody", "", "no policy at all", trusting("{"), NotSeen},
	{"role-trust-anybody", "", "not read", trusting(""), NotSeen},
	{"role-trust-anybody", "", "a user", principal(Principal{ARN: user}), NotApplicable},
	{"role-trust-anybody", "", "AWS's own", principal(Principal{ARN: awsRole, Trust: "{"}), NotApplicable},
	{"role-trust-outside", "", "an account", trusted(`{"AWS":"arn:aws:iam::444455556666:root"}`, ""), Fail},
	{"role-trust-outside", "", "an account by number", trusted(`{"AWS":"444455556666"}`, ""), Fail},
	{"role-trust-outside", "", "an external id", trusted(`{"AWS":"444455556666"}`, `{"StringEquals":{"sts:ExternalId":"s3cret"}}`), Pass},
	{"role-trust-outside", "", "an external id that need not be there", trusted(`{"AWS":"444455556666"}`, `{"StringEqualsIfExists":{"sts:ExternalId":"s3cret"}}`), Fail},
	{"role-trust-outside", "", "an external id that is any", trusted(`{"AWS":"444455556666"}`, `{"StringLike":{"sts:ExternalId":"?*"}}`), Fail},
	{"role-trust-outside", "", "an exact principal", trusted(`{"AWS":"arn:aws:iam::444455556666:role/provider"}`, ""), Pass},
	{"role-trust-outside", "", "a principal by condition", trusted(`{"AWS":"444455556666"}`, `{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::444455556666:role/provider"}}`), Pass},
	{"role-trust-outside", "", "one of ours", func(w *world) { trusted(`{"AWS":"444455556666"}`, "")(w); owns(w, "444455556666") }, NotApplicable},
	{"role-trust-outside", "", "everybody is told elsewhere", trusted(`"*"`, ""), NotApplicable},
	{"role-trust-outside", "", "its own account", trusted(`{"AWS":"111122223333"}`, ""), NotApplicable},
	{"role-trust-inside", "", "one of ours", func(w *world) { trusted(`{"AWS":"444455556666"}`, "")(w); owns(w, "444455556666") }, Fail},
	{"role-trust-inside", "", "one role of ours", func(w *world) {
		trusted(`{"AWS":"arn:aws:iam::444455556666:role/hub"}`, "")(w)
		owns(w, "444455556666")
	}, Pass},
	{"role-trust-inside", "", "one of ours, of our organization", func(w *world) {
		trusted(`{"AWS":"444455556666"}`, `{"StringEquals":{"aws:PrincipalOrgID":"o-mine000000"}}`)(w)
		owns(w, "444455556666")
	}, Fail},
	{"role-trust-inside", "", "an organization", trusted(`"*"`, `{"StringEquals":{"aws:PrincipalOrgID":"o-mine000000"}}`), Fail},
	{"role-trust-inside", "", "one role name in an organization", trusted(`"*"`, `{"StringEquals":{"aws:PrincipalOrgID":"o-mine000000"},"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/hub"}}`), Pass},
	{"role-trust-inside", "", "an account outside", trusted(`{"AWS":"444455556666"}`, ""), NotApplicable},
	{"oidc-subject-open", "", "a service account", trusted(byCluster, exactIRSA), Pass},
	{"oidc-subject-open", "", "no condition", trusted(byCluster, ""), Fail},
	{"oidc-subject-open", "", "the audience alone", trusted(byCluster, `{"StringEquals":{"`+eksIssuer+`:aud":"sts.amazonaws.com"}}`), Fail},
	{"oidc-subject-open", "", "every service account", trusted(byCluster, `{"StringLike":{"`+eksIssuer+`:sub":"system:serviceaccount:*:*"}}`), Fail},
	{"oidc-subject-open", "", "a star that is a star", trusted(byCluster, `{"StringEquals":{"`+eksIssuer+`:sub":"*"}}`), Pass},
	{"oidc-subject-open", "", "a claim of another provider", trusted(byCluster, `{"StringEquals":{"other.example:sub":"a"}}`), Pass},
	{"oidc-subject-open", "", "every repository", trusted(byGitHub, `{"StringLike":{"token.actions.githubusercontent.com:sub":"repo:*"}}`), Fail},
	{"oidc-subject-open", "", "all but one", trusted(byCluster, `{"StringNotEquals":{"`+eksIssuer+`:sub":"system:serviceaccount:a:b"}}`), Fail},
	{"oidc-subject-open", "", "no provider", trusted(`{"AWS":"444455556666"}`, ""), NotApplicable},
	{"oidc-subject-open", "", "SAML", trusted(`{"Federated":"arn:aws:iam::111122223333:saml-provider/idp"}`, ""), NotApplicable},
	{"oidc-subject-open", "", "the users of an app", trusted(byCognito, `{"StringEquals":{"cognito-identity.amazonaws.com:aud":"eu-west-1:pool"}}`), NotApplicable},
	{"oidc-audience-open", "", "the users of an app", trusted(byCognito, `{"StringEquals":{"cognito-identity.amazonaws.com:aud":"eu-west-1:pool"},"ForAnyValue:StringLike":{"cognito-identity.amazonaws.com:amr":"authenticated"}}`), Pass},
	{"oidc-audience-open", "", "the users of any app", trusted(byCognito, `{"ForAnyValue:StringLike":{"cognito-identity.amazonaws.com:amr":"authenticated"}}`), Fail},
	{"oidc-subject-wide", "", "a service account", trusted(byCluster, exactIRSA), Pass},
	{"oidc-subject-wide", "", "a namespace", trusted(byCluster, `{"StringLike":{"`+eksIssuer+`:sub":"system:serviceaccount:shop:*"}}`), Fail},
	{"oidc-subject-wide", "", "a repository", trusted(byGitHub, `{"StringLike":{"token.actions.githubusercontent.com:sub":"repo:shop/orders:*"}}`), Fail},
	{"oidc-subject-wide", "", "everybody is told elsewhere", trusted(byCluster, ""), Pass},
	{"oidc-audience-open", "", "both", trusted(byCluster, exactIRSA), Pass},
	{"oidc-audience-open", "", "the subject alone", trusted(byCluster, `{"StringEquals":{`+exactSubject+`}}`), Fail},
	{"oidc-audience-open", "", "every audience", trusted(byCluster, `{"StringLike":{`+exactSubject+`,"`+eksIssuer+`:aud":"*"}}`), Fail},
	{"role-service-confused", "", "API Gateway", trusted(`{"Service":"apigateway.amazonaws.com"}`, ""), Fail},
	{"role-service-confused", "", "one account", trusted(`{"Service":"apigateway.amazonaws.com"}`, `{"StringEquals":{"aws:SourceAccount":"111122223333"}}`), Pass},
	{"role-service-confused", "", "one API", trusted(`{"Service":"apigateway.amazonaws.com"}`, `{"ArnLike":{"aws:SourceArn":"arn:aws:execute-api:*:111122223333:abc/*"}}`), Pass},
	{"role-service-confused", "", "any API of anybody", trusted(`{"Service":"apigateway.amazonaws.com"}`, `{"ArnLike":{"aws:SourceArn":"arn:aws:execute-api:*:*:*"}}`), Fail},
	{"role-service-confused", "", "EventBridge", trusted(`{"Service":["lambda.amazonaws.com","events.amazonaws.com"]}`, ""), Fail},
	{"role-service-confused", "", "logs of a region", trusted(`{"Service":"logs.eu-west-1.amazonaws.com"}`, ""), Fail},
	{"role-service-confused", "", "Lambda is no deputy", trusted(`{"Service":"lambda.amazonaws.com"}`, ""), NotApplicable},
	{"principal-administrator", "", "is none", may(WideInvoke), Pass},
	{"principal-administrator", "", "is one", may(WideEverything, WideInvoke), Fail},
	{"principal-administrator", "", "partly seen", partly(Principal{Wide: []Wide{{WideEverything, "*", "p"}}}), NotSeen},
	{"principal-administrator", "", "AWS's own", principal(Principal{ARN: awsRole}), NotApplicable},
	{"principal-invokes-every-api", "", "none", may(), Pass},
	{"principal-invokes-every-api", "", "every one", may(WideInvoke), Fail},
	{"principal-invokes-every-api", "", "an administrator", may(WideEverything, WideInvoke), NotApplicable},
	{"principal-invokes-every-api", "", "a user", principal(Principal{ARN: user, Wide: []Wide{{WideInvoke, "*", "p"}}}), Fail},
	{"principal-invokes-every-api", "", "partly seen", partly(Principal{}), NotSeen},
	{"principal-manages-every-api", "", "none", may(WideInvoke), Pass},
	{"principal-manages-every-api", "", "every one", may(WideDeleteAPI), Fail},
	{"principal-reads-every-log", "", "none", may(WideInvoke), Pass},
	{"principal-reads-every-log", "", "every one", may(WideSearchLog), Fail},
	{"principal-changes-every-log", "", "reads", may(WideSearchLog, WideReadLog), Pass},
	{"principal-changes-every-log", "", "deletes", may(WideDeleteLog), Fail},
}

// A Deny of everybody closes whatever a trust policy opens.
func TestDenyClosesTrust(t *testing.T) {
	t.Parallel()
	rules := []string{"role-trust-anybody", "role-trust-outside", "role-trust-inside", "oidc-subject-open", "oidc-subject-wide", "oidc-audience-open", "role-service-confused"}
	for _, c := range roleRuleCases {
		if c.want != Fail || !slices.Contains(rules, c.rule) {
			continue
		}
		t.Run(c.rule+"/"+c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(c.of)
			c.change(w)
			p := &w.estate.Accounts[0].Principals[0]
			p.Trust = strings.Replace(p.Trust, `"Statement":[`, `"Statement":[{"Effect":"Deny","Principal":"*","Action":"sts:*"},`, 1)
			if got, told := w.verdict(c.rule); got == Fail || got == NotSeen {
				t.Errorf("it says %s: %v", got, told)
			}
		})
	}
}
