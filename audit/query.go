package audit

import (
	"strings"
	"time"
)

// Query chooses events. The zero value is all.
type Query struct {
	// Actor is the ID or the name of an actor, whole.
	Actor string
	Kind  ActorKind
	Via   Via
	// Action is the beginning of an action: "grant." or "grant.revoked".
	Action string
	// Subject is the ID or the name of a subject, whole, or its kind.
	Subject string
	// By is a very actor: of its kind and ID or, where it has no ID, of its kind and
	// name and without an ID. Nil: all. It is what limits people to events of their own.
	By *Actor
	// Since and Until bound the time: from Since on, before Until.
	Since, Until time.Time
	// Limit is how many events a page has; 0: 100, at most 1000.
	Limit int
	// Cursor is Next of the page before.
	Cursor string
}

// Page is one page of events.
type Page struct {
	Events []Event `json:"events"`
	// Next is the cursor of the next page; empty on the last.
	Next string `json:"next,omitempty"`
}

// Matches reports whether the query chooses an event; Limit and Cursor do not matter.
func (q *Query) Matches(e *Event) bool {
	return (q.Actor == "" || e.Actor.ID == q.Actor || e.Actor.Name == q.Actor) &&
		(q.Kind == "" || e.Actor.Kind == q.Kind) &&
		(q.Via == "" || e.Actor.Via == q.Via) &&
		strings.HasPrefix(e.Action, q.Action) &&
		(q.Subject == "" || e.Subject.ID == q.Subject || e.Subject.Name == q.Subject || e.Subject.Kind == q.Subject) &&
		(q.By == nil || q.By.made(e)) &&
		(q.Since.IsZero() || !e.Time.Before(q.Since.Truncate(time.Microsecond))) &&
		(q.Until.IsZero() || e.Time.Before(q.Until.Truncate(time.Microsecond)))
}

// made reports whether an event is the actor's. Somebody without id and name is nobody.
func (a Actor) made(e *Event) bool {
	if a.Kind != e.Actor.Kind || a.ID != e.Actor.ID {
		return false
	}
	return a.ID != "" || a.Name != "" && a.Name == e.Actor.Name
}
