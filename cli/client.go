package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-project/gatehouse/config"
)

const (
	// clientTimeout bounds a call of the HTTP API, its answer included.
	clientTimeout = 60 * time.Second
	// maxReply bounds an answer, in bytes.
	maxReply = 64 << 20
)

// client calls the HTTP API of a running Gatehouse as the person who is signed
// in. Its errors are fit to be shown: they say what the server said, and hint at
// how to mend it.
type client struct {
	server string // "https://gatehouse.example.com", without a slash at the end
	token  string // empty: nobody is signed in
	http   *http.Client
}

// addServer gives cmd the flag --server. The returned function makes the client
// for it.
func addServer(cmd *cobra.Command) func() (*client, error) {
	server := cmd.Flags().String("server", "", "address of the Gatehouse to talk to; also GATEHOUSE_SERVER (default: where 'gatehouse login' signed in last, else http://"+config.DefaultListen+")")
	return func() (*client, error) { return newClient(*server) }
}

// newClient makes a client for a server's address. An empty address means
// GATEHOUSE_SERVER, else the server that was signed in to last, else this
// machine's. The token is GATEHOUSE_TOKEN, else the one that login kept for the
// server.
func newClient(server string) (*client, error) {
	kept, err := readSignIns()
	if err != nil {
		return nil, err
	}
	if server == "" {
		server = os.Getenv("GATEHOUSE_SERVER")
	}
	if server == "" {
		server = kept.Server
	}
	if server == "" {
		server = "http://" + config.DefaultListen
	}
	if server, err = serverAddress(server); err != nil {
		return nil, err
	}
	c := &client{server: server, token: os.Getenv("GATEHOUSE_TOKEN"), http: &http.Client{
		Timeout: clientTimeout,
		// The API redirects nowhere. Following would show the token's owner an
		// answer of somebody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if c.token == "" {
		c.token = kept.Sessions[server].Token
	}
	return c, nil
}

// serverAddress reads a server's address. Plain HTTP is for this machine alone:
// elsewhere everybody on the way could read the token.
func serverAddress(text string) (string, error) {
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return "", withHint(usagef("%q is not the address of a server", text), "give it as https://gatehouse.example.com")
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	switch {
	case u.Scheme == "https":
	case u.Scheme == "http" && isLoopbackHost(u.Hostname()):
	case u.Scheme == "http":
		return "", withHint(usagef("refusing to talk to %s without TLS: anybody on the way could read the token", u.Host), "use https://"+u.Host)
	default:
		return "", withHint(usagef("%q is not the address of a server", text), "give it as https://gatehouse.example.com")
	}
	return u.Scheme + "://" + u.Host, nil
}

func isLoopbackHost(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// do calls the API: path is below the server ("/api/v1/me"), in is sent as JSON
// unless nil, and the answer's JSON is read into out unless nil. Headers are
// pairs of name and value. It returns the answer's headers, of which ETag is what
// changes ask for. An answer of 400 and above is an *apiError.
func (c *client) do(ctx context.Context, method, path string, in, out any, headers ...string) (http.Header, error) {
	var body io.Reader = http.NoBody
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("writing the request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.server+path, body)
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "gatehouse")
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxReply+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", c.server, err)
	}
	if len(b) > maxReply {
		return nil, fmt.Errorf("the answer of %s is larger than %d bytes", c.server, maxReply)
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case res.StatusCode >= 400:
		return nil, c.refusal(res.StatusCode, kind, b)
	case res.StatusCode >= 300:
		return nil, withHint(fmt.Errorf("%s sends elsewhere (%s): it is not the address of a Gatehouse", c.server, res.Status), "give the address that the server has as public_url with --server")
	case out == nil:
		return res.Header, nil
	case kind != "application/json":
		return nil, withHint(fmt.Errorf("%s does not answer as a Gatehouse does", c.server), "is --server or GATEHOUSE_SERVER the right address?")
	}
	if err := json.Unmarshal(b, out); err != nil {
		return nil, fmt.Errorf("reading the answer of %s: %w", c.server, err)
	}
	return res.Header, nil
}

// unreachable is the error of a call that got no answer. Go's own holds the whole
// URL, in which a query may be private.
func (c *client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	hint := "is --server or GATEHOUSE_SERVER the right address, and is it up?"
	if _, ok := errors.AsType[*net.OpError](err); ok && strings.HasPrefix(c.server, "http://") {
		hint = "start 'gatehouse serve' on this machine, or name another server with --server or GATEHOUSE_SERVER"
	}
	return withHint(fmt.Errorf("reaching %s: %w", c.server, err), hint)
}

// apiError is what the server refused (RFC 9457).
type apiError struct {
	// Status is the HTTP status; Detail is what the server said.
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	// Errors are the mistakes in the request, one a place.
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
	signedIn bool
	server   string
}

// Error is the server's own text, without anything that could command a
// terminal.
func (e *apiError) Error() string {
	text := e.Detail
	if text == "" {
		text = e.Title
	}
	if text == "" {
		text = http.StatusText(e.Status)
	}
	for _, m := range e.Errors {
		if m.Message == "" || strings.Contains(text, m.Message) {
			continue
		}
		text += "; "
		if place := strings.TrimPrefix(m.Location, "body."); place != "" && place != "body" {
			text += place + ": "
		}
		if most, ok := strings.CutPrefix(m.Message, "expected length <= "); ok {
			text += "it has more than " + most + " characters"
			continue
		}
		text += m.Message
	}
	return printable(text)
}

// Mend says what the person can do about it.
func (e *apiError) Mend() string {
	switch {
	case e.Status == http.StatusUnauthorized && e.signedIn:
		return "the session has ended or the token is not right: run 'gatehouse login --server " + e.server + "'"
	case e.Status == http.StatusUnauthorized:
		return "run 'gatehouse login --server " + e.server + "', or set GATEHOUSE_TOKEN"
	case e.Status == http.StatusMisdirectedRequest:
		return "use the address that the server has as public_url"
	case e.Status == http.StatusTooManyRequests, e.Status == http.StatusServiceUnavailable:
		return "try again in a moment"
	default:
		return ""
	}
}

func (c *client) refusal(status int, kind string, body []byte) error {
	e := &apiError{}
	if kind == "application/problem+json" || kind == "application/json" {
		_ = json.Unmarshal(body, e) // what cannot be read leaves the status' own text
	}
	e.Status, e.signedIn, e.server = status, c.token != "", c.server
	return e
}
