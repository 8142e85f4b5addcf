package identity

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// OIDC says how to sign people in with an OpenID provider.
type OIDC struct {
	// Issuer is the provider's address, exactly as its tokens say it.
	Issuer   string
	ClientID string
	// ClientSecret returns the client's secret, read anew for each use; nil: a public
	// client.
	ClientSecret func() (string, error)
	// Scopes are asked for; empty: openid, profile, email and offline_access, the
	// last only where the provider does not say that it has no such scope.
	Scopes []string
	Claims Claims
	// Client reaches the provider; nil: one with short timeouts.
	Client *http.Client
}

const (
	// providerTimeout bounds one request to the provider, providerBody its answer.
	providerTimeout = 10 * time.Second
	providerBody    = 1 << 20
	// discoveryRetry is how long a discovery that failed is not tried again, at
	// first and at most; discoveryAge is after how long one that worked is repeated.
	discoveryRetryMin = time.Second
	discoveryRetryMax = 30 * time.Second
	discoveryAge      = 24 * time.Hour
)

// errProvider is wrapped by errors of a provider that cannot be reached or does
// not work, as opposed to one that refuses a person.
var errProvider = errors.New("the identity provider does not answer")

// errRefused is wrapped by errors that concern the person alone: the provider does
// not vouch for them any more.
var errRefused = errors.New("the identity provider refused")

// provider signs people in with one OpenID provider. Its metadata is read when it
// is first needed, so that Gatehouse starts while the provider is down.
type provider struct {
	OIDC
	client *http.Client
	clock  func() time.Time
	log    *slog.Logger

	mu    sync.Mutex
	meta  *metadata
	read  time.Time
	err   error // of the last discovery
	retry time.Time
	wait  time.Duration
}

// metadata is what a discovery found.
type metadata struct {
	*oidc.Provider
	endpoint oauth2.Endpoint
	userinfo string
	scopes   []string // nil: not said
	issParam bool     // every answer names the issuer (RFC 9207)
}

// tokens are what the provider gave for a code or a refresh token.
type tokens struct {
	person  Person
	refresh string
}

func newProvider(o OIDC, clock func() time.Time, log *slog.Logger) (*provider, error) {
	u, err := url.Parse(o.Issuer)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("making guard: the issuer %q is not a URL such as https://id.example.com", o.Issuer)
	}
	// Over plain HTTP anybody on the way could sign in as anybody.
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return nil, fmt.Errorf("making guard: the issuer %q must be https", o.Issuer)
	}
	if o.ClientID == "" {
		return nil, errors.New("making guard: the OpenID provider needs a client id")
	}
	o.Claims = o.Claims.orDefault()
	p := &provider{OIDC: o, client: o.Client, clock: clock, log: log}
	if p.client == nil {
		p.client = &http.Client{Timeout: providerTimeout}
	}
	bounded := *p.client
	inner := bounded.Transport
	if inner == nil {
		inner = http.DefaultTransport
	}
	bounded.Transport = boundedTransport{inner}
	p.client = &bounded
	return p, nil
}

// boundedTransport cuts answers: a provider that went wrong must not fill the
// memory.
type boundedTransport struct{ inner http.RoundTripper }

// RoundTrip sends a request and bounds the body of its answer.
func (t boundedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := t.inner.RoundTrip(r)
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, providerBody), res.Body}
	}
	return res, err
}

// source is the Session.Source of sessions of this provider and client.
func (p *provider) source() string { return keyOf("oidc\n" + p.Issuer + "\n" + p.ClientID)[:16] }

// discover returns the provider's metadata. After a failure it waits a while before
// it asks again, so that people who try to sign in do not hammer a provider that is
// down; metadata that is old serves on while a new one cannot be had.
func (p *provider) discover(ctx context.Context) (*metadata, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.clock()
	if p.meta != nil && now.Sub(p.read) < discoveryAge {
		return p.meta, nil
	}
	if now.Before(p.retry) {
		if p.meta != nil {
			return p.meta, nil
		}
		return nil, p.err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), providerTimeout)
	defer cancel()
	m, err := p.fetch(ctx)
	if err != nil {
		p.wait = min(max(2*p.wait, discoveryRetryMin), discoveryRetryMax)
		p.retry, p.err = now.Add(p.wait), err
		p.log.WarnContext(ctx, "the identity provider cannot be read; it is asked again when somebody signs in", "issuer", p.Issuer, "error", err)
		if p.meta != nil {
			return p.meta, nil
		}
		return nil, err
	}
	p.meta, p.read, p.err, p.wait = m, now, nil, 0
	return m, nil
}

func (p *provider) fetch(ctx context.Context) (*metadata, error) {
	found, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.Issuer)
	if err != nil {
		return nil, fmt.Errorf("%w: discovering %s: %w", errProvider, p.Issuer, err)
	}
	var more struct {
		UserInfo string   `json:"userinfo_endpoint"`
		Scopes   []string `json:"scopes_supported"`
		IssParam bool     `json:"authorization_response_iss_parameter_supported"`
	}
	if err := found.Claims(&more); err != nil {
		return nil, fmt.Errorf("%w: discovering %s: %w", errProvider, p.Issuer, err)
	}
	m := &metadata{Provider: found, endpoint: found.Endpoint(), userinfo: more.UserInfo, scopes: more.Scopes, issParam: more.IssParam}
	if m.endpoint.AuthURL == "" || m.endpoint.TokenURL == "" {
		return nil, fmt.Errorf("%w: discovering %s: it names no authorization or token endpoint", errProvider, p.Issuer)
	}
	// What the secret and the code are sent to must be as private as the issuer.
	for _, e := range []string{m.endpoint.AuthURL, m.endpoint.TokenURL, m.userinfo} {
		u, err := url.Parse(e)
		if e != "" && (err != nil || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname()))) {
			return nil, fmt.Errorf("%w: discovering %s: the endpoint %q is not https", errProvider, p.Issuer, e)
		}
	}
	return m, nil
}

const googleIssuer = "https://accounts.google.com"

func (p *provider) oauth(m *metadata, redirect string) (*oauth2.Config, error) {
	c := &oauth2.Config{ClientID: p.ClientID, Endpoint: m.endpoint, RedirectURL: redirect, Scopes: slices.Clone(p.Scopes)}
	if p.ClientSecret != nil {
		var err error
		if c.ClientSecret, err = p.ClientSecret(); err != nil {
			return nil, fmt.Errorf("%w: reading the client's secret: %w", errProvider, err)
		}
	}
	if len(c.Scopes) == 0 {
		c.Scopes = []string{oidc.ScopeOpenID, oidc.ScopeProfile, oidc.ScopeEmail}
		if m.scopes == nil || slices.Contains(m.scopes, oidc.ScopeOfflineAccess) {
			c.Scopes = append(c.Scopes, oidc.ScopeOfflineAccess)
		}
	}
	if !slices.Contains(c.Scopes, oidc.ScopeOpenID) {
		c.Scopes = append([]string{oidc.ScopeOpenID}, c.Scopes...)
	}
	if p.Issuer == googleIssuer {
		c.Scopes = slices.DeleteFunc(c.Scopes, func(s string) bool { return s == oidc.ScopeOfflineAccess })
	}
	return c, nil
}

// start returns the address at which the person signs in.
func (p *provider) start(ctx context.Context, redirect string, f *flow) (string, error) {
	m, err := p.discover(ctx)
	if err != nil {
		return "", err
	}
	c, err := p.oauth(m, redirect)
	if err != nil {
		return "", err
	}
	opts := []oauth2.AuthCodeOption{oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier)}
	if p.Issuer == googleIssuer {
		// Google gives a refresh token to those who ask so, and only with a consent.
		opts = append(opts, oauth2.AccessTypeOffline, oauth2.ApprovalForce)
	}
	return c.AuthCodeURL(f.State, opts...), nil
}

// finish exchanges the code of an answer for the person.
func (p *provider) finish(ctx context.Context, redirect string, f *flow, answer url.Values) (*tokens, error) {
	m, err := p.discover(ctx)
	if err != nil {
		return nil, err
	}
	// Of several providers, one that is hostile could send its answer as another's;
	// RFC 9207 has each name itself.
	if iss := answer.Get("iss"); iss != "" && iss != p.Issuer || iss == "" && m.issParam {
		return nil, fmt.Errorf("%w: the answer is of another issuer (%q)", errRefused, iss)
	}
	c, err := p.oauth(m, redirect)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.client), 2*providerTimeout)
	defer cancel()
	t, err := c.Exchange(ctx, answer.Get("code"), oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return nil, classify("exchanging the code", err)
	}
	claims, err := p.verify(ctx, m, t, func(id *oidc.IDToken) error {
		if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(f.Nonce)) != 1 {
			return errors.New("its nonce is not that of this sign-in")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return p.describe(ctx, m, c, t, claims)
}

// renew asks for a person anew with a refresh token. The person must be the one
// of the id.
func (p *provider) renew(ctx context.Context, refresh string, was Person) (*tokens, error) {
	m, err := p.discover(ctx)
	if err != nil {
		return nil, err
	}
	c, err := p.oauth(m, "")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, p.client), 2*providerTimeout)
	defer cancel()
	t, err := c.TokenSource(ctx, &oauth2.Token{RefreshToken: refresh}).Token()
	if err != nil {
		return nil, classify("refreshing", err)
	}
	var claims map[string]any
	if raw, _ := t.Extra("id_token").(string); raw != "" {
		if claims, err = p.verify(ctx, m, t, func(*oidc.IDToken) error { return nil }); err != nil {
			return nil, err
		}
	} else if m.userinfo == "" {
		// The provider vouches for the person and describes them nowhere.
		return &tokens{person: was, refresh: t.RefreshToken}, nil
	}
	out, err := p.describe(ctx, m, c, t, claims)
	if err != nil {
		return nil, err
	}
	if out.person.ID != was.ID {
		return nil, fmt.Errorf("%w: the refreshed token is of another person", errRefused)
	}
	return out, nil
}

// verify checks the ID token of an answer and returns its claims.
func (p *provider) verify(ctx context.Context, m *metadata, t *oauth2.Token, more func(*oidc.IDToken) error) (map[string]any, error) {
	raw, _ := t.Extra("id_token").(string)
	if raw == "" {
		return nil, fmt.Errorf("%w: the answer has no ID token", errProvider)
	}
	id, err := m.Verifier(&oidc.Config{ClientID: p.ClientID, Now: p.clock}).Verify(ctx, raw)
	if err != nil && strings.Contains(err.Error(), "fetching keys") {
		return nil, fmt.Errorf("%w: %w", errProvider, err) // not the token's fault; the library gives text alone
	}
	if err != nil {
		return nil, fmt.Errorf("%w: checking the ID token: %w", errRefused, err)
	}
	claims, err := readClaims(id.Claims)
	if err != nil {
		return nil, fmt.Errorf("%w: reading the ID token: %w", errRefused, err)
	}
	// A token for several clients is good here if it was made for this one.
	if azp, _ := claims["azp"].(string); azp != p.ClientID && (azp != "" || len(id.Audience) > 1) {
		return nil, fmt.Errorf("%w: the ID token was made for the client %q", errRefused, azp)
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(t.AccessToken); err != nil {
			return nil, fmt.Errorf("%w: checking the access token: %w", errRefused, err)
		}
	}
	if err := more(id); err != nil {
		return nil, fmt.Errorf("%w: checking the ID token: %w", errRefused, err)
	}
	return claims, nil
}

func readClaims(into func(any) error) (map[string]any, error) {
	var raw json.RawMessage
	if err := into(&raw); err != nil {
		return nil, err
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	var claims map[string]any
	err := d.Decode(&claims)
	return claims, err
}

// describe makes the person of claims. Where the ID token leaves something out, the
// userinfo endpoint is asked too; what it says counts only for the same subject.
func (p *provider) describe(ctx context.Context, m *metadata, c *oauth2.Config, t *oauth2.Token, claims map[string]any) (*tokens, error) {
	missing := slices.ContainsFunc(p.Claims.wanted(), func(name string) bool { return lookup(claims, name) == nil })
	if m.userinfo != "" && missing {
		info, err := m.UserInfo(ctx, oauth2.StaticTokenSource(t))
		if err != nil {
			return nil, fmt.Errorf("%w: reading the user's claims: %w", errProvider, err)
		}
		if subject, ok := claims["sub"].(string); ok && info.Subject != subject {
			return nil, fmt.Errorf("%w: the user's claims are of another subject", errRefused)
		}
		more, err := readClaims(info.Claims)
		if err != nil {
			return nil, fmt.Errorf("%w: reading the user's claims: %w", errProvider, err)
		}
		claims = merge(claims, more)
	}
	if names, ok := claims["_claim_names"].(map[string]any); ok && names[p.Claims.Groups] != nil {
		p.log.WarnContext(ctx, "the identity provider left a person's groups out because they are too many; they have none here", "issuer", p.Issuer)
	}
	person, err := p.Claims.person(p.Issuer, claims)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errRefused, err)
	}
	return &tokens{person: person, refresh: t.RefreshToken}, nil
}

// classify tells an answer about the person (errRefused) from all that time or an
// administrator mends (errProvider): a network that is down, a server error, a
// client that is not known or not allowed.
func classify(doing string, err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode < 500 && refused.ErrorCode == "invalid_grant" {
		return fmt.Errorf("%w: %s: %s", errRefused, doing, refused.ErrorCode)
	}
	if refused != nil {
		// The body may hold what was sent.
		return fmt.Errorf("%w: %s: %s %s", errProvider, doing, statusOf(refused), refused.ErrorCode)
	}
	return fmt.Errorf("%w: %s: %w", errProvider, doing, err)
}

func statusOf(e *oauth2.RetrieveError) string {
	if e.Response == nil {
		return "no answer"
	}
	return e.Response.Status
}
