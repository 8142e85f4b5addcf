package ascode

import (
	"regexp"
	"strings"

	"github.com/gatehouse-project/gatehouse/access"
)

// redacted stands where a text had a secret.
const redacted = "[redacted]"

// secretKey matches the names of settings whose values are secrets. A reference to a
// secret's place is not one.
var secretKey = regexp.MustCompile(`(?i)(password|passwd|passphrase|token|private_?key|secret_?key|access_?key|api_?key|client_?secret|credential|^secret$|_secret$)`)

// secretText matches secrets by their own form, wherever they stand.
var secretText = regexp.MustCompile(strings.Join([]string{
	`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)`,
	`\b(AKIA|ASIA)[A-Z0-9]{16}\b`,
	`\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*`,
	`\bxox[abeprs]-[A-Za-z0-9-]{10,}`,
	`\bgh[pousr]_[A-Za-z0-9]{30,}`,
	`\bk8s-aws-v1\.[A-Za-z0-9_-]{8,}`,
	`[a-z][a-z0-9+.-]*://[^/\s:@]*:[^/\s@]+@`,
	`(?i)\bbearer\s+[A-Za-z0-9._~+/-]{16,}=*`,
}, "|"))

// clean returns the integration without secrets that somebody wrote where they do not
// belong, and tells which they were.
func clean(in access.Integration, l *losses) access.Integration {
	if len(in.Config) > 0 {
		config := make(map[string]string, len(in.Config))
		for k, v := range in.Config {
			if secretKey.MatchString(k) || secretText.MatchString(v) {
				l.add("config."+k, "it is a secret, or looks like one: keep it in a secret store")
				continue
			}
			config[k] = v
		}
		in.Config = config
	}
	in.AccessDetails = cleanText(in.AccessDetails, "custom_access_details", l)
	return in
}

func cleanText(s, path string, l *losses) string {
	out := secretText.ReplaceAllString(s, redacted)
	if out != s {
		l.add(path, "a part of it looks like a secret and was taken out")
	}
	return out
}
