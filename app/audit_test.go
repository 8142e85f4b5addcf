package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
)

// auditedProduct is a product with a store and its audit log alone, and what it logs.
func auditedProduct(t *testing.T) (*product, *strings.Builder) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), "sqlite::memory:", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	log := &strings.Builder{}
	p := &product{store: s, log: slog.New(slog.NewTextHandler(log, nil))}
	if p.audit, err = audit.NewWatch(audit.WatchOptions{Reader: s, Logger: p.log, Metrics: prometheus.NewRegistry()}); err != nil {
		t.Fatal(err)
	}
	return p, log
}

func (p *product) events(t *testing.T) []audit.Event {
	t.Helper()
	page, err := p.store.AuditEvents(t.Context(), audit.Query{})
	if err != nil {
		t.Fatal(err)
	}
	return page.Events
}

func TestStartAndStopAreRecorded(t *testing.T) {
	t.Parallel()
	p, log := auditedProduct(t)
	failure := errors.New("the port is taken")
	ctx, stop := context.WithCancel(asOperator(t.Context()))
	err := p.recorded(ctx, "serve", []string{"collect", "web"}, func(ctx context.Context) error {
		if a := audit.ActorFrom(ctx); a.Kind != audit.Gatehouse {
			t.Errorf("what runs by itself is by %+v", a)
		}
		stop() // the end is written although the context is done
		return failure
	})
	if !errors.Is(err, failure) {
		t.Errorf("it returns %v", err)
	}
	events := p.events(t)
	if len(events) != 2 {
		t.Fatalf("events: %+v", events)
	}
	started, stopped := events[1], events[0]
	if started.Action != "server.started" || started.Actor.Kind != audit.Person || started.Actor.Via != audit.ViaCLI || started.Actor.Name != operator() ||
		started.Detail["version"] != version || started.Detail["roles"] != "collect,web" {
		t.Errorf("the start is %+v", started)
	}
	if stopped.Action != "server.stopped" || stopped.Actor.Kind != audit.Gatehouse || stopped.Reason == "" {
		t.Errorf("the stop is %+v", stopped)
	}
	if head := (audit.Head{Seq: 2, Hash: stopped.Hash}).String(); !strings.Contains(log.String(), head) {
		t.Errorf("the last head %s is not in the log:\n%s", head, log)
	}
}

func TestSignInsAreRecorded(t *testing.T) {
	t.Parallel()
	p, _ := auditedProduct(t)
	ann := identity.Person{ID: "p-1", Name: "ann", Role: identity.Viewer, Via: identity.ViaWeb}
	gone, leave := context.WithCancel(t.Context())
	leave()
	for _, e := range []identity.Event{
		{Action: identity.EventOpened, Person: ann, Subject: "p-1", SubjectName: "ann", Address: "192.0.2.7"},
		{Action: identity.EventRefused, Address: "198.51.100.9", Reason: "wrong admin token"},
		{Action: identity.EventRevoked, Subject: "p-1", SubjectName: "ann", Reason: "the person is disabled"},
	} {
		p.tellSignIns(gone, e)
	}
	events := p.events(t)
	if len(events) != 3 {
		t.Fatalf("events: %+v", events)
	}
	for i, want := range []audit.Actor{
		{Kind: audit.Gatehouse, Name: "gatehouse", Via: audit.ViaServer},
		{Kind: audit.Unknown, Address: "198.51.100.9"},
		{Kind: audit.Person, ID: "p-1", Name: "ann", Address: "192.0.2.7", Via: audit.ViaWeb},
	} {
		if events[i].Actor != want {
			t.Errorf("%s is by %+v, want %+v", events[i].Action, events[i].Actor, want)
		}
	}
	if s := events[1].Subject; s != (audit.Subject{}) {
		t.Errorf("a refusal is about %+v", s)
	}
}

func TestRequestsActAsTheirPerson(t *testing.T) {
	t.Parallel()
	const token = "a-token-that-is-long-enough-for-tests"
	guard, err := identity.New(identity.Options{Token: token, Anonymous: identity.Viewer})
	if err != nil {
		t.Fatal(err)
	}
	var got audit.Actor
	h := guard.Handler(acting(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = audit.ActorFrom(r.Context()) })))
	for name, c := range map[string]struct {
		header string
		want   audit.Actor
	}{
		"admin token": {"Bearer " + token, audit.Actor{Kind: audit.Token, ID: identity.AdminID, Address: "192.0.2.1", Via: audit.ViaAPI}},
		"nobody":      {"", audit.Actor{Kind: audit.Unknown, Address: "192.0.2.1", Via: audit.ViaWeb}},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/x", http.NoBody)
		r.Host = "127.0.0.1"
		if c.header != "" {
			r.Header.Set("Authorization", c.header)
		}
		got = audit.Actor{}
		h.ServeHTTP(httptest.NewRecorder(), r)
		got.Name = "" // how the token is called is identity's
		if got != c.want {
			t.Errorf("%s acts as %+v, want %+v", name, got, c.want)
		}
	}
}
