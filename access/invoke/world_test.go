package invoke

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
	"github.com/gatehouse-project/gatehouse/estate"
	"github.com/gatehouse-project/gatehouse/gateway"
	"github.com/gatehouse-project/gatehouse/iam"
	"github.com/gatehouse-project/gatehouse/sigv4"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	hub    = "111111111111"
	owner  = "222222222222"
	region = "eu-west-1"
	apiOne = "a1b2c3d4e5"

	invokerARN = "arn:aws:iam::222222222222:role/api-invoker"
	controlARN = "arn:aws:iam::222222222222:role/GatehouseLender"
	hubARN     = "arn:aws:iam::111111111111:role/Gatehouse"
	boundary   = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"execute-api:*","Resource":"*"}]}`
	invokes    = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["execute-api:Invoke","execute-api:ManageConnections"],"Resource":"arn:aws:execute-api:eu-west-1:222222222222:a1b2c3d4e5/*"}]}`
)

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// faults stands before awssim and makes the next change at IAM fail.
type faults struct {
	next http.Handler
	mu   sync.Mutex
	kind string // "before", "after" or empty
	seen map[string]int
}

func (f *faults) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.mu.Lock()
	f.seen[form.Get("Action")]++
	kind := ""
	if strings.HasPrefix(form.Get("Action"), "PutRolePolicy") {
		kind, f.kind = f.kind, ""
	}
	f.mu.Unlock()
	if kind == "" {
		f.next.ServeHTTP(w, r)
		return
	}
	if kind == "after" {
		f.next.ServeHTTP(httptest.NewRecorder(), r)
	}
	http.Error(w, "<ErrorResponse><Error><Code>ServiceFailure</Code><Message>told to fail</Message></Error></ErrorResponse>", http.StatusInternalServerError)
}

func (f *faults) count(action string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen[action]
}

func (f *faults) fail(kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kind = kind
}

// cloud is AWS without account's rate limits, which would make properties wait.
type cloud struct {
	url  string
	keys map[string]awssim.Credentials // by role
}

func (c *cloud) Config(t account.Target, region string) aws.Config {
	key := c.keys[t.RoleARN]
	return aws.Config{
		Region: region, BaseEndpoint: aws.String(c.url), RetryMaxAttempts: 1, HTTPClient: account.Connections(nil),
		Credentials: credentials.NewStaticCredentialsProvider(key.AccessKeyID, key.SecretAccessKey, key.SessionToken),
	}
}

func (*cloud) Region() string { return region }

// world is an AWS with one API behind a gateway, and a Lender.
type world struct {
	t       testing.TB
	clock   *clock
	sim     *awssim.Sim
	faults  *faults
	aws     *cloud
	gateway *gateway.Gateway
	estate  *estate.Snapshot
	lender  *Lender
	i       *access.Integration
	// policy is the resource policy of the API; empty: none.
	policy string
}

// knows lets the gateway know the sessions of the simulated AWS.
type knows struct{ sim *awssim.Sim }

func (k knows) Lookup(id string) (*gateway.Principal, error) {
	c, ok := k.sim.Caller(id)
	if !ok {
		return nil, nil //nolint:nilnil // there is no such key
	}
	who, err := iam.ParsePrincipal(c.Principal.ARN)
	if err != nil {
		return nil, err
	}
	return &gateway.Principal{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken, Expires: c.Expires,
		Principal: who, UserID: c.Principal.ID, Policies: c.Policies, Context: c.Context,
	}, nil
}

// backend answers the number of the route that called it.
type backend struct{}

func (backend) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain"}}, Request: r,
		Body: io.NopCloser(strings.NewReader(strings.TrimPrefix(r.URL.Path, "/"))),
	}, nil
}

// orders are the routes of the API that most tests lend.
var orders = []estate.Route{
	{Method: "GET", Path: "/orders", Authorization: authIAM},
	{Method: "POST", Path: "/orders", Authorization: authIAM},
	{Method: "GET", Path: "/orders/{id}", Authorization: authIAM},
	{Method: "GET", Path: "/orders/mine", Authorization: authIAM},
	{Method: "GET", Path: "/orders/{id}/items", Authorization: authIAM},
	{Method: "GET", Path: "/health", Authorization: "NONE"},
}

func newWorld(tb testing.TB, kind transaction.APIType, routes []estate.Route) *world {
	tb.Helper()
	w := &world{t: tb, clock: &clock{now: time.Now().Truncate(time.Second).Add(300 * time.Millisecond)}}
	w.sim = awssim.New(awssim.Options{Clock: w.clock.Now})
	w.faults = &faults{next: w.sim.Handler(), seen: map[string]int{}}
	server := httptest.NewServer(w.faults)
	tb.Cleanup(server.Close)
	w.sim.Account(hub).AddRole(awssim.Role{Name: "Gatehouse", Allow: []string{"sts:AssumeRole", "sts:SetSourceIdentity"}, TrustedAccounts: []string{hub}, MaxSession: 12 * time.Hour})
	own := w.sim.Account(owner)
	own.AddRole(awssim.Role{Name: "api-invoker", Inline: map[string]string{"InvokeApi": invokes}, TrustedPrincipals: []string{hubARN}, ExternalID: "x-lend", PermissionsBoundary: boundary})
	own.AddRole(awssim.Role{Name: "GatehouseLender", TrustedPrincipals: []string{hubARN}, ExternalID: "x-lend", MaxSession: 12 * time.Hour, Allow: []string{
		"iam:GetRole", "iam:ListRolePolicies", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:PutRolePolicy", "iam:DeleteRolePolicy",
	}})
	w.aws = &cloud{url: server.URL, keys: map[string]awssim.Credentials{
		"": w.sim.Account(hub).Session("Gatehouse", "gatehouse", 12*time.Hour),
	}}
	w.serve(kind, routes)
	w.lender = w.newLender()
	w.i = &access.Integration{Name: "orders", Type: Type, Config: map[string]string{
		keyAccount: owner, keyRegion: region, keyAPI: apiOne, keyRole: invokerARN, keyControl: controlARN, keyExternalID: "x-lend",
	}}
	return w
}

// newLender is another process of Gatehouse.
func (w *world) newLender() *Lender {
	l, err := New(Options{
		AWS: w.aws, Clock: w.clock.Now, Settle: 3 * time.Second, VendBurst: 1000,
		Estate: func(context.Context) (*estate.Snapshot, error) { return w.estate, nil },
	})
	if err != nil {
		w.t.Fatal(err)
	}
	l.sleep = func(ctx context.Context, d time.Duration) error {
		w.clock.Advance(d)
		return ctx.Err()
	}
	return l
}

// serve makes the API, as the estate and as the gateway know it.
func (w *world) serve(kind transaction.APIType, routes []estate.Route) {
	w.t.Helper()
	a := estate.API{ID: apiOne, Name: "orders", Type: kind, Routes: routes, Stages: []estate.Stage{{Name: "prod"}, {Name: "dev"}}, Tags: map[string]string{"team": "shop"}}
	w.estate = &estate.Snapshot{Accounts: []estate.Account{{ID: owner, Regions: []estate.Region{{Name: region, APIs: []estate.API{a}}}}}}
	g := gateway.API{ID: apiOne, Name: "orders", Type: string(kind), Account: owner, Region: region, Stages: []gateway.Stage{{Name: "prod"}, {Name: "dev"}}}
	for n, r := range routes {
		method := r.Method
		if r.Path == defaultRoute {
			method = ""
		}
		g.Routes = append(g.Routes, gateway.Route{
			Method: method, Path: r.Path, Authorization: r.Authorization,
			Integration: gateway.Integration{Type: "HTTP_PROXY", Method: "ANY", URI: fmt.Sprintf("http://backend/%d", n)},
		})
	}
	if w.policy != "" {
		g.Policy = &gateway.PolicyText{JSON: []byte(w.policy)}
	}
	var err error
	if w.gateway, err = gateway.New(&gateway.Config{APIs: []gateway.API{g}}, gateway.Options{Credentials: knows{w.sim}, Transport: backend{}, Now: w.clock.Now}); err != nil {
		w.t.Fatalf("the gateway with %+v: %v", routes, err)
	}
}

// call calls the API and returns which route answered; -1: none did, or it was refused.
func (w *world) call(keys access.Credentials, method, path string) int {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, "https://"+apiOne+".execute-api."+region+".amazonaws.com"+path, http.NoBody)
	r.Host = apiOne + ".execute-api." + region + ".amazonaws.com"
	signer := sigv4.Signer{
		Credentials: sigv4.Credentials{AccessKeyID: keys.AccessKeyID, SecretAccessKey: keys.SecretAccessKey, SessionToken: keys.SessionToken},
		Service:     "execute-api", Region: region,
	}
	if _, err := signer.Sign(r, w.clock.Now()); err != nil {
		w.t.Fatal(err)
	}
	out := httptest.NewRecorder()
	w.gateway.ServeHTTP(out, r)
	if out.Code != http.StatusOK {
		if out.Code != http.StatusForbidden && out.Code != http.StatusNotFound {
			w.t.Fatalf("%s %s: %d %s", method, path, out.Code, out.Body)
		}
		return -1
	}
	n := -1
	if _, err := fmt.Sscan(out.Body.String(), &n); err != nil {
		w.t.Fatalf("%s %s: %q: %v", method, path, out.Body, err)
	}
	return n
}

func (w *world) wantCall(keys access.Credentials, method, path string, allowed bool) {
	w.t.Helper()
	if got := w.call(keys, method, path) >= 0; got != allowed {
		w.t.Errorf("%s %s is allowed: %v, want %v", method, path, got, allowed)
	}
}

func person(name string) flow.Person { return flow.Person{ID: name + "@example.com", Name: name} }

// lend is a holding of a route, a stage or the API.
func (w *world) lend(grant string, p flow.Person, id string, last time.Duration) access.Holding {
	kind, _, _ := strings.Cut(id, "/")
	permission := permissionInvoke
	if strings.HasSuffix(id, routeConnections) {
		permission = permissionManage
	}
	return access.Holding{
		Grant: grant, Person: p, Expires: w.clock.Now().Add(last),
		Item: flow.Item{Permission: permission, Resource: flow.Resource{Integration: "orders", Type: "apigw-" + kind, ID: id}},
	}
}

func (w *world) vend(l *Lender, p flow.Person, holdings ...access.Holding) access.Credentials {
	w.t.Helper()
	out, err := l.Credentials(w.t.Context(), w.i, p, holdings)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

// object is a right as the engine holds it between two looks.
type object struct {
	w          *world
	l          *Lender
	key        string
	generation int64
	kept       []byte
	notes      []string
}

func (w *world) object(l *Lender, h access.Holding) *object {
	w.t.Helper()
	key, err := l.Object(w.i, h.Person, h.Item)
	if err != nil {
		w.t.Fatal(err)
	}
	return &object{w: w, l: l, key: key}
}

// apply applies until nothing is pending.
func (o *object) apply(holdings ...access.Holding) {
	o.w.t.Helper()
	o.generation++
	for range 20 {
		got, err := o.l.Apply(o.w.t.Context(), o.w.i, access.Wanted{Key: o.key, Generation: o.generation, Holdings: holdings, Kept: o.kept})
		if err != nil {
			o.w.t.Fatal(err)
		}
		o.kept, o.notes = got.Kept, append(o.notes, got.Note)
		if got.Pending == 0 {
			return
		}
		o.w.clock.Advance(got.Pending)
	}
	o.w.t.Fatal("it stays pending")
}
