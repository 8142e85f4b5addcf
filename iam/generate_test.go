package iam_test

import (
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/iam"
)

// proof asks a generated policy about requests; want says which are allowed.
type proof struct {
	name string
	kase
	decision string
}

func prove(t *testing.T, d *iam.Document, attach func(*kase, string), proofs []proof) {
	t.Helper()
	for _, f := range d.Lint() {
		if f.Severity != iam.SeverityInfo && f.Rule != "open-to-everyone" {
			t.Errorf("a generated policy has a finding: %+v", f)
		}
	}
	text := string(d.JSON())
	for _, p := range proofs {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			attach(&p.kase, text)
			p.want(t, p.decision)
		})
	}
}

func asIdentity(k *kase, text string) { k.identity = []string{text} }
func asResource(k *kase, text string) { k.policy = text }

func generate[P any](t *testing.T, f func(P) (*iam.Document, error), p P) *iam.Document {
	t.Helper()
	d, err := f(p)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var ourAPI = iam.Scope{Region: "eu-west-1", Account: ours, API: "a1b2c3d4e5"}

func TestGenerateInvoke(t *testing.T) {
	t.Parallel()
	scope := ourAPI
	scope.Stages, scope.Methods, scope.Paths = []string{"prod"}, []string{"get", "POST"}, []string{"/pets/{id}", "orders"}
	d := generate(t, iam.GenerateInvoke, iam.InvokePolicy{Scope: scope})
	diff(t, iam.Strings{
		apiARN + "/prod/GET/pets/*", apiARN + "/prod/GET/orders", apiARN + "/prod/POST/pets/*", apiARN + "/prod/POST/orders",
	}, d.Statements[0].Resource)
	prove(t, d, asIdentity, []proof{
		{"the path", kase{}, allow},
		{"the other path", kase{resource: apiARN + "/prod/POST/orders"}, allow},
		{"another method", kase{resource: apiARN + "/prod/DELETE/pets/1"}, implicit},
		{"another path", kase{resource: apiARN + "/prod/GET/pets"}, implicit},
		{"another stage", kase{resource: apiARN + "/dev/GET/pets/1"}, implicit},
		{"another API", kase{resource: "arn:aws:execute-api:eu-west-1:111111111111:other/prod/GET/pets/1"}, implicit},
		{"another action", kase{action: "execute-api:InvalidateCache"}, implicit},
	})

	d = generate(t, iam.GenerateInvoke, iam.InvokePolicy{Scope: ourAPI, InvalidateCache: true})
	prove(t, d, asIdentity, []proof{
		{"all of the API", kase{}, allow},
		{"its cache", kase{action: "execute-api:InvalidateCache"}, allow},
		{"no other API", kase{resource: "arn:aws:execute-api:eu-west-1:111111111111:a1b2c3d4e52/prod/GET/pets/1"}, implicit},
	})

	scope = ourAPI
	scope.Stages, scope.Methods = []string{"$default", "my-stage_1"}, []string{"ANY"}
	d = generate(t, iam.GenerateInvoke, iam.InvokePolicy{Scope: scope})
	prove(t, d, asIdentity, []proof{
		{"default stage", kase{api: "HTTP", resource: apiARN + "/$default/GET/"}, allow},
		{"the other stage", kase{resource: apiARN + "/my-stage_1/PUT/a/b/c"}, allow},
		{"no other stage", kase{}, implicit},
	})

	chat := iam.InvokePolicy{Scope: ourAPI, ManageConnections: true}
	connections := func(stage string) kase {
		return kase{api: "WEBSOCKET", action: "execute-api:ManageConnections", resource: apiARN + "/" + stage + "/POST/@connections/abc="}
	}
	prove(t, generate(t, iam.GenerateInvoke, chat), asIdentity, []proof{
		{"connections", connections("prod"), allow},
		{"not calls", kase{}, implicit},
	})
	chat.Stages = []string{"prod"}
	prove(t, generate(t, iam.GenerateInvoke, chat), asIdentity, []proof{
		{"connections of the stage", connections("prod"), allow},
		{"no other stage's connections", connections("dev"), implicit},
	})

	china := ourAPI
	china.Partition, china.Paths = "aws-cn", []string{""}
	d = generate(t, iam.GenerateInvoke, iam.InvokePolicy{Scope: china})
	diff(t, iam.Strings{"arn:aws-cn:execute-api:eu-west-1:111111111111:a1b2c3d4e5/*/*/"}, d.Statements[0].Resource)
}

func TestGenerateAssume(t *testing.T) {
	t.Parallel()
	trust := doc(stmt("Allow", "sts:*", "", by("222222222222")))
	d := generate(t, iam.GenerateAssume, iam.AssumePolicy{Roles: []string{targetRole}})
	assume := func(action, role string) kase {
		return kase{principal: theirUser, action: action, resource: role, policy: trust}
	}
	prove(t, d, asIdentity, []proof{
		{"the role", assume("sts:AssumeRole", targetRole), allow},
		{"another role", assume("sts:AssumeRole", appRole), implicit},
		{"no tags", assume("sts:TagSession", targetRole), implicit},
	})
	d = generate(t, iam.GenerateAssume, iam.AssumePolicy{Roles: []string{targetRole}, SessionTags: true})
	prove(t, d, asIdentity, []proof{{"tags", assume("sts:TagSession", targetRole), allow}})
}

func TestGenerateTrust(t *testing.T) {
	t.Parallel()
	assume := func(who string, context map[string][]string) kase {
		return kase{principal: who, action: "sts:AssumeRole", resource: targetRole, identity: []string{allowAll}, context: context}
	}
	id := map[string][]string{"sts:ExternalId": {"7b0c4b1e"}}
	d := generate(t, iam.GenerateTrust, iam.TrustPolicy{
		Callers: iam.Callers{
			Accounts: []string{"222222222222"}, Roles: []string{"arn:aws:iam::333333333333:role/ci"},
			Users: []string{"arn:aws:iam::444444444444:user/op"}, RolePrefixes: []string{"555555555555:app-", "555555555555:ops/app-"},
		},
		Services: []string{"apigateway.amazonaws.com"}, ExternalID: "7b0c4b1e", SessionTags: true,
	})
	found := []string{}
	for _, f := range d.Lint() {
		found = append(found, f.Rule+" "+f.Path)
	}
	many := string(d.JSON())
	// API Gateway cannot say for which account it acts when it assumes a role.
	diff(t, []string{"confused-deputy Statement[2].Principal.Service"}, found)
	for _, p := range []proof{
		{"account", assume(theirUser, id), allow},
		{"account without the id", assume(theirUser, nil), implicit},
		{"role", assume("arn:aws:sts::333333333333:assumed-role/ci/run", id), allow},
		{"another role of its account", assume("arn:aws:sts::333333333333:assumed-role/cd/run", id), implicit},
		{"user", assume("arn:aws:iam::444444444444:user/op", id), allow},
		{"role prefix", assume("arn:aws:sts::555555555555:assumed-role/app-1/run", id), allow},
		{"role prefix without the id", assume("arn:aws:sts::555555555555:assumed-role/app-1/run", nil), implicit},
		{"role prefix with a path", assume("arn:aws:iam::555555555555:role/ops/app-1", id), allow},
		{"another prefix", assume("arn:aws:sts::555555555555:assumed-role/api-1/run", id), implicit},
		{"another account", assume("arn:aws:iam::666666666666:user/x", id), implicit},
		{"service", assume("apigateway.amazonaws.com", nil), allow},
		{"another service", assume("lambda.amazonaws.com", id), implicit},
		{"tags", kase{principal: theirUser, action: "sts:TagSession", resource: targetRole, identity: []string{allowAll}, context: id}, allow},
	} {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			asResource(&p.kase, many)
			p.want(t, p.decision)
		})
	}

	token := func(sub, aud string) kase {
		return kase{
			principal: oidc, action: "sts:AssumeRoleWithWebIdentity", resource: targetRole,
			context: map[string][]string{"idp.example.com:sub": {sub}, "idp.example.com:aud": {aud}},
		}
	}
	d = generate(t, iam.GenerateTrust, iam.TrustPolicy{OIDCProvider: oidc, Subjects: []string{"system:serviceaccount:gatehouse:collector"}})
	prove(t, d, asResource, []proof{
		{"subject", token("system:serviceaccount:gatehouse:collector", "sts.amazonaws.com"), allow},
		{"another subject", token("system:serviceaccount:gatehouse:other", "sts.amazonaws.com"), implicit},
		{"another audience", token("system:serviceaccount:gatehouse:collector", "x"), implicit},
	})
	d = generate(t, iam.GenerateTrust, iam.TrustPolicy{OIDCProvider: oidc, Subjects: []string{"repo:acme/*"}, Audience: "acme"})
	prove(t, d, asResource, []proof{
		{"subject with a wildcard", token("repo:acme/api", "acme"), allow},
		{"another organization", token("repo:acme2/api", "acme"), implicit},
	})
}

func TestGenerateResource(t *testing.T) {
	t.Parallel()
	call := func(who string) kase { return kase{principal: who, identity: []string{allowAll}} }
	// The story of an API that is called from another account, by role prefix.
	scope := ourAPI
	scope.Stages, scope.Methods, scope.Paths = []string{"prod"}, []string{"GET"}, []string{"/pets/{id}"}
	d := generate(t, iam.GenerateResource, iam.ResourcePolicy{
		Scope: scope, Callers: iam.Callers{RolePrefixes: []string{"222222222222:ecs-app-dev"}, Roles: []string{"arn:aws:iam::333333333333:role/ops"}}, Preflight: true,
	})
	elsewhere := call(theirsApp)
	elsewhere.resource = apiARN + "/prod/POST/pets/1"
	preflight := kase{principal: "anonymous", auth: "NONE", resource: apiARN + "/prod/OPTIONS/pets/1"}
	notPreflight := kase{principal: "anonymous", auth: "NONE"}
	prove(t, d, asResource, []proof{
		{"role with the prefix", call(theirsApp), allow},
		{"role with the prefix, no identity policy", kase{principal: theirsApp}, implicit},
		{"role with another prefix", call("arn:aws:sts::222222222222:assumed-role/ecs-api/task"), implicit},
		{"user of the account", call(theirUser), implicit},
		{"named role", call("arn:aws:sts::333333333333:assumed-role/ops/x"), allow},
		{"another method", elsewhere, implicit},
		{"preflight", preflight, allow},
		{"anonymous", notPreflight, implicit},
	})

	d = generate(t, iam.GenerateResource, iam.ResourcePolicy{Scope: ourAPI, Callers: iam.Callers{Accounts: []string{"222222222222"}}, SourceIPs: []string{"203.0.113.0/24"}})
	from := func(who, ip string) kase {
		k := call(who)
		k.context = map[string][]string{"aws:SourceIp": {ip}}
		return k
	}
	prove(t, d, asResource, []proof{
		{"account and address", from(theirUser, "203.0.113.9"), allow},
		{"account from elsewhere", from(theirUser, "198.51.100.1"), implicit},
		{"another account", from("arn:aws:iam::333333333333:user/x", "203.0.113.9"), implicit},
	})

	d = generate(t, iam.GenerateResource, iam.ResourcePolicy{Scope: ourAPI, VPCEndpoints: []string{"vpce-1a2b"}})
	through := func(id string) kase {
		return kase{principal: "anonymous", auth: "NONE", endpoint: "private", context: map[string][]string{"aws:SourceVpce": {id}}}
	}
	prove(t, d, asResource, []proof{
		{"through the endpoint", through("vpce-1a2b"), allow},
		{"through another", through("vpce-ffff"), implicit},
	})
}

func TestGenerateRefuses(t *testing.T) {
	t.Parallel()
	scope := func(f func(*iam.Scope)) iam.Scope {
		s := ourAPI
		f(&s)
		return s
	}
	invoke := func(f func(*iam.Scope)) func() (*iam.Document, error) {
		return func() (*iam.Document, error) { return iam.GenerateInvoke(iam.InvokePolicy{Scope: scope(f)}) }
	}
	trust := func(p iam.TrustPolicy) func() (*iam.Document, error) {
		return func() (*iam.Document, error) { return iam.GenerateTrust(p) }
	}
	resource := func(f func(*iam.ResourcePolicy)) func() (*iam.Document, error) {
		return func() (*iam.Document, error) {
			p := iam.ResourcePolicy{Scope: ourAPI}
			f(&p)
			return iam.GenerateResource(p)
		}
	}
	for _, c := range []struct {
		name, message string
		generate      func() (*iam.Document, error)
	}{
		{"no account", "is not the account of an API", invoke(func(s *iam.Scope) { s.Account = "" })},
		{"no region", "is not a region", invoke(func(s *iam.Scope) { s.Region = "" })},
		{"API with a wildcard", "is not the id of an API", invoke(func(s *iam.Scope) { s.API = "*" })},
		{"stage", "is not a stage", invoke(func(s *iam.Scope) { s.Stages = []string{"a/b"} })},
		{"method", "is not an HTTP method", invoke(func(s *iam.Scope) { s.Methods = []string{"CALL"} })},
		{"path without end", "is not a path", invoke(func(s *iam.Scope) { s.Paths = []string{"/a/{id"} })},
		{"path with a variable", "is not a path", invoke(func(s *iam.Scope) { s.Paths = []string{"/${aws:username}"} })},
		{"path with two slashes", "is not a path", invoke(func(s *iam.Scope) { s.Paths = []string{"//a"} })},
		{"path with a quote", "is not a path", invoke(func(s *iam.Scope) { s.Paths = []string{`/a"b`} })},
		{"connections and paths", "ManageConnections goes with", func() (*iam.Document, error) {
			return iam.GenerateInvoke(iam.InvokePolicy{Scope: scope(func(s *iam.Scope) { s.Paths = []string{"a"} }), ManageConnections: true})
		}},
		{"no role", "no role to assume", func() (*iam.Document, error) { return iam.GenerateAssume(iam.AssumePolicy{}) }},
		{"role that is none", "is not a role", func() (*iam.Document, error) { return iam.GenerateAssume(iam.AssumePolicy{Roles: []string{alice}}) }},
		{"trust in no one", "no one is trusted", trust(iam.TrustPolicy{})},
		{"account that is none", "is not an account", trust(iam.TrustPolicy{Callers: iam.Callers{Accounts: []string{"*"}}})},
		{"caller's role that is none", "is not a role", trust(iam.TrustPolicy{Callers: iam.Callers{Roles: []string{"arn:aws:iam::111111111111:role/*"}}})},
		{"caller's user that is none", "is not a user", trust(iam.TrustPolicy{Callers: iam.Callers{Users: []string{appRole}}})},
		{"prefix without an account", "the beginning of a role's name", trust(iam.TrustPolicy{Callers: iam.Callers{RolePrefixes: []string{"app-"}}})},
		{"prefix with a wildcard", "the beginning of a role's name", trust(iam.TrustPolicy{Callers: iam.Callers{RolePrefixes: []string{"111111111111:*"}}})},
		{"empty prefix", "the beginning of a role's name", trust(iam.TrustPolicy{Callers: iam.Callers{RolePrefixes: []string{"111111111111:"}}})},
		{"service that is none", "is not a service", trust(iam.TrustPolicy{Services: []string{"*"}})},
		{"short external id", "needs 2 to 1224 characters", trust(iam.TrustPolicy{ExternalID: "x"})},
		{"external id with a variable", "needs 2 to 1224 characters", trust(iam.TrustPolicy{ExternalID: "${aws:username}"})},
		{"provider that is none", "is not an OIDC provider", trust(iam.TrustPolicy{OIDCProvider: "accounts.google.com", Subjects: []string{"x"}})},
		{"SAML provider", "is not an OIDC provider", trust(iam.TrustPolicy{OIDCProvider: "arn:aws:iam::111111111111:saml-provider/x", Subjects: []string{"x"}})},
		{"provider is a user", "is not an OIDC provider", trust(iam.TrustPolicy{OIDCProvider: alice, Subjects: []string{"x"}})},
		{"no subject", "without a subject", trust(iam.TrustPolicy{OIDCProvider: oidc})},
		{"every subject", "would let in every token", trust(iam.TrustPolicy{OIDCProvider: oidc, Subjects: []string{"**"}})},
		{"audience", "the audience", trust(iam.TrustPolicy{OIDCProvider: oidc, Subjects: []string{"x"}, Audience: "*"})},
		{"no one", "no one is let in", resource(func(*iam.ResourcePolicy) {})},
		{"resource's scope", "is not the account of an API", resource(func(p *iam.ResourcePolicy) { p.Account = "x" })},
		{"resource's method", "is not an HTTP method", resource(func(p *iam.ResourcePolicy) { p.Methods = []string{"CALL"} })},
		{"endpoint", "is not a VPC endpoint", resource(func(p *iam.ResourcePolicy) { p.VPCEndpoints = []string{"vpce-"} })},
		{"address", "is not a range of addresses", resource(func(p *iam.ResourcePolicy) { p.SourceIPs = []string{"everywhere"} })},
		{"resource's caller", "is not an account", resource(func(p *iam.ResourcePolicy) { p.Accounts = []string{"x"} })},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d, err := c.generate()
			if d != nil || err == nil || !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %v and %v, want %q", d, err, c.message)
			}
		})
	}
}
