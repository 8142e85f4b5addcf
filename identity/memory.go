package identity

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"
)

// Memory is a Store that ends with the process. The zero value is ready to use.
type Memory struct {
	mu       sync.Mutex
	sessions map[string]Session
	people   map[string]Entry
	signIns  map[string]SignIn
}

var _ Store = (*Memory)(nil)

// pruneAbove is how many sessions there may be before those that have ended are
// forgotten. Each person has MaxSessions at most.
const pruneAbove = 1000

// OpenSession keeps a new session; see SessionStore.
func (m *Memory) OpenSession(_ context.Context, s *Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.people[s.Person.ID].Disabled != nil {
		return ErrDisabled
	}
	if m.sessions == nil {
		m.sessions = map[string]Session{}
	}
	if len(m.sessions) >= pruneAbove {
		m.prune(s.Seen)
	}
	own := m.of(s.Person.ID)
	for _, old := range own[min(len(own), MaxSessions-1):] {
		delete(m.sessions, old.Key)
	}
	s.Version = 1
	m.sessions[s.Key] = copySession(*s)
	return nil
}

// of returns a person's sessions, the one that was used last first. The caller
// holds mu.
func (m *Memory) of(person string) []Session {
	var own []Session
	for _, s := range m.sessions {
		if s.Person.ID == person {
			own = append(own, copySession(s))
		}
	}
	slices.SortFunc(own, func(a, b Session) int {
		return cmp.Or(b.Seen.Compare(a.Seen), b.Created.Compare(a.Created), strings.Compare(a.Key, b.Key))
	})
	return own
}

func copySession(s Session) Session {
	s.Person = s.Person.clone()
	s.Sealed = slices.Clone(s.Sealed)
	return s
}

// Session returns a session; see SessionStore.
func (m *Memory) Session(_ context.Context, key string) (*Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.sessions[key]
	if !ok {
		return nil, ErrNoSession
	}
	s = copySession(s)
	return &s, nil
}

// SaveSession replaces a session; see SessionStore.
func (m *Memory) SaveSession(_ context.Context, s *Session) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.sessions[s.Key]
	switch {
	case !ok:
		return ErrNoSession
	case old.Version != s.Version:
		return ErrConflict
	}
	s.Version++
	m.sessions[s.Key] = copySession(*s)
	return nil
}

// EndSession forgets a session; see SessionStore.
func (m *Memory) EndSession(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.sessions, key)
	return nil
}

// EndSessions forgets a person's sessions; see SessionStore.
func (m *Memory) EndSessions(_ context.Context, person string) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.endAll(person), nil
}

func (m *Memory) endAll(person string) int {
	own := m.of(person)
	for _, s := range own {
		delete(m.sessions, s.Key)
	}
	return len(own)
}

// Sessions returns a person's sessions; see SessionStore.
func (m *Memory) Sessions(_ context.Context, person string) ([]Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of(person), nil
}

// PruneSessions forgets what has ended; see SessionStore.
func (m *Memory) PruneSessions(_ context.Context, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.prune(now)
	return nil
}

func (m *Memory) prune(now time.Time) {
	for k, s := range m.sessions {
		if s.Over(now) {
			delete(m.sessions, k)
		}
	}
	for k, s := range m.signIns {
		if !s.Ends.After(now) {
			delete(m.signIns, k)
		}
	}
}

// SeePerson keeps a person; see PeopleStore.
func (m *Memory) SeePerson(_ context.Context, p Person, at time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.people == nil {
		m.people = map[string]Entry{}
	}
	e, ok := m.people[p.ID]
	if !ok {
		e.FirstSeen = at
	}
	p = p.clone()
	p.Role, p.Via = None, ""
	e.Person, e.LastSeen = p, at
	m.people[p.ID] = e
	return nil
}

// FindPerson returns a person; see PeopleStore.
func (m *Memory) FindPerson(_ context.Context, idOrEmail string) (*Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.people[idOrEmail]; ok {
		return copyEntry(&e), nil
	}
	var found *Entry
	for _, e := range m.people {
		if e.Email != "" && EmailKey(e.Email) == EmailKey(idOrEmail) &&
			(found == nil || e.LastSeen.After(found.LastSeen) || e.LastSeen.Equal(found.LastSeen) && e.ID < found.ID) {
			found = copyEntry(&e)
		}
	}
	if found == nil {
		return nil, ErrNoPerson
	}
	return found, nil
}

func copyEntry(e *Entry) *Entry {
	out := *e
	out.Person = e.clone()
	if e.Disabled != nil {
		d := *e.Disabled
		out.Disabled = &d
	}
	return &out
}

// FindPeople returns people; see PeopleStore.
func (m *Memory) FindPeople(_ context.Context, q PeopleQuery) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := []Entry{}
	for _, e := range m.people {
		if e.OrderKey() > q.After && q.matches(e.Person) {
			out = append(out, *copyEntry(&e))
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.OrderKey(), b.OrderKey()) })
	return out[:min(len(out), q.limit())], nil
}

const (
	defaultPeople = 100
	maxPeople     = 1000
)

func (q *PeopleQuery) limit() int {
	if q.Limit <= 0 {
		return defaultPeople
	}
	return min(q.Limit, maxPeople)
}

// matches leaves aside limit and place.
func (q *PeopleQuery) matches(p Person) bool {
	if q.Group != "" && !p.InGroup(q.Group) {
		return false
	}
	search := EmailKey(q.Search)
	return search == "" || strings.Contains(EmailKey(p.Email), search) || strings.Contains(EmailKey(p.Name), search)
}

// Disable disables or enables a person; see PeopleStore.
func (m *Memory) Disable(_ context.Context, id string, d *Disabling) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.people[id]
	if !ok {
		return 0, ErrNoPerson
	}
	e.Disabled = d
	m.people[id] = *copyEntry(&e)
	if d == nil {
		return 0, nil
	}
	return m.endAll(id), nil
}

// DisabledPeople returns who is disabled; see PeopleStore.
func (m *Memory) DisabledPeople(context.Context) ([]Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := []Entry{}
	for _, e := range m.people {
		if e.Disabled != nil {
			out = append(out, *copyEntry(&e))
		}
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// BeginSignIn keeps a new sign-in; see SignInStore.
func (m *Memory) BeginSignIn(_ context.Context, s *SignIn, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.prune(now)
	waiting := 0
	for _, other := range m.signIns {
		if other.Code != "" {
			waiting++
		}
	}
	if s.Code != "" && waiting >= MaxSignIns {
		return ErrTooMany
	}
	if m.signIns == nil {
		m.signIns = map[string]SignIn{}
	}
	for k, other := range m.signIns {
		if k == s.Key || s.Code != "" && other.Code == s.Code {
			return ErrConflict
		}
	}
	s.Version = 1
	m.signIns[s.Key] = *s
	return nil
}

// SignInByKey returns a sign-in; see SignInStore.
func (m *Memory) SignInByKey(_ context.Context, key string) (*SignIn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.signIns[key]
	if !ok {
		return nil, ErrNoSignIn
	}
	return &s, nil
}

// SignInByCode returns a sign-in; see SignInStore.
func (m *Memory) SignInByCode(_ context.Context, code string) (*SignIn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.signIns {
		if code != "" && s.Code == code {
			return &s, nil
		}
	}
	return nil, ErrNoSignIn
}

// SaveSignIn replaces a sign-in; see SignInStore.
func (m *Memory) SaveSignIn(_ context.Context, s *SignIn) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.signIns[s.Key]
	switch {
	case !ok:
		return ErrNoSignIn
	case old.Version != s.Version:
		return ErrConflict
	}
	s.Version++
	m.signIns[s.Key] = *s
	return nil
}

// TakeSignIn returns a sign-in once; see SignInStore.
func (m *Memory) TakeSignIn(_ context.Context, key string) (*SignIn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.signIns[key]
	if !ok {
		return nil, ErrNoSignIn
	}
	delete(m.signIns, key)
	return &s, nil
}
