package sigv4

import (
	"crypto"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Signer signs requests. It is safe for concurrent use as long as its fields are
// not changed.
type Signer struct {
	Credentials Credentials
	Service     string
	// Region of the scope; with ECDSA the region set: names with stars, between
	// commas, such as "us-east-1,eu-*" or "*".
	Region    string
	Algorithm Algorithm
	Rules     Rules
	// Headers says which headers of the request are signed, by lower-case name;
	// nil: SignedByDefault. Host and the x-amz-… headers that signing adds always
	// are.
	Headers func(name string) bool
	// ContentHash adds the header X-Amz-Content-Sha256.
	ContentHash bool
	// PayloadHash is the digest of the body, or UnsignedPayload, where the caller
	// knows it; empty: the body is read.
	PayloadHash string
	// MaxBody is how long a body may be, in bytes; 0: MaxBody.
	MaxBody int64
}

// Signature is what was signed and how. Neither text holds a secret but the
// session token.
type Signature struct {
	CanonicalRequest string
	StringToSign     string
	SignedHeaders    string
	// Value is the signature in hexadecimal.
	Value string
}

// SignedByDefault reports whether a header is signed where nothing else is said:
// all are but those that proxies and clients change on the way.
func SignedByDefault(name string) bool {
	switch name {
	case "authorization", "user-agent", "connection", "keep-alive", "expect", "te", "trailer", "upgrade", "via",
		"transfer-encoding", "content-length", "accept-encoding", "forwarded", "x-amzn-trace-id",
		"traceparent", "tracestate":
		return false
	}
	return !strings.HasPrefix(name, "x-forwarded-") && !strings.HasPrefix(name, "proxy-") &&
		!strings.HasPrefix(name, "sec-websocket-")
}

// Sign signs the request at a time: it sets X-Amz-Date, the session token, what
// else the algorithm needs, and Authorization, and takes away a signature that
// the query has. The body can be read afterwards as before.
func (s *Signer) Sign(r *http.Request, at time.Time) (Signature, error) {
	if err := s.valid(); err != nil {
		return Signature{}, err
	}
	payload, err := s.payload(r, EmptyPayload)
	if err != nil {
		return Signature{}, err
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	h := r.Header
	setQuery(r, nil)
	h.Del(headerAuthorization)
	h.Del(headerToken)
	h.Del(headerRegionSet)
	date := basic(at)
	h.Set(headerDate, date)
	if s.Algorithm == ECDSA {
		h.Set(headerRegionSet, s.Region)
	}
	if s.ContentHash || payload == UnsignedPayload {
		h.Set(headerContentHash, payload)
	}
	token := s.Credentials.SessionToken
	if token != "" && !s.Rules.TokenAfterSigning {
		h.Set(headerToken, token)
	}
	scope := s.scope(date)
	sig, err := s.sign(r, date, scope, payload, headerDate, headerToken, headerRegionSet, headerContentHash)
	if err != nil {
		return Signature{}, err
	}
	if token != "" {
		h.Set(headerToken, token)
	}
	h.Set(headerAuthorization, s.Algorithm.String()+" Credential="+s.Credentials.AccessKeyID+"/"+scope+
		", SignedHeaders="+sig.SignedHeaders+", Signature="+sig.Value)
	return sig, nil
}

// Presign signs the request in its query, from a time on for as long as expires,
// which is at least a second and at most MaxExpires. A body is signed too, but
// for S3. The request's URL then is the presigned one.
func (s *Signer) Presign(r *http.Request, at time.Time, expires time.Duration) (Signature, error) {
	if err := s.valid(); err != nil {
		return Signature{}, err
	}
	if expires < time.Second || expires > MaxExpires {
		return Signature{}, fmt.Errorf("presigning: the request would live %v; it must be between 1 second and 7 days", expires)
	}
	none := EmptyPayload
	if s.Rules.UnsignedPayload {
		none = UnsignedPayload
	}
	payload, err := s.payload(r, none)
	if err != nil {
		return Signature{}, err
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	for _, name := range []string{headerAuthorization, headerDate, headerToken, headerRegionSet} {
		r.Header.Del(name)
	}
	date := basic(at)
	scope := s.scope(date)
	names := s.names(r)
	params := [][2]string{
		{queryAlgorithm, s.Algorithm.String()},
		{queryCredential, s.Credentials.AccessKeyID + "/" + scope},
		{headerDate, date},
		{querySignedHeaders, names},
		{queryExpires, strconv.FormatInt(int64(expires/time.Second), 10)},
	}
	if s.Algorithm == ECDSA {
		params = append(params, [2]string{headerRegionSet, s.Region})
	}
	token := s.Credentials.SessionToken
	if token != "" && !s.Rules.TokenAfterSigning {
		params = append(params, [2]string{headerToken, token})
	}
	setQuery(r, params)
	sig, err := s.sign(r, date, scope, payload)
	if err != nil {
		return Signature{}, err
	}
	if token != "" && s.Rules.TokenAfterSigning {
		params = append(params, [2]string{headerToken, token})
	}
	setQuery(r, append(params, [2]string{querySignature, sig.Value}))
	return sig, nil
}

func (s *Signer) valid() error {
	switch {
	case s.Credentials.AccessKeyID == "" || s.Credentials.SecretAccessKey == "":
		return errors.New("signing: there is no access key")
	case s.Service == "":
		return errors.New("signing: there is no service to sign for")
	case s.Region == "":
		return errors.New("signing: there is no region to sign for")
	case strings.ContainsAny(s.Credentials.AccessKeyID+s.Service, "/, \r\n"), s.Algorithm == HMAC && strings.ContainsAny(s.Region, "/, \r\n"):
		return errors.New("signing: the access key's id, the region or the service has a letter that a credential scope cannot hold")
	}
	return nil
}

// payload is the digest of the body; none stands for no body.
func (s *Signer) payload(r *http.Request, none string) (string, error) {
	if s.PayloadHash != "" {
		return s.PayloadHash, nil
	}
	if none == UnsignedPayload {
		return none, nil
	}
	limit := s.MaxBody
	if limit == 0 {
		limit = MaxBody
	}
	return hashBody(r, limit)
}

func (s *Signer) scope(date string) string {
	if s.Algorithm == ECDSA {
		return date[:8] + "/" + s.Service + "/" + terminator
	}
	return date[:8] + "/" + s.Region + "/" + s.Service + "/" + terminator
}

// names are the signed headers: Host, those that are chosen, and those of added
// that the request has.
func (s *Signer) names(r *http.Request, added ...string) string {
	chosen := s.Headers
	if chosen == nil {
		chosen = SignedByDefault
	}
	names := make([]string, 0, len(r.Header)+1)
	names = append(names, "host")
	for key := range r.Header {
		name := strings.ToLower(key)
		if name != "host" && name != "authorization" && (slices.Contains(added, key) || chosen(name)) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ";")
}

func (s *Signer) sign(r *http.Request, date, scope, payload string, added ...string) (Signature, error) {
	var m message
	m.read(r)
	mem, _ := scratches.Get().(*scratch)
	defer mem.free()
	names := s.names(r, added...)
	f := form{single: s.Rules.SingleEncode, normalize: s.Rules.Path != PathAsSent}
	if !mem.canonical(&m, f, names, payload) {
		return Signature{}, errors.New("signing: the request has no host, or a header whose name is not spelled as net/http spells it")
	}
	mem.stringToSign(s.Algorithm.String(), date, scope)
	text := mem.text[sha256.BlockSize:]
	sig := Signature{CanonicalRequest: string(mem.request), StringToSign: string(text), SignedHeaders: names}
	if s.Algorithm == ECDSA {
		private, err := PrivateKey(s.Credentials.AccessKeyID, s.Credentials.SecretAccessKey)
		if err != nil {
			return Signature{}, err
		}
		digest := sha256.Sum256(text)
		// Without a source of randomness the nonce is derived from the key and the
		// digest (RFC 6979), so that signing is a function of what is signed.
		der, err := private.Sign(nil, digest[:], crypto.SHA256)
		if err != nil {
			return Signature{}, fmt.Errorf("signing: %w", err)
		}
		sig.Value = hex.EncodeToString(der)
		return sig, nil
	}
	key := signingKey(s.Credentials.SecretAccessKey, date[:8], s.Region, s.Service)
	sum := hmacSHA256(key[:], mem.text)
	sig.Value = hex.EncodeToString(sum[:])
	return sig, nil
}

// setQuery puts the parameters of a signature behind the query, in place of those
// that are there, and leaves all others exactly as they are.
func setQuery(r *http.Request, params [][2]string) {
	var m message
	m.read(r)
	kept := make([]string, 0, 16)
	if m.query != "" {
		for pair := range strings.SplitSeq(m.query, "&") {
			if name, _, _ := strings.Cut(pair, "="); !ofSignature(name) {
				kept = append(kept, pair)
			}
		}
	}
	for _, p := range params {
		kept = append(kept, p[0]+"="+strings.ReplaceAll(url.QueryEscape(p[1]), "+", "%20"))
	}
	query := strings.Join(kept, "&")
	if query == m.query {
		return
	}
	if r.URL != nil {
		r.URL.RawQuery = query
	}
	if r.RequestURI != "" {
		target, _, _ := strings.Cut(r.RequestURI, "?")
		if query != "" {
			target += "?" + query
		}
		r.RequestURI = target
	}
}

// ofSignature reports whether a query parameter belongs to a signature.
func ofSignature(name string) bool {
	switch name {
	case queryAlgorithm, queryCredential, headerDate, queryExpires, querySignedHeaders, headerToken, headerRegionSet, querySignature:
		return true
	}
	return false
}
