package post

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Many ask at once and one request is made; who gives up waiting is not held.
func TestOneTokenRequestAtATime(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := asked.Add(1)
		<-release
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"t%d","token_type":"Bearer","expires_in":"3600"}`, n)
	}))
	t.Cleanup(server.Close)
	tokens := newTokens(Credentials{
		TokenURL: server.URL, ClientID: "id", Secret: func() (string, error) { return "secret", nil },
	}, server.Client(), time.Now, func() {})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if token, err := tokens.get(t.Context()); token != "t1" || err != nil {
				t.Errorf("token %q, %v", token, err)
			}
		})
	}
	for asked.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := tokens.get(ctx); err == nil {
		t.Error("a token for a context that has ended")
	}
	close(release)
	wg.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("%d requests for a token", n)
	}
	// A token that was replaced is not dropped by who got the old one refused.
	tokens.drop("t0")
	if token, err := tokens.get(t.Context()); token != "t1" || err != nil {
		t.Errorf("token %q, %v", token, err)
	}
}

func TestTokenAnswers(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		body   string
		class  Class
	}{
		"busy":        {503, ``, Later},
		"rate":        {429, `{"error":"slow_down"}`, Later},
		"no client":   {400, `{"error":"invalid_client"}`, Misconfigured},
		"not found":   {404, `<html>`, Misconfigured},
		"not JSON":    {200, `<html>`, Later},
		"empty":       {200, `{}`, Later},
		"odd code":    {400, `{"error":"secret=abc"}`, Misconfigured},
		"other types": {200, `{"access_token":7}`, Later},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(tc.status)
			fmt.Fprint(w, tc.body)
		}))
		tokens := newTokens(Credentials{
			TokenURL: server.URL, ClientID: "id", Secret: func() (string, error) { return "abc", nil },
		}, server.Client(), time.Now, func() {})
		_, err := tokens.get(t.Context())
		if err == nil {
			t.Errorf("%s: a token", name)
		} else if class, _ := classify(err); class != tc.class {
			t.Errorf("%s: class %s (%v), want %s", name, class, err, tc.class)
		} else if text := err.Error(); len(text) > 300 || strings.Contains(text, "abc") {
			t.Errorf("%s: error %q", name, text)
		}
		server.Close()
	}
}

func TestRetryAfterForms(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, " 7 ": 7 * time.Second, "-1": 0, "soon": 0, "99999999999999999999": 0,
		"86400": maxRetryAfter, "9223372036854775807": maxRetryAfter,
		now.Add(time.Minute).Format(http.TimeFormat): time.Minute,
		now.Add(-time.Hour).Format(http.TimeFormat):  0,
		now.Add(time.Hour).Format(http.TimeFormat):   maxRetryAfter,
	} {
		if got := retryAfter(http.Header{"Retry-After": {text}}, now); got != want {
			t.Errorf("Retry-After %q: %s, want %s", text, got, want)
		}
	}
}
