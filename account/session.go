package account

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/sync/singleflight"
)

const (
	// refreshWindow is how long before their end credentials are renewed, at
	// most a quarter of their life. The jitter spreads the renewals of roles that
	// were assumed in the same second.
	refreshWindow = 10 * time.Minute
	refreshJitter = 0.5

	// lastUse is how long before their end credentials are no longer handed out:
	// a request signed with them must still reach AWS.
	lastUse = 15 * time.Second

	// refreshTimeout bounds one renewal with all of its retries.
	refreshTimeout = 90 * time.Second

	// retryRefresh is how long a failed renewal is not tried again while the old
	// credentials hold, and failAgain how long a failure is repeated to callers
	// that have none: hundreds of clients would ask STS at once otherwise.
	retryRefresh = time.Minute
	failAgain    = 5 * time.Second

	// trusted is how long new credentials are kept although AWS says that they
	// have expired. Fetching again so soon would give the same ones.
	trusted = 10 * time.Second
)

// session is the temporary credentials of one link of the chain. It renews
// them well before they end, once for all who wait, and hands out the old ones
// for as long as they are valid when a renewal fails. It is safe for concurrent
// use.
type session struct {
	link  Link
	fetch func(context.Context) (aws.Credentials, error)
	// forget makes the next fetch a real one, where something below caches; nil
	// if nothing does.
	forget  func()
	clock   func() time.Time
	metrics *metrics
	flight  singleflight.Group

	mu        sync.Mutex
	creds     aws.Credentials
	fetched   time.Time
	refreshAt time.Time
	notBefore time.Time // of the next renewal, after one that failed
	err       error     // of the last renewal
}

var _ aws.CredentialsProvider = (*session)(nil)

// Retrieve returns valid credentials, or the *ChainError of the link that
// failed.
func (s *session) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if creds, err, done := s.held(); done {
		return creds, err
	}
	// The renewal must not end with the context of whichever caller came first:
	// others wait for it too.
	result := s.flight.DoChan("", func() (any, error) {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTimeout)
		defer cancel()
		return s.renew(bounded)
	})
	select {
	case r := <-result:
		creds, _ := r.Val.(aws.Credentials)
		return creds, r.Err
	case <-ctx.Done():
		return aws.Credentials{}, ctx.Err()
	}
}

// held returns what is known without a renewal; done is false if one is due.
func (s *session) held() (creds aws.Credentials, err error, done bool) { //nolint:revive // done says whether the first two mean anything
	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	valid := s.valid(now)
	switch {
	case valid && now.Before(s.refreshAt):
		return s.creds, nil, true
	case now.Before(s.notBefore) && valid:
		return s.creds, nil, true
	case now.Before(s.notBefore) && s.err != nil:
		return aws.Credentials{}, s.err, true
	default:
		return aws.Credentials{}, nil, false
	}
}

// rejected tells that AWS takes the credentials for expired before their time,
// as after a revocation. It reports whether a repeat will have new ones. Many
// calls are rejected at once when a session ends: the first of them drops the
// credentials, and the others find that new ones are due or just came.
func (s *session) rejected() bool {
	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.fetched) < trusted {
		return false
	}
	s.creds = aws.Credentials{}
	if s.forget != nil {
		s.forget()
	}
	return true
}

func (s *session) valid(now time.Time) bool {
	return s.creds.HasKeys() && (!s.creds.CanExpire || now.Before(s.creds.Expires.Add(-lastUse)))
}

func (s *session) renew(ctx context.Context) (aws.Credentials, error) {
	// A caller that looked before the last renewal ended may start another one
	// just after it.
	if creds, err, done := s.held(); done {
		return creds, err
	}
	creds, err := s.fetch(ctx)
	s.metrics.refreshed(s.link, err)

	now := s.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.err = err
		if s.valid(now) {
			s.notBefore = now.Add(retryRefresh)
			return s.creds, nil
		}
		s.notBefore = now.Add(failAgain)
		return aws.Credentials{}, err
	}
	s.creds, s.err, s.notBefore, s.fetched = creds, nil, time.Time{}, now
	s.refreshAt = refreshTime(now, creds)
	return creds, nil
}

// refreshTime returns when credentials obtained now are to be renewed. Those
// without an end, and those that come already close to it (a file that somebody
// else renews), are looked at again in a while.
func refreshTime(now time.Time, creds aws.Credentials) time.Time {
	if !creds.CanExpire {
		return now.Add(refreshWindow)
	}
	life := creds.Expires.Sub(now)
	window := min(refreshWindow, life/4)
	window -= time.Duration(rand.Float64() * refreshJitter * float64(window)) //nolint:gosec // jitter needs no secrecy
	return creds.Expires.Add(-window)
}
