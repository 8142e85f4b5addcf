package eks

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// Tags of an access entry that tell of what Gatehouse has associated with it, each
// followed by the policy's name. An association has no tags of its own.
const (
	// tagBefore holds where the policy held before Gatehouse lent it. It is written
	// before the association, and taken away after its end: whatever crashes in
	// between, what Gatehouse lent is never taken for what others gave.
	tagBefore = "gatehouse.dev/before/"
	// tagLent holds where it holds for Gatehouse, and tagExpires until when.
	tagLent    = "gatehouse.dev/lent/"
	tagExpires = "gatehouse.dev/expires-at/"

	maxTagValue = 256
)

// settleWait is when to look again at what EKS took and does not show yet.
const settleWait = time.Second

// association is one access policy on one access entry.
type association struct {
	conn   *connection
	eks    *eks.Client
	key    entryKey
	wanted access.Wanted
	lent   scope
	kept   associationKept
}

// describe reads the entry; nil: there is none.
func (a *association) describe(ctx context.Context) (*types.AccessEntry, error) {
	out, err := a.eks.DescribeAccessEntry(ctx, &eks.DescribeAccessEntryInput{ClusterName: &a.conn.settings.cluster, PrincipalArn: &a.key.principal})
	switch {
	case isNotFound(err):
		return nil, nil //nolint:nilnil // nil is an answer here
	case err != nil:
		return nil, fmt.Errorf("eks:DescribeAccessEntry: %w", refused(err))
	}
	return out.AccessEntry, nil
}

// policies reads where each associated policy holds, by ARN.
func (a *association) policies(ctx context.Context) (map[string]scope, error) {
	all := map[string]scope{}
	pages := eks.NewListAssociatedAccessPoliciesPaginator(a.eks, &eks.ListAssociatedAccessPoliciesInput{ClusterName: &a.conn.settings.cluster, PrincipalArn: &a.key.principal})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if isNotFound(err) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("eks:ListAssociatedAccessPolicies: %w", refused(err))
		}
		for _, p := range page.AssociatedAccessPolicies {
			if p.AccessScope == nil {
				continue
			}
			s := scope{cluster: p.AccessScope.Type == types.AccessScopeTypeCluster}
			if !s.cluster {
				s = s.merge(scope{namespaces: p.AccessScope.Namespaces})
			}
			all[aws.ToString(p.PolicyArn)] = s
		}
	}
	return all, nil
}

// apply is one round: it looks, makes at most the changes that bring what stands to what
// is wanted, and asks to be called again until it looks and finds it so. EKS shows
// changes some seconds later, so what was just changed is never what is read back.
func (a *association) apply(ctx context.Context) (access.Applied, error) {
	// What cannot be read is from a later version; the tags decide.
	_ = json.Unmarshal(a.wanted.Kept, &a.kept)
	// The associations are read before the tags, and written after them: whoever sees an
	// association of Gatehouse's sees the tag that says so.
	policies, err := a.policies(ctx)
	if err != nil {
		return access.Applied{}, err
	}
	entry, err := a.describe(ctx)
	if err != nil {
		return access.Applied{}, err
	}
	if entry == nil {
		if a.lent.empty() {
			return access.Applied{}, nil
		}
		return a.createEntry(ctx)
	}
	who, err := a.conn.entryOwner(ctx, a.key.principal, entry.Tags, a.kept.Want != "")
	if err != nil {
		return access.Applied{}, err
	}
	if who != ours {
		if a.lent.empty() && !a.standsAsLent(policies[a.key.policyARN()]) {
			return access.Applied{Note: "the access entry was not made by gatehouse and was left"}, nil
		}
		return access.Applied{}, a.conn.foreignEntry(ctx, a.key.principal, entry.Tags, who)
	}
	if installation, err := a.conn.all.installation(ctx); err != nil {
		return access.Applied{}, err
	} else if installation != "" && entry.Tags[tagInstallation] == "" {
		// It is from before installations had ids.
		if err := a.tag(ctx, entry, map[string]string{tagInstallation: installation}); err != nil {
			return access.Applied{}, err
		}
	}
	if t := aws.ToString(entry.Type); t != "" && t != "STANDARD" {
		return access.Applied{}, fmt.Errorf("the access entry of %s is of type %s, which takes no access policies", a.key.principal, t)
	}
	have := policies[a.key.policyARN()]
	before, tagged := parseScope(entry.Tags[tagBefore+a.key.policy])
	if !tagged && entry.Tags[tagBefore+a.key.policy] != "" {
		return access.Applied{}, fmt.Errorf("the tag %s%s of the access entry was changed, so it cannot be told what is gatehouse's; set it to none, or to what others gave", tagBefore, a.key.policy)
	}
	if a.lent.empty() {
		return a.end(ctx, entry, have, before, tagged)
	}
	return a.lend(ctx, entry, have, before, tagged)
}

// lend brings the association to what was there before and what is lent.
func (a *association) lend(ctx context.Context, entry *types.AccessEntry, have, before scope, tagged bool) (access.Applied, error) {
	if !tagged {
		before = have
		if !before.empty() && a.kept.Seen != before.String() {
			// Somebody else's, it seems. It is looked at once more, so that what another
			// process of Gatehouse is just taking away is not taken for theirs.
			kept, _ := json.Marshal(associationKept{Seen: before.String()}) //nolint:errchkjson // texts cannot fail
			return access.Applied{Kept: kept, Pending: settleWait, Note: "others have associated the policy"}, nil
		}
	}
	want := before.merge(a.lent)
	tags := map[string]string{
		tagBefore + a.key.policy:  before.String(),
		tagLent + a.key.policy:    brief(a.lent.String()),
		tagExpires + a.key.policy: a.wanted.Expires().UTC().Format(time.RFC3339),
	}
	if len(before.String()) > maxTagValue {
		return access.Applied{}, fmt.Errorf("others have associated %s with so many namespaces that they cannot be remembered; give them an entry of their own", a.key.policy)
	}
	tagsDiffer := slices.ContainsFunc(sortedKeys(tags), func(k string) bool { return entry.Tags[k] != tags[k] })
	if tagsDiffer {
		// First the tag, then the association: see tagBefore.
		if err := a.tag(ctx, entry, tags); err != nil {
			return access.Applied{}, err
		}
	}
	if !have.equal(want) {
		if !tagged {
			// The tag must be seen before anything is associated. Otherwise the next
			// look could find the association and no tag, and take it for another's.
			again, err := a.describe(ctx)
			if err != nil {
				return access.Applied{}, err
			}
			if again == nil || again.Tags[tagBefore+a.key.policy] != before.String() {
				return access.Applied{Pending: settleWait, Note: "EKS does not show the entry's tags yet"}, nil
			}
		}
		if err := a.associate(ctx, want); err != nil {
			return access.Applied{}, err
		}
		policies, err := a.policies(ctx)
		if err != nil {
			return access.Applied{}, err
		}
		if have = policies[a.key.policyARN()]; !have.equal(want) {
			return access.Applied{Kept: a.keep(before, want), Pending: settleWait, Note: "EKS took the change and does not show it yet"}, nil
		}
	}
	if tagsDiffer {
		again, err := a.describe(ctx)
		if err != nil {
			return access.Applied{}, err
		}
		if again == nil || slices.ContainsFunc(sortedKeys(tags), func(k string) bool { return again.Tags[k] != tags[k] }) {
			return access.Applied{Kept: a.keep(before, want), Pending: settleWait, Note: "EKS does not show the entry's tags yet"}, nil
		}
	}
	note := ""
	if !before.empty() {
		note = "others had associated the policy before (" + before.String() + "); that stays"
	}
	return access.Applied{Kept: a.keep(before, want), Note: note}, nil
}

// end brings the association back to what was there before.
func (a *association) end(ctx context.Context, entry *types.AccessEntry, have, before scope, tagged bool) (access.Applied, error) {
	if !tagged {
		was, ok := parseScope(a.kept.Before)
		want, known := parseScope(a.kept.Want)
		if !ok || !known || !have.equal(want) || want.equal(was) {
			return access.Applied{}, nil // nothing of ours is on it
		}
		// Somebody took the tag away and left what it was about.
		before = was
	}
	if !have.equal(before) {
		var err error
		if before.empty() {
			_, err = a.eks.DisassociateAccessPolicy(ctx, &eks.DisassociateAccessPolicyInput{
				ClusterName: &a.conn.settings.cluster, PrincipalArn: &a.key.principal, PolicyArn: aws.String(a.key.policyARN()),
			})
			if isNotFound(err) {
				err = nil
			}
			if err != nil {
				err = fmt.Errorf("eks:DisassociateAccessPolicy: %w", refused(err))
			}
		} else {
			err = a.associate(ctx, before)
		}
		if err != nil {
			return access.Applied{}, err
		}
		policies, err := a.policies(ctx)
		if err != nil {
			return access.Applied{}, err
		}
		if !policies[a.key.policyARN()].equal(before) {
			return access.Applied{Kept: a.wanted.Kept, Pending: settleWait, Note: "EKS took the change and does not show it yet"}, nil
		}
	}
	if _, err := a.eks.UntagResource(ctx, &eks.UntagResourceInput{
		ResourceArn: entry.AccessEntryArn, TagKeys: []string{tagBefore + a.key.policy, tagLent + a.key.policy, tagExpires + a.key.policy},
	}); err != nil {
		return access.Applied{}, fmt.Errorf("eks:UntagResource: %w", refused(err))
	}
	again, err := a.describe(ctx)
	if err != nil {
		return access.Applied{}, err
	}
	if again != nil && again.Tags[tagBefore+a.key.policy] != "" {
		return access.Applied{Kept: a.wanted.Kept, Pending: settleWait, Note: "EKS does not show yet that the tags are gone"}, nil
	}
	return access.Applied{}, nil
}

// standsAsLent reports whether an association is what Gatehouse remembers to have made of
// it. The tags of its entry were changed then, and it gives access still: that must not
// pass for gone.
func (a *association) standsAsLent(have scope) bool {
	was, ok := parseScope(a.kept.Before)
	want, known := parseScope(a.kept.Want)
	return ok && known && have.equal(want) && !want.equal(was)
}

// createEntry makes the entry of a person's role, which gives nothing by itself.
func (a *association) createEntry(ctx context.Context) (access.Applied, error) {
	tags, err := a.conn.entryTags(ctx)
	if err != nil {
		return access.Applied{}, err
	}
	_, err = a.eks.CreateAccessEntry(ctx, &eks.CreateAccessEntryInput{
		ClusterName: &a.conn.settings.cluster, PrincipalArn: &a.key.principal, Tags: tags,
	})
	switch code := awsCode(err); {
	case code == "ResourceInUseException":
		// Another made it, or we did and it is not shown yet. What it is, the next look
		// tells.
	case code == "InvalidParameterException":
		return access.Applied{}, fmt.Errorf("eks:CreateAccessEntry: %w; see that the role %s exists", err, a.key.principal)
	case err != nil:
		return access.Applied{}, fmt.Errorf("eks:CreateAccessEntry: %w", refused(err))
	}
	return access.Applied{Pending: settleWait, Note: "the access entry is made"}, nil
}

func (a *association) associate(ctx context.Context, s scope) error {
	in := &types.AccessScope{Type: types.AccessScopeTypeCluster}
	if !s.cluster {
		in = &types.AccessScope{Type: types.AccessScopeTypeNamespace, Namespaces: s.namespaces}
	}
	if _, err := a.eks.AssociateAccessPolicy(ctx, &eks.AssociateAccessPolicyInput{
		ClusterName: &a.conn.settings.cluster, PrincipalArn: &a.key.principal, PolicyArn: aws.String(a.key.policyARN()), AccessScope: in,
	}); err != nil {
		return fmt.Errorf("eks:AssociateAccessPolicy: %w", refused(err))
	}
	return nil
}

func (a *association) tag(ctx context.Context, entry *types.AccessEntry, tags map[string]string) error {
	if _, err := a.eks.TagResource(ctx, &eks.TagResourceInput{ResourceArn: entry.AccessEntryArn, Tags: tags}); err != nil {
		return fmt.Errorf("eks:TagResource: %w", refused(err))
	}
	return nil
}

// associationKept is what is remembered of an association beyond EKS. The tags decide
// as long as they are there.
type associationKept struct {
	Before string `json:"before,omitempty"`
	Want   string `json:"want,omitempty"`
	Seen   string `json:"seen,omitempty"` // what others had associated at the last look
}

func (a *association) keep(before, want scope) []byte {
	data, _ := json.Marshal(associationKept{Before: before.String(), Want: want.String()}) //nolint:errchkjson // texts cannot fail
	return data
}

// brief cuts what a tag cannot hold. What is cut is a note for people.
func brief(s string) string {
	if len(s) <= maxTagValue {
		return s
	}
	return s[:strings.LastIndexByte(s[:maxTagValue], ' ')]
}

// found tells of an association by its tags.
func (a *association) found(entry *types.AccessEntry, have map[string]scope) access.Found {
	f := access.Found{
		Key: a.key.String(), Name: a.key.policy + " on " + a.key.principal,
		Detail: map[string]string{"principal": a.key.principal, "policy": a.key.policy, "scope": have[a.key.policyARN()].String()},
	}
	if at, err := time.Parse(time.RFC3339, entry.Tags[tagExpires+a.key.policy]); err == nil {
		f.Expires = at
	}
	before, ok := parseScope(entry.Tags[tagBefore+a.key.policy])
	lent, whole := parseScope(entry.Tags[tagLent+a.key.policy])
	switch now := have[a.key.policyARN()]; {
	case !ok:
		f.Drift = "the tag " + tagBefore + a.key.policy + " was changed"
	case whole && len(entry.Tags[tagLent+a.key.policy]) < maxTagValue-64 && !now.equal(before.merge(lent)):
		f.Drift = "it holds in " + now.String() + " and not in " + before.merge(lent).String()
	}
	return f
}

// Clean deletes the access entry of a person's role, if Gatehouse made it and nothing is
// associated with it any more.
func (p *AccessEntry) Clean(ctx context.Context, i *access.Integration, person flow.Person) error {
	c, err := p.connect(i)
	if err != nil {
		return err
	}
	client, err := c.eksClient()
	if err != nil {
		return err
	}
	own := c.principals.byPerson[person.ID] != "" || strings.Contains(c.principals.template, principalPerson)
	if !own || strings.Contains(c.principals.template, principalPolicy) {
		return nil // the role is others' too, or there is one for each policy
	}
	arn, err := c.principals.of(person.ID, "")
	if err != nil || len(c.principals.holders(arn)) > 1 {
		return nil //nolint:nilerr // somebody who can have no role has no entry
	}
	a := &association{conn: c, eks: client, key: entryKey{principal: arn}}
	entry, err := a.describe(ctx)
	if err != nil {
		return err
	}
	if entry == nil || len(entry.KubernetesGroups) > 0 {
		return nil
	}
	if who, err := c.entryOwner(ctx, arn, entry.Tags, false); err != nil || who != ours {
		return err
	}
	policies, err := a.policies(ctx)
	if err != nil || len(policies) > 0 {
		return err
	}
	if _, err := client.DeleteAccessEntry(ctx, &eks.DeleteAccessEntryInput{ClusterName: &c.settings.cluster, PrincipalArn: &arn}); err != nil && !isNotFound(err) {
		return fmt.Errorf("eks:DeleteAccessEntry of %s: %w", arn, refused(err))
	}
	return nil
}
