package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/api"
	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/identity"
)

// caller sends requests as one person.
type caller struct {
	t      *testing.T
	server *httptest.Server
	client *http.Client
	bearer string
}

func (c *caller) send(method, path, body string) (int, string) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.server.URL+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	res, err := c.client.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

func TestPeopleAndSessions(t *testing.T) {
	t.Parallel()
	const token = "a-token-that-is-long-enough-for-tests"
	rosa := identity.Person{ID: "rosa", Name: "Rosa", Email: "rosa@example.com", Role: identity.Requester, Groups: []string{"dev"}}
	sofia := identity.Person{ID: "sofia", Name: "Sofia", Email: "sofia@example.com", Role: identity.Admin}
	guard, err := identity.New(identity.Options{Token: token, Anonymous: identity.Viewer, People: []identity.Person{rosa, sofia}})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(guard.Handler(api.New(api.Options{Inventory: apitest.Rich(now), Identity: guard, Version: "1.2.3"})))
	t.Cleanup(srv.Close)
	enter := func(p identity.Person) *caller {
		jar, err := cookiejar.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		c := &caller{t: t, server: srv, client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
		if p.ID != "" {
			if status, text := c.send("GET", strings.TrimPrefix(guard.PersonLink(srv.Listener.Addr().String(), p), srv.URL), ""); status != 303 {
				t.Fatalf("signing in answers %d: %s", status, text)
			}
		}
		return c
	}
	nobody, one, two, admin := enter(identity.Person{}), enter(rosa), enter(rosa), enter(sofia)
	token1 := enter(identity.Person{})
	token1.bearer = token

	var me struct {
		SignedIn bool `json:"signed_in"`
		Person   struct {
			ID, Role, Via string
			Groups        []string
		}
		Session *struct {
			ID      string
			Kind    string
			Ends    time.Time
			Current bool
		}
	}
	status, text := one.send("GET", "/api/v1/me", "")
	if err := json.Unmarshal([]byte(text), &me); err != nil || status != 200 || !me.SignedIn || me.Person.ID != "rosa" || me.Person.Role != "requester" ||
		me.Person.Via != "web" || me.Session == nil || me.Session.Kind != "web" || !me.Session.Ends.After(time.Now().Add(11*time.Hour)) {
		t.Errorf("me is %d, %v: %s", status, err, text)
	}
	if status, text := nobody.send("GET", "/api/v1/me", ""); status != 200 || !strings.Contains(text, `"signed_in":false`) || strings.Contains(text, "session\"") {
		t.Errorf("me of nobody is %d: %s", status, text)
	}
	if status, text := token1.send("GET", "/api/v1/me", ""); status != 200 || !strings.Contains(text, `"id":"admin-token"`) {
		t.Errorf("me of the token is %d: %s", status, text)
	}
	for name, c := range map[string]struct {
		who          *caller
		method, path string
		body         string
		want         int
	}{
		"another's sessions":         {one, "GET", "/api/v1/sessions?person=sofia", "", 403},
		"sessions of nobody":         {nobody, "GET", "/api/v1/sessions", "", 401},
		"another's, as an admin":     {admin, "GET", "/api/v1/sessions?person=rosa@EXAMPLE.com", "", 200},
		"somebody's unknown":         {admin, "GET", "/api/v1/sessions?person=eve", "", 404},
		"people":                     {one, "GET", "/api/v1/people", "", 403},
		"people, as nobody":          {nobody, "GET", "/api/v1/people", "", 401},
		"oneself":                    {one, "GET", "/api/v1/people/rosa", "", 200},
		"another":                    {one, "GET", "/api/v1/people/sofia", "", 403},
		"a cursor":                   {admin, "GET", "/api/v1/people?cursor=!!", "", 422},
		"revoking another's":         {one, "POST", "/api/v1/sessions/revoke", `{"person":"sofia"}`, 403},
		"revoking, as nobody":        {nobody, "POST", "/api/v1/sessions/revoke", `{}`, 401},
		"revoking one unknown":       {one, "POST", "/api/v1/sessions/revoke", `{"session":"abc"}`, 404},
		"disabling, as a requester":  {one, "PUT", "/api/v1/people/sofia/disabled", `{"disabled":true,"reason":"x"}`, 403},
		"disabling, as nobody":       {nobody, "PUT", "/api/v1/people/sofia/disabled", `{"disabled":true,"reason":"x"}`, 401},
		"disabling without a reason": {admin, "PUT", "/api/v1/people/rosa/disabled", `{"disabled":true,"reason":""}`, 422},
		"disabling oneself":          {admin, "PUT", "/api/v1/people/sofia/disabled", `{"disabled":true,"reason":"x"}`, 409},
		"disabling somebody unknown": {admin, "PUT", "/api/v1/people/eve/disabled", `{"disabled":true,"reason":"x"}`, 404},
	} {
		if status, text := c.who.send(c.method, c.path, c.body); status != c.want {
			t.Errorf("%s answers %d, want %d: %s", name, status, c.want, text)
		}
	}
	// Another's session cannot be named as one's own.
	_, text = admin.send("GET", "/api/v1/me", "")
	if err := json.Unmarshal([]byte(text), &me); err != nil {
		t.Fatal(err)
	}
	if status, _ := one.send("POST", "/api/v1/sessions/revoke", `{"session":"`+me.Session.ID+`"}`); status != 404 {
		t.Errorf("ending an admin's session by its id answers %d", status)
	}
	if status, text := one.send("POST", "/api/v1/sessions/revoke", `{"session":"current"}`); status != 200 || !strings.Contains(text, `"ended":1`) {
		t.Errorf("ending one's own answers %d: %s", status, text)
	}
	if _, text := one.send("GET", "/api/v1/me", ""); !strings.Contains(text, `"signed_in":false`) {
		t.Errorf("after that it is %s", text)
	}
	if _, text := two.send("GET", "/api/v1/sessions", ""); strings.Count(text, `"id"`) != 1 || !strings.Contains(text, `"current":true`) {
		t.Errorf("the other one stays: %s", text)
	}
	status, text = admin.send("PUT", "/api/v1/people/rosa/disabled", `{"disabled":true,"reason":"left"}`)
	if status != 200 || !strings.Contains(text, `"by":"Sofia"`) || !strings.Contains(text, `"role":"none"`) {
		t.Errorf("disabling answers %d: %s", status, text)
	}
	if _, text := two.send("GET", "/api/v1/me", ""); !strings.Contains(text, `"signed_in":false`) {
		t.Errorf("somebody disabled is %s", text)
	}
	if status, _ := two.send("GET", strings.TrimPrefix(guard.PersonLink(srv.Listener.Addr().String(), rosa), srv.URL), ""); status != 403 {
		t.Errorf("signing in again answers %d", status)
	}
	if status, _ := admin.send("PUT", "/api/v1/people/rosa/disabled", `{"disabled":false,"reason":"back"}`); status != 200 {
		t.Errorf("enabling answers %d", status)
	}
	var page api.People
	cursor, seen := "", []string{}
	for range 5 {
		_, text := admin.send("GET", "/api/v1/people?limit=1&cursor="+cursor, "")
		page = api.People{}
		if err := json.Unmarshal([]byte(text), &page); err != nil {
			t.Fatalf("%v: %s", err, text)
		}
		for i := range page.People {
			seen = append(seen, page.People[i].ID)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if strings.Join(seen, " ") != "rosa sofia" {
		t.Errorf("the pages of people hold %v", seen)
	}
	if _, text := nobody.send("GET", "/api/openapi.json", ""); !strings.Contains(text, `"/api/v1/sessions/revoke"`) || strings.Contains(text, "Sealed") {
		t.Error("the description lacks the sessions")
	}
}
