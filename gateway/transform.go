package gateway

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-project/gatehouse/velocity"
)

// transformation is how a non-proxy integration's requests and responses are made.
type transformation struct {
	requests    map[string]*velocity.Template
	passthrough string
	handling    string
	responses   []methodResponse
}

// methodResponse is an integration response made ready.
type methodResponse struct {
	status    int
	pattern   *regexp.Regexp // nil: the default
	headers   []responseMapping
	templates map[string]*velocity.Template
	kinds     []string // of the templates, in order
	handling  string
}

// responseMapping is a header of the method response.
type responseMapping struct {
	name  string
	value template       // of the call
	place responsePlace  // of the integration's response
	from  string         // header
	path  *velocity.Path // of the body
}

type responsePlace uint8

const (
	fromCall responsePlace = iota
	fromHeader
	fromBody
	fromJSON
)

// compileTransformation reads the templates and responses of a non-proxy
// integration.
func (rt *route) compileTransformation(path string) error {
	i := &rt.Integration
	t := &transformation{requests: map[string]*velocity.Template{}, passthrough: orDefault(i.PassthroughBehavior, "WHEN_NO_MATCH"), handling: i.ContentHandling}
	if !slices.Contains([]string{"WHEN_NO_MATCH", "WHEN_NO_TEMPLATES", "NEVER"}, t.passthrough) {
		return at(path+".passthrough_behavior", "%q is none of WHEN_NO_MATCH, WHEN_NO_TEMPLATES, NEVER", clip(i.PassthroughBehavior))
	}
	if err := checkHandling(path+".content_handling", i.ContentHandling); err != nil {
		return err
	}
	for _, kind := range sortedKeys(i.RequestTemplates) {
		parsed, err := readTemplate(i.RequestTemplates[kind])
		if err != nil {
			return at(path+".request_templates", "%s: %w", clip(kind), err)
		}
		t.requests[mediaType(kind)] = parsed
	}
	hasDefault := false
	for n := range i.IntegrationResponses {
		at0 := indexed(path+".integration_responses", n)
		r, err := i.IntegrationResponses[n].compile(at0)
		if err != nil {
			return err
		}
		if r.pattern == nil {
			if hasDefault {
				return at(at0+".selection_pattern", "another response is the default already")
			}
			hasDefault = true
		}
		t.responses = append(t.responses, r)
	}
	rt.transformation = t
	return nil
}

// readTemplate reads a template; nil is an empty one, which passes a body on as it
// is.
func readTemplate(text string) (*velocity.Template, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // nil is a template too
	}
	return velocity.Parse(text)
}

func checkHandling(path, v string) error {
	if v != "" && v != "CONVERT_TO_BINARY" && v != "CONVERT_TO_TEXT" {
		return at(path, "%q is neither CONVERT_TO_BINARY nor CONVERT_TO_TEXT", clip(v))
	}
	return nil
}

func (in *IntegrationResponse) compile(path string) (methodResponse, error) {
	r := methodResponse{status: in.Status, templates: map[string]*velocity.Template{}, handling: in.ContentHandling}
	if in.Status < 200 || in.Status > 599 {
		return r, at(path+".status", "%d is not a status", in.Status)
	}
	if in.SelectionPattern != "" {
		p, err := regexp.Compile("^(?:" + in.SelectionPattern + ")$")
		if err != nil {
			return r, at(path+".selection_pattern", "%w", err)
		}
		r.pattern = p
	}
	if err := checkHandling(path+".content_handling", in.ContentHandling); err != nil {
		return r, err
	}
	for _, kind := range sortedKeys(in.ResponseTemplates) {
		parsed, err := readTemplate(in.ResponseTemplates[kind])
		if err != nil {
			return r, at(path+".response_templates", "%s: %w", clip(kind), err)
		}
		r.templates[mediaType(kind)] = parsed
		r.kinds = append(r.kinds, mediaType(kind))
	}
	for _, target := range sortedKeys(in.ResponseParameters) {
		m, ok := readResponseMapping(target, in.ResponseParameters[target])
		if !ok {
			return r, at(path+".response_parameters", "%s: %q cannot be mapped", clip(target), clip(in.ResponseParameters[target]))
		}
		r.headers = append(r.headers, m)
	}
	return r, nil
}

// readResponseMapping reads method.response.header.X: integration.response.header.Y
// and its like.
func readResponseMapping(target, source string) (responseMapping, bool) {
	name, ok := strings.CutPrefix(target, "method.response.header.")
	m := responseMapping{name: name}
	if !ok || !validHeader(name, "") {
		return m, false
	}
	rest, ok := strings.CutPrefix(source, "integration.response.")
	if !ok {
		mapped, ok := readMapping("integration.request.header."+name, source)
		m.value = mapped.value
		// Of the call only what is no request parameter: API Gateway has no mapping of
		// those into a response.
		return m, ok && !strings.HasPrefix(source, "method.")
	}
	switch {
	case strings.HasPrefix(rest, "header."):
		m.place, m.from = fromHeader, strings.TrimPrefix(rest, "header.")
	case strings.HasPrefix(rest, "multivalueheader."):
		m.place, m.from = fromHeader, strings.TrimPrefix(rest, "multivalueheader.")
	case rest == "body":
		m.place = fromBody
	case strings.HasPrefix(rest, "body."):
		p, err := velocity.ParsePath(strings.TrimPrefix(rest, "body."))
		m.place, m.path = fromJSON, p
		return m, err == nil
	default:
		return m, false
	}
	return m, m.place != fromHeader || m.from != ""
}

// requestBody is the body that the integration is given: made by the template of
// the body's type, or as it came.
func (c *call) requestBody(o *overrides) ([]byte, *refusal) {
	t := c.route.transformation
	kind := mediaType(c.r.Header.Get("Content-Type"))
	if kind == "" {
		kind = "application/json"
	}
	body, err := convertBody(c.body, c.api.isBinary(kind), t.handling)
	if err != nil {
		return nil, c.misconfigured(http.StatusInternalServerError, "Execution failed due to configuration error: Unable to base64 decode the body.")
	}
	parsed, known := t.requests[kind]
	if !known {
		if t.passthrough == "NEVER" || t.passthrough == "WHEN_NO_TEMPLATES" && len(t.requests) > 0 {
			return nil, refuse("UNSUPPORTED_MEDIA_TYPE").spaced().because("Execution failed due to configuration error: No matching mapping template for content type " + clip(kind))
		}
		return body, nil
	}
	if parsed == nil {
		return body, nil
	}
	out, err := parsed.Execute(c.templateVariables(body, o), velocity.Limits{})
	if err == nil {
		return []byte(out), nil
	}
	if bad, ok := errors.AsType[*jsonError](err); ok {
		message := "Could not parse request body into json: " + bad.Error()
		return nil, refuse("BAD_REQUEST_BODY").saying(message).spaced().because("Execution failed: " + message)
	}
	return nil, c.templateFailed("request", err)
}

// templateFailed is a template that cannot be executed. The cause has its place,
// and none of the values.
func (c *call) templateFailed(which string, err error) *refusal {
	c.g.log.Warn("a mapping template failed", "api", c.api.ID, "route", c.route.key, "request_id", c.id, "template", which, "error", err)
	return c.misconfigured(http.StatusInternalServerError, "Execution failed due to configuration error: Unable to transform "+which+": "+clip(err.Error()))
}

// convertBody turns text in base64 into bytes and bytes into text in base64, as
// content handling asks.
func convertBody(body []byte, binary bool, handling string) ([]byte, error) {
	switch {
	case handling == "CONVERT_TO_BINARY" && !binary:
		out, err := base64.StdEncoding.DecodeString(string(body))
		return out, err
	case handling == "CONVERT_TO_TEXT" && binary:
		return []byte(base64.StdEncoding.EncodeToString(body)), nil
	case handling == "" && !binary && !utf8.Valid(body):
		// A type that the API does not have as binary is read as UTF-8.
		return []byte(strings.ToValidUTF8(string(body), "\uFFFD")), nil
	}
	return body, nil
}

// transformedRequest is the request to an HTTP or AWS integration: what the
// template makes and what is mapped, and nothing else of the caller's.
func (c *call) transformedRequest(ctx context.Context) (*http.Request, []byte, *refusal) {
	o := newOverrides()
	body, f := c.requestBody(o)
	if f != nil {
		return nil, nil, f
	}
	paths := map[string]string{}
	each(o.request, "path", func(name, value string) { paths[name] = url.PathEscape(value) })
	text := c.route.uri.expand(func(p part) string {
		if v, ok := paths[p.name]; ok && p.kind == pathVariable {
			return v
		}
		return c.mappedValue(p)
	})
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		c.integration.err = "Invalid endpoint address"
		return nil, nil, c.misconfigured(http.StatusInternalServerError, "Execution failed due to configuration error: Invalid endpoint address")
	}
	kind := c.r.Header.Get("Content-Type")
	if kind == "" || c.route.Integration.Type == "AWS" {
		kind = "application/json"
	}
	out := &http.Request{
		Method: c.r.Method, URL: u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Accept": {"application/json"}, "Content-Type": {kind}, "User-Agent": {"AmazonAPIGateway_" + c.api.ID},
			"X-Amzn-Apigateway-Api-Id": {c.api.ID}, "X-Amzn-Trace-Id": {c.traceID},
		},
	}
	switch m := c.route.Integration.Method; {
	case c.route.Integration.Type == "AWS":
		out.Method = http.MethodPost
		out.Header["X-Amz-Source-Arn"] = []string{c.sourceARN()}
	case m != "" && m != methodAny:
		out.Method = m
	}
	out = out.WithContext(ctx)
	c.mapParameters(out)
	var query url.Values
	each(o.request, "querystring", func(name, value string) {
		if query == nil {
			query = out.URL.Query()
		}
		query.Set(name, value)
	})
	if query != nil {
		out.URL.RawQuery = query.Encode()
	}
	each(o.request, "header", func(name, value string) {
		if validHeader(name, value) && !hopByHop[http.CanonicalHeaderKey(name)] {
			out.Header.Set(name, value)
		}
	})
	if len(body) == 0 && out.Method == http.MethodGet {
		out.Header.Del("Content-Type")
	}
	return out, body, nil
}

// transform calls an HTTP or AWS integration and makes the method response of its
// answer.
func (c *call) transform() *refusal {
	if hit := c.cached; hit != nil {
		c.hit(hit)
		if c.route.Integration.Type == "AWS" {
			return c.methodResponse("", hit.header, hit.body)
		}
		return c.methodResponse(strconv.Itoa(hit.status), hit.header, hit.body)
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), c.route.timeout)
	defer cancel()
	out, body, f := c.transformedRequest(ctx)
	if f != nil {
		return f
	}
	setBody(out, body)
	if c.logs() {
		c.traceRequest(out.URL.String(), out.Header, body)
	}
	limit := c.g.limits.payload()
	if c.route.Integration.Type == "AWS" {
		limit = min(limit, maxFunctionResult)
	}
	b := buffers.Get().(*bytes.Buffer)
	defer release(b)
	status, header, f := c.fetch(out, limit, b)
	if f != nil {
		return f
	}
	answer := b.Bytes()
	selected := strconv.Itoa(status)
	if c.route.Integration.Type == "AWS" {
		if status != http.StatusOK {
			c.integration.err = "The Lambda function could not be invoked"
			return c.misconfigured(http.StatusInternalServerError, fmt.Sprintf("Lambda invocation failed with status: %d. Lambda request id: %s", status, c.integration.requestID))
		}
		selected = ""
		if header.Get("X-Amz-Function-Error") != "" {
			// Only a function that failed has something to select by.
			c.info("Lambda execution failed with status 200 due to customer function error: ", functionMessage(answer), ". Lambda request id: ", c.integration.requestID)
			var failure struct {
				Message string `json:"errorMessage"`
			}
			_ = json.Unmarshal(answer, &failure) // without a message the default is chosen
			return c.methodResponse(failure.Message, header, answer)
		}
	}
	c.keep(status, header, answer)
	return c.methodResponse(selected, header, answer)
}

// methodResponse answers with the integration response that selected chooses.
func (c *call) methodResponse(selected string, header http.Header, body []byte) *refusal {
	t := c.route.transformation
	var r, fallback *methodResponse
	for i := range t.responses {
		switch p := t.responses[i].pattern; {
		case p == nil:
			fallback = &t.responses[i]
		case r == nil && selected != "" && p.MatchString(selected):
			r = &t.responses[i]
		}
	}
	if r == nil {
		r = fallback
	}
	if r == nil {
		c.integration.err = "No match for output mapping and no default output mapping configured"
		return c.misconfigured(http.StatusInternalServerError, "Execution failed due to configuration error: No match for output mapping and no default output mapping configured. Endpoint Response Status Code: "+orDefault(strconv.Itoa(c.integration.status), "0"))
	}
	return c.respondWith(r, header, body)
}

// respondWith makes the method response.
func (c *call) respondWith(r *methodResponse, header http.Header, body []byte) *refusal {
	var err error
	if body, err = c.responseContent(r.handling, header.Get("Content-Type"), body); err != nil {
		return c.misconfigured(http.StatusInternalServerError, "Execution failed due to configuration error: Unable to base64 decode the body.")
	}
	h := c.w.Header()
	mapped := http.Header{}
	for _, m := range r.headers {
		v, err := c.mappedHeader(&m, header, body)
		if err != nil {
			return c.templateFailed("response", err)
		}
		if v != "" && validHeader(m.name, v) {
			mapped.Set(m.name, v)
		}
	}
	status := r.status
	kind, parsed := c.responseTemplate(r)
	if parsed != nil {
		o := newOverrides()
		out, err := parsed.Execute(c.templateVariables(body, o), velocity.Limits{})
		if err != nil {
			return c.templateFailed("response", err)
		}
		body = []byte(out)
		each(o.response, "header", func(name, value string) {
			if validHeader(name, value) {
				mapped.Set(name, value)
			}
		})
		if v := o.response.Get("status"); v != nil {
			if n, err := strconv.Atoi(strings.TrimSpace(argumentText(v))); err == nil && n >= 200 && n <= 599 {
				status = n
			}
		}
	}
	h.Set("Content-Type", kind)
	copyResponseHeader(h, mapped, true)
	return c.answer(status, body)
}

// responseTemplate chooses the template that the caller accepts: of what it
// accepts first, else JSON, else the first there is. nil passes the body on.
func (c *call) responseTemplate(r *methodResponse) (string, *velocity.Template) {
	accept, _, _ := strings.Cut(c.r.Header.Get("Accept"), ",")
	for _, kind := range []string{mediaType(accept), "application/json"} {
		if t, ok := r.templates[kind]; ok {
			return kind, t
		}
	}
	if len(r.kinds) > 0 {
		return r.kinds[0], r.templates[r.kinds[0]]
	}
	return "application/json", nil
}

// responseContent converts a response's body, by content handling and by whether
// the caller accepts bytes.
func (c *call) responseContent(handling, contentType string, body []byte) ([]byte, error) {
	binary := c.api.isBinary(mediaType(contentType))
	accept, _, _ := strings.Cut(c.r.Header.Get("Accept"), ",")
	accepted := len(c.api.binary) > 0 && c.api.isBinary(mediaType(accept))
	if handling == "" && len(c.api.binary) > 0 {
		switch {
		case binary && !accepted:
			handling = "CONVERT_TO_TEXT"
		case !binary && accepted && mediaType(accept) != "*/*":
			handling = "CONVERT_TO_BINARY"
		}
	}
	return convertBody(body, binary, handling)
}

func (c *call) mappedHeader(m *responseMapping, header http.Header, body []byte) (string, error) {
	switch m.place {
	case fromHeader:
		return strings.Join(header.Values(m.from), ","), nil
	case fromBody:
		return string(body), nil
	case fromJSON:
		return jsonText(m.path, body)
	case fromCall:
	}
	return m.value.expand(c.value), nil
}

// jsonText is what a JSONPath leads to in a body, as a text.
func jsonText(p *velocity.Path, body []byte) (string, error) {
	root, err := velocity.ParseJSON(body)
	if err != nil {
		return "", &jsonError{err}
	}
	v, ok, err := p.Select(root)
	if err != nil || !ok || v == nil {
		return "", err
	}
	if s, ok := v.(string); ok {
		return s, nil
	}
	return velocity.JSON(v)
}

// mockTransformed answers a MOCK whose request template says which status it
// stands for.
func (c *call) mockTransformed() *refusal {
	body, f := c.requestBody(newOverrides())
	if f != nil {
		return f
	}
	var chosen struct {
		Status *json.Number `json:"statusCode"`
	}
	if err := json.Unmarshal(body, &chosen); err != nil || chosen.Status == nil {
		return c.misconfigured(http.StatusInternalServerError, "Execution failed due to configuration error: Unable to parse statusCode. It should be an integer that is defined in the request template.")
	}
	if _, err := chosen.Status.Int64(); err != nil {
		return c.misconfigured(http.StatusInternalServerError, "Execution failed due to configuration error: Unable to parse statusCode. It should be an integer that is defined in the request template.")
	}
	return c.methodResponse(chosen.Status.String(), http.Header{}, nil)
}
