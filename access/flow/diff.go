package flow

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Action is what applying a text does to one flow or bundle.
type Action string

// The actions.
const (
	Create    Action = "create"
	Update    Action = "update"
	Delete    Action = "delete" // where pruning is asked for
	Unchanged Action = "unchanged"
)

// Change is what becomes of one flow or bundle.
type Change struct {
	Kind   string        `json:"kind"` // "flow" or "bundle"
	Name   string        `json:"name"`
	Action Action        `json:"action"`
	Fields []FieldChange `json:"fields,omitempty"` // of an update
}

// FieldChange is one value that differs. The order of a list that has no order does
// not count.
type FieldChange struct {
	Path string `json:"path"` // "duration.max", "approvers.groups[0].conditions[1].values"
	Old  string `json:"old,omitempty"`
	New  string `json:"new,omitempty"`
}

// Diff says what has to change in the set to be like another one, flows first, by
// name. Those that the other does not have are Delete.
func (s *Set) Diff(wanted *Set) []Change {
	have, want := s.normal(), wanted.normal()
	keys := slices.Collect(maps.Keys(have))
	for k := range want {
		if have[k].node == nil {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(cmp.Compare(b.kind, a.kind), cmp.Compare(a.name, b.name))
	})
	out := make([]Change, 0, len(keys))
	for _, k := range keys {
		c := Change{Kind: k.kind, Name: k.name, Action: Unchanged}
		switch o, n := have[k], want[k]; {
		case o.node == nil:
			c.Action = Create
		case n.node == nil:
			c.Action = Delete
		default:
			if c.Fields = compareNodes(o.node, n.node); len(c.Fields) > 0 {
				c.Action = Update
			}
		}
		out = append(out, c)
	}
	return out
}

// Merge returns the set that applying a wanted one leaves: everything of the wanted
// set and, unless prune is set, what it does not name. It fails where what is kept
// no longer fits, such as a flow whose bundle has gone.
func (s *Set) Merge(wanted *Set, prune bool) (*Set, error) {
	flows, bundles := slices.Clone(wanted.Flows), slices.Clone(wanted.Bundles)
	if !prune {
		for i := range s.Flows {
			if wanted.Flow(s.Flows[i].Name) == nil {
				flows = append(flows, s.Flows[i])
			}
		}
		for i := range s.Bundles {
			if wanted.Bundle(s.Bundles[i].Name) == nil {
				bundles = append(bundles, s.Bundles[i])
			}
		}
	}
	return New(flows, bundles)
}

// Digests returns the SHA-256 of each flow and bundle in its normalized form, in
// hexadecimal, by "flow/NAME" and "bundle/NAME".
func (s *Set) Digests() map[string]string {
	out := map[string]string{}
	for k, n := range s.normal() {
		sum := sha256.Sum256(n.canonical)
		out[k.kind+"/"+k.name] = hex.EncodeToString(sum[:])
	}
	return out
}

// Digest returns the SHA-256 of the whole set in its normalized form, in hexadecimal.
func (s *Set) Digest() string {
	digests := s.Digests()
	h := sha256.New()
	for _, k := range slices.Sorted(maps.Keys(digests)) {
		h.Write([]byte(k + "\x00" + digests[k] + "\n"))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Drifted is a flow or a bundle that is not as it was applied.
type Drifted struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// What happened since: "changed", "added" or "removed".
	What string `json:"what"`
}

// Drift compares the set with the digests of what was applied from a file: what
// differs was changed elsewhere since, and applying the file again would undo it.
func (s *Set) Drift(applied map[string]string) []Drifted {
	now := s.Digests()
	var out []Drifted
	add := func(k, what string) {
		kind, name, _ := strings.Cut(k, "/")
		out = append(out, Drifted{kind, name, what})
	}
	for _, k := range slices.Sorted(maps.Keys(now)) {
		switch was, ok := applied[k]; {
		case !ok:
			add(k, "added")
		case was != now[k]:
			add(k, "changed")
		}
	}
	for _, k := range slices.Sorted(maps.Keys(applied)) {
		if _, ok := now[k]; !ok {
			add(k, "removed")
		}
	}
	return out
}

type key struct{ kind, name string }

// normalized is a flow or a bundle whose unordered lists are sorted, and its text.
type normalized struct {
	node      *yaml.Node
	canonical []byte
}

func (s *Set) normal() map[key]normalized {
	out := make(map[key]normalized, len(s.Flows)+len(s.Bundles))
	for i := range s.Flows {
		n := s.Flows[i].node()
		out[key{"flow", s.Flows[i].Name}] = normalized{n, normalize(n)}
	}
	for i := range s.Bundles {
		n := s.Bundles[i].node()
		out[key{"bundle", s.Bundles[i].Name}] = normalized{n, normalize(n)}
	}
	return out
}

// normalize sorts every list, for none has an order of its own: the steps of an
// escalation have their times. It returns a text that is the same for equal nodes
// and for no others.
func normalize(n *yaml.Node) []byte {
	switch n.Kind {
	case yaml.MappingNode:
		out := []byte{'{'}
		for i := 0; i+1 < len(n.Content); i += 2 {
			out = append(strconv.AppendQuote(out, n.Content[i].Value), ':')
			out = append(append(out, normalize(n.Content[i+1])...), ',')
		}
		return append(out, '}')
	case yaml.SequenceNode:
		type entry struct {
			node *yaml.Node
			text []byte
		}
		entries := make([]entry, len(n.Content))
		for i, c := range n.Content {
			entries[i] = entry{c, normalize(c)}
		}
		slices.SortStableFunc(entries, func(a, b entry) int { return bytes.Compare(a.text, b.text) })
		out := []byte{'['}
		for i, e := range entries {
			n.Content[i] = e.node
			out = append(append(out, e.text...), ',')
		}
		return append(out, ']')
	default:
		return strconv.AppendQuote([]byte(n.Tag), n.Value)
	}
}

func compareNodes(a, b *yaml.Node) (out []FieldChange) {
	x, y := map[string]string{}, map[string]string{}
	flatten(a, "", x)
	flatten(b, "", y)
	paths := slices.Collect(maps.Keys(x))
	for p := range y {
		if _, ok := x[p]; !ok {
			paths = append(paths, p)
		}
	}
	slices.Sort(paths)
	for _, p := range paths {
		if x[p] != y[p] {
			out = append(out, FieldChange{Path: p, Old: x[p], New: y[p]})
		}
	}
	return out
}

// flatten gives each scalar, and each list of scalars as one, by its path.
func flatten(n *yaml.Node, path string, to map[string]string) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			flatten(n.Content[i+1], join(path, n.Content[i].Value), to)
		}
	case yaml.SequenceNode:
		if len(n.Content) > 0 && n.Content[0].Kind == yaml.ScalarNode {
			values := make([]string, len(n.Content))
			for i, c := range n.Content {
				values[i] = c.Value
				if strings.ContainsAny(c.Value, ",\"") {
					values[i] = strconv.Quote(c.Value)
				}
			}
			to[path] = strings.Join(values, ", ")
			return
		}
		for i, c := range n.Content {
			flatten(c, path+"["+strconv.Itoa(i)+"]", to)
		}
	default:
		to[path] = n.Value
	}
}
