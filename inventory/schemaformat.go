package inventory

import (
	"net/netip"
	"strings"
	"time"
)

// format is a set of the forms that a field's strings had.
type format uint16

const (
	formatText format = 1 << iota
	formatWord
	formatEmpty
	formatUUID
	formatDate
	formatDateTime
	formatInteger
	formatDecimal
	formatEmail
	formatURI
	formatIPv4
	formatIPv6
	formatHex
)

// formatNames are the names of the forms that say something.
var formatNames = map[format]string{
	formatUUID: "uuid", formatDate: "date", formatDateTime: "date-time", formatInteger: "integer-string",
	formatDecimal: "decimal-string", formatEmail: "email", formatURI: "uri", formatIPv4: "ipv4", formatIPv6: "ipv6",
	formatHex: "hex",
}

// shown returns the name of the one form that all strings had, or "". Empty
// strings go with any.
func (f format) shown() string { return formatNames[f&^formatEmpty] }

// formatOf tells the form of a string. It looks once at the characters and then
// only at what they allow.
func formatOf(s string) format {
	if s == "" {
		return formatEmpty
	}
	if len(s) > 512 {
		if hasScheme(s) {
			return formatURI
		}
		return formatText
	}
	var digits, letters, hexes, hyphens, dots, colons, ats, others int
	for i := range len(s) {
		switch c := s[i]; {
		case isDigit(c):
			digits++
			hexes++
		case isLetter(c):
			letters++
			if isHex(c) {
				hexes++
			}
		case c == '-':
			hyphens++
		case c == '.':
			dots++
		case c == ':':
			colons++
		case c == '@':
			ats++
		case c == '_':
		default:
			others++
		}
	}
	n := len(s)
	switch {
	case digits == n:
		return formatInteger
	case ats == 1 && isAddress(s):
		return formatEmail
	case n == 36 && hyphens == 4 && isUUID(s):
		return formatUUID
	case colons > 0 && letters > 2 && hasScheme(s):
		return formatURI
	case isDigit(s[0]) && n >= 10 && hyphens >= 2 && letters <= 2 && isDateTime(s):
		if n == 10 {
			return formatDate
		}
		return formatDateTime
	case dots == 3 && digits+dots == n && isIP(s):
		return formatIPv4
	case colons >= 2 && hexes+colons+dots == n && isIP(s):
		return formatIPv6
	case letters == 0 && digits > 0 && (dots == 1 && digits+dots+hyphens == n || digits == n-1) && hyphens <= 1 && (hyphens == 0 || s[0] == '-'):
		if dots == 0 && hyphens == 1 {
			return formatInteger
		}
		if dots == 1 {
			return formatDecimal
		}
		return formatText
	case hexes == n && n >= 16 && digits > 0:
		return formatHex
	case others == 0 && ats == 0 && isLetter(s[0]) && digits*3 <= letters:
		return formatWord
	default:
		return formatText
	}
}

// isAddress is a stricter isEmail: a local part and a domain with a top level of
// letters, nothing else around.
func isAddress(s string) bool {
	at := strings.IndexByte(s, '@')
	if at < 1 || at > 64 || len(s) > 254 {
		return false
	}
	for i := range at {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),:;<>[\]`, c) >= 0 {
			return false
		}
	}
	domain := s[at+1:]
	dot := strings.LastIndexByte(domain, '.')
	if dot < 1 || len(domain)-dot < 3 {
		return false
	}
	for i := range len(domain) {
		c := domain[i]
		if !isLetter(c) && (i > dot || !isDigit(c) && c != '-' && c != '.') && i != dot {
			return false
		}
	}
	return domain[0] != '.' && domain[0] != '-'
}

func hasScheme(s string) bool {
	at := strings.Index(s[:min(len(s), 32)], "://")
	if at < 2 {
		return false
	}
	for i := range at {
		if !isLetter(s[i]) && !isDigit(s[i]) && s[i] != '+' {
			return false
		}
	}
	return true
}

func isDateTime(s string) bool {
	if s[4] != '-' || s[7] != '-' {
		return false
	}
	year, ok1 := wholeNumber(s[0:4])
	month, ok2 := wholeNumber(s[5:7])
	day, ok3 := wholeNumber(s[8:10])
	if !ok1 || !ok2 || !ok3 || month < 1 || month > 12 || day < 1 || day > time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day() {
		return false
	}
	if len(s) == 10 {
		return true
	}
	return len(s) >= 16 && len(s) <= 40 && (s[10] == 'T' || s[10] == ' ' || s[10] == 't') && s[13] == ':'
}

func wholeNumber(s string) (n int, ok bool) {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
		n = n*10 + int(s[i]-'0')
	}
	return n, s != ""
}

func isIP(s string) bool {
	if len(s) > 45 {
		return false
	}
	_, err := netip.ParseAddr(s)
	return err == nil
}
