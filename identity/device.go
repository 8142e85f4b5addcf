package identity

import (
	"crypto/rand"
	"errors"
	"net/http"
	"sync"
	"time"
)

// Codes are typed by hand: eight letters of an alphabet without vowels, so that
// they make no words, and without letters that look like one another.
const (
	codeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	codeLength  = 8
	// wrongAtMost is how many wrong codes a person may type in wrongWithin: with
	// 20^8 codes, guessing one that somebody else waits with is hopeless.
	wrongAtMost = 10
	wrongWithin = 10 * time.Minute
)

func newCode() string {
	out := make([]byte, 0, codeLength)
	for len(out) < codeLength {
		var b [16]byte
		_, _ = rand.Read(b[:]) // never fails
		for _, v := range b {
			// 240 is the largest multiple of 20 in a byte: no letter is likelier.
			if v < 240 && len(out) < codeLength {
				out = append(out, codeLetters[int(v)%len(codeLetters)])
			}
		}
	}
	return string(out)
}

func showCode(code string) string {
	if len(code) != codeLength {
		return code
	}
	return code[:4] + "-" + code[4:]
}

// wrongCodes counts the wrong codes of each person who is signed in.
type wrongCodes struct {
	mu sync.Mutex
	by map[string]wrongCount
}

type wrongCount struct {
	n     int
	since time.Time
}

// tooMany reports whether a person has typed too many.
func (c *wrongCodes) tooMany(person string, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.by[person]
	return now.Sub(v.since) < wrongWithin && v.n >= wrongAtMost
}

func (c *wrongCodes) add(person string, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[string]wrongCount{}
	}
	for p, v := range c.by {
		if now.Sub(v.since) >= wrongWithin {
			delete(c.by, p)
		}
	}
	v := c.by[person]
	if v.n == 0 {
		v.since = now
	}
	v.n++
	c.by[person] = v
}

// deviceStart begins the sign-in of a command line on a machine without a browser.
func (g *Guard) deviceStart(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Device string `json:"device"`
	}
	if !readJSON(w, r, &in) {
		return
	}
	now, secretCode := g.clock(), secret()
	body, err := g.sealWaiting(&waiting{Device: cut(in.Device, 80), Address: addressOf(r), Begun: now})
	if err != nil {
		g.unavailable(w, r, err)
		return
	}
	s := &SignIn{Key: keyOf(secretCode), Code: newCode(), Ends: now.Add(deviceLife), Body: body}
	err = g.store.BeginSignIn(r.Context(), s, now)
	switch {
	case errors.Is(err, ErrTooMany), errors.Is(err, ErrConflict):
		problem(w, http.StatusTooManyRequests, "too many sign-ins are under way; try again in some minutes")
		return
	case err != nil:
		g.unavailable(w, r, err)
		return
	}
	answerJSON(w, http.StatusOK, map[string]any{
		"device_code": secretCode, "code": showCode(s.Code), "url": g.base(r) + devicePath, "interval": devicePoll.Seconds(), "ends": s.Ends.UTC(),
	})
}

func codeQuestion(wrong string) Question {
	return Question{
		Title: "Sign in a command line", Wrong: wrong,
		Lines: []string{"Type the code that gatehouse login shows in your terminal. Never type a code that somebody else gave you: their command line would act as you."},
		Input: "code", InputLabel: "Code", Action: devicePath, Button: "Go on",
	}
}

func (g *Guard) deviceAsk(w http.ResponseWriter, r *http.Request, _ *Session) {
	g.writeAsk(w, r, http.StatusOK, codeQuestion(""))
}

// deviceConfirm shows whose code it is, and with a yes confirms it.
func (g *Guard) deviceConfirm(w http.ResponseWriter, r *http.Request, s *Session) {
	form, now, person := formOf(r), g.clock(), s.Person.ID
	if g.wrong.tooMany(person, now) {
		g.writeAsk(w, r, http.StatusTooManyRequests, Question{Title: "Too many wrong codes", Lines: []string{"Try again in ten minutes."}})
		return
	}
	code := cleanCode(form.Get("code"))
	waits, err := g.store.SignInByCode(r.Context(), code)
	if err != nil && !errors.Is(err, ErrNoSignIn) {
		g.unavailable(w, r, err)
		return
	}
	var body *waiting
	if err == nil && waits.Ends.After(now) {
		body, err = g.unsealWaiting(waits.Body)
	}
	if err != nil || body == nil || body.Person != nil {
		g.wrong.add(person, now)
		g.writeAsk(w, r, http.StatusNotFound, codeQuestion("No command line waits with this code. It may have ended: a code is good for ten minutes, and once."))
		return
	}
	if form.Get("yes") != "1" {
		p := FromContext(r.Context())
		g.writeAsk(w, r, http.StatusOK, Question{
			Title: "Sign in this command line?",
			Lines: []string{"Go on only if you ran gatehouse login there yourself, just now: it will act as you."},
			Facts: []Fact{
				{"Machine", body.Device},
				{"Network address", body.Address},
				{"Begun", body.Begun.UTC().Format("2006-01-02 15:04:05 UTC")},
				{"Signed in as", nameAndEmail(p)},
				{"Role", p.Role.String()},
			},
			Action: devicePath, Hidden: []Fact{{"code", showCode(code)}, {"yes", "1"}}, Button: "Sign in the command line",
			GoOn: "/", GoOnText: "Cancel",
		})
		return
	}
	g.confirmed(w, r, s, &cliFlow{Key: waits.Key, Device: body.Device})
}

// finishDevice leaves the session with the sign-in that its command line asks for.
func (g *Guard) finishDevice(w http.ResponseWriter, r *http.Request, c *cliFlow, body *waiting) {
	s, err := g.store.SignInByKey(r.Context(), c.Key)
	if err != nil {
		g.signInTrouble(w, r, err)
		return
	}
	before, err := g.unsealWaiting(s.Body)
	switch {
	case err != nil:
		g.signInTrouble(w, r, ErrNoSignIn)
		return
	case before.Person != nil, !s.Ends.After(g.clock()):
		g.signInTrouble(w, r, ErrConflict)
		return
	}
	if s.Body, err = g.sealWaiting(body); err == nil {
		s.Ends = g.clock().Add(codeLife)
		err = g.store.SaveSignIn(r.Context(), s)
	}
	if err != nil {
		g.signInTrouble(w, r, err)
		return
	}
	g.writeAsk(w, r, http.StatusOK, Question{Title: "The command line is signed in", Lines: []string{"Go back to your terminal; this page can be closed."}})
}
