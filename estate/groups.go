package estate

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// Groups returns every log group that a stage writes to, in the order of their
// keys. A group that several stages share names neither API nor stage, and its
// access format only if all of them have the same. A group that does not exist
// yet is left out: it is found, with its time of creation, by the discovery that
// first sees it. The caller must not change the result.
func (r *Resolver) Groups() []transaction.Group { return r.groups }

// GroupCreated returns when a group of Groups was created, by its key; false
// where the listing could not be read.
func (r *Resolver) GroupCreated(key string) (time.Time, bool) {
	at, ok := r.created[key]
	return at, ok
}

// groupSet collects the groups of all stages.
type groupSet struct {
	byKey map[string]*transaction.Group
	// access marks groups whose access format has been set by a stage, since an
	// empty format can be one too.
	access map[string]bool
}

func (r *Resolver) collectGroups(s *Snapshot) {
	set := groupSet{byKey: map[string]*transaction.Group{}, access: map[string]bool{}}
	listed := map[[2]string]bool{} // account and region whose groups are all known
	for i := range s.Accounts {
		a := &s.Accounts[i]
		for j := range a.Regions {
			region := &a.Regions[j]
			listed[[2]string{a.ID, region.Name}] = !slices.ContainsFunc(region.Errors, func(f Fault) bool {
				return strings.HasPrefix(f.What, readLogGroups.operation)
			})
			for _, g := range region.LogGroups {
				r.created[(&transaction.Group{Account: a.ID, Region: region.Name, Name: g.Name}).Key()] = g.Created
			}
			for k := range region.APIs {
				set.addAPI(a.ID, region.Name, &region.APIs[k])
			}
		}
	}
	for key, g := range set.byKey {
		_, exists := r.created[key]
		if exists || !listed[[2]string{g.Account, g.Region}] {
			r.groups = append(r.groups, *g)
		}
	}
	slices.SortFunc(r.groups, func(a, b transaction.Group) int { return cmp.Compare(a.Key(), b.Key()) })
	for key := range r.created {
		if set.byKey[key] == nil {
			delete(r.created, key)
		}
	}
}

func (set *groupSet) addAPI(account, region string, api *API) {
	for i := range api.Stages {
		s := &api.Stages[i]
		g := transaction.Group{Account: account, Region: region, APIID: api.ID, APIType: api.Type, Stage: s.Name}
		if s.ExecutionGroup != "" {
			g.Name = s.ExecutionGroup
			set.add(g, false)
			if s.Canary != nil {
				g.Name += transaction.CanarySuffix
				set.add(g, false)
			}
		}
		for _, d := range s.Deliveries {
			if inAccount, inRegion, name, ok := parseGroupARN(d.Destination); ok {
				delivered := g
				delivered.Account, delivered.Region, delivered.Name = inAccount, inRegion, name
				set.add(delivered, false)
			}
		}
		if s.AccessGroup != "" {
			g.Name, g.AccessFormat = s.AccessGroup, s.AccessFormat
			if inAccount, inRegion, _, ok := parseGroupARN(s.AccessLogARN); ok {
				g.Account, g.Region = inAccount, inRegion
			}
			set.add(g, true)
			if s.Canary != nil {
				g.Name += transaction.CanarySuffix
				set.add(g, true)
			}
		}
	}
}

// add joins g with what other stages write to the same group.
func (set *groupSet) add(g transaction.Group, access bool) {
	key := g.Key()
	have, ok := set.byKey[key]
	if !ok {
		set.byKey[key] = &g
		set.access[key] = access
		return
	}
	if have.APIID != g.APIID || have.Stage != g.Stage {
		have.APIID, have.Stage = "", ""
	}
	if have.APIType != g.APIType {
		have.APIType = ""
	}
	if !access {
		return
	}
	if set.access[key] && have.AccessFormat != g.AccessFormat {
		have.AccessFormat = ""
	} else {
		have.AccessFormat = g.AccessFormat
	}
	set.access[key] = true
}
