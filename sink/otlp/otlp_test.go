package otlp

import (
	"compress/gzip"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	commonv1 "go.opentelemetry.io/proto/otlp/common/v1"
	logsv1 "go.opentelemetry.io/proto/otlp/logs/v1"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/sink/post"
	"github.com/gatehouse-project/gatehouse/sink/sinktest"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// patience is how long the sinks of the contract wait for an answer: long enough
// for a busy machine.
const patience = 3 * time.Second

// collector is an OpenTelemetry collector that checks what it gets.
type collector struct {
	t      *testing.T
	server *httptest.Server

	mu       sync.Mutex
	requests int
	taken    []*logsv1.LogRecord
	logs     []*logsv1.LogsData
	refuse   map[string]bool
	status   int // to answer instead; 0: none
	down     bool
	slow     bool
	mute     bool
}

func newCollector(t *testing.T) *collector {
	t.Helper()
	c := &collector{t: t, refuse: map[string]bool{}}
	c.server = httptest.NewUnstartedServer(c)
	c.server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	c.server.Start()
	t.Cleanup(c.server.Close)
	return c
}

func (c *collector) set(change func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
}

func attribute(attributes []*commonv1.KeyValue, key string) string {
	for _, a := range attributes {
		if a.GetKey() == key {
			switch v := a.GetValue().GetValue().(type) {
			case *commonv1.AnyValue_StringValue:
				return v.StringValue
			case *commonv1.AnyValue_IntValue:
				return strconv.FormatInt(v.IntValue, 10)
			case *commonv1.AnyValue_ArrayValue:
				var all []string
				for _, e := range v.ArrayValue.GetValues() {
					all = append(all, e.GetStringValue())
				}
				return strings.Join(all, "|")
			}
		}
	}
	return ""
}

func (c *collector) ids() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids := []string{}
	for _, r := range c.taken {
		ids = append(ids, attribute(r.GetAttributes(), "log.record.uid"))
	}
	return ids
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	if c.down {
		cut(w)
		return
	}
	if r.Method != http.MethodPost || r.URL.Path != "/v1/logs" || r.Header.Get("Content-Type") != "application/x-protobuf" || r.Header.Get("Content-Encoding") != "gzip" {
		c.t.Errorf("request %s %s, content type %q", r.Method, r.URL.Path, r.Header.Get("Content-Type"))
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		c.t.Error(err)
		return
	}
	b, err := io.ReadAll(z)
	if err != nil {
		c.t.Error(err)
		return
	}
	data := new(logsv1.LogsData)
	if err := proto.Unmarshal(b, data); err != nil {
		c.t.Errorf("body: %v", err)
		return
	}
	if c.status != 0 {
		w.WriteHeader(c.status)
		return
	}
	if c.slow {
		c.slow = false // one answer that comes too late
		c.mu.Unlock()
		time.Sleep(patience + 300*time.Millisecond)
		c.mu.Lock()
	}
	c.logs = append(c.logs, data)
	rejected := 0
	for _, rl := range data.GetResourceLogs() {
		for _, sl := range rl.GetScopeLogs() {
			for _, record := range sl.GetLogRecords() {
				if c.refuse[attribute(record.GetAttributes(), "log.record.uid")] {
					rejected++
					continue
				}
				c.taken = append(c.taken, record)
			}
		}
	}
	if c.mute {
		cut(w)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	if rejected > 0 {
		_, _ = w.Write(partialSuccess(rejected, "too old"))
	}
}

func partialSuccess(rejected int, message string) []byte {
	var partial []byte
	partial = protowire.AppendTag(partial, 1, protowire.VarintType)
	partial = protowire.AppendVarint(partial, uint64(rejected))
	partial = appendField(partial, 2, []byte(message))
	return appendField(nil, 1, partial)
}

func cut(w http.ResponseWriter) {
	if c, _, err := w.(http.Hijacker).Hijack(); err == nil {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
}

func (c *collector) open(t *testing.T, options string, box deadletter.Box) *post.Sink {
	t.Helper()
	config, err := Parse(strings.Replace(c.server.URL, "http:", "otlp:", 1) + options)
	if err != nil {
		t.Fatal(err)
	}
	config.DeadLetters, config.Backoff = box, 5*time.Millisecond
	config.Header = map[string]string{"api-key": "secret"}
	s, err := Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(t.Context()) })
	return s
}

func TestContract(t *testing.T) {
	t.Parallel()
	sinktest.Exercise(t, func(t *testing.T) sinktest.World {
		t.Helper()
		c := newCollector(t)
		letters := &sinktest.Letters{}
		flag := func(f *bool) func(*testing.T) func() {
			return func(*testing.T) func() {
				c.set(func() { *f = true })
				return func() { c.set(func() { *f = false }) }
			}
		}
		return sinktest.World{
			Open: func(t *testing.T) collect.Sink {
				t.Helper()
				return c.open(t, "?batch_count=16&timeout="+patience.String(), letters)
			},
			Delivered: func(*testing.T) []string { return c.ids() },
			Break:     flag(&c.down),
			Slow:      flag(&c.slow),
			Mute:      flag(&c.mute),
			Refuse: func(_ *testing.T, ids ...string) {
				c.set(func() {
					for _, id := range ids {
						c.refuse[id] = true
					}
				})
			},
			Letters: letters, Unclear: true,
		}
	})
}

func TestRecord(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	call := &transaction.Transaction{
		ID: "gtx1", Account: "111122223333", Region: "eu-west-1", APIID: "a1b2c3d4e5", APIType: transaction.REST, Stage: "prod",
		RequestID: "r-1", ExtendedRequestID: "x=", Time: 1_767_225_600_123, Method: "POST", Path: "/pets/7", Route: "/pets/{petId}",
		Query: map[string][]string{"b": {"2", "3"}, "a": {"1"}}, Host: "api.example.com", Protocol: "HTTP/2.0", SourceIP: "2001:db8::1", UserAgent: "curl/8\xff",
		Request: &transaction.Request{
			Headers: map[string][]string{
				"content-type":    {"application/json"},
				"cookie":          {"[redacted]"},
				"x-amzn-trace-id": {"Self=1-5759e988-000000000000000000000001;Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"},
			},
			Body: "{}",
		},
		Response:  &transaction.Response{Status: 503},
		Error:     &transaction.Error{Type: "INTEGRATION_FAILURE"},
		Caller:    &transaction.Caller{Kind: transaction.CallerIAM, ARN: "arn:aws:sts::111122223333:assumed-role/r/s", Account: "111122223333"},
		LatencyMS: new(int64(41)), Log: &transaction.Log{Group: "API-Gateway-Execution-Logs_a1b2c3d4e5/prod"},
	}
	other := &transaction.Transaction{ID: "gtx2", Account: "444455556666", Region: "eu-west-1", Method: "PROPFIND", Path: "/", SourceIP: "masked", Response: &transaction.Response{Status: 404}}
	if err := c.open(t, "?service=watch", nil).Deliver(t.Context(), []*transaction.Transaction{call, call, other}); err != nil {
		t.Fatal(err)
	}
	groups := c.logs[0].GetResourceLogs()
	if len(groups) != 2 || len(groups[0].GetScopeLogs()[0].GetLogRecords()) != 2 {
		t.Fatalf("%d resources", len(groups))
	}
	resource := map[string]string{}
	for _, a := range groups[0].GetResource().GetAttributes() {
		resource[a.GetKey()] = a.GetValue().GetStringValue()
	}
	if d := cmp.Diff(map[string]string{"service.name": "watch", "cloud.provider": "aws", "cloud.account.id": "111122223333", "cloud.region": "eu-west-1"}, resource); d != "" {
		t.Errorf("resource (-want +got):\n%s", d)
	}
	if groups[0].GetSchemaUrl() == "" || groups[0].GetScopeLogs()[0].GetScope().GetName() == "" {
		t.Error("no schema URL or scope")
	}
	r := c.taken[0]
	got := map[string]string{}
	for _, a := range r.GetAttributes() {
		got[a.GetKey()] = attribute(r.GetAttributes(), a.GetKey())
	}
	want := map[string]string{
		"log.record.uid": "gtx1", "http.request.method": "POST", "url.path": "/pets/7", "url.query": "a=1&b=2&b=3", "http.route": "/pets/{petId}",
		"http.response.status_code": "503", "client.address": "2001:db8::1", "user_agent.original": "curl/8\ufffd", "server.address": "api.example.com",
		"network.protocol.name": "http", "network.protocol.version": "2", "error.type": "INTEGRATION_FAILURE",
		"http.request.header.content-type": "application/json", "aws.request_id": "r-1", "aws.extended_request_id": "x=",
		"aws.apigateway.api_id": "a1b2c3d4e5", "aws.apigateway.api_type": "REST", "aws.apigateway.stage": "prod",
		"aws.apigateway.caller.kind": "iam", "aws.apigateway.caller.arn": "arn:aws:sts::111122223333:assumed-role/r/s", "aws.apigateway.caller.account": "111122223333",
		"aws.apigateway.latency_ms": "41", "aws.log.group.names": "API-Gateway-Execution-Logs_a1b2c3d4e5/prod",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("attributes (-want +got):\n%s", d)
	}
	if r.GetTimeUnixNano() != 1_767_225_600_123_000_000 || r.GetSeverityNumber() != logsv1.SeverityNumber_SEVERITY_NUMBER_ERROR || r.GetSeverityText() != "ERROR" {
		t.Errorf("time %d, severity %s %q", r.GetTimeUnixNano(), r.GetSeverityNumber(), r.GetSeverityText())
	}
	if id := hex.EncodeToString(r.GetTraceId()); id != "5759e988bd862e3fe1be46a994272793" || r.GetFlags() != 1 || r.GetSpanId() != nil {
		t.Errorf("trace id %s, flags %d, span %x", id, r.GetFlags(), r.GetSpanId())
	}
	var body transaction.Transaction
	if err := json.Unmarshal([]byte(r.GetBody().GetStringValue()), &body); err != nil || body.ID != "gtx1" || body.Path != "/pets/7" {
		t.Errorf("body %s: %v", r.GetBody().GetStringValue(), err)
	}
	o := c.taken[2]
	if m := attribute(o.GetAttributes(), "http.request.method"); m != "_OTHER" || attribute(o.GetAttributes(), "http.request.method_original") != "PROPFIND" {
		t.Errorf("method %s", m)
	}
	if attribute(o.GetAttributes(), "client.address") != "" || o.GetSeverityText() != "WARN" || o.GetTimeUnixNano() != 0 || len(o.GetTraceId()) != 0 {
		t.Errorf("record %v", o)
	}
}

func TestLineBody(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	if err := c.open(t, "?body=line", nil).Deliver(t.Context(), sinktest.Calls(7, 1)); err != nil {
		t.Fatal(err)
	}
	if body := c.taken[0].GetBody().GetStringValue(); body != "POST /pets/7 201" {
		t.Errorf("body %q", body)
	}
}

func TestTraceIDs(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"Root=1-5759e988-bd862e3fe1be46a994272793": "5759e988bd862e3fe1be46a994272793",
		"Root=2-5759e988-bd862e3fe1be46a994272793": "",
		"Root=1-5759e98-bd862e3fe1be46a9942727931": "",
		"Root=1-5759e988-bd862e3fe1be46a99427279z": "",
		"Root=1-00000000-000000000000000000000000": "",
		"Self=1-5759e988-bd862e3fe1be46a994272793": "",
		"[redacted]": "", "": "",
	} {
		id, _ := trace(&transaction.Transaction{Request: &transaction.Request{Headers: map[string][]string{"x-amzn-trace-id": {header}}}})
		if hex.EncodeToString(id) != want {
			t.Errorf("%q: %x, want %s", header, id, want)
		}
	}
}

// After a partial success nothing is sent again; requests get smaller until
// whole ones are taken, then larger.
func TestPartialSuccess(t *testing.T) {
	t.Parallel()
	c := newCollector(t)
	letters := &sinktest.Letters{}
	s := c.open(t, "?batch_count=64", letters)
	batch := sinktest.Calls(0, 256)
	for i := 64; i < 256; i += 64 {
		c.refuse[batch[i].ID] = true
	}
	if err := s.Deliver(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, id := range c.ids() {
		seen[id]++
	}
	for id, n := range seen {
		if n > 1 {
			t.Fatalf("%s was sent %d times", id, n)
		}
	}
	kept := letters.All()
	if len(seen)+3 != 256 || len(kept) < 3 || len(kept) > 128 {
		t.Errorf("%d taken, %d dead letters", len(seen), len(kept))
	}
	for _, r := range kept {
		if r.Reason == deadletter.Unclear && r.Message != "too old" {
			t.Errorf("message %q", r.Message)
		}
	}
	before := c.requests
	c.set(func() { clear(c.refuse) })
	if err := s.Deliver(t.Context(), sinktest.Calls(1000, 640)); err != nil {
		t.Fatal(err)
	}
	if n := c.requests - before; n > 20 {
		t.Errorf("%d requests for 640 calls: requests stayed small", n)
	}
}

// A message without rejected records is a warning, and all is taken.
func TestWarning(t *testing.T) {
	t.Parallel()
	for _, body := range [][]byte{partialSuccess(0, "soon too old"), nil, {0xff, 0xff}, []byte("{}"), appendField(nil, 1, nil)} {
		if v := (&form{}).Answer(200, body, nil); v.Unnamed || v.Rejected != nil {
			t.Errorf("answer %x: %+v", body, v)
		}
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]post.Class{
		200: post.Accepted, 204: post.Accepted,
		429: post.Later, 502: post.Later, 503: post.Later, 504: post.Later,
		400: post.Content, 422: post.Content, 413: post.TooLarge,
		401: post.Unauthorized, 403: post.Misconfigured, 404: post.Misconfigured, 415: post.Misconfigured, 301: post.Misconfigured,
		408: post.Never, 500: post.Never, 599: post.Never,
	} {
		if got := (&form{}).Class(status); got != want {
			t.Errorf("%d: %s, want %s", status, got, want)
		}
	}
	// What must not be sent again becomes dead letters in one request.
	c := newCollector(t)
	c.status = 500
	letters := &sinktest.Letters{}
	if err := c.open(t, "", letters).Deliver(t.Context(), sinktest.Calls(0, 9)); err != nil {
		t.Fatal(err)
	}
	if c.requests != 1 || len(letters.IDs()) != 9 {
		t.Errorf("%d requests, %d dead letters", c.requests, len(letters.IDs()))
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"otlp://collector?plaintext=true":               "http://collector:4318/v1/logs",
		"otlp://127.0.0.1:4319":                         "http://127.0.0.1:4319/v1/logs",
		"otlps://collector.example/":                    "https://collector.example:4318/v1/logs",
		"otlps://collector.example:443/otlp/v1/logs":    "https://collector.example:443/otlp/v1/logs",
		"otlps://[2001:db8::1]/v1/logs?body=line":       "https://[2001:db8::1]:4318/v1/logs",
		"otlps://collector.example/x?batch_bytes=10000": "https://collector.example:4318/x",
	} {
		c, err := Parse(raw)
		if err != nil {
			t.Errorf("Parse(%q): %v", raw, err)
			continue
		}
		if s, err := Open(c); err != nil || s.Name() != want {
			t.Errorf("%s: %v, %v; want %s", raw, s, err, want)
		}
	}
	for raw, want := range map[string]string{
		"otlp://collector/":                    "not encrypted",
		"otlps://collector/?body=xml":          "neither json nor line",
		"otlps://collector/?key=very-secret":   "unknown",
		"otlps://u:very-secret@collector/":     "no credentials",
		"http://collector/v1/logs":             "neither otlp nor otlps",
		"otlps://collector/v1/logs?ca_file=/x": "ca_file",
	} {
		c, err := Parse(raw)
		if err == nil {
			_, err = Open(c)
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "very-secret") {
			t.Errorf("%q: %v, want one that says %q", raw, err, want)
		}
	}
}

// Whatever a collector answers: no panic.
func FuzzAnswer(f *testing.F) {
	f.Add(200, partialSuccess(3, "x"))
	f.Add(200, []byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add(400, []byte("x"))
	f.Fuzz(func(_ *testing.T, status int, body []byte) {
		_ = (&form{}).Answer(status, body, nil)
		_ = (&form{}).Class(status)
	})
}
