package awssim_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/go-jose/go-jose/v4"

	accounts "github.com/gatehouse-project/gatehouse/account"
	"github.com/gatehouse-project/gatehouse/awssim"
)

const issuer = "https://oidc.example.com/id/CLUSTER"

// issuerKeys are an identity provider's keys.
type issuerKeys struct {
	rsa   *rsa.PrivateKey
	ecdsa *ecdsa.PrivateKey
	jwks  string
}

func newIssuer(t *testing.T) *issuerKeys {
	t.Helper()
	r := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	e := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: r.Public(), KeyID: "r", Algorithm: "RS256", Use: "sig"},
		{Key: e.Public(), KeyID: "e", Algorithm: "ES256", Use: "sig"},
		{Key: []byte("shared"), KeyID: "shared", Algorithm: "HS256", Use: "sig"},
	}}
	return &issuerKeys{rsa: r, ecdsa: e, jwks: string(must[[]byte](t)(json.Marshal(set)))}
}

func token(t *testing.T, algorithm jose.SignatureAlgorithm, id string, key any, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", id))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(must[[]byte](t)(json.Marshal(claims)))
	if err != nil {
		t.Fatal(err)
	}
	return must[string](t)(signed.CompactSerialize())
}

func TestAssumeRoleWithWebIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, awssim.Options{})
	keys, strangers := newIssuer(t), newIssuer(t)
	a := w.sim.Account(orders)
	provider := a.AddOIDCProvider(awssim.OIDCProvider{URL: issuer, ClientIDs: []string{"sts.amazonaws.com"}, JWKS: keys.jwks})
	if want := "arn:aws:iam::222222222222:oidc-provider/oidc.example.com/id/CLUSTER"; provider != want {
		t.Fatalf("ARN is %s, want %s", provider, want)
	}
	arn := a.AddRole(awssim.Role{Name: "Pod", Allow: []string{"logs:*"}, TrustPolicy: `{"Version": "2012-10-17", "Statement": {
		"Effect": "Allow", "Principal": {"Federated": "` + provider + `"}, "Action": "sts:AssumeRoleWithWebIdentity",
		"Condition": {"StringEquals": {"oidc.example.com/id/CLUSTER:aud": "sts.amazonaws.com", "oidc.example.com/id/CLUSTER:sub": "system:serviceaccount:gatehouse:collector"}}
	}}`})
	now := w.clock.Now()
	good := map[string]any{
		"iss": issuer, "aud": []string{"sts.amazonaws.com"}, "sub": "system:serviceaccount:gatehouse:collector",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
	with := func(key string, value any) map[string]any {
		c := maps.Clone(good)
		c[key] = value
		if value == nil {
			delete(c, key)
		}
		return c
	}
	client := sts.NewFromConfig(aws.Config{Region: region, BaseEndpoint: &w.url, RetryMaxAttempts: 1, HTTPClient: accounts.Connections(nil)})
	call := func(t *testing.T, role, text string) (*sts.AssumeRoleWithWebIdentityOutput, error) {
		t.Helper()
		return client.AssumeRoleWithWebIdentity(ctx(t), &sts.AssumeRoleWithWebIdentityInput{
			RoleArn: &role, RoleSessionName: aws.String("pod-1"), WebIdentityToken: &text,
		})
	}
	for name, text := range map[string]string{
		"RS256":               token(t, jose.RS256, "r", keys.rsa, good),
		"ES256":               token(t, jose.ES256, "e", keys.ecdsa, good),
		"audience as a text":  token(t, jose.RS256, "r", keys.rsa, with("aud", "sts.amazonaws.com")),
		"authorized party":    token(t, jose.RS256, "r", keys.rsa, with("azp", "sts.amazonaws.com")),
		"audience of several": token(t, jose.RS256, "r", keys.rsa, with("aud", []string{"x", "sts.amazonaws.com"})),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := call(t, arn, text)
			if err != nil {
				t.Fatal(err)
			}
			if *out.Provider != provider || *out.Audience != "sts.amazonaws.com" || *out.SubjectFromWebIdentityToken != "system:serviceaccount:gatehouse:collector" {
				t.Errorf("the answer is %s %s %s", *out.Provider, *out.Audience, *out.SubjectFromWebIdentityToken)
			}
			c := out.Credentials
			id := must[*sts.GetCallerIdentityOutput](t)(sts.NewFromConfig(w.config(awssim.Credentials{
				AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken,
			})).GetCallerIdentity(ctx(t), nil))
			if *id.Arn != "arn:aws:sts::222222222222:assumed-role/Pod/pod-1" {
				t.Errorf("the session is %s", *id.Arn)
			}
		})
	}
	const (
		invalid = "The web identity token that was passed could not be validated by AWS. Get a new identity token from the identity provider and then retry the request."
		noJWT   = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
		noKey   = "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements"
		denied  = "Not authorized to perform sts:AssumeRoleWithWebIdentity"
	)
	parts := strings.Split(token(t, jose.RS256, "r", keys.rsa, good), ".")
	forged := base64.RawURLEncoding.EncodeToString(must[[]byte](t)(json.Marshal(with("sub", "system:serviceaccount:kube-system:admin"))))
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + parts[1] + "."
	for _, test := range []struct{ name, role, token, code, message string }{
		{"changed claims", arn, parts[0] + "." + forged + "." + parts[2], "InvalidIdentityToken", invalid},
		{"key of another", arn, token(t, jose.RS256, "r", strangers.rsa, good), "InvalidIdentityToken", invalid},
		{"key that is not there", arn, token(t, jose.RS256, "x", keys.rsa, good), "InvalidIdentityToken", noKey},
		{"key of the wrong kind", arn, token(t, jose.RS256, "e", keys.rsa, good), "InvalidIdentityToken", invalid},
		{"no key named", arn, token(t, jose.RS256, "", keys.rsa, good), "InvalidIdentityToken", noKey},
		{"shared secret", arn, token(t, jose.HS256, "shared", []byte("shared-shared-shared-shared-share"), good), "InvalidIdentityToken", noJWT},
		{"no algorithm", arn, none, "InvalidIdentityToken", noJWT},
		{"garbage", arn, "a.b.c", "InvalidIdentityToken", noJWT},
		{"another issuer", arn, token(t, jose.RS256, "r", keys.rsa, with("iss", "https://evil.example.com")), "InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://evil.example.com"},
		{"another audience", arn, token(t, jose.RS256, "r", keys.rsa, with("aud", "x")), "InvalidIdentityToken", "Incorrect token audience"},
		{"another authorized party", arn, token(t, jose.RS256, "r", keys.rsa, with("azp", "x")), "InvalidIdentityToken", "Incorrect token audience"},
		{"no subject", arn, token(t, jose.RS256, "r", keys.rsa, with("sub", nil)), "InvalidIdentityToken", "Missing a required claim: sub, iat or exp"},
		{"no end", arn, token(t, jose.RS256, "r", keys.rsa, with("exp", nil)), "InvalidIdentityToken", "Missing a required claim: sub, iat or exp"},
		{"expired", arn, token(t, jose.RS256, "r", keys.rsa, with("exp", now.Unix())), "ExpiredTokenException", "Token expired: current date/time 1772366400 must be before the expiration date/time1772366400"},
		{"not yet", arn, token(t, jose.RS256, "r", keys.rsa, with("nbf", now.Add(time.Hour).Unix())), "InvalidIdentityToken", "Token is not valid yet"},
		{"another subject", arn, token(t, jose.RS256, "r", keys.rsa, with("sub", "system:serviceaccount:default:default")), "AccessDenied", denied},
		{"no such role", "arn:aws:iam::222222222222:role/None", token(t, jose.RS256, "r", keys.rsa, good), "AccessDenied", denied},
		{"no such account", "arn:aws:iam::999999999999:role/Pod", token(t, jose.RS256, "r", keys.rsa, good), "AccessDenied", denied},
		{"tags that are not allowed", arn, token(t, jose.RS256, "r", keys.rsa, with("https://aws.amazon.com/tags", map[string]any{"principal_tags": map[string]any{"team": []string{"sec"}}})), "AccessDenied", "Not authorized to perform sts:TagSession"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := call(t, test.role, test.token)
			wantCode(t, err, test.code, test.message)
		})
	}
}
