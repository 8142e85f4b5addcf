package account

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// fetcher makes credentials that last an hour and counts how often.
type fetcher struct {
	count atomic.Int64
	err   atomic.Pointer[error]
}

func (f *fetcher) fetch(ctx context.Context) (aws.Credentials, error) {
	n := f.count.Add(1)
	select {
	case <-time.After(100 * time.Millisecond):
	case <-ctx.Done():
		return aws.Credentials{}, ctx.Err()
	}
	if err := f.err.Load(); err != nil {
		return aws.Credentials{}, *err
	}
	return aws.Credentials{
		AccessKeyID: fmt.Sprintf("ASIA%d", n), SecretAccessKey: "s", SessionToken: "t",
		CanExpire: true, Expires: time.Now().Add(time.Hour),
	}, nil
}

func (f *fetcher) fail(err error) { f.err.Store(&err) }

func newSession(f *fetcher) *session {
	return &session{link: LinkRole, fetch: f.fetch, clock: time.Now}
}

func mustRetrieve(t *testing.T, s *session) aws.Credentials {
	t.Helper()
	creds, err := s.Retrieve(t.Context())
	if err != nil {
		t.Fatalf("Retrieve: %v", err)
	}
	return creds
}

func TestSessionIsRenewedBeforeItEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fetcher{}
		s := newSession(f)
		start := time.Now()
		first := mustRetrieve(t, s)
		time.Sleep(49 * time.Minute)
		if got := mustRetrieve(t, s); got.AccessKeyID != first.AccessKeyID {
			t.Errorf("renewed %v after it was made", time.Since(start))
		}
		time.Sleep(6 * time.Minute) // 5 minutes before the end
		if got := mustRetrieve(t, s); got.AccessKeyID == first.AccessKeyID {
			t.Error("not renewed 5 minutes before its end")
		}
	})
}

func TestSessionIsFetchedOnceForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fetcher{}
		s := newSession(f)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { mustRetrieve(t, s) })
		}
		wg.Wait()
		if n := f.count.Load(); n != 1 {
			t.Errorf("fetched %d times", n)
		}
	})
}

func TestSessionOutlivesAFailingRenewal(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fetcher{}
		s := newSession(f)
		first := mustRetrieve(t, s)
		f.fail(errors.New("sts is down"))
		time.Sleep(56 * time.Minute)
		for range 10 {
			if got := mustRetrieve(t, s); got.AccessKeyID != first.AccessKeyID {
				t.Error("the valid credentials were given up")
			}
		}
		if n := f.count.Load(); n != 2 {
			t.Errorf("a failing STS was asked %d times in a row", n-1)
		}
		time.Sleep(4 * time.Minute)
		if _, err := s.Retrieve(t.Context()); err == nil {
			t.Error("credentials that ended were handed out")
		}
		f.err.Store(nil)
		time.Sleep(failAgain)
		mustRetrieve(t, s)
	})
}

func TestSessionRenewalSurvivesItsFirstCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fetcher{}
		s := newSession(f)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := s.Retrieve(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the caller that gave up got %v", err)
			}
		})
		wg.Go(func() { mustRetrieve(t, s) })
		wg.Wait()
		if n := f.count.Load(); n != 1 {
			t.Errorf("fetched %d times", n)
		}
	})
}

func TestSessionRejectedByAWSIsRenewedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := &fetcher{}
		s := newSession(f)
		mustRetrieve(t, s)
		if s.rejected() {
			t.Error("credentials that just came were dropped")
		}
		time.Sleep(time.Minute)
		if !s.rejected() {
			t.Error("rejected credentials were kept")
		}
		mustRetrieve(t, s)
		if s.rejected() {
			t.Error("the call that was late to be rejected dropped the new credentials")
		}
		if n := f.count.Load(); n != 2 {
			t.Errorf("fetched %d times", n)
		}
	})
}
