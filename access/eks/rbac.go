package eks

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

// TypeRBAC is the type of integrations that lend RBAC bindings.
const TypeRBAC = "eks-rbac"

// The resource types. They and their permissions are Gatehouse's own words.
const (
	resourceCluster     = "eks-cluster"
	resourceNamespace   = "eks-namespace"
	resourceClusterRole = "eks-cluster-role"
	resourceRole        = "eks-role"
	resourcePolicy      = "eks-access-policy"

	permissionCluster   = "cluster"
	permissionNamespace = "namespace:"
	permissionRole      = "role:"
	permissionBind      = "bind"
)

// RBAC lends RBAC bindings to people who share one IAM role.
type RBAC struct{ clusters *Clusters }

var _ access.Provisioner = (*RBAC)(nil)

// NewRBAC returns the provisioner of the type eks-rbac.
func NewRBAC(c *Clusters) *RBAC { return &RBAC{c} }

// Type is "eks-rbac".
func (*RBAC) Type() string { return TypeRBAC }

// ResourceTypes are clusters and namespaces, whose permissions are roles, and roles,
// whose permissions are places.
func (*RBAC) ResourceTypes() []access.ResourceType {
	return []access.ResourceType{
		{Name: resourceCluster, Title: "EKS cluster"},
		{Name: resourceNamespace, Title: "Namespace"},
		{Name: resourceClusterRole, Title: "Cluster role"},
		{Name: resourceRole, Title: "Role", Permissions: []string{permissionBind}},
	}
}

// rbacKeys are the settings beside those that every cluster has.
var rbacKeys = []string{keyAccessRole, keyTemplate, keyMapping, keySourceProfile, keyAllowed, keyDenied}

func (*RBAC) settings(i *access.Integration) (*settings, error) {
	s, err := readSettings(i, rbacKeys...)
	if err != nil {
		return nil, err
	}
	if s.template != "" {
		if _, err := render(s.template, "session@example.com", "000000000000"); err != nil {
			return nil, field(i, keyTemplate, "write it as "+DefaultTemplate, "%v", err)
		}
	}
	return s, nil
}

func (p *RBAC) connect(i *access.Integration) (*connection, error) {
	s, err := p.settings(i)
	if err != nil {
		return nil, err
	}
	return p.clusters.connect(i, s)
}

// Validate returns an error for settings that cannot be right.
func (p *RBAC) Validate(i *access.Integration) error {
	_, err := p.settings(i)
	return err
}

// Object returns the key of the binding that would carry an item for a person. It
// refuses people who cannot have a session of their name, and cluster roles that are
// not lent.
func (p *RBAC) Object(i *access.Integration, person flow.Person, item flow.Item) (string, error) {
	s, err := p.settings(i)
	if err != nil {
		return "", err
	}
	k, err := bindingFor(person, item)
	if err != nil {
		return "", fmt.Errorf("%s on %s: %w", item.Permission, item.Resource.ID, err)
	}
	if !s.lendable(k.role) {
		return "", fmt.Errorf("%s on %s: the role %s is not lent; name it in config.%s to allow it", item.Permission, item.Resource.ID, k.role, keyAllowed)
	}
	return k.String(), nil
}

// bindingFor reads what an item comes to.
func bindingFor(person flow.Person, item flow.Item) (bindingKey, error) {
	if err := checkSession(person.ID); err != nil {
		return bindingKey{}, err
	}
	k := bindingKey{roleKind: kindClusterRole, person: person.ID}
	kind, id := item.Resource.Type, item.Resource.ID
	cut := func(prefix string) string {
		rest, _ := strings.CutPrefix(id, prefix)
		if rest == id {
			return ""
		}
		return rest
	}
	switch kind {
	case resourceCluster:
		if cut("cluster/") == "" {
			return k, fmt.Errorf("%q is not the id of a cluster", id)
		}
		k.role = item.Permission
	case resourceNamespace:
		k.namespace = cut("namespace/")
		k.role = item.Permission
		if role, ok := strings.CutPrefix(item.Permission, permissionRole); ok {
			k.roleKind, k.role = kindRole, role
		}
		if !objectName(k.namespace) {
			return k, fmt.Errorf("%q is not the id of a namespace", id)
		}
	case resourceClusterRole:
		k.role = cut("clusterrole/")
		if item.Permission != permissionCluster {
			namespace, ok := strings.CutPrefix(item.Permission, permissionNamespace)
			if !ok || !objectName(namespace) {
				return k, fmt.Errorf("%q is neither cluster nor namespace:NAME", item.Permission)
			}
			k.namespace = namespace
		}
	case resourceRole:
		namespace, role, ok := strings.Cut(cut("role/"), "/")
		if !ok || !objectName(namespace) {
			return k, fmt.Errorf("%q is not the id of a role", id)
		}
		if item.Permission != permissionBind {
			return k, fmt.Errorf("%q is not bind", item.Permission)
		}
		k.namespace, k.roleKind, k.role = namespace, kindRole, role
	default:
		return k, fmt.Errorf("%q is no resource type of %s", kind, TypeRBAC)
	}
	if !roleObjectName(k.role) {
		return k, fmt.Errorf("%q is not the name of a role", k.role)
	}
	return k, nil
}

// Apply makes the binding what is wanted, or gone.
func (p *RBAC) Apply(ctx context.Context, i *access.Integration, w access.Wanted) (access.Applied, error) {
	c, err := p.connect(i)
	if err != nil {
		return access.Applied{}, err
	}
	key, err := parseBindingKey(w.Key)
	if err != nil {
		return access.Applied{}, fmt.Errorf("integration %s: %w", i.Name, err)
	}
	since := p.clusters.opts.Clock()
	b := &bindingWork{conn: c, key: key, wanted: w}
	got, err := b.apply(ctx)
	p.clusters.metrics.applied(TypeRBAC, since, p.clusters.opts.Clock(), got.Pending > 0, err)
	if err != nil {
		return access.Applied{}, fmt.Errorf("%s %s for %s in %s: %w", strings.ToLower(key.kind()), key.role, key.person, c.settings.cluster, explain(err, key))
	}
	return got, nil
}

// grantsOf are the grants of an object, as an annotation holds them.
func grantsOf(holdings []access.Holding) []string {
	ids := make([]string, 0, len(holdings))
	for _, h := range holdings {
		ids = append(ids, h.Grant)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
