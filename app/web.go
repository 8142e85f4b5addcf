package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gatehouse-project/gatehouse/api"
	"github.com/gatehouse-project/gatehouse/dashboard"
	"github.com/gatehouse-project/gatehouse/identity"
)

// server is an HTTP server that runs until its context is done.
type server struct {
	listener net.Listener
	handler  http.Handler
	log      *slog.Logger
}

// listen opens the address, so that an address that is taken is told before
// anything else starts.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening: %w (choose another address with --listen)", err)
	}
	return l, nil
}

// run serves until ctx is done. Requests see the end of ctx, so event streams
// end; others may finish.
func (s *server) run(ctx context.Context) error {
	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(s.listener) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
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

// public are the paths that need no sign-in: probes and scrapers come by
// address and hold no session, and what comes from Slack carries Slack's signature.
var public = []string{"/healthz", "/readyz", "/metrics", "/assets/", "/slack/"}

// face is the dashboard and HTTP API behind a guard.
func (p *product) face(ctx context.Context, anonymous identity.Role, personas []identity.Person, notice string) (http.Handler, *identity.Guard, error) {
	d := dashboard.Options{
		Inventory: p.store, Health: p.health(), Estate: p.estate.snapshot, Tail: p.tail, DeadLetters: p.letters,
		History: p.store, Audit: p.audit, Version: version, Notice: notice, Logger: p.log,
	}
	if p.findings != nil {
		d.Findings = p.findings
	}
	if p.desk != nil {
		d.Logging = p.desk
	}
	if p.lending != nil {
		d.Access, d.AccessRuns = p.lending.desk, p.lending.runs
	}
	guard, err := p.newGuard(ctx, anonymous, personas, d)
	if err != nil {
		return nil, nil, err
	}
	d.Identity = guard
	mux := http.NewServeMux()
	apiHandler := p.apiHandler(guard)
	for _, path := range []string{"/api/", "/healthz", "/readyz", "/metrics"} {
		mux.Handle(path, apiHandler)
	}
	p.lending.mount(mux)
	mux.Handle("/", dashboard.New(d))
	return guard.Handler(acting(mux)), guard, nil
}

// apiHandler is the HTTP API; without a guard it has nothing of people.
func (p *product) apiHandler(guard *identity.Guard) http.Handler {
	o := api.Options{
		Inventory: p.store, Health: p.health(), Estate: p.estate.snapshot, Tail: p.tail, DeadLetters: p.letters, History: p.store, Audit: p.audit,
		Metrics: promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{}),
		Version: version, Logger: p.log,
	}
	if p.findings != nil {
		o.Findings = p.findings
	}
	if p.desk != nil {
		o.Logging = p.desk
	}
	if guard != nil {
		o.Identity = guard
		if p.lending != nil {
			o.Access, o.AccessRuns = p.lending.desk, p.lending.runs
		}
	}
	return api.New(o)
}

// probes is what a headless collector serves: no data, only whether it is well.
func (p *product) probes() http.Handler {
	mux := http.NewServeMux()
	h := p.apiHandler(nil)
	for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
		mux.Handle(path, h)
	}
	return mux
}
