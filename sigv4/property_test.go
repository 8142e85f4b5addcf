package sigv4_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gatehouse-project/gatehouse/sigv4"
)

// drawn is a request that rapid made up, in parts that can be changed.
type drawn struct {
	method, path, host string
	query              []string // name=value, encoded
	headers            [][2]string
	body               []byte
}

func draw(t *rapid.T) drawn {
	segment := rapid.StringMatching(`[A-Za-z0-9._~@:!$'()*+,;= -]{0,6}|%[0-9A-F]{2}|é|\.\.?`)
	d := drawn{
		method: rapid.SampledFrom([]string{"GET", "POST", "PUT", "DELETE", "PATCH"}).Draw(t, "method"),
		host:   rapid.SampledFrom([]string{"abc.execute-api.eu-west-1.amazonaws.com", "api.example.com:8443"}).Draw(t, "host"),
		path:   "/" + strings.Join(rapid.SliceOfN(segment, 0, 4).Draw(t, "path"), "/"),
		body:   rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "body"),
	}
	text := rapid.StringMatching(`[ -~é]{0,6}`)
	for range rapid.IntRange(0, 4).Draw(t, "parameters") {
		d.query = append(d.query, "q"+url.QueryEscape(text.Draw(t, "name"))+"="+url.QueryEscape(text.Draw(t, "value")))
	}
	for range rapid.IntRange(0, 3).Draw(t, "headers") {
		d.headers = append(d.headers, [2]string{
			rapid.SampledFrom([]string{"X-Amz-Meta", "Content-Type", "X-Custom"}).Draw(t, "header"),
			rapid.StringMatching(`[!-~]([ -~]{0,6}[!-~])?`).Draw(t, "value"),
		})
	}
	return d
}

// request is the request as a server gets it.
func (d *drawn) request() *http.Request {
	target := strings.ReplaceAll(d.path, " ", "%20")
	if len(d.query) > 0 {
		target += "?" + strings.Join(d.query, "&")
	}
	r := request(d.method, "/", string(d.body))
	r.RequestURI, r.Host = target, d.host
	for _, h := range d.headers {
		r.Header.Add(h[0], h[1])
	}
	return r
}

// drawSigner makes a signer and the verifier of its service.
func drawSigner(t *rapid.T) (*sigv4.Signer, *sigv4.Verifier) {
	s := newSigner(rapid.SampledFrom([]sigv4.Credentials{user, session}).Draw(t, "credentials"))
	s.Rules.Path = rapid.SampledFrom([]sigv4.PathForm{sigv4.PathEither, sigv4.PathAsSent, sigv4.PathNormalized}).Draw(t, "form")
	s.ContentHash = rapid.Bool().Draw(t, "content hash")
	if rapid.IntRange(0, 9).Draw(t, "algorithm") == 0 { // it is slow
		s.Algorithm = sigv4.ECDSA
	}
	return s, newVerifier()
}

// What is signed is verified, in either form, by either algorithm, with the path
// normalised or not, and the signature of a request is the same each time.
func TestSignedIsVerified(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		s, v := drawSigner(t)
		one, two := d.request(), d.request()
		sign := func(r *http.Request) (sigv4.Signature, error) { return s.Sign(r, noon) }
		if rapid.Bool().Draw(t, "presign") {
			sign = func(r *http.Request) (sigv4.Signature, error) { return s.Presign(r, noon, time.Hour) }
		}
		first, err := sign(one)
		if err != nil {
			t.Fatal(err)
		}
		second, err := sign(two)
		if err != nil || first != second {
			t.Fatalf("signed as\n%+v and\n%+v (%v)", first, second, err)
		}
		if again, err := sign(one); err != nil || again != first {
			t.Fatalf("signed once more as\n%+v, before as\n%+v (%v)", again, first, err)
		}
		if _, err := v.Verify(one, noon.Add(time.Minute)); err != nil {
			t.Fatalf("%s %s: %v", one.Method, one.RequestURI, err)
		}
	})
}

// Any change of what is signed is refused.
func TestChangedIsRefused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := draw(t)
		s, v := drawSigner(t)
		r := d.request()
		presign := rapid.Bool().Draw(t, "presign")
		var err error
		if presign {
			_, err = s.Presign(r, noon, time.Hour)
		} else {
			_, err = s.Sign(r, noon)
		}
		if err != nil {
			t.Fatal(err)
		}
		target, body := r.RequestURI, d.body
		switch change := rapid.IntRange(0, 6).Draw(t, "change"); {
		case change == 0:
			r.Method = map[string]string{"GET": "POST"}[r.Method] + "X"
		case change == 1:
			r.Host = "evil.example.com"
		case change == 2:
			// A byte of the path that is not a separator or a dot, whose absence or
			// presence normalising would hide, and not of a segment that ".." takes away.
			path, query, _ := strings.Cut(target, "?")
			if strings.Contains(path, "/..") {
				return
			}
			i := rapid.IntRange(0, len(path)-1).Draw(t, "at")
			if path[i] == '/' || path[i] == '.' {
				return
			}
			r.RequestURI = path[:i] + "\x01" + path[i+1:] + "?" + query
		case change == 3:
			r.RequestURI = target + map[bool]string{true: "&", false: "?"}[strings.Contains(target, "?")] + "more=1"
		case change == 4 && len(d.query) > 0:
			r.RequestURI = strings.Replace(target, d.query[0], d.query[0]+"x", 1)
		case change == 5 && len(d.headers) > 0:
			r.Header.Add(d.headers[0][0], "more")
		default:
			body = append(bytes.Clone(body), 0)
		}
		_, err = v.VerifyBody(r, body, noon)
		if e, ok := errors.AsType[*sigv4.Error](err); !ok || e.Code != sigv4.CodeInvalid {
			t.Fatalf("%s %s was taken: %v", r.Method, r.RequestURI, err)
		}
	})
}

// Every single byte of the Authorization header counts, but for the spaces and
// commas between its parts.
func TestEveryByteOfAuthorization(t *testing.T) {
	t.Parallel()
	r := signed(t, newSigner(session), request("GET", "/prod/pets", ""))
	v := newVerifier()
	whole := r.Header.Get("Authorization")
	for i := range len(whole) {
		for _, c := range []byte{whole[i] ^ 1, whole[i] ^ 0x20, 'x'} {
			changed := whole[:i] + string(c) + whole[i+1:]
			if changed == whole || strings.FieldsFunc(changed, between)[0] == strings.FieldsFunc(whole, between)[0] && fmt.Sprint(strings.FieldsFunc(changed, between)) == fmt.Sprint(strings.FieldsFunc(whole, between)) {
				continue
			}
			r.Header.Set("Authorization", changed)
			if _, err := v.Verify(r, noon); err == nil {
				t.Errorf("%q was taken", changed)
			}
		}
	}
}

func between(r rune) bool { return r == ',' || r == ' ' }

// The spelling of a query does not matter, its parameters do.
func TestQueryIsCanonical(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 4, 8)
		names := rapid.SliceOfN(text, 0, 4).Draw(t, "names")
		var plain, shuffled []string
		for i, n := range names {
			value := text.Draw(t, "value")
			plain = append(plain, url.QueryEscape(n)+"="+url.QueryEscape(value))
			var all strings.Builder
			for j := range len(n) {
				fmt.Fprintf(&all, "%%%02x", n[j])
			}
			shuffled = append([]string{all.String() + "=" + strings.ReplaceAll(url.QueryEscape(value), "+", "%20")}, shuffled...)
			_ = i
		}
		sign := func(query []string) string {
			r := request("GET", "/", "")
			r.RequestURI = "/?" + strings.Join(query, "&")
			sig, err := newSigner(user).Sign(r, noon)
			if err != nil {
				t.Fatal(err)
			}
			return sig.CanonicalRequest
		}
		if a, b := sign(plain), sign(shuffled); a != b {
			t.Fatalf("%q and %q become\n%s\n%s", plain, shuffled, a, b)
		}
	})
}
