package sigv4_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/sigv4"
)

// FuzzAuthorization sends any header to a verifier: it refuses in AWS's words, and
// takes nothing but what was signed.
func FuzzAuthorization(f *testing.F) {
	good := signed(f, newSigner(user), request("GET", "/", ""))
	authorization := good.Header.Get("Authorization")
	for _, seed := range []string{
		authorization, full, "", "Bearer tok", "tok", "AWS4-ECDSA-P256-SHA256 Credential=AKIDEXAMPLE/20260301/execute-api/aws4_request,SignedHeaders=host,Signature=30",
		"AWS4-HMAC-SHA256 Credential=////,SignedHeaders=;;,Signature==", ",,, ,", "=",
	} {
		f.Add(seed, "20260301T120000Z", "host;x-amz-date")
	}
	v := newVerifier()
	f.Fuzz(func(t *testing.T, authorization, date, regions string) {
		r := request("GET", "/", "")
		r.Header.Set("Authorization", authorization)
		r.Header.Set("X-Amz-Date", date)
		r.Header.Set("X-Amz-Region-Set", regions)
		got, err := v.Verify(r, noon)
		if err == nil {
			if got.Credentials != user || date != "20260301T120000Z" {
				t.Errorf("%q was taken as %+v", authorization, got)
			}
			return
		}
		if e, ok := errors.AsType[*sigv4.Error](err); !ok || e.Code == "" || e.Message == "" {
			t.Errorf("%q: %v", authorization, err)
		}
	})
}

// FuzzCanonicalize signs any path, query and header and verifies it: no panic, and
// what one makes canonical the other does too.
func FuzzCanonicalize(f *testing.F) {
	for _, seed := range [][3]string{
		{"/prod/a%2Fb", "b=1&a=2", "x"},
		{"//a/../b/.", "%zz=%&&=", " a  b\n c "},
		{"", "+=+&X-Amz-Expires=9", ""},
		{"*", "X-Amz-Signature", "\x00"},
		{"http://h/p", "a", "é"},
	} {
		f.Add(seed[0], seed[1], seed[2], true)
		f.Add(seed[0], seed[1], seed[2], false)
	}
	v := newVerifier()
	f.Fuzz(func(t *testing.T, path, query, header string, presign bool) {
		r := request("GET", "/", "")
		r.RequestURI = path + "?" + query
		r.Header = http.Header{"X-Amz-Meta": {header, "second"}}
		var err error
		if presign {
			_, err = newSigner(session).Presign(r, noon, time.Minute)
		} else {
			_, err = newSigner(session).Sign(r, noon)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.Verify(r, noon); err != nil {
			t.Errorf("%q: %v", r.RequestURI, err)
		}
	})
}

// FuzzPresigned sends any query to a verifier.
func FuzzPresigned(f *testing.F) {
	good := presigned(f, newSigner(session), request("GET", "/", ""), time.Minute)
	f.Add(good.RequestURI)
	f.Add("/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=%&X-Amz-Credential=+&X-Amz-Date=20260301T120000Z&X-Amz-SignedHeaders=host&X-Amz-Expires=1")
	v := newVerifier()
	f.Fuzz(func(t *testing.T, target string) {
		r := request("GET", "/", "")
		r.RequestURI = target
		got, err := v.Verify(r, noon)
		if err == nil {
			if got.Credentials != session {
				t.Errorf("%q was taken as %+v", target, got)
			}
			return
		}
		if e, ok := errors.AsType[*sigv4.Error](err); !ok || e.Code == "" || e.Message == "" {
			t.Errorf("%q: %v", target, err)
		}
	})
}
