package sigv4_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	signer "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/gatehouse-project/gatehouse/sigv4"
)

// What AWS's own signer for Go signs is verified: it does not normalise paths.
func TestSignedBySDK(t *testing.T) {
	t.Parallel()
	credentials := aws.Credentials{AccessKeyID: session.AccessKeyID, SecretAccessKey: session.SecretAccessKey, SessionToken: session.SessionToken}
	for _, target := range []string{
		"/", "/prod/pets?b=1&a=2&a=1", "/prod/a%2Fb%20c", "/prod/@connections/abc%3D", "/prod/@connections/abc=", "/prod//x/../y/./", "/prod/é+ü?q=a+b&r=%2B",
	} {
		for _, presign := range []bool{false, true} {
			body := ""
			if !presign {
				body = "body"
			}
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, endpoint+target, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "text/plain")
			sdk := signer.NewSigner()
			if presign {
				uri, header, err := sdk.PresignHTTP(t.Context(), credentials, r, sigv4.EmptyPayload, "execute-api", "eu-west-1", noon)
				if err != nil {
					t.Fatal(err)
				}
				r = httptest.NewRequestWithContext(t.Context(), http.MethodPost, uri, http.NoBody)
				r.Header = header
			} else if err := sdk.SignHTTP(t.Context(), credentials, r, sigv4.PayloadHash([]byte(body)), "execute-api", "eu-west-1", noon); err != nil {
				t.Fatal(err)
			}
			r.Host = "abc123.execute-api.eu-west-1.amazonaws.com"
			if _, err := newVerifier().VerifyBody(r, []byte(body), noon.Add(time.Minute)); err != nil {
				t.Errorf("%s (presigned: %t): %v", target, presign, err)
			}
		}
	}
}
