package app

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/dashboard"
	"github.com/gatehouse-project/gatehouse/identity"
)

// writeCertificate writes a certificate of a name and its key.
func writeCertificate(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
	}, &x509.Certificate{SerialNumber: big.NewInt(1)}, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

func TestCertificateIsReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := config.Default()
	c.Identity.TLSCert, c.Identity.TLSKey = writeCertificate(t, dir, "one.example")
	plain, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := secured(plain, c)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		if tc, ok := conn.(*tls.Conn); !ok || tc.HandshakeContext(t.Context()) != nil {
			t.Errorf("no TLS: %T", conn)
		}
	}()
	client, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := client.ConnectionState().PeerCertificates[0].Subject.CommonName; got != "one.example" {
		t.Errorf("the certificate is of %s", got)
	}
	_ = client.Close()
	<-served

	k := &certificate{cert: c.Identity.TLSCert, key: c.Identity.TLSKey}
	name := func() string {
		t.Helper()
		loaded, err := k.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return loaded.Leaf.Subject.CommonName
	}
	if got := name(); got != "one.example" {
		t.Errorf("at first it is of %s", got)
	}
	writeCertificate(t, dir, "two.example")
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(c.Identity.TLSCert, later, later); err != nil {
		t.Fatal(err)
	}
	k.looked = time.Time{}
	if got := name(); got != "two.example" {
		t.Errorf("after a change it is of %s", got)
	}
	// One that cannot be read leaves the one before.
	if err := os.WriteFile(c.Identity.TLSCert, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	k.looked = time.Time{}
	if got := name(); got != "two.example" {
		t.Errorf("after a file that cannot be used it is of %s", got)
	}
	plain, err = new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := secured(plain, c); err == nil || !strings.Contains(err.Error(), "tls_cert") {
		t.Errorf("a certificate that cannot be used at the start: %v", err)
	}
}

// The settings reach the guard: a provider, a people file, roles, and who takes back
// what somebody disabled was lent.
func TestGuardOfSettings(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	people := filepath.Join(dir, "people.yaml")
	if err := os.WriteFile(people, []byte("users:\n  - {email: ann@example.com, groups: [ops]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.State = "sqlite:" + filepath.Join(dir, "state.db")
	c.Identity.Issuer, c.Identity.ClientID, c.Identity.PeopleFile = "https://id.example.com", "gatehouse", people
	c.Identity.PublicURL, c.Identity.Admins = "https://gatehouse.example.com", []string{"group:ops"}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := openStore(t.Context(), c, newLogger(nil, c))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	var took []string
	p := &product{config: c, log: newLogger(nil, c), store: s}
	p.onDisabled = append(p.onDisabled, func(_ context.Context, e identity.Entry) error {
		took = append(took, e.ID)
		return errors.New("not now")
	})
	g, err := p.newGuard(t.Context(), identity.None, nil, dashboard.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ann, err := p.people.Person(t.Context(), "ann@example.com")
	if err != nil || ann.Role != identity.Admin {
		t.Errorf("somebody of the people file: %+v, %v", ann, err)
	}
	if err := s.SeePerson(t.Context(), identity.Person{ID: "p-eve", Email: "eve@example.com", Name: "Eve"}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := g.Disable(t.Context(), identity.Person{ID: "root", Name: "Root"}, "p-eve", "left"); err == nil || len(took) != 1 || took[0] != "p-eve" {
		t.Errorf("disabling: %v, taken back from %v", err, took)
	}
	if l := listening(c); identity.CheckListen("0.0.0.0:8321", l) != nil {
		t.Errorf("with %+v it does not listen", l)
	}
	c.Identity.ClientSecretFile = filepath.Join(dir, "none")
	if _, err := p.newGuard(t.Context(), identity.None, nil, dashboard.Options{}); err == nil || !strings.Contains(err.Error(), "oidc_client_secret_file") {
		t.Errorf("a secret's file that is not there: %v", err)
	}
}
