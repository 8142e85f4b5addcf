package awssim

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// route is a REST operation: a method and a path template.
type route struct {
	method, path string
	operation    operation
}

var apiGatewayRoutes = []route{
	{http.MethodGet, "/account", operation{name: "GetAccount", run: getAccount}},
	{http.MethodGet, "/restapis", operation{name: "GetRestApis", run: getRestAPIs}},
	{http.MethodGet, "/restapis/{api}", operation{name: "GetRestApi", run: getRestAPI}},
	{http.MethodGet, "/restapis/{api}/resources", operation{name: "GetResources", run: getResources}},
	{http.MethodGet, "/restapis/{api}/resources/{resource}", operation{name: "GetResource", run: getResource}},
	{http.MethodGet, "/restapis/{api}/resources/{resource}/methods/{method}", operation{name: "GetMethod", run: getMethod}},
	{http.MethodGet, "/restapis/{api}/resources/{resource}/methods/{method}/integration", operation{name: "GetIntegration", run: getIntegration}},
	{http.MethodGet, "/restapis/{api}/authorizers", operation{name: "GetAuthorizers", run: getAuthorizers}},
	{http.MethodGet, "/restapis/{api}/authorizers/{authorizer}", operation{name: "GetAuthorizer", run: getAuthorizer}},
	{http.MethodGet, "/restapis/{api}/stages", operation{name: "GetStages", run: getStages}},
	{http.MethodGet, "/restapis/{api}/stages/{stage}", operation{name: "GetStage", run: getStage}},
	{http.MethodGet, "/restapis/{api}/stages/{stage}/exports/{type}", operation{name: "GetExport", run: getExport}},
	{http.MethodGet, "/v2/apis", operation{name: "GetApis", run: getAPIs}},
	{http.MethodGet, "/v2/apis/{api}", operation{name: "GetApi", run: getAPI}},
	{http.MethodGet, "/v2/apis/{api}/routes", operation{name: "GetRoutes", run: getRoutes}},
	{http.MethodGet, "/v2/apis/{api}/routes/{route}", operation{name: "GetRoute", run: getRoute}},
	{http.MethodGet, "/v2/apis/{api}/integrations", operation{name: "GetIntegrations", run: getIntegrations}},
	{http.MethodGet, "/v2/apis/{api}/integrations/{integration}", operation{name: "GetIntegration", run: getRouteIntegration}},
	{http.MethodGet, "/v2/apis/{api}/authorizers", operation{name: "GetAuthorizers", run: getRouteAuthorizers}},
	{http.MethodGet, "/v2/apis/{api}/authorizers/{authorizer}", operation{name: "GetAuthorizer", run: getRouteAuthorizer}},
	{http.MethodGet, "/v2/apis/{api}/stages", operation{name: "GetStages", run: getRouteStages}},
	{http.MethodGet, "/v2/apis/{api}/stages/{stage}", operation{name: "GetStage", run: getRouteStage}},
	{http.MethodGet, "/v2/apis/{api}/exports/{spec}", operation{name: "ExportApi", run: exportAPI}},
}

func findAPIGateway(x *exchange) (operation, error) {
	given := strings.Split(strings.Trim(x.r.URL.EscapedPath(), "/"), "/")
	for i := range allAPIGatewayRoutes {
		rt := &allAPIGatewayRoutes[i]
		if rt.method != x.r.Method {
			continue
		}
		if args, ok := matchPath(strings.Split(rt.path[1:], "/"), given); ok {
			x.args = args
			op := rt.operation
			op.prepare = func(x *exchange) error {
				// IAM knows the paths of v2 without the version.
				x.call.Resource = "arn:" + x.sim.partition + ":apigateway:" + x.region + "::" + strings.TrimPrefix(x.r.URL.Path, "/v2")
				return nil
			}
			return op, nil
		}
	}
	return operation{}, unknownOperation("apigateway " + x.r.Method + " " + x.r.URL.Path)
}

func matchPath(template, given []string) (map[string]string, bool) {
	if len(template) != len(given) {
		return nil, false
	}
	args := map[string]string{}
	for i, t := range template {
		if !strings.HasPrefix(t, "{") {
			if t != given[i] {
				return nil, false
			}
			continue
		}
		v, err := url.PathUnescape(given[i])
		if err != nil || v == "" {
			return nil, false
		}
		args[t[1:len(t)-1]] = v
	}
	return args, true
}

func notFound(text string) *Error {
	return &Error{Status: http.StatusNotFound, Code: "NotFoundException", Message: text}
}

func badRequest(text string) *Error {
	return &Error{Code: "BadRequestException", Message: text}
}

// item is one entry of an answer. API Gateway's entries have dozens of optional
// fields, so only those that are set are put in.
type item map[string]any

// set puts a value in, unless it is the zero value of its type.
func (it item) set(name string, v any) item {
	switch v := v.(type) {
	case string:
		if v == "" {
			return it
		}
	case bool:
		if !v {
			return it
		}
	case []string:
		if len(v) == 0 {
			return it
		}
	case map[string]string:
		if len(v) == 0 {
			return it
		}
	case map[string]bool:
		if len(v) == 0 {
			return it
		}
	}
	it[name] = v
	return it
}

// answerItems answers one page of a v1 list: limit and position in the query.
func answerItems[T any](x *exchange, kind string, most, usual int, list []T, show func(*T) item) error {
	q := x.r.URL.Query()
	limit := usual
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return badRequest("Invalid limit parameter specified")
		}
		limit = min(n, most)
	}
	part, next, ok := page(kind+"/"+x.account.id+"/"+x.region+"/"+x.args["api"], q.Get("position"), limit, list)
	if !ok {
		return badRequest("Invalid position parameter specified")
	}
	items := make([]item, len(part))
	for i := range part {
		items[i] = show(&part[i])
	}
	return x.answerJSON(item{"item": items}.set("position", next))
}

func epoch(t time.Time) float64 { return float64(t.Unix()) }

// theRESTAPI finds the API of the path.
func (x *exchange) theRESTAPI() (*restAPI, error) {
	r, err := x.reached()
	if err != nil {
		return nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if api := r.rest[x.args["api"]]; api != nil {
		return api, nil
	}
	return nil, notFound("Invalid API identifier specified " + x.account.id + ":" + x.args["api"])
}

func getAccount(x *exchange) error {
	r, err := x.reached()
	if err != nil {
		return err
	}
	r.mu.RLock()
	role := r.logRole
	r.mu.RUnlock()
	return x.answerJSON(item{
		"throttleSettings": item{"burstLimit": 5000, "rateLimit": 10000.0},
		"features":         []string{"UsagePlans"},
		"apiKeyVersion":    "4",
	}.set("cloudwatchRoleArn", role))
}

func getRestAPIs(x *exchange) error {
	r, err := x.reached()
	if err != nil {
		return err
	}
	r.mu.RLock()
	list := make([]*restAPI, 0, len(r.rest))
	for _, api := range r.rest {
		list = append(list, api)
	}
	r.mu.RUnlock()
	slices.SortFunc(list, func(a, b *restAPI) int { return strings.Compare(a.ID, b.ID) })
	return answerItems(x, "GetRestApis", 500, 25, list, func(api **restAPI) item { return (*api).item() })
}

func (api *restAPI) item() item {
	return item{
		"id": api.ID, "name": api.Name, "createdDate": epoch(api.Created),
		"apiKeySource": api.APIKeySource, "rootResourceId": api.rootID,
		"disableExecuteApiEndpoint": api.DisableExecuteAPIEndpoint,
		"endpointConfiguration":     item{"types": []string{api.EndpointType}, "ipAddressType": "ipv4"},
		"apiStatus":                 "AVAILABLE",
	}.set("description", api.Description).set("policy", escaped(api.Policy)).set("tags", api.Tags).with(api.More)
}

// escaped is a resource policy as API Gateway answers it: with its quotes
// escaped once more than JSON needs.
func escaped(policy string) string {
	if policy == "" {
		return ""
	}
	b, err := json.Marshal(policy)
	if err != nil {
		return policy
	}
	return string(b[1 : len(b)-1])
}

func getRestAPI(x *exchange) error {
	api, err := x.theRESTAPI()
	if err != nil {
		return err
	}
	return x.answerJSON(api.item())
}

func getResources(x *exchange) error {
	api, err := x.theRESTAPI()
	if err != nil {
		return err
	}
	embed := x.embedMethods()
	return answerItems(x, "GetResources", 500, 25, api.Resources, func(res *Resource) item { return api.resourceItem(res, embed) })
}

// embedMethods reports whether the query asks for whole methods.
func (x *exchange) embedMethods() bool {
	return slices.ContainsFunc(x.r.URL.Query()["embed"], func(v string) bool {
		return slices.Contains(strings.Split(v, ","), "methods")
	})
}

func (api *restAPI) resourceItem(res *Resource, embed bool) item {
	it := item{"id": res.ID, "path": res.Path}
	if up := api.parent[res.ID]; up != "" {
		it["parentId"] = up
		it["pathPart"] = res.Path[strings.LastIndexByte(res.Path, '/')+1:]
	}
	if len(res.Methods) > 0 {
		methods := item{}
		for i := range res.Methods {
			m := &res.Methods[i]
			methods[m.HTTPMethod] = item{}
			if embed {
				methods[m.HTTPMethod] = m.item(res)
			}
		}
		it["resourceMethods"] = methods
	}
	return it
}

func (m *Method) item(res *Resource) item {
	it := item{
		"httpMethod": m.HTTPMethod, "authorizationType": m.Authorization, "apiKeyRequired": m.APIKeyRequired,
		"methodResponses": item{"200": item{"statusCode": "200"}},
	}.set("authorizerId", m.AuthorizerID).set("authorizationScopes", m.AuthorizationScopes).
		set("operationName", m.OperationName).set("requestParameters", m.RequestParameters).set("requestModels", m.RequestModels)
	if m.Integration != nil {
		it["methodIntegration"] = m.Integration.restItem(res)
	}
	return it.with(m.More)
}

func (in *Integration) restItem(res *Resource) item {
	it := item{
		"type": in.Type, "timeoutInMillis": in.millis(29_000), "passthroughBehavior": "WHEN_NO_MATCH",
		"cacheNamespace": res.ID, "cacheKeyParameters": []string{},
		"integrationResponses": item{"200": item{"statusCode": "200"}},
	}.set("httpMethod", in.Method).set("uri", in.URI).set("credentials", in.Credentials).set("connectionId", in.ConnectionID)
	return it.set("connectionType", in.ConnectionType).with(in.More)
}

func (in *Integration) millis(usual int64) int64 {
	if in.Timeout > 0 {
		return in.Timeout.Milliseconds()
	}
	return usual
}

// theResource finds the resource of the path.
func (x *exchange) theResource() (*restAPI, *Resource, error) {
	api, err := x.theRESTAPI()
	if err != nil {
		return nil, nil, err
	}
	for i := range api.Resources {
		if api.Resources[i].ID == x.args["resource"] {
			return api, &api.Resources[i], nil
		}
	}
	return nil, nil, notFound("Invalid Resource identifier specified")
}

func (x *exchange) theMethod() (*Resource, *Method, error) {
	_, res, err := x.theResource()
	if err != nil {
		return nil, nil, err
	}
	for i := range res.Methods {
		if res.Methods[i].HTTPMethod == x.args["method"] {
			return res, &res.Methods[i], nil
		}
	}
	return nil, nil, notFound("Invalid Method identifier specified")
}

func getResource(x *exchange) error {
	api, res, err := x.theResource()
	if err != nil {
		return err
	}
	return x.answerJSON(api.resourceItem(res, x.embedMethods()))
}

func getMethod(x *exchange) error {
	res, m, err := x.theMethod()
	if err != nil {
		return err
	}
	return x.answerJSON(m.item(res))
}

func getIntegration(x *exchange) error {
	res, m, err := x.theMethod()
	if err != nil {
		return err
	}
	if m.Integration == nil {
		return notFound("No integration defined for method")
	}
	return x.answerJSON(m.Integration.restItem(res))
}

func getAuthorizers(x *exchange) error {
	api, err := x.theRESTAPI()
	if err != nil {
		return err
	}
	return answerItems(x, "GetAuthorizers", 500, 25, api.Authorizers, (*Authorizer).restItem)
}

func getAuthorizer(x *exchange) error {
	api, err := x.theRESTAPI()
	if err != nil {
		return err
	}
	for i := range api.Authorizers {
		if api.Authorizers[i].ID == x.args["authorizer"] {
			return x.answerJSON(api.Authorizers[i].restItem())
		}
	}
	return notFound("Invalid Authorizer identifier specified")
}

func (a *Authorizer) restItem() item {
	auth := "custom"
	if a.Type == "COGNITO_USER_POOLS" {
		auth = "cognito_user_pools"
	}
	ttl := a.TTL
	if ttl == 0 {
		ttl = 5 * time.Minute
	}
	return item{
		"id": a.ID, "name": a.Name, "type": a.Type, "authType": auth,
		"authorizerResultTtlInSeconds": int64(ttl / time.Second),
	}.set("authorizerUri", a.URI).set("authorizerCredentials", a.Credentials).
		set("identitySource", a.IdentitySource).set("providerARNs", a.ProviderARNs).with(a.More)
}

func getStages(x *exchange) error {
	api, err := x.theRESTAPI()
	if err != nil {
		return err
	}
	deployment := x.r.URL.Query().Get("deploymentId")
	list := []item{}
	for i := range api.Stages {
		if st := &api.Stages[i]; deployment == "" || st.DeploymentID == deployment {
			list = append(list, st.restItem())
		}
	}
	return x.answerJSON(item{"item": list})
}

func getStage(x *exchange) error {
	api, err := x.theRESTAPI()
	if err != nil {
		return err
	}
	for i := range api.Stages {
		if api.Stages[i].Name == x.args["stage"] {
			return x.answerJSON(api.Stages[i].restItem())
		}
	}
	return notFound("Invalid stage identifier specified")
}

func (st *Stage) restItem() item {
	settings := item{}
	if st.LoggingLevel != "" {
		settings["*/*"] = (&MethodSetting{LoggingLevel: st.LoggingLevel, DataTrace: st.DataTrace, Metrics: st.Metrics, More: st.MoreSettings}).item()
	}
	for k, m := range st.MethodSettings {
		settings[k] = m.item()
	}
	it := item{
		"stageName": st.Name, "deploymentId": st.DeploymentID, "methodSettings": settings,
		"cacheClusterEnabled": false, "cacheClusterStatus": "NOT_AVAILABLE", "tracingEnabled": st.Tracing,
		"createdDate": epoch(st.Created), "lastUpdatedDate": epoch(st.Created),
	}.set("description", st.Description).set("variables", st.Variables).set("tags", st.Tags).set("webAclArn", st.WebACL)
	return it.accessLog(st).with(st.More)
}

func (it item) accessLog(st *Stage) item {
	if st.AccessLogARN != "" || st.AccessFormat != "" {
		it["accessLogSettings"] = item{}.set("destinationArn", st.AccessLogARN).set("format", st.AccessFormat)
	}
	return it
}

func (m *MethodSetting) item() item {
	return item{
		"loggingLevel": orString(m.LoggingLevel, "OFF"), "dataTraceEnabled": m.DataTrace, "metricsEnabled": m.Metrics,
		"throttlingBurstLimit": 5000, "throttlingRateLimit": 10000.0,
		"cachingEnabled": false, "cacheTtlInSeconds": 300, "cacheDataEncrypted": false,
		"requireAuthorizationForCacheControl":    true,
		"unauthorizedCacheControlHeaderStrategy": "SUCCEED_WITH_RESPONSE_HEADER",
	}.with(m.More)
}
