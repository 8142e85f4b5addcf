package demo

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// issuer is the OIDC provider of the shop's customers.
type issuer struct {
	*http.ServeMux
	signer jose.Signer
}

// newIssuer makes a provider with a key of its own.
func newIssuer() (*issuer, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("making the key of the demo's token issuer: %w", err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key, KeyID: "demo-1"}}, nil)
	if err != nil {
		return nil, fmt.Errorf("making the demo's token issuer: %w", err)
	}
	i := &issuer{http.NewServeMux(), signer}
	document := func(path string, v any) {
		i.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(v) // whoever asks may have gone
		})
	}
	document("/.well-known/openid-configuration", map[string]any{
		"issuer": "https://" + issuerHost, "jwks_uri": "https://" + issuerHost + "/keys",
		"authorization_endpoint": "https://" + issuerHost + "/authorize", "token_endpoint": "https://" + issuerHost + "/token",
		"id_token_signing_alg_values_supported": []string{"RS256"},
	})
	document("/keys", jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "demo-1", Algorithm: "RS256", Use: "sig"}}})
	return i, nil
}

// tokenLife is how long the issuer's tokens are good.
const tokenLife = time.Hour

// token is a signed token for a customer, issued at a time.
func (i *issuer) token(subject string, at time.Time) (string, error) {
	text, err := jwt.Signed(i.signer).Claims(jwt.Claims{
		Issuer: "https://" + issuerHost, Subject: subject, Audience: jwt.Audience{"catalog"},
		IssuedAt: jwt.NewNumericDate(at), Expiry: jwt.NewNumericDate(at.Add(tokenLife)),
	}).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing a token: %w", err)
	}
	return text, nil
}
