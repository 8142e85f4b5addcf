package deploy

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A mistake in a parameter names the stack and the parameter, and how to mend it.
func TestMistakesInParameters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		example, parameter, value, want string
	}{
		{"spoke", "account", "12345", "parameter account: \"12345\" is not an account: 12 digits"},
		{"spoke", "account", "", "parameter account: it is missing"},
		{"spoke", "hub-role", "arn:aws:iam::111122223333:user/x", "is not the ARN of a role"},
		{"spoke", "hub-role", "arn:aws:iam::111122223333:role/*", "is not the ARN of a role"},
		{"spoke", "hub-role", hubARN + ",", "an item of the list is empty"},
		{"spoke", "external-id", "a", "is not an external id"},
		{"spoke", "external-id", "${aws:username}", "is not an external id"},
		{"spoke", "regions", "europe", "is not a region"},
		{"spoke", "log-groups", "*", "is not the name of a log group"},
		{"spoke", "estate", "yes", "is none of true, false"},
		{"spoke", "nothing", "x", "there is no parameter \"nothing\""},
		{"hub", "spoke-accounts", "", "the hub has nothing to assume"},
		{"hub", "oidc-issuer", "http://oidc.example.com", "is not the issuer of a cluster"},
		{"hub", "namespace", "*", "is not a name of Kubernetes"},
		{"organization", "organizational-units", "all", "is not an organizational unit"},
		{"lambda", "sink", "https://user:hunter2@edge.example.com", "an address with a password"},
		{"lambda", "sink", "https://edge.example.com?token=hunter2", "token would be readable"},
		{"lambda", "environment", "GATEHOUSE_KAFKA_PASSWORD=hunter2", "would be readable"},
		{"lambda", "environment", "cequence_client_secret=hunter2", "would be readable"},
		{"lambda", "environment", "DATABASE_ABSTRACTOR_TOKEN=hunter2", "would be readable"},
		{"lambda", "environment", "GATEHOUSE_X={{resolve:ssm:x}}", "is not NAME=VALUE"},
		{"lambda", "memory", "0512", "is not a number from 128 to 10240"},
		{"logging", "retention-days", "31", "is none of"},
		{"logging", "stages", "prod", "is not an API's id and a stage"},
		{"protected", "caller-accounts", "*", "is not an account"},
		{"protected", "path", "orders", "is not a path"},
		{"protected", "path", "/a\"b", "is not a path"},
		{"protected", "allowed-origin", "*", "is not an origin"},
		{"protected", "package-key", "", "there is no function that could answer"},
		{"protected", "function-arn", fnARN, "a function is there already and another one is to be made"},
		{"invoker", "manage-connections", "true", "only a WebSocket API has connections"},
		{"invoker of a WebSocket API", "invalidate-cache", "true", "only a REST API has a cache"},
		{"invoker of a WebSocket API", "methods", "GET", "a WebSocket API has neither methods nor paths"},
		{"invoker of a WebSocket API", "caller-accounts", "", "no one is trusted"},
		{"people by SSO", "permission-sets", "", "it is missing, and sign-in is sso"},
		{"people by SAML", "saml-provider", "", "it is missing, and sign-in is saml"},
		{"people by SSO", "user-name", "{{SessionNameRaw}}", "has no colon before the session name"},
		{"people by SSO", "user-name", "system:{{SessionName}}", "EKS keeps names that begin with system:"},
		{"people by SSO", "groups", "system:masters", "belongs to Kubernetes or EKS"},
		{"people by SSO", "groups", "gatehouse-lenders", "is the group of Gatehouse's own role"},
		{"people by SSO", "lend", "everything", "is none of eks-rbac, eks-access-entry"},
		{"people by SSO", "lend", "eks-access-entry", "parameter hub-role: it is missing"},
		{"people by SSO", "hub-role", hubARN, "parameter external-id: it is missing"},
		{"people by SSO", "external-id", "x-e2e", "parameter hub-role: it is missing"},
		{"people by SSO", "secret", "gatehouse/orders", "parameter hub-role: it is missing"},
		{"lender", "principals", "", "parameter principals: it is missing"},
		{"lender", "principals", "arn:aws:sts::222233334444:assumed-role/eks/alice", "is not the ARN of a role"},
		{"lender", "principals", "arn:aws:iam::222233334444:role/${aws:username}", "is not the ARN of a role"},
		{"lender", "principals", "arn:aws:iam::222233334444:role/*", "is not the ARN of a role"},
		{"lender", "lend", "eks-rbac", "only bindings are lent"},
		{"lender", "mapping", "aws-auth", "a cluster that knows aws-auth alone has not"},
		{"lender", "secret", "", "it is missing, and secret-key is there"},
		{"lender", "secret", "gatehouse/*", "is not the name or ARN of a secret"},
		{"lender", "lender-group", "system:masters", "belongs to Kubernetes or EKS"},
		{"lender", "lender-role-name", "gatehouse-k8s-access", "people's role has this name"},
		{"lender", "bindable-roles", "*", "is not the name of a role of Kubernetes"},
		{"lender", "cluster", manyClusters(), "characters, and IAM takes 10240"},
	} {
		t.Run(c.example+" "+c.parameter+" "+c.value, func(t *testing.T) {
			t.Parallel()
			for _, e := range examples() {
				if e.name != c.example {
					continue
				}
				s, err := Find(e.stack)
				if err != nil {
					t.Fatal(err)
				}
				values := maps.Clone(e.values)
				values[c.parameter] = []string{c.value}
				if c.value == "" {
					delete(values, c.parameter)
				}
				_, err = s.Render(CloudFormation, values)
				var mistake *Error
				if !errors.As(err, &mistake) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "stack "+e.stack) {
					t.Fatalf("%v, want %q", err, c.want)
				}
				if mistake.Mend() == "" {
					t.Errorf("%v: it does not say how to mend it", err)
				}
				if strings.Contains(err.Error(), "hunter2") || strings.Contains(mistake.Mend(), "hunter2") {
					t.Errorf("a secret is told: %v", err)
				}
				return
			}
			t.Fatalf("no example %s", c.example)
		})
	}
}

// manyClusters are more than one policy can name.
func manyClusters() string {
	var all []string
	for n := range 100 {
		all = append(all, fmt.Sprintf("cluster-%d", n))
	}
	return strings.Join(all, ",")
}

// The example that describe shows passes the parameter's own check.
func TestExamplesOfParametersPass(t *testing.T) {
	t.Parallel()
	for _, s := range Stacks() {
		for i := range s.Parameters {
			p := &s.Parameters[i]
			if err := p.check(p.Example); err != nil {
				t.Errorf("%s: %s: %v", s.Name, p.Name, err)
			}
			if p.Summary == "" || p.Required && p.Default != "" {
				t.Errorf("%s: %s: summary %q, default %q", s.Name, p.Name, p.Summary, p.Default)
			}
		}
	}
}

func TestReadValues(t *testing.T) {
	t.Parallel()
	got, err := ReadValues([]byte("account: 012345678901\nregions: [eu-west-1, us-east-1]\nestate: true\nempty: []\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := Values{"account": {"012345678901"}, "regions": {"eu-west-1", "us-east-1"}, "estate": {"true"}, "empty": {}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for text, want := range map[string]string{
		"- a":                                "line 1: this is no mapping",
		"a: 1\na: 2":                         "line 2: a is there twice",
		"a: {b: c}":                          "line 1: the value of a is neither text nor a list of texts",
		"a: [[b]]":                           "line 1: the value of a is neither text nor a list of texts",
		"? [x]\n: y":                         "line 1: a name must be text",
		"a: b: c":                            "reading YAML",
		strings.Repeat("#", maxParameters+1): "at most",
	} {
		if _, err := ReadValues([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
}

// A file of parameters is text from outside: whatever it holds, it is read or
// refused.
func FuzzReadValues(f *testing.F) {
	for _, s := range []string{"a: b", "a: [b, c]", "a: &x [*x]", "? {}\n: 1", "\x00", "a: !!binary x", "<<: {a: b}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := ReadValues(text)
		if (v == nil) == (err == nil) {
			t.Errorf("%v with %v", v, err)
		}
	})
}

// The same parameters give the same bytes, and the README's own parameters do too.
func TestReadmeHoldsItsParameters(t *testing.T) {
	t.Parallel()
	for _, e := range examples() {
		for _, language := range []Language{Terraform, CloudFormation} {
			first := render(t, &e, language)
			_, text, ok := strings.Cut(string(fileOf(first, "README.md")), "with this params.yaml:\n\n")
			if !ok {
				t.Fatalf("%s: the README has no parameters", e.name)
			}
			values, err := ReadValues([]byte(text))
			if err != nil {
				t.Fatalf("%s: %v", e.name, err)
			}
			again := render(t, &example{e.name, e.stack, values}, language)
			for i := range first.Files {
				if diff := cmp.Diff(string(first.Files[i].Text), string(again.Files[i].Text)); diff != "" {
					t.Errorf("%s: %s:\n%s", e.name, first.Files[i].Name, diff)
				}
			}
		}
	}
}
