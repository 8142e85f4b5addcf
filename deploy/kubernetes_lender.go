package deploy

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/gatehouse-project/gatehouse/access/eks"
)

// What is written for lending, beside the collector or in place of it.
const (
	lendingNone = "none"
	lendingAlso = "also"
	lendingOnly = "only"

	lendingTemplates = "chart/templates/8*.yaml"
)

var (
	lendingParameter = Parameter{
		Name: "lending", Summary: "what Gatehouse needs in a cluster to lend access to it: none, also (beside the collector) or only (Gatehouse runs elsewhere)",
		Example: lendingAlso, Default: lendingNone, check: oneOf(lendingNone, lendingAlso, lendingOnly),
	}
	lenderGroupParameter = Parameter{
		Name: "lender-group", Summary: "group that Gatehouse's access entry maps it to, for lending (default: " + eks.LenderGroup + ", unless lender-user is given)",
		Example: eks.LenderGroup, check: checkKubeGroup,
	}
	lenderUserParameter = Parameter{
		Name: "lender-user", Summary: "user that Gatehouse's access entry or token stands for, for lending", Example: eks.LenderUser, check: checkKubeUser,
	}
	bindableParameter = Parameter{
		Name: "bindable-roles", Summary: "cluster roles and roles that Gatehouse may bind (default: any)", Example: "view", List: true, check: checkRoleObject,
	}
	checkKubeUser = pattern("a user of Kubernetes", `[\w:.@/+=-]{1,253}`)
)

// checkPodLending refuses parameters that do not fit one another.
func (in *input) checkPodLending(language Language) error {
	lending := in.text("lending")
	for _, p := range []string{"lender-group", "lender-user", "bindable-roles"} {
		if lending == lendingNone && len(in.list(p)) > 0 {
			return in.fail("lending", "write lending=also or lending=only", "it is none, and %s is given", p)
		}
	}
	group, user := in.text("lender-group"), in.text("lender-user")
	switch {
	case lending != lendingOnly && in.text("image") == "":
		return in.fail("image", "write it as registry.example.com/gatehouse:1.0.0", "it is missing")
	case lending == lendingOnly && language == Helm:
		return in.fail("lending", "leave out --helm: it is two manifests", "the chart holds the collector, and only what lending needs is asked for")
	case reserved(group):
		return in.fail("lender-group", "name a group of your own", "%s belongs to Kubernetes or EKS, and others are in it", group)
	case reserved(user) && !strings.HasPrefix(user, "system:serviceaccount:"):
		return in.fail("lender-user", "name Gatehouse's own user", "%s belongs to Kubernetes or EKS", user)
	}
	return nil
}

// lenderValues are the chart's values for lending.
func (in *input) lenderValues() (map[string]any, error) {
	rules, err := lenderRules(in.list("bindable-roles"))
	v := map[string]any{"name": eks.LenderClusterRole, "rules": rules}
	if group := in.podGroup(); group != "" {
		v["group"] = group
	}
	if user := in.text("lender-user"); user != "" {
		v["user"] = user
	}
	return v, err
}

// podGroup is the group that has the rights of lending; empty: a user alone has.
func (in *input) podGroup() string {
	if in.text("lender-user") != "" {
		return in.text("lender-group")
	}
	return cmp.Or(in.text("lender-group"), eks.LenderGroup)
}

// lenderRules are the rules of the cluster role, as package access/eks asks for them.
func lenderRules(bindable []string) ([]any, error) {
	var role struct {
		Rules []any `yaml:"rules"`
	}
	if err := yaml.Unmarshal([]byte(eks.ClusterRole(bindable...)), &role); err != nil {
		return nil, fmt.Errorf("reading the cluster role: %w", err)
	}
	return role.Rules, nil
}

// lenderManifests are the manifests for lending alone, in one file.
func lenderManifests(lender map[string]any) ([]byte, error) {
	files, err := manifestsOf(lendingTemplates, "", map[string]any{"lender": lender})
	if err != nil {
		return nil, err
	}
	texts := make([][]byte, 0, len(files))
	for _, f := range files {
		texts = append(texts, f.Text)
	}
	return bytes.Join(texts, []byte("---\n")), nil
}

// lenderFiles are the folder of a cluster from which access is lent and in which
// Gatehouse does not run.
func (in *input) lenderFiles(s *Stack) ([]File, error) {
	lender, err := in.lenderValues()
	if err != nil {
		return nil, err
	}
	files, err := manifestsOf(lendingTemplates, "", map[string]any{"lender": lender})
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Lending access to this cluster\n\nWhat Gatehouse, which runs elsewhere, needs in the cluster. An administrator applies it:\n\n    kubectl apply -f .\n")
	in.lendingReadme(&b)
	b.WriteString("\n## Written for\n\nTo change something, write the folder again:\n\n    gatehouse deploy kubernetes --out DIR --params params.yaml\n\nwith this params.yaml:\n\n" + in.parameters(s))
	return append(files, File{"README.md", []byte(b.String())}), nil
}

// lendingReadme says who has the rights of lending, and what they come to.
func (in *input) lendingReadme(b *strings.Builder) {
	if in.text("lending") == lendingNone {
		return
	}
	var who []string
	if group := in.podGroup(); group != "" {
		who = append(who, "the group "+group)
	}
	if user := in.text("lender-user"); user != "" {
		who = append(who, "the user "+user)
	}
	fmt.Fprintf(b, "\n## Lending\n\nThe cluster role %s is bound to %s.\nThe access entry of Gatehouse's role must map it so; the stack eks-access does.\n", eks.LenderClusterRole, strings.Join(who, " and "))
	if len(in.list("bindable-roles")) == 0 {
		b.WriteString("\nGatehouse may bind any role, and so could give itself any. Name the roles that you lend\nwith bindable-roles to narrow it.\n")
	}
}
