package awssim_test

import (
	"fmt"
	"net/url"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	orgtypes "github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"github.com/gatehouse-project/gatehouse/awssim"
)

const (
	invokePolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:*:*:abc123/*"}]}`
	denyPolicy   = `{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "execute-api:*", "Resource": "*"}}`
)

// iamWorld has a role and a user with policies of every kind.
func iamWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, awssim.Options{})
	a := w.sim.Account(orders)
	a.SetAlias("orders-prod")
	w.sim.Account("aws").AddPolicy("AmazonAPIGatewayInvokeFullAccess", invokePolicy)
	managed := a.AddPolicy("invoke", denyPolicy)
	a.AddPolicy("invoke", invokePolicy) // the second version is the default one
	boundary := a.AddPolicy("limit", invokePolicy)
	a.AddRole(awssim.Role{
		Name: "app", Path: "/team/", TrustedAccounts: []string{hub}, Allow: []string{"logs:*"},
		Inline: map[string]string{"invoke books": invokePolicy}, ManagedPolicies: []string{managed}, PermissionsBoundary: boundary,
		Tags: map[string]string{"team": "shop"},
	})
	a.AddGroup(awssim.Group{Name: "devs", Inline: map[string]string{"group-invoke": invokePolicy}, ManagedPolicies: []string{"arn:aws:iam::aws:policy/AmazonAPIGatewayInvokeFullAccess"}})
	a.AddUser(awssim.User{Name: "ann", Policies: []string{denyPolicy}, Groups: []string{"devs"}, PermissionsBoundary: invokePolicy})
	return w
}

func (w *world) iam(accountID string) *iam.Client { return iam.NewFromConfig(w.admin(accountID)) }

func decoded(t *testing.T, document *string) string {
	t.Helper()
	text, err := url.PathUnescape(aws.ToString(document))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestIAMRole(t *testing.T) {
	t.Parallel()
	c := iamWorld(t).iam(orders)
	name := aws.String("app")
	role := must[*iam.GetRoleOutput](t)(c.GetRole(ctx(t), &iam.GetRoleInput{RoleName: name})).Role
	if *role.Arn != "arn:aws:iam::222222222222:role/team/app" || *role.Path != "/team/" || *role.MaxSessionDuration != 3600 ||
		*role.PermissionsBoundary.PermissionsBoundaryArn != "arn:aws:iam::222222222222:policy/limit" || *role.Tags[0].Value != "shop" {
		t.Errorf("the role is %+v", role)
	}
	if trust := decoded(t, role.AssumeRolePolicyDocument); trust != `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}]}` {
		t.Errorf("trust policy %s", trust)
	}
	names := must[*iam.ListRolePoliciesOutput](t)(c.ListRolePolicies(ctx(t), &iam.ListRolePoliciesInput{RoleName: name})).PolicyNames
	if !slices.Equal(names, []string{"Allow", "invoke books"}) {
		t.Errorf("inline policies %q", names)
	}
	inline := must[*iam.GetRolePolicyOutput](t)(c.GetRolePolicy(ctx(t), &iam.GetRolePolicyInput{RoleName: name, PolicyName: aws.String("invoke books")}))
	if decoded(t, inline.PolicyDocument) != invokePolicy || *inline.RoleName != "app" {
		t.Errorf("inline policy %+v", inline)
	}
	attached := must[*iam.ListAttachedRolePoliciesOutput](t)(c.ListAttachedRolePolicies(ctx(t), &iam.ListAttachedRolePoliciesInput{RoleName: name})).AttachedPolicies
	if len(attached) != 1 || *attached[0].PolicyName != "invoke" {
		t.Fatalf("attached policies %v", attached)
	}
	policy := must[*iam.GetPolicyOutput](t)(c.GetPolicy(ctx(t), &iam.GetPolicyInput{PolicyArn: attached[0].PolicyArn})).Policy
	for version, want := range map[string]string{"v1": denyPolicy, *policy.DefaultVersionId: invokePolicy} {
		v := must[*iam.GetPolicyVersionOutput](t)(c.GetPolicyVersion(ctx(t), &iam.GetPolicyVersionInput{PolicyArn: policy.Arn, VersionId: aws.String(version)})).PolicyVersion
		if decoded(t, v.Document) != want || v.IsDefaultVersion != (version == "v2") {
			t.Errorf("version %s is %+v", version, v)
		}
	}
	roles := must[*iam.ListRolesOutput](t)(c.ListRoles(ctx(t), nil)).Roles
	if len(roles) != 1 || roles[0].PermissionsBoundary != nil || len(roles[0].Tags) != 0 {
		t.Errorf("a listing shows more than AWS does: %+v", roles)
	}
	aliases := must[*iam.ListAccountAliasesOutput](t)(c.ListAccountAliases(ctx(t), nil)).AccountAliases
	if !slices.Equal(aliases, []string{"orders-prod"}) {
		t.Errorf("aliases %v", aliases)
	}
}

func TestIAMUserAndGroup(t *testing.T) {
	t.Parallel()
	c := iamWorld(t).iam(orders)
	name, group := aws.String("ann"), aws.String("devs")
	user := must[*iam.GetUserOutput](t)(c.GetUser(ctx(t), &iam.GetUserInput{UserName: name})).User
	if *user.PermissionsBoundary.PermissionsBoundaryArn != "arn:aws:iam::222222222222:policy/boundary-of-ann" {
		t.Errorf("boundary %+v", user.PermissionsBoundary)
	}
	if me := must[*iam.GetUserOutput](t)(c.GetUser(ctx(t), nil)).User; *me.UserName != "admin" {
		t.Errorf("the caller is %s", *me.UserName)
	}
	if got := must[*iam.ListUserPoliciesOutput](t)(c.ListUserPolicies(ctx(t), &iam.ListUserPoliciesInput{UserName: name})).PolicyNames; !slices.Equal(got, []string{"policy-0"}) {
		t.Errorf("inline policies %q", got)
	}
	inline := must[*iam.GetUserPolicyOutput](t)(c.GetUserPolicy(ctx(t), &iam.GetUserPolicyInput{UserName: name, PolicyName: aws.String("policy-0")}))
	if decoded(t, inline.PolicyDocument) != denyPolicy {
		t.Errorf("inline policy %s", *inline.PolicyDocument)
	}
	if got := must[*iam.ListAttachedUserPoliciesOutput](t)(c.ListAttachedUserPolicies(ctx(t), &iam.ListAttachedUserPoliciesInput{UserName: name})).AttachedPolicies; len(got) != 0 {
		t.Errorf("attached %v", got)
	}
	groups := must[*iam.ListGroupsForUserOutput](t)(c.ListGroupsForUser(ctx(t), &iam.ListGroupsForUserInput{UserName: name})).Groups
	if len(groups) != 1 || *groups[0].GroupName != "devs" {
		t.Errorf("groups %v", groups)
	}
	if got := must[*iam.ListGroupPoliciesOutput](t)(c.ListGroupPolicies(ctx(t), &iam.ListGroupPoliciesInput{GroupName: group})).PolicyNames; !slices.Equal(got, []string{"group-invoke"}) {
		t.Errorf("the group's policies %v", got)
	}
	must[*iam.GetGroupPolicyOutput](t)(c.GetGroupPolicy(ctx(t), &iam.GetGroupPolicyInput{GroupName: group, PolicyName: aws.String("group-invoke")}))
	attached := must[*iam.ListAttachedGroupPoliciesOutput](t)(c.ListAttachedGroupPolicies(ctx(t), &iam.ListAttachedGroupPoliciesInput{GroupName: group})).AttachedPolicies
	if len(attached) != 1 || *attached[0].PolicyArn != "arn:aws:iam::aws:policy/AmazonAPIGatewayInvokeFullAccess" {
		t.Errorf("the group's managed policies %v", attached)
	}
	must[*iam.GetPolicyOutput](t)(c.GetPolicy(ctx(t), &iam.GetPolicyInput{PolicyArn: attached[0].PolicyArn}))
}

func TestIAMErrors(t *testing.T) {
	t.Parallel()
	w := iamWorld(t)
	c := w.iam(orders)
	_, err := c.GetRole(ctx(t), &iam.GetRoleInput{RoleName: aws.String("none")})
	wantError[*types.NoSuchEntityException](t, err, "The role with name none cannot be found.")
	_, err = c.GetRolePolicy(ctx(t), &iam.GetRolePolicyInput{RoleName: aws.String("app"), PolicyName: aws.String("none")})
	wantError[*types.NoSuchEntityException](t, err, "The role policy with name none cannot be found.")
	_, err = c.GetPolicy(ctx(t), &iam.GetPolicyInput{PolicyArn: aws.String("arn:aws:iam::222222222222:policy/none")})
	wantError[*types.NoSuchEntityException](t, err, "Policy arn:aws:iam::222222222222:policy/none was not found.")
	_, err = c.ListRoles(ctx(t), &iam.ListRolesInput{Marker: aws.String("junk")})
	wantCode(t, err, "InvalidInput", "Invalid Marker.")

	// What IAM answers is decided by IAM too.
	w.sim.Account(orders).AddRole(awssim.Role{Name: "blind"})
	s := w.sim.Account(orders).Session("blind", "s", 1<<40)
	blind := iam.NewFromConfig(w.config(s))
	_, err = blind.GetRole(ctx(t), &iam.GetRoleInput{RoleName: aws.String("app")})
	wantCode(t, err, "AccessDenied", "User: arn:aws:sts::222222222222:assumed-role/blind/s is not authorized to perform: iam:GetRole on resource: arn:aws:iam::222222222222:role/team/app because no identity-based policy allows the iam:GetRole action")
	_, err = blind.GetUser(ctx(t), nil)
	wantCode(t, err, "ValidationError", "Must specify userName when calling with non-User credentials")
}

func TestAccountAuthorizationDetails(t *testing.T) {
	t.Parallel()
	w := iamWorld(t)
	for i := range 25 {
		w.sim.Account(orders).AddRole(awssim.Role{Name: fmt.Sprintf("role-%02d", i), Allow: []string{"logs:*"}})
	}
	c := w.iam(orders)
	var users, groups, roles, policies []string
	pages := 0
	for p := iam.NewGetAccountAuthorizationDetailsPaginator(c, &iam.GetAccountAuthorizationDetailsInput{MaxItems: aws.Int32(10)}); p.HasMorePages(); pages++ {
		out := must[*iam.GetAccountAuthorizationDetailsOutput](t)(p.NextPage(ctx(t)))
		for i := range out.UserDetailList {
			users = append(users, *out.UserDetailList[i].UserName)
		}
		for i := range out.GroupDetailList {
			groups = append(groups, *out.GroupDetailList[i].GroupName)
		}
		for i := range out.RoleDetailList {
			r := &out.RoleDetailList[i]
			roles = append(roles, *r.RoleName)
			if *r.RoleName == "app" && (len(r.RolePolicyList) != 2 || decoded(t, r.RolePolicyList[1].PolicyDocument) != invokePolicy || len(r.AttachedManagedPolicies) != 1) {
				t.Errorf("role app is %+v", r)
			}
		}
		for i := range out.Policies {
			p := &out.Policies[i]
			policies = append(policies, *p.PolicyName)
			if *p.PolicyName == "invoke" && (len(p.PolicyVersionList) != 2 || !p.PolicyVersionList[1].IsDefaultVersion || decoded(t, p.PolicyVersionList[1].Document) != invokePolicy) {
				t.Errorf("policy invoke is %+v", p)
			}
		}
	}
	if !slices.Equal(users, []string{"admin", "ann"}) || !slices.Equal(groups, []string{"devs"}) || len(roles) != 26 || pages != 4 ||
		!slices.Equal(policies, []string{"boundary-of-ann", "invoke", "limit", "AmazonAPIGatewayInvokeFullAccess"}) {
		t.Errorf("%d pages: users %v, groups %v, %d roles, policies %v", pages, users, groups, len(roles), policies)
	}
	only := must[*iam.GetAccountAuthorizationDetailsOutput](t)(c.GetAccountAuthorizationDetails(ctx(t), &iam.GetAccountAuthorizationDetailsInput{Filter: []types.EntityType{types.EntityTypeGroup}}))
	if len(only.GroupDetailList) != 1 || len(only.RoleDetailList)+len(only.UserDetailList)+len(only.Policies) != 0 {
		t.Errorf("filtered %+v", only)
	}
}

// What is attached in the world decides calls, as it stands at the time of the call.
func TestAttachedPoliciesDecide(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	a := w.sim.Account(orders)
	allow := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iam:*","Resource":"*"}]}`
	arn := a.AddPolicy("reader", allow)
	a.AddRole(awssim.Role{Name: "reader", ManagedPolicies: []string{arn}})
	key := a.Session("reader", "s", 1<<40)
	c := iam.NewFromConfig(w.config(key))
	list := func() error {
		_, err := c.ListAccountAliases(ctx(t), nil)
		return err
	}
	if err := list(); err != nil {
		t.Errorf("a managed policy does not allow: %v", err)
	}
	a.AddPolicy("reader", denyPolicy)
	if list() == nil {
		t.Error("the new default version is not used")
	}
	a.AddGroup(awssim.Group{Name: "readers", Policies: []string{allow}})
	a.AddUser(awssim.User{Name: "bob", Groups: []string{"readers"}})
	bob := a.AddAccessKey("bob")
	cfg := w.config(bob)
	cfg.Credentials = credentials.NewStaticCredentialsProvider(bob.AccessKeyID, bob.SecretAccessKey, "")
	if _, err := iam.NewFromConfig(cfg).ListAccountAliases(ctx(t), nil); err != nil {
		t.Errorf("a group's policy does not allow: %v", err)
	}
}

func TestServiceControlPolicies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	org := w.sim.Organization(hub).Add(orders, other)
	apis := org.AddUnit("apis", org.Root())
	org.Move(orders, apis)
	deny := org.AddSCP("no-logs", `{"Version":"2012-10-17","Statement":[{"Sid":"NoLogs","Effect":"Deny","Action":"logs:*","Resource":"*"}]}`, apis)
	_, err := w.logs(orders).DescribeLogGroups(ctx(t), nil)
	wantCode(t, err, "AccessDeniedException", "User: arn:aws:iam::222222222222:user/admin is not authorized to perform: logs:DescribeLogGroups on resource: arn:aws:logs:eu-west-1:222222222222:log-group::log-stream: with an explicit deny in a service control policy")
	must[*cloudwatchlogs.DescribeLogGroupsOutput](t)(w.logs(other).DescribeLogGroups(ctx(t), nil))

	c := w.organizations(hub)
	parents := must[*organizations.ListParentsOutput](t)(c.ListParents(ctx(t), &organizations.ListParentsInput{ChildId: aws.String(orders)})).Parents
	if len(parents) != 1 || *parents[0].Id != apis || parents[0].Type != orgtypes.ParentTypeOrganizationalUnit {
		t.Errorf("parents of the account: %v", parents)
	}
	parents = must[*organizations.ListParentsOutput](t)(c.ListParents(ctx(t), &organizations.ListParentsInput{ChildId: aws.String(apis)})).Parents
	if len(parents) != 1 || *parents[0].Id != org.Root() || parents[0].Type != orgtypes.ParentTypeRoot {
		t.Errorf("parents of the unit: %v", parents)
	}
	var names []string
	for p := organizations.NewListPoliciesForTargetPaginator(c, &organizations.ListPoliciesForTargetInput{
		TargetId: aws.String(apis), Filter: orgtypes.PolicyTypeServiceControlPolicy, MaxResults: aws.Int32(1),
	}); p.HasMorePages(); {
		for _, s := range must[*organizations.ListPoliciesForTargetOutput](t)(p.NextPage(ctx(t))).Policies {
			names = append(names, *s.Name)
		}
	}
	if !slices.Equal(names, []string{"FullAWSAccess", "no-logs"}) {
		t.Errorf("policies of the unit: %v", names)
	}
	policy := must[*organizations.DescribePolicyOutput](t)(c.DescribePolicy(ctx(t), &organizations.DescribePolicyInput{PolicyId: aws.String(deny)})).Policy
	if *policy.PolicySummary.Name != "no-logs" || len(*policy.Content) == 0 {
		t.Errorf("the policy is %+v", policy)
	}
	_, err = w.organizations(orders).ListParents(ctx(t), &organizations.ListParentsInput{ChildId: aws.String(orders)})
	wantError[*orgtypes.AccessDeniedException](t, err, "You don't have permissions to access this resource.")
	_, err = c.DescribePolicy(ctx(t), &organizations.DescribePolicyInput{PolicyId: aws.String("p-none0000")})
	wantError[*orgtypes.PolicyNotFoundException](t, err, "You specified a policy that doesn't exist.")

	org.DetachSCP("p-FullAWSAccess", orders)
	if _, err := w.account(orders).ListRegions(ctx(t), nil); err == nil {
		t.Error("a level without policies allows")
	}
	must[*cloudwatchlogs.DescribeLogGroupsOutput](t)(w.logs(hub).DescribeLogGroups(ctx(t), nil))
}
