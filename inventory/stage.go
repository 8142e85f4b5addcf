package inventory

import (
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// StageKey is a stage of an API.
type StageKey struct {
	APIType transaction.APIType `json:"api_type"`
	Account string              `json:"account"`
	Region  string              `json:"region"`
	APIID   string              `json:"api_id"`
	Stage   string              `json:"stage"`
}

// API returns the name under which the stage's traffic is saved:
// "account/region/api_id/stage".
func (k StageKey) API() string {
	return k.Account + "/" + k.Region + "/" + k.APIID + "/" + k.Stage
}

// methodRoute finds an endpoint within its stage.
type methodRoute struct{ method, route string }

// stage is an API's stage in memory.
type stage struct {
	key       StageKey
	api       string // key.API()
	name      string // of the API, from the estate
	endpoints map[methodRoute]*endpoint
	tree      tree

	probes   int64
	unrouted int64
	overflow int64
	dirty    bool // is in Inventory.dirtyStages

	// lastRoute and lastEndpoint spare the look-up for the calls that follow
	// each other to the same route, as those of one log group often do.
	lastRoute    methodRoute
	lastEndpoint *endpoint
}

// standing says what a call is for the inventory.
type standing uint8

const (
	// routed calls have a route from the logs or the estate.
	routed standing = iota
	// learnable calls succeeded far enough to show that their path exists.
	learnable
	// vouched calls count for an endpoint that is known already and make none:
	// what failed or was throttled says nothing of its path.
	vouched
	// probing calls asked for what is not there, or may not be there.
	probing
	// placeless calls have no path to learn from.
	placeless
)

// standingOf judges a call. A 403 or 404 whose route nobody knows is a probe:
// API Gateway answers 403 "Missing Authentication Token" for resources that do
// not exist, and a scanner must not fill the inventory.
func standingOf(t *transaction.Transaction, status int) standing {
	if t.Route != "" {
		return routed
	}
	if t.Error != nil {
		switch t.Error.Type {
		case "MISSING_AUTHENTICATION_TOKEN", "RESOURCE_NOT_FOUND", "WAF_FILTERED":
			return probing
		}
	}
	switch {
	case t.APIType == transaction.WebSocket:
		return placeless // its routes are chosen by message, not by path
	case t.Path == "":
		if status == 403 || status == 404 {
			return probing
		}
		return placeless
	case status == 0 || status == 403 || status == 404 || status == 429 || status >= 500:
		return vouched
	default:
		return learnable
	}
}

// methodOf returns the method of an endpoint. WebSocket APIs have event types
// in its place. A method that HTTP does not define is OTHER: callers choose
// methods freely where a route takes any, and must not make endpoints by it.
// ANY stands for a method that the logs did not tell.
func methodOf(t *transaction.Transaction) string {
	if t.APIType == transaction.WebSocket {
		switch {
		case t.EventType == "CONNECT" || t.Route == "$connect":
			return "CONNECT"
		case t.EventType == "DISCONNECT" || t.Route == "$disconnect":
			return "DISCONNECT"
		default:
			return "MESSAGE"
		}
	}
	for _, method := range httpMethods {
		if t.Method == method {
			return method // not t's own, which may be cut from a page of log events
		}
	}
	if t.Method == "" {
		return "ANY"
	}
	return "OTHER"
}

var httpMethods = [...]string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "ANY", "TRACE", "CONNECT"}

// known returns the endpoint of a route that the logs or the estate name.
func (inv *Inventory) known(s *stage, t *transaction.Transaction, method string) *endpoint {
	at := methodRoute{method, t.Route}
	e := s.lastEndpoint
	if e == nil || s.lastRoute != at {
		if e = s.endpoints[at]; e == nil {
			if e = inv.newEndpoint(s, methodRoute{method, strings.Clone(t.Route)}, t.RouteSource); e == nil {
				return nil
			}
		}
		s.lastRoute, s.lastEndpoint = methodRoute{e.method, e.route}, e
	}
	if sourceRank(t.RouteSource) < sourceRank(e.source) {
		e.source = t.RouteSource
	}
	return e
}

// learn returns the endpoint of a path without a route, or nil if there is none
// and the call may not make one.
func (inv *Inventory) learn(s *stage, path, method string, mayLearn bool) *endpoint {
	end := s.tree.find(path)
	if e := end.endpoint(method); e != nil || !mayLearn {
		return e
	}
	if inv.full() {
		return nil
	}
	end = s.tree.grow(path)
	inv.link(s, end, method)
	for _, moved := range s.tree.settle(path) {
		inv.move(moved)
	}
	return s.tree.find(path).endpoint(method)
}

func (n *node) endpoint(method string) *endpoint {
	if n == nil {
		return nil
	}
	for _, e := range n.ends {
		if e.method == method {
			return e
		}
	}
	return nil
}

// link puts the endpoint of a learned template at its node. A better source may
// have named the same template before; then it is the same endpoint.
func (inv *Inventory) link(s *stage, n *node, method string) {
	at := methodRoute{method, n.template()}
	e := s.endpoints[at]
	if e == nil {
		e = inv.newEndpoint(s, at, learned)
	}
	if e != nil {
		e.node = n
		n.ends = append(n.ends, e)
	}
}

// move brings an endpoint to the template of its node: it takes a new key, or
// is merged into the endpoint that has that key. Its old ID becomes an alias.
func (inv *Inventory) move(e *endpoint) {
	if e.gone {
		return
	}
	s, route := e.stage, e.node.template()
	if route == e.route {
		return
	}
	old, at := e.id, methodRoute{e.method, route}
	delete(s.endpoints, methodRoute{e.method, e.route})
	if s.lastEndpoint == e {
		s.lastEndpoint = nil
	}
	into := s.endpoints[at]
	if into == nil {
		e.route = route
		e.id = e.key().ID()
		s.endpoints[at] = e
		into = e
	} else {
		inv.coverage[e.best]--
		inv.coverage[into.best]--
		inv.droppedSamples = append(inv.droppedSamples, into.merge(e)...)
		inv.coverage[into.best]++
		inv.count--
		e.gone = true
		e.node.ends = slices.DeleteFunc(e.node.ends, func(end *endpoint) bool { return end == e })
		if into.node == nil {
			into.node = e.node
			into.node.ends = append(into.node.ends, into)
		}
	}
	inv.removed = append(inv.removed, old)
	inv.aliases = append(inv.aliases, Alias{From: old, To: into.id})
	inv.metrics.merged.Inc()
	inv.touchStage(s)
	inv.touch(into)
}
