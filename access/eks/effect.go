package eks

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/access"
)

const (
	// effectWithin bounds how long one Apply waits for the authorizer of the cluster,
	// which hears of a binding a moment after it is stored, and effectAgain is when the
	// next one asks.
	effectWithin = 3 * time.Second
	effectAgain  = 2 * time.Second
	// goneWithin is the same after a binding is gone: what is allowed for longer is
	// allowed by something else.
	goneWithin = time.Second
	// refusedFor is how long a cluster that lets Gatehouse ask nothing is not asked.
	refusedFor = 5 * time.Minute
	// rolesFor is how long what a role gives is believed, and maxRolesKept how many are.
	rolesFor     = 20 * time.Second
	maxRolesKept = 1000
)

// question is one thing that a role lets people do, as the cluster can be asked about it.
type question struct {
	verb, group, resource, sub, name string
	path                             string // in place of a resource
}

// String is the question for people: "get pods/exec".
func (q question) String() string {
	if q.path != "" {
		return q.verb + " " + q.path
	}
	text := q.verb + " " + q.resource
	if q.sub != "" {
		text += "/" + q.sub
	}
	if q.name != "" {
		text += " " + q.name
	}
	return text
}

// policyRule is a rule of a role.
type policyRule struct {
	Verbs           []string `json:"verbs"`
	APIGroups       []string `json:"apiGroups"`
	Resources       []string `json:"resources"`
	ResourceNames   []string `json:"resourceNames"`
	NonResourceURLs []string `json:"nonResourceURLs"`
}

// questionOf is the first thing that rules allow in a namespace; empty: the cluster. The
// words of the rule itself are asked for: a star of a rule allows a star.
func questionOf(rules []policyRule, namespace string) (question, bool) {
	for _, r := range rules {
		if len(r.Verbs) == 0 {
			continue
		}
		q := question{verb: r.Verbs[0]}
		switch {
		case len(r.APIGroups) > 0 && len(r.Resources) > 0:
			q.group = r.APIGroups[0]
			q.resource, q.sub, _ = strings.Cut(r.Resources[0], "/")
			if len(r.ResourceNames) > 0 {
				q.name = r.ResourceNames[0]
			}
			return q, true
		case len(r.NonResourceURLs) > 0 && namespace == "":
			q.path = r.NonResourceURLs[0]
			return q, true
		}
	}
	return question{}, false
}

// roleRules is what a role gives, as it was read at a time.
type roleRules struct {
	rules []policyRule
	gone  bool
	at    time.Time
}

// rulesOf reads what a role gives, at most rolesFor old; fresh: as it is now.
func (c *connection) rulesOf(ctx context.Context, k *kube, key bindingKey, fresh bool) (roleRules, error) {
	now, path := c.all.opts.Clock(), key.rolePath()
	c.mu.Lock()
	have, ok := c.roles[path]
	c.mu.Unlock()
	if ok && !fresh && now.Sub(have.at) < rolesFor {
		return have, nil
	}
	var role struct {
		Rules []policyRule `json:"rules"`
	}
	err := k.get(ctx, path, &role)
	if answered(err, http.StatusNotFound) {
		have, err = roleRules{gone: true, at: now}, nil
	} else {
		have = roleRules{rules: role.Rules, at: now}
	}
	if err != nil {
		return roleRules{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.roles == nil {
		c.roles = map[string]roleRules{}
	}
	if len(c.roles) >= maxRolesKept {
		maps.DeleteFunc(c.roles, func(_ string, r roleRules) bool { return now.Sub(r.at) >= rolesFor })
		if len(c.roles) >= maxRolesKept {
			clear(c.roles)
		}
	}
	c.roles[path] = have
	return have, nil
}

// mayAsk reports whether the cluster let Gatehouse ask what others may, as far as known.
func (c *connection) mayAsk() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refusedAt.IsZero() || c.all.opts.Clock().Sub(c.refusedAt) >= refusedFor
}

// allows asks the cluster whether a user may do something. known is false where it does
// not let Gatehouse ask.
func (c *connection) allows(ctx context.Context, k *kube, u liveUser, namespace string, q question) (allowed, known bool, err error) {
	spec := map[string]any{"user": u.name, "groups": append(slices.Clone(u.groups), "system:authenticated")}
	if q.path != "" {
		spec["nonResourceAttributes"] = map[string]string{"path": q.path, "verb": q.verb}
	} else {
		spec["resourceAttributes"] = map[string]string{
			"namespace": namespace, "verb": q.verb, "group": q.group, "resource": q.resource, "subresource": q.sub, "name": q.name,
		}
	}
	var review struct {
		Status struct {
			Allowed bool `json:"allowed"`
		} `json:"status"`
	}
	err = k.create(ctx, authorizationAPI+"/subjectaccessreviews", map[string]any{
		"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec,
	}, &review)
	// An API server that a proxy stands before may not know the resource at all.
	refused := answered(err, http.StatusForbidden) || answered(err, http.StatusNotFound) || answered(err, http.StatusMethodNotAllowed)
	c.mu.Lock()
	c.refusedAt = time.Time{}
	if refused {
		c.refusedAt = c.all.opts.Clock()
	}
	c.mu.Unlock()
	if refused {
		return false, false, nil
	}
	return review.Status.Allowed, err == nil, err
}

// effective tells whether the cluster goes by a binding that stands as it is wanted: its
// API server stores a binding a moment before its authorizer hears of it. Where Gatehouse
// may not ask, the binding that was read back has to do.
func (b *bindingWork) effective(ctx context.Context, have *binding, users []liveUser) (access.Applied, error) {
	done := access.Applied{Kept: b.keep(have), Note: b.note()}
	if !b.conn.mayAsk() {
		return done, nil
	}
	given, err := b.conn.rulesOf(ctx, b.kube, b.key, b.changed && !b.judged)
	if err != nil {
		return access.Applied{}, err
	}
	until := time.Now().Add(effectWithin)
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		q, ok := questionOf(given.rules, b.key.namespace)
		switch {
		case given.gone:
			done.Note = fmt.Sprintf("the %s %s was deleted: the binding gives nothing, and would give what a new role of that name gives", b.key.roleKind, b.key.role)
			return done, nil
		case !ok:
			return done, nil // a role without rules gives nothing that could be asked about
		}
		refused := ""
		for _, u := range users {
			allowed, known, err := b.conn.allows(ctx, b.kube, u, b.key.namespace, q)
			switch {
			case err != nil:
				return access.Applied{}, err
			case !known:
				return done, nil
			case !allowed:
				refused = u.name
			}
		}
		if refused == "" {
			return done, nil
		}
		if time.Now().Add(wait).After(until) {
			return access.Applied{Kept: done.Kept, Pending: effectAgain, Note: fmt.Sprintf(
				"the binding stands, and the cluster does not go by it yet: it says that %s may not %s%s. It is asked again until it does; an authorization webhook that denies it would be the reason",
				refused, q, inNamespace(b.key.namespace))}, nil
		}
		if err := sleep(ctx, wait); err != nil {
			return access.Applied{}, err
		}
		// Somebody may have taken just this right out of the role.
		if given, err = b.conn.rulesOf(ctx, b.kube, b.key, true); err != nil {
			return access.Applied{}, err
		}
	}
}

// afterwards says of a binding that is gone whether the cluster still lets the person do
// what it gave, so that nobody takes what was lent for the only way. It changes nothing
// in what is done, and is left out where it could hold up the end of other grants.
func (b *bindingWork) afterwards(ctx context.Context, got access.Applied, err error) (access.Applied, error) {
	if err != nil || got.Pending > 0 || got.Note != "" || !b.changed || !b.conn.mayAsk() || b.conn.limit.Tokens() < float64(b.conn.limit.Burst())/2 {
		return got, err
	}
	// One at a time: where everybody has other rights too, the waits would add up and hold
	// up what has to go next.
	if b.conn.aftermath.TryLock() {
		defer b.conn.aftermath.Unlock()
		got.Note = b.stillMay(ctx)
	}
	return got, nil
}

// stillMay is the note on somebody who may still do what a binding gave; empty: they may
// not, or that could not be seen.
func (b *bindingWork) stillMay(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 5*goneWithin)
	defer cancel()
	until := time.Now().Add(goneWithin)
	// By what was last known of names: AWS is not asked, which may be away.
	b.conn.mu.Lock()
	names := b.conn.live
	b.conn.mu.Unlock()
	if names == nil {
		return ""
	}
	users, err := b.conn.usersBy(names, b.key.person)
	if err != nil {
		return ""
	}
	given, err := b.conn.rulesOf(ctx, b.kube, b.key, false)
	if err != nil {
		return ""
	}
	q, ok := questionOf(given.rules, b.key.namespace)
	if !ok {
		return ""
	}
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		may := ""
		for _, u := range users {
			allowed, known, err := b.conn.allows(ctx, b.kube, u, b.key.namespace, q)
			if err != nil || !known {
				return ""
			}
			if allowed {
				may = u.name
			}
		}
		if may == "" {
			return ""
		}
		if time.Now().Add(wait).After(until) {
			return fmt.Sprintf("the binding is gone, and the cluster says that %s may still %s%s: they have that right by something else than this grant", may, q, inNamespace(b.key.namespace))
		}
		if sleep(ctx, wait) != nil {
			return ""
		}
	}
}

func inNamespace(namespace string) string {
	if namespace == "" {
		return ""
	}
	return " in " + namespace
}

// sleep waits, or returns the error of a context that is done before.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
