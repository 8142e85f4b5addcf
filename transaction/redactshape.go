package transaction

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// isTokenByte holds the bytes that tokens and keys consist of.
var isTokenByte = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	t['_'], t['-'] = true, true
	return t
}()

// minRun is the shortest run of token bytes that is looked at.
const minRun = 8

// isShortWord reports whether s is one run of token bytes that is too short for
// any token, so that nothing in it can be a secret.
func isShortWord(s string) bool {
	if len(s) >= 16 || len(s) >= 13 && isDigit(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isTokenByte[s[i]] {
			return false
		}
	}
	return true
}

// redactShapes takes out what has the shape of a secret, whatever its name:
// JSON Web Tokens, AWS access keys, private keys, well-known vendors' tokens, and
// what follows Bearer or Basic. Runs of token bytes are found by looking at each
// eighth byte first, so that ordinary text costs little. It also tells whether the
// text may hold the number of a card: so many digits in one run, or groups of
// digits with a space between.
func redactShapes(s string, cut bool) (kept string, cards bool) {
	var out []byte
	done := 0
	keys := false
	for i := 0; i+minRun <= len(s); {
		// The last byte of the window decides how far it can move.
		k := i + minRun - 1
		for k >= i && isTokenByte[s[k]] {
			k--
		}
		if k >= i {
			if c := s[k]; (c == ' ' || c == '+') && k > 0 && isDigit(s[k-1]) && k+1 < len(s) && isDigit(s[k+1]) {
				cards = true
			}
			i = k + 1
			continue
		}
		end := i + minRun
		for end < len(s) && isTokenByte[s[end]] {
			end++
		}
		if end-i >= 13 && !cards {
			cards = hasManyDigits(s[i:end])
		}
		from, to, key := secretIn(s, i, end, cut)
		if from < to && from >= done {
			keys = keys || key
			out = append(append(out, s[done:from]...), Redacted...)
			done = to
			end = max(end, to)
		}
		i = end
	}
	if out != nil {
		s = string(append(out, s[done:]...))
	}
	if keys {
		// An access key id seldom comes without its secret.
		s = redactSecretKeys(s)
	}
	return s, cards
}

// secretIn tells which part of s around the run of token bytes [i, end) is a
// secret, and whether it is the id of an AWS access key.
func secretIn(s string, i, end int, cut bool) (from, to int, key bool) {
	run := s[i:end]
	if i > 5 && (s[i-1] == ' ' || s[i-1] == '+') { // a plus is a space in a form
		word := s[:i-1]
		if hasSuffixFold(word, "bearer") || len(run) >= minRun && hasSuffixFold(word, "basic") && looksBase64(run) {
			return i, tokenEnd(s, end), false
		}
	}
	if len(run) < 16 {
		if run == "-----BEGIN" {
			return privateKey(s, i)
		}
		if i > 0 && s[i-1] == '.' && strings.HasSuffix(s[:i], "ya29.") {
			return i, tokenEnd(s, end), false
		}
		return 0, 0, false
	}
	// A token may follow another word after an underscore or a hyphen.
	for k := 0; ; {
		if len(run)-k < 16 {
			break
		}
		if n, isKey := tokenAt(s, i+k, end, cut); n > 0 {
			return i + k, n, isKey
		}
		for k < len(run) && run[k] != '_' && run[k] != '-' {
			k++
		}
		k++
	}
	if strings.HasPrefix(run, "-----BEGIN") {
		return privateKey(s, i)
	}
	switch before := s[:i]; {
	case strings.HasSuffix(before, "ya29."), strings.HasSuffix(before, "hvs."), strings.HasSuffix(before, "SG."), strings.HasSuffix(before, "1//"):
		return i, tokenEnd(s, end), false
	case len(run) == 35 && strings.HasSuffix(before, ":") && endsInDigits(before[:i-1], 8):
		return i, end, false // of a Telegram bot
	}
	return 0, 0, false
}

func endsInDigits(s string, n int) bool {
	for k := 1; k <= n; k++ {
		if k > len(s) || !isDigit(s[len(s)-k]) {
			return false
		}
	}
	return true
}

// tokenAt tells where the token that begins at i ends, or 0 if there is none.
func tokenAt(s string, i, end int, cut bool) (to int, key bool) {
	t := s[i:min(end, i+256)]
	for _, p := range tokenPrefixes[t[0]] {
		if strings.HasPrefix(t, p.text) && len(t) >= p.length {
			return tokenEnd(s, end), false
		}
	}
	switch t[0] {
	case 'e':
		if !strings.HasPrefix(t, "eyJ") {
			return 0, false
		}
		// Three parts with dots; what is a token up to the place where the line
		// was cut is taken for one.
		if end < len(s) && s[end] == '.' {
			return tokenEnd(s, end), false
		}
		if end == len(s) && cut {
			return end, false
		}
	case 'A':
		if len(t) <= 128 && isUpperDigits(t) {
			for _, prefix := range [...]string{"AKIA", "ASIA", "ABIA", "ACCA"} {
				if strings.HasPrefix(t, prefix) {
					return end, true
				}
			}
		}
	case 'L':
		// A private key in base64.
		if strings.HasPrefix(t, "LS0tLS1CRUdJTi") {
			if head, err := base64.RawStdEncoding.DecodeString(t[:min(len(t), 64)&^3]); err == nil && bytes.Contains(head, []byte("PRIVATE")) {
				return tokenEnd(s, end), false
			}
		}
	}
	return 0, false
}

// tokenPrefix is how the tokens of a vendor begin, and how long they are at least.
type tokenPrefix struct {
	text   string
	length int
}

// tokenPrefixes are those of well-known vendors, by first byte.
var tokenPrefixes = func() (table [256][]tokenPrefix) {
	for _, p := range [...]tokenPrefix{
		{"ghp_", 24},
		{"gho_", 24},
		{"ghu_", 24},
		{"ghs_", 24},
		{"ghr_", 24},
		{"github_pat_", 24},
		{"glpat-", 20},
		{"gldt-", 20},
		{"glrt-", 20},
		{"glptt-", 20},
		{"glcbt-", 20},
		{"xoxa-", 16},
		{"xoxb-", 16},
		{"xoxc-", 16},
		{"xoxd-", 16},
		{"xoxe-", 16},
		{"xoxo-", 16},
		{"xoxp-", 16},
		{"xoxr-", 16},
		{"xoxs-", 16},
		{"xoxe.", 16},
		{"xapp-", 16},
		{"sk_live_", 16},
		{"sk_test_", 16},
		{"rk_live_", 16},
		{"rk_test_", 16},
		{"pk_live_", 16},
		{"whsec_", 16},
		{"sk-ant-", 16},
		{"sk-proj-", 16},
		{"sk-svcacct-", 20},
		{"sk-or-v1-", 20},
		{"sk-", 40},
		{"npm_", 36},
		{"pypi-", 40},
		{"hf_", 30},
		{"dop_v1_", 32},
		{"doo_v1_", 32},
		{"dor_v1_", 32},
		{"shpat_", 32},
		{"shpca_", 32},
		{"shppa_", 32},
		{"shpss_", 32},
		{"sq0atp-", 22},
		{"sq0csp-", 22},
		{"EAAAE", 60},
		{"dckr_pat_", 24},
		{"lin_api_", 32},
		{"rubygems_", 32},
		{"GOCSPX-", 28},
		{"figd_", 30},
		{"nvapi-", 40},
		{"gsk_", 40},
		{"xai-", 40},
		{"tskey-", 20},
		{"PMAK-", 30},
		{"NRAK-", 24},
		{"ATATT3", 60},
		{"ATCTT3", 60},
		{"AGE-SECRET-KEY-1", 40},
		{"AIza", 35},
		{"IQoJb3JpZ2lu", 40},
		{"FwoGZXIvYXdz", 40},
		{"FQoGZXIvYXdz", 40},
		{"EAACEdEose0cBA", 20},
		{"secret_", 40},
		{"ntn_", 40},
		{"sntrys_", 40},
		{"glsa_", 36},
		{"pul-", 40},
		{"sbp_", 40},
		{"vercel_blob_rw_", 24},
		{"patAT", 40},
	} {
		table[p.text[0]] = append(table[p.text[0]], p)
	}
	return table
}()

// tokenEnd is where a token that goes on at i ends, dots and base64's own
// characters included.
func tokenEnd(s string, i int) int {
	for i < len(s) && (isTokenByte[s[i]] || s[i] == '.' || s[i] == '+' || s[i] == '/' || s[i] == '=' || s[i] == '~') {
		i++
	}
	return i
}

// privateKey finds the end of a PEM block that begins at i; one that was cut
// goes to the end.
func privateKey(s string, i int) (from, to int, key bool) {
	head := s[i:min(len(s), i+64)]
	if !strings.Contains(head, "PRIVATE KEY") {
		return 0, 0, false
	}
	if n := strings.Index(s[i:], "-----END"); n >= 0 {
		to = i + n + len("-----END")
		if n := strings.Index(s[to:], "-----"); n >= 0 {
			return i, to + n + 5, false
		}
	}
	return i, len(s), false
}

// redactSecretKeys takes out what may be secret access keys: forty characters of
// base64.
func redactSecretKeys(s string) string {
	var out []byte
	done := 0
	for i := 0; i < len(s); {
		if !isBase64Byte(s[i]) {
			i++
			continue
		}
		end := i
		for end < len(s) && isBase64Byte(s[end]) {
			end++
		}
		// A slash may belong to what stands before.
		from := i
		for end-from > 40 && (s[from] == '/' || s[from] == '+') {
			from++
		}
		if end-from == 40 {
			out = append(append(out, s[done:from]...), Redacted...)
			done = end
		}
		i = end
	}
	if out == nil {
		return s
	}
	return string(append(out, s[done:]...))
}

func isBase64Byte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '+' || c == '/'
}

func isUpperDigits(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// looksBase64 reports whether a word is rather base64 than a word: it has
// digits, or capitals after its first letter.
func looksBase64(s string) bool {
	for i := 1; i < len(s); i++ {
		if c := s[i]; c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' {
			return true
		}
	}
	return false
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}
