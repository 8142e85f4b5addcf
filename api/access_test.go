package api_test

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gatehouse-project/gatehouse/access"
	"github.com/gatehouse-project/gatehouse/access/flow"
	"github.com/gatehouse-project/gatehouse/api"
)

// Every operation, asked by everybody: what each may do is a table that a reader can
// check, and an operation that is in no line of it fails.
func TestAccessOperationsByRole(t *testing.T) {
	t.Parallel()
	s := newLendSite(t)
	s.open()
	flows, err := json.Marshal(map[string]any{"text": lendFlows})
	if err != nil {
		t.Fatal(err)
	}
	who := []string{"", "vera", "rosa", "amir", "sofia", "token"}
	const (
		asking = "401 403 200 200 200 200" // who asks for access and above
		absent = "401 403 404 404 404 404"
		admins = "401 403 403 403 200 200"
		begins = "401 403 403 403 202 202"
	)
	test, err := json.Marshal(map[string]any{"by": "Rosa@example.com", "items": []map[string]string{{"integration": "prod", "type": "namespace", "resource": "payments", "permission": "edit"}}, "justification": "x"})
	if err != nil {
		t.Fatal(err)
	}
	table := []struct{ operation, method, path, body, header, want string }{
		{"list-access-catalog", "GET", "/catalog", "", "", asking},
		{"explain-access-request", "POST", "/requests/explain", askFor("payments", "edit", "x"), "", asking},
		{"request-access", "POST", "/requests", askFor("payments", "edit", "x"), "", "401 403 201 403 403 403"},
		{"list-access-requests", "GET", "/requests", "", "", asking},
		{"get-access-request", "GET", "/requests/rnone", "", "", absent},
		{"export-access-requests", "GET", "/requests.csv", "", "", asking},
		{"vote-access-request", "POST", "/requests/rnone/votes", `{"approve":true}`, "", "401 403 403 404 404 404"},
		{"cancel-access-request", "POST", "/requests/rnone/cancel", "", "", absent},
		{"list-access-grants", "GET", "/grants", "", "", asking},
		{"get-access-grant", "GET", "/grants/gnone", "", "", absent},
		{"get-access-grant-details", "GET", "/grants/gnone/details", "", "", absent},
		{"export-access-grants", "GET", "/grants.csv", "", "", asking},
		{"return-access-grant", "POST", "/grants/gnone/return", "", "", absent},
		{"revoke-access-grant", "POST", "/grants/gnone/revoke", `{"reason":"x"}`, "", absent},
		{"extend-access-grant", "POST", "/grants/gnone/extend", `{}`, "", absent},
		{"vend-access-credentials", "POST", "/credentials", `{"integration":"prod"}`, "", "401 403 409 409 409 409"},
		{"list-access-stops", "GET", "/stops", "", "", asking},
		{"stop-access", "POST", "/stops", `{"kind":"person","person":"nobody@example.com","reason":"x"}`, "", admins},
		{"lift-access-stop", "POST", "/stops/snone/lift", `{}`, "", "401 403 403 403 404 404"},
		{"show-access-clock", "GET", "/clock", "", "", admins},
		{"reset-access-clock", "POST", "/clock/reset", `{"reason":"x"}`, "", "401 403 403 403 422 422"},
		{"list-integration-types", "GET", "/integration-types", "", "", asking},
		{"list-integrations", "GET", "/integrations", "", "", asking},
		{"get-integration", "GET", "/integrations/prod", "", "", asking},
		{"save-integration", "PUT", "/integrations/prod", `{"type":"cluster","config":{"server":"x"}}`, `"999"`, "401 403 403 403 412 412"},
		{"delete-integration", "DELETE", "/integrations/prod", "", `"999"`, "401 403 403 403 412 412"},
		{"check-integration", "POST", "/integrations/prod/check", "", "", begins},
		{"discover-integration", "POST", "/integrations/prod/discover", "", "", begins},
		{"reconcile-integration", "POST", "/integrations/prod/reconcile", "", "", begins},
		{"get-integration-run", "GET", "/integrations/prod/runs/tnone", "", "", "401 403 403 403 404 404"},
		{"connect-integration", "POST", "/integrations/prod/connect", `{}`, "", admins},
		{"list-access-resources", "GET", "/resources", "", "", admins},
		{"get-flows", "GET", "/flows", "", "", asking},
		{"list-flow-versions", "GET", "/flows/versions", "", "", asking},
		{"plan-flows", "POST", "/flows/plan", string(flows), "", admins},
		{"apply-flows", "PUT", "/flows", string(flows), `"999"`, "401 403 403 403 412 412"},
		{"test-flows", "POST", "/flows/test", string(test), "", admins},
		{"get-flows-code", "GET", "/flows/code?as=terraform", "", "", asking},
		{"get-integration-code", "GET", "/integrations/prod/code", "", "", admins},
		{"get-access-code", "GET", "/code?as=terraform", "", "", admins},
	}
	seen := map[string]bool{"stream-access-events": true} // it has a test of its own
	for _, op := range table {
		seen[op.operation] = true
		var got []string
		for _, name := range who {
			header := map[string]string{}
			if op.header != "" {
				header["If-Match"] = op.header
			}
			status, h, text := s.ask(name, op.method, op.path, op.body, header, nil)
			got = append(got, fmt.Sprint(status))
			if status >= 400 && !strings.HasPrefix(h.Get("Content-Type"), "application/problem+json") {
				t.Errorf("%s as %q: an error of type %q: %s", op.operation, name, h.Get("Content-Type"), text)
			}
		}
		if d := cmp.Diff(strings.Fields(op.want), got); d != "" {
			t.Errorf("%s by %q: -want +got:\n%s", op.operation, who, d)
		}
	}
	for _, id := range s.operations() {
		if !seen[id] {
			t.Errorf("the operation %s is in no line of this table", id)
		}
		delete(seen, id)
	}
	if len(seen) > 0 {
		t.Errorf("there are no operations %q", slices.Sorted(maps.Keys(seen)))
	}
}

// operations are those of lending in the OpenAPI document.
func (s *lendSite) operations() []string {
	s.t.Helper()
	status, text := s.as("").send("GET", "/api/openapi.json", "")
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string   `json:"operationId"`
			Tags        []string `json:"tags"`
		} `json:"paths"`
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil || status != http.StatusOK {
		s.t.Fatalf("the document answers %d, %v", status, err)
	}
	var out []string
	for _, methods := range doc.Paths {
		for _, op := range methods {
			if slices.Contains(op.Tags, "Access") {
				out = append(out, op.OperationID)
			}
		}
	}
	return out
}

// The way of a grant over the API, with what each person is told on the way.
func TestAccessFromAskingToTheEnd(t *testing.T) {
	t.Parallel()
	s := newLendSite(t)
	s.open()
	var r requestBody
	s.must("rosa", "POST", "/requests", askFor("payments", "edit", "INC-7"), nil, &r)
	if r.State != "pending" || r.MayVote || !slices.Equal(r.CanApprove, []string{"amir@example.com"}) {
		t.Fatalf("the request is %+v", r)
	}
	// Who has nothing to do with it does not learn that it exists.
	if status, _, _ := s.ask("ravi", "GET", "/requests/"+r.ID, "", nil, nil); status != http.StatusNotFound {
		t.Errorf("somebody else gets %d", status)
	}
	// An admin is no approver, and neither is whoever has the token.
	for _, name := range []string{"sofia", "token"} {
		if status, _, text := s.ask(name, "POST", "/requests/"+r.ID+"/votes", `{"approve":true,"reason":"x"}`, nil, nil); status != http.StatusForbidden {
			t.Errorf("the vote of %s answers %d: %s", name, status, text)
		}
	}
	var inbox struct{ Requests []requestBody }
	if s.must("amir", "GET", "/requests?inbox=true", "", nil, &inbox); len(inbox.Requests) != 1 || !inbox.Requests[0].MayVote {
		t.Errorf("the inbox is %+v", inbox)
	}
	if status, _, text := s.ask("amir", "POST", "/requests/"+r.ID+"/votes", `{"approve":true}`, nil, nil); status != http.StatusUnprocessableEntity || !strings.Contains(text, "reason") {
		t.Errorf("agreeing without the reason that the flow wants answers %d: %s", status, text)
	}
	if status, _, text := s.ask("amir", "POST", "/requests/"+r.ID+"/votes", `{"approve":true,"reason":"fine","version":99}`, nil, nil); status != http.StatusConflict {
		t.Errorf("agreeing to another version answers %d: %s", status, text)
	}
	s.must("amir", "POST", "/requests/"+r.ID+"/votes", `{"approve":true,"reason":"fine"}`, nil, &r)
	if r.State != "approved" || r.Grant == "" {
		t.Fatalf("after the vote: %+v", r)
	}
	if status, _, text := s.ask("amir", "POST", "/requests/"+r.ID+"/votes", `{"approve":false}`, nil, nil); status != http.StatusConflict || !strings.Contains(text, "approved by amir@example.com") {
		t.Errorf("a vote too late answers %d: %s", status, text)
	}
	g := s.grant("rosa", r.Grant, "active")
	if g.MayRevoke || len(g.Items) != 1 || !g.Items[0].Confirmed {
		t.Errorf("the grant is %+v", g)
	}
	var details access.Details
	if s.must("rosa", "GET", "/grants/"+g.ID+"/details", "", nil, &details); len(details.Snippets) != 1 || details.Text == "" {
		t.Errorf("the details are %+v", details)
	}
	if status, _, _ := s.ask("amir", "GET", "/grants/"+g.ID+"/details", "", nil, nil); status != http.StatusNotFound {
		t.Errorf("the details for somebody else answer %d", status)
	}
	if status, _, text := s.ask("rosa", "POST", "/grants/"+g.ID+"/extend", `{}`, nil, nil); status != http.StatusForbidden || !strings.Contains(text, "extended") {
		t.Errorf("an extension that no flow gives answers %d: %s", status, text)
	}
	if status, _, _ := s.ask("rosa", "POST", "/grants/"+g.ID+"/revoke", `{"reason":"x"}`, nil, nil); status != http.StatusForbidden {
		t.Errorf("the holder revokes: %d", status)
	}
	s.must("amir", "POST", "/grants/"+g.ID+"/revoke", `{"reason":"done"}`, nil, nil)
	s.grant("rosa", g.ID, "ended")
	s.target.mu.Lock()
	left := len(s.target.has)
	s.target.mu.Unlock()
	if left != 0 {
		t.Errorf("the target still has %d objects", left)
	}
	if status, _, text := s.ask("rosa", "GET", "/grants/"+g.ID+"/details", "", nil, nil); status != http.StatusConflict {
		t.Errorf("the details of what has ended answer %d: %s", status, text)
	}
}

// What a flow does not give is refused with each flow's reason.
func TestAccessRefusalGivesReasons(t *testing.T) {
	t.Parallel()
	s := newLendSite(t)
	s.open()
	for body, want := range map[string]struct {
		status int
		text   string
	}{
		askFor("payments", "edit", ""): {http.StatusForbidden, "justification"},
		askFor("payments", "own", "x"): {http.StatusUnprocessableEntity, `has no permission \"own\"; it has view, edit`},
		askFor("nowhere", "edit", "x"): {http.StatusNotFound, `prod has no resource`},
		`{}`:                           {http.StatusUnprocessableEntity, "say what you ask for"},
		`{"bundle":"b"}`:               {http.StatusNotFound, "bundle"},
		`{"for":"ravi@example.com",` + askFor("payments", "edit", "x")[1:]: {http.StatusForbidden, "may not ask for ravi@example.com"},
		`{"duration_seconds":86400,` + askFor("payments", "edit", "x")[1:]: {http.StatusForbidden, "2h"},
		`{"duration_seconds":-1,` + askFor("payments", "edit", "x")[1:]:    {http.StatusUnprocessableEntity, "duration_seconds"},
		`{"break_glass":true,` + askFor("payments", "edit", "x")[1:]:       {http.StatusForbidden, "glass"},
		`{"something_else":true,` + askFor("payments", "edit", "x")[1:]:    {http.StatusUnprocessableEntity, "something_else"},
		askFor("payments", "edit", strings.Repeat("x", 3000)):              {http.StatusUnprocessableEntity, "2000"},
	} {
		if status, _, text := s.ask("rosa", "POST", "/requests", body, nil, nil); status != want.status || !strings.Contains(text, want.text) {
			t.Errorf("%.80s answers %d, want %d with %q: %s", body, status, want.status, want.text, text)
		}
	}
	var problem struct {
		Detail string
		Errors []struct{ Message string }
	}
	status, _, text := s.ask("amir", "POST", "/requests", askFor("payments", "edit", "x"), nil, nil)
	if err := json.Unmarshal([]byte(text), &problem); err != nil || status != http.StatusForbidden || len(problem.Errors) != 1 || !strings.Contains(problem.Errors[0].Message, "group dev") {
		t.Errorf("who is no requestor gets %d with the reasons %+v", status, problem)
	}
}

func TestAccessRequestSentAgain(t *testing.T) {
	t.Parallel()
	s := newLendSite(t)
	s.open()
	key := map[string]string{"Idempotency-Key": "7f9c"}
	var first, again requestBody
	s.must("rosa", "POST", "/requests", askFor("payments", "view", "x"), key, &first)
	s.must("rosa", "POST", "/requests", askFor("payments", "view", "x"), key, &again)
	if first.ID != again.ID || first.Grant == "" || first.Grant != again.Grant {
		t.Errorf("the same request twice is %+v and %+v", first, again)
	}
	if status, _, text := s.ask("rosa", "POST", "/requests", askFor("orders", "view", "x"), key, nil); status != http.StatusUnprocessableEntity || !strings.Contains(text, "new key") {
		t.Errorf("another request with the key answers %d: %s", status, text)
	}
	var other requestBody
	if s.must("ravi", "POST", "/requests", askFor("payments", "view", "x"), key, &other); other.ID == first.ID {
		t.Error("two people share a request by their keys")
	}
}

// Nobody overwrites what they have not seen.
func TestAccessIfMatch(t *testing.T) {
	t.Parallel()
	s := newLendSite(t)
	const settings = `{"type":"cluster","config":{"server":"%s"}}`
	put := func(server string, header map[string]string) (int, http.Header, string) {
		return s.ask("sofia", "PUT", "/integrations/prod", fmt.Sprintf(settings, server), header, nil)
	}
	if status, _, text := put("a", nil); status != http.StatusPreconditionRequired || !strings.Contains(text, "If-Match") {
		t.Errorf("without If-Match: %d %s", status, text)
	}
	status, h, text := put("a", map[string]string{"If-None-Match": "*"})
	if status != http.StatusCreated {
		t.Fatalf("adding answers %d: %s", status, text)
	}
	if status, _, _ := put("b", map[string]string{"If-None-Match": "*"}); status != http.StatusConflict {
		t.Errorf("adding twice answers %d", status)
	}
	first := h.Get("ETag")
	if status, h, text = put("b", map[string]string{"If-Match": first}); status != http.StatusOK || h.Get("ETag") == first {
		t.Fatalf("changing what was seen answers %d, tag %s: %s", status, h.Get("ETag"), text)
	}
	if status, _, text := put("c", map[string]string{"If-Match": first}); status != http.StatusPreconditionFailed || !strings.Contains(text, "version 2") {
		t.Errorf("changing what was seen before answers %d: %s", status, text)
	}
	// A check changes the answer and not the version: who polls sees it, and whoever
	// saw the settings may still change them.
	seen := h.Get("ETag")
	s.must("sofia", "POST", "/integrations/prod/connect", `{"apply":true}`, nil, nil)
	if status, h, _ := s.ask("sofia", "GET", "/integrations/prod", "", map[string]string{"If-None-Match": seen}, nil); status != http.StatusOK || h.Get("ETag") == seen {
		t.Errorf("after a check the answer is %d with the tag %s", status, h.Get("ETag"))
	}
	if status, _, text := put("d", map[string]string{"If-Match": seen}); status != http.StatusOK {
		t.Errorf("changing settings after a check answers %d: %s", status, text)
	}
	if status, _, text := s.ask("sofia", "PUT", "/integrations/prod", `{"type":"cluster"}`, map[string]string{"If-Match": `"3"`}, nil); status != http.StatusUnprocessableEntity || !strings.Contains(text, "config.server is missing") {
		t.Errorf("settings that cannot be answer %d: %s", status, text)
	}
	for _, match := range []string{"x", `"-1"`, `""`} {
		if status, _, _ := put("e", map[string]string{"If-Match": match}); status != http.StatusPreconditionFailed {
			t.Errorf("If-Match: %s answers %d", match, status)
		}
	}
	status, _, text = s.ask("sofia", "DELETE", "/integrations/prod", "", map[string]string{"If-Match": `"3"`}, nil)
	if status != http.StatusNoContent {
		t.Errorf("removing answers %d: %s", status, text)
	}
}

// An integration that is lent from stays, and what a panic stops is told.
func TestAccessStopsAndBusyIntegrations(t *testing.T) {
	t.Parallel()
	s := newLendSite(t)
	s.open()
	var r requestBody
	s.must("rosa", "POST", "/requests", askFor("payments", "view", "x"), nil, &r)
	s.grant("rosa", r.Grant, "active")
	tag := s.must("sofia", "GET", "/integrations/prod", "", nil, nil).Get("ETag")
	if status, _, text := s.ask("sofia", "DELETE", "/integrations/prod", "", map[string]string{"If-Match": tag}, nil); status != http.StatusConflict || !strings.Contains(text, "1 grant is not ended") {
		t.Errorf("removing an integration that is lent from answers %d: %s", status, text)
	}
	if status, _, text := s.ask("sofia", "POST", "/stops", `{"kind":"person","reason":"x"}`, nil, nil); status != http.StatusUnprocessableEntity {
		t.Errorf("a stop without a scope answers %d: %s", status, text)
	}
	var stopped struct{ Grants int }
	if s.must("sofia", "POST", "/stops", `{"kind":"all","reason":"breach"}`, nil, &stopped); stopped.Grants != 1 {
		t.Errorf("the stop ended %d grants", stopped.Grants)
	}
	s.grant("rosa", r.Grant, "ended")
	if status, _, text := s.ask("rosa", "POST", "/requests", askFor("payments", "view", "x"), nil, nil); status != http.StatusForbidden || !strings.Contains(text, "breach") {
		t.Errorf("asking under a stop answers %d: %s", status, text)
	}
	var stops []access.Stop
	if s.must("rosa", "GET", "/stops", "", nil, &stops); len(stops) != 1 {
		t.Fatalf("the stops are %+v", stops)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		status, _, text := s.ask("sofia", "POST", "/stops/"+stops[0].ID+"/lift", `{}`, nil, nil)
		if status == http.StatusNoContent {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("lifting answers %d: %s", status, text)
		}
	}
	s.must("rosa", "POST", "/requests", askFor("payments", "view", "x"), nil, nil)
}

// Credentials are the person's own, and no cache keeps them.
func TestAccessCredentials(t *testing.T) {
	t.Parallel()
	s := newLendSite(t)
	s.open()
	var r requestBody
	s.must("rosa", "POST", "/requests", askFor("payments", "view", "x"), nil, &r)
	s.grant("rosa", r.Grant, "active")
	var c map[string]any
	h := s.must("rosa", "POST", "/credentials", `{"integration":"prod"}`, nil, &c)
	if h.Get("Cache-Control") != "no-store" || h.Get("ETag") != "" {
		t.Errorf("credentials come with Cache-Control %q and ETag %q", h.Get("Cache-Control"), h.Get("ETag"))
	}
	// The names are credential_process's own.
	if c["Version"] != 1.0 || c["AccessKeyId"] != "ASIA-Rosa@example.com" || c["SecretAccessKey"] != "hush" || c["SessionToken"] != "token" || c["Expiration"] == "" {
		t.Errorf("the credentials are %v", c)
	}
	for _, name := range []string{"ravi", "amir", "sofia", "token"} {
		if status, _, text := s.ask(name, "POST", "/credentials", fmt.Sprintf(`{"integration":"prod","grant":%q}`, r.Grant), nil, nil); status < 400 || strings.Contains(text, "hush") {
			t.Errorf("%s gets %d: %s", name, status, text)
		}
	}
	for _, list := range []string{"/grants", "/grants/" + r.Grant, "/requests", "/grants.csv"} {
		if _, _, text := s.ask("sofia", "GET", list, "", nil, nil); strings.Contains(text, "hush") {
			t.Errorf("%s shows a secret", list)
		}
	}
}

func TestAccessTables(t *testing.T) {
	t.Parallel()
	s := newLendSite(t)
	s.open()
	var r requestBody
	s.must("rosa", "POST", "/requests", askFor("payments", "edit", `=HYPERLINK("http://evil.example")`), nil, &r)
	for path, want := range map[string]int{"/requests.csv": 2, "/grants.csv": 1, "/requests.csv?state=approved": 1} {
		h := s.must("sofia", "GET", path, "", nil, nil)
		_, _, text := s.ask("sofia", "GET", path, "", nil, nil)
		rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
		if err != nil || len(rows) != want || !strings.HasPrefix(h.Get("Content-Type"), "text/csv") || !strings.Contains(h.Get("Content-Disposition"), "attachment") {
			t.Errorf("%s has %d rows, want %d, %v: %s", path, len(rows), want, err, text)
		}
		for _, row := range rows {
			for _, cell := range row {
				if strings.HasPrefix(cell, "=") {
					t.Errorf("%s has a formula: %s", path, cell)
				}
			}
		}
	}
	// Others' rows are nobody's business.
	if _, _, text := s.ask("ravi", "GET", "/requests.csv", "", nil, nil); strings.Contains(text, r.ID) {
		t.Errorf("a requester exports the requests of others")
	}
}

// A page follows what changes; what it may not see has no name.
func TestAccessEvents(t *testing.T) {
	t.Parallel()
	s := newLendSite(t)
	s.open()
	follow := func(name string) <-chan access.Event {
		c := s.as(name)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.server.URL+"/api/v1/access/events", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.client.Do(r)
		if err != nil || res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("following answers %v, %v", res, err)
		}
		events := make(chan access.Event, 100)
		go func() {
			defer close(events)
			defer func() { _ = res.Body.Close() }()
			for lines := bufio.NewScanner(res.Body); lines.Scan(); {
				var e access.Event
				if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && json.Unmarshal([]byte(data), &e) == nil {
					events <- e
				}
			}
		}()
		return events
	}
	mine, others := follow("rosa"), follow("ravi")
	if status, _, _ := s.ask("vera", "GET", "/events", "", nil, nil); status != http.StatusForbidden {
		t.Errorf("a viewer follows: %d", status)
	}
	var r requestBody
	s.must("rosa", "POST", "/requests", askFor("payments", "edit", "x"), nil, &r)
	next := func(events <-chan access.Event) access.Event {
		for {
			select {
			case e := <-events:
				if e.Kind == "request" {
					return e
				}
			case <-time.After(time.Minute):
				t.Fatal("nothing is told of the request")
			}
		}
	}
	if e := next(mine); e.ID != r.ID {
		t.Errorf("the one who asked is told of %+v", e)
	}
	if e := next(others); e.ID != "" {
		t.Errorf("somebody else is told of %+v", e)
	}
}

func TestAccessAsCode(t *testing.T) {
	t.Parallel()
	s := newLendSite(t)
	s.open()
	for path, want := range map[string][]string{
		"/flows/code":                          {"name: edit", "auto_approve: true"},
		"/flows/code?as=terraform":             {"apono_access_flow_v2"},
		"/integrations/prod/code":              {"name: prod", "server: x"},
		"/integrations/prod/code?as=terraform": {"apono_resource_integration"},
		"/code":                                {"integrations:", "flows:"},
	} {
		var code api.AccessCode
		s.must("sofia", "GET", path, "", nil, &code)
		for _, text := range want {
			if !strings.Contains(code.Text, text) {
				t.Errorf("%s does not have %q:\n%s", path, text, code.Text)
			}
		}
	}
	// What a requester sees of flows holds nothing of how targets are reached.
	var code api.AccessCode
	if s.must("rosa", "GET", "/flows/code", "", nil, &code); strings.Contains(code.Text, "server:") {
		t.Errorf("the flows as code show settings:\n%s", code.Text)
	}
	// What was written is what can be applied: nothing changes.
	text, err := json.Marshal(map[string]any{"text": code.Text, "prune": true})
	if err != nil {
		t.Fatal(err)
	}
	var plan access.FlowPlan
	if s.must("sofia", "POST", "/flows/plan", string(text), nil, &plan); plan.HasChanges() || plan.HasErrors() {
		t.Errorf("applying what was exported would do %+v", plan)
	}
}

func TestAccessFlowsByAPI(t *testing.T) {
	t.Parallel()
	s := newLendSite(t)
	s.open()
	put := func(text, match string) (int, string) {
		body, err := json.Marshal(map[string]any{"text": text, "prune": true})
		if err != nil {
			t.Fatal(err)
		}
		status, _, answer := s.ask("sofia", "PUT", "/flows", string(body), map[string]string{"If-Match": match}, nil)
		return status, answer
	}
	broken := strings.Replace(lendFlows, "duration:", "durations:", 1)
	status, text := put(broken, `"1"`)
	var plan access.FlowPlan
	if err := json.Unmarshal([]byte(text), &plan); err != nil || status != http.StatusOK || !plan.HasErrors() || plan.Version != 0 || plan.Problems[0].Line == 0 {
		t.Errorf("a text that cannot be read answers %d: %s", status, text)
	}
	if status, text := put("flows: []", `"0"`); status != http.StatusPreconditionFailed {
		t.Errorf("another version than the one in force answers %d: %s", status, text)
	}
	if status, text := put(strings.Replace(lendFlows, "max: 2h", "max: 3h", 1), `"1"`); status != http.StatusOK || !strings.Contains(text, `"version":2`) {
		t.Errorf("a change answers %d: %s", status, text)
	}
	var trial api.AccessExplanation
	body := `{"by":"Rosa@example.com",` + askFor("payments", "edit", "x")[1:]
	if s.must("sofia", "POST", "/flows/test", body, nil, &trial); trial.Trial == nil || !slices.Equal(trial.CanApprove, []string{"amir@example.com"}) {
		t.Errorf("a test says %+v", trial)
	}
	if trial.Asked != "in_force" || trial.Trial.Version != 2 {
		t.Errorf("a test says that it asked %q, version %d", trial.Asked, trial.Trial.Version)
	}
	for _, draft := range []string{"", "flows: []"} {
		var e api.AccessExplanation
		if s.must("sofia", "POST", "/flows/test", fmt.Sprintf(`{"text":%q,`, draft)+body[1:], nil, &e); e.Asked != "draft" || e.Terms.Outcome != flow.Refused || e.Trial.Version != 0 {
			t.Errorf("the draft %q says %+v", draft, e)
		}
	}
	var versions []access.FlowVersion
	if s.must("rosa", "GET", "/flows/versions", "", nil, &versions); len(versions) != 2 || versions[0].By != "sofia@example.com" {
		t.Errorf("the versions are %+v", versions)
	}
}
