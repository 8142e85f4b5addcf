package awssim_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/account"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	accounts "github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/sigv4"
)

const (
	hub    = "111111111111"
	orders = "222222222222"
	other  = "333333333333"
	region = "eu-west-1"
)

// clock is a clock that tests move by hand.
type clock struct{ now atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.now.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixNano())
	return c
}

func (c *clock) Now() time.Time          { return time.Unix(0, c.now.Load()).UTC() }
func (c *clock) Advance(d time.Duration) { c.now.Add(int64(d)) }
func (c *clock) Millis() int64           { return c.Now().UnixMilli() }

// world is a Sim on a server, with a clock that stands still.
type world struct {
	t     *testing.T
	sim   *awssim.Sim
	clock *clock
	url   string
}

func newWorld(t *testing.T, o awssim.Options) *world {
	t.Helper()
	w := &world{t: t, clock: newClock()}
	if o.Clock == nil {
		o.Clock = w.clock.Now
	}
	w.sim = awssim.New(o)
	server := httptest.NewServer(w.sim.Handler())
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// admin is the configuration of an administrator of an account, without
// retries.
func (w *world) admin(accountID string) aws.Config {
	return w.config(w.sim.Account(accountID).AddAccessKey("admin"))
}

func (w *world) config(c awssim.Credentials) aws.Config {
	return aws.Config{
		Region:           region,
		BaseEndpoint:     aws.String(w.url),
		Credentials:      credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken),
		RetryMaxAttempts: 1,
		HTTPClient:       accounts.Connections(nil),
	}
}

func (w *world) logs(accountID string) *cloudwatchlogs.Client {
	return cloudwatchlogs.NewFromConfig(w.admin(accountID))
}

func (w *world) sts(accountID string) *sts.Client { return sts.NewFromConfig(w.admin(accountID)) }

func (w *world) gateway(accountID string) *apigateway.Client {
	return apigateway.NewFromConfig(w.admin(accountID))
}

func (w *world) gatewayV2(accountID string) *apigatewayv2.Client {
	return apigatewayv2.NewFromConfig(w.admin(accountID))
}

func (w *world) organizations(accountID string) *organizations.Client {
	return organizations.NewFromConfig(w.admin(accountID))
}

func (w *world) account(accountID string) *account.Client {
	return account.NewFromConfig(w.admin(accountID))
}

func ctx(t *testing.T) context.Context {
	t.Helper()
	c, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return c
}

// must fails the test on an error and returns the value.
func must[T any](t *testing.T) func(v T, err error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// wantError checks that err is a *T, as the SDK decodes it, and its message.
func wantError[T error](t *testing.T, err error, message string) {
	t.Helper()
	if typed, ok := errors.AsType[T](err); !ok {
		t.Fatalf("error is %v (%T), want %T", err, err, typed)
	}
	wantCode(t, err, "", message)
}

// wantCode checks the code, unless it is empty, and the message of an API error.
func wantCode(t *testing.T, err error, code, message string) {
	t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Fatalf("error is %v (%T), want an API error with code %s", err, err, code)
	}
	if code != "" && api.ErrorCode() != code {
		t.Errorf("error code is %q, want %q (%v)", api.ErrorCode(), code, err)
	}
	if api.ErrorMessage() != message {
		t.Errorf("error message is\n%q, want\n%q", api.ErrorMessage(), message)
	}
}

// direct is a client that calls the handler without a network.
func (w *world) direct(accountID string) *cloudwatchlogs.Client {
	cfg := aws.Config{
		Region: region, BaseEndpoint: aws.String("http://awssim"), RetryMaxAttempts: 1,
		HTTPClient: handlerClient{w.sim.Handler()},
	}
	c := w.sim.Account(accountID).AddAccessKey("admin")
	cfg.Credentials = credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, c.SessionToken)
	return cloudwatchlogs.NewFromConfig(cfg)
}

func closeBody(t *testing.T, body io.Closer) {
	t.Helper()
	if err := body.Close(); err != nil {
		t.Error(err)
	}
}

type handlerClient struct{ handler http.Handler }

// Do answers a request by the handler.
func (c handlerClient) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil {
		r.Body = http.NoBody
	}
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	return w.Result(), nil
}

// sign signs a request as a client of a service would, now.
func sign(tb testing.TB, r *http.Request, key awssim.Credentials, service, region string) {
	tb.Helper()
	signer := sigv4.Signer{
		Credentials: sigv4.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey, SessionToken: key.SessionToken},
		Service:     service, Region: region,
	}
	if _, err := signer.Sign(r, time.Now()); err != nil {
		tb.Fatal(err)
	}
}
