//go:build integration

package deploy

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// The homes of a stack: moto alone, or the simulated AWS with S3, SQS, DynamoDB and
// EventBridge Scheduler of moto.
const (
	onMoto   = "moto"
	onAWSSim = "awssim"
)

// homes tells where the examples of a stack are applied, and why not on moto, which
// others wrote.
var homes = map[string]struct{ home, why string }{
	"collector-hub":    {onMoto, "roles and inline policies"},
	"collector-spoke":  {onMoto, "a role and an inline policy"},
	"switcher":         {onMoto, "a role and inline policies"},
	"api-invoker":      {onMoto, "a role and an inline policy"},
	"organization":     {onMoto, "StackSets, which the simulated AWS has not"},
	"api-client":       {onAWSSim, "its policy is attached to roles that must be there, and decides"},
	"api-lending":      {onAWSSim, "moto lets a policy be deleted that is still a boundary"},
	"protected-api":    {onAWSSim, "moto answers a resource policy in a form that the provider cannot read"},
	"logging":          {onAWSSim, "moto takes any role for writing logs and any stage"},
	"collector-lambda": {onAWSSim, "moto forgets a function's dead letter queue"},
	"eks-access":       {onAWSSim, "moto has no access entries"},
}

// inEveryRun are the examples that are always applied: the richest of each stack, and
// with them each kind of resource.
var inEveryRun = []string{
	"hub of an organization", "spoke of a region", "organization", "lambda", "lambda of spokes", "logging",
	"switcher", "protected", "client", "invoker", "lending", "lender",
}

// allExamples says whether those are applied as well that take long and show little
// more.
func allExamples() bool { return os.Getenv("GATEHOUSE_TEST_LONG") != "" }

// An example is applied, planned again without a change, and destroyed, and leaves
// nothing behind: the richest of each stack, and every one with GATEHOUSE_TEST_LONG set.
func TestIntegrationTerraformApplies(t *testing.T) {
	tf, moto := newTerraform(t), moto(t)
	var leftOut []string
	for _, e := range examples() {
		if !allExamples() && !slices.Contains(inEveryRun, e.name) {
			leftOut = append(leftOut, e.name)
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			home, known := homes[e.stack]
			if !known {
				t.Fatalf("stack %s has no home", e.stack)
			}
			w := newClouds(t, moto)
			defer w.complain(t)
			dir, key := w.prepare(t, tf, &e, home.home)
			before := w.holdings(t, key)
			tf.apply(t, dir)
			if during := w.holdings(t, key); cmp.Equal(before, during) && e.stack != "organization" {
				t.Error("nothing was made")
			}
			if check := appliedChecks[e.name]; check != nil {
				check(t, w, key)
			}
			if e.stack == "organization" {
				// moto forgets how a StackSet is deployed, so a plan would replace it; and it
				// keeps the instances of an organizational unit that are deleted.
				if text, err := tf.run(t, dir, "destroy", "-auto-approve", "-input=false", "-no-color"); err == nil || !strings.Contains(text, "StackSet is not empty") {
					t.Errorf("moto destroys a StackSet now, so it can be planned and destroyed as all are: %v\n%s", err, text)
				}
				return
			}
			tf.same(t, dir)
			tf.destroy(t, dir)
			if diff := cmp.Diff(before, w.holdings(t, key)); diff != "" {
				t.Errorf("after destroy:\n%s", diff)
			}
		})
	}
	if len(leftOut) > 0 {
		t.Logf("applied with GATEHOUSE_TEST_LONG set alone: %s", strings.Join(leftOut, ", "))
	}
}

// Parameters change, and what stands is changed in place: nothing is destroyed, and
// nothing is left to change. Some examples change with GATEHOUSE_TEST_LONG set alone.
func TestIntegrationTerraformUpdates(t *testing.T) {
	tf, moto := newTerraform(t), moto(t)
	for _, c := range []struct {
		example string
		changed Values
		inPlace bool
		long    bool
		check   func(t *testing.T, w *clouds, key awssim.Credentials)
	}{
		{"spoke", one("external-id", "x-other", "log-groups", "my-access-logs"), true, false, func(t *testing.T, w *clouds, _ awssim.Credentials) {
			t.Helper()
			hub := w.sim.Account("111122223333").Session("GatehouseHub", "gatehouse", time.Hour)
			role := "arn:aws:iam::" + spokeID + ":role/GatehouseCollector"
			w.mayNotAssume(t, hub, role, "x-e2e")
			w.mayAssume(t, hub, role, "x-other")
		}},
		{"lender", one("lend", "eks-rbac", "principals", "", "user-name", "people:{{SessionName}}", "groups", "readers"), true, true, checkPeopleEntry("people:{{SessionName}}", []string{"readers"})},
		{"lending", one("stages", "prod,dev"), true, true, nil},
		{"protected", one("methods", "GET", "caller-accounts", "111122223333", "retention-days", "14"), false, false, nil},
	} {
		if c.long && !allExamples() {
			t.Logf("changed with GATEHOUSE_TEST_LONG set alone: %s", c.example)
			continue
		}
		t.Run(c.example, func(t *testing.T) {
			w := newClouds(t, moto)
			defer w.complain(t)
			e := exampleOf(t, c.example)
			dir, key := w.prepare(t, tf, &e, onAWSSim)
			before := w.holdings(t, key)
			tf.apply(t, dir)
			for name, values := range c.changed {
				if e.values[name] = values; values[0] == "" {
					delete(e.values, name)
				}
			}
			if err := render(t, &e, Terraform).Write(dir, true); err != nil {
				t.Fatal(err)
			}
			text, err := tf.run(t, dir, "apply", "-auto-approve", "-input=false", "-no-color", "-var", `tags={"team"="edge"}`)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if c.inPlace && !strings.Contains(text, "0 destroyed") {
				t.Errorf("not in place:\n%s", text)
			}
			if !strings.Contains(text, " changed") || strings.Contains(text, "0 changed") {
				t.Errorf("nothing was changed:\n%s", text)
			}
			if c.check != nil {
				c.check(t, w, key)
			}
			if text, err := tf.run(t, dir, "plan", "-detailed-exitcode", "-input=false", "-no-color", "-var", `tags={"team"="edge"}`); err != nil {
				t.Errorf("what was just changed is to be changed: %v\n%s", err, text)
			}
			tf.destroy(t, dir)
			if diff := cmp.Diff(before, w.holdings(t, key)); diff != "" {
				t.Errorf("after destroy:\n%s", diff)
			}
		})
	}
}

func exampleOf(t *testing.T, name string) example {
	t.Helper()
	for _, e := range examples() {
		if e.name == name {
			e.values = maps.Clone(e.values)
			return e
		}
	}
	t.Fatalf("there is no example %s", name)
	return example{}
}

// prepare writes the folder of an example for its home, where what it needs is there
// already, and returns the credentials that it is applied with.
func (w *clouds) prepare(t *testing.T, tf *terraform, e *example, home string) (string, awssim.Credentials) {
	t.Helper()
	account := e.values["account"]
	if account == nil {
		account = e.values["api-account"]
	}
	key := w.admin(t, account[0])
	e.values = maps.Clone(e.values)
	if bucket := e.values["package-bucket"]; bucket != nil {
		w.stage(t, key, bucket[0], e.values["package-key"][0])
	}
	if e.values["function-arn"] != nil {
		w.sim.Account(account[0]).Region(place).AddFunction("orders", nil)
	}
	if e.stack == "organization" {
		e.values["organizational-units"] = []string{w.unit(t, key)}
	}
	dir := tf.folder(t, strings.ReplaceAll(t.Name(), "/", "-"), e)
	override(t, dir, key, w.endpoints(home))
	tf.init(t, dir)
	return dir, key
}

// stage puts a zip where a function's code is looked for.
func (w *clouds) stage(t *testing.T, key awssim.Credentials, bucket, object string) {
	t.Helper()
	client := s3.NewFromConfig(reach(w.moto, key), func(o *s3.Options) { o.UsePathStyle = true })
	if _, err := client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String(bucket)}); err != nil {
		if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{
			Bucket: aws.String(bucket), CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(place)},
		}); err != nil {
			t.Fatal(err)
		}
	}
	empty := "PK\x05\x06" + strings.Repeat("\x00", 18) // an empty zip archive
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(object), Body: strings.NewReader(empty)}); err != nil {
		t.Fatal(err)
	}
}

// unit makes an organization with an organizational unit at moto, which makes up its id.
func (w *clouds) unit(t *testing.T, key awssim.Credentials) string {
	t.Helper()
	client := organizations.NewFromConfig(reach(w.moto, key))
	if _, err := client.CreateOrganization(t.Context(), &organizations.CreateOrganizationInput{}); err != nil {
		t.Fatal(err)
	}
	roots, err := client.ListRoots(t.Context(), &organizations.ListRootsInput{})
	if err != nil {
		t.Fatal(err)
	}
	unit, err := client.CreateOrganizationalUnit(t.Context(), &organizations.CreateOrganizationalUnitInput{Name: aws.String("workloads"), ParentId: roots.Roots[0].Id})
	if err != nil {
		t.Fatal(err)
	}
	made, err := client.CreateAccount(t.Context(), &organizations.CreateAccountInput{AccountName: aws.String("orders"), Email: aws.String("orders@example.com")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.MoveAccount(t.Context(), &organizations.MoveAccountInput{
		AccountId: made.CreateAccountStatus.AccountId, SourceParentId: roots.Roots[0].Id, DestinationParentId: unit.OrganizationalUnit.Id,
	}); err != nil {
		t.Fatal(err)
	}
	return *unit.OrganizationalUnit.Id
}

// The table of homes names stacks that are there, and all of them.
func TestIntegrationTerraformHomes(t *testing.T) {
	var all []string
	for _, s := range Stacks() {
		if s.Name == "kubernetes" {
			continue
		}
		h, ok := homes[s.Name]
		if !ok {
			t.Errorf("stack %s has no home", s.Name)
		}
		all = append(all, fmt.Sprintf("%-17s %-7s %s", s.Name, h.home, h.why))
	}
	t.Log("where stacks are applied:\n" + strings.Join(all, "\n"))
	if len(all) != len(homes) {
		t.Errorf("%d stacks, %d homes", len(all), len(homes))
	}
}

var tfResource = regexp.MustCompile(`(?m)^resource "([a-z0-9_]+)"`)

// What is applied in every run has all stacks, and all kinds of resources.
func TestIntegrationTerraformAppliesEveryKind(t *testing.T) {
	applied, left, names := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, e := range examples() {
		names[e.name] = true
		set := left
		if slices.Contains(inEveryRun, e.name) {
			set = applied
		}
		set["stack "+e.stack] = true
		for _, f := range render(t, &e, Terraform).Files {
			for _, kind := range tfResource.FindAllStringSubmatch(string(f.Text), -1) {
				set[kind[1]] = true
			}
		}
	}
	for _, name := range inEveryRun {
		if !names[name] {
			t.Errorf("there is no example %s", name)
		}
	}
	for _, what := range sortedKeys(left) {
		if !applied[what] {
			t.Errorf("no run applies %s", what)
		}
	}
}
