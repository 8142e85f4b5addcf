package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/collect"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/ingest"
	"github.com/gatehouse-project/gatehouse/spool"
	"github.com/gatehouse-project/gatehouse/spool/bucket"
	"github.com/gatehouse-project/gatehouse/transaction"
)

const (
	// pushPath is where Firehose's endpoint URL points to.
	pushPath = "/firehose"
	// maxPushers bounds the connections to the endpoint.
	maxPushers = 256
)

// openSpool opens the spool that the configuration names, if any.
func (p *product) openSpool(ctx context.Context) error {
	place := p.config.SpoolPlace()
	if place == "" {
		return nil
	}
	cfg := spool.Config{MaxBytes: p.config.Ingest.SpoolMaxBytes, Log: p.log, Metrics: p.registry, News: p.rediscover}
	var blobs spool.Blobs
	if strings.HasPrefix(place, "s3://") {
		name, prefix, err := bucketOf(place)
		if err != nil {
			return &config.Error{Where: "spool", Err: err}
		}
		client, err := s3Client(ctx)
		if err != nil {
			return err
		}
		blobs, cfg.Shared = bucket.New(client, name, prefix), true
	} else {
		folder, err := spool.OpenFolder(place)
		if err != nil {
			return err
		}
		p.cleanup = append(p.cleanup, folder.Close)
		blobs = folder
	}
	var err error
	p.spool, err = spool.Open(ctx, blobs, cfg)
	return err
}

// rediscover lets a running collector look for groups.
func (p *product) rediscover() {
	if p.collector != nil {
		p.collector.Rediscover()
	}
}

// source is what the collector reads: what was pushed, and what is polled.
func (p *product) source(cw collect.CloudWatchConfig) (collect.Source, error) {
	if p.files != nil {
		return collect.Join(p.files, nil, p.estate.groups), nil
	}
	if p.spool != nil && p.config.Ingest.PushOnly {
		return collect.Join(p.pushed(), nil, p.estate.groups), nil
	}
	polled, err := collect.NewCloudWatch(p.accounts, cw)
	if err != nil || p.spool == nil {
		return polled, err
	}
	return collect.Join(p.pushed(), polled, p.estate.groups), nil
}

// pushed is the spool as a Source.
func (p *product) pushed() collect.Source {
	if p.passes {
		return uncounted{p.spool}
	}
	return p.spool
}

// uncounted is a spool whose count is not compared: of one that several
// processes write to, each knows what it saw itself, and a pass is told the count
// of another process than the one before.
type uncounted struct{ spool *spool.Spool }

var _ collect.Finder = uncounted{}

// Groups lists the groups of the spool.
func (u uncounted) Groups(ctx context.Context) ([]transaction.Group, []collect.Problem) {
	return u.spool.Groups(ctx)
}

// Find lists them, and where their events begin.
func (u uncounted) Find(ctx context.Context) ([]collect.Found, []collect.Problem) {
	return u.spool.Find(ctx)
}

// Read gives events of the spool.
func (u uncounted) Read(ctx context.Context, group transaction.Group, from, to int64, next string) (collect.Page, error) {
	return u.spool.Read(ctx, group, from, to, next)
}

// state is where the collector saves; the spool learns from it what may go.
func (p *product) state() collect.State {
	switch {
	case p.files != nil:
		return p.files.State(p.store)
	case p.spool != nil:
		return p.spool.State(p.store)
	default:
		return p.store
	}
}

// ingesting are the services that take what is pushed. The address is opened at
// once, so that one that is taken is told before anything else starts.
func (p *product) ingesting(ctx context.Context) ([]service, error) {
	if p.spool == nil {
		return nil, nil
	}
	keeping := service{"keeping the spool", p.spool.Run}
	in := &p.config.Ingest
	if in.Listen == "" {
		return []service{keeping}, nil
	}
	keys, err := in.AccessKeys()
	if err != nil {
		return nil, err
	}
	endpoint, err := ingest.NewFirehose(ingest.FirehoseConfig{Spool: p.spool, AccessKeys: keys, Log: p.log, Metrics: p.registry})
	if err != nil {
		return nil, &config.Error{Where: "ingest_access_key", Err: err, Hint: "make one with 'openssl rand -hex 32' and give it to the Firehose stream too"}
	}
	l, err := listen(ctx, in.Listen)
	if err != nil {
		return nil, fmt.Errorf("ingest_listen: %w", err)
	}
	// Counted before TLS: a handshake that never ends holds a connection too.
	l = newLimitedListener(l, maxPushers)
	if in.TLSCert != "" {
		cert, err := tls.LoadX509KeyPair(in.TLSCert, in.TLSKey)
		if err != nil {
			return nil, errors.Join(&config.Error{Where: "ingest_tls_cert", Err: err}, l.Close())
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	}
	mux := http.NewServeMux()
	mux.Handle(pushPath, endpoint)
	p.log.InfoContext(ctx, "taking what Firehose pushes", slog.String("address", l.Addr().String()), slog.String("path", pushPath))
	return []service{keeping, {"taking what is pushed", (&pushServer{l, mux, p.log}).run}}, nil
}

// pushServer is the HTTP server of the Firehose endpoint. A request may be 64 MiB
// and is answered when it is on the disk, so its times are longer than those of
// the server that people use.
type pushServer struct {
	listener net.Listener
	handler  http.Handler
	log      *slog.Logger
}

// run serves until ctx is done; requests that have begun are finished.
func (s *pushServer) run(ctx context.Context) error {
	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       2 * time.Minute,
		WriteTimeout:      3 * time.Minute,
		IdleTimeout:       5 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(s.listener) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err := srv.Shutdown(stop)
	if err != nil {
		err = srv.Close()
	}
	if serveErr := <-done; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}

// limitedListener bounds the connections that are open at the same time.
type limitedListener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newLimitedListener(l net.Listener, n int) *limitedListener {
	return &limitedListener{Listener: l, slots: make(chan struct{}, n), closed: make(chan struct{})}
}

// Accept waits until there is room for one more.
func (l *limitedListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &limitedConn{Conn: c, leave: sync.OnceFunc(func() { <-l.slots })}, nil
}

// Close stops those who wait in Accept, too.
func (l *limitedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	leave func()
}

// Close makes room for another connection.
func (c *limitedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
