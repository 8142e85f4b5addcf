package audit

import "github.com/gatehouse-project/gatehouse/identity"

// ActorOf is the actor that a person is, who came from an IP address. Whoever uses the
// admin token is a token: it tells nobody's name.
func ActorOf(p identity.Person, address string) Actor {
	a := Actor{Kind: Person, ID: p.ID, Name: p.Name, Address: address}
	switch {
	case p.ID == identity.AdminID:
		a.Kind = Token
	case !p.SignedIn():
		a.Kind = Unknown
	}
	switch p.Via {
	case identity.ViaWeb:
		a.Via = ViaWeb
	case identity.ViaCLI:
		a.Via = ViaCLI
	case identity.ViaToken:
		a.Via = ViaAPI
	}
	return a
}

// Readable limits a query to what a person may read: approvers and admins read all
// events, everybody else those that they made themselves.
func Readable(q Query, p identity.Person) Query {
	if !p.Role.Allows(identity.Approver) {
		own := ActorOf(p, "")
		q.By = &own
	}
	return q
}
