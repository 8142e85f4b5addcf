package invoke

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsiam "github.com/aws/aws-sdk-go-v2/service/iam"
)

const (
	// lookFor is how long what was read of the denials of a role is believed when
	// credentials are vended.
	lookFor = 5 * time.Second
	// renameAfter is how long a policy may have been silent to be written again. Others
	// delete it after keepDenial.
	renameAfter = keepDenial / 2
	// measureFor is how long the sizes of a role's other policies are believed.
	measureFor = time.Minute
)

// denySwitch denies the older sessions of one role. It is safe for concurrent use.
type denySwitch struct {
	client func() (*awsiam.Client, error)
	// refused is refused, and drops credentials that are too old.
	refused func(error) error
	role    string // ARN
	log     *slog.Logger
	clock   func() time.Time

	// turn is held by whoever speaks to IAM: what waits meanwhile is written together.
	turn chan struct{}

	mu       sync.Mutex
	own      denial // what our policy has to say
	name     string // of our policy
	wroteAt  time.Time
	asked    int64  // counts changes of own
	written  int64  // the change that was written and read back last
	seen     denial // what all policies said when they were read last
	seenAt   time.Time
	others   int // characters of all other policies
	measured time.Time
	wide     bool // our policy denies everybody
}

func newDenySwitch(role string, client func() (*awsiam.Client, error), refused func(error) error, log *slog.Logger, clock func() time.Time) *denySwitch {
	return &denySwitch{client: client, refused: refused, role: role, log: log, clock: clock, turn: make(chan struct{}, 1), own: newDenial(), seen: newDenial()}
}

// before is the time before which sessions of that name are known to be denied.
func (s *denySwitch) before(session string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	own, seen := s.own.before(session), s.seen.before(session)
	if own.After(seen) {
		return own
	}
	return seen
}

// take waits for the turn to speak to IAM.
func (s *denySwitch) take(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *denySwitch) give() { <-s.turn }

// deny denies the sessions of that name that began before a time. shown is true once
// IAM was read back and shows it; else it took the change and does not show it yet.
// What several ask for at once is one write.
func (s *denySwitch) deny(ctx context.Context, session string, before time.Time) (shown, wide bool, err error) {
	s.mu.Lock()
	s.own.add(session, before)
	s.asked++
	mine := s.asked
	s.mu.Unlock()
	if err := s.take(ctx); err != nil {
		return false, false, err
	}
	defer s.give()
	s.mu.Lock()
	done, wide := s.written >= mine, s.wide
	s.mu.Unlock()
	if done {
		return true, wide, nil
	}
	return s.write(ctx)
}

// write writes our policy and reads it back.
func (s *denySwitch) write(ctx context.Context) (shown, wide bool, err error) {
	client, err := s.client()
	if err != nil {
		return false, false, err
	}
	now := s.clock()
	s.mu.Lock()
	stale := now.Sub(s.measured) > measureFor
	s.mu.Unlock()
	if stale {
		if err := s.read(ctx); err != nil {
			return false, false, err
		}
	}
	s.mu.Lock()
	s.own.prune(now)
	want, upTo := s.own.clone(), s.asked
	if s.name == "" || now.Sub(s.wroteAt) > renameAfter {
		s.name = policyPrefix + randomName()
	}
	name, budget := s.name, maxInline-reserve-s.others
	s.wroteAt = now
	s.mu.Unlock()
	var wrote denial
	for {
		var text string
		text, wrote, wide = want.write(budget)
		_, err := client.PutRolePolicy(ctx, &awsiam.PutRolePolicyInput{RoleName: aws.String(roleName(s.role)), PolicyName: &name, PolicyDocument: &text})
		if awsCode(err) == "LimitExceeded" && !wide {
			// Others have put more on the role since it was measured.
			budget = min(budget, len(text)) / 2
			continue
		}
		if err != nil {
			return false, false, fmt.Errorf("iam:PutRolePolicy of %s on %s: %w", name, s.role, s.refused(err))
		}
		break
	}
	if wide {
		s.log.WarnContext(ctx, "the revocations of a role do not fit into its policies, so all of its older sessions are denied", "role", s.role)
	}
	got, err := s.get(ctx, client, name)
	if err != nil {
		return false, wide, err
	}
	back, err := readDenial(got)
	shown = err == nil && back.covers(&wrote)
	s.mu.Lock()
	defer s.mu.Unlock()
	// People whose time became later must not get sessions that are denied from the start.
	s.own.merge(&wrote)
	s.seen.merge(&wrote)
	s.wide = wide
	if shown {
		s.written = max(s.written, upTo)
	}
	return shown, wide, nil
}

// get reads one policy; empty: there is none.
func (s *denySwitch) get(ctx context.Context, client *awsiam.Client, name string) (string, error) {
	out, err := client.GetRolePolicy(ctx, &awsiam.GetRolePolicyInput{RoleName: aws.String(roleName(s.role)), PolicyName: &name})
	if awsCode(err) == "NoSuchEntity" {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("iam:GetRolePolicy of %s on %s: %w", name, s.role, s.refused(err))
	}
	text, err := url.PathUnescape(aws.ToString(out.PolicyDocument))
	if err != nil {
		return "", fmt.Errorf("the policy %s of %s is not encoded as IAM does: %w", name, s.role, err)
	}
	return text, nil
}

// look reads what all policies of the role deny, unless that was done after a time.
func (s *denySwitch) look(ctx context.Context, after time.Time) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.give()
	s.mu.Lock()
	fresh := s.seenAt.After(after)
	s.mu.Unlock()
	if fresh {
		return nil
	}
	return s.read(ctx)
}

// read reads all policies of the role. Those of processes that are gone are deleted once
// they deny nothing any more.
func (s *denySwitch) read(ctx context.Context) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	at := s.clock()
	names, err := s.names(ctx, client)
	if err != nil {
		return err
	}
	s.mu.Lock()
	own := s.name
	s.mu.Unlock()
	seen, others := newDenial(), 0
	for _, name := range names {
		text, err := s.get(ctx, client, name)
		if err != nil {
			return err
		}
		if name != own {
			others += inlineSize(text)
		}
		if !strings.HasPrefix(name, policyPrefix) {
			continue
		}
		d, err := readDenial(text)
		if err != nil {
			continue // whoever changed it is told by List
		}
		left := d.clone()
		if left.prune(at); left.isEmpty() && name != own {
			if _, err := client.DeleteRolePolicy(ctx, &awsiam.DeleteRolePolicyInput{RoleName: aws.String(roleName(s.role)), PolicyName: &name}); err == nil {
				others -= inlineSize(text)
			}
			continue
		}
		seen.merge(&d)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen, s.seenAt, s.others, s.measured = seen, at, others, at
	return nil
}

func (s *denySwitch) names(ctx context.Context, client *awsiam.Client) ([]string, error) {
	var names []string
	pages := awsiam.NewListRolePoliciesPaginator(client, &awsiam.ListRolePoliciesInput{RoleName: aws.String(roleName(s.role))})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("iam:ListRolePolicies of %s: %w", s.role, s.refused(err))
		}
		names = append(names, page.PolicyNames...)
	}
	return names, nil
}

// shows reports whether what was read last denies the sessions of that name that began
// before a time.
func (s *denySwitch) shows(session string, before time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.seen.before(session).Before(before)
}

// try writes a policy that denies nobody and takes it away again.
func (s *denySwitch) try(ctx context.Context) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	if err := s.look(ctx, s.clock()); err != nil {
		return err
	}
	d := newDenial()
	d.add(probeSession, time.Unix(1, 0))
	text, name := d.policy(), policyPrefix+"check-"+randomName()
	if _, err := client.PutRolePolicy(ctx, &awsiam.PutRolePolicyInput{RoleName: aws.String(roleName(s.role)), PolicyName: &name, PolicyDocument: &text}); err != nil {
		return fmt.Errorf("iam:PutRolePolicy on %s: %w", s.role, s.refused(err))
	}
	if _, err := client.DeleteRolePolicy(ctx, &awsiam.DeleteRolePolicyInput{RoleName: aws.String(roleName(s.role)), PolicyName: &name}); err != nil && awsCode(err) != "NoSuchEntity" {
		return fmt.Errorf("iam:DeleteRolePolicy on %s: %w", s.role, s.refused(err))
	}
	return nil
}

// changed are the policies with Gatehouse's name that say something else.
func (s *denySwitch) changed(ctx context.Context) (map[string]string, error) {
	client, err := s.client()
	if err != nil {
		return nil, err
	}
	if err := s.take(ctx); err != nil {
		return nil, err
	}
	defer s.give()
	names, err := s.names(ctx, client)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, name := range names {
		if !strings.HasPrefix(name, policyPrefix) {
			continue
		}
		text, err := s.get(ctx, client, name)
		if err != nil {
			return nil, err
		}
		if _, err := readDenial(text); err != nil && text != "" {
			out[name] = err.Error()
		}
	}
	return out, nil
}

func randomName() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // it never fails: see crypto/rand
	return hex.EncodeToString(b[:])
}

var errNoAWS = errors.New("gatehouse has no AWS credentials here; give it a role that may assume the invoker role")
