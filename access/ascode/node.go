package ascode

import (
	"math/big"
	"strconv"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// node is an object of a Terraform text, of which each attribute is taken once.
type node struct {
	r      *tfReader
	at     hcl.Range
	path   string
	values map[string]cty.Value
	taken  map[string]bool
	hints  map[string]string
}

// resource evaluates a block's attributes. The connector is not ours, so it may be any
// expression.
func (r *tfReader) resource(b *hclsyntax.Block) *node {
	n := &node{r: r, at: b.DefRange(), values: map[string]cty.Value{}, taken: map[string]bool{"depends_on": true, "connector_id": true}}
	for _, inner := range b.Body.Blocks {
		if inner.Type != "lifecycle" {
			r.fail(inner.DefRange(), inner.Type, "is a block; the schema has attributes: write %s = { … }", inner.Type)
		}
	}
	ok := true
	for name, a := range b.Body.Attributes {
		if n.taken[name] {
			continue
		}
		v, diags := a.Expr.Value(r.context)
		if diags.HasErrors() || !v.IsWhollyKnown() || v.ContainsMarked() {
			r.fail(a.SrcRange, name, "cannot be read without Terraform: write the value out")
			ok = false
			continue
		}
		n.values[name] = v
	}
	if !ok {
		return nil
	}
	return n
}

func (n *node) fail(key, format string, args ...any) {
	n.r.fail(n.at, join(n.path, key), format, args...)
}

func join(path, key string) string {
	if path == "" || key == "" {
		return path + key
	}
	return path + "." + key
}

func (n *node) take(key string, required bool) (cty.Value, bool) {
	n.taken[key] = true
	v, ok := n.values[key]
	if ok = ok && !v.IsNull(); !ok && required {
		n.fail(key, "is missing")
	}
	return v, ok
}

// done refuses what nobody took: a misspelled attribute must not be silently nothing.
func (n *node) done() {
	for key := range n.values {
		if !n.taken[key] {
			n.fail(key, "the schema has no such attribute%s", n.hints[key])
		}
	}
}

func (n *node) text(key string, required bool) string {
	v, ok := n.take(key, required)
	if !ok {
		return ""
	}
	if v.Type() != cty.String {
		n.fail(key, "must be a string")
		return ""
	}
	return v.AsString()
}

func (n *node) truth(key string, otherwise bool) bool {
	v, ok := n.take(key, false)
	if !ok {
		return otherwise
	}
	if v.Type() != cty.Bool {
		n.fail(key, "must be true or false")
		return otherwise
	}
	return v.True()
}

func (n *node) number(key string) (int, bool) {
	v, ok := n.take(key, false)
	if !ok {
		return 0, false
	}
	if v.Type() == cty.Number {
		if i, acc := v.AsBigFloat().Int64(); acc == big.Exact && i >= 0 && i <= 1<<30 {
			return int(i), true
		}
	}
	n.fail(key, "must be a whole number")
	return 0, false
}

func (n *node) minutes(key string) (time.Duration, bool) {
	m, ok := n.number(key)
	return time.Duration(m) * time.Minute, ok
}

// elements are those of a list, a set or a tuple.
func (n *node) elements(key string, required bool) []cty.Value {
	v, ok := n.take(key, required)
	if !ok {
		return nil
	}
	if t := v.Type(); !t.IsTupleType() && !t.IsListType() && !t.IsSetType() {
		n.fail(key, "must be a list")
		return nil
	}
	return v.AsValueSlice()
}

func (n *node) texts(key string, required bool) (out []string) {
	for i, v := range n.elements(key, required) {
		if v.IsNull() || v.Type() != cty.String {
			n.fail(key+"["+strconv.Itoa(i)+"]", "must be a string")
			continue
		}
		out = append(out, v.AsString())
	}
	return out
}

func (n *node) child(v cty.Value, path string) *node {
	if v.IsNull() || !v.Type().IsObjectType() && !v.Type().IsMapType() {
		n.r.fail(n.at, path, "must be an object")
		return nil
	}
	return &node{r: n.r, at: n.at, path: path, values: v.AsValueMap(), taken: map[string]bool{}}
}

func (n *node) object(key string, required bool) *node {
	v, ok := n.take(key, required)
	if !ok {
		return nil
	}
	return n.child(v, join(n.path, key))
}

func (n *node) objects(key string, required bool) (out []*node) {
	for i, v := range n.elements(key, required) {
		if c := n.child(v, join(n.path, key)+"["+strconv.Itoa(i)+"]"); c != nil {
			out = append(out, c)
		}
	}
	return out
}
