package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/gatehouse-project/gatehouse/gateway"
)

// pipes is a listener whose connections are in memory, so that a test can have
// hours of them pass in no time.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

// Accept waits for a dial.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

// Addr is an address of the loopback, as an HTTP server wants one.
func (*pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

const timedConfig = `
apis:
  - id: w1w2w3w4w5
    type: WEBSOCKET
    account: "111122223333"
    region: us-east-1
    routes:
      - {path: $connect, integration: {type: MOCK}}
      - {path: $default, integration: {type: MOCK, responses: {"200": {body: "$context.connectionId"}}}}
      - {path: quiet, route_response: false, integration: {type: MOCK, responses: {"200": {body: quiet}}}}
    stages: [{name: prod, logging_level: INFO}]
`

// connectFor connects, runs during for the open connection and gives how it ended.
func connectFor(t *testing.T, logs *memoryLog, during func(c *websocket.Conn)) (after time.Duration, end error) {
	t.Helper()
	config, err := gateway.Parse("x", []byte(timedConfig), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(config, gateway.Options{Logs: func(string, string) gateway.LogWriter { return logs }})
	if err != nil {
		t.Fatal(err)
	}
	l := newPipes()
	server := &http.Server{Handler: g, ReadHeaderTimeout: time.Minute}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	transport := &http.Transport{DialContext: l.dial}
	c, _, err := websocket.Dial(t.Context(), "http://127.0.0.1:1/prod", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	var reading sync.WaitGroup
	reading.Go(func() {
		for end == nil {
			_, _, end = c.Read(context.Background())
		}
		after = time.Since(began)
	})
	during(c)
	reading.Wait()
	_ = c.CloseNow()
	g.Shutdown(t.Context())
	transport.CloseIdleConnections()
	if err := server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	serving.Wait()
	return after, end
}

func TestWebSocketEndsWhenIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs := &memoryLog{}
		after, err := connectFor(t, logs, func(c *websocket.Conn) {
			time.Sleep(9 * time.Minute)
			write(t, c, "I am still here")
		})
		if websocket.CloseStatus(err) != websocket.StatusGoingAway || after != 19*time.Minute {
			t.Errorf("after %v: %v", after, err)
		}
		if text := logs.text("/aws/apigateway/"); !strings.Contains(text, "Close reason: [1001: Going away]") {
			t.Error(text)
		}
	})
}

func TestWebSocketEndsAfterTwoHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logs := &memoryLog{}
		after, err := connectFor(t, logs, func(c *websocket.Conn) {
			for range 23 {
				time.Sleep(5 * time.Minute)
				write(t, c, "I am still here")
			}
		})
		if websocket.CloseStatus(err) != websocket.StatusGoingAway || after != 2*time.Hour {
			t.Errorf("after %v: %v", after, err)
		}
	})
}

// TestWebSocketFrames: a message goes in frames of at most 32 KB.
func TestWebSocketFrames(t *testing.T) {
	t.Parallel()
	w := socketWorld(t, "NONE")
	connect := func() *websocket.Conn {
		t.Helper()
		c, _, err := w.dial(nil)
		if err != nil {
			t.Fatal(err)
		}
		c.SetReadLimit(1 << 20)
		t.Cleanup(func() { _ = c.CloseNow() })
		return c
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	send := func(c *websocket.Conn, frames int) error {
		m, err := c.Writer(ctx, websocket.MessageText)
		if err != nil {
			return err
		}
		for range frames {
			if _, err := m.Write(bytes.Repeat([]byte("x"), 32<<10)); err != nil {
				return err
			}
		}
		return m.Close()
	}
	// 96 KB in three frames of 32 KB, of which the function's answer comes back.
	c := connect()
	if err := send(c, 3); err != nil {
		t.Fatal(err)
	}
	if got := read(t, c); len(got) != len("$default ")+96<<10 {
		t.Errorf("%d bytes", len(got))
	}
	// What comes before a frame that is too large is answered still.
	write(t, c, "before")
	write(t, c, strings.Repeat("x", 32<<10+1))
	if got := read(t, c); got != "$default before" {
		t.Error(got)
	}
	_, _, err := c.Read(ctx)
	if websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("a frame of 32 KB and a byte: %v", err)
	}
	// 128 KB in four frames is a message, five are not.
	c = connect()
	if err := send(c, 4); err != nil {
		t.Fatal(err)
	}
	if got := read(t, c); !strings.HasPrefix(got, `{"message": "Internal server error"`) {
		t.Errorf("%.80s", got)
	}
	c = connect()
	if err := send(c, 5); err != nil {
		t.Log(err) // the connection may be closed before the last frame
	}
	if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
		t.Errorf("a message of 160 KB: %v", err)
	}
	eventually(t, func() bool {
		text := w.logs.text("/aws/apigateway/")
		return strings.Contains(text, "Close reason: [1009: Frame too big]") && strings.Contains(text, "Close reason: [1009: Message too big]")
	})
}

func TestWebSocketRouteWithoutResponse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, timedConfig)
	c, _, err := w.dial(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	write(t, c, `{"action":"quiet"}`)
	write(t, c, "loud")
	if got := read(t, c); got == "quiet" || !strings.HasSuffix(got, "CJ=") {
		t.Error(got)
	}
}

func TestWebSocketAPIKeys(t *testing.T) {
	t.Parallel()
	const value = "abcdefghijklmnopqrstuvwxyz"
	yaml := strings.Replace(timedConfig, "{path: $connect, ", "{path: $connect, api_key_required: true, ", 1)
	w := newWorld(t, yaml+"usage_plans: [{id: p, stages: [w1w2w3w4w5/prod], quota: {limit: 2, period: DAY}, keys: [{id: k, value: "+value+"}]}]\n")
	for i, c := range []struct {
		key    string
		status int
	}{{"", 403}, {"else-else-else-else-else", 403}, {value, 101}, {value, 101}, {value, 429}} {
		conn, resp, err := w.dial(http.Header{"X-Api-Key": {c.key}})
		if resp == nil || resp.StatusCode != c.status {
			t.Errorf("%d: %v %v", i, resp, err)
		}
		if conn != nil {
			_ = conn.CloseNow()
		}
	}
	for old, now := range map[string]string{"{path: quiet, ": "{path: quiet, api_key_required: true, "} {
		_, err := gateway.Parse("x", []byte(strings.Replace(timedConfig, old, now, 1)), func(string) string { return "" })
		if _, ok := errors.AsType[*gateway.ConfigError](err); !ok {
			t.Errorf("%s: %v", now, err)
		}
	}
}
