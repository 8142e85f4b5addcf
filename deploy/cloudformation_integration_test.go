//go:build integration

package deploy

import (
	"context"
	"encoding/json"
	"fmt"
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
	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/sigv4"
)

// notByMoto are the types of resources that moto leaves out of a stack without a word.
// What they would be is proven from the template's text alone.
var notByMoto = []string{
	"AWS::ApiGateway::Account", "AWS::ApiGateway::Stage", "AWS::CloudFormation::StackSet", "AWS::EKS::AccessEntry",
	"AWS::IAM::RolePolicy", "AWS::Scheduler::Schedule",
}

// refusedByMoto are the examples of which moto makes no stack, with a part of what it
// says.
var refusedByMoto = map[string]string{}

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
		if e.stack == "kubernetes" {
			continue // written as manifests
		}
		t.Run(e.name, func(t *testing.T) {
			w := newClouds(t, moto)
			account := e.values["account"]
			if account == nil {
				account = e.values["api-account"]
			}
			key := w.admin(t, account[0])
			rights := iam.NewFromConfig(reach(moto, key))
			for _, name := range e.values["roles"] {
				if _, err := rights.CreateRole(t.Context(), &iam.CreateRoleInput{RoleName: aws.String(name), AssumeRolePolicyDocument: aws.String(emptyTrust)}); err != nil {
					t.Fatal(err)
				}
			}
			if bucket := e.values["package-bucket"]; bucket != nil {
				w.stage(t, key, bucket[0], e.values["package-key"][0])
			}
			before := documents(t, rights)
			out := render(t, &e, CloudFormation)
			dir := t.TempDir()
			if err := out.Write(dir, true); err != nil {
				t.Fatal(err)
			}
			text, err := run(t, dir, commandLine(moto, key), cli, "cloudformation", "create-stack", "--stack-name", "gatehouse", "--template-body", "file://"+filepath.Join(dir, "template.yaml"), "--capabilities", "CAPABILITY_NAMED_IAM")
			if want, refused := refusedByMoto[e.name]; refused {
				if err == nil || !strings.Contains(text, want) {
					t.Errorf("moto was to refuse it with %q: %v\n%s", want, err, text)
				}
				return
			}
			if err != nil {
				t.Fatalf("create-stack: %v\n%s", err, text)
			}
			if text := stackCall(t, moto, key, "DescribeStacks"); !strings.Contains(text, "<StackStatus>CREATE_COMPLETE</StackStatus>") {
				t.Fatalf("the stack: %s", text)
			}
			var made []string
			for _, kind := range resourceType.FindAllStringSubmatch(stackCall(t, moto, key, "DescribeStackResources"), -1) {
				made = append(made, kind[1])
			}
			wanted, types := templateDocuments(t, fileOf(out, "template.yaml"), made)
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
			got := slices.DeleteFunc(documents(t, rights), func(s string) bool { return slices.Contains(before, s) })
			if diff := cmp.Diff(wanted, got); diff != "" {
				t.Errorf("roles and policies (- in the template, + in the account):\n%s", diff)
			}
			stackCall(t, moto, key, "DeleteStack")
			if diff := cmp.Diff(before, documents(t, rights)); diff != "" {
				t.Errorf("after delete-stack:\n%s", diff)
			}
		})
	}
	for _, kind := range sortedKeys(left) {
		t.Logf("moto does not make %s: %s", kind, strings.Join(left[kind], ", "))
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

const emptyTrust = `{"Version":"2012-10-17","Statement":[]}`

func commandLine(endpoint string, key awssim.Credentials) []string {
	return []string{
		"AWS_ENDPOINT_URL=" + endpoint, "AWS_ACCESS_KEY_ID=" + key.AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + key.SecretAccessKey,
		"AWS_SESSION_TOKEN=" + key.SessionToken, "AWS_DEFAULT_REGION=" + place, "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null",
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
				add("managed", *p.PolicyName, v.Document)
			}
		}
	}
	slices.Sort(all)
	return all
}

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
			attached := r.Properties["ManagedPolicyArns"]
			for _, arn := range attached.Content {
				all = append(all, fmt.Sprint("attached ", name("RoleName"), " ", arn.Value[strings.LastIndexByte(arn.Value, '/')+1:]))
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
