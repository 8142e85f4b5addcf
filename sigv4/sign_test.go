package sigv4_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/gatehouse-project/gatehouse/sigv4"
)

func TestBodies(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789", 1<<20) // 10 MB
	for _, test := range []struct {
		name string
		body io.Reader
		want string // error
	}{
		{"one read", strings.NewReader("body"), ""},
		{"a byte a read", iotest.OneByteReader(strings.NewReader(strings.Repeat("x", 10_000))), ""},
		{"data with the end", iotest.DataErrReader(strings.NewReader("body")), ""},
		{"10 MB", strings.NewReader(long), ""},
		{"more than 10 MB", strings.NewReader(long + "x"), "the body is longer than the limit of 10485760 bytes"},
		{"cut", io.MultiReader(strings.NewReader("bo"), iotest.ErrReader(io.ErrUnexpectedEOF)), "reading the body: unexpected EOF"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSigner(user)
			s.PayloadHash = sigv4.EmptyPayload
			r := signed(t, s, request("POST", "/", ""))
			r.Body = io.NopCloser(test.body)
			_, err := newVerifier().Verify(r, noon)
			if test.want != "" {
				if err == nil || err.Error() != test.want {
					t.Errorf("the error is %v", err)
				}
				return
			}
			// The signature is for no body, so that only the digest can be looked at.
			e, ok := errors.AsType[*sigv4.Error](err)
			if !ok || e.Hint != "the client signed an empty body" {
				t.Fatal(err)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil || !strings.HasSuffix(e.CanonicalRequest, sigv4.PayloadHash(body)) || len(body) == 0 {
				t.Errorf("%d bytes can be read afterwards (%v), and are not those that were hashed", len(body), err)
			}
			if err := r.Body.Close(); err != nil {
				t.Error(err)
			}
			if n, err := r.Body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Error("a closed body can be read")
			}
		})
	}
	v := newVerifier()
	v.MaxBody = 3
	_, err := v.Verify(signed(t, newSigner(user), request("POST", "/", "body")), noon)
	if !errors.Is(err, sigv4.ErrBodyTooLong) {
		t.Errorf("a body over the limit: %v", err)
	}
}

// A client's body that can be had anew is read through, not kept.
func TestBodyOfClient(t *testing.T) {
	t.Parallel()
	post := func(body io.Reader) *http.Request {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint+"/prod/pets", body)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := post(bytes.NewReader([]byte("body")))
	was := r.Body
	if _, err := newSigner(user).Sign(r, noon); err != nil || r.Body != was {
		t.Errorf("the body was replaced (%v)", err)
	}
	if _, err := newVerifier().VerifyBody(r, []byte("body"), noon); err != nil {
		t.Error(err)
	}
	s := newSigner(user)
	s.MaxBody = 3
	for _, change := range []func(*http.Request){
		func(*http.Request) {},
		func(r *http.Request) { r.ContentLength = -1 },
		func(r *http.Request) { r.ContentLength, r.GetBody = -1, nil },
	} {
		r := post(strings.NewReader("body"))
		change(r)
		if _, err := s.Sign(r, noon); !errors.Is(err, sigv4.ErrBodyTooLong) {
			t.Errorf("a body over the limit: %v", err)
		}
		r = post(strings.NewReader("body"))
		change(r)
		if _, err := s.Presign(r, noon, time.Minute); !errors.Is(err, sigv4.ErrBodyTooLong) {
			t.Errorf("a body over the limit: %v", err)
		}
	}
	broken := errors.New("broken")
	r = post(strings.NewReader("body"))
	r.GetBody = func() (io.ReadCloser, error) { return nil, broken }
	if _, err := newSigner(user).Sign(r, noon); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
	r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(iotest.ErrReader(broken)), nil }
	if _, err := newSigner(user).Sign(r, noon); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
}

func TestSignerErrors(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*sigv4.Signer){
		"no key":         func(s *sigv4.Signer) { s.Credentials.AccessKeyID = "" },
		"no secret":      func(s *sigv4.Signer) { s.Credentials.SecretAccessKey = "" },
		"no service":     func(s *sigv4.Signer) { s.Service = "" },
		"no region":      func(s *sigv4.Signer) { s.Region = "" },
		"slash in scope": func(s *sigv4.Signer) { s.Region = "a/b" },
		"line in key":    func(s *sigv4.Signer) { s.Credentials.AccessKeyID = "a\nb" },
	} {
		s := newSigner(user)
		change(s)
		if _, err := s.Sign(request("GET", "/", ""), noon); err == nil {
			t.Errorf("%s: it was signed", name)
		}
		if _, err := s.Presign(request("GET", "/", ""), noon, time.Minute); err == nil {
			t.Errorf("%s: it was presigned", name)
		}
	}
	for _, d := range []time.Duration{0, time.Millisecond, 7*24*time.Hour + time.Second} {
		if _, err := newSigner(user).Presign(request("GET", "/", ""), noon, d); err == nil {
			t.Errorf("presigned for %v", d)
		}
	}
	r := request("GET", "/", "")
	r.Host, r.URL.Host, r.Header = "", "", nil
	if _, err := newSigner(user).Sign(r, noon); err == nil {
		t.Error("signed without a host")
	}
	r.Header = nil
	if _, err := newSigner(user).Presign(r, noon, time.Minute); err == nil {
		t.Error("presigned without a host")
	}
}

func TestFormsOfRequests(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"http://example.com/a?b=c": "GET\n/a\nb=c\n",
		"http://example.com":       "GET\n/\n\n",
		"http://example.com?b=c":   "GET\n/\nb=c\n",
		"?b=c":                     "GET\n/\nb=c\n",
		"/a%2g%":                   "GET\n/a%252g%25\n\n",
		"/?a=%2g%&%61=b":           "GET\n/\na=%252g%25&a=b\n",
		"/?a=b+c":                  "GET\n/\na=b%20c\n",
		"/?&&":                     "GET\n/\n\n",
	} {
		r := request("GET", "/", "")
		r.Method, r.RequestURI = "", target
		sig, err := newSigner(user).Sign(r, noon)
		if err != nil || !strings.HasPrefix(sig.CanonicalRequest, want) {
			t.Errorf("%s became %q (%v)", target, sig.CanonicalRequest, err)
		}
	}
	// A path with a literal percent sign and S3's single encoding.
	s := &sigv4.Signer{Credentials: user, Region: "eu-west-1", Service: "s3", Rules: sigv4.RulesOf("s3")}
	r := request("GET", "/", "")
	r.RequestURI = "/a%2Fb%20c%zz//../d"
	sig, err := s.Sign(r, noon)
	if err != nil || !strings.HasPrefix(sig.CanonicalRequest, "GET\n/a%2Fb%20c%25zz//../d\n") {
		t.Errorf("the canonical request is %q", sig.CanonicalRequest)
	}
}

func TestHeadersThatAreSigned(t *testing.T) {
	t.Parallel()
	r := request("POST", "/", "body")
	for _, name := range []string{
		"User-Agent", "X-Forwarded-For", "Proxy-Authorization", "Sec-Websocket-Key", "Traceparent", "Content-Type", "X-Amz-Target", "Cookie", "Content-Length",
	} {
		r.Header.Set(name, "x")
	}
	r.Header["lower-case"] = []string{"x"}
	sig, err := newSigner(user).Sign(r, noon)
	if want := "content-type;cookie;host;lower-case;x-amz-date;x-amz-target"; err != nil || sig.SignedHeaders != want {
		t.Errorf("signed are %s, want %s (%v)", sig.SignedHeaders, want, err)
	}
	if _, err := newVerifier().Verify(r, noon); err != nil {
		t.Error(err)
	}
	// A name that the signer cannot find again is an error, not a bad signature.
	r.Header["oDD"] = []string{"x"}
	if _, err := newSigner(user).Sign(r, noon); err == nil {
		t.Error("a header of odd spelling was signed")
	}
	// Content-Length is beside the headers of a request that was received.
	s := newSigner(user)
	s.Headers = func(string) bool { return true }
	r = request("POST", "/", "body")
	r.Header.Set("Content-Length", "4")
	r = signed(t, s, r)
	r.Header.Del("Content-Length")
	if _, err := newVerifier().Verify(r, noon); err != nil {
		t.Error(err)
	}
	// Two Authorization headers are one with a parameter twice.
	r.Header.Add("Authorization", r.Header.Get("Authorization"))
	if _, err := newVerifier().Verify(r, noon); err == nil || !strings.Contains(err.Error(), "Credential twice") && !strings.Contains(err.Error(), "not key=value") {
		t.Errorf("two Authorization headers: %v", err)
	}
	// HTTP/2's name of the host, and a header that is not there.
	for names, complete := range map[string]bool{":authority;x-amz-date": true, "host;x-amz-date;x-missing": false} {
		r := request("GET", "/", "")
		r.Header.Set("X-Amz-Date", "20260301T120000Z")
		authorization := strings.Replace(full, "host;x-amz-date", names, 1)
		r.Header.Set("Authorization", authorization)
		_, err := newVerifier().Verify(r, noon)
		e, ok := errors.AsType[*sigv4.Error](err)
		if !ok || e.StringToSign == "" {
			t.Fatalf("%s: %v", names, err)
		}
		r.Header.Set("Authorization", strings.Replace(authorization, "Signature=00", "Signature="+hmacOf(user.SecretAccessKey, e.StringToSign), 1))
		if _, err := newVerifier().Verify(r, noon); (err == nil) != complete {
			t.Errorf("%s: %v", names, err)
		}
	}
}

func TestCredentialsPrintNoSecret(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("signing", "credentials", session)
	text := fmt.Sprintf("%v %+v %s %#v %v %s", session, session, session, session, sigv4.HMAC, sigv4.ECDSA) + log.String()
	if strings.Contains(text, session.SecretAccessKey) || strings.Contains(text, session.SessionToken) || !strings.Contains(text, session.AccessKeyID) {
		t.Errorf("printed as %s", text)
	}
}

// The requests of a Go client and the way they arrive at a Go server.
func TestOverTheWire(t *testing.T) {
	t.Parallel()
	verifier := newVerifier()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := verifier.Verify(r, noon); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	all := newSigner(session)
	all.Headers = func(name string) bool { return name != "user-agent" }
	v4a := newSigner(user)
	v4a.Algorithm, v4a.Region = sigv4.ECDSA, "eu-*"
	for i, path := range []string{
		"/", "/prod/pets", "/prod/a%2Fb", "/prod/a b", "/prod/@connections/abc=", "/prod/../x//y/.", "/prod/+?a=b+c&d=%2B&a", "/é?ü=1&=2&&3", "/a;b=c,d:e*(f)'!$",
		"/prod?X-Amz-Date=old&X-Amz-Signature=old",
	} {
		for name, signer := range map[string]*sigv4.Signer{"user": newSigner(user), "session": newSigner(session), "all headers": all, "v4a": v4a} {
			for _, presign := range []bool{false, true} {
				t.Run(fmt.Sprint(i, name, presign), func(t *testing.T) {
					t.Parallel()
					r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+strings.ReplaceAll(path, " ", "%20"), strings.NewReader("body"))
					if err != nil {
						t.Fatal(err)
					}
					r.Header["X-Amz-Meta"] = []string{" a  b ", "c"}
					if presign {
						_, err = signer.Presign(r, noon, time.Minute)
					} else {
						_, err = signer.Sign(r, noon)
					}
					if err != nil {
						t.Fatal(err)
					}
					answer, err := http.DefaultClient.Do(r)
					if err != nil {
						t.Fatal(err)
					}
					body, err := io.ReadAll(answer.Body)
					if err := errors.Join(err, answer.Body.Close()); err != nil || string(body) != "body" {
						t.Errorf("%s: the answer is %s %q (%v)", path, answer.Status, body, err)
					}
				})
			}
		}
	}
}
