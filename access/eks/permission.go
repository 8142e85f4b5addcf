package eks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
)

// rule is something that Gatehouse must be allowed to do in the cluster.
type rule struct{ group, resource, namespace, name, verb string }

func (r rule) String() string {
	s := r.verb + " " + r.resource
	if r.name != "" {
		s += "/" + r.name
	}
	if r.namespace != "" {
		s += " in " + r.namespace
	}
	return s
}

// reviewRule lets Gatehouse ask what somebody else may. Without it access is called ready
// once its binding stands, which is a moment before the cluster goes by it.
var reviewRule = rule{group: "authorization.k8s.io", resource: "subjectaccessreviews", verb: "create"}

// rules are what lending bindings needs.
func rules() []rule {
	var all []rule
	for _, kind := range []string{"clusterrolebindings", "rolebindings"} {
		for _, verb := range []string{"get", "list", "create", "patch", "delete"} {
			all = append(all, rule{group: rbacGroup, resource: kind, verb: verb})
		}
	}
	for _, kind := range []string{"clusterroles", "roles"} {
		for _, verb := range []string{"get", "list", "bind"} {
			all = append(all, rule{group: rbacGroup, resource: kind, verb: verb})
		}
	}
	return append(all, reviewRule, rule{resource: "namespaces", verb: "list"}, rule{resource: "configmaps", namespace: "kube-system", name: configMapName, verb: "get"})
}

// ClusterRole is what Gatehouse needs in a cluster, as a manifest for kubectl apply.
// Without bind, Kubernetes lets it bind only roles whose rights it has itself. Names are
// those of the roles and cluster roles that it may bind; none: any.
func ClusterRole(names ...string) string {
	bind := "    verbs: [get, list, bind]\n"
	if len(names) > 0 {
		bind = "    verbs: [get, list]\n" +
			"  - apiGroups: [rbac.authorization.k8s.io]\n    resources: [clusterroles, roles]\n" +
			`    resourceNames: ["` + strings.Join(names, `", "`) + "\"]\n    verbs: [bind]\n"
	}
	return `apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: ` + LenderClusterRole + `
rules:
  - apiGroups: [rbac.authorization.k8s.io]
    resources: [clusterrolebindings, rolebindings]
    verbs: [get, list, create, patch, delete]
  - apiGroups: [rbac.authorization.k8s.io]
    resources: [clusterroles, roles]
` + bind + `  - apiGroups: [authorization.k8s.io]
    resources: [subjectaccessreviews]
    verbs: [create]
  - apiGroups: [""]
    resources: [namespaces]
    verbs: [list]
  - apiGroups: [""]
    resources: [configmaps]
    resourceNames: [aws-auth]
    verbs: [get, patch]
`
}

// permissions asks the cluster what Gatehouse may do.
func (e *examination) permissions(ctx context.Context) {
	if e.kube == nil {
		e.add(checkPermissions, resultUnseen, "", "the cluster was not reached")
		return
	}
	var missing, unseen []string
	for _, r := range rules() {
		allowed, err := mayDo(ctx, e.kube, r)
		switch {
		case err != nil:
			unseen = append(unseen, fmt.Sprintf("%s: %v", r, err))
		case !allowed:
			missing = append(missing, r.String())
		}
		if len(unseen) > 2 || ctx.Err() != nil {
			break
		}
	}
	bind := slices.ContainsFunc(missing, isBind)
	reviews := slices.Contains(missing, reviewRule.String())
	needed := slices.DeleteFunc(slices.Clone(missing), func(m string) bool { return isBind(m) || m == reviewRule.String() })
	switch {
	case len(needed) > 0:
		e.add(checkPermissions, resultFailed, "apply what 'gatehouse deploy kubernetes --param lending=only' writes, which binds the ClusterRole "+LenderClusterRole+" to the group "+LenderGroup+", and map gatehouse's role to that group", "gatehouse may not %s", strings.Join(missing, ", "))
	case bind || reviews:
		v := trustVerdict{}
		if bind {
			v.say(resultWarning, "gatehouse may not %s, and so binds only roles whose rights it has itself", strings.Join(slices.DeleteFunc(missing, func(m string) bool { return !isBind(m) }), ", "))
			v.mend = "allow gatehouse the verb bind on clusterroles and roles, as the manifest in docs/eks.md does"
		}
		if reviews {
			v.say(resultWarning, "gatehouse may not %s, and so calls access ready once its binding stands, a moment before the cluster goes by it", reviewRule)
			v.mend = orElse(v.mend, "allow gatehouse the verb create on subjectaccessreviews of authorization.k8s.io, as the manifest in docs/eks.md does")
		}
		e.add(checkPermissions, v.result, v.mend, "%s", strings.Join(v.detail, "; "))
	case len(unseen) > 0:
		e.add(checkPermissions, resultUnseen, "", "%s", strings.Join(unseen, "; "))
	default:
		e.add(checkPermissions, resultOK, "", "gatehouse may do all that lending needs")
	}
}

func isBind(missing string) bool { return strings.HasPrefix(missing, "bind ") }

func mayDo(ctx context.Context, k *kube, r rule) (bool, error) {
	var review struct {
		Status struct {
			Allowed bool `json:"allowed"`
		} `json:"status"`
	}
	err := k.create(ctx, authorizationAPI+"/selfsubjectaccessreviews", map[string]any{
		"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
		"spec": map[string]any{"resourceAttributes": map[string]string{
			"group": r.group, "resource": r.resource, "namespace": r.namespace, "name": r.name, "verb": r.verb,
		}},
	}, &review)
	return review.Status.Allowed, err
}

// iamPermissions looks at what Gatehouse may ask AWS about the shared role.
func (e *examination) iamPermissions(ctx context.Context) {
	client, err := e.conn.eksClient()
	if err != nil {
		e.add(checkIAM, resultUnseen, "", "%v", err)
		return
	}
	var missing []string
	if _, err := e.conn.describe(ctx, clusterFor); knownRefusal(err) {
		missing = append(missing, "eks:DescribeCluster")
	}
	if e.live != nil && e.live.mode != "" && e.live.mode != types.AuthenticationModeConfigMap && e.live.arn != "" {
		_, err := client.DescribeAccessEntry(ctx, &eks.DescribeAccessEntryInput{ClusterName: &e.conn.settings.cluster, PrincipalArn: &e.live.arn})
		if knownRefusal(refused(err)) {
			missing = append(missing, "eks:DescribeAccessEntry")
		}
	}
	if knownRefusal(e.role.err) {
		missing = append(missing, "iam:GetRole")
	}
	if len(missing) > 0 {
		e.add(checkIAM, resultWarning, allow(missing...), "gatehouse may not call %s, so it cannot see how people are named and who may take which name", strings.Join(missing, ", "))
		return
	}
	e.add(checkIAM, resultOK, "", "gatehouse may ask what it has to")
}

// allow is a statement to add to Gatehouse's own role.
func allow(actions ...string) string {
	return `allow gatehouse's role {"Effect":"Allow","Action":["` + strings.Join(actions, `","`) + `"],"Resource":"*"}`
}
