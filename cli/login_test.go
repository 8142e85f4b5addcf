package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/identity"
)

// gatehouse is a server with one person, who has a browser that is signed in.
type gatehouse struct {
	t       *testing.T
	srv     *httptest.Server
	guard   *identity.Guard
	browser *http.Client
	person  identity.Person
}

func newGatehouse(t *testing.T) *gatehouse {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("GATEHOUSE_SERVER", "")
	t.Setenv("GATEHOUSE_TOKEN", "")
	g := &gatehouse{t: t, person: identity.Person{ID: "p1", Name: "Ann", Email: "Ann@example.com", Role: identity.Requester}}
	var err error
	if g.guard, err = identity.New(identity.Options{People: []identity.Person{g.person}}); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/me", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(identity.FromContext(r.Context()))
	})
	mux.HandleFunc("POST /api/v1/sessions/revoke", func(w http.ResponseWriter, r *http.Request) {
		s, _ := identity.SessionFromContext(r.Context())
		if err := g.guard.EndSession(r.Context(), s.Person, s.Person.ID, s.Key); err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"ended":1}`)
	})
	mux.HandleFunc("GET /away", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
	})
	mux.HandleFunc("GET /broken", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = io.WriteString(w, `{"title":"Unprocessable Entity","status":422,"detail":"validation failed","errors":[{"message":"too \u001b[31mlong","location":"body.until"}]}`)
	})
	g.srv = httptest.NewServer(g.guard.Handler(mux))
	t.Cleanup(g.srv.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	g.browser = &http.Client{Jar: jar, Timeout: 10 * time.Second}
	g.open("GET", g.guard.PersonLink(strings.TrimPrefix(g.srv.URL, "http://"), g.person), nil)
	return g
}

// open is the browser; it returns the page and where it is to go on to.
func (g *gatehouse) open(method, address string, form url.Values) (page, next string) {
	g.t.Helper()
	if strings.HasPrefix(address, "/") {
		address = g.srv.URL + address
	}
	r, err := http.NewRequestWithContext(g.t.Context(), method, address, strings.NewReader(form.Encode()))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	res, err := g.browser.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	_, next, _ = strings.Cut(res.Header.Get("Refresh"), "url=")
	return string(b), next
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)

// formIn is what the form of a page carries.
func formIn(page string) url.Values {
	v := url.Values{}
	for _, m := range hidden.FindAllStringSubmatch(page, -1) {
		v.Set(m[1], m[2])
	}
	return v
}

// lines is a terminal that can be read while a command runs.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// find waits for what a command prints.
func (l *lines) find(t *testing.T, what *regexp.Regexp) string {
	t.Helper()
	for range 500 {
		if m := what.FindStringSubmatch(l.String()); m != nil {
			return m[1]
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("nothing like %s in:\n%s", what, l.String())
	return ""
}

// run runs a command; it has ended when the returned function returns.
func run(ctx context.Context, args ...string) (terminal *lines, wait func() int) {
	terminal = &lines{}
	status := make(chan int, 1)
	go func() {
		status <- Run(ctx, nil, Streams{In: strings.NewReader(""), Out: io.Discard, Err: terminal}, args)
	}()
	return terminal, func() int { return <-status }
}

func (g *gatehouse) whoami() (string, error) {
	g.t.Helper()
	c, err := newClient("")
	if err != nil {
		return "", err
	}
	var p identity.Person
	_, err = c.do(g.t.Context(), "GET", "/api/v1/me", nil, &p)
	return p.Name + " " + p.Via, err
}

func TestLogin(t *testing.T) {
	g := newGatehouse(t)
	terminal, wait := run(t.Context(), "login", "--server", g.srv.URL)
	address := terminal.find(t, regexp.MustCompile(`(http://\S+/login/cli\?\S+)`))
	page, _ := g.open("GET", address, nil)
	host, _ := os.Hostname()
	if !strings.Contains(page, host) || !strings.Contains(page, "Ann (Ann@example.com)") {
		t.Fatalf("the page to confirm is %s", page)
	}
	port := formIn(page).Get("port")
	for _, wrong := range []string{"/callback?code=x&state=y", "/callback?code=x", "/", "/favicon.ico"} {
		if p, _ := g.open("GET", "http://127.0.0.1:"+port+wrong, nil); strings.Contains(p, "is signed in") {
			t.Errorf("%s is taken: %s", wrong, p)
		}
	}
	page, next := g.open("POST", "/login/cli", formIn(page))
	if !strings.HasPrefix(next, "http://127.0.0.1:"+port+"/callback?code=") {
		t.Fatalf("after confirming: %q: %s", next, page)
	}
	if page, _ = g.open("GET", next, nil); !strings.Contains(page, "is signed in") {
		t.Errorf("the command line answers the browser %q", page)
	}
	if status := wait(); status != 0 || !strings.Contains(terminal.String(), "Signed in to "+g.srv.URL+" as Ann@example.com (requester) until") {
		t.Fatalf("login ends with %d: %s", status, terminal.String())
	}
	path, err := signInsFile()
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file of sessions: %v, %v", info, err)
	}
	b, err := os.ReadFile(path)
	if err != nil || !strings.Contains(string(b), `"gatehouse_`) {
		t.Errorf("the file of sessions holds %s, %v", b, err)
	}
	if got, err := g.whoami(); err != nil || got != "Ann cli" {
		t.Errorf("with the session: %q, %v", got, err)
	}
	// A used code is used, and the session's id is no browser's.
	res, err := http.Post(g.srv.URL+"/login/token", "application/json", strings.NewReader(`{"code":"`+mustQuery(t, next).Get("code")+`","verifier":"x"}`))
	if err != nil || res.StatusCode != http.StatusGone {
		t.Errorf("the code a second time: %v, %v", res, err)
	}
	terminal, wait = run(t.Context(), "logout")
	if status := wait(); status != 0 || !strings.Contains(terminal.String(), "Signed out") {
		t.Errorf("logout ends with %d: %s", status, terminal.String())
	}
	if b, err := os.ReadFile(path); err != nil || strings.Contains(string(b), "gatehouse_") {
		t.Errorf("after logout the file holds %s, %v", b, err)
	}
	if list, err := g.guard.Sessions(t.Context(), "p1"); err != nil || len(list) != 1 || list[0].Kind != identity.ViaWeb {
		t.Errorf("after logout the server has %+v, %v", list, err)
	}
	if _, wait = run(t.Context(), "logout", "--server", g.srv.URL); wait() != 1 {
		t.Error("a second logout ends well")
	}
}

func mustQuery(t *testing.T, address string) url.Values {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query()
}

func TestLoginWithACode(t *testing.T) {
	g := newGatehouse(t)
	terminal, wait := run(t.Context(), "login", "--server", g.srv.URL, "--device")
	code := terminal.find(t, regexp.MustCompile(`(?m)^  ([B-Z]{4}-[B-Z]{4})$`))
	page, _ := g.open("POST", "/login/device", url.Values{"code": {"BBBB-BBBB"}})
	if !strings.Contains(page, "No command line waits with this code") {
		t.Errorf("a wrong code: %s", page)
	}
	page, _ = g.open("POST", "/login/device", url.Values{"code": {strings.ToLower(code)}})
	host, _ := os.Hostname()
	if !strings.Contains(page, host) || !strings.Contains(page, "127.0.0.1") {
		t.Fatalf("the page to confirm is %s", page)
	}
	if page, _ = g.open("POST", "/login/device", formIn(page)); !strings.Contains(page, "is signed in") {
		t.Fatalf("after confirming: %s", page)
	}
	if status := wait(); status != 0 {
		t.Fatalf("login ends with %d: %s", status, terminal.String())
	}
	if got, err := g.whoami(); err != nil || got != "Ann cli" {
		t.Errorf("with the session: %q, %v", got, err)
	}
	if page, _ = g.open("POST", "/login/device", url.Values{"code": {code}, "yes": {"1"}}); !strings.Contains(page, "No command line waits") {
		t.Errorf("the code a second time: %s", page)
	}
}

func TestLoginThatIsStopped(t *testing.T) {
	g := newGatehouse(t)
	for _, args := range [][]string{{}, {"--device"}} {
		ctx, cancel := context.WithCancel(t.Context())
		terminal, wait := run(ctx, append([]string{"login", "--server", g.srv.URL}, args...)...)
		terminal.find(t, regexp.MustCompile(`(To sign in)`))
		cancel()
		if status := wait(); status != 1 {
			t.Errorf("login %v ends with %d: %s", args, status, terminal.String())
		}
	}
}

func TestClient(t *testing.T) {
	g := newGatehouse(t)
	t.Setenv("GATEHOUSE_SERVER", g.srv.URL)
	if _, err := g.whoami(); err == nil || !strings.Contains(err.Error(), "sign in") || hintOf(err) != "run 'gatehouse login --server "+g.srv.URL+"', or set GATEHOUSE_TOKEN" {
		t.Errorf("signed out: %v (%s)", err, hintOf(err))
	}
	t.Setenv("GATEHOUSE_TOKEN", "wrong")
	if _, err := g.whoami(); err == nil || !strings.Contains(hintOf(err), "has ended or the token is not right") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("with a wrong token: %v (%s)", err, hintOf(err))
	}
	_, token, _ := strings.Cut(g.guard.AdminLink("x:1"), "token=")
	t.Setenv("GATEHOUSE_TOKEN", token)
	if got, err := g.whoami(); err != nil || got != "admin token token" {
		t.Errorf("with the admin token: %q, %v", got, err)
	}
	c, err := newClient("")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.do(t.Context(), "GET", "/broken", nil, nil); err == nil || err.Error() != "validation failed; until: too ?[31mlong" {
		t.Errorf("a mistake in the request: %v", err)
	}
	if _, err := c.do(t.Context(), "GET", "/away", nil, nil); err == nil || !strings.Contains(err.Error(), "sends elsewhere") {
		t.Errorf("a redirect: %v", err)
	}
	g.srv.Close()
	_, err = c.do(t.Context(), "GET", "/api/v1/me", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "reaching "+g.srv.URL) || !strings.Contains(hintOf(err), "gatehouse serve") {
		t.Errorf("a server that is gone: %v (%s)", err, hintOf(err))
	}
}

func TestServerAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"gatehouse.example.com":               "https://gatehouse.example.com",
		"https://Gatehouse.example.com:8443/": "https://gatehouse.example.com:8443",
		"http://127.0.0.1:8321":               "http://127.0.0.1:8321",
		"http://localhost:1":                  "http://localhost:1",
		"http://[::1]:1":                      "http://[::1]:1",
		"http://gatehouse.example.com":        "",
		"http://127.0.0.1.example.com":        "",
		"http://localhost.example.com":        "",
		"https://user:pw@example.com":         "",
		"https://example.com/gatehouse":       "",
		"https://example.com/?a=b":            "",
		"ftp://example.com":                   "",
		"":                                    "",
	} {
		if got, err := serverAddress(text); got != want || (err == nil) != (want != "") {
			t.Errorf("%q is %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestKeptSessions(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	path, err := signInsFile()
	if err != nil {
		t.Fatal(err)
	}
	kept := signIns{Server: "https://a.example", Sessions: map[string]keptSession{"https://a.example": {Token: "t"}}}
	if err := kept.write(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GATEHOUSE_SERVER", "")
	t.Setenv("GATEHOUSE_TOKEN", "")
	for server, want := range map[string]string{"": "t", "a.example": "t", "https://b.example": ""} {
		c, err := newClient(server)
		if err != nil || c.token != want {
			t.Errorf("for %q the token is %q, %v", server, c.token, err)
		}
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := newClient(""); err == nil || !strings.Contains(hintOf(err), "chmod 600") {
		t.Errorf("a file that others may read: %v", err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := newClient(""); err == nil || !strings.Contains(err.Error(), "sessions.json") {
		t.Errorf("a broken file: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.tmp")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
