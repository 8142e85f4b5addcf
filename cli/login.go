package cli

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/oauth2"
)

// loginAtMost is how long login waits for the person in the browser.
const loginAtMost = 10 * time.Minute

// loginResult is what the server gives for a sign-in that was confirmed.
type loginResult struct {
	Waiting bool      `json:"waiting"`
	Token   string    `json:"token"`
	Ends    time.Time `json:"ends"`
	Person  struct {
		Name  string `json:"name"`
		Email string `json:"email"`
		Role  string `json:"role"`
	} `json:"person"`
}

func newLogin(s *Streams) *cobra.Command {
	var device, noBrowser bool
	cmd := &cobra.Command{
		Use:   "login",
		Short: "Sign in to a Gatehouse, for the commands that talk to one",
		Long: `Sign in to a Gatehouse as the person that you are in the browser. The address
that is printed opens there, you confirm, and the command line gets a session of
its own. It is kept in sessions.json in your configuration folder, which nobody
else may read, and lasts as long as the server lets sessions last.

On a machine without a browser, --device prints a code that you type into a
browser elsewhere. For scripts, set GATEHOUSE_TOKEN to a token instead.`,
		Example: `  gatehouse login --server https://gatehouse.example.com
  gatehouse login --server https://gatehouse.example.com --device`,
		Args: noArgs,
	}
	connect := addServer(cmd)
	cmd.Flags().BoolVar(&device, "device", false, "sign in with a code, in a browser on another machine")
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "print the address and open no browser")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect()
		if err != nil {
			return err
		}
		c.token = "" // an old one must not stand in the way
		ctx, cancel := context.WithTimeout(cmd.Context(), loginAtMost)
		defer cancel()
		sign := c.loginHere
		if device {
			sign = c.loginElsewhere
		}
		r, err := sign(ctx, s, !noBrowser && isTerminal(s.Err))
		if err != nil {
			if cmd.Context().Err() == nil && errors.Is(err, context.DeadlineExceeded) {
				return withHint(fmt.Errorf("nobody confirmed the sign-in within %v", loginAtMost), "run it again")
			}
			return err
		}
		return c.keep(s, r)
	}
	return cmd
}

// keep keeps a session for later commands.
func (c *client) keep(s *Streams, r *loginResult) error {
	kept, err := readSignIns()
	if err != nil {
		return err
	}
	who := r.Person.Email
	if who == "" {
		who = r.Person.Name
	}
	for server, old := range kept.Sessions {
		if !old.Ends.After(time.Now()) {
			delete(kept.Sessions, server)
		}
	}
	kept.Server = c.server
	kept.Sessions[c.server] = keptSession{Token: r.Token, Person: who, Ends: r.Ends}
	if err := kept.write(); err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "Signed in to %s as %s (%s) until %s.\n", c.server, printable(who), printable(r.Person.Role), r.Ends.Local().Format("Mon 15:04"))
	if os.Getenv("GATEHOUSE_TOKEN") != "" {
		fmt.Fprintln(s.Err, "GATEHOUSE_TOKEN is set and goes before this session.")
	}
	return nil
}

// loginHere has the browser of this machine bring a code to a port that only this
// machine reaches. Whoever sees the code has no use for it without the verifier,
// which never leaves this process but to the server.
func (c *client) loginHere(ctx context.Context, s *Streams, open bool) (*loginResult, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, withHint(fmt.Errorf("listening for the browser: %w", err), "use --device")
	}
	verifier, state := oauth2.GenerateVerifier(), rand.Text()
	name, err := os.Hostname()
	if err != nil {
		name = ""
	}
	answers := make(chan string, 1)
	srv := &http.Server{Handler: callback(state, answers), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(l) // it ends when it is told to; before that the person sees no answer
	}()
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if srv.Shutdown(end) != nil { // the browser's page is not worth waiting for longer
			_ = srv.Close()
		}
		<-served
	}()
	at := c.server + "/login/cli?" + url.Values{
		"challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "port": {strconv.Itoa(l.Addr().(*net.TCPAddr).Port)}, //nolint:forcetypeassert // a TCP listener has no other address.
		"state": {state}, "device": {name},
	}.Encode()
	fmt.Fprintf(s.Err, "To sign in, open this address in a browser on this machine:\n\n  %s\n\n", at)
	if open {
		openBrowser(ctx, at)
	}
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case code := <-answers:
		r := new(loginResult)
		_, err := c.do(ctx, http.MethodPost, "/login/token", map[string]string{"code": code, "verifier": verifier}, r)
		return r, err
	}
}

// callback takes the code that the browser brings. Other pages in the browser may
// knock at the port too; they do not know the state.
func callback(state string, answers chan<- string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		q := r.URL.Query()
		host, _, err := net.SplitHostPort(r.Host)
		switch {
		case r.Method != http.MethodGet || r.URL.Path != "/callback" || err != nil || !isLoopbackHost(host):
			w.WriteHeader(http.StatusNotFound)
		case subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(state)) != 1 || q.Get("code") == "":
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "This is not the answer to the sign-in that waits here.\n")
		default:
			select {
			case answers <- q.Get("code"):
			default: // the first one counts
			}
			_, _ = io.WriteString(w, "The command line is signed in. This page can be closed.\n")
		}
	})
}

// openBrowser tries; the address stands in the terminal too.
func openBrowser(ctx context.Context, at string) {
	var cmd *exec.Cmd
	switch runtime.GOOS {
	case "darwin":
		cmd = exec.CommandContext(ctx, "open", at) //nolint:gosec // the address that was printed, of a server that the person named.
	case "windows":
		cmd = exec.CommandContext(ctx, "rundll32", "url.dll,FileProtocolHandler", at) //nolint:gosec // as above.
	default:
		cmd = exec.CommandContext(ctx, "xdg-open", at) //nolint:gosec // as above.
	}
	_ = cmd.Run()
}

// loginElsewhere shows a code to type into a browser on any machine, and asks until
// somebody has.
func (c *client) loginElsewhere(ctx context.Context, s *Streams, _ bool) (*loginResult, error) {
	name, err := os.Hostname()
	if err != nil {
		name = ""
	}
	var begun struct {
		DeviceCode string  `json:"device_code"`
		Code       string  `json:"code"`
		URL        string  `json:"url"`
		Interval   float64 `json:"interval"`
	}
	if _, err := c.do(ctx, http.MethodPost, "/login/device/start", map[string]string{"device": name}, &begun); err != nil {
		return nil, err
	}
	fmt.Fprintf(s.Err, "To sign in, open %s in a browser and type the code\n\n  %s\n\n", printable(begun.URL), printable(begun.Code))
	wait := time.Duration(min(max(begun.Interval, 0.05), 30) * float64(time.Second))
	tick := time.NewTicker(wait)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
		r := new(loginResult)
		_, err := c.do(ctx, http.MethodPost, "/login/token", map[string]string{"device_code": begun.DeviceCode}, r)
		var refused *apiError
		switch {
		case err == nil && !r.Waiting:
			return r, nil
		// A server that restarts, or a network that is gone for a moment, ends nothing.
		case err != nil && (errors.As(err, &refused) && refused.Status < 500 || ctx.Err() != nil):
			return nil, err
		}
	}
}

func newLogout(s *Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "logout",
		Short: "End the session that login began",
		Args:  noArgs,
	}
	var everywhere bool
	connect := addServer(cmd)
	cmd.Flags().BoolVar(&everywhere, "everywhere", false, "end all of your sessions, those of browsers too")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := connect()
		if err != nil {
			return err
		}
		kept, err := readSignIns()
		if err != nil {
			return err
		}
		session, ok := kept.Sessions[c.server]
		if !ok {
			return withHint(fmt.Errorf("there is no session at %s", c.server), "name the server with --server; gatehouse login begins a session")
		}
		c.token = session.Token
		which := map[string]string{"session": "current"}
		if everywhere {
			which = map[string]string{"reason": "signed out everywhere"}
		}
		// Forgotten here whatever the server says: this machine is to have it no more.
		delete(kept.Sessions, c.server)
		if kept.Server == c.server {
			kept.Server = ""
		}
		if err := kept.write(); err != nil {
			return err
		}
		_, err = c.do(cmd.Context(), http.MethodPost, "/api/v1/sessions/revoke", which, nil)
		var refused *apiError
		switch {
		case err == nil:
			fmt.Fprintf(s.Err, "Signed out of %s.\n", c.server)
			return nil
		case errors.As(err, &refused) && (refused.Status == http.StatusUnauthorized || refused.Status == http.StatusNotFound):
			fmt.Fprintf(s.Err, "The session at %s had ended already.\n", c.server)
			return nil
		default:
			return withHint(fmt.Errorf("the session is forgotten here, but the server was not told: %w", err), "it ends by itself at "+session.Ends.Local().Format(time.RFC1123)+"; a browser that is signed in can end it before")
		}
	}
	return cmd
}
