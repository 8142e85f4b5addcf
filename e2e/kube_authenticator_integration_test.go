//go:build integration

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
)

// becomes waits until the API server takes a person for a user, or for nobody ("").
func (k *kubeWorld) becomes(t *testing.T, p *kubePerson, want string) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		got, _, err := k.whoami(t, p)
		switch {
		case want == "" && err != nil && strings.Contains(err.Error(), "Unauthorized"):
			return nil
		case err != nil:
			return err
		case got != want:
			return fmt.Errorf("%s is %q, want %q", p.name, got, want)
		}
		return nil
	})
}

const readPods = `{"apiVersion":"v1","kind":"List","items":[
	{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role","metadata":{"name":"pods","namespace":"default"},
	 "rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["list"]}]},
	{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"lent","namespace":"default"},
	 "roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"pods"},
	 "subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"USER"}]}]}`

// Who shares a role is known to the cluster under their own name, in each way in which
// EKS maps roles, and has the rights of that name and no others.
func TestIntegrationKubeAuthenticator(t *testing.T) {
	for mode, c := range map[string]struct{ template, alice, bob string }{
		"CONFIG_MAP": {"{{SessionNameRaw}}", "alice@example.com", "bob@example.com"},
		"API":        {"apono:{{SessionName}}", "apono:alice-example.com", "apono:bob-example.com"},
	} {
		t.Run(mode, func(t *testing.T) {
			k := newKubeWorld(t, mode)
			alice, bob := k.person(t, "alice@example.com"), k.person(t, "bob@example.com")
			k.becomes(t, alice, "")
			k.letIn(t, k.role, c.template, "people")
			k.becomes(t, alice, c.alice)
			k.becomes(t, bob, c.bob)
			if _, groups, err := k.whoami(t, alice); err != nil || !slices.Contains(groups, "people") {
				t.Errorf("alice is in %v, %v", groups, err)
			}

			pods := []string{"-n", "default", "get", "pods"}
			if out, err := k.kubectlAs(t, alice, pods...); err == nil || !strings.Contains(out, `User "`+c.alice+`" cannot list resource "pods"`) {
				t.Errorf("before there is a binding: %v\n%s", err, out)
			}
			k.kubectl(t, strings.Replace(readPods, "USER", c.alice, 1), "apply", "-f", "-")
			if out, err := k.kubectlAs(t, alice, pods...); err != nil {
				t.Errorf("with a binding: %v\n%s", err, out)
			}
			if out, err := k.kubectlAs(t, bob, pods...); err == nil || !strings.Contains(out, "Forbidden") {
				t.Errorf("another's binding: %v\n%s", err, out)
			}
			k.kubectl(t, "", "delete", "rolebinding", "lent", "-n", "default")
			if out, err := k.kubectlAs(t, alice, pods...); err == nil || !strings.Contains(out, "Forbidden") {
				t.Errorf("without the binding: %v\n%s", err, out)
			}

			// Nobody can take another's name, and a token says who it is by its signature.
			k.profile(t, bob, "alice@example.com")
			if out, err := k.kubectlAs(t, bob, pods...); err == nil || !strings.Contains(out, "AccessDenied") {
				t.Errorf("another's session name: %v\n%s", err, out)
			}
			// STS compares names without regard to case, Kubernetes with.
			k.profile(t, alice, "Alice@example.com")
			k.becomes(t, alice, strings.Replace(c.alice, "alice", "Alice", 1))
			session := k.sim.Account(apiAccount).Session(peopleRole, "alice@example.com", time.Hour)
			holder := k.holder(t, "holder", session)
			k.becomes(t, holder, c.alice)
			k.sim.ExpireSessions(apiAccount, peopleRole)
			k.becomes(t, holder, "")
			session = k.sim.Account(apiAccount).Session(peopleRole, "alice@example.com", time.Hour)
			session.SecretAccessKey = session.SecretAccessKey[1:] + "x"
			k.becomes(t, k.holder(t, "forger", session), "")
		})
	}
}

// Policies of an entry are rights of all who share its role, in the namespaces of their
// scope, for as long as they are associated.
func TestIntegrationKubeAccessPolicies(t *testing.T) {
	k := newKubeWorld(t, "API")
	alice := k.person(t, "alice@example.com")
	k.letIn(t, k.role, "apono:{{SessionName}}")
	k.becomes(t, alice, "apono:alice-example.com")
	may := func(want bool, args ...string) {
		t.Helper()
		out, err := k.kubectlAs(t, alice, args...)
		if want != (err == nil) || !want && !strings.Contains(strings.ToLower(out), "forbidden") {
			t.Errorf("kubectl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	const view = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
	may(false, "-n", "default", "get", "pods")
	if _, err := k.eks().AssociateAccessPolicy(t.Context(), &eks.AssociateAccessPolicyInput{
		ClusterName: aws.String(k.cluster), PrincipalArn: aws.String(k.role), PolicyArn: aws.String(view),
		AccessScope: &types.AccessScope{Type: types.AccessScopeTypeNamespace, Namespaces: []string{"def*"}},
	}); err != nil {
		t.Fatal(err)
	}
	may(true, "-n", "default", "get", "pods")
	may(false, "-n", "default", "get", "secrets")
	may(false, "-n", "default", "create", "configmap", "x")
	may(false, "-n", "kube-system", "get", "pods")
	if _, err := k.eks().DisassociateAccessPolicy(t.Context(), &eks.DisassociateAccessPolicyInput{
		ClusterName: aws.String(k.cluster), PrincipalArn: aws.String(k.role), PolicyArn: aws.String(view),
	}); err != nil {
		t.Fatal(err)
	}
	may(false, "-n", "default", "get", "pods")
}

// A cluster that goes from the ConfigMap to access entries keeps those who are in the
// ConfigMap for as long as it knows both, and an entry goes before it.
func TestIntegrationKubeAuthenticationModes(t *testing.T) {
	k := newKubeWorld(t, "CONFIG_MAP")
	alice := k.person(t, "alice@example.com")
	k.letIn(t, k.role, "map:{{SessionNameRaw}}")
	k.becomes(t, alice, "map:alice@example.com")
	to := func(mode types.AuthenticationMode) {
		_, err := k.eks().UpdateClusterConfig(t.Context(), &eks.UpdateClusterConfigInput{
			Name: aws.String(k.cluster), AccessConfig: &types.UpdateAccessConfigRequest{AuthenticationMode: mode},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	to(types.AuthenticationModeApiAndConfigMap)
	k.becomes(t, alice, "map:alice@example.com")
	k.letIn(t, k.role, "entry:{{SessionNameRaw}}")
	k.becomes(t, alice, "entry:alice@example.com")
	to(types.AuthenticationModeApi)
	k.becomes(t, alice, "entry:alice@example.com")
	// A role of the same name is another role.
	k.addRoles()
	again := k.person(t, "alice@example.com")
	k.becomes(t, again, "")
	if _, err := k.eks().DeleteAccessEntry(t.Context(), &eks.DeleteAccessEntryInput{ClusterName: aws.String(k.cluster), PrincipalArn: aws.String(k.role)}); err != nil {
		t.Fatal(err)
	}
	k.letIn(t, k.role, "entry:{{SessionNameRaw}}")
	k.becomes(t, again, "entry:alice@example.com")
}
