// Package identity says who sends a request and what they may do: it keeps the
// admin token and the sessions, and guards every page and every call of the API
// against other sites, other hosts and people who are not signed in.
package identity

import (
	"context"
	"fmt"
	"net/http"
)

// Role is what a person may do; each role may also do what the ones before it
// may. The zero Role may do nothing.
type Role int

// The roles in order of power.
const (
	// None is somebody who is not signed in.
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

// Person is who sends a request.
type Person struct {
	// Name is shown in the dashboard and written to the audit log; empty for
	// somebody who is not signed in.
	Name string
	Role Role
}

// SignedIn reports whether the person proved who they are.
func (p Person) SignedIn() bool { return p.Name != "" }

type personKey struct{}

// FromContext returns the person that the Guard put in a request's context, and
// a Person without name or role if there is none.
func FromContext(ctx context.Context) Person {
	p, _ := ctx.Value(personKey{}).(Person)
	return p
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
