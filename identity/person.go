package identity

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"maps"
	"slices"
	"strings"
)

// Person is who sends a request.
type Person struct {
	// ID is the same for as long as the person is the same one at the identity
	// provider: a digest of issuer and subject (see PersonID), which outlives a
	// change of name or e-mail, and which nobody inherits with an address that is
	// given out again. It fits into URLs and Kubernetes labels. The admin token's is
	// AdminID; somebody whom only the people file names has their e-mail address.
	ID string `json:"id,omitempty"`
	// Email is as the identity provider writes it: Kubernetes tells user names that
	// differ in case apart.
	Email string `json:"email,omitempty"`
	// Name is shown in the dashboard and written to the audit log; empty for
	// somebody who is not signed in.
	Name string `json:"name,omitempty"`
	// Groups are sorted, each once.
	Groups []string `json:"groups,omitempty"`
	// Attributes are further claims, by name.
	Attributes map[string][]string `json:"attributes,omitempty"`
	// Manager is whom the identity provider or the people file names as such: an
	// e-mail address or whatever else its claim holds.
	Manager string `json:"manager,omitempty"`
	Role    Role   `json:"role"`
	// Via is how the person came: one of the Via constants.
	Via string `json:"via,omitempty"`
}

// The ways in which a person comes.
const (
	ViaWeb   = "web"   // a browser's session
	ViaCLI   = "cli"   // a session of the command line
	ViaToken = "token" // the admin token with each request
)

// AdminID is the id of whoever has the admin token.
const AdminID = "admin-token"

// SignedIn reports whether the person proved who they are.
func (p Person) SignedIn() bool { return p.Name != "" }

// InGroup reports whether the person is in the group of that name.
func (p Person) InGroup(name string) bool { return slices.Contains(p.Groups, name) }

// clone returns p with groups and attributes of its own.
func (p Person) clone() Person {
	p.Groups = slices.Clone(p.Groups)
	p.Attributes = maps.Clone(p.Attributes)
	return p
}

// PersonID is the id of a person of an OpenID provider: "p-" and 26 letters and
// digits. Subjects may hold any text, so a digest stands for them.
func PersonID(issuer, subject string) string {
	sum := sha256.Sum256([]byte(issuer + "\n" + subject))
	return "p-" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

// EmailKey is the form in which e-mail addresses are compared: A to Z in lower
// case and nothing else changed. Full case folding would make "K" of the Kelvin
// sign, and so somebody else's address, out of a letter.
func EmailKey(email string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, email)
}

type personKey struct{}

// FromContext returns the person that the Guard put in a request's context, and
// a Person without name or role if there is none.
func FromContext(ctx context.Context) Person {
	p, _ := ctx.Value(personKey{}).(Person)
	return p
}

type sessionKey struct{}

// SessionFromContext returns the session that a request came with; false if it
// came without one, as with the admin token.
func SessionFromContext(ctx context.Context) (Session, bool) {
	s, ok := ctx.Value(sessionKey{}).(*Session)
	if !ok {
		return Session{}, false
	}
	return *s, true
}
