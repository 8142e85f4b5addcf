// Package trust makes a sink's TLS settings of the files that its URL names.
package trust

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// Files name what a sink trusts and how it proves itself, in PEM form. All are
// optional.
type Files struct {
	// CA has the certificate authorities to trust instead of the system's.
	CA string
	// Cert and Key are the client's certificate. They are read for each
	// connection, because such certificates are short-lived.
	Cert, Key string
	// ServerName is the name that the other side's certificate must have, if it
	// is not the host's.
	ServerName string
}

// IsZero reports whether nothing is named.
func (f *Files) IsZero() bool { return *f == Files{} }

// Set sets what an option of a sink's URL says: ca_file, cert_file, key_file or
// server_name. It reports whether the option is one of them.
func (f *Files) Set(option, value string) bool {
	switch option {
	case "ca_file":
		f.CA = value
	case "cert_file":
		f.Cert = value
	case "key_file":
		f.Key = value
	case "server_name":
		f.ServerName = value
	default:
		return false
	}
	return true
}

// Config reads the files. TLS 1.2 is the least that it takes.
func (f *Files) Config() (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.ServerName}
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return nil, fmt.Errorf("reading ca_file: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_file %s has no certificate in PEM form", f.CA)
		}
	}
	if (f.Cert == "") != (f.Key == "") {
		return nil, errors.New("cert_file and key_file must be given together")
	}
	if f.Cert != "" {
		if _, err := tls.LoadX509KeyPair(f.Cert, f.Key); err != nil {
			return nil, fmt.Errorf("reading cert_file and key_file: %w", err)
		}
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
			return &pair, err
		}
	}
	return t, nil
}
