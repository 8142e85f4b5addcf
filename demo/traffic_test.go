package demo

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gatehouse-project/gatehouse/transaction"
)

// kinds are what happened to calls: what a user of the dashboard would look for.
func kinds(calls []*transaction.Transaction) map[string]int {
	out := map[string]int{}
	for _, c := range calls {
		if c.Response != nil {
			out["status "+strconv.Itoa(c.Response.Status)]++
		}
		if c.Error != nil {
			out["error "+c.Error.Type]++
		}
		if c.Caller != nil {
			out["caller "+string(c.Caller.Kind)]++
			if c.Caller.Account != "" {
				out["account "+c.Caller.Account]++
			}
		}
		if c.EventType != "" {
			out["event "+c.EventType]++
		}
		if c.Authorizer != nil {
			out["authorizer "+c.Authorizer.Outcome]++
		}
		out["api "+c.APIID+"/"+c.Stage]++
		out["ip "+c.SourceIP]++
		out["visibility "+string(c.Visibility)]++
	}
	return out
}

// The past is made by the gateway, in its own time: every call is there once and
// whole, nothing lies outside of it, and no call's lines have another call's time.
func TestThePast(t *testing.T) {
	t.Parallel()
	s := setup(t, 25)
	to := time.Now().Truncate(time.Millisecond)
	from := to.Add(-4 * time.Minute)
	if err := s.traffic.Past(t.Context(), from, to); err != nil {
		t.Fatal(err)
	}
	if n := s.traffic.Calls(); n < 5000 || n > 7000 {
		t.Errorf("%d calls in 4 minutes at 25 a second", n)
	}
	calls := s.transactions()
	if len(calls) != s.traffic.Calls() {
		t.Errorf("%d calls were made, and the logs tell of %d", s.traffic.Calls(), len(calls))
	}
	for _, c := range calls {
		at := time.UnixMilli(int64(c.Time))
		if at.Before(from) || at.After(to) {
			t.Errorf("a call at %s is not between %s and %s", at, from, to)
		}
		if !c.Complete {
			t.Errorf("not whole: %s", c.AppendJSON(nil))
		}
		if c.LatencyMS != nil && *c.LatencyMS > (2*backendTimeout).Milliseconds() {
			t.Errorf("took %d ms: %s", *c.LatencyMS, c.AppendJSON(nil))
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	got := kinds(calls)
	for _, want := range []string{
		"status 200", "status 201", "status 202", "status 204", "status 401", "status 403", "status 404", "status 409", "status 429", "status 500", "status 502", "status 504",
		"error MISSING_AUTHENTICATION_TOKEN", "error ACCESS_DENIED", "error EXPIRED_TOKEN", "error UNAUTHORIZED", "error THROTTLED", "error INTEGRATION_TIMEOUT", "error API_CONFIGURATION_ERROR",
		"caller iam", "caller jwt", "caller lambda", "account " + Storefront, "account " + Orders,
		"event CONNECT", "event MESSAGE", "event DISCONNECT", "authorizer allow", "authorizer deny", "authorizer unauthorized",
		"api " + ordersID + "/prod", "api " + ordersID + "/test", "api " + paymentsID + "/prod", "api " + catalogID + "/$default", "api " + chatID + "/prod", "api " + customersID + "/live",
		"ip 192.0.2.10", "ip 203.0.113.220", "visibility full", "visibility metadata",
	} {
		if got[want] == 0 {
			t.Errorf("there is no %s", want)
		}
	}
	if t.Failed() {
		t.Log(got)
	}
	// The connections of the past are still there, and end with the traffic.
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := s.traffic.Run(ctx); err != nil {
		t.Error(err)
	}
	got = kinds(s.transactions())
	if got["event CONNECT"] != got["event DISCONNECT"] {
		t.Errorf("%d connections began and %d ended", got["event CONNECT"], got["event DISCONNECT"])
	}
}

// The execution logs of stages with data trace tell all of the calls that reached a
// backend, and no credentials.
func TestCallsAreWholeAndWithoutSecrets(t *testing.T) {
	t.Parallel()
	s := setup(t, 25)
	to := time.Now()
	if err := s.traffic.Past(t.Context(), to.Add(-time.Minute), to); err != nil {
		t.Fatal(err)
	}
	full := 0
	for _, c := range s.transactions() {
		text := string(c.AppendJSON(nil))
		for _, secret := range []string{"IQoJb3JpZ2lu", tokenPrefix + "checkout", bankKey, "eyJhbGciOiJSUzI1NiI"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is shown: %s", secret, text)
			}
		}
		if c.APIID != ordersID || c.Stage != "prod" || c.Response == nil || c.Response.Status != http.StatusOK || c.Route != "/" {
			continue
		}
		full++
		if c.Visibility != transaction.Full || c.Response.Body != `{"id":123,"category":"book"}` || c.Path != "/" || c.Request == nil ||
			c.Caller == nil || !strings.HasPrefix(c.Caller.ARN, "arn:aws:sts::"+Storefront+":assumed-role/checkout/web-") || c.Integration == nil || c.Integration.Status != http.StatusOK {
			t.Errorf("not whole: %s", text)
		}
	}
	if full == 0 {
		t.Error("GET /prod/ was never called")
	}
	// Sessions are asked for over the wire, and kept until shortly before they end.
	if n := s.world.Sim.CallsOf("sts", "AssumeRole"); n < 4 || n > 5 {
		t.Errorf("AssumeRole was called %d times for 5 clients", n)
	}
	for _, c := range s.world.Sim.Calls() {
		if c.Failed > 0 && c.Operation != "PutLogEvents" && c.Operation != "CreateLogStream" {
			t.Errorf("%s %s failed %d times", c.Service, c.Operation, c.Failed)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := s.traffic.Run(ctx); err != nil {
		t.Error(err)
	}
}

// In the present calls are made side by side; each is logged once, however the
// traffic is stopped.
func TestThePresent(t *testing.T) {
	t.Parallel()
	s := setup(t, 300)
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Second)
	defer stop()
	began := time.Now()
	if err := s.traffic.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 2*time.Second+2*stopTimeout {
		t.Errorf("it took %s to stop", took)
	}
	calls := s.transactions()
	if len(calls) != s.traffic.Calls() || len(calls) < 100 {
		t.Errorf("%d calls were made, and the logs tell of %d", s.traffic.Calls(), len(calls))
	}
	if n := s.traffic.logs.queue.Dropped(); n != 0 {
		t.Errorf("%d log events were dropped", n)
	}
	if n := s.traffic.failed.Load(); n != 0 {
		t.Errorf("%d calls could not be made", n)
	}
	got := kinds(calls)
	if got["event CONNECT"] == 0 || got["event CONNECT"] != got["event DISCONNECT"] {
		t.Errorf("%d connections began and %d ended", got["event CONNECT"], got["event DISCONNECT"])
	}
	if s.traffic.chat.replies == 0 {
		t.Error("nobody in the chat had an answer")
	}
}

func TestClockOfThePast(t *testing.T) {
	t.Parallel()
	c := &clock{}
	at := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	c.set(at)
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	if err := c.pass(ctx, 20*time.Minute); err != nil || !c.now().Equal(at.Add(20*time.Minute)) {
		t.Errorf("%v, %s", err, c.now())
	}
	// What takes longer than the caller waits ends when the caller gives up.
	if err := c.pass(ctx, 2*time.Hour); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if got := c.now().Sub(at); got < 79*time.Minute || got > 80*time.Minute {
		t.Errorf("%s have passed", got)
	}
	c.catchUp()
	if d := time.Since(c.now()); d < 0 || d > time.Minute {
		t.Errorf("the clock is %s behind", d)
	}
}
