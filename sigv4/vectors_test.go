package sigv4_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/sigv4"
)

// vector is one case of a signing test suite in the form of awslabs aws-c-auth:
// a folder with context.json, request.txt and what must come of it.
type vector struct {
	dir     string
	context struct {
		Credentials struct {
			AccessKeyID     string `json:"access_key_id"`
			SecretAccessKey string `json:"secret_access_key"`
			Token           string `json:"token"`
		} `json:"credentials"`
		Expiration       int       `json:"expiration_in_seconds"`
		Normalize        bool      `json:"normalize"`
		Region           string    `json:"region"`
		Service          string    `json:"service"`
		SignBody         bool      `json:"sign_body"`
		Timestamp        time.Time `json:"timestamp"`
		OmitSessionToken bool      `json:"omit_session_token"`
	}
	public *ecdsa.PublicKey // of a SigV4a case
}

// The cases under testdata were signed by awscrt, AWS's own implementation in C.

// vectorFolders finds the cases of every suite at hand: those of the repository,
// and those of $GATEHOUSE_VECTORS or ../../shared/data/sigv4.
func vectorFolders(t *testing.T) []string {
	t.Helper()
	roots := []string{"testdata/v4", "testdata/v4a"}
	outside := os.Getenv("GATEHOUSE_VECTORS")
	if outside == "" {
		outside = filepath.Join("..", "..", "shared", "data", "sigv4")
	}
	if _, err := os.Stat(outside); err != nil {
		t.Logf("the reference suite is not at %s: only the repository's own cases are run; set GATEHOUSE_VECTORS to its folder", outside)
	} else {
		roots = append(roots, outside)
	}
	var folders []string
	for _, root := range roots {
		err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Name() == "context.json" {
				folders = append(folders, filepath.Dir(path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return folders
}

func readVector(t *testing.T, dir string) *vector {
	t.Helper()
	v := &vector{dir: dir}
	if err := json.Unmarshal([]byte(v.file(t, "context.json")), &v.context); err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "public-key.json"))
	if err != nil {
		return v
	}
	var point struct{ X, Y string }
	if err := json.Unmarshal(text, &point); err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	raw, err := hex.DecodeString(fmt.Sprintf("04%064s%064s", point.X, point.Y))
	if err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	if v.public, err = ecdsa.ParseUncompressedPublicKey(elliptic.P256(), raw); err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	return v
}

func (v *vector) file(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(v.dir, name))
	if err != nil {
		t.Skipf("the case is not complete: %v", err)
	}
	return string(b)
}

func (v *vector) signer() *sigv4.Signer {
	c := v.context
	s := &sigv4.Signer{
		Credentials: sigv4.Credentials{
			AccessKeyID: c.Credentials.AccessKeyID, SecretAccessKey: c.Credentials.SecretAccessKey, SessionToken: c.Credentials.Token,
		},
		Region: c.Region, Service: c.Service, ContentHash: c.SignBody, Rules: v.rules(),
		// The suite signs all headers.
		Headers: func(string) bool { return true },
	}
	if v.public != nil {
		s.Algorithm = sigv4.ECDSA
	}
	if !c.SignBody {
		s.PayloadHash = sigv4.EmptyPayload
	}
	return s
}

func (v *vector) rules() sigv4.Rules {
	r := sigv4.Rules{Path: sigv4.PathAsSent, TokenAfterSigning: v.context.OmitSessionToken}
	if v.context.Normalize {
		r.Path = sigv4.PathNormalized
	}
	return r
}

func (v *vector) verifier() *sigv4.Verifier {
	// One of a set of regions.
	region, _, _ := strings.Cut(v.context.Region, ",")
	return &sigv4.Verifier{
		Region: strings.Replace(region, "*", "eu-west-1", 1), Service: v.context.Service, Rules: v.rules(),
		Lookup: func(id string) (sigv4.Credentials, error) {
			s := v.signer()
			if id != s.Credentials.AccessKeyID {
				return sigv4.Credentials{}, sigv4.ErrUnknownAccessKey
			}
			return s.Credentials, nil
		},
	}
}

// readRequest reads a request as the suite writes it, which net/http would
// refuse: spaces in the target, folded headers, no space behind colons, line
// feeds alone.
func readRequest(t *testing.T, text string) *http.Request {
	t.Helper()
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimRight(head, "\n"), "\n")
	first := lines[0]
	method, rest, _ := strings.Cut(first, " ")
	target := rest[:strings.LastIndexByte(rest, ' ')]
	r := &http.Request{Method: method, RequestURI: target, URL: &url.URL{}, Header: http.Header{}, Body: http.NoBody}
	last := ""
	for _, line := range lines[1:] {
		if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
			values := r.Header[last]
			values[len(values)-1] += "\n" + line
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		last = http.CanonicalHeaderKey(name)
		switch last {
		case "Host":
			r.Host = value
		case "Content-Length":
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			r.ContentLength = n
			r.Header.Add(last, value)
		default:
			r.Header.Add(last, value)
		}
	}
	if body != "" {
		r.Body = io.NopCloser(strings.NewReader(body))
	}
	return r
}

func TestVectors(t *testing.T) {
	t.Parallel()
	for _, dir := range vectorFolders(t) {
		v := readVector(t, dir)
		name := filepath.Base(filepath.Dir(dir)) + "/" + filepath.Base(dir)
		t.Run(name+"/header", func(t *testing.T) {
			t.Parallel()
			r := readRequest(t, v.file(t, "request.txt"))
			sig, err := v.signer().Sign(r, v.context.Timestamp)
			if err != nil {
				t.Fatal(err)
			}
			v.compare(t, "header", sig, r)
		})
		t.Run(name+"/query", func(t *testing.T) {
			t.Parallel()
			r := readRequest(t, v.file(t, "request.txt"))
			sig, err := v.signer().Presign(r, v.context.Timestamp, time.Duration(v.context.Expiration)*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			v.compare(t, "query", sig, r)
		})
	}
}

// compare checks what was signed, byte for byte, that the stored signed request
// is verified, and that ours says the same as the stored one.
func (v *vector) compare(t *testing.T, form string, sig sigv4.Signature, r *http.Request) {
	t.Helper()
	if diff := cmp.Diff(v.file(t, form+"-canonical-request.txt"), sig.CanonicalRequest); diff != "" {
		t.Errorf("the canonical request differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(v.file(t, form+"-string-to-sign.txt"), sig.StringToSign); diff != "" {
		t.Errorf("the string to sign differs (-want +got):\n%s", diff)
	}
	stored := strings.TrimSpace(v.file(t, form+"-signature.txt"))
	if v.public == nil {
		if sig.Value != stored {
			t.Errorf("signature %s, want %s", sig.Value, stored)
		}
	} else {
		// These signatures are random: theirs and ours must both be good.
		for _, value := range []string{stored, sig.Value} {
			der, err := hex.DecodeString(value)
			digest := sha256.Sum256([]byte(sig.StringToSign))
			if err != nil || !ecdsa.VerifyASN1(v.public, digest[:], der) {
				t.Errorf("the signature %s is not one of the public key's", value)
			}
		}
	}
	signed := readRequest(t, v.file(t, form+"-signed-request.txt"))
	for what, request := range map[string]*http.Request{"stored": signed, "own": r} {
		got, err := v.verifier().Verify(request, v.context.Timestamp)
		if err != nil {
			t.Fatalf("the %s signed request is refused: %v", what, err)
		}
		if got.SignedHeaders != sig.SignedHeaders || got.Presigned != (form == "query") {
			t.Errorf("the %s signed request has the signed headers %q, want %q", what, got.SignedHeaders, sig.SignedHeaders)
		}
	}
	if v.public == nil {
		if diff := cmp.Diff(plain(signed), plain(r)); diff != "" {
			t.Errorf("the signed request differs (-want +got):\n%s", diff)
		}
	}
}

// plain is a signed request without the order of its headers and parameters.
func plain(r *http.Request) map[string][]string {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	out := map[string][]string{":path": {path}}
	for k, values := range r.Header {
		for _, v := range values {
			out[k] = append(out[k], strings.TrimSpace(v))
		}
	}
	for pair := range strings.SplitSeq(query, "&") {
		out["?"+pair] = append(out["?"+pair], "")
	}
	return out
}

// The reference suite's cases are those that other implementations get wrong, so
// a run without them must be seen.
func TestReferenceSuiteIsWhole(t *testing.T) {
	t.Parallel()
	n := 0
	for _, dir := range vectorFolders(t) {
		if !strings.HasPrefix(dir, "testdata") {
			n++
		}
	}
	if n == 0 {
		t.Skip("the reference suite is not at hand: set GATEHOUSE_VECTORS to the folder of awslabs aws-c-auth tests/aws-signing-test-suite")
	}
	if n < 38 {
		t.Errorf("%d cases of the reference suite were found, want at least 38", n)
	}
}

func TestPrivateKey(t *testing.T) {
	t.Parallel()
	// The points that AWS's own SDKs test their derivation with.
	for _, c := range []struct{ id, secret, x, y string }{
		{
			"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
			"b6618f6a65740a99e650b33b6b4b5bd0d43b176d721a3edfea7e7d2d56d936b1",
			"865ed22a7eadc9c5cb9d2cbaca1b3699139fedc5043dc6661864218330c8e518",
		},
		{
			"AKISORANDOMAASORANDOM", "q+jcrXGc+0zWN6uzclKVhvMmUsIfRPa4rlRandom",
			"15d242ceebf8d8169fd6a8b5a746c41140414c3b07579038da06af89190fffcb",
			"0515242cedd82e94799482e4c0514b505afccf2c0c98d6a553bf539f424c5ec0",
		},
	} {
		k, err := sigv4.PrivateKey(c.id, c.secret)
		if err != nil {
			t.Fatal(err)
		}
		point, err := k.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		if want := "04" + c.x + c.y; hex.EncodeToString(point) != want {
			t.Errorf("%s: the public key is %x, want %s", c.id, point, want)
		}
	}
}
