package object

import (
	"context"
	"time"

	"github.com/gatehouse-project/gatehouse/identity"
)

// noPeopleError is returned for everything that concerns people and sessions.
type noPeopleError struct{ noInventoryError }

func (noPeopleError) Error() string {
	return "this state holds cursors alone: no people and no sessions"
}

// Is makes it identity.ErrNotKept.
func (noPeopleError) Is(target error) bool { return target == identity.ErrNotKept }

// OpenSession fails: there are no sessions.
func (*Store) OpenSession(context.Context, *identity.Session) error { return noPeopleError{} }

// Session fails: there are no sessions.
func (*Store) Session(context.Context, string) (*identity.Session, error) {
	return nil, noPeopleError{}
}

// SaveSession fails: there are no sessions.
func (*Store) SaveSession(context.Context, *identity.Session) error { return noPeopleError{} }

// EndSession fails: there are no sessions.
func (*Store) EndSession(context.Context, string) error { return noPeopleError{} }

// EndSessions fails: there are no sessions.
func (*Store) EndSessions(context.Context, string) (int, error) { return 0, noPeopleError{} }

// Sessions fails: there are no sessions.
func (*Store) Sessions(context.Context, string) ([]identity.Session, error) {
	return nil, noPeopleError{}
}

// PruneSessions fails: there are no sessions.
func (*Store) PruneSessions(context.Context, time.Time) error { return noPeopleError{} }

// SeePerson fails: there are no people.
func (*Store) SeePerson(context.Context, identity.Person, time.Time) error { return noPeopleError{} }

// FindPerson fails: there are no people.
func (*Store) FindPerson(context.Context, string) (*identity.Entry, error) {
	return nil, noPeopleError{}
}

// FindPeople fails: there are no people.
func (*Store) FindPeople(context.Context, identity.PeopleQuery) ([]identity.Entry, error) {
	return nil, noPeopleError{}
}

// Disable fails: there are no people.
func (*Store) Disable(context.Context, string, *identity.Disabling) (int, error) {
	return 0, noPeopleError{}
}

// DisabledPeople fails: there are no people.
func (*Store) DisabledPeople(context.Context) ([]identity.Entry, error) { return nil, noPeopleError{} }

// BeginSignIn fails: there are no sessions.
func (*Store) BeginSignIn(context.Context, *identity.SignIn, time.Time) error {
	return noPeopleError{}
}

// SignInByKey fails: there are no sessions.
func (*Store) SignInByKey(context.Context, string) (*identity.SignIn, error) {
	return nil, noPeopleError{}
}

// SignInByCode fails: there are no sessions.
func (*Store) SignInByCode(context.Context, string) (*identity.SignIn, error) {
	return nil, noPeopleError{}
}

// SaveSignIn fails: there are no sessions.
func (*Store) SaveSignIn(context.Context, *identity.SignIn) error { return noPeopleError{} }

// TakeSignIn fails: there are no sessions.
func (*Store) TakeSignIn(context.Context, string) (*identity.SignIn, error) {
	return nil, noPeopleError{}
}
