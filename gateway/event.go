package gateway

import (
	"encoding/base64"
	"net"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// forwardedHeader are the headers of the call as API Gateway hands them on: with
// the host and who the call came from, and under AWS_IAM without the signature.
func (c *call) forwardedHeader() http.Header {
	h := make(http.Header, len(c.r.Header)+5)
	for name, v := range c.r.Header {
		if hopByHop[name] {
			continue
		}
		h[name] = v
	}
	// Headers that the Connection header names end here too.
	for _, v := range c.r.Header["Connection"] {
		for name := range strings.SplitSeq(v, ",") {
			delete(h, http.CanonicalHeaderKey(strings.TrimSpace(name)))
		}
	}
	if c.route != nil && c.route.auth == iam.AuthIAM {
		delete(h, "Authorization")
	}
	h["Host"] = []string{c.r.Host}
	proto, port := "http", "80"
	if c.r.TLS != nil {
		proto, port = "https", "443"
	}
	if _, p, err := net.SplitHostPort(c.r.Host); err == nil {
		port = p
	}
	forwarded := c.sourceIP
	if before := c.r.Header["X-Forwarded-For"]; len(before) > 0 {
		forwarded = strings.Join(before, ", ") + ", " + forwarded
	}
	h["X-Forwarded-For"] = []string{forwarded}
	h["X-Forwarded-Port"] = []string{port}
	h["X-Forwarded-Proto"] = []string{proto}
	h["X-Amzn-Trace-Id"] = []string{c.traceID}
	return h
}

// hopByHop are headers that end at the gateway.
var hopByHop = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true, "Proxy-Connection": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}

// eventV1 is the Lambda proxy event of REST APIs, and of HTTP APIs in payload
// version 1.0.
func (c *call) eventV1() map[string]any {
	h := c.forwardedHeader()
	single, multi := make(map[string]string, len(h)), make(map[string][]string, len(h))
	for name, v := range h {
		single[name], multi[name] = v[len(v)-1], v
	}
	var query map[string]string
	var queries map[string][]string
	if q := c.query(); len(q) > 0 {
		query, queries = make(map[string]string, len(q)), q
		for name, v := range q {
			query[name] = v[len(v)-1]
			if c.api.kind == transaction.HTTP {
				query[name] = strings.Join(v, ",")
			}
		}
	}
	body, isBase64 := c.eventBody()
	event := map[string]any{
		"resource": c.route.path, "path": c.eventPath(), "httpMethod": c.r.Method,
		"headers": single, "multiValueHeaders": multi,
		"queryStringParameters": orNull(query), "multiValueQueryStringParameters": orNull(queries),
		"pathParameters": orNull(c.parameterMap()), "stageVariables": orNull(c.stage.Variables),
		"requestContext": c.requestContextV1(), "body": body, "isBase64Encoded": isBase64,
	}
	if c.api.kind == transaction.HTTP {
		event["version"] = "1.0"
		event["resource"] = c.route.path
	}
	return event
}

// eventPath is the path without the stage, or as a custom domain has it.
func (c *call) eventPath() string {
	if c.basePath != "" {
		return "/" + c.basePath + c.raw
	}
	return c.raw
}

func orNull[M ~map[string]V, V any](m M) any {
	if len(m) == 0 {
		return nil
	}
	return m
}

func (c *call) parameterMap() map[string]string {
	out := make(map[string]string, len(c.params))
	for _, p := range c.params {
		out[p.name] = p.value
	}
	return out
}

func (c *call) requestContextV1() map[string]any {
	identity := map[string]any{
		"sourceIp": c.sourceIP, "userAgent": nullable(c.r.UserAgent()),
		"accountId": nil, "accessKey": nil, "caller": nil, "user": nil, "userArn": nil, "principalOrgId": nil,
		"cognitoIdentityId": nil, "cognitoIdentityPoolId": nil, "cognitoAuthenticationType": nil, "cognitoAuthenticationProvider": nil,
	}
	if w := c.who; w != nil {
		identity["accountId"], identity["accessKey"], identity["userArn"] = w.Principal.Account, w.AccessKeyID, w.Principal.ARN
		identity["caller"], identity["user"] = c.callerID(), c.callerID()
		identity["principalOrgId"] = nullable(strings.Join(w.Context["aws:PrincipalOrgID"], ","))
	}
	if c.apiKey != nil {
		identity["apiKey"], identity["apiKeyId"] = c.apiKey.value, c.apiKey.id
	}
	out := map[string]any{
		"accountId": c.api.Account, "apiId": c.api.ID, "stage": c.stage.Name, "requestId": c.id, "extendedRequestId": c.extended,
		"resourceId": c.route.resourceID, "resourcePath": c.route.path, "httpMethod": c.r.Method, "path": c.sent, "protocol": c.r.Proto,
		"requestTime": c.plainVariable("requestTime"), "requestTimeEpoch": c.start.UnixMilli(),
		"domainName": c.r.Host, "domainPrefix": c.plainVariable("domainPrefix"), "identity": identity,
	}
	if c.socket != nil {
		out["routeKey"], out["eventType"], out["connectionId"] = c.route.key, c.socket.kind, c.socket.socket.id
	}
	if c.route.OperationName != "" {
		out["operationName"] = c.route.OperationName
	}
	switch {
	case c.lambda != nil:
		z := map[string]any{"principalId": c.lambda.principal, "integrationLatency": c.authLatency.Milliseconds()}
		for k, v := range c.lambda.context {
			if c.api.kind != transaction.HTTP {
				v = text(v) // a REST API hands every value on as text
			}
			z[k] = v
		}
		out["authorizer"] = z
	case c.claims != nil:
		claims := map[string]string{}
		for k, v := range c.claims {
			claims[k] = text(v)
		}
		out["authorizer"] = map[string]any{"claims": claims}
		if c.api.kind == transaction.HTTP {
			out["authorizer"] = map[string]any{"jwt": map[string]any{"claims": claims, "scopes": orNil(c.route.Scopes)}}
		}
	}
	return out
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func orNil[E any](s []E) any {
	if len(s) == 0 {
		return nil
	}
	return s
}

// eventV2 is the Lambda proxy event of HTTP APIs in payload version 2.0.
func (c *call) eventV2() map[string]any {
	headers := map[string]string{}
	for name, v := range c.forwardedHeader() {
		if name != "Cookie" {
			headers[strings.ToLower(name)] = strings.Join(v, ",")
		}
	}
	event := map[string]any{
		"version": "2.0", "routeKey": c.route.key, "rawPath": c.sent, "rawQueryString": c.r.URL.RawQuery,
		"headers": headers, "requestContext": c.requestContextV2(),
	}
	var cookies []string
	for _, v := range c.r.Header["Cookie"] {
		for part := range strings.SplitSeq(v, ";") {
			if part = strings.TrimSpace(part); part != "" {
				cookies = append(cookies, part)
			}
		}
	}
	if cookies != nil {
		event["cookies"] = cookies
	}
	if q := c.query(); len(q) > 0 {
		query := make(map[string]string, len(q))
		for name, v := range q {
			query[name] = strings.Join(v, ",")
		}
		event["queryStringParameters"] = query
	}
	if len(c.params) > 0 {
		event["pathParameters"] = c.parameterMap()
	}
	if len(c.stage.Variables) > 0 {
		event["stageVariables"] = c.stage.Variables
	}
	body, isBase64 := c.eventBody()
	if body != nil {
		event["body"] = body
	}
	event["isBase64Encoded"] = isBase64
	return event
}

func (c *call) requestContextV2() map[string]any {
	out := map[string]any{
		"accountId": c.api.Account, "apiId": c.api.ID, "stage": c.stage.Name, "requestId": c.extended, "routeKey": c.route.key,
		"domainName": c.r.Host, "domainPrefix": c.plainVariable("domainPrefix"),
		"time": c.plainVariable("requestTime"), "timeEpoch": c.start.UnixMilli(),
		"http": map[string]any{
			"method": c.r.Method, "path": c.sent, "protocol": c.r.Proto, "sourceIp": c.sourceIP, "userAgent": c.r.UserAgent(),
		},
	}
	switch {
	case c.who != nil:
		w := c.who
		out["authorizer"] = map[string]any{"iam": map[string]any{
			"accessKey": w.AccessKeyID, "accountId": w.Principal.Account, "callerId": c.callerID(), "cognitoIdentity": nil,
			"principalOrgId": nullable(strings.Join(w.Context["aws:PrincipalOrgID"], ",")), "userArn": w.Principal.ARN, "userId": c.callerID(),
		}}
	case c.lambda != nil:
		out["authorizer"] = map[string]any{"lambda": orNull(c.lambda.context)}
	case c.claims != nil:
		claims := map[string]string{}
		for k, v := range c.claims {
			claims[k] = text(v)
		}
		out["authorizer"] = map[string]any{"jwt": map[string]any{"claims": claims, "scopes": orNil(c.route.Scopes)}}
	}
	return out
}

// eventBody is the body as the event has it: null, text, or base64.
func (c *call) eventBody() (body any, isBase64 bool) {
	if len(c.body) == 0 {
		return nil, false
	}
	kind := mediaType(c.r.Header.Get("Content-Type"))
	binary := c.api.isBinary(kind)
	if c.api.kind == transaction.HTTP {
		binary = !isText(kind)
	}
	if binary || !utf8.Valid(c.body) && c.api.kind == transaction.HTTP {
		return base64.StdEncoding.EncodeToString(c.body), true
	}
	return string(c.body), false
}

func mediaType(v string) string {
	v, _, _ = strings.Cut(v, ";")
	return strings.ToLower(strings.TrimSpace(v))
}

// isText reports whether an HTTP API hands a body of this type on as text.
func isText(kind string) bool {
	return kind == "" || strings.HasPrefix(kind, "text/") || kind == "application/json" || kind == "application/javascript" ||
		kind == "application/xml" || strings.HasSuffix(kind, "+json") || strings.HasSuffix(kind, "+xml")
}

// isBinary reports whether a REST API treats a media type as binary.
func (a *api) isBinary(kind string) bool {
	for _, b := range a.binary {
		if b == "*/*" || strings.EqualFold(b, kind) {
			return true
		}
		if prefix, ok := strings.CutSuffix(b, "/*"); ok && strings.HasPrefix(kind, prefix+"/") {
			return true
		}
	}
	return false
}
