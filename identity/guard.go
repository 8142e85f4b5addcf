package identity

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

// Options configure a Guard.
type Options struct {
	// Token is the admin token; empty: a random one of 260 bits.
	Token string
	// TokenAnywhere takes the admin token from every address though there is an
	// identity provider. Without a provider it is always so.
	TokenAnywhere bool
	// Anonymous is the role of people who are not signed in. None makes them
	// sign in first; the demo gives Viewer.
	Anonymous Role
	// SessionLife is how long a sign-in lasts; 0: 12 hours. SessionIdle is how long
	// one of a browser lasts without being used; 0: as long.
	SessionLife, SessionIdle time.Duration
	// Hosts are names, without port, that the Host header may have beside the
	// loopback ones and PublicURL's.
	Hosts []string
	// PublicURL is the address by which people reach Gatehouse, without a path
	// ("https://gatehouse.example.com"); empty: the one that they ask.
	PublicURL string
	// TLS says that the server itself serves TLS.
	TLS bool
	// Public are paths that need no role and, as probes come by address, no
	// known Host; one that ends in "/" stands for all below it. Nil: /healthz,
	// /readyz and /assets/.
	Public []string
	// OIDC is the identity provider; nil: the admin token alone.
	OIDC *OIDC
	// Store keeps sessions and people; nil: they end with the process.
	Store Store
	// Roster says who has which role, and knows the people; nil: one over Store
	// that gives nobody a role.
	Roster *Roster
	// People are those who have a sign-in link of their own (PersonLink), with the
	// roles that they have: for a demo, never for production.
	People []Person
	// SignIn writes the page that asks a browser to sign in; the status is
	// written already. Nil: a plain one.
	SignIn func(w http.ResponseWriter, r *http.Request, p SignInPage)
	// Ask writes the other pages of signing in; the status is written already. Nil:
	// a plain one.
	Ask func(w http.ResponseWriter, r *http.Request, q Question)
	// Audit is told what happens with people and their sessions; nil: nobody is.
	Audit func(ctx context.Context, e Event)
	// OnDisabled is called when somebody was disabled, and again after each start for
	// all who are, until it returns nil once: whatever was lent to them is taken back
	// there. It must bear being called twice.
	OnDisabled func(ctx context.Context, e Entry) error
	Clock      func() time.Time // nil: time.Now
	Logger     *slog.Logger     // nil: silent
}

// Guard stands before every handler. It is safe for concurrent use.
type Guard struct {
	token         string
	digest        [sha256.Size]byte
	tokenAnywhere bool
	anonymous     Role
	life, idle    time.Duration
	hosts         map[string]bool
	publicURL     *url.URL // nil: not said
	tls           bool
	public        []string
	provider      *provider // nil: none
	store         Store
	roster        *Roster
	personas      []persona
	sources       map[string]bool // those of sessions that count
	sealing       string          // seals what outlives no sign-in
	used          usedStates
	wrong         wrongCodes
	refusals      *rate.Limiter
	refreshing    singleflight.Group
	told          toldPeople
	signIn        func(http.ResponseWriter, *http.Request, SignInPage)
	ask           func(http.ResponseWriter, *http.Request, Question)
	audit         func(context.Context, Event)
	onDisabled    func(context.Context, Entry) error
	origin        *http.CrossOriginProtection
	clock         func() time.Time
	log           *slog.Logger
}

// persona is somebody with a link of their own.
type persona struct {
	person Person
	token  string
	digest [sha256.Size]byte
}

// New makes a Guard. It returns an error for a token that is too short to hold
// against guessing, and for an identity provider or a public address of a wrong
// form; whether the provider answers is seen when somebody signs in.
func New(o Options) (*Guard, error) {
	if o.Token == "" {
		o.Token = secret()
	}
	if len(o.Token) < 20 {
		return nil, errors.New("making guard: the admin token has fewer than 20 characters; leave it out to get a random one")
	}
	g := &Guard{
		token:         o.Token,
		digest:        sha256.Sum256([]byte(o.Token)),
		tokenAnywhere: o.TokenAnywhere || o.OIDC == nil,
		anonymous:     o.Anonymous,
		life:          o.SessionLife,
		idle:          o.SessionIdle,
		hosts:         make(map[string]bool, len(o.Hosts)+1),
		public:        o.Public,
		tls:           o.TLS,
		store:         o.Store,
		roster:        o.Roster,
		sources:       map[string]bool{sourceOf(o.Token): true},
		sealing:       secret(),
		refusals:      newRefusals(),
		signIn:        o.SignIn,
		ask:           o.Ask,
		audit:         o.Audit,
		onDisabled:    o.OnDisabled,
		origin:        http.NewCrossOriginProtection(),
		clock:         o.Clock,
		log:           o.Logger,
	}
	if g.life <= 0 {
		g.life = 12 * time.Hour
	}
	if g.clock == nil {
		g.clock = time.Now
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	if g.public == nil {
		g.public = []string{"/healthz", "/readyz", "/assets/"}
	}
	if g.signIn == nil {
		g.signIn = plainSignIn
	}
	if g.ask == nil {
		g.ask = plainAsk
	}
	if g.store == nil {
		g.store = &Memory{}
	}
	if err := g.findPeople(o); err != nil {
		return nil, err
	}
	for _, h := range o.Hosts {
		g.hosts[hostname(h)] = true
	}
	if o.PublicURL != "" {
		u, err := ParsePublicURL(o.PublicURL)
		if err != nil {
			return nil, fmt.Errorf("making guard: %w", err)
		}
		g.publicURL, g.hosts[hostname(u.Host)] = u, true
	}
	if o.OIDC == nil {
		return g, nil
	}
	var err error
	if g.provider, err = newProvider(*o.OIDC, g.clock, g.log); err != nil {
		return nil, err
	}
	g.sources[g.provider.source()] = true
	// Where several processes serve one address, each must know what another sealed
	// for a browser; the client's secret is what they share.
	if o.OIDC.ClientSecret != nil {
		if s, err := o.OIDC.ClientSecret(); err == nil && s != "" {
			g.sealing = "client secret\n" + s
		}
	}
	return g, nil
}

// findPeople makes the roster, if none was given, and the personas.
func (g *Guard) findPeople(o Options) (err error) {
	for _, p := range o.People {
		if p.ID == "" || p.Name == "" || p.ID == AdminID {
			return errors.New("making guard: a person with a link needs an id and a name")
		}
		t := secret()
		g.personas = append(g.personas, persona{person: p, token: t, digest: sha256.Sum256([]byte(t))})
		g.sources[sourceOf(t)] = true
	}
	if g.roster == nil {
		g.roster, err = NewRoster(RosterOptions{Store: g.store, Local: o.People, Clock: g.clock, Logger: g.log})
	}
	return err
}

// Directory answers who people are.
func (g *Guard) Directory() Directory { return g.roster }

// AdminLink is the address that signs an admin in, for a server at addr
// ("127.0.0.1:8080"). It holds the token: show it to the person at the terminal
// and nobody else.
func (g *Guard) AdminLink(addr string) string { return g.link(addr, g.token) }

// PersonLink is the address that signs one of Options.People in, and empty for
// anybody else. It holds a secret, as AdminLink does.
func (g *Guard) PersonLink(addr string, p Person) string {
	for i := range g.personas {
		if g.personas[i].person.ID == p.ID {
			return g.link(addr, g.personas[i].token)
		}
	}
	return ""
}

func (g *Guard) link(addr, token string) string {
	host, port, err := net.SplitHostPort(addr)
	if err == nil && (host == "" || host == "0.0.0.0" || host == "::") {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	base := "http://" + addr
	switch {
	case g.publicURL != nil && g.tokenAnywhere:
		base = g.publicURL.String()
	case g.tls:
		base = "https://" + addr
	}
	return base + "/login?token=" + url.QueryEscape(token)
}

// Handler guards next. It answers /login, all below it, and /logout itself.
func (g *Guard) Handler(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", g.login)
	mux.HandleFunc("POST /login", g.login)
	mux.HandleFunc("POST /logout", g.logout)
	if g.provider != nil {
		mux.HandleFunc("GET "+oidcPath, g.oidcStart)
		mux.HandleFunc("GET "+callbackPath, g.oidcCallback)
	}
	mux.HandleFunc("GET "+cliPath, g.signedInOnly(g.cliAsk))
	mux.HandleFunc("POST "+cliPath, g.signedInOnly(g.cliConfirm))
	mux.HandleFunc("GET "+devicePath, g.signedInOnly(g.deviceAsk))
	mux.HandleFunc("POST "+devicePath, g.signedInOnly(g.deviceConfirm))
	mux.HandleFunc("POST "+deviceStartPath, g.deviceStart)
	mux.HandleFunc("POST "+tokenPath, g.cliToken)
	mux.Handle("/", g.signedIn(next))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.secure(w.Header(), r)
		public := g.isPublic(r.URL.Path)
		// A page of another site can point its own name at 127.0.0.1 and then
		// read what it gets here (DNS rebinding); the Host header still tells.
		if host := hostname(r.Host); !public && !isLoopback(host) && !g.hosts[host] {
			problem(w, http.StatusMisdirectedRequest, fmt.Sprintf("this server does not answer for the host %q; set public_url if it should", host))
			return
		}
		if err := g.origin.Check(r); err != nil {
			g.log.WarnContext(r.Context(), "refused a request that another site made", "method", r.Method, "path", r.URL.Path)
			problem(w, http.StatusForbidden, "this request came from another site")
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// signedIn puts the person into the request's context and asks those without a
// role to sign in.
func (g *Guard) signedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.isPublic(r.URL.Path) {
			// A store that does not answer must not take the probes with it.
			next.ServeHTTP(w, r)
			return
		}
		p, s, err := g.person(r)
		switch {
		case err != nil:
			g.unavailable(w, r, err)
		case p.Role == None && p.SignedIn() && wantsPage(r):
			g.writeAsk(w, r, http.StatusForbidden, noRole(p))
		case p.Role == None && p.SignedIn() && r.URL.Path != "/api/v1/me" && r.URL.Path != "/api/v1/sessions/revoke":
			problem(w, http.StatusForbidden, "you are signed in as "+p.Name+", but no role was given to you here; ask an admin of Gatehouse")
		case p.Role == None && !p.SignedIn():
			g.askToSignIn(w, r)
		default:
			ctx, stop := g.watched(with(r.Context(), p, s), r, p)
			defer stop()
			next.ServeHTTP(w, r.WithContext(ctx))
		}
	})
}

// with puts the person and their session into a context.
func with(ctx context.Context, p Person, s *Session) context.Context {
	ctx = context.WithValue(ctx, personKey{}, p)
	if s != nil {
		ctx = context.WithValue(ctx, sessionKey{}, s)
	}
	return ctx
}

// person returns who sends a request. An error means that it cannot be told now.
func (g *Guard) person(r *http.Request) (Person, *Session, error) {
	if h := r.Header.Get("Authorization"); h != "" {
		// Whoever sends credentials means them: wrong ones do not fall back to
		// the anonymous role, which would hide the mistake.
		scheme, token, _ := strings.Cut(h, " ")
		if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "Bearer") {
			return Person{}, nil, nil
		}
		if g.isAdminToken(r, token) {
			return Person{ID: AdminID, Name: "admin token", Role: Admin, Via: ViaToken}, nil, nil
		}
		return g.find(r, token, ViaCLI, Person{})
	}
	if c, err := r.Cookie(g.cookieName(r)); err == nil && c.Value != "" {
		return g.find(r, c.Value, ViaWeb, Person{Role: g.anonymous})
	}
	return Person{Role: g.anonymous}, nil, nil
}

func (g *Guard) find(r *http.Request, id, kind string, otherwise Person) (Person, *Session, error) {
	s, err := g.resume(r.Context(), id, kind)
	if errors.Is(err, ErrNoSession) {
		return otherwise, nil, nil
	}
	if err != nil {
		return Person{}, nil, err
	}
	return g.shown(s), s, nil
}

// isAdminToken reports whether a token is the admin's, and may be used from where
// the request comes.
func (g *Guard) isAdminToken(r *http.Request, token string) bool {
	return sameToken(token, g.digest) && (g.tokenAnywhere || fromHere(r))
}

// fromHere reports whether a request was made on this machine. A proxy on it makes
// all requests on it, and tells by the Host header or the headers that proxies add.
func fromHere(r *http.Request) bool {
	addr, err := netip.ParseAddr(addressOf(r))
	if err != nil || !addr.Unmap().IsLoopback() || !isLoopback(hostname(r.Host)) {
		return false
	}
	for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if r.Header.Get(h) != "" {
			return false
		}
	}
	return true
}

func (g *Guard) isPublic(path string) bool {
	for _, p := range g.public {
		if path == p || (strings.HasSuffix(p, "/") && strings.HasPrefix(path, p)) {
			return true
		}
	}
	return false
}

func (g *Guard) askToSignIn(w http.ResponseWriter, r *http.Request) {
	challenge(w)
	if !wantsPage(r) {
		problem(w, http.StatusUnauthorized, "sign in, or send a token as Authorization: Bearer")
		return
	}
	g.writeSignIn(w, r, http.StatusUnauthorized, SignInPage{Next: localPath(r.URL.RequestURI())})
}

// unavailable answers when it cannot be told who sends a request.
func (g *Guard) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	text := "the sessions could not be read; Gatehouse's log says why"
	if errors.Is(err, errStale) {
		text = errStale.Error()
	}
	if r.Context().Err() == nil {
		g.log.ErrorContext(r.Context(), "it cannot be told who sends a request", "path", r.URL.Path, "error", err)
	}
	w.Header().Set("Retry-After", "10")
	if wantsPage(r) {
		g.writeAsk(w, r, http.StatusServiceUnavailable, Question{Title: "Not now", Lines: []string{text, "Reload this page to try again."}})
		return
	}
	problem(w, http.StatusServiceUnavailable, text)
}

// logout ends the session of the request: the browser's, or the command line's.
func (g *Guard) logout(w http.ResponseWriter, r *http.Request) {
	p, s, err := g.person(r)
	if err == nil && s != nil {
		err = g.store.EndSession(r.Context(), s.Key)
	}
	if err != nil {
		g.unavailable(w, r, err)
		return
	}
	if s != nil {
		g.tell(r.Context(), Event{
			Action: EventEnded, Person: p, Subject: p.ID, SubjectName: p.Name, Address: addressOf(r),
			Reason: "signed out", Detail: map[string]string{"session": s.Key[:12]},
		})
	}
	g.setCookie(w, r, g.cookieName(r), "", time.Unix(1, 0))
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}
