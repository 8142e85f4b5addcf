package awssim

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// stageRoutes are the operations of API Gateway that change stages and the account.
var stageRoutes = []route{
	{http.MethodPatch, "/account", operation{name: "UpdateAccount", run: updateAccount}},
	{http.MethodPatch, "/restapis/{api}/stages/{stage}", operation{name: "UpdateStage", run: updateStage}},
	{http.MethodPatch, "/v2/apis/{api}/stages/{stage}", operation{name: "UpdateStage", run: updateRouteStage}},
	{http.MethodDelete, "/v2/apis/{api}/stages/{stage}/accesslogsettings", operation{name: "DeleteAccessLogSettings", run: deleteAccessLogSettings}},
	{http.MethodDelete, "/v2/apis/{api}/stages/{stage}/routesettings/{key}", operation{name: "DeleteRouteSettings", run: deleteRouteSettings}},
}

// patchOperation is one change of a v1 PATCH.
type patchOperation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value string `json:"value"`
}

func (x *exchange) patch() ([]patchOperation, error) {
	var in struct {
		PatchOperations []patchOperation `json:"patchOperations"`
	}
	if err := json.Unmarshal(x.body, &in); err != nil {
		return nil, &Error{Code: "SerializationException", Message: "the request body is not what the operation takes: " + err.Error()}
	}
	for _, p := range in.PatchOperations {
		if !slices.Contains([]string{"add", "replace", "remove"}, p.Op) {
			return nil, badRequest("Invalid patch operation specified. Must be one of: [add, remove, replace, move, copy, test]")
		}
	}
	return in.PatchOperations, nil
}

func invalidPath(p patchOperation) *Error {
	return badRequest("Invalid patch path '" + p.Path + "' specified for op '" + p.Op + "'.")
}

const (
	noLogRole = "CloudWatch Logs role ARN must be set in account settings to enable logging"
	badRole   = "The role ARN does not have required permissions configured. Please grant trust permission for API Gateway and add the required role policy."
)

func updateAccount(x *exchange) error {
	changes, err := x.patch()
	if err != nil {
		return err
	}
	r, err := x.reached()
	if err != nil {
		return err
	}
	for _, p := range changes {
		if p.Path != "/cloudwatchRoleArn" || p.Op == "add" {
			return invalidPath(p)
		}
		if p.Value != "" && !x.account.writesLogs(p.Value) {
			return badRequest(badRole)
		}
		r.SetLogRole(p.Value)
	}
	return getAccount(x)
}

// writesLogs reports whether API Gateway may assume a role of the account that may
// do anything at all.
func (a *Account) writesLogs(arn string) bool {
	r := a.role(arn[strings.LastIndexByte(arn, '/')+1:])
	return r != nil && r.arn == arn && strings.Contains(r.policies.document, "apigateway.amazonaws.com") &&
		len(r.ManagedPolicies)+len(r.policies.inline) > 0
}

// changeRESTStage replaces the stage of the call by a changed copy.
func (x *exchange) changeRESTStage(change func(*Region, *restAPI, *Stage) error) error {
	r, err := x.reached()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.rest[x.args["api"]]
	if old == nil {
		return notFound("Invalid API identifier specified " + x.account.id + ":" + x.args["api"])
	}
	next := *old
	next.Stages = slices.Clone(old.Stages)
	st, err := x.copyStage(next.Stages)
	if err != nil {
		return err
	}
	if err := change(r, &next, st); err != nil {
		return err
	}
	r.rest[next.ID] = &next
	return x.answerJSON(st.restItem())
}

// changeRouteStage is changeRESTStage for HTTP and WebSocket APIs.
func (x *exchange) changeRouteStage(change func(*Region, *routeAPI, *Stage) error) (item, error) {
	r, err := x.reached()
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.apis[x.args["api"]]
	if old == nil {
		return nil, notFound("Invalid API identifier specified " + x.account.id + ":" + x.args["api"])
	}
	next := *old
	next.Stages = slices.Clone(old.Stages)
	st, err := x.copyStage(next.Stages)
	if err != nil {
		return nil, err
	}
	if err := change(r, &next, st); err != nil {
		return nil, err
	}
	r.apis[next.ID] = &next
	return next.stageItem(st), nil
}

// copyStage finds the stage of the call in a list of copies and makes it
// changeable.
func (x *exchange) copyStage(list []Stage) (*Stage, error) {
	for i := range list {
		if list[i].Name == x.args["stage"] {
			list[i].MethodSettings = maps.Clone(list[i].MethodSettings)
			return &list[i], nil
		}
	}
	return nil, notFound("Invalid stage identifier specified")
}

func updateStage(x *exchange) error {
	changes, err := x.patch()
	if err != nil {
		return err
	}
	return x.changeRESTStage(func(r *Region, api *restAPI, st *Stage) error {
		for _, p := range changes {
			if p.Path == "/deploymentId" {
				list := r.deployments(api) // the one that the stage leaves stays
				if !slices.ContainsFunc(list, func(o Object) bool { return o["id"] == p.Value }) {
					return badRequest("Deployment id does not exist")
				}
				r.setDeployments(api.ID, list)
			}
			if err := st.patch(r, p); err != nil {
				return err
			}
		}
		return nil
	})
}

func (st *Stage) patch(r *Region, p patchOperation) error {
	switch p.Path {
	case "/accessLogSettings":
		if p.Op != "remove" {
			return invalidPath(p)
		}
		st.AccessLogARN, st.AccessFormat = "", ""
		return nil
	case "/accessLogSettings/destinationArn":
		if r.logRole == "" {
			return badRequest(noLogRole)
		}
		st.AccessLogARN = p.Value
		return nil
	case "/deploymentId", "/description", "/tracingEnabled":
		return st.patchField(p)
	case "/accessLogSettings/format":
		if !strings.Contains(p.Value, "$context.requestId") && !strings.Contains(p.Value, "$context.extendedRequestId") {
			return badRequest("Access Log format must be single line, new line characters are allowed only at end of the format. Access log format must include at least $context.requestId or $context.extendedRequestId")
		}
		st.AccessFormat = p.Value
		return nil
	}
	if name, ok := strings.CutPrefix(p.Path, "/variables/"); ok {
		st.Variables = orEmpty(maps.Clone(st.Variables))
		if delete(st.Variables, name); p.Op != "remove" {
			st.Variables[name] = p.Value
		}
		return nil
	}
	part := strings.Split(strings.TrimPrefix(p.Path, "/"), "/")
	if len(part) == 2 && p.Op == "remove" {
		if p.Path == "/*/*" {
			st.LoggingLevel, st.DataTrace, st.Metrics, st.MoreSettings = "", false, false, nil
			return nil
		}
		delete(st.MethodSettings, part[0]+"/"+part[1])
		return nil
	}
	if len(part) != 4 || p.Op == "remove" {
		return invalidPath(p)
	}
	key, name := part[0]+"/"+part[1], part[2]+"/"+part[3]
	m, ok := st.MethodSettings[key]
	if key == "*/*" {
		m = MethodSetting{LoggingLevel: st.LoggingLevel, DataTrace: st.DataTrace, Metrics: st.Metrics, More: st.MoreSettings}
	} else if !ok {
		m = MethodSetting{LoggingLevel: orString(st.LoggingLevel, "OFF"), DataTrace: st.DataTrace, Metrics: st.Metrics}
	}
	yes, boolErr := strconv.ParseBool(p.Value)
	switch name {
	case "logging/loglevel":
		if !slices.Contains([]string{"OFF", "ERROR", "INFO"}, p.Value) {
			return badRequest("Invalid logging level specified. Must be one of: [OFF, ERROR, INFO]")
		}
		if p.Value != "OFF" && r.logRole == "" {
			return badRequest(noLogRole)
		}
		m.LoggingLevel = p.Value
	case "logging/dataTrace":
		m.DataTrace = yes
	case "metrics/enabled":
		m.Metrics = yes
	default:
		more, err := patchSetting(m.More, name, p)
		if err != nil {
			return err
		}
		m.More, boolErr = more, nil
	}
	if name != "logging/loglevel" && boolErr != nil {
		return badRequest("Invalid value for " + p.Path)
	}
	if key == "*/*" {
		st.LoggingLevel, st.DataTrace, st.Metrics, st.MoreSettings = orString(m.LoggingLevel, "OFF"), m.DataTrace, m.Metrics, m.More
		return nil
	}
	if st.MethodSettings == nil {
		st.MethodSettings = map[string]MethodSetting{}
	}
	st.MethodSettings[key] = m
	return nil
}

// settingFields are the settings of a method beside its logging, by their path.
var settingFields = map[string]string{
	"throttling/burstLimit":                          "throttlingBurstLimit",
	"throttling/rateLimit":                           "throttlingRateLimit",
	"caching/enabled":                                "cachingEnabled",
	"caching/ttlInSeconds":                           "cacheTtlInSeconds",
	"caching/dataEncrypted":                          "cacheDataEncrypted",
	"caching/requireAuthorizationForCacheControl":    "requireAuthorizationForCacheControl",
	"caching/unauthorizedCacheControlHeaderStrategy": "unauthorizedCacheControlHeaderStrategy",
}

// patchSetting changes such a setting in a copy.
func patchSetting(more Object, name string, p patchOperation) (Object, error) {
	field := settingFields[name]
	if field == "" {
		return nil, invalidPath(p)
	}
	next := maps.Clone(more)
	if next == nil {
		next = Object{}
	}
	var value any = p.Value // a strategy; all others are numbers or truth values
	if field != "unauthorizedCacheControlHeaderStrategy" {
		if err := json.Unmarshal([]byte(p.Value), &value); err != nil {
			return nil, badRequest("Invalid value for " + p.Path)
		}
	}
	next[field] = value
	return next, nil
}

// patchField changes a field that is the stage's own.
func (st *Stage) patchField(p patchOperation) error {
	if p.Op != "replace" {
		return invalidPath(p)
	}
	switch p.Path {
	case "/deploymentId":
		st.DeploymentID = p.Value
	case "/description":
		st.Description = p.Value
	default:
		yes, err := strconv.ParseBool(p.Value)
		if err != nil {
			return badRequest("Invalid value for " + p.Path)
		}
		st.Tracing = yes
	}
	return nil
}

// routeSettingsInput are route settings as a PATCH of v2 has them. What is not
// there stays.
type routeSettingsInput struct {
	LoggingLevel *string `json:"loggingLevel"`
	DataTrace    *bool   `json:"dataTraceEnabled"`
	Metrics      *bool   `json:"detailedMetricsEnabled"`
}

func (in *routeSettingsInput) change(r *Region, api *routeAPI, m *MethodSetting) error {
	if api.protocol != "WEBSOCKET" && (in.LoggingLevel != nil || in.DataTrace != nil) {
		return badRequest("Execution logs are not supported on protocolType HTTP")
	}
	if in.LoggingLevel != nil {
		if *in.LoggingLevel != "OFF" && r.logRole == "" {
			return badRequest(noLogRole)
		}
		m.LoggingLevel = *in.LoggingLevel
	}
	if in.DataTrace != nil {
		m.DataTrace = *in.DataTrace
	}
	if in.Metrics != nil {
		m.Metrics = *in.Metrics
	}
	return nil
}

func updateRouteStage(x *exchange) error {
	var in struct {
		Access *struct {
			DestinationArn string `json:"destinationArn"`
			Format         string `json:"format"`
		} `json:"accessLogSettings"`
		Default *routeSettingsInput           `json:"defaultRouteSettings"`
		Routes  map[string]routeSettingsInput `json:"routeSettings"`
	}
	if err := json.Unmarshal(x.body, &in); err != nil {
		return &Error{Code: "SerializationException", Message: "the request body is not what the operation takes: " + err.Error()}
	}
	answer, err := x.changeRouteStage(func(r *Region, api *routeAPI, st *Stage) error {
		if in.Access != nil {
			if api.protocol == "WEBSOCKET" && r.logRole == "" {
				return badRequest(noLogRole)
			}
			if in.Access.Format == "" || in.Access.DestinationArn == "" {
				return badRequest("Access log settings need both a destination and a format")
			}
			st.AccessLogARN, st.AccessFormat = in.Access.DestinationArn, in.Access.Format
		}
		if in.Default != nil {
			m := MethodSetting{LoggingLevel: st.LoggingLevel, DataTrace: st.DataTrace, Metrics: st.Metrics}
			if err := in.Default.change(r, api, &m); err != nil {
				return err
			}
			st.LoggingLevel, st.DataTrace, st.Metrics = m.LoggingLevel, m.DataTrace, m.Metrics
		}
		for key, set := range in.Routes {
			m := st.MethodSettings[key]
			if err := set.change(r, api, &m); err != nil {
				return err
			}
			if st.MethodSettings == nil {
				st.MethodSettings = map[string]MethodSetting{}
			}
			st.MethodSettings[key] = m
		}
		return nil
	})
	if err != nil {
		return err
	}
	return x.answerJSON(answer)
}

func deleteAccessLogSettings(x *exchange) error {
	_, err := x.changeRouteStage(func(_ *Region, _ *routeAPI, st *Stage) error {
		st.AccessLogARN, st.AccessFormat = "", ""
		return nil
	})
	return x.noContent(err)
}

func deleteRouteSettings(x *exchange) error {
	_, err := x.changeRouteStage(func(_ *Region, _ *routeAPI, st *Stage) error {
		if _, ok := st.MethodSettings[x.args["key"]]; !ok {
			return notFound("Unable to find route settings by key " + x.args["key"])
		}
		delete(st.MethodSettings, x.args["key"])
		return nil
	})
	return x.noContent(err)
}

func (x *exchange) noContent(err error) error {
	if err != nil {
		return err
	}
	x.w.WriteHeader(http.StatusNoContent)
	return nil
}

// Stage returns a stage of an API as it is now; ok is false where there is none.
func (r *Region) Stage(api, stage string) (st Stage, ok bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var list []Stage
	if a := r.rest[api]; a != nil {
		list = a.Stages
	} else if a := r.apis[api]; a != nil {
		list = a.Stages
	}
	for i := range list {
		if list[i].Name == stage {
			st = list[i]
			st.MethodSettings = maps.Clone(st.MethodSettings)
			return st, true
		}
	}
	return Stage{}, false
}

// ChangeStage changes a stage as somebody at the console would, and reports whether
// it exists.
func (r *Region) ChangeStage(api, stage string, change func(*Stage)) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	apply := func(list []Stage) ([]Stage, bool) {
		list = slices.Clone(list)
		for i := range list {
			if list[i].Name == stage {
				list[i].MethodSettings = maps.Clone(list[i].MethodSettings)
				change(&list[i])
				return list, true
			}
		}
		return list, false
	}
	if old := r.rest[api]; old != nil {
		next := *old
		stages, ok := apply(old.Stages)
		next.Stages = stages
		r.rest[api] = &next
		return ok
	}
	if old := r.apis[api]; old != nil {
		next := *old
		stages, ok := apply(old.Stages)
		next.Stages = stages
		r.apis[api] = &next
		return ok
	}
	return false
}

// LogRole is API Gateway's CloudWatch role of this account and region; empty: none.
func (r *Region) LogRole() string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.logRole
}
