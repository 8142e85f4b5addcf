package eks

import (
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/iam"
)

func statement(body string) string {
	return `{"Version":"2012-10-17","Statement":[` + body + `]}`
}

func TestJudgeTrust(t *testing.T) {
	t.Parallel()
	const (
		own   = `"StringEqualsIgnoreCase":{"sts:RoleSessionName":"${SAML:sub}"}`
		bound = `"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::222222222222:role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_*"}`
	)
	assume := func(principal, condition string) string {
		if condition != "" {
			condition = `,"Condition":{` + condition + `}`
		}
		return `{"Effect":"Allow","Principal":` + principal + `,"Action":"sts:AssumeRole"` + condition + `}`
	}
	for _, c := range []struct{ name, policy, result, want string }{
		{"the documentation's for SSO", ssoTrust, resultOK, "caller's own"},
		{"the documentation's for SAML", samlTrust, resultWarning, "RoleSessionName"},
		{"no condition", statement(assume(`{"AWS":"arn:aws:iam::222222222222:root"}`, "")), resultFailed, "as anybody"},
		{"a limit on who, none on the name", statement(assume(`{"AWS":"*"}`, bound)), resultFailed, "as anybody"},
		{"the name from anybody's provider", statement(assume(`{"AWS":"*"}`, own)), resultFailed, "every AWS account"},
		{"any account in the ARN", statement(assume(`"*"`, own+`,"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/AWSReservedSSO_*"}`)), resultFailed, "every AWS account"},
		{"an organization", statement(assume(`"*"`, own+`,"StringEquals":{"aws:PrincipalOrgID":"o-abc"}`)), resultOK, ""},
		{"not an organization", statement(assume(`"*"`, own+`,"StringNotEquals":{"aws:PrincipalOrgID":"o-abc"}`)), resultFailed, "every AWS account"},
		{"an account as principal", statement(assume(`{"AWS":"222222222222"}`, own)), resultOK, ""},
		{"compared with case", statement(assume(`{"AWS":"222222222222"}`, `"StringEquals":{"sts:RoleSessionName":"${SAML:sub}"}`)), resultOK, ""},
		{"a pattern around the name", statement(assume(`{"AWS":"222222222222"}`, `"StringLike":{"sts:RoleSessionName":"${SAML:sub}*"}`)), resultFailed, "as anybody"},
		{"a default for the name", statement(assume(`{"AWS":"222222222222"}`, `"StringEquals":{"sts:RoleSessionName":"${SAML:sub, 'admin@example.com'}"}`)), resultFailed, "as anybody"},
		{"one of two values is anything", statement(assume(`{"AWS":"222222222222"}`, `"StringLike":{"sts:RoleSessionName":["${SAML:sub}","*"]}`)), resultFailed, "as anybody"},
		{"a denial is no condition", statement(assume(`{"AWS":"222222222222"}`, "") + `,{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole","Condition":{"StringNotEquals":{"sts:RoleSessionName":"${SAML:sub}"}}}`), resultFailed, "as anybody"},
		{"a user's own name", statement(assume(`{"AWS":"222222222222"}`, `"StringEquals":{"sts:RoleSessionName":"${aws:username}"}`)), resultOK, ""},
		{"a tag that users may choose", statement(assume(`{"AWS":"222222222222"}`, `"StringEquals":{"sts:RoleSessionName":"${aws:RequestTag/name}"}`)), resultFailed, "as anybody"},
		{"an old version has no variables", `{"Version":"2008-10-17","Statement":[` + assume(`{"AWS":"222222222222"}`, own) + `]}`, resultFailed, "plain text"},
		{"a fixed name for a machine", statement(assume(`{"AWS":"222222222222"}`, `"StringEquals":{"sts:RoleSessionName":"gatehouse-probe"}`)), resultOK, "fixed names"},
		{"a fixed name that is somebody's", statement(assume(`{"AWS":"222222222222"}`, `"StringEquals":{"sts:RoleSessionName":"ceo@example.com"}`)), resultFailed, "as anybody"},
		{"a second way in", statement(assume(`{"AWS":"222222222222"}`, own) + "," + assume(`{"AWS":"arn:aws:iam::222222222222:role/ci"}`, "")), resultFailed, "number 2"},
		{"every action", statement(`{"Effect":"Allow","Principal":{"AWS":"222222222222"},"Action":"sts:*"}`), resultFailed, "as anybody"},
		{"web identities", statement(`{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::222222222222:oidc-provider/x.example.com"},"Action":"sts:AssumeRoleWithWebIdentity"}`), resultFailed, "web identities"},
		{"SAML without an audience", strings.ReplaceAll(samlTrust, "SAML:aud", "SAML:iss"), resultFailed, "audience"},
		{"SAML with the name", strings.ReplaceAll(samlTrust, `"Condition":{`, `"Condition":{`+own+`,`), resultOK, "assertion's subject"},
		{"a service", statement(`{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}`), resultWarning, "services"},
		{"nobody", statement(`{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRole"}`), resultFailed, "nobody"},
		{"no policy", `{`, resultFailed, "cannot be read"},
	} {
		v := judgeTrust(c.policy)
		if text := strings.Join(v.detail, "; "); v.result != c.result || !strings.Contains(text, c.want) {
			t.Errorf("%s: %s: %s; want %s with %q", c.name, v.result, text, c.result, c.want)
		}
		if v.result == resultFailed && v.mend == "" {
			t.Errorf("%s: nothing says how to mend it", c.name)
		}
	}
}

// What is judged right is right by the evaluator too: nobody is let in under a name that
// is not theirs, and everybody under their own.
func TestJudgedTrustLetsNobodyBeAnother(t *testing.T) {
	t.Parallel()
	policy, err := iam.ParseAndCompile(iam.KindTrust, []byte(ssoTrust))
	if err != nil {
		t.Fatal(err)
	}
	const sso = "arn:aws:iam::222222222222:role/aws-reserved/sso.amazonaws.com/eu-west-1/AWSReservedSSO_Dev_0123456789abcdef"
	for _, c := range []struct {
		principal, arn, sub, session string
		want                         bool
	}{
		{"222222222222", sso, "alice@example.com", "alice@example.com", true},
		{"222222222222", sso, "alice@example.com", "ALICE@example.com", true},
		{"222222222222", sso, "mallory@example.com", "alice@example.com", false},
		{"222222222222", "arn:aws:iam::222222222222:role/ci", "alice@example.com", "alice@example.com", false},
		{"333333333333", strings.ReplaceAll(sso, "222222222222", "333333333333"), "alice@example.com", "alice@example.com", false},
	} {
		who, err := iam.ParsePrincipal("arn:aws:sts::" + c.principal + ":assumed-role/AWSReservedSSO_Dev_0123456789abcdef/" + c.sub)
		if err != nil {
			t.Fatal(err)
		}
		q, err := iam.Request{
			Principal: who, Action: "sts:AssumeRole", Resource: testRole, ResourceAccount: testAccount,
			Context: iam.Context{"aws:PrincipalArn": {c.arn}, "saml:sub": {c.sub}, "sts:RoleSessionName": {c.session}},
		}.Prepare()
		if err != nil {
			t.Fatal(err)
		}
		all, err := iam.ParseAndCompile(iam.KindIdentity, []byte(statement(`{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"*"}`)))
		if err != nil {
			t.Fatal(err)
		}
		got := (&iam.Policies{Resource: iam.Attached{Policy: policy}, Identity: []iam.Attached{{Policy: all}}}).Decide(q)
		if (got == iam.Allowed) != c.want {
			t.Errorf("%s as %s from %s: %v", c.sub, c.session, c.arn, got)
		}
	}
}
