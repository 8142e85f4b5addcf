package awssim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// openAPI is a document under construction.
type openAPI struct {
	swagger    bool // Swagger 2.0 instead of OpenAPI 3.0.1
	extensions bool // x-amazon-apigateway-integration and its kin
	host       string
	base       string
	title      string
	version    string
	paths      map[string]item
	schemes    map[string]item
	more       item
}

// document is the finished document as JSON.
func (d *openAPI) document() ([]byte, error) {
	doc := item{"info": item{"title": d.title, "version": d.version}, "paths": d.paths}
	if d.swagger {
		doc["swagger"] = "2.0"
		doc["host"] = d.host
		doc["basePath"] = d.base
		doc["schemes"] = []string{"https"}
		if len(d.schemes) > 0 {
			doc["securityDefinitions"] = d.schemes
		}
	} else {
		doc["openapi"] = "3.0.1"
		server := item{"url": "https://" + d.host + "/{basePath}", "variables": item{"basePath": item{"default": strings.TrimPrefix(d.base, "/")}}}
		doc["servers"] = []item{server}
		components := item{}
		if len(d.schemes) > 0 {
			components["securitySchemes"] = d.schemes
		}
		doc["components"] = components
	}
	maps.Copy(doc, d.more)
	b, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the OpenAPI document: %w", err)
	}
	return b, nil
}

// add puts an operation at a path, with its path parameters.
func (d *openAPI) add(path, method string, op item) {
	at := d.paths[path]
	if at == nil {
		at = item{}
		d.paths[path] = at
	}
	for segment := range strings.SplitSeq(path, "/") {
		if !strings.HasPrefix(segment, "{") || !strings.HasSuffix(segment, "}") {
			continue
		}
		d.parameter(op, "path", strings.TrimSuffix(segment[1:len(segment)-1], "+"), true)
	}
	key := strings.ToLower(method)
	if method == "ANY" {
		key = "x-amazon-apigateway-any-method"
	}
	if op["responses"] == nil {
		op["responses"] = item{"default": item{"description": "Default response for " + method + " " + path}}
	}
	at[key] = op
}

func (d *openAPI) parameter(op item, in, name string, required bool) {
	p := item{"name": name, "in": in, "required": required}
	if d.swagger {
		p["type"] = "string"
	} else {
		p["schema"] = item{"type": "string"}
	}
	list, _ := op["parameters"].([]item)
	op["parameters"] = append(list, p)
}

// secure says what an operation asks for.
func (d *openAPI) secure(op item, scheme string, definition item, scopes []string) {
	d.schemes[scheme] = definition
	list, _ := op["security"].([]item)
	op["security"] = append(list, item{scheme: append([]string{}, scopes...)})
}

func sigv4Scheme(extensions bool) item {
	it := item{"type": "apiKey", "name": "Authorization", "in": "header"}
	if extensions {
		it["x-amazon-apigateway-authtype"] = "awsSigv4"
	}
	return it
}

func (a *Authorizer) scheme(extensions bool) item {
	header := a.IdentitySource
	if i := strings.LastIndexByte(header, '.'); i >= 0 {
		header = header[i+1:]
	}
	it := item{"type": "apiKey", "name": orString(header, "Authorization"), "in": "header"}
	if !extensions {
		return it
	}
	if a.Type == "JWT" {
		return item{
			"type": "oauth2",
			"x-amazon-apigateway-authorizer": item{
				"type": "jwt", "identitySource": a.IdentitySource,
				"jwtConfiguration": item{"issuer": a.Issuer, "audience": append([]string{}, a.Audience...)},
			},
		}
	}
	kind := "custom"
	if a.Type == "COGNITO_USER_POOLS" {
		kind = "cognito_user_pools"
	}
	it["x-amazon-apigateway-authtype"] = kind
	it["x-amazon-apigateway-authorizer"] = item{
		"type": strings.ToLower(a.Type), "authorizerResultTtlInSeconds": int64(a.TTL / time.Second),
	}.set("authorizerUri", a.URI).set("identitySource", a.IdentitySource).set("providerARNs", a.ProviderARNs)
	return it
}

func (d *openAPI) integration(op item, in *Integration, millis int64) {
	if in == nil || !d.extensions {
		return
	}
	op["x-amazon-apigateway-integration"] = item{
		"type": strings.ToLower(in.Type), "timeoutInMillis": in.millis(millis),
	}.set("httpMethod", in.Method).set("uri", in.URI).set("credentials", in.Credentials).
		set("connectionType", in.ConnectionType).set("connectionId", in.ConnectionID).set("payloadFormatVersion", in.PayloadFormat)
}

// answerDocument sends the document. YAML is answered as JSON, which is YAML.
func (x *exchange) answerDocument(d *openAPI, contentType, file string) error {
	body, err := d.document()
	if err != nil {
		return err
	}
	h := x.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Disposition", `attachment; filename="`+file+`"`)
	x.answer(http.StatusOK, body)
	return nil
}

func getExport(x *exchange) error {
	api, err := x.theRESTAPI()
	if err != nil {
		return err
	}
	kind := x.args["type"]
	if kind != "oas30" && kind != "swagger" {
		return badRequest("Invalid export type: " + kind)
	}
	at := slices.IndexFunc(api.Stages, func(st Stage) bool { return st.Name == x.args["stage"] })
	if at < 0 {
		return notFound("Invalid stage identifier specified")
	}
	wanted := strings.Split(x.r.URL.Query().Get("extensions"), ",")
	d := &openAPI{
		swagger:    kind == "swagger",
		extensions: slices.ContainsFunc(wanted, func(w string) bool { return w == "integrations" || w == "apigateway" || w == "authorizers" }),
		host:       api.ID + ".execute-api." + x.region + ".amazonaws.com",
		base:       "/" + x.args["stage"],
		title:      api.Name,
		version:    stamp(api.Stages[at].Created),
		paths:      map[string]item{}, schemes: map[string]item{}, more: item{},
	}
	if d.extensions && api.Policy != "" && json.Valid([]byte(api.Policy)) {
		d.more["x-amazon-apigateway-policy"] = json.RawMessage(api.Policy)
	}
	for i := range api.Resources {
		for j := range api.Resources[i].Methods {
			m := &api.Resources[i].Methods[j]
			d.add(api.Resources[i].Path, m.HTTPMethod, api.exported(d, m))
		}
	}
	contentType := x.r.Header.Get("Accept")
	if !strings.Contains(contentType, "yaml") {
		contentType = "application/json"
	}
	return x.answerDocument(d, contentType, kind+"_"+stamp(api.Stages[at].Created)+".json")
}

func (api *restAPI) exported(d *openAPI, m *Method) item {
	op := item{"responses": item{"200": item{"description": "200 response"}}}.set("operationId", m.OperationName)
	for name, required := range m.RequestParameters {
		part := strings.SplitN(name, ".", 4) // method.request.querystring.x
		if len(part) == 4 && part[2] != "path" {
			in := part[2]
			if in == "querystring" {
				in = "query"
			}
			d.parameter(op, in, part[3], required)
		}
	}
	switch m.Authorization {
	case "AWS_IAM":
		d.secure(op, "sigv4", sigv4Scheme(d.extensions), nil)
	case "CUSTOM", "COGNITO_USER_POOLS":
		for i := range api.Authorizers {
			if a := &api.Authorizers[i]; a.ID == m.AuthorizerID {
				d.secure(op, a.Name, a.scheme(d.extensions), m.AuthorizationScopes)
			}
		}
	}
	if m.APIKeyRequired {
		d.secure(op, "api_key", item{"type": "apiKey", "name": "x-api-key", "in": "header"}, nil)
	}
	d.integration(op, m.Integration, 29_000)
	return op
}

func exportAPI(x *exchange) error {
	_, api, err := x.theRouteAPI()
	if err != nil {
		return err
	}
	if x.args["spec"] != "OAS30" {
		return badRequest("Invalid specification: only OAS30 is supported")
	}
	if api.protocol != "HTTP" {
		return badRequest("ExportApi is supported for HTTP APIs only")
	}
	q := x.r.URL.Query()
	var contentType string
	switch q.Get("outputType") {
	case "JSON":
		contentType = "application/json"
	case "YAML":
		contentType = "application/yaml"
	default:
		return badRequest("outputType must be JSON or YAML")
	}
	stage := q.Get("stageName")
	if stage != "" && !slices.ContainsFunc(api.Stages, func(st Stage) bool { return st.Name == stage }) {
		return notFound("Invalid stage identifier specified " + stage)
	}
	d := &openAPI{
		extensions: q.Get("includeExtensions") != "false",
		host:       api.ID + ".execute-api." + x.region + ".amazonaws.com",
		base:       "/" + strings.TrimPrefix(stage, "$default"),
		title:      api.Name, version: stamp(api.Created),
		paths: map[string]item{}, schemes: map[string]item{}, more: item{},
	}
	if d.extensions {
		d.more["x-amazon-apigateway-importexport-version"] = "1.0"
	}
	for i := range api.Routes {
		rt := &api.Routes[i]
		method, path, both := strings.Cut(rt.Key, " ")
		if !both {
			method, path = "ANY", "/"+rt.Key // $default
		}
		d.add(path, method, api.exported(d, rt))
	}
	return x.answerDocument(d, contentType, api.ID+".json")
}

func (api *routeAPI) exported(d *openAPI, rt *Route) item {
	op := item{}.set("operationId", rt.OperationName)
	switch rt.Authorization {
	case "AWS_IAM":
		d.secure(op, "sigv4", sigv4Scheme(d.extensions), nil)
	case "JWT", "CUSTOM":
		for i := range api.Authorizers {
			if a := &api.Authorizers[i]; a.ID == rt.AuthorizerID {
				d.secure(op, a.Name, a.scheme(d.extensions), rt.AuthorizationScopes)
			}
		}
	}
	d.integration(op, rt.Integration, 30_000)
	return op
}
