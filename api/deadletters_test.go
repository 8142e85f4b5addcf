package api_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gatehouse-project/gatehouse/api"
	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/deadletter"
	"github.com/gatehouse-project/gatehouse/identity"
	"github.com/gatehouse-project/gatehouse/store"
	"github.com/gatehouse-project/gatehouse/store/sqlite"
)

func TestDeadLetters(t *testing.T) {
	t.Parallel()
	w := apitest.Rich(now)
	s, err := sqlite.Open(t.Context(), "sqlite:"+t.TempDir()+"/state.db", store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	k, err := deadletter.New(deadletter.Options{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Box("kafka").Put(t.Context(), []deadletter.Refusal{{Transaction: w.Details[0].Samples[0], Reason: deadletter.TooLarge}, {Transaction: w.Details[1].Samples[0], Reason: deadletter.Refused}}); err != nil {
		t.Fatal(err)
	}
	const token = "a-token-that-is-long-enough-for-tests"
	guard, err := identity.New(identity.Options{Token: token, Anonymous: identity.Viewer})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(guard.Handler(api.New(api.Options{Inventory: w, DeadLetters: k})))
	t.Cleanup(srv.Close)
	send := func(method, path, body, bearer string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		if bearer != "" {
			req.Header.Set("Authorization", "Bearer "+bearer)
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
		return res.StatusCode, string(text)
	}
	var page deadletter.Page
	status, text := send(http.MethodGet, "/api/v1/dead-letters?reason=too_large", "", "")
	if err := json.Unmarshal([]byte(text), &page); err != nil || status != http.StatusOK || len(page.Letters) != 1 || page.Letters[0].TransactionID != w.Details[0].Samples[0].ID {
		t.Fatalf("the list answers %d, %v: %s", status, err, text)
	}
	id := page.Letters[0].ID
	if status, text := send(http.MethodGet, "/api/v1/dead-letters/"+id, "", ""); status != http.StatusOK || !strings.Contains(text, `"transaction":{"id":`) {
		t.Errorf("the letter answers %d: %s", status, text)
	}
	body := `{"ids":["` + id + `"]}`
	for _, do := range []string{"replay", "discard"} {
		if status, _ := send(http.MethodPost, "/api/v1/dead-letters/"+do, body, ""); status != http.StatusForbidden {
			t.Errorf("a viewer's %s answers %d", do, status)
		}
	}
	if status, text := send(http.MethodPost, "/api/v1/dead-letters/replay", body, token); status != http.StatusOK || !strings.Contains(text, `"letters":1`) {
		t.Errorf("replay answers %d: %s", status, text)
	}
	if l, err := k.Get(t.Context(), id); err != nil || !l.Replaying {
		t.Errorf("the letter is not replayed: %+v, %v", l, err)
	}
	if status, text := send(http.MethodPost, "/api/v1/dead-letters/discard", body, token); status != http.StatusOK || !strings.Contains(text, `"letters":1`) {
		t.Errorf("discard answers %d: %s", status, text)
	}
	for path, want := range map[string]int{"/" + id: 404, "/x": 422, "?cursor=x": 422, "?reason=strange": 422} {
		if status, text := send(http.MethodGet, "/api/v1/dead-letters"+path, "", ""); status != want {
			t.Errorf("%s answers %d: %s", path, status, text)
		}
	}
}
