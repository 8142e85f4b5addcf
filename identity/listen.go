package identity

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// Listening is what CheckListen needs to know of how Gatehouse is reached.
type Listening struct {
	// OIDC says that people sign in with an identity provider.
	OIDC bool
	// TLS says that this process serves TLS itself.
	TLS bool
	// PublicURL is the address by which people reach Gatehouse; empty: not said.
	PublicURL string
}

// CheckListen returns an error if addr ("host:port") would let other machines
// reach Gatehouse in a way that is not safe: while nothing but the admin token
// tells people apart, or without TLS, by this process or by a proxy that ends it,
// which an https public address stands for.
func CheckListen(addr string, l Listening) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("reading listen address %q: want host:port, for example 127.0.0.1:8080: %w", addr, err)
	}
	if isLoopback(host) {
		return nil
	}
	if host == "" {
		host = "every address of this machine"
	}
	switch {
	case !l.OIDC:
		return fmt.Errorf("refusing to listen on %s (%q): people are told apart by the admin token alone; set oidc_issuer, oidc_client_id and public_url to let people sign in by OIDC, or listen on 127.0.0.1 and reach it by a tunnel such as ssh -L or kubectl port-forward", host, addr)
	case l.PublicURL == "":
		return fmt.Errorf("refusing to listen on %s (%q) without public_url: sign-in by OIDC needs the address that people use", host, addr)
	case !l.TLS && !strings.HasPrefix(strings.ToLower(l.PublicURL), "https://"):
		return fmt.Errorf("refusing to listen on %s (%q) without TLS, where everybody on the way could take a session: set tls_cert and tls_key, or public_url to the https address of a proxy before it (OIDC alone is not enough)", host, addr)
	}
	return nil
}

// ParsePublicURL reads the address by which people reach Gatehouse: https, or http
// on a loopback host, with nothing behind the host.
func ParsePublicURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("%q: want an address such as https://gatehouse.example.com, without a path", text)
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return nil, fmt.Errorf("%q: without TLS everybody on the way could take a session; want https", text)
	}
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host)}, nil
}

// isLoopback reports whether host, as it stands in an address or a Host header
// without its port, names this machine alone. No name but localhost is looked
// up: a resolver could be made to answer anything.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// hostname returns a Host header's name without its port, in lower case.
func hostname(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}
