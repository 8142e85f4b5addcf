// Package transaction holds the transaction, one call with all that API
// Gateway's logs say of it, and rebuilds it from log events.
//
// The package is pure: it reads no file, opens no connection and asks no
// clock. Whoever feeds the Assembler also tells it how far the logs have been
// read, and all of its waiting is done in that log time.
package transaction

import "time"

// APIType is the kind of API that a call was made to.
type APIType string

// The three kinds of API that Amazon API Gateway has.
const (
	REST      APIType = "REST"
	HTTP      APIType = "HTTP"
	WebSocket APIType = "WEBSOCKET"
)

// Visibility says how much of a call the logs showed. What was not seen is
// never called clean.
type Visibility string

const (
	// Full means that data trace showed headers and bodies whole.
	Full Visibility = "full"
	// Truncated means that API Gateway cut at least one method-level line.
	Truncated Visibility = "truncated"
	// Metadata means that neither headers nor bodies were logged.
	Metadata Visibility = "metadata"
)

// Rank orders visibilities: metadata, then truncated, then full.
func (v Visibility) Rank() int {
	switch v {
	case Full:
		return 3
	case Truncated:
		return 2
	case Metadata:
		return 1
	default:
		return 0
	}
}

// RouteSource names where a route template was learnt, best first.
type RouteSource string

// The sources of a route template in order of trust.
const (
	RouteFromAccessLog  RouteSource = "access_log"
	RouteFromAPIKeyLine RouteSource = "api_key_line"
	RouteFromSourceARN  RouteSource = "source_arn"
	RouteFromProxyEvent RouteSource = "proxy_event"
	RouteFromEstate     RouteSource = "estate"
	RouteDeclared       RouteSource = "declared"
	RouteLearned        RouteSource = "learned"
)

// CallerKind says how the caller of a transaction proved who it is.
type CallerKind string

// The kinds of caller. Anonymous is said only where the method is known to ask
// for no authorization; otherwise a caller that was not seen is unknown.
const (
	CallerIAM       CallerKind = "iam"
	CallerLambda    CallerKind = "lambda"
	CallerCognito   CallerKind = "cognito"
	CallerJWT       CallerKind = "jwt"
	CallerAPIKey    CallerKind = "api_key"
	CallerAnonymous CallerKind = "anonymous"
	CallerUnknown   CallerKind = "unknown"
)

// Source names a kind of log that told of a transaction.
type Source string

// The kinds of log.
const (
	SourceExecution Source = "execution"
	SourceAccess    Source = "access"
	SourceDelivery  Source = "delivery"
)

// Redacted stands in the place of every value that was taken out.
const Redacted = "[redacted]"

// Transaction is one call with all that the logs say of it. A field that the
// logs did not give is its zero value, and absent in JSON. The JSON form is a
// contract: docs/transaction.md.
type Transaction struct {
	ID                string              `json:"id"`
	Account           string              `json:"account,omitempty"`
	Region            string              `json:"region,omitempty"`
	APIID             string              `json:"api_id,omitempty"`
	APIType           APIType             `json:"api_type,omitempty"`
	Stage             string              `json:"stage,omitempty"`
	RequestID         string              `json:"request_id,omitempty"`
	ExtendedRequestID string              `json:"extended_request_id,omitempty"`
	Time              Time                `json:"time,omitzero"`
	Method            string              `json:"method,omitempty"`
	Path              string              `json:"path,omitempty"`
	Route             string              `json:"route,omitempty"`
	RouteSource       RouteSource         `json:"route_source,omitempty"`
	Query             map[string][]string `json:"query,omitempty"`
	Host              string              `json:"host,omitempty"`
	Protocol          string              `json:"protocol,omitempty"`
	SourceIP          string              `json:"source_ip,omitempty"`
	UserAgent         string              `json:"user_agent,omitempty"`
	Request           *Request            `json:"request,omitempty"`
	Response          *Response           `json:"response,omitempty"`
	LatencyMS         *int64              `json:"latency_ms,omitempty"`
	Integration       *Integration        `json:"integration,omitempty"`
	Caller            *Caller             `json:"caller,omitempty"`
	Authorizer        *Authorizer         `json:"authorizer,omitempty"`
	Error             *Error              `json:"error,omitempty"`
	ConnectionID      string              `json:"connection_id,omitempty"`
	EventType         string              `json:"event_type,omitempty"`
	Visibility        Visibility          `json:"visibility,omitempty"`
	Complete          bool                `json:"complete,omitempty"`
	Sources           []Source            `json:"sources,omitempty"`
	Log               *Log                `json:"log,omitempty"`
}

// Request is what the caller sent. Header names are lower-case; a header that
// came twice has two values.
type Request struct {
	Headers   map[string][]string `json:"headers,omitempty"`
	Body      string              `json:"body,omitempty"`
	Truncated bool                `json:"truncated,omitempty"`
}

// Response is what API Gateway answered.
type Response struct {
	Status    int                 `json:"status,omitempty"`
	Headers   map[string][]string `json:"headers,omitempty"`
	Body      string              `json:"body,omitempty"`
	Truncated bool                `json:"truncated,omitempty"`
}

// Integration is the backend that API Gateway called. Status is only what the
// "Received response" line or the access record says of it.
type Integration struct {
	URI       string `json:"uri,omitempty"`
	Status    int    `json:"status,omitempty"`
	LatencyMS *int64 `json:"latency_ms,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	Error     string `json:"error,omitempty"`
}

// Caller is the principal seen on a transaction.
type Caller struct {
	Kind      CallerKind `json:"kind,omitempty"`
	ARN       string     `json:"arn,omitempty"`
	Account   string     `json:"account,omitempty"`
	Principal string     `json:"principal,omitempty"`
	APIKeyID  string     `json:"api_key_id,omitempty"`
}

// Authorizer is what came of the authorizer. Outcome is allow, deny,
// unauthorized or error.
type Authorizer struct {
	ID        string `json:"id,omitempty"`
	Outcome   string `json:"outcome,omitempty"`
	LatencyMS *int64 `json:"latency_ms,omitempty"`
}

// Error is why a call failed, in the terms of API Gateway's gateway responses.
type Error struct {
	Type    string `json:"type,omitempty"`
	Message string `json:"message,omitempty"`
}

// Log says where in the logs a transaction stands. Group and FirstEventID are
// of its earliest event; Events counts all of its events, access records too.
type Log struct {
	Group        string `json:"group,omitempty"`
	FirstEventID string `json:"first_event_id,omitempty"`
	Events       int    `json:"events,omitempty"`
}

// Time is a moment in milliseconds since the epoch, UTC; 0 is no time. Its
// JSON form is RFC 3339 with exactly three decimals and a Z.
type Time int64

// Time returns t as a time.Time in UTC, and the zero time for no time.
func (t Time) Time() time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(t)).UTC()
}

const timeFormat = "2006-01-02T15:04:05.000Z07:00"

// MarshalText writes t as RFC 3339 with milliseconds.
func (t Time) MarshalText() ([]byte, error) {
	return t.Time().AppendFormat(nil, timeFormat), nil
}

// UnmarshalText reads RFC 3339.
func (t *Time) UnmarshalText(b []byte) error {
	at, err := time.Parse(time.RFC3339Nano, string(b))
	if err != nil {
		return err
	}
	*t = Time(at.UnixMilli())
	return nil
}

// IsZero reports whether t is no time.
func (t Time) IsZero() bool { return t == 0 }
