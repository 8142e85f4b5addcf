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
	ways     []way
	secure   bool
	shutdown time.Duration
}

// way is a listener and the server of its own, which knows which VPC endpoint it
// is.
type way struct {
	listener net.Listener
	server   *http.Server
}

// Listen opens the address of the configuration, with TLS where it says so.
func Listen(ctx context.Context, c *Config, g *Gateway) (*Server, error) {
	var certificate *tls.Config
	if c.TLS != nil {
		pair, err := tls.LoadX509KeyPair(c.TLS.Certificate, c.TLS.Key)
		if err != nil {
			return nil, fmt.Errorf("loading the certificate: %w", err)
		}
		certificate = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	s := &Server{gateway: g, secure: certificate != nil, shutdown: orDefault(c.Limits.Shutdown, 30*time.Second)}
	slots := make(chan struct{}, orDefault(c.Limits.Connections, 1000))
	open := func(address string, e *vpcEndpoint) error {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
		if err != nil {
			return fmt.Errorf("listening on %s: %w", address, err)
		}
		server := &http.Server{
			Handler:           g,
			ReadHeaderTimeout: orDefault(c.Limits.ReadHeader, 10*time.Second),
			ReadTimeout:       orDefault(c.Limits.Read, 60*time.Second),
			IdleTimeout:       orDefault(c.Limits.Idle, 60*time.Second),
			MaxHeaderBytes:    readHeaders,
			TLSConfig:         certificate.Clone(),
			// One connection must not be able to ask for everything at once.
			HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		}
		if e != nil {
			server.BaseContext = endpointContext(context.WithoutCancel(ctx), e)
		}
		s.ways = append(s.ways, way{&limitListener{Listener: l, slots: slots, done: make(chan struct{})}, server})
		return nil
	}
	err := open(orDefault(c.Listen, DefaultListen), nil)
	for _, e := range g.endpoints {
		if e.Listen != "" {
			err = errors.Join(err, open(e.Listen, e))
		}
	}
	if err != nil {
		for _, w := range s.ways {
			err = errors.Join(err, w.listener.Close())
		}
		return nil, err
	}
	return s, nil
}

// maxStreams is how many calls an HTTP/2 connection makes at once.
const maxStreams = 128

// Addr is the address that the server listens on.
func (s *Server) Addr() net.Addr { return s.ways[0].listener.Addr() }

// EndpointAddrs are the addresses of the VPC endpoints that have one, in the order
// of the configuration.
func (s *Server) EndpointAddrs() []net.Addr {
	out := make([]net.Addr, 0, len(s.ways)-1)
	for _, w := range s.ways[1:] {
		out = append(out, w.listener.Addr())
	}
	return out
}

// serve serves one listener until its server is shut down. With TLS it speaks
// HTTP/2 and HTTP/1.1.
func (s *Server) serve(w way) error {
	if s.secure {
		return w.server.ServeTLS(w.listener, "", "")
	}
	return w.server.Serve(w.listener)
}

// Run serves until ctx is done, and then lets calls under way end for as long as
// Limits.Shutdown says. WebSocket connections are closed with status 1001.
func (s *Server) Run(ctx context.Context) error {
	served := make(chan error, len(s.ways))
	for _, w := range s.ways {
		go func() { served <- s.serve(w) }()
	}
	var err error
	left := len(s.ways)
	select {
	case failure := <-served:
		// Without one of its ways the gateway stops whole: whoever started it must see.
		err = fmt.Errorf("serving the gateway: %w", failure)
		left--
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.shutdown)
	defer cancel()
	// WebSocket connections are not the server's any more, so they end on their own.
	var closing sync.WaitGroup
	closing.Go(func() { s.gateway.Shutdown(stop) })
	failures := make([]error, len(s.ways))
	for i, w := range s.ways {
		closing.Go(func() {
			if failure := w.server.Shutdown(stop); failure != nil {
				// Calls that did not end in time are cut off.
				failures[i] = errors.Join(fmt.Errorf("stopping the gateway: %w", failure), w.server.Close())
			}
		})
	}
	closing.Wait()
	err = errors.Join(append([]error{err}, failures...)...)
	for range left {
		if failure := <-served; !errors.Is(failure, http.ErrServerClosed) {
			err = errors.Join(err, fmt.Errorf("serving the gateway: %w", failure))
		}
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
