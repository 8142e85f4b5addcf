package identity

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	cliPath         = "/login/cli"
	devicePath      = "/login/device"
	deviceStartPath = "/login/device/start"
	tokenPath       = "/login/token"

	cliPurpose = "command line sign-in"
	// codeLife is how long the command line may take to fetch its session, deviceLife
	// how long a person to type a code.
	codeLife   = 2 * time.Minute
	deviceLife = 10 * time.Minute
	// devicePoll is how often a command line asks whether its code was confirmed.
	devicePoll = 2 * time.Second
)

// cliFlow is the command line that is to be signed in.
type cliFlow struct {
	// Device is the name that it gives of its machine.
	Device string `json:"d,omitempty"`
	// Port, Challenge and State are those of a command line that listens on a
	// loopback address of the browser's machine.
	Port      int    `json:"p,omitempty"`
	Challenge string `json:"c,omitempty"`
	State     string `json:"s,omitempty"`
	// Key is the sign-in of one that has no browser.
	Key string `json:"k,omitempty"`
}

// waiting is the body of a SignIn.
type waiting struct {
	Device    string    `json:"device,omitempty"`
	Address   string    `json:"address,omitempty"`
	Begun     time.Time `json:"begun"`
	Challenge string    `json:"challenge,omitempty"`
	// Person is who confirmed; nil before.
	Person  *Person `json:"person,omitempty"`
	Source  string  `json:"source,omitempty"`
	Refresh string  `json:"refresh,omitempty"`
	OIDC    bool    `json:"oidc,omitempty"`
}

func (g *Guard) sealWaiting(w *waiting) ([]byte, error) {
	b, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	return seal(g.sealing, cliPurpose, b), nil
}

func (g *Guard) unsealWaiting(body []byte) (*waiting, error) {
	b, err := unseal(g.sealing, cliPurpose, body)
	if err != nil {
		return nil, err
	}
	w := new(waiting)
	return w, json.Unmarshal(b, w)
}

// signedInOnly lets people with a browser's session and a role through, and has
// the others sign in first.
func (g *Guard) signedInOnly(next func(http.ResponseWriter, *http.Request, *Session)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
		p, s, err := g.person(r)
		switch {
		case err != nil:
			g.unavailable(w, r, err)
		case s == nil || s.Kind != ViaWeb:
			to := "/"
			if r.Method == http.MethodGet {
				to = localPath(r.URL.RequestURI())
			}
			g.writeSignIn(w, r, http.StatusUnauthorized, SignInPage{Next: to})
		case p.Role == None:
			g.writeAsk(w, r, http.StatusForbidden, noRole(p))
		default:
			next(w, r.WithContext(with(r.Context(), p, s)), s)
		}
	}
}

// readCLI reads what a command line asks for.
func readCLI(v url.Values) (*cliFlow, error) {
	c := &cliFlow{Device: cut(v.Get("device"), 80), Challenge: v.Get("challenge"), State: v.Get("state")}
	var err error
	c.Port, err = strconv.Atoi(v.Get("port"))
	raw, badChallenge := base64.RawURLEncoding.DecodeString(c.Challenge)
	if err != nil || c.Port < 1 || c.Port > 65535 || badChallenge != nil || len(raw) != sha256.Size || c.State == "" || len(c.State) > 128 || !isPlain(c.State) {
		return nil, errors.New("this is not the address that gatehouse login printed; copy it whole")
	}
	if c.Device == "" {
		c.Device = "(no name)"
	}
	return c, nil
}

func (g *Guard) badCLI(w http.ResponseWriter, r *http.Request, err error) {
	g.writeAsk(w, r, http.StatusBadRequest, Question{Title: "This cannot be signed in", Lines: []string{err.Error()}})
}

// cliAsk asks a person whether a command line on their machine may act as them.
func (g *Guard) cliAsk(w http.ResponseWriter, r *http.Request, _ *Session) {
	c, err := readCLI(r.URL.Query())
	if err != nil {
		g.badCLI(w, r, err)
		return
	}
	p := FromContext(r.Context())
	g.writeAsk(w, r, http.StatusOK, Question{
		Title:  "Sign in the command line?",
		Lines:  []string{"Somebody ran gatehouse login on this machine. Go on only if it was you: the command line will act as you."},
		Facts:  []Fact{{"Machine", c.Device}, {"Signed in as", nameAndEmail(p)}, {"Role", p.Role.String()}},
		Action: cliPath, Button: "Sign in the command line",
		Hidden: []Fact{{"challenge", c.Challenge}, {"port", strconv.Itoa(c.Port)}, {"state", c.State}, {"device", c.Device}},
		GoOn:   "/", GoOnText: "Cancel",
	})
}

func nameAndEmail(p Person) string {
	if p.Email == "" || p.Email == p.Name {
		return p.Name
	}
	return p.Name + " (" + p.Email + ")"
}

func (g *Guard) cliConfirm(w http.ResponseWriter, r *http.Request, s *Session) {
	c, err := readCLI(formOf(r))
	if err != nil {
		g.badCLI(w, r, err)
		return
	}
	g.confirmed(w, r, s, c)
}

func formOf(r *http.Request) url.Values {
	if r.ParseForm() != nil {
		return nil
	}
	return r.PostForm
}

// confirmed goes on after a person's yes. At an identity provider the command line
// gets a sign-in of its own, so that it has a refresh token of its own and does not
// end with the browser's session.
func (g *Guard) confirmed(w http.ResponseWriter, r *http.Request, s *Session, c *cliFlow) {
	if g.provider == nil || s.Source != g.provider.source() {
		g.finishCLI(w, r, c, opening{person: s.Person, source: s.Source})
		return
	}
	to, err := g.begin(w, r, &flow{CLI: c, Person: s.Person.ID})
	if err != nil {
		g.refuseSignIn(w, r, "/", err)
		return
	}
	g.goOn(w, r, to, Question{Title: "One moment", Lines: []string{"The identity provider confirms who you are."}, GoOnText: "Go on"})
}

// finishCLI leaves the session for the command line to fetch.
func (g *Guard) finishCLI(w http.ResponseWriter, r *http.Request, c *cliFlow, o opening) {
	p := o.person
	body := &waiting{Device: c.Device, Address: addressOf(r), Begun: g.clock(), Challenge: c.Challenge, Person: &p, Source: o.source, Refresh: o.refresh, OIDC: o.oidc}
	if c.Key != "" {
		g.finishDevice(w, r, c, body)
		return
	}
	sealed, err := g.sealWaiting(body)
	if err != nil {
		g.unavailable(w, r, err)
		return
	}
	now, code := g.clock(), secret()
	if err := g.store.BeginSignIn(r.Context(), &SignIn{Key: keyOf(code), Ends: now.Add(codeLife), Body: sealed}, now); err != nil {
		g.signInTrouble(w, r, err)
		return
	}
	to := url.URL{
		Scheme: "http", Host: "127.0.0.1:" + strconv.Itoa(c.Port), Path: "/callback",
		RawQuery: url.Values{"code": {code}, "state": {c.State}}.Encode(),
	}
	g.goOn(w, r, to.String(), Question{Title: "The command line is signed in", Lines: []string{"Go back to your terminal."}, GoOnText: "Go on if nothing happens"})
}

func (g *Guard) signInTrouble(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case errors.Is(err, ErrTooMany):
		g.writeAsk(w, r, http.StatusTooManyRequests, Question{Title: "Too many sign-ins are under way", Lines: []string{"Try again in some minutes."}})
	case errors.Is(err, ErrNoSignIn), errors.Is(err, ErrConflict):
		g.writeAsk(w, r, http.StatusConflict, Question{Title: "This sign-in is over", Lines: []string{"It has ended, or was confirmed already. Run gatehouse login again."}})
	default:
		g.unavailable(w, r, err)
	}
}

// answerJSON writes an answer to the command line.
func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// readJSON reads what a command line sends; false if it has answered already.
func readJSON(w http.ResponseWriter, r *http.Request, into any) bool {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<10))
	if kind != "application/json" || d.Decode(into) != nil {
		problem(w, http.StatusBadRequest, "send a JSON object")
		return false
	}
	return true
}

// cliToken gives a command line its session: for the code that the browser brought
// it and the verifier that belongs to the challenge, or for its device code.
func (g *Guard) cliToken(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Code       string `json:"code"`
		Verifier   string `json:"verifier"`
		DeviceCode string `json:"device_code"`
	}
	if !readJSON(w, r, &in) {
		return
	}
	body, err := g.fetch(r, in.Code, in.Verifier, in.DeviceCode)
	switch {
	case errors.Is(err, errWaiting):
		answerJSON(w, http.StatusAccepted, map[string]any{"waiting": true, "interval": devicePoll.Seconds()})
		return
	case errors.Is(err, ErrNoSignIn), errors.Is(err, errSeal):
		g.tellRefused(r, Person{}, "a code of the command line that is not good")
		problem(w, http.StatusGone, "this sign-in has ended or was used already; run gatehouse login again")
		return
	case err != nil:
		g.unavailable(w, r, err)
		return
	}
	id, s, err := g.open(r.Context(), opening{
		person: *body.Person, kind: ViaCLI, source: body.Source, refresh: body.Refresh, oidc: body.OIDC, device: body.Device, address: addressOf(r),
	})
	switch {
	case errors.Is(err, ErrDisabled):
		problem(w, http.StatusForbidden, "you may not sign in: an admin of Gatehouse has disabled you")
		return
	case err != nil:
		g.unavailable(w, r, err)
		return
	}
	g.log.InfoContext(r.Context(), "a command line was signed in", "person", s.Person.ID, "device", s.Device, "remote", r.RemoteAddr)
	answerJSON(w, http.StatusOK, map[string]any{"token": id, "person": g.shown(s), "ends": s.Ends.UTC()})
}

var errWaiting = errors.New("the sign-in was not confirmed yet")

// fetch takes the sign-in that belongs to a code. Whoever has the code but not the
// verifier has used it up.
func (g *Guard) fetch(r *http.Request, code, verifier, deviceCode string) (*waiting, error) {
	key := keyOf(code)
	if deviceCode != "" {
		key = keyOf(deviceCode)
		s, err := g.store.SignInByKey(r.Context(), key)
		if err != nil {
			return nil, err
		}
		body, err := g.unsealWaiting(s.Body)
		if err != nil {
			return nil, err
		}
		if body.Person == nil && s.Ends.After(g.clock()) {
			return nil, errWaiting
		}
	}
	s, err := g.store.TakeSignIn(r.Context(), key)
	if err != nil {
		return nil, err
	}
	body, err := g.unsealWaiting(s.Body)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(verifier))
	proven := deviceCode != "" && body.Challenge == "" ||
		body.Challenge != "" && subtle.ConstantTimeCompare([]byte(base64.RawURLEncoding.EncodeToString(sum[:])), []byte(body.Challenge)) == 1
	if body.Person == nil || !proven || !s.Ends.After(g.clock()) || !g.sources[body.Source] {
		return nil, fmt.Errorf("fetching a session: %w", ErrNoSignIn)
	}
	return body, nil
}

// cleanCode makes a code of what a person typed.
func cleanCode(typed string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r
		}
		return -1
	}, strings.ToUpper(cut(typed, 40)))
}
