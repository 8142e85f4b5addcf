package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"syscall"
	"time"
)

// addressError is an address that is never connected to.
type addressError struct{ address netip.Addr }

func (e *addressError) Error() string {
	return fmt.Sprintf("%s is an address of this machine, its network segment or its cloud's metadata service", e.address)
}

// refused are addresses outside the link-local ranges that clouds answer on for
// the machine itself.
var refused = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba Cloud metadata
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure WireServer
	netip.MustParsePrefix("192.0.0.192/32"),     // Oracle Cloud metadata
	netip.MustParsePrefix("fd00:ec2::/32"),      // AWS metadata, DNS and time
	netip.MustParsePrefix("fd20:ce::254/128"),   // Google Cloud metadata
}

// carriers are IPv6 ranges that carry an IPv4 address which a gateway connects to.
var carriers = []struct {
	prefix netip.Prefix
	at     int // where the four bytes are
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12},
	{netip.MustParsePrefix("64:ff9b:1::/48"), 12},
	{netip.MustParsePrefix("2002::/16"), 2},
	{netip.MustParsePrefix("::/96"), 12},
}

// mayDial reports whether an address may be connected to. Loopback is allowed only
// where the settings name it.
func mayDial(a netip.Addr, loopback bool) bool {
	a = a.Unmap().WithZone("")
	if a.IsLoopback() {
		return loopback
	}
	if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
		return false
	}
	for _, p := range refused {
		if p.Contains(a) {
			return false
		}
	}
	if a.Is6() {
		b := a.As16()
		for _, c := range carriers {
			if c.prefix.Contains(a) && !mayDial(netip.AddrFrom4([4]byte(b[c.at:c.at+4])), false) {
				return false
			}
		}
	}
	return true
}

// isLoopback reports whether a URL names this machine itself.
func isLoopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// parseURL accepts https URLs, and http to this machine itself. Its errors do not
// repeat the URL, which may hold a token.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return nil, errors.New("it is not a URL such as https://host/path")
	case u.User != nil:
		return nil, errors.New("no user and password in the URL: receivers check the signature")
	case u.Fragment != "":
		return nil, errors.New("nothing may follow a # in the URL")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return u, nil
	default:
		return nil, errors.New("it must be https")
	}
}

// newClient makes a client for one URL.
func newClient(u *url.URL, caFile string, timeout time.Duration) (*http.Client, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, fmt.Errorf("reading the certificate authorities: %w", err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM form", caFile)
		}
	}
	loopback := isLoopback(u.Hostname())
	dialer := &net.Dialer{
		Timeout: timeout / 2,
		// The address is looked at here, after the name was resolved and for each
		// one that is tried: a name may resolve to something else by now than when
		// it was checked.
		ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("reading the address: %w", err)
			}
			if !mayDial(ap.Addr(), loopback) {
				return &addressError{ap.Addr().WithZone("")}
			}
			return nil
		},
	}
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			// No proxy: it would resolve the name by itself.
			Proxy: nil, DialContext: dialer.DialContext, TLSClientConfig: t, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: timeout / 2, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 2,
			MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// bare takes the URL out of the errors of package http: it may hold a token.
func bare(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// CheckURL accepts the URLs of webhooks: https, or http to this machine itself.
// Its errors do not repeat the URL.
func CheckURL(text string) error {
	_, err := parseURL(text)
	return err
}
