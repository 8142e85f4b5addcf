package deploy

import (
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

var eksAccess = &Stack{
	Name:    "eks-access",
	Summary: "the role that people share to reach a cluster, each under a name of their own",
	About: "Deploy it in the account of the cluster. The role may find the cluster and nothing else: what people may do in it is bound to their names by RBAC. " +
		"The trust policy makes STS refuse a session whose name is not the caller's own, which is what makes those names worth anything.",
	Parameters: []Parameter{
		account, regionOf,
		{Name: "cluster", Summary: "name of the cluster", Example: "orders", Required: true, check: checkCluster},
		{Name: "sign-in", Summary: "sso (IAM Identity Center) or saml (a SAML provider of this account)", Example: "sso", Default: "sso", check: oneOf("sso", "saml")},
		{Name: "permission-sets", Summary: "permission sets of IAM Identity Center whose users may assume the role", Example: "Developers", List: true, check: checkSSO},
		{Name: "sso-region", Summary: "region of IAM Identity Center, which is part of its roles' path (us-east-1 has none)", Example: "eu-west-1", check: checkRegion},
		{Name: "saml-provider", Summary: "name of the SAML provider", Example: "okta", check: checkSAML},
		{Name: "mapping", Summary: "access-entry, or aws-auth for a cluster in mode CONFIG_MAP", Example: "access-entry", Default: "access-entry", check: oneOf("access-entry", "aws-auth")},
		{Name: "user-name", Summary: "user in the cluster; a colon must stand before the session name", Example: "gatehouse:{{SessionNameRaw}}", Default: "gatehouse:{{SessionNameRaw}}", check: checkSubject},
		{Name: "groups", Summary: "groups of Kubernetes that everybody with this role is in", Example: "gatehouse:users", List: true, check: checkKubeGroup},
		roleName("gatehouse-k8s-access"), partition,
	},
	build: buildEKS,
}

func buildEKS(in *input) (*model, error) {
	m := &model{account: in.text("account"), region: in.text("region")}
	trust, err := peopleTrust(in, m.account)
	if err != nil {
		return nil, err
	}
	user := in.text("user-name")
	if before, _, _ := strings.Cut(user, "{{"); !strings.Contains(before, ":") {
		return nil, in.fail("user-name", "write it as gatehouse:{{SessionNameRaw}}", "%q has no colon before the session name, so a session could be named as another user of the cluster", user)
	}
	for _, taken := range []string{"system:", "eks:", "aws:", "amazon:", "iam:"} {
		if strings.HasPrefix(strings.ToLower(user), taken) {
			return nil, in.fail("user-name", "begin it with gatehouse:", "EKS keeps names that begin with %s to itself", taken)
		}
		for _, g := range in.list("groups") {
			if strings.HasPrefix(strings.ToLower(g), taken) {
				return nil, in.fail("groups", "name a group of your own", "%s belongs to Kubernetes or EKS", g)
			}
		}
	}
	w := &writer{}
	w.allow("FindCluster", "What aws eks update-kubeconfig calls. It gives no rights in the cluster.", []string{"eks:DescribeCluster"},
		[]string{in.arn("eks", m.region, m.account, "cluster/"+in.text("cluster"))})
	d, err := w.document()
	if err != nil {
		return nil, err
	}
	role := m.role("people", "The role that people share.", in.text("role-name"), "People reach an EKS cluster with it, each under their own name", trust)
	m.policy(role, "people_find", "The one cluster.", "FindCluster", d)
	if in.text("mapping") == "access-entry" {
		entry := []attr{
			{tf: "cluster_name", cfn: "ClusterName", value: in.text("cluster")},
			{tf: "principal_arn", cfn: "PrincipalArn", value: ref{role, "arn", "Arn"}},
			{tf: "type", cfn: "Type", value: "STANDARD"},
			{tf: "user_name", cfn: "Username", value: user},
		}
		var groups list
		for _, g := range in.list("groups") {
			groups = append(groups, g)
		}
		if len(groups) > 0 {
			entry = append(entry, attr{tf: "kubernetes_groups", cfn: "KubernetesGroups", value: groups})
		}
		m.add(&resource{
			label: "people_entry", comment: "Everybody has this one entry, so rights that are put on it are everybody's. Bind rights to users instead.",
			tf: "aws_eks_access_entry", cfn: "AWS::EKS::AccessEntry", attrs: entry,
		})
	} else {
		text := "Add this to mapRoles of the ConfigMap aws-auth in kube-system, once. Keep what is there: one line that does not parse locks everybody out.\n\n" +
			"    - rolearn: " + in.arn("iam", "", m.account, "role/"+in.text("role-name")) + "\n      username: \"" + user + "\"\n"
		if groups := in.list("groups"); len(groups) > 0 {
			text += "      groups:\n        - \"" + strings.Join(groups, "\"\n        - \"") + "\"\n"
		}
		m.notes = append(m.notes, note{"aws-auth", text})
	}
	m.notes = append(m.notes, note{"People's profiles", "A profile names the session after its user, in the case that the identity provider uses:\n\n" +
		"    [profile gatehouse-" + in.text("cluster") + "]\n    role_arn = " + in.arn("iam", "", m.account, "role/"+in.text("role-name")) +
		"\n    role_session_name = alice@example.com\n    source_profile = sso\n\n" +
		"Use --profile with aws eks update-kubeconfig, never --role-arn, which names every session alike.\n"})
	if in.text("sign-in") == "sso" {
		m.notes = append(m.notes, note{"Permission sets", "The trust policy lets in the account's roles of these permission sets as far as their own policies allow. Give each set this inline policy:\n\n" +
			"    {\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"sts:AssumeRole\",\"Resource\":\"" +
			in.arn("iam", "", m.account, "role/"+in.text("role-name")) + "\"}]}"})
	}
	m.output("role_arn", "ARN of the role that people assume.", ref{role, "arn", "Arn"})
	return m, nil
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
		s.Condition = iam.Conditions{{Operator: "StringEquals", Key: "SAML:aud", Values: iam.Strings{audience}}, own}
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
	return document{d, map[string]string{"People": remark}}, err
}
