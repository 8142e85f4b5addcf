package iam_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/iam"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	api := "arn:aws:execute-api:us-east-1:548754742764:"
	for _, c := range []struct {
		kind iam.Kind
		text string
		want string
	}{
		{iam.KindResource, doc(stmt("Allow", "execute-api:Invoke", api+"*", by("arn:aws:iam::329380440465:root"), when("StringLike", "aws:PrincipalArn", "arn:aws:iam::329380440465:role/ecs-app-dev*"))), "Allows account 329380440465 (as far as its own policies allow) to perform execute-api:Invoke on every API of account 548754742764 in region us-east-1, every stage, method and path, if aws:PrincipalArn is like arn:aws:iam::329380440465:role/ecs-app-dev*."},
		{iam.KindIdentity, doc(stmt("Allow", "execute-api:Invoke", api+"no8k0bxy8b/*")), "Allows the principal that has it to perform execute-api:Invoke on API no8k0bxy8b of account 548754742764 in region us-east-1, every stage, method and path."},
		{iam.KindIdentity, doc(stmt("Allow", "execute-api:Invoke", "arn:aws:execute-api:*:*:*/prod/*")), "Allows the principal that has it to perform execute-api:Invoke on every API of every account in every region, stage prod, every method and path."},
		{iam.KindIdentity, doc(stmt("Allow", "execute-api:Invoke", api+"a/prod/GET/pets/*")), "Allows the principal that has it to perform execute-api:Invoke on API a of account 548754742764 in region us-east-1, stage prod, method GET, path /pets/*."},
		{iam.KindIdentity, doc(stmt("Allow", "execute-api:Invoke", api+"a/*/*/*")), "Allows the principal that has it to perform execute-api:Invoke on API a of account 548754742764 in region us-east-1, every stage, every method, every path."},
		{iam.KindIdentity, doc(stmt("Allow", "execute-api:Invoke", api+"a/prod")), "Allows the principal that has it to perform execute-api:Invoke on API a of account 548754742764 in region us-east-1, what matches prod."},
		{iam.KindIdentity, doc(stmt("Allow", "execute-api:Invoke", api+"/domainnames/x+y")), "Allows the principal that has it to perform execute-api:Invoke on " + api + "/domainnames/x+y."},
		{iam.KindResource, doc(stmt("Deny", "*", "execute-api:/prod/OPTIONS/*", everyone)), "Denies everyone (anonymous callers too) to do anything on this API, stage prod, method OPTIONS, every path."},
		{iam.KindSCP, doc(`{"Effect": "Deny", "NotAction": ["iam:*", "sts:*"], "NotResource": ["arn:aws:s3:::a", "arn:aws:s3:::b", "*"]}`), "Denies every principal of the account to do anything but iam:* and sts:* on everything but arn:aws:s3:::a, arn:aws:s3:::b and *."},
		{iam.KindSession, doc(stmt("Allow", "s3:*", "arn:aws:s3:::a")), "Allows the session to perform s3:* on arn:aws:s3:::a."},
		{iam.KindTrust, doc(stmt("Allow", "sts:AssumeRole", "", `"Principal": {"AWS": ["`+appRole+`", "*", "`+alice+`", "arn:aws:iam::111111111111:user/*"], "Service": "lambda.amazonaws.com", "Federated": "accounts.google.com", "CanonicalUser": "c"}`)), "Allows every session of role " + appRole + ", everyone (anonymous callers too), " + alice + ", arn:aws:iam::111111111111:user/* (which matches no one), the service lambda.amazonaws.com, whom accounts.google.com vouches for and the canonical user c to perform sts:AssumeRole on the role."},
		{iam.KindResource, doc(`{"Effect": "Deny", "NotPrincipal": {"AWS": "111111111111"}, "Action": "ecr:*"}`), "Denies everyone but account 111111111111 (as far as its own policies allow) to perform ecr:* on the resource."},
		{iam.KindIdentity, doc(stmt("Allow", "s3:*", "*", `"Condition": {"ForAllValues:StringNotEquals": {"aws:TagKeys": ["a", "b"]}, "ForAnyValue:StringLike": {"aws:TagKeys": "c*"}, "Null": {"aws:TagKeys": "false", "aws:username": "true"}, "NumericLessThanIfExists": {"aws:MultiFactorAuthAge": "300"}}`)), "Allows the principal that has it to perform s3:* on every resource, if every value of aws:TagKeys is not a nor b, some value of aws:TagKeys is like c*, aws:TagKeys is present, aws:username is absent and aws:MultiFactorAuthAge is less than 300 (or the key is absent)."},
	} {
		d, err := iam.Parse(c.kind, []byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		diff(t, c.want, iam.Describe(d)[0].Text)
	}
	// A document that was built by hand may hold what Parse would refuse.
	built := &iam.Document{Statements: []iam.Statement{{Effect: iam.Allow, Condition: iam.Conditions{{Operator: "Foo", Key: "k"}}}}}
	diff(t, "", iam.Describe(built)[0].If)
}

func TestExplain(t *testing.T) {
	t.Parallel()
	explain := func(k kase) *iam.Explanation { return parseCase(t, k.text()).Explain() }
	x := explain(kase{
		principal: theirUser, identity: []string{silent},
		policy: doc(
			stmt("Allow", "execute-api:Invoke", "execute-api:/*", by("222222222222")),
			stmt("Allow", "execute-api:Invoke", "execute-api:/dev/*", by("222222222222")),
			stmt("Allow", "execute-api:Invoke", "execute-api:/*", by(alice)),
			stmt("Allow", "execute-api:Invoke", "execute-api:/*", by("222222222222"), when("StringEquals", "aws:username", "adam")),
			stmt("Deny", "execute-api:Invoke", "execute-api:/*", everyone, when("Bool", "aws:SecureTransport", "false")),
			`{"Effect": "Deny", "NotAction": "execute-api:*", "NotPrincipal": {"AWS": "`+theirUser+`"}, "NotResource": "execute-api:/*"}`,
			`{"Effect": "Deny", "Action": "execute-api:*", "NotPrincipal": {"AWS": "`+theirUser+`"}, "NotResource": "execute-api:/*"}`,
			`{"Effect": "Deny", "Action": "execute-api:*", `+everyone+`, "NotResource": "execute-api:/*"}`,
		),
		vpce: doc(stmt("Allow", "*", "*", everyone)), scps: [][]string{{silent}, {allowAll}},
	})
	diff(t, iam.ImplicitDeny, x.Decision)
	diff(t, theirUser+" may not perform execute-api:Invoke on "+getPets+".", x.Summary)
	because := []string{}
	for _, s := range x.Traces {
		if s.Layer == iam.LayerResource || s.Layer == iam.LayerIdentity {
			because = append(because, s.Because)
		}
	}
	diff(t, []string{
		"Action does not name execute-api:Invoke",
		"every element matches; naming the account leaves it to the account's own policies",
		"Resource does not match " + getPets,
		"Principal does not name " + theirUser,
		"StringEquals of aws:username is not met: the request has eve",
		"Bool of aws:SecureTransport is not met: the request does not have the key",
		"NotAction leaves execute-api:Invoke out",
		"NotPrincipal leaves " + theirUser + " out",
		"NotResource leaves " + getPets + " out",
	}, because)
	says := map[string]string{}
	for _, v := range x.Layers {
		says[v.Layer.String()] = v.Says
		if missing := v.Layer == iam.LayerSCP || v.Layer == iam.LayerIdentity; v.Missing != missing {
			t.Errorf("%s missing: %t", v.Layer, v.Missing)
		}
	}
	diff(t, map[string]string{
		"scp": "allows", "rcp": "absent", "vpc_endpoint": "allows", "permissions_boundary": "absent", "session": "absent", "identity": "silent", "resource": "allows",
	}, says)

	x = explain(kase{auth: "NONE", policy: doc(stmt("Deny", "*", "*", everyone), stmt("Allow", "*", "*", everyone)), session: []string{allowAll}, rcps: [][]string{{}}})
	if x.Decision != iam.ExplicitDeny || !strings.HasPrefix(x.Summary, alice+" must not perform") || x.Layers[len(x.Layers)-1].Says != "denies" {
		t.Errorf("%+v", x)
	}
	x = explain(kase{identity: []string{allowAll}})
	if x.Message != "" || !strings.Contains(x.Summary, " may perform ") {
		t.Errorf("%+v", x)
	}
	if _, err := json.Marshal(x); err != nil {
		t.Error(err)
	}
}

// TestExplainLayersWithoutSay: a layer that AWS does not ask is not told as if it
// decided.
func TestExplainLayersWithoutSay(t *testing.T) {
	t.Parallel()
	deny := doc(stmt("Deny", "s3:*", "*", everyone))
	all := kase{
		identity: []string{allowAll}, session: []string{allowAll}, boundary: allowAll, policy: invokeBy("*"),
		vpce: doc(stmt("Allow", "*", "*", everyone)), scps: [][]string{{allowAll}}, rcps: [][]string{{deny}},
	}
	for _, c := range []struct {
		name   string
		change func(*kase)
		asked  string
	}{
		{"IAM", func(*kase) {}, "scp vpc_endpoint permissions_boundary session identity resource"},
		{"IAM, anonymous", func(k *kase) { k.principal = "anonymous" }, ""},
		{"NONE", func(k *kase) { k.auth = "NONE" }, "vpc_endpoint resource"},
		{"LAMBDA", func(k *kase) { k.auth = "LAMBDA" }, "vpc_endpoint identity resource"},
		{"COGNITO", func(k *kase) { k.auth = "COGNITO" }, "vpc_endpoint resource"},
		{"HTTP", func(k *kase) { k.api = "HTTP" }, "scp vpc_endpoint permissions_boundary session identity"},
		{"S3", func(k *kase) { k.action = "s3:GetObject" }, "scp rcp vpc_endpoint permissions_boundary session identity resource"},
		{"S3, management account", func(k *kase) { k.action, k.managementAccount = "s3:GetObject", true }, "vpc_endpoint permissions_boundary session identity resource"},
		{"S3, service-linked role", func(k *kase) { k.action, k.serviceLinked = "s3:GetObject", true }, "vpc_endpoint permissions_boundary session identity resource"},
	} {
		k := all
		c.change(&k)
		asked := []string{}
		x := parseCase(t, k.text()).Explain()
		for _, v := range x.Layers {
			if v.Says != "not asked" {
				asked = append(asked, v.Layer.String())
			}
		}
		if got := strings.Join(asked, " "); got != c.asked {
			t.Errorf("%s: asked %s, want %s", c.name, got, c.asked)
		}
		for _, s := range x.Traces {
			if !strings.Contains(c.asked, s.Layer.String()) && s.Applies {
				t.Errorf("%s: a statement of %s applies", c.name, s.Layer)
			}
		}
	}
}
