package transaction

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Class is a class of data that redaction knows by its shape, whatever its name.
type Class string

// The classes of data. Secrets are always taken out.
const (
	// ClassSecret is what gives access: tokens, keys, passwords, private keys.
	ClassSecret Class = "secret"
	// ClassCard is the number of a payment card: that of a known network, with a
	// check digit that fits.
	ClassCard Class = "card"
	// ClassEmail is an e-mail address.
	ClassEmail Class = "email"
	// ClassPhone is a telephone number with a plus sign and a country code, or one
	// of North America with the usual separators.
	ClassPhone Class = "phone"
	// ClassIBAN is an international bank account number whose check digits fit.
	ClassIBAN Class = "iban"
	// ClassSSN is a social security number of the United States, with hyphens.
	ClassSSN Class = "ssn"
)

// Classes lists all classes of data.
func Classes() []Class {
	return []Class{ClassSecret, ClassCard, ClassEmail, ClassPhone, ClassIBAN, ClassSSN}
}

// DefaultClasses lists the classes that are taken out where nothing else is said.
func DefaultClasses() []Class { return []Class{ClassSecret, ClassCard} }

// RedactionRules say what is taken out beside secrets.
type RedactionRules struct {
	// Headers are names of headers of requests and responses. Case, hyphens and
	// underscores do not matter; a star at either end stands for any text.
	Headers []string
	// JSONPaths are places in JSON bodies: "$.user.email", "items[*].price",
	// "rows[0]", "$..phone" for a member at any depth. What stands there is taken
	// out, all that is in it included.
	JSONPaths []string
	// Classes are taken out wherever they stand, secrets in any case. Nil means
	// DefaultClasses; an empty list, secrets alone.
	Classes []Class
}

// Redactor is compiled RedactionRules. It is safe for concurrent use.
type Redactor struct {
	headers  map[string]bool // plain names
	wild     []wildName
	paths    jsonPaths
	classes  classSet
	ordinary bool // no header is secret but by the rules that always hold
}

// wildName is a plain name with stars at its ends.
type wildName struct {
	text          string
	before, after bool
}

func (w *wildName) matches(plain string) bool {
	switch {
	case w.before && w.after:
		return strings.Contains(plain, w.text)
	case w.before:
		return strings.HasSuffix(plain, w.text)
	default:
		return strings.HasPrefix(plain, w.text)
	}
}

// classSet is a set of classes.
type classSet uint8

const (
	hasCard classSet = 1 << iota
	hasEmail
	hasPhone
	hasIBAN
	hasSSN
)

// NewRedactor compiles rules. Its error names the rule that cannot be understood.
func NewRedactor(rules RedactionRules) (*Redactor, error) {
	r := &Redactor{headers: map[string]bool{}}
	for _, name := range rules.Headers {
		trimmed := strings.Trim(name, "*")
		plain := plainKey(trimmed)
		switch {
		case plain == "" || strings.ContainsAny(trimmed, "* \t\r\n:"):
			return nil, fmt.Errorf("redacting header %q: want a name such as X-Internal-Id or X-Internal-*", name)
		case len(trimmed) == len(name):
			r.headers[plain] = true
		default:
			r.wild = append(r.wild, wildName{plain, strings.HasPrefix(name, "*"), strings.HasSuffix(name, "*")})
		}
	}
	for _, path := range rules.JSONPaths {
		if err := r.paths.add(path); err != nil {
			return nil, fmt.Errorf("redacting JSON path %q: %w", path, err)
		}
	}
	classes := rules.Classes
	if classes == nil {
		classes = DefaultClasses()
	}
	for _, c := range classes {
		switch c {
		case ClassSecret: // always
		case ClassCard:
			r.classes |= hasCard
		case ClassEmail:
			r.classes |= hasEmail
		case ClassPhone:
			r.classes |= hasPhone
		case ClassIBAN:
			r.classes |= hasIBAN
		case ClassSSN:
			r.classes |= hasSSN
		default:
			var known []string
			for _, k := range Classes() {
				known = append(known, string(k))
			}
			slices.Sort(known)
			return nil, fmt.Errorf("redacting class %q: the classes are %s", c, strings.Join(known, ", "))
		}
	}
	r.ordinary = len(r.headers) == 0 && len(r.wild) == 0
	return r, nil
}

// defaultRedactor has no rules of anybody's own.
var defaultRedactor = sync.OnceValue(func() *Redactor {
	r, err := NewRedactor(RedactionRules{})
	if err != nil {
		panic(err) // no rule, no error
	}
	return r
})

// named reports whether the rules name a header.
func (r *Redactor) named(plain string, where place) bool {
	if r == nil || r.ordinary || where != placeHeader {
		return false
	}
	if r.headers[plain] {
		return true
	}
	for i := range r.wild {
		if r.wild[i].matches(plain) {
			return true
		}
	}
	return false
}
