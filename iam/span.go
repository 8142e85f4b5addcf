package iam

// Spans returns where each statement stands in the text that Parse was given:
// its first byte and the one after its last. It returns nil for a document that
// was not parsed.
func (d *Document) Spans() [][2]int {
	if d.node == nil {
		return nil
	}
	n := d.node.member("Statement")
	list := []*node{n}
	if n.kind == nodeList {
		list = n.items
	}
	out := make([][2]int, len(list))
	for i, s := range list {
		out[i] = [2]int{s.start, s.end}
	}
	return out
}
