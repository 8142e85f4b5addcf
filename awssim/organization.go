package awssim

import (
	"slices"
	"sync"
)

// Organization is a simulated AWS organization with all features enabled.
type Organization struct {
	sim        *Sim
	id         string
	management string

	mu      sync.RWMutex
	members []string // account ids, the management account first
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
	o := &Organization{sim: s, id: "o-" + s.randomID(lowerAlnum, 10), management: management, members: []string{management}}
	s.orgs = append(s.orgs, o)
	return o
}

// Add makes accounts members, creating those that do not exist.
func (o *Organization) Add(accounts ...string) *Organization {
	for _, id := range accounts {
		o.sim.Account(id)
		o.mu.Lock()
		if !slices.Contains(o.members, id) {
			o.members = append(o.members, id)
		}
		o.mu.Unlock()
	}
	return o
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
