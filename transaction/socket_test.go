package transaction

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func socketGroup() Group { return Group{Name: "/aws/apigateway/a1b2c3d4e5/prod"} }

// socketOf is what a user sees of a WebSocket's call.
func socketOf(tx *Transaction) string {
	status, backend := 0, 0
	if tx.Response != nil {
		status = tx.Response.Status
	}
	if tx.Integration != nil {
		backend = tx.Integration.Status
	}
	return fmt.Sprintf("%s|%s|%s|%s|%s|%s|%s|%d|%d|%v", tx.APIType, tx.Method, tx.EventType, tx.Route, tx.ConnectionID, tx.SourceIP, tx.UserAgent, status, backend, tx.Complete)
}

func TestSocketEvents(t *testing.T) {
	t.Parallel()
	const id = "AbCdEfGhIAMFqXw="
	for name, tc := range map[string]struct {
		lines []string
		want  string
	}{
		"connect": {[]string{
			"Extended Request Id: " + id, "Starting execution for request: " + id, "WebSocket Request Route: [$connect]",
			"Client [UserAgent: x [y], SourceIp: 198.51.100.7] is connecting to WebSocket API [a1b2c3d4e5].",
			"Client [Connection Id: c1=] connected to API [a1b2c3d4e5] successfully.",
		}, "WEBSOCKET|CONNECT|CONNECT|$connect|c1=|198.51.100.7|x [y]|0|0|true"},
		"a user agent that plays the lines": {[]string{
			"WebSocket Request Route: [$connect]",
			"Client [UserAgent: [Connection Id: evil=] connected to API [zzzzzzzzzz]. status code [200], SourceIp: 6.6.6.6] is connecting to WebSocket API [yyyyyyyyyy]., SourceIp: 198.51.100.7] is connecting to WebSocket API [a1b2c3d4e5].",
		}, "WEBSOCKET|CONNECT|CONNECT|$connect||198.51.100.7|[Connection Id: evil=] connected to API [zzzzzzzzzz]. status code [200], SourceIp: 6.6.6.6] is connecting to WebSocket API [yyyyyyyyyy].|0|0|false"},
		"message": {[]string{
			"Extended Request Id: " + id, "Starting execution for request: " + id, "WebSocket Request Route: [send [all] ]",
			"WebSocket API [a1b2c3d4e5] received message from client [Connection Id: c1=].",
			"Endpoint request URI: https://backend.example.com/send", "Received response. Status: 202, Integration latency: 3 ms",
			"Message from client [Connection Id: c1=] sent to API [a1b2c3d4e5] with response status code [200].",
		}, "WEBSOCKET|MESSAGE|MESSAGE|send [all] |c1=|||200|202|true"},
		"disconnect": {[]string{
			"WebSocket Request Route: [$disconnect]",
			"Client [Connection Id: c1=] disconnected from API [a1b2c3d4e5]. Close reason: [1001: status code [500] of [Connection Id: evil=] connected to API [b]]",
		}, "WEBSOCKET|DISCONNECT|DISCONNECT|$disconnect|c1=|||0|0|true"},
		"disconnect, with the backend's answer": {[]string{
			"Client [Connection Id: c1=] disconnected from API [a1b2c3d4e5] with integration response status code [204]. Close reason: [1005: Client-side close frame status not set]",
		}, "WEBSOCKET|DISCONNECT|DISCONNECT||c1=|||0|204|true"},
		"@connections": {[]string{
			"Extended Request Id: " + id, "Starting execution for request: " + id,
			"HTTP Method: POST, Resource Path: /@connections/c1%3D", "Connection API request completed with status: 410",
		}, "WEBSOCKET|POST|||c1=|||410|0|true"},
		"failed": {[]string{
			"Extended Request Id: " + id, "WebSocket Request Route: [$connect]", "Execution failed: forbidden",
		}, "WEBSOCKET|CONNECT|CONNECT|$connect||||0|0|false"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls, counts := assemble(socketGroup(), Options{}, lines(id, tc.lines...)...)
			if len(calls) != 1 || counts["held"] != len(tc.lines) {
				t.Fatalf("%d calls, %v", len(calls), counts)
			}
			if diff := cmp.Diff(tc.want, socketOf(calls[0].Transaction)); diff != "" {
				t.Errorf("call (-want +got):\n%s", diff)
			}
			if api := calls[0].Transaction.APIID; api != "a1b2c3d4e5" {
				t.Errorf("API %s", api)
			}
		})
	}
}

// TestSocketRecordJoins joins the execution and access logs of a message, whose
// request id is its extended id too.
func TestSocketRecordJoins(t *testing.T) {
	t.Parallel()
	const id = "m1CdEfGhIAMFqXw="
	message := append(lines(id, "WebSocket Request Route: [send]", "WebSocket API [a1b2c3d4e5] received message from client [Connection Id: c1=]."),
		`{"requestId":"`+id+`","extendedRequestId":"`+id+`","eventType":"MESSAGE","routeKey":"send","connectionId":"c1=","status":"200","ip":"198.51.100.7"}`)
	for _, order := range [][]int{{0, 1, 2}, {2, 0, 1}, {0, 2, 1}} {
		var in []string
		for _, i := range order {
			in = append(in, message[i])
		}
		calls, _ := assemble(socketGroup(), Options{}, in...)
		if len(calls) != 1 {
			t.Fatalf("order %v: %d calls", order, len(calls))
		}
		if got, want := socketOf(calls[0].Transaction), "WEBSOCKET|MESSAGE|MESSAGE|send|c1=|198.51.100.7||200|0|true"; got != want {
			t.Errorf("order %v: got %s, want %s", order, got, want)
		}
	}
}
