package eks

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"
	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/accesstest"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/awssim"
)

func encoded(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

const peopleTemplate = "arn:aws:iam::222222222222:role/people/eks-{{person}}"

// entries is a cluster where people have roles of their own.
type entries struct {
	*cloud
	lend        *AccessEntry
	integration *access.Integration
	ctx         context.Context //nolint:containedctx // of the test, for properties
}

func newEntries(t *testing.T) *entries {
	t.Helper()
	c := newCloud(t, "API_AND_CONFIG_MAP")
	for n := range 3 {
		c.sim.Account(testAccount).AddRole(awssim.Role{Name: "eks-" + person(n).ID, Path: "/people/"})
	}
	return &entries{cloud: c, lend: NewAccessEntry(c.clusters), integration: &access.Integration{
		Name: "prod-entries", Type: TypeAccessEntry, Config: map[string]string{keyCluster: "prod", keyRegion: testRegion, keyPrincipal: peopleTemplate},
	}}
}

// has asks what EKS itself lets the role do.
func (e *entries) has(p flow.Person, policy string, where scope) bool {
	for _, entry := range e.region.AccessEntries("prod") {
		if entry["principalArn"] != strings.ReplaceAll(peopleTemplate, principalPerson, p.ID) {
			continue
		}
		list, _ := entry["policies"].([]awssim.Object)
		for _, a := range list {
			arn, _ := a["policyArn"].(string)
			given, _ := a["accessScope"].(awssim.Object)
			namespaces, _ := given["namespaces"].([]string)
			if strings.HasSuffix(arn, "/"+policy) && (given["type"] == "cluster" || !where.cluster && slices.Contains(namespaces, where.namespaces[0])) {
				return true
			}
		}
	}
	return false
}

func TestAccessEntryConformance(t *testing.T) {
	t.Parallel()
	items := []flow.Item{
		item(resourceNamespace, "namespace/payments", "AmazonEKSEditPolicy"),
		item(resourceCluster, "cluster/prod", "AmazonEKSViewPolicy"),
		item(resourcePolicy, "access-policy/AmazonEKSAdminPolicy", "namespace:orders"),
	}
	for _, delay := range []time.Duration{0, 5 * time.Second} {
		t.Run(fmt.Sprintf("shown after %s", delay), func(t *testing.T) {
			t.Parallel()
			accesstest.Run(t, func(t *testing.T) *accesstest.Target {
				t.Helper()
				e := newEntries(t)
				e.region.SetClusterDelays(awssim.ClusterDelays{Entries: delay})
				return &accesstest.Target{
					Provisioner: e.lend, Integration: e.integration, Person: person,
					Item: func(n int) flow.Item { return items[n] },
					Has: func(t *testing.T, p flow.Person, item flow.Item) bool {
						t.Helper()
						policy, where, err := policyOf(item)
						if err != nil {
							t.Fatal(err)
						}
						return e.has(p, policy, where)
					},
					Foreign: func(t *testing.T, p flow.Person, _ flow.Item) func() bool {
						t.Helper()
						arn := strings.ReplaceAll(peopleTemplate, principalPerson, p.ID)
						if _, err := e.engine.CreateAccessEntry(t.Context(), &awseks.CreateAccessEntryInput{
							ClusterName: aws.String("prod"), PrincipalArn: &arn, Username: aws.String("theirs"), Tags: map[string]string{"by": "terraform"},
						}); err != nil {
							t.Fatal(err)
						}
						e.clock.Advance(delay)
						return func() bool {
							e.clock.Advance(delay)
							out, err := e.engine.DescribeAccessEntry(t.Context(), &awseks.DescribeAccessEntryInput{ClusterName: aws.String("prod"), PrincipalArn: &arn})
							return err == nil && aws.ToString(out.AccessEntry.Username) == "theirs" && len(out.AccessEntry.Tags) == 1
						}
					},
					Break: func(_ *testing.T, applied bool) {
						e.fault.mu.Lock()
						defer e.fault.mu.Unlock()
						e.fault.kind = map[bool]string{true: "after", false: "before"}[applied]
					},
					Wait: e.clock.Advance,
				}
			})
		})
	}
}

func (e *entries) apply(t *rapid.T, key string, kept []byte, holdings []access.Holding) []byte {
	for range 50 {
		got, err := e.lend.Apply(e.ctx, e.integration, access.Wanted{Key: key, Holdings: holdings, Kept: kept})
		if err != nil && strings.Contains(err.Error(), "500") {
			continue // it was told to fail, and what it did so far is forgotten
		}
		if err != nil {
			t.Fatal(err)
		}
		kept = got.Kept
		if got.Pending == 0 {
			return kept
		}
		e.clock.Advance(got.Pending)
	}
	t.Fatal("it stays pending")
	return nil
}

// Grants of one policy in several namespaces come and go in any order, with what others
// gave before among them: what holds is always what others gave and what is lent, and in
// the end what others gave alone.
func TestScopesAreMergedAndCounted(t *testing.T) {
	t.Parallel()
	e := newEntries(t)
	e.ctx = t.Context()
	alice := person(0)
	arn := strings.ReplaceAll(peopleTemplate, principalPerson, alice.ID)
	key := entryKey{principal: arn, policy: "AmazonEKSViewPolicy"}
	read := func(t *rapid.T) scope {
		a := &association{conn: mustConnect(t, e), eks: e.engine, key: key}
		all, err := a.policies(e.ctx)
		if err != nil {
			t.Fatal(err)
		}
		return all[key.policyARN()]
	}
	if _, err := e.engine.CreateAccessEntry(t.Context(), &awseks.CreateAccessEntryInput{
		ClusterName: aws.String("prod"), PrincipalArn: &arn, Tags: map[string]string{tagManaged: managedBy, tagIntegration: "prod-entries"},
	}); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		before := drawScope(t)
		if !before.empty() {
			in := &types.AccessScope{Type: types.AccessScopeTypeCluster}
			if !before.cluster {
				in = &types.AccessScope{Type: types.AccessScopeTypeNamespace, Namespaces: before.namespaces}
			}
			if _, err := e.engine.AssociateAccessPolicy(e.ctx, &awseks.AssociateAccessPolicyInput{
				ClusterName: aws.String("prod"), PrincipalArn: &arn, PolicyArn: aws.String(key.policyARN()), AccessScope: in,
			}); err != nil {
				t.Fatal(err)
			}
		}
		var kept []byte
		live := map[string]flow.Item{}
		for n := range rapid.IntRange(1, 6).Draw(t, "steps") {
			if len(live) > 0 && rapid.Bool().Draw(t, "end one") {
				ids := sortedItems(live)
				delete(live, ids[rapid.IntRange(0, len(ids)-1).Draw(t, "which")])
			} else {
				place := rapid.SampledFrom([]string{"cluster", "namespace:a", "namespace:b", "namespace:dev-*"}).Draw(t, "place")
				live[fmt.Sprintf("g%d", n)] = item(resourcePolicy, "access-policy/AmazonEKSViewPolicy", place)
			}
			want := before
			var holdings []access.Holding
			for _, id := range sortedItems(live) {
				_, where, err := policyOf(live[id])
				if err != nil {
					t.Fatal(err)
				}
				want = want.merge(where)
				holdings = append(holdings, access.Holding{Grant: id, Person: alice, Item: live[id], Expires: time.Unix(2e9, 0)})
			}
			e.fault.mu.Lock()
			e.fault.kind = rapid.SampledFrom([]string{"", "before", "after"}).Draw(t, "fault")
			e.fault.skip = rapid.IntRange(0, 3).Draw(t, "after changes")
			e.fault.mu.Unlock()
			kept = e.apply(t, key.String(), kept, holdings)
			e.fault.mu.Lock()
			e.fault.kind = ""
			e.fault.mu.Unlock()
			if rapid.IntRange(0, 3).Draw(t, "crash") == 0 {
				kept = nil
			}
			if have := read(t); !have.equal(want) {
				t.Fatalf("with %v of others and %v lent it holds in %v, want %v", before, holdings, have, want)
			}
		}
		e.apply(t, key.String(), kept, nil)
		if have := read(t); !have.equal(before) {
			t.Fatalf("in the end it holds in %v, and others gave %v", have, before)
		}
		if !before.empty() {
			if _, err := e.engine.DisassociateAccessPolicy(e.ctx, &awseks.DisassociateAccessPolicyInput{ClusterName: aws.String("prod"), PrincipalArn: &arn, PolicyArn: aws.String(key.policyARN())}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func sortedItems(m map[string]flow.Item) []string {
	var ids []string
	for id := range m {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func mustConnect(t *rapid.T, e *entries) *connection {
	c, err := e.lend.connect(e.integration)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPrincipals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		config map[string]string
		want   string // in the error; empty: valid
	}{
		{"a role for each person", map[string]string{keyPrincipal: peopleTemplate}, ""},
		{"a role for each person and policy", map[string]string{keyPrincipal: "arn:aws-cn:iam::222222222222:role/{{policy}}-{{person}}"}, ""},
		{"a list", map[string]string{keyPrincipals: "alice@example.com=arn:aws:iam::222222222222:role/team/alice,\nbob@example.com=arn:aws:iam::222222222222:role/bob"}, ""},
		{"none", nil, "it is missing"},
		{"one role for all", map[string]string{keyPrincipal: "arn:aws:iam::222222222222:role/eks-{{policy}}"}, "would have what is lent to anybody"},
		{"one role for all, asked for", map[string]string{keyPrincipal: "arn:aws:iam::222222222222:role/eks-{{policy}}", keyShared: "true"}, ""},
		{"a session", map[string]string{keyPrincipal: "arn:aws:sts::222222222222:assumed-role/eks/{{person}}"}, "sessions (arn:aws:sts:…) have no entries"},
		{"a session in the list", map[string]string{keyPrincipals: "a@b=arn:aws:sts::222222222222:assumed-role/eks/a"}, "sessions (arn:aws:sts:…) have no entries"},
		{"a user", map[string]string{keyPrincipal: "arn:aws:iam::222222222222:user/{{person}}"}, "no IAM role"},
		{"two people with one role", map[string]string{keyPrincipals: "a@b=arn:aws:iam::222222222222:role/x b@b=arn:aws:iam::222222222222:role/x"}, "each would have what is lent to the other"},
		{"a setting of the other type", map[string]string{keyPrincipal: peopleTemplate, keyTemplate: "x"}, "no setting of the type eks-access-entry"},
	} {
		i := &access.Integration{Name: "p", Type: TypeAccessEntry, Config: map[string]string{keyCluster: "prod"}}
		maps.Copy(i.Config, c.config)
		err := (&AccessEntry{}).Validate(i)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestEntryRefusesClusterAdmin(t *testing.T) {
	t.Parallel()
	e := newEntries(t)
	admin := item(resourceCluster, "cluster/prod", "AmazonEKSClusterAdminPolicy")
	if _, err := e.lend.Object(e.integration, person(0), admin); err == nil {
		t.Error("cluster admin is lent though nobody allowed it")
	}
	e.integration.Config[keyAllowed] = "AmazonEKSClusterAdminPolicy"
	if _, err := e.lend.Object(e.integration, person(0), admin); err != nil {
		t.Error(err)
	}
}

func TestCleanDeletesAnEntryThatNothingIsOn(t *testing.T) {
	t.Parallel()
	e := newEntries(t)
	alice := person(0)
	view := item(resourceCluster, "cluster/prod", "AmazonEKSViewPolicy")
	key, err := e.lend.Object(e.integration, alice, view)
	if err != nil {
		t.Fatal(err)
	}
	w := access.Wanted{Key: key, Holdings: []access.Holding{{Grant: "g", Person: alice, Item: view, Expires: time.Unix(2e9, 0)}}}
	settle := func() {
		t.Helper()
		for range 10 {
			got, err := e.lend.Apply(t.Context(), e.integration, w)
			if err != nil {
				t.Fatal(err)
			}
			w.Kept = got.Kept
			if got.Pending == 0 {
				return
			}
		}
		t.Fatal("it stays pending")
	}
	settle()
	if err := e.lend.Clean(t.Context(), e.integration, alice); err != nil || len(e.region.AccessEntries("prod")) != 1 {
		t.Fatalf("clean took away an entry that is used: %v", err)
	}
	w.Holdings = nil
	settle()
	if err := e.lend.Clean(t.Context(), e.integration, alice); err != nil || len(e.region.AccessEntries("prod")) != 0 {
		t.Fatalf("clean left %v: %v", e.region.AccessEntries("prod"), err)
	}
	if err := e.lend.Clean(t.Context(), e.integration, alice); err != nil {
		t.Errorf("cleaning again: %v", err)
	}
}

func TestEntryDiscoverAndCheck(t *testing.T) {
	t.Parallel()
	e := newEntries(t)
	found, err := e.lend.Discover(t.Context(), e.integration)
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]flow.Resource{}
	for _, r := range found {
		byID[r.ID] = r
	}
	if r := byID["cluster/prod"]; r.Tags["owner"] != "platform" || !slices.Contains(r.Permissions, "AmazonEKSViewPolicy") || slices.Contains(r.Permissions, "AmazonEKSClusterAdminPolicy") {
		t.Errorf("the cluster is %+v", r)
	}
	if r := byID["namespace/payments"]; r.Tags["team"] != "team-payments" {
		t.Errorf("the namespace is %+v", r)
	}
	if r := byID["access-policy/AmazonEKSViewPolicy"]; !slices.Contains(r.Permissions, "namespace:payments") {
		t.Errorf("the policy is %+v", r)
	}
	checks, err := e.lend.Check(t.Context(), e.integration)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checks {
		if c.Result != resultOK {
			t.Errorf("%+v", c)
		}
	}
}

// One process ends what was lent just as another lends it again: what the first takes away
// must not pass for what others gave, or it would be given back in the end, for ever.
func TestLendingWhileAnotherEnds(t *testing.T) {
	t.Parallel()
	e := newEntries(t)
	alice := person(0)
	view := item(resourceNamespace, "namespace/payments", "AmazonEKSViewPolicy")
	key, err := e.lend.Object(e.integration, alice, view)
	if err != nil {
		t.Fatal(err)
	}
	lent := access.Wanted{Key: key, Holdings: []access.Holding{{Grant: "g", Person: alice, Item: view, Expires: time.Unix(2e9, 0)}}}
	settle := func(w access.Wanted) {
		t.Helper()
		for range 10 {
			got, err := e.lend.Apply(t.Context(), e.integration, w)
			if err != nil {
				t.Error(err)
				return
			}
			w.Kept = got.Kept
			if got.Pending == 0 {
				return
			}
		}
		t.Error("it stays pending")
	}
	settle(lent)
	e.fault.mu.Lock()
	e.fault.look = func() { settle(access.Wanted{Key: key}) }
	e.fault.mu.Unlock()
	settle(lent)
	if !e.has(alice, "AmazonEKSViewPolicy", scope{namespaces: []string{"payments"}}) {
		t.Error("what is lent is not there")
	}
	settle(access.Wanted{Key: key})
	if e.has(alice, "AmazonEKSViewPolicy", scope{namespaces: []string{"payments"}}) {
		t.Error("what was lent is there for ever")
	}
}
