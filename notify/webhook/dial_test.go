package webhook

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"
	"time"
)

func TestMayDial(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"93.184.215.14":        true,
		"10.1.2.3":             true, // receivers inside are common
		"192.168.1.1":          true,
		"2606:2800:21f::1":     true,
		"fd12:3456::1":         true,
		"169.254.169.254":      false,
		"169.254.170.2":        false, // ECS credentials
		"169.254.170.23":       false, // EKS Pod Identity
		"fd00:ec2::254":        false,
		"fd00:ec2::23":         false,
		"fe80::1":              false,
		"fe80::1%eth0":         false,
		"100.100.100.200":      false,
		"168.63.129.16":        false,
		"fd20:ce::254":         false,
		"0.0.0.0":              false,
		"0.1.2.3":              false,
		"::":                   false,
		"224.0.0.1":            false,
		"ff02::1":              false,
		"255.255.255.255":      false,
		"::ffff:169.254.1.1":   false,
		"::ffff:168.63.129.16": false,
		"::169.254.169.254":    false,
		"64:ff9b::a9fe:a9fe":   false, // NAT64 of 169.254.169.254
		"64:ff9b:1::a9fe:a9fe": false,
		"2002:a9fe:a9fe::1":    false, // 6to4 of it
		"64:ff9b::5db8:d70e":   true,
		"64:ff9b::7f00:1":      false,
	} {
		if got := mayDial(netip.MustParseAddr(address), false); got != want {
			t.Errorf("%s: %v, want %v", address, got, want)
		}
	}
	for _, address := range []string{"127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"} {
		if a := netip.MustParseAddr(address); mayDial(a, false) || !mayDial(a, true) {
			t.Errorf("%s must be reached only where the settings name it", address)
		}
	}
	if mayDial(netip.Addr{}, true) {
		t.Error("no address at all is allowed")
	}
}

// A name that looks harmless in the settings resolves to this machine: what it is
// resolved to is what counts, at each connection.
func TestANameThatIsReboundIsNotDialed(t *testing.T) {
	t.Parallel()
	asked := false
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	t.Cleanup(s.Close)
	u, err := url.Parse("https://receiver.example.com/")
	if err != nil {
		t.Fatal(err)
	}
	client, err := newClient(u, "", time.Second)
	if err != nil {
		t.Fatal(err)
	}
	// The dialer sees the address that the name gave.
	dial := client.Transport.(*http.Transport).DialContext
	conn, err := dial(context.WithoutCancel(t.Context()), "tcp", s.Listener.Addr().String())
	if conn != nil {
		_ = conn.Close()
	}
	var refusal *addressError
	if !errors.As(err, &refusal) || asked {
		t.Errorf("got %v, want the address refused", err)
	}
	if client.Transport.(*http.Transport).Proxy != nil {
		t.Error("a proxy would resolve the name by itself")
	}
	if _, ok := errors.AsType[*net.OpError](err); !ok {
		t.Errorf("%T", err)
	}
}
