package sigv4

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// DefaultSkew is how far the clocks of client and server may be apart: AWS's five
// minutes.
const DefaultSkew = 5 * time.Minute

// MaxExpires is the longest life of a presigned request.
const MaxExpires = 7 * 24 * time.Hour

// Verifier verifies signatures. Its fields are not changed once it is in use; it
// is safe for concurrent use and must not be copied. It remembers derived keys of
// some thousand access keys.
type Verifier struct {
	// Lookup finds the credentials of an access key. It is called after everything
	// that can be refused without it.
	Lookup Lookup
	// Service and Region are the scope that is asked for; empty: any.
	Service string
	Region  string
	// Skew is how far a request's time may be from now; 0: DefaultSkew.
	Skew time.Duration
	// PresignedLife is how long a presigned request is good, whatever X-Amz-Expires
	// says; 0: for as long as that says.
	PresignedLife time.Duration
	// MaxBody is how long a body may be, in bytes; 0: MaxBody.
	MaxBody int64
	// Rules of the service. With no Service they are RulesOf the one in the
	// request's own scope.
	Rules Rules
	// HMACOnly refuses SigV4a.
	HMACOnly bool

	hmacKeys  keys[hmacKey, [sha256.Size]byte]
	ecdsaKeys keys[ecdsaKey, *ecdsa.PublicKey]
}

// Verified is what a good signature says.
type Verified struct {
	// Credentials are those that Lookup found.
	Credentials Credentials
	Algorithm   Algorithm
	// At is the time of signing.
	At time.Time
	// Expires ends a presigned request; the zero time for another.
	Expires time.Time
	// Region is the region of the scope; for SigV4a the region set.
	Region  string
	Service string
	// Presigned says that the signature is in the query.
	Presigned bool
	// SignedHeaders are the names of the signed headers, joined by semicolons.
	SignedHeaders string
	// PayloadHash is the digest of the body, or UnsignedPayload.
	PayloadHash string
}

// Verify checks the request's signature at the time now. The body is read only
// when all else is good, kept in memory once, and can be read from the request
// again afterwards.
//
// A refusal is an *Error. ErrBodyTooLong, an error of reading the body, and an
// error of Lookup that says something else than that the key does not exist, are
// returned wrapped. The order of the checks is AWS's: where the signature is,
// syntax, what is missing, the date, its window, that the host is signed, the
// algorithm, the credential, its scope, the access key, the signature, the
// session token and its end.
func (v *Verifier) Verify(r *http.Request, now time.Time) (Verified, error) {
	var c claim
	rules, credentials, err := v.check(&c, r, now)
	if err != nil {
		return Verified{}, err
	}
	payload := UnsignedPayload
	if !rules.UnsignedPayload || !c.unsigned() {
		limit := v.MaxBody
		if limit == 0 {
			limit = MaxBody
		}
		if payload, err = hashBody(r, limit); err != nil {
			return Verified{}, err
		}
	}
	return v.finish(&c, rules, &credentials, payload, now)
}

// VerifyBody is Verify for a request whose body was read already.
func (v *Verifier) VerifyBody(r *http.Request, body []byte, now time.Time) (Verified, error) {
	var c claim
	rules, credentials, err := v.check(&c, r, now)
	if err != nil {
		return Verified{}, err
	}
	payload := UnsignedPayload
	if !rules.UnsignedPayload || !c.unsigned() {
		payload = PayloadHash(body)
	}
	return v.finish(&c, rules, &credentials, payload, now)
}

// unsigned reports whether the client left the body out. A presigned request of
// S3 always does.
func (c *claim) unsigned() bool {
	h := c.first(headerContentHash)
	return h == UnsignedPayload || h == "" && c.presigned
}

// check does everything up to and with the lookup of the access key.
func (v *Verifier) check(c *claim, r *http.Request, now time.Time) (Rules, Credentials, error) {
	var none Credentials
	if e := c.read(r); e != nil {
		return Rules{}, none, e
	}
	if e := c.readDate(); e != nil {
		return Rules{}, none, e
	}
	if e := v.checkWindow(c, now); e != nil {
		return Rules{}, none, e
	}
	if !c.signs("host") && !c.signs(":authority") {
		return Rules{}, none, invalid(hostNotSignedText)
	}
	switch {
	case c.algorithm == hmacName:
		c.method = HMAC
	case c.algorithm == ecdsaName && !v.HMACOnly:
		c.method = ECDSA
	default:
		return Rules{}, none, incomplete("Unsupported AWS 'algorithm': '"+c.algorithm+"' (only AWS4-HMAC-SHA256 for now). ",
			"the algorithm is not supported")
	}
	if e := c.readCredential(); e != nil {
		return Rules{}, none, e
	}
	if e := v.checkScope(c); e != nil {
		return Rules{}, none, e
	}
	credentials, err := none, ErrUnknownAccessKey
	if v.Lookup != nil {
		credentials, err = v.Lookup(c.accessKeyID)
	}
	if err == nil && credentials.SecretAccessKey == "" {
		// Anyone can sign with no secret.
		err = ErrUnknownAccessKey
	}
	if err != nil {
		if e, ok := errors.AsType[*Error](err); ok {
			return Rules{}, none, e
		}
		if errors.Is(err, ErrUnknownAccessKey) {
			return Rules{}, none, &Error{Code: CodeUnrecognized, Message: unrecognizedText}
		}
		return Rules{}, none, fmt.Errorf("looking up an access key: %w", err)
	}
	if credentials.AccessKeyID == "" {
		credentials.AccessKeyID = strings.Clone(c.accessKeyID)
	}
	rules := v.Rules
	if v.Service == "" && rules == (Rules{}) {
		rules = RulesOf(c.service)
	}
	return rules, credentials, nil
}

// checkWindow checks that the request was signed not long ago, and that a
// presigned one has not ended.
func (v *Verifier) checkWindow(c *claim, now time.Time) *Error {
	skew := v.Skew
	if skew == 0 {
		skew = DefaultSkew
	}
	life := skew
	if c.expiresText != "" {
		seconds, err := strconv.Atoi(c.expiresText)
		// The texts are S3's; those of other services are not known.
		switch {
		case err != nil || c.expiresText[0] == '+':
			return incomplete("X-Amz-Expires should be a number", "")
		case seconds < 1:
			return incomplete("X-Amz-Expires must be non-negative", "")
		case seconds > int(MaxExpires/time.Second):
			return incomplete("X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds", "")
		}
		life = time.Duration(seconds) * time.Second
		c.expires = life
	}
	if c.presigned && v.PresignedLife > 0 {
		life = v.PresignedLife
		c.expires = life
	}
	if early := now.Add(-life); c.at.Before(early) {
		return invalid("Signature expired: " + c.date + " is now earlier than " + basic(early) + " (" + basic(now) + " - " + span(life) + ".)")
	}
	if late := now.Add(skew); c.at.After(late) {
		return invalid("Signature not yet current: " + c.date + " is still later than " + basic(late) + " (" + basic(now) + " + " + span(skew) + ".)")
	}
	return nil
}

// span writes a time as AWS's texts have it, such as "5 min".
func span(d time.Duration) string {
	if d%time.Minute == 0 {
		return strconv.Itoa(int(d/time.Minute)) + " min"
	}
	return strconv.Itoa(int(d/time.Second)) + " sec"
}

// checkScope checks the scope and lists all that is wrong with it.
func (v *Verifier) checkScope(c *claim) *Error {
	region := c.region
	if c.method == ECDSA {
		region = c.regionSet
		// A region set that is not signed is not what the client said.
		if !c.presigned && !c.signs("x-amz-region-set") {
			region = ""
		}
	}
	ok := region != "" && (v.Region == "" || region == v.Region)
	if c.method == ECDSA && v.Region != "" {
		ok = inRegionSet(region, v.Region)
	}
	var text strings.Builder
	if !ok {
		text.WriteString("Credential should be scoped to a valid region. ")
	}
	if c.service == "" || v.Service != "" && c.service != v.Service {
		text.WriteString("Credential should be scoped to correct service: '" + v.Service + "'. ")
	}
	if c.end != terminator {
		text.WriteString("Credential should be scoped with a valid terminator: 'aws4_request', not '" + c.end + "'. ")
	}
	if c.day != c.date[:8] {
		text.WriteString("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" +
			c.day + "' != '" + c.date[:8] + "', from '" + c.date + "'. ")
	}
	if text.Len() > 0 {
		return invalid(text.String())
	}
	return nil
}

// inRegionSet reports whether a region is in a set: names with stars, between
// commas.
func inRegionSet(set, region string) bool {
	for rest, more := set, true; more; {
		var pattern string
		pattern, rest, more = strings.Cut(rest, ",")
		if matchRegion(strings.TrimSpace(pattern), region) {
			return true
		}
	}
	return false
}

// matchRegion matches a name with stars, in time that is at most the product of
// the lengths.
func matchRegion(pattern, name string) bool {
	p, n, star, mark := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && pattern[p] == name[n]:
			p++
			n++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// finish checks the signature, then the session token.
func (v *Verifier) finish(c *claim, rules Rules, credentials *Credentials, payload string, now time.Time) (Verified, error) {
	s, _ := scratches.Get().(*scratch)
	defer s.free()
	k := v.derive(c, credentials)
	good := false
	for _, f := range c.forms(rules) {
		if good = k.verify(s, c, f, payload); good {
			break
		}
	}
	if !good {
		return Verified{}, v.refuse(s, c, k, rules, payload)
	}
	v.remember(c, credentials, k)
	if subtle.ConstantTimeCompare([]byte(c.token), []byte(credentials.SessionToken)) != 1 {
		return Verified{}, &Error{Code: CodeUnrecognized, Message: unrecognizedText}
	}
	if !credentials.Expires.IsZero() && !now.Before(credentials.Expires) {
		return Verified{}, &Error{Code: CodeExpiredToken, Message: expiredTokenText}
	}
	out := Verified{
		Credentials: *credentials, Algorithm: c.method, At: c.at, Region: c.region, Service: c.service,
		Presigned: c.presigned, SignedHeaders: c.signedHeaders, PayloadHash: payload,
	}
	if c.method == ECDSA {
		out.Region = c.regionSet
	}
	if c.presigned {
		life := c.expires
		if life == 0 {
			life = DefaultSkew
		}
		out.Expires = c.at.Add(life)
	}
	return out, nil
}

var (
	omitSignature = []string{querySignature}
	omitToken     = []string{querySignature, headerToken}
)

// forms are the canonical forms that may have been signed.
func (c *claim) forms(rules Rules) []form {
	f := form{single: rules.SingleEncode, normalize: rules.Path == PathNormalized}
	if c.presigned {
		f.omit = omitSignature
		if rules.TokenAfterSigning {
			f.omit = omitToken
		}
	}
	if rules.Path != PathEither || normal(c.path) {
		return append(make([]form, 0, 2), f)
	}
	n := f
	n.normalize = true
	return append(make([]form, 0, 2), f, n)
}

// normal reports whether normalising would leave the path as it is.
func normal(path string) bool {
	return strings.HasPrefix(path, "/") && !strings.Contains(path, "//") && !strings.Contains(path, "/.")
}

// derived is the key that a signature is checked with.
type derived struct {
	hmac   [sha256.Size]byte
	public *ecdsa.PublicKey // SigV4a
	cached bool
}

func (v *Verifier) derive(c *claim, credentials *Credentials) (k derived) {
	if c.method == ECDSA {
		name := ecdsaKey{credentials.AccessKeyID, credentials.SecretAccessKey}
		if k.public, k.cached = v.ecdsaKeys.get(name); k.cached {
			return k
		}
		if private, err := PrivateKey(credentials.AccessKeyID, credentials.SecretAccessKey); err == nil {
			k.public = &private.PublicKey
		}
		return k
	}
	name := hmacKey{credentials.SecretAccessKey, c.day, c.region, c.service}
	if k.hmac, k.cached = v.hmacKeys.get(name); !k.cached {
		k.hmac = signingKey(credentials.SecretAccessKey, c.day, c.region, c.service)
	}
	return k
}

// remember keeps the key of a good signature.
func (v *Verifier) remember(c *claim, credentials *Credentials, k derived) {
	switch {
	case k.cached:
	case c.method == ECDSA:
		v.ecdsaKeys.put(ecdsaKey{credentials.AccessKeyID, credentials.SecretAccessKey}, k.public)
	default:
		// The parts of the scope are cut from a header, which they would keep.
		v.hmacKeys.put(hmacKey{
			credentials.SecretAccessKey, strings.Clone(c.day), strings.Clone(c.region), strings.Clone(c.service),
		}, k.hmac)
	}
}

// verify checks the signature over one form of the message. It leaves the
// canonical request in s.request and the string to sign in s.text, behind the
// room that hmacSHA256 needs.
func (k *derived) verify(s *scratch, c *claim, f form, payload string) bool {
	complete := s.canonical(&c.message, f, c.signedHeaders, payload)
	s.stringToSign(c.algorithm, c.date, c.scope())
	if c.method == ECDSA {
		return complete && k.public != nil && verifyECDSA(k.public, c.signature, s.text[sha256.BlockSize:])
	}
	sum := hmacSHA256(k.hmac[:], s.text)
	var text [2 * sha256.Size]byte
	hex.Encode(text[:], sum[:])
	return subtle.ConstantTimeCompare([]byte(c.signature), text[:]) == 1 && complete
}

// verifyECDSA checks a signature in hexadecimal ASN.1 DER.
func verifyECDSA(public *ecdsa.PublicKey, signature string, text []byte) bool {
	der, err := hex.DecodeString(signature)
	if err != nil || strings.ToLower(signature) != signature {
		return false
	}
	digest := sha256.Sum256(text)
	return ecdsa.VerifyASN1(public, digest[:], der)
}

// stringToSign writes the string to sign to s.text.
func (s *scratch) stringToSign(algorithm, date, scope string) {
	if cap(s.text) < sha256.BlockSize {
		s.text = make([]byte, sha256.BlockSize, 512)
	}
	t := append(s.text[:sha256.BlockSize], algorithm...)
	t = append(t, '\n')
	t = append(t, date...)
	t = append(t, '\n')
	t = append(t, scope...)
	t = append(t, '\n')
	sum := sha256.Sum256(s.request)
	s.text = hex.AppendEncode(t, sum[:])
}

// refuse tells of a signature that does not match what should have been signed,
// and looks for the usual reasons why it was not.
func (v *Verifier) refuse(s *scratch, c *claim, k derived, rules Rules, payload string) *Error {
	usual := c.forms(rules)[0]
	k.verify(s, c, usual, payload)
	e := mismatch(string(s.request), string(s.text[sha256.BlockSize:]))
	try := func(hint string, f form, payload string) {
		if e.Hint == "" && k.verify(s, c, f, payload) {
			e.Hint = hint
		}
	}
	single := usual
	single.single = !usual.single
	if usual.single {
		try("the client encoded the path twice; this service wants it once", single, payload)
	} else if strings.ContainsRune(c.path, '%') {
		try("the client encoded the path once; this service wants the encoded path encoded again", single, payload)
	}
	if c.presigned && c.token != "" {
		after := usual
		after.omit = omitToken
		try("the client added the session token after signing; this service wants it signed", after, payload)
	}
	if declared := c.first(headerContentHash); declared != "" && declared != payload {
		try("the client signed the payload as "+clipHash(declared)+", which is not the body's digest", usual, declared)
	} else if payload != EmptyPayload {
		try("the client signed an empty body", usual, EmptyPayload)
	}
	return e
}

// clipHash shortens what a client says the payload is.
func clipHash(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
