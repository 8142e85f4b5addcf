package inventory

import (
	"net/url"
	"strings"
	"unicode"
)

// form is what one path segment looks like by itself.
type form uint8

const (
	// formName is a plain lower-case word: the name of something, or a value
	// that looks like one.
	formName form = iota
	// formCompound is several words in one: list-users, getUser, my_report.
	formCompound
	// formMixed holds digits, spaces or other characters that names of
	// resources seldom have: rg1, o'neill.
	formMixed
	// formFixed is never a value: a version, or a word with a meaning of its
	// own in a path (me, search, count).
	formFixed
	// formValue is a value for sure: a number, a UUID, an e-mail address.
	formValue
)

// maxLiteral is the longest segment, in bytes, that can be a name.
const maxLiteral = 64

// classify tells the form of a raw path segment. depth is how many segments
// stand before it: near the beginning of a path a date or 1.0 is a version.
func classify(segment string, depth int) form {
	if len(segment) > maxLiteral {
		return formValue
	}
	if strings.IndexByte(segment, '%') >= 0 {
		decoded, err := url.PathUnescape(segment)
		if err != nil {
			return formMixed
		}
		segment = decoded
	}
	if fixedWords[segment] || isVersion(segment, depth) {
		return formFixed
	}
	if isValue(segment) {
		return formValue
	}
	// A file is its stem: a1b2c3d4e5.jpg.
	if dot := strings.LastIndexByte(segment, '.'); dot > 0 && len(segment)-dot <= 6 && isValue(segment[:dot]) {
		return formValue
	}
	// A list is its parts: 12,15,19.
	if strings.IndexByte(segment, ',') > 0 {
		all := true
		for part := range strings.SplitSeq(segment, ",") {
			all = all && isValue(part)
		}
		if all {
			return formValue
		}
	}
	return nameForm(segment)
}

func nameForm(segment string) form {
	lower, compound := false, false
	for _, r := range segment {
		switch {
		case 'a' <= r && r <= 'z':
			lower = true
		case 'A' <= r && r <= 'Z':
			compound = compound || lower
		case r == '-' || r == '_' || r == '.' || r == ':' || r == '$':
			compound = true
		default:
			return formMixed
		}
	}
	if compound {
		return formCompound
	}
	return formName
}

// isValue reports whether a decoded segment is a value whatever stands around
// it. The checks are ordered by cost.
func isValue(s string) bool {
	var digits, lower, upper, hyphens, others, hexes int
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			digits++
			hexes++
		case 'a' <= c && c <= 'z':
			lower++
			if c <= 'f' {
				hexes++
			}
		case 'A' <= c && c <= 'Z':
			upper++
			if c <= 'F' {
				hexes++
			}
		case c == '-' || c == '_':
			hyphens++
		default:
			others++
		}
	}
	n, letters := len(s), lower+upper
	switch {
	case n == 0:
		return false
	case s[0] == '{' || s[0] == '}' || s[n-1] == '}':
		return true // a client that forgot to fill in its template
	case digits == 0:
		return isEmail(s) || isOpaque(s, digits, lower, upper, others)
	case letters == 0:
		return true // numbers, dates, addresses, coordinates, phone numbers
	case hexes == n && n >= 8 && digits >= 2:
		return true // ObjectIds, digests, UUIDs without hyphens
	case isUUID(s):
		return true
	case others == 0 && hyphens == 0 && n >= 6 && digits >= 3 && !knownWithDigits[strings.ToLower(s)]:
		return true // ULIDs, KSUIDs, cuids, AB12345
	case isTimestamp(s), isPrefixedID(s), isEmail(s):
		return true
	case strings.Count(s, ":") >= 2:
		return true // ARNs, URNs, MAC and IPv6 addresses
	default:
		return isOpaque(s, digits, lower, upper, others)
	}
}

func isUUID(s string) bool {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "{"), "}")
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		switch i {
		case 8, 13, 18, 23:
			if s[i] != '-' {
				return false
			}
		default:
			if !isHex(s[i]) {
				return false
			}
		}
	}
	return true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// isTimestamp matches 2026-01-31T10:00:00Z and 20260131T100000Z.
func isTimestamp(s string) bool {
	date, _, ok := strings.Cut(s, "T")
	if !ok || len(date) < 8 {
		return false
	}
	for i := range len(date) {
		if !isDigit(date[i]) && date[i] != '-' {
			return false
		}
	}
	return true
}

func isEmail(s string) bool {
	at := strings.IndexByte(s, '@')
	return at > 0 && strings.LastIndexByte(s, '.') > at+1 && !strings.ContainsAny(s[at+1:], "@ ")
}

// isPrefixedID matches an opaque value behind a short word that says its kind,
// such as cus_9s6XKzkNRiz8i3, order-12345 or user_01h2xcejqtf2nbrexx3vqjhp41.
func isPrefixedID(s string) bool {
	sep := strings.LastIndexAny(s, "_-")
	if sep < 2 || sep > 20 {
		return false
	}
	for i := range sep {
		if !isLetter(s[i]) && s[i] != '_' {
			return false
		}
	}
	body := s[sep+1:]
	digits, lower, upper := 0, 0, 0
	for i := range len(body) {
		switch c := body[i]; {
		case isDigit(c):
			digits++
		case 'a' <= c && c <= 'z':
			lower++
		case 'A' <= c && c <= 'Z':
			upper++
		default:
			return false
		}
	}
	switch {
	case lower+upper == 0:
		return digits >= 3 && !knownWithDigits[strings.ToLower(s)]
	case len(body) < 6:
		return false
	default:
		return digits >= 3 || digits > 0 && lower > 0 && upper > 0
	}
}

// isOpaque matches base64, tokens and other random text: long, of several
// classes of characters, which change far more often than words do.
func isOpaque(s string, digits, lower, upper, others int) bool {
	if len(s) < 16 || others > len(s)/8+2 {
		return false
	}
	classes := 0
	for _, n := range []int{digits, lower, upper} {
		if n > 0 {
			classes++
		}
	}
	if classes < 2 {
		return false
	}
	// In camelCase a capital is followed by small letters and begins a word of
	// some length; random text changes its class every other character.
	changes := 0
	for i := 1; i < len(s); i++ {
		if classOf(s[i]) != classOf(s[i-1]) {
			changes++
		}
	}
	return changes*100 >= 45*len(s) || digits >= 2 && digits*100 >= 12*len(s) && changes*100 >= 30*len(s)
}

func classOf(c byte) uint8 {
	switch {
	case isDigit(c):
		return 1
	case 'a' <= c && c <= 'z':
		return 2
	case 'A' <= c && c <= 'Z':
		return 3
	default:
		return 4
	}
}

// isVersion matches v1, v1.2, v2beta1, v20180820 everywhere, 2010-04-01 as the
// first segment of a path, and 1.0 as its first or second (/api/2.0/clusters).
func isVersion(s string, depth int) bool {
	if len(s) >= 2 && len(s) <= 16 && (s[0] == 'v' || s[0] == 'V') && isDigit(s[1]) {
		rest := strings.TrimLeft(s[1:], "0123456789.")
		rest = strings.TrimLeft(rest, "_-")
		for _, word := range []string{"alpha", "beta", "rc", "preview", "p"} {
			if after, ok := strings.CutPrefix(rest, word); ok {
				rest = after
				break
			}
		}
		return strings.Trim(rest, "0123456789") == ""
	}
	if depth > 1 {
		return false
	}
	if depth == 0 && len(s) == 10 && s[4] == '-' && s[7] == '-' && strings.Count(s, "-") == 2 {
		return strings.Trim(s, "0123456789-") == ""
	}
	major, minor, ok := strings.Cut(s, ".")
	return ok && len(major) >= 1 && len(major) <= 2 && len(minor) >= 1 && len(minor) <= 2 &&
		strings.Trim(major+minor, "0123456789") == ""
}

// fixedWords have a meaning of their own in a path: they stay literal beside a
// parameter, and many collections having one of them says nothing about the
// collections.
var fixedWords = setOf(`
	$batch $count $metadata $value
	activate active add all api apis archive auth authorize autocomplete avatar
	batch bulk cancel changes check clear clone close complete config confirm copy count create current
	deactivate default delete details disable docs download edit enable events export favicon.ico featured feed
	filter find first from health healthcheck healthz history import index info internal
	last latest list livez login logout me metadata metrics mine move new next oauth oauth2 openapi.json options
	parameters permissions ping popular preview previous private process profile public publish query random
	readyz recent refresh register related remove rename reset restore resume retry revoke root run
	schema search self send settings start stats statistics status stop submit suggest summary sync
	tags test token top total trending types undo unpublish update upload validate verify version versions webhook webhooks
`)

// knownWithDigits are names that look like values.
var knownWithDigits = setOf(`
	sha-1 sha1 sha224 sha256 sha384 sha512 sha3256 base32 base58 base64 md5sum crc32 utf8 utf16 utf-8
	aes128 aes192 aes256 es256 es384 es512 rs256 rs384 rs512 hs256 hs384 hs512 ed25519 x25519 x509 pkcs12
	iso-8859 utf-16 iso3166 iso4217 iso8601 iso8859 iso639 rfc3339 rfc7807 rfc9457 windows1252 web3 oauth2 log4j2 http2 http3
`)

func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		set[word] = true
	}
	return set
}

// parameterName names the parameter that stands below a literal segment: the
// singular of the parent and "Id" (pets gives petId, order-items orderItemId),
// or "id" below anything that is no noun.
func parameterName(parent string) string {
	if parent == "" || classify(parent, 2) >= formMixed && !fixedWords[parent] {
		return "id"
	}
	var b strings.Builder
	word := singular(parent)
	capital := false
	for _, r := range word {
		switch {
		case r == '-' || r == '_' || r == '.' || r == ':':
			capital = b.Len() > 0
		case r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r):
		default:
			if b.Len() == 0 {
				r = unicode.ToLower(r)
			} else if capital {
				r = unicode.ToUpper(r)
			}
			capital = false
			b.WriteRune(r)
		}
	}
	switch parent {
	case "api", "apis", "me", "self", "mine", "all":
		return "id"
	}
	if b.Len() == 0 {
		return "id"
	}
	return b.String() + "Id"
}

// singular covers the regular English plurals and the usual exceptions.
func singular(word string) string {
	head, tail := "", word
	if at := strings.LastIndexAny(word, "-_."); at >= 0 {
		head, tail = word[:at+1], word[at+1:]
	}
	lower := strings.ToLower(tail)
	if one, ok := irregular[lower]; ok {
		return head + one
	}
	n := len(tail)
	switch {
	case n < 4 || !strings.HasSuffix(lower, "s"):
		return word
	case strings.HasSuffix(lower, "ss"), strings.HasSuffix(lower, "us"), strings.HasSuffix(lower, "is"):
		return word
	case strings.HasSuffix(lower, "ies"):
		return head + tail[:n-3] + "y"
	case strings.HasSuffix(lower, "sses"), strings.HasSuffix(lower, "shes"), strings.HasSuffix(lower, "ches"),
		strings.HasSuffix(lower, "xes"), strings.HasSuffix(lower, "zzes"):
		return head + tail[:n-2]
	default:
		return head + tail[:n-1]
	}
}

var irregular = map[string]string{
	"people": "person", "children": "child", "men": "man", "women": "woman", "indices": "index", "indexes": "index",
	"vertices": "vertex", "matrices": "matrix", "analyses": "analysis", "statuses": "status", "addresses": "address",
	"aliases": "alias", "buses": "bus", "media": "medium", "data": "data", "news": "news", "series": "series",
	"species": "species", "movies": "movie", "cookies": "cookie", "caches": "cache", "databases": "database",
}

// isPlural reports whether a literal names a collection.
func isPlural(word string) bool {
	return word != "" && !fixedWords[word] && singular(word) != word
}
