package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const (
	idpClient = "gatehouse"
	idpSecret = "the-clients-secret-at-the-provider"
	// idpUser is the header by which the browsers of these tests say who sits before
	// them, as a session with the provider would.
	idpUser = "X-Test-User"
)

// idp is an identity provider: people by their address, with their groups.
type idp struct {
	url    string
	signer jose.Signer
	people map[string][]string

	mu    sync.Mutex
	codes map[string]idpCode
}

type idpCode struct{ user, challenge, nonce, redirect string }

func newIDP(t *testing.T, people map[string][]string) *idp {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p := &idp{people: people, codes: map[string]idpCode{}}
	p.signer, err = jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "e2e"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	p.url = s.URL
	document := func(path string, v any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(v)
		})
	}
	document("/.well-known/openid-configuration", map[string]any{
		"issuer": p.url, "authorization_endpoint": p.url + "/authorize", "token_endpoint": p.url + "/token", "jwks_uri": p.url + "/keys",
		"id_token_signing_alg_values_supported": []string{"RS256"}, "scopes_supported": []string{"openid", "email", "profile"},
	})
	document("/keys", jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "e2e", Algorithm: "RS256", Use: "sig"}}})
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	return p
}

func (p *idp) authorize(w http.ResponseWriter, r *http.Request) {
	q, user := r.URL.Query(), r.Header.Get(idpUser)
	if _, known := p.people[user]; !known || q.Get("client_id") != idpClient || q.Get("code_challenge_method") != "S256" {
		http.Error(w, "who is that?", http.StatusForbidden)
		return
	}
	code := rand.Text()
	p.mu.Lock()
	p.codes[code] = idpCode{user, q.Get("code_challenge"), q.Get("nonce"), q.Get("redirect_uri")}
	p.mu.Unlock()
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+url.Values{"code": {code}, "state": {q.Get("state")}}.Encode(), http.StatusFound)
}

func (p *idp) token(w http.ResponseWriter, r *http.Request) {
	id, secret, ok := r.BasicAuth()
	if !ok {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	p.mu.Lock()
	c, known := p.codes[r.PostFormValue("code")]
	delete(p.codes, r.PostFormValue("code"))
	p.mu.Unlock()
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	if id != idpClient || secret != idpSecret || !known || c.redirect != r.PostFormValue("redirect_uri") || c.challenge != base64.RawURLEncoding.EncodeToString(sum[:]) {
		http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
		return
	}
	now := time.Now()
	name, _, _ := strings.Cut(c.user, "@")
	token, err := jwt.Signed(p.signer).Claims(jwt.Claims{
		Issuer: p.url, Subject: "sub|" + c.user, Audience: jwt.Audience{idpClient}, IssuedAt: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(5 * time.Minute)),
	}).Claims(map[string]any{"nonce": c.nonce, "email": c.user, "email_verified": true, "name": name, "groups": p.people[c.user]}).Serialize()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 300, "id_token": token})
}

// asUser is a browser's way to the provider and everywhere else.
type asUser string

func (u asUser) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(idpUser, string(u))
	r.Header.Set("Accept", "text/html")
	return http.DefaultTransport.RoundTrip(r)
}

// member is somebody who uses a Gatehouse, by its command line and its pages.
type member struct {
	name   string // e-mail address
	home   string
	server string
	web    *http.Client // signed in
	env    []string     // beside HOME and PATH
}

var (
	hiddenField = regexp.MustCompile(`<input type="hidden" name="([^"]*)" value="([^"]*)">`)
	loginLink   = regexp.MustCompile(`http://\S+/login/cli\?\S+`)
)

// signIn signs somebody in at the provider and runs gatehouse login, as they would:
// the address that it prints is opened and confirmed in their browser.
func signIn(t *testing.T, server, name, home string, env ...string) *member {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	m := &member{name: name, home: home, server: server, web: &http.Client{Jar: jar, Transport: asUser(name), Timeout: time.Minute}, env: env}
	if status, text := m.page(t, "/login/oidc?next=%2F"); status != http.StatusOK {
		t.Fatalf("signing %s in answers %d %s", name, status, text)
	}
	login := start(t, m.environment(), "login", "--no-browser", "--server", server)
	var address string
	eventually(t, time.Minute, func() error {
		if address = loginLink.FindString(login.err.String()); address == "" {
			return fmt.Errorf("no address in %q", login.err.String())
		}
		return nil
	})
	status, form := m.page(t, strings.TrimPrefix(address, server))
	if status != http.StatusOK {
		t.Fatalf("the page of gatehouse login answers %d %s", status, form)
	}
	values := url.Values{}
	for _, f := range hiddenField.FindAllStringSubmatch(form, -1) {
		values.Set(f[1], f[2])
	}
	res, err := m.web.PostForm(server+"/login/cli", values)
	for err == nil {
		_ = res.Body.Close()
		_, next, found := strings.Cut(res.Header.Get("Refresh"), "url=")
		if !found {
			break
		}
		res, err = m.web.Get(next)
	}
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("confirming the command line: %v, %v", res, err)
	}
	if code := login.exit(t, time.Minute); code != 0 || !strings.Contains(login.err.String(), "as "+name) {
		t.Fatalf("gatehouse login exits with %d\n%s", code, login.err.String())
	}
	return m
}

// page gets a page of the server in the person's browser.
func (m *member) page(t *testing.T, path string) (status int, text string) {
	t.Helper()
	res, err := m.web.Get(m.server + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

func (m *member) environment() []string {
	return append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.home, "XDG_CONFIG_HOME=" + filepath.Join(m.home, ".config")}, m.env...)
}

// token is what the person's command line shows the server.
func (m *member) token(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(m.home, ".config", "gatehouse", "sessions.json"))
	if err != nil {
		t.Fatal(err)
	}
	var kept struct {
		Sessions map[string]struct {
			Token string `json:"token"`
		} `json:"sessions"`
	}
	if err := json.Unmarshal(text, &kept); err != nil || kept.Sessions[m.server].Token == "" {
		t.Fatalf("no session of %s is kept: %v\n%s", m.name, err, text)
	}
	return kept.Sessions[m.server].Token
}

// try runs gatehouse as the person and returns what it prints on both streams.
func (m *member) try(t *testing.T, args ...string) (out, complaint string, err error) {
	t.Helper()
	return m.run(t, binary, args...)
}

// run runs a program as the person.
func (m *member) run(t *testing.T, program string, args ...string) (out, complaint string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = m.environment()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// do is try of a command that has to go well.
func (m *member) do(t *testing.T, args ...string) string {
	t.Helper()
	out, complaint, err := m.try(t, args...)
	if err != nil {
		t.Fatalf("gatehouse %s, as %s: %v\n%s%s", strings.Join(args, " "), m.name, err, out, complaint)
	}
	return out
}

// ask is do of a command with -o json, read into what it prints.
func (m *member) ask(t *testing.T, into any, args ...string) {
	t.Helper()
	out := m.do(t, append(args, "-o", "json")...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("gatehouse %s prints %s: %v", strings.Join(args, " "), out, err)
	}
}
