package dashboard_test

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/dashboard"
	"github.com/gatehouse-project/gatehouse/identity"
)

// visitor is one person's browser.
type visitor struct {
	t      *testing.T
	srv    *httptest.Server
	client *http.Client
	header map[string]string
}

func (v *visitor) send(method, path string, form url.Values) (int, string) {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, v.srv.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range v.header {
		r.Header.Set(name, value)
	}
	res, err := v.client.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func TestPeoplePages(t *testing.T) {
	t.Parallel()
	rosa := identity.Person{ID: "rosa", Name: "Rosa <b>", Email: "rosa@example.com", Role: identity.Requester, Groups: []string{"dev", "e", "f", "g", "h"}, Manager: "amir@example.com"}
	sofia := identity.Person{ID: "sofia", Name: "Sofia", Email: "sofia@example.com", Role: identity.Admin}
	w := apitest.Rich(time.Now())
	o := dashboard.Options{Inventory: w, Health: w.Health, Estate: w.Estate, Version: "1.2.3"}
	guard, err := identity.New(identity.Options{Anonymous: identity.Viewer, People: []identity.Person{rosa, sofia}, SignIn: dashboard.SignIn(o), Ask: dashboard.Ask(o)})
	if err != nil {
		t.Fatal(err)
	}
	o.Identity = guard
	srv := httptest.NewServer(guard.Handler(dashboard.New(o)))
	t.Cleanup(srv.Close)
	enter := func(p identity.Person) *visitor {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		v := &visitor{t: t, srv: srv, client: &http.Client{Jar: jar}}
		if p.ID != "" {
			if status, _ := v.send("GET", strings.TrimPrefix(guard.PersonLink(srv.Listener.Addr().String(), p), srv.URL), nil); status != 200 {
				t.Fatalf("signing in answers %d", status)
			}
		}
		return v
	}
	nobody, one, two, admin := enter(identity.Person{}), enter(rosa), enter(rosa), enter(sofia)

	if status, text := nobody.send("GET", "/people", nil); status != 403 || strings.Contains(text, "rosa@example.com") {
		t.Errorf("people for nobody: %d", status)
	}
	if _, text := nobody.send("GET", "/", nil); strings.Contains(text, `href="/people"`) || !strings.Contains(text, `href="/login"`) {
		t.Error("somebody who is not signed in is shown the people, or no way to sign in")
	}
	if status, text := one.send("GET", "/people/sofia", nil); status != 403 || strings.Contains(text, "sofia@example.com") {
		t.Errorf("another person for a requester: %d", status)
	}
	status, text := one.send("GET", "/people", nil) // goes on to oneself
	if status != 200 || !strings.Contains(text, "this is you") || !strings.Contains(text, "Rosa &lt;b&gt;") || strings.Count(text, `name="session"`) != 2 || strings.Contains(text, "Disable") {
		t.Errorf("oneself: %d %s", status, text)
	}
	if status, _ := one.send("POST", "/people/sofia", url.Values{"do": {"sessions"}}); status != 403 {
		t.Errorf("a requester ends an admin's sessions: %d", status)
	}
	if status, _ := one.send("POST", "/people/me", url.Values{"do": {"disabled"}, "reason": {"x"}}); status != 400 {
		t.Errorf("a requester disables: %d", status)
	}
	status, text = admin.send("GET", "/people?q=rosa", nil)
	if status != 200 || !strings.Contains(text, "and 1 more") || strings.Contains(text, "sofia@example.com\"") || !strings.Contains(text, `aria-current="page"`) {
		t.Errorf("the list of people: %d %s", status, text)
	}
	if _, text := admin.send("GET", "/people?q=eve", nil); !strings.Contains(text, "Nobody matches") {
		t.Errorf("a list of nobody: %s", text)
	}
	if status, _ := admin.send("GET", "/people/eve", nil); status != 404 {
		t.Errorf("somebody unknown: %d", status)
	}
	if status, text := admin.send("POST", "/people/rosa", url.Values{"do": {"disabled"}, "reason": {" "}}); status != 422 || !strings.Contains(text, "A reason is needed") {
		t.Errorf("disabling without a reason: %d", status)
	}
	status, text = admin.send("POST", "/people/rosa", url.Values{"do": {"disabled"}, "reason": {"left"}})
	if status != 200 || !strings.Contains(text, "■ disabled") || !strings.Contains(text, "by Sofia: left") || !strings.Contains(text, "Enable") {
		t.Errorf("disabling: %d %s", status, text)
	}
	if _, text := two.send("GET", "/", nil); !strings.Contains(text, "not signed in") {
		t.Error("somebody disabled is signed in")
	}
	if status, text := admin.send("POST", "/people/rosa", url.Values{"do": {"enabled"}, "reason": {"back"}}); status != 200 || strings.Contains(text, "■ disabled") {
		t.Errorf("enabling: %d", status)
	}
	status, text = admin.send("POST", "/people/me", url.Values{"do": {"sessions"}})
	if status != 403 || !strings.Contains(text, "People are for admins") {
		t.Errorf("after signing out everywhere: %d %s", status, text)
	}
}

func TestSignInPages(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(time.Now())
	o := dashboard.Options{Inventory: w, Version: "1.2.3"}
	ask := httptest.NewRecorder()
	dashboard.Ask(o)(ask, httptest.NewRequest(http.MethodGet, "/login/device", http.NoBody), identity.Question{
		Title: "Sign in?", Lines: []string{"Only if <you> began it."}, Facts: []identity.Fact{{Name: "Machine", Value: "<b>"}}, Wrong: "No.",
		Input: "code", InputLabel: "Code", Action: "/login/device", Hidden: []identity.Fact{{Name: "yes", Value: `"1"`}}, Button: "Go", GoOn: "javascript:alert(1)", GoOnText: "Go on", SignOut: true,
	})
	for _, want := range []string{"<h1>Sign in?</h1>", "Only if &lt;you&gt;", "<dd>&lt;b&gt;</dd>", `role="alert"`, `action="/login/device"`, `value="&#34;1&#34;"`, `<label for="code">Code</label>`, `action="/logout"`, "#ZgotmplZ"} {
		if !strings.Contains(ask.Body.String(), want) {
			t.Errorf("the page lacks %s: %s", want, ask.Body)
		}
	}
	for name, c := range map[string]struct {
		page identity.SignInPage
		want string
		not  string
	}{
		"token alone": {identity.SignInPage{Next: "/a"}, "Open the admin link", "Sign in with"},
		"provider":    {identity.SignInPage{Provider: "id.example.com", ProviderLink: "/login/oidc?next=%2Fa"}, `href="/login/oidc?next=%2Fa" autofocus>Sign in with id.example.com<`, " open>"},
		"problem":     {identity.SignInPage{Provider: "x", ProviderLink: "/login/oidc", Problem: "It <failed>."}, "■ It &lt;failed&gt;.", "not right"},
		"wrong token": {identity.SignInPage{Provider: "x", ProviderLink: "/login/oidc", Wrong: true}, "<details open>", "failed"},
	} {
		rec := httptest.NewRecorder()
		dashboard.SignIn(o)(rec, httptest.NewRequest(http.MethodGet, "/login", http.NoBody), c.page)
		if text := rec.Body.String(); !strings.Contains(text, c.want) || strings.Contains(text, c.not) {
			t.Errorf("%s: %s", name, text)
		}
	}
}
