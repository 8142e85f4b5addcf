package awssim_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/awssim"
)

const (
	peopleARN  = "arn:aws:iam::222222222222:role/team/People"
	viewPolicy = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
	editPolicy = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"
)

// clusterWorld has the cluster blue, in the mode API_AND_CONFIG_MAP, old, in
// CONFIG_MAP, and the role People.
func clusterWorld(t *testing.T) (*world, *eks.Client) {
	t.Helper()
	w := newWorld(t, awssim.Options{})
	a := w.sim.Account(orders)
	a.AddRole(awssim.Role{Name: "People", Path: "/team/"})
	r := a.Region(region)
	for name, mode := range map[string]string{"blue": "API_AND_CONFIG_MAP", "old": "CONFIG_MAP"} {
		r.AddCluster(awssim.Object{"name": name, "status": "ACTIVE", "accessConfig": awssim.Object{"authenticationMode": mode}})
	}
	return w, eks.NewFromConfig(w.admin(orders))
}

func createPeople(t *testing.T, client *eks.Client) *types.AccessEntry {
	t.Helper()
	out, err := client.CreateAccessEntry(ctx(t), &eks.CreateAccessEntryInput{
		ClusterName: aws.String("blue"), PrincipalArn: aws.String(peopleARN), Username: aws.String("gatehouse:{{SessionName}}"),
		KubernetesGroups: []string{"lent"}, Tags: map[string]string{"managed-by": "gatehouse"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.AccessEntry
}

func describePeople(t *testing.T, client *eks.Client) (*types.AccessEntry, error) {
	t.Helper()
	out, err := client.DescribeAccessEntry(ctx(t), &eks.DescribeAccessEntryInput{ClusterName: aws.String("blue"), PrincipalArn: aws.String(peopleARN)})
	if err != nil {
		return nil, err
	}
	return out.AccessEntry, nil
}

func TestAccessEntryFromCreationToDeletion(t *testing.T) {
	t.Parallel()
	w, client := clusterWorld(t)
	made := createPeople(t, client)
	if !strings.HasPrefix(aws.ToString(made.AccessEntryArn), "arn:aws:eks:eu-west-1:222222222222:access-entry/blue/role/222222222222/team/People/") {
		t.Errorf("the entry's ARN is %s", aws.ToString(made.AccessEntryArn))
	}
	have, err := describePeople(t, client)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(made, have, cmp.AllowUnexported(types.AccessEntry{})); diff != "" {
		t.Errorf("what was created is not what is there: %s", diff)
	}
	if aws.ToString(have.Type) != "STANDARD" || have.Tags["managed-by"] != "gatehouse" || !have.CreatedAt.Equal(w.clock.Now()) {
		t.Errorf("%+v", have)
	}

	_, err = client.CreateAccessEntry(ctx(t), &eks.CreateAccessEntryInput{ClusterName: aws.String("blue"), PrincipalArn: aws.String(peopleARN)})
	wantError[*types.ResourceInUseException](t, err, "The specified access entry resource is already in use on this cluster.")

	w.clock.Advance(time.Minute)
	if _, err := client.UpdateAccessEntry(ctx(t), &eks.UpdateAccessEntryInput{
		ClusterName: aws.String("blue"), PrincipalArn: aws.String(peopleARN), KubernetesGroups: []string{},
	}); err != nil {
		t.Fatal(err)
	}
	have, err = describePeople(t, client)
	if err != nil || len(have.KubernetesGroups) != 0 || aws.ToString(have.Username) != "gatehouse:{{SessionName}}" || !have.ModifiedAt.Equal(w.clock.Now()) {
		t.Errorf("after the update: %+v %v", have, err)
	}

	gone := &eks.DeleteAccessEntryInput{ClusterName: aws.String("blue"), PrincipalArn: aws.String(peopleARN)}
	if _, err := client.DeleteAccessEntry(ctx(t), gone); err != nil {
		t.Fatal(err)
	}
	_, err = describePeople(t, client)
	const none = "The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'."
	wantError[*types.ResourceNotFoundException](t, err, none)
	_, err = client.DeleteAccessEntry(ctx(t), gone)
	wantError[*types.ResourceNotFoundException](t, err, none)
}

func TestNamesThatEKSGives(t *testing.T) {
	t.Parallel()
	w, client := clusterWorld(t)
	user := w.sim.Account(orders).AddUser(awssim.User{Name: "ada"})
	node := w.sim.Account(orders).AddRole(awssim.Role{Name: "Node"})
	for principal, want := range map[string]types.AccessEntry{
		peopleARN: {Type: aws.String("STANDARD"), Username: aws.String("arn:aws:sts::222222222222:assumed-role/People/{{SessionName}}")},
		user:      {Type: aws.String("STANDARD"), Username: aws.String(user)},
		node:      {Type: aws.String("EC2_LINUX"), Username: aws.String("system:node:{{EC2PrivateDNSName}}"), KubernetesGroups: []string{"system:nodes"}},
	} {
		out, err := client.CreateAccessEntry(ctx(t), &eks.CreateAccessEntryInput{ClusterName: aws.String("blue"), PrincipalArn: aws.String(principal), Type: want.Type})
		if err != nil {
			t.Errorf("%s: %v", principal, err)
			continue
		}
		if got := out.AccessEntry; aws.ToString(got.Username) != aws.ToString(want.Username) || !slices.Equal(got.KubernetesGroups, want.KubernetesGroups) {
			t.Errorf("%s is %s in %v", principal, aws.ToString(got.Username), got.KubernetesGroups)
		}
	}
}

func TestAccessEntriesThatAreRefused(t *testing.T) {
	t.Parallel()
	w, client := clusterWorld(t)
	w.sim.Account(orders).AddRole(awssim.Role{Name: "AWSServiceRoleForX", Path: "/aws-service-role/x.amazonaws.com/"})
	const format = "The principalArn parameter format is not valid"
	for name, c := range map[string]struct {
		in   eks.CreateAccessEntryInput
		code string
		want string
	}{
		"a session": {eks.CreateAccessEntryInput{PrincipalArn: aws.String("arn:aws:sts::222222222222:assumed-role/People/ada")}, "InvalidParameterException", format},
		"no ARN":    {eks.CreateAccessEntryInput{PrincipalArn: aws.String("People")}, "InvalidParameterException", format},
		"a service-linked role": {
			eks.CreateAccessEntryInput{PrincipalArn: aws.String("arn:aws:iam::222222222222:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForX")},
			"InvalidParameterException", "The caller is not allowed to modify access entries with a principalArn value of a Service Linked Role",
		},
		"a role without its path": {
			eks.CreateAccessEntryInput{PrincipalArn: aws.String("arn:aws:iam::222222222222:role/People")},
			"InvalidParameterException", "The specified principalArn is invalid: invalid principal.",
		},
		"a name of Kubernetes": {eks.CreateAccessEntryInput{Username: aws.String("system:admin")}, "InvalidParameterException", "The username must not begin with system:"},
		"a name of EKS":        {eks.CreateAccessEntryInput{Username: aws.String("eks:x")}, "InvalidParameterException", "The username must not begin with eks:"},
		"a name of IAM":        {eks.CreateAccessEntryInput{Username: aws.String("iam:x")}, "InvalidParameterException", "The username must not begin with iam:"},
		"a bare session name":  {eks.CreateAccessEntryInput{Username: aws.String("{{SessionNameRaw}}")}, "InvalidParameterException", "The username must have a colon before {{SessionNameRaw}}"},
		"a colon after": {
			eks.CreateAccessEntryInput{Username: aws.String("people-{{SessionName}}:x")}, "InvalidParameterException", "The username must have a colon before {{SessionName}}",
		},
		"a group of Kubernetes": {
			eks.CreateAccessEntryInput{KubernetesGroups: []string{"ok", "system:masters"}},
			"InvalidParameterException", "The kubernetes group name system:masters is invalid, it cannot start with system:",
		},
		"a type": {eks.CreateAccessEntryInput{Type: aws.String("HUMAN")}, "InvalidParameterException", "The type HUMAN is not valid"},
		"groups of a node": {
			eks.CreateAccessEntryInput{Type: aws.String("EC2_LINUX"), KubernetesGroups: []string{"x"}},
			"InvalidParameterException", "The username and kubernetesGroups of an access entry of type EC2_LINUX cannot be set",
		},
		"a cluster of the ConfigMap": {
			eks.CreateAccessEntryInput{ClusterName: aws.String("old")},
			"InvalidRequestException", "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.",
		},
		"no cluster": {eks.CreateAccessEntryInput{ClusterName: aws.String("none")}, "ResourceNotFoundException", "No cluster found for name: none."},
	} {
		in := c.in
		if in.ClusterName == nil {
			in.ClusterName = aws.String("blue")
		}
		if in.PrincipalArn == nil {
			in.PrincipalArn = aws.String(peopleARN)
		}
		t.Run(name, func(t *testing.T) {
			_, err := client.CreateAccessEntry(ctx(t), &in)
			wantCode(t, err, c.code, c.want)
		})
	}
	if left := w.sim.Account(orders).Region(region).AccessEntries("blue"); len(left) != 0 {
		t.Errorf("what was refused is there: %v", left)
	}
}

// Who does not get the answer may call again under the same token.
func TestCreateAccessEntryAgainUnderItsToken(t *testing.T) {
	t.Parallel()
	w, client := clusterWorld(t)
	in := &eks.CreateAccessEntryInput{ClusterName: aws.String("blue"), PrincipalArn: aws.String(peopleARN), ClientRequestToken: aws.String("once")}
	w.sim.Inject(awssim.Fault{Kind: awssim.CutConnection, Service: "eks", Operation: "CreateAccessEntry", Times: 1})
	if _, err := client.CreateAccessEntry(ctx(t), in); err == nil {
		t.Fatal("the connection was not cut")
	}
	again, err := client.CreateAccessEntry(ctx(t), in)
	if err != nil || aws.ToString(again.AccessEntry.PrincipalArn) != peopleARN {
		t.Errorf("%+v %v", again, err)
	}
	in.ClientRequestToken = aws.String("twice")
	if _, err := client.CreateAccessEntry(ctx(t), in); code(err) != "ResourceInUseException" {
		t.Errorf("under another token: %v", err)
	}
}

func associate(t *testing.T, client *eks.Client, policy, kind string, namespaces ...string) error {
	t.Helper()
	_, err := client.AssociateAccessPolicy(ctx(t), &eks.AssociateAccessPolicyInput{
		ClusterName: aws.String("blue"), PrincipalArn: aws.String(peopleARN), PolicyArn: aws.String(policy),
		AccessScope: &types.AccessScope{Type: types.AccessScopeType(kind), Namespaces: namespaces},
	})
	return err
}

// associated are the policies of People with their scopes.
func associated(t *testing.T, client *eks.Client) map[string]string {
	t.Helper()
	out, err := client.ListAssociatedAccessPolicies(ctx(t), &eks.ListAssociatedAccessPoliciesInput{ClusterName: aws.String("blue"), PrincipalArn: aws.String(peopleARN)})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, p := range out.AssociatedAccessPolicies {
		all[aws.ToString(p.PolicyArn)] = string(p.AccessScope.Type) + " " + strings.Join(p.AccessScope.Namespaces, ",")
	}
	if len(all) != len(out.AssociatedAccessPolicies) {
		t.Errorf("a policy is there twice: %+v", out.AssociatedAccessPolicies)
	}
	return all
}

func TestAccessPolicies(t *testing.T) {
	t.Parallel()
	_, client := clusterWorld(t)
	createPeople(t, client)
	known, err := client.ListAccessPolicies(ctx(t), &eks.ListAccessPoliciesInput{})
	if err != nil || !slices.ContainsFunc(known.AccessPolicies, func(p types.AccessPolicy) bool {
		return aws.ToString(p.Arn) == viewPolicy && aws.ToString(p.Name) == "AmazonEKSViewPolicy"
	}) {
		t.Errorf("%+v %v", known, err)
	}
	for _, step := range []struct {
		policy, kind string
		namespaces   []string
		want         map[string]string
	}{
		{viewPolicy, "namespace", []string{"payments"}, map[string]string{viewPolicy: "namespace payments"}},
		{editPolicy, "cluster", nil, map[string]string{viewPolicy: "namespace payments", editPolicy: "cluster "}},
		// The scope of what is there already is replaced: payments is gone.
		{viewPolicy, "namespace", []string{"dev-*"}, map[string]string{viewPolicy: "namespace dev-*", editPolicy: "cluster "}},
	} {
		if err := associate(t, client, step.policy, step.kind, step.namespaces...); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, associated(t, client)); diff != "" {
			t.Error(diff)
		}
	}
	for name, c := range map[string]struct{ policy, kind, namespace, code string }{
		"an IAM policy":       {"arn:aws:iam::aws:policy/ReadOnlyAccess", "cluster", "", "InvalidParameterException"},
		"an unknown policy":   {strings.Replace(viewPolicy, "View", "Vie", 1), "cluster", "", "ResourceNotFoundException"},
		"no scope":            {viewPolicy, "galaxy", "", "InvalidParameterException"},
		"no namespaces":       {viewPolicy, "namespace", "", "InvalidParameterException"},
		"cluster, namespaces": {viewPolicy, "cluster", "payments", "InvalidParameterException"},
	} {
		var namespaces []string
		if c.namespace != "" {
			namespaces = []string{c.namespace}
		}
		if err := associate(t, client, c.policy, c.kind, namespaces...); code(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	for policy, want := range map[string][]string{viewPolicy: {peopleARN}, strings.Replace(viewPolicy, "View", "Admin", 1): nil} {
		out, err := client.ListAccessEntries(ctx(t), &eks.ListAccessEntriesInput{ClusterName: aws.String("blue"), AssociatedPolicyArn: aws.String(policy)})
		if err != nil || !slices.Equal(out.AccessEntries, want) {
			t.Errorf("with %s: %+v %v", policy, out, err)
		}
	}
	gone := &eks.DisassociateAccessPolicyInput{ClusterName: aws.String("blue"), PrincipalArn: aws.String(peopleARN), PolicyArn: aws.String(viewPolicy)}
	if _, err := client.DisassociateAccessPolicy(ctx(t), gone); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{editPolicy: "cluster "}, associated(t, client)); diff != "" {
		t.Error(diff)
	}
	if _, err := client.DisassociateAccessPolicy(ctx(t), gone); code(err) != "ResourceNotFoundException" {
		t.Errorf("a policy that is not there was taken away: %v", err)
	}
}

func TestAccessEntriesAreSeenLater(t *testing.T) {
	t.Parallel()
	w, client := clusterWorld(t)
	r := w.sim.Account(orders).Region(region)
	r.SetClusterDelays(awssim.ClusterDelays{Entries: 5 * time.Second})
	createPeople(t, client)
	if _, err := describePeople(t, client); code(err) != "ResourceNotFoundException" || len(r.AccessEntries("blue")) != 0 {
		t.Errorf("the entry is seen at once: %v", err)
	}
	// Writes see it, however.
	if _, err := client.CreateAccessEntry(ctx(t), &eks.CreateAccessEntryInput{ClusterName: aws.String("blue"), PrincipalArn: aws.String(peopleARN)}); code(err) != "ResourceInUseException" {
		t.Errorf("the entry was created twice: %v", err)
	}
	w.clock.Advance(2 * time.Second)
	if err := associate(t, client, viewPolicy, "cluster"); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(3 * time.Second)
	if got := associated(t, client); len(got) != 0 || len(r.AccessEntries("blue")) != 1 {
		t.Errorf("after 5 s the policies are %v, the entries %v", got, r.AccessEntries("blue"))
	}
	w.clock.Advance(2 * time.Second)
	if got := associated(t, client); len(got) != 1 {
		t.Errorf("after 7 s the policies are %v", got)
	}
	if _, err := client.DeleteAccessEntry(ctx(t), &eks.DeleteAccessEntryInput{ClusterName: aws.String("blue"), PrincipalArn: aws.String(peopleARN)}); err != nil {
		t.Fatal(err)
	}
	if _, err := describePeople(t, client); err != nil || len(r.AccessEntries("blue")) != 1 {
		t.Errorf("the deletion is seen at once: %v", err)
	}
	w.clock.Advance(5 * time.Second)
	if _, err := describePeople(t, client); code(err) != "ResourceNotFoundException" || len(r.AccessEntries("blue")) != 0 {
		t.Errorf("the entry is there still: %v", err)
	}
}

// An entry is of no use to a role that was made anew, though EKS shows it as before.
func TestAccessEntryKeepsTheRolesID(t *testing.T) {
	t.Parallel()
	w, client := clusterWorld(t)
	createPeople(t, client)
	a := w.sim.Account(orders)
	r := a.Region(region)
	entries := r.AccessEntries("blue")
	role, err := iam.NewFromConfig(w.admin(orders)).GetRole(ctx(t), &iam.GetRoleInput{RoleName: aws.String("People")})
	if err != nil || len(entries) != 1 || entries[0]["principalId"] != aws.ToString(role.Role.RoleId) {
		t.Fatalf("%v %v", entries, err)
	}
	a.RemoveRole("People")
	if got := r.AccessEntries("blue"); len(got) != 0 {
		t.Errorf("a role that is gone is let in: %v", got)
	}
	a.AddRole(awssim.Role{Name: "People", Path: "/team/"})
	if got := r.AccessEntries("blue"); len(got) != 0 {
		t.Errorf("a role that was made anew is let in: %v", got)
	}
	if _, err := describePeople(t, client); err != nil {
		t.Errorf("the entry is no longer shown: %v", err)
	}
	if _, err := client.DeleteAccessEntry(ctx(t), &eks.DeleteAccessEntryInput{ClusterName: aws.String("blue"), PrincipalArn: aws.String(peopleARN)}); err != nil {
		t.Fatal(err)
	}
	createPeople(t, client)
	if got := r.AccessEntries("blue"); len(got) != 1 {
		t.Errorf("an entry for the role as it is does not let it in: %v", got)
	}
}

func TestAuthenticationModeGoesOneWay(t *testing.T) {
	t.Parallel()
	w, client := clusterWorld(t)
	w.sim.Account(orders).Region(region).SetClusterDelays(awssim.ClusterDelays{Update: 3 * time.Minute})
	to := func(mode types.AuthenticationMode) (*eks.UpdateClusterConfigOutput, error) {
		return client.UpdateClusterConfig(ctx(t), &eks.UpdateClusterConfigInput{Name: aws.String("old"), AccessConfig: &types.UpdateAccessConfigRequest{AuthenticationMode: mode}})
	}
	is := func(mode types.AuthenticationMode, status types.ClusterStatus) {
		t.Helper()
		out, err := client.DescribeCluster(ctx(t), &eks.DescribeClusterInput{Name: aws.String("old")})
		if err != nil || out.Cluster.AccessConfig.AuthenticationMode != mode || out.Cluster.Status != status {
			t.Fatalf("the cluster is %+v, %v", out.Cluster, err)
		}
		if got := w.sim.Account(orders).Region(region).AuthenticationMode("old"); got != string(mode) {
			t.Errorf("the authenticator goes by %s", got)
		}
	}
	_, err := to(types.AuthenticationModeApi)
	wantError[*types.InvalidParameterException](t, err, "Unsupported authentication mode update from CONFIG_MAP to API")
	is(types.AuthenticationModeConfigMap, types.ClusterStatusActive)

	update, err := to(types.AuthenticationModeApiAndConfigMap)
	if err != nil || update.Update.Status != types.UpdateStatusInProgress || update.Update.Type != types.UpdateTypeAccessConfigUpdate {
		t.Fatalf("%+v %v", update, err)
	}
	is(types.AuthenticationModeConfigMap, types.ClusterStatusUpdating)
	id := aws.ToString(update.Update.Id)
	_, err = to(types.AuthenticationModeApiAndConfigMap)
	wantError[*types.ResourceInUseException](t, err, "Cannot AccessConfigUpdate because cluster old currently has update "+id+" in progress")
	w.clock.Advance(3 * time.Minute)
	is(types.AuthenticationModeApiAndConfigMap, types.ClusterStatusActive)
	done, err := client.DescribeUpdate(ctx(t), &eks.DescribeUpdateInput{Name: aws.String("old"), UpdateId: aws.String(id)})
	if err != nil || done.Update.Status != types.UpdateStatusSuccessful {
		t.Errorf("%+v %v", done, err)
	}
	if _, err := client.ListAccessEntries(ctx(t), &eks.ListAccessEntriesInput{ClusterName: aws.String("old")}); err != nil {
		t.Errorf("the cluster knows no entries: %v", err)
	}

	if _, err := to(types.AuthenticationModeApi); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(3 * time.Minute)
	is(types.AuthenticationModeApi, types.ClusterStatusActive)
	for _, back := range []types.AuthenticationMode{types.AuthenticationModeConfigMap, types.AuthenticationModeApiAndConfigMap, types.AuthenticationModeApi} {
		_, err := to(back)
		wantError[*types.InvalidParameterException](t, err, "Unsupported authentication mode update from API to "+string(back))
	}
	list, err := client.ListUpdates(ctx(t), &eks.ListUpdatesInput{Name: aws.String("old")})
	if err != nil || len(list.UpdateIds) != 2 || list.UpdateIds[1] != id {
		t.Errorf("%+v %v", list, err)
	}
}

func TestTagsOfClustersAndEntries(t *testing.T) {
	t.Parallel()
	_, client := clusterWorld(t)
	entry := createPeople(t, client)
	for arn, first := range map[string]map[string]string{
		aws.ToString(entry.AccessEntryArn):               {"managed-by": "gatehouse"},
		"arn:aws:eks:eu-west-1:222222222222:cluster/old": {},
	} {
		if _, err := client.TagResource(ctx(t), &eks.TagResourceInput{ResourceArn: aws.String(arn), Tags: map[string]string{"a": "1", "b": "2"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := client.UntagResource(ctx(t), &eks.UntagResourceInput{ResourceArn: aws.String(arn), TagKeys: []string{"a"}}); err != nil {
			t.Fatal(err)
		}
		first["b"] = "2"
		out, err := client.ListTagsForResource(ctx(t), &eks.ListTagsForResourceInput{ResourceArn: aws.String(arn)})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, out.Tags); diff != "" {
			t.Error(arn, diff)
		}
	}
	if have, err := describePeople(t, client); err != nil || have.Tags["b"] != "2" {
		t.Errorf("%+v %v", have, err)
	}
	for arn, want := range map[string]string{
		"arn:aws:eks:eu-west-1:222222222222:cluster/none": "NotFoundException",
		"arn:aws:eks:eu-west-1:333333333333:cluster/old":  "NotFoundException",
		aws.ToString(entry.AccessEntryArn) + "x":          "NotFoundException",
		"old":                                             "BadRequestException",
	} {
		if _, err := client.TagResource(ctx(t), &eks.TagResourceInput{ResourceArn: aws.String(arn), Tags: map[string]string{"a": "1"}}); code(err) != want {
			t.Errorf("%s: %v", arn, err)
		}
	}
}

// Every write asks for its own action, on its own resource, under its own conditions.
func TestWritesOfEKSAreDecidedByIAM(t *testing.T) {
	t.Parallel()
	w, admin := clusterWorld(t)
	createPeople(t, admin)
	a := w.sim.Account(orders)
	a.AddRole(awssim.Role{Name: "Others"})
	othersARN := "arn:aws:iam::222222222222:role/Others"
	a.AddUser(awssim.User{Name: "engine", Policies: []string{`{"Version":"2012-10-17","Statement":[
		{"Effect":"Allow","Action":"eks:CreateAccessEntry","Resource":"arn:aws:eks:eu-west-1:222222222222:cluster/blue",
		 "Condition":{"StringLike":{"eks:username":"gatehouse:*"},"StringEquals":{"aws:RequestTag/managed-by":"gatehouse"}}},
		{"Effect":"Allow","Action":["eks:UpdateAccessEntry","eks:DeleteAccessEntry"],"Resource":"arn:aws:eks:eu-west-1:222222222222:access-entry/blue/role/222222222222/*",
		 "Condition":{"StringEquals":{"aws:ResourceTag/managed-by":"gatehouse"}}},
		{"Effect":"Allow","Action":["eks:AssociateAccessPolicy","eks:DisassociateAccessPolicy"],"Resource":"*",
		 "Condition":{"ArnEquals":{"eks:policyArn":"` + viewPolicy + `"}}}]}`}})
	key := a.AddAccessKey("engine")
	cfg := w.config(key)
	cfg.Credentials = credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, "")
	engine := eks.NewFromConfig(cfg)
	create := func(c *eks.Client, cluster, user string, tags map[string]string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := c.CreateAccessEntry(ctx, &eks.CreateAccessEntryInput{
				ClusterName: aws.String(cluster), PrincipalArn: aws.String(othersARN), Username: aws.String(user), Tags: tags,
			})
			return err
		}
	}
	mine := map[string]string{"managed-by": "gatehouse"}
	remove := func(principal string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := engine.DeleteAccessEntry(ctx, &eks.DeleteAccessEntryInput{ClusterName: aws.String("blue"), PrincipalArn: aws.String(principal)})
			return err
		}
	}
	give := func(policy string) func(context.Context) error {
		return func(context.Context) error { return associate(t, engine, policy, "cluster") }
	}
	for _, step := range []struct {
		name  string
		call  func(context.Context) error
		allow bool
	}{
		{"another cluster", create(engine, "old", "gatehouse:{{SessionName}}", mine), false},
		{"another name", create(engine, "blue", "x:{{SessionName}}", mine), false},
		{"without the tag", create(engine, "blue", "gatehouse:{{SessionName}}", nil), false},
		{"a policy that is not named", give(editPolicy), false},
		{"the policy that is named", give(viewPolicy), true},
		{"another's entry", create(admin, "blue", "x:{{SessionName}}", nil), true},
		{"deleting another's entry", remove(othersARN), false},
		{"deleting its own", remove(peopleARN), true},
		{"deleting what is not there", remove(peopleARN), false},
		{"changing the mode", func(ctx context.Context) error {
			_, err := engine.UpdateClusterConfig(ctx, &eks.UpdateClusterConfigInput{
				Name: aws.String("old"), AccessConfig: &types.UpdateAccessConfigRequest{AuthenticationMode: types.AuthenticationModeApiAndConfigMap},
			})
			return err
		}, false},
		{"tagging", func(ctx context.Context) error {
			_, err := engine.TagResource(ctx, &eks.TagResourceInput{ResourceArn: aws.String("arn:aws:eks:eu-west-1:222222222222:cluster/old"), Tags: mine})
			return err
		}, false},
	} {
		err := step.call(ctx(t))
		if step.allow && err != nil || !step.allow && code(err) != "AccessDeniedException" {
			t.Errorf("%s: %v", step.name, err)
		}
	}
}

func TestFaultsOfEKS(t *testing.T) {
	t.Parallel()
	w, client := clusterWorld(t)
	for kind, want := range map[awssim.FaultKind]string{
		awssim.Throttle: "ThrottlingException", awssim.Denied: "AccessDeniedException", awssim.Status500: "InternalFailure",
	} {
		w.sim.Inject(awssim.Fault{Kind: kind, Service: "eks", Operation: "DeleteAccessEntry", Times: 1})
		_, err := client.DeleteAccessEntry(ctx(t), &eks.DeleteAccessEntryInput{ClusterName: aws.String("blue"), PrincipalArn: aws.String(peopleARN)})
		if code(err) != want {
			t.Errorf("%s: %v", kind, err)
		}
	}
	// A body that is no JSON is an error and no more.
	r, err := http.NewRequestWithContext(ctx(t), http.MethodPost, w.url+"/clusters/blue/access-entries", strings.NewReader("{"))
	if err != nil {
		t.Fatal(err)
	}
	sign(t, r, w.sim.Account(orders).AddAccessKey("admin"), "eks", region)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer closeBody(t, answer.Body)
	if answer.StatusCode != http.StatusBadRequest || answer.Header.Get("X-Amzn-Errortype") != "SerializationException" {
		t.Errorf("%s %v", answer.Status, answer.Header)
	}
}
