package post

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// DeliveryError says how much of a batch is not through, and why.
type DeliveryError struct {
	Sink   string // its name
	Class  Class
	Status int // of the answer; 0 if there was none
	Open   int // transactions of the batch that are neither accepted nor dead letters
	Total  int
	Err    error

	mend string
}

// Error names the sink, the count and the cause.
func (e *DeliveryError) Error() string {
	return fmt.Sprintf("delivering to %s: %d of %d transactions not accepted: %v", e.Sink, e.Open, e.Total, e.Err)
}

// Unwrap returns the cause.
func (e *DeliveryError) Unwrap() error { return e.Err }

// Mend says what a person can do; empty if waiting is all.
func (e *DeliveryError) Mend() string { return e.mend }

// statusError is an answer that is no success.
type statusError struct {
	status int
	text   string // what the endpoint said, freed of secrets
	after  time.Duration
}

func (e *statusError) Error() string {
	s := fmt.Sprintf("the endpoint answered %d %s", e.status, http.StatusText(e.status))
	if e.text != "" {
		s += ": " + e.text
	}
	return s
}

// errTooLong is an answer that is larger than any that makes sense.
var errTooLong = errors.New("the answer is longer than the request and 1 MiB")

// classify decides what a failure to get an answer asks for.
func classify(err error) (Class, string) {
	var (
		dns       *net.DNSError
		unknownCA x509.UnknownAuthorityError
		hostname  x509.HostnameError
		record    tls.RecordHeaderError
		verify    *tls.CertificateVerificationError
		alert     *net.OpError
		token     *tokenError
		slow      interface{ Timeout() bool }
	)
	switch {
	case errors.As(err, &token):
		return token.class, token.mend
	case errors.Is(err, context.Canceled):
		return Stopped, ""
	case errors.As(err, &unknownCA), errors.As(err, &hostname), errors.As(err, &verify):
		return Misconfigured, "give the endpoint's certificate authority with ca_file=, or use the name in its certificate"
	case errors.As(err, &record):
		return Misconfigured, "the endpoint does not speak TLS on this port"
	case errors.As(err, &alert) && alert.Op == "remote error": // a TLS alert
		return Misconfigured, "the endpoint refuses this client's TLS: it may ask for a certificate, cert_file= and key_file="
	case errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission):
		return Misconfigured, "let Gatehouse read the files that the sink names"
	case errors.Is(err, errTooLong):
		return Misconfigured, "check that the URL is that of an ingestion endpoint"
	case errors.As(err, &dns) && dns.IsNotFound:
		return Misconfigured, "check the name of the host"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return Later, "check that the endpoint is up and can be reached, or raise timeout="
	default:
		return Later, "check that the endpoint is up and can be reached"
	}
}

// bare takes the URL out of the errors of package http: its query may hold a
// secret.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// retryAfter reads how long the endpoint asks to wait; 0 if it does not say.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil {
		if seconds > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return max(0, time.Duration(seconds)*time.Second)
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(now)), maxRetryAfter)
}

// readBounded reads at most limit bytes and reports whether there was more. The
// rest is read a little further, so that the connection can be used again.
func readBounded(body io.Reader, limit int64) (b []byte, more bool, err error) {
	b, err = io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, false, err
	}
	if int64(len(b)) > limit {
		_, _ = io.CopyN(io.Discard, body, 64<<10)
		return b[:limit], true, nil
	}
	return b, false, nil
}
