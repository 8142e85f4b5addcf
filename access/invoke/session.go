package invoke

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"golang.org/x/time/rate"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/estate"
)

const (
	// minSession is the shortest session that STS makes. What ends sooner is ended by
	// the session policy.
	minSession = 15 * time.Minute
	// renewBefore is how long before their end credentials are made anew.
	renewBefore = 5 * time.Minute
	// maxDeadWait bounds the wait until the clock has passed a denial, so that a new
	// session is not denied from the start.
	maxDeadWait = 10 * time.Second
	// skewFor is how long the difference to the clock of STS is believed.
	skewFor = time.Minute
	// maxSkew is how far clocks may be apart.
	maxSkew = time.Minute
)

// nothing is a session policy that allows nothing.
const nothing = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`

// skew is what a call told of the clock of STS, which tells whole seconds: when it was at
// here, it was at most latest there. What passes since is counted by the monotonic clock.
type skew struct {
	latest time.Time
	at     time.Time
}

// now is the latest time that STS can have when it is t here.
func (k skew) now(t time.Time) time.Time { return k.latest.Add(t.Sub(k.at)) }

// session is a role session that STS began.
type session struct {
	keys    access.Credentials
	issued  time.Time
	expires time.Time
	role    string
	name    string
}

// vended are credentials that were vended. mu is held while they are made, so that
// people who ask several times at once get the same ones.
type vended struct {
	busy chan struct{}
	session
	policy string
	end    time.Time // of what was lent
}

// Credentials returns temporary credentials that allow what the holdings allow, until
// the first of them ends. Those made before are returned again until shortly before
// their end, unless something was taken back meanwhile.
func (l *Lender) Credentials(ctx context.Context, i *access.Integration, p flow.Person, holdings []access.Holding) (access.Credentials, error) {
	out, err := l.credentials(ctx, i, p, holdings)
	result := "made"
	switch {
	case err != nil:
		result = "failed"
	case out.cached:
		result = "cached"
	}
	l.metrics.vend(result)
	if err != nil {
		return access.Credentials{}, fmt.Errorf("credentials of %s for integration %s: %w", p.ID, i.Name, err)
	}
	return out.Credentials, nil
}

type answer struct {
	access.Credentials
	cached bool
}

func (l *Lender) credentials(ctx context.Context, i *access.Integration, p flow.Person, holdings []access.Holding) (answer, error) {
	c, err := l.connect(i)
	if err != nil {
		return answer{}, err
	}
	name, err := sessionName(p.ID)
	if err != nil {
		return answer{}, err
	}
	for n := range holdings {
		if holdings[n].Person.ID != p.ID {
			return answer{}, fmt.Errorf("grant %s is of %s", holdings[n].Grant, holdings[n].Person.ID)
		}
	}
	all, err := c.rightsOf(holdings, l.opts.Clock())
	if err != nil {
		return answer{}, err
	}
	if len(all) == 0 {
		return answer{}, fmt.Errorf("%w: nothing that is lent holds any more", access.ErrEnded)
	}
	role, err := c.roleOf(c.partition, name)
	if err != nil {
		return answer{}, err
	}
	v, err := l.vendedFor(ctx, c, name, all)
	if err != nil {
		return answer{}, err
	}
	defer func() { <-v.busy }()
	// What another process denied meanwhile is read before anything is handed out.
	deny := c.switchOf(role)
	if err := deny.look(ctx, l.opts.Clock().Add(-lookFor)); err != nil {
		l.opts.Logger.WarnContext(ctx, "reading which sessions of a role are denied", "role", role, "error", err)
	}
	if v.usable(l.opts.Clock(), deny.before(name)) {
		return answer{v.answer(c), true}, nil
	}
	if !l.allow(p.ID) {
		return answer{}, fmt.Errorf("too many sessions in a short time; wait %s and try again", l.opts.VendEvery)
	}
	policy, end, err := c.policyFor(ctx, all)
	if err != nil {
		return answer{}, err
	}
	s, err := c.begin(ctx, role, name, policy.text, end, deny)
	if err != nil {
		return answer{}, err
	}
	if !end.After(l.opts.Clock()) {
		return answer{}, fmt.Errorf("%w: it ended while credentials were made", access.ErrEnded)
	}
	v.session, v.policy, v.end = *s, policy.text, end
	return answer{v.answer(c), false}, nil
}

// usable reports whether the credentials can be handed out again. Those that end with
// what was lent are good to the end, for newer ones would end no later.
func (v *vended) usable(now, denied time.Time) bool {
	if v.keys.AccessKeyID == "" || v.issued.Before(denied) || !v.end.After(now) {
		return false
	}
	return v.expires.Sub(now) > renewBefore || !v.expires.Before(v.end) && v.end.After(now)
}

func (v *vended) answer(c *connection) access.Credentials {
	out := v.keys
	out.Version, out.Expiration = 1, v.expires
	if v.end.Before(out.Expiration) {
		out.Expiration = v.end
	}
	sum := sha256.Sum256([]byte(v.policy))
	out.Detail = map[string]string{
		"role": v.role, "session": v.name, "policy_sha256": hex.EncodeToString(sum[:8]), "issued_at": v.issued.UTC().Format(time.RFC3339),
	}
	if c.source {
		out.Detail["source_identity"] = v.name
	}
	return out
}

// vendedFor finds what was vended for the same rights of the same grants, and waits
// while it is being made.
func (l *Lender) vendedFor(ctx context.Context, c *connection, name string, all []right) (*vended, error) {
	h := sha256.New()
	e := json.NewEncoder(h)
	_ = e.Encode([]string{c.id, name}) //nolint:errchkjson // texts cannot fail
	for n := range all {
		_ = e.Encode([]any{all[n].key(), all[n].expires.UnixNano(), all[n].grants}) //nolint:errchkjson // texts and numbers cannot fail
	}
	key := string(h.Sum(nil))
	now := l.opts.Clock()
	l.mu.Lock()
	v := l.sessions[key]
	if v == nil {
		if len(l.sessions) >= maxCached {
			maps.DeleteFunc(l.sessions, func(_ string, v *vended) bool {
				select {
				case v.busy <- struct{}{}:
					defer func() { <-v.busy }()
					return !v.expires.After(now) || !v.end.After(now)
				default:
					return false
				}
			})
			if len(l.sessions) >= maxCached {
				l.mu.Unlock()
				return nil, fmt.Errorf("credentials of %d kinds are in use; try again later", maxCached)
			}
		}
		v = &vended{busy: make(chan struct{}, 1)}
		l.sessions[key] = v
	}
	l.mu.Unlock()
	select {
	case v.busy <- struct{}{}:
		return v, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// allow reports whether the person may begin another session now.
func (l *Lender) allow(person string) bool {
	now := l.opts.Clock()
	l.mu.Lock()
	defer l.mu.Unlock()
	limit := l.limits[person]
	if limit == nil {
		if len(l.limits) >= maxPeople {
			// Whoever has their whole burst again is as if never seen.
			maps.DeleteFunc(l.limits, func(_ string, r *rate.Limiter) bool { return r.TokensAt(now) >= float64(l.opts.VendBurst) })
		}
		limit = rate.NewLimiter(rate.Every(l.opts.VendEvery), l.opts.VendBurst)
		if len(l.limits) < maxPeople {
			l.limits[person] = limit
		}
	}
	return limit.AllowN(now, 1)
}

// policyFor is the session policy for rights, and when it ends.
func (c *connection) policyFor(ctx context.Context, all []right) (*sessionPolicy, time.Time, error) {
	s, err := c.lender.opts.Estate(ctx)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("reading the estate: %w", err)
	}
	rights, end := effective(all)
	w := &writer{settings: c.settings, partition: c.partition, apis: map[string]*estate.API{}, rights: rights, end: end}
	for i := range rights {
		if a := c.api(s, rights[i].api); a != nil {
			w.apis[a.ID] = a
		}
	}
	p, err := w.write()
	return p, end, err
}

// begin begins a session that is not denied from the start.
func (c *connection) begin(ctx context.Context, role, name, policy string, end time.Time, deny *denySwitch) (*session, error) {
	for try := 0; ; try++ {
		left := end.Sub(c.lender.opts.Clock())
		duration := min(max(left.Truncate(time.Second), minSession), maxSession)
		s, err := c.assume(ctx, role, name, policy, duration)
		if err != nil {
			return nil, err
		}
		wait := deny.before(name).Sub(s.issued)
		if wait <= 0 {
			return s, nil
		}
		if wait > maxDeadWait || try == 2 {
			return nil, fmt.Errorf("older sessions of this name are denied until %s; try again in %s", stamp(s.issued.Add(wait)), wait.Round(time.Second))
		}
		if err := c.lender.sleep(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// assume begins a session, and learns from it what STS has for the time.
func (c *connection) assume(ctx context.Context, role, name, policy string, duration time.Duration) (*session, error) {
	client, err := c.sts()
	if err != nil {
		return nil, err
	}
	in := &sts.AssumeRoleInput{
		RoleArn: &role, RoleSessionName: &name, Policy: &policy, DurationSeconds: aws.Int32(int32(duration / time.Second)),
	}
	if c.externalID != "" {
		in.ExternalId = &c.externalID
	}
	if c.source && name != probeSession {
		in.SourceIdentity = &name
	}
	before := c.lender.opts.Clock()
	out, err := client.AssumeRole(ctx, in)
	switch {
	case awsCode(err) == "PackedPolicyTooLarge":
		return nil, fmt.Errorf("%w (%w)", errTooLong, refused(err))
	case err != nil:
		return nil, fmt.Errorf("sts:AssumeRole of %s as %s: %w", role, name, refused(err))
	case out.Credentials == nil || aws.ToString(out.Credentials.AccessKeyId) == "" || aws.ToString(out.Credentials.SecretAccessKey) == "" || out.Credentials.Expiration == nil:
		return nil, errNoSession
	}
	s := &session{
		keys: access.Credentials{
			AccessKeyID: *out.Credentials.AccessKeyId, SecretAccessKey: *out.Credentials.SecretAccessKey, SessionToken: aws.ToString(out.Credentials.SessionToken),
		},
		expires: *out.Credentials.Expiration, role: role, name: name,
	}
	// Best evidence: the session ends exactly its duration after aws:TokenIssueTime.
	s.issued = s.expires.Add(-duration)
	c.lender.mu.Lock()
	defer c.lender.mu.Unlock()
	c.lender.skews[c.id] = skew{latest: s.issued.Add(time.Second), at: before}
	return s, nil
}

// issuedBy is a time that no session that was begun until now is issued at or after, by
// the clock of STS.
func (c *connection) issuedBy(ctx context.Context, role string) time.Time {
	k, err := c.askTime(ctx, role)
	now := c.lender.opts.Clock()
	if err != nil {
		c.lender.opts.Logger.WarnContext(ctx, "asking STS for the time; its clock is taken to be as far ahead as is allowed", "role", role, "error", err)
		return ceil(now.Add(maxSkew))
	}
	return ceil(k.now(now))
}

// behind is how far the clock of STS is behind for certain; 0: it is not, or it is not
// known.
func (c *connection) behind(ctx context.Context, role string) time.Duration {
	k, err := c.askTime(ctx, role)
	if err != nil {
		c.lender.opts.Logger.WarnContext(ctx, "asking STS for the time; its clock is taken to be right", "role", role, "error", err)
		return 0
	}
	now := c.lender.opts.Clock()
	return max(now.Sub(k.now(now)), 0)
}

// askTime asks STS for the time, unless that was just done.
func (c *connection) askTime(ctx context.Context, role string) (skew, error) {
	l := c.lender
	known := func() (skew, bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		k, ok := l.skews[c.id]
		age := l.opts.Clock().Sub(k.at)
		return k, ok && age >= 0 && age <= skewFor
	}
	if k, ok := known(); ok {
		return k, nil
	}
	if _, err := c.assume(ctx, role, probeSession, nothing, minSession); err != nil {
		return skew{}, err
	}
	k, _ := known()
	return k, nil
}

func ceil(t time.Time) time.Time {
	if c := t.Truncate(time.Second); !c.Equal(t) {
		return c.Add(time.Second)
	}
	return t
}
