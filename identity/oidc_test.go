package identity_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/gatehouse-project/gatehouse/identity"
)

// site is a Gatehouse with an identity provider, reached over a network.
type site struct {
	t      *testing.T
	srv    *httptest.Server
	guard  *identity.Guard
	idp    *idp
	store  identity.Store
	clock  atomic.Pointer[time.Time]
	mu     sync.Mutex
	events []identity.Event
	logs   strings.Builder
}

func (s *site) now() time.Time        { return *s.clock.Load() }
func (s *site) after(d time.Duration) { n := s.now().Add(d); s.clock.Store(&n) }
func (s *site) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logs.Write(b)
}

// actions are what the audit log was told.
func (s *site) actions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, e := range s.events {
		out = append(out, e.Action)
	}
	return out
}

var everyRole = identity.RoleRules{Admins: []string{"group:admins"}, Approvers: []string{"user:boss@example.com"}, Requesters: []string{"group:dev"}, Viewers: []string{"*"}}

func newSite(t *testing.T, change func(o *identity.Options)) *site {
	t.Helper()
	s := &site{t: t, store: &identity.Memory{}}
	start := time.Now().Truncate(time.Second)
	s.clock.Store(&start)
	s.idp = newIDP(t, s.now)
	o := identity.Options{
		Token: token, Store: s.store, Clock: s.now, Logger: slog.New(slog.NewTextHandler(s, nil)), SessionIdle: 2 * time.Hour,
		OIDC: &identity.OIDC{
			Issuer: s.idp.srv.URL, ClientID: clientID, ClientSecret: func() (string, error) { return clientSecret, nil },
			Claims: identity.Claims{Attributes: []string{"team"}},
		},
		Audit: func(_ context.Context, e identity.Event) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.events = append(s.events, e)
		},
	}
	if change != nil {
		change(&o)
	}
	var err error
	if o.Roster == nil {
		if o.Roster, err = identity.NewRoster(identity.RosterOptions{Store: o.Store, Roles: everyRole, Clock: s.now}); err != nil {
			t.Fatal(err)
		}
	}
	s.store = o.Store
	if s.guard, err = identity.New(o); err != nil {
		t.Fatal(err)
	}
	s.srv = httptest.NewServer(s.guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := identity.FromContext(r.Context())
		_, _ = fmt.Fprintf(w, "%s|%s|%s|%s|%s|%v|%s|%s", p.ID, p.Name, p.Email, p.Role, strings.Join(p.Groups, ","), p.Attributes, p.Manager, p.Via)
	})))
	t.Cleanup(s.srv.Close)
	return s
}

// browser keeps cookies and follows redirects, as one does.
type browser struct {
	t *testing.T
	s *site
	c *http.Client
}

func (s *site) browser() *browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &browser{t: s.t, s: s, c: &http.Client{Jar: jar, Timeout: 20 * time.Second}}
}

func (b *browser) send(method, target string, body url.Values, headers ...string) (int, string, *http.Response) {
	b.t.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.s.srv.URL + target
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, target, strings.NewReader(body.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept", "text/html")
	if body != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := b.c.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return res.StatusCode, string(text), res
}

func (b *browser) get(target string) (int, string) {
	b.t.Helper()
	status, text, _ := b.send("GET", target, nil)
	return status, text
}

// signIn follows the link of the sign-in page to the provider and back.
func (b *browser) signIn() string {
	b.t.Helper()
	status, text := b.get("/login/oidc?next=/inventory")
	if status != 200 {
		b.t.Fatalf("signing in answers %d: %s\n%s", status, text, b.s.logged())
	}
	return text
}

func (s *site) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logs.String()
}

func TestSignInWithAProvider(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := s.browser()
	status, text := b.get("/inventory?q=a")
	if status != 401 || !strings.Contains(text, `href="/login/oidc?next=%2Finventory%3Fq%3Da"`) || !strings.Contains(text, "Sign in with 127.0.0.1") {
		t.Fatalf("the sign-in page answers %d: %s", status, text)
	}
	id := identity.PersonID(s.idp.srv.URL, "user|1")
	want := id + "|Ann Lee|Ann.Lee@Example.com|requester|dev,ops|map[team:[payments]]|bob@example.com|web"
	if got := b.signIn(); got != want {
		t.Errorf("after signing in: %s\nwant %s", got, want)
	}
	s.idp.with(func(p *idp) {
		q := p.seenAuth
		if q.Get("scope") != "openid profile email offline_access" || q.Get("nonce") == "" || q.Get("state") == "" || q.Get("redirect_uri") != s.srv.URL+"/login/callback" {
			t.Errorf("the provider was asked %v", q)
		}
	})
	e, err := s.guard.Directory().Person(t.Context(), "ann.lee@example.com")
	if err != nil || e.ID != id || e.Role != identity.Requester || !e.LastSeen.Equal(s.now()) {
		t.Errorf("the directory has %+v, %v", e, err)
	}
	if got := s.actions(); len(got) != 1 || got[0] != identity.EventOpened {
		t.Errorf("the audit log was told %v", got)
	}
	for _, secret := range []string{clientSecret, "rt-", "at-"} {
		if strings.Contains(s.logged(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
}

func TestSignInIsRefused(t *testing.T) {
	t.Parallel()
	evil := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(evil.Close)
	set := func(name string, v any) func(*idp) {
		return func(p *idp) { p.change = func(c map[string]any) { c[name] = v } }
	}
	for name, tc := range map[string]struct {
		wrong  func(p *idp)
		status int
		want   string
	}{
		"another audience":          {set("aud", "another"), 403, "refused"},
		"several audiences":         {set("aud", []string{clientID, "another"}), 403, "refused"},
		"made for another client":   {set("azp", "another"), 403, "refused"},
		"another issuer":            {set("iss", "https://evil.example"), 403, "refused"},
		"expired":                   {set("exp", 1), 403, "refused"},
		"not yet good":              {set("nbf", 1<<40), 403, "refused"},
		"another nonce":             {set("nonce", "stolen"), 403, "refused"},
		"no nonce":                  {func(p *idp) { p.change = func(c map[string]any) { delete(c, "nonce") } }, 403, "refused"},
		"no subject":                {set("sub", ""), 403, "refused"},
		"another access token":      {set("at_hash", "AAAAAAAAAAAAAAAAAAAAAA"), 403, "refused"},
		"address not verified":      {set("email_verified", false), 403, "does not say that the e-mail address"},
		"nothing about the address": {func(p *idp) { delete(p.user, "email_verified") }, 403, "does not say that the e-mail address"},
		"verified is a text":        {set("email_verified", "yes"), 403, "does not say that the e-mail address"},
		"no address":                {func(p *idp) { delete(p.user, "email") }, 403, "no e-mail address"},
		"two addresses":             {set("email", []string{"a@example.com", "b@example.com"}), 403, "no e-mail address"},
		"address with a line":       {set("email", "a@example.com\nb: c"), 403, "no e-mail address"},
		"address with a direction":  {set("email", "a\u202e@example.com"), 403, "no e-mail address"},
		"groups of objects":         {set("groups", []any{map[string]any{"a": 1}}), 403, "groups"},
		"too many groups": {func(p *idp) {
			var g []string
			for i := range 3000 {
				g = append(g, fmt.Sprint(i))
			}
			p.user["groups"] = g
		}, 403, "groups"},
		"not signed": {func(p *idp) { p.sign = unsigned }, 403, "refused"},
		"signed with the client's secret": {func(p *idp) {
			p.sign = func(c map[string]any) string {
				return signed(p.t, jose.SigningKey{Algorithm: jose.HS256, Key: []byte(strings.Repeat(clientSecret, 3))}, p.keyID, c)
			}
		}, 403, "refused"},
		"signed by somebody else": {func(p *idp) {
			p.sign = func(c map[string]any) string {
				return signed(p.t, jose.SigningKey{Algorithm: jose.RS256, Key: keys()[2]}, p.keyID, c)
			}
		}, 403, "refused"},
		"somebody else's claims": {func(p *idp) {
			p.inUserinfo = []string{"groups"}
			p.change = func(c map[string]any) { c["sub"] = "user|2" }
		}, 403, "refused"},
		"an answer of another issuer": {func(p *idp) { p.answer = func(v url.Values) { v.Set("iss", "https://evil.example") } }, 403, "refused"},
		"an answer that names none": {func(p *idp) {
			p.issParam, p.answer = true, func(v url.Values) { v.Del("iss") }
		}, 403, "refused"},
		"another state": {func(p *idp) { p.answer = func(v url.Values) { v.Set("state", "x") } }, 400, "another browser"},
		"no state":      {func(p *idp) { p.answer = func(v url.Values) { v.Del("state") } }, 400, "another browser"},
		"another code":  {func(p *idp) { p.answer = func(v url.Values) { v.Set("code", "x") } }, 403, "refused"},
		"the person said no": {func(p *idp) {
			p.answer = func(v url.Values) { v.Set("error", "access_denied"); v.Set("error_description", "<script>") }
		}, 403, "did not let you in"},
		"a wrong setting":     {func(p *idp) { p.answer = func(v url.Values) { v.Set("error", "invalid_scope") } }, 403, "refused"},
		"another's discovery": {func(p *idp) { p.discovery = func(d map[string]any) { d["issuer"] = "https://evil.example" } }, 503, "does not answer"},
		"a token sent in clear": {func(p *idp) {
			p.discovery = func(d map[string]any) { d["token_endpoint"] = "http://evil.example/token" }
		}, 503, "does not answer"},
		"down": {func(p *idp) { p.down = true }, 503, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, nil)
			s.idp.with(tc.wrong)
			b := s.browser()
			status, text := b.get("/login/oidc?next=/inventory")
			if status != tc.status || !strings.Contains(text, tc.want) || strings.Contains(text, "<script>") {
				t.Errorf("answers %d: %s\n%s", status, text, s.logged())
			}
			if status, _ := b.get("/inventory"); status != 401 {
				t.Errorf("after that a page answers %d", status)
			}
			if got := s.actions(); len(got) != 1 || got[0] != identity.EventRefused {
				t.Errorf("the audit log was told %v", got)
			}
		})
	}
}

// The answer of a sign-in counts once, and in the browser that began it.
func TestAnswersCountOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := s.browser()
	var callback string
	b.c.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/login/callback" {
			callback = r.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	b.get("/login/oidc")
	var kept []*http.Cookie
	for _, c := range b.c.Jar.Cookies(mustParse(t, s.srv.URL)) {
		kept = append(kept, &http.Cookie{Name: c.Name, Value: c.Value, Path: "/"})
	}
	other := s.browser()
	if status, text := other.get(callback); status != 400 || !strings.Contains(text, "another browser") {
		t.Errorf("in another browser the answer gets %d: %s", status, text)
	}
	if status, _ := b.get(callback); status != 200 {
		t.Fatalf("the answer gets %d", status)
	}
	if status, _ := b.get("/"); status != 200 {
		t.Fatal("the sign-in did not count")
	}
	// Even with the cookie of then put back.
	again := s.browser()
	again.c.Jar.SetCookies(mustParse(t, s.srv.URL), kept)
	if status, _ := again.get(callback); status != 400 {
		t.Errorf("the same answer a second time gets %d", status)
	}
	s.idp.with(func(p *idp) {
		if p.exchanges != 1 {
			t.Errorf("the provider saw %d codes", p.exchanges)
		}
	})
	late := s.browser()
	late.c.CheckRedirect = b.c.CheckRedirect
	late.get("/login/oidc")
	s.after(11 * time.Minute)
	if status, _ := late.get(callback); status != 400 {
		t.Errorf("an answer after eleven minutes gets %d", status)
	}
}

func mustParse(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// A session that somebody planted in a browser is not the one that its owner signs
// in to.
func TestSessionsCannotBePlanted(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := s.browser()
	b.signIn()
	home := mustParse(t, s.srv.URL)
	before := b.c.Jar.Cookies(home)
	victim := s.browser()
	victim.c.Jar.SetCookies(home, before)
	victim.signIn()
	for _, c := range victim.c.Jar.Cookies(home) {
		for _, old := range before {
			if c.Value == old.Value {
				t.Errorf("%s is the same after signing in", c.Name)
			}
		}
	}
	if status, _ := b.get("/"); status != 401 {
		t.Errorf("the planted session answers %d", status)
	}
}

func TestProviderThatIsDownAtFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.idp.with(func(p *idp) { p.down = true })
	b := s.browser()
	for range 3 {
		if status, _ := b.get("/login/oidc"); status != 503 {
			t.Fatalf("while the provider is down: %d", status)
		}
	}
	if status, _ := b.get("/login?token=" + token); status != 200 {
		t.Errorf("the admin link answers %d while the provider is down", status)
	}
	s.idp.with(func(p *idp) { p.down = false })
	s.after(31 * time.Second)
	s.browser().signIn()
}

func TestProviderRotatesItsKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.browser().signIn()
	s.idp.with(func(p *idp) { p.rotate() })
	s.browser().signIn()
}

func TestClaimsOfUserinfo(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.idp.with(func(p *idp) { p.inUserinfo = []string{"email", "email_verified", "groups"} })
	if got := s.browser().signIn(); !strings.Contains(got, "Ann.Lee@Example.com|requester|dev,ops") {
		t.Error(got)
	}
}

func TestClaimsCanBeChosen(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *identity.Options) {
		o.OIDC.Claims = identity.Claims{Email: "upn", Groups: "realm_access.roles", Manager: "boss", TrustEmail: true, Attributes: []string{"level", "team", "none"}}
		o.OIDC.Scopes = []string{"openid", "more"}
	})
	s.idp.with(func(p *idp) {
		p.user = map[string]any{
			"sub": "1", "upn": "ann@corp.example", "realm_access": map[string]any{"roles": "dev, and more"},
			"boss": "CN=Bob", "level": 7, "team": []any{"b", "a", "b", nil},
		}
	})
	got := s.browser().signIn()
	if want := "|ann@corp.example|ann@corp.example|viewer|dev, and more|map[level:[7] team:[a b]]|CN=Bob|web"; !strings.HasSuffix(got, want) {
		t.Errorf("%s\nwant …%s", got, want)
	}
	s.idp.with(func(p *idp) {
		if p.seenAuth.Get("scope") != "openid more" {
			t.Errorf("scopes are %q", p.seenAuth.Get("scope"))
		}
	})
}

func TestNobodyHasARoleByDefault(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *identity.Options) {
		var err error
		if o.Roster, err = identity.NewRoster(identity.RosterOptions{Store: o.Store}); err != nil {
			t.Fatal(err)
		}
	})
	b := s.browser()
	status, text := b.get("/login/oidc?next=/inventory")
	if status != 403 || !strings.Contains(text, "You have no role here") || !strings.Contains(text, "Ann Lee") {
		t.Errorf("a page answers %d: %s", status, text)
	}
	if status, _, _ := b.send("GET", "/api/v1/overview", nil, "Accept", "application/json"); status != 403 {
		t.Errorf("the API answers %d", status)
	}
	if status, _ := b.get("/login/cli?challenge=x"); status != 403 {
		t.Errorf("signing in a command line answers %d", status)
	}
}

func TestRefresh(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := s.browser()
	b.signIn()
	s.idp.with(func(p *idp) { p.user["groups"] = []string{"admins"} })
	s.after(9 * time.Minute)
	if _, text := b.get("/"); !strings.Contains(text, "|requester|dev,ops|") {
		t.Errorf("after nine minutes: %s", text)
	}
	s.after(2 * time.Minute)
	// Many requests at once ask once: the provider ends what comes twice.
	s.idp.with(func(p *idp) { p.slow = 20 * time.Millisecond })
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.srv.URL+"/", http.NoBody)
			if err != nil {
				t.Error(err)
				return
			}
			res, err := b.c.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = res.Body.Close() }()
			text, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(text), "|admin|admins|") {
				t.Errorf("while it is refreshed: %d %s %v", res.StatusCode, text, err)
			}
		})
	}
	wg.Wait()
	s.idp.with(func(p *idp) {
		if p.refreshes != 1 || p.reused != 0 {
			t.Errorf("the provider was asked %d times, %d with an old token", p.refreshes, p.reused)
		}
		p.bareRefresh, p.user["groups"] = true, []string{"dev"}
	})
	// Without an ID token the userinfo endpoint tells.
	s.after(11 * time.Minute)
	if _, text := b.get("/"); !strings.Contains(text, "|requester|dev|") {
		t.Errorf("after a refresh without an ID token: %s", text)
	}
	// Whom the provider refuses is out.
	s.idp.with(func(p *idp) { p.refuseRefresh = true })
	s.after(11 * time.Minute)
	if status, _ := b.get("/"); status != 401 {
		t.Errorf("after the provider refused: %d", status)
	}
	if got := s.actions(); got[len(got)-1] != identity.EventEnded {
		t.Errorf("the audit log was told %v", got)
	}
}

func TestRefreshOfAnotherPerson(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := s.browser()
	b.signIn()
	s.idp.with(func(p *idp) { p.user["sub"], p.user["groups"] = "user|2", []string{"admins"} })
	s.after(11 * time.Minute)
	if status, _ := b.get("/"); status != 401 {
		t.Errorf("after a refresh as somebody else: %d", status)
	}
}

// While the provider is down a session goes on for a while, then waits, and is not
// lost.
func TestRefreshWhileTheProviderIsDown(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := s.browser()
	b.signIn()
	s.idp.with(func(p *idp) { p.down = true })
	s.after(11 * time.Minute)
	if status, _ := b.get("/"); status != 200 {
		t.Errorf("eleven minutes after the last word of the provider: %d", status)
	}
	s.after(4 * time.Minute)
	status, text := b.get("/")
	if status != 503 || !strings.Contains(text, "your session goes on when it answers") {
		t.Errorf("after fifteen minutes: %d %s", status, text)
	}
	s.idp.with(func(p *idp) { p.down = false })
	s.after(31 * time.Second)
	if status, _ := b.get("/"); status != 200 {
		t.Errorf("when it answers again: %d", status)
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	s.idp.with(func(p *idp) { p.noRefresh = true })
	short := s.browser()
	short.signIn()
	s.idp.with(func(p *idp) { p.noRefresh = false })
	idle, used := s.browser(), s.browser()
	idle.signIn()
	used.signIn()
	s.after(59 * time.Minute)
	for _, b := range []*browser{short, used} {
		if status, _ := b.get("/"); status != 200 {
			t.Errorf("after 59 minutes: %d", status)
		}
	}
	s.after(2 * time.Minute)
	if status, _ := short.get("/"); status != 401 {
		t.Errorf("an hour after signing in, with nothing to refresh by: %d", status)
	}
	s.after(62 * time.Minute)
	if status, _ := idle.get("/"); status != 401 {
		t.Errorf("after two hours without being used: %d", status)
	}
	for range 9 {
		if status, _ := used.get("/"); status != 200 {
			t.Errorf("one that is used: %d", status)
		}
		s.after(time.Hour + time.Minute)
	}
	s.after(time.Hour)
	if status, _ := used.get("/"); status != 401 {
		t.Errorf("after more than twelve hours: %d", status)
	}
}

func TestAdminTokenBesideAProvider(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		anywhere bool
		change   []string
		want     int
	}{
		"here":                    {false, nil, 200},
		"by a proxy on here":      {false, []string{"X-Forwarded-For", "203.0.113.9"}, 401},
		"by another proxy":        {false, []string{"Forwarded", "for=203.0.113.9"}, 401},
		"set, by a proxy on here": {true, []string{"X-Forwarded-For", "203.0.113.9"}, 200},
	} {
		s := newSite(t, func(o *identity.Options) { o.TokenAnywhere = tc.anywhere })
		if got, _, _ := s.browser().send("GET", "/", nil, append(tc.change, "Authorization", "Bearer "+token)...); got != tc.want {
			t.Errorf("%s: %d, want %d", name, got, tc.want)
		}
		if got, _, _ := s.browser().send("GET", "/login?token="+token, nil, tc.change...); got != tc.want {
			t.Errorf("%s, as a link: %d, want %d", name, got, tc.want)
		}
	}
	// From another machine, and under the public name.
	for name, tc := range map[string]struct{ remote, host string }{"another machine": {"203.0.113.9:1", "127.0.0.1:80"}, "the public name": {"127.0.0.1:1", "gatehouse.example.com"}} {
		s := newSite(t, func(o *identity.Options) { o.PublicURL = "https://gatehouse.example.com" })
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.RemoteAddr, r.Host = tc.remote, tc.host
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		s.guard.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
		if w.Code != 401 {
			t.Errorf("%s: %d", name, w.Code)
		}
	}
}

// Behind a proxy the cookies are for TLS alone, and bound to this host.
func TestPublicAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *identity.Options) { o.PublicURL = "https://gatehouse.example.com" })
	handler := s.guard.Handler(http.NotFoundHandler())
	r := httptest.NewRequest(http.MethodGet, "/login/oidc", http.NoBody)
	r.Host = "gatehouse.example.com"
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	to := mustParse(t, w.Header().Get("Location"))
	if got := to.Query().Get("redirect_uri"); got != "https://gatehouse.example.com/login/callback" {
		t.Errorf("the provider is to answer to %q", got)
	}
	c := w.Result().Cookies()[0]
	if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || !strings.HasPrefix(c.Name, "__Host-") || c.Path != "/" || c.Domain != "" {
		t.Errorf("the cookie is %v", c)
	}
	if w.Header().Get("Strict-Transport-Security") == "" {
		t.Error("browsers are not told to stay with TLS")
	}
	if b, err := url.QueryUnescape(c.Value); err != nil || strings.Contains(b, to.Query().Get("nonce")) || strings.Contains(b, to.Query().Get("state")) {
		t.Error("the cookie tells what it holds")
	}
}

func TestSettingsOfAProvider(t *testing.T) {
	t.Parallel()
	for _, o := range []identity.OIDC{
		{Issuer: "http://id.example.com", ClientID: "a"},
		{Issuer: "id.example.com", ClientID: "a"},
		{Issuer: "https://user@id.example.com", ClientID: "a"},
		{Issuer: "https://id.example.com"},
	} {
		if _, err := identity.New(identity.Options{OIDC: &o}); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	for _, u := range []string{"http://gatehouse.example.com", "https://g.example.com/path", "gatehouse.example.com", "https://a@g.example.com"} {
		if _, err := identity.New(identity.Options{PublicURL: u}); err == nil {
			t.Errorf("the public address %q is taken", u)
		}
	}
}
