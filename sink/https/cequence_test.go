package https

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/transaction"
)

func cequence(t *testing.T, call *transaction.Transaction) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(appendCequence(nil, call), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func restCall() *transaction.Transaction {
	return &transaction.Transaction{
		ID: "gtxte647pdi3wsniuebccub4ta", Account: "111122223333", Region: "eu-central-1", APIID: "a1b2c3d4e5",
		APIType: transaction.REST, Stage: "prod", RequestID: "7d1c2b3a-0a0b-4c0d-8e0f-001122334455",
		Time: 1_767_225_600_123, Method: "POST", Path: "/pets/7", Route: "/pets/{petId}",
		Query: map[string][]string{"expand": {"owner", "a b"}}, Protocol: "HTTP/1.1", SourceIP: "203.0.113.9", UserAgent: "curl/8",
		Request: &transaction.Request{
			Headers: map[string][]string{"content-type": {"application/json"}, "cookie": {"a=1", "b=2"}, "accept": {"text/html", "*/*"}},
			Body:    `{"name":"Rex"}`,
		},
		Response:   &transaction.Response{Status: 201, Headers: map[string][]string{"content-type": {"application/json"}}, Body: `{"id":7}`},
		Caller:     &transaction.Caller{Kind: transaction.CallerIAM, ARN: "arn:aws:iam::111122223333:role/R"},
		Visibility: transaction.Full, Complete: true,
	}
}

// The example of docs/sinks.md is what is sent.
func TestCequenceExample(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/sinks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(doc), "<!-- cequence example -->\n```json\n")
	example, _, ok2 := strings.Cut(rest, "```")
	if !ok || !ok2 {
		t.Fatal("docs/sinks.md has no example")
	}
	truncated, httpCall := restCall(), restCall()
	truncated.ID, truncated.Visibility = "gtx4q2c6xwjbf5n3t7akpdrse2", transaction.Truncated
	truncated.Request.Body, truncated.Request.Truncated = `{"name":"Re`, true
	truncated.Response.Body = ""
	httpCall.ID, httpCall.APIType, httpCall.Visibility = "gtxm3yv7hqzt2w5kcj6brnedaa", transaction.HTTP, transaction.Metadata
	httpCall.Host, httpCall.Request, httpCall.Response = "api.example.com", nil, &transaction.Response{Status: 200}
	batch := []*transaction.Transaction{restCall(), truncated, httpCall}
	f := cequenceForm()
	var items [][]byte
	for _, c := range batch {
		items = append(items, f.AppendItem(nil, c))
	}
	var want, got bytes.Buffer
	if err := json.Indent(&got, f.AppendBody(nil, batch, items), "", "  "); err != nil {
		t.Fatal(err)
	}
	if err := json.Indent(&want, []byte(strings.TrimSpace(example)), "", "  "); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want.String(), got.String()); d != "" {
		t.Errorf("docs/sinks.md differs from what is sent (-doc +sent):\n%s", d)
	}
}

// An HTTP API gives exactly the documented fields, the marker, and the id.
func TestCequenceHTTPAPI(t *testing.T) {
	t.Parallel()
	call := restCall()
	call.APIType = transaction.HTTP
	got := cequence(t, call)
	want := map[string]any{
		"id": call.ID, "requestTimeEpoch": float64(1_767_225_600_123), "requestId": call.RequestID, "accountId": "111122223333",
		"stage": "prod", "instance_id": "a1b2c3d4e5", "ip": "203.0.113.9",
		"host": "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com", "http-version": "HTTP/1.1", "http-method": "POST",
		"uri-query-fragment": "/pets/7?expand=owner&expand=a+b", "status-code": float64(201),
		"request-headers": map[string]any{"cq-discovery-only": "true"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestCequenceMarkers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change                func(*transaction.Transaction)
		request, response     any
		discovery             any
		requestHeadersMissing bool
	}{
		"whole": {func(*transaction.Transaction) {}, `{"name":"Rex"}`, `{"id":7}`, nil, false},
		"request cut": {func(t *transaction.Transaction) {
			t.Request.Body, t.Request.Truncated = `{"na`, true
		}, `{ "cq_body_truncated": "true" }`, `{"id":7}`, nil, false},
		"response cut": {func(t *transaction.Transaction) {
			t.Response.Body, t.Response.Truncated = `{"i`, true
		}, `{"name":"Rex"}`, `{ "cq_body_truncated": "true" }`, nil, false},
		"only headers cut": {func(t *transaction.Transaction) { t.Request.Truncated = true }, `{"name":"Rex"}`, `{"id":7}`, nil, false},
		"cut and nothing captured": {func(t *transaction.Transaction) {
			t.Request.Body, t.Request.Truncated = "", true
		}, nil, `{"id":7}`, "true", false},
		"metadata": {func(t *transaction.Transaction) {
			t.Visibility, t.Request, t.Response = transaction.Metadata, nil, &transaction.Response{Status: 200}
		}, nil, nil, "true", false},
	} {
		call := restCall()
		tc.change(call)
		before := restCall()
		tc.change(before)
		got := cequence(t, call)
		headers, _ := got["request-headers"].(map[string]any)
		if got["request-body"] != tc.request || got["response-body"] != tc.response || headers["cq-discovery-only"] != tc.discovery {
			t.Errorf("%s: request %v, response %v, discovery-only %v", name, got["request-body"], got["response-body"], headers["cq-discovery-only"])
		}
		if d := cmp.Diff(before, call); d != "" {
			t.Errorf("%s: the transaction was changed (-want +got):\n%s", name, d)
		}
	}
	got := cequence(t, restCall())
	headers := got["request-headers"].(map[string]any)
	if headers["cookie"] != "a=1; b=2" || headers["accept"] != "text/html, */*" {
		t.Errorf("headers %v", headers)
	}
}

func TestCequenceSkipsWebSocket(t *testing.T) {
	t.Parallel()
	w := setup(t, "?format=cequence", nil)
	ws := restCall()
	ws.APIType = transaction.WebSocket
	if err := w.sink.Deliver(t.Context(), []*transaction.Transaction{ws, restCall()}); err != nil {
		t.Fatal(err)
	}
	if len(w.bodies) != 1 || w.counter("skipped_total", "websocket") != 1 {
		t.Errorf("%d items, %v skipped", len(w.bodies), w.counter("skipped_total", "websocket"))
	}
}

// Whatever a platform answers: no panic, and every index is of the batch.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"rejected":[{"id":"a","reason":"no"}]}`, `{"errors":[{"index":1,"retry":true}]}`, `{"failed":["b"]}`, `{"rejected":3}`,
		`{"rejected":[{"index":1e99}]}`, `{"rejected":[{"index":-1}]}`, `{"errors":{"a":1}}`, `{"message":"x","rejected":[[]]}`, `[`, ``, `{"rejected":[null]}`,
	} {
		f.Add([]byte(s))
	}
	batch := []*transaction.Transaction{{ID: "a"}, {ID: "b"}}
	f.Fuzz(func(t *testing.T, body []byte) {
		v := readAnswer(body, batch)
		for _, r := range v.Rejected {
			if r.Index < 0 || r.Index >= len(batch) {
				t.Fatalf("index %d", r.Index)
			}
		}
	})
}
