package demo

import (
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// The four accounts of the demo.
const (
	Security   = "111122223333" // Gatehouse's own account, the hub
	Orders     = "222233334444"
	Catalog    = "333344445555"
	Storefront = "444455556666"
)

// Names of the roles that Gatehouse assumes in the demo.
const (
	HubRole       = "GatehouseHub"
	CollectorRole = "GatehouseCollector"
	ExternalID    = "gatehouse-demo"
)

// Regions are the regions that the demo's APIs are in.
var Regions = []string{"eu-west-1", "us-east-1"}

// jsonFormat is a JSON access-log format with all that helps; %s is the route
// variable: resourcePath for REST APIs, routeKey for the others.
const jsonFormat = `{"requestId":"$context.requestId","extendedRequestId":"$context.extendedRequestId","accountId":"$context.accountId","apiId":"$context.apiId","stage":"$context.stage","ip":"$context.identity.sourceIp","userAgent":"$context.identity.userAgent","userArn":"$context.identity.userArn","caller":"$context.identity.caller","identityAccountId":"$context.identity.accountId","principalId":"$context.authorizer.principalId","requestTime":"$context.requestTime","requestTimeEpoch":"$context.requestTimeEpoch","httpMethod":"$context.httpMethod","path":"$context.path","resourcePath":"$context.resourcePath","status":"$context.status","protocol":"$context.protocol","responseLength":"$context.responseLength","responseLatency":"$context.responseLatency","integrationLatency":"$context.integrationLatency","integrationStatus":"$context.integration.status","errorMessage":"$context.error.message","errorResponseType":"$context.error.responseType","domainName":"$context.domainName"}`

const httpFormat = `{"requestId":"$context.requestId","extendedRequestId":"$context.extendedRequestId","apiId":"$context.apiId","stage":"$context.stage","ip":"$context.identity.sourceIp","userAgent":"$context.identity.userAgent","sub":"$context.authorizer.claims.sub","requestTime":"$context.requestTime","requestTimeEpoch":"$context.requestTimeEpoch","httpMethod":"$context.httpMethod","path":"$context.path","routeKey":"$context.routeKey","status":"$context.status","protocol":"$context.protocol","responseLength":"$context.responseLength","responseLatency":"$context.responseLatency","integrationLatency":"$context.integrationLatency","domainName":"$context.domainName"}`

// api is a simulated API as the traffic player sees it.
type api struct {
	kind    string // REST, HTTP, WEBSOCKET
	account string
	region  string
	id      string
	name    string
	stages  []*stage
	routes  []*route
}

func (a *api) host() string { return a.id + ".execute-api." + a.region + ".amazonaws.com" }

type stage struct {
	name   string
	level  string // of execution logging: OFF, ERROR, INFO
	trace  bool
	access string // access-log format
	group  string // access-log group
	weight int    // share of the API's traffic
}

func (s *stage) executionGroup(a *api) string {
	if a.kind == "WEBSOCKET" {
		return "/aws/apigateway/" + a.id + "/" + s.name
	}
	return "API-Gateway-Execution-Logs_" + a.id + "/" + s.name
}

type route struct {
	method     string
	path       string // the template
	auth       string // NONE, AWS_IAM, CUSTOM, JWT
	authorizer string // id of the Lambda authorizer
	weight     int
	play       func(*scene, *call) // fills path, query, headers, bodies, status
}

func (r *route) key() string {
	if r.method == "" {
		return r.path
	}
	return r.method + " " + r.path
}

func (r *route) uri(a *api) string {
	return "https://lambda." + a.region + ".amazonaws.com/2015-03-31/functions/arn:aws:lambda:" + a.region + ":" + a.account + ":function:" + a.name + "/invocations"
}

// caller is someone who calls the APIs.
type caller struct {
	arn     string // of an IAM role session; empty for others
	id      string // unique id, as identity.caller gives it
	account string
	name    string // principal of an authorizer
}

// World is the demo's organization.
type World struct {
	Sim  *awssim.Sim
	apis []*api
}

// NewWorld builds the organization on a simulated AWS.
func NewWorld(sim *awssim.Sim) *World {
	w := &World{Sim: sim, apis: apis()}
	org := sim.Organization(Security)
	for id, name := range map[string]string{Security: "security", Orders: "orders", Catalog: "catalog", Storefront: "storefront"} {
		a := sim.Account(id).SetName(name)
		org.Add(id)
		a.AddRole(awssim.Role{
			Name:              CollectorRole,
			TrustedPrincipals: []string{"arn:aws:iam::" + Security + ":role/" + HubRole},
			ExternalID:        ExternalID,
			Allow:             collectorActions,
		})
	}
	sim.Account(Security).AddRole(awssim.Role{
		Name:  HubRole,
		Allow: []string{"sts:AssumeRole", "sts:GetCallerIdentity", "organizations:ListAccounts", "organizations:DescribeOrganization"},
	})
	for _, name := range []string{"checkout", "warehouse-sync"} {
		sim.Account(Storefront).AddRole(awssim.Role{Name: name, TrustedAccounts: []string{Storefront}, Allow: []string{"execute-api:Invoke"}})
	}
	for _, a := range w.apis {
		r := sim.Account(a.account).Region(a.region)
		r.SetLogRole("arn:aws:iam::" + a.account + ":role/APIGatewayLogs")
		w.add(r, a)
	}
	return w
}

// collectorActions are what reading needs, and nothing else.
var collectorActions = []string{
	"logs:DescribeLogGroups", "logs:DescribeLogStreams", "logs:FilterLogEvents", "logs:GetLogEvents",
	"apigateway:GET", "account:ListRegions", "sts:GetCallerIdentity",
}

// Credentials are those of Gatehouse's own role in the security account.
func (w *World) Credentials(d time.Duration) awssim.Credentials {
	return w.Sim.Account(Security).Session(HubRole, "gatehouse-demo", d)
}

func (w *World) add(r *awssim.Region, a *api) {
	stages := make([]awssim.Stage, 0, len(a.stages))
	for _, s := range a.stages {
		st := awssim.Stage{
			Name: s.name, LoggingLevel: s.level, DataTrace: s.trace, AccessFormat: s.access,
			Tags: map[string]string{"owner": a.name + "-team", "environment": s.name},
		}
		if s.group != "" {
			st.AccessLogARN = "arn:aws:logs:" + a.region + ":" + a.account + ":log-group:" + s.group
			r.Logs().CreateGroup(s.group)
		}
		if s.level != "" && s.level != "OFF" {
			r.Logs().CreateGroup(s.executionGroup(a))
		}
		stages = append(stages, st)
	}
	integration := func(rt *route) *awssim.Integration {
		return &awssim.Integration{Type: "AWS_PROXY", Method: "POST", URI: rt.uri(a)}
	}
	switch a.kind {
	case "REST":
		var authorizers []awssim.Authorizer
		resources := make([]awssim.Resource, 0, len(a.routes))
		for _, rt := range a.routes {
			m := awssim.Method{HTTPMethod: rt.method, Authorization: rt.auth, AuthorizerID: rt.authorizer, Integration: integration(rt)}
			resources = append(resources, awssim.Resource{Path: rt.path, Methods: []awssim.Method{m}})
			if rt.authorizer != "" && len(authorizers) == 0 {
				authorizers = append(authorizers, awssim.Authorizer{ID: rt.authorizer, Name: "token", Type: "TOKEN", IdentitySource: "method.request.header.Authorization"})
			}
		}
		r.AddRESTAPI(awssim.RESTAPI{
			ID: a.id, Name: a.name, EndpointType: "REGIONAL", Policy: resourcePolicy(a),
			Resources: resources, Authorizers: authorizers, Stages: stages,
		})
	default:
		routes := make([]awssim.Route, 0, len(a.routes))
		for _, rt := range a.routes {
			routes = append(routes, awssim.Route{Key: rt.key(), Authorization: rt.auth, AuthorizerID: rt.authorizer, Integration: integration(rt)})
		}
		v2 := awssim.API{ID: a.id, Name: a.name, Routes: routes, Stages: stages}
		if a.kind == "HTTP" {
			v2.Authorizers = []awssim.Authorizer{{ID: "jwt" + a.id[:3], Name: "customers", Type: "JWT", IdentitySource: "$request.header.Authorization", Issuer: "https://id.example.com", Audience: []string{"catalog"}}}
			r.AddHTTPAPI(v2)
		} else {
			r.AddWebSocketAPI(v2)
		}
	}
}

// resourcePolicy lets the storefront's account call the orders API.
func resourcePolicy(a *api) string {
	if a.name != "orders" {
		return ""
	}
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + Storefront +
		`:root"},"Action":"execute-api:Invoke","Resource":"arn:aws:execute-api:` + a.region + `:` + a.account + `:` + a.id + `/prod/*/*"}]}`
}

func apis() []*api {
	return []*api{
		{
			kind: "REST", account: Orders, region: "eu-west-1", id: "o7rd3rs9ab", name: "orders",
			stages: []*stage{
				{name: "prod", level: "INFO", trace: true, access: jsonFormat, group: "/gatehouse/orders/prod", weight: 9},
				{name: "test", level: "INFO", weight: 1},
			},
			routes: []*route{
				{method: "GET", path: "/", auth: "AWS_IAM", weight: 4, play: (*scene).home},
				{method: "GET", path: "/orders", auth: "AWS_IAM", weight: 5, play: (*scene).listOrders},
				{method: "POST", path: "/orders", auth: "AWS_IAM", weight: 3, play: (*scene).createOrder},
				{method: "GET", path: "/orders/{orderId}", auth: "AWS_IAM", weight: 8, play: (*scene).oneOrder},
				{method: "PUT", path: "/orders/{orderId}/address", auth: "AWS_IAM", weight: 1, play: (*scene).changeAddress},
				{method: "DELETE", path: "/orders/{orderId}", auth: "AWS_IAM", weight: 1, play: (*scene).cancelOrder},
			},
		},
		{
			kind: "REST", account: Orders, region: "us-east-1", id: "p4ym3nts2x", name: "payments",
			stages: []*stage{{name: "prod", level: "INFO", trace: true, weight: 1}, {name: "legacy", level: "OFF", weight: 0}},
			routes: []*route{
				{method: "POST", path: "/payments", auth: "CUSTOM", authorizer: "a9th0r", weight: 3, play: (*scene).pay},
				{method: "GET", path: "/payments/{paymentId}", auth: "CUSTOM", authorizer: "a9th0r", weight: 3, play: (*scene).onePayment},
				{method: "POST", path: "/refunds", auth: "CUSTOM", authorizer: "a9th0r", weight: 1, play: (*scene).refund},
			},
		},
		{
			kind: "HTTP", account: Catalog, region: "eu-west-1", id: "c4t4l0gk2m", name: "catalog",
			stages: []*stage{{name: "$default", access: httpFormat, group: "/aws/vendedlogs/catalog-access", weight: 1}},
			routes: []*route{
				{method: "GET", path: "/products", auth: "JWT", weight: 8, play: (*scene).products},
				{method: "GET", path: "/products/{sku}", auth: "JWT", weight: 12, play: (*scene).product},
				{method: "GET", path: "/products/{sku}/reviews", auth: "NONE", weight: 4, play: (*scene).reviews},
				{method: "POST", path: "/products/{sku}/reviews", auth: "JWT", weight: 1, play: (*scene).review},
				{method: "GET", path: "/search", auth: "NONE", weight: 6, play: (*scene).search},
			},
		},
		{
			kind: "WEBSOCKET", account: Catalog, region: "eu-west-1", id: "ch4tws81qz", name: "chat",
			stages: []*stage{{name: "prod", level: "INFO", trace: true, weight: 1}},
			routes: []*route{
				{path: "$connect", auth: "NONE", weight: 1, play: (*scene).connect},
				{path: "sendMessage", weight: 6, auth: "NONE", play: (*scene).message},
				{path: "$disconnect", weight: 1, auth: "NONE", play: (*scene).disconnect},
			},
		},
		{
			kind: "REST", account: Catalog, region: "us-east-1", id: "f0rg0tt3n1", name: "customers-v1",
			stages: []*stage{{name: "live", level: "INFO", trace: true, weight: 1}},
			routes: []*route{
				{method: "GET", path: "/customers/{customerId}", auth: "NONE", weight: 3, play: (*scene).customer},
				{method: "GET", path: "/export", auth: "NONE", weight: 1, play: (*scene).export},
			},
		},
	}
}

// template fills the parameters of a path with values in their order.
func template(path string, values ...string) string {
	segs := strings.Split(path, "/")
	for i, s := range segs {
		if strings.HasPrefix(s, "{") && len(values) > 0 {
			segs[i], values = values[0], values[1:]
		}
	}
	return strings.Join(segs, "/")
}
