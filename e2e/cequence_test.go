package e2e

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/awssim"
)

// The platform's client, as its administrator made it.
const (
	platformClient = "gatehouse-client"
	platformSecret = "the-platform-secret-of-a-test"
)

// platform is a protection platform that checks tokens and payloads strictly and
// has a bad day: tokens live for two seconds, the first batch is answered 503,
// the second 429.
type platform struct {
	*httptest.Server

	mu       sync.Mutex
	tokens   map[string]time.Time // until when each may be used
	posts    int
	faults   []string                  // what no client should do
	calls    map[string]map[string]any // by id
	repeated int
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{tokens: map[string]time.Time{}, calls: map[string]map[string]any{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /auth/token", p.token)
	mux.HandleFunc("POST /edge/transactions", p.edge)
	mux.HandleFunc("/", func(_ http.ResponseWriter, r *http.Request) { p.fault("%s %s", r.Method, r.URL.Path) })
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

func (p *platform) fault(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = append(p.faults, fmt.Sprintf(format, args...))
}

func (p *platform) token(w http.ResponseWriter, r *http.Request) {
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if id != platformClient || secret != platformSecret || r.PostFormValue("grant_type") != "client_credentials" || r.URL.RawQuery != "" {
		p.fault("token asked for with client %q, grant %q, query %q", id, r.PostFormValue("grant_type"), r.URL.RawQuery)
		http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	token := fmt.Sprintf("token-%d", len(p.tokens))
	p.tokens[token] = time.Now().Add(2 * time.Second)
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":1800}`, token) // longer than it lives
}

func (p *platform) edge(w http.ResponseWriter, r *http.Request) {
	bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	p.mu.Lock()
	until := p.tokens[bearer]
	p.mu.Unlock()
	if !ok || time.Now().After(until) {
		http.Error(w, `{"error":"invalid_token"}`, http.StatusUnauthorized)
		return
	}
	p.mu.Lock()
	p.posts++
	n := p.posts
	p.mu.Unlock()
	switch n {
	case 1:
		http.Error(w, "down", http.StatusServiceUnavailable)
		return
	case 2:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "slowly", http.StatusTooManyRequests)
		return
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "application/json" || r.Header.Get("Content-Encoding") != "gzip" {
		p.fault("content type %q, encoding %q", r.Header.Get("Content-Type"), r.Header.Get("Content-Encoding"))
	}
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		p.fault("gzip: %v", err)
		return
	}
	body, err := io.ReadAll(io.LimitReader(z, 16<<20))
	if err != nil {
		p.fault("gzip: %v", err)
		return
	}
	var batch []map[string]any
	if err := json.Unmarshal(body, &batch); err != nil || len(batch) == 0 {
		p.fault("a batch of no calls (%v): %.200s", err, body)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range batch {
		id, _ := c["id"].(string)
		if p.calls[id] != nil {
			p.repeated++
		}
		p.calls[id] = c
	}
	w.WriteHeader(http.StatusAccepted)
}

// byPath gives the calls that the platform has, by path and query.
func (p *platform) byPath() map[string]map[string]any {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := map[string]map[string]any{}
	for _, c := range p.calls {
		uri, _ := c["uri-query-fragment"].(string)
		m[uri] = c
	}
	return m
}

const accessFormatOfHTTP = `{"requestId":"$context.requestId","requestTimeEpoch":"$context.requestTimeEpoch","accountId":"$context.accountId","apiId":"$context.apiId","stage":"$context.stage","ip":"$context.identity.sourceIp","domainName":"$context.domainName","protocol":"$context.protocol","httpMethod":"$context.httpMethod","path":"$context.path","routeKey":"$context.routeKey","status":"$context.status"}`

// cequenceWorld is one account with a REST and an HTTP API, as the source has it.
func cequenceWorld(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, awssim.Options{})
	account := w.sim.Account(apiAccount)
	account.AddRole(awssim.Role{Name: "Lambda", Allow: []string{"logs:DescribeLogGroups", "logs:FilterLogEvents", "apigateway:GET", "account:ListRegions", "cloudwatch:GetMetricData"}})
	w.creds = account.Session("Lambda", "cequence", time.Hour)
	r := account.Region(region)
	r.AddRESTAPI(awssim.RESTAPI{
		ID: "rest123456", Name: "pets",
		Resources: []awssim.Resource{{Path: "/pets", Methods: []awssim.Method{{HTTPMethod: "POST"}}}},
		Stages:    []awssim.Stage{{Name: "prod", LoggingLevel: "INFO", DataTrace: true}},
	})
	r.AddHTTPAPI(awssim.API{
		ID: "http123456", Name: "shop", Routes: []awssim.Route{{Key: "GET /shop/{item}"}},
		Stages: []awssim.Stage{{Name: "$default", AccessLogARN: "arn:aws:logs:" + region + ":" + apiAccount + ":log-group:cequence-http-api-access-logs", AccessFormat: accessFormatOfHTTP}},
	})
	return w
}

// restCall writes the execution log of a call to the REST API.
func (w *world) restCall(n int, path, request, response, contentType string) {
	id := fmt.Sprintf("aaaaaaaa-0000-4000-8000-%012d", n)
	at := time.Now().UnixMilli()
	var events []awssim.LogEvent
	for i, text := range []string{
		"Extended Request Id: " + fmt.Sprintf("%011dHPcE=", n),
		"Starting execution for request: " + id,
		"HTTP Method: POST, Resource Path: " + path,
		"Method request headers: {Content-Type=application/json, Host=rest123456.execute-api.eu-west-1.amazonaws.com, X-Forwarded-For=203.0.113.7, Authorization=secret-of-a-caller}",
		"Method request body before transformations: " + request,
		"Method response body after transformations: " + response,
		"Method response headers: {Content-Type=" + contentType + "}",
		"Successfully completed execution",
		"Method completed with status: 200",
	} {
		events = append(events, awssim.LogEvent{Timestamp: at + int64(i), Message: "(" + id + ") " + text})
	}
	w.logs.Put("API-Gateway-Execution-Logs_rest123456/prod", "s", events...)
}

func (w *world) httpCall(n int, path string) {
	at := time.Now().UnixMilli()
	w.logs.Put("cequence-http-api-access-logs", "s", awssim.LogEvent{Timestamp: at, Message: fmt.Sprintf(
		`{"requestId":"http-%d","requestTimeEpoch":"%d","accountId":"%s","apiId":"http123456","stage":"$default","ip":"203.0.113.8","domainName":"http123456.execute-api.eu-west-1.amazonaws.com","protocol":"HTTP/1.1","httpMethod":"GET","path":"%s","routeKey":"GET /shop/{item}","status":"200"}`,
		n, at, apiAccount, path)})
}

// The Cequence source with Gatehouse in the place of its bundle: the .env file
// of the source and nothing else, against a platform that is strict.
func TestCequenceDeployment(t *testing.T) {
	t.Parallel()
	w, p := cequenceWorld(t), newPlatform(t)
	w.restCall(1, "/pets", `{"name":"Rex"}`, `{"id":7}`, "application/json")
	w.restCall(2, "/pets/cut", `{"name":"`+strings.Repeat("R", 970)+` [TRUNCATED]`, `{"id":8}`, "application/json")
	w.restCall(3, "/pets/style", `{}`, `body{}`, "text/css")
	w.restCall(4, "/pets/logo.png", `{}`, `{}`, "application/json")
	w.httpCall(1, "/shop/1")

	env := filepath.Join(t.TempDir(), "env")
	write := func(rest, http string) {
		t.Helper()
		text := fmt.Sprintf(`# as in the bundle's .env.example
cequence_client_id=%s
cequence_client_secret="%s"
cequence_auth_endpoint=%s/auth/token
cequence_edge_endpoint=%s/edge/transactions
cequence_aws_regions=%s
cequence_is_aws_organization_deployment=false
cequence_is_multi_account_deployment=false
cequence_deployment_type=terraform
cequence_log_level=info
cequence_auto_install_dependencies=true
cequence_auto_uninstall_dependencies=false
cequence_rest_api_enabled=%s
cequence_http_api_enabled=%s
cequence_auto_discover_apis=true
is_existing_http_log_group=true
cequence_http_log_group_name=cequence-http-api-access-logs
cequence_tf_auto_approve=false
cequence_res_content_types=application/json,text/plain
cequence_static_file_extensions=png,css,js
`, platformClient, platformSecret, p.URL, p.URL, region, rest, http)
		if err := os.WriteFile(env, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("true", "true")
	state := filepath.Join(t.TempDir(), "state.db")
	run := func() *process {
		return start(t, w.env(append(quick(), "GATEHOUSE_STATE="+state)...), "collect", "--env-file", env)
	}
	c := run()
	eventually(t, 60*time.Second, func() error {
		if n := len(p.byPath()); n < 3 {
			return fmt.Errorf("the platform has %d calls\n%s", n, tail(c.err.String()))
		}
		return nil
	})
	// The tokens of the platform live shorter than it says.
	time.Sleep(2100 * time.Millisecond)
	w.restCall(5, "/pets/later", `{}`, `{}`, "application/json")
	eventually(t, 60*time.Second, func() error {
		if p.byPath()["/pets/later"] == nil {
			return fmt.Errorf("the call after the token's end is not there\n%s", tail(c.err.String()))
		}
		return nil
	})
	c.signal(t, os.Interrupt)
	if code := c.exit(t, 30*time.Second); code != 0 {
		t.Fatalf("exit %d\n%s", code, tail(c.err.String()))
	}
	for _, secret := range []string{platformSecret, "token-0", "token-1", "secret-of-a-caller"} {
		if strings.Contains(c.out.String()+c.err.String(), secret) {
			t.Errorf("%s is printed", secret)
		}
	}

	got := p.byPath()
	if len(got) != 4 || got["/pets/style"] != nil || got["/pets/logo.png"] != nil {
		t.Errorf("the platform has %d calls, with style sheet or picture: %v %v", len(got), got["/pets/style"], got["/pets/logo.png"])
	}
	whole := got["/pets"]
	if headers, _ := whole["request-headers"].(map[string]any); whole["request-body"] != `{"name":"Rex"}` || whole["response-body"] != `{"id":7}` ||
		headers["cq-discovery-only"] != nil || headers["authorization"] != "[redacted]" {
		t.Errorf("a whole call: %v", whole)
	}
	if cut := got["/pets/cut"]; cut["request-body"] != `{ "cq_body_truncated": "true" }` || cut["response-body"] != `{"id":8}` {
		t.Errorf("a call that was cut: %v", cut)
	}
	shop := got["/shop/1"]
	if shop == nil {
		t.Fatal("the call to the HTTP API is missing")
	}
	delete(shop, "id")
	delete(shop, "requestTimeEpoch")
	if d := cmp.Diff(map[string]any{
		"requestId": "http-1", "accountId": apiAccount, "stage": "$default", "instance_id": "http123456", "ip": "203.0.113.8",
		"host": "http123456.execute-api.eu-west-1.amazonaws.com", "http-version": "HTTP/1.1", "http-method": "GET",
		"uri-query-fragment": "/shop/1", "status-code": float64(200), "request-headers": map[string]any{"cq-discovery-only": "true"},
	}, shop); d != "" {
		t.Errorf("the call to the HTTP API (-want +got):\n%s", d)
	}

	// REST switched off: its log groups are not read any more.
	write("false", "true")
	w.restCall(6, "/pets/off", `{}`, `{}`, "application/json")
	w.httpCall(2, "/shop/2")
	c = run()
	eventually(t, 60*time.Second, func() error {
		if p.byPath()["/shop/2"] == nil {
			return fmt.Errorf("the HTTP API is not read\n%s", tail(c.err.String()))
		}
		return nil
	})
	c.signal(t, os.Interrupt)
	c.exit(t, 30*time.Second)
	if p.byPath()["/pets/off"] != nil {
		t.Error("a REST API was read although it is switched off")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.faults) > 0 || p.repeated > 0 {
		t.Errorf("%d calls came twice; the platform complains: %s", p.repeated, strings.Join(p.faults, "\n"))
	}
}
