package estate

import (
	"net/url"
	"strings"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// methodAny is the method of a route that takes every method which no other
// route of its path takes.
const methodAny = "ANY"

// router finds the route of a call among the routes of one API. It is a tree of
// path segments, immutable once made, and allocates nothing for a path without
// percent-encoding.
//
// REST APIs choose the resource first, position by position: a literal segment
// before a parameter before {proxy+}. A resource without the call's method
// answers 403 and another resource is not tried.
//
// HTTP APIs choose route and method together: a full match, then a greedy one,
// then $default; among several, position by position as above, and at one path
// the method itself before ANY (AWS: "Create routes for HTTP APIs").
type router struct {
	root   node
	http   bool
	others *Route // $default
}

// node is one segment of the tree. A walk visits each node of it at most once,
// so a long path cannot make a search longer than the API has routes.
type node struct {
	literals map[string]*node
	param    *node
	routes   []*Route // that end here
	greedy   []*Route // that end here in {proxy+}
}

func newRouter(kind transaction.APIType, routes []Route) *router {
	r := &router{http: kind == transaction.HTTP}
	for i := range routes {
		r.add(&routes[i])
	}
	return r
}

func (r *router) add(route *Route) {
	if route.Path == defaultRoute {
		r.others = route
		return
	}
	n := &r.root
	path := trimRoot(route.Path)
	for path != "" {
		var segment string
		segment, path = next(path)
		switch {
		case isGreedy(segment) && path == "":
			n.greedy = append(n.greedy, route)
			return
		case isParam(segment):
			if n.param == nil {
				n.param = &node{}
			}
			n = n.param
		default:
			child, ok := n.literals[segment]
			if !ok {
				child = &node{}
				if n.literals == nil {
					n.literals = map[string]*node{}
				}
				n.literals[segment] = child
			}
			n = child
		}
	}
	n.routes = append(n.routes, route)
}

// find returns the route that API Gateway would choose, or nil.
func (r *router) find(method, path string) *Route {
	if i := strings.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	path = trimRoot(path)
	trimmed := strings.TrimSuffix(path, "/")
	if !r.http {
		// A REST API takes a trailing slash for none.
		return choose(r.root.resource(trimmed), method)
	}
	if route := r.root.full(path, method); route != nil {
		return route
	}
	if route := r.root.greediest(path, method); route != nil {
		return route
	}
	if r.others != nil {
		return r.others
	}
	// An HTTP API keeps a trailing slash apart. Whether it always does is not
	// documented, so a call that was answered all the same falls to the route
	// without the slash.
	if trimmed != path {
		return r.root.full(trimmed, method)
	}
	return nil
}

// trimRoot makes the root path empty and begins every other with a slash.
func trimRoot(path string) string {
	if path == "/" || path == "" {
		return ""
	}
	return path
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

// decoded undoes percent-encoding in one segment, so that an encoded slash does
// not split it. What is not properly encoded is taken as it is.
func decoded(segment string) string {
	if strings.IndexByte(segment, '%') < 0 {
		return segment
	}
	if s, err := url.PathUnescape(segment); err == nil {
		return s
	}
	return segment
}

// resource returns the methods of the best resource of a REST API.
func (n *node) resource(path string) []*Route {
	if path == "" {
		return n.routes
	}
	segment, rest := next(path)
	if child := n.literals[decoded(segment)]; child != nil {
		if routes := child.resource(rest); routes != nil {
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

// full returns the best route of an HTTP API without a greedy segment.
func (n *node) full(path, method string) *Route {
	if path == "" {
		return choose(n.routes, method)
	}
	segment, rest := next(path)
	if child := n.literals[decoded(segment)]; child != nil {
		if route := child.full(rest, method); route != nil {
			return route
		}
	}
	if n.param != nil && segment != "" {
		return n.param.full(rest, method)
	}
	return nil
}

// greediest returns the route of an HTTP API with the most specific path before
// its greedy segment, which takes at least one character.
func (n *node) greediest(path, method string) *Route {
	if path == "" || path == "/" {
		return nil
	}
	segment, rest := next(path)
	if child := n.literals[decoded(segment)]; child != nil {
		if route := child.greediest(rest, method); route != nil {
			return route
		}
	}
	if n.param != nil && segment != "" {
		if route := n.param.greediest(rest, method); route != nil {
			return route
		}
	}
	return choose(n.greedy, method)
}

// choose prefers the method itself to ANY.
func choose(routes []*Route, method string) *Route {
	var fallback *Route
	for _, route := range routes {
		switch route.Method {
		case method:
			return route
		case methodAny:
			fallback = route
		}
	}
	return fallback
}
