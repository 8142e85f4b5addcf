// Package identity says who sends a request and what they may do: it signs people
// in by OpenID Connect or the admin token, keeps their sessions, knows the people
// and their groups, and guards every page and every call of the API against other
// sites, other hosts and people who are not signed in.
package identity

import (
	"fmt"
	"net/http"
	"strings"
)

// Role is what a person may do; each role may also do what the ones before it
// may. The zero Role may do nothing.
type Role int

// The roles in order of power.
const (
	// None is somebody who is not signed in, or to whom no role was given.
	None Role = iota
	// Viewer reads everything that Gatehouse shows.
	Viewer
	// Requester also asks for access.
	Requester
	// Approver also decides on requests for access.
	Approver
	// Admin also changes settings, AWS and Kubernetes.
	Admin
)

var roleNames = [...]string{"none", "viewer", "requester", "approver", "admin"}

// String returns the role's name in lower case.
func (r Role) String() string {
	if r < None || r > Admin {
		return fmt.Sprintf("role(%d)", int(r))
	}
	return roleNames[r]
}

// MarshalText writes the role's name.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a role's name; see ParseRole.
func (r *Role) UnmarshalText(text []byte) (err error) {
	*r, err = ParseRole(string(text))
	return err
}

// Allows reports whether r may do what the role want may. An unknown role
// allows nothing.
func (r Role) Allows(want Role) bool { return r >= want && r <= Admin }

// ParseRole reads a role's name; it returns an error that lists the names for
// any other text.
func ParseRole(name string) (Role, error) {
	for i, n := range roleNames {
		if n == name {
			return Role(i), nil
		}
	}
	return None, fmt.Errorf("parsing role %q: want one of none, viewer, requester, approver, admin", name)
}

// Require lets only people with the role want (or one above it) reach next; the
// others get 401 if they are not signed in and 403 if they are.
func Require(want Role, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := FromContext(r.Context())
		switch {
		case p.Role.Allows(want):
			next.ServeHTTP(w, r)
		case !p.SignedIn():
			challenge(w)
			problem(w, http.StatusUnauthorized, "sign in with a role of "+want.String()+" or above")
		default:
			problem(w, http.StatusForbidden, "this needs the role "+want.String()+"; you are signed in as "+p.Role.String())
		}
	})
}

// RoleRules say who has which role. Each entry is "group:NAME", "user:EMAIL" or
// "*" for everyone who is signed in. Somebody has the most powerful role that an
// entry gives; nobody has one without an entry.
type RoleRules struct {
	Admins, Approvers, Requesters, Viewers []string
}

// Check returns an error that names the first entry of another form.
func (r RoleRules) Check() error {
	for _, list := range [][]string{r.Admins, r.Approvers, r.Requesters, r.Viewers} {
		for _, e := range list {
			if err := CheckRoleEntry(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// CheckRoleEntry returns an error unless e is "group:NAME", "user:EMAIL" or "*".
func CheckRoleEntry(e string) error {
	kind, name, _ := strings.Cut(e, ":")
	if e == "*" || name != "" && (kind == "group" || kind == "user" && strings.Contains(name, "@")) {
		return nil
	}
	return fmt.Errorf("%q is none of group:NAME, user:EMAIL and *", e)
}

// Of returns the role of a person who is signed in.
func (r RoleRules) Of(p Person) Role {
	for _, given := range []struct {
		role Role
		to   []string
	}{{Admin, r.Admins}, {Approver, r.Approvers}, {Requester, r.Requesters}, {Viewer, r.Viewers}} {
		for _, e := range given.to {
			if fits(e, p) {
				return given.role
			}
		}
	}
	return None
}

func fits(entry string, p Person) bool {
	kind, name, _ := strings.Cut(entry, ":")
	switch {
	case entry == "*":
		return true
	case name == "":
		return false
	case kind == "group":
		return p.InGroup(name)
	case kind == "user":
		return EmailKey(p.Email) == EmailKey(name)
	default:
		return false
	}
}
