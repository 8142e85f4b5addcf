package identity_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/identity"
)

const token = "a-token-that-is-long-enough-for-tests"

type world struct {
	t       *testing.T
	handler http.Handler
	guard   *identity.Guard
	now     time.Time
	logs    bytes.Buffer
}

func setup(t *testing.T, o identity.Options) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	o.Token = token
	o.Clock = func() time.Time { return w.now }
	o.Logger = slog.New(slog.NewTextHandler(&w.logs, nil))
	var err error
	if w.guard, err = identity.New(o); err != nil {
		t.Fatal(err)
	}
	w.handler = w.guard.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		p := identity.FromContext(r.Context())
		_, _ = io.WriteString(rw, "hello "+p.Name+" "+p.Role.String())
	}))
	return w
}

func (w *world) do(method, target string, change ...func(*http.Request)) *http.Response {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), method, target, http.NoBody)
	r.Host = "127.0.0.1:8080"
	for _, c := range change {
		c(r)
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec.Result()
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func host(name string) func(*http.Request) {
	return func(r *http.Request) { r.Host = name }
}

func cookies(from *http.Response) func(*http.Request) {
	return func(r *http.Request) {
		for _, c := range from.Cookies() {
			r.AddCookie(c)
		}
	}
}

func form(v url.Values) func(*http.Request) {
	return func(r *http.Request) {
		r.Body = io.NopCloser(strings.NewReader(v.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAdminLinkSignsInAndCleansTheAddress(t *testing.T) {
	t.Parallel()
	w := setup(t, identity.Options{})
	link := w.guard.AdminLink("127.0.0.1:8080")
	if want := "http://127.0.0.1:8080/login?token=" + token; link != want {
		t.Fatalf("admin link is %s, want %s", link, want)
	}
	res := w.do("GET", link)
	if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/" {
		t.Fatalf("login answers %d to %q, want a redirect to /", res.StatusCode, res.Header.Get("Location"))
	}
	c := res.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Expires.IsZero() || strings.Contains(c.Value, token) {
		t.Errorf("cookie is %v", c)
	}
	if got := body(t, w.do("GET", "/", cookies(res))); got != "hello admin admin" {
		t.Errorf("with the cookie: %q", got)
	}
	if strings.Contains(w.logs.String(), token) || strings.Contains(w.logs.String(), c.Value) {
		t.Errorf("the log holds a secret: %s", w.logs.String())
	}
	w.now = w.now.Add(13 * time.Hour)
	if got := w.do("GET", "/", cookies(res)).StatusCode; got != http.StatusUnauthorized {
		t.Errorf("a session that has ended answers %d", got)
	}
}

func TestLogoutEndsTheSession(t *testing.T) {
	t.Parallel()
	w := setup(t, identity.Options{})
	in := w.do("GET", "/login?token="+token)
	out := w.do("POST", "/logout", cookies(in))
	if out.StatusCode != http.StatusSeeOther {
		t.Fatalf("logout answers %d", out.StatusCode)
	}
	if got := w.do("GET", "/", cookies(in)).StatusCode; got != http.StatusUnauthorized {
		t.Errorf("the old cookie answers %d after logout", got)
	}
	if got := w.do("GET", "/logout", cookies(in)).StatusCode; got == http.StatusSeeOther {
		t.Error("a GET, which another site can cause, signs out")
	}
}

func TestWrongTokenIsRefused(t *testing.T) {
	t.Parallel()
	w := setup(t, identity.Options{Anonymous: identity.Viewer})
	for _, res := range []*http.Response{
		w.do("GET", "/login?token=wrong"),
		w.do("POST", "/login", form(url.Values{"token": {token + "x"}})),
	} {
		if res.StatusCode != http.StatusUnauthorized || len(res.Cookies()) != 0 {
			t.Errorf("answers %d with cookies %v", res.StatusCode, res.Cookies())
		}
	}
	// Wrong credentials are told, even where anonymous people may read.
	if got := w.do("GET", "/api/v1/overview", header("Authorization", "Bearer wrong")).StatusCode; got != http.StatusUnauthorized {
		t.Errorf("a wrong bearer token answers %d", got)
	}
	if got := w.do("GET", "/api/v1/overview", header("Authorization", "Basic "+token)).StatusCode; got != http.StatusUnauthorized {
		t.Errorf("the token in another scheme answers %d", got)
	}
}

func TestWhoMayRead(t *testing.T) {
	t.Parallel()
	closed, open := setup(t, identity.Options{}), setup(t, identity.Options{Anonymous: identity.Viewer})
	if got := body(t, open.do("GET", "/")); got != "hello  viewer" {
		t.Errorf("anonymous viewer: %q", got)
	}
	if got := body(t, closed.do("GET", "/api/v1/overview", header("Authorization", "bearer "+token))); got != "hello admin token admin" {
		t.Errorf("bearer: %q", got)
	}
	api := closed.do("GET", "/api/v1/overview", header("Accept", "text/html"))
	if api.StatusCode != http.StatusUnauthorized || api.Header.Get("Content-Type") != "application/problem+json" || api.Header.Get("WWW-Authenticate") == "" {
		t.Errorf("the API answers %d %s", api.StatusCode, api.Header.Get("Content-Type"))
	}
	var p struct {
		Status int
		Detail string
	}
	if err := json.Unmarshal([]byte(body(t, api)), &p); err != nil || p.Status != 401 || p.Detail == "" {
		t.Errorf("problem is %+v, %v", p, err)
	}
	page := closed.do("GET", "/inventory?q=%22%3E%3Cscript%3E", header("Accept", "text/html"))
	text := body(t, page)
	if page.StatusCode != http.StatusUnauthorized || !strings.Contains(text, "Sign in") || strings.Contains(text, "<script>") {
		t.Errorf("a browser gets %d: %s", page.StatusCode, text)
	}
	if got := closed.do("GET", "/healthz").StatusCode; got != http.StatusOK {
		t.Errorf("a probe gets %d", got)
	}
}

func TestSignInGoesOnOnlyToThisServer(t *testing.T) {
	t.Parallel()
	w := setup(t, identity.Options{})
	for next, want := range map[string]string{
		"/inventory?q=a":       "/inventory?q=a",
		"":                     "/",
		"//evil.example/":      "/",
		`/\evil.example`:       "/",
		"https://evil.example": "/",
		"/\t/evil.example":     "/",
		"/login?next=/":        "/",
		"javascript:alert(1)":  "/",
	} {
		res := w.do("POST", "/login", form(url.Values{"token": {token}, "next": {next}}))
		if got := res.Header.Get("Location"); got != want {
			t.Errorf("next %q goes to %q, want %q", next, got, want)
		}
	}
}

func TestHostHeaderMustBeKnown(t *testing.T) {
	t.Parallel()
	w := setup(t, identity.Options{Anonymous: identity.Viewer, Hosts: []string{"gatehouse.example.com"}})
	for name, want := range map[string]int{
		"127.0.0.1:8080":             200,
		"localhost:8080":             200,
		"[::1]:8080":                 200,
		"[::ffff:127.0.0.1]:8080":    200,
		"GATEHOUSE.example.com":      200,
		"gatehouse.example.com:8443": 200,
		"evil.example":               421,
		"127.0.0.1.evil.example":     421,
		"localhost.evil.example":     421,
		"10.0.0.1:8080":              421,
		"":                           421,
	} {
		if got := w.do("GET", "/", host(name)).StatusCode; got != want {
			t.Errorf("host %q answers %d, want %d", name, got, want)
		}
	}
	if got := w.do("GET", "/healthz", host("10.2.3.4:8080")).StatusCode; got != 200 {
		t.Errorf("a probe by address answers %d", got)
	}
}

func TestOtherSitesCannotChangeAnything(t *testing.T) {
	t.Parallel()
	w := setup(t, identity.Options{})
	in := w.do("GET", "/login?token="+token)
	for name, tc := range map[string]struct {
		change []func(*http.Request)
		want   int
	}{
		"cross-site":       {[]func(*http.Request){header("Sec-Fetch-Site", "cross-site")}, 403},
		"same-site":        {[]func(*http.Request){header("Sec-Fetch-Site", "same-site")}, 403},
		"other origin":     {[]func(*http.Request){header("Origin", "https://evil.example")}, 403},
		"same-origin":      {[]func(*http.Request){header("Sec-Fetch-Site", "same-origin")}, 200},
		"own origin":       {[]func(*http.Request){header("Origin", "http://127.0.0.1:8080")}, 200},
		"not from browser": {nil, 200},
	} {
		if got := w.do("POST", "/theme", append(tc.change, cookies(in))...).StatusCode; got != tc.want {
			t.Errorf("%s answers %d, want %d", name, got, tc.want)
		}
	}
}

func TestSecurityHeaders(t *testing.T) {
	t.Parallel()
	w := setup(t, identity.Options{})
	for _, res := range []*http.Response{
		w.do("GET", "/", header("Authorization", "Bearer "+token)),
		w.do("GET", "/", header("Accept", "text/html")),
		w.do("GET", "/", host("evil.example")),
	} {
		csp := res.Header.Get("Content-Security-Policy")
		if strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%d: content security policy is %q", res.StatusCode, csp)
		}
		if res.Header.Get("X-Content-Type-Options") != "nosniff" || res.Header.Get("Referrer-Policy") == "" {
			t.Errorf("%d: headers are %v", res.StatusCode, res.Header)
		}
	}
}

func TestRequire(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		anonymous identity.Role
		bearer    bool
		want      int
	}{{identity.Viewer, false, 401}, {identity.Approver, false, 200}, {identity.None, true, 200}} {
		g, err := identity.New(identity.Options{Token: token, Anonymous: tc.anonymous})
		if err != nil {
			t.Fatal(err)
		}
		h := g.Handler(identity.Require(identity.Approver, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
		w := &world{t: t, handler: h}
		var change []func(*http.Request)
		if tc.bearer {
			change = append(change, header("Authorization", "Bearer "+token))
		}
		if got := w.do("GET", "/x", change...).StatusCode; got != tc.want {
			t.Errorf("anonymous %s, bearer %v: %d, want %d", tc.anonymous, tc.bearer, got, tc.want)
		}
	}
}

func TestRoles(t *testing.T) {
	t.Parallel()
	if identity.Viewer.Allows(identity.Requester) || !identity.Admin.Allows(identity.Viewer) || !identity.Viewer.Allows(identity.Viewer) {
		t.Error("roles are not in order")
	}
	if identity.Role(99).Allows(identity.Viewer) {
		t.Error("an unknown role allows")
	}
	for r := identity.None; r <= identity.Admin; r++ {
		if got, err := identity.ParseRole(r.String()); err != nil || got != r {
			t.Errorf("%s parses as %s, %v", r, got, err)
		}
	}
	if _, err := identity.ParseRole("root"); err == nil {
		t.Error("an unknown name is a role")
	}
}

func TestShortTokenIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := identity.New(identity.Options{Token: "1234"}); err == nil {
		t.Error("a token of four characters is taken")
	}
	a, err := identity.New(identity.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := identity.New(identity.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if a.AdminLink(":80") == b.AdminLink(":80") {
		t.Error("two guards have the same token")
	}
}

func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	w := setup(t, identity.Options{})
	first := w.do("GET", "/login?token="+token)
	for range 1100 {
		w.now = w.now.Add(time.Millisecond)
		w.do("GET", "/login?token="+token)
	}
	last := w.do("GET", "/login?token="+token)
	if got := w.do("GET", "/", cookies(first)).StatusCode; got != http.StatusUnauthorized {
		t.Errorf("the oldest of 1102 sessions answers %d", got)
	}
	if got := w.do("GET", "/", cookies(last)).StatusCode; got != http.StatusOK {
		t.Errorf("the youngest session answers %d", got)
	}
}

func TestCheckListen(t *testing.T) {
	t.Parallel()
	alone, proxied := identity.Listening{}, identity.Listening{OIDC: true, PublicURL: "https://gatehouse.example.com"}
	for _, tc := range []struct {
		addr string
		l    identity.Listening
		want string // in the error; empty: none
	}{
		{"127.0.0.1:8080", alone, ""},
		{"127.9.9.9:0", alone, ""},
		{"[::1]:8080", alone, ""},
		{"localhost:8080", alone, ""},
		{":8080", alone, "oidc_issuer"},
		{"0.0.0.0:8080", alone, "oidc_issuer"},
		{"[::]:8080", alone, "oidc_issuer"},
		{"10.0.0.5:8080", alone, "oidc_issuer"},
		{"gatehouse.example.com:80", alone, "oidc_issuer"},
		{"10.0.0.5:8080", identity.Listening{TLS: true, PublicURL: "https://g.example"}, "oidc_issuer"},
		{"0.0.0.0:8080", proxied, ""},
		{"0.0.0.0:8080", identity.Listening{OIDC: true}, "public_url"},
		{"0.0.0.0:8080", identity.Listening{OIDC: true, PublicURL: "http://127.0.0.1:8080"}, "tls_cert"},
		{"0.0.0.0:8080", identity.Listening{OIDC: true, TLS: true, PublicURL: "https://g.example"}, ""},
		{"8080", proxied, "host:port"},
	} {
		err := identity.CheckListen(tc.addr, tc.l)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("CheckListen(%q, %+v) = %v", tc.addr, tc.l, err)
		}
	}
}

func TestASessionEndsWithItsToken(t *testing.T) {
	t.Parallel()
	store := &identity.Memory{}
	w := setup(t, identity.Options{Store: store})
	in := w.do("GET", "/login?token="+token)
	again := setup(t, identity.Options{Store: store})
	if got := again.do("GET", "/", cookies(in)).StatusCode; got != http.StatusOK {
		t.Errorf("after a restart with the same token: %d", got)
	}
	other, err := identity.New(identity.Options{Store: store, Clock: func() time.Time { return w.now }})
	if err != nil {
		t.Fatal(err)
	}
	again.handler = other.Handler(http.NotFoundHandler())
	if got := again.do("GET", "/", cookies(in)).StatusCode; got != http.StatusUnauthorized {
		t.Errorf("after a restart with another token: %d", got)
	}
}

// failing is a store that does not answer.
type failing struct{ identity.Memory }

func (*failing) Session(context.Context, string) (*identity.Session, error) {
	return nil, errors.New("disk on fire")
}

// Whose session cannot be read is not let in, not even as everybody is, and is told
// so; probes go on.
func TestAStoreThatFailsLetsNobodyIn(t *testing.T) {
	t.Parallel()
	w := setup(t, identity.Options{Store: &failing{}, Anonymous: identity.Viewer})
	cookie := header("Cookie", "gatehouse_session_8080=x")
	res := w.do("GET", "/", cookie)
	if text := body(t, res); res.StatusCode != http.StatusServiceUnavailable || strings.Contains(text, "fire") || strings.Contains(text, "hello") {
		t.Errorf("a page answers %d: %s", res.StatusCode, text)
	}
	if got := w.do("GET", "/healthz", cookie).StatusCode; got != http.StatusOK {
		t.Errorf("a probe answers %d", got)
	}
}

func FuzzTokens(f *testing.F) {
	f.Add("Bearer x", "gatehouse_session=y", "/login?next=//evil")
	f.Add("bearer", "__Host-gatehouse_session=\x00", "/login/callback?state=a&code=b")
	f.Add("", "gatehouse_signin_8080=AAAA", "/login/cli?port=1&challenge=AAAA")
	g, err := identity.New(identity.Options{Token: token})
	if err != nil {
		f.Fatal(err)
	}
	h := g.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if p := identity.FromContext(r.Context()); p.SignedIn() || p.Role != identity.None {
			panic("somebody was let in")
		}
	}))
	f.Fuzz(func(t *testing.T, authorization, cookie, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || strings.Contains(authorization, token) || strings.Contains(target, token) {
			t.Skip()
		}
		r := &http.Request{Method: http.MethodGet, URL: u, Host: "127.0.0.1:8080", Header: http.Header{"Authorization": {authorization}, "Cookie": {cookie}}, Body: http.NoBody}
		h.ServeHTTP(httptest.NewRecorder(), r)
	})
}
