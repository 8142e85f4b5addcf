package dashboard_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/api"
	"github.com/gatehouse-project/gatehouse/api/apitest"
	"github.com/gatehouse-project/gatehouse/dashboard"
	"github.com/gatehouse-project/gatehouse/identity"
)

const token = "a-token-that-is-long-enough-for-tests"

// product puts the faces together as the product does: the guard before the API
// and the pages.
func product(t *testing.T, w *apitest.World, clock func() time.Time, anonymous identity.Role) *httptest.Server {
	t.Helper()
	return productWith(t, w, clock, anonymous, nil)
}

// productWith also has a place for dead letters.
func productWith(t *testing.T, w *apitest.World, clock func() time.Time, anonymous identity.Role, letters dashboard.DeadLetters) *httptest.Server {
	t.Helper()
	return productOf(t, w, anonymous, dashboard.Options{DeadLetters: letters, Clock: clock})
}

// productOf also has what the options name beside the world.
func productOf(t *testing.T, w *apitest.World, anonymous identity.Role, pages dashboard.Options) *httptest.Server {
	t.Helper()
	pages.Inventory, pages.Health, pages.Estate, pages.Tail, pages.Version = w, w.Health, w.Estate, w.Tail, "1.2.3"
	o := api.Options{Inventory: w, Health: w.Health, Estate: w.Estate, Tail: w.Tail, Clock: pages.Clock, Version: "1.2.3", Tick: 100 * time.Millisecond}
	if pages.Findings != nil {
		o.Findings = pages.Findings
	}
	if pages.Logging != nil {
		o.Logging = pages.Logging
	}
	o.History = pages.History
	rest := api.New(o)
	guard, err := identity.New(identity.Options{Token: token, Anonymous: anonymous, SignIn: dashboard.SignIn(pages)})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/api/", rest)
	mux.Handle("/", dashboard.New(pages))
	srv := httptest.NewServer(guard.Handler(mux))
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv
}
