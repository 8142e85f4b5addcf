package identity

import (
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

const (
	oidcPath     = "/login/oidc"
	callbackPath = "/login/callback"
	// flowLife is how long somebody may take at the identity provider.
	flowLife     = 10 * time.Minute
	flowPurpose  = "sign-in under way"
	flowCookie   = "gatehouse_signin"
	maxUsed      = 10_000
	maxFlowBytes = 3500 // a browser keeps 4096 of a cookie
)

// flow is a sign-in that is under way at the identity provider. The browser keeps
// it, sealed, in a cookie: only the browser that began a sign-in can finish it, and
// those who begin many cost no memory.
type flow struct {
	State    string    `json:"s"`
	Nonce    string    `json:"n"`
	Verifier string    `json:"v"` // of the proof key for code exchange
	Redirect string    `json:"r"`
	Next     string    `json:"x,omitempty"`
	Ends     time.Time `json:"e"`
	// CLI is what to sign in if it is not this browser, and Person the id of who has
	// confirmed it: nobody else may finish it.
	CLI    *cliFlow `json:"c,omitempty"`
	Person string   `json:"p,omitempty"`
}

// usedStates remembers the sign-ins that were finished until they would have ended
// anyway, so that an answer counts once.
type usedStates struct {
	mu sync.Mutex
	by map[string]time.Time
}

// use reports whether a state is used for the first time.
func (u *usedStates) use(state string, ends, now time.Time) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, ok := u.by[state]; ok {
		return false
	}
	if u.by == nil {
		u.by = map[string]time.Time{}
	}
	if len(u.by) >= maxUsed {
		u.makeRoom(now)
	}
	u.by[state] = ends
	return true
}

// makeRoom forgets what is over, and if nothing is, what is over first: refusing
// instead would let a flood of answers keep everybody out, and the provider takes a
// code once in any case. The caller holds mu.
func (u *usedStates) makeRoom(now time.Time) {
	first := ""
	for s, e := range u.by {
		if !e.After(now) {
			delete(u.by, s)
		} else if first == "" || e.Before(u.by[first]) {
			first = s
		}
	}
	if len(u.by) >= maxUsed {
		delete(u.by, first)
	}
}

// base is the address by which the browser reaches this server.
func (g *Guard) base(r *http.Request) string {
	switch {
	case g.publicURL != nil:
		return g.publicURL.Scheme + "://" + g.publicURL.Host
	case r.TLS != nil:
		return "https://" + r.Host
	default:
		return "http://" + r.Host
	}
}

// oidcStart sends a browser to the identity provider.
func (g *Guard) oidcStart(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	next := localPath(r.URL.Query().Get("next"))
	to, err := g.begin(w, r, &flow{Next: next})
	if err != nil {
		g.refuseSignIn(w, r, next, err)
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther) //nolint:gosec // the identity provider's own address, of its metadata.
}

// begin begins a sign-in at the identity provider and returns the address there.
func (g *Guard) begin(w http.ResponseWriter, r *http.Request, f *flow) (string, error) {
	f.State, f.Nonce, f.Verifier = secret(), secret(), oauth2.GenerateVerifier()
	f.Redirect, f.Ends = g.base(r)+callbackPath, g.clock().Add(flowLife)
	to, err := g.provider.start(r.Context(), f.Redirect, f)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(f)
	if err != nil {
		return "", err
	}
	if len(b) > maxFlowBytes/4*3-64 {
		// Only a long address to go on to makes it so.
		f.Next = "/"
		if b, err = json.Marshal(f); err != nil {
			return "", err
		}
	}
	g.setCookie(w, r, g.nameOf(r, flowCookie), base64.RawURLEncoding.EncodeToString(seal(g.sealing, flowPurpose, b)), f.Ends)
	return to, nil
}

// flowOf returns the sign-in that the browser began, or nil.
func (g *Guard) flowOf(r *http.Request) *flow {
	c, err := r.Cookie(g.nameOf(r, flowCookie))
	if err != nil {
		return nil
	}
	sealed, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil {
		return nil
	}
	b, err := unseal(g.sealing, flowPurpose, sealed)
	if err != nil {
		return nil
	}
	f := new(flow)
	if json.Unmarshal(b, f) != nil || !f.Ends.After(g.clock()) {
		return nil
	}
	return f
}

// oidcCallback takes the identity provider's answer.
func (g *Guard) oidcCallback(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	f, q := g.flowOf(r), r.URL.Query()
	g.setCookie(w, r, g.nameOf(r, flowCookie), "", time.Unix(1, 0))
	switch {
	// The answer of another sign-in: an old one, or one that somebody else began to
	// have this browser signed in as them.
	case f == nil, subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(f.State)) != 1, !g.used.use(f.State, f.Ends, g.clock()):
		g.refuseSignIn(w, r, "/", toldError{http.StatusBadRequest, "This sign-in is over, or was begun in another browser or tab. Sign in again."})
		return
	case q.Get("error") != "":
		g.log.WarnContext(r.Context(), "the identity provider refused a sign-in", "code", cut(q.Get("error"), 100), "description", cut(q.Get("error_description"), 500))
		g.refuseSignIn(w, r, f.Next, providerRefusal(q))
		return
	}
	t, err := g.provider.finish(r.Context(), f.Redirect, f, q)
	if err != nil {
		g.refuseSignIn(w, r, f.Next, err)
		return
	}
	o := opening{person: t.person, source: g.provider.source(), refresh: t.refresh, oidc: true}
	if f.CLI != nil {
		if f.Person != t.person.ID {
			g.refuseSignIn(w, r, "/", toldError{http.StatusForbidden, "Somebody else confirmed the command line's sign-in than signed in at the identity provider. Begin it again."})
			return
		}
		g.finishCLI(w, r, f.CLI, o)
		return
	}
	if err := g.enter(w, r, o); err != nil {
		g.refuseSignIn(w, r, f.Next, err)
		return
	}
	http.Redirect(w, r, localPath(f.Next), http.StatusSeeOther)
}

// providerRefusal is the text for an answer that is an error (RFC 6749, 4.1.2.1).
func providerRefusal(q url.Values) error {
	switch q.Get("error") {
	case "access_denied":
		return toldError{http.StatusForbidden, "The identity provider did not let you in, or you did not agree. Sign in again, or ask whoever runs it."}
	case "server_error", "temporarily_unavailable":
		return toldError{http.StatusServiceUnavailable, "The identity provider has a problem. Try again in a moment."}
	default:
		return toldError{http.StatusForbidden, "The identity provider refused the sign-in; Gatehouse's log says how. An admin may have to change its settings."}
	}
}
