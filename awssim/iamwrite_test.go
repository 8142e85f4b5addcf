package awssim_test

import (
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/awssim"
)

const (
	trustsHub   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:root"},"Action":"sts:AssumeRole"}]}`
	trustsOther = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::333333333333:root"},"Action":"sts:AssumeRole"}]}`
	readsLogs   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"logs:DescribeLogGroups","Resource":"*"}]}`
	readsAPIs   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"apigateway:GET","Resource":"*"}]}`
)

func iamTags(pairs ...string) (tags []types.Tag) {
	for i := 0; i < len(pairs); i += 2 {
		tags = append(tags, types.Tag{Key: aws.String(pairs[i]), Value: aws.String(pairs[i+1])})
	}
	return tags
}

// A role that was made by calls is told back as it was made, and changes in place: who
// it trusts now decides, at once.
func TestRoleIsMadeAndChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	client := iam.NewFromConfig(w.admin(orders))
	name := aws.String("Collector")
	bounds, err := client.CreatePolicy(ctx(t), &iam.CreatePolicyInput{PolicyName: aws.String("bounds"), PolicyDocument: aws.String(readsLogs)})
	if err != nil {
		t.Fatal(err)
	}
	in := &iam.CreateRoleInput{
		RoleName: name, AssumeRolePolicyDocument: aws.String(trustsHub), Description: aws.String("reads"), MaxSessionDuration: aws.Int32(7200),
		PermissionsBoundary: bounds.Policy.Arn, Tags: iamTags("team", "edge"),
	}
	if _, err := client.CreateRole(ctx(t), in); err != nil {
		t.Fatal(err)
	}
	if _, err := client.CreateRole(ctx(t), in); code(err) != "EntityAlreadyExists" {
		t.Errorf("a second one: %v", err)
	}
	bad := *in
	bad.RoleName, bad.PermissionsBoundary = aws.String("x"), aws.String("arn:aws:iam::222222222222:policy/none")
	if _, err := client.CreateRole(ctx(t), &bad); code(err) != "NoSuchEntity" {
		t.Errorf("a boundary that is none: %v", err)
	}
	assume := func(account string) error {
		_, err := w.sts(account).AssumeRole(ctx(t), &sts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::222222222222:role/Collector"), RoleSessionName: aws.String("session")})
		return err
	}
	if err := assume(hub); err != nil {
		t.Errorf("the hub: %v", err)
	}
	if _, err := client.UpdateAssumeRolePolicy(ctx(t), &iam.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: aws.String(trustsOther)}); err != nil {
		t.Fatal(err)
	}
	if err := assume(hub); code(err) != "AccessDenied" {
		t.Errorf("the hub, which is trusted no more: %v", err)
	}
	if err := assume(other); err != nil {
		t.Errorf("who is trusted now: %v", err)
	}
	if _, err := client.UpdateAssumeRolePolicy(ctx(t), &iam.UpdateAssumeRolePolicyInput{RoleName: name, PolicyDocument: aws.String("{")}); code(err) != "MalformedPolicyDocument" {
		t.Errorf("no policy: %v", err)
	}
	if _, err := client.UpdateRole(ctx(t), &iam.UpdateRoleInput{RoleName: name, Description: aws.String("reads logs"), MaxSessionDuration: aws.Int32(3600)}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.TagRole(ctx(t), &iam.TagRoleInput{RoleName: name, Tags: iamTags("cost", "7")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.UntagRole(ctx(t), &iam.UntagRoleInput{RoleName: name, TagKeys: []string{"team"}}); err != nil {
		t.Fatal(err)
	}
	got, err := client.GetRole(ctx(t), &iam.GetRoleInput{RoleName: name})
	if err != nil {
		t.Fatal(err)
	}
	r := got.Role
	trust, err := url.QueryUnescape(*r.AssumeRolePolicyDocument)
	if err != nil || trust != trustsOther || *r.Description != "reads logs" || *r.MaxSessionDuration != 3600 || *r.PermissionsBoundary.PermissionsBoundaryArn != *bounds.Policy.Arn ||
		len(r.Tags) != 1 || *r.Tags[0].Key != "cost" {
		t.Errorf("%v %+v", err, r)
	}
	tags, err := client.ListRoleTags(ctx(t), &iam.ListRoleTagsInput{RoleName: name})
	if err != nil || len(tags.Tags) != 1 {
		t.Errorf("%v %+v", err, tags)
	}
	profiles, err := client.ListInstanceProfilesForRole(ctx(t), &iam.ListInstanceProfilesForRoleInput{RoleName: name})
	if err != nil || len(profiles.InstanceProfiles) != 0 {
		t.Errorf("%v %+v", err, profiles)
	}
}

// A boundary limits from the moment that it is there, and a policy that is one cannot be
// deleted.
func TestBoundaryIsPutAndRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	a := w.sim.Account(orders)
	a.AddRole(awssim.Role{Name: "Worker", Allow: []string{"*"}})
	client := iam.NewFromConfig(w.admin(orders))
	worker := iam.NewFromConfig(w.config(a.Session("Worker", "session", time.Hour)))
	made, err := client.CreatePolicy(ctx(t), &iam.CreatePolicyInput{PolicyName: aws.String("bounds"), PolicyDocument: aws.String(readsLogs)})
	if err != nil {
		t.Fatal(err)
	}
	name, arn := aws.String("Worker"), made.Policy.Arn
	if _, err := client.PutRolePermissionsBoundary(ctx(t), &iam.PutRolePermissionsBoundaryInput{RoleName: name, PermissionsBoundary: arn}); err != nil {
		t.Fatal(err)
	}
	if _, err := worker.GetRole(ctx(t), &iam.GetRoleInput{RoleName: name}); code(err) != "AccessDenied" {
		t.Errorf("over the boundary: %v", err)
	}
	if _, err := client.DeletePolicy(ctx(t), &iam.DeletePolicyInput{PolicyArn: arn}); code(err) != "DeleteConflict" {
		t.Errorf("a policy that is a boundary: %v", err)
	}
	if _, err := client.DeleteRolePermissionsBoundary(ctx(t), &iam.DeleteRolePermissionsBoundaryInput{RoleName: name}); err != nil {
		t.Fatal(err)
	}
	if _, err := worker.GetRole(ctx(t), &iam.GetRoleInput{RoleName: name}); err != nil {
		t.Errorf("without a boundary: %v", err)
	}
	if _, err := client.DeletePolicy(ctx(t), &iam.DeletePolicyInput{PolicyArn: arn}); err != nil {
		t.Error(err)
	}
	if _, err := client.GetPolicy(ctx(t), &iam.GetPolicyInput{PolicyArn: arn}); code(err) != "NoSuchEntity" {
		t.Errorf("what was deleted: %v", err)
	}
}

// The default version of a managed policy decides; there are five at most.
func TestPolicyVersions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	a := w.sim.Account(orders)
	client := iam.NewFromConfig(w.admin(orders))
	made, err := client.CreatePolicy(ctx(t), &iam.CreatePolicyInput{
		PolicyName: aws.String("reads"), Path: aws.String("/team/"), Description: aws.String("reads"), PolicyDocument: aws.String(readsLogs), Tags: iamTags("team", "edge"),
	})
	if err != nil {
		t.Fatal(err)
	}
	arn := made.Policy.Arn
	if *arn != "arn:aws:iam::222222222222:policy/team/reads" {
		t.Errorf("ARN %s", *arn)
	}
	if _, err := client.CreatePolicy(ctx(t), &iam.CreatePolicyInput{PolicyName: aws.String("reads"), Path: aws.String("/team/"), PolicyDocument: aws.String(readsLogs)}); code(err) != "EntityAlreadyExists" {
		t.Errorf("a second one: %v", err)
	}
	a.AddRole(awssim.Role{Name: "Reader"})
	if _, err := client.AttachRolePolicy(ctx(t), &iam.AttachRolePolicyInput{RoleName: aws.String("Reader"), PolicyArn: arn}); err != nil {
		t.Fatal(err)
	}
	reader := w.config(a.Session("Reader", "session", time.Hour))
	gateway := func() error {
		_, err := iam.NewFromConfig(reader).GetPolicy(ctx(t), &iam.GetPolicyInput{PolicyArn: arn})
		return err
	}
	if err := gateway(); code(err) != "AccessDenied" {
		t.Errorf("what v1 does not allow: %v", err)
	}
	own := strings.Replace(readsAPIs, "apigateway:GET", "iam:GetPolicy", 1)
	for i := 2; i <= 5; i++ {
		v, err := client.CreatePolicyVersion(ctx(t), &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: aws.String(own), SetAsDefault: i == 5})
		if err != nil || *v.PolicyVersion.VersionId != fmt.Sprintf("v%d", i) {
			t.Fatalf("%v %+v", err, v)
		}
	}
	if err := gateway(); err != nil {
		t.Errorf("what the default version allows: %v", err)
	}
	if _, err := client.CreatePolicyVersion(ctx(t), &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: aws.String(own)}); code(err) != "LimitExceeded" {
		t.Errorf("a sixth: %v", err)
	}
	if _, err := client.DeletePolicyVersion(ctx(t), &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v5")}); code(err) != "DeleteConflict" {
		t.Errorf("the default version: %v", err)
	}
	if _, err := client.SetDefaultPolicyVersion(ctx(t), &iam.SetDefaultPolicyVersionInput{PolicyArn: arn, VersionId: aws.String("v1")}); err != nil {
		t.Fatal(err)
	}
	if err := gateway(); code(err) != "AccessDenied" {
		t.Errorf("what v1 does not allow: %v", err)
	}
	for _, v := range []string{"v2", "v3", "v4", "v5"} {
		if _, err := client.DeletePolicyVersion(ctx(t), &iam.DeletePolicyVersionInput{PolicyArn: arn, VersionId: aws.String(v)}); err != nil {
			t.Fatal(err)
		}
	}
	// The number of a version is given out once.
	next, err := client.CreatePolicyVersion(ctx(t), &iam.CreatePolicyVersionInput{PolicyArn: arn, PolicyDocument: aws.String(own)})
	if err != nil || *next.PolicyVersion.VersionId != "v6" {
		t.Errorf("%v %+v", err, next)
	}
	list, err := client.ListPolicyVersions(ctx(t), &iam.ListPolicyVersionsInput{PolicyArn: arn})
	if err != nil || len(list.Versions) != 2 || !list.Versions[1].IsDefaultVersion {
		t.Errorf("%v %+v", err, list)
	}
	if _, err := client.DeletePolicy(ctx(t), &iam.DeletePolicyInput{PolicyArn: arn}); code(err) != "DeleteConflict" {
		t.Errorf("a policy that is attached: %v", err)
	}
	got, err := client.GetPolicy(ctx(t), &iam.GetPolicyInput{PolicyArn: arn})
	if err != nil || *got.Policy.Description != "reads" || *got.Policy.AttachmentCount != 1 || len(got.Policy.Tags) != 1 {
		t.Errorf("%v %+v", err, got.Policy)
	}
	if _, err := client.TagPolicy(ctx(t), &iam.TagPolicyInput{PolicyArn: arn, Tags: iamTags("cost", "7")}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.UntagPolicy(ctx(t), &iam.UntagPolicyInput{PolicyArn: arn, TagKeys: []string{"team"}}); err != nil {
		t.Fatal(err)
	}
	tags, err := client.ListPolicyTags(ctx(t), &iam.ListPolicyTagsInput{PolicyArn: arn})
	if err != nil || len(tags.Tags) != 1 || *tags.Tags[0].Value != "7" {
		t.Errorf("%v %+v", err, tags)
	}
	if _, err := client.DetachRolePolicy(ctx(t), &iam.DetachRolePolicyInput{RoleName: aws.String("Reader"), PolicyArn: arn}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.DeletePolicy(ctx(t), &iam.DeletePolicyInput{PolicyArn: arn}); code(err) != "DeleteConflict" {
		t.Errorf("a policy with two versions: %v", err)
	}
}

// Policies that are put on one role at the same time are all on it afterwards: each
// change is of what the one before left.
func TestRolePoliciesPutAtOnceAreAllKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	w.sim.Account(orders).AddRole(awssim.Role{Name: "Worker"})
	client := iam.NewFromConfig(w.admin(orders))
	var all sync.WaitGroup
	var want []string
	for i := range 20 {
		name := fmt.Sprintf("p%02d", i)
		want = append(want, name)
		all.Go(func() {
			if _, err := client.PutRolePolicy(ctx(t), &iam.PutRolePolicyInput{RoleName: aws.String("Worker"), PolicyName: &name, PolicyDocument: aws.String(readsLogs)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got, err := client.ListRolePolicies(ctx(t), &iam.ListRolePoliciesInput{RoleName: aws.String("Worker")})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got.PolicyNames); diff != "" {
		t.Error(diff)
	}
}
