package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sort"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// maxOpenAPI bounds an export; API Gateway itself imports at most 6 MB.
const maxOpenAPI = 6 << 20

// Names of API Gateway's extensions.
const (
	extension             = "x-amazon-apigateway-"
	extensionIntegration  = extension + "integration"
	extensionIntegrations = extension + "integrations"
	extensionAuthorizer   = extension + "authorizer"
	extensionAuthType     = extension + "authtype"
	extensionAuth         = extension + "auth"
	extensionAny          = extension + "any-method"
	extensionValidator    = extension + "request-validator"
	extensionValidators   = extension + "request-validators"
	extensionPolicy       = extension + "policy"
	extensionResponses    = extension + "gateway-responses"
	extensionCORS         = extension + "cors"
	extensionKeySource    = extension + "api-key-source"
	extensionBinary       = extension + "binary-media-types"
	extensionExport       = extension + "importexport-version"
	extensionEndpoint     = extension + "endpoint-configuration"
)

// FromOpenAPI makes the configuration of one API from an OpenAPI 3 export of API
// Gateway. Its id, region and stage are those of the export's server, where it
// names one.
func FromOpenAPI(text []byte, functions map[string]string) (*Config, error) {
	doc, err := loadOpenAPI(text)
	if err != nil {
		return nil, err
	}
	a := API{ID: "local", Type: string(transaction.REST), Account: "123456789012", Region: "us-east-1", Functions: functions}
	if _, ok := doc.Extensions[extensionExport]; ok || doc.Extensions[extensionCORS] != nil {
		a.Type = string(transaction.HTTP)
	}
	stage := "prod"
	if a.Type == string(transaction.HTTP) {
		stage = defaultRoute
	}
	if len(doc.Servers) > 0 && doc.Servers[0] != nil {
		s := doc.Servers[0]
		if u, err := url.Parse(s.URL); err == nil {
			labels := strings.Split(u.Hostname(), ".")
			if len(labels) >= 4 && labels[1] == "execute-api" && apiIDPattern.MatchString(labels[0]) && regionPattern.MatchString(labels[2]) {
				a.ID, a.Region = labels[0], labels[2]
			}
		}
		if v := s.Variables["basePath"]; v != nil && stageNamePattern.MatchString(strings.Trim(v.Default, "/")) {
			stage = strings.Trim(v.Default, "/")
		}
	}
	a.Stages = []Stage{{Name: stage}}
	if err := a.take(doc); err != nil {
		return nil, err
	}
	c := &Config{APIs: []API{a}}
	_, err = c.compile()
	return c, err
}

// Import adds what an OpenAPI 3 export of API Gateway holds: routes, authorizers,
// models and gateway responses that are not there yet, and the policy, CORS and
// the rest where the API has none.
func (a *API) Import(text []byte) error {
	doc, err := loadOpenAPI(text)
	if err != nil {
		return err
	}
	return a.take(doc)
}

func loadOpenAPI(text []byte) (doc *openapi3.T, err error) {
	if len(text) > maxOpenAPI {
		return nil, fmt.Errorf("the OpenAPI document is larger than %d bytes", maxOpenAPI)
	}
	defer func() {
		// The library is not known to hold against hostile input as this package must.
		if p := recover(); p != nil {
			doc, err = nil, fmt.Errorf("the OpenAPI document cannot be read: %v", p)
		}
	}()
	doc, err = openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.0") {
		return nil, fmt.Errorf("the document is of OpenAPI version %q; export it as oas30", clip(doc.OpenAPI))
	}
	return doc, nil
}

// importer takes one document into one API.
type importer struct {
	*API
	doc        *openapi3.T
	validators map[string]struct {
		Body       bool `json:"validateRequestBody"`
		Parameters bool `json:"validateRequestParameters"`
	}
	validator    string // the document's
	integrations map[string]json.RawMessage
	have         map[string]bool
}

// into reads an extension into v; false if there is none.
func into(extensions map[string]any, name string, v any) (bool, error) {
	raw, ok := extensions[name]
	if !ok || raw == nil {
		return false, nil
	}
	text, err := json.Marshal(raw)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return false, fmt.Errorf("%s: %w", name, err)
	}
	return true, nil
}

func (a *API) take(doc *openapi3.T) error {
	m := &importer{API: a, doc: doc, have: map[string]bool{}}
	for i := range a.Routes {
		m.have[a.Routes[i].Method+" "+a.Routes[i].Path] = true
	}
	if a.Name == "" && doc.Info != nil {
		a.Name = doc.Info.Title
	}
	var responses map[string]importedResponse
	var policy json.RawMessage
	var errs []error
	read := func(name string, v any) bool {
		ok, err := into(doc.Extensions, name, v)
		errs = append(errs, err)
		return ok
	}
	read(extensionValidators, &m.validators)
	read(extensionValidator, &m.validator)
	if a.CORS == nil {
		var k CORS
		if read(extensionCORS, &k) {
			a.CORS = &k
		}
	}
	if a.APIKeySource == "" {
		read(extensionKeySource, &a.APIKeySource)
	}
	if a.BinaryMediaTypes == nil {
		read(extensionBinary, &a.BinaryMediaTypes)
	}
	if a.Policy == nil && read(extensionPolicy, &policy) {
		a.Policy = &PolicyText{JSON: policy}
	}
	errs = append(errs, a.takeEndpoint(doc))
	read(extensionResponses, &responses)
	for name, r := range responses {
		if _, there := a.GatewayResponses[name]; there {
			continue
		}
		if a.GatewayResponses == nil {
			a.GatewayResponses = map[string]GatewayResponse{}
		}
		converted, err := r.convert()
		if err != nil {
			errs = append(errs, fmt.Errorf("%s.%s: %w", extensionResponses, name, err))
		}
		a.GatewayResponses[name] = converted
	}
	if doc.Components != nil {
		_, err := into(doc.Components.Extensions, extensionIntegrations, &m.integrations)
		errs = append(errs, err, m.takeModels(), m.takeAuthorizers())
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return m.takePaths()
}

// importedResponse is a gateway response in an export.
type importedResponse struct {
	StatusCode         json.RawMessage   `json:"statusCode"`
	ResponseParameters map[string]string `json:"responseParameters"`
	ResponseTemplates  map[string]string `json:"responseTemplates"`
}

func (r *importedResponse) convert() (GatewayResponse, error) {
	out := GatewayResponse{Templates: r.ResponseTemplates}
	if len(r.StatusCode) > 0 && string(r.StatusCode) != "null" {
		status, err := readStatus(r.StatusCode)
		if err != nil {
			return out, fmt.Errorf("statusCode: %w", err)
		}
		out.Status = status
	}
	for target, source := range r.ResponseParameters {
		name, ok := strings.CutPrefix(target, "gatewayresponse.header.")
		if !ok || !validHeader(name, "") {
			return out, fmt.Errorf("%q is not gatewayresponse.header.NAME", clip(target))
		}
		value, ok := constant(source)
		if !ok {
			return out, fmt.Errorf("%s: %q is not a 'constant'", name, clip(source))
		}
		if out.Headers == nil {
			out.Headers = map[string]string{}
		}
		out.Headers[name] = value
	}
	return out, nil
}

// constant reads 'text' and context.NAME into a template's text.
func constant(source string) (string, bool) {
	if n := len(source); n >= 2 && source[0] == '\'' && source[n-1] == '\'' {
		return source[1 : n-1], !strings.ContainsAny(source, "\r\n")
	}
	if strings.HasPrefix(source, "context.") {
		return "$" + source, true
	}
	return "", false
}

func (m *importer) takeModels() error {
	for name, ref := range m.doc.Components.Schemas {
		if err := m.addModel(name, ref); err != nil {
			return err
		}
	}
	return nil
}

func (m *importer) addModel(name string, ref *openapi3.SchemaRef) error {
	if _, there := m.Models[name]; there || ref == nil {
		return nil
	}
	text, err := json.Marshal(ref)
	if err != nil {
		return fmt.Errorf("the schema %s: %w", clip(name), err)
	}
	if m.Models == nil {
		m.Models = map[string]SchemaText{}
	}
	m.Models[name] = SchemaText{JSON: text}
	return nil
}

func (m *importer) takePaths() error {
	if m.doc.Paths == nil {
		return errors.New("the OpenAPI document has no paths")
	}
	paths := m.doc.Paths.Map()
	names := make([]string, 0, len(paths))
	for p := range paths {
		names = append(names, p)
	}
	sort.Strings(names)
	for _, path := range names {
		item := paths[path]
		if item == nil {
			continue
		}
		operations := item.Operations()
		for _, method := range sortedKeys(operations) {
			if err := m.takeOperation(method, path, item, operations[method], nil); err != nil {
				return fmt.Errorf("%s %s: %w", method, clip(path), err)
			}
		}
		var any struct {
			IsDefaultRoute bool `json:"isDefaultRoute"`
		}
		ok, err := into(item.Extensions, extensionAny, &any)
		if err != nil {
			return fmt.Errorf("%s: %w", clip(path), err)
		}
		if !ok {
			continue
		}
		var op openapi3.Operation
		if _, err := into(item.Extensions, extensionAny, &op); err != nil {
			return fmt.Errorf("%s: %w", clip(path), err)
		}
		if err := m.takeOperation(methodAny, path, item, &op, &any.IsDefaultRoute); err != nil {
			return fmt.Errorf("ANY %s: %w", clip(path), err)
		}
	}
	return nil
}

func (m *importer) takeOperation(method, path string, item *openapi3.PathItem, op *openapi3.Operation, isDefault *bool) error {
	if op == nil {
		return nil
	}
	r := Route{Method: method, Path: path, OperationName: op.OperationID, origin: "imported: " + method + " " + path}
	if path != "/" {
		r.Path = strings.TrimSuffix(path, "/")
	}
	if isDefault != nil && *isDefault {
		r.Method, r.Path = "", defaultRoute
	}
	if m.have[r.Method+" "+r.Path] {
		return nil
	}
	m.have[r.Method+" "+r.Path] = true
	if err := m.setSecurity(&r, op); err != nil {
		return err
	}
	validator := m.validator
	if _, err := into(op.Extensions, extensionValidator, &validator); err != nil {
		return err
	}
	if v, ok := m.validators[validator]; ok {
		r.ValidateBody, r.ValidateParameters = v.Body, v.Parameters
	}
	for _, list := range []openapi3.Parameters{item.Parameters, op.Parameters} {
		for _, p := range list {
			if p == nil || p.Value == nil || !p.Value.Required {
				continue
			}
			place := map[string]string{"query": "querystring", "header": "header", "path": "path"}[p.Value.In]
			if place != "" && p.Value.Name != "" {
				r.RequiredParameters = append(r.RequiredParameters, "method.request."+place+"."+p.Value.Name)
			}
		}
	}
	if op.RequestBody != nil && op.RequestBody.Value != nil {
		for kind, content := range op.RequestBody.Value.Content {
			if content == nil || content.Schema == nil {
				continue
			}
			name := content.Schema.Ref[strings.LastIndexByte(content.Schema.Ref, '/')+1:]
			if name == "" {
				name = "body of " + method + " " + path + " as " + kind
				if err := m.addModel(name, content.Schema); err != nil {
					return err
				}
			}
			if _, there := m.Models[name]; !there {
				return fmt.Errorf("the document has no schema %q", clip(name))
			}
			if r.RequestModels == nil {
				r.RequestModels = map[string]string{}
			}
			r.RequestModels[kind] = name
		}
	}
	if err := m.setIntegration(&r, op); err != nil {
		return err
	}
	m.Routes = append(m.Routes, r)
	return nil
}
