package gateway

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// jwtVerifier verifies the tokens of one issuer.
type jwtVerifier struct {
	issuer   string
	audience []string
	keys     []crypto.PublicKey // inline
	jwksURL  string
	cognito  bool

	client *http.Client
	now    func() time.Time

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier
	retry    time.Time
	failure  error
}

// retryDiscovery is how long a failed discovery is not tried again, so that calls
// with any token cannot make the gateway ask the issuer each time.
const retryDiscovery = 10 * time.Second

func (z *authorizer) compileJWT(path string) error {
	v := &jwtVerifier{issuer: z.Issuer, audience: z.Audience, jwksURL: z.JWKSURL, cognito: z.Type == "COGNITO_USER_POOLS"}
	if err := checkURL(path+".issuer", z.Issuer); err != nil {
		return err
	}
	if len(z.Audience) == 0 && !v.cognito {
		return at(path+".audience", "is missing: any token of the issuer would do")
	}
	if z.JWKS != "" && z.JWKSURL != "" {
		return at(path+".jwks", "and jwks_url are both set")
	}
	if z.JWKSURL != "" {
		if err := checkURL(path+".jwks_url", z.JWKSURL); err != nil {
			return err
		}
	}
	if z.JWKS != "" {
		var set jose.JSONWebKeySet
		if err := json.Unmarshal([]byte(z.JWKS), &set); err != nil {
			return at(path+".jwks", "is not a JSON web key set: %w", err)
		}
		for _, k := range set.Keys {
			if !k.Valid() || !k.IsPublic() {
				return at(path+".jwks", "holds a key that is not a valid public key")
			}
			v.keys = append(v.keys, k.Key)
		}
		if len(v.keys) == 0 {
			return at(path+".jwks", "holds no key")
		}
	}
	z.jwt = v
	return nil
}

func (v *jwtVerifier) start(g *Gateway) {
	v.client = &http.Client{Transport: boundedTransport{g.transport}, Timeout: issuerTimeout}
	v.now = g.now
}

// ready is the verifier, made at its first use: the issuer need not run when the
// gateway starts.
func (v *jwtVerifier) ready() (*oidc.IDTokenVerifier, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.verifier != nil {
		return v.verifier, nil
	}
	if v.failure != nil && v.now().Before(v.retry) {
		return nil, v.failure
	}
	// The keys outlive the call that makes the gateway fetch them.
	ctx := oidc.ClientContext(context.Background(), v.client)
	config := &oidc.Config{
		SkipClientIDCheck:    true, // audience is checked with client_id below
		SupportedSigningAlgs: []string{oidc.RS256, oidc.RS384, oidc.RS512},
		Now:                  v.now,
	}
	switch {
	case v.keys != nil:
		v.verifier = oidc.NewVerifier(v.issuer, &oidc.StaticKeySet{PublicKeys: v.keys}, config)
	case v.jwksURL != "":
		v.verifier = oidc.NewVerifier(v.issuer, &keySet{url: v.jwksURL, client: v.client, now: v.now}, config)
	default:
		p, err := oidc.NewProvider(ctx, v.issuer)
		var found struct {
			URL string `json:"jwks_uri"`
		}
		if err == nil {
			err = p.Claims(&found)
		}
		if err == nil {
			err = checkURL("jwks_uri", found.URL)
		}
		if err != nil {
			v.failure, v.retry = fmt.Errorf("finding the keys of %s: %w", v.issuer, err), v.now().Add(retryDiscovery)
			return nil, v.failure
		}
		v.verifier = oidc.NewVerifier(v.issuer, &keySet{url: found.URL, client: v.client, now: v.now}, config)
	}
	return v.verifier, nil
}

// errScope means that a good token lacks a scope.
var errScope = errors.New("the token lacks a scope")

// maxToken bounds a token; headers are not longer in API Gateway.
const maxToken = 10 << 10

// verify checks a token and returns its claims.
func (v *jwtVerifier) verify(ctx context.Context, token string, scopes []string) (map[string]any, error) {
	if len(token) > maxToken {
		return nil, errors.New("the token is too long")
	}
	verifier, err := v.ready()
	if err != nil {
		return nil, err
	}
	good, err := verifier.Verify(ctx, token)
	if err != nil {
		return nil, err
	}
	claims := map[string]any{}
	if err := good.Claims(&claims); err != nil {
		return nil, fmt.Errorf("reading the claims: %w", err)
	}
	if exp, ok := claims["exp"]; !ok || exp == nil {
		return nil, errors.New("the token does not expire")
	}
	if iat, ok := claims["iat"].(float64); ok && v.now().Add(time.Minute).Before(time.Unix(int64(iat), 0)) {
		return nil, errors.New("the token is not yet issued")
	}
	if err := v.checkAudience(claims, good.Audience); err != nil {
		return nil, err
	}
	if len(scopes) == 0 {
		if v.cognito && text(claims["token_use"]) == "access" {
			return nil, errors.New("an access token needs a scope that the method asks for")
		}
		return claims, nil
	}
	if v.cognito && text(claims["token_use"]) == "id" {
		return nil, errScope
	}
	held := strings.Fields(text(claims["scope"]) + " " + strings.Trim(text(claims["scp"]), "[]"))
	for _, s := range scopes {
		if slices.Contains(held, s) {
			return claims, nil
		}
	}
	return nil, errScope
}

// checkAudience: aud, or client_id where a token has no aud, must be one of the
// authorizer's.
func (v *jwtVerifier) checkAudience(claims map[string]any, audience []string) error {
	if len(v.audience) == 0 {
		return nil
	}
	if len(audience) == 0 {
		audience = []string{text(claims["client_id"])}
	}
	for _, a := range audience {
		if slices.Contains(v.audience, a) {
			return nil
		}
	}
	return errors.New("the token is for another audience")
}

// authorizeByJWT asks for a good token of the issuer. A token without the scopes
// that the route asks for is forbidden, everything else unauthorized.
func (c *call) authorizeByJWT() *refusal {
	z := c.route.authorizer
	c.authRan = true
	began := c.g.now()
	defer func() { c.authLatency = c.g.now().Sub(began) }()
	if c.api.kind != "HTTP" {
		c.info("Starting authorizer: ", z.name, " for request: ", c.id)
	}
	values, ok := c.identities(z)
	c.identity, c.secrets = values, nil
	if !ok {
		return c.unauthorized()
	}
	token := values[0]
	if scheme, rest, ok := strings.Cut(token, " "); ok && strings.EqualFold(scheme, "Bearer") {
		token = rest
	}
	claims, err := z.jwt.verify(c.r.Context(), token, c.route.Scopes)
	if err != nil {
		c.g.log.Debug("a token was refused", "api", c.api.ID, "authorizer", z.name, "request_id", c.id, "error", err)
		h := c.w.Header()
		if c.api.kind == "HTTP" {
			kind := "invalid_token"
			if errors.Is(err, errScope) {
				kind = "insufficient_scope"
			}
			h.Set("Www-Authenticate", `Bearer scope="`+strings.Join(c.route.Scopes, " ")+`" error="`+kind+`"`)
			if errors.Is(err, errScope) {
				return refuse("ACCESS_DENIED")
			}
		}
		return c.unauthorized()
	}
	c.claims = claims
	if c.api.kind != "HTTP" {
		c.info("Successfully completed authorizer execution")
	}
	return nil
}
