package identity

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Options configure a Guard.
type Options struct {
	// Token is the admin token; empty: a random one of 260 bits.
	Token string
	// Anonymous is the role of people who are not signed in. None makes them
	// sign in first; the demo gives Viewer.
	Anonymous Role
	// SessionLife is how long a sign-in lasts; 0: 12 hours.
	SessionLife time.Duration
	// Hosts are names, without port, that the Host header may have beside the
	// loopback ones.
	Hosts []string
	// Public are paths that need no role and, as probes come by address, no
	// known Host; one that ends in "/" stands for all below it. Nil: /healthz,
	// /readyz and /assets/.
	Public []string
	// SignIn writes the page that asks a browser for the token; the status is
	// written already. Nil: a plain one.
	SignIn func(w http.ResponseWriter, r *http.Request, p SignInPage)
	Clock  func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: silent
}

// SignInPage is what the page that asks for the admin token shows.
type SignInPage struct {
	// Next is the path to go on to; it is always of this server.
	Next string
	// Wrong is set after a token that was not right.
	Wrong bool
}

// Guard stands before every handler. It is safe for concurrent use.
type Guard struct {
	token     string
	digest    [sha256.Size]byte
	anonymous Role
	hosts     map[string]bool
	public    []string
	signIn    func(http.ResponseWriter, *http.Request, SignInPage)
	sessions  *sessions
	origin    *http.CrossOriginProtection
	log       *slog.Logger
}

// New makes a Guard. It returns an error for a token that is too short to hold
// against guessing.
func New(o Options) (*Guard, error) {
	if o.Token == "" {
		o.Token = secret()
	}
	if len(o.Token) < 20 {
		return nil, errors.New("making guard: the admin token has fewer than 20 characters; leave it out to get a random one")
	}
	if o.SessionLife <= 0 {
		o.SessionLife = 12 * time.Hour
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Public == nil {
		o.Public = []string{"/healthz", "/readyz", "/assets/"}
	}
	if o.SignIn == nil {
		o.SignIn = plainSignIn
	}
	g := &Guard{
		token:     o.Token,
		digest:    sha256.Sum256([]byte(o.Token)),
		anonymous: o.Anonymous,
		hosts:     make(map[string]bool, len(o.Hosts)),
		public:    o.Public,
		signIn:    o.SignIn,
		sessions:  &sessions{clock: o.Clock, life: o.SessionLife, by: map[[sha256.Size]byte]session{}},
		origin:    http.NewCrossOriginProtection(),
		log:       o.Logger,
	}
	for _, h := range o.Hosts {
		g.hosts[hostname(h)] = true
	}
	return g, nil
}

// AdminLink is the address that signs an admin in, for a server at addr
// ("127.0.0.1:8080"). It holds the token: show it to the person at the terminal
// and nobody else.
func (g *Guard) AdminLink(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err == nil && (host == "" || host == "0.0.0.0" || host == "::") {
		addr = net.JoinHostPort("127.0.0.1", port)
	}
	return "http://" + addr + "/login?token=" + url.QueryEscape(g.token)
}

// Handler guards next. It answers /login and /logout itself.
func (g *Guard) Handler(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /login", g.login)
	mux.HandleFunc("POST /login", g.login)
	mux.HandleFunc("POST /logout", g.logout)
	mux.Handle("/", g.signedIn(next))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		secure(w.Header(), r)
		public := g.isPublic(r.URL.Path)
		// A page of another site can point its own name at 127.0.0.1 and then
		// read what it gets here (DNS rebinding); the Host header still tells.
		if host := hostname(r.Host); !public && !isLoopback(host) && !g.hosts[host] {
			problem(w, http.StatusMisdirectedRequest, fmt.Sprintf("this server does not answer for the host %q; add it to the allowed hosts if it should", host))
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
		p := g.person(r)
		if p.Role == None && !g.isPublic(r.URL.Path) {
			g.askToSignIn(w, r)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), personKey{}, p)))
	})
}

func (g *Guard) person(r *http.Request) Person {
	if h := r.Header.Get("Authorization"); h != "" {
		// Whoever sends credentials means them: wrong ones do not fall back to
		// the anonymous role, which would hide the mistake.
		scheme, token, _ := strings.Cut(h, " ")
		if strings.EqualFold(scheme, "Bearer") && g.isToken(strings.TrimSpace(token)) {
			return Person{Name: "admin token", Role: Admin}
		}
		return Person{}
	}
	if c, err := r.Cookie(cookieName(r)); err == nil {
		if p, ok := g.sessions.find(c.Value); ok {
			return p
		}
	}
	return Person{Role: g.anonymous}
}

// isToken compares digests, so that neither the content nor the length of the
// token shows in the time it takes.
func (g *Guard) isToken(token string) bool {
	d := sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(d[:], g.digest[:]) == 1
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
		problem(w, http.StatusUnauthorized, "sign in, or send the admin token as Authorization: Bearer")
		return
	}
	g.writeSignIn(w, r, SignInPage{Next: localPath(r.URL.RequestURI())})
}

func (g *Guard) writeSignIn(w http.ResponseWriter, r *http.Request, p SignInPage) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusUnauthorized)
	g.signIn(w, r, p)
}

// login takes the token from the admin link or the sign-in form and answers
// with a session's cookie and a clean address.
func (g *Guard) login(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	token, next := r.FormValue("token"), localPath(r.FormValue("next"))
	if token == "" && r.Method == http.MethodGet {
		g.writeSignIn(w, r, SignInPage{Next: next})
		return
	}
	if !g.isToken(token) {
		g.log.WarnContext(r.Context(), "a sign-in failed: wrong admin token", "remote", r.RemoteAddr)
		g.writeSignIn(w, r, SignInPage{Next: next, Wrong: true})
		return
	}
	id, ends := g.sessions.open(Person{Name: "admin", Role: Admin})
	g.log.InfoContext(r.Context(), "admin signed in", "remote", r.RemoteAddr)
	setCookie(w, r, id, ends)
	http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // localPath lets no other site through.
}

func (g *Guard) logout(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookieName(r)); err == nil {
		g.sessions.end(c.Value)
	}
	setCookie(w, r, "", time.Unix(1, 0))
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// cookieName holds the port, for browsers send cookies to every port of a host:
// two Gatehouses on one machine would sign each other's people out.
func cookieName(r *http.Request) string {
	if _, port, err := net.SplitHostPort(r.Host); err == nil && isDigits(port) {
		return "gatehouse_session_" + port
	}
	return "gatehouse_session"
}

func isDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}

func setCookie(w http.ResponseWriter, r *http.Request, id string, ends time.Time) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever there is TLS; on loopback there is none.
		Name: cookieName(r), Value: id, Path: "/", Expires: ends,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	})
}

// localPath returns path if it is a path of this server and "/" for anything
// else: "//evil.example", "/\evil.example" and whole addresses would send the
// person who just signed in to another site.
func localPath(path string) string {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "\\\r\n\t") {
		return "/"
	}
	u, err := url.Parse(path)
	if err != nil || u.Host != "" || u.Scheme != "" || u.Path == "/login" || u.Path == "/logout" {
		return "/"
	}
	return u.RequestURI()
}

// wantsPage reports whether the request came from a browser that shows pages.
func wantsPage(r *http.Request) bool {
	return r.Method == http.MethodGet && !strings.HasPrefix(r.URL.Path, "/api/") &&
		strings.Contains(r.Header.Get("Accept"), "text/html")
}

func challenge(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", `Bearer realm="gatehouse"`)
}

// problem writes an RFC 9457 answer.
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"title": http.StatusText(status), "status": status, "detail": detail,
	})
}

// secure sets the headers that every answer carries. Scripts, styles and data
// come from this server alone and stand in files of their own.
func secure(h http.Header, r *http.Request) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	// Not no-referrer: browsers would then send "Origin: null" with our own
	// forms, and the check for requests of other sites would refuse them.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}
