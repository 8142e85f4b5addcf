package identity

import (
	"context"
	"errors"
	"time"
)

// Session is a sign-in that lasts. Whoever has its id is its person; a store keeps
// it under the SHA-256 of the id and never sees the id itself.
type Session struct {
	// Key is the SHA-256 of the id, in hex: it names the session and lets nobody in.
	Key string `json:"key"`
	// Person is as the identity provider described them at Checked. Role is what the
	// sign-in fixed (the admin token's); for people of an identity provider it is
	// found anew for each request.
	Person Person `json:"person"`
	// Kind is ViaWeb or ViaCLI: a browser's cookie, or the command line's token.
	Kind string `json:"kind"`
	// Source is a digest of what the person proved themselves with. A session whose
	// source is not in use any more, because the token or the identity provider was
	// changed, has ended.
	Source string `json:"source"`
	// Device is what the person came with, and Address from where: for people to
	// recognize their sessions.
	Device  string `json:"device,omitempty"`
	Address string `json:"address,omitempty"`
	// Created is when it began, Seen when it was last used, to a minute.
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen"`
	// Checked is when the identity provider last described the person, Tried when it
	// was last asked to.
	Checked time.Time `json:"checked"`
	Tried   time.Time `json:"tried,omitzero"`
	// Ends is when it ends whatever happens; IdleEnds when it ends unless it is used.
	Ends     time.Time `json:"ends"`
	IdleEnds time.Time `json:"idle_ends"`
	// Sealed is the refresh token, encrypted with a key that only the id gives.
	Sealed []byte `json:"sealed,omitempty"`
	// Version counts the changes; a change is refused if another came before it.
	Version int64 `json:"version"`
}

// end is when the session ends if nobody uses it any more.
func (s *Session) end() time.Time {
	if s.IdleEnds.Before(s.Ends) {
		return s.IdleEnds
	}
	return s.Ends
}

// Over reports whether the session has ended at a time.
func (s *Session) Over(now time.Time) bool { return !s.end().After(now) }

// Expires is when the session ends unless it is used before.
func (s *Session) Expires() time.Time { return s.end() }

// Entry is what is known of a person.
type Entry struct {
	Person
	// FirstSeen and LastSeen are when they signed in first, and when they were last
	// described by the identity provider; zero for somebody who never signed in.
	FirstSeen time.Time `json:"first_seen,omitzero"`
	LastSeen  time.Time `json:"last_seen,omitzero"`
	// Disabled is set for somebody who may not come in any more.
	Disabled *Disabling `json:"disabled,omitempty"`
}

// Disabling says when and why a person was disabled, and by whom.
type Disabling struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason,omitempty"`
}

// PeopleQuery chooses people. They come in the order of their e-mail addresses.
type PeopleQuery struct {
	// Search is part of an e-mail address or a name, in any case.
	Search string
	// Group is a group that they are in.
	Group string
	// Limit is how many at most; 0: 100, and never more than 1000.
	Limit int
	// After is the order key of the last person of the page before; see OrderKey.
	After string
}

// OrderKey is the key by which people are ordered.
func (p Person) OrderKey() string { return EmailKey(p.Email) + "\n" + p.ID }

// SignIn is a sign-in of the command line that waits for a person to confirm it,
// or for the command line to fetch its session.
type SignIn struct {
	// Key is the SHA-256, in hex, of the secret that the command line has.
	Key string
	// Code is what a person types where the command line has no browser; else empty.
	Code string
	Ends time.Time
	// Body is sealed: it holds the refresh token once a person has confirmed.
	Body []byte
	// Version counts the changes.
	Version int64
}

// Errors of a Store.
var (
	// ErrNoSession is returned for a session that is not there (any more).
	ErrNoSession = errors.New("there is no such session")
	// ErrNoPerson is returned for a person of whom nothing is known.
	ErrNoPerson = errors.New("there is no such person")
	// ErrNoSignIn is returned for a sign-in that is over or was never begun.
	ErrNoSignIn = errors.New("there is no such sign-in")
	// ErrConflict is returned for a change that another one came before.
	ErrConflict = errors.New("it was changed in the meantime")
	// ErrDisabled is returned for a session of somebody who is disabled.
	ErrDisabled = errors.New("this person is disabled")
	// ErrTooMany is returned when there is no room for another sign-in.
	ErrTooMany = errors.New("too many sign-ins are under way")
	// ErrNotKept is returned by a store that keeps no people.
	ErrNotKept = errors.New("this state keeps no people and no sessions")
)

const (
	// MaxSessions is how many sessions a person may have; the one that was used
	// least lately makes room.
	MaxSessions = 50
	// MaxSignIns bounds the sign-ins with a code that are under way: anybody may begin
	// one. Those without a code come of people who are signed in.
	MaxSignIns = 1000
)

// Store keeps sessions, people and sign-ins of the command line. Implementations
// are safe for concurrent use, by several processes too where they share a store.
type Store interface {
	SessionStore
	PeopleStore
	SignInStore
}

// SessionStore keeps sessions.
type SessionStore interface {
	// OpenSession keeps a new session and sets its Version. It returns ErrDisabled if
	// its person is disabled, decided in the same step: whoever is disabled while
	// they sign in stays outside.
	OpenSession(ctx context.Context, s *Session) error
	// Session returns a session by its key, over or not, or ErrNoSession.
	Session(ctx context.Context, key string) (*Session, error)
	// SaveSession replaces a session and counts up its Version. It returns
	// ErrNoSession if the session was ended and ErrConflict if it was changed since
	// it was read.
	SaveSession(ctx context.Context, s *Session) error
	// EndSession forgets a session; one that is not there is no error.
	EndSession(ctx context.Context, key string) error
	// EndSessions forgets all sessions of a person and returns how many there were.
	EndSessions(ctx context.Context, person string) (int, error)
	// Sessions returns a person's sessions, the one that was used last first.
	Sessions(ctx context.Context, person string) ([]Session, error)
	// PruneSessions forgets the sessions and sign-ins that have ended.
	PruneSessions(ctx context.Context, now time.Time) error
}

// PeopleStore keeps who signed in.
type PeopleStore interface {
	// SeePerson keeps what the identity provider says of a person now. It changes
	// nothing of whether they are disabled.
	SeePerson(ctx context.Context, p Person, at time.Time) error
	// FindPerson returns somebody by id or e-mail address in any case. Of several
	// with one address it is the one that was seen last. It returns ErrNoPerson.
	FindPerson(ctx context.Context, idOrEmail string) (*Entry, error)
	// FindPeople returns people in the order of OrderKey, at most q.Limit (1 to 1000).
	FindPeople(ctx context.Context, q PeopleQuery) ([]Entry, error)
	// Disable disables a person and ends their sessions in one step, and returns how
	// many; nil enables them again. It returns ErrNoPerson.
	Disable(ctx context.Context, id string, d *Disabling) (ended int, err error)
	// DisabledPeople returns all who are disabled.
	DisabledPeople(ctx context.Context) ([]Entry, error)
}

// SignInStore keeps the command line's sign-ins.
type SignInStore interface {
	// BeginSignIn keeps a new sign-in. It returns ErrTooMany for one with a code
	// when MaxSignIns of those that have not ended are there, and ErrConflict if the key or the code is taken.
	BeginSignIn(ctx context.Context, s *SignIn, now time.Time) error
	// SignInByKey and SignInByCode return a sign-in, over or not, or ErrNoSignIn.
	SignInByKey(ctx context.Context, key string) (*SignIn, error)
	SignInByCode(ctx context.Context, code string) (*SignIn, error)
	// SaveSignIn replaces Body and Ends, as SaveSession does a session.
	SaveSignIn(ctx context.Context, s *SignIn) error
	// TakeSignIn returns a sign-in and forgets it: of several who ask, one gets it
	// and the others ErrNoSignIn.
	TakeSignIn(ctx context.Context, key string) (*SignIn, error)
}
