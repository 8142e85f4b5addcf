package config

import (
	"fmt"
	"os"
	"strings"
)

// minDeadLetterBytes is room for one call of API Gateway's payload quota, request
// and response.
const minDeadLetterBytes = 32 << 20

// HTTPS is what https sinks need beside their URLs.
type HTTPS struct {
	TokenURL         string
	ClientID         string
	ClientSecret     string
	ClientSecretFile string
	Scopes           []string
	Headers          map[string]string
}

// Secret is the client secret, of the file if there is one.
func (h *HTTPS) Secret() (string, error) {
	if h.ClientSecretFile == "" {
		return h.ClientSecret, nil
	}
	return secretFile("https_client_secret_file", h.ClientSecretFile)
}

// HasCredentials reports whether tokens can be asked for.
func (h *HTTPS) HasCredentials() bool { return h.TokenURL != "" }

// OTLP is what otlp sinks need beside their URLs.
type OTLP struct {
	Headers map[string]string
}

// Kafka is what kafka sinks need beside their URLs.
type Kafka struct {
	Username     string
	Password     string
	PasswordFile string
}

func secretFile(setting, path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%s: %w", setting, err)
	}
	secret := strings.TrimSpace(string(b))
	if secret == "" {
		return "", fmt.Errorf("%s: %s is empty", setting, path)
	}
	return secret, nil
}

// checkSecrets checks how they go together.
func (c *Config) checkSecrets() []error {
	var errs []error
	bad := func(name, text string) {
		errs = append(errs, &Error{Where: name, Err: fmt.Errorf("%s", text)})
	}
	h := &c.HTTPS
	if h.ClientSecret != "" && h.ClientSecretFile != "" {
		bad("https_client_secret", "is set, and https_client_secret_file too: one is enough")
	}
	said := h.ClientID != "" || h.ClientSecret != "" || h.ClientSecretFile != "" || len(h.Scopes) > 0
	switch {
	case said && h.TokenURL == "":
		bad("https_token_url", "is needed with https_client_id: the URL that gives tokens")
	case h.TokenURL != "" && (h.ClientID == "" || h.ClientSecret == "" && h.ClientSecretFile == ""):
		bad("https_token_url", "needs https_client_id and https_client_secret or https_client_secret_file")
	}
	k := &c.Kafka
	if k.Password != "" && k.PasswordFile != "" {
		bad("kafka_password", "is set, and kafka_password_file too: one is enough")
	}
	if (k.Username == "") != (k.Password == "" && k.PasswordFile == "") {
		bad("kafka_username", "and kafka_password or kafka_password_file belong together")
	}
	return errs
}
