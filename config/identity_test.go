package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestIdentity(t *testing.T) {
	t.Parallel()
	const whole = "oidc_issuer: https://id.example.com\noidc_client_id: gatehouse\n"
	for name, tc := range map[string]struct {
		text string
		want string // in the error; empty: none
	}{
		"nothing":               {"", ""},
		"whole":                 {whole + "public_url: https://g.example.com\nrole_admins: ['group:platform, all', 'user:ann@example.com']\nrole_viewers: ['*']\n", ""},
		"no issuer":             {"oidc_client_id: gatehouse\n", "oidc_issuer"},
		"no client":             {"oidc_issuer: https://id.example.com\n", "oidc_client_id"},
		"issuer in clear":       {"oidc_issuer: http://id.example.com\noidc_client_id: a\n", "oidc_issuer"},
		"issuer on loopback":    {"oidc_issuer: http://127.0.0.1:5556/dex\noidc_client_id: a\n", ""},
		"address in clear":      {"public_url: http://g.example.com\n", "public_url"},
		"address on loopback":   {"public_url: http://localhost:8321\n", ""},
		"address with a path":   {"public_url: https://g.example.com/gatehouse\n", "public_url"},
		"half of TLS":           {"tls_cert: a.pem\n", "tls_key"},
		"short token":           {"admin_token: short\n", "admin_token"},
		"two tokens":            {"admin_token: a-token-that-is-long-enough\nadmin_token_file: x\n", "admin_token_file"},
		"two secrets":           {whole + "oidc_client_secret: a\noidc_client_secret_file: b\n", "oidc_client_secret_file"},
		"another address claim": {whole + "oidc_email_claim: upn\n", "oidc_trust_email"},
		"that one trusted":      {whole + "oidc_email_claim: upn\noidc_trust_email: true\n", ""},
		"role of what":          {"role_admins: [ann@example.com]\n", "role_admins"},
		"role of no group":      {"role_viewers: ['group:']\n", "role_viewers"},
		"role of no address":    {"role_viewers: ['user:ann']\n", "role_viewers"},
		"no life":               {"session_life: 0s\n", "session_life"},
		"no idle":               {"session_idle: -1s\n", "session_idle"},
	} {
		path := filepath.Join(t.TempDir(), "gatehouse.yaml")
		if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(path, func(string) string { return "" })
		if err == nil {
			err = c.Validate()
		}
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
		if err != nil && strings.Contains(err.Error(), "a-token-that-is-long-enough") {
			t.Errorf("%s: the error holds a secret", name)
		}
	}
}

func TestIdentitySecretsOfFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("from-a-file-with-a-newline\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	i := Identity{ClientSecretFile: path, AdminTokenFile: path}
	for name, read := range map[string]func() (string, error){"client": i.Secret, "admin": i.Token} {
		if got, err := read(); err != nil || got != "from-a-file-with-a-newline" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	i = Identity{ClientSecretFile: path + ".gone"}
	if _, err := i.Secret(); err == nil || !strings.Contains(err.Error(), "oidc_client_secret_file") {
		t.Errorf("a file that is gone: %v", err)
	}
}
