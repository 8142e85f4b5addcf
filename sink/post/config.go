package post

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/sink/trust"
)

// The defaults of Config.
const (
	DefaultBatchCount = 1000
	DefaultBatchBytes = 1 << 20
	DefaultTimeout    = 30 * time.Second
	DefaultBackoff    = 500 * time.Millisecond

	// maxBatchBytes bounds what is built in memory at once, beside one larger
	// call.
	maxBatchBytes = 64 << 20
	// minBatchBytes is as low as the sink goes on its own.
	minBatchBytes = 16 << 10
	// maxBackoff and maxRetryAfter bound the wait after failures in a row, and
	// what the endpoint may ask for.
	maxBackoff    = time.Minute
	maxRetryAfter = 10 * time.Minute
)

// Config says where a Sink sends and how. Kind, URL and Form are needed.
type Config struct {
	// Kind names the sink in errors: https, otlp.
	Kind string
	// URL is the endpoint. Its query is sent, and shown nowhere.
	URL  *url.URL
	Form Form

	// A request has at most BatchCount transactions and BatchBytes bytes before
	// compression; one larger transaction goes alone.
	BatchCount int
	BatchBytes int
	// Timeout bounds one request, from connecting to the end of the answer.
	Timeout time.Duration
	// Backoff is the wait after a failure; it doubles with each in a row, up to
	// a minute, and has jitter.
	Backoff time.Duration
	// Plain sends bodies without gzip.
	Plain bool
	// Plaintext allows http:// to other machines.
	Plaintext bool

	// Trust names the files for TLS.
	Trust trust.Files

	// Header is sent with each request; its values are secrets.
	Header map[string]string
	// Credentials get a token; nil sends none.
	Credentials *Credentials
	// DeadLetters take what the endpoint refuses for good. Nil: the sink waits
	// with such a call instead.
	DeadLetters deadletter.Box

	Logger  *slog.Logger          // nil: silent
	Metrics prometheus.Registerer // nil: off
	Now     func() time.Time      // nil: time.Now
}

// Credentials are those of the OAuth 2.0 client credentials grant (RFC 6749,
// section 4.4).
type Credentials struct {
	TokenURL string
	ClientID string
	// Secret is asked before each token request, so that a secret in a file can
	// be changed while Gatehouse runs.
	Secret func() (string, error)
	Scopes []string
}

// Options are the keys of a URL that SetOption understands.
const Options = "batch_count, batch_bytes, timeout, compression, plaintext, ca_file, cert_file, key_file, server_name"

// SetOption sets what a key of the sink's URL says. It reports whether the key
// is known.
func (c *Config) SetOption(key, value string) (known bool, err error) {
	switch key {
	case "batch_count":
		c.BatchCount, err = positive(value)
	case "batch_bytes":
		c.BatchBytes, err = positive(value)
	case "timeout":
		c.Timeout, err = time.ParseDuration(value)
		if err != nil || c.Timeout <= 0 {
			err = fmt.Errorf("%q is not a positive time such as 10s", value)
		}
	case "compression":
		if value != "gzip" && value != "none" {
			err = fmt.Errorf("%q is neither gzip nor none", value)
		}
		c.Plain = value == "none"
	case "plaintext":
		if c.Plaintext, err = strconv.ParseBool(value); err != nil {
			err = fmt.Errorf("%q is neither true nor false", value)
		}
	default:
		return c.Trust.Set(key, value), nil
	}
	return true, err
}

func positive(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n <= 0 {
		return 0, fmt.Errorf("%q is not a positive number", s)
	}
	return n, nil
}

// Parse reads a sink's URL and gives each option to set. The URL that it
// returns has no query. Errors repeat no value of an option and no credentials.
func Parse(kind, raw string, set func(key, value string) error) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		// The error of package url repeats the text, which may hold a secret.
		if parse, ok := errors.AsType[*url.Error](err); ok {
			err = parse.Err
		}
		if strings.Contains(raw, "@") {
			err = errors.New("it is not a URL")
		}
		return nil, fmt.Errorf("%s sink: reading the URL: %w", kind, err)
	}
	switch {
	case u.User != nil:
		return nil, fmt.Errorf("%s sink: no credentials in the URL, which ends up in process lists: use the settings", kind)
	case u.Host == "" || u.Hostname() == "" || u.Opaque != "":
		return nil, fmt.Errorf("%s sink: no host: write %s://host/path", kind, u.Scheme)
	case u.Fragment != "":
		return nil, fmt.Errorf("%s sink: nothing may follow a # in the URL", kind)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, fmt.Errorf("%s sink: the options of the URL cannot be read", kind)
	}
	for key, values := range query {
		if len(values) != 1 || values[0] == "" {
			return nil, fmt.Errorf("%s sink: option %s must be given once, with a value", kind, key)
		}
		if err := set(key, values[0]); err != nil {
			return nil, fmt.Errorf("%s sink: option %s: %w", kind, key, err)
		}
	}
	u.RawQuery, u.ForceQuery = "", false
	return u, nil
}

// Name is what a sink of this Config is called: the endpoint without its query.
func (c *Config) Name() string {
	return c.URL.Scheme + "://" + c.URL.Host + c.URL.EscapedPath()
}

// validate checks c and fills in its defaults.
func (c *Config) validate() error {
	if c.URL == nil || c.Form == nil || c.Kind == "" {
		return errors.New("no kind, URL or form")
	}
	if err := checkScheme(c.URL, c.Plaintext); err != nil {
		return err
	}
	if c.BatchCount == 0 {
		c.BatchCount = DefaultBatchCount
	}
	if c.BatchBytes == 0 {
		c.BatchBytes = DefaultBatchBytes
	}
	if c.BatchCount < 0 || c.BatchBytes < 0 || c.BatchBytes > maxBatchBytes {
		return fmt.Errorf("batch_count must be positive, and batch_bytes from 1 to %d", maxBatchBytes)
	}
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Backoff <= 0 {
		c.Backoff = DefaultBackoff
	}
	for name, value := range c.Header {
		if !validHeader(name, value) {
			return fmt.Errorf("header %q: it is no name, or its value has characters that a header cannot have", name)
		}
	}
	if cr := c.Credentials; cr != nil {
		u, err := url.Parse(cr.TokenURL)
		if err != nil || u.Host == "" || u.User != nil {
			return errors.New("the token URL must be an absolute URL without credentials")
		}
		if err := checkScheme(u, c.Plaintext); err != nil {
			return fmt.Errorf("token URL: %w", err)
		}
		if cr.ClientID == "" || cr.Secret == nil {
			return errors.New("a client id and a client secret are needed to get a token")
		}
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return nil
}

// checkScheme allows http:// on this machine alone, unless told: what is sent
// says who calls which API, and the token opens the endpoint to everyone who
// reads it on the way.
func checkScheme(u *url.URL, plaintext bool) error {
	switch u.Scheme {
	case "https":
		return nil
	case "http":
		ip := net.ParseIP(u.Hostname())
		if plaintext || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
			return nil
		}
		return fmt.Errorf("the way to %s is not encrypted: use TLS (https://, otlps://), or add plaintext=true if that way is safe", u.Host)
	default:
		return fmt.Errorf("scheme %q is neither https nor http", u.Scheme)
	}
}

// headerCharacters are those that a header's name may have.
const headerCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.!#$%&'*+^`|~"

func validHeader(name, value string) bool {
	if name == "" || strings.Trim(name, headerCharacters) != "" {
		return false
	}
	switch http.CanonicalHeaderKey(name) {
	case "Content-Type", "Content-Encoding", "Content-Length", "Transfer-Encoding", "Host", "Connection":
		return false
	}
	return !strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
