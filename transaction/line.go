package transaction

import "strings"

// lineKind is what an execution-log line tells. Lines are told apart by the
// words right after the request id alone: a body may hold any of these phrases.
type lineKind uint8

const (
	lineUnknown lineKind = iota
	lineExtendedID
	lineStartAuthorizer
	lineIdentity
	lineAuthorizerResult
	lineValidPolicy
	lineAuthorizerDone
	lineUnauthorized
	lineAuthorizerError
	lineDenied
	lineUsagePlan
	lineKeyMethod
	lineUsageOK
	lineThrottled
	lineQuota
	lineStart
	lineHTTPMethod
	lineKey
	lineRequestPath
	lineQuery
	lineRequestHeaders
	lineRequestBody
	lineInvalidBody
	lineInvalidParameters
	lineEndpointURI
	lineEndpointHeaders
	lineEndpointBody
	lineSending
	lineReceived
	lineEndpointResponseHeaders
	lineEndpointResponseBody
	lineResponseBody
	lineResponseHeaders
	lineGatewayType
	lineGatewayHeaders
	lineGatewayBody
	lineFailed
	lineLambdaFailed
	lineSuccess
	lineCompleted
	lineEndpointRequestID
	lineTrace
	lineSocketRoute
	lineSocketClient
	lineSocketAPI
	lineSocketMessage
	lineSocketCompleted
	lineRecord // an access record, not an execution line
	numLineKinds
)

// once holds the kinds that a call has at most one line of. A second one under
// the same request id belongs to another call that chose the same id.
const once = 1<<lineStart | 1<<lineHTTPMethod | 1<<lineRequestPath | 1<<lineQuery |
	1<<lineRequestHeaders | 1<<lineRequestBody | 1<<lineResponseHeaders | 1<<lineResponseBody |
	1<<lineSuccess | 1<<lineCompleted | 1<<lineUsagePlan | 1<<lineStartAuthorizer

// terminals holds the kinds after which a call has ended but for a few lines.
const terminals = 1<<lineCompleted | 1<<lineUnauthorized | 1<<lineThrottled | 1<<lineQuota | 1<<lineSocketCompleted

// trailers holds the kinds that come after a call's completion line.
const trailers = 1<<lineEndpointRequestID | 1<<lineTrace | 1<<lineUnknown

func (k lineKind) in(set uint64) bool { return set>>k&1 != 0 }

const (
	prefixExtendedID       = "Extended Request Id: "
	prefixStartAuthorizer  = "Starting authorizer: "
	prefixUnauthorized     = "Unauthorized request"
	prefixHTTPMethod       = "HTTP Method: "
	prefixKey              = "API Key: "
	prefixRequestPath      = "Method request path: "
	prefixQuery            = "Method request query string: "
	prefixRequestHeaders   = "Method request headers: "
	prefixRequestBody      = "Method request body before transformations: "
	prefixEndpointURI      = "Endpoint request URI: "
	prefixEndpointHeaders  = "Endpoint request headers: "
	prefixEndpointBody     = "Endpoint request body after transformations: "
	prefixSending          = "Sending request to "
	prefixReceived         = "Received response. "
	prefixResponseBody     = "Method response body after transformations: "
	prefixResponseHeaders  = "Method response headers: "
	prefixGatewayType      = "Gateway response type: "
	prefixGatewayHeaders   = "Gateway response headers: "
	prefixGatewayBody      = "Gateway response body: "
	prefixCompleted        = "Method completed with status: "
	prefixSocketCompleted  = "Connection API request completed with status: "
	prefixSocketRoute      = "WebSocket Request Route: "
	prefixEndpointRequest  = "AWS Integration Endpoint RequestId"
	prefixInvalidBody      = "Request body does not match model schema"
	prefixValidationFailed = "Request Validation failed"
)

// cutLabel removes a label from a text that was told apart by it. A line that
// holds nothing but the label may have lost the space at its end.
func cutLabel(text, label string) string {
	if len(text) < len(label) {
		return ""
	}
	return text[len(label):]
}

// has reports whether text begins with label, or is all of label but the space
// at its end.
func has(text, label string) bool {
	if len(text) >= len(label) {
		return text[:len(label)] == label
	}
	return len(text) == len(label)-1 && label[len(text)] == ' ' && label[:len(text)] == text
}

// classify tells the kind of an execution-log line by its text, which is what
// follows the request id.
func classify(text string) lineKind {
	if text == "" {
		return lineUnknown
	}
	switch text[0] {
	case 'A':
		return classifyA(text)
	case 'C':
		switch {
		case has(text, prefixSocketCompleted):
			return lineSocketCompleted
		case strings.HasPrefix(text, "Client ["):
			return lineSocketClient
		}
	case 'E':
		return classifyE(text)
	case 'G':
		switch {
		case has(text, prefixGatewayType):
			return lineGatewayType
		case has(text, prefixGatewayHeaders):
			return lineGatewayHeaders
		case has(text, prefixGatewayBody):
			return lineGatewayBody
		}
	case 'H':
		if has(text, prefixHTTPMethod) {
			return lineHTTPMethod
		}
	case 'I':
		switch {
		case has(text, "Incoming identity: "):
			return lineIdentity
		case strings.HasPrefix(text, "Invalid API Key"), strings.HasPrefix(text, "Invalid API key"):
			return lineKeyMethod
		case strings.HasPrefix(text, "Invalid request body"):
			return lineInvalidBody
		case strings.HasPrefix(text, "Integration response received"):
			return lineUnknown
		}
	case 'K', 'Q', 'T':
		return limitLine(text)
	case 'L':
		if strings.HasPrefix(text, "Lambda execution failed") || strings.HasPrefix(text, "Lambda invocation failed") {
			return lineLambdaFailed
		}
		return limitLine(text)
	case 'M':
		return classifyM(text)
	case 'R':
		switch {
		case has(text, prefixReceived):
			return lineReceived
		case strings.HasPrefix(text, prefixInvalidBody):
			return lineInvalidBody
		case strings.HasPrefix(text, prefixValidationFailed), strings.HasPrefix(text, "Request validation failed"):
			return lineInvalidParameters
		case strings.HasPrefix(text, "Rate limit"), strings.HasPrefix(text, "Request throttled"):
			return lineThrottled
		}
	case 'S':
		switch {
		case strings.HasPrefix(text, "Starting execution"):
			return lineStart
		case has(text, prefixStartAuthorizer):
			return lineStartAuthorizer
		case has(text, prefixSending):
			return lineSending
		case strings.HasPrefix(text, "Successfully completed execution"):
			return lineSuccess
		case strings.HasPrefix(text, "Successfully completed authorizer"):
			return lineAuthorizerDone
		}
	case 'U':
		switch {
		case strings.HasPrefix(text, "Using ") && strings.Contains(text[:min(len(text), 96)], "policy for principal"):
			return lineValidPolicy
		case strings.HasPrefix(text, "Usage Plan check succeeded"):
			return lineUsageOK
		case strings.HasPrefix(text, prefixUnauthorized):
			return lineUnauthorized
		case strings.HasPrefix(text, "User: ") && strings.Contains(text, "is not authorized"),
			strings.HasPrefix(text, "User is not authorized"):
			return lineDenied
		}
		return limitLine(text)
	case 'V':
		if strings.HasPrefix(text, "Verifying Usage Plan") {
			return lineUsagePlan
		}
	case 'W':
		switch {
		case has(text, prefixSocketRoute):
			return lineSocketRoute
		case strings.HasPrefix(text, socketAPI):
			return lineSocketAPI
		}
	case 'X':
		if strings.HasPrefix(text, "X-ray ") || strings.HasPrefix(text, "X-Ray ") {
			return lineTrace
		}
	}
	return lineUnknown
}

func classifyA(text string) lineKind {
	switch {
	case has(text, prefixKey):
		return lineKey
	case strings.HasPrefix(text, "API Key") || strings.HasPrefix(text, "API key"):
		head := text[:min(len(text), 256)]
		if strings.Contains(head, "authorized") || strings.Contains(head, "not associated") || strings.Contains(head, "not found") {
			return lineKeyMethod
		}
		return limitLine(text)
	case strings.HasPrefix(text, prefixEndpointRequest):
		return lineEndpointRequestID
	case strings.HasPrefix(text, "Authorizer result"):
		return lineAuthorizerResult
	case strings.HasPrefix(text, "AuthorizerConfigurationException"),
		strings.HasPrefix(text, "AuthorizerFailure"),
		strings.HasPrefix(text, "Authorizer error"),
		strings.HasPrefix(text, "Authorizer failure"),
		strings.HasPrefix(text, "Authorizer failed"):
		return lineAuthorizerError
	case strings.HasPrefix(text, "Access denied"), strings.HasPrefix(text, "Access Denied"):
		return lineDenied
	}
	return lineUnknown
}

func classifyE(text string) lineKind {
	switch {
	case has(text, prefixExtendedID):
		return lineExtendedID
	case has(text, prefixEndpointURI):
		return lineEndpointURI
	case has(text, prefixEndpointHeaders):
		return lineEndpointHeaders
	case has(text, prefixEndpointBody):
		return lineEndpointBody
	case has(text, "Endpoint response headers: "):
		return lineEndpointResponseHeaders
	case has(text, "Endpoint response body before transformations: "):
		return lineEndpointResponseBody
	case strings.HasPrefix(text, "Execution failed"):
		return lineFailed
	}
	return lineUnknown
}

func classifyM(text string) lineKind {
	switch {
	case has(text, prefixRequestHeaders):
		return lineRequestHeaders
	case has(text, prefixQuery):
		return lineQuery
	case has(text, prefixRequestPath):
		return lineRequestPath
	case has(text, prefixRequestBody):
		return lineRequestBody
	case has(text, prefixResponseHeaders):
		return lineResponseHeaders
	case has(text, prefixResponseBody):
		return lineResponseBody
	case has(text, prefixCompleted):
		return lineCompleted
	case strings.HasPrefix(text, socketMessage):
		return lineSocketMessage
	case strings.HasPrefix(text, "Missing required request parameters"):
		return lineInvalidParameters
	case strings.HasPrefix(text, "Missing Authentication Token"):
		return lineDenied
	}
	return limitLine(text)
}

// limitLine tells the lines about throttling and quotas, of which there are
// several wordings.
func limitLine(text string) lineKind {
	head := text[:min(len(text), 160)]
	switch {
	case strings.HasPrefix(text, "The client is not authorized"):
		return lineDenied
	case strings.Contains(head, "quota limit exceeded"), strings.Contains(head, "Quota limit exceeded"),
		strings.Contains(head, "quota exceeded"), strings.Contains(head, "Quota exceeded"),
		strings.Contains(head, "exceeded its quota"), strings.Contains(head, "exceeded quota"):
		return lineQuota
	case strings.Contains(head, "throttle limit exceeded"), strings.Contains(head, "Throttle limit exceeded"),
		strings.Contains(head, "throttled"), strings.Contains(head, "rate limit exceeded"):
		return lineThrottled
	}
	return lineUnknown
}

// maxRequestID is the longest request id that is believed. API Gateway's have 36
// characters; callers may choose their own.
const maxRequestID = 256

// splitLine takes the request id off the start of an execution-log message. The
// id ends at the first closing parenthesis, which a space or the end follows.
func splitLine(message string) (id, text string, kind Kind) {
	if message == "" || message[0] != '(' {
		return "", "", KindNoRequestID
	}
	end := strings.IndexByte(message[:min(len(message), maxRequestID+2)], ')')
	if end <= 1 {
		return "", "", KindBadRequestID
	}
	id = message[1:end]
	switch {
	case end+1 == len(message):
		return id, "", 0
	case message[end+1] != ' ':
		return "", "", KindBadRequestID
	}
	return id, message[end+2:], 0
}

// validID reports whether s can be a request id: printable and without spaces.
func validID(s string) bool {
	if s == "" || len(s) > maxRequestID {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

// looksLikeRequestID reports whether s has the form of an id that API Gateway
// itself makes: a UUID, or the base64 of a WebSocket's or an HTTP API's.
func looksLikeRequestID(s string) bool {
	if len(s) == 36 {
		return s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-'
	}
	return len(s) >= 12 && len(s) <= 24 && s[len(s)-1] == '='
}

// truncatedMark stands where API Gateway cut a line.
const truncatedMark = " [TRUNCATED]"

// cutTruncated takes off the mark that API Gateway leaves where it cut a line.
func cutTruncated(s string) (rest string, truncated bool) {
	if s == "" || s[len(s)-1] != ']' {
		return s, false
	}
	return strings.CutSuffix(s, truncatedMark)
}
