package estate

import (
	"cmp"
	"maps"
	"reflect"
	"slices"
	"time"
)

// Diff tells what changed from one snapshot to a later one: what appeared, changed
// and went. What either of them could not read is in neither list, so that a missing
// right does not look like a deletion. Nothing changed where before is nil: that is
// the first time that anybody looked. Nor where one of them looked for less.
func Diff(before, after *Snapshot) []Change {
	if before == nil || after == nil || before.Form != after.Form {
		return nil
	}
	d := &differ{at: after.Finished.UTC()}
	both(d, before.Accounts, after.Accounts, func(a *Account) string { return a.ID }, func(c Change, was, is *Account) {
		c.Account, c.Type = c.Subject, SubjectAccount
		c.Name = nameOf(was, is, func(a *Account) string { return a.Name })
		switch {
		case was == nil:
			if !before.Partial {
				d.add(c, Appeared)
			}
		case is == nil:
			if !after.Partial {
				d.add(c, Went)
			}
		default:
			d.fields(c, accountFields{was.Name, was.Status}, accountFields{is.Name, is.Status})
			d.place = Change{Account: c.Account}
			d.regions(was, is)
			if was.PrincipalsRead && is.PrincipalsRead && was.Seen(PartPrincipals) && is.Seen(PartPrincipals) {
				things(d, SubjectPrincipal, was.Principals, is.Principals,
					func(p *IAMPrincipal) string { return p.ARN }, func(p *IAMPrincipal) string { return p.ARN }, whole)
			}
			d.place = Change{}
		}
	})
	slices.SortStableFunc(d.changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Region, b.Region), cmp.Compare(a.API, b.API),
			cmp.Compare(a.Type, b.Type), cmp.Compare(a.Subject, b.Subject), cmp.Compare(a.Field, b.Field))
	})
	return d.changes
}

type accountFields struct {
	Name   string `json:"name"`
	Status string `json:"status"`
}

type regionFields struct {
	LogRole  string    `json:"log_role"`
	Throttle *Throttle `json:"throttle,omitempty"`
}

// differ collects changes. The place is what all changes of a part of the estate
// have in common.
type differ struct {
	at      time.Time
	place   Change
	changes []Change
	// deliveries is set where both discoveries saw log delivery in the region.
	deliveries bool
}

func (d *differ) add(c Change, kind ChangeKind) {
	c.Time, c.Kind = d.at, kind
	d.changes = append(d.changes, c)
}

// fields adds a change for each field in which two things differ.
func (d *differ) fields(c Change, was, is any) {
	if reflect.DeepEqual(was, is) {
		return
	}
	before, after := flat(was), flat(is)
	all := maps.Clone(before)
	maps.Copy(all, after)
	for _, field := range slices.Sorted(maps.Keys(all)) {
		if before[field] != after[field] {
			change := c
			change.Field, change.Before, change.After = field, before[field], after[field]
			d.add(change, Changed)
		}
	}
}

func nameOf[T any](was, is *T, name func(*T) string) string {
	if is != nil {
		return name(is)
	}
	return name(was)
}

// both gives each thing that either list has, with nil for the list that lacks it.
func both[T any](d *differ, before, after []T, key func(*T) string, give func(c Change, was, is *T)) {
	place := d.place
	index := make(map[string]int, len(after))
	for i := range after {
		index[key(&after[i])] = i
	}
	for i := range before {
		c := place
		c.Subject = key(&before[i])
		var is *T
		if j, ok := index[c.Subject]; ok {
			delete(index, c.Subject)
			is = &after[j]
		}
		give(c, &before[i], is)
	}
	for _, j := range slices.Sorted(maps.Values(index)) {
		c := place
		c.Subject = key(&after[j])
		give(c, nil, &after[j])
	}
}

// things compares lists of things that have no parts with a history of their own.
// What is left of a thing when all is taken out that cannot be compared with the
// other one is said by comparable.
func things[T any](d *differ, kind SubjectType, before, after []T, key, name func(*T) string, comparable func(t, other *T) T) {
	both(d, before, after, key, func(c Change, was, is *T) {
		c.Type = kind
		if c.Name = nameOf(was, is, name); c.Name == c.Subject {
			c.Name = ""
		}
		switch {
		case was == nil:
			d.add(c, Appeared)
		case is == nil:
			d.add(c, Went)
		default:
			d.fields(c, comparable(was, is), comparable(is, was))
		}
	})
}

func whole[T any](t, _ *T) T { return *t }

// regions compares the regions that both discoveries read.
func (d *differ) regions(was, is *Account) {
	place := d.place
	for i := range was.Regions {
		for j := range is.Regions {
			if was.Regions[i].Name == is.Regions[j].Name {
				d.place = place
				d.place.Region = was.Regions[i].Name
				d.region(&was.Regions[i], &is.Regions[j])
			}
		}
	}
	d.place = place
}
