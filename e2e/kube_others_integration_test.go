//go:build integration

package e2e

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/eks"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/awssim"
)

// offset is a clock that is ahead of the machine's, so that what is believed for a while
// can grow old in no time.
type offset struct{ ahead atomic.Int64 }

func (o *offset) Now() time.Time          { return time.Now().Add(time.Duration(o.ahead.Load())) }
func (o *offset) Advance(d time.Duration) { o.ahead.Add(int64(d)) }

func podReader(namespace string) flow.Item {
	return flow.Item{Resource: flow.Resource{Type: "eks-namespace", ID: "namespace/" + namespace}, Permission: "pod-reader"}
}

// blueRBAC is the cluster, connected, with the clock by which Gatehouse reaches it.
func blueRBAC(t *testing.T, k *kubeWorld) (*eks.RBAC, *access.Integration, *offset) {
	t.Helper()
	clock := &offset{}
	p := eks.NewRBAC(lenders(t, k, func(o *eks.Options) { o.Clock = clock.Now }))
	i := &access.Integration{Name: "blue", Type: eks.TypeRBAC, Config: map[string]string{"cluster_name": k.cluster, "region": region, "access_role_name": peopleRole}}
	k.kubectl(t, "", "create", "namespace", "payments")
	eventually(t, 30*time.Second, func() error { _, err := p.List(t.Context(), i); return err })
	eventually(t, 30*time.Second, func() error {
		plan, err := p.Connect(t.Context(), i, eks.Apply)
		if err == nil && !plan.Done {
			err = fmt.Errorf("%v", plan.Steps)
		}
		return err
	})
	return p, i, clock
}

// drift is what the list says of the one binding that there is.
func drift(t *testing.T, p *eks.RBAC, i *access.Integration) string {
	t.Helper()
	found, err := p.List(t.Context(), i)
	if err != nil || len(found) != 1 {
		t.Fatalf("listed %+v, %v; want one", found, err)
	}
	return found[0].Drift
}

// What others do to bindings, roles, namespaces and names while access is lent, on the
// real API server: no access outlives, what was lent is put right, and nobody else's
// thing is touched.
func TestIntegrationLendAgainstOthers(t *testing.T) {
	k := newKubeWorld(t, "API")
	p, i, clock := blueRBAC(t, k)
	c := k.client()
	alice := k.person(t, "alice@example.com")
	k.becomes(t, alice, "gatehouse:alice@example.com")
	token := k.signed(t, alice)
	lend := func(t *testing.T) *access.Wanted {
		t.Helper()
		w := wantedFor(t, p, i, alice.name, podReader("payments"))
		settle(t, p, i, w)
		if !k.pods(t, c, token, "payments") {
			t.Error("what was lent does not work")
		}
		return w
	}
	end := func(t *testing.T, w *access.Wanted) {
		t.Helper()
		w.Holdings = nil
		settle(t, p, i, w)
		eventually(t, 30*time.Second, func() error {
			if k.pods(t, c, token, "payments") {
				return errors.New("alice may list pods after the end")
			}
			return nil
		})
		if found, err := p.List(t.Context(), i); err != nil || len(found) != 0 {
			t.Errorf("after the end there is %+v, %v", found, err)
		}
	}
	binding := func(t *testing.T) string {
		t.Helper()
		return strings.TrimSpace(k.kubectl(t, "", "-n", "payments", "get", "rolebindings", "-o", "name"))
	}

	t.Run("ready means that the next request is allowed", func(t *testing.T) {
		// Without asking the authorizer some of these would be refused.
		for n := range 30 {
			w := wantedFor(t, p, i, alice.name, podReader("payments"))
			settle(t, p, i, w)
			if !k.pods(t, c, token, "payments") {
				t.Errorf("round %d: it is said to be ready, and refused", n)
			}
			w.Holdings = nil
			settle(t, p, i, w)
		}
	})

	t.Run("subjects, and labels of others", func(t *testing.T) {
		w := lend(t)
		name := binding(t)
		k.kubectl(t, "", "-n", "payments", "label", name, "team=payments")
		before := k.kubectl(t, "", "-n", "payments", "get", name, "-o", "jsonpath={.metadata.resourceVersion}")
		settle(t, p, i, w)
		if after := k.kubectl(t, "", "-n", "payments", "get", name, "-o", "jsonpath={.metadata.resourceVersion}"); after != before || drift(t, p, i) != "" {
			t.Error("a label of others was taken for drift")
		}
		k.kubectl(t, `{"subjects":[{"kind":"Group","apiGroup":"rbac.authorization.k8s.io","name":"system:authenticated"}]}`, "-n", "payments", "patch", name, "--type", "merge", "--patch-file", "/dev/stdin")
		if text := drift(t, p, i); !strings.Contains(text, "binds Group system:authenticated") || !strings.Contains(text, "does not bind gatehouse:alice@example.com") {
			t.Errorf("the drift is %q", text)
		}
		settle(t, p, i, w)
		if text := k.kubectl(t, "", "-n", "payments", "get", name, "-o", "jsonpath={.subjects[*].name} {.metadata.labels.team}"); text != "gatehouse:alice@example.com payments" || drift(t, p, i) != "" {
			t.Errorf("the subjects and the label of others are %s", text)
		}
		end(t, w)
	})

	t.Run("a binding of our name", func(t *testing.T) {
		w := lend(t)
		name := binding(t)
		end(t, w)
		k.kubectl(t, "", "-n", "payments", "create", "rolebinding", strings.TrimPrefix(name, "rolebinding.rbac.authorization.k8s.io/"), "--clusterrole=pod-reader", "--user=somebody")
		before := k.kubectl(t, "", "-n", "payments", "get", name, "-o", "jsonpath={.metadata.uid} {.metadata.resourceVersion}")
		w = wantedFor(t, p, i, alice.name, podReader("payments"))
		if _, err := p.Apply(t.Context(), i, *w); !errors.Is(err, access.ErrForeign) {
			t.Errorf("lent over it: %v", err)
		}
		w.Holdings = nil
		if _, err := p.Apply(t.Context(), i, *w); err != nil {
			t.Errorf("at the end: %v", err)
		}
		if after := k.kubectl(t, "", "-n", "payments", "get", name, "-o", "jsonpath={.metadata.uid} {.metadata.resourceVersion}"); after != before {
			t.Errorf("it was %s and is %s", before, after)
		}
		k.kubectl(t, "", "-n", "payments", "delete", name)
	})

	t.Run("the namespace goes and comes again", func(t *testing.T) {
		w := lend(t)
		k.kubectl(t, "", "-n", "payments", "delete", binding(t))
		k.kubectl(t, "", "delete", "namespace", "payments", "--wait=false")
		if _, err := p.Apply(t.Context(), i, *w); err == nil || !strings.Contains(err.Error(), "payments is being deleted") {
			t.Errorf("while it is being deleted: %v", err)
		}
		// The cluster has no controller that would do the rest.
		k.kubectl(t, `{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"payments"},"spec":{"finalizers":[]}}`, "replace", "--raw", "/api/v1/namespaces/payments/finalize", "-f", "-")
		if _, err := p.Apply(t.Context(), i, *w); err == nil || !strings.Contains(err.Error(), "the namespace payments is gone") {
			t.Errorf("while it is gone: %v", err)
		}
		gone := *w
		gone.Holdings = nil
		if got, err := p.Apply(t.Context(), i, gone); err != nil || got.Pending > 0 {
			t.Errorf("the end of what went with its namespace: %+v, %v", got, err)
		}
		k.kubectl(t, "", "create", "namespace", "payments")
		settle(t, p, i, w)
		if !k.pods(t, c, token, "payments") {
			t.Error("what was lent does not work in the namespace that is there now")
		}
		end(t, w)
	})

	t.Run("the role goes and another comes", func(t *testing.T) {
		w := lend(t)
		k.kubectl(t, "", "delete", "clusterrole", "pod-reader")
		clock.Advance(time.Minute)
		if text := drift(t, p, i); !strings.Contains(text, "outlives its ClusterRole pod-reader") {
			t.Errorf("the drift is %q", text)
		}
		if got, err := p.Apply(t.Context(), i, *w); err != nil || !strings.Contains(got.Note, "was deleted") {
			t.Errorf("without its role: %+v, %v", got, err)
		}
		eventually(t, 30*time.Second, func() error {
			if k.pods(t, c, token, "payments") {
				return errors.New("a binding without a role gives something")
			}
			return nil
		})
		bob := wantedFor(t, p, i, "bob@example.com", podReader("payments"))
		if _, err := p.Apply(t.Context(), i, *bob); err == nil || !strings.Contains(err.Error(), "does not exist") {
			t.Errorf("lent a role that is not there: %v", err)
		}
		k.kubectl(t, "", "create", "clusterrole", "pod-reader", "--verb=get,list", "--resource=pods")
		clock.Advance(time.Minute)
		settle(t, p, i, w)
		end(t, w)
	})

	t.Run("what somebody has by something else is said at the end", func(t *testing.T) {
		k.kubectl(t, "", "-n", "payments", "create", "rolebinding", "theirs", "--clusterrole=pod-reader", "--user=gatehouse:alice@example.com")
		// On a busy machine it is left out now and then.
		eventually(t, 2*time.Minute, func() error {
			w := lend(t)
			w.Holdings = nil
			got, err := p.Apply(t.Context(), i, *w)
			if err == nil && !strings.Contains(got.Note, "gatehouse:alice@example.com may still get pods in payments") {
				err = fmt.Errorf("%+v", got)
			}
			return err
		})
		k.kubectl(t, "", "-n", "payments", "delete", "rolebinding", "theirs")
	})

	t.Run("names", func(t *testing.T) {
		long := strings.Repeat("x", 64-len("@example.com")) + "@example.com"
		for _, name := range []string{"Ünlucky", long + "x"} {
			if _, err := p.Object(i, flow.Person{ID: name}, podReader("payments")); err == nil {
				t.Errorf("%q can have a session", name)
			}
		}
		// STS lets Alice have a session as alice, and Kubernetes does not take one for the
		// other; the rest are what a session's name may hold and a label may not.
		all := []string{"Alice@Example.COM", "a+b=c,d.e_f-g@example.com", long}
		for n, name := range all {
			somebody := k.person(t, name)
			k.becomes(t, somebody, "gatehouse:"+name)
			theirs := k.signed(t, somebody)
			w := wantedFor(t, p, i, name, podReader("payments"))
			settle(t, p, i, w)
			if !k.pods(t, c, theirs, "payments") {
				t.Errorf("%s cannot use what was lent", name)
			}
			if n == 0 && k.pods(t, c, token, "payments") {
				t.Error("alice has what was lent to Alice")
			}
			if text := drift(t, p, i); text != "" {
				t.Errorf("%s: %s", name, text)
			}
			w.Holdings = nil
			settle(t, p, i, w)
			eventually(t, 30*time.Second, func() error {
				if k.pods(t, c, theirs, "payments") {
					return fmt.Errorf("%s has it after the end", name)
				}
				return nil
			})
		}
	})

	t.Run("another installation", func(t *testing.T) {
		there := eks.NewRBAC(lendersAlso(t, k, "there"))
		w := lend(t)
		other := wantedFor(t, there, i, alice.name, podReader("payments"))
		settle(t, there, i, other)
		if n := len(strings.Fields(binding(t))); n != 2 || drift(t, p, i) != "" || drift(t, there, i) != "" {
			t.Errorf("there are %d bindings", n)
		}
		w.Holdings = nil
		settle(t, p, i, w)
		if !k.pods(t, c, token, "payments") {
			t.Error("the end of one installation's grant took the other's")
		}
		checks, err := p.Check(t.Context(), i)
		if err != nil || !slices.ContainsFunc(checks, func(c access.Check) bool {
			return c.Name == "other-installations" && c.Result == "warning" && strings.Contains(c.Detail, "1 of installation there")
		}) {
			t.Errorf("the check says %+v, %v", checks, err)
		}
		other.Holdings = nil
		settle(t, there, i, other)
	})

	t.Run("the access entry is changed by hand", func(t *testing.T) {
		w := lend(t)
		rename := func(username string) {
			if _, err := k.eks().UpdateAccessEntry(t.Context(), &awseks.UpdateAccessEntryInput{ClusterName: &k.cluster, PrincipalArn: &k.role, Username: &username}); err != nil {
				t.Fatal(err)
			}
			clock.Advance(time.Minute)
		}
		rename("moved:{{SessionNameRaw}}")
		k.becomes(t, alice, "moved:alice@example.com")
		token = k.signed(t, alice) // the API server remembers whose a token is for ten seconds
		if text := drift(t, p, i); !strings.Contains(text, "does not bind moved:alice@example.com") {
			t.Errorf("the drift is %q", text)
		}
		settle(t, p, i, w)
		if !k.pods(t, c, token, "payments") || drift(t, p, i) != "" {
			t.Error("what was lent is not alice's under her new name")
		}
		if _, err := k.eks().DeleteAccessEntry(t.Context(), &awseks.DeleteAccessEntryInput{ClusterName: &k.cluster, PrincipalArn: &k.role}); err != nil {
			t.Fatal(err)
		}
		k.becomes(t, alice, "")
		clock.Advance(time.Minute)
		if text := drift(t, p, i); !strings.Contains(text, "cannot be judged") {
			t.Errorf("without the entry the drift is %q", text)
		}
		// Nobody can tell her name any more, and it goes all the same.
		w.Holdings = nil
		settle(t, p, i, w)
		if text := binding(t); text != "" {
			t.Errorf("%s is left", text)
		}
		eventually(t, 30*time.Second, func() error { _, err := p.Connect(t.Context(), i, eks.Apply); return err })
		k.becomes(t, alice, "gatehouse:alice@example.com")
		token = k.signed(t, alice)
		clock.Advance(time.Minute)
	})

	t.Run("300 at once", func(t *testing.T) {
		const many = 300
		all := make([]*access.Wanted, many)
		each := func(do func(w *access.Wanted) error) time.Duration {
			since := time.Now()
			var group sync.WaitGroup
			queue := make(chan *access.Wanted)
			for range 16 {
				group.Go(func() {
					for w := range queue {
						if err := do(w); err != nil {
							t.Error(err)
						}
					}
				})
			}
			for _, w := range all {
				queue <- w
			}
			close(queue)
			group.Wait()
			return time.Since(since)
		}
		for n := range all {
			all[n] = wantedFor(t, p, i, fmt.Sprintf("person-%d@example.com", n), podReader("payments"))
		}
		apply := func(w *access.Wanted) error {
			for tries := 0; ; tries++ {
				got, err := p.Apply(t.Context(), i, *w)
				if w.Kept = got.Kept; err != nil || got.Pending == 0 {
					return err
				}
				if tries == 20 {
					return errors.New(got.Note)
				}
			}
		}
		put := each(apply)
		found, err := p.List(t.Context(), i)
		if err != nil || len(found) != many {
			t.Errorf("listed %d, %v", len(found), err)
		}
		for _, f := range found {
			if f.Drift != "" {
				t.Errorf("%s: %s", f.Name, f.Drift)
			}
		}
		gone := each(func(w *access.Wanted) error { w.Holdings = nil; return apply(w) })
		t.Logf("%d bindings were put in %s and taken away in %s", many, put, gone)
		if found, err := p.List(t.Context(), i); err != nil || len(found) != 0 {
			t.Errorf("%d are left, %v", len(found), err)
		}
	})

	// Last, for it changes what everybody trusts.
	t.Run("the certificates of the cluster are replaced", func(t *testing.T) {
		w := lend(t)
		k.stopAPI()
		k.ca = newAuthority(t, t.TempDir())
		k.certificate(t)
		k.write(t, "admin.yaml", kubeconfig(k.url, k.ca.pem, map[string]any{"token": k.token}))
		k.eksRegion().AddCluster(awssim.Object{
			"name": k.cluster, "status": "ACTIVE", "version": "1.34", "platformVersion": "eks.1", "endpoint": k.url,
			"certificateAuthority": awssim.Object{"data": base64.StdEncoding.EncodeToString(k.ca.pem)}, "accessConfig": awssim.Object{"authenticationMode": "API"},
		}, k.eksRegion().AccessEntries(k.cluster)...)
		k.startAPI()
		w.Holdings = nil
		eventually(t, 30*time.Second, func() error { _, err := p.Apply(t.Context(), i, *w); return err })
		if text := binding(t); text != "" {
			t.Errorf("%s is left", text)
		}
	})
}

// lendersAlso are the clusters as another installation with the same rights reaches them.
func lendersAlso(t *testing.T, k *kubeWorld, installation string) *eks.Clusters {
	t.Helper()
	return reach(t, k, func(o *eks.Options) {
		o.Installation = func(context.Context) (string, error) { return installation, nil }
	})
}

// A cluster goes from aws-auth to access entries while access is lent: it is never gone
// in between, and in the end it is bound by the name that counts.
func TestIntegrationLendThroughModes(t *testing.T) {
	k := newKubeWorld(t, "CONFIG_MAP")
	p, i, clock := blueRBAC(t, k)
	c := k.client()
	alice := k.person(t, "alice@example.com")
	k.becomes(t, alice, "gatehouse:alice@example.com")
	token := k.signed(t, alice)
	w := wantedFor(t, p, i, alice.name, podReader("payments"))
	settle(t, p, i, w)
	has := func(when string) {
		t.Helper()
		if !k.pods(t, c, token, "payments") {
			t.Errorf("%s what was lent does not work", when)
		}
	}
	has("with aws-auth")
	to := func(mode types.AuthenticationMode) {
		t.Helper()
		if _, err := k.eks().UpdateClusterConfig(t.Context(), &awseks.UpdateClusterConfigInput{
			Name: aws.String(k.cluster), AccessConfig: &types.UpdateAccessConfigRequest{AuthenticationMode: mode},
		}); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Minute)
	}
	to(types.AuthenticationModeApiAndConfigMap)
	k.letIn(t, "arn:aws:iam::"+apiAccount+":role/Gatehouse", eks.LenderUser, eks.LenderGroup)
	i.Config["mapping"], i.Config["username_template"] = "access-entry", "entry:{{SessionNameRaw}}"
	// The binding has both names before the entry takes over.
	eventually(t, 30*time.Second, func() error { _, err := p.Connect(t.Context(), i, eks.Apply); return err })
	clock.Advance(time.Minute)
	settle(t, p, i, w)
	k.becomes(t, alice, "entry:alice@example.com")
	token = k.signed(t, alice) // the API server remembers whose a token is for ten seconds
	has("with an entry beside aws-auth")
	to(types.AuthenticationModeApi)
	if text := drift(t, p, i); !strings.Contains(text, "binds User gatehouse:alice@example.com") {
		t.Errorf("the drift is %q", text)
	}
	settle(t, p, i, w)
	k.becomes(t, alice, "entry:alice@example.com")
	has("with an entry alone")
	if text := k.kubectl(t, "", "-n", "payments", "get", "rolebindings", "-o", "jsonpath={.items[*].subjects[*].name}"); text != "entry:alice@example.com" {
		t.Errorf("bound are %s", text)
	}
	w.Holdings = nil
	settle(t, p, i, w)
	eventually(t, 30*time.Second, func() error {
		if k.pods(t, c, token, "payments") {
			return errors.New("alice may list pods after the end")
		}
		return nil
	})
}
