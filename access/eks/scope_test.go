package eks

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func drawScope(t *rapid.T) scope {
	if rapid.IntRange(0, 4).Draw(t, "cluster") == 0 {
		return scope{cluster: true}
	}
	var s scope
	for _, n := range rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "dev-*", "*"}), 0, 4).Draw(t, "namespaces") {
		s = s.merge(scope{namespaces: []string{n}})
	}
	return s
}

// A scope is a set of places. Merging is their union, whatever the order, and the tag
// that holds one gives it back.
func TestScopeIsASet(t *testing.T) {
	t.Parallel()
	places := func(s scope) map[string]bool {
		all := map[string]bool{}
		for _, n := range s.namespaces {
			all[n] = true
		}
		if s.cluster {
			for _, n := range []string{"a", "b", "c", "dev-*", "*", "the cluster"} {
				all[n] = true
			}
		}
		return all
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := drawScope(t), drawScope(t), drawScope(t)
		both := a.merge(b)
		for place := range places(scope{cluster: true}) {
			if places(both)[place] != (places(a)[place] || places(b)[place]) {
				t.Fatalf("%v and %v make %v: %s", a, b, both, place)
			}
		}
		if !both.equal(b.merge(a)) || !both.merge(c).equal(a.merge(b.merge(c))) || !a.merge(a).equal(a) || !a.merge(scope{}).equal(a) {
			t.Fatalf("merging %v, %v and %v depends on the order", a, b, c)
		}
		if !slices.IsSorted(both.namespaces) {
			t.Fatalf("%v is not sorted", both)
		}
		back, ok := parseScope(both.String())
		if !ok || !back.equal(both) {
			t.Fatalf("%v is written as %q and read as %v", both, both.String(), back)
		}
	})
}
