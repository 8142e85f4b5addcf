package identity

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// touchEvery is how exactly Session.Seen is kept; each is a write to the store.
	touchEvery = time.Minute
	// refreshAfter is the age at which what the identity provider said of a person is
	// asked for again, and refreshAtMost the age above which it is not believed any
	// more: in between, a provider that is down keeps nobody from working.
	refreshAfter  = 10 * time.Minute
	refreshAtMost = 15 * time.Minute
	// refreshRetry is how long a refresh that failed, or that another process has
	// begun, is left alone.
	refreshRetry = 30 * time.Second
	// unrefreshedLife is how long a session lasts at most where the provider gave no
	// refresh token: nothing would tell that the person is gone.
	unrefreshedLife = time.Hour
	refreshTimeout  = 25 * time.Second
)

// errStale is returned for a session whose person cannot be vouched for now.
var errStale = fmt.Errorf("%w, and what it said of you is older than %v; your session goes on when it answers", errProvider, refreshAtMost)

// tokenPrefix begins every token of the command line, so that scanners for secrets
// find one that was put where it does not belong.
const tokenPrefix = "gatehouse_"

const refreshPurpose = "refresh token"

// opening says what a new session is to be.
type opening struct {
	person  Person
	kind    string
	source  string
	refresh string // the refresh token; empty: none
	device  string
	address string
	oidc    bool
}

// open starts a session under a new id, whatever id the browser had before: nobody
// can plant a session and wait for its owner to sign in.
func (g *Guard) open(ctx context.Context, o opening) (id string, s *Session, err error) {
	id = secret()
	if o.kind == ViaCLI {
		id = tokenPrefix + id
	}
	now := g.clock()
	life := g.life
	if o.oidc && o.refresh == "" {
		life = min(life, unrefreshedLife)
	}
	o.person.Via = ""
	s = &Session{
		Key: keyOf(id), Person: o.person, Kind: o.kind, Source: o.source, Device: cut(o.device, 200), Address: o.address,
		Created: now, Seen: now, Checked: now, Ends: now.Add(life),
	}
	s.IdleEnds = g.idleEnd(s, now)
	if o.refresh != "" {
		s.Sealed = seal(id, refreshPurpose, []byte(o.refresh))
	}
	if d := g.roster.disabled(o.person); d != nil {
		return "", nil, ErrDisabled
	}
	if o.person.ID != AdminID {
		if err := g.store.SeePerson(ctx, o.person, now); err != nil {
			return "", nil, fmt.Errorf("keeping who signed in: %w", err)
		}
	}
	if err := g.store.OpenSession(ctx, s); err != nil {
		return "", nil, fmt.Errorf("opening a session: %w", err)
	}
	g.tell(ctx, Event{
		Action: EventOpened, Person: g.shown(s), Subject: o.person.ID, SubjectName: o.person.Name, Address: o.address,
		Detail: map[string]string{"kind": s.Kind, "session": s.Key[:12], "device": s.Device, "ends": s.Ends.UTC().Format(time.RFC3339)},
	})
	return id, s, nil
}

// idleEnd is when a session that is used now ends for want of use. Those of the
// command line end with their life alone: people run commands rarely.
func (g *Guard) idleEnd(s *Session, now time.Time) time.Time {
	if s.Kind == ViaCLI || g.idle <= 0 {
		return s.Ends
	}
	return now.Add(g.idle)
}

// shown is the person of a session as requests see them.
func (g *Guard) shown(s *Session) Person {
	p := g.roster.complete(s.Person)
	p.Via = s.Kind
	return p
}

// resume returns the session of an id. It returns ErrNoSession for one that is not
// there or has ended, and any other error if that cannot be told now; nobody is let
// in then.
func (g *Guard) resume(ctx context.Context, id, kind string) (*Session, error) {
	s, err := g.store.Session(ctx, keyOf(id))
	if err != nil {
		return nil, err
	}
	now := g.clock()
	switch {
	case s.Kind != kind:
		return nil, ErrNoSession
	case s.Over(now), !g.sources[s.Source]:
		return nil, errors.Join(ErrNoSession, g.store.EndSession(ctx, s.Key))
	case g.roster.disabled(s.Person) != nil:
		return nil, errors.Join(ErrNoSession, g.store.EndSession(ctx, s.Key))
	}
	if s.Sealed != nil && now.Sub(s.Checked) >= refreshAfter {
		if s, err = g.refresh(ctx, id, s); err != nil {
			return nil, err
		}
		now = g.clock()
	}
	if ctx.Value(looking{}) == nil && now.Sub(s.Seen) >= touchEvery {
		s.Seen, s.IdleEnds = now, g.idleEnd(s, now)
		// Another request that touched it first has said the same.
		if err := g.store.SaveSession(ctx, s); err != nil && !errors.Is(err, ErrConflict) {
			return nil, err
		}
	}
	return s, nil
}

// refresh has the identity provider describe the session's person again. Of all
// requests of a session in this process one asks, and the others wait for it:
// providers take a refresh token once and end the session when it comes twice.
func (g *Guard) refresh(ctx context.Context, id string, s *Session) (*Session, error) {
	done := g.refreshing.DoChan(s.Key, func() (any, error) {
		// Not the request's context: others wait for the same.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), refreshTimeout)
		defer cancel()
		return g.refreshOnce(ctx, id, s.Key)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-done:
		if r.Err != nil {
			return nil, r.Err
		}
		out := copySession(*r.Val.(*Session)) //nolint:forcetypeassert // refreshOnce returns nothing else.
		return &out, nil
	}
}

func (g *Guard) refreshOnce(ctx context.Context, id, key string) (*Session, error) {
	s, err := g.store.Session(ctx, key)
	if err != nil {
		return nil, err
	}
	now := g.clock()
	if g.provider == nil || now.Sub(s.Checked) < refreshAfter {
		return s, nil
	}
	if now.Sub(s.Tried) < refreshRetry {
		return g.asOld(s, now)
	}
	// Of several processes that share the store, the one whose change counts asks.
	s.Tried = now
	if err := g.store.SaveSession(ctx, s); errors.Is(err, ErrConflict) {
		if s, err = g.store.Session(ctx, key); err != nil {
			return nil, err
		}
		return g.asOld(s, now)
	} else if err != nil {
		return nil, err
	}
	token, err := unseal(id, refreshPurpose, s.Sealed)
	if err != nil {
		return nil, g.refuse(ctx, s, err)
	}
	t, err := g.provider.renew(ctx, string(token), s.Person)
	switch {
	case errors.Is(err, errRefused):
		return nil, g.refuse(ctx, s, err)
	case err != nil:
		g.log.WarnContext(ctx, "a session could not be refreshed", "person", s.Person.ID, "error", err)
		return g.asOld(s, now)
	}
	return g.refreshed(ctx, id, s, t)
}

// refreshed keeps what the provider said, above all the new refresh token: the one
// before it is good no more.
func (g *Guard) refreshed(ctx context.Context, id string, s *Session, t *tokens) (*Session, error) {
	now := g.clock()
	for {
		s.Person, s.Checked = t.person, now
		if t.refresh != "" {
			s.Sealed = seal(id, refreshPurpose, []byte(t.refresh))
		}
		err := g.store.SaveSession(ctx, s)
		if err == nil {
			break
		}
		// A request that only touched the session came in between.
		if !errors.Is(err, ErrConflict) {
			return nil, err
		}
		if s, err = g.store.Session(ctx, s.Key); err != nil {
			return nil, err
		}
	}
	if err := g.store.SeePerson(ctx, t.person, now); err != nil {
		return nil, fmt.Errorf("keeping who signed in: %w", err)
	}
	return s, nil
}

// asOld lets a session go on with what was known, while that is not too old.
func (g *Guard) asOld(s *Session, now time.Time) (*Session, error) {
	if now.Sub(s.Checked) >= refreshAtMost {
		return nil, errStale
	}
	return s, nil
}

// refuse ends a session whose person the provider does not vouch for any more.
func (g *Guard) refuse(ctx context.Context, s *Session, why error) error {
	g.log.InfoContext(ctx, "the identity provider refused to refresh a session; it has ended", "person", s.Person.ID, "error", why)
	if err := g.store.EndSession(ctx, s.Key); err != nil {
		return err
	}
	g.tell(ctx, Event{
		Action: EventEnded, Subject: s.Person.ID, SubjectName: s.Person.Name,
		Reason: "the identity provider refused to refresh it", Detail: map[string]string{"session": s.Key[:12]},
	})
	return ErrNoSession
}

// EndSession ends one session of a person, by its key; ErrNoSession if the person
// has none with it.
func (g *Guard) EndSession(ctx context.Context, by Person, person, key string) error {
	s, err := g.store.Session(ctx, key)
	if err != nil {
		return err
	}
	if s.Person.ID != person {
		return ErrNoSession
	}
	if err := g.store.EndSession(ctx, key); err != nil {
		return err
	}
	g.tell(ctx, Event{
		Action: EventRevoked, Person: by, Subject: person, SubjectName: s.Person.Name,
		Detail: map[string]string{"session": key[:12], "device": s.Device},
	})
	return nil
}

// EndSessions ends all sessions of a person and returns how many there were.
func (g *Guard) EndSessions(ctx context.Context, by Person, person, reason string) (int, error) {
	n, err := g.store.EndSessions(ctx, person)
	if err != nil {
		return 0, err
	}
	g.tell(ctx, Event{
		Action: EventRevoked, Person: by, Subject: person, Reason: reason,
		Detail: map[string]string{"sessions": strconv.Itoa(n)},
	})
	return n, nil
}

// Sessions returns a person's sessions that have not ended, the one that was used
// last first.
func (g *Guard) Sessions(ctx context.Context, person string) ([]Session, error) {
	all, err := g.store.Sessions(ctx, person)
	if err != nil {
		return nil, err
	}
	now, out := g.clock(), []Session{}
	for i := range all {
		if !all[i].Over(now) && g.sources[all[i].Source] {
			out = append(out, all[i])
		}
	}
	return out, nil
}

// sameToken compares digests, so that neither the content nor the length of a
// token shows in the time it takes.
func sameToken(token string, digest [sha256.Size]byte) bool {
	d := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(d[:], digest[:]) == 1
}

// sourceOf is the Session.Source of those who came with a token.
func sourceOf(token string) string {
	sum := sha256.Sum256([]byte("source of a session\n" + token))
	return hex.EncodeToString(sum[:8])
}

// addressOf is the address that a request came from, without its port.
func addressOf(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}

// cut bounds a text that somebody else chose, and takes out what cannot be seen.
func cut(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if !isPlain(string(r)) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}
