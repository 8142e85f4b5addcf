package awssim

import (
	"slices"
	"sync"

	"github.com/gatehouse-project/gatehouse/iam"
)

// Organization is a simulated AWS organization with all features enabled.
type Organization struct {
	sim        *Sim
	id         string
	management string

	mu      sync.RWMutex
	members []string // account ids, the management account first
	root    string
	units   map[string]*unit // the root, organizational units and accounts, by id
	scps    map[string]*scp
	// restricted is set once a service control policy was made or detached.
	restricted bool
}

// Organization returns the organization whose management account has that id,
// and creates it on first use.
func (s *Sim) Organization(management string) *Organization {
	s.Account(management)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.orgs {
		if o.management == management {
			return o
		}
	}
	o := &Organization{sim: s, id: "o-" + s.randomID(lowerAlnum, 10), management: management, root: "r-" + s.randomID(lowerAlnum, 4)}
	o.units = map[string]*unit{o.root: {id: o.root, name: "Root", policies: []string{fullAccess}}}
	o.scps = map[string]*scp{fullAccess: {
		id: fullAccess, name: "FullAWSAccess", text: fullAccessText, attached: mustCompile(iam.KindSCP, fullAccess, "FullAWSAccess", fullAccessText),
	}}
	o.join(management)
	s.orgs = append(s.orgs, o)
	return o
}

// Add makes accounts members, creating those that do not exist.
func (o *Organization) Add(accounts ...string) *Organization {
	for _, id := range accounts {
		o.sim.Account(id)
		o.mu.Lock()
		o.join(id)
		o.mu.Unlock()
	}
	return o
}

// join makes an account a member under the root, unless it is one. o.mu is held,
// or nobody else knows o yet.
func (o *Organization) join(id string) {
	if !slices.Contains(o.members, id) {
		o.members = append(o.members, id)
		o.units[id] = &unit{id: id, parent: o.root, policies: []string{fullAccess}}
	}
}

// ID is the organization's id: "o-…".
func (o *Organization) ID() string { return o.id }

func (o *Organization) has(account string) bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return slices.Contains(o.members, account)
}

// organizationOf returns the organization of an account, or nil.
func (s *Sim) organizationOf(account string) *Organization {
	s.mu.RLock()
	orgs := slices.Clone(s.orgs)
	s.mu.RUnlock()
	for _, o := range orgs {
		if o.has(account) {
			return o
		}
	}
	return nil
}
