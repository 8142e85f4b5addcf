package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/gatehouse-project/gatehouse/transaction"
)

const socketConfig = `
credentials:
  - {access_key_id: AKIAOWN, secret_access_key: own-secret, principal: "arn:aws:iam::111122223333:user/own", policies: [{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "execute-api:Invoke", Resource: "arn:aws:execute-api:us-east-1:111122223333:w1w2w3w4w5/prod/$connect"}, {Effect: Allow, Action: "execute-api:ManageConnections", Resource: "arn:aws:execute-api:us-east-1:111122223333:w1w2w3w4w5/prod/*/@connections/*"}]}]}
  - {access_key_id: AKIABARE, secret_access_key: bare-secret, principal: "arn:aws:iam::111122223333:user/bare"}
apis:
  - id: w1w2w3w4w5
    type: WEBSOCKET
    account: "111122223333"
    region: us-east-1
    routes:
      - {path: $connect, authorization: AUTH, integration: {type: AWS_PROXY, uri: BACKEND/function}}
      - {path: $disconnect, integration: {type: AWS_PROXY, uri: BACKEND/function}}
      - {path: say, integration: {type: HTTP_PROXY, uri: BACKEND/say}}
      - {path: $default, integration: {type: AWS_PROXY, uri: BACKEND/function}}
    stages: [{name: prod, logging_level: INFO, data_trace: true, access_log: {group: access-w1w2w3w4w5, format: 'FORMAT'}}]
`

// socketWorld is a WebSocket API whose function answers with the kind of event.
func socketWorld(t *testing.T, authorization string) *world {
	t.Helper()
	w := newWorld(t, strings.NewReplacer("AUTH", authorization, "FORMAT", accessFormat).Replace(socketConfig))
	w.backend.mux.HandleFunc("/function", func(rw http.ResponseWriter, r *http.Request) {
		var e struct {
			Body           string
			RequestContext struct{ EventType, RouteKey, ConnectionID string }
		}
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil || e.RequestContext.ConnectionID == "" {
			t.Errorf("%v %+v", err, e)
		}
		answer, _ := json.Marshal(map[string]any{"statusCode": 200, "body": e.RequestContext.RouteKey + " " + e.Body})
		_, _ = rw.Write(answer)
	})
	w.backend.answers("/say", `{"said":true}`)
	return w
}

func (w *world) dial(headers http.Header) (*websocket.Conn, *http.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return websocket.Dial(ctx, w.server.URL+"/prod", &websocket.DialOptions{HTTPHeader: headers})
}

func read(t *testing.T, c *websocket.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, b, err := c.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, c *websocket.Conn, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until ok holds.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("it did not happen in 5 s")
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	w := socketWorld(t, "NONE")
	c, _, err := w.dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, c, `{"action":"say","text":"hello"}`)
	if got := read(t, c); got != `{"said":true}` {
		t.Error(got)
	}
	if _, body := w.backend.last(t); body != `{"action":"say","text":"hello"}` {
		t.Error(body)
	}
	for _, message := range []string{`{"action":"nobody"}`, `not JSON`, `{"action":"$connect"}`, `{"action":5}`} {
		write(t, c, message)
		if got := read(t, c); got != "$default "+message {
			t.Error(got)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Error(err)
	}
	const group = "/aws/apigateway/w1w2w3w4w5/prod"
	eventually(t, func() bool { return strings.Contains(w.logs.text(group), "disconnected from API") })
	if text := w.logs.text(group); !strings.Contains(text, "Close reason: [1000: bye]") {
		t.Error(text)
	}
	// The logs tell the connection, its messages and its end.
	events := map[string]int{}
	for _, e := range w.logs.all() {
		if strings.HasPrefix(e.group, "access-") {
			for _, kind := range []string{"CONNECT", "MESSAGE", "DISCONNECT"} {
				if strings.Contains(e.Message, `"eventType":"`+kind+`"`) {
					events[kind]++
				}
			}
		}
	}
	if events["CONNECT"] != 1 || events["MESSAGE"] != 5 || events["DISCONNECT"] != 1 {
		t.Error(events)
	}
	calls := w.transactions("111122223333", "us-east-1")
	for _, kind := range []string{"CONNECT", "DISCONNECT", "MESSAGE"} {
		call := calls[kind+" "]
		if call == nil || call.APIType != transaction.WebSocket || call.EventType != kind || call.ConnectionID == "" || !call.Complete || call.APIID != "w1w2w3w4w5" || call.Stage != "prod" {
			t.Errorf("%s: %+v of %v", kind, call, calls)
		}
	}
}

func TestWebSocketConnectIsAuthorized(t *testing.T) {
	t.Parallel()
	w := socketWorld(t, "AWS_IAM")
	header := func(k key) http.Header {
		r := w.sign(w.request("GET", "/prod", ""), k, "", "us-east-1")
		return http.Header{"Authorization": r.Header["Authorization"], "X-Amz-Date": r.Header["X-Amz-Date"]}
	}
	for name, c := range map[string]struct {
		header http.Header
		status int
	}{
		"unsigned": {nil, 403}, "another's": {header(key{"AKIABARE", "bare-secret", ""}), 403}, "signed": {header(key{"AKIAOWN", "own-secret", ""}), 101},
	} {
		conn, resp, err := w.dial(c.header)
		if resp == nil || resp.StatusCode != c.status || (err == nil) != (c.status == 101) {
			t.Errorf("%s: %v %v", name, resp, err)
		}
		if conn != nil {
			_ = conn.CloseNow()
		}
	}
	if r := w.call("GET", "/prod", ""); r.status != 403 {
		t.Errorf("a call that is no upgrade: %+v", r)
	}
}

func TestWebSocketRefusedByFunction(t *testing.T) {
	t.Parallel()
	w := newWorld(t, strings.NewReplacer("AUTH", "NONE", "FORMAT", accessFormat).Replace(socketConfig))
	w.backend.answers("/function", `{"statusCode":401}`)
	if _, resp, err := w.dial(nil); err == nil || resp == nil || resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("%v %v", resp, err)
	}
}

func TestWebSocketMessageLimit(t *testing.T) {
	t.Parallel()
	w := socketWorld(t, "NONE")
	c, _, err := w.dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, c, strings.Repeat("x", 128<<10+1))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, _, err = c.Read(ctx)
	var closed websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != websocket.StatusMessageTooBig {
		t.Error(err)
	}
}

func TestConnections(t *testing.T) {
	t.Parallel()
	w := socketWorld(t, "NONE")
	c, _, err := w.dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	own, bare := key{"AKIAOWN", "own-secret", ""}, key{"AKIABARE", "bare-secret", ""}
	write(t, c, "hello")
	read(t, c)
	_, body := w.backend.last(t)
	var e struct{ RequestContext struct{ ConnectionID string } }
	if err := json.Unmarshal([]byte(body), &e); err != nil {
		t.Fatal(err)
	}
	path := "/prod/@connections/" + strings.ReplaceAll(e.RequestContext.ConnectionID, "=", "%3D")
	w.call("POST", path, "x").wants(t, 403, "MissingAuthenticationTokenException", missingToken)
	if r := w.signed(bare, "POST", path, "x"); r.status != 403 || !strings.Contains(r.body, "is not authorized to perform: execute-api:ManageConnections on resource: arn:aws:execute-api:us-east-1:********3333:w1w2w3w4w5/prod/POST/@connections/") {
		t.Errorf("%+v", r)
	}
	if r := w.signed(own, "POST", path, "news"); r.status != 200 {
		t.Fatalf("%+v", r)
	}
	if got := read(t, c); got != "news" {
		t.Error(got)
	}
	if r := w.signed(own, "GET", path, ""); r.status != 200 || !strings.Contains(r.body, `"connectedAt":"2026-01-02T03:04:05.000Z"`) {
		t.Errorf("%+v", r)
	}
	done := make(chan error, 1)
	go func() {
		_, _, err := c.Read(context.Background())
		done <- err
	}()
	if r := w.signed(own, "DELETE", path, ""); r.status != 204 {
		t.Errorf("%+v", r)
	}
	if err := <-done; websocket.CloseStatus(err) != websocket.StatusNormalClosure {
		t.Error(err)
	}
	eventually(t, func() bool { return w.signed(own, "POST", path, "x").status == 410 })
	w.signed(own, "GET", "/prod/@connections/nobody", "").wants(t, 410, "GoneException", "")
}
