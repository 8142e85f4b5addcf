//go:build integration

package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/eks"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
)

// lenders are the clusters as Gatehouse reaches them: with a role of its own, whose EKS
// token the real authenticator maps to a user that has the documented rights.
func lenders(t *testing.T, k *kubeWorld, change ...func(*eks.Options)) *eks.Clusters {
	t.Helper()
	a := k.sim.Account(apiAccount)
	role := a.AddRole(awssim.Role{Name: "Gatehouse", Allow: []string{"eks:*", "iam:GetRole"}})
	k.letIn(t, role, eks.LenderUser, eks.LenderGroup)
	k.kubectl(t, eks.ClusterRole(), "apply", "-f", "-")
	// The cluster has no controllers, and so nothing fills view and edit.
	k.kubectl(t, "", "create", "clusterrole", "pod-reader", "--verb=get,list", "--resource=pods")
	k.kubectl(t, "", "create", "clusterrolebinding", "gatehouse-lenders", "--clusterrole="+eks.LenderClusterRole, "--group="+eks.LenderGroup)
	return reach(t, k, change...)
}

// reach are the clusters as the role of lenders reaches them, which is let in already.
func reach(t *testing.T, k *kubeWorld, change ...func(*eks.Options)) *eks.Clusters {
	t.Helper()
	key := k.sim.Account(apiAccount).Session("Gatehouse", "gatehouse", 12*time.Hour)
	accounts, err := account.New(account.Config{Regions: []string{region}}, account.Options{BaseConfig: &aws.Config{
		Region: region, BaseEndpoint: aws.String(k.server.URL()),
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, key.SessionToken),
	}})
	if err != nil {
		t.Fatal(err)
	}
	o := eks.Options{AWS: accounts, Installation: func(context.Context) (string, error) { return "here", nil }}
	for _, c := range change {
		c(&o)
	}
	c, err := eks.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// settle applies until the target shows what is wanted.
func settle(t *testing.T, p access.Provisioner, i *access.Integration, w *access.Wanted) {
	t.Helper()
	eventually(t, 30*time.Second, func() error {
		got, err := p.Apply(t.Context(), i, *w)
		if err != nil {
			t.Fatal(err)
		}
		if w.Kept = got.Kept; got.Pending > 0 {
			return fmt.Errorf("pending: %s", got.Note)
		}
		return nil
	})
}

func wantedFor(t *testing.T, p access.Provisioner, i *access.Integration, who string, item flow.Item) *access.Wanted {
	t.Helper()
	person := flow.Person{ID: who}
	key, err := p.Object(i, person, item)
	if err != nil {
		t.Fatal(err)
	}
	return &access.Wanted{Key: key, Generation: 1, Holdings: []access.Holding{{Grant: "g-1", Person: person, Item: item, Expires: time.Now().Add(time.Hour)}}}
}

func mayList(t *testing.T, k *kubeWorld, p *kubePerson, namespace string) bool {
	t.Helper()
	out, err := k.kubectlAs(t, p, "-n", namespace, "get", "pods")
	if err != nil && !strings.Contains(out, "Forbidden") {
		t.Fatalf("kubectl as %s: %v\n%s", p.name, err, out)
	}
	return err == nil
}

// A binding on a real API server, for a person whom the real authenticator names: denied
// before, allowed in the namespace alone while it is lent, denied after.
func TestIntegrationLendBinding(t *testing.T) {
	for _, mode := range []string{"CONFIG_MAP", "API"} {
		t.Run(mode, func(t *testing.T) {
			k := newKubeWorld(t, mode)
			p := eks.NewRBAC(lenders(t, k))
			k.kubectl(t, "", "create", "namespace", "payments")
			i := &access.Integration{Name: "blue", Type: eks.TypeRBAC, Config: map[string]string{"cluster_name": k.cluster, "region": region, "access_role_name": peopleRole}}
			// Gatehouse's own entry takes a moment to reach the authenticator.
			eventually(t, 30*time.Second, func() error { _, err := p.List(t.Context(), i); return err })
			plan, err := p.Connect(t.Context(), i, eks.Apply)
			if err != nil || !plan.Done {
				t.Fatalf("connecting: %+v, %v", plan, err)
			}
			checks, err := p.Check(t.Context(), i)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range checks {
				if c.Result == "failed" || c.Result == "not seen" {
					t.Errorf("%+v", c)
				}
			}
			resources, err := p.Discover(t.Context(), i)
			if err != nil {
				t.Fatal(err)
			}
			var item flow.Item
			for _, r := range resources {
				if r.ID == "namespace/payments" {
					item = flow.Item{Resource: r, Permission: "pod-reader"}
				}
			}
			alice, bob := k.person(t, "alice@example.com"), k.person(t, "bob@example.com")
			eventually(t, 30*time.Second, func() error {
				name, _, err := k.whoami(t, alice)
				if err == nil && name != "gatehouse:alice@example.com" {
					err = fmt.Errorf("alice is %s", name)
				}
				return err
			})
			if mayList(t, k, alice, "payments") {
				t.Fatal("alice may list pods before anything was lent")
			}
			w := wantedFor(t, p, i, alice.name, item)
			settle(t, p, i, w)
			if !mayList(t, k, alice, "payments") {
				t.Error("alice may not list pods in payments while it is lent")
			}
			if mayList(t, k, alice, "default") || mayList(t, k, bob, "payments") {
				t.Error("more was lent than pod-reader on payments to alice")
			}
			// The printed kubeconfig is what kubectl takes.
			text, err := p.Kubeconfig(t.Context(), i, flow.Person{ID: alice.name})
			if err != nil {
				t.Fatal(err)
			}
			printed := strings.ReplaceAll(text, `"--profile"`+"\n          - "+`"`+peopleRole+`"`, `"--profile"`+"\n          - "+`"blue"`)
			if err := os.WriteFile(filepath.Join(alice.home, "printed"), []byte(printed), 0o600); err != nil {
				t.Fatal(err)
			}
			if out := k.kubectl(t, "", "--kubeconfig", filepath.Join(alice.home, "printed"), "config", "view", "-o", "jsonpath={.users[0].user.exec.command} {.contexts[0].context.cluster}"); out != "aws gatehouse-blue" {
				t.Errorf("kubectl reads the printed kubeconfig as %q", out)
			}
			found, err := p.List(t.Context(), i)
			if err != nil || len(found) != 1 || found[0].Key != w.Key || found[0].Drift != "" {
				t.Errorf("listed %+v, %v", found, err)
			}
			// An extension, then the end.
			w.Holdings[0].Expires = w.Holdings[0].Expires.Add(time.Hour)
			settle(t, p, i, w)
			w.Holdings = nil
			settle(t, p, i, w)
			if mayList(t, k, alice, "payments") {
				t.Error("alice may list pods after the end")
			}
			if found, err := p.List(t.Context(), i); err != nil || len(found) != 0 {
				t.Errorf("after the end there is %+v, %v", found, err)
			}
		})
	}
}

// Kubernetes lets nobody bind a role that gives more than they have. Without the verb
// bind that is what Gatehouse is told, and says how to mend.
func TestIntegrationLendWithoutBind(t *testing.T) {
	k := newKubeWorld(t, "API_AND_CONFIG_MAP")
	p := eks.NewRBAC(lenders(t, k))
	k.kubectl(t, strings.ReplaceAll(eks.ClusterRole(), "verbs: [get, list, bind]", "verbs: [get, list]"), "apply", "-f", "-")
	i := &access.Integration{Name: "blue", Type: eks.TypeRBAC, Config: map[string]string{"cluster_name": k.cluster, "region": region, "access_role_name": peopleRole}}
	eventually(t, 30*time.Second, func() error { _, err := p.List(t.Context(), i); return err })
	if _, err := p.Connect(t.Context(), i, eks.Apply); err != nil {
		t.Fatal(err)
	}
	w := wantedFor(t, p, i, "alice@example.com", flow.Item{Resource: flow.Resource{Type: "eks-cluster", ID: "cluster/blue"}, Permission: "pod-reader"})
	_, err := p.Apply(t.Context(), i, *w)
	if err == nil || !strings.Contains(err.Error(), "allow gatehouse the verb bind on clusterroles pod-reader") {
		t.Errorf("got %v", err)
	}
	checks, err := p.Check(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checks {
		if c.Name == "permissions" && (c.Result != "warning" || !strings.Contains(c.Detail, "bind clusterroles")) {
			t.Errorf("%+v", c)
		}
	}
}

// An aws-auth that does not parse is left as it is, by the real API server's account.
func TestIntegrationConnectLeavesAMalformedMap(t *testing.T) {
	k := newKubeWorld(t, "CONFIG_MAP")
	p := eks.NewRBAC(lenders(t, k))
	i := &access.Integration{Name: "blue", Type: eks.TypeRBAC, Config: map[string]string{"cluster_name": k.cluster, "region": region, "access_role_name": peopleRole}}
	eventually(t, 30*time.Second, func() error { _, err := p.List(t.Context(), i); return err })
	const read = "jsonpath={.metadata.resourceVersion} {.data.mapRoles}"
	good := k.kubectl(t, "", "-n", "kube-system", "get", "configmap", "aws-auth", "-o", "jsonpath={.data.mapRoles}")
	// What locks everybody out locks Gatehouse out too, so a token of an administrator
	// is its way in here.
	t.Setenv("BLUE_TOKEN", k.token)
	i.Secret = &access.SecretRef{Environment: "BLUE"}
	k.kubectl(t, `{"data":{"mapRoles":"- rolearn: x\n bad: [\n"}}`, "-n", "kube-system", "patch", "configmap", "aws-auth", "--type", "merge", "--patch-file", "/dev/stdin")
	before := k.kubectl(t, "", "-n", "kube-system", "get", "configmap", "aws-auth", "-o", read)
	if plan, err := p.Connect(t.Context(), i, eks.Apply); err == nil || !strings.Contains(err.Error(), "does not parse") {
		t.Errorf("connected %+v, %v", plan, err)
	}
	if after := k.kubectl(t, "", "-n", "kube-system", "get", "configmap", "aws-auth", "-o", read); after != before {
		t.Errorf("aws-auth was %s and is %s", before, after)
	}
	// Mended, it is connected, and what was there is there still.
	patch := fmt.Sprintf(`{"data":{"mapRoles":%q}}`, good)
	k.kubectl(t, patch, "-n", "kube-system", "patch", "configmap", "aws-auth", "--type", "merge", "--patch-file", "/dev/stdin")
	if _, err := p.Connect(t.Context(), i, eks.Apply); err != nil {
		t.Fatal(err)
	}
	i.Secret = nil
	eventually(t, 30*time.Second, func() error { _, err := p.List(t.Context(), i); return err })
}

// An access policy on a person's own role: the authorizer of the cluster has what EKS
// associates, in the namespace and for the time that it is lent.
func TestIntegrationLendAccessPolicy(t *testing.T) {
	k := newKubeWorld(t, "API")
	a := k.sim.Account(apiAccount)
	a.AddRole(awssim.Role{Name: "eks-alice@example.com", Path: "/people/"})
	k.kubectl(t, "", "create", "namespace", "payments")
	p := eks.NewAccessEntry(lenders(t, k))
	i := &access.Integration{Name: "blue-entries", Type: eks.TypeAccessEntry, Config: map[string]string{
		"cluster_name": k.cluster, "region": region, "principal_arn": "arn:aws:iam::" + apiAccount + ":role/people/eks-{{person}}", "namespaces": "payments",
	}}
	alice := k.holder(t, "alice@example.com", a.Session("eks-alice@example.com", "alice@example.com", time.Hour))
	w := wantedFor(t, p, i, alice.name, flow.Item{Resource: flow.Resource{Type: "eks-namespace", ID: "namespace/payments"}, Permission: "AmazonEKSViewPolicy"})
	settle(t, p, i, w)
	eventually(t, 30*time.Second, func() error {
		if out, err := k.kubectlAs(t, alice, "-n", "payments", "get", "pods"); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	if mayList(t, k, alice, "default") {
		t.Error("alice may list pods where nothing was lent")
	}
	w.Holdings = nil
	settle(t, p, i, w)
	eventually(t, 30*time.Second, func() error {
		if mayList(t, k, alice, "payments") {
			return fmt.Errorf("alice may list pods after the end")
		}
		return nil
	})
}
