package notify

import (
	"net/url"
	"strings"
	"unicode"
)

// Clean takes out of a text what could deceive the person who reads it: control
// characters, and format characters such as those that turn the direction of
// writing around or show nothing. Bytes that are no UTF-8 become U+FFFD. Line
// breaks stay if lines is set and become blanks otherwise.
func Clean(s string, lines bool) string {
	s = strings.ReplaceAll(s, "\r\n", "\n")
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		switch {
		case r == '\n' && lines:
			return r
		case r == '\n', r == '\r', r == '\t', r == '\v', r == '\f', r == 0x85, r == 0x2028, r == 0x2029:
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD")))
}

// Cut shortens a text to at most n characters, the last of which is then an
// ellipsis.
func Cut(s string, n int) string {
	count := 0
	last := 0 // where the text ends with room for the ellipsis
	for i := range s {
		if count == n-1 {
			last = i
		}
		if count == n {
			return s[:last] + "…"
		}
		count++
	}
	return s
}

// maxURL is what Slack takes in a button.
const maxURL = 3000

// WebURL returns a URL that may be shown as a link, or "" for anything else: only
// absolute http and https URLs without credentials, so that no text of others
// becomes javascript: or a link that leads elsewhere than it seems.
func WebURL(s string) string {
	if len(s) > maxURL || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
		return ""
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil {
		return ""
	}
	return u.String()
}
