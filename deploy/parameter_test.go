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
		{"spoke", "account", "000000000000", "is not an account"},
		{"spoke", "regions", "cn-north-1", "cn-north-1 is of the partition aws-cn, and the stack of aws"},
		{"spoke", "regions", "us-iso-east-1", "is of the partition aws-iso"},
		{"spoke", "partition", "aws-cn", "is of the partition aws, and the stack of aws-cn"},
		{"spoke", "hub-role", "arn:aws-cn:iam::111122223333:role/GatehouseHub", "is of the partition aws-cn"},
		{"spoke", "log-groups", "aws/logs", "begins with aws/"},
		{"organization", "external-id", "x-000000000000", "stands for the account that the StackSet deploys in"},
		{"organization", "hub-role", "arn:aws:iam::000000000000:role/Hub", "stands for the account"},
		{"logging", "kms-key", "arn:aws:kms:us-east-1:222233334444:key/1234abcd-12ab-34cd-56ef-1234567890ab", "it is of the region us-east-1, and the stack of eu-west-1"},
		{"logging", "access-log-group", "API-Gateway-Execution-Logs_a1b2c3d4e5/dev", "is where API Gateway writes the execution logs"},
		{"logging", "stages", "a1b2c3d4e5/" + strings.Join(manyNames("s-", 1000), ",a1b2c3d4e5/"), "resources, and CloudFormation takes 500"},
		{"lambda", "environment", "GATEHOUSE_SINKS=stdout:", "is set by the parameter sink"},
		{"lambda", "environment", "GATEHOUSE_X=1,GATEHOUSE_X=2", "GATEHOUSE_X is there twice"},
		{"lambda", "environment", "GATEHOUSE_PROXY=kafka://user:hunter2@b1:9092", "would be readable"},
		{"lambda", "sink", "file:/tmp/calls", "the files of a function go with it"},
		{"lambda", "sink", "gopher://hole", "there is no gopher sink"},
		{"lambda", "sink", "kafka://user:hunter2@b1:9092/t", "an address with a password"},
		{"lambda", "state-bucket", "a..b", "is a name that S3 lets no bucket have"},
		{"lambda", "state-bucket", "192.168.1.1", "is a name that S3 lets no bucket have"},
		{"lambda of spokes", "spoke-roles", "arn:aws:iam::333344445555:role/" + strings.Join(manyNames("Reader", 100), ",arn:aws:iam::333344445555:role/"), "and Lambda takes 4096"},
		{"protected", "name", strings.Repeat("n", 56), "the name of a role has 64 characters at most"},
		{"protected", "path", "/a/{rest+}/b", "{rest+} takes the rest of the path"},
		{"protected", "path", "/{id}/{id}", "{id} is there twice"},
		{"protected", "path", "/a~b", "lets no resource have ~ or +"},
		{"protected", "path", strings.Repeat("/a", 300), "each a resource"},
		{"protected", "access-log-group", "/aws/lambda/orders", "is the group of the function's own log"},
		{"protected", "caller-accounts", strings.Join(manyNames("4444", 300), ","), "and API Gateway takes 8192"},
		{"protected root", "function-arn", "arn:aws:lambda:us-east-1:222233334444:function:orders", "it is of the region us-east-1"},
		{"protected root", "function-arn", "arn:aws:lambda:eu-west-1:999988887777:function:orders", "only that account can let the API call it"},
		{"client", "stages", "__", "is not a stage"},
		{"client", "paths", "/" + strings.Join(manyNames("orders/", 800), ",/"), "more than the 10 managed policies that IAM lets a role have"},
		{"client", "policy-name", strings.Repeat("p", 129), "is not the name of a policy"},
		{"lending", "paths", "/" + strings.Join(manyNames("orders/", 200), ",/"), "takes 6144 for a permissions boundary"},
		{"lending", "control-role-name", "Gatehouse-API-Invoker", "IAM does not tell names apart by case"},
		{"lender", "lender-role-name", "Gatehouse-K8s-Access", "people's role has this name"},
		{"lambda", "name", "sthree-x", "is no name for a bucket"},
		{"invoker", "caller-accounts", strings.Join(manyNames("4444", 200), ","), "and IAM takes 4096 at most"},
		{"lender", "cluster", manyClusters(), "more than the 10 managed policies that IAM lets a role have"},
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

// manyNames are names of one length that begin alike; with four digits before, accounts.
func manyNames(begin string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s%08d", begin, i+1)
	}
	return all
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
	got, err := ReadValues([]byte("account: 012345678901\nregions: [eu-west-1, us-east-1]\nestate: true\nempty: []\nnothing:\nnull: ~\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := Values{"account": {"012345678901"}, "regions": {"eu-west-1", "us-east-1"}, "estate": {"true"}, "empty": {}, "nothing": {}, "null": {}}
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
		"a: b\n---\na: c":                    "a second document begins",
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
