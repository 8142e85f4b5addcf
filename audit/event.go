// Package audit keeps who changed what: an append-only log of events, each of
// which holds the hash of the one before it.
//
// The chain shows what was changed, dropped, swapped or doubled in the middle. It
// cannot show by itself that the newest events were cut off, or that somebody with
// the whole store made a new chain from the start; for that a head, the number and
// hash of an event, is noted in another place (see Watch) and given to the Verifier.
package audit

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// Event is one change of state and who made it. Seq, Prev and Hash are filled in by
// the store, and Time too where it is zero.
type Event struct {
	// Seq counts the events of one store from 1, without gaps.
	Seq uint64 `json:"seq"`
	// Time is UTC, to the microsecond.
	Time  time.Time `json:"time"`
	Actor Actor     `json:"actor"`
	// Action is noun.verb in lower case, the verb in the past: "grant.revoked".
	Action  string  `json:"action"`
	Subject Subject `json:"subject,omitzero"`
	// Reason is what the actor gave as a reason, if anything.
	Reason string `json:"reason,omitempty"`
	// Before and After are the state of the subject as JSON, redacted by the caller;
	// nil where there is none. Above MaxState bytes a value is replaced by a note that
	// says so; see Prepare.
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
	// Detail is what else there is to say, without secrets.
	Detail map[string]string `json:"detail,omitempty"`
	// Prev is the hash of the event before; zero for the first.
	Prev Hash `json:"prev"`
	// Hash is Seal(Prev, event).
	Hash Hash `json:"hash"`
}

// Actor is who did it.
type Actor struct {
	Kind ActorKind `json:"kind"`
	// ID is what stays when the name changes: the subject of the identity provider,
	// the number of a token; may be empty.
	ID string `json:"id,omitempty"`
	// Name is for people to read.
	Name string `json:"name,omitempty"`
	// Address is the client's IP address, where there is one.
	Address string `json:"address,omitempty"`
	// Via is the way that it came.
	Via Via `json:"via,omitempty"`
}

// Title is how an actor is called where there is room for one text.
func (a Actor) Title() string { return cmp.Or(a.Name, a.ID, a.Address, string(a.Kind)) }

// ActorKind is what kind of actor did it.
type ActorKind string

// Kinds of actors.
const (
	Person    ActorKind = "person"
	Gatehouse ActorKind = "gatehouse" // Gatehouse itself: its sweeper, its schedules
	Token     ActorKind = "token"     // a machine with a token
	// Unknown is somebody who could not show who they are: a refused sign-in.
	Unknown ActorKind = "unknown"
)

// ActorKinds returns all kinds.
func ActorKinds() []ActorKind { return []ActorKind{Person, Gatehouse, Token, Unknown} }

// IsActorKind reports whether kind is one of ActorKinds.
func IsActorKind(kind ActorKind) bool { return slices.Contains(ActorKinds(), kind) }

// Via is the way by which an actor came.
type Via string

// Ways. A room that has one of its own names it in lower case.
const (
	ViaWeb     Via = "web"
	ViaCLI     Via = "cli"
	ViaAPI     Via = "api"
	ViaSlack   Via = "slack"
	ViaSweeper Via = "sweeper"
	ViaServer  Via = "server" // the process itself: starts, stops, schedules
)

// Subject is what was changed.
type Subject struct {
	// Kind is a noun: "grant", "finding", "stage", "session".
	Kind string `json:"kind"`
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"` // for people to read, where it is not the ID
}

// Title is how a subject is called where there is room for one text: its kind, and its
// name or id.
func (s Subject) Title() string {
	name := cmp.Or(s.Name, s.ID)
	if s.Kind == "" || name == "" {
		return s.Kind + name
	}
	return s.Kind + " " + name
}

// MaxState is how many bytes Before and After may have each.
const MaxState = 16 << 10

// Log takes events.
type Log interface {
	// Append adds events in their order, all or none, and returns when they are safe.
	// It fills in Seq, Prev and Hash, and Time where it is zero, in what is saved; the
	// events given stay as they are.
	Append(ctx context.Context, events ...Event) error
}

// Errors of a store.
var (
	// ErrInvalidEvent is returned for an event without an action or an actor's kind, or
	// whose Before or After is no JSON.
	ErrInvalidEvent = errors.New("not an audit event")
	// ErrInvalidQuery is returned for a query that cannot be answered.
	ErrInvalidQuery = errors.New("not a query of the audit log")
	// ErrNotFound is returned for a number that no event has.
	ErrNotFound = errors.New("no such audit event")
	// ErrNotKept is returned by a store that keeps no audit log.
	ErrNotKept = errors.New("this state keeps no audit log")
)

// Reader reads the log.
type Reader interface {
	// AuditEvents returns a page of events, the newest first.
	AuditEvents(ctx context.Context, q Query) (Page, error)
	// AuditEvent returns one event, or ErrNotFound.
	AuditEvent(ctx context.Context, seq uint64) (*Event, error)
	// AuditHead returns the newest event's number and hash; the zero Head before the first.
	AuditHead(ctx context.Context) (Head, error)
	// AuditLines calls fn with the canonical encoding of each event after a number, the
	// oldest first, without reading all of them into memory. A line is valid only until
	// fn returns. It stops at the first error of fn and returns it.
	AuditLines(ctx context.Context, after uint64, fn func(line []byte) error) error
}

// Store keeps the log. Nothing in it is ever changed or removed.
type Store interface {
	Log
	Reader
}

type actorKey struct{}

// WithActor returns a context whose changes are made by an actor. A face sets it
// where a request enters; stores and engines take it for the events they write.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorFrom returns the actor of a context, and Gatehouse itself where none was set.
func ActorFrom(ctx context.Context) Actor {
	if a, ok := ctx.Value(actorKey{}).(Actor); ok {
		return a
	}
	return Actor{Kind: Gatehouse, Name: "gatehouse", Via: ViaServer}
}
