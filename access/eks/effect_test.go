package eks

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/awssim"
)

// giveRules gives the cluster role edit rules.
func (k *kubeAPI) giveRules(rules ...map[string]any) {
	k.put(rbacAPI+"/clusterroles/edit", map[string]any{"metadata": map[string]any{"name": "edit"}, "rules": rules})
}

var execRule = map[string]any{"verbs": []string{"create", "get"}, "apiGroups": []string{""}, "resources": []string{"pods/exec", "pods"}}

// Access is ready once the cluster goes by the binding, which is asked of it as the very
// person; where Gatehouse may not ask, once the binding stands.
func TestReadyWhenTheClusterGoesByIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		setup   func(k *kubeAPI)
		pending string // in the note; empty: it is ready
		asked   int
		note    string
	}{
		{"at once", func(k *kubeAPI) { k.giveRules(execRule) }, "", 1, ""},
		{"a moment later", func(k *kubeAPI) { k.giveRules(execRule); k.lag = 3 }, "", 4, ""},
		{"never", func(k *kubeAPI) { k.giveRules(execRule); k.denies = true }, "alice@example.com may not create pods/exec in payments. It is asked again until it does", -1, ""},
		{"gatehouse may not ask", func(k *kubeAPI) { k.giveRules(execRule); k.unasked = true }, "", 0, ""},
		{"a role without rules", func(*kubeAPI) {}, "", 0, ""},
		{"a rule of what is no resource, in a namespace", func(k *kubeAPI) {
			k.giveRules(map[string]any{"verbs": []string{"get"}, "nonResourceURLs": []string{"/healthz"}})
		}, "", 0, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.api.setAuth(map[string]string{keyMapRoles: bareMap + "  groups: [people]\n"})
			c.setup(b.api)
			w := b.wanted(t, person(0), testItems[0], "g-1")
			got, err := b.rbac.Apply(t.Context(), b.integration, w)
			if err != nil {
				t.Fatal(err)
			}
			if (got.Pending > 0) != (c.pending != "") || !strings.Contains(got.Note, c.pending) {
				t.Errorf("applied %+v, want a note with %q", got, c.pending)
			}
			if n := len(b.api.asked); c.asked >= 0 && n != c.asked || c.asked < 0 && n < 2 {
				t.Errorf("the cluster was asked %d times, want %d", n, c.asked)
			}
			if len(b.api.asked) > 0 && b.api.asked[0] != "alice@example.com [people system:authenticated] create /pods/exec  in payments" {
				t.Errorf("it was asked %s", b.api.asked[0])
			}
			if !b.api.binds(t, "alice@example.com", "payments", kindClusterRole, "edit") {
				t.Error("the binding does not stand")
			}
		})
	}
}

// A cluster that refuses to be asked is not asked for each binding.
func TestRefusedReviewIsRemembered(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "CONFIG_MAP")
	c.api.giveRules(execRule)
	c.api.unasked = true
	reviews := func() (n int) {
		c.api.mu.Lock()
		defer c.api.mu.Unlock()
		for _, call := range c.api.calls {
			if strings.HasSuffix(call, "/subjectaccessreviews") {
				n++
			}
		}
		return n
	}
	for range 3 {
		if _, err := c.rbac.Apply(t.Context(), c.integration, c.wanted(t, person(0), testItems[0], "g-1")); err != nil {
			t.Fatal(err)
		}
	}
	if n := reviews(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	c.api.mu.Lock()
	c.api.unasked = false
	c.api.mu.Unlock()
	c.clock.Advance(2 * refusedFor)
	if _, err := c.rbac.Apply(t.Context(), c.integration, c.wanted(t, person(0), testItems[0], "g-1")); err != nil || reviews() != 2 {
		t.Errorf("once it may be asked it was asked %d times, %v", reviews(), err)
	}
}

// A binding that outlives its role gives nothing, and says so.
func TestRoleDeletedUnderABinding(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := b.wanted(t, person(0), testItems[0], "g-1")
	if _, err := b.rbac.Apply(t.Context(), b.integration, w); err != nil {
		t.Fatal(err)
	}
	b.api.drop(rbacAPI + "/clusterroles/edit")
	other, err := New(b.clusters.opts)
	if err != nil {
		t.Fatal(err)
	}
	got, err := NewRBAC(other).Apply(t.Context(), b.integration, w)
	if err != nil || got.Pending > 0 || !strings.Contains(got.Note, "ClusterRole edit was deleted") {
		t.Errorf("%+v, %v", got, err)
	}
}

// Who may still do what a binding gave has that by something else, which is said; what
// the authorizer has not heard of yet is no such thing.
func TestStillAllowedAfterTheEnd(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		setup func(k *kubeAPI)
		want  string
	}{
		{"by something else", func(k *kubeAPI) { k.always = "alice@example.com" }, "alice@example.com may still create pods/exec in payments"},
		{"by nothing", func(*kubeAPI) {}, ""},
		{"a moment longer", func(k *kubeAPI) { k.lag = 2 }, ""},
		{"that nobody can tell", func(k *kubeAPI) { k.unasked = true }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.api.giveRules(execRule)
			w := b.wanted(t, person(0), testItems[0], "g-1")
			got, err := b.rbac.Apply(t.Context(), b.integration, w)
			if err != nil {
				t.Fatal(err)
			}
			b.api.mu.Lock()
			c.setup(b.api)
			b.api.mu.Unlock()
			w.Kept, w.Holdings = got.Kept, nil
			if got, err = b.rbac.Apply(t.Context(), b.integration, w); err != nil || got.Pending > 0 || (got.Note == "") != (c.want == "") || !strings.Contains(got.Note, c.want) {
				t.Errorf("%+v, %v; want a note with %q", got, err, c.want)
			}
			if all := b.api.bindings(); len(all) > 0 {
				t.Errorf("%v are left", all)
			}
		})
	}
}

// Where everybody has other rights too, looking for that holds up the end of one grant at
// a time at most.
func TestStillAllowedIsLookedForOneAtATime(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.api.giveRules(execRule)
	b.api.always = "alice@example.com"
	w := b.wanted(t, person(0), testItems[0], "g-1")
	if _, err := b.rbac.Apply(t.Context(), b.integration, w); err != nil {
		t.Fatal(err)
	}
	conn, err := b.rbac.connect(b.integration)
	if err != nil {
		t.Fatal(err)
	}
	conn.aftermath.Lock()
	defer conn.aftermath.Unlock()
	asked := len(b.api.asked)
	w.Holdings = nil
	if got, err := b.rbac.Apply(t.Context(), b.integration, w); err != nil || got.Note != "" || len(b.api.asked) != asked || len(b.api.bindings()) > 0 {
		t.Errorf("while another is looked at: %+v, %v, asked %d times more", got, err, len(b.api.asked)-asked)
	}
}

func TestQuestionOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rules     []policyRule
		namespace string
		want      string
	}{
		{nil, "", ""},
		{[]policyRule{{Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}}}, "", "* *"},
		{[]policyRule{{Verbs: []string{"update"}, APIGroups: []string{"apps"}, Resources: []string{"*/scale"}}}, "x", "update */scale"},
		{[]policyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"one", "two"}}}, "x", "get configmaps one"},
		{[]policyRule{{Verbs: []string{"get"}, NonResourceURLs: []string{"/metrics"}}, {Verbs: []string{"list"}, APIGroups: []string{""}, Resources: []string{"pods"}}}, "x", "list pods"},
		{[]policyRule{{Verbs: []string{"get"}, NonResourceURLs: []string{"/metrics"}}}, "", "get /metrics"},
		{[]policyRule{{APIGroups: []string{""}, Resources: []string{"pods"}}}, "", ""},
	} {
		got := ""
		if q, ok := questionOf(c.rules, c.namespace); ok {
			got = q.String()
		}
		if got != c.want {
			t.Errorf("of %+v in %q is asked %q, want %q", c.rules, c.namespace, got, c.want)
		}
	}
}

// A server that is asked too much says when to come again; the grant notices nothing.
func TestBusyServer(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.api.busy = 2
	since := time.Now()
	if _, err := b.rbac.Apply(t.Context(), b.integration, b.wanted(t, person(0), testItems[0], "g-1")); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(since); took < 2*time.Second {
		t.Errorf("it came again after %s, and was told to wait a second twice", took)
	}
	b.api.mu.Lock()
	b.api.busy = 1000
	b.api.mu.Unlock()
	if _, err := b.rbac.Apply(t.Context(), b.integration, b.wanted(t, person(0), testItems[0], "g-1")); !answered(err, http.StatusTooManyRequests) {
		t.Errorf("a server that is busy for ever: %v", err)
	}
}

// The certificates of a cluster are replaced, or it moves: what EKS says now is found at
// the next try, and not when what it said before has grown old.
func TestCertificateReplaced(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "CONFIG_MAP")
	w := c.wanted(t, person(0), testItems[0], "g-1")
	got, err := c.rbac.Apply(t.Context(), c.integration, w)
	if err != nil {
		t.Fatal(err)
	}
	// The same objects behind another address. All servers of this package have one
	// certificate, so an authority that vouches for none stands for the old one.
	moved := httptest.NewTLSServer(c.api)
	t.Cleanup(moved.Close)
	c.api.server.Close()
	c.region.AddCluster(awssim.Object{
		"name": "prod", "status": "ACTIVE", "accessConfig": awssim.Object{"authenticationMode": "CONFIG_MAP"},
		"endpoint": moved.URL, "certificateAuthority": awssim.Object{"data": encoded(c.api.authority())},
	})
	c.clock.Advance(2 * doubtAfter)
	w.Kept, w.Holdings = got.Kept, nil
	if _, err := c.rbac.Apply(t.Context(), c.integration, w); err == nil {
		t.Fatal("a server that is gone answered")
	}
	if _, err := c.rbac.Apply(t.Context(), c.integration, w); err != nil {
		t.Errorf("the second try does not find where the cluster is now: %v", err)
	}
	if all := c.api.bindings(); len(all) > 0 {
		t.Errorf("%v are left", all)
	}
}

// Access is taken back while EKS's own API is away, for as long as the cluster answers.
func TestRemovalWhileEKSIsAway(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "API")
	if _, err := c.rbac.Connect(t.Context(), c.integration, Apply); err != nil {
		t.Fatal(err)
	}
	w := c.wanted(t, person(0), testItems[0], "g-1")
	got, err := c.rbac.Apply(t.Context(), c.integration, w)
	if err != nil {
		t.Fatal(err)
	}
	away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"message":"away"}`, http.StatusServiceUnavailable)
	}))
	t.Cleanup(away.Close)
	*c.accounts.cfg.BaseEndpoint = away.URL
	c.clock.Advance(2 * clusterFor)
	w.Kept, w.Holdings = got.Kept, nil
	if _, err := c.rbac.Apply(t.Context(), c.integration, w); err != nil {
		t.Errorf("while EKS is away: %v", err)
	}
	if all := c.api.bindings(); len(all) > 0 {
		t.Errorf("%v are left", all)
	}
	if _, err := c.rbac.Apply(t.Context(), c.integration, c.wanted(t, person(0), testItems[0], "g-2")); err == nil {
		t.Error("something new is lent, and by what name nobody can tell")
	}
}

// The trust policy loses its condition while grants live: nothing new is lent, what stands
// goes on and goes on time.
func TestTrustPolicyLosesItsCondition(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "CONFIG_MAP")
	w := c.wanted(t, person(0), testItems[0], "g-1")
	got, err := c.rbac.Apply(t.Context(), c.integration, w)
	if err != nil {
		t.Fatal(err)
	}
	c.sim.Account(testAccount).AddRole(awssim.Role{Name: "gatehouse-k8s-access", TrustedAccounts: []string{testAccount}})
	c.clock.Advance(2 * templatesFor)
	_, err = c.rbac.Apply(t.Context(), c.integration, c.wanted(t, person(1), testItems[0], "g-2"))
	if err == nil || !strings.Contains(err.Error(), "can have names of others") || !strings.Contains(err.Error(), "sts:RoleSessionName") {
		t.Errorf("lent to another: %v", err)
	}
	w.Kept = got.Kept
	if _, err := c.rbac.Apply(t.Context(), c.integration, w); err != nil {
		t.Errorf("what stands: %v", err)
	}
	w.Holdings = nil
	if _, err := c.rbac.Apply(t.Context(), c.integration, w); err != nil || len(c.api.bindings()) > 0 {
		t.Errorf("at the end: %v, %v", err, c.api.bindings())
	}
}

// The authentication mode changes: within seconds people are bound by the name that
// counts now.
func TestModeChanges(t *testing.T) {
	t.Parallel()
	c := newCloud(t, "CONFIG_MAP")
	w := c.wanted(t, person(0), testItems[0], "g-1")
	if _, err := c.rbac.Apply(t.Context(), c.integration, w); err != nil {
		t.Fatal(err)
	}
	c.setMode("API_AND_CONFIG_MAP")
	c.clock.Advance(2 * templatesFor)
	c.integration.Config[keyMapping] = mappingEntry
	if _, err := c.rbac.Connect(t.Context(), c.integration, Apply); err != nil {
		t.Fatal(err)
	}
	delete(c.integration.Config, keyMapping)
	c.setMode("API")
	c.clock.Advance(2 * templatesFor)
	found, err := c.rbac.List(t.Context(), c.integration)
	if err != nil || len(found) != 1 || !strings.Contains(found[0].Drift, "does not bind gatehouse:alice@example.com") {
		t.Errorf("listed %+v, %v", found, err)
	}
	if _, err := c.rbac.Apply(t.Context(), c.integration, w); err != nil {
		t.Fatal(err)
	}
	if !c.api.binds(t, "gatehouse:alice@example.com", "payments", kindClusterRole, "edit") || c.api.binds(t, "alice@example.com", "payments", kindClusterRole, "edit") {
		t.Error("the binding does not name what the cluster calls alice")
	}
}

// A namespace that is being deleted takes no binding, which is said as it is.
func TestNamespaceBeingDeleted(t *testing.T) {
	t.Parallel()
	key := bindingKey{namespace: "payments", roleKind: kindClusterRole, role: "edit", person: "a@b"}
	err := explain(&apiError{Code: 403, Message: `rolebindings "x" is forbidden: unable to create new content in namespace payments because it is being terminated`}, key)
	if !strings.Contains(err.Error(), "payments is being deleted") || strings.Contains(err.Error(), "needs get, list") {
		t.Errorf("%v", err)
	}
}

// What Gatehouse may do without is a warning, and told with what it costs.
func TestCheckOfOptionalPermissions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		refuse []string
		result string
		want   []string
	}{
		{[]string{"subjectaccessreviews"}, resultWarning, []string{"create subjectaccessreviews", "a moment before"}},
		{[]string{"subjectaccessreviews", "bind"}, resultWarning, []string{"bind clusterroles", "a moment before"}},
		{[]string{"subjectaccessreviews", "namespaces"}, resultFailed, []string{"list namespaces", "create subjectaccessreviews"}},
	} {
		b := newBench(t)
		b.api.may = func(verb, resource string) bool {
			return !slices.Contains(c.refuse, resource) && !slices.Contains(c.refuse, verb)
		}
		checks, err := b.rbac.Check(t.Context(), b.integration)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(checks, func(c access.Check) bool { return c.Name == checkPermissions })
		for _, want := range c.want {
			if checks[i].Result != c.result || !strings.Contains(checks[i].Detail, want) || checks[i].Mend == "" {
				t.Errorf("%v: %+v, want %q", c.refuse, checks[i], want)
			}
		}
	}
}
