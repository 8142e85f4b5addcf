package transaction

import "strings"

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
	if len(s) >= 16 {
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
// eighth byte first, so that ordinary text costs little.
func redactShapes(s string, cut bool) string {
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
			i = k + 1
			continue
		}
		end := i + minRun
		for end < len(s) && isTokenByte[s[end]] {
			end++
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
	return s
}

// secretIn tells which part of s around the run of token bytes [i, end) is a
// secret, and whether it is the id of an AWS access key.
func secretIn(s string, i, end int, cut bool) (from, to int, key bool) {
	run := s[i:end]
	if i > 5 && s[i-1] == ' ' {
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
	if strings.HasSuffix(s[:i], "ya29.") {
		return i, tokenEnd(s, end), false
	}
	return 0, 0, false
}

// tokenAt tells where the token that begins at i ends, or 0 if there is none.
func tokenAt(s string, i, end int, cut bool) (to int, key bool) {
	t := s[i:min(end, i+256)]
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
		if strings.HasPrefix(t, "AIza") && len(t) >= 35 {
			return end, false
		}
	case 'g':
		if len(t) >= 24 && (t[1] == 'h' && t[3] == '_' && strings.IndexByte("pousr", t[2]) >= 0 ||
			strings.HasPrefix(t, "github_pat_") || strings.HasPrefix(t, "glpat-")) {
			return end, false
		}
	case 'x':
		if strings.HasPrefix(t, "xox") && len(t) >= 16 && strings.IndexByte(t, '-') > 0 || strings.HasPrefix(t, "xapp-") {
			return end, false
		}
	case 's', 'r', 'p', 'w':
		for _, prefix := range [...]string{"sk_live_", "sk_test_", "rk_live_", "rk_test_", "pk_live_", "whsec_", "sk-ant-", "sk-proj-"} {
			if strings.HasPrefix(t, prefix) && len(t) >= len(prefix)+8 {
				return end, false
			}
		}
		if strings.HasPrefix(t, "sk-") && len(t) >= 40 {
			return end, false
		}
	case 'n':
		if strings.HasPrefix(t, "npm_") && len(t) >= 36 {
			return end, false
		}
	case 'S':
		if strings.HasPrefix(t, "SG") && end < len(s) && s[end] == '.' && len(t) >= 20 {
			return tokenEnd(s, end), false
		}
	}
	return 0, false
}

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
