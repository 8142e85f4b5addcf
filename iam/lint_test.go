package iam_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/iam"
)

// findings are what Lint finds, as "rule severity path".
func findings(kind iam.Kind, text string) []string {
	out := []string{}
	for _, f := range iam.Lint(kind, []byte(text)) {
		out = append(out, fmt.Sprintf("%s %s %s", f.Rule, f.Severity, f.Path))
	}
	return out
}

func TestLint(t *testing.T) {
	t.Parallel()
	const (
		id    = iam.KindIdentity
		res   = iam.KindResource
		trust = iam.KindTrust
	)
	api := "arn:aws:execute-api:eu-west-1:111111111111:a1b2c3d4e5"
	condition := func(effect string, more string) string {
		return doc(stmt(effect, "s3:GetObject", "*", `"Condition": `+more))
	}
	for _, c := range []struct {
		name string
		kind iam.Kind
		text string
		want []string
	}{
		{"nothing to say", id, doc(stmt("Allow", "execute-api:Invoke", api+"/prod/GET/pets/*")), nil},
		{"nothing to say of a resource policy", res, doc(stmt("Allow", "execute-api:Invoke", "execute-api:/prod/*", by(theirRole))), nil},
		{"invalid", id, `{"Statement": {"Effect": "allow"}}`, []string{"invalid error Statement.Effect"}},
		{"empty", id, doc(), []string{"empty warning Statement"}},
		{"no version", id, `{"Statement": ` + stmt("Allow", "s3:GetObject", "*") + `}`, []string{"version warning "}},
		{"old version", id, `{"Version": "2008-10-17", "Statement": ` + stmt("Allow", "s3:GetObject", "*") + `}`, []string{"version warning Version"}},
		{"variable in an old version", id, `{"Statement": ` + stmt("Allow", "s3:GetObject", "arn:aws:s3:::${aws:username}") + `}`, []string{"version warning ", "variable-version error Statement.Resource"}},

		{"sid", id, doc(stmt("Allow", "s3:GetObject", "*", `"Sid": "a b"`)), []string{"sid error Statement[0].Sid"}},
		{"sid of a resource policy", res, doc(stmt("Allow", "s3:GetObject", "*", `"Sid": "a b"`, by(theirRole))), nil},
		{"wildcard in a principal", res, doc(stmt("Allow", "execute-api:Invoke", "execute-api:/*", `"Principal": {"AWS": ["111111111111", "arn:aws:iam::111111111111:role/app-*"]}`)), []string{"principal-wildcard error Statement[0].Principal.AWS[1]"}},
		{"only a wildcard in a principal", res, doc(stmt("Deny", "execute-api:Invoke", "execute-api:/*", by("arn:aws:iam::111111111111:role/app-*"))), []string{"never-matches error Statement[0]", "principal-wildcard error Statement[0].Principal.AWS"}},
		{"deleted principal", res, doc(stmt("Allow", "execute-api:Invoke", "execute-api:/*", `"Principal": {"AWS": ["111111111111", "AROAEXAMPLEEXAMPLE12"]}`)), []string{"principal-deleted warning Statement[0].Principal.AWS[1]"}},
		{"provider for a principal", res, doc(stmt("Allow", "execute-api:Invoke", "execute-api:/*", `"Principal": {"AWS": ["111111111111", "`+oidc+`"]}`)), []string{"principal-form error Statement[0].Principal.AWS[1]"}},
		{"service that is none", res, doc(stmt("Allow", "execute-api:Invoke", "execute-api:/*", `"Principal": {"Service": "apigateway"}`)), []string{"principal-form error Statement[0].Principal.Service"}},
		{"federated that is none", res, doc(stmt("Allow", "execute-api:Invoke", "execute-api:/*", `"Principal": {"Federated": ["x", "`+alice+`"]}`)), []string{"principal-form error Statement[0].Principal.Federated[0]", "principal-form error Statement[0].Principal.Federated[1]"}},
		{"NotPrincipal with Deny", res, doc(stmt("Deny", "execute-api:Invoke", "execute-api:/*", `"NotPrincipal": {"AWS": "111111111111"}`)), []string{"not-principal warning Statement[0].NotPrincipal"}},
		{"NotPrincipal with Allow", res, doc(stmt("Allow", "execute-api:Invoke", "execute-api:/*", `"NotPrincipal": {"AWS": "111111111111"}`)), []string{"not-principal error Statement[0].NotPrincipal"}},
		{"open API", res, invokeBy("*"), []string{"open-to-everyone warning Statement[0].Principal"}},
		{"open for preflight alone", res, doc(stmt("Allow", "execute-api:Invoke", "execute-api:/prod/OPTIONS/*", everyone)), nil},
		{"open with a condition", res, doc(stmt("Allow", "execute-api:Invoke", "execute-api:/*", everyone, when("StringEquals", "aws:SourceVpce", "vpce-1"))), nil},
		{"open role", trust, doc(stmt("Allow", "sts:AssumeRole", "", everyone)), []string{"open-to-everyone error Statement[0].Principal"}},
		{"open endpoint", iam.KindVPCEndpoint, doc(stmt("Allow", "execute-api:Invoke", "*", everyone)), nil},

		{"unknown action", id, doc(stmt("Allow", "execute-api:Call", api+"/*")), []string{"unknown-action error Statement[0].Action"}},
		{"unknown actions", id, doc(`{"Effect": "Deny", "NotAction": ["sts:Assume*", "sts:Foo*"], "Resource": "*"}`), []string{"unknown-action error Statement[0].NotAction[1]"}},
		{"other service in a trust policy", trust, doc(stmt("Allow", "execute-api:Invoke", "", `"Principal": {"Service": "lambda.amazonaws.com"}`)), []string{"unknown-action error Statement[0].Action"}},
		{"every action", id, allowAll, []string{"every-action warning Statement[0].Action"}},
		{"every action in a boundary", iam.KindBoundary, allowAll, nil},
		{"NotAction with Allow", id, doc(`{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}`), []string{"not-action warning Statement[0].NotAction"}},

		{"every API", id, doc(stmt("Allow", "execute-api:Invoke", "*")), []string{"api-wildcard warning Statement[0].Resource"}},
		{"* where the API belongs", id, doc(stmt("Allow", "execute-api:Invoke", "arn:aws:execute-api:us-east-1:548754742764:*")), []string{"api-wildcard warning Statement[0].Resource"}},
		{"* where the API belongs, in a Deny", id, doc(stmt("Deny", "execute-api:Invoke", "arn:aws:execute-api:us-east-1:548754742764:*/prod/*")), nil},
		{"* where the account belongs", id, doc(`{"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": ["arn:aws:execute-api:us-east-1:*:a1b2c3d4e5/*", "` + api + `/*"]}`), []string{"account-wildcard warning Statement[0].Resource[0]"}},
		{"domain", res, doc(stmt("Allow", "execute-api:Invoke", "arn:aws:execute-api:eu-west-1:111111111111:/domainnames/x+y", by(theirRole))), nil},
		{"ANY", id, doc(stmt("Allow", "execute-api:Invoke", api+"/prod/ANY/pets")), []string{"method error Statement[0].Resource"}},
		{"method in lower case", res, doc(stmt("Allow", "execute-api:Invoke", "execute-api:/prod/get/pets", by(theirRole))), []string{"method error Statement[0].Resource"}},
		{"no method", id, doc(stmt("Allow", "execute-api:Invoke", api+"/prod/pets/1")), []string{"method error Statement[0].Resource"}},
		{"method with a wildcard", id, doc(stmt("Allow", "execute-api:Invoke", api+"/prod/P*/1")), nil},
		{"route of a WebSocket API", id, doc(stmt("Allow", "execute-api:Invoke", api+"/prod/$connect")), nil},
		{"connections", id, doc(stmt("Allow", "execute-api:ManageConnections", api+"/prod/POST/@connections/*")), nil},
		{"any stage", id, doc(stmt("Allow", "execute-api:Invoke", api+"/*/pets/1")), nil},
		{"two slashes", id, doc(stmt("Allow", "execute-api:Invoke", api+"/prod/GET//pets")), []string{"path error Statement[0].Resource"}},
		{"template", id, doc(stmt("Allow", "execute-api:Invoke", api+"/prod/GET/pets/{id}")), []string{"path error Statement[0].Resource"}},
		{"variable in a path", id, doc(stmt("Allow", "execute-api:Invoke", api+"/prod/GET/pets/${aws:username}/x")), nil},
		{"variable without end in a path", id, doc(stmt("Allow", "execute-api:Invoke", api+"/prod/GET/pets/${aws:username")), []string{"variable-form error Statement[0].Resource"}},
		{"variable before the fifth colon", id, doc(stmt("Allow", "execute-api:Invoke", "arn:aws:execute-api:eu-west-1:${aws:PrincipalAccount}:a1b2c3d4e5/*")), []string{"variable-place error Statement[0].Resource"}},
		{"variable without a key", id, doc(stmt("Allow", "s3:GetObject", "arn:aws:s3:::${aws:username}${*}/${username}")), []string{"variable-form error Statement[0].Resource"}},

		{"other service", id, doc(stmt("Deny", "execute-api:Invoke", "arn:aws:s3:::b")), []string{"never-matches error Statement[0]"}},
		{"other service, allowed", id, doc(stmt("Allow", "s3:GetObject", api+"/*")), []string{"never-matches warning Statement[0]"}},
		{"other service in short form", res, doc(stmt("Allow", "s3:GetObject", "execute-api:/*", by(theirRole))), []string{"never-matches warning Statement[0]"}},
		{"role for sts", id, doc(stmt("Allow", "sts:AssumeRole", targetRole)), nil},
		{"NotAction of all", id, doc(`{"Effect": "Deny", "NotAction": "*", "Resource": "*"}`), []string{"never-matches error Statement[0]"}},
		{"NotResource of all", id, doc(`{"Effect": "Deny", "Action": "s3:*", "NotResource": "*"}`), []string{"never-matches error Statement[0]"}},
		{"absent and present", id, condition("Deny", `{"Null": {"aws:username": "true"}, "StringEquals": {"aws:username": "a"}}`), []string{"never-matches error Statement[0]"}},
		{"absent, or a value", id, condition("Deny", `{"Null": {"aws:username": "true"}, "StringEqualsIfExists": {"aws:username": "a"}}`), nil},
		{"denied and allowed", id, doc(stmt("Allow", "s3:GetObject", "arn:aws:s3:::b/*"), stmt("Deny", "s3:*", "*")), []string{"unreachable warning Statement[0]"}},
		{"allowed twice", id, doc(stmt("Allow", "s3:Get*", "*"), stmt("Allow", "s3:GetObject", "arn:aws:s3:::b/?*")), []string{"superfluous info Statement[1]"}},
		{"the same twice", id, doc(stmt("Allow", "s3:Get*", "*"), stmt("Allow", "S3:get*", "*")), []string{"superfluous info Statement[1]"}},
		{"a question mark covers nothing else", id, doc(stmt("Allow", "s3:GetObject?", "*"), stmt("Allow", "s3:GetObject*", "arn:aws:s3:::b")), nil},
		{"a condition covers nothing", id, doc(stmt("Deny", "s3:*", "*", when("Bool", "aws:SecureTransport", "false")), stmt("Allow", "s3:GetObject", "*")), nil},
		{"principals that cover", res, doc(stmt("Deny", "s3:*", "*", `"Principal": {"AWS": ["111111111111", "222222222222"], "Service": "s3.amazonaws.com"}`), stmt("Allow", "s3:GetObject", "*", by("111111111111"))), []string{"unreachable warning Statement[1]"}},
		{"principals that do not", res, doc(stmt("Deny", "s3:*", "*", by("222222222222")), stmt("Allow", "s3:GetObject", "*", by("111111111111"))), nil},
		{"everyone covers", res, doc(stmt("Deny", "s3:*", "*", everyone), stmt("Allow", "s3:GetObject", "*", by("111111111111"))), []string{"unreachable warning Statement[1]"}},
		{"everyone is not covered", res, doc(stmt("Deny", "s3:*", "*", by("111111111111")), stmt("Allow", "s3:GetObject", "*", everyone, when("Bool", "aws:SecureTransport", "true"))), nil},
		{"principals of several kinds", res, doc(stmt("Deny", "s3:*", "*", `"Principal": {"Service": "s3.amazonaws.com"}`), stmt("Deny", "s3:*", "*", `"Principal": {"Federated": "accounts.google.com"}`)), nil},

		{"key without a prefix", id, condition("Allow", `{"StringEquals": {"username": "a"}}`), []string{"condition-key error Statement[0].Condition.StringEquals.username"}},
		{"unknown key", id, condition("Allow", `{"StringEquals": {"aws:PrincipleArn": "a"}}`), []string{"condition-key error Statement[0].Condition.StringEquals.aws:PrincipleArn"}},
		{"tag and service keys", id, condition("Allow", `{"StringEquals": {"aws:PrincipalTag/Team": "a", "s3:prefix": "b"}}`), nil},
		{"wildcard in StringEquals", id, condition("Allow", `{"StringEquals": {"aws:username": ["a", "b*"]}}`), []string{"equals-with-wildcard error Statement[0].Condition.StringEquals.aws:username[1]"}},
		{"wildcard in StringNotEquals", id, condition("Allow", `{"StringNotEquals": {"aws:username": "b*"}}`), []string{"equals-with-wildcard error Statement[0].Condition.StringNotEquals.aws:username"}},
		{"StringLike on an ARN", id, condition("Allow", `{"StringLike": {"aws:SourceArn": "arn:*"}}`), []string{"string-on-arn info Statement[0].Condition.StringLike.aws:SourceArn"}},
		{"StringNotLike on an ARN", id, condition("Allow", `{"StringNotLike": {"aws:SourceArn": "arn:*"}}`), []string{"string-on-arn info Statement[0].Condition.StringNotLike.aws:SourceArn"}},
		{"types", id, condition("Allow", `{"NumericEquals": {"a:n": "x"}, "DateEquals": {"a:d": "x"}, "IpAddress": {"a:i": "x"}, "Bool": {"a:b": "x"}, "ArnLike": {"a:a": "*"}, "BinaryEquals": {"a:y": "!"}, "Null": {"a:u": "x"}}`), []string{
			"value-type error Statement[0].Condition.NumericEquals.a:n", "value-type error Statement[0].Condition.DateEquals.a:d",
			"value-type error Statement[0].Condition.IpAddress.a:i", "value-type error Statement[0].Condition.Bool.a:b",
			"value-type error Statement[0].Condition.ArnLike.a:a", "value-type error Statement[0].Condition.BinaryEquals.a:y",
			"value-type error Statement[0].Condition.Null.a:u",
		}},
		{"right types", id, condition("Allow", `{"NumericEquals": {"a:n": "1"}, "DateEquals": {"a:d": "2026"}, "IpAddress": {"a:i": "::1"}, "Bool": {"a:b": "${aws:username}"}, "ArnLike": {"a:a": "arn:aws:s3:::${aws:username}"}, "Null": {"a:u": "true"}}`), nil},
		{"variable in Numeric", id, condition("Allow", `{"NumericEquals": {"a:n": "${aws:username}"}}`), []string{"variable-place error Statement[0].Condition.NumericEquals.a:n"}},
		{"ForAllValues with Allow", id, condition("Allow", `{"ForAllValues:StringEquals": {"aws:TagKeys": "a"}}`), []string{"for-all-values warning Statement[0].Condition.ForAllValues:StringEquals.aws:TagKeys"}},
		{"ForAllValues with Null", id, condition("Allow", `{"ForAllValues:StringEquals": {"aws:TagKeys": "a"}, "Null": {"aws:TagKeys": "false"}}`), nil},
		{"MFA", id, condition("Deny", `{"Bool": {"aws:MultiFactorAuthPresent": "false"}}`), []string{"mfa warning Statement[0].Condition.Bool.aws:MultiFactorAuthPresent"}},
		{"IfExists with Allow", id, condition("Allow", `{"IpAddressIfExists": {"aws:SourceIp": "10.0.0.0/8"}}`), []string{"if-exists info Statement[0].Condition.IpAddressIfExists.aws:SourceIp"}},
		{"negated principal key", res, doc(stmt("Deny", "execute-api:Invoke", "execute-api:/*", everyone, when("StringNotEquals", "aws:PrincipalOrgID", "o-1"))), []string{"negated-principal-key info Statement[0].Condition.StringNotEquals.aws:PrincipalOrgID"}},
		{"negated source address", res, doc(stmt("Deny", "execute-api:Invoke", "execute-api:/*", everyone, when("NotIpAddress", "aws:SourceIp", "10.0.0.0/8"))), []string{"source-ip info Statement[0].Condition.NotIpAddress.aws:SourceIp"}},

		{"confused deputy", res, doc(stmt("Allow", "sqs:SendMessage", "*", `"Principal": {"Service": "sns.amazonaws.com"}`)), []string{"confused-deputy warning Statement[0].Principal.Service"}},
		{"deputy with a source", res, doc(stmt("Allow", "sqs:SendMessage", "*", `"Principal": {"Service": "sns.amazonaws.com"}`, when("StringEquals", "aws:SourceAccount", "111111111111"))), nil},
		{"deputy of a role", trust, doc(stmt("Allow", "sts:AssumeRole", "", `"Principal": {"Service": ["lambda.amazonaws.com", "apigateway.amazonaws.com"]}`)), []string{"confused-deputy warning Statement[0].Principal.Service[1]"}},
		{"any token", trust, doc(stmt("Allow", "sts:AssumeRoleWithWebIdentity", "", `"Principal": {"Federated": ["`+oidc+`", "arn:aws:iam::111111111111:saml-provider/corp"]}`, when("StringEquals", "idp.example.com:aud", "sts"))), []string{"oidc-claims error Statement[0].Principal.Federated[0]"}},
		{"account without an external id", trust, doc(stmt("Allow", "sts:AssumeRole", "", by("222222222222"))), []string{"external-id info Statement[0].Principal.AWS"}},
		{"account with an external id", trust, doc(stmt("Allow", "sts:AssumeRole", "", by("222222222222"), when("StringEquals", "sts:ExternalId", "x"))), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := findings(c.kind, c.text)
			want := c.want
			if want == nil {
				want = []string{}
			}
			slices.Sort(got)
			want = slices.Clone(want)
			slices.Sort(want)
			diff(t, want, got)
		})
	}
}

func TestLintPlaces(t *testing.T) {
	t.Parallel()
	text := "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {\n      \"Effect\": \"Allow\",\n      \"Action\": \"execute-api:Invoke\",\n      \"Resource\": [\n        \"arn:aws:execute-api:eu-west-1:111111111111:a1b2c3d4e5/prod/GET/{id}\"\n      ]\n    }\n  ]\n}"
	found := iam.Lint(iam.KindIdentity, []byte(text))
	if len(found) != 1 || found[0].Line != 8 || found[0].Column != 9 || found[0].Path != "Statement[0].Resource[0]" || found[0].Mend == "" {
		t.Errorf("%+v", found)
	}
}

func TestLintSizes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind     iam.Kind
		size     int
		measured string
	}{
		{iam.KindIdentity, 6144, "characters besides blanks"},
		{iam.KindBoundary, 6144, "characters besides blanks"},
		{iam.KindTrust, 2048, "characters besides blanks"},
		{iam.KindSession, 2048, "characters"},
		{iam.KindSCP, 5120, "bytes"},
		{iam.KindRCP, 5120, "bytes"},
		{iam.KindVPCEndpoint, 20480, "characters"},
		{iam.KindResource, 8192, "bytes"},
	} {
		text := map[bool]string{
			false: `{"Version":"2012-10-17","Statement":[]}`,
			true:  `{"Version":"2012-10-17","Id":"execute-api:","Statement":[]}`,
		}[c.kind == iam.KindResource]
		fill := func(n int) string {
			return strings.Replace(text, `"Statement"`, `"X":"`+strings.Repeat("x", n)+`","Statement"`, 1)
		}
		// Id takes any text.
		grow := func(size int) string {
			if c.kind == iam.KindResource {
				return strings.Replace(text, "execute-api:", "execute-api:"+strings.Repeat("x", size-len(text)), 1)
			}
			return strings.Replace(fill(size-len(text)-len(`"X":"",`)-1), `"X":`, `"Id":`, 1)
		}
		has := func(text string) bool {
			return slices.ContainsFunc(iam.Lint(c.kind, []byte(text)), func(f iam.Finding) bool { return f.Rule == "size" && strings.Contains(f.Message, c.measured) })
		}
		if has(grow(c.size)) || !has(grow(c.size+1)) {
			t.Errorf("%s: the limit is not %d", c.kind, c.size)
		}
		// Blanks count in some kinds alone.
		blanks := grow(c.size) + ""
		blanks = strings.Replace(blanks, `"Statement"`, `  "Statement"`, 1)
		if counts := c.measured != "characters besides blanks"; has(blanks) != counts {
			t.Errorf("%s: blanks are counted: %t", c.kind, !counts)
		}
	}
	if got := findings(iam.KindResource, `{"Version":"2012-10-17","Id":"`+strings.Repeat("x", 9000)+`","Statement":[]}`); !slices.Equal(got, []string{"empty warning Statement"}) {
		t.Errorf("another service's policy: %v", got)
	}
}
