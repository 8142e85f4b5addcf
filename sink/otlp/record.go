package otlp

import (
	"encoding/hex"
	"net"
	"slices"
	"strconv"
	"strings"

	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	logsv1 "go.opentelemetry.io/proto/otlp/logs/v1"
	resourcev1 "go.opentelemetry.io/proto/otlp/resource/v1"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// schemaURL names the version of the semantic conventions that the attributes
// are of.
const schemaURL = "https://opentelemetry.io/schemas/1.30.0"

// scope is the encoded InstrumentationScope.
var scope = marshal(&commonv1.InstrumentationScope{Name: "github.com/gatehouse-project/gatehouse"})

// marshal encodes a message that this package made. It fails only for texts that
// are not UTF-8, and those were made valid.
func marshal(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic("otlp sink: " + err.Error())
	}
	return b
}

// sameResource reports whether two transactions stand under one resource.
func sameResource(a, b *transaction.Transaction) bool {
	return a.Account == b.Account && a.Region == b.Region
}

func (f *form) resource(t *transaction.Transaction) []byte {
	var a attributes
	a.text("service.name", f.service)
	a.text("cloud.provider", "aws")
	a.text("cloud.account.id", t.Account)
	a.text("cloud.region", t.Region)
	return marshal(&resourcev1.Resource{Attributes: a})
}

// attributes leave out what the logs did not give.
type attributes []*commonv1.KeyValue

func (a *attributes) text(key, value string) {
	if value != "" {
		*a = append(*a, &commonv1.KeyValue{Key: key, Value: text(value)})
	}
}

func (a *attributes) number(key string, value int64) {
	*a = append(*a, &commonv1.KeyValue{Key: key, Value: &commonv1.AnyValue{Value: &commonv1.AnyValue_IntValue{IntValue: value}}})
}

func (a *attributes) list(key string, values []string) {
	if len(values) == 0 {
		return
	}
	l := &commonv1.ArrayValue{}
	for _, v := range values {
		l.Values = append(l.Values, text(v))
	}
	*a = append(*a, &commonv1.KeyValue{Key: key, Value: &commonv1.AnyValue{Value: &commonv1.AnyValue_ArrayValue{ArrayValue: l}}})
}

func text(s string) *commonv1.AnyValue {
	return &commonv1.AnyValue{Value: &commonv1.AnyValue_StringValue{StringValue: strings.ToValidUTF8(s, "\ufffd")}}
}

// AppendItem appends a LogRecord.
func (f *form) AppendItem(dst []byte, t *transaction.Transaction) []byte {
	r := &logsv1.LogRecord{EventName: "aws.apigateway.call", Attributes: recordAttributes(t)}
	if t.Time > 0 {
		r.TimeUnixNano = uint64(t.Time) * 1_000_000
	}
	r.SeverityNumber, r.SeverityText = severity(t)
	if f.line {
		r.Body = text(line(t))
	} else {
		r.Body = &commonv1.AnyValue{Value: &commonv1.AnyValue_StringValue{StringValue: string(t.AppendJSON(nil))}}
	}
	r.TraceId, r.Flags = trace(t)
	return append(dst, marshal(r)...)
}

func status(t *transaction.Transaction) int {
	if t.Response == nil {
		return 0
	}
	return t.Response.Status
}

// severity is that of what became of the call: a caller's mistake is a warning.
func severity(t *transaction.Transaction) (logsv1.SeverityNumber, string) {
	switch s := status(t); {
	case s >= 500:
		return logsv1.SeverityNumber_SEVERITY_NUMBER_ERROR, "ERROR"
	case s >= 400:
		return logsv1.SeverityNumber_SEVERITY_NUMBER_WARN, "WARN"
	default:
		return logsv1.SeverityNumber_SEVERITY_NUMBER_INFO, "INFO"
	}
}

// methods are those that the conventions know; others are _OTHER.
var methods = []string{"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"}

func recordAttributes(t *transaction.Transaction) attributes {
	var a attributes
	a.text("log.record.uid", t.ID)
	if t.APIType == transaction.WebSocket {
		a.text("network.protocol.name", "websocket")
		a.text("aws.apigateway.event_type", t.EventType)
		a.text("aws.apigateway.connection_id", t.ConnectionID)
		a.text("aws.apigateway.route_key", t.Route)
	} else {
		if slices.Contains(methods, t.Method) {
			a.text("http.request.method", t.Method)
		} else if t.Method != "" {
			a.text("http.request.method", "_OTHER")
			a.text("http.request.method_original", t.Method)
		}
		a.text("http.route", t.Route)
		if version, ok := strings.CutPrefix(t.Protocol, "HTTP/"); ok {
			a.text("network.protocol.name", "http")
			a.text("network.protocol.version", strings.TrimSuffix(version, ".0"))
		}
	}
	a.text("url.path", t.Path)
	a.text("url.query", query(t.Query))
	a.text("server.address", t.Host)
	if net.ParseIP(t.SourceIP) != nil {
		a.text("client.address", t.SourceIP)
	}
	a.text("user_agent.original", t.UserAgent)
	if s := status(t); s != 0 {
		a.number("http.response.status_code", int64(s))
		if s >= 500 {
			a.text("error.type", errorType(t, s))
		}
	}
	if r := t.Request; r != nil {
		a.headers("http.request.header.", r.Headers)
	}
	if r := t.Response; r != nil {
		a.headers("http.response.header.", r.Headers)
	}
	a.text("aws.request_id", t.RequestID)
	a.text("aws.extended_request_id", t.ExtendedRequestID)
	a.text("aws.apigateway.api_id", t.APIID)
	a.text("aws.apigateway.api_type", string(t.APIType))
	a.text("aws.apigateway.stage", t.Stage)
	if c := t.Caller; c != nil {
		a.text("aws.apigateway.caller.kind", string(c.Kind))
		a.text("aws.apigateway.caller.arn", c.ARN)
		a.text("aws.apigateway.caller.account", c.Account)
	}
	if t.LatencyMS != nil {
		a.number("aws.apigateway.latency_ms", *t.LatencyMS)
	}
	if l := t.Log; l != nil && l.Group != "" {
		a.list("aws.log.group.names", []string{l.Group})
	}
	return a
}

func errorType(t *transaction.Transaction, status int) string {
	if t.Error != nil && t.Error.Type != "" {
		return t.Error.Type
	}
	return strconv.Itoa(status)
}

// sentHeaders are those that go as attributes; the JSON body has all. The
// conventions ask that a person chooses which.
var sentHeaders = []string{"content-type", "content-length"}

func (a *attributes) headers(prefix string, headers map[string][]string) {
	for _, name := range sentHeaders {
		a.list(prefix+name, headers[name])
	}
}

// line is a call for people to read.
func line(t *transaction.Transaction) string {
	var b strings.Builder
	b.WriteString(t.Method)
	b.WriteByte(' ')
	b.WriteString(t.Path)
	if s := status(t); s != 0 {
		b.WriteByte(' ')
		b.WriteString(strconv.Itoa(s))
	}
	if t.Error != nil && t.Error.Type != "" {
		b.WriteByte(' ')
		b.WriteString(t.Error.Type)
	}
	return strings.TrimSpace(b.String())
}

// trace is the trace id and flags of the X-Amzn-Trace-Id header, if it is sound:
// Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1 has
// the trace id 5759e988bd862e3fe1be46a994272793. Its Parent is a span of the
// caller, not of this call.
func trace(t *transaction.Transaction) (id []byte, flags uint32) {
	if t.Request == nil {
		return nil, 0
	}
	values := t.Request.Headers["x-amzn-trace-id"]
	if len(values) != 1 {
		return nil, 0
	}
	for part := range strings.SplitSeq(values[0], ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "Root":
			id = rootID(value)
		case "Sampled":
			if value == "1" {
				flags = 1
			}
		}
	}
	if id == nil {
		return nil, 0
	}
	return id, flags
}

// rootID reads 1-8 hex digits-24 hex digits.
func rootID(root string) []byte {
	p := strings.Split(root, "-")
	if len(p) != 3 || p[0] != "1" || len(p[1]) != 8 || len(p[2]) != 24 {
		return nil
	}
	id, err := hex.DecodeString(p[1] + p[2])
	if err != nil || !slices.ContainsFunc(id, func(b byte) bool { return b != 0 }) {
		return nil
	}
	return id
}
