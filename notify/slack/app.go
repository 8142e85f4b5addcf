package slack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	api "github.com/slack-go/slack"

	"github.com/gatehouse-project/gatehouse/notify"
)

const (
	// DefaultAPI is where Slack's methods are; GovSlack has an address of its own.
	DefaultAPI = "https://slack.com/api/"

	// maxAnswer bounds what is read of an answer of Slack.
	maxAnswer = 1 << 20
	// callTimeout bounds one call of Slack.
	callTimeout = 10 * time.Second
)

// Options are what an App is made of.
type Options struct {
	// Token gives the bot token (xoxb-…). It is asked before each call, so that a
	// token in a file can be changed while Gatehouse runs.
	Token func() (string, error)
	// API is the base URL of Slack's methods; empty: DefaultAPI.
	API string
	// Interactive says that Interactions take what people click. Without it buttons
	// lead to pages.
	Interactive bool
	// Transport carries the calls; nil: http.DefaultTransport, which honours the
	// proxy variables.
	Transport http.RoundTripper
	Logger    *slog.Logger     // nil: silent
	Now       func() time.Time // nil: time.Now
}

// App is Gatehouse's app in one Slack workspace. It is safe for concurrent use.
type App struct {
	token  func() (string, error)
	base   string
	http   *http.Client
	log    *slog.Logger
	now    func() time.Time
	people people

	interactive bool

	mu   sync.Mutex
	self *workspace // nil until Slack was asked
}

var _ notify.Sender = (*App)(nil)

// workspace is where the app is installed.
type workspace struct{ team, enterprise string }

// New makes an App. It does not call Slack.
func New(o Options) (*App, error) {
	if o.Token == nil {
		return nil, errors.New("slack: no bot token")
	}
	if o.API == "" {
		o.API = DefaultAPI
	}
	u, err := url.Parse(o.API)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return nil, errors.New("slack: the address of Slack's API must be an https URL such as " + DefaultAPI)
	}
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &App{
		token: o.Token, base: strings.TrimSuffix(u.String(), "/") + "/", log: o.Logger, now: o.Now,
		http: &http.Client{
			Transport: bounded{o.Transport}, Timeout: callTimeout,
			// A redirect would take the token elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		people: people{now: o.Now}, interactive: o.Interactive,
	}, nil
}

func isLoopback(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

// bounded is a transport whose answers end after maxAnswer bytes.
type bounded struct{ http.RoundTripper }

// RoundTrip cuts the answer off.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// silent is a log for the library, whose lines may hold what was sent.
type silent struct{}

// Output throws a line away.
func (silent) Output(int, string) error { return nil }

// call does something with Slack. Errors are *notify.Error and free of secrets.
func (a *App) call(ctx context.Context, doing string, f func(context.Context, *api.Client) error) error {
	token, err := a.token()
	if err != nil {
		return &notify.Error{Channel: notify.Slack, Class: notify.Misconfigured, Err: fmt.Errorf("reading the bot token: %w", err), Hint: "give notify_slack_token or notify_slack_token_file"}
	}
	c := api.New(token, api.OptionHTTPClient(a.http), api.OptionAPIURL(a.base), api.OptionLog(silent{}))
	err = f(ctx, c)
	if err == nil {
		return nil
	}
	return failure(doing, err, token)
}

// workspace asks once where the app is installed.
func (a *App) workspace(ctx context.Context) (workspace, error) {
	a.mu.Lock()
	self := a.self
	a.mu.Unlock()
	if self != nil {
		return *self, nil
	}
	err := a.call(ctx, "asking for the workspace", func(ctx context.Context, c *api.Client) error {
		r, err := c.AuthTestContext(ctx)
		if err != nil {
			return err
		}
		if r.TeamID == "" {
			return errors.New("the answer names no workspace")
		}
		self = &workspace{team: r.TeamID, enterprise: r.EnterpriseID}
		return nil
	})
	if err != nil {
		return workspace{}, err
	}
	a.mu.Lock()
	a.self = self
	a.mu.Unlock()
	return *self, nil
}
