package estate

import (
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	authorizationNone = "NONE"
	connectRoute      = "$connect"
)

// Resolver answers what a snapshot knows of a call: the route template that it
// matches, and whether its method asks for authorization. It is immutable and
// safe for concurrent use. The routes are those that the API has now; a stage
// may still serve an older deployment of it.
type Resolver struct {
	apis    map[string][]*apiIndex // by API id, which is nearly always of one API
	groups  []transaction.Group
	created map[string]time.Time // by group key
}

// apiIndex is one API, ready for look-ups.
type apiIndex struct {
	account string
	region  string
	api     *API
	router  *router
	routes  map[methodPath]*Route
}

type methodPath struct{ method, path string }

// NewResolver compiles a snapshot, which must not change afterwards. A nil
// snapshot knows nothing.
func NewResolver(s *Snapshot) *Resolver {
	r := &Resolver{apis: map[string][]*apiIndex{}, created: map[string]time.Time{}}
	if s == nil {
		return r
	}
	for i := range s.Accounts {
		a := &s.Accounts[i]
		for j := range a.Regions {
			region := &a.Regions[j]
			for k := range region.APIs {
				api := &region.APIs[k]
				r.apis[api.ID] = append(r.apis[api.ID], indexAPI(a.ID, region.Name, api))
			}
		}
	}
	r.collectGroups(s)
	return r
}

func indexAPI(account, region string, api *API) *apiIndex {
	index := &apiIndex{
		account: account, region: region, api: api,
		router: newRouter(api.Type, api.Routes),
		routes: make(map[methodPath]*Route, len(api.Routes)),
	}
	for i := range api.Routes {
		route := &api.Routes[i]
		index.routes[methodPath{route.Method, route.Path}] = route
	}
	return index
}

// find returns an API. Account and region narrow the search where they are
// known; an id that two APIs share then names neither.
func (r *Resolver) find(account, region, id string) *apiIndex {
	var found *apiIndex
	for _, index := range r.apis[id] {
		if (account != "" && index.account != account) || (region != "" && index.region != region) {
			continue
		}
		if found != nil {
			return nil
		}
		found = index
	}
	return found
}

// APIName returns the name of an API, or nothing if it is not known.
func (r *Resolver) APIName(account, region, id string) string {
	if index := r.find(account, region, id); index != nil {
		return index.api.Name
	}
	return ""
}

// Enrich adds to t the type of its API, the route template where the logs gave
// none, and that its caller is anonymous where the method is known to ask for
// nothing and nobody was seen. It changes nothing that is there already, and it
// takes no route for a call that API Gateway itself found none for.
func (r *Resolver) Enrich(t *transaction.Transaction) {
	index := r.find(t.Account, t.Region, t.APIID)
	if index == nil {
		return
	}
	if t.APIType == "" {
		t.APIType = index.api.Type
	}
	if t.Error != nil && (t.Error.Type == "MISSING_AUTHENTICATION_TOKEN" || t.Error.Type == "RESOURCE_NOT_FOUND") {
		return
	}
	if index.api.Type == transaction.WebSocket {
		// Only the connection is authorized; its messages carry no identity.
		if route := index.routes[methodPath{"", connectRoute}]; route != nil {
			markAnonymous(t, route)
		}
		return
	}
	route := index.route(t)
	if route == nil {
		return
	}
	if t.Route == "" {
		t.Route, t.RouteSource = route.Path, transaction.RouteFromEstate
	}
	markAnonymous(t, route)
}

// route finds the route of a call, by the template that the logs gave or else
// by its path.
func (x *apiIndex) route(t *transaction.Transaction) *Route {
	if t.Method == "" {
		return nil
	}
	if t.Route != "" {
		if route := x.routes[methodPath{t.Method, t.Route}]; route != nil {
			return route
		}
		return x.routes[methodPath{methodAny, t.Route}]
	}
	// Among some of the routes, the best match may be another than among all.
	if t.Path == "" || x.api.RoutesPartial {
		return nil
	}
	return x.router.find(t.Method, t.Path)
}

func markAnonymous(t *transaction.Transaction, route *Route) {
	if route.Authorization != authorizationNone || route.APIKeyRequired {
		return
	}
	if t.Caller == nil {
		t.Caller = &transaction.Caller{Kind: transaction.CallerAnonymous}
		return
	}
	c := t.Caller
	unseen := c.ARN == "" && c.Principal == "" && c.Account == "" && c.APIKeyID == ""
	if unseen && (c.Kind == "" || c.Kind == transaction.CallerUnknown) {
		c.Kind = transaction.CallerAnonymous
	}
}
