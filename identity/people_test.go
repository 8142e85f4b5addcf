package identity_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/identity"
)

const peopleText = `users:
  - email: ann.lee@example.com
    groups: [oncall, dev]
    manager: carol@example.com
    attributes: {cost: [a, b]}
  - email: Bob@Example.com
    name: Bob
    groups: [boss, oncall]
  - email: gone@example.com
    disabled: true
`

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func peopleFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "people.yaml")
	write(t, path, text)
	return path
}

func TestRoster(t *testing.T) {
	t.Parallel()
	store := &identity.Memory{}
	seen := identity.Person{ID: "p-ann", Email: "Ann.Lee@Example.com", Name: "Ann Lee", Groups: []string{"dev", "idp"}, Manager: "bob@example.com", Attributes: map[string][]string{"team": {"x"}}}
	if err := store.SeePerson(t.Context(), seen, time.Now()); err != nil {
		t.Fatal(err)
	}
	r, err := identity.NewRoster(identity.RosterOptions{Store: store, File: peopleFile(t, peopleText), Roles: identity.RoleRules{
		Admins: []string{"group:boss"}, Requesters: []string{"user:ANN.LEE@example.com"}, Viewers: []string{"*"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ann, err := r.Person(t.Context(), "ANN.lee@example.com")
	want := identity.Person{
		ID: "p-ann", Email: "Ann.Lee@Example.com", Name: "Ann Lee", Groups: []string{"dev", "idp", "oncall"}, Manager: "carol@example.com",
		Attributes: map[string][]string{"team": {"x"}, "cost": {"a", "b"}}, Role: identity.Requester,
	}
	if err != nil || cmp.Diff(want, ann.Person) != "" {
		t.Errorf("what the file adds: %v\n%s", err, cmp.Diff(want, ann.Person))
	}
	bob, err := r.Person(t.Context(), "bob@example.com")
	if err != nil || bob.ID != "Bob@Example.com" || bob.Role != identity.Admin || !bob.LastSeen.IsZero() {
		t.Errorf("somebody whom only the file names: %+v, %v", bob, err)
	}
	if gone, err := r.Person(t.Context(), "gone@example.com"); err != nil || gone.Disabled == nil || gone.Role != identity.None {
		t.Errorf("somebody disabled in the file: %+v, %v", gone, err)
	}
	for _, who := range []string{"", "nobody@example.com", "p-nobody"} {
		if _, err := r.Person(t.Context(), who); !errors.Is(err, identity.ErrNoPerson) {
			t.Errorf("%q: %v", who, err)
		}
	}
	ids := func(list []identity.Entry, err error) string {
		if err != nil {
			t.Error(err)
		}
		var out []string
		for i := range list {
			out = append(out, list[i].ID)
		}
		return strings.Join(out, " ")
	}
	for group, want := range map[string]string{"oncall": "p-ann Bob@Example.com", "dev": "p-ann", "idp": "p-ann", "boss": "Bob@Example.com", "none": "", "": ""} {
		if got := ids(r.Members(t.Context(), group)); got != want {
			t.Errorf("members of %q are %q, want %q", group, got, want)
		}
	}
	if got := ids(r.People(t.Context(), identity.PeopleQuery{})); got != "p-ann Bob@Example.com gone@example.com" {
		t.Errorf("everybody is %q", got)
	}
	if got := ids(r.People(t.Context(), identity.PeopleQuery{Search: "LEE"})); got != "p-ann" {
		t.Errorf("search finds %q", got)
	}
}

// The pages of store and file together have everybody once, in order.
func TestRosterPages(t *testing.T) {
	t.Parallel()
	store := &identity.Memory{}
	var text strings.Builder
	text.WriteString("users:\n")
	want := map[string]bool{}
	for i := range 90 {
		email := fmt.Sprintf("u%02d@example.com", i)
		if i%2 == 0 {
			if err := store.SeePerson(t.Context(), identity.Person{ID: "p" + email, Email: strings.ToUpper(email), Name: "n", Groups: []string{"idp"}}, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		if i%3 == 0 {
			fmt.Fprintf(&text, "  - {email: %s, groups: [file]}\n", email)
		}
		if i%2 == 0 || i%3 == 0 {
			want[email] = true
		}
	}
	r, err := identity.NewRoster(identity.RosterOptions{Store: store, File: peopleFile(t, text.String())})
	if err != nil {
		t.Fatal(err)
	}
	for _, limit := range []int{1, 7, 100} {
		got := map[string]bool{}
		q := identity.PeopleQuery{Limit: limit}
		for range 200 {
			page, err := r.People(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			for i := range page {
				if page[i].OrderKey() <= q.After || got[identity.EmailKey(page[i].Email)] {
					t.Fatalf("%s comes twice or out of order", page[i].Email)
				}
				q.After = page[i].OrderKey()
				got[identity.EmailKey(page[i].Email)] = true
			}
			if len(page) < limit {
				break
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("pages of %d (-want +got):\n%s", limit, d)
		}
	}
	if m, err := r.Members(t.Context(), "file"); err != nil || len(m) != 30 {
		t.Errorf("%d members of a group of the file, %v", len(m), err)
	}
}

func TestPeopleFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"unknown key":     "users:\n  - email: a@b.c\n    admin: true\n",
		"unknown list":    "people: []\n",
		"no address":      "users:\n  - name: A\n",
		"nobody":          "users: [null]\n",
		"twice":           "users:\n  - email: a@b.c\n  - email: A@b.c\n",
		"a line in it":    "users:\n  - email: a@b.c\n    groups: [\"a\\nb\"]\n",
		"an empty group":  "users:\n  - email: a@b.c\n    groups: ['']\n",
		"no YAML":         "users: [",
		"two documents":   "users: []\n---\nusers: []\n",
		"a list of texts": "users: [a@b.c]\n",
	} {
		if _, err := identity.NewRoster(identity.RosterOptions{File: peopleFile(t, text)}); err == nil || !strings.Contains(err.Error(), "people.yaml") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := identity.NewRoster(identity.RosterOptions{File: "/nowhere/people.yaml"}); err == nil {
		t.Error("a file that is not there is taken")
	}
	if _, err := identity.NewRoster(identity.RosterOptions{File: peopleFile(t, "")}); err != nil {
		t.Errorf("an empty file: %v", err)
	}
	if _, err := identity.NewRoster(identity.RosterOptions{Roles: identity.RoleRules{Admins: []string{"ann@example.com"}}}); err == nil {
		t.Error("a rule of no form is taken")
	}
}

// hook counts who was taken back from, and fails when told to.
type hook struct {
	mu   sync.Mutex
	fail bool
	ids  []string
}

func (h *hook) call(_ context.Context, e identity.Entry) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fail {
		return errors.New("the cluster does not answer")
	}
	h.ids = append(h.ids, e.ID)
	return nil
}

func (h *hook) called() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.ids)
}

func TestDisable(t *testing.T) {
	t.Parallel()
	h := &hook{fail: true}
	s := newSite(t, func(o *identity.Options) { o.OnDisabled = h.call })
	b := s.browser()
	b.signIn()
	id := identity.PersonID(s.idp.srv.URL, "user|1")
	admin := identity.Person{ID: "root", Name: "Root", Role: identity.Admin}
	if err := s.guard.Disable(t.Context(), identity.Person{ID: id}, id, "x"); !errors.Is(err, identity.ErrSelf) {
		t.Errorf("disabling oneself: %v", err)
	}
	if err := s.guard.Disable(t.Context(), admin, "nobody", "x"); !errors.Is(err, identity.ErrNoPerson) {
		t.Errorf("disabling nobody: %v", err)
	}
	if err := s.guard.Disable(t.Context(), admin, id, "left"); err == nil || !strings.Contains(err.Error(), "is tried again") {
		t.Errorf("what was lent could not be taken back, and it says %v", err)
	}
	if status, _ := b.get("/"); status != 401 {
		t.Errorf("the session of somebody disabled answers %d", status)
	}
	if status, text := b.get("/login/oidc"); status != 403 || !strings.Contains(text, "disabled you") {
		t.Errorf("signing in again answers %d: %s", status, text)
	}
	h.mu.Lock()
	h.fail = false
	h.mu.Unlock()
	// Run tries again, and after a restart it tells of everybody once.
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.guard.Run(ctx) }()
	for range 200 {
		if len(h.called()) > 0 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := h.called(); len(got) != 1 || got[0] != id {
		t.Errorf("taken back from %v", got)
	}
	if err := s.guard.Enable(t.Context(), admin, id, "back"); err != nil {
		t.Fatal(err)
	}
	b.signIn()
	if err := s.guard.Disable(t.Context(), admin, id, "again"); err != nil || len(h.called()) != 2 {
		t.Errorf("disabling a second time: %v, taken back from %v", err, h.called())
	}
	actions := s.actions()
	for _, want := range []string{identity.EventOpened, identity.EventDisabled, identity.EventRefused, identity.EventEnabled} {
		if !slices.Contains(actions, want) {
			t.Errorf("the audit log was not told %s: %v", want, actions)
		}
	}
}

func TestPeopleFileIsWatched(t *testing.T) {
	t.Parallel()
	path := peopleFile(t, "users:\n  - email: ann@example.com\n    groups: [dev]\n")
	synctest.Test(t, func(t *testing.T) {
		h, store := &hook{}, &identity.Memory{}
		roster, err := identity.NewRoster(identity.RosterOptions{Store: store, File: path, Roles: identity.RoleRules{Requesters: []string{"group:dev"}}})
		if err != nil {
			t.Fatal(err)
		}
		ann := identity.Person{ID: "p-ann", Email: "Ann@example.com", Name: "Ann"}
		g, err := identity.New(identity.Options{Store: store, Roster: roster, OnDisabled: h.call, People: []identity.Person{ann}})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, handler: g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(identity.FromContext(r.Context()).Role.String()))
		}))}
		in := w.do("GET", strings.TrimPrefix(g.PersonLink("127.0.0.1:8080", ann), "http://127.0.0.1:8080"))
		if got := body(t, w.do("GET", "/", cookies(in))); got != "requester" {
			t.Fatalf("signed in as %q", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() { done <- g.Run(ctx) }()
		// A file that cannot be read changes nothing.
		write(t, path, "users: [")
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if got := w.do("GET", "/", cookies(in)).StatusCode; got != 200 {
			t.Errorf("with a broken file: %d", got)
		}
		write(t, path, "users:\n  - email: ann@example.com\n    groups: [dev]\n    disabled: true\n")
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if got := w.do("GET", "/", cookies(in)).StatusCode; got != 401 {
			t.Errorf("somebody disabled in the file: %d", got)
		}
		if list, err := store.Sessions(ctx, "p-ann"); err != nil || len(list) != 0 {
			t.Errorf("their sessions are %v, %v", list, err)
		}
		if got := h.called(); len(got) != 1 || got[0] != "p-ann" {
			t.Errorf("taken back from %v", got)
		}
		if got := w.do("GET", strings.TrimPrefix(g.PersonLink("127.0.0.1:8080", ann), "http://127.0.0.1:8080")).StatusCode; got != 403 {
			t.Errorf("signing in again: %d", got)
		}
		if err := g.Enable(ctx, identity.Person{ID: "root"}, "p-ann", "x"); !errors.Is(err, identity.ErrFileOnly) {
			t.Errorf("enabling whom the file disables: %v", err)
		}
		write(t, path, "users: []\n")
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if got := w.do("GET", strings.TrimPrefix(g.PersonLink("127.0.0.1:8080", ann), "http://127.0.0.1:8080")).StatusCode; got != 303 {
			t.Errorf("after the file lets them in again: %d", got)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestPersonas(t *testing.T) {
	t.Parallel()
	rosa, amir := identity.Person{ID: "rosa", Name: "Rosa", Role: identity.Requester, Groups: []string{"a"}}, identity.Person{ID: "amir", Name: "Amir", Role: identity.Approver}
	w := setup(t, identity.Options{People: []identity.Person{rosa, amir}})
	for _, p := range []identity.Person{rosa, amir} {
		in := w.do("GET", w.guard.PersonLink("127.0.0.1:8080", p))
		if got := body(t, w.do("GET", "/", cookies(in))); got != "hello "+p.Name+" "+p.Role.String() {
			t.Errorf("%s comes in as %q", p.Name, got)
		}
	}
	if got := w.guard.PersonLink("127.0.0.1:8080", identity.Person{ID: "eve"}); got != "" {
		t.Errorf("somebody else has the link %q", got)
	}
	if m, err := w.guard.Directory().Members(t.Context(), "a"); err != nil || len(m) != 1 || m[0].Role != identity.Requester {
		t.Errorf("the directory has %+v, %v", m, err)
	}
	_, link, _ := strings.Cut(w.guard.PersonLink("127.0.0.1:8080", rosa), "token=")
	if got := w.do("GET", "/", header("Authorization", "Bearer "+link)).StatusCode; got != 401 {
		t.Errorf("a link's token as a bearer token answers %d", got)
	}
	for _, p := range []identity.Person{{}, {ID: "x"}, {ID: identity.AdminID, Name: "x"}} {
		if _, err := identity.New(identity.Options{People: []identity.Person{p}}); err == nil {
			t.Errorf("%+v gets a link", p)
		}
	}
}

// Two servers that share a store share their sessions, and a session ends in both.
func TestServersThatShareAStore(t *testing.T) {
	t.Parallel()
	store := &identity.Memory{}
	one := newSite(t, func(o *identity.Options) { o.Store = store })
	b := one.browser()
	b.signIn()
	two, err := identity.New(identity.Options{
		Token: token, Store: store, Clock: one.now,
		OIDC:   &identity.OIDC{Issuer: one.idp.srv.URL, ClientID: clientID, ClientSecret: func() (string, error) { return clientSecret, nil }},
		Roster: mustRoster(t, store),
	})
	if err != nil {
		t.Fatal(err)
	}
	handler := two.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	ask := func() int {
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Host = strings.TrimPrefix(one.srv.URL, "http://")
		for _, c := range b.c.Jar.Cookies(mustParse(t, one.srv.URL)) {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Code
	}
	if got := ask(); got != 200 {
		t.Errorf("at the other server: %d", got)
	}
	one.idp.with(func(p *idp) { p.slow = 50 * time.Millisecond })
	one.after(11 * time.Minute)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if got := ask(); got != 200 {
				t.Errorf("while both refresh: %d", got)
			}
		})
		wg.Go(func() {
			if status, _ := b.get("/"); status != 200 {
				t.Errorf("while both refresh: %d", status)
			}
		})
	}
	wg.Wait()
	one.idp.with(func(p *idp) {
		if p.refreshes != 1 || p.reused != 0 {
			t.Errorf("the provider was asked %d times, %d with an old token", p.refreshes, p.reused)
		}
	})
	id := identity.PersonID(one.idp.srv.URL, "user|1")
	if n, err := two.EndSessions(t.Context(), identity.Person{ID: "root"}, id, "x"); err != nil || n != 1 {
		t.Errorf("ending all sessions: %d, %v", n, err)
	}
	if status, _ := b.get("/"); status != 401 {
		t.Errorf("after the other server ended it: %d", status)
	}
}

func mustRoster(t *testing.T, store identity.Store) *identity.Roster {
	t.Helper()
	r, err := identity.NewRoster(identity.RosterOptions{Store: store, Roles: everyRole})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A sign-in of the command line by way of the provider has a refresh token of its
// own, and does not end with the browser's.
func TestCommandLineWithAProvider(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := s.browser()
	b.signIn()
	const verifier = "a-verifier-of-the-command-line-that-is-long-enough"
	q := url.Values{"port": {"1"}, "state": {"st"}, "device": {"lap\u202etop<b>"}}
	q.Set("challenge", challengeOf(verifier))
	for name, change := range map[string]url.Values{"port": {"port": {"70000"}}, "challenge": {"challenge": {"x"}}, "state": {"state": {""}}, "host": {"port": {"1@evil.example"}}} {
		wrong := maps.Clone(q)
		maps.Copy(wrong, change)
		if status, _ := b.get("/login/cli?" + wrong.Encode()); status != 400 {
			t.Errorf("a wrong %s answers %d", name, status)
		}
	}
	status, text := b.get("/login/cli?" + q.Encode())
	if status != 200 || !strings.Contains(text, "laptop&lt;b&gt;") {
		t.Fatalf("the page to confirm: %d %s", status, text)
	}
	if status, _, _ := b.send("POST", "/login/cli", q, "Sec-Fetch-Site", "cross-site"); status != 403 {
		t.Errorf("another site confirms: %d", status)
	}
	if status, _, _ := s.browser().send("POST", "/login/cli", q); status != 401 {
		t.Errorf("somebody signed out confirms: %d", status)
	}
	_, _, res := b.send("POST", "/login/cli", q)
	_, to, _ := strings.Cut(res.Header.Get("Refresh"), "url=")
	if !strings.HasPrefix(to, s.idp.srv.URL+"/authorize") {
		t.Fatalf("after confirming it goes on to %q", to)
	}
	_, _, res = b.send("GET", to, nil)
	_, to, _ = strings.Cut(res.Header.Get("Refresh"), "url=")
	if !strings.HasPrefix(to, "http://127.0.0.1:1/callback?code=") || !strings.HasSuffix(to, "&state=st") {
		t.Fatalf("the code goes to %q", to)
	}
	code := mustParse(t, to).Query().Get("code")
	post := func(text string) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.srv.URL+"/login/token", strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, body(t, res)
	}
	status, text = post(fmt.Sprintf(`{"code":%q,"verifier":%q}`, code, verifier))
	_, after, _ := strings.Cut(text, `"token":"`)
	cli, _, _ := strings.Cut(after, `"`)
	if status != 200 || !strings.HasPrefix(cli, "gatehouse_") || !strings.Contains(text, `"role":"requester"`) {
		t.Fatalf("fetching the session: %d %s", status, text)
	}
	bearer := func() (int, string) {
		status, text, _ := s.browser().send("GET", "/", nil, "Authorization", "Bearer "+cli)
		return status, text
	}
	if status, text := bearer(); status != 200 || !strings.HasSuffix(text, "|cli") {
		t.Errorf("with the session: %d %s", status, text)
	}
	// Its token is no browser's cookie, and the browser's is no token.
	home := mustParse(t, s.srv.URL)
	cookie := b.c.Jar.Cookies(home)[0]
	if status, _, _ := s.browser().send("GET", "/", nil, "Authorization", "Bearer "+cookie.Value); status != 401 {
		t.Errorf("a browser's session as a token: %d", status)
	}
	if status, _, _ := s.browser().send("GET", "/", nil, "Cookie", cookie.Name+"="+cli); status != 401 {
		t.Errorf("a token as a browser's session: %d", status)
	}
	b.send("POST", "/logout", url.Values{})
	s.idp.with(func(p *idp) { p.user["groups"] = []string{"admins"} })
	s.after(11 * time.Minute)
	if status, text := bearer(); status != 200 || !strings.Contains(text, "|admin|") {
		t.Errorf("after the browser signed out and a refresh: %d %s", status, text)
	}
	// Whoever has a code without its verifier uses it up.
	b = s.browser()
	b.signIn()
	_, _, res = b.send("POST", "/login/cli", q)
	_, to, _ = strings.Cut(res.Header.Get("Refresh"), "url=")
	_, _, res = b.send("GET", to, nil)
	_, to, _ = strings.Cut(res.Header.Get("Refresh"), "url=")
	code = mustParse(t, to).Query().Get("code")
	for _, try := range []string{"stolen", verifier} {
		if status, text := post(fmt.Sprintf(`{"code":%q,"verifier":%q}`, code, try)); status != 410 {
			t.Errorf("with the verifier %q: %d %s", try, status, text)
		}
	}
	// Nobody finishes what somebody else confirmed.
	s.idp.with(func(p *idp) { p.user["sub"] = "user|2" })
	_, _, res = b.send("POST", "/login/cli", q)
	_, to, _ = strings.Cut(res.Header.Get("Refresh"), "url=")
	if status, text := b.get(to); status != 403 || !strings.Contains(text, "Somebody else confirmed") {
		t.Errorf("finished by somebody else: %d %s", status, text)
	}
	for _, wrong := range []string{"", "{", `{"code":""}`, `{"device_code":"x"}`} {
		if status, _ := post(wrong); status != 400 && status != 410 {
			t.Errorf("%q answers %d", wrong, status)
		}
	}
}

func TestGuessingCodes(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil)
	b := s.browser()
	b.signIn()
	for i := range 10 {
		if status, _, _ := b.send("POST", "/login/device", url.Values{"code": {"BBBB-BBBB"}}); status != 404 {
			t.Fatalf("guess %d answers %d", i, status)
		}
	}
	if status, _, _ := b.send("POST", "/login/device", url.Values{"code": {"BBBB-BBBB"}}); status != 429 {
		t.Errorf("the eleventh guess answers %d", status)
	}
	s.after(10 * time.Minute)
	if status, _, _ := b.send("POST", "/login/device", url.Values{"code": {"BBBB-BBBB"}}); status != 404 {
		t.Errorf("ten minutes later: %d", status)
	}
}

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
