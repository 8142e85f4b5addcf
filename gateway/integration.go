package gateway

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-project/gatehouse/transaction"
	"github.com/gatehouse-project/gatehouse/velocity"
)

// mockAnswer is what a MOCK integration answers.
type mockAnswer struct {
	status  int
	headers map[string]template
	body    template
}

// maxTimeout is the longest that an integration may be configured to take. AWS
// lets owners of regional REST APIs raise the 29 s.
const maxTimeout = 15 * time.Minute

func (rt *route) compileIntegration(path string, kind transaction.APIType) error {
	i := &rt.Integration
	if i.Timeout < 0 || i.Timeout > maxTimeout {
		return at(path+".timeout", "must be from 0 to %s", maxTimeout)
	}
	if i.Timeout > 0 {
		rt.timeout = i.Timeout
	}
	if kind != transaction.REST || i.Type == "HTTP_PROXY" || i.Type == "AWS_PROXY" {
		switch {
		case i.Type == "HTTP" || i.Type == "AWS":
			return at(path+".type", "only REST APIs have mapping templates here: %s is one of theirs", i.Type)
		case len(i.RequestTemplates)+len(i.IntegrationResponses) > 0, i.PassthroughBehavior != "", i.ContentHandling != "":
			return at(path, "mapping templates, passthrough behavior and content handling are of integrations of type HTTP, AWS and MOCK of a REST API")
		}
	}
	if kind != transaction.REST && (len(i.CacheKeyParameters) > 0 || i.CacheNamespace != "") {
		return at(path+".cache_key_parameters", "only REST APIs have a cache")
	}
	switch i.Type {
	case "HTTP_PROXY", "AWS_PROXY", "HTTP", "AWS":
		rt.uri = uriTemplate(i.URI)
		probe := rt.uri.expand(func(part) string { return "x" })
		if err := checkURL(path+".uri", probe); err != nil {
			return err
		}
		if !strings.HasPrefix(i.URI, "http") {
			return at(path+".uri", "%q does not begin with http:// or https://", clip(i.URI))
		}
		for _, p := range rt.uri {
			// A caller who chooses the host chooses where the call goes.
			if p.kind == pathVariable && !strings.Contains(strings.TrimPrefix(strings.TrimPrefix(i.URI[:strings.Index(i.URI, "{"+p.name)], "https://"), "http://"), "/") {
				return at(path+".uri", "the host cannot hold the path parameter {%s}", p.name)
			}
			if p.kind == pathVariable && !slices.ContainsFunc(rt.segments, func(s string) bool { return strings.Trim(s, "{}+") == p.name && isParam(s) }) &&
				!hasMapping(i.RequestParameters, p.name) {
				return at(path+".uri", "the route has no parameter {%s}", p.name)
			}
		}
	case "MOCK":
		if kind == transaction.HTTP {
			return at(path+".type", "HTTP APIs have no MOCK integrations")
		}
		if len(i.RequestTemplates)+len(i.IntegrationResponses) == 0 {
			return rt.compileMock(path)
		}
		if len(i.Responses) > 0 || i.Status != 0 {
			return at(path+".responses", "does not go with request_templates and integration_responses: the template chooses the status")
		}
		return rt.compileTransformation(path)
	case "":
		return at(path+".type", "is missing: HTTP_PROXY, AWS_PROXY, HTTP, AWS or MOCK")
	default:
		return at(path+".type", "%q is none of HTTP_PROXY, AWS_PROXY, HTTP, AWS, MOCK", clip(i.Type))
	}
	if i.Type == "HTTP" || i.Type == "AWS" {
		if err := rt.compileTransformation(path); err != nil {
			return err
		}
	}
	if i.Method != "" && !methodPattern.MatchString(i.Method) {
		return at(path+".method", "%q is not an HTTP method or ANY", clip(i.Method))
	}
	switch i.PayloadVersion {
	case "", "1.0":
	case "2.0":
		if kind != transaction.HTTP {
			return at(path+".payload_version", "only HTTP APIs have 2.0")
		}
	default:
		return at(path+".payload_version", "%q is neither 1.0 nor 2.0", clip(i.PayloadVersion))
	}
	for _, target := range sortedKeys(i.RequestParameters) {
		m, ok := readMapping(target, i.RequestParameters[target])
		if !ok {
			return at(path+".request_parameters", "%s: %q cannot be mapped", target, clip(i.RequestParameters[target]))
		}
		rt.mappings = append(rt.mappings, m)
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	sort.Strings(out)
	return out
}

func hasMapping(m map[string]string, name string) bool {
	_, ok := m["integration.request.path."+name]
	return ok
}

// readMapping reads integration.request.header.X: method.request.header.Y.
func readMapping(target, source string) (mapping, bool) {
	rest, ok := strings.CutPrefix(target, "integration.request.")
	if !ok {
		return mapping{}, false
	}
	place, name, ok := strings.Cut(rest, ".")
	if !ok || name == "" || kindOfPlace(place) == noVariable {
		return mapping{}, false
	}
	m := mapping{place: place, name: name}
	if n := len(source); n >= 2 && source[0] == '\'' && source[n-1] == '\'' {
		m.value = template{{literal: source[1 : n-1]}}
		return m, true
	}
	if place, name, ok := requestParameter(source); ok {
		m.value = template{{kind: kindOfPlace(place), name: name}, {}}
		return m, true
	}
	if name, ok := strings.CutPrefix(source, "context."); ok {
		m.value = template{{kind: contextVariable, name: name}, {}}
		return m, true
	}
	if name, ok := strings.CutPrefix(source, "stageVariables."); ok {
		m.value = template{{kind: stageVariable, name: name}, {}}
		return m, true
	}
	if source == "method.request.body" {
		m.value = template{{kind: bodyVariable}, {}}
		return m, true
	}
	if path, ok := strings.CutPrefix(source, "method.request.body."); ok {
		p, err := velocity.ParsePath(path)
		m.value = template{{kind: bodyVariable, path: p}, {}}
		return m, err == nil
	}
	return mapping{}, false
}

func (rt *route) compileMock(path string) error {
	i := &rt.Integration
	best := 0
	for _, key := range sortedKeys(i.Responses) {
		status, err := strconv.Atoi(key)
		if err != nil || status < 200 || status > 599 {
			return at(path+".responses", "%q is not a status", clip(key))
		}
		if best == 0 || status == i.Status {
			best = status
		}
	}
	if i.Status != 0 && best != i.Status {
		return at(path+".status", "there is no response %d", i.Status)
	}
	rt.mock = &mockAnswer{status: orDefault(best, http.StatusOK), headers: map[string]template{}}
	r := i.Responses[strconv.Itoa(best)]
	for name, v := range r.Headers {
		rt.mock.headers[name] = contextTemplate(v)
	}
	rt.mock.body = contextTemplate(r.Body)
	return nil
}

// integrate calls the integration and answers what it answers.
func (c *call) integrate() *refusal {
	switch c.route.Integration.Type {
	case "MOCK":
		if c.route.transformation != nil {
			return c.mockTransformed()
		}
		return c.mock()
	case "AWS_PROXY":
		return c.proxyToFunction()
	case "HTTP", "AWS":
		return c.transform()
	default:
		return c.proxyToHTTP()
	}
}

func (c *call) mock() *refusal {
	h := c.w.Header()
	for name, v := range c.route.mock.headers {
		h.Set(name, v.expand(c.value))
	}
	body := c.route.mock.body.expand(c.value)
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "application/json")
	}
	return c.answer(c.route.mock.status, []byte(body))
}

// answer gives the caller what the integration answered.
func (c *call) answer(status int, body []byte) *refusal {
	h := c.w.Header()
	c.identify(h)
	if c.traces() {
		c.info("Method response body after transformations: ", c.logBody(body))
		c.info("Method response headers: ", logHeader(h))
	}
	c.info("Successfully completed execution")
	c.respond(status, body)
	return nil
}

// failure is the refusal of a call whose integration could not be reached, took too
// long or broke off.
func (c *call) failure(err error) *refusal {
	if c.r.Context().Err() != nil {
		// The caller has gone; nobody reads the answer.
		c.integration.err = "the caller closed the connection"
		return refuse("INTEGRATION_FAILURE").spaced().because("Execution failed: the client closed the connection")
	}
	var timeout interface{ Timeout() bool }
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		c.integration.err = "Endpoint request timed out"
		f := refuse("INTEGRATION_TIMEOUT").spaced().because("Execution failed due to a timeout error")
		if c.api.kind == transaction.HTTP {
			f.status = http.StatusServiceUnavailable // best evidence
		}
		return f
	}
	c.g.log.Warn("an integration failed", "api", c.api.ID, "route", c.route.key, "request_id", c.id, "error", err)
	c.integration.err = "Network error communicating with endpoint"
	if errors.Is(err, errTooLarge) {
		c.integration.err = "the response is larger than 10 MB"
		return c.misconfigured(http.StatusInternalServerError, "Execution failed due to configuration error: Integration response is larger than 10485760 bytes")
	}
	f := refuse("INTEGRATION_FAILURE").spaced().because("Execution failed due to a network error communicating with endpoint")
	if c.api.kind == transaction.HTTP {
		f.status = http.StatusServiceUnavailable // best evidence
	}
	return f
}

// misconfigured is an integration that answered what API Gateway cannot use.
func (c *call) misconfigured(status int, cause string) *refusal {
	f := refuse("API_CONFIGURATION_ERROR").as(status).spaced().because(cause)
	if c.api.kind == transaction.HTTP {
		f.status = http.StatusInternalServerError
	}
	return f
}

// buffers hold bodies of integrations while they are read.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooled is the largest buffer that is kept for another call.
const maxPooled = 256 << 10

func release(b *bytes.Buffer) {
	if b.Cap() <= maxPooled {
		b.Reset()
		buffers.Put(b)
	}
}

// proxyToHTTP calls an HTTP endpoint with the request as it came.
func (c *call) proxyToHTTP() *refusal {
	if hit := c.cached; hit != nil {
		c.hit(hit)
		return c.answerProxied(hit.status, hit.header, hit.body)
	}
	u, err := c.endpoint()
	if err != nil {
		c.integration.err = "Invalid endpoint address"
		return c.misconfigured(http.StatusInternalServerError, "Execution failed due to configuration error: Invalid endpoint address")
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), c.route.timeout)
	defer cancel()
	header := c.forwardedHeader()
	delete(header, "Host")
	out := &http.Request{
		Method: c.r.Method, URL: u, Header: header, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}
	if m := c.route.Integration.Method; m != "" && m != methodAny {
		out.Method = m
	}
	setBody(out, c.body)
	out = out.WithContext(ctx)
	c.mapParameters(out)
	if _, ok := header["User-Agent"]; !ok {
		header["User-Agent"] = []string{"AmazonAPIGateway_" + c.api.ID}
	}
	header["X-Amzn-Apigateway-Api-Id"] = []string{c.api.ID}
	if c.logs() {
		c.traceRequest(u.String(), header, c.body)
	}
	b := buffers.Get().(*bytes.Buffer)
	defer release(b)
	status, answered, f := c.fetch(out, c.g.limits.payload(), b)
	if f != nil {
		return f
	}
	c.keep(status, answered, b.Bytes())
	return c.answerProxied(status, answered, b.Bytes())
}

// answerProxied answers what an HTTP endpoint answered.
func (c *call) answerProxied(status int, header http.Header, body []byte) *refusal {
	h := c.w.Header()
	copyResponseHeader(h, header, c.api.kind == transaction.REST)
	if len(h["Content-Type"]) == 0 {
		// net/http would guess one; API Gateway does not.
		h["Content-Type"] = nil
		if c.api.kind == transaction.REST {
			h["Content-Type"] = []string{"application/json"}
		}
	}
	return c.answer(status, body)
}

// setBody gives a request a body that can be sent again.
func setBody(out *http.Request, body []byte) {
	if len(body) == 0 {
		return
	}
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
}

// fetch sends a request to an endpoint and reads the answer's body into b.
func (c *call) fetch(out *http.Request, limit int64, b *bytes.Buffer) (int, http.Header, *refusal) {
	began := c.g.now()
	c.integration.called = true
	resp, err := c.g.transport.RoundTrip(out)
	if err != nil {
		c.integration.latency = c.g.now().Sub(began)
		return 0, nil, c.failure(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.ContentLength > limit {
		return 0, nil, c.failure(errTooLarge)
	}
	n, err := b.ReadFrom(io.LimitReader(resp.Body, limit+1))
	c.integration.latency = c.g.now().Sub(began)
	switch {
	case err != nil:
		return 0, nil, c.failure(err)
	case n > limit:
		return 0, nil, c.failure(errTooLarge)
	}
	c.integration.status = resp.StatusCode
	c.integration.requestID = resp.Header.Get("X-Amzn-Requestid")
	if c.integration.requestID == "" && c.route.Integration.Type == "AWS" {
		c.integration.requestID = uuid.NewString()
	}
	c.traceResponse(resp.StatusCode, resp.Header, b.Bytes())
	return resp.StatusCode, resp.Header, nil
}

// endpoint is the address that the call goes to: the template with its parameters,
// and the query string of the call behind its own.
func (c *call) endpoint() (*url.URL, error) {
	text := c.route.uri.expand(c.mappedValue)
	u, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, errors.New("the address is not an http or https URL")
	}
	if q := c.r.URL.RawQuery; q != "" {
		if u.RawQuery != "" {
			q = u.RawQuery + "&" + q
		}
		u.RawQuery = q
	}
	return u, nil
}

// mappedValue is a path parameter as it is mapped, or as it came.
func (c *call) mappedValue(p part) string {
	if p.kind == pathVariable {
		for _, m := range c.route.mappings {
			if m.place == "path" && m.name == p.name {
				// A value of the caller's must not become several segments, or a query.
				if len(m.value) == 2 && m.value[0].kind == pathVariable {
					return c.value(m.value[0])
				}
				return url.PathEscape(m.value.expand(c.value))
			}
		}
	}
	return c.value(p)
}

func (c *call) mapParameters(out *http.Request) {
	var query url.Values
	for _, m := range c.route.mappings {
		if m.place == "path" {
			continue
		}
		v := m.value.expand(c.value)
		switch {
		case v == "":
		case m.place == "header":
			if strings.EqualFold(m.name, "Host") {
				out.Host = v
				continue
			}
			out.Header.Set(m.name, v)
		default:
			if query == nil {
				query = out.URL.Query()
			}
			query.Set(m.name, v)
		}
	}
	if query != nil {
		out.URL.RawQuery = query.Encode()
	}
}

// remapped are headers of an integration that a REST API gives under another name,
// because its own stand in their place.
var remapped = map[string]string{
	"Connection": "X-Amzn-Remapped-Connection", "Content-Length": "X-Amzn-Remapped-Content-Length", "Date": "X-Amzn-Remapped-Date",
	"Host": "X-Amzn-Remapped-Host", "Server": "X-Amzn-Remapped-Server", "Www-Authenticate": "X-Amzn-Remapped-Www-Authenticate",
}

func copyResponseHeader(to, from http.Header, rest bool) {
	for name, v := range from {
		if to0, ok := remapped[name]; ok {
			if rest {
				to[to0] = v
			} else if name == "Www-Authenticate" {
				to[name] = v
			}
			continue
		}
		if !hopByHop[name] {
			to[name] = v
		}
	}
}

// traceRequest tells what the integration is sent.
func (c *call) traceRequest(uri string, h http.Header, body []byte) {
	if c.traces() {
		c.info("Endpoint request URI: ", uri)
		c.info("Endpoint request headers: ", logHeader(h))
		c.info("Endpoint request body after transformations: ", c.logBody(body))
	}
	c.info("Sending request to ", uri)
}

// traceResponse tells what the integration answered.
func (c *call) traceResponse(status int, h http.Header, body []byte) {
	c.info("Received response. Status: ", strconv.Itoa(status), ", Integration latency: ", milliseconds(c.integration.latency), " ms")
	if c.traces() {
		c.info("Endpoint response headers: ", logHeader(h))
		c.info("Endpoint response body before transformations: ", c.logBody(body))
	}
}
