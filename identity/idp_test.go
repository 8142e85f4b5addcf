package identity_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	clientID     = "gatehouse"
	clientSecret = "the-client's-secret"
)

// idp is an OpenID provider with one user, that can be told to go wrong.
type idp struct {
	t   *testing.T
	srv *httptest.Server
	now func() time.Time

	mu      sync.Mutex
	key     *rsa.PrivateKey
	keyID   string
	user    map[string]any // claims
	codes   map[string]grant
	refresh map[string]bool // tokens that are good
	// What is to go wrong, and what it counted.
	down          bool
	noRefresh     bool
	bareRefresh   bool // refreshing gives no ID token
	refuseRefresh bool
	slow          time.Duration
	inUserinfo    []string // claims that only the userinfo endpoint tells
	issParam      bool
	change        func(claims map[string]any)        // of the next ID tokens
	sign          func(claims map[string]any) string // nil: with the key
	answer        func(v url.Values)                 // of the authorization endpoint
	discovery     func(doc map[string]any)           //
	seenAuth      url.Values                         // the last request there
	refreshes     int
	reused        int // refresh tokens that came twice
	exchanges     int
}

type grant struct{ challenge, nonce, redirect string }

func newIDP(t *testing.T, now func() time.Time) *idp {
	t.Helper()
	p := &idp{
		t: t, now: now, codes: map[string]grant{}, refresh: map[string]bool{},
		user: map[string]any{
			"sub": "user|1", "email": "Ann.Lee@Example.com", "email_verified": true, "name": "Ann Lee",
			"groups": []string{"dev", "ops"}, "manager": "bob@example.com", "team": "payments",
		},
	}
	p.rotate()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", p.serveDiscovery)
	mux.HandleFunc("GET /keys", p.serveKeys)
	mux.HandleFunc("GET /authorize", p.authorize)
	mux.HandleFunc("POST /token", p.token)
	mux.HandleFunc("GET /userinfo", p.userinfo)
	p.srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		down := p.down
		p.mu.Unlock()
		if down {
			http.Error(w, "maintenance", http.StatusServiceUnavailable)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(p.srv.Close)
	return p
}

// with changes the provider while it serves.
func (p *idp) with(f func(p *idp)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(p)
}

var keys = sync.OnceValue(func() []*rsa.PrivateKey {
	var out []*rsa.PrivateKey
	for range 3 {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		out = append(out, k)
	}
	return out
})

// rotate signs with another key from now on and forgets the one before.
func (p *idp) rotate() {
	i := slices.Index(keys(), p.key) + 1
	p.key, p.keyID = keys()[i%2], fmt.Sprintf("key-%d-%s", i, rand.Text()[:6])
}

func (p *idp) serveDiscovery(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	doc := map[string]any{
		"issuer": p.srv.URL, "authorization_endpoint": p.srv.URL + "/authorize", "token_endpoint": p.srv.URL + "/token",
		"jwks_uri": p.srv.URL + "/keys", "userinfo_endpoint": p.srv.URL + "/userinfo",
		"id_token_signing_alg_values_supported": []string{"RS256", "HS256", "none"},
		"scopes_supported":                      []string{"openid", "email", "profile", "offline_access"},
	}
	if p.issParam {
		doc["authorization_response_iss_parameter_supported"] = true
	}
	if p.discovery != nil {
		p.discovery(doc)
	}
	writeJSON(w, 200, doc)
}

func (p *idp) serveKeys(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	writeJSON(w, 200, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &p.key.PublicKey, KeyID: p.keyID, Algorithm: "RS256", Use: "sig"}}})
}

func (p *idp) authorize(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := r.URL.Query()
	p.seenAuth = q
	if q.Get("client_id") != clientID || q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.codes[code] = grant{q.Get("code_challenge"), q.Get("nonce"), q.Get("redirect_uri")}
	v := url.Values{"code": {code}, "state": {q.Get("state")}}
	if p.issParam {
		v.Set("iss", p.srv.URL)
	}
	if p.answer != nil {
		p.answer(v)
	}
	http.Redirect(w, r, q.Get("redirect_uri")+"?"+v.Encode(), http.StatusFound)
}

func (p *idp) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id, secret, ok := r.BasicAuth()
	if !ok {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if secret, _ = url.QueryUnescape(secret); id != clientID || secret != clientSecret {
		writeJSON(w, http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
		return
	}
	invalid := map[string]string{"error": "invalid_grant"}
	nonce, idToken := "", true
	switch r.PostFormValue("grant_type") {
	case "authorization_code":
		p.exchanges++
		code := r.PostFormValue("code")
		g, ok := p.codes[code]
		delete(p.codes, code)
		sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
		if !ok || base64.RawURLEncoding.EncodeToString(sum[:]) != g.challenge || r.PostFormValue("redirect_uri") != g.redirect {
			writeJSON(w, http.StatusBadRequest, invalid)
			return
		}
		nonce = g.nonce
	case "refresh_token":
		p.refreshes++
		if p.slow > 0 {
			time.Sleep(p.slow)
		}
		old := r.PostFormValue("refresh_token")
		good, known := p.refresh[old]
		if known && !good {
			p.reused++
		}
		if !good || p.refuseRefresh {
			writeJSON(w, http.StatusBadRequest, invalid)
			return
		}
		p.refresh[old] = false // each is good once
		idToken = !p.bareRefresh
	}
	out := map[string]any{"access_token": "at-" + rand.Text(), "token_type": "Bearer", "expires_in": 300}
	if idToken {
		out["id_token"] = p.idToken(nonce)
	}
	if !p.noRefresh {
		t := "rt-" + rand.Text()
		p.refresh[t] = true
		out["refresh_token"] = t
	}
	writeJSON(w, 200, out)
}

func (p *idp) idToken(nonce string) string {
	claims := maps.Clone(p.user)
	for _, name := range p.inUserinfo {
		delete(claims, name)
	}
	now := p.now()
	claims["iss"], claims["aud"], claims["iat"], claims["exp"] = p.srv.URL, clientID, now.Unix(), now.Add(5*time.Minute).Unix()
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if p.change != nil {
		p.change(claims)
	}
	if p.sign != nil {
		return p.sign(claims)
	}
	return signed(p.t, jose.SigningKey{Algorithm: jose.RS256, Key: p.key}, p.keyID, claims)
}

func signed(t *testing.T, key jose.SigningKey, id string, claims map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithHeader("kid", id))
	if err != nil {
		t.Error(err)
		return ""
	}
	b, err := json.Marshal(claims)
	if err != nil {
		t.Error(err)
		return ""
	}
	o, err := s.Sign(b)
	if err != nil {
		t.Error(err)
		return ""
	}
	text, err := o.CompactSerialize()
	if err != nil {
		t.Error(err)
	}
	return text
}

// unsigned is a token of the algorithm "none".
func unsigned(claims map[string]any) string {
	b, _ := json.Marshal(claims)
	return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(b) + "."
}

func (p *idp) userinfo(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer at-") {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	writeJSON(w, 200, p.user)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
