package eks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
)

// List returns the bindings with this integration's mark, each compared with what its
// own marks say, the live username template, and the roles that there are.
func (p *RBAC) List(ctx context.Context, i *access.Integration) ([]access.Found, error) {
	c, err := p.connect(i)
	if err != nil {
		return nil, err
	}
	k, err := c.api(ctx)
	if err != nil {
		return nil, err
	}
	l := &lister{conn: c, kube: k}
	if l.installation, err = p.clusters.installation(ctx); err != nil {
		return nil, err
	}
	if err := c.eachBinding(ctx, k, func(b *binding, who owner) {
		if who == ours {
			l.bindings = append(l.bindings, *b)
		}
	}); err != nil {
		return nil, err
	}
	if len(l.bindings) == 0 {
		return nil, nil
	}
	if err := l.readRoles(ctx); err != nil {
		return nil, err
	}
	found := make([]access.Found, 0, len(l.bindings))
	for n := range l.bindings {
		found = append(found, l.found(ctx, &l.bindings[n]))
	}
	slices.SortFunc(found, func(a, b access.Found) int { return strings.Compare(a.Name, b.Name) })
	return found, nil
}

// maxListed bounds the bindings of one integration.
const maxListed = 100_000

// eachBinding reads the bindings with the marks of the integration, and says whose each
// is: of this installation or of another.
func (c *connection) eachBinding(ctx context.Context, k *kube, see func(b *binding, who owner)) (failure error) {
	at := c.all.opts.Clock()
	installation, err := c.all.installation(ctx)
	if err != nil {
		return err
	}
	selector := labelManaged + "=" + managedBy + "," + labelIntegration + "=" + integrationLabel(c.integration)
	n, older := 0, false
	defer func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.noOlderAt = time.Time{}
		if failure == nil && !older {
			c.noOlderAt = at
		}
	}()
	for _, kind := range []struct{ kind, path string }{
		{kindClusterRoleBinding, rbacAPI + "/clusterrolebindings"}, {kindRoleBinding, rbacAPI + "/rolebindings"},
	} {
		var failed error
		err := listAll(ctx, k, kind.path, selector, false, func(b binding) bool {
			b.Kind = kind.kind
			var who owner
			if who, failed = c.bindingOwner(ctx, installation, &b, bindingKept{}); failed != nil {
				return false
			}
			see(&b, who)
			older = older || b.Metadata.Labels[labelInstallation] == ""
			n++
			return n <= maxListed
		})
		switch {
		case err != nil || failed != nil:
			return fmt.Errorf("listing the %ss of %s: %w", kind.kind, c.settings.cluster, errors.Join(err, failed))
		case n > maxListed:
			return fmt.Errorf("%s has more than %d bindings of integration %s", c.settings.cluster, maxListed, c.integration)
		}
	}
	return nil
}

// lister compares what was listed with what stands.
type lister struct {
	conn     *connection
	kube     *kube
	bindings []binding
	// installation is that of this Gatehouse.
	installation string
	roles        map[string]bool // "ClusterRole//NAME", "Role/NAMESPACE/NAME"
}

func (l *lister) readRoles(ctx context.Context) error {
	l.roles = map[string]bool{}
	for kind, path := range map[string]string{kindClusterRole: rbacAPI + "/clusterroles", kindRole: rbacAPI + "/roles"} {
		err := listAll(ctx, l.kube, path, "", true, func(o object) bool {
			l.roles[kind+"/"+o.Metadata.Namespace+"/"+o.Metadata.Name] = true
			return true
		})
		if err != nil {
			return fmt.Errorf("listing the %ss of %s: %w", kind, l.conn.settings.cluster, err)
		}
	}
	return nil
}

func (l *lister) found(ctx context.Context, b *binding) access.Found {
	f := access.Found{Name: b.Kind + " " + b.Metadata.Name, Detail: map[string]string{"role": b.RoleRef.Kind + " " + b.RoleRef.Name}}
	if b.Metadata.Namespace != "" {
		f.Name = b.Kind + " " + b.Metadata.Namespace + "/" + b.Metadata.Name
		f.Detail["namespace"] = b.Metadata.Namespace
	}
	notes := b.Metadata.Annotations
	if person := notes[annotationPerson]; person != "" {
		f.Detail["person"] = person
	}
	subjects := make([]string, 0, len(b.Subjects))
	for _, s := range sortedSubjects(b.Subjects) {
		subjects = append(subjects, s.Kind+" "+s.Name)
	}
	f.Detail["subjects"] = strings.Join(subjects, ", ")
	f.Grants = splitGrants(notes[annotationGrants])
	if at, err := time.Parse(time.RFC3339, notes[annotationExpires]); err == nil {
		f.Expires = at
	}
	var drift []string
	key, err := parseBindingKey(notes[annotationObject])
	switch {
	case err != nil:
		drift = append(drift, "its annotation "+annotationObject+" is gone or changed, so it cannot be told what it is")
	case !l.named(b.Metadata.Name, key) || key.namespace != b.Metadata.Namespace || key.kind() != b.Kind:
		// A copy of a binding of ours under another name. It gives access, and no
		// grant of ours would ever take it away.
		drift = append(drift, "it is a copy: its marks belong to "+key.name(l.installation, l.conn.integration))
	default:
		f.Key = key.String()
		drift = append(drift, l.compare(ctx, b, key)...)
	}
	namespace := b.Metadata.Namespace
	if b.RoleRef.Kind == kindClusterRole {
		namespace = ""
	}
	if !l.roles[b.RoleRef.Kind+"/"+namespace+"/"+b.RoleRef.Name] {
		drift = append(drift, fmt.Sprintf("it outlives its %s %s: whoever makes a role of that name gives it to them", b.RoleRef.Kind, b.RoleRef.Name))
	}
	f.Drift = strings.Join(drift, "; ")
	return f
}

// named reports whether a name is one that Gatehouse gives or gave the binding of a key.
func (l *lister) named(name string, key bindingKey) bool {
	return name == key.name(l.installation, l.conn.integration) || name == key.name("", l.conn.integration)
}

func (l *lister) compare(ctx context.Context, b *binding, key bindingKey) []string {
	var drift []string
	if want := (roleRef{APIGroup: rbacGroup, Kind: key.roleKind, Name: key.role}); b.RoleRef != want {
		drift = append(drift, fmt.Sprintf("it binds %s %s and not %s %s", b.RoleRef.Kind, b.RoleRef.Name, key.roleKind, key.role))
	}
	if b.Metadata.Annotations[annotationPerson] != key.person {
		drift = append(drift, "its annotation "+annotationPerson+" was changed")
	}
	if own := key.name(l.installation, l.conn.integration); b.Metadata.Name != own && slices.ContainsFunc(l.bindings, func(o binding) bool {
		return o.Metadata.Name == own && o.Metadata.Namespace == b.Metadata.Namespace
	}) {
		drift = append(drift, "it stands beside "+own+", which is the same")
	}
	names, err := l.conn.subjects(ctx, key.person)
	if err != nil {
		// Whoever looks at the drift learns that it could not be seen; the check of
		// the integration says how to mend it.
		return append(drift, "its subjects cannot be judged: "+err.Error())
	}
	have := map[string]bool{}
	for _, s := range b.Subjects {
		if s.Kind != "User" || s.APIGroup != rbacGroup || !slices.Contains(names, s.Name) {
			drift = append(drift, fmt.Sprintf("it binds %s %s, which is not %s's name in the cluster", s.Kind, s.Name, key.person))
			continue
		}
		have[s.Name] = true
	}
	for _, n := range names {
		if !have[n] {
			drift = append(drift, fmt.Sprintf("it does not bind %s, %s's name in the cluster", n, key.person))
		}
	}
	slices.Sort(drift)
	return drift
}
