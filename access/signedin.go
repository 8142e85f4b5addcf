package access

import (
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/identity"
)

// PersonOf is the person of a request as lending knows them. Their ID is the
// e-mail address in the identity provider's own spelling; who has none, such as
// whoever holds the admin token, is known by the ID of their sign-in, which no flow
// names.
func PersonOf(p identity.Person) flow.Person {
	id := p.Email
	if id == "" {
		id = p.ID
	}
	return flow.Person{
		ID: id, Name: p.Name, Groups: p.Groups, Attributes: p.Attributes, Manager: p.Manager,
		Admin: p.Role.Allows(identity.Admin),
	}
}
