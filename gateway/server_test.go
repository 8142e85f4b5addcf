package gateway_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/coder/websocket"

	"github.com/gatehouse-project/gatehouse/gateway"
)

// running is a gateway on a listener of its own.
type running struct {
	url  string
	stop context.CancelFunc
	done chan error
}

func serve(t *testing.T, yaml string) *running {
	t.Helper()
	c, err := gateway.Parse("gateway.yaml", []byte("listen: 127.0.0.1:0\n"+yaml), func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(c, gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s, err := gateway.Listen(ctx, c, g)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{url: "http://" + s.Addr().String(), stop: cancel, done: make(chan error, 1)}
	go func() { r.done <- s.Run(ctx) }()
	t.Cleanup(cancel)
	return r
}

func (r *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(time.Minute):
		t.Fatal("the gateway does not stop")
		return nil
	}
}

func TestGracefulStop(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	entered, left := make(chan struct{}), make(chan struct{})
	leave := sync.OnceFunc(func() { close(left) })
	t.Cleanup(leave) // a failed test must not wait for the call under way
	b.mux.HandleFunc("/slow", func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-left
		_, _ = io.WriteString(w, "done")
	})
	b.answers("/function", `{"statusCode":200}`)
	g := serve(t, restAPI("      - {method: GET, path: /slow, integration: {type: HTTP_PROXY, uri: "+b.URL+"/slow}}\n", stagesProd)+`
  - id: w1w2w3w4w5
    type: WEBSOCKET
    account: "111122223333"
    region: us-east-1
    routes: [{path: $disconnect, integration: {type: AWS_PROXY, uri: `+b.URL+`/function}}]
    stages: [{name: prod}]
`)
	socket, _, err := websocket.Dial(context.Background(), g.url+"/prod", &websocket.DialOptions{Host: "w1w2w3w4w5.execute-api.us-east-1.amazonaws.com"})
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() {
		_, _, err := socket.Read(context.Background())
		closed <- err
	}()
	got := make(chan string, 1)
	go func() {
		r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, g.url+"/prod/slow", nil)
		if err != nil {
			got <- err.Error()
			return
		}
		r.Host = "a1b2c3d4e5.localhost"
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			got <- err.Error()
			return
		}
		defer func() { _ = resp.Body.Close() }()
		body, _ := io.ReadAll(resp.Body)
		got <- string(body)
	}()
	<-entered
	g.stop()
	// The WebSocket connection is told to go, and its $disconnect is called.
	if err := <-closed; websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Error(err)
	}
	eventually(t, func() bool { return b.calls() == 2 })
	select {
	case err := <-g.done:
		t.Fatalf("stopped with a call under way: %v", err)
	default:
	}
	leave()
	if body := <-got; body != "done" {
		t.Errorf("the call under way got %q", body)
	}
	if err := g.wait(t); err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://")); err == nil {
		t.Error("it still listens")
	}
}

func TestStopDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	entered := make(chan struct{})
	b.mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	})
	g := serve(t, "limits: {shutdown: 50ms}\n"+restAPI("      - {method: GET, path: /slow, integration: {type: HTTP_PROXY, uri: "+b.URL+"/slow}}\n", stagesProd))
	go func() {
		if resp, err := http.Get(g.url + "/prod/slow"); err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-entered
	g.stop()
	if err := g.wait(t); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	g := serve(t, "limits: {connections: 1, shutdown: 1s}\n"+restAPI("      - {method: GET, path: /, integration: {type: MOCK}}\n", stagesProd))
	address := strings.TrimPrefix(g.url, "http://")
	first, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(c net.Conn) error {
		_, err := io.WriteString(c, "GET /prod/ HTTP/1.1\r\nHost: x\r\n\r\n")
		return err
	}
	answered := func(c net.Conn, within time.Duration) bool {
		_ = c.SetReadDeadline(time.Now().Add(within))
		b := make([]byte, 12)
		_, err := io.ReadFull(c, b)
		return err == nil && string(b) == "HTTP/1.1 200"
	}
	if err := ask(first); err != nil || !answered(first, 10*time.Second) {
		t.Fatal("the first connection is not served", err)
	}
	second, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Close() }()
	if err := ask(second); err != nil {
		t.Fatal(err)
	}
	if answered(second, 100*time.Millisecond) {
		t.Error("two connections at once")
	}
	_ = first.Close()
	if !answered(second, 10*time.Second) {
		t.Error("the second connection is not served after the first ended")
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	certificate, keyFile := filepath.Join(dir, "c.pem"), filepath.Join(dir, "k.pem")
	for name, b := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "EC PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	g := serve(t, "tls: {certificate: "+certificate+", key: "+keyFile+"}\n"+
		restAPI("      - {method: GET, path: /, integration: {type: MOCK}}\n", "    policy: {Version: '2012-10-17', Statement: [{Effect: Allow, Principal: '*', Action: 'execute-api:Invoke', Resource: '*', Condition: {Bool: {'aws:SecureTransport': 'true'}}}]}\n"+stagesProd))
	pool := x509.NewCertPool()
	pool.AddCert(must(x509.ParseCertificate(der)))
	for _, version := range []int{1, 2} {
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: version == 2}}
		resp, err := client.Get(strings.Replace(g.url, "http:", "https:", 1) + "/prod/")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK || resp.ProtoMajor != version {
			t.Errorf("HTTP/%d: %s %s", version, resp.Status, resp.Proto)
		}
		client.CloseIdleConnections()
	}
	g.stop()
	if err := g.wait(t); err != nil {
		t.Error(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// cloudWatchLogs is a CloudWatch Logs with groups, streams and a way to fail.
type cloudWatchLogs struct {
	groups  map[string]map[string][]types.InputLogEvent
	puts    int
	failing atomic.Bool
	blocked chan struct{}
}

func (l *cloudWatchLogs) PutLogEvents(_ context.Context, in *cloudwatchlogs.PutLogEventsInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.PutLogEventsOutput, error) {
	if l.blocked != nil {
		<-l.blocked
	}
	if l.failing.Load() {
		return nil, errors.New("service unavailable")
	}
	streams, ok := l.groups[*in.LogGroupName]
	if _, there := streams[*in.LogStreamName]; !ok || !there {
		return nil, &types.ResourceNotFoundException{}
	}
	size := 0
	for i, e := range in.LogEvents {
		size += len(*e.Message) + 26
		if i > 0 && *e.Timestamp < *in.LogEvents[i-1].Timestamp {
			return nil, &types.InvalidParameterException{}
		}
	}
	if size > 1<<20 || len(in.LogEvents) > 10_000 {
		return nil, &types.InvalidParameterException{}
	}
	l.puts++
	streams[*in.LogStreamName] = append(streams[*in.LogStreamName], in.LogEvents...)
	return &cloudwatchlogs.PutLogEventsOutput{}, nil
}

func (l *cloudWatchLogs) CreateLogGroup(_ context.Context, in *cloudwatchlogs.CreateLogGroupInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.CreateLogGroupOutput, error) {
	if l.groups[*in.LogGroupName] != nil {
		return nil, &types.ResourceAlreadyExistsException{}
	}
	l.groups[*in.LogGroupName] = map[string][]types.InputLogEvent{}
	return &cloudwatchlogs.CreateLogGroupOutput{}, nil
}

func (l *cloudWatchLogs) CreateLogStream(_ context.Context, in *cloudwatchlogs.CreateLogStreamInput, _ ...func(*cloudwatchlogs.Options)) (*cloudwatchlogs.CreateLogStreamOutput, error) {
	if l.groups[*in.LogGroupName] == nil {
		return nil, &types.ResourceNotFoundException{}
	}
	l.groups[*in.LogGroupName][*in.LogStreamName] = []types.InputLogEvent{}
	return &cloudwatchlogs.CreateLogStreamOutput{}, nil
}

func TestCloudWatchWriter(t *testing.T) {
	t.Parallel()
	aws := &cloudWatchLogs{groups: map[string]map[string][]types.InputLogEvent{}}
	w := gateway.NewCloudWatch(func(account, region string) (gateway.LogsAPI, error) {
		if account != "111122223333" || region != "us-east-1" {
			t.Errorf("asked for %s in %s", account, region)
		}
		return aws, nil
	}, nil)
	b := &gateway.LogBatch{Account: "111122223333", Region: "us-east-1", Group: "g", Stream: "s"}
	for i := range 12_000 {
		b.Events = append(b.Events, gateway.LogEvent{Timestamp: int64(20_000 - i), Message: strings.Repeat("x", 200)})
	}
	if err := w.WriteBatch(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	if n := len(aws.groups["g"]["s"]); n != 12_000 || aws.puts != 3 {
		t.Errorf("%d events in %d requests", n, aws.puts)
	}
}

func TestLogQueueNeverWaits(t *testing.T) {
	t.Parallel()
	aws := &cloudWatchLogs{groups: map[string]map[string][]types.InputLogEvent{}, blocked: make(chan struct{})}
	var told bytes.Buffer
	q := gateway.NewLogQueue(gateway.NewCloudWatch(func(string, string) (gateway.LogsAPI, error) { return aws, nil }, nil), 10_000, slog.New(slog.NewTextHandler(&told, nil)), nil)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- q.Run(ctx) }()
	w := q.Writer("111122223333", "us-east-1")
	const events = 1000
	for i := range events {
		// Far more than there is room for, while CloudWatch does not answer.
		w.Put("g", "s", []gateway.LogEvent{{Timestamp: int64(i), Message: strings.Repeat("x", 74)}})
	}
	if lost := q.Dropped(); lost != events-100 {
		t.Errorf("%d events were dropped, want %d", lost, events-100)
	}
	close(aws.blocked)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := len(aws.groups["g"]["s"]); n != 100 {
		t.Errorf("%d events were written, want 100", n)
	}
	if !strings.Contains(told.String(), "log events were dropped") || !strings.Contains(told.String(), "events=900") {
		t.Error(told.String())
	}
}

func TestLogQueueTellsOfFailures(t *testing.T) {
	t.Parallel()
	aws := &cloudWatchLogs{groups: map[string]map[string][]types.InputLogEvent{}}
	aws.failing.Store(true)
	q := gateway.NewLogQueue(gateway.NewCloudWatch(func(string, string) (gateway.LogsAPI, error) { return aws, nil }, nil), 0, nil, nil)
	q.Writer("111122223333", "us-east-1").Put("g", "s", []gateway.LogEvent{{Timestamp: 1, Message: "x"}})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := q.Run(ctx); err != nil || q.Dropped() != 1 {
		t.Errorf("%v, %d dropped", err, q.Dropped())
	}
}
