package transaction

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestDocumentedExample holds docs/transaction.md to what the code writes.
func TestDocumentedExample(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../docs/transaction.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```json\n")
	example, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("no example")
	}
	calls, _ := assemble(restGroup(), Options{}, append(lines(rid,
		"Extended Request Id: "+ext1,
		"Starting execution for request: "+rid,
		"HTTP Method: POST, Resource Path: /pets/7",
		"Method request query string: {expand=owner}",
		"Method request headers: {Authorization=****************a8f3c1, Content-Type=application/json, Cookie=session=2b1c, Host=a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com}",
		`Method request body before transformations: {"name":"Rex","password":"hunter2"}`,
		"Endpoint request URI: https://pets.example.com/7",
		"Received response. Status: 201, Integration latency: 41 ms",
		`Method response body after transformations: {"id":7}`,
		"Method response headers: {Content-Type=application/json}",
		"Method completed with status: 201"),
		`{"requestId":"`+rid+`","extendedRequestId":"`+ext1+`","ip":"203.0.113.9","userArn":"arn:aws:sts::444455556666:assumed-role/shop/i-0a1b","requestTimeEpoch":1767225600123,"httpMethod":"POST","resourcePath":"/pets/{petId}","status":201,"protocol":"HTTP/1.1","responseLatency":47}`)...)
	if len(calls) != 1 {
		t.Fatalf("%d calls", len(calls))
	}
	var want, got bytes.Buffer
	if err := json.Compact(&want, []byte(example)); err != nil {
		t.Fatal(err)
	}
	text := calls[0].Transaction.AppendJSON(nil)
	if err := json.Indent(&got, text, "", "  "); err != nil {
		t.Fatal(err)
	}
	if want.String() != string(text) {
		t.Errorf("the example should be\n%s", got.String())
	}
	// All that is documented is there, and the other way round.
	for _, field := range []string{
		"account", "region", "api_id", "stage", "api_type", "request_id", "extended_request_id", "time", "method", "path", "route",
		"route_source", "query", "host", "user_agent", "protocol", "source_ip", "request.headers", "response.status", "latency_ms",
		"integration.uri", "caller.kind", "authorizer.id", "error.type", "connection_id", "event_type", "visibility", "complete", "sources", "log.group",
	} {
		if !strings.Contains(string(page), "`"+field+"`") {
			t.Errorf("%s is not documented", field)
		}
	}
}
