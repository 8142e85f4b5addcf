package gateway_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/gatehouse-project/gatehouse/gateway"
)

const benchConfig = `
credentials:
  - {access_key_id: ASIADEV, secret_access_key: dev-secret, session_token: dev-token, principal: "arn:aws:sts::329380440465:assumed-role/ecs-app-dev-task/i-1", policies: [{Version: "2012-10-17", Statement: [{Effect: Allow, Action: "execute-api:Invoke", Resource: "arn:aws:execute-api:us-east-1:548754742764:no8k0bxy8b/*"}]}]}
apis:
  - id: no8k0bxy8b
    type: REST
    account: "548754742764"
    region: us-east-1
    policy: {Version: "2012-10-17", Statement: [{Effect: Allow, Principal: {AWS: "arn:aws:iam::329380440465:root"}, Action: "execute-api:Invoke", Resource: "execute-api:/prod/GET/*", Condition: {StringLike: {"aws:PrincipalArn": "arn:aws:iam::329380440465:role/ecs-app-dev*"}}}]}
    routes: [{method: GET, path: "/pets/{id}", authorization: AWS_IAM, integration: {type: HTTP_PROXY, uri: "BACKEND/pets/{id}"}}]
    stages: [{name: prod}]
`

// pool lends buffers to a ReverseProxy, which takes a new one for each call
// otherwise.
type pool struct{ sync.Pool }

func (p *pool) Get() []byte {
	if b, ok := p.Pool.Get().([]byte); ok {
		return b
	}
	return make([]byte, 32<<10)
}

func (p *pool) Put(b []byte) { p.Pool.Put(b) } //nolint:staticcheck // as httputil.BufferPool has it

// BenchmarkBesideReverseProxy compares the gateway, with AWS_IAM and a resource
// policy, with a httputil.ReverseProxy in front of the same backend. Both take
// turns every few hundred calls, so that they see the same machine; the metric is
// the gateway's throughput in percent of the other's.
func BenchmarkBesideReverseProxy(b *testing.B) {
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"id":123,"category":"book"}`)
	}))
	defer backend.Close()
	c, err := gateway.Parse("gateway.yaml", []byte(strings.ReplaceAll(benchConfig, "BACKEND", backend.URL)), func(string) string { return "" })
	if err != nil {
		b.Fatal(err)
	}
	g, err := gateway.New(c, gateway.Options{})
	if err != nil {
		b.Fatal(err)
	}
	target, err := url.Parse(backend.URL)
	if err != nil {
		b.Fatal(err)
	}
	bare := func() *httputil.ReverseProxy {
		return &httputil.ReverseProxy{
			Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.SetXForwarded() },
			Transport: &http.Transport{MaxIdleConns: 1000, MaxIdleConnsPerHost: 256, DisableCompression: true},
		}
	}
	pooled := bare()
	pooled.BufferPool = &pool{}
	front := newCaller(b, g)
	for name, proxy := range map[string]http.Handler{"bare": bare(), "with a buffer pool": pooled} {
		beside := newCaller(b, proxy)
		b.Run(name, func(b *testing.B) {
			var ours, theirs time.Duration
			for b.Loop() {
				theirs += beside.round(b)
				ours += front.round(b)
			}
			b.ReportMetric(100*theirs.Seconds()/ours.Seconds(), "%-of-proxy")
			b.ReportMetric(float64(b.N)*callers*callsEach/ours.Seconds(), "calls/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// callers call at once, callsEach times in a round.
const (
	callers   = 4
	callsEach = 100
)

// caller calls one server with one signed request.
type caller struct {
	request   *http.Request
	transport *http.Transport
}

func newCaller(b *testing.B, h http.Handler) *caller {
	b.Helper()
	server := httptest.NewServer(h)
	b.Cleanup(server.Close)
	r, err := http.NewRequestWithContext(context.Background(), http.MethodGet, server.URL+"/prod/pets/7", nil)
	if err != nil {
		b.Fatal(err)
	}
	const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	err = v4.NewSigner().SignHTTP(context.Background(), aws.Credentials{AccessKeyID: "ASIADEV", SecretAccessKey: "dev-secret", SessionToken: "dev-token"},
		r, empty, "execute-api", "us-east-1", time.Now())
	if err != nil {
		b.Fatal(err)
	}
	c := &caller{r, &http.Transport{MaxIdleConnsPerHost: 2 * callers, DisableCompression: true}}
	b.Cleanup(c.transport.CloseIdleConnections)
	c.round(b) // connections and keys are there
	return c
}

// round makes one round of calls and returns how long it took.
func (c *caller) round(b *testing.B) time.Duration {
	b.Helper()
	began := time.Now()
	var all sync.WaitGroup
	for range callers {
		all.Go(func() {
			for range callsEach {
				resp, err := c.transport.RoundTrip(c.request)
				if err != nil || resp.StatusCode != http.StatusOK {
					b.Errorf("%v %v", resp, err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
	all.Wait()
	return time.Since(began)
}
