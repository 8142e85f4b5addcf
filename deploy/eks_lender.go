package deploy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/access/eks"
	"github.com/gatehouse-project/gatehouse/iam"
)

// The places of a role's name in the ARNs of people's roles, as in principal_arn.
const (
	personPlace = "{{person}}"
	policyPlace = "{{policy}}"
)

// lenderManifest is the file with what Gatehouse may do in a cluster.
const lenderManifest = eks.LenderClusterRole + ".yaml"

var (
	checkRoleObject = pattern("the name of a role of Kubernetes", `[A-Za-z0-9][\w.:@-]{0,252}`)
	checkPrincipal  = pattern("the ARN of a role, in which {{person}} and {{policy}} may stand",
		`arn:aws[a-z-]*:iam::[0-9]{12}:role/(([\w+=.@-]|\{\{(person|policy)\}\})+/)*([\w+=.@-]|\{\{(person|policy)\}\})+`)
	checkSecret = pattern("the name or ARN of a secret",
		`[\w/+=.@-]{1,512}|arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[\w/+=.@-]{1,512}-[A-Za-z0-9]{6}`)
)

// checkLending refuses parameters that do not fit one another.
func (in *input) checkLending() error {
	hub := len(in.list("hub-role")) > 0
	switch {
	case hub && in.text("external-id") == "":
		return in.fail("external-id", "give what Gatehouse has as external_id", "it is missing, and hub-role is there")
	case !hub && in.text("external-id") != "":
		return in.fail("hub-role", "name Gatehouse's own role", "it is missing, and external-id is there")
	case in.lends(eks.TypeAccessEntry) && !hub:
		return in.fail("hub-role", "name Gatehouse's own role", "it is missing, and access policies are lent by Gatehouse's role alone")
	case in.lends(eks.TypeAccessEntry) && len(in.list("principals")) == 0:
		return in.fail("principals", "write principal_arn of the integration, or the ARNs of people's roles", "it is missing, and lend has %s", eks.TypeAccessEntry)
	case !in.lends(eks.TypeAccessEntry) && (len(in.list("principals")) > 0 || in.flag("cluster-admin")):
		return in.fail("lend", "write lend=eks-access-entry", "people's own roles and access policies are given, and only bindings are lent")
	case in.lends(eks.TypeAccessEntry) && in.text("mapping") == "aws-auth":
		return in.fail("mapping", "write access-entry", "access policies are lent on access entries, which a cluster that knows aws-auth alone has not")
	case !hub && len(in.list("secret"))+len(in.list("bindable-roles")) > 0:
		return in.fail("hub-role", "name Gatehouse's own role", "it is missing, and secret or bindable-roles is about Gatehouse's role")
	case in.text("secret-key") != "" && len(in.list("secret")) == 0:
		return in.fail("secret", "name the secret", "it is missing, and secret-key is there")
	case reserved(in.text("lender-group")):
		return in.fail("lender-group", "name a group of your own", "%s belongs to Kubernetes or EKS", in.text("lender-group"))
	case strings.EqualFold(in.text("lender-role-name"), in.text("role-name")): // IAM does not tell names apart by case
		return in.fail("lender-role-name", "give it another name", "people's role has this name, and would be Gatehouse's")
	}
	return nil
}

func (in *input) lenderARN() string {
	return in.arn("iam", "", in.text("account"), "role/"+in.text("lender-role-name"))
}

// lender adds the role that Gatehouse assumes.
func (m *model) lender(in *input) error {
	trust, err := hubTrust(in)
	if err != nil {
		return err
	}
	w := &writer{}
	lenderStatements(w, in)
	d, err := w.document()
	if err != nil {
		return err
	}
	role := m.role("lender", "The role that Gatehouse assumes to lend.", in.text("lender-role-name"), "Gatehouse lends access to EKS clusters with it", trust)
	m.policy(role, "lender_lend", "These clusters and roles alone.", "LendAccess", d)
	m.output("lender_role_arn", "ARN of the role that Gatehouse assumes: aws_role_name of the integration.", ref{role, "arn", "Arn"})
	text := "Gatehouse's own role must be allowed to assume this one. Write `collector-hub` again with\n\n    spoke-roles: ['" + in.lenderARN() + "']\n\n" +
		"and give Gatehouse the same external id as external_id.\n"
	m.notes = append(m.notes, note{"Gatehouse's own role", text})
	if in.lends(eks.TypeRBAC) {
		if in.text("mapping") == "access-entry" {
			m.entries(in, role, "lender_entry", "Gatehouse's own way in. What it may do there is what its group is bound to.", eks.LenderUser, []string{in.text("lender-group")})
		}
		rules, err := lenderRules(in.list("bindable-roles"))
		if err != nil {
			return err
		}
		text, err := lenderManifests(map[string]any{"name": eks.LenderClusterRole, "rules": rules, "group": in.text("lender-group")})
		if err != nil {
			return err
		}
		m.files = append(m.files, File{lenderManifest, text})
		apply := "What Gatehouse may do in a cluster, for its group " + in.text("lender-group") + ". In each cluster, as an administrator:\n\n    kubectl apply -f " + lenderManifest + "\n\n"
		if len(in.list("bindable-roles")) == 0 {
			apply += "It may bind any role, and so could give itself any. Name the roles that you lend with\nbindable-roles to narrow it.\n"
		}
		m.notes = append(m.notes, note{"In the cluster", apply})
	}
	m.notes = append(m.notes, in.integrationNote())
	return nil
}

// lenderStatements are what package access/eks calls, and no more.
//
// Best evidence: EKS knows eks:principalArn and the ARN of an entry also where the entry
// does not exist, and tags that are given at creation ask for eks:TagResource on the
// entry's ARN. Whether that ARN has the path of a role is not documented, so both forms
// stand.
func lenderStatements(w *writer, in *input) {
	bindings, policies := in.lends(eks.TypeRBAC), in.lends(eks.TypeAccessEntry)
	entries := in.text("mapping") == "access-entry"
	shared, people := in.peopleARN(), in.personPatterns()
	const id = "The * at the end is the id that EKS gives an entry."
	const names = " Where people's names stand in those of their roles there is a * too."
	w.allow("FindClusters", "", []string{"eks:DescribeCluster"}, in.clusterARNs())
	known := []string{}
	if bindings {
		known = append(known, shared)
	}
	for _, p := range in.list("principals") {
		if !strings.Contains(p, "{{") && !slices.Contains(known, p) {
			known = append(known, p)
		}
	}
	if len(known) > 0 {
		w.allow("SeeRoles", "To see that they exist, and whose names their trust policies let in.", []string{"iam:GetRole"}, known)
	}
	if bindings {
		actions := []string{"eks:DescribeAccessEntry", "eks:ListAssociatedAccessPolicies"}
		if entries {
			actions = append(actions, "eks:UpdateAccessEntry")
		}
		w.allow("MapSharedRole", "The entry of the role that people share. "+id, actions, in.entryARNs(shared))
	}
	if policies {
		w.allow("FindAccessPolicies", "The list of EKS's own access policies takes no resource.", []string{"eks:ListAccessPolicies"}, []string{"*"})
		w.allow("FindEntries", "", []string{"eks:ListAccessEntries"}, in.clusterARNs())
		w.allow("SeeEntries", "Reading alone, of every entry of these clusters: Gatehouse finds its own among them by their tags.",
			[]string{"eks:DescribeAccessEntry", "eks:ListAssociatedAccessPolicies"}, in.everyEntry())
		on := iam.Condition{Operator: "ArnLike", Key: "eks:principalArn", Values: people}
		lend := iam.Conditions{on}
		remark := "On the entries of people's own roles. " + id + names
		if !in.flag("cluster-admin") {
			lend = append(lend, iam.Condition{Operator: "ArnNotEquals", Key: "eks:policyArn", Values: iam.Strings{
				"arn:" + in.text("partition") + ":eks::aws:cluster-access-policy/" + eks.PowerPolicy,
			}})
			remark += " The policy with every right is not lent."
		}
		w.allow("Lend", remark, []string{"eks:AssociateAccessPolicy"}, in.entryARNs(people...), lend...)
		w.allow("TakeBack", "The same entries. "+id+names, []string{"eks:DisassociateAccessPolicy"}, in.entryARNs(people...), on)
		w.allow("CleanUp", "Of the same entries, those that Gatehouse made. "+id+names, []string{"eks:DeleteAccessEntry"}, in.entryARNs(people...), on,
			iam.Condition{Operator: "StringEquals", Key: "aws:ResourceTag/" + eks.TagManaged, Values: iam.Strings{eks.ManagedBy}})
		w.allow("UntagEntries", "Gatehouse's own tags on the same entries. "+id+names, []string{"eks:UntagResource"}, in.entryARNs(people...), ownTags)
	}
	var made []string
	if bindings && entries {
		made = append(made, shared)
	}
	if policies {
		made = append(made, people...)
	}
	if len(made) > 0 {
		remark := "EKS asks for it on the cluster; the condition names the roles whose entries may be made."
		if policies {
			remark += names
		}
		w.allow("MakeEntries", remark, []string{"eks:CreateAccessEntry"}, in.clusterARNs(), iam.Condition{Operator: "ArnLike", Key: "eks:principalArn", Values: made})
		w.allow("TagEntries", "Gatehouse's own tags alone. "+id+names, []string{"eks:TagResource"}, in.entryARNs(made...), ownTags)
	}
	in.secretStatements(w)
}

// ownTags limits changes of tags to Gatehouse's own.
var ownTags = iam.Condition{Operator: "ForAllValues:StringLike", Key: "aws:TagKeys", Values: iam.Strings{eks.TagPrefix + "*"}}

// secretStatements let Gatehouse read the secrets with tokens of clusters.
func (in *input) secretStatements(w *writer) {
	given, named := in.list("secret"), false
	if len(given) == 0 {
		return
	}
	secrets := make([]string, 0, len(given))
	var services iam.Strings
	for _, s := range given {
		place := in.text("region")
		if strings.HasPrefix(s, "arn:") {
			place = strings.Split(s, ":")[3]
		} else {
			s, named = in.arn("secretsmanager", place, in.text("account"), "secret:"+s+"-??????"), true
		}
		secrets = append(secrets, s)
		if service := "secretsmanager." + place + "." + dnsSuffix(in.text("partition")); !slices.Contains(services, service) {
			services = append(services, service)
		}
	}
	remark := "The tokens of the clusters."
	if named {
		remark += " Secrets Manager ends the ARN of a secret with 6 characters of its own, which ? stand for."
	}
	w.allow("ReadTokens", remark, []string{"secretsmanager:GetSecretValue"}, secrets)
	if key := in.text("secret-key"); key != "" {
		w.allow("DecryptTokens", "Through Secrets Manager, and for these secrets alone.", []string{"kms:Decrypt"}, []string{key},
			iam.Condition{Operator: "StringEquals", Key: "kms:ViaService", Values: services},
			iam.Condition{Operator: "StringLike", Key: "kms:EncryptionContext:SecretARN", Values: iam.Strings(secrets)})
	}
}

func dnsSuffix(partition string) string {
	if partition == "aws-cn" {
		return "amazonaws.com.cn"
	}
	return "amazonaws.com"
}

// personPatterns are the ARNs of people's own roles, with * for what changes. Where no
// name holds {{person}} there is one role more: that which the check tries out rights on.
func (in *input) personPatterns() []string {
	var all []string
	person := false
	for _, p := range in.list("principals") {
		person = person || strings.Contains(p, personPlace)
		all = append(all, strings.NewReplacer(personPlace, "*", policyPlace, "*").Replace(p))
	}
	if len(all) > 0 && !person {
		all = append(all, in.arn("iam", "", in.text("account"), "role/"+eks.ProbeRole))
	}
	return all
}

// entryARNs are the ARNs of the roles' entries in the clusters.
func (in *input) entryARNs(roles ...string) []string {
	var all []string
	for _, cluster := range in.list("cluster") {
		for _, role := range roles {
			part := strings.SplitN(role, ":", 6)
			path := strings.TrimPrefix(part[5], "role/")
			forms := []string{path}
			if name := path[strings.LastIndexByte(path, '/')+1:]; name != path && strings.Trim(name, "*") != "" {
				forms = append(forms, name)
			}
			for _, form := range forms {
				arn := in.arn("eks", in.text("region"), in.text("account"), "access-entry/"+cluster+"/role/"+part[4]+"/"+form+"/*")
				if !slices.Contains(all, arn) {
					all = append(all, arn)
				}
			}
		}
	}
	return all
}

func (in *input) everyEntry() []string {
	all := make([]string, 0, len(in.list("cluster")))
	for _, cluster := range in.list("cluster") {
		all = append(all, in.arn("eks", in.text("region"), in.text("account"), "access-entry/"+cluster+"/*"))
	}
	return all
}

// integrationNote is what Gatehouse is told of the clusters.
func (in *input) integrationNote() note {
	var b strings.Builder
	b.WriteString("Connect each cluster in Gatehouse:\n")
	for n, cluster := range in.list("cluster") {
		common := fmt.Sprintf("      cluster_name: %s\n      region: %s\n      account: \"%s\"\n      aws_role_name: %s\n",
			bare(cluster), in.text("region"), in.text("account"), bare(in.text("lender-role-name")))
		if in.lends(eks.TypeRBAC) {
			fmt.Fprintf(&b, "\n    name: %s\n    type: %s\n    config:\n%s      access_role_name: %s\n      mapping: %s\n      username_template: \"%s\"\n",
				bare(cluster), eks.TypeRBAC, common, bare(in.text("role-name")), in.text("mapping"), in.text("user-name"))
			in.secretStore(&b, n)
		}
		if in.lends(eks.TypeAccessEntry) {
			fmt.Fprintf(&b, "\n    name: %s-entries\n    type: %s\n    config:\n%s", cluster, eks.TypeAccessEntry, common)
			in.principalSettings(&b)
			if in.flag("cluster-admin") {
				fmt.Fprintf(&b, "      allow_cluster_roles: %s\n", eks.PowerPolicy)
			}
		}
	}
	if n := len(in.list("secret")); n > 0 && n != len(in.list("cluster")) {
		b.WriteString("\nand add secret_store to those whose token is in Secrets Manager.\n")
	}
	return note{"The integration", b.String()}
}

// principalSettings writes whose role is whose, as far as that is known.
func (in *input) principalSettings(b *strings.Builder) {
	var single []string
	named := false
	for _, p := range in.list("principals") {
		switch {
		case !strings.Contains(p, "{{"):
			single = append(single, p)
		case !named:
			named = true
			fmt.Fprintf(b, "      principal_arn: %s\n", p)
			if !strings.Contains(p, personPlace) {
				b.WriteString("      shared_principal: \"true\"\n")
			}
		}
	}
	if len(single) > 0 {
		b.WriteString("      # Each with the person whose role it is.\n      principals: |\n")
		for i, p := range single {
			fmt.Fprintf(b, "        person-%d@example.com=%s\n", i+1, p)
		}
	}
}

// secretStore writes where the token of a cluster is, where that can be told: one secret
// for each cluster, in their order.
func (in *input) secretStore(b *strings.Builder, n int) {
	secrets := in.list("secret")
	if len(secrets) != len(in.list("cluster")) {
		return
	}
	place := in.text("region")
	if part := strings.Split(secrets[n], ":"); len(part) > 3 {
		place = part[3]
	}
	fmt.Fprintf(b, "    secret_store:\n      aws:\n        region: %s\n        secret_id: %s\n", place, bare(secrets[n]))
}
