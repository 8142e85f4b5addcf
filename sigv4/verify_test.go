package sigv4_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/sigv4"
)

const (
	mismatch = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
	unknown  = "The security token included in the request is invalid."
	full     = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260301/eu-west-1/execute-api/aws4_request, SignedHeaders=host;x-amz-date, Signature=00"
)

// The texts of a request that is refused before its signature is looked at, in
// the order in which they are found: each row has what the rows after it complain
// of, and passes those before it.
func TestRefusalsOfHeaders(t *testing.T) {
	t.Parallel()
	requires := func(names ...string) string {
		var b strings.Builder
		for _, n := range names {
			if n == "date" {
				b.WriteString("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
			} else {
				b.WriteString("Authorization header requires '" + n + "' parameter. ")
			}
		}
		return b.String()
	}
	with := func(old, by string) string { return strings.Replace(full, old, by, 1) }
	for _, test := range []struct {
		name, authorization, date, code, message string
	}{
		{"nothing", "", "", sigv4.CodeMissingToken, "Missing Authentication Token"},
		{"bearer", "Bearer tok", "", sigv4.CodeIncomplete, "'tok' not a valid key=value pair (missing equal-sign) in Authorization header: 'Bearer tok'."},
		{"bare token", "tok", "", sigv4.CodeIncomplete, requires("Credential", "Signature", "SignedHeaders", "date") + "Authorization=tok"},
		{"some missing", "AWS4-HMAC-SHA256 Signature=b, Credential=a", "20260301T120000Z", sigv4.CodeIncomplete, requires("SignedHeaders") + "Authorization=AWS4-HMAC-SHA256 Signature=b, Credential=a"},
		{"no date", full, "", sigv4.CodeIncomplete, requires("date") + "Authorization=" + full},
		{"empty value", "AWS4-HMAC-SHA256 Credential=,SignedHeaders=,Signature=", "20260301T120000Z", sigv4.CodeIncomplete, requires("Credential", "Signature") + "Authorization=AWS4-HMAC-SHA256 Credential=,SignedHeaders=,Signature="},
		{"twice", full + ", Signature=11", "20260301T120000Z", sigv4.CodeIncomplete, "Authorization header has the parameter 'Signature' more than once. Authorization=" + full + ", Signature=11"},
		{"bad date", full, "2026-03-01", sigv4.CodeIncomplete, "Date must be in ISO-8601 'basic format'. Got '2026-03-01'. See http://en.wikipedia.org/wiki/ISO_8601"},
		{"a day that is not", full, "20260231T120000Z", sigv4.CodeIncomplete, "Date must be in ISO-8601 'basic format'. Got '20260231T120000Z'. See http://en.wikipedia.org/wiki/ISO_8601"},
		{"letters in the date", full, "2026x301T120000Z", sigv4.CodeIncomplete, "Date must be in ISO-8601 'basic format'. Got '2026x301T120000Z'. See http://en.wikipedia.org/wiki/ISO_8601"},
		{"expired", with("SignedHeaders=host;", "SignedHeaders="), "20260301T115459Z", sigv4.CodeInvalid, "Signature expired: 20260301T115459Z is now earlier than 20260301T115500Z (20260301T120000Z - 5 min.)"},
		{"not yet", full, "20260301T120501Z", sigv4.CodeInvalid, "Signature not yet current: 20260301T120501Z is still later than 20260301T120500Z (20260301T120000Z + 5 min.)"},
		{"host not signed", with("SignedHeaders=host;", "SignedHeaders="), "20260301T120000Z", sigv4.CodeInvalid, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."},
		{"no headers signed", with("SignedHeaders=host;x-amz-date", "SignedHeaders="), "20260301T120000Z", sigv4.CodeInvalid, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."},
		{"algorithm", with("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"), "20260301T120000Z", sigv4.CodeIncomplete, "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA1' (only AWS4-HMAC-SHA256 for now). "},
		{"credential", with("AKIDEXAMPLE/20260301/eu-west-1/execute-api/aws4_request", "a/b"), "20260301T120000Z", sigv4.CodeIncomplete, "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'a/b'"},
		{"credential of v4a", strings.Replace(full, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", 1), "20260301T120000Z", sigv4.CodeIncomplete, "Credential must have exactly 4 slash-delimited elements, e.g. keyid/date/service/term, got 'AKIDEXAMPLE/20260301/eu-west-1/execute-api/aws4_request'"},
		{"region", with("eu-west-1", "us-east-1"), "20260301T120000Z", sigv4.CodeInvalid, "Credential should be scoped to a valid region. "},
		{"service", with("execute-api", "s3"), "20260301T120000Z", sigv4.CodeInvalid, "Credential should be scoped to correct service: 'execute-api'. "},
		{"all of the scope", with("20260301/eu-west-1/execute-api/aws4_request", "20260228/x/y/z"), "20260301T120000Z", sigv4.CodeInvalid, "Credential should be scoped to a valid region. Credential should be scoped to correct service: 'execute-api'. Credential should be scoped with a valid terminator: 'aws4_request', not 'z'. Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '20260228' != '20260301', from '20260301T120000Z'. "},
		{"unknown key", with("AKIDEXAMPLE", "AKIDOTHER"), "20260301T120000Z", sigv4.CodeUnrecognized, unknown},
		{"key without a secret", with("AKIDEXAMPLE", "NOSECRET"), "20260301T120000Z", sigv4.CodeUnrecognized, unknown},
		{"a refusal of the lookup", with("AKIDEXAMPLE", "CLOSED"), "20260301T120000Z", "Closed", "closed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := request("GET", "/prod/pets", "")
			if test.authorization != "" {
				r.Header.Set("Authorization", test.authorization)
			}
			if test.date != "" {
				r.Header.Set("X-Amz-Date", test.date)
			}
			_, err := newVerifier().Verify(r, noon)
			wantRefusal(t, err, test.code, test.message)
		})
	}
}

func TestRefusalsOfQueries(t *testing.T) {
	t.Parallel()
	const (
		rest  = "&X-Amz-Credential=AKIDEXAMPLE/20260301/eu-west-1/execute-api/aws4_request&X-Amz-Signature=00&X-Amz-SignedHeaders=host&X-Amz-Date=20260301T120000Z"
		query = "X-Amz-Algorithm=AWS4-HMAC-SHA256" + rest
		again = "Re-examine the query-string parameters."
	)
	include := func(names ...string) string {
		return "AWS query-string parameters must include '" + strings.Join(names, "'. AWS query-string parameters must include '") + "'. " + again
	}
	for _, test := range []struct{ name, query, code, message string }{
		{"other parameters alone", "X-Amz-Date=1&x=X-Amz-Algorithm", sigv4.CodeMissingToken, "Missing Authentication Token"},
		{"empty algorithm", "X-Amz-Algorithm", sigv4.CodeIncomplete, include("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date")},
		{"signature alone", "X-Amz-Signature=1", sigv4.CodeIncomplete, include("X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Date")},
		{"some missing", "X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-Date=d", sigv4.CodeIncomplete, include("X-Amz-SignedHeaders")},
		{"twice", query + "&X-Amz-Date=20260301T120000Z", sigv4.CodeIncomplete, "The query-string parameter 'X-Amz-Date' is there more than once. " + again},
		{"not encoded", strings.Replace(query, "AKID", "%zz", 1), sigv4.CodeIncomplete, "The query-string parameter 'X-Amz-Credential' is not URL-encoded. " + again},
		{"date in another form", strings.Replace(query, "20260301T120000Z", "Sun,%2001%20Mar%202026%2012:00:00%20GMT", 1), sigv4.CodeIncomplete, "Date must be in ISO-8601 'basic format'. Got 'Sun, 01 Mar 2026 12:00:00 GMT'. See http://en.wikipedia.org/wiki/ISO_8601"},
		{"life is no number", query + "&X-Amz-Expires=soon", sigv4.CodeIncomplete, "X-Amz-Expires should be a number"},
		{"life is negative", query + "&X-Amz-Expires=-1", sigv4.CodeIncomplete, "X-Amz-Expires must be non-negative"},
		{"life is too long", query + "&X-Amz-Expires=604801", sigv4.CodeIncomplete, "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds"},
		{"ended", strings.Replace(query, "T120000Z", "T115929Z", 1) + "&X-Amz-Expires=30", sigv4.CodeInvalid, "Signature expired: 20260301T115929Z is now earlier than 20260301T115930Z (20260301T120000Z - 30 sec.)"},
		{"an hour ago", strings.Replace(query, "T120000Z", "T105959Z", 1) + "&X-Amz-Expires=3600", sigv4.CodeInvalid, "Signature expired: 20260301T105959Z is now earlier than 20260301T110000Z (20260301T120000Z - 60 min.)"},
		{"no life", strings.Replace(query, "T120000Z", "T115459Z", 1), sigv4.CodeInvalid, "Signature expired: 20260301T115459Z is now earlier than 20260301T115500Z (20260301T120000Z - 5 min.)"},
		{"region set of v4a", strings.Replace(strings.Replace(query, "AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", 1), "/eu-west-1", "", 1), sigv4.CodeInvalid, "Credential should be scoped to a valid region. "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := newVerifier().Verify(request("GET", "/prod/pets?"+test.query, ""), noon)
			wantRefusal(t, err, test.code, test.message)
		})
	}
	r := request("GET", "/prod/pets?"+query, "")
	r.Header.Set("Authorization", full)
	_, err := newVerifier().Verify(r, noon)
	wantRefusal(t, err, sigv4.CodeInvalid, "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")
}

func TestVerified(t *testing.T) {
	t.Parallel()
	r := signed(t, newSigner(session), request("POST", "/prod/pets?b=1&a=2", "body"))
	v := newVerifier()
	for range 2 { // the second time the key is remembered
		got, err := v.Verify(r, noon.Add(5*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if got.Credentials != session || got.Presigned || !got.At.Equal(noon) || !got.Expires.IsZero() || got.Region != "eu-west-1" || got.Service != "execute-api" || got.PayloadHash != sigv4.PayloadHash([]byte("body")) || got.SignedHeaders != "host;x-amz-date;x-amz-security-token" {
			t.Errorf("verified as %+v", got)
		}
	}
	if body, err := io.ReadAll(r.Body); err != nil || string(body) != "body" {
		t.Errorf("the body afterwards is %q (%v)", body, err)
	}
	p := presigned(t, newSigner(session), request("GET", "/prod/pets?x=%2F", ""), time.Hour)
	got, err := newVerifier().Verify(p, noon.Add(time.Hour))
	if err != nil || !got.Presigned || !got.Expires.Equal(noon.Add(time.Hour)) || got.Credentials != session {
		t.Errorf("verified as %+v (%v)", got, err)
	}
}

func TestExpiresIsOptional(t *testing.T) {
	t.Parallel()
	// Other clients presign without X-Amz-Expires; the window is then that of a
	// header. Made by hand: the signer always gives it.
	s := newSigner(user)
	r := presigned(t, s, request("GET", "/", ""), time.Hour)
	query, _, _ := strings.Cut(strings.Replace(r.RequestURI, "&X-Amz-Expires=3600", "", 1)[2:], "&X-Amz-Signature=")
	r = request("GET", "/?"+query+"&X-Amz-Signature="+strings.Repeat("0", 64), "")
	_, err := newVerifier().Verify(r, noon)
	e, ok := errors.AsType[*sigv4.Error](err)
	if !ok || e.StringToSign == "" {
		t.Fatalf("refused with %v", err)
	}
	r = request("GET", "/?"+query+"&X-Amz-Signature="+hmacOf(user.SecretAccessKey, e.StringToSign), "")
	got, err := newVerifier().Verify(r, noon)
	if err != nil || !got.Expires.Equal(noon.Add(5*time.Minute)) {
		t.Errorf("verified as %+v (%v)", got, err)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	const header = "X-Amz-Security-Token"
	v := newVerifier()
	// Added after signing: the token is not among the signed headers, and is right.
	late := newSigner(session)
	late.Rules.TokenAfterSigning = true
	r := signed(t, late, request("GET", "/", ""))
	if _, err := v.Verify(r, noon); err != nil {
		t.Errorf("a token that rides unsigned: %v", err)
	}
	r.Header.Set(header, "other")
	_, err := v.Verify(r, noon)
	wantRefusal(t, err, sigv4.CodeUnrecognized, unknown)
	r.Header.Del(header)
	_, err = v.Verify(r, noon)
	wantRefusal(t, err, sigv4.CodeUnrecognized, unknown)
	// One that belongs to nothing.
	r = signed(t, newSigner(user), request("GET", "/", ""))
	r.Header.Set(header, "token")
	_, err = v.Verify(r, noon)
	wantRefusal(t, err, sigv4.CodeUnrecognized, unknown)
	// In a query it may ride in the header.
	bare := session
	bare.SessionToken = ""
	r = presigned(t, newSigner(bare), request("GET", "/", ""), time.Minute)
	r.Header.Set(header, session.SessionToken)
	if _, err := v.Verify(r, noon); err != nil {
		t.Errorf("a token in the header of a presigned request: %v", err)
	}
	// The end comes after the signature: a stranger does not learn of it.
	ended := user
	ended.AccessKeyID = "ENDED"
	r = signed(t, newSigner(ended), request("GET", "/", ""))
	_, err = v.Verify(r, noon)
	wantRefusal(t, err, sigv4.CodeExpiredToken, "The security token included in the request is expired")
	if _, err := v.Verify(r, noon.Add(-time.Second)); err != nil {
		t.Errorf("a second before its end: %v", err)
	}
	r.Header.Set("X-Amz-Date", "20260301T120001Z")
	_, err = v.Verify(r, noon)
	if e, ok := errors.AsType[*sigv4.Error](err); !ok || e.Code != sigv4.CodeInvalid {
		t.Errorf("with a wrong signature: %v", err)
	}
}

// The text shows what should have been signed; the error, which may be logged,
// shows nothing of it.
func TestMismatch(t *testing.T) {
	t.Parallel()
	r := signed(t, newSigner(session), request("GET", "/prod/pets?x=1", ""))
	r.Header.Set("X-Amz-Date", "20260301T120001Z")
	_, err := newVerifier().Verify(r, noon)
	e, ok := errors.AsType[*sigv4.Error](err)
	if !ok {
		t.Fatal(err)
	}
	canonical := "GET\n/prod/pets\nx=1\nhost:abc123.execute-api.eu-west-1.amazonaws.com\nx-amz-date:20260301T120001Z\nx-amz-security-token:token+/=\n\nhost;x-amz-date;x-amz-security-token\n" + sigv4.EmptyPayload
	toSign := "AWS4-HMAC-SHA256\n20260301T120001Z\n20260301/eu-west-1/execute-api/aws4_request\n" + sigv4.PayloadHash([]byte(canonical))
	wantRefusal(t, err, sigv4.CodeInvalid, mismatch+"\n\nThe Canonical String for this request should have been\n'"+canonical+"'\n\nThe String-to-Sign should have been\n'"+toSign+"'\n")
	if e.CanonicalRequest != canonical || e.StringToSign != toSign || e.Summary() != mismatch {
		t.Errorf("the parts are %q %q %q", e.CanonicalRequest, e.StringToSign, e.Summary())
	}
	if e.Error() != "InvalidSignatureException: "+mismatch {
		t.Errorf("the error is %q", e.Error())
	}
	if _, err := newVerifier().Verify(request("GET", "/", ""), noon); err == nil || err.Error() != "MissingAuthenticationTokenException: Missing Authentication Token" {
		t.Errorf("the error is %v", err)
	}
	bearer := request("GET", "/", "")
	bearer.Header.Set("Authorization", "Bearer secret")
	if _, err := newVerifier().Verify(bearer, noon); strings.Contains(err.Error(), "secret") {
		t.Errorf("the error has the token: %v", err)
	}
}

func TestHints(t *testing.T) {
	t.Parallel()
	single := newSigner(user)
	single.Rules.SingleEncode = true
	double := newSigner(user)
	double.Rules.Path = sigv4.PathAsSent
	empty := newSigner(user)
	empty.PayloadHash = sigv4.EmptyPayload
	declared := newSigner(user)
	declared.PayloadHash = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	declared.ContentHash = true
	long := newSigner(user)
	long.PayloadHash, long.ContentHash = strings.Repeat("x", 100), true
	late := newSigner(session)
	late.Rules.TokenAfterSigning = true
	s3 := &sigv4.Verifier{Lookup: lookup, Rules: sigv4.Rules{SingleEncode: true}}
	for _, test := range []struct {
		name     string
		request  *http.Request
		verifier *sigv4.Verifier
		hint     string
	}{
		{"encoded once", signed(t, single, request("GET", "/prod/a%20b", "")), newVerifier(), "the client encoded the path once; this service wants the encoded path encoded again"},
		{"encoded twice", signed(t, double, request("GET", "/prod/a%20b", "")), s3, "the client encoded the path twice; this service wants it once"},
		{"empty body", signed(t, empty, request("POST", "/", "x")), newVerifier(), "the client signed an empty body"},
		{"payload", signed(t, declared, request("POST", "/", "x")), newVerifier(), "the client signed the payload as STREAMING-AWS4-HMAC-SHA256-PAYLOAD, which is not the body's digest"},
		{"long payload", signed(t, long, request("POST", "/", "x")), newVerifier(), "the client signed the payload as " + strings.Repeat("x", 64) + "…, which is not the body's digest"},
		{"token afterwards", presigned(t, late, request("GET", "/", ""), time.Minute), newVerifier(), "the client added the session token after signing; this service wants it signed"},
	} {
		_, err := test.verifier.Verify(test.request, noon)
		e, ok := errors.AsType[*sigv4.Error](err)
		if !ok || e.Code != sigv4.CodeInvalid || e.Hint != test.hint || !strings.Contains(e.Error(), test.hint) || strings.Contains(e.Message, test.hint) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestUnsignedPayload(t *testing.T) {
	t.Parallel()
	s := &sigv4.Signer{Credentials: user, Region: "eu-west-1", Service: "s3", Rules: sigv4.RulesOf("s3"), PayloadHash: sigv4.UnsignedPayload}
	any := &sigv4.Verifier{Lookup: lookup}
	r := signed(t, s, request("PUT", "/key//a%2Fb/../c", "body"))
	got, err := any.Verify(r, noon)
	if err != nil || got.PayloadHash != sigv4.UnsignedPayload || got.Service != "s3" {
		t.Errorf("verified as %+v (%v)", got, err)
	}
	if _, err := any.VerifyBody(r, []byte("anything"), noon); err != nil {
		t.Error(err)
	}
	s.PayloadHash = ""
	if _, err := any.Verify(presigned(t, s, request("PUT", "/key", "body"), time.Minute), noon); err != nil {
		t.Error(err)
	}
	if _, err := any.VerifyBody(signed(t, s, request("PUT", "/key", "body")), []byte("body"), noon); err != nil {
		t.Error(err)
	}
	// Other services sign the body.
	s = newSigner(user)
	s.PayloadHash = sigv4.UnsignedPayload
	_, err = newVerifier().Verify(signed(t, s, request("POST", "/", "body")), noon)
	if e, ok := errors.AsType[*sigv4.Error](err); !ok || e.Code != sigv4.CodeInvalid {
		t.Errorf("an unsigned payload for execute-api: %v", err)
	}
}

func TestDates(t *testing.T) {
	t.Parallel()
	// The scope's date and the string to sign come from Date where there is no
	// X-Amz-Date. Signed by hand, from what the refusal says should be signed.
	r := request("GET", "/", "")
	r.Header.Set("Date", noon.Format(http.TimeFormat))
	const authorization = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260301/eu-west-1/execute-api/aws4_request, SignedHeaders=date;host, Signature="
	r.Header.Set("Authorization", authorization+"0")
	_, err := newVerifier().Verify(r, noon)
	e, ok := errors.AsType[*sigv4.Error](err)
	if !ok || !strings.Contains(e.StringToSign, "\n20260301T120000Z\n") {
		t.Fatalf("refused with %v", err)
	}
	r.Header.Set("Authorization", authorization+hmacOf(user.SecretAccessKey, e.StringToSign))
	if _, err := newVerifier().Verify(r, noon); err != nil {
		t.Error(err)
	}
	// X-Amz-Date goes before Date.
	r = signed(t, newSigner(user), request("GET", "/", ""))
	r.Header.Set("Date", "nonsense")
	if _, err := newVerifier().Verify(r, noon); err != nil {
		t.Error(err)
	}
	v := newVerifier()
	v.Skew = 15 * time.Minute
	if _, err := v.Verify(r, noon.Add(14*time.Minute)); err != nil {
		t.Error(err)
	}
	_, err = v.Verify(r, noon.Add(16*time.Minute))
	wantRefusal(t, err, sigv4.CodeInvalid, "Signature expired: 20260301T120000Z is now earlier than 20260301T120100Z (20260301T121600Z - 15 min.)")
}

func TestLookupErrors(t *testing.T) {
	t.Parallel()
	broken := user
	broken.AccessKeyID = "OUTOFORDER"
	r := signed(t, newSigner(broken), request("GET", "/", ""))
	for _, verify := range []func() error{
		func() error { _, err := newVerifier().Verify(r, noon); return err },
		func() error { _, err := newVerifier().VerifyBody(r, nil, noon); return err },
	} {
		err := verify()
		if _, refused := errors.AsType[*sigv4.Error](err); err == nil || refused || !strings.Contains(err.Error(), "the table is out of order") {
			t.Errorf("the error is %v", err)
		}
	}
	v := &sigv4.Verifier{}
	_, err := v.Verify(signed(t, newSigner(user), request("GET", "/", "")), noon)
	wantRefusal(t, err, sigv4.CodeUnrecognized, unknown)
}

func TestRegionSets(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]bool{
		"eu-west-1": true, "*": true, "eu-*": true, "us-east-1, eu-west-1": true, "eu-*-1": true, "*west*": true, "eu-west-1*": true,
		"us-east-1": false, "eu-west": false, "eu-west-11": false, "us-*": false, "*-2": false,
	} {
		s := newSigner(user)
		s.Algorithm, s.Region = sigv4.ECDSA, set
		r := signed(t, s, request("GET", "/", ""))
		got, err := newVerifier().Verify(r, noon)
		if (err == nil) != want || want && (got.Region != set || got.Algorithm != sigv4.ECDSA) {
			t.Errorf("%s: %+v %v", set, got, err)
		}
	}
	s := newSigner(user)
	s.Algorithm = sigv4.ECDSA
	// A region set that rides unsigned is not what the client said.
	r := signed(t, s, request("GET", "/", ""))
	r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), ";x-amz-region-set", "", 1))
	_, err := newVerifier().Verify(r, noon)
	wantRefusal(t, err, sigv4.CodeInvalid, "Credential should be scoped to a valid region. ")
	// Without a region of its own the verifier takes any, but not none.
	loose := &sigv4.Verifier{Lookup: lookup}
	if _, err := loose.Verify(signed(t, s, request("GET", "/", "")), noon); err != nil {
		t.Error(err)
	}
	v := newVerifier()
	v.HMACOnly = true
	_, err = v.Verify(signed(t, s, request("GET", "/", "")), noon)
	wantRefusal(t, err, sigv4.CodeIncomplete, "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256' (only AWS4-HMAC-SHA256 for now). ")
}

// A SigV4a signature has one spelling.
func TestSpellingOfECDSA(t *testing.T) {
	t.Parallel()
	s := newSigner(user)
	s.Algorithm = sigv4.ECDSA
	for name, change := range map[string]func(string) string{
		"upper case": strings.ToUpper,
		"longer":     func(v string) string { return v + "00" },
		"no hex":     func(v string) string { return "zz" + v[2:] },
		"empty DER":  func(string) string { return "3000" },
	} {
		r := signed(t, s, request("GET", "/", ""))
		before, value, _ := strings.Cut(r.Header.Get("Authorization"), "Signature=")
		r.Header.Set("Authorization", before+"Signature="+change(value))
		if _, err := newVerifier().Verify(r, noon); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
}

// The cache of keys is bounded, keeps what is used, and knows a new secret from
// the old one.
func TestKeysAreRemembered(t *testing.T) {
	t.Parallel()
	secret := "first"
	v := &sigv4.Verifier{Lookup: func(id string) (sigv4.Credentials, error) {
		return sigv4.Credentials{AccessKeyID: id, SecretAccessKey: secret}, nil
	}}
	verify := func(id string) error {
		s := newSigner(sigv4.Credentials{AccessKeyID: id, SecretAccessKey: secret})
		s.Region = id
		_, err := v.Verify(signed(t, s, request("GET", "/", "")), noon)
		return err
	}
	for i := range 5000 {
		if err := errors.Join(verify(fmt.Sprint("r", i)), verify("steady")); err != nil {
			t.Fatal(err)
		}
	}
	old := signed(t, &sigv4.Signer{Credentials: sigv4.Credentials{AccessKeyID: "steady", SecretAccessKey: secret}, Region: "steady", Service: "execute-api"}, request("GET", "/", ""))
	secret = strings.Repeat("a secret that is longer than a block of the hash ", 3)
	if err := verify("steady"); err != nil {
		t.Error(err)
	}
	if _, err := v.Verify(old, noon); err == nil {
		t.Error("the old secret still signs")
	}
}
