package otlp

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/gatehouse-project/gatehouse/sink/post"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	// defaultPath is where collectors take logs.
	defaultPath = "/v1/logs"
	// defaultPort is that of OTLP/HTTP.
	defaultPort = "4318"
)

// Config is a sink as its URL says; the rest of post.Config is the caller's to
// fill in.
type Config struct {
	post.Config

	// Line makes the body of a record one line instead of the transaction's JSON.
	Line bool
	// Service is the resource's service.name; default gatehouse.
	Service string
}

// Parse reads otlp://host[:port][/path]?key=value, which is http://, or
// otlps://, which is https://. Without a port it is 4318, without a path
// /v1/logs. The keys are body (json or line), service and post.Options.
func Parse(raw string) (Config, error) {
	c := Config{Service: "gatehouse"}
	c.Kind = "otlp"
	u, err := post.Parse(c.Kind, raw, func(key, value string) error {
		switch key {
		case "body":
			if value != "json" && value != "line" {
				return fmt.Errorf("%q is neither json nor line", value)
			}
			c.Line = value == "line"
			return nil
		case "service":
			c.Service = value
			return nil
		}
		known, err := c.SetOption(key, value)
		if !known {
			return errors.New("unknown (known are body, service, " + post.Options + "); what the collector asks for belongs into otlp_headers")
		}
		return err
	})
	if err != nil {
		return Config{}, err
	}
	switch u.Scheme {
	case "otlp":
		u.Scheme = "http"
	case "otlps":
		u.Scheme = "https"
	default:
		return Config{}, fmt.Errorf("otlp sink: scheme is %q, neither otlp nor otlps", u.Scheme)
	}
	if u.Port() == "" {
		u.Host = strings.TrimSuffix(u.Host, ":") + ":" + defaultPort
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = defaultPath
	}
	c.URL = u
	return c, nil
}

// Open makes the sink. It opens no connection.
func Open(c Config) (*post.Sink, error) {
	if c.Service == "" {
		c.Service = "gatehouse"
	}
	c.Form = &form{line: c.Line, service: c.Service}
	return post.Open(c.Config)
}

// form writes ExportLogsServiceRequest, which on the wire is LogsData.
type form struct {
	line    bool
	service string
}

var _ post.Form = (*form)(nil)

// ContentType is that of binary Protobuf.
func (*form) ContentType() string { return "application/x-protobuf" }

// Skip is empty: every transaction has a record.
func (*form) Skip(*transaction.Transaction) string { return "" }

// Resend is false: after a partial success nothing must be sent again.
func (*form) Resend() bool { return false }

// Class has the statuses after which OTLP asks to try again, and those for which
// only the configuration can be at fault; after others nothing is sent again.
func (*form) Class(status int) post.Class {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return post.Later
	}
	switch class := post.StatusClass(status); class {
	case post.Later:
		return post.Never
	default:
		return class
	}
}

// Field numbers of opentelemetry.proto.collector.logs.v1 and of
// opentelemetry.proto.logs.v1.
const (
	logsDataResourceLogs  protowire.Number = 1
	resourceLogsResource  protowire.Number = 1
	resourceLogsScopeLogs protowire.Number = 2
	resourceLogsSchemaURL protowire.Number = 3
	scopeLogsScope        protowire.Number = 1
	scopeLogsLogRecords   protowire.Number = 2

	responsePartialSuccess protowire.Number = 1
	partialRejected        protowire.Number = 1
	partialErrorMessage    protowire.Number = 2
)

// AppendBody puts neighbours of one resource under it. The records are encoded
// already, so only what is around them is written here.
func (f *form) AppendBody(dst []byte, batch []*transaction.Transaction, items [][]byte) []byte {
	for from := 0; from < len(batch); {
		to := from + 1
		for to < len(batch) && sameResource(batch[from], batch[to]) {
			to++
		}
		var records []byte
		records = appendField(records, scopeLogsScope, scope)
		for _, item := range items[from:to] {
			records = appendField(records, scopeLogsLogRecords, item)
		}
		var resource []byte
		resource = appendField(resource, resourceLogsResource, f.resource(batch[from]))
		resource = appendField(resource, resourceLogsScopeLogs, records)
		resource = appendField(resource, resourceLogsSchemaURL, []byte(schemaURL))
		dst = appendField(dst, logsDataResourceLogs, resource)
		from = to
	}
	return dst
}

func appendField(dst []byte, number protowire.Number, value []byte) []byte {
	dst = protowire.AppendTag(dst, number, protowire.BytesType)
	return protowire.AppendBytes(dst, value)
}

// Answer reads ExportLogsServiceResponse, or the Status of a refusal, of which
// only its message is of use.
func (*form) Answer(status int, body []byte, _ []*transaction.Transaction) post.Verdict {
	if status < 200 || status > 299 {
		return post.Verdict{}
	}
	var v post.Verdict
	rejected := int64(0)
	fields(body, func(number protowire.Number, kind protowire.Type, value []byte, _ uint64) {
		if number != responsePartialSuccess || kind != protowire.BytesType {
			return
		}
		fields(value, func(number protowire.Number, kind protowire.Type, value []byte, n uint64) {
			switch {
			case number == partialRejected && kind == protowire.VarintType:
				rejected = int64(n)
			case number == partialErrorMessage && kind == protowire.BytesType:
				v.Message = string(value)
			}
		})
	})
	// A message without rejected records is a warning.
	v.Unnamed = rejected > 0
	return v
}

// fields calls visit for each field of a message, as far as it can be read.
func fields(b []byte, visit func(protowire.Number, protowire.Type, []byte, uint64)) {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return
		}
		b = b[n:]
		var value []byte
		var integer uint64
		switch kind {
		case protowire.VarintType:
			integer, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			value, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return
		}
		visit(number, kind, value, integer)
		b = b[n:]
	}
}
