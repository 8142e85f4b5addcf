package sigv4_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/sigv4"
)

var (
	user    = sigv4.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"}
	session = sigv4.Credentials{AccessKeyID: "ASIDEXAMPLE", SecretAccessKey: "another/secret", SessionToken: "token+/="}
	noon    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func lookup(id string) (sigv4.Credentials, error) {
	switch id {
	case user.AccessKeyID:
		return user, nil
	case session.AccessKeyID:
		return session, nil
	case "OUTOFORDER":
		return sigv4.Credentials{}, errors.New("the table is out of order")
	case "CLOSED":
		return sigv4.Credentials{}, &sigv4.Error{Code: "Closed", Message: "closed"}
	case "NOSECRET":
		return sigv4.Credentials{AccessKeyID: id}, nil
	case "ENDED":
		c := user
		c.AccessKeyID, c.Expires = "", noon
		return c, nil
	}
	return sigv4.Credentials{}, sigv4.ErrUnknownAccessKey
}

func newVerifier() *sigv4.Verifier {
	return &sigv4.Verifier{Lookup: lookup, Region: "eu-west-1", Service: "execute-api"}
}

func newSigner(c sigv4.Credentials) *sigv4.Signer {
	return &sigv4.Signer{Credentials: c, Region: "eu-west-1", Service: "execute-api"}
}

const endpoint = "https://abc123.execute-api.eu-west-1.amazonaws.com"

// request is one as a server gets it.
func request(method, target, body string) *http.Request {
	var r io.Reader = http.NoBody
	if body != "" {
		r = strings.NewReader(body)
	}
	req := httptest.NewRequest(method, target, r)
	req.Host = "abc123.execute-api.eu-west-1.amazonaws.com"
	return req
}

func signed(tb testing.TB, s *sigv4.Signer, r *http.Request) *http.Request {
	tb.Helper()
	if _, err := s.Sign(r, noon); err != nil {
		tb.Fatal(err)
	}
	return r
}

func presigned(tb testing.TB, s *sigv4.Signer, r *http.Request, expires time.Duration) *http.Request {
	tb.Helper()
	if _, err := s.Presign(r, noon, expires); err != nil {
		tb.Fatal(err)
	}
	return r
}

// wantRefusal checks the code and the text of a refusal.
func wantRefusal(tb testing.TB, err error, code, message string) {
	tb.Helper()
	e, ok := errors.AsType[*sigv4.Error](err)
	if !ok {
		tb.Fatalf("the error is %v (%T), want %s", err, err, code)
	}
	if e.Code != code || e.Message != message {
		tb.Errorf("refused with %s\n%q, want %s\n%q", e.Code, e.Message, code, message)
	}
}

// hmacOf signs a string to sign as RFC 2104 and AWS's documentation have it, with
// the standard library's HMAC.
func hmacOf(secret, text string) string {
	sum := func(key []byte, s string) []byte {
		h := hmac.New(sha256.New, key)
		_, _ = io.WriteString(h, s)
		return h.Sum(nil)
	}
	scope := strings.Split(strings.Split(text, "\n")[2], "/")
	key := []byte("AWS4" + secret)
	for _, part := range scope {
		key = sum(key, part)
	}
	return hex.EncodeToString(sum(key, text))
}
