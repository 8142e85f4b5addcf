package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/gatehouse-project/gatehouse/gateway"
)

// TrafficOptions are what a Traffic needs.
type TrafficOptions struct {
	// Endpoint is the URL of the simulated AWS.
	Endpoint string
	// Credentials find the sessions that the simulated AWS has given out.
	Credentials gateway.CredentialStore
	// Rate is how many calls are made a second.
	Rate float64
	// Seed makes the same clients make the same calls.
	Seed uint64
	// Log gets what an operator must know; nothing is logged if nil.
	Log *slog.Logger
}

// Traffic is the demo's gateway with its backends, and the clients that call it.
type Traffic struct {
	world    *World
	rate     float64
	log      *slog.Logger
	followed followed
	clock    *clock
	dice     *dice
	network  *network
	logs     *logs
	gateway  *gateway.Gateway
	scene    *scene
	chat     *chatters
	busy     chan struct{} // calls under way

	past    atomic.Bool
	handled chan struct{} // told in the past of each call that has ended

	made, unlogged, failed atomic.Int64
}

// maxBusy bounds how many calls are under way at once.
const maxBusy = 256

// NewTraffic puts the gateway and its clients together. Nothing is called before
// Past or Run.
func (w *World) NewTraffic(o TrafficOptions) (*Traffic, error) {
	t := &Traffic{
		world: w, rate: o.Rate, log: o.Log, clock: &clock{}, dice: newDice(o.Seed), network: &network{},
		busy: make(chan struct{}, maxBusy), handled: make(chan struct{}, 1),
	}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	issuer, err := newIssuer()
	if err != nil {
		return nil, err
	}
	table := &chatTable{clock: t.clock, dice: newDice(o.Seed + 1)}
	t.logs = newLogs(existing{gateway.NewCloudWatch(w.logClients(o.Endpoint), t.log), w.Sim}, t.log)
	t.gateway, err = gateway.New(&gateway.Config{APIs: w.apis, UsagePlans: usagePlans()}, gateway.Options{
		Credentials: o.Credentials, Logs: t.logs.writer, Now: t.clock.now, Log: t.log,
		Transport: newBackends(t.clock, newDice(o.Seed+2), issuer, table),
	})
	if err != nil {
		return nil, fmt.Errorf("making the demo's gateway: %w", err)
	}
	t.scene = newScene(w, t.dice, t.network, issuer, o.Endpoint, w.ended(), table)
	t.chat = &chatters{dice: newDice(o.Seed + 3), api: t.scene.chat, made: func() { t.count(chatID, "prod", false) }}
	t.adopt(context.Background())
	return t, nil
}

// ended is a session that ended before all calls of the demo.
func (w *World) ended() aws.Credentials {
	s := w.Sim.Account(Storefront).Session("warehouse-sync", "forgotten-cron", -30*time.Minute)
	return aws.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey, SessionToken: s.SessionToken}
}

// Calls is how many calls were made that API Gateway logs, as the stages were set then.
func (t *Traffic) Calls() int { return int(t.made.Load()) }

// Unlogged is how many calls were made that leave no log: those to stages that do not
// log, and those to resources that do not exist in stages without an access log.
func (t *Traffic) Unlogged() int { return int(t.unlogged.Load()) }

// ServeHTTP is the gateway as callers meet it. API Gateway takes calls over TLS
// alone; in memory there is nothing to encrypt, but the gateway must know.
func (t *Traffic) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.TLS = &tls.ConnectionState{Version: tls.VersionTLS13, HandshakeComplete: true, ServerName: r.Host}
	upgrade := r.Header.Get("Upgrade") != ""
	t.gateway.ServeHTTP(w, r)
	if t.past.Load() && !upgrade {
		select {
		case t.handled <- struct{}{}:
		default:
		}
	}
}

// serve runs f while the gateway can be reached.
func (t *Traffic) serve(ctx context.Context, f func() error) error {
	server := &http.Server{
		Handler: t, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(t.log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	l := t.network.listen()
	go func() { served <- server.Serve(l) }()
	err := f()
	for _, c := range t.scene.clients() {
		c.transport.CloseIdleConnections()
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if failure := server.Shutdown(stop); failure != nil {
		err = errors.Join(err, fmt.Errorf("stopping the demo's gateway: %w", failure), server.Close())
	}
	if failure := <-served; !errors.Is(failure, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serving the demo's gateway: %w", failure))
	}
	return err
}

// stopTimeout bounds how long calls under way may take to end after a stop. None
// takes longer than its backend's timeout.
const stopTimeout = 5 * time.Second

// Run calls until ctx is done. It then lets calls under way end, leaves the chat
// and writes the log events that are left.
func (t *Traffic) Run(ctx context.Context) error {
	logging, stopLogging := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLogging()
	written := make(chan error, 1)
	go func() { written <- t.logs.queue.Run(logging) }()
	var following sync.WaitGroup
	defer following.Wait()
	calling, stopFollowing := context.WithCancel(ctx)
	defer stopFollowing()
	following.Go(func() { t.follow(calling) })
	err := t.serve(ctx, func() error {
		t.play(ctx)
		return nil
	})
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	t.chat.leave()
	t.gateway.Shutdown(stop) // waits for the last $disconnect
	stopLogging()
	return errors.Join(err, <-written)
}

// play makes calls at random times, rate a second on average.
func (t *Traffic) play(ctx context.Context) {
	var calls sync.WaitGroup
	defer calls.Wait()
	// Calls that have begun end by themselves when ctx is done.
	calling := context.WithoutCancel(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for next := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		// More than one may be due: timers are coarser than high rates.
		for now := time.Now(); !next.After(now); next = next.Add(t.gap()) {
			select {
			case t.busy <- struct{}{}:
			case <-ctx.Done():
				return
			}
			v, act := t.scene.next()
			who := t.scene.shopper()
			calls.Go(func() {
				defer func() { <-t.busy }()
				t.tell(t.do(calling, v, act, who))
			})
		}
		// A machine that cannot make that many makes as many as it can.
		if behind := time.Now().Add(-time.Second); next.Before(behind) {
			next = behind
		}
		timer.Reset(time.Until(next))
	}
}

func (t *Traffic) gap() time.Duration {
	return t.dice.about(time.Duration(float64(time.Second) / t.rate))
}

// do makes one call.
func (t *Traffic) do(ctx context.Context, v *visit, act chatAct, who *client) error {
	if act != noChat {
		return t.chat.act(ctx, act, who)
	}
	if v == nil {
		return nil
	}
	t.count(v.api.ID, v.stage, v.unrouted)
	_, err := v.who.call(ctx, v, t.clock.now())
	return err
}

// tell says of a call that could not be made; of many only the first and then each
// thousandth.
func (t *Traffic) tell(err error) {
	if err != nil && t.failed.Add(1)%1000 == 1 {
		t.log.Warn("a client of the demo could not call", "failed", t.failed.Load(), "error", err)
	}
}
