package post

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// earliest is how long before its end a token is renewed at most; a short-lived
// one is renewed when a tenth of its life is left.
const earliest = time.Minute

// tokens keeps a token and renews it. It is safe for concurrent use; one request
// for a token is made at a time, and those who wait get what it brings.
type tokens struct {
	credentials Credentials
	client      *http.Client
	now         func() time.Time
	asked       func() // counts requests for a token

	turn chan struct{} // capacity 1: held by who renews

	mu    sync.Mutex
	oauth clientcredentials.Config // remembers how the endpoint wants the secret; guarded by turn
	token string
	until time.Time // when token is renewed; zero: when it is refused
	// The last ones used, to keep them out of messages.
	lastToken, lastSecret string
}

func newTokens(c Credentials, client *http.Client, now func() time.Time, asked func()) *tokens {
	return &tokens{
		credentials: c, client: client, now: now, asked: asked, turn: make(chan struct{}, 1),
		oauth: clientcredentials.Config{ClientID: c.ClientID, TokenURL: c.TokenURL, Scopes: c.Scopes},
	}
}

// get returns a token that is good for now.
func (t *tokens) get(ctx context.Context) (string, error) {
	if token := t.current(); token != "" {
		return token, nil
	}
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { <-t.turn }()
	if token := t.current(); token != "" { // somebody else renewed it meanwhile
		return token, nil
	}
	return t.renew(ctx)
}

func (t *tokens) current() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != "" && (t.until.IsZero() || t.now().Before(t.until)) {
		return t.token
	}
	return ""
}

// drop forgets a token that was refused, unless it was replaced already.
func (t *tokens) drop(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token = ""
	}
}

// secrets are what must not be in a message.
func (t *tokens) secrets() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return []string{t.lastToken, t.lastSecret}
}

func (t *tokens) renew(ctx context.Context) (string, error) {
	secret, err := t.credentials.Secret()
	if err != nil {
		return "", &tokenError{class: Misconfigured, err: err, mend: "give the client secret, in a setting or a file"}
	}
	t.mu.Lock()
	t.lastSecret = secret
	t.mu.Unlock()
	t.oauth.ClientSecret = secret
	t.asked()
	asked := t.now()
	got, err := t.oauth.Token(context.WithValue(ctx, oauth2.HTTPClient, t.client))
	if err != nil {
		return "", tokenFailure(ctx, err)
	}
	if got.AccessToken == "" {
		return "", &tokenError{class: Misconfigured, err: errors.New("the answer has no access_token"), mend: "check the token URL"}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token, t.lastToken, t.until = got.AccessToken, got.AccessToken, time.Time{}
	if life := time.Until(got.Expiry); life > 0 {
		t.until = asked.Add(life - min(life/10, earliest))
	}
	return t.token, nil
}

// tokenError is a failure to get a token.
type tokenError struct {
	class Class
	err   error
	mend  string
	after time.Duration // what Retry-After asked for
}

func (e *tokenError) Error() string { return "getting a token: " + e.err.Error() }
func (e *tokenError) Unwrap() error { return e.err }

// tokenFailure keeps of the endpoint's answer its status and its error code,
// which RFC 6749 restricts; a description may quote what was sent.
func tokenFailure(ctx context.Context, err error) error {
	refusal, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		class, mend := classify(err)
		return &tokenError{class: class, err: bare(err), mend: mend}
	}
	status := refusal.Response.StatusCode
	text := fmt.Sprintf("status %d", status)
	if isErrorCode(refusal.ErrorCode) {
		text += " " + refusal.ErrorCode
	}
	e := &tokenError{class: Later, err: errors.New(text), after: retryAfter(refusal.Response.Header, time.Now())}
	if status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout {
		e.class, e.mend = Misconfigured, "check the token URL, the client id and the client secret"
	}
	return e
}

func isErrorCode(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}
