package awssim

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// OIDCProvider is an OpenID Connect provider that an account trusts.
type OIDCProvider struct {
	// URL is the issuer: "https://oidc.eks.eu-west-1.amazonaws.com/id/…".
	URL string
	// ClientIDs are the audiences that tokens may be for.
	ClientIDs []string
	// JWKS are the provider's keys, as its jwks_uri would answer them. Tokens are
	// signed with RS256 or ES256.
	JWKS string
}

type oidcProvider struct {
	arn, name string
	clients   []string
	keys      jose.JSONWebKeySet
}

// AddOIDCProvider registers a provider and returns its ARN, which trust policies
// name as Principal.Federated. It panics if the URL is not an issuer's or the keys
// are not a JWKS.
func (a *Account) AddOIDCProvider(p OIDCProvider) string {
	name, ok := strings.CutPrefix(p.URL, "https://")
	name = strings.TrimSuffix(name, "/")
	if !ok || name == "" {
		panic("awssim: the issuer " + p.URL + " is not an https URL")
	}
	o := &oidcProvider{
		arn:  "arn:" + a.sim.partition + ":iam::" + a.id + ":oidc-provider/" + name,
		name: name, clients: slices.Clone(p.ClientIDs),
	}
	if err := json.Unmarshal([]byte(p.JWKS), &o.keys); err != nil {
		panic("awssim: the keys of " + p.URL + ": " + err.Error())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.oidc[strings.TrimSuffix(p.URL, "/")] = o
	return o.arn
}

func (a *Account) oidcProvider(issuer string) *oidcProvider {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.oidc[strings.TrimSuffix(issuer, "/")]
}

// webIdentity is what a token says.
type webIdentity struct{ subject, audience string }

// tokenSkew is how far the issuer's clock may be ahead.
const tokenSkew = 5 * time.Minute

// maxToken is the longest token, in bytes, as AWS has it.
const maxToken = 20_000

func invalidIdentityToken(text string) *Error {
	return &Error{Code: "InvalidIdentityToken", Message: text}
}

// prepareWebIdentity reads the input and verifies the token.
func prepareWebIdentity(x *exchange) error {
	in := &assumeInput{session: x.form.Get("RoleSessionName"), tags: map[string]string{}}
	if err := in.readFederatedRole(x); err != nil {
		return err
	}
	if err := in.checkSessionName(); err != nil {
		return err
	}
	if err := in.readSession(x); err != nil {
		return err
	}
	token := x.form.Get("WebIdentityToken")
	if len(token) < 4 || len(token) > maxToken {
		return validation("1 validation error detected: Value at 'webIdentityToken' failed to satisfy constraint: Member must have length between 4 and %d", maxToken)
	}
	if err := in.verifyToken(x, token); err != nil {
		return err
	}
	in.addContext(x)
	return nil
}

// readFederatedRole reads the role of a call that is not signed. One whose account
// does not exist is told from one that trusts nobody by nothing.
func (in *assumeInput) readFederatedRole(x *exchange) error {
	x.call.Principal.Kind = KindProvider
	if err := in.readRole(x); err != nil {
		return err
	}
	x.account = x.sim.account(in.account)
	if x.account == nil || x.account.Status() != statusActive {
		x.account = nil
		return ErrAccessDenied
	}
	x.call.Account = in.account
	return nil
}

// trustProvider says who calls: the provider.
func (in *assumeInput) trustProvider(x *exchange, arn string) {
	in.provider = arn
	x.call.Principal = Principal{Account: in.account, Kind: KindProvider, ARN: arn}
	x.call.Context["aws:FederatedProvider"] = []string{arn}
}

type webClaims struct {
	Issuer     string           `json:"iss"`
	Subject    string           `json:"sub"`
	Audience   jwt.Audience     `json:"aud"`
	Authorized string           `json:"azp"`
	Expires    *jwt.NumericDate `json:"exp"`
	NotBefore  *jwt.NumericDate `json:"nbf"`
	Issued     *jwt.NumericDate `json:"iat"`
	AMR        []string         `json:"amr"`
	Source     string           `json:"https://aws.amazon.com/source_identity"`
	Tags       struct {
		Principal  map[string][]string `json:"principal_tags"`
		Transitive []string            `json:"transitive_tag_keys"`
	} `json:"https://aws.amazon.com/tags"`
}

// verifyToken checks the signature of the token, and what it says, against the
// provider that the role's account has registered for its issuer.
func (in *assumeInput) verifyToken(x *exchange, text string) error {
	token, err := jwt.ParseSigned(text, []jose.SignatureAlgorithm{jose.RS256, jose.ES256})
	var claims webClaims
	if err == nil {
		// Only to find the provider; what counts is read again with its key.
		err = token.UnsafeClaimsWithoutVerification(&claims)
	}
	if err != nil {
		return invalidIdentityToken("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	p := x.account.oidcProvider(claims.Issuer)
	if p == nil {
		return invalidIdentityToken("No OpenIDConnect provider found in your account for " + claims.Issuer)
	}
	key := p.key(token)
	if key == nil {
		return invalidIdentityToken("Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements")
	}
	claims = webClaims{}
	if err := token.Claims(key, &claims); err != nil {
		return invalidIdentityToken("The web identity token that was passed could not be validated by AWS. Get a new identity token from the identity provider and then retry the request.")
	}
	if err := in.checkClaims(x, p, &claims); err != nil {
		return err
	}
	in.web = webIdentity{subject: claims.Subject, audience: claims.Authorized}
	if in.web.audience == "" {
		for _, audience := range claims.Audience {
			if slices.Contains(p.clients, audience) {
				in.web.audience = audience
			}
		}
	}
	if !slices.Contains(p.clients, in.web.audience) {
		return invalidIdentityToken("Incorrect token audience")
	}
	in.trustProvider(x, p.arn)
	c := x.call.Context
	c[p.name+":sub"] = []string{claims.Subject}
	c[p.name+":aud"] = []string{in.web.audience}
	if claims.Authorized != "" {
		c[p.name+":oaud"] = claims.Audience
	}
	if len(claims.AMR) > 0 {
		c[p.name+":amr"] = claims.AMR
	}
	return nil
}

// checkClaims checks the times and reads what the session takes from the token.
func (in *assumeInput) checkClaims(x *exchange, p *oidcProvider, claims *webClaims) error {
	now := x.sim.clock()
	switch {
	case strings.TrimSuffix(claims.Issuer, "/") != "https://"+p.name, claims.Subject == "", claims.Expires == nil, claims.Issued == nil:
		return invalidIdentityToken("Missing a required claim: sub, iat or exp")
	case !now.Before(claims.Expires.Time()):
		return &Error{Code: "ExpiredTokenException", Message: fmt.Sprintf("Token expired: current date/time %d must be before the expiration date/time%d", now.Unix(), claims.Expires.Time().Unix())}
	case claims.Issued.Time().After(now.Add(tokenSkew)), claims.NotBefore != nil && claims.NotBefore.Time().After(now.Add(tokenSkew)):
		return invalidIdentityToken("Token is not valid yet")
	}
	in.source = claims.Source
	for k, v := range claims.Tags.Principal {
		if len(v) != 1 {
			return invalidIdentityToken("The tag " + k + " does not have one value")
		}
		if err := in.addTag(k, v[0]); err != nil {
			return err
		}
	}
	for _, k := range claims.Tags.Transitive {
		if _, ok := in.tags[k]; !ok {
			return validation("One of the specified transitive tag keys was not passed as a session tag: %s", k)
		}
		in.transitive = append(in.transitive, k)
	}
	return nil
}

// key finds the key that a token names. One that names none is verified with the
// only key that there is.
func (p *oidcProvider) key(token *jwt.JSONWebToken) any {
	if len(token.Headers) != 1 {
		return nil
	}
	keys := p.keys.Keys
	if id := token.Headers[0].KeyID; id != "" {
		keys = p.keys.Key(id)
	}
	if len(keys) != 1 || !keys[0].IsPublic() {
		return nil
	}
	return keys[0].Key
}

func assumeRoleWithWebIdentity(x *exchange) error {
	in, c, err := x.assume()
	if err != nil {
		return err
	}
	user, creds := onWire(c)
	return x.answerXML("AssumeRoleWithWebIdentity", struct {
		XMLName                     xml.Name `xml:"AssumeRoleWithWebIdentityResult"`
		SourceIdentity              string   `xml:",omitempty"`
		SubjectFromWebIdentityToken string
		Audience                    string
		Provider                    string
		AssumedRoleUser             assumedUser
		Credentials                 wireCredentials
	}{
		SourceIdentity: in.source, SubjectFromWebIdentityToken: in.web.subject, Audience: in.web.audience, Provider: in.provider,
		AssumedRoleUser: user, Credentials: creds,
	})
}
