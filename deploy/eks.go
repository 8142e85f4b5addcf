package deploy

import (
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/access/eks"
	"github.com/gatehouse-project/gatehouse/iam"
)

var eksAccess = &Stack{
	Name:    "eks-access",
	Summary: "what lending access to EKS clusters needs: the role that people share, each under a name of their own, and Gatehouse's",
	About: "Deploy it in the account of the clusters. The role that people share may find the clusters and nothing else: what people may do in them is bound to their names by RBAC. " +
		"Its trust policy makes STS refuse a session whose name is not the caller's own, which is what makes those names worth anything. " +
		"With hub-role there is also the role that Gatehouse assumes to lend, limited to these clusters and roles.",
	Parameters: []Parameter{
		account, regionOf,
		{Name: "cluster", Summary: "names of the clusters", Example: "orders", Required: true, List: true, check: checkCluster},
		{
			Name: "lend", Summary: "types of integrations: eks-rbac (bindings for people who share a role), eks-access-entry (access policies on people's own roles)",
			Example: eks.TypeRBAC, Default: eks.TypeRBAC, List: true, check: oneOf(eks.TypeRBAC, eks.TypeAccessEntry),
		},
		{Name: "sign-in", Summary: "sso (IAM Identity Center) or saml (a SAML provider of this account)", Example: "sso", Default: "sso", check: oneOf("sso", "saml")},
		{Name: "permission-sets", Summary: "permission sets of IAM Identity Center whose users may assume the role", Example: "Developers", List: true, check: checkSSO},
		{Name: "sso-region", Summary: "region of IAM Identity Center, which is part of its roles' path (us-east-1 has none)", Example: "eu-west-1", check: checkRegion},
		{Name: "saml-provider", Summary: "name of the SAML provider", Example: "okta", check: checkSAML},
		flag("saml-subject", "with saml, also require that the session is named as the assertion's subject; false: its name is what the provider's attribute RoleSessionName says", true),
		{Name: "mapping", Summary: "access-entry, or aws-auth for a cluster in mode CONFIG_MAP", Example: "access-entry", Default: "access-entry", check: oneOf("access-entry", "aws-auth")},
		{Name: "user-name", Summary: "user in the cluster; a colon must stand before the session name", Example: eks.DefaultTemplate, Default: eks.DefaultTemplate, check: checkSubject},
		{Name: "groups", Summary: "groups of Kubernetes that everybody with this role is in", Example: "gatehouse:users", List: true, check: checkKubeGroup},
		hubRoles.optional(),
		externalID.optional(),
		{Name: "lender-role-name", Summary: "name of the role that Gatehouse assumes: aws_role_name of the integration", Example: "GatehouseLender", Default: "GatehouseLender", check: checkRole},
		{Name: "lender-group", Summary: "group of Kubernetes that Gatehouse's role is in", Example: eks.LenderGroup, Default: eks.LenderGroup, check: checkKubeGroup},
		{Name: "bindable-roles", Summary: "cluster roles and roles that Gatehouse may bind (default: any)", Example: "view", List: true, check: checkRoleObject},
		{
			Name: "principals", Summary: "people's own roles for eks-access-entry: ARNs, with {{person}} where the name of a person stands, as in principal_arn",
			Example: "arn:aws:iam::111122223333:role/people/eks-{{person}}", List: true, check: checkPrincipal,
		},
		flag("cluster-admin", "also allow lending the access policy "+eks.PowerPolicy, false),
		{Name: "secret", Summary: "names or ARNs of secrets in Secrets Manager that hold tokens for the clusters, in their order", Example: "gatehouse/orders", List: true, check: checkSecret},
		kmsKey.as("secret-key", "ARN of the KMS key of these secrets, where it is not AWS's own; its policy must leave the decision to roles' policies", ""),
		roleName(eks.DefaultAccessRole), partition,
	},
	build: buildEKS,
}

// lends reports whether integrations of a type are meant.
func (in *input) lends(kind string) bool { return slices.Contains(in.list("lend"), kind) }

func buildEKS(in *input) (*model, error) {
	m := &model{account: in.text("account"), region: in.text("region")}
	if err := in.checkLending(); err != nil {
		return nil, err
	}
	if in.lends(eks.TypeRBAC) {
		if err := m.people(in); err != nil {
			return nil, err
		}
	}
	if len(in.list("hub-role")) > 0 {
		if err := m.lender(in); err != nil {
			return nil, err
		}
	}
	if in.lends(eks.TypeRBAC) {
		if in.text("mapping") == "aws-auth" {
			m.notes = append(m.notes, in.authNote())
		}
		m.notes = append(m.notes, in.profileNote())
	}
	if in.lends(eks.TypeRBAC) && in.text("sign-in") == "sso" {
		m.notes = append(m.notes, note{"Permission sets", "The trust policy lets in the account's roles of these permission sets as far as their own policies allow. Give each set this inline policy:\n\n" +
			"    {\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"sts:AssumeRole\",\"Resource\":\"" + in.peopleARN() + "\"}]}"})
	}
	return m, nil
}

// people adds the role that people share and its entries.
func (m *model) people(in *input) error {
	trust, err := peopleTrust(in, m.account)
	if err != nil {
		return err
	}
	user := in.text("user-name")
	if before, _, _ := strings.Cut(user, "{{"); !strings.Contains(before, ":") {
		return in.fail("user-name", "write it as "+eks.DefaultTemplate, "%q has no colon before the session name, so a session could be named as another user of the cluster", user)
	}
	if reserved(user) {
		return in.fail("user-name", "begin it with gatehouse:", "EKS keeps names that begin with %s to itself", user[:strings.Index(user, ":")+1])
	}
	for _, g := range in.list("groups") {
		switch {
		case reserved(g):
			return in.fail("groups", "name a group of your own", "%s belongs to Kubernetes or EKS", g)
		case g == in.text("lender-group"):
			return in.fail("groups", "name another group", "%s is the group of Gatehouse's own role, which may bind any role", g)
		}
	}
	w := &writer{}
	w.allow("FindCluster", "What aws eks update-kubeconfig calls. It gives no rights in the cluster.", []string{"eks:DescribeCluster"}, in.clusterARNs())
	d, err := w.document()
	if err != nil {
		return err
	}
	role := m.role("people", "The role that people share.", in.text("role-name"), "People reach EKS clusters with it, each under their own name", trust)
	m.policy(role, "people_find", "The named clusters.", "FindCluster", d)
	if in.text("mapping") == "access-entry" {
		m.entries(in, role, "people_entry", "Everybody has this one entry, so rights that are put on it are everybody's. Bind rights to users instead.", user, in.list("groups"))
	}
	m.output("role_arn", "ARN of the role that people assume.", ref{role, "arn", "Arn"})
	return nil
}

// entries adds an access entry for a role in each cluster.
func (m *model) entries(in *input, role *resource, label, comment, user string, groups []string) {
	for i, cluster := range in.list("cluster") {
		at := label
		if i > 0 {
			at = numbered(label, i) // the first keeps its address when others come
		}
		entry := []attr{
			{tf: "cluster_name", cfn: "ClusterName", value: cluster},
			{tf: "principal_arn", cfn: "PrincipalArn", value: ref{role, "arn", "Arn"}},
			{tf: "type", cfn: "Type", value: "STANDARD"},
			{tf: "user_name", cfn: "Username", value: user},
		}
		all := make(list, 0, len(groups))
		for _, g := range groups {
			all = append(all, g)
		}
		if len(all) > 0 {
			entry = append(entry, attr{tf: "kubernetes_groups", cfn: "KubernetesGroups", value: all})
		}
		m.add(&resource{label: at, comment: comment, tf: "aws_eks_access_entry", cfn: "AWS::EKS::AccessEntry", attrs: entry})
	}
}

// reserved reports whether EKS keeps a name for Kubernetes, AWS or itself.
func reserved(name string) bool {
	return slices.ContainsFunc([]string{"system:", "eks:", "aws:", "amazon:", "iam:"}, func(taken string) bool {
		return strings.HasPrefix(strings.ToLower(name), taken)
	})
}

func (in *input) peopleARN() string {
	return in.arn("iam", "", in.text("account"), "role/"+in.text("role-name"))
}

func (in *input) clusterARNs() []string {
	all := make([]string, 0, len(in.list("cluster")))
	for _, c := range in.list("cluster") {
		all = append(all, in.arn("eks", in.text("region"), in.text("account"), "cluster/"+c))
	}
	return all
}

// authNote is what goes into aws-auth where clusters have no access entries.
func (in *input) authNote() note {
	line := func(arn, user string, groups []string) string {
		text := "    - rolearn: " + arn + "\n      username: \"" + user + "\"\n"
		if len(groups) > 0 {
			text += "      groups:\n        - \"" + strings.Join(groups, "\"\n        - \"") + "\"\n"
		}
		return text
	}
	text := "Add this to mapRoles of the ConfigMap aws-auth in kube-system, once. Keep what is there: one line that does not parse locks everybody out.\n\n" +
		line(in.peopleARN(), in.text("user-name"), in.list("groups"))
	if len(in.list("hub-role")) > 0 {
		text += line(in.lenderARN(), eks.LenderUser, []string{in.text("lender-group")})
	}
	return note{"aws-auth", text}
}

func (in *input) profileNote() note {
	var b strings.Builder
	b.WriteString("A profile names the session after its user, in the case that the identity provider uses:\n\n")
	for _, cluster := range in.list("cluster") {
		b.WriteString("    [profile gatehouse-" + cluster + "]\n    role_arn = " + in.peopleARN() +
			"\n    role_session_name = alice@example.com\n    source_profile = sso\n\n")
	}
	return note{"People's profiles", b.String() + "Use --profile with aws eks update-kubeconfig, never --role-arn, which names every session alike.\n"}
}

// peopleTrust lets people in under their own names alone. STS compares without
// regard to case, Kubernetes does not: a name in another case passes here and is
// bound to nothing there.
//
// Best evidence: STS knows SAML:sub in a session that IAM Identity Center began, and
// sts:RoleSessionName also where SAML is the way in. Where either is absent the
// comparison fails and nobody is let in.
func peopleTrust(in *input, account string) (document, error) {
	own := iam.Condition{Operator: "StringEqualsIgnoreCase", Key: "sts:RoleSessionName", Values: iam.Strings{"${SAML:sub}"}}
	s := iam.Statement{Sid: "People", Effect: iam.Allow}
	remark := "The session must be named as its user."
	if in.text("sign-in") == "saml" {
		if in.text("saml-provider") == "" {
			return document{}, in.fail("saml-provider", "name the provider", "it is missing, and sign-in is saml")
		}
		audience := "https://signin.aws.amazon.com/saml"
		switch in.text("partition") {
		case "aws-cn":
			audience = "https://signin.amazonaws.cn/saml"
		case "aws-us-gov":
			audience = "https://signin.amazonaws-us-gov.com/saml"
		}
		s.Principal = &iam.Principals{Federated: iam.Strings{in.arn("iam", "", account, "saml-provider/"+in.text("saml-provider"))}}
		s.Action = iam.Strings{"sts:AssumeRoleWithSAML"}
		s.Condition = iam.Conditions{{Operator: "StringEquals", Key: "SAML:aud", Values: iam.Strings{audience}}}
		if in.flag("saml-subject") {
			s.Condition = append(s.Condition, own)
		} else {
			remark = "The session is named as the provider's attribute RoleSessionName says: map it to the user's e-mail address, and let no user edit that."
		}
	} else {
		sets := in.list("permission-sets")
		if len(sets) == 0 {
			return document{}, in.fail("permission-sets", "name the permission sets", "it is missing, and sign-in is sso")
		}
		path := "role/aws-reserved/sso.amazonaws.com/"
		if r := in.text("sso-region"); r != "" && r != "us-east-1" {
			path += r + "/"
		}
		var roles iam.Strings
		for _, set := range sets {
			roles = append(roles, in.arn("iam", "", account, path+"AWSReservedSSO_"+set+"_"+strings.Repeat("?", 16)))
		}
		s.Principal = &iam.Principals{AWS: iam.Strings{in.arn("iam", "", account, "root")}}
		s.Action = iam.Strings{"sts:AssumeRole"}
		s.Condition = iam.Conditions{own, {Operator: "ArnLike", Key: "aws:PrincipalArn", Values: roles}}
		remark += " IAM Identity Center ends the names of its roles with 16 characters of its own, which ? stand for; they change when a set is assigned anew."
	}
	d, err := iam.Parse(iam.KindTrust, (&iam.Document{Version: iam.Version2012, Statements: []iam.Statement{s}}).Pretty())
	return document{Document: d, remarks: map[string]string{"People": remark}}, err
}
