package eks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eks/types"

	"github.com/gatehouse-project/gatehouse/access"
)

// labelInstallation and tagInstallation are the mark of one installation of Gatehouse:
// two that know one cluster, each by an integration of the same name, tell by it whose a
// binding or an access entry is.
const (
	labelInstallation = "gatehouse.dev/installation"
	tagInstallation   = "gatehouse.dev/installation"
)

// Ledger is what an installation remembers of what it lent. An access.Store is one.
type Ledger interface {
	// Grant returns a grant, or an error that wraps access.ErrNotFound.
	Grant(ctx context.Context, id string) (*access.Grant, error)
	// Objects returns the objects of the keys that exist.
	Objects(ctx context.Context, keys []string) ([]access.Object, error)
}

var _ Ledger = access.Store(nil)

// installation is the id of this installation; empty: it has none, and everything of an
// integration of the name is taken for its own.
func (c *Clusters) installation(ctx context.Context) (string, error) {
	if c.opts.Installation == nil {
		return "", nil
	}
	c.mu.Lock()
	have := c.installed
	c.mu.Unlock()
	if have != "" {
		return have, nil
	}
	id, err := c.opts.Installation(ctx)
	if err != nil {
		return "", fmt.Errorf("the id of this installation: %w", err)
	}
	if !labelShape.MatchString(id) {
		// Without its id it would take things of other installations for its own.
		return "", fmt.Errorf("the id of this installation: %q cannot be the value of a label", id)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.installed = id
	return id, nil
}

// lentHere reports whether one of the grants is in this installation's ledger.
func (c *Clusters) lentHere(ctx context.Context, grants []string) (bool, error) {
	if c.opts.Ledger == nil {
		return false, nil
	}
	for _, id := range grants[:min(len(grants), maxAsked)] {
		_, err := c.opts.Ledger.Grant(ctx, id)
		switch {
		case err == nil:
			return true, nil
		case !errors.Is(err, access.ErrNotFound):
			return false, fmt.Errorf("looking for grant %q: %w", id, err)
		}
	}
	return false, nil
}

// maxAsked bounds the grants of one binding that are looked for: others may write into
// its annotations what they like.
const maxAsked = 100

// owner says whose a thing is that has the marks of the integration.
type owner int

const (
	nobodys owner = iota // not of an integration of this name
	ours
	// another's: of an integration of this name, of another installation.
	anothers
)

// bindingOwner says whose a binding is. One from before installations had ids has none:
// it is ours if it is the object that we remember, has the name that only we give, or is
// of a grant in our ledger.
func (c *connection) bindingOwner(ctx context.Context, installation string, have *binding, kept bindingKept) (owner, error) {
	marks := have.Metadata
	if marks.Labels[labelManaged] != managedBy || marks.Labels[labelIntegration] != integrationLabel(c.integration) {
		return nobodys, nil
	}
	switch by := marks.Labels[labelInstallation]; {
	case installation == "" || by == installation:
		return ours, nil
	case by != "":
		return anothers, nil
	case marks.UID != "" && marks.UID == kept.UID:
		return ours, nil
	}
	if key, err := parseBindingKey(marks.Annotations[annotationObject]); err == nil && key.name(installation, c.integration) == marks.Name {
		return ours, nil
	}
	known, err := c.all.lentHere(ctx, splitGrants(marks.Annotations[annotationGrants]))
	if known {
		return ours, err
	}
	return anothers, err
}

func splitGrants(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

// noOlderFor is how long a list is believed that had no binding from before installations
// had ids. The next one comes before.
const noOlderFor = 15 * time.Minute

// hasNoOlder reports whether the last list had no binding from before installations had
// ids, so that none has to be looked for.
func (c *connection) hasNoOlder() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.noOlderAt.IsZero() && c.all.opts.Clock().Sub(c.noOlderAt) < noOlderFor
}

// entryOwner says whose an access entry is. One from before installations had ids is
// ours if nothing is lent on it, or if our ledger knows of something that is. kept says
// that the caller remembers to have lent on it.
func (c *connection) entryOwner(ctx context.Context, principal string, tags map[string]string, kept bool) (owner, error) {
	if tags[tagManaged] != managedBy || tags[tagIntegration] != integrationLabel(c.integration) {
		return nobodys, nil
	}
	installation, err := c.all.installation(ctx)
	if err != nil {
		return nobodys, err
	}
	switch by := tags[tagInstallation]; {
	case installation == "" || by == installation:
		return ours, nil
	case by != "":
		return anothers, nil
	case kept:
		return ours, nil
	}
	var keys []string
	for tag := range tags {
		if policy, ok := strings.CutPrefix(tag, tagBefore); ok && policyName.MatchString(policy) {
			keys = append(keys, c.integration+"/"+entryKey{principal: principal, policy: policy}.String())
		}
	}
	if len(keys) == 0 {
		return ours, nil
	}
	if c.all.opts.Ledger == nil {
		return anothers, nil
	}
	objects, err := c.all.opts.Ledger.Objects(ctx, keys)
	if err != nil {
		return nobodys, fmt.Errorf("looking for what is lent on %s: %w", principal, err)
	}
	if slices.ContainsFunc(objects, func(o access.Object) bool { return !o.AppliedAt.IsZero() }) {
		return ours, nil
	}
	return anothers, nil
}

// foreignError says whose a thing is that stands in the way, where that is known. It is
// an access.ErrForeign.
type foreignError struct{ text string }

// Error says whose it is and how to mend.
func (e *foreignError) Error() string { return e.text }

// Is reports whether the error is meant by access.ErrForeign.
func (e *foreignError) Is(target error) bool { return target == access.ErrForeign }

// foreignEntry is the error for an access entry that is not ours.
func (c *connection) foreignEntry(ctx context.Context, principal string, tags map[string]string, who owner) error {
	if who == nobodys {
		return fmt.Errorf("the access entry of %s: %w; delete it, or tag it %s=%s and %s=%s to let gatehouse lend on it",
			principal, access.ErrForeign, tagManaged, managedBy, tagIntegration, integrationLabel(c.integration))
	}
	id, err := c.all.installation(ctx)
	if err != nil {
		return err
	}
	return &foreignError{fmt.Sprintf("the access entry of %s is %s; let one of the two lend on this role, or, if the other is gone for good, tag the entry %s=%s",
		principal, installationText(tags[tagInstallation]), tagInstallation, id)}
}

func installationText(id string) string {
	if id == "" {
		return "of another installation of gatehouse, from before these had ids"
	}
	return "of another installation of gatehouse, " + id
}

// others counts what other installations have in a cluster under an integration of the
// same name.
type others struct {
	by   map[string]int // by installation; "": from before these had ids
	past int            // things that say themselves that their time is over
}

func (o *others) add(installation string, expires, now time.Time) {
	if o.by == nil {
		o.by = map[string]int{}
	}
	o.by[installation]++
	// What is only just over may be on its way out.
	if !expires.IsZero() && now.Sub(expires) > pastFor {
		o.past++
	}
}

// pastFor is how long after its time a thing of another installation is taken for one
// that nobody takes back.
const pastFor = 10 * time.Minute

// text says what there is and what to do; empty: nothing.
func (o *others) text(what, integration, how string) (text, mend string) {
	if len(o.by) == 0 {
		return "", ""
	}
	parts := make([]string, 0, len(o.by))
	for _, id := range sortedKeys(o.by) {
		name := "installation " + id
		if id == "" {
			name = "one from before installations had ids"
		}
		parts = append(parts, fmt.Sprintf("%d of %s", o.by[id], name))
	}
	text = fmt.Sprintf("%s of other installations of gatehouse, each with an integration %s of its own, stand in the cluster and are left alone: %s", what, integration, strings.Join(parts, ", "))
	mend = "if they lend here on purpose, nothing has to be done, and integrations of different names are easier to tell apart; what an installation left that is gone for good is found by " + how
	if o.past > 0 {
		text += fmt.Sprintf("; of %d the time is over, and nobody takes them back", o.past)
	}
	return text, mend
}

const checkOthers = "other-installations"

// others tells of bindings of other installations under the same name, which the
// reconciler never sees.
func (e *examination) others(ctx context.Context) {
	if e.kube == nil {
		e.add(checkOthers, resultUnseen, "", "the cluster was not reached")
		return
	}
	found, err := e.conn.otherBindings(ctx, e.kube)
	if err != nil {
		e.add(checkOthers, resultUnseen, "", "%v", err)
		return
	}
	e.addOthers(found, "bindings", bindingsOfOthers)
}

const (
	bindingsOfOthers = "kubectl get rolebindings,clusterrolebindings -A -l " + labelInstallation + "=ID"
	entriesOfOthers  = "the tag " + tagInstallation + " of the access entries"
)

func (e *examination) addOthers(found *others, what, how string) {
	text, mend := found.text(what, e.conn.integration, how)
	if text == "" {
		e.add(checkOthers, resultOK, "", "no other installation of gatehouse lends here under the same name")
		return
	}
	e.add(checkOthers, resultWarning, mend, "%s", text)
}

// otherBindings counts the bindings of other installations.
func (c *connection) otherBindings(ctx context.Context, k *kube) (*others, error) {
	o := &others{}
	now := c.all.opts.Clock()
	err := c.eachBinding(ctx, k, func(b *binding, who owner) {
		if who == anothers {
			at, _ := time.Parse(time.RFC3339, b.Metadata.Annotations[annotationExpires])
			o.add(b.Metadata.Labels[labelInstallation], at, now)
		}
	})
	return o, err
}

// entryOthers looks at access entries with tags of the integration, of which there may be
// many: it reads some and says so.
func (e *examination) entryOthers(ctx context.Context) {
	client, err := e.conn.eksClient()
	if err != nil {
		e.add(checkOthers, resultUnseen, "", "%v", err)
		return
	}
	o, n := &others{}, 0
	now := e.conn.all.opts.Clock()
	err = e.conn.eachEntry(ctx, client, func(principal string) error {
		if n++; n > maxPrincipalChecks {
			return nil
		}
		a := &association{conn: e.conn, eks: client, key: entryKey{principal: principal}}
		entry, err := a.describe(ctx)
		if err != nil || entry == nil {
			return err
		}
		who, err := e.conn.entryOwner(ctx, principal, entry.Tags, false)
		if who == anothers {
			o.add(entry.Tags[tagInstallation], lastExpiry(entry), now)
		}
		return err
	})
	if err != nil {
		e.add(checkOthers, resultUnseen, "", "%v", err)
		return
	}
	e.addOthers(o, "access entries", entriesOfOthers)
	if n > maxPrincipalChecks {
		last := &e.checks[len(e.checks)-1]
		last.Detail += fmt.Sprintf("; %d of %d access entries were looked at", maxPrincipalChecks, n)
	}
}

// lastExpiry is when the last of what is lent on an entry ends, as its tags say; zero:
// nothing is, or they do not say.
func lastExpiry(entry *types.AccessEntry) (last time.Time) {
	for tag, value := range entry.Tags {
		if at, err := time.Parse(time.RFC3339, value); strings.HasPrefix(tag, tagExpires) && err == nil && at.After(last) {
			last = at
		}
	}
	return last
}
