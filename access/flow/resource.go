package flow

import (
	"slices"
	"strings"
)

// covers reports whether a target of an integration lends an item. Exclusion
// compares without case and inclusion with, so that a doubt never widens.
func (t *Target) covers(item *Item) bool {
	r := &item.Resource
	return t.Integration != "" && t.Integration == r.Integration && t.ResourceType == r.Type &&
		slices.Contains(t.Permissions, item.Permission) && slices.Contains(r.Permissions, item.Permission) &&
		t.chooses(r)
}

// chooses reports whether the filters leave a resource in.
func (t *Target) chooses(r *Resource) bool {
	in := len(t.Include) == 0
	for i := 0; i < len(t.Include) && !in; i++ {
		in = t.Include[i].matches(r, false)
	}
	if !in {
		return false
	}
	for i := range t.Exclude {
		if t.Exclude[i].matches(r, true) {
			return false
		}
	}
	return true
}

func (f *Filter) matches(r *Resource, fold bool) bool {
	switch f.Type {
	case FilterName:
		return f.value(r.Name, fold)
	case FilterID:
		return f.value(r.ID, fold)
	case FilterTag:
		if !fold {
			v, ok := r.Tags[f.Key]
			return ok && f.value(v, false)
		}
		for k, v := range r.Tags {
			if strings.EqualFold(k, f.Key) && f.value(v, true) {
				return true
			}
		}
	}
	return false
}

func (f *Filter) value(s string, fold bool) bool {
	if fold {
		s = strings.ToLower(s)
	}
	for _, pattern := range f.Values {
		if fold {
			pattern = strings.ToLower(pattern)
		}
		if glob(pattern, s) {
			return true
		}
	}
	return false
}

// glob matches with "*" for any text, in time proportional to both lengths' product
// at worst and without recursion.
func glob(pattern, s string) bool {
	star, mark, p, i := -1, 0, 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && pattern[p] == s[i]:
			p, i = p+1, i+1
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// String describes the target for people.
func (t *Target) String() string {
	if t.Bundle != "" {
		return "bundle " + t.Bundle
	}
	return strings.Join(t.Permissions, ", ") + " on " + t.ResourceType + " of " + t.Integration
}

// String describes the item for people.
func (i *Item) String() string {
	name := i.Resource.Path
	if name == "" {
		name = i.Resource.Name
	}
	if name == "" {
		name = i.Resource.ID
	}
	return i.Permission + " on " + name
}
