package eks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
	// Installation is the installation whose name the object had: there is then none
	// from before installations had ids beside it.
	Installation string `json:"installation,omitempty"`
}

// bindingWork is one Apply of one binding.
type bindingWork struct {
	conn   *connection
	key    bindingKey
	wanted access.Wanted
	kept   bindingKept
	kube   *kube
	// installation is that of this Gatehouse, and so part of the binding's name.
	installation string
	// changed is set once something was written: what was read before says nothing any
	// more of what the cluster goes by.
	changed bool
	// alone is set once there is known to be no binding from before installations had
	// ids, and judged once the role was read in this Apply.
	alone, judged bool
}

func (b *bindingWork) apply(ctx context.Context) (access.Applied, error) {
	// What cannot be read is from a later version, and only helps to be stricter.
	_ = json.Unmarshal(b.wanted.Kept, &b.kept)
	var err error
	if b.installation, err = b.conn.all.installation(ctx); err != nil {
		return access.Applied{}, err
	}
	if b.kube, err = b.conn.api(ctx); err != nil {
		return access.Applied{}, err
	}
	if len(b.wanted.Holdings) == 0 {
		return b.remove(ctx)
	}
	return b.put(ctx)
}

// path is where the binding of a name is in the API.
func (b *bindingWork) path(name string) string { return b.key.path() + "/" + name }

// name is the binding's own name, and older the one that it had before installations had
// ids; empty: the same.
func (b *bindingWork) name() string { return b.key.name(b.installation, b.conn.integration) }

func (b *bindingWork) older() string {
	if b.installation == "" {
		return ""
	}
	return b.key.name("", b.conn.integration)
}

// look reads the binding of a name; nil: there is none.
func (b *bindingWork) look(ctx context.Context, name string) (*binding, error) {
	have := &binding{}
	err := b.kube.get(ctx, b.path(name), have)
	if answered(err, http.StatusNotFound) {
		return nil, nil //nolint:nilnil // nil is an answer here
	}
	return have, err
}

// find reads the binding under its own name; or, where there is none, the one from before
// installations had ids, if it is ours.
func (b *bindingWork) find(ctx context.Context) (*binding, error) {
	have, err := b.look(ctx, b.name())
	if err != nil || have != nil || b.isAlone() {
		return have, err
	}
	if have, err = b.look(ctx, b.older()); err != nil || have == nil {
		b.alone = err == nil
		return nil, err
	}
	if mine, err := b.isOurs(ctx, have); err != nil || !mine {
		return nil, err
	}
	return have, nil
}

// isAlone reports whether there is no binding of the older name, as far as is known.
func (b *bindingWork) isAlone() bool {
	return b.alone || b.older() == "" || b.kept.Installation == b.installation ||
		// The list does not see one whose marks somebody took away, which we remember.
		b.kept.UID == "" && b.conn.hasNoOlder()
}

// isOurs reports whether a binding carries this integration's marks and is of this
// installation.
func (b *bindingWork) isOurs(ctx context.Context, have *binding) (bool, error) {
	if have.Metadata.Annotations[annotationObject] != b.key.String() {
		return false, nil
	}
	who, err := b.conn.bindingOwner(ctx, b.installation, have, b.kept)
	return who == ours, err
}

// wantedBinding is the binding as it has to be.
func (b *bindingWork) wantedBinding(users []liveUser) *binding {
	w := &binding{
		APIVersion: rbacGroup + "/v1", Kind: b.key.kind(),
		Metadata: metadata{
			Name: b.name(), Namespace: b.key.namespace,
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
	if b.installation != "" {
		w.Metadata.Labels[labelInstallation] = b.installation
	}
	for _, u := range users {
		w.Subjects = append(w.Subjects, subject{Kind: "User", APIGroup: rbacGroup, Name: u.name})
	}
	return w
}

// put looks, changes what differs, and looks again, until what it sees is what is
// wanted: the answer to a change is never taken for the state.
func (b *bindingWork) put(ctx context.Context) (access.Applied, error) {
	users, err := b.conn.users(ctx, b.key.person)
	if err != nil {
		return access.Applied{}, err
	}
	wanted := b.wantedBinding(users)
	var last error
	for range rounds {
		have, err := b.find(ctx)
		if err != nil {
			return access.Applied{}, err
		}
		mine := false
		if have != nil {
			if mine, err = b.isOurs(ctx, have); err != nil {
				return access.Applied{}, err
			}
		}
		switch {
		case have == nil:
			if err := b.mayLend(ctx); err != nil {
				return access.Applied{}, err
			}
			err = b.kube.create(ctx, b.key.path(), wanted, nil)
		case !mine:
			return access.Applied{}, b.foreign(have)
		case have.Metadata.DeletionTimestamp != nil:
			// Somebody deletes it and a finalizer keeps it. It would go when the
			// finalizer does, so it is not there.
			return access.Applied{Kept: b.keep(have), Pending: finalizerWait, Note: finalizerNote(have)}, nil
		case have.RoleRef != wanted.RoleRef:
			// A roleRef cannot be changed. Somebody made the binding anew with another.
			err = b.kube.remove(ctx, b.path(have.Metadata.Name), have.Metadata.UID)
		case b.differs(have, wanted):
			err = b.kube.patch(ctx, b.path(have.Metadata.Name), change(have, wanted), nil)
		default:
			double, err := b.removeDouble(ctx, have)
			if err != nil || double.Pending > 0 {
				return double, err
			}
			return b.effective(ctx, have, users)
		}
		b.changed = true
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

// removeDouble removes what a process from before installations had ids put beside the
// binding that stands.
func (b *bindingWork) removeDouble(ctx context.Context, have *binding) (access.Applied, error) {
	if have.Metadata.Name == b.older() || b.isAlone() {
		return access.Applied{}, nil
	}
	got, err := b.removeNamed(ctx, b.older())
	if got.Pending > 0 {
		got.Kept = b.keep(have)
	}
	return got, err
}

// mayLend refuses to make a binding that must not be, or that would give nothing.
func (b *bindingWork) mayLend(ctx context.Context) error {
	n, err := b.conn.names(ctx, false)
	if err != nil {
		return err
	}
	if n.trust.result == resultFailed {
		// Whoever can be anybody would have what is lent to one.
		return fmt.Errorf("nothing is lent as long as sessions of %s can have names of others: %s; %s", n.arn, strings.Join(n.trust.detail, "; "), n.trust.mend)
	}
	return b.roleStands(ctx)
}

// roleStands refuses to bind a role that is not there: the binding would give nothing
// now, and whatever somebody later gives a role of that name.
func (b *bindingWork) roleStands(ctx context.Context) error {
	given, err := b.conn.rulesOf(ctx, b.kube, b.key, true)
	if err == nil && given.gone {
		return fmt.Errorf("the %s %s does not exist; make it, or run the discovery again", b.key.roleKind, b.key.role)
	}
	b.judged = true
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
	kept := bindingKept{UID: have.Metadata.UID}
	if have.Metadata.Name == b.name() {
		kept.Installation = b.installation
	}
	data, _ := json.Marshal(kept) //nolint:errchkjson // a string cannot fail
	return data
}

func (b *bindingWork) note() string {
	if n := len(grantsOf(b.wanted.Holdings)); n > 1 {
		return fmt.Sprintf("%d grants share the binding", n)
	}
	return ""
}

func (b *bindingWork) foreign(have *binding) error {
	mark := ""
	if b.installation != "" {
		mark = ", " + labelInstallation + "=" + b.installation
	}
	return fmt.Errorf("the %s %s stands in the way: %w; delete it, or give it back the label %s=%s, %s=%s%s and the annotation %s=%s", b.key.kind(), have.Metadata.Name,
		access.ErrForeign, labelManaged, managedBy, labelIntegration, integrationLabel(b.conn.integration), mark, annotationObject, b.key)
}

func finalizerNote(have *binding) string {
	return fmt.Sprintf("the %s is being deleted, and waits for the finalizers %s of others; it gives access until then",
		strings.ToLower(orElse(have.Kind, "binding")), strings.Join(have.Metadata.Finalizers, ", "))
}

// remove makes the binding gone, under either of its names. It needs no name of the
// person, so that access can be taken back although nobody can tell any more by what name
// the cluster knows them.
func (b *bindingWork) remove(ctx context.Context) (access.Applied, error) {
	got, err := b.removeNamed(ctx, b.name())
	if err != nil || b.isAlone() {
		return b.afterwards(ctx, got, err)
	}
	older, err := b.removeNamed(ctx, b.older())
	if older.Pending > 0 || got.Pending == 0 {
		got = older
	}
	return b.afterwards(ctx, got, err)
}

// removeNamed makes the binding of a name gone, if it is ours.
func (b *bindingWork) removeNamed(ctx context.Context, name string) (access.Applied, error) {
	var last error
	for range rounds {
		have, err := b.look(ctx, name)
		if err != nil {
			return access.Applied{}, err
		}
		if have == nil {
			return access.Applied{}, nil
		}
		mine, err := b.isOurs(ctx, have)
		switch {
		case err != nil:
			return access.Applied{}, err
		case !mine:
			return b.leave(ctx, have)
		case have.Metadata.DeletionTimestamp != nil && len(have.Metadata.Finalizers) > 0:
			return access.Applied{Kept: b.keep(have), Pending: finalizerWait, Note: finalizerNote(have)}, nil
		case have.Metadata.DeletionTimestamp != nil:
			return access.Applied{Kept: b.keep(have), Pending: finalizerWait / 4}, nil
		}
		err = b.kube.remove(ctx, b.path(name), have.Metadata.UID)
		b.changed = true
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

// leave leaves a binding that is not ours, unless it is what Gatehouse made and somebody
// took the marks away: it gives access still, so it must not pass for gone.
func (b *bindingWork) leave(ctx context.Context, have *binding) (access.Applied, error) {
	who, err := b.conn.bindingOwner(ctx, b.installation, have, b.kept)
	switch {
	case err != nil:
		return access.Applied{}, err
	case have.Metadata.UID == b.kept.UID:
		return access.Applied{}, b.foreign(have)
	case who == anothers && have.Metadata.Name == b.older():
		return access.Applied{Note: "a binding of another installation of gatehouse for the same person and role stands there and was left"}, nil
	case have.Metadata.Annotations[annotationObject] == b.key.String():
		return access.Applied{}, b.foreign(have)
	}
	return access.Applied{Note: "an object of the same name that gatehouse did not make stands there and was left"}, nil
}
