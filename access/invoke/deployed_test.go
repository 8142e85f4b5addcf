package invoke

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/deploy"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// TestDeployedRoles lends with exactly the policies that the stack api-lending writes.
func TestDeployedRoles(t *testing.T) {
	t.Parallel()
	stack, err := deploy.Find("api-lending")
	if err != nil {
		t.Fatal(err)
	}
	out, err := stack.Render(deploy.Terraform, deploy.Values{
		"api-account": {owner}, "api-region": {region}, "api": {apiOne}, "stages": {"prod"}, "hub-role": {hubARN}, "external-id": {"x-lend"},
		"role-name": {"api-invoker"}, "control-role-name": {"GatehouseLender"},
	})
	if err != nil {
		t.Fatal(err)
	}
	policies := map[string]string{}
	for _, p := range out.Policies {
		policies[p.Name] = string(p.Document.JSON())
	}
	w := newWorld(t, transaction.REST, orders)
	own := w.sim.Account(owner)
	bounds := own.AddPolicy("api-invoker-bounds", policies["bounds.policy"])
	own.AddRole(awssim.Role{Name: "api-invoker", TrustPolicy: policies["invoker.assume_role_policy"], Inline: map[string]string{"InvokeApi": policies["invoker_invoke.policy"]}, PermissionsBoundary: bounds})
	own.AddRole(awssim.Role{Name: "GatehouseLender", TrustPolicy: policies["control.assume_role_policy"], Inline: map[string]string{"EndSessions": policies["control_switch.policy"]}})
	own.AddRole(awssim.Role{Name: "Admin", Allow: []string{"*"}})
	w.i.Config[keyStages] = "prod"
	got := w.checks()
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if c := got[name]; c.Result != resultOK && name != checkAuth {
			t.Errorf("the check %s is %s: %s", name, c.Result, c.Detail)
		}
	}
	alice := person("alice")
	h := w.lend("g1", alice, routeID(apiOne, "prod", "GET/orders"), time.Hour)
	o := w.object(w.lender, h)
	o.apply(h)
	keys := w.vend(w.lender, alice, h)
	w.wantCall(keys, "GET", "/prod/orders", true)
	w.wantCall(keys, "POST", "/prod/orders", false)
	o.apply()
	w.wantCall(keys, "GET", "/prod/orders", false)

	// What Gatehouse may write there is neither more than the API nor anywhere else.
	c, err := w.lender.connect(w.i)
	if err != nil {
		t.Fatal(err)
	}
	client, err := c.iam()
	if err != nil {
		t.Fatal(err)
	}
	all := aws.String(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	if _, err := client.PutRolePolicy(t.Context(), &awsiam.PutRolePolicyInput{RoleName: aws.String("Admin"), PolicyName: aws.String("x"), PolicyDocument: all}); err == nil {
		t.Error("gatehouse may write policies on another role")
	}
	if _, err := client.PutRolePolicy(t.Context(), &awsiam.PutRolePolicyInput{RoleName: aws.String("api-invoker"), PolicyName: aws.String("x"), PolicyDocument: all}); err != nil {
		t.Fatal(err)
	}
	s, err := c.assume(t.Context(), invokerARN, "mallory@example.com", *all, minSession)
	if err != nil {
		t.Fatal(err)
	}
	w.wantCall(s.keys, "GET", "/prod/orders", true)
	w.wantCall(s.keys, "GET", "/dev/orders", false)
	own.AddRole(awssim.Role{Name: "api-invoker", TrustPolicy: policies["invoker.assume_role_policy"]})
	if _, err := client.PutRolePolicy(t.Context(), &awsiam.PutRolePolicyInput{RoleName: aws.String("api-invoker"), PolicyName: aws.String("x"), PolicyDocument: all}); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("without the boundary gatehouse may write on the role: %v", err)
	}
}
