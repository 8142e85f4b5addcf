package eks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
)

const (
	// rounds bounds the look-change-look-again of one Apply. Each round answers one
	// thing that others did in between.
	rounds = 10
	// finalizerWait is when to look again at a binding that others' finalizers keep.
	finalizerWait = 2 * time.Second
)

// bindingKept is what is remembered of a binding beyond the cluster: the object that
// Gatehouse made, by the id that no other has.
type bindingKept struct {
	UID string `json:"uid,omitempty"`
}

// bindingWork is one Apply of one binding.
type bindingWork struct {
	conn   *connection
	key    bindingKey
	wanted access.Wanted
	kept   bindingKept
	kube   *kube
}

func (b *bindingWork) apply(ctx context.Context) (access.Applied, error) {
	// What cannot be read is from a later version, and only helps to be stricter.
	_ = json.Unmarshal(b.wanted.Kept, &b.kept)
	var err error
	if b.kube, err = b.conn.api(ctx); err != nil {
		return access.Applied{}, err
	}
	if len(b.wanted.Holdings) == 0 {
		return b.remove(ctx)
	}
	return b.put(ctx)
}

func (b *bindingWork) path() string { return b.key.path() + "/" + b.key.name(b.conn.integration) }

// look reads the binding; nil: there is none.
func (b *bindingWork) look(ctx context.Context) (*binding, error) {
	have := &binding{}
	err := b.kube.get(ctx, b.path(), have)
	if answered(err, http.StatusNotFound) {
		return nil, nil //nolint:nilnil // nil is an answer here
	}
	return have, err
}

// ours reports whether a binding carries this integration's mark.
func (b *bindingWork) ours(have *binding) bool {
	return have.Metadata.Labels[labelManaged] == managedBy &&
		have.Metadata.Labels[labelIntegration] == integrationLabel(b.conn.integration) &&
		have.Metadata.Annotations[annotationObject] == b.key.String()
}

// wantedBinding is the binding as it has to be.
func (b *bindingWork) wantedBinding(names []string) *binding {
	w := &binding{
		APIVersion: rbacGroup + "/v1", Kind: b.key.kind(),
		Metadata: metadata{
			Name: b.key.name(b.conn.integration), Namespace: b.key.namespace,
			Labels: map[string]string{labelManaged: managedBy, labelIntegration: integrationLabel(b.conn.integration)},
			Annotations: map[string]string{
				annotationIntegration: b.conn.integration,
				annotationObject:      b.key.String(),
				annotationGrants:      strings.Join(grantsOf(b.wanted.Holdings), ","),
				annotationExpires:     b.wanted.Expires().UTC().Format(time.RFC3339),
				annotationPerson:      b.key.person,
			},
		},
		RoleRef: roleRef{APIGroup: rbacGroup, Kind: b.key.roleKind, Name: b.key.role},
	}
	for _, n := range names {
		w.Subjects = append(w.Subjects, subject{Kind: "User", APIGroup: rbacGroup, Name: n})
	}
	return w
}

// put looks, changes what differs, and looks again, until what it sees is what is
// wanted: the answer to a change is never taken for the state.
func (b *bindingWork) put(ctx context.Context) (access.Applied, error) {
	names, err := b.conn.subjects(ctx, b.key.person)
	if err != nil {
		return access.Applied{}, err
	}
	wanted := b.wantedBinding(names)
	var last error
	for range rounds {
		have, err := b.look(ctx)
		switch {
		case err != nil:
			return access.Applied{}, err
		case have == nil:
			if err := b.roleStands(ctx); err != nil {
				return access.Applied{}, err
			}
			err = b.kube.create(ctx, b.key.path(), wanted, nil)
		case !b.ours(have):
			return access.Applied{}, b.foreign(have)
		case have.Metadata.DeletionTimestamp != nil:
			// Somebody deletes it and a finalizer keeps it. It would go when the
			// finalizer does, so it is not there.
			return access.Applied{Kept: b.keep(have), Pending: finalizerWait, Note: finalizerNote(have)}, nil
		case have.RoleRef != wanted.RoleRef:
			// A roleRef cannot be changed. Somebody made the binding anew with another.
			err = b.kube.remove(ctx, b.path(), have.Metadata.UID)
		case !b.differs(have, wanted):
			return access.Applied{Kept: b.keep(have), Note: b.note()}, nil
		default:
			err = b.kube.patch(ctx, b.path(), change(have, wanted), nil)
		}
		// 409: somebody was faster, or the object has another UID; 404: it went.
		// What stands now is looked at again.
		if err != nil && !answered(err, http.StatusConflict) && !answered(err, http.StatusNotFound) {
			return access.Applied{}, err
		}
		last = err
		if err := ctx.Err(); err != nil {
			return access.Applied{}, err
		}
	}
	return access.Applied{}, errors.Join(errors.New("others keep changing the binding"), last)
}

// roleStands refuses to bind a role that is not there: the binding would give nothing
// now, and whatever somebody later gives a role of that name.
func (b *bindingWork) roleStands(ctx context.Context) error {
	var role object
	err := b.kube.get(ctx, b.key.rolePath(), &role)
	if answered(err, http.StatusNotFound) {
		return fmt.Errorf("the %s %s does not exist; make it, or run the discovery again", b.key.roleKind, b.key.role)
	}
	return err
}

// differs reports whether a binding says something else than is wanted. Labels and
// annotations of others are theirs.
func (b *bindingWork) differs(have, wanted *binding) bool {
	for key, value := range wanted.Metadata.Labels {
		if have.Metadata.Labels[key] != value {
			return true
		}
	}
	for key, value := range wanted.Metadata.Annotations {
		if have.Metadata.Annotations[key] != value {
			return true
		}
	}
	return !slices.Equal(sortedSubjects(have.Subjects), sortedSubjects(wanted.Subjects))
}

func sortedSubjects(s []subject) []subject {
	return slices.SortedFunc(slices.Values(s), func(a, b subject) int {
		return strings.Compare(a.Kind+"\x00"+a.Namespace+"\x00"+a.Name, b.Kind+"\x00"+b.Namespace+"\x00"+b.Name)
	})
}

// change is the merge patch from a binding to what is wanted.
func change(have, wanted *binding) map[string]any {
	return map[string]any{
		"metadata": map[string]any{
			"resourceVersion": have.Metadata.ResourceVersion,
			"labels":          wanted.Metadata.Labels,
			"annotations":     wanted.Metadata.Annotations,
		},
		"subjects": wanted.Subjects,
	}
}

func (b *bindingWork) keep(have *binding) []byte {
	data, _ := json.Marshal(bindingKept{UID: have.Metadata.UID}) //nolint:errchkjson // a string cannot fail
	return data
}

func (b *bindingWork) note() string {
	if n := len(grantsOf(b.wanted.Holdings)); n > 1 {
		return fmt.Sprintf("%d grants share the binding", n)
	}
	return ""
}

func (b *bindingWork) foreign(have *binding) error {
	return fmt.Errorf("the %s %s stands in the way: %w; delete it, or give it back the label %s=%s, %s=%s and the annotation %s=%s", b.key.kind(), have.Metadata.Name,
		access.ErrForeign, labelManaged, managedBy, labelIntegration, integrationLabel(b.conn.integration), annotationObject, b.key)
}

func finalizerNote(have *binding) string {
	return fmt.Sprintf("the %s is being deleted, and waits for the finalizers %s of others; it gives access until then",
		strings.ToLower(orElse(have.Kind, "binding")), strings.Join(have.Metadata.Finalizers, ", "))
}

// remove makes the binding gone. It needs no name of the person, so that access can be
// taken back although nobody can tell any more by what name the cluster knows them.
func (b *bindingWork) remove(ctx context.Context) (access.Applied, error) {
	var last error
	for range rounds {
		have, err := b.look(ctx)
		switch {
		case err != nil:
			return access.Applied{}, err
		case have == nil:
			return access.Applied{}, nil
		case !b.ours(have):
			if have.Metadata.UID == b.kept.UID || have.Metadata.Annotations[annotationObject] == b.key.String() {
				// It is what Gatehouse made, and somebody took the mark away. It gives
				// access still, so it must not pass for gone.
				return access.Applied{}, b.foreign(have)
			}
			return access.Applied{Note: "an object of the same name that gatehouse did not make stands there and was left"}, nil
		case have.Metadata.DeletionTimestamp != nil && len(have.Metadata.Finalizers) > 0:
			return access.Applied{Kept: b.keep(have), Pending: finalizerWait, Note: finalizerNote(have)}, nil
		case have.Metadata.DeletionTimestamp != nil:
			return access.Applied{Kept: b.keep(have), Pending: finalizerWait / 4}, nil
		}
		err = b.kube.remove(ctx, b.path(), have.Metadata.UID)
		if err != nil && !answered(err, http.StatusConflict) && !answered(err, http.StatusNotFound) {
			return access.Applied{}, err
		}
		last = err
		if err := ctx.Err(); err != nil {
			return access.Applied{}, err
		}
	}
	return access.Applied{}, errors.Join(errors.New("others keep making the binding anew"), last)
}

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
	selector := labelManaged + "=" + managedBy + "," + labelIntegration + "=" + integrationLabel(i.Name)
	for _, kind := range []struct{ kind, path string }{
		{kindClusterRoleBinding, rbacAPI + "/clusterrolebindings"}, {kindRoleBinding, rbacAPI + "/rolebindings"},
	} {
		err := listAll(ctx, k, kind.path, selector, false, func(b binding) bool {
			b.Kind = kind.kind
			l.bindings = append(l.bindings, b)
			return len(l.bindings) <= maxListed
		})
		switch {
		case err != nil:
			return nil, fmt.Errorf("listing the %ss of %s: %w", kind.kind, c.settings.cluster, err)
		case len(l.bindings) > maxListed:
			return nil, fmt.Errorf("%s has more than %d bindings of integration %s", c.settings.cluster, maxListed, i.Name)
		}
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

// lister compares what was listed with what stands.
type lister struct {
	conn     *connection
	kube     *kube
	bindings []binding
	roles    map[string]bool // "ClusterRole//NAME", "Role/NAMESPACE/NAME"
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
	if ids := notes[annotationGrants]; ids != "" {
		f.Grants = strings.Split(ids, ",")
	}
	if at, err := time.Parse(time.RFC3339, notes[annotationExpires]); err == nil {
		f.Expires = at
	}
	var drift []string
	key, err := parseBindingKey(notes[annotationObject])
	switch {
	case err != nil:
		drift = append(drift, "its annotation "+annotationObject+" is gone or changed, so it cannot be told what it is")
	case key.name(l.conn.integration) != b.Metadata.Name || key.namespace != b.Metadata.Namespace || key.kind() != b.Kind:
		// A copy of a binding of ours under another name. It gives access, and no
		// grant of ours would ever take it away.
		drift = append(drift, "it is a copy: its marks belong to "+key.name(l.conn.integration))
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

func (l *lister) compare(ctx context.Context, b *binding, key bindingKey) []string {
	var drift []string
	if want := (roleRef{APIGroup: rbacGroup, Kind: key.roleKind, Name: key.role}); b.RoleRef != want {
		drift = append(drift, fmt.Sprintf("it binds %s %s and not %s %s", b.RoleRef.Kind, b.RoleRef.Name, key.roleKind, key.role))
	}
	if b.Metadata.Annotations[annotationPerson] != key.person {
		drift = append(drift, "its annotation "+annotationPerson+" was changed")
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

// clone copies a map that may be nil.
func clone(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return maps.Clone(m)
}
