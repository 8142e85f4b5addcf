package gateway

import (
	"net/url"
	"strings"
)

const (
	methodAny    = "ANY"
	defaultRoute = "$default"
)

// router finds the route of a call as API Gateway does. It is a tree of path
// segments, immutable once made.
//
// REST APIs choose the resource first: a literal segment before a parameter
// before {proxy+}. A resource without the call's method is a miss, and another
// resource is not tried. HTTP APIs choose route and method together: a full
// match, then a greedy one, then $default.
type router struct {
	root   node
	http   bool
	others *route // $default
}

type node struct {
	literals map[string]*node
	param    *node
	routes   []*route // that end here
	greedy   []*route // that end here in {proxy+}
}

// add puts a route in the tree and returns the one that already stands at the
// same place with the same method, if there is one.
func (r *router) add(rt *route) *route {
	if rt.path == defaultRoute {
		if r.others != nil {
			return r.others
		}
		r.others = rt
		return nil
	}
	n := &r.root
	for i, s := range rt.segments {
		if isGreedy(s) && i == len(rt.segments)-1 {
			if same := choose(n.greedy, rt.method); same != nil && same.method == rt.method {
				return same
			}
			n.greedy = append(n.greedy, rt)
			return nil
		}
		n = n.child(s)
	}
	if same := choose(n.routes, rt.method); same != nil && same.method == rt.method {
		return same
	}
	n.routes = append(n.routes, rt)
	return nil
}

func (n *node) child(segment string) *node {
	if isParam(segment) {
		if n.param == nil {
			n.param = &node{}
		}
		return n.param
	}
	c, ok := n.literals[segment]
	if !ok {
		c = &node{}
		if n.literals == nil {
			n.literals = map[string]*node{}
		}
		n.literals[segment] = c
	}
	return c
}

// find returns the route of a canonical path, or nil.
func (r *router) find(method, path string) *route {
	if !r.http {
		return choose(r.root.resource(strings.TrimSuffix(path, "/")), method)
	}
	if path == "/" {
		path = ""
	}
	if rt := r.root.full(path, method); rt != nil {
		return rt
	}
	if rt := r.root.greediest(path, method); rt != nil {
		return rt
	}
	return r.others
}

// next splits the first segment from a path; both begin with a slash, and the
// rest is empty at the end.
func next(path string) (segment, rest string) {
	path = strings.TrimPrefix(path, "/")
	i := strings.IndexByte(path, '/')
	if i < 0 {
		return path, ""
	}
	return path[:i], path[i:]
}

func isParam(segment string) bool {
	return len(segment) > 2 && segment[0] == '{' && segment[len(segment)-1] == '}'
}

func isGreedy(segment string) bool { return isParam(segment) && segment[len(segment)-2] == '+' }

// resource returns the methods of the best resource of a REST API. Each step goes
// one segment on, and gives up where the tree ends, so a long path cannot make the
// search longer than the API has resources.
func (n *node) resource(path string) []*route {
	if path == "" {
		return n.routes
	}
	segment, rest := next(path)
	if c := n.literals[segment]; c != nil {
		if routes := c.resource(rest); routes != nil {
			return routes
		}
	}
	if n.param != nil && segment != "" {
		if routes := n.param.resource(rest); routes != nil {
			return routes
		}
	}
	return n.greedy
}

func (n *node) full(path, method string) *route {
	if path == "" {
		return choose(n.routes, method)
	}
	segment, rest := next(path)
	if c := n.literals[segment]; c != nil {
		if rt := c.full(rest, method); rt != nil {
			return rt
		}
	}
	if n.param != nil && segment != "" {
		return n.param.full(rest, method)
	}
	return nil
}

func (n *node) greediest(path, method string) *route {
	if path == "" || path == "/" {
		return nil
	}
	segment, rest := next(path)
	if c := n.literals[segment]; c != nil {
		if rt := c.greediest(rest, method); rt != nil {
			return rt
		}
	}
	if n.param != nil && segment != "" {
		if rt := n.param.greediest(rest, method); rt != nil {
			return rt
		}
	}
	return choose(n.greedy, method)
}

// choose prefers the method itself to ANY.
func choose(routes []*route, method string) *route {
	var fallback *route
	for _, rt := range routes {
		switch rt.method {
		case method:
			return rt
		case methodAny:
			fallback = rt
		}
	}
	return fallback
}

// canonicalPath undoes percent-encoding but for %2F and %25, which would change
// where segments end. Routes and policies see this form: a Deny on /admin must
// meet a call to /%61dmin, which reaches the route of /admin. ok is false where
// the encoding is broken.
func canonicalPath(raw string) (path string, ok bool) {
	if strings.IndexByte(raw, '%') < 0 {
		return raw, true
	}
	var b strings.Builder
	b.Grow(len(raw))
	for i := 0; i < len(raw); i++ {
		if raw[i] != '%' {
			b.WriteByte(raw[i])
			continue
		}
		if i+2 >= len(raw) {
			return "", false
		}
		hi, lo := unhex(raw[i+1]), unhex(raw[i+2])
		if hi > 15 || lo > 15 {
			return "", false
		}
		switch c := hi<<4 | lo; c {
		case '/':
			b.WriteString("%2F")
		case '%':
			b.WriteString("%25")
		default:
			b.WriteByte(c)
		}
		i += 2
	}
	return b.String(), true
}

func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// parameter is a path parameter of a call: as it came, and decoded.
type parameter struct{ name, raw, value string }

// parameters are the values of the route's parameters in a raw path.
func (rt *route) parameters(raw string) []parameter {
	if !rt.hasParams {
		return nil
	}
	var out []parameter
	for _, s := range rt.segments {
		if isGreedy(s) {
			rest := strings.TrimPrefix(raw, "/")
			return append(out, parameter{s[1 : len(s)-2], rest, unescape(rest)})
		}
		var segment string
		segment, raw = next(raw)
		if isParam(s) {
			out = append(out, parameter{s[1 : len(s)-1], segment, unescape(segment)})
		}
	}
	return out
}

func unescape(s string) string {
	if v, err := url.PathUnescape(s); err == nil {
		return v
	}
	return s
}
