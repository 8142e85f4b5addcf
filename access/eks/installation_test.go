package eks

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awseks "github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/awssim"
)

// another is the provisioner of another installation, which knows the same cluster by an
// integration of the same name.
func (b *bench) another(t *testing.T, id string) (*RBAC, *ledger) {
	t.Helper()
	o := b.clusters.opts
	l := &ledger{grants: map[string]bool{}}
	o.Ledger, o.Installation = l, func(context.Context) (string, error) { return id, nil }
	if id == "" {
		o.Installation = nil
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return NewRBAC(c), l
}

func names(found []access.Found) (all []string) {
	for _, f := range found {
		all = append(all, f.Name)
	}
	return all
}

// Two installations lend the same to the same person from one cluster, under one name:
// each has a binding of its own, sees that alone, and takes away that alone.
func TestTwoInstallations(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	other, _ := b.another(t, "other")
	mine, theirs := b.wanted(t, person(0), testItems[0], "g-mine"), b.wanted(t, person(0), testItems[0], "g-theirs")
	for who, p := range map[*access.Wanted]*RBAC{&mine: b.rbac, &theirs: other} {
		got, err := p.Apply(t.Context(), b.integration, *who)
		if err != nil {
			t.Fatal(err)
		}
		who.Kept = got.Kept
	}
	if all := b.api.bindings(); len(all) != 2 {
		t.Fatalf("there are %v", all)
	}
	for grant, p := range map[string]*RBAC{"g-mine": b.rbac, "g-theirs": other} {
		found, err := p.List(t.Context(), b.integration)
		if err != nil || len(found) != 1 || found[0].Grants[0] != grant || found[0].Drift != "" {
			t.Errorf("of %s %+v is listed, %v", grant, found, err)
		}
	}
	mine.Holdings = nil
	if _, err := b.rbac.Apply(t.Context(), b.integration, mine); err != nil {
		t.Fatal(err)
	}
	if !b.api.binds(t, "alice@example.com", "payments", kindClusterRole, "edit") {
		t.Error("the end of one installation's grant took the other's access")
	}
	checks, err := b.rbac.Check(t.Context(), b.integration)
	if err != nil {
		t.Fatal(err)
	}
	told := ""
	for _, c := range checks {
		if c.Name == checkOthers {
			told = c.Result + ": " + c.Detail + "; " + c.Mend
		}
	}
	for _, want := range []string{"warning", "1 of installation other", "kubectl get rolebindings,clusterrolebindings -A -l gatehouse.dev/installation=ID"} {
		if !strings.Contains(told, want) {
			t.Errorf("the check says %q, want %q in it", told, want)
		}
	}
	plan, err := b.rbac.Onboard(t.Context(), b.integration, false)
	if err != nil || !strings.Contains(plan.Detail["other_installations"], "1 of installation other") {
		t.Errorf("connecting tells %+v, %v", plan, err)
	}
}

// What was made before installations had ids is ours if our ledger has its grant, or we
// remember the very object, and of somebody else otherwise.
func TestBindingsFromBeforeInstallations(t *testing.T) {
	t.Parallel()
	type stand struct {
		*bench
		old access.Wanted
		uid []byte // what was kept of it
	}
	setup := func(t *testing.T) *stand {
		t.Helper()
		s := &stand{bench: newBench(t)}
		before, _ := s.another(t, "")
		s.old = s.wanted(t, person(0), testItems[0], "g-old")
		got, err := before.Apply(t.Context(), s.integration, s.old)
		if err != nil {
			t.Fatal(err)
		}
		s.uid = got.Kept
		return s
	}
	apply := func(t *testing.T, s *stand, w access.Wanted) access.Applied {
		t.Helper()
		got, err := s.rbac.Apply(t.Context(), s.integration, w)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	listed := func(t *testing.T, s *stand) []access.Found {
		t.Helper()
		found, err := s.rbac.List(t.Context(), s.integration)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}

	t.Run("of a grant in the ledger", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		s.ledger.grants["g-old"] = true
		if found := listed(t, s); len(found) != 1 || found[0].Key != s.old.Key || found[0].Drift != "" {
			t.Errorf("listed %+v", found)
		}
		// An extension marks it, and its access is never gone in between.
		s.old.Holdings[0].Expires = s.old.Holdings[0].Expires.Add(time.Hour)
		kept := apply(t, s, s.old).Kept
		all := s.api.bindings()
		if len(all) != 1 {
			t.Fatalf("there are %v", all)
		}
		labels, _ := s.api.get(all[0])["metadata"].(map[string]any)["labels"].(map[string]any)
		if labels[labelInstallation] != testInstallation {
			t.Errorf("its labels are %v", labels)
		}
		s.old.Kept, s.old.Holdings = kept, nil
		apply(t, s, s.old)
		if all := s.api.bindings(); len(all) != 0 {
			t.Errorf("%v are left", all)
		}
	})
	t.Run("that we remember, at its end", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		s.old.Kept, s.old.Holdings = s.uid, nil
		apply(t, s, s.old)
		if all := s.api.bindings(); len(all) != 0 {
			t.Errorf("%v are left", all)
		}
	})
	t.Run("at its end, after a crash that forgot it", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		s.ledger.grants["g-old"] = true
		s.old.Holdings = nil
		apply(t, s, s.old)
		if all := s.api.bindings(); len(all) != 0 {
			t.Errorf("%v are left", all)
		}
	})
	t.Run("of somebody else", func(t *testing.T) {
		t.Parallel()
		s := setup(t)
		if found := listed(t, s); len(found) != 0 {
			t.Errorf("listed %+v", found)
		}
		w := s.wanted(t, person(0), testItems[0], "g-new")
		w.Kept = apply(t, s, w).Kept
		if all := s.api.bindings(); len(all) != 2 {
			t.Errorf("there are %v", all)
		}
		w.Holdings = nil
		apply(t, s, w)
		all := s.api.bindings()
		if len(all) != 1 || s.api.get(all[0])["metadata"].(map[string]any)["annotations"].(map[string]any)[annotationGrants] != "g-old" {
			t.Errorf("of another installation's binding %v is left", all)
		}
		checks, err := s.rbac.Check(t.Context(), s.integration)
		if err != nil || !strings.Contains(fmt.Sprint(checks), "1 of one from before installations had ids") {
			t.Errorf("the check says %+v, %v", checks, err)
		}
	})
	t.Run("beside ours", func(t *testing.T) {
		t.Parallel()
		// A server of before makes its binding although ours stands.
		s := setup(t)
		s.ledger.grants["g-old"], s.ledger.grants["g-new"] = true, true
		s.api.drop(s.api.bindings()[0])
		w := s.wanted(t, person(0), testItems[0], "g-new")
		kept := apply(t, s, w).Kept
		before, _ := s.another(t, "")
		if _, err := before.Apply(t.Context(), s.integration, s.old); err != nil {
			t.Fatal(err)
		}
		drift := ""
		for _, f := range listed(t, s) {
			if f.Key != w.Key {
				t.Errorf("listed %+v", f)
			}
			drift += f.Drift
		}
		if !strings.Contains(drift, "which is the same") {
			t.Errorf("the drift is %q", drift)
		}
		// The reconciler has it written again. What is kept is of another time.
		_ = kept
		apply(t, s, w)
		if all := s.api.bindings(); len(all) != 1 {
			t.Errorf("there are %v", all)
		}
	})
}

// Without its id an installation would take what others lent for its own, so it does
// nothing.
func TestInstallationUnknown(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]func(context.Context) (string, error){
		"an error": func(context.Context) (string, error) { return "", errors.New("the store is away") },
		"no label": func(context.Context) (string, error) { return "a b", nil },
		"nothing":  func(context.Context) (string, error) { return "", nil },
	} {
		b := newBench(t, func(o *Options, _ *access.Integration) { o.Installation = of })
		if _, err := b.rbac.Apply(t.Context(), b.integration, b.wanted(t, person(0), testItems[0], "g")); err == nil || !strings.Contains(err.Error(), "id of this installation") {
			t.Errorf("%s: applied: %v", name, err)
		}
		if _, err := b.rbac.List(t.Context(), b.integration); err == nil {
			t.Errorf("%s: listed", name)
		}
	}
}

// Somebody writes another installation's id on a binding of ours: it gives access still,
// so it is neither ready nor gone until somebody looks.
func TestInstallationLabelChanged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	w := b.wanted(t, person(0), testItems[0], "g-1")
	got, err := b.rbac.Apply(t.Context(), b.integration, w)
	if err != nil {
		t.Fatal(err)
	}
	w.Kept = got.Kept
	mark := func(value any) {
		b.api.edit(b.path(t, w), func(o map[string]any) {
			labels, _ := o["metadata"].(map[string]any)["labels"].(map[string]any)
			if labels[labelInstallation] = value; value == nil {
				delete(labels, labelInstallation)
			}
		})
	}
	mark("forged")
	for range 2 {
		if _, err := b.rbac.Apply(t.Context(), b.integration, w); !errors.Is(err, access.ErrForeign) || !strings.Contains(err.Error(), labelInstallation+"="+testInstallation) {
			t.Errorf("with %d holdings: %v", len(w.Holdings), err)
		}
		w.Holdings = nil
	}
	// Taken away it is put back, for nobody else gives a binding that name.
	w = b.wanted(t, person(0), testItems[0], "g-1")
	mark(nil)
	if _, err := b.rbac.Apply(t.Context(), b.integration, w); err != nil {
		t.Fatal(err)
	}
	if found, err := b.rbac.List(t.Context(), b.integration); err != nil || len(found) != 1 || found[0].Drift != "" {
		t.Errorf("listed %+v, %v", found, err)
	}
}

// An access entry is one installation's: the other is told whose it is, and changes
// nothing. One from before installations had ids is ours if our ledger knows of what is
// lent on it, or nothing is.
func TestEntriesOfInstallations(t *testing.T) {
	t.Parallel()
	const role = "arn:aws:iam::222222222222:role/people/eks-alice@example.com"
	for _, c := range []struct {
		name string
		tags map[string]string
		// applied is set where the ledger knows of the association.
		applied, ours bool
	}{
		{"ours", map[string]string{tagInstallation: testInstallation}, false, true},
		{"another's", map[string]string{tagInstallation: "other"}, true, false},
		{"from before, with nothing lent", nil, false, true},
		{"from before, lent by us", map[string]string{tagBefore + "AmazonEKSEditPolicy": "none"}, true, true},
		{"from before, lent by others", map[string]string{tagBefore + "AmazonEKSEditPolicy": "none"}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newCloud(t, "API")
			p := NewAccessEntry(w.clusters)
			i := &access.Integration{Name: "prod-1", Type: TypeAccessEntry, Config: map[string]string{keyCluster: "prod", keyRegion: testRegion, keyPrincipal: "arn:aws:iam::222222222222:role/people/eks-{{person}}"}}
			if c.applied {
				w.ledger.objects = map[string]access.Object{"prod-1/entry/AmazonEKSEditPolicy/" + role: {AppliedAt: time.Unix(1, 0)}}
			}
			tags := map[string]string{tagManaged: managedBy, tagIntegration: "prod-1"}
			maps.Copy(tags, c.tags)
			w.sim.Account(testAccount).AddRole(awssim.Role{Name: "eks-alice@example.com", Path: "/people/"})
			if _, err := w.engine.CreateAccessEntry(t.Context(), &awseks.CreateAccessEntryInput{ClusterName: aws.String("prod"), PrincipalArn: aws.String(role), Tags: tags}); err != nil {
				t.Fatal(err)
			}
			if c.tags[tagBefore+"AmazonEKSEditPolicy"] != "" {
				if _, err := w.engine.AssociateAccessPolicy(t.Context(), &awseks.AssociateAccessPolicyInput{
					ClusterName: aws.String("prod"), PrincipalArn: aws.String(role), PolicyArn: aws.String("arn:aws:eks::aws:cluster-access-policy/AmazonEKSEditPolicy"),
					AccessScope: &types.AccessScope{Type: types.AccessScopeTypeCluster},
				}); err != nil {
					t.Fatal(err)
				}
			}
			key, err := p.Object(i, person(0), item(resourceNamespace, "namespace/payments", "AmazonEKSViewPolicy"))
			if err != nil {
				t.Fatal(err)
			}
			wanted := access.Wanted{Key: key, Holdings: []access.Holding{{Grant: "g", Person: person(0), Item: item(resourceNamespace, "namespace/payments", "AmazonEKSViewPolicy"), Expires: w.clock.Now().Add(time.Hour)}}}
			for range 20 {
				var got access.Applied
				if got, err = p.Apply(t.Context(), i, wanted); err != nil || got.Pending == 0 {
					break
				}
				wanted.Kept = got.Kept
				w.clock.Advance(got.Pending)
			}
			if c.ours != (err == nil) || err != nil && !errors.Is(err, access.ErrForeign) {
				t.Fatalf("applied: %v", err)
			}
			entry := w.region.AccessEntries("prod")[0]
			policies := fmt.Sprint(entry["policies"])
			if strings.Contains(policies, "AmazonEKSViewPolicy") != c.ours {
				t.Errorf("on the entry there is %s", policies)
			}
			found, err := p.List(t.Context(), i)
			if err != nil || (len(found) > 0) != c.ours {
				t.Errorf("listed %v, %v", names(found), err)
			}
			checks, err := p.Check(t.Context(), i)
			if err != nil || strings.Contains(fmt.Sprint(checks), "1 of ") == c.ours {
				t.Errorf("the check says %+v, %v", checks, err)
			}
		})
	}
}

// The tags of an entry are taken away while a policy on it is lent: what was lent stands
// still, so it does not pass for gone.
func TestEntryTagsTakenAwayAtTheEnd(t *testing.T) {
	t.Parallel()
	w := newCloud(t, "API")
	p := NewAccessEntry(w.clusters)
	const role = "arn:aws:iam::222222222222:role/people/eks-alice@example.com"
	w.sim.Account(testAccount).AddRole(awssim.Role{Name: "eks-alice@example.com", Path: "/people/"})
	i := &access.Integration{Name: "prod-1", Type: TypeAccessEntry, Config: map[string]string{keyCluster: "prod", keyRegion: testRegion, keyPrincipal: "arn:aws:iam::222222222222:role/people/eks-{{person}}"}}
	it := item(resourceNamespace, "namespace/payments", "AmazonEKSViewPolicy")
	key, err := p.Object(i, person(0), it)
	if err != nil {
		t.Fatal(err)
	}
	wanted := access.Wanted{Key: key, Holdings: []access.Holding{{Grant: "g", Person: person(0), Item: it, Expires: w.clock.Now().Add(time.Hour)}}}
	for {
		got, err := p.Apply(t.Context(), i, wanted)
		if err != nil {
			t.Fatal(err)
		}
		if wanted.Kept = got.Kept; got.Pending == 0 {
			break
		}
		w.clock.Advance(got.Pending)
	}
	entry, err := w.engine.DescribeAccessEntry(t.Context(), &awseks.DescribeAccessEntryInput{ClusterName: aws.String("prod"), PrincipalArn: aws.String(role)})
	if err != nil {
		t.Fatal(err)
	}
	var tags []string
	for tag := range entry.AccessEntry.Tags {
		tags = append(tags, tag)
	}
	if _, err := w.engine.UntagResource(t.Context(), &awseks.UntagResourceInput{ResourceArn: entry.AccessEntry.AccessEntryArn, TagKeys: tags}); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(time.Minute)
	wanted.Holdings = nil
	if got, err := p.Apply(t.Context(), i, wanted); !errors.Is(err, access.ErrForeign) {
		t.Errorf("what stands still passes for gone: %+v, %v", got, err)
	}
}
