package https

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gatehouse-project/gatehouse/sink/post"
	"github.com/gatehouse-project/gatehouse/sink/sinktest"
)

func TestTLS(t *testing.T) {
	t.Parallel()
	var got atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 1 {
			got.Add(1)
		}
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	dir := t.TempDir()
	write := func(name string, blocks ...*pem.Block) string {
		path := filepath.Join(dir, name)
		var b []byte
		for _, block := range blocks {
			b = append(b, pem.EncodeToMemory(block)...)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	certificate := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	ca := write("ca.pem", &pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
	keyFile := write("key.pem", &pem.Block{Type: "PRIVATE KEY", Bytes: key})
	for name, tc := range map[string]struct {
		options string
		mend    string // empty: works
	}{
		"trusted, with a certificate": {"?ca_file=" + ca + "&cert_file=" + ca + "&key_file=" + keyFile, ""},
		"not trusted":                 {"", "ca_file"},
		"no certificate":              {"?ca_file=" + ca, "cert_file"},
		"other name":                  {"?ca_file=" + ca + "&server_name=other.test&cert_file=" + ca + "&key_file=" + keyFile, "name in its certificate"},
	} {
		c, err := Parse(server.URL + "/in" + tc.options)
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		err = s.Deliver(t.Context(), sinktest.Calls(0, 1))
		if tc.mend == "" {
			if err != nil || got.Load() != 1 {
				t.Errorf("%s: %v, %d requests with a certificate", name, err, got.Load())
			}
		} else if e := delivery(t, err); e.Class != post.Misconfigured || !strings.Contains(e.Mend(), tc.mend) {
			t.Errorf("%s: %v (%s), mend %q", name, err, e.Class, e.Mend())
		}
		_ = s.Close(t.Context())
	}
	for _, options := range []string{"?ca_file=" + keyFile, "?ca_file=/nowhere", "?cert_file=" + ca, "?cert_file=" + keyFile + "&key_file=" + ca} {
		c, err := Parse(server.URL + "/in" + options)
		if err == nil {
			_, err = Open(c)
		}
		if err == nil {
			t.Errorf("%s: opened", options)
		}
	}
}
