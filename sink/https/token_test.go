package https

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/sink/post"
	"github.com/gatehouse-project/gatehouse/sink/sinktest"
	"github.com/gatehouse-project/gatehouse/transaction"
)

// A token is renewed before its end, in the middle of a run.
func TestTokenIsRenewedBeforeItsEnd(t *testing.T) {
	t.Parallel()
	w := setup(t, "?batch_count=1", nil)
	for i, step := range []struct {
		pass time.Duration
		want int
	}{{0, 1}, {10 * time.Minute, 1}, {18 * time.Minute, 1}, {90 * time.Second, 2}, {28 * time.Minute, 2}, {time.Hour, 3}} {
		w.set(func() { w.now = w.now.Add(step.pass) })
		if err := w.sink.Deliver(t.Context(), sinktest.Calls(i, 1)); err != nil {
			t.Fatal(err)
		}
		if w.tokens != step.want {
			t.Errorf("step %d: %d tokens, want %d", i, w.tokens, step.want)
		}
	}
	if w.requests != 6 {
		t.Errorf("%d requests for 6 calls: a token was used after its end", w.requests)
	}
}

// The platform forgets its tokens: one renewal, and nobody notices.
func TestRefusedTokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	w := setup(t, "", nil)
	if err := w.sink.Deliver(t.Context(), sinktest.Calls(0, 5)); err != nil {
		t.Fatal(err)
	}
	w.set(func() { clear(w.valid) })
	if err := w.sink.Deliver(t.Context(), sinktest.Calls(5, 5)); err != nil {
		t.Fatal(err)
	}
	w.wantIDs(ids(sinktest.Calls(0, 10)))
	if w.tokens != 2 || w.requests != 3 {
		t.Errorf("%d tokens and %d requests, want 2 and 3", w.tokens, w.requests)
	}
}

// The platform refuses every token: no storm of requests, an error that says
// what to mend and holds no secret, and all is delivered in the end.
func TestStormOfRefusedTokens(t *testing.T) {
	t.Parallel()
	w := setup(t, "", func(c *Config) {
		c.Now = time.Now
		c.Header = map[string]string{"x-tenant-key": "header-value-that-is-secret"}
	})
	w.set(func() { w.deny = true })
	batch := sinktest.Calls(0, 5)
	for range 4 {
		err := w.sink.Deliver(t.Context(), batch)
		e := delivery(t, err)
		if e.Class != post.Unauthorized || e.Status != http.StatusUnauthorized || e.Open != 5 || !strings.Contains(e.Mend(), "client id") {
			t.Errorf("err = %+v, mend %q", e, e.Mend())
		}
		if strings.Contains(err.Error(), "token-") || !strings.Contains(err.Error(), transaction.Redacted) {
			t.Errorf("the error has the token that the platform repeated: %v", err)
		}
	}
	// One for the first try and one renewal each.
	if w.requests != 8 || w.tokens > 8 {
		t.Errorf("%d requests and %d tokens in 4 deliveries", w.requests, w.tokens)
	}
	w.set(func() { w.deny = false })
	if err := w.sink.Deliver(t.Context(), batch); err != nil {
		t.Fatal(err)
	}
	w.wantIDs(ids(batch))
	for _, secret := range []string{"token-", clientSecret, "header-value-that-is-secret"} {
		if strings.Contains(w.log.String(), secret) {
			t.Errorf("the log has %s:\n%s", secret, w.log)
		}
	}
}

func TestWrongSecret(t *testing.T) {
	t.Parallel()
	const wrong = "wrong-secret-value"
	w := setup(t, "", func(c *Config) {
		c.Credentials.Secret = func() (string, error) { return wrong, nil }
	})
	err := w.sink.Deliver(t.Context(), sinktest.Calls(0, 1))
	e := delivery(t, err)
	if e.Class != post.Misconfigured || !strings.Contains(err.Error(), "401 invalid_client") || !strings.Contains(e.Mend(), "client secret") {
		t.Errorf("err = %v, mend %q", err, e.Mend())
	}
	if strings.Contains(err.Error(), wrong) {
		t.Errorf("the error has the secret: %v", err)
	}
	w.wantIDs([]string{})
}

// The secret is read anew: it may change while the sink runs.
func TestSecretIsReadAnew(t *testing.T) {
	t.Parallel()
	secret := "not yet"
	w := setup(t, "", func(c *Config) {
		c.Credentials.Secret = func() (string, error) { return secret, nil }
		c.Now = time.Now
	})
	if err := w.sink.Deliver(t.Context(), sinktest.Calls(0, 1)); err == nil {
		t.Fatal("delivered with a wrong secret")
	}
	secret = clientSecret
	if err := w.sink.Deliver(t.Context(), sinktest.Calls(0, 1)); err != nil {
		t.Fatal(err)
	}
}
