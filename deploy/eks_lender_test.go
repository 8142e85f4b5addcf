package deploy

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/eks"
	"github.com/gatehouse-project/gatehouse/iam"
)

const (
	eksARN    = "arn:aws:eks:eu-west-1:222233334444:"
	ordersARN = eksARN + "cluster/orders"
	entryID   = "/3ab1e5a7-0d0c-4a44-9a2a-000000000001"
	sharedARN = "arn:aws:iam::222233334444:role/" + eks.DefaultAccessRole
	aliceRole = "arn:aws:iam::222233334444:role/people/eks-alice@example.com"
	adminRole = "arn:aws:iam::222233334444:role/Admin"
)

// entryOf is the ARN of a role's entry, with the role's path as AWS may write it.
func entryOf(cluster, role string) string {
	return eksARN + "access-entry/" + cluster + "/role/" + strings.Split(role, ":")[4] + "/" + strings.TrimPrefix(strings.SplitN(role, ":", 6)[5], "role/") + entryID
}

// onEntry are calls about a role's entry, as EKS describes them to IAM.
func onEntry(cluster, role string, more []string, actions ...string) []ask {
	resource := entryOf(cluster, role)
	if slices.Contains(actions, "eks:CreateAccessEntry") {
		resource = eksARN + "cluster/" + cluster
	}
	return with(given(append([]string{"eks:principalArn", role, "eks:clusterName", cluster}, more...)...), calls(resource, actions...))
}

// lenderProofs are what package access/eks calls, and near misses.
func lenderProofs() []proof {
	tags := []string{"aws:TagKeys", "gatehouse.dev/managed-by"}
	ours := []string{"aws:ResourceTag/gatehouse.dev/managed-by", "gatehouse"}
	policy := func(name string) []string {
		return []string{"eks:policyArn", "arn:aws:eks::aws:cluster-access-policy/" + name}
	}
	view, power := policy("AmazonEKSViewPolicy"), policy(eks.PowerPolicy)
	connecting := join(
		calls(ordersARN, "eks:DescribeCluster"), calls(sharedARN, "iam:GetRole"),
		onEntry("orders", sharedARN, nil, "eks:DescribeAccessEntry", "eks:ListAssociatedAccessPolicies", "eks:UpdateAccessEntry"),
		onEntry("orders", sharedARN, tags, "eks:CreateAccessEntry"), onEntry("orders", sharedARN, tags, "eks:TagResource"),
	)
	lending := func(cluster, role string) []ask {
		return join(
			onEntry(cluster, role, nil, "eks:DescribeAccessEntry", "eks:ListAssociatedAccessPolicies"),
			onEntry(cluster, role, tags, "eks:CreateAccessEntry"), onEntry(cluster, role, tags, "eks:TagResource", "eks:UntagResource"),
			onEntry(cluster, role, view, "eks:AssociateAccessPolicy", "eks:DisassociateAccessPolicy"), onEntry(cluster, role, power, "eks:DisassociateAccessPolicy"),
			onEntry(cluster, role, ours, "eks:DeleteAccessEntry"),
		)
	}
	// changes are all that could be done about a role's entry but looking at it.
	changes := func(cluster, role string) []ask {
		return join(
			onEntry(cluster, role, tags, "eks:CreateAccessEntry"), onEntry(cluster, role, tags, "eks:TagResource", "eks:UntagResource", "eks:UpdateAccessEntry"),
			onEntry(cluster, role, view, "eks:AssociateAccessPolicy", "eks:DisassociateAccessPolicy"), onEntry(cluster, role, ours, "eks:DeleteAccessEntry"),
		)
	}
	elsewhere := func(asks []ask, from, to string) (all []ask) {
		for _, a := range asks {
			a.resource = strings.Replace(a.resource, from, to, 1)
			all = append(all, a)
		}
		return all
	}
	never := join(
		calls(ordersARN, "eks:DeleteCluster", "eks:UpdateClusterConfig", "eks:UpdateClusterVersion", "eks:AccessKubernetesApi", "eks:TagResource", "eks:CreateNodegroup", "eks:CreatePodIdentityAssociation"),
		calls("*", "eks:CreateCluster", "eks:ListClusters", "iam:ListRoles"),
		calls(sharedARN, "iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy", "iam:DeleteRole", "iam:PassRole", "sts:AssumeRole"),
		calls(adminRole, "iam:GetRole", "sts:AssumeRole"),
		calls(eksARN+"cluster/payroll", "eks:DescribeCluster"), elsewhere(connecting[:1], "222233334444", "999988887777"), elsewhere(connecting[:1], "eu-west-1", "us-east-1"),
		onEntry("payroll", sharedARN, nil, "eks:DescribeAccessEntry", "eks:UpdateAccessEntry"), changes("orders", adminRole), changes("payroll", aliceRole),
		// Nothing is lent by the entry that everybody shares.
		onEntry("orders", sharedARN, view, "eks:AssociateAccessPolicy"), onEntry("orders", sharedARN, ours, "eks:DeleteAccessEntry"),
		onEntry("orders", sharedARN, []string{"aws:TagKeys", "team"}, "eks:TagResource"),
		calls("arn:aws:secretsmanager:eu-west-1:222233334444:secret:other-a1B2c3", "secretsmanager:GetSecretValue"),
		calls("arn:aws:secretsmanager:eu-west-1:222233334444:secret:gatehouse/orders-a1B2c3", "secretsmanager:PutSecretValue", "secretsmanager:DeleteSecret", "secretsmanager:DescribeSecret"),
	)
	alices := lending("orders", aliceRole)
	probe := onEntry("orders", "arn:aws:iam::222233334444:role/people/eks-"+eks.ProbeRole, view, "eks:AssociateAccessPolicy")
	decrypt := func(via, secret string) []ask {
		return with(given("kms:ViaService", via, "kms:EncryptionContext:SecretARN", secret), calls(kmsARN, "kms:Decrypt"))
	}
	const tokenARN = "arn:aws:secretsmanager:eu-west-1:222233334444:secret:gatehouse/orders-a1B2c3"
	trusted := with(given("sts:ExternalId", "x-e2e"), calls("arn:aws:iam::222233334444:role/GatehouseLender", "sts:AssumeRole"))
	return []proof{
		{
			example: "lender", policy: "lender_lend.policy",
			allowed: join(connecting, alices, lending("billing", aliceRole), lending("orders", "arn:aws:iam::222233334444:role/oncall"), probe,
				elsewhere(alices, "role/222233334444/people/eks-", "role/222233334444/eks-"), // whichever way AWS writes a role with a path
				calls("*", "eks:ListAccessPolicies"), calls(ordersARN, "eks:ListAccessEntries"), calls("arn:aws:iam::222233334444:role/oncall", "iam:GetRole"),
				onEntry("orders", adminRole, nil, "eks:DescribeAccessEntry", "eks:ListAssociatedAccessPolicies"),
				calls(tokenARN, "secretsmanager:GetSecretValue"), decrypt("secretsmanager.eu-west-1.amazonaws.com", tokenARN)),
			denied: join(never, elsewhere(alices, ":222233334444:", ":999988887777:"), elsewhere(alices, "eu-west-1", "us-east-1"),
				onEntry("orders", aliceRole, power, "eks:AssociateAccessPolicy"), onEntry("orders", aliceRole, []string{"aws:TagKeys", "team"}, "eks:TagResource", "eks:UntagResource"),
				onEntry("orders", aliceRole, nil, "eks:DeleteAccessEntry", "eks:UpdateAccessEntry"), calls(aliceRole, "iam:GetRole", "sts:AssumeRole"),
				onEntry("orders", "arn:aws:iam::222233334444:role/people/admin", view, "eks:AssociateAccessPolicy"),
				onEntry("orders", "arn:aws:iam::222233334444:role/oncall2", view, "eks:AssociateAccessPolicy"),
				decrypt("s3.eu-west-1.amazonaws.com", tokenARN), decrypt("secretsmanager.eu-west-1.amazonaws.com", "arn:aws:secretsmanager:eu-west-1:222233334444:secret:other-a1B2c3"), calls(kmsARN, "kms:Decrypt", "kms:Encrypt"),
				calls(ordersARN, "eks:ListUpdates")),
		},
		{
			example: "lender of bindings", policy: "lender_lend.policy",
			allowed: join(connecting, calls("arn:aws:secretsmanager:us-east-1:222233334444:secret:gatehouse/orders-a1B2c3", "secretsmanager:GetSecretValue")),
			denied: join(never, alices, onEntry("orders", adminRole, nil, "eks:DescribeAccessEntry"), calls("*", "eks:ListAccessPolicies"), calls(ordersARN, "eks:ListAccessEntries"),
				calls("arn:aws:secretsmanager:us-east-1:222233334444:secret:gatehouse/orders-zzzzzz", "secretsmanager:GetSecretValue")),
		},
		{
			example: "lender by aws-auth", policy: "lender_lend.policy",
			allowed: join(connecting[:2], onEntry("orders", sharedARN, nil, "eks:DescribeAccessEntry")),
			denied:  join(never, alices, onEntry("orders", sharedARN, nil, "eks:UpdateAccessEntry"), onEntry("orders", sharedARN, tags, "eks:CreateAccessEntry"), onEntry("orders", sharedARN, tags, "eks:TagResource")),
		},
		{
			example: "lender of access policies", policy: "lender_lend.policy",
			allowed: join(lending("orders", "arn:aws:iam::222233334444:role/oncall"), onEntry("orders", "arn:aws:iam::222233334444:role/oncall", power, "eks:AssociateAccessPolicy"),
				onEntry("orders", "arn:aws:iam::222233334444:role/"+eks.ProbeRole, view, "eks:AssociateAccessPolicy", "eks:DisassociateAccessPolicy")),
			denied: join(never, changes("orders", aliceRole), onEntry("orders", sharedARN, tags, "eks:CreateAccessEntry"), calls(sharedARN, "iam:GetRole")),
		},
		{example: "lender", policy: "lender.assume_role_policy", caller: hubARN, allowed: trusted, denied: with(given("sts:ExternalId", "other"), calls("arn:aws:iam::222233334444:role/GatehouseLender", "sts:AssumeRole", "sts:TagSession"))},
		{example: "lender", policy: "lender.assume_role_policy", caller: "arn:aws:iam::111122223333:role/Other", denied: trusted},
		{
			example: "people by SAML alone", policy: "people.assume_role_policy", caller: "arn:aws:iam::222233334444:saml-provider/okta",
			allowed: with(given("SAML:aud", "https://signin.aws.amazon.com/saml", "sts:RoleSessionName", "alice"), calls("arn:aws:iam::222233334444:role/apono-k8s-access", "sts:AssumeRoleWithSAML")),
			denied:  with(given("SAML:aud", "https://evil.example.com", "sts:RoleSessionName", "alice"), calls("arn:aws:iam::222233334444:role/apono-k8s-access", "sts:AssumeRoleWithSAML")),
		},
	}
}

func TestLenderMayDoWhatLendingCallsAndNothingNear(t *testing.T) {
	t.Parallel()
	for _, p := range lenderProofs() {
		t.Run(p.example+" "+p.policy+" "+p.caller, func(t *testing.T) {
			t.Parallel()
			p.check(t)
		})
	}
}

// The actions are those that package access/eks says it needs, and of other services
// those of the role and the secret.
func TestLenderHasTheActionsOfLending(t *testing.T) {
	t.Parallel()
	read := []string{"iam:GetRole", "secretsmanager:GetSecretValue", "kms:Decrypt"}
	for example, want := range map[string][]string{
		"lender":                    slices.Concat(eks.EntryActions(), eks.BindingActions(), read),
		"lender of bindings":        slices.Concat(eks.BindingActions(), read[:2]),
		"lender by aws-auth":        {"eks:DescribeAccessEntry", "eks:DescribeCluster", "eks:ListAssociatedAccessPolicies", "iam:GetRole"},
		"lender of access policies": slices.Concat(eks.EntryActions(), read[:1]),
	} {
		var got []string
		for _, s := range policyOf(t, example, "lender_lend.policy").Statements {
			if s.Effect == iam.Allow {
				got = append(got, s.Action...)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(slices.Compact(want), slices.Compact(got)); diff != "" {
			t.Errorf("%s (- lending's, + the role's):\n%s", example, diff)
		}
	}
}

// What the README says to give to Gatehouse is an integration that it takes, with the
// names of the stack.
func TestLenderIntegrationsAreValid(t *testing.T) {
	t.Parallel()
	for example, want := range map[string]int{"lender": 4, "lender of bindings": 1, "lender by aws-auth": 1, "lender of access policies": 1} {
		n := 0
		for _, e := range examples() {
			if e.name != example {
				continue
			}
			readme := string(fileOf(render(t, &e, Terraform), "README.md"))
			_, rest, _ := strings.Cut(readme, "## The integration\n")
			section, _, _ := strings.Cut(rest, "\n## ")
			for text := range strings.SplitSeq(section, "\n\n") {
				if !strings.HasPrefix(text, "    name:") {
					continue
				}
				var i access.Integration
				if err := yaml.Unmarshal([]byte(text), &i); err != nil {
					t.Fatalf("%v\n%s", err, text)
				}
				n++
				validate := (&eks.RBAC{}).Validate
				if i.Type == eks.TypeAccessEntry {
					validate = (&eks.AccessEntry{}).Validate
				}
				if err := validate(&i); err != nil {
					t.Errorf("%s: %v\n%s", example, err, text)
				}
				if i.Config["aws_role_name"] != "GatehouseLender" || i.Type == eks.TypeRBAC && i.Config["access_role_name"] != eks.DefaultAccessRole {
					t.Errorf("%s: other names than the stack's:\n%s", example, text)
				}
				if i.Type == eks.TypeRBAC && example == "lender of bindings" && (i.Secret == nil || i.Secret.AWS.Region != "us-east-1") {
					t.Errorf("%s: the secret is not named:\n%s", example, text)
				}
			}
		}
		if n != want {
			t.Errorf("%s: %d integrations, want %d", example, n, want)
		}
	}
}

// lenderObjects reads the manifests of a file by their kinds.
func lenderObjects(t *testing.T, text string) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for part := range strings.SplitSeq(text, "---\n") {
		o := readObject(t, part)
		all[o["kind"].(string)] = o
	}
	return all
}

// The folder of eks-access and the manifests of deploy kubernetes hold the same cluster
// role, that of package access/eks, and bind it to the group of Gatehouse's access entry.
func TestLenderManifestsAgree(t *testing.T) {
	t.Parallel()
	for _, e := range examples() {
		if e.name != "lender of bindings" {
			continue
		}
		out := render(t, &e, CloudFormation)
		objects := lenderObjects(t, string(fileOf(out, lenderManifest)))
		want := readObject(t, eks.ClusterRole())
		if diff := cmp.Diff(want["rules"], objects["ClusterRole"]["rules"]); diff != "" || at(t, objects["ClusterRole"], "metadata.name") != eks.LenderClusterRole {
			t.Errorf("the cluster role (- lending's, + the stack's):\n%s", diff)
		}
		if at(t, objects["ClusterRoleBinding"], "subjects.0.name") != eks.LenderGroup || at(t, objects["ClusterRoleBinding"], "roleRef.name") != eks.LenderClusterRole {
			t.Errorf("bound otherwise:\n%s", fileOf(out, lenderManifest))
		}
		if template := string(fileOf(out, "template.yaml")); !strings.Contains(template, "Username: "+eks.LenderUser) || !strings.Contains(template, "- "+eks.LenderGroup) {
			t.Errorf("Gatehouse's entry is mapped otherwise:\n%s", template)
		}
		for _, v := range []Values{one("lending", "only"), one("lending", "also", "image", podImage)} {
			files := renderPod(t, Kubernetes, v)
			for kind, name := range map[string]string{"ClusterRole": "80-clusterrole.yaml", "ClusterRoleBinding": "81-clusterrolebinding.yaml"} {
				if diff := cmp.Diff(objects[kind], readObject(t, files[name])); diff != "" {
					t.Errorf("%v: %s (- eks-access, + kubernetes):\n%s", v, name, diff)
				}
			}
			if _, there := files["40-deployment.yaml"]; there != (v["image"] != nil) {
				t.Errorf("%v: a deployment: %t", v, there)
			}
		}
	}
}

func TestKubernetesLending(t *testing.T) {
	t.Parallel()
	files := renderPod(t, Kubernetes, one("lending", "only", "lender-user", "system:serviceaccount:gatehouse:gatehouse", "bindable-roles", "view,team:edit"))
	if slices.Sort(slices.Collect(maps.Keys(files))); len(files) != 3 {
		t.Errorf("files: %v", slices.Sorted(maps.Keys(files)))
	}
	subjects := at(t, readObject(t, files["81-clusterrolebinding.yaml"]), "subjects").([]any)
	if len(subjects) != 1 || at(t, subjects, "0.kind") != "User" {
		t.Errorf("subjects: %v", subjects)
	}
	binds := 0
	for _, r := range readObject(t, files["80-clusterrole.yaml"])["rules"].([]any) {
		if rule := r.(map[string]any); slices.Contains(rule["verbs"].([]any), any("bind")) {
			binds++
			if diff := cmp.Diff([]any{"view", "team:edit"}, rule["resourceNames"]); diff != "" {
				t.Errorf("may bind (- want, + got):\n%s", diff)
			}
		}
	}
	if binds != 1 {
		t.Errorf("%d rules let it bind", binds)
	}
	for _, c := range []struct {
		v    Values
		want string
	}{
		{one(), "parameter image: it is missing"},
		{one("lending", "also"), "parameter image: it is missing"},
		{one("image", podImage, "lender-group", "ops"), "it is none, and lender-group is given"},
		{one("lending", "only", "lender-group", "system:authenticated"), "belongs to Kubernetes or EKS"},
		{one("lending", "only", "lender-user", "system:admin"), "belongs to Kubernetes or EKS"},
		{one("lending", "only", "bindable-roles", "*"), "is not the name of a role"},
	} {
		if _, err := kubernetes.Render(Kubernetes, c.v); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", c.v, err, c.want)
		}
	}
	if _, err := kubernetes.Render(Helm, one("lending", "only")); err == nil || !strings.Contains(err.Error(), "the chart holds the collector") {
		t.Errorf("a chart with the rights of lending alone: %v", err)
	}
}
