package dashboard_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/dashboard"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
)

// auditedWatch is a log with a few events and n more.
func auditedWatch(t *testing.T, n int) (*audit.Watch, store.Store) {
	t.Helper()
	s, err := sqlite.Open(t.Context(), "sqlite:"+t.TempDir()+"/state.db", store.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	ann := audit.Actor{Kind: audit.Person, ID: "p-1", Name: "ann " + apitest.Hostile, Address: "192.0.2.7", Via: audit.ViaWeb}
	after, err := json.Marshal(map[string]string{"state": "accepted", "note": apitest.Hostile})
	if err != nil {
		t.Fatal(err)
	}
	events := []audit.Event{
		{Actor: audit.Actor{Kind: audit.Gatehouse, Name: "gatehouse", Via: audit.ViaServer}, Action: "server.started", Subject: audit.Subject{Kind: "server", ID: "host-1"}, Detail: map[string]string{"version": "1.2.3"}},
		{
			Actor: ann, Action: "finding.decided", Subject: audit.Subject{Kind: "finding", ID: "f1", Name: "route-open at GET /books"}, Reason: "public by design " + apitest.Hostile,
			Before: json.RawMessage(`{"state":"open","until":null}`), After: after,
		},
		{Actor: audit.Actor{Kind: audit.Unknown, Address: "198.51.100.9", Via: audit.ViaWeb}, Action: "session.refused", Reason: "the admin token was wrong"},
	}
	for range n {
		events = append(events, audit.Event{Actor: audit.Actor{Kind: audit.Person, Name: "root@bastion", Via: audit.ViaCLI}, Action: "deadletter.replayed", Subject: audit.Subject{Kind: "dead-letter", ID: "12"}})
	}
	if err := s.Append(t.Context(), events...); err != nil {
		t.Fatal(err)
	}
	w, err := audit.NewWatch(audit.WatchOptions{Reader: s, Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return w, s
}

func openAudit(t *testing.T, role identity.Role, w *audit.Watch) *site {
	t.Helper()
	srv := productOf(t, apitest.Rich(now), role, dashboard.Options{Audit: w, Clock: clock})
	c := srv.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &site{t: t, url: srv.URL, c: c}
}

func TestAuditPage(t *testing.T) {
	t.Parallel()
	w, _ := auditedWatch(t, 0)
	s := openAudit(t, identity.Approver, w)
	_, text := s.get("/audit")
	for _, want := range []string{"server.started", "finding.decided", "198.51.100.9", `href="/audit/2"`, "The log was not verified yet", "/api/v1/audit.csv", "/api/v1/audit.ndjson", "Verify now"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	if strings.Contains(text, apitest.Hostile) {
		t.Error("a name is not escaped")
	}
	for query, want := range map[string]string{
		"?action=finding.":                  "finding.decided",
		"?actor=p-1":                        "finding.decided",
		"?kind=unknown":                     "session.refused",
		"?subject=server":                   "server.started",
		"?via=server":                       "server.started",
		"?action=session&until=2100-01-01":  "session.refused",
		"?action=server&since=2000-01-01":   "server.started",
		"?action=server&since=not-a-day":    "this filter is left out",
		"?since=2100-01-01":                 "No event matches",
		"?action=none.such":                 "No event matches",
		"?action=" + url.QueryEscape("<b>"): "&lt;b&gt;",
	} {
		res, text := s.get("/audit" + query)
		if res.StatusCode != http.StatusOK || !strings.Contains(text, want) {
			t.Errorf("%s answers %d without %q", query, res.StatusCode, want)
		}
		if n := strings.Count(text, "<tr data-key="); n > 1 {
			t.Errorf("%s shows %d events", query, n)
		}
	}
	_, text = s.get("/audit?since=2026-02-03&until=2026-02-04&action=a")
	if !strings.Contains(text, "/api/v1/audit.csv?action=a&amp;since=2026-02-03T00%3A00%3A00Z&amp;until=2026-02-05T00%3A00%3A00Z") {
		t.Error("the export is not filtered as the page is")
	}
	if res, _ := s.get("/audit?cursor=x"); res.StatusCode != http.StatusSeeOther {
		t.Errorf("a cursor of nowhere answers %d", res.StatusCode)
	}
}

func TestAuditPages(t *testing.T) {
	t.Parallel()
	w, _ := auditedWatch(t, 150)
	s := openAudit(t, identity.Admin, w)
	_, text := s.get("/audit")
	if n := strings.Count(text, "<tr data-key="); n != 100 || !strings.Contains(text, `rel="next" href="/audit?cursor=54"`) {
		t.Errorf("the first page has %d events", n)
	}
	_, text = s.get("/audit?cursor=54")
	if n := strings.Count(text, "<tr data-key="); n != 53 || strings.Contains(text, `rel="next"`) || !strings.Contains(text, "First page") {
		t.Errorf("the second page has %d events", n)
	}
}

func TestAuditEventPage(t *testing.T) {
	t.Parallel()
	w, store := auditedWatch(t, 0)
	s := openAudit(t, identity.Approver, w)
	e, err := store.AuditEvent(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	_, text := s.get("/audit/2")
	for _, want := range []string{
		"<code>state</code>", "<code>&#34;open&#34;</code>", "<code>&#34;accepted&#34;</code>", "<code>until</code>", "<code>null</code>", "– none",
		"192.0.2.7", e.Hash.String(), e.Prev.String(), `href="/audit/1"`, "public by design", `href="/audit?actor=p-1"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the event's page does not have %q", want)
		}
	}
	if strings.Contains(text, apitest.Hostile) {
		t.Error("a value is not escaped")
	}
	for _, path := range []string{"/audit/0", "/audit/99", "/audit/x", "/audit/18446744073709551616"} {
		if res, _ := s.get(path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s answers %d", path, res.StatusCode)
		}
	}
}

func TestAuditPageOfOthers(t *testing.T) {
	t.Parallel()
	w, _ := auditedWatch(t, 0)
	s := openAudit(t, identity.Requester, w)
	res, text := s.get("/audit")
	if res.StatusCode != http.StatusOK || strings.Contains(text, "finding.decided") || strings.Contains(text, "Verify now") || !strings.Contains(text, "You are not signed in") {
		t.Errorf("somebody without a name sees %d: %s", res.StatusCode, text)
	}
	if res, _ := s.get("/audit/2"); res.StatusCode != http.StatusNotFound {
		t.Errorf("an event of somebody else answers %d", res.StatusCode)
	}
	if res, _ := s.send(http.MethodPost, "/audit/verify", ""); res.StatusCode == http.StatusSeeOther {
		t.Error("somebody without the role has the log verified")
	}
	// A product without a log has no page.
	none := productOf(t, apitest.Rich(now), identity.Admin, dashboard.Options{Clock: clock})
	bare := &site{t: t, url: none.URL, c: none.Client()}
	if res, _ := bare.get("/audit"); res.StatusCode != http.StatusNotFound {
		t.Errorf("without a log the page answers %d", res.StatusCode)
	}
	if _, text := bare.get("/"); strings.Contains(text, "Audit log") {
		t.Error("without a log there is a way to it")
	}
}

func TestAuditVerifyButton(t *testing.T) {
	t.Parallel()
	w, store := auditedWatch(t, 0)
	s := openAudit(t, identity.Approver, w)
	if res, _ := s.send(http.MethodPost, "/audit/verify", ""); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/audit" {
		t.Fatalf("the button answers %d to %s", res.StatusCode, res.Header.Get("Location"))
	}
	if _, text := s.get("/audit"); !strings.Contains(text, "being verified") {
		t.Error("the page does not say that the log is being verified")
	}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.Run(ctx) })
	defer wg.Wait()
	defer stop()
	for end := time.Now().Add(time.Minute); w.State().Running || w.State().Time.IsZero(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the log is not verified")
		}
	}
	head, err := store.AuditHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, text := s.get("/audit"); !strings.Contains(text, "Verified up to event 3:") || !strings.Contains(text, head.String()) {
		t.Errorf("the page does not say what was verified:\n%s", text)
	}
}
