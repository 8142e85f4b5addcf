package awssim

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// The namespaces that SAML needs.
const (
	nsXML       = "http://www.w3.org/XML/1998/namespace"
	nsSignature = "http://www.w3.org/2000/09/xmldsig#"
	nsProtocol  = "urn:oasis:names:tc:SAML:2.0:protocol"
	nsAssertion = "urn:oasis:names:tc:SAML:2.0:assertion"
	nsMetadata  = "urn:oasis:names:tc:SAML:2.0:metadata"
	nsExclusive = "http://www.w3.org/2001/10/xml-exc-c14n#"
)

// element is an element of a document that was read whole. What the document can
// hold is narrow on purpose: no comments, no processing instructions, no document
// type, for each is a way of making two readers see two things.
type element struct {
	prefix, local, space string
	attrs                []attribute
	scope                map[string]string // namespaces by prefix, all that are in scope
	children             []any             // *element or string
}

type attribute struct{ prefix, local, space, value string }

const (
	maxDepth      = 64
	maxAttributes = 64
)

// parseXML reads a document into its root element.
func parseXML(text string) (*element, error) {
	d := xml.NewDecoder(strings.NewReader(text))
	d.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, fmt.Errorf("the encoding %q is not UTF-8", charset)
	}
	var root *element
	var open []*element
	for first := true; ; first = false {
		token, err := d.RawToken()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading XML: %w", err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			if root != nil && len(open) == 0 || len(open) == maxDepth {
				return nil, errors.New("reading XML: a second root, or elements too deep")
			}
			var parent *element
			if len(open) > 0 {
				parent = open[len(open)-1]
			}
			e, err := newElement(parent, t)
			if err != nil {
				return nil, err
			}
			if parent == nil {
				root = e
			} else {
				parent.children = append(parent.children, e)
			}
			open = append(open, e)
		case xml.EndElement:
			if len(open) == 0 || open[len(open)-1].prefix != t.Name.Space || open[len(open)-1].local != t.Name.Local {
				return nil, errors.New("reading XML: an end tag without its start tag")
			}
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				last := open[len(open)-1]
				last.children = append(last.children, string(t))
			} else if strings.TrimSpace(string(t)) != "" {
				return nil, errors.New("reading XML: text outside the root")
			}
		case xml.ProcInst:
			if !first || t.Target != "xml" {
				return nil, errors.New("reading XML: processing instructions are not taken")
			}
		default:
			return nil, errors.New("reading XML: comments and document types are not taken")
		}
	}
	if root == nil || len(open) > 0 {
		return nil, errors.New("reading XML: the document is not whole")
	}
	return root, nil
}

// newElement resolves the namespaces of a start tag.
func newElement(parent *element, t xml.StartElement) (*element, error) {
	e := &element{prefix: t.Name.Space, local: t.Name.Local, scope: map[string]string{"xml": nsXML}}
	if parent != nil {
		e.scope = parent.scope
	}
	if len(t.Attr) > maxAttributes {
		return nil, errors.New("reading XML: an element has too many attributes")
	}
	own := false
	for _, a := range t.Attr {
		if a.Name.Space != "xmlns" && (a.Name.Space != "" || a.Name.Local != "xmlns") {
			continue
		}
		prefix := ""
		if a.Name.Space == "xmlns" {
			prefix = a.Name.Local
		}
		if prefix == "xml" || prefix == "xmlns" || prefix != "" && a.Value == "" || a.Value == nsXML {
			return nil, errors.New("reading XML: a namespace is declared that cannot be")
		}
		if !own {
			e.scope, own = maps.Clone(e.scope), true
		}
		e.scope[prefix] = a.Value
	}
	var ok bool
	if e.space, ok = e.scope[e.prefix]; !ok && e.prefix != "" {
		return nil, fmt.Errorf("reading XML: the prefix %q is not declared", e.prefix)
	}
	for _, a := range t.Attr {
		if a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns" {
			continue
		}
		if strings.ContainsAny(a.Value, "\t\r\n") {
			// Whether it was written as such or as a reference decides what it is, and
			// the decoder does not tell.
			return nil, errors.New("reading XML: an attribute has a line break")
		}
		out := attribute{prefix: a.Name.Space, local: a.Name.Local, value: a.Value}
		if out.prefix != "" {
			if out.space, ok = e.scope[out.prefix]; !ok {
				return nil, fmt.Errorf("reading XML: the prefix %q is not declared", out.prefix)
			}
		}
		if slices.ContainsFunc(e.attrs, func(b attribute) bool { return b.space == out.space && b.local == out.local }) {
			return nil, fmt.Errorf("reading XML: the attribute %q is there twice", out.local)
		}
		e.attrs = append(e.attrs, out)
	}
	return e, nil
}

func (e *element) is(space, local string) bool { return e.space == space && e.local == local }

// attr returns an attribute that has no namespace.
func (e *element) attr(local string) string {
	for _, a := range e.attrs {
		if a.space == "" && a.local == local {
			return a.value
		}
	}
	return ""
}

// elements returns the children of that name.
func (e *element) elements(space, local string) []*element {
	var out []*element
	for _, c := range e.children {
		if child, ok := c.(*element); ok && child.is(space, local) {
			out = append(out, child)
		}
	}
	return out
}

// only returns the one child of that name, or nil if there is none or another.
func (e *element) only(space, local string) *element {
	if e == nil {
		return nil
	}
	if all := e.elements(space, local); len(all) == 1 {
		return all[0]
	}
	return nil
}

// walk visits the element and all below it.
func (e *element) walk(visit func(*element)) {
	visit(e)
	for _, c := range e.children {
		if child, ok := c.(*element); ok {
			child.walk(visit)
		}
	}
}

// text is the text of an element that has nothing else in it.
func (e *element) text() string {
	if e == nil {
		return ""
	}
	var b strings.Builder
	for _, c := range e.children {
		s, ok := c.(string)
		if !ok {
			return ""
		}
		b.WriteString(s)
	}
	return strings.TrimSpace(b.String())
}

// canonical writes the element by Exclusive XML Canonicalization 1.0 without
// comments, leaving out one element below it. inclusive are the prefixes of
// InclusiveNamespaces.
func (e *element) canonical(b []byte, without *element, inclusive []string) []byte {
	return e.appendCanonical(b, without, inclusive, map[string]string{})
}

func (e *element) appendCanonical(b []byte, without *element, inclusive []string, rendered map[string]string) []byte {
	b = append(b, '<')
	b = appendName(b, e.prefix, e.local)
	used := append([]string{e.prefix}, inclusive...)
	for _, a := range e.attrs {
		if a.prefix != "" {
			used = append(used, a.prefix)
		}
	}
	slices.Sort(used)
	used = slices.Compact(used)
	below, own := rendered, false
	for _, prefix := range used {
		space, declared := e.scope[prefix]
		if prefix == "xml" || rendered[prefix] == space || !declared && prefix != "" {
			continue
		}
		if !own {
			below, own = maps.Clone(rendered), true
		}
		below[prefix] = space
		b = append(b, " xmlns"...)
		if prefix != "" {
			b = append(b, ':')
			b = append(b, prefix...)
		}
		b = append(b, `="`...)
		b = appendEscaped(b, space, true)
		b = append(b, '"')
	}
	attrs := slices.Clone(e.attrs)
	slices.SortFunc(attrs, func(x, y attribute) int {
		if c := strings.Compare(x.space, y.space); c != 0 {
			return c
		}
		return strings.Compare(x.local, y.local)
	})
	for _, a := range attrs {
		b = append(b, ' ')
		b = appendName(b, a.prefix, a.local)
		b = append(b, `="`...)
		b = appendEscaped(b, a.value, true)
		b = append(b, '"')
	}
	b = append(b, '>')
	for _, c := range e.children {
		switch c := c.(type) {
		case string:
			b = appendEscaped(b, c, false)
		case *element:
			if c != without {
				b = c.appendCanonical(b, without, inclusive, below)
			}
		}
	}
	b = append(b, "</"...)
	b = appendName(b, e.prefix, e.local)
	return append(b, '>')
}

func appendName(b []byte, prefix, local string) []byte {
	if prefix != "" {
		b = append(b, prefix...)
		b = append(b, ':')
	}
	return append(b, local...)
}

func appendEscaped(b []byte, s string, inAttribute bool) []byte {
	for i := range len(s) {
		switch c := s[i]; {
		case c == '&':
			b = append(b, "&amp;"...)
		case c == '<':
			b = append(b, "&lt;"...)
		case c == '\r':
			b = append(b, "&#xD;"...)
		case c == '>' && !inAttribute:
			b = append(b, "&gt;"...)
		case c == '"' && inAttribute:
			b = append(b, "&quot;"...)
		default:
			b = append(b, c)
		}
	}
	return b
}
