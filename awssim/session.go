package awssim

import (
	"maps"
	"time"
)

// firstSweep is how many keys there are before dead sessions are looked for.
const firstSweep = 1024

// keepDead is how long an expired session is remembered, so that it is answered
// as expired and not as unknown.
const keepDead = time.Hour

func (s *Sim) addKey(c *Credential) {
	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.keys) >= s.sweepAt {
		maps.DeleteFunc(s.keys, func(_ string, c *Credential) bool {
			return !c.Expires.IsZero() && now.Sub(c.Expires) > keepDead
		})
		s.sweepAt = max(firstSweep, 2*len(s.keys))
	}
	s.keys[c.AccessKeyID] = c
}

// credential returns the key of that id; one that was never issued is not
// Known.
func (s *Sim) credential(id string) Credential {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if c := s.keys[id]; c != nil {
		return *c
	}
	return Credential{AccessKeyID: id}
}

// expire ends a session now.
func (s *Sim) expire(id string) {
	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.keys[id]; c != nil && c.SessionToken != "" {
		dead := *c
		dead.Expires = now
		s.keys[id] = &dead
	}
}

// ExpireSessions ends all sessions of an account's role now; role "": of all its
// roles. It returns how many there were.
func (s *Sim) ExpireSessions(account, role string) int {
	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for id, c := range s.keys {
		p := &c.Principal
		if p.Kind != KindSession || p.Account != account || role != "" && p.Name != role || !now.Before(c.Expires) {
			continue
		}
		dead := *c
		dead.Expires = now
		s.keys[id] = &dead
		n++
	}
	return n
}

// issue makes a session of a role.
func (s *Sim) issue(a *Account, r *Role, session string, duration time.Duration) *Credential {
	c := s.newSession(a, r, session, duration)
	s.addKey(c)
	return c
}

func (s *Sim) newSession(a *Account, r *Role, session string, duration time.Duration) *Credential {
	return &Credential{
		AccessKeyID:     "ASIA" + s.randomID(upperAlnum, 16),
		SecretAccessKey: s.randomID(secretAlphabet, 40),
		SessionToken:    "IQoJb3JpZ2luX2Vj" + s.randomID(secretAlphabet, 348),
		Issued:          s.clock().UTC().Truncate(time.Second),
		Expires:         s.clock().Add(duration).UTC().Truncate(time.Second),
		Principal: Principal{
			Account: a.id, Kind: KindSession, Name: r.Name, Session: session,
			ARN:     "arn:" + s.partition + ":sts::" + a.id + ":assumed-role/" + r.Name + "/" + session,
			RoleARN: r.arn,
			ID:      r.id + ":" + session,
		},
	}
}
