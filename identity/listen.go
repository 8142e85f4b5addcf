package identity

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
)

// CheckListen returns an error if addr ("host:port") would let other machines
// reach Gatehouse while nothing but the admin token tells people apart: without
// OpenID Connect only a loopback address may be listened on.
func CheckListen(addr string, oidcConfigured bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("reading listen address %q: want host:port, for example 127.0.0.1:8080: %w", addr, err)
	}
	if oidcConfigured || isLoopback(host) {
		return nil
	}
	if host == "" {
		host = "every address of this machine"
	}
	return fmt.Errorf("refusing to listen on %s (%q): people are told apart by the admin token alone (sign-in by OIDC is not in this version); listen on 127.0.0.1 and reach it by a tunnel such as ssh -L or kubectl port-forward", host, addr)
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
