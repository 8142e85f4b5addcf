package gateway

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// refusal is an answer that API Gateway gives itself, without the integration or
// after it failed.
type refusal struct {
	kind      string // the gateway response type
	status    int    // zero: the type's own
	errorType string // x-amzn-ErrorType; empty: the type's own
	message   string // $context.error.message
	// body is set where the body is not the default template.
	body string
	// cause are the lines that the execution log has of it.
	cause []string
	// silent: nothing but cause and the status is logged, as for throttled calls.
	silent bool
	// unlogged: not even the status.
	unlogged bool
	// plain is the message of an HTTP API where it is not that of its status.
	plain string
	// empty: there is no body.
	empty bool
	// validation is $context.error.validationErrorString.
	validation string
}

// responseType is a gateway response type's status, error type and message.
type responseType struct {
	status    int
	errorType string
	message   string
}

// responseTypes are API Gateway's. The error types of THROTTLED and
// QUOTA_EXCEEDED and the messages of the rarer types are best evidence.
var responseTypes = map[string]responseType{
	"ACCESS_DENIED":                  {403, "AccessDeniedException", "Forbidden"},
	"API_CONFIGURATION_ERROR":        {500, "InternalServerErrorException", "Internal server error"},
	"AUTHORIZER_CONFIGURATION_ERROR": {500, "AuthorizerConfigurationException", ""},
	"AUTHORIZER_FAILURE":             {500, "AuthorizerFailureException", ""},
	"BAD_REQUEST_BODY":               {400, "BadRequestException", "Invalid request body"},
	"BAD_REQUEST_PARAMETERS":         {400, "BadRequestException", "Missing required request parameters"},
	"EXPIRED_TOKEN":                  {403, "ExpiredTokenException", "The security token included in the request is expired"},
	"INTEGRATION_FAILURE":            {504, "InternalServerErrorException", "Network error communicating with endpoint"},
	"INTEGRATION_TIMEOUT":            {504, "InternalServerErrorException", "Endpoint request timed out"},
	"INVALID_API_KEY":                {403, "ForbiddenException", "Forbidden"},
	"INVALID_SIGNATURE":              {403, "InvalidSignatureException", ""},
	"MISSING_AUTHENTICATION_TOKEN":   {403, "MissingAuthenticationTokenException", "Missing Authentication Token"},
	"QUOTA_EXCEEDED":                 {429, "LimitExceededException", "Limit Exceeded"},
	"REQUEST_TOO_LARGE":              {413, "RequestTooLongException", "Request Too Long"},
	"RESOURCE_NOT_FOUND":             {404, "NotFoundException", "Not Found"},
	"THROTTLED":                      {429, "TooManyRequestsException", "Too Many Requests"},
	"UNAUTHORIZED":                   {401, "UnauthorizedException", "Unauthorized"},
	"UNSUPPORTED_MEDIA_TYPE":         {415, "UnsupportedMediaTypeException", "Unsupported Media Type"},
	"WAF_FILTERED":                   {403, "ForbiddenException", "Forbidden"},
}

func refuse(kind string) *refusal {
	t := responseTypes[kind]
	return &refusal{kind: kind, status: t.status, errorType: t.errorType, message: t.message}
}

// because adds the line that the execution log has of the refusal.
func (f *refusal) because(line string) *refusal {
	f.cause = append(f.cause, line)
	return f
}

func (f *refusal) saying(message string) *refusal {
	f.message = message
	return f
}

// spaced writes the body with a space behind the colon, as API Gateway's own
// failures have it.
func (f *refusal) spaced() *refusal {
	f.body = `{"message": ` + quote(f.message) + `}`
	return f
}

func (f *refusal) as(status int) *refusal {
	f.status = status
	return f
}

// miss is the answer to a call without a route.
func (c *call) miss() *refusal {
	if c.api != nil && c.api.kind == transaction.HTTP {
		return refuse("RESOURCE_NOT_FOUND")
	}
	f := refuse("MISSING_AUTHENTICATION_TOKEN")
	f.unlogged = true // there is no method whose log it could be
	return f
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil { // a string always marshals
		return `""`
	}
	return unescapeHTML(string(b))
}

// unescapeHTML undoes what json.Marshal does to angle brackets and ampersands,
// which API Gateway writes as they are.
func unescapeHTML(s string) string {
	if !strings.Contains(s, `\u00`) {
		return s
	}
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(s)
}

// httpMessages are the messages of HTTP APIs, which tell no more than the status.
var httpMessages = map[int]string{
	400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 413: "Request Entity Too Large",
	429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
}

// refuse answers with a refusal.
func (c *call) refuse(f *refusal) {
	c.refusal = f
	h := c.w.Header()
	if c.api != nil && c.api.kind == transaction.HTTP {
		message := f.plain
		if message == "" {
			message = httpMessages[f.status]
		}
		h.Set("Content-Type", "application/json")
		c.identify(h)
		c.respond(f.status, []byte(`{"message":`+quote(message)+`}`))
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("X-Amzn-Errortype", f.errorType)
	c.identify(h)
	body := f.body
	if body == "" {
		body = `{"message":` + quote(f.message) + `}`
		if f.message == "" {
			body = `{"message":null}`
		}
	}
	status := f.status
	// Whether an override reaches the bodies of IAM's denials is not known; here
	// it does, so that an owner can keep them from telling resource ARNs.
	if r, ok := c.override(f); ok {
		if r.Status != 0 {
			status = r.Status
		}
		for name, v := range r.Headers {
			h.Set(name, contextTemplate(v).expand(c.value))
		}
		if kind, t, ok := pickTemplate(r.Templates, c.r.Header.Get("Accept")); ok {
			h.Set("Content-Type", kind)
			body = contextTemplate(t).expand(c.value)
		}
	}
	if f.empty {
		body = ""
		h.Del("Content-Type")
	}
	c.gatewayLines(f, status, body)
	c.respond(status, []byte(body))
}

// override finds the API's own answer for a refusal.
func (c *call) override(f *refusal) (GatewayResponse, bool) {
	if c.api == nil {
		return GatewayResponse{}, false
	}
	if r, ok := c.api.responses[f.kind]; ok {
		return r, true
	}
	name := "DEFAULT_4XX"
	if f.status >= http.StatusInternalServerError {
		name = "DEFAULT_5XX"
	}
	r, ok := c.api.responses[name]
	return r, ok
}

// pickTemplate chooses the template whose type the caller accepts, else JSON, else
// the only one.
func pickTemplate(templates map[string]string, accept string) (kind, text string, ok bool) {
	for t := range strings.SplitSeq(accept, ",") {
		t, _, _ = strings.Cut(strings.TrimSpace(t), ";")
		if text, ok = templates[t]; ok {
			return t, text, true
		}
	}
	if text, ok = templates["application/json"]; ok {
		return "application/json", text, true
	}
	if len(templates) == 1 {
		for kind, text = range templates {
			return kind, text, true
		}
	}
	return "", "", false
}

// identify sets the headers that name the call.
func (c *call) identify(h http.Header) {
	if c.api != nil && c.api.kind == transaction.HTTP {
		h.Set("Apigw-Requestid", c.extended)
		c.corsHeaders(h)
		return
	}
	h["X-Amzn-Requestid"] = []string{c.id}
	h["X-Amz-Apigw-Id"] = []string{c.extended}
}

// writeTimeout is how long a caller may take to read an answer.
const writeTimeout = 60 * time.Second

// respond writes the status and the body, once.
func (c *call) respond(status int, body []byte) {
	c.status, c.length = status, len(body)
	if status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified {
		c.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	// A caller that does not read must not hold the call for ever. Where the writer
	// has no deadlines there is no such caller.
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(writeTimeout))
	c.w.WriteHeader(status)
	if c.r.Method != http.MethodHead && len(body) > 0 {
		_, _ = c.w.Write(body) // the caller may have gone
	}
}
