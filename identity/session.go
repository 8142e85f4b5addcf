package identity

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

// maxSessions bounds the memory that sessions take; the one that ends first
// makes room.
const maxSessions = 1000

// secret returns 260 random bits in URL-safe text.
func secret() string { return rand.Text() + rand.Text() }

type session struct {
	person Person
	ends   time.Time
}

// sessions are kept under the SHA-256 of their id, so that a dump of the memory
// map or a log of its keys lets nobody in.
type sessions struct {
	clock func() time.Time
	life  time.Duration

	mu sync.Mutex
	by map[[sha256.Size]byte]session
}

// open starts a session and returns its id for the cookie.
func (s *sessions) open(p Person) (id string, ends time.Time) {
	id = secret()
	now := s.clock()
	ends = now.Add(s.life)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.by) >= maxSessions {
		s.makeRoom(now)
	}
	s.by[sha256.Sum256([]byte(id))] = session{person: p, ends: ends}
	return id, ends
}

// makeRoom forgets what has ended and, if nothing has, the session that ends
// first. The caller holds mu.
func (s *sessions) makeRoom(now time.Time) {
	var first [sha256.Size]byte
	var firstEnds time.Time
	for k, v := range s.by {
		if !v.ends.After(now) {
			delete(s.by, k)
			continue
		}
		if firstEnds.IsZero() || v.ends.Before(firstEnds) {
			first, firstEnds = k, v.ends
		}
	}
	if len(s.by) >= maxSessions {
		delete(s.by, first)
	}
}

// find returns whose session id is, while it lasts.
func (s *sessions) find(id string) (Person, bool) {
	k := sha256.Sum256([]byte(id))
	s.mu.Lock()
	defer s.mu.Unlock()
	v, ok := s.by[k]
	if !ok {
		return Person{}, false
	}
	if !v.ends.After(s.clock()) {
		delete(s.by, k)
		return Person{}, false
	}
	return v.person, true
}

// end forgets a session.
func (s *sessions) end(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, sha256.Sum256([]byte(id)))
}
