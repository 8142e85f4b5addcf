package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
)

// importedIntegration is an x-amazon-apigateway-integration.
type importedIntegration struct {
	Ref                string                                 `json:"$ref"`
	Type               string                                 `json:"type"`
	HTTPMethod         string                                 `json:"httpMethod"`
	URI                string                                 `json:"uri"`
	PayloadVersion     string                                 `json:"payloadFormatVersion"`
	TimeoutMillis      int64                                  `json:"timeoutInMillis"`
	ConnectionType     string                                 `json:"connectionType"`
	ConnectionID       string                                 `json:"connectionId"`
	Subtype            string                                 `json:"integrationSubtype"`
	RequestParameters  map[string]string                      `json:"requestParameters"`
	RequestTemplates   map[string]*string                     `json:"requestTemplates"`
	Passthrough        string                                 `json:"passthroughBehavior"`
	ContentHandling    string                                 `json:"contentHandling"`
	CacheNamespace     string                                 `json:"cacheNamespace"`
	CacheKeyParameters []string                               `json:"cacheKeyParameters"`
	Responses          map[string]importedIntegrationResponse `json:"responses"`
}

// importedIntegrationResponse is one of its responses, by selection pattern.
type importedIntegrationResponse struct {
	StatusCode         json.RawMessage    `json:"statusCode"`
	ResponseParameters map[string]string  `json:"responseParameters"`
	ResponseTemplates  map[string]*string `json:"responseTemplates"`
	ContentHandling    string             `json:"contentHandling"`
}

func (m *importer) setIntegration(r *Route, op *openapi3.Operation) error {
	var in importedIntegration
	ok, err := into(op.Extensions, extensionIntegration, &in)
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("has no " + extensionIntegration)
	}
	if in.Ref != "" {
		name := in.Ref[strings.LastIndexByte(in.Ref, '/')+1:]
		raw, there := m.integrations[name]
		if !there {
			return fmt.Errorf("the document has no integration %q", clip(name))
		}
		if err := json.Unmarshal(raw, &in); err != nil {
			return fmt.Errorf("the integration %s: %w", clip(name), err)
		}
	}
	if in.TimeoutMillis < 0 || in.TimeoutMillis > maxTimeout.Milliseconds() {
		return fmt.Errorf("timeoutInMillis: %d is not a timeout", in.TimeoutMillis)
	}
	if in.ConnectionID != "" || in.ConnectionType != "" && !strings.EqualFold(in.ConnectionType, "INTERNET") {
		return errors.New("an integration through a VPC link is not simulated")
	}
	if in.Subtype != "" {
		return fmt.Errorf("an integration with the AWS service of %q is not supported", clip(in.Subtype))
	}
	r.Integration = Integration{
		Type: strings.ToUpper(in.Type), Timeout: time.Duration(in.TimeoutMillis) * time.Millisecond,
		CacheNamespace: in.CacheNamespace, CacheKeyParameters: in.CacheKeyParameters,
	}
	switch r.Integration.Type {
	case "HTTP_PROXY":
		r.Integration.URI, r.Integration.Method, r.Integration.RequestParameters = in.URI, strings.ToUpper(in.HTTPMethod), proxyParameters(in.RequestParameters)
		return nil
	case "AWS_PROXY":
		r.Integration.PayloadVersion = in.PayloadVersion
		r.Integration.URI, err = m.function(in.URI)
		return err
	case "HTTP":
		r.Integration.URI, r.Integration.Method = in.URI, strings.ToUpper(in.HTTPMethod)
	case "AWS":
		if strings.HasPrefix(in.URI, "arn:") && !strings.Contains(in.URI, ":lambda:path/") && !strings.Contains(in.URI, ":function:") {
			return fmt.Errorf("an integration with the AWS service of %q is not supported: Lambda functions are", clip(in.URI))
		}
		if r.Integration.URI, err = m.function(in.URI); err != nil {
			return err
		}
	case "MOCK":
	default:
		return fmt.Errorf("an integration of type %q is not supported: http_proxy, aws_proxy, http, aws and mock are", clip(in.Type))
	}
	return in.transformed(&r.Integration)
}

// transformed takes over what a non-proxy integration has.
func (in *importedIntegration) transformed(to *Integration) error {
	to.PassthroughBehavior, to.ContentHandling = strings.ToUpper(in.Passthrough), in.ContentHandling
	to.RequestTemplates = importTemplates(in.RequestTemplates)
	if to.Type != "MOCK" {
		to.RequestParameters = proxyParameters(in.RequestParameters)
	}
	for _, pattern := range sortedKeys(in.Responses) {
		from := in.Responses[pattern]
		out := IntegrationResponse{
			Status: http.StatusOK, SelectionPattern: pattern, ResponseParameters: from.ResponseParameters,
			ResponseTemplates: importTemplates(from.ResponseTemplates), ContentHandling: from.ContentHandling,
		}
		if pattern == "default" {
			out.SelectionPattern = ""
		}
		if len(from.StatusCode) > 0 && string(from.StatusCode) != "null" {
			status, err := readStatus(from.StatusCode)
			if err != nil {
				return fmt.Errorf("responses.%s: %w", clip(pattern), err)
			}
			out.Status = status
		}
		to.IntegrationResponses = append(to.IntegrationResponses, out)
	}
	return nil
}

// importTemplates are templates by content type. One that is null or says so passes
// a body on, which is what an empty template does.
func importTemplates(in map[string]*string) map[string]string {
	var out map[string]string
	for kind, text := range in {
		if out == nil {
			out = map[string]string{}
		}
		if text != nil && *text != "__passthrough__" {
			out[kind] = *text
		} else {
			out[kind] = ""
		}
	}
	return out
}

// takeEndpoint reads whether the API is private: it must not become a public one
// on its way here.
func (a *API) takeEndpoint(doc *openapi3.T) error {
	extensions := []map[string]any{doc.Extensions}
	for _, s := range doc.Servers {
		if s != nil {
			extensions = append(extensions, s.Extensions)
		}
	}
	for _, e := range extensions {
		var in struct {
			Types   []string `json:"types"`
			Disable bool     `json:"disableExecuteApiEndpoint"`
		}
		ok, err := into(e, extensionEndpoint, &in)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		for _, kind := range in.Types {
			if strings.EqualFold(kind, "PRIVATE") && a.Endpoint == "" {
				a.Endpoint = "private"
			}
		}
		// Without a custom domain in the configuration there is no other way in.
		a.DisableExecuteAPIEndpoint = a.DisableExecuteAPIEndpoint || in.Disable && len(a.Domains) > 0
	}
	return nil
}

// proxyParameters leaves out mappings that other types of integration have, such
// as overwrite: of HTTP APIs.
func proxyParameters(in map[string]string) map[string]string {
	var out map[string]string
	for target, source := range in {
		if !strings.HasPrefix(target, "integration.request.") {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[target] = source
	}
	return out
}

// function is the HTTP endpoint of a Lambda function, by the URI that API Gateway
// has for it.
func (m *importer) function(uri string) (string, error) {
	if strings.HasPrefix(uri, "http://") || strings.HasPrefix(uri, "https://") {
		return uri, nil
	}
	arn := uri
	if _, rest, ok := strings.Cut(arn, "/functions/"); ok {
		arn = rest
	}
	arn = strings.TrimSuffix(arn, "/invocations")
	_, name, _ := strings.Cut(arn, ":function:")
	for _, key := range []string{arn, name} {
		if u := m.Functions[key]; u != "" && key != "" {
			return u, nil
		}
	}
	return "", fmt.Errorf("the Lambda function %q has no HTTP endpoint: give one under functions", clip(arn))
}
