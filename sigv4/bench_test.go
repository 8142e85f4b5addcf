package sigv4_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/sigv4"
)

// BenchmarkVerify verifies a small request, as a gateway does for every call.
func BenchmarkVerify(b *testing.B) {
	ecdsa := newSigner(user)
	ecdsa.Algorithm = sigv4.ECDSA
	for name, r := range map[string]*http.Request{
		"header":    signed(b, newSigner(user), request("GET", "/prod/pets/42?limit=10&after=x", "")),
		"session":   signed(b, newSigner(session), request("GET", "/prod/pets/42?limit=10&after=x", "")),
		"presigned": presigned(b, newSigner(user), request("GET", "/prod/pets/42?limit=10&after=x", ""), time.Hour),
		"v4a":       signed(b, ecdsa, request("GET", "/prod/pets/42?limit=10&after=x", "")),
	} {
		b.Run(name, func(b *testing.B) {
			v := newVerifier()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(r, noon); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
		})
	}
}

// BenchmarkVerifyRefused is what a forger costs.
func BenchmarkVerifyRefused(b *testing.B) {
	r := signed(b, newSigner(user), request("GET", "/prod/pets/42", ""))
	r.Header.Set("X-Amz-Date", "20260301T120001Z")
	v := newVerifier()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(r, noon); err == nil {
			b.Fatal("it was taken")
		}
	}
}

// BenchmarkVerifyBody verifies a body of 10 MB, which is kept once.
func BenchmarkVerifyBody(b *testing.B) {
	body := strings.Repeat("0123456789", 1<<20)
	r := signed(b, newSigner(user), request("POST", "/prod/pets", body))
	v := newVerifier()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r.Body = noClose{strings.NewReader(body)}
		if _, err := v.Verify(r, noon); err != nil {
			b.Fatal(err)
		}
	}
}

type noClose struct{ *strings.Reader }

func (noClose) Close() error { return nil }

// BenchmarkSign signs a small request.
func BenchmarkSign(b *testing.B) {
	s := newSigner(session)
	r := request("GET", "/prod/pets/42?limit=10&after=x", "")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Sign(r, noon); err != nil {
			b.Fatal(err)
		}
	}
}
