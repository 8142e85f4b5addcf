// Package otlp delivers transactions as OpenTelemetry log records, over OTLP/HTTP
// with binary Protobuf. Package post says how it delivers.
//
// A record's attributes follow the semantic conventions of OpenTelemetry; its
// body is the transaction's JSON, or one line (body=line). log.record.uid is the
// transaction's id: a repeat is known by it.
//
// OTLP asks that a request be tried again after 429, 502, 503 and 504 alone. A
// request that is refused otherwise becomes dead letters, except where only the
// configuration can be at fault (401, 403, 404 and the like): then the sink
// waits for a person. After a partial success nothing is sent again, as OTLP
// asks. The answer does not say which records were refused, so all of the
// request become dead letters and the next requests are smaller, until whole
// ones are taken again.
package otlp
