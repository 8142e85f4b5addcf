package account

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gatehouse-project/gatehouse/awssim"
)

const (
	securityID = "111111111111"
	ordersID   = "222222222222"
	catalogID  = "333333333333"
	region     = "eu-west-1"
	hubARN     = "arn:aws:iam::111111111111:role/Hub"
	ordersARN  = "arn:aws:iam::222222222222:role/Collector"
	catalogARN = "arn:aws:iam::333333333333:role/Collector"
	externalID = "gatehouse-42"
)

// wire answers the SDK's requests with a handler and without a network, so that
// a test can run in a synctest bubble. It records what was asked.
type wire struct {
	handler http.Handler

	mu       sync.Mutex
	requests []request
}

type request struct {
	at   time.Time
	host string
	body string
	key  string // the Authorization header, which names the access key
}

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w.mu.Lock()
	w.requests = append(w.requests, request{at: time.Now(), host: r.URL.Host, body: string(body), key: r.Header.Get("Authorization")})
	w.mu.Unlock()
	in := r.Clone(r.Context())
	in.Body = io.NopCloser(bytes.NewReader(body))
	in.RequestURI = r.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:1"
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	out := httptest.NewRecorder()
	cut := false
	func() {
		defer func() {
			if p := recover(); p != nil {
				if p != http.ErrAbortHandler { //nolint:errorlint // the value that net/http itself compares with
					panic(p)
				}
				cut = true
			}
		}()
		w.handler.ServeHTTP(out, in)
	}()
	response := out.Result()
	if cut {
		response.Body = io.NopCloser(io.MultiReader(response.Body, brokenReader{}))
	}
	return response, nil
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.requests)
}

// world is a small organization and the Accounts that reach it.
type world struct {
	*Accounts
	sim  *awssim.Sim
	wire *wire
}

// setup makes the security account with a base and a hub role, and two accounts
// that trust the hub.
func setup(t *testing.T, cfg Config, change ...func(*Options)) *world {
	t.Helper()
	sim := awssim.New(awssim.Options{})
	security := sim.Account(securityID).SetName("security")
	security.AddRole(awssim.Role{Name: "Base", Allow: []string{"sts:*"}})
	security.AddRole(awssim.Role{Name: "Hub", TrustedAccounts: []string{securityID}, Allow: []string{"sts:*", "organizations:*"}})
	for id, name := range map[string]string{ordersID: "orders", catalogID: "catalog"} {
		sim.Account(id).SetName(name).AddRole(awssim.Role{
			Name: "Collector", TrustedPrincipals: []string{hubARN}, ExternalID: externalID,
			Allow: []string{"logs:*", "apigateway:*", "account:ListRegions"},
		})
	}
	sim.Organization(securityID).Add(ordersID, catalogID)
	base := security.Session("Base", "test", 12*time.Hour)
	w := &world{sim: sim, wire: &wire{handler: sim.Handler()}}
	opts := Options{
		HTTPClient: w.wire,
		BaseConfig: baseConfig(credentials.NewStaticCredentialsProvider(base.AccessKeyID, base.SecretAccessKey, base.SessionToken)),
	}
	for _, f := range change {
		f(&opts)
	}
	a, err := New(cfg, opts)
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	w.Accounts = a
	return w
}

func baseConfig(creds aws.CredentialsProvider) *aws.Config {
	return &aws.Config{Region: region, Credentials: creds, BaseEndpoint: aws.String("http://aws.test")}
}

// viaHub is the usual chain: base, hub, one role each in two accounts.
func viaHub() Config {
	return Config{
		Hub:        &Role{ARN: hubARN},
		Roles:      []Role{{ARN: ordersARN}, {ARN: catalogARN}},
		ExternalID: externalID,
	}
}

// providerFunc lets a test decide what the credentials are.
type providerFunc func(context.Context) (aws.Credentials, error)

func (f providerFunc) Retrieve(ctx context.Context) (aws.Credentials, error) { return f(ctx) }
