package app

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/config"
	"github.com/gatehouse-project/gatehouse/identity"
)

// auditEndAtMost bounds the last writes of a process that stops.
const auditEndAtMost = 5 * time.Second

// Audit opens the audit log of a state.
func (*runtime) Audit(ctx context.Context, c *config.Config) (audit.Reader, func() error, error) {
	s, err := openStore(ctx, c, newLogger(nil, c))
	if err != nil {
		return nil, nil, err
	}
	return s, s.Close, nil
}

// asOperator is the context of a command: its changes are by whom the machine knows,
// not proven otherwise.
func asOperator(ctx context.Context) context.Context {
	return audit.WithActor(ctx, audit.Actor{Kind: audit.Person, Name: operator(), Via: audit.ViaCLI})
}

// asGatehouse is the context of what runs by itself, whoever started it.
func asGatehouse(ctx context.Context) context.Context {
	return audit.WithActor(ctx, audit.Actor{Kind: audit.Gatehouse, Name: "gatehouse", Via: audit.ViaServer})
}

// record appends an event for which nothing is undone if it cannot be: it is about
// what has happened already. It is logged then.
func record(ctx context.Context, to audit.Log, log *slog.Logger, e audit.Event) {
	if err := to.Append(ctx, e); err != nil && !errors.Is(err, audit.ErrNotKept) {
		log.ErrorContext(ctx, "an event is not in the audit log", "action", e.Action, "actor", e.Actor.Title(), "subject", e.Subject.Title(), "error", err)
	}
}

// recorded runs a process that lasts, between the events of its start and its stop, and
// notes the head of the audit log when the last of them is written.
func (p *product) recorded(ctx context.Context, what string, roles []string, run func(context.Context) error) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	e := audit.Event{
		Actor: audit.ActorFrom(ctx), Action: "server.started", Subject: audit.Subject{Kind: "server", ID: host},
		Detail: map[string]string{"version": version, "command": what, "roles": strings.Join(roles, ","), "pid": strconv.Itoa(os.Getpid())},
	}
	record(ctx, p.store, p.log, e)
	ctx = asGatehouse(ctx)
	err = run(ctx)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditEndAtMost)
	defer cancel()
	e.Actor, e.Action = audit.ActorFrom(ctx), "server.stopped"
	if err != nil && !errors.Is(err, context.Canceled) {
		e.Reason = "it failed; its log says why" // an error may quote what is not for the audit log
	}
	record(end, p.store, p.log, e)
	_ = p.audit.Note(end) // it is logged
	return err
}

// watching is the service that notes and verifies the audit log.
func (p *product) watching() service {
	return service{"watching the audit log", p.audit.Run}
}

// acting has changes that a request makes be those of the person who sent it. It
// stands behind the guard, which knows the person.
func acting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			address = r.RemoteAddr
		}
		a := audit.ActorOf(identity.FromContext(r.Context()), address)
		if a.Via == "" {
			a.Via = audit.ViaWeb
		}
		next.ServeHTTP(w, r.WithContext(audit.WithActor(r.Context(), a)))
	})
}

// tellSignIns writes what happens with people and their sessions into the audit log;
// it is identity.Options.Audit. The guard bounds the refusals, which anybody can cause.
func (p *product) tellSignIns(ctx context.Context, e identity.Event) {
	out := audit.Event{Actor: audit.ActorOf(e.Person, e.Address), Action: e.Action, Reason: e.Reason, Detail: e.Detail}
	if e.Subject != "" || e.SubjectName != "" {
		out.Subject = audit.Subject{Kind: "person", ID: e.Subject, Name: e.SubjectName}
	}
	if !e.Person.SignedIn() && e.Action != identity.EventRefused {
		// Without a person it is Gatehouse itself that ends sessions.
		out.Actor = audit.ActorFrom(asGatehouse(ctx))
		out.Actor.Address = e.Address
	}
	// A browser that goes away after it was let in must not keep that from the log.
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditEndAtMost)
	defer cancel()
	record(end, p.store, p.log, out)
}
