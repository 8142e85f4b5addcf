package transaction

import "strings"

// place is where a name stands. Some words are secrets' names in one place and
// ordinary in another: "code" is an OAuth secret in a query and an error number
// in a body.
type place uint8

const (
	placeHeader place = iota
	placeQuery
	placeBody
	numPlaces
)

// secretNames are names of secrets wherever they stand, as part of a name. They
// are in lower case without separators.
var secretNames = [...]string{
	"password", "passwd", "passphrase", "passcode", "secret", "apikey", "accesskey", "privatekey", "signingkey",
	"encryptionkey", "masterkey", "sharedkey", "accountkey", "subscriptionkey", "licensekey", "authkey", "sessionkey",
	"credential", "authorization", "bearer", "jwt", "sessionid", "csrf", "xsrf", "clientassertion", "samlresponse",
	"signature", "xamznoidc", "cookie", "kennwort", "passwort", "contrasena", "motdepasse",
}

// secretWords are names of secrets when they are the whole name.
var secretWords = map[string][numPlaces]bool{
	"pwd":              {true, true, true},
	"pass":             {true, true, true},
	"pin":              {false, true, true},
	"pincode":          {false, true, true},
	"otp":              {true, true, true},
	"totp":             {true, true, true},
	"mfa":              {true, true, true},
	"mfacode":          {true, true, true},
	"verificationcode": {true, true, true},
	"securitycode":     {true, true, true},
	"cvv":              {true, true, true},
	"cvv2":             {true, true, true},
	"cvc":              {true, true, true},
	"sid":              {true, true, true},
	"session":          {true, true, false},
	"auth":             {true, true, true},
	"sig":              {true, true, false},
	"assertion":        {true, true, true},
	"code":             {false, true, false},
	"codeverifier":     {false, true, true},
	"key":              {false, true, false},
	"appkey":           {true, true, true},
	"hmac":             {true, true, true},
	"xauth":            {true, true, true},
}

// publicTokens are names with "token" in them that are no secrets: pages, counts
// and descriptions.
var publicTokens = [...]string{
	"nexttoken", "pagetoken", "continuationtoken", "paginationtoken", "nextpagetoken", "previoustoken", "prevtoken",
	"starttoken", "clientrequesttoken", "tokentype", "tokencount", "tokenuse", "tokenlimit", "tokenurl", "tokenuri",
	"tokenendpoint", "tokenexpir", "tokenizer", "maxtoken", "tokenstatus", "tokenvalid", "tokenname",
}

// publicKeys are names of headers and parameters that end in "key" and hold no
// secret.
var publicKeys = [...]string{
	"idempotencykey", "partitionkey", "secwebsocketkey", "surrogatekey", "cachekey", "routekey", "sortkey", "primarykey",
	"publickey", "hotkey", "turkey", "monkey", "keykey", "foreignkey", "objectkey", "rowkey", "groupkey", "orderkey",
}

// isSecret reports whether what stands under name is a secret.
func (r *Redactor) isSecret(name string, where place) bool {
	if len(name) > 128 {
		name = name[len(name)-128:]
	}
	if strings.IndexByte(name, '\\') >= 0 {
		name = unescape(name)
	}
	if strings.IndexByte(name, '%') >= 0 {
		name = unpercent(name)
	}
	var room [160]byte
	plain := string(appendPlain(room[:0], name))
	plain = strings.Trim(plain, "[]()'\"")
	if i := strings.LastIndexAny(plain, "[]"); i >= 0 {
		// user[password] is called password; items[] is called items.
		if inner := strings.Trim(plain[strings.LastIndexByte(plain[:i], '[')+1:], "[]"); inner != "" {
			plain = inner
		}
	}
	if r.named(plain, where) {
		return true
	}
	if word, ok := secretWords[plain]; ok && word[where] {
		return true
	}
	for _, s := range secretNames {
		if strings.Contains(plain, s) {
			return true
		}
	}
	if strings.Contains(plain, "token") {
		for _, s := range publicTokens {
			if strings.Contains(plain, s) {
				return false
			}
		}
		return !strings.HasSuffix(plain, "tokens")
	}
	if where != placeBody && len(plain) > 3 && strings.HasSuffix(plain, "key") {
		for _, s := range publicKeys {
			if strings.HasSuffix(plain, s) {
				return false
			}
		}
		return true
	}
	return len(plain) > 3 && strings.HasSuffix(plain, "pwd")
}

// unpercent decodes percent escapes; broken ones stay.
func unpercent(s string) string {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if hi, ok := hexDigit(s[i+1]); ok {
				if lo, ok := hexDigit(s[i+2]); ok {
					out = append(out, hi<<4|lo)
					i += 2
					continue
				}
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// redaction applies a Redactor. It remembers verdicts on names, which come again
// and again, and is not safe for concurrent use.
type redaction struct {
	rules    *Redactor
	verdicts [numPlaces][verdictSlots]verdict
}

type verdict struct {
	name   string
	secret bool
}

const verdictSlots = 256

func (d *redaction) init(r *Redactor) {
	if r == nil {
		r = defaultRedactor()
	}
	d.rules = r
}

func (d *redaction) isSecret(name string, where place) bool {
	if name == "" {
		return false
	}
	if len(name) > 64 {
		return d.rules.isSecret(name, where)
	}
	n := len(name)
	slot := (uint(name[0])*31 ^ uint(name[n/2])*57 ^ uint(name[n-1])*131 ^ uint(name[n/3])*17 ^ uint(n)*7) % verdictSlots
	v := &d.verdicts[where][slot]
	if v.name == name {
		return v.secret
	}
	*v = verdict{strings.Clone(name), d.rules.isSecret(name, where)}
	return v.secret
}
