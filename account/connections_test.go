package account

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
)

// An answer that begins, so that the SDK closes the request's body, before
// net/http has looked whether that body is longer than was said, is read to its
// end, and its connection is used again.
func TestAnswersThatBeginEarlyAreRead(t *testing.T) {
	t.Parallel()
	calls := &earlyAnswers{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_, _ = io.WriteString(w, `{"logGroups":[`)
		_ = http.NewResponseController(w).Flush()
		<-calls.now.Load().looked
		time.Sleep(20 * time.Millisecond) // for a connection that is to be closed for that look
		_, _ = io.WriteString(w, strings.Repeat(" ", 8<<10)+`{"logGroupName":"last"}]}`)
	}))
	t.Cleanup(server.Close)
	calls.client = Connections(awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
		tr.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			calls.dialed.Add(1)
			c, err := (&net.Dialer{}).DialContext(ctx, network, address)
			return &lateWriter{Conn: c, calls: calls}, err
		}
	}))
	client := cloudwatchlogs.NewFromConfig(aws.Config{
		Region: "eu-west-1", BaseEndpoint: aws.String(server.URL), RetryMaxAttempts: 1, HTTPClient: calls,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	for range 2 {
		out, err := client.DescribeLogGroups(t.Context(), &cloudwatchlogs.DescribeLogGroupsInput{})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.LogGroups) != 1 || aws.ToString(out.LogGroups[0].LogGroupName) != "last" {
			t.Errorf("%+v", out.LogGroups)
		}
	}
	if n := calls.dialed.Load(); n != 1 {
		t.Errorf("%d connections for two calls, one after the other", n)
	}
}

// earlyAnswers hands the body of each request on in a form that tells when the SDK
// closed it and when net/http looked at it after that.
type earlyAnswers struct {
	client aws.HTTPClient
	now    atomic.Pointer[watchedBody]
	dialed atomic.Int64
}

func (c *earlyAnswers) Do(r *http.Request) (*http.Response, error) {
	b := &watchedBody{ReadCloser: r.Body, closed: make(chan struct{}), looked: make(chan struct{})}
	r.Body = b
	c.now.Store(b)
	response, err := c.client.Do(r)
	// What follows in the SDK, before it reads the answer.
	_ = b.Close()
	return response, err
}

type watchedBody struct {
	io.ReadCloser
	close, look    sync.Once
	closed, looked chan struct{}
}

func (b *watchedBody) Read(p []byte) (int, error) {
	defer b.seen()
	return b.ReadCloser.Read(p)
}

func (b *watchedBody) WriteTo(w io.Writer) (int64, error) {
	defer b.seen()
	return b.ReadCloser.(io.WriterTo).WriteTo(w)
}

func (b *watchedBody) seen() {
	select {
	case <-b.closed:
		b.look.Do(func() { close(b.looked) })
	default:
	}
}

func (b *watchedBody) Close() error {
	err := b.ReadCloser.Close()
	b.close.Do(func() { close(b.closed) })
	return err
}

// lateWriter returns from writing a body only when that body has been closed.
type lateWriter struct {
	net.Conn
	calls *earlyAnswers
}

func (c *lateWriter) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if !strings.HasSuffix(string(p), "\r\n") {
		<-c.calls.now.Load().closed
	}
	return n, err
}
