package identity

import "context"

// Event is something that happened with people and their sessions, for the audit
// log.
type Event struct {
	// Action is one of the Event constants.
	Action string
	// Person is who did it; without an id if that is not known, as with a refused
	// sign-in, or if Gatehouse did it by itself.
	Person Person
	// Subject is the id of the person whom it concerns, and SubjectName how they
	// are shown.
	Subject, SubjectName string
	// Address is the network address that the request came from; empty if there
	// was none.
	Address string
	// Reason says why, in words; Detail holds further facts. Neither holds a secret.
	Reason string
	Detail map[string]string
}

// The actions of events.
const (
	EventOpened   = "session.opened"
	EventRefused  = "session.refused"
	EventEnded    = "session.ended"   // signed out, or refused by the identity provider
	EventRevoked  = "session.revoked" // ended by an admin, or everywhere
	EventDisabled = "person.disabled"
	EventEnabled  = "person.enabled"
)

// tell hands an event on to the audit log, if there is one.
func (g *Guard) tell(ctx context.Context, e Event) {
	if g.audit != nil {
		g.audit(ctx, e)
	}
}
