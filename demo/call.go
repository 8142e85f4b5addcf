// Package demo plays an organization of four accounts on a simulated AWS: its
// APIs, its roles, and callers that keep calling. A traffic player writes API
// Gateway's own log lines into CloudWatch Logs; from there on everything is the
// product's own way.
package demo

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// header is one header line, in the order in which API Gateway would log it.
type header struct{ name, value string }

// outcome is how far a call came.
type outcome int

const (
	served       outcome = iota // reached the integration
	unauthorized                // a Lambda authorizer refused it: four lines, no method, no path
	throttled                   // over the usage plan: no method and path lines
	probe                       // no such resource: 403 Missing Authentication Token
	timedOut                    // the integration did not answer in time
	malformed                   // the Lambda's answer was not a proxy response
)

// call is one call to a simulated API, with all that API Gateway would know.
type call struct {
	api      *api
	stage    *stage
	route    *route
	at       time.Time
	outcome  outcome
	id       string // request id
	extended string // extended request id
	method   string
	path     string // without the stage
	query    []header
	headers  []header
	body     string
	status   int
	answer   []header
	result   string // response body
	backend  time.Duration
	latency  time.Duration
	ip       string
	agent    string
	caller   *caller
	event    string // WebSocket: CONNECT, MESSAGE, DISCONNECT
	conn     string // WebSocket: connection id
}

// line is one log event, after the call's beginning.
type line struct {
	after time.Duration
	text  string
}

// cutAt is where API Gateway cuts an execution-log message.
const cutAt = 1024

// cut shortens a message as API Gateway does: at 1,024 bytes, wherever that
// falls, with a mark behind.
func cut(s string) string {
	if len(s) <= cutAt {
		return s
	}
	return strings.ToValidUTF8(s[:cutAt], "") + " [TRUNCATED]"
}

// executionLines are the call's lines in the execution log at a stage's level.
func (c *call) executionLines() []line {
	if c.stage.level == "" || c.stage.level == "OFF" || c.api.kind == "HTTP" {
		return nil
	}
	var out []line
	at := time.Duration(0)
	add := func(format string, args ...any) {
		out = append(out, line{at, cut("(" + c.id + ") " + fmt.Sprintf(format, args...))})
	}
	trace := func(format string, args ...any) {
		if c.stage.trace {
			add(format, args...)
		}
	}
	step := func(d time.Duration) { at += d }

	if c.stage.level == "ERROR" {
		if c.outcome == timedOut {
			at = c.latency
			add("Execution failed due to a timeout error")
		}
		return out
	}
	add("Extended Request Id: %s", c.extended)
	if c.api.kind == "WEBSOCKET" {
		return append(out, c.webSocketLines()...)
	}
	if c.route != nil && c.route.authorizer != "" {
		add("Starting authorizer: %s for request: %s", c.route.authorizer, c.id)
		if c.outcome == unauthorized {
			add("Unauthorized request: %s", c.id)
			add("X-ray Tracing ID : %s", traceID(c.at, c.id))
			return out
		}
		add("Incoming identity: ****%s", c.id[len(c.id)-6:])
		trace("Endpoint request URI: https://lambda.%s.amazonaws.com/2015-03-31/functions/arn:aws:lambda:%s:%s:function:authorizer/invocations",
			c.api.region, c.api.region, c.api.account)
		trace("Endpoint request headers: {X-Amz-Date=%s, x-amzn-apigateway-api-id=%s, Accept=application/json, User-Agent=AmazonAPIGateway_%s}",
			c.at.UTC().Format("20060102T150405Z"), c.api.id, c.api.id)
		trace(`Endpoint request body after transformations: {"type":"TOKEN","methodArn":"arn:aws:execute-api:%s:%s:%s/%s/%s%s","authorizationToken":"Bearer demo-%s"}`,
			c.api.region, c.api.account, c.api.id, c.stage.name, c.method, c.path, c.id[:8])
		step(8 * time.Millisecond)
		trace("Sending request to https://lambda.%s.amazonaws.com/2015-03-31/functions/arn:aws:lambda:%s:%s:function:authorizer/invocations",
			c.api.region, c.api.region, c.api.account)
		step(12 * time.Millisecond)
		trace(`Authorizer result body before parsing: {"principalId":"%s","policyDocument":{"Version":"2012-10-17","Statement":[{"Action":"execute-api:Invoke","Effect":"Allow","Resource":"*"}]}}`, c.caller.name)
		add("Using valid authorizer policy for principal: %s", mask(c.caller.name))
		add("Successfully completed authorizer execution")
	}
	add("Verifying Usage Plan for request: %s. API Key:  API Stage: %s/%s", c.id, c.api.id, c.stage.name)
	if c.outcome == throttled {
		add("Key throttle limit exceeded for RestApi %s, Stage %s, Resource %s, HttpMethod %s. Limit: 1.00 Burst: 1", c.api.id, c.stage.name, "k0w8mc", c.method)
		add("Method completed with status: 429")
		return out
	}
	if c.route != nil {
		add("API Key  authorized because method '%s %s' does not require API Key. Request will not contribute to throttle or quota limits", c.method, c.route.path)
	}
	add("Usage Plan check succeeded for API Key  and API Stage %s/%s", c.api.id, c.stage.name)
	add("Starting execution for request: %s", c.id)
	add("HTTP Method: %s, Resource Path: %s", c.method, c.path)
	trace("Method request path: %s", logMap(c.pathParameters()))
	trace("Method request query string: %s", logMap(c.query))
	trace("Method request headers: %s", logMap(c.headers))
	trace("Method request body before transformations: %s", c.body)
	step(time.Millisecond)
	if c.route != nil {
		uri := c.route.uri(c.api)
		trace("Endpoint request URI: %s", uri)
		trace("Endpoint request headers: {X-Amz-Date=%s, x-amzn-apigateway-api-id=%s, X-Amz-Source-Arn=arn:aws:execute-api:%s:%s:%s/%s/%s%s, Accept=application/json, User-Agent=AmazonAPIGateway_%s, X-Amz-Security-Token=IQoJb3JpZ2luX2VjEDemoTokenThatIsNotASecret%s",
			c.at.UTC().Format("20060102T150405Z"), c.api.id, c.api.region, c.api.account, c.api.id, c.stage.name, c.method, c.route.path, c.api.id, strings.Repeat("A", 700))
		trace("Endpoint request body after transformations: %s", c.proxyEvent())
		add("Sending request to %s", uri)
		step(c.backend)
	}
	switch c.outcome {
	case timedOut:
		add("Execution failed due to a timeout error")
	case malformed:
		add("Received response. Status: 200, Integration latency: %d ms", c.backend.Milliseconds())
		add("Execution failed due to configuration error: Malformed Lambda proxy response")
	default:
		add("Received response. Status: %d, Integration latency: %d ms", c.status, c.backend.Milliseconds())
		trace("Endpoint response headers: %s", logMap(c.answer))
		trace("Endpoint response body before transformations: %s", c.result)
		trace("Method response body after transformations: %s", c.result)
		trace("Method response headers: %s", logMap(c.answer))
		add("Successfully completed execution")
	}
	at = max(at, c.latency)
	add("Method completed with status: %d", c.status)
	if c.route != nil && c.outcome != timedOut {
		add("AWS Integration Endpoint RequestId : %s", flip(c.id))
	}
	add("X-ray Tracing ID : %s", traceID(c.at, c.id))
	return out
}

func (c *call) webSocketLines() []line {
	var out []line
	add := func(after time.Duration, format string, args ...any) {
		out = append(out, line{after, cut("(" + c.id + ") " + fmt.Sprintf(format, args...))})
	}
	add(0, "Starting execution for request: %s", c.id)
	add(0, "WebSocket Request Route: [%s]", c.route.path)
	switch c.event {
	case "CONNECT":
		add(0, "Client [UserAgent: %s, SourceIp: %s] is connecting to WebSocket API [%s].", c.agent, c.ip, c.api.id)
		add(c.latency, "Client [Connection Id: %s] connected to API [%s] successfully.", c.conn, c.api.id)
	case "MESSAGE":
		add(0, "WebSocket API [%s] received message from client [Connection Id: %s]. Message: [%s]", c.api.id, c.conn, c.body)
		add(c.backend, "Endpoint response body before transformations: %s", c.result)
		add(c.latency, "Message from client [Connection Id: %s] sent to API [%s] with response status code [%d].", c.conn, c.api.id, c.status)
	case "DISCONNECT":
		add(c.latency, "Client [Connection Id: %s] disconnected from API [%s]. Close reason: [1001: Going away]", c.conn, c.api.id)
	}
	return out
}

// accessRecord is the call's line in the access log; empty if the stage has none.
func (c *call) accessRecord() string {
	f := c.stage.access
	if f == "" {
		return ""
	}
	var b strings.Builder
	for f != "" {
		i := strings.IndexByte(f, '$')
		if i < 0 {
			b.WriteString(f)
			break
		}
		b.WriteString(f[:i])
		f = f[i:]
		n := len("$context")
		for n < len(f) && (f[n] == '.' || f[n] == '_' || '0' <= f[n] && f[n] <= '9' || 'a' <= f[n] && f[n] <= 'z' || 'A' <= f[n] && f[n] <= 'Z') {
			n++
		}
		b.WriteString(c.variable(f[:n]))
		f = f[n:]
	}
	return b.String()
}

// variable is the value of a $context variable; "-" where it has none.
func (c *call) variable(name string) string {
	v := ""
	switch strings.TrimPrefix(name, "$context.") {
	case "requestId":
		v = c.id
	case "extendedRequestId":
		v = c.extended
	case "accountId":
		v = c.api.account
	case "apiId":
		v = c.api.id
	case "stage":
		v = c.stage.name
	case "httpMethod":
		v = c.method
	case "path":
		v = "/" + c.stage.name + c.path
		if c.stage.name == "$default" {
			v = c.path
		}
	case "resourcePath":
		if c.route != nil {
			v = c.route.path
		}
	case "routeKey":
		if c.route != nil {
			v = c.route.key()
		}
	case "status":
		v = strconv.Itoa(c.status)
	case "protocol":
		v = "HTTP/1.1"
	case "requestTime":
		v = c.at.UTC().Format("02/Jan/2006:15:04:05 -0700")
	case "requestTimeEpoch":
		v = strconv.FormatInt(c.at.UnixMilli(), 10)
	case "responseLength":
		v = strconv.Itoa(len(c.result))
	case "responseLatency":
		v = strconv.FormatInt(c.latency.Milliseconds(), 10)
	case "integrationLatency", "integration.latency":
		if c.outcome == served || c.outcome == timedOut {
			v = strconv.FormatInt(c.backend.Milliseconds(), 10)
		}
	case "integration.status", "integrationStatus":
		if c.outcome == served {
			v = strconv.Itoa(c.status)
		}
	case "identity.sourceIp":
		v = c.ip
	case "identity.userAgent":
		v = c.agent
	case "identity.userArn":
		v = c.caller.arn
	case "identity.caller", "identity.user":
		if c.caller.arn != "" {
			v = c.caller.id
		}
	case "identity.accountId":
		if c.caller.arn != "" {
			v = c.caller.account
		}
	case "authorizer.principalId":
		if c.caller.arn == "" {
			v = c.caller.name
		}
	case "authorizer.claims.sub":
		if c.api.kind == "HTTP" {
			v = c.caller.name
		}
	case "domainName":
		v = c.api.host()
	case "connectionId":
		v = c.conn
	case "eventType":
		v = c.event
	case "error.responseType":
		switch c.outcome {
		case unauthorized:
			v = "UNAUTHORIZED"
		case throttled:
			v = "THROTTLED"
		case probe:
			v = "MISSING_AUTHENTICATION_TOKEN"
		case timedOut:
			v = "INTEGRATION_TIMEOUT"
		case malformed:
			v = "API_CONFIGURATION_ERROR"
		case served:
		}
	case "error.message":
		switch c.outcome {
		case unauthorized:
			v = "Unauthorized"
		case throttled:
			v = "Too Many Requests"
		case probe:
			v = "Missing Authentication Token"
		case timedOut:
			v = "Endpoint request timed out"
		case malformed:
			v = "Internal server error"
		case served:
		}
	}
	if v == "" {
		return "-"
	}
	return v
}

// pathParameters are the values of the template's parameters in the path.
func (c *call) pathParameters() []header {
	if c.route == nil {
		return nil
	}
	var out []header
	have := strings.Split(c.path, "/")
	for i, seg := range strings.Split(c.route.path, "/") {
		if strings.HasPrefix(seg, "{") && i < len(have) {
			out = append(out, header{strings.Trim(seg, "{}+"), have[i]})
		}
	}
	return out
}

// proxyEvent is the beginning of the Lambda proxy event, which API Gateway cuts
// long before its end.
func (c *call) proxyEvent() string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"resource":"%s","path":"%s","httpMethod":"%s","headers":{`, c.route.path, c.path, c.method)
	for i, h := range c.headers {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%q", h.name, h.value)
	}
	fmt.Fprintf(&b, `},"requestContext":{"resourcePath":"%s","stage":"%s"},"body":%q}`, c.route.path, c.stage.name, c.body)
	return b.String()
}

func logMap(hs []header) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, h := range hs {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(h.name + "=" + h.value)
	}
	b.WriteByte('}')
	return b.String()
}

// mask hides a value as API Gateway does: stars, then the last six characters.
func mask(s string) string {
	if len(s) <= 6 {
		return strings.Repeat("*", 4) + s
	}
	return strings.Repeat("*", len(s)-6) + s[len(s)-6:]
}

func traceID(at time.Time, id string) string {
	return fmt.Sprintf("Root=1-%08x-%.24s", at.Unix(), strings.ReplaceAll(id, "-", ""))
}

// flip makes another id of an id, the same one each time.
func flip(id string) string {
	b := []byte(id)
	for i, c := range b {
		switch {
		case '0' <= c && c <= '9':
			b[i] = '9' - (c - '0')
		case 'a' <= c && c <= 'f':
			b[i] = 'f' - (c - 'a')
		}
	}
	return string(b)
}

func requestID(r *rand.Rand) string {
	a, b := r.Uint64(), r.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}

const base64Letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// extendedID looks like the ids that API Gateway gives: base64 with one "=".
func extendedID(r *rand.Rand) string {
	b := make([]byte, 15)
	for i := range b {
		b[i] = base64Letters[r.IntN(len(base64Letters))]
	}
	b[4] = 'H'
	return string(b) + "="
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }
