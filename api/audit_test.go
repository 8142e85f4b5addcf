package api_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/api"
	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/audit"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
)

const auditToken = "a-token-that-is-long-enough-for-tests"

// auditSite is the API over an audit log with four events; anonymous people are
// viewers.
type auditSite struct {
	t     *testing.T
	url   string
	watch *audit.Watch
	store store.Store
}

// failing is a log whose lines end in an error.
type failing struct{ api.Audit }

func (f failing) AuditLines(ctx context.Context, after uint64, fn func([]byte) error) error {
	return errors.Join(f.Audit.AuditLines(ctx, after, fn), errors.New("the disk is gone"))
}

func newAuditSite(t *testing.T, wrap func(api.Audit) api.Audit) *auditSite {
	t.Helper()
	s, err := sqlite.Open(t.Context(), "sqlite:"+t.TempDir()+"/state.db", store.Options{Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	ann := audit.Actor{Kind: audit.Person, ID: "p-1", Name: "ann", Via: audit.ViaWeb}
	for i, e := range []audit.Event{
		{Actor: audit.Actor{Kind: audit.Gatehouse, Name: "gatehouse"}, Action: "server.started"},
		{Actor: ann, Action: "finding.decided", Subject: audit.Subject{Kind: "finding", ID: "f1"}, Reason: "=HYPERLINK(1)", After: json.RawMessage(`{"state":"<open>"}`)},
		{Actor: ann, Action: "deadletter.replayed"},
		{Actor: audit.Actor{Kind: audit.Unknown, Address: "192.0.2.7"}, Action: "session.refused"},
	} {
		e.Time = now.Add(time.Duration(i) * time.Minute)
		if err := s.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	w, err := audit.NewWatch(audit.WatchOptions{Reader: s, Clock: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	guard, err := identity.New(identity.Options{Token: auditToken, Anonymous: identity.Viewer})
	if err != nil {
		t.Fatal(err)
	}
	var log api.Audit = w
	if wrap != nil {
		log = wrap(w)
	}
	srv := httptest.NewServer(guard.Handler(api.New(api.Options{Inventory: apitest.Rich(now), Audit: log, Clock: func() time.Time { return now }})))
	t.Cleanup(srv.Close)
	return &auditSite{t: t, url: srv.URL, watch: w, store: s}
}

func (s *auditSite) send(method, path, bearer string) (int, http.Header, string, error) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	return res.StatusCode, res.Header, string(text), err
}

func TestAuditEvents(t *testing.T) {
	t.Parallel()
	s := newAuditSite(t, nil)
	for query, want := range map[string]string{
		"":                          "session.refused deadletter.replayed finding.decided server.started",
		"?actor=ann":                "deadletter.replayed finding.decided",
		"?actor=p-1&action=finding": "finding.decided",
		"?kind=unknown":             "session.refused",
		"?subject=f1":               "finding.decided",
		"?via=web":                  "deadletter.replayed finding.decided",
		"?since=" + url.QueryEscape(now.Add(2*time.Minute).Format(time.RFC3339)): "session.refused deadletter.replayed",
		"?until=" + url.QueryEscape(now.Add(time.Minute).Format(time.RFC3339)):   "server.started",
	} {
		status, _, text, _ := s.send(http.MethodGet, "/api/v1/audit"+query, auditToken)
		var page audit.Page
		if err := json.Unmarshal([]byte(text), &page); err != nil || status != http.StatusOK {
			t.Fatalf("%s answers %d, %v: %s", query, status, err, text)
		}
		var got []string
		for i := range page.Events {
			got = append(got, page.Events[i].Action)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %s", query, got, want)
		}
	}
	var page audit.Page
	_, _, text, _ := s.send(http.MethodGet, "/api/v1/audit?limit=3", auditToken)
	if err := json.Unmarshal([]byte(text), &page); err != nil || len(page.Events) != 3 || page.Next == "" {
		t.Fatalf("the first page: %v: %s", err, text)
	}
	_, _, text, _ = s.send(http.MethodGet, "/api/v1/audit?limit=3&cursor="+page.Next, auditToken)
	if err := json.Unmarshal([]byte(text), &page); err != nil || len(page.Events) != 1 {
		t.Errorf("the second page: %v: %s", err, text)
	}
	for _, query := range []string{"?kind=robot", "?cursor=x", "?since=yesterday", "?limit=0", "?other=1"} {
		if status, _, text, _ := s.send(http.MethodGet, "/api/v1/audit"+query, auditToken); status != http.StatusUnprocessableEntity {
			t.Errorf("%s answers %d: %s", query, status, text)
		}
	}
	if status, _, text, _ := s.send(http.MethodGet, "/api/v1/audit/events/2", auditToken); status != http.StatusOK || !strings.Contains(text, `"action":"finding.decided"`) {
		t.Errorf("an event answers %d: %s", status, text)
	}
	if status, _, _, _ := s.send(http.MethodGet, "/api/v1/audit/events/9", auditToken); status != http.StatusNotFound {
		t.Errorf("an event that is not there answers %d", status)
	}
	_, _, text, _ = s.send(http.MethodGet, "/api/openapi.json", auditToken)
	for _, path := range []string{"/api/v1/audit", "/api/v1/audit/head", "/api/v1/audit/verify", "/api/v1/audit.csv", "/api/v1/audit.ndjson", "/api/v1/audit/events/{seq}"} {
		if !strings.Contains(text, `"`+path+`"`) {
			t.Errorf("the description does not have %s", path)
		}
	}
}

func TestAuditExports(t *testing.T) {
	t.Parallel()
	s := newAuditSite(t, nil)
	status, header, text, err := s.send(http.MethodGet, "/api/v1/audit.ndjson", auditToken)
	if err != nil || status != http.StatusOK || header.Get("Content-Type") != "application/x-ndjson" || !strings.Contains(header.Get("Content-Disposition"), ".ndjson") {
		t.Fatalf("NDJSON answers %d, %v, %v", status, err, header)
	}
	if report, err := audit.VerifyFile(t.Context(), strings.NewReader(text), audit.VerifyOptions{}); err != nil || report.Events != 4 {
		t.Errorf("the export is not whole: %+v, %v", report, err)
	}
	_, _, rest, _ := s.send(http.MethodGet, "/api/v1/audit.ndjson?after=3", auditToken)
	if !strings.HasSuffix(text, rest) || strings.Count(rest, "\n") != 1 {
		t.Errorf("what comes after event 3 is %s", rest)
	}
	_, _, some, _ := s.send(http.MethodGet, "/api/v1/audit.ndjson?actor=ann", auditToken)
	if strings.Count(some, "\n") != 2 {
		t.Errorf("a filtered export is %s", some)
	}
	_, header, text, err = s.send(http.MethodGet, "/api/v1/audit.csv?action=finding.", auditToken)
	rows, csvErr := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || csvErr != nil || len(rows) != 2 || rows[0][0] != "seq" || rows[1][7] != "finding.decided" || rows[1][11] != "'=HYPERLINK(1)" || rows[1][13] != `{"state":"<open>"}` {
		t.Errorf("CSV is %v, %v, %v: %s", rows, err, csvErr, header)
	}
	// An export that fails half-way does not look like a whole one.
	for _, path := range []string{"/api/v1/audit.ndjson", "/api/v1/audit.csv"} {
		broken := newAuditSite(t, func(a api.Audit) api.Audit { return failing{a} })
		if status, _, text, err := broken.send(http.MethodGet, path, auditToken); err == nil {
			t.Errorf("%s of a log that fails answers %d: %s", path, status, text)
		}
	}
}

func TestAuditIsForThosePermitted(t *testing.T) {
	t.Parallel()
	s := newAuditSite(t, nil)
	if status, _, text, _ := s.send(http.MethodGet, "/api/v1/audit", ""); status != http.StatusOK || !strings.Contains(text, `"events":[]`) {
		t.Errorf("a viewer without a name reads %d: %s", status, text)
	}
	for _, path := range []string{"/api/v1/audit.ndjson", "/api/v1/audit.csv"} {
		if status, _, text, _ := s.send(http.MethodGet, path, ""); status != http.StatusOK || strings.Contains(text, "ann") {
			t.Errorf("%s gives a viewer %d: %s", path, status, text)
		}
	}
	if status, _, _, _ := s.send(http.MethodGet, "/api/v1/audit/events/2", ""); status != http.StatusNotFound {
		t.Errorf("an event of somebody else answers %d", status)
	}
	if status, _, _, _ := s.send(http.MethodGet, "/api/v1/audit/head", ""); status != http.StatusForbidden {
		t.Errorf("the head answers a viewer with %d", status)
	}
	if status, _, _, _ := s.send(http.MethodPost, "/api/v1/audit/verify", ""); status != http.StatusForbidden {
		t.Errorf("verifying answers a viewer with %d", status)
	}
}

func TestAuditVerification(t *testing.T) {
	t.Parallel()
	s := newAuditSite(t, nil)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.watch.Run(ctx) })
	defer wg.Wait()
	defer stop()
	if status, _, text, _ := s.send(http.MethodPost, "/api/v1/audit/verify", auditToken); status != http.StatusAccepted || !strings.Contains(text, `"running":true`) {
		t.Errorf("verify answers %d: %s", status, text)
	}
	want, err := s.store.AuditHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		status, _, text, _ := s.send(http.MethodGet, "/api/v1/audit/head", auditToken)
		var head api.AuditStanding
		if err := json.Unmarshal([]byte(text), &head); err != nil || status != http.StatusOK {
			t.Fatalf("the head answers %d, %v: %s", status, err, text)
		}
		if head.Head == nil || *head.Head != want {
			t.Fatalf("the head is %+v, want %v", head.Head, want)
		}
		if !head.Verification.Running && head.Verification.Verified == want && head.Verification.Broken == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("it is not verified: %s", text)
		}
	}
}
