package eks

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
)

const (
	// maxResources bounds what is discovered in one cluster.
	maxResources = 50_000
	// tagCluster is the cluster's ARN, on every resource. Tags that people give
	// cannot have it: AWS keeps the prefix.
	tagCluster = "aws:eks:cluster-arn"
	maxTag     = 256 // bytes of a namespace's annotation that are kept as a tag
)

// Discover lists the cluster, its namespaces, cluster roles and roles. Labels and
// annotations are tags; the tags of the cluster are those of EKS.
func (p *RBAC) Discover(ctx context.Context, i *access.Integration) ([]flow.Resource, error) {
	c, err := p.connect(i)
	if err != nil {
		return nil, err
	}
	d := &discovery{conn: c, integration: i.Name, types: i.ResourceTypes}
	if d.kube, err = c.api(ctx); err != nil {
		return nil, err
	}
	if err := d.readCluster(ctx); err != nil {
		return nil, err
	}
	namespaces, err := d.read(ctx, coreAPI+"/namespaces", "namespaces")
	if err != nil {
		return nil, err
	}
	clusterRoles, err := d.read(ctx, rbacAPI+"/clusterroles", "cluster roles")
	if err != nil {
		return nil, err
	}
	clusterRoles = slices.DeleteFunc(clusterRoles, func(o object) bool { return !c.lendable(o.Metadata.Name) })
	roles, err := d.read(ctx, rbacAPI+"/roles", "roles")
	if err != nil {
		return nil, err
	}
	roles = slices.DeleteFunc(roles, func(o object) bool { return !c.lendable(o.Metadata.Name) })
	d.rbac(namespaces, clusterRoles, roles)
	if len(d.found) > maxResources {
		return nil, fmt.Errorf("%s has more than %d resources; choose resource types", c.settings.cluster, maxResources)
	}
	return d.found, nil
}

// discovery gathers the resources of one cluster.
type discovery struct {
	conn        *connection
	integration string
	kube        *kube
	types       []string // empty: all
	tags        map[string]string
	arn         string
	found       []flow.Resource
}

// readCluster reads the cluster's own tags. Where AWS cannot be asked there are none.
func (d *discovery) readCluster(ctx context.Context) error {
	found, err := d.conn.describe(ctx, 0)
	if err != nil {
		if knownRefusal(err) {
			return nil
		}
		return err
	}
	d.tags, d.arn = found.Tags, aws.ToString(found.Arn)
	return nil
}

func (d *discovery) read(ctx context.Context, path, what string) ([]object, error) {
	access.Report(ctx, 0, 0, "listing the "+what)
	var all []object
	err := listAll(ctx, d.kube, path, "", true, func(o object) bool {
		all = append(all, o)
		return len(all) <= maxResources
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("listing the %s of %s: %w", what, d.conn.settings.cluster, err)
	case len(all) > maxResources:
		return nil, fmt.Errorf("%s has more than %d %s", d.conn.settings.cluster, maxResources, what)
	}
	slices.SortFunc(all, func(a, b object) int {
		return strings.Compare(a.Metadata.Namespace+"/"+a.Metadata.Name, b.Metadata.Namespace+"/"+b.Metadata.Name)
	})
	return all, nil
}

func (d *discovery) rbac(namespaces, clusterRoles, roles []object) {
	cluster := d.conn.settings.cluster
	// Most namespaces can be asked for with the same roles: they share one list.
	shared := make([]string, 0, len(clusterRoles))
	for _, r := range clusterRoles {
		shared = append(shared, r.Metadata.Name)
	}
	shared = slices.Clip(shared)
	own := map[string][]string{}
	for _, r := range roles {
		own[r.Metadata.Namespace] = append(own[r.Metadata.Namespace], permissionRole+r.Metadata.Name)
	}
	places := make([]string, 0, len(namespaces)+1)
	places = append(places, permissionCluster)
	for _, n := range namespaces {
		places = append(places, permissionNamespace+n.Metadata.Name)
	}
	places = slices.Clip(places)
	d.add(flow.Resource{Type: resourceCluster, ID: "cluster/" + cluster, Name: cluster, Path: cluster, Tags: d.tagged(clone(d.tags)), Permissions: shared})
	for _, n := range namespaces {
		name := n.Metadata.Name
		permissions := shared
		if extra := own[name]; len(extra) > 0 {
			permissions = append(slices.Clone(shared), extra...)
		}
		d.add(flow.Resource{Type: resourceNamespace, ID: "namespace/" + name, Name: name, Path: cluster + " / " + name, Tags: d.tagged(tagsOf(n)), Permissions: permissions})
	}
	for _, r := range clusterRoles {
		name := r.Metadata.Name
		d.add(flow.Resource{Type: resourceClusterRole, ID: "clusterrole/" + name, Name: name, Path: cluster + " / " + name, Tags: d.tagged(tagsOf(r)), Permissions: places})
	}
	for _, r := range roles {
		name, namespace := r.Metadata.Name, r.Metadata.Namespace
		d.add(flow.Resource{Type: resourceRole, ID: "role/" + namespace + "/" + name, Name: name, Path: cluster + " / " + namespace + " / " + name, Tags: d.tagged(tagsOf(r)), Permissions: []string{permissionBind}})
	}
}

func (d *discovery) add(r flow.Resource) {
	if len(d.types) > 0 && !slices.Contains(d.types, r.Type) {
		return
	}
	r.Integration = d.integration
	d.found = append(d.found, r)
}

func (d *discovery) tagged(tags map[string]string) map[string]string {
	if d.arn != "" {
		tags[tagCluster] = d.arn
	}
	return tags
}

// tagsOf are the labels of an object, and its annotations where no label has the name.
// Long annotations are configuration, not tags.
func tagsOf(o object) map[string]string {
	tags := clone(o.Metadata.Labels)
	for key, value := range o.Metadata.Annotations {
		if _, ok := tags[key]; !ok && len(value) <= maxTag && !strings.HasPrefix(key, "kubectl.kubernetes.io/") {
			tags[key] = value
		}
	}
	return tags
}

// clone copies a map that may be nil.
func clone(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return maps.Clone(m)
}
