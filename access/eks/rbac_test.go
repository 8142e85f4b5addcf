package eks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/accesstest"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

const (
	testAccount = "222222222222"
	testRole    = "arn:aws:iam::222222222222:role/gatehouse-k8s-access"
	bareMap     = "- rolearn: " + testRole + "\n  username: \"{{SessionNameRaw}}\"\n"
	testToken   = "the-token-of-gatehouse"

	testInstallation = "i7f3k2"
)

// bench is a cluster without AWS: its address, authority and token are settings.
type bench struct {
	api         *kubeAPI
	rbac        *RBAC
	clusters    *Clusters
	integration *access.Integration
	env         map[string]string
	ledger      *ledger
}

// ledger is what an installation has lent.
type ledger struct {
	grants  map[string]bool
	objects map[string]access.Object
}

func (l *ledger) Grant(_ context.Context, id string) (*access.Grant, error) {
	if !l.grants[id] {
		return nil, fmt.Errorf("grant %s: %w", id, access.ErrNotFound)
	}
	return &access.Grant{ID: id}, nil
}

func (l *ledger) Objects(_ context.Context, keys []string) (found []access.Object, _ error) {
	for _, key := range keys {
		if o, ok := l.objects[key]; ok {
			found = append(found, o)
		}
	}
	return found, nil
}

func newBench(tb testing.TB, change ...func(*Options, *access.Integration)) *bench {
	tb.Helper()
	b := &bench{api: newKubeAPI(tb), env: map[string]string{"PROD_TOKEN": testToken}}
	b.api.token = testToken
	b.api.setAuth(map[string]string{keyMapRoles: bareMap})
	b.integration = &access.Integration{
		Name: "prod-1", Type: TypeRBAC,
		Config: map[string]string{keyCluster: "prod", keyServer: b.api.server.URL, keyAuthority: b.api.authority(), keyAccount: testAccount},
		Secret: &access.SecretRef{Environment: "PROD"},
	}
	b.ledger = &ledger{grants: map[string]bool{}}
	o := Options{
		Getenv: func(name string) string { return b.env[name] }, Rate: 1e6, Timeout: 5 * time.Second, Ledger: b.ledger,
		Installation: func(context.Context) (string, error) { return testInstallation, nil },
	}
	for _, c := range change {
		c(&o, b.integration)
	}
	clusters, err := New(o)
	if err != nil {
		tb.Fatal(err)
	}
	b.clusters, b.rbac = clusters, NewRBAC(clusters)
	return b
}

func person(n int) flow.Person {
	return flow.Person{ID: []string{"alice@example.com", "Bob+x@example.com", "carol_1@example.com"}[n]}
}

func item(kind, id, permission string) flow.Item {
	return flow.Item{Resource: flow.Resource{Integration: "prod-1", Type: kind, ID: id}, Permission: permission}
}

var testItems = []flow.Item{
	item(resourceNamespace, "namespace/payments", "edit"),
	item(resourceCluster, "cluster/prod", "view"),
	item(resourceRole, "role/payments/deployer", permissionBind),
}

func TestRBACConformance(t *testing.T) {
	t.Parallel()
	accesstest.Run(t, func(t *testing.T) *accesstest.Target {
		t.Helper()
		b := newBench(t)
		keyOf := func(t *testing.T, p flow.Person, item flow.Item) bindingKey {
			t.Helper()
			k, err := bindingFor(p, item)
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		return &accesstest.Target{
			Provisioner: b.rbac, Integration: b.integration,
			Item: func(n int) flow.Item { return testItems[n] }, Person: person,
			Has: func(t *testing.T, p flow.Person, item flow.Item) bool {
				t.Helper()
				k := keyOf(t, p, item)
				return b.api.binds(t, p.ID, k.namespace, k.roleKind, k.role)
			},
			Foreign: func(t *testing.T, p flow.Person, item flow.Item) func() bool {
				t.Helper()
				k := keyOf(t, p, item)
				path := k.path() + "/" + k.name(testInstallation, "prod-1")
				b.api.put(path, map[string]any{"metadata": map[string]any{"name": k.name(testInstallation, "prod-1"), "namespace": k.namespace}, "roleRef": map[string]any{"kind": "ClusterRole", "name": "view", "apiGroup": rbacGroup}})
				was := b.api.get(path)
				return func() bool { return cmp.Equal(was, b.api.get(path)) }
			},
			Break: func(_ *testing.T, applied bool) {
				b.api.mu.Lock()
				defer b.api.mu.Unlock()
				b.api.fault = &fault{code: 500, applied: applied}
			},
		}
	})
}

func (b *bench) wanted(tb testing.TB, p flow.Person, item flow.Item, grants ...string) access.Wanted {
	tb.Helper()
	key, err := b.rbac.Object(b.integration, p, item)
	if err != nil {
		tb.Fatal(err)
	}
	w := access.Wanted{Key: key, Generation: 1}
	for _, g := range grants {
		w.Holdings = append(w.Holdings, access.Holding{Grant: g, Person: p, Item: item, Expires: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)})
	}
	return w
}

func (b *bench) path(t *testing.T, w access.Wanted) string {
	t.Helper()
	k, err := parseBindingKey(w.Key)
	if err != nil {
		t.Fatal(err)
	}
	return k.path() + "/" + k.name(testInstallation, b.integration.Name)
}

func TestBindingAsWritten(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := b.wanted(t, person(0), testItems[0], "g-2", "g-1")
	if _, err := b.rbac.Apply(t.Context(), b.integration, w); err != nil {
		t.Fatal(err)
	}
	var got binding
	data, err := json.Marshal(b.api.get(b.path(t, w)))
	if err != nil || json.Unmarshal(data, &got) != nil {
		t.Fatalf("no binding: %s", data)
	}
	if !objectName(got.Metadata.Name) || len(got.Metadata.Name) > 63 {
		t.Errorf("the name %q is no DNS label", got.Metadata.Name)
	}
	want := binding{
		APIVersion: "rbac.authorization.k8s.io/v1", Kind: "RoleBinding",
		Metadata: metadata{
			Name: got.Metadata.Name, Namespace: "payments", UID: got.Metadata.UID, ResourceVersion: got.Metadata.ResourceVersion,
			Labels: map[string]string{"app.kubernetes.io/managed-by": "gatehouse", "gatehouse.dev/integration": "prod-1", "gatehouse.dev/installation": testInstallation},
			Annotations: map[string]string{
				"gatehouse.dev/integration": "prod-1", "gatehouse.dev/object": w.Key, "gatehouse.dev/grants": "g-1,g-2",
				"gatehouse.dev/expires-at": "2030-01-02T03:04:05Z", "gatehouse.dev/person": "alice@example.com",
			},
		},
		RoleRef:  roleRef{APIGroup: rbacGroup, Kind: "ClusterRole", Name: "edit"},
		Subjects: []subject{{Kind: "User", APIGroup: rbacGroup, Name: "alice@example.com"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the binding (-want +got):\n%s", diff)
	}
}

// Two ways of asking for the same thing share one binding, or the end of one would take
// the other's access.
func TestItemsThatComeToOneBinding(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, pair := range [][2]flow.Item{
		{item(resourceCluster, "cluster/prod", "view"), item(resourceClusterRole, "clusterrole/view", "cluster")},
		{item(resourceNamespace, "namespace/payments", "edit"), item(resourceClusterRole, "clusterrole/edit", "namespace:payments")},
		{item(resourceNamespace, "namespace/payments", "role:deployer"), item(resourceRole, "role/payments/deployer", "bind")},
	} {
		if one, other := b.wanted(t, person(0), pair[0]).Key, b.wanted(t, person(0), pair[1]).Key; one != other {
			t.Errorf("%v has key %s, %v has %s", pair[0], one, pair[1], other)
		}
	}
}

func TestObjectRefuses(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	alice := person(0)
	for _, c := range []struct {
		name   string
		person flow.Person
		item   flow.Item
		want   string
	}{
		{"cluster-admin", alice, item(resourceCluster, "cluster/prod", "cluster-admin"), "allow_cluster_roles"},
		{"a role of Kubernetes' own", alice, item(resourceNamespace, "namespace/payments", "system:node"), "not lent"},
		{"gatehouse's own role", alice, item(resourceClusterRole, "clusterrole/gatehouse-lender", "cluster"), "not lent"},
		{"a path in a name", alice, item(resourceNamespace, "namespace/../../x", "view"), "not the id"},
		{"a path in a role", alice, item(resourceCluster, "cluster/prod", "../view"), "not the name"},
		{"an unknown type", alice, item("apigw-route", "x", "invoke"), "no resource type"},
		{"an unknown permission", alice, item(resourceRole, "role/payments/deployer", "escalate"), "not bind"},
		{"a long name", flow.Person{ID: strings.Repeat("a", 60) + "@example.com"}, testItems[0], "72 characters"},
		{"a name with a space", flow.Person{ID: "alice smith@example.com"}, testItems[0], `' '`},
		{"a name of another script", flow.Person{ID: "ålice@example.com"}, testItems[0], `'å'`},
		{"nobody", flow.Person{}, testItems[0], "too short"},
	} {
		_, err := b.rbac.Object(b.integration, c.person, c.item)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
	b.integration.Config[keyAllowed] = "cluster-admin"
	if _, err := b.rbac.Object(b.integration, alice, item(resourceCluster, "cluster/prod", "cluster-admin")); err != nil {
		t.Errorf("cluster-admin is allowed by name: %v", err)
	}
	b.integration.Config[keyDenied] = "cluster-*"
	if _, err := b.rbac.Object(b.integration, alice, item(resourceCluster, "cluster/prod", "cluster-admin")); err == nil {
		t.Error("what is denied is lent because it is allowed too")
	}
}

func TestApplyAgainstOthers(t *testing.T) {
	t.Parallel()
	type tried struct {
		*bench
		t *testing.T
		w access.Wanted
	}
	path := func(c *tried) string { return c.path(c.t, c.w) }
	for _, test := range []struct {
		name string
		// first is applied without trouble where standing is set.
		standing bool
		gone     bool // the holding has ended
		trouble  func(c *tried)
		want     string // in the error; empty: none
		is       error
		check    func(c *tried, got access.Applied)
	}{
		{name: "somebody creates it in between", trouble: func(c *tried) {
			c.api.before = func(string, string) {
				other, _ := New(c.clusters.opts)
				if _, err := NewRBAC(other).Apply(c.t.Context(), c.integration, c.w); err != nil {
					c.t.Error(err)
				}
			}
		}},
		{name: "somebody changes it in between", standing: true, trouble: func(c *tried) {
			c.w.Holdings = append(c.w.Holdings, access.Holding{Grant: "g-9", Person: person(0), Item: testItems[0], Expires: time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)})
			c.api.before = func(string, string) {
				c.api.edit(path(c), func(o map[string]any) {
					meta, _ := o["metadata"].(map[string]any)
					labels, _ := meta["labels"].(map[string]any)
					labels["added-by"] = "others"
				})
			}
		}, check: func(c *tried, _ access.Applied) {
			meta, _ := c.api.get(path(c))["metadata"].(map[string]any)
			labels, _ := meta["labels"].(map[string]any)
			if labels["added-by"] != "others" {
				c.t.Error("the label of others is gone")
			}
		}},
		{name: "somebody adds a subject", standing: true, trouble: func(c *tried) {
			c.api.edit(path(c), func(o map[string]any) {
				list, _ := o["subjects"].([]any)
				o["subjects"] = append(list, map[string]any{"kind": "User", "apiGroup": rbacGroup, "name": "mallory@example.com"})
			})
		}, check: func(c *tried, _ access.Applied) {
			if c.api.binds(c.t, "mallory@example.com", "payments", kindClusterRole, "edit") {
				c.t.Error("mallory is bound still")
			}
		}},
		{name: "somebody made it anew with another role", standing: true, trouble: func(c *tried) {
			c.api.edit(path(c), func(o map[string]any) {
				o["roleRef"] = map[string]any{"apiGroup": rbacGroup, "kind": "ClusterRole", "name": "admin"}
			})
		}, check: func(c *tried, _ access.Applied) {
			if c.api.binds(c.t, "alice@example.com", "payments", kindClusterRole, "admin") {
				c.t.Error("alice has another role than what was lent")
			}
		}},
		{name: "the role does not exist", trouble: func(c *tried) { c.api.drop(rbacAPI + "/clusterroles/edit") }, want: "does not exist"},
		{name: "the namespace is gone", trouble: func(c *tried) { c.api.drop(coreAPI + "/namespaces/payments") }, want: "the namespace payments is gone"},
		{name: "Kubernetes prevents escalation", trouble: func(c *tried) { c.api.escalate = true }, want: "allow gatehouse the verb bind on clusterroles edit", is: access.ErrRefused},
		{name: "a conflict of the server's own", trouble: func(c *tried) { c.api.fault = &fault{code: 409} }},
		{name: "the label was taken away", standing: true, trouble: func(c *tried) {
			c.api.edit(path(c), func(o map[string]any) {
				meta, _ := o["metadata"].(map[string]any)
				delete(meta, "labels")
			})
		}, want: "it was not made by gatehouse", is: access.ErrForeign},
		{name: "all marks were taken away before the end", standing: true, gone: true, trouble: func(c *tried) {
			c.api.edit(path(c), func(o map[string]any) {
				meta, _ := o["metadata"].(map[string]any)
				delete(meta, "labels")
				delete(meta, "annotations")
			})
		}, want: "it was not made by gatehouse", is: access.ErrForeign},
		{name: "a finalizer of others at the end", standing: true, gone: true, trouble: func(c *tried) {
			c.api.edit(path(c), func(o map[string]any) {
				meta, _ := o["metadata"].(map[string]any)
				meta["finalizers"] = []any{"example.com/hold"}
			})
		}, check: func(c *tried, got access.Applied) {
			if got.Pending == 0 || !strings.Contains(got.Note, "example.com/hold") {
				c.t.Errorf("a binding that a finalizer keeps passes for gone: %+v", got)
			}
		}},
		{name: "somebody puts their own in its place at the end", standing: true, gone: true, trouble: func(c *tried) {
			c.api.before = func(string, string) {
				c.api.put(path(c), map[string]any{"metadata": map[string]any{"name": "theirs"}})
			}
		}, check: func(c *tried, _ access.Applied) {
			if c.api.get(path(c)) == nil {
				c.t.Error("what somebody else put there was deleted")
			}
		}},
		{name: "somebody made it anew at the end", standing: true, gone: true, trouble: func(c *tried) {
			c.api.before = func(string, string) {
				c.api.edit(path(c), func(o map[string]any) {
					meta, _ := o["metadata"].(map[string]any)
					meta["uid"] = "another"
				})
			}
		}, check: func(c *tried, _ access.Applied) {
			if c.api.get(path(c)) != nil {
				c.t.Error("the binding that was made anew stands")
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := &tried{bench: newBench(t), t: t}
			c.w = c.wanted(t, person(0), testItems[0], "g-1")
			if test.standing {
				got, err := c.rbac.Apply(t.Context(), c.integration, c.w)
				if err != nil {
					t.Fatal(err)
				}
				c.w.Kept = got.Kept
			}
			test.trouble(c)
			if test.gone {
				c.w.Holdings = nil
			}
			got, err := c.rbac.Apply(t.Context(), c.integration, c.w)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) {
					t.Fatalf("got %v, want an error with %q", err, test.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !test.gone && !c.api.binds(t, "alice@example.com", "payments", kindClusterRole, "edit") {
				t.Error("alice is not bound")
			}
			if test.check != nil {
				test.check(c, got)
			}
		})
	}
}

// A template that changes leaves bindings that bind nobody, or somebody else: the list
// tells, and the next Apply binds the name that is live.
func TestTemplateOfTheClusterCounts(t *testing.T) {
	t.Parallel()
	now := time.Now()
	b := newBench(t, func(o *Options, i *access.Integration) {
		o.Clock = func() time.Time { return now }
		i.Config[keyTemplate] = "{{SessionNameRaw}}"
	})
	w := b.wanted(t, person(0), testItems[0], "g-1")
	if _, err := b.rbac.Apply(t.Context(), b.integration, w); err != nil {
		t.Fatal(err)
	}
	b.api.setAuth(map[string]string{keyMapRoles: strings.ReplaceAll(bareMap, "{{SessionNameRaw}}", "apono:{{SessionName}}")})
	now = now.Add(time.Minute)
	found, err := b.rbac.List(t.Context(), b.integration)
	if err != nil || len(found) != 1 || !strings.Contains(found[0].Drift, "apono:alice-example.com") {
		t.Fatalf("listed %+v, %v; want the drift of the name", found, err)
	}
	if _, err := b.rbac.Apply(t.Context(), b.integration, w); err != nil {
		t.Fatal(err)
	}
	if !b.api.binds(t, "apono:alice-example.com", "payments", kindClusterRole, "edit") || b.api.binds(t, "alice@example.com", "payments", kindClusterRole, "edit") {
		t.Error("the binding does not name what the cluster calls alice")
	}
}

func TestApplyNeedsAName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, mapRoles, want string }{
		{"no mapping", "", "does not map the shared role"},
		{"a mapping without the session", strings.ReplaceAll(bareMap, "{{SessionNameRaw}}", "everybody"), "everybody has one name"},
		{"a variable that nobody knows", strings.ReplaceAll(bareMap, "{{SessionNameRaw}}", "{{SessionName}}:{{AccessKeyID}}"), "cannot be known"},
		{"names of Kubernetes' own", strings.ReplaceAll(bareMap, "{{SessionNameRaw}}", "system:{{SessionName}}"), "kept for Kubernetes"},
		{"a map that does not parse", "- rolearn: x\n bad", "does not map the shared role"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.api.setAuth(map[string]string{keyMapRoles: c.mapRoles})
			_, err := b.rbac.Apply(t.Context(), b.integration, b.wanted(t, person(0), testItems[0], "g-1"))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if all := b.api.bindings(); len(all) > 0 {
				t.Errorf("%v were made", all)
			}
		})
	}
}

// Access is taken back although nobody can tell any more how the cluster names anybody.
func TestRemovalNeedsNoName(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := b.wanted(t, person(0), testItems[0], "g-1")
	if _, err := b.rbac.Apply(t.Context(), b.integration, w); err != nil {
		t.Fatal(err)
	}
	b.api.drop(configMapPath + "/" + configMapName)
	other, err := New(b.clusters.opts)
	if err != nil {
		t.Fatal(err)
	}
	w.Holdings = nil
	if _, err := NewRBAC(other).Apply(t.Context(), b.integration, w); err != nil {
		t.Fatal(err)
	}
	if all := b.api.bindings(); len(all) > 0 {
		t.Errorf("%v stand", all)
	}
}

func TestListTellsDrift(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.api.page = 1
	var wanted []access.Wanted
	for n, it := range testItems {
		w := b.wanted(t, person(n), it, fmt.Sprintf("g-%d", n))
		if _, err := b.rbac.Apply(t.Context(), b.integration, w); err != nil {
			t.Fatal(err)
		}
		wanted = append(wanted, w)
	}
	// Another integration's, and one of nobody's, are not listed.
	b.api.put(rbacAPI+"/clusterrolebindings/other", map[string]any{"metadata": map[string]any{"name": "other", "labels": map[string]any{labelManaged: managedBy, labelIntegration: "prod-2"}}})
	b.api.put(rbacAPI+"/clusterrolebindings/helm", map[string]any{"metadata": map[string]any{"name": "helm", "labels": map[string]any{labelManaged: "Helm"}}})
	b.api.drop(rbacAPI + "/clusterroles/edit")
	b.api.edit(b.path(t, wanted[1]), func(o map[string]any) {
		o["subjects"] = []any{map[string]any{"kind": "Group", "apiGroup": rbacGroup, "name": "everybody"}}
	})
	copy := b.api.get(b.path(t, wanted[2]))
	meta, _ := copy["metadata"].(map[string]any)
	meta["name"], meta["uid"] = "a-copy", nil
	b.api.put(rbacAPI+"/namespaces/payments/rolebindings/a-copy", copy)
	found, err := b.rbac.List(t.Context(), b.integration)
	if err != nil {
		t.Fatal(err)
	}
	drift := map[string]string{}
	for _, f := range found {
		drift[f.Key] += f.Drift
	}
	for key, want := range map[string]string{wanted[0].Key: "outlives its ClusterRole edit", wanted[1].Key: "binds Group everybody", "": "it is a copy"} {
		if !strings.Contains(drift[key], want) {
			t.Errorf("the drift of %q is %q, want %q in it", key, drift[key], want)
		}
	}
	if len(found) != 4 || drift[wanted[2].Key] != "" {
		t.Errorf("listed %+v", found)
	}
}

func TestTimeoutOfASlowCluster(t *testing.T) {
	t.Parallel()
	b := newBench(t, func(o *Options, _ *access.Integration) { o.Timeout = 50 * time.Millisecond })
	b.api.fault = &fault{delay: 300 * time.Millisecond}
	_, err := b.rbac.Apply(t.Context(), b.integration, b.wanted(t, person(0), testItems[0], "g-1"))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the deadline of one request", err)
	}
}

// Nothing that goes wrong tells the token or what stands in a secret.
func TestErrorsHoldNoSecret(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.api.token = "another"
	_, err := b.rbac.Apply(t.Context(), b.integration, b.wanted(t, person(0), testItems[0], "g-1"))
	if !errors.Is(err, access.ErrRefused) {
		t.Errorf("a refused token is %v, want ErrRefused", err)
	}
	checks, _ := b.rbac.Check(t.Context(), b.integration)
	if text := fmt.Sprintf("%v %+v", err, checks); strings.Contains(text, testToken) {
		t.Errorf("the token is in %s", text)
	}
}

// A token that was rotated in the store is found when the cluster refuses the old one.
func TestRotatedToken(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := b.wanted(t, person(0), testItems[0], "g-1")
	if _, err := b.rbac.Apply(t.Context(), b.integration, w); err != nil {
		t.Fatal(err)
	}
	b.api.mu.Lock()
	b.api.token = "new"
	b.api.mu.Unlock()
	b.env["PROD_TOKEN"] = "new"
	w.Holdings = nil
	if _, err := b.rbac.Apply(t.Context(), b.integration, w); err != nil {
		t.Fatal(err)
	}
}

func TestUntrustedCertificate(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	delete(b.integration.Config, keyAuthority)
	_, err := b.rbac.Apply(t.Context(), b.integration, b.wanted(t, person(0), testItems[0], "g-1"))
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a server whose certificate nobody vouches for is %v", err)
	}
}
