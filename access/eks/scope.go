package eks

import (
	"slices"
	"strings"
)

// scope is where an access policy holds: in the whole cluster, or in namespaces, which
// may have wildcards. The zero scope is nowhere.
type scope struct {
	cluster    bool
	namespaces []string // sorted, each once
}

func (s scope) empty() bool { return !s.cluster && len(s.namespaces) == 0 }

func (s scope) equal(o scope) bool {
	return s.cluster == o.cluster && slices.Equal(s.namespaces, o.namespaces)
}

// merge is what holds where either does. The whole cluster takes in every namespace; a
// wildcard is not taken apart, for what it matches changes with the cluster.
func (s scope) merge(o scope) scope {
	if s.cluster || o.cluster {
		return scope{cluster: true}
	}
	all := append(slices.Clone(s.namespaces), o.namespaces...)
	slices.Sort(all)
	return scope{namespaces: slices.Compact(all)}
}

// String is the scope as a tag can hold it, which takes neither a comma nor a star:
// "none", "cluster", or namespaces between spaces with @ for *.
func (s scope) String() string {
	switch {
	case s.cluster:
		return "cluster"
	case len(s.namespaces) == 0:
		return "none"
	}
	return "in " + strings.ReplaceAll(strings.Join(s.namespaces, " "), "*", "@")
}

// parseScope reads what String wrote; ok is false for anything else.
func parseScope(text string) (s scope, ok bool) {
	switch text {
	case "cluster":
		return scope{cluster: true}, true
	case "none":
		return scope{}, true
	}
	rest, found := strings.CutPrefix(text, "in ")
	if !found {
		return scope{}, false
	}
	for name := range strings.SplitSeq(rest, " ") {
		name = strings.ReplaceAll(name, "@", "*")
		if !namespaceShape.MatchString(name) {
			return scope{}, false
		}
		s = s.merge(scope{namespaces: []string{name}})
	}
	return s, true
}
