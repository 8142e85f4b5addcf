package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/mail"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// DefaultMaxPeople is how many people an answer may name.
	DefaultMaxPeople = 20
	// onCallFor is how long an answer is believed, and onCallFailedFor how long a
	// failure is.
	onCallFor       = 30 * time.Second
	onCallFailedFor = 5 * time.Second
	// maxSchedules bounds the memory for answers.
	maxSchedules = 1000
	maxSchedule  = 200
)

// ErrSchedule is returned for a schedule without a name or with one that is too
// long.
var ErrSchedule = errors.New("a schedule must have a name of at most 200 characters")

// OnCallOptions are what an OnCall is made of. URL and Secret are needed.
type OnCallOptions struct {
	// URL is asked with GET and the parameter schedule.
	URL string
	// Secret gives the bearer token. It is asked before each request.
	Secret    func() (string, error)
	CAFile    string
	Timeout   time.Duration    // 0: 5 seconds
	MaxPeople int              // 0: DefaultMaxPeople
	Logger    *slog.Logger     // nil: silent
	Now       func() time.Time // nil: time.Now
}

// OnCall asks an address who is on call. Whatever goes wrong, nobody is: a
// schedule that cannot be read must not let everybody in. It is safe for
// concurrent use.
type OnCall struct {
	url    *url.URL
	secret func() (string, error)
	client *http.Client
	most   int
	log    *slog.Logger
	now    func() time.Time

	mu      sync.Mutex
	answers map[string]*answer
	down    map[string]bool // schedules whose outage was reported
}

// answer is what is known of a schedule.
type answer struct {
	ready  chan struct{} // closed when the rest is set
	people []string
	err    error
	until  time.Time
}

// NewOnCall makes an OnCall. It connects to nothing.
func NewOnCall(o OnCallOptions) (*OnCall, error) {
	u, err := parseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("on call: the URL: %w", err)
	}
	if o.Secret == nil {
		return nil, errors.New("on call: no bearer token")
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	if o.MaxPeople <= 0 {
		o.MaxPeople = DefaultMaxPeople
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &OnCall{url: u, secret: o.Secret, most: o.MaxPeople, log: o.Logger, now: o.Now, answers: map[string]*answer{}, down: map[string]bool{}}
	if c.client, err = newClient(u, o.CAFile, o.Timeout); err != nil {
		return nil, fmt.Errorf("on call: %w", err)
	}
	return c, nil
}

// People gives the e-mail addresses of those who are on call. With an error there
// are none. An answer is used for 30 seconds; those who ask for the same schedule
// at the same time share one request.
func (c *OnCall) People(ctx context.Context, schedule string) ([]string, error) {
	if schedule == "" || len(schedule) > maxSchedule {
		return nil, ErrSchedule
	}
	c.mu.Lock()
	a := c.answers[schedule]
	if a != nil && isReady(a) && !c.now().Before(a.until) {
		a = nil
	}
	if a == nil {
		c.room()
		a = &answer{ready: make(chan struct{})}
		c.answers[schedule] = a
		c.mu.Unlock()
		// Others wait for this answer, so it does not end with the first who asked;
		// the client's timeout bounds it.
		c.fill(context.WithoutCancel(ctx), schedule, a)
	} else {
		c.mu.Unlock()
	}
	select {
	case <-a.ready:
		return slices.Clone(a.people), a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("asking who is on call: %w", ctx.Err())
	}
}

func isReady(a *answer) bool {
	select {
	case <-a.ready:
		return true
	default:
		return false
	}
}

// room forgets old answers. The caller holds the lock.
func (c *OnCall) room() {
	if len(c.answers) < maxSchedules {
		return
	}
	for k, a := range c.answers {
		if isReady(a) {
			delete(c.answers, k)
			delete(c.down, k)
		}
	}
}

// fill asks, and reports an outage once, and its end.
func (c *OnCall) fill(ctx context.Context, schedule string, a *answer) {
	a.people, a.err = c.ask(ctx, schedule)
	good := onCallFor
	if a.err != nil {
		a.people, a.err = nil, fmt.Errorf("asking who is on call for %q: %w", schedule, a.err)
		good = onCallFailedFor
	}
	a.until = c.now().Add(good)
	c.mu.Lock()
	was := c.down[schedule]
	if a.err != nil {
		c.down[schedule] = true
	} else {
		delete(c.down, schedule)
	}
	c.mu.Unlock()
	close(a.ready)
	switch {
	case a.err != nil && !was:
		c.log.ErrorContext(ctx, "who is on call cannot be found out: nobody counts as on call until it can", slog.Any("error", a.err))
	case a.err == nil && was:
		c.log.InfoContext(ctx, "who is on call can be found out again", slog.String("schedule", schedule))
	}
}

func (c *OnCall) ask(ctx context.Context, schedule string) ([]string, error) {
	secret, err := c.secret()
	if err != nil {
		return nil, fmt.Errorf("reading the bearer token: %w", err)
	}
	u := *c.url
	q := u.Query()
	q.Set("schedule", schedule)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errors.New("the URL cannot be used")
	}
	req.Header = http.Header{"Authorization": {"Bearer " + secret}, "Accept": {"application/json"}, "User-Agent": {"Gatehouse"}}
	resp, err := c.client.Do(req)
	if err != nil {
		return nil, bare(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		_, _ = io.CopyN(io.Discard, resp.Body, maxAnswer)
		return nil, fmt.Errorf("the answer is %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", bare(err))
	}
	if len(b) > maxAnswer {
		return nil, errors.New("the answer is too long")
	}
	return c.read(b)
}

// read takes an answer whole or not at all: half of a schedule may be the wrong
// half.
func (c *OnCall) read(b []byte) ([]string, error) {
	var said struct {
		People *[]string `json:"people"`
	}
	if err := json.Unmarshal(b, &said); err != nil || said.People == nil {
		return nil, errors.New(`the answer is not of the form {"people": ["alice@example.com"]}`)
	}
	var out []string
	for _, p := range *said.People {
		p = strings.TrimSpace(p)
		if a, err := mail.ParseAddress(p); err != nil || a.Address != p || a.Name != "" {
			return nil, errors.New("the answer has something that is no e-mail address")
		}
		if !slices.ContainsFunc(out, func(o string) bool { return strings.EqualFold(o, p) }) {
			out = append(out, p)
		}
	}
	if len(out) > c.most {
		return nil, fmt.Errorf("the answer names %d people, more than the %d that notify_oncall_max_people allows", len(out), c.most)
	}
	return out, nil
}
