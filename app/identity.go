package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/dashboard"
	"github.com/gatehouse-project/gatehouse/identity"
)

// listening is how the dashboard of a configuration is reached.
func listening(c *config.Config) identity.Listening {
	return identity.Listening{OIDC: c.Identity.OIDC(), TLS: c.Identity.TLSCert != "", PublicURL: c.Identity.PublicURL}
}

// newRoster makes the directory of people. A state that keeps none has those who
// signed in since the start.
func (p *product) newRoster(ctx context.Context, local []identity.Person) error {
	c := &p.config.Identity
	p.sessions = p.store
	if _, err := p.store.Session(ctx, ""); errors.Is(err, identity.ErrNotKept) {
		p.sessions = &identity.Memory{}
	}
	var err error
	p.people, err = identity.NewRoster(identity.RosterOptions{
		Store: p.sessions, File: c.PeopleFile, Local: local, Logger: p.log,
		Roles: identity.RoleRules{Admins: c.Admins, Approvers: c.Approvers, Requesters: c.Requesters, Viewers: c.Viewers},
	})
	return err
}

// newGuard makes the guard of the dashboard and the HTTP API. The personas are the
// demo's, who come by links.
func (p *product) newGuard(ctx context.Context, anonymous identity.Role, personas []identity.Person, pages dashboard.Options) (*identity.Guard, error) {
	if p.people == nil {
		if err := p.newRoster(ctx, personas); err != nil {
			return nil, err
		}
	}
	c := &p.config.Identity
	token, err := c.Token()
	if err != nil {
		return nil, err
	}
	o := identity.Options{
		Token: token, TokenAnywhere: token != "", Anonymous: anonymous, SessionLife: c.SessionLife, SessionIdle: c.SessionIdle,
		PublicURL: c.PublicURL, TLS: c.TLSCert != "", Public: public, Store: p.sessions, Roster: p.people, People: personas,
		SignIn: dashboard.SignIn(pages), Ask: dashboard.Ask(pages), Audit: p.tellSignIns, OnDisabled: p.takeBack, Logger: p.log,
	}
	if c.OIDC() {
		if _, err := c.Secret(); err != nil {
			return nil, err
		}
		o.OIDC = &identity.OIDC{
			Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.Secret, Scopes: c.Scopes,
			Claims: identity.Claims{Email: c.EmailClaim, Groups: c.GroupsClaim, Manager: c.ManagerClaim, Attributes: c.Attributes, TrustEmail: c.TrustEmail},
		}
	}
	return identity.New(o)
}

// takeBack takes back whatever was lent to somebody who was disabled.
func (p *product) takeBack(ctx context.Context, e identity.Entry) error {
	errs := make([]error, 0, len(p.onDisabled))
	for _, f := range p.onDisabled {
		errs = append(errs, f(ctx, e))
	}
	return errors.Join(errs...)
}

// guarding is the service that watches over people and their sessions.
func guarding(g *identity.Guard) service {
	return service{"watching over sessions", g.Run}
}

// greet says how to sign in.
func greet(w io.Writer, c *config.Config, g *identity.Guard, addr net.Addr) {
	if c.Identity.OIDC() {
		at := c.Identity.PublicURL
		if at == "" {
			at = "http://" + addr.String()
		}
		fmt.Fprintf(w, "gatehouse: people sign in at %s; an admin on this machine also at %s\n", at, g.AdminLink(addr.String()))
		return
	}
	fmt.Fprintf(w, "gatehouse: sign in at %s\n", g.AdminLink(addr.String()))
}

// secured serves TLS on l if the configuration has a certificate.
func secured(l net.Listener, c *config.Config) (net.Listener, error) {
	if c.Identity.TLSCert == "" {
		return l, nil
	}
	k := &certificate{cert: c.Identity.TLSCert, key: c.Identity.TLSKey}
	if _, err := k.get(nil); err != nil {
		return nil, errors.Join(&config.Error{Where: "tls_cert", Err: err}, l.Close())
	}
	return tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: k.get}), nil
}

// certificateAge is how long a certificate is used before its file is looked at.
const certificateAge = 10 * time.Second

// certificate is read again when its file changes, so that one that is renewed
// needs no restart.
type certificate struct {
	cert, key string

	mu     sync.Mutex
	loaded *tls.Certificate
	file   time.Time // when the certificate's file was written
	looked time.Time
}

func (k *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if k.loaded != nil && now.Sub(k.looked) < certificateAge {
		return k.loaded, nil
	}
	info, err := os.Stat(k.cert)
	if err == nil && (k.loaded == nil || !info.ModTime().Equal(k.file)) {
		var c tls.Certificate
		if c, err = tls.LoadX509KeyPair(k.cert, k.key); err == nil {
			k.loaded, k.file = &c, info.ModTime()
		}
	}
	k.looked = now
	// Half of a pair may be written: the one before it serves on.
	if err != nil && k.loaded == nil {
		return nil, err
	}
	return k.loaded, nil
}
