//go:build integration

package deploy

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	lambdatypes "github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/sigv4"
)

// notByMoto are the types of resources, and a property, that moto leaves out of a stack
// without a word. What they would be is proven from the template's text alone.
var notByMoto = []string{
	"AWS::ApiGateway::Account", "AWS::ApiGateway::Stage", "AWS::CloudFormation::StackSet", "AWS::EKS::AccessEntry",
	rolePolicies, "AWS::IAM::RolePolicy", "AWS::Scheduler::Schedule",
}

// rolePolicies are the managed policies that a role names itself.
const rolePolicies = "AWS::IAM::Role ManagedPolicyArns"

// refusedByMoto are the examples of which moto makes no stack, with a part of what it
// says. It makes one without the parameter.
var refusedByMoto = map[string]struct{ parameter, says, why string }{
	"protected": {"allowed-origin", "500 Internal Server Error", "it wants an IntegrationHttpMethod, which an integration of type MOCK has not"},
}

// keptByMoto are the documents after a stack is deleted: those from before, and the
// stack's managed policies, which moto does not delete with it.
func keptByMoto(before, made []string) []string {
	all := slices.Clone(before)
	for _, s := range made {
		if strings.HasPrefix(s, "managed ") || strings.HasPrefix(s, "attached ") {
			all = append(all, s)
		}
	}
	slices.Sort(all)
	return all
}

// Each template becomes a stack by the AWS CLI, and the roles and policies that arise
// are those that were proven.
func TestIntegrationCloudFormationDeploys(t *testing.T) {
	cli, err := exec.LookPath("aws")
	if err != nil {
		missing(t, "the AWS CLI: scripts/components installs it")
	}
	moto := moto(t)
	left := map[string][]string{}
	for _, e := range examples() {
		t.Run(e.name, func(t *testing.T) {
			if r, refused := refusedByMoto[e.name]; refused {
				if d := createStack(t, cli, moto, &e); d.err == nil || !strings.Contains(d.said, r.says) {
					t.Errorf("moto was to refuse %s with %q (%s): %v\n%s", r.parameter, r.says, r.why, d.err, d.said)
				}
				delete(e.values, r.parameter)
			}
			d := createStack(t, cli, moto, &e)
			if d.err != nil {
				t.Fatalf("create-stack: %v\n%s", d.err, d.said)
			}
			if text := stackCall(t, moto, d.key, "DescribeStacks"); !strings.Contains(text, "<StackStatus>CREATE_COMPLETE</StackStatus>") {
				t.Fatalf("the stack: %s", text)
			}
			var made []string
			for _, kind := range resourceType.FindAllStringSubmatch(stackCall(t, moto, d.key, "DescribeStackResources"), -1) {
				made = append(made, kind[1])
			}
			wanted, types := templateDocuments(t, d.template, made)
			for _, kind := range types {
				left[kind] = append(left[kind], e.name)
				if !slices.Contains(notByMoto, kind) {
					t.Errorf("moto did not make %s", kind)
				}
			}
			for _, kind := range made {
				if slices.Contains(notByMoto, kind) {
					t.Errorf("moto makes %s, which the list says it does not", kind)
				}
			}
			got := slices.DeleteFunc(documents(t, d.rights), func(s string) bool { return slices.Contains(d.before, s) })
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("roles and policies (- in the template, + in the account):\n%s", diff)
			}
			stackCall(t, moto, d.key, "DeleteStack")
			if diff := cmp.Diff(keptByMoto(d.before, wanted), documents(t, d.rights)); diff != "" {
				t.Errorf("after delete-stack:\n%s", diff)
			}
		})
	}
	for _, kind := range sortedKeys(left) {
		t.Logf("moto does not make %s: %s", kind, strings.Join(left[kind], ", "))
	}
	for _, name := range sortedKeys(refusedByMoto) {
		t.Logf("moto refuses %s with %s: %s", name, refusedByMoto[name].parameter, refusedByMoto[name].why)
	}
}

// deployment is what was asked of moto, and what it said.
type deployment struct {
	key      awssim.Credentials
	rights   *iam.Client
	template []byte
	before   []string // the documents before the stack
	said     string
	err      error
}

// createStack makes a stack of an example in a moto that has what it needs and no more.
func createStack(t *testing.T, cli, moto string, e *example) *deployment {
	t.Helper()
	w := newClouds(t, moto)
	account := e.values["account"]
	if account == nil {
		account = e.values["api-account"]
	}
	d := &deployment{key: w.admin(t, account[0])}
	d.rights = iam.NewFromConfig(reach(moto, d.key))
	for _, name := range e.values["roles"] {
		w.role(t, d.rights, name)
	}
	if bucket := e.values["package-bucket"]; bucket != nil {
		w.stage(t, d.key, bucket[0], e.values["package-key"][0])
	}
	if arn := e.values["function-arn"]; arn != nil {
		w.function(t, d, arn[0])
	}
	d.before = documents(t, d.rights)
	out := render(t, e, CloudFormation)
	dir := t.TempDir()
	if err := out.Write(dir, true); err != nil {
		t.Fatal(err)
	}
	d.template = fileOf(out, templateFile)
	d.said, d.err = run(t, dir, commandLine(moto, d.key), cli, "cloudformation", "create-stack", "--stack-name", "gatehouse", "--template-body", "file://"+filepath.Join(dir, templateFile), "--capabilities", "CAPABILITY_NAMED_IAM")
	return d
}

// role makes a role at moto that is there before a stack.
func (w *clouds) role(t *testing.T, rights *iam.Client, name string) string {
	t.Helper()
	made, err := rights.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String(name), AssumeRolePolicyDocument: aws.String(lambdaTrust)})
	if err != nil {
		t.Fatal(err)
	}
	return *made.Role.Arn
}

// function makes a function at moto that is there before a stack.
func (w *clouds) function(t *testing.T, d *deployment, arn string) {
	t.Helper()
	w.stage(t, d.key, "artifacts", "function.zip")
	if _, err := lambda.NewFromConfig(reach(w.moto, d.key)).CreateFunction(t.Context(), &lambda.CreateFunctionInput{
		FunctionName: aws.String(arn[strings.LastIndexByte(arn, ':')+1:]), Role: aws.String(w.role(t, d.rights, "runs-the-function")),
		Runtime: lambdatypes.RuntimeProvidedal2023, Handler: aws.String("bootstrap"),
		Code: &lambdatypes.FunctionCode{S3Bucket: aws.String("artifacts"), S3Key: aws.String("function.zip")},
	}); err != nil {
		t.Fatal(err)
	}
}

var resourceType = regexp.MustCompile(`<ResourceType>([^<]*)</ResourceType>`)

// stackCall asks CloudFormation about the stack, without the second that the AWS CLI
// takes to start.
func stackCall(t *testing.T, endpoint string, key awssim.Credentials, action string) string {
	t.Helper()
	form := url.Values{"Action": {action}, "Version": {"2010-05-15"}, "StackName": {"gatehouse"}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint+"/", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	signer := sigv4.Signer{
		Credentials: sigv4.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey, SessionToken: key.SessionToken},
		Service:     "cloudformation", Region: place,
	}
	if _, err := signer.Sign(req, time.Now()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v\n%s", action, resp.Status, err, text)
	}
	return string(text)
}

const lambdaTrust = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}`

func commandLine(endpoint string, key awssim.Credentials) []string {
	return []string{
		"AWS_ENDPOINT_URL=" + endpoint, "AWS_ACCESS_KEY_ID=" + key.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + key.SecretAccessKey,
		"AWS_SESSION_TOKEN=" + key.SessionToken, "AWS_DEFAULT_REGION=" + place, "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null", "AWS_MAX_ATTEMPTS=1",
	}
}

// documents are the policies of all roles, and all managed policies, of the account.
func documents(t *testing.T, client *iam.Client) []string {
	t.Helper()
	all := []string{}
	add := func(kind, name string, text *string) {
		plain, err := url.PathUnescape(aws.ToString(text))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, kind+" "+name+" "+canonical(t, []byte(plain)))
	}
	out, err := client.GetAccountAuthorizationDetails(context.WithoutCancel(t.Context()), &iam.GetAccountAuthorizationDetailsInput{
		Filter: []types.EntityType{types.EntityTypeRole, types.EntityTypeLocalManagedPolicy}, MaxItems: aws.Int32(1000),
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range out.RoleDetailList {
		r := &out.RoleDetailList[i]
		add("trust", *r.RoleName, r.AssumeRolePolicyDocument)
		for _, p := range r.RolePolicyList {
			add("inline", *r.RoleName+"/"+*p.PolicyName, p.PolicyDocument)
		}
		for _, p := range r.AttachedManagedPolicies {
			all = append(all, "attached "+*r.RoleName+" "+*p.PolicyName)
		}
	}
	for i := range out.Policies {
		p := &out.Policies[i]
		for _, v := range p.PolicyVersionList {
			if v.IsDefaultVersion {
				// moto leaves out the policy's name here.
				add("managed", lastOf(*p.Arn), v.Document)
			}
		}
	}
	slices.Sort(all)
	return all
}

// lastOf is the name at the end of an ARN.
func lastOf(arn string) string { return arn[strings.LastIndexByte(arn, '/')+1:] }

// templateDocuments are the same of a template, for the types of resources that were
// made; left are the types that were not.
func templateDocuments(t *testing.T, text []byte, made []string) (all, left []string) {
	t.Helper()
	var template struct {
		Resources map[string]struct {
			Type       string               `yaml:"Type"`
			Properties map[string]yaml.Node `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal(text, &template); err != nil {
		t.Fatal(err)
	}
	all = []string{}
	for _, id := range sortedKeys(template.Resources) {
		r := template.Resources[id]
		if !slices.Contains(made, r.Type) {
			if !slices.Contains(left, r.Type) {
				left = append(left, r.Type)
			}
			continue
		}
		value := func(name string) string {
			p := r.Properties[name]
			plain, err := json.Marshal(plainValue(&p))
			if err != nil {
				t.Fatal(err)
			}
			return canonical(t, plain)
		}
		name := func(property string) string {
			p := r.Properties[property]
			if p.Tag == "!Ref" {
				q := template.Resources[p.Value].Properties["RoleName"]
				return q.Value
			}
			return p.Value
		}
		switch r.Type {
		case "AWS::IAM::Role":
			all = append(all, "trust "+name("RoleName")+" "+value("AssumeRolePolicyDocument"))
			// Were they attached one day, there would be more in the account than is expected.
			if attached := r.Properties["ManagedPolicyArns"]; len(attached.Content) > 0 && !slices.Contains(left, rolePolicies) {
				left = append(left, rolePolicies)
			}
		case "AWS::IAM::RolePolicy":
			all = append(all, "inline "+name("RoleName")+"/"+name("PolicyName")+" "+value("PolicyDocument"))
		case "AWS::IAM::ManagedPolicy":
			all = append(all, "managed "+name("ManagedPolicyName")+" "+value("PolicyDocument"))
			roles := r.Properties["Roles"]
			for _, role := range roles.Content {
				all = append(all, "attached "+role.Value+" "+name("ManagedPolicyName"))
			}
		}
	}
	slices.Sort(all)
	slices.Sort(left)
	return all, left
}
