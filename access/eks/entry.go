package eks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eks"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// TypeAccessEntry is the type of integrations that lend access policies of EKS.
const TypeAccessEntry = "eks-access-entry"

// AccessEntry lends access policies of EKS on roles that people have of their own.
type AccessEntry struct{ clusters *Clusters }

var (
	_ access.Provisioner = (*AccessEntry)(nil)
	_ access.Cleaner     = (*AccessEntry)(nil)
)

// NewAccessEntry returns the provisioner of the type eks-access-entry.
func NewAccessEntry(c *Clusters) *AccessEntry { return &AccessEntry{c} }

// Type is "eks-access-entry".
func (*AccessEntry) Type() string { return TypeAccessEntry }

// ResourceTypes are clusters and namespaces, whose permissions are access policies, and
// access policies, whose permissions are places.
func (*AccessEntry) ResourceTypes() []access.ResourceType {
	return []access.ResourceType{
		{Name: resourceCluster, Title: "EKS cluster"},
		{Name: resourceNamespace, Title: "Namespace"},
		{Name: resourcePolicy, Title: "EKS access policy"},
	}
}

func (*AccessEntry) settings(i *access.Integration) (*settings, error) {
	s, err := readSettings(i, keyPrincipal, keyPrincipals, keyShared, keyNamespaces, keySourceProfile, keyAllowed, keyDenied)
	if err != nil {
		return nil, err
	}
	if s.principals, err = readPrincipals(i); err != nil {
		return nil, err
	}
	return s, nil
}

func (p *AccessEntry) connect(i *access.Integration) (*connection, error) {
	s, err := p.settings(i)
	if err != nil {
		return nil, err
	}
	return p.clusters.connect(i, s)
}

// Validate returns an error for settings that cannot be right.
func (p *AccessEntry) Validate(i *access.Integration) error {
	_, err := p.settings(i)
	return err
}

// policyPower are the access policies that nobody gets unless the integration allows
// them by name.
var policyPower = []string{PowerPolicy}

func (s *settings) policyLendable(policy string) bool {
	return !matchAny(s.denied, policy) && (matchAny(s.allowed, policy) || !matchAny(policyPower, policy))
}

// Object returns the key of the association that would carry an item for a person: a
// policy on the person's role. All namespaces of one policy share it, for EKS has a
// policy once on an entry.
func (p *AccessEntry) Object(i *access.Integration, person flow.Person, item flow.Item) (string, error) {
	s, err := p.settings(i)
	if err != nil {
		return "", err
	}
	policy, _, err := policyOf(item)
	if err != nil {
		return "", fmt.Errorf("%s on %s: %w", item.Permission, item.Resource.ID, err)
	}
	if !s.policyLendable(policy) {
		return "", fmt.Errorf("%s on %s: the access policy %s is not lent; name it in config.%s to allow it", item.Permission, item.Resource.ID, policy, keyAllowed)
	}
	arn, err := s.principals.of(person.ID, policy)
	if err != nil {
		return "", err
	}
	return entryKey{principal: arn, policy: policy}.String(), nil
}

// policyOf reads what an item comes to.
func policyOf(item flow.Item) (policy string, where scope, err error) {
	id := item.Resource.ID
	switch item.Resource.Type {
	case resourceCluster:
		if !strings.HasPrefix(id, "cluster/") {
			return "", where, fmt.Errorf("%q is not the id of a cluster", id)
		}
		policy, where = item.Permission, scope{cluster: true}
	case resourceNamespace:
		name, ok := strings.CutPrefix(id, "namespace/")
		if !ok || !namespaceShape.MatchString(name) {
			return "", where, fmt.Errorf("%q is not the id of a namespace", id)
		}
		policy, where = item.Permission, scope{namespaces: []string{name}}
	case resourcePolicy:
		policy, _ = strings.CutPrefix(id, "access-policy/")
		if item.Permission == permissionCluster {
			where = scope{cluster: true}
			break
		}
		name, ok := strings.CutPrefix(item.Permission, permissionNamespace)
		if !ok || !namespaceShape.MatchString(name) {
			return "", where, fmt.Errorf("%q is neither cluster nor namespace:NAME", item.Permission)
		}
		where = scope{namespaces: []string{name}}
	default:
		return "", where, fmt.Errorf("%q is no resource type of %s", item.Resource.Type, TypeAccessEntry)
	}
	if !policyName.MatchString(policy) {
		return "", where, fmt.Errorf("%q is not the name of an access policy", policy)
	}
	return policy, where, nil
}

// entryKey names an association for ever.
type entryKey struct{ principal, policy string }

// String is the key as it is kept: "entry/POLICY/PRINCIPAL". The ARN may hold slashes and
// comes last.
func (k entryKey) String() string { return "entry/" + k.policy + "/" + k.principal }

func parseEntryKey(text string) (entryKey, error) {
	part := strings.SplitN(text, "/", 3)
	if len(part) != 3 || part[0] != "entry" || !policyName.MatchString(part[1]) || !roleARNShape.MatchString(part[2]) {
		return entryKey{}, fmt.Errorf("%q is not the key of an association of an access policy", text)
	}
	return entryKey{policy: part[1], principal: part[2]}, nil
}

// policyARN is the ARN of the access policy, in the partition of the principal.
func (k entryKey) policyARN() string {
	return "arn:" + strings.SplitN(k.principal, ":", 3)[1] + ":eks::aws:cluster-access-policy/" + k.policy
}

// Apply makes the association what is wanted, or what it was before.
func (p *AccessEntry) Apply(ctx context.Context, i *access.Integration, w access.Wanted) (access.Applied, error) {
	c, err := p.connect(i)
	if err != nil {
		return access.Applied{}, err
	}
	key, err := parseEntryKey(w.Key)
	if err != nil {
		return access.Applied{}, fmt.Errorf("integration %s: %w", i.Name, err)
	}
	client, err := c.eksClient()
	if err != nil {
		return access.Applied{}, err
	}
	a := &association{conn: c, eks: client, key: key, wanted: w}
	for _, h := range w.Holdings {
		_, where, err := policyOf(h.Item)
		if err != nil {
			return access.Applied{}, fmt.Errorf("grant %s: %w", h.Grant, err)
		}
		a.lent = a.lent.merge(where)
	}
	since := p.clusters.opts.Clock()
	got, err := a.apply(ctx)
	p.clusters.metrics.applied(TypeAccessEntry, since, p.clusters.opts.Clock(), got.Pending > 0, err)
	if err != nil {
		return access.Applied{}, fmt.Errorf("%s on %s in %s: %w", key.policy, key.principal, c.settings.cluster, err)
	}
	return got, nil
}

// List returns the associations that Gatehouse's tags on access entries tell of.
func (p *AccessEntry) List(ctx context.Context, i *access.Integration) ([]access.Found, error) {
	c, err := p.connect(i)
	if err != nil {
		return nil, err
	}
	client, err := c.eksClient()
	if err != nil {
		return nil, err
	}
	var found []access.Found
	err = c.eachEntry(ctx, client, func(principal string) error {
		a := &association{conn: c, eks: client, key: entryKey{principal: principal}}
		entry, err := a.describe(ctx)
		if err != nil || entry == nil {
			return err
		}
		if who, err := c.entryOwner(ctx, principal, entry.Tags, false); err != nil || who != ours {
			return err
		}
		policies := map[string]bool{}
		for key := range entry.Tags {
			if policy, ok := strings.CutPrefix(key, tagBefore); ok && policyName.MatchString(policy) {
				policies[policy] = true
			}
		}
		if len(policies) == 0 {
			return nil
		}
		have, err := a.policies(ctx)
		if err != nil {
			return err
		}
		for policy := range policies {
			a.key.policy = policy
			found = append(found, a.found(entry, have))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing the access entries of %s: %w", c.settings.cluster, err)
	}
	slices.SortFunc(found, func(a, b access.Found) int { return strings.Compare(a.Key, b.Key) })
	return found, nil
}

// maxEntries bounds the access entries of one cluster; EKS allows some thousands.
const maxEntries = 20_000

func (c *connection) eachEntry(ctx context.Context, client *eks.Client, see func(principal string) error) error {
	pages := eks.NewListAccessEntriesPaginator(client, &eks.ListAccessEntriesInput{ClusterName: &c.settings.cluster})
	n := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("eks:ListAccessEntries: %w", refused(err))
		}
		for _, principal := range page.AccessEntries {
			if n++; n > maxEntries {
				return fmt.Errorf("there are more than %d", maxEntries)
			}
			if err := see(principal); err != nil {
				return err
			}
		}
	}
	return nil
}

// Discover lists the cluster, the namespaces as far as the settings or the cluster tell
// them, and the access policies.
func (p *AccessEntry) Discover(ctx context.Context, i *access.Integration) ([]flow.Resource, error) {
	c, err := p.connect(i)
	if err != nil {
		return nil, err
	}
	client, err := c.eksClient()
	if err != nil {
		return nil, err
	}
	d := &discovery{conn: c, integration: i.Name, types: i.ResourceTypes}
	if err := d.readCluster(ctx); err != nil {
		return nil, err
	}
	var policies []string
	pages := eks.NewListAccessPoliciesPaginator(client, &eks.ListAccessPoliciesInput{})
	for pages.HasMorePages() && len(policies) < maxResources {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("eks:ListAccessPolicies: %w", refused(err))
		}
		for _, policy := range page.AccessPolicies {
			if name := aws.ToString(policy.Name); policyName.MatchString(name) && c.policyLendable(name) {
				policies = append(policies, name)
			}
		}
	}
	slices.Sort(policies)
	namespaces, err := d.namespaces(ctx)
	if err != nil {
		return nil, err
	}
	d.entries(namespaces, policies)
	if len(d.found) > maxResources {
		return nil, fmt.Errorf("%s has more than %d resources; choose resource types", c.settings.cluster, maxResources)
	}
	return d.found, nil
}

// namespaces are those of the settings, or those of the cluster. This provisioner works
// without the Kubernetes API, so a cluster that lets Gatehouse in nowhere has none.
func (d *discovery) namespaces(ctx context.Context) ([]object, error) {
	all := make([]object, 0, len(d.conn.namespaces))
	for _, name := range d.conn.namespaces {
		all = append(all, object{Metadata: metadata{Name: name}})
	}
	if len(all) > 0 {
		return all, nil
	}
	var err error
	if d.kube, err = d.conn.api(ctx); err != nil {
		return nil, err
	}
	all, err = d.read(ctx, coreAPI+"/namespaces", "namespaces")
	if answered(err, 401) || answered(err, 403) {
		return nil, nil
	}
	return all, err
}

func (d *discovery) entries(namespaces []object, policies []string) {
	cluster := d.conn.settings.cluster
	places := make([]string, 0, 1+len(namespaces))
	places = append(places, permissionCluster)
	for _, n := range namespaces {
		places = append(places, permissionNamespace+n.Metadata.Name)
	}
	d.add(flow.Resource{Type: resourceCluster, ID: "cluster/" + cluster, Name: cluster, Path: cluster, Tags: d.tagged(clone(d.tags)), Permissions: policies})
	for _, n := range namespaces {
		name := n.Metadata.Name
		d.add(flow.Resource{Type: resourceNamespace, ID: "namespace/" + name, Name: name, Path: cluster + " / " + name, Tags: d.tagged(tagsOf(n)), Permissions: policies})
	}
	for _, name := range policies {
		d.add(flow.Resource{Type: resourcePolicy, ID: "access-policy/" + name, Name: name, Path: cluster + " / " + name, Tags: d.tagged(map[string]string{}), Permissions: places})
	}
}
