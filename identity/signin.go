package identity

import (
	"errors"
	"html/template"
	"net/http"
	"net/url"

	"golang.org/x/time/rate"
)

// SignInPage is what the page that asks people to sign in shows.
type SignInPage struct {
	// Next is the path to go on to; it is always of this server.
	Next string
	// Wrong is set after a token that was not right.
	Wrong bool
	// Provider is the name of the identity provider, its host, and ProviderLink where
	// signing in with it begins; both empty without one.
	Provider, ProviderLink string
	// Problem says why a sign-in failed; empty if none did.
	Problem string
}

// Question is any other page of signing in: something to read, and maybe a form.
type Question struct {
	Title string
	// Lines are paragraphs, Facts what is asked about.
	Lines []string
	Facts []Fact
	// Wrong says what was wrong with the answer before.
	Wrong string
	// Input is the name of a field to type into, InputLabel its label.
	Input, InputLabel string
	// Action is where the form goes, Hidden what it carries and Button what sends it;
	// without an Action there is no form.
	Action string
	Hidden []Fact
	Button string
	// GoOn is a link to follow, shown as GoOnText.
	GoOn, GoOnText string
	// SignOut offers to sign out.
	SignOut bool
}

// Fact is a name and its value.
type Fact struct{ Name, Value string }

var plainPages = template.Must(template.New("").Parse(`{{define "top"}}<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.}} · Gatehouse</title></head>
<body><main>{{end}}
{{define "sign-in"}}{{template "top" "Sign in"}}<h1>Sign in to Gatehouse</h1>
{{with .Problem}}<p role="alert">{{.}}</p>{{end}}{{if .Wrong}}<p role="alert">That token is not right.</p>{{end}}
{{with .ProviderLink}}<p><a href="{{.}}">Sign in with {{$.Provider}}</a></p>{{end}}
<p>Open the admin link that Gatehouse printed when it started, or paste its token here.</p>
<form method="post" action="/login"><input type="hidden" name="next" value="{{.Next}}">
<label for="token">Admin token</label> <input id="token" name="token" type="password" autocomplete="current-password" required>
<button>Sign in</button></form></main></body></html>
{{end}}
{{define "ask"}}{{template "top" .Title}}<h1>{{.Title}}</h1>
{{with .Wrong}}<p role="alert">{{.}}</p>{{end}}{{range .Lines}}<p>{{.}}</p>{{end}}
{{with .Facts}}<dl>{{range .}}<dt>{{.Name}}</dt><dd>{{.Value}}</dd>{{end}}</dl>{{end}}
{{if .Action}}<form method="post" action="{{.Action}}">{{range .Hidden}}<input type="hidden" name="{{.Name}}" value="{{.Value}}">{{end}}
{{with .Input}}<label for="{{.}}">{{$.InputLabel}}</label> <input id="{{.}}" name="{{.}}" autocomplete="off" required>{{end}}
<button>{{.Button}}</button></form>{{end}}
{{with .GoOn}}<p><a href="{{.}}">{{$.GoOnText}}</a></p>{{end}}
{{if .SignOut}}<form method="post" action="/logout"><button>Sign out</button></form>{{end}}</main></body></html>
{{end}}`))

func plainSignIn(w http.ResponseWriter, _ *http.Request, p SignInPage) {
	_ = plainPages.ExecuteTemplate(w, "sign-in", p)
}

func plainAsk(w http.ResponseWriter, _ *http.Request, q Question) {
	_ = plainPages.ExecuteTemplate(w, "ask", q)
}

func (g *Guard) writeSignIn(w http.ResponseWriter, r *http.Request, status int, p SignInPage) {
	if g.provider != nil {
		p.Provider, p.ProviderLink = g.provider.Issuer, oidcPath
		if u, err := url.Parse(g.provider.Issuer); err == nil {
			p.Provider = u.Hostname()
		}
		if p.Next != "" && p.Next != "/" {
			p.ProviderLink += "?" + url.Values{"next": {p.Next}}.Encode()
		}
	}
	pageHeaders(w)
	w.WriteHeader(status)
	g.signIn(w, r, p)
}

func (g *Guard) writeAsk(w http.ResponseWriter, r *http.Request, status int, q Question) {
	pageHeaders(w)
	w.WriteHeader(status)
	g.ask(w, r, q)
}

func pageHeaders(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
}

// goOn sends a browser on after a form. A redirect would do, but browsers hold it
// to the policy for where forms may go, which is this server alone.
func (g *Guard) goOn(w http.ResponseWriter, r *http.Request, to string, q Question) {
	w.Header().Set("Refresh", "0; url="+to)
	q.GoOn = to
	g.writeAsk(w, r, http.StatusOK, q)
}

func noRole(p Person) Question {
	return Question{
		Title: "You have no role here", SignOut: true,
		Lines: []string{"You are signed in as " + p.Name + ", and no role in Gatehouse was given to you or to a group of yours.", "Ask an admin of Gatehouse for one, then reload this page."},
		Facts: []Fact{{"E-mail", p.Email}},
	}
}

// login takes the token from a link or the sign-in form and answers with a
// session's cookie and a clean address.
func (g *Guard) login(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	token, next := r.FormValue("token"), localPath(r.FormValue("next"))
	if token == "" && r.Method == http.MethodGet {
		g.writeSignIn(w, r, http.StatusUnauthorized, SignInPage{Next: next})
		return
	}
	who, ok := g.byToken(r, token)
	if !ok {
		g.log.WarnContext(r.Context(), "a sign-in failed: wrong admin token", "remote", r.RemoteAddr)
		g.tellRefused(r, Person{}, "wrong admin token")
		g.writeSignIn(w, r, http.StatusUnauthorized, SignInPage{Next: next, Wrong: true})
		return
	}
	if err := g.enter(w, r, opening{person: who, source: sourceOf(token)}); err != nil {
		g.refuseSignIn(w, r, next, err)
		return
	}
	http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // localPath lets no other site through.
}

// byToken returns whom a sign-in link or the admin token signs in.
func (g *Guard) byToken(r *http.Request, token string) (Person, bool) {
	who, ok := Person{}, false
	for i := range g.personas { // all of them, so that the time tells nothing
		if sameToken(token, g.personas[i].digest) {
			who, ok = g.personas[i].person, true
		}
	}
	if g.isAdminToken(r, token) {
		who, ok = Person{ID: AdminID, Name: "admin", Role: Admin}, true
	}
	return who, ok
}

// enter opens a browser's session and gives it to the browser in place of the one
// that it had.
func (g *Guard) enter(w http.ResponseWriter, r *http.Request, o opening) error {
	o.kind, o.device, o.address = ViaWeb, r.UserAgent(), addressOf(r)
	id, s, err := g.open(r.Context(), o)
	if err != nil {
		return err
	}
	if c, err := r.Cookie(g.cookieName(r)); err == nil && c.Value != "" {
		if err := g.store.EndSession(r.Context(), keyOf(c.Value)); err != nil {
			g.log.WarnContext(r.Context(), "the session before this sign-in was not ended", "error", err)
		}
	}
	g.log.InfoContext(r.Context(), "somebody signed in", "person", o.person.ID, "name", o.person.Name, "remote", r.RemoteAddr)
	g.setCookie(w, r, g.cookieName(r), id, s.Ends)
	return nil
}

// refuseSignIn shows the sign-in page with why a sign-in failed, as far as that is
// for its person to know; the log says all.
func (g *Guard) refuseSignIn(w http.ResponseWriter, r *http.Request, next string, err error) {
	status, text := http.StatusForbidden, "The sign-in was refused. Gatehouse's log says why."
	var claim claimError
	var told toldError
	switch {
	case errors.As(err, &told):
		status, text = told.status, told.text
	case errors.As(err, &claim):
		text = "The sign-in was refused: " + claim.Error() + "."
	case errors.Is(err, ErrDisabled):
		text = "You may not sign in: an admin of Gatehouse has disabled you."
	case errors.Is(err, errProvider):
		status, text = http.StatusServiceUnavailable, "The identity provider does not answer as it should. Try again in a moment; Gatehouse's log says more."
		w.Header().Set("Retry-After", "10")
	case !errors.Is(err, errRefused):
		status, text = http.StatusServiceUnavailable, "The sign-in could not be kept. Try again in a moment; Gatehouse's log says more."
	}
	g.log.WarnContext(r.Context(), "a sign-in failed", "remote", r.RemoteAddr, "error", err)
	g.tellRefused(r, Person{}, text)
	g.writeSignIn(w, r, status, SignInPage{Next: next, Problem: text})
}

// toldError is a failed sign-in with a text for its person.
type toldError struct {
	status int
	text   string
}

func (e toldError) Error() string { return e.text }

// newRefusals bounds the events of refused sign-ins, which anybody can cause: a
// flood must not fill the audit log.
func newRefusals() *rate.Limiter { return rate.NewLimiter(1, 60) }

func (g *Guard) tellRefused(r *http.Request, p Person, reason string) {
	if g.refusals.AllowN(g.clock(), 1) {
		g.tell(r.Context(), Event{Action: EventRefused, Person: p, Subject: p.ID, SubjectName: p.Name, Address: addressOf(r), Reason: reason})
	}
}
