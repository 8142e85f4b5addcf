package awssim

import (
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/iam"
)

// fullAccess is the service control policy that every root, unit and account has
// until it is detached.
const (
	fullAccess     = "p-FullAWSAccess"
	fullAccessText = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
)

// scp is a service control policy of an organization.
type scp struct {
	id, name, text string
	attached       iam.Attached
}

// unit is a root, an organizational unit or an account with what is attached to it.
type unit struct {
	id, name, parent string // parent is empty for the root
	policies         []string
}

// Root is the id of the organization's root: "r-…".
func (o *Organization) Root() string { return o.root }

// AddUnit adds an organizational unit under the root or another unit and returns
// its id: "ou-…". It panics if there is no such parent.
func (o *Organization) AddUnit(name, parent string) string {
	id := "ou-" + strings.TrimPrefix(o.root, "r-") + "-" + o.sim.randomID(lowerAlnum, 8)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.units[parent] == nil {
		panic("awssim: the organization has no unit " + parent)
	}
	o.units[id] = &unit{id: id, name: name, parent: parent, policies: []string{fullAccess}}
	return id
}

// Move puts an account under the root or a unit. It panics if one of them is not
// of the organization.
func (o *Organization) Move(account, parent string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.units[account] == nil || o.units[parent] == nil {
		panic("awssim: the organization has no " + account + " or no " + parent)
	}
	o.units[account].parent = parent
}

// AddSCP makes a service control policy, attaches it to targets (the root, units
// and accounts) and returns its id. It panics on a policy that AWS would not store.
func (o *Organization) AddSCP(name, document string, targets ...string) string {
	p := &scp{id: "p-" + o.sim.randomID(lowerAlnum, 8), name: name, text: document, attached: mustCompile(iam.KindSCP, name, name, document)}
	o.mu.Lock()
	o.scps[p.id] = p
	o.restricted = true
	o.mu.Unlock()
	for _, target := range targets {
		o.AttachSCP(p.id, target)
	}
	return p.id
}

// AttachSCP attaches a policy to the root, a unit or an account.
func (o *Organization) AttachSCP(policy, target string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	u := o.units[target]
	if u == nil || o.scps[policy] == nil {
		panic("awssim: the organization has no " + target + " or no policy " + policy)
	}
	if !slices.Contains(u.policies, policy) {
		u.policies = append(slices.Clone(u.policies), policy)
	}
}

// DetachSCP takes a policy off; "p-FullAWSAccess" too.
func (o *Organization) DetachSCP(policy, target string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if u := o.units[target]; u != nil {
		o.restricted = true
		u.policies = slices.DeleteFunc(slices.Clone(u.policies), func(id string) bool { return id == policy })
	}
}

// levels are the service control policies of an account from the root to itself;
// nil for the management account, which they do not reach.
func (o *Organization) levels(account string) [][]iam.Attached {
	if account == o.management {
		return nil
	}
	o.mu.RLock()
	defer o.mu.RUnlock()
	if !o.restricted {
		// FullAWSAccess everywhere is no limit.
		return nil
	}
	var levels [][]iam.Attached
	for u := o.units[account]; u != nil; u = o.units[u.parent] {
		level := make([]iam.Attached, 0, len(u.policies))
		for _, id := range u.policies {
			level = append(level, o.scps[id].attached)
		}
		levels = append(levels, level)
	}
	slices.Reverse(levels)
	return levels
}
