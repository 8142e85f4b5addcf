package demo

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// network joins clients and the gateway in memory. The gateway takes a caller's
// address from its connection and believes no header, so each connection has the
// address of the client that opened it.
type network struct {
	mu       sync.Mutex
	listener *listener
	port     int
}

// listen opens the network's far side; an earlier listener must be closed.
func (n *network) listen() net.Listener {
	l := &listener{conns: make(chan net.Conn), done: make(chan struct{})}
	n.mu.Lock()
	n.listener = l
	n.mu.Unlock()
	return l
}

// dialer opens connections from an address.
func (n *network) dialer(ip string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		n.mu.Lock()
		l := n.listener
		n.port = (n.port + 1) % 20_000
		from := &net.TCPAddr{IP: net.ParseIP(ip), Port: 40_000 + n.port}
		n.mu.Unlock()
		if l == nil {
			return nil, net.ErrClosed
		}
		near, far := net.Pipe()
		select {
		case l.conns <- &conn{far, from}:
			return near, nil
		case <-l.done:
			return nil, net.ErrClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// transport is the HTTP transport of a client at an address.
func (n *network) transport(ip string) *http.Transport {
	return &http.Transport{DialContext: n.dialer(ip), IdleConnTimeout: 30 * time.Second, MaxIdleConnsPerHost: 4}
}

// listener hands the far ends of connections to a server.
type listener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// Accept waits for a connection.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close refuses connections that are not yet accepted.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is the name of a network that has no addresses of its own.
func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: "demo", Net: "pipe"} }

// conn is a connection that says who opened it.
type conn struct {
	net.Conn
	from net.Addr
}

// RemoteAddr is the address of the client.
func (c *conn) RemoteAddr() net.Addr { return c.from }
