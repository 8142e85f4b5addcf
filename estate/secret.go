package estate

import (
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// Secret is a place in an API's configuration that holds what looks like a secret.
type Secret struct {
	// Where is the place, for people: "stage prod, variable DB_PASSWORD".
	Where string `json:"where"`
	// Kind is what it looks like: "password", "AWS access key", "JWT", …
	Kind string `json:"kind"`
}

// secretsAtMost bounds the places of one API that are told.
const secretsAtMost = 200

// secretShapes are values that are secrets wherever they stand.
var secretShapes = []struct {
	kind  string
	shape *regexp.Regexp
}{
	{"AWS access key", regexp.MustCompile(`\b(AKIA|ASIA)[A-Z2-7]{16}\b`)},
	{"private key", regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY`)},
	{"JWT", regexp.MustCompile(`\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*`)},
	{"GitHub token", regexp.MustCompile(`\b(gh[pousr]_\w{30,}|github_pat_\w{30,})`)},
	{"GitLab token", regexp.MustCompile(`\bglpat-[\w-]{20,}`)},
	{"Slack token", regexp.MustCompile(`\bxox[abeoprs]-[\w-]{10,}`)},
	{"Slack webhook", regexp.MustCompile(`hooks\.slack\.com/services/\w+/\w+/\w+`)},
	{"Stripe key", regexp.MustCompile(`\b[sr]k_(live|test)_\w{16,}`)},
	{"Google API key", regexp.MustCompile(`\bAIza[\w-]{35}\b`)},
	{"SendGrid key", regexp.MustCompile(`\bSG\.[\w-]{16,}\.[\w-]{16,}`)},
	{"bearer token", regexp.MustCompile(`(?i)\bbearer +[\w.~+/-]{16,}`)},
	{"basic credentials", regexp.MustCompile(`(?i)\bbasic +[a-z0-9+/]{8,}={0,2}`)},
	{"password in a URL", regexp.MustCompile(`://[^/\s:@'"]+:[^/\s@'"]+@`)},
}

// assigned is a secret with its name in a text, such as a template.
var assigned = regexp.MustCompile(`(?i)(passw(?:or)?d|passphrase|secret|api[-_]?key|x-api-key|access[-_]?key|private[-_]?key|auth[-_]?token)["']?\s*[:=]\s*["']([^"'$\s{}]{6,})["']`)

// secretWords in a name make its value one, and neutralWords at its end do not: a
// SECRET_ARN or a TOKEN_URL is none.
var (
	secretWords  = []string{"password", "passwd", "pwd", "passphrase", "secret", "token", "apikey", "accesskey", "privatekey", "credential", "credentials", "signingkey", "encryptionkey", "connectionstring", "clientsecret"}
	neutralWords = []string{"arn", "url", "uri", "endpoint", "host", "path", "name", "id", "ttl", "header", "timeout", "expiry", "length", "type", "table", "bucket", "region", "alias", "issuer", "source", "enabled", "required", "validity", "version"}
	references   = regexp.MustCompile(`^(arn:|\$|\{\{|method\.|integration\.|context\.|stageVariables\.|https?://|s3://|/)`)
)

// secretKind says what a value looks like, or "".
func secretKind(name, value string) string {
	for _, s := range secretShapes {
		if s.shape.MatchString(value) {
			return s.kind
		}
	}
	plain := strings.Trim(value, "'")
	if secretName(name) && len(plain) >= 6 && !references.MatchString(plain) && !strings.EqualFold(plain, transaction.Redacted) {
		return "password"
	}
	if random(plain) {
		return "random text"
	}
	return ""
}

// secretName reports whether what has that name is likely a secret.
func secretName(name string) bool {
	words := nameWords(name)
	if len(words) == 0 || slices.Contains(neutralWords, words[len(words)-1]) {
		return false
	}
	for i, w := range words {
		if slices.Contains(secretWords, w) || i > 0 && slices.Contains(secretWords, words[i-1]+w) {
			return true
		}
	}
	return false
}

// nameWords splits DB_PASSWORD, dbPassword and X-Api-Key into words.
func nameWords(name string) []string {
	var words []string
	start := 0
	cut := func(end int) {
		if end > start {
			words = append(words, strings.ToLower(name[start:end]))
		}
	}
	for i := range len(name) {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
		case c >= 'A' && c <= 'Z':
			if i > start && name[i-1] >= 'a' && name[i-1] <= 'z' {
				cut(i)
				start = i
			}
		default:
			cut(i)
			start = i + 1
		}
	}
	cut(len(name))
	return words
}

// random reports whether a value is long and as mixed as generated secrets are.
// Digests in hexadecimal and UUIDs, which are common and harmless, have one case.
func random(s string) bool {
	if len(s) < 32 || len(s) > 512 {
		return false
	}
	var count [128]int
	var upper, lower, digit bool
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'A' && c <= 'Z':
			upper = true
		case c >= 'a' && c <= 'z':
			lower = true
		case c >= '0' && c <= '9':
			digit = true
		case c == '+' || c == '/' || c == '=' || c == '_' || c == '-':
		default:
			return false
		}
		count[c]++
	}
	if !upper || !lower || !digit {
		return false
	}
	bits := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(s))
			bits -= p * math.Log2(p)
		}
	}
	return bits >= 4.3
}

// plainText is a text of which nothing needs to be told but that it is safe to show.
func plainText(s string) string {
	if secretKind("", s) != "" {
		return transaction.Redacted
	}
	return s
}

// secretScan looks for secrets in an API's configuration, notes where they are, and
// takes them out.
type secretScan struct{ api *API }

func (s secretScan) found(where, kind string) {
	if len(s.api.Secrets) < secretsAtMost && !slices.Contains(s.api.Secrets, Secret{where, kind}) {
		s.api.Secrets = append(s.api.Secrets, Secret{where, kind})
	}
}

// text returns a value that has a name, redacted if it looks like a secret.
func (s secretScan) text(where, name, value string) string {
	kind := secretKind(name, value)
	if kind == "" {
		return value
	}
	s.found(where, kind)
	return transaction.Redacted
}

// variables returns stage variables without secrets.
func (s secretScan) variables(stage string, given map[string]string) map[string]string {
	var out map[string]string
	for name, value := range given {
		out = put(out, name, s.text("stage "+stage+", variable "+name, name, value))
	}
	return out
}

// parameters returns mapped request parameters without secrets. Only static values,
// which stand in quotes, can be any.
func (s secretScan) parameters(where string, given map[string]string) map[string]string {
	var out map[string]string
	for name, value := range given {
		shown := value
		if !references.MatchString(value) {
			last := name[strings.LastIndexByte(name, '.')+1:]
			shown = s.text(where+", parameter "+name, last, value)
			if strings.EqualFold(last, "authorization") && shown == value {
				s.found(where+", parameter "+name, "password")
				shown = transaction.Redacted
			}
		}
		out = put(out, name, shown)
	}
	return out
}

// uri returns a URI without its user and query, and notes a secret in either.
func (s secretScan) uri(where, uri string) string {
	clean := cleanURI(uri)
	if clean == uri {
		return uri
	}
	if kind := secretKind("", uri); kind != "" {
		s.found(where+", URI", kind)
	} else if _, query, ok := strings.Cut(uri, "?"); ok {
		for pair := range strings.SplitSeq(query, "&") {
			name, value, _ := strings.Cut(pair, "=")
			if kind := secretKind(name, value); kind != "" {
				s.found(where+", URI", kind)
			}
		}
	}
	return clean
}

// code notes secrets in a text that is not kept.
func (s secretScan) code(where, text string) {
	for _, shape := range secretShapes {
		if shape.shape.MatchString(text) {
			s.found(where, shape.kind)
		}
	}
	if assigned.MatchString(text) {
		s.found(where, "password")
	}
}

// cleanURI is a URI without the user and the query of a URL, which may be secrets.
func cleanURI(uri string) string {
	uri, _, _ = strings.Cut(uri, "?")
	scheme, rest, ok := strings.Cut(uri, "://")
	if !ok {
		return uri
	}
	host, path, slash := strings.Cut(rest, "/")
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	uri = scheme + "://" + host
	if slash {
		uri += "/" + path
	}
	return uri
}
