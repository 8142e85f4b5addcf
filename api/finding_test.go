package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/api"
	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/finding"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
)

func TestFindings(t *testing.T) {
	t.Parallel()
	s, err := sqlite.Open(t.Context(), "sqlite:"+t.TempDir()+"/state.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	book := finding.NewBook(s, func() time.Time { return now })
	const token = "a-token-that-is-long-enough-for-tests"
	guard, err := identity.New(identity.Options{Token: token, Anonymous: identity.Viewer})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(guard.Handler(api.New(api.Options{Inventory: apitest.Rich(now), Findings: book, Version: "1.2.3"})))
	t.Cleanup(srv.Close)
	send := func(method, path, body string, headers ...string) (int, http.Header, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		for i := 0; i+1 < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, res.Header, string(text)
	}
	if status, _, text := send(http.MethodGet, "/api/v1/posture", ""); status != http.StatusNotFound {
		t.Errorf("before an evaluation the posture answers %d: %s", status, text)
	}
	_, err = book.Evaluate(t.Context(), &finding.Estate{Time: now, Places: []finding.Place{{Account: "111122223333", Region: "eu-west-1", APIs: []finding.API{{
		ID: "a1b2c3d4e5", Name: "Pets", Type: finding.REST, EndpointType: "REGIONAL", Stages: []finding.Stage{{Name: "prod", LoggingLevel: "OFF"}},
		Routes: []finding.Route{{ID: "res1", Method: "GET", Path: "/pets", Authorization: "NONE"}},
	}}}}})
	if err != nil {
		t.Fatal(err)
	}
	var page finding.Page
	status, _, text := send(http.MethodGet, "/api/v1/findings?rule=route-open&state=open,regressed&severity=high", "")
	if err := json.Unmarshal([]byte(text), &page); err != nil || status != http.StatusOK || page.Total != 1 || len(page.Findings) != 1 {
		t.Fatalf("the list answers %d, %v: %s", status, err, text)
	}
	path := "/api/v1/findings/" + page.Findings[0].ID
	status, header, text := send(http.MethodGet, path, "")
	tag := header.Get("ETag")
	if status != http.StatusOK || tag != `"1.1.2.3"` || !strings.Contains(text, "--resource-id res1 --http-method GET") || !strings.Contains(text, `"history":[{`) {
		t.Fatalf("the finding answers %d, %s: %s", status, tag, text)
	}
	if status, _, _ := send(http.MethodGet, path, "", "If-None-Match", tag); status != http.StatusNotModified {
		t.Errorf("the same version answers %d", status)
	}
	const body = `{"state":"accepted","reason":"an open beta","until":"2026-04-01T00:00:00Z"}`
	bearer := []string{"Authorization", "Bearer " + token}
	until := now.Add(10 * 24 * time.Hour).UTC().Format(time.RFC3339)
	accepted := strings.Replace(body, "2026-04-01T00:00:00Z", until, 1)
	for name, c := range map[string]struct {
		body    string
		headers []string
		want    int
	}{
		"a viewer":            {accepted, []string{"If-Match", tag}, http.StatusForbidden},
		"no If-Match":         {accepted, bearer, http.StatusPreconditionRequired},
		"another's If-Match":  {accepted, append([]string{"If-Match", `W/"abc"`}, bearer...), http.StatusPreconditionFailed},
		"an old version":      {accepted, append([]string{"If-Match", `"7.1.2.3"`}, bearer...), http.StatusPreconditionFailed},
		"fixed by hand":       {`{"state":"fixed","reason":"I say so"}`, append([]string{"If-Match", tag}, bearer...), http.StatusUnprocessableEntity},
		"no reason":           {`{"state":"acknowledged","reason":" "}`, append([]string{"If-Match", tag}, bearer...), http.StatusUnprocessableEntity},
		"accepted for ever":   {`{"state":"accepted","reason":"an open beta"}`, append([]string{"If-Match", tag}, bearer...), http.StatusUnprocessableEntity},
		"accepted for a past": {strings.Replace(body, "2026-04-01", "2001-04-01", 1), append([]string{"If-Match", tag}, bearer...), http.StatusUnprocessableEntity},
	} {
		if status, _, text := send(http.MethodPut, path+"/state", c.body, c.headers...); status != c.want {
			t.Errorf("%s: the answer is %d, not %d: %s", name, status, c.want, text)
		}
	}
	status, header, text = send(http.MethodPut, path+"/state", accepted, append([]string{"If-Match", tag}, bearer...)...)
	if status != http.StatusOK || header.Get("ETag") != `"2.1.2.3"` || !strings.Contains(text, `"by":"admin token"`) {
		t.Errorf("the decision answers %d, %s: %s", status, header.Get("ETag"), text)
	}
	if status, _, text := send(http.MethodPut, path+"/state", accepted, append([]string{"If-Match", tag}, bearer...)...); status != http.StatusPreconditionFailed {
		t.Errorf("the second decision about one version answers %d: %s", status, text)
	}
	if status, _, text := send(http.MethodGet, "/api/v1/finding-rules", ""); status != http.StatusOK || !strings.Contains(text, `"id":"route-open"`) {
		t.Errorf("the catalogue answers %d: %s", status, text)
	}
	if status, _, text := send(http.MethodGet, "/api/v1/posture", ""); status != http.StatusOK || !strings.Contains(text, `"rule":"route-open","pass":0,"fail":1`) || !strings.Contains(text, `"state":"accepted"`) {
		t.Errorf("the posture answers %d: %s", status, text)
	}
	if status, header, text := send(http.MethodGet, "/api/v1/findings.csv?rule=route-open&state=accepted", ""); status != http.StatusOK || strings.Count(text, "\n") != 2 ||
		!strings.Contains(text, ",route-open,") || !strings.Contains(header.Get("Content-Type"), "text/csv") {
		t.Errorf("the CSV answers %d: %s", status, text)
	}
	var exported []finding.Finding
	if status, _, text := send(http.MethodGet, "/api/v1/findings.json?rule=route-open", ""); status != http.StatusOK || json.Unmarshal([]byte(text), &exported) != nil || len(exported) != 1 {
		t.Errorf("the JSON answers %d: %s", status, text)
	}
	for path, want := range map[string]int{"/0000": 404, "?cursor=x": 422, "?severity=awful": 422, "?state=new": 422, "?limit=0": 422} {
		if status, _, text := send(http.MethodGet, "/api/v1/findings"+path, ""); status != want {
			t.Errorf("%s answers %d: %s", path, status, text)
		}
	}
}
