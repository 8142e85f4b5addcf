package e2e

import (
	"errors"
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

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/api"
)

// The people of the stories about lending.
const (
	alice = "alice@example.com" // a developer, who asks
	bob   = "bob@example.com"   // another one
	olga  = "olga@example.com"  // an owner, who agrees
	ada   = "ada@example.com"   // administers
)

// onTime is how soon access has to be gone after its time.
const onTime = time.Second

// webhookSecret signs notices.
const webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// lender is a Gatehouse that lends, as a process that is killed and started again, with
// what it told people.
type lender struct {
	w       *world
	url     string
	state   string // of the settings
	dir     string
	idp     *idp
	process *process
	started time.Time // when it last answered after a start
	every   []*process
	env     []string // of the process, beside what reaches AWS
	hook    string   // where notices go

	mu      sync.Mutex
	notices strings.Builder
}

// newLender starts one. More are further lines of settings; env is of its process.
func newLender(t *testing.T, w *world, more string, env ...string) *lender {
	t.Helper()
	return newLenderOn(t, w, "", more, env...)
}

// newLenderOn is newLender with a state; empty: a file of its own.
func newLenderOn(t *testing.T, w *world, state, more string, env ...string) *lender {
	t.Helper()
	l := &lender{w: w, state: state, env: env, dir: t.TempDir(), idp: newIDP(t, map[string][]string{alice: {"dev"}, bob: {"dev"}, olga: {"owners"}, ada: {"admins"}})}
	if l.state == "" {
		l.state = "sqlite:" + filepath.Join(l.dir, "gatehouse.db")
	}
	l.url = "http://" + freeAddress(t)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.notices.Write(append(b, '\n'))
	}))
	t.Cleanup(hook.Close)
	l.hook = hook.URL
	l.write(t, "client-secret", idpSecret)
	l.write(t, "webhook-secret", webhookSecret)
	l.write(t, "gatehouse.yaml", l.settings(l.url)+more)
	l.start(t)
	return l
}

func (l *lender) settings(url string) string {
	return fmt.Sprintf(`state: %s
listen: %s
external_id: %s
oidc_issuer: %s
oidc_client_id: %s
oidc_client_secret_file: %s
role_admins: [group:admins]
role_approvers: [group:owners]
role_requesters: ["group:dev"]
notify_webhooks: {test: %s}
notify_webhook_secret_files: {test: %s}
roles:
  - arn: %s
    regions: [%s]
`, l.state, strings.TrimPrefix(url, "http://"), externalID, l.idp.url, idpClient, l.file("client-secret"),
		strings.Replace(l.hook, "127.0.0.1", "localhost", 1), l.file("webhook-secret"), l.w.readerARN(), region)
}

func (l *lender) file(name string) string { return filepath.Join(l.dir, name) }

func (l *lender) write(t *testing.T, name, text string) string {
	t.Helper()
	if err := os.WriteFile(l.file(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return l.file(name)
}

// start starts the server and waits until it answers.
func (l *lender) start(t *testing.T) {
	t.Helper()
	l.process = l.another(t, "gatehouse.yaml", l.url)
	l.started = time.Now()
}

// another starts a server with a settings file and returns once it answers.
func (l *lender) another(t *testing.T, settings, url string) *process {
	t.Helper()
	p := start(t, l.w.env(l.env...), "serve", "--config", l.file(settings), "--roles", "access,web")
	l.every = append(l.every, p)
	deadline := time.Now().Add(2 * time.Minute)
	for {
		res, err := http.Get(url + "/healthz")
		if err == nil {
			_ = res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return p
			}
			err = errors.New(res.Status)
		}
		select {
		case <-p.done:
			t.Fatalf("the server ended\n%s", tail(p.err.String()))
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server does not answer: %v\n%s", err, tail(p.err.String()))
		}
	}
}

// kill is a crash.
func (l *lender) kill(t *testing.T) {
	t.Helper()
	l.process.signal(t, syscall.SIGKILL)
	l.process.exit(t, time.Minute)
}

// join signs somebody in.
func (l *lender) join(t *testing.T, name string, env ...string) *member {
	t.Helper()
	return signIn(t, l.url, name, t.TempDir(), env...)
}

// configure applies integrations, connects them and applies flows, as an administrator
// does; it returns once nothing stands in the way of lending.
func (l *lender) configure(t *testing.T, admin *member, integrations, flows string, names ...string) {
	t.Helper()
	file := l.write(t, "integrations.yaml", integrations)
	// What the check finds is mended by connecting.
	if out, complaint, err := admin.try(t, "integration", "apply", file, "--yes"); err != nil && !strings.Contains(complaint, "nothing is lent from") {
		t.Fatalf("integration apply: %v\n%s%s", err, out, complaint)
	}
	for _, name := range names {
		if out, complaint, err := admin.try(t, "integration", "connect", name, "--yes"); err != nil && !strings.Contains(complaint, "does not show it yet") && !strings.Contains(complaint, "nothing to connect") {
			t.Fatalf("integration connect %s: %v\n%s%s", name, err, out, complaint)
		}
		eventually(t, 2*time.Minute, func() error {
			if out, complaint, err := admin.try(t, "integration", "check", name); err != nil {
				return fmt.Errorf("checking %s: %w\n%s%s", name, err, out, complaint)
			}
			return nil
		})
		admin.do(t, "integration", "discover", name)
	}
	admin.do(t, "flow", "apply", l.write(t, "flows.yaml", flows), "--yes")
}

// borrow asks for something and returns the request.
func (m *member) borrow(t *testing.T, integration, resource, permission, duration string) *api.AccessRequest {
	t.Helper()
	var out struct{ Request *api.AccessRequest }
	m.ask(t, &out, "access", "request", "--no-wait", "-i", integration, "-r", resource, "-p", permission, "-d", duration, "-j", "INC-7: the queue is stuck")
	return out.Request
}

// approve agrees to a request and returns its grant.
func (m *member) approve(t *testing.T, r *api.AccessRequest) string {
	t.Helper()
	var out []api.AccessRequest
	m.ask(t, &out, "access", "approve", r.ID, "--reason", "go on")
	if len(out) != 1 || out[0].State != access.Approved || out[0].Grant == "" {
		t.Fatalf("after the approval: %+v", out)
	}
	return out[0].Grant
}

// grant is a grant as the person sees it.
func (m *member) grant(t *testing.T, id string) *api.AccessGrant {
	t.Helper()
	var out struct{ Grant *api.AccessGrant }
	m.ask(t, &out, "access", "show", id)
	return out.Grant
}

// until waits for a grant to come into a state.
func (m *member) until(t *testing.T, id string, state access.GrantState) *api.AccessGrant {
	t.Helper()
	var g *api.AccessGrant
	eventually(t, 3*time.Minute, func() error {
		if g = m.grant(t, id); g.State != state {
			return fmt.Errorf("grant %s is %s: %s", id, g.State, g.Trouble)
		}
		return nil
	})
	return g
}

// verified fails the test unless the audit log is whole and has these actions.
func (l *lender) verified(t *testing.T, actions ...string) {
	t.Helper()
	p := start(t, nil, "audit", "verify", "--state", l.state)
	if code := p.exit(t, time.Minute); code != 0 {
		t.Errorf("audit verify exits with %d\n%s%s", code, p.out.String(), p.err.String())
	}
	p = start(t, nil, "audit", "list", "--state", l.state, "--limit", "10000", "-o", "json")
	if code := p.exit(t, time.Minute); code != 0 {
		t.Errorf("audit list exits with %d\n%s", code, p.err.String())
	}
	for _, a := range actions {
		if !strings.Contains(p.out.String(), `"`+a+`"`) {
			t.Errorf("the audit log has no %s", a)
		}
	}
}

// keepsSecrets fails the test if a secret came out: into the log, a page, an answer of
// the API, a notice, what people's commands printed, or the state.
func (l *lender) keepsSecrets(t *testing.T, admin *member, more ...string) {
	t.Helper()
	marks := append([]string{
		idpSecret, webhookSecret, strings.TrimPrefix(webhookSecret, "whsec_"), l.w.creds.SecretAccessKey, l.w.creds.SessionToken,
		"k8s-aws-v1.", "X-Amz-Signature=", admin.token(t),
	}, more...)
	search := func(where, text string) {
		t.Helper()
		for _, m := range marks {
			if i := strings.Index(text, m); m != "" && i >= 0 {
				t.Errorf("%s has a secret that begins with %.6q: …%s…", where, m, text[max(0, i-80):i])
			}
		}
	}
	if pages := crawl(t, admin.web, l.url, search); pages < 20 {
		t.Errorf("only %d pages were looked at", pages)
	}
	for _, path := range []string{"/api/v1/access/requests", "/api/v1/access/grants", "/api/v1/access/integrations", "/api/v1/access/integrations/export", "/api/v1/audit", "/access", "/access/grants", "/access/integrations", "/access/flows"} {
		_, text := admin.page(t, path)
		search(path, text)
	}
	for _, p := range l.every {
		search("the log", p.err.String())
		search("standard output", p.out.String())
	}
	l.mu.Lock()
	search("a notice", l.notices.String())
	l.mu.Unlock()
	files, err := filepath.Glob(filepath.Join(l.dir, "gatehouse.db*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		search(filepath.Base(name), string(b))
	}
}

// told fails the test unless a notice of each kind came.
func (l *lender) told(t *testing.T, kinds ...string) {
	t.Helper()
	eventually(t, time.Minute, func() error {
		l.mu.Lock()
		defer l.mu.Unlock()
		for _, kind := range kinds {
			if !strings.Contains(l.notices.String(), `"type":"`+kind+`"`) {
				return fmt.Errorf("no notice %s came", kind)
			}
		}
		return nil
	})
}
