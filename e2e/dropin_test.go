package e2e

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/awssim"
)

const edgeSecret = "pl4tform-s3cret"

// edge stands in for a protection platform: a token endpoint whose tokens
// end soon, and an edge endpoint that takes nothing but what is documented.
type edge struct {
	t      *testing.T
	server *httptest.Server

	mu      sync.Mutex
	tokens  map[string]time.Time // until
	issued  int
	batches int
	calls   map[string]map[string]string // by requestId: ids and how the call was sent
	poison  string                       // part of a path that is refused
	refused int
}

func newEdge(t *testing.T) *edge {
	t.Helper()
	p := &edge{t: t, tokens: map[string]time.Time{}, calls: map[string]map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /auth/token", p.token)
	mux.HandleFunc("POST /edge", p.traffic)
	p.server = httptest.NewServer(mux)
	t.Cleanup(p.server.Close)
	return p
}

func (p *edge) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	id, secret, _ := r.BasicAuth()
	if id != "watcher" || secret != edgeSecret || r.FormValue("grant_type") != "client_credentials" {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":"invalid_client"}`)
		return
	}
	p.issued++
	token := fmt.Sprintf("platform-token-%d", p.issued)
	p.tokens[token] = time.Now().Add(2 * time.Second)
	fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":2}`, token)
}

// edgeFields are those that a call to a REST API may have.
var edgeFields = map[string]bool{
	"id": true, "requestTimeEpoch": true, "requestId": true, "accountId": true, "stage": true, "instance_id": true, "ip": true, "host": true,
	"http-version": true, "http-method": true, "uri-query-fragment": true, "status-code": true,
	"request-headers": true, "request-body": true, "response-headers": true, "response-body": true,
}

func (p *edge) traffic(w http.ResponseWriter, r *http.Request) {
	z, err := gzip.NewReader(r.Body)
	if err != nil {
		p.t.Errorf("gzip: %v", err)
		return
	}
	b, err := io.ReadAll(z)
	if err != nil {
		return // killed in the middle
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if until, ok := p.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]; !ok || time.Now().After(until) {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var items []map[string]any
	if err := json.Unmarshal(b, &items); err != nil || r.Header.Get("Content-Type") != "application/json" {
		p.t.Errorf("body: %v", err)
		return
	}
	for _, item := range items {
		if uri := fmt.Sprint(item["uri-query-fragment"]); p.poison != "" && strings.Contains(uri, p.poison) {
			p.refused++
			http.Error(w, "the call breaks the schema", http.StatusUnprocessableEntity)
			return
		}
	}
	p.batches++
	for _, item := range items {
		for name := range item {
			if !edgeFields[name] {
				p.t.Errorf("a call has a field %q", name)
			}
		}
		id, request := fmt.Sprint(item["id"]), fmt.Sprint(item["requestId"])
		if p.calls[request] == nil {
			p.calls[request] = map[string]string{}
		}
		text, err := json.Marshal(item)
		if err != nil {
			p.t.Error(err)
		}
		p.calls[request][id] = string(text)
	}
}

func (p *edge) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.calls)
}

// With an api-config.json, every call of the APIs that it lists reaches the
// platform, through tokens that end, kills, and a call that it refuses; that one
// is replayed when the platform was mended.
func TestListedAPIsReachThePlatformThroughKills(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	p := newEdge(t)
	const calls = 3000
	end := time.Now().Add(-30 * time.Second)
	ids := w.fill(calls, 3, end.Add(-3*time.Minute), end, 5)
	listed := 0
	for n := range calls {
		if n%3 != 2 { // the third API is not listed
			listed++
		}
	}
	// n=1501 is a call of the second API.
	p.poison = "n=1501"

	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	apis := write("api-config.json", `{"region":"`+region+`","rest_apis":[{"id":"a1b2c3d4e0","stages":["prod"]},{"id":"a1b2c3d4e1"}]}`)
	envFile := write(".env", `# the integration's own file
cequence_client_id=watcher
cequence_client_secret='`+edgeSecret+`'
cequence_auth_endpoint="`+p.server.URL+`/auth/token"
cequence_edge_endpoint=`+p.server.URL+`/edge?batch_count=50
cequence_aws_regions=`+region+`
cequence_is_aws_organization_deployment=false
cequence_is_multi_account_deployment=false
cequence_deployment_type=terraform
cequence_log_level=trace
cequence_auto_install_dependencies=true
cequence_auto_uninstall_dependencies=false
cequence_rest_api_enabled=true
cequence_http_api_enabled=true
cequence_auto_discover_apis=false
is_existing_http_log_group=false
cequence_http_log_group_name=cequence-http-api-access-logs
cequence_tf_auto_approve=false
cequence_res_content_types=application/json,application/xml
cequence_static_file_extensions=.css,.js
`)
	env := w.env(append(quick(), "GATEHOUSE_STATE=sqlite:"+dir+"/state.db", "GATEHOUSE_EXTERNAL_ID="+externalID,
		"GATEHOUSE_START_FROM=10m", "GATEHOUSE_API_CONFIG="+apis)...)
	args := []string{"collect", "--env-file", envFile, "--role-arn", w.readerARN()}
	var said strings.Builder
	for range 3 {
		run := start(t, env, args...)
		before := p.count()
		for until := time.Now().Add(20 * time.Second); p.count() < min(before+200, listed-1) && time.Now().Before(until); {
			time.Sleep(5 * time.Millisecond)
		}
		run.signal(t, syscall.SIGKILL)
		run.exit(t, 10*time.Second)
		said.WriteString(run.err.String())
	}
	run := start(t, env, args...)
	eventually(t, 60*time.Second, func() error {
		if n := p.count(); n < listed-1 {
			return fmt.Errorf("%d of %d calls\n%s", n, listed-1, tail(run.err.String()))
		}
		return nil
	})

	// The refused call is a dead letter, once.
	deadLetters := func(args ...string) string {
		t.Helper()
		c := start(t, env, append([]string{"deadletter"}, args...)...)
		if code := c.exit(t, 60*time.Second); code != 0 {
			t.Fatalf("deadletter %v: status %d\n%s", args, code, c.err.String())
		}
		return c.out.String()
	}
	var letters []struct {
		ID     string `json:"id"`
		Reason string `json:"reason"`
	}
	eventually(t, 20*time.Second, func() error {
		if err := json.Unmarshal([]byte(deadLetters("list", "-o", "json")), &letters); err != nil {
			return err
		}
		if len(letters) != 1 || letters[0].Reason != "refused" {
			return fmt.Errorf("dead letters %+v", letters)
		}
		return nil
	})
	if shown := deadLetters("show", letters[0].ID); !strings.Contains(shown, "breaks the schema") || !strings.Contains(shown, `"request_id"`) {
		t.Errorf("show says\n%s", shown)
	}

	// Mended, and replayed by the collector that runs.
	p.mu.Lock()
	p.poison = ""
	p.mu.Unlock()
	if out := deadLetters("replay", "--all", "--wait", "30s"); !strings.Contains(out, "delivered 1, refused again 0, waiting 0") {
		t.Errorf("replay says %q", out)
	}
	run.signal(t, syscall.SIGTERM)
	if code := run.exit(t, 30*time.Second); code != 0 {
		t.Errorf("status %d after SIGTERM\n%s", code, tail(run.err.String()))
	}
	said.WriteString(run.err.String())

	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.calls) != listed {
		t.Errorf("%d calls at the platform, want %d", len(p.calls), listed)
	}
	for request, sent := range p.calls {
		if len(sent) != 1 || !ids[request] {
			t.Fatalf("request %s was sent under %d ids", request, len(sent))
		}
		for _, text := range sent {
			if strings.Contains(text, "a1b2c3d4e2") || !strings.Contains(text, `"request-body"`) || strings.Contains(text, "cq-discovery-only") {
				t.Fatalf("sent %s", text)
			}
		}
	}
	if p.issued < 2 {
		t.Errorf("%d tokens: none ended", p.issued)
	}
	for _, secret := range []string{edgeSecret, "platform-token-"} {
		if strings.Contains(said.String(), secret) {
			t.Errorf("a secret was printed: %s", secret)
		}
	}
	for _, name := range []string{"cequence_tf_auto_approve", "is_existing_http_log_group", "TRACE"} {
		if !strings.Contains(said.String(), name) {
			t.Errorf("the log says nothing of %s", name)
		}
	}
}

// Without a collector the command itself replays, through the sinks that it is
// given.
func TestDeadLettersAreReplayedByTheCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	p := newEdge(t)
	p.poison = "/items/"
	end := time.Now().Add(-30 * time.Second)
	ids := w.fill(20, 1, end.Add(-time.Minute), end, 6)
	env := w.env(append(quick(), "GATEHOUSE_STATE=sqlite:"+t.TempDir()+"/state.db", "GATEHOUSE_EXTERNAL_ID="+externalID,
		"GATEHOUSE_HTTPS_TOKEN_URL="+p.server.URL+"/auth/token", "GATEHOUSE_HTTPS_CLIENT_ID=watcher", "GATEHOUSE_HTTPS_CLIENT_SECRET="+edgeSecret,
		"GATEHOUSE_DEAD_LETTER_MAX_COUNT=12")...)
	sink := p.server.URL + "/edge?format=cequence"
	run := start(t, env, "collect", "--role-arn", w.readerARN(), "--sink", sink)

	// Everything is refused: the dead letters fill up, and collecting waits.
	eventually(t, 30*time.Second, func() error {
		if !strings.Contains(run.err.String(), "dead letters are full") {
			return fmt.Errorf("the log does not say that they are full\n%s", tail(run.err.String()))
		}
		return nil
	})
	run.signal(t, syscall.SIGKILL)
	run.exit(t, 10*time.Second)
	do := func(want int, args ...string) string {
		t.Helper()
		c := start(t, env, append([]string{"deadletter"}, args...)...)
		if code := c.exit(t, 60*time.Second); code != want {
			t.Fatalf("deadletter %v: status %d\n%s%s", args, code, c.out.String(), c.err.String())
		}
		return c.out.String() + c.err.String()
	}
	if out := do(2, "replay"); !strings.Contains(out, "--all") {
		t.Errorf("replay without ids says %q", out)
	}
	if out := do(1, "replay", "--all", "--wait", "2s"); !strings.Contains(out, "waiting 12") || !strings.Contains(out, "--sink") {
		t.Errorf("replay without a sink says %q", out)
	}
	if out := do(1, "replay", "--all", "--sink", sink); !strings.Contains(out, "refused again 12") {
		t.Errorf("replay says %q", out)
	}
	p.mu.Lock()
	p.poison = ""
	p.mu.Unlock()
	if out := do(0, "replay", "--all", "--sink", sink); !strings.Contains(out, "delivered 12") {
		t.Errorf("replay says %q", out)
	}
	run = start(t, env, "collect", "--role-arn", w.readerARN(), "--sink", sink)
	eventually(t, 30*time.Second, func() error {
		if n := p.count(); n != len(ids) {
			return fmt.Errorf("%d of %d calls\n%s", n, len(ids), tail(run.err.String()))
		}
		return nil
	})
	if out := do(0, "list"); !strings.Contains(out, "no dead letters") {
		t.Errorf("list says %q", out)
	}
	for request, sent := range p.calls {
		if len(sent) != 1 {
			t.Errorf("request %s was sent under %d ids", request, len(sent))
		}
	}
}
