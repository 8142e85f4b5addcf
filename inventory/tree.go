package inventory

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// tree learns route templates from concrete paths where neither the logs nor
// the estate name a route. There is one a stage: methods share it, so that GET
// and DELETE of the same thing agree on its template.
//
// A segment that is a value by itself (classify) is a parameter at once. Text
// becomes a parameter only on evidence from many requests, of two kinds:
//
//   - Siblings: a set of names is small, a set of values grows. Each distinct
//     sibling adds a weight by its form, doubled below a plural noun and beside
//     values that stand in the same place; at enoughWeight they are values.
//   - Structure: if alikeChildren siblings have the same name below them
//     (users/ann/orders, users/bob/orders, …) they are values of one kind.
//
// Fixed words (me, search, v2) are never evidence and never merged. Both kinds
// depend only on the set of paths seen, never on their order or number, and a
// set only grows: the same paths in any order end in the same templates, but
// where a merge below hides a name that would have been evidence above. Merges
// are not undone; an endpoint that a better source names is never merged.
type tree struct {
	root node
}

type node struct {
	segment  string // "" for the root and for parameters
	name     string // of a parameter, without braces
	depth    int
	parent   *node
	literals map[string]*node
	param    *node
	// open says that free text in the place of this node's children is a value.
	open bool
	// weight is the evidence of the literal children.
	weight   int
	distinct int
	// ends are the endpoints that end here, by method; few.
	ends []*endpoint
}

const (
	enoughWeight  = 100
	enoughAtRoot  = 200 // resources stand there, seldom values
	enoughValues  = 6   // whatever they weigh
	alikeChildren = 6
	// maxSiblings bounds the literal children of a node whatever they are.
	maxSiblings = 256
	// maxSegments bounds the depth; what is below is one greedy parameter.
	maxSegments = 16
)

// next cuts the first non-empty segment off a path. Matrix parameters
// (";jsessionid=…") are no part of the resource.
func next(path string) (segment, rest string) {
	for len(path) > 0 && path[0] == '/' {
		path = path[1:]
	}
	if at := strings.IndexByte(path, '/'); at >= 0 {
		segment, rest = path[:at], path[at:]
	} else {
		segment = path
	}
	if at := strings.IndexByte(segment, ';'); at > 0 {
		segment = segment[:at]
	}
	return segment, rest
}

// find returns the node where a path ends, or nil. It learns nothing.
func (t *tree) find(path string) *node {
	n := &t.root
	for {
		segment, rest := next(path)
		if segment == "" {
			return n
		}
		if n.depth == maxSegments {
			return n.param
		}
		child := n.literals[segment]
		if child == nil && n.param != nil {
			if n.takes(classify(segment, n.depth)) {
				child = n.param
			}
		}
		if child == nil {
			return nil
		}
		n, path = child, rest
	}
}

// takes reports whether a segment of form f that is no literal child of n is a
// value of its parameter. Versions are fixed words without end, so there is a
// bound for them too.
func (n *node) takes(f form) bool {
	return f == formValue || n.open && f != formFixed || len(n.literals) >= 2*maxSiblings
}

// grow returns the node where a path ends and makes what is missing of the way.
func (t *tree) grow(path string) *node {
	n := &t.root
	for {
		segment, rest := next(path)
		if segment == "" {
			return n
		}
		if n.depth == maxSegments {
			return n.parameter()
		}
		n, path = n.child(segment), rest
	}
}

func (n *node) child(segment string) *node {
	if child := n.literals[segment]; child != nil {
		return child
	}
	f := classify(segment, n.depth)
	if n.takes(f) {
		return n.parameter()
	}
	return n.literal(segment, f)
}

func (n *node) literal(segment string, f form) *node {
	segment = strings.Clone(segment)
	child := &node{segment: segment, depth: n.depth + 1, parent: n}
	if n.literals == nil {
		n.literals = map[string]*node{}
	}
	n.literals[segment] = child
	if w := weightOf(f); w > 0 {
		n.weight += w
		n.distinct++
	}
	return child
}

func weightOf(f form) int {
	switch f {
	case formName:
		return 1
	case formCompound:
		return 2
	case formMixed:
		return 4
	default:
		return 0
	}
}

// parameter returns the parameter below n. Its name is unique on its way, as a
// template needs.
func (n *node) parameter() *node {
	if n.param != nil {
		return n.param
	}
	name := parameterName(n.segment)
	if n.depth == maxSegments {
		name = "rest+"
	}
	for base, i := name, 2; n.names(name); i++ {
		name = base + strconv.Itoa(i)
	}
	n.param = &node{name: name, depth: n.depth + 1, parent: n}
	return n.param
}

func (n *node) names(name string) bool {
	for ; n != nil; n = n.parent {
		if n.name == name {
			return true
		}
	}
	return false
}

// template returns the route that ends at n.
func (n *node) template() string {
	if n.parent == nil {
		return "/"
	}
	var parts []string
	for ; n.parent != nil; n = n.parent {
		if n.name != "" {
			parts = append(parts, "{"+n.name+"}")
		} else {
			parts = append(parts, n.segment)
		}
	}
	slices.Reverse(parts)
	return "/" + strings.Join(parts, "/")
}

// settle merges all that the evidence asks for after a path that ends at n was
// grown, and returns the endpoints that stand somewhere else now.
func (t *tree) settle(path string) (moved []*endpoint) {
	for {
		n := overgrown(t.find(path))
		if n == nil {
			return moved
		}
		moved = append(moved, n.merge()...)
		moved = n.param.settleBelow(moved)
	}
}

// settleBelow merges what the union of merged siblings has made evident.
func (n *node) settleBelow(moved []*endpoint) []*endpoint {
	if !n.open && (n.manyValues() || n.anyAlike()) {
		moved = append(moved, n.merge()...)
	}
	for _, name := range slices.Sorted(maps.Keys(n.literals)) {
		moved = n.literals[name].settleBelow(moved)
	}
	if n.param != nil {
		moved = n.param.settleBelow(moved)
	}
	return moved
}

// overgrown walks from the end of a path that was just grown to the root and
// returns the first node whose children are shown to be values.
func overgrown(n *node) *node {
	for ; n != nil; n = n.parent {
		if !n.open && n.manyValues() {
			return n
		}
		// n is a name below a sibling: do its cousins have the same?
		if up := n.grandparent(); up != nil && !up.open && up.alike(n.segment) >= alikeChildren {
			return up
		}
	}
	return nil
}

// grandparent returns the node above the parent of n if both n and its parent
// are names that could tell something.
func (n *node) grandparent() *node {
	if n.segment == "" || n.parent == nil || n.parent.segment == "" || fixed(n) || fixed(n.parent) {
		return nil
	}
	return n.parent.parent
}

func fixed(n *node) bool { return classify(n.segment, n.depth-1) == formFixed }

func (n *node) manyValues() bool {
	if len(n.literals) >= maxSiblings {
		return true
	}
	weight, enough := n.weight, enoughWeight
	if n.parent == nil {
		enough = enoughAtRoot
	} else if isPlural(n.segment) {
		weight *= 2
	}
	if n.param != nil {
		weight *= 2
	}
	return weight >= enough && n.distinct >= enoughValues
}

// alike counts the children of n that could be values and have a child of the
// given name.
func (n *node) alike(name string) int {
	count := 0
	for _, child := range n.literals {
		if child.literals[name] != nil && !fixed(child) {
			count++
		}
	}
	return count
}

// anyAlike is alike for every name below the children of n.
func (n *node) anyAlike() bool {
	counts := map[string]int{}
	for _, child := range n.literals {
		if fixed(child) {
			continue
		}
		for name, grandchild := range child.literals {
			if counts[name]++; counts[name] >= alikeChildren && !fixed(grandchild) {
				return true
			}
		}
	}
	return false
}

// merge makes the free text below n one parameter and returns the endpoints
// that stand somewhere else now. Children that are fixed words or hold an
// endpoint that a better source names stay as they are.
func (n *node) merge() (moved []*endpoint) {
	n.open = true
	target := n.parameter()
	for _, name := range slices.Sorted(maps.Keys(n.literals)) {
		child := n.literals[name]
		if fixed(child) || child.pinned() {
			continue
		}
		delete(n.literals, name)
		moved = target.absorb(child, moved)
	}
	n.weight, n.distinct = 0, 0
	return moved
}

// pinned reports whether an endpoint of a better source stands at n or below.
func (n *node) pinned() bool {
	for _, e := range n.ends {
		if e.source != learned {
			return true
		}
	}
	for _, child := range n.literals {
		if child.pinned() {
			return true
		}
	}
	return n.param != nil && n.param.pinned()
}

// absorb takes all that hangs on o. Until the inventory has moved them, two of
// its endpoints may have the same method.
func (n *node) absorb(o *node, moved []*endpoint) []*endpoint {
	for _, e := range o.ends {
		e.node = n
		n.ends = append(n.ends, e)
		moved = append(moved, e)
	}
	for _, name := range slices.Sorted(maps.Keys(o.literals)) {
		f := classify(name, n.depth)
		if n.open && f != formFixed {
			moved = n.parameter().absorb(o.literals[name], moved)
			continue
		}
		mine := n.literals[name]
		if mine == nil {
			mine = n.literal(name, f)
		}
		moved = mine.absorb(o.literals[name], moved)
	}
	if o.open && !n.open {
		// What was known to be values below one sibling is so below all.
		moved = append(moved, n.merge()...)
	}
	if o.param != nil {
		moved = n.parameter().absorb(o.param, moved)
	}
	return moved
}

// plant puts a saved template back into the tree and returns its end.
func (t *tree) plant(route string) *node {
	n := &t.root
	for {
		segment, rest := next(route)
		if segment == "" {
			return n
		}
		switch {
		case isTemplate(segment):
			n = n.parameter()
		case n.literals[segment] != nil:
			n = n.literals[segment]
		default:
			n = n.literal(segment, classify(segment, n.depth))
		}
		route = rest
	}
}

func isTemplate(segment string) bool {
	return len(segment) > 2 && segment[0] == '{' && segment[len(segment)-1] == '}'
}
