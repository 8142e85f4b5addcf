package awssim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/iam"
)

// Group is an IAM group. Its policies are those of its members.
type Group struct {
	Name string
	Path string // with both slashes; empty: "/"
	// Allow are actions that members may call, with * and ?. Nil: nothing.
	Allow []string
	// Policies are inline policies as JSON, and Inline such policies by name.
	Policies []string
	Inline   map[string]string
	// ManagedPolicies are the ARNs of what AddPolicy made.
	ManagedPolicies []string

	id     string // AGPA…
	arn    string
	inline []inlinePolicy
}

// inlinePolicy is an inline policy with its name and its text.
type inlinePolicy struct {
	name, text string
	attached   iam.Attached
}

// managedPolicy is a customer managed policy; never changed once stored.
type managedPolicy struct {
	arn, path, name, id, description string
	versions                         []policyVersion // oldest first
	version                          string          // the default one
	made                             int             // versions so far
	tags                             map[string]string
	created, updated                 time.Time
	attached                         iam.Attached // the default version
}

// policyVersion is a version of a managed policy, v1 or a later one.
type policyVersion struct {
	id, document string
	created      time.Time
}

// add adds a version to a copy of a policy, and returns its id.
func (p *managedPolicy) add(document string, now time.Time) string {
	p.made++
	id := fmt.Sprintf("v%d", p.made)
	p.versions = append(slices.Clip(p.versions), policyVersion{id, document, now})
	p.updated = now
	return id
}

// inlinePolicies compiles the inline policies of a role, user or group: the one
// that a list of actions stands for, those without names, those with.
func inlinePolicies(whose string, allow, documents []string, named map[string]string) []inlinePolicy {
	var all []inlinePolicy
	add := func(name, text string) {
		all = append(all, inlinePolicy{name, text, mustCompile(iam.KindIdentity, whose, name, text)})
	}
	if len(allow) > 0 {
		text, err := json.Marshal(map[string]any{
			"Version":   iam.Version2012,
			"Statement": []any{map[string]any{"Effect": "Allow", "Action": allow, "Resource": "*"}},
		})
		if err != nil {
			panic("awssim: the actions of " + whose + ": " + err.Error())
		}
		add("Allow", string(text))
	}
	for i, text := range documents {
		add(fmt.Sprintf("policy-%d", i), text)
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		add(name, named[name])
	}
	return all
}

func attachedOf(inline []inlinePolicy) []iam.Attached {
	all := make([]iam.Attached, 0, len(inline))
	for i := range inline {
		all = append(all, inline[i].attached)
	}
	return all
}

// AddGroup adds a group, or replaces the one of that name, and returns its ARN.
// It panics on a policy that AWS would not store.
func (a *Account) AddGroup(g Group) string {
	g.Path = cleanPath(g.Path)
	g.arn = "arn:" + a.sim.partition + ":iam::" + a.id + ":group" + g.Path + g.Name
	g.ManagedPolicies = slices.Clone(g.ManagedPolicies)
	g.inline = inlinePolicies(g.arn, g.Allow, g.Policies, g.Inline)
	g.id = "AGPA" + a.sim.randomID(upperAlnum, 17)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.groups[g.Name] = &g
	return g.arn
}

func (a *Account) group(name string) *Group {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.groups[name]
}

// SetAlias sets the account's alias, as ListAccountAliases shows it; empty: none.
func (a *Account) SetAlias(alias string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.alias = alias
}

// managedPolicy finds a managed policy by its ARN: one of the account, or one of
// AWS's own, which the account "aws" has.
func (a *Account) managedPolicy(arn string) *managedPolicy {
	if strings.Contains(arn, ":iam::aws:policy/") && a.id != "aws" {
		if aws := a.sim.account("aws"); aws != nil {
			return aws.managedPolicy(arn)
		}
		return nil
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.managed[arn]
}

// managedOf are the default versions of managed policies as they are now; those
// that are gone are left out.
func (a *Account) managedOf(arns []string) []iam.Attached {
	all := make([]iam.Attached, 0, len(arns))
	for _, arn := range arns {
		if p := a.managedPolicy(arn); p != nil {
			all = append(all, p.attached)
		}
	}
	return all
}

// identityOf are the policies of a user, or of a role, with what is attached to
// it and to its groups.
func (a *Account) identityOf(own []iam.Attached, managed, groups []string) []iam.Attached {
	if len(managed)+len(groups) == 0 {
		return own
	}
	all := append(slices.Clone(own), a.managedOf(managed)...)
	for _, name := range groups {
		if g := a.group(name); g != nil {
			all = append(all, attachedOf(g.inline)...)
			all = append(all, a.managedOf(g.ManagedPolicies)...)
		}
	}
	return all
}

// boundaryARN is the ARN of the managed policy that is a boundary; one that was
// given as a document is kept under a name of its own.
func (a *Account) boundaryARN(given, owner string) string {
	if given == "" {
		return ""
	}
	if strings.HasPrefix(given, "arn:") {
		if a.managedPolicy(given) == nil {
			panic("awssim: the permissions boundary of " + owner + " does not exist: " + given)
		}
		return given
	}
	return a.AddPolicy("boundary-of-"+owner, given)
}

func (a *Account) boundary(arn string) iam.Attached {
	if p := a.managedPolicy(arn); p != nil {
		return p.attached
	}
	return iam.Attached{}
}

// sortedValues are the values of a map in the order of their keys.
func sortedValues[K cmp.Ordered, V any](m map[K]V) []V {
	all := make([]V, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, m[k])
	}
	return all
}
