package awssim

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// answerRoutePage answers one page of a v2 list: maxResults and nextToken in
// the query.
func answerRoutePage[T any](x *exchange, kind string, list []T, show func(*T) item) error {
	q := x.r.URL.Query()
	limit := 25
	if text := q.Get("maxResults"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return badRequest("Invalid maxResults parameter specified")
		}
		limit = min(n, 500)
	}
	part, next, ok := page(kind+"/"+x.account.id+"/"+x.region+"/"+x.args["api"], q.Get("nextToken"), limit, list)
	if !ok {
		return badRequest("Invalid nextToken parameter specified")
	}
	items := make([]item, len(part))
	for i := range part {
		items[i] = show(&part[i])
	}
	return x.answerJSON(item{"items": items}.set("nextToken", next))
}

// theRouteAPI finds the HTTP or WebSocket API of the path.
func (x *exchange) theRouteAPI() (*Region, *routeAPI, error) {
	r, err := x.reached()
	if err != nil {
		return nil, nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if api := r.apis[x.args["api"]]; api != nil {
		return r, api, nil
	}
	return nil, nil, notFound("Invalid API identifier specified " + x.account.id + ":" + x.args["api"])
}

func getAPIs(x *exchange) error {
	r, err := x.reached()
	if err != nil {
		return err
	}
	r.mu.RLock()
	list := make([]*routeAPI, 0, len(r.apis))
	for _, api := range r.apis {
		list = append(list, api)
	}
	r.mu.RUnlock()
	slices.SortFunc(list, func(a, b *routeAPI) int { return strings.Compare(a.ID, b.ID) })
	return answerRoutePage(x, "GetApis", list, func(api **routeAPI) item { return (*api).item(r) })
}

func getAPI(x *exchange) error {
	r, api, err := x.theRouteAPI()
	if err != nil {
		return err
	}
	return x.answerJSON(api.item(r))
}

func (api *routeAPI) item(r *Region) item {
	scheme := "https://"
	if api.protocol == "WEBSOCKET" {
		scheme = "wss://"
	}
	return item{
		"apiId": api.ID, "name": api.Name, "protocolType": api.protocol,
		"apiEndpoint":               scheme + api.ID + ".execute-api." + r.name + ".amazonaws.com",
		"apiKeySelectionExpression": "$request.header.x-api-key",
		"routeSelectionExpression":  api.RouteSelection,
		"disableExecuteApiEndpoint": api.DisableExecuteAPIEndpoint,
		"createdDate":               stamp(api.Created),
		"ipAddressType":             "ipv4",
		"tags":                      orEmpty(api.Tags),
	}.set("description", api.Description).with(api.More)
}

// stamp is a time as v2 writes it: RFC 3339 in whole seconds.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func getRoutes(x *exchange) error {
	_, api, err := x.theRouteAPI()
	if err != nil {
		return err
	}
	return answerRoutePage(x, "GetRoutes", api.Routes, api.routeItem)
}

func getRoute(x *exchange) error {
	_, api, err := x.theRouteAPI()
	if err != nil {
		return err
	}
	for i := range api.Routes {
		if api.Routes[i].ID == x.args["route"] {
			return x.answerJSON(api.routeItem(&api.Routes[i]))
		}
	}
	return notFound("Invalid Route identifier specified " + x.args["route"])
}

func (api *routeAPI) routeItem(rt *Route) item {
	it := item{
		"routeId": rt.ID, "routeKey": rt.Key, "authorizationType": rt.Authorization, "apiKeyRequired": rt.APIKeyRequired,
	}.set("authorizerId", rt.AuthorizerID).set("authorizationScopes", rt.AuthorizationScopes).set("operationName", rt.OperationName)
	if id := api.targets[rt.ID]; id != "" {
		it["target"] = "integrations/" + id
	}
	return it.with(rt.More)
}

func getIntegrations(x *exchange) error {
	_, api, err := x.theRouteAPI()
	if err != nil {
		return err
	}
	return answerRoutePage(x, "GetIntegrations", api.integrations, func(in **Integration) item { return api.integrationItem(*in) })
}

func getRouteIntegration(x *exchange) error {
	_, api, err := x.theRouteAPI()
	if err != nil {
		return err
	}
	for _, in := range api.integrations {
		if in.ID == x.args["integration"] {
			return x.answerJSON(api.integrationItem(in))
		}
	}
	return notFound("Invalid Integration identifier specified " + x.args["integration"])
}

func (api *routeAPI) integrationItem(in *Integration) item {
	usual := int64(30_000)
	if api.protocol == "WEBSOCKET" {
		usual = 29_000
	}
	return item{
		"integrationId": in.ID, "integrationType": in.Type, "timeoutInMillis": in.millis(usual),
		"connectionType": orString(in.ConnectionType, "INTERNET"),
	}.set("integrationMethod", in.Method).set("integrationUri", in.URI).set("credentialsArn", in.Credentials).
		set("connectionId", in.ConnectionID).set("payloadFormatVersion", in.PayloadFormat).with(in.More)
}

func getRouteAuthorizers(x *exchange) error {
	_, api, err := x.theRouteAPI()
	if err != nil {
		return err
	}
	return answerRoutePage(x, "GetAuthorizers", api.Authorizers, (*Authorizer).routeItem)
}

func getRouteAuthorizer(x *exchange) error {
	_, api, err := x.theRouteAPI()
	if err != nil {
		return err
	}
	for i := range api.Authorizers {
		if api.Authorizers[i].ID == x.args["authorizer"] {
			return x.answerJSON(api.Authorizers[i].routeItem())
		}
	}
	return notFound("Invalid Authorizer identifier specified " + x.args["authorizer"])
}

func (a *Authorizer) routeItem() item {
	it := item{"authorizerId": a.ID, "name": a.Name, "authorizerType": a.Type}
	if a.IdentitySource != "" {
		it["identitySource"] = strings.Split(a.IdentitySource, ",")
	}
	if a.Issuer != "" {
		it["jwtConfiguration"] = item{"issuer": a.Issuer, "audience": append([]string{}, a.Audience...)}
	}
	if a.TTL > 0 {
		it["authorizerResultTtlInSeconds"] = int64(a.TTL / time.Second)
	}
	return it.set("authorizerUri", a.URI).set("authorizerCredentialsArn", a.Credentials).
		set("authorizerPayloadFormatVersion", a.PayloadFormat).set("enableSimpleResponses", a.SimpleResponses).with(a.More)
}

func getRouteStages(x *exchange) error {
	_, api, err := x.theRouteAPI()
	if err != nil {
		return err
	}
	return answerRoutePage(x, "GetStages", api.Stages, api.stageItem)
}

func getRouteStage(x *exchange) error {
	_, api, err := x.theRouteAPI()
	if err != nil {
		return err
	}
	for i := range api.Stages {
		if api.Stages[i].Name == x.args["stage"] {
			return x.answerJSON(api.stageItem(&api.Stages[i]))
		}
	}
	return notFound("Invalid stage identifier specified " + x.args["stage"])
}

func (api *routeAPI) stageItem(st *Stage) item {
	settings := item{}
	for k, m := range st.MethodSettings {
		settings[k] = api.settingItem(&m)
	}
	it := item{
		"stageName": st.Name, "deploymentId": st.DeploymentID, "autoDeploy": st.AutoDeploy,
		"defaultRouteSettings": api.settingItem(&MethodSetting{LoggingLevel: st.LoggingLevel, DataTrace: st.DataTrace, Metrics: st.Metrics}),
		"routeSettings":        settings,
		"stageVariables":       orEmpty(st.Variables),
		"createdDate":          stamp(st.Created), "lastUpdatedDate": stamp(st.Created),
		"tags": orEmpty(st.Tags),
	}.set("description", st.Description)
	return it.accessLog(st).with(st.More)
}

// settingItem shows route settings: an HTTP API has no execution logs.
func (api *routeAPI) settingItem(m *MethodSetting) item {
	it := item{"detailedMetricsEnabled": m.Metrics}
	if api.protocol == "WEBSOCKET" {
		it["loggingLevel"] = orString(m.LoggingLevel, "OFF")
		it["dataTraceEnabled"] = m.DataTrace
	}
	return it.with(m.More)
}
