package identity_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gatehouse-project/gatehouse/identity"
)

// A page that stands open is no use of its session.
func TestAnOpenStreamIsNoUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rosa := identity.Person{ID: "rosa", Name: "Rosa", Role: identity.Requester}
		g, err := identity.New(identity.Options{People: []identity.Person{rosa}, SessionIdle: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, handler: g.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))}
		in := w.do("GET", g.PersonLink("127.0.0.1:8080", rosa))
		began := time.Now()
		w.do("GET", "/stream", cookies(in))
		if took := time.Since(began); took < time.Hour || took > time.Hour+15*time.Second {
			t.Errorf("with an hour of idleness the stream went on for %v", took)
		}
	})
}

// A stream of events ends soon after its person may not see it any more.
func TestStreamsEndWithTheirSession(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(g *identity.Guard) error{
		"ended": func(g *identity.Guard) error {
			_, err := g.EndSessions(t.Context(), identity.Person{ID: "root"}, "rosa", "x")
			return err
		},
		"disabled": func(g *identity.Guard) error { return g.Disable(t.Context(), identity.Person{ID: "root"}, "rosa", "x") },
	} {
		synctest.Test(t, func(t *testing.T) {
			rosa := identity.Person{ID: "rosa", Name: "Rosa", Role: identity.Requester}
			g, err := identity.New(identity.Options{People: []identity.Person{rosa}, Anonymous: identity.Viewer})
			if err != nil {
				t.Fatal(err)
			}
			w := &world{t: t, handler: g.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/stream" {
					r.Header.Set("Cookie", "") // a handler may do that
					<-r.Context().Done()
				}
			}))}
			in := w.do("GET", g.PersonLink("127.0.0.1:8080", rosa))
			began := time.Now()
			done := make(chan struct{})
			go func() {
				defer close(done)
				r := httptest.NewRequest(http.MethodGet, "/stream", http.NoBody)
				r.Host = "127.0.0.1:8080"
				cookies(in)(r)
				w.handler.ServeHTTP(httptest.NewRecorder(), r)
			}()
			time.Sleep(time.Hour)
			select {
			case <-done:
				t.Fatalf("%s: the stream ended by itself", name)
			default:
			}
			if err := end(g); err != nil {
				t.Fatal(err)
			}
			<-done
			if took := time.Since(began) - time.Hour; took > 15*time.Second {
				t.Errorf("%s: the stream went on for %v", name, took)
			}
		})
	}
}
