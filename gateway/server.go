package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server serves a Gateway on one listener.
type Server struct {
	gateway  *Gateway
	listener net.Listener
	server   *http.Server
	shutdown time.Duration
}

// maxHeaders is the total size of a call's headers in API Gateway. The URL may
// have as much again.
const maxHeaders = 10240

// Listen opens the address of the configuration, with TLS where it says so.
func Listen(ctx context.Context, c *Config, g *Gateway) (*Server, error) {
	address := orDefault(c.Listen, DefaultListen)
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", address, err)
	}
	limit := &limitListener{Listener: l, slots: make(chan struct{}, orDefault(c.Limits.Connections, 1000)), done: make(chan struct{})}
	s := &Server{gateway: g, listener: limit, shutdown: orDefault(c.Limits.Shutdown, 30*time.Second)}
	s.server = &http.Server{
		Handler:           g,
		ReadHeaderTimeout: orDefault(c.Limits.ReadHeader, 10*time.Second),
		ReadTimeout:       orDefault(c.Limits.Read, 60*time.Second),
		IdleTimeout:       orDefault(c.Limits.Idle, 60*time.Second),
		MaxHeaderBytes:    2 * maxHeaders,
	}
	if c.TLS != nil {
		pair, err := tls.LoadX509KeyPair(c.TLS.Certificate, c.TLS.Key)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("loading the certificate: %w", err), l.Close())
		}
		s.listener = tls.NewListener(limit, &tls.Config{
			Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
		})
	}
	return s, nil
}

// Addr is the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run serves until ctx is done, and then lets calls under way end for as long as
// Limits.Shutdown says. WebSocket connections are closed with status 1001.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serving the gateway: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.shutdown)
	defer cancel()
	// WebSocket connections are not the server's any more, so they end on their own.
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.gateway.Shutdown(stop)
	}()
	err := s.server.Shutdown(stop)
	if err != nil {
		// Calls that did not end in time are cut off.
		err = errors.Join(fmt.Errorf("stopping the gateway: %w", err), s.server.Close())
	}
	<-closed
	if failure := <-served; !errors.Is(failure, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serving the gateway: %w", failure))
	}
	return err
}

// limitListener bounds how many connections are open at once. One too many waits
// in the system's queue until another ends.
type limitListener struct {
	net.Listener
	slots chan struct{}
	done  chan struct{}
	once  sync.Once
}

// Accept waits for a free slot, then for a connection.
func (l *limitListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitConn{Conn: c, slots: l.slots}, nil
}

// Close stops the listener, and an Accept that waits for a slot.
func (l *limitListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type limitConn struct {
	net.Conn
	slots chan struct{}
	once  sync.Once
}

// Close frees the connection's slot.
func (c *limitConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() { <-c.slots })
	return err
}
