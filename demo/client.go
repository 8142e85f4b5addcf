package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/gatehouse-project/gatehouse/gateway"
	"github.com/gatehouse-project/gatehouse/sigv4"
)

// client is someone who calls: from an address, with a program, and with what
// proves who it is.
type client struct {
	agent     string
	transport *http.Transport
	// sessions sign its calls; nil: they are not signed.
	sessions aws.CredentialsProvider
	// authorization is the Authorization header of calls that are not signed; nil:
	// none.
	authorization func(at time.Time) (string, error)
	apiKey        string
}

// visit is a call that a client is to make.
type visit struct {
	who    *client
	api    *gateway.API
	stage  string
	method string
	path   string // without the stage
	query  url.Values
	body   string
	// unrouted: there is no such resource, so that only an access log tells of it.
	unrouted bool
}

func hostOf(a *gateway.API) string { return a.ID + ".execute-api." + a.Region + ".amazonaws.com" }

// pathOf is the path on the wire: that of $default has no stage.
func pathOf(stage, path string) string {
	if stage == "$default" {
		return path
	}
	return "/" + stage + path
}

// call makes the call at a time and returns the status of the answer.
func (c *client) call(ctx context.Context, v *visit, at time.Time) (int, error) {
	u := "http://" + hostOf(v.api) + pathOf(v.stage, v.path)
	if len(v.query) > 0 {
		u += "?" + v.query.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, v.method, u, strings.NewReader(v.body))
	if err != nil {
		return 0, fmt.Errorf("calling %s: %w", v.api.Name, err)
	}
	r.Header.Set("User-Agent", c.agent)
	r.Header.Set("Accept", "application/json, text/plain, */*")
	if v.body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.apiKey != "" {
		r.Header.Set("X-Api-Key", c.apiKey)
	}
	if c.authorization != nil {
		value, err := c.authorization(at)
		if err != nil {
			return 0, err
		}
		r.Header.Set("Authorization", value)
	}
	if c.sessions != nil {
		if err := c.sign(r, v, at); err != nil {
			return 0, err
		}
	}
	resp, err := c.transport.RoundTrip(r)
	if err != nil {
		return 0, fmt.Errorf("calling %s: %w", v.api.Name, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return 0, fmt.Errorf("reading the answer of %s: %w", v.api.Name, err)
	}
	return resp.StatusCode, nil
}

// sign signs a call with the client's session as it is now.
func (c *client) sign(r *http.Request, v *visit, at time.Time) error {
	s, err := c.sessions.Retrieve(r.Context())
	if err != nil {
		return fmt.Errorf("taking a session to call %s with: %w", v.api.Name, err)
	}
	signer := sigv4.Signer{
		Credentials: sigv4.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey, SessionToken: s.SessionToken},
		Service:     "execute-api", Region: v.api.Region, PayloadHash: sigv4.PayloadHash([]byte(v.body)),
	}
	if _, err := signer.Sign(r, at); err != nil {
		return fmt.Errorf("signing a call to %s: %w", v.api.Name, err)
	}
	return nil
}

// customerToken gives a customer's Authorization header: a token of the issuer,
// and a new one before it ends.
func customerToken(i *issuer, subject string) func(time.Time) (string, error) {
	var mu sync.Mutex
	var token string
	var until time.Time
	return func(at time.Time) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if at.After(until) {
			text, err := i.token(subject, at)
			if err != nil {
				return "", err
			}
			token, until = "Bearer "+text, at.Add(tokenLife-time.Minute)
		}
		return token, nil
	}
}

// fixed is an Authorization header that never changes.
func fixed(value string) func(time.Time) (string, error) {
	return func(time.Time) (string, error) { return value, nil }
}
