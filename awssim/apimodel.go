package awssim

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// RESTAPI describes a REST API (API Gateway v1).
type RESTAPI struct {
	ID          string // empty: a new one
	Name        string
	Description string
	// EndpointType is EDGE, REGIONAL or PRIVATE; empty: REGIONAL.
	EndpointType string
	// Policy is the resource policy as a JSON document; empty: none.
	Policy                    string
	DisableExecuteAPIEndpoint bool
	// APIKeySource is HEADER (also if empty) or AUTHORIZER.
	APIKeySource string
	Created      time.Time // zero: now
	Tags         map[string]string
	// Resources need not name their parents: those are added without methods.
	Resources   []Resource
	Authorizers []Authorizer
	Stages      []Stage
	// More are further fields as AWS answers them, by AWS's own names.
	More Object
}

// Resource is a resource of a REST API.
type Resource struct {
	ID      string // empty: a new one
	Path    string // the template: "/pets/{id}"
	Methods []Method
}

// Method is a method of a Resource.
type Method struct {
	HTTPMethod string // GET, ANY, …
	// Authorization is NONE (also if empty), AWS_IAM, CUSTOM or
	// COGNITO_USER_POOLS.
	Authorization string
	// AuthorizerID is the ID or Name of one of the API's authorizers.
	AuthorizerID        string
	AuthorizationScopes []string
	APIKeyRequired      bool
	OperationName       string
	// RequestParameters maps "method.request.querystring.x" to whether it is
	// required.
	RequestParameters map[string]bool
	RequestModels     map[string]string
	Integration       *Integration // nil: none
	// More are further fields as AWS answers them, by AWS's own names.
	More Object
}

// Integration is the integration of a Method or a Route.
type Integration struct {
	ID string // v2 only; empty: a new one
	// Type is AWS, AWS_PROXY, HTTP, HTTP_PROXY or MOCK.
	Type string
	// Method is the HTTP method towards the backend.
	Method      string
	URI         string
	Credentials string // role ARN
	// ConnectionType is INTERNET (also if empty) or VPC_LINK.
	ConnectionType string
	ConnectionID   string
	// Timeout is towards the backend; 0: 29 s (30 s for an HTTP API).
	Timeout       time.Duration
	PayloadFormat string // v2: "1.0" or "2.0"
	// More are further fields as AWS answers them, by AWS's own names.
	More Object
}

// Authorizer is an authorizer of any API.
type Authorizer struct {
	ID   string // empty: a new one
	Name string
	// Type is TOKEN, REQUEST or COGNITO_USER_POOLS (v1), REQUEST or JWT (v2).
	Type           string
	URI            string
	Credentials    string
	IdentitySource string // v2: comma-separated
	ProviderARNs   []string
	TTL            time.Duration
	Issuer         string // JWT
	Audience       []string
	// PayloadFormat of an HTTP API's Lambda authorizer: "1.0" or "2.0".
	PayloadFormat   string
	SimpleResponses bool
	// More are further fields as AWS answers them, by AWS's own names.
	More Object
}

// Stage is a stage of any API.
type Stage struct {
	Name         string
	DeploymentID string // empty: a new one
	Description  string
	AutoDeploy   bool // v2
	// LoggingLevel is OFF, ERROR or INFO and sets, with DataTrace and Metrics,
	// the default of all methods (/*/*) or routes; empty: no settings at all.
	LoggingLevel string
	DataTrace    bool
	Metrics      bool
	// MethodSettings are per method ("~1pets/GET") or route key.
	MethodSettings map[string]MethodSetting
	AccessLogARN   string
	AccessFormat   string
	Tracing        bool
	Variables      map[string]string
	Tags           map[string]string
	WebACL         string
	Created        time.Time // zero: now
	// More are further fields as AWS answers them, by AWS's own names.
	More Object
	// MoreSettings are the settings of all methods beside their logging, by AWS's own
	// names.
	MoreSettings Object
}

// MethodSetting is the logging of one method or route of a Stage.
type MethodSetting struct {
	LoggingLevel string
	DataTrace    bool
	Metrics      bool
	// More are further fields as AWS answers them, by AWS's own names.
	More Object
}

// API describes an HTTP or WebSocket API (API Gateway v2).
type API struct {
	ID                        string // empty: a new one
	Name                      string
	Description               string
	DisableExecuteAPIEndpoint bool
	// RouteSelection is the route selection expression of a WebSocket API;
	// empty: "$request.body.action".
	RouteSelection string
	Created        time.Time // zero: now
	Tags           map[string]string
	Routes         []Route
	Authorizers    []Authorizer
	Stages         []Stage
	// More are further fields as AWS answers them, by AWS's own names.
	More Object
}

// Route is a route of an HTTP or WebSocket API.
type Route struct {
	ID  string // empty: a new one
	Key string // "GET /pets/{id}", "$default", "sendMessage"
	// Authorization is NONE (also if empty), AWS_IAM, CUSTOM or JWT.
	Authorization string
	// AuthorizerID is the ID or Name of one of the API's authorizers.
	AuthorizerID        string
	AuthorizationScopes []string
	APIKeyRequired      bool
	OperationName       string
	Integration         *Integration // nil: none
	// More are further fields as AWS answers them, by AWS's own names.
	More Object
}

// restAPI is a REST API with all identifiers given; never changed once stored.
type restAPI struct {
	RESTAPI
	rootID string
	parent map[string]string // resource id to parent id
}

// routeAPI is an HTTP or WebSocket API with all identifiers given; never
// changed once stored.
type routeAPI struct {
	API
	protocol     string // HTTP or WEBSOCKET
	integrations []*Integration
	targets      map[string]string // route id to integration id
}

// AddRESTAPI adds a REST API, or replaces the one with that ID, and returns its
// ID.
func (r *Region) AddRESTAPI(api RESTAPI) string {
	s := r.account.sim
	api.ID = orNew(api.ID, func() string { return s.randomID(lowerAlnum, 10) })
	if api.EndpointType == "" {
		api.EndpointType = "REGIONAL"
	}
	if api.APIKeySource == "" {
		api.APIKeySource = "HEADER"
	}
	api.Created = orNow(api.Created, s)
	api.Tags = maps.Clone(api.Tags)
	api.Authorizers = r.withIDs(api.Authorizers)
	api.Stages = r.stages(api.Stages, api.Created)
	stored := &restAPI{parent: map[string]string{}}
	byPath := map[string]*Resource{}
	for _, res := range api.Resources {
		res.Path = "/" + strings.Trim(res.Path, "/")
		for p := parentPath(res.Path); p != ""; p = parentPath(p) {
			if byPath[p] == nil {
				byPath[p] = &Resource{Path: p}
			}
		}
		res.Methods = slices.Clone(res.Methods)
		for i := range res.Methods {
			m := &res.Methods[i]
			m.Authorization = orString(m.Authorization, "NONE")
			m.AuthorizerID = authorizerID(api.Authorizers, m.AuthorizerID)
		}
		if old := byPath[res.Path]; old != nil {
			old.ID = orString(res.ID, old.ID)
			old.Methods = append(old.Methods, res.Methods...)
			continue
		}
		byPath[res.Path] = &res
	}
	if byPath["/"] == nil {
		byPath["/"] = &Resource{Path: "/"}
	}
	api.Resources = nil
	for _, p := range slices.Sorted(maps.Keys(byPath)) {
		res := byPath[p]
		res.ID = orNew(res.ID, func() string { return s.randomID(lowerAlnum, 6) })
		if up := parentPath(p); up != "" {
			stored.parent[res.ID] = byPath[up].ID
		} else {
			stored.rootID = res.ID
		}
		api.Resources = append(api.Resources, *res)
	}
	stored.RESTAPI = api
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest[api.ID] = stored
	return api.ID
}

// AddHTTPAPI adds an HTTP API, or replaces the one with that ID, and returns
// its ID.
func (r *Region) AddHTTPAPI(api API) string { return r.addRouteAPI(api, "HTTP") }

// AddWebSocketAPI adds a WebSocket API, or replaces the one with that ID, and
// returns its ID.
func (r *Region) AddWebSocketAPI(api API) string { return r.addRouteAPI(api, "WEBSOCKET") }

func (r *Region) addRouteAPI(api API, protocol string) string {
	s := r.account.sim
	api.ID = orNew(api.ID, func() string { return s.randomID(lowerAlnum, 10) })
	if api.RouteSelection == "" {
		api.RouteSelection = "$request.method $request.path"
		if protocol == "WEBSOCKET" {
			api.RouteSelection = "$request.body.action"
		}
	}
	api.Created = orNow(api.Created, s)
	api.Tags = maps.Clone(api.Tags)
	api.Authorizers = r.withIDs(api.Authorizers)
	api.Stages = r.stages(api.Stages, api.Created)
	api.Routes = slices.Clone(api.Routes)
	stored := &routeAPI{protocol: protocol, targets: map[string]string{}}
	for i := range api.Routes {
		rt := &api.Routes[i]
		rt.ID = orNew(rt.ID, func() string { return s.randomID(lowerAlnum, 7) })
		rt.Authorization = orString(rt.Authorization, "NONE")
		rt.AuthorizerID = authorizerID(api.Authorizers, rt.AuthorizerID)
		if rt.Integration == nil {
			continue
		}
		in := *rt.Integration
		in.ID = orNew(in.ID, func() string { return s.randomID(lowerAlnum, 7) })
		stored.targets[rt.ID] = in.ID
		if !slices.ContainsFunc(stored.integrations, func(o *Integration) bool { return o.ID == in.ID }) {
			stored.integrations = append(stored.integrations, &in)
		}
	}
	stored.API = api
	r.mu.Lock()
	defer r.mu.Unlock()
	r.apis[api.ID] = stored
	return api.ID
}

// RemoveAPI deletes the REST, HTTP or WebSocket API with that ID and all that is in it.
func (r *Region) RemoveAPI(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.rest, id)
	delete(r.apis, id)
	maps.DeleteFunc(r.objects, func(collection string, _ []Object) bool {
		return strings.HasPrefix(collection, "restapis/"+id+"/") || strings.HasPrefix(collection, "v2/apis/"+id+"/")
	})
}

func (r *Region) withIDs(list []Authorizer) []Authorizer {
	list = slices.Clone(list)
	for i := range list {
		list[i].ID = orNew(list[i].ID, func() string { return r.account.sim.randomID(lowerAlnum, 6) })
	}
	return list
}

func (r *Region) stages(list []Stage, created time.Time) []Stage {
	list = slices.Clone(list)
	for i := range list {
		st := &list[i]
		st.DeploymentID = orNew(st.DeploymentID, func() string { return r.account.sim.randomID(lowerAlnum, 6) })
		if st.Created.IsZero() {
			st.Created = created
		}
		st.MethodSettings = maps.Clone(st.MethodSettings)
		st.Variables = maps.Clone(st.Variables)
		st.Tags = maps.Clone(st.Tags)
	}
	return list
}

func authorizerID(list []Authorizer, idOrName string) string {
	for i := range list {
		if list[i].ID == idOrName || list[i].Name == idOrName {
			return list[i].ID
		}
	}
	return idOrName
}

// parentPath is the path above p, or empty for the root.
func parentPath(p string) string {
	if p == "/" {
		return ""
	}
	if i := strings.LastIndexByte(p, '/'); i > 0 {
		return p[:i]
	}
	return "/"
}

func orNew(v string, make func() string) string {
	if v != "" {
		return v
	}
	return make()
}

func orString(v, otherwise string) string {
	if v != "" {
		return v
	}
	return otherwise
}

func orNow(t time.Time, s *Sim) time.Time {
	if t.IsZero() {
		return s.clock()
	}
	return t
}
